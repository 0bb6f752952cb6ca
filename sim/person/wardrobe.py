"""What surrounds a person's face in a picture: head, ears, hair, neck and shirt, as rigid surfaces."""

import numpy as np

from .. import mesh
from ..robot.dress import Dress, Material, Part, Surface, grid, lathe
from ..robot.head import NECK_Z_M, face_edge
from ..robot.paint import Rgb, eye_texture, mix
from .folds import Folds
from .looks import Hair, Look, person_skin

_NECK_Z_M = NECK_Z_M + 0.004
_CROWN = np.array([0.0, 0.030, -0.125])
"""Where the surfaces of head and hair close at the back."""


def person_dress(look: Look, rest_m: np.ndarray = mesh.REST, *, folds: bool = True) -> Dress:
    """Dress for `FaceRenderer` around a face whose rest is rest_m (468, 3) m.

    With `folds` the skin creases where the face presses it together.
    """
    skin = person_skin(look)
    wide = float(np.ptp(rest_m[:, 0]) / np.ptp(mesh.REST[:, 0]))
    hair = [Part("cap", _cap(look.style, rest_m), "hair")]
    if look.style is Hair.LONG:
        hair.append(Part("curtain", _curtain(wide), "hair"))
    if look.style is Hair.TIED:
        hair.append(Part("knot", _knot(), "hair"))
    ears = (
        ()
        if look.style is Hair.LONG
        else (Part("right ear", _ear(-wide), "flesh"), Part("left ear", _ear(wide), "flesh"))
    )
    return Dress(
        skin=skin,
        eye=eye_texture(look, lens=False),
        on_head=(Part("skull", _skull(rest_m), "flesh"), *ears, *hair),
        in_world=(Part("neck", _neck(), "neck"), Part("shirt", _shirt(), "shirt")),
        materials={
            "flesh": Material(mix(look.shade, look.base, 0.15), 0.1, 0.25),
            "neck": Material(_neck_picture(look), 0.08, 0.2),
            "hair": Material(_hair_picture(look), 0.25, 0.35),
            "shirt": Material(look.shirt, 0.05, 0.1),
        },
        moving_skin=Folds(skin, look, rest_m).picture if folds else None,
    )


def _smooth(x: np.ndarray | float, low: float, high: float) -> np.ndarray:
    t = np.clip((np.asarray(x) - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _loft(u: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """Points of the head behind the face's edge (columns, 3): u (rows, columns) from 0 at the edge to π/2 at the
    back of the head. Under the chin it is tucked in for the jaw to slide over it."""
    side = edge[:, :2] - _CROWN[:2]
    up = side[:, 1] / np.linalg.norm(side, axis=1)
    tuck = _smooth(-edge[:, 1], 0.010, 0.070)
    bulge = 0.20 + 0.42 * np.clip(up, 0, 1) ** 2
    rim = side * (1.0 - 0.30 * tuck)[:, None]
    start = edge[:, 2] - 0.004 - 0.02 * tuck
    reach = np.cos(u) ** 0.75 + bulge * (1 - tuck) * np.sin(2 * u)
    return np.concatenate(
        [_CROWN[:2] + rim * reach[..., None], (start + (_CROWN[2] - start) * np.sin(u))[..., None]], axis=-1
    )


def _skull(rest_m: np.ndarray, columns: int = 144) -> Surface:
    u = np.repeat(np.linspace(0, np.pi / 2, 24)[:, None], columns, 1)
    return grid(_loft(u, face_edge(columns, rest_m)), closed=True)


_VOLUME_M = {
    Hair.SHORT: (0.014, 0.005),
    Hair.LONG: (0.017, 0.012),
    Hair.TIED: (0.008, 0.004),
    Hair.CURLS: (0.030, 0.020),
}
"""Thickness of the hair on top and at the temples."""


def _cap(style: Hair, rest_m: np.ndarray, columns: int = 192, rows: int = 40) -> Surface:
    """Hair on the head: from the edge of the face upwards of the ear, from behind the ear below it."""
    edge = face_edge(columns, rest_m)
    top, temple = _VOLUME_M[style]
    start = np.interp(edge[:, 1], [-0.045, -0.008, 0.012, 0.03], [1.45, 0.95, 0.10, 0.0])
    v = np.linspace(0, 1, rows)[:, None] ** 1.5
    u = start + (np.pi / 2 - start) * v
    base = _loft(u, edge)
    out = base - [0, 0.015, -0.045]
    out = out * [1, 1, 0.6]
    out /= np.linalg.norm(out, axis=-1, keepdims=True)
    height = temple + (top - temple) * _smooth(edge[:, 1], 0.03, 0.085)
    height = height * _smooth(edge[:, 1], -0.055, -0.030)
    rise = np.clip((u - start) / np.where(edge[:, 1] > 0.05, 0.16, 0.10), 0, 1) ** 0.5
    wave = _waves(style, u, edge)
    points = base + out * (height * rise * wave - 0.002 * (1 - rise))[..., None]
    # The first rows lean over the face's edge, where its own picture shows the roots.
    points[..., 2] += 0.005 * (1 - np.clip((u - start) / 0.15, 0, 1)) * _smooth(edge[:, 1], 0.0, 0.05)
    return grid(points, closed=True)


def _waves(style: Hair, u: np.ndarray, edge: np.ndarray) -> np.ndarray:
    angle = np.arctan2(edge[:, 0], edge[:, 1])
    if style is Hair.CURLS:
        return 1 + 0.10 * np.sin(23 * angle + 3 * np.sin(9 * u)) * np.sin(17 * u + 2 * np.sin(7 * angle))
    parting = 1 - 0.28 * np.exp(-(((angle - 0.35) / 0.10) ** 2))  # on the subject's left
    ripple = 1 + 0.05 * np.sin(31 * angle + 4 * u) + 0.04 * np.sin(53 * angle - 6 * u)
    return ripple * (1.0 if style is Hair.TIED else parting)


def _curtain(wide: float, columns: int = 96, rows: int = 36) -> Surface:
    """Long hair that falls from the temples round the back to the shoulders, over the ears."""
    turn = np.radians(np.linspace(66, 294, columns))[None]
    y = np.linspace(0.075, -0.168, rows)[:, None]
    low = _smooth(-y, -0.05, 0.15)
    inside = _smooth(y, 0.030, 0.080)
    ripple = 1 + 0.020 * np.sin(turn * 34 + 25 * y) + 0.012 * np.sin(turn * 61 - 40 * y)
    across = wide * (0.0965 + 0.004 * low - 0.016 * inside - 0.016 * _smooth(-y, 0.06, 0.16)) * ripple
    deep = (0.082 - 0.012 * low - 0.01 * inside) * ripple
    points = np.stack(
        np.broadcast_arrays(across * np.sin(turn), y, -0.043 + 0.012 * low + deep * np.cos(turn)), axis=-1
    )
    vertices, triangles, texture = grid(points, closed=False)
    return vertices, np.concatenate([triangles, triangles[:, ::-1]]), texture


def _knot() -> Surface:
    polar = np.linspace(0.01, np.pi - 0.01, 24)
    profile = np.column_stack([0.030 * np.cos(polar), 0.030 * np.sin(polar) * (1 + 0.05 * np.sin(9 * polar))])
    vertices, triangles, texture = lathe(profile, axis=1)
    return vertices + [0, 0.118, -0.085], triangles[:, ::-1], texture


def _ear(wide: float) -> Surface:
    """A shell with a rim, an open bowl and a lobe, turned out from a head `wide` times the mean; below 0: right."""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)[None]
    share = np.linspace(1, 0.02, 14)[:, None]
    # Outline seen from the side: along (backwards) and up, wider above than below.
    along = 0.0165 * np.cos(turn) * (1 + 0.22 * np.sin(turn)) * share
    up = 0.0300 * np.sin(turn) * share
    depth = np.interp(share, [0, 0.35, 0.62, 0.74, 0.86, 0.95, 1], [-3, -2, 1.5, 1.0, 3.6, 3.0, -2.5]) * 1e-3
    depth = depth - 0.0025 * _smooth(-up, 0.012, 0.03)
    out = depth + 0.38 * (along + 0.012) + 0.0
    points = np.stack(np.broadcast_arrays(0.0755 + out, 0.006 + up + 0.10 * along, -0.046 - along), axis=-1)
    vertices, triangles, texture = grid(points, closed=True)
    return vertices * [wide, 1, 1], triangles[:, :: -int(np.sign(wide))], texture


def _neck() -> Surface:
    y = np.linspace(-0.045, -0.190, 40)
    radius = 0.0505 + 0.017 * _smooth(-y, 0.115, 0.180)
    vertices, triangles, texture = lathe(np.column_stack([y, radius]), axis=1)
    # The front of its upper end stays behind the mouth's lining.
    front = 0.55 + 0.45 * _smooth(-vertices[:, 1], 0.080, 0.135)
    vertices[:, 2] *= np.where(vertices[:, 2] > 0, front, 1.0)
    return vertices + [0, 0, _NECK_Z_M], triangles[:, ::-1], texture


def _shirt() -> Surface:
    """Shoulders in a round-necked shirt: about the neck a ring, towards the arms an ellipse."""
    t = np.concatenate([[0, 0.004], np.linspace(0.01, 1, 32)])[:, None]
    turn = np.linspace(0, 2 * np.pi, 96, endpoint=False)[None]
    across, deep = 0.064 + 0.19 * t**0.85, 0.066 + 0.055 * t**0.7
    front = np.clip(np.cos(turn), 0, 1) ** 2 * (1 - _smooth(t, 0.0, 0.5))
    y = -0.1555 - 0.024 * t - 0.085 * t**2.4 - 0.016 * front - 0.004 * (t == 0)
    points = np.stack(np.broadcast_arrays(across * np.sin(turn), y, _NECK_Z_M + deep * np.cos(turn)), axis=-1)
    vertices, triangles, texture = grid(points, closed=True)
    return vertices, triangles[:, ::-1], texture


def _neck_picture(look: Look) -> np.ndarray:
    """Dark under the chin, lighter towards the collar."""
    v = np.linspace(0, 1, 128)[:, None, None]
    dark = 0.50 * (1 - _smooth(v, 0.10, 0.62)) + 0.08
    picture = (1 - dark) * np.array(look.base, float) + dark * np.array(look.shade, float)
    return np.clip(np.repeat(picture, 64, 1), 0, 255).astype(np.uint8)


def _hair_picture(look: Look) -> np.ndarray:
    """Strands that run away from the face."""
    rng = np.random.default_rng(5)
    strands = rng.normal(0, 1, (1, 512)) + 0.6 * rng.normal(0, 1, (1, 64)).repeat(8, 1)
    along = np.linspace(0, 1, 256)[:, None]
    tone = 1 + 0.10 * strands * (0.7 + 0.3 * np.sin(9 * along + strands)) - 0.18 * (along < 0.03)
    if look.style is Hair.CURLS:
        tone = 1 + 0.22 * rng.normal(0, 1, (256, 512))
    light: Rgb = mix(look.hair, (255, 240, 220), 0.92)
    picture = np.array(light, float) * tone[..., None]
    return np.clip(picture, 0, 255).astype(np.uint8)
