"""The vendor's SDK, made safe: no late reply for the next one, no reply without its error byte, no wait without end.

What the SDK 4.1 does by itself: a reply that comes after its time-out is taken for the answer to the next request; a
group read drops every servo's error byte and reads a missing servo as 0; a pulled cable leaves its port busy for
ever; a babbling line is read for ever; two programs open one port; waiting burns a core by the wall clock.
"""

import functools
import itertools
import logging
import os
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import serial

from ..sim.errors import BusError
from .dynamixel_table import ALERT, PACKET_ERRORS

_RESYNC_S = 0.2
_BABBLE = 2048
_WRITE_TIMEOUT_S = 0.2
_READ_SLICE_S = 0.001
_GONE = (OSError, termios.error)  # pyserial's own errors are OSErrors too
_log = logging.getLogger(__name__)


class BadPacket(Exception):
    """No reply (`silent`), or not the one that was asked for; the line is cleared before the next request."""

    def __init__(self, message: str, silent: bool = False):
        super().__init__(message)
        self.silent = silent


class Wire:
    """An open port with known servos on it. Every method raises `BusError`, and `BadPacket` where it says so."""

    def __init__(self, port: str, baud: int, ids: Sequence[int]):
        self._sdk = _sdk()
        self._name, self._ids = port, [int(i) for i in ids]
        self._packets: Any = self._sdk.PacketHandler(2.0)
        self._turn = itertools.cycle(self._ids)
        self._dirty, self._gone = False, False
        self.fast = True
        """Read groups by Fast Sync Read; older firmware only knows Sync Read."""
        self._port: Any = _port_class()(port)
        try:
            if not self._port.setBaudRate(baud):
                raise BusError(f"{port}: {baud} baud is none of the SDK's; servos do 57600 to 4000000")
        except _GONE as error:
            raise BusError(f"{port}: cannot be opened: {error}") from error
        except ValueError as error:
            raise BusError(f"{port}: is no port: {error}") from error
        _warn_of_latency(port)

    def ping(self, servo: int) -> int | None:
        """Model number of a servo, or `None` if it does not answer."""
        number, result, _ = self._talk(lambda: self._packets.ping(self._port, servo))
        self._dirty |= result != self._sdk.COMM_SUCCESS
        return int(number) if result == self._sdk.COMM_SUCCESS else None

    def read(self, servo: int, address: int, size: int) -> np.ndarray:
        """Bytes of one servo's registers, (size,) uint8. Raises `BadPacket`."""
        self._clear()
        data, result, error = self._talk(lambda: self._packets.readTxRx(self._port, servo, address, size))
        if result != self._sdk.COMM_SUCCESS or len(data) != size:
            self._dirty = True
            raise self._bad(result)
        self._refused(servo, error)
        return np.array(data, np.uint8)

    def write(self, servo: int, address: int, data: bytes) -> None:
        """Write one servo's registers, and have it say that it did. Raises `BadPacket`."""
        self._clear()
        send = functools.partial(self._packets.writeTxRx, self._port, servo, address, len(data), list(data))
        result, error = self._talk(send)
        if result != self._sdk.COMM_SUCCESS:
            self._dirty = True
            raise self._bad(result)
        self._refused(servo, error)

    def write_group(self, address: int, rows: np.ndarray, places: Sequence[int] | None = None) -> None:
        """Write (n, size) uint8 to the same registers of all servos, or of those at `places`. Nobody answers."""
        ids = self._ids if places is None else [self._ids[i] for i in places]
        body = np.column_stack([np.array(ids, np.uint8), rows]).ravel().tolist()
        size = rows.shape[1]
        result = self._talk(lambda: self._packets.syncWriteTxOnly(self._port, address, size, body, len(body)))
        if result != self._sdk.COMM_SUCCESS:
            raise BusError(f"{self._name}: could not send: {self._words(result)}")

    def read_group(self, address: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The same registers of all servos, (n, size) uint8, and who has a hardware error, (n,) bool.

        Raises `BadPacket` unless each has answered, once, in order.
        """
        self._clear()
        self._dirty = True
        count = len(self._ids)
        send = functools.partial(self._packets.syncReadTx, self._port, address, size, self._ids, count, self.fast)
        result = self._talk(send)
        if result == self._sdk.COMM_SUCCESS:
            receive = self._receive_fast if self.fast else self._receive_each
            rows, result = self._talk(lambda: receive(size))
            if result == self._sdk.COMM_SUCCESS and rows.shape == (count, 2 + size) and self._all_there(rows[:, 1]):
                self._dirty = False
                return rows[:, 2:], (rows[:, 0] & ALERT) != 0
        raise self._bad(result)

    def restart(self, servo: int) -> None:
        """Have a servo start again."""
        self._clear()
        result, _ = self._talk(lambda: self._packets.reboot(self._port, servo))
        self._dirty |= result != self._sdk.COMM_SUCCESS

    def hurry(self) -> None:
        """Make the port usable although a call may be under way: for the way out, from a signal handler."""
        self._port.is_using = False
        self._dirty = True

    def close(self) -> None:
        self._port.is_using = False
        try:
            self._port.closePort()
        except _GONE as error:
            _log.debug("%s: %s", self._name, error)

    def _clear(self) -> None:
        """After a failed reply: ping until a servo answers. Bytes come in order, so all that was late has gone by.

        Each ping goes to the next servo, so that a late answer to one ping is no answer to another.
        """
        until = time.monotonic() + _RESYNC_S
        while self._dirty:
            servo = next(self._turn)
            _, result, _ = self._talk(lambda to=servo: self._packets.ping(self._port, to))
            if result == self._sdk.COMM_SUCCESS:
                self._dirty = False
            elif time.monotonic() > until:
                raise BusError(
                    f"{self._name}: no servo answers; is the power on, and are the speed and the cable right?"
                )

    def _receive_fast(self, size: int) -> tuple[np.ndarray, int]:
        length = (size + 4) * len(self._ids)
        data, result, _ = self._packets.fastSyncReadRx(self._port, self._sdk.BROADCAST_ID, length)
        if result == self._sdk.COMM_SUCCESS and len(data) == length:
            return np.array(data, np.uint8).reshape(len(self._ids), size + 4)[:, : 2 + size], result
        return np.empty((0, 0), np.uint8), result

    def _receive_each(self, size: int) -> tuple[np.ndarray, int]:
        rows = []
        for servo in self._ids:
            data, result, error = self._packets.readRx(self._port, servo, size)
            if result != self._sdk.COMM_SUCCESS or len(data) != size:
                return np.empty((0, 0), np.uint8), result
            rows.append([error, servo, *data])
        return np.array(rows, np.uint8), self._sdk.COMM_SUCCESS

    def _all_there(self, answered: np.ndarray) -> bool:
        return answered.tolist() == self._ids

    def _refused(self, servo: int, error: int) -> None:
        if number := error & ~ALERT:
            raise BusError(f"{self._name}: servo {servo} refused: {PACKET_ERRORS.get(number, f'error {number}')}")

    def _bad(self, result: int) -> BadPacket:
        return BadPacket(self._words(result), silent=result == self._sdk.COMM_RX_TIMEOUT)

    def _words(self, result: int) -> str:
        if result == self._sdk.COMM_SUCCESS:
            return "an answer to another question"
        return "no answer" if result == self._sdk.COMM_RX_TIMEOUT else "a damaged answer"

    def _talk(self, call: Callable[[], Any]) -> Any:
        if self._gone:
            raise BusError(f"{self._name}: the port is gone; close this bus, plug it in and open it again")
        self._port.is_using = False
        try:
            return call()
        except serial.SerialTimeoutException as error:
            raise BusError(f"{self._name}: takes no more bytes; is the adapter stuck?") from error
        except _Babble as error:
            self._dirty = True
            raise BusError(f"{self._name}: bytes without end and no packet among them; is the speed right?") from error
        except _GONE as error:
            self._gone = True
            raise BusError(f"{self._name}: the port is gone: {error}; was the cable pulled?") from error
        except (IndexError, TypeError, ValueError) as error:  # the SDK trips over a short packet
            self._dirty = True
            raise BusError(f"{self._name}: a packet that cannot be: {error}") from error


class _Babble(Exception):
    """Far more bytes than were asked for; the SDK would read on as long as they come."""


def _sdk() -> ModuleType:
    try:
        import dynamixel_sdk
    except ImportError as error:
        raise BusError('Dynamixel servos need the vendor\'s SDK: pip install "duchenne[dynamixel]"') from error
    return dynamixel_sdk


@functools.cache
def _port_class() -> type:
    class Port(_sdk().PortHandler):
        """The SDK's port: exclusive, by any URL of pyserial's, on the monotonic clock, asleep while it waits."""

        def setupPort(self, _: int) -> bool:
            if self.is_open:
                self.closePort()
            exclusive: Any = {} if "://" in self.port_name else {"exclusive": True}
            self.ser = serial.serial_for_url(
                self.port_name, self.baudrate, timeout=_READ_SLICE_S, write_timeout=_WRITE_TIMEOUT_S, **exclusive
            )
            self.is_open = True
            self.ser.reset_input_buffer()
            self.tx_time_per_byte = 1e4 / self.baudrate
            return True

        def readPort(self, length: int) -> bytes:
            data = self.ser.read(length)
            self.budget -= len(data)
            if self.budget < 0:
                raise _Babble
            return data

        def setPacketTimeout(self, packet_length: int) -> None:
            super().setPacketTimeout(packet_length)
            self.budget = 2 * packet_length + _BABBLE

        def getCurrentTime(self) -> float:
            return time.monotonic() * 1e3

    return Port


def _warn_of_latency(port: str) -> None:
    """FTDI adapters hold bytes back for 16 ms unless told otherwise, which caps a read loop at 60 Hz."""
    timer = Path("/sys/bus/usb-serial/devices") / os.path.basename(os.path.realpath(port)) / "latency_timer"
    if timer.exists() and (wait_ms := int(timer.read_text())) > 1:
        _log.warning("%s holds bytes back for %d ms; for more than 60 Hz: echo 1 | sudo tee %s", port, wait_ms, timer)


__all__ = ["BadPacket", "Wire"]
