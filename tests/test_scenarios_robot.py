import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from duchenne.hardware.bus import Feedback
from duchenne.hardware.guard import Event
from duchenne.scenarios import mirror, robot
from duchenne.scenarios.replay import commands
from duchenne.sim.errors import BusError
from duchenne.sim.robot.servo import REST_COMMAND
from duchenne.twin.log import Log
from duchenne.twin.port import emulate


@pytest.fixture(params=["dynamixel", "maestro"])
def where(request):
    with emulate(request.param) as emulator:
        yield f"{request.param}:{emulator.port}"


def test_status_lists_every_servo_with_torque_off(where, capsys):
    assert robot.run_status(where, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["figures"]["servos"] == len(told["servos"]) == 26
    assert told["figures"]["errors"] == 0
    jaw = told["servos"][-1]
    assert jaw["servo"] == "jaw"
    if where.startswith("dynamixel"):
        assert jaw["model"] == "XL330-M288"
        assert 20 < jaw["°C"] < 60


def test_a_maestro_cannot_be_commissioned_from_here(where):
    if where.startswith("maestro"):
        with pytest.raises(BusError, match=r"Control Center.*timeout of 0\.5 s"):
            robot.run_commission(where)
    else:
        assert robot.run_commission(where) == 0


def test_emulate_says_where_and_ends_with_ctrl_c():
    code = "from duchenne.scenarios.robot import run_emulate; raise SystemExit(run_emulate('dynamixel', as_json=True))"
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert started.stdout is not None
    told = ""
    while line := started.stdout.readline():
        told += line
        if line == "}\n":
            break
    port = json.loads(told)["port"]
    assert os.path.exists(port)
    started.send_signal(signal.SIGINT)
    assert started.wait(10) == 0
    assert not os.path.exists(port)


def test_mirror_on_a_bus_keeps_a_log_and_goes_back_to_rest(tmp_path, capsys):
    assert mirror.run("portrait", tmp_path, render=False, robot="emulated:dynamixel", as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    log = Log(told["files"]["log"])
    assert log.complete
    rows = commands(log)
    assert np.abs([command for _, command in rows] - REST_COMMAND).max() > 0.1
    np.testing.assert_allclose(rows[-1][1], REST_COMMAND, atol=0.005)
    assert len(list(log.only(Feedback))) > 0.9 * len(rows)
    assert log.about["robot"] == "emulated:dynamixel"


def test_a_cable_pulled_in_the_middle_is_told_and_loses_nothing(tmp_path, monkeypatch, capsys):
    settle = mirror.Performance._settle

    def pull_the_cable(performance, time_s, take):
        performance.session.face.emulator.inject("unplug", after_s=0.4)
        return settle(performance, time_s, take)

    monkeypatch.setattr(mirror.Performance, "_settle", pull_the_cable)
    assert mirror.run("portrait", tmp_path, render=False, robot="emulated:dynamixel", as_json=True) == 2
    told = json.loads(capsys.readouterr().out)
    assert "port" in told["problem"]
    log = Log(told["files"]["log"])
    assert log.complete
    assert len(commands(log)) >= 5
    assert any(entry.what.what == "stop" for entry in log.only(Event))
    assert (tmp_path / "report.html").exists()
