"""Who is met in an episode: the mean adult, somebody of a crowd, or one person."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import InputError
from ..person.person import Person
from .common import one_of

MEAN = -1
"""The mean adult's number."""


class Crowd:
    """People to be met.

    Args:
        people: `sampled`, one of the crowd each episode; `mean`, the mean adult; or the number of one person, as
            `Person.sample` takes it.
        size: how many people are sampled from, numbers 0 … size − 1.
        condition: one or several of `person.PATHOLOGIES` that all of them have, or None.
    """

    def __init__(self, people: str | int, size: int, condition: str | Sequence[str] | None = None):
        self._people = _checked(people)
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise InputError(f"crowd: got {size!r}; allowed are whole numbers from 1")
        self._size = size
        self.conditions = (condition,) if isinstance(condition, str) else tuple(condition or ())
        for name in self.conditions:
            Person().with_condition(name)

    def draw(self, rng: np.random.Generator, instead: Any = None) -> int:
        """Somebody's number; `instead` stands in for `people`. Draws once whoever it is. Raises `InputError`."""
        drawn, people = int(rng.integers(self._size)), self._people if instead is None else _checked(instead)
        return people if isinstance(people, int) else drawn if people == "sampled" else MEAN


@lru_cache(maxsize=64)
def met(who: int, conditions: tuple[str, ...]) -> Person:
    """Somebody, kept with her face, which takes up to a second to make."""
    person = Person() if who == MEAN else Person.sample(who)
    for condition in conditions:
        person = person.with_condition(condition)
    return person


def _checked(people: Any) -> str | int:
    if isinstance(people, bool) or not isinstance(people, int | np.integer):
        return one_of("people", people, ("mean", "sampled"))
    if people < 0:
        raise InputError(f"people: got {people}; allowed are numbers from 0, 'mean' and 'sampled'")
    return int(people)


__all__ = ["MEAN", "Crowd", "met"]
