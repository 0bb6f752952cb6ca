import numpy as np
import pytest

from duchenne.hardware.guard import Guard
from duchenne.sim import mesh
from duchenne.sim.errors import CommandRejected, InputError, PhysicsDiverged
from duchenne.sim.robot.face import CONTROL_PERIOD_S, RobotFace, RobotFaces
from duchenne.sim.robot.face_skin import default_skin
from duchenne.sim.robot.limits import SafeSet
from duchenne.sim.robot.mechanism import MOVING
from duchenne.sim.robot.servo import REST_COMMAND, expand, index, to_command


@pytest.fixture(scope="module")
def commands() -> np.ndarray:
    return SafeSet.default().sample(np.random.default_rng(3), 12, symmetric_only=False)


def changed(**values: float) -> np.ndarray:
    command = REST_COMMAND.copy()
    for name, value in values.items():
        command[index(name)] = value
    return command


def test_at_rest_the_face_is_the_rest_mesh():
    state = RobotFace().state()
    np.testing.assert_allclose(state.vertices_m, mesh.REST, atol=1e-5)
    np.testing.assert_allclose(state.head_pose, np.eye(4), atol=1e-6)
    np.testing.assert_allclose(state.gaze_rad, 0, atol=1e-6)


def test_time_advances_by_the_control_period():
    face = RobotFace()
    times = [float(face.step(REST_COMMAND).time_s) for _ in range(3)]
    np.testing.assert_allclose(times, CONTROL_PERIOD_S * np.arange(1, 4), atol=1e-9)


def test_a_batch_is_bitwise_the_robots_one_by_one(commands):
    together, alone = RobotFaces(4, threads=2), [RobotFace() for _ in range(4)]
    for k in range(0, 12, 4):
        states = together.step(commands[k : k + 4])
        for i, face in enumerate(alone):
            one = face.step(commands[k + i])
            np.testing.assert_array_equal(states[i].servo_rad, one.servo_rad)
            np.testing.assert_array_equal(states[i].ports_m, one.ports_m)


def test_reset_forgets_everything(commands):
    face = RobotFace()
    first = [face.step(c).vertices_m for c in commands[:5]]
    face.reset()
    again = [face.step(c).vertices_m for c in commands[:5]]
    np.testing.assert_array_equal(first, again)


def test_a_settled_face_is_still_and_does_not_depend_on_the_way(commands):
    face = RobotFace()
    straight = face.settle(commands[0])
    still = face.step(commands[0])
    assert np.abs(still.vertices_m - straight.vertices_m).max() < 2e-4
    face.settle(commands[1])
    detour = face.settle(commands[0])
    assert np.abs(detour.vertices_m - straight.vertices_m).max() < 5e-4  # dry friction holds a little


def test_settled_servos_are_where_they_were_told(commands):
    reached = to_command(RobotFace().settle(commands[2]).servo_rad)
    assert np.abs(reached - commands[2]).max() < 0.05  # a position servo gives way a little to the skin


def test_neck_moves_the_head_and_leaves_the_skin_alone():
    face = RobotFace()
    turned = face.settle(changed(neck_yaw=0.9))
    assert turned.head_pose[0, 2] > 0.5, "the nose points to the subject's left"
    # gravity and dry friction shift the free lip joints by a little
    np.testing.assert_allclose(turned.vertices_m, mesh.REST, atol=4e-4)


def test_gaze_follows_the_eye_servos():
    state = RobotFace().settle(changed(right_eye_yaw=1.0, left_eye_yaw=1.0, left_eye_pitch=1.0))
    assert state.gaze_rad[:, 0] == pytest.approx([np.radians(30)] * 2, abs=0.02)
    assert state.gaze_rad[:, 1] == pytest.approx([0, np.radians(15)], abs=0.02)


def test_mirrored_commands_give_the_mirrored_face(rng):
    safe = SafeSet.default()
    right, left = rng.uniform(0.2, 0.6, size=(2, 11))
    one, other = safe.project(expand(right, left)), safe.project(expand(left, right))
    face = RobotFace()
    first = face.settle(one).vertices_m
    face.reset()
    second = face.settle(other).vertices_m
    assert np.abs(mesh.mirror(second) - first).max() < 3e-4  # the fitted skin is symmetric within its error


@pytest.mark.parametrize(
    "bad", [np.zeros(11), np.full(26, np.nan), np.full(26, 1.5), changed(jaw=-0.1), np.zeros((1, 26))]
)
def test_what_is_no_command_is_refused_and_nothing_moves(bad):
    face = RobotFace()
    before = face.state()
    with pytest.raises(InputError, match=r"0…1"):
        face.step(bad)
    np.testing.assert_array_equal(face.state().ports_m, before.ports_m)
    np.testing.assert_array_equal(face.command, REST_COMMAND)


def test_every_command_passes_the_gate(commands):
    face = RobotFace(new_gate=lambda: Guard().check)
    face.settle(commands[0])
    torn = changed(
        jaw=1.0, right_corner_upper=1.0, right_corner_lower=1.0, left_corner_upper=1.0, left_corner_lower=1.0
    )
    with pytest.raises(CommandRejected, match=r"rate|skin"):
        face.step(torn)
    np.testing.assert_array_equal(face.command, commands[0])
    with pytest.raises(CommandRejected, match="finite"):
        face.step(np.full(26, np.nan))
    face.reset()
    face.settle(commands[1])  # a reset robot stands at rest, and so does its gate


def test_divergence_is_an_error_and_not_a_silent_reset(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes a log into the working directory
    faces = RobotFaces(2)
    faces._fields["qpos"][1, 9] = np.nan
    with pytest.raises(PhysicsDiverged, match="robot 1"):
        faces.step(np.tile(REST_COMMAND, (2, 1)))
    faces.reset()
    state = faces.step(np.tile(REST_COMMAND, (2, 1)))
    assert np.isfinite(state.vertices_m).all()


def test_settled_ports_take_any_number_of_commands(commands):
    faces = RobotFaces(5)
    ports = faces.settled_ports(commands)
    assert ports.shape == (12, len(MOVING), 3)
    np.testing.assert_allclose(ports[7], RobotFaces(1).settled_ports(commands[7:8])[0], atol=1e-9)


def test_the_jaw_opens_the_mouth():
    state = RobotFace().settle(SafeSet.default().project(changed(jaw=1.0)))
    gap_m = state.vertices_m[13, 1] - state.vertices_m[14, 1]
    assert gap_m > 0.008


def test_some_vertices_are_as_among_all():
    skin, rng = default_skin(), np.random.default_rng(0)
    ports = rng.normal(0, 1e-3, (3, len(skin.ports), 3))
    places = (61, 5, 291, 152, 300)  # three of them ports
    np.testing.assert_allclose(skin.at(places, ports), skin.vertices(ports)[:, list(places)], atol=1e-8)
