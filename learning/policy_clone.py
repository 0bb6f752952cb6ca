"""Learning to reach faces by hindsight: what a held command achieved becomes the goal, the command the answer.

Goal-conditioned supervised learning (Ghosh et al. 2021, Learning to reach goals via iterated supervised learning) of
a robot that moves at random. Whatever the robot was doing, the way to a face is to command it and wait; so any state
of an episode is paired with any face of it. Part of the moves are small, or the policy would only copy the command
in force when the goal is near, and never correct it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..sim.errors import InputError
from ..sim.robot.limits import SafeSet
from ..sim.robot.servo import symmetric
from .policy_network import ACHIEVED, DESIRED, ActorCritic, Layers, Normaliser, Schema
from .policy_reactive import reaches_faces
from .policy_rollout import play, training_seeds

HOLD_STEPS = 25
"""How long a command is held; after 20 steps a face is within 0.01 mm of its end."""
_SCALES = (1.0, 1.0, 0.3, 0.1, 0.03)
"""Length of a move, as share of the way to a random safe command."""
_RIDGE = 1e-3
CHUNK = 1000
"""Steps of the optimiser in one compiled call."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Cloning:
    """How much is babbled, and how long is learnt from it."""

    episodes: int = 60
    """Of every environment."""
    steps: int = 20000
    batch: int = 512
    learning_rate: float = 1e-3
    """Peak of a cosine decay to zero."""
    loss_scale: float = 0.02
    """Where the loss turns from square to absolute, in units of the action."""


@dataclass(frozen=True, eq=False)
class Hindsight:
    """E episodes of K faces, T steps each."""

    states: np.ndarray
    """Flat observations (E, T, width); their goals are filled in later."""
    faces: np.ndarray
    """What was achieved, (E, K, goal)."""
    commands: np.ndarray
    """The commands that achieved it, (E, K, actions), in units of the action."""

    def normaliser(self, schema: Schema) -> Normaliser:
        """Measured on states that desire a face of the same episode, chosen at random."""
        return Normaliser.of(np.asarray(self._some(schema)[0]))

    def _some(self, schema: Schema, count: int = 20000) -> tuple[jax.Array, np.ndarray]:
        """Some flat observations (count, width) and the commands to answer."""
        rng = np.random.default_rng(0)
        sizes = len(self.states), self.states.shape[1], self.faces.shape[1]
        episode, moment, face = (rng.integers(size, size=count) for size in sizes)
        flat = jnp.asarray(self.states[episode, moment])
        return with_goal(flat, jnp.asarray(self.faces[episode, face]), _goal_places(schema)), self.commands[
            episode, face
        ]


def hindsight(
    envs: Any, schema: Schema, seed: int, episodes: int, progress: Progress = lambda done, total: None
) -> Hindsight:
    """Move at random and note what was achieved.

    envs: robots with the 11 symmetric actions and a goal of landmarks. Raises `InputError` for others.
    """
    if not reaches_faces(schema):
        raise InputError(f"cloning by hindsight: got {schema}; allowed are robots that are to reach faces")
    kept: list[Hindsight] = []
    for episode in range(episodes):
        kept.append(_babble(envs, schema, seed, -1 - episode))
        progress(episode + 1, episodes)
    return Hindsight(*(np.concatenate([getattr(k, n) for k in kept]) for n in ("states", "faces", "commands")))


def clone(
    model: ActorCritic,
    normaliser: Normaliser,
    schema: Schema,
    seen: Hindsight,
    key: jax.Array,
    cloning: Cloning,
    watch: Callable[[ActorCritic, int], None] = lambda model, done: None,
) -> ActorCritic:
    """The model whose mean action is the command that achieved the goal, learnt from hindsight.

    watch: is shown the model, and the steps done, every `CHUNK` steps.
    """
    places = _goal_places(schema)
    states, faces, commands = (jnp.asarray(a, jnp.float32) for a in (seen.states, seen.faces, seen.commands))
    start, optimise = _optimiser(cloning, places)
    some, answers = seen._some(schema)
    actor = _linear(model.actor, np.asarray(normaliser(some)), answers)
    state = start(actor)
    for done in range(0, cloning.steps, CHUNK):
        key, now = jax.random.split(key)
        actor, state = optimise(actor, state, normaliser, states, faces, commands, now)
        jax.block_until_ready(actor)
        watch(model._replace(actor=actor), min(done + CHUNK, cloning.steps))
    return model._replace(actor=actor)


def with_goal(flat: jax.Array, goals: jax.Array, places: tuple[int, int, int]) -> jax.Array:
    """Flat observations (n, width) that desire other goals, (n, goal)."""
    achieved, desired, missing = places
    width = goals.shape[-1]
    flat = flat.at[:, desired : desired + width].set(goals)
    return flat.at[:, missing : missing + width].set(goals - flat[:, achieved : achieved + width])


def _goal_places(schema: Schema) -> tuple[int, int, int]:
    """Where achieved goal, desired goal and their difference begin in a flat observation."""
    starts, at = {}, 0
    for name, shape in schema.shapes:
        starts[name] = at
        at += int(np.prod(shape))
    return starts[ACHIEVED], starts[DESIRED], at


def _babble(envs: Any, schema: Schema, seed: int, number: int) -> Hindsight:
    """One episode of every environment; `number` is negative, so that no iteration has its seeds."""
    count = envs.num_envs
    seeds = training_seeds(seed, 2**32 + number, count)
    rng = np.random.default_rng(seeds)
    safe = SafeSet.default()
    states: list[np.ndarray] = []
    faces: list[np.ndarray] = []
    commands: list[np.ndarray] = []
    held = np.zeros((count, schema.actions))

    def act(observations: Mapping[str, np.ndarray], step: int) -> np.ndarray:
        nonlocal held
        states.append(schema.flat(observations))
        if step % HOLD_STEPS == 0:
            if step:
                faces.append(observations[ACHIEVED].copy())
                commands.append(held)
            drawn = 2 * symmetric(safe.sample(rng, count)) - 1
            share = rng.choice(_SCALES, size=(count, 1)) if step else 1.0
            held = held + share * (drawn - held)
        return held

    def look(observations: Mapping[str, np.ndarray]) -> None:
        faces.append(observations[ACHIEVED].copy())
        commands.append(held)

    play(envs, seeds, act, last=look)
    moved = np.swapaxes(np.array(states), 0, 1)
    return Hindsight(moved, np.swapaxes(np.array(faces), 0, 1), np.swapaxes(np.array(commands), 0, 1))


def _linear(actor: Layers, inputs: np.ndarray, answers: np.ndarray) -> Layers:
    """The way past the hidden layers by ridge regression, where the optimiser starts."""
    x, y = inputs.astype(float), answers.astype(float)
    bias = y.mean(0)
    past = np.linalg.solve(x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1]), x.T @ (y - bias))
    return actor._replace(past=jnp.asarray(past, jnp.float32), bias=jnp.asarray(bias, jnp.float32))


@cache
def _optimiser(cloning: Cloning, places: tuple[int, int, int]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    steps = -(-cloning.steps // CHUNK) * CHUNK
    optimiser = optax.adam(optax.cosine_decay_schedule(cloning.learning_rate, steps))

    def loss(actor: Layers, inputs: jax.Array, answers: jax.Array) -> jax.Array:
        error = (actor(inputs) - answers) / cloning.loss_scale
        return (jnp.sqrt(1 + error**2) - 1).mean()

    def step(carry, key, data):
        normaliser, states, faces, commands = data
        a, b, c = jax.random.split(key, 3)
        episode = jax.random.randint(a, (cloning.batch,), 0, len(states))
        moment = jax.random.randint(b, (cloning.batch,), 0, states.shape[1])
        face = jax.random.randint(c, (cloning.batch,), 0, faces.shape[1])
        flat = with_goal(states[episode, moment], faces[episode, face], places)
        actor, state = carry
        gradient = jax.grad(loss)(actor, normaliser(flat), commands[episode, face])
        updates, state = optimiser.update(gradient, state)
        return (optax.apply_updates(actor, updates), state), None

    @jax.jit
    def optimise(actor, state, normaliser, states, faces, commands, key):
        data = normaliser, states, faces, commands
        keys = jax.random.split(key, CHUNK)
        return jax.lax.scan(lambda carry, k: step(carry, k, data), (actor, state), keys)[0]

    return optimiser.init, optimise


__all__ = ["CHUNK", "HOLD_STEPS", "Cloning", "Hindsight", "clone", "hindsight", "with_goal"]
