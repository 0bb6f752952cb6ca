import numpy as np
import pytest
import scipy.sparse as sp

from duchenne.sim.errors import InputError
from duchenne.sim.skin_strands import Contraction, Strands


def strands(rng: np.random.Generator) -> Strands:
    """Two lines and a ring over ten scattered vertices."""
    rest = rng.normal(0, 0.02, (10, 3))
    weights = np.zeros((5, 10))
    weights[0, [0, 1, 2]] = 1 / 3
    weights[1, [2, 5]] = 0.5
    weights[[2, 3, 4], [6, 7, 8]] = 1
    return Strands(
        rest=rest,
        weights=sp.csr_array(weights),
        anchors_m=rng.normal(0, 0.05, (5, 3)),
        gain=np.array([1, 1, 0.3, 0.5, 0.2]),
        element=np.array([0, 1, 2, 2, 2]),
    )


CONTRACTION = Contraction(
    stiffness_n_m=np.array([110.0, 90.0, 130.0]),
    free_m=np.array([0.02, 0.015, 0.01]),
    tone_n=np.array([0.05, 0.0, 0.1]),
)


def test_derivatives_match_finite_differences(rng):
    pulls = strands(rng)
    vertices, anchors = pulls.rest + rng.normal(0, 3e-3, (10, 3)), pulls.anchors_m + rng.normal(0, 1e-3, (5, 3))
    direction, step = rng.normal(0, 1e-3, (10, 3)), 1e-3
    ends = [vertices + sign * step * direction for sign in (1, -1)]
    high, low = (pulls.energy(end, anchors, CONTRACTION) for end in ends)
    slope = (high - low) / (2 * step)
    assert np.sum(pulls.gradient(vertices, anchors, CONTRACTION) * direction) == pytest.approx(slope, rel=1e-6)
    high, low = (np.sum(pulls.gradient(end, anchors, CONTRACTION) * direction) for end in ends)
    curve = (high - low) / (2 * step)
    blocks = pulls.hessian(vertices, anchors, CONTRACTION)
    moves = [direction.ravel()[dofs[0]] for dofs in pulls.dofs]
    assert sum(move @ block @ move for move, block in zip(moves, blocks, strict=True)) == pytest.approx(curve, rel=1e-5)


def test_the_projected_hessian_is_semidefinite_even_where_springs_are_slack(rng):
    pulls = strands(rng)
    slack = Contraction(stiffness_n_m=CONTRACTION.stiffness_n_m, free_m=np.full(3, -0.05), tone_n=np.zeros(3))
    for block in pulls.hessian(pulls.rest, pulls.anchors_m, slack, project=True):
        assert np.linalg.eigvalsh(block)[0] > -1e-10
    assert min(np.linalg.eigvalsh(block)[0] for block in pulls.hessian(pulls.rest, pulls.anchors_m, slack)) < -1


def test_at_rest_it_is_the_linear_model(rng):
    pulls = strands(rng)
    pull = pulls.linear()
    assert np.abs(pulls.shortening(pulls.rest, pulls.anchors_m)).max() < 1e-15
    force = CONTRACTION.stiffness_n_m * CONTRACTION.free_m - CONTRACTION.tone_n
    np.testing.assert_allclose(pulls.gradient(pulls.rest, pulls.anchors_m, CONTRACTION).ravel(), -pull @ force)
    small = rng.normal(0, 1e-8, (10, 3))
    moved = pulls.shortening(pulls.rest + small, pulls.anchors_m)
    np.testing.assert_allclose(moved, pull.T @ small.ravel(), rtol=1e-4, atol=1e-13)


def test_anchors_that_ride_with_the_sheet_change_nothing(rng):
    pulls = strands(rng)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    shift = rng.normal(0, 0.1, 3)
    moved = pulls.shortening(pulls.rest @ turn.T + shift, pulls.anchors_m @ turn.T + shift)
    np.testing.assert_allclose(moved, 0, atol=1e-15)


def test_an_anchor_in_the_skin_is_refused(rng):
    pulls = strands(rng)
    with pytest.raises(InputError, match="anchor"):
        Strands(
            rest=pulls.rest,
            weights=pulls.weights,
            anchors_m=pulls.weights @ pulls.rest,
            gain=pulls.gain,
            element=pulls.element,
        )
