"""Person: an environment that Gymnasium's checker accepts, whose goals her muscles reach and a palsy spoils."""

import copy
import json
import pickle
import warnings
from types import SimpleNamespace

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env, data_equivalence

from duchenne.sim.envs import person
from duchenne.sim.envs.person import PersonEnv
from duchenne.sim.envs.person_goals import Goals, given_goal, pattern, reachable
from duchenne.sim.envs.registry import ENVIRONMENTS
from duchenne.sim.errors import DuchenneError, InputError, VocabularyError
from duchenne.sim.person import moment
from duchenne.sim.person.anatomy import MUSCLES, muscle_index
from duchenne.sim.person.person import AU_NAMES, Person
from duchenne.sim.person.repertoire import excite, unit_index

SMILE = AU_NAMES.index("AU12, right"), AU_NAMES.index("AU12, left")


def make(name: str = "duchenne/Person-v0", **options) -> gymnasium.Env:
    return gymnasium.make(EnvSpec(name, **copy.deepcopy(dict(ENVIRONMENTS[name]))), **options)


def action_for(words: str) -> np.ndarray:
    return (2 * excite(pattern(words)[None])[0] - 1).astype(np.float32)


def body_of(who: int) -> moment.Body:
    """Kept from test to test."""
    return person.body_of(who, (), "proximal7", "wired active")


def held(env: PersonEnv, words: str, steps: int = 50):
    env.reset(seed=0, options={"goal": words})
    return [env.step(action_for(words)) for _ in range(steps)][-1]


def test_gymnasium_has_no_complaint_about_other_people_and_synergies():
    """`test_envs_laws` checks every id."""
    env = make(people="sampled", crowd=2, synergies=np.eye(48)[:4].tolist(), observe=["activation", "emg"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.parametrize("options", [{}, {"people": "sampled", "crowd": 2, "observe": ["activation", "emg"]}])
def test_the_same_seed_is_the_same_episode(options):
    one, two = make(**options), make(**options)
    for seed in (3, None):
        assert data_equivalence(one.reset(seed=seed), two.reset(seed=seed), exact=True)
        one.action_space.seed(0)
        for _ in range(6):
            action = one.action_space.sample()
            assert data_equivalence(one.step(action), two.step(action), exact=True)


def test_a_smile_reaches_the_goal_of_a_smile():
    observation, reward, terminated, truncated, info = held(PersonEnv(), "AU12")
    assert min(observation["achieved_goal"][list(SMILE)]) > 0.95
    assert info["is_success"] == 1
    assert reward > 0.9
    assert not terminated
    assert not truncated


@pytest.mark.parametrize("words", ["happiness", "surprise", "fear", "R12+L14", "45"])
def test_what_muscles_are_meant_for_they_reach(words):
    assert held(PersonEnv(), words)[-1]["distance"] < 0.05


def test_a_palsy_takes_the_right_side_away():
    achieved = held(PersonEnv(condition="palsy"), "AU12")[0]["achieved_goal"]
    right, left = achieved[list(SMILE)]
    assert left > 0.95
    assert right < 0.4


def test_emg_leads_what_is_seen_and_grows_with_effort():
    env = PersonEnv(emg="expected")
    rest = env.reset(seed=0)[0]
    first = env.step(action_for("AU12"))[0]
    channel = int(first["observation"][:7].argmax())
    assert env.observation_names[channel].startswith("EMG, ")
    later = [env.step(action_for("AU12"))[0] for _ in range(20)][-1]
    assert first["observation"][channel] > 5 * rest["observation"][channel]
    assert first["observation"][channel] == pytest.approx(later["observation"][channel])
    assert first["achieved_goal"][SMILE[0]] < 0.3 < later["achieved_goal"][SMILE[0]]
    half = env.step(np.float32(0.5 * (action_for("AU12") + 1) - 1))[0]
    assert 0.2 < half["observation"][channel] / later["observation"][channel] < 0.9


def test_measured_emg_scatters_about_the_expected(rng):
    action = action_for("AU12")
    drawn, exact = PersonEnv(observe=["emg"]), PersonEnv(observe=["emg"], emg="expected")
    for env in (drawn, exact):
        env.reset(seed=1)
    seen = np.array([drawn.step(action)[0]["observation"] for _ in range(300)], float)
    expected = exact.step(action)[0]["observation"]
    np.testing.assert_allclose(np.sqrt((seen**2).mean(0)), expected, rtol=0.1)
    assert (seen.std(0) / expected > 0.05).all()


def test_expected_amplitudes_are_those_of_the_emg_model():
    person, body = Person(), body_of(-1)
    wanted = excite(pattern("6+12")[None])[0]
    shown = moment.step(body, moment.init(body), wanted.astype(np.float32))[1]
    driven = person.traits.excite(1 - (1 - person.habits.tone) * (1 - wanted))
    closed = person.emg(person.wear("proximal7")).rms_uv(driven)
    np.testing.assert_allclose(np.sqrt(np.asarray(shown.power_uv2).sum(0)), closed, rtol=1e-3)


def test_moments_make_up_the_motion_that_a_recording_shows():
    """Against the physics of `Person.move`, at the end of every step."""
    person, body = Person.sample(1), body_of(1)
    drives = [excite(pattern(words)[None])[0] for words in ("AU12", "1+2+26", "45")]
    state, faces = moment.init(body), []
    for wanted in drives:
        for _ in range(4):
            state, shown = moment.step(body, state, wanted.astype(np.float32))
            faces.append(np.asarray(shown.vertices_m))
    rest = np.zeros((1, len(MUSCLES)))
    course = np.concatenate([rest, np.repeat(drives, 20, axis=0)])
    meant = 1 - (1 - person.habits.tone) * (1 - course)
    behaviour = SimpleNamespace(excitation=meant, au=np.zeros((len(course), len(AU_NAMES) // 2, 2)))
    motion = person.move(behaviour, moment.CONTROL_HZ)  # type: ignore[arg-type]
    expected = motion.vertices_m(np.arange(5, 61, 5) / moment.CONTROL_HZ)
    np.testing.assert_allclose(faces, expected, atol=2e-5)


def test_many_people_at_once_are_each_by_herself():
    bodies = [body_of(0), body_of(1)]
    together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *bodies)
    wanted = jnp.asarray(excite(np.stack([pattern("happiness"), pattern("anger")])), jnp.float32)
    _, shown = jax.vmap(moment.step)(together, jax.vmap(moment.init)(together), wanted)
    for place, body in enumerate(bodies):
        alone = moment.step(body, moment.init(body), wanted[place])[1]
        for one, many in zip(alone, shown, strict=True):
            np.testing.assert_allclose(one, many[place], rtol=1e-4, atol=1e-6)


def test_symmetric_muscles_and_synergies_are_ways_to_say_the_same():
    smile = excite(pattern("AU12")[None])[0]
    symmetric, synergy = PersonEnv(muscles="symmetric"), PersonEnv(synergies=smile[None].tolist())
    assert symmetric.action_space.shape == (24,)
    assert synergy.action_space.shape == (1,)
    np.testing.assert_allclose(symmetric.excitation(action_for("AU12")[::2]), smile, atol=1e-6)
    np.testing.assert_allclose(synergy.excitation([1.0]), smile, atol=1e-6)
    np.testing.assert_allclose(PersonEnv().excitation(action_for("AU12")), smile, atol=1e-6)
    assert not synergy.excitation([-1.0]).any()


def test_reward_is_computed_anew_from_goals_and_info(rng):
    env = PersonEnv()
    env.reset(seed=2)
    steps = [env.step(env.action_space.sample()) for _ in range(4)]
    achieved, desired = (np.stack([step[0][key] for step in steps]) for key in ("achieved_goal", "desired_goal"))
    many = env.compute_reward(achieved, desired, [step[-1] for step in steps])
    np.testing.assert_allclose(many, [step[1] for step in steps])
    assert env.compute_reward(achieved[0], desired[0], steps[0][-1]) == pytest.approx(steps[0][1])
    assert (env.compute_reward(desired, desired) == 1).all()
    assert env.compute_reward(achieved.reshape(2, 2, -1), desired.reshape(2, 2, -1)).shape == (2, 2)


def test_people_differ_between_episodes_and_are_kept():
    env = PersonEnv(people="sampled", crowd=2)
    people = {env.reset(seed=seed)[1]["person"] for seed in range(12)}
    assert people == {0, 1}
    before = person.body_of.cache_info().misses
    env.reset(seed=1)
    assert person.body_of.cache_info().misses == before
    assert env.reset(options={"person": "mean"})[1]["person"] == -1


def test_drawn_goals_are_action_units_and_reachable(rng):
    for goals in ("expressions", "units", ["AU12", "fear"]):
        drawn = np.array([Goals(goals).draw(rng) for _ in range(30)])
        assert drawn.dtype == np.float32
        assert ((drawn >= 0) & (drawn <= 1)).all()
        assert (drawn.max(1) > 0.1).all()
    same = Goals("units", both_sides=True).draw(rng).reshape(-1, 2)
    np.testing.assert_array_equal(same[:, 0], same[:, 1])


def test_a_unit_by_itself_reads_as_it_was_meant():
    for number in (1, 4, 6, 12, 20, 26, 27, 45):
        read = reachable(0.6 * pattern(f"AU{number}")).reshape(-1, 2)[unit_index(number)]
        np.testing.assert_allclose(read, 0.6, atol=1e-6)
    alone = np.zeros(len(MUSCLES))
    alone[muscle_index("zygomaticus major", "left")] = 1
    right, left = moment.units_of(alone)[unit_index(12)]
    assert right == 0
    assert left > 0.85  # helpers count little


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (np.zeros(24), r"shape \(24,\)"),
        (np.where(np.arange(48) == 5, np.nan, 0.0), r"action\[5 \("),
        (np.where(np.arange(48) == 47, 1.5, 0.0), r"action\[47 \("),
        ("smile", "action"),
    ],
)
def test_a_bad_action_is_named(action, says):
    env = PersonEnv()
    env.reset(seed=0)
    with pytest.raises(InputError, match=says):
        env.step(action)


@pytest.mark.parametrize(
    "call",
    [
        lambda: PersonEnv(muscles="some"),  # type: ignore[arg-type]
        lambda: PersonEnv(synergies=np.ones((2, 24))),
        lambda: PersonEnv(synergies=np.full((2, 48), np.nan)),
        lambda: PersonEnv(observe=["camera"]),  # type: ignore[list-item]
        lambda: PersonEnv(observe=[]),
        lambda: PersonEnv(people="nobody"),
        lambda: PersonEnv(people=-1),
        lambda: PersonEnv(condition="cold"),
        lambda: PersonEnv(montage="nowhere"),
        lambda: PersonEnv(quality="golden"),
        lambda: PersonEnv(goals="AU99"),
        lambda: PersonEnv(goals=[]),
        lambda: PersonEnv(reward={"beauty": 1.0}),
        lambda: PersonEnv(reward={"match": 0.0}),
        lambda: PersonEnv(control_hz=26),
        lambda: PersonEnv(render_mode="human"),
        lambda: PersonEnv().reset(options={"target": 1}),
        lambda: PersonEnv().step(np.zeros(48)),
        lambda: given_goal(np.full(48, 1.1)),
        lambda: given_goal(np.zeros(3)),
    ],
)
def test_bad_options_are_one_clear_error(call):
    with pytest.raises(DuchenneError) as caught:
        call()
    assert isinstance(caught.value, InputError | VocabularyError)
    assert len(str(caught.value)) > 20


def test_specs_survive_json_and_environments_pickling():
    env = make("duchenne/PersonPalsy-v0", synergies=np.eye(48)[:3].tolist())
    assert env.spec is not None
    again = gymnasium.make(EnvSpec.from_json(json.loads(json.dumps(env.spec.to_json()))))
    twin = pickle.loads(pickle.dumps(env.unwrapped))
    action = np.array([1, 0, -1], np.float32)
    for one in (env, again, twin):
        one.reset(seed=5)
    steps = [one.step(action) for one in (env, again, twin)]
    assert data_equivalence(steps[0], steps[1], exact=True)
    assert data_equivalence(steps[0], steps[2], exact=True)


def test_she_can_be_looked_at():
    env = PersonEnv(render_mode="rgb_array", width_px=96, height_px=96)
    env.reset(seed=0)
    calm = env.render()
    for _ in range(10):
        env.step(action_for("12+25"))
    smiling = env.render()
    assert calm is not None
    assert smiling is not None
    assert smiling.shape == (96, 96, 3)
    assert smiling.dtype == np.uint8
    assert np.abs(smiling.astype(int) - calm).max() > 20
    env.close()
    env.close()
    assert PersonEnv().render() is None
