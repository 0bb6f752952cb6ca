"""The network of an anticipator: a window of faces and EMG in, what comes next out.

Trained in JAX (`anticipation_training`), used in NumPy, where one call takes some 30 µs.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from .anticipation_lessons import CALLED
from .anticipation_senses import BINS, FRAMES

Array = NDArray[np.floating]

AHEAD_FRAMES = (0, 2, 4, 6, 8, 10, 14)
"""The course of the face is predicted at these numbers of frames after the reference."""


class Senses(NamedTuple):
    """Whether it sees, hears, and remembers how her muscles move her face."""

    sees: bool
    hears: bool
    remembers: bool = True


class Outlook(NamedTuple):
    """What the network says, for one window or many.

    course (…, H, K) mm: the face at `AHEAD_FRAMES`. target (…, K) mm. arrival_s, log_arrival_sd, log_target_sd (of mm),
    rising (logit), all (…,). expression (…, 8): logits by `CALLED`.
    """

    course: Array
    target: Array
    arrival_s: Array
    log_arrival_sd: Array
    log_target_sd: Array
    rising: Array
    expression: Array


@dataclass(frozen=True)
class Shape:
    """Sizes of a network: components of faces, EMG channels, width of its two hidden layers."""

    components: int
    channels: int
    hidden: int

    @property
    def inputs(self) -> int:
        """Width of a row: faces, loudness, living channels, her habit, and whether there is either sense."""
        return FRAMES * self.components + (BINS + 1) * self.channels + self.habit + 2

    @property
    def habit(self) -> int:
        """Width of what a `Habit` says; 0 without EMG."""
        return self.components + 2 if self.channels else 0

    @property
    def outputs(self) -> int:
        """Width of what the last layer gives."""
        return (len(AHEAD_FRAMES) + 1) * self.components + 4 + len(CALLED)


def rows(faces, loud, alive, habit, mask, scale_mm) -> Any:
    """Rows (…, inputs) of faces (…, FRAMES, K) mm, loudness (…, BINS, C), alive (…, C) and what a habit says (…, K + 2
    or 0), as far as a mask (…, inputs) of senses lets them through.

    One window and several masks make several rows.
    """
    xp = np if isinstance(faces, np.ndarray) else jnp
    lead = faces.shape[:-2]
    heard = (loud * alive[..., None, :]).reshape(*lead, -1)
    every = [(faces / scale_mm).reshape(*lead, -1), heard, alive, habit, xp.ones((*lead, 2), np.float32)]
    return xp.concatenate(every, axis=-1) * mask


def masks(sees, hears, remembers, shape: Shape) -> Any:
    """What flags (…, 1) of senses and of the habit let through of a row, (…, inputs); its last two tell the senses."""
    xp = np if isinstance(sees, np.ndarray) else jnp
    sizes = (FRAMES * shape.components, (BINS + 1) * shape.channels, shape.habit, 1, 1)
    flags = (sees, hears, hears * remembers, sees, hears)
    return xp.concatenate([xp.repeat(one, size, -1) for one, size in zip(flags, sizes, strict=True)], axis=-1)


def outlook(values, faces, sees, shape: Shape) -> Outlook:
    """What the last layer's values (…, outputs) mean for faces (…, FRAMES, K) that are seen or not (…, 1)."""
    lead, heads = values.shape[:-1], len(AHEAD_FRAMES) + 1
    split = heads * shape.components
    moved = values[..., :split].reshape(*lead, heads, shape.components)
    shown = moved + (newest(faces) * sees)[..., None, :]
    arrival, arrival_sd, target_sd, rising = (values[..., split + k] for k in range(4))
    return Outlook(
        shown[..., :-1, :], shown[..., -1, :], arrival, arrival_sd, target_sd, rising, values[..., split + 4 :]
    )


def newest(faces):
    """The mean (…, K) of the two newest faces (…, FRAMES, K), from which predictions are differences."""
    return 0.5 * (faces[..., 0, :] + faces[..., 1, :])


def aimed(row, faces, weights, biases) -> Any:
    """Targets (M, n, K) mm of every network of an `Aim` for rows (n, inputs) and faces (n, FRAMES, K)."""
    return layers(row, weights, biases) + newest(faces)


def layers(x, weights, biases) -> Any:
    """Two hidden layers of rectified units and a linear one, for JAX and NumPy alike."""
    xp = np if isinstance(x, np.ndarray) else jnp
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        x = xp.maximum(x @ w + b, 0)
    return x @ weights[-1] + biases[-1]


@dataclass(frozen=True, eq=False)
class Aim:
    """Several small networks for nothing but the target, when all senses are there: less doubt than one for everything.

    weights (M, from, to), biases (M, 1, to) of M networks. What they say is a difference as `Outlook`'s is.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    def __call__(self, row: Array) -> Array:
        """Their mean (K,) mm for one row (inputs,)."""
        (_, second, _), (_, bias, _) = self.weights, self.biases
        (first, first_bias), (last, last_bias) = self._ends
        x = np.maximum(row @ first + first_bias, 0).reshape(len(second), 1, -1)
        return np.maximum(x @ second + bias, 0).ravel() @ last + last_bias

    @cached_property
    def _ends(self) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """First and last layer of all networks in one: rows go to all, and the mean is taken of what they say."""
        (first, _, last), (first_bias, _, last_bias) = self.weights, self.biases
        into = np.ascontiguousarray(first.transpose(1, 0, 2).reshape(first.shape[1], -1))
        out = last.reshape(-1, last.shape[2]) / len(last)
        return (into, first_bias.ravel()), (out, last_bias.mean((0, 1)))


@dataclass(frozen=True, eq=False)
class Network:
    """Weights and what they are applied to, in NumPy; every array float32."""

    shape: Shape
    scale_mm: Array
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    aim: Aim

    def __call__(self, faces: Array, loud: Array, alive: Array, habit: Array, senses: tuple[Senses, ...]) -> Outlook:
        """One window: faces (FRAMES, K) mm, loudness (BINS, C), alive (C,), habit (K + 2 or 0,), for n sets of senses.

        What a set lacks is ignored. Every part of the outlook is (n, …).
        """
        sees, mask = _let_through(senses, self.shape)
        row = rows(faces, loud, alive, habit, mask, self.scale_mm)
        said = outlook(layers(row, self.weights, self.biases), faces, sees, self.shape)
        for one, given in enumerate(senses):
            if given.sees and given.hears == (self.shape.channels > 0):
                said.target[one] = self.aim(row[one]) + newest(faces)
        return said


@cache
def _let_through(senses: tuple[Senses, ...], shape: Shape) -> tuple[Array, Array]:
    """Whether it sees (n, 1), and masks (n, inputs)."""
    sees, hears, remembers = np.array(senses, np.float32).T[..., None]
    return sees, masks(sees, hears, remembers, shape)


__all__ = [
    "AHEAD_FRAMES", "Aim", "Network", "Outlook", "Senses", "Shape", "aimed", "layers", "masks", "outlook", "rows",
]  # fmt: skip
