"""SelfModel: the robot before its mirror, to learn what its servos do to its face."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from ..errors import InputError
from .common import into, settings
from .goal_faces import goal_space
from .many import Many
from .robot_world import RobotWorld
from .single import RobotSingle
from .world import Ids


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """How the robot sees its landmarks: the truth by default."""

    every_steps: int = 1
    """A new picture every so many control periods; 1 is 25 Hz."""
    delay_steps: int = 0
    """Control periods from the picture to the observation."""
    noise_mm: float = 0.0
    """Standard deviation of every coordinate in every picture. Landmark trackers are off by 0.3 … 2 mm."""

    def __post_init__(self):
        if self.every_steps < 1 or self.delay_steps < 0 or not 0 <= self.noise_mm < np.inf:
            raise InputError(f"mirror: got {self}; allowed are every_steps ≥ 1, delay_steps ≥ 0, finite noise_mm ≥ 0")


class SelfModelWorld(RobotWorld):
    """The task of `duchenne/SelfModel-v0`, described in docs/env_self_model.md.

    Args:
        mirror: how landmarks are seen, a `Mirror` or a mapping of its fields.
        others: as for `RobotWorld`; all 26 servos move by default.
    """

    def __init__(self, count: int, *, mirror: Mirror | Mapping[str, Any] | None = None, **others: Any):
        super().__init__(count, **{"actions": "all", **others})
        self._mirror, self._space = settings(Mirror, mirror), goal_space()
        self.observation_space = spaces.Dict({"landmarks": goal_space(), "proprioception": self.felt_space})
        self._pictures = np.zeros((self._mirror.delay_steps + 1, count, *(goal_space().shape or ())), np.float32)
        self._steps = np.zeros(count, int)

    def restart(self, ids: Ids, rngs: Sequence[np.random.Generator], options: Mapping[str, Any]) -> None:
        """The robots at rest, seen at rest since long."""
        super().restart(ids, rngs, options)
        self._steps[ids] = 0
        self._pictures[:, ids] = self._look(ids, rngs)

    def advance(self, ids: Ids, actions: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        diverged = super().advance(ids, actions, rngs)
        self._steps[ids] += 1
        self._pictures[:-1, ids] = self._pictures[1:, ids]
        due = self._steps[ids] % self._mirror.every_steps == 0
        if due.any():
            drawn_from = [rng for rng, now in zip(rngs, due, strict=True) if now]
            self._pictures[-1, ids[due]] = self._look(ids[due], drawn_from)
        return diverged

    def recover(self, ids: Ids) -> None:
        super().recover(ids)
        self._pictures[:, ids] = into(self._space, self.landmarks_mm[ids])

    def observe(self, ids: Ids) -> dict[str, np.ndarray]:
        return {"landmarks": self._pictures[0, ids], "proprioception": self.felt(ids)}

    def info(self, ids: Ids) -> dict[str, Any]:
        return {**super().info(ids), "true_landmarks_mm": self.landmarks_mm[ids]}

    def _look(self, ids: Ids, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        seen = self.landmarks_mm[ids]
        if self._mirror.noise_mm > 0:
            seen = seen + self._mirror.noise_mm * np.stack([rng.standard_normal(seen.shape[1]) for rng in rngs])
        return into(self._space, seen)


class SelfModel(RobotSingle):
    """One robot before its mirror."""

    world = SelfModelWorld


class SelfModelVector(Many):
    """Many robots, each before its mirror, in one MuJoCo batch."""

    world = SelfModelWorld


__all__ = ["Mirror", "SelfModel", "SelfModelVector", "SelfModelWorld"]
