import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from duchenne.hardware.bus import ServoMap
from duchenne.hardware.guarded import GuardedBus
from duchenne.hardware.maestro import ERRORS, MaestroBus, crc7, default_map, spell
from duchenne.hardware.maestro_emulator import FAULTS, MaestroBoards, MaestroEmulator
from duchenne.sim.errors import BusError, CommandRejected
from duchenne.sim.robot.limits import SafeSet
from duchenne.sim.robot.servo import REST_COMMAND, SERVO_NAMES, index

MAP = default_map()


@pytest.fixture(scope="module")
def shared_emulator():
    with MaestroEmulator(MAP, timeout_s=0.8) as emulator:
        yield emulator


@pytest.fixture
def emulator(shared_emulator):
    shared_emulator.heal()
    yield shared_emulator
    shared_emulator.heal()


@pytest.fixture
def boards() -> MaestroBoards:
    return MaestroBoards(MAP, timeout_s=0.0)


def said(boards: MaestroBoards, *data: int, now_s: float | None = None) -> bytes:
    now_s = time.monotonic() if now_s is None else now_s
    return b"".join(exchange.reply for exchange in boards.receive(bytes(data), now_s))


def limp(emulator: MaestroEmulator) -> bool:
    """Whether no servo gets pulses, once the line has carried what was sent last."""
    time.sleep(0.02)
    return not np.any(emulator.state()["torque"])


def shown(bus: MaestroBus | GuardedBus, **values: float) -> np.ndarray:
    command = REST_COMMAND.copy()
    for name, value in values.items():
        command[index(name)] = value
    return command


# the boards, byte for byte


def test_crc_is_the_one_of_the_users_guide():
    assert crc7(bytes([0x83, 0x01])) == 0x17


def test_commands_of_the_users_guide(boards):
    said(boards, 0xAA, 12, 0x04, 0, 0x70, 0x2E)  # 1500 µs on channel 0
    assert said(boards, 0xAA, 12, 0x10, 0) == (6000).to_bytes(2, "little")
    said(boards, 0xAA, 13, 0x1F, 2, 3, 0x00, 0x00, 0x70, 0x2E)  # channel 3 off, channel 4 to 1500 µs
    assert said(boards, 0xAA, 13, 0x10, 4) == (6000).to_bytes(2, "little")
    assert said(boards, 0xAA, 13, 0x10, 3) == b"\0\0"
    assert said(boards, 0xAA, 12, 0x21) == b"\0\0"
    said(boards, 0x84, 5, 0x70, 0x2E)  # the compact protocol is everybody's
    assert said(boards, 0x90, 5) == (6000).to_bytes(2, "little") * 2


def test_bytes_may_come_one_by_one(boards):
    for byte in (0xAA, 12, 0x1F, 2, 0, 0x70, 0x2E, 0x71, 0x2E):
        assert said(boards, byte) == b""
    assert said(boards, 0xAA, 12, 0x10) == b""
    assert said(boards, 1) == (6001).to_bytes(2, "little")


def test_speed_limits_the_pulse(boards):
    now_s = time.monotonic()
    said(boards, 0xAA, 12, 0x04, 0, 0x70, 0x2E, 0xAA, 12, 0x07, 0, 0x0C, 0x01, now_s=now_s)  # 140, as in the guide
    said(boards, 0xAA, 12, 0x04, 0, 0x68, 0x39, now_s=now_s)
    assert said(boards, 0xAA, 12, 0x13, now_s=now_s) == b"\1"
    after = int.from_bytes(said(boards, 0xAA, 12, 0x10, 0, now_s=now_s + 0.05), "little")
    assert after - 6000 == pytest.approx(4 * 3.5 * 50, abs=1)  # 3.5 µs a millisecond


@pytest.mark.parametrize(
    ("nonsense", "error"),
    [
        ([0x42], "serial protocol"),
        ([0xAA, 12, 0x33], "serial protocol"),
        ([0xAA, 12, 0x04, 0, 0x70, 0x90, 5], "serial protocol"),
        ([0xAA, 12, 0x04, 24, 0x70, 0x2E], "serial protocol"),
        ([0xAA, 12, 0x1F, 3, 23, 0, 0, 0, 0, 0, 0], "serial protocol"),
    ],
)
def test_nonsense_is_an_error_and_servos_go_off(boards, nonsense, error):
    said(boards, 0xAA, 12, 0x04, 0, 0x70, 0x2E)
    said(boards, *nonsense)
    bits = int.from_bytes(said(boards, 0xAA, 12, 0x21)[:2], "little")
    assert spell(bits) == error
    assert said(boards, 0xAA, 12, 0x10, 0) == b"\0\0"
    assert said(boards, 0xAA, 12, 0x21) == b"\0\0"  # reading clears


def test_a_wrong_crc_is_ignored_and_an_error():
    boards = MaestroBoards(MAP, crc=True)
    good = bytes([0xAA, 12, 0x04, 0, 0x70, 0x2E])
    said(boards, *good, crc7(good) ^ 1)
    ask = bytes([0xAA, 12, 0x21])
    assert spell(int.from_bytes(said(boards, *ask, crc7(ask)), "little")) == "serial CRC"
    said(boards, *good, crc7(good))
    ask = bytes([0xAA, 12, 0x10, 0])
    assert said(boards, *ask, crc7(ask)) == (6000).to_bytes(2, "little")


def test_a_board_that_hears_nothing_lets_go():
    boards, now_s = MaestroBoards(MAP, timeout_s=0.5), time.monotonic()
    said(boards, 0xAA, 12, 0x04, 0, 0x70, 0x2E, now_s=now_s)
    assert np.atleast_1d(boards.state(now_s + 0.4)["pulse"])[0] == 6000
    assert not np.any(boards.state(now_s + 0.6)["pulse"])
    assert spell(int.from_bytes(said(boards, 0xAA, 12, 0x21, now_s=now_s + 0.7), "little")) == "serial timeout"


# the bus


def test_what_is_written_is_what_the_boards_send(emulator):
    with MaestroBus(emulator.port, MAP) as bus:
        assert [f.name for f in bus.handshake()] == list(SERVO_NAMES)
        bus.torque(True)
        command = SafeSet.default().sample(np.random.default_rng(1), 1, symmetric_only=False)[0]
        sent = bus.write(command)
        np.testing.assert_allclose(sent, command, atol=0.5 / (40 * 11) + 1e-9)
        np.testing.assert_array_equal(bus.pulses(), MAP.to_ticks(command))
        feedback = bus.read()
        assert feedback.position is None
        np.testing.assert_array_equal(feedback.error, np.zeros(26))
        assert bus.is_alive
        bus.relax()
        time.sleep(0.02)
        np.testing.assert_array_equal(emulator.state()["torque"], ~MAP.relaxes)
    assert limp(emulator)


def test_any_channels_will_do():
    places = [(20 + i % 2, (7 * i) % 23) for i in range(26)]
    scattered = ServoMap.of_travel(ticks_per_degree=30, centre_tick=5900, numbers=places)
    with MaestroEmulator(scattered, crc=True, baud=57600) as emulator:
        with MaestroBus(emulator.port, scattered, baud=57600, crc=True) as bus:
            bus.handshake()
            bus.torque(True)
            bus.write(shown(bus, jaw=0.5))
            np.testing.assert_array_equal(bus.pulses(), scattered.to_ticks(shown(bus, jaw=0.5)))
        with (
            MaestroBus(emulator.port, scattered, baud=57600) as bus,
            pytest.raises(BusError, match=r"board 20.*board 21"),
        ):
            bus.handshake()  # the boards want a CRC


def test_the_rate_is_enough(emulator):
    with GuardedBus(MaestroBus(emulator.port, MAP)) as robot:
        goal = shown(robot, jaw=0.8, neck_yaw=0.7)
        ends = [time.perf_counter()]
        for _ in range(40):
            robot.toward(goal)
            robot.read()
            ends.append(time.perf_counter())
        assert np.percentile(np.diff(ends), 25) <= 0.020  # a busy machine delays the others


def test_a_port_has_one_owner(emulator):
    with MaestroBus(emulator.port, MAP), pytest.raises(BusError, match="in use"):
        MaestroBus(emulator.port, MAP)
    MaestroBus(emulator.port, MAP).close()


@pytest.mark.parametrize("port", ["/dev/not-there", "nonsense://port"])
def test_a_port_that_is_not_there(port):
    with pytest.raises(BusError, match=port):
        MaestroBus(port, MAP)


@pytest.mark.parametrize(("fault", "value"), [("cut", 0), ("mute", 0), ("garbage", 0), ("echo", 0), ("late", 0.06)])
def test_an_answer_that_goes_wrong_once_is_asked_for_again(emulator, fault, value):
    with GuardedBus(MaestroBus(emulator.port, MAP)) as robot:
        failed = 0
        for share in np.linspace(0, 1, 5):
            emulator.inject(fault, value=value)
            robot.toward(shown(robot, jaw=share))
            start = time.monotonic()
            try:
                robot.read()
            except BusError:  # a busy machine spoils more than was ordered
                failed += 1
            assert time.monotonic() - start < 0.9
        assert failed <= 1
        assert robot.stopped is None
        assert robot.is_alive


@pytest.mark.parametrize(
    ("fault", "servo", "value", "said"),
    [
        ("error", "jaw", 0, "alarm"),
        ("flip", None, 0, "alarm"),  # the answer has no check, so an error bit is believed
        ("brownout", None, 0, "restarted"),
        ("brownout", "jaw", 0, "restarted"),
        ("silent", "neck_yaw", 0, "does not answer"),
        ("deaf", None, 0, "does not answer"),
        ("echo", None, 0, "echo"),
        ("garbage", None, 0, "bytes of"),
        ("flood", None, 2.0, "never quiet"),
        ("unset", "jaw", 0, "jaw"),
        ("unplug", None, 0, "lost|down"),
    ],
)
def test_a_fault_that_stays_stops_the_robot_and_it_can_be_armed_again(emulator, fault, servo, value, said):
    told = []
    with GuardedBus(MaestroBus(emulator.port, MAP), on_event=told.append) as robot:
        emulator.inject(fault, servo=servo, value=value, count=0)
        slowest = driven(robot)
        assert robot.stopped is not None
        assert slowest < 1.0
        assert any(word in str(told) for word in said.split("|"))
        with pytest.raises(CommandRejected, match="stopped"):
            robot.send(robot.last)
        emulator.heal()
        rearmed(robot)
        driven(robot, seconds=0.15)
        assert robot.stopped is None
        assert np.all(emulator.state()["torque"])
    assert limp(emulator)


def driven(robot: GuardedBus, seconds: float = 3.0) -> float:
    """Drive until it stops; the longest that any call took, s."""
    slowest, until = 0.0, time.monotonic() + seconds
    while robot.stopped is None and time.monotonic() < until:
        for call in (lambda: robot.toward(shown(robot, jaw=0.5)), robot.read):
            start = time.monotonic()
            with contextlib.suppress(BusError, CommandRejected):
                call()
            slowest = max(slowest, time.monotonic() - start)
        time.sleep(0.02)
    return slowest


def rearmed(robot: GuardedBus) -> None:
    """Arm again, as soon as the boards are up."""
    until = time.monotonic() + 3.0
    while robot.stopped is not None:
        try:
            robot.rearm()
        except BusError:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_a_range_that_is_too_narrow_is_found_when_torque_goes_on(emulator):
    emulator.inject("narrow", servo="left_upper_lid", value=6000)
    with pytest.raises(BusError, match="left_upper_lid"):
        GuardedBus(MaestroBus(emulator.port, MAP))


def test_a_bus_that_stands_still_stops_the_robot(emulator):
    with GuardedBus(MaestroBus(emulator.port, MAP)) as robot:
        with emulator.frozen():
            slowest = driven(robot)
        assert slowest < 1.0
        assert robot.stopped is not None
        rearmed(robot)


def test_the_boards_relax_the_face_when_the_program_is_killed(emulator):
    program = f"""
import time
from duchenne.hardware.guarded import GuardedBus
from duchenne.hardware.maestro import MaestroBus
from duchenne.hardware import maestro
class Nobody:
    def __init__(self, *_): pass
maestro.Keeper = Nobody  # only the boards' own timeout is left
robot = GuardedBus(MaestroBus({emulator.port!r}))
print("up", flush=True)
while True:
    robot.toward(robot.last)
    time.sleep(0.02)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert np.all(emulator.state()["torque"])
        os.kill(child.pid, signal.SIGKILL)
        child.wait(5.0)
        until = time.monotonic() + 3.0
        while not limp(emulator):
            assert time.monotonic() < until


def test_nothing_hostile_reaches_the_servos(emulator):
    rng, safe_set = np.random.default_rng(4), SafeSet.default()
    with GuardedBus(MaestroBus(emulator.port, MAP)) as robot:
        emulator.state()
        for number in range(120):
            command = rng.uniform(-0.2, 1.2, 26) if number % 3 else robot.last + rng.normal(0, 0.05, 26)
            command[rng.integers(26)] = rng.choice([np.nan, np.inf, 0.5, -0.0])
            try:
                robot.send(command)
            except CommandRejected:
                robot.toward(np.nan_to_num(command))
        goals = emulator.state()["goals"]
    frames = np.array([MAP.to_command(goal) for goal in goals])
    rounding = 0.5 / (40 * 11) + 1e-9
    assert len(frames) > 30
    assert ((frames >= -rounding) & (frames <= 1 + rounding)).all()
    for share in np.linspace(0, 1, 11):
        between = frames[:-1] + share * np.diff(frames, axis=0)
        excess = between @ safe_set.rows.T - safe_set.bounds
        assert excess.max() <= rounding * np.abs(safe_set.rows).sum(1).max()


def test_every_fault_and_error_has_words():
    assert all(FAULTS.values())
    assert spell(0b101) == "serial signal, serial buffer full"
    assert "no board has" in spell(1 << len(ERRORS))
