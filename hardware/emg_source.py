"""EMG as it comes in from outside: what a source says about itself, its blocks with their clocks and gaps, its health.

    with LslSource(channels=montage("epidermal10").channel_names) as source:
        while True:
            block = source.read()                      # waits for samples, not for long
            watcher.hear(block.host_s[-1], block.emg_uv)

Three times are kept as data: the device's stamps, the host's monotonic time of arrival, and the offset between the two
clocks as it was measured. Nothing is corrected in place; `EmgBlock.host_s` is the one place that applies the offset.
Samples that are missing are a `Gap`, never NaN.
"""

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..sim.errors import InputError, VocabularyError

Array = NDArray[np.floating]

ALIVE_S = 0.5
"""A source without a sample for longer than this is not alive."""
RATE_OFF = 0.002
"""Share by which the rate that is measured may differ from the nominal one before it is called a problem."""
MICROVOLTS: Mapping[str, float] = MappingProxyType(
    {
        **dict.fromkeys(("uv", "µv", "μv", "microvolt", "microvolts"), 1.0),
        **dict.fromkeys(("mv", "millivolt", "millivolts"), 1e3),
        **dict.fromkeys(("v", "volt", "volts"), 1e6),
    }
)
"""Microvolts in each unit that a stream may name, in any case."""
_MEASURED_S = 10.0
_JITTER_LASTS_S = 30.0
_LEARNING_S, _LEARNING_GAP_S = 1.0, 0.1
_CLOCK_STEP_S = 0.5


@dataclass(frozen=True, kw_only=True)
class EmgInfo:
    """What a source is. Raises `InputError`.

    channels: names, in the order of every block. rate_hz: nominal. device, source_id: whose they are. clock: what its
    stamps count from. montage: name of the electrodes' arrangement; electrodes: `Electrodes.as_info`, where known.
    """

    name: str
    channels: tuple[str, ...]
    rate_hz: float
    device: str = ""
    source_id: str = ""
    clock: str = ""
    montage: str = ""
    electrodes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        object.__setattr__(self, "channels", tuple(map(str, self.channels)))
        twice = sorted({c for c in self.channels if self.channels.count(c) > 1})
        if not self.channels or twice or not all(c.strip() for c in self.channels):
            raise InputError(
                f"EMG {self.name!r} has channels {', '.join(self.channels) or 'none'}; every channel needs a name of "
                f"its own{': ' + ', '.join(twice) + ' is there twice' if twice else ''}"
            )
        if not (math.isfinite(self.rate_hz) and self.rate_hz > 0):
            raise InputError(f"EMG {self.name!r} has a rate of {self.rate_hz} Hz; EMG needs an even, positive rate")

    def as_json(self, *, electrodes: bool = True) -> dict[str, Any]:
        """What `EmgInfo(**…)` takes, as JSON can hold it; perhaps without the electrodes, which are long."""
        return {key: value for key, value in asdict(self).items() if electrodes or key != "electrodes"}


@dataclass(frozen=True, kw_only=True)
class ClockOffset:
    """What is to be added to the device's time to get the host's monotonic time, measured at host time `time_s`.

    uncertainty_s: half of the round trip or whatever bounds the error; None: *unknown*.
    """

    time_s: float
    offset_s: float
    uncertainty_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A break in front of sample `at` of a block.

    missing: samples that should have come, 0 if the clock jumped and none did not. seconds: by the device's clock, from
    the sample before to the one after, less one period. why: in words.
    """

    at: int
    missing: int
    seconds: float
    why: str


@dataclass(frozen=True, kw_only=True, eq=False)
class EmgBlock:
    """Samples that came together, possibly none. Raises `InputError` for NaN, infinity and wrong shapes.

    number: of the first sample, counted since the source was opened, missing ones included. device_s (n,): stamps on
    the device's own clock. emg_uv (n, C). arrival_s: host's monotonic time at which they were all here.
    """

    number: int
    device_s: Array
    emg_uv: Array
    arrival_s: float
    offset: ClockOffset
    gaps: tuple[Gap, ...] = ()

    def __post_init__(self):
        shape = np.shape(self.emg_uv)
        if len(shape) != 2 or np.shape(self.device_s) != shape[:1]:
            raise InputError(
                f"an EMG block has values {shape} and stamps {np.shape(self.device_s)}; wanted (n, C), (n,)"
            )
        if not (np.isfinite(self.emg_uv).all() and np.isfinite(self.device_s).all()):
            raise InputError("an EMG block holds NaN or infinity; what is missing is to be told as a Gap")

    def __len__(self) -> int:
        return len(self.device_s)

    def only(self, first: int) -> "EmgBlock":
        """The block without what comes after the first so many channels."""
        return replace(self, emg_uv=self.emg_uv[:, :first])

    @property
    def host_s(self) -> Array:
        """When each sample was taken, (n,) s of the host's monotonic clock."""
        return self.device_s + self.offset.offset_s


@dataclass(frozen=True, kw_only=True)
class Health:
    """How a source is doing. alive: a sample came within `ALIVE_S`. lost: samples known to be missing. rate_hz: as
    measured over the last 10 s, None until known. problem: in words; empty if nothing is wrong."""

    alive: bool
    received: int
    lost: int
    gaps: int
    rate_hz: float | None
    problem: str


class EmgSource(ABC):
    """A stream of EMG, open from construction to `close`; use it in a `with` block."""

    info: EmgInfo

    @abstractmethod
    def read(self, timeout_s: float = 0.1) -> EmgBlock:
        """All samples that are here, after waiting up to `timeout_s` for the first; an empty block if none came."""

    @abstractmethod
    def health(self) -> Health:
        """How it is doing now."""

    @property
    def ended(self) -> bool:
        """Whether nothing can come any more, as at the end of a file."""
        return False

    @abstractmethod
    def close(self) -> None:
        """Let go of the device; may be called twice, never raises."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def places_of(wanted: Sequence[str], there: Sequence[str], what: str) -> list[int]:
    """Where each wanted channel is among those that are there; case does not matter. None wanted: all of them.

    what: the source, for the one error that names all that is missing. Raises `VocabularyError`, `InputError`.
    """
    known = {name.casefold(): place for place, name in enumerate(there)}
    if len(known) != len(there):
        raise InputError(f"{what} has channels of the same name: {', '.join(there)}; rename them at the sender")
    missing = [name for name in wanted if name.casefold() not in known]
    if missing:
        raise VocabularyError(
            f"{what} lacks {', '.join(missing)} of the {len(wanted)} wanted channels; it has {len(there)}: "
            f"{', '.join(there)}. Rename them at the sender, say what its channels are called, or take another montage"
        )
    return [known[name.casefold()] for name in wanted] if wanted else list(range(len(there)))


def electrodes_at(electrodes: Mapping[str, Any], places: Sequence[int], count: int) -> dict[str, Any]:
    """`EmgInfo.electrodes` of some of `count` channels, or of all in another order."""
    return {
        key: [value[k] for k in places]
        if key in ("derivation", "target_muscles") and isinstance(value, (list, tuple)) and len(value) == count
        else value
        for key, value in electrodes.items()
    }


def microvolts(unit: str, what: str) -> float:
    """Microvolts in a unit. Raises `InputError` for one that is none of `MICROVOLTS`."""
    scale = MICROVOLTS.get(unit.strip().casefold())
    if scale is None:
        raise InputError(f"{what} is in {unit!r}; allowed are uV, mV and V. Say in what unit it is: unit='uV'")
    return scale


class Continuity:
    """Makes blocks of what a device sends: counts samples, finds gaps, leaves out what is no number, measures.

    Stamps may jitter, as those of devices that stamp on arrival do. How much is learnt from stamps that follow each
    other too soon, since lost samples never make them do so; in the first second only gaps above 0.1 s are told,
    unless stamps are known to be even.
    """

    def __init__(self, channels: Sequence[str], rate_hz: float, *, even: bool = False):
        self._channels, self._rate_hz, self._even = tuple(channels), rate_hz, even
        self._number = self._received = self._lost = self._gaps = 0
        self._first_s = self._arrival_s = -math.inf
        self._device_s: float | None = None
        self._jitter_s, self._why, self._broken = 0.0, "", False
        self._marks: deque[tuple[int, float]] = deque()
        self._last: Array | None = None
        self._changed_s = np.zeros(len(self._channels))
        self._odd, self._odd_s = "", -math.inf

    def broke(self, why: str) -> None:
        """The connection broke: whatever comes next comes after a gap."""
        self._broken, self._why = True, why

    def block(self, device_s: Array, emg_uv: Array, arrival_s: float, offset: ClockOffset) -> EmgBlock:
        """The next samples (n, C) µV with their stamps (n,), as a block. Rows with NaN or infinity become gaps."""
        finite = np.isfinite(emg_uv)
        if not finite.all():
            bad = [self._channels[c] for c in np.flatnonzero((~finite).any(axis=0))]
            self._why = self._odd = f"{', '.join(bad)} sent what is no number"
            self._odd_s = arrival_s
            device_s, emg_uv = device_s[finite.all(1)], emg_uv[finite.all(1)]
        number, gaps = self._number, ()
        if len(device_s):
            gaps = self._gaps_before(device_s, arrival_s, offset)
            number += sum(gap.missing for gap in gaps if gap.at == 0)
        block = EmgBlock(number=number, device_s=device_s, emg_uv=emg_uv, arrival_s=arrival_s, offset=offset, gaps=gaps)
        self.note(block)
        return block

    def note(self, block: EmgBlock) -> None:
        """Count a block that knows its gaps, as one that was recorded does."""
        self._lost += sum(gap.missing for gap in block.gaps)
        self._gaps += len(block.gaps)
        if not len(block):
            return
        if self._last is None:
            self._first_s, self._last = block.arrival_s, block.emg_uv[:1]
            self._changed_s[:] = block.arrival_s
        for gap in block.gaps:
            self._odd, self._odd_s = gap.why, block.arrival_s
            if gap.seconds < 0 or gap.missing / self._rate_hz < 0.5 * gap.seconds:  # the clock jumped
                self._marks.clear()
        moved = (np.concatenate([self._last, block.emg_uv]) != self._last).any(0)
        self._changed_s[moved] = block.arrival_s
        self._last, self._device_s = block.emg_uv[-1:], float(block.device_s[-1])
        self._received += len(block)
        self._arrival_s = block.arrival_s
        self._number = block.number + len(block) + sum(gap.missing for gap in block.gaps if gap.at)
        if not self._marks or self._device_s - self._marks[-1][1] >= 1.0:
            self._marks.append((self._number - 1, self._device_s))
            while len(self._marks) > _MEASURED_S + 1:
                self._marks.popleft()

    def health(self, now_s: float, problem: str = "") -> Health:
        """How the stream is doing at host time `now_s`; a problem that the source knows of comes first."""
        age_s, rate_hz = now_s - self._arrival_s, self._measured_hz()
        flat = [
            name
            for name, changed_s in zip(self._channels, self._changed_s.tolist(), strict=True)
            if self._arrival_s - changed_s > 1.0
        ]
        if problem:
            pass
        elif now_s - self._odd_s < 1.0:
            problem = self._odd
        elif age_s > ALIVE_S:
            problem = f"no EMG for {age_s:.1f} s" if math.isfinite(age_s) else "no EMG yet"
        elif flat:
            problem = f"flat: {', '.join(flat)}"
        elif rate_hz is not None and abs(rate_hz / self._rate_hz - 1) > RATE_OFF:
            problem = f"it runs at {rate_hz:.1f} Hz, {rate_hz / self._rate_hz - 1:+.1%} off its {self._rate_hz:g} Hz"
        return Health(
            alive=age_s <= ALIVE_S,
            received=self._received,
            lost=self._lost,
            gaps=self._gaps,
            rate_hz=rate_hz,
            problem=problem,
        )

    def _gaps_before(self, device_s: Array, arrival_s: float, offset: ClockOffset) -> tuple[Gap, ...]:
        """The gaps in front of these samples."""
        period_s = 1 / self._rate_hz
        if self._device_s is None:
            self._broken, self._why = False, ""
            self._device_s, self._arrival_s, self._first_s = float(device_s[0]) - period_s, arrival_s, arrival_s
        steps = np.diff(device_s, prepend=self._device_s)
        passed_s = max(arrival_s - self._arrival_s, 0.0)
        soon = np.max(period_s - steps, where=steps > -_CLOCK_STEP_S, initial=0.0)
        self._jitter_s = max(float(soon), self._jitter_s * math.exp(-passed_s / _JITTER_LASTS_S))
        allowed_s = 1.5 * period_s + 2 * self._jitter_s
        if not self._even and arrival_s - self._first_s < _LEARNING_S:
            allowed_s = max(allowed_s, _LEARNING_GAP_S)
        odd = (steps > allowed_s) | (steps < -_CLOCK_STEP_S)
        odd[0] |= self._broken
        gaps = []
        for at in np.flatnonzero(odd):
            seconds, why = float(steps[at]) - period_s, self._why or "samples are missing"
            missing = max(round(seconds * self._rate_hz), 0)
            early_s = device_s[at] + offset.offset_s - arrival_s
            if seconds < -_CLOCK_STEP_S or early_s > _CLOCK_STEP_S:  # it is the clock that jumped
                why = f"the device's clock jumped by {seconds:+.3f} s" + (f" ({why})" if self._broken else "")
                missing = max(round(passed_s * self._rate_hz) - len(device_s), 0) if self._broken else 0
            gaps.append(Gap(at=int(at), missing=missing, seconds=seconds, why=why))
            self._broken = False
        if gaps:
            self._why = ""
        return tuple(gaps)

    def _measured_hz(self) -> float | None:
        if len(self._marks) < 3:
            return None
        (first, from_s), (last, to_s) = self._marks[0], self._marks[-1]
        return (last - first) / (to_s - from_s) if to_s > from_s else None


__all__ = [
    "ALIVE_S", "MICROVOLTS", "RATE_OFF", "ClockOffset", "Continuity", "EmgBlock", "EmgInfo", "EmgSource", "Gap",
    "Health", "electrodes_at", "microvolts", "places_of",
]  # fmt: skip
