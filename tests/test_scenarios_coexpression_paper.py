import numpy as np
import pytest
from scipy import stats

from duchenne.learning.expectation import Copying
from duchenne.learning.paper_anticipation import Recipe
from duchenne.learning.peak_activation import AFTER, BEFORE
from duchenne.scenarios import train_anticipation
from duchenne.scenarios.coexpression import PAPER_PEOPLE
from duchenne.scenarios.coexpression_paper import (
    Confusion,
    Judge,
    Row,
    chance,
    copy_newest,
    copy_peak,
    cross_validate,
    cut,
    errors_mm,
    joined,
    learn,
    meet_all,
    paper,
    score,
    streamed,
)
from duchenne.scenarios.coexpression_people import FIRST_PERSON
from duchenne.sim.errors import InputError
from duchenne.sim.person.behaviour import Act
from duchenne.sim.person.encounter import meet
from duchenne.sim.person.person import Person

QUICK = Recipe(width=16, steps=250)


@pytest.fixture(scope="module")
def clips():
    return meet_all([1000, 1001], seconds=20.0)


def test_nobody_is_learnt_from_and_tested_on(tmp_path):
    assert PAPER_PEOPLE <= FIRST_PERSON
    assert FIRST_PERSON >= 1000
    with pytest.raises(InputError, match="tested on"):
        train_anticipation.run(tmp_path / "a.npz", people=FIRST_PERSON + 1)


def test_clips_are_what_the_camera_saw_around_peak_activation(clips):
    assert len(clips) >= 3
    for row in range(len(clips)):
        met, peak = clips.encounters[clips.place[row]], clips.peak[row]
        np.testing.assert_array_equal(clips.inputs_m[row], met.seen_m[peak - BEFORE : peak + AFTER + 1])
        np.testing.assert_array_equal(clips.targets_m[row, 0], met.seen_m[peak + clips.lead_frames[row]])
    assert (clips.lead_frames > 0).all()
    assert set(clips.person) == {1000, 1001}


def test_clips_begin_at_rest_and_alone():
    busy = [
        Act(what="speech", onset_s=1.0, rise_s=0.2, hold_s=2.0, fall_s=0.3, intensity=1.0),
        Act(what="smile", onset_s=2.0, hold_s=0.5, intensity=0.8, kind="posed"),
        Act(what="smile", onset_s=7.0, hold_s=0.8, intensity=0.8, kind="posed"),
    ]
    clips = cut(meet(Person.sample(1000), acts=busy, seconds=10.0))
    assert len(clips) == 1
    assert 7.0 < clips.peak[0] / 25 < 7.6
    assert len(cut(meet(Person.sample(1000), acts=[], seconds=3.0))) == 0


def test_mimicry_and_chance(clips):
    np.testing.assert_array_equal(copy_newest(clips, 3), clips.inputs_m[:, BEFORE + 3])
    np.testing.assert_array_equal(copy_peak(clips, 3), clips.inputs_m[:, BEFORE])
    drawn = chance(clips)(clips[:2], 0)
    assert all((face == clips.targets_m[:, 0]).all((1, 2)).any() for face in drawn)


@pytest.mark.parametrize("after", [0, AFTER])
def test_a_stream_that_copies_is_mimicry(clips, after):
    np.testing.assert_array_equal(streamed(Copying)(clips, after), copy_newest(clips, after).astype(float))


def test_paper_sees_the_four_newest_frames(clips):
    model = learn(clips, recipe=QUICK)
    said = paper(model)(clips, 2)
    np.testing.assert_allclose(said, model.predict(clips.inputs_m[:, BEFORE - 1 : BEFORE + 3]))
    assert model.lead_s == pytest.approx(np.median(clips.lead_frames) / 25)


def test_confusion_is_the_papers_table():
    figures = Confusion(true_positive=1307, false_negative=338, false_positive=316, true_negative=393).figures
    printed = {"accuracy": 0.722, "ppv": 0.805, "sensitivity": 0.795, "fpr": 0.446, "false_omission": 0.462}
    assert {name: round(figures[name], 3) for name in printed} == printed
    assert figures["lr_plus"] == pytest.approx(1.782, abs=1e-3)
    assert figures["ppv_at_paper_share"] == pytest.approx(figures["ppv"])
    fewer = Confusion(true_positive=1307, false_negative=338, false_positive=3160, true_negative=3930).figures
    assert fewer["ppv"] < 0.3
    assert fewer["ppv_at_paper_share"] == pytest.approx(figures["ppv"])


def test_figures_and_test_of_a_row(rng):
    nothing = Confusion(0, 0, 0, 1)
    one, other = (Row(name, 0, rng.normal(size=40) + mean, nothing) for name, mean in (("a", 2.0), ("b", 3.0)))
    figures, against = one.figures, one.against(other)
    assert figures["sem_mm"] == pytest.approx(stats.sem(one.errors_mm))
    assert figures["high_mm"] - figures["mean_mm"] == pytest.approx(stats.t.ppf(0.975, 39) * figures["sem_mm"])
    assert against["ratio"] == pytest.approx(one.errors_mm.mean() / other.errors_mm.mean())
    assert against["t"] < 0
    assert against["p"] < 0.01
    assert np.isnan(figures["ppv"])


def test_one_table_for_all(clips):
    rows = score(
        {"perfect": lambda clips, after: clips.targets_m[:, 0], "newest": copy_newest, "peak": copy_peak},
        clips,
        after=AFTER,
        judge=Judge.default(),
    )
    assert rows["perfect"].figures["mean_mm"] == 0
    assert rows["perfect"].figures["accuracy"] == 1
    assert rows["newest"].figures["mean_mm"] < rows["peak"].figures["mean_mm"]
    whole = rows["newest"].confusion
    assert sum(vars(whole).values()) == 11 * len(clips)
    with pytest.raises(InputError, match="after"):
        score({}, clips, after=5, judge=Judge.default())


def test_error_is_the_mean_absolute_one_of_113_points(clips):
    faces = clips.targets_m[:, 0] + np.array([1e-3, -3e-3, 9.0], np.float32)
    np.testing.assert_allclose(errors_mm(faces, clips.targets_m[:, 0]), 2.0, atol=1e-4)


@pytest.mark.slow
def test_cross_validation_keeps_people_apart(clips):
    many = joined([clips] * 4)
    many.person[:] = np.arange(len(many)) % 7
    found = cross_validate(many, by_person=True, recipe=QUICK)
    assert set(found.fold) == set(range(5))
    assert all(len(set(found.fold[many.person == who])) == 1 for who in range(7))
    assert np.isfinite(found.paper_mm).all()
    with pytest.raises(InputError, match="folds"):
        cross_validate(clips, by_person=True, recipe=QUICK)
