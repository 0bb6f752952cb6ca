"""Whether what the servos say about themselves still fits what they were told."""

from collections import deque

import numpy as np

from ..sim.robot.servo import SERVO_NAMES, SERVOS
from .bus import Feedback
from .guard_limits import Limits

STOPS = ("alarm", "temperature", "current", "voltage", "tracking", "feedback")
"""Names of the rules on feedback; each of them stops the robot when broken."""


class FeedbackWatch:
    """Remembers the commands of the last moments, and since when each servo has been breaking a rule.

    What a bus cannot tell (None) or does not know yet (NaN) breaks nothing; that no feedback comes at all is a rule.
    """

    def __init__(self, limits: Limits, standing: np.ndarray):
        self._limits = limits
        self._sent: deque[tuple[float, np.ndarray]] = deque([(-np.inf, standing)])
        self._since: dict[str, np.ndarray] = {}
        self._time_s: float | None = None
        self.warm: tuple[str, ...] = ()
        """Servos warmer than `Limits.warm_c`, as of the last feedback."""

    def sent(self, command: np.ndarray, time_s: float) -> None:
        """A command, (26,), is in force from now on."""
        self._sent.append((time_s, command))
        if len(self._sent) > 1 and self._sent[1][0] < time_s - self._limits.lag_s:
            self._sent.popleft()  # one is kept that was in force when the window began

    def breach(self, feedback: Feedback) -> tuple[str, str] | None:
        """The rule that is broken, and how; None while all is well. Feedback that is not newer says nothing."""
        now = feedback.time_s
        if not np.isfinite(now) or (self._time_s is not None and now <= self._time_s):
            return None
        self._time_s = now
        limits = self._limits
        for rule, values, limit, wait_s, unit in (
            ("alarm", feedback.error, 0.0, 0.0, "as error bits"),
            ("temperature", feedback.temperature_c, limits.hot_c, 0.0, "°C"),
            ("current", feedback.current_a, limits.current_a, limits.current_for_s, "A"),
            ("voltage", _negated(feedback.voltage_v), -limits.voltage_v, limits.voltage_for_s, "V"),
            ("tracking", self._distance(feedback.position), limits.tracking, limits.tracking_for_s, "of its travel"),
        ):
            if values is None:
                continue
            values = np.abs(values) if rule in ("alarm", "current") else np.asarray(values, float)
            if values.shape != (len(SERVOS),):
                return "feedback", f"got {rule} of shape {values.shape}, allowed ({len(SERVOS)},)"
            long = self._long(rule, values > limit, now, wait_s)
            if long.any():
                worst = int(np.argmax(np.where(long, values, -np.inf)))
                return rule, (
                    f"{SERVO_NAMES[worst]} is at {abs(values[worst]):.3g} {unit}, allowed {abs(limit):.3g}"
                    + (f"; so for {wait_s:g} s" if wait_s else "")
                )
        if feedback.temperature_c is not None:
            self.warm = tuple(SERVO_NAMES[i] for i in np.flatnonzero(feedback.temperature_c > limits.warm_c))
        return None

    def silence(self, now: float) -> tuple[str, str] | None:
        """The rule that is broken where feedback came once and comes no more."""
        if self._time_s is None or abs(now - self._time_s) <= self._limits.feedback_for_s:
            return None
        return "feedback", f"the last is {now - self._time_s:.2f} s old, allowed {self._limits.feedback_for_s:g} s"

    def _distance(self, position: np.ndarray | None) -> np.ndarray | None:
        """How far positions, (26,), are from everything that was asked of the servos lately, (26,)."""
        if position is None or np.shape(position) != (len(SERVOS),):
            return position
        lately = np.array([command for _, command in self._sent])
        return np.maximum(position - lately.max(0), lately.min(0) - position)

    def _long(self, rule: str, broken: np.ndarray, now: float, wait_s: float) -> np.ndarray:
        since = self._since.setdefault(rule, np.full(len(SERVOS), np.inf))
        since[:] = np.where(broken, np.minimum(since, now), np.inf)
        return broken & (now - since >= wait_s)


def _negated(values: np.ndarray | None) -> np.ndarray | None:
    return None if values is None else -np.asarray(values, float)


__all__ = ["STOPS", "FeedbackWatch"]
