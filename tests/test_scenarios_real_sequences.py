import numpy as np
import pytest

from duchenne.scenarios.real_faces import FaceSeries
from duchenne.scenarios.real_sequences import evaluate, figure, lead_ms, rows


def series(rng, name="made/up", kind="points68", noise=0.01):
    """Five smiles of some points, three seconds apart."""
    times = np.arange(75) / 25.0
    share = 1 / (1 + np.exp(-(times - 1) / 0.1)) - 1 / (1 + np.exp(-(times - 2) / 0.1))
    faces = np.tile(share, 5)[:, None] * rng.normal(size=8) + noise * rng.normal(size=(375, 8))
    return FaceSeries(
        name=name, person=name, kind=kind, faces=faces, weight=np.array([1.0] * 6 + [0, 0]),
        unit="1", rest=np.zeros(8), shape=(4, 2),
    )  # fmt: skip


class Copy:
    """Expects that the face stays; keeps what it was shown."""

    def __init__(self, weight):
        self.weight, self.seen = weight, []

    def see(self, time_s, face):
        self.seen.append(np.array(face))

    def target(self):
        return self.seen[-1]


class Halfway(Copy):
    """Knows the smile, and expects half of what is left."""

    goal = np.zeros(8)

    def target(self):
        return self.seen[-1] + 0.5 * (self.goal - self.seen[-1])


def test_copying_has_a_ratio_of_one(rng):
    scores = evaluate([series(rng)], Copy)
    some = scores.at("apex", 5)
    got = figure(some)
    assert (got.ratio, got.low, got.high) == (1, 1, 1)
    assert got.events == 5
    assert np.isnan(got.low_series)
    assert lead_ms(scores) == 0


def test_who_knows_half_of_it_has_half_the_error(rng):
    one = series(rng, noise=1e-6)
    Halfway.goal = one.faces[one.apexes()[0].apex]
    scores = evaluate([one], Halfway)
    assert figure(scores.at("apex", 10)).ratio == pytest.approx(0.5, abs=0.05)
    assert lead_ms(scores) > 400


def test_a_predictor_is_shown_the_past_alone_and_in_order(rng):
    one, made = series(rng), []

    def predictor(weight):
        made.append(Copy(weight))
        return made[-1]

    evaluate([one], predictor)
    assert len(made) == 1
    np.testing.assert_array_equal(made[0].seen, one.faces)
    np.testing.assert_array_equal(made[0].weight, one.weight)


def test_kinds_weigh_alike_in_the_mean_and_by_their_events_when_pooled(rng):
    many = [series(rng, f"made/{k}") for k in range(3)]
    other = series(rng, "video/one", "mesh")
    scores = evaluate([*many, other], Copy)
    better = scores.kind == "mesh"
    scores.predicted[better] *= 0.5
    at = scores.at("arrival", 5)
    assert figure(at).ratio == pytest.approx(0.75)
    assert figure(at, pooled=True).ratio == pytest.approx((15 + 0.5 * 5) / 20)
    assert figure(at).high_series > 0.9  # without the one of its kind nothing is better
    assert {row[2] for row in rows(scores)} == {"mesh", "points68", "all, mean of kinds", "all, by event"}
