"""Does a performance look like a person's? EMG's lead, amplitudes as recorded, rise times, actions that go together."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..learning.signals import PREPROCESSING, bandpass, lead_s
from ..sim.facs import PAIRED
from ..sim.person.au_camera import CALLED
from ..sim.person.person import Person
from ..sim.person.protocols import Protocol, protocol
from ..sim.recording import Recording, Stream
from . import real_recordings
from .checks import Check


@dataclass(frozen=True)
class Population:
    """What each of P people did. leads in s; RMS in µV of the zygomaticus pair, 20-450 Hz."""

    lead_proximal_s: np.ndarray
    lead_distal_s: np.ndarray
    rest_uv: np.ndarray
    spontaneous_uv: np.ndarray
    maximal_uv: np.ndarray
    rise_s: np.ndarray
    cheek_corner: np.ndarray
    brows: np.ndarray


def population(people: int, seed: int, progress: Callable[[int], None] = lambda done: None) -> Population:
    """Sampled people who smile, spontaneously and posed, once with pairs on the muscles and once at the temples."""
    rows = []
    for place in range(people):
        person = Person.sample(1000 * seed + place)
        near = person.perform(_protocol(), "proximal7", seed=place, rate_hz=1000, tier="interference")
        progress(2 * place + 1)
        far = person.perform(_protocol(), "distal4", seed=place, tier="interference")
        progress(2 * place + 2)
        rows.append(
            (
                lead(near, ["ZM"]),
                lead(far, list(far["emg"].channels)),
                _level(near, _quiet(near)),
                _level(near, _holds(near, "smile", 0.0, 0.5 * _SMILES_S)),
                _level(near, _holds(near, "AU12", _SMILES_S, np.inf)),
                np.median(_rises(near) or [np.nan]),
                _together(near, "AU6", "AU12"),
                _together(near, "AU1", "AU2"),
            )
        )
    return Population(*(np.array(column, float) for column in zip(*rows, strict=True)))


def _protocol() -> Protocol:
    """Spontaneous and posed smiles, then the seven expressions, then the strongest smile."""
    smiles = protocol("smiles", block_s=40.0)
    return smiles.then(protocol("expressions")).then(protocol("single-aus", units=("AU12",)))


def lead(recording: Recording, channels: list[str]) -> float:
    """By how much EMG precedes the camera's AU12 (s), as the distal-EMG paper measures it.

    The paper's filters, the mean of the channels, and the camera's yes or no, held between its frames.
    """
    emg = recording["emg"].between(0.0, _SMILES_S)
    read = PREPROCESSING["perusquia"](emg.data[:, [emg.channels.index(name) for name in channels]], emg.rate_hz).mean(1)
    seen = _unit(recording["camera_au"], "AU12").mean(1)
    frame = np.minimum((emg.times_s * recording["camera_au"].rate_hz).astype(int), len(seen) - 1)
    return lead_s(read, (seen > CALLED)[frame].astype(float), emg.rate_hz)


_SMILES_S = 80.0


def _unit(stream: Stream, code: str) -> np.ndarray:
    """Right and left intensity of an action unit, (T, 2)."""
    return np.stack([stream.channel(f"{code}, {of}") for of in PAIRED], 1)


def _level(recording: Recording, spans: list[tuple[float, float]]) -> float:
    """Median RMS (µV) of the zygomaticus pair over stretches of time."""
    emg = recording["emg"]
    filtered = bandpass(emg.channel("ZM"), emg.rate_hz)
    return float(np.median([filtered[slice(*emg.span(*span))].std() for span in spans]))


def _holds(recording: Recording, label: str, from_s: float, to_s: float) -> list[tuple[float, float]]:
    """The middle halves of acts of one label within a stretch of time."""
    acts = [e for e in recording.kinds("act") if e.label == label and from_s <= e.onset_s and e.end_s <= to_s]
    return [(e.onset_s + 0.3 * e.duration_s, e.end_s - 0.4 * e.duration_s) for e in acts]


def _quiet(recording: Recording) -> list[tuple[float, float]]:
    """Stretches of a second or more between acts."""
    acts = sorted((e.onset_s, e.end_s) for e in recording.kinds("act"))
    ends = [0.0, *(end for _, end in acts)]
    return [(a + 0.7, b - 0.3) for a, (b, _) in zip(ends, acts, strict=False) if b - a > 2.0]


def _rises(recording: Recording) -> list[float]:
    """20-80 % rise times (s) of the mouth's width over the posed smiles, as measured in the real recording."""
    corners = recording["landmarks"].between(0.5 * _SMILES_S, _SMILES_S)
    width = np.linalg.norm(corners.data[:, 61] - corners.data[:, 291], axis=-1)
    return [rise.rise_s for rise in real_recordings.rises(width, corners.rate_hz, prominence=0.3)]


def _together(recording: Recording, one: str, other: str) -> float:
    """Correlation of two units' visible intensity, sides averaged."""
    seen = recording["au_visible"]
    return float(np.corrcoef(_unit(seen, one).mean(1), _unit(seen, other).mean(1))[0, 1])


def checks(found: Population, folder: Path) -> Iterator[Check]:
    """What the population shows against published numbers and, where its recordings lie in `folder`, real people."""
    near, far = (1e3 * np.median(x) for x in (found.lead_proximal_s, found.lead_distal_s))
    yield Check(topic="lead", what="EMG before the camera's AU12, pairs on the muscle, median", got=float(near), low=50,
                high=400, unit="ms", source="230 ms reported for proximal electrodes, no spread given")  # fmt: skip
    yield Check(topic="lead", what="EMG before the camera's AU12, temples, median", got=float(far), low=8, high=740,
                unit="ms", source="distal-EMG paper § 6.1: 374 ± 366 ms (41 people)")  # fmt: skip
    yield Check(topic="recorded", what="zygomaticus pair at rest", got=float(np.median(found.rest_uv)), low=0.5, high=5,
                unit="µV", source=_PLANNED)  # fmt: skip
    yield Check(topic="recorded", what="zygomaticus pair, spontaneous smile",
                got=float(np.median(found.spontaneous_uv)), low=10, high=50, unit="µV", source=_PLANNED)  # fmt: skip
    yield Check(topic="recorded", what="zygomaticus pair, strongest smile", got=float(np.median(found.maximal_uv)),
                low=50, high=300, unit="µV", source=_PLANNED)  # fmt: skip
    real = np.array([rise.rise_s for rise in real_recordings.smiles(folder).onsets])
    yield Check(topic="timing", what="posed smile, rise from 20 to 80 % of the mouth's width, median",
                got=float(np.median(found.rise_s)), low=float(real.min()), high=float(max(real.max(), 0.22)), unit="s",
                source=f"one person's {len(real)} smiles on video at 100 Hz; another's 0.22 s by ARKit")  # fmt: skip
    clips = real_recordings.intensity_series(folder)
    for one, other, got in (("AU06", "AU12", found.cheek_corner), ("AU01", "AU02", found.brows)):
        real = [_real_together(clip, one, other) for clip in clips]
        low, high = float(np.percentile(real, 5)), float(np.percentile(real, 95))
        yield Check(topic="together", what=f"correlation of {one} and {other}, median", got=float(np.median(got)),
                    low=low, high=high, source=f"5-95 % of {len(clips)} clips of people")  # fmt: skip


def _real_together(clip: real_recordings.Clip, one: str, other: str) -> float:
    pair = clip.intensity[:, [clip.units.index(one), clip.units.index(other)]]
    pair = pair[np.isfinite(pair).all(1)]
    return float(np.asarray(np.corrcoef(pair.T))[0, 1])


_PLANNED = "planning range for proximal pairs; no table found"
