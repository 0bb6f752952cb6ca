"""What surrounds and paints a drawn face: the one thing in which a robot's head and a person's differ in a picture."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Surface = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Vertices (n, 3) m, triangles (t, 3), texture coordinates (n, 2)."""


class Part(NamedTuple):
    """A rigid surface of one material."""

    name: str
    surface: Surface
    material: str


class Material(NamedTuple):
    """`colour` is one (red, green, blue), 0…255 each, or a picture (height, width, 3) uint8."""

    colour: tuple[float, float, float] | np.ndarray
    specular: float = 0.2
    shininess: float = 0.4


@dataclass(frozen=True, kw_only=True, eq=False)
class Dress:
    """Pictures of skin and eyes and everything rigid around the face."""

    skin: np.ndarray
    """Picture of the skin at rest in the mesh's texture coordinates, (n, n, 3) uint8."""
    eye: np.ndarray
    """Picture of an eyeball, as `paint.eye_texture` gives it."""
    on_head: tuple[Part, ...]
    """Parts that turn with the head."""
    in_world: tuple[Part, ...]
    """Parts that do not."""
    materials: Mapping[str, Material]
    """Those that the parts name."""
    moving_skin: Callable[[np.ndarray], np.ndarray] | None = None
    """If given, the picture of the skin as it follows the face: vertices (468, 3) m → as `skin`."""


def grid(points: np.ndarray, closed: bool) -> Surface:
    """Surface over a grid of points (rows, columns, 3), whose columns may join end to end."""
    rows, columns, _ = points.shape
    number = np.arange(rows * columns).reshape(rows, columns)
    right = np.roll(number, -1, axis=1) if closed else number[:, 1:]
    left = number if closed else number[:, :-1]
    a, b, c, d = left[:-1], right[:-1], left[1:], right[1:]
    triangles = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (b, d, c))])
    v, u = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
    return points.reshape(-1, 3), triangles, np.stack([u.ravel(), v.ravel()], 1)


def tube(path: np.ndarray, radius: np.ndarray, sides: int = 10) -> Surface:
    """A tube along a path (n, 3) with a radius (n,) at each point."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    out = path * [1, 1, 0]
    out -= tangent * (out * tangent).sum(1, keepdims=True)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    across = np.cross(tangent, out)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)[:, None, None]
    rings = path + radius[:, None] * (np.cos(angle) * out + np.sin(angle) * across)
    return grid(np.transpose(rings, (1, 0, 2)), closed=True)


def lathe(profile: np.ndarray, axis: int, sides: int = 48) -> Surface:
    """Turn a profile of (along, radius) pairs about an axis through the origin."""
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    along = np.repeat(profile[:, :1], sides, 1)
    a, b = profile[:, 1:] * np.cos(angle), profile[:, 1:] * np.sin(angle)
    order = ((along, a, b), (b, along, a))[axis]
    return grid(np.stack(order, -1), closed=True)
