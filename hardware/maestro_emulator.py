"""Emulated Pololu Maestro boards, byte for byte, on one serial line behind a pseudo-terminal.

Commands, errors and what they do to the servos are those of the User's Guide, sections 4.e and 5; acceleration
limits are taken and not obeyed. The hobby servos behind the boards have a physics that no client can ask about.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from . import maestro
from .bus import ServoMap
from .emulated_servos import Behind, LaggedServos, Physics
from .emulator import Emulator, Exchange, Fault

FAULTS: dict[str, str] = {
    "silent": "the board does not answer, but does what it is told",
    "deaf": "the board neither answers nor obeys, as if it had no power",
    "renumber": "the board answers to device number `value`",
    "error": "the board has the error bits `value` (serial signal if 0) and treats its servos as it was set to",
    "brownout": "the board's processor restarts: no pulses, no memory of what was",
    "narrow": "the board's own range for the servo ends at `value` quarter microseconds (6000 if 0)",
    "unset": "the servo's channel gets no pulses, as one that is set to be an input",
    "noise": "a byte that is no command arrives at the board",
    "crawl": "the servo's channel has got a speed limit of `value` (2 if 0), as the board's own script can set it",
}
"""Faults of emulated boards, beside those of the line; a servo's name stands for its board."""

_DATA_BYTES = {
    maestro.SET_TARGET: 3, maestro.SET_SPEED: 3, maestro.SET_ACCELERATION: 3, maestro.GET_POSITION: 1,
    maestro.GET_MOVING: 0, maestro.GET_ERRORS: 0, maestro.GO_HOME: 0,
}  # fmt: skip
_CHANNELS = 24
_BOOT_S = 0.2
_LOGGED_GOALS = 20_000
_SIGNAL, _CRC, _PROTOCOL, _TIMEOUT = 1 << 0, 1 << 3, 1 << 4, 1 << 5


class MaestroEmulator(Emulator):
    """`with MaestroEmulator(servo_map) as emulator: MaestroBus(emulator.port, servo_map)`.

    On an error the boards switch their servos off.

    Args:
        servo_map: boards and channels of the servos; these stand at the rest pose.
        behind: makes the physics, in the emulator's process, from the map.
        baud: see `Emulator`.
        timeout_s: the boards' serial timeout; 0 is none, as the factory sets it.
    """

    def __init__(
        self,
        servo_map: ServoMap | None = None,
        *,
        behind: Callable[[ServoMap], Behind] = LaggedServos.at_rest,
        baud: int | None = maestro.BAUD,
        crc: bool = False,
        timeout_s: float = 0.5,
    ):
        servo_map = servo_map or maestro.default_map()
        super().__init__(partial(MaestroBoards, servo_map, behind, crc, timeout_s), FAULTS, baud)


class MaestroBoards:
    """The boards on the line; a `Device`."""

    def __init__(
        self,
        servo_map: ServoMap,
        behind: Callable[[ServoMap], Behind] = LaggedServos.at_rest,
        crc: bool = False,
        timeout_s: float = 0.5,
    ):
        self._map, self._crc = servo_map, crc
        now_s = time.monotonic()
        self._boards = [_Board(int(n), timeout_s, now_s) for n in np.unique(servo_map.boards)]
        self._place = {c.name: (self._board(c.board), c.number) for c in servo_map.channels}
        for (board, channel), tick in zip(self._place.values(), servo_map.rest_ticks, strict=True):
            board.home[channel] = tick
        self._physics = Physics(behind(servo_map), now_s)
        self._frames: Counter[str] = Counter()
        self._goals: deque[tuple[float, np.ndarray]] = deque(maxlen=_LOGGED_GOALS)
        self._logged: set[int] = set()  # boards that have their share in the last goal
        self._buffer = b""

    def receive(self, data: bytes, now_s: float) -> Iterator[Exchange]:
        self._advance(now_s)
        self._buffer += data
        while self._buffer:
            length = self._length()
            if length is None:
                return
            frame, self._buffer = self._buffer[:length], self._buffer[length:]
            if not _well_formed(frame):
                self._refuse(frame, now_s)
                continue
            reply = self._obey(frame, now_s)
            self._advance(now_s)
            self._log(frame, now_s)
            yield Exchange(frame, reply)

    def inject(self, fault: Fault, now_s: float) -> None:
        self._advance(now_s)
        boards = [self._place[fault.servo][0]] if fault.servo else self._boards
        for board in boards:
            if fault.kind in ("silent", "deaf"):
                board.having.add(fault.kind)
            elif fault.kind == "renumber":
                board.number = int(fault.value)
            elif fault.kind == "error":
                board.fail(int(fault.value) or _SIGNAL)
            elif fault.kind == "brownout":
                board.restart(now_s)
            elif fault.kind == "noise":
                board.fail(_PROTOCOL)
        for board, channel in [self._place[fault.servo]] if fault.servo else self._place.values():
            if fault.kind == "narrow":
                board.highest[channel] = fault.value or 6000
            elif fault.kind == "unset":
                board.highest[channel] = 0
            elif fault.kind == "crawl":
                board.speed[channel] = fault.value or 2
            board.set_target(channel, int(board.target[channel]))
        self._advance(now_s)

    def heal(self) -> None:
        for board in self._boards:
            board.having.clear()
            board.number = board.true_number
            board.highest[:] = _Board.HIGHEST
            board.speed[:] = 0

    def state(self, now_s: float) -> dict[str, np.ndarray | int]:
        """What is so now, and since the last call: `goals`, (n, 26) ticks, 0 no pulse, taken at `goal_times_s`, and
        `positions`, (m, 26) ticks, where the servos really were at `position_times_s`.
        """
        self._advance(now_s)
        times, goals = np.array([t for t, _ in self._goals]), np.array([g for _, g in self._goals]).reshape(-1, 26)
        self._goals.clear()
        return self._physics.moved() | {
            "goals": goals,
            "goal_times_s": times,
            "goal_torque": goals > 0,
            "goal": self._targets(),
            "pulse": self._pulses(),
            "position": self._physics.now.position_tick.copy(),
            "torque": self._pulses() > 0,
            "errors": np.array([b.errors for b in self._boards]),
            **{f"frames_{name}": count for name, count in self._frames.items()},
        }

    # bytes

    def _length(self) -> int | None:
        """Length of the frame, or of the nonsense, that the buffer begins with; None while it is not whole."""
        buffer = self._buffer
        if buffer[0] < 0x80:
            return 1  # data without a command
        pololu = buffer[0] == maestro.POLOLU
        start = 3 if pololu else 1
        if len(buffer) < start:
            return None
        command = buffer[2] if pololu else buffer[0] & 0x7F
        if command == maestro.SET_TARGETS:
            if len(buffer) <= start:
                return None
            count = 2 + 2 * buffer[start]
        elif command in _DATA_BYTES:
            count = _DATA_BYTES[command]
        else:
            count = 0
        length = start + count + self._crc
        cut = next((i for i, byte in enumerate(buffer[1:length], start=1) if byte >= 0x80), None)
        if cut is not None:
            return cut  # another command interrupts this one
        return length if len(buffer) >= length else None

    def _refuse(self, frame: bytes, now_s: float) -> None:
        """Nonsense is everybody's error, since nobody knows whose it was."""
        self._frames["damaged"] += 1
        for board in self._hearing(now_s):
            board.fail(_PROTOCOL)

    def _obey(self, frame: bytes, now_s: float) -> bytes:
        pololu = frame[0] == maestro.POLOLU
        command, body = (frame[2], frame[3:]) if pololu else (frame[0] & 0x7F, frame[1:])
        reply = b""
        for board in self._hearing(now_s):
            if pololu and frame[1] != board.number:
                continue
            if self._crc and maestro.crc7(frame[:-1]) != frame[-1]:
                board.fail(_CRC)
                self._frames["damaged"] += 1
                continue
            board.heard_s = now_s
            self._frames[f"{command:#04x}"] += 1
            answer = board.obey(command, body[:-1] if self._crc else body)
            if "silent" not in board.having:
                reply += answer
        return reply

    # servos

    def _hearing(self, now_s: float) -> list["_Board"]:
        return [b for b in self._boards if "deaf" not in b.having and now_s >= b.asleep_until_s]

    def _board(self, number: int) -> "_Board":
        return next(b for b in self._boards if b.true_number == number)

    def _pulses(self) -> np.ndarray:
        return np.array([board.pulse[channel] for board, channel in self._place.values()])

    def _targets(self) -> np.ndarray:
        return np.array([board.target[channel] for board, channel in self._place.values()])

    def _advance(self, now_s: float) -> None:
        """Boards move their pulses on and time out, and the servos follow the pulses."""
        for board in self._boards:
            board.advance(now_s)
        pulses = self._pulses()
        standing = self._physics.now.position_tick
        self._physics.advance(np.where(pulses > 0, pulses, standing), pulses > 0, now_s)

    def _log(self, frame: bytes, now_s: float) -> None:
        goal = self._targets()
        if not self._goals or (goal != self._goals[-1][1]).any():
            if self._goals and self._goals[-1][0] == now_s and frame[1] not in self._logged:
                self._goals.pop()  # another board's share of the same write
            else:
                self._logged.clear()
            self._goals.append((now_s, goal))
        self._logged.add(frame[1])


class _Board:
    """One board: targets, pulses, errors."""

    HIGHEST = 10_000

    def __init__(self, number: int, timeout_s: float, now_s: float):
        self.number = self.true_number = number
        self._timeout_s = timeout_s
        self.home = np.zeros(_CHANNELS, np.int64)
        self.highest = np.full(_CHANNELS, self.HIGHEST, np.int64)
        self.having: set[str] = set()
        self.restart(now_s)
        self.asleep_until_s = now_s

    def restart(self, now_s: float) -> None:
        self.target, self.pulse = np.zeros(_CHANNELS, np.int64), np.zeros(_CHANNELS)
        self.speed = np.zeros(_CHANNELS, np.int64)
        self.errors = 0
        self.asleep_until_s = now_s + _BOOT_S
        self._until_s, self.heard_s = now_s, np.inf  # the timeout begins with the first command

    def obey(self, command: int, data: bytes) -> bytes:
        """Do one well-formed command; the answer."""
        if command == maestro.SET_TARGETS:
            if data[1] + data[0] > _CHANNELS:
                return self._wrong()
            for k in range(data[0]):
                self.set_target(data[1] + k, data[2 + 2 * k] | data[3 + 2 * k] << 7)
        elif command == maestro.GET_ERRORS:
            bits, self.errors = self.errors, 0
            return bits.to_bytes(2, "little")
        elif command == maestro.GET_MOVING:
            return bytes([int((self.pulse != self.target).any())])
        elif command == maestro.GO_HOME:
            self._set_all(self.home)
        elif command not in _DATA_BYTES or data[0] >= _CHANNELS:
            return self._wrong()
        elif command == maestro.GET_POSITION:
            return int(self.pulse[data[0]]).to_bytes(2, "little")
        elif command == maestro.SET_TARGET:
            self.set_target(data[0], data[1] | data[2] << 7)
        elif command == maestro.SET_SPEED:
            self.speed[data[0]] = data[1] | data[2] << 7
        return b""

    def set_target(self, channel: int, tick: int) -> None:
        self.target[channel] = min(tick, self.highest[channel])
        if self.speed[channel] == 0 or self.pulse[channel] == 0 or self.target[channel] == 0:
            self.pulse[channel] = self.target[channel]

    def fail(self, bits: int) -> None:
        self.errors |= bits
        self._set_all(np.zeros(_CHANNELS, np.int64))

    def advance(self, now_s: float) -> None:
        reach = 100.0 * self.speed * (now_s - self._until_s)  # a unit is a tick in 10 ms
        self._until_s = now_s
        self.pulse += np.where(self.speed > 0, np.clip(self.target - self.pulse, -reach, reach), 0.0)
        if self._timeout_s and now_s - self.heard_s > self._timeout_s:
            self.heard_s = np.inf  # once is enough, until it hears something again
            self.fail(_TIMEOUT)

    def _set_all(self, ticks: np.ndarray) -> None:
        for channel, tick in enumerate(ticks.tolist()):
            self.set_target(channel, tick)

    def _wrong(self) -> bytes:
        self.fail(_PROTOCOL)
        return b""


def _well_formed(frame: bytes) -> bool:
    """Whether a piece of the right length is a command with all its data."""
    if frame[0] < 0x80:
        return False
    pololu = frame[0] == maestro.POLOLU
    start = 3 if pololu else 1
    if len(frame) < start:
        return False
    command = frame[2] if pololu else frame[0] & 0x7F
    if command == maestro.SET_TARGETS:
        return len(frame) > start and len(frame) >= start + 2 + 2 * frame[start]
    return command in _DATA_BYTES and len(frame) >= start + _DATA_BYTES[command]


__all__ = ["FAULTS", "MaestroBoards", "MaestroEmulator"]
