"""Somebody who outlives us: a small process that relaxes the face when its owner dies without a word.

SIGKILL and a crash of the interpreter cannot be caught; the owner's end of a pipe closes all the same. The keeper then
opens the port and says what it was given. It runs this file as a program, and so imports nothing else of ours.
"""

import contextlib
import subprocess
import sys
import termios
import time
from typing import Any

_TIMES, _PAUSE_S = 3, 0.02
_TRY_FOR_S = 1.0
_GOODBYE = b"."


class Keeper:
    """Watches over this process until `dismiss`; afterwards it knows nothing of the port.

    Args:
        port, baud: as the owner opened it; it must let go of it when it dies.
        last_words: bytes that make the servos limp, said a few times.
    """

    def __init__(self, port: str, baud: int, last_words: bytes):
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, port, str(baud), last_words.hex()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # what is meant for the owner's terminal or group does not reach it
        )

    def dismiss(self) -> None:
        """The servos are limp, or somebody else's; may be called twice."""
        with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
            self._process.communicate(_GOODBYE, timeout=1.0)


def _keep(port: str, baud: int, last_words: bytes) -> None:
    if sys.stdin.buffer.read(1):
        return
    import serial

    exclusive: Any = {} if "://" in port else {"exclusive": True}
    until_s = time.monotonic() + _TRY_FOR_S
    while time.monotonic() < until_s:
        with contextlib.suppress(OSError, ValueError, termios.error):  # gone, or another master's already
            with serial.serial_for_url(port, baud, write_timeout=0.5, **exclusive) as line:
                for _ in range(_TIMES):
                    line.write(last_words)
                    line.flush()
                    time.sleep(_PAUSE_S)
            return
        time.sleep(0.1)


if __name__ == "__main__":
    _keep(sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3]))

__all__ = ["Keeper"]
