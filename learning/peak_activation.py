"""When an expression begins, is on its way and is there: read from how far a face is from its rest.

    peak = peak_activation(faces_m, 25.0)                     # one clip, as in the paper
    faces_m[peak.inputs], faces_m[peak.targets]
    for apex in apexes(faces_m, 25.0, weight=weight): ...     # a long series with many expressions

A series of faces is (T, n) or (T, L, d) in any unit: landmarks of a mesh, 68 points, blendshapes. A weight for every
coordinate or landmark leaves out what should not count, above all the lids, so that a blink is no expression.

The paper is human-robot facial coexpression, "Predictive model data generation" and Fig. 8. It smooths by a
Savitzky-Golay filter whose length and order are *unknown*; here `SMOOTHING_S` and a cubic.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import find_peaks, savgol_filter
from scipy.spatial.distance import cdist

from ..sim.errors import InputError

Array = NDArray[np.floating]
Indices = NDArray[np.integer]

REST_FRAMES = 5
"""The paper's resting face is the mean of the first five frames."""
BEFORE, AFTER, TARGETS = 4, 4, 4
"""Frames before and after the peak activation that the paper draws its input from, and frames from the target on."""
SMOOTHING_S = 0.36
"""Length of the cubic Savitzky-Golay filter: nine frames at 25 Hz. It passes half of a swing of 5.5 Hz."""


@dataclass(frozen=True, eq=False)
class PeakActivation:
    """Where one expression of a clip gathers way and where it is complete; frames are numbers from 0.

    rest: the resting face, shaped like a face. distance (T,): smoothed, from rest, in the unit of the faces.
    acceleration (T,): its second derivative, per s². peak: frame of the largest acceleration before the target.
    target: frame of the largest distance.
    """

    rest: Array
    distance: Array
    acceleration: Array
    peak: int
    target: int

    @property
    def inputs(self) -> Indices:
        """The nine frames around the peak activation, (9,); beyond an end of the clip its last face stands in."""
        return np.clip(np.arange(self.peak - BEFORE, self.peak + AFTER + 1), 0, len(self.distance) - 1)

    @property
    def targets(self) -> Indices:
        """The target and the three frames after it, (4,), with the same rule."""
        return np.clip(np.arange(self.target, self.target + TARGETS), 0, len(self.distance) - 1)


@dataclass(frozen=True)
class Apex:
    """One expression in a long series; frames are numbers from 0 and onset < arrival ≤ apex.

    onset: the last frame before it is under way, where it has a tenth of its height or of its fastest rise; after a
    stop half way that is where it goes on. peak: the frame of the largest acceleration from just before the onset to
    the arrival, the peak activation. arrival: the first frame that has
    nine tenths of its height. apex: a maximum of the distance; where a face is held, the first on the plateau, which
    may still come long after the arrival. distance, height: from rest, and above the trough
    before, in the unit of the faces.
    """

    onset: int
    peak: int
    arrival: int
    apex: int
    distance: float
    height: float


def peak_activation(
    faces: ArrayLike, rate_hz: float, *, rest: ArrayLike | None = None, weight: ArrayLike | None = None
) -> PeakActivation:
    """The paper's peak activation and target of one clip that holds one expression.

    rest: the resting face where it is known; left out, the mean of the first five frames. weight: see `distances`.
    Raises `InputError`, also where the face is farthest from rest within the first two frames.
    """
    series = _checked(faces, rate_hz)
    calm = series[:REST_FRAMES].mean(axis=0) if rest is None else np.asarray(rest, float)
    raw = distances(series, calm, weight)
    smooth, acceleration = smoothed(raw, rate_hz), smoothed(raw, rate_hz, derivative=2)
    target = int(smooth.argmax())
    if target < 2:
        raise InputError(f"the face is farthest from rest in frame {target}; let the clip begin before the expression")
    return PeakActivation(calm, smooth, acceleration, int(acceleration[:target].argmax()), target)


def apexes(
    faces: ArrayLike, rate_hz: float, *, rest: ArrayLike | None = None, weight: ArrayLike | None = None
) -> tuple[Apex, ...]:
    """Every expression in a series: maxima of the smoothed distance from rest that stand out.

    A maximum stands out if it rises above the troughs beside it by `PROMINENCE` of the series' own span and by
    `OVER_NOISE` times what the smoothing took away, and stays above half of that for `LEAST_S`. rest: left out, it is
    `resting_face`. weight: see `distances`. Raises `InputError`.
    """
    series = _checked(faces, rate_hz)
    raw = distances(series, resting_face(series, weight) if rest is None else rest, weight)
    smooth, speed, acceleration = (smoothed(raw, rate_hz, derivative=order) for order in range(3))
    low, high = np.percentile(smooth, [5, 95])
    noise = 1.4826 * float(np.median(np.abs(raw - smooth)))
    least = max(PROMINENCE * float(high - low), OVER_NOISE * noise, 1e-12)
    tops, _ = find_peaks(np.append(smooth, smooth.min()), prominence=least, width=LEAST_S * rate_hz)
    lead_in = round(SMOOTHING_S / 2 * rate_hz)
    return tuple(
        _apex(smooth, speed, acceleration, int(before), int(top), lead_in)
        for before, top in zip([0, *tops], tops, strict=False)
        if top < len(smooth) - 1 and smooth[top] - smooth[before : top + 1].min() >= least
    )


PROMINENCE = 0.25
"""Of the span from the 5th to the 95th percentile of the distance."""
OVER_NOISE = 6.0
LEAST_S = 0.2
UNDER_WAY, ARRIVED = 0.1, 0.9
"""Shares of an expression's height, and of its fastest rise, that are its onset, and of its height its arrival."""
HALF_WAY = 0.7
"""A stop above this share of the height is already part of arriving."""
NEARLY = 0.8
"""On a plateau the apex is its first maximum that has this share of the highest one's height."""


def _apex(smooth: Array, speed: Array, acceleration: Array, before: int, top: int, lead_in: int) -> Apex:
    trough = before + int(smooth[before : top + 1].argmin())
    done = (smooth[trough : top + 2] - smooth[trough]) / (smooth[top] - smooth[trough])
    halts = find_peaks(done)[0]
    halt = int(halts[(done[halts] >= NEARLY).argmax()]) if len(halts) else top - trough
    done = done[: halt + 1] / done[halt]
    arrival = int((done >= ARRIVED).argmax())
    rising = speed[trough : trough + arrival]
    stopped = (rising <= UNDER_WAY * rising.max()) & (done[:arrival] <= HALF_WAY)
    onset = int(np.flatnonzero((done[:arrival] <= UNDER_WAY) | stopped)[-1])
    first = max(onset - lead_in, 0)
    peak = first + int(acceleration[trough + first : trough + arrival + 1].argmax())
    apex = trough + halt
    height = float(smooth[apex] - smooth[trough])
    return Apex(trough + onset, trough + peak, trough + arrival, apex, float(smooth[apex]), height)


def distances(faces: ArrayLike, rest: ArrayLike, weight: ArrayLike | None = None) -> Array:
    """Root-mean-square distance (T,) of every face (T, …) from a rest (…), in the unit of the faces.

    weight: how much each coordinate (n,) or (L, d), or each landmark (L,), counts, 0 or more; left out, all the same.
    """
    series, calm = np.asarray(faces, float), np.asarray(rest, float)
    if calm.shape != series.shape[1:] or not np.isfinite(calm).all():
        raise InputError(f"rest: got shape {calm.shape}; allowed is one finite face, {series.shape[1:]}")
    share = _share(weight, series.shape[1:])
    return np.sqrt(((series - calm) ** 2 * share).sum(axis=tuple(range(1, series.ndim))))


def resting_face(faces: ArrayLike, weight: ArrayLike | None = None) -> Array:
    """The face that a series (T, …) comes back to most often: where its faces lie closest together.

    The median over the tenth of the frames, five at least, whose nearest tenth of all frames is nearest. A face that
    is held more often and longer than rest would be taken for it; give the rest where it is known.
    """
    series = _checked(faces, 1.0)
    flat = (series * np.sqrt(_share(weight, series.shape[1:]))).reshape(len(series), -1)
    some = flat[:: max(1, len(flat) // _COMPARED)]
    spread = np.sort(cdist(flat, some), axis=1)[:, : max(2, len(some) // 10)].mean(axis=1)
    closest = np.argsort(spread, kind="stable")[: max(REST_FRAMES, len(flat) // 10)]
    return np.median(series[closest], axis=0)


_COMPARED = 500


def smoothed(distance: ArrayLike, rate_hz: float, *, derivative: int = 0) -> Array:
    """A distance (T,) through a cubic Savitzky-Golay filter of `SMOOTHING_S`, or a derivative of it, per s or s²."""
    raw = np.asarray(distance, float)
    length = max(2 * round(SMOOTHING_S * rate_hz / 2) + 1, 5)
    return np.asarray(savgol_filter(raw, length, 3, deriv=derivative, delta=1 / rate_hz, mode="nearest"))


def _share(weight: ArrayLike | None, shape: tuple[int, ...]) -> Array:
    """Weights of all coordinates, shaped like a face, that sum to 1."""
    given = np.ones(shape) if weight is None else np.asarray(weight, float)
    if given.shape == shape[:1] and len(shape) == 2:
        given = np.repeat(given[:, None], shape[1], axis=1)
    if given.shape != shape or not np.isfinite(given).all() or (given < 0).any() or not given.any():
        raise InputError(
            f"weight: got shape {given.shape}; allowed is {shape} or {shape[:1]}, finite, 0 or more, not all 0"
        )
    return given / given.sum()


def _checked(faces: ArrayLike, rate_hz: float) -> Array:
    series = np.asarray(faces, float)
    if series.ndim not in (2, 3) or not series[:1].size or not np.isfinite(series).all():
        raise InputError(
            f"faces: got shape {series.shape}; allowed are finite faces (T, n) or (T, L, d); drop lost frames"
        )
    if len(series) < _LEAST_FRAMES:
        raise InputError(f"faces: got {len(series)} frames; wanted {_LEAST_FRAMES} or more")
    if not (np.isfinite(rate_hz) and rate_hz > 0):
        raise InputError(f"rate_hz is {rate_hz}; it must be positive")
    return series


_LEAST_FRAMES = 9
"""As many as the paper's input window has."""

__all__ = [
    "AFTER", "BEFORE", "REST_FRAMES", "SMOOTHING_S", "TARGETS",
    "Apex", "PeakActivation", "apexes", "distances", "peak_activation", "resting_face", "smoothed",
]  # fmt: skip
