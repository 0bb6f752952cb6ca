import numpy as np
import pytest

from duchenne.sim.errors import InputError
from duchenne.sim.robot.face import RobotFaces
from duchenne.sim.robot.face_skin import default_skin
from duchenne.sim.robot.hazards import HazardLimits, lid_hazards, measures, random_commands
from duchenne.sim.robot.limits import SafeSet, rate_limits
from duchenne.sim.robot.mechanism import LID_APERTURE_RAD
from duchenne.sim.robot.servo import REST_COMMAND, SERVO_NAMES, index, to_rad


@pytest.fixture(scope="module")
def safe() -> SafeSet:
    return SafeSet.default()


def test_rest_is_safe_with_room_around_it(safe):
    assert (safe.rows @ REST_COMMAND < safe.bounds - 0.02).all()


def test_hazards_are_named_data_over_known_servos_and_mirrored(safe):
    names = [h.name for h in safe.hazards]
    assert len(set(names)) == len(names)
    assert {h.kind for h in safe.hazards} == {"tear", "collision"}
    assert all(set(h.terms) <= set(SERVO_NAMES) for h in safe.hazards)
    by_name = {h.name: h for h in safe.hazards}
    for hazard in safe.hazards:
        if hazard.name.startswith("right"):
            other = by_name[hazard.name.replace("right", "left", 1)]
            assert other.bound == hazard.bound
            assert other.terms == {n.replace("right_", "left_"): w for n, w in hazard.terms.items()}


def test_the_lids_rule_is_the_geometry_of_the_lids():
    safe = SafeSet.of(lid_hazards())
    command = REST_COMMAND.copy()
    upper, lower = index("left_upper_lid"), index("left_lower_lid")
    for command[upper] in np.linspace(0, 1, 9):
        for command[lower] in np.linspace(0, 1, 9):
            angles = to_rad(command)
            gap_rad = LID_APERTURE_RAD + angles[upper] - angles[lower]
            if abs(gap_rad) > 1e-3:
                assert safe.contains(command) == (gap_rad > 0)


@pytest.mark.parametrize("half", ["all", "upper", "mouth"])
@pytest.mark.parametrize("symmetric_only", [True, False])
def test_samples_are_safe_repeatable_and_move_their_half_only(safe, half, symmetric_only):
    drawn = [safe.sample(np.random.default_rng(7), 200, half, symmetric_only) for _ in range(2)]
    np.testing.assert_array_equal(*drawn)
    assert drawn[0].shape == (200, 26)
    assert safe.contains(drawn[0]).all()
    moving = {SERVO_NAMES[i] for i in np.flatnonzero(np.ptp(drawn[0], axis=0) > 0)}
    upper = {n for n in SERVO_NAMES if n.endswith(("lid", "brow"))}
    mouth = {n for n in SERVO_NAMES if "lip" in n or "corner" in n or n == "jaw"}
    assert moving == {"all": upper | mouth, "upper": upper, "mouth": mouth}[half]


def test_accepted_commands_keep_every_limit(safe):
    commands = random_commands(np.random.default_rng(99), 1500)  # not the seed that the set was fitted with
    accepted = safe.contains(commands)
    assert accepted.mean() > 0.4, "the set must leave room to express"
    found = measures(default_skin(), RobotFaces(256).settled_ports(commands[accepted]), HazardLimits())
    for name, over_limit in found.items():
        assert (over_limit > 1.0).mean() < 0.004, name
        assert over_limit.max() < 1.1, name


def test_the_set_cuts_off_what_would_do_harm(safe):
    torn = REST_COMMAND.copy()
    for name in ("jaw", "right_corner_upper", "right_corner_lower", "left_corner_upper", "left_corner_lower"):
        torn[index(name)] = 1.0
    assert any("tears" in name for name, _ in safe.violations(torn))


@pytest.mark.parametrize("bad", [np.zeros(11), np.full(26, np.nan), np.zeros((2, 26))])
def test_what_is_no_command_is_refused(safe, bad):
    with pytest.raises(InputError, match="26 finite numbers"):
        safe.project(bad)


def test_many_robots_step_as_each_alone():
    safe, rng, largest = SafeSet.default(), np.random.default_rng(0), rate_limits(0.04)
    current = safe.sample(rng, 40, symmetric_only=False)
    goal = rng.uniform(size=current.shape)
    together = safe.toward_each(current, goal, largest)
    alone = [safe.toward(now, then, largest) for now, then in zip(current, goal, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-12)
    assert safe.contains(together).all()
    np.testing.assert_array_equal(together[7:8], safe.toward_each(current[7:8], goal[7:8], largest))
