import json
import subprocess
import sys

import numpy as np
import pytest

from duchenne.sim import mesh, recording_bids
from duchenne.sim.errors import InputError
from duchenne.sim.recording import Event, Recording, Stream
from duchenne.sim.recording_bids import find_bdf, read_bids, read_raw, write_bids
from duchenne.sim.recording_edf import LABEL_LENGTH, labels, read_edf, tag, write_bdf
from duchenne.sim.recording_electrodes import Electrodes

mne = pytest.importorskip("mne")
mne_bids = pytest.importorskip("mne_bids")


@pytest.fixture(scope="module")
def dataset(small_recording, tmp_path_factory):
    root = tmp_path_factory.mktemp("bids")
    for person in ("001", "002"):
        write_bids(
            small_recording, root, subject=person, task="smiles", session="1", run=1, participant={"age": 30},
            power_line_hz=50,
        )  # fmt: skip
    return root


@pytest.fixture(scope="module")
def raw(dataset):
    path = mne_bids.BIDSPath("002", session="1", task="smiles", run="01", datatype="emg", root=dataset)
    return mne_bids.read_raw_bids(path, verbose=False)


def test_mne_bids_reads_channels_units_rate_and_values(raw, small_recording):
    emg = small_recording["emg"]
    assert raw.ch_names == list(emg.channels)
    assert raw.get_channel_types() == ["emg", "emg"]
    assert raw.info["sfreq"] == emg.rate_hz
    assert raw.info["line_freq"] == 50
    assert set(raw._orig_units.values()) == {"µV"}
    assert len(raw.times) == len(emg)
    np.testing.assert_allclose(1e6 * raw.get_data().T, emg.data, atol=1e-3)  # 24 bits of ± 10 mV


def test_mne_bids_reads_the_events(raw, small_recording):
    found = sorted(zip(raw.annotations.onset, raw.annotations.duration, raw.annotations.description, strict=True))
    wanted = sorted((e.onset_s, e.duration_s, tag(e)) for e in small_recording.events)
    assert [w[2] for w in wanted] == [str(f[2]) for f in found]
    np.testing.assert_allclose([f[:2] for f in found], [w[:2] for w in wanted], atol=1e-6)


def test_mne_alone_reads_the_bdf(dataset, small_recording):
    alone = mne.io.read_raw_bdf(find_bdf(dataset)[0], verbose=False)
    assert alone.ch_names == list(small_recording["emg"].channels)
    assert sorted(alone.annotations.description) == sorted(tag(e) for e in small_recording.events)
    np.testing.assert_allclose(1e6 * alone.get_data().T, small_recording["emg"].data, atol=1e-3)


def test_electrode_positions_come_back(dataset, small_recording):
    wanted = small_recording.info["electrodes"]
    by_name = dict(zip(wanted["names"], wanted["positions_m"], strict=True))
    bdf = find_bdf(dataset)[0]
    found = read_bids(bdf).info["electrodes_m"]
    assert list(found) == wanted["names"]
    np.testing.assert_allclose(list(found.values()), wanted["positions_m"], atol=1e-7)
    read = read_raw(bdf)
    assert read.info["chs"][1]["loc"][:3] == pytest.approx(by_name["C1"], abs=1e-7)
    assert read.info["chs"][1]["loc"][3:6] == pytest.approx(by_name["C2"], abs=1e-7)


def test_our_reader_gives_the_emg_and_its_events_back(dataset, small_recording):
    again = read_bids(find_bdf(dataset)[0])
    assert again["emg"].channels == small_recording["emg"].channels
    assert again["emg"].unit == "uV"
    assert [(tag(e), e.value) for e in again.events] == [(tag(e), e.value) for e in small_recording.events]
    assert [e.end_s for e in again.events] == pytest.approx([e.end_s for e in small_recording.events])


def test_sidecars_say_what_mne_bids_leaves_open(dataset):
    folder = dataset / "sub-001" / "ses-1" / "emg"
    sidecar = json.loads((folder / "sub-001_ses-1_task-smiles_run-01_emg.json").read_text())
    assert sidecar["EMGPlacementScheme"] == "Measured"
    assert sidecar["SamplingFrequency"] == 1024
    assert "FIXME" not in json.dumps(sidecar)
    assert sidecar["Manufacturer"].startswith("duchenne")
    system = json.loads((folder / "sub-001_ses-1_coordsystem.json").read_text())
    assert system["EMGCoordinateUnits"] == "mm"
    header, first, *_ = (folder / "sub-001_ses-1_task-smiles_run-01_channels.tsv").read_text().splitlines()
    row = dict(zip(header.split("\t"), first.split("\t"), strict=True))
    assert row["type"] == "EMG"
    assert row["units"] == "uV"
    assert (row["signal_electrode"], row["reference"]) == ("Z1", "Z2")
    assert row["target_muscle"] == "zygomaticus major, right"
    apart = 1e3 * np.linalg.norm(mesh.REST[50] - mesh.REST[187])
    assert float(row["interelectrode_distance"]) == pytest.approx(apart, abs=0.01)


def test_people_are_listed_once(dataset):
    assert (dataset / "participants.tsv").read_text() == "participant_id\tage\nsub-001\t30\nsub-002\t30\n"
    described = json.loads((dataset / "dataset_description.json").read_text())
    assert described["BIDSVersion"] == recording_bids.BIDS_VERSION


def test_writing_again_changes_no_byte(dataset, small_recording):
    before = {p: p.read_bytes() for p in dataset.rglob("*") if p.is_file()}
    write_bids(
        small_recording, dataset, subject="001", task="smiles", session="1", run=1, participant={"age": 30},
        power_line_hz=50,
    )  # fmt: skip
    assert {p: p.read_bytes() for p in dataset.rglob("*") if p.is_file()} == before


def test_an_interrupted_recording_leaves_no_bdf(small_recording, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(recording_bids, "write_bdf", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bids(small_recording, tmp_path, subject="1", task="smiles")
    assert find_bdf(tmp_path) == []
    assert not list(tmp_path.rglob(".writing*"))


def test_many_values_do_not_change_what_mne_calls_an_event(small_recording, tmp_path):
    events = [Event(k, 0.3, "blink", 0.1 * k, "blink") for k in range(1, 6)]
    several = Recording([small_recording["emg"]], events)
    path = write_bids(several, tmp_path, subject="1", task="smiles")
    assert set(read_raw(path).annotations.description) == {"blink/blink"}
    assert [e.value for e in read_bids(path).events] == pytest.approx([e.value for e in events])


def test_electrodes_that_moved_belong_to_another_session(small_recording, tmp_path):
    write_bids(small_recording, tmp_path, subject="1", task="smiles", run=1)
    moved = dict(small_recording.info["electrodes"])
    moved["positions_m"] = (np.array(moved["positions_m"]) + 0.002).tolist()
    other = Electrodes.from_info(moved)
    with pytest.raises(InputError, match="another session"):
        write_bids(small_recording, tmp_path, subject="1", task="smiles", run=2, electrodes=other)
    write_bids(small_recording, tmp_path, subject="1", task="smiles", session="2", run=2, electrodes=other)
    write_bids(small_recording, tmp_path, subject="1", task="smiles", run=1, electrodes=other)
    assert len(find_bdf(tmp_path)) == 2


def test_long_names_and_odd_lengths_come_back(tmp_path):
    names = ("orbicularis oculi, orbital part, right", "orbicularis oculi, orbital part, left", "µ", "plain")
    values = np.random.default_rng(0).normal(0, 20, (1543, 4))
    odd = Recording(streams=[Stream("emg", values, 1024, 2.0, names, "uV")], events=[Event(2.25, 0, "cue")])
    path = write_bids(odd, tmp_path, subject="1", task="odd")
    again = read_bids(path)
    assert again["emg"].channels == names
    assert again.events == (Event(0.25, 0, "cue"),)
    assert again["emg"].data.shape == values.shape
    np.testing.assert_allclose(again["emg"].data, values, atol=1e-3)


def test_labels_are_short_ascii_and_unique():
    long = ["zygomaticus major, right", "zygomaticus major, left", "zygomaticus minimus, left", "a", "a", "€"]
    short = labels(long)
    assert len(set(short)) == len(short)
    assert all(len(s) <= LABEL_LENGTH and s.isascii() and s for s in short)
    assert short[:2] == ("zygomaticus ma R", "zygomaticus ma L")


def test_large_values_widen_the_range(tmp_path):
    stream = Stream("emg", np.linspace(-33_333, 33_333, 2000)[:, None], 1000, unit="uV")
    assert write_bdf(stream, (), tmp_path / "a.bdf") == 0
    again = read_edf(tmp_path / "a.bdf")["emg"]
    assert again.channels == ("emg1",)
    np.testing.assert_allclose(again.data, stream.data, atol=0.01)


def test_files_from_elsewhere_read_in_microvolts(tmp_path):
    import edfio

    wave = np.sin(np.arange(1000) / 20)
    signals = [
        edfio.EdfSignal(wave, 500, label="a", physical_dimension="mV"),
        edfio.EdfSignal(50 * wave, 500, label="b", physical_dimension="uV"),
        edfio.EdfSignal(wave[:200], 100, label="temperature", physical_dimension="degC"),
    ]
    edfio.Edf(signals).write(tmp_path / "foreign.edf")
    read = read_edf(tmp_path / "foreign.edf")
    np.testing.assert_allclose(read["emg"].data, np.stack([1000 * wave, 50 * wave], 1), atol=0.1)
    assert (read["emg_2"].unit, read["emg_2"].rate_hz) == ("degC", 100)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"subject": "a_b"}, "letters and digits"),
        ({"task": ""}, "letters and digits"),
        ({"run": 0}, "counted from 1"),
        ({"stream": "landmarks"}, r"\(T, channel\)"),
    ],
)
def test_bad_requests(small_recording, tmp_path, change, said):
    if "stream" in change:
        small_recording = Recording([small_recording["landmarks"]])
    with pytest.raises(InputError, match=said):
        write_bids(small_recording, tmp_path, **({"subject": "1", "task": "smiles"} | change))


def test_what_bdf_cannot_hold(small_recording, tmp_path):
    def stream(**change):
        return Stream(**({"name": "emg", "data": np.zeros((1000, 2)), "rate_hz": 1000.0, "unit": "uV"} | change))

    for bad, said in (
        (stream(data=np.full((10, 1), np.nan), gaps=True), "gaps"),
        (stream(unit="mm"), "'mm'"),
        (stream(rate_hz=np.pi * 300), "whole number"),
        (stream(data=np.zeros((0, 2))), "not empty"),
    ):
        with pytest.raises(InputError, match=said):
            write_bdf(bad, (), tmp_path / "a.bdf")
    (tmp_path / "text.bdf").write_text("no biosignal")
    with pytest.raises(InputError, match="damaged or no EDF or BDF"):
        read_edf(tmp_path / "text.bdf")
    wrong = dict(small_recording.info["electrodes"]) | {"derivation": [[1, -1, 0, 0]], "target_muscles": []}
    with pytest.raises(InputError, match="makes 1 channels, the recording has 2"):
        write_bids(small_recording, tmp_path, subject="1", task="a", electrodes=Electrodes.from_info(wrong))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"positions_m": [[0, 0, 0]]}, "positions_m"),
        ({"positions_m": [[0, 0, np.nan]] * 4}, "finite"),
        ({"derivation": [[1, 2]]}, "derivation"),
        ({"names": ["a", "a", "b", "c"]}, "names of their own"),
        ({"target_muscles": ["x"]}, "target_muscles has 1"),
        ({"names": None}, "does not describe"),
    ],
)
def test_bad_electrodes(small_recording, change, said):
    with pytest.raises(InputError, match=said):
        Electrodes.from_info(small_recording.info["electrodes"] | change)


def test_electrodes_of_a_montage_survive_json():
    electrodes = pytest.importorskip("duchenne.sim.person.electrodes")
    montage = electrodes.montage("proximal7")
    worn = Electrodes.of(montage)
    again = Electrodes.from_info(json.loads(json.dumps(worn.as_info())))
    assert again.names == montage.contact_names
    np.testing.assert_array_equal(again.positions_m, montage.positions_m)
    np.testing.assert_array_equal(again.derivation, montage.derivation)
    assert again.ends(0)[0] in montage.contact_names


def test_without_the_extra_the_error_says_what_to_install(small_recording, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "edfio", None)
    with pytest.raises(InputError, match=r"pip install 'duchenne\[bids\]'"):
        write_bids(small_recording, tmp_path, subject="1", task="a")


def test_importing_needs_no_extra():
    code = (
        "import sys; import duchenne.sim.recording_bids; print({'mne', 'mne_bids', 'edfio', 'zarr'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
