"""What the worlds with robots share: actions, what the robots feel, divergence and pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from ..robot.dress import Dress
from ..robot.render import FaceRenderer
from .common import OnDivergence, box, into, one_of, settings
from .robot_bodies import LANDMARKS, LARGEST_POSITION, LARGEST_VELOCITY, Actions, RobotBodies
from .variation import Variation
from .world import Ids, World


class RobotWorld(World):
    """Robots that obey actions, and are drawn when asked; tasks add what is observed and rewarded.

    Args:
        count: number of robots.
        threads: worker threads of the physics; 0 takes all cores. Results do not depend on it.
        actions: `symmetric`, 11 parameters, or `all`, 26 servos.
        control_hz: actions a second, 125 divided by a whole number.
        variation: how robots differ from episode to episode, a `Variation` or a mapping of its fields.
        on_divergence: `raise` `PhysicsDiverged` or `terminate` the episode.
        skin, width_px, height_px: the picture of `render`.
    """

    def __init__(
        self,
        count: int,
        *,
        threads: int = 1,
        actions: Actions = "symmetric",
        control_hz: float = 25.0,
        variation: Variation | Mapping[str, Any] | None = None,
        on_divergence: OnDivergence = "raise",
        skin: str | Dress = "porcelain",
        width_px: int = 480,
        height_px: int = 480,
    ):
        one_of("actions", actions, ("symmetric", "all"))
        one_of("on_divergence", on_divergence, ("raise", "terminate"))
        self.on_divergence, self.fps = on_divergence, control_hz
        varied = settings(Variation, variation)
        self.bodies = RobotBodies(count, actions, threads=threads, control_hz=control_hz, variation=varied)
        self.action_names = self.bodies.names
        self.action_space = box(-1, 1, len(self.bodies.names))
        self.felt_space = proprioception_space(len(self.bodies.names))
        self._picture, self._renderer = (skin, width_px, height_px), None
        self._change = np.zeros(count)
        self._projected, self._diverged = np.zeros((2, count), bool)
        self.landmarks_mm = np.zeros((count, 3 * len(LANDMARKS)))
        """Displacements of the landmarks after the last step, (count, 69) mm."""

    def restart(self, ids: Ids, rngs: Sequence[np.random.Generator], options: Mapping[str, Any]) -> None:
        """The robots at rest; `options` are the task's."""
        del options
        self.bodies.restart(ids, rngs)
        self._change[ids] = self._projected[ids] = self._diverged[ids] = 0
        self.landmarks_mm[ids] = self.bodies.landmarks_mm(ids)

    def advance(self, ids: Ids, actions: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        del rngs
        self._change[ids], self._projected[ids], self._diverged[ids] = self.bodies.drive(ids, actions)
        self.landmarks_mm[ids] = self.bodies.landmarks_mm(ids)
        return self._diverged[ids]

    def recover(self, ids: Ids) -> None:
        self.bodies.restart(ids)
        self.landmarks_mm[ids] = self.bodies.landmarks_mm(ids)

    def felt(self, ids: Ids) -> np.ndarray:
        """Proprioception (k, 3 · width)."""
        return into(self.felt_space, self.bodies.proprioception(ids))

    def info(self, ids: Ids) -> dict[str, Any]:
        return {
            "projected": self._projected[ids],
            "diverged": self._diverged[ids],
            "command": self.bodies.commands[ids],
        }

    def pictures(self, ids: Ids) -> list[np.ndarray]:
        if self._renderer is None:
            skin, width_px, height_px = self._picture
            self._renderer = FaceRenderer(skin, width_px=width_px, height_px=height_px)
        states, draw = self.bodies.faces.state(), self._renderer.image
        each = [states[int(i)] for i in ids]
        return [draw(s.vertices_m, head_pose=s.head_pose, gaze_rad=s.gaze_rad) for s in each]

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


def proprioception_space(width: int) -> spaces.Box:
    """Positions, velocities and last commands of `width` actuated parameters, in units of the action."""
    high = np.repeat(np.array([LARGEST_POSITION, LARGEST_VELOCITY, 1.0], np.float32), width)
    return spaces.Box(-high, high, dtype=np.float32)


__all__ = ["RobotWorld", "proprioception_space"]
