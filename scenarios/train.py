"""`duchenne train`: the robot learns about itself before a mirror; its skin map and safe set are made anew."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..hardware.guard import Guard
from ..learning.babble import HALVES, Babble, Station, babble
from ..learning.forward_model import ForwardModel
from ..learning.metrics import emo_cross_validation, evaluate
from ..learning.projection import recombine
from ..learning.self_model import BABBLED, PAPER, Recipe, SelfModel
from ..sim import mesh
from ..sim.camera import FaceReader
from ..sim.robot.face import RobotFace
from ..sim.robot.render import FaceRenderer
from ..sim.robot.servo import MOUTH_PARAMETERS
from . import console
from .fit_robot import fit_robot
from .study import with_interval

VALIDATION_SHARE = 0.2
"""Of each half's poses; 200 of 1000, as in the paper."""
_VALIDATION_FACES = 4000
_BASELINE_FACES = 10_000


@contextmanager
def guarded_station() -> Iterator[Station]:
    """The default robot behind its Guard, before the default camera."""
    with FaceRenderer() as renderer, FaceReader() as reader:
        yield RobotFace(new_gate=lambda: Guard().check), renderer, reader


def run(out: Path, *, seed: int = 0, poses: int = 1000, emo_rows: Path | None = None, as_json: bool = False) -> int:
    """Babble, train, measure on held-out faces and save; see `duchenne train self-model --help`."""
    rng = np.random.default_rng(seed)
    figures: dict[str, float] = {}
    with console.progress() as bar:
        task = bar.add_task("babbling before the mirror", total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        start = time.perf_counter()
        seen = babble(rng, n_upper=poses, n_mouth=poses, n_all=poses // 5, station=guarded_station, progress=tell)
        figures["babble_s"] = time.perf_counter() - start
        bar.update(task, description="training", total=None)
        start = time.perf_counter()
        model, scores = learn(seen, rng)
        figures["train_s"] = time.perf_counter() - start
        figures |= scores
        figures["calls_per_s"] = calls_per_s(model, seen.rest_m)
        if emo_rows is not None:
            bar.update(task, description="cross-validating on the real robot's rows", completed=0, total=None)
            found = emo_cross_validation(emo_rows, np.random.default_rng(seed), progress=tell)
            figures["emo_cv_l1"] = float(found.emo_cv_l1.mean())
            figures["emo_cv_l1_worst_seed"] = float(found.emo_cv_l1.max())
            figures["emo_nearest_neighbour_l1"] = float(found.nearest_neighbour_l1.mean())
            figures["emo_constant_l1"] = float(found.constant_l1.mean())
    model.save(out, about={"seed": seed, "poses": poses, "scores": {k: round(v, 5) for k, v in scores.items()}})
    console.table("Self-model", ("figure", "value"), figures.items())
    console.console.print(f"\nsaved to {out}")
    if as_json:
        console.emit(figures, model=str(out))
    return 0


def learn(seen: Babble, rng: np.random.Generator, recipe: Recipe = BABBLED) -> tuple[SelfModel, dict[str, float]]:
    """Train the self-model on four fifths of each half; score it, and the paper's network, on the rest.

    Held-out faces are recombined from held-out halves, as in the paper; `whole_face_*` are of poses that moved the
    whole face at once, which no model trained on.
    """
    (upper, upper_y), (mouth, mouth_y) = seen.of("upper"), seen.of("mouth")
    whole, whole_y = seen.of("all")
    rest = seen.rest_m[: mesh.VERTEX_COUNT]
    train_u, test_u = _split(len(upper), rng)
    train_m, test_m = _split(len(mouth), rng)
    held, held_y = _recombined(
        upper[test_u], upper_y[test_u], mouth[test_m], mouth_y[test_m], rest, _VALIDATION_FACES, rng
    )
    known, known_y = _recombined(
        upper[train_u], upper_y[train_u], mouth[train_m], mouth_y[train_m], rest, _BASELINE_FACES, rng
    )
    figures: dict[str, float] = {}
    models = {}
    for name, chosen in (("", recipe), ("paper_", PAPER)):
        model = SelfModel.fit(upper[train_u], upper_y[train_u], mouth[train_m], mouth_y[train_m], rest, rng, chosen)
        models[name] = model
        for prefix, faces, truth in (("", held, held_y), ("whole_face_", whole, whole_y)):
            scores = evaluate(model, faces, truth, known, known_y, rng)
            for key, score in scores.items():
                if key == "command_l1":
                    figures |= with_interval(f"{name}{prefix}{key}", score.mean, score.low, score.high)
                elif not name:
                    figures[f"{prefix}{key}"] = score.mean
    figures |= _forward(models[""], seen, train_u, train_m)
    scores = seen.blendshapes[seen.seen] - seen.rest_blendshapes
    return models[""].with_shapes(scores, seen.aligned_m[seen.seen]), figures


def _forward(model: SelfModel, seen: Babble, train_u: np.ndarray, train_m: np.ndarray) -> dict[str, float]:
    """How well a forward model foresees whole faces, and how far a face is from itself through both models, mm rms.

    The forward model learns from the training halves and half of the whole faces, and is tested on the others.
    """
    (upper, upper_y), (mouth, mouth_y), (whole, whole_y) = (seen.of(half) for half in HALVES)
    known = len(whole) // 2
    forward = ForwardModel.fit(
        np.concatenate([upper_y[train_u], mouth_y[train_m], whole_y[:known]]),
        np.concatenate([upper[train_u], mouth[train_m], whole[:known]]),
    )
    faces, truth = whole[known:], whole_y[known:]

    def rms_mm(points_m: np.ndarray) -> float:
        return 1e3 * float(np.sqrt(np.mean(np.sum(points_m**2, axis=-1))))

    return {
        "forward_error_rms_mm": rms_mm(forward.predict(truth) - faces),
        "round_trip_error_rms_mm": rms_mm(forward.predict(model.predict(faces)) - faces),
        "whole_face_motion_rms_mm": rms_mm(faces - seen.rest_m[: mesh.VERTEX_COUNT]),
    }


def calls_per_s(model: SelfModel, face_m: np.ndarray, calls: int = 4000) -> float:
    """Predictions a second, one face at a time; the best of five rounds."""
    face = np.asarray(face_m[: mesh.VERTEX_COUNT], np.float32)

    def once() -> float:
        start = time.perf_counter()
        for _ in range(calls):
            model.predict(face)
        return time.perf_counter() - start

    return calls / min(once() for _ in range(5))


def run_robot(out: Path, *, seed: int = 0, poses: int = 2000, as_json: bool = False) -> int:
    """Fit the skin map and the safe set anew; see `duchenne train robot --help`."""
    with console.progress() as bar:
        task = bar.add_task("", total=None)

        def tell(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        found = fit_robot(out, seed, poses=poses, scout_poses=max(poses // 4, 40), progress=tell)
    console.table("Robot", ("figure", "value"), found.figures.items())
    console.console.print(f"\nsaved to {found.skin_file} and {found.safe_set_file}")
    if as_json:
        console.emit(found.figures, skin=str(found.skin_file), safe_set=str(found.safe_set_file))
    return 0


def run_person(out: Path, *, seed: int = 0, poses: int = 1600, as_json: bool = False) -> int:
    """Fit a person's fast skin map anew; see `duchenne train person --help`."""
    from .fit_person import fit_person

    with console.progress() as bar:
        task = bar.add_task("", total=None)

        def tell(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        found = fit_person(out, seed, poses=poses, progress=tell)
    console.table("Person", ("figure", "value"), found.figures.items())
    console.console.print(f"\nsaved to {found.file}")
    if as_json:
        console.emit(found.figures, skin=str(found.file))
    return 0


def _split(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    order = rng.permutation(count)
    held = round(VALIDATION_SHARE * count)
    return order[held:], order[:held]


def _recombined(
    upper: np.ndarray,
    upper_y: np.ndarray,
    mouth: np.ndarray,
    mouth_y: np.ndarray,
    rest: np.ndarray,
    count: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    a, b = rng.integers(len(upper), size=count), rng.integers(len(mouth), size=count)
    commands = upper_y[a].copy()
    commands[:, list(MOUTH_PARAMETERS)] = mouth_y[b][:, list(MOUTH_PARAMETERS)]
    return recombine(upper[a], mouth[b], rest), commands
