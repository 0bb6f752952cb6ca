"""The robot's forward model: which face will a command make?

Ridge regression on the commands, their squares and their products: on the real Emo robot's rows interactions of
servos matter and single servos are nearly linear, so that a quadratic beats a linear map.
"""

from dataclasses import dataclass

import numpy as np

from ..sim import mesh
from ..sim.errors import InputError
from ..sim.robot.servo import SYMMETRIC_NAMES

_RIDGE = 1e-2


@dataclass(frozen=True, eq=False)
class ForwardModel:
    """Aligned landmarks from symmetric commands; made by `fit`.

    coefficients: (features, 1404) m, of 1, the commands about the middle of their range, and their products.
    """

    coefficients: np.ndarray

    @classmethod
    def fit(cls, commands: np.ndarray, landmarks_m: np.ndarray, ridge: float = _RIDGE) -> "ForwardModel":
        """Learn from commands (n, 11) in 0…1 and the aligned landmarks (n, 468 or 478, 3) that they made."""
        faces = np.asarray(landmarks_m, float)
        if faces.ndim != 3 or faces.shape[1:] not in ((mesh.VERTEX_COUNT, 3), (mesh.LANDMARK_COUNT, 3)):
            raise InputError(f"landmarks: got shape {faces.shape}, allowed (n, 468, 3) or (n, 478, 3)")
        terms = _features(commands)
        if len(terms) != len(faces) or not np.isfinite(faces).all():
            raise InputError(f"got {len(terms)} commands for {len(faces)} faces; allowed is one finite face for each")
        target = faces[:, : mesh.VERTEX_COUNT].reshape(len(faces), -1)
        penalty = ridge * np.eye(terms.shape[1])
        penalty[0, 0] = 0  # the mean is free
        return cls(np.linalg.solve(terms.T @ terms + penalty, terms.T @ target))

    def predict(self, commands: np.ndarray) -> np.ndarray:
        """Aligned landmarks (…, 468, 3) m for symmetric commands (…, 11)."""
        terms = _features(commands)
        return (terms @ self.coefficients).reshape(*terms.shape[:-1], mesh.VERTEX_COUNT, 3)


def _features(commands: np.ndarray) -> np.ndarray:
    commands = np.asarray(commands, float)
    if commands.shape[-1:] != (len(SYMMETRIC_NAMES),) or not np.isfinite(commands).all():
        raise InputError(f"commands: got shape {commands.shape}, allowed are finite (…, {len(SYMMETRIC_NAMES)})")
    centred = 2 * commands - 1
    first, second = np.triu_indices(len(SYMMETRIC_NAMES))
    ones = np.ones((*commands.shape[:-1], 1))
    return np.concatenate([ones, centred, centred[..., first] * centred[..., second]], axis=-1)
