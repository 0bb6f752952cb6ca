"""A device that one process owns: a lock by its real path, and a promise to let go on every way out."""

import atexit
import fcntl
import hashlib
import os
import signal
import tempfile
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from ..sim.errors import BusError


class DeviceLock:
    """Held by one process at a time for one device, under whatever name it was opened.

    An exclusive open is only advice that a plain open ignores, and two masters on one bus break every packet; so
    every bus here takes this lock too. The kernel drops it when the process dies. Raises `BusError` if held.
    """

    def __init__(self, port: str):
        real = port if "://" in port else os.path.realpath(port)
        digest = hashlib.sha1(real.encode(), usedforsecurity=False).hexdigest()[:12]
        self.path = Path(tempfile.gettempdir()) / f"duchenne-{digest}.lock"
        try:
            self._file: int | None = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise BusError(f"{port}: cannot open its lock file {self.path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._file, 64, 0).decode(errors="replace").strip()
            os.close(self._file)
            raise BusError(
                f"{port}: already in use by process {holder or 'unknown'}; a bus has one master, close that one first"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process have the device; may be called twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def let_go_at_exit(owner: object, let_go: Callable[[], None]) -> None:
    """Have `let_go`, a method of `owner`, called when the program ends: at exit, on SIGTERM and on SIGHUP.

    Handlers that were there before still run. It is called once for each `owner` that is still alive; SIGKILL and a
    power cut cannot be caught, for those a face needs a servo's own watchdog and a switch in its supply.
    """
    if not _owners:
        _install()
    _owners[owner] = weakref.WeakMethod(let_go)


def forget(owner: object) -> None:
    """The owner has let go by itself."""
    _owners.pop(owner, None)


_owners: "weakref.WeakKeyDictionary[object, weakref.WeakMethod]" = weakref.WeakKeyDictionary()
_previous: dict[int, object] = {}


def _let_all_go() -> None:
    for owner, reference in list(_owners.items()):
        _owners.pop(owner, None)
        if (let_go := reference()) is not None:
            let_go()


def _on_signal(number: int, frame: FrameType | None) -> None:
    _let_all_go()
    previous = _previous.get(number)
    if callable(previous):
        previous(number, frame)
    elif previous != signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _install() -> None:
    atexit.unregister(_let_all_go)
    atexit.register(_let_all_go)
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread may set handlers; exit is still covered
    for number in (signal.SIGTERM, signal.SIGHUP):
        current = signal.getsignal(number)
        if current is not _on_signal:
            _previous[number] = current
            signal.signal(number, _on_signal)


__all__ = ["DeviceLock", "forget", "let_go_at_exit"]
