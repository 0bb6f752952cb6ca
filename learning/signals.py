"""EMG before anything is learnt from it: the papers' pre-processing by name, spectra, clocks, and who leads whom.

    activity = PREPROCESSING["shu"](emg_uv, 1024.0, mvc_uv=mvc_uv)     # (T, C), 1 is a muscle's maximum
    at_frames = resample(activity, emg_times_s, video_times_s)         # (F, C)

SciPy filters. Offline everything is zero-phase, so that no filter adds a delay to what is measured;
`Preprocessing.causal` gives the same filters forwards only, for a stream, and says how late they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import signal

from ..sim.errors import InputError

Array = NDArray[np.floating]

SURFACE_BAND_HZ = (20.0, 450.0)
"""The usable band of facial surface EMG (van Boxtel 2001: 15-25 to 400-500 Hz for nine muscles)."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What is done to raw EMG before anything is read from it, in the order of the fields.

    ramp_s: Hann ramp at both ends. standardised: linear trend taken out, zero mean, unit SD. band_hz: band-pass.
    lowpass_hz: rectified and smoothed below it; None leaves the band-passed EMG. source: paper, and what it leaves
    open. The orders of the filters (`bandpass`, `envelope`) are *unknown* in every paper.
    """

    ramp_s: float = 0.0
    standardised: bool = False
    band_hz: tuple[float, float]
    lowpass_hz: float | None
    source: str

    def __call__(self, emg_uv: ArrayLike, rate_hz: float, *, mvc_uv: ArrayLike | None = None) -> Array:
        """EMG (T, C) µV, zero phase: (T, C) in µV, in SDs if standardised, in maxima if `mvc_uv` (C,) is given.

        Raises `InputError`, also where both would scale it.
        """
        emg = _checked(emg_uv, rate_hz)
        ramp = min(int(self.ramp_s * rate_hz), len(emg) // 2)
        window = np.ones(len(emg))
        window[:ramp] = 0.5 - 0.5 * np.cos(np.pi * np.arange(ramp) / max(ramp, 1))
        window[len(emg) - ramp :] = window[:ramp][::-1]
        emg = emg * window.reshape(-1, *[1] * (emg.ndim - 1))
        if self.standardised:
            emg = signal.detrend(emg, axis=0)
            spread = emg.std(axis=0)
            emg = (emg - emg.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        emg = bandpass(emg, rate_hz, self.band_hz)
        if self.lowpass_hz is not None:
            emg = envelope(emg, rate_hz, lowpass_hz=self.lowpass_hz)
        if mvc_uv is None:
            return emg
        if self.standardised:
            raise InputError("a standardised signal is in SDs already; leave mvc_uv out")
        return emg / checked_mvc(mvc_uv, emg.shape[1:])

    def mvc_uv(self, emg_uv: ArrayLike, rate_hz: float) -> Array:
        """Maxima (C,) of a recording of maximal contractions, pre-processed and rectified like any other."""
        return np.abs(self(emg_uv, rate_hz)).max(axis=0)

    def causal(self, rate_hz: float) -> "CausalFilter":
        """The same filters, forwards only. Raises `InputError` where a step needs the whole recording."""
        if self.ramp_s or self.standardised:
            raise InputError("ramps, trends and SDs need the whole recording; take a pre-processing without them")
        smooth = None if self.lowpass_hz is None else _lowpass_sos(self.lowpass_hz, rate_hz)
        return CausalFilter(_bandpass_sos(self.band_hz, rate_hz), smooth, float(rate_hz), self.band_hz)


PREPROCESSING: Mapping[str, Preprocessing] = MappingProxyType(
    {
        "shu": Preprocessing(
            band_hz=(20.0, 450.0),
            lowpass_hz=2.0,
            source="skin-musculoskeletal paper § 2.4: 20-450 Hz, rectified, divided by the maximum of the MVC task, "
            "below 2 Hz. Whether that maximum was smoothed first is not said; here it was",
        ),
        "perusquia": Preprocessing(
            ramp_s=0.5,
            standardised=True,
            band_hz=(15.0, 490.0),
            lowpass_hz=4.0,
            source="distal-EMG paper § 5: Hann ramps of 0.5 s, linear detrending, zero mean and unit SD, 15-490 Hz, "
            "rectified, below 4 Hz",
        ),
        "fer-ee": Preprocessing(
            band_hz=(20.0, 450.0),
            lowpass_hz=None,
            source="epidermal-electrode paper § 2.3 takes features of the raw EMG and names no filter; "
            "the band is *unknown*, here the usable one of facial EMG",
        ),
    }
)
"""The three EMG papers' pre-processing by name."""


@dataclass(frozen=True, eq=False)
class CausalFilter:
    """Band-pass and, if there is one, rectified low-pass, for EMG that comes in pieces.

    The state is handed over, so cutting a signal changes nothing: `out, state = step(chunk, state)`.
    """

    band_sos: Array
    smooth_sos: Array | None
    rate_hz: float
    band_hz: tuple[float, float]

    def step(self, chunk_uv: ArrayLike, state: tuple[Array, Array] | None = None) -> tuple[Array, tuple[Array, Array]]:
        """The next samples (n ≥ 1, C) µV filtered, and the state for those after them; None starts.

        It starts as if the first sample had been there for ever, so an electrode's offset gives no jump.
        """
        chunk = np.asarray(chunk_uv, float)
        if chunk.ndim != 2 or not len(chunk) or not np.isfinite(chunk).all():
            raise InputError(f"a chunk must be finite and (n ≥ 1, C), got shape {chunk.shape}")
        if state is None:
            sections = 0 if self.smooth_sos is None else len(self.smooth_sos)
            state = (
                signal.sosfilt_zi(self.band_sos)[..., None] * chunk[0],
                np.zeros((sections, 2, chunk.shape[1])),
            )
        if state[0].shape[-1] != chunk.shape[1]:
            raise InputError(f"a chunk has {chunk.shape[1]} channels, the stream began with {state[0].shape[-1]}")
        out, band = signal.sosfilt(self.band_sos, chunk, axis=0, zi=state[0])
        if self.smooth_sos is None:
            return out, (band, state[1])
        out, smooth = signal.sosfilt(self.smooth_sos, np.abs(out), axis=0, zi=state[1])
        return out, (band, smooth)

    @property
    def delay_s(self) -> float:
        """How late it is: mean group delay within the band, and that of the low-pass for slow changes."""
        low, high = self.band_hz[0], min(self.band_hz[1], 0.49 * self.rate_hz)
        late = _mean_group_delay_s(self.band_sos, low, high, self.rate_hz)
        if self.smooth_sos is not None:
            late += _mean_group_delay_s(self.smooth_sos, 0.01, 0.1, self.rate_hz)
        return late


def bandpass(emg_uv: ArrayLike, rate_hz: float, band_hz: tuple[float, float] = SURFACE_BAND_HZ) -> Array:
    """EMG (T, …) µV within a band, fourth-order Butterworth, zero phase. Its top stays below 0.49 of the rate."""
    emg = _checked(emg_uv, rate_hz)
    return signal.sosfiltfilt(_bandpass_sos(band_hz, rate_hz), emg, axis=0)


def envelope(emg_uv: ArrayLike, rate_hz: float, *, lowpass_hz: float = 4.0) -> Array:
    """Rectified EMG (T, …) smoothed below `lowpass_hz`, µV. Band-pass it first."""
    emg = _checked(emg_uv, rate_hz)
    return signal.sosfiltfilt(_lowpass_sos(lowpass_hz, rate_hz), np.abs(emg), axis=0)


def checked_mvc(mvc_uv: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Maxima of every channel, positive and finite, or `InputError`."""
    mvc = np.asarray(mvc_uv, float)
    if mvc.shape != shape or not (np.isfinite(mvc).all() and (mvc > 0).all()):
        raise InputError(f"mvc_uv must be positive and of shape {shape}, a maximum for each channel; got {mvc}")
    return mvc


@dataclass(frozen=True)
class Clock:
    """One clock in terms of another: `clock(times_s)` = offset + (1 + drift) · times.

    residual_s: RMS distance of the shared triggers from that line.
    """

    offset_s: float
    drift: float
    residual_s: float

    def __call__(self, times_s: ArrayLike) -> Array:
        return self.offset_s + (1 + self.drift) * np.asarray(times_s, float)


def fit_clock(seen_s: ArrayLike, true_s: ArrayLike) -> Clock:
    """The line from times on one clock to another through triggers (n,) that both recorded.

    One trigger gives the offset alone, two or more also the drift. Raises `InputError` where they do not match.
    """
    seen, true = np.asarray(seen_s, float), np.asarray(true_s, float)
    if seen.ndim != 1 or seen.shape != true.shape or not len(seen):
        raise InputError(f"both clocks need the same triggers (n ≥ 1,), got {seen.shape} and {true.shape}")
    if not (np.isfinite(seen).all() and np.isfinite(true).all() and (np.diff(seen) > 0).all()):
        raise InputError("triggers must be finite and in order")
    lag, middle = true - seen, seen.mean()
    drift = float(np.polyfit(seen - middle, lag, 1)[0]) if len(seen) > 1 else 0.0
    offset = float(lag.mean() - drift * middle)
    return Clock(offset, drift, float(np.sqrt(np.mean((lag - offset - drift * seen) ** 2))))


def resample(values: ArrayLike, times_s: ArrayLike, wanted_s: ArrayLike) -> Array:
    """Values (T, …) known at times (T,) s, at other times (F,) s of the same clock: EMG's at video frames or back.

    Linear between samples, so what is thinned out must be smooth already (an envelope, features). Values may have
    gaps (NaN), which stay gaps. Raises `InputError` for times beyond the ends by more than a sample.
    """
    array, known, wanted = (np.asarray(one, float) for one in (values, times_s, wanted_s))
    if known.ndim != 1 or len(known) < 2 or len(array) != len(known) or not (np.diff(known) > 0).all():
        raise InputError(f"values {array.shape} need as many rising times (T ≥ 2,), got {known.shape}")
    step = float(np.median(np.diff(known)))
    if wanted.ndim != 1 or not len(wanted) or not ((wanted >= known[0] - step) & (wanted <= known[-1] + step)).all():
        raise InputError(
            f"wanted times must be (F ≥ 1,) within {known[0]:g} … {known[-1]:g} s; cut them, or fit the clocks first"
        )
    before = np.clip(np.searchsorted(known, wanted, "right") - 1, 0, len(known) - 2)
    share = np.clip((wanted - known[before]) / (known[before + 1] - known[before]), 0, 1)
    share = share.reshape(-1, *[1] * (array.ndim - 1))
    between = array[before] + share * (array[before + 1] - array[before])
    return np.where(share == 0, array[before], np.where(share == 1, array[before + 1], between))


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


def _bandpass_sos(band_hz: tuple[float, float], rate_hz: float) -> Array:
    low, high = band_hz[0], min(band_hz[1], 0.49 * rate_hz)
    if not 0 < low < high:
        raise InputError(f"the band {band_hz} Hz does not fit below half the rate, {rate_hz / 2:g} Hz")
    return np.asarray(signal.butter(4, (low, high), "bandpass", fs=rate_hz, output="sos"))


def _lowpass_sos(lowpass_hz: float, rate_hz: float) -> Array:
    return np.asarray(signal.butter(2, lowpass_hz, fs=rate_hz, output="sos"))


def _mean_group_delay_s(sos: Array, low_hz: float, high_hz: float, rate_hz: float) -> float:
    """By how much the phase falls from one frequency to another."""
    response = signal.sosfreqz(sos, np.linspace(low_hz, high_hz, 2048), fs=rate_hz)[1]
    phase = np.unwrap(np.angle(response))
    return float((phase[0] - phase[-1]) / (2 * np.pi * (high_hz - low_hz)))


def _checked(values: ArrayLike, rate_hz: float) -> Array:
    array = np.asarray(values, float)
    if not (np.isfinite(rate_hz) and rate_hz > 0):
        raise InputError(f"rate_hz must be positive, got {rate_hz}")
    if array.ndim == 0 or len(array) < 32 or not np.isfinite(array).all():
        raise InputError(f"a signal must be finite, time first, with 32 samples or more; got shape {array.shape}")
    return array
