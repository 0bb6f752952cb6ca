"""The few numbers that say what a face does."""

import numpy as np
import pytest

from duchenne.learning.anticipation import Anticipator
from duchenne.learning.face_space import FaceSpace
from duchenne.sim import mesh
from duchenne.sim.errors import InputError


@pytest.fixture(scope="module")
def space() -> FaceSpace:
    rng = np.random.default_rng(0)
    return FaceSpace.fit(1e-3 * rng.standard_normal((3, 20, 468, 3)), components=12)


def test_coordinates_survive_the_way_there_and_back(space, rng):
    coordinates = rng.standard_normal((5, 12))
    np.testing.assert_allclose(space.encode(space.decode(coordinates)), coordinates, atol=1e-5)


def test_the_norm_is_the_rms_motion_in_mm(space, rng):
    coordinates = rng.standard_normal(12)
    rms_mm = 1e3 * np.sqrt((space.decode(coordinates) ** 2).sum(1).mean())
    assert rms_mm == pytest.approx(np.linalg.norm(coordinates), rel=1e-5)


def test_most_motion_comes_first(space, rng):
    faces = 1e-3 * rng.standard_normal((3, 468, 3)) * np.array([1, 0, 0])
    fitted = FaceSpace.fit([100 * faces, 1e-3 * rng.standard_normal((30, 468, 3))], components=3)
    np.testing.assert_allclose(fitted.decode(fitted.encode(faces)), faces, atol=2e-5)


def test_mirroring_coordinates_mirrors_the_face():
    space = Anticipator.default().space
    smile = np.zeros(len(space))
    smile[0] = 1.0
    mirrored = mesh.mirror(space.decode(smile))
    np.testing.assert_allclose(space.encode(mirrored), smile @ space.mirrored, atol=1e-5)


def test_wrong_bases_are_refused(rng):
    with pytest.raises(InputError, match="1404"):
        FaceSpace(np.zeros((3, 10)))
    with pytest.raises(InputError, match="as many faces"):
        FaceSpace.fit(np.zeros((1, 3, 468, 3)), components=5)
