"""The eye of the package: a picture goes in, a face with landmarks, blendshapes and pose, or "no face",
comes out.

MediaPipe's face landmarker does the seeing, one picture at a time without memory (its video mode smooths,
and so distorts what is measured): the same picture always gives the same numbers.
"""

import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from .alignment import align, metric_face
from .errors import FaceError, GraphicsError, InputError, ModelFileError
from .facs import BLENDSHAPES
from .frames import Frame, FrameSource, open_frames
from .mesh import IRIS_LEFT, IRIS_RIGHT, LANDMARK_COUNT, REGIONS, TRIANGLES, VERTEX_COUNT, region
from .model_file import model_path

__all__ = [
    "Face", "FaceReader", "Frame", "FrameSource", "Neutral", "Sighting",
    "align", "gaze", "head_angles", "model_path", "open_frames",
]  # fmt: skip

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Face:
    """One face as the camera sees it. Left and right are the subject's."""

    landmarks_px: np.ndarray
    """(478, 3): x to the right and y down in the picture, z depth in the same unit, away from the camera."""
    aligned_m: np.ndarray
    """(478, 3) m: the landmarks in the face frame, without pose and scale; a fixed point of `align`."""
    blendshapes: np.ndarray
    """(52,) in 0…1, in the order of `facs.BLENDSHAPES`."""
    pose: np.ndarray
    """(4, 4), face frame → camera (m; +x right in the picture, +y up, looking along −z); its scale is 1."""
    confidence: dict[str, float]
    """For each of `mesh.REGIONS` the share of its skin, 0…1, that faces the camera and is in the picture:
    geometry alone. A hand, hair or a mask over the face cannot be known: the tracker draws over it."""


@dataclass(frozen=True, eq=False)
class Sighting:
    """What came of looking at one picture: a face, or else a problem, "no face" or "2 faces"."""

    time_s: float
    face: Face | None
    problem: str = ""

    def require(self) -> Face:
        """The face. Raises `FaceError` with the problem if there is none."""
        if self.face is None:
            raise FaceError(f"{self.problem} in the picture at {self.time_s:.2f} s; show exactly one, well lit")
        return self.face


class FaceReader:
    """MediaPipe's face landmarker on single pictures; a context manager, to be used by one thread at a time.

    `model` is the path of the model file; left out, it is found or fetched (see `model_file.model_path`).
    Raises `ModelFileError` for a missing or wrong file, `GraphicsError` if a system library that MediaPipe
    needs is absent.
    """

    def __init__(self, model: Path | None = None):
        path = model_path(model)
        with _native_messages_to_log():
            # Imported late: it is slow to load and talks while it does.
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision

            options = vision.FaceLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=str(path), delegate=BaseOptions.Delegate.CPU),
                running_mode=vision.RunningMode.IMAGE,
                num_faces=2,  # to notice a second one
                output_face_blendshapes=True,
            )
            try:
                self._landmarker: Any = vision.FaceLandmarker.create_from_options(options)
            except OSError as error:
                raise GraphicsError(
                    f"MediaPipe cannot load its library: {error}; on Debian, Ubuntu: install libegl1 libgles2"
                ) from error
            except (RuntimeError, ValueError) as error:
                raise ModelFileError(f"MediaPipe cannot load {path}: {error}") from error
        self._image = mediapipe.Image
        self._rgb = mediapipe.ImageFormat.SRGB

    def __enter__(self) -> "FaceReader":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of MediaPipe; a second call does nothing."""
        if self._landmarker is not None:
            self._landmarker.close()
            self._landmarker = None

    def read(self, rgb: np.ndarray, time_s: float = 0.0) -> Sighting:
        """Look for the face in a picture, (H, W, 3) uint8 RGB.

        None or several faces are a value, not an error. Raises `InputError` for anything that is not such a
        picture, or after `close`.
        """
        if self._landmarker is None:
            raise InputError("this FaceReader is closed; make a new one")
        if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
            got = f"{rgb.dtype} {rgb.shape}" if isinstance(rgb, np.ndarray) else type(rgb).__name__
            raise InputError(f"picture is {got}; wanted a uint8 array (height, width, 3), red first")
        if rgb.size == 0:
            raise InputError(f"picture is empty: shape {rgb.shape}")
        found = self._look(rgb) or self._search(rgb)
        if len(found) != 1:
            return Sighting(time_s, None, f"{len(found)} faces" if found else "no face")
        height_px, width_px, _ = rgb.shape
        return Sighting(time_s, _face(*found[0], width_px, height_px))

    def _look(self, rgb: np.ndarray, x_px: int = 0, y_px: int = 0) -> "list[_Found]":
        """The faces in one view of the picture, which begins at (x_px, y_px)."""
        seen = self._landmarker.detect(self._image(image_format=self._rgb, data=np.ascontiguousarray(rgb)))
        unit = np.array([rgb.shape[1], rgb.shape[0], rgb.shape[1]])
        found = []
        for marks, shapes in zip(seen.face_landmarks, seen.face_blendshapes, strict=True):
            landmarks = np.array([(p.x, p.y, p.z) for p in marks]) * unit + [x_px, y_px, 0]
            scores = np.array([shape.score for shape in shapes], dtype=float)
            if landmarks.shape != (LANDMARK_COUNT, 3) or scores.shape != (len(BLENDSHAPES),):
                raise ModelFileError(f"the model gave {len(landmarks)} landmarks and {len(scores)} blendshapes")
            found.append((landmarks, scores))
        return found

    def _search(self, rgb: np.ndarray) -> "list[_Found]":
        """Look closer: the detector sees the whole at 128 pixels and misses a face below a sixth of that."""
        height, width, _ = rgb.shape
        for share in (1.0, 0.6):
            side = round(share * min(height, width))
            found: list[_Found] = []
            for y, x in ((y, x) for y in _steps(height, side) for x in _steps(width, side)):
                for new in self._look(rgb[y : y + side, x : x + side], x, y):
                    if not any(_same(new, old) for old in found):
                        found.append(new)
            if len(found) == 1:  # once more with the face in the middle: near an edge it is read badly
                (x, y, _), size = _place(found[0])
                left, top = max(0, round(x - 1.5 * size)), max(0, round(y - 1.5 * size))
                right, bottom = round(x + 1.5 * size), round(y + 1.5 * size)
                centred = self._look(rgb[top:bottom, left:right], left, top)
                return centred if len(centred) == 1 else found
            if found:
                return found
        return []


_Found = tuple[np.ndarray, np.ndarray]
"""Landmarks (478, 3) px and blendshapes (52,)."""


def _steps(length: int, side: int) -> list[int]:
    """Where windows of `side` begin that cover `length` and overlap by a third."""
    count = 1 + int(np.ceil((length - side) / (side * 2 / 3)))
    return [round(start) for start in np.linspace(0, length - side, count)]


def _place(found: _Found) -> tuple[np.ndarray, float]:
    landmarks, _ = found
    return landmarks.mean(0), float(np.ptp(landmarks[:, :2], axis=0).max())


def _same(one: _Found, other: _Found) -> bool:
    (a, size), (b, _) = _place(one), _place(other)
    return bool(np.linalg.norm((a - b)[:2]) < 0.5 * size)


def _face(landmarks_px: np.ndarray, scores: np.ndarray, width_px: int, height_px: int) -> Face:
    screen = landmarks_px / [width_px, height_px, width_px]
    aligned, pose = metric_face(screen, width_px, height_px)
    return Face(landmarks_px, aligned, scores, pose, _confidence(aligned, pose, screen))


# --- confidence -------------------------------------------------------------------------------------------

_WELL_FACING = np.cos(np.radians(60))
# How much of each triangle (columns) belongs to each region (rows): a third for every corner.
_SHARES = np.stack([np.isin(TRIANGLES, region(name)).mean(1) for name in REGIONS])


def _confidence(aligned_m: np.ndarray, pose: np.ndarray, screen: np.ndarray) -> dict[str, float]:
    """How much of each region's skin, by area, faces the camera and lies inside the picture, 0…1.

    A triangle counts in full when its normal is at most 60° off the line to the camera, then less with the
    cosine of that angle down to nothing at 90°; a corner outside the picture takes a third away. Skin
    behind the nose counts as seen.
    """
    in_camera = pose[:3, :3] @ aligned_m[:VERTEX_COUNT].T + pose[:3, 3:]
    a, b, c = (in_camera[:, corners] for corners in TRIANGLES.T)
    (ux, uy, uz), (vx, vy, vz) = b - a, c - a
    normal = np.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx])
    area = np.sqrt((normal * normal).sum(0)) + 1e-12
    cosine = -(normal * a).sum(0) / (area * np.sqrt((a * a).sum(0)))  # the camera is at the origin
    x, y = screen[:VERTEX_COUNT, 0], screen[:VERTEX_COUNT, 1]
    inside = ((x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)).astype(float)
    visible = np.clip(cosine / _WELL_FACING, 0.0, 1.0) * inside[TRIANGLES].sum(1) / 3
    share = (_SHARES @ (area * visible)) / (_SHARES @ area)
    return dict(zip(REGIONS, share.tolist(), strict=True))


# --- gaze and head ----------------------------------------------------------------------------------------

_EYES = ((IRIS_RIGHT[0], 33, 133), (IRIS_LEFT[0], 263, 362))
"""Iris centre, outer and inner corner, of the right and the left eye."""
_EYEBALL_PER_FISSURE = 0.4
"""Radius of the eyeball over the distance between an eye's corners: 12 mm over 30 mm in adults."""

_IRIS_ABOVE_CORNERS = 0.1
"""How far, in eyeball radii, the iris of an eye that looks straight ahead stands above the midpoint of its
corners: a bit more than 1 mm. Median over the portrait and a few people who look at the camera."""


def gaze(face: Face) -> np.ndarray:
    """Direction in which each eye looks, relative to the head: (2, 2) rad.

    Rows right and left eye; columns yaw (+ towards the subject's left) and pitch (+ up). Approximate: the
    eyeball is a sphere of average size whose middle sits behind the midpoint of the eye's corners, and the
    iris landmark is its pole. Expect a constant offset of some 5° that belongs to the person, and a gain that
    is right within a third; take the gaze of a neutral face away where it matters.
    """
    angles = np.empty((2, 2))
    for row, (iris, outer, inner) in enumerate(_EYES):
        corners = face.aligned_m[[outer, inner]]
        radius = _EYEBALL_PER_FISSURE * np.linalg.norm(corners[0] - corners[1])
        offset = (face.aligned_m[iris] - corners.mean(0))[:2] / radius - [0.0, _IRIS_ABOVE_CORNERS]
        angles[row] = np.arcsin(np.clip(offset, -1.0, 1.0))
    return angles


def head_angles(pose: np.ndarray) -> np.ndarray:
    """Yaw (+ to the subject's left), pitch (+ chin up) and roll (+ to the left shoulder), (3,) rad.

    `pose`, (4, 4), may have a scale; its rotation is taken apart in the order of the robot's neck: yaw, pitch, roll.
    """
    rotation = pose[:3, :3] / np.cbrt(np.linalg.det(pose[:3, :3]))
    forward = rotation[:, 2]
    return np.array(
        [
            np.arctan2(forward[0], forward[2]),
            np.arcsin(np.clip(forward[1], -1, 1)),
            np.arctan2(-rotation[1, 0], rotation[1, 1]),
        ]
    )


# --- neutral ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Neutral:
    """A person's face at rest, from which expressions are measured.

    What the tracker reports is off by a constant of several pixels but repeatable to a fraction of one, so
    motion from the person's own neutral is far better known than position.
    """

    aligned_m: np.ndarray
    """(478, 3) m, as in `Face`."""
    blendshapes: np.ndarray
    """(52,)."""
    gaze_rad: np.ndarray
    """(2, 2), as `gaze` gives it."""
    frames: tuple[int, ...]
    """Which of the faces it was taken from, as positions in the sequence."""

    @classmethod
    def from_faces(cls, faces: Sequence[Face], *, first: int | None = None) -> "Neutral":
        """Median over the first `first` faces; left out, over the calmest tenth (at least 5) of a whole
        sequence.

        Calm means little motion from one frame to the next and weak blendshapes, ranked and added: a held
        smile does not move, and a face in passing may score low. With one face the neutral is that face.

        Raises `InputError` without faces.
        """
        if not faces or (first is not None and first < 1):
            raise InputError("a neutral face needs at least one frame with a face")
        chosen = range(len(faces))[:first] if first is not None else _calmest(faces)
        picked = [faces[i] for i in chosen]
        return cls(
            aligned_m=align(np.median([face.aligned_m for face in picked], axis=0)),
            blendshapes=np.median([face.blendshapes for face in picked], axis=0),
            gaze_rad=np.median([gaze(face) for face in picked], axis=0),
            frames=tuple(chosen),
        )

    def displacement(self, face: Face) -> np.ndarray:
        """Motion of each landmark from neutral, (478, 3) m, in the face frame."""
        return face.aligned_m - self.aligned_m


# Blinks and glances say nothing about how neutral a face is.
_EXPRESSIVE = np.array([not name.startswith(("_", "eyeLook", "eyeBlink")) for name in BLENDSHAPES])


def _calmest(faces: Sequence[Face]) -> list[int]:
    aligned = np.array([face.aligned_m for face in faces])
    step = np.sqrt(np.mean(np.diff(aligned, axis=0) ** 2, axis=(1, 2)))
    motion = np.fmax(np.append(step, np.nan), np.append(np.nan, step)) if len(faces) > 1 else np.zeros(1)
    strength = np.array([face.blendshapes for face in faces])[:, _EXPRESSIVE].sum(1)
    rank = motion.argsort().argsort() + strength.argsort().argsort()
    keep = max(5, len(faces) // 10)
    return sorted(np.argsort(rank, kind="stable")[:keep].tolist())


# --- MediaPipe's chatter ----------------------------------------------------------------------------------

_stderr_lock = threading.Lock()


@contextmanager
def _native_messages_to_log() -> Iterator[None]:
    """While MediaPipe starts, send what its C++ writes to standard error to this module's log instead."""
    with _stderr_lock, tempfile.TemporaryFile() as caught:
        sys.stderr.flush()
        try:
            kept = os.dup(2)
        except OSError:  # no standard error, nothing to quieten
            yield
            return
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            for line in caught.read().decode(errors="replace").splitlines():
                _log.debug("mediapipe: %s", line)
