"""The fitted correction: zero at rest, mirrored, honest figures, and closer to the reference than the linear map."""

import io

import numpy as np
import pytest

from duchenne.scenarios.fit_person import KINDS, sample_poses, solve_poses
from duchenne.sim import mesh
from duchenne.sim.errors import InputError, ModelFileError
from duchenne.sim.person.correction import Correction, SolvedPoses, evaluate, fit, mirrored_elements, neighbours, terms
from duchenne.sim.person.elements import elements
from duchenne.sim.person.mechanics import build_face
from duchenne.sim.person.reference import ReferenceFace

ELEMENTS = 42


@pytest.fixture(scope="module")
def reference() -> ReferenceFace:
    return ReferenceFace()


@pytest.fixture(scope="module")
def shipped() -> Correction:
    return Correction.load()


@pytest.fixture(scope="module")
def fresh(reference) -> SolvedPoses:
    """Poses that the shipped correction was not taught."""
    return solve_poses(reference, *sample_poses(np.random.default_rng(999), 8))


def made_up(rng: np.random.Generator, count: int) -> SolvedPoses:
    """Poses whose error is exactly made of the correction's terms."""
    force, shortening = rng.uniform(0, 2, (count, ELEMENTS)), rng.uniform(0, 0.01, (count, ELEMENTS))
    jaw = rng.uniform(0, 0.4, count)
    partner = mirrored_elements(elements())
    one = rng.normal(0, 1e-4, (mesh.VERTEX_COUNT, 3))
    error = (force[:, 3, None, None] ** 2) * one + (force[:, partner[3], None, None] ** 2) * mesh.mirror(one)
    error += (force[:, 10, None, None] * jaw[:, None, None]) * one[::-1]
    error += (force[:, partner[10], None, None] * jaw[:, None, None]) * mesh.mirror(one[::-1])
    linear = rng.normal(0, 1e-3, (count, mesh.VERTEX_COUNT, 3))
    return SolvedPoses(force, shortening, jaw, linear, linear + error, np.full(count, "made up"))


def test_it_fits_the_shipped_anatomy(shipped):
    assert shipped.is_for(elements()), "muscles have changed: fit the correction anew with `duchenne train person`"
    assert shipped.is_for(elements(strength=0.5)), "strength does not make another anatomy"
    assert not shipped.is_for(elements(mesh.REST * [1.0, 1.3, 1.0]))


def test_the_shipped_figures_are_good_enough(shipped):
    assert shipped.figures["vertex_error_rms_mm"] <= 0.25
    assert shipped.figures["vertex_error_rms_mm"] < 0.5 * shipped.figures["linear_error_rms_mm"]
    assert shipped.figures["people_vertex_error_rms_mm"] < 0.6 * shipped.figures["people_linear_error_rms_mm"]


def test_it_beats_the_linear_map_on_fresh_poses(shipped, fresh):
    figures = evaluate(shipped, fresh)
    assert figures["poses_test"] >= 7
    assert figures["vertex_error_rms_mm"] < 0.6 * figures["linear_error_rms_mm"]


def test_the_fast_face_adds_it(shipped, reference):
    """`Face` applies weights and modes as `Correction` does."""
    activation, kind = sample_poses(np.random.default_rng(5), 3)
    linear, corrected = (np.asarray(build_face(corrected=c).coordinates(activation)) for c in (False, True))
    found = solve_poses(reference, activation, kind)
    weights = shipped.weights(found.isometric_n, found.shortening_m, found.jaw_rad)
    np.testing.assert_allclose(corrected[:, linear.shape[1] :], weights, rtol=1e-2, atol=1e-3)


def test_at_rest_it_is_zero(shipped):
    nothing = np.zeros(ELEMENTS)
    assert not np.asarray(shipped.weights(nothing, nothing, np.zeros(()))).any()


def test_mirrored_poses_get_the_mirrored_correction(shipped, fresh):
    partner = mirrored_elements(elements())
    one, other = (
        np.tensordot(np.asarray(shipped.weights(p.isometric_n, p.shortening_m, p.jaw_rad)), shipped.modes_m, 1)
        for p in (fresh, fresh.mirrored(partner))
    )
    np.testing.assert_allclose(other, mesh.mirror(one), atol=2e-6)


def test_what_its_terms_can_say_is_learnt(rng):
    poses = made_up(rng, 800)
    figures = evaluate(fit(poses[slice(0, 700)], elements()), poses[slice(700, None)])
    assert figures["vertex_error_rms_mm"] < 0.05 * figures["linear_error_rms_mm"]


def test_errors_are_those_of_a_correction_that_does_nothing(fresh):
    nothing = np.zeros((6 * ELEMENTS + 2, 1)), np.zeros((1, mesh.VERTEX_COUNT, 3))
    idle = Correction(*nothing, np.zeros((0, 2), int), np.zeros((1, 5)), {})
    figures = evaluate(idle, fresh)
    off = np.linalg.norm(fresh.reference_m - fresh.linear_m, axis=-1)
    assert figures["vertex_error_rms_mm"] == pytest.approx(1e3 * np.sqrt(np.mean(off**2)))
    assert figures["vertex_error_rms_mm"] == figures["linear_error_rms_mm"]
    regions = [figures[f"error_{name}_mm"] for name in ("mouth", "cheek", "forehead")]
    assert regions[0] > regions[2]


def test_it_survives_saving(shipped):
    stream = io.BytesIO()
    shipped.save(stream)
    stream.seek(0)
    again = Correction.load(stream)
    np.testing.assert_array_equal(again.coefficients, shipped.coefficients)
    np.testing.assert_array_equal(again.modes_m, shipped.modes_m)
    assert again.figures == shipped.figures
    with pytest.raises(ModelFileError, match="no fitted correction"):
        Correction.load(io.BytesIO(b"nonsense"))


def test_terms_have_no_constant():
    found = terms(np.zeros(3), np.zeros(3), np.zeros(()), [(0, 2)])
    assert found.shape == (6 * 3 + 2 + 1,)
    assert not found.any()


def test_neighbours_pull_on_one_side_and_have_mirror_images():
    parts = elements()
    pairs = {tuple(pair) for pair in neighbours(parts).tolist()}
    partner = mirrored_elements(parts)
    assert {tuple(sorted((int(partner[a]), int(partner[b])))) for a, b in pairs} == pairs
    names = {frozenset((parts.names[a], parts.names[b])) for a, b in pairs}
    assert frozenset(("zygomaticus major, right", "depressor anguli oris, right")) in names
    assert all(a.rsplit(", ")[1] == b.rsplit(", ")[1] for a, b in map(tuple, names) if "orbicularis oculi" not in a + b)


def test_sampled_poses_are_activations_and_reach_full_smiles():
    activation, kind = sample_poses(np.random.default_rng(1), 300)
    assert set(kind.tolist()) == set(KINDS)
    assert activation.min() >= 0
    assert activation.max() == 1


def test_too_few_poses_are_refused(fresh):
    with pytest.raises(InputError, match="40 poses"):
        fit(fresh, elements())
