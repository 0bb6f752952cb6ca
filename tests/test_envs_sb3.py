"""Stable-Baselines3 takes the environments as they are; skipped where it is not installed (extra `sb3`)."""

import json
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import duchenne  # noqa: F401  registers the environments
from duchenne.scenarios import sb3_example
from duchenne.sim.envs import registry
from duchenne.sim.errors import InputError

sb3 = pytest.importorskip("stable_baselines3", reason="needs the extra sb3")


@pytest.mark.parametrize("name", registry.ids())
def test_its_check_env_has_no_warning(name: str) -> None:
    from stable_baselines3.common.env_checker import check_env  # pyright: ignore[reportMissingImports]

    env = gymnasium.make(name, render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # EMG is bins × channels, which its policies flatten; it advises that environments do so
        warnings.filterwarnings("ignore", message="Your observation emg has an unconventional shape")
        check_env(env.unwrapped)  # it looks for compute_reward on what it is given, which wrappers do not have
    env.close()


@pytest.mark.parametrize("name", ["duchenne/Express-v0", "duchenne/Person-v0"])
def test_stock_ppo_learns_some_steps(name: str) -> None:
    model = sb3.PPO("MultiInputPolicy", name, n_steps=64, batch_size=32, n_epochs=1, seed=0, device="cpu")
    before = [weight.clone() for weight in model.policy.parameters()]
    model.learn(128)
    after = list(model.policy.parameters())
    assert all(bool(weight.isfinite().all()) for weight in after)
    assert any(bool((one != other).any()) for one, other in zip(before, after, strict=True))


def test_hindsight_replay_computes_our_rewards() -> None:
    buffer: Any = sb3.HerReplayBuffer
    env = gymnasium.make("duchenne/Express-v0", max_episode_steps=20)
    model = sb3.SAC(
        "MultiInputPolicy", env, replay_buffer_class=buffer, replay_buffer_kwargs={"n_sampled_goal": 4},
        learning_starts=60, batch_size=32, seed=0, device="cpu",
    )  # fmt: skip
    model.learn(64)
    seen = model.replay_buffer.sample(64)
    of: Any = env.unwrapped
    expected = of.compute_reward(
        seen.next_observations["achieved_goal"].numpy(), seen.next_observations["desired_goal"].numpy(), None
    )
    paid = seen.rewards.numpy().ravel()
    assert (np.abs(paid - expected) < 1e-5).mean() > 0.5  # four of five goals are relabelled, and cost no effort


@pytest.mark.slow
def test_the_example_trains_and_saves_what_loads(tmp_path: Path) -> None:
    model, figures = sb3_example.train(steps=2048, envs=2, out=tmp_path)
    assert figures["steps"] == 2048
    assert np.isfinite(list(figures.values())).all()
    again = sb3.PPO.load(tmp_path / "ppo", device="cpu")
    seen, _ = gymnasium.make("duchenne/Express-v0").reset(seed=1)
    one, other = (m.predict(seen, deterministic=True)[0] for m in (model, again))
    np.testing.assert_array_equal(one, other)


def test_the_example_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "stable_baselines3", None)
    with pytest.raises(InputError, match=r"duchenne\[sb3\]"):
        sb3_example.train(steps=1)


def test_the_example_prints_one_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    figures = {"steps": 1, "return_before": 0.0, "return_after": 1.0}
    monkeypatch.setattr(sb3_example, "train", lambda *_, **__: (None, figures))
    sb3_example.main(out=tmp_path, as_json=True)
    assert json.loads(capsys.readouterr().out)["figures"] == figures
