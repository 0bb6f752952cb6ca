"""Contractile springs that pull a sheet towards anchor points, with exact geometry.

A strand runs straight from the weighted mean of some vertices to its anchor; the direction of its pull turns as
either moves. An element is one spring on the sum of its strands' shortenings: a muscle with one strand pulls along a
line, a sphincter has one strand a vertex. Like the sheet's own energies this is plain NumPy without state.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .errors import InputError

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False, kw_only=True)
class Contraction:
    """State of E springs: force f = k (l − Δ) − f₀ at a shortening Δ.

    stiffness_n_m k ≥ 0, free_m l (the shortening at which it would go slack), tone_n f₀ (the part of the force that
    the sheet's rest shape already balances), each (E,).
    """

    stiffness_n_m: Array
    free_m: Array
    tone_n: Array

    def force(self, shortening_m: Array) -> Array:
        """Forces (E,) N; negative where a spring is slacker than at rest."""
        return self.stiffness_n_m * (self.free_m - shortening_m) - self.tone_n

    def energy(self, shortening_m: Array) -> float:
        """Stored energy (J), zero at no shortening; −dE/dΔ is the force."""
        pull = self.stiffness_n_m * (self.free_m - 0.5 * shortening_m) - self.tone_n
        return -float(pull @ shortening_m)


@dataclass(frozen=True, eq=False, kw_only=True)
class Strands:
    """S strands of E elements over a sheet with vertices `rest` (V, 3) m.

    weights (S, V): rows are not negative and sum to one; a strand starts at this mean of the vertices.
    anchors_m (S, 3): where each ends at rest. gain (S,): how much a strand's shortening counts in its element's.
    element (S,): 0 … E − 1, each at least once.
    """

    rest: Array
    weights: sp.csr_array
    anchors_m: Array
    gain: Array
    element: NDArray[np.int64]

    def __post_init__(self) -> None:
        count = len(self.gain)
        if not (self.weights.shape == (count, len(self.rest)) and self.anchors_m.shape == (count, 3)):
            raise InputError(f"strands need weights (S, V) and anchors (S, 3) for S = {count}")
        if self.rest_length_m.min(initial=np.inf) <= 0:
            raise InputError("a strand's anchor coincides with its start; move the anchor")

    @property
    def count(self) -> int:
        """Number of elements E."""
        return int(self.element.max(initial=-1)) + 1

    @cached_property
    def rest_length_m(self) -> Array:
        """Length of each strand at rest, (S,) m."""
        return np.linalg.norm(self.anchors_m - self.weights @ self.rest, axis=1)

    @cached_property
    def dofs(self) -> list[NDArray[np.int64]]:
        """Degrees of freedom 3 v + axis of each element, one (1, k) group an element."""
        return [(3 * vertices[:, None] + np.arange(3)).reshape(1, -1) for vertices, _ in self._parts]

    def shortening(self, vertices: Array, anchors_m: Array) -> Array:
        """Shortening Δ (E,) m of elements for vertices (V, 3) and anchors (S, 3) where they are now."""
        length = np.linalg.norm(anchors_m - self.weights @ vertices, axis=1)
        return self._sum(self.gain * (self.rest_length_m - length))

    def force(self, vertices: Array, anchors_m: Array, contraction: Contraction) -> Array:
        """Forces (E,) N."""
        return contraction.force(self.shortening(vertices, anchors_m))

    def energy(self, vertices: Array, anchors_m: Array, contraction: Contraction) -> float:
        """Stored energy (J); zero at rest."""
        return contraction.energy(self.shortening(vertices, anchors_m))

    def gradient(self, vertices: Array, anchors_m: Array, contraction: Contraction) -> Array:
        """Energy gradient (V, 3) N."""
        force, direction, _ = self._pulls(vertices, anchors_m, contraction)
        return -np.asarray(self.weights.T @ ((force * self.gain)[:, None] * direction))

    def hessian(
        self, vertices: Array, anchors_m: Array, contraction: Contraction, *, project: bool = False
    ) -> list[Array]:
        """Energy Hessian of each element over its `dofs`, (k, k) N/m; `project` leaves out what is negative in it."""
        force, direction, length = self._pulls(vertices, anchors_m, contraction)
        turning = (np.maximum(force, 0) if project else force) * self.gain / length
        across = np.eye(3) - direction[:, :, None] * direction[:, None, :]
        pull = self.gain[:, None] * direction
        blocks = []
        for which, (vertices_of, weight) in enumerate(self._parts):
            of = self._rows[which]
            along = (weight.T @ pull[of]).ravel()
            size = 3 * len(vertices_of)
            turn = np.einsum("sv,sw,sab->vawb", weight, weight, turning[of, None, None] * across[of])
            blocks.append(contraction.stiffness_n_m[which] * along[:, None] * along[None, :] + turn.reshape(size, size))
        return blocks

    def linear(self) -> Array:
        """Unit pulls at rest B (3V, E): displacements x shorten elements by Bᵀ x, forces f load the sheet with B f."""
        direction = (self.anchors_m - self.weights @ self.rest) / self.rest_length_m[:, None]
        result = np.zeros((self.rest.size, self.count))
        for which, (vertices, weight) in enumerate(self._parts):
            of = self._rows[which]
            load = weight.T @ (self.gain[of, None] * direction[of])
            result[(3 * vertices[:, None] + np.arange(3)).ravel(), which] = load.ravel()
        return result

    def _pulls(self, vertices: Array, anchors_m: Array, contraction: Contraction) -> tuple[Array, Array, Array]:
        """Force of each strand's element (S,), its direction (S, 3) and length (S,)."""
        line = anchors_m - self.weights @ vertices
        length = np.linalg.norm(line, axis=1)
        force = contraction.force(self._sum(self.gain * (self.rest_length_m - length)))
        return force[self.element], line / length[:, None], length

    def _sum(self, values: Array) -> Array:
        return np.bincount(self.element, values, self.count).astype(float)

    @cached_property
    def _rows(self) -> list[NDArray[np.int64]]:
        return [np.flatnonzero(self.element == which) for which in range(self.count)]

    @cached_property
    def _parts(self) -> list[tuple[NDArray[np.int64], Array]]:
        """Of each element its vertices (n,) and its strands' weights on them (s, n)."""
        parts = []
        for of in self._rows:
            block = self.weights[of].toarray()
            vertices = np.flatnonzero(block.any(0))
            parts.append((vertices, block[:, vertices]))
        return parts
