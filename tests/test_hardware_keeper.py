"""The keeper: silent while its owner lives, and afterwards if it was dismissed; otherwise it has the last word."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
import tty

import pytest

from duchenne.hardware import keeper
from duchenne.hardware.keeper import Keeper

WORDS = b"\xaa\x0clast words"


@pytest.fixture
def line():
    """A port, and the end at which its bytes come out."""
    far, near = pty.openpty()
    for end in (far, near):
        tty.setraw(end)
    yield os.ttyname(near), far
    os.close(far)
    os.close(near)


def heard(far: int, seconds: float) -> bytes:
    data, until = b"", time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and len(data) < 3 * len(WORDS):
        if select.select([far], [], [], left)[0]:
            data += os.read(far, 1024)
    return data


def test_a_dismissed_keeper_says_nothing(line):
    port, far = line
    one = Keeper(port, 115200, WORDS)
    one.dismiss()
    one.dismiss()
    assert one._process.returncode == 0
    assert heard(far, 0.1) == b""


def test_a_killed_owner_is_spoken_for(line):
    port, far = line
    program = f"""
import runpy, sys, time
Keeper = runpy.run_path({keeper.__file__!r}, run_name="keeper")["Keeper"]
one = Keeper({port!r}, 115200, {WORDS!r})
print("up", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        assert heard(far, 0.2) == b""
        owner.send_signal(signal.SIGKILL)
    assert heard(far, 5.0) == 3 * WORDS


def test_a_port_that_is_gone_or_anothers_is_left_alone(line):
    fcntl = pytest.importorskip("fcntl")
    port, far = line
    other = os.open(port, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(other, fcntl.LOCK_EX)
    orphans = [Keeper(name, 115200, WORDS) for name in (port, "/dev/no-such-port")]
    for one in orphans:
        one._process.communicate(timeout=10)
    assert heard(far, 0.05) == b""
    os.close(other)
