"""Episodes of a vector environment, one in each of its copies, and the seeds that they start from.

The environments are reset with given seeds and stepped until all episodes are over, so what happens depends on the
seeds and the actions alone, and not on what the environments did before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..sim.errors import InputError

HELD_OUT = 2**31
"""Seeds from here on are for tests; training never uses them."""
Act = Callable[[Mapping[str, np.ndarray], int], np.ndarray]
"""What to do: observations of n environments and the number of the step in, actions (n, width) out."""


@dataclass(frozen=True, eq=False)
class Episodes:
    """One episode of each of n environments; T steps, the longest of them."""

    rewards: np.ndarray
    """(T, n), zero after the end."""
    terminated: np.ndarray
    """(T, n) bool: the episode ended in this step, and nothing comes after it."""
    alive: np.ndarray
    """(T, n) bool: the step belongs to the episode."""
    error_mm: np.ndarray | None
    """(T, n) mean landmark error after each step, where the environment tells it in its info."""

    @property
    def returns(self) -> np.ndarray:
        """Sum of the rewards of each episode, (n,)."""
        return self.rewards.sum(0)

    @property
    def mean_error_mm(self) -> np.ndarray | None:
        """Mean landmark error over each whole episode, (n,) mm."""
        return None if self.error_mm is None else (self.error_mm * self.alive).sum(0) / self.alive.sum(0)

    @property
    def final_error_mm(self) -> np.ndarray | None:
        """Mean landmark error at the end of each episode, (n,) mm."""
        if self.error_mm is None:
            return None
        return self.error_mm[self.alive.sum(0) - 1, np.arange(self.alive.shape[1])]


def training_seeds(seed: int, iteration: int, count: int) -> list[int]:
    """Seeds of the `count` episodes of one iteration, all below `HELD_OUT`."""
    words = np.random.SeedSequence([seed, iteration]).generate_state(count)
    return [int(word) % HELD_OUT for word in words]


def held_out_seeds(count: int, first: int = 0) -> list[int]:
    """Seeds of test episodes `first` to `first + count` − 1."""
    return [HELD_OUT + first + k for k in range(count)]


def play(
    envs: Any, seeds: Sequence[int], act: Act, last: Callable[[Mapping[str, np.ndarray]], None] | None = None
) -> Episodes:
    """Play one episode in each environment, as long as its registration says.

    envs: a made vector environment with a Dict of observations, autoreset mode `NextStep`.
    last: is shown the observations after the last step.
    Raises `InputError` for another mode, or if no length is known.
    """
    steps = episode_steps(envs)
    mode = getattr(envs.metadata.get("autoreset_mode"), "value", "NextStep")
    if mode != "NextStep":
        raise InputError(f"autoreset_mode: got {mode}; allowed is NextStep")
    observations, _ = envs.reset(seed=list(seeds))
    alive = np.ones(envs.num_envs, bool)
    rows: list[tuple[np.ndarray, ...]] = []
    errors: list[np.ndarray] = []
    for step in range(steps):
        actions = np.clip(act(observations, step), -1.0, 1.0).astype(np.float32)
        observations, rewards, terminated, truncated, infos = envs.step(actions)
        rows.append((np.where(alive, rewards, 0.0), terminated & alive, alive))
        if "error_mm" in infos:
            errors.append(np.array(infos["error_mm"], float))
        alive = alive & ~(terminated | truncated)
        if not alive.any():
            break
    if last is not None:
        last(observations)
    told = np.array(errors) if len(errors) == len(rows) else None
    rewarded, ended, lived = (np.array(column) for column in zip(*rows, strict=True))
    return Episodes(rewarded, ended, lived, told)


def episode_steps(envs: Any) -> int:
    """Length of an episode by the environment's registration. Raises `InputError` where it says none."""
    steps = envs.spec.max_episode_steps if envs.spec is not None else None
    if not steps:
        raise InputError("episodes: the environment has no max_episode_steps; register it with one")
    return int(steps)


__all__ = ["HELD_OUT", "Act", "Episodes", "episode_steps", "held_out_seeds", "play", "training_seeds"]
