"""Where target faces come from: the robot's own reach, a person's expressions, or a file."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from ..errors import InputError
from ..mesh import VERTEX_COUNT
from ..robot.limits import SafeSet
from .common import box, into
from .robot_bodies import LANDMARKS, LARGEST_MM, Actions, RobotBodies

WIDTH = 3 * len(LANDMARKS)
STRENGTHS = np.linspace(0.3, 1.0, 15)
"""Strengths of human expressions that goals are drawn from."""


def goal_space() -> spaces.Box:
    """Displacements of the landmarks, mm."""
    return box(-LARGEST_MM, LARGEST_MM, WIDTH)


def given_goal(goal_mm: Any) -> np.ndarray:
    """A goal from outside, (69,) or (23, 3) mm, as (69,) float32. Raises `InputError`."""
    try:
        goal = np.asarray(goal_mm, float)
    except (TypeError, ValueError):
        raise InputError(f"goal_mm: got {type(goal_mm).__name__}; allowed are numbers") from None
    if goal.shape not in ((WIDTH,), (len(LANDMARKS), 3)):
        raise InputError(f"goal_mm: got shape {goal.shape}; allowed are ({WIDTH},) and ({len(LANDMARKS)}, 3)")
    if not (np.abs(goal) <= LARGEST_MM).all():
        raise InputError(f"goal_mm: got numbers outside ±{LARGEST_MM:g} mm or not finite")
    return goal.astype(np.float32).ravel()


def goal_command(rng: np.random.Generator, actions: Actions) -> np.ndarray:
    """A command, (26,), uniform over the safe set; both sides alike where the actions are symmetric."""
    return SafeSet.default().sample(rng, 1, symmetric_only=actions == "symmetric")[0]


class GoalFaces:
    """Draws target faces for `count` robots.

    Args:
        source: `reachable`, what the robot shows when a command uniform over its safe set has settled; `human`, one of
            the seven expressions of the mean adult, posed at 0.3 … 1 of her strength, which the robot can only come
            near to; or the path of an .npy file of displacements from rest, (N, 69), (N, 23, 3) or (N, 468, 3) mm.
    """

    def __init__(self, source: str, count: int, actions: Actions, threads: int = 1):
        self._actions: Actions = actions
        self._robots = RobotBodies(count, actions, threads=threads) if source == "reachable" else None
        self._table = None if self._robots else human_faces() if source == "human" else faces_of(Path(source))
        self._space = goal_space()

    def draw(self, ids: np.ndarray, rngs: Any) -> np.ndarray:
        """Goals (k, 69) float32 mm for robots `ids`, each from its own generator."""
        if self._robots is None:
            assert self._table is not None
            return np.stack([self._table[rng.integers(len(self._table))] for rng in rngs])
        commands = np.stack([goal_command(rng, self._actions) for rng in rngs])
        return into(self._space, self._robots.settle(ids, commands))


@cache
def human_faces() -> np.ndarray:
    """The mean adult's expressions, (105, 69) float32 mm: each of the seven at each of `STRENGTHS`."""
    from ..person.mechanics import build_face
    from ..person.repertoire import excite, repertoire

    face = build_face()
    posed = repertoire("posed")
    units = (posed[:, None] * STRENGTHS[:, None, None]).reshape(-1, *posed.shape[1:])
    moved_m = np.asarray(face.vertices(excite(units).astype(np.float32))) - np.asarray(face.rest)
    return _goals(1e3 * moved_m, "human expressions")


def faces_of(path: Path) -> np.ndarray:
    """Displacements in an .npy file, (N, 69) float32 mm. Raises `InputError`."""
    if not path.is_file():
        raise InputError(f"goals: got {str(path)!r}; allowed are 'reachable', 'human' and the path of an .npy file")
    try:
        moved_mm = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"goals: {path} is not a readable .npy file ({error}); write it with numpy.save") from None
    return _goals(moved_mm, str(path))


def _goals(moved_mm: Any, what: str) -> np.ndarray:
    moved = np.asarray(moved_mm)
    known = moved.ndim >= 2 and moved.shape[1:] in ((WIDTH,), (len(LANDMARKS), 3), (VERTEX_COUNT, 3))
    if not (known and len(moved) and moved.dtype.kind in "fiu"):
        raise InputError(
            f"goals: {what} has {moved.dtype} {moved.shape}; allowed are (N, 69), (N, 23, 3), (N, 468, 3) mm"
        )
    if moved.shape[1] == VERTEX_COUNT:
        moved = moved[:, list(LANDMARKS)]
    moved = moved.reshape(len(moved), WIDTH).astype(np.float32)
    wrong = np.flatnonzero(~(np.abs(moved) <= LARGEST_MM).all(-1))
    if len(wrong):
        raise InputError(f"goals: row {wrong[0]} of {what} has numbers outside ±{LARGEST_MM:g} mm or not finite")
    return moved


__all__ = ["GoalFaces", "faces_of", "given_goal", "goal_command", "goal_space", "human_faces"]
