"""What the study of six expressions keeps of every person: settled frames, features of windows, her own synergies.

Axes: F frames of the camera, N windows, C channels of the montage `proximal7`, P points, S synergies, Z `SCALES`.
A repetition is one showing of an expression with the neutral face before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..learning.features import SHU_FEATURES
from ..learning.keypoints import CHANNELS, offsets_mm
from ..learning.recognition import NEUTRAL, READINGS, Examples, SynergyFeatures, examples, join
from ..learning.signals import PREPROCESSING, resample
from ..learning.synergy import factorise
from ..sim.person.person import Person
from ..sim.person.protocols import protocol
from ..sim.recording import Event, Recording
from .study import Kept, each

Array = NDArray[np.floating]

SCALES = ("MVC", "own maximum")
"""What EMG is divided by: the largest of the MVC task, as in the paper, or the largest of the expressions."""
RANKS = tuple(range(1, len(CHANNELS) + 1))
RANK = 3
"""Synergies that the paper takes (§ 3.1)."""
REPETITIONS = 12
PEOPLE_A_SEED = 10_000
"""So many people before one seed's meet the next one's."""
CAMERA_HZ = 25.0
_MVC_REPETITIONS, _PAUSE_S = 5, 10.0
"""The paper pauses 10 min (§ 2.3); nobody here tires, so that a pause only takes time."""
_POWERS = np.array([2.0 if name == "var" else 1.0 for name in SHU_FEATURES])


@dataclass(frozen=True, kw_only=True, eq=False)
class Someone:
    """One person, reduced. Frames are those further than 1 s from every transition (paper § 2.4).

    mvc_uv, own_uv (C,): what her EMG is divided by. emg_uv (F, C): smoothed EMG. offset_mm (F, P, 2). label (F,): what
    the screen showed. expression, repetition (F,): to which showing a frame belongs. vaf (Z + 1, ranks) and
    vaf_by_channel (Z + 1, ranks, C): of her synergies, last those of channels turned round in time, each by its own
    lag, which no muscles coordinate. weights (Z, S, C). window_label, window_trial (N,); window_emg (N, C, features)
    of EMG over MVC; window_synergy (Z, N, S, features).
    """

    mvc_uv: Array
    own_uv: Array
    emg_uv: Array
    offset_mm: Array
    label: NDArray[np.str_]
    expression: NDArray[np.str_]
    repetition: NDArray[np.integer]
    vaf: Array
    vaf_by_channel: Array
    weights: Array
    window_label: NDArray[np.str_]
    window_trial: NDArray[np.integer]
    window_emg: Array
    window_synergy: Array

    def scale_uv(self, scale: str) -> Array:
        """What (C,) one of `SCALES` divides by."""
        return self.mvc_uv if scale == SCALES[0] else self.own_uv

    def activity(self, scale: str) -> Array:
        """EMG (F, C) over one of `SCALES`, ≥ 0."""
        return self.emg_uv / self.scale_uv(scale)


def population(kept: Kept, people: int, seed: int, repetitions: int = REPETITIONS) -> dict[int, Someone]:
    """Everybody by number; who was there before is not simulated again."""
    numbers = [PEOPLE_A_SEED * seed + place for place in range(people)]

    def one(number: int) -> Someone:
        settings = {"repetitions": repetitions}
        return Someone(**kept.get(f"person-{number}", settings, lambda: vars(watch(number, repetitions))))

    return dict(zip(numbers, each("people", numbers, one), strict=True))


def watch(number: int, repetitions: int = REPETITIONS) -> Someone:
    """Record somebody's MVC and expression task with the same electrodes, and reduce what was recorded."""
    mvc = protocol("mvc", repetitions=min(_MVC_REPETITIONS, repetitions))
    both = mvc.then(protocol("six-expressions", repetitions=repetitions), pause_s=_PAUSE_S)
    recording = Person.sample(number).perform(
        both, "proximal7", seed=number, tier="interference", quality="wireless bipolar", camera_hz=CAMERA_HZ
    )
    strongest = recording.between(0, mvc.duration_s)["emg"]
    mvc_uv = PREPROCESSING["shu"].mvc_uv(strongest.data, strongest.rate_hz)
    return _reduced(recording.between(mvc.duration_s + _PAUSE_S, recording.end_s), mvc_uv, number)


def seen(people: Sequence[Someone], scale: str) -> Examples:
    """Everybody's windows of EMG over one of `SCALES`."""
    parts = [one.window_emg * (one.mvc_uv / one.scale_uv(scale))[:, None] ** _POWERS for one in people]
    return _examples(people, parts, CHANNELS)


def seen_synergies(people: Sequence[Someone], scale: str, order: NDArray[np.integer]) -> Examples:
    """Everybody's windows of synergies' activations, each person's synergies in an order (people, S)."""
    place = SCALES.index(scale)
    parts = [one.window_synergy[place][:, own] for one, own in zip(people, order, strict=True)]
    return _examples(people, parts, tuple(f"synergy {k + 1}" for k in range(order.shape[1])))


def _examples(people: Sequence[Someone], parts: Sequence[Array], channels: tuple[str, ...]) -> Examples:
    return join(
        [
            Examples(
                part,
                one.window_label,
                np.full(len(part), ""),
                np.full(len(part), place),
                np.zeros(len(part), int),
                one.window_trial,
                channels,
                SHU_FEATURES,
            )
            for place, (one, part) in enumerate(zip(people, parts, strict=True))
        ]
    )


def _reduced(recording: Recording, mvc_uv: Array, seed: int) -> Someone:
    emg, landmarks, reading = recording["emg"], recording["landmarks"], READINGS["shu"]
    smooth_uv = PREPROCESSING["shu"](emg.data, emg.rate_hz)
    shown = recording.kinds("instruction")
    frames, expression, repetition = _settled(shown, landmarks.times_s, reading.settle_s)
    label = np.array([_shown(shown, time) for time in landmarks.times_s[frames]])
    rest_mm = np.mean(landmarks.data[frames][label == NEUTRAL], axis=0)
    emg_uv = np.maximum(resample(smooth_uv, emg.times_s, landmarks.times_s[frames]), 0)
    scales_uv = (mvc_uv, emg_uv.max(0))
    lags = np.random.default_rng([seed, 0x7A6]).integers(len(emg_uv), size=len(CHANNELS))
    turned = np.stack([np.roll(channel, lag) for channel, lag in zip(emg_uv.T, lags, strict=True)], axis=1)
    found = factorise(np.stack([emg_uv / scale for scale in scales_uv] + [turned / scales_uv[1]]), RANKS, seed=seed)
    weights = found.weights[RANK][: len(SCALES)]
    read = examples(recording, reading, mvc_uv=mvc_uv)
    played = [
        examples(recording, reading, mvc_uv=scale, synergies=SynergyFeatures(own.T)).features.astype(np.float32)
        for scale, own in zip(scales_uv, weights, strict=True)
    ]
    return Someone(
        mvc_uv=mvc_uv,
        own_uv=scales_uv[1],
        emg_uv=emg_uv.astype(np.float32),
        offset_mm=offsets_mm(landmarks.data[frames], rest_mm).astype(np.float32),
        label=label,
        expression=expression,
        repetition=repetition,
        vaf=found.vaf,
        vaf_by_channel=found.vaf_by_channel,
        weights=weights,
        window_label=read.label,
        window_trial=read.trial,
        window_emg=read.features.astype(np.float32),
        window_synergy=np.stack(played),
    )


def _settled(shown: Sequence[Event], times_s: Array, settle_s: tuple[float, float]):
    """Frames well within each expression and the neutral face before it, and each one's expression and repetition."""
    frames, expressions, repetitions, count = [], [], [], {}
    for before, event in pairwise(shown):
        if event.label == NEUTRAL:
            continue
        number = count[event.label] = count.get(event.label, -1) + 1
        for one in (before, event):
            early, late = one.onset_s + settle_s[0], one.end_s - settle_s[1]
            rows = np.flatnonzero((times_s >= early - 1e-9) & (times_s < late - 1e-9))
            frames.append(rows)
            expressions += [event.label] * len(rows)
            repetitions += [number] * len(rows)
    return np.concatenate(frames), np.array(expressions), np.array(repetitions)


def _shown(shown: Sequence[Event], time_s: float) -> str:
    return next(event.label for event in shown if event.onset_s <= time_s < event.end_s)


__all__ = [
    "CAMERA_HZ", "PEOPLE_A_SEED", "RANK", "RANKS", "REPETITIONS", "SCALES", "Someone", "population", "seen",
    "seen_synergies", "watch",
]  # fmt: skip
