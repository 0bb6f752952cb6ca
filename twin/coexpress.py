"""Co-expression: the robot's face arrives at an expression together with the person's.

    coexpressor = Coexpressor(Steering(SelfModel.default()), watcher)
    every 40 ms:  watcher.see(…);  watcher.hear(…);  command = coexpressor.step(now_s)

Who else to be, with the same class: mimicry is a `Copying` watcher with `Mimicry()`, the published method any watcher
with `OneShot()`, a perfect oracle a `Knowing` watcher.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..learning.expectation import NEUTRAL, Expectation, Watcher, between
from ..sim.camera import Face, Neutral
from ..sim.errors import InputError
from ..sim.mesh import VERTEX_COUNT
from ..sim.robot.face import CONTROL_PERIOD_S
from ..sim.robot.servo import REST_COMMAND
from .attention import EYES, NECK, attend
from .discretion import Discretion
from .retarget import Retarget
from .robot_lag import RobotLag
from .steering import LOST_AFTER_S, Steering
from .timing import Timing, Together

Array = NDArray[np.floating]

_SETTLE_S = 0.4
"""Time constant with which a face is answered while nothing is under way."""
_GLIDE_S = 0.7
"""Time constant of the way to rest when nobody is there any more."""
_CONVINCED_S = 0.12
"""So long another expression must be named before the robot changes its answer on the way."""
_ATTENTION = [*NECK, *EYES]


class Coexpressor:
    """What a watcher expects in, checked servo commands out.

    Args:
        steering: the robot's self-model, its refiner, safe set and Guard.
        watcher: who is asked what to expect; whoever owns it lets it see and hear.
        timing: when to show what is expected; None: together with her, with the default robot's lag.
        discretion: what to answer; None takes the shipped table.
    """

    def __init__(
        self,
        steering: Steering,
        watcher: Watcher,
        *,
        timing: Timing | None = None,
        discretion: Discretion | None = None,
    ):
        self.steering, self.watcher = steering, watcher
        self.timing = Together(RobotLag.default()) if timing is None else timing
        self.discretion = Discretion.default() if discretion is None else discretion
        self.expected: Expectation | None = None
        """What was expected at the last step."""
        self.problem = ""
        """What is missing, in words; empty if nothing is."""
        self.motion_m = np.zeros((VERTEX_COUNT, 3))
        """The face to answer with, as a displacement from rest, before the robot's limits."""
        self._retarget = Retarget(
            np.zeros((VERTEX_COUNT, 3)), steering.model.rest_m, steering.model.low_m, steering.model.high_m
        )
        self._mood = _Mood()
        self._known_s = self._looked_s = self._time_s = -np.inf
        self._neutral: Neutral | None = None
        self._neutral_pitch_rad = 0.0
        self._attention = REST_COMMAND.copy()
        self._looking = REST_COMMAND.copy()
        self.discretion.prepare()
        self.steering.command(steering.model.rest_m)  # the first call is slow; no step shall wait for it

    @property
    def wanted_m(self) -> Array:
        """The face that the robot should show: aligned landmarks in its own range, (468, 3)."""
        return self._retarget(self.motion_m)

    @property
    def expression(self) -> str:
        """The expression that is answered now."""
        return self._mood.name

    def calibrate(self, neutral: Neutral, pitch_rad: float = 0.0) -> None:
        """Measure the expressions of `look` from `neutral` on, and nods from a head `pitch_rad`."""
        self._neutral, self._neutral_pitch_rad = neutral, pitch_rad

    def look(self, time_s: float, face: Face | None) -> None:
        """Show the watcher a face that a camera found at `time_s`, or None; neck and eyes will follow it.

        Raises `InputError` before `calibrate`.
        """
        if self._neutral is None:
            raise InputError("look: this person's face at rest is not known; call calibrate(neutral) first")
        if face is None:
            self.watcher.see(time_s, None)
            return
        self.watcher.see(time_s, self._neutral.displacement(face)[:VERTEX_COUNT])
        self._looked_s = time_s
        self._looking = attend(REST_COMMAND, face, self._neutral.gaze_rad, self._neutral_pitch_rad)

    def step(self, now_s: float) -> Array:
        """The next command, (26,), to be sent at once; to be called every `CONTROL_PERIOD_S`.

        Raises `CommandRejected` if the Guard does not let it pass, as when time stands still; then nothing was sent.
        """
        gap_s = float(np.clip(now_s - self._time_s, 0.0, CONTROL_PERIOD_S))
        self.expected = expected = self.watcher.expect(now_s)
        if expected.sources:
            self._known_s = now_s
        alone_s = now_s - self._known_s
        self.problem = expected.problem
        if alone_s > LOST_AFTER_S:
            self.motion_m = self.motion_m * np.exp(-gap_s / _GLIDE_S)
            since = f"for {alone_s:.1f} s" if np.isfinite(alone_s) else "yet"
            self.problem = f"nobody seen or heard {since}: at rest" + (
                f" ({expected.problem})" if expected.problem else ""
            )
        elif expected.sources:
            self._answer(expected, gap_s)
        if now_s - self._looked_s > LOST_AFTER_S:
            self._attention = REST_COMMAND + (self._attention - REST_COMMAND) * np.exp(-gap_s / _GLIDE_S)
        else:
            self._attention = self._looking
        goal = self.steering.command(self.wanted_m)
        goal[_ATTENTION] = self._attention[_ATTENTION]
        command = self.steering.toward(self.steering.safe_set.project(goal), now_s)
        self._time_s = now_s
        return command

    def _answer(self, expected: Expectation, gap_s: float) -> None:
        wish = self.timing.wish(expected)
        mood = self._mood.follow(expected, idle=wish.gently)
        if wish.face_m is None:
            return
        answer = self.discretion(mood, wish.face_m)
        share = 1 - np.exp(-gap_s / _SETTLE_S) if wish.gently else 1.0
        self.motion_m = self.motion_m + share * (answer - self.motion_m)


class _Mood:
    """Which expression is being answered: the first one named, until another has been named for a while.

    On the way back to neutral it stays what it was, so that the answer fades as the expression does.
    """

    def __init__(self) -> None:
        self.name = NEUTRAL
        self._other, self._since_s = NEUTRAL, 0.0

    def follow(self, expected: Expectation, *, idle: bool) -> str:
        named = expected.expression
        if named != self._other:
            self._other, self._since_s = named, expected.time_s
        persists = expected.time_s - self._since_s >= _CONVINCED_S - 1e-9
        changes = idle if named == NEUTRAL else self.name == NEUTRAL or persists
        if changes:
            self.name = named
        return self.name


@dataclass(frozen=True, eq=False, kw_only=True)
class Foreseen(Expectation):
    """An expectation that knows the whole course: faces_m (F, 468, 3) at times_s (F,)."""

    times_s: Array
    faces_m: Array

    def at(self, ahead_s: float) -> Array:
        return between(self.times_s, self.faces_m, self.time_s + ahead_s)


class Knowing:
    """The perfect oracle as a watcher: it knows what she will do.

    Args:
        times_s, faces_m: her true face (F, 468, 3) m, from rest, at times (F,) s, which ascend; lines between.
        expressions: what she shows at each, (F,); None: "happiness" throughout, which the shipped discretion returns.
        ahead_s: what counts as the target is the face so much later.

    Raises `InputError`.
    """

    def __init__(self, times_s: Array, faces_m: Array, expressions: Sequence[str] | None = None, ahead_s: float = 0.5):
        self._times_s, self._faces_m = np.asarray(times_s, float), np.asarray(faces_m, float)
        count = len(self._times_s)
        self._expressions = ("happiness",) * count if expressions is None else tuple(expressions)
        if self._faces_m.shape != (count, VERTEX_COUNT, 3) or len(self._expressions) != count or count == 0:
            raise InputError(
                f"course of a face: got times {self._times_s.shape}, faces {self._faces_m.shape} and "
                f"{len(self._expressions)} expressions; allowed are (F,), (F, {VERTEX_COUNT}, 3) and F"
            )
        if not (np.isfinite(self._faces_m).all() and (np.diff(self._times_s) > 0).all()):
            raise InputError("course of a face: faces must be finite and times ascend")
        self._ahead_s = ahead_s

    def see(self, time_s: float, face_m: Array | None) -> None:
        pass

    def hear(self, time_s: float, emg_uv: Array) -> None:
        pass

    def expect(self, now_s: float) -> Foreseen:
        later_s = now_s + self._ahead_s
        place = min(int(np.searchsorted(self._times_s, later_s)), len(self._times_s) - 1)
        return Foreseen(
            time_s=now_s,
            shown_m=between(self._times_s, self._faces_m, now_s),
            target_m=between(self._times_s, self._faces_m, later_s),
            arrival_s=self._ahead_s,
            probability=1.0,
            expression=self._expressions[place],
            sources=("camera",),
            times_s=self._times_s,
            faces_m=self._faces_m,
        )


__all__ = ["Coexpressor", "Foreseen", "Knowing"]
