"""The EMG of a person at the electrodes of a montage, in two tiers behind one interface.

`motor_units` sums the templates of every discharge; `interference` filters noise to the same spectra and is
several times faster; `rms_uv` is the expected amplitude in closed form. All take the same excitation and give clean
EMG in absolute µV together with the truth behind it; noise and artefacts are added elsewhere (`artefacts`).
"""

from dataclasses import dataclass
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .anatomy import MUSCLE_NAMES, MUSCLES
from .conductor import Conductor
from .contacts import Montage
from .interference import Interference
from .motor_units import SAMPLES_PER_STEP, Habit, Pool, Spikes, spikes
from .templates import Templates
from .traits import Traits

Array = NDArray[np.floating]
Tier = Literal["motor units", "interference"]

BAND_HZ = (20.0, 450.0)
"""Usable band of facial EMG: van Boxtel 2001 (15-25 to 400-500 Hz, nine pericranial muscles)."""
_CHUNK, _BUCKET = 2048, 65_536


@dataclass(frozen=True)
class EmgSample:
    """Clean EMG and what made it.

    emg_uv (T, C) float32 at rate_hz; excitation (Tc, 48) at rate_hz / 8; spikes of the motor-unit tier, else None;
    key: the random key, so that `EmgModel.per_muscle` can take the sample apart.
    """

    emg_uv: NDArray[np.float32]
    rate_hz: float
    excitation: Array
    tier: Tier
    spikes: Spikes | None
    key: jax.Array


class EmgModel(eqx.Module):
    """A person's muscles seen by a montage.

    units_uv (M, U, C, L): template of every unit in every channel. muscles: their indices in `MUSCLES`;
    excitation always has all 48 columns and those of other muscles are not heard.
    """

    units_uv: jax.Array
    pool: Pool
    carriers: Interference
    templates: Templates
    contacts_mm: jax.Array
    derivation: jax.Array
    muscles: tuple[int, ...] = eqx.field(static=True)
    channel_names: tuple[str, ...] = eqx.field(static=True)
    rate_hz: float = eqx.field(static=True)

    def motor_units(self, key: jax.Array, excitation: ArrayLike) -> EmgSample:
        """EMG of single discharges under excitation (Tc, 48) 0…1 at rate_hz / 8. Raises `InputError`."""
        drive = self._course(excitation)
        fired = spikes(key, self.pool, drive, self.rate_hz / SAMPLES_PER_STEP)
        emg = self._superpose(fired, len(drive) * SAMPLES_PER_STEP)
        return EmgSample(emg, self.rate_hz, np.asarray(excitation), "motor units", fired, key)

    def interference(self, key: jax.Array, excitation: ArrayLike) -> EmgSample:
        """EMG of filtered noise with the same spectra, for large populations. Raises `InputError`."""
        drive = self._course(excitation)
        emg = np.asarray(self.carriers(key, jnp.asarray(drive)))
        return EmgSample(emg, self.rate_hz, np.asarray(excitation), "interference", None, key)

    def per_muscle(self, sample: EmgSample) -> NDArray[np.float32]:
        """What each muscle contributed to a sample of this model, (T, M, C) µV; the sum over M is the sample."""
        drive = self._course(sample.excitation)
        count = len(self.muscles)
        if sample.spikes is not None:
            parts = [self._superpose(sample.spikes.of(m), len(sample.emg_uv)) for m in range(count)]
        else:
            parts = [
                np.asarray(self.carriers(sample.key, jnp.asarray(drive * (np.arange(count) == m))))
                for m in range(count)
            ]
        return np.stack(parts, 1)

    def rms_uv(
        self, excitation: ArrayLike, contacts_mm: ArrayLike | None = None, band_hz: tuple[float, float] = BAND_HZ
    ) -> jax.Array:
        """Expected RMS (…, C) µV under steady excitation (…, 48), by Campbell's theorem.

        With contacts_mm (N, 2) the montage's contacts are moved there on the chart, with the fat of where they
        were. Differentiable in both. Raises `InputError`.
        """
        if not 0 <= band_hz[0] < band_hz[1] <= self.rate_hz / 2:
            raise InputError(f"a band must lie in 0 … {self.rate_hz / 2:.0f} Hz, got {band_hz}")
        drive = self._drive(excitation)
        units = self.units_uv if contacts_mm is None else self._units_at(jnp.asarray(contacts_mm))
        energy = band_energy_uv2_s(units, self.rate_hz, band_hz).sum(-1)
        power = jnp.einsum("...mu,muc->...c", self.pool.rates_hz(jnp.asarray(drive)), energy)
        return jnp.sqrt(power + 1e-12)

    def psd_uv2_hz(self, excitation: ArrayLike) -> tuple[Array, Array]:
        """Frequencies (F,) Hz and expected one-sided spectra (F, C) µV²/Hz under one steady excitation (48,)."""
        rates = np.asarray(self.pool.rates_hz(jnp.asarray(self._drive(excitation))))
        points = 1024
        spectra = np.abs(np.fft.rfft(np.asarray(self.units_uv), points)) ** 2 / self.rate_hz**2
        return np.fft.rfftfreq(points, 1 / self.rate_hz), 2 * np.einsum("mu,mucf->fc", rates, spectra)

    def mixing_uv(self, drive: float = 1.0) -> tuple[Array, Array]:
        """The instantaneous mixture nearest to the truth: gains (C, M) µV and how much of it they hold, (M,).

        A column is the principal direction of a muscle's covariance between channels at zero lag, its length the
        RMS along it; the share is 1 if the muscle reaches all channels with one waveform. Signed: each column's
        largest entry is positive.
        """
        rates = np.asarray(self.pool.rates_hz(jnp.full(len(self.muscles), drive)))
        units = np.asarray(self.units_uv, float)
        covariance = np.einsum("mu,mucl,mudl->mcd", rates / self.rate_hz, units, units, optimize=True)
        value, vector = np.linalg.eigh(covariance)
        column = vector[..., -1] * np.sqrt(np.maximum(value[..., -1:], 0))
        largest = np.take_along_axis(column, np.abs(column).argmax(-1)[:, None], -1)
        share = value[..., -1] / np.maximum(value.sum(-1), 1e-20)
        return (column * np.where(largest < 0, -1, 1)).T, share

    @property
    def muscle_names(self) -> tuple[str, ...]:
        return tuple(MUSCLE_NAMES[m] for m in self.muscles)

    def _units_at(self, contacts_mm: jax.Array) -> jax.Array:
        if contacts_mm.shape != self.contacts_mm.shape:
            raise InputError(f"contacts must be {self.contacts_mm.shape} mm, (s, y), got {contacts_mm.shape}")
        return jnp.einsum("cn,munl->mucl", self.derivation, self.templates(contacts_mm))

    def _drive(self, excitation: ArrayLike) -> Any:
        """Checked excitation of this model's muscles; values are not checked while JAX traces."""
        given: Any = excitation if isinstance(excitation, Tracer) else np.asarray(excitation)
        if given.ndim == 0 or given.shape[-1] != len(MUSCLES):
            raise InputError(
                f"excitation must be (…, {len(MUSCLES)}), a column for each of anatomy.MUSCLES; got shape {given.shape}"
            )
        if isinstance(given, np.ndarray) and given.size:
            if not np.issubdtype(given.dtype, np.number) or not np.isfinite(given).all():
                raise InputError("excitation must be finite numbers 0 … 1, got some that are not")
            if given.min() < 0 or given.max() > 1:
                raise InputError(f"excitation must be 0 … 1, got {given.min():.3g} … {given.max():.3g}; clip it")
        return given[..., np.array(self.muscles)]

    def _course(self, excitation: ArrayLike) -> NDArray[np.float32]:
        """Checked excitation over time, (Tc, M)."""
        drive = np.asarray(self._drive(excitation), np.float32)
        if drive.ndim != 2 or not len(drive):
            raise InputError(f"excitation over time must be (Tc, {len(MUSCLES)}), got shape {np.shape(excitation)}")
        return drive

    def _superpose(self, fired: Spikes, samples: int) -> NDArray[np.float32]:
        """Sum of templates at discharges, (samples, C)."""
        muscles, units, channels, length = self.units_uv.shape
        size = max(1, -(-len(fired) // _BUCKET)) * _BUCKET
        who, start = np.zeros(size, np.int32), np.full(size, samples + length, np.int32)
        who[: len(fired)] = fired.muscle * units + fired.unit
        start[: len(fired)] = fired.sample
        rows = self.units_uv.transpose(0, 1, 3, 2).reshape(muscles * units, length * channels)
        return np.asarray(_add_windows(rows, jnp.asarray(who), jnp.asarray(start), samples, channels))


def build_emg(
    montage: Montage,
    *,
    rate_hz: float | None = None,
    traits: Traits | None = None,
    conductor: Conductor | None = None,
    habit: Habit | None = None,
    muscles: tuple[int, ...] | None = None,
    units: int = 60,
    seed: int = 0,
) -> EmgModel:
    """The EMG model of a person wearing a montage.

    rate_hz: the montage's if none is given. traits: strength changes the number of fibres, fat, thickness (of
    skin), conduction and shape do what they say; `Traits.excite` is not applied here. muscles: indices in `MUSCLES`,
    all if none are given. units: per muscle; amplitude does not depend on it. seed: which person, that is where
    units, zones and fibre ends lie; keep it between sessions. Raises `InputError`.
    """
    traits = traits or Traits()
    muscles = tuple(range(len(MUSCLES))) if muscles is None else tuple(muscles)
    if not muscles or not all(0 <= m < len(MUSCLES) for m in muscles):
        raise InputError(f"muscles are indices 0 … {len(MUSCLES) - 1} of anatomy.MUSCLES, got {muscles}")
    pool = Pool.of(muscles, units, habit)
    rate = float(montage.rate_hz if rate_hz is None else rate_hz)
    contacts = jnp.asarray(montage.chart_mm, jnp.float32)
    templates = Templates.of(
        np.random.default_rng(seed),
        pool,
        muscles,
        montage.chart_mm,
        montage.radius_mm,
        rate_hz=rate,
        traits=traits,
        conductor=conductor or Conductor(),
    )
    derivation = np.asarray(montage.derivation, np.float32)
    in_channels = np.einsum("cn,munl->mucl", derivation, np.asarray(templates(contacts)), optimize=True)
    in_channels = in_channels[..., : _heard(in_channels)]
    return EmgModel(
        jnp.asarray(in_channels),
        pool,
        Interference.of(in_channels, pool, rate),
        templates,
        contacts,
        jnp.asarray(derivation),
        muscles=muscles,
        channel_names=montage.channel_names,
        rate_hz=rate,
    )


def band_energy_uv2_s(units_uv: jax.Array, rate_hz: float, band_hz: tuple[float, float]) -> jax.Array:
    """Energy (…, F) µV² s of templates (…, L) in each frequency of a band; over F it sums to the band's.

    Σ h² / rate is the integral of a template's square; Parseval over one side of the spectrum gives the 2.
    """
    points = transform_length(units_uv)
    frequency = np.fft.rfftfreq(points, 1 / rate_hz)
    inside = (frequency >= band_hz[0]) & (frequency <= band_hz[1])
    spectrum = jnp.fft.rfft(units_uv, points)[..., inside]
    return (spectrum.real**2 + spectrum.imag**2) * (2 / points / rate_hz)


def transform_length(units_uv: jax.Array) -> int:
    """Points of the transform of templates (…, L): the power of two from 2 L on."""
    return 1 << int(np.ceil(np.log2(2 * units_uv.shape[-1])))


def _heard(units_uv: Array) -> int:
    """Samples, a multiple of 4, that hold all but 5·10⁻⁴ of the energy of each channel (2 % in amplitude)."""
    energy = (units_uv.astype(float) ** 2).sum((0, 1))
    rest = 1 - np.cumsum(energy, -1) / np.maximum(energy.sum(-1, keepdims=True), 1e-30)
    last = int((rest > 5e-4).any(0).sum())
    return min(-(-(last + 1) // 4) * 4, units_uv.shape[-1])


@eqx.filter_jit
def _add_windows(rows: jax.Array, who: jax.Array, start: jax.Array, samples: int, channels: int) -> jax.Array:
    """Adds row `who` (each a window of L × C) at sample `start`; starts beyond the end are dropped."""
    width = rows.shape[1]
    numbers = lax.ScatterDimensionNumbers(
        update_window_dims=(1,), inserted_window_dims=(), scatter_dims_to_operand_dims=(0,)
    )

    def add(total: jax.Array, given: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        unit, at = given
        return lax.scatter_add(
            total, (at * channels)[:, None], rows[unit], numbers, mode=lax.GatherScatterMode.FILL_OR_DROP
        ), None

    chunks = who.reshape(-1, _CHUNK), start.reshape(-1, _CHUNK)
    total, _ = lax.scan(add, jnp.zeros(samples * channels + width), chunks)
    return total[: samples * channels].reshape(samples, channels)
