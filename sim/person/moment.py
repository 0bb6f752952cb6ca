"""A person one moment after another: excitation in; EMG power, skin and visible action units out.

    body = body_of(Person(), "proximal7")
    state = init(body)
    state, shown = step(body, state, excitation, steps=5)            # five control steps of 8 ms under one excitation

`Person.move` knows the whole future; here nobody does. The physics is the same: the same activation, equilibrium and
lags at the same 125 Hz. `Body` and `State` are pytrees of arrays, so that steps compile once for everybody and can be
vmapped over people.
"""

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from . import artefacts as noise
from .anatomy import MUSCLES
from .contacts import Montage
from .dynamics import Activating, Dynamics, Relaxing, activate_init, activate_step, relax_init, relax_step
from .emg import BAND_HZ, EmgModel, band_energy_uv2_s, transform_length
from .mechanics import Face, equilibrium
from .motor_units import Pool
from .person import Person
from .repertoire import UNITS, WEIGHTS, as_coordinates, from_coordinates

CONTROL_HZ = 125.0
"""Internal steps a second: an eighth of the EMG's 1000 Hz, as in recordings."""


class Body(eqx.Module):
    """All that a step needs to know of a person and of what she wears.

    reach (48,), crossed (48, 48), tone (48,): as `Traits.drive`, `Traits.synkinesis`, `Habits.tone`.
    strength (48,) of the muscles; slowness () of her lags. at_rest (Q,): coordinates under her tone.
    energy_uv2_s (48, U, C): of one discharge of every unit in every channel, in the band. noise_uv2 (C,): power of
    the electrodes' own noise. freedom (48,): degrees of freedom, a second, of the power that a muscle's EMG shows.
    """

    face: Face
    reach: jax.Array
    crossed: jax.Array
    tone: jax.Array
    strength: jax.Array
    slowness: jax.Array
    at_rest: jax.Array
    pool: Pool
    energy_uv2_s: jax.Array
    noise_uv2: jax.Array
    freedom: jax.Array
    dynamics: Dynamics = eqx.field(static=True)


class State(NamedTuple):
    """Her muscles, her skin and what can be seen of her action units, in mid-movement."""

    muscles: Activating
    skin: Relaxing
    units: Relaxing


class Shown(NamedTuple):
    """What she is and shows at the end of a step.

    activation (48,) 0…1; units (A, 2) 0…1, right and left, after the lags of muscle and skin; vertices_m (468, 3);
    power_uv2 (48, C): expected EMG power that each muscle gives each channel while the step lasts.
    """

    activation: jax.Array
    units: jax.Array
    vertices_m: jax.Array
    power_uv2: jax.Array


def body_of(person: Person, montage: str | Montage = "proximal7", quality: str = "wired active") -> Body:
    """What `step` needs of a person who wears a montage exactly where it belongs. Takes about a second.

    quality: of the electrodes, one of `artefacts.PRESETS`; only their noise is used, as mains, motion and wander
    lie below or beside the band or can be filtered out. Raises `VocabularyError`.
    """
    worn = person.wear(montage)
    spec = noise.preset(quality)
    model = person.emg(worn)
    energy, freedom = _energy(model)
    traits, tone = person.traits, np.asarray(person.habits.tone)
    return Body(
        face=person.face,
        reach=jnp.asarray(traits.drive, jnp.float32),
        crossed=jnp.asarray(traits.synkinesis, jnp.float32),
        tone=jnp.asarray(tone, jnp.float32),
        strength=jnp.asarray(traits.strength, jnp.float32),
        slowness=jnp.asarray(traits.slowness, jnp.float32),
        at_rest=equilibrium(person.face, jnp.asarray(traits.excite(tone), jnp.float32)),
        pool=model.pool,
        energy_uv2_s=jnp.asarray(energy, jnp.float32),
        noise_uv2=jnp.asarray(spec.electrode_uv**2 * (worn.derivation**2).sum(1), jnp.float32),
        freedom=jnp.asarray(freedom, jnp.float32),
        dynamics=person.dynamics,
    )


@jax.jit
def init(body: Body) -> State:
    """At rest for ever before: neutral skin, muscles at their tone."""
    return State(
        activate_init(_driven(body, jnp.zeros_like(body.tone))),
        relax_init(jnp.zeros_like(body.at_rest)),
        relax_init(jnp.zeros(1 + 2 * len(UNITS), body.tone.dtype)),
    )


@partial(jax.jit, static_argnames="steps")
def step(body: Body, state: State, excitation: jax.Array, steps: int = 5) -> tuple[State, Shown]:
    """`steps` / 125 s on under one excitation (48,) 0…1, wanted above her resting tone.

    EMG follows excitation at once; activation, skin and visible units follow late. Values are not checked.
    """
    driven = _driven(body, excitation)
    lags = {"rate_hz": CONTROL_HZ, "dynamics": body.dynamics, "slowness": body.slowness}

    def activating(muscles: Activating, _: None) -> tuple[Activating, jax.Array]:
        muscles = activate_step(muscles, driven, **lags)
        return muscles, muscles.activation

    def relaxing(states: tuple[Relaxing, Relaxing], targets: tuple[jax.Array, jax.Array]):
        skin, coordinates = relax_step(states[0], targets[0], **lags)
        units, seen = relax_step(states[1], targets[1], **lags)
        return (skin, units), (coordinates, seen)

    muscles, activation = jax.lax.scan(activating, state.muscles, None, steps)
    targets = body.face.coordinates(activation) - body.at_rest, as_coordinates(_units(body, activation))
    (skin, units), (coordinates, seen) = jax.lax.scan(relaxing, (state.skin, state.units), targets)
    shown = Shown(
        activation=activation[-1],
        units=jnp.clip(from_coordinates(seen[-1]), 0, 1),
        vertices_m=body.face.vertices_of(coordinates[-1]),
        power_uv2=jnp.einsum("mu,muc->mc", body.pool.rates_hz(driven), body.energy_uv2_s),
    )
    return State(muscles, skin, units), shown


def units_of(activation: NDArray[np.floating]) -> NDArray[np.floating]:
    """Action units (…, A, 2) 0…1 that activations (…, 48) of the mean adult amount to, in equilibrium.

    A unit is there by the share of its pattern that is there: Σ w min(a, w) / Σ w² over its muscles' weights w
    (`repertoire.WEIGHTS`), so that the muscle that FACS names counts most and helpers little. A unit excited by
    itself at x reads x; one that shares its mover with another (6 and 7, 16 and 25, 26 and 27) shows with it, as it
    does to coders.
    """
    return np.asarray(_patterns(np.asarray(activation, np.float32)))


_SIDE = WEIGHTS[:, ::2]
"""(A, 24), the same for both sides."""


def _patterns(activation: jax.Array | NDArray[np.floating]) -> jax.Array:
    pairs = jnp.asarray(activation).reshape(*activation.shape[:-1], 1, len(MUSCLES) // 2, 2)
    weight = jnp.asarray(_SIDE, jnp.float32)[..., None]
    return (weight * jnp.minimum(pairs, weight)).sum(-2) / (weight**2).sum(-2)


def _units(body: Body, activation: jax.Array) -> jax.Array:
    """Units (…, A, 2) that would be seen if activation (…, 48) lasted: beyond tone, by force."""
    rest = _driven(body, jnp.zeros_like(body.tone))
    return _patterns(jnp.clip((activation - rest) / (1 - rest), 0, 1) * body.strength)


def _driven(body: Body, wanted: jax.Array) -> jax.Array:
    """Excitation (48,) that reaches the muscles; tone and will join as drives do, see `repertoire.excite`."""
    meant = 1 - (1 - body.tone) * (1 - wanted)
    return jnp.clip((meant + body.crossed @ meant) * body.reach, 0, 1)


def _energy(model: EmgModel) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Energy (48, U, C) µV² s of one discharge in `BAND_HZ`, and degrees of freedom a second (48,).

    Power measured for T s scatters as χ² of 2 B T degrees of freedom (Bendat & Piersol), with
    the band B = (∫S)² / ∫S² of the spectrum S, here the sum over units and channels.
    """
    square = np.asarray(band_energy_uv2_s(model.units_uv, model.rate_hz, BAND_HZ), float)
    spectrum = square.sum((1, 2))
    share = spectrum.sum(-1) ** 2 / np.maximum((spectrum**2).sum(-1), 1e-30)
    band_hz = share * model.rate_hz / transform_length(model.units_uv)
    return square.sum(-1), 2 * np.maximum(band_hz, 20.0)
