"""Series of real people's faces, at 25 Hz on one clock, for checks of what anticipates them.

    for one in series():
        for apex in one.apexes(): copy_error(one, apex.arrival, lead_s=0.2)

The files are not part of the project. They lie in folders named after their format, and whatever lies there is read:
`face_videos/*.mp4` through the package's own camera, `smile_landmarks_100hz/*_landmarks.csv*`,
`arkit_range_of_motion/*.csv*`, `facs_intensity_series/*/*.csv*` (MediaPipe's mesh by a detector: each row names its
frame and the second it is in, which leaves 25 frames/s within 4 %; every other frame is there).

The clock is causal: at each tick stands the newest frame taken by then, never one after it and nothing in between.
"""

import csv
import gzip
import logging
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..learning.peak_activation import Apex, apexes, resting_face
from ..sim.alignment import metric_face
from ..sim.camera import FaceReader, Neutral, open_frames
from ..sim.errors import InputError
from ..sim.facs import BLENDSHAPES
from ..sim.mesh import VERTEX_COUNT, region
from .real_recordings import DATA

Array = NDArray[np.floating]

RATE_HZ = 25.0
LONGEST_GAP_S = 0.2
"""A face that is lost for longer cuts a series in two."""
LEAST_S = 1.0
"""A shorter stretch is left out; the log says so."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, kw_only=True)
class FaceSeries:
    """One person's face over time, uniformly at `rate_hz`.

    name: folder and file, with the number of the stretch where a file holds several. person: as far as file names
    tell; the same for files of one person. kind: "mesh" (468 landmarks, m, in the face frame, aligned), "points68"
    (68 points, in distances between the outer eye corners, head motion taken out; y down) or "blendshapes" (0-1,
    ARKit's go a little beyond, in the order of `facs.BLENDSHAPES`). faces: (T, n), as they are, not displacements.
    weight: (n,), 0 for what lids do and for what the series has not got, else 1. unit: of the faces. rest: (n,), found
    in the whole recording: of a clip its calmest tenth, else `resting_face`. shape: of one face.
    """

    name: str
    person: str
    kind: str
    faces: Array
    weight: Array
    unit: str
    rest: Array
    shape: tuple[int, ...]
    rate_hz: float = RATE_HZ

    @property
    def displacement(self) -> Array:
        """Every face minus rest, (T, *shape)."""
        return (self.faces - self.rest).reshape(len(self.faces), *self.shape)

    def apexes(self) -> tuple[Apex, ...]:
        """Its expressions, lids aside."""
        return apexes(self.faces, self.rate_hz, rest=self.rest, weight=self.weight)


def series(folder: str | Path = DATA) -> list[FaceSeries]:
    """All series of faces in a folder, by name. Raises `InputError` for a file that is corrupt or if there is none."""
    root = Path(folder)
    found = [one for pattern, read in _READERS for one in _read_all(sorted(root.glob(pattern)), root, read)]
    if not found:
        raise InputError(
            f"no faces in {root}; give the folder that holds {', '.join(p.split('/')[0] for p, _ in _READERS)}"
        )
    return found


def copy_error(one: FaceSeries, frame: int, lead_s: float) -> float:
    """How far the face `lead_s` before a frame is from the face at it: what mimicry gets wrong, in the series' unit.

    frame: such as `apex.apex` or `apex.arrival`. NaN where the series begins later than that.
    """
    early = frame - round(lead_s * one.rate_hz)
    return face_error(one, one.faces[early], one.faces[frame]) if early >= 0 else float("nan")


def face_error(one: FaceSeries, guess: Array, truth: Array) -> float:
    """Mean distance of the landmarks that count of one face (n,) from another; of blendshapes the mean difference."""
    landmarks = (len(one.faces[0]) // one.shape[-1], one.shape[-1]) if len(one.shape) == 2 else (one.shape[0], 1)
    apart = np.linalg.norm((np.asarray(guess) - truth).reshape(landmarks), axis=1)
    return float(np.average(apart, weights=one.weight.reshape(landmarks)[:, 0]))


def pairs(folder: str | Path = DATA) -> tuple[Array, Array, NDArray[np.integer]]:
    """Faces at peak activation and at the target (clips, 113, 2) in the Emo robot's frame, and their clips (clips,).

    From `emo_robot/emo_anticipation_pairs.npz` (H-Y-H-Y-H/HR_Facial_Coexpression; no licence: never train on it).
    Every clip has one row, so a split by row is one by clip. Raises `InputError`.
    """
    path = Path(folder) / "emo_robot" / "emo_anticipation_pairs.npz"
    with _naming(path), np.load(path, allow_pickle=False) as file:
        early, target = (np.asarray(file[name], float) for name in ("early_face", "target_face"))
        if early.shape != target.shape or early.shape[1:] != (113, 2) or not np.isfinite(early + target).all():
            raise ValueError(f"early_face {early.shape} and target_face {target.shape}, wanted both (clips, 113, 2)")
    return early, target, np.arange(len(early))


# --- readers ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class _Track:
    """What one file holds: faces (T, n) at times (T,) s, lost ones left out; rest None where it is to be found."""

    person: str
    kind: str
    times_s: Array
    faces: Array
    weight: Array
    unit: str
    shape: tuple[int, ...]
    rest: Array | None = None


def _video(path: Path) -> _Track:
    """A clip through MediaPipe, one picture at a time. Rest is its calmest tenth, as in `camera.Neutral`."""
    with FaceReader() as reader, open_frames(path) as source:
        sightings = [reader.read(frame.rgb, frame.time_s) for frame in source]
    if source.problem:
        raise InputError(f"{path} is damaged: {source.problem}; save or send it again")
    seen = [(sighting.time_s, sighting.face) for sighting in sightings if sighting.face is not None]
    if not seen:
        return _mesh(path.stem, np.zeros(0), np.zeros((0, VERTEX_COUNT, 3)), None)
    rest = Neutral.from_faces([face for _, face in seen]).aligned_m[:VERTEX_COUNT]
    aligned = np.array([face.aligned_m[:VERTEX_COUNT] for _, face in seen])
    return _mesh(path.stem, np.array([time for time, _ in seen]), aligned, rest)


def _detected(path: Path) -> _Track:
    """MediaPipe's mesh as a detector wrote it: x, y px of the picture, z in widths of the face's rectangle."""
    columns = _columns(path, special={"approx_time": _minutes_s})
    width, height, box, frame = (columns(name) for name in ("FrameWidth", "FrameHeight", "FaceRectWidth", "frame"))
    x, y, z = (np.stack([columns(f"mesh_{axis}_{k}") for k in range(478)], axis=1) for axis in "xyz")
    screen = np.stack([x / width[:, None], y / height[:, None], z * (box / width)[:, None]], axis=-1)
    known = np.isfinite(screen).all(axis=(1, 2)) & np.isfinite(frame)
    second = columns("approx_time")
    if ((frame + 1) // _DETECTED_RATE_HZ < second).any() or ((frame - 1) // _DETECTED_RATE_HZ > second).any():
        _log.warning("%s: left out, its frames and seconds do not go with %g frames/s", path.name, _DETECTED_RATE_HZ)
        known[:] = False
    faces = [metric_face(one, w, h)[0] for one, w, h in zip(screen[known], width[known], height[known], strict=True)]
    aligned = np.array(faces).reshape(-1, 478, 3)[:, :VERTEX_COUNT]
    return _mesh(path.parent.name, frame[known] / _DETECTED_RATE_HZ, aligned, None)


_DETECTED_RATE_HZ = 25.0
"""Of the videos behind the detector's rows. Their seconds leave 24-26 frames/s for each of the 20 clips, and for all of
them together 25 within a frame."""


def _mesh(person: str, times_s: Array, aligned_m: Array, rest_m: Array | None) -> _Track:
    weight = np.ones((VERTEX_COUNT, 3))
    weight[[*region("right eye"), *region("left eye")]] = 0
    return _Track(
        person=person, kind="mesh", times_s=times_s, faces=aligned_m.reshape(-1, 3 * VERTEX_COUNT),
        weight=weight.ravel(), unit="m", shape=(VERTEX_COUNT, 3), rest=None if rest_m is None else rest_m.ravel(),
    )  # fmt: skip


def _points(path: Path) -> _Track:
    """68 landmarks in px at 100 Hz, in any order of rows: laid over each other by eye corners and nose bridge."""
    columns = _columns(path)
    number = columns("Frame_number")
    x, y = (np.stack([columns(f"landmark_{k}_{axis}") for k in range(68)], axis=1) for axis in "xy")
    points = x + 1j * y
    known = np.isfinite(points).all(axis=1) & np.isfinite(number)
    order = np.flatnonzero(known)[np.unique(number[known], return_index=True)[1]]
    if not len(order):
        raise ValueError("no row holds 68 landmarks")
    laid = _over_each_other(points[order])
    weight = np.ones((68, 2))
    weight[36:48] = 0
    return _Track(
        person=path.name.split("_")[0], kind="points68", times_s=number[order] / _POINTS_RATE_HZ,
        faces=np.stack([laid.real, laid.imag], axis=-1).reshape(len(laid), -1),
        weight=weight.ravel(), unit="outer eye distances", shape=(68, 2),
    )  # fmt: skip


_POINTS_RATE_HZ = 100.0
_STABLE = [27, 28, 29, 30, 36, 39, 42, 45]
"""Nose bridge and eye corners in the order of the 68 points: what a smile, a brow or a jaw moves least."""


def _over_each_other(points: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
    """Points (T, L), x + iy, moved, turned and scaled so that the stable ones lie on their median; eyes 1 apart."""
    stable = points[:, _STABLE] - points[:, _STABLE].mean(axis=1, keepdims=True)
    stable = stable / (points[:, 45] - points[:, 36])[:, None]
    middle = np.median(stable.real, axis=0) + 1j * np.median(stable.imag, axis=0)
    centre = points[:, _STABLE].mean(axis=1, keepdims=True)
    moved = points[:, _STABLE] - centre
    turn = (moved.conj() * middle).sum(axis=1, keepdims=True) / (np.abs(moved) ** 2).sum(axis=1, keepdims=True)
    return (points - centre) * turn


def _blendshapes(path: Path) -> _Track:
    """ARKit's blendshapes with a timecode hours:minutes:seconds:sixtieths, those that `BLENDSHAPES` has."""
    columns = _columns(path, special={"Timecode": _timecode_s})
    times = columns("Timecode")
    faces = np.stack([columns(name[0].upper() + name[1:]) if name[0] != "_" else 0 * times for name in BLENDSHAPES], 1)
    known = np.isfinite(faces).all(axis=1) & np.isfinite(times)
    weight = np.array([not name.startswith(("_", "eye")) for name in BLENDSHAPES])
    return _Track(
        person=path.name.split("_")[0], kind="blendshapes", times_s=times[known] - times[known][:1].sum(),
        faces=faces[known], weight=weight.astype(float), unit="1", shape=(len(BLENDSHAPES),),
    )  # fmt: skip


def _minutes_s(text: str) -> float:
    minutes, seconds = text.split(":")
    return 60 * int(minutes) + int(seconds)


def _timecode_s(text: str) -> float:
    hours, minutes, seconds, sixtieths = text.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + int(seconds) + float(sixtieths) / 60


_READERS: tuple[tuple[str, Callable[[Path], _Track]], ...] = (
    ("face_videos/*.mp4", _video),
    ("smile_landmarks_100hz/*_landmarks.csv*", _points),
    ("arkit_range_of_motion/*.csv*", _blendshapes),
    ("facs_intensity_series/*/*.csv*", _detected),
)


# --- from files to series ---------------------------------------------------------------------------------


def _read_all(paths: list[Path], root: Path, read: Callable[[Path], _Track]) -> Iterator[FaceSeries]:
    for path in paths:
        name = f"{path.relative_to(root).parts[0]}/{path.name.split('.')[0]}"
        with _naming(path):
            track = read(path)
            if len(track.times_s) > 1 and (np.diff(track.times_s) <= 0).any():
                raise ValueError("times do not rise")
        yield from _stretches(name, track)


def _stretches(name: str, track: _Track) -> Iterator[FaceSeries]:
    """The parts of a track between gaps, each on its own clock; what is too short is named in the log."""
    cuts = np.flatnonzero(np.diff(track.times_s) > LONGEST_GAP_S) + 1
    parts = list(zip(np.split(track.times_s, cuts), np.split(track.faces, cuts), strict=True))
    long = [(times, faces) for times, faces in parts if len(times) and times[-1] - times[0] >= LEAST_S]
    if len(long) < len(parts):
        _log.warning("%s: left out %d stretches shorter than %g s", name, len(parts) - len(long), LEAST_S)
    if not long:
        return
    rest = resting_face(np.concatenate([f for _, f in long]), track.weight) if track.rest is None else track.rest
    for number, (times, faces) in enumerate(long, 1):
        yield FaceSeries(
            name=name if len(long) == 1 else f"{name}/{number}", person=track.person, kind=track.kind,
            faces=_causally(times, faces), weight=track.weight, unit=track.unit, rest=rest, shape=track.shape,
        )  # fmt: skip


def _causally(times_s: Array, faces: Array) -> Array:
    """Faces (T, n) at times (T,) s on a clock of `RATE_HZ` from the first on: at each tick the newest by then."""
    ticks = times_s[0] + np.arange(int((times_s[-1] - times_s[0]) * RATE_HZ + 1e-6) + 1) / RATE_HZ
    return faces[np.searchsorted(times_s, ticks + 1e-6, "right") - 1]


def _columns(path: Path, special: dict[str, Callable[[str], float]] | None = None) -> Callable[[str], Array]:
    """The columns of a CSV file, plain or gzipped, as numbers; NaN where a cell is empty."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    place = {name: column for column, name in enumerate(header)}

    def column(name: str) -> Array:
        if name not in place:
            raise ValueError(f"there is no column {name!r}")
        convert = (special or {}).get(name, float)
        cells = (row[place[name]] if place[name] < len(row) else "" for row in rows)
        return np.array([convert(cell) if cell.strip() else np.nan for cell in cells])

    return column


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Whatever goes wrong with a file becomes one `InputError` that names it."""
    try:
        yield
    except InputError as error:
        raise error if str(path) in str(error) else InputError(f"{path}: {error}") from error
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise InputError(f"{path} is not the recording it should be: {error}; fetch it again") from error


__all__ = ["RATE_HZ", "FaceSeries", "copy_error", "face_error", "pairs", "series"]
