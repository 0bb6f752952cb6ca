"""Calibrate a robot: which way its servos turn, how they move, how its linkages and skin differ from the design.

Transactional: the old file stays as it is until everything has passed; whatever happens, the robot ends at rest with
its torque off.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import Progress

from ..hardware.dynamixel_table import default_map
from ..hardware.hidden_face import HiddenRobot
from ..sim.errors import BusError, CommandRejected, VocabularyError
from ..sim.frames import open_frames
from ..sim.robot.individual import Individual
from ..sim.robot.servo import SERVO_NAMES
from ..sim.robot.sight import Eye, Look, PlainEye, TrackerEye
from ..twin.calibrate_moves import AMOUNTS, Directions, Subject
from ..twin.calibrate_servos import PARAMETERS, ServoFit, fit_servos
from ..twin.calibrate_skin import SkinFit, Views, fit_skin, patterns, together
from ..twin.calibration import MEASURED, SKIN, Calibration, calibrated_map
from ..twin.port import BusFace, FacePort, open_bus, open_face
from . import console
from .calibrate_picture import draw

EYES = ("tracker", "plain")
"""What looks at an emulated robot: pictures and MediaPipe, or its landmarks with the tracker's measured scatter."""
HIDDEN = "hidden"
_Step = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What a calibration did: the calibration, and what each of its parts found."""

    calibration: Calibration
    directions: Directions
    servos: ServoFit | None
    skin: SkinFit
    views: Views


def run(where: str, out: Path, *, camera: str = "camera", eye: str = "tracker", as_json: bool = False) -> int:
    """Calibrate the robot at `where`; write `calibration.json` and `calibration.png` into the folder `out`.

    where: as of `open_face`, or hidden[:SEED], an emulated robot whose parameters nobody knows. camera: what looks at a
    real robot, as of `frames.open_frames`. eye: one of `EYES`, of a hidden robot. Raises where the robot or the camera
    does not do what it should; then the old files are as they were.
    """
    if eye not in EYES:
        raise VocabularyError(f"unknown eye {eye!r}; allowed: {', '.join(EYES)}")
    path = out / "calibration.json"
    kind, _, number = where.partition(":")
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(console.progress())
        if kind == HIDDEN:
            robot = stack.enter_context(HiddenRobot(Individual.sample(np.random.default_rng(int(number or 0)))))
            known, place = None, f"dynamixel:{robot.port}"
            eyes, look = stack.enter_context(looking(robot, eye))
        else:
            known, place = Calibration.load(path) if path.exists() else None, where
            eyes = stack.enter_context(TrackerEye())
            source = stack.enter_context(open_frames(camera))
            pictures = iter(source)
            look = lambda: eyes.read(next(pictures).rgb)  # noqa: E731
        outcome = calibrate(lambda: open_face(place, calibration=known), look, eyes, bar, where=where, eye_name=eye)
        commission(place, outcome.calibration)
    outcome.calibration.save(path)
    draw(outcome.calibration, outcome.views, out / "calibration.png")
    _report(outcome.calibration)
    console.console.print(f"[green]{path}[/]")
    if as_json:
        console.emit(outcome.calibration.figures, calibration=str(path))
    return 0


def calibrate(
    open_it: Callable[[], FacePort],
    look: Callable[[], Look | None],
    eye: Eye,
    bar: Progress | None = None,
    *,
    seed: int = 0,
    where: str = "",
    eye_name: str = "",
) -> Outcome:
    """Move a robot, look at it, and find out what it is. Writes nothing.

    open_it opens the face, `look` looks at it now, `eye` looks at simulated ones in the same way. Raises
    `CalibrationError` for a robot with something wrong, `BusError` or `CommandRejected` for one that cannot go on. The
    face is closed at the end, at rest if it still can move.
    """
    rng = np.random.default_rng([seed, 0xCA1])
    shown = {amount: patterns(eye, amount) for amount in AMOUNTS}  # beforehand: nothing slow while the servos hold
    with _at_rest_in_the_end(open_it()) as face:
        servo_map = face.servo_map if isinstance(face, BusFace) else default_map()
        subject = Subject(face, look, together(eye))
        directions = subject.find_directions(shown, _step(bar, "which way servos turn"))
        shake = None
        if face.capabilities.feedback:
            shake = subject.shake(directions.direction, rng, _step(bar, "servos in motion"))
        views = subject.views(directions.direction, rng, _step(bar, "poses"))
    servos = None if shake is None else fit_servos(shake, _step(bar, "servos identified"))
    skin = fit_skin(views, directions.direction, eye, _step(bar, "linkages and skin"))
    plain = Calibration.of(servo_map)
    values, sd = dict(plain.values), dict(plain.sd)
    if servos is not None:
        for name in set(MEASURED) & set(PARAMETERS):
            values[name], sd[name] = servos.values[name], servos.log_sd[name]
    ratio = np.where(directions.seen, skin.individual.ratio, 1.0)
    values["ratio"], sd["ratio"] = ratio, skin.ratio_sd
    calibration = Calibration(
        servo_map=calibrated_map(servo_map, directions.direction, ratio), values=values, sd=sd,
        skin={name: getattr(skin.individual, name) for name in SKIN}, skin_sd=skin.skin_sd,
        seen=directions.seen, where=where, eye=eye_name, figures=_figures(directions, servos, skin, views),
    )  # fmt: skip
    return Outcome(calibration=calibration, directions=directions, servos=servos, skin=skin, views=views)


def commission(place: str, calibration: Calibration) -> None:
    """Write the limits of a calibration's map into servos that store limits; torque is off. Raises `BusError`."""
    with open_bus(place, calibration.servo_map) as bus:
        if (write_limits := getattr(bus, "commission", None)) is not None:
            write_limits()


@contextlib.contextmanager
def looking(robot: HiddenRobot, eye: str, seed: int = 0) -> Iterator[tuple[Eye, Callable[[], Look | None]]]:
    """An eye for simulated robots, and a look at a hidden one through an eye of the same kind."""
    if eye == "plain":
        scattered = PlainEye(np.random.default_rng([seed, 0xE7E]))
        yield PlainEye(), lambda: scattered.see(robot.light.surface())
    else:
        with TrackerEye() as tracker:
            yield tracker, lambda: tracker.see(robot.light.surface())


@contextlib.contextmanager
def _at_rest_in_the_end(face: FacePort) -> Iterator[FacePort]:
    with face:
        try:
            yield face
        finally:
            with contextlib.suppress(BusError, CommandRejected):  # who is stopped is limp already
                face.rest()


def _step(bar: Progress | None, what: str) -> _Step:
    if bar is None:
        return lambda done, total: None
    task = bar.add_task(what, total=None)
    return lambda done, total: bar.update(task, completed=done, total=total)


def _figures(directions: Directions, servos: ServoFit | None, skin: SkinFit, views: Views) -> dict[str, float]:
    figures = {
        "servos_turned_round": float(np.sum(directions.direction < 0)),
        "servos_not_seen": float(np.sum(~directions.seen)),
        "largest_motion_before_directions": directions.largest,
        "poses": float(len(views.seen)),
        "twin_error_before_mm": 1e3 * skin.error_before_m,
        "twin_error_after_mm": 1e3 * skin.error_m,
        "ratio_sd_median": float(np.median(skin.ratio_sd)),
    }
    if servos is not None:
        figures |= {f"{name}_log_sd_median": float(np.median(servos.log_sd[name])) for name in PARAMETERS}
    return figures


def _report(calibration: Calibration) -> None:
    rows = []
    for i, name in enumerate(SERVO_NAMES):
        turned = "as designed" if calibration.servo_map.channels[i].direction == 1 else "the other way"
        turned = turned if calibration.seen[i] else "not seen"
        rows.append([name, turned, *(float(calibration.values[m][i]) for m in MEASURED)])
    console.table("Servos", ["servo", "turns", *MEASURED], rows)
    console.table(
        "Skin",
        ["stiffness", "value", "± log"],
        [(n, calibration.skin[n], calibration.skin_sd[n]) for n in calibration.skin],
    )
    console.table("Calibration", ["figure", "value"], calibration.figures.items())


__all__ = ["EYES", "HIDDEN", "Outcome", "calibrate", "commission", "looking", "run"]
