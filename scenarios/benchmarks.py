"""Benchmarks of the robot, its skin and its mirror image; each returns named figures.

Speeds are the best of a few short runs, since other programs share the machine.
"""

import time
from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from ..sim import mesh
from ..sim.camera import FaceReader
from ..sim.errors import FaceError
from ..sim.robot.face import CONTROL_PERIOD_S, RobotFace, RobotFaces
from ..sim.robot.face_skin import default_skin, reference_skin
from ..sim.robot.limits import SafeSet
from ..sim.robot.mechanism import MOVING
from ..sim.robot.render import FaceRenderer
from ..sim.skin_fit import Poses, evaluate, solve_poses
from ..sim.skin_reference import ReferenceSkin

Progress = Callable[[int, int], None]
Figures = dict[str, float]


def _silent(done: int, total: int) -> None:
    """Report nothing."""


def _fastest(run: Callable[[], None], repeats: int) -> float:
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def bench_robot(progress: Progress = _silent, steps: int = 200) -> Figures:
    """Speed of 25 Hz control steps including all 468 vertices: one robot on one core, then batches on two."""
    commands = SafeSet.default().sample(np.random.default_rng(0), 256, symmetric_only=False)
    with_one = RobotFace()

    def alone() -> None:
        for k in range(steps):
            with_one.step(commands[k // 5 % len(commands)])

    sizes = (16, 64, 256)
    progress(0, len(sizes) + 1)
    one_s = _fastest(alone, 5) / steps
    per_robot = {}
    for done, count in enumerate(sizes, start=1):
        progress(done, len(sizes) + 1)
        faces = RobotFaces(count, threads=2)
        rounds = max(4, 2048 // count)

        def together(faces: RobotFaces = faces, count: int = count, rounds: int = rounds) -> None:
            for k in range(rounds):
                faces.step(np.roll(commands, k, axis=0)[:count])

        per_robot[count] = _fastest(together, 5) / rounds / count
    progress(len(sizes) + 1, len(sizes) + 1)
    return {
        "realtime_factor": CONTROL_PERIOD_S / one_s,
        "step_ms": 1e3 * one_s,
        "batch_steps_per_s": 1 / per_robot[64],
        **{f"batch_{count}_us_per_robot": 1e6 * seconds for count, seconds in per_robot.items()},
        "cost_256_over_16": per_robot[256] / per_robot[16],
    }


def safe_ports(rng: np.random.Generator, count: int) -> np.ndarray:
    """Moving-port displacements of settled random safe commands, half of them symmetric, (count, 82, 3) m."""
    safe = SafeSet.default()
    commands = np.concatenate(
        [safe.sample(rng, count - count // 2, symmetric_only=False), safe.sample(rng, count // 2)]
    )
    return RobotFaces(256).settled_ports(commands)


def bench_camera(progress: Progress = _silent, count: int = 500, skin: str = "porcelain") -> Figures:
    """What the tracker sees of rendered random safe poses, against the true vertices.

    The `count` poses are symmetric, as in babbling; a fifth as many with two independent sides come on top, their
    figures start with `asymmetric`. `nme` is the mean distance between tracked and projected vertices over that of
    the outer eye corners; it leaves out the 36 points of the face's oval, where the tracker guesses the outline, which
    `nme_with_oval` takes in. A gain is the slope of tracked on true displacement from the rest face, in the picture,
    over a region's points.
    """
    safe, rng, faces = SafeSet.default(), np.random.default_rng(0), RobotFaces(256)
    commands = [safe.sample(rng, count), safe.sample(rng, count // 5, symmetric_only=False)]
    poses_m = [default_skin().vertices(faces.settled_ports(part)) for part in commands]
    total, figures, done = sum(map(len, poses_m)), {}, 0
    with FaceRenderer(skin) as renderer, FaceReader() as reader:
        rest = _looked_at(renderer, reader, default_skin().rest)
        if rest is None:
            raise FaceError("the tracker does not find the robot's face at rest; is the picture right?")
        for prefix, vertices_m in zip(("", "asymmetric_"), poses_m, strict=True):
            seen = []
            for pose_m in vertices_m:
                seen.append(_looked_at(renderer, reader, pose_m))
                progress(done := done + 1, total)
            found = np.array([pair for pair in seen if pair is not None])
            figures[f"{prefix}detected_fraction"] = len(found) / len(vertices_m)
            figures.update({prefix + name: value for name, value in _tracking(found, rest).items()})
    return figures


def _looked_at(renderer: FaceRenderer, reader: FaceReader, vertices_m: np.ndarray) -> np.ndarray | None:
    """True and tracked vertices in the picture, (2, 468, 2) px, or None if the tracker finds no face."""
    face = reader.read(renderer.image(vertices_m)).face
    if face is None:
        return None
    return np.stack([renderer.project(vertices_m), face.landmarks_px[: mesh.VERTEX_COUNT, :2]])


def _tracking(found: np.ndarray, rest: np.ndarray) -> Figures:
    """Errors and gains of looks (n, 2, 468, 2) px, against the look at rest (2, 468, 2)."""
    true, seen = found[:, 0], found[:, 1]
    unit = np.linalg.norm(true[:, 33] - true[:, 263], axis=-1)[:, None]
    error = np.linalg.norm(seen - true, axis=-1) / unit
    moved_true, moved_seen = true - rest[0], seen - rest[1]

    def gain(*regions: str) -> float:
        points = [v for name in regions for v in mesh.region(name)]
        return float((moved_seen[:, points] * moved_true[:, points]).sum() / (moved_true[:, points] ** 2).sum())

    inner = np.setdiff1d(np.arange(mesh.VERTEX_COUNT), mesh.FACE_OVAL)
    return {
        "nme": float(error[:, inner].mean()),
        "nme_with_oval": float(error.mean()),
        "gain_mouth": gain("mouth"),
        "gain_brow": gain("right brow", "left brow"),
        "gain_eye": gain("right eye", "left eye"),
    }


def bench_skin(progress: Progress = _silent, count: int = 80) -> Figures:
    """The fast skin map against the nonlinear reference on fresh safe poses, and the reference's laws.

    Errors are root mean squares over vertices (or moving ports) and poses, fractions are of the rms motion (force).
    The laws: a rigidly moved sheet stores no energy; force is the energy's slope; mirrored ports give a mirrored face.
    """
    rng, reference, skin = np.random.default_rng(20261), reference_skin(), default_skin()
    ports = safe_ports(rng, count)
    solved = solve_poses(reference, ports, progress=progress)
    figures = evaluate(skin, solved, reference)
    figures["reference_converged_fraction"] = len(solved) / count

    def one_at_a_time() -> None:
        for _ in range(200):
            skin.vertices(ports[:1])

    figures["fast_map_us"] = 1e6 * _fastest(one_at_a_time, 5) / 200
    return {**figures, **_skin_laws(reference, solved)}


def _skin_laws(reference: ReferenceSkin, solved: Poses) -> Figures:
    """Relative violations of laws that hold exactly for an elastic sheet: rounding or solver tolerance."""
    sheet = reference.sheet
    turn = Rotation.from_rotvec([0.2, -0.3, 0.1]).as_matrix()
    moved = sheet.rest @ turn.T + [0.01, 0.02, -0.03]
    bent = solved.vertices_m[0]
    rigid = sheet.membrane.energy(moved) + sheet.bending.energy(moved)
    typical = sheet.membrane.energy(bent) + sheet.bending.energy(bent)
    u = np.zeros((len(reference.ports), 3))
    u[: solved.u.shape[1]] = solved.u[0]
    step = 1e-3
    ahead, behind = (reference.solve((1 + sign * step) * u, start=bent).energy_j for sign in (1, -1))
    work = -float((solved.forces_n[0] * solved.u[0]).sum())  # what the ports do against the skin
    mirrored = solved[:1].mirrored(np.array(MOVING), mesh.MIRROR)
    again = solve_poses(reference, mirrored.u)
    asymmetry = np.abs(again.vertices_m - mirrored.vertices_m).max() / np.abs(bent - sheet.rest).max()
    return {
        "law_rigid_energy": rigid / typical,
        "law_virtual_work": abs((ahead - behind) / (2 * step) / work - 1),
        "law_mirror": float(asymmetry),
    }
