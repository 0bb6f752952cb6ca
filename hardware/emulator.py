"""A servo bus that is not there: a process behind a pseudo-terminal, as slow as the wire, with faults on order.

`Emulator` is the test's end: it starts the process, says which port to open, injects faults and looks inside. The
process owns a `Device`, which speaks one vendor's bytes. It ends with its parent, and sleeps while nobody talks.
"""

import contextlib
import fcntl
import multiprocessing
import os
import select
import shutil
import signal
import sys
import tempfile
import termios
import time
import tty
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol, Self

import numpy as np

from ..sim.errors import BusError, VocabularyError

LINE_FAULTS: dict[str, str] = {
    "flip": "the last bit of the reply is wrong",
    "cut": "the reply ends in the middle",
    "mute": "no reply",
    "garbage": "random bytes before the reply",
    "flood": "random bytes without end, for `value` seconds",
    "echo": "what was sent comes back before the reply, as from an adapter that does not suppress it",
    "late": "the reply comes `value` seconds late",
    "unplug": "the cable is pulled amid the next reply; plugged in again after `value` seconds, or by `heal`",
    "static": "a random bit of the reply is wrong, with probability `value` for each reply",
    "swallow": "what the client sends is lost on the way",
    "twist": "a random bit of what the client sends is wrong",
}
"""Faults of the line that every emulated bus knows; each `Device` adds its own."""
_ON_THE_WAY_OUT = ("swallow", "twist")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault, to be had `after_s` from now by the next `count` replies; `count` 0 is until healed."""

    kind: str
    servo: str | None = None
    """Name of the servo that is hit, where the fault hits one; `None` is all of them."""
    value: float = 0.0
    count: int = 1
    after_s: float = 0.0


@dataclass(frozen=True)
class Exchange:
    """One frame that a device took from the line, and its answer."""

    request: bytes
    reply: bytes = b""
    delay_s: float = 0.0
    """Time the device takes before it answers."""


class Device(Protocol):
    """What hangs at the far end of an emulated cable."""

    def receive(self, data: bytes, now_s: float) -> Iterator[Exchange]:
        """Take bytes as they come, whole frames or not; give one exchange for each frame completed."""
        ...

    def inject(self, fault: Fault, now_s: float) -> None:
        """Have one of its own faults from now on."""
        ...

    def heal(self) -> None:
        """Be well again; what a fault has changed inside the servos stays changed."""
        ...

    def state(self, now_s: float) -> dict[str, np.ndarray | int]:
        """What an observer inside would see."""
        ...


class Emulator:
    """An emulated bus: `with Emulator(device, …) as emulator: open(emulator.port)`.

    Args:
        make_device: makes the device, in the emulator's process; must be importable there.
        faults: the device's own faults.
        baud: speed of the line; replies take their wire time, and a client at another speed is not understood.
            `None` is a line without speed.
    """

    def __init__(self, make_device: Callable[[], Device], faults: dict[str, str], baud: int | None):
        self.faults = {**LINE_FAULTS, **faults}
        self._folder = Path(tempfile.mkdtemp(prefix="duchenne-bus-"))
        self.port = str(self._folder / "port")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._control, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(make_device, baud, self.port, far_end), daemon=True)
        self._process.start()
        far_end.close()
        try:
            self._answer(30.0)
        except BusError:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Process that plays the bus."""
        assert self._process.pid is not None
        return self._process.pid

    def inject(
        self, kind: str, *, servo: str | None = None, value: float = 0.0, count: int = 1, after_s: float = 0.0
    ) -> None:
        """Order a `Fault`. Raises `VocabularyError` for one that this bus does not know."""
        if kind not in self.faults:
            raise VocabularyError(f"unknown fault {kind!r}; allowed: {', '.join(self.faults)}")
        self._ask("inject", Fault(kind=kind, servo=servo, value=value, count=count, after_s=after_s))

    def heal(self) -> None:
        """End all faults and forget those still to come; plug the cable in again."""
        self._ask("heal")

    def state(self) -> dict[str, np.ndarray | int]:
        """What an observer inside the bus would see: goals, positions, torque, counts of frames."""
        state = self._ask("state")
        assert isinstance(state, dict)
        return state

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """The bus stands still for the length of the block, as if its power supply hung; then it goes on."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End the process; may be called twice."""
        if self._process.is_alive():
            with contextlib.suppress(OSError):
                self._control.send(("stop", None))
            self._process.join(1.0)
            if self._process.is_alive():
                self._process.kill()
                self._process.join(1.0)
        self._control.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _ask(self, what: str, argument: object = None) -> object:
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            self._control.send((what, argument))
        return self._answer(2.0)

    def _answer(self, timeout_s: float) -> object:
        try:
            if not self._control.poll(timeout_s):
                raise BusError(f"the emulator at {self.port} did not answer within {timeout_s:g} s")
            good, answer = self._control.recv()
        except (EOFError, OSError) as error:
            raise BusError(f"the emulator at {self.port} has ended: {error or 'its process died'}") from error
        if not good:
            raise BusError(f"the emulator at {self.port} failed: {answer}")
        return answer


def _serve(make_device: Callable[[], Device], baud: int | None, port: str, control: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C is the parent's to handle; it ends us
    try:
        line = _Line(make_device(), baud, port)
    except Exception as error:
        control.send((False, f"{type(error).__name__}: {error}"))
        return
    control.send((True, None))
    while True:
        ready = select.select([control, *line.inputs], [], [], line.next_due_s())[0]
        line.turn()  # what was sent before the parent's question is heard before it
        if control in ready:
            try:
                what, argument = control.recv()
            except (EOFError, OSError):
                return  # the parent died
            if what == "stop":
                return
            try:
                control.send((True, getattr(line, what)(*(() if argument is None else (argument,)))))
            except Exception as error:
                control.send((False, f"{type(error).__name__}: {error}"))
            line.turn()


class _Line:
    """The cable: a pseudo-terminal, the wire's time, and what goes wrong on it."""

    def __init__(self, device: Device, baud: int | None, port: str):
        self._device, self._baud, self._port = device, baud, port
        self._noise = np.random.default_rng(0)
        self._waiting: list[tuple[float, Fault]] = []  # ordered for later
        self._having: list[Fault] = []  # the line's own, now
        self._out: deque[tuple[float, bytes]] = deque()
        self._free_s = 0.0
        self._flood_until_s = 0.0
        self._plug_at_s = np.inf
        self._pulling = False
        self._master = self._slave = -1
        self._plug()

    @property
    def inputs(self) -> list[int]:
        return [self._master] if self._master >= 0 else []

    def next_due_s(self) -> float | None:
        now = time.monotonic()
        due = [when for when, _ in self._waiting] + [self._plug_at_s]
        if self._out:
            due.append(self._out[0][0])
        if now < self._flood_until_s:
            due.append(now + 0.001)
        soonest = min(due)
        return None if soonest == np.inf else max(soonest - now, 0.0)

    def turn(self) -> None:
        """Do all that is due: begin faults, read requests, let replies go whose time has come."""
        now = time.monotonic()
        for item in [w for w in self._waiting if w[0] <= now]:
            self._waiting.remove(item)
            self._begin(item[1], now)
        if now >= self._plug_at_s:
            self._plug()
        if self._master >= 0:
            try:
                data = os.read(self._master, 65536)
            except BlockingIOError:
                data = b""
            data = self._spoil_request(data)
            if data and self._same_speed():
                for exchange in self._device.receive(data, now):
                    self._answer(exchange, now)
        if now < self._flood_until_s:
            self._write(self._noise.bytes(256))
        while self._out and self._out[0][0] <= time.monotonic():
            self._write(self._out.popleft()[1])
        if self._pulling and not self._out:
            self._unplug()

    def inject(self, fault: Fault) -> None:
        now = time.monotonic()
        if fault.after_s > 0:
            self._waiting.append((now + fault.after_s, fault))
        else:
            self._begin(fault, now)

    def heal(self) -> None:
        self._waiting.clear()
        self._having.clear()
        self._flood_until_s = 0.0
        self._pulling = False
        self._device.heal()
        if self._master < 0:
            self._plug()

    def state(self) -> dict[str, np.ndarray | int]:
        return self._device.state(time.monotonic())

    def _begin(self, fault: Fault, now: float) -> None:
        if fault.kind not in LINE_FAULTS:
            self._device.inject(fault, now)
        elif fault.kind == "flood":
            self._flood_until_s = now + fault.value
        else:
            self._having.append(fault)

    def _answer(self, exchange: Exchange, now: float) -> None:
        """Queue a reply for when the wire has carried the request and the reply, after all that goes before it."""
        seconds_per_byte = 10 / self._baud if self._baud else 0.0
        self._free_s = max(self._free_s, now) + len(exchange.request) * seconds_per_byte
        reply, late_s = self._spoil(exchange)
        if not reply:
            return
        self._free_s += exchange.delay_s + late_s + len(reply) * seconds_per_byte
        self._out.append((self._free_s, reply))

    def _spoil_request(self, data: bytes) -> bytes:
        """What of the client's bytes reaches the device."""
        for fault in [f for f in self._having if f.kind in _ON_THE_WAY_OUT] if data else ():
            data = b"" if fault.kind == "swallow" else self._with_a_wrong_bit(data)
            self._spend(fault)
        return data

    def _with_a_wrong_bit(self, data: bytes) -> bytes:
        place = int(self._noise.integers(8 * len(data))) if data else 0
        return bytes(byte ^ (1 << place % 8 if k == place // 8 else 0) for k, byte in enumerate(data))

    def _spoil(self, exchange: Exchange) -> tuple[bytes, float]:
        """The reply as the faults that the line has now leave it, and how late it comes."""
        reply, late_s = exchange.reply, 0.0
        for fault in list(self._having):
            if fault.kind in _ON_THE_WAY_OUT or (not exchange.reply and fault.kind not in ("echo", "unplug")):
                continue  # it waits for a reply, or is none of a reply's
            if fault.kind == "flip":
                reply = reply[:-1] + bytes([reply[-1] ^ 1]) if reply else reply
            elif fault.kind == "cut":
                reply = reply[: max(len(reply) * 2 // 3, 1)]
            elif fault.kind == "mute":
                reply = b""
            elif fault.kind == "garbage":
                reply = self._noise.bytes(40) + reply
            elif fault.kind == "echo":
                reply = exchange.request + reply
            elif fault.kind == "late":
                late_s += fault.value
            elif fault.kind == "static" and self._noise.random() < fault.value:
                reply = self._with_a_wrong_bit(reply)
            elif fault.kind == "unplug":
                reply = reply[: len(reply) // 2]
                self._pulling = True
                self._plug_at_s = time.monotonic() + fault.value if fault.value > 0 else np.inf
            self._spend(fault)
        return reply, late_s

    def _spend(self, fault: Fault) -> None:
        if fault.count == 0:
            return
        place = next(i for i, f in enumerate(self._having) if f is fault)
        if fault.count == 1:
            del self._having[place]
        else:
            self._having[place] = replace(fault, count=fault.count - 1)

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError, OSError):  # a full buffer loses bytes, as a UART's does
            os.write(self._master, data)

    def _same_speed(self) -> bool:
        return self._baud is None or _speed(self._slave) == self._baud

    def _plug(self) -> None:
        self._plug_at_s = np.inf
        self._master, self._slave = os.openpty()  # the slave stays open here, or a client's leaving would end the line
        for end in (self._master, self._slave):
            tty.setraw(end)
        os.set_blocking(self._master, False)
        fresh = f"{self._port}.new"
        os.symlink(os.ttyname(self._slave), fresh)
        os.replace(fresh, self._port)

    def _unplug(self) -> None:
        self._pulling = False
        self._out.clear()
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._port)


def _speed(terminal: int) -> int:
    """Speed that the client has set, baud; a client may set any, which the older call cannot say."""
    if sys.platform != "linux":
        return termios.tcgetattr(terminal)[5]
    settings = fcntl.ioctl(terminal, _TCGETS2, bytes(44))
    return int.from_bytes(settings[-4:], sys.byteorder)


_TCGETS2 = 0x802C542A

__all__ = ["LINE_FAULTS", "Device", "Emulator", "Exchange", "Fault"]
