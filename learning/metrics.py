"""How good is a self-model? Command error on faces it has not seen, beside the paper's three baselines."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..sim import mesh
from ..sim.errors import InputError
from .self_model import ENSEMBLE, Recipe, SelfModel


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % confidence interval (percentile bootstrap over faces)."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


def interval(per_face: np.ndarray, rng: np.random.Generator, resamples: int = 2000) -> Interval:
    """Mean of one score a face, (n,), with its bootstrapped 95 % interval."""
    per_face = np.asarray(per_face, dtype=float)
    if per_face.ndim != 1 or len(per_face) == 0:
        raise InputError(f"scores: got shape {per_face.shape}, allowed (n,) with n > 0")
    means = [per_face[rng.integers(len(per_face), size=len(per_face))].mean() for _ in range(resamples)]
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(per_face.mean()), float(low), float(high))


def nearest_neighbour(
    landmarks_m: np.ndarray, training_landmarks_m: np.ndarray, training_commands: np.ndarray
) -> np.ndarray:
    """Commands of the training faces whose 113 landmarks lie nearest, (n, 11)."""
    wanted, known = (
        np.asarray(f, dtype=float)[..., list(mesh.EMO_LANDMARKS), :].reshape(len(f), -1)
        for f in (landmarks_m, training_landmarks_m)
    )
    squared = (known**2).sum(1) - 2 * wanted @ known.T
    return np.asarray(training_commands)[squared.argmin(1)]


def evaluate(
    model: SelfModel,
    landmarks_m: np.ndarray,
    commands: np.ndarray,
    training_landmarks_m: np.ndarray,
    training_commands: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, Interval]:
    """Mean absolute command error of a model and of the paper's baselines on held-out faces.

    Faces are (n, 468 or 478, 3) with commands (n, 11); the training faces serve two baselines. Keys:
    ``command_l1``, ``nearest_neighbour_l1``, ``random_face_l1`` (a random training command),
    ``random_command_l1`` (uniform).
    """
    truth = np.asarray(commands, dtype=float)
    training_commands = np.asarray(training_commands, dtype=float)
    guesses: dict[str, np.ndarray] = {
        "command_l1": model.predict(landmarks_m),
        "nearest_neighbour_l1": nearest_neighbour(landmarks_m, training_landmarks_m, training_commands),
        "random_face_l1": training_commands[rng.integers(len(training_commands), size=len(truth))],
        "random_command_l1": rng.random(truth.shape),
    }
    return {name: interval(np.abs(guess - truth).mean(1), rng) for name, guess in guesses.items()}


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """Command error on the real Emo robot's rows, (seeds,) each: the mean over rows and parameters."""

    emo_cv_l1: np.ndarray
    nearest_neighbour_l1: np.ndarray
    constant_l1: np.ndarray
    """Of always answering with the training rows' median."""
    per_command: np.ndarray
    """(11,) in the file's order: two brow, two lid, six mouth, jaw."""


def emo_cross_validation(
    path: str | Path,
    rng: np.random.Generator,
    *,
    seeds: int = 3,
    folds: int = 5,
    recipe: Recipe = ENSEMBLE,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> CrossValidation:
    """Learn commands from the real robot's landmarks and test on clips that were left out.

    `path` is ``emo_motor_landmarks.npz``: 107 clips of two rows each, landmarks in cm. Both rows of a clip
    share a fold. Every seed draws new folds and new networks. Raises `InputError` if the file is not that.
    """
    faces, commands = _emo_rows(Path(path))
    clips = len(faces)
    errors, near, constant = (np.zeros((seeds, clips, 2, commands.shape[-1])) for _ in range(3))
    for seed in range(seeds):
        fold = rng.permutation(clips) % folds
        for k in range(folds):
            left_out = fold == k
            known, y = _rows(faces[~left_out]), _rows(commands[~left_out])
            model = SelfModel.fit_faces(known, y, rng, recipe)
            wanted, truth = faces[left_out], commands[left_out]
            guess = nearest_neighbour(_rows(wanted), known, y).reshape(truth.shape)
            errors[seed, left_out] = np.abs(model.predict(wanted) - truth)
            near[seed, left_out] = np.abs(guess - truth)
            constant[seed, left_out] = np.abs(np.median(y, axis=0) - truth)
            progress(seed * folds + k + 1, seeds * folds)
    return CrossValidation(
        emo_cv_l1=errors.mean((1, 2, 3)),
        nearest_neighbour_l1=near.mean((1, 2, 3)),
        constant_l1=constant.mean((1, 2, 3)),
        per_command=errors.mean((0, 1, 2)),
    )


def _rows(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1, *array.shape[2:])


def _emo_rows(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (clips, 2, 468, 3) m and commands (clips, 2, 11)."""
    kinds = ("target", "prediction")
    try:
        with np.load(path, allow_pickle=False) as data:
            faces = np.stack([data[f"landmarks_from_{kind}"] for kind in kinds], axis=1) * 0.01
            commands = np.stack([data[f"commands_from_{kind}"] for kind in kinds], axis=1)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: {error}; wanted is the Emo robot's emo_motor_landmarks.npz") from error
    return faces.astype(float), np.clip(commands.astype(float), 0.0, 1.0)
