import json

import numpy as np
import pytest
from typer.testing import CliRunner

from duchenne.scenarios import cli, synth
from duchenne.scenarios.synth import HEALTHY, INDEX, Wanted, check, run, schedule
from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.recording import Recording, load
from duchenne.sim.recording_bids import find_bdf, read_bids


@pytest.fixture
def made():
    """Places of the people that were performed, in order."""
    return []


@pytest.fixture
def perform(small_recording, made):
    """A stand-in for a person: the small recording, louder with each place."""

    def at(wanted: Wanted, place: int) -> Recording:
        made.append(place)
        about = small_recording.info | {"place": place, "variant": wanted.variant(place), "mains_hz": 50.0}
        return Recording(small_recording.streams, small_recording.events, small_recording.truth, about)

    return at


def test_one_file_a_person_and_an_index(tmp_path, perform, made, small_recording, capsys):
    assert run(tmp_path, Wanted(seed=3), people=3, as_json=True, perform=perform) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["files"] == ["person-000.npz", "person-001.npz", "person-002.npz"]
    assert said["figures"]["people"] == said["figures"]["made"] == 3
    assert said["figures"]["seconds"] == pytest.approx(3 * small_recording.duration_s)
    assert said["figures"]["realtime_factor"] > 0
    assert 0 < said["figures"]["peak_gb"] < 100
    assert [load(tmp_path / f).info["place"] for f in said["files"]] == made == [0, 1, 2]
    listed = list(synth.entries(tmp_path))
    assert [e["file"] for e in listed] == said["files"]
    assert len({e["person_seed"] for e in listed} | {e["recording_seed"] for e in listed}) == 6


def test_a_second_run_makes_only_what_is_missing(tmp_path, perform, made, capsys):
    run(tmp_path, Wanted(), people=2, perform=perform)
    (tmp_path / "person-000.npz").unlink()
    run(tmp_path, Wanted(), people=4, as_json=True, perform=perform)
    assert made == [0, 1, 0, 2, 3]
    assert json.loads(capsys.readouterr().out)["figures"]["made"] == 3
    run(tmp_path, Wanted(), people=4, as_json=True, perform=perform)
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert figures["made"] == 0
    assert figures["realtime_factor"] is None


def test_an_interruption_keeps_what_is_done(tmp_path, perform, made, capsys):
    def stops(wanted, place):
        if place == 2:
            raise KeyboardInterrupt
        return perform(wanted, place)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Wanted(), people=5, perform=stops)
    assert "2 of 5 people are kept" in capsys.readouterr().err
    run(tmp_path, Wanted(), people=5, perform=perform)
    assert made == [0, 1, 2, 3, 4]
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_folder_of_other_people_is_left_alone(tmp_path, perform):
    run(tmp_path, Wanted(), people=1, perform=perform)
    with pytest.raises(InputError, match="seed 0 instead of 1, format npz instead of zarr"):
        run(tmp_path, Wanted(seed=1, format="zarr"), people=1, perform=perform)
    (tmp_path / INDEX).write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        run(tmp_path, Wanted(), people=1, perform=perform)


def test_a_folder_that_cannot_be_made(tmp_path, perform):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another"):
        run(tmp_path / "file" / "people", Wanted(), people=1, perform=perform)


def test_zarr(tmp_path, perform, small_recording):
    pytest.importorskip("zarr")
    run(tmp_path, Wanted(format="zarr"), people=1, perform=perform)
    assert load(tmp_path / "person-000.zarr")["emg"] == small_recording["emg"]


def test_bids_with_the_truth_in_its_source_data(tmp_path, perform, made, small_recording, capsys):
    pytest.importorskip("edfio")
    wanted = Wanted(format="bids", protocol="six-expressions", variants=(HEALTHY, "palsy"))
    run(tmp_path, wanted, people=2, as_json=True, perform=perform)
    files = [tmp_path / f for f in json.loads(capsys.readouterr().out)["files"]]
    assert files == find_bdf(tmp_path)
    assert files[0].name == "sub-001_task-sixexpressions_emg.bdf"
    assert read_bids(files[1])["emg"].channels == small_recording["emg"].channels
    assert (tmp_path / "participants.tsv").read_text().splitlines()[1:] == ["sub-001\thealthy", "sub-002\tpalsy"]
    truth = load(tmp_path / "sourcedata" / "duchenne" / "person-001.npz").truth
    np.testing.assert_array_equal(truth["spike_sample"], small_recording.truth["spike_sample"])
    run(tmp_path, wanted, people=2, perform=perform)
    assert made == [0, 1]


def test_more_people_do_not_change_the_first():
    first = [Wanted(seed=5).seeds(k) for k in range(4)]
    assert len(set(first)) == 4
    assert first == [Wanted(seed=5, format="bids").seeds(k) for k in range(4)]
    assert first[0] != Wanted(seed=6).seeds(0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"montage": "headband"}, "unknown montage 'headband'; allowed: proximal7"),
        ({"protocol": "dance"}, "unknown protocol 'dance'"),
        ({"variants": ("ill",)}, "unknown variant 'ill'; allowed: healthy, palsy"),
        ({"quality": "perfect"}, "clean, wired active"),
        ({"seconds": 0.0}, "--seconds is 0.0"),
        ({"rate_hz": 3.0}, "--rate is 3.0 Hz"),
        ({"rate_hz": float("nan")}, "--rate is nan"),
    ],
)
def test_bad_wishes_are_refused_before_anything_is_made(tmp_path, change, said):
    with pytest.raises((InputError, VocabularyError), match=said):
        run(tmp_path / "none", Wanted(**change))
    assert not (tmp_path / "none").exists()


def test_the_first_seconds_of_a_protocol():
    whole, part = schedule(Wanted()), schedule(Wanted(seconds=12))
    assert part.duration_s == 12 < whole.duration_s
    assert part.cues
    assert max(cue.onset_s + cue.duration_s for cue in part.cues) <= 12
    assert schedule(Wanted(seconds=1e4)).duration_s == whole.duration_s
    assert schedule(Wanted(protocol="rest", seconds=7)).duration_s == 7
    check(Wanted(protocol="smiles", montage="distal4", variants=("palsy", HEALTHY), seconds=3, rate_hz=1000))


def test_choices_are_named_by_the_command_line():
    result = CliRunner().invoke(cli.app, ["synth", "--format", "mat"])
    assert isinstance(result.exception, VocabularyError)
    assert "allowed: npz, zarr, bids" in str(result.exception)


@pytest.mark.slow
def test_a_person_is_recorded_and_the_same_again(tmp_path):
    wanted = Wanted(protocol="rest", seconds=2, tier="interference", variants=("palsy",))
    first, again = synth.record(wanted, 0), synth.record(wanted, 0)
    assert first == again
    assert first.info["variant"] == "palsy"
    assert {"emg", "landmarks", "au", "activation"} <= set(first)
    assert first["emg"].duration_s == pytest.approx(2, abs=0.02)
    assert load(first.save(tmp_path / "a.npz")) == first
