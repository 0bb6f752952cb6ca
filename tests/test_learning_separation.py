import numpy as np
import pytest

from duchenne.learning.separation import METHODS, cross_correlation, match, separate
from duchenne.learning.separation_scores import amari_index
from duchenne.sim.errors import InputError, VocabularyError

RATE = 100.0


@pytest.fixture
def mixture(rng):
    """Three supergaussian sources, seen by three channels that mix them."""
    sources = rng.laplace(size=(20_000, 3)) / np.sqrt(2)
    mixing = rng.normal(size=(3, 3)) + 1.5 * np.eye(3)
    return sources, mixing, sources @ mixing.T + [5, -3, 100]


@pytest.mark.parametrize("method", ["fastica", "picard"])
def test_ica_recovers_supergaussian_sources(mixture, method):
    sources, mixing, seen = mixture
    found = separate(seen, method, seed=1)
    assert found.converged
    assert amari_index(found.unmixing, mixing) < 0.03
    alike = np.abs(np.corrcoef(found.sources.T, sources.T)[:3, 3:])
    assert alike.max(axis=0) == pytest.approx(np.ones(3), abs=0.01)


@pytest.mark.parametrize("method", ["pca", "random"])
def test_decorrelation_alone_does_not_separate(mixture, method):
    _, mixing, seen = mixture
    assert amari_index(separate(seen, method, seed=1).unmixing, mixing) > 0.1


def test_nmf_recovers_courses_that_are_sometimes_alone(rng):
    courses = np.maximum(rng.normal(size=(3000, 2)), 0)
    found = separate(courses @ np.array([[1.0, 0.2, 0.4], [0.1, 1.0, 0.5]]), "nmf", components=2)
    assert found.sources.min() >= 0
    assert np.corrcoef(found.sources.T, courses.T)[:2, 2:].max(axis=0) == pytest.approx([1, 1], abs=0.03)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_keeps_its_promises(rng, method):
    seen = np.abs(rng.laplace(size=(2000, 4)) @ rng.normal(size=(4, 4)))
    one, two = (separate(seen, method, components=3, seed=7) for _ in range(2))
    kept = 4 if method == "none" else 3
    assert one.sources.shape == (2000, kept)
    assert one.unmixing.shape == (kept, 4) == one.mixing.T.shape
    np.testing.assert_array_equal(one.sources, two.sources)
    np.testing.assert_allclose(one.unmixing @ one.mixing, np.eye(kept), atol=1e-8)
    assert (one.mixing.sum(axis=0) > 0).all()
    np.testing.assert_allclose(one.apply(seen), one.sources, atol=0.02)
    if method != "none":
        np.testing.assert_allclose(one.sources.std(axis=0), 1)


def test_the_first_unit_takes_the_component_that_both_want(rng):
    smile, cheek, noise = (np.convolve(one, np.hanning(80), "same") for one in rng.normal(size=(3, 6000)))
    courses = np.stack([noise, cheek, smile], axis=1)
    late = int(0.3 * RATE)
    units = {"AU12": np.roll(smile, late), "AU6": np.roll(2 * smile + cheek, late)}
    named = match(courses, units, RATE)
    assert named.component == {"AU12": 2, "AU6": 1}
    assert named.lag_s[2, 0] == pytest.approx(0.3, abs=0.011)
    assert named.correlation[2, 0] > 0.95 > 0.2 > named.noise.max()
    assert match(courses, dict(reversed(units.items())), RATE).component["AU6"] == 2


def test_a_unit_that_never_moves_correlates_with_nothing(rng):
    height, lag = cross_correlation(rng.normal(size=(500, 2)), np.full(500, 0.1), RATE)
    assert height.tolist() == [0, 0]
    assert np.isnan(lag).all()


@pytest.mark.parametrize(
    ("bad", "error", "says"),
    [
        (lambda x: separate(x, "magic"), VocabularyError, "fastica, picard"),
        (lambda x: separate(x, components=5), InputError, "1 … 4"),
        (lambda x: separate(x * np.nan), InputError, "finite"),
        (lambda x: separate(x * [1, 1, 1, 0]), InputError, "dead"),
        (lambda x: separate(x[:, [0, 0]], "fastica"), InputError, "twice"),
        (lambda x: separate(x, "nmf"), InputError, "rectify"),
        (lambda x: separate(x).apply(x[:, :3]), InputError, "4 channels"),
        (lambda x: match(x[:, :1], {"AU12": x[:, 0], "AU6": x[:, 0]}, RATE), InputError, "told apart"),
        (lambda x: cross_correlation(x, x[:-1, 0], RATE), InputError, "follower"),
    ],
)
def test_what_cannot_be_separated_is_refused(rng, bad, error, says):
    with pytest.raises(error, match=says):
        bad(rng.normal(size=(200, 4)))
