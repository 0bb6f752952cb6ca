"""Pictures of a simulated person, from the same renderer as the robot's.

with Portrait("chestnut") as portrait:
    picture = portrait.image(vertices_m)
"""

from collections.abc import Sequence

import numpy as np

from .. import mesh
from ..errors import InputError
from ..robot.render import FaceRenderer
from .looks import LOOKS, Look, look_named
from .wardrobe import person_dress

__all__ = ["LOOKS", "Portrait"]


class Portrait(FaceRenderer):
    """A camera in front of a person; a context manager that owns one OpenGL context.

    `look` is one of `LOOKS` or a `Look`; `rest_m` (468, 3) m the person's face at rest. Faces are drawn at one size,
    whatever the person's, since a camera cannot tell size from distance. With `folds` the skin creases where the
    face presses it together. Everything else is as in `FaceRenderer`.

    Raises `VocabularyError` for an unknown look, `InputError`, `GraphicsError` where OpenGL cannot be had.
    """

    def __init__(
        self,
        look: str | Look = "chestnut",
        *,
        rest_m: np.ndarray = mesh.REST,
        width_px: int = 480,
        height_px: int = 480,
        folds: bool = True,
        still: bool = False,
        distance_m: float = 0.8,
        elevation_deg: float = 9.0,
        fovy_deg: float = 24.0,
    ):
        self.look = look_named(look) if isinstance(look, str) else look
        rest = np.asarray(rest_m, float)
        if rest.shape != mesh.REST.shape or not np.isfinite(rest).all():
            raise InputError(f"rest_m must be {mesh.REST.shape} and finite, got shape {rest.shape}")
        self._size = float(np.linalg.norm(rest[33] - rest[263])) / mesh.OUTER_EYE_DISTANCE_M
        rest = rest / self._size
        super().__init__(
            person_dress(self.look, rest, folds=folds),
            rest_m=rest,
            width_px=width_px,
            height_px=height_px,
            still=still,
            distance_m=distance_m,
            elevation_deg=elevation_deg,
            fovy_deg=fovy_deg,
        )

    def image(
        self, vertices_m: np.ndarray, *, head_pose: np.ndarray | None = None, gaze_rad: np.ndarray | None = None
    ) -> np.ndarray:
        """Picture of a face (468, 3) m: (height, width, 3) uint8 RGB. Arguments and errors as in `FaceRenderer`."""
        return super().image(np.asarray(vertices_m, float) / self._size, head_pose=head_pose, gaze_rad=gaze_rad)

    def project(self, points_m: np.ndarray, head_pose: np.ndarray | None = None) -> np.ndarray:
        """Where points (…, 3) m of the head frame fall in the picture: (…, 2) px, as in `FaceRenderer`."""
        return super().project(np.asarray(points_m, float) / self._size, head_pose)

    def strip(self, faces_m: np.ndarray, gaze_rad: np.ndarray | None = None) -> np.ndarray:
        """Faces (n, 468, 3) m side by side, (height, n · width, 3) uint8. gaze_rad: (n, 2, 2), as in `image`."""
        gazes: Sequence = [None] * len(faces_m) if gaze_rad is None else list(gaze_rad)
        pictures = [self.image(face, gaze_rad=gaze) for face, gaze in zip(faces_m, gazes, strict=True)]
        return np.concatenate(pictures, axis=1)
