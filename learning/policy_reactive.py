"""Scripted controllers that show what they see, for comparison: mimicry in one shot, and visual servoing.

Both know how the landmarks move when each servo moves a little from rest, one at a time, and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..sim.envs.robot_bodies import LANDMARKS
from ..sim.errors import InputError
from ..sim.robot.servo import REST_COMMAND, symmetric
from .policy_network import ACHIEVED, DESIRED, Schema
from .policy_rollout import Episodes, play, training_seeds

REST = 2.0 * symmetric(REST_COMMAND) - 1.0
"""The action that keeps the robot at rest, (11,)."""
_MOVE = 0.2
"""How far each servo is moved to measure what it does, in units of the action."""
_DAMPINGS_MM = (1.0, 2.0, 3.0)
_GAINS = (0.3, 0.4, 0.45, 0.5)
_TUNING = 2**32 - 2**20
"""Number of the episodes that controllers are tuned on; no iteration of training has it."""


@dataclass(frozen=True, eq=False)
class Reactive:
    """Scripted mimicry: what is to be seen of the goal, put proportionally on the servos that move it, in one shot.

    gains: (11, 69) action by mm of the goal.
    """

    gains: np.ndarray

    def __call__(self, observations: Mapping[str, np.ndarray], step: int = 0) -> np.ndarray:
        """Actions (n, 11)."""
        del step
        return REST + observations[DESIRED] @ self.gains.T


@dataclass(frozen=True, eq=False)
class Servoing:
    """Visual servoing: every step corrects the command in force by a share of what the error asks for.

    gains: (11, 69) action by mm of error.
    """

    gains: np.ndarray

    def __call__(self, observations: Mapping[str, np.ndarray], step: int = 0) -> np.ndarray:
        """Actions (n, 11)."""
        del step
        command = observations["observation"][:, 2 * len(REST) :]
        return command + (observations[DESIRED] - observations[ACHIEVED]) @ self.gains.T


def reaches_faces(schema: Schema) -> bool:
    """Whether an environment is a robot with symmetric actions that is to reach faces, as Express is."""
    goal = (3 * len(LANDMARKS),)
    wanted = (ACHIEVED, goal), (DESIRED, goal), ("observation", (3 * len(REST),))
    return schema == Schema(wanted, len(REST))


def scripted(envs: Any, seed: int = 0) -> tuple[Reactive, Servoing]:
    """Both controllers at their best: damping and gain are chosen by their error in one episode of every environment.

    envs: robots with the 11 symmetric actions and a goal of landmarks. Raises `InputError` for others.
    """
    if not reaches_faces(Schema.of(envs)):
        raise InputError(f"scripted control: got {Schema.of(envs)}; allowed are robots that are to reach faces")
    motion = rest_motion_mm(envs, seed)
    inverses = [_inverse(motion, damping) for damping in _DAMPINGS_MM]
    reactive = [Reactive(inverse) for inverse in inverses]
    servoing = [Servoing(gain * inverse) for gain in _GAINS for inverse in inverses]
    return _best(envs, seed, reactive), _best(envs, seed, servoing)


def rest_motion_mm(envs: Any, seed: int = 0) -> np.ndarray:
    """Motion of the landmarks by one unit of each action, (69, 11) mm, measured around rest, servo by servo."""
    moved = [np.clip(REST + sign * _MOVE * unit, -1, 1) for unit in np.eye(len(REST)) for sign in (1, -1)]
    faces = np.concatenate([_faces(envs, moved[k : k + envs.num_envs], seed) for k in range(0, 22, envs.num_envs)])
    return np.stack(
        [(faces[2 * k] - faces[2 * k + 1]) / (moved[2 * k][k] - moved[2 * k + 1][k]) for k in range(len(REST))], axis=1
    )


def _faces(envs: Any, actions: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """Landmarks (len(actions), 69) mm that actions, no more than there are environments, lead to from rest."""
    held = np.tile(REST, (envs.num_envs, 1))
    held[: len(actions)] = actions
    shown: list[np.ndarray] = []
    play(
        envs,
        training_seeds(seed, _TUNING, envs.num_envs),
        lambda observations, step: held,
        last=lambda observations: shown.append(observations[ACHIEVED].astype(float)),
    )
    return shown[0][: len(actions)]


def _inverse(motion_mm: np.ndarray, damping_mm: float) -> np.ndarray:
    """Damped least squares: the action by mm of landmarks, (11, 69)."""
    normal = motion_mm.T @ motion_mm + damping_mm**2 * np.eye(motion_mm.shape[1])
    return np.linalg.solve(normal, motion_mm.T)


def _best(envs: Any, seed: int, controllers: Sequence[Any]) -> Any:
    seeds = training_seeds(seed, _TUNING, envs.num_envs)
    errors = [_mean_error_mm(play(envs, seeds, controller)) for controller in controllers]
    return controllers[int(np.argmin(errors))]


def _mean_error_mm(episodes: Episodes) -> float:
    if episodes.mean_error_mm is None:
        raise InputError("scripted control: the environment's info does not tell error_mm")
    return float(episodes.mean_error_mm.mean())


__all__ = ["REST", "Reactive", "Servoing", "reaches_faces", "rest_motion_mm", "scripted"]
