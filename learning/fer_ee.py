"""FER-EE: the epidermal-electrode paper's classifier of expression types and of intensities, in JAX.

    reader = FerEe(random_state=0).fit(features, types)      # (N, 20): RMS and IEMG of ten channels in 0.2 s
    share = reader.predict_proba(features)                   # (N, 7)

Features go through a robust scaler (median and interquartile range, Table S2 equation 3) and a network (§ 4.3): a full
layer 20 → 64, seen as an 8 × 8 map; a convolution with 2 × 2 filters that gives 5 × 5 maps; a maximum over 4 × 4; 64
values; a full layer with softmax; cross-entropy. Not said, and chosen here so that every printed size holds: the
convolution has stride 2, one row of padding and 16 filters, and the maximum stride 1 (2 × 2 × 16 = 64). Hidden layers
are ReLU. Optimiser, rate, batch and length of training are *unknown*: Adam, 3e-3 falling to 0 as a
cosine, 128, 2,000 steps.
"""

from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.preprocessing import RobustScaler

from ..sim.errors import InputError

SIDE, FILTERS = 8, 16
HIDDEN = SIDE * SIDE

Weights = tuple[Any, ...]
"""Full layer (D, 64), (64,); filters (4, 16), (16,); full layer (64, K), (K,)."""


class FerEe(ClassifierMixin, BaseEstimator):
    """The network on features (N, D), any number of classes, as scikit-learn has it.

    robust: scale features by their median and interquartile range in the training set; the paper's comparison
    "before preprocessing" leaves that out. The same seed and data give the same network. Trains in JAX, predicts in
    NumPy (float64), so that one window alone is cheap and gets the same answer as among many.
    """

    def __init__(
        self,
        *,
        robust: bool = True,
        steps: int = 2000,
        batch: int = 128,
        learning_rate: float = 3e-3,
        random_state: int = 0,
    ):
        self.robust = robust
        self.steps = steps
        self.batch = batch
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> "FerEe":
        """Train on features (N, D) with labels (N,). Raises `InputError`."""
        features, labels = _checked(X), np.asarray(y)
        if labels.shape != (len(features),) or len(np.unique(labels)) < 2:
            raise InputError(f"labels must be ({len(features)},) with two classes or more, got shape {labels.shape}")
        self.n_features_in_ = features.shape[1]
        self.classes_, code = np.unique(labels, return_inverse=True)
        self.scaler_ = RobustScaler(with_centering=self.robust, with_scaling=self.robust).fit(features)
        scaled = np.asarray(self.scaler_.transform(features), np.float32)
        room = 1 << max(len(scaled) - 1, 255).bit_length()  # few sizes, so few compilations
        padded = np.zeros((room, scaled.shape[1]), np.float32)
        padded[: len(scaled)] = scaled
        codes = np.zeros(room, np.int32)
        codes[: len(code)] = code
        start = _initial(scaled.shape[1], len(self.classes_), self.random_state)
        key, train = jax.random.key(self.random_state), _trainer(self.batch)
        weights = train(start, key, padded, codes, len(scaled), self.steps, self.learning_rate)
        self.weights_ = tuple(np.asarray(one, float) for one in weights)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (N, K) in the order of `classes_`."""
        if not hasattr(self, "weights_"):
            raise InputError("fit the classifier first")
        features = _checked(X)
        if features.shape[1] != self.n_features_in_:
            raise InputError(f"features must be (N, {self.n_features_in_}) as in training, got {features.shape}")
        logits = _logits(self.weights_, np.asarray(self.scaler_.transform(features)), np)
        share = np.exp(logits - logits.max(1, keepdims=True))
        return share / share.sum(1, keepdims=True)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable labels (N,)."""
        best = self.predict_proba(X).argmax(1)
        return self.classes_[best]


def _logits(weights: Weights, x: Any, xp: ModuleType) -> Any:
    """Features (N, D) to logits (N, K), in NumPy or in JAX."""
    full, full_bias, filters, filter_bias, last, last_bias = weights
    count = x.shape[0]
    plane = xp.maximum(x @ full + full_bias, 0).reshape(count, SIDE, SIDE)
    padded = xp.pad(plane, ((0, 0), (1, 1), (1, 1)))
    patches = padded.reshape(count, 5, 2, 5, 2).transpose(0, 1, 3, 2, 4).reshape(count, 5, 5, 4)
    maps = xp.maximum(patches @ filters + filter_bias, 0)
    pooled = [maps[:, i : i + 4, j : j + 4].max((1, 2)) for i in (0, 1) for j in (0, 1)]
    return xp.concatenate(pooled, axis=1) @ last + last_bias


def _initial(inputs: int, classes: int, seed: int) -> Weights:
    rng, weights = np.random.default_rng(seed), []
    for rows, columns in ((inputs, HIDDEN), (4, FILTERS), (HIDDEN, classes)):
        weights.append(np.float32(np.sqrt(2 / rows)) * rng.standard_normal((rows, columns), np.float32))
        weights.append(np.zeros(columns, np.float32))
    return tuple(weights)


@cache
def _trainer(batch: int) -> Callable[..., Weights]:
    """Training: weights, key, features (room, inputs), codes (room,), how many of them count, number of steps, first
    learning rate → weights. Compiled once for each number of inputs, classes and room."""
    adam = optax.scale_by_adam()

    def loss(weights: Weights, x: jax.Array, code: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(_logits(weights, x, jnp), code).mean()

    @jax.jit
    def train(weights, key, features, codes, count, steps, learning_rate):
        def step(number, carry):
            weights, state = carry
            chosen = jax.random.randint(jax.random.fold_in(key, number), (batch,), 0, count)
            updates, state = adam.update(jax.grad(loss)(weights, features[chosen], codes[chosen]), state)
            rate = learning_rate * 0.5 * (1 + jnp.cos(jnp.pi * number / steps))
            return jax.tree.map(lambda w, u: w - rate * u, weights, updates), state

        return jax.lax.fori_loop(0, steps, step, (weights, adam.init(weights)))[0]

    return train


def _checked(X: ArrayLike) -> NDArray[np.float64]:
    features = np.asarray(X, float)
    if features.ndim != 2 or not features.size or not np.isfinite(features).all():
        raise InputError(f"features must be finite and (N, D), got shape {features.shape}")
    return features


__all__ = ["FILTERS", "HIDDEN", "SIDE", "FerEe"]
