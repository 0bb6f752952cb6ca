"""The face at large displacements: where muscles, jaw and lids hold the skin in equilibrium, with exact geometry.

The truth that the fast map (`mechanics`) is corrected to and tested against. It is the same sheet, the same springs
and the same moving ground, but the membrane is neo-Hookean at finite strain, bending and foundation turn with the
skin and the jaw, and every muscle pulls along the line from where its skin is now to its origin, which may ride on
the jaw. To first order in activation it is the linear model.

Left out, as in the linear model: contact of lids with the eyeball and of the lips with each other and the teeth.
"""

from dataclasses import dataclass, field
from functools import cached_property

import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from .. import mesh
from ..errors import InputError
from ..skin import Sheet, dofs
from ..skin_newton import BandedSolver, Blocks, Descent, descend
from ..skin_strands import Contraction, Strands
from .anatomy import MUSCLES
from .drive import drive, jaw_powers, lid_powers
from .elements import Elements, elements
from .ports import jaw_columns, jaw_pivot, jaw_weight
from .sheet import SoftTissue, face_sheet, lid_springs

Array = NDArray[np.floating]

_STAGES = (4, 8)
"""Steps in which a pose is approached from rest; the second if the first does not converge. With 4 steps all of 30
random poses and expressions end as with 16, with 1 step 26; of 14 actions and expressions at full strength 12."""
_ON_THE_WAY_N = 1e-3
"""Tolerance of all steps but the last."""
_FAR_M = 1.0
"""Distance at which a pull has a constant direction, to a hundredth for a centimetre of motion."""


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A solved pose.

    vertices_m (V, 3); force_n (E,): tension of each element beyond its tone, in the order of `elements`; energy_j;
    residual_n: the largest force left on a vertex along an axis; iterations; converged.
    """

    vertices_m: Array
    force_n: Array
    energy_j: float
    residual_n: float
    iterations: int
    converged: bool


@dataclass(frozen=True, eq=False)
class Pose:
    """What an activation does to the world around the skin.

    contraction of the muscles' strands; anchors_m (S, 3): their origins now; foundation (V, 3, 3) N/m and
    ground_m (V, 3): stiffness and displacement of what carries the skin; lid_m (V, 3): where the lids' springs pull;
    seal_n_m: stiffness of a lip seal.
    """

    contraction: Contraction
    anchors_m: Array
    foundation: Array
    ground_m: Array
    lid_m: Array
    seal_n_m: float


@dataclass(frozen=True, eq=False)
class ReferenceFace:
    """A face of given tissue, rest shape (468, 3) m and muscle strength, a factor or (48,), solved by Newton."""

    tissue: SoftTissue = field(default_factory=SoftTissue)
    rest: Array = field(default_factory=lambda: mesh.REST)
    strength: ArrayLike = 1.0

    @cached_property
    def elements(self) -> Elements:
        """The force elements, as in the fast map."""
        return elements(self.rest, self.strength)

    @cached_property
    def sheet(self) -> Sheet:
        """The skin, as in the fast map."""
        return face_sheet(self.tissue, self.rest)

    @cached_property
    def strands(self) -> Strands:
        """The muscles' pulls (all elements but the lip seals) with exact geometry."""
        return muscle_strands(self.elements)

    def solve(
        self,
        activation: ArrayLike,
        start: Array | None = None,
        *,
        tolerance_n: float = 1e-6,
        most_iterations: int = 60,
    ) -> Equilibrium:
        """Equilibrium for activations (48,) in 0…1.

        Skin folds, so several equilibria may exist. Without a `start` it is the one that the face comes to from rest
        while all activations grow together; with a `start` (468, 3) m the one below that. A pose that does not
        converge is tried in smaller steps, then returned with `converged` False. Raises InputError.
        """
        goal = np.asarray(activation, float)
        if goal.shape != (len(MUSCLES),) or not ((goal >= 0) & (goal <= 1)).all():
            raise InputError(f"activation must be ({len(MUSCLES)},) in 0 … 1, got shape {goal.shape}, values {goal}")
        begin = self.sheet.rest if start is None else np.array(start, float)
        spent, found = 0, None
        for stages in _STAGES if start is None else (1,):
            vertices = begin
            for stage in range(1, stages + 1):
                pose, last = self.pose(goal * stage / stages), stage == stages
                found = self._descend(vertices, pose, tolerance_n if last else _ON_THE_WAY_N, most_iterations)
                vertices, spent = found.vertices_m, spent + found.iterations
            if found is not None and found.converged:
                break
        assert found is not None
        pose = self.pose(goal)
        pulls = self.strands.force(found.vertices_m, pose.anchors_m, pose.contraction)
        apart = (found.vertices_m - self.sheet.rest).reshape(-1) @ self.elements.pull[:, self.strands.count :]
        forces = np.concatenate([pulls, -pose.seal_n_m * apart])
        return Equilibrium(found.vertices_m, forces, found.energy_j, found.residual_n, spent, found.converged)

    def pose(self, activation: Array) -> Pose:
        """What activations (48,) do to the skin's surroundings."""
        state = drive(jnp.asarray(activation))
        jaw, seal = float(state.jaw), float(state.seal)
        parts, muscles = self.elements, slice(0, self.strands.count)
        contraction = Contraction(
            stiffness_n_m=parts.stiffness(activation, seal)[muscles],
            free_m=parts.free_length(activation, seal)[muscles],
            tone_n=parts.tone_n[muscles],
        )
        powers = np.asarray(jaw_powers(jnp.asarray(jaw)), float)
        riding = self._on_jaw[:, None] * (self._anchor_columns @ powers)
        turn = _about_x(jaw * jaw_weight())
        return Pose(
            contraction=contraction,
            anchors_m=self.strands.anchors_m + riding,
            foundation=turn @ self._ground_springs @ turn.transpose(0, 2, 1),
            ground_m=(parts.jaw_ground @ powers).reshape(-1, 3),
            lid_m=(parts.lid_ground @ np.asarray(lid_powers(state.lids), float)).reshape(-1, 3),
            seal_n_m=float(parts.stiffness(activation, seal)[-1]),
        )

    def energy(self, vertices: Array, pose: Pose) -> float:
        """Stored energy (J) of vertices (V, 3) m, muscles included; at rest without activation it is zero."""
        sheet, moved = self.sheet, vertices - self.sheet.rest
        slip, lid, apart = moved - pose.ground_m, moved - pose.lid_m, self._apart(moved)
        springs = np.einsum("va,vab,vb->", slip, pose.foundation, slip) + self._lid_springs @ np.sum(lid**2, axis=1)
        springs += pose.seal_n_m * np.sum(apart**2)
        muscles = self.strands.energy(vertices, pose.anchors_m, pose.contraction)
        return sheet.membrane.energy(vertices) + sheet.bending.energy(vertices) + 0.5 * float(springs) + muscles

    def gradient(self, vertices: Array, pose: Pose) -> Array:
        """Derivative of the energy in the vertices, (V, 3) N; zero in equilibrium."""
        sheet, moved = self.sheet, vertices - self.sheet.rest
        corner = sheet.membrane.gradient(vertices).reshape(-1, 3)
        index = sheet.triangles.ravel()
        result = np.stack([np.bincount(index, corner[:, k], len(vertices)) for k in range(3)], axis=1)
        result += sheet.bending.gradient(vertices)
        result += np.einsum("vab,vb->va", pose.foundation, moved - pose.ground_m)
        result += self._lid_springs[:, None] * (moved - pose.lid_m)
        result += self.strands.gradient(vertices, pose.anchors_m, pose.contraction)
        pull = pose.seal_n_m * self._apart(moved)
        result[_UPPER] += pull
        result[_LOWER] -= pull
        return result

    def hessian(self, vertices: Array, pose: Pose) -> Blocks:
        """Second derivative of the energy in blocks over `groups`."""
        sheet, eye = self.sheet, np.eye(3)
        bending = sheet.bending.hessian(vertices)
        springs = pose.foundation + self._lid_springs[:, None, None] * eye
        seal = np.tile(pose.seal_n_m * np.kron([[1, -1], [-1, 1]], eye), (len(_UPPER), 1, 1))

        def blocks(project: bool) -> Array:
            triangle = sheet.membrane.hessian(vertices, project=project)
            if not project:
                triangle = triangle + sheet.bending.hessian_rest(vertices)
            muscles = self.strands.hessian(vertices, pose.anchors_m, pose.contraction, project=project)
            return np.concatenate([part.ravel() for part in (triangle, bending, springs, seal, *muscles)])

        return blocks

    @cached_property
    def groups(self) -> list[NDArray[np.int64]]:
        """Degrees of freedom of the Hessian's blocks: triangles, rings, vertices, lip pairs, muscles."""
        sheet, pairs = self.sheet, np.stack([_UPPER, _LOWER], axis=1)
        single = np.arange(len(sheet.rest))[:, None]
        return [dofs(sheet.triangles), dofs(sheet.bending.ring), dofs(single), dofs(pairs), *self.strands.dofs]

    def _descend(self, begin: Array, pose: Pose, tolerance_n: float, most_iterations: int) -> Descent:
        return descend(
            begin, lambda x: self.energy(x, pose), lambda x: self.gradient(x, pose), lambda x: self.hessian(x, pose),
            self._solver, tolerance_n=tolerance_n, most_iterations=most_iterations,
        )  # fmt: skip

    def _apart(self, moved: Array) -> Array:
        """How far each lip pair has parted, (9, 3) m."""
        return moved[_UPPER] - moved[_LOWER]

    @cached_property
    def _solver(self) -> BandedSolver:
        return BandedSolver.of(self.groups, np.array([], np.int64), self.sheet.rest.size)

    @cached_property
    def _lid_springs(self) -> Array:
        return lid_springs(self.tissue)

    @cached_property
    def _ground_springs(self) -> Array:
        """Foundation and rim (V, 3, 3) N/m, without the lids' springs."""
        return self.sheet.foundation - self._lid_springs[:, None, None] * np.eye(3)

    @cached_property
    def _on_jaw(self) -> Array:
        return self.elements.on_jaw[self.strands.element].astype(float)

    @cached_property
    def _anchor_columns(self) -> Array:
        return jaw_columns(self.strands.anchors_m, jaw_pivot(self.rest))


_UPPER, _LOWER = (np.array(row) for row in zip(*mesh.LIP_PAIRS, strict=True))


def muscle_strands(parts: Elements) -> Strands:
    """Strands with exact geometry that at rest pull as the muscles among `parts` do.

    A line is one strand from the mean of its insertion to its origin. A ring has a strand a vertex, whose direction
    stays: it stands for tension times curvature of a band that is much longer than its vertices are from the centre,
    and pulls that converged on the centre itself would let them run past it.
    """
    rows, anchors, gains, owners = [], [], [], []
    for which in np.flatnonzero(~parts.seal):
        vertices = parts.insertion[which]
        if parts.straight[which]:
            weights, start = parts.share[which][None], np.zeros_like(vertices)
            anchor, gain = parts.origin_m[which][None], np.ones(1)
        else:
            pull = parts.pull[:, which].reshape(-1, 3)[vertices]
            gain = np.linalg.norm(pull, axis=1)
            weights, start = np.ones((1, len(vertices))), np.arange(len(vertices))
            anchor = parts.rest[vertices] + _FAR_M * pull / gain[:, None]
        rows.append(sp.csr_array((weights[0], (start, vertices)), shape=(len(gain), len(parts.rest))))
        anchors.append(anchor)
        gains.append(gain)
        owners.append(np.full(len(gain), which))
    return Strands(
        rest=parts.rest,
        weights=sp.csr_array(sp.vstack(rows)),
        anchors_m=np.concatenate(anchors),
        gain=np.concatenate(gains),
        element=np.concatenate(owners),
    )


def _about_x(angle: Array) -> Array:
    """Rotations (n, 3, 3) by angles (n,) that turn the chin down for positive ones, as the jaw does."""
    result = np.zeros((len(angle), 3, 3))
    cos, sin = np.cos(angle), np.sin(angle)
    result[:, 0, 0] = 1
    result[:, 1, 1] = result[:, 2, 2] = cos
    result[:, 1, 2], result[:, 2, 1] = -sin, sin
    return result
