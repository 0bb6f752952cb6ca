"""Calibration finds what is hidden: on simulated robots, whose time is quicker, and once through a bus."""

from dataclasses import replace

import numpy as np
import pytest

from duchenne.hardware.hidden_face import HiddenRobot
from duchenne.scenarios import calibrate as scenario
from duchenne.sim.errors import BusError, InputError
from duchenne.sim.robot.face import FaceState
from duchenne.sim.robot.individual import Individual, IndividualFaces
from duchenne.sim.robot.limits import SafeSet
from duchenne.sim.robot.servo import EXPRESSIVE, REST_COMMAND, SERVO_NAMES, index, to_rad
from duchenne.sim.robot.sight import PlainEye, Surface
from duchenne.twin.adaptation import Adaptation
from duchenne.twin.calibrate_moves import AMOUNTS, Directions, Subject
from duchenne.twin.calibrate_servos import Shake, fit_servos
from duchenne.twin.calibrate_skin import SkinFit, fit_skin, patterns
from duchenne.twin.calibration import Calibration, CalibrationError
from duchenne.twin.port import SimFace
from duchenne.twin.robot_lag import RobotLag

SKIN = list(EXPRESSIVE)


class Body:
    """A hidden individual where `SimFace` wants a `RobotFace`: its encoders tell of shafts, not of cranks."""

    def __init__(self, individual: Individual):
        self.individual, self.faces, self.command = individual, IndividualFaces(individual), REST_COMMAND.copy()
        self.furthest = 0.0

    def state(self) -> FaceState:
        state = self.faces.state()[0]
        return replace(state, servo_rad=to_rad(self.individual.shaft(state.servo_rad)))

    def step(self, command: np.ndarray) -> FaceState:
        self.faces.advance(command[None])
        self.command = command.copy()
        self.furthest = max(self.furthest, float(np.abs(command - REST_COMMAND).max()))
        return self.state()

    def surface(self) -> Surface:
        state = self.faces.state()[0]
        return Surface(state.vertices_m, state.head_pose, state.gaze_rad)


def subject(individual: Individual, scatter: int | None = 0) -> tuple[Subject, Body, SimFace]:
    body = Body(individual)
    face = SimFace(body)  # pyright: ignore[reportArgumentType]
    eye = PlainEye(None if scatter is None else np.random.default_rng(scatter))
    return Subject(face, lambda: eye.see(body.surface())), body, face


@pytest.fixture(scope="module")
def shown() -> dict[float, np.ndarray]:
    return {amount: patterns(PlainEye(), amount) for amount in AMOUNTS}


def nobody(done: int, total: int) -> None: ...


@pytest.fixture(scope="module")
def calibrated(shown) -> tuple[Individual, Directions, SkinFit, float]:
    hidden = Individual.sample(np.random.default_rng(11), swapped=2)
    who, body, face = subject(hidden)
    directions = who.find_directions(shown, nobody)
    before = body.furthest
    views = who.views(directions.direction, np.random.default_rng(0), nobody)
    assert np.abs(face.last - REST_COMMAND).max() < 1e-6
    return hidden, directions, fit_skin(views, directions.direction, PlainEye()), before


def test_swapped_servos_are_found_before_any_large_motion(calibrated):
    hidden, directions, _, furthest = calibrated
    assert directions.seen[SKIN].all()
    np.testing.assert_array_equal(directions.direction[SKIN], hidden.direction[SKIN])
    assert furthest == pytest.approx(directions.largest)
    assert directions.largest <= max(AMOUNTS)


def test_linkages_are_recovered_within_their_error_bars(calibrated):
    hidden, _, fit, _ = calibrated
    off = np.log(fit.individual.ratio / hidden.ratio)[SKIN]
    assert np.sqrt(np.mean(off**2)) < 0.03 < 0.4 * np.sqrt(np.mean(np.log(hidden.ratio[SKIN]) ** 2))
    assert np.mean(np.abs(off) < 4 * np.maximum(fit.ratio_sd[SKIN], 0.005)) > 0.8
    assert fit.error_m < 0.9 * fit.error_before_m


def test_the_skin_is_recovered_relative_to_its_membrane(calibrated):
    hidden, _, fit, _ = calibrated
    for name in ("foundation", "bending", "passive_nm"):
        true = getattr(hidden, name) / hidden.tension
        assert getattr(fit.individual, name) == pytest.approx(true, rel=0.25)


def test_an_adapted_command_shows_more_of_what_the_design_shows(calibrated):
    hidden, _, fit, _ = calibrated
    known = hidden.told_through(fit.individual.direction, fit.individual.ratio)
    commands = SafeSet.default().sample(np.random.default_rng(3), 12, symmetric_only=False)

    def motion_m(individual: Individual, asked: np.ndarray) -> np.ndarray:
        faces = IndividualFaces(individual, len(asked) + 1).settled(np.concatenate([REST_COMMAND[None], asked]))
        return faces.vertices_m[1:] - faces.vertices_m[0]

    adapt = Adaptation.to(fit.individual.told_through(fit.individual.direction, fit.individual.ratio))
    adapted = np.array([adapt(c) for c in commands])
    assert adapt.safe_set.contains(adapted).all()
    design = motion_m(Individual(), commands)
    plain, better = (np.sqrt(np.mean((motion_m(known, c) - design) ** 2)) for c in (commands, adapted))
    assert better < plain


def test_the_design_itself_needs_no_adaptation():
    adapt = Adaptation.to(Individual())
    np.testing.assert_allclose(adapt.matrix, np.eye(len(SKIN)), atol=1e-9)
    assert adapt.lag.delay_s == pytest.approx(RobotLag.default().delay_s, abs=0.01)


def test_exchanged_cables_are_named(shown):
    class Exchanged(Individual):
        def crank_rad(self, commands):
            order = np.arange(26)
            one, other = index("right_inner_brow"), index("left_inner_brow")
            order[[one, other]] = other, one
            return super().crank_rad(commands)[..., order]

        def shaft(self, crank_rad):
            order = np.arange(26)
            one, other = index("right_inner_brow"), index("left_inner_brow")
            order[[one, other]] = other, one
            return super().shaft(crank_rad[..., order])

    who, _, _ = subject(Exchanged())
    with pytest.raises(CalibrationError, match="inner_brow moves what"):
        who.find_directions(shown, nobody)


def test_a_servo_that_does_not_follow_is_named(shown):
    class Jammed(Individual):
        def shaft(self, crank_rad):
            position = np.array(super().shaft(crank_rad))
            position[..., index("jaw")] = 0.0
            return position

    who, _, _ = subject(Jammed())
    with pytest.raises(CalibrationError, match="jaw was sent"):
        who.find_directions(shown, nobody)


def test_a_robot_that_nobody_sees_is_one_clear_error():
    face = SimFace(Body(Individual()))  # pyright: ignore[reportArgumentType]
    with pytest.raises(CalibrationError, match="no face"):
        Subject(face, lambda: None)


def test_an_interrupted_run_keeps_the_old_file(tmp_path, monkeypatch):
    old = Calibration.of(scenario.default_map(), where="old")
    old.save(tmp_path / "calibration.json")

    def pulled(*_, **__):
        raise BusError("the cable was pulled")

    monkeypatch.setattr(scenario, "calibrate", pulled)
    with pytest.raises(BusError, match="cable"):
        scenario.run("hidden:1", tmp_path, eye="plain")
    assert Calibration.load(tmp_path / "calibration.json").where == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["calibration.json"]


def test_after_a_failure_on_the_bus_the_robot_rests_and_is_limp():
    hidden = Individual.sample(np.random.default_rng(6))
    with HiddenRobot(hidden) as robot:
        looks = iter(range(12))

        def look():
            if next(looks, None) is None:
                raise InputError("the camera is gone")
            return PlainEye().see(robot.light.surface())

        with pytest.raises(InputError, match="camera"):
            scenario.calibrate(lambda: scenario.open_face(f"dynamixel:{robot.port}"), look, PlainEye())
        state = robot.emulator.state()
        assert not np.any(state["torque"])
        map_ = scenario.default_map()
        assert np.abs(map_.to_command(np.asarray(state["position"])) - REST_COMMAND).max() < 0.03


@pytest.mark.slow
def test_servos_are_identified_from_what_they_say():
    hidden = Individual.sample(np.random.default_rng(1)).told_through(np.ones(26), np.ones(26))
    faces, one, rng = IndividualFaces(hidden), np.arange(1), np.random.default_rng(0)
    sent, sent_s, read, read_s, goal = [], [], [], [], REST_COMMAND.copy()
    for k in range(60):
        fresh = rng.random(26) < 0.2
        step = np.exp(rng.uniform(np.log(0.04), np.log(0.35), 26)) * rng.choice([-1, 1], 26)
        goal = SafeSet.default().project(np.clip(np.where(fresh, REST_COMMAND + step, goal), 0.02, 0.98))
        sent.append(goal)
        sent_s.append(0.04 * k)
        for tick in range(10):
            if tick % 3 == 0:
                read.append(hidden.shaft(faces.servo_rad(one)[0]))
                read_s.append(0.04 * k + 0.004 * tick)
            faces.hold(one, goal[None], 1)
    shake = Shake(sent_s=np.array(sent_s), sent=np.array(sent), read_s=np.array(read_s), positions=np.array(read))
    fit = fit_servos(shake)
    assert np.median(np.abs(fit.values["delay_s"] - hidden.delay_s)) < 0.003
    assert np.median(np.abs(np.log(fit.values["gain"] / (hidden.gain / hidden.inertia)))) < 0.3
    assert np.median(np.abs(np.log(fit.values["speed"] / (hidden.speed * hidden.ratio)))) < 0.15
    assert SERVO_NAMES[int(np.argmax(fit.error))]


def test_a_recording_of_still_servos_is_refused():
    still = Shake(
        sent_s=np.arange(60.0), sent=np.tile(REST_COMMAND, (60, 1)), read_s=np.arange(60.0),
        positions=np.tile(REST_COMMAND, (60, 1)),
    )  # fmt: skip
    with pytest.raises(InputError, match="still were: neck_yaw"):
        fit_servos(still)
