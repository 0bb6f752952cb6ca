"""Training of a motion anticipator's networks on lessons, in one compiled loop.

Before a target the loss is its distance and how far off the time of arrival is; at moments drawn without regard to
what comes it is the distance of the course and whether an expression is under way. Scale, place and directions need
no variation: the networks cannot see them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .anticipation_training import warmed_up
from .motion_lessons import Lessons
from .motion_network import Motives, beginnings, say


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the networks are trained. soft: targets this much nearer than motion is large (rms) count less."""

    networks: int = 3
    hidden: int = 112
    steps: int = 6000
    batch: int = 384
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.03
    soft: float = 0.3


_CHUNK = 250
_SMOOTH = 0.01


def train(
    lessons: Lessons,
    seed: int = 0,
    recipe: Recipe | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Motives:
    """Networks for lessons; `progress` is told steps done, steps in all and the loss."""
    recipe = recipe or Recipe()
    start, key = jax.random.split(jax.random.key(seed))
    parameters = beginnings(start, recipe.networks, recipe.hidden)
    steps = max(1, recipe.steps // _CHUNK) * _CHUNK
    optimiser = _optimiser(recipe, steps)
    state = optimiser.init(parameters)
    data = {name: jnp.asarray(getattr(lessons, name)) for name in _USED}
    for done in range(0, steps, _CHUNK):
        key, now = jax.random.split(key)
        parameters, state, loss = _learn(parameters, state, now, data, optimiser, recipe)
        if progress is not None:
            progress(done + _CHUNK, steps, float(loss))
    weights, biases = parameters
    return Motives(tuple(map(np.asarray, weights)), tuple(map(np.asarray, biases)))


_USED = ("table", "clues", "known", "target", "arrival_s", "course", "rising")


@partial(jax.jit, static_argnames=("optimiser", "recipe"))
def _learn(parameters: Any, state: Any, key: Any, data: Any, optimiser: Any, recipe: Recipe):
    def step(carry, now):
        parameters, state = carry
        rows = jax.random.randint(now, (recipe.batch,), 0, len(data["table"]))
        batch = {name: value[rows] for name, value in data.items()}
        loss, slope = jax.value_and_grad(_loss)(parameters, batch, recipe.soft)
        update, state = optimiser.update(slope, state, parameters)
        return (optax.apply_updates(parameters, update), state), loss

    (parameters, state), losses = jax.lax.scan(step, (parameters, state), jax.random.split(key, _CHUNK))
    return parameters, state, losses.mean()


def _loss(parameters: Any, batch: dict[str, jax.Array], soft: float) -> jax.Array:
    weights, biases = parameters
    table = batch["table"]
    gram = jnp.einsum("nrk,nsk->nrs", table, table)
    said = jax.vmap(partial(say, weights, biases))(gram, batch["clues"], batch["known"])
    moved = jnp.einsum("near,nrk->neak", said.shares, table)
    late, bound = jnp.isfinite(batch["arrival_s"]), jnp.isfinite(batch["rising"])
    target, course, arrival_s, rising = (jnp.nan_to_num(batch[n]) for n in ("target", "course", "arrival_s", "rising"))
    off = _distance(moved[:, :, 0] - target[:, None]) / (_distance(target)[:, None] + soft)
    apart = _distance(moved[:, :, 1:] - course[:, None]).mean(2)
    wrong = jnp.abs(said.arrival_s - arrival_s[:, None])
    timing = wrong * jnp.exp(-said.log_arrival_sd) + said.log_arrival_sd
    doubt = optax.sigmoid_binary_cross_entropy(said.rising, jnp.broadcast_to(rising[:, None], said.rising.shape))
    return _mean(off, late) + 0.1 * _mean(timing, late) + _mean(apart, bound) + 0.2 * _mean(doubt, bound)


@cache
def _optimiser(recipe: Recipe, steps: int) -> optax.GradientTransformation:
    adam = warmed_up(recipe.learning_rate, recipe.weight_decay, steps)
    return optax.chain(optax.clip_by_global_norm(1.0), adam)


def foretold(motives: Motives, lessons: Lessons) -> np.ndarray:
    """Targets (N, DIRECTIONS) that networks expect at lessons, less the present faces."""
    weights, biases = (tuple(map(jnp.asarray, one)) for one in (motives.weights, motives.biases))

    @jax.jit
    def target(table, clues, known):
        return say(weights, biases, table @ table.T, clues, known).shares.mean(0)[0] @ table

    return np.asarray(jax.lax.map(lambda one: target(*one), (lessons.table, lessons.clues, lessons.known)))


def _mean(values: jax.Array, where: jax.Array) -> jax.Array:
    """Over networks, and over the lessons where it is known."""
    return (values.mean(1) * where).sum() / (where.sum() + 1.0)


def _distance(difference: jax.Array) -> jax.Array:
    return jnp.sqrt((difference**2).sum(-1) + _SMOOTH**2)


__all__ = ["Recipe", "foretold", "train"]
