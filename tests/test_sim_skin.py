import numpy as np
import pytest

from duchenne.sim import mesh
from duchenne.sim.errors import InputError
from duchenne.sim.skin import Sheet, SkinMaterial, condense, follow_ports
from duchenne.sim.skin_elastic import Bending, Membrane

BARE = SkinMaterial(foundation_tangential_n_m3=0, foundation_normal_n_m3=0)
PORTS = (*(v for v in mesh.FACE_OVAL), 107, 336, 61, 291, 0, 17, 4)


def face(material: SkinMaterial = BARE, **fields) -> Sheet:
    return Sheet(mesh.REST, mesh.TRIANGLES, material, **fields)


def rotation(rng: np.random.Generator) -> np.ndarray:
    orthogonal, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return orthogonal * np.sign(np.linalg.det(orthogonal))


def strip(width_m: float = 0.02, length_m: float = 0.06, cells: int = 6) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(np.linspace(0, length_m, 2 * cells + 1), np.linspace(0, width_m, cells + 1), indexing="ij")
    vertices = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1)
    i, j = np.meshgrid(np.arange(2 * cells), np.arange(cells), indexing="ij")
    a = (i * (cells + 1) + j).ravel()
    b, c, d = a + cells + 1, a + 1, a + cells + 2
    return vertices, np.concatenate([np.stack([a, b, d], 1), np.stack([a, d, c], 1)])


def test_stiffness_is_symmetric_and_only_rigid_motions_are_free():
    stiffness = face().stiffness.toarray()
    np.testing.assert_allclose(stiffness, stiffness.T, atol=1e-12)
    values, modes = np.linalg.eigh(stiffness)
    assert np.abs(values[:6]).max() < 1e-10 * values[-1]
    assert values[6] > 1e-7 * values[-1]
    centred = mesh.REST - mesh.REST.mean(0)
    rigid = [np.tile(axis, (468, 1)) for axis in np.eye(3)] + [np.cross(axis, centred) for axis in np.eye(3)]
    rigid = np.linalg.qr(np.array(rigid).reshape(6, -1).T)[0]
    assert np.linalg.svd(rigid.T @ modes[:, :6])[1].min() > 1 - 1e-9, "the null space is the rigid motions"


def test_foundation_makes_it_positive_definite():
    assert np.linalg.eigvalsh(face(SkinMaterial()).stiffness.toarray())[0] > 0


def test_rigid_motion_costs_no_energy_and_no_force(rng):
    sheet = face()
    moved = mesh.REST @ rotation(rng).T + rng.normal(size=3)
    scale = sheet.material.young_pa * sheet.material.thickness_m * 0.01
    for part in (sheet.membrane, sheet.bending):
        assert abs(part.energy(moved)) < 1e-12 * scale
        assert np.abs(part.gradient(moved)).max() < 1e-10 * scale


@pytest.mark.parametrize("poisson", [0.0, 0.45, 0.4999, 0.5])
def test_membrane_derivatives_match_finite_differences(rng, poisson):
    membrane = Membrane.of(mesh.REST, mesh.TRIANGLES, 7e4, poisson, 2e-3)
    vertices = mesh.REST + rng.normal(0, 4e-4, (468, 3))
    direction, step = rng.normal(0, 1e-3, (468, 3)), 1e-4
    corners = direction[mesh.TRIANGLES]

    def along(at):
        return float(np.sum(membrane.gradient(at) * corners))

    forward, backward = vertices + step * direction, vertices - step * direction
    slope = (membrane.energy(forward) - membrane.energy(backward)) / (2 * step)
    assert along(vertices) == pytest.approx(slope, rel=1e-6)
    curve = (along(forward) - along(backward)) / (2 * step)
    flat = corners.reshape(-1, 9)
    assert np.einsum("ti,tij,tj", flat, membrane.hessian(vertices), flat) == pytest.approx(curve, rel=1e-6)
    projected = np.linalg.eigvalsh(membrane.hessian(vertices, project=True))
    assert projected.min() > -1e-9 * projected.max()


def test_bending_derivatives_match_finite_differences(rng):
    bending = Bending.of(mesh.REST, mesh.TRIANGLES, 1e-4)
    vertices = mesh.REST + rng.normal(0, 4e-4, (468, 3))
    direction, step = rng.normal(0, 1e-3, (468, 3)), 1e-4

    def along(at):
        return float(np.sum(bending.gradient(at) * direction))

    forward, backward = vertices + step * direction, vertices - step * direction
    slope = (bending.energy(forward) - bending.energy(backward)) / (2 * step)
    assert along(vertices) == pytest.approx(slope, rel=1e-6)
    ring = direction[bending.ring].reshape(468, -1)
    triangle = direction[bending.triangles].reshape(-1, 9)
    curve = np.einsum("vi,vij,vj", ring, bending.hessian(vertices), ring)
    curve += np.einsum("ti,tij,tj", triangle, bending.hessian_rest(vertices), triangle)
    assert curve == pytest.approx((along(forward) - along(backward)) / (2 * step), rel=1e-6)


def test_bending_of_a_flat_sheet_is_the_plate_energy():
    """A sheet rolled into a gentle cylinder of radius R stores D / (2 R²) per area."""
    vertices, triangles = strip(cells=16)
    radius, rigidity = 1.0, 1e-4
    rolled = vertices.copy()
    rolled[:, 0], rolled[:, 2] = (
        radius * np.sin(vertices[:, 0] / radius),
        radius * (1 - np.cos(vertices[:, 0] / radius)),
    )
    energy = Bending.of(vertices, triangles, rigidity).energy(rolled)
    assert energy == pytest.approx(0.5 * rigidity / radius**2 * 0.02 * 0.06, rel=0.1)


@pytest.mark.parametrize("poisson", [0.3, 0.5])
def test_a_pulled_strip_follows_hooke_then_the_neo_hookean_law(poisson):
    young, thickness = 7e4, 2e-3
    vertices, triangles = strip()
    membrane = Membrane.of(vertices, triangles, young, poisson, thickness)
    small = 1e-6
    pulled = vertices * [1 + small, 1 - poisson * small, 1]
    end = vertices[:, 0] > vertices[:, 0].max() - 1e-9
    force = np.bincount(triangles.ravel(), membrane.gradient(pulled)[..., 0].ravel(), len(vertices))[end].sum()
    assert force == pytest.approx(young * thickness * 0.02 * small, rel=1e-4)
    if poisson == 0.5:
        stretch = 1.8
        pulled = vertices * [stretch, stretch**-0.5, 1]
        force = np.bincount(triangles.ravel(), membrane.gradient(pulled)[..., 0].ravel(), len(vertices))[end].sum()
        assert force == pytest.approx(young / 3 * thickness * 0.02 * (stretch - stretch**-2), rel=1e-9)


def test_a_sheet_on_foundation_alone_answers_with_its_area(rng):
    sheet = face(SkinMaterial(foundation_tangential_n_m3=2e4, foundation_normal_n_m3=2e4))
    everything = sheet.condense(range(468))
    push = rng.normal(size=3) * 1e-3
    total = everything.force(np.tile(push, (468, 1))).sum(0)
    one, two = (mesh.REST[mesh.TRIANGLES[:, k]] - mesh.REST[mesh.TRIANGLES[:, 0]] for k in (1, 2))
    area = 0.5 * np.linalg.norm(np.cross(one, two), axis=1).sum()
    np.testing.assert_allclose(total, -2e4 * area * push, rtol=1e-9)


def test_without_foundation_only_forces_know_youngs_modulus():
    soft = face().condense(PORTS)
    hard = face(SkinMaterial(young_pa=210e3, foundation_tangential_n_m3=0, foundation_normal_n_m3=0)).condense(PORTS)
    np.testing.assert_allclose(hard.displacement, soft.displacement, atol=1e-9)
    np.testing.assert_allclose(hard.stiffness, 3 * soft.stiffness, rtol=1e-8, atol=1e-9)


def test_ports_that_move_as_one_carry_the_bare_sheet_along():
    push = np.array([1e-3, 2e-3, -1e-3])
    skin = face().condense(PORTS)
    np.testing.assert_allclose(skin.motion(np.tile(push, (len(PORTS), 1))), np.tile(push, (468, 1)), atol=1e-12)
    np.testing.assert_allclose(skin.force(np.tile(push, (len(PORTS), 1))), 0, atol=1e-9)
    assert np.linalg.eigvalsh(skin.stiffness)[0] > -1e-9 * np.linalg.eigvalsh(skin.stiffness)[-1]


def test_batches_of_port_displacements_come_out_one_by_one(rng):
    skin = face().condense(PORTS)
    u = rng.normal(0, 1e-3, (2, 3, len(PORTS), 3))
    np.testing.assert_allclose(skin.motion(u)[1, 2], skin.motion(u[1, 2]), atol=1e-15)
    np.testing.assert_allclose(skin.force(u)[0, 1], skin.force(u[0, 1]), atol=1e-12)


def test_a_foundation_that_follows_ports_costs_nothing_when_all_moves_rigidly(rng):
    sheet = face(SkinMaterial())
    ground = follow_ports(mesh.REST, PORTS, PORTS, np.ones(468))
    skin = sheet.condense(PORTS, ground)
    turn = np.cross(rng.normal(0, 1e-3, 3), mesh.REST) + rng.normal(0, 1e-3, 3)
    u = turn[list(PORTS)]
    np.testing.assert_allclose(skin.motion(u), turn, atol=1e-10)
    np.testing.assert_allclose(skin.force(u), 0, atol=1e-9)


def test_mirrored_ports_give_the_mirrored_face(rng):
    ports = sorted({*PORTS, *(int(mesh.MIRROR[v]) for v in PORTS)})
    skin = face(SkinMaterial()).condense(ports)
    swap = [ports.index(int(mesh.MIRROR[v])) for v in ports]
    u = rng.normal(0, 1e-3, (len(ports), 3))
    np.testing.assert_allclose(skin.motion(u[swap] * [-1, 1, 1]), mesh.mirror(skin.motion(u)), atol=1e-9)


def test_principal_stretches(rng):
    membrane = face().membrane
    np.testing.assert_allclose(membrane.principal_stretch(mesh.REST), 1, atol=1e-12)
    vertices, triangles = strip()
    flat = Membrane.of(vertices, triangles, 1e4, 0.5, 1e-3)
    stretched = (vertices * [1.5, 0.8, 1]) @ rotation(rng).T
    both = flat.principal_stretch(np.stack([stretched, vertices]))
    np.testing.assert_allclose(both[0], np.tile([1.5, 0.8], (len(triangles), 1)), atol=1e-9)
    np.testing.assert_allclose(both[1], 1, atol=1e-9)


@pytest.mark.parametrize("bad", [{"young_pa": 0}, {"poisson": 0.6}, {"thickness_m": float("nan")}])
def test_impossible_materials_are_refused(bad):
    with pytest.raises(InputError, match=next(iter(bad))):
        SkinMaterial(**bad)


def test_bad_sheets_and_ports_are_refused():
    with pytest.raises(InputError, match="twice"):
        face().condense([1, 1, 2])
    with pytest.raises(InputError, match="free to move"):
        condense(face().stiffness, [4])
    with pytest.raises(InputError, match="tangential"):
        face(tangential=np.ones(3))
    with pytest.raises(InputError, match="plane"):
        follow_ports(mesh.REST, PORTS, PORTS[:3], np.ones(468))
