"""The main job, `duchenne mirror`: watch a real face and make the simulated robot face show the same expression."""

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..hardware.guard import Guard
from ..learning.self_model import SelfModel
from ..sim.camera import Face, FaceReader, Neutral, head_angles
from ..sim.errors import CommandRejected, DuchenneError, FaceError
from ..sim.frames import Frame, FrameSource, open_frames
from ..sim.mesh import VERTEX_COUNT
from ..sim.robot.face import CONTROL_PERIOD_S
from ..sim.robot.paint import skin_named
from ..sim.robot.servo import REST_COMMAND
from ..twin.calibration import Calibration
from ..twin.mirror import Mirror
from ..twin.retarget import neutral_from_one
from ..twin.session import Session, free_path
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
    robot: str | None = None,
    calibration: Path | None = None,
    as_json: bool = False,
) -> int:
    """Mirror `source` and write the results to `out`; see `duchenne mirror --help`. Returns the exit code.

    robot: a face of `port.PLACES`, whose log of record goes to `out` too; None is the simulated one, without a log.
    calibration: of that robot, from `duchenne robot calibrate`.
    Raises `DuchenneError` if there is nothing to keep, for example `FaceError` when no face was ever seen.
    """
    skin_named(skin)  # a misspelt name must not cost a run
    self_model = SelfModel.load(model) if model else SelfModel.default()
    warm = Mirror(self_model)  # what is slow the first time must not keep a robot waiting
    known = None if calibration is None else Calibration.load(calibration)
    log = None if robot is None else free_path(out)
    about = {"command": "mirror", "source": source, "skin": skin, "model": model or "default"}
    with (
        FaceReader() as reader,
        open_frames(int(source) if source.isdecimal() else source) as frames,
        Session.open(robot or "sim", log, about=about, calibration=known) as session,
    ):
        mirror = Mirror(self_model, refiner=warm.refiner, guard=_planner(session))
        performance = Performance(mirror, session, reader, frames.kind == "photo")
        with Take(out, frames.name, frames.kind, session.state.vertices_m) as take:
            if neutral:
                performance.calibrate_from_photo(neutral)
                take.notes.append(f"Expressions are measured from the face in {neutral.name}.")
            with _viewer(live) as viewer:
                performance.viewer = viewer
                interrupted = performance.play(frames, take, seconds)
            if robot is not None:
                performance.come_to_rest(take)
            take.notes.extend(f"{f.time_s - session.start_s:.1f} s: {f.message}." for f in session.findings)
    if not take.faces:
        if interrupted:
            raise KeyboardInterrupt
        raise _nobody(take)
    written = write_results(take, skin=skin, render=render)
    if log is not None:
        written["log"] = log
    _tell(take, written)
    if as_json:
        console.emit(take.figures(), source=take.source, files=written, notes=take.notes, problem=take.failure)
    if take.failure:
        console.complain(f"{take.failure}; what was made until then is in {take.folder}")
    return 130 if interrupted else 2 if take.failure else 0


class Performance:
    """Person, mirror and robot in one loop, recorded in a `Take`; the robot is simulated, emulated or real."""

    def __init__(self, mirror: Mirror, session: Session, reader: FaceReader, still: bool):
        self.mirror, self.session, self.reader, self.still = mirror, session, reader, still
        self.viewer: Viewer | None = None
        self._neutral: Neutral | None = None
        self._first_faces: list[Face] = []

    def calibrate_from_photo(self, path: Path) -> None:
        """Take the face in a photo as the person at rest. Raises `InputError`, `FaceError`."""
        with open_frames(path) as frames:
            sighting = self.reader.read(next(iter(frames)).rgb)
        if sighting.face is None:
            raise FaceError(f"{sighting.problem} in {path}; the neutral photo must show exactly one")
        self._measure_from(Neutral.from_faces([sighting.face]), [sighting.face])

    def play(self, frames: FrameSource, take: Take, seconds: float | None = None) -> bool:
        """Go through the source; what goes wrong on the way ends it, but loses nothing. Returns whether interrupted."""
        started, begun = time.perf_counter(), False
        try:
            with console.progress() as bar:
                task = bar.add_task("mirroring", total=frames.count if frames.kind != "camera" else None)
                for frame in frames:
                    if seconds is not None and frame.time_s > seconds:
                        break
                    if not begun:
                        self.session.begin(frame.time_s)
                        begun = True
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

    def come_to_rest(self, take: Take) -> None:
        """Leave the robot as it was found, if it may still move."""
        if self.session.face.stopped is None:
            try:
                self.session.glide(REST_COMMAND)
            except DuchenneError as error:
                take.failure = take.failure or str(error)

    def _frame(self, frame: Frame, take: Take) -> None:
        sighting = self.reader.read(frame.rgb, frame.time_s)
        if sighting.face is None:
            take.no_face(sighting.problem)
        else:
            self._calibrate(sighting.face, take)
        self._log_face(frame.time_s, sighting.face)
        for tick_s in self.mirror.ticks_before(frame.time_s):
            self._send(self.mirror.hold(tick_s), tick_s, take)
        if sighting.face is None and not take.faces:
            self.session.until(frame.time_s)
            self.session.step(self.session.face.last)  # nobody has been seen yet
            return
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
            try:
                if self.still:
                    command = self._settle(frame.time_s, take)
            finally:  # a robot that fails on the way has shown something, too
                self._record(frame, sighting.face, command, take)

    def _calibrate(self, face: Face, take: Take) -> None:
        """Learn the person's face at rest; until that is done the robot rests."""
        take.frames += 1
        take.faces += 1
        if self.mirror.retarget is not None:
            return
        if self.still:
            self._measure_from(neutral_from_one(self.mirror.model, face), [face])
            take.notes.append(
                "One photo does not show this face at rest; its blendshapes and an average face stand in for that. "
                "A photo of the face at rest (--neutral) is more exact."
            )
            return
        self._first_faces.append(face)
        if len(self._first_faces) == NEUTRAL_FRAMES:
            self._measure_from(Neutral.from_faces(self._first_faces), self._first_faces)
            take.notes.append(f"Expressions are measured from the first {NEUTRAL_FRAMES} frames with a face.")

    def _measure_from(self, neutral: Neutral, faces: Sequence[Face]) -> None:
        self._neutral = neutral
        self.mirror.calibrate(neutral, _pitch_rad(faces))

    def _send(self, command: np.ndarray, time_s: float, take: Take) -> None:
        """Send a command that passed the planner's Guard, when the robot's time has come, and record it."""
        self.session.until(time_s)
        take.sent(time_s, self.session.step(command))

    def _log_face(self, time_s: float, face: Face | None) -> None:
        if self._neutral is not None:
            self.session.seen(time_s, None if face is None else self._neutral.displacement(face)[:VERTEX_COUNT])

    def _settle(self, time_s: float, take: Take) -> np.ndarray:
        command = self.mirror.guard.last
        for tick in range(1, round(SETTLE_S / CONTROL_PERIOD_S) + 1):
            tick_s = time_s + tick * CONTROL_PERIOD_S
            command = self.mirror.hold(tick_s)
            self._send(command, tick_s, take)
        return command

    def _record(self, frame: Frame, face: Face, command: np.ndarray, take: Take) -> None:
        state = self.session.state
        error_mm = take.compare(frame.time_s, state, self.mirror.wanted_motion_m)
        keep = take.album.due()
        if keep or self.viewer:
            now = moment(frame.time_s, frame.rgb, face, state, command, error_mm)
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


def _planner(session: Session) -> Guard:
    """Keeps what the mirror asks for within what the robot may do; the robot's own Guard decides."""
    guard = session.face.guard
    return Guard(guard.safe_set, session.face.last, limits=guard.limits)


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
