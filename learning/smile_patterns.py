"""Do cheek and lip corner move together? Six co-occurrence patterns of AU6 and AU12, and their synergies.

After the distal-EMG paper (§ 5, § 6.3): patterns are counted in labels of coders, camera or EMG; synergies come from
NMF of separated sources. Both are compared between posed and spontaneous smiles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ..sim.errors import InputError
from .separation import separate
from .smile_detection import SmileReading

Array = NDArray[np.floating]

PATTERNS = ("AU6 only", "AU12 only", "AU12 inside AU6", "AU6 inside AU12", "AU12 before AU6", "AU6 before AU12")
"""How an episode can look, in the paper's order; "inside" starts no earlier and ends no later."""
_ALONE, _AU6_FIRST, _AU12_FIRST = [0, 1], [2, 5], [3, 4]
_SYNERGY_HZ = 25.0


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two samples compared by ranks.

    statistic: U of the first sample (the paper's W), or of a paired test the signed-rank sum. p: two-sided.
    difference: of the medians, first minus second.
    """

    statistic: float
    p: float
    difference: float


def patterns(au6: ArrayLike, au12: ArrayLike) -> NDArray[np.integer]:
    """How often each of `PATTERNS` occurs, (6,), in labels (F,) of the two units.

    An episode lasts as long as either unit is active. Where both are, first onset and last offset of each are
    compared; equal ones count as AU6 inside AU12. Raises `InputError`.
    """
    cheek, smile = (np.asarray(one) for one in (au6, au12))
    if cheek.shape != smile.shape or cheek.ndim != 1 or not {cheek.dtype.kind, smile.dtype.kind} <= {"b"}:
        raise InputError(f"labels must be two (F,) of truth values, got {cheek.shape} and {smile.shape}")
    counts = np.zeros(len(PATTERNS), int)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], cheek | smile, [False]]).astype(np.int8)))
    for start, end in edges.reshape(-1, 2):
        counts[_pattern(np.flatnonzero(cheek[start:end]), np.flatnonzero(smile[start:end]))] += 1
    return counts


def _pattern(cheek: NDArray[np.integer], smile: NDArray[np.integer]) -> int:
    if not len(smile):
        return 0
    if not len(cheek):
        return 1
    onset, offset = cheek[0] - smile[0], cheek[-1] - smile[-1]
    if onset >= 0 and offset <= 0:
        return 3
    if onset <= 0 and offset >= 0:
        return 2
    return 4 if onset > 0 else 5


def compare_patterns(counts: ArrayLike, kinds: Sequence[str]) -> dict[str, Comparison]:
    """The paper's three rank-sum tests (§ 6.3.1) on patterns (n, 6) of n blocks and their kinds.

    "together": share of episodes with both units against those with one. "order": share in which AU6 starts first
    against AU12 first. "blocks": share with both in "spontaneous" against "posed" blocks. Blocks without episodes do
    not count. Raises `InputError` if fewer than two of a kind are left.
    """
    table, of = np.asarray(counts, float), np.asarray(kinds)
    if table.ndim != 2 or table.shape != (len(of), len(PATTERNS)) or not (table >= 0).all():
        raise InputError(f"counts must be ({len(of)} blocks, {len(PATTERNS)}), got {table.shape}")
    used = table.sum(1) > 0
    share, of = table[used] / table[used].sum(1, keepdims=True), of[used]
    alone = share[:, _ALONE].sum(1)
    return {
        "together": _rank_sum(1 - alone, alone),
        "order": _rank_sum(share[:, _AU6_FIRST].sum(1), share[:, _AU12_FIRST].sum(1)),
        "blocks": _rank_sum(1 - alone[of == "spontaneous"], 1 - alone[of == "posed"]),
    }


def around_onset(
    au6: ArrayLike, au12: ArrayLike, rate_hz: float, *, reach_s: float = 0.5
) -> tuple[Array, Array, Array]:
    """How often AU6 and AU12 are active around the onsets of AU12 (Fig. 6): times (n,) s, and shares (n,) of each.

    Onsets nearer than `reach_s` to either end are left out; without any, the shares are NaN.
    """
    cheek, smile = np.asarray(au6, bool), np.asarray(au12, bool)
    reach = round(reach_s * rate_hz)
    onsets = np.flatnonzero(smile[1:] & ~smile[:-1]) + 1
    onsets = onsets[(onsets >= reach) & (onsets < len(smile) - reach)]
    steps = np.arange(-reach, reach + 1)
    if not len(onsets):
        unknown = np.full(len(steps), np.nan)
        return steps / rate_hz, unknown, unknown
    frames = onsets[:, None] + steps
    return steps / rate_hz, cheek[frames].mean(0), smile[frames].mean(0)


# --- Sources, then synergies -----------------------------------------------------------------------------------

SOURCES = ("AU6", "AU12", "other")
"""Order of a synergy's weights; "other" is what EMG picked up besides."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SmileSynergies:
    """Two synergies of the sources of one block.

    weights (2, 3), by `SOURCES`, rows of unit length, the row richer in AU12 first. togetherness 0…1: cosine between
    the columns of AU6 and AU12, 1 if they always share a synergy in one proportion, 0 if they never do.
    """

    weights: Array
    togetherness: float


def smile_synergies(reading: SmileReading, *, seed: int = 0) -> SmileSynergies:
    """NMF with two components of the sources that were named AU6, AU12 and other, (distal-EMG paper § 5, C).

    One synergy fewer than sources. Independent components have neither sign nor zero, and the paper does not say what
    it did about that: here each loses its fifth percentile, is cut at 0 and scaled to unit SD; components that have
    no name are summed. Raises `InputError` for fewer than three components.
    """
    chosen = [reading.match.component[unit] for unit in SOURCES[:2]]
    step = max(round(reading.rate_hz / _SYNERGY_HZ), 1)
    courses = reading.courses[::step]
    above = np.maximum(courses - np.percentile(courses, 5, axis=0), 0)
    above = above / np.maximum(above.std(0), 1e-12)
    rest = np.delete(above, chosen, axis=1)
    if rest.shape[1] == 0:
        raise InputError(f"synergies need three components, of which one is neither unit; got {courses.shape[1]}")
    sources = np.column_stack([above[:, chosen], rest.sum(1) / max(rest.sum(1).std(), 1e-12)])
    weights = separate(sources, "nmf", components=2, seed=seed).mixing.T
    weights = weights / np.linalg.norm(weights, axis=1, keepdims=True)
    weights = weights[np.argsort(-weights[:, 1])]
    cheek, smile = weights[:, 0], weights[:, 1]
    size = np.linalg.norm(cheek) * np.linalg.norm(smile)
    return SmileSynergies(weights=weights, togetherness=float(cheek @ smile / size) if size > 0 else 0.0)


def compare_synergies(blocks: Mapping[str, Sequence[SmileSynergies]]) -> dict[str, Comparison]:
    """Spontaneous against posed smiles: {"spontaneous": one for each person, "posed": the same people}.

    "weights" is the paper's test (§ 6.3.3), a rank sum over the weights of AU6 and AU12 in both synergies of everybody;
    "togetherness" a signed-rank test within people, which asks what the paper concludes. Raises `InputError`.
    """
    free, acted = blocks.get("spontaneous", ()), blocks.get("posed", ())
    if len(free) != len(acted) or len(free) < 2:
        raise InputError(f"need both blocks of two people or more, got {len(free)} spontaneous and {len(acted)} posed")
    weights = [np.concatenate([one.weights[:, :2].ravel() for one in group]) for group in (free, acted)]
    one, two = (np.array([each.togetherness for each in group]) for group in (free, acted))
    return {
        "weights": _rank_sum(*weights),
        "togetherness": _signed_rank(one, two),
    }


def _signed_rank(first: Array, second: Array) -> Comparison:
    statistic, p = (0.0, 1.0) if (first == second).all() else np.array(stats.wilcoxon(first, second))
    return Comparison(statistic=float(statistic), p=float(p), difference=float(np.median(first) - np.median(second)))


def _rank_sum(first: Array, second: Array) -> Comparison:
    if min(len(first), len(second)) < 2:
        raise InputError(f"a rank-sum test needs two values a side, got {len(first)} and {len(second)}")
    test = stats.mannwhitneyu(first, second)
    return Comparison(
        statistic=float(test.statistic),
        p=float(test.pvalue),
        difference=float(np.median(first) - np.median(second)),
    )


__all__ = [
    "PATTERNS",
    "SOURCES",
    "Comparison",
    "SmileSynergies",
    "around_onset",
    "compare_patterns",
    "compare_synergies",
    "patterns",
    "smile_synergies",
]
