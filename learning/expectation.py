"""What a robot expects of the face in front of it: the words between who watches a person and who moves the robot.

A `Watcher` is shown faces and played EMG as they come in, and says at any moment what it expects. A face is a
displacement from the person's own rest, (468, 3) m, of aligned landmarks (`sim.alignment.align`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..sim.errors import InputError
from ..sim.mesh import VERTEX_COUNT

Array = NDArray[np.floating]

NEUTRAL = "neutral"


@dataclass(frozen=True, eq=False, kw_only=True)
class Expectation:
    """What is expected at one moment.

    time_s: the moment. shown_m: the face now, as far as it is known. target_m: the face that it is on the way to, at
    its strongest; the one that it shows while nothing is under way. arrival_s: from now until it is there, 0 or more.
    arrival_sd_s, target_sd_m: how far off these two may be, SD; the latter of one landmark, rms. probability: that a
    change of expression is under way or about to begin. expression: what the target looks like most. sources: what was
    used, of "camera" and "emg". problem: what is missing and since when, in words; empty if nothing is.
    course: the face (468, 3) m at so many seconds from now, where not only its end is expected.
    """

    time_s: float
    shown_m: Array
    target_m: Array
    arrival_s: float = 0.0
    arrival_sd_s: float = 0.0
    target_sd_m: float = 0.0
    probability: float = 0.0
    expression: str = NEUTRAL
    sources: tuple[str, ...] = ()
    problem: str = ""
    course: Callable[[float], Array] | None = None

    def at(self, ahead_s: float) -> Array:
        """The face expected `ahead_s` from now, (468, 3) m: on its course, or on the way to the target, then there."""
        if self.course is not None:
            return self.course(ahead_s)
        if ahead_s >= self.arrival_s:
            return self.target_m
        left = 1 - max(ahead_s, 0.0) / self.arrival_s
        return self.target_m + left**2 * (self.shown_m - self.target_m)


class Watcher(Protocol):
    """Looks at a person and listens to her muscles; what it was given last decides what it expects."""

    def see(self, time_s: float, face_m: Array | None) -> None:
        """The face (468, 3) m in a picture that was taken at `time_s`; None if the picture shows none."""

    def hear(self, time_s: float, emg_uv: Array) -> None:
        """EMG (n, C) µV that followed the last block without a gap; its last sample was taken at `time_s`."""

    def expect(self, now_s: float) -> Expectation:
        """What is expected at `now_s`, which is not before anything seen or heard."""
        ...


class Copying:
    """Mimicry: expects that the face stays as it was seen last."""

    def __init__(self) -> None:
        self._face_m = np.zeros((VERTEX_COUNT, 3))
        self._seen = False

    def see(self, time_s: float, face_m: Array | None) -> None:
        if face_m is not None:
            self._face_m, self._seen = checked_face(face_m), True

    def hear(self, time_s: float, emg_uv: Array) -> None:
        pass

    def expect(self, now_s: float) -> Expectation:
        return Expectation(
            time_s=now_s, shown_m=self._face_m, target_m=self._face_m, sources=("camera",) if self._seen else ()
        )


def between(times_s: Array, faces_m: Array, time_s: float) -> Array:
    """The face (…) at a time, between faces (F, …) at ascending times (F,) s; the first or last outside."""
    high = int(times_s.searchsorted(time_s))
    if high in (0, len(times_s)):
        return faces_m[max(high - 1, 0)]
    since_s = times_s[high - 1]
    share = float((time_s - since_s) / (times_s[high] - since_s))
    return faces_m[high - 1] + share * (faces_m[high] - faces_m[high - 1])


def checked_face(face_m: Array) -> Array:
    """A face as a displacement (468, 3) m. Raises `InputError` for another shape or values that are not finite."""
    face = np.asarray(face_m, float)
    if face.shape != (VERTEX_COUNT, 3) or not np.isfinite(face).all():
        raise InputError(
            f"face: got shape {face.shape} with {np.count_nonzero(~np.isfinite(face))} values that are not finite; "
            f"allowed is a finite displacement from rest, ({VERTEX_COUNT}, 3) m; give None where there is no face"
        )
    return face


__all__ = ["NEUTRAL", "Copying", "Expectation", "Watcher", "between", "checked_face"]
