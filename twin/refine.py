"""Servo commands corrected by what each servo does to the face.

The inverse self-model answers for faces like the robot's own; a person's face is another one, and its answer is
off there. What a servo does to the landmarks is nearly linear (R² 0.99 on this robot), so the command that comes
closest to the wanted face is a small least-squares problem. The self-model's answer is its prior: it decides where
several servos do much the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import solve_triangular

from ..sim import mesh
from ..sim.alignment import align
from ..sim.robot.face import RobotFaces
from ..sim.robot.limits import SafeSet, least_step
from ..sim.robot.servo import EXPRESSIVE, REST_COMMAND

PRIOR_M = 0.02
"""A whole command away from the self-model's answer weighs as much as this error, m, of one landmark."""
_WEIGHT = {"mouth": 1.0, "brow": 1.0, "eye": 1.0, "chin": 0.5, "cheek": 0.3}
"""Weight of the regions that show expression; the rest of the face only tells who it is."""
_SPAN, _STEPS = 0.5, 20


def landmark_weights() -> np.ndarray:
    """How much each landmark counts, (468,), by its region."""
    weights = np.zeros(mesh.VERTEX_COUNT)
    for name in mesh.REGIONS:
        weights[list(mesh.region(name))] = _WEIGHT.get(name.split()[-1], 0.0)
    return weights


def servo_shapes(settled_m: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
    """Aligned landmark motion per command of each expressive servo, (19, 468, 3) m.

    Each servo moves alone by half its travel to both sides of rest, as far as it goes. settled_m: vertices (38, 468, 3)
    m of a robot at rest in commands (38, 26); None takes the default robot.
    """
    places = np.array(EXPRESSIVE)
    low, high = np.minimum(REST_COMMAND[places], _SPAN), np.minimum(1 - REST_COMMAND[places], _SPAN)
    commands = np.tile(REST_COMMAND, (2 * len(places), 1))
    rows = np.arange(len(places))
    commands[2 * rows, places] -= low
    commands[2 * rows + 1, places] += high
    faces = align((settled_m or _settled_m)(commands))
    return (faces[1::2] - faces[::2]) / (low + high)[:, None, None]


def _settled_m(commands: np.ndarray) -> np.ndarray:
    robots = RobotFaces(len(commands))
    for share in np.linspace(0, 1, _STEPS):
        robots.advance(REST_COMMAND + (commands - REST_COMMAND) * share)
    robots.advance(commands, _STEPS)
    return robots.state().vertices_m


@dataclass(frozen=True, eq=False)
class Refiner:
    """Finds the safe command whose face is closest to a wanted one.

    shapes_m: landmark motion per command of each expressive servo, (19, 468, 3).
    weights: of each landmark, (468,).
    prior_m: weight of the self-model's answer, see `PRIOR_M`.
    """

    shapes_m: np.ndarray
    weights: np.ndarray
    safe_set: SafeSet
    prior_m: float = PRIOR_M

    @classmethod
    def default(cls, safe_set: SafeSet | None = None) -> "Refiner":
        """For the default robot; takes half a second."""
        return cls(servo_shapes(), landmark_weights(), safe_set or SafeSet.default())

    def __call__(self, motion_m: np.ndarray, command: np.ndarray) -> np.ndarray:
        """The command (26,) for a wanted motion of the landmarks from rest, (468, 3) m, near `command`, (26,).

        Neck and eyeballs stay as in `command`. Minimises Σ w |shapes·x − motion|² + prior²·|x − x₀|² over safe x.
        """
        places, (pull, inverse, lhs) = list(EXPRESSIVE), self._system
        start = command[places] - REST_COMMAND[places]
        normal = pull @ motion_m.ravel() + self.prior_m**2 * start
        # In y = Lᵀx, with L Lᵀ the normal matrix, the error is the distance from `centre`.
        centre = inverse @ normal
        free = centre @ inverse
        rhs = self._bounds(command)
        if (self._rows @ free < rhs).any():
            centre = centre + least_step(lhs, rhs - lhs @ centre)
            free = centre @ inverse
        refined = command.copy()
        refined[places] = np.clip(REST_COMMAND[places] + free, 0, 1)
        return refined

    @cached_property
    def _rows(self) -> np.ndarray:
        """Constraints on x, rows @ x >= bounds: the hazards, then both ends of every servo."""
        places, eye = list(EXPRESSIVE), np.eye(len(EXPRESSIVE))
        return np.vstack([-self.safe_set.rows[:, places], eye, -eye])

    @cached_property
    def _system(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shapes = self.shapes_m.reshape(len(self.shapes_m), -1)
        pull = shapes * np.repeat(self.weights, 3)
        factor = np.linalg.cholesky(pull @ shapes.T + self.prior_m**2 * np.eye(len(shapes)))
        inverse = solve_triangular(factor, np.eye(len(factor)), lower=True)
        return pull, inverse, self._rows @ inverse.T

    def _bounds(self, command: np.ndarray) -> np.ndarray:
        places = list(EXPRESSIVE)
        others = command.copy()
        others[places] = REST_COMMAND[places]
        slack = self.safe_set.bounds - self.safe_set.rows @ others - 1e-6
        return np.concatenate([-slack, -REST_COMMAND[places], REST_COMMAND[places] - 1])
