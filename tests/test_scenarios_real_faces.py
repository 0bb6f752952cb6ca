import csv
import gzip
import shutil

import numpy as np
import pytest

from duchenne.scenarios import real_faces as real
from duchenne.sim.errors import InputError
from duchenne.sim.facs import BLENDSHAPES


def only(shared_data, tmp_path, *parts):
    """A folder that holds some of the recordings alone."""
    for part in parts:
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shared_data / part, tmp_path / part)
    return real.series(tmp_path)


SMILES = "smile_landmarks_100hz/subject1_smile_1_landmarks.csv.gz"
MOTION = "arkit_range_of_motion/alex_rom_3.csv.gz"
CLIP = "face_videos/pyfeat_single_face.mp4"


def test_nine_smiles(shared_data, tmp_path):
    (one,) = only(shared_data, tmp_path, SMILES)
    assert (one.kind, one.person, one.shape, one.rate_hz) == ("points68", "subject1", (68, 2), 25.0)
    found = one.apexes()
    assert len(found) == 9
    assert 0.1 < np.median([apex.arrival - apex.onset for apex in found]) / 25 < 0.4
    eyes = one.faces.reshape(-1, 68, 2)[:, [36, 45]]
    np.testing.assert_allclose(np.linalg.norm(eyes[:, 1] - eyes[:, 0], axis=-1), 1, atol=0.04)
    # A held face is copied better from within its plateau than from before its rise.
    late, early = ([real.copy_error(one, apex.arrival, lead) for apex in found] for lead in (0.04, 0.4))
    assert np.mean(late) < 0.5 * np.mean(early)


def test_head_motion_is_taken_out(rng):
    face = rng.normal(size=68) + 1j * rng.normal(size=68)
    pose = rng.uniform(50, 100, (30, 1)) * np.exp(1j * rng.uniform(-0.3, 0.3, (30, 1)))
    laid = real._over_each_other(face * pose + rng.normal(size=(30, 1)) * (30 + 20j))
    np.testing.assert_allclose(laid - laid[0], 0, atol=1e-9)


def test_range_of_motion(shared_data, tmp_path):
    (one,) = only(shared_data, tmp_path, MOTION)
    assert (one.kind, one.shape, one.unit) == ("blendshapes", (52,), "1")
    assert one.faces.shape == (3360, 52)
    assert one.faces.min() >= 0
    assert one.faces.max() < 1.01  # ARKit itself goes a little beyond 1
    left_out = {name for name, weight in zip(BLENDSHAPES, one.weight, strict=True) if weight == 0}
    assert left_out == {name for name in BLENDSHAPES if name.startswith(("eye", "_neutral"))}
    assert 30 <= len(one.apexes()) <= 55


def test_a_clip_through_the_camera(shared_data, tmp_path):
    (one,) = only(shared_data, tmp_path, CLIP)
    assert (one.kind, one.unit, one.displacement.shape) == ("mesh", "m", (60, 468, 3))
    (smile,) = one.apexes()
    assert 4e-3 < real.copy_error(one, smile.arrival, 0.4) < 6e-3
    assert np.isnan(real.copy_error(one, 3, 0.2))
    assert np.linalg.norm(one.displacement[:5], axis=-1).mean() < 2e-3
    assert one.weight.reshape(468, 3)[159].tolist() == [0, 0, 0]  # an upper lid


def test_rows_of_a_detector(shared_data, tmp_path):
    (one,) = only(shared_data, tmp_path, "facs_intensity_series/news_sample/016.csv.gz")
    assert (one.kind, one.person, one.name) == ("mesh", "news_sample", "facs_intensity_series/016")
    assert len(one.faces) == 77  # 39 rows, every other frame
    np.testing.assert_array_equal(one.faces[1], one.faces[0])
    assert 0.5e-3 < np.linalg.norm(one.displacement, axis=-1).mean() < 8e-3


def test_the_clock_never_shows_what_is_not_there_yet():
    times = np.array([0, 0.033, 0.067, 0.1, 0.2, 0.233])
    faces = real._causally(times, times[:, None])[:, 0]
    ticks = np.arange(len(faces)) / real.RATE_HZ
    assert (faces <= ticks + 1e-6).all()
    np.testing.assert_allclose(faces, [0, 0.033, 0.067, 0.1, 0.1, 0.2])


def write(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def points_file(path, rows, rng):
    header = ["", "Frame_number", *[f"landmark_{k}_{axis}" for k in range(68) for axis in "xy"]]
    face = rng.uniform(100, 500, 136)
    write(path, header, [[k, k, *face] if k in rows else [k, k, *[""] * 136] for k in range(800)][::-1])


def test_a_lost_face_cuts_a_series(tmp_path, rng, caplog):
    rows = {*range(300), *range(310, 400), *range(450, 480), *range(600, 800)}
    points_file(tmp_path / "smile_landmarks_100hz" / "subject7_frown_1_landmarks.csv.gz", rows, rng)
    found = real.series(tmp_path)
    assert [one.name.split("/")[-1] for one in found] == ["1", "2"]
    assert [len(one.faces) for one in found] == [100, 50]
    assert {one.person for one in found} == {"subject7"}
    assert "left out 1 stretch" in caplog.text


def test_corrupt_files_are_named(shared_data, tmp_path):
    for part, keep in ((SMILES, 5000), (MOTION, 5000), (CLIP, 20_000)):
        folder = tmp_path / part.split("/")[0]
        (folder / part).parent.mkdir(parents=True)
        (folder / part).write_bytes((shared_data / part).read_bytes()[:keep])
        with pytest.raises(InputError, match=part.split("/")[1]):
            real.series(folder)


def test_a_missing_column_is_named(tmp_path):
    write(tmp_path / MOTION, ["Timecode", "JawOpen"], [["0:0:0:0", "0.1"]])
    with pytest.raises(InputError, match=r"alex_rom_3.*column"):
        real.series(tmp_path)


def test_an_empty_folder_is_named(tmp_path):
    for reader in (real.series, real.pairs):
        with pytest.raises(InputError, match=str(tmp_path)):
            reader(tmp_path)


def test_pairs_as_described(shared_data):
    early, target, clip = real.pairs(shared_data)
    assert early.shape == target.shape == (len(clip), 113, 2)
    assert np.linalg.norm(early - target, axis=-1).mean() == pytest.approx(0.0645, abs=0.0005)
    assert np.linalg.norm(target - target.mean(0), axis=-1).mean() > 0.1


def test_rows_of_an_unknown_rate_are_left_out(shared_data, tmp_path, caplog):
    part = "facs_intensity_series/news_sample/016.csv.gz"
    with gzip.open(shared_data / part, "rt") as stream:
        header, *rows = csv.reader(stream)
    for row in rows:
        row[header.index("frame")] = str(3 * int(row[header.index("frame")]))
    write(tmp_path / part, header, rows)
    with pytest.raises(InputError, match="no faces"):
        real.series(tmp_path)
    assert "frames/s" in caplog.text
