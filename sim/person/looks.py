"""How simulated people look: skin, hair, brows, lips and eyes, by name, and their picture of the skin at rest.

Looks are free inventions; they carry no measurement. The outlines of brows, lips and lids run through the mesh's
own vertices, as on the robot, because a landmark tracker measures by them.
"""

from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import MappingProxyType

import cv2
import numpy as np

from .. import mesh
from ..errors import VocabularyError
from ..robot.paint import (
    Brow,
    Canvas,
    Paint,
    Rgb,
    between,
    brow_band,
    curve,
    draw_corners,
    draw_eye,
    draw_nostril,
    draw_shades,
    mix,
    sided,
)  # fmt: skip


class Hair(Enum):
    """A way to wear hair."""

    SHORT = "short"
    LONG = "long"
    TIED = "tied"
    CURLS = "curls"


@dataclass(frozen=True, kw_only=True)
class Look(Paint):
    """Colours of a person, (red, green, blue) 0…255 each, and how the hair is worn."""

    hair: Rgb
    style: Hair
    shirt: Rgb
    folds: float = 1.0
    """Depth of the folds that a moving face shows, 1 in middle age."""
    freckles: float = 0.0
    lip_alpha: float = 0.75
    brow_width: float = 1.0


LOOKS = MappingProxyType(
    {
        "chestnut": Look(
            base=(236, 196, 172), shade=(170, 110, 88), light=(252, 224, 204), blush=(226, 128, 110),
            upper_lip=(176, 84, 82), lower_lip=(198, 106, 100), brow=(78, 50, 34), lash=(40, 26, 22),
            iris=(104, 84, 48), hair=(92, 58, 38), style=Hair.LONG, shirt=(70, 104, 118),
        ),
        "honey": Look(
            base=(216, 168, 134), shade=(142, 92, 66), light=(240, 202, 170), blush=(204, 112, 90),
            upper_lip=(160, 84, 76), lower_lip=(182, 104, 92), brow=(34, 25, 21), lash=(26, 18, 16),
            iris=(74, 50, 30), hair=(38, 29, 25), style=Hair.SHORT, shirt=(226, 222, 212), brow_width=1.12,
            lip_alpha=0.6,
        ),
        "ebony": Look(
            base=(122, 80, 58), shade=(62, 36, 26), light=(166, 118, 88), blush=(140, 70, 52),
            upper_lip=(96, 48, 46), lower_lip=(142, 78, 72), brow=(20, 14, 12), lash=(14, 9, 8),
            iris=(62, 38, 24), hair=(26, 20, 18), style=Hair.CURLS, shirt=(214, 158, 62),
        ),
        "copper": Look(
            base=(238, 200, 180), shade=(196, 130, 108), light=(250, 226, 212), blush=(238, 138, 122),
            upper_lip=(194, 98, 92), lower_lip=(212, 122, 112), brow=(138, 82, 50), lash=(78, 48, 36),
            iris=(86, 128, 112), hair=(156, 78, 40), style=Hair.TIED, shirt=(58, 84, 66), freckles=1.0,
        ),
        "walnut": Look(
            base=(178, 124, 90), shade=(104, 64, 44), light=(212, 162, 124), blush=(176, 92, 70),
            upper_lip=(132, 64, 60), lower_lip=(160, 86, 78), brow=(26, 18, 16), lash=(18, 12, 11),
            iris=(66, 42, 26), hair=(28, 21, 20), style=Hair.LONG, shirt=(150, 60, 66),
        ),
        "silver": Look(
            base=(230, 188, 166), shade=(164, 108, 90), light=(248, 218, 200), blush=(216, 124, 108),
            upper_lip=(166, 92, 88), lower_lip=(186, 112, 104), brow=(118, 110, 104), lash=(60, 50, 46),
            iris=(92, 122, 146), hair=(176, 172, 168), style=Hair.SHORT, shirt=(60, 70, 96), folds=1.5,
            brow_width=1.1, lip_alpha=0.55,
        ),
    }
)  # fmt: skip
"""The people by name."""


def look_named(name: str) -> Look:
    """The look of that name. Raises `VocabularyError`."""
    try:
        return LOOKS[name]
    except KeyError:
        raise VocabularyError(f"unknown look {name!r}; allowed: {', '.join(LOOKS)}") from None


_BROW = Brow(reach=0.84, thickness=0.80, tail=0.35)


@cache
def person_skin(look: Look, size_px: int = 1024) -> np.ndarray:
    """Picture of the skin at rest in the mesh's texture coordinates, (size, size, 3) uint8, row 0 at v = 0.

    Kept for the next portrait, hence read-only.
    """
    rng = np.random.default_rng(468)
    canvas = Canvas(size_px, look.base)
    draw_shades(canvas, look)
    _pores(canvas, look, rng)
    if look.freckles:
        _freckles(canvas, look, rng)
    _lips(canvas, look)
    for side in ("right", "left"):
        draw_eye(canvas, look, side)
        _brow(canvas, look, side, np.random.default_rng(7))
        draw_nostril(canvas, look, side)
    _hairline(canvas, look, rng)
    draw_corners(canvas, look)
    picture = canvas.picture()
    picture.flags.writeable = False
    return picture


def _pores(canvas: Canvas, look: Look, rng: np.random.Generator) -> None:
    """Blotches of more and less blood; fine enough that no tracker takes them for features."""
    n = canvas.size_px
    for cells, alpha in ((22, 0.10), (90, 0.07)):
        coarse = rng.normal(size=(cells, cells)).astype(np.float32)
        coarse = coarse + coarse[:, ::-1]  # as symmetric as the face
        field = cv2.resize(coarse, (n, n), interpolation=cv2.INTER_CUBIC)
        canvas.lay(np.clip(field, 0, 2) / 2, mix(look.blush, look.base, 0.5), alpha)
        canvas.lay(np.clip(-field, 0, 2) / 2, look.light, alpha)


def _freckles(canvas: Canvas, look: Look, rng: np.random.Generator) -> None:
    colour = mix(look.shade, look.hair, 0.5)
    for _ in range(150):
        side = rng.choice([-1, 1])
        centre = mesh.UV[4] + [side * abs(rng.normal(0.0, 0.12)), rng.normal(-0.02, 0.03)]
        canvas.stroke(
            np.stack([centre, centre]), rng.uniform(0.0008, 0.0035), colour, look.freckles * rng.uniform(0.15, 0.45)
        )


def _lips(canvas: Canvas, look: Look) -> None:
    """As the robot's, but softer at the edge, with fine vertical lines and a wet light on the lower lip."""
    half = len(mesh.LIPS_OUTER) // 2
    lower_out, upper_out = list(mesh.LIPS_OUTER[: half + 1]), [*mesh.LIPS_OUTER[half:], mesh.LIPS_OUTER[0]]
    seam_low, seam_up = list(mesh.LIPS_INNER[: half + 1]), [*mesh.LIPS_INNER[half:], mesh.LIPS_INNER[0]]
    for outer, inner, colour in ((lower_out, seam_low, look.lower_lip), (upper_out, seam_up, look.upper_lip)):
        rim, seam = curve(outer), curve(inner)
        canvas.fill(np.concatenate([rim, seam[::-1]]), colour, look.lip_alpha, blur=0.0035)
        for share in np.linspace(0.08, 0.92, 30):
            a, b = rim[int(share * (len(rim) - 1))], seam[int(share * (len(seam) - 1))]
            canvas.stroke(np.stack([a + 0.25 * (b - a), b]), 0.0015, mix(colour, (0, 0, 0), 0.7), 0.13)
    dark = mix(look.upper_lip, (0, 0, 0), 0.42)
    canvas.line(curve(seam_up), 0.0035, dark, 0.75, blur=0.0014)
    canvas.line(curve(seam_low), 0.0035, dark, 0.5, blur=0.0014)
    canvas.spot(between(16, 17, 0.3), (0.028, 0.006), look.light, 0.20)
    canvas.line(curve([40, 39, 37, 0, 267, 269, 270]) - [0, 0.003], 0.003, look.light, 0.22, blur=0.002)


def _brow(canvas: Canvas, look: Look, side: str, rng: np.random.Generator) -> None:
    """Hairs over a soft shadow: at the inner end they stand up, towards the tail they lie along the brow."""
    line, half = brow_band(side, _BROW)
    half = half * look.brow_width
    canvas.fill(np.concatenate([line + half, (line - half)[::-1]]), look.brow, 0.62, blur=0.0035)
    out = -1.0 if side == "right" else 1.0
    for _ in range(260):
        inner = rng.uniform(0.0, 1.0)  # 0 at the tail, 1 at the inner end
        at = int(inner * (len(line) - 1))
        root = line[at] + half[at] * rng.uniform(-0.95, 0.45)
        along = line[max(at - 8, 0)] - line[min(at + 8, len(line) - 1)]  # towards the tail
        along = along / np.linalg.norm(along)
        up = np.array([out * along[1], -out * along[0]]) * (1 if root[1] > line[at][1] else 0.55)
        lean = np.interp(inner, [0, 0.75, 1], [0.05, 0.35, 1.1]) + rng.normal(0, 0.08)
        hair = rng.uniform(0.009, 0.016) * (np.cos(lean) * along + np.sin(lean) * up)
        tone = mix(look.brow, look.base, rng.uniform(0.75, 1.0))
        canvas.stroke(np.stack([root, root + hair]), 0.0016, tone, 0.7)


def _hairline(canvas: Canvas, look: Look, rng: np.random.Generator) -> None:
    """Roots of the hair along the upper edge of the face, so that it does not end in a line."""
    edge = curve(mesh.FACE_OVAL[-7:] + mesh.FACE_OVAL[:8])
    centre = np.array([0.5, 0.45])
    canvas.line(edge, 0.012, look.hair, 0.75, blur=0.006)
    for _ in range(900):
        share = rng.uniform()
        at = edge[int(share * (len(edge) - 1))]
        inward = (centre - at) / np.linalg.norm(centre - at)
        turned = inward + rng.normal(0, 0.25, 2)
        reach = abs(rng.normal(0, 0.012)) + 0.006
        canvas.stroke(np.stack([at - 0.01 * inward, at + reach * turned]), 0.0015, look.hair, 0.55)
    for side in ("right", "left"):  # sideburns
        canvas.line(curve(sided([162, 127, 234], side)), 0.010, look.hair, 0.5, blur=0.006)
