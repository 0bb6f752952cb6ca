"""Five points of a face and how well a model knows where they go: as in the skin-musculoskeletal paper (§ 2.4, 2.6).

    offset_mm = offsets_mm(landmarks_mm, neutral_mm)          # (T, 5, 2), seen from the front
    moved_mm = along(offset_mm, main_axes(offset_mm[train]))  # (T, 5)
    kept, held_out = split_trials(trial, rng)
    model = best_of_folds(SmsmLrm(), emg[kept], moved_mm[kept], trial[kept])
    nrmse(moved_mm[held_out], model.predict(emg[held_out]))   # (5,)

`keypoint_models` and `coupled_skin` hold the models.
"""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Protocol, Self, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.metrics import r2_score

from ..sim import mesh
from ..sim.errors import InputError

Array = NDArray[np.floating]

CHANNELS = ("IF", "OF", "CS", "LLSAN", "ZM", "DAO", "Me")
"""Channels of the montage `proximal7`, in its order; every axis of channels in this module is so ordered."""

VERTICES = MappingProxyType({"outer eyebrow": 63, "inner eyebrow": 107, "nose": 129, "mouth corner": 61, "chin": 199})
"""Mesh vertices of the points, on the right side. The paper puts stickers on the outer and the inner eyebrow, the
upper end of the nasolabial fold, the corner of the mouth and the chin (figure 2C); to which vertex each belongs is
*unknown* to some 5 mm."""
KEYPOINTS = tuple(VERTICES)


class Model(Protocol):
    """What `best_of_folds` asks of a model."""

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self: ...

    def predict(self, X: ArrayLike) -> Array: ...


M = TypeVar("M", bound=Model)


def offsets_mm(landmarks_mm: ArrayLike, neutral_mm: ArrayLike) -> Array:
    """How far the points stand from their neutral places, (T, P, 2) mm, x and y of a front view.

    landmarks_mm (T, 468, 2 or 3), in the head's frame; neutral_mm (468, 2 or 3). Raises `InputError`.
    """
    faces, rest = np.asarray(landmarks_mm, float), np.asarray(neutral_mm, float)
    if faces.ndim != 3 or faces.shape[1] != mesh.VERTEX_COUNT or faces.shape[2] not in (2, 3):
        raise InputError(f"landmarks must be (T, {mesh.VERTEX_COUNT}, 2 or 3) mm, got shape {faces.shape}")
    if rest.ndim != 2 or rest.shape[0] != mesh.VERTEX_COUNT or rest.shape[1] not in (2, 3):
        raise InputError(f"the neutral face must be ({mesh.VERTEX_COUNT}, 2 or 3) mm, got shape {rest.shape}")
    chosen = list(VERTICES.values())
    found = faces[:, chosen, :2] - rest[chosen, :2]
    if not np.isfinite(found).all():
        raise InputError("a keypoint has no place (NaN) in some frame; leave such frames out")
    return found


def main_axes(offset_mm: ArrayLike) -> Array:
    """Unit direction (P, 2) in which each point moves most, from offsets (T, P, 2) of training data, pointing up.

    The paper takes displacement as one number a point, its direction being "highly biased in a single direction"
    (§ 2.6.1).
    """
    offset = np.asarray(offset_mm, float)
    spread = np.einsum("tpi,tpj->pij", offset, offset)
    axes = np.linalg.eigh(spread)[1][..., -1]
    return axes * np.where(axes[:, 1:] < 0, -1.0, 1.0)


def along(offset_mm: ArrayLike, axes: ArrayLike) -> Array:
    """Signed displacement (T, P) mm of offsets (T, P, 2) along axes (P, 2)."""
    return np.einsum("tpi,pi->tp", np.asarray(offset_mm, float), np.asarray(axes, float))


def r_squared(truth_mm: ArrayLike, predicted_mm: ArrayLike) -> Array:
    """Coefficient of determination (P,) of each point; the paper gives it times 100."""
    truth, predicted = _pair(truth_mm, predicted_mm)
    return np.atleast_1d(r2_score(truth, predicted, multioutput="raw_values"))


def nrmse(truth_mm: ArrayLike, predicted_mm: ArrayLike) -> Array:
    """Root-mean-square error (P,) of each point over the range, largest less smallest, of its truth (§ 2.6.5)."""
    truth, predicted = _pair(truth_mm, predicted_mm)
    reach = np.ptp(truth, axis=0)
    if not (reach > 0).all():
        raise InputError("a point that never moves has no range to measure errors by")
    return np.sqrt(np.mean((truth - predicted) ** 2, axis=0)) / reach


def split_trials(trial: ArrayLike, rng: np.random.Generator, test: int = 2) -> tuple[NDArray[np.bool_], ...]:
    """Which rows to train and which to test on, (T,) each: `test` whole trials, drawn, are held out (§ 2.5.2).

    trial (T,): the reordered trial, one repetition of every expression, that a row belongs to. Raises `InputError`.
    """
    numbers = np.asarray(trial)
    names = np.unique(numbers)
    if numbers.ndim != 1 or not 0 < test < len(names):
        raise InputError(f"need trials (T,), more than {test} different ones; got {len(names)} of {numbers.shape}")
    held_out = np.isin(numbers, rng.permutation(names)[:test])
    return ~held_out, held_out


def best_of_folds(model: M, emg: ArrayLike, moved_mm: ArrayLike, trial: ArrayLike, folds: int = 5) -> M:
    """The one of `folds` fits that does best on the trials that it did not see, as the paper trains (§ 2.6.4).

    emg (T, C), moved_mm (T, P), trial (T,). `model` itself is not fitted. Raises `InputError`.
    """
    u, moved = np.asarray(emg, float), np.asarray(moved_mm, float)
    scored = []
    for left_out in _folds(np.asarray(trial), folds):
        fitted = cast(M, clone(model)).fit(u[~left_out], moved[~left_out])
        error = np.mean((fitted.predict(u[left_out]) - moved[left_out]) ** 2)
        scored.append((error, len(scored), fitted))
    return min(scored)[2]


def _folds(trial: NDArray, folds: int) -> Iterator[NDArray[np.bool_]]:
    names = np.unique(trial)
    if not 2 <= folds <= len(names):
        raise InputError(f"need 2 … {len(names)} folds for {len(names)} trials, got {folds}")
    for part in np.array_split(names, folds):
        yield np.isin(trial, part)


def _pair(truth: ArrayLike, predicted: ArrayLike) -> tuple[Array, Array]:
    one, two = np.asarray(truth, float), np.asarray(predicted, float)
    if one.shape != two.shape or one.ndim != 2 or len(one) < 2 or not (np.isfinite(one) & np.isfinite(two)).all():
        raise InputError(f"truth and prediction must be finite (T, P), T ≥ 2; got shapes {one.shape}, {two.shape}")
    return one, two


__all__ = [
    "CHANNELS", "KEYPOINTS", "VERTICES", "along", "best_of_folds", "main_axes", "nrmse", "offsets_mm", "r_squared",
    "split_trials",
]  # fmt: skip
