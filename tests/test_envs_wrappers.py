"""Gymnasium's own wrappers run unchanged on every registered environment, and its check of MuJoCo's state."""

from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium import spaces, wrappers
from gymnasium.envs.mujoco.utils import check_mujoco_reset_state
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import SyncVectorEnv
from gymnasium.wrappers import vector as many
from mujoco.batch import Batch

import duchenne  # noqa: F401  registers the environments
from duchenne.sim.envs import registry

pytestmark = pytest.mark.filterwarnings("error::UserWarning")
IDS = registry.ids()
VECTOR_IDS = tuple(name for name in IDS if gymnasium.spec(name).vector_entry_point)
STEPS = 3
_TWO = {"crowd": 2}
"""People take seconds to make; see `test_envs_laws`."""
LOW: Any = np.float32(0)
HIGH: Any = np.float32(1)


@pytest.fixture(params=IDS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def _fewer(name: str) -> dict[str, Any]:
    return _TWO if "Coexpress" in name else {}


def _dressed(name: str, **settings: Any) -> Any:
    """Actions in 0…1, flat observations, statistics."""
    env: Any = gymnasium.make(name, max_episode_steps=STEPS, **_fewer(name), **settings)
    env = wrappers.RescaleAction(env, LOW, HIGH)
    return wrappers.RecordEpisodeStatistics(wrappers.FlattenObservation(env))


def _vector(name: str) -> Any:
    return gymnasium.make_vec(
        name, num_envs=2, vectorization_mode="vector_entry_point", max_episode_steps=STEPS, **_fewer(name)
    )


def _spread(env: Any) -> Any:
    """Actions for one episode in halves and quarters, which rescaling does not round, (STEPS, width)."""
    width = env.action_space.shape[-1]
    return np.random.default_rng(2).choice(np.array([0, 0.25, 0.5, 1], np.float32), (STEPS, width))


def test_a_stack_of_wrappers_changes_no_number(name: str) -> None:
    bare: Any = gymnasium.make(name, **_fewer(name))
    dressed = _dressed(name)
    assert isinstance(dressed.observation_space, spaces.Box)
    truth, seen = ([env.reset(seed=4)] for env in (bare, dressed))
    for action in _spread(dressed):
        truth.append(bare.step(2 * action - 1))
        seen.append(dressed.step(action))
    for expected, got in zip(truth, seen, strict=True):
        np.testing.assert_array_equal(got[0], spaces.flatten(bare.observation_space, expected[0]))
    rewards = [step[1] for step in truth[1:]]
    assert [step[1] for step in seen[1:]] == rewards
    assert [step[2:4] for step in seen[1:]] == [(False, False)] * (STEPS - 1) + [(False, True)]
    episode = seen[-1][-1]["episode"]
    assert episode["r"] == pytest.approx(sum(rewards), abs=1e-6)
    assert episode["l"] == STEPS
    dressed.close()


def test_pictures_are_collected_and_observed(name: str) -> None:
    env: Any = gymnasium.make(name, render_mode="rgb_array", max_episode_steps=STEPS, **_fewer(name))
    env = wrappers.AddRenderObservation(env, render_only=False, render_key="picture")
    seen, _ = env.reset(seed=0)
    assert seen in env.observation_space
    assert seen["picture"].ndim == 3
    assert seen["picture"].std() > 0
    env.close()


def test_an_episode_becomes_a_video(name: str, tmp_path: Path) -> None:
    pytest.importorskip("moviepy", reason="RecordVideo needs moviepy")
    import cv2

    env = wrappers.RecordVideo(_dressed(name, render_mode="rgb_array"), str(tmp_path / "video"), disable_logger=True)
    env.reset(seed=1)
    for action in _spread(env):
        env.step(action)
    picture = env.render()
    env.close()
    (file,) = (tmp_path / "video").glob("*.mp4")
    video: Any = cv2.VideoCapture(str(file))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == STEPS + 1
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(env.metadata["render_fps"])
    assert isinstance(picture, np.ndarray)
    assert (video.get(cv2.CAP_PROP_FRAME_HEIGHT), video.get(cv2.CAP_PROP_FRAME_WIDTH)) == picture.shape[:2]


@pytest.mark.parametrize("name", VECTOR_IDS)
def test_vector_wrappers_do_what_single_ones_do(name: str) -> None:
    env: Any = _vector(name)
    env = many.RescaleAction(env, LOW, HIGH)
    env = many.RecordEpisodeStatistics(many.FlattenObservation(env))
    sync = SyncVectorEnv([lambda: _dressed(name)] * 2)
    assert env.single_observation_space.shape == sync.single_observation_space.shape
    rollouts = [
        [e.reset(seed=3), *(e.step(np.stack([action] * 2)) for action in _spread(env))] for e in (env, sync)
    ]  # fmt: skip
    for one, other in zip(*rollouts, strict=True):
        assert data_equivalence(list(one[:-1]), list(other[:-1]), exact=True)
    info, told = (rollout[-1][-1]["episode"] for rollout in rollouts)
    np.testing.assert_allclose(info["r"], told["r"], atol=1e-6)
    np.testing.assert_array_equal(info["l"], [STEPS, STEPS])
    env.close()
    sync.close()


@pytest.mark.parametrize("name", VECTOR_IDS)
def test_normalising_vector_wrappers_learn_from_it(name: str) -> None:
    env: Any = _vector(name)
    env = many.DictInfoToList(many.NormalizeReward(many.NormalizeObservation(many.FlattenObservation(env))))
    env.reset(seed=3)
    env.action_space.seed(3)
    for _ in range(2 * STEPS + 1):  # across a restart
        seen, rewards, *_, infos = env.step(env.action_space.sample())
        assert np.isfinite(seen).all()
        assert np.isfinite(rewards).all()
        assert len(infos) == 2
    env.close()


class _LikeMujocoEnv(gymnasium.Wrapper):
    """Shows one batch of an environment as `MujocoEnv` shows its model and data."""

    def __init__(self, env: gymnasium.Env, batch: Batch):
        super().__init__(env)
        self._batch = batch

    @property
    def unwrapped(self) -> Any:
        return self

    @property
    def model(self) -> Any:
        return self._batch.get_model(0)

    @property
    def data(self) -> Any:
        return self._batch.get_data(0)


def test_a_reset_puts_the_whole_state_of_mujoco_back(name: str) -> None:
    env = gymnasium.make(name, **_fewer(name))
    env.reset(seed=0)
    for batch in _batches(env.unwrapped, set()):
        like: Any = _LikeMujocoEnv(env, batch)
        check_mujoco_reset_state(like)
        first = _model(like)
        check_mujoco_reset_state(like, seed=7)
        check_mujoco_reset_state(like)
        assert _model(like) == first
    env.close()


def test_every_robot_is_checked_so() -> None:
    env = gymnasium.make("duchenne/Express-v0")
    assert _batches(env.unwrapped, set())


def _model(like: _LikeMujocoEnv) -> bytes:
    """Everything that this robot is made of, which differs between robots and episodes that vary."""
    model = like.model
    buffer = np.zeros(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return buffer.tobytes()


def _batches(owner: Any, seen: set[int]) -> list[Batch]:
    """Every MuJoCo batch that is held by an object of ours, or by what it holds."""
    if id(owner) in seen:
        return []
    seen.add(id(owner))
    if isinstance(owner, Batch):
        return [owner]
    if not type(owner).__module__.startswith("duchenne"):
        return []
    return [batch for held in getattr(owner, "__dict__", {}).values() for batch in _batches(held, seen)]
