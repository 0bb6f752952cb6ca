"""The main job, `duchenne mirror`: watch a real face and make the simulated robot face show the same expression."""

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..learning.self_model import SelfModel
from ..sim.camera import Face, FaceReader, Neutral
from ..sim.errors import CommandRejected, DuchenneError, FaceError
from ..sim.frames import Frame, FrameSource, open_frames
from ..sim.robot.face import CONTROL_PERIOD_S, RobotFace
from ..sim.robot.paint import skin_named
from ..twin.attention import head_angles
from ..twin.mirror import Mirror
from ..twin.retarget import neutral_from_one
from ..twin.viewer import Viewer, ViewerUnavailable
from . import console
from .report import write_results
from .take import Take, moment

NEUTRAL_FRAMES = 5
"""A person's face at rest is the median of the first five frames, as in the Emo paper."""
SETTLE_S = 2.0
"""How long the robot is given to reach the expression of a photo and to come to rest in it."""

_log = logging.getLogger(__name__)


def run(
    source: str,
    out: Path,
    *,
    neutral: Path | None = None,
    skin: str = "porcelain",
    model: Path | None = None,
    seconds: float | None = None,
    render: bool = True,
    live: bool = False,
    as_json: bool = False,
) -> int:
    """Mirror `source` and write the results to `out`; see `duchenne mirror --help`. Returns the exit code.

    Raises `DuchenneError` if there is nothing to keep, for example `FaceError` when no face was ever seen.
    """
    skin_named(skin)  # a misspelt name must not cost a run
    self_model = SelfModel.load(model) if model else SelfModel.default()
    with FaceReader() as reader, open_frames(int(source) if source.isdecimal() else source) as frames:
        performance = Performance(Mirror(self_model), RobotFace(), reader, frames.kind == "photo")
        with Take(out, frames.name, frames.kind, performance.robot.state().vertices_m) as take:
            if neutral:
                performance.calibrate_from_photo(neutral)
                take.notes.append(f"Expressions are measured from the face in {neutral.name}.")
            with _viewer(live) as viewer:
                performance.viewer = viewer
                interrupted = performance.play(frames, take, seconds)
    if not take.faces:
        if interrupted:
            raise KeyboardInterrupt
        raise _nobody(take)
    written = write_results(take, skin=skin, render=render)
    _tell(take, written)
    if as_json:
        console.emit(take.figures(), source=take.source, files=written, notes=take.notes, problem=take.failure)
    if take.failure:
        console.complain(f"{take.failure}; what was made until then is in {take.folder}")
    return 130 if interrupted else 2 if take.failure else 0


class Performance:
    """Person, mirror and robot in one loop, recorded in a `Take`."""

    def __init__(self, mirror: Mirror, robot: RobotFace, reader: FaceReader, still: bool):
        self.mirror, self.robot, self.reader, self.still = mirror, robot, reader, still
        self.viewer: Viewer | None = None
        self._state = robot.state()
        self._robot_s = 0.0
        self._first_faces: list[Face] = []

    def calibrate_from_photo(self, path: Path) -> None:
        """Take the face in a photo as the person at rest. Raises `InputError`, `FaceError`."""
        with open_frames(path) as frames:
            sighting = self.reader.read(next(iter(frames)).rgb)
        if sighting.face is None:
            raise FaceError(f"{sighting.problem} in {path}; the neutral photo must show exactly one")
        self.mirror.calibrate(Neutral.from_faces([sighting.face]), _pitch_rad([sighting.face]))

    def play(self, frames: FrameSource, take: Take, seconds: float | None = None) -> bool:
        """Go through the source; what goes wrong on the way ends it, but loses nothing. Returns whether interrupted."""
        started = time.perf_counter()
        try:
            with console.progress() as bar:
                task = bar.add_task("mirroring", total=frames.count if frames.kind != "camera" else None)
                for frame in frames:
                    if seconds is not None and frame.time_s > seconds:
                        break
                    self._frame(frame, take)
                    take.wall_s = time.perf_counter() - started
                    bar.advance(task)
                else:
                    take.failure = frames.problem
        except KeyboardInterrupt:
            take.notes.append("Interrupted by the user.")
            return True
        except DuchenneError as error:
            if not take.faces:
                raise
            take.failure = str(error)
        return False

    def _frame(self, frame: Frame, take: Take) -> None:
        sighting = self.reader.read(frame.rgb, frame.time_s)
        if sighting.face is None:
            take.no_face(sighting.problem)
        else:
            self._calibrate(sighting.face, take)
        for tick_s in self.mirror.ticks_before(frame.time_s):
            self._send(self.mirror.hold(tick_s), tick_s, take)
        if sighting.face is None and not take.faces:
            return  # nobody has been seen yet
        started = time.perf_counter()
        try:
            command = self.mirror.mirror_face(sighting.face, frame.time_s)
        except CommandRejected as error:
            take.rejected += sighting.face is not None
            _log.warning("frame %d: %s", frame.index, error)
            command = self.mirror.guard.last
        else:
            if sighting.face is not None:
                take.latencies_ms.append((time.perf_counter() - started) * 1e3)
            self._send(command, frame.time_s, take)
        if sighting.face is not None:
            if self.still:
                command = self._settle(frame.time_s, take)
            self._record(frame, sighting.face, command, take)

    def _calibrate(self, face: Face, take: Take) -> None:
        """Learn the person's face at rest; until that is done the robot rests."""
        take.frames += 1
        take.faces += 1
        if self.mirror.retarget is not None:
            return
        if self.still:
            self.mirror.calibrate(neutral_from_one(self.mirror.model, face), _pitch_rad([face]))
            take.notes.append(
                "One photo does not show this face at rest; its blendshapes and an average face stand in for that. "
                "A photo of the face at rest (--neutral) is more exact."
            )
            return
        self._first_faces.append(face)
        if len(self._first_faces) == NEUTRAL_FRAMES:
            self.mirror.calibrate(Neutral.from_faces(self._first_faces), _pitch_rad(self._first_faces))
            take.notes.append(f"Expressions are measured from the first {NEUTRAL_FRAMES} frames with a face.")

    def _send(self, command: np.ndarray, time_s: float, take: Take) -> None:
        """Record a command that passed the Guard, and let the robot's 25 Hz loop catch up with it."""
        take.sent(time_s, command)
        while self._robot_s + CONTROL_PERIOD_S <= time_s + 1e-6:
            self._state = self.robot.step(command)
            self._robot_s += CONTROL_PERIOD_S

    def _settle(self, time_s: float, take: Take) -> np.ndarray:
        command = self.mirror.guard.last
        for tick in range(1, round(SETTLE_S / CONTROL_PERIOD_S) + 1):
            tick_s = time_s + tick * CONTROL_PERIOD_S
            command = self.mirror.hold(tick_s)
            self._send(command, tick_s, take)
        return command

    def _record(self, frame: Frame, face: Face, command: np.ndarray, take: Take) -> None:
        error_mm = take.compare(frame.time_s, self._state, self.mirror.wanted_motion_m)
        keep = take.album.due()
        if keep or self.viewer:
            now = moment(frame.time_s, frame.rgb, face, self._state, command, error_mm)
            if keep:
                take.album.add(now)
            if self.viewer:
                self.viewer.moment(
                    now.time_s, person_jpeg=now.person_jpeg, landmarks_px=now.landmarks_px, person_m=now.person_m,
                    robot_m=now.robot_m, command=command, error_mm=error_mm,
                )  # fmt: skip


def _nobody(take: Take) -> FaceError:
    seen = ", ".join(f"{problem} in {count}" for problem, count in take.problems.items())
    if take.kind == "photo":
        return FaceError(
            f"{next(iter(take.problems), 'no face')} in {take.source}; give a photo that shows exactly one"
        )
    return FaceError(
        f"none of the {take.frames} frames of {take.source} shows exactly one face ({seen or 'no frames'}); "
        "show one face, well lit and turned to the camera"
    )


def _pitch_rad(faces: Sequence[Face]) -> float:
    return float(np.median([head_angles(face.pose)[1] for face in faces]))


@contextlib.contextmanager
def _viewer(live: bool) -> Iterator[Viewer | None]:
    """The live viewer if it is wanted and can be had; without it the show goes on."""
    if not live:
        yield None
        return
    try:
        viewer = Viewer.live()
    except ViewerUnavailable as error:
        _log.warning("%s", error)
        yield None
        return
    with viewer:
        yield viewer


def _tell(take: Take, written: dict[str, Path]) -> None:
    figures = take.figures()
    shown = [(n.replace("_", " "), v) for n, v in figures.items() if not n.startswith(("error_", "motion_"))]
    console.table(f"{Path(take.source).name}, mirrored", ["", ""], shown)
    console.table("landmarks, mm from rest", ["region", "wanted", "error"], [(n, m, e) for n, e, m in take.by_region()])
    for note in take.notes:
        console.console.print(note, soft_wrap=True, highlight=False, style="dim")
    for name, path in written.items():
        console.console.print(f"{name:>10}  {path}", soft_wrap=True, highlight=False)
