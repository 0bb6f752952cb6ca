"""The row of faces in the picture of a recording: rendered, or as line drawings, each near its time."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from ..sim import mesh
from ..sim.errors import GraphicsError, VocabularyError
from ..sim.recording import Recording
from . import show_signals as signals

INK, QUIET, PALE = "#1a1a1a", "#6b6b6b", "#c9c9c9"
_PICTURE_PX = 280
_FOVY_DEG = 17.5
_HALF_M = 0.1
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Portrayed:
    """A face to show: when, its vertices (468, 3) m and, if it could be rendered, its picture."""

    time_s: float
    vertices_m: np.ndarray
    picture: np.ndarray | None = None

    def draw(self, axes: Axes) -> None:
        """Fill axes with it."""
        axes.axis("off")
        if self.picture is not None:
            axes.imshow(self.picture, interpolation="lanczos", aspect="auto")
        else:
            _lines(axes, self.vertices_m)


def portrayed(recording: Recording, span_s: tuple[float, float], most: int, look: str | None) -> list[Portrayed]:
    """At most so many faces of a recording, in order: one for each expression, or spread over the time.

    look: how the rendered person looks, one of `person.looks.LOOKS`; None gives line drawings, and so does a machine
    without OpenGL.
    """
    found = signals.faces_m(recording)
    if found is None:
        return []
    times, faces = found
    parts = signals.stretches(signals.spans(recording.events), span_s, most)
    picked = sorted({k for k in signals.moments(times, faces, parts) if k is not None})
    pictures = _rendered([faces[k] for k in picked], look) or [None] * len(picked)
    return [Portrayed(float(times[k]), faces[k], picture) for k, picture in zip(picked, pictures, strict=True)]


def places(wanted: np.ndarray, apart: float, room: float) -> np.ndarray:
    """Middles of pictures `apart` wide in a row of `room`, in order, without overlap, as near as can be to the wanted
    ones (least squares, by pooling neighbours that collide)."""
    steps = np.arange(len(wanted)) * apart
    pools: list[tuple[float, int]] = []
    for value in wanted - steps:
        mean, count = float(value), 1
        while pools and pools[-1][0] > mean:
            before, more = pools.pop()
            mean, count = (before * more + mean * count) / (more + count), more + count
        pools.append((mean, count))
    fitted = np.concatenate([[mean] * count for mean, count in pools])
    return np.clip(fitted, apart / 2, max(room - apart / 2 - steps[-1], apart / 2)) + steps


def _rendered(faces: Sequence[np.ndarray], look: str | None) -> list[np.ndarray]:
    if look is None or not faces:
        return []
    from ..sim.person.portrait import Portrait

    try:
        with Portrait(look, width_px=_PICTURE_PX, height_px=_PICTURE_PX, fovy_deg=_FOVY_DEG) as portrait:
            return [portrait.image(face) for face in faces]
    except (GraphicsError, VocabularyError) as error:
        _log.warning("the faces are line drawings: %s", error)
        return []


def _lines(axes: Axes, vertices_m: np.ndarray) -> None:
    flat = (vertices_m - vertices_m.mean(0))[:, :2]
    edges = np.unique(np.sort(mesh.TRIANGLES[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0)
    axes.add_collection(LineCollection(list(flat[edges]), colors=PALE, linewidths=0.4))
    for loop in (mesh.LIPS_OUTER, mesh.LIPS_INNER, mesh.EYE_RIGHT, mesh.EYE_LEFT, mesh.FACE_OVAL):
        axes.plot(*flat[[*loop, loop[0]]].T, color=INK, lw=0.8)
    for brow in (mesh.BROW_RIGHT, mesh.BROW_LEFT):
        axes.plot(*flat[list(brow[:5])].T, color=INK, lw=1.4)
    axes.set_xlim(-_HALF_M, _HALF_M)
    axes.set_ylim(-_HALF_M, _HALF_M)
