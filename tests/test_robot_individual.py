"""Robots that differ from the design: ranges, directions, linkages, skin, and what is left for whoever knows them."""

import numpy as np
import pytest

from duchenne.sim.alignment import align
from duchenne.sim.camera import head_angles
from duchenne.sim.errors import InputError
from duchenne.sim.robot.face import RobotFaces
from duchenne.sim.robot.individual import RANGES, Individual, IndividualFaces
from duchenne.sim.robot.limits import SafeSet
from duchenne.sim.robot.servo import EXPRESSIVE, REST_COMMAND, index, to_command, to_rad
from duchenne.sim.robot.sight import PlainEye, Surface

COMMANDS = SafeSet.default().sample(np.random.default_rng(1), 4, symmetric_only=False)


def settled_m(individual: Individual) -> np.ndarray:
    return align(IndividualFaces(individual, len(COMMANDS)).settled(COMMANDS).vertices_m)


def test_the_design_is_an_individual_too():
    robots = RobotFaces(len(COMMANDS), threads=1)
    design = align(robots.skin.vertices(robots.settled_ports(COMMANDS)))
    np.testing.assert_allclose(settled_m(Individual()), design, atol=1e-4)


def test_samples_are_plausible_and_repeatable():
    one, same = (Individual.sample(np.random.default_rng(3)) for _ in range(2))
    for name, (low, high) in RANGES.items():
        values = getattr(one, name)
        assert ((values >= low) & (values <= high)).all()
        np.testing.assert_array_equal(values, getattr(same, name))
    assert np.sum(one.direction < 0) == 1
    assert np.argmin(one.direction) in EXPRESSIVE


def test_whoever_knows_the_linkages_has_the_designs():
    hidden = Individual.sample(np.random.default_rng(5))
    known = hidden.told_through(hidden.direction, hidden.ratio)
    np.testing.assert_array_equal(known.direction, 1)
    np.testing.assert_allclose(known.ratio, 1)
    np.testing.assert_allclose(known.speed * known.ratio, hidden.speed * hidden.ratio)
    np.testing.assert_allclose(known.crank_rad(COMMANDS), to_rad(COMMANDS))
    np.testing.assert_allclose(hidden.shaft(hidden.crank_rad(COMMANDS)), COMMANDS)


def test_a_swapped_servo_goes_the_other_way_and_its_encoder_does_not_tell():
    ways = np.ones(26)
    goal = REST_COMMAND[None].copy()
    goal[0, index("right_inner_brow")] += 0.2
    ways[index("right_inner_brow")] = -1
    swapped = Individual(direction=ways)
    robots = IndividualFaces(swapped)
    robots.settled(goal)
    crank = robots.servo_rad(np.arange(1))[0]
    assert to_command(crank)[index("right_inner_brow")] < REST_COMMAND[index("right_inner_brow")] - 0.15
    assert swapped.shaft(crank)[index("right_inner_brow")] == pytest.approx(
        goal[0, index("right_inner_brow")], abs=0.02
    )


def test_another_skin_moves_otherwise_but_not_at_its_magnets():
    soft = settled_m(Individual(foundation=3.0)) - settled_m(Individual())
    assert 1e-4 < np.abs(soft).max() < 5e-3


@pytest.mark.parametrize("wrong", [{"gain": np.ones(3)}, {"ratio": np.zeros(26)}, {"direction": np.full(26, 0.5)}])
def test_arrays_that_mean_nothing_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Individual(**wrong)


def test_the_head_turns_as_its_servos_say():
    goal = REST_COMMAND.copy()
    goal[:3] += [0.1, 0.15, -0.2]
    robots = IndividualFaces(Individual())
    state = robots.settled(goal[None])
    surface = Surface(state.vertices_m[0], state.head_pose[0], state.gaze_rad[0])
    look = PlainEye().see(surface)
    np.testing.assert_allclose(look.head_rad, robots.servo_rad(np.arange(1))[0, :3], atol=0.02)
    np.testing.assert_allclose(head_angles(np.eye(4)), 0, atol=1e-12)
