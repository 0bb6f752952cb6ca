"""From what somebody means to show to the drive of her muscles, moment by moment.

An `Act` is one expression, action unit, blink, stretch of speech or chewing; `perform` turns acts into action
units, excitation and labels on the control clock. What can be asked for stands in `repertoire`, how one person
does it in `habits`, when in `protocols`. The action units here are the drive's: what becomes visible, and how
much later, is up to muscle and skin.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from ..errors import InputError
from ..facs import LETTERS
from .anatomy import MUSCLES
from .habits import KINDS, Habits, timing
from .repertoire import (
    CHEEK_FIRST,
    DUCHENNE,
    ELEVATORS,
    EXPRESSIONS,
    JAW_OPENERS,
    LIPS_PART_IN_SMILE,
    PAIRED_UNITS,
    UNITS,
    excite,
    resolve,
    unit_index,
)
from .rhythms import RHYTHMS, blinks, ramp

__all__ = ["KINDS", "PHASES", "UNITS", "Act", "Behaviour", "Episode", "Habits", "perform", "unit_index"]

Array = NDArray[np.floating]

PHASES = ("neutral", "onset", "apex", "offset")
NEUTRAL = "neutral"
SMILE = "smile"
_CHEEK, _CORNER, _PARTED = unit_index("AU6"), unit_index("AU12"), unit_index("AU25")


@dataclass(frozen=True, kw_only=True)
class Act:
    """Something to do with the face.

    what: an expression, "smile", action units ("AU12", "1+2", "R12"), "blink", "eyes closed", "speech" or
      "chewing". onset_s: when the drive starts.
    rise_s, hold_s, fall_s: phases; None leaves them to kind and person. The hold starts when the rise has ended.
    intensity: 0…1 of the full range (for chewing, drive of the elevators). asymmetry: −1…1, + left stronger.
    kind: "posed" or "spontaneous". label: for events, if not `what`.
    Raises `VocabularyError`, `InputError`.
    """

    what: str
    onset_s: float
    rise_s: float | None = None
    hold_s: float | None = None
    fall_s: float | None = None
    intensity: float = 0.7
    asymmetry: float = 0.0
    kind: str = "posed"
    label: str = ""

    def __post_init__(self) -> None:
        timing(self.kind)
        if self.what not in (*EXPRESSIONS, SMILE, *RHYTHMS):
            resolve(self.what)
        if not 0 <= self.intensity <= 1:
            raise InputError(f"intensity of {self.what!r} must be 0…1, got {self.intensity}")
        if not -1 <= self.asymmetry <= 1:
            raise InputError(f"asymmetry of {self.what!r} must be −1…1 (+ left stronger), got {self.asymmetry}")
        times = [0.0 if value is None else value for value in (self.rise_s, self.hold_s, self.fall_s)]
        if not np.isfinite([self.onset_s, *times]).all() or min(times) < 0:
            raise InputError(f"onset of {self.what!r} must be finite and its phases not negative, in s; got {self}")

    @property
    def expression(self) -> str:
        """Label of the expression: a smile is happiness, speech and chewing leave the face neutral."""
        return NEUTRAL if self.what in RHYTHMS else "happiness" if self.what == SMILE else self.what


@dataclass(frozen=True)
class Episode:
    """Something with a beginning and an end; source: "cue" (an instruction), "act" or "blink"."""

    onset_s: float
    duration_s: float
    label: str
    intensity: float
    source: str
    kind: str = ""


@dataclass(frozen=True, eq=False)
class Behaviour:
    """What a face does, on the control clock.

    time_s (T,). au (T, A, 2) 0…1: intended units by `UNITS`, right and left. excitation (T, 48) 0…1 by
    `anatomy.MUSCLES`. expression (T,): index into `expressions`, 0 is neutral. phase (T,): index into `PHASES`.
    letter (T,): asked intensity of the labelled act, 0 none, 1-5 A-E. episodes: acts and blinks in order.
    """

    time_s: Array
    au: Array
    excitation: Array
    expression: NDArray[np.integer]
    expressions: tuple[str, ...]
    phase: NDArray[np.integer]
    letter: NDArray[np.integer]
    episodes: tuple[Episode, ...]

    @property
    def labels(self) -> NDArray[np.str_]:
        """Name of the expression at each moment, (T,)."""
        return np.array(self.expressions)[self.expression]

    @property
    def phases(self) -> NDArray[np.str_]:
        """Name of the phase at each moment, (T,)."""
        return np.array(PHASES)[self.phase]


def perform(
    acts: Sequence[Act], habits: Habits, *, rate_hz: float, duration_s: float, rng: np.random.Generator
) -> Behaviour:
    """Act by act, what a person with these habits does in `duration_s` at a control rate.

    Acts may overlap (their drives add up); the strongest names the moment. What lies outside 0…duration is cut.
    Raises `InputError` for a rate below 50 Hz, which cannot carry a blink, or an impossible duration.
    """
    if not (np.isfinite(rate_hz) and rate_hz >= 50):
        raise InputError(f"control rate must be at least 50 Hz, got {rate_hz}; use the EMG rate / 8")
    if not (np.isfinite(duration_s) and duration_s > 0):
        raise InputError(f"duration must be positive and finite, got {duration_s} s")
    stage = _Stage(round(duration_s * rate_hz), rate_hz)
    for act in sorted(acts, key=lambda one: one.onset_s):
        stage.play(act, habits, rng)
    lids, found = blinks(habits, stage.time_s, rng)
    stage.au[:, unit_index("AU45")] = np.maximum(stage.au[:, unit_index("AU45")], lids[:, None])
    stage.episodes += [Episode(float(onset), 0.256, "blink", float(depth), "blink") for onset, depth in found]
    return Behaviour(
        time_s=stage.time_s,
        au=stage.au,
        excitation=_drive(stage, habits, rate_hz, rng),
        expression=stage.expression,
        expressions=tuple(stage.names),
        phase=stage.phase,
        letter=stage.letter,
        episodes=tuple(sorted(stage.episodes, key=lambda one: one.onset_s)),
    )


class _Stage:
    """The arrays of one performance while acts are added."""

    def __init__(self, samples: int, rate_hz: float):
        self.time_s = np.arange(samples) / rate_hz
        self.rate_hz = rate_hz
        self.au = np.zeros((samples, len(UNITS), 2))
        self.extra = np.zeros((samples, len(MUSCLES)))
        self.tension = np.zeros(samples)
        self.expression = np.zeros(samples, np.int16)
        self.phase = np.zeros(samples, np.int8)
        self.letter = np.zeros(samples, np.int8)
        self.names: list[str] = [NEUTRAL]
        self.episodes: list[Episode] = []
        self._strongest = np.zeros(samples)

    def play(self, act: Act, habits: Habits, rng: np.random.Generator) -> None:
        rise, hold, fall = _phases(act, habits, rng)
        targets, lags = _targets(act, habits, rng)
        rows = np.flatnonzero(targets.any(1))
        early, late = (min(0.0, lags[rows].min()), max(0.0, lags[rows].max())) if len(rows) else (0.0, 0.0)
        start, end = act.onset_s + early, act.onset_s + rise + hold + fall + late
        span = slice(*np.searchsorted(self.time_s, (start, end)))
        self.episodes.append(
            Episode(float(start), float(end - start), act.label or act.what, act.intensity, "act", act.kind)
        )
        since = self.time_s[span] - act.onset_s
        if not len(since):
            return
        envelope = _course(since, rise, hold, fall)
        if act.what in RHYTHMS:
            au, extra = RHYTHMS[act.what](habits, since, act.intensity, rng)
            self._add(span, slice(None), au * envelope[:, None, None])
            self.extra[span] = 1 - (1 - self.extra[span]) * (1 - extra * envelope[:, None])
            return
        wander = timing(act.kind).unsteady * (_wander(len(since), 1.0, self.rate_hz, rng) if habits.jitter else 0.0)
        courses = _course(since[:, None] - lags[rows], rise, hold, fall) * np.clip(1 + wander, 0, 2)[..., None]
        self._add(span, rows, np.clip(courses[..., None] * targets[rows], 0, 1))
        level = habits.cocontraction[EXPRESSIONS.index(act.expression) if act.expression in EXPRESSIONS else -1]
        level *= act.intensity * (np.exp(2 * habits.jitter * rng.standard_normal()) if habits.jitter else 1.0)
        self.tension[span] += level * envelope
        self._name(act, span, envelope, since, rise, hold)

    def _add(self, span: slice, rows, au: Array) -> None:
        window = self.au[span]
        window[:, rows] = 1 - (1 - window[:, rows]) * (1 - au)

    def _name(self, act: Act, span: slice, envelope: Array, since: Array, rise: float, hold: float) -> None:
        if act.what == "blink" or not act.intensity:
            return
        if act.expression not in self.names:
            self.names.append(act.expression)
        strength = act.intensity * np.maximum(envelope, 1e-3)
        index = np.flatnonzero(strength > self._strongest[span]) + span.start
        when = since[index - span.start]
        self._strongest[index] = strength[index - span.start]
        self.expression[index] = self.names.index(act.expression)
        self.phase[index] = np.where(when < rise, 1, np.where(when < rise + hold, 2, 3))
        self.letter[index] = 1 + min(int(act.intensity * len(LETTERS)), len(LETTERS) - 1)


def _phases(act: Act, habits: Habits, rng: np.random.Generator) -> tuple[float, float, float]:
    """Rise, hold and fall (s): as asked, else as the person does it this time."""
    usual = timing(act.kind)
    if act.what == "blink":
        given, typical, spread = (act.rise_s, act.hold_s, act.fall_s), (0.08, 0.03, 0.16), 0.1
    else:
        given, typical, spread = (
            (act.rise_s, act.hold_s, act.fall_s),
            (usual.rise_s, usual.hold_s, usual.fall_s),
            usual.spread,
        )
    draws = np.exp(spread * rng.standard_normal(3)) if habits.jitter else np.ones(3)
    rise, hold, fall = (
        value if value is not None else median * draw / pace
        for value, median, draw, pace in zip(given, typical, draws, (habits.pace, 1.0, habits.pace), strict=True)
    )
    return rise, hold, fall


def _targets(act: Act, habits: Habits, rng: np.random.Generator) -> tuple[Array, Array]:
    """Intensity (A, 2) 0…1 of each unit in this act, and the lag (A,) s of its start."""
    usual = timing(act.kind)
    lags = np.zeros(len(UNITS))
    if act.what in RHYTHMS:
        return np.zeros((len(UNITS), 2)), lags
    if act.what == SMILE:
        targets = _smile(act.kind, habits, rng)
    elif act.what in EXPRESSIONS:
        targets = habits.expressions[EXPRESSIONS.index(act.what)]
    else:
        targets = resolve(act.what)
    effort = habits.effort if act.what in (*EXPRESSIONS, SMILE) else 1.0
    targets = targets * min(1.0, act.intensity * effort)
    lean = np.full(len(UNITS), act.asymmetry) + habits.asymmetry
    if habits.jitter:
        shared, own = rng.standard_normal(), rng.standard_normal(len(UNITS))
        mixed = np.sqrt(usual.linked) * shared + np.sqrt(1 - usual.linked) * own
        targets = targets * np.exp(habits.jitter * mixed)[:, None]
        lean = lean + 0.3 * habits.jitter * rng.standard_normal(len(UNITS))
        lags = usual.scatter_s * rng.standard_normal(len(UNITS))
        lead = usual.cheek_lead_s * abs(rng.standard_normal())
        lags[_CHEEK] = lags[_CORNER] + (-lead if rng.random() < CHEEK_FIRST[act.kind] else lead)
    lean = np.clip(np.where(PAIRED_UNITS, lean, 0.0), -1, 1)
    targets = targets * np.stack([1 - np.maximum(lean, 0), 1 + np.minimum(lean, 0)], -1)
    return np.clip(targets, 0, 1), lags


def _smile(kind: str, habits: Habits, rng: np.random.Generator) -> Array:
    """Units of one smile: this time with or without raised cheeks and parted lips."""
    targets = np.zeros((len(UNITS), 2))
    targets[_CORNER] = 1.0
    if rng.random() < DUCHENNE[kind] or not habits.jitter:
        targets[_CHEEK] = 0.8
    if rng.random() < LIPS_PART_IN_SMILE and habits.jitter:
        targets[_PARTED] = 0.7
    return targets


def _course(since: Array, rise: float, hold: float, fall: float) -> Array:
    up = ramp(since / rise) if rise else (since >= 0).astype(float)
    down = since - rise - hold
    return up * (1 - ramp(down / fall)) if fall else up * (down < 0)


def _drive(stage: _Stage, habits: Habits, rate_hz: float, rng: np.random.Generator) -> Array:
    """Excitation (T, 48): units, rhythms, tension and tone, none of them steady."""
    idle = 1 - excite(stage.au, habits.weights).T
    if stage.extra.any():
        idle *= 1 - stage.extra.T
    beside = np.outer(habits.cocontraction_pattern, stage.tension)
    beside += habits.tone[:, None]
    open_ = stage.au[:, [unit_index(code) for code in JAW_OPENERS]].max((1, 2))
    beside[list(ELEVATORS)] *= 1 - open_
    idle *= 1 - np.minimum(beside, 1)
    total = np.subtract(1, idle, out=idle)
    if habits.fluctuation or habits.tremor:
        noise = habits.fluctuation * _wander(total.size, 2.0, rate_hz, rng)
        noise += habits.tremor * _tremor(total.size, rate_hz, rng)
        total *= 1 + noise.reshape(total.shape)
    return np.clip(total, 0, 1, out=total).T.copy()


def _wander(samples: int, cutoff_hz: float, rate_hz: float, rng: np.random.Generator) -> Array:
    """Noise (samples,) of SD 1 below a cut-off: two poles."""
    a = np.exp(-2 * np.pi * cutoff_hz / rate_hz)
    gain = np.sqrt((1 - a * a) ** 3 / (1 + a * a))
    return _coloured(samples, (gain, 2 * a, -a * a), rng)


def _tremor(samples: int, rate_hz: float, rng: np.random.Generator) -> Array:
    """Noise (samples,) of SD 1 around 10 Hz, 4 Hz wide."""
    r, w = np.exp(-np.pi * 4.0 / rate_hz), 2 * np.pi * 10.0 / rate_hz
    gain = np.sqrt((1 - r * r) * ((1 + r * r) ** 2 - 4 * r * r * np.cos(w) ** 2) / (1 + r * r))
    return _coloured(samples, (gain, 2 * r * np.cos(w), -r * r), rng)


def _coloured(samples: int, coefficients: tuple[float, float, float], rng: np.random.Generator) -> Array:
    """Second-order autoregression y = gain·white + b·y₋₁ + c·y₋₂ after its start has died away."""
    gain, b, c = coefficients
    settle = 64
    white = rng.standard_normal(samples + settle, np.float32)
    poles = np.array([1, -b, -c], np.float32)
    return np.asarray(lfilter(np.array([gain], np.float32), poles, white))[settle:]
