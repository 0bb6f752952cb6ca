"""What an anticipator learns from: simulated people acting, with what will happen next written beside every moment."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..sim.person.encounter import EMG_HZ, PICTURES_HZ, STEADY, Encounter, meet
from ..sim.person.person import Person
from ..sim.person.repertoire import EXPRESSIONS
from .anticipation_senses import BINS, EMG_AHEAD_S, Ears
from .expectation import NEUTRAL
from .face_space import FaceSpace
from .peak_activation import TARGETS

Array = NDArray[np.floating]

CALLED: tuple[str, ...] = (NEUTRAL, *EXPRESSIONS)
"""Names of expressions, by code; a smile is happiness."""
COMPONENTS = 32


@dataclass(frozen=True, eq=False)
class Lesson:
    """One encounter, frame by frame, in the coordinates of a `FaceSpace` (mm).

    seen, clean (T, K): what the camera reported, and would have without its noise. true (T, K): her face as it is, of
    which a camera sees a part. target (T, K): until its apex an expression's strongest face, the mean of those of which
    the paper takes one, then the present one; at rest and on the way there rest. arrival_s (T,): from now until she is
    there. rising (T,): whether she is on the way to an expression, from the start of its drive on. expression (T,):
    code of what she shows, by `CALLED`, until it fades. loud (T, BINS, C), alive (T, C): EMG as `Ears` has it at each
    frame, NaN where it is not known; C is 0 without.
    """

    seen: Array
    clean: Array
    true: Array
    target: Array
    arrival_s: Array
    rising: NDArray[np.bool_]
    expression: NDArray[np.integer]
    loud: Array
    alive: Array

    @classmethod
    def of(cls, met: Encounter, space: FaceSpace) -> "Lesson":
        """What an encounter teaches."""
        true = space.encode(met.truth_m)
        count = len(true)
        target, arrival_s = true.copy(), np.zeros(count)
        rising, expression = np.zeros(count, bool), np.zeros(count, np.int8)
        for act in met.acts:
            begin, arrive, apex, release, end = (
                int(np.clip(round(s * PICTURES_HZ), 0, count))
                for s in (act.drive_s, act.arrival_s, act.apex_s, act.release_s, act.end_s + 0.2)
            )
            if begin >= arrive or apex == count:
                continue
            target[begin:apex] = true[apex : apex + TARGETS].mean(0)
            arrival_s[begin:arrive] = np.maximum(act.arrival_s - np.arange(begin, arrive) / PICTURES_HZ, 0)
            rising[begin:arrive] = True
            expression[begin:release] = CALLED.index(act.expression)
            target[release:end] = 0.0
            arrival_s[release:end] = np.maximum(end - np.arange(release, end), 0) / PICTURES_HZ
        seen, clean = space.encode(met.seen_m), space.encode(met.noiseless_m)
        return cls(seen, clean, true, target, arrival_s, rising, expression, *_heard(met))

    def unheard(self, channels: int) -> "Lesson":
        """The same for a network that knows so many channels, of which nothing was heard."""
        count = len(self.seen)
        return replace(
            self, loud=np.full((count, BINS, channels), np.nan, np.float16), alive=np.zeros((count, channels), bool)
        )


def encounters(people: Iterable[int], *, montage: str | None, seconds: float) -> Iterator[Encounter]:
    """One encounter with each person, by number."""
    for who in people:
        yield meet(Person.sample(who), montage=montage, seed=who, seconds=seconds)


def space_of(met: Iterable[Encounter]) -> FaceSpace:
    """The components of how people's faces move, and of what cameras see of it; of one encounter after the other."""
    views = (faces for one in met for faces in (one.truth_m, one.noiseless_m))
    return FaceSpace.fit((faces[np.abs(faces[:, STEADY]).max((1, 2)) > 1e-3][::3] for faces in views), COMPONENTS)


def _heard(met: Encounter) -> tuple[Array, Array]:
    """EMG windows (T, BINS, C) at every frame, and living channels (T, C)."""
    count, channels = len(met.times_s), met.channels
    loud = np.full((count, BINS, len(channels)), np.nan, np.float16)
    alive = np.zeros((count, len(channels)), bool)
    if met.emg_uv is None:
        return loud, alive
    ears, before_s = Ears(channels, EMG_HZ), 0.0
    for frame, time_s in enumerate(met.times_s):
        until_s = time_s + EMG_AHEAD_S
        ears.hear(until_s, met.heard(before_s, until_s))
        before_s = until_s
        if ears.reference_s(until_s) is not None:
            loud[frame], alive[frame] = ears.window(time_s)
    return loud, alive


__all__ = ["CALLED", "Lesson", "encounters", "space_of"]
