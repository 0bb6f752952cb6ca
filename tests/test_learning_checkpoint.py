import io
import zipfile

import numpy as np
import pytest

from duchenne.learning.checkpoint import Checkpoint, load, save
from duchenne.sim.errors import ModelFileError

MODEL = Checkpoint(
    kind="test-model",
    arrays={"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "rest_m": np.linspace(0, 1, 4)},
    units={"weight": "1", "rest_m": "m"},
    about={"outputs": ["a", "b"], "optimiser": {"name": "adamw", "learning_rate": 1e-3}},
)


@pytest.fixture
def path(tmp_path):
    return save(tmp_path / "deeper" / "model.npz", MODEL)


def rewrite(path, change):
    """Put other bytes into members of the archive, with valid check sums."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def npy(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def test_what_is_saved_comes_back(path):
    back = load(path, "test-model")
    assert back.about == MODEL.about
    assert back.units == MODEL.units
    assert back.versions["numpy"] == np.__version__
    for name, array in MODEL.arrays.items():
        assert back.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(back.arrays[name], array)


def test_an_overwrite_leaves_no_part_behind(path):
    save(path, MODEL)
    assert [p.name for p in path.parent.iterdir()] == ["model.npz"]


def test_the_wrong_kind_is_refused(path):
    with pytest.raises(ModelFileError, match=r"holds 'test-model'.*wanted is 'other'"):
        load(path, "other")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelFileError, match="no model file"):
        load(tmp_path / "none.npz", "test-model")


@pytest.mark.parametrize("keep", [0, 10, 200, -30])
def test_a_truncated_file_is_refused(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelFileError, match="damaged"):
        load(path, "test-model")


def test_flipped_bytes_are_refused(path):
    data = bytearray(path.read_bytes())
    for place in range(60, len(data), 97):
        data[place] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(ModelFileError):
        load(path, "test-model")


def test_an_exchanged_array_is_refused(path):
    rewrite(path, lambda members: members.update({"rest_m.npy": npy(np.zeros(4))}))
    with pytest.raises(ModelFileError, match="rest_m differ"):
        load(path, "test-model")


def test_an_extra_array_is_refused(path):
    rewrite(path, lambda members: members.update({"more.npy": npy(np.zeros(4))}))
    with pytest.raises(ModelFileError, match="more differ"):
        load(path, "test-model")


def test_pickled_objects_are_never_loaded(path):
    rewrite(path, lambda members: members.update({"rest_m.npy": npy(np.array([{"run": "me"}], dtype=object))}))
    with pytest.raises(ModelFileError, match="damaged"):
        load(path, "test-model")


def test_foreign_files_are_refused(tmp_path):
    for name, write in {
        "plain.npz": lambda p: np.savez(p, a=np.zeros(3)),
        "text.npz": lambda p: p.write_text("hello"),
        "list.npz": lambda p: np.savez(p, allow_pickle=False, **{"manifest.json": np.frombuffer(b"[1]", np.uint8)}),
    }.items():
        write(tmp_path / name)
        with pytest.raises(ModelFileError):
            load(tmp_path / name, "test-model")


def test_arrays_need_a_unit_and_plain_numbers(tmp_path):
    with pytest.raises(ModelFileError, match="unit"):
        save(tmp_path / "a.npz", Checkpoint(kind="k", arrays={"a": np.zeros(2)}, units={}))
    with pytest.raises(ModelFileError, match="plain numbers"):
        save(tmp_path / "a.npz", Checkpoint(kind="k", arrays={"a": np.array([None])}, units={"a": "1"}))
    assert not list(tmp_path.iterdir())
