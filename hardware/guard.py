"""The Guard: every servo command passes it, in front of the simulation and of a servo bus alike.

It lets a command through unchanged or rejects it with the name of the rule that was broken; it never clamps.
Whoever wants the nearest allowed command asks `Guard.toward` or `SafeSet.project` first. It also says what is to be
done when commands stop coming, and stops for good, until it is armed again, when the servos' feedback is not as it
should be.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NoReturn

import numpy as np

from ..sim.errors import CommandRejected
from ..sim.robot.limits import SafeSet
from ..sim.robot.servo import REST_COMMAND, SERVO_NAMES, SERVOS
from .bus import Feedback
from .guard_limits import Limits
from .guard_watch import STOPS, FeedbackWatch

RULES = ("stopped", "shape", "finite", "range", "skin", "time", "rate", "acceleration")
"""Names of the rules on commands, in the order in which they are checked; a skin rejection also names the hazard."""
PERIOD_S = 0.04
"""Credit for rate is not gathered over longer pauses, and speeding up is averaged over this long.

It is the period of the control loop. Over shorter times a limit would judge the clock's jitter, not the motion.
"""
_ROUNDING = 1e-9


class State(StrEnum):
    """How fresh the last command is, and so what the robot is to do."""

    FRESH = "fresh"
    HOLD = "hold"
    GLIDE = "glide"
    RELAX = "relax"


@dataclass(frozen=True)
class Duty:
    """What is to be done now. command: to be sent, (26,), already checked; None: nothing is to be sent."""

    state: State
    command: np.ndarray | None = None


@dataclass(frozen=True)
class Event:
    """Something worth logging. what: rejected, warm, hold, glide, relax, fresh, stop or rearm. rule: that decided."""

    time_s: float
    what: str
    rule: str
    message: str


class Guard:
    """Checks commands one after the other; remembers the last one that passed, from which the next must start.

    The path from one command to the next is straight in command space. The safe set is convex, so with both
    ends safe the whole path is, and the rate rule keeps the servos on it.

    Acceleration: a servo's commands may speed up, in either direction, by two times its full speed at once, as when
    a loop of 40 ms turns it round, and then only as fast as `Limits.acceleration_per_s2` gives that back. Slowing
    down is always allowed: a servo whose commands stop coming stops as well.

    Args:
        safe_set: hazards of the mounted skin.
        start: the command at which the servos stand now, (26,).
        limits: what else the robot may do.
        on_event: is told what is worth logging.
    """

    def __init__(
        self,
        safe_set: SafeSet | None = None,
        start: np.ndarray = REST_COMMAND,
        *,
        limits: Limits | None = None,
        on_event: Callable[[Event], None] | None = None,
    ):
        self.safe_set = safe_set or SafeSet.default()
        self.limits = limits or Limits()
        self._on_event = on_event
        self._low, self._high = self.limits.low, self.limits.high
        self._rate, self._accelerate = self.limits.rate_per_s, self.limits.acceleration_per_s2
        self._most_credit = 2 * self._rate
        self._rows, self._bounds = self.safe_set.rows, self.safe_set.bounds + _ROUNDING
        self._plan = _with_range(self.safe_set, self.limits)
        self._checked_pose(REST_COMMAND)  # there must be a way home
        self._time_s: float | None = None
        self._stand(self._checked_pose(start))

    @property
    def last(self) -> np.ndarray:
        """The last command that passed, (26,)."""
        return self._last.copy()

    @property
    def last_s(self) -> float | None:
        """The time at which the last command passed, s; None before the first."""
        return self._time_s

    @property
    def stopped(self) -> str | None:
        """Why the robot is stopped, starting with the rule; None while it may move."""
        return self._stopped

    def check(self, command: np.ndarray, time_s: float) -> np.ndarray:
        """Return a copy of `command`, (26,) in 0…1, if it may be sent at `time_s`.

        Raises `CommandRejected` otherwise; a rejected command leaves no trace.
        """
        try:
            sent = self._check(command, time_s)
        except CommandRejected as error:
            self._tell(time_s, "rejected", error.rule, str(error))
            raise
        self._fresh_s = self._time_s
        return sent

    def nearest(self, command: np.ndarray) -> np.ndarray:
        """The pose, (26,), nearest to finite numbers (26,) in which the robot may stand, however far away."""
        return np.clip(self._plan.project(np.clip(command, self._low, self._high)), self._low, self._high)

    def toward(self, goal: np.ndarray, time_s: float) -> np.ndarray:
        """The command, (26,), that goes toward a goal, (26,), as far as the rules let it at `time_s`; not yet checked.

        Raises `CommandRejected` while stopped or when time does not advance, `InputError` for a goal that is no pose.
        """
        gap_s = self._gap(self._advanced(time_s))
        credit = self._credited(gap_s)
        room_up = np.minimum(self._rate, np.maximum(self._speed, 0) + credit) * gap_s
        room_down = np.minimum(self._rate, np.maximum(-self._speed, 0) + credit) * gap_s
        wish = np.clip(np.clip(goal, self._low, self._high) - self._last, -room_down, room_up)
        step = self._plan.project(self._last + wish) - self._last
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            share = np.where(step > 0, room_up, room_down) / np.abs(step)
        step *= min(1.0, float(np.nanmin(share, initial=1.0)))
        return np.clip(self._last + step, self._low, self._high)

    def tick(self, now: float) -> Duty:
        """What is to be done at `now`, s; to be asked at least every `Limits.hold_after_s`.

        hold: send the last command again. glide: send a step to rest. relax: torque off, until `rearm`.
        """
        if self._stopped is None and (silent := self._watch.silence(now)):
            self.stop(*silent, time_s=now)
        if self._stopped is not None:
            return Duty(State.RELAX)
        if self._fresh_s is None:
            self._fresh_s = now
        age_s = now - self._fresh_s
        if not age_s >= 0:
            self.stop("time", f"the clock stands at {now} s after {self._fresh_s} s; it must advance", time_s=now)
            return Duty(State.RELAX)
        limits = self.limits
        if age_s >= limits.relax_after_s:
            self.stop("stale", f"no command passed for {age_s:.2f} s", time_s=now)
            return Duty(State.RELAX)
        state = (
            State.FRESH if age_s < limits.hold_after_s
            else State.HOLD if age_s < limits.glide_after_s
            else State.GLIDE
        )  # fmt: skip
        if state != self._state:
            self._state = state
            self._tell(now, str(state), "stale", f"the last command is {age_s:.2f} s old")
        if state is State.FRESH or (self._time_s is not None and now <= self._time_s):
            return Duty(state)
        command = self._last
        if state is State.GLIDE:  # straight home, all servos together; the safe set is convex
            way = REST_COMMAND - command
            command = command + way * min(1.0, limits.glide_per_s * self._gap(now) / max(np.abs(way).max(), 1e-9))
        return Duty(state, self._check(command, now))

    def observe(self, feedback: Feedback) -> None:
        """Look at what the servos say; what breaks a rule stops the robot."""
        if self._stopped is not None:
            return
        warm = self._watch.warm
        if breach := self._watch.breach(feedback):
            self.stop(*breach, time_s=feedback.time_s)
        elif new := set(self._watch.warm) - set(warm):
            self._tell(feedback.time_s, "warm", "temperature", f"above {self.limits.warm_c:g} °C: {', '.join(new)}")

    def stop(self, rule: str, message: str = "", *, time_s: float | None = None) -> None:
        """Let nothing pass from now on, until `rearm`. The first reason is kept."""
        if self._stopped is None:
            self._stopped = f"{rule}: {message}" if message else rule
            self._state = State.RELAX
            self._tell(self._time_s if time_s is None else time_s, "stop", rule, message)

    def rearm(self, start: np.ndarray | None = None, *, time_s: float | None = None) -> None:
        """Let commands pass again, the servos standing at the command `start`, (26,); by default at the last one.

        Raises `CommandRejected` where nobody may stand; then the robot stays stopped.
        """
        self._stand(self._last if start is None else self._checked_pose(start))
        self._tell(self._time_s if time_s is None else time_s, "rearm", "stopped", "armed")

    def _check(self, command: np.ndarray, time_s: float) -> np.ndarray:
        if self._stopped is not None:
            raise CommandRejected("stopped", f"{self._stopped}; find out why, then call rearm()")
        command = self._checked_pose(command)
        time_s = self._advanced(time_s)
        gap_s = self._gap(time_s)
        step = command - self._last
        size = np.abs(step)
        allowed = self._rate * gap_s
        if (size > allowed + _ROUNDING).any():
            self._too_fast("rate", size, allowed, gap_s)
        speed = np.minimum(size, allowed) / gap_s
        going_on = np.maximum(np.copysign(self._speed, self._speed * step), 0.0)  # as fast in the same direction
        credit = self._credited(gap_s)
        left = credit - np.maximum(speed - going_on, 0.0)
        if (left * gap_s < -_ROUNDING).any():
            self._too_fast("acceleration", size, (going_on + credit) * gap_s, gap_s)
        self._credit = np.maximum(left, 0.0)
        self._speed = np.copysign(speed, step)
        self._last, self._time_s = command.copy(), time_s
        self._watch.sent(self._last, time_s)
        return command

    def _checked_pose(self, command: np.ndarray) -> np.ndarray:
        try:
            given = np.asarray(command)
        except (TypeError, ValueError):
            given = np.empty(0, object)  # rows of different lengths
        if given.shape != (len(SERVOS),) or given.dtype.kind not in "fiu":
            raise CommandRejected(
                "shape",
                f"got {type(command).__name__} of shape {given.shape} and type {given.dtype}, allowed are "
                f"{len(SERVOS)} numbers",
            )
        pose = np.add(given, 0.0, dtype=np.float64)  # a copy, without negative zeros
        if not ((pose >= self._low) & (pose <= self._high)).all():
            self._not_in_range(pose)
        if (self._rows @ pose > self._bounds).any():
            name, excess = self.safe_set.violations(pose)[0]
            raise CommandRejected(
                "skin", f"hazard '{name}' exceeded by {excess:.3f}; SafeSet.project(command) is the nearest safe one"
            )
        return pose

    def _not_in_range(self, pose: np.ndarray) -> NoReturn:
        if not np.isfinite(pose).all():
            bad = [SERVO_NAMES[i] for i in np.flatnonzero(~np.isfinite(pose))]
            raise CommandRejected("finite", f"got NaN or infinity for {', '.join(bad)}; send finite numbers")
        worst = int(np.argmax(np.maximum(self._low - pose, pose - self._high)))
        raise CommandRejected(
            "range",
            f"got {pose[worst]:{'.3f' if abs(pose[worst]) < 10 else '.3g'}} for {SERVO_NAMES[worst]}, allowed "
            f"{self._low[worst]:.3g} to {self._high[worst]:.3g}",
        )

    def _too_fast(self, rule: str, size: np.ndarray, allowed: np.ndarray, gap_s: float) -> NoReturn:
        worst = int(np.argmax(size - allowed))
        raise CommandRejected(
            rule,
            f"{SERVO_NAMES[worst]} would move by {size[worst]:.3f} in {gap_s:.3f} s, allowed {allowed[worst]:.3f}; "
            "move in smaller steps (Guard.toward)",
        )

    def _advanced(self, time_s: float) -> float:
        try:
            now = float(time_s)
        except (TypeError, ValueError, OverflowError):
            now = np.nan
        if not np.isfinite(now) or (self._time_s is not None and now <= self._time_s):
            raise CommandRejected("time", f"got {time_s} s after {self._time_s} s; time must advance")
        return now

    def _gap(self, time_s: float) -> float:
        return PERIOD_S if self._time_s is None else min(time_s - self._time_s, PERIOD_S)

    def _credited(self, gap_s: float) -> np.ndarray:
        """By how much each servo may speed up after a gap, (26,) 1/s."""
        return np.minimum(self._credit + self._accelerate * gap_s, self._most_credit)

    def _stand(self, pose: np.ndarray) -> None:
        self._last = pose.copy()
        self._speed, self._credit = np.zeros(len(SERVOS)), self._most_credit
        self._watch = FeedbackWatch(self.limits, self._last)
        self._fresh_s: float | None = None
        self._state, self._stopped = State.FRESH, None

    def _tell(self, time_s: float | None, what: str, rule: str, message: str) -> None:
        if self._on_event is not None:
            self._on_event(Event(np.nan if time_s is None else time_s, what, rule, message))


def _with_range(safe_set: SafeSet, limits: Limits) -> SafeSet:
    """The safe set cut with a range that is narrower than 0…1, for planning; its faces have no names."""
    eye = np.eye(len(SERVOS))
    upper, lower = limits.high < 1, limits.low > 0
    return replace(
        safe_set,
        rows=np.concatenate([safe_set.rows, eye[upper], -eye[lower]]),
        bounds=np.concatenate([safe_set.bounds, limits.high[upper], -limits.low[lower]]),
    )


__all__ = ["PERIOD_S", "RULES", "STOPS", "Duty", "Event", "Guard", "State"]
