import numpy as np
import pytest

from duchenne.learning.expectation import NEUTRAL, Watcher
from duchenne.learning.motion_anticipation import MotionAnticipator, MotionWatcher
from duchenne.learning.motion_lessons import AHEAD_FRAMES, DIRECTIONS, Lessons, draw, lessons, study
from duchenne.learning.motion_training import Recipe, foretold, train
from duchenne.learning.peak_activation import apexes
from duchenne.sim.errors import InputError, ModelFileError
from duchenne.sim.mesh import VERTEX_COUNT
from duchenne.sim.person.repertoire import EXPRESSIONS

RATE_HZ = 25.0


@pytest.fixture(scope="module")
def anticipator():
    return MotionAnticipator.default()


def rise(times_s, middle_s=0.4, scale_s=0.07):
    return 1 / (1 + np.exp(-(times_s - middle_s) / scale_s))


def repeats(goals, rng, noise=0.01):
    """A face (T, n) that shows each goal in turn for a second, three seconds apart."""
    times = np.arange(75) / RATE_HZ
    share = rise(times) - rise(times, 1.6)
    path = np.concatenate([np.zeros((30, goals.shape[1])), *(share[:, None] * goal for goal in goals)])
    return path + noise * rng.normal(size=path.shape)


def play(stream, faces, start_s=0.0):
    for frame, face in enumerate(faces):
        stream.see(start_s + frame / RATE_HZ, face)
    return stream


def test_a_repeated_expression_is_foreseen(anticipator, rng):
    goals = rng.normal(size=(2, 12))[[0, 1, 0, 1, 0, 1, 0]]
    faces = repeats(goals, rng)
    now = len(faces) - 75 + 8  # an eighth on the way
    target = play(anticipator.stream(), faces[: now + 1]).target()
    copied = np.linalg.norm(faces[now] - goals[0])
    assert np.linalg.norm(target - goals[0]) < 0.6 * copied


def test_motion_held_out_is_foreseen_better_than_by_copying(anticipator):
    found = Lessons.joined(list(lessons(40, seed=987)))
    ahead = found.at(np.isfinite(found.arrival_s))
    error = np.linalg.norm(foretold(anticipator.motives, ahead) - ahead.target, axis=1)
    copied = np.linalg.norm(ahead.target, axis=1)
    assert error.sum() < 0.92 * copied.sum()


def test_what_is_foreseen_turns_moves_and_grows_with_the_face(anticipator, rng):
    faces = repeats(rng.normal(size=(3, 6)), rng)[:130]
    turn, _ = np.linalg.qr(rng.normal(size=(10, 6)))
    away = rng.normal(size=10)
    one = play(anticipator.stream(), faces).outlook()
    two = play(anticipator.stream(), 1e-3 * faces @ turn.T + away).outlook()
    np.testing.assert_allclose((two.target - away) @ turn * 1e3, one.target, atol=2e-3)
    np.testing.assert_allclose((two.course - away) @ turn * 1e3, one.course, atol=2e-3)
    assert two.arrival_s == pytest.approx(one.arrival_s, abs=1e-3)


def test_a_single_face_is_expected_to_stay(anticipator, rng):
    face = rng.normal(size=113)
    stream = anticipator.stream()
    stream.see(3.0, face)
    np.testing.assert_allclose(stream.target(), face, atol=1e-12)
    np.testing.assert_allclose(stream.outlook().course, np.broadcast_to(face, (len(AHEAD_FRAMES), 113)), atol=1e-12)


def test_what_does_not_count_stays(anticipator, rng):
    faces = repeats(rng.normal(size=(2, 6)), rng)[:120]
    weight = np.array([1.0, 1, 1, 1, 1, 0])
    noisy = faces.copy()
    noisy[:, 5] = 10 * rng.normal(size=len(faces))
    one, two = (play(anticipator.stream(weight), series).target() for series in (faces, noisy))
    np.testing.assert_allclose(one[:5], two[:5], atol=1e-9)
    assert two[5] == pytest.approx(noisy[-1, 5])


def test_pictures_at_other_rates_are_put_on_one_clock(anticipator, rng):
    goal = rng.normal(size=8)

    def seen_at(rate_hz):
        stream = anticipator.stream()
        for time_s in np.arange(0, 2.2, 1 / rate_hz):
            stream.see(time_s, rise(time_s, 2.1) * goal)
        return stream.target() @ goal / (goal @ goal)

    slow, usual, quick = (seen_at(rate_hz) for rate_hz in (12.5, 25.0, 100.0))
    assert usual > 0.6
    assert slow == pytest.approx(usual, abs=0.25)
    assert quick == pytest.approx(usual, abs=0.25)


def test_a_gap_does_not_look_like_motion(anticipator, rng):
    stream = play(anticipator.stream(), 0.001 * rng.normal(size=(50, 6)))
    stream.see(2.0, None)
    moved = np.ones(6)
    stream.see(3.0, moved)
    assert stream.reference_s == 3.0
    assert np.linalg.norm(stream.outlook().course[2] - moved) < 0.3 * np.linalg.norm(moved)


def test_input_is_checked(anticipator):
    stream = anticipator.stream()
    with pytest.raises(InputError, match="nothing was seen"):
        stream.target()
    stream.see(0.0, np.zeros(4))
    with pytest.raises(InputError, match="got 5 numbers"):
        stream.see(0.04, np.zeros(5))
    with pytest.raises(InputError, match="1 of them not finite"):
        stream.see(0.04, [0, 0, np.nan, 0])
    with pytest.raises(InputError, match="finite seconds"):
        stream.see(np.nan, np.zeros(4))
    with pytest.raises(InputError, match="weight"):
        anticipator.stream([0.0, 0.0])


# --- as a watcher -----------------------------------------------------------------------------------------


def smiling(anticipator, seconds, rng, noise_m=2e-5):
    """Frames (T, 468, 3) m of a smile of 5 mm rms at 0.6 s, of the mean shape."""
    smile = 5e-3 * np.sqrt(VERTEX_COUNT) * anticipator.shapes[EXPRESSIONS.index("happiness")]
    share = rise(np.arange(round(seconds * RATE_HZ)) / RATE_HZ, 0.6)
    return share[:, None, None] * smile + noise_m * rng.normal(size=(len(share), *smile.shape)), smile


def test_a_watcher_sees_a_smile_coming(anticipator, rng):
    watcher: Watcher = MotionWatcher(anticipator)
    faces, smile = smiling(anticipator, 0.64, rng)
    expected = play(watcher, faces).expect(0.63)
    assert expected.expression == "happiness"
    assert expected.probability > 0.5
    assert 0.03 < expected.arrival_s < 0.6
    assert expected.arrival_sd_s > 0
    assert expected.sources == ("camera",)
    assert not expected.problem
    size = np.vdot(smile, smile)
    assert np.vdot(expected.at(0.3), smile) / size > np.vdot(faces[-1], smile) / size + 0.1
    later = watcher.expect(0.67)
    assert later.arrival_s == pytest.approx(expected.arrival_s - 0.04, abs=1e-6)


def test_rest_is_neutral_and_stays(anticipator, rng):
    watcher = play(MotionWatcher(anticipator), 2e-5 * rng.normal(size=(60, VERTEX_COUNT, 3)))
    expected = watcher.expect(2.38)
    assert expected.expression == NEUTRAL
    assert np.abs(expected.target_m).max() < 5e-4


def test_a_watcher_says_what_is_missing(anticipator, rng):
    watcher = MotionWatcher(anticipator)
    assert watcher.expect(0.0).problem == "no pictures"
    watcher.see(0.0, None)
    assert watcher.expect(0.0).problem == "no face"
    play(watcher, smiling(anticipator, 1.0, rng)[0])
    for frame in range(10):
        watcher.see(1.0 + frame / RATE_HZ, None)
    assert watcher.expect(1.36).problem == "no face for 0.4 s"
    assert not watcher.expect(1.36).target_m.any()
    assert watcher.expect(2.36).problem == "no pictures for 1.0 s"


# --- lessons and models -----------------------------------------------------------------------------------


def test_lessons_are_seeded_and_say_what_comes(rng):
    motion = draw(np.random.default_rng(5))
    again = draw(np.random.default_rng(5))
    np.testing.assert_array_equal(motion.seen, again.seen)
    found = study(motion, rng)
    ahead = np.isfinite(found.arrival_s)
    assert ahead.any() == bool(apexes(motion.seen, RATE_HZ))
    assert np.isfinite(found.target[ahead]).all()
    assert np.isnan(found.rising[ahead]).all()
    assert np.isfinite(found.course[~ahead]).all()
    assert found.course.shape[1:] == (len(AHEAD_FRAMES), DIRECTIONS)
    assert (found.table[:, 0] == 0).all()


@pytest.mark.slow
def test_training_learns(rng):
    motions = Lessons.joined(list(lessons(20, seed=1)))
    told = []
    train(motions, 0, Recipe(networks=1, hidden=24, steps=500, batch=128), lambda *now: told.append(now))
    assert [now[0] for now in told] == [250, 500]
    assert told[-1][2] < told[0][2]


def test_a_model_is_kept(anticipator, tmp_path, rng):
    again = MotionAnticipator.load(anticipator.save(tmp_path / "motion.npz", {"seed": 0}))
    faces = repeats(rng.normal(size=(2, 6)), rng)[:100]
    one, two = (play(a.stream(), faces).target() for a in (anticipator, again))
    np.testing.assert_array_equal(one, two)
    (tmp_path / "other.npz").write_bytes(b"no model")
    with pytest.raises(ModelFileError):
        MotionAnticipator.load(tmp_path / "other.npz")
