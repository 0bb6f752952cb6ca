"""Small networks for commands in 0…1: an ensemble trained side by side in JAX, used in NumPy.

All members train in one vmapped loop with static shapes, so one compilation serves every fit of the same
size. For use they are laid side by side: the first layer of all of them is one wide matrix product.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

_BATCH_NORM_EPSILON = 1e-5


@dataclass(frozen=True, kw_only=True)
class Training:
    """Shape and training of a network. Hidden layers are ReLU, the last layer is a sigmoid."""

    hidden: tuple[int, ...]
    members: int
    batch_norm: bool
    """Normalise each hidden layer's output over the batch, after its ReLU."""
    absolute_loss: bool
    """Mean absolute error; otherwise mean squared error."""
    input_noise: float
    """SD of the noise added to every input of every example, in units of the inputs' rms SD."""
    steps: int
    batch: int
    learning_rate: float
    """Peak of a cosine decay to zero."""
    weight_decay: float
    """Of AdamW; 0 makes it Adam."""


@dataclass(frozen=True)
class Network:
    """Trained ensemble; batch normalisation is folded into the weights.

    `weights[l]` is (members, inputs, outputs) of layer l and `biases[l]` (members, outputs), float32.
    """

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Mean of the members' outputs, (n, outputs), for float32 inputs (n, inputs)."""
        members, _, width = self.weights[0].shape
        wide, bias = self._wide
        hidden = inputs @ wide
        hidden += bias
        hidden = hidden.reshape(len(inputs), members, width).transpose(1, 0, 2)
        for weight, bias in self._deeper:
            np.maximum(hidden, 0.0, out=hidden)
            hidden = hidden @ weight
            hidden += bias
        # A sigmoid is half of a tanh of a half, and a half.
        return 0.5 + (0.5 / members) * np.add.reduce(np.tanh(hidden, out=hidden))

    @cached_property
    def _wide(self) -> tuple[np.ndarray, np.ndarray]:
        """First layers of all members side by side: (inputs, members · width) and its bias."""
        first = np.moveaxis(self.weights[0], 0, 1)
        return np.ascontiguousarray(first.reshape(len(first), -1)), self.biases[0].reshape(-1)

    @cached_property
    def _deeper(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The other layers, the last at half its size."""
        halves = [*[1.0] * (len(self.weights) - 2), 0.5]
        return [
            (np.float32(half) * w, np.float32(half) * b[:, None])
            for w, b, half in zip(self.weights[1:], self.biases[1:], halves, strict=True)
        ]


@dataclass(frozen=True)
class Table:
    """Part of the examples: network inputs (n, inputs) and commands (n, outputs).

    An example is one row of each of two tables, added: inputs and commands of an upper half and of a lower
    half.
    """

    inputs: np.ndarray
    commands: np.ndarray


def train(training: Training, first: Table, second: Table, rng: np.random.Generator) -> Network:
    """Train an ensemble on sums of random rows of two tables.

    A second table of one row of zeros makes it plain training.
    """
    member = _trainer(training, first.inputs.shape[1], first.commands.shape[1])
    keys = jax.random.split(jax.random.key(int(rng.integers(2**31))), training.members)
    tables = [jnp.asarray(a, jnp.float32) for t in (first, second) for a in (t.inputs, t.commands)]
    layers = jax.tree.map(np.asarray, member(keys, *tables))
    return Network(tuple(w for w, _ in layers), tuple(b for _, b in layers))


@cache
def _trainer(training: Training, n_inputs: int, n_outputs: int) -> Callable[..., Any]:
    """Compiled training: keys (members,) and both tables' arrays → members' [(weight, bias), …]."""
    sizes = (n_inputs, *training.hidden, n_outputs)
    schedule = optax.cosine_decay_schedule(training.learning_rate, training.steps)
    optimiser = optax.adamw(schedule, weight_decay=training.weight_decay)

    def initial(key):
        keys = jax.random.split(key, len(sizes) - 1)
        layers = [
            (jax.random.normal(k, (a, b)) * jnp.sqrt(2 / a), jnp.zeros(b))
            for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True)
        ]
        norms = [(jnp.ones(width), jnp.zeros(width)) for width in training.hidden if training.batch_norm]
        return layers, norms

    def forward(parameters, x):
        """Logits with batch statistics, and those statistics."""
        layers, norms = parameters
        statistics = []
        for depth, (weight, bias) in enumerate(layers[:-1]):
            x = jax.nn.relu(x @ weight + bias)
            if training.batch_norm:
                mean, deviation = x.mean(0), jnp.sqrt(x.var(0) + _BATCH_NORM_EPSILON)
                statistics.append((mean, deviation))
                x = (x - mean) / deviation * norms[depth][0] + norms[depth][1]
        weight, bias = layers[-1]
        return x @ weight + bias, statistics

    def draw(key, size, inputs_a, commands_a, inputs_b, commands_b):
        a, b, c = jax.random.split(key, 3)
        i = jax.random.randint(a, (size,), 0, len(inputs_a))
        j = jax.random.randint(b, (size,), 0, len(inputs_b))
        noise = training.input_noise * jax.random.normal(c, (size, n_inputs))
        return inputs_a[i] + inputs_b[j] + noise, commands_a[i] + commands_b[j]

    def loss(parameters, x, y):
        error = jax.nn.sigmoid(forward(parameters, x)[0]) - y
        return jnp.abs(error).mean() if training.absolute_loss else jnp.square(error).mean()

    def folded(parameters, x):
        """Plain layers: each normalisation, with statistics of many examples, goes into the next layer."""
        layers, norms = parameters
        if not training.batch_norm:
            return layers
        _, statistics = forward(parameters, x)
        plain = [layers[0]]
        for (mean, deviation), (gain, shift), (weight, bias) in zip(statistics, norms, layers[1:], strict=True):
            scale = gain / deviation
            plain.append((scale[:, None] * weight, bias + (shift - mean * scale) @ weight))
        return plain

    def member(key, *tables):
        start, run, last = jax.random.split(key, 3)
        parameters = initial(start)

        def step(carry, key):
            parameters, state = carry
            gradient = jax.grad(loss)(parameters, *draw(key, training.batch, *tables))
            updates, state = optimiser.update(gradient, state, parameters)
            return (optax.apply_updates(parameters, updates), state), None

        keys = jax.random.split(run, training.steps)
        (parameters, _), _ = jax.lax.scan(step, (parameters, optimiser.init(parameters)), keys)
        return folded(parameters, draw(last, 4096, *tables)[0])

    return jax.jit(jax.vmap(member, in_axes=(0, None, None, None, None)))
