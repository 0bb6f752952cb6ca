from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import nnls

from duchenne.learning.fer_ee import FerEe
from duchenne.learning.recognition import CLASSIFIERS, READINGS, Examples, SynergyFeatures, examples, forest, join
from duchenne.learning.recognition_scores import (
    across_batches,
    across_people,
    by_channels,
    dead,
    evaluate,
    from_first_batch,
    from_to,
    held_trials,
    pooled_trials,
    scattered_windows,
)
from duchenne.learning.recognition_stream import StreamingRecogniser
from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.recording import Event, Recording, Stream

RATE = 1000.0
KINDS = ("anger", "fear", "happiness")
CHANNELS = ("Z", "C", "F", "M")


def session(seed: int, gain: float = 1.0, batches: int = 2) -> Recording:
    """Noise at four channels, as strong as the expression and its grade ask for; every wearing has its own gains."""
    rng = np.random.default_rng(seed)
    pattern = np.random.default_rng(99).uniform(0.1, 1, (len(KINDS), 4))
    level, events, worn = [], [], []
    for _ in range(batches):
        worn.append({"start_s": 2.0 * len(level)})
        own = gain * np.exp(0.6 * rng.normal(size=4))
        for kind, row in zip(KINDS, pattern, strict=True):
            for grade, strength in zip("ACE", (0.1, 0.5, 0.9), strict=True):
                events.append(Event(2.0 * len(level), 2.0, f"{kind} {grade}", strength, "instruction"))
                level.append(10 * own * (0.2 + strength * row))
    emg = rng.normal(size=(2000 * len(level), 4)) * np.repeat(level, 2000, axis=0)
    return Recording([Stream("emg", emg, RATE, channels=CHANNELS, unit="uV")], events, info={"wearings": worn})


@pytest.fixture(scope="module")
def seen() -> Examples:
    return join([examples(session(k), READINGS["fer-ee"], person=k) for k in range(3)])


def blobs(rng, count: int = 800, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    centres = np.random.default_rng(5).normal(size=(classes, 20))
    labels = rng.integers(0, classes, count)
    return 1e-3 * (centres[labels] + 0.5 * rng.normal(size=(count, 20))) + 7, np.array(list("ABCDE"))[labels]


def test_examples_carry_what_was_asked_for(seen):
    assert seen.features.shape == (len(seen), 4, 2)
    assert set(seen.label) == set(KINDS)
    assert set(seen.intensity) == set("ACE")
    assert len(seen) == 3 * 2 * 9 * 17  # windows of 0.2 s every 0.05 s in the second second
    assert len(np.unique(seen.wearing)) == 6
    strong = seen.features[seen.intensity == "E"].mean() / seen.features[seen.intensity == "A"].mean()
    assert strong > 1.5


def test_windows_keep_off_other_instructions(rng):
    recording = session(0)
    emg = recording["emg"].data.copy()
    emg[2000:4000] = 1e4 * rng.normal(size=(2000, 4))
    loud = Recording([Stream("emg", emg, RATE, channels=CHANNELS)], recording.events, info=recording.info)
    one, other = (examples(it, READINGS["fer-ee"]) for it in (recording, loud))
    near = np.isin(one.trial, [0, 1, 2])
    assert other.features[one.trial == 1].min() > 1e3
    assert other.features[~near] == pytest.approx(one.features[~near], rel=1e-6)


def test_flat_features_go_feature_by_feature(seen):
    assert seen.flat[:, :4] == pytest.approx(seen.features[:, :, 0])
    assert seen.only(("M", "Z")).flat[:, 1] == pytest.approx(seen.features[:, 0, 0])
    with pytest.raises(VocabularyError, match="Z, C, F, M"):
        seen.only(("Q",))


def test_scaling_by_batch_takes_the_wearing_out(seen):
    scaled = seen.scaled_by_batch()
    for batch in range(6):
        rows = scaled.features[seen.wearing == batch]
        assert np.median(rows, axis=0) == pytest.approx(np.zeros((4, 2)), abs=1e-9)
        assert np.subtract(*np.percentile(rows, [75, 25], axis=0)) == pytest.approx(np.ones((4, 2)))


def test_activations_of_synergies_are_least_squares(rng):
    synergies = rng.uniform(0, 1, (7, 3)) * [1, 5, 0.1]
    signal = np.maximum(rng.normal(0.2, 1, (300, 7)), 0)
    found = SynergyFeatures(synergies).fit_transform(signal)
    assert found == pytest.approx(np.array([nnls(synergies, row)[0] for row in signal]), abs=1e-5)
    true = rng.uniform(0, 1, (100, 3))
    assert SynergyFeatures(synergies).transform(true @ synergies.T) == pytest.approx(true, abs=1e-5)
    for bad in (-synergies, synergies[:, 0], synergies * [1, 0, 1]):
        with pytest.raises(InputError):
            SynergyFeatures(bad).transform(signal)
    with pytest.raises(InputError, match=r"\(T, 7\)"):
        SynergyFeatures(synergies).transform(signal[:, :5])


def test_synergies_take_the_place_of_channels():
    recording, reading = session(0), replace(READINGS["shu"], settle_s=(0.5, 0.5))
    plain = examples(recording, reading)
    read = examples(recording, reading, synergies=SynergyFeatures(np.eye(4)[:, [2, 0]]))
    assert read.channels == ("synergy 1", "synergy 2")
    assert read.features == pytest.approx(plain.features[:, [2, 0]], rel=1e-5, abs=1e-8)


def test_fer_ee_learns_repeats_itself_and_gives_probabilities(rng):
    features, labels = blobs(rng)
    one, two = (FerEe(steps=400, random_state=3).fit(features[:600], labels[:600]) for _ in range(2))
    share = one.predict_proba(features[600:])
    np.testing.assert_array_equal(share, two.predict_proba(features[600:]))
    assert share.sum(1) == pytest.approx(np.ones(200))
    assert one.score(features[600:], labels[600:]) > 0.9
    assert one.predict_proba(features[600:601]) == pytest.approx(share[:1], abs=1e-6)
    other = FerEe(steps=400, random_state=4).fit(features[:600], labels[:600])
    assert not np.array_equal(other.predict_proba(features[600:]), share)


def test_robust_scaling_is_what_makes_small_features_readable(rng):
    features, labels = blobs(rng)
    plain = FerEe(steps=400, robust=False).fit(features[:600], labels[:600])
    assert plain.score(features[600:], labels[600:]) < 0.5


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_beats_chance_on_a_new_batch(seen, name):
    own = seen.take(seen.person == 0).scaled_by_batch()
    score = evaluate(CLASSIFIERS[name], own, own.label, across_batches(own))
    assert score.chance == pytest.approx(1 / 3)
    assert score.accuracy.mean > 0.5
    assert score.unit == "batch"


def test_splits_leave_out_what_they_say(seen):
    key = {"trial": seen.person * 1000 + seen.trial, "batch": seen.wearing, "person": seen.person}
    for what, splits in (
        ("trial", held_trials(seen, folds=3)),
        ("batch", across_batches(seen)),
        ("person", across_people(seen)),
    ):
        every = list(splits)
        for split in every:
            assert not set(key[what][split.train]) & set(key[what][split.test])
        np.testing.assert_array_equal(np.sort(np.concatenate([split.test for split in every])), np.arange(len(seen)))
    for split in from_first_batch(seen):
        assert set(seen.batch[split.train]) == {0}
        assert set(seen.person[split.train]) == set(seen.person[split.test])
        assert set(seen.batch[split.test]) == {1}
    (pooled,) = pooled_trials(seen)
    assert not set(key["trial"][pooled.train]) & set(key["trial"][pooled.test])
    for side in (pooled.train, pooled.test):
        assert set(zip(seen.person[side], seen.label[side], strict=True)) == set(
            zip(seen.person, seen.label, strict=True)
        )
    assert len(pooled.test) == len(seen) / 6
    for split in scattered_windows(seen):
        assert not set(split.train) & set(split.test)
        assert set(key["trial"][split.train]) == set(key["trial"][split.test])


def test_scattered_windows_flatter(rng, seen):
    """Labels drawn anew for every trial cannot be learnt, but they can be remembered."""
    drawn = np.array(KINDS)[rng.integers(0, 3, 1000)][seen.person * 100 + seen.trial]
    make = CLASSIFIERS["k-nn"]
    assert evaluate(make, seen, drawn, scattered_windows(seen)).accuracy.mean > 0.6
    assert evaluate(make, seen, drawn, held_trials(seen, folds=3)).accuracy.mean < 0.45


def test_scores_add_up(seen):
    score = evaluate(CLASSIFIERS["lda"], seen, seen.intensity, across_people(seen))
    assert score.unit == "person"
    assert score.classes == ("A", "C", "E")
    assert score.confusion.sum() == len(seen)
    assert score.accuracy.mean == pytest.approx(np.trace(score.confusion) / len(seen))  # people are as large
    assert score.accuracy.low <= score.accuracy.mean <= score.accuracy.high
    far = score.confusion[0, 2] + score.confusion[2, 0]
    assert score.within_one.mean == pytest.approx(1 - far / len(seen))
    assert score.recall.mean() == pytest.approx(score.accuracy.mean)
    assert np.mean(list(score.by_split.values())) == pytest.approx(score.accuracy.mean)


def test_channels_dropped_and_dead(seen):
    make = CLASSIFIERS["lda"]
    one = from_to(seen.batch == 0, seen.batch == 1)
    whole = evaluate(make, seen, seen.label, one).accuracy.mean
    spoilt = evaluate(
        make, seen, seen.label, from_to(seen.batch == 0, seen.batch == 1), spoil=dead(CHANNELS)
    ).accuracy.mean
    assert whole > spoilt
    assert spoilt == pytest.approx(1 / 3, abs=0.01)
    curve = by_channels(make, seen, seen.label, across_people, (1, 4), draws=3)
    assert [len(row) for row in curve.values()] == [3, 1]
    assert np.mean(curve[4]) > np.mean(curve[1])


@pytest.mark.parametrize("name", ["fer-ee", "shu"])
def test_a_stream_says_what_the_whole_recording_would(rng, name):
    reading, emg = READINGS[name], session(1)["emg"].data[:9000]
    own = SynergyFeatures(np.eye(4)[:, :3] + 0.1) if name == "shu" else None
    inputs = len(reading.features) * (3 if own else 4)
    features = np.abs(rng.normal(size=(150, inputs))) * 10
    make = FerEe(steps=100) if name == "fer-ee" else forest()
    live = StreamingRecogniser(
        make.fit(features, rng.integers(0, 3, 150)), reading, RATE, 4, mvc_uv=np.full(4, 2.0), synergies=own
    )
    times, share, place = [], [], 0
    while place < len(emg):
        size = int(rng.integers(0, 400))
        out = live.push(emg[place : place + size])
        times.append(out[0])
        share.append(out[1])
        place += size
    wanted_times, wanted = live.offline(emg)
    np.testing.assert_allclose(np.concatenate(times), wanted_times)
    np.testing.assert_allclose(np.concatenate(share), wanted, atol=1e-9 if name == "fer-ee" else 1e-6)
    assert live.answers_hz == pytest.approx(20 if name == "fer-ee" else 25)
    assert reading.window_s < live.latency_s < reading.window_s + 0.13
    live.reset()
    again = live.push(emg[:1000])[1]
    np.testing.assert_allclose(again, wanted[: len(again)], atol=1e-6)


def test_a_stream_refuses_what_does_not_fit(rng):
    live = StreamingRecogniser(
        forest().fit(rng.normal(size=(50, 8)), rng.integers(0, 2, 50)), READINGS["fer-ee"], RATE, 4
    )
    for bad in (np.zeros((10, 3)), np.full((10, 4), np.nan), np.zeros(4)):
        with pytest.raises(InputError):
            live.push(bad)
    with pytest.raises(InputError, match="probabilities"):
        StreamingRecogniser(CLASSIFIERS["svm"](0), READINGS["fer-ee"], RATE, 4)


def test_useless_examples_are_refused(seen):
    with pytest.raises(InputError, match="instruction"):
        examples(Recording([session(0)["emg"]]), READINGS["fer-ee"])
    with pytest.raises(InputError, match="two or more"):
        list(across_people(seen.take(seen.person == 0)))
    with pytest.raises(InputError, match="once"):
        list(across_batches(seen.take(seen.batch == 0)))
    with pytest.raises(InputError, match="same channels"):
        join([seen, seen.only(("Z",))])
    with pytest.raises(InputError, match="fit"):
        FerEe().predict(np.zeros((3, 20)))
    with pytest.raises(InputError, match="two classes"):
        FerEe().fit(np.zeros((3, 20)), [1, 1, 1])
