"""Laws that every registered environment keeps; a new id is tested by existing."""

import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.mujoco.utils import check_mujoco_reset_state
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import duchenne  # noqa: F401  registers the environments
from duchenne.sim.envs import registry
from duchenne.sim.errors import InputError, VocabularyError

IDS = registry.ids()
_TWO = {"crowd": 2}
"""People take seconds to make, and two of them are somebody else as well as eight."""


def _fewer(name: str) -> dict[str, Any]:
    return _TWO if "Coexpress" in name else {}


@pytest.fixture(params=IDS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def env(name: str) -> Iterator[gymnasium.Env]:
    env = gymnasium.make(name, **_fewer(name))
    yield env
    env.close()


def _rollout(env: gymnasium.Env, steps: int = 6) -> list[Any]:
    env.action_space.seed(5)
    seen: list[Any] = [env.reset(seed=11)]
    for _ in range(steps):
        seen.append(env.step(env.action_space.sample()))
    seen.append(env.reset())
    return seen


@pytest.mark.parametrize("order", ["duchenne, gymnasium", "gymnasium, duchenne", "gymnasium.wrappers"])
def test_ids_are_registered_in_any_order_of_imports_and_nothing_is_loaded(order: str) -> None:
    find = "list(map(gymnasium.spec, ('duchenne/Express-v0', 'duchenne/SelfModel-v0')))"
    code = f"import sys, {order}, duchenne; {find}; assert 'mujoco' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    light = "import sys, duchenne; assert not {'gymnasium', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", light], check=True)


def test_check_env_has_nothing_to_say(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(name, **_fewer(name)).unwrapped)  # renders in every mode and closes twice, too


def test_seeded_rollouts_are_equal_bit_for_bit(name: str) -> None:
    first, second = (gymnasium.make(name, **_fewer(name)) for _ in range(2))
    assert data_equivalence(_rollout(first), _rollout(second), exact=True)
    assert data_equivalence(_rollout(first), _rollout(second), exact=True)  # whatever went before


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_the_vector_environment_equals_single_ones_bit_for_bit(name: str, mode: AutoresetMode) -> None:
    count, steps, spec = 4, 3, gymnasium.spec(name)
    sync = SyncVectorEnv(
        [partial(gymnasium.make, name, max_episode_steps=steps, **_fewer(name))] * count, autoreset_mode=mode
    )
    make_vector: Any = load_env_creator(str(spec.vector_entry_point))
    vector = make_vector(count, max_episode_steps=steps, autoreset_mode=mode, **{**spec.kwargs, **_fewer(name)})
    assert vector.observation_space == sync.observation_space
    assert vector.action_space == sync.action_space
    sync.action_space.seed(0)
    wishes = [sync.action_space.sample() for _ in range(8)]
    mask = np.array([True, False, True, True])
    for env, seen in ((sync, alone := []), (vector, together := [])):
        seen.append(env.reset(seed=7))
        seen += [env.step(wish) for wish in wishes]
        seen.append(env.reset(seed=[3, None, None, 4], options={"reset_mask": mask}))
        seen += [env.step(wish) for wish in wishes]
        env.close()
    for one, many in zip(alone, together, strict=True):
        assert data_equivalence(list(one), list(many), exact=True)


def test_gymnasium_finds_the_same_physics_after_the_same_seed(env: Any) -> None:
    if hasattr(env.unwrapped, "model"):
        check_mujoco_reset_state(env)


def test_spec_survives_json(env: gymnasium.Env) -> None:
    assert env.spec is not None
    again = EnvSpec.from_json(env.spec.to_json())
    assert again == env.spec
    made = gymnasium.make(again)
    assert made.observation_space == env.observation_space
    made.close()


def test_pickling_gives_the_same_environment(env: gymnasium.Env) -> None:
    copy = pickle.loads(pickle.dumps(env.unwrapped))
    assert data_equivalence(_rollout(env.unwrapped), _rollout(copy), exact=True)


def test_spaces_are_finite_float32(env: gymnasium.Env) -> None:
    assert isinstance(env.observation_space, gymnasium.spaces.Dict)
    assert isinstance(env.action_space, gymnasium.spaces.Box)
    for space in (env.action_space, *env.observation_space.values()):
        assert isinstance(space, gymnasium.spaces.Box)
        assert space.dtype == np.float32
        assert np.isfinite([space.low, space.high]).all()


def test_episodes_are_truncated_at_their_last_step(env: gymnasium.Env) -> None:
    assert env.spec is not None
    assert env.spec.max_episode_steps is not None
    env.reset(seed=0)
    env.action_space.seed(0)
    action = env.action_space.sample()
    for step in range(env.spec.max_episode_steps):
        _, reward, terminated, truncated, _ = env.step(action)
        assert np.isfinite(float(reward))
        assert not terminated
        assert truncated == (step + 1 == env.spec.max_episode_steps)


def test_bad_actions_are_named(env: gymnasium.Env) -> None:
    env.reset(seed=0)
    good = np.zeros(env.action_space.shape or (), np.float32)
    for value in (np.nan, np.inf, 1.5):
        bad = good.copy()
        bad[3] = value
        with pytest.raises(InputError, match=r"action\[3"):
            env.step(bad)
    with pytest.raises(InputError, match="shape"):
        env.step(good[:-1])
    env.step(good)  # a refused action leaves the environment as it was


def test_unknown_options_and_modes_are_named(env: gymnasium.Env) -> None:
    with pytest.raises(VocabularyError, match="colour"):
        env.reset(options={"colour": 1})
    make: Any = type(env.unwrapped)
    with pytest.raises(VocabularyError, match="rgb_array"):
        make(render_mode="ansi")


def test_no_picture_without_a_render_mode(env: gymnasium.Env) -> None:
    env.reset(seed=0)
    assert env.unwrapped.render() is None
    env.close()
    env.close()
