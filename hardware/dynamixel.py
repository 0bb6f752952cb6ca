"""Dynamixel Protocol 2.0: 26 servos of the X series that say where they are.

Every reply carries the servo's own clock, so that nothing old or repeated passes for new; what was written is read
back a few times a second; a servo that started again or lost its torque is found out.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from ..sim.errors import BusError
from ..sim.robot.servo import index
from . import dynamixel_table as table
from .bus import ALIVE_S, Bus, Capabilities, Feedback, Found, ServoMap
from .dynamixel_clock import ServoClocks
from .dynamixel_inspection import inspect
from .dynamixel_packets import BROADCAST, packet
from .dynamixel_table import Register, column, raw
from .dynamixel_wire import BadPacket, Wire
from .keeper import Keeper
from .ownership import DeviceLock, forget, let_go_at_exit

POLL_S = 0.1
"""Between looks at one of: torque and errors, goals, temperature and voltage."""
_MOTION = (table.REALTIME_TICK, table.PRESENT_POSITION)
_HEALTH = (table.TORQUE_ENABLE, table.HARDWARE_ERROR)
_GOAL = (table.GOAL_POSITION, table.GOAL_POSITION)
_WARMTH = (table.PRESENT_VOLTAGE, table.PRESENT_TEMPERATURE)
_START_TOLERANCE = 0.02
_LIMP_S = 0.25
_SEARCH_S = 0.3
_SYNC_WRITE = 0x83
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class DynamixelBus(Bus):
    """Dynamixel servos on a serial port, a socket or whatever else pyserial opens.

    `read` and `write` cost one packet each way; at 1 Mbaud 26 servos do both more than 100 times a second.

    Args:
        port: device or pyserial URL.
        servo_map: which servo has which identity; `dynamixel_table.default_map()` if not given.
        baud: speed of the line, as the servos have it.
    """

    capabilities = Capabilities(feedback=True, current=True, temperature=True, voltage=True, torque_off=True)

    def __init__(self, port: str, servo_map: ServoMap | None = None, baud: int = 1_000_000):
        self.servo_map = servo_map or table.default_map()
        self._port, self._baud = port, baud
        self._keeper: Keeper | None = None
        self._mutex = threading.RLock()
        self._lock = DeviceLock(port)
        try:
            self._wire = Wire(port, baud, self.servo_map.numbers.tolist())
        except BaseException:
            self._lock.release()
            raise
        self._names = [c.name for c in self.servo_map.channels]
        self._clocks = ServoClocks()
        self._open, self._known, self._latched = True, False, ""
        self._powered = np.zeros(len(self._names), bool)
        self._goal: np.ndarray | None = None
        self._heard_s = self._polled_s = -np.inf
        self._polls = 0
        nothing = np.full(len(self._names), np.nan)
        self._current_unit_a = self._voltage = self._temperature = nothing
        self._error = np.zeros(len(self._names), np.int64)
        let_go_at_exit(self, self.close)

    def handshake(self) -> tuple[Found, ...]:
        """Make sure that 26 servos answer, are what the map says, and are set up for it.

        Raises `BusError` that lists every servo that is missing or different.
        """
        with self._mutex:
            self._alive_or_raise()
            seen = inspect(self._wire, self.servo_map, self._port)
            if parts := [*seen.strange, *seen.setup]:
                hint = "; `commission` writes the map's limits, mode and delay into the servos" if seen.setup else ""
                things = f"{len(parts)} things are" if len(parts) > 1 else "one thing is"
                raise BusError(f"{self._port}: {things} not as the map says: {'; '.join(parts)}{hint}")
            self._current_unit_a, self._wire.fast = seen.current_unit_a, seen.fast
            self._known, self._latched = True, ""
            self._clocks.forget()
            self._powered = self._again(self._look_at_health)
            self._again(self._poll_warmth)
            return seen.found

    def commission(self) -> tuple[Found, ...]:
        """Write the map's limits, position mode and no return delay into the servos' EEPROM, once, and shake hands.

        Torque goes off for it. Raises `BusError` if a servo is missing or of another model; then nothing is written.
        """
        with self._mutex:
            self._alive_or_raise()
            seen = inspect(self._wire, self.servo_map, self._port)
            if seen.strange:
                raise BusError(f"{self._port}: nothing was written: {'; '.join(seen.strange)}")
            self.torque(False)
            for number, (low, high) in zip(self.servo_map.numbers.tolist(), self.servo_map.limits_ticks, strict=True):
                for register, value in (
                    (table.RETURN_DELAY, 0),
                    (table.DRIVE_MODE, 0),
                    (table.OPERATING_MODE, table.POSITION_MODE),
                    (table.MIN_POSITION_LIMIT, low),
                    (table.MAX_POSITION_LIMIT, high),
                ):
                    self._again(lambda n=number, r=register, v=value: self._write_one(n, r, v))
            return self.handshake()

    def write(self, command: np.ndarray) -> np.ndarray:
        goal = self.servo_map.to_ticks(command)
        with self._mutex:
            self._known_or_raise()
            self._wire.write_group(table.GOAL_POSITION.address, raw(goal, table.GOAL_POSITION))
            self._goal = goal
        return self.servo_map.to_command(goal)

    def read(self) -> Feedback:
        with self._mutex:
            self._known_or_raise()
            ticks, current, alarm = self._again(self._read_motion)
            now = time.monotonic()
            if now - self._polled_s > POLL_S:
                self._polled_s = now
                self._polls += 1
                self._again((self._poll_health, self._poll_goal, self._poll_warmth)[self._polls % 3])
            if (alarm != (self._error != 0)).any():
                self._again(self._poll_health)
            return Feedback(
                time_s=self._heard_s,
                position=self.servo_map.to_command(ticks),
                current_a=current * self._current_unit_a,
                temperature_c=self._temperature,
                voltage_v=self._voltage,
                error=self._error,
            )

    def torque(self, on: bool) -> None:
        """See `Bus.torque`. On: every servo's goal is made where it stands before; all are on, or none."""
        with self._mutex:
            self._alive_or_raise()
            if not on:
                self._limp(np.ones(len(self._names), bool))
                return
            if self._latched or not self._known:
                self.handshake()
            try:
                self._stiffen()
            except BaseException:
                with contextlib.suppress(BusError):
                    self._limp(np.ones(len(self._names), bool))
                raise

    def relax(self) -> None:
        with self._mutex:
            self._alive_or_raise()
            self._limp(self.servo_map.relaxes)

    def spell(self, bits: int) -> str:
        return table.describe_hardware_error(bits)

    def restart(self, name: str) -> None:
        """Start a servo again, the only way out of its hardware error; then shake hands and switch torque on anew."""
        with self._mutex:
            self._alive_or_raise()
            self._wire.restart(int(self.servo_map.numbers[index(name)]))
            self._latched = f"{name} was restarted"
            time.sleep(0.5)

    @property
    def is_alive(self) -> bool:
        return self._open and not self._latched and time.monotonic() - self._heard_s < ALIVE_S

    def close(self) -> None:
        mine = self._mutex.acquire(timeout=0.5)  # whoever else holds it is stuck, and this may be the last chance
        try:
            if not self._open:
                return
            self._wire.hurry()
            if self._powered.any():
                try:
                    self._limp(np.ones(len(self._names), bool))
                except BusError as error:
                    _log.error("torque could not be switched off: %s", error)
            self._open = False
            self._wire.close()
            if self._keeper is not None:
                self._keeper.dismiss()
            self._lock.release()
            forget(self)
        finally:
            if mine:
                self._mutex.release()

    # reading

    def _read_motion(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        sent_s = time.monotonic()
        block, alarm = self._block(*_MOTION)
        now = time.monotonic()
        ticks_ms = column(block, _MOTION[0].address, table.REALTIME_TICK)
        off_s = self._clocks.judge(ticks_ms, sent_s, now)
        if off_s.any():
            raise BadPacket(self._old(off_s))
        self._clocks.keep(ticks_ms, sent_s, now)
        self._heard_s = now
        position = column(block, _MOTION[0].address, table.PRESENT_POSITION)
        return position, column(block, _MOTION[0].address, table.PRESENT_CURRENT), alarm

    def _old(self, off_s: np.ndarray) -> str:
        """Words for clocks that are `off_s`; those that went on from nought have restarted, which is remembered."""
        which = ", ".join(f"{self._names[i]} {off_s[i]:+.2f} s" for i in np.flatnonzero(off_s))
        return f"an old answer, or a servo that restarted or hangs (its clock is off: {which})"

    def _look_at_health(self) -> np.ndarray:
        block, _ = self._block(*_HEALTH)
        self._error = column(block, _HEALTH[0].address, table.HARDWARE_ERROR)
        return column(block, _HEALTH[0].address, table.TORQUE_ENABLE) == 1

    def _poll_health(self) -> None:
        lost = self._powered & ~self._look_at_health() & (self._error == 0)
        if lost.any():
            self._latched = f"{self._list(lost)} lost torque; did the supply fail?"
            raise BusError(f"{self._port}: {self._latched}")

    def _poll_goal(self) -> None:
        """Writes are not answered, so look whether they arrived; a lost one is sent once more."""
        if self._goal is None or not self._powered.any():
            return
        block, _ = self._block(*_GOAL)
        if not (lost := self._not_taken(block)).any():
            return
        places = np.flatnonzero(lost).tolist()  # the others may be limp, for all we know
        self._wire.write_group(table.GOAL_POSITION.address, raw(self._goal[places], table.GOAL_POSITION), places)
        block, _ = self._block(*_GOAL)
        if (lost := self._not_taken(block)).any():
            self._latched = f"{self._list(lost)} did not take the goal; a bus watchdog or a limit forbids it"
            raise BusError(f"{self._port}: {self._latched}")

    def _not_taken(self, block: np.ndarray) -> np.ndarray:
        return self._powered & (column(block, _GOAL[0].address, table.GOAL_POSITION) != self._goal)

    def _poll_warmth(self) -> None:
        block, _ = self._block(*_WARMTH)
        self._voltage = column(block, _WARMTH[0].address, table.PRESENT_VOLTAGE) * table.VOLTAGE_UNIT_V
        self._temperature = column(block, _WARMTH[0].address, table.PRESENT_TEMPERATURE).astype(float)

    def _block(self, first: Register, last: Register) -> tuple[np.ndarray, np.ndarray]:
        return self._wire.read_group(first.address, last.end - first.address)

    def _again(self, attempt: Callable[[], _T]) -> _T:
        """Try twice; a single lost packet is no news. The second failure says who does not answer."""
        try:
            return attempt()
        except BadPacket:
            pass
        try:
            return attempt()
        except BadPacket as error:
            if self._clocks.restarted is not None:
                self._latched = f"{self._list(self._clocks.restarted)} restarted: torque off, settings lost"
                raise BusError(f"{self._port}: {self._latched}; switch torque on anew") from error
            raise BusError(f"{self._port}: {error}{self._who_is_silent()}") from error

    def _who_is_silent(self) -> str:
        silent, until_s = np.zeros(len(self._names), bool), time.monotonic() + _SEARCH_S
        for place, number in enumerate(self.servo_map.numbers.tolist()):
            if time.monotonic() > until_s:
                return f"; no answer from {self._list(silent)} …"
            silent[place] = self._wire.ping(number) is None
        return f"; no answer from {self._list(silent)}" if silent.any() else ""

    # torque

    def _stiffen(self) -> None:
        position, _, _ = self._again(self._read_motion)
        self._again(self._poll_health)
        if (self._error != 0).any():
            raise BusError(f"{self._port}: {self._errors()}; `restart` each, when its cause is gone")
        low, high = self.servo_map.limits_ticks.T
        slack = np.ceil(_START_TOLERANCE * (high - low))
        outside = (position < low - slack) | (position > high + slack)
        if outside.any():
            where = ", ".join(f"{self._names[i]} at tick {position[i]}" for i in np.flatnonzero(outside))
            raise BusError(f"{self._port}: {where}: outside the map's limits; move it inside by hand")
        nought = np.zeros(len(self._names), np.int64)
        self._wire.write_group(table.BUS_WATCHDOG.address, raw(nought, table.BUS_WATCHDOG))
        self._goal = np.clip(position, low, high)
        self._wire.write_group(table.GOAL_POSITION.address, raw(self._goal, table.GOAL_POSITION))
        self._powered[:] = True
        self._keeper = self._keeper or Keeper(self._port, self._baud, self._last_words())
        self._again(self._poll_goal)
        self._wire.write_group(table.TORQUE_ENABLE.address, raw(nought + 1, table.TORQUE_ENABLE))
        self._again(self._poll_health)

    def _limp(self, which: np.ndarray) -> None:
        """Torque off for some servos, (26,) bool: said three times to all at once, then to each that has not obeyed."""
        places = np.flatnonzero(which).tolist()
        self._powered = self._powered & ~which
        for _ in range(3):
            self._wire.write_group(table.TORQUE_ENABLE.address, np.zeros((len(places), 1), np.uint8), places)
        try:
            still = which & self._look_at_health()
        except BadPacket:
            still = which.copy()
        until = time.monotonic() + _LIMP_S
        for i in np.flatnonzero(still).tolist():
            with contextlib.suppress(BadPacket, BusError):
                if time.monotonic() < until:
                    self._write_one(int(self.servo_map.numbers[i]), table.TORQUE_ENABLE, 0)
                    still[i] = False
        if still.any():
            raise BusError(f"{self._port}: {self._list(still)} may still have torque; switch the servos' supply off")

    def _last_words(self) -> bytes:
        """Torque off for all servos that are to relax after a fault."""
        numbers = self.servo_map.numbers[self.servo_map.relaxes]
        rows = np.column_stack([numbers, np.zeros_like(numbers)]).astype(np.uint8)
        where = np.array([table.TORQUE_ENABLE.address, 1], "<u2").tobytes()
        return packet(BROADCAST, _SYNC_WRITE, where + rows.tobytes())

    def _write_one(self, number: int, register: Register, value: int) -> None:
        self._wire.write(number, register.address, raw(np.array([value]), register).tobytes())

    def _alive_or_raise(self) -> None:
        if not self._open:
            raise BusError(f"{self._port}: this bus is closed; open a new one")

    def _known_or_raise(self) -> None:
        self._alive_or_raise()
        if self._latched:
            raise BusError(f"{self._port}: {self._latched}; switch torque on anew when it is well")
        if not self._known:
            raise BusError(f"{self._port}: nobody knows yet what hangs here; call `handshake` first")

    def _list(self, which: np.ndarray) -> str:
        return ", ".join(f"{self._names[i]} ({self.servo_map.channels[i].number})" for i in np.flatnonzero(which))

    def _errors(self) -> str:
        return "; ".join(
            f"{self._names[i]}: {table.describe_hardware_error(int(self._error[i]))}"
            for i in np.flatnonzero(self._error)
        )


__all__ = ["POLL_S", "DynamixelBus"]
