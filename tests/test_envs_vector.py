"""What vector environments do with bad input, restarts and divergence; that they equal single ones is a law."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import duchenne  # noqa: F401  registers the environments
from duchenne.sim.envs.express import ExpressVector
from duchenne.sim.errors import InputError, PhysicsDiverged


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
    env._world.bodies.faces._fields["qpos"][1, 5] = np.nan
    seen, _, terminated, _, infos = env.step(still)
    assert terminated.tolist() == infos["diverged"].tolist() == [False, True, False]
    truth = calm.step(still)[0]
    for name in seen:
        np.testing.assert_array_equal(seen[name][[0, 2]], truth[name][[0, 2]])
    assert not env.step(still)[2].any()
    calm._world.bodies.faces._fields["qpos"][1, 5] = np.nan
    with pytest.raises(PhysicsDiverged, match="robot 1"):
        calm.step(still)


def test_the_first_reset_is_of_all() -> None:
    env = ExpressVector(2)
    with pytest.raises(InputError, match="reset"):
        env.step(np.zeros((2, 11), np.float32))
    with pytest.raises(InputError, match="first reset"):
        env.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(InputError, match="reset_mask"):
        env.reset(options={"reset_mask": np.array([False, False])})
