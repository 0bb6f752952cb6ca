import logging
import subprocess
import sys

import numpy as np
import pytest

from duchenne.scenarios.take import jpeg
from duchenne.sim.errors import InputError
from duchenne.sim.mesh import REGIONS, REST
from duchenne.sim.robot.servo import REST_COMMAND, SERVO_NAMES
from duchenne.twin import viewer as viewer_module
from duchenne.twin.viewer import SERVO_GROUPS, Viewer, ViewerUnavailable


def rerun(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "rerun", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )


def record(path):
    picture = jpeg(np.full((48, 64, 3), 90, np.uint8))
    with Viewer.recording(path, recording_id="test") as viewer:
        for k in range(3):
            viewer.moment(
                0.04 * k, person_jpeg=picture, landmarks_px=np.zeros((478, 3)), person_m=REST + 0.001 * k, robot_m=REST
            )
        viewer.commands([0.0, 0.04, 0.08], np.tile(REST_COMMAND, (3, 1)))
        viewer.errors([0.0], np.ones((1, len(REGIONS))))
    return path


def test_a_recording_is_sound_and_the_same_each_time(tmp_path):
    first, second = record(tmp_path / "a.rrd"), record(tmp_path / "b.rrd")
    assert first.read_bytes().startswith(b"RRF2")
    assert rerun("rrd", "verify", first).returncode == 0
    assert rerun("rrd", "compare", "--unordered", first, second).returncode == 0


def test_vertices_move_and_only_what_never_changes_is_static(tmp_path):
    printed = rerun("rrd", "print", "-vv", record(tmp_path / "a.rrd")).stdout
    static = [
        b for b in printed.split("Chunk(") if "/person/face" in b.splitlines()[0] and "static" in b.splitlines()[0]
    ]
    assert all("vertex_positions" not in block for block in static)
    assert "vertex_positions" in printed


def test_every_servo_has_its_plot():
    assert sorted(n for names in SERVO_GROUPS.values() for n in names) == sorted(SERVO_NAMES)


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path):
    with pytest.raises(InputError, match="choose another folder"):
        Viewer.recording(tmp_path / "missing" / "a.rrd")


def test_without_a_display_there_is_no_live_viewer(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ViewerUnavailable, match="no display"):
        Viewer.live()


def test_the_live_viewer_listens_on_this_machine_only(monkeypatch):
    asked = []

    class Ends:
        pid = 0

        def __init__(self, command, **_):
            asked.extend(command)

        def poll(self):
            return 1

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(viewer_module.subprocess, "Popen", Ends)
    with pytest.raises(ViewerUnavailable, match="did not start"):
        Viewer.live()
    assert asked[asked.index("--bind") + 1] == "127.0.0.1"


def test_a_viewer_closed_by_the_user_is_a_warning(tmp_path, monkeypatch, caplog):
    viewer = Viewer.recording(tmp_path / "a.rrd")

    class Lost:
        def flush(self, **_):
            raise RuntimeError("connection severed")

        def disconnect(self):
            pass

    monkeypatch.setattr(viewer, "_stream", Lost())
    with caplog.at_level(logging.WARNING, logger="duchenne"):
        viewer.close()
    assert "connection severed" in caplog.text
