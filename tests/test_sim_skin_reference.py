import numpy as np
import pytest

from duchenne.sim import mesh
from duchenne.sim.errors import InputError
from duchenne.sim.skin import Sheet, SkinMaterial, follow_ports
from duchenne.sim.skin_reference import Contact, ReferenceSkin

RIM = tuple(mesh.FACE_OVAL)
PORTS = (*RIM, 4, 107, 336, 61, 291, 0, 17)
BROWS, CORNERS, LOWER_LIP = slice(37, 39), slice(39, 41), 42


def skin(**fields) -> ReferenceSkin:
    return ReferenceSkin(Sheet(mesh.REST, mesh.TRIANGLES, SkinMaterial()), PORTS, **fields)


def smile(size_m: float = 0.007) -> np.ndarray:
    u = np.zeros((len(PORTS), 3))
    u[CORNERS] = [[-0.7, 0.7, -0.2], [0.7, 0.7, -0.2]]
    u[BROWS] = [0, 0.5, 0]
    u[LOWER_LIP] = [0, -0.5, 0]
    return u * size_m


@pytest.fixture(scope="module")
def reference() -> ReferenceSkin:
    return skin()


@pytest.fixture(scope="module")
def smiling(reference):
    return reference.solve(smile())


def test_it_reaches_equilibrium_with_the_ports_where_they_were_put(reference, smiling):
    assert smiling.converged
    assert smiling.residual_n < 1e-6
    np.testing.assert_allclose(smiling.vertices_m[list(PORTS)] - mesh.REST[list(PORTS)], smile(), atol=1e-15)
    free = np.setdiff1d(np.arange(468), PORTS)
    assert np.abs(reference.gradient(smiling.vertices_m, smile())[free]).max() < 1e-6


def test_at_rest_nothing_moves_or_pulls(reference):
    found = reference.solve(np.zeros((len(PORTS), 3)))
    np.testing.assert_allclose(found.vertices_m, mesh.REST, atol=1e-12)
    assert np.abs(found.port_force_n).max() < 1e-9
    assert found.energy_j == pytest.approx(0, abs=1e-15)


def test_energy_gradient_matches_finite_differences(reference, smiling, rng):
    vertices = smiling.vertices_m + rng.normal(0, 3e-4, (468, 3))
    direction, step = rng.normal(0, 1e-3, (468, 3)), 1e-4
    ends = [reference.energy(vertices + s * step * direction, smile()) for s in (1, -1)]
    slope = (ends[0] - ends[1]) / (2 * step)
    assert np.sum(reference.gradient(vertices, smile()) * direction) == pytest.approx(slope, rel=1e-6)


def test_small_strokes_follow_the_linear_map(reference):
    errors = []
    for size in (1e-5, 1e-6):
        u = smile(size)
        found, linear = reference.solve(u, tolerance_n=1e-10), reference.linear
        motion = found.vertices_m - mesh.REST
        errors.append(np.linalg.norm(motion - linear.motion(u)) / np.linalg.norm(motion))
        force_error = np.linalg.norm(found.port_force_n - linear.force(u)) / np.linalg.norm(linear.force(u))
        assert force_error < 200 * size / 1e-3
    assert errors[1] < 0.15 * errors[0], "the deviation is of second order"
    assert errors[1] < 1e-3


def test_port_forces_are_minus_the_energys_slope(reference):
    """Virtual work: moving the ports by du stores −f · du."""
    rng = np.random.default_rng(3)
    direction, step = rng.normal(0, 1e-3, (len(PORTS), 3)), 1e-3
    ends = [reference.solve(smile() + s * step * direction).energy_j for s in (1, -1)]
    work = -np.sum(reference.solve(smile()).port_force_n * direction)
    assert work == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4)


def test_virtual_work_holds_with_a_foundation_that_follows_ports(rng):
    share = np.clip(-mesh.REST[:, 1] / 0.09, 0, 1)
    carriers = (152, 148, 377, 17, 397, 172)
    moved = skin(ground=follow_ports(mesh.REST, PORTS, carriers, share))
    u, direction, step = smile(0.004), rng.normal(0, 1e-3, (len(PORTS), 3)), 1e-3
    ends = [moved.solve(u + s * step * direction).energy_j for s in (1, -1)]
    work = -np.sum(moved.solve(u).port_force_n * direction)
    assert work == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4)


def test_mirrored_strokes_give_mirrored_faces(reference):
    lopsided = smile()
    lopsided[CORNERS.start] *= 0.3
    swap = [PORTS.index(int(mesh.MIRROR[v])) for v in PORTS]
    one, other = reference.solve(lopsided), reference.solve(lopsided[swap] * [-1, 1, 1])
    np.testing.assert_allclose(other.vertices_m, mesh.mirror(one.vertices_m), atol=1e-7)
    np.testing.assert_allclose(other.port_force_n, one.port_force_n[swap] * [-1, 1, 1], atol=1e-5)


def test_a_bare_skin_follows_a_large_rotation_of_all_ports_without_force():
    bare = SkinMaterial(foundation_tangential_n_m3=0, foundation_normal_n_m3=0)
    turned = ReferenceSkin(Sheet(mesh.REST, mesh.TRIANGLES, bare), PORTS)
    angle = 0.6
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
    goal = mesh.REST @ turn.T
    found = turned.solve((goal - mesh.REST)[list(PORTS)])
    assert found.converged
    np.testing.assert_allclose(found.vertices_m, goal, atol=1e-6)
    assert np.abs(found.port_force_n).max() < 1e-5


def test_lips_in_contact_do_not_pass_through_each_other():
    u = np.zeros((len(PORTS), 3))
    u[LOWER_LIP] = [0, 0.004, 0]
    pairs = np.array(mesh.LIP_PAIRS)
    contact = Contact(pairs=pairs, stiffness_n_m=2000)
    gaps = []
    for found in (skin().solve(u), skin(contact=contact).solve(u)):
        assert found.converged
        gaps.append((found.vertices_m[pairs[:, 0], 1] - found.vertices_m[pairs[:, 1], 1]).min())
    assert gaps[0] < -1e-3, "without contact they do"
    assert gaps[1] > -1e-4


def test_wrong_shapes_are_refused(reference):
    with pytest.raises(InputError, match="port displacements"):
        reference.solve(np.zeros((3, 3)))
    with pytest.raises(InputError, match="ground"):
        skin(ground=np.zeros((2, 2)))
