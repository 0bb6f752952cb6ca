"""Goals of Person: which action units somebody is to show, and how well she shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..person.moment import units_of
from ..person.repertoire import EXPRESSIONS, PAIRED_UNITS, UNITS, excite, repertoire, resolve

Array = NDArray[np.floating]

WIDTH = 2 * len(UNITS)
"""Entries of a goal: right and left of every unit in turn, as `person.AU_NAMES`."""
STRENGTHS = (0.3, 1.0)
"""Range of the strength of a goal that is drawn, uniform."""
_MOST_UNITS = 3


@dataclass(frozen=True, kw_only=True)
class Reward:
    """How the reward of Person is weighted."""

    match: float = 0.3
    """Distance of action units at which the match is a half; it is 1 / (1 + (distance / match)²)."""
    effort: float = 0.1
    """Price of the mean square excitation of the 48 muscles."""
    success: float = 0.2
    """Distance of action units below which `info["is_success"]` is 1."""

    def __post_init__(self):
        for name in self.__dataclass_fields__:
            if not 0 <= getattr(self, name) < np.inf or (name == "match" and self.match == 0):
                raise InputError(f"reward.{name}: got {getattr(self, name)}; allowed are finite numbers, not negative")

    def matched(self, distances: Array) -> Array:
        """The match, 0…1, of distances (…,)."""
        share = distances / self.match
        return 1.0 / (1.0 + share * share)


def distance(achieved: Any, desired: Any) -> Array:
    """Euclidean distance (…,) of action units (…, 48)."""
    gap = np.asarray(achieved, float) - np.asarray(desired, float)
    if gap.ndim == 0 or gap.shape[-1] != WIDTH:
        raise InputError(f"goals: got shape {gap.shape}; allowed is (…, {WIDTH})")
    return np.asarray(np.sqrt((gap * gap).sum(-1)))


def pattern(what: str) -> Array:
    """Action units (A, 2) of one of the seven expressions, posed, or of a FACS formula: "AU12", "1+2", "R12+L14C".

    Raises `VocabularyError`.
    """
    if what.strip().lower() in EXPRESSIONS:
        return repertoire("posed")[EXPRESSIONS.index(what.strip().lower())]
    return resolve(what)


def reachable(units: Array) -> NDArray[np.float32]:
    """The goal (48,) that the mean adult reaches when she excites the muscles of units (A, 2), with all that shows
    along with them."""
    return units_of(excite(units[None])[0]).reshape(-1).astype(np.float32)


def given_goal(goal: Any) -> NDArray[np.float32]:
    """A goal from outside: words as in `pattern`, made `reachable`; or numbers (48,) or (24, 2), taken literally.

    Raises `InputError`, `VocabularyError`.
    """
    if isinstance(goal, str):
        return reachable(pattern(goal))
    try:
        values = np.asarray(goal, float)
    except (TypeError, ValueError):
        raise InputError(
            f"goal: got {type(goal).__name__}; allowed are words and numbers of shape ({WIDTH},)"
        ) from None
    if values.shape not in ((WIDTH,), (len(UNITS), 2)):
        raise InputError(f"goal: got shape {values.shape}; allowed are ({WIDTH},) and ({len(UNITS)}, 2)")
    wrong = np.flatnonzero(~((values.ravel() >= 0) & (values.ravel() <= 1)))
    if len(wrong):
        unit, of = UNITS[wrong[0] // 2], ("right", "left")[wrong[0] % 2]
        raise InputError(f"goal[{wrong[0]}] (AU{unit.number}, {of}): got {values.ravel()[wrong[0]]}; allowed is 0 … 1")
    return values.astype(np.float32).ravel()


class Goals:
    """Where goals are drawn from: "expressions", the seven; "units", one to three of them; or words of your own.

    both_sides: every goal is made the same on both sides, by the stronger. Raises `InputError`, `VocabularyError`.
    """

    def __init__(self, goals: str | Sequence[str] = "expressions", both_sides: bool = False):
        self._patterns: list[Array] | None = None
        if goals != "units":
            words = EXPRESSIONS if goals == "expressions" else (goals,) if isinstance(goals, str) else tuple(goals)
            if not words:
                raise InputError("goals: got none; name at least one expression or FACS formula")
            self._patterns = [pattern(word) for word in words]
        self._both_sides = both_sides

    def draw(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """A reachable goal (48,)."""
        if self._patterns is None:
            units = _some_units(rng)
        else:
            units = rng.uniform(*STRENGTHS) * self._patterns[rng.integers(len(self._patterns))]
        if self._both_sides:
            units = np.repeat(units.max(-1, keepdims=True), 2, -1)
        return reachable(units)


def _some_units(rng: np.random.Generator) -> Array:
    units = np.zeros((len(UNITS), 2))
    for row in rng.choice(len(UNITS), rng.integers(1, _MOST_UNITS + 1), replace=False):
        sides = ([1, 0], [0, 1], [1, 1])[int(rng.integers(3)) if PAIRED_UNITS[row] else 2]
        units[row] = rng.uniform(*STRENGTHS) * np.array(sides)
    return units


__all__ = ["STRENGTHS", "WIDTH", "Goals", "Reward", "distance", "given_goal", "pattern", "reachable"]
