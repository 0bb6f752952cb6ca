"""Training of an anticipator's networks on lessons, in one compiled loop.

Camera noise, amplitude and sides are varied anew in every batch; senses and channels fail at random, so that one
network serves camera, EMG and both. Those that only aim have all senses that there are, and see expressions only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .anticipation_habit import Population, recalled
from .anticipation_lessons import Lesson
from .anticipation_network import AHEAD_FRAMES, Aim, Network, Shape, aimed, layers, masks, outlook, rows
from .anticipation_senses import FRAMES
from .face_space import FaceSpace


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the network is trained. Ranges of what is varied are choices."""

    hidden: int = 256
    steps: int = 12000
    batch: int = 512
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    noise: tuple[float, float] = (0.7, 1.3)
    """Factor on the camera's noise."""
    gain: tuple[float, float] = (0.75, 1.3)
    """Factor on all motion: how large a face appears to move."""
    no_camera: float = 0.2
    no_emg: float = 0.15
    """Probability that a window has no pictures, or no EMG; never both."""
    dead: float = 0.05
    """Probability that a channel is dead."""
    stranger: float = 0.1
    """Probability that her habit is not known."""
    aims: int = 3
    aim_hidden: int = 128
    aim_steps: int = 8000
    aim_decay: float = 0.3
    """How many small networks aim, their width, steps and weight decay; wider ones learn people by heart."""


_CHUNK = 250
_SOFT_MM = 0.05
_NEAR_S, _NEAR_FRAMES = 0.45, 8
"""So long before its arrival, and so many frames after it, an expression is near."""
_URGENT = 4.0
"""So much more the course counts while an expression rises."""


def train(
    lessons: Sequence[Lesson],
    space: FaceSpace,
    population: Population | None = None,
    seed: int = 0,
    recipe: Recipe | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Network:
    """A network for lessons of the same channels; `progress` is told steps done, steps in all and the loss.

    population: from which a habit sets out, for lessons with channels.
    """
    recipe = recipe or Recipe()
    channels = lessons[0].loud.shape[-1]
    shape = Shape(len(space), channels, recipe.hidden)
    data = _gathered(lessons, population)
    scale_mm = np.sqrt((data["clean"] ** 2).mean(0) + _SOFT_MM**2).astype(np.float32)
    scale_mm = np.maximum(scale_mm, 0.1 * scale_mm.max())
    given = {name: jnp.asarray(value) for name, value in data.items()}
    given |= {"scale_mm": jnp.asarray(scale_mm), "mirrored": jnp.asarray(space.mirrored, jnp.float32)}
    aiming = replace(
        recipe,
        hidden=recipe.aim_hidden,
        steps=recipe.aim_steps,
        weight_decay=recipe.aim_decay,
        no_camera=0.0,
        no_emg=0.0,
    )
    start, aim_start, key, aim_key = jax.random.split(jax.random.key(seed), 4)
    every = _rounded(recipe.steps) + _rounded(aiming.steps)
    tell = progress or (lambda done, total, loss: None)
    weights, biases = _fit(
        _initial(start, shape.inputs, recipe.hidden, shape.outputs), key, given, _loss, shape, recipe,
        lambda done, loss: tell(done, every, loss),
    )  # fmt: skip
    aim = _fit(
        _initial(aim_start, shape.inputs, aiming.hidden, len(space), recipe.aims), aim_key,
        given | {"usable": given["aimed"]}, _aim_loss, shape, aiming,
        lambda done, loss: tell(_rounded(recipe.steps) + done, every, loss),
    )  # fmt: skip
    return Network(shape, scale_mm, weights, biases, Aim(*aim))


def _fit(
    parameters: Any, key: Any, given: Any, loss: Callable, shape: Shape, recipe: Recipe, tell: Callable
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Weights and biases that make a loss small."""
    steps = _rounded(recipe.steps)
    optimiser = warmed_up(recipe.learning_rate, recipe.weight_decay, steps)
    state = optimiser.init(parameters)
    for done in range(0, steps, _CHUNK):
        key, now = jax.random.split(key)
        parameters, state, off = _learn(parameters, state, now, given, loss, optimiser, shape, recipe)
        tell(done + _CHUNK, float(off))
    weights, biases = (tuple(map(np.asarray, part)) for part in parameters)
    return weights, biases


def _rounded(steps: int) -> int:
    return max(1, steps // _CHUNK) * _CHUNK


@cache
def warmed_up(learning_rate: float, weight_decay: float, steps: int) -> optax.GradientTransformation:
    """AdamW that warms up and cools down; the same object for the same numbers, so that nothing is compiled twice."""
    rate = optax.warmup_cosine_decay_schedule(0.0, learning_rate, 200, steps)
    return optax.adamw(rate, weight_decay=weight_decay)


@partial(jax.jit, static_argnames=("loss", "optimiser", "shape", "recipe"))
def _learn(parameters: Any, state: Any, key: Any, given: Any, loss, optimiser, shape, recipe):
    def step(carry, now):
        parameters, state = carry
        window = _batch(now, given, shape, recipe)
        off, slope = jax.value_and_grad(loss)(parameters, window, given["scale_mm"], shape)
        update, state = optimiser.update(slope, state, parameters)
        return (optax.apply_updates(parameters, update), state), off

    (parameters, state), losses = jax.lax.scan(step, (parameters, state), jax.random.split(key, _CHUNK))
    return parameters, state, losses.mean()


def _batch(key: jax.Array, data: dict[str, jax.Array], shape: Shape, recipe: Recipe) -> dict:
    """Windows at random places, varied; see `Recipe`."""
    where, noisy, larger, turned, blind, deaf, dying, strange = jax.random.split(key, 8)
    size = (recipe.batch,)
    place = data["usable"][jax.random.randint(where, size, 0, len(data["usable"]))]
    past = place[:, None] - jnp.arange(FRAMES)
    clean = data["clean"][past]
    noise = jax.random.uniform(noisy, size, minval=recipe.noise[0], maxval=recipe.noise[1])
    faces = clean + noise[:, None, None] * (data["seen"][past] - clean)
    course = data["true"][place[:, None] + jnp.array(AHEAD_FRAMES)]
    target = data["target"][place]
    loud, alive = data["loud"][place].astype(jnp.float32), data["alive"][place].astype(jnp.float32)
    known = jnp.isfinite(loud).all((1, 2))
    if shape.channels:
        alive = alive * (jax.random.uniform(dying, alive.shape) > recipe.dead)
        familiar = alive.all(-1) & (jax.random.uniform(strange, size) > recipe.stranger)
        without = jax.random.uniform(blind, size) < recipe.no_camera
        hears = known & (without | (jax.random.uniform(deaf, size) > recipe.no_emg))
        sees = ~(without & hears)
    else:
        hears, sees, familiar = jnp.zeros(size, bool), jnp.ones(size, bool), jnp.zeros(size, bool)
        mirrored = jax.random.bernoulli(turned, 0.5, size)[:, None, None]
        swap = jnp.where(mirrored, data["mirrored"], jnp.eye(shape.components))
        faces, course, target = faces @ swap, course @ swap, (target[:, None] @ swap)[:, 0]
    gain = jnp.exp(jax.random.uniform(larger, size, minval=np.log(recipe.gain[0]), maxval=np.log(recipe.gain[1])))
    gain = jnp.where(hears, 1.0, gain)[:, None]  # EMG knows how strong an expression is meant
    return {
        "faces": faces * gain[..., None],
        "course": course * gain[..., None],
        "target": target * gain,
        "loud": jnp.nan_to_num(loud),
        "alive": alive,
        "habit": data["habit"][place] * familiar[:, None],
        "sees": sees[:, None].astype(jnp.float32),
        "hears": hears[:, None].astype(jnp.float32),
        **{name: data[name][place] for name in ("arrival_s", "rising", "expression")},
    }


def _loss(parameters: Any, window: dict, scale_mm: jax.Array, shape: Shape) -> jax.Array:
    """Distances of the course and, while there is an expression, of its target; arrival while it rises; SDs of both;
    what, and whether."""
    weights, biases = parameters
    said = outlook(layers(_rows(window, scale_mm, shape), weights, biases), window["faces"], window["sees"], shape)
    rising = window["rising"].astype(jnp.float32)
    shown = (window["expression"] > 0).astype(jnp.float32)
    rises, shows = rising / (rising.sum() + 1.0), shown / (shown.sum() + 1.0)
    off = _distance(said.target - window["target"])
    late = jnp.abs(said.arrival_s - window["arrival_s"])
    likely = (late * jnp.exp(-said.log_arrival_sd) + said.log_arrival_sd) * rises
    likely += 0.5 * (jax.lax.stop_gradient(off) * jnp.exp(-said.log_target_sd) + said.log_target_sd) * shows
    named = optax.softmax_cross_entropy_with_integer_labels(said.expression, window["expression"].astype(jnp.int32))
    return (
        (_distance(said.course - window["course"]) * (1 + _URGENT * rising)[:, None]).mean()
        / (1 + _URGENT * rising.mean())
        + 0.5 * (off * shows).sum()
        + 0.1 * likely.sum()
        + 0.2 * optax.sigmoid_binary_cross_entropy(said.rising, rising).mean()
        + 0.05 * named.mean()
    )


def _aim_loss(parameters: Any, window: dict, scale_mm: jax.Array, shape: Shape) -> jax.Array:
    """Distance of the target."""
    return _distance(aimed(_rows(window, scale_mm, shape), window["faces"], *parameters) - window["target"]).mean()


def _rows(window: dict, scale_mm: jax.Array, shape: Shape) -> jax.Array:
    mask = masks(window["sees"], window["hears"], 1.0, shape)
    return rows(window["faces"], window["loud"], window["alive"], window["habit"], mask, scale_mm)


def _distance(difference: jax.Array) -> jax.Array:
    return jnp.sqrt((difference**2).sum(-1) + _SOFT_MM**2)


def _initial(key: jax.Array, inputs: int, hidden: int, outputs: int, networks: int | None = None) -> tuple:
    """Weights and biases to begin with, of one network or of several side by side."""
    sizes, side = (inputs, hidden, hidden, outputs), () if networks is None else (networks,)
    spread, wide = (1.0, 1.0, 0.1), () if networks is None else (networks, 1)
    weights = [
        factor * jnp.sqrt(2 / into) * jax.random.normal(one, (*side, into, out))
        for one, into, out, factor in zip(jax.random.split(key, 3), sizes[:-1], sizes[1:], spread, strict=True)
    ]
    return weights, [jnp.zeros((*wide, size)) for size in sizes[1:]]


def _gathered(lessons: Sequence[Lesson], population: Population | None) -> dict[str, np.ndarray]:
    """All lessons end to end, what habits say, the frames that have a past and a future, and those to aim at."""
    usable, aimed_at, start = [], [], 0
    for one in lessons:
        places = np.arange(FRAMES - 1, len(one.seen) - AHEAD_FRAMES[-1])
        usable.append(start + places)
        aimed_at.append(start + _aimed_at(one, places))
        start += len(one.seen)
    names = ("seen", "clean", "true", "target", "arrival_s", "rising", "expression", "loud", "alive")
    data = {name: np.concatenate([getattr(one, name) for one in lessons]) for name in names}
    silent = [np.zeros((len(one.seen), 0), np.float32) for one in lessons]
    data["habit"] = np.concatenate(silent if population is None else [recalled(one, population) for one in lessons])
    wide = {name: data[name].astype(np.float32) for name in ("seen", "clean", "true", "target", "arrival_s")}
    return {**data, **wide, "usable": np.concatenate(usable), "aimed": np.concatenate(aimed_at)}


def _aimed_at(lesson: Lesson, places: np.ndarray) -> np.ndarray:
    """Frames with an expression; those around its arrival twice."""
    number = np.arange(len(lesson.seen))
    since = number - np.maximum.accumulate(np.where(lesson.rising, number, -_NEAR_FRAMES))
    shows = lesson.expression > 0
    near = shows & np.where(lesson.rising, lesson.arrival_s < _NEAR_S, since < _NEAR_FRAMES)
    return np.concatenate([places[shows[places]], places[near[places]]])


__all__ = ["Recipe", "train", "warmed_up"]
