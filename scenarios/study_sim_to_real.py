"""Does what was learnt in simulation carry over to a robot that is not the design? Before and after calibration.

Robots with hidden servos, linkages and skins stand behind emulated buses. Each is calibrated through its bus and a
camera alone; then people's expressions, as the simulated design mirrors them, are shown by the hidden robot, steered by
a twin that knows nothing, by the calibrated one, and by one that knows the true parameters.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..hardware.hidden_face import HiddenRobot
from ..learning.self_model import SelfModel
from ..sim.alignment import align
from ..sim.errors import DuchenneError
from ..sim.person.behaviour import Act
from ..sim.person.encounter import meet
from ..sim.person.person import Person
from ..sim.person.repertoire import EXPRESSIONS
from ..sim.robot.face import CONTROL_PERIOD_S
from ..sim.robot.individual import Individual, IndividualFaces
from ..sim.robot.servo import EXPRESSIVE
from ..twin.adaptation import Adaptation
from ..twin.calibration import Calibration
from ..twin.port import open_face
from ..twin.refine import landmark_weights
from ..twin.retarget import Retarget
from ..twin.robot_lag import RobotLag
from ..twin.steering import Steering
from . import console
from .calibrate import calibrate, commission, looking
from .study import Finding, Kept, Study, folder, publish, with_interval
from .study_sim_to_real_picture import draw

Array = NDArray[np.floating]

ROBOTS, TRACKED = 8, 1
"""Hidden robots that a plain eye looks at, and those of them that pictures and MediaPipe look at, too."""
FIRST_ROBOT = 100
"""Robots from this seed on were never looked at while the calibration was made."""
FIRST_PERSON = 1500
_PEOPLE = 2
_ACT_S = 3.0
_WORKERS = 2
_TRIES = 4
_BOOTSTRAPS = 2000
_REVISION = 1
WAYS = ("uncalibrated", "linkages", "calibrated", "true")
"""Who steers: a twin that knows nothing; that knows what was found of directions and linkages; of all; the truth."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """One hidden robot. errors_mm: by `WAYS`; prediction_mm: how far the uncalibrated and the calibrated twin's face is
    from the robot's. found: errors of the calibration itself. faces (ways + 2, 468, 3): the design's strongest
    expression, the robot's by way, the robot's rest."""

    robot: int
    eye: str
    errors_mm: dict[str, float]
    found: dict[str, float]
    seconds: float
    faces: Array


def run(out: Path, *, robots: int = ROBOTS, tracked: int = TRACKED, seed: int = 0, as_json: bool = False) -> int:
    """Calibrate hidden robots and let them mirror people; write a report into `out`. Returns 0."""
    begun, folder_ = time.perf_counter(), folder(out)
    kept = Kept(folder_ / "kept")
    courses = kept.get("mirrored", {"seed": seed, "people": _PEOPLE}, lambda: {"commands": mirrored(seed)})["commands"]
    jobs = [(FIRST_ROBOT + seed + k, "plain") for k in range(robots)]
    jobs = [(FIRST_ROBOT + seed + k, "tracker") for k in range(tracked)] + jobs
    trials = list(_tried(jobs, courses, folder_ / "kept"))
    plain = sorted((t for t in trials if t.eye == "plain"), key=lambda t: t.robot)
    watched = sorted((t for t in trials if t.eye == "tracker"), key=lambda t: t.robot)
    figures = _figures(plain, watched, seed)
    figures |= {"given_up": float(len(jobs) - len(trials)), "seconds": time.perf_counter() - begun}
    study = Study(
        title="From simulation to a robot that differs",
        summary=f"{len(plain)} hidden robots behind emulated buses, {_PEOPLE} people, {len(EXPRESSIONS)} expressions "
        "each, none of which took part in calibration.",
        figures=figures,
        findings=_findings(figures),
        pictures=draw(plain, watched, folder_),
        notes=_NOTES,
    )
    return publish(study, folder_, as_json=as_json)


def mirrored(seed: int) -> Array:
    """Commands of the design that mirrors people's expressions, (people, T, 26), 25 a second."""
    model = SelfModel.default()
    retarget = Retarget.of_motion(model)
    courses = []
    for number in range(_PEOPLE):
        acts = [
            Act(what=what, onset_s=0.5 + _ACT_S * k, hold_s=0.8, intensity=0.8, kind="posed")
            for k, what in enumerate(EXPRESSIONS)
        ]
        person = Person.sample(FIRST_PERSON + number)
        met = meet(person, seed=seed + number, seconds=_ACT_S * len(acts) + 0.5, acts=acts)
        steering = Steering(model)
        wanted = model.rest_m + retarget(met.truth_m.astype(float))
        courses.append([steering.toward(steering.command(w), k * CONTROL_PERIOD_S) for k, w in enumerate(wanted)])
    return np.array(courses)


def try_robot(robot: int, eye: str, courses: Array) -> Trial:
    """Calibrate one hidden robot and let it show the design's courses of commands (people, T, 26)."""
    begun = time.perf_counter()
    hidden = Individual.sample(np.random.default_rng(robot))
    with HiddenRobot(hidden) as body, looking(body, eye, robot) as (eyes, look):
        where = f"dynamixel:{body.port}"
        calibration = calibrate(lambda: open_face(where), look, eyes, seed=robot, where=where, eye_name=eye).calibration
        commission(where, calibration)
    seconds = time.perf_counter() - begun
    direction = np.array([c.direction for c in calibration.servo_map.channels], float)
    ratio = calibration.values["ratio"]
    ones = np.ones_like(ratio)
    asked = show(Individual(), courses)
    known = {
        "uncalibrated": (ones, ones, None),
        "linkages": (direction, ratio, None),
        "calibrated": (direction, ratio, calibration.individual),
        "true": (hidden.direction, hidden.ratio, hidden.told_through(hidden.direction, hidden.ratio)),
    }
    design_lag = RobotLag.measure(IndividualFaces(Individual(), 8)).delay_s
    errors, faces = {}, []
    strongest = np.unravel_index(np.argmax((asked**2).sum((-2, -1))), asked.shape[:2])
    for way in WAYS:
        way_direction, way_ratio, twin = known[way]
        commands = courses
        if twin is not None:
            adapt = Adaptation.to(twin)
            ahead = earlier(courses, adapt.lag.delay_s - design_lag)
            commands = np.array([[adapt(c) for c in course] for course in ahead])
        shown = show(hidden.told_through(way_direction, way_ratio), commands)
        errors[way] = distance_mm(shown, asked)
        faces.append(shown[strongest])
    sent = courses[:, ::5].reshape(-1, courses.shape[-1])
    true_face = rest_motion(hidden.told_through(direction, ratio), sent)
    found = _found(calibration, hidden, direction) | {
        "prediction_calibrated_mm": distance_mm(true_face, rest_motion(calibration.individual, sent)),
        "prediction_uncalibrated_mm": distance_mm(rest_motion(hidden, sent), rest_motion(Individual(), sent)),
    }
    rest = align(IndividualFaces(hidden).settled(courses[:1, 0]).vertices_m)
    return Trial(
        robot=robot, eye=eye, errors_mm=errors, found=found, seconds=seconds,
        faces=np.concatenate([asked[strongest][None], np.array(faces), rest]),
    )  # fmt: skip


def show(individual: Individual, courses: Array) -> Array:
    """Aligned landmark motion from rest, (people, T, 468, 3) m, of a robot that plays courses of its commands."""
    robots = IndividualFaces(individual, len(courses))
    rest = align(robots.settled(np.tile(courses[0, 0], (len(courses), 1))).vertices_m)
    robots.reset()
    faces = []
    for commands in np.swapaxes(courses, 0, 1):
        robots.advance(commands)
        faces.append(align(robots.state().vertices_m) - rest)
    return np.swapaxes(np.array(faces), 0, 1)


def rest_motion(individual: Individual, commands: Array) -> Array:
    """Aligned landmark motion from rest, (N, 468, 3) m, of a robot that stands still in commands (N, 26)."""
    robots = IndividualFaces(individual, 32, timestep_s=0.008)
    faces = align(robots.settled(np.concatenate([commands[:1], commands])).vertices_m)
    return faces[1:] - faces[0]


def earlier(courses: Array, by_s: float) -> Array:
    """Courses of commands (people, T, 26) that run ahead by so much."""
    times = np.arange(courses.shape[1]) * CONTROL_PERIOD_S
    flat = np.moveaxis(courses, 1, -1).reshape(-1, len(times))
    ahead = np.array([np.interp(times + by_s, times, row) for row in flat])
    return np.moveaxis(ahead.reshape(len(courses), -1, len(times)), -1, 1)


def distance_mm(one: Array, other: Array) -> float:
    """Root mean square distance of landmarks (…, 468, 3) m, those that show expression weighted as `refine` does."""
    weights = landmark_weights()
    return 1e3 * float(np.sqrt(np.mean(((one - other) ** 2).sum(-1) @ weights) / weights.sum()))


def _found(calibration: Calibration, hidden: Individual, direction: Array) -> dict[str, float]:
    skin = list(EXPRESSIVE)
    seen = calibration.seen[skin]
    off = np.log(calibration.values["ratio"] / hidden.ratio)[skin]
    delay = calibration.values["delay_s"] - hidden.delay_s
    return {
        "wrong_directions": float(np.sum((direction != hidden.direction)[skin])),
        "not_seen": float(np.sum(~seen)),
        "ratio_error": float(np.sqrt(np.mean(off**2))),
        "ratio_z": float(np.sqrt(np.mean((off / calibration.sd["ratio"][skin])[seen] ** 2))) if seen.any() else np.nan,
        "ratio_error_uncalibrated": float(np.sqrt(np.mean(np.log(hidden.ratio[skin]) ** 2))),
        "delay_error_ms": 1e3 * float(np.median(np.abs(delay))),
        "speed_error": float(np.median(np.abs(np.log(calibration.values["speed"] / hidden.speed)))),
        "quickness_error": float(np.median(np.abs(np.log(calibration.values["gain"] * hidden.inertia / hidden.gain)))),
        "foundation_error": abs(float(np.log(calibration.skin["foundation"] * hidden.tension / hidden.foundation))),
        "passive_error": abs(float(np.log(calibration.skin["passive_nm"] * hidden.tension / hidden.passive_nm))),
        "largest_blind_motion": calibration.figures["largest_motion_before_directions"],
        "swapped": float(np.argmin(hidden.direction)),
    }


def _kept(where: Path, robot: int, eye: str, courses: Array) -> Trial:
    """A trial that was made before, or now."""

    def made() -> dict[str, Array]:
        trial = try_robot(robot, eye, courses)
        told = {f"error {way}": np.array(error) for way, error in trial.errors_mm.items()}
        told |= {f"found {name}": np.array(value) for name, value in trial.found.items()}
        return told | {"seconds": np.array(trial.seconds), "faces": trial.faces.astype(np.float32)}

    arrays = Kept(where, _REVISION).get(f"{eye}-{robot}", {"courses": float(np.sum(courses))}, made)
    errors, found = (
        {name.removeprefix(kind): float(value) for name, value in arrays.items() if name.startswith(kind)}
        for kind in ("error ", "found ")
    )
    return Trial(
        robot=robot, eye=eye, errors_mm=errors, found=found, seconds=float(arrays["seconds"]), faces=arrays["faces"]
    )


def _tried(jobs: list[tuple[int, str]], courses: Array, where: Path) -> Iterator[Trial]:
    """Trials in processes of their own, as they end. A robot whose bus gave up on a busy machine is tried again."""
    tries = dict.fromkeys(jobs, 0)
    with console.progress() as bar, ProcessPoolExecutor(_WORKERS, mp_context=get_context("spawn")) as pool:
        task = bar.add_task("hidden robots", total=len(jobs))
        waiting = {pool.submit(_kept, where, *job, courses): job for job in jobs}
        while waiting:
            done = next(as_completed(waiting))
            job = waiting.pop(done)
            try:
                yield done.result()
                bar.advance(task)
            except DuchenneError as error:
                tries[job] += 1
                console.console.print(f"robot {job[0]}, {job[1]} eye: {error}", highlight=False, markup=False)
                if tries[job] == _TRIES:
                    continue  # is counted as given up
                waiting[pool.submit(_kept, where, *job, courses)] = job


def _figures(plain: list[Trial], watched: list[Trial], seed: int) -> dict[str, float]:
    rng = np.random.default_rng([seed, 0xB007])
    figures: dict[str, float] = {"robots": float(len(plain)), "tracked_robots": float(len(watched))}
    for prefix, trials in (("", plain), ("tracker_", watched)):
        if not trials:
            continue
        errors = {way: np.array([t.errors_mm[way] for t in trials]) for way in WAYS}
        for name, other in (("true", errors["true"]), ("uncalibrated", errors["uncalibrated"])):
            ratios = errors["calibrated"] / other
            drawn = np.median(rng.choice(ratios, (_BOOTSTRAPS, len(ratios))), axis=1)
            key = f"{prefix}error_ratio_to_{name}"
            figures |= with_interval(key, np.median(ratios), *np.percentile(drawn, [2.5, 97.5]))
            figures[f"{key}_worst"] = float(ratios.max())
        figures[f"{prefix}true_ratio_to_uncalibrated"] = float(np.median(errors["true"] / errors["uncalibrated"]))
        figures |= {f"{prefix}error_{way}_mm": float(np.median(errors[way])) for way in WAYS}
        for name in trials[0].found:
            values = np.array([t.found[name] for t in trials])
            figures[f"{prefix}{name}"] = float(values.sum() if name == "wrong_directions" else np.median(values))
        figures[f"{prefix}calibration_s"] = float(np.median([t.seconds for t in trials]))
        del figures[f"{prefix}swapped"]
    return figures


def _findings(figures: dict[str, float]) -> list[Finding]:
    found = []
    for prefix, topic in (("", "plain eye"), ("tracker_", "MediaPipe's eye")):
        for name, words, target in (
            ("true", "of a twin that knows the truth", 1.15), ("uncalibrated", "of an uncalibrated twin", 0.4),
        ):  # fmt: skip
            key = f"{prefix}error_ratio_to_{name}"
            if key not in figures:
                continue
            found.append(
                Finding(
                    topic=topic, what=f"error of mirrored expressions over that {words}", ours=figures[key],
                    low=figures[f"{key}_low"], high=figures[f"{key}_high"], paper=f"wanted ≤ {target:g}",
                    verdict="reached" if figures[key] <= target else "not reached",
                )
            )  # fmt: skip
        for way in WAYS if f"{prefix}error_true_mm" in figures else ():
            found.append(Finding(topic=topic, what=f"error, {way}", ours=figures[f"{prefix}error_{way}_mm"], unit="mm"))
    return found


_NOTES = (
    "The error is the distance of the hidden robot's true landmarks from those of the simulated design that mirrors "
    "the same person, root mean square over landmarks (weighted as everywhere in the twin), time and expressions. A "
    "twin that knows all cannot make it nought, since another skin moves otherwise between its magnets.",
    "The hidden robots are drawn from the plausible ranges of sim/robot/individual.py, evenly in the logarithm; one of "
    "the servos that shape the skin turns the wrong way. How much of the error an uncalibrated twin makes depends on "
    "which one that is.",
    "Plain eye: true landmarks with the scatter that MediaPipe was measured to have, and none of its bias. MediaPipe's "
    "eye: pictures of the hidden robot, in the same paint and light as those of the twin that they are compared with.",
    "The robot's rest pose is taken to be right: whoever mounts a servo trims its horn by eye.",
    "The calibrated robots play their commands in simulation, the physics being that behind the bus.",
)

__all__ = ["ROBOTS", "TRACKED", "WAYS", "Trial", "distance_mm", "mirrored", "run", "show", "try_robot"]
