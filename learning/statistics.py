"""Do several models differ? One-way analysis of variance and Tukey's test, as the skin-musculoskeletal paper has it.

compare({"SMSM": r2_smsm, "LRM": r2_lrm, "SMSM-LRM": r2_both})          # (n,) scores each, one a person
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ..sim.errors import InputError


@dataclass(frozen=True)
class Difference:
    """Mean of one model's scores less another's, its simultaneous confidence interval and Tukey's p."""

    one: str
    other: str
    mean: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Comparison:
    """One-way ANOVA, F (between, within), and every pair of models."""

    f: float
    between: int
    within: int
    p: float
    pairs: tuple[Difference, ...]

    def __str__(self) -> str:
        return f"F({self.between}, {self.within}) = {self.f:.2f}, p = {self.p:.3g}"


def compare(scores: Mapping[str, ArrayLike], confidence: float = 0.95) -> Comparison:
    """Compare models by scores (n,) of each (§ 2.6.5; SciPy's `f_oneway` and `tukey_hsd`).

    Both tests take the scores as independent, as the paper does, though the same people are behind all models: what
    people share is counted as error, so that real differences are rather missed than invented. Raises `InputError`.
    """
    groups = {name: np.asarray(values, float) for name, values in scores.items()}
    if len(groups) < 2:
        raise InputError(f"need scores of two models or more, got {len(groups)}")
    for name, values in groups.items():
        if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
            raise InputError(f"scores of {name!r} must be finite (n,), n ≥ 2; got shape {values.shape}")
    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie between 0 and 1, got {confidence}")
    if not any(np.ptp(values) > 0 for values in groups.values()):
        raise InputError("all scores within each model are alike; there is no spread to compare with")
    tested, tukey = stats.f_oneway(*groups.values()), stats.tukey_hsd(*groups.values())
    interval = tukey.confidence_interval(confidence)
    pairs = tuple(
        Difference(
            one,
            other,
            float(tukey.statistic[i, j]),
            float(interval.low[i, j]),
            float(interval.high[i, j]),
            float(tukey.pvalue[i, j]),
        )
        for (i, one), (j, other) in combinations(enumerate(groups), 2)
    )
    total = sum(map(len, groups.values()))
    return Comparison(float(tested.statistic), len(groups) - 1, total - len(groups), float(tested.pvalue), pairs)


def mean_interval(scores: ArrayLike, confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of scores (n,) and the limits of Student's confidence interval for it. Raises `InputError`."""
    values = np.asarray(scores, float)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise InputError(f"scores must be finite (n,), n ≥ 2; got shape {values.shape}")
    half = stats.sem(values) * stats.t.ppf(0.5 + confidence / 2, len(values) - 1)
    mean = float(values.mean())
    return mean, float(mean - half), float(mean + half)


__all__ = ["Comparison", "Difference", "compare", "mean_interval"]
