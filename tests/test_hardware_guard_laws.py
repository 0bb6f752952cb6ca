"""Laws of the Guard, for any commands at any times."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from duchenne.hardware.bus import Feedback
from duchenne.hardware.guard import PERIOD_S, RULES, STOPS, Guard, State
from duchenne.hardware.guard_limits import Limits
from duchenne.sim.errors import CommandRejected, InputError
from duchenne.sim.robot.limits import SafeSet
from duchenne.sim.robot.servo import REST_COMMAND, index

COUNT = len(REST_COMMAND)
POSE = arrays(float, COUNT, elements=st.floats(0, 1))
GAP_S = st.floats(1e-4, 0.1)
NONSENSE = st.one_of(
    arrays(float, COUNT, elements=st.floats(allow_nan=True, allow_infinity=True)),
    arrays(np.float32, COUNT, elements=st.floats(width=32)),
    arrays(np.int64, COUNT),
    arrays(bool, COUNT),
    arrays(complex, COUNT),
    arrays(float, st.integers(0, 60), elements=st.floats(0, 1)),
    arrays(float, (2, 13), elements=st.floats(0, 1)),
    st.lists(st.one_of(st.none(), st.floats(), st.text(max_size=3)), max_size=30),
    st.none(),
    st.text(max_size=30),
    st.just([[0.5]] * 13 + [0.5] * 13),
    st.just([10**400] * COUNT),
    st.just({"jaw": 0.2}),
    st.just(np.full(COUNT, 5e-324)),
)
TIME_S = st.one_of(st.floats(), st.none(), st.text(max_size=3), st.just(1j), st.just(10**400))


def tried(guard: Guard, command, time_s) -> tuple[np.ndarray | None, str]:
    """What passed, or by which rule it did not."""
    try:
        return guard.check(command, time_s), ""
    except CommandRejected as error:
        return None, error.rule


@given(POSE, POSE)
def test_a_set_that_holds_both_ends_holds_the_straight_path(one, other):
    safe_set = SafeSet.default()
    one, other = safe_set.project(one), safe_set.project(other)
    assert safe_set.contains(one + np.linspace(0, 1, 101)[:, None] * (other - one)).all()


@settings(deadline=None)
@given(NONSENSE, TIME_S)
def test_whatever_comes_is_passed_or_rejected_by_a_rule_and_leaves_no_trace(command, time_s):
    guard = Guard()
    guard.check(REST_COMMAND, 0.0)
    sent, rule = tried(guard, command, time_s)
    if sent is None:
        assert rule in RULES
        np.testing.assert_array_equal(guard.last, REST_COMMAND)
        guard.check(REST_COMMAND, 1e-3)  # nor has time gone on
    else:
        assert guard.safe_set.contains(sent)
        assert not np.signbit(sent).any()


@settings(deadline=None)
@given(st.lists(st.tuples(st.one_of(POSE, st.integers(0, COUNT - 1)), GAP_S, st.floats(0, 1.5)), max_size=40))
def test_what_passes_is_in_range_safe_slow_and_smooth(steps):
    guard, limits = Guard(), Limits()
    now, before, speeds, gaps = 0.0, guard.last, [np.zeros(COUNT)], [np.inf]
    guard.check(before, now)
    for goal, gap_s, share in steps:
        now += gap_s
        goal = np.where(np.arange(COUNT) == goal, 1 - before, before) if isinstance(goal, int) else goal
        reach = limits.rate_per_s * min(gap_s, PERIOD_S) * share
        sent, rule = tried(guard, np.clip(goal, before - reach, before + reach), now)
        if sent is None:
            assert rule in ("skin", "rate", "acceleration")
            now -= gap_s
            continue
        assert (np.abs(sent - before) <= limits.rate_per_s * min(gap_s, PERIOD_S) + 1e-8).all()
        assert guard.safe_set.contains(before + np.linspace(0, 1, 9)[:, None] * (sent - before)).all()
        speeds.append((sent - before) / min(gap_s, PERIOD_S))
        gaps.append(min(gap_s, PERIOD_S))
        before = sent
    speeds = np.array(speeds)
    onward = np.where(speeds[1:] * speeds[:-1] > 0, np.abs(speeds[:-1]), 0.0)
    faster = np.maximum(np.abs(speeds[1:]) - onward, 0.0)
    for first in range(len(faster)):  # in every stretch of time
        total = faster[first:].cumsum(0)
        time_s = np.cumsum(gaps[1 + first :])[:, None] - gaps[1 + first]
        assert (total <= 2 * limits.rate_per_s + limits.acceleration_per_s2 * time_s + 1e-4).all()


@settings(deadline=None)
@given(st.lists(st.tuples(POSE, GAP_S), max_size=20), GAP_S)
def test_a_planned_step_passes_and_standing_still_passes(steps, gap_s):
    guard, now = Guard(), 0.0
    for goal, gap in steps:
        now += gap
        step = guard.toward(goal, now)
        np.testing.assert_array_equal(guard.check(step, now), step)
    np.testing.assert_array_equal(guard.check(guard.last, now + gap_s), guard.last)


@settings(deadline=None, max_examples=30)
@given(POSE, st.floats(0.004, 0.05))
def test_planned_steps_arrive(goal, gap_s):
    guard = Guard()
    goal = guard.nearest(goal)
    for tick in range(1, int(1.2 / gap_s)):
        guard.check(guard.toward(goal, tick * gap_s), tick * gap_s)
    np.testing.assert_allclose(guard.last, goal, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(POSE, st.floats(0.01, 0.1), st.floats(0.01, 0.1))
def test_without_commands_it_holds_then_glides_to_rest_then_relaxes(pose, odd_s, even_s):
    guard, limits = Guard(start=Guard().nearest(pose)), Limits()
    start, now = guard.last, 0.0
    guard.check(start, now)
    seen = []
    while guard.stopped is None:
        now += even_s if len(seen) % 2 else odd_s
        duty, before = guard.tick(now), seen[-1][2] if seen else start
        seen.append((now, duty.state, before if duty.command is None else duty.command))
        if duty.command is not None:
            assert (np.abs(duty.command - before) <= limits.glide_per_s * PERIOD_S + 1e-9).all()
            assert guard.safe_set.contains(duty.command)
    for age_s, state, sent in seen:
        expected = (
            State.FRESH if age_s < limits.hold_after_s
            else State.HOLD if age_s < limits.glide_after_s
            else State.GLIDE if age_s < limits.relax_after_s
            else State.RELAX
        )  # fmt: skip
        assert state == expected
        if state in (State.FRESH, State.HOLD):
            np.testing.assert_array_equal(sent, start)
    np.testing.assert_allclose(seen[-2][2], REST_COMMAND, atol=1e-6)
    assert guard.stopped.startswith("stale")


@given(POSE, GAP_S)
def test_a_stop_stays_until_it_is_armed_again(pose, gap_s):
    guard = Guard()
    guard.check(REST_COMMAND, 1.0)
    guard.stop("button", "pressed")
    guard.stop("other")
    for command in (pose, REST_COMMAND):
        with pytest.raises(CommandRejected, match="button: pressed") as caught:
            guard.check(command, 1.0 + gap_s)
        assert caught.value.rule == "stopped"
    assert guard.tick(1.0 + gap_s).state is State.RELAX
    guard.rearm()
    assert guard.stopped is None
    guard.check(REST_COMMAND, 1.0 + gap_s)


@settings(deadline=None)
@given(*[arrays(float, COUNT, elements=st.floats(0.01, 1))] * 2, POSE)
def test_ranges_stored_in_the_servos_count(below, above, goal):
    low, high = REST_COMMAND * below, REST_COMMAND + (1 - REST_COMMAND) * above
    guard = Guard(limits=Limits().within(low, high))
    for tick in range(1, 6):
        sent = guard.check(guard.toward(goal, 0.04 * tick), 0.04 * tick)
        assert ((sent >= low) & (sent <= high)).all()
    outside = (goal < low) | (goal > high)
    if outside.any():
        with pytest.raises(CommandRejected, match="range"):
            guard.check(goal, 1.0)


@given(st.integers(0, COUNT - 1), st.sampled_from(STOPS[:-1]), st.floats(0.01, 0.2))
def test_bad_feedback_that_lasts_stops_the_robot(servo, rule, period_s):
    limits = Limits()
    fields = {
        "tracking": ("position", REST_COMMAND, REST_COMMAND + 1.01 * limits.tracking),
        "current": ("current_a", np.zeros(COUNT), np.full(COUNT, -1.01 * limits.current_a)),
        "temperature": ("temperature_c", np.full(COUNT, 40.0), np.full(COUNT, limits.hot_c + 1)),
        "voltage": ("voltage_v", np.full(COUNT, 5.0), np.full(COUNT, limits.voltage_v - 0.1)),
        "alarm": ("error", np.zeros(COUNT), np.full(COUNT, 4.0)),
    }
    wait_s = {"tracking": limits.tracking_for_s, "current": limits.current_for_s, "voltage": limits.voltage_for_s}
    name, good, bad = fields[rule]
    values = np.where(np.arange(COUNT) == servo, bad, good)
    unknown = np.full(COUNT, np.nan)
    guard = Guard()
    for tick in range(1, 20):  # good and unknown values stop nothing, nor does a short spell
        guard.observe(Feedback(time_s=tick * period_s, **{name: good if tick % 2 else unknown}))
    now = 20 * period_s
    first, last = now, now
    while guard.stopped is None:
        last = now
        guard.observe(Feedback(time_s=now, **{name: values}))
        now += period_s
    assert guard.stopped.startswith(rule)
    assert wait_s.get(rule, 0.0) - 1e-9 <= last - first <= wait_s.get(rule, 0.0) + period_s


def test_a_servo_may_be_late_but_not_elsewhere():
    guard, now = Guard(), 0.0
    goal = REST_COMMAND.copy()
    goal[index("jaw")] = 1.0
    late = [guard.last] * 5
    for _ in range(60):
        now += PERIOD_S
        late.append(guard.check(guard.toward(goal, now), now))
        guard.observe(Feedback(time_s=now, position=late[-6]))
    assert guard.stopped is None


def test_feedback_that_ends_stops_the_robot_and_old_feedback_is_not_new():
    guard, now = Guard(), 0.0
    for tick in range(1, 40):
        now = tick * PERIOD_S
        guard.check(REST_COMMAND, now)
        guard.observe(Feedback(time_s=0.5, position=REST_COMMAND))
        if guard.tick(now + 1e-3).state is State.RELAX:
            break
    assert now == pytest.approx(0.5 + Limits().feedback_for_s, abs=PERIOD_S)
    assert guard.stopped is not None
    assert guard.stopped.startswith("feedback")


@pytest.mark.parametrize("now", [np.nan, -np.inf, 0.5])
def test_a_clock_that_goes_back_stops_the_robot(now):
    guard = Guard()
    guard.check(REST_COMMAND, 1.0)
    assert guard.tick(now).state is State.RELAX
    assert str(guard.stopped).startswith("time")


def test_events_are_told():
    told = []
    guard = Guard(on_event=told.append)
    guard.check(REST_COMMAND, 0.0)
    with pytest.raises(CommandRejected):
        guard.check(REST_COMMAND + np.nan, 0.1)
    for now in (0.2, 1.2, 1.3, 11.0):
        guard.tick(now)
    guard.rearm()
    assert [event.what for event in told] == ["rejected", "hold", "glide", "stop", "rearm"]
    assert [event.rule for event in told] == ["finite", "stale", "stale", "stale", "stopped"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"low": np.full(COUNT, 0.6)},
        {"high": np.full(COUNT, 1.2)},
        {"rate_per_s": np.zeros(COUNT)},
        {"acceleration_per_s2": np.full(COUNT, np.nan)},
        {"low": np.zeros(3)},
        {"glide_after_s": 0.01},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError, match="limits"):
        Limits(**wrong)
