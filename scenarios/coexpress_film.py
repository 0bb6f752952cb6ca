"""A filmed person as a scene of `duchenne coexpress`: faces by MediaPipe, acts found in how her face moves."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..sim.camera import Face, FaceReader, Neutral
from ..sim.errors import FaceError
from ..sim.frames import Frame, open_frames
from ..sim.mesh import VERTEX_COUNT
from ..sim.person.encounter import STEADY, Shown, arrival_s, intensity
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
_LEAST_MM = 1.0
"""Mean landmark motion, within an act, of the weakest that counts."""
_LEAST_SHARE = 0.35
"""…and of the strongest act's."""
_APART_S, _SMOOTH_S = 0.8, 0.08
_BEGUN = 0.1
_KEPT_PX = 720
_FACE_SHARE = 0.66


def filmed(source: str, seconds: float) -> Scene:
    """The first seconds of a film, or of a camera by its number.

    Raises `FaceError` if too few frames show exactly one face, `InputError` for a source that cannot be opened.
    """
    times, pictures, faces = [], [], []
    with (
        FaceReader() as reader,
        open_frames(int(source) if source.isdecimal() else source) as frames,
        progress() as bar,
    ):
        total = None if frames.count is None else min(frames.count, int(seconds * frames.fps))
        for frame in bar.track(_until(frames, seconds), total=total, description="watching her"):
            small, scale = _shrunk(frame.rgb)
            face = reader.read(frame.rgb, frame.time_s).face
            times.append(frame.time_s)
            pictures.append((jpeg(small), None if face is None else face.landmarks_px[:, :2] * scale))
            faces.append(face)
        name, notes = frames.name, [frames.problem] if frames.problem else []
    return _scene(name, np.array(times), pictures, faces, notes)


def _until(frames, seconds: float) -> Iterator[Frame]:
    for frame in frames:
        if frame.time_s > seconds:
            return
        yield frame


def _scene(name: str, times_s: Array, pictures: list, faces: list[Face | None], notes: list[str]) -> Scene:
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
    """The `MOST_ACTS` clearest expressions in a face's motion: (F,) s and (F, 468, 3) m."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    rate_hz = 1 / max(float(np.median(np.diff(times_s))), 1e-3)
    smooth_m = gaussian_filter1d(face_m, _SMOOTH_S * rate_hz, axis=0, mode="nearest")
    size_mm = 1e3 * np.linalg.norm(smooth_m[:, STEADY], axis=2).mean(1)
    padded = np.concatenate([[size_mm.min()], size_mm, [size_mm.min()]])  # a film may end in an expression
    peaks, found = find_peaks(padded, prominence=_LEAST_MM, distance=max(1, round(_APART_S * rate_hz)))
    peaks, prominence = peaks - 1, found["prominences"]
    kept = prominence >= _LEAST_SHARE * prominence.max(initial=0)
    best = sorted(peaks[kept][np.argsort(-prominence[kept])][:MOST_ACTS])
    bounds = [0, *(low + int(size_mm[low:high].argmin()) for low, high in pairwise(best)), len(times_s) - 1]
    acts = []
    for apex, first, last in zip(best, bounds, bounds[1:], strict=False):
        course, when = intensity(smooth_m[first : last + 1], smooth_m[apex]), times_s[first : last + 1]
        begins = first + int(course[: apex - first + 1].argmin())
        rise = (course[begins - first : apex - first + 1] - course[begins - first]).clip(0)
        if apex - begins < 2:
            continue
        onset = arrival_s(times_s[begins : apex + 1], rise, _BEGUN)
        strong = np.flatnonzero(course >= 0.9)
        acts.append(
            Shown(
                what=EXPRESSION, kind="", intensity=1.0, drive_s=onset, onset_s=onset,
                arrival_s=arrival_s(when[begins - first :], course[begins - first :]), apex_s=float(times_s[apex]),
                release_s=float(when[strong[-1]]), end_s=float(when[strong[-1]]), apex_m=smooth_m[apex],
            )
        )  # fmt: skip
    return tuple(acts)


def _shrunk(rgb: np.ndarray) -> tuple[np.ndarray, float]:
    import cv2

    scale = min(1.0, _KEPT_PX / max(rgb.shape[:2]))
    return (rgb if scale == 1 else cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)), scale


def _cut_out(pictures: list, frames: Sequence[int], size_px: int) -> list[np.ndarray]:
    """Her face from each frame, square; the cut stands still, so that only her face moves."""
    import cv2

    marks = np.array([marks for _, marks in pictures if marks is not None])
    low, high = np.median(marks.min(1), 0), np.median(marks.max(1), 0)
    side = float((high - low).max()) / _FACE_SHARE
    left, top = 0.5 * (low + high) - side / 2
    onto = np.array([[size_px / side, 0, -left * size_px / side], [0, size_px / side, -top * size_px / side]])
    return [
        cv2.warpAffine(
            picture(pictures[k][0]), onto, (size_px, size_px), flags=cv2.INTER_AREA, borderValue=(128, 128, 128)
        )
        for k in frames
    ]


__all__ = ["CAMERA_DELAY_S", "EXPRESSION", "MOST_ACTS", "filmed", "found_acts"]
