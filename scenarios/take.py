"""One performance: what the person did, what the robot was told and what it showed.

Commands go to `commands.csv` as they are sent, so that an interruption loses none. Faces and pictures are kept for
an evenly spread selection of frames only: a long video must not fill the memory.
"""

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

import numpy as np

from ..sim.camera import Face, align
from ..sim.errors import InputError
from ..sim.mesh import REGIONS, VERTEX_COUNT, region
from ..sim.robot.face import FaceState
from ..sim.robot.servo import SERVO_NAMES

MEASURED_REGIONS = tuple(name for name in REGIONS if name != "oval")
"""The face's outline is left out of the mean error: the tracker guesses it."""
_REGION_VERTICES = [list(region(name)) for name in REGIONS]
_PICTURE_PX = 720
_MM = 1e3


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame of the person with the robot's answer to it."""

    time_s: float
    person_jpeg: bytes
    landmarks_px: np.ndarray
    """(478, 3), in the pixels of `person_jpeg`."""
    person_m: np.ndarray
    """Aligned landmarks of the person, (468, 3)."""
    robot_m: np.ndarray
    """The robot's skin in its head frame, (468, 3)."""
    head_pose: np.ndarray
    gaze_rad: np.ndarray
    command: np.ndarray
    error_mm: np.ndarray
    """For each of `mesh.REGIONS`."""


@dataclass
class Album:
    """At most `size` moments, evenly spread: when it is full, every second one goes and the stride doubles."""

    size: int = 120
    moments: list[Moment] = field(default_factory=list)
    _stride: int = 1
    _offered: int = 0

    def due(self) -> bool:
        """Whether the next moment is one to keep. Call once for each."""
        due = self._offered % self._stride == 0
        self._offered += 1
        return due

    def add(self, moment: Moment) -> None:
        self.moments.append(moment)
        if len(self.moments) > self.size:
            self.moments = self.moments[::2]
            self._stride *= 2


class Take:
    """The record of one run; a context manager. `folder` gets `commands.csv` with the first command."""

    def __init__(self, folder: Path, source: str, kind: Literal["photo", "video", "camera"], robot_rest_m: np.ndarray):
        self.folder, self.source, self.kind = folder, source, kind
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"cannot write to the folder {folder}: {error.strerror}; choose another with --out"
            ) from error
        self.frames = self.faces = self.rejected = 0
        self.problems: dict[str, int] = {}
        """Why frames had no face to mirror, and how often."""
        self.notes: list[str] = []
        """What a reader of the report should know."""
        self.failure = ""
        """Why the run ended before its time, or empty."""
        self.wall_s = 0.0
        self.album = Album()
        self.times_s: list[float] = []
        self.commands: list[np.ndarray] = []
        self.latencies_ms: list[float] = []
        self.error_times_s: list[float] = []
        self.errors_mm: list[np.ndarray] = []
        self.motions_mm: list[np.ndarray] = []
        self._rest = align(robot_rest_m)
        self._stream: TextIO | None = None
        self._csv: Any = None

    def __enter__(self) -> "Take":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files; what was recorded stays readable."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    @property
    def commands_csv(self) -> Path:
        return self.folder / "commands.csv"

    def sent(self, time_s: float, command: np.ndarray) -> None:
        """Record a command, (26,), that the robot was sent."""
        if self._stream is None:
            self._stream = self.commands_csv.open("w", newline="", buffering=1)
            self._csv = csv.writer(self._stream)
            self._csv.writerow(["time_s", *SERVO_NAMES])
        self._csv.writerow([f"{time_s:.4f}", *(f"{value:.5f}" for value in command)])
        self.times_s.append(time_s)
        self.commands.append(command)

    def no_face(self, problem: str) -> None:
        """Record a frame that showed no face, or several."""
        self.frames += 1
        self.problems[problem] = self.problems.get(problem, 0) + 1

    def compare(self, time_s: float, state: FaceState, wanted_motion_m: np.ndarray) -> np.ndarray:
        """Error of the robot's face by region, (regions,) mm.

        `wanted_motion_m`, (468, 3), is how far each landmark should be from rest; the robot's own motion is taken
        from its rest, too, so that the tracker's constant bias does not count.
        """
        shown = align(state.vertices_m) - self._rest
        error = np.linalg.norm(shown - wanted_motion_m, axis=1)
        motion = np.linalg.norm(wanted_motion_m, axis=1)
        by_region = np.array([error[v].mean() for v in _REGION_VERTICES]) * _MM
        self.error_times_s.append(time_s)
        self.errors_mm.append(by_region)
        self.motions_mm.append(np.array([motion[v].mean() for v in _REGION_VERTICES]) * _MM)
        return by_region

    def figures(self) -> dict[str, float]:
        """Named numbers about the run."""
        figures: dict[str, float] = {"frames": self.frames, "faces": self.faces}
        if self.kind != "photo":
            figures["frames_per_s"] = self.frames / self.wall_s if self.wall_s else np.nan
        figures["safe_fraction"] = 1 - self.rejected / self.faces if self.faces else np.nan
        if self.latencies_ms:
            figures["landmarks_to_command_ms"] = float(np.median(self.latencies_ms))
            figures["landmarks_to_command_p95_ms"] = float(np.percentile(self.latencies_ms, 95))
        for name, error, motion in self.by_region():
            if name in MEASURED_REGIONS:
                figures[f"error_{name.replace(' ', '_')}_mm"] = error
                figures[f"motion_{name.replace(' ', '_')}_mm"] = motion
        if self.errors_mm:
            figures["landmark_error_mm"], figures["landmark_motion_mm"] = self.overall_mm()
        return figures

    def by_region(self) -> list[tuple[str, float, float]]:
        """Region, mean error and mean wanted motion, mm, over all compared frames."""
        if not self.errors_mm:
            return []
        return list(
            zip(
                REGIONS,
                np.mean(self.errors_mm, axis=0).tolist(),
                np.mean(self.motions_mm, axis=0).tolist(),
                strict=True,
            )
        )

    def overall_mm(self) -> tuple[float, float]:
        """Mean error and mean wanted motion over the vertices of `MEASURED_REGIONS`."""
        weights = np.array(
            [len(v) if n in MEASURED_REGIONS else 0 for n, v in zip(REGIONS, _REGION_VERTICES, strict=True)]
        )
        error, motion = np.mean(self.errors_mm, axis=0), np.mean(self.motions_mm, axis=0)
        return float(error @ weights / weights.sum()), float(motion @ weights / weights.sum())


def moment(
    time_s: float, rgb: np.ndarray, face: Face, state: FaceState, command: np.ndarray, error_mm: np.ndarray
) -> Moment:
    """Gather what the report and the recording show of one frame; `rgb`, (H, W, 3) uint8, is shrunk and compressed."""
    import cv2

    scale = min(1.0, _PICTURE_PX / max(rgb.shape[:2]))
    if scale < 1:
        rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return Moment(
        time_s=time_s,
        person_jpeg=jpeg(rgb),
        landmarks_px=(face.landmarks_px * scale).astype(np.float32),
        person_m=face.aligned_m[:VERTEX_COUNT].astype(np.float32),
        robot_m=state.vertices_m.astype(np.float32),
        head_pose=state.head_pose,
        gaze_rad=state.gaze_rad,
        command=command,
        error_mm=error_mm,
    )


def jpeg(rgb: np.ndarray, quality: int = 88) -> bytes:
    """Compress a picture, (H, W, 3) uint8."""
    import cv2

    done, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise InputError(f"cannot compress a picture of shape {rgb.shape}")
    return data.tobytes()


def picture(data: bytes) -> np.ndarray:
    """The picture, (H, W, 3) uint8 RGB, that `jpeg` compressed."""
    import cv2

    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.ascontiguousarray(bgr[..., ::-1])
