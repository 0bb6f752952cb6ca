import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from duchenne.sim import facs, mesh
from duchenne.sim.camera import Face, FaceReader, Neutral, align, gaze, model_path, open_frames
from duchenne.sim.errors import FaceError, InputError, ModelFileError
from duchenne.sim.model_file import ENVIRONMENT_VARIABLE, SHA256


@pytest.fixture(scope="module")
def reader(face_model):
    with FaceReader(face_model) as reader:
        yield reader


@pytest.fixture(scope="module")
def face(reader, portrait) -> Face:
    return reader.read(portrait).require()


# --- alignment --------------------------------------------------------------------------------------------


def _similarity(rng: np.random.Generator) -> tuple[float, np.ndarray, np.ndarray]:
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    return rng.uniform(0.01, 300), rotation, rng.normal(size=3)


def test_canonical_face_is_aligned():
    np.testing.assert_allclose(align(mesh.CANONICAL), mesh.CANONICAL, rtol=0, atol=1e-12)


def test_align_forgets_pose_and_scale_and_does_nothing_twice(rng):
    for _ in range(20):
        face = mesh.REST + rng.normal(scale=2e-3, size=mesh.REST.shape)
        scale, rotation, shift = _similarity(rng)
        aligned = align(face)
        np.testing.assert_allclose(align(scale * face @ rotation.T + scale * shift), aligned, rtol=0, atol=1e-10)
        np.testing.assert_allclose(align(aligned), aligned, rtol=0, atol=1e-12)


def test_align_commutes_with_the_mirror(rng):
    face = mesh.REST + rng.normal(scale=2e-3, size=mesh.REST.shape)
    np.testing.assert_allclose(align(mesh.mirror(face)), mesh.mirror(align(face)), rtol=0, atol=1e-7)


def test_align_takes_batches_and_both_landmark_counts(rng):
    faces = mesh.REST + rng.normal(scale=2e-3, size=(2, 3, 468, 3))
    np.testing.assert_allclose(align(faces)[1, 2], align(faces[1, 2]), rtol=0, atol=1e-15)
    with_irises = np.concatenate([faces, np.zeros((2, 3, 10, 3))], axis=-2)
    np.testing.assert_allclose(align(with_irises)[..., :468, :], align(faces), rtol=0, atol=1e-15)
    assert align(faces[:, :0]).shape == (2, 0, 468, 3)


@pytest.mark.parametrize(
    "points",
    [np.zeros((467, 3)), np.zeros(3), np.zeros((468, 3)), np.ones((2, 478, 3)), np.full((468, 3), np.nan)],
)
def test_align_refuses_what_is_no_face(points):
    with pytest.raises(InputError):
        align(points)


def test_published_robot_faces_are_aligned(shared_data):
    with np.load(shared_data / "emo_robot" / "emo_motor_landmarks.npz") as data:
        rows = [data[name] for name in data.files if name.startswith("landmarks")]
    assert rows
    for faces_cm in rows:
        np.testing.assert_allclose(align(faces_cm), faces_cm * 0.01, rtol=0, atol=2e-8)


# --- reading ----------------------------------------------------------------------------------------------


def test_a_portrait_gives_a_smiling_face(reader, portrait, face):
    assert face.landmarks_px.shape == face.aligned_m.shape == (478, 3)
    assert face.landmarks_px[:, :2].min() > 0
    assert face.landmarks_px[4, 0] == pytest.approx(220, abs=15)  # the tip of her nose
    assert face.landmarks_px[4, 1] == pytest.approx(120, abs=15)
    smile = facs.action_units(face.blendshapes)[facs.CAMERA_ACTION_UNITS.index(facs.action_unit(12))]
    assert smile.min() > 0.7
    sighting = reader.read(portrait, time_s=1.5)
    assert (sighting.time_s, sighting.problem) == (1.5, "")


def test_the_same_picture_gives_the_same_numbers(reader, face_model, portrait, face):
    again = reader.read(portrait).require()
    with FaceReader(face_model) as other:
        elsewhere = other.read(portrait).require()
    for one in (again, elsewhere):
        np.testing.assert_array_equal(one.landmarks_px, face.landmarks_px)
        np.testing.assert_array_equal(one.blendshapes, face.blendshapes)


def test_aligned_landmarks_are_a_fixed_point(face):
    np.testing.assert_allclose(align(face.aligned_m), face.aligned_m, rtol=0, atol=1e-12)
    off = np.linalg.norm(face.aligned_m[:468] - mesh.CANONICAL, axis=1)
    assert np.median(off) < 8e-3


@pytest.mark.parametrize("cut", [np.s_[:], np.s_[:300, 100:400], np.s_[20:260, 60:500]], ids=["all", "square", "wide"])
def test_pose_is_mediapipes_own(face_model, reader, portrait, cut):
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    picture = np.ascontiguousarray(portrait[cut])
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(face_model)), output_facial_transformation_matrixes=True
    )
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)
        theirs = np.array(landmarker.detect(image).facial_transformation_matrixes[0], dtype=float)
    theirs[:3, 3] *= 0.01
    pose = reader.read(picture).require().pose
    np.testing.assert_allclose(pose, theirs, rtol=0, atol=3e-6)
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), rtol=0, atol=1e-4)
    assert pose[2, 3] < -0.2, "the face is in front of a camera that looks along −z"


def test_pose_projects_the_aligned_face_onto_the_landmarks(face, portrait):
    in_camera = face.aligned_m @ face.pose[:3, :3].T + face.pose[:3, 3]
    height = portrait.shape[0]
    focal_px = height / 2 / np.tan(np.radians(63 / 2))
    x = portrait.shape[1] / 2 - focal_px * in_camera[:, 0] / in_camera[:, 2]
    y = height / 2 + focal_px * in_camera[:, 1] / in_camera[:, 2]
    np.testing.assert_allclose(np.column_stack([x, y]), face.landmarks_px[:, :2], rtol=0, atol=1e-6)


def test_no_face_and_two_faces_are_values(reader, portrait):
    nothing = reader.read(np.full((200, 300, 3), 127, np.uint8), 2.0)
    assert (nothing.face, nothing.problem, nothing.time_s) == (None, "no face", 2.0)
    crop = portrait[:300, 70:370]
    two = reader.read(np.concatenate([crop, crop], axis=1))
    assert (two.face, two.problem) == (None, "2 faces")
    with pytest.raises(FaceError, match=r"2 faces.*exactly one"):
        two.require()
    assert reader.read(np.zeros((1, 1, 3), np.uint8)).problem == "no face"


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((8, 8, 3)),
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        "x",
    ],
)
def test_reader_refuses_what_is_no_picture(reader, picture):
    with pytest.raises(InputError, match="picture is"):
        reader.read(picture)


@pytest.mark.parametrize("corner", [(0, 0), (700, 1400), (700, 0), (333, 555)])
def test_a_face_small_in_the_picture_is_found_and_read_alike(reader, portrait, face, corner):
    y, x = corner
    wide = np.full((1080, 1920, 3), 90, np.uint8)
    wide[y : y + 300, x : x + 300] = portrait[:300, 70:370]
    far = reader.read(wide).require()
    near = reader.read(np.ascontiguousarray(portrait[:300, 70:370])).require()
    np.testing.assert_allclose(far.landmarks_px[:, :2] - [x, y], near.landmarks_px[:, :2], atol=3)
    # Without the virtual camera's perspective the shape does not depend on the place in the picture.
    flat = [align(one.landmarks_px * [1, -1, -1]) for one in (far, near)]
    assert np.sqrt(np.mean((flat[0] - flat[1]) ** 2)) < 2e-3
    assert np.abs(far.blendshapes - face.blendshapes).max() < 0.25


def test_two_faces_far_apart_are_two(reader, portrait):
    assert reader.read(np.concatenate([portrait, portrait], axis=1)).problem == "2 faces"


def test_reader_takes_a_view_and_leaves_it_alone(reader, portrait, face):
    flipped = portrait[:, ::-1]
    before = flipped.copy()
    seen = reader.read(flipped).require()
    np.testing.assert_array_equal(flipped, before)
    assert seen.landmarks_px[4, 0] == pytest.approx(511 - face.landmarks_px[4, 0], abs=4)


def test_reader_is_quiet_and_closes_once(face_model, portrait, capfd):
    with FaceReader(face_model) as reader:
        reader.read(portrait)
    reader.close()
    assert capfd.readouterr() == ("", "")
    with pytest.raises(InputError, match="closed"):
        reader.read(portrait)


def test_import_loads_neither_mediapipe_nor_opencv():
    code = "import sys, duchenne.sim.camera; print(sorted({'mediapipe', 'cv2', 'PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


# --- confidence, gaze, neutral ----------------------------------------------------------------------------


def test_confidence_names_every_region(face):
    assert tuple(face.confidence) == mesh.REGIONS
    assert all(0 <= share <= 1 for share in face.confidence.values())
    assert min(face.confidence[name] for name in ("mouth", "right eye", "left eye", "right brow")) > 0.85


def test_confidence_falls_on_the_side_that_turns_away():
    from duchenne.sim.camera import _confidence

    aligned = np.concatenate([mesh.REST, np.zeros((10, 3))])
    middle = np.full((478, 3), 0.5)

    def turned(degrees: float) -> dict[str, float]:
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        pose = np.array([[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, -0.5], [0, 0, 0, 1]])
        return _confidence(aligned, pose, middle)

    front, left = turned(0), turned(40)
    assert front["left cheek"] == pytest.approx(front["right cheek"], abs=1e-6)
    assert left["left cheek"] < 0.5 * front["left cheek"]
    assert left["right cheek"] > 0.9 * front["right cheek"]
    np.testing.assert_allclose(left["left eye"], turned(-40)["right eye"], atol=1e-6)
    assert max(turned(180).values()) < 0.01, "only the insides of the lips' folds face forward"


def test_confidence_is_lost_outside_the_picture(reader, portrait):
    cut = reader.read(np.ascontiguousarray(portrait[:150, 100:340])).require()  # below the mouth
    assert cut.confidence["chin"] < 0.2
    assert cut.confidence["mouth"] < 0.8
    assert cut.confidence["right eye"] > 0.9


def _looking(right: tuple[float, float], left: tuple[float, float]) -> Face:
    """A face whose irises are moved by (x, y) m from the midpoints of the eyes' corners."""
    aligned = np.concatenate([mesh.REST, np.zeros((10, 3))])
    for iris, corners, move in ((468, (33, 133), right), (473, (263, 362), left)):
        aligned[iris] = mesh.REST[list(corners)].mean(0) + np.array([*move, 0.0])
    return Face(np.zeros((478, 3)), aligned, np.zeros(52), np.eye(4), {})


def test_gaze_has_the_signs_of_the_head_frame():
    straight = gaze(_looking((0, 1.2e-3), (0, 1.2e-3)))
    assert np.abs(np.degrees(straight)).max() < 1.5
    left_up = gaze(_looking((3e-3, 4e-3), (3e-3, 4e-3)))
    assert left_up.min() > np.radians(8)
    crossed = gaze(_looking((3e-3, 0), (-3e-3, 0)))
    assert crossed[0, 0] == pytest.approx(-crossed[1, 0])
    assert np.isfinite(gaze(_looking((1, 1), (-1, -1)))).all()


def test_portrait_looks_at_the_camera(face):
    to_camera = np.linalg.inv(face.pose)[:3, 3]
    yaw, pitch = np.arctan2(to_camera[0], to_camera[2]), np.arctan2(to_camera[1], to_camera[2])
    assert np.degrees(np.abs(gaze(face).mean(0) - [yaw, pitch])).max() < 15


def _moving(faces: int, rng: np.random.Generator) -> list[Face]:
    """A face that rests, then smiles."""
    result = []
    for i in range(faces):
        smile = max(0.0, (i - faces / 2) / faces)
        aligned = np.concatenate([mesh.REST, np.zeros((10, 3))]) + rng.normal(scale=1e-4, size=(478, 3))
        aligned[[61, 291], 1] += 0.02 * smile
        scores = np.zeros(52)
        scores[[44, 45]] = smile
        result.append(Face(np.zeros((478, 3)), align(aligned), scores, np.eye(4), {}))
    return result


def test_neutral_is_found_where_the_face_rests(rng):
    faces = _moving(100, rng)
    neutral = Neutral.from_faces(faces)
    assert len(neutral.frames) == 10
    assert max(neutral.frames) <= 50
    assert np.abs(neutral.displacement(faces[0])[:468]).max() < 1e-3
    assert neutral.displacement(faces[-1])[61, 1] > 8e-3
    assert neutral.blendshapes.max() == 0


def test_neutral_from_the_first_frames_and_from_one(rng):
    faces = _moving(30, rng)
    assert Neutral.from_faces(faces, first=4).frames == (0, 1, 2, 3)
    for neutral in (Neutral.from_faces(faces[:1]), Neutral.from_faces(faces, first=1)):
        np.testing.assert_allclose(neutral.displacement(faces[0]), 0, atol=1e-12)
    for bad in ([], faces):
        with pytest.raises(InputError, match="at least one"):
            Neutral.from_faces(bad, first=0 if bad else None)


# --- frames: photos and arrays ----------------------------------------------------------------------------


def _only(source) -> np.ndarray:
    with open_frames(source) as frames:
        assert (frames.kind, frames.count, frames.problem) == ("photo", 1, "")
        (frame,) = frames
    assert (frame.index, frame.time_s) == (0, 0.0)
    assert frame.rgb.dtype == np.uint8
    return frame.rgb


@pytest.fixture
def small(portrait) -> np.ndarray:
    return np.ascontiguousarray(portrait[:120:2, 100:300:2])  # (60, 100, 3)


def test_portrait_is_built_in(portrait):
    np.testing.assert_array_equal(_only("portrait"), portrait)


def test_photo_keeps_its_colours(tmp_path, small):
    Image.fromarray(small).save(tmp_path / "photo.png")
    np.testing.assert_array_equal(_only(tmp_path / "photo.png"), small)
    np.testing.assert_array_equal(_only(str(tmp_path / "photo.png")), small)
    np.testing.assert_array_equal(_only(small), small)


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_photo_is_turned_upright(tmp_path, small, orientation, turns):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(small).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(_only(tmp_path / "turned.png"), np.rot90(small, turns))


def test_grey_palette_and_transparent_photos_become_rgb(tmp_path, small):
    grey = small[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(_only(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, axis=-1))
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(_only(tmp_path / "deep.png")[..., 1], grey)
    Image.fromarray(small).convert("P").save(tmp_path / "palette.gif")
    assert _only(tmp_path / "palette.gif").shape == small.shape
    alpha = np.full((*small.shape[:2], 1), 255, np.uint8)
    alpha[:10] = 0
    Image.fromarray(np.concatenate([small, alpha], axis=-1)).save(tmp_path / "clear.png")
    clear = _only(tmp_path / "clear.png")
    np.testing.assert_array_equal(clear[10:], small[10:])
    assert np.unique(clear[:10]).tolist() == [128]


def test_array_of_frames_is_a_film(small):
    with open_frames(np.stack([small, small[::-1], small]), fps=10) as frames:
        assert (frames.kind, frames.count, frames.fps) == ("video", 3, 10)
        assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.2])
        assert [frame.index for frame in frames] == [0, 1, 2]


@pytest.mark.parametrize("array", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 4, 3), np.uint8)])
def test_other_arrays_are_refused(array):
    with pytest.raises(InputError, match="array is"):
        open_frames(array)


def test_what_is_no_picture_is_refused(tmp_path, small):
    with pytest.raises(InputError, match="does not exist"):
        open_frames(tmp_path / "nothing.png")
    with pytest.raises(InputError, match="is a folder"):
        open_frames(tmp_path)
    for name, data in (("text.mp4", b"hello, this is no film" * 50), ("empty.jpg", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match="neither a picture nor a video"):
            open_frames(tmp_path / name)
    Image.fromarray(small).save(tmp_path / "whole.jpg", quality=95)
    (tmp_path / "half.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:2000])
    with pytest.raises(InputError, match="damaged"):
        open_frames(tmp_path / "half.jpg")


def test_camera_that_is_not_there_is_named(capfd):
    for source in (63, "camera:63"):
        with pytest.raises(InputError, match="camera 63 does not answer"):
            open_frames(source)
    assert capfd.readouterr().err == ""


# --- frames: videos ---------------------------------------------------------------------------------------


def _film(path, codec: str, frames: int = 40, fps: float = 20.0) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (96, 64))
    assert writer.isOpened()
    noise = np.random.default_rng(0).integers(0, 60, (frames, 64, 96, 3), dtype=np.uint8)
    for i in range(frames):
        noise[i, :, :, 2] += np.uint8(150)  # red, in OpenCV's order
        writer.write(noise[i])
    writer.release()


@pytest.mark.parametrize(("name", "codec"), [("film.mp4", "mp4v"), ("film.avi", "MJPG")])
def test_video_gives_every_frame_in_time_and_colour(tmp_path, name, codec):
    _film(tmp_path / name, codec)
    with open_frames(tmp_path / name) as source:
        assert (source.kind, source.count, source.fps) == ("video", 40, pytest.approx(20))
        frames = list(source)
        assert [frame.index for frame in frames] == list(range(40))
        np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(40) / 20, atol=1e-3)
        red, green, blue = frames[0].rgb.reshape(-1, 3).mean(0)
        assert red > green + 80
        assert red > blue + 80
        assert source.problem == ""
        np.testing.assert_array_equal(next(iter(source)).rgb, frames[0].rgb)  # again from the start


def _native_chatter(path) -> str:
    """What opening and reading a file prints on standard error of a fresh process, beside our own messages."""
    code = (
        "import sys; from duchenne.sim.frames import open_frames; from duchenne.sim.errors import InputError\n"
        "try:\n list(open_frames(sys.argv[1]))\nexcept InputError: pass"
    )
    return subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True).stderr


def test_broken_off_video_gives_what_there_is_and_says_so(tmp_path):
    _film(tmp_path / "film.avi", "MJPG")
    data = (tmp_path / "film.avi").read_bytes()
    (tmp_path / "half.avi").write_bytes(data[: len(data) // 2])
    with open_frames(tmp_path / "half.avi") as source:
        frames = list(source)
    assert 10 <= len(frames) <= 25
    assert f"{len(frames)} of " in source.problem
    assert "breaks off" in source.problem
    assert "breaks off" in _native_chatter(tmp_path / "half.avi")
    assert len(_native_chatter(tmp_path / "half.avi").splitlines()) == 1


def test_video_without_its_index_is_refused(tmp_path):
    _film(tmp_path / "film.mp4", "mp4v")
    data = (tmp_path / "film.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="cut off"):
        open_frames(tmp_path / "half.mp4")
    assert _native_chatter(tmp_path / "half.mp4") == ""


@pytest.mark.parametrize("name", ["fer_test", "fer_woman2", "pyfeat_WolfgangLanger_Pexels", "pyfeat_single_face"])
def test_real_clips_are_read(reader, shared_data, name):
    with open_frames(shared_data / "face_videos" / f"{name}.mp4") as source:
        stamps = []
        for frame in source:
            stamps.append(frame.time_s)
            if frame.index % 40 == 0:
                face = reader.read(frame.rgb, frame.time_s).require()
                np.testing.assert_allclose(align(face.aligned_m), face.aligned_m, rtol=0, atol=1e-12)
                assert face.confidence["mouth"] > 0.7
    assert len(stamps) == source.count
    assert source.problem == ""
    assert np.all(np.diff(stamps) > 0)
    assert np.median(np.diff(stamps)) == pytest.approx(1 / source.fps, rel=0.05)


# --- the model file ---------------------------------------------------------------------------------------


def test_model_is_checked_wherever_it_comes_from(face_model, tmp_path, monkeypatch):
    assert model_path(face_model) == face_model
    wrong = tmp_path / "old.task"
    wrong.write_bytes(b"not a model")
    for ask in (lambda: model_path(wrong), lambda: FaceReader(wrong)):
        with pytest.raises(ModelFileError, match=f"wanted .*{SHA256}"):
            ask()
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(wrong))
    with pytest.raises(ModelFileError, match=ENVIRONMENT_VARIABLE):
        model_path()
    assert model_path(face_model) == face_model, "a given path goes first"
    with pytest.raises(ModelFileError, match="cannot read"):
        model_path(tmp_path / "nowhere.task")


def test_model_is_kept_in_the_cache_and_mended(face_model, tmp_path, monkeypatch):
    from duchenne.sim import model_file

    fetched = []
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(model_file, "_fetch", lambda: fetched.append(1) or face_model.read_bytes())
    path = model_path()
    assert path == model_path() == tmp_path / "duchenne" / "face_landmarker.task"
    assert len(fetched) == 1
    path.write_bytes(path.read_bytes()[:-1])
    assert model_path() == path
    assert path.read_bytes() == face_model.read_bytes()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name], "nothing half-written is left"


def test_model_that_cannot_be_fetched_says_what_to_do(tmp_path, monkeypatch):
    from duchenne.sim import model_file

    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    failing = [("a downloader", [sys.executable, "-c", "raise SystemExit('no network')"])]
    monkeypatch.setattr(model_file, "_downloaders", lambda: iter(failing))
    with pytest.raises(ModelFileError, match=rf"no network.*{ENVIRONMENT_VARIABLE}"):
        model_path()
    monkeypatch.setattr(model_file, "_downloaders", lambda: iter(()))
    with pytest.raises(ModelFileError, match="neither pip nor uv"):
        model_path()
