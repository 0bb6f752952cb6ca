"""SelfModel: the robot before its mirror, to learn what its servos do to its face."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from ..errors import InputError
from ..robot.dress import Dress
from .common import OnDivergence, into, no_more, settings
from .express import goal_space
from .robot_bodies import Actions
from .robot_env import ONLY, RobotEnv


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


class SelfModelEnv(RobotEnv):
    """`duchenne/SelfModel-v0`, described in docs/envs.md.

    Args:
        actions: `symmetric`, 11 parameters, or `all`, 26 servos.
        mirror: how landmarks are seen, a `Mirror` or a mapping of its fields.
        on_divergence, skin, width_px, height_px, render_mode: as for `Express`.
    """

    def __init__(
        self,
        *,
        actions: Actions = "all",
        mirror: Mirror | Mapping[str, Any] | None = None,
        on_divergence: OnDivergence = "raise",
        skin: str | Dress = "porcelain",
        width_px: int = 480,
        height_px: int = 480,
        render_mode: str | None = None,
    ):
        super().__init__(actions, on_divergence, render_mode, (skin, width_px, height_px), mirror=mirror)
        self._mirror = settings(Mirror, mirror)
        self._seen_space = goal_space()
        self.observation_space = spaces.Dict({"proprioception": self._proprioception, "landmarks": self._seen_space})
        self._pictures: deque[np.ndarray] = deque(maxlen=self._mirror.delay_steps + 1)
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The robot at rest, seen at rest since long; there are no options."""
        no_more(options, ())
        self._restart(seed)
        self._steps = 0
        first = self._look()
        self._pictures.extend(first for _ in range(self._mirror.delay_steps + 1))
        return self._observe(), self._info(False, False)

    def step(self, action: Any) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Move for 40 ms. Raises `InputError` for an action that is not allowed, and as `on_divergence` says."""
        _, projected, diverged = self._drive(action)
        self._steps += 1
        due = self._steps % self._mirror.every_steps == 0
        self._pictures.append(self._look() if due else self._pictures[-1])
        return self._observe(), 0.0, diverged, False, self._info(projected, diverged)

    def _look(self) -> np.ndarray:
        seen = self._bodies.landmarks_mm(ONLY)[0]
        if self._mirror.noise_mm > 0:
            seen = seen + self._mirror.noise_mm * self.np_random.standard_normal(seen.shape)
        return into(self._seen_space, seen)

    def _observe(self) -> dict[str, np.ndarray]:
        return {"proprioception": self._felt(), "landmarks": self._pictures[0].copy()}

    def _info(self, projected: bool, diverged: bool) -> dict[str, Any]:
        return {
            "projected": projected,
            "diverged": diverged,
            "command": self._bodies.commands[0].copy(),
            "true_landmarks_mm": self._bodies.landmarks_mm(ONLY)[0],
        }


__all__ = ["Mirror", "SelfModelEnv"]
