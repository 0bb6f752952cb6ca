from contextlib import contextmanager

import numpy as np
import pytest

from duchenne.learning.babble import HALVES, Babble, babble, robot_station
from duchenne.scenarios.train import guarded_station
from duchenne.sim.camera import Sighting
from duchenne.sim.errors import InputError, ModelFileError
from duchenne.sim.robot.face import RobotFace
from duchenne.sim.robot.limits import SafeSet
from duchenne.sim.robot.servo import MOUTH_PARAMETERS, REST_COMMAND, UPPER_PARAMETERS, symmetric


@pytest.fixture(scope="module")
def few(face_model) -> Babble:
    return babble(np.random.default_rng(5), n_upper=4, n_mouth=4, n_all=2, station=guarded_station, workers=1)


def test_it_sees_itself_and_moves_the_announced_half_only(few):
    assert few.seen.all()
    assert [HALVES[h] for h in few.half] == ["upper"] * 4 + ["mouth"] * 4 + ["all"] * 2
    rest = symmetric(REST_COMMAND)
    _, upper = few.of("upper")
    _, mouth = few.of("mouth")
    np.testing.assert_allclose(upper[:, list(MOUTH_PARAMETERS)], np.tile(rest[list(MOUTH_PARAMETERS)], (4, 1)))
    np.testing.assert_allclose(mouth[:, list(UPPER_PARAMETERS)], np.tile(rest[list(UPPER_PARAMETERS)], (4, 1)))
    assert SafeSet.default().contains(few.servo_commands).all()


def test_what_it_sees_follows_what_it_does(few):
    true = few.vertices_m - few.vertices_m.mean(0)
    seen = few.aligned_m[:, :468] - few.aligned_m[:, :468].mean(0)
    lips = [0, 13, 14, 17, 61, 291]
    assert np.corrcoef(true[:, lips].ravel(), seen[:, lips].ravel())[0, 1] > 0.6


def test_the_guard_changes_nothing_and_the_same_seed_gives_the_same_faces(few):
    again = babble(np.random.default_rng(5), n_upper=4, n_mouth=4, n_all=2, station=robot_station, workers=1)
    np.testing.assert_array_equal(again.aligned_m, few.aligned_m)
    np.testing.assert_array_equal(again.servo_commands, few.servo_commands)


def test_it_survives_a_file(few, tmp_path):
    back = Babble.load(few.save(tmp_path / "babble.npz"))
    np.testing.assert_allclose(back.aligned_m, few.aligned_m, atol=1e-7)
    np.testing.assert_allclose(back.blendshapes, few.blendshapes, atol=1e-6)
    (tmp_path / "broken.npz").write_bytes(b"not a file of ours")
    with pytest.raises(ModelFileError):
        Babble.load(tmp_path / "broken.npz")


class _Nothing:
    def image(self, vertices_m, *, head_pose=None, gaze_rad=None):
        return np.zeros((64, 64, 3), np.uint8)

    def read(self, rgb, time_s=0.0):
        return Sighting(time_s=time_s, face=None, problem="no face")


@contextmanager
def blind_station():
    yield RobotFace(), _Nothing(), _Nothing()


def test_a_camera_that_sees_no_face_is_an_error():
    with pytest.raises(InputError, match="found the robot's face in 0 of"):
        babble(np.random.default_rng(0), n_upper=2, n_mouth=2, n_all=0, station=blind_station, workers=1)
