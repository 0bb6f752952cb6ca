"""What the study of separation measures: which cases, on how many people, and the scores that came out.

Each person is scored once and kept; an interval is one over people.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from .separation_cases import METHODS, PARTS, SCORES, Case, person_scores
from .study import Kept, each

Array = NDArray[np.floating]

NEAR, FAR = Case(montage="proximal7"), Case(montage="distal4")
PLACES: Mapping[str, Case] = MappingProxyType({"proximal": NEAR, "distal": FAR})
FAMILIES: Mapping[str, tuple[Case, ...]] = MappingProxyType(
    {
        "electrodes": (NEAR, Case(montage="epidermal10"), Case(montage="kuramoto", components=9), FAR),
        "task": tuple(Case(montage=one.montage, task="smiles") for one in (NEAR, FAR)),
        "noise": tuple(Case(montage=one.montage, electrode_uv=uv) for one in (NEAR, FAR) for uv in (0.0, 3.0, 10.0)),
        "tension": tuple(
            Case(montage=one.montage, cocontraction=level) for one in (NEAR, FAR) for level in (0.0, 0.05, 0.15, 0.4)
        ),
        "components": (
            *(Case(montage=NEAR.montage, components=count) for count in (2, 4, 7)),
            *(Case(montage=FAR.montage, components=count) for count in (2, 4)),
        ),
    }
)
"""What is varied, one thing at a time: electrodes, then the rest for two montages."""

LABELS = MappingProxyType(
    {"amari": "Amari index", "corr_h": "corr(H)", "muscle_cosine": "muscle cosine", "sdr_db": "SDR"}
)
BETTER = MappingProxyType({"amari": -1, "corr_h": 1, "muscle_cosine": 1, "sdr_db": 1})
FOUND = tuple(name for name, method in METHODS.items() if not method.rung)
"""Methods proper, without what they stand on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """scores (P, cases, METHODS, SCORES, PARTS), vaf (P, cases, METHODS), share and jaw (P, cases)."""

    cases: tuple[Case, ...]
    scores: Array
    vaf: Array
    share: Array
    jaw: Array

    def of(self, case: Case, method: str, score: str, part: str = "value") -> Array:
        """One number a person, (P,); NaN where a method has no such score."""
        row = list(METHODS).index(method)
        return self.scores[:, self.cases.index(case), row, SCORES.index(score), PARTS.index(part)]

    def vaf_of(self, case: Case, method: str) -> Array:
        """(P,)."""
        return self.vaf[:, self.cases.index(case), list(METHODS).index(method)]

    def best(self, case: Case, score: str) -> str:
        """The method, no rung among them, that is best on the mean over people."""
        means = {name: BETTER[score] * self.of(case, name, score).mean() for name in FOUND}
        return max((name for name in FOUND if np.isfinite(means[name])), key=means.__getitem__)


def measure(out: Path, people: int, seed: int) -> Results:
    """Scores of all people, those made before from `out`/kept."""
    cases = tuple(dict.fromkeys(case for family in FAMILIES.values() for case in family))
    kept = Kept(out / "kept")
    settings = {"cases": [asdict(case) for case in cases], "methods": list(METHODS)}

    def one(person: int) -> dict[str, Array]:
        return kept.get(f"person-{person}", settings, lambda: person_scores(person, cases))

    found = each("people", [1000 * seed + place for place in range(people)], one)
    return Results(cases=cases, **{key: np.stack([person[key] for person in found]) for key in found[0]})


def vaf_knows(results: Results, score: str) -> float:
    """Rank correlation of VAF with a score over people, electrodes and the two factorisations of envelopes."""
    pairs = [
        (results.vaf_of(case, method), results.of(case, method, score))
        for case in FAMILIES["electrodes"]
        for method in ("nmf of envelopes", "random synergies")
    ]
    vaf, value = (np.concatenate(column) for column in zip(*pairs, strict=True))
    return float(stats.spearmanr(vaf, value)[0])  # pyright: ignore[reportArgumentType]


def interval(values: Array) -> tuple[float, float]:
    """95 % interval of the mean over people, by Student's t."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


__all__ = [
    "BETTER",
    "FAMILIES",
    "FAR",
    "FOUND",
    "LABELS",
    "NEAR",
    "PLACES",
    "Results",
    "interval",
    "measure",
    "vaf_knows",
]
