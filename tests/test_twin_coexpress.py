from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from duchenne.learning.expectation import Copying, Expectation
from duchenne.learning.self_model import SelfModel
from duchenne.sim import mesh
from duchenne.sim.alignment import align
from duchenne.sim.camera import Face, Neutral
from duchenne.sim.errors import InputError
from duchenne.sim.facs import BLENDSHAPES
from duchenne.sim.person.encounter import arrival_s, intensity
from duchenne.sim.robot.face import CONTROL_PERIOD_S, RobotFaces
from duchenne.sim.robot.limits import SafeSet, rate_limits
from duchenne.sim.robot.servo import EXPRESSIVE, REST_COMMAND, index
from duchenne.twin.coexpress import Coexpressor, Knowing
from duchenne.twin.discretion import Discretion, formula_face
from duchenne.twin.lids import BLINK_S, Lids, closure, without_closure
from duchenne.twin.refine import Refiner
from duchenne.twin.robot_lag import RobotLag, delay_s, minimum_jerk
from duchenne.twin.steering import LOST_AFTER_S, Steering
from duchenne.twin.timing import Mimicry, OneShot, Together, UnderWay

CAMERA_DELAY_S = 0.08
TIMES_S = np.arange(0, 4.0, 0.008)
ONSET_S, RISE_S, FALL_S = 1.0, 0.4, 2.4
COURSE = minimum_jerk((TIMES_S - ONSET_S) / RISE_S) - minimum_jerk((TIMES_S - FALL_S) / 0.6)
NOTHING = np.zeros((mesh.VERTEX_COUNT, 3))


class Scripted:
    """A watcher that expects what it is told to."""

    def __init__(self, expect):
        self.expect = expect

    def see(self, time_s, face_m):
        pass

    def hear(self, time_s, emg_uv):
        pass


class Anticipating(Copying):
    """Knows target and arrival once a camera could have seen a tenth of the change."""

    def __init__(self, apex_m):
        super().__init__()
        self.apex_m = apex_m

    def expect(self, now_s):
        seen = super().expect(now_s)
        shown = float(np.interp(now_s, TIMES_S, COURSE)) * self.apex_m
        for start_s, lasts_s, target in ((ONSET_S, RISE_S, self.apex_m), (FALL_S, 0.6, NOTHING)):
            if start_s + 0.25 * lasts_s + CAMERA_DELAY_S <= now_s < start_s + lasts_s:
                arrival = start_s + lasts_s - now_s
                return replace(seen, shown_m=shown, target_m=target, arrival_s=arrival, probability=0.95)
        return seen


@pytest.fixture(scope="module")
def smile():
    return 0.4 * formula_face("12")


@pytest.fixture(scope="module")
def refiner():
    return Refiner.default()


@pytest.fixture
def coexpressor(refiner):
    def make(watcher, timing=None, discretion=None):
        steering = Steering(SelfModel.default(), refiner=refiner)
        return Coexpressor(steering, watcher, timing=timing, discretion=discretion or Discretion.mirror_all())

    return make


def perform(coexpressor, faces_m):
    """The robot's landmark motion 125 times a second while a person makes faces, and the commands."""
    robot = RobotFaces(1, threads=1)
    rest, moved, commands = robot.state().vertices_m[0], [], []
    for now_s in np.arange(0, TIMES_S[-1] - CONTROL_PERIOD_S, CONTROL_PERIOD_S):
        if now_s >= CAMERA_DELAY_S:
            coexpressor.watcher.see(now_s - CAMERA_DELAY_S, faces_m[round((now_s - CAMERA_DELAY_S) / 0.008)])
        commands.append(coexpressor.step(now_s))
        for _ in range(5):
            robot.hold(np.array([0]), commands[-1][None], 1)
            moved.append(robot.state().vertices_m[0])
    return align(np.array(moved)) - align(rest), np.array(commands)


def asynchrony_ms(moved_m):
    """When the robot's smile arrives after hers, and how far its course is from hers, rms."""
    largest = moved_m[np.argmax((moved_m**2).sum((1, 2)))]
    course = intensity(moved_m, largest)
    times = TIMES_S[: len(course)]
    rising = times < FALL_S
    late = arrival_s(times[rising], course[rising]) - arrival_s(TIMES_S, COURSE)
    return 1e3 * late, float(np.sqrt(np.mean((course - COURSE[: len(course)]) ** 2)))


def steps(coexpressor, count, start=0):
    return np.array([coexpressor.step(k * CONTROL_PERIOD_S) for k in range(start, start + count)])


def known(time_s: float = 0.0, shown: NDArray[np.floating] = NOTHING, target=None, **others):
    others = {"sources": ("camera",), **others}
    return Expectation(time_s=time_s, shown_m=shown, target_m=shown if target is None else target, **others)


# --- lag ------------------------------------------------------------------------------------------------------


def test_a_delay_is_found_again():
    sent_s = np.arange(0, 1, 0.04)
    seen_s = np.arange(0, 1, 0.008)
    seen = np.interp(seen_s - 0.057, sent_s, minimum_jerk(sent_s / 0.8))
    assert delay_s(sent_s, minimum_jerk(sent_s / 0.8), seen_s, seen) == pytest.approx(0.057, abs=1e-9)
    with pytest.raises(InputError, match="does not move"):
        delay_s(sent_s, np.ones(25), seen_s, seen)


def test_the_robot_is_late_by_half_a_period_its_servos_delay_and_a_little():
    lag = RobotLag.default()
    assert CONTROL_PERIOD_S / 2 + 0.02 < lag.delay_s < CONTROL_PERIOD_S / 2 + 0.02 + 0.03
    assert lag.delay_sd_s < 0.01
    assert RobotLag.measure(seed=3).delay_s == pytest.approx(lag.delay_s, abs=0.008)


def test_the_shortest_time_is_that_of_the_slowest_servo():
    goal = REST_COMMAND.copy()
    goal[[index("right_corner_upper"), index("jaw")]] += 0.4
    assert RobotLag(delay_s=0.05).shortest_s(REST_COMMAND, goal) == pytest.approx(0.4 * 50 / 400)
    with pytest.raises(InputError, match="delay"):
        RobotLag(delay_s=-0.1)


# --- timing ---------------------------------------------------------------------------------------------------


def test_with_an_oracle_robot_and_person_smile_together(coexpressor, smile):
    moved, commands = perform(
        coexpressor(Knowing(TIMES_S, COURSE[:, None, None] * smile)), COURSE[:, None, None] * smile
    )
    late_ms, apart = asynchrony_ms(moved)
    assert abs(late_ms) < 20
    assert apart < 0.03
    assert SafeSet.default().contains(commands).all()


def test_mimicry_is_late_by_camera_and_robot_and_anticipation_is_not(coexpressor, smile):
    faces = COURSE[:, None, None] * smile
    mimicry, mimicry_apart = asynchrony_ms(perform(coexpressor(Copying(), Mimicry()), faces)[0])
    together, together_apart = asynchrony_ms(perform(coexpressor(Anticipating(smile)), faces)[0])
    assert mimicry == pytest.approx(1e3 * (CAMERA_DELAY_S + RobotLag.default().delay_s), abs=25)
    assert abs(together) < 40
    assert together_apart < 0.7 * mimicry_apart


def test_the_published_method_jumps_to_the_target_once(coexpressor, smile):
    script = Scripted(lambda now_s: known(now_s, NOTHING, smile, arrival_s=2.0 - now_s, probability=0.9))
    one_shot, together = coexpressor(script, OneShot()), coexpressor(script)
    for one in (one_shot, together):
        steps(one, 2)
    np.testing.assert_allclose(one_shot.motion_m, smile)
    assert np.abs(together.motion_m).max() < 0.1 * np.abs(smile).max()


def test_an_arrival_too_near_is_approached_as_fast_as_the_servos_can(coexpressor):
    smile = 0.7 * formula_face("12")
    script = Scripted(lambda now_s: known(now_s, NOTHING, smile, arrival_s=max(0.06 - now_s, 0), probability=0.9))
    commands = steps(coexpressor(script), 10)
    shortest = RobotLag.default().shortest_s(REST_COMMAND, commands[-1])
    there = np.abs(commands - commands[-1])[:, list(EXPRESSIVE)].max(1) < 1e-6
    assert np.argmax(there) + 1 == np.ceil(shortest / CONTROL_PERIOD_S)


def test_skin_keeps_its_shape_on_a_fast_way(coexpressor):
    script = Scripted(lambda now_s: known(now_s, 0.7 * formula_face("12"), probability=0.9))
    moved, _ = perform(coexpressor(script, Mimicry()), np.zeros(len(TIMES_S)))
    size = np.sqrt((moved**2).sum((1, 2)))
    assert size.max() < 1.05 * size[-1]


# --- false starts ---------------------------------------------------------------------------------------------


def test_under_way_has_hysteresis(smile):
    under_way, seen = UnderWay(start=0.6, stop=0.4), []
    for probability in (0.5, 0.65, 0.5, 0.35, 0.5):
        seen.append(under_way.follow(known(target=smile, probability=probability)))
    assert seen == [False, True, True, False, False]
    with pytest.raises(InputError, match="stop"):
        UnderWay(start=0.3, stop=0.4)


def test_a_blink_starts_nothing(coexpressor):
    blink = formula_face("45")
    script = Scripted(lambda now_s: known(now_s, NOTHING, blink, arrival_s=0.1, probability=0.99))
    np.testing.assert_allclose(steps(coexpressor(script), 10), np.tile(REST_COMMAND, (10, 1)), atol=0.01)


def test_a_blink_within_a_smile_does_not_show(coexpressor, smile):
    def expect(now_s):
        return known(now_s, smile + formula_face("45") * (2.0 <= now_s < 2.2))

    held = steps(coexpressor(Scripted(expect)), 70)
    np.testing.assert_allclose(held[50:], held[[49] * 20], atol=0.02)


def test_eyes_that_stay_closed_are_closed():
    lids, blink = Lids(), formula_face("45")
    for time_s in np.arange(0, BLINK_S, 0.04):
        lids.watch(time_s, NOTHING if time_s == 0 else blink)
    np.testing.assert_allclose(lids.watch(BLINK_S - 0.01, blink), 0, atol=1e-6)
    np.testing.assert_allclose(lids.watch(BLINK_S + 0.1, blink), 1, rtol=0.02)
    np.testing.assert_allclose(closure(without_closure(blink, np.array([1.0, 0.3]))), [1.0, 0.3], atol=0.05)


def test_a_false_start_is_taken_back_gently(coexpressor, smile):
    def expect(now_s):
        return known(now_s, NOTHING, smile, arrival_s=0.5, probability=0.9 if now_s < 0.1 else 0.1)

    commands = steps(coexpressor(Scripted(expect)), 60)
    largest = np.abs(commands - REST_COMMAND).max(1)
    assert largest.argmax() <= 3
    assert largest[-1] < 0.05 * largest.max()


# --- discretion, loss, Guard ----------------------------------------------------------------------------------


def test_contempt_is_not_returned(coexpressor):
    faces = COURSE[:, None, None] * formula_face("R12+R14")
    watcher = Knowing(TIMES_S, faces, ["contempt"] * len(TIMES_S))
    commands = steps(coexpressor(watcher, discretion=Discretion.default()), 60)
    np.testing.assert_allclose(commands, np.tile(REST_COMMAND, (60, 1)), atol=1e-6)


def test_a_smile_fades_as_hers_does(coexpressor, smile):
    names = np.where(TIMES_S < FALL_S, "happiness", "neutral")
    watcher = Knowing(TIMES_S, COURSE[:, None, None] * smile, list(names), ahead_s=0.1)
    discreet, copied = (
        steps(coexpressor(watcher, discretion=d), 90) for d in (Discretion.default(), Discretion.mirror_all())
    )
    np.testing.assert_allclose(discreet, copied, atol=1e-9)


def test_one_odd_name_changes_no_answer(coexpressor, smile):
    def expect(now_s):
        name = "contempt" if 0.99 < now_s < 1.05 else "happiness"
        return known(now_s, NOTHING, smile, arrival_s=0.1, probability=0.9, expression=name)

    commands = steps(coexpressor(Scripted(expect), discretion=Discretion.default()), 40)
    np.testing.assert_allclose(commands[20:], commands[[20] * 20], atol=1e-9)


def test_nobody_there_lets_the_robot_glide_to_rest(coexpressor, smile):
    def expect(now_s):
        there = known(now_s, smile, smile, probability=0.9, sources=("camera",) if now_s < 1.0 else ())
        return there if there.sources else replace(there, problem="no face for a while")

    one = coexpressor(Scripted(expect))
    smiling = steps(one, 25)[-1]
    held = steps(one, int(LOST_AFTER_S / CONTROL_PERIOD_S) - 1, start=25)
    np.testing.assert_allclose(held, np.tile(smiling, (len(held), 1)), atol=1e-9)
    gone = steps(one, 130, start=25 + len(held))
    fastest = np.abs(np.diff(gone, axis=0)) / rate_limits(CONTROL_PERIOD_S)
    assert fastest.max() < 0.25
    np.testing.assert_allclose(gone[-1], REST_COMMAND, atol=0.01)
    assert "nobody seen or heard for" in one.problem
    assert "no face for a while" in one.problem
    assert one.expected is not None


def test_a_missing_source_is_passed_on(coexpressor):
    one = coexpressor(Scripted(lambda now_s: known(now_s, sources=("emg",), problem="no face since 3.0 s")))
    one.step(0.0)
    assert one.problem == "no face since 3.0 s"


def test_whatever_is_expected_the_guard_lets_it_pass(coexpressor, rng):
    def expect(now_s):
        shown, target = (
            rng.normal(0, 0.01) * formula_face(rng.choice(["12", "26", "1+2", "45", "4+15"])) * 100 for _ in "ab"
        )
        return known(
            now_s, shown, target, arrival_s=rng.uniform(0, 0.5), probability=rng.uniform(),
            expression=rng.choice(["happiness", "anger", "neutral", "contempt"]),
            sources=("camera",) if rng.random() < 0.9 else (),
        )  # fmt: skip

    one = coexpressor(Scripted(expect), discretion=Discretion.default())
    commands = np.array([one.step(t) for t in np.cumsum(rng.uniform(0.005, 0.15, 150))])
    assert SafeSet.default().contains(commands).all()


def test_neck_and_eyes_follow_a_face_and_come_back(coexpressor, smile):
    irises = [np.tile(mesh.REST[list(loop)].mean(0), (5, 1)) for loop in (mesh.EYE_RIGHT, mesh.EYE_LEFT)]
    points = np.concatenate([mesh.REST, *irises])
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(0.2), 0, np.sin(0.2)], [0, 1, 0], [-np.sin(0.2), 0, np.cos(0.2)]]
    smiling = points.copy()
    smiling[: mesh.VERTEX_COUNT] += smile
    face = Face(smiling, smiling, np.zeros(len(BLENDSHAPES)), pose, {})
    one = coexpressor(Copying(), Mimicry())
    with pytest.raises(InputError, match="calibrate"):
        one.look(0.0, face)
    one.calibrate(Neutral(points, np.zeros(len(BLENDSHAPES)), np.zeros((2, 2)), (0,)))
    one.look(0.0, face)
    turned = steps(one, 20)[-1]
    assert turned[index("neck_yaw")] == pytest.approx(0.5 + 0.2 / np.radians(140), abs=1e-3)
    np.testing.assert_allclose(one.motion_m, smile, atol=1e-9)
    assert steps(one, 130, start=20)[-1][index("neck_yaw")] == pytest.approx(0.5, abs=1e-3)


def test_a_course_must_be_one(smile):
    for times, faces in ((np.arange(3.0), np.zeros((2, 468, 3))), (np.zeros(2), np.zeros((2, 468, 3)))):
        with pytest.raises(InputError, match="course"):
            Knowing(times, faces)


def test_together_is_what_a_coexpressor_does_by_itself(coexpressor):
    assert isinstance(coexpressor(Copying()).timing, Together)
