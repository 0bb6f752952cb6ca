import time

import numpy as np
import pytest

from duchenne.scenarios.bench_loop import bench_loop, paced


def test_a_loop_keeps_its_pace_and_tells_how_long_steps_take():
    began_s, told = time.perf_counter(), []

    def step(number, now_s):
        told.append((number, now_s))
        time.sleep(0.002)
        return number % 2 == 0

    taken_s, said = paced(step, 1.4)
    assert [number for number, _ in told] == list(range(35))
    assert np.diff([now_s for _, now_s in told]).mean() > 0.0395
    assert time.perf_counter() - began_s > 1.3
    assert taken_s.shape == (10, 2)
    assert (taken_s[:, 0] >= 0.002).all()
    assert said.tolist() == [False, True] * 5


@pytest.mark.slow
def test_measures_models_and_loop(face_model):
    seen = []
    figures = bench_loop(lambda done, total: seen.append((done, total)), seconds=3.0)
    assert seen == [(k, 4) for k in range(5)]
    assert all(np.isfinite(value) and value >= 0 for value in figures.values())
    assert figures["loop_no_face"] == 0
    assert figures["loop_without_camera_processor_p99_ms"] < figures["loop_processor_p99_ms"] < 40
    assert figures["predictor_calls_per_s"] > figures["predictor_steps_per_s"]
