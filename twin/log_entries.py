"""What a log holds: kinds of entries, and how each is written as JSON that other tools can read.

Small arrays are lists of numbers, in which null is NaN and "inf" infinity; large ones are base64 of little-endian
values, with shape and type beside them. Both come back exactly.
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..hardware.bus import Feedback
from ..hardware.emg_source import ClockOffset, EmgBlock, EmgInfo, Gap
from ..hardware.guard import Event
from ..sim.errors import InputError

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True, eq=False)
class Command:
    """Servo commands (26,) 0…1: as asked for, and as really sent; None where nothing was asked, or sent."""

    asked: Array | None = None
    sent: Array | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """A face (468, 3) m, displaced from rest, in a picture taken at `taken_s`; None where there was none."""

    taken_s: float
    face_m: Array | None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the log. time_s: host's monotonic time. what: one of `KINDS`."""

    time_s: float
    what: Any


def pack(what: Any) -> dict[str, Any]:
    """An entry as JSON can hold it. Raises `InputError` for what is none of `TOPICS`."""
    if type(what) not in TOPICS:
        raise InputError(f"a log has no place for {type(what).__name__}; allowed: {', '.join(TOPICS.values())}")
    return _PACK[type(what)](what)


def unpack(kind: type, packed: dict[str, Any]) -> Any:
    """What `pack` was given. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
    return _UNPACK[kind](packed)


def schema(kind: type) -> dict[str, Any]:
    """JSON schema of a kind."""
    return {"type": "object", "title": TOPICS[kind], "description": kind.__doc__, "properties": _SCHEMAS[kind]}


def _array(values: Array | None, dtype: str) -> dict[str, Any] | None:
    if values is None:
        return None
    fixed = np.ascontiguousarray(values, dtype)
    return {"shape": list(fixed.shape), "dtype": dtype, "base64": base64.b64encode(fixed.tobytes()).decode()}


def _back(packed: Mapping[str, Any] | None) -> Any:
    if packed is None:
        return None
    return np.frombuffer(base64.b64decode(packed["base64"]), packed["dtype"]).reshape(packed["shape"])


def _numbers(values: Array | None) -> list[float | str | None] | None:
    if values is None:
        return None
    return [v if np.isfinite(v) else None if np.isnan(v) else str(v) for v in np.ravel(values).astype(float).tolist()]


def _floats(numbers: Iterable[float | str | None] | None) -> Any:
    return None if numbers is None else np.array([np.nan if v is None else float(v) for v in numbers])


def _pack_block(block: EmgBlock) -> dict[str, Any]:
    return {
        "number": block.number,
        "device_s": _array(block.device_s, "<f8"),
        "emg_uv": _array(block.emg_uv, "<f4"),
        "arrival_s": block.arrival_s,
        "offset": asdict(block.offset),
        "gaps": [asdict(gap) for gap in block.gaps],
    }


def _unpack_block(packed: dict[str, Any]) -> EmgBlock:
    return EmgBlock(
        number=packed["number"],
        device_s=_back(packed["device_s"]),
        emg_uv=_back(packed["emg_uv"]),
        arrival_s=packed["arrival_s"],
        offset=ClockOffset(**packed["offset"]),
        gaps=tuple(Gap(**gap) for gap in packed["gaps"]),
    )


def _pack_feedback(feedback: Feedback) -> dict[str, Any]:
    read = {f.name: getattr(feedback, f.name) for f in fields(Feedback)}
    return {name: value if name == "time_s" else _numbers(value) for name, value in read.items()}


def _unpack_feedback(packed: dict[str, Any]) -> Feedback:
    return Feedback(**{name: value if name == "time_s" else _floats(value) for name, value in packed.items()})


TOPICS: Mapping[type, str] = {
    Command: "command", Feedback: "feedback", Event: "guard", EmgInfo: "emg_info", EmgBlock: "emg", Seen: "face",
    ClockOffset: "clock",
}  # fmt: skip
"""Topic of each kind of entry. A clock is the camera's; blocks of EMG bring their own."""
_PACK: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    Command: lambda c: {"asked": _numbers(c.asked), "sent": _numbers(c.sent)},
    Feedback: _pack_feedback,
    Event: asdict,
    EmgInfo: EmgInfo.as_json,
    EmgBlock: _pack_block,
    Seen: lambda s: {"taken_s": s.taken_s, "face_m": _array(s.face_m, "<f4")},
    ClockOffset: asdict,
}
_UNPACK: Mapping[type, Callable[[dict[str, Any]], Any]] = {
    Command: lambda p: Command(asked=_floats(p["asked"]), sent=_floats(p["sent"])),
    Feedback: _unpack_feedback,
    Event: lambda p: Event(**p),
    EmgInfo: lambda p: EmgInfo(**p),
    EmgBlock: _unpack_block,
    Seen: lambda p: Seen(taken_s=p["taken_s"], face_m=_back(p["face_m"])),
    ClockOffset: lambda p: ClockOffset(**p),
}
_NUMBER: Mapping[str, Any] = {"type": ["number", "null", "string"]}
_LIST: Mapping[str, Any] = {"type": ["array", "null"], "items": _NUMBER}
_TEXT: Mapping[str, Any] = {"type": "string"}
_PACKED: Mapping[str, Any] = {
    "type": ["object", "null"],
    "properties": {
        "shape": {"type": "array", "items": {"type": "integer"}},
        "dtype": _TEXT,
        "base64": {"type": "string", "contentEncoding": "base64"},
    },
}
_SCHEMAS: Mapping[type, Mapping[str, Any]] = {
    Command: {"asked": _LIST, "sent": _LIST},
    Feedback: {f.name: _NUMBER if f.name == "time_s" else _LIST for f in fields(Feedback)},
    Event: {f.name: _NUMBER if f.name == "time_s" else _TEXT for f in fields(Event)},
    EmgInfo: {"name": _TEXT, "channels": {"type": "array", "items": _TEXT}, "rate_hz": _NUMBER},
    EmgBlock: {
        "number": {"type": "integer"}, "device_s": _PACKED, "emg_uv": _PACKED, "arrival_s": _NUMBER,
        "offset": {"type": "object"}, "gaps": {"type": "array", "items": {"type": "object"}},
    },
    Seen: {"taken_s": _NUMBER, "face_m": _PACKED},
    ClockOffset: {f.name: _NUMBER for f in fields(ClockOffset)},
}  # fmt: skip


__all__ = ["TOPICS", "Command", "Entry", "Seen", "pack", "schema", "unpack"]
