"""Motor units: who fires, how fast and when.

After Fuglevand, Winter & Patla 1993: thresholds and sizes grow exponentially over the pool, the rate rises
linearly above a unit's threshold, discharges are a renewal process. Facial numbers replace those of limbs:
recruitment over most of the range of force, rates far above a limb's.
"""

from dataclasses import dataclass
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from ..errors import InputError
from ..facs import Muscle
from .anatomy import ANATOMY, MUSCLES

Array = NDArray[np.floating]

SAMPLES_PER_STEP = 8
"""EMG samples in one step of the control clock."""
_FRONTAL = (Muscle.FRONTALIS_MEDIALIS, Muscle.FRONTALIS_LATERALIS)
_BLOCK = 128
_BYTES_MEAN, _BYTES_SD = 4 * 127.5, np.sqrt(4 * (256**2 - 1) / 12)


@dataclass(frozen=True, kw_only=True)
class Habit:
    """How the units of a pool are recruited and fire; the same for every muscle but for the frontalis' peak.

    recruited_by: drive at which the last unit joins, 0.8 (lip units are recruited at all forces).
    threshold_range: ratio of last to first threshold, 100, so that units join from 0.9 % of the drive on.
    size_range: ratio of the largest unit's fibres to the smallest's, 20 (*unknown*, 10-100).
    onset_hz: at recruitment, 8 Hz (occipitofrontalis: Kirk, Zero & Rice 2021). peak_hz: of the first unit, 60
    (*unknown*, 40-80); frontal_peak_hz 76 (the same study's mean peak). peak_fall: by how much less the last
    unit's peak is, a share. slope_hz: gain over the whole drive, 70 (*unknown*).
    interval_cv: SD over mean of intervals, 0.22 (0.2-0.3). common_drive: SD of the slow fluctuation that all units
    of a muscle share, a share of the drive, 0.05 (*unknown*, 0.02-0.1), at frequencies up to common_hz, 3.
    """

    recruited_by: float = 0.8
    threshold_range: float = 100.0
    size_range: float = 20.0
    onset_hz: float = 8.0
    peak_hz: float = 60.0
    frontal_peak_hz: float = 76.0
    peak_fall: float = 0.3
    slope_hz: float = 70.0
    interval_cv: float = 0.22
    common_drive: float = 0.05
    common_hz: float = 3.0

    def __post_init__(self) -> None:
        ranges = {
            "recruited_by": (0.05, 1), "threshold_range": (1.01, 1e4), "size_range": (1, 1e4), "onset_hz": (0.5, 30),
            "peak_hz": (10, 100), "frontal_peak_hz": (10, 100), "peak_fall": (0, 0.9), "slope_hz": (0, 500),
            "interval_cv": (0, 0.28), "common_drive": (0, 0.5), "common_hz": (0.1, 20),
        }  # fmt: skip
        for name, (least, most) in ranges.items():
            if not least <= getattr(self, name) <= most:
                raise InputError(f"motor units: {name} must be {least} … {most}, got {getattr(self, name)}")


class Pool(eqx.Module):
    """The motor units of M muscles, U each, in order of recruitment.

    threshold (M, U) drive; peak_hz (M, U); size (U,) share of the muscle's fibres, summing to one.
    """

    threshold: jax.Array
    peak_hz: jax.Array
    size: jax.Array
    habit: Habit = eqx.field(static=True)

    @classmethod
    def of(cls, muscles: tuple[int, ...], units: int, habit: Habit | None = None) -> "Pool":
        """The pool of muscles given by their index in `MUSCLES`. Raises `InputError` for fewer than 4 units."""
        habit = habit or Habit()
        if units < 4:
            raise InputError(f"a pool needs at least 4 motor units, got {units}")
        rank = np.arange(1, units + 1) / units
        threshold = habit.recruited_by * habit.threshold_range ** (rank - 1)
        size = habit.size_range**rank
        first = np.array([habit.frontal_peak_hz if MUSCLES[m][0] in _FRONTAL else habit.peak_hz for m in muscles])
        return cls(
            threshold=jnp.asarray(np.tile(threshold, (len(muscles), 1)), jnp.float32),
            peak_hz=jnp.asarray(first[:, None] * (1 - habit.peak_fall * rank), jnp.float32),
            size=jnp.asarray(size / size.sum(), jnp.float32),
            habit=habit,
        )

    def rates_hz(self, drive: jax.Array) -> jax.Array:
        """Mean discharge rates (…, M, U) at drives (…, M) 0…1.

        A unit's threshold is blurred by a twentieth of itself, which is what synaptic noise does and what makes
        the rate differentiable.
        """
        above = drive[..., None] - self.threshold
        gate = jax.nn.sigmoid(above / (0.05 * self.threshold))
        habit = self.habit
        return gate * jnp.minimum(habit.onset_hz + habit.slope_hz * jnp.maximum(above, 0.0), self.peak_hz)


@dataclass(frozen=True)
class Spikes:
    """Discharges in order of time: muscle, unit and EMG sample (n,) each; muscle indexes the model's muscles."""

    muscle: NDArray[np.int32]
    unit: NDArray[np.int32]
    sample: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.sample)

    def of(self, muscle: int) -> "Spikes":
        """Those of one muscle."""
        mine = self.muscle == muscle
        return Spikes(self.muscle[mine], self.unit[mine], self.sample[mine])


def spikes(key: jax.Array, pool: Pool, drive: Array, control_hz: float) -> Spikes:
    """Discharges of every unit under drives (Tc, M) 0…1 at the control rate, on the EMG's samples.

    A unit holds back one interval, drawn from a bell truncated at 3.5 SD (mean one, SD `interval_cv`) and divided
    by the rate; the time to go runs down with the rate of every control step, so that a rising drive shortens an
    interval already begun. A silent unit becomes ready within 50 ms. At most one discharge falls into a control
    step (8 ms), which no rate below 100 Hz feels but in rare short intervals; such a discharge comes in the next
    step, none is lost.
    """
    steps = -(-len(drive) // _BLOCK) * _BLOCK
    padded = np.zeros((steps, drive.shape[1]), np.float32)
    padded[: len(drive)] = drive
    raster = np.asarray(_raster(key, pool, jnp.asarray(padded), float(control_hz)))[: len(drive)]
    flat = np.flatnonzero(raster >= 0)
    step, who = np.divmod(flat.astype(np.int32), np.int32(raster.shape[1]))
    sample = step * np.int32(SAMPLES_PER_STEP) + raster.reshape(-1)[flat]
    muscle, unit = np.divmod(who, np.int32(pool.threshold.shape[1]))
    return Spikes(muscle, unit, sample.astype(np.int32))


def common_drive(key: jax.Array, steps: int, muscles: int, control_hz: float, habit: Habit) -> jax.Array:
    """Slow factor (Tc, M) of mean one that all units of a muscle share: random values joined by cosines."""
    apart = max(1, round(control_hz / (2 * habit.common_hz)))
    values = jnp.clip(jax.random.normal(key, (-(-steps // apart) + 1, muscles)), -3, 3)
    share = ((1 - jnp.cos(jnp.pi * jnp.arange(apart) / apart)) / 2)[None, :, None]
    joined = values[:-1, None] * (1 - share) + values[1:, None] * share
    # over the cosine's course the mean of (1 − s)² + s² is 3/4
    return 1 + habit.common_drive / np.sqrt(0.75) * joined.reshape(-1, muscles)[:steps]


@partial(jax.jit, static_argnames="control_hz")
def _raster(key: jax.Array, pool: Pool, drive: jax.Array, control_hz: float) -> jax.Array:
    """In which of the step's samples a unit fires, −1 if it does not: int8 (Tc, M U)."""
    steps, muscles = drive.shape
    units = muscles * pool.threshold.shape[1]
    first_key, ready_key, seed_key, common_key = jax.random.split(key, 4)
    drive = drive * common_drive(common_key, steps, muscles, control_hz, pool.habit)
    ready = 0.4 * jax.random.uniform(ready_key, (units,))
    seeds = jax.random.bits(seed_key, (units,), jnp.uint32)
    leak = 1 / (0.05 * control_hz)

    def block(to_go: jax.Array, given: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        drives, first_step = given
        due = (pool.rates_hz(drives) / control_hz).reshape(_BLOCK, units)
        counter = (first_step + jnp.arange(_BLOCK)).astype(jnp.uint32)[:, None]
        interval = _intervals(seeds + counter * jnp.uint32(0x9E3779B9), pool.habit.interval_cv)

        def step(to_go: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            due, interval = now
            left = to_go - due
            fires = (left <= 0) & (due > 1e-3)
            at = jnp.clip(SAMPLES_PER_STEP * to_go / jnp.maximum(due, 1e-6), 0, SAMPLES_PER_STEP - 1)
            rested = jnp.where(due > 1e-3, left, to_go + leak * (ready - to_go))
            return jnp.where(fires, left + interval, rested), jnp.where(fires, at, -1.0).astype(jnp.int8)

        return lax.scan(step, to_go, (due, interval), unroll=4)

    to_go = jax.random.uniform(first_key, (units,))
    starts = jnp.arange(0, steps, _BLOCK)
    _, raster = lax.scan(block, to_go, (drive.reshape(-1, _BLOCK, muscles), starts))
    return raster.reshape(steps, units)


def _intervals(state: jax.Array, cv: float) -> jax.Array:
    """Intervals of mean one from 32-bit counters: a mixing hash, and the sum of its four bytes as a bell."""
    state = (state ^ (state >> 16)) * jnp.uint32(0x7FEB352D)
    state = (state ^ (state >> 15)) * jnp.uint32(0x846CA68B)
    state = state ^ (state >> 16)
    total = (state & 255) + ((state >> 8) & 255) + ((state >> 16) & 255) + (state >> 24)
    return 1 + cv / _BYTES_SD * (total.astype(jnp.float32) - _BYTES_MEAN)


def fibre_counts(muscles: tuple[int, ...], units: int, strength: Array) -> Array:
    """Fibres (M,) of each muscle as `units` stand-ins for its true motor units.

    The amplitude of interference goes with fibres per unit times the root of the number of units; where the pool
    has more or fewer units than the anatomy says, the count is scaled so that the amplitude stays.
    """
    entries = [ANATOMY[m // 2] for m in muscles]
    stand_in = np.sqrt(units / np.array([entry.motor_units for entry in entries]))
    return np.array([entry.fibres.count for entry in entries]) * np.asarray(strength)[list(muscles)] * stand_in
