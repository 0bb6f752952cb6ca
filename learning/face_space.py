"""A few numbers that say what a face does: the components in which simulated people's faces move.

A face, (468, 3) m from rest, becomes K coordinates in mm: their norm is the rms motion of its landmarks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..sim import mesh
from ..sim.errors import InputError

Array = NDArray[np.floating]

_WIDTH = 3 * mesh.VERTEX_COUNT
_PER_MM = 1e3 / np.sqrt(mesh.VERTEX_COUNT)


@dataclass(frozen=True, eq=False)
class FaceSpace:
    """Principal components of face motion, orthonormal rows (K, 1404)."""

    basis: Array

    def __post_init__(self) -> None:
        if self.basis.ndim != 2 or self.basis.shape[1] != _WIDTH:
            raise InputError(f"basis: got shape {self.basis.shape}; allowed is (K, {_WIDTH})")

    @classmethod
    def fit(cls, parts_m: Iterable[ArrayLike], components: int) -> "FaceSpace":
        """The components that hold most of the motion of faces from rest, in parts (n, 468, 3) m; rest is no motion."""
        count, moment = 0, np.zeros((_WIDTH, _WIDTH))
        for part in parts_m:
            rows = np.asarray(part, np.float32).reshape(-1, _WIDTH)
            count, moment = count + len(rows), moment + rows.T @ rows
        if count < components:
            raise InputError(f"{components} components need as many faces, got {count}")
        _, vectors = np.linalg.eigh(moment)
        return cls(np.ascontiguousarray(vectors[:, ::-1][:, :components].T.astype(np.float32)))

    def __len__(self) -> int:
        return len(self.basis)

    def encode(self, faces_m: ArrayLike) -> Array:
        """Coordinates (…, K) mm, float32, of faces (…, 468, 3) m."""
        faces = np.asarray(faces_m, np.float32)
        return faces.reshape(*faces.shape[:-2], _WIDTH) @ self._into

    def decode(self, coordinates_mm: ArrayLike) -> Array:
        """Faces (…, 468, 3) m of coordinates (…, K) mm."""
        coordinates = np.asarray(coordinates_mm)
        return (coordinates @ self._out).reshape(*coordinates.shape[:-1], mesh.VERTEX_COUNT, 3)

    @cached_property
    def mirrored(self) -> Array:
        """Coordinates of the mirrored face are coordinates @ this, (K, K)."""
        return self.encode(mesh.mirror(self.decode(np.eye(len(self)))))

    @cached_property
    def _into(self) -> Array:
        return np.ascontiguousarray((self.basis * _PER_MM).T.astype(np.float32))

    @cached_property
    def _out(self) -> Array:
        return (self.basis / _PER_MM).astype(np.float32)


__all__ = ["FaceSpace"]
