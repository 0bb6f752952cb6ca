"""Express: reach and hold a target expression, smoothly and with little tension in the skin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from ..errors import InputError
from .common import into, settings
from .goal_faces import GoalFaces, given_goal, goal_space
from .many import Many
from .robot_world import RobotWorld
from .single import GoalSingle, RobotSingle
from .world import Ids, effort


@dataclass(frozen=True, kw_only=True)
class Reward:
    """How the reward of Express is weighted."""

    match_mm: float = 1.0
    """Mean landmark error at which the match is a half; it is 1 / (1 + (error / match_mm)²)."""
    smoothness: float = 0.05
    """Price of the mean square change of the commands, in units of the action."""
    tension_per_mj: float = 0.002
    """Price of a millijoule of elastic energy in the skin; safe expressions hold 10 to 50 mJ."""

    def __post_init__(self):
        for name in self.__dataclass_fields__:
            if not 0 <= getattr(self, name) < np.inf or (name == "match_mm" and self.match_mm == 0):
                raise InputError(f"reward.{name}: got {getattr(self, name)}; allowed are finite numbers, not negative")

    def terms(self, error_mm: np.ndarray, change: np.ndarray, tension_mj: np.ndarray) -> dict[str, np.ndarray]:
        """The named terms of (n,) errors, changes and tensions, (n,) each."""
        return {
            "match": self.match(error_mm),
            "smoothness": -self.smoothness * change,
            "tension": -self.tension_per_mj * tension_mj,
        }

    def match(self, error_mm: np.ndarray) -> np.ndarray:
        """The match, 0…1, of mean landmark errors, mm."""
        share = error_mm / self.match_mm
        return 1.0 / (1.0 + share * share)


def error_mm(achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
    """Mean distance of landmarks, (…,) mm, of displacements (…, 69) mm."""
    gap = np.asarray(achieved, float) - np.asarray(desired, float)
    x, y, z = gap[..., 0::3], gap[..., 1::3], gap[..., 2::3]
    distance = np.ascontiguousarray(np.sqrt(x * x + y * y + z * z))
    total = np.zeros(distance.shape[:-1])
    for landmark in range(distance.shape[-1]):  # one after the other: the sum of one robot as of many
        total = total + distance[..., landmark]
    return total / distance.shape[-1]


class ExpressWorld(RobotWorld):
    """The task of `duchenne/Express-v0`, described in docs/env_express.md.

    Args:
        goals: `reachable`, `human` or the path of an .npy file, see `GoalFaces`.
        reward: weights, a `Reward` or a mapping of its fields.
        others: as for `RobotWorld`.
    """

    terms = ("match", "smoothness", "tension")
    reset_options = ("goal_mm",)

    def __init__(
        self, count: int, *, goals: str = "reachable", reward: Reward | Mapping[str, float] | None = None, **others: Any
    ):
        super().__init__(count, **others)
        self._reward = settings(Reward, reward)
        self._faces = GoalFaces(goals, count, others.get("actions", "symmetric"), others.get("threads", 1))
        self._space, self._goals = goal_space(), np.zeros((count, *(goal_space().shape or ())), np.float32)
        self.observation_space = spaces.Dict(
            {"observation": self.felt_space, "achieved_goal": goal_space(), "desired_goal": goal_space()}
        )

    def restart(self, ids: Ids, rngs: Sequence[np.random.Generator], options: Mapping[str, Any]) -> None:
        """The robots at rest and new goals; `options={"goal_mm": (69,) or (23, 3)}` sets the goal."""
        goal = given_goal(options["goal_mm"]) if "goal_mm" in options else None
        super().restart(ids, rngs, options)
        self._goals[ids] = self._faces.draw(ids, rngs) if goal is None else goal

    def observe(self, ids: Ids) -> dict[str, np.ndarray]:
        achieved = into(self._space, self.landmarks_mm[ids])
        return {"achieved_goal": achieved, "desired_goal": self._goals[ids], "observation": self.felt(ids)}

    def info(self, ids: Ids) -> dict[str, Any]:
        error = error_mm(into(self._space, self.landmarks_mm[ids]), self._goals[ids])
        tension = self.bodies.tension_mj(ids)
        terms = self._reward.terms(error, self._change[ids], tension)
        return {"error_mm": error, "tension_mj": tension, **super().info(ids), "reward_terms": terms}

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any = None) -> Any:
        """See `GoalSingle`; goals (…, 69) mm."""
        match = self._reward.match(error_mm(achieved_goal, desired_goal))
        return match + effort(info, ("smoothness",), match.shape) + effort(info, ("tension",), match.shape)


class Express(GoalSingle, RobotSingle):
    """One robot with a goal."""

    world = ExpressWorld


class ExpressVector(Many):
    """Many robots, each with its goal, in one MuJoCo batch."""

    world = ExpressWorld


__all__ = ["Express", "ExpressVector", "ExpressWorld", "Reward", "error_mm"]
