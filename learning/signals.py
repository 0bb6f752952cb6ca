"""EMG before anything is learnt from it: the papers' pre-processing by name, spectra, and who leads whom.

SciPy filters; everything is offline and zero-phase, so that no filter adds a delay to what is measured.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import signal

from ..sim.errors import InputError

Array = NDArray[np.floating]

SURFACE_BAND_HZ = (20.0, 450.0)
"""The usable band of facial surface EMG (van Boxtel 2001: 15-25 to 400-500 Hz for nine muscles)."""


def bandpass(emg_uv: ArrayLike, rate_hz: float, band_hz: tuple[float, float] = SURFACE_BAND_HZ) -> Array:
    """EMG (T, …) µV within a band, fourth-order Butterworth, zero phase. Its top stays below 0.49 of the rate."""
    emg = _checked(emg_uv, rate_hz)
    low, high = band_hz[0], min(band_hz[1], 0.49 * rate_hz)
    if not 0 < low < high:
        raise InputError(f"the band {band_hz} Hz does not fit below half the rate, {rate_hz / 2:g} Hz")
    return signal.sosfiltfilt(signal.butter(4, (low, high), "bandpass", fs=rate_hz, output="sos"), emg, axis=0)


def envelope(emg_uv: ArrayLike, rate_hz: float, *, lowpass_hz: float = 4.0) -> Array:
    """Rectified EMG (T, …) smoothed below `lowpass_hz`, µV. Band-pass it first."""
    emg = _checked(emg_uv, rate_hz)
    return signal.sosfiltfilt(signal.butter(2, lowpass_hz, fs=rate_hz, output="sos"), np.abs(emg), axis=0)


def smile_reader(emg_uv: ArrayLike, rate_hz: float) -> Array:
    """The pre-processing of the distal-EMG paper (§ 5), (T, C) without unit.

    Hann ramps of 0.5 s, linear detrending, zero mean and unit SD, 15-490 Hz, rectified, below 4 Hz.
    """
    emg = _checked(emg_uv, rate_hz)
    ramp = min(int(0.5 * rate_hz), len(emg) // 2)
    window = np.ones(len(emg))
    window[:ramp] = 0.5 - 0.5 * np.cos(np.pi * np.arange(ramp) / ramp)
    window[len(emg) - ramp :] = window[:ramp][::-1]
    detrended = signal.detrend(emg * window.reshape(-1, *[1] * (emg.ndim - 1)), axis=0)
    spread = detrended.std(axis=0)
    scaled = (detrended - detrended.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return envelope(bandpass(scaled, rate_hz, (15.0, 490.0)), rate_hz)


def rms_uv(emg_uv: ArrayLike, rate_hz: float, band_hz: tuple[float, float] = SURFACE_BAND_HZ) -> Array:
    """Root mean square (…) µV of EMG (T, …) within a band."""
    return np.sqrt(np.mean(bandpass(emg_uv, rate_hz, band_hz) ** 2, axis=0))


def median_frequency_hz(
    emg_uv: ArrayLike,
    rate_hz: float,
    band_hz: tuple[float, float] = SURFACE_BAND_HZ,
    *,
    rest_uv: ArrayLike | None = None,
) -> Array:
    """Frequency (…) Hz that halves the power of EMG (T, …) within a band (Welch, 0.25 s segments).

    rest_uv: EMG at rest whose spectrum is subtracted first, for what a contraction adds.
    """
    frequency, power = spectrum(emg_uv, rate_hz)
    if rest_uv is not None:
        power = power - spectrum(rest_uv, rate_hz)[1]
    return halving_frequency_hz(frequency, power, band_hz)


def halving_frequency_hz(frequency_hz: Array, power: Array, band_hz: tuple[float, float] = SURFACE_BAND_HZ) -> Array:
    """Frequency (…) that halves a spectrum (F, …) within a band; what is negative there counts as nothing.

    Raises `InputError` where there is no power.
    """
    inside = (frequency_hz >= band_hz[0]) & (frequency_hz <= band_hz[1])
    summed = np.cumsum(np.maximum(power[inside], 0.0), axis=0)
    if not (summed[-1] > 0).all():
        raise InputError(f"no power between {band_hz[0]:g} and {band_hz[1]:g} Hz; is a channel dead?")
    return frequency_hz[inside][(summed >= 0.5 * summed[-1]).argmax(axis=0)]


def spectrum(emg_uv: ArrayLike, rate_hz: float, *, segment_s: float = 0.25) -> tuple[Array, Array]:
    """Frequencies (F,) Hz and power density (F, …) µV²/Hz of EMG (T, …), by Welch's method."""
    emg = _checked(emg_uv, rate_hz)
    return signal.welch(emg, rate_hz, nperseg=min(int(segment_s * rate_hz), len(emg)), axis=0)


def lead_s(leader: ArrayLike, follower: ArrayLike, rate_hz: float, *, most_s: float = 1.5) -> float:
    """By how much `leader` (T,) precedes `follower` (T,), s: the lag of their largest cross-correlation.

    Negative when it comes after. Searched within ± `most_s`. Raises `InputError` for a constant signal.
    """
    one, two = (_checked(value, rate_hz) for value in (leader, follower))
    if one.shape != two.shape or one.ndim != 1:
        raise InputError(f"both signals must be (T,) on the same clock, got {one.shape} and {two.shape}")
    one, two = one - one.mean(), two - two.mean()
    if not (one.any() and two.any()):
        raise InputError("a constant signal leads nothing")
    lags = signal.correlation_lags(len(two), len(one))
    near = np.abs(lags) <= most_s * rate_hz
    return float(lags[near][signal.correlate(two, one)[near].argmax()] / rate_hz)


def _checked(values: ArrayLike, rate_hz: float) -> Array:
    array = np.asarray(values, float)
    if not (np.isfinite(rate_hz) and rate_hz > 0):
        raise InputError(f"rate_hz must be positive, got {rate_hz}")
    if array.ndim == 0 or len(array) < 32 or not np.isfinite(array).all():
        raise InputError(f"a signal must be finite, time first, with 32 samples or more; got shape {array.shape}")
    return array
