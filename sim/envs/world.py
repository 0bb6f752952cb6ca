"""A world: any number of copies of one task, each of which does what it would do alone.

A task is written once, for many. `single.Single` makes it an environment, `many.Many` a vector environment; the two
agree bit for bit because no row of a world's arrays depends on which other rows are computed.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces

from ..errors import PhysicsDiverged
from .common import OnDivergence

Ids = np.ndarray
"""Which copies are meant, (k,) int, ascending."""


class World(ABC):
    """`count` copies of a task. Arrays that methods return have the k copies that `ids` names as leading axis.

    observation_space, action_space: of one copy. action_names: what the action's entries are called, in order.
    """

    terms: ClassVar[tuple[str, ...]] = ()
    """The named terms of the reward, in the order in which they are added."""
    reset_options: ClassVar[tuple[str, ...]] = ()
    """Keys that `options` of a reset may have."""

    observation_space: spaces.Dict
    action_space: spaces.Box
    action_names: tuple[str, ...]
    fps: float = 25.0
    """Steps a second."""
    on_divergence: OnDivergence = "raise"

    @abstractmethod
    def restart(self, ids: Ids, rngs: Sequence[np.random.Generator], options: Mapping[str, Any]) -> None:
        """Begin new episodes, each with its own random numbers. Raises `InputError` for bad options."""

    @abstractmethod
    def advance(self, ids: Ids, actions: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """One control period under actions (k, width), which are inside the space; who diverged, (k,) bool."""

    @abstractmethod
    def observe(self, ids: Ids) -> dict[str, np.ndarray]:
        """New arrays (k, …) for every key of the observation space."""

    @abstractmethod
    def info(self, ids: Ids) -> dict[str, Any]:
        """New arrays (k, …), or mappings of such; the same keys always. With `reward_terms` if there are any."""

    @abstractmethod
    def pictures(self, ids: Ids) -> list[np.ndarray]:
        """Pictures (height, width, 3) uint8."""

    @abstractmethod
    def close(self) -> None:
        """Give back what drawing needed; any number of times."""

    def recover(self, ids: Ids) -> None:
        """Put copies that diverged into a state that can be observed."""
        del ids

    def step(self, ids: Ids, actions: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """Advance, and do with those that diverged what `on_divergence` says; who did, (k,) bool."""
        diverged = self.advance(ids, actions, rngs)
        if diverged.any():
            if self.on_divergence == "raise":
                raise PhysicsDiverged(
                    f"MuJoCo warned in the last step of robot {', '.join(map(str, ids[diverged][:5]))}, whose state is "
                    "not to be trusted: call reset(); with on_divergence='terminate' the episode ends instead, with "
                    "info['diverged'] true"
                )
            self.recover(ids[diverged])
        return diverged

    def reward(self, info: Mapping[str, Any]) -> Any:
        """Sum of the terms in an info of one copy or of many."""
        return sum(info["reward_terms"][name] for name in self.terms) if self.terms else 0.0


def effort(info: Any, terms: Sequence[str], shape: tuple[int, ...]) -> np.ndarray:
    """Sum of the terms that infos name, for `compute_reward`: of one info () or of a sequence of them, in `shape`."""
    if info is None or len(info) == 0:
        return np.zeros(shape)
    if isinstance(info, Mapping):
        return np.asarray(sum(info.get("reward_terms", {}).get(name, 0.0) for name in terms))
    rows = [sum(one.get("reward_terms", {}).get(name, 0.0) for name in terms) for one in info]
    return np.array(rows).reshape(shape)


__all__ = ["Ids", "World", "effort"]
