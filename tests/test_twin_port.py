import time

import numpy as np
import pytest

from duchenne.hardware.emulator import Emulator
from duchenne.hardware.guard import Event
from duchenne.sim.errors import BusError, CommandRejected, InputError, VocabularyError
from duchenne.sim.robot.servo import REST_COMMAND, index
from duchenne.twin.port import BusFace, FacePort, SimFace, open_face

PLACES = ("sim", "emulated:dynamixel", "emulated:maestro")
TICK = 0.005
"""No servo's ticks are coarser than this, in command units."""


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture(params=PLACES)
def face(request, events):
    with open_face(request.param, on_event=events.append) as face:
        yield face


def brows_up() -> np.ndarray:
    goal = REST_COMMAND.copy()
    goal[[index("right_inner_brow"), index("left_inner_brow")]] += 0.3
    return goal


def emulated(where: str) -> tuple[BusFace, Emulator]:
    face = open_face(where)
    assert isinstance(face, BusFace)
    assert face.emulator is not None
    return face, face.emulator


def goals(face: BusFace) -> np.ndarray:
    """Goals that reached the servos since the last call, (n, 26) ticks."""
    assert face.emulator is not None
    return np.asarray(face.emulator.state()["goals"]).reshape(-1, 26)


def go(face: FacePort, goal: np.ndarray, periods: int) -> np.ndarray:
    sent = face.last
    for _ in range(periods):
        sent = face.toward(goal)
        face.wait()
    return sent


def test_one_script_moves_every_face(face):
    goal = brows_up()
    sent = go(face, goal, 15)
    np.testing.assert_allclose(sent, goal, atol=TICK)
    np.testing.assert_allclose(face.last, goal, atol=1e-9)
    assert face.is_alive
    assert face.stopped is None
    feedback = face.read()
    assert abs(feedback.time_s - face.time_s) < 1.0
    assert (feedback.position is not None) == face.capabilities.feedback
    if feedback.position is not None:
        np.testing.assert_allclose(feedback.position, goal, atol=0.05)
    face.rest()
    np.testing.assert_allclose(face.last, REST_COMMAND, atol=1e-6)
    if (at_rest := face.read().position) is not None:
        np.testing.assert_allclose(at_rest, REST_COMMAND, atol=0.02)


def test_send_returns_what_was_really_sent(face):
    command = REST_COMMAND.copy()
    command[index("jaw")] += 0.0123
    sent = face.send(command)
    np.testing.assert_allclose(sent, command, atol=TICK)
    if isinstance(face, BusFace):
        assert np.abs(sent - command).max() > 0  # ticks are no real numbers
        np.testing.assert_allclose(face.servo_map.to_command(goals(face)[-1]), sent, atol=1e-9)


@pytest.mark.parametrize("bad", [np.full(26, np.nan), np.full(26, 2.0), np.zeros(3)])
def test_a_rejected_command_moves_nothing(face, events, bad):
    before = face.last
    if isinstance(face, BusFace):
        goals(face)  # forgets those so far
    with pytest.raises(CommandRejected):
        face.send(bad)
    np.testing.assert_array_equal(face.last, before)
    assert events[-1].what == "rejected"
    if isinstance(face, BusFace):
        arrived = goals(face)
        np.testing.assert_array_equal(arrived, np.tile(face.servo_map.to_ticks(before), (len(arrived), 1)))
    assert face.stopped is None


def test_a_stop_stays_until_rearmed(face, events):
    go(face, brows_up(), 5)
    face.stop("test", "somebody pressed the button")
    assert face.stopped == "test: somebody pressed the button"
    with pytest.raises(CommandRejected, match=r"stopped.*button"):
        face.toward(REST_COMMAND)
    face.wait()
    face.rearm()
    assert face.stopped is None
    go(face, REST_COMMAND, 10)
    np.testing.assert_allclose(face.last, REST_COMMAND, atol=1e-9)
    assert [e.what for e in events if e.what in ("stop", "rearm")][-2:] == ["stop", "rearm"]


def test_closes_twice_and_then_refuses(face):
    face.close()
    face.close()
    assert not face.is_alive
    with pytest.raises(CommandRejected, match="closed"):
        face.send(REST_COMMAND)
    with pytest.raises(BusError, match="closed"):
        face.read()
    with pytest.raises(BusError, match="closed"):
        face.rearm()


def test_without_commands_every_face_glides_home(face, events):
    go(face, brows_up(), 8)
    held = face.last
    for _ in range(40):
        face.wait()
    assert np.abs(face.last - REST_COMMAND).max() < np.abs(held - REST_COMMAND).max() - 0.05
    assert {"hold", "glide"} <= {e.what for e in events}


def test_simulated_time_is_the_same_at_any_speed():
    with SimFace() as quick, SimFace(real_time=True) as slow:
        for face in (quick, slow):
            start_s, wall_s = face.time_s, time.monotonic()
            go(face, brows_up(), 5)
            assert face.time_s - start_s > 0.16
        assert time.monotonic() - wall_s > 0.16
        np.testing.assert_allclose(quick.vertices_m, slow.vertices_m, atol=2e-4)
        assert quick.landmarks_m.shape == (468, 3)
        assert abs(slow.time_s - time.monotonic()) < 0.1


def test_a_pulled_cable_is_one_clear_error_and_a_stop():
    face, emulator = emulated("emulated:dynamixel")
    with face:
        go(face, brows_up(), 2)
        emulator.inject("unplug")
        told, started = [], time.monotonic()
        while face.stopped is None and time.monotonic() - started < 2.0:
            try:
                face.toward(brows_up())
                face.read()
            except BusError as error:
                told.append(str(error))
            face.wait()
        assert face.stopped is not None
        assert emulator.port in told[0]
        assert not face.is_alive or time.monotonic() - started < 0.6


@pytest.mark.parametrize(
    ("where", "error", "words"),
    [
        ("/dev/ttyUSB0", VocabularyError, "dynamixel:PORT"),
        ("feetech:/dev/ttyUSB0", VocabularyError, "maestro:PORT"),
        ("emulated:feetech", VocabularyError, "dynamixel, maestro"),
        ("dynamixel:/dev/ttyUSB0@fast", InputError, "@57600"),
        ("dynamixel:/dev/nothing-is-here", BusError, "/dev/nothing-is-here"),
    ],
)
def test_a_place_that_is_none_is_explained(where, error, words):
    with pytest.raises(error, match=words):
        open_face(where)
