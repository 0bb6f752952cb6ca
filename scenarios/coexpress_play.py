"""One robot beside somebody: it decides every 40 ms, moves, and what it did is kept."""

import re
import time
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..sim.alignment import align
from ..sim.robot.face import RobotFace
from ..twin.coexpress import Coexpressor
from .coexpress_scene import Played

Array = NDArray[np.floating]


class Follower(Protocol):
    """A further face that gets every command, such as a real robot, and a log of what the commands answer to."""

    def step(self, command: Array) -> object:
        """Go to a command (26,) that has passed the Guard; called every 40 ms, must not wait."""
        ...

    def write(self, what: Any) -> object:
        """Keep what became known of the person: an entry of `twin.log_entries`, at host times; must not wait."""
        ...


class Player:
    """A co-expressor with the simulated robot that it moves, from rest, and further faces that follow it."""

    def __init__(self, name: str, coexpressor: Coexpressor, followers: Sequence[Follower] = ()):
        self.name, self.coexpressor = name, coexpressor
        self._robot, self._followers = RobotFace(), tuple(followers)
        self._state = self._robot.state()
        self._rest_m = align(self._state.vertices_m)
        self._rows: list[tuple] = []
        self._problems: list[tuple[float, str]] = []

    def tick(self, now_s: float) -> Array:
        """One period: decide, keep how everything looks now, send. Returns the command (26,)."""
        begun = time.perf_counter()
        command = self.coexpressor.step(now_s)
        spent_ms = 1e3 * (time.perf_counter() - begun)
        state, mind = self._state, self.coexpressor
        looks = state.vertices_m, state.head_pose, state.gaze_rad, align(state.vertices_m) - self._rest_m
        self._rows.append((now_s, command, *looks, spent_ms, mind.expected))
        self._note(now_s, mind.problem)
        for face in self._followers:
            face.step(command)
        self._state = self._robot.step(command)
        return command

    def tell(self, what: Any) -> None:
        """Have the followers keep an entry of a log."""
        for face in self._followers:
            face.write(what)

    def played(self) -> Played:
        """All that it did."""
        times, commands, vertices, poses, gazes, moved, spent, expected = zip(*self._rows, strict=True)
        return Played(
            name=self.name, times_s=np.array(times), commands=np.array(commands), vertices_m=np.array(vertices),
            head_pose=np.array(poses), gaze_rad=np.array(gazes), motion_m=np.array(moved), step_ms=np.array(spent),
            expected=expected, problems=tuple(self._problems),
        )  # fmt: skip

    def _note(self, now_s: float, problem: str) -> None:
        """Keep a problem when it is another one than before; how long it has lasted does not make it another."""
        before = self._problems[-1][1] if self._problems else ""
        if _kind(problem) != _kind(before):
            self._problems.append((now_s, problem))


def _kind(problem: str) -> str:
    return re.sub(r"[-+]?\d+\.?\d*", "", problem)


__all__ = ["Follower", "Player"]
