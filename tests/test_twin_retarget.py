import numpy as np
import pytest

from duchenne.learning.self_model import SelfModel
from duchenne.sim import mesh
from duchenne.sim.camera import FaceReader, open_frames
from duchenne.sim.errors import InputError
from duchenne.sim.facs import BLENDSHAPES
from duchenne.sim.robot.servo import EXPRESSIVE, REST_COMMAND, index
from duchenne.twin.mirror import Mirror
from duchenne.twin.retarget import Retarget, neutral_from_one


@pytest.fixture
def retarget(rng) -> Retarget:
    """A robot that moves 2 mm up and 3 mm down from rest, in every coordinate."""
    rest = mesh.REST + rng.normal(scale=1e-3, size=mesh.REST.shape)
    person = mesh.REST * 1.1
    return Retarget(person, rest, rest - 3e-3, rest + 2e-3)


def test_rest_goes_to_rest(retarget):
    np.testing.assert_allclose(retarget(retarget.human_rest_m), retarget.robot_rest_m)


def test_small_motion_is_carried_over_and_large_motion_ends_at_the_robots_range(retarget):
    for motion, wanted in ((1e-3, 1e-3), (-1e-3, -1e-3), (9e-3, 2e-3), (-9e-3, -3e-3)):
        shown = retarget(retarget.human_rest_m + motion) - retarget.robot_rest_m
        np.testing.assert_allclose(shown, wanted, atol=1e-12)


def test_equation_2_as_printed_would_leave_the_robots_range(retarget):
    """Printed: Min((R_max − R_s), (L_H − H_s)) × K + R_s also for negative differences."""
    motion = np.full_like(retarget.human_rest_m, -9e-3)
    printed = np.minimum(retarget.robot_high_m - retarget.robot_rest_m, motion) + retarget.robot_rest_m
    assert (printed < retarget.robot_low_m).all(), "nothing bounds it: the misprint"
    corrected = retarget(retarget.human_rest_m + motion)
    assert (corrected >= retarget.robot_low_m - 1e-12).all()


def test_the_scale_stands_inside_the_limit(retarget):
    eager = Retarget(
        retarget.human_rest_m, retarget.robot_rest_m, retarget.robot_low_m, retarget.robot_high_m, scale=3.0
    )
    np.testing.assert_allclose(eager(eager.human_rest_m + 5e-4) - eager.robot_rest_m, 1.5e-3, atol=1e-12)
    assert (eager(eager.human_rest_m + 9e-3) <= eager.robot_high_m + 1e-12).all()


def test_a_persons_range_is_stretched_to_the_robots(retarget, rng):
    strongest = 4e-3
    faces = retarget.human_rest_m + strongest * np.sin(np.linspace(0, 20, 400))[:, None, None]
    fitted = retarget.calibrated(faces)
    np.testing.assert_allclose(fitted.scale, 3 / 4, rtol=0.02)
    np.testing.assert_allclose(fitted(fitted.human_rest_m - strongest), fitted.robot_low_m, atol=1e-4)
    with pytest.raises(InputError, match="10 finite faces"):
        retarget.calibrated(faces[:3])


def test_478_landmarks_and_batches_are_welcome_and_bad_ones_are_not(retarget):
    faces = np.zeros((5, 478, 3))
    faces[:, :468] = retarget.human_rest_m
    assert retarget(faces).shape == (5, 468, 3)
    faces[2, 7, 1] = np.nan
    with pytest.raises(InputError, match="not finite"):
        retarget(faces)
    with pytest.raises(InputError, match=r"\(…, 468, 3\)"):
        retarget(np.zeros((113, 2)))


def test_one_photo_of_a_smile_is_told_from_a_calm_face(face_model):
    model = SelfModel.default()
    with FaceReader(face_model) as reader, open_frames("portrait") as frames:
        face = reader.read(next(iter(frames)).rgb).require()
    mirror = Mirror(model)
    mirror.calibrate(neutral_from_one(model, face))
    mirror.mirror_face(face, 0.0)
    moved = mirror.goal - REST_COMMAND
    motion = np.einsum("s,svk->vk", moved[list(EXPRESSIVE)], mirror.refiner.shapes_m)
    assert motion[[61, 291], 1].min() > 3e-3, "the corners rise"
    assert motion[14, 1] < motion[13, 1] - 2e-3, "the lips part"
    assert np.abs(moved[[index("right_inner_brow"), index("left_inner_brow")]]).max() < 0.25, "and the brows stay"


def test_shapes_move_what_their_names_say():
    shapes = SelfModel.default().shapes_m
    assert shapes.shape == (len(BLENDSHAPES), 468, 3)
    assert shapes[BLENDSHAPES.index("mouthSmileLeft"), 291, 1] > 1e-3
    assert shapes[BLENDSHAPES.index("jawOpen"), 14, 1] < -3e-3
    assert shapes[BLENDSHAPES.index("browInnerUp"), [107, 336], 1].min() > 5e-4
