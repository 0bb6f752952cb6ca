"""EMG over Lab Streaming Layer, the way in which wearables reach a program whatever made them (extra `lsl`).

    with LslSource(name="Trigno", channels=("zygomaticus", "corrugator")) as source:
        block = source.read()

    with LslOutlet(EmgInfo(name="duchenne", channels=("E1", "E2"), rate_hz=1000.0, source_id="person-7")) as outlet:
        outlet.push(emg_uv, taken_s)             # (n, 2) µV, the last of which was taken at `taken_s`

A stream that stops and comes back under the same source id is picked up again, checked anew and told as a gap. The
host's time is `time.monotonic`.
"""

import contextlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..sim.errors import InputError
from .emg_source import (
    ClockOffset,
    Continuity,
    EmgBlock,
    EmgInfo,
    EmgSource,
    Health,
    electrodes_at,
    microvolts,
    places_of,
)

SETTLED_S = 0.3
"""How long it is waited for further streams that match; those on other machines take a moment to answer."""
_OFFSET_EVERY_S = 5.0
_OFFSET_WITHIN_S = 5.0
_LIKELY_SD_S = 2e-4
_MOST_SAMPLES = 16384
_MANY = 1000
_session: str | None = None


def library(session: str | None = None) -> ModuleType:
    """`pylsl`, in a session of its own if one is named: only streams of the same session see each other.

    liblsl takes its session once in a process, before anything else. Raises `InputError` where it is not installed, or
    where another session was asked for before.
    """
    global _session
    try:
        import pylsl
    except (ImportError, RuntimeError, OSError) as error:  # the last two: no liblsl for this system
        raise InputError(f"LSL is not available ({error}): pip install 'duchenne[lsl]'") from error
    if _session is None:
        if session:
            pylsl.set_config_content(f"[lab]\nSessionID = {session}\n[log]\nlevel = -3\n")
        _session = session or ""
    elif session is not None and session != _session:
        raise InputError(
            f"this process is in LSL session {_session or 'default'!r} and cannot change to {session!r}; "
            "name the session at the first use, or start another process"
        )
    return pylsl


class LslSource(EmgSource):
    """An LSL stream of EMG, found by what it says about itself. The first `read` begins with what comes from then on.

    Args:
        name, source_id, kind: what the stream must say, where given; exactly one stream may match.
        channels: wanted ones by their labels, in the order wanted; by default all, in the stream's order.
        called: labels of a stream that has none, in its order.
        rate_hz: that the stream must have, where it matters.
        unit: of the values, overruling what the stream says; one of `MICROVOLTS`.
        session: LSL session, see `library`.
        timeout_s: how long it is waited for the stream.

    Raises `InputError`, `VocabularyError`.
    """

    def __init__(
        self,
        *,
        name: str = "",
        source_id: str = "",
        kind: str = "EMG",
        channels: Sequence[str] = (),
        called: Sequence[str] = (),
        rate_hz: float | None = None,
        unit: str | None = None,
        session: str | None = None,
        timeout_s: float = 5.0,
    ):
        self._lsl = library(session)
        self._wanted, self._called, self._unit = tuple(channels), tuple(called), unit
        self._rate_hz = rate_hz
        self._inlet: Any = None
        self._search: Any = None
        found = self._one(_predicate(type=kind, name=name, source_id=source_id), timeout_s)
        self._query = _predicate(type=kind, name=found.name(), source_id=found.source_id())
        self._problem, self._uid, self._closed = "", "", False
        self._offset = ClockOffset(time_s=time.monotonic(), offset_s=self._local_s())
        self._open(found, timeout_s)
        self._fresh = True
        self._continuity = Continuity(self.info.channels, self.info.rate_hz)

    def read(self, timeout_s: float = 0.1) -> EmgBlock:
        if self._closed:
            raise InputError("this LSL source is closed; open it anew")
        if self._inlet is None and not self._came_back(timeout_s):
            return self._nothing()
        inlet: Any = self._inlet
        if self._fresh:  # what came before anybody asked is late
            inlet.flush()
            self._fresh = False
        try:
            values, stamps = inlet.pull_chunk(
                timeout=timeout_s, max_samples=_MOST_SAMPLES, min_samples=1, as_numpy=True
            )
        except self._lsl.util.LostError:
            self._lost("the stream was lost and came back")
            return self._nothing()
        arrival_s = time.monotonic()
        if not len(stamps):
            return self._nothing()
        if arrival_s - self._offset.time_s > _OFFSET_EVERY_S:
            self._measure_offset(0.0)
        emg_uv = np.asarray(values, np.float32)[:, self._places] * self._scales
        return self._continuity.block(np.array(stamps, float), emg_uv, arrival_s, self._offset)

    def health(self) -> Health:
        return self._continuity.health(time.monotonic(), self._problem)

    def close(self) -> None:
        self._closed, self._inlet, self._search = True, None, None

    def _one(self, predicate: str, timeout_s: float) -> Any:
        """The only stream that matches."""
        lsl = self._lsl
        found = lsl.resolve_bypred(predicate, 1, timeout_s)
        if found:
            found = lsl.resolve_bypred(predicate, _MANY, SETTLED_S) or found
        if len(found) == 1:
            return found[0]
        if not found:
            others = [_spoken(one) for one in lsl.resolve_streams(SETTLED_S)]
            raise InputError(
                f"no LSL stream with {predicate} within {timeout_s:g} s; there are {'; '.join(others) or 'none'}. "
                "Is the sender running, in the same LSL session and network?"
            )
        raise InputError(
            f"{len(found)} LSL streams have {predicate}: {'; '.join(sorted(map(_spoken, found)))}. "
            "Say which with its name or source id"
        )

    def _open(self, found: Any, timeout_s: float) -> None:
        """Connect to a stream, after making sure that it is what is wanted."""
        lsl = self._lsl
        inlet = lsl.StreamInlet(found, max_buflen=30, recover=False, processing_flags=0)
        try:
            whole = inlet.info(timeout_s)
            inlet.open_stream(timeout_s)
        except (lsl.util.TimeoutError, lsl.util.LostError) as error:
            raise InputError(
                f"LSL stream {_spoken(found)} was found but does not answer; is it still there?"
            ) from error
        info, places, scales = self._understood(whole)
        if hasattr(self, "info") and info.channels != self.info.channels:
            raise InputError(
                f"LSL stream {info.name!r} came back with channels {', '.join(info.channels)}; "
                f"before it had {', '.join(self.info.channels)}. Open it anew"
            )
        self.info, self._places, self._scales = info, places, scales
        self._inlet, self._uid = inlet, found.uid()
        self._measure_offset(_OFFSET_WITHIN_S)

    def _understood(self, whole: Any) -> tuple[EmgInfo, list[int], NDArray[np.float32]]:
        what = f"LSL stream {whole.name()!r}"
        rate_hz, count, about = whole.nominal_srate(), whole.channel_count(), whole.desc()
        channels = list(_children(about.child("channels"), "channel"))
        labels = [one.child_value("label") for one in channels]
        if self._called and len(self._called) != count:
            raise InputError(f"{what} has {count} channels, {len(self._called)} are called by name")
        if len(labels) != count or not all(labels):
            labels = list(self._called) or [f"emg{k + 1}" for k in range(count)]
        places = places_of(self._wanted, labels, what)
        if self._rate_hz is not None and not math.isclose(rate_hz, self._rate_hz, rel_tol=1e-3):
            raise InputError(
                f"{what} has {rate_hz:g} samples a second, wanted are {self._rate_hz:g}; set the sender, or let what "
                "reads it know"
            )
        if whole.channel_format() == self._lsl.cf_string:
            raise InputError(f"{what} sends texts; EMG is numbers")
        units = [self._unit or one.child_value("unit") for one in channels]
        units = units if len(units) == count else [self._unit or ""] * count
        scales = [microvolts(units[k], f"channel {labels[k]} of {what}") for k in places]
        electrodes = about.child("montage").child_value("electrodes")
        info = EmgInfo(
            name=whole.name(),
            channels=self._wanted or tuple(labels),
            rate_hz=rate_hz,
            device=" ".join(filter(None, map(about.child("acquisition").child_value, ("manufacturer", "model")))),
            source_id=whole.source_id(),
            clock=f"LSL of {whole.hostname()}",
            montage=about.child("montage").child_value("name"),
            electrodes=electrodes_at(_mapping(electrodes), places, count),
        )
        return info, places, np.array(scales, np.float32)

    def _came_back(self, timeout_s: float) -> bool:
        """Look for a stream that was lost, for as long as a read may last."""
        lsl, until_s = self._lsl, time.monotonic() + timeout_s
        search = self._search = self._search or lsl.ContinuousResolver(pred=self._query, forget_after=1.0)
        while True:
            for found in search.results():
                if found.uid() != self._uid:
                    with contextlib.suppress(lsl.util.LostError, lsl.util.TimeoutError):
                        self._search = None
                        self._open(found, 2.0)
                        self._problem = ""
                        return True
            if time.monotonic() >= until_s:
                return False
            time.sleep(min(0.02, timeout_s))

    def _lost(self, why: str) -> None:
        self._inlet, self._problem = None, "the stream is lost; waiting for it to come back"
        self._continuity.broke(why)

    def _nothing(self) -> EmgBlock:
        none = np.zeros((0, len(self.info.channels)), np.float32)
        return self._continuity.block(np.zeros(0), none, time.monotonic(), self._offset)

    def _measure_offset(self, timeout_s: float) -> None:
        """The sender's clock against LSL's on this host, and that against the monotonic one."""
        with contextlib.suppress(self._lsl.util.TimeoutError, self._lsl.util.LostError):
            theirs_s = self._inlet.time_correction(timeout_s)
            self._offset = ClockOffset(
                time_s=time.monotonic(), offset_s=theirs_s + self._local_s(), uncertainty_s=_LIKELY_SD_S
            )

    def _local_s(self) -> float:
        return local_offset_s(self._lsl)


class LslOutlet:
    """Publishes EMG as an LSL stream that any LSL client reads: labels, units, montage and electrodes included.

    info: of the stream; `source_id` lets clients find it again after a restart. chunk: samples sent together.
    session: see `library`.
    """

    def __init__(self, info: EmgInfo, *, chunk: int = 0, session: str | None = None):
        self._lsl = lsl = library(session)
        stream = lsl.StreamInfo(info.name, "EMG", len(info.channels), info.rate_hz, "float32", info.source_id)
        about = stream.desc()
        channels = about.append_child("channels")
        targets = info.electrodes.get("target_muscles") or ()
        for place, name in enumerate(info.channels):
            channel = channels.append_child("channel")
            values = {"label": name, "unit": "microvolts", "type": "EMG"}
            if place < len(targets):
                values["target_muscle"] = targets[place]
            for key, value in values.items():
                channel.append_child_value(key, value)
        maker = about.append_child("acquisition")
        maker.append_child_value("manufacturer", info.device or "duchenne")
        if info.montage or info.electrodes:
            montage = about.append_child("montage")
            montage.append_child_value("name", info.montage)
            if info.electrodes:
                montage.append_child_value("electrodes", json.dumps(info.electrodes))
        self.info, self._outlet = info, lsl.StreamOutlet(stream, chunk_size=chunk)

    def push(self, emg_uv: ArrayLike, taken_s: float) -> None:
        """Send (n, C) µV, the last of which was taken at `taken_s` of the monotonic clock. Raises `InputError`."""
        values = np.ascontiguousarray(emg_uv, np.float32)
        if values.ndim != 2 or values.shape[1] != len(self.info.channels):
            raise InputError(f"EMG of shape {values.shape}; this stream has (n, {len(self.info.channels)})")
        if not np.isfinite(values).all():
            raise InputError("EMG holds NaN or infinity; leave such samples out, stamps tell that they are missing")
        if self._outlet is None:
            raise InputError("this LSL outlet is closed; open it anew")
        if len(values):
            self._outlet.push_chunk(values, taken_s - local_offset_s(self._lsl))

    @property
    def listened_to(self) -> bool:
        """Whether anybody is reading."""
        return self._outlet is not None and bool(self._outlet.have_consumers())

    def close(self) -> None:
        """Take the stream away; may be called twice."""
        self._outlet = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()


class LslMarkers:
    """Publishes what happens as texts, an LSL stream of type Markers, which recorders store beside the EMG."""

    def __init__(self, name: str, source_id: str, *, session: str | None = None):
        self._lsl = lsl = library(session)
        stream = lsl.StreamInfo(name, "Markers", 1, lsl.IRREGULAR_RATE, "string", source_id)
        self._outlet = lsl.StreamOutlet(stream)

    def push(self, what: str, time_s: float) -> None:
        """It began at `time_s` of the monotonic clock."""
        self._outlet.push_sample([what], time_s - local_offset_s(self._lsl))


def local_offset_s(lsl: ModuleType) -> float:
    """What to add to LSL's clock on this host to get `time.monotonic`; zero where both read the same one."""
    before, theirs, after = time.monotonic(), lsl.local_clock(), time.monotonic()
    offset_s = 0.5 * (before + after) - theirs
    return 0.0 if abs(offset_s) < 1e-3 else offset_s


def _predicate(**wanted: str) -> str:
    """Of those that are given; LSL's queries are XPath, whose texts know no escape."""
    for value in wanted.values():
        if "'" in value and '"' in value:
            raise InputError(f"LSL cannot look for {value!r}, which holds both kinds of quotes; use another property")
    quoted = {key: f'"{value}"' if "'" in value else f"'{value}'" for key, value in wanted.items() if value}
    return " and ".join(f"{key}={value}" for key, value in quoted.items())


def _spoken(info: Any) -> str:
    return (
        f"{info.name()!r} ({info.type()}, {info.channel_count()} channels, {info.nominal_srate():g} Hz, source id "
        f"{info.source_id()!r}, on {info.hostname()})"
    )


def _children(parent: Any, name: str):
    one = parent.child(name)
    while not one.empty():
        yield one
        one = one.next_sibling(name)


def _mapping(text: str) -> Mapping[str, Any]:
    """Electrodes as JSON; a stream of somebody else's may say anything there."""
    with contextlib.suppress(ValueError):
        read = json.loads(text)
        if isinstance(read, dict):
            return read
    return {}


__all__ = ["LslMarkers", "LslOutlet", "LslSource", "library", "local_offset_s"]
