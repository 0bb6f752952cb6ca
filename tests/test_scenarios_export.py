"""A log of record as other people's tools read it, also after its writer was killed."""

import json
import subprocess
import sys

import numpy as np
import pytest

from duchenne.hardware.bus import Feedback
from duchenne.hardware.emg_source import ClockOffset, Continuity, EmgInfo
from duchenne.hardware.guard import Event
from duchenne.scenarios.export import run
from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.robot.servo import SERVO_NAMES
from duchenne.twin import log_xdf
from duchenne.twin.log import LogWriter
from duchenne.twin.log_entries import Command, Seen

START_S, COUNT = 500.0, 50


@pytest.fixture(scope="module", params=["whole", "killed"])
def log(request, tmp_path_factory):
    """Two seconds of EMG at 1 kHz, commands, feedback and faces at 25 Hz; `killed` lacks the end of the file."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp(request.param) / "log.mcap"
    emg_uv = rng.normal(0, 20, (2000, 2)).astype(np.float32)
    continuity = Continuity("ab", 1000.0)
    with LogWriter(path, about={"robot": "sim"}) as writer:
        writer.write(START_S, EmgInfo(name="trigno", channels=("a", "b"), rate_hz=1000.0))
        for k in range(COUNT):
            now = START_S + 0.04 * (k + 1)
            rows = slice(40 * k, 40 * (k + 1))
            stamps = START_S + np.arange(2000)[rows] / 1000
            offset = ClockOffset(time_s=0.0, offset_s=0.0)
            writer.write(now, continuity.block(stamps, emg_uv[rows], now, offset))
            command = np.full(26, k / COUNT)
            writer.write(now, Command(asked=command, sent=command))
            writer.write(now, Feedback(time_s=now, position=command, current_a=np.full(26, 0.1)))
            writer.write(now, Seen(taken_s=now - 0.03, face_m=np.full((468, 3), 1e-3)))
        writer.write(START_S + 1.0, Event(START_S + 1.0, "rejected", "skin", "too <far>"))
        writer._do(writer._writer.flush)
        if request.param == "killed":
            whole = path.read_bytes()
            path = path.with_name("killed.mcap")
            path.write_bytes(whole[:-7])
    return path, emg_uv


def test_pyxdf_reads_it(log, tmp_path, capsys):
    pyxdf = pytest.importorskip("pyxdf")
    path, emg_uv = log
    assert run(path, "xdf", tmp_path, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    streams, _ = pyxdf.load_xdf(told["written"], verbose=False, dejitter_timestamps=False)
    by_name = {s["info"]["name"][0]: s for s in streams}
    emg = by_name["trigno"]
    np.testing.assert_array_equal(emg["time_series"], emg_uv)
    np.testing.assert_allclose(emg["time_stamps"], START_S + np.arange(2000) / 1000, atol=1e-6)
    assert [c["label"][0] for c in emg["info"]["desc"][0]["channels"][0]["channel"]] == ["a", "b"]
    sent = by_name["command_sent"]
    np.testing.assert_allclose(sent["time_series"][:, 0], np.arange(COUNT) / COUNT, atol=1e-6)
    np.testing.assert_allclose(sent["time_stamps"][0], START_S + 0.04)
    labels = [c["label"][0] for c in sent["info"]["desc"][0]["channels"][0]["channel"]]
    assert labels == list(SERVO_NAMES)
    assert by_name["guard"]["time_series"] == [["rejected skin: too <far>"]]
    assert by_name["displacement"]["time_series"].shape == (COUNT, 3 * 468)
    assert {"command_asked", "position", "current"} <= set(by_name)


def test_a_full_disk_leaves_nothing_behind(log, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log_xdf._Stream, "chunks", full)
    with pytest.raises(InputError, match="No space left on device; choose another folder"):
        run(log[0], "xdf", tmp_path)
    assert not list(tmp_path.iterdir())


def test_mne_reads_it(log, tmp_path):
    pytest.importorskip("edfio")
    mne = pytest.importorskip("mne")
    path, emg_uv = log
    assert run(path, "bids", tmp_path) == 0
    (file,) = tmp_path.glob("sub-001/emg/*.bdf")
    raw = mne.io.read_raw_bdf(file, verbose="error")
    np.testing.assert_allclose(1e6 * raw.get_data(picks=["a", "b"])[:, :2000].T, emg_uv, atol=0.1)


def test_minari_reads_it(log, tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    path, _ = log
    assert run(path, "minari", tmp_path) == 0
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    dataset = minari.load_dataset(f"duchenne/log/{path.stem}-v0")
    (episode,) = dataset.iterate_episodes()
    assert episode.observations.shape == (COUNT, 26)
    assert episode.actions.shape == (COUNT - 1, 26)
    np.testing.assert_allclose(episode.actions[:, 3], np.arange(1, COUNT) / COUNT, atol=1e-6)
    assert episode.truncations[-1]


def test_rerun_reads_it(log, tmp_path):
    path, _ = log
    assert run(path, "rrd", tmp_path) == 0
    written = str(tmp_path / f"{path.stem}.rrd")
    told = subprocess.run([sys.executable, "-m", "rerun", "rrd", "print", written], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    for entity in ("command_sent/mouth", "position/mouth", "emg/a", "person/face", "events"):
        assert f"/{entity}" in told.stdout


def test_what_cannot_be_is_explained(log, tmp_path):
    path, _ = log
    with pytest.raises(VocabularyError, match="bids, xdf, minari, rrd"):
        run(path, "mat", tmp_path)
    with LogWriter(tmp_path / "empty.mcap") as writer:
        writer.write(1.0, Event(1.0, "stop", "test", ""))
    for to, words in (("bids", "no EMG"), ("minari", "no commands")):
        with pytest.raises(InputError, match=words):
            run(tmp_path / "empty.mcap", to, tmp_path)
