"""Express: reach and hold a target expression, smoothly and with little tension in the skin.

The task is written for any number of robots at once; `Express` is the environment with one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from ..errors import InputError
from ..robot.dress import Dress
from ..robot.limits import SafeSet
from .common import OnDivergence, box, into, no_more, settings
from .robot_bodies import LANDMARKS, LARGEST_MM, Actions, RobotBodies
from .robot_env import ONLY, RobotEnv

TERMS = ("match", "smoothness", "tension")
"""The named terms of the reward, in the order in which they are added."""


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


def goal_command(rng: np.random.Generator, actions: Actions) -> np.ndarray:
    """A command, (26,), uniform over the safe set; both sides alike where the actions are symmetric."""
    return SafeSet.default().sample(rng, 1, symmetric_only=actions == "symmetric")[0]


def goal_space() -> spaces.Box:
    """Displacements of the landmarks, mm."""
    return box(-LARGEST_MM, LARGEST_MM, 3 * len(LANDMARKS))


def given_goal(goal_mm: Any) -> np.ndarray:
    """A goal from outside, (69,) or (23, 3) mm, as (69,) float32. Raises `InputError`."""
    goal = np.asarray(goal_mm, float)
    if goal.size != 3 * len(LANDMARKS) or goal.shape not in ((goal.size,), (len(LANDMARKS), 3)):
        raise InputError(f"goal_mm: got shape {goal.shape}; allowed are ({3 * len(LANDMARKS)},) and (23, 3)")
    if not (np.abs(goal) <= LARGEST_MM).all():
        raise InputError(f"goal_mm: got numbers outside ±{LARGEST_MM:g} mm or not finite")
    return goal.astype(np.float32).ravel()


class Express(RobotEnv):
    """`duchenne/Express-v0`, described in docs/envs.md.

    Args:
        actions: `symmetric`, 11 parameters, or `all`, 26 servos.
        reward: weights, a `Reward` or a mapping of its fields.
        on_divergence: `raise` `PhysicsDiverged` or `terminate` the episode.
        skin, width_px, height_px: the picture of `render`.
        render_mode: `rgb_array` or None.
    """

    def __init__(
        self,
        *,
        actions: Actions = "symmetric",
        reward: Reward | Mapping[str, float] | None = None,
        on_divergence: OnDivergence = "raise",
        skin: str | Dress = "porcelain",
        width_px: int = 480,
        height_px: int = 480,
        render_mode: str | None = None,
    ):
        super().__init__(actions, on_divergence, render_mode, (skin, width_px, height_px), reward=reward)
        self._actions: Actions = actions
        self._reward = settings(Reward, reward)
        self._target = RobotBodies(1, actions)
        goals = goal_space()
        self.observation_space = spaces.Dict(
            {"observation": self._proprioception, "achieved_goal": goals, "desired_goal": goal_space()}
        )
        self._goals, self._goal = goals, np.zeros(goals.shape, np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The robot at rest and a new goal; `options={"goal_mm": (69,) or (23, 3)}` sets the goal."""
        options = no_more(options, ("goal_mm",))
        goal = given_goal(options["goal_mm"]) if "goal_mm" in options else None
        self._restart(seed)
        if goal is None:
            command = goal_command(self.np_random, self._actions)
            goal = into(self._goals, self._target.settle(ONLY, command[None])[0])
        self._goal = goal
        observation = self._observe()
        return observation, self._info(observation, 0.0, False, False)

    def step(self, action: Any) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Move for 40 ms. Raises `InputError` for an action that is not allowed, and as `on_divergence` says."""
        change, projected, diverged = self._drive(action)
        observation = self._observe()
        info = self._info(observation, change, projected, diverged)
        return observation, sum(info["reward_terms"][name] for name in TERMS), diverged, False, info

    def compute_reward(
        self,
        achieved_goal: np.ndarray,
        desired_goal: np.ndarray,
        info: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> Any:
        """Reward of goals (…, 69) mm: the match, plus the terms of effort where `info` names them.

        With the info of a step this is the step's reward. Many goals take a sequence of as many infos.
        """
        match = self._reward.match(error_mm(achieved_goal, desired_goal))
        if isinstance(info, Mapping):
            return _with_effort(match, info)
        if info is None or len(info) == 0:
            return match
        rows = [_with_effort(m, i) for m, i in zip(np.atleast_1d(match), info, strict=True)]
        return np.array(rows).reshape(match.shape)

    def _observe(self) -> dict[str, np.ndarray]:
        achieved = into(self._goals, self._bodies.landmarks_mm(ONLY)[0])
        return {"observation": self._felt(), "achieved_goal": achieved, "desired_goal": self._goal.copy()}

    def _info(
        self, observation: dict[str, np.ndarray], change: float, projected: bool, diverged: bool
    ) -> dict[str, Any]:
        error = error_mm(observation["achieved_goal"], observation["desired_goal"])
        tension = self._bodies.tension_mj(ONLY)
        terms = self._reward.terms(np.atleast_1d(error), np.array([change]), tension)
        return {
            "error_mm": float(error),
            "tension_mj": float(tension[0]),
            "projected": projected,
            "diverged": diverged,
            "command": self._bodies.commands[0].copy(),
            "reward_terms": {name: float(value[0]) for name, value in terms.items()},
        }


def _with_effort(match: Any, info: Mapping[str, Any]) -> Any:
    terms = info.get("reward_terms", {})
    return match + terms.get("smoothness", 0.0) + terms.get("tension", 0.0)


__all__ = ["TERMS", "Express", "Reward", "error_mm", "given_goal", "goal_command", "goal_space"]
