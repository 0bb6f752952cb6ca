"""Training of an anticipator's network on lessons, in one compiled loop.

Camera noise, amplitude and sides are varied anew in every batch; senses and channels fail at random, so that one
network serves camera, EMG and both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .anticipation_lessons import Lesson
from .anticipation_network import AHEAD_FRAMES, Network, Shape, layers, outlook, rows
from .anticipation_senses import FRAMES
from .face_space import FaceSpace


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the network is trained. Ranges of what is varied are choices."""

    hidden: int = 384
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


_CHUNK = 250
_SOFT_MM = 0.05
_URGENT = 4.0
"""So much more the course counts while an expression rises."""


def train(
    lessons: Sequence[Lesson],
    space: FaceSpace,
    seed: int = 0,
    recipe: Recipe | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Network:
    """A network for lessons of the same channels; `progress` is told steps done, steps in all and the loss."""
    recipe = recipe or Recipe()
    channels = lessons[0].loud.shape[-1]
    shape = Shape(len(space), channels, recipe.hidden)
    data = _gathered(lessons)
    scale_mm = np.sqrt((data["clean"] ** 2).mean(0) + _SOFT_MM**2).astype(np.float32)
    scale_mm = np.maximum(scale_mm, 0.1 * scale_mm.max())
    still = jnp.asarray(space.mirrored, jnp.float32)
    start, key = jax.random.split(jax.random.key(seed))
    parameters = _initial(start, shape)
    steps = max(1, recipe.steps // _CHUNK) * _CHUNK
    optimiser = warmed_up(recipe.learning_rate, recipe.weight_decay, steps)
    state = optimiser.init(parameters)
    given = {name: jnp.asarray(value) for name, value in data.items()}
    for done in range(0, steps, _CHUNK):
        key, now = jax.random.split(key)
        parameters, state, loss = _learn(
            parameters, state, now, given, jnp.asarray(scale_mm), still, optimiser, shape, recipe
        )
        if progress is not None:
            progress(done + _CHUNK, steps, float(loss))
    weights, biases = parameters
    return Network(shape, scale_mm, tuple(map(np.asarray, weights)), tuple(map(np.asarray, biases)))


@cache
def warmed_up(learning_rate: float, weight_decay: float, steps: int) -> optax.GradientTransformation:
    """AdamW that warms up and cools down; the same object for the same numbers, so that nothing is compiled twice."""
    rate = optax.warmup_cosine_decay_schedule(0.0, learning_rate, 200, steps)
    return optax.adamw(rate, weight_decay=weight_decay)


@partial(jax.jit, static_argnames=("optimiser", "shape", "recipe"))
def _learn(parameters: Any, state: Any, key: Any, data: Any, scale_mm: Any, mirror: Any, optimiser, shape, recipe):
    def step(carry, now):
        parameters, state = carry
        window = _batch(now, data, mirror, shape, recipe)
        loss, slope = jax.value_and_grad(_loss)(parameters, window, scale_mm, shape)
        update, state = optimiser.update(slope, state, parameters)
        return (optax.apply_updates(parameters, update), state), loss

    (parameters, state), losses = jax.lax.scan(step, (parameters, state), jax.random.split(key, _CHUNK))
    return parameters, state, losses.mean()


def _batch(key: jax.Array, data: dict[str, jax.Array], mirror: jax.Array, shape: Shape, recipe: Recipe) -> dict:
    """Windows at random places, varied; see `Recipe`."""
    where, noisy, larger, turned, blind, deaf, dying = jax.random.split(key, 7)
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
        without = jax.random.uniform(blind, size) < recipe.no_camera
        hears = known & (without | (jax.random.uniform(deaf, size) > recipe.no_emg))
        sees = ~(without & hears)
    else:
        hears, sees = jnp.zeros(size, bool), jnp.ones(size, bool)
        swap = jnp.where(jax.random.bernoulli(turned, 0.5, size)[:, None, None], mirror, jnp.eye(shape.components))
        faces, course, target = faces @ swap, course @ swap, (target[:, None] @ swap)[:, 0]
    gain = jnp.exp(jax.random.uniform(larger, size, minval=np.log(recipe.gain[0]), maxval=np.log(recipe.gain[1])))
    gain = jnp.where(hears, 1.0, gain)[:, None]  # EMG knows how strong an expression is meant
    return {
        "faces": faces * gain[..., None],
        "course": course * gain[..., None],
        "target": target * gain,
        "loud": jnp.nan_to_num(loud),
        "alive": alive,
        "sees": sees[:, None].astype(jnp.float32),
        "hears": hears[:, None].astype(jnp.float32),
        **{name: data[name][place] for name in ("arrival_s", "rising", "expression")},
    }


def _loss(parameters: Any, window: dict, scale_mm: jax.Array, shape: Shape) -> jax.Array:
    """Distances of the course and, while there is an expression, of its target; arrival while it rises; SDs of both;
    what, and whether."""
    weights, biases = parameters
    row = rows(window["faces"], window["sees"], window["loud"], window["alive"], window["hears"], scale_mm)
    said = outlook(layers(row, weights, biases), window["faces"], window["sees"], shape)
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


def _distance(difference: jax.Array) -> jax.Array:
    return jnp.sqrt((difference**2).sum(-1) + _SOFT_MM**2)


def _initial(key: jax.Array, shape: Shape) -> tuple[list, list]:
    sizes = (shape.inputs, shape.hidden, shape.hidden, shape.outputs)
    spread = (1.0, 1.0, 0.1)
    weights = [
        factor * jnp.sqrt(2 / into) * jax.random.normal(one, (into, out))
        for one, into, out, factor in zip(jax.random.split(key, 3), sizes[:-1], sizes[1:], spread, strict=True)
    ]
    return weights, [jnp.zeros(size) for size in sizes[1:]]


def _gathered(lessons: Sequence[Lesson]) -> dict[str, np.ndarray]:
    """All lessons end to end, and the frames that have a past and a future."""
    usable, start = [], 0
    for one in lessons:
        usable.append(np.arange(start + FRAMES - 1, start + len(one.seen) - AHEAD_FRAMES[-1]))
        start += len(one.seen)
    names = ("seen", "clean", "true", "target", "arrival_s", "rising", "expression", "loud", "alive")
    data = {name: np.concatenate([getattr(one, name) for one in lessons]) for name in names}
    wide = {name: data[name].astype(np.float32) for name in ("seen", "clean", "true", "target", "arrival_s")}
    return {**data, **wide, "usable": np.concatenate(usable)}


__all__ = ["Recipe", "train", "warmed_up"]
