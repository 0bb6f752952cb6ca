"""Everything that pulls on a person's skin, as one list of Mykin springs in one order.

A Mykin muscle (skin-musculoskeletal paper, equation 7) is a spring whose stiffness and rest length grow with its
activation u: F = (k₀ + k₁ u)(l₀ + l₁ u − Δl). An element applies its force along fixed unit pulls on vertices. After
the muscles come the lip seals, passive springs that hold the closed lips together and are switched off as they part.

Plain NumPy in double precision, shared by the fast map (`mechanics`) and the nonlinear reference (`reference`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import mesh
from ..errors import InputError
from .anatomy import ANATOMY, MUSCLE_NAMES, MUSCLES
from .muscle_parts import Line, Ring
from .ports import jaw_columns, jaw_ground, jaw_pivot, lid_ground

Array = NDArray[np.floating]

PASSIVE_SHARE = 0.08
"""k₀ / (k₀ + k₁): stiffness of a slack muscle. Uncritical: 0.02 … 0.4 changes a smile from 11.5 to 9.7 mm."""
LENGTH_RATIO = 0.3
"""l₀ / l₁. With 0 a tenth of activation gives 3 % of the motion and activation cannot be told from it near rest; with
0.3 it gives 6 %. `shortening_m` of the anatomy is l₀ + l₁, so the strength at full activation is the same."""
SEAL_N_M = 100.0
"""Stiffness of each lip pair's seal along each axis [T]: the lips stay shut in sadness and anger."""
SEAL = -1
"""Entry of `Elements.muscle` for a lip seal."""


@dataclass(frozen=True, eq=False)
class Elements:
    """Force elements of a face, E of them: the muscles' pulls, then 27 lip seals.

    names (E); muscle (E,): index in `anatomy.MUSCLES`, `SEAL` for a seal.
    pull B (3V, E): vertex forces per newton of tension; Bᵀ x is an element's shortening for displacements x.
    k0, k1 (E,) N/m; l0, l1 (E,) m: Mykin constants; a seal has k0 = l0 = l1 = 0.
    ride (E, 3): shortening that is *lost* as the origin rides on the jaw, by sin q, 1 − cos q, glide.
    insertion: vertices of each element with shares `share` that sum to one (a seal: its pair, +1 and −1).
    straight (E,): whether it is a line to a point. direction (E, 3), length_m (E,): of a line at rest, from the
        insertion's mean; the muscle wraps, so origin_m (E, 3) = mean + length · direction lies nearer to the skin than
        the bone. Zero for others, whose pulls are taken as constant.
    jaw_ground (3V, 3), lid_ground (3V, 14): motion of the ground, see `ports`.
    rest (V, 3) m.
    """

    names: tuple[str, ...]
    muscle: NDArray[np.int64]
    pull: Array
    k0: Array
    k1: Array
    l0: Array
    l1: Array
    ride: Array
    insertion: tuple[NDArray[np.int64], ...]
    share: tuple[Array, ...]
    straight: NDArray[np.bool_]
    direction: Array
    length_m: Array
    origin_m: Array
    on_jaw: NDArray[np.bool_]
    jaw_ground: Array
    lid_ground: Array
    rest: Array

    @property
    def seal(self) -> NDArray[np.bool_]:
        """Which elements are lip seals, (E,)."""
        return self.muscle == SEAL

    def stiffness(self, activation: Array, seal: float) -> Array:
        """k (E,) N/m for activations (48,) and the seals' state 0 … 1."""
        return self.k0 + self.k1 * self._drive(activation, seal)

    def free_length(self, activation: Array, seal: float) -> Array:
        """l (E,) m by which each element would shorten if nothing held it."""
        return self.l0 + self.l1 * self._drive(activation, seal)

    @property
    def tone_n(self) -> Array:
        """k₀ l₀ (E,): force at rest, which the neutral face has in it already."""
        return self.k0 * self.l0

    def subset(self, indices: Sequence[int]) -> "Elements":
        """Only the elements at `indices`, in that order: a face with a few muscles."""
        kept = list(indices)
        per_element = (
            "muscle", "k0", "k1", "l0", "l1", "ride", "straight", "direction", "length_m", "origin_m", "on_jaw",
        )  # fmt: skip
        return replace(
            self,
            pull=self.pull[:, kept],
            **{name: getattr(self, name)[kept] for name in per_element},
            **{name: tuple(getattr(self, name)[i] for i in kept) for name in ("names", "insertion", "share")},
        )

    def _drive(self, activation: Array, seal: float) -> Array:
        return np.where(self.seal, seal, np.asarray(activation, float)[np.maximum(self.muscle, 0)])


def elements(rest: Array = mesh.REST, strength: ArrayLike = 1.0) -> Elements:
    """All force elements of a face at rest (468, 3) m.

    strength: factor on each muscle's force, a number or (48,) in the order of `anatomy.MUSCLES`; 0 is a palsy.
    Raises InputError.
    """
    rest = np.asarray(rest, float)
    if rest.shape != (mesh.VERTEX_COUNT, 3) or not np.isfinite(rest).all():
        raise InputError(f"rest must be finite (468, 3) metres, got shape {rest.shape}")
    factor = np.asarray(strength, float)
    if factor.shape not in ((), (len(MUSCLES),)) or not ((factor >= 0) & (factor <= 10)).all():
        raise InputError(f"strength must be a number or (48,) in 0 … 10, got shape {factor.shape}, values {factor}")
    factor = np.broadcast_to(factor, (len(MUSCLES),))
    mirrored, normals, pivot = mesh.mirror(rest), mesh.vertex_normals(rest), jaw_pivot(rest)
    names, muscles, parts, constants = [], [], [], []
    for index, name in enumerate(MUSCLE_NAMES):
        left = index % 2 == 1  # MUSCLES lists right and left in turn
        side = _Side(rest, mirrored if left else rest, normals, left)
        pulls = ANATOMY[index // 2].pulls
        for number, pull in enumerate(pulls):
            names.append(name + (f", part {number + 1}" if len(pulls) > 1 else ""))
            muscles.append(index)
            parts.append(_line(pull, side) if isinstance(pull, Line) else _ring(pull, side))
            constants.append(_mykin(pull, factor[index]))
    for pair in mesh.LIP_PAIRS:
        for axis in range(3):
            names.append(f"lip seal {pair[0]}-{pair[1]}, {'xyz'[axis]}")
            muscles.append(SEAL)
            parts.append(_seal(pair, axis))
            constants.append((0.0, SEAL_N_M, 0.0, 0.0))
    k0, k1, l0, l1 = np.array(constants).T
    origin, direction = (np.array([getattr(part, name) for part in parts]) for name in ("origin", "direction"))
    on_jaw = np.array([part.on_jaw for part in parts])
    return Elements(
        names=tuple(names),
        muscle=np.array(muscles),
        pull=np.stack([part.column(len(rest)) for part in parts], axis=1),
        k0=k0,
        k1=k1,
        l0=l0,
        l1=l1,
        ride=np.einsum("ea,eac->ec", direction, jaw_columns(origin, pivot)) * on_jaw[:, None],
        insertion=tuple(part.vertices for part in parts),
        share=tuple(part.share for part in parts),
        straight=np.array([part.length > 0 for part in parts]),
        direction=direction,
        length_m=np.array([part.length for part in parts]),
        origin_m=origin,
        on_jaw=on_jaw,
        jaw_ground=jaw_ground(rest),
        lid_ground=lid_ground(rest),
        rest=rest,
    )


@dataclass(frozen=True, eq=False)
class _Side:
    """One side of a face: `own` is the face mirrored if need be, so that the anatomy's right side fits it."""

    rest: Array
    own: Array
    normals: Array
    left: bool

    def vertices(self, right: tuple[int, ...]) -> NDArray[np.int64]:
        return mesh.MIRROR[list(right)] if self.left else np.array(right)

    def point(self, right: Array) -> Array:
        return right * [-1.0 if self.left else 1.0, 1.0, 1.0]


@dataclass(frozen=True, eq=False)
class _Part:
    """Geometry of an element; `vectors` (n, 3) are the forces on its vertices per newton."""

    vertices: NDArray[np.int64]
    share: Array
    vectors: Array
    direction: ArrayLike = (0.0, 0.0, 0.0)
    length: float = 0.0
    origin: ArrayLike = (0.0, 0.0, 0.0)
    on_jaw: bool = False

    def column(self, count: int) -> Array:
        result = np.zeros((count, 3))
        np.add.at(result, self.vertices, self.vectors)
        return result.ravel()


def _line(pull: Line, side: _Side) -> _Part:
    vertices = side.vertices(pull.insertion)
    middle = side.rest[vertices].mean(0)
    towards = side.point(pull.origin_m(side.own)) - middle
    length = float(np.linalg.norm(towards))
    direction = _wrapped(towards / length, _unit(side.normals[vertices].mean(0)), pull.wrap)
    share = np.full(len(vertices), 1 / len(vertices))
    vectors = share[:, None] * direction
    return _Part(vertices, share, vectors, direction, length, middle + length * direction, pull.on_jaw)


def _ring(pull: Ring, side: _Side) -> _Part:
    vertices, share = side.vertices(pull.vertices), np.array(pull.weights)
    towards = side.point(pull.centre_m(side.own)) - side.rest[vertices]
    inwards = [_wrapped(t, side.normals[v], pull.wrap) for t, v in zip(towards, vertices, strict=True)]
    return _Part(vertices, share, share[:, None] * (np.array(inwards) + [0, 0, pull.axial]))


def _seal(pair: tuple[int, int], axis: int) -> _Part:
    vectors = np.zeros((2, 3))
    vectors[:, axis] = (-1, 1)
    return _Part(np.array(pair), np.array([-1.0, 1.0]), vectors)


def _mykin(pull: Line | Ring, factor: float) -> tuple[float, float, float, float]:
    """k₀, k₁ (N/m), l₀, l₁ (m) of a muscle with the given isometric force and free shortening."""
    stiffness = factor * pull.max_force_n / pull.shortening_m
    per_activation = pull.shortening_m / (1 + LENGTH_RATIO)
    return (
        PASSIVE_SHARE * stiffness,
        (1 - PASSIVE_SHARE) * stiffness,
        LENGTH_RATIO * per_activation,
        per_activation,
    )


def _wrapped(towards: Array, normal: Array, wrap: float) -> Array:
    """Unit direction of a pull that loses the share `wrap` of its part along the skin's normal."""
    return _unit(towards - wrap * (towards @ normal) * normal)


def _unit(vector: Array) -> Array:
    return vector / np.linalg.norm(vector)
