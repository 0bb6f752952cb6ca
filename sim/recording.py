"""A recording: streams on clocks of their own, events on one common clock, and the truth behind them.

    recording = load("person-000.npz")
    emg = recording["emg"]                       # data (T, C) in µV, emg.times_s, emg.channels
    smile = recording.between(12.0, 18.0)        # every stream cut, each at its own rate
    recording.save("smile.npz")

Times are seconds on the recording's clock, which all streams and events share; a stream starts at its `start_s`
and ticks evenly at its `rate_hz`. Files are read and written by `recording_files`.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from .errors import InputError, VocabularyError

STREAM_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "emg": "uV",
        "emg_clean": "uV",
        "landmarks": "mm",
        "au": "1",
        "excitation": "1",
        "activation": "1",
        "camera_au": "1",
        "coder_1": "1",
        "coder_2": "1",
    }
)
"""Streams of a simulated person and their units: EMG as an amplifier gives it and without noise, (T, channel);
landmarks of the face frame, (T, 468, 3); action units, excitation and activation 0…1 at the control rate; what a
camera and two human coders make of the face. Other streams are welcome."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Evenly sampled values.

    name: letters, digits, `_`, `-` and `.`. data: (T, …) numbers or booleans, time first. rate_hz: samples a second.
    start_s: time of the first sample. channels: names along the second axis, unique, or none. unit: of the values
    (`uV`, `mm`, `1` …). gaps: whether values may be NaN, as landmarks that were hidden are; infinity never may.

    Raises `InputError`.
    """

    name: str
    data: np.ndarray
    rate_hz: float
    start_s: float = 0.0
    channels: tuple[str, ...] = ()
    unit: str = "1"
    gaps: bool = False

    def __post_init__(self):
        _check_name("a stream", self.name)
        object.__setattr__(self, "data", _fixed(f"stream {self.name!r}", self.data, gaps=self.gaps))
        object.__setattr__(self, "channels", tuple(str(c) for c in self.channels))
        object.__setattr__(self, "rate_hz", _number(f"rate_hz of stream {self.name!r}", self.rate_hz))
        object.__setattr__(self, "start_s", _number(f"start_s of stream {self.name!r}", self.start_s))
        if self.data.ndim < 1:
            raise InputError(f"stream {self.name!r} is a single number; its values need a time axis, (T, …)")
        if self.rate_hz <= 0:
            raise InputError(f"stream {self.name!r}: rate_hz is {self.rate_hz}; it must be above 0")
        if len(set(self.channels)) != len(self.channels):
            twice = sorted({c for c in self.channels if self.channels.count(c) > 1})
            raise InputError(f"stream {self.name!r} has channels of the same name: {', '.join(twice)}; rename them")
        if self.channels and (self.data.ndim < 2 or self.data.shape[1] != len(self.channels)):
            raise InputError(
                f"stream {self.name!r} names {len(self.channels)} channels, but its data has shape {self.data.shape}; "
                "the second axis must have one entry for each"
            )

    def __len__(self) -> int:
        return self.data.shape[0]

    def __eq__(self, other: object) -> bool:
        """Whether clocks, names, units and every value are the same; NaN equals NaN."""
        if not isinstance(other, Stream):
            return NotImplemented
        return (
            (self.name, self.rate_hz, self.start_s, self.channels, self.unit, self.gaps)
            == (other.name, other.rate_hz, other.start_s, other.channels, other.unit, other.gaps)
        ) and _same(self.data, other.data)  # fmt: skip

    __hash__ = None  # type: ignore[assignment]  # arrays may be large

    @property
    def times_s(self) -> np.ndarray:
        """Time of each sample, (T,) s."""
        return self.start_s + np.arange(len(self)) / self.rate_hz

    @property
    def duration_s(self) -> float:
        """How long it lasts: samples over rate."""
        return len(self) / self.rate_hz

    @property
    def end_s(self) -> float:
        """When the sample after the last one would come."""
        return self.start_s + self.duration_s

    def channel(self, name: str) -> np.ndarray:
        """Values of one channel, (T, …). Raises `VocabularyError` listing the channels."""
        if name not in self.channels:
            raise VocabularyError(
                f"stream {self.name!r} has no channel {name!r}; it has {', '.join(self.channels) or 'no named ones'}"
            )
        return self.data[:, self.channels.index(name)]

    def between(self, from_s: float, to_s: float) -> "Stream":
        """The samples with from_s ≤ time < to_s, on the same clock; there may be none."""
        low, high = self.span(from_s, to_s)
        return replace(self, data=self.data[low:high], start_s=self.start_s + low / self.rate_hz)

    def span(self, from_s: float, to_s: float) -> tuple[int, int]:
        """First sample at or after from_s, and first at or after to_s, as indices 0…T."""
        return span(len(self), self.rate_hz, self.start_s, from_s, to_s)

    def at(self, times_s: float | Sequence[float] | np.ndarray) -> np.ndarray:
        """The values nearest in time, one for each of times_s; before the start the first, after the end the last."""
        if not len(self):
            raise InputError(f"stream {self.name!r} is empty")
        near = np.rint((np.asarray(times_s, float) - self.start_s) * self.rate_hz).astype(int)
        return self.data[near.clip(0, len(self) - 1)]


def span(count: int, rate_hz: float, start_s: float, from_s: float, to_s: float) -> tuple[int, int]:
    """Indices low, high of the samples with from_s ≤ start_s + index/rate_hz < to_s."""
    if not from_s <= to_s:  # also refuses NaN
        raise InputError(f"from {from_s} s to {to_s} s is no stretch of time; give the earlier time first")
    ends = []
    for time_s in (from_s, to_s):
        place = (time_s - start_s) * rate_hz  # a sample that stands on the boundary up to rounding is on it
        ends.append(math.ceil(min(max(place - 1e-6, 0.0), count)))
    return ends[0], ends[1]


@dataclass(frozen=True)
class Event:
    """Something that happened: an expression, a phase, a blink, a cue.

    onset_s: on the recording's clock. duration_s: 0 for an instant. label: what, `happiness`. value: an intensity, a
    letter, a trial number or nothing. kind: which sort of event, so that layers can be told apart: `expression`,
    `phase`, `blink`, `instruction` …
    """

    onset_s: float
    duration_s: float
    label: str
    value: float | str | None = None
    kind: str = "event"

    def __post_init__(self):
        what = f"event {self.label!r}"
        object.__setattr__(self, "onset_s", _number(f"onset_s of {what}", self.onset_s))
        object.__setattr__(self, "duration_s", _number(f"duration_s of {what}", self.duration_s))
        if self.duration_s < 0:
            raise InputError(f"{what} lasts {self.duration_s} s; a duration cannot be below 0")
        object.__setattr__(self, "label", str(self.label))
        object.__setattr__(self, "kind", str(self.kind))
        if not self.label.strip() or not self.kind.strip():
            raise InputError(f"an event at {self.onset_s} s has no label or kind; say what happened")
        if self.value is not None and not isinstance(self.value, str):
            object.__setattr__(self, "value", _number(f"value of {what}", self.value))
        elif isinstance(self.value, str):
            object.__setattr__(self, "value", str(self.value))

    @property
    def end_s(self) -> float:
        """When it ends."""
        return self.onset_s + self.duration_s


@dataclass(frozen=True, eq=False, init=False)
class Recording:
    """Streams, events, truth and what else a reader must know.

    streams: by name, or simply the streams. events: in any order; kept by onset. truth: plain arrays that no sensor
    could see (spike times, mixing matrices), on whatever axes `info` says. info: whatever JSON can hold.

    Raises `InputError`.
    """

    streams: Mapping[str, Stream]
    events: tuple[Event, ...]
    truth: Mapping[str, np.ndarray]
    info: dict[str, Any]

    def __init__(
        self,
        streams: Mapping[str, Stream] | Iterable[Stream] = (),
        events: Iterable[Event] = (),
        truth: Mapping[str, np.ndarray] | None = None,
        info: Mapping[str, Any] | None = None,
    ):
        named = list(streams.items()) if isinstance(streams, Mapping) else [(s.name, s) for s in streams]
        by_name = dict(named)
        if len(by_name) != len(named):
            raise InputError("two streams have the same name; every stream needs its own")
        wrong = [name for name, stream in named if name != stream.name]
        if wrong:
            raise InputError(f"streams are kept under other names than their own: {', '.join(map(str, wrong))}")
        in_order = tuple(sorted(events, key=lambda e: (e.onset_s, e.end_s, e.kind, e.label)))
        known = {}
        for name, array in (truth or {}).items():
            _check_name("a truth array", name)
            known[name] = _fixed(f"truth {name!r}", array, gaps=True)
        object.__setattr__(self, "streams", MappingProxyType(by_name))
        object.__setattr__(self, "events", in_order)
        object.__setattr__(self, "truth", MappingProxyType(known))
        object.__setattr__(self, "info", _json(info or {}))

    def __getitem__(self, name: str) -> Stream:
        """The stream of that name. Raises `VocabularyError` listing the streams."""
        if name not in self.streams:
            raise VocabularyError(f"the recording has no stream {name!r}; it has {', '.join(self) or 'none'}")
        return self.streams[name]

    def __contains__(self, name: object) -> bool:
        return name in self.streams

    def __iter__(self) -> Iterator[str]:
        return iter(self.streams)

    def __len__(self) -> int:
        return len(self.streams)

    def __eq__(self, other: object) -> bool:
        """Whether everything in them is the same; NaN equals NaN."""
        if not isinstance(other, Recording):
            return NotImplemented
        return (
            (self.streams, self.events, self.info, set(self.truth))
            == (other.streams, other.events, other.info, set(other.truth))
        ) and all(_same(self.truth[n], other.truth[n]) for n in self.truth)  # fmt: skip

    __hash__ = None  # type: ignore[assignment]

    @property
    def start_s(self) -> float:
        """When the first stream starts; 0 without streams."""
        return min((s.start_s for s in self.streams.values()), default=0.0)

    @property
    def end_s(self) -> float:
        """When the last stream ends; 0 without streams."""
        return max((s.end_s for s in self.streams.values()), default=0.0)

    @property
    def duration_s(self) -> float:
        """From the first stream's start to the last one's end."""
        return self.end_s - self.start_s

    def kinds(self, kind: str) -> tuple[Event, ...]:
        """The events of one kind, by onset."""
        return tuple(e for e in self.events if e.kind == kind)

    def between(self, from_s: float, to_s: float) -> "Recording":
        """What lies in from_s ≤ time < to_s: streams cut, events that reach into it whole, all on the same clock.

        Truth is left out, since its arrays have axes of their own.
        """
        return Recording(
            streams=[s.between(from_s, to_s) for s in self.streams.values()],
            events=[e for e in self.events if e.onset_s < to_s and (e.end_s > from_s or e.onset_s >= from_s)],
            info=self.info,
        )

    def save(self, path: str | Path) -> Path:
        """Write one `.npz` file or one `.zarr` folder; see `recording_files.save`."""
        from .recording_files import save

        return save(self, path)


def load(
    path: str | Path,
    *,
    streams: Sequence[str] | None = None,
    between_s: tuple[float, float] | None = None,
    truth: bool = True,
) -> Recording:
    """Read a recording, or only some of its streams, a stretch of time, or no truth; see `recording_files.load`."""
    from . import recording_files

    return recording_files.load(path, streams=streams, between_s=between_s, truth=truth)


def _check_name(what: str, name: object) -> None:
    allowed = isinstance(name, str) and name and all(c.isalnum() or c in "_-." for c in name) and name[0] != "."
    if not allowed:
        raise InputError(f"{what} cannot be called {name!r}; letters, digits, '_', '-' and '.' make a name")


def _fixed(what: str, data: Any, *, gaps: bool) -> np.ndarray:
    """The data as an array that cannot be written to. Raises `InputError`."""
    array = np.asarray(data)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{what} has values of type {array.dtype}; real numbers or booleans are needed")
    if array.dtype.kind == "f":
        bad = np.isinf(array).any() if gaps else not np.isfinite(array).all()
        if bad:
            first = np.argwhere(np.isinf(array) if gaps else ~np.isfinite(array))[0].tolist()
            advice = "" if gaps else "; a stream with holes must say gaps=True"
            raise InputError(f"{what} is not finite, first at index {first}{advice}")
    array = array.view()
    array.flags.writeable = False
    return array


def _number(what: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{what} is {value!r}; a number is needed") from None
    if not math.isfinite(number):
        raise InputError(f"{what} is {number}; a finite number is needed")
    return number


def _json(info: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of plain JSON values. Raises `InputError`."""
    try:
        return json.loads(json.dumps(dict(info), allow_nan=False, default=_plain))
    except (TypeError, ValueError) as error:
        raise InputError(f"info cannot be kept as JSON ({error}); use texts, finite numbers, lists and dicts") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
