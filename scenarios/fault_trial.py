"""A face on an emulated bus that plays a motion through its Guard while something goes wrong, and all that is noted.

`Trial` is the program of a careful owner; it notes every error, event, answer and time, and puts them into a log.
`Client` is the same program in a process of its own, which can be killed.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..hardware import dynamixel_table, maestro
from ..hardware.bus import Bus, Feedback, ServoMap
from ..hardware.dynamixel import DynamixelBus
from ..hardware.dynamixel_emulator import DynamixelEmulator
from ..hardware.emulator import Emulator
from ..hardware.guard import Event
from ..hardware.guard_limits import Limits
from ..hardware.guarded import GuardedBus
from ..hardware.maestro import MaestroBus
from ..hardware.maestro_emulator import MaestroEmulator
from ..sim.errors import BusError, DuchenneError
from ..sim.robot.face import CONTROL_PERIOD_S
from ..twin.log import LogWriter
from ..twin.log_entries import Command

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class BusKind:
    """A kind of bus: how an emulated one is made, and how it is opened."""

    name: str
    servo_map: ServoMap
    emulator: Callable[..., Emulator]
    bus: Callable[..., Bus]
    feedback: bool


KINDS: Mapping[str, BusKind] = {
    "dynamixel": BusKind(
        name="dynamixel",
        servo_map=dynamixel_table.default_map(),
        emulator=DynamixelEmulator,
        bus=DynamixelBus,
        feedback=True,
    ),
    "maestro": BusKind(
        name="maestro", servo_map=maestro.default_map(), emulator=MaestroEmulator, bus=MaestroBus, feedback=False
    ),
}


class Clock:
    """The monotonic clock, until it leaps or stands still."""

    def __init__(self):
        self._ahead_s, self._stands_s = 0.0, np.nan

    def __call__(self) -> float:
        return time.monotonic() + self._ahead_s if np.isnan(self._stands_s) else self._stands_s

    def leap(self, seconds: float) -> None:
        self._ahead_s += seconds

    @contextlib.contextmanager
    def standing(self) -> Iterator[None]:
        """It stands still for the length of the block, and then is right again."""
        self._stands_s = self()
        yield
        self._stands_s = np.nan


class Trial:
    """A program that mirrors on one emulated bus. Times are the host's monotonic seconds.

    Args:
        motion: goals, (n, 26), one each control period.
        folder: the log goes there.
        bus_options: of the bus's opening.
    """

    def __init__(
        self,
        kind: BusKind,
        emulator: Emulator,
        motion: np.ndarray,
        folder: Path,
        bus_options: Mapping[str, Any] | None = None,
    ):
        self.kind, self.emulator, self.motion, self.folder = kind, emulator, motion, folder
        self.clock, self.limits = Clock(), Limits()
        self.bus_options = dict(bus_options or {})
        self.robot: GuardedBus | None = None
        self.log = LogWriter(folder / "log.mcap", about={"bus": kind.name})
        self.errors: list[DuchenneError] = []
        self.problems: list[str] = []
        """What must not be."""
        self.events: list[tuple[float, Event]] = []
        """What the Guard told, and when."""
        self.sent: list[np.ndarray] = []
        self.fed: list[tuple[float, float, Feedback]] = []
        """Feedback, with the times before and after it was asked for."""
        self.slowest_s = self.stalled_s = 0.0
        self.client: Client | None = None
        self.mend = contextlib.ExitStack()
        """Ends what a fault has begun outside the emulator."""
        self._seen: list[dict[str, np.ndarray]] = []
        self._number = 0

    def call(self, function: Callable[..., _T], *arguments: object) -> _T | None:
        """Call, and note how long that took and the error that came; None where one did."""
        began_s = time.monotonic()
        try:
            return function(*arguments)
        except DuchenneError as error:
            self.errors.append(error)
        except Exception as error:
            self.problems.append(f"{type(error).__name__} came through: {error}")
        finally:
            self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)
        return None

    def open(self) -> bool:
        """Open the bus and switch torque on; whether that went well."""
        self.robot = None
        bus = self.call(lambda: self.kind.bus(self.emulator.port, self.kind.servo_map, **self.bus_options))
        if bus is not None:
            guarded = lambda: GuardedBus(bus, limits=self.limits, on_event=self._note, clock=self.clock)  # noqa: E731
            self.robot = self.call(guarded)
        return self.robot is not None

    def step(self) -> None:
        """One command and one look at the servos."""
        assert self.robot is not None
        goal, now_s = self.motion[self._number % len(self.motion)], time.monotonic()
        self._number += 1
        if (sent := self.call(self.robot.toward, goal)) is not None:
            self.sent.append(sent)
            self.log.write(now_s, Command(asked=goal, sent=sent))
        now_s = time.monotonic()
        if (feedback := self.call(self.robot.read)) is not None:
            self.fed.append((now_s, time.monotonic(), feedback))
            self.log.write(now_s, feedback)

    def play(self, seconds: float) -> None:
        """Play the motion for so long, or until the robot is stopped."""
        until_s = time.monotonic() + seconds
        while self.robot is not None and self.robot.stopped is None and (now_s := time.monotonic()) < until_s:
            self.step()
            self._sleep(max(now_s + CONTROL_PERIOD_S - time.monotonic(), 0.0))

    def _sleep(self, seconds: float) -> None:
        began_s = time.monotonic()
        time.sleep(seconds)
        self.stalled_s = max(self.stalled_s, time.monotonic() - began_s - seconds)

    def look(self) -> dict[str, np.ndarray]:
        """Inside the emulated bus, if it still lives; what came over the wire since the last look is kept."""
        try:
            state = {name: np.asarray(value) for name, value in self.emulator.state().items()}
        except BusError:
            return {}
        self._seen.append(state)
        return state

    def seen(self, name: str) -> np.ndarray:
        """All that was looked at of one kind, in its order."""
        return np.concatenate([state[name] for state in self._seen])

    def wait_until_limp(self, seconds: float) -> bool:
        """Whether all servos that are to relax are limp within so long; a bus that is gone cannot be asked."""
        until_s = time.monotonic() + seconds
        while (state := self.look()) and state["torque"][self.kind.servo_map.relaxes].any():
            if time.monotonic() > until_s:
                return False
            time.sleep(0.02)
        return True

    def close(self) -> None:
        """Let go of the robot and finish the log."""
        self.mend.close()
        if self.robot is not None:
            self.call(self.robot.close)
        self.call(self.log.close)

    def _note(self, event: Event) -> None:
        now_s = time.monotonic()
        self.events.append((now_s, event))
        self.log.write(now_s, event)


class Client:
    """The same program in a process of its own, that plays from now on, and puts its log at `log_path`."""

    def __init__(self, trial: Trial):
        context = multiprocessing.get_context("forkserver")
        self.log_path = trial.folder / "client" / "log.mcap"
        self._pipe, far_end = context.Pipe()
        arguments = (trial.kind.name, trial.emulator.port, trial.motion, trial.folder / "client", far_end)
        self.process = context.Process(target=_play, args=arguments)
        self.process.start()
        far_end.close()
        if not self._pipe.poll(60.0) or self._pipe.recv() != "plays":
            raise BusError("the playing process did not start")

    def signal(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def end(self, how: str = "end") -> str:
        """Have it come to its end, or "raise" an error of its own; what stopped the robot, if anything did."""
        with contextlib.suppress(OSError, EOFError):
            self._pipe.send(how)
            return str(self._pipe.recv()) if self._pipe.poll(5.0) else "it does not end"
        return "it died"

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.join(5.0)
        self._pipe.close()


def prepare() -> None:
    """Have processes ready that start at once; to be called before the first emulator is made."""
    multiprocessing.get_context("forkserver").set_forkserver_preload([__name__])
    forkserver.ensure_running()


def _play(name: str, port: str, motion: np.ndarray, folder: Path, pipe: Connection) -> None:
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - what it dies of is ordered
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder.mkdir()
    emulator: Any = _Far(port)
    trial = Trial(KINDS[name], emulator, motion, folder)
    if not trial.open() or trial.robot is None:
        pipe.send(str(trial.errors))
        return
    with trial.robot as robot:
        trial.play(0.2)
        pipe.send("plays")
        while robot.stopped is None:
            trial.play(0.1)
            if pipe.poll():
                break
        why = robot.stopped
        if pipe.recv() == "raise":
            raise RuntimeError
    trial.log.close()
    pipe.send(why or "it went on")


@dataclass(frozen=True)
class _Far:
    """An emulator of which nothing but the port is known."""

    port: str


__all__ = ["KINDS", "BusKind", "Client", "Clock", "Trial", "prepare"]
