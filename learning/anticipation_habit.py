"""How this person's muscles move her face, learnt while she is watched: the same EMG means another smile in another.

    habit = Habit(population)
    habit.learn(effort(loud, alive), face_mm)             # EMG some time ago, and where it has brought her face since
    habit.says(effort(loud, alive))                       # where the EMG of now will bring it, and how doubtful that is

A Bayesian linear regression of faces on EMG whose prior is what is usual among people (`Population`, by empirical
Bayes). On simulated people the prior alone leaves 43 % of the motion of expressions unexplained, a minute and a half
of one person 25 %.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .anticipation_lessons import Lesson
from .anticipation_senses import BINS, PERIOD_S

Array = NDArray[np.floating]

LATER_FRAMES = 6
"""EMG is held against the face so much after it."""
LATER_S = LATER_FRAMES * PERIOD_S
_SPANS = np.zeros((3, BINS), np.float32)
for _row, _bins in zip(_SPANS, (slice(0, 2), slice(2, 5), slice(5, BINS)), strict=True):
    _row[_bins] = 0.1 / len(range(BINS)[_bins])
_INDEPENDENT = 0.03
"""Frames that follow one another say nearly the same; each counts as so much of one. Chosen on people of the
training."""
_LEAST_FRAMES = 50
"""Before so many frames it says nothing."""
_EVERY_FRAMES = 10
"""After so many frames it is drawn up anew."""
_FORGETTING_S = 300.0
"""Electrodes shift and skin sweats: what is older counts for less; *unknown*, 60 … 1000."""
_ROUNDS = 6


def effort(loud: Array, alive: NDArray) -> Array:
    """How hard muscles work, (4 C,), from loudness (BINS, C) and living channels (C,) as `Ears.window` gives them.

    Means over three parts of the window in tens of the rms at rest, and of the newest also the root.
    """
    over_rest = np.maximum(np.exp(np.asarray(loud, np.float32)) - 1, 0) * alive
    spans = (_SPANS @ over_rest).ravel()
    return np.concatenate([spans, np.sqrt(0.1 * spans[: over_rest.shape[1]])])


@dataclass(frozen=True, eq=False)
class Population:
    """What is usual: faces per effort (4 C, K) mm, and the precision (4 C, 4 C) of people about it, in frames."""

    faces_mm: Array
    precision: Array

    @classmethod
    def fit(cls, lessons: Iterable[Lesson]) -> "Population":
        """From all who wore electrodes, by expectation maximisation."""
        squares, products, energy, count = [], [], 0.0, 0
        for lesson in lessons:
            where = np.flatnonzero(_known(lesson))
            where = where[where < len(lesson.loud) - LATER_FRAMES]
            if not len(where):
                continue
            x = np.array([effort(lesson.loud[k], lesson.alive[k]) for k in where], float)
            y = np.asarray(lesson.seen[where + LATER_FRAMES], float)
            squares.append(x.T @ x)
            products.append(x.T @ y)
            energy, count = energy + float((y**2).sum()), count + y.size
        square, product = np.array(squares), np.array(products)
        width = square.shape[-1]
        total = square.sum(0)
        usual = np.linalg.solve(total + 1e-4 * np.trace(total) / width * np.eye(width), product.sum(0))
        spread, noise = np.mean(usual**2) * np.eye(width), 1.0
        for _ in range(_ROUNDS):
            precision, weight = np.linalg.inv(spread), _INDEPENDENT / noise
            doubt = np.linalg.inv(precision + weight * square)
            own = doubt @ (precision @ usual + weight * product)
            noise = (energy - 2 * float((own * product).sum()) + float((own * (square @ own)).sum())) / count
            usual = own.mean(0)
            off = own - usual
            spread = doubt.mean(0) + np.einsum("pik,pjk->ij", off, off) / (len(own) * own.shape[2])
        precision = np.linalg.inv(spread) * noise / _INDEPENDENT
        return cls(usual.astype(np.float32), precision.astype(np.float32))


class Habit:
    """One person's way, from the usual one and what has been seen of her."""

    def __init__(self, population: Population):
        self._usual = population
        width = len(population.precision)
        self._square = np.zeros((width, width))
        self._product = np.zeros(population.faces_mm.shape)
        self._count = 0
        self._faces_mm = population.faces_mm
        self._doubt = np.zeros((width, width), np.float32)

    def learn(self, effort: Array, later_mm: Array) -> None:
        """An effort (4 C,) and the face (K,) mm that was seen `LATER_S` after it."""
        self._square += np.multiply.outer(effort, effort)
        self._product += np.multiply.outer(effort, later_mm)
        self._count += 1
        if self._count % _EVERY_FRAMES == 0:
            self._draw_up()

    def says(self, effort: Array) -> Array:
        """The face (K,) mm to which this effort leads, how doubtful that is, logarithmic, and 1; zeros if unknown.

        (K + 2,), float32.
        """
        said = np.zeros(self._faces_mm.shape[1] + 2, np.float32)
        if self._count >= _LEAST_FRAMES:
            said[:-2] = effort @ self._faces_mm
            said[-2] = 2 + math.log10(1e-4 + effort @ self._doubt @ effort)
            said[-1] = 1.0
        return said

    def _draw_up(self) -> None:
        usual = self._usual
        keep = np.exp(-_EVERY_FRAMES * PERIOD_S / _FORGETTING_S)
        self._square *= keep
        self._product *= keep
        precision = usual.precision + self._square
        doubt = np.linalg.inv(precision)
        self._faces_mm = (doubt @ (usual.precision @ usual.faces_mm + self._product)).astype(np.float32)
        self._doubt = doubt.astype(np.float32)


def recalled(lesson: Lesson, population: Population) -> Array:
    """What a habit says (T, K + 2) at every frame of a lesson, learnt from the frames before."""
    known = _known(lesson)
    habit, count = Habit(population), len(lesson.seen)
    said = np.zeros((count, population.faces_mm.shape[1] + 2), np.float32)
    efforts = [effort(lesson.loud[k], lesson.alive[k]) if known[k] else None for k in range(count)]
    for k, now in enumerate(efforts):
        before = efforts[k - LATER_FRAMES] if k >= LATER_FRAMES else None
        if before is not None:
            habit.learn(before, lesson.seen[k])
        if now is not None:
            said[k] = habit.says(now)
    return said


def _known(lesson: Lesson) -> NDArray[np.bool_]:
    """At which frames (T,) the EMG is known."""
    return np.asarray(np.isfinite(lesson.loud).all((1, 2)))


__all__ = ["LATER_FRAMES", "LATER_S", "Habit", "Population", "effort", "recalled"]
