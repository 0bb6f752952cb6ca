"""Trials of co-expression: what counts as together, late, unanswered or begun without reason."""

import dataclasses

import numpy as np
import pytest

from duchenne.learning.expectation import Copying
from duchenne.learning.self_model import SelfModel
from duchenne.scenarios.coexpression_trials import VIEWS, company, false_starts, perform, pictures, robot_faces
from duchenne.sim.errors import InputError
from duchenne.sim.person.behaviour import Act
from duchenne.sim.person.encounter import STEADY, Encounter, meet
from duchenne.sim.person.person import Person
from duchenne.sim.robot.servo import REST_COMMAND
from duchenne.twin.coexpress import Coexpressor, Knowing
from duchenne.twin.discretion import Discretion
from duchenne.twin.steering import Steering
from duchenne.twin.timing import Mimicry

PERIOD_S = 0.04


@pytest.fixture(scope="module")
def met() -> Encounter:
    smile = Act(what="smile", onset_s=2.0, hold_s=1.2, intensity=1.0)
    return meet(Person.sample(8), seed=8, seconds=6.0, acts=[smile])


def _late(met: Encounter, late_s: float) -> np.ndarray:
    """A robot that shows exactly her face, so much later; its face f is that of one period after `times_s[f]`."""
    then = np.clip(met.times_s + PERIOD_S - late_s, 0, met.times_s[-1]) / PERIOD_S
    low = np.minimum(then.astype(int), len(then) - 2)
    share = (then - low)[:, None, None]
    return (1 - share) * met.truth_m[low] + share * met.truth_m[low + 1]


@pytest.mark.parametrize("late_s", [-0.1, 0.0, 0.06, 0.2])
@pytest.mark.parametrize("size", [0.5, 1.0])
def test_lateness_is_the_shift_of_the_rise_whatever_its_size(met, late_s, size):
    found = company(met, met.acts[0], size * _late(met, late_s), met.truth_m)
    assert found.late_s == pytest.approx(late_s, abs=0.006)
    assert found.arrival_s == pytest.approx(late_s, abs=0.03)
    assert found.share == pytest.approx(size, abs=0.1)


def test_a_robot_at_rest_has_not_answered(met):
    found = company(met, met.acts[0], np.zeros_like(met.truth_m), met.truth_m)
    assert found.late_s == np.inf
    assert np.isnan(found.arrival_s)
    assert found.error_m > 1e-4


def test_who_shows_her_face_at_once_makes_no_error_and_no_false_start(met):
    found = company(met, met.acts[0], _late(met, 0.0), met.truth_m)
    assert found.error_m < 1e-6
    for late_s in (0.0, 0.2):
        assert false_starts(met, _late(met, late_s), _late(met, 0.0))[0] == 0


def test_smiling_without_reason_is_counted_once_each_time(met):
    robot = _late(met, 0.0)
    for first in (5, 20):
        robot[first : first + 8] += met.acts[0].apex_m
    starts, calm_s = false_starts(met, robot, _late(met, 0.0))
    assert starts == 2
    assert 0 < calm_s < 6


def test_views_take_away_what_they_say(met, rng):
    seen = {view: pictures(met, view, np.random.default_rng(0)) for view in VIEWS}
    assert all(len(faces) == len(met.seen_m) for faces in seen.values())
    assert all(face is None for face in seen["covered"])
    assert 0.1 < np.mean([face is None for face in seen["dark"]]) < 0.5
    np.testing.assert_array_equal(np.array(seen["clear"]), met.seen_m)
    mask, side = np.array(seen["mask"]), np.array(seen["side"])
    assert not mask[:, 152].any()  # the chin
    np.testing.assert_array_equal(mask[:, 10], met.seen_m[:, 10])  # the forehead
    assert np.abs(side[:, 454]).sum() < np.abs(met.seen_m[:, 454]).sum()
    with pytest.raises(InputError, match="clear, mask"):
        pictures(met, "through a wall", rng)


def _controller(watcher, timing=None) -> Coexpressor:
    return Coexpressor(Steering(SelfModel.default()), watcher, timing=timing, discretion=Discretion.mirror_all())


def test_who_knows_what_she_will_do_is_on_time_and_who_copies_is_late(met):
    """The whole loop, with the simulated robot at its end."""
    controllers = _controller(Knowing(met.times_s, met.truth_m)), _controller(Copying(), Mimicry())
    commands = [
        perform(met, one, pictures(met, "clear", np.random.default_rng(0)), listens=False) for one in controllers
    ]
    oracle, mimic = robot_faces(commands)
    model = SelfModel.default()
    low, high = model.low_m - model.rest_m, model.high_m - model.rest_m
    wanted = np.clip(met.truth_m, np.minimum(low, 0), np.maximum(high, 0))
    knowing, copying = (company(met, met.acts[0], robot, wanted) for robot in (oracle, mimic))
    assert abs(knowing.late_s) < 0.05
    assert copying.late_s > 0.09
    assert knowing.error_m < copying.error_m


def test_robots_start_at_rest_and_stay_there():
    still = robot_faces([np.repeat(REST_COMMAND[None], 5, axis=0)])
    assert still.shape == (1, 5, 468, 3)
    assert np.abs(still[:, :, STEADY]).max() < 5e-4


def test_pictures_come_late_and_in_order(met):
    """The loop gives every picture once, as late as the camera is."""
    given: list[tuple[float, float]] = []

    class Spy(Copying):
        now_s = 0.0

        def see(self, time_s, face_m):
            given.append((time_s, self.now_s))
            super().see(time_s, face_m)

        def expect(self, now_s):
            self.now_s = now_s + PERIOD_S  # what comes next is seen one period later
            return super().expect(now_s)

    short = dataclasses.replace(met, times_s=met.times_s[:50])
    perform(short, _controller(Spy(), Mimicry()), pictures(met, "clear", np.random.default_rng(0))[:50], listens=False)
    times = np.array(given)
    np.testing.assert_allclose(np.diff(times[:, 0]), PERIOD_S)
    assert (times[:, 1] - times[:, 0] >= met.camera_delay_s - 1e-9).all()
