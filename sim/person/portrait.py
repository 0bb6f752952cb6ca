"""Pictures of a simulated person, from the same renderer as the robot's.

with Portrait("chestnut") as portrait:
    picture = portrait.image(vertices_m)
"""

from collections.abc import Sequence

import numpy as np

from ..robot.render import FaceRenderer
from .looks import LOOKS, Look, look_named
from .wardrobe import person_dress

__all__ = ["LOOKS", "Portrait"]


class Portrait(FaceRenderer):
    """A camera in front of a person; a context manager that owns one OpenGL context.

    `look` is one of `LOOKS` or a `Look`. With `folds` the skin creases where the face compresses it (2 ms a
    picture). Everything else is as in `FaceRenderer`: `image` draws, `project` says where points fall.

    Raises `VocabularyError` for an unknown look, `GraphicsError` where OpenGL cannot be had.
    """

    def __init__(
        self,
        look: str | Look = "chestnut",
        *,
        width_px: int = 480,
        height_px: int = 480,
        folds: bool = True,
        still: bool = False,
        distance_m: float = 0.8,
        elevation_deg: float = 6.0,
        fovy_deg: float = 24.0,
    ):
        self.look = look_named(look) if isinstance(look, str) else look
        super().__init__(
            person_dress(self.look, folds=folds),
            width_px=width_px,
            height_px=height_px,
            still=still,
            distance_m=distance_m,
            elevation_deg=elevation_deg,
            fovy_deg=fovy_deg,
        )

    def strip(self, faces_m: np.ndarray, gaze_rad: np.ndarray | None = None) -> np.ndarray:
        """Faces (n, 468, 3) m side by side, (height, n · width, 3) uint8. gaze_rad: (n, 2, 2), as in `image`."""
        gazes: Sequence = [None] * len(faces_m) if gaze_rad is None else list(gaze_rad)
        pictures = [self.image(face, gaze_rad=gaze) for face, gaze in zip(faces_m, gazes, strict=True)]
        return np.concatenate(pictures, axis=1)
