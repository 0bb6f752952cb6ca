"""The network of a motion anticipator: inner products of what it remembers in, shares of what it remembers out.

What is remembered are faces (`motion_memory`); the answer is the present face plus a weighted sum of the ways from it
to them. So the same motion in another place, turned, mirrored, in another unit or in a space of other size gets the
same answer, and nothing about faces needs to be learnt. A glance at every apex that was shown before says to which of
them the present motion seems to go (softmax); several networks behind it, trained from different beginnings, are
averaged. Trained in JAX (`motion_training`), used in NumPy.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from .motion_lessons import AHEAD_FRAMES
from .motion_memory import APEXES, CLUES, FIRST, LATELY, REST, TROUGH

Array = NDArray[np.floating]

ANSWERS = 1 + len(AHEAD_FRAMES)
"""The target and the course."""
HEADS = 2
"""Guesses at which apex comes, as mixtures of those remembered; their plain mean is there as well."""
_FACES = APEXES - 1
_WAYS = _FACES + HEADS + 1
_STARTS = np.array([3, 8, FIRST, REST, TROUGH, LATELY]) - 1
"""Where the present motion is taken to come from, as rows of ways."""
_FROM_REST = slice(3, 4)
_TRAITS, _GLANCE = 3 * len(_STARTS) + 2, 16
_UPPER = np.triu(np.ones((_WAYS, _WAYS), bool))
INPUTS = _WAYS**2 + _WAYS + CLUES + HEADS
OUTPUTS = ANSWERS * _WAYS + 3
LAYERS = 5
"""Two of the glance, three of the networks behind it."""
_SOFT, _MOST = 1e-3, 15.0


class Sayings(NamedTuple):
    """What is said of one moment, with or without a leading axis for networks.

    shares (…, ANSWERS, ROWS): of the ways to all rows, for the target and the course at `AHEAD_FRAMES`. arrival_s,
    log_arrival_sd, rising (logit), all (…,).
    """

    shares: Array
    arrival_s: Array
    log_arrival_sd: Array
    rising: Array


@dataclass(frozen=True, eq=False)
class Motives:
    """Weights and biases of `LAYERS`: two for the glance, (in, out) and (out,), then three for E networks, with that
    axis before; float32."""

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    def __call__(self, gram: Array, clues: Array, known: NDArray[np.bool_]) -> Sayings:
        """One moment: gram (ROWS, ROWS), clues (CLUES,), known (REMEMBERED,) as `MotionMemory` has them."""
        x, mixed = _input(np, self.weights, self.biases, gram, clues, known)
        first, between, last, bias = self._side_by_side
        x = np.maximum(x @ first + self.biases[2].ravel(), 0).reshape(len(between), 1, -1)
        x = np.maximum((x @ between)[:, 0] + self.biases[3], 0)
        return _sayings(np, (x.ravel() @ last + bias)[None], mixed, 0)

    @cached_property
    def _side_by_side(self) -> tuple[Array, Array, Array, Array]:
        """The first layer of all networks as one, and the last such that it gives their mean."""
        first, between, last = self.weights[2:]
        wide = np.ascontiguousarray(first.transpose(1, 0, 2).reshape(INPUTS, -1))
        return wide, between, last.reshape(-1, OUTPUTS) / len(last), self.biases[4].mean(0)


def say(weights, biases, gram, clues, known) -> Sayings:
    """What each of the networks says of one moment, (E, …), in JAX."""
    x, mixed = _input(jnp, weights, biases, gram, clues, known)
    x = jnp.broadcast_to(x, (len(weights[2]), INPUTS))
    for w, b in zip(weights[2:-1], biases[2:-1], strict=True):
        x = jnp.maximum(jnp.einsum("ei,eio->eo", x, w) + b, 0)
    return _sayings(jnp, jnp.einsum("ei,eio->eo", x, weights[-1]) + biases[-1], mixed, slice(None))


def _sayings(xp, out, mixed, networks) -> Sayings:
    split = ANSWERS * _WAYS
    inner = out[:, :split].reshape(-1, ANSWERS, _WAYS)
    onto = inner[:, :, _FACES:] @ mixed
    shares = xp.concatenate([xp.zeros_like(inner[:, :, :1]), inner[:, :, :_FACES], onto], axis=-1)
    return Sayings(*(one[networks] for one in (shares, out[:, split], out[:, split + 1], out[:, split + 2])))


def _input(xp, weights, biases, gram, clues, known):
    """The networks' input (INPUTS,), and mixtures of apexes (HEADS + 1, REMEMBERED).

    The input are the ways to faces and mixtures by inner products (upper half) and cosines (lower half), their
    lengths, clues, and how sure the guesses at the apex are. The longest way to a face has length 1.
    """
    ways = gram[1:, 1:] - gram[1:, :1] - gram[:1, 1:] + gram[0, 0]
    ways = (ways / xp.maximum(xp.max(ways.diagonal()[:_FACES]), 1e-30)).astype(xp.float32)
    glance = xp.maximum(_traits(xp, ways) @ weights[0] + biases[0], 0)
    score = xp.maximum(xp.minimum(glance @ weights[1] + biases[1], _MOST), -_MOST)
    likely = xp.exp(score.T) * known
    likely = likely / (likely.sum(-1, keepdims=True) + 1e-9)
    plain = known / xp.maximum(known.sum(), 1)
    mixed = xp.concatenate([likely, plain[None]]).astype(xp.float32)
    onto = mixed @ ways[_FACES:]
    upper = xp.concatenate([ways[:_FACES, :_FACES], onto[:, :_FACES]])
    lower = xp.concatenate([onto[:, :_FACES].T, onto[:, _FACES:] @ mixed.T])
    products = xp.concatenate([upper, lower], axis=1)
    length = xp.sqrt(xp.maximum(products.diagonal(), 1e-8))
    cosines = products / (length[:, None] * length + _SOFT)
    both = xp.where(_UPPER, 2 * xp.maximum(xp.minimum(products, 4.0), -4.0), cosines).ravel()
    told = xp.concatenate([both, xp.log(length + 0.01), clues, likely.max(-1)])
    return told.astype(xp.float32), mixed


def _traits(xp, ways):
    """What a glance sees of every apex, (REMEMBERED, _TRAITS): for every place that the motion may come from, whether
    the apex lies ahead (cosines from there and from here) and how far it went; how far the apex is."""
    square, to_apex = ways.diagonal(), ways[_FACES:, _STARTS]
    apex, start = square[_FACES:, None], square[_STARTS]
    apart = start - to_apex
    from_start = xp.sqrt(xp.maximum(apex + apart - to_apex, 0))
    from_here, moved = xp.sqrt(xp.maximum(apex, 0)), xp.sqrt(xp.maximum(start, 0))
    here = -to_apex / (from_here * moved + _SOFT)
    there = apart / (from_start * moved + _SOFT)
    lengths = xp.concatenate([xp.zeros_like(here) + moved, from_here, from_start[:, _FROM_REST]], axis=1)
    return xp.concatenate([here, there, xp.log(lengths + 0.01)], axis=1)


def beginnings(key: jax.Array, networks: int, hidden: int) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
    """Weights and biases of networks that have learnt nothing and say that the face stays nearly as it is."""
    glance = ((_TRAITS, _GLANCE), (_GLANCE, HEADS))
    behind = tuple((networks, *size) for size in ((INPUTS, hidden), (hidden, hidden), (hidden, OUTPUTS)))
    spread = (1.0, 1.0, 0.7, 1.0, 0.05)
    weights = tuple(
        factor * np.sqrt(2 / shape[-2]) * jax.random.normal(one, shape)
        for one, shape, factor in zip(jax.random.split(key, LAYERS), (*glance, *behind), spread, strict=True)
    )
    return weights, tuple(jnp.zeros((*shape[:-2], shape[-1])) for shape in (*glance, *behind))


__all__ = ["ANSWERS", "LAYERS", "Motives", "Sayings", "beginnings", "say"]
