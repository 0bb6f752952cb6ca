"""What every servo bus is: 26 named servos behind one cable, commands in, feedback out where there is any.

A bus turns commands into ticks and sends them; it never clamps, smooths or judges: that is the Guard's work.
`ServoMap` says which servo hangs where, and is kept as JSON with the servos' names.
"""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

import numpy as np

from ..sim.errors import InputError, VocabularyError
from ..sim.robot.servo import REST_COMMAND, SERVO_NAMES, SERVOS

ALIVE_S = 0.5
"""A bus without a good packet for longer than this is not alive."""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a bus can tell or do; what it cannot is `None` in its `Feedback`."""

    feedback: bool
    """Positions are measured, not only commanded."""
    current: bool = False
    temperature: bool = False
    voltage: bool = False
    torque_off: bool
    """Servos can be made limp."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Feedback:
    """What the servos said last; every array is (26,), ordered as `SERVO_NAMES`, NaN where not yet known."""

    time_s: float
    """Monotonic time at which the last good packet came."""
    position: np.ndarray | None = None
    """In command units: 0…1 from low to high end, a little outside where a servo is pushed there."""
    current_a: np.ndarray | None = None
    temperature_c: np.ndarray | None = None
    voltage_v: np.ndarray | None = None
    error: np.ndarray | None = None
    """Hardware error bits, as the bus's own table names them; 0 is healthy."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """One servo as the handshake found it; `None` where the bus cannot tell."""

    name: str
    number: int
    model: str | None = None
    firmware: int | None = None
    low_tick: int | None = None
    high_tick: int | None = None


class Bus(ABC):
    """A servo bus, open from construction to `close`; use it in a `with` block.

    Order of use: `handshake`, `torque(True)`, then `write` and `read` in turn. Whatever fails raises one `BusError`.
    """

    capabilities: Capabilities
    servo_map: "ServoMap"

    @abstractmethod
    def handshake(self) -> tuple[Found, ...]:
        """Make sure that what hangs on the bus is what the map says; one error lists all that is not."""

    @abstractmethod
    def write(self, command: np.ndarray) -> np.ndarray:
        """Send a command, (26,) in 0…1; return the command really sent, after rounding to ticks, (26,)."""

    @abstractmethod
    def read(self) -> Feedback:
        """What the servos say now. A bus without feedback returns the time of its last sign of life."""

    @abstractmethod
    def torque(self, on: bool) -> None:
        """Switch torque on, at the pose in which the servos stand, or off. Off tries every servo."""

    @abstractmethod
    def relax(self) -> None:
        """The way out after a fault: off where the map says `relax`; the others hold. Tries every servo."""

    def spell(self, bits: int) -> str:
        """Words for the error bits of one servo."""
        return f"error bits {bits:#x}"

    @property
    @abstractmethod
    def is_alive(self) -> bool:
        """Whether a good packet came within the last `ALIVE_S`; an open port alone is no sign of life."""

    @abstractmethod
    def close(self) -> None:
        """Switch torque off and give the port back. May be called twice; never raises."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()


@dataclass(frozen=True, kw_only=True)
class Channel:
    """Where one servo hangs, and how its commands become ticks (of the encoder, or quarter microseconds of pulse).

    tick = rest_tick + direction · ticks_per_unit · (command - rest command), rounded.
    """

    name: str
    number: int
    """Identity on the bus, or channel on the board."""
    board: int = 0
    """Which controller board, where a bus has several."""
    model: str | None = None
    """Model that the handshake must find, where the bus can tell."""
    rest_tick: int
    ticks_per_unit: float
    """Ticks from command 0 to command 1."""
    direction: Literal[1, -1] = 1
    low_tick: int
    high_tick: int
    """The servo never gets a tick outside low…high; the whole range of commands must fit between them."""
    on_fault: Literal["relax", "hold"] = "relax"

    def __post_init__(self):
        if self.name not in SERVO_NAMES:
            raise VocabularyError(f"unknown servo {self.name!r}; allowed: {', '.join(SERVO_NAMES)}")
        if self.direction not in (1, -1) or self.on_fault not in ("relax", "hold"):
            raise VocabularyError(
                f"servo {self.name}: got direction {self.direction!r} and on_fault {self.on_fault!r}; allowed are "
                "1 or -1, and 'relax' or 'hold'"
            )
        if not (math.isfinite(self.ticks_per_unit) and self.ticks_per_unit > 0):
            raise InputError(f"servo {self.name}: got ticks_per_unit {self.ticks_per_unit}; it must be positive")
        ends = sorted(round(self._tick(command)) for command in (0.0, 1.0))
        if ends[0] < self.low_tick or ends[1] > self.high_tick:
            raise InputError(
                f"servo {self.name}: commands 0…1 reach ticks {ends[0]}…{ends[1]}, outside its "
                f"{self.low_tick}…{self.high_tick}; make ticks_per_unit smaller or move rest_tick"
            )

    def _tick(self, command: float) -> float:
        rest = REST_COMMAND[SERVO_NAMES.index(self.name)]
        return self.rest_tick + self.direction * self.ticks_per_unit * (command - rest)


@dataclass(frozen=True)
class ServoMap:
    """The 26 servos of a face on their bus, in the order of `SERVO_NAMES`."""

    channels: tuple[Channel, ...]

    def __post_init__(self):
        by_name = {c.name: c for c in self.channels}
        missing = [n for n in SERVO_NAMES if n not in by_name]
        if missing or len(self.channels) != len(SERVOS):
            raise VocabularyError(
                f"servo map: got {len(self.channels)} channels, {len(by_name)} of them different; missing: "
                f"{', '.join(missing) or 'none'}; each of the {len(SERVOS)} servos is wanted once"
            )
        places = [(c.board, c.number) for c in self.channels]
        twice = sorted({p for p in places if places.count(p) > 1})
        if twice:
            names = ", ".join(c.name for c in self.channels if (c.board, c.number) in twice)
            raise InputError(f"servo map: {names} share (board, number) {twice}; every servo needs its own")
        object.__setattr__(self, "channels", tuple(by_name[n] for n in SERVO_NAMES))

    @classmethod
    def of_travel(
        cls,
        *,
        ticks_per_degree: float,
        centre_tick: int,
        numbers: Sequence[tuple[int, int]],
        model: str | None = None,
        hold: Sequence[str] = ("neck_pitch", "neck_roll"),
    ) -> "ServoMap":
        """A map in which every servo has its nominal travel, the middle of it at `centre_tick`.

        Args:
            numbers: (board, number) of each servo, in the order of `SERVO_NAMES`.
            hold: servos that hold after a fault, so that nothing falls.
        """
        channels = []
        for servo, (board, number) in zip(SERVOS, numbers, strict=True):
            span = servo.travel_deg * ticks_per_degree
            channels.append(
                Channel(
                    name=servo.name,
                    number=number,
                    board=board,
                    model=model,
                    rest_tick=round(centre_tick + (servo.rest - 0.5) * span),
                    ticks_per_unit=span,
                    low_tick=math.floor(centre_tick - 0.5 * span) - 1,
                    high_tick=math.ceil(centre_tick + 0.5 * span) + 1,
                    on_fault="hold" if servo.name in hold else "relax",
                )
            )
        return cls(tuple(channels))

    @classmethod
    def load(cls, path: Path | str) -> "ServoMap":
        """Read a map written by `save`. Raises `InputError` or `VocabularyError` for a file that is not one."""
        try:
            rows = json.loads(Path(path).read_text())["servos"]
            return cls(tuple(Channel(name=name, **row) for name, row in rows.items()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, (VocabularyError, InputError)):
                raise
            wanted = ", ".join(f.name for f in fields(Channel) if f.name != "name")
            raise InputError(
                f"servo map {path}: {type(error).__name__}: {error}; wanted is JSON with 'servos': an object of name → "
                f"{{{wanted}}}"
            ) from error

    def save(self, path: Path | str) -> None:
        """Write the map as JSON, one line a servo."""
        rows = []
        for channel in self.channels:
            row = asdict(channel)
            rows.append(f"    {json.dumps(row.pop('name'))}: {json.dumps(row)}")
        Path(path).write_text('{\n  "servos": {\n' + ",\n".join(rows) + "\n  }\n}\n")

    def to_ticks(self, command: np.ndarray) -> np.ndarray:
        """Ticks, (26,) int, of a command, (26,) in 0…1. Raises `InputError` for anything else; nothing is clamped."""
        command = np.asarray(command, dtype=float)
        if command.shape != (len(SERVOS),) or not ((command >= 0) & (command <= 1)).all():
            wrong = np.flatnonzero(~((command >= 0) & (command <= 1))) if command.shape == (len(SERVOS),) else ()
            which = ", ".join(f"{SERVO_NAMES[i]} = {command[i]:g}" for i in wrong)
            raise InputError(
                f"command to the bus: got shape {command.shape} {which}; allowed are {len(SERVOS)} numbers in 0…1; "
                "send it through the Guard"
            )
        return np.rint(self.exact_ticks(command)).astype(np.int64)

    def exact_ticks(self, command: np.ndarray) -> np.ndarray:
        """Ticks of commands, (…, 26), neither rounded nor checked."""
        return self.rest_ticks + self._signed * (command - REST_COMMAND)

    def to_command(self, ticks: np.ndarray) -> np.ndarray:
        """Commands, (…, 26), of ticks, (…, 26); the inverse of `to_ticks`, not clipped."""
        return REST_COMMAND + (np.asarray(ticks, dtype=float) - self.rest_ticks) / self._signed

    @cached_property
    def numbers(self) -> np.ndarray:
        """Number of each servo on its board or bus, (26,) int."""
        return self._column("number")

    @cached_property
    def boards(self) -> np.ndarray:
        """Board of each servo, (26,) int."""
        return self._column("board")

    @cached_property
    def rest_ticks(self) -> np.ndarray:
        """Tick of the rest command, (26,) int."""
        return self._column("rest_tick")

    @cached_property
    def limits_ticks(self) -> np.ndarray:
        """Lowest and highest tick that each servo may get, (26, 2) int."""
        return np.stack([self._column("low_tick"), self._column("high_tick")], axis=1)

    @cached_property
    def ticks_per_unit(self) -> np.ndarray:
        """Ticks from command 0 to command 1 of each servo, (26,)."""
        return np.array([c.ticks_per_unit for c in self.channels])

    @cached_property
    def relaxes(self) -> np.ndarray:
        """Which servos go limp after a fault, (26,) bool."""
        return np.array([c.on_fault == "relax" for c in self.channels])

    @cached_property
    def _signed(self) -> np.ndarray:
        return np.array([c.direction * c.ticks_per_unit for c in self.channels])

    def _column(self, field: str) -> np.ndarray:
        return np.array([getattr(c, field) for c in self.channels], dtype=np.int64)


__all__ = ["ALIVE_S", "Bus", "Capabilities", "Channel", "Feedback", "Found", "ServoMap"]
