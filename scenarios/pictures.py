"""Pictures for the report: the robot rendered after the loop, the person cut out around the face, both side by side."""

import io
import logging
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..sim.errors import GraphicsError
from ..sim.robot.render import FaceRenderer
from .console import progress
from .take import Moment, picture

STILL_PX = 720
"""Edge of the square pictures of a photo's report."""
MOVING_PX = 400
"""Edge of the square pictures of a video's report."""
_FACE_SHARE = 0.58
_ROBOT_FOVY_DEG = 21.0
"""How much of the picture the face takes: the share of its height for the person, the lens for the robot."""
_FRAME_SIGMA = 3.0
"""The cut around a moving person follows the face smoothly, over this many moments."""

_log = logging.getLogger(__name__)


def robot_pictures(moments: Sequence[Moment], skin: str, *, still: bool) -> list[np.ndarray]:
    """Render the robot as it was in each moment, square RGB pictures; an empty list where OpenGL cannot be had."""
    size = STILL_PX if still else MOVING_PX
    try:
        with (
            FaceRenderer(skin, width_px=size, height_px=size, fovy_deg=_ROBOT_FOVY_DEG, still=still) as renderer,
            progress() as bar,
        ):
            return [
                renderer.image(m.robot_m, head_pose=m.head_pose, gaze_rad=m.gaze_rad)
                for m in bar.track(moments, description="drawing the robot")
            ]
    except GraphicsError as error:
        _log.warning("the report has no pictures of the robot: %s", error)
        return []


def person_pictures(moments: Sequence[Moment], size_px: int) -> list[np.ndarray]:
    """Cut the person out around the face, square RGB pictures of `size_px`, as far as the frame reaches."""
    corners = np.array([(m.landmarks_px[:, :2].min(0), m.landmarks_px[:, :2].max(0)) for m in moments], float)
    height, width = picture(moments[0].person_jpeg).shape[:2]
    side = min(float(np.median(corners[:, 1, 1] - corners[:, 0, 1])) / _FACE_SHARE, height, width)
    centres = np.clip(_smooth(corners.mean(1)), side / 2, [width - side / 2, height - side / 2])
    return [_cut(picture(m.person_jpeg), centre, side, size_px) for m, centre in zip(moments, centres, strict=True)]


def side_by_side(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Two pictures of one height in one, with a thin white gap."""
    gap = np.full((left.shape[0], max(4, left.shape[1] // 60), 3), 255, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def png(rgb: np.ndarray) -> bytes:
    """A picture, (H, W, 3) uint8, as a PNG file."""
    return _encode([rgb], "PNG")


def moving(pictures: Sequence[np.ndarray], times_s: Sequence[float]) -> bytes:
    """Pictures as one animated WebP file that takes as long as they did."""
    gaps = np.diff(times_s)
    shown_ms = np.round(1e3 * np.r_[gaps, gaps[-1:]]).astype(int).clip(10)
    return _encode(pictures, "WEBP", save_all=True, duration=shown_ms.tolist(), loop=0, quality=70, method=2)


def spread(count: int, moments: Sequence[Moment]) -> list[int]:
    """Up to `count` places, evenly spread over the moments, each moved to the liveliest face nearby."""
    if len(moments) <= count:
        return list(range(len(moments)))
    rest = np.median([m.robot_m for m in moments], axis=0)
    life = np.array([np.linalg.norm(m.robot_m - rest, axis=1).mean() for m in moments])
    bounds = np.linspace(0, len(moments), count + 1).round().astype(int)
    return [int(low + life[low:high].argmax()) for low, high in pairwise(bounds)]


def _smooth(path: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(path, _FRAME_SIGMA, axis=0, mode="nearest") if len(path) > 1 else path


def _cut(rgb: np.ndarray, centre: np.ndarray, side: float, size_px: int) -> np.ndarray:
    import cv2

    scale = size_px / side
    onto = np.array([[scale, 0, size_px / 2 - scale * centre[0]], [0, scale, size_px / 2 - scale * centre[1]]])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.warpAffine(
        rgb, onto, (size_px, size_px), flags=method, borderMode=cv2.BORDER_CONSTANT, borderValue=(128, 128, 128)
    )


def _encode(pictures: Sequence[np.ndarray], kind: str, **options: object) -> bytes:
    from PIL import Image

    first, *others = (Image.fromarray(p) for p in pictures)
    stream = io.BytesIO()
    first.save(stream, kind, **({"append_images": others} | options if others else options))
    return stream.getvalue()
