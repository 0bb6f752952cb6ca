"""Reading AU12 and AU6 from EMG at the temples with a camera's help, as the distal-EMG paper does (§ 5), and how well.

    block = blocks(recording)["spontaneous"]
    read = read_smiles(block, "fastica")           # components named by the camera, thresholded, at its frames
    agreement(coded(block)["AU12"], read.present["AU12"]).kappa

The camera only names the components; what is said to be active is EMG alone. Nothing here sees the coders before
`agreement` does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import signal

from ..sim.errors import InputError, VocabularyError
from ..sim.person.au_camera import CALLED
from ..sim.person.observers import cohen_kappa
from ..sim.recording import Recording, Stream
from .separation import MOST_LAG_S, Match, Separation, cross_correlation, match, separate
from .signals import PREPROCESSING, bandpass, envelope

Array = NDArray[np.floating]
Flags = NDArray[np.bool_]
Order = Literal["envelope first", "separation first"]

SMILE_UNITS = ("AU12", "AU6")
"""The units of a smile in the order in which components are given to them."""
SMOOTHING_S = 0.301
"""Length of the first-order Savitzky-Golay filter: 301 samples (distal-EMG paper § 5), taken to be of 1 kHz."""
BASELINE_S = 1.0
"""The initial stretch that counts as rest, "≈ 1 s or 30 samples" (§ 5)."""
THRESHOLD_SD = 2.0
"""k of mean + k SD of the baseline (§ 5)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SmileReading:
    """What EMG says about a smile.

    channels (T, C) and courses (T, K): envelopes of channels and of components, at rate_hz. match: which component is
    which unit. present (F,): where each unit is active, at the camera's frames.
    """

    rate_hz: float
    channels: Array
    courses: Array
    separation: Separation
    match: Match
    present: Mapping[str, Flags]

    def course(self, unit: str) -> Array:
        """The component (T,) that goes with a unit."""
        return self.courses[:, self.match.component[unit]]


def read_smiles(
    recording: Recording,
    method: str = "fastica",
    *,
    order: Order = "envelope first",
    components: int | None = None,
    k: float = THRESHOLD_SD,
    seed: int = 0,
) -> SmileReading:
    """Separate EMG, let the camera name AU12 and AU6, and say at each of its frames whether they are active.

    The recording, one block that starts at rest, needs the streams emg and camera_au. components: by default one
    fewer than channels, as the paper has it. order: "envelope first" is the paper's; "separation first" unmixes the
    waveforms and rectifies what comes out, which keeps courses that go together apart only by their waveforms.
    Raises `InputError`, `VocabularyError`.
    """
    emg, camera = recording["emg"], recording["camera_au"]
    wanted = max(emg.data.shape[1] - 1, len(SMILE_UNITS)) if components is None else components
    channels = np.maximum(PREPROCESSING["perusquia"](emg.data, emg.rate_hz), 0)
    found, courses = _components(np.asarray(emg.data, float), channels, emg.rate_hz, method, order, wanted, seed)
    seen = {unit: _at(camera, unit_course(camera, unit), emg.times_s) for unit in SMILE_UNITS}
    named = match(courses, seen, emg.rate_hz, seed=seed)
    active = detect(courses, emg.rate_hz, k=k)
    frames = _nearest(emg, camera.times_s)
    present = {unit: active[frames, named.component[unit]] for unit in SMILE_UNITS}
    return SmileReading(
        rate_hz=emg.rate_hz, channels=channels, courses=courses, separation=found, match=named, present=present
    )


def detect(
    courses: ArrayLike,
    rate_hz: float,
    *,
    k: float = THRESHOLD_SD,
    smoothing_s: float = SMOOTHING_S,
    baseline_s: float = BASELINE_S,
) -> Flags:
    """Where courses (T, …) exceed mean + k SD of their first `baseline_s`, after Savitzky-Golay smoothing.

    Raises `InputError` for courses shorter than the filter or the baseline.
    """
    values = np.asarray(courses, float)
    window, rest = max(round(smoothing_s * rate_hz) // 2 * 2 + 1, 3), round(baseline_s * rate_hz)
    if values.ndim == 0 or len(values) <= max(window, rest) or rest < 2 or not np.isfinite(values).all():
        raise InputError(f"courses must be finite and longer than {max(window, rest)} samples, got {values.shape}")
    smooth = np.asarray(signal.savgol_filter(values, window, 1, axis=0))
    baseline = smooth[:rest]
    return smooth > baseline.mean(0) + k * baseline.std(0)


# --- What others say, at the camera's frames -------------------------------------------------------------------


def blocks(recording: Recording) -> dict[str, Recording]:
    """The stretches of a recording by kind, "spontaneous" and "posed", from instructions called "… block".

    Raises `InputError` if there are none.
    """
    found = {
        event.label.removesuffix(" block"): recording.between(event.onset_s, event.end_s)
        for event in recording.kinds("instruction")
        if event.label.endswith(" block")
    }
    if not found:
        raise InputError("the recording has no instruction called “… block”; was the protocol “smiles”?")
    return found


def coded(recording: Recording, units: Sequence[str] = SMILE_UNITS) -> dict[str, Flags]:
    """Where either human coder saw each unit, (F,), as the paper takes it (§ 6.2.1). Raises `VocabularyError`."""
    coders = [recording[name] for name in ("coder_1", "coder_2")]
    return {unit: np.any([unit_course(one, unit) > 0 for one in coders], axis=0) for unit in units}


def called(recording: Recording, units: Sequence[str] = SMILE_UNITS) -> dict[str, Flags]:
    """Where the camera calls each unit present, (F,). Raises `VocabularyError`."""
    return {unit: unit_course(recording["camera_au"], unit) > CALLED for unit in units}


def unit_course(stream: Stream, unit: str) -> Array:
    """One action unit (T,) of a stream with channels like "AU12" or "AU12, left": the mean of its sides."""
    mine = [name for name in stream.channels if name == unit or name.startswith(f"{unit}, ")]
    if not mine:
        listed = ", ".join(stream.channels) or "no named channels"
        raise VocabularyError(f"stream {stream.name!r} has no action unit {unit!r}; it has {listed}")
    return np.mean([stream.channel(name) for name in mine], axis=0)


# --- How well they agree ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Frame by frame: Cohen's κ beyond chance, accuracy, precision, recall; NaN where undefined."""

    kappa: float
    accuracy: float
    precision: float
    recall: float


def agreement(truth: ArrayLike, said: ArrayLike) -> Agreement:
    """How labels (F,) that were `said` agree with those that count as true. Raises `InputError`."""
    true, claimed = _flags(truth), _flags(said)
    if true.shape != claimed.shape:
        raise InputError(f"labels must be of one length, got {true.shape} and {claimed.shape}")
    both = float((true & claimed).sum())
    return Agreement(
        kappa=cohen_kappa(true, claimed),
        accuracy=float((true == claimed).mean()),
        precision=both / claimed.sum() if claimed.any() else float("nan"),
        recall=both / true.sum() if true.any() else float("nan"),
    )


def chance_kappa(truth: ArrayLike, said: ArrayLike, rng: np.random.Generator, *, draws: int = 200) -> Array:
    """κ (draws,) of the same labels (F,) with one turned round in time by a random amount: what luck gives.

    Both keep how much and in which bouts they are active. Shifts leave out the nearest twentieth on either side.
    """
    true, claimed = _flags(truth), _flags(said)
    least = len(true) // 20 + 1
    shifts = rng.integers(least, max(len(true) - least, least + 1), size=draws)
    return np.array([cohen_kappa(np.roll(true, shift), claimed) for shift in shifts])


# --- Who comes first -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Delay:
    """Lags over channels, units, blocks or people, s; positive when EMG comes first. count: how many are known."""

    mean_s: float
    median_s: float
    sd_s: float
    count: int

    @classmethod
    def of(cls, lags_s: ArrayLike) -> "Delay":
        """Their spread; lags that are NaN, of units that were never seen, do not count."""
        known = np.asarray(lags_s, float).ravel()
        known = known[np.isfinite(known)]
        if not len(known):
            return cls(mean_s=float("nan"), median_s=float("nan"), sd_s=float("nan"), count=0)
        return cls(
            mean_s=float(known.mean()), median_s=float(np.median(known)), sd_s=float(known.std()), count=len(known)
        )


def delays_s(
    recording: Recording, channels: ArrayLike, *, units: Sequence[str] = SMILE_UNITS, most_s: float = MOST_LAG_S
) -> Array:
    """By how much each EMG envelope (T, C) precedes what the camera calls, (C, units) s (distal-EMG paper § 5).

    The lag of the largest cross-correlation with the camera's presence of each unit; NaN where it called none.
    channels: on the clock of the recording's emg, as in `SmileReading`. Raises `InputError`.
    """
    emg, camera = recording["emg"], recording["camera_au"]
    envelopes = np.asarray(channels, float)
    labels = called(recording, units)
    follow = {unit: labels[unit][_nearest(camera, emg.times_s)].astype(float) for unit in units}
    return np.stack([cross_correlation(envelopes, follow[u], emg.rate_hz, most_s=most_s)[1] for u in units], axis=1)


def _components(
    emg_uv: Array, channels: Array, rate_hz: float, method: str, order: Order, components: int, seed: int
) -> tuple[Separation, Array]:
    """The separation, and envelopes (T, K) of what it found."""
    if order == "envelope first":
        found = separate(channels, method, components=components, seed=seed)
        return found, found.sources
    if order != "separation first":
        raise VocabularyError(f"unknown order {order!r}; allowed: envelope first, separation first")
    band = bandpass(emg_uv, rate_hz)
    found = separate(band / np.maximum(band.std(0), 1e-12), method, components=components, seed=seed)
    return found, np.maximum(envelope(found.sources, rate_hz), 0)


def _at(stream: Stream, course: Array, times_s: Array) -> Array:
    return np.interp(times_s, stream.times_s, course)


def _nearest(stream: Stream, times_s: Array) -> NDArray[np.integer]:
    """Indices of a stream's samples nearest to times."""
    return np.rint((times_s - stream.start_s) * stream.rate_hz).astype(int).clip(0, len(stream) - 1)


def _flags(labels: ArrayLike) -> Flags:
    flags = np.asarray(labels)
    if flags.ndim != 1 or not len(flags) or flags.dtype.kind != "b":
        raise InputError(f"labels must be (F,) of truth values, got {flags.dtype} of shape {flags.shape}")
    return flags


__all__ = [
    "BASELINE_S",
    "SMILE_UNITS",
    "SMOOTHING_S",
    "THRESHOLD_SD",
    "Agreement",
    "Delay",
    "SmileReading",
    "agreement",
    "blocks",
    "called",
    "chance_kappa",
    "coded",
    "delays_s",
    "detect",
    "read_smiles",
    "unit_course",
]
