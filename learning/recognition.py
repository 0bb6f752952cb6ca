"""Recognise expressions and their intensity from EMG: how recordings become examples, and what learns from them.

    read = READINGS["fer-ee"]
    seen = join([examples(recording, read, person=k) for k, recording in enumerate(recordings)])
    reader = CLASSIFIERS["fer-ee"](0).fit(seen.flat, seen.label)

    own = SynergyFeatures(synergies)                     # (C, K), fitted elsewhere: `learning/synergy.py`
    seen = examples(recording, READINGS["shu"], mvc_uv=mvc_uv, synergies=own)
    reader = forest(0).fit(seen.flat, seen.label)

How well they do on what they have not seen: `recognition_scores`. Live: `recognition_stream`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import non_negative_factorization
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler
from sklearn.svm import SVC

from ..sim.errors import InputError, VocabularyError
from ..sim.facs import LETTERS
from ..sim.recording import Recording
from .features import FER_EE_FEATURES, SHU_FEATURES, features, window_ends_s
from .fer_ee import FerEe
from .signals import PREPROCESSING, Preprocessing

Array = NDArray[np.floating]

NEUTRAL = "neutral"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How EMG is turned into examples.

    settle_s: what is left out after an instruction appears and before the next one. neutral: whether rest is a
    class. source: paper, and what it leaves open.
    """

    preprocessing: Preprocessing
    features: tuple[str, ...]
    window_s: float
    step_s: float
    settle_s: tuple[float, float]
    neutral: bool
    source: str

    def read(self, signal: ArrayLike, rate_hz: float) -> Array:
        """Features (W, C, F) of a pre-processed signal (T, C)."""
        return features(signal, rate_hz, self.features, window_s=self.window_s, step_s=self.step_s)


READINGS: Mapping[str, Reading] = MappingProxyType(
    {
        "shu": Reading(
            preprocessing=PREPROCESSING["shu"],
            features=SHU_FEATURES,
            window_s=0.15,
            step_s=0.04,
            settle_s=(1.0, 1.0),
            neutral=True,
            source="skin-musculoskeletal paper § 2.4-2.5: 150 ms every 40 ms, 1 s left out at every transition. "
            "It also says 125 samples, which at 1,024 Hz are 122 ms",
        ),
        "fer-ee": Reading(
            preprocessing=PREPROCESSING["fer-ee"],
            features=FER_EE_FEATURES,
            window_s=0.2,
            step_s=0.05,
            settle_s=(1.0, 0.0),
            neutral=False,
            source="epidermal-electrode paper § 2.3: 200 samples at 1 kHz, 20 frames a second, seven expressions; "
            "what is left out while the face still moves is *unknown*, here the first second",
        ),
    }
)
"""The two papers' ways by name."""


class SynergyFeatures(TransformerMixin, BaseEstimator):
    """Activations of known muscle synergies: non-negative least squares, a sample at a time.

    synergies: (C, K), non-negative, in the channels' order. There is nothing to fit. scikit-learn's coordinate
    descent solves it with the synergies held still.
    """

    def __init__(self, synergies: ArrayLike):
        self.synergies = synergies

    def fit(self, X: ArrayLike, y: object = None) -> "SynergyFeatures":
        """Check the synergies against a signal (T, C)."""
        self.transform(np.asarray(X)[:1])
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Activations (T, K) ≥ 0 that come nearest to a signal (T, C). Raises `InputError`."""
        synergies, signal = np.asarray(self.synergies, float), np.asarray(X, float)
        if synergies.ndim != 2 or not np.isfinite(synergies).all() or (synergies < 0).any():
            raise InputError(f"synergies must be finite, non-negative and (C, K), got shape {synergies.shape}")
        lengths = np.linalg.norm(synergies, axis=0)
        if not (lengths > 0).all():
            raise InputError("a synergy without any muscle has no activation; leave it out")
        if signal.ndim != 2 or signal.shape[1] != len(synergies) or not np.isfinite(signal).all():
            raise InputError(f"a signal must be finite and (T, {len(synergies)}), got shape {signal.shape}")
        found, _, _ = non_negative_factorization(
            np.maximum(signal, 0.0),  # what is negative is no activity
            H=np.ascontiguousarray((synergies / lengths).T),
            n_components=synergies.shape[1],
            init="custom",
            update_H=False,
            tol=1e-9,
            max_iter=5000,
        )
        return found / lengths


@dataclass(frozen=True, eq=False)
class Examples:
    """Features of windows with what is known about each of them, (N,) all.

    features: (N, C, F). label: expression. intensity: FACS letter, "" where none was asked for. person, batch, trial:
    integers; a batch is one wearing of the electrodes, a trial one instruction; both are numbered within a person.
    """

    features: Array
    label: NDArray[np.str_]
    intensity: NDArray[np.str_]
    person: NDArray[np.integer]
    batch: NDArray[np.integer]
    trial: NDArray[np.integer]
    channels: tuple[str, ...]
    names: tuple[str, ...]

    def __post_init__(self):
        shape = (len(self.label), len(self.channels), len(self.names))
        if self.features.shape != shape or not np.isfinite(self.features).all():
            raise InputError(f"features must be finite and {shape}, got shape {self.features.shape}")
        for name in ("label", "intensity", "person", "batch", "trial"):
            if getattr(self, name).shape != shape[:1]:
                raise InputError(f"{name} must be {shape[:1]}, got {getattr(self, name).shape}")

    def __len__(self) -> int:
        return len(self.label)

    @property
    def flat(self) -> Array:
        """Features (N, F · C) for a classifier, feature by feature."""
        return self.features.transpose(0, 2, 1).reshape(len(self), -1)

    @property
    def wearing(self) -> NDArray[np.integer]:
        """Number (N,) of each person's each batch."""
        return np.unique(np.stack([self.person, self.batch], 1), axis=0, return_inverse=True)[1].reshape(-1)

    def take(self, rows: NDArray[Any]) -> "Examples":
        """Some rows, by number or mask (N,)."""
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return replace(self, **columns)

    def only(self, channels: Sequence[str]) -> "Examples":
        """Some channels, in the order given. Raises `VocabularyError` listing them."""
        return replace(self, features=self.features[:, self.places(channels)], channels=tuple(channels))

    def places(self, channels: Sequence[str]) -> list[int]:
        """Where channels stand along the second axis."""
        missing = [name for name in channels if name not in self.channels]
        if missing or not len(channels):
            raise VocabularyError(
                f"no channels {', '.join(missing) or '(none given)'}; there are {', '.join(self.channels)}"
            )
        return [self.channels.index(name) for name in channels]

    def scaled_by_batch(self) -> "Examples":
        """Every feature by the median and interquartile range of its own batch, as the epidermal-electrode paper's
        figure 3b-d has it. It needs no labels, but the whole batch, so it is not what a live reader can do."""
        scaled, flat, wearing = np.empty_like(self.features), self.features.reshape(len(self), -1), self.wearing
        for one in np.unique(wearing):
            rows = wearing == one
            scaled[rows] = RobustScaler().fit_transform(flat[rows]).reshape(-1, *self.features.shape[1:])
        return replace(self, features=scaled)


def examples(
    recording: Recording,
    reading: Reading,
    *,
    person: int = 0,
    mvc_uv: ArrayLike | None = None,
    synergies: SynergyFeatures | None = None,
) -> Examples:
    """The windows of a recording that lie within one instruction, less `settle_s`, labelled with it: "fear", or
    "fear C" where an intensity was asked for.

    mvc_uv (C,): maxima for a pre-processing that divides by them. synergies: read their activations instead of the
    channels. Batches are the wearings in `recording.info`. Raises `InputError` where no window is left.
    """
    emg = recording["emg"]
    signal = reading.preprocessing(emg.data, emg.rate_hz, mvc_uv=mvc_uv)
    channels = emg.channels
    if synergies is not None:
        signal = synergies.fit(signal).transform(signal)
        channels = tuple(f"synergy {k + 1}" for k in range(signal.shape[1]))
    read = reading.read(signal, emg.rate_hz)
    ends = window_ends_s(len(read), emg.rate_hz, reading.window_s, reading.step_s, emg.start_s)
    starts = ends - reading.window_s + 1 / emg.rate_hz
    worn = [one["start_s"] for one in recording.info.get("wearings", [{"start_s": emg.start_s}])]
    rows, columns = [], []
    shown = [event for event in recording.events if event.kind == "instruction"]
    for trial, event in enumerate(shown):
        if event.label == NEUTRAL and not reading.neutral:
            continue
        early, late = event.onset_s + reading.settle_s[0], event.end_s - reading.settle_s[1]
        inside = np.flatnonzero((starts >= early - 1e-9) & (ends < late))
        batch = int(np.searchsorted(worn, event.onset_s + 1e-6)) - 1
        name, _, grade = event.label.rpartition(" ")
        name, grade = (name, grade) if name and grade in LETTERS else (event.label, "")
        rows.append(inside)
        columns += [(name, grade, person, batch, trial)] * len(inside)
    if not columns:
        raise InputError(
            f"no window of {reading.window_s} s lies within an instruction; are there events of that kind?"
        )
    label, intensity, *numbers = zip(*columns, strict=True)
    return Examples(
        read[np.concatenate(rows)],
        np.array(label),
        np.array(intensity),
        *(np.array(one) for one in numbers),
        channels=channels,
        names=reading.features,
    )


def join(parts: Sequence[Examples]) -> Examples:
    """Examples of several recordings; a person, batch and trial keep their numbers. Raises `InputError`."""
    if not len(parts) or any((one.channels, one.names) != (parts[0].channels, parts[0].names) for one in parts):
        raise InputError("examples can be joined if they have the same channels and features; give at least one")
    return replace(parts[0], **{name: np.concatenate([getattr(one, name) for one in parts]) for name in _COLUMNS})


_COLUMNS = ("features", "label", "intensity", "person", "batch", "trial")


def forest(random_state: int = 0) -> RandomForestClassifier:
    """The skin-musculoskeletal paper's classifier (§ 2.5.2): scikit-learn's defaults, 100 trees."""
    return RandomForestClassifier(n_estimators=100, random_state=random_state)


CLASSIFIERS: Mapping[str, Callable[[int], Any]] = MappingProxyType(
    {
        "fer-ee": lambda seed: FerEe(random_state=seed),
        "svm": lambda seed: make_pipeline(RobustScaler(), SVC(random_state=seed)),
        "random forest": lambda seed: make_pipeline(RobustScaler(), forest(seed)),
        "k-nn": lambda seed: make_pipeline(RobustScaler(), KNeighborsClassifier()),
        "lda": lambda seed: make_pipeline(RobustScaler(), LinearDiscriminantAnalysis()),
        "mlp": lambda seed: make_pipeline(RobustScaler(), MLPClassifier(random_state=seed)),
    }
)
"""Classifiers by name, each made from a seed; those beside FER-EE are scikit-learn's with its defaults, since the
paper (figure 3f) gives no settings. All scale features by median and interquartile range of the training set."""


__all__ = [
    "CLASSIFIERS",
    "NEUTRAL",
    "READINGS",
    "Examples",
    "Reading",
    "SynergyFeatures",
    "examples",
    "forest",
    "join",
]
