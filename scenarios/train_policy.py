"""`duchenne train policy`: learn to act in an environment, and measure it beside controllers that learn nothing."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..learning.policy import CLONED, SCRATCH, Learner, begin, iterate
from ..learning.policy_network import Schema
from ..learning.policy_reactive import reaches_faces, scripted
from ..learning.policy_rollout import Act, Episodes, held_out_seeds, play
from ..sim.errors import InputError, VocabularyError
from ..sim.robot.limits import SafeSet
from ..sim.robot.servo import symmetric
from . import console
from .policy_picture import draw

EPISODES = 200
"""Held-out episodes, each with a goal of its own."""
ENVS = 64
ITERATIONS = {True: 0, False: 100}
"""Of PPO, after cloning and from scratch. Cloned policies of Express come within a few hundredths of a millimetre of
who knows the goal's command, where the reward is flat; exploring from there made their error larger, not smaller."""
CHECKPOINT, PICTURE = "policy.npz", "curves.png"
_SAVE_EVERY = 10
_ARRIVED_MM = 0.05
_RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Outcome:
    """What held-out episodes gave, one number each."""

    reward: np.ndarray
    """Mean reward of a step."""
    error_mm: np.ndarray | None
    """Mean landmark error over the whole episode, the way to the goal included; None where there is none."""
    final_error_mm: np.ndarray | None


def run(
    env: str,
    out: Path,
    *,
    seed: int = 0,
    iterations: int | None = None,
    minutes: float | None = None,
    resume: bool = False,
    as_json: bool = False,
) -> int:
    """Train, measure on held-out episodes, save and draw; see `duchenne train policy --help`."""
    start = time.perf_counter()
    envs = make(env)
    path = out / CHECKPOINT
    figures: dict[str, float] = {}
    try:
        schema = Schema.of(envs)
        reaching = reaches_faces(schema)
        recipe = CLONED if reaching else SCRATCH
        wanted = ITERATIONS[reaching] if iterations is None else iterations
        with console.progress() as bar:
            task = bar.add_task("", total=None)

            def tell(stage: str, done: int, total: int) -> None:
                bar.update(task, description=stage, completed=done, total=total)

            if resume:
                learner = resumed(path, env, schema)
            else:
                learner = begin(envs, env, seed=seed, recipe=recipe, progress=tell)
                learner.save(path)
                if learner.looks and wanted:
                    figures["cloned_error_mm"] = _mean(measure(envs, learner.policy).error_mm)
            while learner.iteration < wanted and (minutes is None or time.perf_counter() - start < 60 * minutes):
                learner = iterate(learner, envs)
                tell(f"practising, reward {learner.rewards[-1]:.3f}", learner.iteration, wanted)
                if learner.iteration % _SAVE_EVERY == 0:
                    learner.save(path)
            learner.save(path)
            figures["train_s"] = time.perf_counter() - start
            tell("measuring", 0, 1)
            figures |= compare(envs, learner)
    finally:
        envs.close()
    figures["iterations"] = float(learner.iteration)
    picture = draw(learner, figures, out / PICTURE)
    console.table(f"Policy for {env}", ("figure", "value"), figures.items())
    console.console.print(f"\nsaved to {path}, curves to {picture}")
    if as_json:
        console.emit(figures, env=env, policy=str(path), curves=str(picture))
    return 0


def make(env: str, num_envs: int = ENVS) -> Any:
    """The vector environment of one of our ids. Raises `VocabularyError` for another id."""
    import gymnasium

    from ..sim.envs.registry import ids

    if env not in ids():
        raise VocabularyError(f"environment {env!r}: unknown; allowed: {', '.join(ids())}")
    return gymnasium.make_vec(env, num_envs=num_envs)


def resumed(path: Path, env: str, schema: Schema) -> Learner:
    """The learner of a checkpoint. Raises `InputError` if it learnt in another environment, `ModelFileError`."""
    learner = Learner.load(path)
    if learner.env != env or learner.schema != schema:
        raise InputError(f"{path}: is of {learner.env}, wanted is {env}; resume that, or train into another folder")
    return learner


def measure(envs: Any, act: Act, episodes: int = EPISODES) -> Outcome:
    """Play held-out episodes, the same for every controller."""
    played = [play(envs, held_out_seeds(envs.num_envs, first), act) for first in range(0, episodes, envs.num_envs)]
    return Outcome(
        np.concatenate([p.returns / p.alive.sum(0) for p in played])[:episodes],
        _joined([p.mean_error_mm for p in played], episodes),
        _joined([p.final_error_mm for p in played], episodes),
    )


def compare(envs: Any, learner: Learner, episodes: int = EPISODES) -> dict[str, float]:
    """Figures of a policy beside random actions and, where faces are to be reached, beside scripted control.

    Reactive is the better one of two scripted controllers, mimicry in one shot and visual servoing, each tuned.
    """
    rng = np.random.default_rng(learner.seed)
    width = learner.schema.actions
    learnt = measure(envs, learner.policy, episodes)
    blind = measure(envs, lambda seen, step: rng.uniform(-1, 1, (envs.num_envs, width)), episodes)
    figures = {"reward": _mean(learnt.reward), "random_reward": _mean(blind.reward)}
    if learnt.error_mm is None or blind.error_mm is None:
        return figures
    figures |= {
        "error_mm": _mean(learnt.error_mm),
        "final_error_mm": _mean(learnt.final_error_mm),
        "random_error_mm": _mean(blind.error_mm),
    }
    if not reaches_faces(learner.schema):
        return figures
    both = {
        name: measure(envs, control, episodes)
        for name, control in zip(("mimicry", "servoing"), scripted(envs, learner.seed), strict=True)
    }
    for name, outcome in both.items():
        figures |= {
            f"{name}_error_mm": _mean(outcome.error_mm),
            f"{name}_final_error_mm": _mean(outcome.final_error_mm),
        }
        figures |= _ratio(f"error_ratio_to_{name}", learnt.error_mm, outcome.error_mm, rng)
    better = min(both, key=lambda name: figures[f"{name}_error_mm"])
    figures["reactive_error_mm"] = figures[f"{better}_error_mm"]
    figures["reactive_reward"] = _mean(both[better].reward)
    for end in ("", "_low", "_high"):
        figures[f"error_ratio_to_reactive{end}"] = figures[f"error_ratio_to_{better}{end}"]
    return figures | oracle(envs, episodes)


def oracle(envs: Any, episodes: int = EPISODES) -> dict[str, float]:
    """`oracle_error_mm` of who knows the goal's command and only has to wait for the servos; {} if nobody does.

    Goals are the faces of the commands that a generator with the episode's seed draws from the safe set. Whether
    they are is seen by whether those commands arrive.
    """
    safe = SafeSet.default()
    played: list[Episodes] = []
    for first in range(0, episodes, envs.num_envs):
        seeds = held_out_seeds(envs.num_envs, first)
        drawn = np.concatenate([safe.sample(np.random.default_rng(seed), 1) for seed in seeds])
        actions = 2 * symmetric(drawn) - 1
        played.append(play(envs, seeds, lambda seen, step, actions=actions: actions))
    error, final = (_joined([getattr(p, n) for p in played], episodes) for n in ("mean_error_mm", "final_error_mm"))
    if error is None or final is None or final.max() > _ARRIVED_MM:
        return {}
    return {"oracle_error_mm": float(error.mean())}


def _ratio(name: str, mine: np.ndarray | None, others: np.ndarray | None, rng: np.random.Generator) -> dict[str, float]:
    """Ratio of two mean errors over the same goals, with its bootstrapped 95 % interval over goals."""
    if mine is None or others is None:
        return {}
    drawn = rng.integers(len(mine), size=(_RESAMPLES, len(mine)))
    low, high = np.percentile(mine[drawn].mean(1) / others[drawn].mean(1), [2.5, 97.5])
    return {name: float(mine.mean() / others.mean()), f"{name}_low": float(low), f"{name}_high": float(high)}


def _joined(parts: Sequence[np.ndarray | None], count: int) -> np.ndarray | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known)[:count] if len(known) == len(parts) else None


def _mean(values: np.ndarray | None) -> float:
    return float("nan") if values is None else float(values.mean())


__all__ = ["Outcome", "compare", "make", "measure", "oracle", "resumed", "run"]
