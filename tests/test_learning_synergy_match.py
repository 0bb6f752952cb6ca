import numpy as np
import pytest

from duchenne.learning.synergy import factorise
from duchenne.learning.synergy_match import align, hulls, loadings, match, match_in_time, overlap, shared_volume
from duchenne.learning.synergy_time import TimeVaryingSynergies, played
from duchenne.sim.errors import InputError

PLANTED = np.array([[1, 0.8, 0, 0, 0, 0.2, 0], [0, 0, 1, 0.7, 0, 0, 0.1], [0, 0.1, 0, 0, 0.9, 0.3, 1]])
TURNED = [2, 0, 1]


def bursts(rng, samples, count=3, every=50):
    points = np.maximum(rng.normal(size=(samples // every + 2, count)), 0)
    return np.stack([np.interp(np.arange(samples) / every, np.arange(len(points)), one) for one in points.T], axis=1)


def test_the_same_synergies_in_another_order_are_paired_beyond_chance(rng):
    theirs = PLANTED[TURNED] * [[3], [1], [0.2]] + 0.05 * rng.random((3, 7))
    found = match(PLANTED, theirs)
    assert [TURNED[j] for j in found.theirs] == found.ours.tolist()
    assert found.similarity.min() > 0.95
    assert found.score.real
    assert found.score.chance < found.score.chance_limit < 0.95
    assert (np.diff(found.similarity) <= 0).all()


def test_random_synergies_are_as_alike_as_chance(rng):
    values = [match(rng.random((3, 7)), rng.random((3, 7)), seed=n).score for n in range(20)]
    assert np.mean([score.real for score in values]) < 0.3
    assert np.mean([score.value - score.chance for score in values]) == pytest.approx(0, abs=0.05)


def test_sets_of_different_size_give_as_many_pairs_as_the_smaller():
    assert sorted(match(PLANTED, PLANTED[:2]).ours) == [0, 1]


def test_people_are_brought_into_one_order(rng):
    orders = np.array([rng.permutation(3) for _ in range(6)])
    people = np.stack([PLANTED[order] + 0.1 * rng.random((3, 7)) for order in orders])
    found = align(people, draws=40)
    named = np.take_along_axis(orders, found.order, axis=1)
    assert (named == named[0]).all()
    assert found.similarity.shape == (3, 15)
    assert all(score.real and score.value > 0.95 for score in found.scores)
    assert np.linalg.norm(found.mean, axis=1) == pytest.approx(1)


def test_restarts_that_agree_have_a_consensus(rng):
    x = np.maximum(bursts(rng, 1200) @ PLANTED + 0.02 * rng.normal(size=(1200, 7)), 0)
    found = align(factorise(x[None], (3,), restarts=6).restarts[3][0], draws=20)
    assert match(found.mean, PLANTED).similarity.min() > 0.95
    assert min(score.value for score in found.scores) > 0.95


def test_a_camera_that_is_late_is_matched_and_its_delay_found(rng):
    rate, late = 50.0, 15
    emg = bursts(rng, 4000, every=60)
    camera = np.roll(emg, late, axis=0)[:, TURNED] + 0.2 * rng.normal(size=emg.shape)
    found = match_in_time(emg, camera, rate)
    assert [TURNED[j] for j in found.theirs] == found.ours.tolist()
    assert found.lag_s == pytest.approx(0.3, abs=0.06)
    assert found.score.real
    assert found.score.value > 0.9 > found.score.chance_limit
    assert match_in_time(camera, emg, rate).lag_s == pytest.approx(-0.3, abs=0.06)
    assert not match_in_time(emg, bursts(np.random.default_rng(9), 4000, every=60), rate).score.value > 0.5


def test_emg_synergies_meet_the_cameras_in_the_space_of_action_units(rng):
    mixing = np.array([[1, 0.1, 0, 0.3], [0, 1, 0, 0.1], [0.2, 0, 1, 0.1]])  # action units × channels
    drawn = np.maximum(rng.normal(size=(2000, 3)), 0)
    carried = loadings(drawn @ mixing, drawn)
    assert carried.shape == (4, 3)
    assert carried.min() >= 0
    camera = np.array([[1, 0.8, 0.0], [0, 0.1, 1]])
    assert match((camera @ mixing) @ carried, camera).similarity.min() > 0.95


def test_hulls_have_the_volume_of_what_they_are(rng):
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    flat = np.c_[rng.random((20, 2)), np.zeros(20)]
    points = np.concatenate([corners, 2 * corners, flat])
    labels = ["cube"] * 8 + ["larger"] * 8 + ["flat"] * 20
    assert hulls(points, labels) == pytest.approx({"cube": 1, "larger": 8, "flat": 0})
    assert shared_volume(corners, corners + [0.5, 0, 0]) == pytest.approx(0.5, rel=1e-6)
    assert shared_volume(corners, corners + 2) == 0
    assert shared_volume(corners, flat) == 0
    assert shared_volume(corners[:, :2], 0.5 * corners[:, :2]) == pytest.approx(0.25, rel=1e-6)


def test_expressions_apart_share_less_than_chance(rng):
    labels = np.repeat(np.tile(["anger", "surprise", "happiness"], 6), 20)
    apart = np.eye(3)[np.searchsorted(["anger", "happiness", "surprise"], labels)] + 0.3 * rng.random((360, 3))
    score = overlap(apart, labels, draws=30)
    assert score.value == pytest.approx(0, abs=1e-6)
    assert score.real
    assert score.chance > 0.2
    assert not overlap(rng.random((360, 3)), labels, draws=30).real


def test_a_course_played_at_any_time_is_found(rng):
    times = np.arange(20)[:, None]
    courses = np.stack(
        [np.exp(-(((times - peaks) / 3) ** 2)) * gains for peaks, gains in (([4, 8, 12, 16], 1), ([15, 5, 9, 2], 0.8))]
    )
    amplitudes, shifts = rng.uniform(0.5, 1.5, (30, 2)), rng.integers(0, 41, (30, 2))
    episodes = np.maximum(played(courses, amplitudes, shifts, 60) + 0.02 * rng.normal(size=(30, 60, 4)), 0)
    found = TimeVaryingSynergies(2, 20, chance_draws=3).fit(episodes)
    assert found.vaf_.value > 0.95
    assert found.vaf_.real
    norms = np.linalg.norm(courses, axis=(1, 2))
    late = [np.roll(courses, by, axis=1) / norms[:, None, None] for by in (-2, -1, 0, 1, 2)]  # a shift is anyone's
    alike = np.max([np.einsum("klc,jlc->kj", found.courses_, one) for one in late], axis=0)
    assert alike.max(0).min() > 0.98
    again = played(found.courses_, found.amplitudes_, found.shifts_, 60)
    assert 1 - ((episodes - again) ** 2).sum() / (episodes**2).sum() == pytest.approx(found.vaf_.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: match(PLANTED, PLANTED[:, :5]), "same channels"),
        (lambda: match(np.full((2, 3), np.nan), PLANTED), "finite"),
        (lambda: align([PLANTED]), "two or more"),
        (lambda: match_in_time(np.ones((100, 2)), np.ones((100, 2)), 5.0), "constant"),
        (lambda: match_in_time(np.eye(50), np.eye(40), 5.0), "clock"),
        (lambda: loadings(np.ones((9, 2)), np.ones((8, 2))), "clock"),
        (lambda: overlap(np.ones((9, 2)), ["a"] * 9), "two labels"),
        (lambda: hulls(np.ones((9, 2)), ["a"] * 8), "labels"),
        (lambda: TimeVaryingSynergies(1, 99).fit(np.ones((2, 9, 3))), "length"),
        (lambda: TimeVaryingSynergies(1, 5).fit(-np.ones((2, 9, 3))), "not negative"),
    ],
)
def test_what_cannot_be_matched_is_told(wrong, message):
    with pytest.raises(InputError, match=message):
        wrong()
