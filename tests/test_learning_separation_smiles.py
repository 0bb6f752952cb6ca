"""Detection, agreement, delay, patterns and synergies of smiles."""

from typing import Any, cast

import numpy as np
import pytest

from duchenne.learning import smile_detection as smiles
from duchenne.learning import smile_patterns as found
from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.recording import Event, Recording, Stream

RATE, FRAMES, LEAD_S = 1000.0, 30.0, 0.25
BOUTS = {"AU12": ((4.0, 8.0), (14.0, 19.0), (30.0, 33.0)), "AU6": ((5.0, 8.5), (23.0, 26.0), (30.5, 34.5))}


def flags(text: str) -> np.ndarray:
    return np.array([letter == "#" for letter in text])


def course(unit: str, rate_hz: float, late_s: float = 0.0) -> np.ndarray:
    times = np.arange(int(40 * rate_hz)) / rate_hz - late_s
    return np.sum([(times >= on) & (times < off) for on, off in BOUTS[unit]], axis=0).astype(float)


@pytest.fixture(scope="module")
def recording() -> Recording:
    """40 s of four channels that mix a cheek, a lip corner and something else; the camera is 0.25 s late."""
    rng = np.random.default_rng(3)
    other = np.convolve(rng.random(40_000) < 2e-4, np.ones(600), "same")
    drive = 0.05 + np.stack([course("AU12", RATE), course("AU6", RATE), other], axis=1)
    gains = np.array([[20, 4, 2], [6, 15, 1], [14, 2, 6], [3, 9, 5.0]])
    emg = (rng.normal(size=drive.shape) * drive) @ gains.T + rng.normal(size=(len(drive), 4))
    seen = np.stack([np.repeat(course(unit, FRAMES, LEAD_S)[:, None], 2, 1) for unit in BOUTS], axis=1)
    units = tuple(f"{unit}, {side}" for unit in BOUTS for side in ("right", "left"))
    coder = np.stack([course(unit, FRAMES) for unit in BOUTS], axis=1).astype(np.int8)
    return Recording(
        streams=[
            Stream("emg", emg.astype(np.float32), RATE, channels=tuple("abcd"), unit="uV"),
            Stream("camera_au", seen.reshape(len(seen), 4), FRAMES, channels=units),
            Stream("coder_1", coder, FRAMES, channels=tuple(BOUTS)),
            Stream("coder_2", 0 * coder, FRAMES, channels=tuple(BOUTS)),
        ],
        events=[
            Event(0, 20, "spontaneous block", None, "instruction"),
            Event(20, 20, "posed block", None, "instruction"),
        ],
    )


@pytest.mark.parametrize(("method", "order"), [("fastica", "separation first"), ("nmf", "envelope first")])
def test_smiles_are_read_from_a_mixture(recording, method, order):
    read = smiles.read_smiles(recording, method, order=order)
    truth = smiles.coded(recording)
    assert read.courses.shape == (40_000, 3)
    for unit in BOUTS:
        assert np.corrcoef(read.course(unit), course(unit, RATE))[0, 1] > 0.85
        score = smiles.agreement(truth[unit], read.present[unit])
        chance = smiles.chance_kappa(truth[unit], read.present[unit], np.random.default_rng(0))
        assert score.kappa > max(0.6, np.percentile(chance, 95))
        assert abs(np.mean(chance)) < 0.15


def test_the_delay_of_the_camera_is_found(recording):
    read = smiles.read_smiles(recording, "none")
    lags = smiles.delays_s(recording, read.channels)
    assert lags.shape == (4, 2)
    assert [lags[0, 0], lags[1, 1]] == pytest.approx([LEAD_S, LEAD_S], abs=0.04)
    assert smiles.Delay.of(lags).median_s == pytest.approx(LEAD_S, abs=0.05)
    assert smiles.Delay.of([np.nan, 1, 3]) == smiles.Delay(mean_s=2, median_s=2, sd_s=1, count=2)
    assert smiles.Delay.of([np.nan]).count == 0


def test_baseline_and_threshold():
    rest = np.repeat(np.tile([1.0, -1.0], 10), 100)
    step = np.concatenate([rest, np.full(1000, 5.0)])
    assert not smiles.detect(rest, RATE, smoothing_s=0.001).any()
    active = smiles.detect(step, RATE)
    assert not active[200:1850].any()
    assert active[2151:].all()
    quiet = np.concatenate([rest, np.full(1000, 1.9)])
    assert not smiles.detect(quiet, RATE, smoothing_s=0.001).any()
    assert smiles.detect(quiet, RATE, smoothing_s=0.001, k=1.8)[2001:].all()


def test_agreement_by_hand():
    score = smiles.agreement(flags("####....."), flags("###.#...."))
    assert (score.accuracy, score.precision, score.recall) == pytest.approx((7 / 9, 3 / 4, 3 / 4))
    assert score.kappa == pytest.approx((7 / 9 - 41 / 81) / (1 - 41 / 81))
    assert np.isnan(smiles.agreement(flags("##.."), flags("....")).precision)


def test_blocks_and_labels(recording):
    parts = smiles.blocks(recording)
    assert list(parts) == ["spontaneous", "posed"]
    assert smiles.coded(parts["posed"])["AU6"].sum() == pytest.approx(7 * FRAMES, abs=2)
    assert smiles.called(recording)["AU12"].sum() == pytest.approx(12 * FRAMES, abs=2)


@pytest.mark.parametrize(
    ("au6", "au12", "pattern"),
    [
        (".####.", "......", "AU6 only"),
        ("......", ".##...", "AU12 only"),
        (".####.", "..##..", "AU12 inside AU6"),
        ("..#.#.", ".####.", "AU6 inside AU12"),
        (".###..", ".###..", "AU6 inside AU12"),
        ("..###.", ".###..", "AU12 before AU6"),
        (".##...", "...##.", "AU6 before AU12"),
    ],
)
def test_each_pattern(au6, au12, pattern):
    counts = found.patterns(flags(au6 * 3), flags(au12 * 3))
    assert dict(zip(found.PATTERNS, counts, strict=True)) == {name: 3 * (name == pattern) for name in found.PATTERNS}


def test_patterns_are_compared_between_blocks(rng):
    together, apart = [0, 0, 1, 4, 0, 1], [5, 5, 0, 0, 1, 0]
    counts = np.array([together, apart] * 10) + rng.integers(0, 2, (20, 6))
    tests = found.compare_patterns([*counts, [0] * 6], ["spontaneous", "posed"] * 10 + ["posed"])
    assert tests["blocks"].p < 0.001
    assert tests["blocks"].difference > 0.3
    same = found.compare_patterns(counts[::2], ["spontaneous", "posed"] * 5)
    assert same["together"].statistic == 100
    assert same["order"].difference < 0
    assert same["blocks"].p > 0.05


def test_frames_around_the_onset():
    times, cheek, smile = found.around_onset(
        flags("..####....######.."), flags("...###.....##....."), 10.0, reach_s=0.2
    )
    assert times.tolist() == [-0.2, -0.1, 0, 0.1, 0.2]
    assert cheek.tolist() == [0, 1, 1, 1, 1]
    assert smile.tolist() == [0, 0, 1, 1, 0.5]
    assert np.isnan(found.around_onset(flags("...."), flags("...."), 10.0)[1]).all()


def reading(units: np.ndarray) -> smiles.SmileReading:
    """A reading of courses (T, 3) for AU6, AU12 and other at 25 Hz, separated without fault."""
    separation = smiles.separate(units, "none")
    named = smiles.match(units, {"AU12": units[:, 1], "AU6": units[:, 0]}, 25.0)
    return smiles.SmileReading(
        rate_hz=25.0, channels=units, courses=units, separation=separation, match=named, present={}
    )


def test_synergies_tell_joint_from_separate_units(rng):
    def bouts():
        return np.maximum(np.convolve(rng.normal(size=2000), np.hanning(25), "same"), 0)

    groups = {"spontaneous": [], "posed": []}
    for _ in range(6):
        smile, cheek, other = bouts(), bouts(), bouts()
        groups["spontaneous"].append(found.smile_synergies(reading(np.stack([smile + 0.1 * cheek, smile, other], 1))))
        groups["posed"].append(found.smile_synergies(reading(np.stack([cheek, smile, 0.1 * other], 1))))
    assert min(one.togetherness for one in groups["spontaneous"]) > 0.9
    assert max(one.togetherness for one in groups["posed"]) < 0.6
    test = found.compare_synergies(groups)["togetherness"]
    assert test.p < 0.05
    assert test.difference > 0.3
    nothing = found.compare_synergies(dict.fromkeys(groups, groups["posed"]))
    assert nothing["togetherness"].p == 1
    assert nothing["weights"].p > 0.9


@pytest.mark.parametrize(
    ("bad", "error", "says"),
    [
        (lambda r: smiles.read_smiles(r, order=cast(Any, "sideways")), VocabularyError, "separation first"),
        (lambda r: smiles.read_smiles(r, "nmf", order="separation first"), InputError, "rectify"),
        (lambda r: smiles.unit_course(r["camera_au"], "AU9"), VocabularyError, "AU12, right"),
        (lambda r: smiles.blocks(Recording([r["emg"]])), InputError, "smiles"),
        (lambda r: smiles.detect(np.ones(100), RATE), InputError, "longer"),
        (lambda r: smiles.agreement(flags("##"), flags("###")), InputError, "one length"),
        (lambda r: smiles.agreement([0, 1], [0, 1]), InputError, "truth values"),
        (lambda r: found.patterns(flags("##"), flags("###")), InputError, "two"),
        (lambda r: found.compare_patterns(np.ones((2, 6)), ["posed"] * 2), InputError, "two values"),
        (lambda r: found.compare_synergies({"posed": []}), InputError, "two people"),
    ],
)
def test_what_cannot_be_read_is_refused(recording, bad, error, says):
    with pytest.raises(error, match=says):
        bad(recording)
