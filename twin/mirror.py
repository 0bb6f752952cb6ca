"""The control loop without input and output: a face goes in, a checked servo command comes out."""

from collections.abc import Iterator

import numpy as np

from ..hardware.guard import Guard
from ..learning.self_model import SelfModel
from ..sim.camera import Face, Neutral
from ..sim.robot.face import CONTROL_PERIOD_S
from ..sim.robot.limits import SafeSet
from ..sim.robot.servo import REST_COMMAND
from .attention import attend
from .refine import Refiner
from .retarget import Retarget
from .steering import LOST_AFTER_S, Steering


class Mirror:
    """Faces in, checked servo commands out.

    Args:
        model: the robot's self-model.
        retarget: maps this person's face onto the robot's; None: the robot rests until `calibrate` is called.
        refiner, safe_set, guard: as for `Steering`.
    """

    def __init__(
        self,
        model: SelfModel,
        retarget: Retarget | None = None,
        *,
        refiner: Refiner | None = None,
        safe_set: SafeSet | None = None,
        guard: Guard | None = None,
    ):
        self.model, self.retarget = model, retarget
        self.steering = Steering(model, refiner=refiner, safe_set=safe_set, guard=guard)
        self.refiner, self.guard = self.steering.refiner, self.steering.guard
        self.goal = REST_COMMAND.copy()
        """The safe command for the face seen last, (26,), toward which the robot moves."""
        self.wanted_m: np.ndarray | None = None
        """The face the robot should show: aligned landmarks in its own range, (468, 3); None at rest."""
        self._seen_s = -np.inf
        self._neutral_gaze_rad = np.zeros((2, 2))
        self._neutral_pitch_rad = 0.0

    @property
    def wanted_motion_m(self) -> np.ndarray:
        """How far each landmark should be from the robot's rest, (468, 3)."""
        rest = self.model.rest_m
        return np.zeros_like(rest) if self.wanted_m is None else self.wanted_m - rest

    def calibrate(self, neutral: Neutral, pitch_rad: float = 0.0) -> None:
        """Measure this person's expressions from `neutral` on, and nods from a head `pitch_rad`."""
        self.retarget = Retarget.of(self.model, neutral)
        self._neutral_gaze_rad, self._neutral_pitch_rad = neutral.gaze_rad, pitch_rad
        self.steering.command(self.model.rest_m)  # the first call is slow; no frame shall wait for it

    def mirror_face(self, face: Face | None, time_s: float) -> np.ndarray:
        """Look at a face and return the next command, (26,). Without one the goal stays, in the end it is rest.

        Raises `CommandRejected` if the Guard does not let the command pass; then nothing has been sent.
        """
        if face is not None:
            self._seen_s = time_s
            self.goal = self._goal(face)
        elif time_s - self._seen_s > LOST_AFTER_S:
            self.goal, self.wanted_m = REST_COMMAND.copy(), None
        return self.hold(time_s)

    def hold(self, time_s: float) -> np.ndarray:
        """The next command, (26,), on the way to the goal, as far as the servos can go since the last one."""
        return self.steering.toward(self.goal, time_s)

    def ticks_before(self, time_s: float) -> Iterator[float]:
        """Times, s, at which to call `hold` before `time_s`, where frames come slower than the control loop."""
        while self.steering.time_s > -np.inf and self.steering.time_s + 1.01 * CONTROL_PERIOD_S < time_s:
            yield self.steering.time_s + CONTROL_PERIOD_S

    def _goal(self, face: Face) -> np.ndarray:
        if self.retarget is None:
            return REST_COMMAND.copy()
        self.wanted_m = self.retarget(face.aligned_m)
        command = self.steering.command(self.wanted_m)
        command = attend(command, face, self._neutral_gaze_rad, self._neutral_pitch_rad)
        return self.steering.safe_set.project(command)


__all__ = ["LOST_AFTER_S", "Mirror"]
