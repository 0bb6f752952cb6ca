"""What a calibration is good for: commands that make a robot's own skin show what the design's would, and its twin.

    adapt = Adaptation.of(Calibration.load("face.json"))
    face.toward(adapt(command))          # `command` as mirror, anticipation or a policy made it for the design
    adapt.lag, adapt.faces(8)

Directions and ratios of the linkages are no matter here: they stand in the calibration's servo map.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..sim.robot.individual import Individual, IndividualFaces
from ..sim.robot.limits import SafeSet
from ..sim.robot.servo import EXPRESSIVE, REST_COMMAND
from .calibration import Calibration
from .refine import landmark_weights, servo_shapes
from .robot_lag import RobotLag

Array = NDArray[np.floating]

PRIOR_M = 0.004
"""A whole command away from the design's weighs as much as this error, m, of one landmark: skins differ by what no
servo can make good, and what all servos together make good by mm of their own is not to be had."""
_SKIN = list(EXPRESSIVE)


@dataclass(frozen=True, eq=False)
class Adaptation:
    """Of one robot. individual: its twin. matrix (19, 19): its commands from rest, for the design's from rest."""

    individual: Individual
    matrix: Array
    safe_set: SafeSet

    @classmethod
    def of(cls, calibration: Calibration, safe_set: SafeSet | None = None) -> "Adaptation":
        """For a calibrated robot; takes a second or two."""
        return cls.to(calibration.individual, safe_set)

    @classmethod
    def to(cls, individual: Individual, safe_set: SafeSet | None = None) -> "Adaptation":
        """For a twin whose directions and ratios are the design's.

        Least squares: Σ w |shapes·x − design's shapes·x₀|² + prior²·|x − x₀|², which is linear in x₀.
        """
        design, own = _shapes(Individual()), _shapes(individual)
        pull, prior = own * np.repeat(landmark_weights(), 3), PRIOR_M**2 * np.eye(len(_SKIN))
        matrix = np.linalg.solve(pull @ own.T + prior, pull @ design.T + prior)
        return cls(individual, matrix, safe_set or SafeSet.default())

    def __call__(self, command: Array) -> Array:
        """The safe command (26,) for this robot that comes closest to what the design shows at `command` (26,)."""
        own = np.array(command, float)
        own[_SKIN] = REST_COMMAND[_SKIN] + self.matrix @ (own[_SKIN] - REST_COMMAND[_SKIN])
        return self.safe_set.project(np.clip(own, 0, 1))

    def faces(self, count: int = 1, **more: float) -> IndividualFaces:
        """Simulated copies of the robot: its forward model. Other arguments as of `IndividualFaces`."""
        return IndividualFaces(self.individual, count, **more)  # pyright: ignore[reportArgumentType]

    @cached_property
    def lag(self) -> RobotLag:
        """How late this robot's face is, by its twin."""
        return RobotLag.measure(self.faces(8))


def _shapes(individual: Individual) -> Array:
    """What its servos do, (19, 1404) m a command."""
    robots = IndividualFaces(individual, 2 * len(_SKIN), timestep_s=0.008)
    return servo_shapes(lambda commands: robots.settled(commands).vertices_m).reshape(len(_SKIN), -1)


__all__ = ["PRIOR_M", "Adaptation"]
