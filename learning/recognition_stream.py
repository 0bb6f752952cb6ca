"""Recognise while EMG comes in: samples in pieces of any size, probabilities at even steps, and how late they are.

    live = StreamingRecogniser(classifier, READINGS["fer-ee"], 1000.0, channels=10)
    for piece in source:                                # (n, 10) µV
        times_s, probabilities = live.push(piece)       # 20 a second

Filters run forwards only, so what comes out does not depend on how the samples were cut, and equals `offline`.
Train the classifier on `offline_features`, so that it learns from the same filters.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..sim.errors import InputError
from .features import of_windows, samples, window_ends_s
from .recognition import Reading, SynergyFeatures
from .signals import checked_mvc

Array = NDArray[np.floating]


class StreamingRecogniser:
    """A trained classifier at the end of a stream of EMG.

    classifier: fitted on flat features as `Examples.flat`, with `predict_proba`. reading: its windows and filters.
    rate_hz: of the EMG. channels: how many. mvc_uv (C,): maxima to divide by. synergies: read their activations.
    Holds the stream's state; `reset` forgets it. Raises `InputError`.
    """

    def __init__(
        self,
        classifier: Any,
        reading: Reading,
        rate_hz: float,
        channels: int,
        *,
        mvc_uv: ArrayLike | None = None,
        synergies: SynergyFeatures | None = None,
    ):
        if not hasattr(classifier, "predict_proba"):
            raise InputError(f"{type(classifier).__name__} gives no probabilities; take a classifier that does")
        self.classes = tuple(map(str, classifier.classes_))
        self.reading, self.rate_hz, self.channels = reading, float(rate_hz), channels
        self._classifier, self._synergies = classifier, synergies
        self._scale = np.ones(channels) if mvc_uv is None else checked_mvc(mvc_uv, (channels,))
        self._filter = reading.preprocessing.causal(rate_hz)
        self._length, self._step = samples(reading.window_s, rate_hz), samples(reading.step_s, rate_hz)
        self.reset()

    @property
    def latency_s(self) -> float:
        """From a change of the muscle to the first answer read from it alone: window and the filters' delay.

        The answer itself comes up to one step later; the time of computing is not in it.
        """
        return self.reading.window_s + self._filter.delay_s

    @property
    def answers_hz(self) -> float:
        """How often it answers: steps are whole samples."""
        return self.rate_hz / self._step

    def reset(self) -> None:
        """Forget the stream; the next sample is number 0."""
        self._state, self._held, self._seen, self._given = None, None, 0, 0

    def push(self, chunk_uv: ArrayLike) -> tuple[Array, Array]:
        """The next samples (n, channels) µV: times (m,) s of the windows they complete, probabilities (m, K).

        A time is that of the window's last sample, the stream's first sample being 0 s. Raises `InputError` for a
        wrong number of channels or NaN, before anything is taken in.
        """
        chunk = np.asarray(chunk_uv, float)
        if chunk.ndim != 2 or chunk.shape[1] != self.channels:
            raise InputError(f"a chunk must be (n, {self.channels}), got {chunk.shape}")
        if not len(chunk):
            return np.empty(0), np.empty((0, len(self.classes)))
        filtered, self._state = self._filter.step(chunk, self._state)
        fresh = self._activity(filtered)
        held = fresh if self._held is None else np.concatenate([self._held, fresh])
        self._seen += len(chunk)
        start = self._seen - len(held)  # number of the first sample held
        ends = np.arange(self._given * self._step + self._length, self._seen + 1, self._step)
        parts = np.stack([held[end - self._length - start : end - start] for end in ends]) if len(ends) else None
        self._given += len(ends)
        self._held = held[max(self._given * self._step - start, 0) :]
        if parts is None:
            return np.empty(0), np.empty((0, len(self.classes)))
        return (ends - 1) / self.rate_hz, self._name(of_windows(parts, self.rate_hz, self.reading.features))

    def offline(self, emg_uv: ArrayLike) -> tuple[Array, Array]:
        """What `push` would have given for a whole recording (T, channels) µV; the stream is left alone."""
        times, read = self.offline_features(emg_uv)
        return times, self._name(read)

    def offline_features(self, emg_uv: ArrayLike) -> tuple[Array, Array]:
        """Times (W,) s and features (W, C, F) of a whole recording through the forward filters."""
        filtered, _ = self._filter.step(emg_uv)
        read = self.reading.read(self._activity(filtered), self.rate_hz)
        return window_ends_s(len(read), self.rate_hz, self.reading.window_s, self.reading.step_s), read

    def _activity(self, filtered: Array) -> Array:
        scaled = filtered / self._scale
        return scaled if self._synergies is None else self._synergies.transform(scaled)

    def _name(self, read: Array) -> Array:
        return self._classifier.predict_proba(read.transpose(0, 2, 1).reshape(len(read), -1))


__all__ = ["StreamingRecogniser"]
