"""Coexpress: somebody's take, how she is seen and heard, and what the robot is rewarded for."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

from duchenne.sim.envs import partner as partners
from duchenne.sim.envs.coexpress import Coexpress, CoexpressVector, CoexpressWorld, apexes, robot_reach
from duchenne.sim.envs.express import error_mm
from duchenne.sim.envs.lens import OCCLUSIONS, REGIONS, Camera, region_of
from duchenne.sim.envs.partner import CALLED, LEAD_S, STEPS_HZ, Partner, Take
from duchenne.sim.envs.robot_bodies import LANDMARKS
from duchenne.sim.envs.wearable import BIN_SAMPLES, RATE_HZ, Wearable
from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.person.person import Person

PERFECT = Camera(delay_s=0.0, jitter_mm=0.0, drift_mm=0.0, own_gain=0.0, tracker=False)


def _rngs(*seeds: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in seeds]


@pytest.fixture(scope="module")
def take() -> Take:
    return Partner(people=1, wearable=Wearable()).takes(_rngs(5))[0]


def test_a_take_depends_on_its_random_numbers_only(take: Take) -> None:
    many = Partner(people=1, wearable=Wearable(), threads=2).takes(_rngs(3, 4, 5))
    for name in ("moved_mm", "pictures_mm", "coordinates", "emg_uv", "acts_s"):
        np.testing.assert_array_equal(getattr(take, name), getattr(many[2], name))
        assert not np.array_equal(getattr(many[0], name), getattr(many[2], name))


def test_she_does_the_same_whether_or_not_she_wears_electrodes(take: Take) -> None:
    bare = Partner(people=1, picture_hz=30.0).takes(_rngs(5))[0]
    assert bare.emg_uv is None
    np.testing.assert_allclose(bare.moved_mm, take.moved_mm, atol=1e-4)


def test_a_take_moves_as_person_move_does() -> None:
    partner = Partner(people=1)
    take = partner.takes(_rngs(2))[0]
    rng = np.random.default_rng(2)
    rng.integers(8)
    acts, person = np.random.default_rng(rng.integers(2**63, size=3)[0]), Person.sample(1)
    done, _ = person.behave(partners._script(acts, LEAD_S, LEAD_S + 4.0), acts, STEPS_HZ, duration_s=561 / STEPS_HZ)
    places, rest = list(LANDMARKS), np.asarray(person.face.rest)
    moved = person.move(done, STEPS_HZ).vertices_m(partner.frames_s + LEAD_S)[:, places] - rest[places]
    scale = np.abs(take.moved_mm).max() / np.abs(1e3 * moved).max()
    assert 0.7 < scale < 1.4  # her size
    np.testing.assert_allclose(take.moved_mm, 1e3 * scale * moved.reshape(len(moved), -1), atol=0.06)


def test_she_begins_neutral_and_does_something(take: Take) -> None:
    assert error_mm(take.moved_mm[0], np.zeros(69)) < 0.05
    assert error_mm(take.moved_mm, 0 * take.moved_mm).max() > 0.5
    assert take.expression[0] == 0
    assert take.expression.max() < len(CALLED)
    assert (take.acts_s[:, 0] > 0).all()


def test_electrodes_hear_her_before_the_skin_moves(take: Take) -> None:
    wearable, frames_s = Wearable(delay_s=0.0), np.arange(101) / 25
    assert take.emg_uv is not None
    heard = wearable.windows(take.emg_uv, frames_s + LEAD_S)
    assert heard.shape == (101, *wearable.shape)
    np.testing.assert_array_equal(heard[1:, :-1], heard[:-1, 1:])  # newest last
    lids = [LANDMARKS.index(place) for place in (159, 145, 386, 374)]  # they blink
    moved = np.delete(take.moved_mm.reshape(101, 23, 3), lids, axis=1)
    loud, moving = heard[:, -1].mean(-1), np.linalg.norm(moved, axis=-1).mean(-1)
    alike = [np.corrcoef(loud[10 : 91 - lead], moving[10 + lead : 91])[0, 1] for lead in range(6)]
    assert max(alike) > 0.8
    assert alike[1] > alike[0]  # a frame is 40 ms


def test_windows_know_nothing_of_the_future() -> None:
    emg = np.random.default_rng(0).normal(0, 50, (1000, 2))
    cut = emg.copy()
    cut[500:] = 0
    for heard in ("rms", "raw"):
        wearable = Wearable(heard=heard, delay_s=0.02)
        for late in (0.0, 0.02):
            known, knowable = (wearable.windows(x, np.array([0.5 + late])) for x in (emg, cut))
            np.testing.assert_array_equal(known, knowable)
        assert (wearable.windows(emg, np.array([0.53])) != wearable.windows(cut, np.array([0.53]))).any()
    np.testing.assert_allclose(Wearable(heard="raw", delay_s=0.1).windows(emg, np.array([0.6]))[0], emg[300:500] / 100)


def test_rms_is_that_of_a_tone_in_the_band() -> None:
    tone = 100 * np.sin(2 * np.pi * 100 * np.arange(1000) / RATE_HZ)[:, None]
    np.testing.assert_allclose(Wearable().windows(tone, np.array([0.9])), np.sqrt(0.5), rtol=0.02)
    assert BIN_SAMPLES == 40


def test_noise_of_electrodes_is_that_of_the_preset() -> None:
    wearable = Wearable(quality="dry wearable", montage="distal4")
    worn = wearable.worn
    noise = np.concatenate([wearable.noise_uv(worn, 2000, rng) for rng in _rngs(*range(60))])
    contacts = np.abs(worn.derivation).sum(1).max()
    expected = 2.0 * np.sqrt(contacts * 500 / 480) * np.exp(0.5**2)  # log-normal spread of 0.5
    assert noise.std(0).max() == pytest.approx(expected, rel=0.2)
    assert not Wearable(quality="clean").noise_uv(worn, 100, *_rngs(0)).any()


def test_a_perfect_camera_sees_the_truth_and_a_late_one_later() -> None:
    true = np.random.default_rng(0).normal(size=(20, 69))
    seen, flags = PERFECT.see(true, *_rngs(0))
    np.testing.assert_allclose(seen, true, rtol=1e-6)
    assert flags.all()
    late = Coexpress(people=1, camera={**vars(PERFECT), "delay_s": 0.12})
    prompt = Coexpress(people=1, camera=vars(PERFECT))
    courses = [[env.reset(seed=0)[0]["landmarks"]] for env in (late, prompt)]
    for env, course in zip((late, prompt), courses, strict=True):
        course += [env.step(np.zeros(11))[0]["landmarks"] for _ in range(30)]
    np.testing.assert_array_equal(courses[0][3:], courses[1][:-3])


def test_the_tracker_is_off_by_what_it_says() -> None:
    camera = Camera(own_gain=0.0, jitter_mm=0.3, drift_mm=0.4)
    seen = np.stack([camera.see(np.zeros((50, 69)), rng)[0] for rng in _rngs(*range(100))])
    assert seen.std() == pytest.approx(0.5, rel=0.03)
    faithful = replace(camera, jitter_mm=0.0, drift_mm=0.0).see(np.ones((2, 69)), *_rngs(0))[0][0].reshape(23, 3)
    assert (faithful[:, 2] < 0.4).all()  # of depth it guesses
    assert (np.abs(faithful[:6, 1] - 1) < 0.1).all()  # brows upwards it follows


@pytest.mark.parametrize("occlusion", OCCLUSIONS)
def test_what_is_covered_keeps_its_last_value(occlusion: str) -> None:
    true = np.cumsum(np.ones((5000, 69)), axis=0)
    open_, _ = Camera().see(true, *_rngs(3))
    for covered in (1.0, 0.4):
        seen, flags = Camera(occlusion=occlusion, covered=covered).see(true, *_rngs(3))
        shown = np.repeat(flags[:, region_of()] > 0, 3, axis=1)
        np.testing.assert_array_equal(seen[shown], open_[shown])
        np.testing.assert_array_equal(seen[1:][~shown[1:]], seen[:-1][~shown[1:]])
        hidden = [region in OCCLUSIONS[occlusion] for region in REGIONS]
        assert (flags.mean(0)[~np.array(hidden)] == 1).all()
        assert (np.abs(flags.mean(0)[hidden] - (1 - covered)) < 0.08).all()


def test_apexes_are_those_of_the_nearest_act() -> None:
    frames_s, target = np.arange(10) / 2, np.zeros((10, 69))
    target[2], target[7] = 2.0, -3.0
    found = apexes(target, np.array([[0.5, 1.5], [3.0, 4.0]]), frames_s)
    np.testing.assert_array_equal(found[:5], np.full((5, 69), 2.0))
    np.testing.assert_array_equal(found[5:], np.full((5, 69), -3.0))


def test_a_robot_that_shows_the_target_is_in_time_and_one_that_stands_still_is_not() -> None:
    world = CoexpressWorld(1, people=1)
    ids, rngs = np.array([0]), _rngs(1)
    world.restart(ids, rngs, {})
    perfect, still = [], []
    for _ in range(100):
        world.advance(ids, np.zeros((1, 11)), rngs)
        for shown, into in ((world.target_mm(ids), perfect), (np.zeros((1, 69)), still)):
            world.landmarks_mm[:] = shown
            into.append(world.info(ids))
    terms = {name: np.array([one["reward_terms"][name][0] for one in perfect]) for name in world.terms}
    assert (terms["match"] == 1).all()
    np.testing.assert_allclose(terms["simultaneity"], 0, atol=1e-12)
    hers = np.array([one["intensity_person"][0] for one in still])
    assert hers.max() == pytest.approx(1)
    cost = [one["reward_terms"]["simultaneity"][0] for one in still]
    np.testing.assert_allclose(cost, -0.5 * hers**2)


def test_targets_lie_within_the_robots_reach() -> None:
    low, high = robot_reach("symmetric")
    world = CoexpressWorld(2, people=1)
    world.restart(np.arange(2), _rngs(1, 2), {})
    target = world.target_mm(np.arange(2))
    assert ((target >= low) & (target <= high)).all()
    assert high.reshape(23, 3)[10, 1] > 5  # corners of the mouth rise
    assert low.reshape(23, 3)[22, 1] < -10  # the jaw opens


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_many_do_what_each_would_do_alone(mode: str) -> None:
    kwargs: dict[str, Any] = {"crowd": 2, "emg": "rms", "camera": {"no_face": 0.2, "occlusion": "eyes", "covered": 0.5}}
    many = CoexpressVector(3, max_episode_steps=4, threads=2, autoreset_mode=mode, **kwargs)
    alone = [Coexpress(**kwargs) for _ in range(3)]
    rng = np.random.default_rng(0)
    seen, info = many.reset(seed=7)
    expected = [env.reset(seed=7 + i) for i, env in enumerate(alone)]
    for step in range(11):
        for i, (observation, said) in enumerate(expected):
            assert data_equivalence({key: value[i] for key, value in seen.items()}, observation, exact=True)
            assert info["person"][i] == said["person"]
            assert info["intensity_robot"][i] == said["intensity_robot"]
        actions = rng.uniform(-1, 1, (3, 11)).astype(np.float32)
        seen, rewards, _, truncated, info = many.step(actions)
        period = 5 if mode == "NextStep" else 4
        if (step + 1) % period == 0:
            expected = [env.reset() for env in alone]
            continue
        results = [env.step(action) for env, action in zip(alone, actions, strict=True)]
        np.testing.assert_array_equal(rewards, [one[1] for one in results])
        expected = [(one[0], one[4]) for one in results]
        assert (truncated == (step % period == 3)).all()
    many.close()


def test_people_differ_and_can_be_chosen() -> None:
    env = Coexpress(crowd=2)
    assert len({env.reset(seed=seed)[1]["person"] for seed in range(8)}) == 2
    assert env.reset(seed=0, options={"person": "mean"})[1]["person"] == -1
    assert env.reset(seed=0, options={"person": 1})[1]["person"] == 1
    palsied = Partner(people=1, condition="palsy").takes(_rngs(5))[0]
    assert not np.allclose(palsied.moved_mm, Partner(people=1).takes(_rngs(5))[0].moved_mm, atol=0.1)


@pytest.mark.parametrize(
    ("wrong", "error", "word"),
    [
        ({"people": "nobody"}, VocabularyError, "sampled"),
        ({"people": -2}, InputError, "numbers from 0"),
        ({"crowd": 0}, InputError, "crowd"),
        ({"seconds": np.nan}, InputError, "seconds"),
        ({"condition": "flu"}, VocabularyError, "palsy"),
        ({"camera": {"occlusion": "nose"}}, VocabularyError, "mouth"),
        ({"camera": {"delay_s": 9.0}}, InputError, "delay_s"),
        ({"camera": {"hz": np.nan}}, InputError, "hz"),
        ({"camera": {"colour": 1}}, VocabularyError, "occlusion"),
        ({"emg": "loud"}, VocabularyError, "rms"),
        ({"emg": "rms", "quality": "best"}, VocabularyError, "dry wearable"),
        ({"emg": "rms", "montage": "hat"}, VocabularyError, "distal4"),
        ({"emg": "rms", "emg_delay_s": -1.0}, InputError, "emg_delay_s"),
        ({"reward": {"simultaneity": -1.0}}, InputError, "simultaneity"),
    ],
)
def test_settings_that_are_not_allowed_are_named(wrong: dict[str, Any], error: type[Exception], word: str) -> None:
    with pytest.raises(error, match=word):
        Coexpress(**wrong)
