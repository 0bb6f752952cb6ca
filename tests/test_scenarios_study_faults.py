"""The study of faults: its table is whole, its observer sees what is wrong, and a few faults on each bus."""

import json

import numpy as np
import pytest

from duchenne.hardware.bus import Feedback
from duchenne.hardware.dynamixel_servos import FAULTS as DYNAMIXEL_FAULTS
from duchenne.hardware.emulator import LINE_FAULTS
from duchenne.hardware.guard import Event
from duchenne.hardware.maestro_emulator import FAULTS as MAESTRO_FAULTS
from duchenne.scenarios import fault_judge, study_faults
from duchenne.scenarios.bench_bus import bench_bus
from duchenne.scenarios.fault_case import Case, Outcome, run_case
from duchenne.scenarios.fault_table import TABLES, Injected
from duchenne.scenarios.fault_trial import KINDS, prepare
from duchenne.sim.robot.limits import SafeSet
from duchenne.sim.robot.servo import REST_COMMAND, index

pytest.importorskip("dynamixel_sdk")
pytest.importorskip("mcap")


@pytest.fixture(scope="module")
def motion() -> np.ndarray:
    prepare()
    t = 0.04 * np.arange(100)
    goals = np.tile(REST_COMMAND, (100, 1))
    goals[:, index("neck_yaw")] += 0.3 * np.sin(np.pi * t)
    goals[:, index("jaw")] += 0.2 * np.sin(np.pi * t) ** 2
    return np.array([SafeSet.default().project(goal) for goal in goals])


def named(kind: str, name: str) -> Case:
    return next(case for case in TABLES[kind] if case.name == name)


@pytest.mark.parametrize("kind", TABLES)
def test_the_table_is_whole(kind):
    cases = TABLES[kind]
    assert len({case.name for case in cases}) == len(cases) >= 25
    assert {case.outcome for case in cases} == set(Outcome)
    for case in cases:
        needs_words = case.outcome in (Outcome.STOPS, Outcome.REFUSED, Outcome.REJECTED, Outcome.OWN)
        assert bool(case.says) >= needs_words, case.name


@pytest.mark.parametrize(("kind", "own"), [("dynamixel", DYNAMIXEL_FAULTS), ("maestro", MAESTRO_FAULTS)])
def test_every_fault_that_an_emulator_knows_is_had(kind, own):
    had = {act.kind for case in TABLES[kind] for act in (case.act, case.cure) if isinstance(act, Injected)}
    assert had | {"flood"} >= {*LINE_FAULTS, *own}
    for name in had:
        assert name in LINE_FAULTS or name in own


# One case costs about two seconds.
_FEW = [
    ("dynamixel", "replies 60 ms late"),
    ("dynamixel", "overload alarm"),
    ("dynamixel", "wrong model"),
    ("maestro", "one board restarts"),
    ("maestro", "command that tears the skin"),
    ("maestro", "program killed (SIGKILL)"),
]


@pytest.mark.parametrize(("kind", "name"), _FEW)
def test_a_few_faults_are_survived(kind, name, motion, tmp_path):
    result = study_faults.fairly(kind, named(kind, name), motion, tmp_path)[0]
    assert result.survived, (result.happened, result.problems)
    assert result.slowest_s < 1.0
    if "killed" in name:
        assert 0 <= result.lost_s < 1.0


def test_what_does_not_happen_as_said_is_not_survived(motion, tmp_path):
    wrong = Case(name="wrong", outcome=Outcome.REFUSED, act=lambda _: None, says="jaw")
    result = run_case(KINDS["maestro"], wrong, motion, tmp_path)
    assert not result.survived
    figures = study_faults.figures_of({"maestro": [result]})
    assert (figures["faults_injected"], figures["maestro_faults_survived"]) == (1, 0)


class Played:
    """A trial as it might have gone: frames every 40 ms, torque on from the second one, in commands."""

    def __init__(self, frames: np.ndarray):
        self.kind, self.events, self.fed, self.problems, self.sent = KINDS["dynamixel"], [], [], [], []
        times_s = 10 + 0.04 * np.arange(len(frames))
        ticks = self.kind.servo_map.exact_ticks(frames)
        on = np.tile((np.arange(len(frames)) > 0)[:, None], (1, 26))
        self.rows = {"goals": ticks, "goal_times_s": times_s, "goal_torque": on}
        fine_s = 9.999 + 0.004 * np.arange(10 * len(frames))
        self.rows |= {"positions": np.repeat(ticks, 10, axis=0), "position_times_s": fine_s}

    def seen(self, name: str) -> np.ndarray:
        return self.rows[name]


def still(count: int = 8, **values: tuple[int, float]) -> np.ndarray:
    """Frames at rest, but for servos that go to a value from a frame on."""
    frames = np.tile(REST_COMMAND, (count, 1))
    for name, (start, value) in values.items():
        frames[start:, index(name)] = value
    return frames


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (still(), None),
        (still(jaw=(4, 0.05)), None),
        (still(neck_yaw=(4, 0.9)), "faster"),
        (still(jaw=(4, 1.4)), "range"),
        (still(right_upper_lid=(0, 0.0), right_lower_lid=(0, 1.0)), "skin"),
    ],
)
def test_the_observer_sees_what_is_unsafe(frames, said):
    found = fault_judge.unsafe(Played(frames))  # pyright: ignore[reportArgumentType]
    assert (not found) if said is None else any(said in words for words in found)


def test_the_observer_sees_moves_while_stopped_and_jumps_at_the_start():
    played = Played(still(jaw=(5, 0.05)))
    played.events = [(10.05, Event(10.05, "stop", "stop", ""))]
    assert fault_judge.unsafe(played) == ["a servo was moved while the robot was stopped"]  # pyright: ignore[reportArgumentType]
    played = Played(still())
    played.rows["positions"][:, 0] += 300
    assert fault_judge.unsafe(played) == ["a servo jumped when its torque came on"]  # pyright: ignore[reportArgumentType]


def test_the_observer_sees_old_answers():
    played = Played(still(neck_yaw=(4, 0.7)))
    honest, old = still(1)[0], still(1, neck_yaw=(0, 0.7))[0]
    played.fed = [(10.06, 10.09, Feedback(time_s=10.08, position=honest))]
    assert fault_judge.stale(played) == []  # pyright: ignore[reportArgumentType]
    played.fed += [(10.06, 10.09, Feedback(time_s=10.08, position=old))]
    assert fault_judge.stale(played) == ["1 of 2 answers were old or wrong, and believed"]  # pyright: ignore[reportArgumentType]
    assert fault_judge.stale(played, lies=("neck_yaw",)) == []  # pyright: ignore[reportArgumentType]


def test_the_study_prints_one_object(monkeypatch, motion, capsys, tmp_path):
    monkeypatch.setattr(study_faults, "mirrored_motion", lambda seed: motion)
    few = {kind: (named(kind, "command with NaN"),) for kind in TABLES}
    monkeypatch.setattr(study_faults, "TABLES", few)
    assert study_faults.run(seed=0, out=tmp_path, as_json=True) == 0
    said = capsys.readouterr()
    figures = json.loads(said.out)["figures"]
    assert (figures["faults_injected"], figures["faults_survived"]) == (2, 2)
    assert {"dynamixel_faults_injected", "maestro_faults_survived", "kill_lost_s"} <= set(figures)
    assert "command with NaN" in said.err


def test_the_bench_of_the_buses():
    seen = []
    figures = bench_bus(lambda done, total: seen.append((done, total)), cycles=60)
    assert figures["dynamixel_hz"] > 30  # on a busy machine
    assert figures["maestro_hz"] > 30
    assert figures["dynamixel_period_p99_ms"] >= figures["dynamixel_period_median_ms"] > 7
    assert seen
