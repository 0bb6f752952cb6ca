import numpy as np
import pytest

from duchenne.learning import separation_scores as scores
from duchenne.learning.separation import separate
from duchenne.sim.errors import InputError


def noise(rng, count, samples=8000):
    return rng.laplace(size=(samples, count))


def test_amari_is_zero_up_to_order_and_scale_and_one_when_all_is_mixed(rng):
    mixing = rng.normal(size=(4, 4))
    order = np.diag([2.0, -1, 0.1, 30])[[2, 0, 3, 1]]
    assert scores.amari_index(order @ np.linalg.inv(mixing), mixing) == pytest.approx(0, abs=1e-9)
    assert scores.amari_index(np.eye(4), np.ones((4, 4))) == pytest.approx(1)
    assert scores.amari_index(np.eye(2), [[1, 0.5], [0, 1]]) == pytest.approx(0.25)


def test_amari_of_a_random_unmixing_is_at_chance_and_of_ica_is_not(rng):
    mixing = rng.normal(size=(4, 4))
    seen = noise(rng, 4) @ mixing.T
    wild = [scores.amari_score(separate(seen, "random", seed=s).unmixing, mixing, rng) for s in range(20)]
    assert np.mean([one.value for one in wild]) == pytest.approx(np.mean([one.chance for one in wild]), abs=0.05)
    assert sum(one.real for one in wild) <= 3
    found = scores.amari_score(separate(seen, "picard").unmixing, mixing, rng)
    assert found.real
    assert found.value < 0.1 < found.chance_limit < found.chance


def test_amari_of_fewer_components_than_sources(rng):
    mixing = np.hstack([np.eye(2), 0.1 * np.ones((2, 1))])
    assert 0 < scores.amari_index(np.eye(2), mixing) < scores.amari_index(rng.normal(size=(2, 2)), mixing)


def test_sdr_is_the_ratio_that_was_mixed_in(rng):
    truth = noise(rng, 2)
    truth -= truth.mean(0)
    truth[:, 1] -= truth[:, 0] * (truth[:, 0] @ truth[:, 1]) / (truth[:, 0] @ truth[:, 0])
    hum = rng.normal(size=len(truth))
    hum -= hum.mean()
    hum -= truth @ np.linalg.lstsq(truth, hum, rcond=None)[0]
    power = lambda x: x @ x  # noqa: E731
    hum *= np.sqrt(power(truth[:, 0]) / power(hum))
    leak = truth[:, 1] * np.sqrt(power(truth[:, 0]) / power(truth[:, 1]))
    seen = np.stack([truth[:, 1], -5 * (truth[:, 0] + 0.1 * leak + 0.3 * hum)], axis=1)
    found = scores.distortion(seen, truth)
    assert found.component.tolist() == [1, 0]
    assert found.sdr_db[0] == pytest.approx(10 * np.log10(1 / (0.01 + 0.09)))
    assert found.sir_db[0] == pytest.approx(20)
    assert found.sar_db[0] == pytest.approx(10 * np.log10(1.01 / 0.09))
    assert (found.sdr_db[1], found.sar_db[1]) == pytest.approx((120, 120))


def test_sdr_and_activation_of_noise_are_at_chance(rng):
    truth, said = noise(rng, 2), noise(rng, 3)
    assert not scores.sdr_score(said, truth, rng).real
    assert not scores.activation_score(np.abs(said), np.abs(truth), rng).real
    assert scores.sdr_score(truth + 0.5 * said[:, :2], truth, rng).real


def test_activations_are_found_whatever_their_order_and_gain(rng):
    truth = np.maximum(noise(rng, 3), 0)
    courses = truth[:, [2, 0, 1]] * [3, 1, 9] + 5
    score = scores.activation_score(courses, truth, rng)
    assert score.value == pytest.approx(1)
    assert score.chance < 0.05
    assert score.real


def test_muscles_are_found_where_channels_are_next_to_them_and_not_far_away(rng):
    truth = rng.gamma(0.6, size=(10, 3))
    near, far = np.eye(10) + 0.05, np.ones((10, 10)) + 1e-3 * rng.random((10, 10))
    close = scores.muscle_score(near @ truth, near, truth, rng, draws=50)
    assert close.value == pytest.approx(1)
    assert close.real
    noisy = far @ truth * (1 + 0.02 * rng.normal(size=(10, 3)))
    distant = scores.muscle_score(noisy, far, truth, rng, draws=50)
    assert distant.value < 0.8
    assert not distant.real


def test_explained_variance_cannot_see_wrong_sources(rng):
    mixing = rng.normal(size=(4, 4))
    seen = noise(rng, 4) @ mixing.T
    for method in ("random", "picard"):
        found = separate(seen, method)
        assert scores.explained(seen, found.sources, found.mixing) == pytest.approx(1)


def test_the_strongest_muscles_are_the_true_sources(rng):
    waves = noise(rng, 3, 4000) * [1, 10, 5]
    gains = np.array([[1.0, 2], [0.5, 0.1], [-3, 1]])
    parts = waves[:, :, None] * gains
    parts[:, 1, 1] = rng.normal(size=4000)
    truth = scores.true_sources(parts, ("a", "b", "c"), 2)
    assert truth.names == ("c", "b")
    assert truth.share[0] == pytest.approx(1)
    assert truth.share[1] < 0.99
    np.testing.assert_allclose(truth.courses[:, [0]] * truth.mixing[:, 0], (parts - parts.mean(0))[:, 2], atol=1e-9)
    np.testing.assert_allclose(truth.courses.std(axis=0), 1)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (lambda: scores.amari_index(np.eye(3), np.eye(2)), "does not fit"),
        (lambda: scores.amari_index(np.ones((1, 2)), np.eye(2)), "two sources"),
        (lambda: scores.distortion(np.ones((99, 1)), np.ones((99, 2))), "cannot estimate"),
        (lambda: scores.distortion(np.ones((99, 2)), np.ones((98, 2))), "of one T"),
        (lambda: scores.activation_correlation(np.full((99, 2), np.nan), np.ones((99, 2))), "finite"),
        (lambda: scores.muscle_cosine(np.ones((3, 2)), np.ones((3, 5)), np.ones((4, 2))), "do not fit"),
        (lambda: scores.true_sources(np.zeros((99, 2, 3)), ("a", "b"), 1), "heard"),
    ],
)
def test_what_cannot_be_scored_is_refused(bad, says):
    with pytest.raises(InputError, match=says):
        bad()
