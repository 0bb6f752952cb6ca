"""`duchenne train anticipation --motion`: on motion drawn at random, on no face. Some minutes on two cores."""

import time
from pathlib import Path

import numpy as np

from ..learning.motion_anticipation import MotionAnticipator
from ..learning.motion_lessons import DIRECTIONS, Lessons, lessons
from ..learning.motion_network import Motives
from ..learning.motion_training import Recipe, foretold, train
from ..sim.mesh import VERTEX_COUNT
from ..sim.person.encounter import STEADY
from ..sim.person.person import unit_shapes
from ..sim.person.repertoire import repertoire
from . import console

MOTIONS, HELD_OUT = 6000, 400
CHECKPOINT = "motion.npz"


def run(out: Path, *, seed: int = 0, motions: int = MOTIONS, steps: int = Recipe().steps, as_json: bool = False) -> int:
    """Draw motions, train, measure on others and save `out`/motion.npz."""
    start = time.perf_counter()
    recipe = Recipe(steps=steps)
    with console.progress() as bar:
        task = bar.add_task("drawing motions", total=motions + HELD_OUT)
        drawn = []
        for one in lessons(motions + HELD_OUT, seed):
            drawn.append(one)
            bar.update(task, completed=len(drawn))
        held_out = Lessons.joined(drawn[motions:])
        task = bar.add_task("training", total=steps)
        motives = train(
            Lessons.joined(drawn[:motions]), seed, recipe, lambda done, total, loss: bar.update(task, completed=done)
        )
    figures = measure(motives, held_out) | {"motions": float(motions), "train_s": time.perf_counter() - start}
    about = {"seed": seed, "motions": motions, "steps": steps, "directions": DIRECTIONS, "scores": figures}
    path = MotionAnticipator(motives=motives, shapes=expression_shapes()).save(out / CHECKPOINT, about)
    console.table("Motion anticipator, on motions held out", ("figure", "value"), figures.items())
    console.console.print(f"\nsaved to {path}")
    if as_json:
        console.emit(figures, model=str(path))
    return 0


def measure(motives: Motives, held_out: Lessons) -> dict[str, float]:
    """Error of the expected target over that of copying, by lead, on motions."""
    ahead = held_out.at(np.isfinite(held_out.arrival_s))
    error = np.linalg.norm(foretold(motives, ahead) - ahead.target, axis=1)
    copied = np.linalg.norm(ahead.target, axis=1)
    ratios = {"synthetic_ratio_to_copy": float(error.sum() / copied.sum())}
    for lead in (5, 10):
        then = ahead.lead == lead
        ratios[f"synthetic_ratio_to_copy_{40 * lead}ms"] = float(error[then].sum() / copied[then].sum())
    return ratios


def expression_shapes() -> np.ndarray:
    """Mean shapes (7, 468, 3) of the expressions as people pose them, lids aside, each of length 1."""
    shapes = np.tensordot(repertoire("posed"), unit_shapes(), 2).astype(float)
    shapes[:, ~STEADY] = 0
    assert shapes.shape[1:] == (VERTEX_COUNT, 3)
    return shapes / np.linalg.norm(shapes, axis=(1, 2), keepdims=True)


__all__ = ["expression_shapes", "measure", "run"]
