"""Paints of the robot's skin, eyes and teeth, drawn from the mesh's own texture coordinates.

Painted brows, lips and lash lines are what a landmark tracker measures by, so their outlines run exactly
through the vertices that the tracker will be asked about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from scipy.interpolate import CubicSpline

from .. import mesh
from ..errors import VocabularyError
from .drape import LID_UV, LINING_UV

Rgb = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Paint:
    """One exchangeable skin: colours as (red, green, blue), 0…255 each."""

    base: Rgb
    shade: Rgb
    """What hollows and edges tend to."""
    light: Rgb
    """What ridges tend to."""
    blush: Rgb
    upper_lip: Rgb
    lower_lip: Rgb
    brow: Rgb
    lash: Rgb
    iris: Rgb
    shell: Rgb = (238, 240, 243)
    trim: Rgb = (74, 84, 96)
    marks: Rgb | None = None
    """Colour of the spiral marks, if the skin carries any."""


SKINS = MappingProxyType(
    {
        "porcelain": Paint(
            base=(240, 205, 186), shade=(176, 118, 100), light=(255, 236, 222), blush=(232, 138, 124),
            upper_lip=(186, 84, 86), lower_lip=(208, 106, 104), brow=(70, 46, 34), lash=(44, 28, 26),
            iris=(86, 130, 168), shell=(238, 240, 243), trim=(74, 84, 96),
        ),
        "sand": Paint(
            base=(216, 165, 130), shade=(140, 88, 64), light=(240, 200, 168), blush=(206, 110, 88),
            upper_lip=(158, 74, 68), lower_lip=(186, 96, 86), brow=(46, 30, 22), lash=(34, 22, 20),
            iris=(112, 84, 48), shell=(236, 234, 228), trim=(78, 72, 66),
        ),
        "umber": Paint(
            base=(134, 88, 62), shade=(70, 40, 28), light=(174, 124, 92), blush=(150, 72, 54),
            upper_lip=(104, 48, 46), lower_lip=(142, 72, 66), brow=(24, 15, 12), lash=(16, 10, 9),
            iris=(82, 52, 30), shell=(226, 222, 214), trim=(58, 52, 48),
        ),
        "azure": Paint(
            base=(160, 202, 228), shade=(84, 124, 162), light=(204, 232, 246), blush=(150, 160, 214),
            upper_lip=(84, 104, 166), lower_lip=(104, 128, 188), brow=(40, 58, 96), lash=(26, 36, 62),
            iris=(60, 134, 160), shell=(240, 243, 246), trim=(84, 100, 122),
        ),
        "indigo": Paint(
            base=(98, 128, 196), shade=(44, 58, 120), light=(142, 172, 228), blush=(126, 108, 196),
            upper_lip=(56, 42, 116), lower_lip=(78, 62, 146), brow=(18, 20, 50), lash=(12, 14, 34),
            iris=(96, 170, 190), shell=(214, 220, 232), trim=(46, 54, 84), marks=(58, 76, 150),
        ),
    }
)  # fmt: skip
"""The skins by name: three human tones, the published robot's light blue, a darker blue with spirals."""


def skin_named(name: str) -> Paint:
    """The paint of that name. Raises `VocabularyError`."""
    try:
        return SKINS[name]
    except KeyError:
        raise VocabularyError(f"unknown skin {name!r}; allowed: {', '.join(SKINS)}") from None


@dataclass(frozen=True, kw_only=True)
class Brow:
    """Form of the painted brow against the ten brow vertices of the mesh, chosen by search so that a tracker
    finds its brow points on those vertices."""

    reach: float = 0.80
    """Length along the brow from its inner end, as a share of the vertices' own."""
    rise: float = 0.004
    """Shift upwards, as a share of the texture's height."""
    thickness: float = 0.95
    """Against the vertices' own band."""
    tail: float = 0.45
    """Thickness at the outer end against that in the middle."""
    alpha: float = 0.95
    blur: float = 0.0030
    """Softness of the outline, as a share of the texture's width."""


def skin_texture(paint: Paint, size_px: int = 1024, brow: Brow = Brow()) -> np.ndarray:
    """Picture of the skin in the mesh's texture coordinates, (size, size, 3) uint8, row 0 at v = 0."""
    canvas = Canvas(size_px, paint.base)
    draw_shades(canvas, paint)
    if paint.marks is not None:
        _spirals(canvas, paint.marks)
    draw_lips(canvas, paint)
    for side in ("right", "left"):
        draw_eye(canvas, paint, side)
        _brow(canvas, paint, side, brow)
        draw_nostril(canvas, paint, side)
    draw_corners(canvas, paint)
    return canvas.picture()


class Canvas:
    """A picture that is painted in texture coordinates, (n, 2), with soft edges."""

    def __init__(self, size_px: int, base: Rgb):
        self.size_px = self._n = size_px
        self._picture = np.full((size_px, size_px, 3), base, np.float32)

    def fill(self, uv: np.ndarray, colour: Rgb, alpha: float, blur: float = 0.0) -> None:
        mask = np.zeros((self._n, self._n), np.float32)
        cv2.fillPoly(mask, [self._fixed(uv)], 1.0, cv2.LINE_AA, shift=4)
        self.lay(mask, colour, alpha, blur)

    def line(self, uv: np.ndarray, width: float, colour: Rgb, alpha: float, blur: float = 0.0) -> None:
        mask = np.zeros((self._n, self._n), np.float32)
        thick = max(1, round(width * self._n))
        cv2.polylines(mask, [self._fixed(uv)], False, 1.0, thick, cv2.LINE_AA, shift=4)
        self.lay(mask, colour, alpha, blur)

    def spot(self, uv: np.ndarray, radius: Sequence[float], colour: Rgb, alpha: float, turn_rad: float = 0.0) -> None:
        """A Gaussian spot with standard deviations `radius` along its two axes."""
        y, x = np.mgrid[0 : self._n, 0 : self._n].astype(np.float32) / self._n
        x, y = x - uv[0], y - uv[1]
        c, s = np.cos(turn_rad), np.sin(turn_rad)
        mask = np.exp(-0.5 * (((c * x + s * y) / radius[0]) ** 2 + ((c * y - s * x) / radius[1]) ** 2))
        self.lay(mask.astype(np.float32), colour, alpha, 0)

    def stroke(self, uv: np.ndarray, width: float, colour: Rgb, alpha: float) -> None:
        """A thin line that costs little: for hairs."""
        low, high = self._window(uv, width)
        mask = np.zeros((high - low)[::-1], np.float32)
        points = self._fixed(uv - low / self._n)
        cv2.polylines(mask, [points], False, 1.0, max(1, round(width * self._n)), cv2.LINE_AA, shift=4)
        part = self._picture[low[1] : high[1], low[0] : high[0]]
        part += (alpha * mask)[..., None] * (np.array(colour, np.float32) - part)

    def _window(self, uv: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
        low = np.floor((uv.min(0) - margin) * self._n).astype(int) - 2
        high = np.ceil((uv.max(0) + margin) * self._n).astype(int) + 2
        return np.clip(low, 0, self._n - 1), np.clip(high, 1, self._n)

    def gradient(self, corners, colours: Sequence[Rgb]) -> None:
        """Fill a rectangle ((u0, v0), (u1, v1)) with colours from its low v to its high v."""
        (u0, v0), (u1, v1) = np.round(np.asarray(corners) * self._n).astype(int)
        stops = np.linspace(0, 1, len(colours))
        at = np.linspace(0, 1, v1 - v0 + 8)
        column = np.stack([np.interp(at, stops, [c[k] for c in colours]) for k in range(3)], 1)
        self._picture[v0 - 4 : v1 + 4, u0 - 4 : u1 + 4] = column[:, None]

    def picture(self) -> np.ndarray:
        return np.clip(np.round(self._picture), 0, 255).astype(np.uint8)

    def _fixed(self, uv: np.ndarray) -> np.ndarray:
        return np.round(np.asarray(uv) * self._n * 16).astype(np.int32)

    def lay(self, mask: np.ndarray, colour: Rgb, alpha: float, blur: float = 0.0) -> None:
        """Cover the picture with a colour as far as a mask (size, size) 0…1 says."""
        if blur:
            mask = cv2.GaussianBlur(mask, (0, 0), blur * self._n)
        mask = (alpha * mask)[..., None]
        self._picture += mask * (np.array(colour, np.float32) - self._picture)


def curve(vertices: Sequence[int] | np.ndarray, samples: int = 12, closed: bool = False) -> np.ndarray:
    """A smooth curve in texture coordinates through vertices (indices) or points (n, 2)."""
    points = np.asarray(vertices)
    points = mesh.UV[points] if points.ndim == 1 else points
    if closed:
        points = np.concatenate([points, points[:1]])
    step = np.linalg.norm(np.diff(points, axis=0), axis=1) ** 0.5
    at = np.concatenate([[0], np.cumsum(step)])
    spline = CubicSpline(at, points, bc_type="periodic" if closed else "natural")
    return spline(np.linspace(0, at[-1], samples * len(step) + 1))


def mix(a: Rgb, b: Rgb, share: float) -> Rgb:
    """A colour that is `share` of `a` and the rest of `b`."""
    red, green, blue = (round(share * p + (1 - share) * q) for p, q in zip(a, b, strict=True))
    return red, green, blue


def sided(right: Sequence[int], side: str) -> list[int]:
    return list(right) if side == "right" else [int(mesh.MIRROR[v]) for v in right]


def between(a: int, b: int, share: float) -> np.ndarray:
    return (1 - share) * mesh.UV[a] + share * mesh.UV[b]


def draw_shades(canvas: Canvas, paint: Paint) -> None:
    """Hollows and ridges that a small studio light would show, painted so that they cost nothing."""
    oval = curve(mesh.FACE_OVAL, closed=True)
    canvas.line(np.concatenate([oval, oval[:2]]), 0.05, paint.shade, 0.12, blur=0.022)
    for side in ("right", "left"):
        (cheek,) = sided([50], side)
        canvas.spot(mesh.UV[cheek] + [0, 0.012], (0.060, 0.048), paint.blush, 0.26)
        canvas.spot(mesh.UV[sided([117], side)[0]], (0.035, 0.016), paint.light, 0.30)
        canvas.fill(
            curve(sided([247, 30, 29, 27, 28, 56, 190, 189, 221, 222, 223, 224, 225, 113], side), closed=True),
            paint.shade,
            0.20,
            blur=0.014,
        )
        canvas.line(curve(sided([193, 122, 196, 236, 198, 209, 129], side)), 0.014, paint.shade, 0.12, blur=0.011)
        canvas.line(curve(sided([129, 64, 98], side)), 0.007, paint.shade, 0.22, blur=0.004)
        canvas.line(curve(sided([165, 92, 57], side)), 0.012, paint.shade, 0.10, blur=0.010)
        canvas.line(curve(sided([230, 231, 232], side)), 0.012, paint.shade, 0.16, blur=0.010)
    canvas.line(curve([168, 6, 197, 195, 5]), 0.016, paint.light, 0.45, blur=0.010)
    canvas.spot(mesh.UV[4], (0.016, 0.012), paint.light, 0.35)
    canvas.spot(mesh.UV[9] - [0, 0.03], (0.09, 0.05), paint.light, 0.30)
    canvas.spot(mesh.UV[199], (0.035, 0.016), paint.light, 0.25)
    canvas.spot(mesh.UV[18] + [0, 0.010], (0.04, 0.009), paint.shade, 0.35)
    canvas.spot(between(2, 0, 0.5), (0.008, 0.018), paint.shade, 0.16)


def draw_lips(canvas: Canvas, paint: Paint) -> None:
    half = len(mesh.LIPS_OUTER) // 2
    lower_out, upper_out = list(mesh.LIPS_OUTER[: half + 1]), [*mesh.LIPS_OUTER[half:], mesh.LIPS_OUTER[0]]
    seam_low, seam_up = list(mesh.LIPS_INNER[: half + 1]), [*mesh.LIPS_INNER[half:], mesh.LIPS_INNER[0]]
    for outer, inner, colour in (
        (lower_out, seam_low, paint.lower_lip),
        (upper_out, seam_up, paint.upper_lip),
    ):
        canvas.fill(np.concatenate([curve(outer), curve(inner)[::-1]]), colour, 0.92, blur=0.0022)
    dark = mix(paint.upper_lip, (0, 0, 0), 0.45)
    canvas.line(curve(seam_up), 0.004, dark, 0.75, blur=0.0015)
    canvas.line(curve(seam_low), 0.004, dark, 0.55, blur=0.0015)
    canvas.spot(between(16, 17, 0.3), (0.030, 0.006), paint.light, 0.22)


def draw_eye(canvas: Canvas, paint: Paint, side: str) -> None:
    upper = sided([33, 246, 161, 160, 159, 158, 157, 173, 133], side)
    lower = sided([33, 7, 163, 144, 145, 153, 154, 155, 133], side)
    crease = sided([130, 247, 30, 29, 27, 28, 56, 190], side)
    canvas.line(np.concatenate([curve(upper), curve(lower)[::-1]]), 0.014, paint.shade, 0.35, blur=0.006)
    canvas.line(curve(crease), 0.0035, paint.shade, 0.60, blur=0.0015)
    canvas.line(curve(upper), 0.0060, paint.lash, 0.95, blur=0.0012)
    canvas.line(curve(lower), 0.0035, paint.lash, 0.60, blur=0.0012)


def _brow(canvas: Canvas, paint: Paint, side: str, form: Brow) -> None:
    line, half = brow_band(side, form)
    canvas.fill(np.concatenate([line + half, (line - half)[::-1]]), paint.brow, form.alpha, blur=form.blur)


def brow_band(side: str, form: Brow) -> tuple[np.ndarray, np.ndarray]:
    """Middle line of a brow from its outer to its inner end and, at each of its points, half its height upwards,
    both (n, 2) in texture coordinates."""
    upper = mesh.UV[sided([70, 63, 105, 66, 107], side)]
    lower = mesh.UV[sided([46, 53, 52, 65, 55], side)]
    middle, half = (upper + lower) / 2, (upper - lower) / 2 * form.thickness
    middle = middle[-1] + (middle - middle[-1]) * [form.reach, 1] - [0, form.rise]
    line, band = curve(middle), curve(half)
    along = np.linspace(0, 1, len(line))[:, None]
    # Both ends are round; from the middle the band tapers to the tail.
    band = band[np.linspace(0, len(band) - 1, len(line)).round().astype(int)]
    round_ends = np.clip(1 - np.clip(1 - np.minimum(along / 0.05, (1 - along) / 0.08), 0, 1) ** 2, 0, 1) ** 0.5
    taper = form.tail + (1 - form.tail) * np.clip(along / 0.55, 0, 1) ** 0.8
    return line, band * round_ends * taper


def draw_nostril(canvas: Canvas, paint: Paint, side: str) -> None:
    outer, inner = sided([98, 97], side)
    turn = 0.25 if side == "right" else -0.25
    dark = mix(paint.shade, (0, 0, 0), 0.35)
    canvas.spot(between(outer, inner, 0.52), (0.0125, 0.0055), dark, 0.85, turn_rad=turn)


def _spirals(canvas: Canvas, colour: Rgb) -> None:
    """Three spirals: on both cheeks and on the forehead, and a row of dots that leads to each temple."""
    for side, sign in (("right", -1), ("left", 1)):
        (cheek,) = sided([123], side)
        _spiral(canvas, mesh.UV[cheek] + [-0.01 * sign, 0.03], 0.052, sign, colour)
        start, end = mesh.UV[sided([68, 162], side)] + [[0, 0.0], [-0.03 * sign, 0]]
        for k in range(5):
            canvas.spot(start + (end - start) * k / 4, (0.0055 - 0.0006 * k,) * 2, colour, 0.8)
    _spiral(canvas, mesh.UV[151] - [0, 0.012], 0.034, 1, colour)


def _spiral(canvas: Canvas, centre: np.ndarray, radius: float, sign: int, colour: Rgb) -> None:
    turn = np.linspace(0.6, 5.2 * np.pi, 160)
    reach = radius * (turn / turn[-1]) ** 0.9
    canvas.line(centre + np.stack([sign * reach * np.cos(turn), reach * np.sin(turn)], 1), 0.006, colour, 0.85, 0.001)


def draw_corners(canvas: Canvas, paint: Paint) -> None:
    """Small swatches outside the face for what the sheet's own picture does not cover."""
    lip = mix(paint.lower_lip, (0, 0, 0), 0.72)
    canvas.gradient(LINING_UV, (lip, lip, (62, 20, 22), (44, 12, 15), (30, 8, 10), (18, 5, 7)))
    waterline = mix(paint.shade, paint.blush, 0.5)
    canvas.gradient(LID_UV, (paint.lash, paint.lash, waterline, waterline))


def eye_texture(paint: Paint, size_px: int = 256, iris_share: float = 0.265, lens: bool = True) -> np.ndarray:
    """Picture of an eyeball, pole in the middle and radius proportional to the angle from it.

    The rim of the picture is 100° from the pole; the iris fills `iris_share` of that. The pupil is a `lens`, or else
    plain and smaller.
    """
    n = size_px
    y, x = (np.mgrid[0:n, 0:n] + 0.5) / n * 2 - 1
    radius, angle = np.hypot(x, y) / iris_share, np.arctan2(y, x)
    white = np.array((236, 236, 234.0)) + np.clip((radius - 1.6) / 2, 0, 1)[..., None] * np.array((-22, -44, -44.0))
    iris = np.array(paint.iris, float)
    fibre = 1 + 0.16 * np.sin(37 * angle) * np.sin(11 * angle + 1) + 0.55 * np.clip(radius - 0.45, 0, 0.4)
    picture = np.where((radius < 1.02)[..., None], iris * fibre[..., None], white)
    black = np.array((10, 11, 14.0))
    limbus = (0.88, 1.06, iris * 0.25, 0.85)
    rings = ((0.34, 0.39, np.array((58, 66, 80.0)), 0.9), (0.14, 0.18, np.array((44, 52, 70.0)), 0.8))
    for inner, outer, colour, alpha in (limbus, (0.0, 0.50, black, 1.0), *rings) if lens else (
        limbus, (0.0, 0.42, black, 1.0),
    ):  # fmt: skip
        soft = np.clip((radius - inner) / 0.05 + 0.5, 0, 1) if inner else 1.0
        ring = (alpha * soft * np.clip((outer - radius) / 0.05 + 0.5, 0, 1))[..., None]
        picture += ring * (colour - picture)
    return np.clip(picture, 0, 255).astype(np.uint8)


def teeth_texture(teeth: int = 10, width_px: int = 512, height_px: int = 128) -> np.ndarray:
    """Picture of a row of teeth, gum at the top (row 0) and cutting edge at the bottom."""
    v, u = (np.mgrid[0:height_px, 0:width_px] + 0.5) / [[[height_px]], [[width_px]]]
    across = np.abs((u * teeth) % 1 - 0.5) * 2
    gum = v < 0.30 + 0.10 * across**2
    enamel = np.array((246, 243, 236.0)) * (1 - 0.20 * across**6 - 0.10 * np.clip(0.55 - v, 0, 1))[..., None]
    flesh = np.array((188, 96, 98.0)) * (0.75 + 0.5 * v)[..., None]
    return np.clip(np.where(gum[..., None], flesh, enamel), 0, 255).astype(np.uint8)
