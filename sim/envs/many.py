"""A world with many copies as a Gymnasium vector environment: bit for bit what as many single ones do, in less time."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from ..errors import InputError
from .common import box, checked_action, no_more, one_of
from .single import METADATA, row
from .world import World

Observation = dict[str, np.ndarray]


class Many(VectorEnv):
    """`num_envs` copies of `world`; actions, observations and infos as `SyncVectorEnv` has them.

    Args:
        num_envs: number of copies; copy i of a reset with one seed has seed + i.
        max_episode_steps: steps after which an episode is truncated; None never does.
        autoreset_mode: `NextStep`, `SameStep` or `Disabled`, as Gymnasium means them.
        threads: worker threads of the physics; 0 takes all cores. Results do not depend on it.
        render_mode: `rgb_array` or None.
        settings: the world's own.
    """

    world: ClassVar[Callable[..., World]]

    def __init__(
        self,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        threads: int = 0,
        render_mode: str | None = None,
        **settings: Any,
    ):
        super().__init__()
        if render_mode is not None:
            one_of("render_mode", render_mode, tuple(METADATA["render_modes"]))
        self._autoreset = AutoresetMode(autoreset_mode)
        self.num_envs, self.render_mode = num_envs, render_mode
        self._most_steps = np.inf if max_episode_steps is None else max_episode_steps
        self._world: Any = self.world(num_envs, threads=threads, **settings)
        self.metadata = {
            **METADATA, "render_fps": max(1, round(self._world.fps)), "autoreset_mode": self._autoreset,
        }  # fmt: skip
        self.single_observation_space = self._world.observation_space
        self.single_action_space = self._world.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._wishes = box(-1, 1, num_envs, len(self._world.action_names))
        self._everyone = np.arange(num_envs)
        self._generators: list[np.random.Generator] = [seeding.np_random(None)[0] for _ in self._everyone]
        self._begun = np.zeros(num_envs, bool)
        self._steps, self._over = np.zeros(num_envs, int), np.zeros(num_envs, bool)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """New episodes for all, or for those of `options["reset_mask"]`, (n,) bool; other options are for all alike.

        Raises `InputError`, and `VocabularyError` for an unknown option.
        """
        options = no_more(options, (*self._world.reset_options, "reset_mask"))
        ids = self._masked_ids(options.pop("reset_mask", None))
        seeds = list(seed) if isinstance(seed, Sequence) else [_plus(seed, i) for i in range(self.num_envs)]
        if len(seeds) != self.num_envs:
            raise InputError(f"seed: got {len(seeds)} seeds; allowed are one or {self.num_envs}")
        for i in ids:
            if seeds[i] is not None:
                self._generators[i] = seeding.np_random(seeds[i])[0]
        self._restart(ids, options)
        self._over[ids], self._begun[ids] = False, True
        if not self._begun.all():
            raise InputError("reset: the first reset must be of all environments, without reset_mask")
        infos: dict[str, Any] = {}
        info = self._world.info(ids)
        for k, i in enumerate(ids):
            infos = self._add_info(infos, row(info, k), int(i))
        return self._world.observe(self._everyone), infos

    def step(self, actions: np.ndarray) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One control period under actions (n, width); episodes that are over begin anew as the mode says."""
        if not self._begun.all():
            raise InputError("step: there are no episodes yet; call reset() first")
        waiting = self._over if self._autoreset is AutoresetMode.NEXT_STEP else np.zeros(self.num_envs, bool)
        if self._autoreset is AutoresetMode.DISABLED and self._over.any():
            raise InputError(f"step: episodes {np.flatnonzero(self._over)} are over; reset them first")
        wishes = np.array(actions, np.float32, ndmin=1)
        if wishes.shape == self._wishes.shape:
            wishes[waiting] = 0.0  # an action for one that begins anew is not looked at
        wishes = checked_action(wishes, self._wishes, self._world.action_names)
        driven, diverged = np.flatnonzero(~waiting), np.zeros(self.num_envs, bool)
        if len(driven):
            diverged[driven] = self._world.step(driven, wishes[driven], self._drawn_from(driven))
        self._steps[driven] += 1
        self._restart(np.flatnonzero(waiting))
        observation, infos = self._world.observe(self._everyone), self._world.info(self._everyone)
        rewards = np.where(waiting, 0.0, self._world.reward(infos))
        truncated = (self._steps >= self._most_steps) & ~waiting
        self._over = diverged | truncated
        if self._autoreset is AutoresetMode.SAME_STEP and self._over.any():
            observation, infos = self._restart_now(observation, infos)
        return observation, rewards, diverged.copy(), truncated, _masked(infos, self.num_envs)

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture of every copy, each (height, width, 3) uint8; None without render mode."""
        return None if self.render_mode is None else tuple(self._world.pictures(self._everyone))

    def close_extras(self, **kwargs: Any) -> None:
        """Give the OpenGL context back, if there is one."""
        del kwargs
        self._world.close()

    def _masked_ids(self, mask: Any) -> np.ndarray:
        if mask is None:
            return self._everyone
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != bool or not mask.any():
            raise InputError(f"reset_mask: allowed are {self.num_envs} booleans, at least one of them true")
        return np.flatnonzero(mask)

    def _drawn_from(self, ids: np.ndarray) -> list[np.random.Generator]:
        return [self._generators[i] for i in ids]

    def _restart(self, ids: np.ndarray, options: dict[str, Any] | None = None) -> None:
        if len(ids):
            self._world.restart(ids, self._drawn_from(ids), options or {})
            self._steps[ids] = 0

    def _restart_now(self, observation: Observation, infos: dict[str, Any]) -> tuple[Observation, dict[str, Any]]:
        """The first observations of new episodes instead of the last of those that are over, which the info keeps."""
        ids, final = np.flatnonzero(self._over), {}
        for i in ids:
            last = {name: value[i].copy() for name, value in observation.items()}
            final = self._add_info(final, {"final_obs": last, "final_info": row(infos, i)}, int(i))
        self._restart(ids)
        return self._world.observe(self._everyone), {**self._world.info(self._everyone), **final}


def _plus(seed: int | None, i: int) -> int | None:
    return None if seed is None else seed + i


def _masked(infos: dict[str, Any], count: int) -> dict[str, Any]:
    """The infos with the mask that Gymnasium wants beside every name; all copies have all names."""
    masked: dict[str, Any] = {}
    for name, value in infos.items():
        done = name.startswith("_") or f"_{name}" in infos
        masked[name] = _masked(value, count) if isinstance(value, dict) and not done else value
        if not done:
            masked[f"_{name}"] = np.ones(count, bool)
    return masked


__all__ = ["Many"]
