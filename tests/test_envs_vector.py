"""The vector environment of Express equals as many single ones, bit for bit, across restarts."""

from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import duchenne  # noqa: F401  registers the environments
from duchenne.sim.envs.express_vector import ExpressVector
from duchenne.sim.errors import InputError, PhysicsDiverged

COUNT, STEPS = 3, 4
_make = partial(gymnasium.make, "duchenne/Express-v0", max_episode_steps=STEPS)


def _rollout(env: Any, actions: Any, steps: int = 11) -> list[Any]:
    seen: list[Any] = [env.reset(seed=7)]
    seen += [env.step(a) for a in actions[:steps]]
    mask = np.array([True, False, True])
    seen.append(env.reset(seed=[3, None, None], options={"reset_mask": mask}))
    seen += [env.step(a) for a in actions[:steps]]
    return seen


@pytest.mark.parametrize("actions", ["symmetric", "all"])
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_equals_single_environments_bit_for_bit(mode: AutoresetMode, actions: Any) -> None:
    sync = SyncVectorEnv([partial(_make, actions=actions)] * COUNT, autoreset_mode=mode)
    vector = ExpressVector(COUNT, max_episode_steps=STEPS, autoreset_mode=mode, actions=actions)
    assert vector.observation_space == sync.observation_space
    assert vector.action_space == sync.action_space
    shape = (11, COUNT, *(sync.single_action_space.shape or ()))
    wishes = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    for one, many in zip(_rollout(sync, wishes), _rollout(vector, wishes), strict=True):
        assert data_equivalence(list(one), list(many), exact=True)


def test_make_vec_takes_it_and_declares_its_mode() -> None:
    env: Any = gymnasium.make_vec("duchenne/Express-v0", num_envs=2)
    assert isinstance(env.unwrapped, ExpressVector)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    seen, _ = env.reset(seed=0)
    assert seen in env.observation_space
    steps = [env.step(np.zeros(env.action_space.shape, np.float32)) for _ in range(100)]
    assert steps[-1][3].all()
    env.close()
    env.close()


def test_bad_actions_and_early_steps_are_named() -> None:
    env = ExpressVector(2, max_episode_steps=1, autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=0)
    bad = np.zeros((2, 11), np.float32)
    bad[1, 3] = np.nan
    with pytest.raises(InputError, match=r"action\[1, 3"):
        env.step(bad)
    with pytest.raises(InputError, match="shape"):
        env.step(bad[:, :5])
    env.step(np.zeros((2, 11), np.float32))
    with pytest.raises(InputError, match="reset"):
        env.step(np.zeros((2, 11), np.float32))


def test_one_diverged_robot_ends_its_own_episode_alone(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes a log where it warns
    still = np.zeros((3, 11), np.float32)
    env, calm = ExpressVector(3, on_divergence="terminate"), ExpressVector(3)
    env.reset(seed=0)
    calm.reset(seed=0)
    env._bodies._fields["qpos"][1, 5] = np.nan
    seen, _, terminated, _, infos = env.step(still)
    assert terminated.tolist() == infos["diverged"].tolist() == [False, True, False]
    truth = calm.step(still)[0]
    for name in seen:
        np.testing.assert_array_equal(seen[name][[0, 2]], truth[name][[0, 2]])
    assert not env.step(still)[2].any()
    calm._bodies._fields["qpos"][1, 5] = np.nan
    with pytest.raises(PhysicsDiverged, match="robots 1"):
        calm.step(still)
