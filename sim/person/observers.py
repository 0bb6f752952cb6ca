"""Who else says what a face did: FACS letters, two human coders, a name for the expression, agreement.

Truth comes from `behaviour` as intended action units. What coders see is *visible* intensity, (T, A, 2) 0…1: the
same courses after the lag of muscle and skin. The camera as an observer stands in `au_camera`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..facs import LETTERS
from .repertoire import EXPRESSIONS, REPERTOIRES, UNITS, repertoire, unit_index

Array = NDArray[np.floating]

PRESENT = 0.05
"""Intensity under which truth counts an action as absent; half of the trace that A stands for."""


def letters(au: Array, threshold: float = PRESENT) -> NDArray[np.int8]:
    """FACS letters as numbers, 0 absent and 1-5 A-E, of intensities (…) in 0…1; the five equal fifths.

    Raises `InputError` for values outside 0…1.
    """
    au = np.asarray(au, float)
    if not (np.isfinite(au).all() and au.min(initial=0) >= 0 and au.max(initial=0) <= 1):
        raise InputError("intensities must be finite and in 0…1; scale them first")
    codes = 1 + np.minimum((au * len(LETTERS)).astype(np.int8), len(LETTERS) - 1)
    return np.where(au > threshold, codes, 0).astype(np.int8)


# --- Human coders ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Coding:
    """What one coder wrote down: present (T, A), and letter (T, A), 0 absent, 1-5 A-E; sides are not told apart."""

    present: NDArray[np.bool_]
    letter: NDArray[np.int8]


_HARD_TO_SEE = {6: 1.5, 7: 1.5, 11: 1.5, 13: 1.3, 14: 1.3, 23: 1.5, 24: 1.3, 9: 1.1, 17: 1.1}
"""Factors on the visible threshold of actions that show in texture more than in outline; *unknown*, 1-2."""


def _thresholds() -> Array:
    return np.array([0.1 * _HARD_TO_SEE.get(unit.number, 1.0) for unit in UNITS])


@dataclass(frozen=True, kw_only=True)
class Coder:
    """A human FACS coder who marks beginning, end and strength of each action on video.

    threshold (A,): visible intensity at which she calls it. wavering: log-normal SD of it from event to event.
    begin_s, end_s: SDs of where she puts an event's ends (ends are gradual, so later ones scatter more).
    exaggeration: factor on intensity, grading: log-normal SD of it from event to event. shortest_s: shorter events
    are missed, shorter gaps overlooked. frame_s: a mark sits on a frame.

    The scatter was set so that two coders agree on smiles as the distal-EMG paper's do (κ 0.78 for AU6, 0.84 for
    AU12); nothing else was set by it. No source was found for the parts; each may be off by a factor of two.
    """

    threshold: Array
    wavering: float = 0.4
    begin_s: float = 0.25
    end_s: float = 0.5
    exaggeration: float = 1.0
    grading: float = 0.2
    shortest_s: float = 0.1
    frame_s: float = 1 / 30

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Coder":
        """One coder; thresholds log-normal SD 0.25 as a person and 0.25 for each action, exaggeration 0.1."""
        bias = np.exp(0.25 * rng.standard_normal() + 0.25 * rng.standard_normal(len(UNITS)))
        return cls(threshold=_thresholds() * bias, exaggeration=float(np.exp(0.1 * rng.standard_normal())))

    def code(self, visible: Array, rate_hz: float, rng: np.random.Generator) -> Coding:
        """Watch visible intensities (T, A, 2) 0…1 at a rate and write events down. Raises `InputError`."""
        visible = np.asarray(visible, float)
        if visible.ndim != 3 or visible.shape[1:] != (len(UNITS), 2):
            raise InputError(f"visible intensities have shape {visible.shape}; wanted (T, {len(UNITS)}, 2)")
        if not np.isfinite(visible).all():
            raise InputError("visible intensities must be finite")
        if not rate_hz > 0:
            raise InputError(f"rate must be positive, got {rate_hz} Hz")
        course = visible.max(-1)
        present = np.zeros(course.shape, bool)
        letter = np.zeros(course.shape, np.int8)
        blink = unit_index("AU45")
        for row in np.flatnonzero((course > 0.5 * self.threshold).any(0)):
            scale = 0.1 if row == blink else 1.0  # a blink is marked frame by frame
            for start, end in self._events(course[:, row], self.threshold[row], rate_hz, rng):
                begin = start / rate_hz + scale * self.begin_s * rng.standard_normal()
                finish = end / rate_hz + scale * self.end_s * rng.standard_normal()
                marks = np.round(np.array([begin, finish]) / self.frame_s) * self.frame_s * rate_hz
                first, last = np.clip(np.round(marks).astype(int), 0, len(course))
                factor = self.exaggeration * np.exp(self.grading * rng.standard_normal())
                present[first:last, row] = True
                letter[first:last, row] = letters(np.clip(course[first:last, row] * factor, 0, 1), -1.0)
        return Coding(present, letter)

    def _events(self, course: Array, threshold: float, rate_hz: float, rng: np.random.Generator) -> NDArray[np.integer]:
        """(n, 2) samples between which the course is seen."""
        found = _runs(course > 0.5 * threshold)
        criterion = threshold * np.exp(self.wavering * rng.standard_normal(len(found)))
        seen = np.zeros(len(course), bool)
        for (start, end), least in zip(found, criterion, strict=True):
            seen[start:end] = course[start:end] > least
        short = self.shortest_s * rate_hz
        for start, end in _runs(~seen):
            if start > 0 and end < len(seen) and end - start < short:
                seen[start:end] = True
        events = _runs(seen)
        return events[events[:, 1] - events[:, 0] >= short]


def two_coders(visible: Array, rate_hz: float, rng: np.random.Generator) -> tuple[Coding, Coding]:
    """Two people code the same visible intensities (T, A, 2) independently. Raises `InputError`."""
    first, second = Coder.sample(rng), Coder.sample(rng)
    return first.code(visible, rate_hz, rng), second.code(visible, rate_hz, rng)


def _runs(flags: NDArray[np.bool_]) -> NDArray[np.integer]:
    """(n, 2) first and one past the last sample of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2)


def cohen_kappa(first: NDArray, second: NDArray) -> float:
    """Agreement of two codings of one thing beyond chance (Cohen 1960); NaN if both never vary.

    first, second: arrays (…,) of equal shape, of truth values or codes. Raises `InputError`.
    """
    a, b = np.asarray(first).ravel(), np.asarray(second).ravel()
    if a.shape != b.shape or not a.size:
        raise InputError(f"codings must have one shape and not be empty; got {a.shape} and {b.shape}")
    codes = np.union1d(a, b)
    share_a, share_b = ((one[:, None] == codes).mean(0) for one in (a, b))
    expected = float(share_a @ share_b)
    return float("nan") if expected == 1 else float(((a == b).mean() - expected) / (1 - expected))


# --- Expression from action units ------------------------------------------------------------------------------

EXPRESSION_NAMES = ("neutral", *EXPRESSIONS, "unclear")
"""What `name_expressions` answers, by index."""
_UNCLEAR = len(EXPRESSION_NAMES) - 1


def name_expressions(au: Array, threshold: float = 0.1, likeness: float = 0.6) -> NDArray[np.int8]:
    """Which expression action units (T, A, 2) look like, (T,), by `EXPRESSION_NAMES`.

    The one whose units, as posed or as FACS's prototype, lie nearest in angle; one-sided contempt counts on either
    side. "neutral" if no unit but a blink exceeds `threshold`, "unclear" if the cosine stays below `likeness`.
    """
    au = np.array(au, float)
    if au.ndim != 3 or au.shape[1:] != (len(UNITS), 2):
        raise InputError(f"action units have shape {au.shape}; wanted (T, {len(UNITS)}, 2)")
    au[:, unit_index("AU45")] = 0
    models = np.stack([targets for style in REPERTOIRES for targets in repertoire(style)])
    owner = np.tile(np.arange(len(EXPRESSIONS)), len(REPERTOIRES))
    models = np.concatenate([models, models[..., ::-1]]).reshape(2 * len(models), -1)
    owner = np.concatenate([owner, owner])
    models /= np.linalg.norm(models, axis=1, keepdims=True)
    flat = au.reshape(len(au), -1)
    size = np.linalg.norm(flat, axis=1)
    cosine = flat @ models.T / np.maximum(size, 1e-12)[:, None]
    best = cosine.argmax(1)
    named = np.where(cosine.max(1) >= likeness, 1 + owner[best], _UNCLEAR)
    return np.where(flat.max(1, initial=0) > threshold, named, 0).astype(np.int8)
