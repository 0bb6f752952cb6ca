"""A person's face in motion: activations to 468 vertices, in JAX, differentiable, tens of thousands a second.

    face = build_face()
    vertices_m = face.vertices(activation)              # (…, 48) → (…, 468, 3)

The skin is the linear tangent of `sheet.face_sheet`; each muscle is a Mykin spring that feels how far all the others
have moved its insertion. With the skin's compliance between elements G = Bᵀ K⁻¹ B, stiffness k and free lengths l,
the forces f solve (I + diag(k) G) f = diag(k) (l − Δl of jaw and lids) − tone. That is one small symmetric positive
system a frame. What the linear skin gets wrong at large displacements is added by a fitted correction
(`correction`); at the end lids are kept outside the eyeballs and lips from passing through each other.
"""

import logging
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from .. import mesh
from ..errors import InputError
from .anatomy import MUSCLES
from .correction import Correction, terms
from .drive import drive, jaw_powers, lid_powers
from .elements import Elements, elements
from .ports import LID_COLUMNS, eye_centres
from .sheet import SoftTissue, face_sheet, lid_springs

_log = logging.getLogger(__name__)
_ITERATIONS = 14
"""Conjugate gradient steps: rounding in single precision, 1e-8 of the largest force in double."""
_LEAST_STIFFNESS_N_M = 1e-9
_PORTS = 3 + 2 * LID_COLUMNS
"""Jaw and lid columns."""
_EYE_CONTACT_M = 0.0134
"""Least distance of lid vertices from the eye's centre: the ball's 12 mm, and 1.4 mm that facets sag between them."""
_EYE_REACH_M = 0.024
"""Vertices that far from an eye's centre, in a front view, belong to its lids."""


_LIP_GAPS = np.zeros((mesh.VERTEX_COUNT, len(mesh.LIP_PAIRS)))
"""y @ this is the gap between each pair of lip vertices."""
for _pair, (_upper, _lower) in enumerate(mesh.LIP_PAIRS):
    _LIP_GAPS[_upper, _pair], _LIP_GAPS[_lower, _pair] = 1.0, -1.0


class Face(eqx.Module):
    """A person's face, a pytree of arrays; `build_face` makes it. Every method takes any leading axes.

    E force elements (see `Elements`; the seals are rotated among themselves so that they do not couple), Q = 7 + E + R
    coordinates: jaw (rad), six lids (see `drive.LID_COORDINATES`), element forces (N), R modes of the correction.
    """

    rest: jax.Array
    """(468, 3) m."""
    columns: jax.Array
    """(17 + E + R, 3 · 468): displacement by jaw powers, lid powers, element forces, correction modes; m. The
    second axis is all x, then all y, then all z."""
    compliance: jax.Array
    """G (E, E) m/N: shortening of elements by force of elements."""
    port_shortening: jax.Array
    """(17, E) m: shortening of elements by jaw and lid powers."""
    k0: jax.Array
    k1: jax.Array
    l0: jax.Array
    l1: jax.Array
    eye_centre: jax.Array
    """(3, 468) m: centre of the eye that a vertex lies nearer to."""
    eye_radius: jax.Array
    """(468,) m: how near it may come, 0 for no limit."""
    driver: jax.Array
    """(49, E) of ones and zeros: which activation, or the lips' seal, drives each element."""
    correction: jax.Array
    """(F, R): weights of the correction's modes by `correction.terms`; R = 0 for none."""
    pairs: tuple[tuple[int, int], ...] = eqx.field(static=True)
    """Neighbouring elements, a part of those terms."""
    names: tuple[str, ...] = eqx.field(static=True)
    """Of the E elements."""
    muscle_count: int = eqx.field(static=True)
    """Elements that are muscles; lip seals follow them."""

    def vertices(self, activation: ArrayLike) -> jax.Array:
        """Vertices (…, 468, 3) m in equilibrium with constant activations (…, 48) in 0…1."""
        return self.vertices_of(self.coordinates(activation))

    def coordinates(self, activation: ArrayLike) -> jax.Array:
        """Generalised coordinates (…, Q) in equilibrium with activations (…, 48); zero at rest."""
        levels = jnp.asarray(activation, self.compliance.dtype)
        driven = drive(levels)
        ports = jnp.concatenate([jaw_powers(driven.jaw), lid_powers(driven.lids)], axis=-1)
        level = jnp.concatenate([levels, driven.seal[..., None]], axis=-1) @ self.driver
        stiffness = self.k0 + self.k1 * level
        beyond_tone = level * (self.k0 * self.l1 + self.k1 * (self.l0 + self.l1 * level))  # k l − k₀ l₀
        pull = beyond_tone - stiffness * (ports @ self.port_shortening)
        force = _balance(self.compliance, stiffness, pull)
        parts = [driven.jaw[..., None], driven.lids, force]
        if self.correction.size:
            muscles = slice(self.muscle_count)  # seals come last
            shortening = force @ self.compliance[:, muscles] + ports @ self.port_shortening[:, muscles]
            parts.append(terms(beyond_tone[..., muscles], shortening, driven.jaw, self.pairs) @ self.correction)
        return jnp.concatenate(parts, axis=-1)

    def vertices_of(self, coordinates: jax.Array) -> jax.Array:
        """Vertices (…, 468, 3) m for coordinates (…, Q), which may lag behind their equilibrium."""
        jaw, lids, linear = jnp.split(coordinates, [1, 7], axis=-1)
        weights = jnp.concatenate([jaw_powers(jaw[..., 0]), lid_powers(lids), linear], axis=-1)
        moved = weights @ self.columns
        planes = [moved[..., k * mesh.VERTEX_COUNT : (k + 1) * mesh.VERTEX_COUNT] + self.rest[:, k] for k in range(3)]
        x, y, z = self._outside_eyes(planes)
        overlap = jnp.maximum(-y @ jnp.asarray(_LIP_GAPS, y.dtype), 0)
        return jnp.stack([x, y + 0.5 * overlap @ jnp.asarray(_LIP_GAPS.T, y.dtype), z], axis=-1)

    def _outside_eyes(self, planes: list[jax.Array]) -> list[jax.Array]:
        """Push lid vertices that came nearer to an eye's centre than they may straight out."""
        offsets = [plane - centre for plane, centre in zip(planes, self.eye_centre, strict=True)]
        square = jnp.maximum(sum(offset * offset for offset in offsets), 1e-10)
        growth = jnp.where(square < self.eye_radius**2, self.eye_radius * jax.lax.rsqrt(square) - 1, 0.0)
        return [plane + growth * offset for plane, offset in zip(planes, offsets, strict=True)]


equilibrium = jax.jit(Face.coordinates)
"""`Face.coordinates`, compiled: of a face and activations (…, 48)."""


def build_face(
    tissue: SoftTissue | None = None,
    rest: NDArray[np.floating] = mesh.REST,
    strength: ArrayLike = 1.0,
    corrected: bool = True,
) -> Face:
    """A face from its tissue, its shape at rest (468, 3) m and its muscles' strengths (a number or (48,)).

    corrected: add the shipped correction for large displacements; it was fitted to the mean face, and to others adds
    what their own forces and shortenings ask for. Arrays are in JAX's default precision. Raises InputError.
    """
    parts = elements(rest, strength)
    return condensed_face(tissue or SoftTissue(), parts, _shipped_correction() if corrected else None)


def condensed_face(tissue: SoftTissue, parts: Elements, correction: Correction | None = None) -> Face:
    """As `build_face`, for force elements of one's own, e.g. a single muscle, and the correction that fits them."""
    sheet = face_sheet(tissue, parts.rest)
    foundation = sheet.foundation_stiffness
    lids = np.repeat(lid_springs(tissue), 3)[:, None]
    pull = parts.pull
    loads = np.concatenate([foundation @ parts.jaw_ground, lids * parts.lid_ground, pull], axis=1)
    response = cho_solve(cho_factor(sheet.stiffness.toarray(), check_finite=False), loads, check_finite=False)
    pulled = response[:, _PORTS:]
    compliance = pull.T @ pulled
    seals = np.flatnonzero(parts.seal)
    if len(seals):  # in this basis the seals do not couple with each other, so the solver's first guess is good
        basis = np.eye(len(compliance))
        basis[np.ix_(seals, seals)] = np.linalg.eigh(compliance[np.ix_(seals, seals)])[1]
        pull, pulled, compliance = pull @ basis, pulled @ basis, basis.T @ compliance @ basis
    ports = pull.T @ response[:, :_PORTS]
    ports[:, :3] -= parts.ride
    modes = np.zeros((0, parts.rest.size)) if correction is None else correction.modes_m.reshape(-1, parts.rest.size)
    columns = np.concatenate([response[:, :_PORTS], pulled, modes.T], axis=1)
    centres = eye_centres(parts.rest)
    near = np.linalg.norm(parts.rest[:, None] - centres, axis=-1).argmin(1)
    reach = np.linalg.norm((parts.rest - centres[near])[:, :2], axis=1)
    radius = np.minimum(np.linalg.norm(parts.rest - centres[near], axis=1), _EYE_CONTACT_M)
    return Face(
        rest=jnp.asarray(parts.rest),
        columns=jnp.asarray(_by_axis(columns)),
        compliance=jnp.asarray(0.5 * (compliance + compliance.T)),
        port_shortening=jnp.asarray(ports.T),
        k0=jnp.asarray(parts.k0),
        k1=jnp.asarray(parts.k1),
        l0=jnp.asarray(parts.l0),
        l1=jnp.asarray(parts.l1),
        eye_centre=jnp.asarray(centres[near].T),
        eye_radius=jnp.asarray(np.where(reach < _EYE_REACH_M, radius, 0.0)),
        driver=jnp.eye(len(MUSCLES) + 1)[:, np.where(parts.seal, len(MUSCLES), parts.muscle)],
        correction=jnp.asarray(np.zeros((0, 0)) if correction is None else correction.coefficients, float),
        pairs=() if correction is None else tuple(map(tuple, correction.pairs.tolist())),
        names=parts.names,
        muscle_count=int((~parts.seal).sum()),
    )


@cache
def _shipped_correction() -> Correction | None:
    """The correction that comes with the package, None if it belongs to another anatomy than today's."""
    try:
        found = Correction.load()
    except FileNotFoundError:
        found = None
    if found is None or not found.is_for(elements()):
        _log.warning("the correction for large displacements does not fit this anatomy; make it with fit_person")
        return None
    return found


def _by_axis(columns: NDArray[np.floating]) -> NDArray[np.floating]:
    """Columns (3V, n), dof 3 v + axis, as rows (n, 3V) with all x first, then y, then z."""
    return columns.reshape(-1, 3, columns.shape[1]).transpose(2, 1, 0).reshape(columns.shape[1], -1)


def checked_activation(activation: Any) -> NDArray[np.floating]:
    """Activations (…, 48) as an array; raises InputError unless finite and within 0…1.

    For data from outside; the methods of `Face` do not check, since they run compiled.
    """
    array = np.asarray(activation, float)
    if array.ndim == 0 or array.shape[-1] != len(MUSCLES):
        raise InputError(f"activations must be (…, {len(MUSCLES)}) in the order of MUSCLES, got shape {array.shape}")
    bad = ~((array >= 0) & (array <= 1))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(f"activations must lie in 0 … 1; at {where} got {array[where]}; {int(bad.sum())} in all")
    return array


@jax.jit
def _balance(compliance: jax.Array, stiffness: jax.Array, pull: jax.Array) -> jax.Array:
    """Solve (I + diag(k) G) f = pull for f (…, E).

    With r = √k and f = r x it reads (I + r G r) x = pull / r, symmetric and positive definite. G is one matrix for
    all frames, so preconditioned conjugate gradients are matrix products of a whole batch: six times as fast as a
    Cholesky factorisation a frame. The gradient is that of the exact solution (another solve).
    """
    root = jnp.sqrt(stiffness + _LEAST_STIFFNESS_N_M)
    diagonal = 1 / (1 + root * root * jnp.diagonal(compliance))

    def apply(x: jax.Array) -> jax.Array:
        return x + root * ((root * x) @ compliance)

    def solve(_: Any, target: jax.Array) -> jax.Array:
        tiny = jnp.finfo(target.dtype).tiny

        def improve(_: Any, state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            x, residual, direction, norm = state
            image = apply(direction)
            step = norm / ((direction * image).sum(-1, keepdims=True) + tiny)
            x, residual = x + step * direction, residual - step * image
            scaled = diagonal * residual
            norm, last = (residual * scaled).sum(-1, keepdims=True), norm
            return x, residual, scaled + norm / (last + tiny) * direction, norm

        scaled = diagonal * target
        start = jnp.zeros_like(target), target, scaled, (target * scaled).sum(-1, keepdims=True)
        return jax.lax.fori_loop(0, _ITERATIONS, improve, start)[0]

    return root * jax.lax.custom_linear_solve(apply, pull / root, solve, symmetric=True)
