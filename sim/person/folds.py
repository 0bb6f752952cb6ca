"""Folds of the skin: lines that a moving face shows where its surface is pressed together.

The sheet of 468 vertices is too coarse to crease. A `Fold` is a line painted where faces crease, and it deepens with
the shortening of the skin across it, measured on the face itself; no expression is told to the picture.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from .. import mesh
from ..robot.paint import curve, mix, sided
from .looks import Look

Line = tuple[tuple[float, float], ...]
"""Points in texture coordinates."""


@dataclass(frozen=True)
class Fold:
    """Lines on the right half of the face and the gauges across them."""

    name: str
    lines: tuple[Line, ...]
    gauges: tuple[tuple[int, int], ...]
    """Pairs of vertices; the fold deepens with the mean shortening of their distances."""
    onset: float
    """Shortening at which it begins to show, a share of the distance at rest."""
    full: float
    """Shortening at which it is full."""
    depth: float
    """Darkness when full, 0…1."""
    width: float = 0.004
    """Share of the texture's width."""
    bulge: tuple[float, float] = (0.0, -1.0)
    """On which side, in texture coordinates, the skin bulges and catches light."""
    middle: bool = False
    """Crosses the midline: drawn once."""


FOLDS = (
    Fold(
        "nasolabial",
        (((0.398, 0.535), (0.374, 0.575), (0.352, 0.615), (0.338, 0.655), (0.335, 0.695)),),
        ((61, 205), (216, 186), (206, 92), (92, 203)),
        *(0.02, 0.13, 0.60, 0.008),
        bulge=(-0.9, -0.5),
    ),
    Fold(
        "crow's feet",
        (
            ((0.230, 0.362), (0.207, 0.346), (0.188, 0.338)),
            ((0.230, 0.379), (0.202, 0.378), (0.180, 0.376)),
            ((0.235, 0.397), (0.211, 0.410), (0.192, 0.422)),
        ),
        ((117, 225), (118, 224), (111, 113)),
        *(0.05, 0.22, 0.40, 0.003),
    ),
    Fold(
        "under the eye",
        (((0.455, 0.405), (0.420, 0.425), (0.370, 0.432), (0.315, 0.425), (0.272, 0.402)),),
        ((101, 145), (50, 144), (118, 23)),
        *(0.04, 0.18, 0.50),
    ),
    Fold(
        "side of the nose",
        (
            ((0.486, 0.366), (0.462, 0.381), (0.440, 0.408)),
            ((0.482, 0.396), (0.458, 0.412), (0.440, 0.438)),
            ((0.478, 0.428), (0.460, 0.440), (0.447, 0.462)),
        ),
        ((129, 133), (49, 155), (126, 112)),
        *(0.03, 0.15, 0.38, 0.004),
    ),
    Fold(
        "forehead, middle",
        tuple(
            ((0.400, v - 0.004), (0.440, v - 0.006), (0.5, v + 0.002), (0.560, v - 0.006), (0.600, v - 0.004))
            for v in (0.148, 0.180, 0.213)
        ),
        ((107, 109), (66, 67), (55, 10), (336, 338), (296, 297), (285, 10)),
        *(0.06, 0.22, 0.50),
        middle=True,
    ),
    Fold(
        "forehead, side",
        tuple(((0.405, v - 0.004), (0.350, v - 0.008), (0.290, v + 0.014)) for v in (0.150, 0.182, 0.214)),
        ((105, 103), (63, 54), (66, 67)),
        *(0.06, 0.22, 0.45),
    ),
    Fold(
        "between the brows",
        (((0.462, 0.252), (0.471, 0.288), (0.473, 0.320)),),
        ((107, 336), (55, 285), (66, 296)),
        *(0.06, 0.25, 0.75, 0.005),
        bulge=(-1.0, 0.0),
    ),
    Fold(
        "root of the nose",
        (((0.468, 0.340), (0.5, 0.332), (0.532, 0.340)), ((0.472, 0.358), (0.5, 0.352), (0.528, 0.358))),
        ((9, 6), (107, 122), (336, 351)),
        *(0.06, 0.22, 0.45, 0.004),
        middle=True,
    ),
    Fold(
        "corner, downwards",
        (((0.374, 0.712), (0.358, 0.745), (0.350, 0.785), (0.352, 0.815)),),
        ((61, 150), (57, 149), (61, 169)),
        *(0.03, 0.14, 0.40, 0.007),
        bulge=(-1.0, 0.0),
    ),
    Fold(
        "corner, backwards",
        (((0.348, 0.668), (0.340, 0.697), (0.347, 0.726)),),
        ((57, 192), (61, 214), (57, 207)),
        *(0.05, 0.20, 0.32, 0.006),
        bulge=(-1.0, 0.0),
    ),
    Fold(
        "above the chin",
        (((0.440, 0.792), (0.470, 0.783), (0.5, 0.780), (0.530, 0.783), (0.560, 0.792)),),
        ((199, 17), (200, 18), (175, 18)),
        *(0.05, 0.25, 0.55, 0.006),
        bulge=(0.0, 1.0),
        middle=True,
    ),
)


class Folds:
    """The picture of one person's skin, creased as a face moves."""

    def __init__(self, skin: np.ndarray, look: Look, rest_m: np.ndarray = mesh.REST):
        self._skin = skin
        self._dark = np.array(mix(look.shade, (0, 0, 0), 0.62), np.float32)
        self._light = np.array(look.light, np.float32)
        self._marks = [
            (_gauge(fold, side, rest_m), *_drawn(fold, side, len(skin)), look.folds)
            for fold in FOLDS
            for side in (("right",) if fold.middle else ("right", "left"))
        ]

    def picture(self, vertices_m: np.ndarray) -> np.ndarray:
        """Picture of the skin (n, n, 3) uint8 for a face (468, 3) m."""
        out = self._skin.copy()
        for gauge, window, dark, light, strength in self._marks:
            depth = gauge(vertices_m) * strength
            if depth < 0.02:
                continue
            part = out[window].astype(np.float32)
            part += np.minimum(depth * dark, 0.9)[..., None] * (self._dark - part)
            part += np.minimum(0.6 * depth * light, 0.9)[..., None] * (self._light - part)
            out[window] = np.clip(part, 0, 255).astype(np.uint8)
        return out


def fold_depths(vertices_m: np.ndarray, rest_m: np.ndarray = mesh.REST) -> dict[str, float]:
    """How deep each fold is on a face (468, 3) m, 0…1, by name and side."""
    return {
        fold.name if fold.middle else f"{fold.name}, {side}": _gauge(fold, side, rest_m)(vertices_m) / fold.depth
        for fold in FOLDS
        for side in (("right",) if fold.middle else ("right", "left"))
    }


def _gauge(fold: Fold, side: str, rest_m: np.ndarray) -> Callable[[np.ndarray], float]:
    a, b = np.array([sided(pair, side) for pair in fold.gauges]).T
    rest = np.linalg.norm(rest_m[a] - rest_m[b], axis=1)

    def depth(vertices_m: np.ndarray) -> float:
        shortening = 1 - np.linalg.norm(vertices_m[a] - vertices_m[b], axis=1) / rest
        return fold.depth * float(np.clip((shortening.mean() - fold.onset) / (fold.full - fold.onset), 0, 1))

    return depth


def _drawn(fold: Fold, side: str, size_px: int) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """The fold's window in the picture, its groove and the light ridge beside it, each 0…1."""
    sign = np.array([1.0, 1.0] if side == "right" else [-1.0, 1.0])
    lines = [curve((np.array(line) - [0.5, 0]) * sign + [0.5, 0]) * size_px for line in fold.lines]
    margin = 10 * fold.width * size_px
    low = np.maximum(np.floor(np.min([line.min(0) for line in lines], axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(np.max([line.max(0) for line in lines], axis=0) + margin), size_px).astype(int)
    groove = np.zeros((high - low)[::-1], np.float32)
    for line in lines:
        taper = np.sin(np.pi * np.linspace(0.06, 0.94, len(line))) ** 0.7
        for k in range(len(line) - 1):
            ends = np.round((line[k : k + 2] - low) * 16).astype(np.int32)
            width = max(1, round(fold.width * size_px))
            cv2.polylines(groove, [ends], False, float(taper[k]), width, cv2.LINE_AA, shift=4)

    def blurred(share: float) -> np.ndarray:
        return cv2.GaussianBlur(groove, (0, 0), share * size_px)

    dark = np.clip(0.75 * blurred(0.4 * fold.width) + 0.8 * blurred(1.7 * fold.width), 0, 1)
    shift = np.array(fold.bulge) * sign * 2.2 * fold.width * size_px
    moved = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    light = np.clip(cv2.warpAffine(blurred(1.2 * fold.width), moved, groove.shape[::-1]), 0, 1)
    return (slice(low[1], high[1]), slice(low[0], high[0])), dark, light
