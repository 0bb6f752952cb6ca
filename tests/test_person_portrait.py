import numpy as np
import pytest

from duchenne.sim import mesh
from duchenne.sim.camera import FaceReader
from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.person.camera_view import CameraView, camera_gain, camera_view
from duchenne.sim.person.folds import fold_depths
from duchenne.sim.person.looks import LOOKS, person_skin
from duchenne.sim.person.portrait import Portrait
from duchenne.sim.person.traits import Shape


@pytest.fixture(scope="module")
def portrait():
    with Portrait("honey", width_px=320, height_px=320) as made:
        yield made


def _corners(travel_m: float) -> np.ndarray:
    """Mouth corners up and out."""
    moved = mesh.REST.copy()
    for corner, out in ((61, -1), (291, 1)):
        near = np.exp(-((mesh.REST - mesh.REST[corner]) ** 2).sum(1, keepdims=True) / (2 * 0.012**2))
        moved += travel_m * near * [0.7 * out, 0.7, -0.2]
    return moved


def _raised_brows(travel_m: float) -> np.ndarray:
    moved = mesh.REST.copy()
    moved[:, 1] += travel_m * np.exp(-(((mesh.REST[:, 1] - 0.048) / 0.010) ** 2))
    return moved


@pytest.mark.parametrize("look", LOOKS)
def test_skin_has_brows_darker_and_lips_redder_than_cheeks(look):
    picture = person_skin(LOOKS[look], 256).astype(int)
    at = (mesh.UV * 256).astype(int)
    brow, cheek, lip = (picture[at[v][1], at[v][0]] for v in (52, 205, 17))
    assert brow.sum() < 0.9 * cheek.sum()
    assert lip[0] / lip.sum() > cheek[0] / cheek.sum()


def test_unknown_look_names_the_known_ones():
    with pytest.raises(VocabularyError, match="chestnut"):
        Portrait("blond")


def test_rest_of_the_wrong_shape_is_refused():
    with pytest.raises(InputError, match="rest_m"):
        Portrait(rest_m=mesh.REST[:100])


def test_same_face_same_picture_and_strip_joins_them(portrait):
    first, smiling = portrait.image(mesh.REST), portrait.image(_corners(0.008))
    np.testing.assert_array_equal(portrait.image(mesh.REST), first)  # folds of the smile are gone again
    np.testing.assert_array_equal(
        portrait.strip(np.stack([mesh.REST, _corners(0.008)])), np.concatenate([first, smiling], axis=1)
    )
    assert (first != smiling).any(-1).mean() > 0.01


def test_size_does_not_show(portrait):
    rest = Shape(size=1.08).rest_m()
    with Portrait("honey", rest_m=rest, width_px=320, height_px=320) as larger:
        assert np.abs(larger.image(rest).astype(int) - portrait.image(mesh.REST)).mean() < 0.5
        np.testing.assert_allclose(larger.project(rest), portrait.project(mesh.REST), atol=1e-6)


def test_folds_deepen_where_skin_is_pressed_together_and_nowhere_at_rest():
    assert not any(fold_depths(mesh.REST).values())
    smile, surprise = fold_depths(_corners(0.009)), fold_depths(_raised_brows(0.009))
    assert smile["nasolabial, right"] > 0.3
    assert smile["nasolabial, right"] == pytest.approx(smile["nasolabial, left"])
    assert smile["forehead, middle"] == 0 == surprise["nasolabial, left"]
    assert surprise["forehead, middle"] > 0.3


def test_folds_darken_the_picture(portrait):
    with Portrait("honey", width_px=320, height_px=320, folds=False) as smooth:
        face = _raised_brows(0.009)
        (_, top), (_, bottom) = portrait.project(face[[10, 9]]).astype(int)
        lighter = smooth.image(face)[top:bottom, 120:200].astype(int) - portrait.image(face)[top:bottom, 120:200]
        assert lighter.max() > 20
        np.testing.assert_array_equal(portrait.image(mesh.REST), smooth.image(mesh.REST))


def test_shipped_camera_view_follows_lips_and_hardly_cheeks():
    view = camera_view()
    assert view.gain.shape == (468, 2)
    assert camera_gain().shape == (468,)
    np.testing.assert_array_equal(view.gain, view.gain[mesh.MIRROR])
    assert 0.8 < camera_gain()[list(mesh.LIPS_OUTER)].mean() < 1.15
    assert view.brow_fall < view.brow_rise
    assert max(view.units[unit] for unit in ("AU6", "AU9")) < 0.5 < view.units["AU12"]
    assert "scenarios.person_camera" in view.source


def test_camera_view_scales_motion_and_survives_saving(tmp_path):
    view = camera_view()
    seen = view.seen(_corners(0.008))
    np.testing.assert_array_equal(view.seen(mesh.REST), mesh.REST)
    np.testing.assert_allclose(seen[61, 0] - mesh.REST[61, 0], view.gain[61, 0] * (_corners(0.008) - mesh.REST)[61, 0])
    view.save(tmp_path / "gain.json")
    again = CameraView.load(tmp_path / "gain.json")
    np.testing.assert_array_equal(again.gain, view.gain)
    assert again.units == view.units
    (tmp_path / "gain.json").write_text("{}")
    with pytest.raises(InputError, match="no camera view"):
        CameraView.load(tmp_path / "gain.json")


@pytest.mark.slow
def test_tracker_finds_seven_expressions_on_every_look_and_agrees_at_mouth_and_raised_brow(face_model, tmp_path):
    from duchenne.scenarios.person_camera import SHOWN, contact_sheet, measure

    result = measure(random_poses=10)
    assert result.missed == ()
    assert result.figures["detected_fraction"] == 1
    assert result.figures["nme_neutral"] < 0.025
    assert 0.85 < result.figures["mouth_gain"] < 1.1
    assert result.figures["mouth_r"] > 0.9
    assert 0.8 < result.figures["raised_brow_gain"] < 1.2
    assert result.figures["raised_brow_r"] > 0.85
    assert [sight.name for sight in result.expressions] == list(SHOWN)
    assert {"AU4 brow, inwards", "AU6 cheek"} <= set(result.unseen)
    assert {"AU12 corner", "AU1 brow, upwards"}.isdisjoint(result.unseen)
    contact_sheet(tmp_path / "sheet.jpg", size_px=64)
    assert (tmp_path / "sheet.jpg").stat().st_size > 5000


def test_tracker_finds_the_faces_landmarks(face_model):
    with FaceReader(face_model) as reader, Portrait("ebony") as portrait:
        found = reader.read(portrait.image(_corners(0.008))).require()
        true = portrait.project(_corners(0.008))
    inner = np.setdiff1d(np.arange(mesh.VERTEX_COUNT), mesh.FACE_OVAL)
    error = np.linalg.norm(found.landmarks_px[: mesh.VERTEX_COUNT, :2] - true, axis=1)[inner]
    assert error.mean() < 0.025 * np.linalg.norm(true[33] - true[263])
