"""Motor babbling before a mirror: random safe commands, and the landmarks that a camera sees of each.

As in the Emo paper, one set moves only eyes and brows and another only the mouth; a third, small one moves the
whole face and serves for validation. Every pose starts from rest, so its landmarks depend on its command alone.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import numpy as np

from ..sim import mesh
from ..sim.camera import FaceReader, Sighting, align
from ..sim.errors import InputError, ModelFileError
from ..sim.facs import BLENDSHAPES
from ..sim.robot.face import FaceState, RobotFace
from ..sim.robot.limits import Half, SafeSet
from ..sim.robot.render import FaceRenderer
from ..sim.robot.servo import REST_COMMAND, SERVO_NAMES, SYMMETRIC_NAMES, symmetric
from .checkpoint import Checkpoint, load, save

KIND = "babble"
HALVES: tuple[Half, ...] = ("upper", "mouth", "all")
_CHUNK = 20
_log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]


class Body(Protocol):
    """The robot that babbles: `RobotFace` is one."""

    def reset(self) -> FaceState: ...
    def settle(self, command: np.ndarray) -> FaceState: ...


class Mirror(Protocol):
    """Makes pictures of a face: `FaceRenderer` is one."""

    def image(
        self, vertices_m: np.ndarray, *, head_pose: np.ndarray | None = None, gaze_rad: np.ndarray | None = None
    ) -> np.ndarray: ...


class Eye(Protocol):
    """Reads pictures: `FaceReader` is one."""

    def read(self, rgb: np.ndarray) -> Sighting: ...


Station = tuple[Body, Mirror, Eye]
Looks = tuple[np.ndarray, np.ndarray, np.ndarray]
OpenStation = Callable[[], AbstractContextManager[Station]]


@contextmanager
def robot_station() -> Iterator[Station]:
    """The default robot before the default camera."""
    with FaceRenderer() as renderer, FaceReader() as reader:
        yield RobotFace(), renderer, reader


@dataclass(frozen=True, kw_only=True)
class Babble:
    """What a robot saw of itself. N poses; rows of faces that the camera did not find are NaN."""

    servo_commands: np.ndarray
    """(N, 26), ordered as `SERVO_NAMES`."""
    aligned_m: np.ndarray
    """What the camera saw: aligned landmarks, (N, 478, 3) m."""
    vertices_m: np.ndarray
    """The truth behind it: the skin's vertices, aligned in the same way, (N, 468, 3) m."""
    blendshapes: np.ndarray
    """The tracker's scores, (N, 52), ordered as `facs.BLENDSHAPES`."""
    half: np.ndarray
    """What moved, (N,): an index into `HALVES`."""
    rest_m: np.ndarray
    """Aligned landmarks at the rest command, (478, 3) m."""
    rest_blendshapes: np.ndarray
    """Scores at the rest command, (52,)."""

    @property
    def commands(self) -> np.ndarray:
        """Symmetric parameters, (N, 11)."""
        return symmetric(self.servo_commands)

    @property
    def seen(self) -> np.ndarray:
        """Where the camera found the face, (N,) bool."""
        return np.asarray(np.isfinite(self.aligned_m).all((1, 2)))

    def of(self, half: Half) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks (n, 468, 3) m and symmetric commands (n, 11) of the poses of one kind that were seen."""
        chosen = self.seen & (self.half == HALVES.index(half))
        return self.aligned_m[chosen, : mesh.VERTEX_COUNT], self.commands[chosen]

    def save(self, path: str | Path) -> Path:
        """Write to a checkpoint file; landmarks are rounded to float32. Raises `ModelFileError`."""
        arrays = {
            "servo_commands": self.servo_commands,
            "aligned_m": self.aligned_m.astype(np.float32),
            "vertices_m": self.vertices_m.astype(np.float32),
            "blendshapes": self.blendshapes.astype(np.float32),
            "rest_blendshapes": self.rest_blendshapes.astype(np.float32),
            "half": self.half,
            "rest_m": self.rest_m.astype(np.float32),
        }
        units = {name: "m" if name.endswith("_m") else "1" for name in arrays}
        about = {"servos": list(SERVO_NAMES), "symmetric": list(SYMMETRIC_NAMES), "halves": list(HALVES)}
        return save(path, Checkpoint(kind=KIND, arrays=arrays, units=units, about=about))

    @classmethod
    def load(cls, path: str | Path) -> "Babble":
        """Read what `save` wrote. Raises `ModelFileError` for another file, or other servos."""
        checkpoint = load(path, KIND)
        if checkpoint.about.get("servos") != list(SERVO_NAMES):
            raise ModelFileError(f"{path} is of servos {checkpoint.about.get('servos')}; babble anew")
        try:
            return cls(**checkpoint.arrays)
        except TypeError as error:
            raise ModelFileError(f"{path} lacks a part of a babble ({error}); babble anew") from error


def babble(
    rng: np.random.Generator,
    *,
    n_upper: int = 1000,
    n_mouth: int = 1000,
    n_all: int = 200,
    safe_set: SafeSet | None = None,
    station: OpenStation = robot_station,
    workers: int = 2,
    progress: Progress = lambda done, total: None,
) -> Babble:
    """Move at random, look, and note both. The same generator gives the same faces for any number of workers.

    `station` opens robot, mirror and camera; with more than one worker it must be picklable, since every worker
    process opens its own. Raises `InputError` if the camera finds no face at rest, or in most poses.
    """
    safe_set = safe_set or SafeSet.default()
    counts = dict(zip(HALVES, (n_upper, n_mouth, n_all), strict=True))
    commands = np.concatenate([safe_set.sample(rng, n, half) for half, n in counts.items() if n])
    poses = np.concatenate([REST_COMMAND[None], commands])
    chunks = [poses[i : i + _CHUNK] for i in range(0, len(poses), _CHUNK)]
    looked: list[Looks] = []
    with ExitStack() as stack:
        for part in _looks(stack, station, chunks, workers):
            looked.append(part)
            progress(min(len(looked) * _CHUNK, len(poses)), len(poses))
    aligned, vertices, scores = (np.concatenate(parts) for parts in zip(*looked, strict=True))
    seen = np.asarray(np.isfinite(aligned).all((1, 2)))
    if not seen[0] or seen.mean() < 0.5:
        raise InputError(
            f"babbling: the camera found the robot's face in {int(seen.sum())} of {len(seen)} poses, "
            f"{'with' if seen[0] else 'without'} the rest pose; allowed is at least half of them and the rest "
            "pose: check the picture, the light and the robot's skin"
        )
    if not seen.all():
        _log.warning("the camera missed the robot's face in %d of %d poses", int((~seen).sum()), len(seen))
    half = np.repeat(np.arange(len(HALVES), dtype=np.int8), list(counts.values()))
    return Babble(
        servo_commands=commands, aligned_m=aligned[1:], vertices_m=vertices[1:], blendshapes=scores[1:], half=half,
        rest_m=aligned[0], rest_blendshapes=scores[0],
    )  # fmt: skip


def look(station: Station, commands: np.ndarray) -> Looks:
    """Aligned landmarks (n, 478, 3), aligned true vertices (n, 468, 3) and blendshapes (n, 52), each from rest."""
    body, mirror, eye = station
    aligned = np.full((len(commands), mesh.LANDMARK_COUNT, 3), np.nan)
    vertices = np.zeros((len(commands), mesh.VERTEX_COUNT, 3))
    scores = np.full((len(commands), len(BLENDSHAPES)), np.nan)
    for k, command in enumerate(commands):
        body.reset()
        state = body.settle(command)
        vertices[k] = align(state.vertices_m)
        face = eye.read(mirror.image(state.vertices_m, head_pose=state.head_pose, gaze_rad=state.gaze_rad)).face
        if face is not None:
            aligned[k], scores[k] = face.aligned_m, face.blendshapes
    return aligned, vertices, scores


def _looks(stack: ExitStack, station: OpenStation, chunks: list[np.ndarray], workers: int) -> Iterator[Looks]:
    if workers <= 1:
        opened = stack.enter_context(station())
        return (look(opened, chunk) for chunk in chunks)
    pool = stack.enter_context(
        ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start, initargs=(station,))
    )
    return pool.map(_look_here, chunks)


_opened: list[tuple[AbstractContextManager[Station], Station]] = []
"""In a worker process: the one station that it opened, which lives as long as the process does."""


def _start(station: OpenStation) -> None:
    manager = station()
    _opened.append((manager, manager.__enter__()))


def _look_here(commands: np.ndarray) -> Looks:
    return look(_opened[0][1], commands)
