"""Make the person's data anew: poses solved by the nonlinear reference, and the correction fitted to them.

Needed after every change of muscles, tissue, jaw or lids (`Correction.is_for` notices the first). The 1600 poses of
the shipped one take six minutes on two cores.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import reduce
from multiprocessing import get_context
from operator import add
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ..sim.facs import PAIRED, Muscle
from ..sim.person.anatomy import MUSCLES, muscle_index
from ..sim.person.correction import SolvedPoses, evaluate, fit
from ..sim.person.drive import drive, jaw_powers, lid_powers
from ..sim.person.mechanics import Face, build_face
from ..sim.person.ports import JAW_RANGE_RAD
from ..sim.person.reference import ReferenceFace
from ..sim.person.repertoire import EXPRESSIONS, REPERTOIRES, UNITS, excite, repertoire
from ..sim.person.sheet import SoftTissue
from ..sim.person.traits import Traits

Array = NDArray[np.floating]
Progress = Callable[[str, int, int], None]

KINDS = {"random": 0.5, "expression": 0.35, "unit": 0.15}
"""Shares of the kinds of poses."""
PEOPLE, PEOPLE_SHARE = 15, 0.4
TEST_SHARE = 0.2
PEOPLE_FIGURES = ("poses_test", "vertex_error_rms_mm", "linear_error_rms_mm", "motion_rms_mm", "worst_vertex_p95_mm")
_WIDEST_JAW_RAD = float(np.radians(22.0))
_DIGASTRIC = [muscle_index(Muscle.DIGASTRIC, of) for of in PAIRED]
_NOT_SKIN = np.array([name in (Muscle.MASSETER, Muscle.TEMPORALIS, Muscle.DIGASTRIC) for name, _ in MUSCLES])


@dataclass(frozen=True)
class FittedPerson:
    """What `fit_person` wrote and measured; see `correction.evaluate` for the figures."""

    file: Path
    figures: dict[str, float]


def fit_person(
    folder: Path, seed: int = 0, *, poses: int = 1600, workers: int = 2,
    progress: Progress = lambda stage, done, total: None,
) -> FittedPerson:  # fmt: skip
    """Write `person_skin.npz` into `folder`.

    Poses are of the mean face and, `PEOPLE_SHARE` of them, of sampled people, so that the correction learns what of it
    goes with force and what with the softness of a skin. The last fifth of each takes no part in the fit and measures
    it: figures are of the mean face, those with `people_` before their name of people that the fit has not met.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    per_person = max(4, round(PEOPLE_SHARE * poses / PEOPLE))
    mean = ReferenceFace()
    people = [mean, *(reference_of(Traits.sample(rng)) for _ in range(PEOPLE))]
    counts = [poses - PEOPLE * per_person, *[per_person] * PEOPLE]
    drawn = [sample_poses(rng, count) for count in counts]
    solved = solve_people(people, drawn, workers=workers, progress=lambda done, total: progress("poses", done, total))
    first, met = round((1 - TEST_SHARE) * len(solved[0])), round((1 - TEST_SHARE) * PEOPLE)
    train = reduce(add, (solved[0][slice(0, first)], *solved[1 : 1 + met]))
    correction = fit(train[rng.permutation(len(train))], mean.elements)
    strangers = evaluate(correction, reduce(add, solved[1 + met :]))
    figures = {
        "seed": float(seed),
        "poses_fit": float(len(train)),
        **evaluate(correction, solved[0][slice(first, None)]),
        **{f"people_{name}": strangers[name] for name in PEOPLE_FIGURES},
        "poses_lost": float(poses - sum(map(len, solved))),
    }
    file = folder / "person_skin.npz"
    replace(correction, figures=figures).save(file)
    return FittedPerson(file, figures)


def reference_of(traits: Traits) -> ReferenceFace:
    """The nonlinear reference of one person."""
    tissue = SoftTissue().scaled(young_pa=traits.young, thickness_m=traits.thickness)
    return ReferenceFace(tissue, traits.shape.rest_m(), traits.strength)


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
    kind: NDArray[np.str_],
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SolvedPoses:
    """Solve activations (N, 48) with the reference and the linear map; those that do not converge are left out."""
    return solve_people([reference], [(activation, kind)], workers=workers, progress=progress)[0]


def solve_people(
    references: Sequence[ReferenceFace],
    drawn: Sequence[tuple[Array, NDArray[np.str_]]],
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[SolvedPoses]:
    """Solve for each reference its own activations (N, 48) of kinds (N,), see `solve_poses`."""
    tasks = [(person, one) for person, (activation, _) in enumerate(drawn) for one in activation]
    solutions: list[list[Array | None]] = [[] for _ in references]
    for done, ((person, _), vertices) in enumerate(zip(tasks, _solutions(references, tasks, workers), strict=True)):
        solutions[person].append(vertices)
        progress(done + 1, len(tasks))
    result = []
    for reference, (activation, kind), found in zip(references, drawn, solutions, strict=True):
        kept = [index for index, vertices in enumerate(found) if vertices is not None]
        vertices = np.array([vertices for vertices in found if vertices is not None])
        result.append(as_solved(reference, activation[kept], vertices.reshape(-1, 468, 3), kind[kept]))
    return result


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


_WORKER: dict[str, Sequence[ReferenceFace]] = {}
_Task = tuple[int, Array]


def _solutions(references: Sequence[ReferenceFace], tasks: Sequence[_Task], workers: int) -> Iterator[Array | None]:
    """Vertices in the order of the tasks (reference, activation); None for a pose that did not converge."""
    if workers <= 1:
        with threadpool_limits(1):
            for person, activation in tasks:
                yield _solve(references[person], activation)
        return
    recipes = [_recipe(reference) for reference in references]
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_set_up_worker, initargs=(recipes,)) as pool:
        yield from pool.map(_solve_in_worker, tasks, chunksize=4)


_Recipe = tuple[Mapping[str, object], Array, Array]


def _recipe(reference: ReferenceFace) -> _Recipe:
    """What a reference is made of, in a form that can be sent to another process."""
    tissue = {f.name: getattr(reference.tissue, f.name) for f in fields(reference.tissue)}
    plain = {name: dict(value) if isinstance(value, Mapping) else value for name, value in tissue.items()}
    return plain, reference.rest, np.asarray(reference.strength, float)


def _set_up_worker(recipes: Sequence[_Recipe]) -> None:
    threadpool_limits(1)  # the matrices are small; threads would only fight the other workers
    _WORKER["references"] = [
        ReferenceFace(SoftTissue(**tissue), rest, strength)  # pyright: ignore[reportArgumentType]
        for tissue, rest, strength in recipes
    ]


def _solve_in_worker(task: _Task) -> Array | None:
    return _solve(_WORKER["references"][task[0]], task[1])


def _solve(reference: ReferenceFace, activation: Array) -> Array | None:
    found = reference.solve(activation)
    return found.vertices_m if found.converged else None
