"""Colours for the skin of a face in motion: how active the muscles under it are, or how much it is stretched."""

from collections.abc import Sequence

import numpy as np

from ..sim import mesh
from ..sim.errors import VocabularyError
from ..sim.person import chart
from ..sim.person.anatomy import ANATOMY, MUSCLE_NAMES, MUSCLES

SKIN = (205, 170, 150)
"""Colour of skin where nothing happens, red, green, blue."""
ACTIVE = (94, 15, 110)
SHORTER, LONGER = (0, 90, 178), (213, 94, 0)
"""Full activity; full compression and full stretch (blue and vermilion, told apart by every kind of eye)."""
FULL_STRAIN = 0.3
_ENTHESIS_MM = 3.0


def activity(activation: np.ndarray, muscles: Sequence[str]) -> np.ndarray:
    """How active the most active muscle near each vertex is, (T, 468) 0…1.

    activation: (T, M) 0…1, muscles: their M names as in `anatomy.MUSCLE_NAMES`. Raises `VocabularyError`.
    """
    weights = nearness(muscles)
    found = np.zeros((len(activation), mesh.VERTEX_COUNT), np.float32)
    for weight, active in zip(weights.T, np.asarray(activation, np.float32).T, strict=True):
        reached = np.flatnonzero(weight > 0.02)
        found[:, reached] = np.maximum(found[:, reached], active[:, None] * weight[reached])
    return found.clip(0, 1)


def nearness(muscles: Sequence[str]) -> np.ndarray:
    """How much each vertex lies over each muscle, (468, M): 1 on its fibres, falling beyond its width."""
    unknown = [name for name in muscles if name not in MUSCLE_NAMES]
    if unknown:
        raise VocabularyError(f"unknown muscle {unknown[0]!r}; allowed: {', '.join(MUSCLE_NAMES)}")
    places = chart.unroll(mesh.REST)
    by_name = {entry.muscle: entry.fibres for entry in ANATOMY}
    weights = np.zeros((mesh.VERTEX_COUNT, len(muscles)))
    for column, name in enumerate(muscles):
        muscle, side = MUSCLES[MUSCLE_NAMES.index(name)]
        fibres = by_name[muscle]
        for strip in range(len(fibres.strips)):
            away = _distance(places, fibres.course_mm(strip, side)) - fibres.width_mm / 2
            weights[:, column] = np.maximum(
                weights[:, column], np.exp(-((np.maximum(away, 0) / (2 * _ENTHESIS_MM)) ** 2))
            )
    return weights


def strain(faces_m: np.ndarray, rest_m: np.ndarray = mesh.REST) -> np.ndarray:
    """The larger principal strain of the skin around each vertex, (T, 468): + stretched, − compressed.

    faces_m: (T, 468, 3), rest_m: (468, 3), both m.
    """
    inverse = np.linalg.inv(_frames(rest_m))
    count = np.bincount(mesh.TRIANGLES.ravel(), minlength=mesh.VERTEX_COUNT).clip(1)
    found = np.zeros((len(faces_m), mesh.VERTEX_COUNT))
    for k, face in enumerate(faces_m):
        stretches = np.linalg.svd(_frames(face) @ inverse, compute_uv=False) - 1
        larger = np.where(np.abs(stretches[:, 0]) > np.abs(stretches[:, 1]), stretches[:, 0], stretches[:, 1])
        found[k] = np.bincount(mesh.TRIANGLES.ravel(), np.repeat(larger, 3), mesh.VERTEX_COUNT) / count
    return found


def activity_colours(values: np.ndarray) -> np.ndarray:
    """Activity 0…1 as colours, (…, 3) uint8."""
    return _blend(np.clip(values, 0, 1), ACTIVE)


def strain_colours(values: np.ndarray) -> np.ndarray:
    """Strain as colours, (…, 3) uint8; full colour at `FULL_STRAIN`."""
    share = np.clip(np.asarray(values) / FULL_STRAIN, -1, 1)
    return np.where(share[..., None] < 0, _blend(-share.clip(-1, 0), SHORTER), _blend(share.clip(0, 1), LONGER))


def _blend(share: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    share = np.asarray(share, np.float32)[..., None]
    return np.round((1 - share) * np.array(SKIN, np.float32) + share * np.array(colour, np.float32)).astype(np.uint8)


def _distance(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Least distance of points (n, 2) from a polyline (k, 2)."""
    start, along = line[:-1], np.diff(line, axis=0)
    offset = points[:, None] - start
    share = ((offset * along).sum(-1) / (along**2).sum(-1).clip(1e-9)).clip(0, 1)
    return np.linalg.norm(offset - share[..., None] * along, axis=-1).min(1)


def _frames(face_m: np.ndarray) -> np.ndarray:
    """Each triangle's two edges in its own plane, (n, 2, 2), columns the edges."""
    a, b, c = (face_m[mesh.TRIANGLES[:, k]] for k in range(3))
    first, second = b - a, c - a
    length = np.linalg.norm(first, axis=1).clip(1e-9)
    along = (first * second).sum(1) / length
    across = np.sqrt(((second**2).sum(1) - along**2).clip(1e-18))
    return np.stack([np.stack([length, along], -1), np.stack([np.zeros_like(length), across], -1)], 1)
