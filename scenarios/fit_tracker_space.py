"""Make `learning/data/tracker_space.npz` anew: what MediaPipe can report of faces, learnt from simulated ones only.

python -m duchenne.scenarios.fit_tracker_space learning/data/tracker_space.npz
"""

import sys
from pathlib import Path

import numpy as np

from ..sim import mesh
from ..sim.camera import FaceReader
from ..sim.robot import servo
from ..sim.robot.face import RobotFaces
from ..sim.robot.render import FaceRenderer
from . import console

FACES = 900
MODES = 40
_SETTLED_PERIODS = 28
_SKIN = "azure"


def fit(path: Path, seed: int = 0, faces: int = FACES) -> float:
    """Render simulated robot faces, track them, write their principal modes; share of variance that is kept."""
    rng = np.random.default_rng(seed)
    parameters = rng.random((faces, len(servo.SYMMETRIC_NAMES)))
    commands = servo.expand(parameters)
    robots = RobotFaces(100, threads=1)
    seen_m = np.full((faces, mesh.VERTEX_COUNT, 3), np.nan)
    with FaceRenderer(skin=_SKIN) as renderer, FaceReader() as reader, console.progress() as bar:
        task = bar.add_task("faces", total=faces)
        for start in range(0, faces, len(robots)):
            chunk = commands[start : start + len(robots)]
            rest = np.tile(servo.REST_COMMAND, (len(robots) - len(chunk), 1))
            robots.reset()
            robots.advance(np.concatenate([chunk, rest]), _SETTLED_PERIODS)  # each from rest
            for place, vertices in enumerate(robots.state().vertices_m[: len(chunk)], start):
                face = reader.read(renderer.image(vertices)).face
                if face is not None:
                    seen_m[place] = face.aligned_m[: mesh.VERTEX_COUNT]
                bar.advance(task)
    return save(path, parameters, seen_m)


def save(path: Path, parameters: np.ndarray, seen_m: np.ndarray) -> float:
    """Write modes and servo fields of tracked faces (N, 468, 3) m, NaN where none was seen, for parameters (N, 11).

    Each face also counts as its mirror image.
    """
    seen = np.isfinite(seen_m).all((1, 2))
    moved = seen_m[seen] - seen_m[seen].mean(0)
    moved = np.concatenate([moved, moved[:, mesh.MIRROR] * [-1, 1, 1]]).reshape(2 * len(moved), -1)
    design = np.c_[np.tile(parameters[seen], (2, 1)), np.ones(len(moved))]
    fields = np.linalg.lstsq(design, moved, rcond=None)[0][:-1]
    _, spread, modes = np.linalg.svd(moved, full_matrices=False)
    np.savez_compressed(
        path,
        modes=modes[:MODES].astype(np.float16),
        servo_fields_cm=(100 * fields).astype(np.float16),
        faces=int(seen.sum()),
    )
    return float(np.sum(spread[:MODES] ** 2) / np.sum(spread**2))


if __name__ == "__main__":
    console.console.print(f"variance kept: {fit(Path(sys.argv[1])):.4f}")


__all__ = ["FACES", "MODES", "fit", "save"]
