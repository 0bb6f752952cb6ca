"""Hobby servos on Pololu Maestro boards: pulses out, nothing measured; the boards only say what they send themselves.

Pololu protocol over one serial line, on which boards with different device numbers are chained; all pulses of a
frame go out in one write. Source of commands, errors and CRC: Pololu Maestro User's Guide, sections 4.e and 5.

Settings that only the vendor's Control Center can change, and that should be so: a serial timeout of about 0.5 s and
"on startup or error: off" for every servo, so that the face relaxes when the host dies; a fixed baud rate; a range
that holds the servo map's. The Mini Maestros with 12, 18 and 24 channels know the command that sets many targets.
"""

import termios
import time
from itertools import cycle, groupby

import numpy as np
import serial

from ..sim.errors import BusError
from ..sim.robot.servo import REST_COMMAND, SERVO_NAMES, SERVOS
from .bus import ALIVE_S, Bus, Capabilities, Feedback, Found, ServoMap
from .keeper import Keeper
from .ownership import DeviceLock, forget, let_go_at_exit

BAUD = 115_200
ERRORS = (
    "serial signal", "serial overrun", "serial buffer full", "serial CRC", "serial protocol", "serial timeout",
    "script stack", "script call stack", "script program counter",
)  # fmt: skip
"""Names of the error bits, from bit 0 on. With any of them a board sends its servos home, or off, as it was set."""
SET_TARGET, SET_SPEED, SET_ACCELERATION, GET_POSITION = 0x04, 0x07, 0x09, 0x10
GET_MOVING, SET_TARGETS, GET_ERRORS, GO_HOME = 0x13, 0x1F, 0x21, 0x22
POLOLU = 0xAA
_REPLY_S = 0.05
_QUIET_S = 0.025
_TRIES = 3
_GONE = (OSError, termios.error)  # pyserial's own errors are OSErrors too


def default_map() -> ServoMap:
    """13 servos on each of two boards, numbers 12 and 13, from channel 0 on, at 10 µs a degree about 1500 µs.

    The microseconds a degree are unknown: 8 … 12 are usual, by make.
    """
    places = [(12 + i // 13, i % 13) for i in range(len(SERVOS))]
    return ServoMap.of_travel(ticks_per_degree=40.0, centre_tick=6000, numbers=places)


class MaestroBus(Bus):
    """26 servos on Maestro boards behind one serial port; ticks are quarter microseconds.

    Every answer is proved by the pulse of one servo, a different one each time, that must be the one last sent: so a
    late answer, a noisy line and a board that has restarted are noticed, though answers have neither number nor check.

    Args:
        port: a serial device or an URL that pyserial knows.
        servo_map: `Channel.board` is the board's device number, `Channel.number` the channel; default `default_map`.
        crc: the boards are set to want a CRC after every command.
    """

    capabilities = Capabilities(feedback=False, torque_off=True)

    def __init__(self, port: str, servo_map: ServoMap | None = None, *, baud: int = BAUD, crc: bool = False):
        self.servo_map = servo_map or default_map()
        self._name, self._baud, self._crc = port, baud, crc
        self._boards = sorted(set(self.servo_map.boards.tolist()))
        self._order = np.lexsort([self.servo_map.numbers, self.servo_map.boards])
        self._runs = self._contiguous()
        self._turn = {b: cycle(np.flatnonzero(self.servo_map.boards == b).tolist()) for b in self._boards}
        self._sent_tick = np.zeros(len(SERVOS), np.int64)  # 0 is no pulse
        self._last_tick = self.servo_map.to_ticks(REST_COMMAND)
        self._good_s, self._free_s = -np.inf, -np.inf
        self._in_doubt: dict[int, int] = {}
        self._keeper: Keeper | None = None
        self._serial: serial.Serial | None = None
        self._lock = DeviceLock(port)
        try:
            self._open()
        except BusError:
            self._lock.release()
            raise
        let_go_at_exit(self, self.close)

    def handshake(self) -> tuple[Found, ...]:
        """Make sure that every board answers and has every channel; pulses go off, errors of the past are cleared.

        A board tells neither model nor limits.
        """
        self._open()
        problems = []
        self.torque(False)
        for board in self._boards:
            try:
                self._ask(board, clear=True)
                for servo in np.flatnonzero(self.servo_map.boards == board):
                    channel = int(self.servo_map.numbers[servo])
                    self._send(self._frame(board, SET_SPEED, channel, 0, 0))
                    self._send(self._frame(board, SET_ACCELERATION, channel, 0, 0))
                if bits := self._ask(board):
                    problems.append(f"board {board}: {spell(bits)}; has it all of these channels?")
            except BusError as error:
                problems.append(str(error))
        if problems:
            raise BusError("; ".join(problems))
        return tuple(Found(name=c.name, number=c.number) for c in self.servo_map.channels)

    def write(self, command: np.ndarray) -> np.ndarray:
        """As for every bus. A board that has failed to answer must prove first that it has not restarted since."""
        ticks = self.servo_map.to_ticks(command)
        for board in tuple(self._in_doubt):
            self._ask(board, tries=_TRIES - 1)  # it has had its tries
        self._send_ticks(ticks)
        self._last_tick = ticks
        return self.servo_map.to_command(ticks)

    def read(self) -> Feedback:
        """Error bits of each servo's board; they are cleared by being read."""
        error = np.zeros(len(SERVOS), np.int64)
        for board in self._boards:
            error[self.servo_map.boards == board] = self._ask(board)
        return Feedback(time_s=self._good_s, error=error)

    def pulses(self) -> np.ndarray:
        """The pulses that the boards send now, (26,) quarter microseconds, 0 where none; takes about 20 ms."""
        ticks = np.empty(len(SERVOS), np.int64)
        boards, numbers = self.servo_map.boards, self.servo_map.numbers
        for servo in np.lexsort([boards, numbers]):  # in turn, so that no board times out meanwhile
            ticks[servo] = self._pulse(self._frame(int(boards[servo]), GET_POSITION, int(numbers[servo])))
        return ticks

    def torque(self, on: bool) -> None:
        """Send pulses, or none. On: at the pose sent last, at first at rest; where the servos stand nobody knows."""
        self._open()
        if not on:
            self._send_ticks(np.zeros(len(SERVOS), np.int64))
            return
        for board in self._boards:
            self._ask(board, clear=True)
        self._keeper = self._keeper or Keeper(self._name, self._baud, self._last_words())
        self._send_ticks(self._last_tick)
        time.sleep(_QUIET_S)
        wrong = np.flatnonzero(self.pulses() != self._sent_tick)
        if len(wrong):
            self._send_ticks(np.zeros(len(SERVOS), np.int64))
            raise BusError(
                f"{self._name}: the boards do not send what they are told to {', '.join(SERVO_NAMES[i] for i in wrong)}"
                "; set every channel to servo, with a range that holds the servo map's"
            )

    def spell(self, bits: int) -> str:
        return spell(bits)

    def relax(self) -> None:
        self._open()
        self._send_ticks(np.where(self.servo_map.relaxes, 0, self._sent_tick))

    @property
    def is_alive(self) -> bool:
        return time.monotonic() - self._good_s <= ALIVE_S

    def close(self) -> None:
        forget(self)
        if self._serial is not None:
            try:
                self._send_ticks(np.zeros(len(SERVOS), np.int64))
                self._serial.flush()
            except (BusError, *_GONE):
                pass  # whoever has lost the line can only rely on the boards' own timeout
            self._drop()
        if self._keeper is not None:
            self._keeper.dismiss()
        self._lock.release()

    # frames

    def _contiguous(self) -> list[tuple[int, np.ndarray]]:
        """Servos that one frame can set: board, and places in a command by rising channel without a gap."""
        boards, numbers = self.servo_map.boards, self.servo_map.numbers
        ranked = enumerate(self._order.tolist())
        runs = [list(run) for _, run in groupby(ranked, key=lambda r: (boards[r[1]], numbers[r[1]] - r[0]))]
        return [(int(boards[run[0][1]]), np.array([place for _, place in run])) for run in runs]

    def _frame(self, board: int, command: int, *data: int) -> bytes:
        frame = bytes([POLOLU, board, command, *data])
        return frame + bytes([crc7(frame)]) if self._crc else frame

    def _send_ticks(self, ticks: np.ndarray) -> None:
        """All targets, (26,), in one write; 0 is no pulse."""
        frames = []
        for board, places in self._runs:
            low_high = np.stack([ticks[places] & 0x7F, ticks[places] >> 7], axis=1).ravel().tolist()
            first = int(self.servo_map.numbers[places[0]])
            frames.append(self._frame(board, SET_TARGETS, len(places), first, *low_high))
        self._send(b"".join(frames))
        self._sent_tick = np.array(ticks, np.int64)

    def _last_words(self) -> bytes:
        """No pulse for all servos that are to relax after a fault; the others keep theirs."""
        relaxed = (c for c in self.servo_map.channels if c.on_fault == "relax")
        return b"".join(self._frame(c.board, SET_TARGET, c.number, 0, 0) for c in relaxed)

    # answers

    def _ask(self, board: int, clear: bool = False, tries: int = _TRIES) -> int:
        """A board's error bits, proved by the pulse of one of its servos; with `clear` any pulse will do.

        After a failure the same servo is asked about, the next time.
        """
        problem, servo = "", self._in_doubt.get(board, -1)
        servo = next(self._turn[board]) if servo < 0 else servo
        for attempt in range(tries):
            position = self._frame(board, GET_POSITION, int(self.servo_map.numbers[servo]))
            try:
                bits, tick = self._exchange(self._frame(board, GET_ERRORS) + position, 2)
            except _NoAnswer as error:
                problem, servo = f"board {board} {error}", next(self._turn[board])  # so a late answer does not fit
                continue
            if clear or tick == self._sent_tick[servo]:
                self._in_doubt.pop(board, None)
                return bits
            if bits and bits >> len(ERRORS) == 0:
                return bits  # it says itself why it does not send what it was told to
            problem = f"board {board} sends {SERVO_NAMES[servo]} {tick} instead of {self._sent_tick[servo]}" + (
                "; it has restarted, or an error has switched its servos off" if tick == 0 else ""
            )
            if attempt + 1 < tries:
                self._settle()
        self._in_doubt[board] = servo
        raise BusError(f"{self._name}: {problem}")

    def _pulse(self, request: bytes) -> int:
        for _ in range(_TRIES - 1):
            try:
                return self._exchange(request, 1)[0]
            except _NoAnswer:
                continue
        return self._exchange(request, 1)[0]

    def _exchange(self, request: bytes, numbers: int) -> list[int]:
        """Two-byte numbers in answer to a request. Raises `_NoAnswer` if not exactly these come."""
        try:
            if self._port.in_waiting:
                self._settle()
            self._send(request)
            data = self._port.read(2 * numbers)
            more = self._port.in_waiting
        except _GONE as error:
            raise self._lost(error) from error
        if len(data) == 2 * numbers and not more:
            self._good_s = time.monotonic()
            return [int.from_bytes(data[k : k + 2], "little") for k in range(0, 2 * numbers, 2)]
        self._settle()
        if not data:
            raise _NoAnswer("does not answer; is its number right, and is it powered?")
        if data.startswith(request[:3]):
            raise _NoAnswer("is not heard: the adapter sends back what it is sent; switch its echo off")
        raise _NoAnswer(f"answers with {len(data)} bytes of {2 * numbers}, and {more} more")

    def _settle(self) -> None:
        """Throw away what comes until the line has been quiet for a while; a line that is never quiet is an error."""
        until = time.monotonic() + 10 * _QUIET_S
        try:
            while time.monotonic() < until:
                self._port.reset_input_buffer()
                time.sleep(_QUIET_S)
                if not self._port.in_waiting:
                    return
        except _GONE as error:
            raise self._lost(error) from error
        raise BusError(f"{self._name}: the line is never quiet; something else is sending on it")

    def _send(self, data: bytes) -> None:
        """Send when the line has carried what was sent before: what waits in buffers is late, and cannot be undone."""
        time.sleep(max(self._free_s - time.monotonic(), 0.0))
        try:
            self._port.write(data)
            self._free_s = time.monotonic() + 10 * len(data) / self._baud
        except _GONE as error:
            raise self._lost(error) from error

    # the port

    @property
    def _port(self) -> serial.Serial:
        if self._serial is None:
            raise BusError(f"{self._name}: the line is down; plug it in, then switch torque on again")
        return self._serial

    def _open(self) -> None:
        if self._serial is not None:
            return
        try:
            self._serial = serial.serial_for_url(
                self._name, self._baud, timeout=_REPLY_S, write_timeout=0.2, exclusive=True
            )
        except (*_GONE, ValueError) as error:
            raise BusError(f"{self._name}: cannot be opened: {error}") from error

    def _lost(self, error: Exception) -> BusError:
        self._drop()
        return BusError(f"{self._name}: lost: {error}")

    def _drop(self) -> None:
        port, self._serial = self._serial, None
        try:
            if port is not None:
                port.close()
        except _GONE:
            pass  # it is gone already


class _NoAnswer(BusError):
    """No answer, or not the one that was asked for."""


def crc7(data: bytes) -> int:
    """The seven-bit CRC of a command, polynomial 0x91, lowest bit first (User's Guide, section 5.d)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc ^ 0x91) >> 1 if crc & 1 else crc >> 1
    return crc


def spell(bits: int) -> str:
    """Names of a board's error bits."""
    named = [name for bit, name in enumerate(ERRORS) if bits >> bit & 1]
    return ", ".join(named) or "none" if bits >> len(ERRORS) == 0 else f"error bits {bits:#06x}, which no board has"


__all__ = ["BAUD", "ERRORS", "MaestroBus", "crc7", "default_map", "spell"]
