import numpy as np
import pytest

from duchenne.learning.expectation import Expectation
from duchenne.sim.mesh import VERTEX_COUNT
from duchenne.twin.both_senses import HEARD_SHARE, BothSenses

ONES = np.ones((VERTEX_COUNT, 3))


class Says:
    """Expects a face that is so large, from a source; keeps what it was given."""

    def __init__(self, source, size, probability=0.5, problem=""):
        self.said, self.got = (source, size, probability, problem), []

    def see(self, time_s, face_m):
        self.got.append("picture")

    def hear(self, time_s, emg_uv):
        self.got.append("emg")

    def expect(self, now_s):
        source, size, probability, problem = self.said
        return Expectation(
            time_s=now_s, shown_m=0 * ONES, target_m=size * ONES, arrival_s=0.1, probability=probability,
            expression=source, sources=(source,) if size else (), problem=problem,
        )  # fmt: skip


def test_each_gets_its_own_and_the_face_is_shared_out():
    camera, emg = Says("camera", 1.0, 0.3), Says("emg", 2.0, 0.8)
    both = BothSenses(camera, emg)
    both.see(0.0, ONES)
    both.hear(0.0, np.zeros((4, 2)))
    assert (camera.got, emg.got) == (["picture"], ["emg"])
    expected = both.expect(1.0)
    assert expected.sources == ("camera", "emg")
    np.testing.assert_allclose(expected.at(0.2), (1 - HEARD_SHARE + 2 * HEARD_SHARE) * ONES)
    assert (expected.expression, expected.probability) == ("emg", 0.8)


@pytest.mark.parametrize(("seen", "heard", "left"), [(1.0, 0.0, "camera"), (0.0, 1.0, "emg")])
def test_the_one_that_is_left_has_the_word(seen, heard, left):
    expected = BothSenses(Says("camera", seen), Says("emg", heard)).expect(0.0)
    assert expected.sources == (left,)
    np.testing.assert_allclose(expected.target_m, ONES)


def test_problems_of_pictures_are_told_once():
    both = BothSenses(Says("camera", 0.0, problem="no face for 2.0 s"), Says("emg", 1.0, problem="no pictures; no EMG"))
    assert both.expect(0.0).problem == "no face for 2.0 s; no EMG"
