import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from duchenne.hardware.guard import RULES, Guard
from duchenne.sim.errors import CommandRejected
from duchenne.sim.robot.limits import Hazard, SafeSet, rate_limits
from duchenne.sim.robot.servo import REST_COMMAND, SERVO_NAMES, index

COMMAND = arrays(float, 26, elements=st.floats(0, 1))


@pytest.fixture(scope="module")
def safe_set() -> SafeSet:
    return SafeSet.of(
        [
            Hazard("lids cross", "collision", {"left_lower_lid": 0.6, "left_upper_lid": -0.8}, 0.1),
            Hazard("cheek tears", "tear", {"jaw": 0.8, "left_corner_upper": 0.6}, 0.9),
        ]
    )


def changed(**values: float) -> np.ndarray:
    command = REST_COMMAND.copy()
    for name, value in values.items():
        command[index(name)] = value
    return command


def test_a_good_command_passes_unchanged_and_is_remembered(safe_set):
    guard = Guard(safe_set)
    command = changed(jaw=0.2)
    np.testing.assert_array_equal(guard.check(command, 0.04), command)
    np.testing.assert_array_equal(guard.last, command)


@pytest.mark.parametrize(
    ("command", "rule", "said"),
    [
        (np.zeros(11), "shape", "26"),
        ("smile", "shape", "str"),
        (changed(jaw=np.nan), "finite", "jaw"),
        (changed(left_inner_brow=1.2), "range", "left_inner_brow"),
        (changed(jaw=1.0, left_corner_upper=1.0), "skin", "cheek tears"),
        (changed(left_lower_lid=1.0, left_upper_lid=0.0), "skin", "lids cross"),
        (changed(neck_yaw=0.9), "rate", "neck_yaw"),
    ],
)
def test_a_bad_command_is_rejected_by_name_and_leaves_no_trace(safe_set, command, rule, said):
    guard = Guard(safe_set)
    with pytest.raises(CommandRejected, match=said) as caught:
        guard.check(command, 0.04)
    assert caught.value.rule == rule
    assert rule in RULES
    np.testing.assert_array_equal(guard.last, REST_COMMAND)
    guard.check(REST_COMMAND, 0.04)


@pytest.mark.parametrize("time_s", [0.04, 0.0, np.nan])
def test_time_must_advance(safe_set, time_s):
    guard = Guard(safe_set)
    guard.check(REST_COMMAND, 0.04)
    with pytest.raises(CommandRejected, match="time"):
        guard.check(REST_COMMAND, time_s)


def test_a_long_pause_earns_no_leap(safe_set):
    guard = Guard(safe_set)
    guard.check(REST_COMMAND, 0.0)
    with pytest.raises(CommandRejected, match="rate"):
        guard.check(changed(neck_yaw=1.0), 60.0)


@settings(max_examples=150, deadline=None)
@given(COMMAND, COMMAND)
def test_what_passes_is_finite_in_range_safe_and_slow_enough(first, second):
    safe_set = SafeSet.of([Hazard("sum", "tear", {"jaw": 0.8, "left_corner_upper": 0.6}, 0.9)])
    guard = Guard(safe_set)
    before = guard.last
    for tick, command in enumerate((first, second), start=1):
        try:
            sent = guard.check(command, 0.04 * tick)
        except CommandRejected:
            np.testing.assert_array_equal(guard.last, before)
            continue
        assert (np.abs(sent - before) <= rate_limits(0.04) + 1e-6).all()
        for share in np.linspace(0, 1, 5):  # the whole path
            assert safe_set.contains(before + share * (sent - before))
        before = sent


@settings(max_examples=150, deadline=None)
@given(COMMAND)
def test_projection_is_safe_idempotent_and_nearest(command):
    safe_set = SafeSet.of(
        [
            Hazard("sum", "tear", {"jaw": 0.8, "left_corner_upper": 0.6}, 0.9),
            Hazard("lids", "collision", {"left_lower_lid": 0.6, "left_upper_lid": -0.8}, 0.1),
        ]
    )
    near = safe_set.project(command)
    assert safe_set.contains(near)
    np.testing.assert_allclose(safe_set.project(near), near, atol=1e-6)
    rng = np.random.default_rng(0)
    others = rng.uniform(size=(200, 26))
    others = others[safe_set.contains(others)]
    # the obtuse-angle property of a projection onto a convex set
    assert ((others - near) @ (command - near) <= 1e-6).all()


@settings(max_examples=100, deadline=None)
@given(COMMAND, COMMAND)
def test_steps_toward_any_goal_always_pass_the_guard(start, goal):
    safe_set = SafeSet.of([Hazard("sum", "tear", {"jaw": 0.8, "left_corner_upper": 0.6}, 0.9)])
    start = safe_set.project(start)
    guard = Guard(safe_set, start=start)
    largest = rate_limits(0.04)
    for tick in range(1, 4):
        step = safe_set.toward(guard.last, goal, largest)
        np.testing.assert_array_equal(guard.check(step, 0.04 * tick), step)


def test_a_goal_is_reached(safe_set):
    guard, goal = Guard(safe_set), changed(neck_yaw=1.0, jaw=0.5, right_inner_brow=1.0)
    for tick in range(1, 60):
        guard.check(safe_set.toward(guard.last, goal, rate_limits(0.04)), 0.04 * tick)
    np.testing.assert_allclose(guard.last, goal, atol=1e-6)


def test_violations_name_the_worst_first(safe_set):
    command = changed(jaw=1.0, left_corner_upper=1.0, left_lower_lid=1.0, left_upper_lid=0.3)
    names = [name for name, _ in safe_set.violations(command)]
    assert names == ["cheek tears", "lids cross"]
    assert safe_set.violations(REST_COMMAND) == []
    assert len(SERVO_NAMES) == safe_set.rows.shape[1]
