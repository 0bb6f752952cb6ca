import json

import numpy as np
import pytest

from duchenne.scenarios import study_guard
from duchenne.sim.robot.limits import rate_limits
from duchenne.sim.robot.servo import REST_COMMAND, index


@pytest.fixture
def clock() -> study_guard.Clock:
    return study_guard.Clock()


def judged(clock: study_guard.Clock, frames, gap_s: float) -> set[str]:
    wire = study_guard.Wire(clock)
    wire.torque(True)
    for frame in frames:
        clock.now_s += gap_s
        clock()
        wire.write(frame)
    wire.close()
    return set(wire.unsafe)


def moved(**by: float) -> np.ndarray:
    frame = REST_COMMAND.copy()
    for name, change in by.items():
        frame[index(name)] += change
    return frame


def test_the_judge_sees_what_is_unsafe(clock):
    fast = moved(neck_yaw=rate_limits(0.04)[index("neck_yaw")]) - REST_COMMAND
    assert judged(clock, [REST_COMMAND, REST_COMMAND + fast, REST_COMMAND], 0.04) == set()
    assert judged(clock, [REST_COMMAND, REST_COMMAND + 1.01 * fast], 0.04) == {"rate"}
    assert judged(clock, [moved(jaw=-1e-3)], 0.04) == {"range"}
    assert "finite" in judged(clock, [moved(jaw=np.nan)], 0.04)
    assert judged(clock, [REST_COMMAND, REST_COMMAND], 0.0) == {"time"}
    torn = moved(jaw=1.0, left_corner_upper=0.6, left_corner_lower=0.6)
    assert "skin" in judged(clock, [torn], 0.04)
    shaken = [REST_COMMAND + (number % 2) * fast / 40 for number in range(40)]
    assert judged(clock, shaken, 0.001) == {"acceleration"}
    wire = study_guard.Wire(clock)
    wire.write(REST_COMMAND)
    assert "torque off" in wire.unsafe


def test_nothing_unsafe_gets_through(capsys):
    assert study_guard.run(commands=20_000, seed=5, as_json=True) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert figures["unsafe_frames"] == 0
    assert figures["commands"] >= 20_000
    assert figures["frames"] > 5_000
    assert figures["bus_unsafe_frames"] == 0
    assert figures["bus_frames"] > 100
    assert {"rejected_skin", "rejected_rate", "rejected_acceleration", "rejected_time"} <= set(figures)
