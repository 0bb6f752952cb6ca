import numpy as np
import pytest

from duchenne.sim import mesh
from duchenne.sim.camera import FaceReader
from duchenne.sim.errors import GraphicsError, InputError, VocabularyError
from duchenne.sim.robot import render
from duchenne.sim.robot.drape import EYE_CENTRES_M, EYE_RADIUS_M, Drape
from duchenne.sim.robot.paint import SKINS, skin_texture
from duchenne.sim.robot.render import FaceRenderer

INSIDE = np.setdiff1d(np.arange(mesh.VERTEX_COUNT), mesh.FACE_OVAL)
BROWS = [*mesh.BROW_RIGHT, *mesh.BROW_LEFT]


@pytest.fixture(scope="module")
def renderer():
    with FaceRenderer() as made:
        yield made


@pytest.fixture(scope="module")
def drape():
    return Drape()


def _bump(vertex: int, reach_m: float) -> np.ndarray:
    return np.exp(-((mesh.REST - mesh.REST[vertex]) ** 2).sum(1, keepdims=True) / (2 * reach_m**2))


def _smile(travel_m: float) -> np.ndarray:
    """Corners and cheeks go up, out and back."""
    moved = mesh.REST.copy()
    for corner, cheek, out in ((61, 50, -1), (291, 280, 1)):
        moved += travel_m * _bump(corner, 0.015) * [0.62 * out, 0.70, -0.35]
        moved += 0.35 * travel_m * _bump(cheek, 0.018) * [0, 0.8, 0.5]
    return moved


def _brows(travel_m: float) -> np.ndarray:
    """Brows go up, the lids' margins stay."""
    weight = np.max([_bump(v, 0.013) for v in (66, 296, 107, 336, 105, 334, 70, 300)], axis=0)
    weight[[*mesh.EYE_RIGHT, *mesh.EYE_LEFT]] = 0
    return mesh.REST + travel_m * weight * [0, 1, -0.15]


def _blink() -> np.ndarray:
    """Upper lids come down onto the lower ones, straight through the eyeball."""
    moved = mesh.REST.copy()
    for loop in (mesh.EYE_RIGHT, mesh.EYE_LEFT):
        for low, up in zip(loop[1:8], loop[:8:-1], strict=True):
            moved[up] += 0.92 * (mesh.REST[low] - mesh.REST[up])
    return moved


def _turned(yaw_deg: float, pitch_deg: float = 0.0) -> np.ndarray:
    (c, s), (cp, sp) = ((np.cos(a), np.sin(a)) for a in np.radians([yaw_deg, pitch_deg]))
    pose = np.eye(4)
    pose[:3, :3] = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ [[1, 0, 0], [0, cp, -sp], [0, sp, cp]]
    return pose


def test_drape_passes_through_the_vertices(drape):
    for face in (mesh.REST, _smile(0.01)):
        fine = drape.vertices(face)
        assert np.abs(fine[: mesh.VERTEX_COUNT] - face).max() < 1.2e-3  # only lids give way, to the eyeballs
        off_lids = [v for v in range(mesh.VERTEX_COUNT) if v not in mesh.region("right eye") + mesh.region("left eye")]
        np.testing.assert_allclose(fine[off_lids], face[off_lids], atol=1e-12)


def test_lids_never_let_the_eyeball_through(drape):
    for face in (mesh.REST, _blink()):
        fine = drape.vertices(face)
        skin = fine[np.unique(drape.triangles[: 16 * len(mesh.TRIANGLES)])]
        for centre in EYE_CENTRES_M:
            assert np.linalg.norm(skin - centre, axis=1).min() >= EYE_RADIUS_M + 1e-3


def test_normals_point_outwards(drape):
    normals = drape.normals(drape.vertices(mesh.REST))
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)
    assert normals[[4, 9, 50, 280, 199], 2].min() > 0.5


def test_picture_shows_the_face_where_project_says(renderer):
    picture = renderer.image(mesh.REST).astype(int)
    assert picture.shape == (480, 480, 3)
    base = np.array(SKINS["porcelain"].base)
    for vertex in (9, 50, 280, 199):  # forehead, cheeks, chin: skin; the corners of the picture: none
        x, y = renderer.project(mesh.REST[vertex]).astype(int)
        assert np.abs(picture[y, x] - base).max() < 75
    x, y = renderer.project(mesh.REST[[107, 105]].mean(0)).astype(int)
    assert picture[y + 2, x].sum() < 0.6 * base.sum()  # a brow is dark
    left, right = renderer.project(np.array([[0.05, 0, 0], [-0.05, 0, 0]]))
    assert left[0] > 240 > right[0]  # the subject's left is at the picture's right


def test_same_face_same_picture_and_a_moved_face_another(renderer):
    first = renderer.image(mesh.REST)
    other = renderer.image(_smile(0.01), head_pose=_turned(10))
    np.testing.assert_array_equal(renderer.image(mesh.REST), first)
    assert (other != first).mean() > 0.05


def test_renderers_live_side_by_side(renderer):
    alone = renderer.image(mesh.REST)
    with FaceRenderer("indigo", width_px=160, height_px=120) as second:
        assert second.image(mesh.REST).shape == (120, 160, 3)
        np.testing.assert_array_equal(renderer.image(mesh.REST), alone)
    np.testing.assert_array_equal(renderer.image(mesh.REST), alone)


def test_eyes_turn_with_gaze(renderer):
    """The iris's dark lens moves to the side that the eyes turn to."""

    def lens_x(yaw_rad: float) -> float:
        picture = renderer.image(mesh.REST, gaze_rad=np.array([[yaw_rad, 0], [yaw_rad, 0]])).astype(int)
        eye = renderer.project(EYE_CENTRES_M[1] + [0, 0, EYE_RADIUS_M])
        x, y = np.round(eye).astype(int)
        box = picture[y - 2 : y + 3, x - 14 : x + 15].sum(-1)
        return float((np.arange(-14, 15) * (box < 200)).sum() / max((box < 200).sum(), 1))

    right, ahead, left = lens_x(-0.3), lens_x(0.0), lens_x(0.3)
    assert right < ahead - 1.5
    assert left > ahead + 1.5


def test_lower_teeth_follow_the_chin():
    angle, axis = 0.25, np.array([0, -0.01, -0.03])
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    rotation, shift = render._jaw_motion((mesh.REST - axis) @ turn.T + axis)
    tooth = np.array([0, -0.045, 0.041])
    np.testing.assert_allclose(rotation @ tooth + shift, turn @ (tooth - axis) + axis, atol=1e-9)
    np.testing.assert_allclose(render._jaw_motion(mesh.REST)[1], 0, atol=1e-9)


@pytest.mark.parametrize("skin", SKINS)
def test_texture_paints_every_skin(skin):
    picture = skin_texture(SKINS[skin], 256)
    assert picture.shape == (256, 256, 3)
    at = (mesh.UV * 256).astype(int)
    brow, cheek = (picture[at[v][1], at[v][0]].astype(int).sum() for v in (52, 205))
    assert brow < 0.8 * cheek


def test_texture_is_mirror_symmetric():
    picture = skin_texture(SKINS["azure"], 512).astype(int)
    inside = picture[:440]
    assert np.abs(inside - inside[:, ::-1]).mean() < 1.0


def test_unknown_skin_names_the_known_ones():
    with pytest.raises(VocabularyError, match="porcelain"):
        FaceRenderer("ivroy")


@pytest.mark.parametrize("bad", [mesh.REST[:467], np.full((468, 3), np.nan)])
def test_bad_vertices_are_refused(renderer, bad):
    with pytest.raises(InputError, match="vertices_m"):
        renderer.image(bad)


def test_closed_renderer_says_so():
    with FaceRenderer(width_px=32, height_px=32) as closed:
        pass
    with pytest.raises(GraphicsError, match="closed"):
        closed.image(mesh.REST)


def test_missing_backends_give_one_error_that_says_what_to_install(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(render, "_BACKENDS", {})
    monkeypatch.setattr(render.sys, "platform", "nowhere")
    monkeypatch.setattr(render, "_forget_gl", lambda name: None)
    monkeypatch.setattr(render.importlib, "import_module", _no_module)
    with pytest.raises(GraphicsError, match=r"(?s)glfw: ImportError.*apt-get install.*libegl1"):
        FaceRenderer(width_px=32, height_px=32)
    monkeypatch.setenv("MUJOCO_GL", "disable")
    with pytest.raises(GraphicsError, match="MUJOCO_GL=disable"):
        FaceRenderer(width_px=32, height_px=32)


def _no_module(name: str):
    raise ImportError(f"no {name}")


# What a landmark tracker sees. Lengths are in outer eye distances, without the face's outline.


@pytest.fixture(scope="module")
def reader(face_model):
    with FaceReader(face_model) as made:
        yield made


def _errors(reader, renderer, face: np.ndarray, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Detected and true landmarks, (468, 2) each, in outer eye distances."""
    sighting = reader.read(renderer.image(face, head_pose=pose))
    assert sighting.face is not None, sighting.problem
    true = renderer.project(face, pose)
    unit = np.linalg.norm(true[33] - true[263])
    return sighting.face.landmarks_px[: mesh.VERTEX_COUNT, :2] / unit, true / unit


@pytest.mark.parametrize(("skin", "allowed"), [(s, 0.028 if s in ("azure", "indigo") else 0.025) for s in SKINS])
def test_tracker_finds_landmarks_on_every_skin(reader, skin, allowed):
    with FaceRenderer(skin) as renderer:
        nme = []
        for face in (mesh.REST, _smile(0.008), _brows(0.006)):
            seen, true = _errors(reader, renderer, face, np.eye(4))
            nme.append(np.linalg.norm(seen - true, axis=1)[INSIDE].mean())
        assert np.mean(nme) < allowed
        for yaw, pitch in ((20, 0), (-20, 0), (0, 20), (0, -20)):
            seen, true = _errors(reader, renderer, _smile(0.008), _turned(yaw, pitch))
            assert np.linalg.norm(seen - true, axis=1)[INSIDE].mean() < 0.05


@pytest.mark.parametrize(
    ("move", "vertices"),
    [(_smile, [*mesh.LIPS_OUTER, *mesh.LIPS_INNER]), (_brows, BROWS)],
    ids=["mouth", "brows"],
)
def test_tracker_follows_displacement_with_gain_near_one(reader, renderer, move, vertices):
    still_seen, still_true = _errors(reader, renderer, mesh.REST, np.eye(4))
    seen, true = [], []
    for travel_m in (0.003, 0.005, 0.007, 0.009):
        found, put = _errors(reader, renderer, move(travel_m), np.eye(4))
        seen.append((found - still_seen)[vertices])
        true.append((put - still_true)[vertices])
    seen, true = np.ravel(seen), np.ravel(true)
    assert 0.8 < (seen @ true) / (true @ true) < 1.2
    assert np.corrcoef(seen, true)[0, 1] > 0.9
