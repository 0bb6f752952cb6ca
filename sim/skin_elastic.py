"""Elastic energies of a thin sheet, with exact derivatives: neo-Hookean membrane, mean-curvature bending.

Plain NumPy over all triangles or vertices at once; no state, no solver. Both energies are exactly invariant
under rigid motions and zero at the rest shape, so their Hessians there are the linear sheet's stiffness.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

_LEAST_AREA_RATIO = 1e-9
"""Guards logarithm and division; the energy is far beyond any equilibrium there."""


@dataclass(frozen=True, eq=False)
class Membrane:
    """Plane-stress neo-Hookean membrane on constant-strain triangles.

    Energy per rest volume, with F (3, 2) the deformation gradient and j its area ratio:
    ψ = μ/2 (|F|² − 2) + g(j), where g is the compressible neo-Hookean energy
    μ/2 (λ₃² − 1) − μ ln J + λ/2 (ln J)², J = j λ₃, minimised over the thickness stretch λ₃ (plane stress).
    At rest its tangent is Hooke's plane-stress law with E and ν; ν = 0.5 gives ψ = μ/2 (|F|² + j⁻² − 3).

    Fields: triangles (T, 3); shape (T, 3, 2) gradients of the three shape functions in the triangle's rest
    frame, 1/m; volume_m3 (T,); shear_pa μ (T,); poisson.
    """

    triangles: NDArray[np.int64]
    shape: Array
    volume_m3: Array
    shear_pa: Array
    poisson: float

    @classmethod
    def of(
        cls,
        rest: Array,
        triangles: NDArray[np.int64],
        young_pa: Array | float,
        poisson: float,
        thickness_m: float,
    ) -> "Membrane":
        """Membrane of a rest shape (V, 3) m; `young_pa` is a scalar or one value a triangle."""
        corner = rest[triangles]
        first, second = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
        length = np.linalg.norm(first, axis=1)
        along = first / length[:, None]
        across = second - np.sum(second * along, axis=1, keepdims=True) * along
        height = np.linalg.norm(across, axis=1)
        frame = np.zeros((len(triangles), 2, 2))
        frame[:, 0, 0], frame[:, 0, 1], frame[:, 1, 1] = length, np.sum(second * along, axis=1), height
        inverse = np.linalg.inv(frame)
        shape = np.concatenate([-inverse.sum(1, keepdims=True), inverse], axis=1)
        shear = np.broadcast_to(np.asarray(young_pa, float) / (2 * (1 + poisson)), (len(triangles),))
        return cls(triangles, shape, 0.5 * length * height * thickness_m, shear, poisson)

    def deformation(self, vertices: Array) -> Array:
        """Deformation gradients (…, T, 3, 2) of vertices (…, V, 3): columns are the stretched rest axes."""
        return np.einsum("...tia,tib->...tab", vertices[..., self.triangles, :], self.shape)

    def principal_stretch(self, vertices: Array) -> Array:
        """The two principal stretches (…, T, 2) of vertices (…, V, 3), larger first; 1 at rest."""
        gradient = self.deformation(vertices)
        a = np.einsum("...a,...a", gradient[..., 0], gradient[..., 0])
        b = np.einsum("...a,...a", gradient[..., 1], gradient[..., 1])
        c = np.einsum("...a,...a", gradient[..., 0], gradient[..., 1])
        middle, radius = 0.5 * (a + b), np.hypot(0.5 * (a - b), c)
        return np.sqrt(np.maximum(np.stack([middle + radius, middle - radius], axis=-1), 0))

    def energy(self, vertices: Array) -> float:
        """Stored energy (J) of vertices (V, 3)."""
        gradient = self.deformation(vertices)
        ratio, _ = _area_ratio(gradient)
        area_energy, _, _ = self._area_terms(ratio)
        density = 0.5 * (np.einsum("tab,tab->t", gradient, gradient) - 2) + area_energy
        return float(np.sum(self.volume_m3 * self.shear_pa * density))

    def gradient(self, vertices: Array) -> Array:
        """Energy gradient per triangle corner, (T, 3, 3) N; add up over triangles for the vertices."""
        gradient = self.deformation(vertices)
        ratio, cofactor = _area_ratio(gradient)
        _, slope, _ = self._area_terms(ratio)
        stress = gradient + slope[:, None, None] * cofactor
        return (self.volume_m3 * self.shear_pa)[:, None, None] * np.einsum("tab,tib->tia", stress, self.shape)

    def hessian(self, vertices: Array, *, project: bool = False) -> Array:
        """Energy Hessian per triangle, (T, 9, 9) N/m, ordered corner-major, xyz within a corner.

        `project` clips each triangle's negative eigenvalues, so that the sum is positive semidefinite.
        """
        gradient = self.deformation(vertices)
        ratio, cofactor = _area_ratio(gradient)
        _, slope, curve = self._area_terms(ratio)
        one, two = gradient[..., 0], gradient[..., 1]
        a, b = np.einsum("ta,ta->t", one, one), np.einsum("ta,ta->t", two, two)
        c = np.einsum("ta,ta->t", one, two)
        eye = np.eye(3)
        # Second derivative of j²/2 = (|f₁|²|f₂|² − (f₁·f₂)²)/2; that of j follows from it.
        half_square = np.empty((len(gradient), 2, 3, 2, 3))
        half_square[:, 0, :, 0, :] = b[:, None, None] * eye - two[:, :, None] * two[:, None, :]
        half_square[:, 1, :, 1, :] = a[:, None, None] * eye - one[:, :, None] * one[:, None, :]
        mixed = 2 * one[:, :, None] * two[:, None, :] - two[:, :, None] * one[:, None, :]
        mixed -= c[:, None, None] * eye
        half_square[:, 0, :, 1, :] = mixed
        half_square[:, 1, :, 0, :] = mixed.transpose(0, 2, 1)
        normal_part = cofactor.transpose(0, 2, 1).reshape(-1, 6)
        outer = normal_part[:, :, None] * normal_part[:, None, :]
        bend = (slope / ratio)[:, None, None]
        dense = np.eye(6) + (curve[:, None, None] - bend) * outer + bend * half_square.reshape(-1, 6, 6)
        if project:
            values, axes = np.linalg.eigh(dense)
            dense = (axes * np.maximum(values, 0)[:, None, :]) @ axes.transpose(0, 2, 1)
        spread = np.einsum("tib,ac->tbaic", self.shape, eye).reshape(-1, 6, 9)
        return (self.volume_m3 * self.shear_pa)[:, None, None] * (spread.transpose(0, 2, 1) @ dense @ spread)

    def _area_terms(self, ratio: Array) -> tuple[Array, Array, Array]:
        """g(j)/μ with its first and second derivative in j."""
        if self.poisson >= 0.5:
            return 0.5 * (ratio**-2 - 1), -(ratio**-3), 3 * ratio**-4
        lame = 2 * self.poisson / (1 - 2 * self.poisson)
        log_area = np.log(ratio)
        thickness = -log_area * lame / (2 + lame)
        for _ in range(30):
            square = np.exp(2 * thickness)
            change = (square - 1 + lame * (log_area + thickness)) / (2 * square + lame)
            thickness = thickness - change
            if np.max(np.abs(change), initial=0.0) < 1e-14:
                break
        square = np.exp(2 * thickness)
        log_volume = log_area + thickness
        energy = 0.5 * (square - 1) - log_volume + 0.5 * lame * log_volume**2
        slope = (lame * log_volume - 1) / ratio
        curve = lame * 2 * square / (2 * square + lame) / ratio**2 - slope / ratio
        return energy, slope, curve


def _area_ratio(gradient: Array) -> tuple[Any, Any]:
    """Area ratio j (T,) and its derivative with respect to F, (T, 3, 2)."""
    one, two = gradient[..., 0], gradient[..., 1]
    cross = np.cross(one, two)
    ratio = np.maximum(np.linalg.norm(cross, axis=1), _LEAST_AREA_RATIO)
    normal = cross / ratio[:, None]
    return ratio, np.stack([np.cross(two, normal), np.cross(normal, one)], axis=-1)


@dataclass(frozen=True, eq=False)
class Bending:
    """Bi-Laplacian bending about a curved rest shape, E = D/2 Σ_v |L x − c N(x)|²_v / A_v.

    L is the cotangent Laplacian with clamped weights, N(x) the area-weighted normal of a vertex's triangles
    and c the number that makes the bracket vanish at rest. On a flat sheet this is the usual bi-Laplacian.
    On a curved one, L x alone would charge energy for a rigid rotation; the term c N turns with the sheet.
    For the bracket to vanish, weights get the least change that makes L x at rest parallel to N (which also
    removes the in-plane pull of L at free edges).

    Fields: triangles (T, 3); ring (V, R) the vertex itself then its neighbours, padded with itself at weight
    0; slot (T, 3, 3) the place of a triangle's second corner in the ring of its first;
    weight (V, R) of L; curvature c (V,) 1; stiffness D / A_v (V,) N/m.
    """

    triangles: NDArray[np.int64]
    ring: NDArray[np.int64]
    slot: NDArray[np.int64]
    weight: Array
    curvature: Array
    stiffness: Array

    @classmethod
    def of(
        cls, rest: Array, triangles: NDArray[np.int64], rigidity_nm: float, *, least_weight: float = 0.05
    ) -> "Bending":
        """Bending of a rest shape (V, 3) m with flexural rigidity D = E h³ / 12 (1 − ν²) in N m."""
        cotangent = _cotangent_weights(rest, triangles)
        neighbours = [np.flatnonzero(row) for row in cotangent]
        width = max(len(row) for row in neighbours)
        normal = _vertex_normal_areas(rest, triangles)
        ring = np.repeat(np.arange(len(rest))[:, None], width + 1, axis=1)
        weight, curvature = np.zeros(ring.shape), np.zeros(len(rest))
        for vertex, around in enumerate(neighbours):
            spokes = rest[vertex] - rest[around]
            pull = np.maximum(cotangent[vertex, around], least_weight)
            tangent = np.linalg.svd(normal[vertex][None])[2][1:]
            pull = pull - np.linalg.pinv(tangent @ spokes.T, rcond=1e-6) @ (tangent @ (pull @ spokes))
            curvature[vertex] = (pull @ spokes) @ normal[vertex] / (normal[vertex] @ normal[vertex])
            ring[vertex, 1 : len(around) + 1] = around
            weight[vertex, 1 : len(around) + 1] = -pull
            weight[vertex, 0] = pull.sum()
        slot = (ring[triangles][:, :, None, :] == triangles[:, None, :, None]).argmax(-1)
        area = np.linalg.norm(np.cross(*_two_edges(rest, triangles)), axis=1) / 6
        vertex_area = np.bincount(triangles.ravel(), np.repeat(area, 3), minlength=len(rest))
        return cls(triangles, ring, slot, weight, curvature, rigidity_nm / vertex_area)

    def residual(self, vertices: Array) -> Array:
        """L x − c N(x), (V, 3) m; zero at rest."""
        laplacian = np.einsum("vr,vra->va", self.weight, vertices[self.ring])
        return laplacian - self.curvature[:, None] * _vertex_normal_areas(vertices, self.triangles)

    def energy(self, vertices: Array) -> float:
        """Stored energy (J) of vertices (V, 3)."""
        return float(0.5 * np.sum(self.stiffness[:, None] * self.residual(vertices) ** 2))

    def gradient(self, vertices: Array) -> Array:
        """Energy gradient (V, 3) N."""
        pull = self.stiffness[:, None] * self.residual(vertices)
        corner_pull = np.einsum("va,vrab->vrb", pull, self._jacobian(vertices)).reshape(-1, 3)
        return _sum_at(self.ring, corner_pull, len(vertices))

    def hessian(self, vertices: Array) -> Array:
        """Gauss-Newton Hessian per vertex ring, (V, 3R, 3R) N/m: positive semidefinite, exact at rest."""
        count, width = self.ring.shape
        jacobian = self._jacobian(vertices).transpose(0, 2, 1, 3).reshape(count, 3, 3 * width)
        return jacobian.transpose(0, 2, 1) @ (self.stiffness[:, None, None] * jacobian)

    def hessian_rest(self, vertices: Array) -> Array:
        """What `hessian` leaves out, per triangle (T, 9, 9) N/m: the second derivative of N."""
        pull = -(self.stiffness * self.curvature)[:, None] * self.residual(vertices) / 2
        cross = _cross_matrix(pull[self.triangles].sum(1))
        blocks = np.zeros((len(cross), 3, 3, 3, 3))
        for first, second in ((0, 1), (1, 2), (2, 0)):
            blocks[:, first, :, second, :] = -cross
            blocks[:, second, :, first, :] = cross
        return blocks.reshape(-1, 9, 9)

    def _jacobian(self, vertices: Array) -> Array:
        """d residual_v / d x_ring, (V, R, 3, 3)."""
        blocks = self.weight[:, :, None, None] * np.eye(3)
        # d/dx_j of the sum of (x_a × x_b + x_b × x_c + x_c × x_a)/2 over v's triangles.
        corner = vertices[self.triangles]
        opposite = _cross_matrix(0.5 * (corner[:, [2, 0, 1]] - corner[:, [1, 2, 0]]))
        share = -self.curvature[self.triangles][:, :, None, None, None] * opposite[:, None]
        place = self.triangles[:, :, None] * self.ring.shape[1] + self.slot
        flat = place[..., None, None] * 9 + np.arange(9).reshape(3, 3)
        return blocks + np.bincount(flat.ravel(), share.ravel(), blocks.size).reshape(blocks.shape)


def _two_edges(vertices: Array, triangles: NDArray[np.int64]) -> tuple[Array, Array]:
    corner = vertices[triangles]
    return corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]


def _vertex_normal_areas(vertices: Array, triangles: NDArray[np.int64]) -> Array:
    """Sum of the area vectors of each vertex's triangles, (V, 3) m²."""
    area = 0.5 * np.cross(*_two_edges(vertices, triangles))
    return _sum_at(triangles, np.repeat(area, 3, axis=0), len(vertices))


def _sum_at(index: NDArray[np.int64], vectors: Array, count: int) -> Array:
    """Add vectors (n, 3) up at the n entries of `index`, giving (count, 3)."""
    columns = [np.bincount(index.ravel(), vectors[:, k], minlength=count) for k in range(3)]
    return np.stack(columns, axis=1).astype(float)


def _cross_matrix(vectors: Array) -> Array:
    """[v]× with [v]× w = v × w, (…, 3, 3)."""
    result = np.zeros((*vectors.shape, 3))
    result[..., 0, 1], result[..., 0, 2], result[..., 1, 2] = (
        -vectors[..., 2],
        vectors[..., 1],
        -vectors[..., 0],
    )
    return result - np.swapaxes(result, -1, -2)


def _cotangent_weights(rest: Array, triangles: NDArray[np.int64]) -> Array:
    """Half the sum of cotangents opposite each edge, dense (V, V); no edge has exactly zero."""
    result = np.zeros((len(rest), len(rest)))
    for k in range(3):
        a, b, c = (triangles[:, (k + s) % 3] for s in range(3))
        u, v = rest[a] - rest[c], rest[b] - rest[c]
        half = 0.5 * np.sum(u * v, axis=1) / np.linalg.norm(np.cross(u, v), axis=1)
        np.add.at(result, (a, b), half + 1e-300)
        np.add.at(result, (b, a), half + 1e-300)
    return result
