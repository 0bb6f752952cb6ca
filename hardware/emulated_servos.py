"""What an emulated bus moves: servos with a physics of their own, which the client at the other end cannot see into."""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .bus import ServoMap

_LONGEST_CATCH_UP_S = 1.0
_REMEMBERED = 5000


@dataclass(frozen=True, eq=False)
class Present:
    """Where the servos are: arrays (26,), ordered as `SERVO_NAMES`."""

    position_tick: np.ndarray
    current_a: np.ndarray
    temperature_c: np.ndarray


class Behind(Protocol):
    """A physics behind an emulated bus; another robot's, with parameters that the twin does not know."""

    period_s: float
    """Time step."""

    def present(self) -> Present:
        """Where everything is now."""
        ...

    def step(self, goal_tick: np.ndarray, torque: np.ndarray, dt_s: float) -> Present:
        """Move on by `dt_s` = `period_s` to goals, (26,) ticks. Where `torque`, (26,) bool, is off, a servo is limp."""
        ...


class LaggedServos:
    """Servos that follow late, lag, and run no faster than they can; a limp one stays where it is.

    Args:
        start_tick: where they stand at first, (26,).
        slew_ticks_s: largest speed; one turn a second by default, a small bus servo under load does about that.
        lag_s: time constant of the position loop.
        delay_s: from a goal's arrival to the first movement.
    """

    period_s = 0.004

    def __init__(
        self, start_tick: np.ndarray, slew_ticks_s: float = 4096.0, lag_s: float = 0.03, delay_s: float = 0.008
    ):
        self._position = np.asarray(start_tick, dtype=float).copy()
        self._temperature = np.full(len(self._position), 32.0)
        self._speed = np.zeros(len(self._position))
        self._slew, self._lag = slew_ticks_s, lag_s
        late = round(delay_s / self.period_s)
        self._goals: deque[np.ndarray] = deque([self._position] * late, maxlen=late + 1)

    @classmethod
    def at_rest(cls, servo_map: ServoMap) -> "LaggedServos":
        """The servos of a map, standing at the rest pose."""
        return cls(servo_map.rest_ticks)

    def present(self) -> Present:
        current = 0.02 + 0.25 * np.abs(self._speed) / self._slew
        return Present(self._position.copy(), current, self._temperature.copy())

    def step(self, goal_tick: np.ndarray, torque: np.ndarray, dt_s: float) -> Present:
        self._goals.append(np.array(goal_tick, dtype=float))
        wanted = (self._goals[0] - self._position) * -np.expm1(-dt_s / self._lag) / dt_s
        self._speed = np.where(torque, np.clip(wanted, -self._slew, self._slew), 0.0)
        self._position = self._position + self._speed * dt_s
        heating = 30.0 * (np.abs(self._speed) / self._slew) ** 2
        self._temperature = self._temperature + (32.0 + heating - self._temperature) * dt_s / 60.0
        return self.present()


class Physics:
    """Keeps a `Behind` in step with the clock: whole periods, and no more than a second of them at once."""

    def __init__(self, behind: Behind, now_s: float):
        self._behind, self._until_s = behind, now_s
        self.now: Present = behind.present()
        self._moved: deque[tuple[float, np.ndarray]] = deque(maxlen=_REMEMBERED)

    def advance(self, goal_tick: np.ndarray, torque: np.ndarray, now_s: float) -> Present:
        """Let time run until `now_s` with goals and torque as they have been since the last call."""
        period = self._behind.period_s
        self._until_s = max(self._until_s, now_s - _LONGEST_CATCH_UP_S)
        while self._until_s + period <= now_s:
            self.now = self._behind.step(goal_tick, torque, period)
            self._until_s += period
            self._moved.append((self._until_s, self.now.position_tick))
        return self.now

    def moved(self) -> dict[str, np.ndarray]:
        """Where the servos were since the last call: `positions`, (n, 26) ticks, at `position_times_s`, (n,)."""
        times = np.array([t for t, _ in self._moved])
        positions = np.array([p for _, p in self._moved]).reshape(-1, len(self.now.position_tick))
        self._moved.clear()
        return {"position_times_s": times, "positions": positions}


__all__ = ["Behind", "LaggedServos", "Physics", "Present"]
