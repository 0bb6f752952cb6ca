from types import SimpleNamespace
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import duchenne  # noqa: F401  (registers the environments)
from duchenne.learning.policy import SCRATCH, Learner, Recipe, begin, iterate
from duchenne.learning.policy_clone import Cloning, hindsight
from duchenne.learning.policy_network import Normaliser, Schema, explore, initial, log_density, mean_action
from duchenne.learning.policy_ppo import Ppo, Rollout, advantages
from duchenne.learning.policy_reactive import REST, Reactive, Servoing, rest_motion_mm
from duchenne.learning.policy_rollout import HELD_OUT, held_out_seeds, play, training_seeds
from duchenne.sim.errors import InputError, ModelFileError

EXPRESS = "duchenne/Express-v0"
STEPS = 5


@pytest.fixture(scope="module")
def envs():
    made = gymnasium.make_vec(EXPRESS, num_envs=3, threads=1)
    yield made
    made.close()


@pytest.fixture
def short(envs, monkeypatch):
    """The same environments with episodes that are stepped only a few times."""
    monkeypatch.setattr("duchenne.learning.policy_rollout.episode_steps", lambda envs: STEPS)
    return envs


def bits(learner: Learner):
    state = learner.model, learner.normaliser, learner.optimiser, learner.rewards, learner.errors_mm
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)]


def test_a_resumed_training_gives_the_same_bits(envs, monkeypatch, tmp_path):
    recipe = Recipe(hidden=(8,), cloning=Cloning(episodes=1, steps=1, batch=16), ppo=Ppo(critic_first=1))
    monkeypatch.setattr("duchenne.learning.policy_rollout.episode_steps", lambda envs: STEPS)
    monkeypatch.setattr("duchenne.learning.policy_clone.HOLD_STEPS", 2)
    straight = begin(envs, EXPRESS, seed=3, recipe=recipe)
    for _ in range(4):
        straight = iterate(straight, envs)
    broken = begin(envs, EXPRESS, seed=3, recipe=recipe)
    for _ in range(2):
        broken = iterate(broken, envs)
    envs.step(envs.action_space.sample())  # whatever happens to the environments in between
    again = Learner.load(broken.save(tmp_path / "policy.npz"))
    assert bits(again) == bits(broken)
    for _ in range(2):
        again = iterate(again, envs)
    assert again.iteration == 4
    assert bits(again) == bits(straight)
    assert (again.recipe, again.schema, again.env, again.seed) == (recipe, straight.schema, EXPRESS, 3)


def test_seeds_of_tests_are_never_used_in_training():
    trained = {s for i in (0, 1, 2**32 - 1) for s in training_seeds(0, i, 64)}
    assert len(trained) == 3 * 64
    assert max(trained) < HELD_OUT <= min(held_out_seeds(200))
    assert held_out_seeds(3, 2) == [HELD_OUT + 2, HELD_OUT + 3, HELD_OUT + 4]


def test_the_schema_lays_observations_by_name_and_adds_what_is_missing(envs):
    schema = Schema.of(envs)
    seen, _ = envs.reset(seed=0)
    flat = schema.flat(seen)
    np.testing.assert_array_equal(flat[:, :69], seen["achieved_goal"])
    np.testing.assert_array_equal(flat[:, 69:138], seen["desired_goal"])
    np.testing.assert_array_equal(flat[:, 138:171], seen["observation"])
    np.testing.assert_array_equal(flat[:, 171:], seen["desired_goal"] - seen["achieved_goal"])
    assert flat.shape == (3, schema.width)


@pytest.mark.parametrize(
    "change",
    [lambda o: o.pop("achieved_goal"), lambda o: o.update(observation=o["observation"][:, :-1])],
    ids=["missing", "shape"],
)
def test_other_observations_are_refused(envs, change):
    seen, _ = envs.reset(seed=0)
    change(seen)
    with pytest.raises(InputError, match=r"allowed are n rows of .*'achieved_goal': \(69,\)"):
        Schema.of(envs).flat(seen)


def test_other_spaces_are_refused():
    plain = gymnasium.make_vec("CartPole-v1", num_envs=2)
    with pytest.raises(InputError, match="allowed is a Dict of Boxes"):
        Schema.of(plain)
    seen = gymnasium.spaces.Dict({"observation": gymnasium.spaces.Box(-1, 1, (2,))})
    wide = gymnasium.spaces.Box(-2, 2, (2,))
    with pytest.raises(InputError, match="allowed is a Box from -1 to 1"):
        Schema.of(SimpleNamespace(single_observation_space=seen, single_action_space=wide))


def test_another_environment_does_not_continue_a_training(short):
    learner = begin(short, EXPRESS, recipe=Recipe(hidden=(4,)))
    other = gymnasium.make_vec(EXPRESS, num_envs=1, actions="all")
    with pytest.raises(InputError, match="this learner began with"):
        iterate(learner, other)
    other.close()


def test_only_the_default_autoreset_is_played():
    made = gymnasium.make_vec(EXPRESS, num_envs=1, autoreset_mode="SameStep")
    with pytest.raises(InputError, match="SameStep; allowed is NextStep"):
        play(made, [0], lambda seen, step: np.zeros((1, 11)))
    made.close()


def test_a_file_that_does_not_fit_its_recipe_is_refused(short, tmp_path):
    from dataclasses import replace

    learner = begin(short, EXPRESS, recipe=Recipe(hidden=(4,)))
    path = replace(learner, recipe=Recipe(hidden=(5,))).save(tmp_path / "policy.npz")
    with pytest.raises(ModelFileError, match="do not fit the recipe"):
        Learner.load(path)


def test_a_policy_acts_in_the_space(short):
    policy = begin(short, EXPRESS, recipe=Recipe(hidden=(4,))).policy
    seen, _ = short.reset(seed=0)
    acted = policy(seen)
    assert acted.shape == (3, 11)
    assert (np.abs(acted) <= 1).all()


def rollout(rewards, values, terminated=None, alive=None) -> Rollout:
    rewards = np.array(rewards, np.float32)
    off, on = np.zeros(rewards.shape, bool), np.ones(rewards.shape, bool)
    terminated = off if terminated is None else np.array(terminated)
    empty = np.zeros((*rewards.shape, 1), np.float32)
    return Rollout(
        empty, empty, empty[..., 0], np.array(values, np.float32), rewards, terminated, on if alive is None else alive
    )


def test_advantages_with_lambda_one_are_returns_minus_values():
    rewards, values = [[1.0], [2.0], [3.0]], [[0.3], [0.5], [0.7], [10.0]]
    gained = advantages(rollout(rewards, values), 0.9, 1.0)[:, 0]
    cut_off = 1 + 0.9 * 2 + 0.81 * 3 + 0.729 * 10  # by the clock: the last value counts
    assert gained[0] == pytest.approx(cut_off - 0.3, rel=1e-6)
    ended = advantages(rollout(rewards, values, terminated=[[False], [False], [True]]), 0.9, 1.0)[:, 0]
    assert ended[0] == pytest.approx(1 + 0.9 * 2 + 0.81 * 3 - 0.3, rel=1e-6)


def test_advantages_with_lambda_zero_are_one_step_surprises():
    gained = advantages(rollout([[1.0], [2.0]], [[0.5], [0.25], [4.0]]), 0.5, 0.0)[:, 0]
    np.testing.assert_allclose(gained, [1 + 0.5 * 0.25 - 0.5, 2 + 0.5 * 4 - 0.25])


def test_nothing_after_the_end_counts():
    alive = np.array([[True], [True], [False]])
    ended = [[False], [True], [False]]
    gained = advantages(rollout([[1.0], [1.0], [99.0]], [[0.0]] * 3 + [[50.0]], ended, alive), 1.0, 1.0)[:, 0]
    np.testing.assert_allclose(gained, [2, 1, 0])


def test_the_density_is_the_gaussians():
    mean, log_sd, drawn = jnp.array([0.1, -0.2]), jnp.array([-1.0, 0.3]), jnp.array([0.4, 0.5])
    density = np.exp(-0.5 * ((drawn - mean) / np.exp(log_sd)) ** 2) / np.sqrt(2 * np.pi) / np.exp(log_sd)
    assert float(log_density(mean, log_sd, drawn)) == pytest.approx(np.log(density.prod()), rel=1e-5)


def test_exploration_scatters_about_the_mean():
    schema = Schema((("observation", (2,)),), 3)
    model = initial(jax.random.key(0), schema, (4,), -1.0)
    flat = np.ones((4000, 2), np.float32)
    normaliser = Normaliser(np.zeros(2, np.float32), np.ones(2, np.float32))
    drawn, density, value = explore(model, normaliser, flat, jax.random.key(1))
    np.testing.assert_allclose(drawn.std(0), np.exp(-1.0), rtol=0.05)
    np.testing.assert_allclose(drawn.mean(0), mean_action(model, normaliser, flat)[0], atol=0.03)
    assert density.shape == value.shape == (4000,)


class Counter:
    """A vector environment in which the reward is highest where the action is what is observed."""

    def __init__(self, num_envs: int = 16):
        self.num_envs, self.metadata, self.spec = num_envs, {}, SimpleNamespace(max_episode_steps=8)
        self.single_observation_space = gymnasium.spaces.Dict({"observation": gymnasium.spaces.Box(-1, 1, (1,))})
        self.single_action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def reset(self, seed):
        self.rngs, self.steps = [np.random.default_rng(s) for s in seed], 0
        return self._seen(), {}

    def step(self, actions):
        rewards = -np.abs(actions - self.wanted)[:, 0].astype(float)
        self.steps += 1
        over = np.full(self.num_envs, self.steps == 8)
        return self._seen(), rewards, np.zeros(self.num_envs, bool), over, {}

    def _seen(self):
        self.wanted = np.array([[rng.uniform(-0.9, 0.9)] for rng in self.rngs], np.float32)
        return {"observation": self.wanted}


def test_ppo_learns_to_do_what_it_sees():
    envs = Counter()
    learner = begin(envs, "counter", recipe=Recipe(hidden=(16,), ppo=Ppo(learning_rate=5e-3, discount=0.5)))
    assert np.isnan(iterate(learner, envs).errors_mm).all()
    before = play(envs, held_out_seeds(16), learner.policy).returns.mean()
    for _ in range(30):
        learner = iterate(learner, envs)
    after = play(envs, held_out_seeds(16), learner.policy).returns.mean()
    assert after > 0.4 * before  # less than half of the loss


def test_hindsight_notes_the_face_that_the_command_achieved(envs):
    schema = Schema.of(envs)
    seen = hindsight(envs, schema, seed=0, episodes=1)
    assert seen.states.shape == (3, 100, schema.width)
    assert seen.faces.shape == (3, 4, 69)
    assert seen.commands.shape == (3, 4, 11)
    shown: list[Any] = []
    play(envs, [0, 1, 2], lambda observations, step: seen.commands[:, 0], last=shown.append)
    np.testing.assert_allclose(shown[0]["achieved_goal"], seen.faces[:, 0], atol=0.05)


def test_scripted_control_is_built_on_the_motion_around_rest(envs):
    motion = rest_motion_mm(envs)
    assert motion.shape == (69, 11)
    jaw = motion[:, 10].reshape(23, 3)
    assert jaw[22, 1] < -3  # the jaw lowers the chin
    assert abs(jaw[0]).max() < 0.1  # and leaves the brows alone
    seen, _ = envs.reset(seed=0)
    at_rest = dict(seen, desired_goal=np.zeros((3, 69)))
    np.testing.assert_allclose(Reactive(np.ones((11, 69)))(at_rest), np.tile(REST, (3, 1)))
    there = dict(seen, desired_goal=seen["achieved_goal"])
    np.testing.assert_allclose(Servoing(np.ones((11, 69)))(there), np.tile(REST, (3, 1)), atol=1e-6)


def test_scratch_is_for_any_environment():
    assert SCRATCH.cloning is None
    made = gymnasium.make_vec("duchenne/SelfModel-v0", num_envs=1)
    assert Schema.of(made).has_goal is False
    with pytest.raises(InputError, match="allowed are robots that are to reach faces"):
        hindsight(made, Schema.of(made), seed=0, episodes=1)
    made.close()
