"""When to show a face that is expected: together with the person, after her, or as soon as one is foreseen.

A `Timing` turns what a watcher expects into the face to answer now. `Together` is co-expression; `Mimicry` and
`OneShot`, the published way, are there to be compared with.
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..learning.expectation import NEUTRAL, Expectation
from ..sim.errors import InputError
from .lids import Lids, closure, without_closure
from .robot_lag import RobotLag

Array = NDArray[np.floating]

_LEAST_MOVE_M = 0.25e-3
"""Root mean square over landmarks of a change, blinks apart, that is worth starting for; noise is 0.05 … 0.2 mm."""


@dataclass(frozen=True, eq=False)
class Wish:
    """A face of hers to answer, (468, 3) m; None: as before. gently: there is no hurry, nothing is under way."""

    face_m: Array | None
    gently: bool = False


class Timing(Protocol):
    """Says at every step of the control loop what to answer."""

    def wish(self, expected: Expectation) -> Wish:
        """What to answer now; called with one expectation after the other."""
        ...


@dataclass
class UnderWay:
    """Whether a change of expression is under way: more probable than `start` to begin with, than `stop` to go on.

    A change of which only the lids take part is none. Raises `InputError`.
    """

    start: float = 0.6
    stop: float = 0.4
    now: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.stop <= self.start <= 1:
            raise InputError(f"under way: got start {self.start}, stop {self.stop}; allowed is 0 ≤ stop ≤ start ≤ 1")

    def follow(self, expected: Expectation) -> bool:
        """Take in what is expected now; whether something is under way."""
        if self.now:
            self.now = expected.probability >= self.stop
        elif expected.probability >= self.start:
            change = expected.target_m - expected.shown_m
            change = change - _lids_only(change)
            self.now = float(np.sqrt((change**2).sum() / len(change))) >= _LEAST_MOVE_M
        return self.now


class Together:
    """Co-expression: what is sent now is the face expected at the moment at which the robot will show it.

    Whoever expects a whole course has weighed in it how likely every change is, and it is followed as it is. Of others,
    who expect an end, it is followed while a change is under way; while none is, the face shown now is answered
    gently. Blinks are left out. An arrival that is nearer than the servos can make needs no rule of its own: a course
    that slows down asks for most of the way at once.
    """

    def __init__(self, lag: RobotLag, under_way: UnderWay | None = None):
        self._lag, self._under_way, self._lids = lag, under_way or UnderWay(), Lids()

    def wish(self, expected: Expectation) -> Wish:
        allowed = self._lids.watch(expected.time_s, expected.shown_m)
        if expected.course is None and not self._under_way.follow(expected):
            return Wish(without_closure(expected.shown_m, allowed), gently=True)
        allowed = np.maximum(allowed, closure(expected.target_m))
        return Wish(without_closure(expected.at(self._lag.delay_s), allowed))


class Mimicry:
    """Answers the face that is known now, whatever comes next."""

    def wish(self, expected: Expectation) -> Wish:
        return Wish(expected.shown_m)


class OneShot:
    """The Emo paper's way: once a change is detected, go to the predicted face at once, whenever she arrives.

    The paper says nothing of the way back; here it is another change, and a neutral face in the end brings rest.
    """

    def __init__(self, under_way: UnderWay | None = None):
        self._under_way = under_way or UnderWay()

    def wish(self, expected: Expectation) -> Wish:
        before = self._under_way.now
        if self._under_way.follow(expected):
            return Wish(None if before else expected.target_m)
        return Wish(expected.shown_m if expected.expression == NEUTRAL else None, gently=True)


def _lids_only(change_m: Array) -> Array:
    """The part of a change, (468, 3) m, that closing or opening the eyes explains."""
    closed = without_closure(change_m, np.zeros(2))
    opened = without_closure(-change_m, np.zeros(2))
    return (change_m - closed) - (-change_m - opened)


__all__ = ["Mimicry", "OneShot", "Timing", "Together", "UnderWay", "Wish"]
