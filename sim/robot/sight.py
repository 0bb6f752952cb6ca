"""What an eye before a robot makes of its surface: landmarks, gaze and the turn of its head.

`TrackerEye` draws a picture and lets MediaPipe find the face in it. `PlainEye` is the cheaper stand-in: the true
landmarks, with the scatter that the tracker was measured to have.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from .. import mesh
from ..alignment import align
from ..camera import FaceReader, gaze, head_angles
from .render import FaceRenderer

NOISE_M: dict[str, float] = {"mouth": 0.18e-3, "brow": 0.25e-3, "eye": 0.19e-3, "nose": 0.29e-3, "chin": 0.44e-3}
"""Scatter of MediaPipe's landmarks from look to look, by region: over 40 small turns of one rendered head, of 205 px
between the eyes. Elsewhere as its mean, `_NOISE_ELSEWHERE_M`; in depth it is *unknown* and taken to be the same."""
_NOISE_ELSEWHERE_M = 0.23e-3
_NOISE_RAD = 0.03
"""Of gaze and head, from look to look; the tracker's head is 1-3° off."""


@dataclass(frozen=True, eq=False)
class Surface:
    """What light shows of a robot: vertices (468, 3) m in the head frame, head_pose (4, 4), gaze_rad (2, 2)."""

    vertices_m: np.ndarray
    head_pose: np.ndarray
    gaze_rad: np.ndarray


@dataclass(frozen=True, eq=False)
class Look:
    """What an eye made of it. landmarks_m (468, 3), aligned. gaze_rad (2, 2), rows right and left eye, yaw and pitch.

    head_rad (3,): yaw to the subject's left, pitch up, roll to the left shoulder.
    """

    landmarks_m: np.ndarray
    gaze_rad: np.ndarray
    head_rad: np.ndarray


class Eye(Protocol):
    """Sees surfaces."""

    def see(self, surface: Surface) -> Look | None:
        """One look; None if it found no face."""
        ...


class PlainEye:
    """Sees every vertex where it is, with noise from `rng`; None is no noise."""

    def __init__(self, rng: np.random.Generator | None = None):
        self._rng = rng
        self._noise_m = noise_m()[:, None]

    def see(self, surface: Surface) -> Look:
        points, gaze_rad = align(surface.vertices_m), surface.gaze_rad
        head_rad = head_angles(surface.head_pose)
        if self._rng is not None:
            points = points + self._noise_m * self._rng.standard_normal(points.shape)
            gaze_rad = gaze_rad + _NOISE_RAD * self._rng.standard_normal(gaze_rad.shape)
            head_rad = head_rad + _NOISE_RAD * self._rng.standard_normal(head_rad.shape)
        return Look(points, gaze_rad, head_rad)


class TrackerEye:
    """A camera and MediaPipe behind it; a context manager. `skin` and other arguments as of `FaceRenderer`."""

    def __init__(self, skin: str = "porcelain", **camera: float):
        self._renderer, self._reader = FaceRenderer(skin, **camera), FaceReader()  # pyright: ignore[reportArgumentType]

    def see(self, surface: Surface) -> Look | None:
        return self.read(self.picture(surface))

    def read(self, picture: np.ndarray) -> Look | None:
        """A look at any picture, (H, W, 3) uint8; the head's turn is as from this eye's own camera."""
        face = self._reader.read(picture).face
        if face is None:
            return None
        head_rad = head_angles(self._renderer.camera_pose @ face.pose)
        return Look(face.aligned_m[: mesh.VERTEX_COUNT], gaze(face), head_rad)

    def picture(self, surface: Surface) -> np.ndarray:
        """What the tracker gets, (H, W, 3) uint8."""
        return self._renderer.image(surface.vertices_m, head_pose=surface.head_pose, gaze_rad=surface.gaze_rad)

    def close(self) -> None:
        """Give camera and tracker back."""
        self._renderer.close()
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def noise_m() -> np.ndarray:
    """Scatter of each landmark, (468,) m per coordinate."""
    scatter = np.full(mesh.VERTEX_COUNT, _NOISE_ELSEWHERE_M)
    for name in mesh.REGIONS:
        scatter[list(mesh.region(name))] = NOISE_M.get(name.split()[-1], _NOISE_ELSEWHERE_M)
    return scatter


__all__ = ["NOISE_M", "Eye", "Look", "PlainEye", "Surface", "TrackerEye", "noise_m"]
