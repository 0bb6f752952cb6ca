"""Residuals of 26 servos as a stream: what is usual is learnt, robustly, and the rest measured against its tail."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

AVERAGE_S = 0.4
"""Time constant of the average that is judged."""
_CLIP = 20.0
"""One wild value must not make an alarm."""
_BLOCK_S = 2.0
_MARGIN = 1.3
"""In later play there are poses that the first minute did not show, where the twin's error is another."""
_THRESHOLDS = 5.0, 15.0
"""The smallest; and the largest, since averages end at `_CLIP` and a monitor that cannot alarm is none."""
_INDEPENDENT = 0.1
"""Successive residuals resemble each other: ten of them count as one."""
_TAIL = 0.9
_FAST = 0.8


@dataclass(frozen=True, kw_only=True)
class Prior:
    """What is known before anything is learnt.

    sd: of each feature's coefficient about 0; the second feature is a speed, with which jitter in time grows. floor:
    the smallest usual size of what no feature explains.
    """

    sd: tuple[float, ...]
    floor: float


class Residual:
    """One kind of residual, (26,), explained by features (26, k) with coefficients of its own for each servo.

    While it learns, `excess` is 0. A servo that was still while the others were learnt is judged leniently as long as
    its coefficients are not known.
    """

    def __init__(self, prior: Prior, *, learn_s: float, false_alarm_s: float):
        self._prior, self._learn_s, self._false_alarm_s = prior, learn_s, false_alarm_s
        self._rows: list[tuple[float, Array, Array]] = []
        self._fit: _Fit | None = None
        self._threshold = np.inf
        self._average: Array | None = None
        self._time_s = -np.inf
        self.mean: Array = np.zeros(0)
        """The average of what is not explained, (n,), in its own unit."""

    @property
    def is_learning(self) -> bool:
        return self._fit is None

    @property
    def excess(self) -> Array:
        """The signed average over the threshold, (26,); beyond ±1 is an alarm."""
        return np.zeros(26) if self._average is None else self._average / self._threshold

    def add(self, time_s: float, residual: Array, features: Array) -> None:
        """One more, (26,), with its features, (26, k)."""
        if self._fit is None:
            self._rows.append((time_s, residual, features))
            if time_s - self._rows[0][0] >= self._learn_s:
                self._learn()
            return
        unexplained, size = self._fit.judge(residual, features)
        if self._average is None:
            self._average, self.mean = np.zeros_like(residual), np.zeros_like(residual)
            self._time_s = time_s
        share = self.share(time_s - self._time_s)
        self._average = self._average + share * (np.clip(unexplained / size, -_CLIP, _CLIP) - self._average)
        self.mean = self.mean + share * (unexplained - self.mean)
        self._time_s = time_s

    @staticmethod
    def share(passed_s: float) -> float:
        """Weight of a new value after a pause."""
        return float(-np.expm1(-min(max(passed_s, 0.0), AVERAGE_S) / AVERAGE_S))

    def _learn(self) -> None:
        """Fit the first half, look at the tail of the averages in the second, fit all."""
        times = np.array([row[0] for row in self._rows])
        residuals, features = (np.array([row[k] for row in self._rows]) for k in (1, 2))
        half = len(times) // 2
        unexplained, size = _Fit.of(residuals[:half], features[:half], self._prior).judge(
            residuals[half:], features[half:]
        )
        scores = np.clip(unexplained / size, -_CLIP, _CLIP)
        averages, now = np.zeros_like(scores), np.zeros(scores.shape[1])
        for k, passed in enumerate(np.diff(times[half:], prepend=times[half])):
            now = now + self.share(float(passed)) * (scores[k] - now)
            averages[k] = now
        rare = tail_threshold(np.abs(averages), times[half:], self._false_alarm_s)
        self._threshold = float(np.clip(_MARGIN * rare, *_THRESHOLDS))
        self._fit = _Fit.of(residuals, features, self._prior)
        self._rows.clear()


def tail_threshold(averages: Array, times_s: Array, false_alarm_s: float) -> float:
    """The size that averages of healthy play, (T, n) at times (T,), exceed once in `false_alarm_s`, all n together.

    Largest values of blocks of 2 s have an exponential tail (Gumbel's domain); its scale is the mean excess of their
    upper tenth (peaks over threshold).
    """
    blocks = ((times_s - times_s[0]) / _BLOCK_S).astype(int)
    largest = np.array([averages[blocks == b].max(0) for b in np.unique(blocks)])
    start = float(np.quantile(largest, _TAIL))
    beyond = largest[largest > start] - start
    if not len(beyond):
        return start
    per_s = len(beyond) / max(times_s[-1] - times_s[0], _BLOCK_S)
    return start + float(beyond.mean()) * np.log(max(per_s * false_alarm_s, 1.0))


@dataclass(frozen=True, eq=False)
class _Fit:
    """Robust Bayesian least squares for every servo: coefficients (n, k), their covariance (n, k, k), size (n,).

    jitter: by how much the size grows with the second feature, (n,).
    """

    coefficients: Array
    covariance: Array
    size: Array
    jitter: Array

    @classmethod
    def of(cls, residuals: Array, features: Array, prior: Prior) -> "_Fit":
        """residuals (T, n), features (T, n, k); Huber's weights, and the median of absolute deviations for the size."""
        precision = np.diag(1 / np.square(prior.sd))
        weight, size = np.ones_like(residuals), np.full(residuals.shape[1], prior.floor)
        coefficients = covariance = np.zeros(0)
        left = residuals
        for _ in range(5):
            scale = _INDEPENDENT * weight / size**2
            covariance = np.linalg.inv(np.einsum("tn,tnk,tnl->nkl", scale, features, features) + precision)
            coefficients = np.einsum("nkl,nl->nk", covariance, np.einsum("tn,tnk,tn->nk", scale, features, residuals))
            left = residuals - np.einsum("tnk,nk->tn", features, coefficients)
            size = np.maximum(1.4826 * np.median(np.abs(left), axis=0), prior.floor)
            weight = np.minimum(1.0, 1.5 * size / np.maximum(np.abs(left), 1e-12))
        speed = np.abs(features[..., 1])
        fast = np.where(
            speed > np.maximum(np.quantile(speed, _FAST, axis=0), 1e-3), np.abs(left) / np.maximum(speed, 1e-3), np.nan
        )
        moved = np.isfinite(fast).any(0)
        jitter = 1.4826 * np.nanmedian(np.where(moved, fast, 0.0), axis=0)
        return cls(coefficients, covariance, size, jitter)

    def judge(self, residuals: Array, features: Array) -> tuple[Array, Array]:
        """What is not explained, (…, n), and how large that usually is."""
        unexplained = residuals - np.einsum("...nk,nk->...n", features, self.coefficients)
        doubt = np.einsum("...nk,nkl,...nl->...n", features, self.covariance, features)
        return unexplained, np.sqrt(self.size**2 + (self.jitter * features[..., 1]) ** 2 + doubt)


__all__ = ["AVERAGE_S", "Prior", "Residual", "tail_threshold"]
