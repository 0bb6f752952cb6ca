"""Blinks taken out of a face: they belong to the person's eyes, say nothing of her mood and are over in no time."""

from collections import deque
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..sim.alignment import align
from ..sim.mesh import REST, VERTEX_COUNT, region
from ..sim.person.person import unit_shapes
from ..sim.person.repertoire import unit_index

Array = NDArray[np.floating]

BLINK_S = 0.36
"""Closing and opening again; blinks in the wild last 0.1 … 0.4 s."""
_EYES = tuple(list(region(f"{side} eye")) for side in ("right", "left"))


class Lids:
    """Remembers how far the eyes were closed, so that only what lasts longer than a blink counts as closed."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, Array]] = deque()

    def watch(self, time_s: float, face_m: Array) -> Array:
        """Look at the face of now, (468, 3) m: how far each eye, right and left, has been closed for a while, (2,)."""
        self._recent.append((time_s, closure(face_m)))
        while self._recent[0][0] < time_s - BLINK_S:
            self._recent.popleft()
        return np.min([closed for _, closed in self._recent], axis=0)


def closure(face_m: Array) -> Array:
    """How far the right and the left eye of a face (468, 3) m are closed, (2,): 0 as at rest, 1 in a blink."""
    return np.array([face_m[eye].ravel() @ one for eye, one in zip(_EYES, _blinks()[1], strict=True)])


def without_closure(face_m: Array, allowed: Array) -> Array:
    """A face (468, 3) m whose right and left eye are closed no further than `allowed`, (2,), or than at rest."""
    excess = np.maximum(closure(face_m) - np.maximum(allowed, 0.0), 0.0)
    return face_m - (excess @ _blinks()[0]).reshape(VERTEX_COUNT, 3) if excess.any() else face_m


@cache
def _blinks() -> tuple[Array, Array]:
    """What closing each eye does to the face, (2, 468 · 3), and the direction of its lids that measures it, (2, n)."""
    blinks = align(REST + unit_shapes()[unit_index("AU45")].astype(float)) - align(REST)
    lids = np.array([blink[eye].ravel() for blink, eye in zip(blinks, _EYES, strict=True)])
    return blinks.reshape(2, -1), lids / (lids**2).sum(1, keepdims=True)


__all__ = ["BLINK_S", "Lids", "closure", "without_closure"]
