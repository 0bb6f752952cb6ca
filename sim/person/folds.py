"""Folds of the skin: lines that a moving face shows where its surface is pressed together.

The sheet of 468 vertices is too coarse to crease. A `Fold` is a line painted where faces crease, and it deepens with
the shortening of the skin across it, measured on the face itself; no expression is told to the picture.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from .. import mesh
from ..robot.paint import curve, mix, sided
from .looks import Look


@dataclass(frozen=True)
class Fold:
    """Lines on the right half of the face (vertices in order) and the gauges across them."""

    name: str
    lines: tuple[tuple[int, ...], ...]
    gauges: tuple[tuple[int, int], ...]
    """Pairs of vertices; the fold deepens with the mean shortening of their distances."""
    onset: float
    """Shortening at which it begins to show, a share of the distance at rest."""
    full: float
    """Shortening at which it is full."""
    depth: float
    """Darkness when full, 0…1."""
    width: float = 0.0045
    """Share of the texture's width."""
    middle: bool = False
    """On the midline: drawn once."""


FOLDS = (
    Fold(
        "nasolabial", ((129, 203, 206, 216, 212),), ((50, 57), (205, 61), (101, 92), (36, 40)), 0.04, 0.22, 0.55, 0.006
    ),
    Fold(
        "crow's feet",
        ((35, 124, 156), (31, 111, 143), (226, 34, 139)),
        ((117, 225), (118, 224), (111, 113)),
        0.05,
        0.22,
        0.30,
        0.003,
    ),
    Fold(
        "under the eye",
        ((244, 233, 232, 231, 230, 229, 228, 31),),
        ((101, 145), (50, 144), (118, 23)),
        0.04,
        0.18,
        0.45,
    ),
    Fold(
        "bridge",
        ((193, 122, 188), (168, 193, 245), (6, 122, 128)),
        ((129, 133), (49, 155), (126, 112)),
        0.05,
        0.18,
        0.45,
        0.0035,
    ),
    Fold(
        "forehead, inner", ((9, 108, 69), (151, 108, 69), (10, 109)), ((107, 109), (66, 67), (55, 10)), 0.06, 0.2, 0.40
    ),
    Fold("forehead, outer", ((69, 104, 68), (67, 103, 54)), ((105, 103), (63, 54), (66, 67)), 0.06, 0.22, 0.40),
    Fold("between the brows", ((107, 55, 193),), ((107, 336), (55, 285), (66, 296)), 0.06, 0.25, 0.65, 0.004),
    Fold(
        "root of the nose", ((193, 168, 417),), ((9, 6), (107, 122), (336, 351)), 0.06, 0.22, 0.45, 0.004, middle=True
    ),
    Fold("corner, downwards", ((61, 57, 43, 202),), ((61, 150), (57, 149), (61, 169)), 0.04, 0.14, 0.45, 0.005),
    Fold("corner, backwards", ((186, 57, 43),), ((57, 192), (61, 214), (57, 207)), 0.06, 0.22, 0.45, 0.006),
    Fold("above the chin", ((182, 18, 406),), ((199, 17), (200, 18), (175, 18)), 0.05, 0.25, 0.55, 0.006, middle=True),
)


class Folds:
    """The picture of one person's skin, creased as a face moves."""

    def __init__(self, skin: np.ndarray, look: Look):
        self._skin = skin
        self._dark = np.array(mix(look.shade, (0, 0, 0), 0.62), np.float32)
        self._light = np.array(look.light, np.float32)
        self._marks = [
            (_gauge(fold, side), *_drawn(fold, side, len(skin)), look.folds)
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


def fold_depths(vertices_m: np.ndarray) -> dict[str, float]:
    """How deep each fold is on a face (468, 3) m, 0…1, by name and side."""
    return {
        fold.name if fold.middle else f"{fold.name}, {side}": _gauge(fold, side)(vertices_m) / fold.depth
        for fold in FOLDS
        for side in (("right",) if fold.middle else ("right", "left"))
    }


def _gauge(fold: Fold, side: str):
    a, b = np.array([sided(pair, side) for pair in fold.gauges]).T
    rest = np.linalg.norm(mesh.REST[a] - mesh.REST[b], axis=1)

    def depth(vertices_m: np.ndarray) -> float:
        shortening = 1 - np.linalg.norm(vertices_m[a] - vertices_m[b], axis=1) / rest
        return fold.depth * float(np.clip((shortening.mean() - fold.onset) / (fold.full - fold.onset), 0, 1))

    return depth


def _drawn(fold: Fold, side: str, size_px: int) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """The fold's window in the picture, its groove and the light ridge beside it, each 0…1."""
    groove = np.zeros((size_px, size_px), np.float32)
    for line in fold.lines:
        points = curve(sided(line, side))
        taper = np.sin(np.pi * np.linspace(0.08, 0.92, len(points)))
        for k in range(len(points) - 1):
            ends = np.round(points[k : k + 2] * size_px * 16).astype(np.int32)
            width = max(1, round(fold.width * size_px))
            cv2.polylines(groove, [ends], False, float(taper[k]), width, cv2.LINE_AA, shift=4)
    sharp = cv2.GaussianBlur(groove, (0, 0), 0.0016 * size_px)
    wide = cv2.GaussianBlur(groove, (0, 0), 0.008 * size_px)
    dark = np.clip(sharp + 0.8 * wide, 0, 1)
    light = np.clip(cv2.GaussianBlur(groove, (0, 0), 0.010 * size_px) - 0.9 * sharp, 0, 1)
    shown = np.argwhere((dark > 0.005) | (light > 0.005))
    (top, left), (bottom, right) = shown.min(0), shown.max(0) + 1
    window = (slice(top, bottom), slice(left, right))
    return window, dark[window], light[window]
