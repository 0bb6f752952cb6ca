"""`duchenne stream` and `duchenne bench stream`: published in real time, read again live and from files."""

import json
import os
import threading
import time

import numpy as np
import pytest

from duchenne.hardware.emg_lsl import LslMarkers, LslOutlet, LslSource, library
from duchenne.scenarios import stream, stream_read
from duchenne.scenarios.stream import Stretch, info, joined, live, publish
from duchenne.scenarios.stream_read import Tally, follow, from_file
from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.person.electrodes import montage
from duchenne.sim.recording import Recording, Stream
from duchenne.twin.log import Log, LogWriter

pylsl = pytest.importorskip("pylsl")

SESSION = f"duchenne-test-{os.getpid()}"
NAMES = montage("proximal7").channel_names


@pytest.fixture(autouse=True)
def _session():
    library(SESSION)


def test_one_stretch_grows_out_of_the_other_without_a_step():
    emg_uv = joined(np.full((50, 2), 100.0), np.zeros((200, 2)))
    assert emg_uv.shape == (200, 2)
    assert emg_uv[0, 0] == 100.0
    assert np.abs(np.diff(emg_uv, axis=0)).max() < 2.1


def test_stretches_are_simulated_ahead_no_more_than_are_needed(monkeypatch):
    seeds = []

    def simulate(person, worn, seed, seconds):
        seeds.append(seed)
        return Stretch(emg_uv=np.full((int(1000 * seconds), 1), float(seed)), marks=())

    monkeypatch.setattr(stream, "_stretch", simulate)
    came = [stretch.emg_uv[0, 0] for stretch in live(None, "proximal7", 5, seconds=3.0, stretch_s=1.0)]  # type: ignore[arg-type]
    assert came == [5.0, 6.0, 7.0, 8.0]  # 0.95 s each
    assert seeds == [5, 6, 7, 8]


def test_what_is_published_is_read_recorded_and_read_again(tmp_path, rng):
    about = info("proximal7", "live", "live-1")
    emg_uv = rng.normal(0, 20, (1000, 7)).astype(np.float32)
    stretch = Stretch(emg_uv=emg_uv, marks=((300, "smile"), (700, "neutral")))
    figures: dict[str, float] = {}
    with LslOutlet(about) as outlet:
        markers = LslMarkers("live markers", "live-1-markers")
        source = LslSource(name="live", channels=NAMES[::-1])
        (found,) = pylsl.resolve_byprop("source_id", "live-1-markers", 1, 3.0)
        marks = pylsl.StreamInlet(found)
        marks.open_stream(3.0)
        sender = threading.Thread(target=publish, args=(outlet, markers, iter([stretch]), 0.9, figures))
        source.read(0.0)
        sender.start()
        with LogWriter(tmp_path / "log.mcap") as log:
            tally = Tally()
            follow(source, None, tally, log, seconds=1.1)
        sender.join()
        assert figures["sent"] == 900
        offset_s = source.read(0.0).offset.offset_s
        came = [(text, at_s + offset_s) for (text,), at_s in (marks.pull_sample(1.0) for _ in range(2))]
    told = tally.figures(source, None)
    assert (told["received"], told["lost"], told["gaps"]) == (900, 0, 0)
    assert told["latency_p50_ms"] < 50
    blocks = [entry.what for entry in Log(tmp_path / "log.mcap").only(type(source.read(0.0)))]
    recorded = np.concatenate([block.emg_uv for block in blocks])
    np.testing.assert_array_equal(recorded, emg_uv[:900, ::-1])
    assert [text for text, _ in came] == ["smile", "neutral"]
    first_s = blocks[0].host_s[0]
    assert [at_s - first_s for _, at_s in came] == pytest.approx([0.3, 0.7], abs=2e-3)
    again = from_file(tmp_path / "log.mcap", montage="proximal7", paced=False)
    read = []
    while not again.ended:
        read.append(again.read().emg_uv)
    np.testing.assert_array_equal(np.concatenate(read), emg_uv[:900])
    assert again.info.electrodes["target_muscles"] == about.electrodes["target_muscles"]


def test_files_are_sources(tmp_path, rng):
    data = rng.normal(0, 20, (4000, 7))
    recording = Recording([Stream("emg", data, 1000.0, 0.0, NAMES[::-1], "uV")])
    path = recording.save(tmp_path / "a.npz")
    source = from_file(path, montage="proximal7", paced=False)
    follow(source, None, tally := Tally())
    assert source.info.channels == NAMES
    assert tally.figures(source, None)["received"] == 4000
    table = tmp_path / "b.csv"
    rows = "\n".join(",".join(f"{v:.6f}" for v in row) for row in np.column_stack([np.arange(4000) / 1000, data]))
    table.write_text("time_s," + ",".join(NAMES[::-1]) + "\n" + rows)
    assert from_file(table, montage="proximal7", unit="uV").info.rate_hz == 1000.0
    with pytest.raises(InputError, match="there is no"):
        from_file(tmp_path / "none.xdf")
    with LogWriter(tmp_path / "none.mcap"):
        pass
    with pytest.raises(InputError, match="without EMG"):
        from_file(tmp_path / "none.mcap")


def test_the_command_tells_levels_of_any_montage_and_errors_by_name(tmp_path, rng, capsys):
    data = rng.normal(0, 20, (3200, 4))
    path = Recording([Stream("emg", data, 1000.0, 0.0, ("a", "b", "c", "d"), "uV")]).save(tmp_path / "a.npz")
    assert stream_read.run(str(path), montage=None, seconds=0.3, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["figures"]["lost"] == 0
    assert said["stream"]["channels"] == ["a", "b", "c", "d"]
    with pytest.raises(VocabularyError, match=r"lacks .* of montage proximal7"):
        stream_read.run(str(path), montage="proximal7")


@pytest.mark.slow
def test_the_live_reading_sees_a_unit_that_moves_and_the_benchmark_loses_nothing():
    from duchenne.learning.anticipation import Anticipator
    from duchenne.scenarios.bench_stream import bench_stream
    from duchenne.sim.person.person import unit_shapes
    from duchenne.sim.person.repertoire import unit_index

    fit, names = stream_read._unit_solver()
    face_m = 0.6 * unit_shapes()[unit_index("AU12")].sum(0)
    found = dict(zip(names, fit(face_m), strict=True))
    assert found["AU12"] == pytest.approx(0.6, abs=0.1)
    assert sum(found.values()) < 1.2
    began_s = time.monotonic()
    figures = bench_stream(seconds=3.0, anticipator=Anticipator.default("proximal7"), session=SESSION)
    assert figures["lost"] == figures["reordered"] == figures["gaps"] == 0
    assert figures["rate_hz"] == pytest.approx(1000.0, rel=1e-3)
    assert figures["answers_hz"] == pytest.approx(25, abs=2)
    assert time.monotonic() - began_s < 60
