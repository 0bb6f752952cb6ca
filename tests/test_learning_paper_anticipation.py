from itertools import pairwise

import numpy as np
import pytest

from duchenne.learning.expectation import NEUTRAL
from duchenne.learning.paper_anticipation import FRAMES, WINDOW, PaperAnticipator, Recipe, landmarks
from duchenne.learning.peak_activation import peak_activation
from duchenne.sim import mesh
from duchenne.sim.errors import InputError, ModelFileError
from duchenne.twin.timing import OneShot

RATE_HZ = 25.0
NAMES = ("happiness", "surprise")


def rise(times_s, begin_s, lasts_s):
    """Minimum jerk from 0 to 1."""
    x = np.clip((np.asarray(times_s) - begin_s) / lasts_s, 0, 1)
    return x**3 * (10 - 15 * x + 6 * x**2)


@pytest.fixture(scope="module")
def ways():
    """What two expressions move, (2, 468, 3) m at full strength."""
    rng = np.random.default_rng(5)
    return 2e-3 * rng.normal(size=(2, mesh.VERTEX_COUNT, 3))


@pytest.fixture(scope="module")
def lessons(ways):
    """Rises of both expressions to any strength: inputs, targets and names."""
    rng = np.random.default_rng(0)
    times = np.arange(50) / RATE_HZ
    inputs, targets, names = [], [], []
    for number in range(200):
        kind, strength = number % 2, rng.uniform(0.5, 1.0)
        faces = (strength * rise(times, 0.6, rng.uniform(0.5, 0.7)))[:, None, None] * ways[kind]
        peak = peak_activation(faces, RATE_HZ)
        inputs.append(faces[peak.inputs])
        targets.append(faces[peak.targets])
        names.append(NAMES[kind])
    return np.array(inputs), np.array(targets), names


@pytest.fixture(scope="module")
def anticipator(lessons):
    return PaperAnticipator.fit(*lessons, lead_s=0.4, recipe=Recipe(width=32, steps=750, learning_rate=5e-3))


def test_predicts_the_target_better_than_copying(anticipator, lessons):
    inputs, targets, _ = lessons
    wanted = targets[:, 0]
    said = anticipator.predict(inputs[:, WINDOW - FRAMES :])
    assert said.shape == wanted.shape
    assert np.abs(said - wanted).mean() < 0.35 * np.abs(inputs[:, -1] - wanted).mean()
    # What the network does not see, depth and the other landmarks, follows.
    assert np.abs(said - wanted)[..., 2].mean() < 0.35 * np.abs(inputs[:, -1] - wanted)[..., 2].mean()


def test_one_face_is_predicted_as_in_a_batch(anticipator, lessons):
    frames = lessons[0][:3, :FRAMES]
    np.testing.assert_allclose(anticipator.predict(frames[1]), anticipator.predict(frames)[1], atol=1e-7)


def test_eight_layers_on_four_frames_of_113_points(anticipator):
    assert len(anticipator.weights) == 8
    assert anticipator.weights[0].shape[0] == 4 * 113 * 2
    assert anticipator.weights[-1].shape[1] == 113 * 2
    assert landmarks(np.ones((2, 468, 3))).shape == (2, 226)


def test_names_the_likeliest_expression(anticipator, ways):
    assert [anticipator.name(0.3 * way) for way in ways] == list(NAMES)


def test_comes_back_from_a_file(anticipator, lessons, tmp_path):
    again = PaperAnticipator.load(anticipator.save(tmp_path / "paper.npz", {"people": 40}))
    frames = lessons[0][:5, :FRAMES]
    np.testing.assert_array_equal(again.predict(frames), anticipator.predict(frames))
    assert (again.names, again.lead_s) == (NAMES, 0.4)
    with pytest.raises(ModelFileError, match="no model file"):
        PaperAnticipator.load(tmp_path / "absent.npz")


@pytest.mark.parametrize("spoil", ["shape", "nan", "names"])
def test_refuses_bad_clips(lessons, spoil):
    inputs, targets, names = lessons
    if spoil == "shape":
        inputs = inputs[:, :8]
    elif spoil == "nan":
        inputs = np.where(np.arange(len(inputs))[:, None, None, None] == 3, np.nan, inputs)
    else:
        names = names[:-1]
    with pytest.raises(InputError, match="clips"):
        PaperAnticipator.fit(inputs, targets, names)


@pytest.mark.parametrize("frames", [np.zeros((3, 468, 3)), np.full((FRAMES, 468, 3), np.nan)])
def test_refuses_bad_frames(anticipator, frames):
    with pytest.raises(InputError, match="frames"):
        anticipator.predict(frames)


def watched(watcher, faces, start_s=0.0):
    """Expectations 80 ms after each of some faces."""
    said = []
    for frame, face in enumerate(faces):
        time_s = start_s + frame / RATE_HZ
        watcher.see(time_s, face)
        said.append(watcher.expect(time_s + 0.08))
    return said


def course(ways, noise_m=0.0, seed=0):
    """A calm face, a rise to 0.8 of happiness at 2 s, a fall at 4 s; 6 s."""
    times = np.arange(round(6 * RATE_HZ)) / RATE_HZ
    strength = 0.8 * (rise(times, 2.0, 0.6) - rise(times, 4.0, 0.8))
    clean = strength[:, None, None] * ways[0]
    return times, clean + noise_m * np.random.default_rng(seed).normal(size=clean.shape)


def test_asks_once_after_peak_activation(anticipator, ways):
    times, faces = course(ways, noise_m=1e-4)
    said = watched(anticipator.stream(), faces)
    under_way = np.array([one.probability > 0.5 for one in said])
    first, last = np.flatnonzero(under_way)[[0, -1]]
    assert under_way[first : last + 1].all()
    peak = peak_activation(faces[:100], RATE_HZ).peak
    assert peak < first <= peak + 7
    assert times[first] < 2.6 < 4.0 < times[last] < 5.0
    assert said[first].expression == "happiness"
    assert 0 < said[first].arrival_s < 0.4
    assert all(one.target_m is two.target_m for one, two in pairwise(said[first : last + 1]))
    assert np.abs(said[first].target_m - 0.8 * ways[0]).mean() < np.abs(faces[first] - 0.8 * ways[0]).mean()
    assert said[-1].expression == NEUTRAL


def test_moves_a_one_shot_robot_once_and_brings_it_back(anticipator, ways):
    _, faces = course(ways)
    timing = OneShot()
    wishes = [timing.wish(one) for one in watched(anticipator.stream(), faces)]
    assert sum(not wish.gently and wish.face_m is not None for wish in wishes) == 1
    assert wishes[-1].face_m is not None
    assert np.abs(wishes[-1].face_m).max() < 1e-6


def test_stays_calm_before_noise_and_blinks(anticipator):
    lids = [*mesh.region("right eye"), *mesh.region("left eye")]
    faces = 2e-4 * np.random.default_rng(3).normal(size=(500, 468, 3))
    for blink in range(50, 500, 60):
        faces[blink : blink + 6, lids, 1] -= 6e-3
    assert not any(one.probability for one in watched(anticipator.stream(), faces))


def test_what_comes_later_changes_nothing_earlier(anticipator, ways):
    _, faces = course(ways, noise_m=1e-4)
    cut = 62
    other = np.concatenate([faces[:cut], faces[cut:] * -2])
    one, two = (watched(anticipator.stream(), series)[:cut] for series in (faces, other))
    assert all((a.target_m == b.target_m).all() for a, b in zip(one, two, strict=True))


def test_begins_anew_after_a_lost_face(anticipator, ways):
    _, faces = course(ways)
    watcher = anticipator.stream()
    watched(watcher, faces[:80])
    watcher.see(3.3, None)
    lost = watcher.expect(4.0)
    assert (lost.sources, lost.problem) == ((), "no face")
    watcher.see(5.0, faces[0])
    found = watcher.expect(5.05)
    assert (found.probability, found.expression, found.sources) == (0.0, NEUTRAL, ("camera",))
    with pytest.raises(InputError, match="face"):
        watcher.see(5.04, faces[0][:100])
