"""Figures of the study of co-expression, from trials and rows that are known."""

import math

import numpy as np
import pytest

from duchenne.scenarios.coexpression_paper import Confusion, Row
from duchenne.scenarios.coexpression_results import SEEN, TIMED, Timed, figures, findings, notes

NAMES = ("random", "mimicry", "mimicry at peak", "paper", "camera", "emg_camera", "emg")


def _made(late_s: float, people: int = 3) -> list[dict[str, np.ndarray]]:
    """Four expressions of each person, all so late; one of mimicry's is not answered."""
    made = []
    for _ in range(people):
        one = {name: np.tile([late_s, late_s, 1.0, 1e-3], (4, 1)) for name in TIMED}
        one["mimicry"][0] = np.inf, np.nan, 0.1, 1e-3
        one |= {f"{name} false": np.array([1.0, 30.0]) for name in TIMED}
        made.append(one)
    return made


@pytest.fixture(scope="module")
def told() -> dict[str, float]:
    timed = {name: Timed.of(_made(-0.05), name) for name in TIMED}
    rng = np.random.default_rng(0)
    errors = {name: rng.uniform(1, 2, 20) * (k + 1) for k, name in enumerate(NAMES)}
    confusion = Confusion(true_positive=3, false_negative=1, false_positive=2, true_negative=14)
    rows = {name + end: Row(name, 4, errors[name], confusion) for end in ("", SEEN) for name in NAMES}
    folds = {name: np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]]) for name in ("clip", "person")}
    assert list(findings(timed, rows, folds, None))
    return figures(timed, rows, folds, None)


def test_asynchrony_is_the_median_absolute_lateness(told):
    assert told["asynchrony_camera_ms"] == pytest.approx(50)
    assert told["median_lag_camera_ms"] == pytest.approx(-50)
    assert told["arrival_asynchrony_emg_ms"] == pytest.approx(50)


def test_what_was_not_answered_counts_as_infinitely_late(told):
    assert told["missed_mimicry"] == pytest.approx(0.25)
    assert told["missed_camera"] == 0
    every = Timed.of([{**one, "camera": np.array([[np.inf, np.nan, 0, 0]] * 3)} for one in _made(0.0)], "camera")
    assert math.isinf(every.asynchrony_ms)


def test_false_starts_are_counted_by_the_minute(told):
    assert told["false_starts_per_min"] == pytest.approx(2)


def test_the_names_that_are_promised_are_there(told):
    promised = (
        "asynchrony_camera_ms asynchrony_emg_camera_ms asynchrony_mimicry_ms error_ratio_to_mimicry command_accuracy "
        "ppv sensitivity false_starts_per_min asynchrony_emg_ms"
    )
    assert set(promised.split()) <= set(told)


def test_rows_without_a_name_are_those_of_both_senses(told):
    assert told["ppv"] == pytest.approx(3 / 5)
    assert told["sensitivity"] == pytest.approx(3 / 4)
    assert told["command_accuracy"] == pytest.approx(17 / 20)
    assert told["error_ratio_to_mimicry_mimicry_at_peak"] == 1
    assert told["error_ratio_to_newest_mimicry_seen"] == 1
    assert told["paper_ratio_to_mimicry_by_clip"] == pytest.approx(1 / 4)
    assert told["paper_ratio_to_newest_by_person"] == pytest.approx(1 / 2)


def test_intervals_hold_the_median():
    rng = np.random.default_rng(1)
    made = [{**one, "camera": np.c_[rng.normal(0.05, 0.02, 9), np.zeros((9, 3))]} for one in _made(0.0, people=8)]
    timed = Timed.of(made, "camera")
    low, high = timed.interval_ms()
    assert low < timed.asynchrony_ms < high


def test_without_real_faces_it_says_how_to_give_them():
    assert "--data" in notes(None)[-1]
