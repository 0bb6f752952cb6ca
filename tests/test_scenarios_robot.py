import json
import os
import signal
import subprocess
import sys

import pytest

from duchenne.scenarios import robot
from duchenne.sim.errors import BusError
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
