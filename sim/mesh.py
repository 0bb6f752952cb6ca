"""The canonical face mesh: 468 vertices in metres, its triangles, loops, regions and landmark subsets.

Frame: +x the subject's left, +y up, +z forward. The shape is MediaPipe's canonical face model (see NOTICE),
shipped in ``data/canonical_face.npz``. MediaPipe's own mesh covers the eyes and the mouth with filler
triangles and parts the lips; `TRIANGLES` has three holes there and `REST` closes the lips.
"""

from functools import cache
from importlib.resources import files
from types import MappingProxyType

import numpy as np

from .errors import VocabularyError

VERTEX_COUNT = 468
LANDMARK_COUNT = 478
"""What the landmark model reports: the mesh's vertices, then five points for each iris."""

LIPS_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
LIPS_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
EYE_RIGHT = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
EYE_LEFT = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
BROW_RIGHT = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
BROW_LEFT = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
IRIS_RIGHT = (468, 469, 470, 471, 472)
IRIS_LEFT = (473, 474, 475, 476, 477)

LIP_PAIRS = tuple(
    zip((13, 82, 81, 80, 191, 312, 311, 310, 415), (14, 87, 178, 88, 95, 317, 402, 318, 324), strict=True)
)
"""(upper, lower) vertices of the inner lips that meet when the mouth is closed."""

EMO_UPPER = (
    7, 33, 46, 52, 53, 55, 63, 65, 66, 70, 105, 107, 133, 144, 145, 153, 154, 155, 157, 158, 159, 160, 161, 163,
    173, 246, 249, 263, 276, 282, 283, 285, 293, 295, 296, 300, 334, 336, 362, 373, 374, 380, 381, 382, 384, 385,
    386, 387, 388, 390, 398, 466,
)  # fmt: skip
"""The 52 eye and brow landmarks of the Emo robot's self-model, in the order its authors use."""
EMO_LOWER = (
    0, 13, 14, 17, 37, 39, 40, 58, 61, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 132, 136, 146, 148, 149, 150, 152,
    172, 176, 178, 181, 185, 191, 234, 267, 269, 270, 288, 291, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324,
    361, 365, 375, 377, 378, 379, 397, 400, 402, 405, 409, 415, 454,
)  # fmt: skip
"""The 61 mouth, cheek-line and chin landmarks of the Emo robot's self-model, in the order its authors use."""
EMO_LANDMARKS = EMO_UPPER + EMO_LOWER


def _load() -> dict[str, np.ndarray]:
    with (files("duchenne.sim") / "data" / "canonical_face.npz").open("rb") as stream, np.load(stream) as data:
        return {name: data[name] for name in data.files}


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


_DATA = _load()
CANONICAL = _frozen(_DATA["vertices_cm"].astype(float) * 0.01)
"""MediaPipe's canonical vertices, (468, 3) m."""
UV = _frozen(_DATA["uv"].astype(float))
"""Texture coordinates, (468, 2), v = 0 at the top of the picture."""
ALL_TRIANGLES = _frozen(_DATA["triangles"].astype(int))
"""All 898 triangles, eyes and mouth filled."""
PROCRUSTES_WEIGHTS = _frozen(
    np.bincount(_DATA["procrustes_ids"], _DATA["procrustes_weights"].astype(float), minlength=VERTEX_COUNT)
)
"""Weight of each vertex in MediaPipe's alignment, (468,); 33 are not zero."""


def _cut_holes(triangles: np.ndarray) -> np.ndarray:
    fill = [np.isin(triangles, loop).all(1) for loop in (LIPS_INNER, EYE_RIGHT, EYE_LEFT)]
    return triangles[~np.any(fill, axis=0)]


TRIANGLES = _frozen(_cut_holes(ALL_TRIANGLES))
"""The 852 triangles of the skin, with holes for the mouth and the eyes."""

# Rings of lip vertices that follow the inner ring when the lips close, with the share they follow by.
_UPPER_RINGS = (((12, 38, 41, 42, 183, 268, 271, 272, 407), 0.7), ((11, 72, 73, 74, 184, 302, 303, 304, 408), 0.3))
_LOWER_RINGS = (((15, 86, 179, 89, 96, 316, 403, 319, 325), 0.7), ((16, 85, 180, 90, 77, 315, 404, 320, 307), 0.3))


def _close_lips(vertices: np.ndarray, share: float = 0.92) -> np.ndarray:
    """Bring the inner lips together by `share` of their gap; the lips' outer rings follow in part."""
    closed = vertices.copy()
    upper, lower = np.array(LIP_PAIRS).T
    half_gap = 0.5 * share * (vertices[upper, 1] - vertices[lower, 1])
    for ring, follow in (((tuple(upper)), 1.0), *_UPPER_RINGS):
        closed[list(ring), 1] -= follow * half_gap
    for ring, follow in (((tuple(lower)), 1.0), *_LOWER_RINGS):
        closed[list(ring), 1] += follow * half_gap
    return closed


REST = _frozen(_close_lips(CANONICAL))
"""The rest pose, lips closed, (468, 3) m."""


def _mirror_index() -> np.ndarray:
    flipped = CANONICAL * [-1, 1, 1]
    distance = np.linalg.norm(flipped[:, None] - CANONICAL[None], axis=-1)
    return distance.argmin(1)


MIRROR = _frozen(_mirror_index())
"""`MIRROR[v]` is the vertex on the other side of the face, (468,)."""

OUTER_EYE_DISTANCE_M = float(np.linalg.norm(CANONICAL[33] - CANONICAL[263]))
"""Distance between the outer eye corners, the unit of normalised landmark errors (NME)."""


EYEBALL_RADIUS_M = 0.012
EYE_CENTERS = _frozen(
    np.array([[*REST[list(ring), :2].mean(0), REST[list(ring), 2].max() - EYEBALL_RADIUS_M + 0.0012]
              for ring in (EYE_RIGHT, EYE_LEFT)])
)  # fmt: skip
"""Centres about which the eyeballs turn, rows right and left, (2, 3) m."""


def _near(*centres: int, radius_m: float) -> tuple[int, ...]:
    distance = np.linalg.norm(CANONICAL[:, None] - CANONICAL[list(centres)][None], axis=-1).min(1)
    return tuple(int(v) for v in np.flatnonzero(distance <= radius_m))


@cache
def _regions() -> MappingProxyType[str, tuple[int, ...]]:
    lips = set(LIPS_INNER) | set(LIPS_OUTER)
    lips |= {v for rings in (_UPPER_RINGS, _LOWER_RINGS) for ring, _ in rings for v in ring} | {62, 76, 292, 306}
    eyes = {
        "right eye": set(EYE_RIGHT) | {247, 30, 29, 27, 28, 56, 190, 25, 110, 24, 23, 22, 26, 112, 243, 130},
        "left eye": set(EYE_LEFT) | {467, 260, 259, 257, 258, 286, 414, 255, 339, 254, 253, 252, 256, 341, 463, 359},
    }
    brows = {"right brow": set(BROW_RIGHT), "left brow": set(BROW_LEFT)}
    oval = set(FACE_OVAL)
    taken = lips | oval | set().union(*eyes.values(), *brows.values())
    nose = set(_near(4, 6, 195, 197, 98, 327, radius_m=0.017)) - taken
    chin = {v for v in range(VERTEX_COUNT) if CANONICAL[v, 1] < -0.052 and abs(CANONICAL[v, 0]) < 0.035} - taken - nose
    forehead = {v for v in range(VERTEX_COUNT) if CANONICAL[v, 1] > 0.042} - taken - nose
    taken |= nose | chin | forehead
    cheeks = {
        side: {v for v in range(VERTEX_COUNT) if CANONICAL[v, 0] * sign > 0} - taken
        for side, sign in (("right cheek", -1), ("left cheek", 1))
    }
    between = set(range(VERTEX_COUNT)) - taken - set().union(*cheeks.values())
    named = {
        "mouth": lips, **brows, **eyes, "nose": nose | between, **cheeks, "chin": chin, "forehead": forehead,
        "oval": oval,
    }  # fmt: skip
    return MappingProxyType({name: tuple(sorted(members)) for name, members in named.items()})


REGIONS = tuple(_regions())
"""Names of the regions; together they hold every vertex once."""


def region(name: str) -> tuple[int, ...]:
    """Vertices of a region, ascending. Raises `VocabularyError` for a name not in `REGIONS`."""
    try:
        return _regions()[name]
    except KeyError:
        raise VocabularyError(f"unknown face region {name!r}; allowed: {', '.join(REGIONS)}") from None


def mirror(points: np.ndarray) -> np.ndarray:
    """Reflect faces, (…, 468, 3), about the midline: left becomes right, in the same vertex order."""
    return np.asarray(points)[..., MIRROR, :] * np.array([-1.0, 1.0, 1.0])


def edges(triangles: np.ndarray = TRIANGLES) -> np.ndarray:
    """Unique edges of the triangles, (E, 2), each with its lower index first."""
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    return np.unique(np.sort(pairs, axis=1), axis=0)


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray = TRIANGLES) -> np.ndarray:
    """Unit outward normals of a mesh, (468, 3), each the area-weighted mean of its triangles' normals."""
    corners = vertices[triangles]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    np.add.at(normals, triangles.ravel(), np.repeat(face, 3, axis=0))
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def vertex_areas(vertices: np.ndarray, triangles: np.ndarray = TRIANGLES) -> np.ndarray:
    """A third of the area of every triangle that a vertex belongs to, (468,) m²."""
    corners = vertices[triangles]
    area = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return np.bincount(triangles.ravel(), np.repeat(area / 3, 3), minlength=len(vertices))
