"""People before eight electrodes who posed seven expressions: how well is a stranger's expression recognised?

A folder of `.mat` tables, one a person, as Kołodziej et al. (Sensors 2024, 24, 4785) publish them: rows are windows of
0.25 s, columns the mean power at eight sites and the expression's number 1-7. Beside them stand simulated populations
of as many people at the same electrodes (`posed_pattern`), who go through the same pipeline: decibels, a classifier
with its defaults, one person left out in turn.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from sklearn.exceptions import ConvergenceWarning

from ..learning.recognition import CLASSIFIERS, Examples
from ..learning.recognition_scores import Score, across_people, evaluate
from ..learning.synergy import choose_rank, factorise
from ..sim.errors import InputError
from . import console
from .analyse_people_picture import draw
from .posed_pattern import MONTAGE, agreement, simulated_pattern
from .real_recordings import POSED, SITES, Pattern, pattern
from .study import Finding, Kept, Study, each

Array = NDArray[np.floating]

CLASSIFIER = "lda"
"""The simplest gives the figures. Every other one is a finding, so that nobody needs to believe in this choice."""
POPULATIONS = 3
"""Simulated populations of as many people as were recorded. The first is the figure, the others show the spread."""
CLOSE = 0.15


def is_population(path: Path) -> bool:
    """Whether a folder holds tables of powers."""
    return path.is_dir() and any(path.glob("*.mat"))


def read_people(path: Path) -> tuple[tuple[str, ...], Pattern]:
    """Names of people and their powers. Raises `InputError` for what are no such tables."""
    names, rows, people = [], [], []
    for number, file in enumerate(sorted(path.glob("*.mat"))):
        try:
            tables = [value for key, value in loadmat(file).items() if not key.startswith("_")]
        except Exception as error:  # SciPy lets whatever a damaged file causes through
            raise InputError(f"{file} is damaged or no MATLAB file ({type(error).__name__}: {error})") from error
        if len(tables) != 1 or np.ndim(tables[0]) != 2 or tables[0].shape[1] != len(SITES) + 1:
            shapes = ", ".join(str(np.shape(one)) for one in tables) or "nothing"
            raise InputError(f"{file.name} must hold one table (windows, 8 powers and a label), got {shapes}")
        table = np.asarray(tables[0], float)
        if not np.isfinite(table).all() or not (table[:, :8] > 0).all():
            raise InputError(f"{file.name} holds powers that are not finite and above 0; leave those windows out")
        if not np.isin(table[:, 8], np.arange(len(POSED)) + 1).all():
            raise InputError(f"{file.name}: column 9 must be a label 1-7 for {', '.join(POSED)}")
        names.append(file.stem)
        rows.append(table)
        people.append(np.full(len(table), number))
    if len(names) < 2:
        raise InputError(f"{path} holds one person; leaving one out needs two or more tables")
    every = np.concatenate(rows)
    return tuple(names), pattern(every[:, :8], np.concatenate(people), every[:, 8].astype(int) - 1)


def simulated_people(count: int, kept: Kept, *, seed: int = 0, populations: int = POPULATIONS) -> tuple[Pattern, ...]:
    """Populations of `count` people each, at the same electrodes; a person is made once and kept."""

    def person(number: int) -> Array:
        own = 1000 * seed + number
        made = kept.get("person", {"seed": own}, lambda: {"power_db": simulated_pattern(1, own).power_db[0]})
        return made["power_db"]

    people = np.array(each("simulated people", range(count * populations), person))
    return tuple(Pattern(part) for part in np.split(people, populations))


def as_examples(one: Pattern) -> Examples:
    """Every window as an example of its person and expression, decibels at eight sites."""
    people, expressions, windows, sites = one.power_db.shape
    person, expression = (
        np.repeat(part.ravel(), windows)
        for part in np.meshgrid(np.arange(people), np.arange(expressions), indexing="ij")
    )
    return Examples(
        one.power_db.reshape(-1, sites)[:, :, None],
        np.array(POSED)[expression],
        np.full(len(person), ""),
        person,
        np.zeros_like(person),
        expression,
        SITES,
        ("power_db",),
    )


@dataclass(frozen=True, kw_only=True)
class Strangers:
    """One person left out in turn: by classifier, and by LDA with each person's windows scaled by themselves."""

    scores: Mapping[str, Score]
    own_scaling: Score
    rank: Array
    """Synergies (P,) at 0.90 of each person's amplitudes."""

    @property
    def score(self) -> Score:
        return self.scores[CLASSIFIER]


def strangers(one: Pattern, *, classifiers: tuple[str, ...] = tuple(CLASSIFIERS), seed: int = 0) -> Strangers:
    """The pipeline that real and simulated people go through alike."""
    seen = as_examples(one)
    own = seen.scaled_by_batch()
    amplitude = 10 ** (one.power_db.reshape(len(one.power_db), -1, one.power_db.shape[-1]) / 20)
    amplitude = amplitude / amplitude.max(1, keepdims=True)
    found = factorise(amplitude, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the MLP's, which a note tells
        scores = {
            name: evaluate(CLASSIFIERS[name], seen, seen.label, across_people(seen), seed=seed) for name in classifiers
        }
    return Strangers(
        scores=scores,
        own_scaling=evaluate(CLASSIFIERS[CLASSIFIER], own, own.label, across_people(own), seed=seed),
        rank=choose_rank(found.ranks, found.vaf, found.vaf_by_channel).astype(float),
    )


def people_study(path: Path, out: Path, *, seed: int = 0, populations: int = POPULATIONS) -> Study:
    """The comparison as a study; its pictures are written into `out`. Raises `InputError`."""
    names, real = read_people(path)
    console.console.print(f"{len(names)} people, {real.power_db[0, ..., 0].size} windows each, at {MONTAGE}'s sites")
    others = simulated_people(len(names), Kept(out / "kept"), seed=seed, populations=populations)
    theirs, ours = each("classifiers", (real, others[0]), lambda one: strangers(one, seed=seed), threads=1)
    more = [strangers(one, classifiers=(CLASSIFIER,), seed=seed) for one in others[1:]]
    alike = agreement(others[0], real)
    first, second = theirs.score.accuracy, ours.score.accuracy
    gap = abs(first.mean - second.mean)
    figures = {
        "people": len(names),
        "loso_real": first.mean,
        "loso_real_low": first.low,
        "loso_real_high": first.high,
        "loso_simulated": second.mean,
        "loso_simulated_low": second.low,
        "loso_simulated_high": second.high,
        "loso_gap": gap,
        "chance": theirs.score.chance,
        "pattern_correlation": alike.pattern,
    }
    pictures = draw(theirs, ours, real, others[0], names, out)
    return Study(
        title=f"Seven expressions of {len(names)} people at eight sites",
        summary=f"{path.name}: each person left out in turn, beside as many simulated people at the same electrodes.",
        figures=figures,
        findings=[
            *_accuracies(theirs, ours, more, gap),
            *_recalls(theirs, ours),
            *_patterns(theirs, ours, real, others[0], alike.pattern, alike.permutation_rank),
        ],
        pictures=pictures,
        notes=_NOTES,
    )


def _accuracies(theirs: Strangers, ours: Strangers, more: list[Strangers], gap: float) -> list[Finding]:
    topic = "one person left out"
    found = []
    for name in theirs.scores:
        for one, real in ((theirs, True), (ours, False)):
            score, chosen = one.scores[name], name == CLASSIFIER
            verdict = ("agree" if gap <= CLOSE else "do not agree") + f", {gap:.2f} apart" if chosen else ""
            found.append(_of_score(topic, f"accuracy, {name}{' (the figure)' if chosen else ''}", score, real, verdict))
    found += [
        _of_score(topic, f"accuracy, {CLASSIFIER}, population {place}", one.score, False)
        for place, one in enumerate(more, 2)
    ]
    for one, real in ((theirs, True), (ours, False)):
        found.append(_of_score(topic, f"accuracy, {CLASSIFIER}, each person scaled by itself", one.own_scaling, real))
    for one, real in ((theirs, True), (ours, False)):
        people = np.array(list(one.score.by_split.values()))
        found.append(
            Finding(
                topic=topic, what=f"SD between people, {CLASSIFIER}", ours=float(people.std(ddof=1)),
                low=float(people.min()), high=float(people.max()), real=real, verdict="[worst … best person]",
            )
        )  # fmt: skip
    found.append(Finding(topic=topic, what="chance", ours=theirs.score.chance, real=True))
    return found


def _of_score(topic: str, what: str, score: Score, real: bool, verdict: str = "") -> Finding:
    held = score.accuracy
    return Finding(topic=topic, what=what, ours=held.mean, low=held.low, high=held.high, real=real, verdict=verdict)


def _recalls(theirs: Strangers, ours: Strangers) -> list[Finding]:
    return [
        Finding(topic="recall, lda", what=label, ours=float(recall), real=real)
        for label in POSED
        for one, real in ((theirs, True), (ours, False))
        for recall in [one.score.recall[one.score.classes.index(label)]]
    ]


def _patterns(
    theirs: Strangers, ours: Strangers, real: Pattern, simulated: Pattern, correlation: float, place: int
) -> list[Finding]:
    topic = "pattern of rises over neutral"
    found = [
        Finding(topic=topic, what="correlation, six expressions × eight sites, simulated with real", ours=correlation),
        Finding(topic=topic, what="place of the true order of expressions among 720", ours=float(place)),
    ]
    for what, unit, values in (
        ("SD between people", "dB", (real.between_people_db, simulated.between_people_db)),
        ("median |r| between sites", "", (real.channel_correlation, simulated.channel_correlation)),
    ):
        for value, is_real in zip(values, (True, False), strict=True):
            found.append(Finding(topic=topic, what=what, ours=value, unit=unit, real=is_real))
    for one, is_real in ((theirs, True), (ours, False)):
        found.append(
            Finding(
                topic="synergies", what="rank at 0.90 VAF, mean over people", ours=float(one.rank.mean()),
                low=float(one.rank.min()), high=float(one.rank.max()), real=is_real, verdict="[least … most]",
            )
        )  # fmt: skip
    return found


_NOTES = (
    "Intervals are 95 % bootstraps over people; with so few people they are wide.",
    "Nothing was fitted to these people: sites follow the data's description, expressions follow other people's "
    "action units, classifiers have scikit-learn's defaults. All classifiers had been tried on both before LDA was "
    "made the figure: look at all of them. The MLP stops at scikit-learn's 200 iterations, before it converges.",
    "One accuracy is close to the other in the mean alone: look at how far people lie apart, and whether one of them "
    "is not recognised at all.",
    "Accuracies that agree do not mean that the same expressions are confused: compare the recalls and the matrices.",
    "Real windows were chosen by hand; simulated ones lie in the apex of one contraction. Windows of one expression of "
    "one person are alike, so people, not windows, are counted.",
)


__all__ = [
    "CLASSIFIER", "CLOSE", "Strangers", "as_examples", "is_population", "people_study", "read_people",
    "simulated_people", "strangers",
]  # fmt: skip
