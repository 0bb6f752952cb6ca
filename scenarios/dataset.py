"""`duchenne dataset`: episodes of an environment, recorded as a Minari data set (extra `minari`).

Every episode is kept with the seed that it began from, so that what is stored can be stepped again and compared.
"""

import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..sim.errors import InputError, VocabularyError
from . import console

if TYPE_CHECKING:
    from gymnasium.spaces import Box
    from minari import MinariDataset

Act = Callable[[Mapping[str, np.ndarray], int], np.ndarray]
"""What to do: observations with an axis of environments in front, here of length 1, and the number of the step in;
actions (1, width) out."""
HELD_STEPS = 12
"""Steps for which `babble` stays at one action, half a second at 25 Hz."""
REQUIRED = ("duchenne", "gymnasium", "mujoco", "jax", "numpy")
"""Packages on whose versions the recorded numbers depend."""
_NAME = re.compile(r"([-_\w]+/)*[-_\w]+-v\d+")
_UNTOLD = r"`(code_permalink|author|author_email)` is set to None"


def record(
    env_id: str,
    policy: str | Act = "random",
    *,
    episodes: int = 20,
    seed: int = 0,
    name: str | None = None,
    algorithm: str | None = None,
    out: Path | None = None,
    tell: Callable[[int], None] = lambda done: None,
    **settings: Any,
) -> "MinariDataset":
    """Play episodes to their end and store observations, actions, rewards, ends and the numbers of every info.

    Args:
        env_id: any registered id.
        policy: one of `POLICIES`, or a function, which sees the number of the step start at 0 with each episode.
        seed: of all that is random; episode k is the same however many there are.
        name: what Minari shall call it, `duchenne/express/random-v0` by default.
        algorithm: what made the actions, the policy's name by default.
        out: folder of data sets; by default Minari's own, `MINARI_DATASETS_PATH` or `~/.minari/datasets`.
        tell: is told how many episodes are done.
        settings: arguments of the environment.

    The data set is written when all episodes are over. Raises `VocabularyError` for an unknown environment or policy,
    `InputError` without Minari, for a name that Minari does not take and for one that exists.
    """
    minari = _minari()
    begin, called = _policy(policy)
    name = name or default_name(env_id, called)
    with _datasets_in(out), _made(env_id, settings) as made:
        _check_new(minari, name)
        if episodes < 1:
            raise InputError(f"episodes: got {episodes}; allowed are whole numbers from 1")
        collector = minari.DataCollector(made, _callback(minari), record_infos=True, data_format="hdf5")
        try:
            for episode in range(episodes):
                start, moves = np.random.SeedSequence([seed, episode]).generate_state(2)
                _play(collector, begin(made.action_space, np.random.default_rng(moves)), int(start))
                tell(episode + 1)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", _UNTOLD)
                return collector.create_dataset(
                    name,
                    eval_env=made.spec,
                    algorithm_name=algorithm or called,
                    description=_description(env_id, called, episodes, seed, settings),
                    requirements=[f"{package}=={version(package)}" for package in REQUIRED],
                )
        finally:
            collector.close()


def replay(dataset: "MinariDataset") -> int:
    """Step the stored actions again from the stored seeds; how many of the stored arrays are not the same bit for bit.

    An array is all steps of one part of one episode: an observation's, the rewards, an info's.
    """
    import jax

    differ = 0
    with dataset.recover_environment() as env:
        told = dataset.storage.get_episode_metadata(dataset.episode_indices)
        for episode, about in zip(dataset.iterate_episodes(), told, strict=True):
            first = env.reset(seed=about["seed"])
            steps = [env.step(action) for action in episode.actions]
            seen, rewards, terminated, truncated, infos = zip(
                (first[0], 0.0, False, False, first[1]), *steps, strict=True
            )
            again = [
                jax.tree.map(lambda *rows: np.stack(rows), *rows) for rows in (seen, list(map(numbers_of, infos)))
            ] + [np.array(values[1:]) for values in (rewards, terminated, truncated)]
            stored = [
                episode.observations, episode.infos, episode.rewards, episode.terminations, episode.truncations
            ]  # fmt: skip
            differ += sum(jax.tree.leaves(jax.tree.map(_unlike, again, stored)))
    return differ


def run(
    env_id: str,
    *,
    policy: str = "random",
    episodes: int = 20,
    seed: int = 0,
    name: str | None = None,
    out: Path | None = None,
    as_json: bool = False,
) -> int:
    """Record, read back and step again; see `duchenne dataset --help`. Returns the exit code, 1 if anything differs."""
    start = time.perf_counter()
    with console.progress() as bar:
        task = bar.add_task(f"recording {env_id}", total=episodes)
        dataset = record(
            env_id, policy, episodes=episodes, seed=seed, name=name, out=out,
            tell=lambda done: bar.update(task, completed=done),
        )  # fmt: skip
    wall_s = time.perf_counter() - start
    with _datasets_in(out):
        dataset = _minari().load_dataset(dataset.id)
    returns = [float(episode.rewards.sum()) for episode in dataset.iterate_episodes()]
    figures = {
        "episodes": dataset.total_episodes,
        "steps": dataset.total_steps,
        "mean_return": float(np.mean(returns)),
        "steps_per_s": dataset.total_steps / wall_s,
        "arrays_that_differ": replay(dataset),
        "size_mb": sum(file.stat().st_size for file in Path(dataset.spec.data_path).rglob("*")) / 1e6,
    }
    console.table("duchenne dataset", ("figure", ""), [(n.replace("_", " "), v) for n, v in figures.items()])
    folder = "" if out is None else f"MINARI_DATASETS_PATH={out} "
    console.console.print(f"\nlook at it with: {folder}minari show {dataset.id}", highlight=False, soft_wrap=True)
    if as_json:
        console.emit(figures, dataset=dataset.id, folder=Path(dataset.spec.data_path).parent)
    return int(figures["arrays_that_differ"] > 0)


def default_name(env_id: str, policy: str) -> str:
    """`duchenne/PersonPalsy-v0` and `random` make `duchenne/person-palsy/random-v0`."""
    bare = re.sub(r"-v\d+$", "", env_id)
    return f"{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '-', bare).lower()}/{policy}-v0"


def numbers_of(info: Mapping[str, Any]) -> dict[str, Any]:
    """What of an info Minari can hold: numbers, arrays of numbers, and mappings of these."""
    kept: dict[str, Any] = {}
    for key, value in info.items():
        if isinstance(value, Mapping):
            kept[key] = numbers_of(value)
        elif np.asarray(value).dtype.kind in "biuf":
            kept[key] = value
    return kept


def _random(space: "Box", rng: np.random.Generator) -> Act:
    return lambda seen, step: rng.uniform(space.low, space.high)[None]


def _babble(space: "Box", rng: np.random.Generator) -> Act:
    now = rng.uniform(space.low, space.high)

    def act(seen: Mapping[str, np.ndarray], step: int) -> np.ndarray:
        nonlocal now
        if step and step % HELD_STEPS == 0:
            now = rng.uniform(space.low, space.high)
        return now[None]

    return act


POLICIES: Mapping[str, Callable[["Box", np.random.Generator], Act]] = MappingProxyType(
    {"random": _random, "babble": _babble}
)
"""`random`: another uniform action every step. `babble`: each is held for `HELD_STEPS`, so that it is reached."""


def _policy(policy: str | Act) -> tuple[Callable[["Box", np.random.Generator], Act], str]:
    """What begins an episode, and what it is called."""
    if callable(policy):
        return lambda space, rng: policy, "policy"
    if policy not in POLICIES:
        raise VocabularyError(f"policy: got {policy!r}; allowed: {', '.join(POLICIES)}")
    return POLICIES[policy], policy


def _play(env: Any, act: Act, seed: int) -> None:
    seen, _ = env.reset(seed=seed)
    for step in count():
        action = act({key: value[None] for key, value in seen.items()}, step)[0]
        seen, _, terminated, truncated, _ = env.step(np.asarray(action, env.action_space.dtype))
        if terminated or truncated:
            return


def _minari() -> Any:
    try:
        import h5py  # noqa: F401  Minari needs it, and finds out late
        import minari
    except ImportError as error:
        raise InputError("minari is not installed, which data sets need: pip install 'duchenne[minari]'") from error
    return minari


def _callback(minari: Any) -> Any:
    class Numbers(minari.StepDataCallback):
        def __call__(self, env: Any, **step: Any) -> Any:
            data = super().__call__(env, **step)
            return {**data, "info": numbers_of(data["info"])}

    return Numbers


@contextmanager
def _datasets_in(folder: Path | None) -> Iterator[None]:
    """Minari's folder for the time being: it knows no other way to be told, and loses its files in a relative one."""
    key = "MINARI_DATASETS_PATH"
    before = os.environ.get(key)
    wanted = folder or before
    if wanted is not None:
        os.environ[key] = str(Path(wanted).absolute())
    try:
        yield
    finally:
        os.environ.pop(key, None)
        if before is not None:
            os.environ[key] = before


@contextmanager
def _made(env_id: str, settings: Mapping[str, Any]) -> Iterator[Any]:
    import gymnasium

    from ..sim.envs.registry import ids, register_all

    register_all()
    try:
        gymnasium.spec(env_id)
    except gymnasium.error.Error as error:
        raise VocabularyError(f"environment {env_id!r} is unknown; duchenne has: {', '.join(ids())}") from error
    env = gymnasium.make(env_id, **settings)
    try:
        yield env
    finally:
        env.close()


def _check_new(minari: Any, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InputError(f"name: got {name!r}; allowed are names as duchenne/express/random-v0, with a version")
    try:
        folder = minari.storage.get_dataset_path(name)
    except OSError as error:
        raise InputError(f"cannot make the folder of data sets: {error}; choose another") from error
    if folder.exists():
        raise InputError(f"data set {name} is there already, in {folder}; give another name or version, or delete it")


def _description(env_id: str, policy: str, episodes: int, seed: int, settings: Mapping[str, Any]) -> str:
    made = "".join(f", {key}={value!r}" for key, value in settings.items())
    return (
        f"{episodes} whole episodes of {env_id}{made}, actions by policy '{policy}', seed {seed}. Every episode's "
        "metadata hold the seed of its reset: from there its actions give the stored numbers again bit for bit. Infos "
        "hold the numbers of every info, the reset's first. Names, order and units: duchenne's docs/envs.md."
    )


def _unlike(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype != other.dtype or one.shape != other.shape or one.tobytes() != other.tobytes()


__all__ = ["HELD_STEPS", "POLICIES", "REQUIRED", "Act", "default_name", "numbers_of", "record", "replay", "run"]
