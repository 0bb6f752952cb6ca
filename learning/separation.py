"""Which sources does a mixture of EMG hold? Blind separation behind one function, and names for what it finds.

    found = separate(emg_uv, "picard", components=3, seed=0)
    found.sources                                # (T, 3)
    found.apply(later_uv)                        # the same unmixing on what comes next
    match(courses, {"AU12": au12, "AU6": au6}, rate_hz).component["AU12"]

"none", "pca" and "random" are rungs to stand a result on: what raw channels, decorrelation, and a random rotation of
decorrelated channels give. Sources of "nmf" are non-negative and need envelopes; the others take raw EMG or envelopes.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from picard import picard
from scipy import signal, stats
from sklearn.decomposition import NMF, FastICA, non_negative_factorization

from ..sim.errors import InputError, VocabularyError

Array = NDArray[np.floating]

MOST_LAG_S = 1.5
"""How far a camera is believed to lag behind EMG at most; the distal-EMG paper found 0.374 ± 0.366 s (§ 6.1)."""
_NMF_ITERATIONS = 1000


@dataclass(frozen=True, kw_only=True, eq=False)
class Separation:
    """Sources found in a mixture of C channels.

    sources (T, K) = (mixture − offset) unmixingᵀ, of unit SD (not for "none"; for "nmf" by non-negative least squares
    instead). unmixing (K, C) and mixing (C, K) are each other's pseudo-inverse; offset (C,). Signs: a column of mixing
    has a positive sum. converged: whether the iteration ended by itself.
    """

    method: str
    sources: Array
    unmixing: Array
    mixing: Array
    offset: Array
    converged: bool = True

    def apply(self, emg: ArrayLike) -> Array:
        """The same sources (T, K) in other samples (T, C) of these channels. Raises `InputError`."""
        mixture = _checked(emg)
        if mixture.shape[1] != len(self.offset):
            raise InputError(f"this separation is of {len(self.offset)} channels, got {mixture.shape[1]}")
        if self.method == "nmf":
            parts = np.ascontiguousarray(self.mixing.T)
            return non_negative_factorization(
                _nonnegative(mixture), H=parts, update_H=False, max_iter=_NMF_ITERATIONS, tol=1e-8
            )[0]
        return (mixture - self.offset) @ self.unmixing.T


def separate(emg: ArrayLike, method: str = "picard", *, components: int | None = None, seed: int = 0) -> Separation:
    """Sources of a mixture (T, C), raw EMG or envelopes, in any unit.

    method: one of `METHODS`. components: how many, by default C; the distal-EMG paper takes C − 1 (§ 5). "none" keeps
    every channel whatever it says. The same seed, the same sources. Raises `VocabularyError` for a method that does
    not exist, `InputError` for a mixture with fewer independent channels than components.
    """
    if method not in METHODS:
        raise VocabularyError(f"unknown method {method!r}; allowed: {', '.join(METHODS)}")
    mixture = _checked(emg)
    wanted = mixture.shape[1] if components is None else components
    if not 1 <= wanted <= mixture.shape[1]:
        raise InputError(f"components must be 1 … {mixture.shape[1]}, the number of channels; got {components}")
    return METHODS[method](mixture, wanted, seed)


@dataclass(frozen=True, kw_only=True, eq=False)
class Match:
    """Which component goes with which action unit, in the order in which they were matched.

    component: index by name. correlation, lag_s (K, A): height of the largest cross-correlation and by how much the
    component leads there. noise (K,): the same height with uniform noise, which is what no relation looks like.
    """

    component: Mapping[str, int]
    correlation: Array
    lag_s: Array
    noise: Array


def match(
    courses: ArrayLike, units: Mapping[str, ArrayLike], rate_hz: float, *, seed: int = 0, most_s: float = MOST_LAG_S
) -> Match:
    """Name components (T, K) after the camera's action units (T,), on one clock, by cross-correlation.

    The first unit takes the component with which it correlates most, the next the best of those left: put AU12 first,
    as its muscle is the stronger (distal-EMG paper § 5). A unit that never changes correlates by 0. Raises
    `InputError` for fewer components than units.
    """
    found = _checked(courses)
    if not 1 <= len(units) <= found.shape[1]:
        raise InputError(f"{len(units)} units cannot be told apart by {found.shape[1]} components")
    noise = np.random.default_rng(seed).uniform(size=len(found))
    table = [cross_correlation(found, one, rate_hz, most_s=most_s) for one in (*units.values(), noise)]
    height, lag = (np.stack(part, axis=1) for part in zip(*table, strict=True))
    free = np.ones(found.shape[1], bool)
    chosen: dict[str, int] = {}
    for column, name in enumerate(units):
        chosen[name] = int(np.where(free, height[:, column], -np.inf).argmax())
        free[chosen[name]] = False
    return Match(component=MappingProxyType(chosen), correlation=height[:, :-1], lag_s=lag[:, :-1], noise=height[:, -1])


def cross_correlation(
    leaders: ArrayLike, follower: ArrayLike, rate_hz: float, *, most_s: float = MOST_LAG_S
) -> tuple[Array, Array]:
    """Largest cross-correlation (K,) of courses (T, K) with one course (T,), and the lead (K,) s at which it stands.

    Positive when a leader comes before the follower; searched within ± `most_s`. Where either is constant the
    correlation is 0 and the lead NaN. Raises `InputError`.
    """
    first = _checked(leaders)
    second = np.asarray(follower, float)
    if second.shape != first.shape[:1] or not np.isfinite(second).all():
        raise InputError(f"the follower must be ({len(first)},) and finite, got {second.shape}")
    if not (np.isfinite(rate_hz) and rate_hz > 0 and most_s >= 0):
        raise InputError(f"rate and longest lag must be positive, got {rate_hz} Hz and {most_s} s")
    first, second = first - first.mean(0), second - second.mean()
    product = signal.fftconvolve(second[:, None], first[::-1], axes=0)
    lags = signal.correlation_lags(len(second), len(first))
    near = np.abs(lags) <= most_s * rate_hz
    size = np.linalg.norm(first, axis=0) * np.linalg.norm(second)
    flat = (np.ptp(first, axis=0) == 0) | (np.ptp(second) == 0)
    peak = product[near].argmax(0)
    height = np.where(flat, 0.0, product[near].max(0) / np.where(flat, 1.0, size))
    return height, np.where(flat, np.nan, lags[near][peak] / rate_hz)


# --- Methods: (mixture (T, C), components, seed) -> Separation -------------------------------------------------


def _none(mixture: Array, components: int, seed: int) -> Separation:
    offset, same = mixture.mean(0), np.eye(mixture.shape[1])
    return Separation(method="none", sources=mixture - offset, unmixing=same, mixing=same, offset=offset)


def _pca(mixture: Array, components: int, seed: int) -> Separation:
    return _linear("pca", mixture, _whitening(mixture, components))


def _random(mixture: Array, components: int, seed: int) -> Separation:
    turn = np.atleast_2d(stats.ortho_group.rvs(components, random_state=seed)) if components > 1 else np.eye(1)
    return _linear("random", mixture, turn @ _whitening(mixture, components))


def _fastica(mixture: Array, components: int, seed: int) -> Separation:
    white = _whitening(mixture, components)
    ica = FastICA(whiten=cast(Any, False), max_iter=1000, tol=1e-5, random_state=seed)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        ica.fit((mixture - mixture.mean(0)) @ white.T)
    return _linear("fastica", mixture, ica.components_ @ white, converged=not said)


def _picard(mixture: Array, components: int, seed: int) -> Separation:
    white = _whitening(mixture, components)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        turn = picard(
            white @ (mixture - mixture.mean(0)).T, ortho=True, whiten=False, centering=False, random_state=seed
        )[1]
    return _linear("picard", mixture, turn @ white, converged=not said)


def _nmf(mixture: Array, components: int, seed: int) -> Separation:
    model = NMF(cast(Any, components), init="nndsvda", max_iter=_NMF_ITERATIONS, random_state=seed)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        sources = model.fit_transform(_nonnegative(mixture))
    size = sources.std(0)
    if not size.all():
        raise InputError(f"these envelopes do not hold {components} components; ask for fewer")
    mixing = model.components_.T * size
    return Separation(
        method="nmf",
        sources=sources / size,
        unmixing=np.linalg.pinv(mixing),
        mixing=mixing,
        offset=np.zeros(len(mixing)),
        converged=not said,
    )


METHODS: Mapping[str, Callable[[Array, int, int], Separation]] = MappingProxyType(
    {"none": _none, "random": _random, "pca": _pca, "nmf": _nmf, "fastica": _fastica, "picard": _picard}
)


def _linear(method: str, mixture: Array, unmixing: Array, *, converged: bool = True) -> Separation:
    mixing = np.linalg.pinv(unmixing)
    sign = np.where(mixing.sum(0) < 0, -1.0, 1.0)
    unmixing, mixing, offset = unmixing * sign[:, None], mixing * sign, mixture.mean(0)
    sources = (mixture - offset) @ unmixing.T
    return Separation(
        method=method, sources=sources, unmixing=unmixing, mixing=mixing, offset=offset, converged=converged
    )


def _whitening(mixture: Array, components: int) -> Array:
    """Projection (K, C) on the strongest principal components, each of unit SD."""
    variance, axes = np.linalg.eigh(np.cov(mixture.T, ddof=0).reshape(mixture.shape[1], -1))
    variance, axes = variance[::-1][:components], axes[:, ::-1][:, :components]
    if variance[-1] <= 1e-12 * max(variance[0], 1e-300):
        raise InputError(f"the mixture has no {components} independent channels; is one dead or given twice?")
    return (axes / np.sqrt(variance)).T


def _nonnegative(mixture: Array) -> Array:
    if mixture.min() < 0:
        raise InputError(f"NMF needs envelopes that are nowhere negative, got {mixture.min():.3g}; rectify first")
    return mixture


def _checked(values: ArrayLike) -> Array:
    array = np.asarray(values, float)
    if array.ndim != 2 or len(array) < 32 or array.shape[1] < 1 or not np.isfinite(array).all():
        raise InputError(f"wanted a finite array (T, channels) with 32 samples or more; got shape {array.shape}")
    return array


__all__ = ["METHODS", "MOST_LAG_S", "Match", "Separation", "cross_correlation", "match", "separate"]
