"""Policies for the environments: trained from scratch or from a clone, saved, and resumed bit for bit.

    learner = begin(envs, "duchenne/Express-v0", seed=0)
    for _ in range(20):
        learner = iterate(learner, envs)
    learner.save("policy.npz")

A `Learner` is the whole state of a training. Every iteration resets the environments with seeds of its own and is one
episode of each, so two iterations, a save and a load, and two more give the same bits as four.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..sim.errors import InputError, ModelFileError
from . import policy_ppo
from .checkpoint import Checkpoint, load, save
from .policy_clone import Cloning, clone, hindsight
from .policy_network import ActorCritic, Normaliser, Schema, explore, initial, mean_action
from .policy_ppo import Ppo, Rollout
from .policy_rollout import Episodes, play, training_seeds

KIND = "policy"
_BEFORE = 2**32 - 1
"""Number of the episodes with random actions that the normaliser is measured on; no iteration has it."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a policy is trained."""

    hidden: tuple[int, ...] = (128, 128)
    log_sd: float = -0.5
    """Log SD of the actions at the start, in units of the action."""
    cloning: Cloning | None = None
    """Learn from hindsight before the first iteration; only for robots that are to reach faces."""
    ppo: Ppo = field(default_factory=Ppo)


SCRATCH = Recipe()
"""For any environment."""
CLONED = Recipe(log_sd=-3.5, cloning=Cloning(), ppo=Ppo(discount=0.95, entropy=0.0, learning_rate=2e-5, critic_first=3))
"""For robots that are to reach faces: cloned first."""


@dataclass(frozen=True, eq=False)
class Policy:
    """What acts: a model, the normaliser of its observations and their schema."""

    schema: Schema
    model: ActorCritic
    normaliser: Normaliser

    def __call__(self, observations: Mapping[str, np.ndarray], step: int = 0) -> np.ndarray:
        """Actions (n, actions) in −1…1 for observations of n environments, without exploring.

        Raises `InputError` for observations of another schema.
        """
        del step
        return np.asarray(mean_action(self.model, self.normaliser, self.schema.flat(observations)))


@dataclass(frozen=True, eq=False)
class Learner:
    """The state of a training."""

    env: str
    """Id of the environment."""
    schema: Schema
    recipe: Recipe
    seed: int
    """With the iteration, all there is of randomness: every draw comes from these two."""
    iteration: int
    """How many are done."""
    model: ActorCritic
    normaliser: Normaliser
    optimiser: Any
    rewards: np.ndarray
    """Mean reward of a step, (looks + iteration,): at each look while cloning, then, exploring, in each iteration."""
    errors_mm: np.ndarray
    """Mean landmark error likewise; NaN where the environment does not tell it."""

    @property
    def looks(self) -> int:
        """How many of the curves' points are of the cloning."""
        return len(self.rewards) - self.iteration

    @property
    def policy(self) -> Policy:
        """What has been learnt so far."""
        return Policy(self.schema, self.model, self.normaliser)

    def save(self, path: str | Path) -> Path:
        """Write a checkpoint to resume from. Raises `ModelFileError`."""
        arrays = {name: np.asarray(leaf) for name, leaf in _leaves(self._state)}
        arrays |= {"rewards": self.rewards, "errors_mm": self.errors_mm}
        about = {
            "env": self.env,
            "observation": [[name, list(shape)] for name, shape in self.schema.shapes],
            "actions": self.schema.actions,
            "recipe": asdict(self.recipe),
            "seed": self.seed,
            "iteration": self.iteration,
        }
        units = {name: "mm" if name == "errors_mm" else "1" for name in arrays}
        return save(path, Checkpoint(kind=KIND, arrays=arrays, units=units, about=about))

    @classmethod
    def load(cls, path: str | Path) -> "Learner":
        """Read what `save` wrote. Raises `ModelFileError` for another file."""
        stored = load(path, KIND)
        about: Mapping[str, Any] = stored.about
        try:
            recipe = _recipe(about["recipe"])
            schema = Schema(tuple((n, tuple(s)) for n, s in about["observation"]), about["actions"])
            empty = _empty(about["env"], schema, recipe, about["seed"])
            names = [name for name, _ in _leaves(empty._state)]
            leaves = [stored.arrays[name] for name in names]
            wanted = [np.asarray(leaf) for _, leaf in _leaves(empty._state)]
            # a single number is stored as an array of one
            if any(
                np.atleast_1d(w).shape != s.shape or w.dtype != s.dtype for w, s in zip(wanted, leaves, strict=True)
            ):
                raise ModelFileError(f"{path}: the arrays do not fit the recipe that is stored with them; train anew")
            state = jax.tree.unflatten(
                jax.tree.structure(empty._state),
                [jax.numpy.asarray(s).reshape(w.shape) for w, s in zip(wanted, leaves, strict=True)],
            )
            return empty._with(
                *state,
                iteration=int(about["iteration"]),
                rewards=stored.arrays["rewards"],
                errors_mm=stored.arrays["errors_mm"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{path} lacks a part of a policy ({error!r}); train anew") from error

    @property
    def _state(self) -> tuple[ActorCritic, Normaliser, Any]:
        return self.model, self.normaliser, self.optimiser

    def _with(self, model: ActorCritic, normaliser: Normaliser, optimiser: Any, **more: Any) -> "Learner":
        return replace(self, model=model, normaliser=normaliser, optimiser=optimiser, **more)


def begin(
    envs: Any,
    env: str,
    *,
    seed: int = 0,
    recipe: Recipe = SCRATCH,
    progress: Progress = lambda stage, done, total: None,
) -> Learner:
    """A learner before its first iteration: observations measured and, if the recipe says so, cloned.

    envs: a made vector environment, `env` its id. Raises `InputError` if it cannot be learnt, or not cloned.
    """
    learner = _empty(env, Schema.of(envs), recipe, seed)
    key = jax.random.fold_in(jax.random.key(seed), _BEFORE)
    if recipe.cloning is None:
        return learner._with(learner.model, _measured(envs, learner), learner.optimiser)
    cloning = recipe.cloning
    seen = hindsight(
        envs, learner.schema, seed, cloning.episodes, lambda done, total: progress("babbling", done, total)
    )
    normaliser = seen.normaliser(learner.schema)
    curves: list[tuple[float, float]] = []

    def watch(model: ActorCritic, done: int) -> None:
        policy = Policy(learner.schema, model, normaliser)
        played = play(envs, training_seeds(seed, _BEFORE, envs.num_envs), policy)
        curves.append((float(played.rewards.sum() / played.alive.sum()), _error_mm(played)))
        progress("cloning", done, cloning.steps)

    model = clone(learner.model, normaliser, learner.schema, seen, key, cloning, watch)
    rewards, errors_mm = np.array(curves).reshape(-1, 2).T
    return learner._with(model, normaliser, policy_ppo.start(model, recipe.ppo), rewards=rewards, errors_mm=errors_mm)


def iterate(learner: Learner, envs: Any) -> Learner:
    """One episode of every environment, and one update from it.

    Raises `InputError` if the environments' spaces are not those that the learner began with.
    """
    if Schema.of(envs) != learner.schema:
        raise InputError(f"environments: got {Schema.of(envs)}; this learner began with {learner.schema}")
    exploring, updating = jax.random.split(jax.random.fold_in(jax.random.key(learner.seed), learner.iteration))
    rollout, error_mm = _explore(learner, envs, exploring)
    model, optimiser = policy_ppo.update(
        learner.model, learner.optimiser, learner.normaliser, rollout, updating, learner.recipe.ppo, learner.iteration
    )
    reward = rollout.rewards.sum() / rollout.alive.sum()
    return learner._with(
        model,
        learner.normaliser,
        optimiser,
        iteration=learner.iteration + 1,
        rewards=np.append(learner.rewards, reward),
        errors_mm=np.append(learner.errors_mm, error_mm),
    )


def _explore(learner: Learner, envs: Any, key: jax.Array) -> tuple[Rollout, float]:
    """One episode of every environment, and its mean landmark error."""
    rows: list[tuple[np.ndarray, ...]] = []
    last: list[np.ndarray] = []

    def act(observations: Mapping[str, np.ndarray], step: int) -> np.ndarray:
        flat = learner.schema.flat(observations)
        found = explore(learner.model, learner.normaliser, flat, jax.random.fold_in(key, step))
        rows.append((flat, *(np.asarray(part) for part in found)))
        return rows[-1][1]

    def look(observations: Mapping[str, np.ndarray]) -> None:
        flat = learner.schema.flat(observations)
        last.append(np.asarray(explore(learner.model, learner.normaliser, flat, key)[2]))

    episodes = play(envs, training_seeds(learner.seed, learner.iteration, envs.num_envs), act, last=look)
    flat, drawn, density, values = (np.array(column) for column in zip(*rows, strict=True))
    return Rollout(
        flat, drawn, density, np.concatenate([values, last]), episodes.rewards, episodes.terminated, episodes.alive
    ), _error_mm(episodes)


def _error_mm(episodes: Episodes) -> float:
    return float("nan") if episodes.mean_error_mm is None else float(episodes.mean_error_mm.mean())


def _measured(envs: Any, learner: Learner) -> Normaliser:
    """The normaliser, measured on one episode of every environment with random actions."""
    seeds = training_seeds(learner.seed, _BEFORE, envs.num_envs)
    rng = np.random.default_rng(seeds)
    seen: list[np.ndarray] = []

    def act(observations: Mapping[str, np.ndarray], step: int) -> np.ndarray:
        del step
        seen.append(learner.schema.flat(observations))
        return rng.uniform(-1, 1, (envs.num_envs, learner.schema.actions))

    play(envs, seeds, act)
    return Normaliser.of(np.array(seen))


def _empty(env: str, schema: Schema, recipe: Recipe, seed: int) -> Learner:
    model = initial(jax.random.key(seed), schema, recipe.hidden, recipe.log_sd)
    width = np.zeros(schema.width, np.float32)
    return Learner(
        env, schema, recipe, seed, 0, model, Normaliser(width, width + 1), policy_ppo.start(model, recipe.ppo),
        np.zeros(0), np.zeros(0),
    )  # fmt: skip


def _leaves(state: Any) -> list[tuple[str, Any]]:
    return [("state" + jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(state)]


def _recipe(stored: Mapping[str, Any]) -> Recipe:
    cloning = None if stored["cloning"] is None else Cloning(**stored["cloning"])
    return Recipe(hidden=tuple(stored["hidden"]), log_sd=stored["log_sd"], cloning=cloning, ppo=Ppo(**stored["ppo"]))


__all__ = ["CLONED", "KIND", "SCRATCH", "Learner", "Policy", "Recipe", "begin", "iterate"]
