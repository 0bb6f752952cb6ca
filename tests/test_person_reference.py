"""The nonlinear reference of the face: laws, finite differences, the linear map as its limit, a smile's size."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duchenne.sim import mesh
from duchenne.sim.errors import InputError
from duchenne.sim.facs import PAIRED, Muscle
from duchenne.sim.person.anatomy import MIRRORED, MUSCLES, muscle_index
from duchenne.sim.person.mechanics import build_face
from duchenne.sim.person.ports import JAW_GLIDE_M_PER_RAD, JAW_RANGE_RAD, jaw_pivot, jaw_weight
from duchenne.sim.person.reference import ReferenceFace


def activation(**level: float) -> np.ndarray:
    result = np.zeros(len(MUSCLES))
    for name, value in level.items():
        result[[muscle_index(Muscle[name], of) for of in PAIRED]] = value
    return result


SMILE = activation(ZYGOMATICUS_MAJOR=1.0, ORBICULARIS_OCULI_ORBITAL=0.5)
BUSY = activation(
    ZYGOMATICUS_MAJOR=0.6,
    FRONTALIS_MEDIALIS=0.5,
    MENTALIS=0.3,
    DIGASTRIC=0.2,
    LEVATOR_PALPEBRAE=0.5,
    INCISIVI_LABII=0.4,
)


@pytest.fixture(scope="module")
def face() -> ReferenceFace:
    return ReferenceFace()


@pytest.fixture(scope="module")
def smiling(face):
    return face.solve(SMILE)


def test_rest_is_an_equilibrium(face):
    found = face.solve(np.zeros(48))
    assert found.converged
    assert found.iterations == 0
    np.testing.assert_allclose(found.vertices_m, mesh.REST, atol=1e-12)
    np.testing.assert_allclose(found.force_n, 0, atol=1e-12)


def test_derivatives_match_finite_differences(face, rng):
    pose = face.pose(BUSY)
    vertices = mesh.REST + pose.ground_m + rng.normal(0, 3e-4, mesh.REST.shape)
    direction, step = rng.normal(0, 1e-3, mesh.REST.shape), 1e-4
    ends = [vertices + sign * step * direction for sign in (1, -1)]
    high, low = (face.energy(end, pose) for end in ends)
    slope = np.sum(face.gradient(vertices, pose) * direction)
    assert slope == pytest.approx((high - low) / (2 * step), rel=1e-6)
    high, low = (np.sum(face.gradient(end, pose) * direction) for end in ends)
    values, used, curve = face.hessian(vertices, pose)(False), 0, 0.0
    for group in face.groups:
        size = group.shape[1]
        blocks = values[used : used + len(group) * size * size].reshape(-1, size, size)
        moves = direction.ravel()[group]
        curve += float(np.einsum("ni,nij,nj", moves, blocks, moves))
        used += blocks.size
    assert used == len(values)
    assert curve == pytest.approx((high - low) / (2 * step), rel=1e-6)


def test_small_activations_follow_the_fast_map(face):
    """Lids, jaw, seals and muscles together: the deviation is of second order."""
    poses = np.array([1e-3, 1e-4])[:, None] * np.where(BUSY > 0, BUSY, 0.1)
    with jax.enable_x64(True):
        linear = build_face(corrected=False)
        linear = eqx.tree_at(lambda f: f.eye_radius, linear, jnp.zeros(468))  # contact is no part of the reference
        fast = np.asarray(eqx.filter_jit(linear.vertices)(jnp.asarray(poses))) - mesh.REST
        motion = np.array([face.solve(pose, mesh.REST, tolerance_n=1e-11).vertices_m for pose in poses]) - mesh.REST
    errors = np.linalg.norm(fast - motion, axis=(1, 2)) / np.linalg.norm(motion, axis=(1, 2))
    assert errors[0] < 1e-2
    assert errors[1] < 0.15 * errors[0], "the fast map is the tangent"


def test_the_muscles_pull_as_in_the_fast_map(face):
    parts, strands = face.elements, face.strands
    np.testing.assert_allclose(strands.linear(), parts.pull[:, : strands.count], atol=1e-12)


def test_all_that_belongs_to_the_jaw_turns_with_it_as_one(face):
    """A skin moved rigidly with the jaw meets ground, springs and origins of the jaw as at rest (single precision)."""
    pose, at_rest = face.pose(activation(DIGASTRIC=1.0)), face.pose(np.zeros(48))
    angle, pivot = JAW_RANGE_RAD, jaw_pivot(mesh.REST)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    turned = (mesh.REST - pivot) @ turn.T + pivot + [0, 0, JAW_GLIDE_M_PER_RAD * angle]
    assert turned[152, 1] < mesh.REST[152, 1] - 0.02, "the mouth is open"
    chin = np.flatnonzero(jaw_weight() == 1)
    np.testing.assert_allclose(pose.ground_m[chin], (turned - mesh.REST)[chin], atol=1e-7)
    np.testing.assert_allclose(pose.foundation[chin], turn @ at_rest.foundation[chin] @ turn.T, atol=1e-5)
    strands = face.strands
    riding = face.elements.on_jaw[strands.element]
    length = np.linalg.norm(pose.anchors_m - strands.weights @ turned, axis=1)
    np.testing.assert_allclose(length[riding], strands.rest_length_m[riding], atol=1e-7)


def test_a_smile_is_as_large_as_real_ones(face, smiling):
    """Corner excursion of a full smile: 11-14 mm at about 44-47° (published smile studies and FE faces)."""
    assert smiling.converged
    assert smiling.residual_n < 1e-6
    moved = 1e3 * (smiling.vertices_m - mesh.REST)[[61, 291]]
    size, angle = np.linalg.norm(moved, axis=1), np.degrees(np.arctan2(moved[:, 1], np.abs(moved[:, 0])))
    np.testing.assert_array_less(10, size)
    np.testing.assert_array_less(size, 14)
    np.testing.assert_allclose(angle, 45, atol=10)
    assert np.abs(face.gradient(smiling.vertices_m, face.pose(SMILE))).max() < 1e-6


def test_force_is_what_the_spring_gives_at_its_length(face, smiling):
    parts = face.elements
    which = parts.names.index("zygomaticus major, right")
    start = smiling.vertices_m[parts.insertion[which]].mean(0)
    shortening = parts.length_m[which] - np.linalg.norm(parts.origin_m[which] - start)
    k, free = parts.stiffness(SMILE, 1.0)[which], parts.free_length(SMILE, 1.0)[which]
    assert smiling.force_n[which] == pytest.approx(k * (free - shortening) - parts.tone_n[which], rel=1e-9)
    assert 0.08 < shortening / 0.07 < 0.20, "zygomaticus major shortens by about 14 % in joy"


def test_mirrored_activation_gives_the_mirrored_face(face):
    lopsided = BUSY * np.tile([1.0, 0.4], 24)
    one, other = face.solve(lopsided), face.solve(lopsided[MIRRORED])
    assert one.converged
    assert other.converged
    np.testing.assert_allclose(other.vertices_m, mesh.mirror(one.vertices_m), atol=1e-6)


def test_activations_out_of_range_are_refused(face):
    for bad in (np.zeros(3), np.full(48, 1.5), np.full(48, np.nan)):
        with pytest.raises(InputError, match="activation"):
            face.solve(bad)
