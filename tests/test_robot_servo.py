import numpy as np
import pytest

from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.robot import servo
from duchenne.sim.robot.servo import SERVO_NAMES, SERVOS, SYMMETRIC_NAMES, expand, symmetric, to_command, to_rad


def test_26_servos_of_which_19_are_expressive_and_11_parameters_drive_them():
    assert len(SERVOS) == len(set(SERVO_NAMES)) == 26
    assert len(servo.EXPRESSIVE) == 19
    assert len(SYMMETRIC_NAMES) == 11
    assert [n for i, n in enumerate(SERVO_NAMES) if i not in servo.EXPRESSIVE] == [
        n for n in SERVO_NAMES if n.startswith("neck") or n.endswith(("eye_yaw", "eye_pitch"))
    ]


@pytest.mark.parametrize("shape", [(), (3,), (2, 5)])
def test_symmetric_parameters_survive_expansion(rng, shape):
    parameters = rng.uniform(size=(*shape, 11))
    assert expand(parameters).shape == (*shape, 26)
    np.testing.assert_allclose(symmetric(expand(parameters)), parameters)


def test_two_sides_differ_and_the_midline_takes_the_mean():
    command = expand(np.zeros(11), np.ones(11))
    assert command[servo.index("right_outer_brow")] == 0
    assert command[servo.index("left_outer_brow")] == 1
    assert command[servo.index("jaw")] == command[servo.index("upper_lip_center")] == 0.5
    np.testing.assert_array_equal(command[:7], servo.REST_COMMAND[:7])


def test_angles_are_zero_at_rest_and_convert_both_ways(rng):
    np.testing.assert_allclose(to_rad(servo.REST_COMMAND), 0, atol=1e-12)
    command = rng.uniform(size=(4, 26))
    np.testing.assert_allclose(to_command(to_rad(command)), command)
    assert (servo.LIMITS_RAD[:, 0] < servo.LIMITS_RAD[:, 1]).all()


def test_errors_name_what_is_allowed():
    with pytest.raises(VocabularyError, match="left_lower_lid"):
        servo.index("left_lid")
    with pytest.raises(InputError, match=r"\(…, 11\)"):
        expand(np.zeros(12))
