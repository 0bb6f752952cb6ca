"""The twin beside a robot: a simulated face that is sent what the robot is sent, at the same times."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from ..sim.alignment import align
from ..sim.errors import InputError
from ..sim.robot.face import FaceState, RobotFaces
from ..sim.robot.servo import LIMITS_RAD, REST_COMMAND, to_command

Array = NDArray[np.floating]

REMEMBERS_S = 2.0
"""`landmarks_at` looks back so far; pictures come late."""
_LONGEST_CATCH_UP_S = 2.0
_SETTLES_S = 1.2
_ONE = np.array([0])


class Shadow:
    """A simulated robot that follows commands at the physics' own time step, 8 ms by default.

    Args:
        start: the command at which the robot stands, (26,).
        time_s: monotonic time now.
        robots: a batch of one, with the parameters of the robot as far as they are known; None takes the default.
    """

    def __init__(self, start: Array = REST_COMMAND, time_s: float = 0.0, robots: RobotFaces | None = None):
        self._robots = RobotFaces(1, threads=1) if robots is None else robots
        self._step_s = float(self._robots.model.opt.timestep)
        self._command, self._until_s = np.array(start, float), time_s
        self._past: deque[tuple[float, Array, Array, Array]] = deque()
        if np.abs(self._command - REST_COMMAND).max() > 0:
            self._hold(round(_SETTLES_S / self._step_s))
        self.state: FaceState = self._robots.state()[0]
        """As of the last `advance` or `send`."""

    def send(self, command: Array, time_s: float) -> None:
        """From `time_s` on the robot has been told `command`, (26,), as it was really sent."""
        self.advance(time_s)
        self._command = np.clip(command, 0.0, 1.0)  # a bus rounds beyond the end by a fraction of a tick

    def advance(self, time_s: float) -> None:
        """Let the robot move on until `time_s`."""
        self._until_s = max(self._until_s, time_s - _LONGEST_CATCH_UP_S)
        if (steps := int((time_s - self._until_s) / self._step_s + 1e-6)) < 1:
            return
        self._hold(steps)
        self._until_s += steps * self._step_s
        self.state = self._robots.state()[0]
        self._past.append((self._until_s, self.state.vertices_m, self.speed_per_s, self.position - REST_COMMAND))
        while self._past[0][0] < self._until_s - REMEMBERS_S:
            self._past.popleft()

    @property
    def position(self) -> Array:
        """Where the servos are, (26,) in command units."""
        return to_command(self.state.servo_rad)

    @property
    def speed_per_s(self) -> Array:
        """How fast the servos turn, (26,) in command units a second."""
        return self._robots.servo_rad_s(_ONE)[0] / np.ptp(LIMITS_RAD, axis=1)

    @property
    def torque_nm(self) -> Array:
        """What each servo exerts, (26,)."""
        return self._robots.servo_nm(_ONE)[0]

    def landmarks_at(self, time_s: float) -> tuple[Array, Array, Array]:
        """What was at a time within `REMEMBERS_S`: aligned landmarks, (468, 3) m, and of the servos the speeds, (26,)
        1/s, and distances from rest, (26,) in command units.

        Raises `InputError` for a time that is forgotten, or yet to come.
        """
        if not self._past or not self._past[0][0] - 1e-6 <= time_s <= self._until_s + 2 * self._step_s:
            known = f"{self._past[0][0]:.2f} … {self._until_s:.2f} s" if self._past else "nothing yet"
            raise InputError(f"shadow: got the time {time_s:.3f} s, known is {known}; show pictures sooner")
        times = np.array([time for time, *_ in self._past])
        after = min(int(np.searchsorted(times, time_s)), len(times) - 1)
        before = max(after - 1, 0)
        span = times[after] - times[before]
        share = float(np.clip((time_s - times[before]) / span, 0, 1)) if span > 0 else 1.0
        near = self._past[before][1:], self._past[after][1:]
        faces, speeds, distances = (np.stack(pair) for pair in zip(*near, strict=True))
        face, speed, distance = (a + share * (b - a) for a, b in (align(faces), speeds, distances))
        return face, speed, distance

    def _hold(self, steps: int) -> None:
        if self._robots.hold(_ONE, self._command[None], steps).any():
            self._robots.reset()  # the twin must not take the robot down with it; it is off for a second


__all__ = ["REMEMBERS_S", "Shadow"]
