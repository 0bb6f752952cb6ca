"""The soft skin as one elastic sheet, and its linear map condensed onto ports.

A sheet is a triangle mesh with a membrane (`SkinMaterial`), bending, an elastic foundation and, optionally,
springs at single vertices. Nothing here knows of robots or people: they touch the sheet through *ports*,
vertices whose displacement is prescribed. Everything is SI; the frame is the mesh's.

`skin_reference.ReferenceSkin` is the same sheet at large displacements, `skin_fast.FastSkin` its fitted fast
map.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import splu

from .errors import InputError
from .mesh import vertex_areas, vertex_normals
from .skin_elastic import Bending, Membrane

Array = NDArray[np.floating]

_LEAST_PIVOT = 1e-11
"""A face held by its ports has pivots down to 1e-4 of the largest; a free motion leaves a rounding error."""


@dataclass(frozen=True, kw_only=True)
class SkinMaterial:
    """What a skin is made of; the defaults are a robot's soft silicone over weak foam.

    young_pa: small-strain Young's modulus. Ecoflex 00-30 has 69 kPa at 100 % strain (its maker's bulletin:
        10 psi); range over soft platinum silicones 30-150 kPa. Living facial skin: 20-50 kPa.
    poisson: 0 ≤ ν ≤ 0.5; silicone is nearly incompressible, 0.45-0.5.
    thickness_m: 1.5-3 mm in published robot faces; skin with fat about 1.8 mm.
    foundation_tangential_n_m3, foundation_normal_n_m3: springs per area to whatever lies beneath. A layer of
        thickness t with shear modulus G and Young's modulus E gives G/t and E/t: 10 mm of open-cell foam (G
        0.1-2 kPa, E 0.3-6 kPa) 1e4-2e5 and 3e4-6e5. *Unknown* for any real robot face (an air gap gives 0):
        fit it to landmarks.
    bending_scale: multiplies E h³ / 12 (1 − ν²).
    """

    young_pa: float = 70e3
    poisson: float = 0.48
    thickness_m: float = 2e-3
    foundation_tangential_n_m3: float = 1e5
    foundation_normal_n_m3: float = 5e5
    bending_scale: float = 1.0

    def __post_init__(self) -> None:
        for name in ("young_pa", "thickness_m"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(f"{name} must be finite and positive, got {getattr(self, name)}")
        for name in ("foundation_tangential_n_m3", "foundation_normal_n_m3", "bending_scale"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise InputError(f"{name} must be finite and not negative, got {getattr(self, name)}")
        if not 0 <= self.poisson <= 0.5:
            raise InputError(f"poisson must lie in 0 … 0.5, got {self.poisson}")

    @property
    def rigidity_nm(self) -> float:
        """Flexural rigidity D = E h³ / 12 (1 − ν²), N m, with the bending scale."""
        return self.bending_scale * self.young_pa * self.thickness_m**3 / (12 * (1 - self.poisson**2))


@dataclass(frozen=True, eq=False)
class Sheet:
    """An elastic sheet at rest.

    rest (V, 3) m; triangles (T, 3); material.
    tangential, normal: factors on the foundation, scalar or (V,), e.g. 0 over a cavity.
    young: factor on Young's modulus for the membrane, scalar or (T,).
    anchor_n_m: isotropic springs from vertices to the ground, scalar or (V,) N/m, for tissue beyond a rim.
    Raises InputError for shapes that do not fit, values that are not finite or degenerate triangles.
    """

    rest: Array
    triangles: NDArray[np.int64]
    material: SkinMaterial = field(default_factory=SkinMaterial)
    tangential: ArrayLike = 1.0
    normal: ArrayLike = 1.0
    young: ArrayLike = 1.0
    anchor_n_m: ArrayLike = 0.0

    def __post_init__(self) -> None:
        rest, triangles = np.array(self.rest, float), np.array(self.triangles, np.int64)
        if rest.ndim != 2 or rest.shape[1] != 3 or not np.isfinite(rest).all():
            raise InputError(f"rest must be finite (V, 3) metres, got shape {rest.shape}")
        if triangles.ndim != 2 or triangles.shape[1] != 3 or triangles.min() < 0 or triangles.max() >= len(rest):
            raise InputError(f"triangles must be (T, 3) indices below {len(rest)}, got shape {triangles.shape}")
        sizes = {
            "tangential": len(rest),
            "normal": len(rest),
            "young": len(triangles),
            "anchor_n_m": len(rest),
        }
        object.__setattr__(self, "rest", rest)
        object.__setattr__(self, "triangles", triangles)
        for name, size in sizes.items():
            value = np.asarray(getattr(self, name), float)
            if value.shape not in ((), (size,)) or not np.isfinite(value).all() or (value < 0).any():
                raise InputError(f"{name} must be a number or ({size},), finite and not negative; got {value.shape}")
            object.__setattr__(self, name, np.broadcast_to(value, (size,)))
        edge_one, edge_two = (
            rest[triangles[:, 1]] - rest[triangles[:, 0]],
            rest[triangles[:, 2]] - rest[triangles[:, 0]],
        )
        if np.linalg.norm(np.cross(edge_one, edge_two), axis=1).min() <= 0:
            raise InputError("the mesh has triangles without area; remove them")

    @cached_property
    def membrane(self) -> Membrane:
        """The membrane's energy."""
        material = self.material
        young = material.young_pa * np.asarray(self.young)
        return Membrane.of(self.rest, self.triangles, young, material.poisson, material.thickness_m)

    @cached_property
    def bending(self) -> Bending:
        """The bending energy."""
        return Bending.of(self.rest, self.triangles, self.material.rigidity_nm)

    @cached_property
    def foundation(self) -> Array:
        """Stiffness of foundation and anchors, one symmetric block a vertex, (V, 3, 3) N/m."""
        material, eye = self.material, np.eye(3)
        area = vertex_areas(self.rest, self.triangles)
        along = vertex_normals(self.rest, self.triangles)
        along = along[:, :, None] * along[:, None, :]
        tangential = (area * material.foundation_tangential_n_m3 * np.asarray(self.tangential))[:, None, None]
        normal = (area * material.foundation_normal_n_m3 * np.asarray(self.normal))[:, None, None]
        anchor = np.asarray(self.anchor_n_m)[:, None, None]
        return np.asarray(tangential * (eye - along) + normal * along + anchor * eye, float)

    @cached_property
    def elastic_stiffness(self) -> sp.csr_array:
        """Membrane and bending at rest, (3V, 3V) N/m, symmetric PSD; only the rigid motions are free."""
        triangle_dof, ring_dof = dofs(self.triangles), dofs(self.bending.ring)
        parts = [
            (triangle_dof, self.membrane.hessian(self.rest)),
            (ring_dof, self.bending.hessian(self.rest)),
        ]
        return _assemble(parts, self.rest.size)

    @cached_property
    def foundation_stiffness(self) -> sp.csr_array:
        """Foundation and anchors, (3V, 3V) N/m, block diagonal."""
        return _assemble([(dofs(np.arange(len(self.rest))[:, None]), self.foundation)], self.rest.size)

    @property
    def stiffness(self) -> sp.csr_array:
        """Tangent stiffness K at rest, (3V, 3V) N/m, dof 3 v + axis: elastic and foundation."""
        return sp.csr_array(self.elastic_stiffness + self.foundation_stiffness)

    def condense(self, ports: Sequence[int], ground: Array | None = None) -> "PortMap":
        """The linear map of this sheet from its ports; `ground` as in `condense`."""
        return condense(self.stiffness, ports, None if ground is None else self.foundation_stiffness, ground)


@dataclass(frozen=True, eq=False)
class PortMap:
    """A sheet's linear response to prescribed port displacements u (P, 3), dof order 3 p + axis.

    displacement: W (3V, 3P), vertices = rest + W u. Independent of Young's modulus where there is no
        foundation.
    stiffness: S (3P, 3P) N/m, symmetric PSD; the stored energy is ½ uᵀ S u, so the skin pushes on the ports
        with −S u. Proportional to Young's modulus where there is no foundation.
    """

    ports: NDArray[np.int64]
    displacement: Array
    stiffness: Array

    def motion(self, u: Array) -> Array:
        """Vertex displacements (…, V, 3) m for port displacements (…, P, 3) m."""
        flat = np.asarray(u, float).reshape(*np.shape(u)[:-2], -1)
        return (flat @ self.displacement.T).reshape(*flat.shape[:-1], -1, 3)

    def force(self, u: Array) -> Array:
        """Forces of the skin on its ports (…, P, 3) N, −S u."""
        return -(np.asarray(u, float).reshape(*np.shape(u)[:-2], -1) @ self.stiffness).reshape(np.shape(u))


def condense(
    stiffness: sp.csr_array,
    ports: Sequence[int],
    foundation: sp.csr_array | None = None,
    ground: Array | None = None,
) -> PortMap:
    """Static condensation of a sheet onto its ports.

    stiffness: K (3V, 3V) N/m. ports: P distinct vertices.
    foundation, ground: if the foundation moves with ports, its part of K and the weights Γ (V, P) with which
        the ground under each vertex follows the ports' displacements (`follow_ports` makes them).
    Raises InputError for ports that are not distinct vertices, or that leave the sheet free to move.
    """
    matrix = sp.csc_array(stiffness)
    count = int(matrix.indptr.size - 1) // 3
    port_ids = checked_ports(ports, count)
    held = dofs(port_ids[:, None]).ravel()
    free = np.setdiff1d(np.arange(3 * count), held)
    load, ground_energy = np.zeros((3 * count, len(held))), np.zeros((len(held), len(held)))
    if foundation is not None and ground is not None:
        spread = np.kron(ground, np.eye(3))
        load = foundation @ spread
        ground_energy = spread.T @ load
    loose = InputError("these ports leave the sheet free to move; add ports or a foundation")
    try:
        factor = splu(matrix[free][:, free].tocsc())
    except RuntimeError as error:
        raise loose from error
    pivots = np.abs(factor.U.diagonal())
    if len(pivots) and pivots.min() < _LEAST_PIVOT * pivots.max():
        raise loose
    displacement = np.zeros((3 * count, len(held)))
    displacement[held, np.arange(len(held))] = 1.0
    displacement[free] = factor.solve(load[free] - matrix[free][:, held].toarray())
    pull = load.T @ displacement
    result = displacement.T @ (matrix @ displacement) - pull - pull.T + ground_energy
    return PortMap(port_ids, displacement, 0.5 * (result + result.T))


def follow_ports(rest: Array, ports: Sequence[int], carriers: Sequence[int], share: Array) -> Array:
    """Ground weights Γ (V, P) for a foundation that rides on a rigid part, e.g. the jaw.

    rest (V, 3) m; ports as in `condense`; carriers: four or more of the ports, not in one plane, that move
    rigidly with the part; share (V,): 1 where the foundation belongs to the part, 0 where it stands still,
    in between where it blends. Exact for every rigid (even affine) motion of the part, since it weighs the
    carriers affinely.
    """
    places = {int(vertex): index for index, vertex in enumerate(ports)}
    missing = [vertex for vertex in carriers if int(vertex) not in places]
    if missing:
        raise InputError(f"carriers must be ports; these are not: {missing}")
    base = np.c_[rest[list(carriers)], np.ones(len(carriers))]
    if len(carriers) < 4 or np.linalg.matrix_rank(base - [*base[0, :3], 0], tol=1e-4) < 4:
        raise InputError("a foundation needs four or more carriers that do not lie in one plane")
    centre = base[:, :3].mean(0)
    scale = np.abs(base[:, :3] - centre).max()
    basis = np.c_[(base[:, :3] - centre) / scale, base[:, 3]]
    target = np.c_[(rest - centre) / scale, np.ones(len(rest))]
    ground = np.zeros((len(rest), len(places)))
    ground[:, [places[int(vertex)] for vertex in carriers]] = target @ np.linalg.pinv(basis)
    return ground * np.asarray(share, float)[:, None]


def checked_ports(ports: Sequence[int], vertex_count: int) -> NDArray[np.int64]:
    """Ports as an index array (P,); raises InputError unless they are distinct vertices."""
    result = np.asarray(ports, np.int64)
    if result.ndim != 1 or not len(result) or result.min() < 0 or result.max() >= vertex_count:
        raise InputError(f"ports must be a list of vertices below {vertex_count}, got {ports!r}")
    if len(np.unique(result)) != len(result):
        raise InputError("a vertex was named twice as a port")
    return result


def dofs(vertices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Degrees of freedom 3 v + axis of vertex groups, (n, k) → (n, 3 k)."""
    return (3 * vertices[..., None] + np.arange(3)).reshape(len(vertices), -1)


def _assemble(parts: list[tuple[NDArray[np.int64], Array]], size: int) -> sp.csr_array:
    rows = [np.repeat(index, index.shape[1], axis=1).ravel() for index, _ in parts]
    columns = [np.tile(index, (1, index.shape[1])).ravel() for index, _ in parts]
    values = [block.ravel() for _, block in parts]
    entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    matrix = sp.csr_array(sp.coo_array(entries, shape=(size, size)))
    return sp.csr_array(0.5 * (matrix + matrix.T))
