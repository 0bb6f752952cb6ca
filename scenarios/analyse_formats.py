"""Files of EMG as they come: each reader gives a `Recording` whose stream `emg` is in whatever unit the file has.

`READERS[path.suffix](path, rate_hz, channels)`: rate_hz is used where a file gives none, channels where not every
column can be one. The unit is "?" where the file says none; gaps stay NaN. Raises `InputError`, `VocabularyError`.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..sim.errors import InputError, VocabularyError
from ..sim.recording import Event, Recording, Stream
from ..sim.recording_bids import read_bids
from ..sim.recording_files import load

Array = NDArray[np.floating]

LEAST_RATE_HZ = 100.0
"""Samples a second below which there is no EMG to speak of."""


def _own(path: Path, rate_hz: float | None, channels: tuple[str, ...]) -> Recording:
    recording = load(path, truth=False)
    recording["emg"]  # an error that lists the streams, where there is none
    return recording


def _edf(path: Path, rate_hz: float | None, channels: tuple[str, ...]) -> Recording:
    recording = read_bids(path)
    if not len(recording):
        raise InputError(f"{path} holds no signal")
    sidecar = path.with_name(f"{path.name.rpartition('_')[0]}_emg.json")
    maker = json.loads(sidecar.read_text(encoding="utf-8")).get("Manufacturer", "") if sidecar.is_file() else ""
    info = {**recording.info, "simulated": "simulation" in str(maker)}
    return Recording(recording.streams, recording.events, info=info)


def _xdf(path: Path, rate_hz: float | None, channels: tuple[str, ...]) -> Recording:
    """The stream of type EMG, or the only quick one. A marker lasts until the next of its stream."""
    try:
        import pyxdf
    except ImportError as error:
        raise InputError("pyxdf is not installed, which XDF needs: pip install 'duchenne[xdf]'") from error
    try:
        streams, _ = pyxdf.load_xdf(str(path), verbose=False)
        quick = [one for one in streams if float(one["info"]["nominal_srate"][0]) >= LEAST_RATE_HZ]
        named = [one for one in quick if one["info"]["type"][0].casefold() == "emg"] or quick
        if len(named) != 1:
            found = ", ".join(f"{one['info']['name'][0]} ({one['info']['type'][0]})" for one in streams) or "none"
            raise InputError(f"{path.name} must hold one stream of type EMG; it holds {found}")
        emg = _xdf_stream(named[0])
        events = [event for one in streams if isinstance(one["time_series"], list) for event in _markers(one, emg)]
    except InputError:
        raise
    except Exception as error:  # pyxdf lets whatever a damaged file causes through
        raise InputError(f"{path} is damaged or no XDF file ({type(error).__name__}: {error})") from error
    start = emg.start_s
    moved = [replace(event, onset_s=event.onset_s - start) for event in events]
    return Recording([replace(emg, start_s=0.0)], moved, info={"source": path.name})


def _xdf_stream(stream: Mapping[str, Any]) -> Stream:
    described = (stream["info"].get("desc") or [None])[0] or {}
    about = ((described.get("channels") or [None])[0] or {}).get("channel", [])
    data, times = np.asarray(stream["time_series"], float), np.asarray(stream["time_stamps"], float)
    names = tuple((one.get("label") or [""])[0] for one in about)
    units = {(one.get("unit") or ["?"])[0] for one in about}
    if len(names) != data.shape[1] or not all(names):
        names = tuple(f"emg{k + 1}" for k in range(data.shape[1]))
    unit = units.pop() if len(units) == 1 else "?"
    return Stream("emg", data, _rate(times, "time stamp"), float(times[0]), names, unit, gaps=True)


def _markers(stream: Mapping[str, Any], emg: Stream) -> list[Event]:
    starts = [float(one) for one in stream["time_stamps"]]
    ends = [*starts[1:], max(emg.end_s, starts[-1])] if starts else []
    labels = [str(row[0]).strip() for row in stream["time_series"]]
    return [
        Event(start, end - start, label, None, "instruction")
        for start, end, label in zip(starts, ends, labels, strict=True)
        if label
    ]


def _table(path: Path, rate_hz: float | None, channels: tuple[str, ...]) -> Recording:
    """Columns named in the first row; `time`, `time_s` or `time_ms` and `label` are no channels."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        delimiter = max(",;\t", key=first.count)
        names, *rows = [row for row in csv.reader(text.splitlines(), delimiter=delimiter) if row]
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise InputError(f"{path} is no table of text ({error})") from error
    names = [name.strip() for name in names]
    ragged = next((place for place, row in enumerate(rows, 2) if len(row) != len(names)), None)
    if not rows or ragged:
        raise InputError(
            f"{path.name}: row {ragged} has another number of cells than the {len(names)} of the header"
            if ragged
            else f"{path.name} has a header and no rows"
        )
    known = {name.casefold(): place for place, name in enumerate(names)}
    time = next((known[name] for name in (*_TIMES, "time_ms") if name in known), None)
    label = next((known[name] for name in ("label", "expression") if name in known), None)
    missing = [name for name in channels if name not in names]
    if missing:
        raise VocabularyError(f"{path.name} has no channel {', '.join(missing)}; it has {', '.join(names)}")
    wanted = [k for k, name in enumerate(names) if k not in (time, label) and (not channels or name in channels)]
    cells = np.array(rows)
    data = np.stack([_numbers(path, names[k], cells[:, k]) for k in wanted], 1) if wanted else np.empty((len(rows), 0))
    if not wanted or all(_is_number(name) for name in names):
        raise InputError(f"{path.name} needs a first row with the channels' names; it has {', '.join(names)}")
    if time is not None:
        scale = 1e-3 if names[time].casefold() == "time_ms" else 1.0
        rate = _rate(scale * _numbers(path, names[time], cells[:, time]), f"{path.name}: {names[time]}")
    elif rate_hz is None:
        raise InputError(f"{path.name} has no column called time, time_s or time_ms; pass --rate with samples a second")
    else:
        rate = rate_hz
    events = [] if label is None else _runs(cells[:, label], rate)
    return Recording(
        [Stream("emg", data, rate, 0.0, tuple(names[k] for k in wanted), "?", gaps=True)],
        events,
        info={"source": path.name},
    )


_TIMES = ("time", "time_s", "t", "seconds")


def _runs(labels: NDArray[np.str_], rate_hz: float) -> list[Event]:
    """Stretches of equal labels as instructions; empty ones are none."""
    edges = np.flatnonzero(labels[1:] != labels[:-1]) + 1
    return [
        Event(float(start / rate_hz), float((end - start) / rate_hz), labels[start].strip(), None, "instruction")
        for start, end in zip([0, *edges], [*edges, len(labels)], strict=True)
        if labels[start].strip()
    ]


def _numbers(path: Path, name: str, cells: NDArray[np.str_]) -> Array:
    try:
        return np.where(np.char.strip(cells) == "", "nan", cells).astype(float)
    except ValueError:
        row = next(place for place, cell in enumerate(cells) if cell.strip() and not _is_number(cell))
        raise InputError(
            f"{path.name}: column {name!r} holds {str(cells[row])!r} in row {row + 2}, which is no number; "
            "call a column of names `label`, or choose columns with --channels"
        ) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _rate(times_s: Array, what: str) -> float:
    """Samples a second of an even clock. Raises `InputError` where it jumps or runs back."""
    steps = np.diff(times_s)
    if len(times_s) < 2 or not np.isfinite(times_s).all() or not times_s[-1] > times_s[0]:
        raise InputError(f"{what} must rise and be finite over two samples or more")
    mean = (times_s[-1] - times_s[0]) / len(steps)
    odd = np.flatnonzero((steps < -1e-9) | (steps > 5 * mean + 2e-3))
    if len(odd):
        raise InputError(
            f"{what} jumps from {times_s[odd[0]]:.6g} to {times_s[odd[0] + 1]:.6g} s; cut the recording there"
        )
    rate = 1 / mean
    return float(round(rate)) if abs(rate / max(round(rate), 1) - 1) < 5e-4 else float(rate)


def _acqknowledge(path: Path, rate_hz: float | None, channels: tuple[str, ...]) -> Recording:
    """AcqKnowledge's text: file, `1 msec/sample`, `15 channels`, a name and a unit for each, ids, counts, values."""
    try:
        lines = path.read_text(encoding="utf-8", errors="strict").splitlines()
        step = re.fullmatch(r"\s*([\d.]+)\s*(msec|sec)/sample\s*", lines[1])
        count = re.fullmatch(r"\s*(\d+)\s*channels\s*", lines[2])
        if not step or not count:
            raise ValueError("line 2 should read like “1 msec/sample”, line 3 like “15 channels”")
        last = 3 + 2 * int(count[1])
        names, units = [one.strip() for one in lines[3:last:2]], [one.strip() for one in lines[4:last:2]]
        wanted = list(channels) or [name for name in names if re.search(r"raw|emg", name, re.IGNORECASE)]
        missing = [name for name in wanted if name not in names]
        if missing or not wanted:
            raise VocabularyError(
                f"{path.name}: choose EMG channels with --channels"
                f"{' (not ' + ', '.join(missing) + ')' if missing else ''}; it has {', '.join(names)}"
            )
        places = [names.index(name) for name in wanted]
        delimiter = max(",\t", key=lines[last].count)
        rows = [line.rstrip(delimiter).split(delimiter) for line in lines[last + 2 :] if line.strip()]
        data = np.array([[row[k] or "nan" for k in places] for row in rows], float)
    except (OSError, UnicodeDecodeError, ValueError, IndexError) as error:
        if isinstance(error, VocabularyError):
            raise
        raise InputError(f"{path} is damaged or no text export of AcqKnowledge ({error})") from error
    said = Counter(units[k] for k in places)
    unit = said.most_common(1)[0][0]
    odd = [names[k] for k in places if units[k] != unit]
    notes = [f"{path.name} gives {', '.join(odd)} in another unit than {unit}, which is taken for all."] if odd else []
    rate = 1 / (float(step[1]) * (1e-3 if step[2] == "msec" else 1.0))
    return Recording(
        [Stream("emg", data.reshape(len(data), -1), rate, 0.0, tuple(wanted), unit, gaps=True)],
        info={"source": path.name, "notes": notes},
    )


READERS: Mapping[str, Callable[[Path, float | None, tuple[str, ...]], Recording]] = MappingProxyType(
    {
        ".npz": _own, ".zarr": _own, ".bdf": _edf, ".edf": _edf, ".xdf": _xdf, ".csv": _table, ".tsv": _table,
        ".txt": _acqknowledge,
    }
)  # fmt: skip
"""By the file's ending."""


__all__ = ["LEAST_RATE_HZ", "READERS"]
