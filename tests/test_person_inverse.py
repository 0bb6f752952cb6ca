"""Activations recovered from landmarks."""

import jax.numpy as jnp
import numpy as np
import pytest

from duchenne.sim import mesh
from duchenne.sim.errors import InputError
from duchenne.sim.facs import PAIRED, Muscle
from duchenne.sim.person.anatomy import MUSCLES, muscle_index
from duchenne.sim.person.inverse import infer
from duchenne.sim.person.mechanics import build_face

BLIND = [muscle_index(name, of) for name in (Muscle.MASSETER, Muscle.TEMPORALIS) for of in PAIRED]
"""Closers of a closed jaw."""
JAW = [muscle_index(Muscle.DIGASTRIC, of) for of in PAIRED]
INNER = np.setdiff1d(np.arange(mesh.VERTEX_COUNT), mesh.FACE_OVAL)


@pytest.fixture(scope="module")
def face():
    return build_face(corrected=False)


@pytest.fixture(scope="module")
def drives():
    """Four random faces with 40 % of the muscles at work, the last one at rest."""
    rng = np.random.default_rng(4)
    drive = (rng.random((4, 48)) < 0.4) * rng.uniform(0.1, 1, (4, 48))
    drive[:, BLIND] = 0
    drive[-1] = 0
    return drive


@pytest.fixture(scope="module")
def seen(face, drives):
    return np.asarray(face.vertices(jnp.asarray(drives, jnp.float32)), float)


def test_exact_landmarks_give_the_activations_back(face, drives, seen):
    found = infer(face, seen)
    error = np.abs(np.asarray(found.activation) - drives)
    single = np.setdiff1d(np.arange(48), JAW + BLIND)
    assert error[:, single].mean() < 0.02
    assert np.quantile(error[:, single], 0.95) < 0.05
    together = np.asarray(found.activation)[:, JAW].mean(1) - drives[:, JAW].mean(1)  # sides open one jaw
    assert np.abs(together).max() < 0.03
    assert float(found.residual_m.max()) < 2e-5


def test_noisy_flat_landmarks_still_tell_most_muscles(face, drives, seen, rng):
    picture = seen[:, INNER, :2] + rng.normal(0, 0.23e-3, (4, len(INNER), 2))
    found = infer(face, picture, vertices=INNER, ridge_mm2=0.2)
    assert np.abs(np.asarray(found.activation) - drives).mean() < 0.08
    assert float(found.residual_m.mean()) == pytest.approx(0.23e-3, rel=0.15)
    assert ((np.asarray(found.activation) >= 0) & (np.asarray(found.activation) <= 1)).all()


def test_landmarks_of_weight_zero_do_not_count(face, seen):
    spoilt, weights = seen.copy(), np.ones(468)
    spoilt[:, :20] += 0.05
    weights[:20] = 0
    assert float(infer(face, spoilt, weights=weights).residual_m.max()) < 2e-5


@pytest.mark.parametrize(
    ("landmarks", "options"),
    [
        (np.full((468, 3), np.nan), {}),
        (np.zeros((400, 3)), {}),
        (mesh.REST * 1e3, {}),
        (mesh.REST, {"weights": -1.0}),
        (mesh.REST, {"weights": 0.0}),
        (mesh.REST, {"ridge_mm2": 0.0}),
        (mesh.REST, {"start": np.full(len(MUSCLES), 2.0)}),
        (mesh.REST[:2], {"vertices": [0, 468]}),
    ],
    ids=["nan", "count", "millimetres", "negative", "nothing", "ridge", "start", "vertex"],
)
def test_bad_input_is_one_clear_error(face, landmarks, options):
    with pytest.raises(InputError):
        infer(face, landmarks, **options)
