"""A filmed person as a scene of `duchenne coexpress`: faces by MediaPipe, acts found in how her face moves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..learning.peak_activation import Apex, apexes
from ..sim.camera import Face, FaceReader, Neutral
from ..sim.errors import FaceError
from ..sim.frames import Frame, FrameSource, open_frames
from ..sim.mesh import VERTEX_COUNT
from ..sim.person.encounter import ARRIVED, STEADY, Shown, arrival_s, intensity
from .coexpress_scene import Scene
from .console import progress
from .take import jpeg, picture

Array = NDArray[np.floating]

NEUTRAL_FRAMES = 5
"""Her face at rest is the median of the first five frames, as in the Emo paper."""
CAMERA_DELAY_S = 0.08
"""From a picture to its landmarks, as for simulated people; in a film it is *unknown*."""
MOST_ACTS = 3
EXPRESSION = "expression"
_LEAST_RISE_M = 0.5e-3
"""Mean landmark motion of the weakest expression that counts."""
_CALM_S, _LONGEST_RISE_S = 0.4, 1.5
"""A film begins with her face at rest; whatever rises for longer is no expression."""
_KEPT_PX = 720
_FACE_SHARE = 0.66


@dataclass(frozen=True, eq=False, kw_only=True)
class Kept:
    """A picture of her: when it was taken, a small JPEG of it, and the face in it with its marks (478, 2) px there."""

    time_s: float
    jpeg: bytes
    marks_px: Array | None
    face: Face | None


def kept(frame: Frame, face: Face | None, offset_s: float = 0.0) -> Kept:
    """What is kept of a frame; `offset_s` is added to its time."""
    small, scale = _shrunk(frame.rgb)
    marks = None if face is None else face.landmarks_px[:, :2] * scale
    return Kept(time_s=frame.time_s + offset_s, jpeg=jpeg(small), marks_px=marks, face=face)


def filmed(source: str, seconds: float) -> Scene:
    """The first seconds of a film.

    Raises `FaceError` if too few frames show exactly one face, `InputError` for a file that cannot be read.
    """
    with FaceReader() as reader, open_frames(source) as frames, progress() as bar:
        total = None if frames.count is None else min(frames.count, int(seconds * frames.fps))
        pictures = [
            kept(frame, reader.read(frame.rgb, frame.time_s).face)
            for frame in bar.track(_until(frames, seconds), total=total, description="watching her")
        ]
        notes = [frames.problem] if frames.problem else []
    return scene_of(Path(frames.name).name, pictures, notes)


def _until(frames: FrameSource, seconds: float) -> Iterator[Frame]:
    for frame in frames:
        if frame.time_s > seconds:
            return
        yield frame


def scene_of(name: str, pictures: Sequence[Kept], notes: Sequence[str] = ()) -> Scene:
    """Pictures of somebody as a scene. Raises `FaceError` if too few of them show exactly one face."""
    faces, times_s = [one.face for one in pictures], np.array([one.time_s for one in pictures])
    there = [k for k, face in enumerate(faces) if face is not None]
    if len(there) < 2 * NEUTRAL_FRAMES:
        raise FaceError(
            f"{len(there)} of the {len(faces)} frames of {name} show exactly one face; {2 * NEUTRAL_FRAMES} or more "
            "are needed: one face, well lit and turned to the camera"
        )
    known = [face for face in faces if face is not None]
    rest_m = Neutral.from_faces(known[:NEUTRAL_FRAMES]).aligned_m[:VERTEX_COUNT]
    aligned_m = np.array([face.aligned_m[:VERTEX_COUNT] for face in known])
    between = np.array([np.interp(times_s, times_s[there], one) for one in aligned_m.reshape(len(there), -1).T]).T
    mesh_m = between.reshape(-1, VERTEX_COUNT, 3)
    face_m = mesh_m - rest_m
    seen = [None if face is None else face_m[k] for k, face in enumerate(faces)]
    if len(there) < len(faces):
        notes = [*notes, f"{len(faces) - len(there)} of {len(faces)} frames do not show exactly one face."]
    return Scene(
        source=name,
        senses="a film",
        times_s=times_s,
        seen=seen,
        face_m=face_m,
        mesh_m=mesh_m,
        camera_delay_s=CAMERA_DELAY_S,
        acts=found_acts(times_s, face_m),
        draw=lambda frames, size_px: _cut_out(pictures, frames, size_px),
        filmed=True,
        notes=(*notes, f"Her expressions are measured from the first {NEUTRAL_FRAMES} frames."),
    )


def found_acts(times_s: Array, face_m: Array) -> tuple[Shown, ...]:
    """The `MOST_ACTS` clearest expressions in a face's motion, in order: (F,) s and (F, 468, 3) m."""
    rate_hz = 1 / max(float(np.median(np.diff(times_s))), 1e-3)
    found = [
        one for one in apexes(face_m, rate_hz, rest=np.zeros_like(face_m[0]), weight=STEADY) if _quick(one, times_s)
    ]
    size_m = np.linalg.norm(face_m[:, STEADY], axis=2).mean(1)
    rises_m = [float(size_m[one.apex] - size_m[one.onset]) for one in found]
    best = sorted(np.argsort(rises_m)[::-1][:MOST_ACTS])
    return tuple(_act(found[k], times_s, face_m) for k in best if rises_m[k] >= _LEAST_RISE_M)


def _quick(one: Apex, times_s: Array) -> bool:
    """Whether something is an expression that somebody could join in; a face that drifts is none."""
    return times_s[one.onset] > _CALM_S and times_s[one.arrival] - times_s[one.onset] <= _LONGEST_RISE_S


def _act(one: Apex, times_s: Array, face_m: Array) -> Shown:
    apex_m = np.median(face_m[max(one.apex - 1, 0) : one.apex + 2], axis=0)
    course = intensity(face_m[one.onset :], apex_m)
    gone = np.flatnonzero(course[one.apex - one.onset :] < ARRIVED)
    release = one.apex + (int(gone[0]) if len(gone) else len(times_s) - 1 - one.apex)
    return Shown(
        what=EXPRESSION, kind="", intensity=1.0, drive_s=float(times_s[one.onset]), onset_s=float(times_s[one.onset]),
        arrival_s=arrival_s(times_s[one.onset : release + 1], course[: release - one.onset + 1]),
        apex_s=float(times_s[one.apex]), release_s=float(times_s[release]), end_s=float(times_s[release]),
        apex_m=apex_m,
    )  # fmt: skip


def _shrunk(rgb: np.ndarray) -> tuple[np.ndarray, float]:
    import cv2

    scale = min(1.0, _KEPT_PX / max(rgb.shape[:2]))
    return (rgb if scale == 1 else cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)), scale


def _cut_out(pictures: Sequence[Kept], frames: Sequence[int], size_px: int) -> list[np.ndarray]:
    """Her face from each frame, square; the cut stands still, so that only her face moves."""
    import cv2

    marks = np.array([one.marks_px for one in pictures if one.marks_px is not None])
    low, high = np.median(marks.min(1), 0), np.median(marks.max(1), 0)
    side = float((high - low).max()) / _FACE_SHARE
    left, top = 0.5 * (low + high) - side / 2
    onto = np.array([[size_px / side, 0, -left * size_px / side], [0, size_px / side, -top * size_px / side]])
    return [
        cv2.warpAffine(
            picture(pictures[k].jpeg), onto, (size_px, size_px), flags=cv2.INTER_AREA, borderValue=(128, 128, 128)
        )
        for k in frames
    ]


__all__ = [
    "CAMERA_DELAY_S",
    "EXPRESSION",
    "MOST_ACTS",
    "NEUTRAL_FRAMES",
    "Kept",
    "filmed",
    "found_acts",
    "kept",
    "scene_of",
]
