"""From activations to what moves a face directly: jaw angle, lids, and how firmly the lips are sealed.

Smooth in every activation, exactly zero at rest. Activations count from the neutral face: tone that holds the jaw and
the upper lid up at rest is taken as given, so relaxing it is spoken of through the antagonist.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..facs import Muscle, Side
from .anatomy import muscle_index
from .ports import JAW_GLIDE_M_PER_RAD, JAW_RANGE_RAD, LID_POWERS

LID_COORDINATES = ("fall, right", "rise, right", "lift, right", "fall, left", "rise, left", "lift, left")
"""Order of lid coordinates: shares of the angle between the margins by which the upper lid falls or rises and the
lower lid lifts."""

_WIDEST_RISE = 0.45
"""Upper lid's rise at full levator activity, as a share of the aperture (10 mm): about 4 mm [T]."""
_LOWER_LIFT = 0.30
"""Lower lid's lift at full orbicularis activity, likewise; it rises 2-3 mm in squinting [K]."""
_SEAL_WIDTH = 0.15
"""Parting at which the lips' seal has fallen to 1/e."""


class Drive(NamedTuple):
    """jaw (…,) rad of opening; lids (…, 6), see `LID_COORDINATES`; seal (…,): 1 sealed lips … 0 parted."""

    jaw: jax.Array
    lids: jax.Array
    seal: jax.Array


def drive(activation: jax.Array) -> Drive:
    """Jaw, lids and seal for activations (…, 48) in 0…1.

    Jaw: the digastric lowers it, 26° at full activity; masseter and temporalis hold against it. In AU26 the jaw
    falls mostly because the closers let go, so little digastric activity lowers it far: angle = 26° (1 − (1 − d)²)
    (1 − c)² with the mean openers d and closers c; AU26 (14°) is d = 0.32, AU27 is d = 1.
    Lids: levator palpebrae raises the upper lid (AU5); the palpebral part of orbicularis oculi, p, lifts the lower
    lid and closes by p²: about p = 0.5 is the lid tightener (AU7), p = 1 a blink, shut whatever the levator does.
    Seal: parts with jaw opening, depressors of the lower and levators of the upper lip; orbicularis oris keeps shut.
    """
    levator, closer = _each(activation, Muscle.LEVATOR_PALPEBRAE), _each(activation, Muscle.ORBICULARIS_OCULI_PALPEBRAL)
    lift = _LOWER_LIFT * closer * (2 - closer)
    fall = (1 - lift) * closer**2 * (1 - 0.5 * levator * (1 - closer))
    rise = _WIDEST_RISE * levator * (1 - closer)
    lids = jnp.stack([fall, rise, lift], axis=-1)
    opener = _mean(activation, Muscle.DIGASTRIC)
    holding = 0.5 * (_mean(activation, Muscle.MASSETER) + _mean(activation, Muscle.TEMPORALIS))
    opening = opener * (2 - opener) * (1 - holding) ** 2
    parting = (
        opening
        + _mean(activation, Muscle.DEPRESSOR_LABII_INFERIORIS)
        + _mean(activation, Muscle.LEVATOR_LABII)
        + 0.3 * _mean(activation, Muscle.LLSAN)
    ) * (1 - _mean(activation, Muscle.ORBICULARIS_ORIS))
    return Drive(
        JAW_RANGE_RAD * opening,
        lids.reshape(*lids.shape[:-2], 6),
        jnp.exp(-((parting / _SEAL_WIDTH) ** 2)),
    )


def jaw_powers(jaw: jax.Array) -> jax.Array:
    """sin q, 1 − cos q and glide (m), (…, 3), for jaw angles (…,) rad: factors of `Elements.jaw_ground`."""
    return jnp.stack([jnp.sin(jaw), 1 - jnp.cos(jaw), JAW_GLIDE_M_PER_RAD * jaw], axis=-1)


def lid_powers(lids: jax.Array) -> jax.Array:
    """Powers (…, 14) of lid coordinates (…, 6): factors of `Elements.lid_ground`."""
    terms = []
    for eye in (0, 3):
        for place, power in enumerate(LID_POWERS.values()):
            base = lids[..., eye + place]
            terms += [base**exponent for exponent in range(1, power + 1)]
    return jnp.stack(terms, axis=-1)


def _each(activation: jax.Array, name: Muscle) -> jax.Array:
    """Right and left activation of a muscle, (…, 2)."""
    right = muscle_index(name, Side.RIGHT)
    return activation[..., right : right + 2]


def _mean(activation: jax.Array, name: Muscle) -> jax.Array:
    return _each(activation, name).mean(-1)
