"""Fit the fast skin map to poses solved by the nonlinear reference, and measure it on poses kept aside."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from .errors import InputError
from .skin_fast import FastSkin, features
from .skin_reference import ReferenceSkin

Array = NDArray[np.floating]
Progress = Callable[[int, int], None]
"""Called with the number of poses done and their total."""

_WIDTHS = (22, 26, 30)
_RIDGES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_SPAN_LOSS = 1e-7
"""Share of the port motion's variance that the linear part may leave out."""
_MOST_DIRECTIONS = 64


@dataclass(frozen=True, eq=False)
class Poses:
    """Solved poses: u (N, M, 3) m of the moving ports, vertices_m (N, V, 3), forces_n (N, M, 3)."""

    u: Array
    vertices_m: Array
    forces_n: Array

    def __len__(self) -> int:
        return len(self.u)

    def __getitem__(self, which: NDArray[np.int64] | slice) -> "Poses":
        return Poses(self.u[which], self.vertices_m[which], self.forces_n[which])

    def mirrored(self, ports: NDArray[np.int64], mirror: NDArray[np.int64]) -> "Poses":
        """The same poses reflected in x = 0; `mirror` (V,) names each vertex's partner."""
        place = {int(vertex): index for index, vertex in enumerate(ports)}
        partners = [place.get(int(mirror[vertex])) for vertex in ports]
        if None in partners:
            raise InputError("the ports are not mirrored in pairs; fit without a mirror")
        swap, flip = np.array(partners), np.array([-1.0, 1.0, 1.0])
        return Poses(self.u[:, swap] * flip, self.vertices_m[:, mirror] * flip, self.forces_n[:, swap] * flip)


def sample_and_fit(
    reference: ReferenceSkin,
    port_samples: Array,
    *,
    mirror: NDArray[np.int64] | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> FastSkin:
    """Solve poses with the reference and fit a fast map to them.

    Args:
        reference: its first M ports move, the others are held still.
        port_samples: displacements of the moving ports, (N, M, 3) m, in random order: the last 15 % become
            the test and the 15 % before them choose the fit's width and ridge.
        mirror: partner of every vertex, (V,), to teach every pose with its mirror image; None for none.
        workers: processes that solve poses; 1 solves in this one.
        progress: called as poses are solved.

    Returns:
        The fitted map; its `figures` are measured on the test part alone.
    """
    return fit(reference, solve_poses(reference, port_samples, workers=workers, progress=progress), mirror=mirror)


def solve_poses(
    reference: ReferenceSkin, port_samples: Array, *, workers: int = 1, progress: Progress | None = None
) -> Poses:
    """Solve displacements of the first M ports, (N, M, 3) m; poses that do not converge are left out."""
    samples = np.asarray(port_samples, float)
    if samples.ndim != 3 or samples.shape[1] > len(reference.ports) or not np.isfinite(samples).all():
        raise InputError(f"port samples must be finite (N, M ≤ {len(reference.ports)}, 3), got shape {samples.shape}")
    kept, vertices, forces = [], [], []
    for index, solved in enumerate(_solutions(reference, samples, workers)):
        if solved is not None:
            kept.append(index)
            vertices.append(solved[0])
            forces.append(solved[1][: samples.shape[1]])
        if progress is not None:
            progress(index + 1, len(samples))
    return Poses(samples[kept], np.array(vertices), np.array(forces))


def fit(reference: ReferenceSkin, poses: Poses, *, mirror: NDArray[np.int64] | None = None) -> FastSkin:
    """Fit a fast map to solved poses, split as `sample_and_fit` says."""
    if len(poses) < 20:
        raise InputError(f"a fit needs 20 poses or more, got {len(poses)}")
    ports = np.asarray(reference.ports)[: poses.u.shape[1]]
    first, second = round(0.7 * len(poses)), round(0.85 * len(poses))

    def taught(part: Poses) -> list[Poses]:
        return [part] if mirror is None else [part, part.mirrored(ports, mirror)]

    def trial(part: Poses, width: int, ridges: tuple[float, float]) -> FastSkin:
        return _fit_once(reference, ports, taught(part), width, ridges)

    best = {"vertex_error_rms_mm": (np.inf, 0, 0.0), "force_error_rms_n": (np.inf, 0, 0.0)}
    for width in _WIDTHS:
        for ridge in _RIDGES:
            figures = evaluate(trial(poses[:first], width, (ridge, ridge)), poses[first:second])
            for name, found in best.items():
                best[name] = min(found, (figures[name], width, ridge))
    (_, width, vertex_ridge), (_, _, force_ridge) = best.values()
    skin = trial(poses[:second], width, (vertex_ridge, force_ridge))
    figures = {"poses_fit": float(second), **evaluate(skin, poses[second:], reference)}
    return replace(skin, figures=figures)


def evaluate(skin: FastSkin, poses: Poses, reference: ReferenceSkin | None = None) -> dict[str, float]:
    """Errors of a fast map on solved poses.

    Returns named numbers: `poses_test`; `vertex_error_rms_mm` over all vertices and poses;
    `vertex_error_fraction` of the rms motion `motion_rms_mm`; `worst_vertex_p95_mm`, the largest error in a
    pose that 95 % of poses keep;
    `force_error_rms_n`, `force_error_fraction` of the rms force `force_rms_n`, over the moving ports. With a
    reference also `linear_vertex_error_fraction` and `linear_force_error_fraction`, those of the linear map.
    """
    motion = poses.vertices_m - skin.rest
    off = np.linalg.norm(skin.vertices(poses.u) - poses.vertices_m, axis=-1)
    figures = {
        "poses_test": float(len(poses)),
        "vertex_error_rms_mm": 1e3 * float(np.sqrt(np.mean(off**2))),
        "vertex_error_fraction": float(np.sqrt(np.mean(off**2))) / _rms(motion),
        "worst_vertex_p95_mm": 1e3 * float(np.quantile(off.max(1), 0.95)),
        "motion_rms_mm": 1e3 * _rms(motion),
        "force_error_rms_n": _rms(skin.forces(poses.u) - poses.forces_n),
        "force_rms_n": _rms(poses.forces_n),
    }
    figures["force_error_fraction"] = figures["force_error_rms_n"] / figures["force_rms_n"]
    if reference is not None:
        moves = _all_ports(reference, poses.u)
        linear, count = reference.linear, poses.u.shape[1]
        figures["linear_vertex_error_fraction"] = _rms(linear.motion(moves) - motion) / _rms(motion)
        linear_forces = linear.force(moves)[:, :count]
        figures["linear_force_error_fraction"] = _rms(linear_forces - poses.forces_n) / figures["force_rms_n"]
    return figures


def _fit_once(
    reference: ReferenceSkin,
    ports: NDArray[np.int64],
    parts: Sequence[Poses],
    width: int,
    ridges: tuple[float, float],
) -> FastSkin:
    """Ridge regression of the correction's modes on the features; one ridge for vertices, one for forces."""
    u = np.concatenate([part.u for part in parts])
    flat = u.reshape(len(u), -1)
    _, sizes, directions = np.linalg.svd(flat, full_matrices=False)
    left_out = 1 - np.cumsum(sizes**2) / np.sum(sizes**2)
    rank = min(int(np.searchsorted(-left_out, -_SPAN_LOSS)) + 1, _MOST_DIRECTIONS, len(sizes))
    scale = sizes[:rank] / np.sqrt(len(flat))
    basis, linear = directions[:rank].T / scale, reference.linear
    count = flat.shape[1]
    port_dof = (3 * ports[:, None] + np.arange(3)).ravel()
    vertex_linear = (linear.displacement[:, :count] @ (directions[:rank].T * scale)).T
    force_linear = -(linear.stiffness[:count, :count] @ (directions[:rank].T * scale)).T
    coordinates = flat @ basis
    moved = np.concatenate([part.vertices_m for part in parts]) - reference.sheet.rest
    pushed = np.concatenate([part.forces_n for part in parts])
    extra_motion = moved.reshape(len(flat), -1) - coordinates @ vertex_linear
    extra_motion[:, port_dof] = 0.0
    extra_force = pushed.reshape(len(flat), -1) - coordinates @ force_linear
    terms = features(coordinates[:, :width])
    size = np.sqrt(np.mean(terms**2, axis=0)) + 1e-12
    terms = terms / size
    blocks, modes = [], []
    for target, most, ridge in ((extra_motion, 80, ridges[0]), (extra_force, 60, ridges[1])):
        kept = _principal(target, most)
        gram = terms.T @ terms + ridge * np.eye(terms.shape[1])
        blocks.append(np.linalg.solve(gram, terms.T @ (target @ kept.T)) / size[:, None])
        modes.append(kept)
    return FastSkin(
        rest=reference.sheet.rest,
        triangles=reference.sheet.triangles,
        ports=ports,
        basis=basis.astype(np.float32),
        coefficients=np.concatenate(blocks, axis=1).astype(np.float32),
        vertex_modes=np.concatenate([vertex_linear, modes[0]]).astype(np.float32),
        force_modes=np.concatenate([force_linear, modes[1]]).astype(np.float32),
        range_m=np.linalg.norm(u, axis=-1).max(0),
        figures={},
    )


def _principal(target: Array, most: int) -> Array:
    """Orthonormal rows that hold most of the rows of `target` (N, d), at most `most` of them."""
    _, axes = np.linalg.eigh(target @ target.T if len(target) < target.shape[1] else target.T @ target)
    axes = axes[:, ::-1][:, :most]
    if len(target) < target.shape[1]:
        axes, _ = np.linalg.qr(target.T @ axes)
    return axes.T


def _all_ports(reference: ReferenceSkin, u: Array) -> Array:
    held = np.zeros((len(u), len(reference.ports) - u.shape[1], 3))
    return np.concatenate([u, held], axis=1)


def _rms(vectors: Array) -> float:
    """Root mean square length of vectors (…, 3)."""
    return float(np.sqrt(np.mean(np.sum(np.square(vectors), axis=-1))))


_Solution = tuple[Array, Array] | None
_WORKER: dict[str, ReferenceSkin] = {}


def _solutions(reference: ReferenceSkin, samples: Array, workers: int) -> Iterator[_Solution]:
    """Solutions in the order of the samples; None for a pose that did not converge."""
    moves = _all_ports(reference, samples)
    if workers <= 1:
        with threadpool_limits(1):
            for u in moves:
                yield _solve(reference, u)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_set_up_worker, initargs=(reference,)) as pool:
        yield from pool.map(_solve_in_worker, moves, chunksize=8)


def _set_up_worker(reference: ReferenceSkin) -> None:
    threadpool_limits(1)  # the matrices are small; threads would only fight the other workers
    _WORKER["reference"] = reference


def _solve_in_worker(u: Array) -> _Solution:
    return _solve(_WORKER["reference"], u)


def _solve(reference: ReferenceSkin, u: Array) -> _Solution:
    found = reference.solve(u)
    return (found.vertices_m, found.port_force_n) if found.converged else None
