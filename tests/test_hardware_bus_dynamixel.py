"""The Dynamixel bus against everything that goes wrong: nothing stale, one clear error, back again, never stuck."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from duchenne.hardware import dynamixel_table as table
from duchenne.hardware.bus import Channel, ServoMap
from duchenne.hardware.dynamixel_clock import ServoClocks
from duchenne.hardware.dynamixel_emulator import DynamixelEmulator
from duchenne.hardware.dynamixel_wire import BadPacket, Wire
from duchenne.hardware.ownership import DeviceLock
from duchenne.sim.errors import BusError, InputError, VocabularyError
from duchenne.sim.robot.servo import REST_COMMAND, SERVO_NAMES, index

pytest.importorskip("dynamixel_sdk")
from duchenne.hardware.dynamixel import DynamixelBus

MAP = table.default_map()
BAUD = 4_000_000
JAW = index("jaw")
LONGEST_S = 1.0


@pytest.fixture(scope="module")
def plugged():
    with DynamixelEmulator(MAP, baud=BAUD) as emulator:
        yield emulator


@pytest.fixture
def emulator(plugged):
    plugged.state()
    yield plugged
    plugged.heal()
    if plugged.state()["hardware_error"].any():
        plugged.inject("reboot")
        time.sleep(0.3)


@pytest.fixture
def bus(emulator):
    with DynamixelBus(emulator.port, MAP, BAUD) as bus:
        for last in (False, False, True):  # on a busy machine replies may be late
            try:
                bus.handshake()
                bus.torque(True)
                break
            except BusError:
                if last:
                    raise
        yield bus


def posed(**values: float) -> np.ndarray:
    command = REST_COMMAND.copy()
    for name, value in values.items():
        command[index(name)] = value
    return command


@contextlib.contextmanager
def soon():
    """What happens in the block takes no longer than `LONGEST_S`."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < LONGEST_S


def fails(call, match: str | None = None) -> str:
    """The one clear error of a call that fails, soon."""
    with soon(), pytest.raises(BusError, match=match) as caught:
        call()
    return str(caught.value)


def comes_to_fail(call, match: str) -> str:
    """Call again and again until this error comes, soon; on a busy machine a reply may be late before."""
    until = time.monotonic() + LONGEST_S
    said = "nothing"
    while time.monotonic() < until:
        try:
            call()
        except BusError as error:
            said = str(error)
            if re.search(match, said):
                return said
    raise AssertionError(f"the error does not come: {said}")


# The map


def test_a_map_turns_commands_into_ticks_and_back(rng):
    command = rng.uniform(size=26)
    ticks = MAP.to_ticks(command)
    assert (ticks >= MAP.limits_ticks[:, 0]).all()
    assert (ticks <= MAP.limits_ticks[:, 1]).all()
    half_tick = 0.5 / MAP.ticks_per_unit
    assert (np.abs(MAP.to_command(ticks) - command) <= half_tick + 1e-12).all()
    np.testing.assert_array_equal(MAP.to_ticks(REST_COMMAND), MAP.rest_ticks)


def test_direction_turns_a_servo_round_at_rest():
    channels = [
        Channel(**{**c.__dict__, "direction": -1, "low_tick": 0, "high_tick": 4095}) if c.name == "jaw" else c
        for c in MAP.channels
    ]
    turned = ServoMap(tuple(channels))
    opened = posed(jaw=0.5)
    up, down = MAP.to_ticks(opened)[JAW], turned.to_ticks(opened)[JAW]
    assert up - MAP.rest_ticks[JAW] == MAP.rest_ticks[JAW] - down > 0
    np.testing.assert_allclose(turned.to_command(turned.to_ticks(opened)), opened, atol=0.005)


def test_a_map_is_kept_with_names(tmp_path):
    MAP.save(tmp_path / "map.json")
    assert '"jaw": {"number": 26' in (tmp_path / "map.json").read_text()
    assert ServoMap.load(tmp_path / "map.json") == MAP
    (tmp_path / "map.json").write_text('{"servos": {"jaw": {"nummer": 3}}}')
    with pytest.raises(InputError, match="rest_tick"):
        ServoMap.load(tmp_path / "map.json")
    with pytest.raises(VocabularyError, match="missing: jaw"):
        ServoMap(MAP.channels[:-1])
    with pytest.raises(InputError, match="neck_yaw, jaw share"):
        ServoMap((*MAP.channels[:-1], Channel(**{**MAP.channels[-1].__dict__, "number": 1})))


@pytest.mark.parametrize(
    "bad", [np.full(26, np.nan), posed(jaw=1.2), posed(jaw=np.inf), posed(jaw=-9e99), np.zeros(11)]
)
def test_what_is_no_command_is_not_sent(bus, emulator, bad):
    emulator.state()
    with pytest.raises(InputError):
        bus.write(bad)
    assert len(emulator.state()["goals"]) == 0


# A good day


def test_servos_go_where_they_are_sent_and_say_so(bus):
    wanted = posed(jaw=0.8, neck_yaw=0.7, left_upper_lid=0.2)
    sent = bus.write(wanted)
    np.testing.assert_allclose(sent, wanted, atol=0.005)
    until = time.monotonic() + 0.6
    while (feedback := bus.read()).time_s < until:
        pass
    assert feedback.position is not None
    np.testing.assert_allclose(feedback.position, sent, atol=0.02)
    assert feedback.time_s == pytest.approx(time.monotonic(), abs=0.1)
    assert feedback.temperature_c == pytest.approx(np.full(26, 32), abs=5)
    assert feedback.voltage_v == pytest.approx(np.full(26, 5.0))
    assert feedback.error is not None
    assert not feedback.error.any()
    assert bus.is_alive


def test_a_cycle_at_a_megabaud_can_take_less_than_a_hundredth_of_a_second():
    taken = []
    with DynamixelEmulator(MAP, baud=1_000_000) as slow, DynamixelBus(slow.port, MAP) as bus:
        bus.handshake()
        for k in range(50):
            with contextlib.suppress(BusError):  # a busy machine
                began = time.perf_counter()
                bus.write(posed(neck_yaw=0.5 + 0.1 * np.sin(0.1 * k)))
                bus.read()
                taken.append(time.perf_counter() - began)
    assert min(taken) < 0.010


def test_torque_comes_on_where_the_servos_stand(bus, emulator):
    bus.write(posed(neck_yaw=0.8))
    time.sleep(0.1)
    bus.torque(False)
    time.sleep(0.05)
    stands = emulator.state()["position"]
    bus.write(posed(neck_yaw=0.2))  # would be a jump
    bus.torque(True)
    time.sleep(0.2)
    np.testing.assert_allclose(emulator.state()["position"], stands, atol=2)


def test_relaxing_spares_what_would_fall(bus, emulator):
    bus.relax()
    np.testing.assert_array_equal(emulator.state()["torque"], [n in ("neck_pitch", "neck_roll") for n in SERVO_NAMES])
    bus.torque(False)
    assert not emulator.state()["torque"].any()


# Handshake


def test_the_handshake_finds_26_and_their_limits(bus):
    found = bus.handshake()
    assert tuple(f.name for f in found) == SERVO_NAMES
    assert {f.model for f in found} == {"XL330-M288"}
    np.testing.assert_array_equal([(f.low_tick, f.high_tick) for f in found], MAP.limits_ticks)


def test_one_error_lists_all_that_is_missing_or_wrong(bus, emulator):
    emulator.inject("silent", servo="jaw")
    emulator.inject("model", servo="neck_yaw", value=1190)
    emulator.inject("duplicate", servo="left_eye_yaw")
    said = fails(bus.handshake, r"3 things")
    assert "jaw (26): no answer" in said
    assert "neck_yaw (1): is XL330-M077, not XL330-M288" in said
    assert "left_eye_yaw" in said
    assert "one identity" in said
    emulator.heal()
    emulator.inject("model", servo="neck_yaw", value=1200)
    bus.handshake()


def test_without_handshake_nothing_is_sent(emulator):
    with DynamixelBus(emulator.port, MAP, BAUD) as bus:
        with pytest.raises(BusError, match="handshake"):
            bus.write(REST_COMMAND)
        with pytest.raises(BusError, match="handshake"):
            bus.read()
        assert not bus.is_alive


def test_servos_fresh_from_the_factory_are_refused_until_commissioned():
    with DynamixelEmulator(MAP, commissioned=False) as fresh, DynamixelBus(fresh.port, MAP) as bus:
        said = fails(bus.handshake, "commission")
        assert "jaw (26): limits 0…4095, not" in said
        assert "return delay 500 µs" in said
        bus.commission()
        np.testing.assert_array_equal(fresh.state()["high_limit"], MAP.limits_ticks[:, 1])
        bus.torque(True)


@pytest.mark.parametrize("fault", ["mute", "flip"])
def test_a_bus_that_never_answers_well_is_refused_soon(emulator, fault):
    with DynamixelBus(emulator.port, MAP, BAUD) as bus:
        emulator.inject(fault, count=0)
        fails(bus.handshake)
        emulator.heal()
        bus.handshake()


# One thing goes wrong once: nobody need know


@pytest.mark.parametrize("fault", ["flip", "cut", "mute", "garbage", "echo"])
def test_one_bad_reply_is_asked_for_again(bus, emulator, fault):
    emulator.inject(fault)
    with soon():
        feedback = bus.read()
    np.testing.assert_allclose(feedback.position, MAP.to_command(emulator.state()["position"]), atol=0.02)


def test_no_late_reply_passes_for_the_next(bus, emulator):
    """A servo that moves all the time, and now and then a reply that comes 45 to 90 ms late."""
    stale = failed = 0

    def truth() -> float:
        return float(MAP.to_command(emulator.state()["position"])[0])

    for k in range(100):
        bus.write(posed(neck_yaw=0.5 + 0.4 * np.sin(0.02 * k)))
        before = truth()
        if k % 15 == 7:
            emulator.inject("late", value=0.045 + 0.0004 * k)
        try:
            seen = bus.read().position[0]
        except BusError:
            failed += 1
            continue
        low, high = sorted((before, truth()))
        stale += not low - 0.002 <= seen <= high + 0.002
    assert stale == 0
    assert failed <= 3


def test_an_old_clock_is_an_old_answer():
    clocks, ticks = ServoClocks(), np.array([32_760, 500, 500])
    clocks.keep(ticks, 10.0, 10.005)
    later = (ticks + 20) % table.TICK_WRAPS_MS
    np.testing.assert_array_equal(clocks.judge(later, 10.02, 10.025), 0)
    np.testing.assert_array_equal(clocks.judge(ticks, 10.02, 10.025) != 0, True)  # the same once more
    reset = np.where([False, False, True], 3, later)
    np.testing.assert_array_equal(clocks.judge(reset, 10.02, 10.025) != 0, [False, False, True])
    assert clocks.restarted is None
    clocks.judge(reset + 10, 10.03, 10.035)
    np.testing.assert_array_equal(clocks.restarted, [False, False, True])


# It stays wrong: one error, and back again


@pytest.mark.parametrize("fault", ["flip", "mute"])
def test_bad_replies_without_end_are_one_error_and_then_all_is_well(bus, emulator, fault):
    emulator.inject(fault, count=0)
    for _ in range(2):
        fails(bus.read)
    emulator.heal()
    with soon():
        bus.read()
    assert bus.is_alive


def test_a_silent_servo_is_named(bus, emulator):
    emulator.inject("silent", servo="left_upper_lip")
    comes_to_fail(bus.read, r"no answer from left_upper_lip \(18\)")
    emulator.heal()
    with soon():
        bus.read()


def test_half_the_servos_gone_is_still_told_soon(bus, emulator):
    for name in SERVO_NAMES[13:]:
        emulator.inject("silent", servo=name)
    fails(bus.read, "right_outer_brow|left_inner_brow|jaw")
    fails(lambda: bus.torque(False), "may still have torque")
    emulator.heal()


def test_colliding_replies_are_no_reply(bus, emulator):
    emulator.inject("duplicate", servo="jaw")
    fails(bus.read)


def test_bytes_without_end_do_not_hold_the_bus_up(bus, emulator):
    emulator.inject("flood", value=1.5)
    emulator.inject("mute", count=0)
    fails(bus.read)
    emulator.heal()
    with soon():
        bus.read()


def test_a_bus_that_stands_still_and_goes_on(bus, emulator):
    bus.write(posed(neck_yaw=0.8))
    with emulator.frozen():
        began = time.monotonic()
        while time.monotonic() - began < 0.6:
            fails(bus.read)
        assert not bus.is_alive
    with soon():
        bus.read()
    time.sleep(0.4)
    np.testing.assert_allclose(bus.read().position, MAP.to_command(emulator.state()["position"]), atol=0.02)


def test_a_servo_that_answers_from_memory_is_found_out(bus, emulator):
    bus.read()
    emulator.inject("stuck", servo="jaw")
    time.sleep(0.05)
    comes_to_fail(bus.read, "jaw")
    emulator.heal()
    with soon():
        bus.read()


def test_a_servo_that_restarted_stops_the_bus_until_torque_is_switched_on_anew(bus, emulator):
    bus.read()
    emulator.inject("reboot", servo="jaw")
    time.sleep(0.3)
    comes_to_fail(bus.read, "jaw .* restarted")
    fails(lambda: bus.write(REST_COMMAND), "restarted")
    assert not bus.is_alive
    with soon():
        bus.torque(True)
    with soon():
        bus.read()
    assert emulator.state()["torque"].all()


def test_goals_that_are_not_taken_are_found_out(bus, emulator):
    emulator.inject("deaf", servo="jaw")
    bus.write(posed(jaw=0.1))
    comes_to_fail(bus.read, "jaw .* did not take")
    emulator.heal()
    with soon():
        bus.torque(True)


def test_a_fired_watchdog_is_found_out_and_cleared(bus, emulator):
    emulator.inject("watchdog", servo="jaw")
    bus.write(posed(jaw=0.1))
    comes_to_fail(bus.read, "jaw .* watchdog")
    with soon():
        bus.torque(True)
    bus.write(posed(jaw=0.1))
    bus.read()


@pytest.mark.parametrize(("fault", "value", "bit"), [("alarm", 0, 0x20), ("overheat", 0, 0x04), ("sag", 0, 0x01)])
def test_a_hardware_error_is_fed_back_at_once(bus, emulator, fault, value, bit):
    emulator.inject(fault, servo="jaw", value=value)
    with soon():
        feedback = bus.read()
    assert feedback.error is not None
    assert feedback.error[JAW] == bit
    until = time.monotonic() + (0.4 if fault != "alarm" else 0)
    while (feedback := bus.read()).time_s < until:
        pass
    if fault == "overheat":
        assert feedback.temperature_c[JAW] == 80
    if fault == "sag":
        assert feedback.voltage_v[JAW] == pytest.approx(3.2)
    fails(lambda: bus.torque(True), "jaw: .*restart")
    emulator.heal()


def test_a_restart_ends_a_hardware_error(bus, emulator):
    emulator.inject("alarm", servo="jaw")
    bus.read()
    bus.restart("jaw")
    bus.torque(True)
    assert not bus.read().error.any()


def test_a_frozen_encoder_is_the_guards_to_see(bus, emulator):
    """The servo's clock runs on, so the bus cannot know; the feedback shows that it does not follow."""
    emulator.inject("encoder", servo="neck_yaw")
    before = bus.read().position
    bus.write(posed(neck_yaw=0.9))
    time.sleep(0.3)
    assert bus.read().position[0] == before[0]


# Cable, lock, clock, and the ways out


def test_a_pulled_cable_is_one_error_and_the_port_opens_again(bus, emulator):
    emulator.inject("unplug")
    fails(lambda: [bus.read() for _ in range(2)], "gone")
    fails(lambda: bus.write(REST_COMMAND), "gone")
    with soon():
        bus.close()
    with pytest.raises(BusError, match="cannot be opened"):
        DynamixelBus(emulator.port, MAP, BAUD)
    emulator.heal()
    with DynamixelBus(emulator.port, MAP, BAUD) as again:
        again.handshake()
        again.torque(True)
        again.read()


def test_one_bus_has_one_master(bus, emulator):
    with pytest.raises(BusError, match=f"in use by process {os.getpid()}"):
        DynamixelBus(emulator.port, MAP, BAUD)
    other = f"{os.path.dirname(emulator.port)}/../{os.path.basename(os.path.dirname(emulator.port))}/port"
    with pytest.raises(BusError, match="already in use"):
        DeviceLock(other)
    bus.read()
    bus.close()
    DeviceLock(emulator.port).release()


def test_the_wall_clock_may_jump(bus, emulator, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 0.0)
    emulator.inject("mute")
    with soon():
        bus.read()
    monkeypatch.setattr(time, "time", lambda: 4e9)
    with soon():
        bus.read()


@pytest.mark.parametrize("fault", ["flip", "mute", "cut", "late"])
def test_torque_goes_off_whatever_the_replies(bus, emulator, fault):
    emulator.inject(fault, count=2, value=0.06)
    with soon():
        bus.close()
    assert not emulator.state()["torque"].any()


def test_torque_goes_off_when_the_program_trips(emulator):
    with pytest.raises(ZeroDivisionError), DynamixelBus(emulator.port, MAP, BAUD) as bus:  # noqa: PT012
        bus.handshake()
        bus.torque(True)
        assert emulator.state()["torque"].all()
        raise ZeroDivisionError
    assert not emulator.state()["torque"].any()


@pytest.mark.parametrize("way", ["exit", "term", "interrupt"])
def test_torque_goes_off_on_every_way_out(emulator, way):
    script = (
        "import sys, time\n"
        "from duchenne.hardware.dynamixel import DynamixelBus\n"
        "bus = DynamixelBus(sys.argv[1], baud=4_000_000)\n"
        "bus.handshake(); bus.torque(True)\n"
        "print('on', flush=True)\n"
        "while sys.argv[2] != 'exit': bus.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, emulator.port, way], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "on\n"
        kill = {"term": signal.SIGTERM, "interrupt": signal.SIGINT}.get(way)
        if kill is not None:
            assert emulator.state()["torque"].all()
            program.send_signal(kill)
        try:
            program.communicate(timeout=5)
        finally:
            program.kill()
    assert program.returncode == (0 if kill is None else -kill)
    assert not emulator.state()["torque"].any()


def test_a_missing_sdk_names_the_extra(monkeypatch, emulator):
    monkeypatch.setitem(sys.modules, "dynamixel_sdk", None)
    with pytest.raises(BusError, match=r"duchenne\[dynamixel\]"):
        DynamixelBus(emulator.port, MAP, BAUD)


def test_a_port_that_is_none_says_so():
    with pytest.raises(BusError, match="no-such-port"):
        DynamixelBus("/dev/no-such-port", MAP)
    with pytest.raises(BusError, match="baud"):
        DynamixelBus("/dev/null", MAP, baud=12345)


def test_groups_are_read_one_by_one_where_fast_is_unknown(emulator):
    wire = Wire(emulator.port, BAUD, MAP.numbers.tolist())
    try:
        both = []
        for fast in (False, True):
            wire.fast = fast
            block, alarm = wire.read_group(table.MIN_POSITION_LIMIT.address, 4)
            both.append(block)
            assert not alarm.any()
        np.testing.assert_array_equal(*both)
        wire.fast = False
        emulator.inject("silent", servo="jaw")
        with pytest.raises(BadPacket):
            wire.read_group(table.MIN_POSITION_LIMIT.address, 4)
    finally:
        wire.close()
