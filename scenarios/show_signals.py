"""What a picture of a recording shows, computed: envelopes, action-unit traces, moments for faces, coloured spans."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..sim import mesh
from ..sim.errors import VocabularyError
from ..sim.facs import Muscle, action_unit
from ..sim.recording import Event, Recording, Stream

ENVELOPE_S = 0.1
"""Window of the RMS envelope."""
BAND_HZ = (20.0, 450.0)
"""Before the envelope; usable band of facial muscles (van Boxtel 2001)."""
LEAST_SEEN = 0.1
"""An action unit whose intensity never passes this is not drawn."""
SPAN_KINDS = ("expression", "act", "cue", "instruction", "event")
"""Kinds of events that shade the picture: the first of them that a recording has with durations."""

_LIDS = ((159, 386), (145, 374))  # middle of the upper and the lower lids


@dataclass(frozen=True)
class Trace:
    """A curve or a pair of curves in one lane: name, times (T,) s, right or only side (T,), left side (T,) or None."""

    name: str
    times_s: np.ndarray
    right: np.ndarray
    left: np.ndarray | None = None

    @property
    def peak(self) -> float:
        """The largest value."""
        sides = [self.right] if self.left is None else [self.right, self.left]
        return max((float(np.nanmax(s)) for s in sides if np.isfinite(s).any()), default=0.0)


def envelope(stream: Stream) -> np.ndarray:
    """Moving RMS of each channel after a band-pass, (T, C), centred and as long as the stream."""
    from scipy.ndimage import uniform_filter1d
    from scipy.signal import butter, sosfiltfilt

    values = np.nan_to_num(np.asarray(stream.data, float))
    high = min(BAND_HZ[1], 0.45 * stream.rate_hz)
    if high > 2 * BAND_HZ[0] and len(values) > 40:
        values = sosfiltfilt(butter(2, (BAND_HZ[0], high), "bandpass", fs=stream.rate_hz, output="sos"), values, axis=0)
    width = max(1, round(ENVELOPE_S * stream.rate_hz))
    return np.sqrt(uniform_filter1d(values**2, width, axis=0, mode="nearest").clip(0))


def action_units(stream: Stream) -> list[Trace]:
    """Each action unit of a stream (T, A) or (T, 2 A) with channels such as `AU12, right`, or (T, A, 2), by number."""
    found: dict[int, dict[str, np.ndarray]] = {}
    for place, channel in enumerate(stream.channels):
        number = re.search(r"A[UD]\s*0*(\d+)|^\D*?0*(\d+)", channel, re.IGNORECASE)
        if number is None:
            continue
        sides = found.setdefault(int(number[1] or number[2]), {})
        if stream.data.ndim == 3:
            sides["right"], sides["left"] = stream.data[:, place, 0], stream.data[:, place, -1]
            continue
        word = re.search(r"right|left|\b[RL]\b", channel, re.IGNORECASE)
        sides["left" if word and word[0].lower().startswith("l") else "right"] = stream.data[:, place]
    return [
        Trace(_unit_name(number), stream.times_s, sides.get("right", sides.get("left", np.zeros(0))), sides.get("left"))
        for number, sides in sorted(found.items())
    ]


def muscles(stream: Stream) -> list[Trace]:
    """Each muscle of a stream (T, M) whose channels are `muscle, side`, in the stream's order."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for place, channel in enumerate(stream.channels):
        name, _, side = channel.rpartition(", ")
        if side in ("right", "left") and name in set(Muscle):
            found.setdefault(name, {})[side] = stream.data[:, place]
        else:
            found[channel] = {"right": stream.data[:, place]}
    return [
        Trace(name, stream.times_s, sides.get("right", sides.get("left", np.zeros(0))), sides.get("left"))
        for name, sides in found.items()
    ]


def seen(traces: Sequence[Trace], most: int) -> list[Trace]:
    """The traces that do anything, at most so many, in their order."""
    strong = [t for t in traces if t.peak > LEAST_SEEN]
    kept = sorted(strong, key=lambda t: -t.peak)[:most]
    return [t for t in strong if t in kept]


def spans(events: Sequence[Event]) -> list[Event]:
    """The events that shade the picture."""
    lasting = [e for e in events if e.duration_s > 0 and e.label != "neutral"]
    for kind in SPAN_KINDS:
        chosen = [e for e in lasting if e.kind == kind and e.label != "blink"]
        if chosen:
            return chosen
    return []


def faces_m(recording: Recording) -> tuple[np.ndarray, np.ndarray] | None:
    """Times (n,) s and faces (n, 468, 3) m of the frames in which every landmark is known; None without any."""
    if "landmarks" not in recording:
        return None
    stream = recording["landmarks"]
    if stream.data.ndim != 3 or stream.data.shape[1] < mesh.VERTEX_COUNT or stream.data.shape[2] != 3:
        return None
    faces = np.asarray(stream.data[:, : mesh.VERTEX_COUNT], float) * {"mm": 1e-3, "m": 1.0}.get(stream.unit, 1e-3)
    whole = np.isfinite(faces).all(axis=(1, 2))
    return (stream.times_s[whole], faces[whole]) if whole.any() else None


def stretches(shown: Sequence[Event], span_s: tuple[float, float], most: int) -> list[tuple[float, float]]:
    """Stretches of time that each deserve a face: rest and every span if they are few, else equal parts."""
    inside = [e for e in shown if e.end_s > span_s[0] and e.onset_s < span_s[1]]
    if not most / 3 <= len(inside) <= most:
        return list(pairwise(np.linspace(*span_s, most + 1).tolist()))
    first = inside[0].onset_s
    before = [(span_s[0], span_s[0] + 0.3 * (first - span_s[0]))] if len(inside) < most and first > span_s[0] else []
    return before + [(max(e.onset_s, span_s[0]), min(e.end_s, span_s[1])) for e in inside]


def moments(times_s: np.ndarray, faces: np.ndarray, parts: Sequence[tuple[float, float]]) -> list[int | None]:
    """For each stretch of time the frame whose face differs most from the median one, but not in a blink; or None."""
    life = np.linalg.norm(faces - np.median(faces, axis=0), axis=2).mean(1)
    opening = np.linalg.norm(faces[:, _LIDS[0]] - faces[:, _LIDS[1]], axis=2).mean(1)
    chosen: list[int | None] = []
    for low, high in parts:
        inside = np.flatnonzero((times_s >= low) & (times_s < high))
        inside = inside[opening[inside] >= np.median(opening[inside])] if len(inside) else inside
        chosen.append(int(inside[life[inside].argmax()]) if len(inside) else None)
    return chosen


def extremes(values: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place (0…1), least and largest value in each of `bins` equal stretches: a long trace as ink would draw it."""
    bins = max(1, min(bins, len(values)))
    edges = np.linspace(0, len(values), bins + 1).astype(int)
    low, high = np.minimum.reduceat(values, edges[:-1]), np.maximum.reduceat(values, edges[:-1])
    # Neighbouring columns touch, as a line would.
    low[1:], high[1:] = np.minimum(low[1:], high[:-1]), np.maximum(high[1:], low[:-1])
    return (edges[:-1] + 0.5) / len(values), low, high


def round_number(value: float) -> float:
    """The largest 1, 2 or 5 times a power of ten that is not above the value."""
    if not value > 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(max(f for f in (1.0, 2.0, 5.0) if f * power <= value * (1 + 1e-9)) * power)


def _unit_name(number: int) -> str:
    try:
        return f"AU{number} {action_unit(number).name}"
    except VocabularyError:
        return f"AU{number}"
