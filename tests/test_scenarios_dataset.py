"""Data sets: Minari reads what was stepped, bit for bit; skipped where Minari is not installed (extra `minari`)."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import duchenne  # noqa: F401  registers the environments
from duchenne.scenarios import dataset as ours
from duchenne.sim.envs import registry
from duchenne.sim.errors import InputError, VocabularyError

minari = pytest.importorskip("minari", reason="needs the extra minari")
h5py = pytest.importorskip("h5py", reason="needs the extra minari")
EXPRESS = "duchenne/Express-v0"


def _loaded(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(folder))
    return minari.load_dataset(name)


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("name", registry.ids())
def test_minari_holds_what_was_stepped(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    width = (gymnasium.spec(name).make().action_space.shape or (0,))[0]
    asked = np.random.default_rng(1).uniform(-1, 1, (3, width)).astype(np.float32)
    seen: list[Mapping[str, np.ndarray]] = []

    def policy(observations: Mapping[str, np.ndarray], step: int) -> np.ndarray:
        seen.append({key: value[0].copy() for key, value in observations.items()})
        return asked[step][None]

    made = ours.record(name, policy, episodes=2, name="test/steps-v3", out=tmp_path, max_episode_steps=3)
    assert "MINARI_DATASETS_PATH" not in os.environ
    read = _loaded("test/steps-v3", tmp_path, monkeypatch)
    assert (read.id, read.total_episodes, read.total_steps) == (made.id, 2, 6)
    for number, episode in enumerate(read.iterate_episodes()):
        np.testing.assert_array_equal(episode.actions, asked)
        assert episode.truncations.tolist() == [False, False, True]
        for key, stored in episode.observations.items():
            assert stored.dtype == np.float32
            np.testing.assert_array_equal(stored[:3], [step[key] for step in seen[3 * number : 3 * number + 3]])
    assert ours.replay(read) == 0


def test_infos_keep_their_names_and_the_terms_their_sum(tmp_path: Path) -> None:
    made = ours.record(EXPRESS, episodes=1, out=tmp_path, max_episode_steps=4)
    episode = made[0]
    terms = episode.infos["reward_terms"]
    assert set(terms) == {"match", "smoothness", "tension"}
    np.testing.assert_allclose(sum(value[1:] for value in terms.values()), episode.rewards, atol=1e-12)
    assert episode.infos["command"].shape == (5, 26)  # the reset's comes first


def test_it_says_what_it_is(tmp_path: Path) -> None:
    made = ours.record(EXPRESS, "babble", episodes=2, seed=3, out=tmp_path, max_episode_steps=4, actions="all")
    told = made.storage.metadata
    assert made.id == "duchenne/express/babble-v0"
    assert told["algorithm_name"] == "babble"
    assert "2 whole episodes of duchenne/Express-v0" in told["description"]
    assert any(line.startswith("mujoco==") for line in told["requirements"])
    assert made.recover_environment(eval_env=True).action_space.shape == (26,)
    seeds = [about["seed"] for about in made.storage.get_episode_metadata(range(2))]
    assert len(set(seeds)) == 2


def test_the_same_seed_gives_the_same_episodes_however_many(tmp_path: Path) -> None:
    few, many, other = (
        ours.record(EXPRESS, episodes=episodes, seed=seed, name=f"{name}-v0", out=tmp_path, max_episode_steps=3)
        for episodes, seed, name in ((1, 5, "few"), (2, 5, "many"), (1, 6, "other"))
    )
    np.testing.assert_array_equal(few[0].actions, many[0].actions)
    np.testing.assert_array_equal(few[0].observations["observation"], many[0].observations["observation"])
    for strange in (many[1], other[0]):
        assert (few[0].actions != strange.actions).all()
        assert (few[0].observations["desired_goal"] != strange.observations["desired_goal"]).any()


def test_babble_holds_its_actions(tmp_path: Path) -> None:
    actions = ours.record(EXPRESS, "babble", episodes=1, out=tmp_path, max_episode_steps=2 * ours.HELD_STEPS)[0].actions
    assert len(np.unique(actions, axis=0)) == 2
    np.testing.assert_array_equal(actions[0], actions[ours.HELD_STEPS - 1])


def test_a_changed_number_is_found(tmp_path: Path) -> None:
    made = ours.record(EXPRESS, episodes=1, out=tmp_path, max_episode_steps=3)
    with h5py.File(Path(made.spec.data_path) / "main_data.hdf5", "r+") as file:
        rewards: Any = file["episode_0/rewards"]
        rewards[1] = np.nextafter(rewards[1], 1)
    assert ours.replay(made) == 1


def test_the_command_reads_back_and_steps_again(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert ours.run("duchenne/SelfModel-v0", episodes=1, out=tmp_path, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["figures"]["arrays_that_differ"] == 0
    assert said["figures"]["steps"] == 250
    assert (tmp_path / said["dataset"] / "data" / "metadata.json").is_file()
    assert not list(tmp_path.glob("tmp*"))


@pytest.mark.parametrize("told", ["argument", "variable"])
def test_folders_may_be_relative(told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("out/sets")
    if told == "variable":
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(folder))
    ours.record(EXPRESS, episodes=1, out=folder if told == "argument" else None, max_episode_steps=1)
    assert _loaded("duchenne/express/random-v0", folder, monkeypatch).total_steps == 1


def test_what_cannot_be_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VocabularyError, match="duchenne/Express-v0"):
        ours.record("duchenne/Impress-v0", out=tmp_path)
    with pytest.raises(VocabularyError, match="babble"):
        ours.record(EXPRESS, "genius", out=tmp_path)
    with pytest.raises(InputError, match="episodes"):
        ours.record(EXPRESS, episodes=0, out=tmp_path)
    with pytest.raises(InputError, match="version"):
        ours.record(EXPRESS, name="express", out=tmp_path)
    ours.record(EXPRESS, episodes=1, out=tmp_path, max_episode_steps=1)
    with pytest.raises(InputError, match="there already"):
        ours.record(EXPRESS, out=tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="folder"):
        ours.record(EXPRESS, out=tmp_path / "file")
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(InputError, match=r"duchenne\[minari\]"):
        ours.record(EXPRESS, out=tmp_path)


def test_names() -> None:
    assert ours.default_name("duchenne/PersonAgedSkin-v0", "random") == "duchenne/person-aged-skin/random-v0"
    kept = ours.numbers_of({"a": 1, "b": {"c": True, "d": "word"}, "e": np.zeros(2), "f": None})
    assert kept.keys() == {"a", "b", "e"}
    assert kept["b"] == {"c": True}
