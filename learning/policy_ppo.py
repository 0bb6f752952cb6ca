"""Proximal policy optimisation: one update of a policy and its value from one episode of every environment.

Schulman et al. 2017, Proximal policy optimization algorithms, with generalised advantages (Schulman et al. 2016,
High-dimensional continuous control using generalized advantage estimation). An episode that was cut off by the clock
goes on in its value; one that was terminated is worth nothing more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .policy_network import ActorCritic, Normaliser, log_density

_LEAST_LOG_SD, _LARGEST_LOG_SD = -4.0, 0.5


@dataclass(frozen=True, kw_only=True)
class Ppo:
    """How a policy is improved."""

    discount: float = 0.97
    gae_lambda: float = 0.95
    clip: float = 0.2
    """How far the probability of an action may move from one in one update."""
    entropy: float = 0.001
    """Price of certainty, for each dimension of the action."""
    learning_rate: float = 3e-4
    epochs: int = 5
    minibatches: int = 8
    largest_gradient: float = 0.5
    critic_first: int = 0
    """Iterations in which only the value learns: a cloned policy is not to follow a value that knows nothing yet."""


class Rollout(NamedTuple):
    """What one episode of every environment gave, T steps of n environments."""

    flat: np.ndarray
    """Flat observations (T, n, width)."""
    drawn: np.ndarray
    """Actions before they were clipped, (T, n, actions)."""
    log_density: np.ndarray
    """(T, n)"""
    values: np.ndarray
    """(T + 1, n); the last row is of the observations after the last step."""
    rewards: np.ndarray
    terminated: np.ndarray
    alive: np.ndarray
    """(T, n) each, as in `Episodes`."""


def advantages(rollout: Rollout, discount: float, gae_lambda: float) -> np.ndarray:
    """Generalised advantages (T, n) of rewards and values in the same unit; zero where an episode is over.

    A truncated episode counts the value of the observation that it ended with, a terminated one nothing.
    """
    steps = len(rollout.rewards)
    result = np.zeros_like(rollout.rewards, dtype=np.float32)
    later = np.zeros(rollout.rewards.shape[1], np.float32)
    for t in reversed(range(steps)):
        goes_on = ~rollout.terminated[t]
        surprise = rollout.rewards[t] + discount * rollout.values[t + 1] * goes_on - rollout.values[t]
        later = surprise + discount * gae_lambda * goes_on * later
        later = np.where(rollout.alive[t], later, 0.0).astype(np.float32)
        result[t] = later
    return result


def start(model: ActorCritic, ppo: Ppo) -> Any:
    """The state of the optimiser before the first update."""
    return _optimiser(ppo).init(model)


def update(
    model: ActorCritic, state: Any, normaliser: Normaliser, rollout: Rollout, key: jax.Array, ppo: Ppo, iteration: int
) -> tuple[ActorCritic, Any]:
    """Improve the model by one rollout; returns it and the optimiser's new state.

    Values are in units of reward / (1 − discount), so that they are of the size of one reward.
    """
    rewards = (1 - ppo.discount) * rollout.rewards
    gained = advantages(rollout._replace(rewards=rewards), ppo.discount, ppo.gae_lambda)
    alive = rollout.alive.reshape(-1)
    gain = gained.reshape(-1)
    mean, sd = gain[alive].mean(), gain[alive].std()
    rows = (
        rollout.flat.reshape(len(gain), -1),
        rollout.drawn.reshape(len(gain), -1),
        rollout.log_density.reshape(-1),
        gain + rollout.values[:-1].reshape(-1),
        (gain - mean) / (sd + 1e-8),
        alive.astype(np.float32),
    )
    acting = iteration >= ppo.critic_first
    return _updater(ppo)(model, state, normaliser, rows, key, acting)


def _optimiser(ppo: Ppo) -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(ppo.largest_gradient), optax.adam(ppo.learning_rate, eps=1e-5))


@cache
def _updater(ppo: Ppo) -> Callable[..., tuple[ActorCritic, Any]]:
    optimiser = _optimiser(ppo)

    def loss(model: ActorCritic, normaliser: Normaliser, rows: tuple[jax.Array, ...], acting: jax.Array) -> jax.Array:
        flat, drawn, before, returns, gain, alive = rows
        seen = normaliser(flat)
        ratio = jnp.exp(log_density(model.actor(seen), model.log_sd, drawn) - before)
        bounded = jnp.clip(ratio, 1 - ppo.clip, 1 + ppo.clip)
        count = jnp.maximum(alive.sum(), 1.0)
        surrogate = (alive * jnp.minimum(ratio * gain, bounded * gain)).sum() / count
        missed = (alive * (model.critic(seen)[:, 0] - returns) ** 2).sum() / count
        return acting * (-surrogate - ppo.entropy * model.log_sd.sum()) + 0.5 * missed

    @jax.jit
    def run(model, state, normaliser, rows, key, acting):
        size = len(rows[0]) // ppo.minibatches

        def step(carry, chosen):
            model, state = carry
            gradient = jax.grad(loss)(model, normaliser, tuple(r[chosen] for r in rows), acting)
            updates, state = optimiser.update(gradient, state, model)  # zero for what has had no gradient yet
            better: Any = optax.apply_updates(model, updates)
            kept = better._replace(log_sd=jnp.clip(better.log_sd, _LEAST_LOG_SD, _LARGEST_LOG_SD))
            return (kept, state), None

        def epoch(carry, key):
            order = jax.random.permutation(key, len(rows[0]))[: size * ppo.minibatches]
            return jax.lax.scan(step, carry, order.reshape(ppo.minibatches, size))

        return jax.lax.scan(epoch, (model, state), jax.random.split(key, ppo.epochs))[0]

    return run


__all__ = ["Ppo", "Rollout", "advantages", "start", "update"]
