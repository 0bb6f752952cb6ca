"""Where a face is: MediaPipe's weighted Procrustes alignment to the canonical face, and its metric space.

The arithmetic is that of MediaPipe's face geometry module (`geometry_pipeline.cc`, `procrustes_solver.cc`),
in double precision. A face *aligned* in this way has no pose and no scale left; every landmark comparison
in this package, and the published rows of the Emo robot, live in that space.
"""

import numpy as np

from .errors import InputError
from .mesh import CANONICAL, LANDMARK_COUNT, PROCRUSTES_WEIGHTS, VERTEX_COUNT

VERTICAL_FOV_RAD = np.radians(63.0)
"""Opening angle of the virtual camera that MediaPipe supposes; the true camera's is not known to it."""

_BASIS = np.flatnonzero(PROCRUSTES_WEIGHTS)
_WEIGHTS = PROCRUSTES_WEIGHTS[_BASIS] / PROCRUSTES_WEIGHTS.sum()
_SOURCE_CENTRE = _WEIGHTS @ CANONICAL[_BASIS]
_SOURCE = (CANONICAL[_BASIS] - _SOURCE_CENTRE) * _WEIGHTS[:, None]
_SOURCE_POWER = float(np.sum(_SOURCE * (CANONICAL[_BASIS] - _SOURCE_CENTRE)))
_CM = 0.01


def align(points: np.ndarray) -> np.ndarray:
    """Remove pose and scale: the similarity that lays faces over the canonical one.

    `points` is (…, 468 or 478, 3) in any unit and any right-handed frame; the result has its shape, in
    metres in the face frame. The fit uses MediaPipe's 33 weighted vertices and, as there, takes the
    canonical face to the points and inverts that; hence `align(align(x)) == align(x)` to rounding.

    Raises `InputError` for a wrong shape, a number that is not finite, or points that all coincide.
    """
    faces = np.asarray(points, dtype=float)
    if faces.ndim < 2 or faces.shape[-1] != 3 or faces.shape[-2] not in (VERTEX_COUNT, LANDMARK_COUNT):
        raise InputError(f"faces have shape {faces.shape}; wanted (…, {VERTEX_COUNT}, 3) or (…, {LANDMARK_COUNT}, 3)")
    basis = faces[..., _BASIS, :]
    if not np.isfinite(basis).all():
        raise InputError("faces hold numbers that are not finite; drop those frames first")
    rotation, scale, shift = _fit(basis)
    return (faces - shift[..., None, :]) @ rotation / scale[..., None, None]


def metric_face(screen: np.ndarray, width_px: int, height_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Turn MediaPipe's normalised landmarks into an aligned metric face and its pose, as MediaPipe does.

    `screen` is (478, 3) or (468, 3): x and y in 0…1 of the picture from its top left, z in units of the
    picture's width. Returns the aligned landmarks (same shape, m, face frame) and the pose (4, 4) that
    takes them into the camera's frame (m; +x right in the picture, +y up, looking along −z). The scale in
    the pose is 1 within rounding: MediaPipe puts a face of canonical size where it would look as large as
    this one, so the distance is right only for an average face and a camera of 63° vertical opening. The
    aligned shape, too, depends on that camera and on the face's place and size in the picture: by some mm in
    ordinary clips, 10 mm for a small face in a corner. `align(landmarks_px * [1, -1, -1])`, which supposes a
    lens of infinite length, does not, and leaves less head motion in the face; but it is not what MediaPipe
    and the published robot data use.
    """
    height = 2 * np.tan(VERTICAL_FOV_RAD / 2)
    width = height * width_px / height_px
    # On the near plane, which is at 1 cm and where z counts from the face's mean depth.
    near = screen * [width, -height, width] + [-width / 2, height / 2, 0.0]
    near[:, 2] += 1.0 - near[:VERTEX_COUNT, 2].mean()
    basis = near[_BASIS]

    # First estimate the scale on the near plane, since depth is not known yet; then unproject and repeat.
    first = _fit(basis * [_CM, _CM, -_CM])[1]
    second = _fit(_unproject(basis, first))[1]
    in_camera = _unproject(near, first * second)
    rotation, scale, shift = _fit(in_camera[_BASIS])
    pose = np.eye(4)
    pose[:3, :3] = scale * rotation
    pose[:3, 3] = shift
    return (in_camera - shift) @ rotation / scale, pose


def _unproject(near: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """From the near plane, cm and left-handed, into the camera's frame, m and right-handed."""
    depth = near[:, 2:] / scale
    return np.concatenate([near[:, :2] * depth, -depth], axis=1) * _CM


def _fit(target: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotation (…, 3, 3), scale (…) and shift (…, 3) that best take the canonical basis to `target` (…, 33,
    3).

    Weighted orthogonal problem of Akca 2003, § 2.4, with reflections ruled out.
    """
    left, spread, right = np.linalg.svd(np.swapaxes(target, -1, -2) @ _SOURCE)
    if np.any(spread[..., 0] <= 1e-12 * np.abs(target).max(initial=0.0) * np.abs(_SOURCE).max()):
        raise InputError("the points of a face coincide; it has no size or pose")
    mirrored = np.linalg.det(left) * np.linalg.det(right) < 0
    left[..., :, 2] *= np.where(mirrored, -1.0, 1.0)[..., None]
    rotation = left @ right
    spread[..., 2] *= np.where(mirrored, -1.0, 1.0)
    scale = spread.sum(-1) / _SOURCE_POWER
    if np.any(scale <= 0):
        raise InputError("a face has no positive scale; its points do not look like a face")
    shift = _WEIGHTS @ target - scale[..., None] * (rotation @ _SOURCE_CENTRE)
    return rotation, scale, shift
