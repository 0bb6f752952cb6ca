"""How well were sources separated? Scores against truth, each beside what chance gives.

How much variance components explain says nothing here: all of it, as soon as there are as many as channels, and
distal channels are explained as well by wrong sources as by right ones. What can fail, and is scored: the unmixing
(Amari index), waveforms (SDR), when sources are active (`activation_correlation`), which muscles they are
(`muscle_cosine`).

    truth = true_sources(person.per_muscle(recording), MUSCLE_NAMES, 3)
    amari_score(found.unmixing, truth.mixing, rng)
    sdr_score(found.sources, truth.courses, rng)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment, nnls
from scipy.stats import ortho_group

from ..sim.errors import InputError

Array = NDArray[np.floating]

DRAWS = 200


@dataclass(frozen=True, kw_only=True)
class Score:
    """A value, the mean that chance gives, and what chance reaches once in twenty times.

    better: 1 where more is better, -1 where less is.
    """

    value: float
    chance: float
    chance_limit: float
    better: int = 1

    @property
    def real(self) -> bool:
        """Whether the value is better than nineteen in twenty chance ones."""
        return self.better * self.value > self.better * self.chance_limit

    @classmethod
    def beside(cls, value: float, chance: ArrayLike, better: int = 1) -> "Score":
        """A value beside chance values (draws,)."""
        draws = np.asarray(chance, float)
        limit = np.percentile(draws, 95 if better > 0 else 5)
        return cls(value=float(value), chance=float(draws.mean()), chance_limit=float(limit), better=better)


# --- Truth -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class TrueSources:
    """Muscles as sources of a mixture: waveforms (T, S) of unit SD and gains (C, S) in the mixture's unit.

    share (S,): how much of each muscle's power the product of the two holds; 1 if it reaches every channel with one
    waveform, as instantaneous separation supposes.
    """

    names: tuple[str, ...]
    courses: Array
    mixing: Array
    share: Array


def true_sources(contributions: ArrayLike, names: Sequence[str], count: int) -> TrueSources:
    """The `count` muscles that are strongest in a mixture, as sources.

    contributions (T, M, C): what each muscle adds to each channel, as `Person.per_muscle` gives; names (M,). A source
    is the first principal component over channels, with a mixing column whose sum is positive. Raises `InputError`.
    """
    parts = np.asarray(contributions)
    if parts.ndim != 3 or parts.shape[1] != len(names) or not np.isfinite(parts).all():
        raise InputError(f"contributions must be finite (T, {len(names)} muscles, C), got {parts.shape}")
    power = np.einsum("tmc,tmc->m", parts, parts, dtype=float)
    if not 1 <= count <= np.count_nonzero(power):
        raise InputError(f"count must be 1 … {np.count_nonzero(power)}, the muscles that are heard; got {count}")
    chosen = np.argsort(-power)[:count]
    courses, mixing, share = [], [], []
    for muscle in chosen:
        part = parts[:, muscle].astype(float)
        part -= part.mean(0)
        value, vector = np.linalg.eigh(part.T @ part / len(part))
        axis = vector[:, -1] * np.where(vector[:, -1].sum() < 0, -1, 1)
        size = np.sqrt(value[-1])
        courses.append(part @ axis / size)
        mixing.append(axis * size)
        share.append(value[-1] / value.sum())
    return TrueSources(
        names=tuple(names[int(m)] for m in chosen),
        courses=np.stack(courses, axis=1),
        mixing=np.stack(mixing, axis=1),
        share=np.array(share),
    )


# --- Unmixing --------------------------------------------------------------------------------------------------


def amari_index(unmixing: ArrayLike, mixing: ArrayLike) -> float:
    """How far an unmixing (K, C) of a mixture (C, S) of unit-variance sources is from a permutation, 0 … 1.

    Amari, Cichocki & Yang 1996, scaled by 1 / (2 n (n − 1)); 0 is perfect. With K ≠ S rows and columns are averaged
    each for itself, which is the same where K = S. Raises `InputError` for shapes that do not fit or a single source.
    """
    product = np.abs(_matrix(unmixing) @ _fits(mixing, unmixing))
    found, true = product.shape
    if min(found, true) < 2:
        raise InputError(f"the Amari index needs two sources or more, got {found} of {true}")
    largest = product.max(1), product.max(0)
    if not (largest[0].all() and largest[1].all()):
        return 1.0
    rows = (product.sum(1) / largest[0] - 1).mean() / (true - 1)
    columns = (product.sum(0) / largest[1] - 1).mean() / (found - 1)
    return float(0.5 * (rows + columns))


def amari_score(unmixing: ArrayLike, mixing: ArrayLike, rng: np.random.Generator, *, draws: int = DRAWS) -> Score:
    """The Amari index beside that of the same unmixing, its rows turned at random once they are decorrelated.

    Chance thus knows the second-order statistics, as PCA does, and nothing else.
    """
    found, true = _matrix(unmixing), _fits(mixing, unmixing)
    product = found @ true
    # Rows of an unmixing that whitens are orthonormal; made so, a random rotation of them whitens as well.
    u, _, vh = np.linalg.svd(product, full_matrices=False)
    white = u @ vh
    turns = ortho_group.rvs(len(white), size=draws, random_state=rng)
    chance = [amari_index(turn @ white, np.eye(true.shape[1])) for turn in turns]
    return Score.beside(amari_index(found, true), chance, better=-1)


# --- Waveforms -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Distortion:
    """For each true source (S,): the component that holds it best, and in dB what it holds besides.

    sdr: against everything else; sir: against other true sources; sar: against what no true source explains.
    """

    component: NDArray[np.integer]
    sdr_db: Array
    sir_db: Array
    sar_db: Array


def distortion(estimates: ArrayLike, truth: ArrayLike) -> Distortion:
    """Distortion ratios of components (T, K) as estimates of true sources (T, S ≤ K), by projection.

    BSS-eval (Vincent, Gribonval & Févotte 2006) with gains as the allowed distortion, so that SDR is the
    scale-invariant one. Components and sources are paired for the largest sum of SDRs. Raises `InputError`.
    """
    found, true = _pair(estimates, truth)
    if found.shape[1] < true.shape[1]:
        raise InputError(f"{found.shape[1]} components cannot estimate {true.shape[1]} sources each by its own")
    cosine = _cosines(found, true)
    table = _ratio_db(cosine**2, 1 - cosine**2)
    rows, columns = linear_sum_assignment(-table)
    of = rows[np.argsort(columns)]
    unit, chosen = true / np.linalg.norm(true, axis=0), found[:, of] / np.linalg.norm(found[:, of], axis=0)
    inside = unit @ np.linalg.lstsq(unit, chosen, rcond=None)[0]
    target, explained = (unit * chosen).sum(0) ** 2, (inside**2).sum(0)
    return Distortion(
        component=of,
        sdr_db=_ratio_db(target, 1 - target),
        sir_db=_ratio_db(target, explained - target),
        sar_db=_ratio_db(explained, 1 - explained),
    )


def sdr_score(estimates: ArrayLike, truth: ArrayLike, rng: np.random.Generator, *, draws: int = 50) -> Score:
    """Mean SDR, dB, of the sources beside that with the truth shifted in time, each source by its own amount."""
    found, true = _pair(estimates, truth)
    value = distortion(found, true).sdr_db.mean()
    return Score.beside(value, _shifted(lambda late: distortion(found, late).sdr_db.mean(), true, rng, draws))


# --- Activation ------------------------------------------------------------------------------------------------


def activation_correlation(courses: ArrayLike, truth: ArrayLike) -> float:
    """Mean correlation of true activations (T, S) with the courses (T, K ≥ S) that fit them best, one to one.

    Courses and activations are on one clock, envelopes both; corr(H) of the synergy literature. A course that never
    changes correlates by 0. Raises `InputError`.
    """
    found, true = _pair(courses, truth)
    if found.shape[1] < true.shape[1]:
        raise InputError(f"{found.shape[1]} courses cannot stand for {true.shape[1]} activations one to one")
    table = _cosines(found, true)
    return float(table[linear_sum_assignment(-table)].mean())


def activation_score(courses: ArrayLike, truth: ArrayLike, rng: np.random.Generator, *, draws: int = DRAWS) -> Score:
    """`activation_correlation` beside that with activations shifted in time, all by one amount.

    Shifted together they keep going together as they do, which is what makes chance high in smiles.
    """
    found, true = _pair(courses, truth)
    chance = _shifted(lambda late: activation_correlation(found, late), true, rng, draws, together=True)
    return Score.beside(activation_correlation(found, true), chance)


# --- Muscles ---------------------------------------------------------------------------------------------------


def muscle_cosine(weights: ArrayLike, mixing: ArrayLike, truth: ArrayLike) -> float:
    """Mean cosine between what components are in muscles and what they should be, 0 … 1.

    weights (C, K): how components show in channels, as a separation's mixing or a synergy's weights; magnitudes
    count. mixing (C, M): gains of muscles. truth (M, S ≤ K): muscles of each true component, not negative. Weights are
    taken back to muscles by non-negative least squares, then paired with the truth. Raises `InputError`.
    """
    shown, gains, true = np.abs(_matrix(weights)), np.abs(_matrix(mixing)), _matrix(truth)
    if len(shown) != len(gains) or len(true) != gains.shape[1] or true.shape[1] > shown.shape[1] or true.min() < 0:
        raise InputError(
            f"weights (C, K), mixing (C, M) and non-negative truth (M, S ≤ K) do not fit: "
            f"{shown.shape}, {gains.shape}, {true.shape}"
        )
    inside = np.stack([nnls(gains, column)[0] for column in shown.T], axis=1)
    table = (inside / _lengths(inside)).T @ (true / _lengths(true))
    return float(table[linear_sum_assignment(-table)].mean())


def muscle_score(
    weights: ArrayLike, mixing: ArrayLike, truth: ArrayLike, rng: np.random.Generator, *, draws: int = DRAWS
) -> Score:
    """`muscle_cosine` beside that of random combinations of muscles seen through the same gains."""
    gains, true = np.abs(_matrix(mixing)), _matrix(truth)
    count = _matrix(weights).shape[1]
    chance = [muscle_cosine(gains @ rng.gamma(0.6, size=(len(true), count)), gains, true) for _ in range(draws)]
    return Score.beside(muscle_cosine(weights, mixing, truth), chance)


def explained(emg: ArrayLike, sources: ArrayLike, mixing: ArrayLike) -> float:
    """Variance of a mixture (T, C), about its mean, that sources (T, K) times mixing (C, K) hold; 1 is all (VAF).

    It cannot see wrong sources: every rotation of the right ones explains as much.
    """
    seen, found = _pair(emg, sources)
    rest = seen - found @ _matrix(mixing).T
    return float(1 - ((rest - rest.mean(0)) ** 2).sum() / (seen**2).sum())


def _shifted(
    score: Callable[[Array], float], truth: Array, rng: np.random.Generator, draws: int, *, together: bool = False
) -> list[float]:
    """Scores with truth turned round in time, by at least a twentieth of its length."""
    least = len(truth) // 20 + 1
    result = []
    for _ in range(draws):
        shifts = np.full(truth.shape[1], rng.integers(least, len(truth) - least))
        if not together:
            shifts = rng.integers(least, len(truth) - least, size=truth.shape[1])
        result.append(score(np.stack([np.roll(one, by) for one, by in zip(truth.T, shifts, strict=True)], axis=1)))
    return result


def _cosines(found: Array, true: Array) -> Array:
    """(K, S) of columns."""
    return (found / _lengths(found)).T @ (true / _lengths(true))


def _lengths(columns: Array) -> Array:
    size = np.linalg.norm(columns, axis=0)
    return np.where(size > 0, size, 1.0)


def _ratio_db(part: Array, rest: Array) -> Array:
    return 10 * np.log10(np.maximum(part, 1e-12) / np.maximum(rest, 1e-12))


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[Array, Array]:
    """Two arrays (T, …) about their means."""
    one, two = _matrix(first), _matrix(second)
    if len(one) != len(two) or len(one) < 32:
        raise InputError(f"both must be (T, …) of one T, 32 or more; got {one.shape} and {two.shape}")
    return one - one.mean(0), two - two.mean(0)


def _fits(mixing: ArrayLike, unmixing: ArrayLike) -> Array:
    true = _matrix(mixing)
    if len(true) != _matrix(unmixing).shape[1]:
        raise InputError(f"unmixing (K, C) {np.shape(unmixing)} does not fit mixing (C, S) {true.shape}")
    return true


def _matrix(values: ArrayLike) -> Array:
    array = np.asarray(values, float)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise InputError(f"wanted a finite array of two axes, got shape {array.shape}")
    return array


__all__ = [
    "Distortion",
    "Score",
    "TrueSources",
    "activation_correlation",
    "activation_score",
    "amari_index",
    "amari_score",
    "distortion",
    "explained",
    "muscle_cosine",
    "muscle_score",
    "sdr_score",
    "true_sources",
]
