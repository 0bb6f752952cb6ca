import io
import json
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duchenne.sim import recording_files
from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.recording import STREAM_UNITS, Event, Recording, Stream, load, span

SUFFIXES = recording_files.SUFFIXES


@pytest.fixture(scope="module", params=SUFFIXES)
def saved(request, small_recording, tmp_path_factory):
    return small_recording.save(tmp_path_factory.mktemp("saved") / f"person{request.param}")


def test_what_is_read_equals_what_was_written(saved, small_recording):
    again = load(saved)
    assert again == small_recording
    assert again["landmarks"].data.dtype == np.float32
    assert again["emg"].unit == STREAM_UNITS["emg"]
    assert list(again) == list(small_recording)


def test_only_what_is_asked_for_is_read(saved, small_recording):
    part = load(saved, streams=["emg", "au"], between_s=(2.0, 4.5))
    assert list(part) == ["emg", "au"]
    cut = small_recording.between(2.0, 4.5)
    assert part == Recording(streams=[cut["emg"], cut["au"]], events=cut.events, info=cut.info)
    assert not load(saved, truth=False).truth
    assert len(load(saved, between_s=(90, 91))["emg"]) == 0


def test_an_unknown_stream_lists_the_known(saved):
    with pytest.raises(VocabularyError, match=r"no stream eeg; it has emg, emg_clean, landmarks"):
        load(saved, streams=["eeg"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_saving_again_replaces_and_leaves_nothing_behind(suffix, small_recording, tmp_path):
    path = tmp_path / f"a{suffix}"
    small_recording.save(path)
    small_recording.between(0, 1).save(path)
    assert load(path).duration_s < 1.1
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failed_save_keeps_the_old_file(suffix, small_recording, tmp_path, monkeypatch):
    path = small_recording.between(0, 1).save(tmp_path / f"a{suffix}")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recording_files, "_write_npz", full)
    monkeypatch.setattr(recording_files, "_write_zarr", full)
    with pytest.raises(InputError, match="No space left on device; choose another folder"):
        small_recording.save(path)
    assert load(path).duration_s < 1.1
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_empty_and_scalar_arrays_survive(suffix, tmp_path):
    odd = Recording(
        streams=[Stream("none", np.zeros((0, 3), np.int16), 10.0), Stream("flags", np.array([True, False]), 2.0)],
        truth={"one": np.array(3.5), "hollow": np.zeros((4, 0)), "gap": np.array([1.0, np.nan])},
    )
    assert load(odd.save(tmp_path / f"odd{suffix}")) == odd
    assert load(Recording().save(tmp_path / f"nothing{suffix}")) == Recording()


def test_npz_opens_with_numpy_alone_and_is_the_same_each_time(small_recording, tmp_path):
    first, second = (small_recording.save(tmp_path / name).read_bytes() for name in ("a.npz", "b.npz"))
    assert first == second
    with np.load(io.BytesIO(first), allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["stream/emg"], small_recording["emg"].data)


def test_damaged_and_foreign_files_are_one_clear_error(small_recording, tmp_path):
    whole = small_recording.save(tmp_path / "whole.npz").read_bytes()
    broken = tmp_path / "broken.npz"
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    np.savez(buffer := io.BytesIO(), a=np.zeros(3))
    np.save(single := io.BytesIO(), np.zeros(3))
    np.save(pickled := io.BytesIO(), np.array([{}]), allow_pickle=True)
    for content in (
        b"", b"not an archive", whole[: len(whole) // 2], whole[:-40], bytes(flipped), buffer.getvalue(),
        single.getvalue(), pickled.getvalue(),
    ):  # fmt: skip
        broken.write_bytes(content)
        with pytest.raises(InputError, match="damaged or no recording"):
            load(broken)
    with pytest.raises(InputError, match="there is no recording"):
        load(tmp_path / "absent.npz")
    with pytest.raises(InputError, match="damaged or no recording"):
        load(tmp_path)
    (tmp_path / "file.zarr").write_text("x")
    with pytest.raises(InputError, match="not a folder"):
        load(tmp_path / "file.zarr")


def _forged(path, change):
    """The file with its manifest changed."""
    out = path.with_name("forged.npz")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.namelist():
            content = old.read(entry)
            if entry.startswith("manifest"):
                manifest = json.loads(np.load(io.BytesIO(content)).tobytes())
                change(manifest)
                np.save(buffer := io.BytesIO(), np.frombuffer(json.dumps(manifest).encode(), np.uint8))
                content = buffer.getvalue()
            new.writestr(entry, content)
    return out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.update(format="other"), "not 'duchenne recording'"),
        (lambda m: m.update(schema=99), "install a newer duchenne"),
        (lambda m: m["streams"]["emg"].update(shape=[5, 2]), "damaged: emg"),
        (lambda m: m["streams"]["emg"].update(rate_hz=-1), "must be above 0"),
        (lambda m: m.pop("events"), "damaged or no recording"),
        (lambda m: m["streams"].update(ghost=m["streams"]["emg"]), "damaged or no recording"),
    ],
)
def test_a_manifest_that_lies_is_noticed(small_recording, tmp_path, change, said):
    with pytest.raises(InputError, match=said):
        load(_forged(small_recording.save(tmp_path / "true.npz"), change))


def test_a_damaged_zarr_chunk_is_noticed(small_recording, tmp_path):
    path = small_recording.save(tmp_path / "a.zarr")
    chunk = next(p for p in (path / "stream" / "emg").rglob("*") if p.is_file() and p.name != "zarr.json")
    chunk.write_bytes(chunk.read_bytes()[:100])
    with pytest.raises(InputError, match="damaged"):
        load(path)


def test_a_chunk_that_was_lost_is_noticed(small_recording, tmp_path):
    path = small_recording.save(tmp_path / "a.zarr")
    next(p for p in (path / "stream" / "emg").rglob("*") if p.is_file() and p.name != "zarr.json").unlink()
    with pytest.raises(InputError, match="damaged"):
        load(path)


def test_without_zarr_the_error_says_what_to_install(small_recording, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(InputError, match=r"pip install 'duchenne\[zarr\]', or use \.npz"):
        small_recording.save(tmp_path / "a.zarr")


def test_unknown_suffix_and_unwritable_folder(small_recording, tmp_path):
    with pytest.raises(InputError, match=r"must end in \.npz or \.zarr"):
        small_recording.save(tmp_path / "a.mat")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another folder"):
        small_recording.save(tmp_path / "file" / "a.npz")


def test_clocks():
    stream = Stream("emg", np.arange(100.0)[:, None], 50.0, start_s=2.0, channels=("a",))
    np.testing.assert_allclose(stream.times_s[[0, 50]], [2.0, 3.0])
    assert (stream.duration_s, stream.end_s) == (2.0, 4.0)
    part = stream.between(2.5, 3.0)
    assert part.start_s == 2.5
    np.testing.assert_array_equal(part.channel("a"), np.arange(25.0, 50.0))
    np.testing.assert_array_equal(stream.at([0.0, 2.5, 99.0])[:, 0], [0.0, 25.0, 99.0])
    with pytest.raises(VocabularyError, match="no channel 'b'; it has a"):
        stream.channel("b")
    with pytest.raises(InputError, match="earlier time first"):
        stream.between(3.0, 2.0)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([30.0, 125.0, 128.0, 1000.0, 1024.0]),
    st.floats(-5, 5),
    st.lists(st.integers(0, 500), min_size=3, max_size=3).map(sorted),
)
def test_cuts_join_without_loss_or_overlap(rate_hz, start_s, ends):
    a, b, c = (start_s + k / rate_hz for k in ends)
    assert span(500, rate_hz, start_s, a, b)[1] == span(500, rate_hz, start_s, b, c)[0] == ends[1]


def test_cut_recordings_keep_events_that_reach_in(small_recording):
    part = small_recording.between(2.0, 5.0)
    assert [e.onset_s for e in part.kinds("expression")] == [1.5]
    assert [e.onset_s for e in small_recording.between(5.0, 5.1).kinds("expression")] == [5.0]
    assert part.start_s == pytest.approx(2.0)
    assert not part.truth


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": np.array(1.0)}, "time axis"),
        ({"data": np.array([["a", "b"]])}, "real numbers or booleans"),
        ({"data": np.zeros((3, 2), complex)}, "real numbers or booleans"),
        ({"data": np.array([[0, np.nan]])}, r"not finite, first at index \[0, 1\]; a stream with holes"),
        ({"data": np.array([[0, np.inf]]), "gaps": True}, r"not finite, first at index \[0, 1\]"),
        ({"rate_hz": 0}, "above 0"),
        ({"rate_hz": float("nan")}, "finite number"),
        ({"rate_hz": "fast"}, "a number is needed"),
        ({"start_s": np.inf}, "finite number"),
        ({"channels": ("a", "a")}, "same name: a"),
        ({"channels": ("a",)}, "names 1 channels"),
        ({"name": "a/b"}, "cannot be called"),
        ({"name": ""}, "cannot be called"),
    ],
)
def test_bad_streams(change, said):
    good = {"name": "emg", "data": np.zeros((3, 2)), "rate_hz": 10.0}
    with pytest.raises(InputError, match=said):
        Stream(**(good | change))


def test_bad_events_and_recordings():
    with pytest.raises(InputError, match="below 0"):
        Event(0, -1, "smile")
    with pytest.raises(InputError, match="no label"):
        Event(0, 1, " ")
    with pytest.raises(InputError, match="finite"):
        Event(np.nan, 1, "smile")
    one = Stream("emg", np.zeros(3), 10.0)
    with pytest.raises(InputError, match="same name"):
        Recording(streams=[one, one])
    with pytest.raises(InputError, match="other names"):
        Recording(streams={"au": one})
    with pytest.raises(InputError, match="JSON"):
        Recording(info={"x": float("nan")})
    with pytest.raises(InputError, match="JSON"):
        Recording(info={"x": object()})
    with pytest.raises(InputError, match="real numbers"):
        Recording(truth={"names": np.array(["a"])})
    with pytest.raises(VocabularyError, match="no stream 'emgg'; it has emg"):
        Recording(streams=[one])["emgg"]


def test_what_was_given_cannot_be_changed_through_a_recording(small_recording):
    with pytest.raises(ValueError, match="read-only"):
        small_recording["emg"].data[0] = 1
    with pytest.raises(AttributeError):
        small_recording.events = ()
