"""From an expression that is wanted to the muscles that make it, through synergies: what the paper leaves open (§ 4.3).

    inverse = ExpressionInverse(model, synergies).fit(coefficients, labels)     # (R, C), (T, R), (T,)
    wanted = inverse.of_expression("happiness", 0.7)                            # (R,) synergy activations
    course = inverse.path(wanted, inverse.of_expression("fear"), 30)            # (30, R), smooth, within bounds
    inverse.muscles(course)                                                     # (30, C), normalised EMG
    inverse.points_mm(course)                                                   # (30, P)
    inverse.of_points(moved_mm)                                                 # (T, P) mm → (T, R)

The paper proposes that clusters of synergy activations stand for expressions, and that paths between them, mapped to
muscles by M = C W (equation 1), drive its forward model. `of_points` adds the way back from displacements: bounded
least squares through any fitted keypoint model, which stays among activations that the person has shown.

`sim.person.inverse.infer` answers another question: all 48 muscles of a face whose physics is known, from its whole
mesh. Here a fitted model of seven channels and five points is all that there is, and synergies make it solvable.
"""

from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..sim.errors import InputError, VocabularyError

Array = NDArray[np.floating]

_RIDGE = 1e-3
"""Cost of leaving the nearest cluster by the whole range of a synergy, over missing all points by their range."""
_STEP = 1e-4
"""Share of a synergy's range over which slopes are taken."""


class Forward(Protocol):
    """A fitted model that takes normalised EMG (T, C) to displacements (T, P) mm."""

    def predict(self, X: ArrayLike) -> Array: ...


class ExpressionInverse(BaseEstimator):
    """Expressions as places in the space of synergies, and displacements as ways to them.

    forward: a fitted keypoint model. synergies (R, C), ≥ 0: of normalised EMG. Fitted: names_; centres_ (K, R), the
    median synergy activations of every expression; most_ (R,), the largest that were shown (99th percentile);
    range_mm_ (P,), how far apart the expressions' points lie.
    """

    def __init__(self, forward: Forward, synergies: ArrayLike):
        self.forward = forward
        self.synergies = synergies

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn clusters from synergy activations X (T, R) ≥ 0 and names of expressions y (T,). Raises `InputError`."""
        basis, shown, labels = self._basis(), np.asarray(X, float), np.asarray(y)
        if shown.ndim != 2 or shown.shape[1] != len(basis) or not (np.isfinite(shown) & (shown >= 0)).all():
            raise InputError(f"synergy activations must be finite, not negative, (T, {len(basis)}); got {shown.shape}")
        if labels.shape != (len(shown),):
            raise InputError(f"need one expression's name a row, ({len(shown)},), got shape {labels.shape}")
        self.names_ = tuple(str(name) for name in np.unique(labels))
        self.centres_ = np.stack([np.median(shown[labels == name], axis=0) for name in np.unique(labels)])
        self.most_ = np.maximum(np.quantile(shown, 0.99, axis=0), self.centres_.max(0))
        if not (self.most_ > 0).all():
            raise InputError("a synergy is never active; leave it out")
        self.range_mm_ = np.maximum(np.ptp(self.points_mm(self.centres_), axis=0), 1e-3)
        return self

    def of_expression(self, name: str, intensity: float = 1.0) -> Array:
        """Synergy activations (R,) of an expression at an intensity, 1 as it was shown. Raises `VocabularyError`."""
        check_is_fitted(self, "centres_")
        if name not in self.names_:
            raise VocabularyError(f"unknown expression {name!r}; allowed: {', '.join(self.names_)}")
        if not (np.isfinite(intensity) and intensity >= 0):
            raise InputError(f"intensity must be finite and not negative, got {intensity}")
        return np.minimum(intensity * self.centres_[self.names_.index(name)], self.most_)

    def of_points(self, moved_mm: ArrayLike) -> Array:
        """Synergy activations (T, R) within 0 … most_ whose points come nearest to displacements (T, P) mm.

        Each frame is solved from the expression whose points lie nearest. Raises `InputError`.
        """
        check_is_fitted(self, "centres_")
        wanted, known = np.asarray(moved_mm, float), self.points_mm(self.centres_)
        if wanted.ndim != 2 or wanted.shape[1] != known.shape[1] or not np.isfinite(wanted).all():
            raise InputError(f"displacements must be finite (T, {known.shape[1]}) mm, got shape {wanted.shape}")
        far = (((wanted[:, None] - known) / self.range_mm_) ** 2).sum(-1)
        return np.stack(
            [self._solved(one, self.centres_[near]) for one, near in zip(wanted, far.argmin(1), strict=True)]
        )

    def path(self, start: ArrayLike, end: ArrayLike, frames: int) -> Array:
        """Synergy activations (frames, R) from one place to another: straight, of minimum jerk, at rest at both ends.

        The bounds are a box, so a path between two places within it never leaves it. Raises `InputError`.
        """
        check_is_fitted(self, "centres_")
        ends = [np.asarray(place, float) for place in (start, end)]
        for place in ends:
            inside = place.shape == self.most_.shape and ((place >= 0) & (place <= self.most_ + 1e-9)).all()
            if not inside:
                raise InputError(f"a path's ends must be ({len(self.most_)},) within 0 … {self.most_}, got {place}")
        if frames < 2:
            raise InputError(f"a path needs two frames or more, got {frames}")
        along = minimum_jerk(np.linspace(0, 1, frames))[:, None]
        return (1 - along) * ends[0] + along * ends[1]

    def muscles(self, activations: ArrayLike) -> Array:
        """Normalised EMG (T, C) of synergy activations (T, R)."""
        return np.asarray(activations, float) @ self._basis()

    def points_mm(self, activations: ArrayLike) -> Array:
        """Displacements (T, P) mm of synergy activations (T, R)."""
        return self.forward.predict(self.muscles(activations))

    def _solved(self, wanted: Array, start: Array) -> Array:
        """Activations (R,) for one frame's displacements (P,), searched from `start` in shares of `most_`."""
        count, home = len(start), start / self.most_
        nudge = _STEP * np.eye(count)

        def misses(share: Array) -> Array:
            shown = self.points_mm(share[None] * self.most_)[0]
            return np.r_[(shown - wanted) / self.range_mm_, np.sqrt(_RIDGE) * (share - home)]

        def slopes(share: Array) -> Array:
            ahead, behind = np.split(self.points_mm(np.r_[share + nudge, share - nudge] * self.most_), 2)
            return np.r_[(ahead - behind).T / self.range_mm_[:, None] / (2 * _STEP), np.sqrt(_RIDGE) * np.eye(count)]

        inside = np.clip(home, 10 * _STEP, 1 - 10 * _STEP)
        options: dict[str, Any] = {"jac": slopes, "bounds": (0, 1), "ftol": 1e-6, "xtol": 1e-6}
        return self.most_ * least_squares(misses, inside, **options).x

    def _basis(self) -> Array:
        basis = np.asarray(self.synergies, float)
        if basis.ndim != 2 or not (np.isfinite(basis) & (basis >= 0)).all() or not basis.any(1).all():
            raise InputError(f"synergies must be finite (R, C), not negative and none empty; got shape {basis.shape}")
        return basis


def minimum_jerk(time: ArrayLike) -> Array:
    """Share of the way covered at 0 … 1 of the time, with the least jerk (Flash & Hogan 1985): 10 τ³ − 15 τ⁴ + 6 τ⁵."""
    t = np.clip(np.asarray(time, float), 0, 1)
    return t**3 * (10 - 15 * t + 6 * t * t)


__all__ = ["ExpressionInverse", "Forward", "minimum_jerk"]
