"""What an observer of a `Trial` finds wrong: on the wire, in what was believed, in how long it took, and in the log."""

from pathlib import Path

import numpy as np

from ..hardware.guard import PERIOD_S, Event
from ..sim.errors import DuchenneError
from ..sim.robot.limits import SafeSet, rate_limits
from ..sim.robot.servo import SERVO_NAMES, index
from ..twin.log import Log
from ..twin.log_entries import Command
from .fault_trial import Trial

LONGEST_S = 1.0
"""No call may take longer."""
_ROUNDING = 1e-8
_JITTER_S = 0.010
_STARTS_WITHIN = 0.03
_BEFORE_S, _AFTER_S = 0.012, 0.006
"""The emulated physics goes by steps of 4 ms and the answer by what was so when the question came."""
_TICKS = 2.5


def problems(trial: Trial, *, lies: tuple[str, ...] = (), log_is_cut: bool = False) -> list[str]:
    """All that must not be, in words. lies: servos whose encoder is wrong. log_is_cut: by a full disk."""
    trial.look()
    found = [*trial.problems, *unsafe(trial), *stale(trial, lies), *lost_from_log(trial, log_is_cut)]
    if trial.slowest_s > LONGEST_S:
        found.append(f"a call took {trial.slowest_s:.2f} s")
    return found


def unsafe(trial: Trial) -> list[str]:
    """Rules that the goals broke which the servos got while they had torque: range, skin, rate, start, stop."""
    servo_map = trial.kind.servo_map
    goals, times_s, on = (trial.seen(name) for name in ("goals", "goal_times_s", "goal_torque"))
    if len(goals) == 0:
        return []
    on = on.astype(bool)
    rounding = 0.5 / servo_map.ticks_per_unit + _ROUNDING
    frames = servo_map.to_command(goals)
    found = []
    if (on & ((frames < -rounding) | (frames > 1 + rounding))).any():
        found.append("a servo was sent out of its range")
    step, both = np.diff(frames, axis=0), on[1:] & on[:-1]
    allowed = rate_limits(1.0) * (np.maximum(np.diff(times_s), PERIOD_S) + _JITTER_S)[:, None] + 2 * rounding
    if (both & (np.abs(step) > allowed)).any():
        found.append("a servo was sent faster than it can go")
    safe_set = SafeSet.default()
    whole = both.all(1)
    slack = np.abs(safe_set.rows) @ rounding
    for share in np.linspace(0, 1, 11):
        load = (frames[:-1] + share * step)[whole] @ safe_set.rows.T
        if (load > safe_set.bounds + slack).any():
            found.append("the skin was in danger")
            break
    found += _jumps_at_the_start(trial, frames, times_s, on, rounding)
    return found + _moves_while_stopped(trial, frames, times_s, on)


def stale(trial: Trial, lies: tuple[str, ...] = ()) -> list[str]:
    """Answers that were believed and had not been true while they were waited for."""
    honest = np.ones(len(SERVO_NAMES), bool)
    honest[[index(name) for name in lies]] = False
    servo_map = trial.kind.servo_map
    times_s, truths = trial.seen("position_times_s"), servo_map.to_command(trial.seen("positions"))
    tolerance = _TICKS / servo_map.ticks_per_unit
    old = 0
    for before_s, after_s, feedback in trial.fed:
        old += not before_s <= feedback.time_s <= after_s
        first, last = np.searchsorted(times_s, [before_s - _BEFORE_S, after_s + _AFTER_S])
        if feedback.position is None or last - first < 2:
            continue
        truth = truths[first:last]
        wrong = (feedback.position < truth.min(0) - tolerance) | (feedback.position > truth.max(0) + tolerance)
        old += bool((wrong & honest).any())
    return [f"{old} of {len(trial.fed)} answers were old or wrong, and believed"] if old else []


def lost_from_log(trial: Trial, is_cut: bool = False) -> list[str]:
    """What the log does not hold although it should: commands as they were sent, and every event."""
    try:
        log = Log(trial.log.path)
        sent = [entry.what.sent for entry in log.only(Command)]
        events = sum(1 for _ in log.only(Event))
    except DuchenneError as error:
        return [f"the log does not open: {error}"]
    same = all(np.array_equal(a, b) for a, b in zip(sent, trial.sent, strict=False))
    if is_cut:
        return [] if same and not log.complete else ["the log that was cut is not the beginning of what was sent"]
    whole = log.complete and len(sent) == len(trial.sent) and events == len(trial.events)
    return [] if same and whole else [f"the log holds {len(sent)} of {len(trial.sent)} commands, {events} events"]


def lost_at_the_end(trial: Trial, path: Path) -> tuple[float, list[str]]:
    """Of a program that was killed: how long before its last command on the wire its log ends, s; and what is wrong."""
    log = Log(path)
    logged = list(log.only(Command))
    goals, times_s = trial.seen("goals"), trial.seen("goal_times_s")
    if not logged or len(goals) == 0:
        return np.inf, ["nothing is left of the log"]
    ticks = np.array([trial.kind.servo_map.to_ticks(entry.what.sent) for entry in logged])
    news = np.concatenate([[True], (np.diff(ticks, axis=0) != 0).any(1)])
    wire = iter(goals.tolist())
    same = all(row in wire for row in ticks[news].tolist())  # in this order
    on_the_wire = times_s[np.flatnonzero(trial.seen("goal_torque").all(1))[-1]]
    lost_s = max(float(on_the_wire - logged[-1].time_s), 0.0)
    found = [] if same else ["commands in the log are not those on the wire"]
    return lost_s, found + ([f"{lost_s:.2f} s are lost from the log"] if lost_s > LONGEST_S else [])


def _jumps_at_the_start(
    trial: Trial, frames: np.ndarray, times_s: np.ndarray, on: np.ndarray, rounding: np.ndarray
) -> list[str]:
    """Servos that do not start where they stand when their torque comes on; where a bus can know."""
    if not trial.kind.feedback:
        return []
    truth_s, positions = trial.seen("position_times_s"), trial.seen("positions")
    for k in np.flatnonzero((on[1:] & ~on[:-1]).any(1)) + 1:
        place = np.searchsorted(truth_s, times_s[k])
        if 0 < place < len(truth_s):
            away = np.abs(frames[k] - trial.kind.servo_map.to_command(positions[place - 1]))
            if (on[k] & ~on[k - 1] & (away > _STARTS_WITHIN + rounding)).any():
                return ["a servo jumped when its torque came on"]
    return []


def _moves_while_stopped(trial: Trial, frames: np.ndarray, times_s: np.ndarray, on: np.ndarray) -> list[str]:
    """Goals that changed between a stop and the arming that ended it, but for those that the line had held back."""
    events, known = trial.events, {trial.kind.servo_map.to_ticks(np.clip(s, 0, 1)).tobytes() for s in trial.sent}
    late = np.array([trial.kind.servo_map.to_ticks(np.clip(row, 0, 1)).tobytes() in known for row in frames[1:]])
    moved = np.abs(np.diff(frames, axis=0)) > 1e-6
    for stop_s in [when for when, event in events if event.what == "stop"]:
        again_s = min((when for when, e in events if e.what == "rearm" and when > stop_s), default=np.inf)
        during = (times_s > stop_s + PERIOD_S) & (times_s < again_s)
        if (moved & on[1:] & on[:-1] & (during[1:] & ~late)[:, None]).any():
            return ["a servo was moved while the robot was stopped"]
    return []


__all__ = ["LONGEST_S", "lost_at_the_end", "lost_from_log", "problems", "stale", "unsafe"]
