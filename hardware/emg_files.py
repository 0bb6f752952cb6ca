"""EMG that was recorded, played again as if it came in now.

    with ReplaySource.of_recording(load("person-000.npz")) as source:
        while not source.ended:
            block = source.read()

Blocks come when they came then, counted from the first `read`; unpaced, they come at once and bear the same times.
Stamps of the device are left as they are, the offset to the host's clock is what moves.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..sim.errors import InputError
from ..sim.recording import Recording
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

BLOCK_S = 0.02
"""Length of the blocks into which a recording is cut."""


class ReplaySource(EmgSource):
    """Blocks of EMG, one after the other.

    Args:
        info: what they are.
        blocks: in order of arrival; taken one by one, so that long logs need no memory.
        channels: those wanted, by name; by default all.
        paced: in real time; otherwise as fast as they are read.
    """

    def __init__(
        self,
        info: EmgInfo,
        blocks: Iterable[EmgBlock],
        *,
        channels: Sequence[str] = (),
        paced: bool = True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._places = places_of(channels, info.channels, f"EMG {info.name!r}")
        self.info = replace(
            info,
            channels=tuple(channels) or info.channels,
            electrodes=electrodes_at(info.electrodes, self._places, len(info.channels)),
        )
        self._paced, self._clock, self._sleep = paced, clock, sleep
        self._blocks = iter(blocks)
        self._next: EmgBlock | None = next(self._blocks, None)
        self._shift_s: float | None = None
        self._first = 0 if self._next is None else self._next.number
        self._continuity = Continuity(info.channels, info.rate_hz)
        self._now_s = clock()

    @classmethod
    def of_recording(cls, recording: Recording, *, stream: str = "emg", paced: bool = True) -> "ReplaySource":
        """A recording's EMG; NaN in it becomes gaps. Raises `InputError`, `VocabularyError`."""
        emg = recording[stream]
        if emg.data.ndim != 2:
            raise InputError(f"stream {stream!r} has shape {emg.data.shape}; EMG is (T, channels)")
        electrodes = recording.info.get("electrodes") or {}
        info = EmgInfo(
            name=str(recording.info.get("source") or stream),
            channels=emg.channels or tuple(f"emg{k + 1}" for k in range(emg.data.shape[1])),
            rate_hz=emg.rate_hz,
            clock="recording",
            montage=str(recording.info.get("montage") or ""),
            electrodes=electrodes if isinstance(electrodes, dict) else {},
        )
        scale = microvolts(emg.unit, f"stream {stream!r}")
        return cls(info, _cut(info, emg.times_s, np.asarray(emg.data), scale), paced=paced)

    @property
    def ended(self) -> bool:
        return self._next is None

    def read(self, timeout_s: float = 0.1) -> EmgBlock:
        ready = self._next
        if self._shift_s is None and ready is not None:
            self._shift_s = self._clock() - ready.arrival_s
        if ready is None or self._shift_s is None:
            return self._nothing()
        due_s = ready.arrival_s + self._shift_s
        if self._paced:
            wait_s = due_s - self._clock()
            if wait_s > 0:
                self._sleep(min(wait_s, timeout_s))
            if wait_s > timeout_s:
                return self._nothing()
        self._now_s, self._next = due_s, next(self._blocks, None)
        offset = ready.offset
        block = replace(
            ready,
            number=ready.number - self._first,
            emg_uv=ready.emg_uv[:, self._places],
            arrival_s=due_s,
            offset=replace(offset, time_s=offset.time_s + self._shift_s, offset_s=offset.offset_s + self._shift_s),
        )
        self._continuity.note(block)
        return block

    def health(self) -> Health:
        now_s = self._clock() if self._paced else self._now_s
        return self._continuity.health(now_s, "the recording is over" if self.ended else "")

    def close(self) -> None:
        self._next = None

    def _nothing(self) -> EmgBlock:
        none, now_s = np.zeros((0, len(self.info.channels)), np.float32), self._clock()
        return EmgBlock(
            number=0, device_s=np.zeros(0), emg_uv=none, arrival_s=now_s, offset=ClockOffset(time_s=now_s, offset_s=0.0)
        )


def _cut(info: EmgInfo, times_s: np.ndarray, data: np.ndarray, scale: float) -> Iterator[EmgBlock]:
    """Blocks of a recording, each of which arrives with its last sample."""
    step = max(1, round(BLOCK_S * info.rate_hz))
    continuity, offset = Continuity(info.channels, info.rate_hz, even=True), ClockOffset(time_s=0.0, offset_s=0.0)
    for start in range(0, len(data), step):
        stamps = times_s[start : start + step]
        values = (np.asarray(data[start : start + step], float) * scale).astype(np.float32)
        yield continuity.block(stamps, values, float(stamps[-1]), offset)


__all__ = ["BLOCK_S", "ReplaySource"]
