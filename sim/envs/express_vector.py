"""Many Express at once in one MuJoCo batch: bit for bit what as many single environments do, in less time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from ..errors import InputError, PhysicsDiverged
from ..robot.dress import Dress
from ..robot.render import FaceRenderer
from .common import OnDivergence, box, checked_action, into, no_more, one_of, settings
from .express import TERMS, Reward, error_mm, given_goal, goal_command, goal_space
from .robot_bodies import Actions, RobotBodies
from .robot_env import METADATA, diverged_message, proprioception_space

Observation = dict[str, np.ndarray]


class ExpressVector(VectorEnv):
    """The vector environment of `duchenne/Express-v0`; actions, observations and infos as `SyncVectorEnv` has them.

    Args:
        num_envs: number of robots; robot i of a reset with one seed has seed + i.
        max_episode_steps: steps after which an episode is truncated; None never does.
        autoreset_mode: `NextStep`, `SameStep` or `Disabled`, as Gymnasium means them.
        threads: worker threads of the physics; 0 takes all cores. Results do not depend on it.
        actions, reward, on_divergence, skin, width_px, height_px, render_mode: as for `Express`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = 100,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        threads: int = 0,
        actions: Actions = "symmetric",
        reward: Reward | Mapping[str, float] | None = None,
        on_divergence: OnDivergence = "raise",
        skin: str | Dress = "porcelain",
        width_px: int = 480,
        height_px: int = 480,
        render_mode: str | None = None,
    ):
        super().__init__()
        one_of("actions", actions, ("symmetric", "all"))
        self._on_divergence = one_of("on_divergence", on_divergence, ("raise", "terminate"))
        if render_mode is not None:
            one_of("render_mode", render_mode, tuple(METADATA["render_modes"]))
        self._autoreset = AutoresetMode(autoreset_mode)
        self.metadata = {**METADATA, "autoreset_mode": self._autoreset}
        self.num_envs, self.render_mode = num_envs, render_mode
        self._actions: Actions = actions
        self._most_steps = np.inf if max_episode_steps is None else max_episode_steps
        self._picture = (skin, width_px, height_px)
        self._renderer: FaceRenderer | None = None
        self._reward = settings(Reward, reward)
        self._bodies = RobotBodies(num_envs, actions, threads=threads)
        self._target = RobotBodies(num_envs, actions, threads=threads)
        self._felt, self._goal_space = proprioception_space(len(self._bodies.names)), goal_space()
        self.single_observation_space = spaces.Dict(
            {"observation": self._felt, "achieved_goal": self._goal_space, "desired_goal": goal_space()}
        )
        self.single_action_space = box(-1, 1, len(self._bodies.names))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._wishes = box(-1, 1, num_envs, len(self._bodies.names))
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._everyone = np.arange(num_envs)
        self._generators: list[np.random.Generator] = [seeding.np_random(None)[0] for _ in self._everyone]
        self._goals = np.zeros((num_envs, *self._goal_space.shape), np.float32)
        self._steps, self._over = np.zeros(num_envs, int), np.zeros(num_envs, bool)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """All robots, or those of `options["reset_mask"]` (n,) bool, at rest with new goals.

        `options["goal_mm"]` is as in `Express`, one goal for all of them. Raises `InputError`.
        """
        options = no_more(options, ("goal_mm", "reset_mask"))
        ids = self._everyone
        if "reset_mask" in options:
            mask = np.asarray(options["reset_mask"])
            if mask.shape != (self.num_envs,) or mask.dtype != bool or not mask.any():
                raise InputError(f"reset_mask: allowed are {self.num_envs} booleans, at least one of them true")
            ids = np.flatnonzero(mask)
        seeds = list(seed) if isinstance(seed, Sequence) else [_plus(seed, i) for i in range(self.num_envs)]
        if len(seeds) != self.num_envs:
            raise InputError(f"seed: got {len(seeds)} seeds; allowed are one or {self.num_envs}")
        goal = given_goal(options["goal_mm"]) if "goal_mm" in options else None
        for i in ids:
            if seeds[i] is not None:
                self._generators[i] = seeding.np_random(seeds[i])[0]
        self._restart(ids, goal)
        self._over[ids] = False
        observation = self._observe()
        info = self._info(observation, np.zeros(self.num_envs), *np.zeros((2, self.num_envs), bool))
        infos: dict[str, Any] = {}
        for i in ids:
            infos = self._add_info(infos, _row(info, i), int(i))
        return observation, infos

    def step(self, actions: np.ndarray) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Move all robots for 40 ms, actions (n, width); those whose episode is over restart as the mode says."""
        waiting = self._over if self._autoreset is AutoresetMode.NEXT_STEP else np.zeros(self.num_envs, bool)
        if self._autoreset is AutoresetMode.DISABLED and self._over.any():
            raise InputError(f"step: the episodes of robots {np.flatnonzero(self._over)} are over; reset them first")
        wishes = np.array(actions, np.float32, ndmin=1)
        if wishes.shape == self._wishes.shape:
            wishes[waiting] = 0.0  # an action for a robot that restarts is not looked at
        wishes = checked_action(wishes, self._wishes, self._bodies.names)
        driven, restarting = np.flatnonzero(~waiting), np.flatnonzero(waiting)
        change, projected, diverged = np.zeros(self.num_envs), *np.zeros((2, self.num_envs), bool)
        if len(driven):
            change[driven], projected[driven], diverged[driven] = self._bodies.drive(driven, wishes[driven])
        self._end_diverged(np.flatnonzero(diverged))
        self._steps[driven] += 1
        self._restart(restarting)
        observation = self._observe()
        infos = self._info(observation, change, projected, diverged)
        rewards = np.where(waiting, 0.0, sum(infos["reward_terms"][name] for name in TERMS))
        truncated = (self._steps >= self._most_steps) & ~waiting
        self._over = diverged | truncated
        if self._autoreset is AutoresetMode.SAME_STEP and self._over.any():
            observation, infos = self._restart_now(observation, infos, change, projected, diverged)
        return observation, rewards, diverged.copy(), truncated, _masked(infos, self.num_envs)

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture of every robot, each (height, width, 3) uint8; None without render mode."""
        if self.render_mode is None:
            return None
        if self._renderer is None:
            skin, width_px, height_px = self._picture
            self._renderer = FaceRenderer(skin, width_px=width_px, height_px=height_px)
        states, draw = self._bodies.state(), self._renderer.image
        each = [states[i] for i in range(self.num_envs)]
        return tuple(draw(s.vertices_m, head_pose=s.head_pose, gaze_rad=s.gaze_rad) for s in each)

    def close_extras(self, **kwargs: Any) -> None:
        """Give the OpenGL context back, if there is one."""
        del kwargs
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _restart(self, ids: np.ndarray, goal: np.ndarray | None = None) -> None:
        if not len(ids):
            return
        self._bodies.restart(ids)
        self._steps[ids] = 0
        if goal is None:
            commands = np.stack([goal_command(self._generators[i], self._actions) for i in ids])
            goal = into(self._goal_space, self._target.settle(ids, commands))
        self._goals[ids] = goal

    def _restart_now(
        self, observation: Observation, infos: dict[str, Any], *step: np.ndarray
    ) -> tuple[Observation, dict[str, Any]]:
        """The first observations of new episodes instead of the last of those that are over, which the info keeps."""
        ids, final = np.flatnonzero(self._over), {}
        for i in ids:
            last = {name: value[i].copy() for name, value in observation.items()}
            final = self._add_info(final, {"final_obs": last, "final_info": _row(infos, i)}, int(i))
        self._restart(ids)
        observation = self._observe()
        fresh = [np.where(self._over, np.zeros_like(values), values) for values in step]
        return observation, {**self._info(observation, *fresh), **final}

    def _end_diverged(self, ids: np.ndarray) -> None:
        if len(ids) and self._on_divergence == "raise":
            raise PhysicsDiverged(diverged_message(f"robots {', '.join(map(str, ids[:5]))}"))
        if len(ids):
            self._bodies.restart(ids)

    def _observe(self) -> Observation:
        landmarks = self._bodies.landmarks_mm(self._everyone)
        felt = self._bodies.proprioception(self._everyone)
        return {
            "achieved_goal": into(self._goal_space, landmarks),
            "desired_goal": self._goals.copy(),
            "observation": into(self._felt, felt),
        }

    def _info(
        self, observation: Observation, change: np.ndarray, projected: np.ndarray, diverged: np.ndarray
    ) -> dict[str, Any]:
        error = error_mm(observation["achieved_goal"], observation["desired_goal"])
        tension = self._bodies.tension_mj(self._everyone)
        return {
            "error_mm": error,
            "tension_mj": tension,
            "projected": projected.copy(),
            "diverged": diverged.copy(),
            "command": self._bodies.commands.copy(),
            "reward_terms": self._reward.terms(error, change, tension),
        }


def _plus(seed: int | None, i: int) -> int | None:
    return None if seed is None else seed + i


def _row(info: dict[str, Any], i: Any) -> dict[str, Any]:
    """The info of one robot, as `Express` returns it."""
    row: dict[str, Any] = {}
    for name, value in info.items():
        if isinstance(value, dict):
            row[name] = _row(value, i)
        else:
            row[name] = value[i].copy() if value.ndim > 1 else value[i].item()
    return row


def _masked(infos: dict[str, Any], count: int) -> dict[str, Any]:
    """The infos with the mask that Gymnasium wants beside every name; all robots have all names."""
    masked: dict[str, Any] = {}
    for name, value in infos.items():
        done = name.startswith("_") or f"_{name}" in infos
        masked[name] = _masked(value, count) if isinstance(value, dict) and not done else value
        if not done:
            masked[f"_{name}"] = np.ones(count, bool)
    return masked


__all__ = ["ExpressVector"]
