"""Habits: how this person's muscles move her face, learnt from what is usual and from her."""

import dataclasses

import numpy as np
import pytest

from duchenne.learning.anticipation import Anticipator
from duchenne.learning.anticipation_habit import LATER_FRAMES, Habit, Population, effort, recalled
from duchenne.learning.anticipation_lessons import Lesson
from duchenne.learning.anticipation_senses import BINS
from duchenne.sim.person.encounter import meet
from duchenne.sim.person.person import Person

CHANNELS, COMPONENTS, FRAMES = 3, 5, 1500


def _lesson(usual_mm, own_mm, rng) -> Lesson:
    """Somebody whose face is a linear answer to what her muscles do, in bursts."""
    drive = np.repeat(rng.gamma(1.0, 1.0, (FRAMES // 25, CHANNELS)), 25, axis=0) * (rng.random((FRAMES, 1)) < 0.9)
    loud = np.log1p(drive)[:, None, :].repeat(BINS, 1).astype(np.float32)
    alive = np.ones((FRAMES, CHANNELS), bool)
    faces = np.zeros((FRAMES, COMPONENTS), np.float32)
    efforts = np.array([effort(loud[k], alive[k]) for k in range(FRAMES - LATER_FRAMES)])
    faces[LATER_FRAMES:] = efforts @ (usual_mm + own_mm) + 0.02 * rng.standard_normal((len(efforts), COMPONENTS))
    still, neutral = np.zeros(FRAMES), np.zeros(FRAMES, int)
    return Lesson(
        seen=faces, clean=faces, true=faces, target=faces, arrival_s=still, rising=still > 0, expression=neutral,
        loud=loud, alive=alive,
    )  # fmt: skip


@pytest.fixture
def people(rng):
    usual_mm = rng.normal(size=(4 * CHANNELS, COMPONENTS))
    return [_lesson(usual_mm, 0.7 * rng.normal(size=usual_mm.shape), rng) for _ in range(30)]


def _off_mm(said, lesson, frames):
    return np.linalg.norm(said[frames, :-2] - lesson.seen[frames + LATER_FRAMES], axis=1).mean()


def test_a_habit_is_nearer_to_her_than_what_is_usual_and_comes_nearer(people):
    *others, her = people
    population = Population.fit(others)
    said = recalled(her, population)
    efforts = np.array([effort(a, b) for a, b in zip(her.loud, her.alive, strict=True)])
    usual = np.hstack([efforts @ population.faces_mm, np.zeros((FRAMES, 2))])
    late, early = np.arange(1000, FRAMES - LATER_FRAMES), np.arange(80, 300)
    assert _off_mm(said, her, late) < 0.3 * _off_mm(usual, her, late)
    assert _off_mm(said, her, late) < _off_mm(said, her, early)
    assert said[late, -2].mean() < said[early, -2].mean()


def test_it_says_nothing_before_it_knows_something(people):
    population = Population.fit(people)
    assert not Habit(population).says(effort(people[0].loud[0], people[0].alive[0])).any()
    said = recalled(people[0], population)
    assert not said[:40].any()
    assert (said[100:, -1] == 1).all()


def test_it_knows_nothing_of_the_future(people):
    population, her, half = Population.fit(people), people[0], FRAMES // 2
    later = np.arange(FRAMES)[:, None] >= half
    other = dataclasses.replace(her, seen=np.where(later, -her.seen, her.seen))
    np.testing.assert_array_equal(recalled(her, population)[:half], recalled(other, population)[:half])


def test_people_differ_by_as_much_as_they_do(people):
    population = Population.fit(people)
    np.linalg.cholesky(population.precision.astype(float))
    assert population.faces_mm.shape == (4 * CHANNELS, COMPONENTS)


def test_a_watcher_learns_what_a_lesson_recalls():
    """Live, with everything as late as it comes, and frame by frame from a lesson: the same habit."""
    anticipator = Anticipator.default("proximal7")
    met = meet(Person.sample(1234), montage="proximal7", seed=1, seconds=12.0)
    watcher, heard_s = anticipator.stream(), 0.0
    for time_s, face_m in zip(met.times_s, met.seen_m, strict=True):
        known_s = float(time_s) + met.camera_delay_s - met.emg_delay_s
        watcher.hear(known_s, met.heard(heard_s, known_s))
        watcher.see(float(time_s), face_m)
        heard_s = known_s
    lesson = Lesson.of(met, anticipator.space)
    last = effort(lesson.loud[-1], lesson.alive[-1])
    assert watcher._habit is not None
    assert anticipator.population is not None
    live = watcher._habit.says(last)
    assert live[-1] == 1
    np.testing.assert_allclose(live[:-2], recalled(lesson, anticipator.population)[-1, :-2], atol=0.05)
