"""A log as a recording: every stream at its time, missing EMG as NaN, on to EMG-BIDS."""

import numpy as np
import pytest

from duchenne.hardware.bus import Feedback
from duchenne.hardware.emg_source import ClockOffset, Continuity, EmgInfo
from duchenne.hardware.guard import Event
from duchenne.sim.errors import InputError
from duchenne.twin.log import Log, LogWriter
from duchenne.twin.log_entries import Command, Seen
from duchenne.twin.log_recording import recording_of

pytest.importorskip("mcap")

START_S = 1000.0


@pytest.fixture
def log(tmp_path, rng):
    """Two seconds: EMG from a clock 990 s behind, of which 15 samples are lost; commands at 25 Hz with jitter."""

    def make(lost=slice(1203, 1218)):
        path = tmp_path / "log.mcap"
        emg_uv = np.delete(rng.normal(0, 20, (2000, 2)).astype(np.float32), lost, axis=0)
        stamps = np.delete(10.5 + np.arange(2000) / 1000, lost)
        offset, continuity = ClockOffset(time_s=0.0, offset_s=990.0), Continuity("ab", 1000.0)
        with LogWriter(path) as writer:
            writer.write(START_S, EmgInfo(name="x", channels=("a", "b"), rate_hz=1000.0))
            for at in range(0, len(stamps), 10):
                block = continuity.block(stamps[at : at + 10], emg_uv[at : at + 10], stamps[at] + 990.02, offset)
                writer.write(block.arrival_s, block)
            for k in range(50):
                now = START_S + 0.5 + 0.04 * k
                sent = None if k == 7 else np.full(26, k / 50)
                writer.write(now + (0.003 if k % 3 else 0), Command(asked=np.full(26, np.nan), sent=sent))
                writer.write(now, Feedback(time_s=now, position=np.full(26, k / 50)))
                writer.write(now + 0.1, Seen(taken_s=now, face_m=np.full((468, 3), 1e-3 * k)))
            writer.write(START_S + 1.0, Event(START_S + 0.9, "rejected", "skin", "too far"))
        return Log(path), emg_uv

    return make


def test_every_stream_is_at_its_time(log):
    opened, emg_uv = log()
    recording = recording_of(opened)
    emg = recording["emg"]
    assert (len(emg), emg.rate_hz, emg.start_s, emg.channels) == (2000, 1000.0, pytest.approx(0.5), ("a", "b"))
    assert np.isnan(emg.data[1203:1218]).all()
    np.testing.assert_array_equal(np.delete(emg.data, slice(1203, 1218), axis=0), emg_uv)
    assert "command_asked" not in recording
    sent = recording["command_sent"]
    assert sent.at(0.5 + 0.04 * 20 + 0.02)[0] == pytest.approx(20 / 50, abs=0.021)
    assert sent.data[7, 0] == 6 / 50
    assert recording["position"].data[30, 5] == 0.6
    assert recording["displacement"].data[30, 0, 0] == pytest.approx(30)
    assert recording["displacement"].start_s == pytest.approx(0.5)
    (event,) = recording.events
    assert event.onset_s == pytest.approx(0.9)
    assert (event.label, event.value, event.kind) == ("rejected skin", "too far", "guard")


def test_it_goes_on_to_bids(log, tmp_path):
    pytest.importorskip("edfio")
    from duchenne.sim.recording_bids import read_bids, write_bids

    opened, emg_uv = log(lost=slice(0, 0))
    path = write_bids(recording_of(opened), tmp_path / "dataset", subject="001", task="mirror")
    again = read_bids(path)["emg"]
    assert again.data == pytest.approx(emg_uv, abs=0.01)


def test_emg_of_two_wearables_is_refused(tmp_path):
    with LogWriter(tmp_path / "log.mcap") as writer:
        writer.write(0.0, EmgInfo(name="x", channels=("a",), rate_hz=1000.0))
        writer.write(0.0, EmgInfo(name="y", channels=("b",), rate_hz=1000.0))
    with pytest.raises(InputError, match="'x' and of 'y'"):
        recording_of(Log(tmp_path / "log.mcap"))
