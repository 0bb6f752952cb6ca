"""Two watchers as one: one that sees and one that hears.

Who anticipates real faces best hears nothing, and who hears muscles knows only simulated cameras.
"""

import re
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..learning.expectation import Expectation, Watcher

Array = NDArray[np.floating]

HEARD_SHARE = 0.3
"""With both senses, this share of the face is what the muscles say: they are sooner, the camera knows how large."""
_OF_PICTURES = re.compile(r"no (pictures|face)( for [\d.]+ s)?")


class BothSenses:
    """A `Watcher` of one that sees and one that hears; either one's loss leaves the other's word, and is told.

    Args:
        sees: is shown the faces, and hears nothing.
        hears: is played the EMG, and sees nothing; what it says of missing pictures is left out.
    """

    def __init__(self, sees: Watcher, hears: Watcher):
        self._sees, self._hears = sees, hears

    def see(self, time_s: float, face_m: Array | None) -> None:
        self._sees.see(time_s, face_m)

    def hear(self, time_s: float, emg_uv: Array) -> None:
        self._hears.hear(time_s, emg_uv)

    def expect(self, now_s: float) -> Expectation:
        seen, heard = self._sees.expect(now_s), self._hears.expect(now_s)
        others = (part for part in heard.problem.split("; ") if part and not _OF_PICTURES.fullmatch(part))
        problem = "; ".join(filter(None, (seen.problem, *others)))
        sees, hears = bool(seen.sources), bool(heard.sources)
        if not (sees and hears):
            said = heard if hears else seen
            return replace(said, problem=problem)
        named = seen if seen.probability >= heard.probability else heard

        def course(ahead_s: float) -> Array:
            return (1 - HEARD_SHARE) * seen.at(ahead_s) + HEARD_SHARE * heard.at(ahead_s)

        return Expectation(
            time_s=now_s,
            shown_m=course(0.0),
            target_m=(1 - HEARD_SHARE) * seen.target_m + HEARD_SHARE * heard.target_m,
            arrival_s=named.arrival_s,
            arrival_sd_s=named.arrival_sd_s,
            target_sd_m=named.target_sd_m,
            probability=named.probability,
            expression=named.expression,
            sources=(*seen.sources, *heard.sources),
            problem=problem,
            course=course,
        )


__all__ = ["HEARD_SHARE", "BothSenses"]
