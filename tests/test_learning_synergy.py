import numpy as np
import pytest
from scipy.optimize import nnls
from sklearn.base import clone
from sklearn.decomposition import NMF

from duchenne.learning.synergy import Synergies, activations, choose_rank, factorise, held_out_vaf
from duchenne.sim.errors import InputError, VocabularyError

PLANTED = np.array([[1, 0.8, 0, 0, 0, 0.2, 0], [0, 0, 1, 0.7, 0, 0, 0.1], [0, 0.1, 0, 0, 0.9, 0.3, 1]])


def made(rng, samples=1500, noise=0.02, planted=PLANTED):
    """Smooth bursts of three synergies in seven channels."""
    bursts = np.maximum(rng.normal(size=(samples // 50 + 2, len(planted))), 0)
    times = np.arange(samples) / 50
    played = np.stack([np.interp(times, np.arange(len(bursts)), one) for one in bursts.T], axis=1)
    return np.maximum(played @ planted + noise * rng.normal(size=(samples, planted.shape[1])), 0)


def cosines(one, two):
    one, two = (w / np.linalg.norm(w, axis=-1, keepdims=True) for w in (one, two))
    return one @ two.T


def test_planted_synergies_and_their_number_are_found(rng):
    x = made(rng)
    found = Synergies(least_vaf=0.95).fit(x)
    assert found.rank_ == 3
    assert cosines(found.weights_, PLANTED).max(0).min() > 0.98
    assert np.linalg.norm(found.weights_, axis=1) == pytest.approx(1, abs=1e-5)
    assert found.vaf_by_channel_.min() > 0.9
    rest = x - found.inverse_transform(found.transform(x))
    assert 1 - (rest**2).sum() / (x**2).sum() == pytest.approx(found.vaf_, abs=1e-4)
    energy = (found.activations_**2).sum(0)
    assert (np.diff(energy) <= 1e-3 * energy[0]).all()
    assert (np.diff(found.vaf_curve_) > -1e-6).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_as_exact_as_scikit_learn_at_every_rank(rng):
    """Beyond the planted rank only noise is left to fit, and both stop in one of many local minima."""
    x = np.stack([made(rng, noise=0.15) for _ in range(3)])
    ours = factorise(x, restarts=5).relative_error
    best = np.array([[_reference(one, rank) for rank in range(1, 7)] for one in x])
    ratio = ours[:, :6] / best
    assert ratio[:, :3].max() < 1.001
    assert ratio.mean() < 1.01
    assert ours[:, 6] == pytest.approx(0, abs=1e-6)


def _reference(x, rank):
    fits = (NMF(n_components=rank, init="random", random_state=r).fit(x) for r in range(5))  # pyright: ignore[reportArgumentType]
    return min(fit.reconstruction_err_ for fit in fits) / np.linalg.norm(x)


def test_multiplicative_updates_come_near(rng):
    x = made(rng)[None]
    slow = factorise(x, (3,), restarts=5, updates="multiplicative")
    assert slow.vaf[0, 0] > factorise(x, (3,), restarts=5).vaf[0, 0] - 0.01
    assert cosines(slow.weights[3][0], PLANTED).max(0).min() > 0.95


def test_short_recordings_stand_beside_long_ones_and_batches_do_not_matter(rng):
    long, short = made(rng), made(rng, 400)
    together = factorise([long, short, long[:700]], (2, 3))
    alone = factorise([long, short, long[:700]], (2, 3), batch=2)
    assert together.vaf == pytest.approx(alone.vaf, abs=1e-5)
    fitted = together.weights[3][1]
    rest = short - activations(short, fitted) @ fitted
    assert 1 - (rest**2).sum() / (short**2).sum() == pytest.approx(together.vaf[1, 1], abs=1e-3)
    assert together.restarts[3].shape == (3, 10, 3, 7)


def test_the_unit_of_the_envelope_does_not_matter(rng):
    x = made(rng)
    one, thousand = (factorise(x[None] * unit, (3,)) for unit in (1, 1000))
    assert one.vaf == pytest.approx(thousand.vaf, abs=1e-4)
    assert activations(1000 * x, one.weights[3][0]) == pytest.approx(1000 * activations(x, one.weights[3][0]), rel=1e-3)


def test_activations_are_non_negative_least_squares(rng):
    x, weights = made(rng, 200, noise=0.3), rng.random((5, 7))
    exact = np.array([nnls(weights.T, row)[0] for row in x])
    assert activations(x, weights) == pytest.approx(exact, abs=2e-3)


def test_a_silent_channel_is_no_obstacle(rng):
    x = made(rng)
    x[:, 3] = 0
    found = factorise(x[None])
    assert np.isfinite(found.vaf).all()
    assert found.vaf_by_channel[0, :, 3] == pytest.approx(1, abs=1e-6)


def test_samples_left_out_are_explained_less(rng):
    x = made(rng, noise=0.1)
    hidden = held_out_vaf(x[None], (1, 3, 5), folds=3)
    assert hidden.shape == (1, 3, 3)
    assert (np.diff(hidden.mean(1)[0]) > 0).all()
    assert (hidden.mean((0, 1)) < factorise(x[None], (1, 3, 5)).vaf[0] + 1e-3).all()


def test_the_smallest_rank_that_is_enough_in_every_channel():
    vaf = [0.8, 0.92, 0.97]
    channels = [[0.7, 0.8], [0.6, 0.99], [0.8, 0.99]]
    assert choose_rank((1, 2, 3), vaf, channels) == 3
    assert choose_rank((1, 2, 3), vaf, channels, least_channel=0.5) == 2
    assert choose_rank((3, 1, 2), [0.97, 0.8, 0.92], [[1], [1], [1]]) == 2
    assert choose_rank((1, 2), [0.1, 0.2], [[0.1], [0.2]]) == 2


def test_an_estimator_like_any_other(rng):
    copied: Synergies = clone(Synergies(2, restarts=3, seed=4))  # pyright: ignore[reportAssignmentType]
    fitted = copied.fit(made(rng, 300))
    again = Synergies(2, restarts=3, seed=4).fit(made(np.random.default_rng(0), 300))
    assert fitted.get_params() == again.get_params()
    assert fitted.weights_ == pytest.approx(again.weights_)
    assert fitted.weights_.shape == (2, 7)


@pytest.mark.parametrize(
    ("x", "what", "message"),
    [
        (-np.ones((1, 9, 3)), {}, "negative"),
        (np.full((1, 9, 3), np.nan), {}, "not finite"),
        (np.zeros((1, 9, 3)), {}, "dead"),
        (np.ones((9, 3)), {}, "P, T, C"),
        ([np.ones((9, 3)), np.ones((9, 2))], {}, "same channels"),
        (np.ones((1, 9, 3)), {"ranks": (4,)}, "3 channels"),
        (np.ones((1, 9, 3)), {"restarts": 0}, "restarts"),
    ],
)
def test_what_cannot_be_factorised_is_told(x, what, message):
    with pytest.raises(InputError, match=message):
        factorise(x, **what)


def test_unknown_updates_are_told():
    with pytest.raises(VocabularyError, match="hals, multiplicative"):
        factorise(np.ones((1, 9, 3)), updates="newton")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="same channels"):
        activations(np.ones((9, 3)), np.ones((2, 4)))
