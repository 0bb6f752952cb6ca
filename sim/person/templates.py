"""What one discharge of a motor unit looks like at every electrode.

A fibre is a polyline on the chart. From its endplate zone two action potentials run to its ends; the current that
they drive along the fibre (Rosenfalck's potential, differentiated) leaves and enters at nodes. Nodes carry the
*differences* of that axial current, so the net charge is zero at all times, and the generation at the zone and the
extinction at the ends, which far electrodes see best, come by themselves. Summing by parts, the potential at an
electrode is the axial current times the kernel's differences between neighbouring nodes.
"""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import firwin

from ..errors import InputError
from . import thickness
from .anatomy import ANATOMY, MUSCLES
from .chart import AROUND_MM
from .conductor import Conductor, Kernel
from .motor_units import Pool, fibre_counts
from .muscle_parts import Fibres
from .traits import Traits

Array = NDArray[np.floating]

LEAST_RATE_HZ, MOST_RATE_HZ = 1000.0, 8192.0
DURATION_S = 0.064
LEAD = 2
"""Samples before the first current: the delay of axon and endplate."""
NODES, FIBRES = 56, 6
_INSIDE_S_M = 1.01  # axoplasm, as in limb models
_SLOWEST_SHARE = 0.5
_VELOCITY_SPREAD = 0.2
_UNIT_SPREAD_MM, _UNIT_DEPTH_SPREAD_MM = 1.5, 0.5
_OVERSAMPLED = 2


def checked_rate(rate_hz: float) -> None:
    """Raise `InputError` for a sampling rate at which surface EMG aliases, or which is out of reach."""
    if not LEAST_RATE_HZ <= rate_hz <= MOST_RATE_HZ:
        raise InputError(
            f"surface EMG reaches 450 Hz: the rate must be {LEAST_RATE_HZ:.0f} … {MOST_RATE_HZ:.0f} Hz, lower ones "
            f"alias; got {rate_hz} Hz. Make it faster and resample the result."
        )


class Sources(eqx.Module):
    """Fibres of M muscles, U units each, J fibres standing for a unit's many. In mm of the person's own skin.

    nodes, tangents (M, U, J, Z, 2); depth_mm (M, U, J); from_zone_mm (M, U, J, Z−1) signed distance of the middle of
    each piece from the endplate zone; velocity_mm_ms (M, U); current_na (M, U): axial current of all of a unit's
    fibres per mV/mm, shared by the J. around_mm (M,): once around the head.
    """

    nodes: jax.Array
    tangents: jax.Array
    depth_mm: jax.Array
    from_zone_mm: jax.Array
    velocity_mm_ms: jax.Array
    current_na: jax.Array
    around_mm: jax.Array

    @classmethod
    def of(cls, rng: np.random.Generator, pool: Pool, muscles: tuple[int, ...], traits: Traits) -> "Sources":
        """Fibres of one person, drawn: where each unit lies, its velocity, its zone and its ends.

        *Unknown*, chosen: a unit's fibres lie within 1.5 mm (SD) across and 0.5 mm in depth of its middle; velocity
        varies by 20 % between units, half of the variance with size (larger units conduct faster, as in limbs).
        """
        units = pool.size.shape[0]
        scale = np.array(traits.shape.chart_scale)
        counts = fibre_counts(muscles, units, traits.strength)[:, None] * np.asarray(pool.size)
        drawn = [_muscle(rng, m, units, scale, traits.conduction) for m in muscles]
        nodes, tangents, depth, from_zone, velocity = (np.array(part, np.float32) for part in zip(*drawn, strict=True))
        area = np.array([np.pi / 4 * ANATOMY[m // 2].fibres.diameter_um ** 2 for m in muscles])  # µm²
        current = _INSIDE_S_M * 1e-3 * area[:, None] * counts / FIBRES  # S/m · µm² · mV/mm = 1e-12 A
        return cls(
            jnp.asarray(nodes),
            jnp.asarray(tangents),
            jnp.asarray(depth),
            jnp.asarray(from_zone),
            jnp.asarray(velocity),
            jnp.asarray(current, jnp.float32),
            around_mm=jnp.full(len(muscles), AROUND_MM * scale[0], jnp.float32),
        )


class Templates(eqx.Module):
    """Sources, tissue and a clock: everything that gives templates for contacts anywhere.

    fat_mm (M, N): between each muscle and each contact, the mean of both places.
    """

    sources: Sources
    kernel: Kernel
    fat_mm: jax.Array
    scale: jax.Array
    rate_hz: float = eqx.field(static=True)

    @classmethod
    def of(
        cls,
        rng: np.random.Generator,
        pool: Pool,
        muscles: tuple[int, ...],
        contacts_mm: ArrayLike,
        radius_mm: ArrayLike,
        *,
        rate_hz: float,
        traits: Traits,
        conductor: Conductor,
    ) -> "Templates":
        """Raises `InputError` for a rate that aliases or is out of reach, and for impossible tissue."""
        checked_rate(rate_hz)
        contacts = np.asarray(contacts_mm, float)
        middle = np.array([_middle(m) for m in muscles])
        fat = 0.5 * (thickness.fat_mm(middle)[:, None] + thickness.fat_mm(contacts)) * traits.fat
        tissue = _thicker_skin(conductor, traits.thickness)
        return cls(
            Sources.of(rng, pool, muscles, traits),
            Kernel.of(tissue, np.broadcast_to(radius_mm, len(contacts))),
            jnp.asarray(fat, jnp.float32),
            scale=jnp.array(traits.shape.chart_scale, jnp.float32),
            rate_hz=float(rate_hz),
        )

    def __call__(self, contacts_mm: jax.Array) -> jax.Array:
        """Templates (M, U, N, L) µV against infinity for contacts (N, 2) mm on the chart; differentiable in them.

        The fat and the radii stay those of the contacts that this was made for.
        """
        return _all(self, jnp.asarray(contacts_mm))

    @property
    def samples(self) -> int:
        """L, samples of a template."""
        return LEAD + int(np.ceil(DURATION_S * self.rate_hz))


@eqx.filter_jit
def _all(templates: Templates, contacts_mm: jax.Array) -> jax.Array:
    sources, rate = templates.sources, templates.rate_hz
    places = contacts_mm * templates.scale
    count = _OVERSAMPLED * templates.samples
    decimator = _decimator(count)
    time_ms = jnp.arange(-_OVERSAMPLED * LEAD, count - _OVERSAMPLED * LEAD) * (1e3 / rate / _OVERSAMPLED)

    @jax.checkpoint
    def muscle(given: tuple[Sources, jax.Array]) -> jax.Array:
        one, fat = given
        gap = places - one.nodes[..., None, :]  # (U, J, Z, N, 2)
        s = gap[..., 0] - one.around_mm * jnp.round(gap[..., 0] / one.around_mm)
        y = gap[..., 1]
        t_s, t_y = one.tangents[..., None, 0], one.tangents[..., None, 1]
        potential = templates.kernel(s * -t_y + y * t_s, s * t_s + y * t_y, one.depth_mm[..., None, None], fat)
        step = potential[:, :, 1:] - potential[:, :, :-1]  # (U, J, Z-1, N)
        behind = one.velocity_mm_ms[:, None, None, None] * time_ms[:, None] - jnp.abs(one.from_zone_mm)[:, :, None]
        axial = _slope(behind) * jnp.sign(one.from_zone_mm)[:, :, None]  # (U, J, T, Z-1)
        wave = jnp.einsum("ujts,ujsn->unt", axial, step) * one.current_na[:, None, None]
        return wave @ decimator

    return jax.lax.map(muscle, (sources, templates.fat_mm))


def _slope(behind_mm: jax.Array) -> jax.Array:
    """dV/dz (mV/mm) of Rosenfalck's action potential 96 z³ e^−z − 90 mV at z mm behind its front."""
    z = jnp.maximum(behind_mm, 0.0)
    return 96 * z * z * (3 - z) * jnp.exp(-z)


def _decimator(count: int) -> Array:
    """Matrix (count, count / 2) that low-passes to 0.45 of the rate and keeps every second sample."""
    smooth = firwin(8 * _OVERSAMPLED + 1, 0.9, fs=2.0 * _OVERSAMPLED)
    row = np.arange(count)[:, None] - _OVERSAMPLED * np.arange(count // _OVERSAMPLED) + len(smooth) // 2
    inside = (row >= 0) & (row < len(smooth))
    return np.where(inside, smooth[row.clip(0, len(smooth) - 1)], 0.0).astype(np.float32)


def _muscle(rng: np.random.Generator, index: int, units: int, scale: Array, conduction: float):
    """Nodes, tangents, depths, distances from the zone and velocities of one muscle's units."""
    fibres = ANATOMY[index // 2].fibres
    of = MUSCLES[index][1]
    strip_of = np.arange(units) % len(fibres.strips)
    shape = (units, FIBRES)
    across = (
        rng.uniform(-0.5, 0.5, (units, 1)) * fibres.width_mm + rng.normal(0, _UNIT_SPREAD_MM, shape)
    ) * scale.mean()
    depth = rng.uniform(*fibres.depth_mm, (units, 1)) + rng.normal(0, _UNIT_DEPTH_SPREAD_MM, shape)
    ends = np.abs(rng.normal(0, fibres.end_sd_mm, (2, *shape)))
    zone_share = rng.choice(np.array(fibres.innervation), shape)
    zone_jitter = rng.normal(0, fibres.innervation_sd_mm, shape)
    nodes = np.empty((*shape, NODES, 2))
    tangents = np.empty_like(nodes)
    for strip in range(len(fibres.strips)):
        mine = strip_of == strip
        course = fibres.course_mm(strip, of) * scale
        nodes[mine], tangents[mine] = _paths(course, across[mine], ends[:, mine])
    pieces = np.linalg.norm(np.diff(nodes, axis=2), axis=-1)
    along = np.cumsum(pieces, -1) - pieces / 2
    length = pieces.sum(-1)
    margin = np.minimum(3.0, 0.3 * length)
    zone = np.clip(zone_share * length + zone_jitter, margin, length - margin)
    from_zone = along - zone[..., None]
    return nodes, tangents, depth.clip(0.4, None), from_zone, _velocities(rng, fibres, units, conduction, from_zone)


def _velocities(rng: np.random.Generator, fibres: Fibres, units: int, conduction: float, from_zone: Array) -> Array:
    mean = fibres.conduction_m_s * conduction
    by_size = np.sqrt(12) * ((np.arange(units) + 0.5) / units - 0.5)
    drawn = mean * (1 + _VELOCITY_SPREAD * np.sqrt(0.5) * (by_size + rng.normal(size=units)))
    # every action potential ends within the template
    least = (np.abs(from_zone).max((1, 2)) + 8.0) / (1e3 * DURATION_S)
    return np.maximum(drawn, np.maximum(_SLOWEST_SHARE * mean, least))


def _paths(course: Array, across: Array, ends: Array) -> tuple[Array, Array]:
    """Nodes and unit tangents (U, J, Z, 2) of fibres beside a strip (K, 2), shortened at both ends (2, U, J)."""
    run = np.r_[0, np.cumsum(np.linalg.norm(np.diff(course, axis=0), axis=1))]
    share = np.linspace(0, 1, NODES)
    shortest = 0.3 * run[-1]
    start, stop = ends[0].clip(0, shortest), run[-1] - ends[1].clip(0, shortest)
    z = start[..., None] + (stop - start)[..., None] * share
    line = np.stack([np.interp(z, run, course[:, k]) for k in (0, 1)], -1)
    slope = np.gradient(line, axis=2)
    slope /= np.linalg.norm(slope, axis=-1, keepdims=True)
    nodes = line + across[..., None, None] * np.stack([-slope[..., 1], slope[..., 0]], -1)
    return nodes, slope


def _middle(index: int) -> Array:
    """Chart coordinates of the middle of a muscle on the mean head."""
    fibres, of = ANATOMY[index // 2].fibres, MUSCLES[index][1]
    return np.mean([fibres.course_mm(strip, of).mean(0) for strip in range(len(fibres.strips))], axis=0)


def _thicker_skin(conductor: Conductor, factor: float) -> Conductor:
    """A person's skin, to 0.05 mm so that people share tables."""
    return replace(conductor, skin_mm=round(20 * conductor.skin_mm * factor) / 20)
