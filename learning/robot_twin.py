"""A twin of a real robot face, fitted to commands and the landmarks that a camera saw.

    twin = RobotTwin().fit(commands, landmarks_cm, clips)     # (N, 11) in 0…1, (N, 468, 3), (N,)
    twin.predict(commands)                                    # (M, 468, 3) cm

`PhysicsTwin` has only numbers with a physical name: by how many millimetres a servo, or two that are coupled, displace
the places where the mechanism holds the skin. Skin, alignment and tracker do the rest (`robot_twin_fields`), so that
no landmark has a number of its own, the face at rest excepted. `RobotTwin` starts from the simulated robot and learns
what its physics leaves.
"""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from ..sim import mesh
from ..sim.errors import InputError
from .robot_twin_fields import COUPLINGS, SERVOS, Strokes, checked_commands, driven_fields, lopsided, mirrored, strokes
from .robot_twin_fit import Process, most_probable_gains

Array = NDArray[np.floating]

STIFFNESSES = tuple(float(x) for x in 10 ** np.linspace(-2.5, 0.5, 7))
"""Noise over prior variance of the strokes that are tried, in units of a typical field's square."""
COUPLING_SHARE = 0.5
"""Prior size of couplings over that of strokes; .5 and 1 do alike."""
UPPER = np.repeat(mesh.CANONICAL[:, 1] > 0, 3)
"""Coordinates (1404,) above the middle of the face: brows and lids have one linkage, lips and jaw another."""
_INNER = 4


class PhysicsTwin(RegressorMixin, BaseEstimator):
    """Strokes of a robot's servos, most probable given the rows; a priori any may have either sign.

    Fitted: strokes_mm_, by name, over a servo's full travel; rest_cm_ (468, 3), the face with servos in the middle;
    stiffness_, chosen by leaving clips out; n_parameters_.
    """

    def fit(self, X: ArrayLike, y: ArrayLike, clips: ArrayLike | None = None) -> Self:
        """X (N, 11) commands, y (N, 468, 3) cm, clips (N,) labels, by default every row its own."""
        moved, faces, labels = checked_rows(X, y, clips)
        driven, missed = strokes(moved), np.zeros(len(STIFFNESSES))
        for test in parts(labels, _INNER):
            middle, mean = driven[~test].mean(0), faces[~test].mean(0)
            tried = [_most_probable(kind, driven[~test], faces[~test], STIFFNESSES) for kind in _kinds()]
            for place, numbers in enumerate(zip(*tried, strict=True)):
                predicted = mean + (driven[test] - middle) @ _fields_cm(numbers)
                missed[place] += np.sum((predicted - faces[test]) ** 2)
        self.stiffness_ = STIFFNESSES[int(np.argmin(missed))]
        numbers = [_most_probable(kind, driven, faces, (self.stiffness_,))[0] for kind in _kinds()]
        self._fields_cm = _fields_cm(numbers)
        self.rest_cm_ = (faces.mean(0) - driven.mean(0) @ self._fields_cm).reshape(mesh.VERTEX_COUNT, 3)
        names = [name for kind in _kinds() for name in kind.names]
        self.strokes_mm_ = dict(zip(names, (10 * np.concatenate(numbers)).tolist(), strict=True))
        self.n_parameters_ = len(names) + 1
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Landmarks (M, 468, 3) cm for commands (M, 11)."""
        check_is_fitted(self, "strokes_mm_")
        driven = strokes(X)
        return self.rest_cm_ + (driven @ self._fields_cm).reshape(len(driven), mesh.VERTEX_COUNT, 3)


class RobotTwin(RegressorMixin, BaseEstimator):
    """The simulated robot, its servos' fields turned up or down, and what is learnt of the rest.

    Every servo of the real robot drives the fields that its counterparts in the simulation have, as the tracker sees
    them, each with an unknown gain (`ROLES`). What remains is learnt by two Gaussian processes, one above and one
    below, as the two linkages know little of each other. Fitted: gains_ of `ROLES` in order and gain_size_, what
    is typical of them; upper_ and lower_, the processes; n_parameters_.
    """

    def fit(self, X: ArrayLike, y: ArrayLike, clips: ArrayLike | None = None) -> Self:
        """Rows as for `PhysicsTwin`."""
        moved, faces, labels = checked_rows(X, y, clips)
        servos, fields = driven_fields()
        self._mean, self._middle = faces.mean(0), moved[:, servos].mean(0)
        driven, centred = moved[:, servos] - self._middle, faces - self._mean
        spread = np.eye(len(moved)) * np.sum(centred**2) / len(moved) / 20  # a quarter, over some five axes
        gains, _ = most_probable_gains(driven, [(spread, fields, centred)])
        self.upper_, self.lower_ = Process(), Process()
        halves = ((self.upper_, UPPER), (self.lower_, ~UPPER))
        for process, half in halves:
            process.fit(moved, centred[:, half] - (driven * gains) @ fields[:, half], labels)
        told = [(process.covariance(), fields[:, half], centred[:, half]) for process, half in halves]
        self.gains_, self.gain_size_ = most_probable_gains(driven, told)
        for process, half in halves:
            process.tell(centred[:, half] - (driven * self.gains_) @ fields[:, half])
        self.n_parameters_ = len(self.gains_) + 1 + self.upper_.n_parameters_ + self.lower_.n_parameters_
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Landmarks (M, 468, 3) cm for commands (M, 11)."""
        check_is_fitted(self, "gains_")
        moved = checked_commands(X)
        servos, fields = driven_fields()
        flat = self._mean + ((moved[:, servos] - self._middle) * self.gains_) @ fields
        flat[:, UPPER] += self.upper_.predict(moved)
        flat[:, ~UPPER] += self.lower_.predict(moved)
        return flat.reshape(len(moved), mesh.VERTEX_COUNT, 3)


def parts(labels: ArrayLike, count: int, seed: int = 0) -> list[NDArray[np.bool_]]:
    """Rows (N,) of `count` parts that share no label."""
    known, where = np.unique(np.asarray(labels), return_inverse=True)
    of = np.random.default_rng(seed).permutation(len(known)) % count
    return [of[where] == part for part in range(count)]


def checked_rows(X: ArrayLike, y: ArrayLike, clips: ArrayLike | None) -> tuple[Array, Array, NDArray]:
    """Commands (N, 11), flat faces (N, 1404) and labels (N,). Raises `InputError`."""
    moved, faces = checked_commands(X), np.asarray(y, float)
    if faces.shape != (len(moved), mesh.VERTEX_COUNT, 3) or not np.isfinite(faces).all():
        raise InputError(f"landmarks must be finite ({len(moved)}, {mesh.VERTEX_COUNT}, 3) cm, got {faces.shape}")
    labels = np.arange(len(moved)) if clips is None else np.asarray(clips)
    if labels.shape != (len(moved),) or len(np.unique(labels)) < 5:
        raise InputError(f"clips must be ({len(moved)},) labels, at least 5 different ones; got {labels.shape}")
    return moved, faces.reshape(len(faces), -1), labels


def _kinds() -> tuple[Strokes, Strokes]:
    return mirrored(), lopsided()


def _most_probable(kind: Strokes, driven: Array, faces: Array, stiffnesses: tuple[float, ...]) -> list[Array]:
    """Strokes (K,) cm for every stiffness; mirrored and lopsided ones do not meet, so that each kind stands alone."""
    prior = np.where(np.arange(driven.shape[1]) < len(SERVOS), 1.0, COUPLING_SHARE)
    scaled = (driven - driven.mean(0)) * prior
    unit = np.mean(np.diag(kind.overlap))
    power = (scaled.T @ scaled)[np.ix_(kind.features, kind.features)] * (kind.overlap / unit)
    slope = np.einsum("kn,kn->k", scaled.T[kind.features], kind.fields @ (faces - faces.mean(0)).T) / unit
    bare = np.eye(len(power))
    return [prior[kind.features] * solve(power + stiffness * bare, slope, assume_a="pos") for stiffness in stiffnesses]


def _fields_cm(numbers) -> Array:
    """Landmark displacement (F, 1404) per feature in `strokes` of both kinds' strokes in cm."""
    result = np.zeros((len(SERVOS) + len(COUPLINGS), mesh.CANONICAL.size))
    for kind, own in zip(_kinds(), numbers, strict=True):
        np.add.at(result, kind.features, own[:, None] * kind.fields)
    return result


__all__ = ["COUPLING_SHARE", "STIFFNESSES", "UPPER", "PhysicsTwin", "RobotTwin", "checked_rows", "parts"]
