"""From muscles to five points of a face: the models of the skin-musculoskeletal paper (§ 2.6).

    model = SmsmLrm().fit(emg, displacement_mm)               # (T, 7) over its MVC, (T, 5) mm
    model.predict(emg)                                        # (T, 5) mm

`Smsm`: each point hangs on its own one or two Mykin muscles (equations 6-15). `Lrm`: every point is a weighted sum of
all channels (16). `SmsmLrm`: points of the SMSM, mixed by a fitted matrix (17). `coupled_skin.CoupledSkin` lets the
skin itself couple the points.

The paper minimises the mean squared error with 18,000 epochs of Adam from a start and with a rate that it does not
give. Here the same error is minimised by bounded least squares (SciPy), which ends no higher in some tens of steps.
"""

from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from ..sim.errors import InputError
from ..sim.person.mykin import several_muscles_m, single_muscle_m
from .keypoints import CHANNELS, KEYPOINTS

Array = NDArray[np.floating]

SKIN_N_M = 100.0
"""K_H, the stiffness of the skin at every point (paper § 2.6.1)."""
SYSTEMS: tuple[tuple[str, ...], ...] = (("OF",), ("IF", "CS"), ("LLSAN",), ("ZM", "DAO"), ("Me",))
"""Channels whose muscles move each of `KEYPOINTS` in the SMSM (paper § 2.6.1, figure 4D)."""

_STIFFEST, _LONGEST_M, _STEEPEST = 20.0, 0.1, 3.0
"""Bounds of k over K_H, of l, and of projection and lever."""
_START_STIFFNESS, _START_LENGTH_M = (0.1, 1.0), (0.001, 0.01)
_FRAMES = 2000
"""At most so many frames, evenly taken from those given, enter a fit: neighbours at 25 Hz say much the same."""


class KeypointModel(RegressorMixin, BaseEstimator):
    """What the models share: data (T, C) and (T, P) are checked, `score` is the mean R² over points (scikit-learn).

    Fitted: n_features_in_ C; n_parameters_, how many numbers the fit was free to choose.
    """

    n_features_in_: int
    n_parameters_: int

    def _checked(self, emg: ArrayLike, displacement_mm: ArrayLike | None = None) -> tuple[Array, Array]:
        channels, points = len(CHANNELS), len(KEYPOINTS)
        u = np.asarray(emg, float)
        if u.ndim != 2 or u.shape[1] != channels or not np.isfinite(u).all():
            raise InputError(
                f"activations must be finite (T, {channels}), a column for each of {', '.join(CHANNELS)}, EMG over its "
                f"maximum; got shape {u.shape}"
            )
        if displacement_mm is None:
            return u, np.zeros((len(u), points))
        moved = np.asarray(displacement_mm, float)
        if moved.shape != (len(u), points) or not np.isfinite(moved).all():
            raise InputError(
                f"displacements must be finite ({len(u)}, {points}) mm, a column for each of {', '.join(KEYPOINTS)}; "
                f"got shape {moved.shape}"
            )
        if len(u) < 2 * channels:
            raise InputError(f"need at least {2 * channels} frames to fit, got {len(u)}")
        self.n_features_in_ = channels
        return u, moved


class Lrm(KeypointModel):
    """Linear regression from all channels, ΔL = W U (equation 16): no constant, 5 × 7 numbers.

    Fitted: weights_ (P, C) mm.
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        u, moved = self._checked(X, y)
        self.weights_ = np.linalg.lstsq(u, moved, rcond=None)[0].T
        self.n_parameters_ = self.weights_.size
        return self

    def predict(self, X: ArrayLike) -> Array:
        check_is_fitted(self, "weights_")
        return self._checked(X)[0] @ self.weights_.T


class Smsm(KeypointModel):
    """Skin-musculoskeletal model (equations 10, 14 and 15): each point on its own muscles, against skin of 100 N/m.

    A muscle alone has k₀, k₁ (N/m), l₀, l₁ (m); of two that share a point each has also a projection and a lever:
    12 + 24 numbers. Fitted: k0_, k1_, l0_, l1_, projection_, lever_, (C,) each in the order of `CHANNELS`; a muscle
    alone keeps projection and lever 1.
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        u, moved = self._checked(X, y)
        fitted = np.ones((6, len(CHANNELS)))
        for point, names in enumerate(SYSTEMS):
            columns = [CHANNELS.index(name) for name in names]
            fitted[:, columns] = _fit_system(u[:, columns], moved[:, point])
        self._take(fitted)
        self.n_parameters_ = sum(_numbers(len(names)) for names in SYSTEMS)
        return self

    def predict(self, X: ArrayLike) -> Array:
        check_is_fitted(self, "k0_")
        return _points_mm(self._given(), self._checked(X)[0])

    def _take(self, fitted: Array) -> None:
        stiffness, length = SKIN_N_M * fitted[:2], fitted[2:4]
        (self.k0_, self.k1_), (self.l0_, self.l1_), (self.projection_, self.lever_) = stiffness, length, fitted[4:]

    def _given(self) -> Array:
        stiffness = np.stack([self.k0_, self.k1_]) / SKIN_N_M
        return np.concatenate([stiffness, [self.l0_, self.l1_, self.projection_, self.lever_]])


class SmsmLrm(Smsm):
    """SMSM whose points are mixed by a matrix, ΔL = W ΔL_SMSM (equation 17), both fitted together: 36 + 25 numbers.

    It starts from the fitted SMSM; for every SMSM that is tried, W is the regression on its points, so that 36 numbers
    are searched. Fitted beside the SMSM's: mixing_ (P, P).
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        u, moved = self._checked(X, y)
        super().fit(u, moved)
        numbers, few, truth = self._given(), thinned(u), thinned(moved)
        free = _free()
        low, high = _bounds()

        def predicted(x: Array) -> Array:
            numbers[free] = x
            alone = _points_mm(numbers, few)
            return alone @ np.linalg.lstsq(alone, truth, rcond=None)[0]

        numbers[free] = bounded_fit(predicted, truth, numbers[free], low[free], high[free])
        self._take(numbers)
        alone = _points_mm(numbers, u)
        self.mixing_ = np.linalg.lstsq(alone, moved, rcond=None)[0].T
        self.n_parameters_ = len(free[0]) + self.mixing_.size
        return self

    def predict(self, X: ArrayLike) -> Array:
        check_is_fitted(self, "mixing_")
        return super().predict(X) @ self.mixing_.T


def thinned(values: Array, frames: int = _FRAMES) -> Array:
    """At most `frames` rows, evenly taken."""
    return values[np.unique(np.linspace(0, len(values) - 1, min(frames, len(values))).astype(int))]


def bounded_fit(
    predicted: Callable[[Array], Array],
    truth: Array,
    start: Array,
    low: ArrayLike,
    high: ArrayLike,
    unit: ArrayLike | None = None,
) -> Array:
    """Numbers (n,) within bounds for which `predicted(numbers)` misses `truth` least in squares.

    unit (n,): by how much each number matters alike; by default its start.
    """
    size = np.maximum(np.abs(start), 1e-3) if unit is None else np.asarray(unit, float)
    spread = max(float(np.std(truth)), 1e-9)
    found = least_squares(
        lambda x: ((predicted(x * size) - truth) / spread).ravel(),
        np.clip(start, low, high) / size,
        bounds=(np.asarray(low) / size, np.asarray(high) / size),
        max_nfev=60,
        ftol=1e-5,
        xtol=1e-6,
    )
    return np.clip(found.x * size, low, high)


def _numbers(muscles: int) -> int:
    """Numbers of a system of the SMSM: a muscle that is alone needs no geometry."""
    return 4 if muscles == 1 else 6 * muscles


def _fit_system(u: Array, moved_mm: Array) -> Array:
    """Numbers (6, n) of the n muscles of one point: k₀, k₁ over K_H; l₀, l₁ in m; projection, lever."""
    count = u.shape[1]
    sign = np.sign(np.linalg.lstsq(u, moved_mm, rcond=None)[0])
    sign[sign == 0] = 1.0
    start = np.ones((6, count))
    start[:2] = np.array(_START_STIFFNESS)[:, None]
    start[2:4] = np.array(_START_LENGTH_M)[:, None]
    start[2:4] *= sign if count == 1 else 1.0
    start[4:] = sign if count > 1 else 1.0
    rows = _numbers(count) // count
    low, high = (bound[:rows, :count].ravel() for bound in _bounds())
    few, whole = thinned(u), np.ones((6, count))

    def predicted(x: Array) -> Array:
        whole[:rows] = x.reshape(rows, count)
        return _system_mm(whole, few)

    fitted = bounded_fit(predicted, thinned(moved_mm), start[:rows].ravel(), low, high)
    start[:rows] = fitted.reshape(rows, count)
    return start


def _system_mm(numbers: Array, u: Array) -> Array:
    """Displacement (T,) mm of a point with n muscles, numbers (6, n), activations (T, n)."""
    k0, k1, l0, l1, projection, lever = numbers
    if u.shape[1] == 1:
        return 1e3 * single_muscle_m(u, k0, k1, l0, l1, 1.0)[:, 0]
    return 1e3 * several_muscles_m(u, k0, k1, l0, l1, 1.0, projection, lever)


def _points_mm(numbers: Array, u: Array) -> Array:
    """Displacements (T, P) mm of all points, numbers (6, C), activations (T, C)."""
    columns = [[CHANNELS.index(name) for name in names] for names in SYSTEMS]
    return np.stack([_system_mm(numbers[:, chosen], u[:, chosen]) for chosen in columns], -1)


def _bounds() -> tuple[Array, Array]:
    """Least and greatest numbers, (6, C) each. Lengths may be negative: a muscle may lower its point."""
    high = np.repeat([_STIFFEST, _STIFFEST, _LONGEST_M, _LONGEST_M, _STEEPEST, _STEEPEST], len(CHANNELS))
    high = high.reshape(6, len(CHANNELS))
    low = -high
    low[:2] = 0.0
    return low, high


def _free() -> tuple[NDArray[np.intp], ...]:
    """Rows and columns of the numbers (6, C) that are fitted: no geometry for muscles that are alone."""
    free = np.ones((6, len(CHANNELS)), bool)
    for names in SYSTEMS:
        if len(names) == 1:
            free[4:, CHANNELS.index(names[0])] = False
    return np.nonzero(free)


__all__ = ["SKIN_N_M", "SYSTEMS", "KeypointModel", "Lrm", "Smsm", "SmsmLrm", "bounded_fit", "thinned"]
