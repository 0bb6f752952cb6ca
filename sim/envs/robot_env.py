"""What the environments with one robot share: spaces, stepping, rendering and closing."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import EzPickle

from ..errors import PhysicsDiverged
from ..robot.dress import Dress
from ..robot.render import FaceRenderer
from .common import OnDivergence, box, checked_action, into, one_of
from .robot_bodies import LARGEST_POSITION, LARGEST_VELOCITY, Actions, RobotBodies

ONLY = np.array([0])
"""The one robot of a scalar environment among its bodies."""
METADATA: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 25}


class RobotEnv(gymnasium.Env, EzPickle):
    """A robot that obeys actions, and is drawn when asked; environments add what is observed and rewarded.

    own: further arguments of the environment, which is made anew from all of them when it is unpickled.
    """

    metadata = METADATA

    def __init__(
        self,
        actions: Actions,
        on_divergence: OnDivergence,
        render_mode: str | None,
        picture: tuple[str | Dress, int, int],
        **own: Any,
    ):
        skin, width_px, height_px = picture
        EzPickle.__init__(
            self, actions=actions, on_divergence=on_divergence, render_mode=render_mode,
            skin=skin, width_px=width_px, height_px=height_px, **own,
        )  # fmt: skip
        one_of("actions", actions, ("symmetric", "all"))
        self._on_divergence = one_of("on_divergence", on_divergence, ("raise", "terminate"))
        if render_mode is not None:
            one_of("render_mode", render_mode, tuple(self.metadata["render_modes"]))
        self.render_mode = render_mode
        self._picture = picture
        self._renderer: FaceRenderer | None = None
        self._bodies = RobotBodies(1, actions)
        self._wishes = box(-1, 1, len(self._bodies.names))
        self.action_space = self._wishes
        self._proprioception = proprioception_space(len(self._bodies.names))

    def render(self) -> np.ndarray | None:
        """The robot as a camera sees it, (height, width, 3) uint8; None without render mode."""
        if self.render_mode is None:
            return None
        if self._renderer is None:
            skin, width_px, height_px = self._picture
            self._renderer = FaceRenderer(skin, width_px=width_px, height_px=height_px)
        state = self._bodies.state()[0]
        return self._renderer.image(state.vertices_m, head_pose=state.head_pose, gaze_rad=state.gaze_rad)

    def close(self) -> None:
        """Give the OpenGL context back, if there is one; any number of times."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _restart(self, seed: int | None) -> None:
        super().reset(seed=seed)
        self._bodies.restart(ONLY)

    def _drive(self, action: Any) -> tuple[float, bool, bool]:
        """One step: mean square change of the commands, whether it was projected, whether the physics diverged."""
        wanted = checked_action(action, self._wishes, self._bodies.names)
        change, projected, diverged = self._bodies.drive(ONLY, wanted[None])
        if diverged[0]:
            if self._on_divergence == "raise":
                raise PhysicsDiverged(diverged_message("the robot"))
            self._bodies.restart(ONLY)  # what is observed of a last step must be finite
        return float(change[0]), bool(projected[0]), bool(diverged[0])

    def _felt(self) -> np.ndarray:
        return into(self._proprioception, self._bodies.proprioception(ONLY)[0])


def proprioception_space(width: int) -> gymnasium.spaces.Box:
    """Positions, velocities and last commands of `width` actuated parameters, in units of the action."""
    high = np.repeat(np.array([LARGEST_POSITION, LARGEST_VELOCITY, 1.0], np.float32), width)
    return gymnasium.spaces.Box(-high, high, dtype=np.float32)


def diverged_message(who: str) -> str:
    """What a diverged simulation says."""
    return (
        f"MuJoCo warned in the last step of {who}, whose state is not to be trusted: call reset(); with "
        "on_divergence='terminate' the episode ends instead, with info['diverged'] true"
    )


__all__ = ["METADATA", "ONLY", "RobotEnv", "diverged_message", "proprioception_space"]
