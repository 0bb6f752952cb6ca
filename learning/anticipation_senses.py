"""What an anticipator has seen and heard lately, in the form in which its network takes it.

Both senses forget when their stream breaks: after a gap or a jump of its clock a sense begins anew, and says so. The
moment that a window describes, its reference, is that of the newest picture; EMG, which comes sooner, is known for
somewhat later moments as well. Without pictures the reference follows the EMG.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from ..sim.errors import InputError
from .face_space import FaceSpace
from .signals import SURFACE_BAND_HZ, Preprocessing

Array = NDArray[np.floating]

PERIOD_S = 0.04
FRAMES = 10
"""Faces in a window, `PERIOD_S` apart, newest first."""
BINS = 10
"""EMG bins in a window, each of `PERIOD_S`, newest first."""
EMG_AHEAD_S = 0.06
"""The newest bin ends so long after the reference."""
FORGOTTEN_S = 0.2
"""A sense that has had nothing for so long is of no use."""
_LEAST_FACES = 3
_MOST_UV, _LEAST_UV = 3000.0, 0.1
"""A channel with more or less than this, rms within the band, is dead: a loose or a shorted electrode."""
_FINE = 4
"""Parts of a bin in which energy is summed."""
_KEPT = 2 * BINS * _FINE
_BASELINE_BINS, _BASELINE_LEAST, _BASELINE = 500, 20, 0.2
"""Activity at rest is the 20 % quantile of the last 20 s, known after 0.8 s."""
_LOUDEST = 5.0


_BAND = Preprocessing(band_hz=SURFACE_BAND_HZ, lowpass_hz=None, source="the usable band of facial EMG")


class Eyes:
    """The faces seen last."""

    def __init__(self, space: FaceSpace):
        self._space = space
        self._times = np.zeros(_KEPT_FACES)
        self._faces = np.zeros((_KEPT_FACES, len(space)), np.float32)
        self._count = 0
        self._looked_s: float | None = None
        self._odd = ""

    def see(self, time_s: float, face_m: Array | None) -> None:
        """A picture's face (468, 3) m, None for no face. A clock that jumps makes the eyes begin anew."""
        _checked_time(time_s)
        if self._looked_s is not None and not 0 < time_s - self._looked_s <= 5 * FORGOTTEN_S:
            self._count = 0
            self._odd = f"the camera's clock jumped by {time_s - self._looked_s:+.2f} s"
        elif self._count >= FRAMES:
            self._odd = ""
        self._looked_s = time_s
        if face_m is None:
            return
        if self._count and time_s - self._newest_s > FORGOTTEN_S:
            self._count = 0
        if self._count == _KEPT_FACES:
            half = self._count = _KEPT_FACES // 2
            self._times[:half], self._faces[:half] = self._times[half:], self._faces[half:]
        self._times[self._count], self._faces[self._count] = time_s, self._space.encode(face_m)
        self._count += 1

    def reference_s(self, now_s: float) -> float | None:
        """When the newest face was, if it is of any use now."""
        if self._count < _LEAST_FACES or now_s - self._newest_s > FORGOTTEN_S + PERIOD_S:
            return None
        return self._newest_s

    def window(self) -> Array:
        """Faces (FRAMES, K) mm every `PERIOD_S` back from the newest; before the first the first."""
        times, faces = self._times[: self._count], self._faces
        wanted = np.maximum(times[-1] - _BACK_S, times[0])
        later = np.maximum(times.searchsorted(wanted - 1e-9), 1)
        sooner = later - 1
        since_s = times.take(sooner)
        share = ((wanted - since_s) / (times.take(later) - since_s)).astype(np.float32)
        before = faces.take(sooner, 0)
        return before + share[:, None] * (faces.take(later, 0) - before)

    def problem(self, now_s: float) -> str:
        """What is wrong with the pictures, in words; empty if nothing is."""
        if self._odd:
            return self._odd
        if self._looked_s is None or now_s - self._looked_s > FORGOTTEN_S:
            return "no pictures" if self._looked_s is None else f"no pictures for {now_s - self._looked_s:.1f} s"
        if self.reference_s(now_s) is None:
            return f"no face for {now_s - self._newest_s:.1f} s" if self._count else "no face"
        return ""

    @property
    def newest(self) -> Array:
        """The face (K,) mm seen last; there must be one."""
        return self._faces[self._count - 1]

    @property
    def _newest_s(self) -> float:
        return float(self._times[self._count - 1])


class Ears:
    """The EMG heard last: energy within the usable band in short bins, against what is usual at rest."""

    def __init__(self, channels: tuple[str, ...], rate_hz: float):
        self.channels, self.rate_hz = channels, rate_hz
        self._filter = _BAND.causal(rate_hz)
        self._samples = max(1, round(PERIOD_S / _FINE * rate_hz))
        self._odd = ""
        self._heard_s: float | None = None
        self._rest: deque[Array] = deque(maxlen=_BASELINE_BINS)
        self._baseline: Array | None = None
        self._quiet = np.zeros(len(channels))
        self._counted = 0
        self._begin()

    def _begin(self) -> None:
        """Forget the signal, but not how loud its rest is."""
        self._state = None
        self._left = np.zeros((0, len(self.channels)))
        self._energy = np.zeros((0, len(self.channels)))
        self._alive: NDArray[np.bool_] | None = None
        self._end_s = 0.0

    def hear(self, time_s: float, emg_uv: Array) -> None:
        """The next samples (n, C) µV; the last was taken at `time_s`. Raises `InputError` for another shape."""
        block = np.asarray(emg_uv, float)
        if block.ndim != 2 or block.shape[1] != len(self.channels):
            raise InputError(
                f"EMG: got shape {block.shape}; allowed is (n, {len(self.channels)}) for {', '.join(self.channels)}"
            )
        _checked_time(time_s)
        if not len(block):
            return
        if self._heard_s is not None:
            gap_s = time_s - len(block) / self.rate_hz - self._heard_s
            if abs(gap_s) > PERIOD_S:
                self._begin()
                self._odd = f"{'a gap of' if gap_s > 0 else 'EMG went back by'} {abs(gap_s):.2f} s in the EMG"
        self._heard_s = time_s
        out, self._state = self._filter.step(np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0), self._state)
        pending = np.concatenate([self._left, out])
        whole = len(pending) // self._samples
        cut = whole * self._samples
        self._left = pending[cut:]
        if not whole:
            return
        parts = (pending[:cut].reshape(whole, self._samples, -1) ** 2).mean(1)
        self._energy, self._alive = np.concatenate([self._energy, parts])[-_KEPT:], None
        self._end_s = time_s - len(self._left) / self.rate_hz
        self._learn_rest(whole)
        if len(self._energy) >= BINS * _FINE:
            self._odd = ""

    def reference_s(self, now_s: float) -> float | None:
        """The reference that what was heard last allows, if it is of any use now."""
        if self._baseline is None or len(self._energy) < BINS * _FINE or now_s - self._end_s > FORGOTTEN_S:
            return None
        return self._end_s - EMG_AHEAD_S

    def window(self, reference_s: float) -> tuple[Array, NDArray[np.bool_]]:
        """Loudness (BINS, C) over rest, logarithmic, and which channels live (C,).

        The newest bin ends `EMG_AHEAD_S` after the reference, or with what is known.
        """
        assert self._baseline is not None
        end = self._until(reference_s)
        known = self._energy[max(end - BINS * _FINE, 0) : end]
        if len(known) < BINS * _FINE:
            known = np.concatenate([np.repeat(known[:1], BINS * _FINE - len(known), axis=0), known])
        bins = known.reshape(BINS, _FINE, -1).sum(1)[::-1]
        loudness = 0.5 * np.log(np.maximum(bins, 1e-12)) - self._quiet
        loudness = np.minimum(np.maximum(loudness, -1.0), _LOUDEST)
        return (loudness * self.alive).astype(np.float32), self.alive

    def knows(self, reference_s: float) -> bool:
        """Whether the whole window of a reference has been heard and not been forgotten."""
        whole = self._baseline is not None and reference_s + EMG_AHEAD_S <= self._end_s + PERIOD_S / _FINE
        return whole and self._until(reference_s) >= BINS * _FINE

    def _until(self, reference_s: float) -> int:
        """Where in what is kept a reference's window ends."""
        late = round((self._end_s - reference_s - EMG_AHEAD_S) / (PERIOD_S / _FINE))
        return len(self._energy) - max(late, 0)

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Which channels (C,) have lately been no quieter and no louder than a face can be."""
        alive = self._alive
        if alive is None:
            loud_uv = np.sqrt(self._energy[-BINS * _FINE :].mean(0))
            alive = self._alive = (loud_uv > _LEAST_UV) & (loud_uv < _MOST_UV)
        return alive

    def problem(self, now_s: float) -> str:
        """What is wrong with the EMG, in words; empty if nothing is."""
        if self._odd:
            return self._odd
        if self._heard_s is None or now_s - self._heard_s > FORGOTTEN_S:
            return "no EMG" if self._heard_s is None else f"no EMG for {now_s - self._heard_s:.1f} s"
        if self.reference_s(now_s) is None:
            return "the EMG at rest is not known yet"
        if self.alive.all():
            return ""
        return f"dead channel {', '.join(n for n, lives in zip(self.channels, self.alive, strict=True) if not lives)}"

    def _learn_rest(self, parts: int) -> None:
        self._counted += parts
        while self._counted >= _FINE:
            self._counted -= _FINE
            last = self._energy[len(self._energy) - self._counted - _FINE : len(self._energy) - self._counted]
            if len(last):
                self._rest.append(np.sqrt(last.mean(0)))
        if len(self._rest) >= _BASELINE_LEAST and (self._baseline is None or len(self._rest) % 5 == 0):
            self._baseline = np.maximum(np.quantile(np.array(self._rest), _BASELINE, axis=0), _LEAST_UV)
            self._quiet = np.log(self._baseline) + 0.5 * np.log(_FINE)  # bins are sums of so many parts


_BACK_S = PERIOD_S * np.arange(FRAMES)
_KEPT_FACES = 8 * FRAMES


def _checked_time(time_s: float) -> None:
    if not np.isfinite(time_s):
        raise InputError(f"time: got {time_s}; allowed are finite seconds of one clock")
