import numpy as np
import pytest

from duchenne.learning.self_model import SelfModel
from duchenne.sim import mesh
from duchenne.sim.camera import Face, Neutral, head_angles
from duchenne.sim.facs import BLENDSHAPES
from duchenne.sim.robot.face import CONTROL_PERIOD_S
from duchenne.sim.robot.limits import SafeSet
from duchenne.sim.robot.servo import EXPRESSIVE, REST_COMMAND, index
from duchenne.twin.attention import attend
from duchenne.twin.mirror import LOST_AFTER_S, Mirror
from duchenne.twin.refine import Refiner

IRISES = [np.tile(mesh.REST[list(loop)].mean(0), (5, 1)) for loop in (mesh.EYE_RIGHT, mesh.EYE_LEFT)]
NEUTRAL = Neutral(np.concatenate([mesh.REST, *IRISES]), np.zeros(len(BLENDSHAPES)), np.zeros((2, 2)), (0,))


def face(motion_m=0.0, yaw=0.0, pitch=0.0, roll=0.0):
    """The neutral face moved by `motion_m`, its head turned as the robot's neck would turn it."""
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (yaw, pitch, roll))
    pose = np.eye(4)
    pose[:3, :3] = (
        np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        @ np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    )
    points = NEUTRAL.aligned_m.copy()
    points[: mesh.VERTEX_COUNT] += motion_m
    return Face(points, points, np.zeros(len(BLENDSHAPES)), pose, {})


def smile(millimetres):
    motion = np.zeros((mesh.VERTEX_COUNT, 3))
    for corner, outward in ((61, -1), (291, 1)):
        near = np.exp(-(np.linalg.norm(mesh.REST - mesh.REST[corner], axis=1) ** 2) / 0.012**2)
        motion += near[:, None] * np.array([0.6 * outward, 0.8, 0]) * millimetres * 1e-3
    return motion


@pytest.fixture(scope="module")
def refiner():
    return Refiner.default()


@pytest.fixture
def mirror(refiner):
    mirror = Mirror(SelfModel.default(), refiner=refiner)
    mirror.calibrate(NEUTRAL)
    return mirror


def follow(mirror, faces):
    return np.array([mirror.mirror_face(f, k * CONTROL_PERIOD_S) for k, f in enumerate(faces)])


def test_every_command_is_safe_and_the_goal_is_reached(mirror):
    commands = follow(mirror, [face(smile(8))] * 30)
    assert SafeSet.default().contains(commands).all()
    np.testing.assert_allclose(commands[-1], mirror.goal, atol=1e-3)


def test_a_smile_raises_the_corners_of_the_mouth(mirror, refiner):
    command = follow(mirror, [face(smile(8))] * 30)[-1]
    motion = np.einsum("s,svk->vk", (command - REST_COMMAND)[list(EXPRESSIVE)], refiner.shapes_m)
    assert motion[61, 1] > 3e-3
    assert motion[291, 1] > 3e-3
    assert motion[291, 0] > 0 > motion[61, 0]


def test_before_calibration_the_robot_rests(refiner):
    commands = follow(Mirror(SelfModel.default(), refiner=refiner), [face(smile(8))] * 3)
    np.testing.assert_allclose(commands, np.tile(REST_COMMAND, (3, 1)), atol=1e-9)


def test_without_a_face_the_robot_holds_and_then_rests(mirror):
    smiling = follow(mirror, [face(smile(8))] * 30)[-1]
    held = mirror.mirror_face(None, 30 * CONTROL_PERIOD_S)
    np.testing.assert_allclose(held, smiling, atol=1e-6)
    times = (30 + np.arange(1, 60)) * CONTROL_PERIOD_S
    assert times[-1] > LOST_AFTER_S
    np.testing.assert_allclose([mirror.mirror_face(None, t) for t in times][-1], REST_COMMAND, atol=1e-6)


def test_slow_frames_are_bridged_at_the_control_rate(mirror):
    mirror.mirror_face(face(smile(8)), 0.0)
    ticks = []
    for time_s in mirror.ticks_before(0.2):
        mirror.hold(time_s)
        ticks.append(time_s)
    np.testing.assert_allclose(ticks, [0.04, 0.08, 0.12, 0.16])


def test_head_angles_undo_the_turn():
    turned = face(yaw=0.3, pitch=-0.2, roll=0.1)
    np.testing.assert_allclose(head_angles(turned.pose), [0.3, -0.2, 0.1], atol=1e-12)
    np.testing.assert_allclose(head_angles(turned.pose * 1.7), [0.3, -0.2, 0.1], atol=1e-12)


@pytest.mark.parametrize(("angle", "servo"), [("yaw", "neck_yaw"), ("pitch", "neck_pitch"), ("roll", "neck_roll")])
def test_the_neck_follows_the_head(angle, servo):
    more, less = (attend(REST_COMMAND, face(**{angle: a}), np.zeros((2, 2)))[index(servo)] for a in (0.1, -0.1))
    assert more > REST_COMMAND[index(servo)] > less


def test_the_neutral_nod_does_not_count():
    nodding = face(pitch=-0.25)
    assert attend(REST_COMMAND, nodding, np.zeros((2, 2)), -0.25)[index("neck_pitch")] == pytest.approx(0.5)


def test_eyes_look_where_the_irises_are():
    looking = face()
    looking.aligned_m[468:, 0] += 0.003
    command = attend(REST_COMMAND, looking, np.zeros((2, 2)))
    assert command[index("right_eye_yaw")] == command[index("left_eye_yaw")] > 0.5


def test_refiner_finds_a_command_again(refiner, rng):
    places = list(EXPRESSIVE)
    sharp = Refiner(refiner.shapes_m, refiner.weights, refiner.safe_set, prior_m=1e-5)
    for command in SafeSet.default().sample(rng, 10, symmetric_only=False):
        motion = np.einsum("s,svk->vk", (command - REST_COMMAND)[places], refiner.shapes_m)
        np.testing.assert_allclose(sharp(motion, REST_COMMAND), command, atol=1e-4)


def test_refiner_answers_are_safe_and_no_safe_step_is_better(refiner, rng):
    def cost(command):
        left = np.einsum("s,svk->vk", (command - REST_COMMAND)[places], refiner.shapes_m) - motion
        return (refiner.weights * (left**2).sum(1)).sum() + refiner.prior_m**2 * ((command - start)[places] ** 2).sum()

    places, safe = list(EXPRESSIVE), SafeSet.default()
    for _ in range(10):
        motion, start = rng.normal(0, 0.01, (mesh.VERTEX_COUNT, 3)), safe.sample(rng, 1)[0]
        motion += 2 * np.einsum("s,svk->vk", rng.normal(0, 0.5, len(places)), refiner.shapes_m)
        best = refiner(motion, start)
        assert safe.contains(best)
        for other in safe.sample(rng, 20, symmetric_only=False):
            assert cost(best + 1e-3 * (other - best)) >= cost(best) - 1e-9
