"""The study of six expressions: what is kept of a person, how points are split, and the whole with two people."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from duchenne.learning.keypoints import CHANNELS, KEYPOINTS
from duchenne.learning.recognition import NEUTRAL
from duchenne.scenarios import six_expressions, six_expressions_data, six_expressions_points
from duchenne.scenarios.six_expressions_data import RANK, RANKS, SCALES, Someone
from duchenne.scenarios.six_expressions_scores import paper_synergies
from duchenne.sim.facs import SHU_EXPRESSIONS

REPETITIONS, FRAMES = 6, 12


@pytest.fixture
def someone() -> Someone:
    """A person whose points are a weighted sum of her channels, with three synergies and nothing else."""
    rng = np.random.default_rng(0)
    centres = np.abs(rng.normal(size=(len(SHU_EXPRESSIONS), RANK)))
    weights = paper_synergies() / np.linalg.norm(paper_synergies(), axis=1, keepdims=True)
    shape = (len(SHU_EXPRESSIONS), REPETITIONS, 2, FRAMES)
    expression, repetition, posed, _ = (one.ravel() for one in np.indices(shape))
    emg = (posed[:, None] * centres[expression] * rng.uniform(0.8, 1.2, (len(posed), 1))) @ weights
    moved = emg @ rng.normal(size=(len(CHANNELS), len(KEYPOINTS)))
    direction = rng.normal(size=(len(KEYPOINTS), 2))
    names = np.array(SHU_EXPRESSIONS)[expression]
    own = emg.max(0)
    return Someone(
        mvc_uv=np.full(len(CHANNELS), 2.0),
        own_uv=own,
        emg_uv=emg,
        offset_mm=moved[..., None] * direction,
        label=np.where(posed == 1, names, NEUTRAL),
        expression=names,
        repetition=repetition,
        vaf=np.ones((len(SCALES) + 1, len(RANKS))),
        vaf_by_channel=np.ones((len(SCALES) + 1, len(RANKS), len(CHANNELS))),
        weights=np.stack([weights, weights / own]),
        window_label=np.array([NEUTRAL, "fear"]),
        window_trial=np.arange(2),
        window_emg=rng.random((2, len(CHANNELS), 4)),
        window_synergy=rng.random((len(SCALES), 2, RANK, 4)),
    )


def test_a_reordered_trial_holds_each_expression_once(someone: Someone):
    trial = six_expressions_points.reordered(someone, np.random.default_rng(1))
    for number in range(REPETITIONS):
        rows = trial == number
        assert set(someone.expression[rows]) == set(SHU_EXPRESSIONS)
        for name in SHU_EXPRESSIONS:
            assert len(np.unique(someone.repetition[rows & (someone.expression == name)])) == 1


def test_another_scale_is_the_same_windows_over_another_maximum(someone: Someone):
    over_mvc, over_own = (six_expressions_data.seen([someone, someone], scale) for scale in SCALES)
    ratio = (someone.mvc_uv / someone.own_uv)[:, None]
    np.testing.assert_allclose(over_own.features[:2, :, [0, 2, 3]], over_mvc.features[:2, :, [0, 2, 3]] * ratio)
    np.testing.assert_allclose(over_own.features[:2, :, 1], over_mvc.features[:2, :, 1] * ratio[:, 0] ** 2)
    turned = six_expressions_data.seen_synergies([someone, someone], "MVC", np.array([[0, 1, 2], [2, 0, 1]]))
    np.testing.assert_array_equal(turned.features[2:], turned.features[:2][:, [2, 0, 1]])
    assert set(turned.person) == {0, 1}


def test_a_face_that_is_linear_in_its_muscles_is_found_by_the_regression_and_led_back(
    someone: Someone, monkeypatch: pytest.MonkeyPatch
):
    linear = {"lrm": six_expressions_points.MODELS["lrm"]}
    monkeypatch.setattr(six_expressions_points, "MODELS", linear)
    monkeypatch.setattr(six_expressions_points, "INVERTED", ("lrm",))
    found = six_expressions_points.fit(someone, [0, 0])
    assert found.nrmse.max() < 1e-6
    assert found.r2.min() > 0.999
    assert found.parameters.tolist() == [35]
    assert found.known_points.max() < 0.02
    assert found.met_emg.min() > 0.98
    assert found.met_right.mean() > 0.8
    assert found.overshoot.max() < 1e-9  # a straight way through a linear model is straight


@pytest.mark.parametrize(
    ("paper", "low", "high", "middle", "verdict"),
    [(0.5, 0.4, 0.6, 0.5, "replicates"), (0.9, 0.4, 0.6, 0.5, "lower"), (0.1, 0.4, 0.6, 0.5, "higher")],
)
def test_a_verdict_says_on_which_side_we_are(paper: float, low: float, high: float, middle: float, verdict: str):
    assert six_expressions._verdict(paper, low, high, middle=middle) == verdict


@pytest.mark.slow
def test_the_study_tells_all_its_figures_and_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    assert six_expressions.run(tmp_path, people=2, repetitions=3, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)["figures"]
    models = ("smsm", "lrm", "smsm_lrm", "coupled")
    for name in (
        "accuracy_synergy",
        "accuracy_semg",
        "accuracy_unseen_person",
        "accuracy_unseen_person_synergy",
        "rank_at_90_vaf",
        *(f"{what}_{model}{end}" for what in ("nrmse", "r2") for model in models for end in ("", "_low", "_high")),
        *(f"parameters_{model}" for model in models),
        "anova_p_nrmse",
        "anova_p_r2",
    ):
        assert math.isfinite(told[name]), name
    assert told["parameters_coupled"] < told["parameters_smsm_lrm"]
    assert told["accuracy_semg"] > 2 * told["accuracy_chance"]
    assert {path.name for path in tmp_path.glob("*.png")} == {
        f"{name}.png" for name in ("confusion", "synergies", "vaf", "models", "points", "path")
    }
    page = (tmp_path / "report.html").read_text()
    assert "coupled skin" in page
    assert "Before believing it" in page

    def never(*_: object) -> None:
        raise AssertionError("simulated again")

    monkeypatch.setattr(six_expressions_data, "watch", never)
    monkeypatch.setattr(six_expressions_points, "fit", never)
    assert six_expressions.run(tmp_path, people=2, repetitions=3) == 0
