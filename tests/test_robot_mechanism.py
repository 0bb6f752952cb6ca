import mujoco
import numpy as np
import pytest

from duchenne.sim import mesh
from duchenne.sim.robot import mechanism, servo, tension
from duchenne.sim.robot.face_skin import moving_stiffness


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return mechanism.build().compile()


def settled(model: mujoco.MjModel, command: np.ndarray, steps: int = 150) -> mujoco.MjData:
    data = mujoco.MjData(model)
    data.ctrl[[model.actuator(n).id for n in servo.SERVO_NAMES]] = servo.to_rad(command)
    mujoco.mj_step(model, data, steps)
    mujoco.mj_forward(model, data)
    return data


def moved(**commands: float) -> np.ndarray:
    command = servo.REST_COMMAND.copy()
    for name, value in commands.items():
        command[servo.index(name)] = value
    return command


def sites(model, data) -> np.ndarray:
    return np.array([data.site(f"magnet_{v}").xpos for v in mechanism.SITES])


def test_it_has_the_parts_of_the_paper(model):
    assert model.nu == 26
    assert len(mechanism.MAGNETS) == len(set(mechanism.MAGNETS)) == 30
    assert model.neq == 2, "one loop for each five-bar"
    assert {model.cam(i).name for i in range(model.ncam)} == {"right_eye", "left_eye"}
    passive = [model.joint(i).name for i in range(model.njnt) if model.joint(i).name.endswith("passive")]
    assert len(passive) == 6 + 4


def test_ports_are_distinct_and_hold_every_magnet():
    assert len(set(mechanism.PORTS)) == len(mechanism.PORTS)
    assert set(mechanism.MAGNETS) <= set(mechanism.PORTS)
    assert mechanism.PORTS[: len(mechanism.MOVING)] == mechanism.MOVING


def test_at_rest_every_magnet_sits_on_its_vertex(model):
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(sites(model, data), mesh.REST[list(mechanism.SITES)], atol=1e-12)
    ports = mechanism.port_displacements(sites(model, data), np.array(0.0), np.zeros(4))
    np.testing.assert_allclose(ports, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "vertex", "axis", "sign"),
    [
        ("right_inner_brow", 107, 1, 1),
        ("left_outer_brow", 334, 1, 1),
        ("left_corner_upper", 291, 0, 1),
        ("right_corner_upper", 61, 0, -1),
        ("left_corner_lower", 291, 1, 1),
        ("upper_lip_center", 0, 1, 1),
        ("jaw", 17, 1, -1),
    ],
)
def test_a_rising_command_moves_the_feature_as_its_meaning_says(model, name, vertex, axis, sign):
    low, high = (settled(model, moved(**{name: v})).site(f"magnet_{vertex}").xpos[axis] for v in (0.0, 1.0))
    assert sign * (high - low) > 0.004


def test_mirrored_commands_give_mirrored_magnets(model, rng):
    right, left = rng.uniform(0.2, 0.8, size=(2, 11))
    one = sites(model, settled(model, servo.expand(right, left)))
    other = sites(model, settled(model, servo.expand(left, right)))
    place = {v: i for i, v in enumerate(mechanism.SITES)}
    swapped = [place[int(mesh.MIRROR[v])] for v in mechanism.SITES]
    np.testing.assert_allclose(other[swapped] * [-1, 1, 1], one, atol=2e-5)


def test_five_bar_loops_stay_closed(model, rng):
    for _ in range(5):
        data = settled(model, servo.expand(rng.uniform(size=11)))
        for side in ("right", "left"):
            gap = data.site(f"{side}_corner_upper_tip").xpos - data.site(f"{side}_corner_lower_tip").xpos
            assert np.linalg.norm(gap) < 2e-4


def test_the_lids_meet_when_they_turn_by_their_aperture():
    at_rest = mesh.REST[list(mechanism.SITES)]
    closed = mechanism.port_displacements(at_rest, np.array(0.0), np.array([-mechanism.LID_APERTURE_RAD, 0, 0, 0]))
    first = len(mechanism.MOVING) - 28
    upper = mesh.REST[list(mechanism.UPPER_LIDS[0])] + closed[first : first + 7]
    lower = mesh.REST[list(mechanism.LOWER_LIDS[0])]
    assert np.abs(upper[:, 1] - lower[:, 1]).max() < 1.6e-3
    assert np.abs(closed[first + 14 :]).max() == 0


def test_neck_and_eye_cameras_turn(model):
    data = settled(model, moved(neck_yaw=1.0, left_eye_yaw=1.0, left_eye_pitch=1.0))
    nose = data.body("head").xmat.reshape(3, 3) @ [0, 0, 1]
    assert nose[0] > 0.5, "the head looks to the subject's left"
    view = -data.cam("left_eye").xmat.reshape(3, 3)[:, 2]  # cameras look along -z
    assert view[0] > nose[0]
    assert view[1] > 0.2


def test_a_servo_waits_for_its_delay_keeps_its_slew_and_arrives(model):
    data = mujoco.MjData(model)
    name, place = "left_upper_lid", servo.index("left_upper_lid")
    data.ctrl[model.actuator(name).id] = servo.LIMITS_RAD[place, 0]
    angle = []
    for _ in range(60):
        mujoco.mj_step(model, data)
        angle.append(float(data.joint(name).qpos[0]))
    angle, step_s = np.array(angle), model.opt.timestep
    assert abs(angle[0]) < 1e-3, "nothing moves before the delay"
    assert np.abs(np.diff(angle)).max() / step_s < 1.1 * np.radians(servo.SERVOS[place].slew_deg_s)
    assert angle[-1] == pytest.approx(servo.LIMITS_RAD[place, 0], abs=np.radians(1.5))


def test_tendons_reproduce_the_condensed_stiffness(model):
    joints = tension.skin_joints(model)
    jacobian = tension.port_jacobian(model, joints)
    wanted = jacobian.T @ moving_stiffness() @ jacobian
    got = np.zeros_like(wanted)
    for tendon in tension.skin_tendons(moving_stiffness()):
        row = np.zeros(len(joints))
        for joint, weight in tendon.weights:
            row[joints.index(joint)] = weight
        got += tendon.stiffness_nm * np.outer(row, row)
    # blocks (brows, lids, mouth) are coupled only through far, stiffly held skin
    assert np.linalg.norm(got - wanted) < 0.02 * np.linalg.norm(wanted)


def test_the_skin_settles_the_passive_lip_joints():
    soft = mechanism.build(tension=tension.skin_tendons(moving_stiffness())).compile()
    command = moved(upper_lip_center=1.0)
    with_skin = sites(soft, settled(soft, command))[mechanism.SITES.index(0)]
    bare = mechanism.build().compile()
    without = sites(bare, settled(bare, command))[mechanism.SITES.index(0)]
    rest = mesh.REST[0]
    assert 0.001 < np.linalg.norm(with_skin - rest) < np.linalg.norm(without - rest)


def test_a_finer_time_step_gives_the_same_motion_less_than_a_step_apart():
    tendons = tension.skin_tendons(moving_stiffness())
    command = moved(left_corner_upper=0.9, left_corner_lower=0.7, jaw=0.4, right_inner_brow=0.9, left_upper_lid=0.1)
    paths = {}
    for step_s in (0.008, 0.001):
        model = mechanism.build(mechanism.MechanismConfig(timestep_s=step_s), tendons).compile()
        data = mujoco.MjData(model)
        data.ctrl[[model.actuator(n).id for n in servo.SERVO_NAMES]] = servo.to_rad(command)
        path = []
        for _ in range(round(0.4 / step_s)):
            mujoco.mj_step(model, data)
            mujoco.mj_kinematics(model, data)
            path.append(sites(model, data))
        paths[step_s] = np.array(path)
    fine = paths[0.001]
    coarse = paths[0.008]
    np.testing.assert_allclose(coarse[-1], fine[-1], atol=1e-4)
    # every coarse sample lies on the fine path, at most one coarse step earlier or later
    for k, sample in enumerate(coarse):
        near = fine[max(8 * k - 1, 0) : 8 * k + 16]
        assert np.linalg.norm(near - sample, axis=-1).min(0).max() < 2e-3  # of 28 mm; the light passive joints ring
