"""Which synergy is which: across restarts, people and camera; hulls of expressions; chance beside every score.

A cosine says little alone: two sets of non-negative weights are always similar, and more so where every electrode
hears every muscle. Every score is therefore a `Score` with what chance gives: channels shuffled within each synergy
for weights, one signal turned round in time for activations, labels dealt out anew for hulls.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import signal
from scipy.optimize import linear_sum_assignment, linprog, nnls
from scipy.spatial import ConvexHull, HalfspaceIntersection, QhullError

from ..sim.errors import InputError
from .separation_scores import Score

Array = NDArray[np.floating]

DRAWS = 200
MOST_LAG_S = 1.5


@dataclass(frozen=True, kw_only=True)
class Match:
    """Pairs of two sets of synergies, the best partner for each together.

    ours, theirs (N,): places in the two sets, by falling similarity. similarity (N,) and score: their mean beside
    chance. lag_s (N,): by how much ours precedes theirs, 0 for weights.
    """

    ours: NDArray[np.integer]
    theirs: NDArray[np.integer]
    similarity: Array
    lag_s: Array
    score: Score


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """P sets of K synergies in one order.

    order (P, K): place in each set of every common synergy. weights (P, K, C) in that order, of unit length; mean
    (K, C), of unit length too. similarity (K, pairs): cosine between every two sets. scores: its mean a synergy.
    """

    order: NDArray[np.integer]
    weights: Array
    mean: Array
    similarity: Array
    scores: tuple[Score, ...]


def match(ours: ArrayLike, theirs: ArrayLike, *, seed: int = 0, draws: int = DRAWS) -> Match:
    """Pair synergies (K, C) with synergies (J, C) of the same channels by cosine (Hungarian method).

    Chance: the channels of every one of theirs shuffled, and paired as well as may be. Raises `InputError`.
    """
    one, two = _units(ours), _units(theirs)
    if one.shape[1] != two.shape[1]:
        raise InputError(f"synergies of {one.shape[1]} and {two.shape[1]} channels; match sets on the same channels")
    rng = np.random.default_rng(seed)
    chance = [_paired(one @ rng.permuted(two, axis=1).T)[2].mean() for _ in range(draws)]
    return _match(one @ two.T, np.zeros((len(one), len(two))), chance)


def align(sets: ArrayLike | Sequence[ArrayLike], *, seed: int = 0, draws: int = DRAWS) -> Alignment:
    """Put the synergies (P, K, C) of several people, or of several restarts, into one order.

    Each set is matched to the mean of all, which starts as the set most like the others, until no order changes. Over
    restarts the similarity says how stable a synergy is, and `mean` is their consensus; over people it is the
    six-expressions paper's (§ 3.1). Chance: channels shuffled within every synergy, aligned the same way.
    """
    several = [_units(one) for one in sets]  # pyright: ignore[reportGeneralTypeIssues]
    if len(several) < 2 or len({one.shape for one in several}) > 1:
        raise InputError(f"sets of synergies: two or more (K, C) alike; got {[one.shape for one in several][:5]}")
    stack = np.stack(several)
    order = _common_order(stack)
    weights = np.take_along_axis(stack, order[..., None], axis=1)
    similarity = _between(weights)
    rng = np.random.default_rng(seed)
    chance = []
    for _ in range(draws):
        mixed = rng.permuted(stack, axis=2)
        mixed = np.take_along_axis(mixed, _common_order(mixed)[..., None], axis=1)
        chance.append(np.sort(_between(mixed).mean(1))[::-1])
    # The n-th most alike stands beside the n-th most alike of chance
    place = np.argsort(np.argsort(-similarity.mean(1)))
    scores = tuple(
        Score.beside(float(value), np.array(chance)[:, rank])
        for value, rank in zip(similarity.mean(1), place, strict=True)
    )
    return Alignment(order=order, weights=weights, mean=_units(weights.mean(0)), similarity=similarity, scores=scores)


def match_in_time(
    ours: ArrayLike,
    theirs: ArrayLike,
    rate_hz: float,
    *,
    most_lag_s: float = MOST_LAG_S,
    seed: int = 0,
    draws: int = DRAWS,
) -> Match:
    """Pair activations (T, K), of EMG, with (T, J), of the camera, by their largest cross-correlation.

    Both on one clock. The lag is searched within ± `most_lag_s` and is positive where ours come first, as EMG comes
    before what a camera sees. Chance: theirs turned round in time, all together, by more than that. The distal paper's
    temporal matching (§ 5, figure 3 D).
    """
    one, two = _signals(ours), _signals(theirs)
    most = int(most_lag_s * rate_hz)
    if len(one) != len(two) or len(one) < 4 * most + 2 or most < 0:
        raise InputError(
            f"activations must share a clock and last four times the lag of {most_lag_s:g} s; got {len(one)} and "
            f"{len(two)} samples at {rate_hz:g} Hz"
        )
    best, lag = _correlated(one, two, most)
    rng = np.random.default_rng(seed)
    turns = rng.integers(2 * most + 1, len(one) - 2 * most, size=draws)
    chance = [_paired(_correlated(one, np.roll(two, turn, axis=0), most)[0])[2].mean() for turn in turns]
    return _match(best, lag / rate_hz, chance)


def loadings(emg: ArrayLike, units: ArrayLike) -> Array:
    """Non-negative loadings (C, A) with which EMG channels (T, C) explain action units (T, A) best.

    They carry EMG synergies (K, C) into the space of the camera's synergies (J, A): `match(weights @ loadings, …)` is
    the distal paper's spatial matching (§ 5, figure 3 E), which lined four channels up with four action units instead.
    Shift the units by the lag of `match_in_time` first, and fit on other data than is matched.
    """
    x, y = _signals(emg, centred=False), _signals(units, centred=False)
    if len(x) != len(y):
        raise InputError(f"EMG and action units must share a clock; got {len(x)} and {len(y)} samples")
    return np.stack([nnls(x, column)[0] for column in y.T], axis=1)


def hulls(activations: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Volume of the convex hull of each label's activations (T, K), as in the six-expressions paper's figure 6 C.

    labels (T,), one a sample. A label whose activations lie in a plane has volume 0.
    """
    points, names = _labelled(activations, labels)
    return {str(name): _volume(points[names == name]) for name in np.unique(names)}


def overlap(activations: ArrayLike, labels: ArrayLike, *, seed: int = 0, draws: int = 50) -> Score:
    """How far labels share activation space: shared over joint volume of two hulls, the mean of all pairs of labels.

    activations (T, K), labels (T,). Less is better. Chance: the labels of whole runs (one act each) are dealt out
    anew, so it needs several runs of each label.
    """
    points, names = _labelled(activations, labels)
    if len(np.unique(names)) < 2:
        raise InputError("an overlap needs two labels or more")
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    run = np.cumsum(np.r_[False, names[1:] != names[:-1]])
    rng = np.random.default_rng(seed)
    chance = [_mean_overlap(points, rng.permutation(names[starts])[run]) for _ in range(draws)]
    return Score.beside(_mean_overlap(points, names), chance, better=-1)


def shared_volume(one: ArrayLike, two: ArrayLike) -> float:
    """Volume of what the convex hulls of points (N, K) and (M, K) have in common."""
    try:
        sides = np.concatenate([ConvexHull(np.asarray(points, float)).equations for points in (one, two)])
    except QhullError:
        return 0.0
    # The largest ball inside both: maximise r with n·x + |n| r ≤ -d
    goal = np.zeros(sides.shape[1])
    goal[-1] = -1
    ball = linprog(
        goal,
        np.c_[sides[:, :-1], np.ones(len(sides))],
        -sides[:, -1],
        bounds=[(None, None)] * (len(goal) - 1) + [(0, None)],
    )
    if ball.status != 0 or ball.x[-1] < 1e-9 * np.ptp(np.asarray(one, float)):
        return 0.0
    return float(ConvexHull(HalfspaceIntersection(sides, ball.x[:-1]).intersections, qhull_options="QJ").volume)


def _mean_overlap(points: Array, names: NDArray) -> float:
    groups = [points[names == name] for name in np.unique(names)]
    groups = [_corners(group) for group in groups]
    volumes = [_volume(group) for group in groups]
    ratios = []
    for a in range(len(groups)):
        for b in range(a):
            shared = shared_volume(groups[a], groups[b])
            joint = volumes[a] + volumes[b] - shared
            ratios.append(shared / joint if joint > 0 else 0.0)
    return float(np.mean(ratios))


def _corners(points: Array) -> Array:
    try:
        return points[ConvexHull(points).vertices]
    except QhullError:
        return points


def _volume(points: Array) -> float:
    try:
        return float(ConvexHull(points).volume)
    except QhullError:
        return 0.0


def _match(similarity: Array, lag_s: Array, chance: ArrayLike) -> Match:
    ours, theirs, values = _paired(similarity)
    return Match(
        ours=ours,
        theirs=theirs,
        similarity=values,
        lag_s=lag_s[ours, theirs],
        score=Score.beside(values.mean(), chance),
    )


def _paired(similarity: Array) -> tuple[NDArray[np.integer], NDArray[np.integer], Array]:
    one, two = linear_sum_assignment(similarity, maximize=True)
    values = similarity[one, two]
    order = np.argsort(-values)
    return one[order], two[order], values[order]


def _common_order(stack: Array) -> NDArray[np.integer]:
    """Place (P, K) in each set (P, K, C) of the common synergies."""

    def to(reference: Array) -> NDArray[np.integer]:
        return np.stack([linear_sum_assignment(reference @ one.T, maximize=True)[1] for one in stack])

    between = np.einsum("pkc,qjc->pqkj", stack, stack)
    likeness = [sum(_paired(between[p, q])[2].mean() for q in range(len(stack))) for p in range(len(stack))]
    order = to(stack[int(np.argmax(likeness))])
    for _ in range(50):
        new = to(_units(np.take_along_axis(stack, order[..., None], axis=1).mean(0)))
        if (new == order).all():
            break
        order = new
    return order


def _between(weights: Array) -> Array:
    """Cosine (K, pairs) of every two sets (P, K, C) of unit synergies in one order."""
    one, two = np.triu_indices(len(weights), 1)
    return np.einsum("pkc,pkc->kp", weights[one], weights[two])


def _correlated(one: Array, two: Array, most: int) -> tuple[Array, Array]:
    """Largest cross-correlation (K, J) of standardised signals within ± `most` samples, and the lag of `two`."""
    lags = signal.correlation_lags(len(two), len(one))
    near = np.abs(lags) <= most
    every = signal.fftconvolve(two[:, None, :], one[::-1, :, None], axes=0)[near] / len(one)
    at = every.argmax(0)
    return every.max(0), lags[near][at].astype(float)


def _units(weights: ArrayLike) -> Array:
    w = np.asarray(weights, float)
    if w.ndim != 2 or not w.size or not np.isfinite(w).all():
        raise InputError(f"synergies must be finite, (K, C); got shape {w.shape}")
    return w / np.maximum(np.linalg.norm(w, axis=1, keepdims=True), 1e-12)


def _signals(values: ArrayLike, *, centred: bool = True) -> Array:
    x = np.asarray(values, float)
    if x.ndim != 2 or not x.size or not np.isfinite(x).all():
        raise InputError(f"signals must be finite, (T, K), time first; got shape {x.shape}")
    if not centred:
        return x
    spread = x.std(0)
    if not (spread > 0).all():
        raise InputError(f"column {int(spread.argmin())} is constant, which goes with nothing; leave it out")
    return (x - x.mean(0)) / spread


def _labelled(activations: ArrayLike, labels: ArrayLike) -> tuple[Array, NDArray]:
    points, names = _signals(activations, centred=False), np.asarray(labels)
    if names.shape != points.shape[:1] or points.shape[1] < 2:
        raise InputError(f"wanted activations (T, K) with K ≥ 2 and labels (T,); got {points.shape} and {names.shape}")
    return points, names


__all__ = ["Alignment", "Match", "align", "hulls", "loadings", "match", "match_in_time", "overlap", "shared_volume"]
