"""Make the person's data anew: poses solved by the nonlinear reference, and the correction fitted to them.

Needed after every change of muscles, tissue, jaw or lids (`Correction.is_for` notices the first). 500 poses take
some five minutes on two cores.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from ..sim.facs import PAIRED, Muscle
from ..sim.person.anatomy import MUSCLES, muscle_index
from ..sim.person.correction import Correction, SolvedPoses, evaluate, fit, nested_error_mm
from ..sim.person.drive import drive, jaw_powers, lid_powers
from ..sim.person.mechanics import Face, build_face
from ..sim.person.ports import JAW_RANGE_RAD
from ..sim.person.reference import ReferenceFace
from ..sim.person.repertoire import EXPRESSIONS, REPERTOIRES, UNITS, excite, repertoire
from ..sim.person.sheet import SoftTissue

Array = NDArray[np.floating]
Progress = Callable[[str, int, int], None]

KINDS = {"random": 0.5, "expression": 0.35, "unit": 0.15}
"""Shares of the kinds of poses."""
_WIDEST_JAW_RAD = float(np.radians(22.0))
_DIGASTRIC = [muscle_index(Muscle.DIGASTRIC, of) for of in PAIRED]
_NOT_SKIN = np.array([name in (Muscle.MASSETER, Muscle.TEMPORALIS, Muscle.DIGASTRIC) for name, _ in MUSCLES])


@dataclass(frozen=True)
class FittedPerson:
    """What `fit_person` wrote and measured; see `correction.evaluate` for the figures."""

    file: Path
    figures: dict[str, float]


def fit_person(
    folder: Path, seed: int = 0, *, poses: int = 500, workers: int = 2, nested: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> FittedPerson:  # fmt: skip
    """Write `person_skin.npz` into `folder`.

    Figures are of the fifth of the poses that took no part in the fit; `nested` adds a 4-fold figure over all poses,
    `nested_error_rms_mm`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    activation, kind = sample_poses(np.random.default_rng(seed), poses)
    reference = ReferenceFace()
    solved = solve_poses(
        reference, activation, kind, workers=workers, progress=lambda done, total: progress("poses", done, total)
    )
    correction = fit(solved, reference.elements)
    file = folder / "person_skin.npz"
    correction.save(file)
    figures = {**correction.figures, "poses_lost": float(poses - len(solved))}
    if nested:
        figures["nested_error_rms_mm"] = nested_error_mm(solved, reference.elements)
    return FittedPerson(file, figures)


def other_people(
    correction: Correction, seed: int = 1, *, poses: int = 60, workers: int = 2,
    progress: Progress = lambda stage, done, total: None,
) -> dict[str, float]:  # fmt: skip
    """Errors of a correction on fresh poses of the mean face and of faces with softer and stiffer skin.

    Returns `vertex_error_rms_mm`, `linear_error_rms_mm` and `worst_vertex_p95_mm` for each, with `_young_0.7` and
    `_young_1.5` after the names for the others.
    """
    figures = {}
    for factor in (1.0, 0.7, 1.5):
        activation, kind = sample_poses(np.random.default_rng(seed), poses)
        label = "" if factor == 1 else f"_young_{factor:g}"
        reference = ReferenceFace(SoftTissue().scaled(young_pa=factor))
        solved = solve_poses(
            reference, activation, kind, workers=workers,
            progress=lambda done, total, label=label: progress("people" + label, done, total),
        )  # fmt: skip
        found = evaluate(correction, solved)
        for name in ("vertex_error_rms_mm", "linear_error_rms_mm", "worst_vertex_p95_mm"):
            figures[name + label] = found[name]
    return figures


def sample_poses(rng: np.random.Generator, count: int) -> tuple[Array, NDArray[np.str_]]:
    """Activations (count, 48) and their kinds (count,).

    random: a quarter of all muscles at 0.1-0.9, mostly alike on both sides, the jaw open by up to 22° in 40 %.
    expression: one of the seven, as people pose it or as FACS has it, each unit at its own intensity up to 1.
    unit: one action unit, half of them at full intensity.
    """
    kinds = rng.choice(list(KINDS), count, p=list(KINDS.values()))
    samplers = {"random": _random, "expression": _expression, "unit": _unit}
    return np.array([samplers[kind](rng) for kind in kinds]), kinds


def _random(rng: np.random.Generator) -> Array:
    def active(size: int) -> Array:
        return np.where(rng.random(size) < 0.25, rng.uniform(0.1, 0.9, size), 0.0)

    if rng.random() < 0.7:
        result = np.repeat(active(len(MUSCLES) // 2), 2) * np.clip(1 + 0.2 * rng.normal(size=len(MUSCLES)), 0, 1.1)
    else:
        result = active(len(MUSCLES))
    result[_NOT_SKIN] = 0.0
    if rng.random() < 0.4:  # `drive` opens by 26° (1 − (1 − d)²)
        result[_DIGASTRIC] = 1 - np.sqrt(1 - rng.uniform(0, _WIDEST_JAW_RAD) / JAW_RANGE_RAD)
    return result


def _expression(rng: np.random.Generator) -> Array:
    name = REPERTOIRES[int(rng.integers(len(REPERTOIRES)))]
    targets = repertoire(name, rng)[int(rng.integers(len(EXPRESSIONS)))]
    level = rng.uniform(0.2, 1.0) * (1 + 0.3 * rng.normal(size=(len(UNITS), 1)))
    return excite(np.clip(targets * level * (1 + 0.15 * rng.normal(size=targets.shape)), 0, 1)[None])[0]


def _unit(rng: np.random.Generator) -> Array:
    au = np.zeros((1, len(UNITS), 2))
    au[0, int(rng.integers(len(UNITS)))] = 1.0 if rng.random() < 0.5 else rng.uniform(0.2, 1.0)
    return excite(au)[0]


def solve_poses(
    reference: ReferenceFace,
    activation: Array,
    kind: NDArray[np.str_] | None = None,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SolvedPoses:
    """Solve activations (N, 48) with the reference and the linear map; those that do not converge are left out."""
    solutions = []
    for index, vertices in enumerate(_solutions(reference, activation, workers)):
        solutions.append(vertices)
        progress(index + 1, len(activation))
    kept = [index for index, vertices in enumerate(solutions) if vertices is not None]
    names = np.full(len(activation), "pose") if kind is None else kind
    return as_solved(reference, activation[kept], np.array([solutions[index] for index in kept]), names[kept])


def as_solved(reference: ReferenceFace, activation: Array, vertices_m: Array, kind: NDArray[np.str_]) -> SolvedPoses:
    """The reference's vertices (N, 468, 3) m for activations (N, 48), beside what the linear map makes of them."""
    with jax.enable_x64(True):
        strength = np.asarray(reference.strength, float)
        face = build_face(reference.tissue, reference.rest, strength, corrected=False)
        linear, shortening, jaw = (np.asarray(part) for part in jax.jit(_linear)(face, jnp.asarray(activation)))
    return SolvedPoses(
        isometric_n=isometric_n(reference, activation),
        shortening_m=shortening[:, ~reference.elements.seal],
        jaw_rad=jaw,
        linear_m=linear,
        reference_m=vertices_m - reference.sheet.rest,
        kind=kind,
    )


def isometric_n(reference: ReferenceFace, activation: Array) -> Array:
    """Force (N, E) of each muscle element beyond its tone if nothing moved, for activations (N, 48)."""
    parts = reference.elements
    muscles = ~parts.seal
    forces = [parts.stiffness(a, 1.0) * parts.free_length(a, 1.0) - parts.tone_n for a in activation]
    return np.array(forces)[:, muscles]


def _linear(face: Face, activation: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Displacement (N, 468, 3) m without contact, shortenings (N, E) m and jaw (N,) rad of the linear map."""
    coordinates = face.coordinates(activation)
    driven = drive(activation)
    ports = jnp.concatenate([jaw_powers(driven.jaw), lid_powers(driven.lids)], axis=-1)
    weights = jnp.concatenate([ports, coordinates[:, 7:]], axis=-1)
    moved = (weights @ face.columns[: weights.shape[1]]).reshape(len(activation), 3, -1).swapaxes(1, 2)
    return moved, coordinates[:, 7:] @ face.compliance + ports @ face.port_shortening, driven.jaw


_WORKER: dict[str, ReferenceFace] = {}


def _solutions(reference: ReferenceFace, activation: Array, workers: int) -> Iterator[Array | None]:
    """Vertices in the order of the activations; None for a pose that did not converge."""
    if workers <= 1:
        with threadpool_limits(1):
            for one in activation:
                yield _solve(reference, one)
        return
    setup: tuple[SoftTissue, Array, ArrayLike] = (reference.tissue, reference.rest, reference.strength)
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_set_up_worker, initargs=setup) as pool:
        yield from pool.map(_solve_in_worker, activation, chunksize=4)


def _set_up_worker(tissue: SoftTissue, rest: Array, strength: ArrayLike) -> None:
    threadpool_limits(1)  # the matrices are small; threads would only fight the other workers
    _WORKER["reference"] = ReferenceFace(tissue, rest, strength)


def _solve_in_worker(activation: Array) -> Array | None:
    return _solve(_WORKER["reference"], activation)


def _solve(reference: ReferenceFace, activation: Array) -> Array | None:
    found = reference.solve(activation)
    return found.vertices_m if found.converged else None
