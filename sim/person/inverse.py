"""From landmarks back to muscles: the activations that best explain what a face shows.

    inferred = infer(face, landmarks_m)                       # (…, 468, 3) or any chosen vertices, x y or x y z

Bounded, damped Gauss-Newton on the equilibrium (no lags), all frames at once. Not every muscle can be told from its
neighbours: risorius and buccinator pull one corner nearly alike (correlation 0.95), closers of a closed jaw show
nothing at all, a jaw has one angle for two digastrics, and deep or weak muscles drown in a camera's noise. The ridge
gives those the least activation. Platysma, whose skin lies at the mesh's edge, now and then ends in a wrong minimum.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve
from numpy.typing import ArrayLike

from .. import mesh
from ..errors import InputError
from ..facs import Muscle
from .anatomy import MUSCLES
from .mechanics import Face, checked_activation

_STEPS = 16
_AT_ONCE = 32
"""Frames solved together; each holds its Jacobian, a quarter of a megabyte."""
_START = 0.15
"""First guess where none is given, 0 for the jaw's closers, which could be traded for its openers."""


class Inferred(NamedTuple):
    """activation (…, 48) in 0…1; residual_m (…,): weighted rms distance of explained from seen coordinates."""

    activation: jax.Array
    residual_m: jax.Array


def infer(
    face: Face,
    landmarks_m: ArrayLike,
    *,
    vertices: ArrayLike | None = None,
    weights: ArrayLike = 1.0,
    ridge_mm2: float = 0.01,
    start: ArrayLike | None = None,
    steps: int = _STEPS,
) -> Inferred:
    """Activations that explain landmarks of a face.

    landmarks_m (…, n, 3) or (…, n, 2): x, y (, z) in the face's frame, aligned (`sim.alignment`), as metres.
    vertices (n,): which of the 468 they are; None for all. weights: ≥ 0, a number or (n,), e.g. 0 where a camera is
    blind. ridge_mm2: cost of one unit of squared activation, in mm² of squared distance; for noise of σ mm use about
    4 σ². start (48,) or (…, 48): first guess. Raises InputError for values that are not finite or shapes that do not
    fit.
    """
    seen = np.asarray(landmarks_m, float)
    chosen = np.arange(mesh.VERTEX_COUNT) if vertices is None else np.asarray(vertices)
    if chosen.ndim != 1 or not len(chosen) or chosen.min() < 0 or chosen.max() >= mesh.VERTEX_COUNT:
        raise InputError(f"vertices must be a list of numbers in 0 … {mesh.VERTEX_COUNT - 1}, got {vertices!r}")
    if seen.ndim < 2 or seen.shape[-2] != len(chosen) or seen.shape[-1] not in (2, 3):
        raise InputError(f"landmarks must be (…, {len(chosen)}, 2 or 3) metres, got shape {seen.shape}")
    if not np.isfinite(seen).all():
        raise InputError("landmarks have values that are not finite; give missing ones weight 0 and any place")
    if np.abs(seen).max() > 1:
        raise InputError(f"landmarks reach {np.abs(seen).max():.3g} m from the head's origin; give metres, not mm")
    weight = np.broadcast_to(np.asarray(weights, float), (len(chosen),)) if np.ndim(weights) < 2 else None
    if weight is None or not (np.isfinite(weight) & (weight >= 0)).all() or not weight.any():
        raise InputError(f"weights must be a number or ({len(chosen)},), not negative and not all 0")
    if not (np.isfinite(ridge_mm2) and ridge_mm2 > 0):
        raise InputError(f"ridge_mm2 must be positive, got {ridge_mm2}")
    lead, dtype = seen.shape[:-2], face.compliance.dtype
    closers = [name in (Muscle.MASSETER, Muscle.TEMPORALIS) for name, _ in MUSCLES]
    first = np.where(closers, 0.0, _START) if start is None else checked_activation(start)
    first = np.broadcast_to(first, (*lead, len(MUSCLES))).reshape(-1, len(MUSCLES))
    flat = jnp.asarray(seen.reshape(-1, *seen.shape[-2:]), dtype)
    activation, residual = _solve(
        face,
        flat,
        jnp.asarray(chosen),
        jnp.asarray(weight, dtype),
        jnp.asarray(ridge_mm2, dtype),
        jnp.asarray(first, dtype),
        steps,
    )
    return Inferred(activation.reshape(*lead, len(MUSCLES)), residual.reshape(lead))


@eqx.filter_jit
def _solve(face, seen, vertices, weight, ridge, start, steps: int) -> tuple[jax.Array, jax.Array]:
    axes = seen.shape[-1]

    def one(frame: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        target, first = frame
        root = jnp.sqrt(jnp.repeat(weight, axes))

        def miss(u: jax.Array) -> tuple[jax.Array, jax.Array]:
            shown = face.vertices(u)[vertices, :axes]
            value = root * 1e3 * (shown - target).ravel()
            return value, value

        def cost(value: jax.Array, u: jax.Array) -> jax.Array:
            return (value * value).sum() + ridge * (u * u).sum()

        def step(state, _):
            u, damping = state
            slopes, value = jax.jacfwd(miss, has_aux=True)(u)
            gradient = slopes.T @ value + ridge * u
            held = ((u <= 0) & (gradient > 0)) | ((u >= 1) & (gradient < 0))
            free = 1.0 - held
            normal = slopes.T @ slopes
            normal = normal * free[:, None] * free + jnp.diag(ridge + damping * (1e-3 + jnp.diagonal(normal)) + held)
            move = cho_solve(cho_factor(normal, lower=True), gradient * free)
            trial = jnp.clip(u - move, 0, 1)
            better = cost(miss(trial)[0], trial) < cost(value, u)
            return (jnp.where(better, trial, u), jnp.where(better, damping * 0.2, damping * 8) + 1e-7), None

        (u, _), _ = jax.lax.scan(step, (first, jnp.asarray(1e-2, first.dtype)), None, length=steps)
        value = miss(u)[0]
        return u, 1e-3 * jnp.sqrt((value * value).sum() / (axes * weight.sum()))

    return jax.lax.map(one, (seen, start), batch_size=min(_AT_ONCE, len(seen)))
