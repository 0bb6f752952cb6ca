"""What people are asked to do, and when: the papers' schedules and a few short ones, as data.

`protocol("smiles")` is a `Protocol`: cues on a screen and free stretches. `Protocol.acts` draws what a person then
does: she answers a cue after her reaction time and lets go as late; in a free stretch she smiles when she will.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from ..errors import InputError, VocabularyError
from ..facs import FER_EE_EXPRESSIONS, LETTERS, SHU_EXPRESSIONS, intensity
from .behaviour import NEUTRAL, SMILE, Act, Episode
from .habits import Habits, timing
from .repertoire import EXPRESSIONS, MVC_ACTIONS, UNITS

POSED_INTENSITY = 0.7
"""Of the full range when people are asked for an expression and no intensity; *unknown*, 0.5-0.9."""
SMILES_PER_MIN = 4.0
SMILE_HOLD_S = {"spontaneous": 3.0, "posed": 3.0}
"""Rate and hold of smiles in a free stretch: with rise and fall they last 4-5 s and fill a quarter of the time,
as Table 1 of the distal-EMG paper implies (accuracy, precision and recall of the camera: AU6 25 %, AU12 25 %)."""
SMILE_INTENSITY = {"spontaneous": 0.5, "posed": 0.65}
"""Medians, log-normal SD 0.3; *unknown* (0.3-0.8), posed ones being larger (Schmidt et al. 2006)."""


@dataclass(frozen=True, kw_only=True)
class Cue:
    """An instruction shown for `duration_s`: an act's `what`, or "neutral"."""

    what: str
    onset_s: float
    duration_s: float
    intensity: float = POSED_INTENSITY
    kind: str = "posed"
    label: str = ""

    @property
    def episode(self) -> Episode:
        """The instruction as an event."""
        shown = 0.0 if self.what == NEUTRAL else self.intensity
        return Episode(self.onset_s, self.duration_s, self.label or self.what, shown, "cue", self.kind)


@dataclass(frozen=True, kw_only=True)
class FreeStretch:
    """A stretch in which smiles come at random, `rate_per_min`, of one kind."""

    label: str
    onset_s: float
    duration_s: float
    kind: str
    rate_per_min: float = SMILES_PER_MIN

    @property
    def episode(self) -> Episode:
        """The stretch as an event."""
        return Episode(self.onset_s, self.duration_s, self.label, 0.0, "cue", self.kind)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A schedule. wearings_s: when the electrodes are put on (anew); the first is 0."""

    name: str
    duration_s: float
    cues: tuple[Cue, ...] = ()
    stretches: tuple[FreeStretch, ...] = ()
    wearings_s: tuple[float, ...] = (0.0,)
    source: str = ""

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """Everything that is shown or announced, in order."""
        shown = [entry.episode for entry in (*self.cues, *self.stretches)]
        return tuple(sorted(shown, key=lambda one: one.onset_s))

    def acts(self, habits: Habits, rng: np.random.Generator) -> tuple[Act, ...]:
        """What a person does, in order. An answer starts one reaction time after its cue and ends with the cue,
        again one reaction time late (both drawn); if the cue is shorter than rise, the rise is cut short."""
        answers = [_answer(cue, habits, rng) for cue in self.cues if cue.what != NEUTRAL]
        free = [act for stretch in self.stretches for act in _smiles(stretch, habits, rng)]
        return tuple(sorted((*answers, *free), key=lambda act: act.onset_s))

    def then(self, other: "Protocol", pause_s: float = 0.0) -> "Protocol":
        """This schedule, a pause and the other, worn once unless the other says otherwise."""
        shift = self.duration_s + pause_s
        return Protocol(
            name=f"{self.name}+{other.name}",
            duration_s=shift + other.duration_s,
            cues=self.cues + tuple(replace(cue, onset_s=cue.onset_s + shift) for cue in other.cues),
            stretches=self.stretches + tuple(replace(one, onset_s=one.onset_s + shift) for one in other.stretches),
            wearings_s=self.wearings_s + tuple(start + shift for start in other.wearings_s[1:]),
            source="; ".join(filter(None, (self.source, other.source))),
        )


def protocol(name: str, **scale) -> Protocol:
    """A schedule by name, at the papers' size unless scaled.

    "expressions": each of the seven once; "single-aus": each unit of `units` once; "mvc"; "six-expressions";
    "intensities"; "smiles"; "rest"; "speech"; "chewing". How to scale each, see its function in this module
    (`repetitions`, `batches`, `block_s`, `duration_s` …). Raises `VocabularyError` for an unknown name or scale,
    `InputError` for an impossible one.
    """
    builder = PROTOCOLS.get(name)
    if builder is None:
        raise VocabularyError(f"unknown protocol {name!r}; allowed: {', '.join(PROTOCOLS)}")
    known = inspect.signature(builder).parameters
    for key, value in scale.items():
        if key not in known:
            raise VocabularyError(f"protocol {name!r} has no {key!r}; it can be scaled by: {', '.join(known)}")
        if isinstance(value, int | float) and not (np.isfinite(value) and value > 0):
            raise InputError(f"{key} of protocol {name!r} must be positive, got {value}")
    return builder(**scale)


# --- The schedules ---------------------------------------------------------------------------------------------


def _expressions(repetitions: int = 1, hold_s: float = 3.0, rest_s: float = 2.5) -> Protocol:
    """Each of the seven expressions, rest before each and after the last."""
    cues, end = _alternate(EXPRESSIONS * repetitions, rest_s, hold_s)
    return Protocol(name="expressions", duration_s=end + rest_s, cues=(*cues, _neutral(end, rest_s)))


def _single_aus(
    units: Sequence[str] = tuple(str(unit) for unit in UNITS if unit.number != 45),
    repetitions: int = 1,
    hold_s: float = 2.0,
    rest_s: float = 2.0,
) -> Protocol:
    """Each action unit, full range; one-sided ones may be asked for as "R12"."""
    chosen = [unit for unit in units for _ in range(repetitions)]
    cues, end = _alternate(chosen, rest_s, hold_s, strength=1.0)
    return Protocol(name="single-aus", duration_s=end + rest_s, cues=(*cues, _neutral(end, rest_s)))


def _mvc(repetitions: int = 5) -> Protocol:
    """Five actions as hard as possible: 4 s neutral, then for each 5 × (4 s neutral, 4 s action); 204 s."""
    cues = [_neutral(0.0, 4.0)]
    start = 4.0
    for label, formula in MVC_ACTIONS.items():
        more, start = _alternate([formula] * repetitions, 4.0, 4.0, start, strength=1.0, label=label)
        cues += more
    return Protocol(
        name="mvc",
        duration_s=start,
        cues=tuple(cues),
        source="skin-musculoskeletal paper § 2.3, MVC task; trials end to end, without the pauses between them",
    )


def _six_expressions(repetitions: int = 12) -> Protocol:
    """7 s neutral, then for each of six expressions 12 × (5 s neutral, 5 s expression, 1 s neutral); 799 s."""
    cues = [_neutral(0.0, 7.0)]
    start = 7.0
    for expression in SHU_EXPRESSIONS:
        for _ in range(repetitions):
            cues += [
                _neutral(start, 5.0),
                Cue(what=expression, onset_s=start + 5, duration_s=5.0),
                _neutral(start + 10, 1.0),
            ]
            start += 11.0
    return Protocol(
        name="six-expressions",
        duration_s=start,
        cues=tuple(cues),
        source="skin-musculoskeletal paper § 2.3, expression task; trials end to end, without the 2 min between them",
    )


def _intensities(batches: int = 4, hold_s: float = 2.0, rest_s: float = 0.85) -> Protocol:
    """Seven expressions at intensities A to E, a batch of about 100 s for each wearing of the electrodes."""
    cues: list[Cue] = []
    wearings: list[float] = []
    start = 0.0
    for _ in range(batches):
        wearings.append(start)
        for expression in FER_EE_EXPRESSIONS:
            for grade in LETTERS:
                cues.append(_neutral(start, rest_s))
                cues.append(
                    Cue(
                        what=expression,
                        onset_s=start + rest_s,
                        duration_s=hold_s,
                        intensity=intensity(grade),
                        label=f"{expression} {grade}",
                    )
                )
                start += rest_s + hold_s
    return Protocol(
        name="intensities",
        duration_s=start,
        cues=tuple(cues),
        wearings_s=tuple(wearings),
        source="epidermal-electrode paper § 2.3: 7 expressions × 5 intensities, four batches, about 100 s of data "
        "each; how long one expression was held is not said",
    )


def _smiles_protocol(block_s: float = 90.0, rate_per_min: float = SMILES_PER_MIN) -> Protocol:
    """A spontaneous block of 90 s (a funny video), then a posed one (the same smiles, acted)."""
    return Protocol(
        name="smiles",
        duration_s=2 * block_s,
        stretches=tuple(
            FreeStretch(
                label=f"{kind} block",
                onset_s=block_s * place,
                duration_s=block_s,
                kind=kind,
                rate_per_min=rate_per_min,
            )
            for place, kind in enumerate(("spontaneous", "posed"))
        ),
        source="distal-EMG paper § 4.2",
    )


def _rest(duration_s: float = 30.0) -> Protocol:
    """Nothing but blinks and tone."""
    return Protocol(name="rest", duration_s=duration_s, cues=(_neutral(0.0, duration_s),))


def _speech(duration_s: float = 30.0) -> Protocol:
    """Speech-like movement between 2 s of rest."""
    return _disturbance("speech", duration_s, 1.0)


def _chewing(duration_s: float = 30.0, drive: float = 0.3) -> Protocol:
    """Chewing-like movement between 2 s of rest; `drive` of the jaw's elevators."""
    return _disturbance("chewing", duration_s, drive)


PROTOCOLS: MappingProxyType[str, Callable[..., Protocol]] = MappingProxyType(
    {
        "expressions": _expressions,
        "single-aus": _single_aus,
        "mvc": _mvc,
        "six-expressions": _six_expressions,
        "intensities": _intensities,
        "smiles": _smiles_protocol,
        "rest": _rest,
        "speech": _speech,
        "chewing": _chewing,
    }
)


def _disturbance(what: str, duration_s: float, strength: float) -> Protocol:
    if duration_s <= 4:
        raise InputError(f"{what} needs more than 4 s, of which 4 are rest; got {duration_s} s")
    cue = Cue(what=what, onset_s=2.0, duration_s=duration_s - 4, intensity=strength)
    return Protocol(name=what, duration_s=duration_s, cues=(_neutral(0.0, 2.0), cue, _neutral(duration_s - 2, 2.0)))


def _neutral(onset_s: float, duration_s: float) -> Cue:
    return Cue(what=NEUTRAL, onset_s=onset_s, duration_s=duration_s)


def _alternate(
    what: Sequence[str],
    rest_s: float,
    hold_s: float,
    start: float = 0.0,
    *,
    strength: float = POSED_INTENSITY,
    label: str = "",
) -> tuple[list[Cue], float]:
    """Neutral and action in turn, and when the last action ends."""
    cues: list[Cue] = []
    for one in what:
        cues.append(_neutral(start, rest_s))
        cues.append(Cue(what=one, onset_s=start + rest_s, duration_s=hold_s, intensity=strength, label=label))
        start += rest_s + hold_s
    return cues, start


def _answer(cue: Cue, habits: Habits, rng: np.random.Generator) -> Act:
    usual = timing(cue.kind)
    lengths = np.array([usual.rise_s, usual.fall_s]) / habits.pace
    if habits.jitter:
        lengths = lengths * np.exp(usual.spread * rng.standard_normal(2))
    start, end = habits.reaction(rng), cue.duration_s + habits.reaction(rng)
    rise = min(lengths[0], max(end - start, 0.05))
    return Act(
        what=cue.what,
        onset_s=cue.onset_s + start,
        rise_s=rise,
        hold_s=max(end - start - rise, 0.0),
        fall_s=lengths[1],
        intensity=cue.intensity,
        kind=cue.kind,
        label=cue.label,
    )


def _smiles(stretch: FreeStretch, habits: Habits, rng: np.random.Generator) -> list[Act]:
    """Smiles one after another: at least 1 s of rest between them, otherwise at exponential intervals."""
    usual = timing(stretch.kind)
    acts: list[Act] = []
    gap = 60 / stretch.rate_per_min - (SMILE_HOLD_S[stretch.kind] + (usual.rise_s + usual.fall_s) / habits.pace)
    if gap <= 1:
        raise InputError(f"{stretch.rate_per_min} smiles a minute leave no rest between them; ask for fewer")
    start = rng.exponential(gap)
    while True:
        rise, fall = (
            np.array([usual.rise_s, usual.fall_s]) / habits.pace * np.exp(usual.spread * rng.standard_normal(2))
        )
        hold = SMILE_HOLD_S[stretch.kind] * np.exp(0.5 * rng.standard_normal() - 0.125)
        if start + rise + hold + fall > stretch.duration_s:
            return acts
        size = SMILE_INTENSITY[stretch.kind] * np.exp(0.3 * rng.standard_normal())
        acts.append(
            Act(
                what=SMILE,
                onset_s=stretch.onset_s + start,
                rise_s=rise,
                hold_s=hold,
                fall_s=fall,
                intensity=float(np.clip(size, 0.1, 1)),
                kind=stretch.kind,
            )
        )
        start += rise + hold + fall + 1 + rng.exponential(gap - 1)
