"""The emulated Dynamixels: packets as the manual prints them, and two independent clients that cannot tell."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from duchenne.hardware import dynamixel_table as table
from duchenne.hardware.dynamixel_emulator import DynamixelEmulator, DynamixelServos
from duchenne.hardware.dynamixel_packets import crc16, fast_block, fast_start, packet, status, unstuffed
from duchenne.hardware.emulated_servos import LaggedServos, Physics
from duchenne.sim.errors import BusError, VocabularyError
from duchenne.sim.robot.servo import SERVO_NAMES

MAP = table.default_map()
IDS = MAP.numbers.tolist()
BAUD = 1_000_000
GOAL, TORQUE = table.GOAL_POSITION, table.TORQUE_ENABLE


@pytest.fixture(scope="module")
def plugged():
    with DynamixelEmulator(MAP) as emulator:
        yield emulator


@pytest.fixture
def emulator(plugged):
    yield plugged
    plugged.heal()


@pytest.fixture
def vendor(emulator, monkeypatch):
    """The stock SDK's port and packet handler, patient enough for a busy machine."""
    sdk = pytest.importorskip("dynamixel_sdk")
    monkeypatch.setattr(sdk.port_handler, "LATENCY_TIMER", 100)
    port, packets = sdk.PortHandler(emulator.port), sdk.PacketHandler(2.0)
    assert port.openPort()
    assert port.setBaudRate(BAUD)
    for servo in IDS:
        packets.write1ByteTxRx(port, servo, TORQUE.address, 0)
    yield sdk, port, packets
    port.closePort()


# Packets in the e-Manual's "DYNAMIXEL Protocol 2.0": ping, its answer, sync write, fast sync read, bulk read.
@pytest.mark.parametrize(
    ("made", "printed"),
    [
        (packet(1, 0x01, b""), "FF FF FD 00 01 03 00 01 19 4E"),
        (packet(254, 0x01, b""), "FF FF FD 00 FE 03 00 01 31 42"),
        (status(1, 0, b"\x06\x04\x26"), "FF FF FD 00 01 07 00 55 00 06 04 26 65 5D"),
        (
            packet(254, 0x83, bytes.fromhex("74 00 04 00 01 96 00 00 00 02 AA 00 00 00")),
            "FF FF FD 00 FE 11 00 83 74 00 04 00 01 96 00 00 00 02 AA 00 00 00 82 87",
        ),
        (
            packet(254, 0x8A, bytes.fromhex("84 00 04 00 03 07 04")),
            "FF FF FD 00 FE 0A 00 8A 84 00 04 00 03 07 04 20 F2",
        ),
        (
            packet(254, 0x92, bytes.fromhex("01 90 00 02 00 02 92 00 01 00")),
            "FF FF FD 00 FE 0D 00 92 01 90 00 02 00 02 92 00 01 00 1A 05",
        ),
        (status(2, 0, b"\x24"), "FF FF FD 00 02 05 00 55 00 24 8B A9"),
    ],
)
def test_packets_are_those_of_the_manual(made, printed):
    assert made == bytes.fromhex(printed)


def test_the_answer_to_a_fast_sync_read_is_the_manuals():
    answer = fast_start(3 * 8)
    crc = crc16(answer)
    for servo, data in ((3, "A6 00 00 00"), (7, "1F 08 00 00"), (4, "FF 03 00 00")):
        block, crc = fast_block(servo, 0, bytes.fromhex(data), crc)
        answer += block
    assert answer == bytes.fromhex(
        "FF FF FD 00 FE 19 00 55 00 03 A6 00 00 00 84 08 00 07 1F 08 00 00 16 CA 00 04 FF 03 00 00 D1 9E"
    )


def test_a_header_inside_the_data_is_stuffed():
    data = b"\x01\xff\xff\xfd\x02\xff\xff\xfd"
    made = packet(5, 0x03, data)
    assert made.count(b"\xff\xff\xfd") == 3
    assert made.count(b"\xff\xff\xfd\xfd") == 2
    assert unstuffed(made[8:-2]) == data
    assert int.from_bytes(made[5:7], "little") == len(made) - 7


def test_frames_are_found_in_pieces_and_in_noise():
    servos = DynamixelServos(MAP)
    stream = b"\xff\xff\xfd" + packet(3, 0x01, b"") + b"junk" + packet(4, 0x01, b"")[:-1] + b"\x00" + packet(5, 1, b"")
    now = time.monotonic()
    replies = [e.reply for byte in stream for e in servos.receive(bytes([byte]), now)]
    assert [r[4] for r in replies] == [3, 5]
    assert servos.state(now)["frames_damaged"] == 1


def test_frames_with_too_little_in_them_are_ignored_and_every_goal_is_logged():
    servos, now = DynamixelServos(MAP), time.monotonic()
    for instruction in (0x02, 0x03, 0x04, 0x05, 0x08, 0x82, 0x83, 0x8A, 0x92, 0x93, 0x9A, 0x10, 0x77):
        for data in (b"", b"\x01", b"\x84\x00\x04"):
            for to in (1, 254):
                list(servos.receive(packet(to, instruction, data), now))
    rest = int(MAP.rest_ticks[0])
    two = b"".join(packet(254, 0x83, b"\x74\x00\x04\x00\x01" + (rest + k).to_bytes(4, "little")) for k in (1, 2))
    now += 1.0  # they have been told to reboot
    list(servos.receive(two, now))
    goals = servos.state(now)["goals"]
    assert isinstance(goals, np.ndarray)
    np.testing.assert_array_equal(goals[-2:, 0], [rest + 1, rest + 2])


def test_the_stock_sdk_finds_and_moves_all_26(vendor, emulator):
    sdk, port, packets = vendor
    found, result = packets.broadcastPing(port)
    assert result == sdk.COMM_SUCCESS
    assert sorted(found) == IDS
    assert {model for model, _ in found.values()} == {1200}
    write = sdk.GroupSyncWrite(port, packets, GOAL.address, 4)
    plain = sdk.GroupSyncRead(port, packets, table.PRESENT_POSITION.address, 4)
    goal = MAP.limits_ticks.mean(1).astype(int) + 20
    for servo, tick in zip(IDS, goal.tolist(), strict=True):
        assert packets.write1ByteTxRx(port, servo, TORQUE.address, 1) == (sdk.COMM_SUCCESS, 0)
        write.addParam(servo, list(tick.to_bytes(4, "little")))
        plain.addParam(servo)
    assert write.txPacket() == sdk.COMM_SUCCESS
    time.sleep(0.4)
    for read in (plain.txRxPacket, plain.fastSyncRead):
        assert read() == sdk.COMM_SUCCESS
        there = [plain.getData(servo, table.PRESENT_POSITION.address, 4) for servo in IDS]
        np.testing.assert_allclose(there, goal, atol=1)
    np.testing.assert_array_equal(emulator.state()["goal"], goal)


def test_the_stock_sdk_reads_and_writes_in_bulk(vendor, emulator):
    sdk, port, packets = vendor
    read, write = sdk.GroupBulkRead(port, packets), sdk.GroupBulkWrite(port, packets)
    write.addParam(1, table.LED.address, 1, [1])
    write.addParam(2, GOAL.address, 4, list(int(MAP.rest_ticks[1] + 5).to_bytes(4, "little")))
    assert write.txPacket() == sdk.COMM_SUCCESS
    read.addParam(1, table.LED.address, 1)
    read.addParam(2, GOAL.address, 4)
    for receive in (read.txRxPacket, read.fastBulkRead):
        assert receive() == sdk.COMM_SUCCESS
        assert read.getData(1, table.LED.address, 1) == 1
        assert read.getData(2, GOAL.address, 4) == MAP.rest_ticks[1] + 5


def test_errors_are_those_of_a_servo(vendor):
    sdk, port, packets = vendor
    low, high = MAP.limits_ticks[0].tolist()
    said = {
        "beyond its limit": packets.write4ByteTxRx(port, 1, GOAL.address, high + 1),
        "below its limit": packets.write4ByteTxRx(port, 1, GOAL.address, low - 1),
        "read-only": packets.write2ByteTxRx(port, 1, table.MODEL_NUMBER.address, 7),
        "half a register": packets.write2ByteTxRx(port, 1, GOAL.address, 2048),
        "out of range": packets.write1ByteTxRx(port, 1, TORQUE.address, 2),
    }
    assert {k: error for k, (_, error) in said.items()} == {
        "beyond its limit": 6,
        "below its limit": 6,
        "read-only": 7,
        "half a register": 5,
        "out of range": 4,
    }
    assert packets.write1ByteTxRx(port, 1, TORQUE.address, 1) == (sdk.COMM_SUCCESS, 0)
    assert packets.write4ByteTxRx(port, 1, table.MAX_POSITION_LIMIT.address, high) == (sdk.COMM_SUCCESS, 7)
    assert packets.factoryReset(port, 1, 1)[1] == 2  # unknown to this emulator


def test_registered_writes_wait_for_action(vendor, emulator):
    _, port, packets = vendor
    before, after = int(emulator.state()["goal"][4]), int(MAP.rest_ticks[4] - 7)
    packets.regWriteTxRx(port, 5, GOAL.address, 4, list(after.to_bytes(4, "little")))
    assert emulator.state()["goal"][4] == before
    packets.action(port, 5)
    assert emulator.state()["goal"][4] == after


def test_a_reboot_takes_torque_and_time_and_keeps_the_eeprom(vendor, emulator):
    sdk, port, packets = vendor
    packets.write1ByteTxRx(port, 7, TORQUE.address, 1)
    assert packets.reboot(port, 7) == (sdk.COMM_SUCCESS, 0)
    assert packets.ping(port, 7)[1] == sdk.COMM_RX_TIMEOUT
    time.sleep(0.2)
    assert packets.read2ByteTxRx(port, 7, table.REALTIME_TICK.address)[0] < 1000
    assert not emulator.state()["torque"][6]
    assert packets.read4ByteTxRx(port, 7, table.MAX_POSITION_LIMIT.address)[0] == MAP.limits_ticks[6, 1]


def test_an_alarm_sets_the_alert_bit_and_cuts_torque_until_a_reboot(vendor, emulator):
    _, port, packets = vendor
    packets.write1ByteTxRx(port, 9, TORQUE.address, 1)
    emulator.inject("overheat", servo=SERVO_NAMES[8])
    assert packets.read1ByteTxRx(port, 9, table.HARDWARE_ERROR.address) == (0x04, 0, table.ALERT)
    assert not emulator.state()["torque"][8]
    packets.write1ByteTxRx(port, 9, TORQUE.address, 1)
    assert not emulator.state()["torque"][8]
    emulator.heal()
    packets.reboot(port, 9)
    time.sleep(0.3)
    assert packets.write1ByteTxRx(port, 9, TORQUE.address, 1)[1] == 0
    assert emulator.state()["torque"][8]


def test_the_bus_watchdog_stops_a_servo_that_hears_nothing(vendor, emulator):
    _, port, packets = vendor
    packets.write1ByteTxRx(port, 1, TORQUE.address, 1)
    packets.write1ByteTxRx(port, 1, table.BUS_WATCHDOG.address, 25)
    time.sleep(0.6)
    assert packets.read1ByteTxRx(port, 1, table.BUS_WATCHDOG.address)[0] == 0xFF
    assert packets.write4ByteTxRx(port, 1, GOAL.address, int(MAP.rest_ticks[0]))[1] == 4
    packets.write1ByteTxRx(port, 1, table.BUS_WATCHDOG.address, 0)
    assert packets.write4ByteTxRx(port, 1, GOAL.address, int(MAP.rest_ticks[0]))[1] == 0


def test_replies_take_their_wire_time(vendor):
    _, port, packets = vendor
    taken = []
    for _ in range(30):
        began = time.perf_counter()
        packets.readTxRx(port, 1, 0, 200)
        taken.append(time.perf_counter() - began)
    wire_s = (14 + 211) * 10 / BAUD
    assert wire_s < min(taken) < wire_s + 3e-3


def test_another_speed_is_not_understood(vendor):
    sdk, port, packets = vendor
    port.setBaudRate(57600)
    assert packets.ping(port, 1)[1] == sdk.COMM_RX_TIMEOUT
    port.setBaudRate(BAUD)
    assert packets.ping(port, 1)[1] == sdk.COMM_SUCCESS


def test_an_independent_client_agrees(emulator):
    rustypot = pytest.importorskip("rustypot")
    models = rustypot.Xl330PyController.models() | rustypot.Xl430PyController.models()
    ours = {m.name.replace("-", ""): number for number, m in table.MODELS.items()}
    shared = models.keys() & ours.keys()
    assert len(shared) >= 6
    assert {k: models[k] for k in shared} == {k: ours[k] for k in shared}
    client = rustypot.Xl330PyController(emulator.port, BAUD, 1.0)
    try:
        assert [client.read_model_number(servo)[0] for servo in IDS] == [1200] * 26
        client.sync_write_raw_torque_enable(IDS, [1] * 26)
        goal = (MAP.rest_ticks - 3).clip(*MAP.limits_ticks.T).tolist()
        client.sync_write_raw_goal_position(IDS, goal)
        time.sleep(0.3)
        for fast in (False, True):
            client.set_fast_sync_read(fast)
            np.testing.assert_allclose(client.sync_read_raw_present_position(IDS), goal, atol=1)
        assert client.sync_read_raw_torque_enable(IDS) == [1] * 26
        client.sync_write_raw_torque_enable(IDS, [0] * 26)
    finally:
        client.close()


def test_its_table_is_the_independent_clients():
    rustypot = pytest.importorskip("rustypot")
    theirs = {r.name: (r.addr, r.size) for r in rustypot.Xl330PyController.registers()}
    ours = {
        name.lower(): (r.address, r.size)
        for name, r in vars(table).items()
        if isinstance(r, table.Register) and name.lower() in theirs
    }
    assert len(ours) > 15
    assert ours == {name: theirs[name] for name in ours}


def test_a_slow_servo_lags_and_a_limp_one_stays():
    behind = LaggedServos(np.zeros(2), slew_ticks_s=1000, lag_s=0.05, delay_s=0.02)
    physics = Physics(behind, 0.0)
    goal, torque = np.array([200.0, 200.0]), np.array([True, False])
    assert physics.advance(goal, torque, 0.016).position_tick.max() == 0  # the delay
    midway = physics.advance(goal, torque, 0.116).position_tick
    assert 60 < midway[0] <= 100
    assert midway[1] == 0
    np.testing.assert_allclose(physics.advance(goal, torque, 2.0).position_tick, [200, 0], atol=1)


def test_unknown_faults_and_dead_emulators_say_so():
    emulator = DynamixelEmulator(MAP)
    with pytest.raises(VocabularyError, match="unplug"):
        emulator.inject("gremlin")
    os.kill(emulator.pid, signal.SIGKILL)
    with pytest.raises(BusError, match="ended"):
        emulator.state()
    emulator.close()


def test_the_emulator_dies_with_its_parent():
    script = (
        "import os, signal\n"
        "from duchenne.hardware.dynamixel_emulator import DynamixelEmulator\n"
        "from duchenne.hardware.dynamixel_table import default_map\n"
        "if __name__ == '__main__':\n"
        "    print(DynamixelEmulator(default_map()).pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    pid = int(done.stdout)
    until = time.monotonic() + 5
    while time.monotonic() < until and os.path.exists(f"/proc/{pid}"):
        time.sleep(0.02)
    assert not os.path.exists(f"/proc/{pid}")
