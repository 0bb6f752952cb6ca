import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from skimage.data import astronaut, coffee

from duchenne.hardware.guard import Guard
from duchenne.scenarios import mirror as job
from duchenne.scenarios import pictures
from duchenne.scenarios.charts import PANELS, commands_from_rest, commands_over_time
from duchenne.scenarios.take import Album, Take, jpeg, picture
from duchenne.sim.errors import FaceError, GraphicsError, InputError, PhysicsDiverged, VocabularyError
from duchenne.sim.mesh import REST
from duchenne.sim.robot.servo import REST_COMMAND, SERVO_NAMES

NEEDED_FIGURES = {"frames", "faces", "safe_fraction", "landmarks_to_command_ms", "landmark_error_mm", "error_mouth_mm"}


def read_csv(path):
    with path.open() as stream:
        header, *rows = csv.reader(stream)
    return header, np.array(rows, float)


def write_video(path, frames, fps=25):
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (width, height))
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path


@pytest.fixture(scope="module")
def portrait():
    return np.ascontiguousarray(astronaut()[:300, 60:380])


@pytest.fixture(scope="module")
def clip(tmp_path_factory, portrait):
    """Twelve frames: one without a face in the beginning, the portrait coming nearer, two without a face."""
    blank = np.full_like(portrait, 90)
    height, width = portrait.shape[:2]
    zoomed = [cv2.resize(portrait, None, fx=s, fy=s)[:height, :width] for s in np.linspace(1, 1.1, 9)]
    return write_video(tmp_path_factory.mktemp("clip") / "clip.avi", [blank, *zoomed, blank, blank])


@pytest.fixture(scope="module")
def photo_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("photo")
    assert job.run("portrait", out) == 0
    return out


@pytest.fixture(scope="module")
def video_run(tmp_path_factory, clip):
    out = tmp_path_factory.mktemp("video")
    assert job.run(str(clip), out) == 0
    return out


@pytest.mark.parametrize("run", ["photo_run", "video_run"])
def test_a_run_leaves_everything(run, request):
    out = request.getfixturevalue(run)
    assert {"report.html", "recording.rrd", "commands.csv"} <= {p.name for p in out.iterdir()}
    assert (out / "recording.rrd").read_bytes().startswith(b"RRF2")


@pytest.mark.parametrize("run", ["photo_run", "video_run"])
def test_the_report_needs_no_other_file(run, request):
    html = (request.getfixturevalue(run) / "report.html").read_text()
    assert all(s.startswith("data:") for s in re.findall(r'(?:src|href)="([^"]*)', html))
    assert "url(" not in html
    assert "http" not in html


@pytest.mark.parametrize("run", ["photo_run", "video_run"])
def test_every_command_passes_a_fresh_guard(run, request):
    header, rows = read_csv(request.getfixturevalue(run) / "commands.csv")
    assert header == ["time_s", *SERVO_NAMES]
    guard = Guard()
    rounded = 1e-4  # commands.csv has five digits
    for time_s, *command in rows:
        inside = guard.safe_set.project(np.array(command))
        np.testing.assert_allclose(inside, command, atol=rounded)
        step = np.clip(inside, guard.last - 1, guard.last + 1)
        guard.check(guard.last + (step - guard.last) * (1 - 1e-3), time_s)


def test_a_photo_shows_person_and_robot_side_by_side(photo_run):
    both = cv2.imread(str(photo_run / "mirror.png"))
    assert both is not None
    assert both.shape[0] == pictures.STILL_PX
    assert both.shape[1] > 2 * pictures.STILL_PX


def test_a_photo_lets_the_robot_come_to_rest(photo_run):
    _, rows = read_csv(photo_run / "commands.csv")
    np.testing.assert_allclose(rows[-1, 1:], rows[-10, 1:], atol=1e-4)
    assert rows[-1, 0] == pytest.approx(job.SETTLE_S)


def test_figures_as_json(tmp_path, clip, capsys):
    assert job.run(str(clip), tmp_path, render=False, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    figures = said["figures"]
    assert figures.keys() >= NEEDED_FIGURES | {"frames_per_s"}
    assert (figures["frames"], figures["faces"], figures["safe_fraction"]) == (12, 9, 1)
    assert said["files"].keys() == {"commands", "recording", "report"}
    assert all(isinstance(v, int | float) for v in figures.values())


def test_a_stream_starts_with_the_first_face_and_rests_until_it_knows_the_person(video_run):
    _, rows = read_csv(video_run / "commands.csv")
    assert rows[0, 0] > 0
    expressive = [1 + SERVO_NAMES.index(n) for n in ("jaw", "left_corner_upper", "right_inner_brow")]
    rest = REST_COMMAND[[k - 1 for k in expressive]]
    np.testing.assert_allclose(rows[: job.NEUTRAL_FRAMES - 1, expressive], np.tile(rest, (4, 1)), atol=1e-4)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([coffee()[:200, :300]], "no face in .*photo.png"),
        ([np.tile(astronaut()[:300, 60:380], (1, 2, 1))], "2 faces in .*photo.png"),
    ],
)
def test_a_photo_must_show_one_face(tmp_path, frames, message):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), frames[0][..., ::-1])
    with pytest.raises(FaceError, match=message):
        job.run(str(path), tmp_path / "out")


def test_a_video_without_faces_says_how_many_frames_were_looked_at(tmp_path):
    path = write_video(tmp_path / "empty.avi", [np.full((120, 160, 3), k, np.uint8) for k in range(7)])
    with pytest.raises(FaceError, match=r"none of the 7 frames of .*empty\.avi.*no face in 7"):
        job.run(str(path), tmp_path / "out")


def test_a_video_that_breaks_off_keeps_what_was_seen(tmp_path, clip, capsys):
    cut = tmp_path / "cut.avi"
    data = clip.read_bytes()
    cut.write_bytes(data[: int(len(data) * 0.7)])
    assert job.run(str(cut), tmp_path / "out", render=False) == 2
    assert "breaks off" in capsys.readouterr().err
    assert "breaks off" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (PhysicsDiverged("MuJoCo warned BADQACC"), 2)])
def test_what_ends_a_run_early_loses_nothing(tmp_path, clip, monkeypatch, error, code):
    record, recorded = job.Performance._record, []

    def stop_at_seven(self, *arguments):
        recorded.append(1)
        if len(recorded) == 7:
            raise error
        record(self, *arguments)

    monkeypatch.setattr(job.Performance, "_record", stop_at_seven)
    assert job.run(str(clip), tmp_path, render=False) == code
    assert len(read_csv(tmp_path / "commands.csv")[1]) == 7
    assert (tmp_path / "report.html").is_file()
    assert (tmp_path / "recording.rrd").is_file()


def test_interrupted_before_the_first_face(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(job.FaceReader, "read", interrupt)
    with pytest.raises(KeyboardInterrupt):
        job.run("portrait", tmp_path)


def test_without_opengl_only_the_pictures_are_missing(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise GraphicsError("no OpenGL")

    monkeypatch.setattr(pictures, "FaceRenderer", refuse)
    assert job.run("portrait", tmp_path) == 0
    assert "no OpenGL here" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "mirror.png").exists()


def test_a_photo_is_measured_from_the_neutral_one(tmp_path, portrait):
    calm = tmp_path / "calm.png"
    cv2.imwrite(str(calm), portrait[..., ::-1])
    assert job.run(str(calm), tmp_path / "out", neutral=calm, render=False) == 0
    _, rows = read_csv(tmp_path / "out" / "commands.csv")
    expressive = [1 + k for k, n in enumerate(SERVO_NAMES) if "neck" not in n and "_eye_" not in n]
    np.testing.assert_allclose(rows[-1, expressive], REST_COMMAND[[k - 1 for k in expressive]], atol=0.12)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"skin": "blue-ish"}, VocabularyError),
        ({"out": Path("/proc/nowhere")}, InputError),
        ({"source": "no.mp4"}, InputError),
    ],
)
def test_bad_options_are_clear_errors(tmp_path, options, error):
    with pytest.raises(error):
        job.run(**({"source": "portrait", "out": tmp_path, "render": False} | options))


def test_an_album_stays_small_and_evenly_spread():
    album = Album(size=10)
    for k in range(1000):
        if album.due():
            album.add(k)  # type: ignore[arg-type]
    kept = np.array(album.moments)
    assert 5 <= len(kept) <= 10
    assert len(set(np.diff(kept))) == 1
    assert kept[-1] > 800


def test_charts_show_every_servo():
    assert sorted(n for _, names in PANELS for n in names) == sorted(SERVO_NAMES)
    times = np.arange(5000) / 25
    drawing = commands_over_time(times.tolist(), np.tile(REST_COMMAND, (5000, 1)))
    assert drawing.count("<polyline") == len(SERVO_NAMES)
    assert len(drawing) < 500_000
    assert commands_from_rest(REST_COMMAND).count("<circle") == len(SERVO_NAMES)


def test_the_error_is_the_distance_between_wanted_and_shown_motion(tmp_path):
    take = Take(tmp_path, "x", "photo", REST)
    state: Any = SimpleNamespace(vertices_m=REST)
    error = take.compare(0.0, state, np.tile([0.0, 0.003, 0.004], (len(REST), 1)))
    np.testing.assert_allclose(error, 5.0)


def test_jpeg_and_back():
    smooth = np.tile(np.linspace(0, 255, 64, dtype=np.uint8)[:, None, None], (1, 64, 3))
    assert np.abs(picture(jpeg(smooth)).astype(int) - smooth).max() < 6
