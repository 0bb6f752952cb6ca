"""Another robot behind an emulated bus: its physics is nobody's business at the other end, but light falls on it.

    with HiddenRobot(Individual.sample(rng)) as robot, TrackerEye() as eye:
        bus = DynamixelBus(robot.port)           # ticks in and out
        look = eye.see(robot.light.surface())    # what a camera makes of its surface

The light goes through a file that both processes map, as it goes through the air between a robot and a camera.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from ..sim import mesh
from ..sim.errors import BusError
from ..sim.robot.individual import Individual, IndividualFaces
from ..sim.robot.servo import SERVOS
from ..sim.robot.sight import Surface
from .bus import ServoMap
from .dynamixel_emulator import DynamixelEmulator
from .emulated_servos import Present
from .emulator import Emulator

_IDLE_A, _STALL_A = 0.05, 1.4
_ROOM_C, _HEATING_C, _HEATING_S = 32.0, 30.0, 60.0
_LIGHT_EVERY = 5
_SIZES = (3 * mesh.VERTEX_COUNT, 16, 4)


class HiddenFace:
    """The physics of an individual, as a `Behind`: MuJoCo in steps of 4 ms. A limp servo's gear keeps it where it is.

    Args:
        individual: the robot.
        servo_map: how its servos count ticks: the map as its builder believes it to be.
        light: file in which its surface is shown 50 times a second; None shows nothing.
    """

    period_s = 0.004

    def __init__(self, individual: Individual, servo_map: ServoMap, light: Path | None = None):
        self._individual, self._map = individual, servo_map
        self._faces = IndividualFaces(individual, timestep_s=self.period_s)
        self._everyone = np.arange(1)
        self._temperature = np.full(len(SERVOS), _ROOM_C)
        self._held_tick = np.full(len(SERVOS), np.nan)
        self._light = None if light is None else _mapped(light)
        self._steps = 0
        self._now = self._look_inside()
        self._show()

    @classmethod
    def behind(cls, individual: Individual, light: Path | None, servo_map: ServoMap) -> "HiddenFace":
        """What an emulator wants: `partial(HiddenFace.behind, individual, light)`."""
        return cls(individual, servo_map, light)

    def present(self) -> Present:
        return self._now

    def step(self, goal_tick: np.ndarray, torque: np.ndarray, dt_s: float) -> Present:
        if not torque.any():
            return self._now  # nothing moves; there is nothing to catch up with
        now = self._now.position_tick
        self._held_tick = np.where(torque | np.isnan(self._held_tick), now, self._held_tick)
        goal = np.where(torque, goal_tick, self._held_tick)
        self._faces.hold(self._everyone, self._map.to_command(goal)[None], 1)
        self._steps += 1
        if self._steps % _LIGHT_EVERY == 0:
            self._show()
        self._now = self._look_inside(dt_s)
        return self._now

    def _look_inside(self, dt_s: float = 0.0) -> Present:
        shaft = self._individual.shaft(self._faces.servo_rad(self._everyone)[0])
        tick = self._map.exact_ticks(shaft)
        share = np.abs(self._faces.torque_share()[0])
        warmer = _ROOM_C + _HEATING_C * share * share - self._temperature
        self._temperature = self._temperature + warmer * dt_s / _HEATING_S
        return Present(tick, _IDLE_A + _STALL_A * share, self._temperature)

    def _show(self) -> None:
        if self._light is None:
            return
        state = self._faces.state()[0]
        self._light[0] += 1  # odd while it is being written
        self._light[1:] = np.concatenate([x.ravel() for x in (state.vertices_m, state.head_pose, state.gaze_rad)])
        self._light[0] += 1


class Light:
    """The near end of the light: what of a hidden robot can be seen."""

    def __init__(self, path: Path):
        self._light = _mapped(path)

    def surface(self) -> Surface:
        """Its surface now. Raises `BusError` where no light has come."""
        until_s = time.monotonic() + 1.0
        while time.monotonic() < until_s:
            before = self._light[0]
            values = np.array(self._light[1:])
            if before > 0 and before % 2 == 0 and before == self._light[0]:
                vertices, pose, gaze = np.split(values, np.cumsum(_SIZES)[:-1])
                return Surface(vertices.reshape(-1, 3), pose.reshape(4, 4), gaze.reshape(2, 2))
        raise BusError("no light comes from the hidden robot; its emulator has ended")


class HiddenRobot:
    """An emulated robot with a physics of its own; a context manager that owns its process.

    Args:
        individual: what it is.
        servo_map: what its builder believes of its servos.
        baud: speed of its line.
    """

    def __init__(self, individual: Individual, servo_map: ServoMap | None = None, baud: int | None = 1_000_000):
        self._folder = Path(tempfile.mkdtemp(prefix="duchenne-light-"))
        path = self._folder / "light"
        _mapped(path, create=True)
        try:
            behind: Callable[[ServoMap], HiddenFace] = partial(HiddenFace.behind, individual, path)
            self.emulator: Emulator = DynamixelEmulator(servo_map, behind=behind, baud=baud)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self.light = Light(path)

    @property
    def port(self) -> str:
        """The port to open."""
        return self.emulator.port

    def close(self) -> None:
        """End its process; may be called twice."""
        self.emulator.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _mapped(path: Path, create: bool = False) -> np.memmap:
    return np.memmap(path, np.float64, "w+" if create else "r+", shape=(1 + sum(_SIZES),))


__all__ = ["HiddenFace", "HiddenRobot", "Light"]
