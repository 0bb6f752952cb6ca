"""Windows over EMG or over synergies' activations, and what is read from each: vectorised, time first.

    parts = windows(emg_uv, length=200, step=50)                     # (W, 200, C), a view
    read = features(emg_uv, 1000.0, ("rms", "iemg"), window_s=0.2, step_s=0.05)     # (W, C, 2)

`FEATURES` holds every feature by name: RMS, VAR, MAV and IEMG as equations 2-5 of the skin-musculoskeletal paper (its
equation 2 is printed without the root), RMS and IEMG as the epidermal-electrode paper's Table S2, and the usual WL,
ZC, SSC, MNF and MDF (Hudgins, Parker & Scott 1993; Phinyomark, Phukpattaranont & Limsakul 2012).
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..sim.errors import InputError, VocabularyError

Array = NDArray[np.floating]

SHU_FEATURES = ("rms", "var", "mav", "iemg")
FER_EE_FEATURES = ("rms", "iemg")

_TOGETHER = 1024
"""Windows read at once, which bounds the memory."""


def features(
    values: ArrayLike,
    rate_hz: float,
    names: Sequence[str] = SHU_FEATURES,
    *,
    window_s: float = 0.15,
    step_s: float = 0.04,
) -> Array:
    """Features (W, C, F) of a signal (T, C) in sliding windows; the defaults are the skin-musculoskeletal paper's.

    Window w covers samples w·step … w·step + length − 1; both lengths are rounded to whole samples, and
    `window_ends_s` says when each ends. Units are the signal's (VAR: squared; ZC, SSC: counts; MNF, MDF: Hz).
    Raises `VocabularyError` for an unknown feature, `InputError` for a signal or lengths that give no window.
    """
    array = _checked(values)
    length, step = samples(window_s, rate_hz), samples(step_s, rate_hz)
    return of_windows(windows(array, length, step), rate_hz, names)


def features_at(
    values: ArrayLike,
    rate_hz: float,
    times_s: ArrayLike,
    names: Sequence[str] = SHU_FEATURES,
    *,
    start_s: float = 0.0,
    window_s: float = 0.15,
) -> Array:
    """Features (F, C, F′) of the windows that end with given times (F,) s, such as a video's frames.

    start_s: time of the first sample, on the same clock. The last sample of a window is the last one not after its
    time. Raises `InputError` where a window would begin before the signal or end after it.
    """
    array, times = _checked(values), np.asarray(times_s, float)
    length = samples(window_s, rate_hz)
    ends = np.floor((times - start_s) * rate_hz + 1e-6) + 1
    if times.ndim != 1 or not len(times) or not ((ends >= length) & (ends <= len(array))).all():
        raise InputError(
            f"times must be (F ≥ 1,) within {start_s + (length - 1) / rate_hz:g} … "
            f"{start_s + (len(array) - 1) / rate_hz:g} s, so that a window of {window_s} s ends at each"
        )
    return of_windows(windows(array, length, 1)[ends.astype(int) - length], rate_hz, names)


def windows(values: ArrayLike, length: int, step: int) -> Array:
    """Sliding windows (W, length, C) of a signal (T, C), a read-only view. Raises `InputError` if there is none."""
    array = _checked(values)
    if length < 1 or step < 1 or length > len(array):
        raise InputError(f"no window of {length} samples, every {step}, fits into {len(array)} samples")
    return np.moveaxis(np.lib.stride_tricks.sliding_window_view(array, length, axis=0)[::step], -1, 1)


def window_ends_s(count: int, rate_hz: float, window_s: float, step_s: float, start_s: float = 0.0) -> Array:
    """Times (count,) s of the last samples of the windows of `features`."""
    length, step = samples(window_s, rate_hz), samples(step_s, rate_hz)
    return start_s + (length - 1 + step * np.arange(count)) / rate_hz


def of_windows(parts: ArrayLike, rate_hz: float, names: Sequence[str]) -> Array:
    """Features (W, C, F) of windows (W, N, C)."""
    unknown = [name for name in names if name not in FEATURES]
    if unknown or not len(names):
        raise VocabularyError(
            f"unknown features {', '.join(unknown) or '(none given)'}; allowed: {', '.join(FEATURES)}"
        )
    every = np.asarray(parts)
    if every.ndim != 3 or every.shape[1] < 3:
        raise InputError(f"windows must be (W, N ≥ 3, C), got {every.shape}")
    out = np.empty((every.shape[0], every.shape[2], len(names)))
    for first in range(0, len(every), _TOGETHER):
        few = np.ascontiguousarray(every[first : first + _TOGETHER], float)
        for place, name in enumerate(names):
            out[first : first + _TOGETHER, :, place] = FEATURES[name](few, rate_hz)
    return out


def samples(seconds: float, rate_hz: float) -> int:
    """A length of time in whole samples, at least one. Raises `InputError`."""
    if not (np.isfinite(seconds) and seconds > 0 and np.isfinite(rate_hz) and rate_hz > 0):
        raise InputError(f"lengths and rates must be positive, got {seconds} s at {rate_hz} Hz")
    return max(round(seconds * rate_hz), 1)


def _rms(x: Array, rate_hz: float) -> Array:
    return np.sqrt(np.mean(x**2, axis=1))


def _var(x: Array, rate_hz: float) -> Array:
    return x.var(axis=1)


def _mav(x: Array, rate_hz: float) -> Array:
    return np.abs(x).mean(axis=1)


def _iemg(x: Array, rate_hz: float) -> Array:
    return np.abs(x).sum(axis=1)


def _wl(x: Array, rate_hz: float) -> Array:
    return np.abs(np.diff(x, axis=1)).sum(axis=1)


def _zc(x: Array, rate_hz: float) -> Array:
    return np.count_nonzero((x[:, :-1] >= 0) != (x[:, 1:] >= 0), axis=1).astype(float)


def _ssc(x: Array, rate_hz: float) -> Array:
    slope = np.diff(x, axis=1)
    return np.count_nonzero(slope[:, :-1] * slope[:, 1:] < 0, axis=1).astype(float)


def _mnf(x: Array, rate_hz: float) -> Array:
    frequency, power = _spectrum(x, rate_hz)
    total = power.sum(axis=1)
    return np.einsum("f,wfc->wc", frequency, power) / np.where(total > 0, total, 1.0)


def _mdf(x: Array, rate_hz: float) -> Array:
    frequency, power = _spectrum(x, rate_hz)
    summed = power.cumsum(axis=1)
    return frequency[(summed >= 0.5 * summed[:, -1:]).argmax(axis=1)]


def _spectrum(x: Array, rate_hz: float) -> tuple[Array, Array]:
    """Periodogram (W, F, C) of windows under a Hann window, their means taken out."""
    length = x.shape[1]
    power = np.abs(np.fft.rfft((x - x.mean(1, keepdims=True)) * np.hanning(length)[:, None], axis=1)) ** 2
    return np.fft.rfftfreq(length, 1 / rate_hz), power


def _checked(values: ArrayLike) -> Array:
    array = np.asarray(values, float)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise InputError(f"a signal must be finite and (T, C), got shape {array.shape}")
    return array


FEATURES: Mapping[str, Callable[[Array, float], Array]] = MappingProxyType(
    {
        "rms": _rms,
        "var": _var,
        "mav": _mav,
        "iemg": _iemg,
        "wl": _wl,
        "zc": _zc,
        "ssc": _ssc,
        "mnf": _mnf,
        "mdf": _mdf,
    }
)
"""Windows (W, N, C) and a rate in Hz to a feature (W, C): root mean square, variance, mean absolute value, integral
of the absolute value, waveform length, changes of sign, changes of slope's sign (both without a threshold), mean and
median frequency (0 where a window is constant)."""


__all__ = [
    "FEATURES",
    "FER_EE_FEATURES",
    "SHU_FEATURES",
    "features",
    "features_at",
    "of_windows",
    "samples",
    "window_ends_s",
    "windows",
]
