"""`duchenne analyse`: every format gives the same recording, errors say what to pass, figures mean what they say."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from duchenne.scenarios import analyse, analyse_people
from duchenne.scenarios.analyse_read import files, person_of, read
from duchenne.scenarios.analyse_signal import labels, measure, quality
from duchenne.scenarios.real_recordings import POSED, Pattern
from duchenne.sim.errors import DuchenneError
from duchenne.sim.recording import Event, Recording, Stream
from duchenne.sim.recording_bids import write_bids

RATE_HZ = 500.0
SHOWN = ("happiness", "anger", "surprise")
CHANNELS = ("zygomaticus", "corrugator", "frontalis", "mentalis")


@pytest.fixture(scope="module")
def recording() -> Recording:
    """Three expressions, three times each; one channel belongs to each, the fourth to none. A camera sees AU12."""
    rng = np.random.default_rng(3)
    events, start = [], 2.0
    for _ in range(3):
        for name in SHOWN:
            events.append(Event(start, 1.5, name, None, "instruction"))
            start += 2.5
    times = np.arange(round(start * RATE_HZ)) / RATE_HZ
    noise = rng.normal(size=(len(times), len(CHANNELS)))
    drive = np.stack([_course(times, [e for e in events if e.label == name]) for name in SHOWN], 1)
    emg = noise * (3 + 40 * np.column_stack([drive, 0 * times]))
    frames = np.arange(0, times[-1], 1 / 30)
    smile = _course(frames - 0.1, [e for e in events if e.label == "happiness"])
    streams = [
        Stream("emg", emg, RATE_HZ, channels=CHANNELS, unit="uV"),
        Stream("camera_au", smile[:, None], 30.0, channels=("AU12",)),
    ]
    return Recording(streams, events)


def _course(times_s: np.ndarray, events: list[Event]) -> np.ndarray:
    return np.sum([(times_s >= one.onset_s) & (times_s < one.end_s) for one in events], axis=0).astype(float)


def _csv(recording: Recording, path: Path, *, scale: float = 1.0, time: bool = True, late: float = 0.0) -> Path:
    emg = recording["emg"]
    shown = np.full(len(emg), "", dtype="U16")
    for event in recording.events:
        shown[slice(*emg.span(event.onset_s, event.end_s))] = event.label
    clock = emg.times_s + np.where(emg.times_s > 5, late, 0)
    lines = [",".join((["time"] if time else []) + [*emg.channels, "label"])]
    for moment, row, label in zip(clock, emg.data * scale, shown, strict=True):
        lines.append(",".join(([f"{moment:.4f}"] if time else []) + [f"{v:.6g}" for v in row] + [label]))
    path.write_text("\n".join(lines))
    return path


def _xdf(recording: Recording, path: Path) -> Path:
    """The least that an XDF file is: header, two streams, their samples, their ends."""
    emg = recording["emg"]
    about = "".join(f"<channel><label>{c}</label><unit>microvolts</unit></channel>" for c in emg.channels)
    marks = "<nominal_srate>0</nominal_srate><channel_format>string</channel_format>"
    quick = f"<nominal_srate>{emg.rate_hz:g}</nominal_srate><channel_format>double64</channel_format>"

    def chunk(tag: int, content: bytes) -> bytes:
        return b"\x04" + struct.pack("<IH", len(content) + 2, tag) + content

    def header(number: int, kind: str, count: int, rest: str) -> bytes:
        text = f"<info><name>{kind}</name><type>{kind}</type><channel_count>{count}</channel_count>{rest}</info>"
        return chunk(2, struct.pack("<I", number) + text.encode())

    def samples(number: int, rows: list[bytes]) -> bytes:
        return chunk(3, struct.pack("<I", number) + b"\x04" + struct.pack("<I", len(rows)) + b"".join(rows))

    values = np.asarray(emg.data, "<f8")
    rows = [b"\x08" + struct.pack("<d", 100 + t) + row.tobytes() for t, row in zip(emg.times_s, values, strict=True)]
    told = [(e.onset_s, e.label) for e in recording.events] + [(e.end_s, "neutral") for e in recording.events]
    words = [
        b"\x08" + struct.pack("<d", 100 + moment) + b"\x01" + bytes([len(word)]) + word.encode()
        for moment, word in sorted(told)
    ]
    path.write_bytes(
        b"XDF:"
        + chunk(1, b"<info><version>1.0</version></info>")
        + header(1, "EMG", len(emg.channels), f"{quick}<desc><channels>{about}</channels></desc>")
        + header(2, "Markers", 1, marks)
        + samples(1, rows)
        + samples(2, words)
        + b"".join(chunk(6, struct.pack("<I", number) + b"<info></info>") for number in (1, 2))
    )
    return path


def _written(recording: Recording, kind: str, folder: Path) -> Path:
    if kind == "bids":
        write_bids(recording, folder / "set", subject="07", task="faces")
        return folder / "set"
    if kind == "csv":
        return _csv(recording, folder / "r.csv")
    if kind == "xdf":
        pytest.importorskip("pyxdf")
        return _xdf(recording, folder / "r.xdf")
    return recording.save(folder / f"r{kind}")


@pytest.mark.parametrize("kind", [".npz", "bids", "csv", "xdf"])
def test_every_format_gives_the_same_recording(recording: Recording, kind: str, tmp_path: Path):
    (path,) = files(_written(recording, kind, tmp_path))
    got = read(path, unit="uV" if kind == "csv" else None)
    assert got["emg"].channels == CHANNELS
    assert got["emg"].rate_hz == RATE_HZ
    assert got["emg"].unit == "uV"
    np.testing.assert_allclose(got["emg"].data[:2000], recording["emg"].data[:2000], atol=2e-3)
    shown = [event for event in labels(got) if event.label != "neutral"]
    assert [event.label for event in shown] == [event.label for event in recording.events]
    np.testing.assert_allclose([e.onset_s for e in shown], [e.onset_s for e in recording.events], atol=3e-3)
    assert person_of(path) == ("sub-07" if kind == "bids" else "r")


def test_a_recording_becomes_figures_and_a_report(
    recording: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = recording.save(tmp_path / "anna.npz")
    assert analyse.run(path, tmp_path / "out", as_json=True) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert figures["channels"] == 4
    assert figures["channels_flagged"] == 0
    assert figures["accuracy"] > 0.9 > 0.6 > figures["chance"]
    assert figures["accuracy"] > figures["accuracy_shuffled"]
    assert figures["synergies"] >= 3
    assert figures["correlation_au12"] > 0.8
    assert figures["delay_au12_ms"] == pytest.approx(100, abs=60)
    assert figures["rms_uv_mentalis"] == pytest.approx(3 * np.sqrt(225 / 250), rel=0.1)
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("data:image/png") == 4
    columns = (tmp_path / "out" / "features" / "anna.csv").read_text().partition("\n")[0]
    assert columns.startswith('"end_s","zygomaticus rms"')


def test_people_in_a_folder_are_left_out_in_turn(
    recording: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    emg = recording["emg"]
    for number, gain in enumerate((0.5, 1.0, 2.0)):
        louder = Stream("emg", gain * emg.data, RATE_HZ, channels=CHANNELS, unit="uV")
        Recording([louder], recording.events).save(tmp_path / "all" / f"p{number}.npz")
    analyse.run(tmp_path / "all", tmp_path / "out", as_json=True)
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert figures["recordings"] == 3
    assert figures["accuracy_unseen_person_scaled"] > 0.9  # the same person but for the gain


def test_quality_sees_what_is_wrong(rng: np.random.Generator):
    times = np.arange(10_000) / 1000
    noise = rng.normal(size=(10_000, 4)) * [5, 5, 0.01, 5]
    noise[:, 1] += 30 * np.sin(2 * np.pi * 50 * times)
    noise[:, 3] = np.clip(20 * noise[:, 3], -60, 60)
    found = quality(Stream("emg", noise, 1000.0, channels=("good", "hum", "off", "cut")), np.zeros(4))
    assert found.flags == ("", "mains", "dead", "clipped")
    assert found.mains_uv[1] == pytest.approx(30 / np.sqrt(2), rel=0.05)
    assert found.mains_uv[0] < 1


def test_dead_channels_take_no_part(recording: Recording):
    emg = recording["emg"]
    more = np.column_stack([emg.data, np.zeros(len(emg))])
    one = measure("x", Recording([Stream("emg", more, RATE_HZ, channels=(*CHANNELS, "off"))], recording.events))
    assert one.quality.flags[-1] == "dead"
    assert one.envelopes_uv.shape[1] == 5
    assert one.synergies is not None
    assert one.synergies.weights_.shape[1] == 4
    assert one.examples is not None
    assert one.examples.channels == CHANNELS


def test_one_expression_is_set_against_the_rest_between(small_recording: Recording):
    shown = labels(small_recording)
    assert {event.label for event in shown} == {"happiness", "neutral"}


def test_channels_are_named_by_the_montage(recording: Recording, tmp_path: Path):
    path = recording.save(tmp_path / "r.npz")
    got = read(path, montage="distal4", channels=CHANNELS)
    assert got["emg"].channels == ("right upper", "right lower", "left upper", "left lower")
    assert read(path, channels=CHANNELS[1:3])["emg"].channels == CHANNELS[1:3]


@pytest.mark.parametrize(
    ("spoil", "given", "said"),
    [
        ({}, {}, "--unit uV, mV or V"),
        ({"scale": 1e-3}, {"unit": "uV"}, "pass --unit mV"),
        ({"scale": 1e-6}, {"unit": "mV"}, "pass --unit V"),
        ({}, {"unit": "mV"}, "pass --unit uV"),
        ({}, {"unit": "volts"}, "allowed: uV, mV, V"),
        ({}, {"unit": "uV", "rate_hz": 1000.0}, "500 Hz by its own account, --rate says 1000 Hz"),
        ({"time": False}, {"unit": "uV"}, "pass --rate"),
        ({"late": 3.0}, {"unit": "uV"}, "jumps from 5 to 8"),
        ({}, {"unit": "uV", "montage": "proximal7"}, "lacks IF, OF, CS, LLSAN, ZM, DAO, Me of montage proximal7"),
        ({}, {"unit": "uV", "channels": ("jaw",)}, "no channel jaw; it has time, zygomaticus"),
    ],
)
def test_errors_say_what_to_pass(recording: Recording, spoil: dict, given: dict, said: str, tmp_path: Path):
    path = _csv(recording, tmp_path / "r.csv", **spoil)
    with pytest.raises(DuchenneError, match=said) as caught:
        read(path, **given)
    assert "\n" not in str(caught.value)


def test_missing_samples_are_bridged_or_refused(recording: Recording, tmp_path: Path):
    emg = recording["emg"]
    for count, fine in ((20, True), (2000, False)):
        holes = emg.data.copy()
        holes[1000 : 1000 + count, 1] = np.nan
        broken = Stream("emg", holes, RATE_HZ, channels=CHANNELS, unit="uV", gaps=True)
        path = Recording([broken]).save(tmp_path / f"{count}.npz")
        if fine:
            got = read(path)
            assert np.isfinite(got["emg"].data).all()
            assert got.info["missing"][1] == pytest.approx(count / len(emg))
        else:
            with pytest.raises(DuchenneError, match=r"corrugator .* --channels zygomaticus,frontalis,mentalis"):
                read(path)


@pytest.mark.parametrize("name", ["r.npz", "r.bdf", "r.edf", "r.xdf", "r.csv", "r.txt"])
@pytest.mark.parametrize("content", [b"", b"\x00\x81 nothing that anyone wrote\n" * 9])
def test_damaged_files_are_named(name: str, content: bytes, tmp_path: Path):
    if name.endswith("xdf"):
        pytest.importorskip("pyxdf")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DuchenneError, match=name) as caught:
        read(tmp_path / name, unit="uV", rate_hz=1000.0)
    assert "\n" not in str(caught.value)


def test_places_without_recordings_are_named(tmp_path: Path):
    (tmp_path / "notes.docx").write_text("x")
    for path, said in (
        (tmp_path / "no", "there is no"),
        (tmp_path, "holds no rec"),
        (tmp_path / "notes.docx", "allow"),
    ):
        with pytest.raises(DuchenneError, match=said):
            files(path)


def test_real_amplitudes_are_those_that_others_measured(shared_data: Path):
    (path,) = files(shared_data / "emg_1khz_three_muscles")
    found = quality(read(path)["emg"], np.zeros(3))
    np.testing.assert_allclose(found.rms_uv, [5.0, 3.4, 14.2], rtol=0.03)
    np.testing.assert_allclose(found.median_hz, [66, 53, 78], atol=3)


def test_a_population_is_set_beside_a_simulated_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rng: np.random.Generator
):
    def people(count: int) -> Pattern:
        rises = np.random.default_rng(1).uniform(0, 15, (1, len(POSED), 1, 8))
        return Pattern(10 + rises + rng.normal(0, 1, (count, len(POSED), 4, 8)))

    for number, powers in enumerate(people(3).power_db):
        label = np.repeat(np.arange(1, 8), 4)
        savemat(tmp_path / f"S{number}.mat", {"data": np.column_stack([10 ** (powers.reshape(-1, 8) / 10), label])})
    monkeypatch.setattr(analyse_people, "simulated_people", lambda count, kept, **_: (people(count), people(count)))
    monkeypatch.setattr(analyse_people, "CLASSIFIERS", {"lda": analyse_people.CLASSIFIERS["lda"]})
    monkeypatch.setattr(analyse_people.strangers, "__kwdefaults__", {"classifiers": ("lda",), "seed": 0})
    assert analyse.run(tmp_path, tmp_path / "out", as_json=True) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert figures["loso_real"] == pytest.approx(1)
    assert figures["loso_gap"] == pytest.approx(0)
    assert {f"loso_{who}{end}" for who in ("real", "simulated") for end in ("", "_low", "_high")} <= set(figures)
    with pytest.raises(DuchenneError, match="leave them out"):
        analyse.run(tmp_path, tmp_path / "out", unit="mV")
    (tmp_path / "S1.mat").write_bytes(b"MATLAB 5.0, but no more")
    with pytest.raises(DuchenneError, match=r"S1\.mat"):
        analyse.run(tmp_path, tmp_path / "out")


@pytest.mark.slow
def test_strangers_are_recognised_as_well_as_simulated_ones(shared_data: Path, tmp_path: Path):
    study = analyse_people.people_study(shared_data / "emg_8ch_seven_expressions", tmp_path, populations=1)
    assert study.figures["loso_gap"] <= analyse_people.CLOSE
    assert study.figures["loso_real"] > 3 * study.figures["chance"]
