"""The head unrolled: two coordinates along the skin for electrodes and muscle fibres.

`unroll` puts a point of the face frame on a vertical cylinder of 80 mm about an axis just in front of the
ears: s_mm is the arc to the subject's left, y_mm the height. The face lies within 15 % of that radius, so a
distance on the chart is nearly one along the skin, but for the nose and under the chin. Once around the head
is 503 mm. Landmarks: eyes y = 26, mouth y = −43, tragus s = ±125, mastoid (±150, −8).
"""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import KDTree

from .. import mesh
from ..errors import InputError

Array = NDArray[np.floating]

RADIUS_MM = 80.0
AXIS_Z_MM = -25.0
AROUND_MM = 2 * np.pi * RADIUS_MM
LOWEST_MM, HIGHEST_MM = -140.0, 125.0
"""The head that electrodes can stand on, from the neck to the vertex."""

_BLEND_MM = 35.0


def unroll(points_m: ArrayLike) -> Array:
    """Chart coordinates (…, 2) mm, (s, y), of points (…, 3) m in the face frame. Raises `InputError`."""
    points = np.asarray(points_m, float) * 1e3
    if points.ndim == 0 or points.shape[-1] != 3 or not np.isfinite(points).all():
        raise InputError(f"points must be finite (…, 3) metres in the face frame, got shape {points.shape}")
    return np.stack([RADIUS_MM * np.arctan2(points[..., 0], points[..., 2] - AXIS_Z_MM), points[..., 1]], -1)


def surface(chart_mm: ArrayLike) -> Array:
    """Points (…, 3) m of the skin under chart coordinates (…, 2) mm, (s, y).

    On the face this is the canonical mesh; behind and below it goes over into a smooth head and neck. Raises
    `InputError` for coordinates that are not finite.
    """
    chart = _checked(chart_mm)
    inner, tree, edge_radius = _radius_tables()
    flat = chart.reshape(-1, 2)
    wrapped = np.stack([_wrap(flat[:, 0]), flat[:, 1]], -1)
    radius = inner(wrapped)
    outside = np.isnan(radius)
    if outside.any():
        distance, nearest = tree.query(wrapped[outside])
        share = np.exp(-((distance / _BLEND_MM) ** 2))
        radius[outside] = share * edge_radius[nearest] + (1 - share) * _head_radius(wrapped[outside, 1])
    angle = flat[:, 0] / RADIUS_MM
    points = np.stack([radius * np.sin(angle), flat[:, 1], radius * np.cos(angle) + AXIS_Z_MM], -1)
    return 1e-3 * points.reshape(*chart.shape[:-1], 3)


def on_head(chart_mm: ArrayLike) -> NDArray[np.bool_]:
    """Whether chart coordinates (…, 2) mm lie on skin: on head or neck, and not over an eye."""
    chart = _checked(chart_mm)
    result = (np.abs(chart[..., 0]) <= 0.5 * AROUND_MM) & (chart[..., 1] >= LOWEST_MM) & (chart[..., 1] <= HIGHEST_MM)
    for loop in _holes():
        result &= ~_inside(chart, loop)
    return result


def mirror(chart_mm: ArrayLike) -> Array:
    """The same place on the other side."""
    return _checked(chart_mm) * [-1.0, 1.0]


def _checked(chart_mm: ArrayLike) -> Array:
    chart = np.asarray(chart_mm, float)
    if chart.ndim == 0 or chart.shape[-1] != 2 or not np.isfinite(chart).all():
        raise InputError(f"chart coordinates must be finite (…, 2) mm, (s, y), got shape {chart.shape}")
    return chart


def _wrap(s_mm: Array) -> Array:
    return (s_mm + 0.5 * AROUND_MM) % AROUND_MM - 0.5 * AROUND_MM


def _head_radius(y_mm: Array) -> Array:
    """Radius (mm) of head and neck where there is no face: a dome above the ears, a neck of 60 mm."""
    dome = RADIUS_MM * np.sqrt(np.clip(1 - (np.clip(y_mm - 40, 0, None) / 100) ** 2, 0.04, 1))
    neck = 1 / (1 + np.exp((y_mm + 55) / 12))
    return dome * (1 - neck) + 60 * neck


@cache
def _radius_tables() -> tuple[LinearNDInterpolator, KDTree, Array]:
    chart = unroll(mesh.REST)
    radius = np.hypot(mesh.REST[:, 0] * 1e3, mesh.REST[:, 2] * 1e3 - AXIS_Z_MM)
    edge = np.array(mesh.FACE_OVAL)
    return LinearNDInterpolator(chart, radius), KDTree(chart[edge]), radius[edge]


@cache
def _holes() -> tuple[Array, ...]:
    return tuple(unroll(mesh.REST[list(loop)]) for loop in (mesh.EYE_RIGHT, mesh.EYE_LEFT))


def _inside(points: Array, loop: Array) -> NDArray[np.bool_]:
    """Even-odd rule: whether points (…, 2) lie inside a closed loop (n, 2)."""
    start, end = loop, np.roll(loop, -1, axis=0)
    x, y = points[..., None, 0], points[..., None, 1]
    crosses = (start[:, 1] > y) != (end[:, 1] > y)
    rise = np.where(end[:, 1] == start[:, 1], 1.0, end[:, 1] - start[:, 1])
    at = start[:, 0] + (y - start[:, 1]) / rise * (end[:, 0] - start[:, 0])
    return (crosses & (x < at)).sum(-1) % 2 == 1
