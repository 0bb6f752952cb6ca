"""What makes a face late: muscles take time to switch on, to build up force, and skin creeps.

    activation = activate(excitation, rate_hz)                     # neural drive → activation
    moving = relax(face.coordinates(activation), rate_hz)          # equilibrium → what the face shows
    vertices_m = face.vertices_of(moving)

For a face that is driven moment by moment, `activate_init`/`activate_step` and `relax_init`/`relax_step` give the same.
EMG follows excitation, so these lags are the lead of EMG over visible motion. Time is the last axis but one; all is
JAX, compiled once per shape and rate.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ..errors import InputError

_LID_END = 7
"""Coordinates begin with the jaw and the six lids, see `mechanics.Face`."""
_FINEST_S = 0.002
"""Activation is integrated in steps no longer than this."""


@dataclass(frozen=True, kw_only=True)
class Dynamics:
    """Time constants of a face, seconds. A step of excitation gives a smile with a rise (20-80 %) of 0.10 s.

    activate_s, deactivate_s: first-order activation dynamics whose rate depends on the activation, in the form that
        musculoskeletal models use (Thelen 2003: 15 and 50 ms).
    twitch_s: contraction time of a facial muscle's unfused force, a critically damped second-order filter (the form
        is Milner-Brown's); published contraction times of facial muscles span 16-90 ms, orbicularis oculi the
        fastest, with activation dynamics included. Mean assumed; *unknown* per muscle.
    lid_s, jaw_s: the same for the lids (a blink closes in 80-100 ms) and for the jaw with its mass [engineering
        knowledge; ranges 8-20 and 40-100 ms].
    creep_s, creep_share: skin as a standard linear solid: that share of a displacement comes late, with that time
        constant. *Unknown* for the face; ranges 0.1-1 s and 0-0.4.
    """

    activate_s: float = 0.015
    deactivate_s: float = 0.050
    twitch_s: float = 0.030
    lid_s: float = 0.012
    jaw_s: float = 0.060
    creep_s: float = 0.20
    creep_share: float = 0.15

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            low, high = (0.0, 0.9) if entry.name == "creep_share" else (1e-4, 10.0)
            if not (np.isfinite(value) and low <= value <= high):
                raise InputError(f"Dynamics.{entry.name} must lie in {low:g} … {high:g}, got {value}")


def activate(excitation: ArrayLike, rate_hz: float, dynamics: Dynamics | None = None) -> jax.Array:
    """Activations (…, T, 48) of excitations (…, T, 48), both 0…1, at `rate_hz`.

    da/dt = (e − a) / τ, τ = τ_on (½ + 3/2 a) while rising, τ_off / (½ + 3/2 a) while falling. The first sample is
    taken as held for ever before.
    """
    return _activate(jnp.asarray(excitation), _checked_rate(rate_hz), dynamics or Dynamics())


def relax(coordinates: ArrayLike, rate_hz: float, dynamics: Dynamics | None = None) -> jax.Array:
    """Coordinates (…, T, Q) that the face shows when equilibrium would be `coordinates` (…, T, Q).

    Force builds up by twitches, skin creeps after it; jaw and lids have their own filter and no creep. Linear, with
    gain 1 at rest; the first sample is taken as held for ever before.
    """
    return _relax(jnp.asarray(coordinates), _checked_rate(rate_hz), dynamics or Dynamics())


class Activating(NamedTuple):
    """A moment of `activate`: the excitation (…, 48) last given, and the activation (…, 48) reached."""

    excitation: jax.Array
    activation: jax.Array


class Relaxing(NamedTuple):
    """A moment of `relax`: the equilibrium (…, Q) last given, and the state of twitches and creep, (…, Q) each."""

    equilibrium: jax.Array
    value: jax.Array
    speed: jax.Array
    crept: jax.Array


def activate_init(excitation: ArrayLike) -> Activating:
    """The state of muscles that have been held at an excitation (…, 48) for ever."""
    held = jnp.asarray(excitation)
    return Activating(held, held)


def activate_step(
    state: Activating,
    excitation: jax.Array,
    rate_hz: float,
    dynamics: Dynamics | None = None,
    slowness: ArrayLike = 1.0,
) -> Activating:
    """One sample on, at 1 / rate_hz s, of `activate`: the same numbers, one at a time. Pure, to be compiled by you.

    slowness: factor on every time constant; it may be traced, so that many people share one compiled step.
    """
    middle = 0.5 * (state.excitation + excitation)
    reached = _activated(state.activation, middle, _checked_rate(rate_hz), dynamics or Dynamics(), slowness)
    return Activating(excitation, reached)


def relax_init(coordinates: ArrayLike) -> Relaxing:
    """The state of a face that has been held at coordinates (…, Q) for ever."""
    held = jnp.asarray(coordinates)
    return Relaxing(held, held, jnp.zeros_like(held), held)


def relax_step(
    state: Relaxing,
    coordinates: jax.Array,
    rate_hz: float,
    dynamics: Dynamics | None = None,
    slowness: ArrayLike = 1.0,
) -> tuple[Relaxing, jax.Array]:
    """One sample on of `relax`, and the coordinates (…, Q) that the face then shows. As in `activate_step`."""
    middle = 0.5 * (state.equilibrium + coordinates)
    inner, shown = _relaxed(tuple(state[1:]), middle, _checked_rate(rate_hz), dynamics or Dynamics(), slowness)
    return Relaxing(coordinates, *inner), shown


@partial(jax.jit, static_argnums=(1, 2))
def _activate(excitation: jax.Array, rate_hz: float, dynamics: Dynamics) -> jax.Array:
    def advance(activation: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
        activation = _activated(activation, target, rate_hz, dynamics, 1.0)
        return activation, activation

    return _scanned(advance, excitation[..., 0, :], excitation)


@partial(jax.jit, static_argnums=(1, 2))
def _relax(coordinates: jax.Array, rate_hz: float, dynamics: Dynamics) -> jax.Array:
    first = coordinates[..., 0, :]
    start = (first, jnp.zeros_like(first), first)
    return _scanned(lambda state, target: _relaxed(state, target, rate_hz, dynamics, 1.0), start, coordinates)


def _activated(
    activation: jax.Array, target: jax.Array, rate_hz: float, dynamics: Dynamics, slowness: ArrayLike
) -> jax.Array:
    """Activation after one sample of a constant excitation."""
    substeps = max(1, math.ceil(1 / (rate_hz * _FINEST_S) - 1e-9))
    step_s = 1 / (rate_hz * substeps) / slowness
    for _ in range(substeps):
        slope = 0.5 + 1.5 * activation
        rising = target > activation
        tau_s = jnp.where(rising, dynamics.activate_s * slope, dynamics.deactivate_s / slope)
        activation = target + (activation - target) * jnp.exp(-step_s / tau_s)
    return activation


def _relaxed(
    state: tuple, target: jax.Array, rate_hz: float, dynamics: Dynamics, slowness: ArrayLike
) -> tuple[tuple, jax.Array]:
    """State after one sample of a constant equilibrium, and what is shown then."""
    width = target.shape[-1]
    times = np.full(width, dynamics.twitch_s)
    times[:_LID_END] = dynamics.lid_s
    times[0] = dynamics.jaw_s
    creeping = np.where(np.arange(width) < _LID_END, 0.0, dynamics.creep_share)
    step_s = 1 / rate_hz / slowness
    ratio, late = (jnp.asarray(v, target.dtype) for v in (step_s / times, creeping))
    decay = jnp.exp(-ratio)
    hold = jnp.asarray(-jnp.expm1(-step_s / dynamics.creep_s), target.dtype)
    value, speed, crept = state  # speed: derivative times the filter's time constant
    error = value - target
    drift = (error + speed) * ratio
    value, speed = target + (error + drift) * decay, (speed - drift) * decay
    crept = crept + hold * (value - crept)
    return (value, speed, crept), value + late * (crept - value)


def _scanned(advance: Callable, start: Any, series: jax.Array) -> jax.Array:
    """States at the samples of `series` (…, T, n), driven over each interval by the mean of its ends."""
    ahead = jnp.moveaxis(series, -2, 0)
    _, states = jax.lax.scan(advance, start, 0.5 * (ahead[:-1] + ahead[1:]))
    return jnp.moveaxis(jnp.concatenate([ahead[:1], states]), 0, -2)


def _checked_rate(rate_hz: float) -> float:
    if not (np.isfinite(rate_hz) and 10 <= rate_hz <= 1e5):
        raise InputError(f"rate_hz must lie in 10 … 100,000, got {rate_hz}; slower sampling would miss the lags")
    return float(rate_hz)
