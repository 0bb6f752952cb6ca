"""The control loop without input and output: a face goes in, a checked servo command comes out."""

from collections.abc import Iterator

import numpy as np

from ..hardware.guard import Guard
from ..learning.self_model import SelfModel
from ..sim.camera import Face, Neutral
from ..sim.robot.face import CONTROL_PERIOD_S
from ..sim.robot.limits import SafeSet, rate_limits
from ..sim.robot.servo import REST_COMMAND, expand
from .attention import attend
from .refine import Refiner
from .retarget import Retarget

LOST_AFTER_S = 1.0
"""Without a face for this long, the robot goes back to rest."""
_RATE_SHARE = 0.999
"""Of what the Guard allows, so that rounding never decides."""


class Mirror:
    """Faces in, checked servo commands out.

    Args:
        model: the robot's self-model.
        retarget: maps this person's face onto the robot's; None: the robot rests until `calibrate` is called.
        refiner: corrects the self-model's answer by what each servo does; None takes the default robot's.
        safe_set, guard: what the robot may do, and who checks it.
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
        self.safe_set = safe_set or SafeSet.default()
        self.refiner = refiner or Refiner.default(self.safe_set)
        self.guard = guard or Guard(self.safe_set)
        self._at_rest = self._answer(model.rest_m)
        self.goal = REST_COMMAND.copy()
        """The safe command for the face seen last, (26,), toward which the robot moves."""
        self.wanted_m: np.ndarray | None = None
        """The face the robot should show: aligned landmarks in its own range, (468, 3); None at rest."""
        self._time_s = -np.inf
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
        self._command(self.model.rest_m)  # the first call is slow; no frame shall wait for it

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
        gap_s = CONTROL_PERIOD_S if self._time_s == -np.inf else min(time_s - self._time_s, CONTROL_PERIOD_S)
        step = self.safe_set.toward(self.guard.last, self.goal, _RATE_SHARE * rate_limits(max(gap_s, 1e-6)))
        command = self.guard.check(step, time_s)
        self._time_s = time_s
        return command

    def ticks_before(self, time_s: float) -> Iterator[float]:
        """Times, s, at which to call `hold` before `time_s`, where frames come slower than the control loop."""
        while self._time_s > -np.inf and self._time_s + 1.01 * CONTROL_PERIOD_S < time_s:
            yield self._time_s + CONTROL_PERIOD_S

    def _goal(self, face: Face) -> np.ndarray:
        if self.retarget is None:
            return REST_COMMAND.copy()
        wanted = self.retarget(face.aligned_m)
        self.wanted_m = wanted
        command = attend(self._command(wanted), face, self._neutral_gaze_rad, self._neutral_pitch_rad)
        return self.safe_set.project(command)

    def _command(self, wanted_m: np.ndarray) -> np.ndarray:
        # What the self-model says of the resting face is its error: a calm person must leave the robot at rest.
        answer = self._answer(wanted_m) - self._at_rest + REST_COMMAND
        return self.refiner(wanted_m - self.model.rest_m, answer)

    def _answer(self, wanted_m: np.ndarray) -> np.ndarray:
        return expand(*self.model.predict_sides(wanted_m))
