"""The study of separation: its scores know what the mixture holds, its verdicts say what the scores do."""

import json
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from duchenne.scenarios import separation_cases as cases
from duchenne.scenarios import separation_results as results
from duchenne.scenarios import separation_study as study
from duchenne.scenarios.separation_cases import METHODS, PARTS, SCORES, Case
from duchenne.sim.errors import InputError
from duchenne.sim.person.protocols import protocol

NEAR = Case(montage="proximal7")
QUIET = Case(montage="proximal7", electrode_uv=0.0)
ALL = Case(montage="proximal7", components=7)
TRIED = (NEAR, Case(montage="proximal7", electrode_uv=10.0), QUIET, ALL)


@pytest.fixture(scope="module")
def scored():
    patch = pytest.MonkeyPatch()
    short = {"actions": lambda: protocol("expressions", hold_s=1.0, rest_s=0.8)}
    patch.setattr(cases, "TASKS", MappingProxyType(short))
    yield cases.person_scores(3, TRIED)
    patch.undo()


def _of(scored, case, method, score, part="value"):
    return scored["scores"][TRIED.index(case), list(METHODS).index(method), SCORES.index(score), PARTS.index(part)]


def test_knowing_the_mixing_gives_the_most(scored):
    assert _of(scored, NEAR, "known mixing", "amari") == pytest.approx(0, abs=1e-6)
    assert _of(scored, NEAR, "known mixing", "muscle_cosine") > 0.9
    assert _of(scored, NEAR, "known mixing", "sdr_db") > _of(scored, NEAR, "random", "sdr_db") + 5
    assert _of(scored, NEAR, "random", "amari") > 0.2


def test_ica_of_all_channels_finds_the_muscles_under_the_pairs(scored):
    assert _of(scored, ALL, "picard", "amari") < 0.1 < _of(scored, ALL, "picard", "amari", "limit")
    assert _of(scored, ALL, "picard", "corr_h") > _of(scored, ALL, "random", "corr_h")


def test_variance_explained_does_not_know_a_random_unmixing(scored):
    vaf = dict(zip(METHODS, scored["vaf"].T, strict=True))
    np.testing.assert_allclose(vaf["random"], vaf["picard"], atol=1e-6)
    np.testing.assert_allclose(vaf["random"], vaf["pca"], atol=1e-6)
    assert vaf["random"][TRIED.index(ALL)] == pytest.approx(1)
    assert vaf["nmf of envelopes"][0] > vaf["random synergies"][0] > 0


def test_noise_costs_waveforms_and_envelopes_have_none(scored):
    loud, quiet = (_of(scored, case, "known mixing", "sdr_db") for case in (TRIED[1], QUIET))
    assert quiet > loud + 3
    assert np.isnan(_of(scored, NEAR, "nmf of envelopes", "sdr_db"))
    assert np.isfinite(scored["scores"][..., :3, :]).all()


def _invented(person: int, tried) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(person)
    scores = rng.uniform(0.2, 0.8, (len(tried), len(METHODS), len(SCORES), len(PARTS)))
    for row, method in enumerate(METHODS.values()):
        if method.of_envelopes:
            scores[:, row, SCORES.index("sdr_db")] = np.nan
    return {
        "scores": scores, "vaf": rng.uniform(0.9, 1, scores.shape[:2]),
        "share": np.ones(len(tried)), "jaw": np.zeros(len(tried)),
    }  # fmt: skip


def test_the_study_tells_all_figures_and_keeps_people(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    made = []
    monkeypatch.setattr(results, "person_scores", lambda *given: made.append(given[0]) or _invented(*given))
    assert study.run(tmp_path, people=3, seed=2, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    for place in ("proximal", "distal"):
        for score in SCORES:
            names = {f"{place}_{score}{kind}" for kind in ("", "_chance", "_random", "_known_mixing")}
            assert names <= told["figures"].keys()
        assert {f"{place}_vaf", f"{place}_vaf_random"} <= told["figures"].keys()
    assert None not in told["figures"].values()
    assert any("VAF misleads" in row["verdict"] for row in told["findings"])
    assert all((tmp_path / name).stat().st_size for name in ("scores.png", "vaf.png", "curves.png", "report.html"))
    results.measure(tmp_path, 3, 2)
    assert sorted(made) == [2000, 2001, 2002]


def test_one_person_has_no_interval(tmp_path: Path):
    with pytest.raises(InputError, match="2 or more"):
        study.run(tmp_path, people=1)


def test_verdicts_ask_for_more_than_chance_and_more_than_random():
    low, spread = np.full(6, 0.1), np.array([0.0, 0.01, -0.01, 0.02, -0.02, 0.0])
    assert study.verdict(low + spread, low, low) == "not surely better than chance"
    assert study.verdict(low + 0.5 + spread, low, low + 0.5) == "better than chance, not surely than random"
    assert study.verdict(low + 0.5 + spread, low, low + 0.1) == "better than chance and random"
    assert study.verdict(low - 0.5 + spread, low, low) == "not surely better than chance"


def test_interval_is_students():
    low, high = results.interval(np.array([1.0, 2.0, 3.0]))
    assert (low + high) / 2 == pytest.approx(2)
    assert (high - low) / 2 == pytest.approx(4.302653 / np.sqrt(3))
