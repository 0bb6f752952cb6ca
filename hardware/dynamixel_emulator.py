"""26 emulated Dynamixel X servos: Protocol 2.0 byte for byte, behind a pseudo-terminal in a process of its own.

Source of packets, errors and registers: ROBOTIS e-Manual, "DYNAMIXEL Protocol 2.0" and the X series' control tables.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial

import numpy as np

from . import dynamixel_table as table
from .bus import ServoMap
from .dynamixel_packets import BROADCAST, HEADER, crc16, fast_block, fast_start, status, unstuffed
from .dynamixel_table import REGISTERS, Register, column, raw
from .emulated_servos import Behind, LaggedServos, Physics
from .emulator import Emulator, Exchange, Fault

FAULTS: dict[str, str] = {
    "silent": "the servo does not answer, as if its plug were out",
    "deaf": "the servo does not take what is written to it",
    "alarm": "the servo sets the hardware error bits `value` (overload if 0) and cuts its torque",
    "overheat": "the servo is `value` °C hot (80 if 0)",
    "sag": "the supply falls to `value` volts (3.2 if 0)",
    "reboot": "the servo starts again: no torque, volatile registers lost",
    "encoder": "the servo reports the same position for ever",
    "stuck": "the servo answers, but from memory: its clock stands still",
    "duplicate": "a second servo has the same identity, and both answer at once",
    "model": "the servo says that it is model number `value`",
    "watchdog": "the servo's bus watchdog has fired: goals are read-only",
}
"""Faults of emulated Dynamixels, beside those of the line."""

_PING, _READ, _WRITE, _REG_WRITE, _ACTION, _REBOOT = 1, 2, 3, 4, 5, 8
_SYNC_READ, _SYNC_WRITE, _FAST_SYNC_READ, _BULK_READ, _BULK_WRITE, _FAST_BULK_READ = 0x82, 0x83, 0x8A, 0x92, 0x93, 0x9A
_UNKNOWN, _RANGE, _SHORT, _LIMIT, _ACCESS = 2, 4, 5, 6, 7
_MEMORY = 256
_BOOT_S = 0.25
_STALE_FRAME_S = 0.05
_LONGEST_FRAME = 1024
_SUPPLY_V = 5.0
_LOGGED_GOALS = 20_000


class DynamixelEmulator(Emulator):
    """`with DynamixelEmulator(servo_map) as emulator: DynamixelBus(emulator.port, servo_map)`.

    Args:
        servo_map: identities, models and limits of the servos; they stand at the rest pose.
        behind: makes the physics, in the emulator's process, from the map.
        baud: see `Emulator`.
        commissioned: with `False` the servos have the factory's limits and return delay instead of the map's.
    """

    def __init__(
        self,
        servo_map: ServoMap,
        *,
        behind: Callable[[ServoMap], Behind] = LaggedServos.at_rest,
        baud: int | None = 1_000_000,
        commissioned: bool = True,
    ):
        super().__init__(partial(DynamixelServos, servo_map, behind, commissioned), FAULTS, baud)


class DynamixelServos:
    """The servos on the line; a `Device`."""

    FAULTS = FAULTS

    def __init__(
        self,
        servo_map: ServoMap,
        behind: Callable[[ServoMap], Behind] = LaggedServos.at_rest,
        commissioned: bool = True,
    ):
        now_s = time.monotonic()
        self._names = [c.name for c in servo_map.channels]
        self._physics = Physics(behind(servo_map), now_s)
        rng = np.random.default_rng(0)
        count = len(self._names)
        self._clock_rate = 1 + 0.003 * rng.standard_normal(count)
        self._booted_s = now_s - rng.uniform(1, 30, count)
        self._memory = np.zeros((count, _MEMORY), np.uint8)
        for register in REGISTERS:
            self._set(register, np.full(count, register.initial))
        self._set(table.ID, servo_map.numbers)
        self._set(table.MODEL_NUMBER, [table.model_number(c.model or "XL330-M288") or 0 for c in servo_map.channels])
        if commissioned:
            self._set(table.MIN_POSITION_LIMIT, servo_map.limits_ticks[:, 0])
            self._set(table.MAX_POSITION_LIMIT, servo_map.limits_ticks[:, 1])
            self._set(table.RETURN_DELAY, np.zeros(count))
        self._set(table.GOAL_POSITION, np.rint(self._physics.now.position_tick))
        self._registered: dict[int, tuple[int, bytes]] = {}
        self._buffer, self._heard_s = b"", now_s
        self._frames: Counter[str] = Counter()
        self._goals: deque[tuple[float, np.ndarray]] = deque(maxlen=_LOGGED_GOALS)
        self._frozen: dict[int, np.ndarray] = {}
        self._held_tick = self._physics.now.position_tick.copy()  # where servos hold whose watchdog has fired
        self._asleep_until_s = np.full(count, -np.inf)
        self.heal()

    def receive(self, data: bytes, now_s: float) -> Iterator[Exchange]:
        if now_s - self._heard_s > _STALE_FRAME_S:
            self._buffer = b""
        self._watch(now_s)
        self._buffer += data
        while (frame := self._next_frame()) is not None:
            self._step(now_s)
            reply, delay_s = self._obey(frame, now_s)
            yield Exchange(frame, reply, delay_s)

    def inject(self, fault: Fault, now_s: float) -> None:
        self._step(now_s)
        hit = [self._names.index(fault.servo)] if fault.servo else list(range(len(self._names)))
        if fault.kind in ("silent", "deaf", "duplicate"):
            self._having[fault.kind].update(hit)
        elif fault.kind == "alarm":
            self._alarm(hit, int(fault.value) or 0x20)
        elif fault.kind == "overheat":
            self._heat_c[hit] = fault.value or 80.0
        elif fault.kind == "sag":
            self._supply_v = fault.value or 3.2
        elif fault.kind == "reboot":
            for i in hit:
                self._reboot(i, now_s)
        elif fault.kind == "encoder":
            self._seen_tick[hit] = self._physics.now.position_tick[hit]
        elif fault.kind == "stuck":
            self._frozen.update({i: self._memory[i].copy() for i in hit})
        elif fault.kind == "model":
            self._memory[hit, :2] = raw(np.array([fault.value]), table.MODEL_NUMBER)
        elif fault.kind == "watchdog":
            self._fire_watchdog(np.array(hit))
        self._step(now_s)

    def heal(self) -> None:
        self._having: dict[str, set[int]] = {"silent": set(), "deaf": set(), "duplicate": set()}
        self._heat_c = np.full(len(self._names), np.nan)
        self._seen_tick = np.full(len(self._names), np.nan)
        self._supply_v = _SUPPLY_V
        self._frozen.clear()

    def state(self, now_s: float) -> dict[str, np.ndarray | int]:
        """Goals taken since the last call (`goals`, (n, 26) ticks at `goal_times_s`), and what is so now."""
        self._step(now_s)
        times = np.array([t for t, _ in self._goals])
        goals = np.array([g for _, g in self._goals]).reshape(-1, len(self._names))
        self._goals.clear()
        return {
            "goals": goals,
            "goal_times_s": times,
            "goal": self._get(table.GOAL_POSITION),
            "position": self._physics.now.position_tick.copy(),
            "torque": self._torque,
            "hardware_error": self._get(table.HARDWARE_ERROR),
            "low_limit": self._get(table.MIN_POSITION_LIMIT),
            "high_limit": self._get(table.MAX_POSITION_LIMIT),
            **{f"frames_{name}": count for name, count in self._frames.items()},
        }

    # frames

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
        hearing = self._hearing(now_s)
        places = hearing.values() if to == BROADCAST else [hearing[to]] if to in hearing else []
        answers = [self._answer(i, instruction, data, to == BROADCAST, now_s) for i in places]
        replies = b"".join(reply for reply, _ in answers)
        return replies, sum(delay_s for reply, delay_s in answers if reply)

    def _answer(self, i: int, instruction: int, data: bytes, broadcast: bool, now_s: float) -> tuple[bytes, float]:
        """One servo's answer to an instruction of its own, after doing what it says."""
        error, answer, level = 0, b"", 2
        if instruction == _PING:
            answer, level, broadcast = bytes(self._seen(i)[[0, 1, 6]]), 0, False
        elif instruction == _READ:
            start, count = np.frombuffer(data, "<u2", 2).tolist()
            error, level = (0, 1) if start + count <= _MEMORY else (_ACCESS, 1)
            answer = b"" if error else bytes(self._seen(i)[start : start + count])
        elif instruction == _WRITE:
            error = self._write(i, int.from_bytes(data[:2], "little"), data[2:], now_s)
        elif instruction == _REG_WRITE:
            self._registered[i] = (int.from_bytes(data[:2], "little"), data[2:])
        elif instruction == _ACTION:
            error = self._write(i, *self._registered.pop(i), now_s) if i in self._registered else _UNKNOWN
        elif instruction != _REBOOT:
            error = _UNKNOWN
        reply = status(self._id(i), error | self._alert(i), answer)
        if instruction == _REBOOT:
            self._reboot(i, now_s)
        if i in self._having["duplicate"]:
            reply = _collided(reply)
        heard = not broadcast and level <= self._memory[i, table.STATUS_RETURN_LEVEL.address]
        return (reply if heard else b""), self._return_delay_s(i)

    def _read_many(self, rows: Sequence[tuple[int, int, int]], fast: bool, now_s: float) -> tuple[bytes, float]:
        """Servos answer in the order of the request; each waits for the one before, so that a silent one ends it."""
        reply = start_of_it = fast_start(sum(count + 4 for *_, count in rows)) if fast else b""
        delay_s = 0.0
        crc = crc16(reply)
        hearing = self._hearing(now_s)
        for to, start, count in rows:
            if to not in hearing or start + count > _MEMORY:
                break
            i = hearing[to]
            answer = bytes(self._seen(i)[start : start + count])
            if fast:
                part, crc = fast_block(self._id(i), self._alert(i), answer, crc)
            else:
                part = status(self._id(i), self._alert(i), answer)
            reply += _collided(part) if i in self._having["duplicate"] else part
            delay_s += self._return_delay_s(i)
        return (b"" if reply == start_of_it else reply), delay_s

    def _write_many(self, rows: Sequence[tuple[int, int, bytes]], now_s: float) -> None:
        """Nobody answers, whatever comes of it."""
        hearing = self._hearing(now_s)
        for to, start, data in rows:
            if to in hearing:
                self._write(hearing[to], start, data, now_s)

    # servos

    def _hearing(self, now_s: float) -> dict[int, int]:
        """Identity → place of the servos that are awake, in the order in which they answer a broadcast."""
        awake = (self._asleep_until_s <= now_s).tolist()
        ids = self._memory[:, table.ID.address].tolist()
        silent = self._having["silent"]
        return dict(sorted((ids[i], i) for i in range(len(ids)) if awake[i] and i not in silent))

    def _write(self, i: int, start: int, data: bytes, now_s: float) -> int:
        """Write into one servo's memory; return the error number. Nothing is written on an error."""
        end = start + len(data)
        memory = self._memory[i]
        touched = _touched(start, end)
        if end > _MEMORY or any(not r.writable for r in touched):
            return _ACCESS
        if start < table.EEPROM_SIZE and memory[table.TORQUE_ENABLE.address]:
            return _ACCESS
        if any(r.address < start or r.end > end for r in touched):
            return _SHORT
        after = memory.copy()
        after[start:end] = np.frombuffer(data, np.uint8)
        error = _bounds_error(after, touched, memory)
        if error or i in self._having["deaf"]:
            return error
        if table.TORQUE_ENABLE in touched and self._shut_down(i):
            after[table.TORQUE_ENABLE.address] = 0
        self._memory[i] = after
        if table.GOAL_POSITION in touched:
            self._log_goals(now_s)
        return 0

    def _log_goals(self, now_s: float) -> None:
        goal = self._get(table.GOAL_POSITION)
        if self._goals and self._goals[-1][0] == now_s:
            self._goals[-1] = (now_s, goal)  # the same frame
        else:
            self._goals.append((now_s, goal))

    def _step(self, now_s: float) -> None:
        """Let the physics run until now, and show it in the registers."""
        fired = self._get(table.BUS_WATCHDOG) == table.WATCHDOG_FIRED
        goal = np.where(fired, self._held_tick, self._get(table.GOAL_POSITION))
        now = self._physics.advance(goal, self._torque, now_s)
        position = np.where(np.isnan(self._seen_tick), now.position_tick, self._seen_tick)
        temperature = np.where(np.isnan(self._heat_c), now.temperature_c, self._heat_c)
        self._set(table.PRESENT_POSITION, np.rint(position))
        self._set(table.PRESENT_CURRENT, np.rint(now.current_a / self._current_units()))
        self._set(table.PRESENT_TEMPERATURE, np.clip(temperature, 0, 255))
        self._set(table.PRESENT_VOLTAGE, np.full(len(self._names), round(self._supply_v / table.VOLTAGE_UNIT_V)))
        milliseconds = 1e3 * (now_s - self._booted_s) * self._clock_rate
        self._set(table.REALTIME_TICK, milliseconds.astype(np.int64) % table.TICK_WRAPS_MS)
        hot = temperature > self._get(table.TEMPERATURE_LIMIT)
        volts = self._get(table.PRESENT_VOLTAGE)
        low = (volts < self._get(table.MIN_VOLTAGE_LIMIT)) | (volts > self._get(table.MAX_VOLTAGE_LIMIT))
        self._alarm(np.flatnonzero(hot).tolist(), 0x04)
        self._alarm(np.flatnonzero(low).tolist(), 0x01)

    def _alarm(self, hit: list[int], bits: int) -> None:
        self._memory[hit, table.HARDWARE_ERROR.address] |= np.uint8(bits)
        for i in hit:
            if self._shut_down(i):
                self._memory[i, table.TORQUE_ENABLE.address] = 0

    def _shut_down(self, i: int) -> bool:
        return bool(self._memory[i, table.HARDWARE_ERROR.address] & self._memory[i, table.SHUTDOWN.address])

    def _reboot(self, i: int, now_s: float) -> None:
        for register in REGISTERS:
            if register.address >= table.EEPROM_SIZE:
                self._memory[i, register.address : register.end] = raw(np.array([register.initial]), register)
        position = np.rint(self._physics.now.position_tick[[i]])
        self._memory[i, table.GOAL_POSITION.address : table.GOAL_POSITION.end] = raw(position, table.GOAL_POSITION)
        self._booted_s[i] = now_s
        self._asleep_until_s[i] = now_s + _BOOT_S
        self._registered.pop(i, None)

    def _watch(self, now_s: float) -> None:
        """The bus watchdog of each servo: nothing heard for too long, so it stops where it is and takes no goals."""
        limit_s = self._get(table.BUS_WATCHDOG) * table.BUS_WATCHDOG_UNIT_S
        fired = self._torque & (limit_s > 0) & (now_s - self._heard_s > limit_s)
        if fired.any():
            self._step(self._heard_s + limit_s[fired].min())
            self._fire_watchdog(np.flatnonzero(fired))
        self._heard_s = now_s

    def _fire_watchdog(self, hit: np.ndarray) -> None:
        self._memory[hit, table.BUS_WATCHDOG.address] = 0xFF
        self._held_tick[hit] = self._physics.now.position_tick[hit]

    # memory

    def _seen(self, i: int) -> np.ndarray:
        """A servo's memory as a reader gets it, (256,) uint8."""
        return self._frozen[i] if i in self._frozen else self._memory[i]

    @property
    def _torque(self) -> np.ndarray:
        return self._memory[:, table.TORQUE_ENABLE.address] == 1

    def _current_units(self) -> np.ndarray:
        models = (table.MODELS.get(n) for n in self._get(table.MODEL_NUMBER).tolist())
        return np.array([(m.current_unit_a if m else None) or 1e-3 for m in models])

    def _return_delay_s(self, i: int) -> float:
        return float(self._memory[i, table.RETURN_DELAY.address]) * table.RETURN_DELAY_UNIT_S

    def _id(self, i: int) -> int:
        return int(self._memory[i, table.ID.address])

    def _alert(self, i: int) -> int:
        return table.ALERT if self._memory[i, table.HARDWARE_ERROR.address] else 0

    def _get(self, register: Register) -> np.ndarray:
        return column(self._memory, 0, register)

    def _set(self, register: Register, values: Sequence[float] | np.ndarray) -> None:
        self._memory[:, register.address : register.end] = raw(np.asarray(values).astype(np.int64), register)


@cache
def _touched(start: int, end: int) -> tuple[Register, ...]:
    return tuple(r for r in REGISTERS if r.address < end and start < r.end)


def _bounds_error(after: np.ndarray, touched: tuple[Register, ...], before: np.ndarray) -> int:
    """Error number of a servo's memory, (256,), as it would be after a write to the registers `touched`; 0 is none."""

    def value(register: Register, memory: np.ndarray = after) -> int:
        return int(column(memory[None], 0, register)[0])

    for register in touched:
        if register is table.GOAL_POSITION:
            if value(table.BUS_WATCHDOG, before) == table.WATCHDOG_FIRED:
                return _RANGE
            low, high = value(table.MIN_POSITION_LIMIT), value(table.MAX_POSITION_LIMIT)
            if value(table.OPERATING_MODE) == table.POSITION_MODE and not low <= value(register) <= high:
                return _LIMIT
        elif (limit := _LARGEST.get(register)) is not None and not 0 <= value(register) <= limit:
            return _RANGE
    return 0


_LARGEST: dict[Register, int] = {
    table.TORQUE_ENABLE: 1,
    table.LED: 1,
    table.ID: 252,
    table.RETURN_DELAY: 254,
    table.STATUS_RETURN_LEVEL: 2,
    table.BUS_WATCHDOG: 127,
    table.MIN_POSITION_LIMIT: table.TICKS_PER_TURN - 1,
    table.MAX_POSITION_LIMIT: table.TICKS_PER_TURN - 1,
}


def _collided(reply: bytes) -> bytes:
    """What is heard when two servos say nearly the same at the same time: a one is only heard where both send it."""
    return bytes(a & b for a, b in zip(reply, reply[-1:] + reply[:-1], strict=True))


__all__ = ["FAULTS", "DynamixelEmulator", "DynamixelServos"]
