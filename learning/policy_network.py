"""A Gaussian policy and a value function on observations that are a Dict of arrays.

Both are small networks with a linear way past their hidden layers, as plain pytrees. Observations are laid side by
side in the order of their names; where there is a goal, what is still missing of it (desired − achieved) comes last.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..sim.errors import InputError

ACHIEVED, DESIRED = "achieved_goal", "desired_goal"
_LARGEST = 10.0
"""Normalised observations are clipped here, SD."""
_LEAST_SD = 1e-3
_LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Schema:
    """What a policy observes and does."""

    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    """Name and shape of each part of one observation, sorted by name."""
    actions: int
    """Width of an action, whose entries lie in −1…1."""

    @classmethod
    def of(cls, envs: Any) -> "Schema":
        """The schema of a vector environment with a Dict of Boxes to see and a Box in −1…1 to act.

        Raises `InputError` for other spaces.
        """
        seen, done = envs.single_observation_space, envs.single_action_space
        spaces = getattr(seen, "spaces", None)
        if not isinstance(spaces, Mapping) or not all(getattr(s, "shape", None) for s in spaces.values()):
            raise InputError(f"observation space: got {seen}; allowed is a Dict of Boxes")
        bounds = getattr(done, "low", None), getattr(done, "high", None)
        if bounds[0] is None or len(done.shape) != 1 or not ((bounds[0] == -1) & (bounds[1] == 1)).all():
            raise InputError(f"action space: got {done}; allowed is a Box from -1 to 1 with one axis; rescale it")
        return cls(tuple(sorted((name, tuple(s.shape)) for name, s in spaces.items())), int(done.shape[0]))

    @cached_property
    def has_goal(self) -> bool:
        """Whether a goal is achieved and desired."""
        shapes = dict(self.shapes)
        return ACHIEVED in shapes and shapes[ACHIEVED] == shapes.get(DESIRED)

    @cached_property
    def width(self) -> int:
        """Length of a flat observation."""
        shapes = dict(self.shapes)
        return sum(int(np.prod(s)) for s in shapes.values()) + (int(np.prod(shapes[DESIRED])) if self.has_goal else 0)

    def flat(self, observations: Mapping[str, np.ndarray]) -> np.ndarray:
        """Observations of n environments as (n, width) float32. Raises `InputError` for other names or shapes."""
        parts = {name: np.asarray(observations[name]) for name, _ in self.shapes if name in observations}
        rows = len(next(iter(parts.values()), ()))
        got = {name: part.shape for name, part in parts.items()}
        if got != {name: (rows, *shape) for name, shape in self.shapes}:
            raise InputError(f"observations: got {got}; allowed are n rows of {dict(self.shapes)}")
        columns = [part.reshape(rows, -1) for part in parts.values()]
        if self.has_goal:
            columns.append((parts[DESIRED] - parts[ACHIEVED]).reshape(rows, -1))
        return np.concatenate(columns, axis=1, dtype=np.float32)


class Normaliser(NamedTuple):
    """Mean and SD of flat observations, (width,) each; measured once, then part of the policy."""

    mean: jax.Array | np.ndarray
    sd: jax.Array | np.ndarray

    @classmethod
    def of(cls, flat: np.ndarray) -> "Normaliser":
        """Measured on flat observations (…, width)."""
        rows = np.asarray(flat, float).reshape(-1, flat.shape[-1])
        return cls(rows.mean(0).astype(np.float32), np.maximum(rows.std(0), _LEAST_SD).astype(np.float32))

    def __call__(self, flat: jax.Array) -> jax.Array:
        return jnp.clip((flat - self.mean) / self.sd, -_LARGEST, _LARGEST)


class Layers(NamedTuple):
    """A network with tanh layers: hidden weights (inputs, outputs) and biases, the last layer, and the way past."""

    hidden: tuple[tuple[jax.Array, jax.Array], ...]
    last: jax.Array
    past: jax.Array
    bias: jax.Array

    def __call__(self, inputs: jax.Array) -> jax.Array:
        x = inputs
        for weight, bias in self.hidden:
            x = jnp.tanh(x @ weight + bias)
        return x @ self.last + inputs @ self.past + self.bias


class ActorCritic(NamedTuple):
    """What is trained: the mean of the action, its log SD (actions,), and the value."""

    actor: Layers
    log_sd: jax.Array
    critic: Layers


def initial(key: jax.Array, schema: Schema, hidden: tuple[int, ...], log_sd: float) -> ActorCritic:
    """A policy whose mean action is zero everywhere, and a value of zero."""
    a, b = jax.random.split(key)
    return ActorCritic(
        _layers(a, schema.width, hidden, schema.actions),
        jnp.full(schema.actions, log_sd, jnp.float32),
        _layers(b, schema.width, hidden, 1),
    )


@jax.jit
def mean_action(model: ActorCritic, normaliser: Normaliser, flat: jax.Array) -> jax.Array:
    """What the policy does when it does not explore, (n, actions) in −1…1."""
    return jnp.clip(model.actor(normaliser(flat)), -1.0, 1.0)


@jax.jit
def explore(
    model: ActorCritic, normaliser: Normaliser, flat: jax.Array, key: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """A drawn action (n, actions), not clipped, its log density (n,), and the value (n,)."""
    seen = normaliser(flat)
    mean = model.actor(seen)
    drawn = mean + jnp.exp(model.log_sd) * jax.random.normal(key, mean.shape)
    return drawn, log_density(mean, model.log_sd, drawn), model.critic(seen)[:, 0]


def log_density(mean: jax.Array, log_sd: jax.Array, drawn: jax.Array) -> jax.Array:
    """Log density of actions (…, actions) under the Gaussian, (…,)."""
    return -0.5 * (((drawn - mean) * jnp.exp(-log_sd)) ** 2 + 2 * log_sd + _LOG_2PI).sum(-1)


def _layers(key: jax.Array, inputs: int, hidden: tuple[int, ...], outputs: int) -> Layers:
    sizes = (inputs, *hidden)
    orthogonal = jax.nn.initializers.orthogonal(np.sqrt(2.0))
    keys = jax.random.split(key, len(hidden))
    return Layers(
        tuple((orthogonal(k, (a, b)), jnp.zeros(b)) for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True)),
        jnp.zeros((sizes[-1], outputs)),
        jnp.zeros((inputs, outputs)),
        jnp.zeros(outputs),
    )


__all__ = ["ActorCritic", "Layers", "Normaliser", "Schema", "explore", "initial", "log_density", "mean_action"]
