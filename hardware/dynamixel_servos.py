"""What emulated Dynamixel X servos are inside: registers, alarms, clocks, faults, and a physics that moves them."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from . import dynamixel_table as table
from .bus import ServoMap
from .dynamixel_table import REGISTERS, Register, column, raw
from .emulated_servos import Behind, LaggedServos, Physics
from .emulator import Fault

FAULTS: dict[str, str] = {
    "silent": "the servo does not answer, as if its plug were out",
    "deaf": "the servo does not take what is written to it",
    "alarm": "the servo sets the hardware error bits `value` (overload if 0) and cuts its torque",
    "overheat": "the servo is `value` °C hot (80 if 0)",
    "sag": "the supply falls to `value` volts (3.2 if 0)",
    "reboot": "the servo starts again: no torque, volatile registers lost",
    "encoder": "the servo reports the same position for ever",
    "blocked": "the servo cannot move, and draws the current of a stall when it should",
    "slip": "the servo's encoder has slipped by `value` ticks (600 if 0), which its own control does not notice",
    "stuck": "the servo answers, but from memory: its clock stands still",
    "duplicate": "a second servo has the same identity, and both answer at once",
    "model": "the servo says that it is model number `value`",
    "limits": "the servo's stored highest position is `value` (4095 if 0)",
    "mode": "the servo's stored operating mode is `value` (current control if 0)",
    "limp": "the servo has lost its torque, and nothing else",
    "watchdog": "the servo's bus watchdog has fired: goals are read-only",
}
"""Faults of emulated Dynamixels, beside those of the line."""

MEMORY = 256
"""Bytes of a servo's control table."""
_RANGE, _SHORT, _LIMIT, _ACCESS = 4, 5, 6, 7
_BOOT_S = 0.25
_SUPPLY_V = 5.0
_STALL_A, _STALLED_TICKS = 1.4, 20
_LOGGED_GOALS = 20_000


class EmulatedServos:
    """The servos of a map; places count in the order of `SERVO_NAMES`. Arguments as of `DynamixelEmulator`."""

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
        self._memory = np.zeros((count, MEMORY), np.uint8)
        for register in REGISTERS:
            self._set(register, np.full(count, register.initial))
        self._set(table.ID, servo_map.numbers)
        self._set(table.MODEL_NUMBER, [table.model_number(c.model or "XL330-M288") or 0 for c in servo_map.channels])
        if commissioned:
            self._set(table.MIN_POSITION_LIMIT, servo_map.limits_ticks[:, 0])
            self._set(table.MAX_POSITION_LIMIT, servo_map.limits_ticks[:, 1])
            self._set(table.RETURN_DELAY, np.zeros(count))
        self._set(table.GOAL_POSITION, np.rint(self._physics.now.position_tick))
        self._goals: deque[tuple[float, np.ndarray, np.ndarray]] = deque(maxlen=_LOGGED_GOALS)
        self._written_s: float | None = None
        self._frozen: dict[int, np.ndarray] = {}
        self._held_tick = self._physics.now.position_tick.copy()  # where servos hold whose watchdog has fired
        self._asleep_until_s = np.full(count, -np.inf)
        self.heal()

    def inject(self, fault: Fault, now_s: float) -> None:
        """Have one of `FAULTS` from now on."""
        self.advance(now_s)
        hit = [self._names.index(fault.servo)] if fault.servo else list(range(len(self._names)))
        if fault.kind in ("silent", "deaf", "duplicate", "blocked"):
            self._having[fault.kind].update(hit)
        elif fault.kind == "alarm":
            self._alarm(hit, int(fault.value) or 0x20)
        elif fault.kind == "overheat":
            self._heat_c[hit] = fault.value or 80.0
        elif fault.kind == "sag":
            self._supply_v = fault.value or 3.2
        elif fault.kind == "reboot":
            for i in hit:
                self.reboot(i, now_s)
        elif fault.kind == "encoder":
            self._seen_tick[hit] = self._physics.now.position_tick[hit]
        elif fault.kind == "slip":
            self._slip_tick[hit] = fault.value or 600.0
        elif fault.kind == "stuck":
            self._frozen.update({i: self._memory[i].copy() for i in hit})
        elif fault.kind == "model":
            self._memory[hit, :2] = raw(np.array([fault.value]), table.MODEL_NUMBER)
        elif fault.kind == "limits":
            place = slice(table.MAX_POSITION_LIMIT.address, table.MAX_POSITION_LIMIT.end)
            self._memory[hit, place] = raw(np.array([fault.value or 4095]), table.MAX_POSITION_LIMIT)
        elif fault.kind == "mode":
            self._memory[hit, table.OPERATING_MODE.address] = int(fault.value)
        elif fault.kind == "limp":
            self._memory[hit, table.TORQUE_ENABLE.address] = 0
        elif fault.kind == "watchdog":
            self._fire_watchdog(np.array(hit))
        self.advance(now_s)

    def heal(self) -> None:
        """Be well again; alarms last until a reboot, and what is stored in a servo stays as it is."""
        self._having: dict[str, set[int]] = {k: set() for k in ("silent", "deaf", "duplicate", "blocked")}
        self._heat_c = np.full(len(self._names), np.nan)
        self._seen_tick = np.full(len(self._names), np.nan)
        self._slip_tick = np.zeros(len(self._names))
        self._supply_v = _SUPPLY_V
        self._frozen.clear()

    def state(self, now_s: float) -> dict[str, np.ndarray | int]:
        """What is so now, and since the last call: `goals`, (n, 26) ticks, taken at `goal_times_s` with `goal_torque`,
        and `positions`, (m, 26) ticks, where the servos really were at `position_times_s`.
        """
        self.advance(now_s)
        times = np.array([t for t, *_ in self._goals])
        goals, torque = (np.array([row[k] for row in self._goals]).reshape(-1, len(self._names)) for k in (1, 2))
        self._goals.clear()
        return self._physics.moved() | {
            "goals": goals,
            "goal_times_s": times,
            "goal_torque": torque,
            "goal": self._get(table.GOAL_POSITION),
            "position": self._physics.now.position_tick.copy(),
            "torque": self._torque,
            "hardware_error": self._get(table.HARDWARE_ERROR),
            "low_limit": self._get(table.MIN_POSITION_LIMIT),
            "high_limit": self._get(table.MAX_POSITION_LIMIT),
        }

    def hearing(self, now_s: float) -> dict[int, int]:
        """Identity → place of the servos that are awake, in the order in which they answer a broadcast."""
        awake = (self._asleep_until_s <= now_s).tolist()
        ids = self._memory[:, table.ID.address].tolist()
        silent = self._having["silent"]
        return dict(sorted((ids[i], i) for i in range(len(ids)) if awake[i] and i not in silent))

    def write(self, i: int, start: int, data: bytes, now_s: float) -> int:
        """Write into one servo's memory; return the error number. Nothing is written on an error."""
        end = start + len(data)
        memory = self._memory[i]
        touched = _touched(start, end)
        if end > MEMORY or any(not r.writable for r in touched):
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
            self._written_s = now_s
        return 0

    def advance(self, now_s: float) -> None:
        """Let the physics run until now, and show it in the registers; due before every frame."""
        if self._written_s is not None:
            self._goals.append((self._written_s, self._get(table.GOAL_POSITION), self._torque))
            self._written_s = None
        fired = self._get(table.BUS_WATCHDOG) == table.WATCHDOG_FIRED
        goal = np.where(fired, self._held_tick, self._get(table.GOAL_POSITION))
        blocked = np.zeros(len(self._names), bool)
        blocked[list(self._having["blocked"])] = True
        now = self._physics.advance(goal, self._torque & ~blocked, now_s)
        stalled = blocked & self._torque & (np.abs(goal - now.position_tick) > _STALLED_TICKS)
        current = np.where(stalled, _STALL_A, now.current_a)
        position = np.where(np.isnan(self._seen_tick), now.position_tick + self._slip_tick, self._seen_tick)
        temperature = np.where(np.isnan(self._heat_c), now.temperature_c, self._heat_c)
        self._set(table.PRESENT_POSITION, np.rint(position))
        self._set(table.PRESENT_CURRENT, np.rint(current / self._current_units()))
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

    def reboot(self, i: int, now_s: float) -> None:
        """Start a servo again: deaf for a while, then as after power-up."""
        for register in REGISTERS:
            if register.address >= table.EEPROM_SIZE:
                self._memory[i, register.address : register.end] = raw(np.array([register.initial]), register)
        position = np.rint(self._physics.now.position_tick[[i]])
        self._memory[i, table.GOAL_POSITION.address : table.GOAL_POSITION.end] = raw(position, table.GOAL_POSITION)
        self._booted_s[i] = now_s
        self._asleep_until_s[i] = now_s + _BOOT_S

    def watch(self, heard_s: float, now_s: float) -> None:
        """The bus watchdog of each servo: nothing heard for too long, so it stops where it is and takes no goals."""
        limit_s = self._get(table.BUS_WATCHDOG) * table.BUS_WATCHDOG_UNIT_S
        fired = self._torque & (limit_s > 0) & (now_s - heard_s > limit_s)
        if fired.any():
            self.advance(heard_s + limit_s[fired].min())
            self._fire_watchdog(np.flatnonzero(fired))

    def _fire_watchdog(self, hit: np.ndarray) -> None:
        self._memory[hit, table.BUS_WATCHDOG.address] = 0xFF
        self._held_tick[hit] = self._physics.now.position_tick[hit]

    def seen(self, i: int) -> np.ndarray:
        """A servo's memory as a reader gets it, (256,) uint8."""
        return self._frozen[i] if i in self._frozen else self._memory[i]

    @property
    def _torque(self) -> np.ndarray:
        return self._memory[:, table.TORQUE_ENABLE.address] == 1

    def _current_units(self) -> np.ndarray:
        models = (table.MODELS.get(n) for n in self._get(table.MODEL_NUMBER).tolist())
        return np.array([(m.current_unit_a if m else None) or 1e-3 for m in models])

    def return_delay_s(self, i: int) -> float:
        """Time that it waits before it answers."""
        return float(self._memory[i, table.RETURN_DELAY.address]) * table.RETURN_DELAY_UNIT_S

    def identity(self, i: int) -> int:
        """What it is called on the bus."""
        return int(self._memory[i, table.ID.address])

    def is_double(self, i: int) -> bool:
        """Whether a second servo answers to the same identity."""
        return i in self._having["duplicate"]

    def status_level(self, i: int) -> int:
        """0: it answers pings only; 1: and reads; 2: everything."""
        return int(self._memory[i, table.STATUS_RETURN_LEVEL.address])

    def alert(self, i: int) -> int:
        """The alert bit of its answers: a hardware error is set."""
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


__all__ = ["FAULTS", "MEMORY", "EmulatedServos"]
