"""A session: everything that was told to a face, in one log that survives its writer, and the same once more."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from duchenne.hardware.bus import Feedback
from duchenne.hardware.dynamixel_table import default_map
from duchenne.hardware.guard import Event
from duchenne.scenarios.following import followed_by
from duchenne.scenarios.replay import commands
from duchenne.scenarios.replay import run as replay
from duchenne.sim.errors import BusError, CommandRejected, InputError
from duchenne.sim.robot.limits import SafeSet
from duchenne.sim.robot.servo import REST_COMMAND
from duchenne.twin.calibration import Calibration
from duchenne.twin.log import Log
from duchenne.twin.log_entries import Command, Seen
from duchenne.twin.port import BusFace, SimFace
from duchenne.twin.residual import ResidualMonitor
from duchenne.twin.session import Session, free_path

GOALS = SafeSet.default().sample(np.random.default_rng(5), 3)

PLAYS_UNTIL_KILLED = """
import sys
import numpy as np
from duchenne.sim.robot.limits import SafeSet
from duchenne.twin.session import Session

if __name__ == "__main__":
    goals = SafeSet.default().sample(np.random.default_rng(5), 3)
    with Session.open("sim", sys.argv[1], real_time=True) as session:
        session.begin()
        for k in range(1000):
            session.until(0.04 * (k + 1))
            session.step(goals[k // 20 % 3])
            print(k, flush=True)
"""


def play(session: Session, seconds: float = 1.2) -> list[np.ndarray]:
    sent = []
    for k in range(round(seconds / 0.04)):
        session.until(0.04 * (k + 1))
        sent.append(session.step(GOALS[k // 10 % 3]))
    return sent


@pytest.fixture
def recorded(tmp_path):
    path = tmp_path / "log.mcap"
    with Session.open("sim", path, about={"command": "test"}) as session:
        session.begin()
        sent = play(session)
        session.seen(0.1, np.zeros((468, 3)))
    return path, sent


def test_the_log_holds_all_of_it(recorded):
    path, sent = recorded
    log = Log(path)
    entries = list(log.only(Command))
    np.testing.assert_array_equal([e.what.sent for e in entries], sent)
    np.testing.assert_array_equal(entries[12].what.asked, GOALS[1])
    assert len(list(log.only(Feedback))) == len(sent)
    assert [e.what.taken_s for e in log.only(Seen)] == [0.1]
    assert list(log.only(Event))[-1].what.rule == "closed"
    assert log.about["robot"] == "sim"
    assert json.loads(log.attachments["config.json"].data)["command"] == "test"
    assert len(json.loads(log.attachments["limits.json"].data)["rate_per_s"]) == 26


def test_replay_into_the_simulation_is_the_same(recorded, tmp_path, capsys):
    path, sent = recorded
    assert replay(path, "sim", tmp_path, as_json=True) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert figures["commands"] == len(sent)
    assert figures["largest_difference"] == 0.0
    again = commands(Log(tmp_path / "replay.mcap"))
    np.testing.assert_array_equal([command for _, command in again][: len(sent)], sent)


def test_replay_into_a_bus_is_the_same_to_its_ticks(recorded, tmp_path, capsys):
    path, sent = recorded
    assert replay(path, "emulated:dynamixel", tmp_path, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["figures"]["commands"] == len(sent)
    again = np.array([command for _, command in commands(Log(tmp_path / "replay.mcap"))])[: len(sent)]
    assert np.median(np.abs(again - sent).max(1)) < 0.01


def test_a_killed_session_loses_less_than_a_second_and_replays(tmp_path, capsys):
    path = tmp_path / "log.mcap"
    program = tmp_path / "plays.py"
    program.write_text(PLAYS_UNTIL_KILLED)
    child = subprocess.Popen([sys.executable, str(program), str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) == 40:
            break
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    log = Log(path)
    rows = commands(log)
    assert not log.complete
    assert len(rows) >= 41 - 25
    assert replay(path, "sim", tmp_path, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)["figures"]
    assert told["log_complete"] == 0
    again = [command for _, command in commands(Log(tmp_path / "replay.mcap"))][: len(rows)]
    assert np.abs(np.array(again) - [command for _, command in rows]).max() < 1e-6


def test_a_bus_face_has_a_shadow_and_its_map_in_the_log(tmp_path):
    path = tmp_path / "log.mcap"
    with Session.open("emulated:dynamixel", path) as session:
        session.begin()
        play(session, 0.8)
        assert session.monitor is not None
        position = session.face.read().position
        assert position is not None
        shown = session.state
        assert np.abs(shown.vertices_m).max() < 0.2
    log = Log(path)
    assert set(json.loads(log.attachments["servo_map.json"].data)["servos"]) >= {"jaw", "neck_yaw"}
    assert len(json.loads(log.attachments["found.json"].data)) == 26


def test_a_pulled_cable_ends_a_follower_with_one_error_and_loses_nothing(tmp_path, caplog):
    with followed_by("emulated:dynamixel", tmp_path) as (follower,):
        face = follower.session.face
        assert isinstance(face, BusFace)
        assert face.emulator is not None
        for k in range(25):
            if k == 12:
                face.emulator.inject("unplug")
            follower.step(GOALS[0])
            face.wait()
        assert face.emulator.port in follower.problem
    told = [record for record in caplog.records if "no longer follows" in record.message]
    assert len(told) == 1
    log = Log(tmp_path / "log.mcap")
    assert log.complete
    assert len(commands(log)) >= 12
    assert any(e.what.what == "stop" for e in log.only(Event))


def test_a_robot_that_is_not_there_is_told_before_the_show(tmp_path):
    with pytest.raises(BusError, match="nothing-here"), followed_by("maestro:/dev/nothing-here", tmp_path):
        pass
    assert not list(tmp_path.iterdir())
    with followed_by(None, tmp_path) as nobody:
        assert nobody == ()


def test_a_face_that_was_relaxed_while_it_waited_is_armed_again(tmp_path):
    with Session.open("sim", tmp_path / "log.mcap") as session:
        session.begin()
        session.until(0.1)
        session.step(REST_COMMAND)
        session.until(12.0)
        assert str(session.face.stopped).startswith("stale")
        session.begin()
        session.until(0.04)
        session.step(REST_COMMAND)
        session.face.stop()
        session.until(0.08)
        session.begin()  # somebody has stopped it on purpose
        with pytest.raises(CommandRejected, match="stop"):
            session.step(REST_COMMAND)
    asked = [e.what for e in Log(tmp_path / "log.mcap").only(Command)]
    assert asked[-1].sent is None


def test_a_face_that_went_to_rest_on_its_own_makes_no_alarm():
    """While a program hangs the Guard lets the face glide to rest, of which the twin does not know."""
    with Session(SimFace(), monitor=ResidualMonitor(learn_s=8.0)) as session:
        session.begin()
        play(session, 10.0)
        assert session.monitor is not None
        assert not session.monitor.is_learning
        stayed = session.face.last
        session.until(15.0)
        assert np.abs(session.face.last - stayed).max() > 0.2
        for k in range(75):
            session.until(15.0 + 0.04 * (k + 1))
            session.step(GOALS[k // 25])
        assert session.findings == []


@pytest.mark.slow
def test_a_blocked_servo_is_named_before_the_guard_stops_the_face(tmp_path, caplog):
    path = tmp_path / "log.mcap"
    with Session.open("emulated:dynamixel", path) as session:
        assert isinstance(session.face, BusFace)
        assert session.face.emulator is not None
        session.monitor = ResidualMonitor(learn_s=8.0)
        session.begin()
        play(session, 10.0)
        assert session.findings == []
        session.face.emulator.inject("blocked", servo="jaw")
        session.begin()
        with contextlib.suppress(BusError, CommandRejected):
            play(session, 5.0)
        assert session.findings[0].servos == ("jaw",)
        assert session.findings[0].time_s < session.start_s + 4.0
    assert session.findings[0].message in caplog.messages
    assert any(e.what.what == "drift" and "jaw" in e.what.message for e in Log(path).only(Event))


def test_logs_are_never_written_over(tmp_path):
    (tmp_path / "log.mcap").touch()
    (tmp_path / "log-2.mcap").touch()
    assert free_path(tmp_path).name == "log-3.mcap"


def test_time_goes_on_at_its_own_speed(tmp_path):
    begun = time.monotonic()
    with Session.open("sim") as session:
        session.begin(3.0)
        session.until(5.0)
        assert session.time_s == pytest.approx(5.0)
    assert time.monotonic() - begun < 1.5


def test_a_calibration_goes_into_the_log_and_the_shadow(tmp_path):
    path = tmp_path / "calibration.json"
    Calibration.of(default_map(), where="emulated:dynamixel").save(path)
    with followed_by("emulated:dynamixel", tmp_path, calibration=path) as (follower,):
        for _ in range(5):
            follower.step(GOALS[0])
            follower.session.face.wait()
    log = Log(tmp_path / "log.mcap")
    assert log.attachments["calibration.json"].data.decode() == path.read_text()
    with pytest.raises(InputError, match="calibration"), followed_by("sim", tmp_path, calibration=tmp_path / "none"):
        pass
