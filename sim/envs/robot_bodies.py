"""Robots for environments: actions in, proprioception, landmarks and effort out, any number at once.

One robot or many give the same numbers bit for bit: the physics is MuJoCo's batch, and what is computed beside it is
computed robot by robot. An action is a wish where each servo should stand; `drive` takes the step toward it that the
servos can follow and the safe set allows.
"""

from typing import Literal

import numpy as np

from ..robot.face import CONTROL_PERIOD_S, RobotFaces
from ..robot.limits import SafeSet, rate_limits
from ..robot.mechanism import MechanismConfig
from ..robot.servo import LIMITS_RAD, REST_COMMAND, SERVO_NAMES, SYMMETRIC_NAMES, expand, symmetric, to_command, to_rad

Actions = Literal["symmetric", "all"]
"""`symmetric`: 11 parameters, both sides alike, neck and eyeballs at rest. `all`: the 26 servos."""
ACTION_NAMES: dict[str, tuple[str, ...]] = {"symmetric": SYMMETRIC_NAMES, "all": SERVO_NAMES}
"""What every entry of an action is called, in order."""

LANDMARKS: tuple[int, ...] = (
    55, 105, 70, 285, 334, 300,  # brows: inner, middle, outer; right, then left
    159, 145, 386, 374,  # lids: upper, lower; right, then left
    61, 291,  # corners of the mouth: right, left
    0, 40, 270, 13,  # upper lip: outer middle, outer right and left, inner middle
    17, 91, 321, 14,  # lower lip: likewise
    205, 425,  # cheeks
    152,  # chin
)  # fmt: skip
"""Vertices of the canonical mesh that environments observe, 23 of them, in the order of every array of landmarks."""
LARGEST_MM = 40.0
"""Bound of a landmark's displacement in observations; the robot's largest, of the chin, is about 20 mm."""
LARGEST_POSITION = 2.0
"""Bound of a servo's position in observations, in units of the action."""
LARGEST_VELOCITY = 5.0
"""Bound of a servo's velocity in observations, in units of the action per control period."""

_UNSAFE = 1e-6


class RobotBodies(RobotFaces):
    """`count` robots that obey actions in −1…1, −1 where a servo's command is 0 and +1 where it is 1.

    Every method takes `ids`, the k robots that are meant, and returns arrays with these as leading axis.

    Args:
        count: number of robots.
        actions: which servos an action moves.
        threads: worker threads; 0 takes all cores.
        config: the mechanism's free parameters.
    """

    def __init__(self, count: int, actions: Actions, *, threads: int = 1, config: MechanismConfig | None = None):
        super().__init__(count, threads=threads, config=config)
        self.names = ACTION_NAMES[actions]
        self._symmetric = actions == "symmetric"
        self._safe, self._largest_step = SafeSet.default(), rate_limits(CONTROL_PERIOD_S)
        self._velocity = self._batch.bind("qvel")
        self._stretch = self._batch.bind("ten_length")
        self._dof = np.array([int(self.model.joint(n).dofadr[0]) for n in SERVO_NAMES])
        self._stiffness = np.array(self.model.tendon_stiffness, float)
        self.commands = np.tile(REST_COMMAND, (count, 1))
        """The commands in force, (count, 26)."""

    def restart(self, ids: np.ndarray) -> None:
        """Put some robots at their rest command at time zero, and leave the others alone."""
        self._batch.reset(ids=ids)
        self._fields["ctrl"][ids] = 0.0  # every joint is zero at rest
        self._batch.forward(ids=ids)
        self._batch.warning[ids] = 0
        self.commands[ids] = REST_COMMAND

    def drive(self, ids: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance one control period toward actions (k, width) in −1…1.

        Returns the mean square change of the actuated commands in units of the action, (k,); whether the safe set
        changed the step, (k,) bool; whether the simulation diverged, (k,) bool.
        """
        before = self.commands[ids]
        goals = self.to_commands(actions)
        possible = np.clip(before + np.clip(goals - before, -self._largest_step, self._largest_step), 0.0, 1.0)
        sent = np.stack(
            [self._safe.toward(now, goal, self._largest_step) for now, goal in zip(before, goals, strict=True)]
        )
        self.commands[ids] = sent
        change = self.to_units(sent) - self.to_units(before)
        diverged = self.hold(ids)
        return _mean(change * change), np.abs(sent - possible).max(-1) > _UNSAFE, diverged

    def hold(self, ids: np.ndarray, periods: int = 1) -> np.ndarray:
        """Advance some control periods with the commands in force; returns who diverged, (k,) bool."""
        self._fields["ctrl"][np.ix_(ids, self._actuator)] = to_rad(self.commands[ids])
        self._batch.step(ids=ids, nstep=periods * self._substeps)
        return (self._batch.warning[ids][..., 1] != 0).any(-1)

    def settle(self, ids: np.ndarray, commands: np.ndarray, wait_s: float = 0.8) -> np.ndarray:
        """Landmarks (k, 69) mm after waiting at commands (k, 26) from rest; at 0.8 s within 0.01 mm of the end."""
        self.restart(ids)
        self.commands[ids] = commands
        self.hold(ids, round(wait_s / CONTROL_PERIOD_S))
        return self.landmarks_mm(ids)

    def proprioception(self, ids: np.ndarray) -> np.ndarray:
        """Positions, velocities (per control period) and last commands, (k, 3 · width), in units of the action."""
        angles, velocities = self._fields["qpos"][np.ix_(ids, self._joint)], self._velocity[np.ix_(ids, self._dof)]
        moving = velocities * (2 * CONTROL_PERIOD_S / np.diff(LIMITS_RAD).ravel())
        moving = symmetric(moving) if self._symmetric else moving
        return np.concatenate([self.to_units(to_command(angles)), moving, self.to_units(self.commands[ids])], axis=-1)

    def landmarks_mm(self, ids: np.ndarray) -> np.ndarray:
        """Displacements of `LANDMARKS` from the skin's own rest in the head frame, (k, 69) mm, x y z in turn."""
        ports, places = self._kinematics()[0][ids], np.array(LANDMARKS)
        rest = self.skin.rest[places]
        moved = [1e3 * (self.skin.vertices(robot[None])[0, places] - rest).ravel() for robot in ports]
        return np.array(moved).reshape(len(ids), -1)

    def tension_mj(self, ids: np.ndarray) -> np.ndarray:
        """Elastic energy of the skin by its linear stiffness, (k,) mJ, zero with the servos at rest."""
        lengths = self._stretch[ids]
        return 500.0 * _mean(self._stiffness * lengths * lengths) * lengths.shape[-1]

    def to_commands(self, actions: np.ndarray) -> np.ndarray:
        """Commands (…, 26) in 0…1 of actions (…, width)."""
        commands = 0.5 * (np.asarray(actions, float) + 1.0)
        return expand(commands) if self._symmetric else commands

    def to_units(self, commands: np.ndarray) -> np.ndarray:
        """Commands (…, 26) in units of the action, (…, width); the mean of both sides where these act alike."""
        return 2.0 * (symmetric(commands) if self._symmetric else commands) - 1.0


def _mean(rows: np.ndarray) -> np.ndarray:
    """Mean of the last axis, robot by robot, so that it does not depend on how many there are."""
    return np.array([row.mean() for row in rows])


__all__ = ["ACTION_NAMES", "LANDMARKS", "LARGEST_MM", "LARGEST_POSITION", "LARGEST_VELOCITY", "Actions", "RobotBodies"]
