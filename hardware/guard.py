"""The Guard: every servo command passes it, in front of the simulation and of a servo bus alike.

It lets a command through unchanged or rejects it with the name of the rule that was broken; it never clamps.
Whoever wants the nearest allowed command asks `SafeSet.project` or `SafeSet.toward` first.
"""

import numpy as np

from ..sim.errors import CommandRejected
from ..sim.robot.limits import SafeSet, rate_limits
from ..sim.robot.servo import REST_COMMAND, SERVO_NAMES

RULES = ("shape", "finite", "time", "range", "skin", "rate")
"""Names of the rules, in the order in which they are checked; a skin rejection also names the hazard."""


class Guard:
    """Checks commands one after the other; remembers the last one that passed, from which the next must start.

    The path from one command to the next is straight in command space. The safe set is convex, so with both
    ends safe the whole path is, and the rate rule keeps the servos on it.

    Args:
        safe_set: hazards of the mounted skin.
        start: the command at which the servos stand now, (26,).
        longest_gap_s: credit for rate is not gathered over longer pauses than this.
    """

    def __init__(self, safe_set: SafeSet | None = None, start: np.ndarray = REST_COMMAND, longest_gap_s: float = 0.04):
        self.safe_set = safe_set or SafeSet.default()
        self._rate_per_s = rate_limits(1.0)
        self._longest_gap_s = longest_gap_s
        self._last = self._checked_pose(start).copy()
        self._time_s: float | None = None

    @property
    def last(self) -> np.ndarray:
        """The last command that passed, (26,)."""
        return self._last.copy()

    def check(self, command: np.ndarray, time_s: float) -> np.ndarray:
        """Return a copy of `command`, (26,) in 0…1, if it may be sent at `time_s`.

        Raises `CommandRejected` otherwise; a rejected command leaves no trace.
        """
        command = self._checked_pose(command)
        if not np.isfinite(time_s) or (self._time_s is not None and time_s <= self._time_s):
            raise CommandRejected("time", f"got {time_s} s after {self._time_s} s; time must advance")
        gap_s = self._longest_gap_s if self._time_s is None else min(time_s - self._time_s, self._longest_gap_s)
        allowed = self._rate_per_s * gap_s + 1e-9
        change = np.abs(command - self._last)
        if (change > allowed).any():
            worst = int(np.argmax(change / allowed))
            raise CommandRejected(
                "rate",
                f"{SERVO_NAMES[worst]} would move by {change[worst]:.3f} in {gap_s:.3f} s, its servo can do "
                f"{allowed[worst]:.3f}; move in smaller steps (SafeSet.toward)",
            )
        self._last, self._time_s = command.copy(), float(time_s)
        return command

    def _checked_pose(self, command: np.ndarray) -> np.ndarray:
        try:
            command = np.array(command, dtype=float)
        except (TypeError, ValueError):
            raise CommandRejected("shape", f"got {type(command).__name__}, allowed 26 numbers") from None
        if command.shape != (len(SERVO_NAMES),):
            raise CommandRejected("shape", f"got {command.shape}, allowed ({len(SERVO_NAMES)},)")
        if not np.isfinite(command).all():
            bad = [SERVO_NAMES[i] for i in np.flatnonzero(~np.isfinite(command))]
            raise CommandRejected("finite", f"got NaN or infinity for {', '.join(bad)}; send finite numbers")
        outside = (command < 0) | (command > 1)
        if outside.any():
            worst = int(np.argmax(np.abs(command - 0.5)))
            raise CommandRejected("range", f"got {command[worst]:.3f} for {SERVO_NAMES[worst]}, allowed 0 to 1")
        hazards = self.safe_set.violations(command)
        if hazards:
            name, excess = hazards[0]
            raise CommandRejected(
                "skin", f"hazard '{name}' exceeded by {excess:.3f}; SafeSet.project(command) is the nearest safe one"
            )
        return command
