"""Pictures from a photo, a video file, a camera or arrays, as one kind of stream.

with open_frames("clip.mp4") as source:
    for frame in source: ...
    if source.problem: ...      # the file broke off; the frames before that are good
"""

import logging
import os
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np

from .errors import InputError

PORTRAIT = "portrait"
"""Name of the built-in picture: the portrait of an astronaut that scikit-image ships (NASA, public
domain)."""
DEFAULT_FPS = 25.0

_log = logging.getLogger(__name__)
Kind = Literal["photo", "video", "camera"]


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture: its number from 0, the time since the first one, and (H, W, 3) uint8 RGB."""

    index: int
    time_s: float
    rgb: np.ndarray


def open_frames(source: str | Path | int | np.ndarray, *, fps: float = DEFAULT_FPS) -> "FrameSource":
    """Open anything that holds pictures.

    `source` is the path of a photo or a video; "portrait" for the built-in picture; a camera as a number,
    "camera" (the first one) or "camera:1"; or an array (H, W, 3) or (time, H, W, 3), uint8 RGB. `fps` dates
    the frames of arrays, and of files that do not say when their frames were taken.

    Raises `InputError`, and says why, for a file that is missing or is neither a picture nor a video, a
    camera that does not answer, or an array of another kind.
    """
    if not fps > 0 or not np.isfinite(fps):
        raise InputError(f"fps is {fps}; it must be positive")
    if isinstance(source, np.ndarray):
        return _from_array(source, fps)
    if isinstance(source, int):
        return _Camera(int(source), fps)
    name = os.fspath(source)
    if match := re.fullmatch(r"camera(?::(\d+))?", name):
        return _Camera(int(match[1] or 0), fps)
    if name == PORTRAIT:
        from skimage.data import astronaut

        return _Stills("photo", PORTRAIT, astronaut()[None], fps)
    path = Path(name).expanduser()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {what}; give a photo, a video, {PORTRAIT!r}, 'camera' or 'camera:N'")
    if (picture := _read_photo(path)) is not None:
        return _Stills("photo", str(path), picture[None], fps)
    return _Video(path, fps)


class FrameSource(ABC):
    """A stream of frames; a context manager. Files and arrays can be iterated again from the start."""

    kind: Kind
    name: str
    fps: float
    """Nominal frames a second."""
    count: int | None
    """How many frames there should be; None where that cannot be known."""
    problem: str
    """Empty, or why the stream ended before its time; set when iteration ends. The frames before it are
    good."""

    def __init__(self, kind: Kind, name: str, fps: float, count: int | None):
        self.kind, self.name, self.fps, self.count, self.problem = kind, name, fps, count, ""

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        """Let go of the file or the camera; a second call does nothing."""
        return

    def __enter__(self) -> "FrameSource":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _Stills(FrameSource):
    """Pictures already in memory, (time, H, W, 3)."""

    def __init__(self, kind: Kind, name: str, pictures: np.ndarray, fps: float):
        super().__init__(kind, name, fps, len(pictures))
        self._pictures = pictures

    def __iter__(self) -> Iterator[Frame]:
        for index, picture in enumerate(self._pictures):
            yield Frame(index, index / self.fps, picture)


def _from_array(array: np.ndarray, fps: float) -> _Stills:
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or array.shape[-1] != 3 or array.size == 0:
        raise InputError(f"array is {array.dtype} {array.shape}; wanted uint8 (height, width, 3), or time before that")
    return _Stills("photo", "array", array[None], fps) if array.ndim == 3 else _Stills("video", "array", array, fps)


# --- photos -----------------------------------------------------------------------------------------------


def _read_photo(path: Path) -> np.ndarray | None:
    """A still picture as (H, W, 3) uint8, upright by its EXIF note; None if the file is no still picture."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            if getattr(picture, "n_frames", 1) > 1 and picture.format in ("GIF", "WEBP", "PNG"):
                return None  # an animation is a video
            return _to_rgb(ImageOps.exif_transpose(picture))
    except UnidentifiedImageError:
        return None
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} is too large a picture: {error}") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} is a damaged picture: {error}; save or send it again") from error


def _to_rgb(picture: Any) -> np.ndarray:
    if picture.mode.startswith("I"):  # 16 bits of grey, which Pillow would cut off at 255
        grey = np.clip(np.asarray(picture).astype(np.int64) >> 8, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    if "A" in picture.getbands() or "transparency" in picture.info:
        from PIL import Image

        # What lies under transparent pixels is arbitrary; grey hides nothing and invents no edge.
        seen = picture.convert("RGBA")
        ground = Image.new("RGBA", seen.size, (128, 128, 128, 255))
        picture = Image.alpha_composite(ground, seen)
    return np.asarray(picture.convert("RGB"))


# --- videos and cameras -----------------------------------------------------------------------------------


class _Video(FrameSource):
    """A video file through OpenCV. It is opened anew for every iteration."""

    def __init__(self, path: Path, fps: float):
        import cv2

        self._path = path
        self._capture: Any = self._open()
        said_fps = self._capture.get(cv2.CAP_PROP_FPS)
        said_count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        super().__init__(
            "video",
            str(path),
            float(said_fps) if 1e-3 < said_fps < 1e4 else fps,
            int(said_count) if 0 < said_count < 1e9 else None,
        )

    def _open(self) -> Any:
        import cv2

        with _quiet_opencv():
            capture = cv2.VideoCapture(str(self._path))
            readable = capture.isOpened() and capture.grab()
            capture.release()
            capture = cv2.VideoCapture(str(self._path)) if readable else None
        if capture is None:
            size = self._path.stat().st_size
            raise InputError(
                f"{self._path} ({size:,} bytes) is neither a picture nor a video that can be read; one that"
                " was cut off while it was recorded or copied may lack its index: copy or convert it again"
            )
        return capture

    def __iter__(self) -> Iterator[Frame]:
        import cv2

        self.problem = ""
        if self._capture is None:
            self._capture = self._open()
        capture, self._capture = self._capture, None
        index, time_s = 0, 0.0
        try:
            while True:
                with _quiet_opencv():
                    read, bgr = capture.read()
                if not read:
                    break
                if index:
                    stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                    # Some containers have no stamps, or stamps that stand still; time must not.
                    time_s = stamp if stamp > time_s else time_s + 1 / self.fps
                yield Frame(index, time_s, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
                index += 1
        finally:
            capture.release()
        # The count in a header may be an estimate from duration and rate.
        if self.count and index < self.count - max(2, 0.01 * self.count):
            self.problem = f"{self.name} breaks off: {index} of {self.count} frames could be read"
            _log.warning(self.problem)

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None


class _Camera(FrameSource):
    """A webcam. It goes on until it is closed; `time_s` is the clock when a frame arrived."""

    def __init__(self, number: int, fps: float):
        import cv2

        with _quiet_opencv():
            capture = cv2.VideoCapture(number)
            opened = capture.isOpened()
        if not opened:
            capture.release()
            there = ", ".join(sorted(device.name for device in Path("/dev").glob("video*"))) or "none"
            raise InputError(
                f"camera {number} does not answer (video devices here: {there}); plug it in, close other"
                " programs that use it, or give a photo or a video"
            )
        said = capture.get(cv2.CAP_PROP_FPS)
        super().__init__("camera", f"camera:{number}", float(said) if 1 <= said <= 1000 else fps, None)
        self._capture: Any = capture

    def __iter__(self) -> Iterator[Frame]:
        import cv2

        index, start = 0, 0.0
        while self._capture is not None:
            with _quiet_opencv():
                read, bgr = self._capture.read()
            now = time.monotonic()
            if not read:
                self.problem = f"{self.name} stopped sending after {index} frames"
                _log.warning(self.problem)
                return
            start = start or now
            yield Frame(index, now - start, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
            index += 1

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """OpenCV prints warnings about what is reported here as an error; hold them back meanwhile."""
    from cv2.utils import logging as cv_logging

    # Read by OpenCV once, when it first loads FFmpeg: −8 is FFmpeg's own AV_LOG_QUIET.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    level = cv_logging.getLogLevel()
    cv_logging.setLogLevel(cv_logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv_logging.setLogLevel(level)
