"""One interface for simulated and real faces: the same code drives a simulation, an emulator and a robot.

with open_face("dynamixel:/dev/ttyUSB0") as face:        # or "maestro:/dev/ttyACM0", "emulated:dynamixel", "sim"
    while face.stopped is None:
        sent = face.toward(goal)
        feedback = face.read()
        face.wait()
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

import numpy as np

from ..hardware.bus import Bus, Capabilities, Feedback, Found, ServoMap
from ..hardware.emulated_servos import Behind, LaggedServos
from ..hardware.emulator import Emulator
from ..hardware.guard import Event, Guard
from ..hardware.guard_limits import Limits
from ..hardware.guarded import GuardedBus
from ..sim.alignment import align
from ..sim.errors import BusError, InputError, VocabularyError
from ..sim.robot.face import CONTROL_PERIOD_S, FaceState, RobotFace
from ..sim.robot.limits import SafeSet
from ..sim.robot.servo import REST_COMMAND, to_command
from .calibration import Calibration

PLACES = ("sim", "emulated:dynamixel", "emulated:maestro", "dynamixel:PORT[@BAUD]", "maestro:PORT[@BAUD]")
"""What `open_face` understands."""
GLIDE_PER_S = 0.5
"""`rest` and `glide` go by at most this share of a servo's travel per second."""
_SETTLE_S = 0.4


class FacePort(ABC):
    """A face that takes commands, (26,) in 0…1, through its Guard; use it in a `with` block.

    One command belongs into each control period: `send` or `toward`, then `wait`. Where none comes, the Guard holds
    the face, lets it glide to rest, and relaxes it.
    """

    capabilities: Capabilities
    period_s: float = CONTROL_PERIOD_S
    found: tuple[Found, ...] = ()
    """The servos as the handshake found them."""

    @abstractmethod
    def send(self, command: np.ndarray) -> np.ndarray:
        """Send a command, (26,); return what was really sent, (26,), after rounding to the servos' ticks.

        Raises `CommandRejected` if the Guard does not let it pass, then nothing was sent; `BusError` if the bus failed.
        """

    @abstractmethod
    def toward(self, goal: np.ndarray) -> np.ndarray:
        """Send the next command on the way to a goal, (26,), as far as the rules let it; as `send` otherwise."""

    @abstractmethod
    def read(self) -> Feedback:
        """What the servos say now. Raises `BusError`."""

    @abstractmethod
    def wait(self) -> None:
        """Until the next control period."""

    @abstractmethod
    def until(self, time_s: float) -> None:
        """Until this face's clock shows `time_s`; returns at once where it shows more."""

    @abstractmethod
    def stop(self, rule: str = "stop", message: str = "asked for") -> None:
        """Relax the face now and let nothing pass until `rearm`."""

    @abstractmethod
    def rearm(self) -> None:
        """Let commands pass again, from where the servos stand. Raises `CommandRejected` or `BusError`."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the face; may be called twice, never raises."""

    @property
    @abstractmethod
    def guard(self) -> Guard:
        """Checks the commands; its `limits` and `safe_set` are the robot's. Never call its `check`: nothing is sent."""

    @property
    @abstractmethod
    def is_alive(self) -> bool:
        """Whether a good packet came lately."""

    @property
    @abstractmethod
    def time_s(self) -> float:
        """This face's monotonic clock; that of a simulated one stands still between two waits."""

    @property
    def stopped(self) -> str | None:
        """Why the face is stopped; None while it may move."""
        return self.guard.stopped

    @property
    def last(self) -> np.ndarray:
        """The last command that passed, (26,)."""
        return self.guard.last

    def rest(self) -> None:
        """Glide to rest; returns when the face is there. Raises as `send`."""
        self.glide(REST_COMMAND)

    def glide(self, goal: np.ndarray, send: Callable[[np.ndarray], object] | None = None) -> None:
        """Go slowly to a safe command, (26,); returns when the face is there. Raises as `send`.

        send: is given each next goal; None is `toward`.
        """
        send = self.toward if send is None else send
        while (size := np.abs(way := goal - self.last).max()) > 1e-9:
            self.wait()
            send(self.last + way * min(1.0, GLIDE_PER_S * self.period_s / size))
        for _ in range(round(_SETTLE_S / self.period_s)):
            self.wait()
            send(goal)
        self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()


class SimFace(FacePort):
    """A simulated robot behind the Guard that stands before a real one's bus. Its servos stay where a stop finds them.

    Args:
        robot: None makes the default one.
        safe_set, limits, on_event: as for `GuardedBus`.
        real_time: `wait` takes as long as it says, and the clock is the machine's; otherwise time starts at 0.
    """

    capabilities = Capabilities(feedback=True, torque_off=False)

    def __init__(
        self,
        robot: RobotFace | None = None,
        *,
        safe_set: SafeSet | None = None,
        limits: Limits | None = None,
        on_event: Callable[[Event], None] | None = None,
        real_time: bool = False,
    ):
        self._robot = RobotFace() if robot is None else robot
        self._guard = Guard(safe_set, self._robot.command, limits=limits, on_event=on_event)
        self.state: FaceState = self._robot.state()
        """The robot as it is now."""
        self._real_time, self._closed = real_time, False
        self._now_s = self._moved_s = self._due_s = time.monotonic() if real_time else 0.0
        self._sent_s = -np.inf

    @property
    def guard(self) -> Guard:
        return self._guard

    @property
    def is_alive(self) -> bool:
        return not self._closed

    @property
    def time_s(self) -> float:
        return time.monotonic() if self._real_time else self._now_s

    @property
    def vertices_m(self) -> np.ndarray:
        """The skin in the head frame, (468, 3)."""
        return self.state.vertices_m

    @property
    def landmarks_m(self) -> np.ndarray:
        """The skin as a camera's aligned landmarks, (468, 3)."""
        return align(self.state.vertices_m)

    def send(self, command: np.ndarray) -> np.ndarray:
        now = self.time_s
        self._move(now)
        sent = self._guard.check(command, now)
        self._sent_s = now
        return sent

    def toward(self, goal: np.ndarray) -> np.ndarray:
        now = self.time_s
        self._move(now)
        sent = self._guard.check(self._guard.toward(goal, now), now)
        self._sent_s = now
        return sent

    def read(self) -> Feedback:
        self._open_or_raise()
        self._move(self.time_s)
        return self._observed()

    def wait(self) -> None:
        due_s = max(self._due_s + self.period_s, self.time_s)  # a period that was missed is not made up for
        self.until(due_s)
        self._due_s = due_s

    def until(self, time_s: float) -> None:
        if self._real_time:
            time.sleep(max(time_s - self.time_s, 0.0))
        else:
            self._now_s = max(self._now_s, time_s)
        self._due_s = self.time_s
        self._move(self._due_s)

    def stop(self, rule: str = "stop", message: str = "asked for") -> None:
        self._guard.stop(rule, message, time_s=self.time_s)

    def rearm(self) -> None:
        self._open_or_raise()
        self._guard.rearm(time_s=self.time_s)  # to where it went after the stop

    def _move(self, now_s: float) -> None:
        """Let the robot do all of its control periods that are over by `now_s`."""
        while self._moved_s + self.period_s <= now_s + 1e-6:
            if self._moved_s > self._sent_s:
                self._observed()
                self._guard.tick(self._moved_s)
            self.state = self._robot.step(self._guard.last)
            self._moved_s += self.period_s

    def _observed(self) -> Feedback:
        feedback = Feedback(time_s=self._moved_s, position=to_command(self.state.servo_rad))
        self._guard.observe(feedback)
        return feedback

    def _open_or_raise(self) -> None:
        if self._closed:
            raise BusError("this simulated face is closed; open a new one")

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.stop("closed", "")


class BusFace(FacePort):
    """A real or emulated face on its guarded bus, which closes with it.

    emulator: is ended with this face, if it is this face's own.
    """

    def __init__(self, guarded: GuardedBus, emulator: Emulator | None = None):
        self._guarded, self.emulator = guarded, emulator
        self.capabilities, self.found, self.servo_map = guarded.capabilities, guarded.found, guarded.servo_map
        self._due_s, self._closed = time.monotonic(), False

    @property
    def guard(self) -> Guard:
        return self._guarded.guard

    @property
    def is_alive(self) -> bool:
        return self._guarded.is_alive

    @property
    def time_s(self) -> float:
        return time.monotonic()

    def send(self, command: np.ndarray) -> np.ndarray:
        return self._guarded.send(command)

    def toward(self, goal: np.ndarray) -> np.ndarray:
        return self._guarded.toward(goal)

    def read(self) -> Feedback:
        if self._closed:
            raise BusError("this face is closed; open it anew")
        return self._guarded.read()

    def wait(self) -> None:
        now = time.monotonic()
        self._due_s = max(self._due_s + self.period_s, now)  # a period that was missed is not made up for
        time.sleep(self._due_s - now)

    def until(self, time_s: float) -> None:
        time.sleep(max(time_s - time.monotonic(), 0.0))
        self._due_s = time.monotonic()

    def stop(self, rule: str = "stop", message: str = "asked for") -> None:
        self._guarded.stop(rule, message)

    def rearm(self) -> None:
        self._guarded.rearm()

    def close(self) -> None:
        self._closed = True
        self._guarded.close()
        if self.emulator is not None:
            self.emulator.close()


def open_face(
    where: str,
    *,
    calibration: Calibration | None = None,
    safe_set: SafeSet | None = None,
    limits: Limits | None = None,
    on_event: Callable[[Event], None] | None = None,
    real_time: bool = False,
) -> FacePort:
    """Open a face and switch its torque on.

    Args:
        where: one of `PLACES`; an emulated one is a process of its own that ends with the face.
        calibration: of a robot on a bus; None takes the bus's default map.
        safe_set, limits, on_event: as for `GuardedBus`.
        real_time: see `SimFace`; a bus has no other time.

    Raises `VocabularyError` for another place, `BusError` for one where not all is as it should be.
    """
    kind, _, port = where.partition(":")
    if where == "sim":
        return SimFace(safe_set=safe_set, limits=limits, on_event=on_event, real_time=real_time)
    servo_map = None if calibration is None else calibration.servo_map
    if kind == "emulated":
        emulator = emulate(port, servo_map)
        try:
            bus = open_bus(f"{port}:{emulator.port}", servo_map)
            return BusFace(GuardedBus(bus, safe_set=safe_set, limits=limits, on_event=on_event), emulator)
        except BaseException:
            emulator.close()
            raise
    bus = open_bus(where, servo_map)
    return BusFace(GuardedBus(bus, safe_set=safe_set, limits=limits, on_event=on_event))


def open_bus(where: str, servo_map: ServoMap | None = None) -> Bus:
    """The bus at dynamixel:PORT[@BAUD] or maestro:PORT[@BAUD], without a Guard and with torque off."""
    kind, _, port = where.partition(":")
    port, _, baud = port.partition("@")
    if kind not in ("dynamixel", "maestro") or not port:
        raise VocabularyError(f"robot: got {where!r}; allowed are {', '.join(PLACES)}")
    if baud and not baud.isdecimal():
        raise InputError(f"robot {where}: got baud {baud!r}; allowed is a whole number, as in dynamixel:PORT@57600")
    if kind == "dynamixel":
        from ..hardware.dynamixel import DynamixelBus as bus
    else:
        from ..hardware.maestro import MaestroBus as bus

    return bus(port, servo_map, baud=int(baud)) if baud else bus(port, servo_map)


def emulate(
    kind: str, servo_map: ServoMap | None = None, behind: Callable[[ServoMap], Behind] = LaggedServos.at_rest
) -> Emulator:
    """An emulated bus, dynamixel or maestro, in a process of its own; open `kind:emulator.port`.

    behind: makes the physics in that process; servos alone, or another robot (`hidden_face.HiddenFace`).
    """
    if kind == "dynamixel":
        from ..hardware.dynamixel_emulator import DynamixelEmulator

        return DynamixelEmulator(servo_map, behind=behind)
    if kind == "maestro":
        from ..hardware.maestro_emulator import MaestroEmulator

        return MaestroEmulator(servo_map, behind=behind)
    raise VocabularyError(f"emulated bus: got {kind!r}; allowed are dynamixel, maestro")


__all__ = [
    "GLIDE_PER_S", "PLACES", "BusFace", "FacePort", "SimFace",
    "emulate", "open_bus", "open_face",
]  # fmt: skip
