"""From a wanted face to a checked servo command: what every controller of the robot's face shares."""

import numpy as np

from ..hardware.guard import Guard
from ..learning.self_model import SelfModel
from ..sim.robot.face import CONTROL_PERIOD_S
from ..sim.robot.limits import SafeSet
from ..sim.robot.servo import EXPRESSIVE, REST_COMMAND, expand
from .refine import Refiner

LOST_AFTER_S = 1.0
"""Without anybody to be seen or heard for this long, the robot goes back to rest."""
_SKIN = list(EXPRESSIVE)


class Steering:
    """Knows which command shows a face, and moves toward a command as far as the servos can.

    Args:
        model: the robot's self-model.
        refiner: corrects the self-model's answer by what each servo does; None takes the default robot's.
        safe_set, guard: what the robot may do, and who checks it.
    """

    def __init__(
        self,
        model: SelfModel,
        *,
        refiner: Refiner | None = None,
        safe_set: SafeSet | None = None,
        guard: Guard | None = None,
    ):
        self.model = model
        self.safe_set = safe_set or SafeSet.default()
        self.refiner = refiner or Refiner.default(self.safe_set)
        self.guard = guard or Guard(self.safe_set)
        self.time_s = -np.inf
        """When the last command passed."""
        self._at_rest = self._answer(model.rest_m)

    def command(self, wanted_m: np.ndarray) -> np.ndarray:
        """The command, (26,), that shows aligned landmarks (468, 3) m best; neck and eyeballs at rest."""
        # What the self-model says of the resting face is its error: a calm person must leave the robot at rest.
        answer = self._answer(wanted_m) - self._at_rest + REST_COMMAND
        return self.refiner(wanted_m - self.model.rest_m, answer)

    def toward(self, goal: np.ndarray, time_s: float) -> np.ndarray:
        """The next command, (26,), on the way to a goal (26,), as far as the servos can go since the last one.

        The servos that shape the skin keep step with the slowest of them: were each as fast as it can be, lips would
        stand somewhere in between before the corners of the mouth have followed, and pull the skin out of shape.

        Raises `CommandRejected` if the Guard does not let it pass; then nothing has been sent.
        """
        gap_s = CONTROL_PERIOD_S if self.time_s == -np.inf else min(time_s - self.time_s, CONTROL_PERIOD_S)
        last, largest = self.guard.last, self.guard.limits.rate_per_s * max(gap_s, 1e-6)
        change = goal - last
        change[_SKIN] /= max(float(np.max(np.abs(change[_SKIN]) / largest[_SKIN])), 1.0)
        command = self.guard.check(self.guard.toward(last + change, time_s), time_s)
        self.time_s = time_s
        return command

    def _answer(self, wanted_m: np.ndarray) -> np.ndarray:
        return expand(*self.model.predict_sides(wanted_m))


__all__ = ["LOST_AFTER_S", "Steering"]
