"""The published way to anticipate: a residual network on four frames around peak activation, asked once.

    anticipator = PaperAnticipator.fit(inputs_m, targets_m, names)     # clips of single expressions
    face_m = anticipator.predict(frames_m)                             # four frames in, the target face out
    watcher = anticipator.stream()                                     # for twin.timing.OneShot

Paper: human-robot facial coexpression, "Predictive model for expression anticipation", Methods and Fig. 7B: four of
the nine frames around peak activation, 113 landmarks × (x, y), eight fully connected layers, tanh after the first six,
a skip connection around two of them, squared error, Adam, batches of 128, 1 of 4 faces from the target on as label.
*Unknown*: the widths; where exactly the skip begins and ends; how many steps. Its learning rate of 1e-5 needs very
many of them, here it is 1e-3 and falls to 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import ArrayLike, NDArray

from ..sim import mesh
from ..sim.errors import InputError, ModelFileError
from .checkpoint import Checkpoint, load, save
from .face_space import FaceSpace
from .peak_activation import AFTER, BEFORE, TARGETS

Array = NDArray[np.floating]

KIND = "paper anticipation"
FRAMES = 4
"""Frames in."""
WINDOW = BEFORE + 1 + AFTER
_LANDMARKS = list(mesh.EMO_LANDMARKS)
_WIDTH = 2 * len(_LANDMARKS)
_LAYERS, _SKIP_FROM, _SKIP_TO, _TANH = 8, 4, 6, 6
"""Layers, after which of them the skip begins and ends, how many have a tanh; counted from 1."""
_CHUNK = 250
_PADDED = 256


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the network is made; all but the batch is a choice."""

    width: int = 128
    steps: int = 750
    batch: int = 128
    learning_rate: float = 1e-3


@dataclass(frozen=True, eq=False, kw_only=True)
class PaperAnticipator:
    """A trained network. Make one with `fit` or `load`.

    weights, biases: of eight layers, float32. scale_mm: what one unit of the network is. space: completes its 113
    landmarks to a face. names, typical: what expressions were learnt, and the mean target (n, 226) mm of each. lead_s:
    from peak activation to target, the median of the clips.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    scale_mm: float
    space: FaceSpace
    names: tuple[str, ...]
    typical: Array
    lead_s: float

    @classmethod
    def fit(
        cls,
        inputs_m: ArrayLike,
        targets_m: ArrayLike,
        names: Sequence[str],
        *,
        lead_s: float = 0.84,
        seed: int = 0,
        recipe: Recipe | None = None,
    ) -> "PaperAnticipator":
        """Learn from clips: frames around peak activation (n, 9, 468, 3), from the target on (n, 4, 468, 3) m.

        Faces are displacements from rest. names: what each clip shows. lead_s: the paper's mean is 0.841 s. Raises
        `InputError`.
        """
        inputs, targets = (np.asarray(faces, np.float32) for faces in (inputs_m, targets_m))
        for faces, count in ((inputs, WINDOW), (targets, TARGETS)):
            if faces.shape != (len(names), count, mesh.VERTEX_COUNT, 3) or not np.isfinite(faces).all():
                raise InputError(
                    f"clips: got shape {faces.shape}; allowed is finite ({len(names)}, {count}, 468, 3), one name each"
                )
        space = FaceSpace.fit([targets], components=16)
        before, after = landmarks(inputs), landmarks(targets)
        scale_mm = float(np.sqrt((after**2).mean()))
        weights, biases = _train(before / scale_mm, after / scale_mm, seed, recipe or Recipe())
        known = tuple(sorted(set(names)))
        typical = [after[np.array(names) == name].mean((0, 1)) for name in known]
        return cls(
            weights=weights,
            biases=biases,
            scale_mm=scale_mm,
            space=space,
            names=known,
            typical=np.array(typical),
            lead_s=float(lead_s),
        )

    def predict(self, frames_m: ArrayLike) -> Array:
        """The target face (…, 468, 3) m for four faces (…, 4, 468, 3) m, oldest first; all are from rest.

        The network gives x and y of 113 landmarks; the others follow as they usually do. Raises `InputError`.
        """
        faces = np.asarray(frames_m, np.float32)
        if faces.shape[-3:] != (FRAMES, mesh.VERTEX_COUNT, 3) or not np.isfinite(faces).all():
            raise InputError(f"frames: got shape {faces.shape}; allowed are finite (…, {FRAMES}, 468, 3)")
        x = landmarks(faces).reshape(*faces.shape[:-3], FRAMES * _WIDTH) / np.float32(self.scale_mm)
        return self._completed(_layers(x, self.weights, self.biases) * np.float32(self.scale_mm))

    def name(self, face_m: Array) -> str:
        """The expression whose typical target points most in the direction of a face (468, 3)."""
        likeness = self.typical @ landmarks(face_m) / np.linalg.norm(self.typical, axis=1)
        return self.names[int(likeness.argmax())]

    def stream(self, rate_hz: float = 25.0):
        """A watcher of one person, whose pictures come at `rate_hz`; see `paper_anticipation_stream`."""
        from .paper_anticipation_stream import PeakWatcher

        return PeakWatcher(self, rate_hz)

    def save(self, path: str | Path, about: dict[str, object] | None = None) -> Path:
        """Write a checkpoint; `about` adds facts such as how it was trained. Raises `ModelFileError`."""
        arrays = {f"weight_{k}": w for k, w in enumerate(self.weights)}
        arrays |= {f"bias_{k}": b for k, b in enumerate(self.biases)}
        units = dict.fromkeys(arrays, "1")
        arrays |= {"basis": self.space.basis.astype(np.float32), "typical": self.typical}
        units |= {"basis": "1", "typical": "mm"}
        facts = {"names": list(self.names), "scale_mm": self.scale_mm, "lead_s": self.lead_s}
        return save(path, Checkpoint(kind=KIND, arrays=arrays, units=units, about=facts | (about or {})))

    @classmethod
    def load(cls, path: str | Path) -> "PaperAnticipator":
        """Read what `save` wrote. Raises `ModelFileError`."""
        checkpoint = load(path, KIND)
        arrays, about = checkpoint.arrays, checkpoint.about
        try:
            return cls(
                weights=tuple(arrays[f"weight_{k}"] for k in range(_LAYERS)),
                biases=tuple(arrays[f"bias_{k}"] for k in range(_LAYERS)),
                scale_mm=float(about["scale_mm"]),  # type: ignore[arg-type]
                space=FaceSpace(arrays["basis"]),
                names=tuple(str(name) for name in about["names"]),  # type: ignore[union-attr]
                typical=arrays["typical"],
                lead_s=float(about["lead_s"]),  # type: ignore[arg-type]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{path} lacks a part of the paper's network ({error}); train it anew") from error

    def _completed(self, points_mm: Array) -> Array:
        """Faces (…, 468, 3) m with these x and y (…, 226) mm at the 113 landmarks."""
        faces = self.space.decode(points_mm @ self._into)
        faces[..., _LANDMARKS, :2] = 1e-3 * points_mm.reshape(*points_mm.shape[:-1], len(_LANDMARKS), 2)
        return faces

    @cached_property
    def _into(self) -> Array:
        """Coordinates in the space are points (226,) mm @ this; a ridge holds back what 113 points hardly show."""
        seen = landmarks(self.space.decode(np.eye(len(self.space), dtype=np.float32))).astype(float)
        gram = seen @ seen.T
        ridge = _RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
        return np.linalg.solve(gram + ridge, seen).T.astype(np.float32)


_RIDGE = 1e-2


def landmarks(faces_m: Array) -> Array:
    """The paper's 113 landmarks × (x, y) of faces (…, 468, 3) m: (…, 226) mm."""
    faces = np.asarray(faces_m)[..., _LANDMARKS, :2]
    return 1e3 * faces.reshape(*faces.shape[:-2], _WIDTH)


def _layers(x: Any, weights: Any, biases: Any) -> Any:
    """The network, in JAX and NumPy alike."""
    xp, kept = jnp if isinstance(x, jax.Array) else np, x
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        x = x @ weight + bias
        x = xp.tanh(x) if number <= _TANH else x
        if number == _SKIP_FROM:
            kept = x
        if number == _SKIP_TO:
            x = x + kept
    return x


def _train(inputs: Array, targets: Array, seed: int, recipe: Recipe) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Weights and biases for inputs (n, 9, 226) and targets (n, 4, 226) in network units."""
    start, key = jax.random.split(jax.random.key(seed))
    sizes = (FRAMES * _WIDTH, *[recipe.width] * (_LAYERS - 1), _WIDTH)
    weights = [
        jax.random.normal(one, (into, out)) / np.sqrt(into)
        for one, into, out in zip(jax.random.split(start, _LAYERS), sizes[:-1], sizes[1:], strict=True)
    ]
    parameters: Any = (weights, [jnp.zeros(size) for size in sizes[1:]])
    count, steps = len(inputs), max(1, recipe.steps // _CHUNK) * _CHUNK
    optimiser = optax.adam(optax.cosine_decay_schedule(recipe.learning_rate, steps))
    state: Any = optimiser.init(parameters)
    # One compilation serves clips of about the same number.
    data = [jnp.asarray(np.resize(a, (-(-count // _PADDED) * _PADDED, *a.shape[1:]))) for a in (inputs, targets)]
    for _ in range(steps // _CHUNK):
        key, now = jax.random.split(key)
        parameters, state = _learn(parameters, state, now, *data, count, recipe.batch, recipe.learning_rate, steps)
    return tuple(map(np.asarray, parameters[0])), tuple(map(np.asarray, parameters[1]))


@partial(jax.jit, static_argnames=("batch", "rate", "steps"))
def _learn(parameters: Any, state: Any, key: Any, inputs: Any, targets: Any, count: Any, batch, rate, steps):
    optimiser = optax.adam(optax.cosine_decay_schedule(rate, steps))

    def loss(parameters, x, y):
        return ((_layers(x, *parameters) - y) ** 2).mean()

    def step(carry, key):
        parameters, state = carry
        which, four, one = jax.random.split(key, 3)
        row = jax.random.randint(which, (batch,), 0, count)
        # Four of nine frames, in their order: the places of the four smallest of nine random numbers.
        chosen = jnp.sort(jnp.argsort(jax.random.uniform(four, (batch, WINDOW)), axis=1)[:, :FRAMES], axis=1)
        x = inputs[row[:, None], chosen].reshape(batch, -1)
        y = targets[row, jax.random.randint(one, (batch,), 0, TARGETS)]
        update, state = optimiser.update(jax.grad(loss)(parameters, x, y), state, parameters)
        return (optax.apply_updates(parameters, update), state), None

    (parameters, state), _ = jax.lax.scan(step, (parameters, state), jax.random.split(key, _CHUNK))
    return parameters, state


__all__ = ["FRAMES", "WINDOW", "PaperAnticipator", "Recipe", "landmarks"]
