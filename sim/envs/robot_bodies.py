"""Robots for environments: actions in, proprioception, landmarks and effort out, any number at once.

One robot or many give the same numbers bit for bit: the physics is MuJoCo's batch, and what is computed beside it is
computed robot by robot. An action is a wish where each servo should stand; `drive` takes the step toward it that the
servos can follow and the safe set allows.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ..errors import InputError
from ..robot.face import RobotFaces
from ..robot.limits import SafeSet, rate_limits
from ..robot.mechanism import MechanismConfig
from ..robot.servo import LIMITS_RAD, REST_COMMAND, SERVO_NAMES, SYMMETRIC_NAMES, expand, symmetric, to_command
from .variation import Variation

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


class RobotBodies:
    """`count` robots that obey actions in −1…1, −1 where a servo's command is 0 and +1 where it is 1.

    Every method takes `ids`, the k robots that are meant, and returns arrays with these as leading axis.

    Args:
        count: number of robots.
        actions: which servos an action moves.
        threads: worker threads; 0 takes all cores.
        control_hz: actions a second, the physics' 125 steps a second divided by a whole number.
        variation: how robots differ; None for none.
    """

    def __init__(
        self,
        count: int,
        actions: Actions = "all",
        *,
        threads: int = 1,
        control_hz: float = 25.0,
        variation: Variation | None = None,
    ):
        config = MechanismConfig()
        self.faces = RobotFaces(count, threads=threads, config=config)
        self.names = ACTION_NAMES[actions]
        self._symmetric = actions == "symmetric"
        self._steps = substeps(control_hz, 1 / config.timestep_s)
        self._step_s = config.timestep_s
        self._safe, self._largest_step = SafeSet.default(), rate_limits(self._steps * self._step_s)
        self._variation = variation or Variation()
        self._offset, self._play = np.zeros((2, count, len(SERVO_NAMES)))
        self.commands = np.tile(REST_COMMAND, (count, 1))
        """The commands in force, (count, 26)."""
        self._reached = self.commands.copy()

    def __len__(self) -> int:
        return len(self.faces)

    def restart(self, ids: np.ndarray, rngs: Sequence[np.random.Generator] = ()) -> None:
        """Put some robots at their rest command at time zero, and leave the others alone.

        rngs: one a robot, from which it is varied; without, robots stay who they are.
        """
        if self._variation.any and len(rngs):
            drawn = [self._variation.draw(rng) for rng in rngs]
            each = {name: np.stack([one[name] for one in drawn]) for name in drawn[0]}
            self._offset[ids], self._play[ids] = each.pop("offset"), each.pop("play")
            self.faces.vary(ids, **each)
        self.faces.reset(ids)
        self.commands[ids] = self._reached[ids] = REST_COMMAND
        if self._offset[ids].any():
            self.hold(ids, 0.2)  # a horn that is off is off from the start

    def drive(self, ids: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance one control period toward actions (k, width) in −1…1.

        Returns the mean square change of the actuated commands in units of the action, (k,); whether the safe set
        changed the step, (k,) bool; whether the simulation diverged, (k,) bool.
        """
        before = self.commands[ids]
        goals = self.to_commands(actions)
        possible = np.clip(before + np.clip(goals - before, -self._largest_step, self._largest_step), 0.0, 1.0)
        sent = self._safe.toward_each(before, goals, self._largest_step)
        self.commands[ids] = sent
        change = self.to_units(sent) - self.to_units(before)
        diverged = self._hold(ids, self._steps)
        return _mean(change * change), np.abs(sent - possible).max(-1) > _UNSAFE, diverged

    def hold(self, ids: np.ndarray, seconds: float) -> np.ndarray:
        """Advance with the commands in force; returns who diverged, (k,) bool."""
        return self._hold(ids, round(seconds / self._step_s))

    def settle(self, ids: np.ndarray, commands: np.ndarray, wait_s: float = 0.8) -> np.ndarray:
        """Landmarks (k, 69) mm after waiting at commands (k, 26) from rest; at 0.8 s within 0.01 mm of the end."""
        self.restart(ids)
        self.commands[ids] = commands
        self.hold(ids, wait_s)
        return self.landmarks_mm(ids)

    def proprioception(self, ids: np.ndarray) -> np.ndarray:
        """Positions, velocities (per control period) and last commands, (k, 3 · width), in units of the action."""
        period_s = self._steps * self._step_s
        moving = self.faces.servo_rad_s(ids) * (2 * period_s / np.diff(LIMITS_RAD).ravel())
        moving = symmetric(moving) if self._symmetric else moving
        positions = self.to_units(to_command(self.faces.servo_rad(ids)))
        return np.concatenate([positions, moving, self.to_units(self.commands[ids])], axis=-1)

    def landmarks_mm(self, ids: np.ndarray) -> np.ndarray:
        """Displacements of `LANDMARKS` from the skin's own rest in the head frame, (k, 69) mm, x y z in turn."""
        skin, rest = self.faces.skin, self.faces.skin.rest[list(LANDMARKS)]
        each = [1e3 * (skin.at(LANDMARKS, robot[None])[0] - rest).ravel() for robot in self.faces.ports_m(ids)]
        return np.array(each).reshape(len(ids), -1)

    def tension_mj(self, ids: np.ndarray) -> np.ndarray:
        """Elastic energy of the skin by its linear stiffness, (k,) mJ, zero with the servos at rest."""
        return self.faces.tension_mj(ids)

    def to_commands(self, actions: np.ndarray) -> np.ndarray:
        """Commands (…, 26) in 0…1 of actions (…, width)."""
        commands = 0.5 * (np.asarray(actions, float) + 1.0)
        return expand(commands) if self._symmetric else commands

    def to_units(self, commands: np.ndarray) -> np.ndarray:
        """Commands (…, 26) in units of the action, (…, width); the mean of both sides where these act alike."""
        return 2.0 * (symmetric(commands) if self._symmetric else commands) - 1.0

    def _hold(self, ids: np.ndarray, steps: int) -> np.ndarray:
        half = 0.5 * self._play[ids]
        reached = np.clip(self._reached[ids], self.commands[ids] - half, self.commands[ids] + half)
        self._reached[ids] = reached
        return self.faces.hold(ids, np.clip(reached + self._offset[ids], 0.0, 1.0), steps)


def substeps(control_hz: float, physics_hz: float) -> int:
    """Steps of the physics in one control period. Raises `InputError` unless it is a whole number, 1 … 125."""
    steps = physics_hz / control_hz if np.isfinite(control_hz) and control_hz > 0 else 0.0
    if not (1 - 1e-9 <= steps <= 125 and abs(steps - round(steps)) < 1e-9):
        raise InputError(
            f"control_hz: got {control_hz}; allowed is {physics_hz:g} divided by 1, 2, … 125, for instance 25"
        )
    return round(steps)


def _mean(rows: np.ndarray) -> np.ndarray:
    """Mean of the last axis, robot by robot, so that it does not depend on how many there are."""
    return np.array([row.mean() for row in rows])


__all__ = [
    "ACTION_NAMES",
    "LANDMARKS",
    "LARGEST_MM",
    "LARGEST_POSITION",
    "LARGEST_VELOCITY",
    "Actions",
    "RobotBodies",
    "substeps",
]
