"""What every study has: a report that holds everything, and results that are kept."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from duchenne.scenarios import study
from duchenne.scenarios.study import Finding, Kept, Study
from duchenne.sim.errors import InputError


def _study(picture: Path) -> Study:
    findings = [
        Finding(topic="smiles", what="κ <AU12>", ours=0.5, low=0.4, high=0.6, paper="0.53", verdict="replicates"),
        Finding(topic="smiles", what="delay", ours=132.0, unit="ms", real=True),
    ]
    return Study(
        title="Smiles", summary="Two people.", figures={"kappa": 0.5, "empty": math.nan}, findings=findings,
        pictures=[("a dot", picture)], notes=["Only two."],
    )  # fmt: skip


def test_a_report_holds_all_findings_and_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    picture = tmp_path / "dot.png"
    picture.write_bytes(b"\x89PNG")
    assert study.publish(_study(picture), tmp_path, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["figures"] == {"kappa": 0.5, "empty": None}
    assert told["findings"][1]["real"] is True
    page = (tmp_path / "report.html").read_text()
    assert all(
        text in page for text in ("κ &lt;AU12&gt;", "0.5 [0.4 … 0.6]", "132 ms", "Only two.", "base64,iVBORw", "real")
    )


def test_what_was_made_is_not_made_again_unless_settings_change(tmp_path: Path):
    made = []

    def make() -> dict[str, np.ndarray]:
        made.append(1)
        return {"a": np.arange(3)}

    for _ in range(2):
        np.testing.assert_array_equal(Kept(tmp_path).get("person-1", {"seed": 0}, make)["a"], np.arange(3))
    assert len(made) == 1
    Kept(tmp_path).get("person-1", {"seed": 1}, make)
    Kept(tmp_path, revision=2).get("person-1", {"seed": 0}, make)
    assert len(made) == 3


def test_a_broken_file_is_made_anew(tmp_path: Path):
    Kept(tmp_path).get("x", {}, lambda: {"a": np.arange(3)})
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(path.read_bytes()[:40])
    assert Kept(tmp_path).get("x", {}, lambda: {"a": np.arange(4)})["a"].size == 4


def test_results_stand_in_order_and_bad_folders_are_named(tmp_path: Path):
    assert study.each("squares", range(5), lambda n: n * n) == [0, 1, 4, 9, 16]
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out"):
        study.folder(tmp_path / "file")
