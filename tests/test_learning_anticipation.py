"""Anticipators: what they promise whatever they were trained for, and that they know more than was shown."""

import dataclasses

import numpy as np
import pytest

from duchenne.learning.anticipation import SHIPPED, Anticipator
from duchenne.learning.anticipation_lessons import CALLED, Lesson, encounters, space_of
from duchenne.learning.anticipation_training import Recipe, train
from duchenne.sim.errors import InputError, ModelFileError, VocabularyError
from duchenne.sim.person.electrodes import montage
from duchenne.sim.person.encounter import meet
from duchenne.sim.person.person import Person

SOMEBODY = 1234
SECONDS = 12.0


def _anticipator(name: str) -> Anticipator:
    return Anticipator.default(None if name == "camera" else name)


@pytest.fixture(scope="module")
def met():
    """Somebody whom nothing was trained on, with each montage."""
    person = Person.sample(SOMEBODY)
    return {name: meet(person, montage=None if name == "camera" else name, seed=1, seconds=SECONDS) for name in SHIPPED}


def _played(anticipator, met, sees=True, hears=True, until_s=SECONDS, camera_lost_s=np.inf):
    """Expectations at every picture's time, with everything as late as it comes."""
    watcher, said, heard_s, seen = anticipator.stream(), [], 0.0, 0
    for now_s in met.times_s[met.times_s < until_s]:
        while sees and seen < len(met.seen_m) and met.times_s[seen] + met.camera_delay_s <= now_s + 1e-9:
            lost = met.times_s[seen] > camera_lost_s
            watcher.see(float(met.times_s[seen]), None if lost else met.seen_m[seen])
            seen += 1
        if hears and anticipator.channels:
            until = float(now_s) - met.emg_delay_s
            block = met.heard(heard_s, until)
            if len(block):
                watcher.hear(until, block)
                heard_s = until
        said.append(watcher.expect(float(now_s)))
    return said


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_one_says_finite_things_in_its_own_words(name, met):
    said = _played(_anticipator(name), met[name], until_s=6.0)
    last = said[-1]
    assert last.sources == (("camera",) if name == "camera" else ("camera", "emg"))
    assert last.problem == ""
    for one in said[25:]:
        assert one.shown_m.shape == one.target_m.shape == (468, 3)
        for ahead_s in (0.0, 0.1, 2.0):
            assert one.at(ahead_s).shape == (468, 3)
            assert np.isfinite(one.at(ahead_s)).all()
        assert np.isfinite(one.target_m).all()
        assert one.arrival_s >= 0
        assert one.arrival_sd_s >= 0
        assert one.target_sd_m >= 0
        assert 0 <= one.probability <= 1
        assert one.expression in CALLED


@pytest.mark.parametrize("name", SHIPPED)
def test_channels_are_those_of_the_montage(name):
    if name != "camera":
        assert _anticipator(name).channels == tuple(montage(name).channel_names)
    assert name == "camera" or _anticipator(name).montage == name


def test_nothing_is_known_of_the_future(met):
    """What comes later changes nothing that was said before."""
    one, half = met["proximal7"], SECONDS / 2
    frames, samples = one.times_s < half, round(half * 1000)
    other = dataclasses.replace(
        one,
        seen_m=np.where(frames[:, None, None], one.seen_m, one.seen_m[::-1]),
        emg_uv=np.concatenate([one.emg_uv[:samples], one.emg_uv[samples:][::-1]]),
    )
    for before, after in zip(
        _played(Anticipator.default("proximal7"), one, until_s=half),
        _played(Anticipator.default("proximal7"), other, until_s=half),
        strict=True,
    ):
        np.testing.assert_array_equal(before.target_m, after.target_m)
        assert before.arrival_s == after.arrival_s


def _error_mm(said, met, ahead_s, copied=False):
    """Of the face `ahead_s` later, mean landmark distance in mm while she moves into an expression; of copying."""
    ahead, found = round(ahead_s * 25), []
    for k, one in enumerate(said[: len(met.truth_m) - ahead]):
        if any(act.onset_s - 0.1 < met.times_s[k] < act.arrival_s for act in met.acts):
            known = met.seen_m[max(k - 2, 0)] if copied else one.at(ahead_s)
            found.append(1e3 * np.linalg.norm(known - met.truth_m[k + ahead], axis=1).mean())
    return np.mean(found)


def test_both_senses_know_more_than_either_and_either_more_than_copying(met):
    one, both = met["proximal7"], Anticipator.default("proximal7")
    errors = {
        senses: _error_mm(_played(both, one, *senses), one, 0.1)
        for senses in ((True, True), (True, False), (False, True))
    }
    copied = _error_mm(_played(both, one), one, 0.1, copied=True)
    assert errors[True, True] < 0.75 * copied
    assert errors[True, False] < 0.9 * copied
    assert errors[True, True] < errors[True, False]


def test_a_lost_face_leaves_the_muscles_and_is_told(met):
    said = _played(Anticipator.default("proximal7"), met["proximal7"], camera_lost_s=5.0, until_s=9.0)
    assert said[-1].sources == ("emg",)
    assert said[-1].problem.startswith("no face for")
    assert np.isfinite(said[-1].target_m).all()


def test_without_both_it_says_so_and_expects_rest(met):
    watcher = Anticipator.default("proximal7").stream()
    nothing = watcher.expect(1.0)
    assert nothing.sources == ()
    assert nothing.problem == "no pictures; no EMG"
    assert not nothing.target_m.any()
    assert nothing.probability == 0


def test_a_watcher_for_the_camera_hears_nothing():
    with pytest.raises(InputError, match="camera alone"):
        Anticipator.default().stream().hear(0.0, np.zeros((4, 7)))


@pytest.mark.parametrize("face", [np.full((468, 3), np.nan), np.zeros((478, 3))])
def test_what_is_no_face_is_refused(face):
    with pytest.raises(InputError, match="468, 3"):
        Anticipator.default().stream().see(0.0, face)


def test_an_unknown_montage_names_those_that_are_shipped():
    with pytest.raises(VocabularyError, match="proximal7, epidermal10, distal4"):
        Anticipator.default("nothing")


def test_a_saved_one_says_the_same(met, tmp_path):
    shipped = Anticipator.default("distal4")
    path = shipped.save(tmp_path / "a.npz", {"people": 3})
    again = Anticipator.load(path)
    assert again.channels == shipped.channels
    here, there = (_played(one, met["distal4"], until_s=3.0)[-1] for one in (shipped, again))
    np.testing.assert_array_equal(here.target_m, there.target_m)
    with pytest.raises(ModelFileError):
        Anticipator.load(tmp_path / "none.npz")


def test_a_lesson_tells_what_comes_next():
    (met,) = encounters([7], montage=None, seconds=SECONDS)
    space = space_of([met])
    lesson = Lesson.of(met, space)
    act = met.acts[0]
    k = round((act.onset_s + act.arrival_s) / 2 * 25)
    assert lesson.rising[k]
    assert CALLED[lesson.expression[k]] == act.expression
    assert lesson.arrival_s[k] == pytest.approx(act.arrival_s - k / 25, abs=1e-6)
    apex = round(act.apex_s * 25)
    strongest = space.encode(met.truth_m[apex : apex + 4].mean(0))
    np.testing.assert_allclose(lesson.target[[k, apex - 1]], [strongest, strongest], atol=1e-4)
    np.testing.assert_array_equal(lesson.target[apex], lesson.true[apex])
    calm = round((act.drive_s - 0.1) * 25)
    assert not lesson.rising[calm]


def test_training_learns_and_repeats_itself():
    met = list(encounters(range(2), montage=None, seconds=SECONDS))
    space = space_of(met)
    lessons, losses = [Lesson.of(one, space) for one in met], []
    recipe = Recipe(hidden=16, steps=500, batch=32, aim_hidden=8, aim_steps=250)
    first = train(lessons, space, None, 0, recipe, lambda done, total, loss: losses.append(loss))
    again = train(lessons, space, None, 0, recipe)
    assert losses[-1] < losses[0]
    for one, other in zip(first.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one, other)
