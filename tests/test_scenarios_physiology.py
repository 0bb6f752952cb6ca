import json
import math

import numpy as np
import pytest

from duchenne.scenarios import checks, physiology, physiology_behaviour, physiology_electricity, physiology_mechanics
from duchenne.scenarios.checks import Check
from duchenne.scenarios.physiology_picture import draw
from duchenne.scenarios.real_recordings import eight_sites, three_muscles
from duchenne.sim.errors import InputError


def test_a_check_holds_within_its_range_and_never_for_nan():
    assert Check(topic="t", what="w", got=1.0, low=0.5, high=1.0).passed
    assert not Check(topic="t", what="w", got=1.1, high=1.0).passed
    assert not Check(topic="t", what="w", got=math.nan).passed
    both = [Check(topic="t", what="w", got=got, low=1.0, unit="mm") for got in (0.0, 2.0)]
    assert checks.counts(both) == {"checks_passed": 1, "checks_total": 2}
    assert both[0].expected == "≥ 1 mm"
    assert json.dumps(both[0].as_dict())


def test_checks_that_fail_stand_in_the_table(capsys):
    checks.table("Title", [Check(topic="t", what="w", got=3.0, high=1.0, source="somebody")])
    shown = capsys.readouterr().err
    assert "DOES NOT" in shown
    assert "somebody" in shown


def test_the_study_without_real_recordings_says_where_it_looked(tmp_path):
    with pytest.raises(InputError, match="emg_8ch"):
        physiology.study(tmp_path)


@pytest.mark.slow
def test_the_mechanics_of_the_mean_face_hold():
    found = list(physiology_mechanics.checks())
    assert {check.topic for check in found} == {"equilibrium", "displacement", "gradients"}
    assert [check.what for check in found if not check.passed] == []


@pytest.mark.slow
def test_the_electricity_of_the_mean_person_holds(shared_data):
    found = list(physiology_electricity.checks())
    found += physiology._spectrum(physiology_electricity.median_frequency(), three_muscles(shared_data))
    assert [check.what for check in found if not check.passed] == []


@pytest.mark.slow
def test_people_smile_with_their_muscles_first(shared_data, tmp_path):
    people = physiology_behaviour.population(1, 0)
    found = list(physiology_behaviour.checks(people, shared_data))
    lead = {check.what: check for check in found if check.topic == "lead"}
    assert len(lead) == 2
    assert all(check.passed for check in lead.values())
    assert people.rest_uv[0] < 0.3 * people.spontaneous_uv[0] < people.maximal_uv[0]
    real = eight_sites(shared_data)
    draw(real, real, people, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 20_000
    assert np.isfinite(people.rise_s).all()
