"""Damped Newton's method on a sheet's energy, with a banded Cholesky factor of its Hessian.

What the energy is made of is the caller's affair: it names groups of degrees of freedom that act on each
other once, and then gives a dense Hessian block a group at every step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve_banded, cholesky_banded
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

Array = NDArray[np.floating]
Blocks = Callable[[bool], Array]
"""Hessian values of all groups in their order, flat; called with True it makes every block semidefinite."""

_HALVINGS = 20


@dataclass(frozen=True, eq=False)
class Descent:
    """Where Newton's method stopped.

    vertices_m (V, 3); energy_j; gradient (V, 3) N there; residual_n, its largest entry on a free dof;
    iterations; converged.
    """

    vertices_m: Array
    energy_j: float
    gradient: Array
    residual_n: float
    iterations: int
    converged: bool


def descend(
    begin: Array,
    energy: Callable[[Array], float],
    gradient: Callable[[Array], Array],
    hessian: Callable[[Array], Blocks],
    solver: "BandedSolver",
    *,
    tolerance_n: float,
    most_iterations: int,
) -> Descent:
    """The minimum of an energy below `begin` (V, 3) m.

    energy, gradient and hessian are functions of vertices (V, 3): J, (V, 3) N, and `Blocks` in the order of
    the solver's groups. A step takes the true Hessian while it is positive definite, its projection where it
    is not, and is halved until the energy falls.
    """
    vertices = begin
    level, slope_field = energy(vertices), gradient(vertices)
    residual, iterations = np.inf, 0
    for iterations in range(most_iterations + 1):
        force = slope_field.ravel()[solver.free]
        residual = float(np.abs(force).max(initial=0.0))
        if residual < tolerance_n or iterations == most_iterations:
            break
        step = np.zeros(vertices.size)
        step[solver.free] = -solver.newton_step(hessian(vertices), force)
        slope = float(slope_field.ravel() @ step)
        for size in 0.5 ** np.arange(_HALVINGS):
            trial = vertices + size * step.reshape(-1, 3)
            trial_level = energy(trial)
            if trial_level <= level + 1e-4 * size * slope + 1e-14 * abs(level):
                vertices, level, slope_field = trial, trial_level, gradient(trial)
                break
        else:
            break
    return Descent(vertices, level, slope_field, residual, iterations, residual < tolerance_n)


@dataclass(frozen=True, eq=False)
class BandedSolver:
    """Sums group blocks into a banded matrix over the free dofs and solves with its Cholesky factor.

    The mesh is a narrow strip in reverse Cuthill-McKee order, so a banded LAPACK factor beats sparse LU here
    and, unlike it, tells whether the matrix is positive definite.
    """

    free: NDArray[np.int64]
    band: int
    chosen: NDArray[np.int64]
    place: NDArray[np.int64]

    @classmethod
    def of(cls, groups: Sequence[NDArray[np.int64]], held: NDArray[np.int64], size: int) -> "BandedSolver":
        """Solver for groups of dofs, each (n, k) with a (k, k) block a row; `held` of `size` dofs stand still."""
        rows = np.concatenate([np.repeat(g, g.shape[1], axis=1).ravel() for g in groups])
        columns = np.concatenate([np.tile(g, (1, g.shape[1])).ravel() for g in groups])
        free = np.setdiff1d(np.arange(size), held)
        number = np.full(size, -1)
        number[free] = np.arange(len(free))
        inside = (number[rows] >= 0) & (number[columns] >= 0)
        pattern = coo_array(
            (np.ones(inside.sum()), (number[rows[inside]], number[columns[inside]])), shape=(len(free),) * 2
        )
        order = reverse_cuthill_mckee(csr_array(pattern), symmetric_mode=True)
        number[free[order]] = np.arange(len(free))
        chosen = np.flatnonzero(inside & (number[rows] >= number[columns]))
        below, column = number[rows[chosen]] - number[columns[chosen]], number[columns[chosen]]
        band = int(below.max(initial=0))
        return cls(free[order], band, chosen, below * len(free) + column)

    def newton_step(self, blocks: Blocks, force: Array) -> Array:
        """H⁻¹ force over the free dofs; `blocks(project)` gives the values of all groups."""
        for project in (False, True):
            try:
                return self._solve(blocks(project), force, 0.0)
            except LinAlgError:
                continue
        return self._solve(blocks(True), force, 1e-6)

    def _solve(self, values: Array, force: Array, shift: float) -> Array:
        count = len(self.free)
        matrix = np.bincount(self.place, values[self.chosen], (self.band + 1) * count).reshape(-1, count)
        matrix[0] += shift * matrix[0].max()
        factor = cholesky_banded(matrix, overwrite_ab=True, lower=True, check_finite=False)
        return cho_solve_banded((factor, True), force, check_finite=False)
