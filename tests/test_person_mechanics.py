"""The person's fast face: closed forms, laws, gradients, and motions in the ranges that are published."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duchenne.sim import mesh
from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.facs import PAIRED, Muscle
from duchenne.sim.person.anatomy import MIRRORED, MUSCLES, muscle_index
from duchenne.sim.person.correction import Correction
from duchenne.sim.person.elements import elements
from duchenne.sim.person.mechanics import build_face, checked_activation, condensed_face
from duchenne.sim.person.mykin import several_muscles_m, single_muscle_above_tone_m, single_muscle_m
from duchenne.sim.person.ports import JAW_RANGE_RAD, eye_centres, jaw_columns, jaw_pivot, lid_displacement, lid_ground
from duchenne.sim.person.sheet import SoftTissue, face_sheet

RIGHT_CORNER, LEFT_CORNER = 61, 291
PARTING = ("DEPRESSOR_LABII_INFERIORIS", "LEVATOR_LABII", "LLSAN")
"""Muscles that open the lips' seal, besides the jaw's."""


def activation(**level: float | tuple[float, float]) -> np.ndarray:
    """Activations by muscle, one level or (right, left)."""
    result = np.zeros(len(MUSCLES))
    for name, value in level.items():
        result[[muscle_index(Muscle[name], of) for of in PAIRED]] = value
    return result


@eqx.filter_jit
def coordinates_of(face, u):
    return face.coordinates(u)


@eqx.filter_jit
def vertices_of(face, u):
    return face.vertices(u)


@pytest.fixture(scope="module")
def face():
    return build_face(corrected=False)


@pytest.fixture(scope="module")
def shown(face):
    return lambda u: np.asarray(vertices_of(face, jnp.asarray(u, jnp.float32)), float)


@pytest.fixture(scope="module")
def precise():
    with jax.enable_x64(True):
        yield build_face(corrected=False)


# --- closed forms -------------------------------------------------------------------------------------------


def test_one_muscle_moves_as_equation_10_says():
    with jax.enable_x64(True):
        parts = elements().subset([elements().names.index("zygomaticus major, right")])
        alone = condensed_face(SoftTissue(), parts)
        skin = 1 / float(alone.compliance[0, 0])
        constants = (float(getattr(alone, name)[0]) for name in ("k0", "k1", "l0", "l1"))
        k0, k1, l0, l1 = constants
        for u in (0.1, 0.5, 1.0):
            moved = float(coordinates_of(alone, activation(ZYGOMATICUS_MAJOR=(u, 0)))[7]) / skin
            assert moved == pytest.approx(single_muscle_above_tone_m(u, k0, k1, l0, l1, skin), rel=1e-6)
        literal = replace(parts, l0=np.zeros(1))  # without tone it is equation 10 as printed
        literally = condensed_face(SoftTissue(), literal)
        moved = float(coordinates_of(literally, activation(ZYGOMATICUS_MAJOR=(0.7, 0)))[7]) / skin
        assert moved == pytest.approx(single_muscle_m(0.7, k0, k1, 0.0, l1, skin), rel=1e-6)


def test_tone_only_moves_the_zero_of_equation_10():
    u, k0, k1, l0, l1, skin = np.linspace(0, 1, 5), 9.0, 105.0, 0.005, 0.017, 120.0
    before = single_muscle_m(0, k0, k1, l0, l1, skin)
    expected = single_muscle_m(u, k0, k1, l0, l1, skin) - before
    np.testing.assert_allclose(single_muscle_above_tone_m(u, k0, k1, l0 - before, l1, skin), expected, atol=1e-15)


def test_two_muscles_on_one_line_move_as_equation_14_says():
    """Two antagonists at one point; G then has rank one."""
    with jax.enable_x64(True):
        names = elements().names
        parts = elements().subset(
            [names.index(n) for n in ("zygomaticus major, right", "depressor anguli oris, right")]
        )
        cosine = np.array([1.0, -0.8])
        parts = replace(parts, pull=parts.pull[:, :1] * cosine, ride=np.zeros((2, 3)))
        pair = condensed_face(SoftTissue(), parts)
        skin = 1 / float(pair.compliance[0, 0])
        for u in ((0.2, 0.9), (1.0, 0.0), (0.7, 0.7)):
            drive = activation(ZYGOMATICUS_MAJOR=(u[0], 0), DEPRESSOR_ANGULI_ORIS=(u[1], 0))
            force = coordinates_of(pair, drive)[7:]
            k0, k1, l0, l1 = (np.asarray(getattr(pair, name)) for name in ("k0", "k1", "l0", "l1"))
            expected = several_muscles_m(np.array(u), k0, k1, l0, l1, skin, cosine, cosine, tone=True)
            assert float(cosine @ force) / skin == pytest.approx(expected, rel=1e-6)


# --- laws ---------------------------------------------------------------------------------------------------


def test_rest_is_rest(face, shown):
    np.testing.assert_allclose(shown(np.zeros(48)), mesh.REST, atol=1e-8)
    assert not np.asarray(coordinates_of(face, jnp.zeros(48))).any()


def test_forces_balance_every_element_and_the_skin(precise, rng):
    """Each force is k (l − Δl) − tone, with Δl read off the moved skin itself."""
    with jax.enable_x64(True):
        parts, sheet = elements(), face_sheet(SoftTissue())
        u = rng.uniform(0, 1, 48)
        still = ("DIGASTRIC", "ORBICULARIS_OCULI_PALPEBRAL", "LEVATOR_PALPEBRAE", *PARTING)
        u[[muscle_index(Muscle[name], of) for name in still for of in PAIRED]] = 0
        coordinates = coordinates_of(precise, u)
        free = eqx.tree_at(lambda f: f.eye_radius, precise, jnp.zeros(468))
        moved = np.asarray(free.vertices_of(coordinates) - precise.rest).ravel()
        load = sheet.stiffness @ moved  # jaw and lids at rest: all load comes from the elements
        muscles = ~parts.seal
        tension = np.asarray(coordinates)[7:][muscles]
        spring = parts.stiffness(u, 1.0) * (parts.free_length(u, 1.0) - parts.pull.T @ moved)
        np.testing.assert_allclose(tension, (spring - parts.tone_n)[muscles], atol=1e-6)
        seals = load - parts.pull[:, muscles] @ tension
        lips = np.isin(np.arange(468), np.array(mesh.LIP_PAIRS))
        np.testing.assert_allclose(seals.reshape(-1, 3)[~lips], 0, atol=1e-8)
        np.testing.assert_allclose(seals, (parts.pull @ (np.where(parts.seal, spring, 0))), atol=1e-6)


def test_the_mirrored_drive_gives_the_mirrored_face(shown, rng):
    u = rng.uniform(0, 1, (3, 48))
    np.testing.assert_allclose(shown(u[:, MIRRORED]), mesh.mirror(shown(u)), atol=2e-6)


def test_gradients_are_finite_differences(precise, rng):
    with jax.enable_x64(True):
        u, direction = rng.uniform(0.1, 0.9, 48), rng.normal(size=48)
        targets = rng.normal(size=(468, 3))

        @jax.jit
        def loss(x):
            return (precise.vertices(x) * targets).sum()

        slopes, step = jax.jit(jax.grad(loss)), 1e-6
        slope = (loss(u + step * direction) - loss(u - step * direction)) / (2 * step)
        assert float(slopes(u) @ direction) == pytest.approx(float(slope), rel=1e-3)
        assert float(jax.jit(lambda x, d: jax.jvp(loss, (x,), (d,))[1])(u, direction)) == pytest.approx(
            float(slope), rel=1e-3
        )
        assert np.isfinite(slopes(np.zeros(48))).all()


def test_gradients_reach_the_parameters(precise):
    """Strength enters through k₀ and k₁: what a fit to a person would change."""
    with jax.enable_x64(True):
        smile = activation(ZYGOMATICUS_MAJOR=0.8)

        @jax.jit
        def corner(k1):
            return eqx.tree_at(lambda f: f.k1, precise, k1).vertices(smile)[RIGHT_CORNER, 1]

        k1, step = precise.k1, 1e-4
        index = precise.names.index("zygomaticus major, right")
        slope = (corner(k1.at[index].add(step)) - corner(k1.at[index].add(-step))) / (2 * step)
        assert float(jax.jit(jax.grad(corner))(k1)[index]) == pytest.approx(float(slope), rel=1e-3)


def test_batches_and_single_precision_agree(precise, shown, rng):
    u = rng.uniform(0, 1, (2, 2, 48))
    batch = shown(u)
    assert batch.shape == (2, 2, 468, 3)
    with jax.enable_x64(True):
        np.testing.assert_allclose(batch[1, 0], vertices_of(precise, u[1, 0]), atol=3e-6)
        mapped = jax.jit(jax.vmap(lambda x: precise.vertices(x)))(u[0])
        np.testing.assert_allclose(mapped[1], vertices_of(precise, u[0, 1]), atol=1e-10)


# --- published motions (mm) ---------------------------------------------------------------------------------

PUBLISHED = [
    # muscle, vertex, range of displacement in mm
    ("FRONTALIS_MEDIALIS", 66, 6, 11),
    ("FRONTALIS_LATERALIS", 63, 5, 11),
    ("CORRUGATOR", 107, 3, 6),
    ("PROCERUS", 9, 3, 8),
    ("LLSAN", 49, 3, 6),
    ("LEVATOR_LABII", 82, 5, 12),
    ("ZYGOMATICUS_MAJOR", RIGHT_CORNER, 9, 14),
    ("ZYGOMATICUS_MINOR", 40, 3, 8),
    ("RISORIUS", RIGHT_CORNER, 4, 9),
    ("BUCCINATOR", RIGHT_CORNER, 3, 8),
    ("DEPRESSOR_ANGULI_ORIS", RIGHT_CORNER, 4, 10),
    ("DEPRESSOR_LABII_INFERIORIS", 181, 4, 9),
    ("MENTALIS", 199, 4, 9),
    ("ORBICULARIS_OCULI_ORBITAL", 50, 3, 8),
]


@pytest.mark.parametrize(("name", "vertex", "least_mm", "most_mm"), PUBLISHED)
def test_a_muscle_moves_the_skin_as_far_as_published(shown, name, vertex, least_mm, most_mm):
    moved = np.linalg.norm(shown(activation(**{name: 1.0})) - mesh.REST, axis=1) * 1e3
    assert least_mm <= moved[vertex] <= most_mm
    assert moved.max() < 1.6 * moved[vertex]


def test_a_smile_goes_up_and_out(shown):
    """Zygomaticus major pulls at 47° from the horizontal and shortens by about 14 % in a full smile."""
    face = shown(activation(ZYGOMATICUS_MAJOR=1.0)) - mesh.REST
    out, up = face[LEFT_CORNER, 0], face[LEFT_CORNER, 1]
    assert np.degrees(np.arctan2(up, out)) == pytest.approx(45, abs=7)


def test_motion_grows_steadily_with_activation(shown):
    levels = np.linspace(0, 1, 11)
    corner = shown(levels[:, None] * activation(ZYGOMATICUS_MAJOR=1.0))[:, RIGHT_CORNER]
    travel = np.linalg.norm(corner - mesh.REST[RIGHT_CORNER], axis=1)
    assert (np.diff(travel) > 0).all()
    assert 0.04 < travel[1] / travel[-1] < 0.12  # no threshold: a tenth of activation shows


def test_one_side_moves_alone(shown):
    moved = np.linalg.norm(shown(activation(ZYGOMATICUS_MAJOR=(1.0, 0.0))) - mesh.REST, axis=1) * 1e3
    assert moved[RIGHT_CORNER] > 5 * moved[LEFT_CORNER]


# --- jaw, lids, lips ----------------------------------------------------------------------------------------


def gap_mm(vertices: np.ndarray) -> np.ndarray:
    upper, lower = np.array(mesh.LIP_PAIRS).T
    return 1e3 * (vertices[..., upper, 1] - vertices[..., lower, 1])


def test_the_jaw_parts_the_lips_and_reaches_its_range(face, shown):
    twenty_degrees = 1 - np.sqrt(1 - np.radians(20) / JAW_RANGE_RAD)
    vertices = shown(activation(DIGASTRIC=twenty_degrees))
    assert gap_mm(vertices)[0] == pytest.approx(24, abs=3)
    assert np.linalg.norm(shown(activation(DIGASTRIC=1.0))[152] - mesh.REST[152]) * 1e3 == pytest.approx(43, abs=4)
    clenched = coordinates_of(face, jnp.asarray(activation(MASSETER=1.0, TEMPORALIS=1.0, DIGASTRIC=0.5)))
    assert float(clenched[0]) == pytest.approx(0, abs=1e-6)


def test_jaw_columns_are_the_exact_rigid_motion(rng):
    points, pivot, angle = rng.normal(size=(5, 3)), jaw_pivot(mesh.REST), 0.4
    cos, sin = np.cos(angle), np.sin(angle)
    turned = (points - pivot) @ np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]).T + pivot + [0, 0, 0.01]
    moved = jaw_columns(points, pivot) @ [sin, 1 - cos, 0.01]
    np.testing.assert_allclose(points + moved, turned, atol=1e-12)
    assert (mesh.REST[152] + jaw_columns(mesh.REST[152], pivot) @ [sin, 1 - cos, 0])[1] < mesh.REST[152, 1]


@pytest.mark.parametrize(
    "drive",
    [
        {"FRONTALIS_MEDIALIS": 1.0, "CORRUGATOR": 0.8, "DEPRESSOR_ANGULI_ORIS": 1.0},
        {"CORRUGATOR": 1.0, "LEVATOR_PALPEBRAE": 0.6, "ORBICULARIS_ORIS": 1.0},
        {"ZYGOMATICUS_MAJOR": 1.0},
    ],
    ids=["sadness", "anger", "smile"],
)
def test_lips_stay_shut_where_nothing_parts_them(shown, drive):
    gap = gap_mm(shown(activation(**drive)))
    assert gap.min() > -0.6
    assert gap.max() < 1.6


def test_lips_part_when_they_are_pulled_apart(shown):
    assert gap_mm(shown(activation(DEPRESSOR_LABII_INFERIORIS=0.5)))[0] > 2


def test_a_blink_covers_the_eye_and_the_levator_widens_it(shown):
    aperture = 1e3 * (shown(np.zeros(48))[159] - shown(np.zeros(48))[145])[1]

    def opening(**drive: float) -> float:
        vertices = shown(activation(**drive))
        return 1e3 * (vertices[159, 1] - vertices[145, 1]) / aperture

    assert abs(opening(ORBICULARIS_OCULI_PALPEBRAL=1.0)) < 0.1
    assert abs(opening(ORBICULARIS_OCULI_PALPEBRAL=1.0, LEVATOR_PALPEBRAE=1.0)) < 0.1
    assert opening(LEVATOR_PALPEBRAE=1.0) > 1.25
    assert 0.3 < opening(ORBICULARIS_OCULI_PALPEBRAL=0.5) < 0.8


def test_lids_stay_outside_the_eyeballs(shown, rng):
    vertices = shown(rng.uniform(0, 1, (20, 48)))
    for eye, ring in enumerate((mesh.EYE_RIGHT, mesh.EYE_LEFT)):
        centre = eye_centres(mesh.REST)[eye]
        least = np.minimum(np.linalg.norm(mesh.REST[list(ring)] - centre, axis=1), 0.0134)
        assert (np.linalg.norm(vertices[:, ring] - centre, axis=-1) > least - 1e-6).all()


def test_lid_columns_span_the_arcs():
    columns = lid_ground(mesh.REST)
    for fall, rise, lift in ((1.0, 0.0, 0.0), (0.5, 0.0, 0.3), (0.0, 0.4, 0.1)):
        powers = [fall, fall**2, fall**3, rise, rise**2, lift, lift**2]
        moved = columns[:, 7:] @ powers
        np.testing.assert_allclose(moved, lid_displacement(mesh.REST, 1, fall, rise, lift).ravel(), atol=2e-5)


def test_lips_do_not_pass_through_each_other(shown, rng):
    drive = rng.uniform(0, 1, (20, 48)) * (rng.random((20, 48)) < 0.3)
    assert gap_mm(shown(drive)).min() > -1e-3


# --- correction ---------------------------------------------------------------------------------------------


def test_a_correction_adds_its_modes_and_leaves_rest_alone(face, shown, rng):
    parts = elements()
    count = int((~parts.seal).sum())
    coefficients = np.zeros((6 * count + 2, 2))
    coefficients[[0, 2 * count]] = [[1.0, 0.0], [0.0, 1.0]]  # the first muscle's force, N, and the jaw, rad
    modes = np.zeros((2, 468, 3))
    modes[0, 200] = modes[1, 201] = (0, 0, 1e-3)
    corrected = condensed_face(
        SoftTissue(), parts, Correction(coefficients, modes, np.zeros((0, 2), int), np.zeros(0), {})
    )
    at_rest = vertices_of(corrected, jnp.zeros(48, jnp.float32))
    np.testing.assert_allclose(at_rest, mesh.REST, atol=1e-8)
    u = activation(FRONTALIS_MEDIALIS=(1.0, 0.0), DIGASTRIC=1.0)
    added = np.asarray(vertices_of(corrected, jnp.asarray(u, jnp.float32))) - shown(u)
    isometric = (parts.k0 + parts.k1)[0] * (parts.l0 + parts.l1)[0] - parts.tone_n[0]
    np.testing.assert_allclose(added[200], [0, 0, 1e-3 * isometric], atol=1e-7)
    np.testing.assert_allclose(added[201], [0, 0, 1e-3 * JAW_RANGE_RAD], atol=1e-7)
    assert np.abs(np.delete(added, [200, 201], axis=0)).max() < 1e-7


# --- people and bad input -----------------------------------------------------------------------------------


def test_a_palsied_side_stays_and_stiffer_skin_moves_less(shown):
    smile = activation(ZYGOMATICUS_MAJOR=1.0)
    strength = np.ones(48)
    strength[[i for i, (_, of) in enumerate(MUSCLES) if of == "left"]] = 0
    palsied = vertices_of(build_face(strength=strength, corrected=False), jnp.asarray(smile))
    moved = np.linalg.norm(np.asarray(palsied) - mesh.REST, axis=1)
    assert moved[RIGHT_CORNER] > 5 * moved[LEFT_CORNER]
    stiff = vertices_of(build_face(SoftTissue().scaled(young_pa=2.0), corrected=False), jnp.asarray(smile))
    normal = np.linalg.norm(shown(smile) - mesh.REST, axis=1)[RIGHT_CORNER]
    assert 0.4 < np.linalg.norm(np.asarray(stiff) - mesh.REST, axis=1)[RIGHT_CORNER] / normal < 0.85


@pytest.mark.parametrize(
    "call",
    [
        lambda: SoftTissue(young_pa=30.0),
        lambda: SoftTissue(thickness_m=1.8),
        lambda: SoftTissue(foundation_normal_n_m3=np.nan),
        lambda: SoftTissue(normal_factors={"nose": 0.0}),
        lambda: build_face(strength=np.full(48, np.nan)),
        lambda: build_face(strength=np.ones(24)),
        lambda: build_face(rest=np.zeros((10, 3))),
        lambda: checked_activation(np.full(48, 1.2)),
        lambda: checked_activation(np.full(48, np.nan)),
        lambda: checked_activation(np.zeros(40)),
    ],
)
def test_bad_input_is_one_clear_error(call):
    with pytest.raises(InputError):
        call()


def test_unknown_regions_and_properties_list_the_known_ones():
    with pytest.raises(VocabularyError, match="forehead"):
        SoftTissue(tangential_factors={"elbow": 1.0})
    with pytest.raises(VocabularyError, match="young_pa"):
        SoftTissue().scaled(softness=2.0)
