"""26 emulated Dynamixel X servos: Protocol 2.0 byte for byte, behind a pseudo-terminal in a process of its own.

Source of packets, errors and registers: ROBOTIS e-Manual, "DYNAMIXEL Protocol 2.0" and the X series' control tables.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from .bus import ServoMap
from .dynamixel_packets import BROADCAST, HEADER, crc16, fast_block, fast_start, status, unstuffed
from .dynamixel_servos import FAULTS, MEMORY, EmulatedServos
from .dynamixel_table import default_map
from .emulated_servos import Behind, LaggedServos
from .emulator import Emulator, Exchange

_PING, _READ, _WRITE, _REG_WRITE, _ACTION, _REBOOT = 1, 2, 3, 4, 5, 8
_SYNC_READ, _SYNC_WRITE, _FAST_SYNC_READ, _BULK_READ, _BULK_WRITE, _FAST_BULK_READ = 0x82, 0x83, 0x8A, 0x92, 0x93, 0x9A
_UNKNOWN, _ACCESS = 2, 7
_STALE_FRAME_S = 0.05
_LONGEST_FRAME = 1024


class DynamixelEmulator(Emulator):
    """`with DynamixelEmulator(servo_map) as emulator: DynamixelBus(emulator.port, servo_map)`.

    Args:
        servo_map: identities, models and limits of the servos; they stand at the rest pose. None is `default_map()`.
        behind: makes the physics, in the emulator's process, from the map.
        baud: see `Emulator`.
        commissioned: with `False` the servos have the factory's limits and return delay instead of the map's.
    """

    def __init__(
        self,
        servo_map: ServoMap | None = None,
        *,
        behind: Callable[[ServoMap], Behind] = LaggedServos.at_rest,
        baud: int | None = 1_000_000,
        commissioned: bool = True,
    ):
        super().__init__(partial(DynamixelServos, servo_map or default_map(), behind, commissioned), FAULTS, baud)


class DynamixelServos:
    """The servos on the line; a `Device`. Arguments as of `DynamixelEmulator`."""

    def __init__(
        self,
        servo_map: ServoMap,
        behind: Callable[[ServoMap], Behind] = LaggedServos.at_rest,
        commissioned: bool = True,
    ):
        self._servos = EmulatedServos(servo_map, behind, commissioned)
        self._buffer, self._heard_s = b"", time.monotonic()
        self._registered: dict[int, tuple[int, bytes]] = {}
        self._frames: Counter[str] = Counter()
        self.inject, self.heal = self._servos.inject, self._servos.heal

    def receive(self, data: bytes, now_s: float) -> Iterator[Exchange]:
        if now_s - self._heard_s > _STALE_FRAME_S:
            self._buffer = b""
        self._servos.watch(self._heard_s, now_s)
        self._heard_s = now_s
        self._buffer += data
        while (frame := self._next_frame()) is not None:
            self._servos.advance(now_s)
            try:
                reply, delay_s = self._obey(frame, now_s)
            except (ValueError, IndexError):  # too few parameters for its instruction
                self._frames["damaged"] += 1
                continue
            yield Exchange(frame, reply, delay_s)

    def state(self, now_s: float) -> dict[str, np.ndarray | int]:
        """As of `EmulatedServos.state`, and how many frames of each instruction came."""
        return self._servos.state(now_s) | {f"frames_{name}": count for name, count in self._frames.items()}

    def _next_frame(self) -> bytes | None:
        while True:
            start = self._buffer.find(HEADER)
            if start < 0:
                self._buffer = self._buffer[-3:]
                return None
            self._buffer = self._buffer[start:]
            if len(self._buffer) < 7:
                return None
            length = int.from_bytes(self._buffer[5:7], "little")
            if not 3 <= length <= _LONGEST_FRAME:
                self._buffer = self._buffer[4:]
                continue
            if len(self._buffer) < 7 + length:
                return None
            frame, self._buffer = self._buffer[: 7 + length], self._buffer[7 + length :]
            if crc16(frame[:-2]) == int.from_bytes(frame[-2:], "little"):
                return frame
            self._frames["damaged"] += 1

    def _obey(self, frame: bytes, now_s: float) -> tuple[bytes, float]:
        to, instruction, data = frame[4], frame[7], unstuffed(frame[8:-2])
        self._frames[f"{instruction:#04x}"] += 1
        if instruction in (_SYNC_READ, _FAST_SYNC_READ):
            start, count = (int.from_bytes(data[k : k + 2], "little") for k in (0, 2))
            return self._read_many([(i, start, count) for i in data[4:]], instruction == _FAST_SYNC_READ, now_s)
        if instruction in (_BULK_READ, _FAST_BULK_READ):
            rows = [(data[k], *np.frombuffer(data, "<u2", 2, k + 1).tolist()) for k in range(0, len(data) - 4, 5)]
            return self._read_many(rows, instruction == _FAST_BULK_READ, now_s)
        if instruction == _SYNC_WRITE:
            start, count = (int.from_bytes(data[k : k + 2], "little") for k in (0, 2))
            rows = [(data[k], start, data[k + 1 : k + 1 + count]) for k in range(4, len(data) - count, count + 1)]
            self._write_many(rows, now_s)
            return b"", 0.0
        if instruction == _BULK_WRITE:
            rows, k = [], 0
            while k + 5 <= len(data):
                start, count = np.frombuffer(data, "<u2", 2, k + 1).tolist()
                rows.append((data[k], start, data[k + 5 : k + 5 + count]))
                k += 5 + count
            self._write_many(rows, now_s)
            return b"", 0.0
        hearing = self._servos.hearing(now_s)
        places = hearing.values() if to == BROADCAST else [hearing[to]] if to in hearing else []
        answers = [self._answer(i, instruction, data, to == BROADCAST, now_s) for i in places]
        replies = b"".join(reply for reply, _ in answers)
        return replies, sum(delay_s for reply, delay_s in answers if reply)

    def _answer(self, i: int, instruction: int, data: bytes, broadcast: bool, now_s: float) -> tuple[bytes, float]:
        """One servo's answer to an instruction of its own, after doing what it says."""
        error, answer, level = 0, b"", 2
        if instruction == _PING:
            answer, level, broadcast = bytes(self._servos.seen(i)[[0, 1, 6]]), 0, False
        elif instruction == _READ:
            start, count = np.frombuffer(data, "<u2", 2).tolist()
            error, level = (0, 1) if start + count <= MEMORY else (_ACCESS, 1)
            answer = b"" if error else bytes(self._servos.seen(i)[start : start + count])
        elif instruction == _WRITE:
            error = self._servos.write(i, int.from_bytes(data[:2], "little"), data[2:], now_s)
        elif instruction == _REG_WRITE:
            self._registered[i] = (int.from_bytes(data[:2], "little"), data[2:])
        elif instruction == _ACTION:
            error = self._servos.write(i, *self._registered.pop(i), now_s) if i in self._registered else _UNKNOWN
        elif instruction != _REBOOT:
            error = _UNKNOWN
        reply = status(self._servos.identity(i), error | self._servos.alert(i), answer)
        if instruction == _REBOOT:
            self._servos.reboot(i, now_s)
            self._registered.pop(i, None)
        if self._servos.is_double(i):
            reply = _collided(reply)
        heard = not broadcast and level <= self._servos.status_level(i)
        return (reply if heard else b""), self._servos.return_delay_s(i)

    def _read_many(self, rows: Sequence[tuple[int, int, int]], fast: bool, now_s: float) -> tuple[bytes, float]:
        """Servos answer in the order of the request; each waits for the one before, so that a silent one ends it."""
        reply = start_of_it = fast_start(sum(count + 4 for *_, count in rows)) if fast else b""
        delay_s = 0.0
        crc = crc16(reply)
        hearing = self._servos.hearing(now_s)
        for to, start, count in rows:
            if to not in hearing or start + count > MEMORY:
                break
            i = hearing[to]
            answer = bytes(self._servos.seen(i)[start : start + count])
            if fast:
                part, crc = fast_block(self._servos.identity(i), self._servos.alert(i), answer, crc)
            else:
                part = status(self._servos.identity(i), self._servos.alert(i), answer)
            reply += _collided(part) if self._servos.is_double(i) else part
            delay_s += self._servos.return_delay_s(i)
        return (b"" if reply == start_of_it else reply), delay_s

    def _write_many(self, rows: Sequence[tuple[int, int, bytes]], now_s: float) -> None:
        """Nobody answers, whatever comes of it."""
        hearing = self._servos.hearing(now_s)
        for to, start, data in rows:
            if to in hearing:
                self._servos.write(hearing[to], start, data, now_s)


def _collided(reply: bytes) -> bytes:
    """What is heard when two servos say nearly the same at the same time: a one is only heard where both send it."""
    return bytes(a & b for a, b in zip(reply, reply[-1:] + reply[:-1], strict=True))


__all__ = ["DynamixelEmulator", "DynamixelServos"]
