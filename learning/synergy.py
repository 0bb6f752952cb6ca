"""Muscle synergies: non-negative matrix factorisation of many envelopes, all ranks and restarts in one JAX program.

An envelope (T, C) is taken for activations (T, K) times synergies (K, C), both non-negative, with the least squared
error. There are far more samples than channels, so the restarts first compete on a few hundred samples, drawn in
proportion to their energy; the best go on with all of them, and the best of these until it gains little more. Every
update is the closed-form least squares step of one synergy (HALS: Cichocki and Phan 2009; Gillis and Glineur 2012) or
the multiplicative one of Lee and Seung (1999). scikit-learn's coordinate descent is the reference that the tests and
the benchmark hold this against.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..sim.errors import InputError, VocabularyError

Array = NDArray[np.floating]
Updates = Literal["hals", "multiplicative"]

SAMPLED = 256
"""Samples on which restarts compete."""
FINALISTS = 8
"""Restarts that go on, on all samples, until the best of them is finished."""
SAMPLED_STEPS, FINAL_STEPS, MOST_STEPS, STEPS_BETWEEN_LOOKS = 40, 10, 200, 10
"""Updates of all restarts, of the finalists, and at most of the best, whose error is looked at after every few."""
TOLERANCE = 2e-4
"""Finished once the squared error falls by less than this share between two looks."""
WEIGHT_SWEEPS = 3
"""Updates of the synergies for one of the activations: they cost nothing beside it."""
FIRST_SWEEPS, ACTIVATION_SWEEPS = 3, 500
TINY = 1e-12


@dataclass(frozen=True)
class Factorisations:
    """The best factorisation of every problem at every rank.

    weights[k] (P, k, C): rows of unit length, the one with most energy first. restarts[k] (P, R, k, C): as every
    restart left them on the sampled instants, for their consensus. vaf (P, ranks): 1 - squared error / sum of squares,
    not centred. vaf_by_channel (P, ranks, C): the same a channel, 1 for a silent one.
    """

    ranks: tuple[int, ...]
    weights: dict[int, Array]
    restarts: dict[int, Array]
    vaf: Array
    vaf_by_channel: Array

    @property
    def relative_error(self) -> Array:
        """Norm of what is left over the norm of the envelope, (P, ranks)."""
        return np.sqrt(np.maximum(1 - self.vaf, 0))


def factorise(
    envelopes: ArrayLike | Sequence[ArrayLike],
    ranks: Sequence[int] | None = None,
    *,
    restarts: int = 10,
    updates: Updates = "hals",
    seed: int = 0,
    batch: int = 50,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Factorisations:
    """Factorise P envelopes, (P, T, C) or P arrays (T_p, C) of different lengths, at every rank.

    ranks: from 1 to C, by default all; at C the answer is the identity, without any iteration. batch: problems that
    one call of the compiled program takes; it only bounds memory and spaces the calls of `progress`. Results depend on
    `seed` and on nothing else. Raises `InputError` for anything negative, not finite or silent.
    """
    x = _stacked(envelopes)
    problems, _, channels = x.shape
    ranks = tuple(range(1, channels + 1)) if ranks is None else tuple(ranks)
    if not ranks or min(ranks) < 1 or max(ranks) > channels or len(set(ranks)) < len(ranks):
        raise InputError(f"ranks {ranks}: allowed are different numbers from 1 to the {channels} channels")
    if restarts < 1 or batch < 1:
        raise InputError(f"restarts and batch must be 1 or more, got {restarts} and {batch}")
    if updates not in ("hals", "multiplicative"):
        raise VocabularyError(f"unknown updates {updates!r}; allowed: hals, multiplicative")
    batch = min(batch, problems)
    widest = max(channels - 1, 1)
    starts = np.random.default_rng(seed).uniform(0.01, 1, (problems, restarts, widest, channels)).astype(np.float32)
    asked = np.minimum(ranks, widest)
    pieces = []
    for start in range(0, problems, batch):
        rows = np.minimum(np.arange(start, start + batch), problems - 1)  # the last batch repeats its last problem
        found = _factorise(x[rows], starts[rows], asked, updates)
        pieces.append([np.asarray(part)[: problems - start] for part in found])
        progress(min(start + batch, problems), problems)
    best, energies, every, left = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    order = np.argsort(-energies, axis=2)[..., None]
    best = np.take_along_axis(best, order, axis=2)
    weights = {rank: best[:, place, :rank] for place, rank in enumerate(ranks)}
    tried = {rank: every[:, place, :, :rank] for place, rank in enumerate(ranks)}
    if channels in ranks:
        own = np.argsort(-(x**2).sum(1), axis=1)
        weights[channels] = np.eye(channels, dtype=np.float32)[own]
        tried[channels] = np.repeat(weights[channels][:, None], restarts, axis=1)
        left[:, ranks.index(channels)] = 0
    power = (x.astype(float) ** 2).sum(1)[:, None]
    by_channel = 1 - np.divide(left, power, out=np.zeros_like(left, float), where=power > 0)
    return Factorisations(ranks, weights, tried, 1 - left.sum(2) / power.sum(2), by_channel)


def activations(envelopes: ArrayLike, weights: ArrayLike) -> Array:
    """Non-negative least squares: envelopes (…, T, C) and synergies (…, K, C) → activations (…, T, K)."""
    x, w = np.asarray(envelopes, np.float32), np.asarray(weights, np.float32)
    if x.ndim < 2 or w.ndim < 2 or x.shape[-1] != w.shape[-1] or not (np.isfinite(x).all() and np.isfinite(w).all()):
        raise InputError(
            f"envelopes {x.shape} and synergies {w.shape}: wanted finite (…, T, C) and (…, K, C) of the same channels"
        )
    return np.swapaxes(np.asarray(_activations(jnp.swapaxes(x, -1, -2), jnp.asarray(w))), -1, -2)


def held_out_vaf(
    envelopes: ArrayLike | Sequence[ArrayLike],
    ranks: Sequence[int] | None = None,
    *,
    folds: int = 5,
    restarts: int = 10,
    seed: int = 0,
) -> Array:
    """VAF (P, folds, ranks) in a stretch of time whose samples the synergies were not fitted to.

    All folds of all problems are one batch. Activations are fitted to the stretch, so this grows with rank towards 1
    as well, only less than in the samples that the synergies have seen.
    """
    x = _stacked(envelopes)
    if not 2 <= folds <= x.shape[1]:
        raise InputError(f"folds: got {folds}, allowed 2 … {x.shape[1]} samples")
    fold = np.arange(x.shape[1]) * folds // x.shape[1]
    left_out = fold == np.arange(folds)[:, None]
    known = np.where(left_out[..., None], 0, x[:, None]).reshape(-1, *x.shape[1:])  # rows of zeros add no error
    fitted = factorise(known, ranks, restarts=restarts, seed=seed)
    scores = np.empty((len(x), folds, len(fitted.ranks)))
    for place, rank in enumerate(fitted.ranks):
        weights = fitted.weights[rank].reshape(len(x), folds, rank, -1)
        for number in range(folds):
            hidden = x[:, left_out[number]]
            rest = hidden - activations(hidden, weights[:, number]) @ weights[:, number]
            power = (hidden**2).sum((1, 2))
            scores[:, number, place] = 1 - (rest**2).sum((1, 2)) / np.where(power > 0, power, np.nan)
    return scores


def choose_rank(
    ranks: Sequence[int], vaf: ArrayLike, vaf_by_channel: ArrayLike, *, least: float = 0.90, least_channel: float = 0.75
) -> NDArray[np.integer]:
    """Smallest rank (…) whose VAF (…, ranks) and whose every channel's VAF (…, ranks, C) are enough, else the largest.

    0.90 is the six-expressions paper's (§ 2.5.1), 0.85 the distal paper's (§ 5); 0.75 in every channel is customary
    in work on posture (Torres-Oviedo and Ting 2007).
    """
    order = np.argsort(ranks)
    enough = (np.asarray(vaf) >= least) & (np.asarray(vaf_by_channel).min(-1) >= least_channel)
    enough = enough[..., order]
    enough[..., -1] = True
    return np.asarray(ranks)[order][enough.argmax(-1)]


class Synergies(TransformerMixin, BaseEstimator):
    """Synergies of one envelope (T, C), and the activations of others.

    rank: number of synergies; by default the smallest that reaches `least_vaf` and `least_channel_vaf`
    (`choose_rank`). Fitted: weights_ (K, C) of unit length, activations_ (T, K), rank_, vaf_, vaf_by_channel_ (C,),
    ranks_ and vaf_curve_ of all ranks that were tried.
    """

    def __init__(
        self,
        rank: int | None = None,
        *,
        least_vaf: float = 0.90,
        least_channel_vaf: float = 0.75,
        restarts: int = 10,
        updates: Updates = "hals",
        seed: int = 0,
    ):
        self.rank = rank
        self.least_vaf = least_vaf
        self.least_channel_vaf = least_channel_vaf
        self.restarts = restarts
        self.updates: Updates = updates
        self.seed = seed

    def fit(self, X: ArrayLike, y: object = None) -> "Synergies":
        """Learn the synergies of an envelope (T, C)."""
        X = np.asarray(X)
        ranks = None if self.rank is None else (self.rank,)
        found = factorise(X[None], ranks, restarts=self.restarts, updates=self.updates, seed=self.seed)
        limits = {"least": self.least_vaf, "least_channel": self.least_channel_vaf}
        self.rank_ = int(choose_rank(found.ranks, found.vaf, found.vaf_by_channel, **limits)[0])
        place = found.ranks.index(self.rank_)
        self.ranks_, self.vaf_curve_ = np.array(found.ranks), found.vaf[0]
        self.weights_ = found.weights[self.rank_][0]
        self.vaf_, self.vaf_by_channel_ = float(found.vaf[0, place]), found.vaf_by_channel[0, place]
        self.activations_ = activations(X, self.weights_)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Activations (T, K) of an envelope (T, C)."""
        check_is_fitted(self)
        return activations(X, self.weights_)

    def inverse_transform(self, X: ArrayLike) -> Array:
        """The envelope (T, C) that activations (T, K) make."""
        check_is_fitted(self)
        return np.asarray(X) @ self.weights_


@partial(jax.jit, static_argnums=3)
def _factorise(x: jax.Array, starts: jax.Array, ranks: jax.Array, updates: Updates):
    """Envelopes (P, T, C), first synergies (P, R, K, C) and ranks (N,) ≤ K, one problem after the other.

    → the best w (P, N, K, C), rows beyond a rank zero, their energies (P, N, K), all w (P, N, R, K, C), squared errors
    (P, N, C). A rank is a number to this program, no shape: it is compiled once for all of them.
    """

    def problem(given: tuple[jax.Array, jax.Array]):
        samples, first = given[0].T, given[1]
        scale = jnp.sqrt(jnp.mean(samples**2))
        samples = samples / scale
        few = _drawn(samples)
        best, energies, every, left = jax.lax.map(lambda rank: _one_rank(samples, few, first, rank, updates), ranks)
        return best, energies, every, left * scale**2

    return jax.lax.map(problem, (x, starts))


def _one_rank(samples: jax.Array, few: jax.Array, starts: jax.Array, rank: jax.Array, updates: Updates):
    """The restarts (R, K, C) compete on the drawn samples (C, S), the finalists end on all samples (C, T)."""
    step = partial(_step, rank=rank, updates=updates)
    used = (jnp.arange(starts.shape[1]) < rank)[:, None]
    crowd = jnp.broadcast_to(few, (len(starts), *few.shape))
    h = jnp.broadcast_to(used / rank, (*starts.shape[:2], few.shape[1]))
    w = _unit(starts * used)[0]
    w, h = jax.lax.fori_loop(0, SAMPLED_STEPS, lambda _, now: step(crowd, *now), (w, h))
    _, ahead = jax.lax.top_k(-_left(crowd, w, h).sum(1), min(FINALISTS, len(starts)))

    def final(w: jax.Array):
        h = used * jnp.maximum(_played(samples, w, rank), 1e-4)  # a multiplicative update never leaves zero
        w, h = jax.lax.fori_loop(0, FINAL_STEPS, lambda _, now: step(samples, *now), (w, h))
        return w, h, _left(samples, w, h).sum()

    ends, played, errors = jax.lax.map(final, w[ahead])
    winner = jnp.argmin(errors)
    best, played, left = _finish(samples, ends[winner], played[winner], step)
    return best, jnp.sum(played**2, 1), w, left


def _finish(samples: jax.Array, w: jax.Array, h: jax.Array, step: Callable):
    """Updates on all samples (C, T) until they gain little: weights (K, C), activations (K, T), squared error (C,)."""

    def look(now):
        w, h, error, _, count = now
        w, h = jax.lax.fori_loop(0, STEPS_BETWEEN_LOOKS, lambda _, now: step(samples, *now), (w, h))
        return w, h, _left(samples, w, h).sum(), error, count + STEPS_BETWEEN_LOOKS

    def going_on(now):
        *_, error, last, count = now
        return (count == 0) | ((count < MOST_STEPS) & (error < (1 - TOLERANCE) * last))

    w, h, *_ = jax.lax.while_loop(going_on, look, (w, h, jnp.inf, jnp.inf, 0))
    return w, h, _left(samples, w, h)


def _played(samples: jax.Array, w: jax.Array, rank: jax.Array) -> jax.Array:
    """Activations (K, T) near those that go with synergies (K, C)."""
    gram, seen = w @ w.T, w @ samples
    return jax.lax.fori_loop(0, FIRST_SWEEPS, lambda _, h: _sweep(gram, seen, h, rank), jnp.zeros_like(seen))


def _step(
    x: jax.Array, w: jax.Array, h: jax.Array, *, rank: jax.Array, updates: Updates
) -> tuple[jax.Array, jax.Array]:
    """One update of activations (…, K, T), then of synergies (…, K, C), for samples (…, C, T)."""
    update = partial(_sweep, rows=rank) if updates == "hals" else _multiply
    w_t = jnp.swapaxes(w, -1, -2)
    h = update(w @ w_t, w @ x, h)
    h_t = jnp.swapaxes(h, -1, -2)
    gram, seen = h @ h_t, h @ jnp.swapaxes(x, -1, -2)
    w = jax.lax.fori_loop(0, WEIGHT_SWEEPS, lambda _, w: update(gram, seen, w), w)
    w, length = _unit(w)
    return w, h * length


def _sweep(gram: jax.Array, seen: jax.Array, y: jax.Array, rows: jax.Array | int) -> jax.Array:
    """One closed-form step for each of the first `rows` of y ≥ 0 in turn, towards the least ½ yᵀ gram y - yᵀ seen."""

    def row(k: jax.Array, y: jax.Array) -> jax.Array:
        of_k = partial(jax.lax.dynamic_index_in_dim, index=k, axis=-2, keepdims=False)
        couplings = of_k(gram)
        slope = of_k(seen) - jnp.sum(couplings[..., None] * y, -2)
        own = jax.lax.dynamic_index_in_dim(couplings, k, -1)
        return jax.lax.dynamic_update_index_in_dim(y, jnp.maximum(of_k(y) + slope / (own + TINY), 0), k, -2)

    return jax.lax.fori_loop(0, rows, row, y)


def _multiply(gram: jax.Array, seen: jax.Array, y: jax.Array) -> jax.Array:
    return y * seen / (gram @ y + TINY)


def _drawn(x: jax.Array) -> jax.Array:
    """Samples (C, S) of (C, T), evenly along the energy that has passed, all of one length; all if there are few."""
    if x.shape[1] <= 2 * SAMPLED:
        return x
    power = jnp.sum(x**2, 0)
    passed = jnp.cumsum(power)
    drawn = jnp.searchsorted(passed, (jnp.arange(SAMPLED) + 0.5) / SAMPLED * passed[-1])
    drawn = jnp.minimum(drawn, x.shape[1] - 1)
    return x[:, drawn] / jnp.sqrt(power[drawn] + TINY)


@jax.jit
def _activations(x: jax.Array, w: jax.Array) -> jax.Array:
    gram, seen = w @ jnp.swapaxes(w, -1, -2), w @ x

    def go(now):
        h, _, count = now
        new = _sweep(gram, seen, h, w.shape[-2])
        return new, jnp.max(jnp.abs(new - h)), count + 1

    def going_on(now):
        h, change, count = now
        return (count < ACTIVATION_SWEEPS) & (change > 1e-6 * jnp.max(h))

    return jax.lax.while_loop(going_on, go, go((jnp.zeros_like(seen), 0.0, 0)))[0]


def _left(x: jax.Array, w: jax.Array, h: jax.Array) -> jax.Array:
    """Squared error (…, C)."""
    return jnp.sum((x - jnp.swapaxes(w, -1, -2) @ h) ** 2, -1)


def _unit(w: jax.Array) -> tuple[jax.Array, jax.Array]:
    length = jnp.sqrt(jnp.sum(w**2, -1, keepdims=True))
    return w / jnp.maximum(length, TINY), length


def _stacked(envelopes: ArrayLike | Sequence[ArrayLike]) -> Array:
    """(P, T, C) float32, shorter ones followed by zeros, which change no error."""
    several = [np.asarray(one, np.float32) for one in envelopes]  # pyright: ignore[reportGeneralTypeIssues]
    if not several or any(one.ndim != 2 or one.shape[1] != several[0].shape[1] or not one.size for one in several):
        raise InputError(
            f"envelopes must be (P, T, C) or arrays (T, C) of the same channels; got {[a.shape for a in several][:5]}"
        )
    for number, one in enumerate(several):
        if not np.isfinite(one).all() or (one < 0).any():
            raise InputError(
                f"envelope {number} is negative or not finite somewhere; rectify, and cut at 0 after a filter"
            )
        if not one.any():
            raise InputError(f"envelope {number} is all zeros; is the recording dead?")
    longest = max(len(one) for one in several)
    return np.stack([np.pad(one, ((0, longest - len(one)), (0, 0))) for one in several])


__all__ = ["Factorisations", "Synergies", "activations", "choose_rank", "factorise", "held_out_vaf"]
