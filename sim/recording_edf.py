"""EDF, EDF+, BDF and BDF+ files through edfio (extra `bids`): one stream and the events, what other programs read."""

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError
from .recording import Event, Recording, Stream

RANGE_UV = 10_000.0
"""Full scale of a channel, ± µV, unless its values are larger: 24 bits then resolve 1.2 nV."""
LABEL_LENGTH = 16
"""Characters, ASCII, that a channel's name may have in the file."""
_FIELD = 8  # characters of a number in the header
_LONGEST_RECORD_S = 8.0
_PADDED_RECORD_S = 0.125
_UNITS = {"uV": "uV", "µV": "uV", "mV": "mV", "V": "V"}


def write_bdf(stream: Stream, events: Iterable[Event], path: str | Path, *, subject: str = "X") -> int:
    """Write a stream, (T, C), and events as one BDF+ file; times in the file count from the stream's first sample.

    Annotations read `kind/label`, as MNE sorts its events, or just the label of an event without a kind. Samples are
    rounded to 24 bits of `RANGE_UV`. subject: code in the header. Returns how many samples had to be appended to each
    channel, its last value again: a file consists of whole blocks whose length in s must have at most 8 characters.

    Raises `InputError` for what the format cannot hold: gaps, odd rates, more than two axes.
    """
    edfio = _edfio()
    if stream.data.ndim != 2 or not stream.data.size:
        raise InputError(f"stream {stream.name!r} has shape {stream.data.shape}; BDF takes (T, channel), not empty")
    if stream.unit not in _UNITS:
        raise InputError(f"stream {stream.name!r} is in {stream.unit!r}; BDF is written from {', '.join(_UNITS)}")
    values = np.asarray(stream.data, float)
    if not np.isfinite(values).all():
        raise InputError(f"stream {stream.name!r} has gaps, which BDF cannot hold; fill them first")
    samples, padding = _blocks(len(values), stream.rate_hz)
    values = np.pad(values, ((0, padding), (0, 0)), mode="edge")
    rate = int(stream.rate_hz) if stream.rate_hz == int(stream.rate_hz) else stream.rate_hz
    unit = _UNITS[stream.unit]
    signals = [
        edfio.BdfSignal(column, rate, label=label, physical_dimension=unit, physical_range=_range(column, unit))
        for column, label in zip(values.T, labels(channel_names(stream)), strict=True)
    ]
    notes = [
        edfio.EdfAnnotation(round(e.onset_s - stream.start_s, 6), e.duration_s or None, tag(e))
        for e in events
        if e.onset_s >= stream.start_s
    ]
    bdf = edfio.Bdf(
        signals, patient=edfio.Patient(code=subject), annotations=notes, data_record_duration=samples / stream.rate_hz
    )
    bdf.write(path)
    return padding


def read_edf(path: str | Path, *, name: str = "emg") -> Recording:
    """Read an EDF or BDF file as a recording with one stream, or one for each rate: `emg`, `emg_2` …, in µV.

    Channels whose unit is no voltage keep theirs if all of a rate share it. Annotations become events.
    Raises `InputError`.
    """
    edfio, path = _edfio(), Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    try:
        file = edfio.read_bdf(path) if path.suffix.lower() == ".bdf" else edfio.read_edf(path)
        groups: dict[tuple[float, str], list[Any]] = {}
        for signal in file.signals:
            unit, scale = _unit(signal.physical_dimension)
            groups.setdefault((signal.sampling_frequency, unit), []).append((signal.label, signal.data * scale))
        events = [event(a.onset, a.duration or 0.0, a.text) for a in file.annotations if a.text.strip()]
    except Exception as error:  # edfio lets whatever a foreign file causes through
        raise InputError(f"{path} is damaged or no EDF or BDF file ({type(error).__name__}: {error})") from error
    streams = []
    for place, ((rate_hz, unit), members) in enumerate(groups.items()):
        data = np.stack([values for _, values in members], axis=1)
        channels = _unique([label for label, _ in members])
        streams.append(Stream(name if not place else f"{name}_{place + 1}", data, rate_hz, 0.0, channels, unit))
    return Recording(streams=streams, events=events, info={"source": path.name})


def tag(event: Event) -> str:
    """An event as one text: `expression/happiness`, or `happiness` if its kind is only `event`."""
    return event.label if event.kind == "event" else f"{event.kind}/{event.label}"


def event(onset_s: float, duration_s: float, text: str, value: float | str | None = None) -> Event:
    """The event that `tag` turned into a text."""
    kind, slash, label = text.partition("/")
    known = slash and kind.strip() and label.strip()
    return Event(onset_s, duration_s, label if known else text, value, kind if known else "event")


def channel_names(stream: Stream) -> tuple[str, ...]:
    """The stream's channels, or `emg1`, `emg2` … where they have no names."""
    return stream.channels or tuple(f"{stream.name}{k + 1}" for k in range(stream.data.shape[1]))


def labels(channels: Sequence[str]) -> tuple[str, ...]:
    """Names that fit into the file, 16 ASCII characters, unique; short ones stay as they are."""
    short = []
    for name in channels:
        plain = name.replace("µ", "u").encode("ascii", "ignore").decode().strip() or "channel"
        if len(plain) > LABEL_LENGTH:
            *words, side = plain.replace(",", "").split() or ["channel"]
            letter = {"right": " R", "left": " L"}.get(side)
            stem = " ".join(words if letter else [*words, side])
            plain = stem[: LABEL_LENGTH - 2].rstrip() + (letter or "")
        short.append(plain)
    return _unique(short)


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """The names, those that occur again with a number behind them."""
    found: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate in found:
            number += 1
            candidate = f"{name[: LABEL_LENGTH - 1 - len(str(number))]}-{number}"
        found.append(candidate)
    return tuple(found)


def _blocks(count: int, rate_hz: float) -> tuple[int, int]:
    """Samples in a block, and samples to append: the longest block that divides the recording, else a short one."""
    rate = Fraction(rate_hz).limit_denominator(1000)
    most = min(count, int(_LONGEST_RECORD_S * rate_hz))
    for samples in range(most, max(1, int(_PADDED_RECORD_S * rate_hz)) - 1, -1):
        if count % samples == 0 and _short(samples / rate):
            return samples, 0
    whole = [int(s * rate) for s in (1, 0.5, 0.25, _PADDED_RECORD_S) if (Fraction(s) * rate).denominator == 1]
    if whole:
        return min(((samples, -count % samples) for samples in whole), key=lambda block: (block[1], -block[0]))
    raise InputError(f"BDF cannot hold a rate of {rate_hz} Hz; resample to a whole number of Hz")


def _short(seconds: Fraction) -> bool:
    text = f"{float(seconds):.10f}".rstrip("0").rstrip(".")
    return len(text) <= _FIELD and Fraction(text) == seconds


def _range(values: np.ndarray, unit: str) -> tuple[float, float]:
    full = RANGE_UV * {"uV": 1.0, "mV": 1e-3, "V": 1e-6}[unit]
    largest = float(np.abs(values).max())
    if largest > full:
        digits = 10.0 ** math.floor(math.log10(largest))
        full = math.ceil(largest / digits) * digits
    return -full, full


def _unit(dimension: str) -> tuple[str, float]:
    """The unit that values are given in, and what to multiply them with."""
    scale = {"uv": 1.0, "µv": 1.0, "mv": 1e3, "v": 1e6, "nv": 1e-3}.get(dimension.strip().lower())
    return (dimension.strip() or "1", 1.0) if scale is None else ("uV", scale)


def _edfio() -> Any:
    try:
        import edfio
    except ImportError as error:
        raise InputError("edfio is not installed, which EDF and BDF need: pip install 'duchenne[bids]'") from error
    return edfio
