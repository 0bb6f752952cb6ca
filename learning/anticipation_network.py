"""The network of an anticipator: a window of faces and EMG in, what comes next out.

Trained in JAX (`anticipation_training`), used in NumPy, where one call takes some 30 µs.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from .anticipation_lessons import CALLED
from .anticipation_senses import BINS, FRAMES

Array = NDArray[np.floating]

AHEAD_FRAMES = (0, 2, 4, 6, 8, 10, 14)
"""The course of the face is predicted at these numbers of frames after the reference."""
_SMOOTH = 2
"""Predictions are differences from the mean of so many newest faces."""


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
        """Width of a row: faces, loudness, living channels, and whether there is either sense."""
        return FRAMES * self.components + (BINS + 1) * self.channels + 2

    @property
    def outputs(self) -> int:
        """Width of what the last layer gives."""
        return (len(AHEAD_FRAMES) + 1) * self.components + 4 + len(CALLED)


def rows(faces, sees, loud, alive, hears, scale_mm):
    """Rows (…, inputs) of faces (…, FRAMES, K) mm, loudness (…, BINS, C), alive (…, C) and flags (…, 1) of senses.

    One window and several flags make several rows.
    """
    xp = jnp if isinstance(faces, jax.Array) else np
    lead = faces.shape[:-2]
    heard = loud * alive[..., None, :]
    return xp.concatenate(
        [
            (faces / scale_mm).reshape(*lead, -1) * sees,
            heard.reshape(*lead, -1) * hears,
            alive * hears,
            sees,
            hears,
        ],
        axis=-1,
    )


def outlook(values, faces, sees, shape: Shape) -> Outlook:
    """What the last layer's values (…, outputs) mean for faces (…, FRAMES, K) that are seen or not (…, 1)."""
    lead, heads = values.shape[:-1], len(AHEAD_FRAMES) + 1
    split = heads * shape.components
    moved = values[..., :split].reshape(*lead, heads, shape.components)
    shown = moved + (faces[..., :_SMOOTH, :].sum(-2) * (sees / _SMOOTH))[..., None, :]
    arrival, arrival_sd, target_sd, rising = (values[..., split + k] for k in range(4))
    return Outlook(
        shown[..., :-1, :], shown[..., -1, :], arrival, arrival_sd, target_sd, rising, values[..., split + 4 :]
    )


def layers(x, weights, biases):
    """Two hidden layers of rectified units and a linear one, for JAX and NumPy alike."""
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        x = x @ w + b
        x = x * (x > 0)
    return x @ weights[-1] + biases[-1]


@dataclass(frozen=True, eq=False)
class Network:
    """Weights and what they are applied to, in NumPy; every array float32."""

    shape: Shape
    scale_mm: Array
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    def __call__(self, faces: Array, loud: Array, alive: Array, senses: tuple[tuple[bool, bool], ...]) -> Outlook:
        """One window: faces (FRAMES, K) mm, loudness (BINS, C), alive (C,); once for each of n pairs of senses.

        senses: whether it sees and whether it hears; what it does not is ignored. Every part of the outlook is (n, …).
        """
        sees, hears = _flags(senses)
        row = rows(faces, sees, loud, alive, hears, self.scale_mm)
        return outlook(layers(row, self.weights, self.biases), faces, sees, self.shape)


@cache
def _flags(senses: tuple[tuple[bool, bool], ...]) -> tuple[Array, Array]:
    """Flags (n, 1) of seeing and hearing."""
    sees, hears = np.array(senses, np.float32).T[..., None]
    return sees, hears


__all__ = ["AHEAD_FRAMES", "Network", "Outlook", "Shape", "layers", "outlook", "rows"]
