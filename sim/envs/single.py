"""A world with one copy as a Gymnasium environment."""

from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.utils import EzPickle

from ..errors import InputError
from .common import checked_action, no_more, one_of
from .world import World

METADATA: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 25}
_ONLY = np.array([0])


class Single(gymnasium.Env, EzPickle):
    """One copy of `world`. Keyword arguments are the world's; `render_mode` is `rgb_array` or None.

    A copy of an environment, pickled or not, is made anew from its arguments.
    """

    metadata = METADATA
    world: ClassVar[Callable[..., World]]

    def __init__(self, *, render_mode: str | None = None, **settings: Any):
        EzPickle.__init__(self, render_mode=render_mode, **settings)
        if render_mode is not None:
            one_of("render_mode", render_mode, tuple(METADATA["render_modes"]))
        self.render_mode = render_mode
        self._world: Any = self.world(1, **settings)  # Any: worlds have more to ask than `World` has
        self.metadata = METADATA | {"render_fps": max(1, round(self._world.fps))}
        self.observation_space, self.action_space = self._world.observation_space, self._world.action_space
        self._wishes, self._begun = self._world.action_space, False

    @property
    def action_names(self) -> tuple[str, ...]:
        """What every entry of an action is called."""
        return self._world.action_names

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """A new episode. Raises `VocabularyError` for an unknown option."""
        options = no_more(options, self._world.reset_options)
        super().reset(seed=seed)
        self._world.restart(_ONLY, [self.np_random], options)
        self._begun = True
        return self._observe(), row(self._world.info(_ONLY), 0)

    def step(self, action: Any) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """One control period. Raises `InputError` for an action that is not allowed, and as `on_divergence` says."""
        self._must_have_begun("step")
        wanted = checked_action(action, self._wishes, self._world.action_names)
        diverged = self._world.step(_ONLY, wanted[None], [self.np_random])
        info = row(self._world.info(_ONLY), 0)
        return self._observe(), float(self._world.reward(info)), bool(diverged[0]), False, info

    def render(self) -> np.ndarray | None:
        """A picture, (height, width, 3) uint8; None without render mode."""
        if self.render_mode is None:
            return None
        self._must_have_begun("render")
        return self._world.pictures(_ONLY)[0]

    def close(self) -> None:
        """Give the OpenGL context back, if there is one; any number of times."""
        self._world.close()

    def _observe(self) -> dict[str, np.ndarray]:
        return {name: value[0].copy() for name, value in self._world.observe(_ONLY).items()}

    def _must_have_begun(self, what: str) -> None:
        if not self._begun:
            raise InputError(f"{what}: there is no episode yet; call reset() first")


class RobotSingle(Single):
    """One copy of a world with robots, open to whoever knows MuJoCo."""

    @property
    def model(self) -> Any:
        """The robot's `mujoco.MjModel`."""
        return self._world.bodies.faces.model

    @property
    def data(self) -> Any:
        """A copy of the robot's `mujoco.MjData`."""
        return self._world.bodies.faces.data(0)


class GoalSingle(Single):
    """One copy of a world whose observations are `observation`, `achieved_goal` and `desired_goal`."""

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any = None) -> Any:
        """Reward (…,) of goals (…, width): the match, plus the terms of effort where `info` names them.

        With the info of a step this is the step's reward. Many goals take a sequence of as many infos.
        """
        return self._world.compute_reward(achieved_goal, desired_goal, info)


def row(info: dict[str, Any], i: Any) -> dict[str, Any]:
    """What an info of many says of one copy; numbers of one copy are Python's."""
    one: dict[str, Any] = {}
    for name, value in info.items():
        if isinstance(value, dict):
            one[name] = row(value, i)
        else:
            one[name] = value[i].copy() if value.ndim > 1 else value[i].item()
    return one


__all__ = ["METADATA", "GoalSingle", "RobotSingle", "Single", "row"]
