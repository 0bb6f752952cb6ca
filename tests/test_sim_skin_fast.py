import numpy as np
import pytest

from duchenne.sim import mesh
from duchenne.sim.errors import InputError, ModelFileError
from duchenne.sim.skin import Sheet, SkinMaterial
from duchenne.sim.skin_fast import FastSkin
from duchenne.sim.skin_fit import evaluate, fit, sample_and_fit, solve_poses
from duchenne.sim.skin_reference import ReferenceSkin

JAW = (148, 152, 377, 199, 176, 400)
MOVING = (107, 336, 61, 291, 0, *JAW)
HELD = tuple(v for v in (*mesh.FACE_OVAL, 4, 116, 345) if v not in MOVING)
SWAP = [MOVING.index(int(mesh.MIRROR[v])) for v in MOVING]


def strokes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Random poses of seven degrees of freedom: brows, corners in their plane, upper lip, jaw."""
    active = rng.uniform(size=(count, 7)) < 0.6
    brow_right, brow_left, out, up_right, up_left, lip, jaw = (rng.uniform(-1, 1, (count, 7)) * active).T
    u = np.zeros((count, len(MOVING), 3))
    u[:, 0, 1], u[:, 1, 1] = 0.006 * brow_right, 0.006 * brow_left
    u[:, 2, 0], u[:, 3, 0] = -0.005 * out, 0.005 * out
    u[:, 2, 1], u[:, 3, 1] = 0.006 * up_right, 0.006 * up_left
    u[:, 4, 1] = 0.003 * lip
    angle = 0.12 * (1 + jaw)[:, None]
    arm = mesh.REST[list(JAW)] - [0, -0.04, -0.045]
    u[:, 5:, 1] = (np.cos(angle) - 1) * arm[:, 1] - np.sin(angle) * arm[:, 2]
    u[:, 5:, 2] = np.sin(angle) * arm[:, 1] + (np.cos(angle) - 1) * arm[:, 2]
    return u


@pytest.fixture(scope="module")
def reference() -> ReferenceSkin:
    return ReferenceSkin(Sheet(mesh.REST, mesh.TRIANGLES, SkinMaterial()), (*MOVING, *HELD))


@pytest.fixture(scope="module")
def poses(reference):
    return solve_poses(reference, strokes(np.random.default_rng(5), 150))


@pytest.fixture(scope="module")
def skin(reference, poses) -> FastSkin:
    return fit(reference, poses, mirror=mesh.MIRROR)


def test_it_is_much_closer_to_the_reference_than_the_linear_map(skin):
    figures = skin.figures
    assert figures["vertex_error_rms_mm"] <= 0.30
    assert figures["vertex_error_fraction"] <= 0.10
    assert figures["force_error_fraction"] <= 0.10
    assert figures["vertex_error_fraction"] < 0.5 * figures["linear_vertex_error_fraction"]
    assert figures["force_error_fraction"] < 0.6 * figures["linear_force_error_fraction"]


def test_its_figures_are_those_of_the_last_poses_alone(skin, poses, reference):
    last = poses[round(0.85 * len(poses)) :]
    again = evaluate(skin, last, reference)
    assert again == {name: skin.figures[name] for name in again}
    assert again["poses_test"] == len(last)


def test_at_rest_it_is_exact_and_so_is_its_tangent(skin, reference):
    still = np.zeros((len(MOVING), 3))
    np.testing.assert_array_equal(skin.vertices(still), mesh.REST)
    np.testing.assert_array_equal(skin.forces(still), 0)
    u = strokes(np.random.default_rng(8), 1)[0]
    u[5:] = 0.24 * np.cross([1, 0, 0], mesh.REST[list(JAW)] - [0, -0.04, -0.045])
    u = 1e-3 * u
    every = np.concatenate([u, np.zeros((len(HELD), 3))])
    motion = reference.linear.motion(every)
    assert np.abs(skin.vertices(u) - mesh.REST - motion).max() < 0.02 * np.abs(motion).max()


def test_ports_end_up_where_they_were_put(skin, rng):
    u = strokes(rng, 4)
    np.testing.assert_allclose(skin.vertices(u)[:, list(MOVING)] - mesh.REST[list(MOVING)], u, atol=1e-12)
    np.testing.assert_allclose(skin.vertices(u)[:, list(HELD)], mesh.REST[list(HELD)][None] + 0 * u[:, :1], atol=1e-6)


def test_any_leading_axes_mean_the_same(skin, rng):
    u = strokes(rng, 6)
    one = np.stack([skin.vertices(x) for x in u])
    np.testing.assert_allclose(skin.vertices(u.reshape(2, 3, -1, 3)).reshape(one.shape), one, atol=1e-6)
    pull = np.stack([skin.forces(x) for x in u])
    np.testing.assert_allclose(skin.forces(u.reshape(3, 2, -1, 3)).reshape(pull.shape), pull, atol=1e-5)


def test_mirrored_strokes_give_nearly_mirrored_faces(skin, rng):
    u = strokes(rng, 5)
    other = skin.vertices(u[:, SWAP] * [-1, 1, 1])
    assert np.abs(other - mesh.mirror(skin.vertices(u))).max() < 1e-5


def test_stretch_is_one_at_rest_and_grows_with_the_stroke(skin):
    np.testing.assert_allclose(skin.stretch(mesh.REST), 1, atol=1e-12)
    u = np.zeros((2, len(MOVING), 3))
    u[:, 2, 0] = [-0.002, -0.004]
    stretch = skin.stretch(skin.vertices(u))
    assert stretch.shape == (2, len(mesh.TRIANGLES))
    assert 1.02 < stretch[0].max() < stretch[1].max()


def test_it_survives_a_file_unchanged(skin, rng, tmp_path):
    path = tmp_path / "skin.npz"
    skin.save(path)
    again = FastSkin.load(path)
    u = strokes(rng, 3)
    np.testing.assert_array_equal(again.vertices(u), skin.vertices(u))
    np.testing.assert_array_equal(again.forces(u), skin.forces(u))
    assert again.figures == skin.figures
    assert path.stat().st_size < 1.5e6


def test_files_that_are_no_skin_are_refused(skin, tmp_path):
    wrong = tmp_path / "wrong.npz"
    with pytest.raises(ModelFileError, match="no fitted skin"):
        FastSkin.load(wrong)
    wrong.write_bytes(b"not a zip file")
    with pytest.raises(ModelFileError, match="no fitted skin"):
        FastSkin.load(wrong)
    np.savez(wrong, version=1, rest=np.zeros((3, 3)))
    with pytest.raises(ModelFileError, match="no fitted skin"):
        FastSkin.load(wrong)


def test_wrong_input_is_refused(skin, reference, poses):
    with pytest.raises(InputError, match="port displacements"):
        skin.vertices(np.zeros((4, 3)))
    with pytest.raises(InputError, match="20 poses"):
        fit(reference, poses[:10])
    with pytest.raises(InputError, match="finite"):
        solve_poses(reference, np.full((1, len(MOVING), 3), np.nan))


@pytest.mark.slow
def test_workers_give_what_one_process_gives(reference):
    samples = strokes(np.random.default_rng(1), 24)
    seen: list[tuple[int, int]] = []
    alone = sample_and_fit(reference, samples, progress=lambda done, total: seen.append((done, total)))
    helped = sample_and_fit(reference, samples, workers=2)
    assert seen == [(i + 1, 24) for i in range(24)]
    np.testing.assert_allclose(helped.vertices(samples), alone.vertices(samples), atol=1e-6)
