"""A log as XDF, the format of LabRecorder, at its own times: `pyxdf.load_xdf` and every tool on it read the file.

Streams: EMG with its channels' names, `command_asked`, `command_sent`, `position` and `current` of the servos,
`displacement` of the person's face, and `guard`, a stream of markers. Time is the host's monotonic clock, s.
Source of the format: XDF specification 1.0 (github.com/sccn/xdf).
"""

import contextlib
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from ..hardware.bus import Feedback
from ..hardware.emg_source import EmgBlock, EmgInfo
from ..hardware.guard import Event
from ..sim.errors import InputError
from ..sim.robot.servo import SERVO_NAMES
from .log import Log
from .log_entries import Command, Seen

Array = NDArray[np.floating]
_HEADER, _STREAM, _SAMPLES, _FOOTER = 1, 2, 3, 6
_POINTS = tuple(f"{axis}{vertex}" for vertex in range(468) for axis in "xyz")
_SERVO = ("servo", SERVO_NAMES, "1")


def write_xdf(log: Log, path: str | Path) -> Path:
    """Write what a log holds; the file is complete or not there. Raises `InputError` where it cannot be written."""
    path = Path(path)
    streams: dict[str, _Stream] = {}
    worn: EmgInfo | None = None
    for entry in log:
        worn = entry.what if isinstance(entry.what, EmgInfo) else worn
        for name, about, times_s, values in _rows(entry.time_s, entry.what, worn):
            streams.setdefault(name, _Stream(name, *about)).add(times_s, values)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(b"XDF:" + _chunk(_HEADER, b'<?xml version="1.0"?><info><version>1.0</version></info>'))
            for number, stream in enumerate(streams.values(), start=1):
                for chunk in stream.chunks(number):
                    file.write(chunk)
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another folder") from error
    finally:
        with contextlib.suppress(OSError):  # gone, unless something went wrong
            part.unlink()
    return path


class _Stream:
    """One stream: channels of float32, or of text where there is no unit."""

    def __init__(self, name: str, kind: str, channels: Sequence[str], unit: str, rate_hz: float = 0.0):
        self._name, self._kind, self._channels, self._unit, self._rate_hz = name, kind, channels, unit, rate_hz
        self._times: list[float] = []
        self._values: list[bytes] = []

    def add(self, times_s: Sequence[float], values: Array | str) -> None:
        """Samples, (n, channels) at times (n,), or one marker."""
        self._times.extend(times_s)
        if isinstance(values, str):
            text = values.encode()
            self._values.append(_length(len(text)) + text)
        else:
            self._values.extend(row.tobytes() for row in np.ascontiguousarray(values, "<f4"))

    def chunks(self, number: int) -> Iterator[bytes]:
        identity = struct.pack("<I", number)
        order = np.argsort(self._times, kind="stable")
        first, last = self._times[order[0]], self._times[order[-1]]
        yield _chunk(_STREAM, identity + self._header().encode())
        for part in np.array_split(order, max(1, len(order) // 1000)):
            samples = b"".join(b"\x08" + struct.pack("<d", self._times[k]) + self._values[k] for k in part)
            yield _chunk(_SAMPLES, identity + _length(len(part)) + samples)
        footer = f"<first_timestamp>{first!r}</first_timestamp><last_timestamp>{last!r}</last_timestamp>"
        counted = f"<info>{footer}<sample_count>{len(order)}</sample_count></info>"
        yield _chunk(_FOOTER, identity + b'<?xml version="1.0"?>' + counted.encode())

    def _header(self) -> str:
        rows = "".join(
            f"<channel><label>{escape(c)}</label><unit>{escape(self._unit)}</unit></channel>" for c in self._channels
        )
        written = "float32" if self._unit else "string"
        return (
            f'<?xml version="1.0"?><info><name>{escape(self._name)}</name><type>{escape(self._kind)}</type>'
            f"<channel_count>{len(self._channels)}</channel_count><nominal_srate>{self._rate_hz!r}</nominal_srate>"
            f"<channel_format>{written}</channel_format><desc><channels>{rows}</channels></desc></info>"
        )


def _rows(
    time_s: float, what: object, worn: EmgInfo | None
) -> Iterator[tuple[str, tuple, Sequence[float], Array | str]]:
    if isinstance(what, Command):
        for name, values in (("command_asked", what.asked), ("command_sent", what.sent)):
            if values is not None and np.shape(values) == (len(SERVO_NAMES),):
                yield name, _SERVO, [time_s], values[None]
    elif isinstance(what, Feedback):
        if what.position is not None:
            yield "position", _SERVO, [time_s], what.position[None]
        if what.current_a is not None:
            yield "current", ("servo", SERVO_NAMES, "A"), [time_s], what.current_a[None]
    elif isinstance(what, Seen) and what.face_m is not None:
        yield "displacement", ("face", _POINTS, "mm"), [what.taken_s], 1e3 * what.face_m.reshape(1, -1)
    elif isinstance(what, Event):
        yield "guard", ("Markers", ("event",), ""), [time_s], f"{what.what} {what.rule}: {what.message}"
    elif isinstance(what, EmgBlock) and len(what) and worn is not None:
        about = ("EMG", worn.channels, "microvolts", worn.rate_hz)
        yield worn.name or "emg", about, what.host_s.tolist(), what.emg_uv


def _length(count: int) -> bytes:
    """A count with the number of its bytes before it."""
    if count < 256:
        return struct.pack("<BB", 1, count)
    return struct.pack("<BI", 4, count)


def _chunk(tag: int, content: bytes) -> bytes:
    return _length(len(content) + 2) + struct.pack("<H", tag) + content


__all__ = ["write_xdf"]
