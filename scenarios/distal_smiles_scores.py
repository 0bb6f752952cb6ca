"""Scores of many people together, with intervals over people.

Frames of all people are pooled, as the distal-EMG paper does: κ, accuracy, precision and recall of its Table 1 belong
together only if they come from one table of frames. What is drawn anew for an interval are whole people.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from ..learning.smile_patterns import Comparison
from .study import Finding

Array = NDArray[np.floating]

RESAMPLES = 2000
SIGNIFICANT = 0.05
SET_FROM_IT = " (set from it)"
"""Said of what was adjusted to this very paper beforehand, so that agreement is no evidence."""
GRID = np.linspace(0, 1, 101)
"""False-alarm rates at which ROC curves are averaged."""
MEASURES = ("kappa", "accuracy", "precision", "recall")


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its 95 % bootstrap interval over people."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 or -1 if the whole interval lies on that side of 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)


class Crowd:
    """P people and how often each of them is drawn in every resample; all scores share the draws, so that differences
    of scores are paired."""

    def __init__(self, people: int, seed: int):
        self.people = people
        drawn = np.random.default_rng([seed, 0xC20]).multinomial(people, np.full(people, 1 / people), RESAMPLES)
        self.times = np.concatenate([np.ones((1, people), int), drawn])

    def mean(self, values: ArrayLike) -> Estimate:
        """Mean over everything in values (P, …); NaN does not count."""
        rows = np.asarray(values, float).reshape(self.people, -1)
        known = np.isfinite(rows)
        return self.ratio(np.where(known, rows, 0).sum(1), known.sum(1))

    def ratio(self, part: ArrayLike, whole: ArrayLike) -> Estimate:
        """Sum of parts (P,) over sum of wholes (P,)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.of((self.times @ np.asarray(part)) / (self.times @ np.asarray(whole)))

    def pooled(self, values: ArrayLike, statistic: Callable[[Array], float]) -> Estimate:
        """A statistic of all finite values (P, …) together."""
        rows = np.asarray(values, float).reshape(self.people, -1)
        results = []
        for times in self.times:
            everything = np.repeat(rows, times, axis=0)
            everything = everything[np.isfinite(everything)]
            results.append(statistic(everything) if everything.size else np.nan)
        return self.of(np.array(results))

    def scores(self, table: NDArray[np.integer]) -> dict[str, Array]:
        """`MEASURES` of tables (P, 4), in the sample and in every resample."""
        return scores(self.times @ table)

    @staticmethod
    def of(samples: Array) -> Estimate:
        """From the sample's number followed by the resamples'."""
        drawn = samples[1:][np.isfinite(samples[1:])]
        low, high = np.percentile(drawn, [2.5, 97.5]) if drawn.size else (np.nan, np.nan)
        return Estimate(value=float(samples[0]), low=float(low), high=float(high))


class Ledger:
    """Figures by name, and findings in the order of the table."""

    def __init__(self):
        self.figures: dict[str, float] = {}
        self.findings: list[Finding] = []

    def number(
        self, name: str, topic: str, what: str, ours: Estimate, *, paper: float | None = None, text: str = "",
        unit: str = "", given: bool = False, verdict: str = "", shown: bool = True,
    ) -> None:  # fmt: skip
        """A number with its interval, beside the paper's. shown: whether it is in the table as well."""
        self.figures |= {name: ours.value, f"{name}_low": ours.low, f"{name}_high": ours.high}
        if paper is not None:
            verdict = beside(ours, paper) + (SET_FROM_IT if given else "")
        if not shown:
            return
        self.findings.append(
            Finding(topic=topic, what=what, ours=ours.value, low=ours.low, high=ours.high, unit=unit,
                    paper=text or ("" if paper is None else f"{paper:g}"), verdict=verdict)
        )  # fmt: skip

    def test(
        self, name: str, topic: str, what: str, ours: Comparison, *, text: str = "", signs: Sequence[int] = (),
        given: bool = False, shown: bool = True,
    ) -> None:  # fmt: skip
        """A test's p. signs: directions that would be the paper's, 0 for no difference; none if it says nothing."""
        self.figures |= {f"p_{name}": ours.p, f"difference_{name}": ours.difference}
        if not shown:
            return
        verdict = against(ours, signs) + (SET_FROM_IT if given else "") if signs else ""
        self.findings.append(
            Finding(topic=topic, what=f"{what}: p (difference {ours.difference:+.2g})", ours=ours.p, paper=text,
                    verdict=verdict)
        )  # fmt: skip


def beside(ours: Estimate, paper: float) -> str:
    """Whether the paper's number lies within our interval, or on which side of it ours is."""
    if not np.isfinite([ours.low, ours.high]).all():
        return "unknown"
    if ours.low <= paper <= ours.high:
        return "replicates"
    return "higher" if ours.value > paper else "lower"


def against(ours: Comparison, signs: Sequence[int]) -> str:
    """A test of ours beside the paper's: any of its directions `signs`, 0 where it found no difference."""
    if not np.isfinite(ours.p):
        return "unknown"
    found = int(np.sign(ours.difference)) if ours.p < SIGNIFICANT else 0
    if found in signs:
        return "replicates"
    return "opposite" if found and -found in signs else "does not replicate"


def tables(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> NDArray[np.integer]:
    """Frames (P, 4) that are active by both, by `said` alone, by `truth` alone, by neither; labels (P, …)."""
    true, claimed = (one.reshape(len(one), -1) for one in (truth, said))
    cells = (true & claimed, ~true & claimed, true & ~claimed, ~true & ~claimed)
    return np.stack([cell.sum(1) for cell in cells], axis=1)


def scores(table: ArrayLike) -> dict[str, Array]:
    """Cohen's κ, accuracy, precision and recall of tables (…, 4); NaN where undefined."""
    both, only_said, only_true, neither = np.moveaxis(np.asarray(table, float), -1, 0)
    total = both + only_said + only_true + neither
    with np.errstate(invalid="ignore", divide="ignore"):
        right, said, true = (both + neither) / total, (both + only_said) / total, (both + only_true) / total
        luck = said * true + (1 - said) * (1 - true)
        kappa = (right - luck) / (1 - luck)
        return dict(zip(MEASURES, (kappa, right, both / (both + only_said), both / (both + only_true)), strict=True))


def chance_kappas(
    truth: NDArray[np.bool_], said: NDArray[np.bool_], rng: np.random.Generator, draws: int = 100
) -> Array:
    """κ (draws,) of pooled frames if everybody's labels (P, F) are turned round in time by a random amount.

    It keeps how much, and in which bouts, everybody is active: people who smile more are said to smile more.
    """
    people, frames = truth.shape
    least = frames // 20 + 1
    shifts = rng.integers(least, max(frames - least, least + 1), (draws, people))
    turned = [np.stack([np.roll(one, s) for one, s in zip(truth, row, strict=True)]) for row in shifts]
    return np.array([scores(tables(one, said).sum(0))["kappa"] for one in turned])


def areas(truth: NDArray[np.bool_], courses: Array) -> tuple[Array, Array]:
    """Area under the ROC curve (N,) and the curve at `GRID` (N, 101), for N stretches (N, F); NaN without both classes.

    A course that says nothing has 0.5.
    """
    area, curve = np.full(len(truth), np.nan), np.full((len(truth), len(GRID)), np.nan)
    for place, (true, course) in enumerate(zip(truth, courses, strict=True)):
        if true.any() and not true.all():
            area[place] = roc_auc_score(true, course)
            false_alarms, hits, _ = roc_curve(true, course)
            curve[place] = np.interp(GRID, false_alarms, hits)
    return area, curve


def correlations(one: Array, other: Array) -> Array:
    """Pearson's r over the last axis, (…,); NaN where either is constant."""
    first, second = (x - x.mean(-1, keepdims=True) for x in (one, other))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (first * second).sum(-1) / np.sqrt((first**2).sum(-1) * (second**2).sum(-1))


__all__ = [
    "GRID",
    "MEASURES",
    "RESAMPLES",
    "SET_FROM_IT",
    "SIGNIFICANT",
    "Crowd",
    "Estimate",
    "Ledger",
    "against",
    "areas",
    "beside",
    "chance_kappas",
    "correlations",
    "scores",
    "tables",
]
