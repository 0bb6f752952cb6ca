"""The skin's fast map: port displacements to vertices and port forces in tens of microseconds.

Exact linear response plus a fitted correction: the port displacements are projected on a few directions,
quadratic and cubic terms of these drive modes of what the nonlinear reference adds to the linear map. At rest
the map has the sheet's exact tangent; how far it is off elsewhere stands in `FastSkin.figures`, measured on
poses that took no part in the fit. `skin_fit` makes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, ModelFileError
from .skin_elastic import Membrane

Array = NDArray[np.floating]
_VERSION = 1


@dataclass(frozen=True, eq=False)
class FastSkin:
    """A fitted skin on M moving ports; further ports of the sheet are held still.

    rest (V, 3) m; triangles (T, 3); ports: the M moving vertices, in the order of every array of ports.
    basis (3M, R): u · basis are the port coordinates, of unit rms in the fit, largest motion first.
    coefficients (F, m + n): features of the first coordinates → m vertex and n force modes.
    vertex_modes (R + m, 3V) m, force_modes (R + n, 3M) N: the linear response, then the correction's modes.
    range_m (M,): largest displacement of each port in the fit; beyond it the map extrapolates.
    figures: held-out errors, see `skin_fit.evaluate`.
    """

    rest: Array
    triangles: NDArray[np.int64]
    ports: NDArray[np.int64]
    basis: NDArray[np.float32]
    coefficients: NDArray[np.float32]
    vertex_modes: NDArray[np.float32]
    force_modes: NDArray[np.float32]
    range_m: Array
    figures: Mapping[str, float]

    def vertices(self, u: Array) -> Array:
        """Vertices (…, V, 3) m for displacements (…, M, 3) m of the moving ports, which are met exactly."""
        flat = self._flat(u)
        coordinates, correction = self._coordinates(flat)
        weights = np.concatenate([coordinates, correction[:, : self._vertex_mode_count]], axis=1)
        result = (weights @ self.vertex_modes).reshape(len(flat), -1, 3) + self.rest
        result[:, self.ports] = self._rest_of_ports + flat.reshape(len(flat), -1, 3)
        return result.reshape(*np.shape(u)[:-2], *self.rest.shape)

    def at(self, places: tuple[int, ...], u: Array) -> Array:
        """Some of the vertices, (n, P, 3) m, for displacements (n, M, 3) m; quicker than all of them."""
        flat = self._flat(u)
        coordinates, correction = self._coordinates(flat)
        weights = np.concatenate([coordinates, correction[:, : self._vertex_mode_count]], axis=1)
        modes, rest, ported, port = self._at(places)
        result = (weights @ modes).reshape(len(flat), -1, 3) + rest
        result[:, ported] = self._rest_of_ports[port] + flat.reshape(len(flat), -1, 3)[:, port]
        return result

    def forces(self, u: Array) -> Array:
        """Forces with which the skin pushes its moving ports, (…, M, 3) N, for displacements (…, M, 3) m."""
        flat = self._flat(u)
        coordinates, correction = self._coordinates(flat)
        weights = np.concatenate([coordinates, correction[:, self._vertex_mode_count :]], axis=1)
        return (weights @ self.force_modes).reshape(np.shape(u)).astype(float)

    def stretch(self, vertices: Array) -> Array:
        """Largest principal stretch of every triangle, (…, T), 1 at rest, for vertices (…, V, 3)."""
        return self._membrane.principal_stretch(vertices)[..., 0]

    def save(self, file: str | Path | IO[bytes]) -> None:
        """Write the map as a compressed `.npz` of plain arrays."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        names, values = list(self.figures), np.array(list(self.figures.values()), float)
        np.savez_compressed(file, version=_VERSION, figure_names=np.array(names, "U"), figure_values=values, **arrays)

    @classmethod
    def load(cls, file: str | Path | IO[bytes]) -> "FastSkin":
        """Read a map that `save` wrote; raises ModelFileError for a file that is missing or is none."""
        try:
            with np.load(file, allow_pickle=False) as data:
                version = int(data["version"])
                if version != _VERSION:
                    raise ModelFileError(f"{file}: fitted skin, version {version}; wanted {_VERSION}; fit it anew")
                figures = dict(zip(data["figure_names"].tolist(), data["figure_values"].tolist(), strict=True))
                return cls(**{name: data[name] for name in _ARRAYS}, figures=figures)
        except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
            raise ModelFileError(f"{file} is no fitted skin ({error}); fit one or give another path") from error

    def _flat(self, u: Array) -> Array:
        u = np.asarray(u)
        if u.shape[-2:] != (len(self.ports), 3):
            raise InputError(f"port displacements must be (…, {len(self.ports)}, 3) metres, got shape {u.shape}")
        return u.reshape(-1, 3 * len(self.ports))

    def _coordinates(self, flat: Array) -> tuple[Array, Array]:
        coordinates = flat.astype(np.float32) @ self.basis
        return coordinates, features(coordinates[:, : self._feature_width]) @ self.coefficients

    def _at(self, places: tuple[int, ...]) -> tuple[Array, Array, NDArray[np.int64], NDArray[np.int64]]:
        """Modes and rest of some vertices; which of these are ports, and which ports they are."""
        if places not in self._known_places:
            modes = self.vertex_modes.reshape(len(self.vertex_modes), -1, 3)[:, list(places)]
            met = [(k, int(np.flatnonzero(self.ports == v)[0])) for k, v in enumerate(places) if v in self.ports]
            ported, port = np.array(met, int).reshape(-1, 2).T
            self._known_places[places] = modes.reshape(len(modes), -1), self.rest[list(places)], ported, port
        return self._known_places[places]

    @cached_property
    def _known_places(self) -> dict[tuple[int, ...], tuple]:
        return {}

    @cached_property
    def _feature_width(self) -> int:
        count = len(self.coefficients)  # of features: k (k + 1) / 2 + 2 k
        return round((np.sqrt(25 + 8 * count) - 5) / 2)

    @cached_property
    def _vertex_mode_count(self) -> int:
        return len(self.vertex_modes) - self.basis.shape[1]

    @cached_property
    def _rest_of_ports(self) -> Array:
        return self.rest[self.ports]

    @cached_property
    def _membrane(self) -> Membrane:
        return Membrane.of(self.rest, self.triangles, 1.0, 0.5, 1.0)


_ARRAYS = (
    "rest",
    "triangles",
    "ports",
    "basis",
    "coefficients",
    "vertex_modes",
    "force_modes",
    "range_m",
)


def features(coordinates: Array) -> Array:
    """Terms of second and third order in port coordinates, (n, k) → (n, k (k + 1) / 2 + 2 k).

    All products of two, then z |z| and z³; none has a linear part, so they leave the tangent at rest alone.
    """
    first, second = _pairs(coordinates.shape[1])
    square = coordinates * np.abs(coordinates)
    cube = coordinates * coordinates * coordinates
    return np.concatenate([coordinates[:, first] * coordinates[:, second], square, cube], axis=1)


_PAIRS: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}


def _pairs(width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if width not in _PAIRS:
        _PAIRS[width] = np.triu_indices(width)
    return _PAIRS[width]
