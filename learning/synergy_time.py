"""Time-varying synergies: each is a course of all channels, which an episode plays once, scaled and shifted.

After d'Avella, Saltiel and Bizzi (2003): x_e(t) = Σ_i c_ei w_i(t - t_ei) with non-negative courses w and amplitudes c.
Shifts are found one synergy after the other where the rest correlates most with it, amplitudes by non-negative least
squares, courses by the closed-form least squares step of each.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls
from sklearn.base import BaseEstimator

from ..sim.errors import InputError
from .separation_scores import Score

Array = NDArray[np.floating]


class TimeVaryingSynergies(BaseEstimator):
    """Synergies with a course of their own, of episodes (E, T, C) of one length.

    rank: number of synergies. length: of a course, samples; a shift keeps it within the episode. chance_draws: how
    often the fit is repeated, restarts included, on episodes whose channels were turned round in time one by one.
    Fitted: courses_ (K, L, C) of unit norm, amplitudes_ (E, K), shifts_ (E, K) samples, vaf_ not centred, a `Score`.
    """

    def __init__(
        self, rank: int, length: int, *, restarts: int = 3, steps: int = 20, chance_draws: int = 10, seed: int = 0
    ):
        self.rank = rank
        self.length = length
        self.restarts = restarts
        self.steps = steps
        self.chance_draws = chance_draws
        self.seed = seed

    def fit(self, X: ArrayLike, y: object = None) -> "TimeVaryingSynergies":
        """Learn the courses. Raises `InputError` for episodes that are negative, too short or silent."""
        x = np.asarray(X, float)
        if x.ndim != 3 or not np.isfinite(x).all() or (x < 0).any() or not x.any():
            raise InputError(f"episodes must be (E, T, C), finite, not negative, not all zero; got shape {x.shape}")
        if not (1 <= self.length <= x.shape[1] and self.rank >= 1 and self.restarts >= 1 and self.chance_draws >= 1):
            raise InputError(
                f"wanted rank, restarts and chance_draws of 1 or more and a length of 1 … {x.shape[1]} samples; "
                f"got {self.rank}, {self.restarts}, {self.chance_draws} and {self.length}"
            )
        rng = np.random.default_rng(self.seed)
        vaf, self.courses_, self.amplitudes_, self.shifts_ = self._best_fit(x, rng)
        chance = [self._best_fit(_turned(x, rng), rng)[0] for _ in range(self.chance_draws)]
        self.vaf_ = Score.beside(vaf, chance)
        return self

    def _best_fit(self, x: Array, rng: np.random.Generator) -> tuple[float, Array, Array, NDArray[np.integer]]:
        return max((self._one_fit(x, rng) for _ in range(self.restarts)), key=lambda fit: fit[0])

    def _one_fit(self, x: Array, rng: np.random.Generator) -> tuple[float, Array, Array, NDArray[np.integer]]:
        courses = np.stack([_piece(x, self.length, rng) for _ in range(self.rank)])
        amplitudes = np.zeros((len(x), self.rank))
        shifts = np.zeros((len(x), self.rank), int)
        for _ in range(self.steps):
            courses /= np.maximum(np.linalg.norm(courses, axis=(1, 2), keepdims=True), 1e-12)
            for number, episode in enumerate(x):
                shifts[number], amplitudes[number] = _placed(episode, courses)
            courses = _courses(x, courses, amplitudes, shifts)
        norm = np.maximum(np.linalg.norm(courses, axis=(1, 2)), 1e-12)
        courses, amplitudes = courses / norm[:, None, None], amplitudes * norm
        left = ((x - played(courses, amplitudes, shifts, x.shape[1])) ** 2).sum()
        return float(1 - left / (x**2).sum()), courses, amplitudes, shifts


def played(courses: ArrayLike, amplitudes: ArrayLike, shifts: ArrayLike, samples: int) -> Array:
    """Episodes (E, T, C) that courses (K, L, C) make with amplitudes and shifts (E, K)."""
    courses, amplitudes, shifts = np.asarray(courses, float), np.asarray(amplitudes, float), np.asarray(shifts)
    made = np.zeros((len(amplitudes), samples, courses.shape[2]))
    for number, (gains, starts) in enumerate(zip(amplitudes, shifts, strict=True)):
        for course, gain, start in zip(courses, gains, starts, strict=True):
            made[number, start : start + len(course)] += gain * course
    return made


def _placed(episode: Array, courses: Array) -> tuple[NDArray[np.integer], Array]:
    """Shifts and amplitudes (K,) of unit courses in an episode (T, C): matching pursuit, each course once."""
    count, length, _ = courses.shape
    windows = np.lib.stride_tricks.sliding_window_view(episode, length, axis=0)  # (shifts, C, L)
    fits = np.einsum("scl,klc->sk", windows, courses)
    overlaps = _overlaps(courses, len(windows))
    shifts, free = np.zeros(count, int), np.ones(count, bool)
    for _ in range(count):
        start, which = np.unravel_index(np.where(free, fits, -np.inf).argmax(), fits.shape)
        shifts[which], free[which] = start, False
        middle = len(windows) - 1
        fits = fits - max(fits[start, which], 0) * overlaps[middle - start : 2 * middle - start + 1, which]
    shape = np.zeros((*episode.shape, count))
    for which, start in enumerate(shifts):
        shape[start : start + length, :, which] = courses[which]
    return shifts, nnls(shape.reshape(-1, count), episode.ravel())[0]


def _overlaps(courses: Array, shifts: int) -> Array:
    """Inner product (2 S - 1, K, K) of course i at 0 with course j at -S + 1 … S - 1."""
    count, length, channels = courses.shape
    padded = np.zeros((count, length + 2 * (shifts - 1), channels))
    padded[:, shifts - 1 : shifts - 1 + length] = courses
    windows = np.lib.stride_tricks.sliding_window_view(padded, length, axis=1)
    return np.einsum("iscl,jlc->sij", windows, courses)


def _courses(x: Array, courses: Array, amplitudes: Array, shifts: NDArray[np.integer]) -> Array:
    """One closed-form step of each course, the amplitudes and shifts given."""
    courses = courses.copy()
    rest = x - played(courses, amplitudes, shifts, x.shape[1])
    for which in range(len(courses)):
        power = (amplitudes[:, which] ** 2).sum()
        if power == 0:
            continue
        at = shifts[:, which, None] + np.arange(courses.shape[1])
        episodes = np.arange(len(x))[:, None]
        gains = amplitudes[:, which, None, None]
        new = np.maximum(courses[which] + (gains * rest[episodes, at]).sum(0) / power, 0)
        rest[episodes, at] -= gains * (new - courses[which])
        courses[which] = new
    return courses


def _piece(x: Array, length: int, rng: np.random.Generator) -> Array:
    """A stretch (L, C) of some episode, slightly raised so that nothing starts at zero."""
    start = rng.integers(x.shape[1] - length + 1)
    return x[rng.integers(len(x)), start : start + length] + 0.01 * x.mean()


def _turned(x: Array, rng: np.random.Generator) -> Array:
    at = (np.arange(x.shape[1])[:, None] + rng.integers(x.shape[1], size=(len(x), 1, x.shape[2]))) % x.shape[1]
    return np.take_along_axis(x, at, axis=1)


__all__ = ["TimeVaryingSynergies", "played"]
