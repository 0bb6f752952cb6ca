"""What an electrode adds that no muscle made: noise, mains, motion, drift, the eyes; and how a channel fails.

Every amplitude is absolute, in µV at a contact, never a share of the signal: a weak distal channel has as much
noise as a strong one. A montage's derivation turns contacts into channels, so that a common reference puts its
own noise on every channel and a pair cancels what its two contacts share.

No one source gives all of these for the face. The amplitudes are engineering knowledge, ranges in `RANGES`; that
movement spoils facial EMG below 15-25 Hz is van Boxtel 2001.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from .. import mesh
from ..errors import InputError, VocabularyError
from . import chart
from .contacts import RATES_HZ, Montage

Array = NDArray[np.floating]

RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "electrode_uv": (0.0, 10.0),
        "flicker_corner_hz": (0.0, 100.0),
        "contact_spread": (0.0, 1.0),
        "mains_hz": (45.0, 65.0),
        "mains_uv": (0.0, 200.0),
        "wander_uv": (0.0, 1000.0),
        "motion_uv_per_mm_s": (0.0, 20.0),
        "motion_cut_hz": (2.0, 40.0),
        "brain_uv": (0.0, 50.0),
        "blink_uv": (0.0, 500.0),
        "gaze_uv_per_degree": (0.0, 40.0),
        "dead_probability": (0.0, 1.0),
        "saturation_uv": (10.0, 1e6),
        "step_uv": (0.0, 10.0),
    }
)
"""Least and greatest value that an `ArtefactSpec` accepts, by field."""


@dataclass(frozen=True, kw_only=True)
class ArtefactSpec:
    """How good the electrodes, the amplifier and the skin's preparation are.

    electrode_uv: noise of one contact, RMS over 20-500 Hz. flicker_corner_hz: below it noise rises as 1/f.
    contact_spread: SD of the logarithm of noise, mains and motion gain between contacts.
    mains_hz, mains_uv: frequency and RMS of what is *not* shared by the contacts, harmonics included.
    wander_uv: RMS of slow potentials, 0.05-1 Hz. motion_uv_per_mm_s: RMS artefact for RMS speed of the skin under
    the contact, below motion_cut_hz. brain_uv: RMS of the electroencephalogram between mid-forehead and earlobe,
    0.3 Hz and up, which monopolar electrodes above the eyes see first of all in a face at rest. blink_uv: a full
    blink 25 mm above the pupil; gaze_uv_per_degree: a turn of the eyes there. dead_probability: that a channel
    records nothing but pick-up. saturation_uv: the amplifier's limit either way; step_uv: one bit, 0 for none.
    """

    electrode_uv: float = 1.5
    flicker_corner_hz: float = 15.0
    contact_spread: float = 0.3
    mains_hz: float = 50.0
    mains_uv: float = 1.0
    wander_uv: float = 10.0
    motion_uv_per_mm_s: float = 0.5
    motion_cut_hz: float = 15.0
    brain_uv: float = 10.0
    blink_uv: float = 120.0
    gaze_uv_per_degree: float = 10.0
    dead_probability: float = 0.0
    saturation_uv: float = 5_000.0
    step_uv: float = 0.0

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:  # also refuses NaN
                raise InputError(f"{name} must be {low:g}-{high:g}, got {value!r}")


_NONE = {"electrode_uv": 0.0, "mains_uv": 0.0, "wander_uv": 0.0, "motion_uv_per_mm_s": 0.0, "brain_uv": 0.0}

PRESETS: Mapping[str, ArtefactSpec] = MappingProxyType(
    {
        "clean": ArtefactSpec(**_NONE, contact_spread=0.0, blink_uv=0.0, gaze_uv_per_degree=0.0),
        "wired active": ArtefactSpec(electrode_uv=1.0, mains_uv=0.5, wander_uv=1.5),
        "wireless bipolar": ArtefactSpec(electrode_uv=1.0, mains_uv=0.3, motion_uv_per_mm_s=0.8, step_uv=0.17),
        "dry wearable": ArtefactSpec(
            electrode_uv=2.0, flicker_corner_hz=30.0, contact_spread=0.5, mains_uv=3.0, wander_uv=80.0,
            motion_uv_per_mm_s=2.0,
        ),
    }
)  # fmt: skip
"""Named qualities of recording. Two dry contacts of 2 µV make a channel of 3 µV."""


def preset(name: str) -> ArtefactSpec:
    """One of `PRESETS`. Raises `VocabularyError` listing their names."""
    try:
        return PRESETS[name.strip().lower()]
    except KeyError:
        raise VocabularyError(f"unknown recording quality {name!r}; allowed: {', '.join(PRESETS)}") from None


def artefacts(
    rng: np.random.Generator,
    spec: ArtefactSpec,
    montage: Montage,
    rate_hz: float,
    samples: int,
    *,
    motion_mm_s: ArrayLike | None = None,
    eyes: ArrayLike | None = None,
) -> Array:
    """All artefacts together, (samples, C) µV; see `artefact_terms`."""
    terms = artefact_terms(rng, spec, montage, rate_hz, samples, motion_mm_s=motion_mm_s, eyes=eyes)
    return sum(terms.values(), np.zeros((samples, len(montage.channels)), np.float32))


def artefact_terms(
    rng: np.random.Generator,
    spec: ArtefactSpec,
    montage: Montage,
    rate_hz: float,
    samples: int,
    *,
    motion_mm_s: ArrayLike | None = None,
    eyes: ArrayLike | None = None,
) -> dict[str, Array]:
    """Each artefact on each channel: electrode, mains, wander, brain, motion, eyes; every one (samples, C) µV, float32.

    motion_mm_s: speed of the skin under each contact, (T, N), from `contact_motion`; eyes: columns lid closure
    0-1, degrees to the subject's left, degrees up, (T, 3). Both span the same time at any number of samples ≥ 2;
    left out, there is none. The same generator gives the same artefacts, whichever of them are asked for.

    Raises `InputError` for a rate out of range, no samples, wrong shapes or numbers that are not finite.
    """
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1] or samples < 2:
        raise InputError(f"need a rate of {RATES_HZ[0]:g}-{RATES_HZ[1]:g} Hz and ≥ 2 samples, got {rate_hz}, {samples}")
    contacts = len(montage.contacts)
    noise, mains, wander, motion, spread, brain = rng.spawn(6)
    derive = montage.derivation.T.astype(np.float32)
    uneven = np.exp(spec.contact_spread * spread.standard_normal((3, contacts))).astype(np.float32)
    waves, part = _mains(mains, spec, rate_hz, samples, contacts)
    terms = {
        "electrode": _electrode_noise(noise, spec, rate_hz, samples, contacts) @ (uneven[0, :, None] * derive),
        "mains": waves @ (part @ (uneven[1, :, None] * derive)),
        "wander": _resampled(_wander(wander, spec, samples / rate_hz, contacts) @ derive, samples),
    }
    terms["brain"] = _brain(brain, spec, rate_hz, samples) @ (brain_gains(montage.chart_mm).T @ derive)
    if motion_mm_s is not None:
        speed = _series(motion_mm_s, contacts, "motion_mm_s")
        slow = _motion(motion, spec, samples / rate_hz, speed) @ (uneven[2, :, None] * derive)
        terms["motion"] = _resampled(slow, samples)
    if eyes is not None:
        gains = np.array([spec.blink_uv, spec.gaze_uv_per_degree, spec.gaze_uv_per_degree])
        per_channel = (eye_gains(montage.chart_mm) * gains).T.astype(np.float32) @ derive
        terms["eyes"] = _resampled(_series(eyes, 3, "eyes") @ per_channel, samples)
    return terms


class Recorded(NamedTuple):
    """What an amplifier gives: emg_uv (T, C) and which channels are dead, (C,) bool."""

    emg_uv: Array
    dead: NDArray[np.bool_]


def record(rng: np.random.Generator, spec: ArtefactSpec, emg_uv: ArrayLike, artefact_uv: ArrayLike) -> Recorded:
    """EMG and artefacts, both (T, C) µV, through an amplifier: dead channels, saturation, bits.

    A dead channel loses its EMG and keeps ten times its artefacts, as an open input does. Raises `InputError` if
    the shapes differ or numbers are not finite.
    """
    emg, added = np.asarray(emg_uv), np.asarray(artefact_uv)
    if emg.ndim != 2 or emg.shape != added.shape or not (np.isfinite(emg).all() and np.isfinite(added).all()):
        raise InputError(f"EMG and artefacts must be finite and both (T, C) µV, got {emg.shape} and {added.shape}")
    dead = rng.random(emg.shape[1]) < spec.dead_probability
    mixed = np.where(dead, 10 * added, emg + added)
    if spec.step_uv:
        mixed = spec.step_uv * np.round(mixed / spec.step_uv)
    return Recorded(np.clip(mixed, -spec.saturation_uv, spec.saturation_uv), dead)


def contact_motion(montage: Montage, vertices_m: ArrayLike, rate_hz: float) -> Array:
    """Speed of the skin under each contact, (T, N) mm/s, from faces (T, 468, 3) m at rate_hz.

    A contact moves with the three vertices nearest to it on the chart; behind the face, where the mesh ends,
    motion fades with distance. Raises `InputError` for faces of another shape.
    """
    vertices = np.asarray(vertices_m)
    if vertices.ndim != 3 or vertices.shape[1:] != (mesh.VERTEX_COUNT, 3) or len(vertices) < 2:
        raise InputError(f"faces must be (T ≥ 2, {mesh.VERTEX_COUNT}, 3) metres, got {vertices.shape}")
    under, weights = _skin_under(montage.chart_mm)
    moved = np.einsum("tnkx,nk->tnx", vertices[:, under], weights)
    return 1e3 * rate_hz * np.linalg.norm(np.gradient(moved, axis=0), axis=-1)


def eye_gains(chart_mm: ArrayLike) -> Array:
    """Potential at places (N, 2) mm of a blink, a turn left and a turn up, (N, 3), 1 at 25 mm above a pupil.

    The eyes are dipoles 20 mm below the skin (engineering model of the corneo-retinal potential): a turn up is
    positive above and negative below the eyes, a turn left positive on the left. A blink is like a turn up, with
    0.4 of it below the eyes.
    """
    offset = np.asarray(chart_mm, float)[:, None, :] - _pupils()
    field = offset / ((offset**2).sum(-1, keepdims=True) + _EYE_DEPTH_MM**2) ** 1.5
    across, up = (field.sum(1) / (25.0 / (25.0**2 + _EYE_DEPTH_MM**2) ** 1.5)).T
    return np.stack([np.where(up > 0, up, 0.4 * up), across, up], -1)


def brain_gains(chart_mm: ArrayLike) -> Array:
    """How strongly places (N, 2) mm see the right and the left frontal brain, (N, 2), float32.

    Falls by a factor e in 70 mm from the hairline (engineering model: half at the temple, a quarter at the cheek);
    scaled so that both together give 1 between mid-forehead and earlobe.
    """
    return (_frontal(chart_mm) / np.linalg.norm(_frontal(_FOREHEAD) - _frontal(_EARLOBE))).astype(np.float32)


def _frontal(chart_mm: ArrayLike) -> Array:
    offset = np.asarray(chart_mm, float)[..., None, :] - np.array([[-30.0, 105.0], [30.0, 105.0]])
    return np.exp(-np.linalg.norm(offset, axis=-1) / 70.0)


_FOREHEAD, _EARLOBE = (0.0, 75.0), (132.0, -25.0)
_EYE_DEPTH_MM = 20.0
_HARMONICS = (1.0, 0.1, 0.3, 0.05, 0.15)  # relative amplitudes; odd ones are stronger
_WANDER_HZ = (0.05, 1.0)
_FADE_MM = 20.0


def _pupils() -> Array:
    return np.array([chart.unroll(mesh.REST[list(loop)]).mean(0) for loop in (mesh.EYE_RIGHT, mesh.EYE_LEFT)])


def _electrode_noise(rng, spec: ArtefactSpec, rate_hz: float, samples: int, contacts: int) -> Array:
    length = _fast_length(samples)
    frequency = np.fft.rfftfreq(length, 1 / rate_hz)
    shape = np.sqrt(1 + spec.flicker_corner_hz / np.maximum(frequency, 0.1))
    # White noise of this density has electrode_uv over 20-500 Hz, whatever the rate.
    density = spec.electrode_uv / np.sqrt(480 + spec.flicker_corner_hz * np.log(500 / 20))
    return _from_spectrum(rng, density * shape, rate_hz, length, contacts)[:samples]


def _from_spectrum(rng, density: Array, rate_hz: float, length: int, contacts: int) -> Array:
    """Gaussian noise (length, contacts) of one-sided amplitude density (length // 2 + 1,) µV/√Hz."""
    parts = rng.standard_normal((contacts, len(density), 2), dtype=np.float32)
    spectrum = parts.view(np.complex64)[..., 0] * (density * np.sqrt(rate_hz * length) / 2).astype(np.float32)
    spectrum[:, 0] = 0
    return np.asarray(fft.irfft(spectrum, length, axis=-1)).T


def _fast_length(least: int) -> int:
    return int(fft.next_fast_len(max(least, 2), real=True) or least)


def _mains(rng, spec: ArtefactSpec, rate_hz: float, samples: int, contacts: int) -> tuple[Array, Array]:
    """Waves (samples, 2H) and each contact's part in them (2H, contacts)."""
    orders = [order for order in range(1, len(_HARMONICS) + 1) if order * spec.mains_hz < rate_hz / 2]
    strength = np.array([_HARMONICS[order - 1] for order in orders])
    strength *= spec.mains_uv * np.sqrt(2) / np.linalg.norm(strength)
    knots = int(samples / rate_hz) + 2  # the grid's phase and the pick-up's strength drift over seconds
    drift = _resampled(np.cumsum(rng.standard_normal((knots, 1)) * 0.05, axis=0), samples)[:, 0]
    swell = _resampled(1 + 0.2 * rng.standard_normal((knots, 1)), samples)
    turn = np.exp(1j * (2 * np.pi * spec.mains_hz / rate_hz * np.arange(samples) + drift)).astype(np.complex64)
    waves = np.stack([turn**order for order in orders], -1) * swell
    part = strength[:, None] * np.exp(2j * np.pi * rng.random((len(orders), contacts)))
    return np.concatenate([waves.real, waves.imag], -1), np.concatenate([part.real, -part.imag]).astype(np.float32)


def _wander(rng, spec: ArtefactSpec, seconds: float, contacts: int) -> Array:
    """(T, contacts) at 8 Hz: power falls with the square of frequency."""
    low, high = _WANDER_HZ
    rate_hz = 8.0
    needed = max(int(np.ceil(seconds * rate_hz)), 2)
    length = _fast_length(needed + int(2 * rate_hz / low))
    frequency = np.fft.rfftfreq(length, 1 / rate_hz)
    density = np.where((frequency >= low) & (frequency <= high), 1 / np.maximum(frequency, low), 0)
    density *= spec.wander_uv / np.sqrt((density**2).sum() * rate_hz / length)
    return _from_spectrum(rng, density, rate_hz, length, contacts)[:needed]


def _brain(rng, spec: ArtefactSpec, rate_hz: float, samples: int) -> Array:
    """Two sources (samples, 2): power falls with the square of frequency above 1 Hz, a fifth of it is alpha.

    Adults' EEG is 20-50 µV from peak to peak, which is 7-18 µV RMS; the shape is an engineering model.
    """
    length = _fast_length(samples)
    frequency = np.fft.rfftfreq(length, 1 / rate_hz)
    slow = np.where(frequency >= 0.3, 1 / (1 + frequency**2), 0)
    alpha = np.exp(-0.5 * (frequency - 10.0) ** 2)
    power = 0.8 * slow / max(slow.sum(), 1e-12) + 0.2 * alpha / max(alpha.sum(), 1e-12)
    return _from_spectrum(rng, spec.brain_uv * np.sqrt(power * length / rate_hz), rate_hz, length, 2)[:samples]


def _motion(rng, spec: ArtefactSpec, seconds: float, speed: Array) -> Array:
    """Half of its power follows the speed with a sign of the contact's own, half is speed times slow noise.

    (T, contacts) at a rate that holds motion_cut_hz.
    """
    rate_hz = 8 * spec.motion_cut_hz
    length = _fast_length(int(np.ceil(seconds * rate_hz)))
    contacts = speed.shape[1]
    frequency = np.fft.rfftfreq(length, 1 / rate_hz)
    fall = 1 / np.sqrt(1 + (frequency / spec.motion_cut_hz) ** 8)
    loose = _from_spectrum(rng, fall / np.sqrt((fall**2).sum() * rate_hz / length), rate_hz, length, contacts)
    polarity = np.where(rng.random(contacts) < 0.5, -1, 1)
    driven = _resampled(speed, length) * ((polarity + loose) / np.sqrt(2))
    settles = frequency**2 / (frequency**2 + 0.25**2)  # a steady potential is no artefact of motion
    spectrum = np.fft.rfft(driven, axis=0) * (fall * settles)[:, None]
    return spec.motion_uv_per_mm_s * np.fft.irfft(spectrum, length, axis=0)


def _resampled(series: Array, samples: int) -> Array:
    """A series (T, K) stretched linearly to `samples` rows, float32."""
    place = np.linspace(0, len(series) - 1, samples)
    before = np.minimum(place.astype(int), len(series) - 2)
    share = (place - before).astype(np.float32)[:, None]
    series = series.astype(np.float32)
    return series[before] + share * (series[before + 1] - series[before])


def _series(values: ArrayLike, columns: int, name: str) -> Array:
    series = np.asarray(values, float)
    if series.ndim != 2 or series.shape[1] != columns or len(series) < 2 or not np.isfinite(series).all():
        raise InputError(f"{name} must be finite (T ≥ 2, {columns}), got shape {series.shape}")
    return series


def _skin_under(chart_mm: Array) -> tuple[NDArray[np.intp], Array]:
    """Three vertices nearest to each place, (N, 3), and their weights (N, 3), less than one in sum off the face."""
    distance = np.linalg.norm(chart_mm[:, None] - chart.unroll(mesh.REST)[None], axis=-1)
    nearest = np.argsort(distance, axis=1)[:, :3]
    near = np.take_along_axis(distance, nearest, axis=1)
    weights = 1 / (near + 1.0)
    fade = np.exp(-((np.maximum(near[:, :1] - 10.0, 0) / _FADE_MM) ** 2))
    return nearest, fade * weights / weights.sum(1, keepdims=True)
