"""Express and SelfModel: goals, rewards, safety, the mirror, and what happens when physics fails."""

from typing import Any

import gymnasium
import numpy as np
import pytest

import duchenne  # noqa: F401  registers the environments
from duchenne.sim.envs.express import Express, Reward, error_mm
from duchenne.sim.envs.goal_faces import goal_command
from duchenne.sim.envs.robot_bodies import RobotBodies
from duchenne.sim.envs.self_model import Mirror, SelfModel
from duchenne.sim.errors import InputError, PhysicsDiverged, VocabularyError
from duchenne.sim.robot.limits import SafeSet


def _units(command: np.ndarray, actions: Any) -> np.ndarray:
    return RobotBodies(1, actions).to_units(command).astype(np.float32)


@pytest.mark.parametrize("actions", ["symmetric", "all"])
def test_a_goal_is_reached_by_its_own_command(actions: Any) -> None:
    env = Express(actions=actions)
    env.reset(seed=3)
    command = goal_command(np.random.Generator(np.random.PCG64(np.random.SeedSequence(3))), actions)
    action, info = _units(command, actions), {}
    for _ in range(25):
        _, _, _, _, info = env.step(action)
    assert info["error_mm"] < 0.02
    assert info["reward_terms"]["match"] > 0.999
    assert info["reward_terms"]["smoothness"] == 0


def test_the_reward_is_the_sum_of_its_terms_and_what_compute_reward_says() -> None:
    env = Express()
    env.reset(seed=0)
    env.action_space.seed(0)
    achieved, desired, rewards, infos = [], [], [], []
    for _ in range(5):
        seen, reward, _, _, info = env.step(env.action_space.sample())
        assert reward == sum(info["reward_terms"][name] for name in ("match", "smoothness", "tension"))
        assert reward == env.compute_reward(seen["achieved_goal"], seen["desired_goal"], info)
        assert env.compute_reward(seen["achieved_goal"], seen["desired_goal"]) == info["reward_terms"]["match"]
        achieved.append(seen["achieved_goal"])
        desired.append(seen["desired_goal"])
        rewards.append(reward)
        infos.append(info)
    np.testing.assert_array_equal(env.compute_reward(np.array(achieved), np.array(desired), infos), rewards)
    match = env.compute_reward(np.array(achieved), np.array(achieved), {})
    np.testing.assert_array_equal(match, np.ones(5))


def test_commands_stay_safe_and_within_what_servos_follow() -> None:
    env, safe = Express(actions="all"), SafeSet.default()
    env.reset(seed=0)
    rng, projected = np.random.default_rng(0), 0
    for _ in range(40):
        _, _, _, _, info = env.step(np.sign(rng.uniform(-1, 1, 26)).astype(np.float32))
        assert safe.contains(info["command"])
        projected += info["projected"]
    assert projected > 0


def test_a_goal_can_be_given() -> None:
    env, goal = Express(), np.linspace(-3, 3, 69)
    seen, info = env.reset(seed=0, options={"goal_mm": goal.reshape(23, 3)})
    np.testing.assert_allclose(seen["desired_goal"], goal, rtol=1e-6)
    assert info["error_mm"] == pytest.approx(float(error_mm(seen["achieved_goal"], goal)), rel=1e-5)
    with pytest.raises(InputError, match="goal_mm"):
        env.reset(options={"goal_mm": goal[:-1]})
    with pytest.raises(InputError, match="goal_mm"):
        env.reset(options={"goal_mm": np.full(69, np.nan)})


def test_settings_come_as_dataclass_or_mapping() -> None:
    assert Express(reward={"match_mm": 2.0})._world._reward == Express(reward=Reward(match_mm=2.0))._world._reward
    with pytest.raises(VocabularyError, match="mach_mm"):
        Express(reward={"mach_mm": 2.0})
    with pytest.raises(InputError, match="smoothness"):
        Reward(smoothness=float("nan"))
    with pytest.raises(VocabularyError, match="symmetric"):
        Express(actions="some")


def test_divergence_raises_or_ends_the_episode(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes a log where it warns
    for what in ("raise", "terminate"):
        env = Express(on_divergence=what)
        env.reset(seed=0)
        env._world.bodies.faces._fields["qpos"][0, 5] = np.nan
        if what == "raise":
            with pytest.raises(PhysicsDiverged, match="reset"):
                env.step(np.zeros(11, np.float32))
        else:
            seen, reward, terminated, truncated, info = env.step(np.zeros(11, np.float32))
            assert (terminated, truncated, info["diverged"]) == (True, False, True)
            assert seen in env.observation_space
            assert np.isfinite(reward)
        env.reset(seed=0)
        env.step(np.zeros(11, np.float32))


def test_the_mirror_is_late_slow_and_noisy_as_asked() -> None:
    action = np.full(26, 0.4, np.float32)

    def seen(mirror: dict[str, float]) -> np.ndarray:
        env = SelfModel(mirror=mirror)
        rows = [env.reset(seed=1)[0]["landmarks"]]
        rows += [env.step(action)[0]["landmarks"] for _ in range(8)]
        return np.array(rows)

    truth = seen({})
    np.testing.assert_array_equal(seen({"delay_steps": 2})[2:], truth[:-2])
    np.testing.assert_array_equal(seen({"every_steps": 4})[[3, 4, 7, 8]], truth[[0, 4, 4, 8]])
    off = seen({"noise_mm": 0.5}) - truth
    assert 0.4 < off.std() < 0.6
    with pytest.raises(InputError, match="mirror"):
        Mirror(delay_steps=-1)


def test_stock_wrappers_run_unchanged() -> None:
    env = gymnasium.make("duchenne/Express-v0")
    env = gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.wrappers.FlattenObservation(env))
    env = gymnasium.wrappers.RescaleAction(env, np.float32(0), np.float32(1))
    seen, _ = env.reset(seed=0)
    assert seen.shape == (3 * 11 + 2 * 69,)
    steps = [env.step(np.full(11, 0.5, np.float32)) for _ in range(100)]
    _, _, _, truncated, info = steps[-1]
    assert truncated
    assert info["episode"]["l"] == 100
