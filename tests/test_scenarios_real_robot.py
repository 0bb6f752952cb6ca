"""The study of the real robot: its scores' arithmetic, and on the real rows what it claims."""

import numpy as np
import pytest

from duchenne.scenarios.real_robot import run
from duchenne.scenarios.real_robot_models import MODELS
from duchenne.scenarios.real_robot_scores import Rows, Scores, told
from duchenne.sim.errors import InputError


@pytest.fixture
def rows(shared_data) -> Rows:
    return Rows.load(shared_data / "emo_robot" / "emo_motor_landmarks.npz")


def test_r2_and_differences_are_pooled_over_units():
    found = Scores(("a", "b"), np.array([[1.0, 3.0], [2.0, 6.0]]), np.array([10.0, 10.0]))
    assert found.r2("a") == pytest.approx(0.8)
    assert found.interval("a")[0] == pytest.approx(0.8)
    more, low, high = found.interval("a", "b")
    assert more == pytest.approx(0.2)
    assert low <= more <= high


def test_every_figure_has_its_interval():
    found = Scores(tuple(MODELS), np.ones((len(MODELS), 4)), np.full(4, 9.0))
    figures = told({"": found})
    for name in [n for n in figures if not n.endswith(("_low", "_high"))]:
        assert figures[f"{name}_low"] <= figures[name] <= figures[f"{name}_high"]


def test_ceiling_is_what_repeats_leave(rng):
    faces, noise = rng.normal(0, 1, (60, 468, 3)), rng.normal(0, 0.2, (60, 468, 3))
    faces = np.concatenate([faces, faces]) + np.concatenate([noise, -noise])
    repeated = Rows(np.tile(rng.random((60, 11)), (2, 1)), faces, np.tile(np.arange(60), 2))
    assert repeated.ceiling() == pytest.approx(1 - 0.08 / 1.04, abs=0.01)
    with pytest.raises(InputError, match="same commands"):
        Rows(rng.random((60, 11)), faces[:60], np.arange(60)).ceiling()


def test_missing_rows_say_where_to_name_them(tmp_path):
    with pytest.raises(InputError, match="--data"):
        run(tmp_path)
    with pytest.raises(InputError, match="--data"):
        run(tmp_path, data=tmp_path)


def test_physics_beats_ridge_on_a_fold_of_real_clips(rows):
    test = rows.clips % 5 == 0
    missed = {
        model: np.sum((rows.predicted(model, ~test, test) - rows.faces_cm[test]) ** 2) for model in ("ridge", "physics")
    }
    assert missed["physics"] < missed["ridge"]


def test_twin_beats_the_gaussian_process_from_twenty_real_rows(rows):
    missed = {"gp": 0.0, "twin": 0.0}
    for seed in range(2):
        few = np.random.default_rng(seed).choice(len(rows.clips), 20, replace=False)
        train = np.isin(np.arange(len(rows.clips)), few)
        test = ~np.isin(rows.clips, rows.clips[train])
        for model in missed:
            missed[model] += np.sum((rows.predicted(model, train, test) - rows.faces_cm[test]) ** 2)
    assert missed["twin"] < missed["gp"]
