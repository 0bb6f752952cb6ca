"""The sheet at large displacements: static equilibrium under prescribed port displacements.

This is the truth that the fast map is fitted to and tested against. Geometry is exact, the membrane
neo-Hookean, the method Newton's. One solve of the 468-vertex face takes some tens of milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .skin import PortMap, Sheet, checked_ports, dofs
from .skin_newton import BandedSolver, Blocks, descend

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Contact:
    """Pairs of vertices that must not pass through each other, such as the lips.

    pairs (n, 2): (upper, lower). The gap is the upper's y less the lower's; below `least_gap_m` a spring of
    `stiffness_n_m` a pair pushes back (the force is continuous). Unilateral, without friction.
    """

    pairs: NDArray[np.int64]
    stiffness_n_m: float = 300.0
    least_gap_m: float = 0.0


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A solved pose.

    vertices_m (V, 3); port_force_n (P, 3), what the skin pushes the ports with; energy_j; residual_n, the
    largest force left on a free vertex; iterations; converged.
    """

    vertices_m: Array
    port_force_n: Array
    energy_j: float
    residual_n: float
    iterations: int
    converged: bool


@dataclass(frozen=True, eq=False)
class ReferenceSkin:
    """Geometrically nonlinear sheet on P ports.

    sheet; ports: P distinct vertices; ground (V, P): the ground's weights on the ports, as in
        `skin.condense`;
    contact: optional unilateral pairs.
    """

    sheet: Sheet
    ports: Sequence[int]
    ground: Array | None = None
    contact: Contact | None = field(default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ports", checked_ports(self.ports, len(self.sheet.rest)))
        shape = (len(self.sheet.rest), len(self.ports))
        if self.ground is not None and np.shape(self.ground) != shape:
            raise InputError(f"ground must be (V, P) = {shape}, got {np.shape(self.ground)}")

    @cached_property
    def linear(self) -> PortMap:
        """The same sheet's linear map."""
        return self.sheet.condense(self.ports, self.ground)

    def energy(self, vertices: Array, u: Array) -> float:
        """Stored energy (J) of vertices (V, 3) m; port displacements u (P, 3) m move the ground."""
        sheet, slip = self.sheet, self._slip(vertices, u)
        foundation = 0.5 * float(np.einsum("va,vab,vb->", slip, sheet.foundation, slip))
        total = sheet.membrane.energy(vertices) + sheet.bending.energy(vertices) + foundation
        if self.contact is not None:
            total += 0.5 * self.contact.stiffness_n_m * float(np.sum(self._overlap(vertices) ** 2))
        return total

    def gradient(self, vertices: Array, u: Array) -> Array:
        """Derivative of the energy in all vertices, (V, 3) N, ground held still."""
        sheet = self.sheet
        corner = sheet.membrane.gradient(vertices).reshape(-1, 3)
        index = sheet.triangles.ravel()
        result = np.stack([np.bincount(index, corner[:, k], len(vertices)) for k in range(3)], axis=1)
        result += sheet.bending.gradient(vertices)
        result += np.einsum("vab,vb->va", sheet.foundation, self._slip(vertices, u))
        if self.contact is not None:
            push = self.contact.stiffness_n_m * self._overlap(vertices)
            np.add.at(result[:, 1], self.contact.pairs[:, 0], -push)
            np.add.at(result[:, 1], self.contact.pairs[:, 1], push)
        return result

    def solve(
        self, u: Array, start: Array | None = None, *, tolerance_n: float = 1e-6, most_iterations: int = 80
    ) -> Equilibrium:
        """Equilibrium for port displacements u (P, 3) m.

        `start` (V, 3) m: where to begin; None takes the linear map. Where several equilibria exist
        (buckling), the one below the start is found. A pose that does not converge is tried again in quarter
        steps from rest, then returned with `converged` False.
        """
        u = np.asarray(u, float)
        if u.shape != (len(self.ports), 3) or not np.isfinite(u).all():
            raise InputError(f"port displacements must be finite {(len(self.ports), 3)} metres, got shape {u.shape}")
        begin = self.sheet.rest + self.linear.motion(u) if start is None else np.array(start, float)
        result = self._newton(begin, u, tolerance_n, most_iterations)
        if not result.converged:
            vertices, spent = self.sheet.rest, result.iterations
            for share in (0.25, 0.5, 0.75, 1.0):
                guess = vertices + self.linear.motion(0.25 * u)
                step = self._newton(guess, share * u, tolerance_n, most_iterations)
                vertices, spent = step.vertices_m, spent + step.iterations
            if step.converged or step.energy_j < result.energy_j:
                result = Equilibrium(
                    step.vertices_m, step.port_force_n, step.energy_j, step.residual_n, spent, step.converged
                )
        return result

    def _newton(self, begin: Array, u: Array, tolerance_n: float, most_iterations: int) -> Equilibrium:
        ports = self.ports
        vertices = begin.copy()
        vertices[ports] = self.sheet.rest[ports] + u
        found = descend(
            vertices, lambda x: self.energy(x, u), lambda x: self.gradient(x, u), self._hessian_parts, self._solver,
            tolerance_n=tolerance_n, most_iterations=most_iterations,
        )  # fmt: skip
        pull = found.gradient[ports]
        if self.ground is not None:
            slip = np.einsum("vab,vb->va", self.sheet.foundation, self._slip(found.vertices_m, u))
            pull = pull - self.ground.T @ slip
        return Equilibrium(found.vertices_m, -pull, found.energy_j, found.residual_n, found.iterations, found.converged)

    def _hessian_parts(self, vertices: Array) -> Blocks:
        sheet = self.sheet
        bending = sheet.bending.hessian(vertices)

        def blocks(project: bool) -> Array:
            triangle = sheet.membrane.hessian(vertices, project=project)
            if not project:
                triangle = triangle + sheet.bending.hessian_rest(vertices)
            parts = [triangle.ravel(), bending.ravel(), sheet.foundation.ravel()]
            if self.contact is not None:
                touching = self.contact.stiffness_n_m * (self._overlap(vertices) > 0)
                parts.append(np.outer(touching, [1.0, -1.0, -1.0, 1.0]).ravel())
            return np.concatenate(parts)

        return blocks

    def _slip(self, vertices: Array, u: Array) -> Array:
        slip = vertices - self.sheet.rest
        return slip if self.ground is None else slip - self.ground @ u

    def _overlap(self, vertices: Array) -> Array:
        assert self.contact is not None
        gap = vertices[self.contact.pairs[:, 0], 1] - vertices[self.contact.pairs[:, 1], 1]
        return np.maximum(self.contact.least_gap_m - gap, 0)

    @cached_property
    def _solver(self) -> BandedSolver:
        sheet = self.sheet
        groups = [dofs(sheet.triangles), dofs(sheet.bending.ring), dofs(np.arange(len(sheet.rest))[:, None])]
        if self.contact is not None:
            groups.append(3 * self.contact.pairs + 1)
        return BandedSolver.of(groups, dofs(np.asarray(self.ports)[:, None]).ravel(), sheet.rest.size)
