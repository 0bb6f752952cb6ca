"""Interference: the EMG of many units as filtered noise, without a single spike.

By Campbell's theorem the spectrum of a muscle's EMG is the sum over units of rate times squared spectrum of the
unit's template. Each muscle gets a few white carriers, and filters from them to all channels such that every
channel's spectrum is the theorem's and the phases between channels are the templates'. The carriers' amplitude
follows the drive. Two carriers, since the templates of a muscle are not one waveform: a ring has several places.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from .motor_units import SAMPLES_PER_STEP, Habit, Pool, common_drive

Array = NDArray[np.floating]

CARRIERS = 2
_REFERENCE_DRIVE = 0.5
_LEVELS = 128
_BYTE_SD = np.sqrt((256**2 - 1) / 12)
_TOGETHER = 8
"""Most blocks that one step of the scan handles, a compromise between memory and speed."""


class Interference(eqx.Module):
    """Filters and amplitudes of the noise model of M muscles and C channels, K carriers each.

    A muscle's amplitude follows the drive alike in all channels, though its small units may lie elsewhere than its
    large ones: one far channel may be a tenth off the theorem at drives other than a half.

    filters (M K, C, F): response of every channel to every carrier, µV. level (M, 129): amplitude at
    drives (0 … 128)² / 128², one at a drive of a half. shift (): samples by which the filters are late.
    """

    filters: jax.Array
    level: jax.Array
    shift: jax.Array
    block: int = eqx.field(static=True)
    control_hz: float = eqx.field(static=True)
    habit: Habit = eqx.field(static=True)

    @classmethod
    def of(cls, units_uv: Array, pool: Pool, rate_hz: float) -> "Interference":
        """From the units' templates (M, U, C, L) µV in channels."""
        muscles, _, channels, length = units_uv.shape
        taps = 1 << int(np.ceil(np.log2(1.7 * length)))
        spectra = np.fft.rfft(units_uv, taps).transpose(0, 3, 2, 1).astype(np.complex64)  # (M, F, C, U)
        rates = np.asarray(pool.rates_hz(jnp.full(muscles, _REFERENCE_DRIVE)))
        regular = _renewal(rates, np.fft.rfftfreq(taps, 1 / rate_hz), pool.habit.interval_cv)
        weight = (rates[:, None] / rate_hz * regular)[:, :, None].astype(np.float32)
        cross = (weight * spectra) @ spectra.conj().swapaxes(2, 3)  # (M, F, C, C)
        total = np.einsum("mfcc->c", cross).real
        gains = np.stack([_carried(one, 1 / np.sqrt(np.maximum(total, 1e-20))) for one in cross], 1)  # (F, M, K, C)
        impulse = np.fft.irfft(gains.reshape(len(gains), -1, channels), taps, axis=0)
        block = 8 * taps
        response = np.fft.rfft(np.roll(impulse, taps // 2, axis=0), block, axis=0)
        energy = (units_uv**2).sum((0, 1, 2))
        delay = (energy * np.arange(length)).sum() / max(energy.sum(), 1e-20)
        return cls(
            jnp.asarray(response.transpose(1, 2, 0), jnp.complex64),
            jnp.asarray(_levels(units_uv, pool), jnp.float32),
            jnp.asarray(taps // 2 - round(float(delay)), jnp.int32),
            block=block,
            control_hz=rate_hz / SAMPLES_PER_STEP,
            habit=pool.habit,
        )

    def __call__(self, key: jax.Array, drive: jax.Array) -> jax.Array:
        """EMG (T, C) µV under drives (Tc, M) 0…1. The noise does not depend on the drive: muscles add up."""
        return _generate(self, key, drive)


@eqx.filter_jit
def _generate(model: Interference, key: jax.Array, drive: jax.Array) -> jax.Array:
    steps, muscles = drive.shape
    carriers, channels, _ = model.filters.shape
    block, taps = model.block, model.block // 8
    fresh = block - taps
    blocks = -(-(steps * SAMPLES_PER_STEP + taps) // fresh)
    count = -(-blocks // _TOGETHER)
    together = -(-blocks // count)
    span = together * fresh // SAMPLES_PER_STEP
    common_key, noise_key = jax.random.split(key)
    drive = drive * common_drive(common_key, steps, muscles, model.control_hz, model.habit)
    place = _LEVELS * jnp.sqrt(jnp.clip(drive, 0, 1))
    index = jnp.minimum(place.astype(jnp.int32), _LEVELS - 1)
    level = model.level.reshape(-1)
    offset = index + (_LEVELS + 1) * jnp.arange(muscles)
    level = level[offset] + (place - index) * (level[offset + 1] - level[offset])
    level = jnp.pad(level, ((0, count * span + 1 - steps), (0, 0)), mode="edge").T
    ramp = jnp.arange(SAMPLES_PER_STEP) / SAMPLES_PER_STEP

    def chunk(tail: jax.Array, number: jax.Array) -> tuple[jax.Array, jax.Array]:
        now = lax.dynamic_slice(level, (0, number * span), (muscles, span + 1))
        amplitude = now[:, :-1, None] + ramp * (now[:, 1:] - now[:, :-1])[..., None]  # (M, span, 8)
        amplitude = amplitude.reshape(muscles, 1, together, fresh) / _BYTE_SD
        words = jax.random.bits(jax.random.fold_in(noise_key, number), (muscles, CARRIERS, together, fresh // 4))
        four = [((words >> shift) & 255).astype(jnp.float32) - 127.5 for shift in (0, 8, 16, 24)]
        white = jnp.concatenate(four, -1) * amplitude
        spectrum = jnp.fft.rfft(white.reshape(carriers, together, fresh), block)
        wave = jnp.fft.irfft(jnp.einsum("pbf,pcf->bcf", spectrum, model.filters), block)
        over = jnp.concatenate([tail[None], wave[..., fresh:]])
        wave = wave[..., :fresh].at[..., :taps].add(over[:-1])
        return over[-1], wave.transpose(0, 2, 1).reshape(-1, channels)

    _, wave = lax.scan(chunk, jnp.zeros((channels, taps)), jnp.arange(count))
    return lax.dynamic_slice(wave.reshape(-1, channels), (model.shift, 0), (steps * SAMPLES_PER_STEP, channels))


def _carried(cross: Array, scale: Array) -> Array:
    """Gains (F, K, C) whose products give a cross-spectrum (F, C, C) as nearly as K carriers can.

    Cholesky's factor, K columns of it, with the channel that has most left as the pivot; then every channel is
    scaled to its own power at each frequency. `scale` (C,) makes channels comparable.
    """
    left = cross * (scale[:, None] * scale)
    power = np.einsum("fcc->fc", left).real.copy()
    gains = np.zeros((len(cross), CARRIERS, len(scale)), complex)
    for k in range(CARRIERS):
        remaining = np.einsum("fcc->c", left).real
        pivot = int(np.argmax(remaining))
        if remaining[pivot] <= 1e-9:
            break
        least = 1e-6 * remaining[pivot] / len(left) + 1e-30
        gains[:, k] = left[:, :, pivot] / np.sqrt(np.maximum(left[:, pivot, pivot].real, least))[:, None]
        left = left - gains[:, k, :, None] * gains[:, k, None].conj()
    carried = (np.abs(gains) ** 2).sum(1)
    return gains * np.sqrt(power / np.maximum(carried, 1e-3 * power + 1e-30))[:, None] / scale


def _renewal(rates_hz: Array, frequency_hz: Array, cv: float) -> Array:
    """Spectrum (M, F, U) of discharges of normal intervals over that of a Poisson process of the same rate."""
    phase = 2 * np.pi * frequency_hz[:, None] / np.maximum(rates_hz, 0.1)[:, None]
    transform = np.exp(1j * phase - 0.5 * (cv * phase) ** 2)
    result = (1 - np.abs(transform) ** 2) / np.maximum(np.abs(1 - transform) ** 2, 1e-6)
    result[:, 0] = cv**2
    return result


def _levels(units_uv: Array, pool: Pool) -> Array:
    """Amplitude (M, 129) by drive, the mean over channels of equal weight."""
    energy = (units_uv**2).sum(-1)  # (M, U, C)
    muscles = len(energy)
    rates = np.asarray(pool.rates_hz(jnp.full(muscles, _REFERENCE_DRIVE)))
    power = np.einsum("mu,muc->mc", rates, energy)
    share = (energy / np.maximum(power, 1e-20)[:, None]).mean(-1)  # (M, U)
    drives = np.repeat((np.arange(_LEVELS + 1) / _LEVELS)[:, None] ** 2, muscles, 1)
    return np.sqrt(np.einsum("gmu,mu->mg", np.asarray(pool.rates_hz(jnp.asarray(drives, jnp.float32))), share))
