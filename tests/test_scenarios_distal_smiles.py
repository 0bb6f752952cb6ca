"""The study of smiles at the temples: how people are pooled, what verdicts say, and all of it once on two people."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from duchenne.learning.smile_detection import agreement, chance_kappa
from duchenne.learning.smile_patterns import Comparison
from duchenne.scenarios import distal_smiles, distal_smiles_scores
from duchenne.scenarios.distal_smiles_people import READERS, UNITS
from duchenne.scenarios.distal_smiles_scores import Crowd, Estimate, against, areas, beside, chance_kappas, tables
from duchenne.sim.errors import InputError


def _labels(rng: np.random.Generator, people: int = 6, frames: int = 900) -> tuple[np.ndarray, np.ndarray]:
    truth = np.repeat(rng.random((people, frames // 30)) < 0.3, 30, axis=1)
    return truth, truth ^ (rng.random(truth.shape) < 0.2)


def test_pooled_scores_are_those_of_all_frames_together(rng: np.random.Generator):
    truth, said = _labels(rng)
    ours = Crowd(len(truth), seed=0).scores(tables(truth, said))
    whole = agreement(truth.ravel(), said.ravel())
    for name in distal_smiles_scores.MEASURES:
        assert ours[name][0] == pytest.approx(getattr(whole, name))
        estimate = Crowd.of(ours[name])
        assert estimate.low < estimate.value < estimate.high


def test_the_papers_table_hangs_together_only_if_frames_are_pooled():
    """Prevalence from accuracy, precision and recall of its Table 1 gives back its κ."""
    for source in ("camera", "emg"):
        for unit in UNITS:
            row = distal_smiles.PAPER[source][unit]
            wrong = 1 - row["recall"] + row["recall"] * (1 / row["precision"] - 1)  # errors for each active frame
            active = (1 - row["accuracy"]) / wrong
            both = active * row["recall"]
            table = (both, both / row["precision"] - both, active - both)
            kappa = distal_smiles_scores.scores([*table, 1 - sum(table)])["kappa"]
            assert float(kappa) == pytest.approx(row["kappa"], abs=0.03)


def test_chance_is_at_zero_and_like_that_of_one_person(rng: np.random.Generator):
    truth, said = _labels(rng, people=1, frames=3000)
    pooled, single = chance_kappas(truth, said, rng, 200), chance_kappa(truth[0], said[0], rng)
    assert abs(pooled.mean()) < 0.05
    assert pooled.std() == pytest.approx(single.std(), rel=0.4)


def test_intervals_are_over_people_and_leave_out_what_is_unknown():
    values = np.array([[1.0, np.nan], [3.0, 3.0]])
    crowd = Crowd(2, seed=1)
    assert crowd.mean(values).value == pytest.approx(7 / 3)
    assert (crowd.mean(values).low, crowd.mean(values).high) == (1, 3)
    assert crowd.pooled(values, np.median).value == 3
    same = crowd.mean(np.full((2, 4), 5.0))
    assert (same.low, same.value, same.high) == (5, 5, 5)
    assert same.sign == 1
    assert math.isnan(crowd.mean(np.full((2, 1), np.nan)).value)


def test_an_area_needs_both_classes(rng: np.random.Generator):
    truth, _ = _labels(rng, people=3)
    truth[2] = False
    area, curve = areas(truth, np.stack([truth[0] * 1.0, rng.random(truth.shape[1]), rng.random(truth.shape[1])]))
    assert area[0] == 1
    assert area[1] == pytest.approx(0.5, abs=0.1)
    assert np.isnan(area[2])
    assert np.isnan(curve[2]).all()
    assert (np.diff(curve[1]) >= 0).all()


@pytest.mark.parametrize(
    ("p", "difference", "signs", "verdict"),
    [
        (0.01, 0.3, (1,), "replicates"),
        (0.01, -0.3, (1,), "opposite"),
        (0.2, 0.3, (1,), "does not replicate"),
        (0.2, 0.3, (0,), "replicates"),
        (0.01, 0.3, (0,), "does not replicate"),
        (0.01, 0.3, (-1, 1), "replicates"),
        (math.nan, math.nan, (1,), "unknown"),
    ],
)
def test_verdicts_on_tests(p: float, difference: float, signs: tuple[int, ...], verdict: str):
    assert against(Comparison(statistic=0.0, p=p, difference=difference), signs) == verdict


def test_verdicts_on_numbers():
    ours = Estimate(value=0.5, low=0.4, high=0.6)
    assert [beside(ours, paper) for paper in (0.45, 0.3, 0.7)] == ["replicates", "higher", "lower"]
    assert beside(Estimate(value=0.5, low=math.nan, high=math.nan), 0.5) == "unknown"


@pytest.mark.slow
def test_the_study_runs_and_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(distal_smiles_scores, "RESAMPLES", 50)
    assert distal_smiles.run(tmp_path, people=2, seed=3, as_json=True, block_s=20.0) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    wanted = [f"{m}_{u.lower()}_{s}" for m in ("kappa", "accuracy", "precision", "recall", "chance_kappa")
              for u in UNITS for s in ("coders", "camera", *READERS)]  # fmt: skip
    wanted += ["delay_ms", "delay_sd_ms", "delay_median_ms", "au_synergies", "kappa_au6_emg_low", "kappa_au6_emg_high"]
    wanted += ["p_together_coders", "p_order_emg", "p_blocks_camera", "p_posed_spontaneous_emg", "auc_au6_raw"]
    assert set(wanted) <= set(figures)
    assert 0.3 < figures["kappa_au12_coders"] <= 1
    assert figures["au_synergies"] >= 1
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<img") == 6
    assert "does not replicate" in page

    monkeypatch.setattr("duchenne.scenarios.distal_smiles_people.watch", pytest.fail)
    assert distal_smiles.run(tmp_path, people=2, seed=3, as_json=True, block_s=20.0) == 0
    assert json.loads(capsys.readouterr().out)["figures"] == figures


def test_one_person_is_too_few(tmp_path: Path):
    with pytest.raises(InputError, match="two or more"):
        distal_smiles.run(tmp_path, people=1)
