import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from duchenne.hardware.bus import Bus, Capabilities, Feedback, Found, ServoMap
from duchenne.hardware.guard import Event, State
from duchenne.hardware.guard_limits import Limits
from duchenne.hardware.guarded import FAILED_READS, GuardedBus, stored_range
from duchenne.sim.errors import BusError, CommandRejected, InputError
from duchenne.sim.robot.servo import REST_COMMAND, SERVO_NAMES, index

MAP = ServoMap.of_travel(ticks_per_degree=4096 / 360, centre_tick=2048, numbers=[(0, i + 1) for i in range(26)])


class FakeBus(Bus):
    """Servos that stand at once where they are told to, and a list of all that was said to them."""

    capabilities = Capabilities(feedback=True, current=True, temperature=True, torque_off=True)
    servo_map = MAP

    def __init__(self, found: tuple[Found, ...] = ()):
        self.found, self.said, self.now = found, [], 0.0
        self.position, self.temperature_c = REST_COMMAND.copy(), np.full(26, 30.0)
        self.broken = ""

    def handshake(self):
        return self.found

    def write(self, command):
        self._do("write")
        self.position = command.copy()
        return command

    def read(self):
        if "read" in self.broken:
            raise BusError("no answer")
        return Feedback(time_s=self.now, position=self.position, temperature_c=self.temperature_c)

    def torque(self, on):
        self._do("on" if on else "off")

    def relax(self):
        self._do("relax")

    @property
    def is_alive(self):
        return True

    def close(self):
        self.said.append("closed")

    def _do(self, what):
        if what in self.broken:
            raise BusError(f"{what} failed")
        self.said.append(what)


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def guarded(bus, told):
    def clock() -> float:
        bus.now += 1e-3
        return bus.now

    with GuardedBus(bus, clock=clock, watch_s=None, on_event=told.append) as guarded:
        yield guarded


def opened(**values: float) -> np.ndarray:
    command = REST_COMMAND.copy()
    for name, value in values.items():
        command[index(name)] = value
    return command


def test_it_starts_where_the_servos_stand_and_ends_limp(bus):
    bus.position = opened(jaw=0.3)
    with GuardedBus(bus, watch_s=None) as guarded:
        np.testing.assert_allclose(guarded.last, bus.position)
        assert bus.said == ["on", "write"]
    assert bus.said == ["on", "write", "closed"]
    guarded.close()
    assert not guarded.is_alive
    with pytest.raises(CommandRejected, match="closed"):
        guarded.send(REST_COMMAND)
    with pytest.raises(BusError, match="closed"):
        guarded.rearm()


def test_only_what_passes_is_written(bus, guarded, told):
    goal = opened(jaw=0.5)
    np.testing.assert_array_equal(guarded.toward(goal), bus.position)
    before = bus.said.copy()
    for bad in (goal * np.nan, goal[:3], goal + 1, opened(neck_yaw=1.0)):
        with pytest.raises(CommandRejected):
            guarded.send(bad)
    assert bus.said == before
    assert [event.rule for event in told if event.what == "rejected"] == ["finite", "shape", "range", "rate"]


def test_a_pose_in_which_nobody_may_stand_switches_nothing_on(bus):
    bus.position = opened(jaw=1.5)
    with pytest.raises(CommandRejected, match="jaw stands at"):
        GuardedBus(bus, watch_s=None)
    bus.position = np.full(26, np.nan)
    with pytest.raises(BusError, match="where it stands"):
        GuardedBus(bus, watch_s=None)
    assert bus.said == ["closed", "closed"]


def test_silence_holds_glides_and_relaxes(bus, guarded):
    guarded.toward(opened(jaw=0.5))
    states = []
    for _ in range(270):
        bus.now += 0.04
        states.append(guarded.tick())
    assert list(dict.fromkeys(states)) == [State.FRESH, State.HOLD, State.GLIDE, State.RELAX]
    np.testing.assert_allclose(bus.position, REST_COMMAND)
    assert bus.said[-1] == "relax"
    assert bus.said.count("relax") == 1
    with pytest.raises(CommandRejected, match="stale"):
        guarded.send(REST_COMMAND)
    guarded.rearm()
    assert bus.said[-2:] == ["on", "write"]
    guarded.send(REST_COMMAND)


def test_a_hot_servo_is_found_though_nobody_reads(bus, guarded, told):
    bus.temperature_c = np.full(26, 61.0)
    bus.now += 0.25
    guarded.tick()
    assert "warm" in [event.what for event in told]
    bus.temperature_c = np.full(26, 66.0)
    bus.now += 0.25
    assert guarded.tick() is State.RELAX
    assert "temperature" in str(guarded.stopped)
    assert bus.said[-1] == "relax"


def test_a_write_that_fails_stops_the_robot_and_relaxing_is_tried_again(bus, guarded):
    bus.broken = "write relax"
    with pytest.raises(BusError, match="write failed"):
        guarded.send(REST_COMMAND)
    assert "write failed" in str(guarded.stopped)
    assert guarded.tick() is State.RELAX
    bus.broken = ""
    guarded.tick()
    assert bus.said[-1] == "relax"


def test_reads_that_fail_stop_the_robot_only_in_a_row(bus, guarded):
    for _ in range(3):
        for _ in range(FAILED_READS - 1):
            bus.broken = "read"
            with pytest.raises(BusError):
                guarded.read()
        bus.broken = ""
        guarded.read()
    assert guarded.stopped is None
    bus.broken = "read"
    for _ in range(FAILED_READS):
        with pytest.raises(BusError):
            guarded.read()
    assert "in a row" in str(guarded.stopped)
    with pytest.raises(BusError):
        guarded.rearm()
    assert guarded.stopped is not None


def test_a_bus_that_sends_something_else_is_stopped(bus, guarded):
    bus.write = lambda command: command + 0.02
    guarded.send(REST_COMMAND)
    assert "instead of" in str(guarded.stopped)
    assert bus.said[-1] == "relax"


def test_a_log_that_fails_keeps_nothing_from_happening(bus):
    def fail(event: Event) -> None:
        raise OSError("disk full")

    with GuardedBus(bus, watch_s=None, on_event=fail) as guarded:
        guarded.stop()
        assert bus.said[-1] == "relax"


def test_what_the_servos_store_makes_the_range_smaller():
    jaw = MAP.channels[index("jaw")]
    found = tuple(Found(name=n, number=i) for i, n in enumerate(SERVO_NAMES) if n != "jaw")
    half = round(jaw.rest_tick + 0.5 * jaw.ticks_per_unit)
    found += (Found(name="jaw", number=26, low_tick=0, high_tick=half),)
    low, high = stored_range(found, MAP)
    assert (low[:-1] == -np.inf).all()
    assert high[-1] == pytest.approx(0.5, abs=0.005)
    with (
        GuardedBus(FakeBus(found), watch_s=None) as guarded,
        pytest.raises(CommandRejected, match=r"0\.600 for jaw"),
    ):
        guarded.send(opened(jaw=0.6))
    shut_out = FakeBus((Found(name="jaw", number=26, low_tick=jaw.rest_tick + 9, high_tick=half),))
    with pytest.raises(InputError, match="jaw"):
        GuardedBus(shut_out, watch_s=None)
    assert shut_out.said == ["closed"]


def test_its_thread_does_the_watching(bus):
    bus.capabilities = Capabilities(feedback=False, torque_off=True)
    limits = Limits(hold_after_s=0.02, glide_after_s=0.04, relax_after_s=0.1)
    with GuardedBus(bus, limits=limits, watch_s=0.01) as guarded:
        deadline = time.monotonic() + 5.0
        while guarded.stopped is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert bus.said[-1] == "relax"


_WAYS = {
    "raise": 1, "exit": 3, "SIGTERM": -signal.SIGTERM, "SIGHUP": -signal.SIGHUP, "SIGINT": -signal.SIGINT,
    "forgotten": 0,
}  # fmt: skip
_PROGRAM = """
import os, sys, time, signal
from pathlib import Path
folder, here, *ways = sys.argv[1:]
sys.path.insert(0, here)
from test_hardware_guarded import FakeBus, GuardedBus
children = {}
for way in ways:
    if child := os.fork():
        children[way] = child
        continue
    children = {}
    class Bus(FakeBus):
        def close(self): (Path(folder) / way).touch()
    guarded = GuardedBus(Bus())
    if way == "raise":
        with guarded: raise RuntimeError
    if way == "exit": sys.exit(3)
    if way.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, way))
        time.sleep(5)
    break
for way, child in children.items():
    print(way, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_torque_is_off_on_every_way_out(tmp_path):
    command = [sys.executable, "-c", _PROGRAM, str(tmp_path), os.path.dirname(__file__), *_WAYS]
    done = subprocess.run(command, capture_output=True, timeout=60, text=True)
    ended = dict(line.split() for line in done.stdout.splitlines())
    assert {way: int(code) for way, code in ended.items()} == _WAYS, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == set(_WAYS)


def test_an_alarm_is_told_in_words(bus, guarded):
    bus.read = lambda: Feedback(time_s=bus.now, error=np.where(np.arange(26) == index("jaw"), 4.0, np.nan))
    guarded.read()
    assert guarded.stopped == "alarm: jaw: error bits 0x4"
    assert bus.said[-1] == "relax"


def test_arming_shakes_hands_again(bus, guarded):
    asked = []
    bus.handshake = lambda: asked.append("hands") or ()
    guarded.stop()
    guarded.rearm()
    assert asked == ["hands"]
    bus.broken = "read"
    guarded.stop()
    with pytest.raises(BusError):
        guarded.rearm()
    assert guarded.stopped
