import numpy as np
import pytest

from duchenne.learning import features
from duchenne.sim.errors import InputError, VocabularyError

RATE = 1000.0


def naive(name: str, x: np.ndarray) -> float:
    """One window of one channel, by the book."""
    n = len(x)
    if name in ("mnf", "mdf"):
        x = (x - x.mean()) * np.hanning(n)
        power = [abs(sum(x[i] * np.exp(-2j * np.pi * k * i / n) for i in range(n))) ** 2 for k in range(n // 2 + 1)]
        frequency = [k * RATE / n for k in range(n // 2 + 1)]
        if name == "mnf":
            return sum(f * p for f, p in zip(frequency, power, strict=True)) / sum(power)
        return next(f for k, f in enumerate(frequency) if sum(power[: k + 1]) >= sum(power) / 2)
    return {
        "rms": lambda: (sum(v * v for v in x) / n) ** 0.5,
        "var": lambda: sum((v - sum(x) / n) ** 2 for v in x) / n,
        "mav": lambda: sum(abs(v) for v in x) / n,
        "iemg": lambda: sum(abs(v) for v in x),
        "wl": lambda: sum(abs(x[i + 1] - x[i]) for i in range(n - 1)),
        "zc": lambda: sum(x[i] * x[i + 1] < 0 for i in range(n - 1)),
        "ssc": lambda: sum((x[i] - x[i - 1]) * (x[i] - x[i + 1]) > 0 for i in range(1, n - 1)),
    }[name]()


@pytest.mark.parametrize("name", features.FEATURES)
def test_a_feature_is_what_the_book_says(rng, name):
    emg = rng.normal(size=(400, 3)) * [1, 20, 300]
    read = features.features(emg, RATE, (name,), window_s=0.06, step_s=0.025)
    assert read.shape == (14, 3, 1)
    wanted = [[naive(name, emg[w * 25 : w * 25 + 60, c]) for c in range(3)] for w in range(14)]
    np.testing.assert_allclose(read[..., 0], wanted, rtol=1e-9)


def test_a_sine_in_closed_form():
    sine = 80 * np.sin(2 * np.pi * 50 * np.arange(2000) / RATE + 0.1)[:, None]
    read = features.features(sine, RATE, tuple(features.FEATURES), window_s=1.0, step_s=0.5)
    rms, var, mav, iemg, wl, zc, ssc, mnf, mdf = read[0, 0]
    assert (rms, var) == pytest.approx((80 / np.sqrt(2), 80**2 / 2))
    assert (mav, iemg) == pytest.approx((80 * 2 / np.pi, 1000 * 80 * 2 / np.pi), rel=0.01)
    assert wl == pytest.approx(4 * 80 * 50, rel=0.02)
    assert (zc, ssc) == pytest.approx((100, 100), abs=1)  # one may lie between two windows
    assert (mnf, mdf) == pytest.approx((50, 50), abs=0.5)


def test_many_windows_are_read_in_pieces_without_a_seam(rng):
    emg = rng.normal(size=(6000, 2))
    read = features.features(emg, RATE, ("rms", "mdf"), window_s=0.05, step_s=0.002)
    assert len(read) > 2 * 1024
    for place in (0, 1023, 1024, 2048, len(read) - 1):
        part = emg[2 * place : 2 * place + 50][None]
        np.testing.assert_allclose(read[place], features.of_windows(part, RATE, ("rms", "mdf"))[0])


def test_windows_end_with_the_frames_of_a_video(rng):
    emg = rng.normal(size=(3000, 2))
    frames = 0.5 + np.arange(60) / 25
    read = features.features_at(emg, RATE, frames, start_s=0.1, window_s=0.15)
    for place in (0, 17, 59):
        last = int(np.floor((frames[place] - 0.1) * RATE + 1e-6))
        wanted = features.of_windows(emg[last - 149 : last + 1][None], RATE, features.SHU_FEATURES)[0]
        np.testing.assert_allclose(read[place], wanted)
    ends = features.window_ends_s(5, RATE, 0.15, 0.04, start_s=0.1)
    np.testing.assert_allclose(
        features.features_at(emg, RATE, ends, start_s=0.1), features.features(emg, RATE)[:5], rtol=1e-12
    )
    with pytest.raises(InputError, match="window"):
        features.features_at(emg, RATE, [0.2], start_s=0.1)


def test_a_constant_channel_has_finite_features():
    assert np.isfinite(features.features(np.zeros((300, 1)), RATE, tuple(features.FEATURES))).all()


@pytest.mark.parametrize(
    "bad",
    [
        lambda: features.features(np.full((300, 2), np.nan), RATE),
        lambda: features.features(np.zeros(300), RATE),
        lambda: features.features(np.zeros((100, 2)), RATE),
        lambda: features.features(np.zeros((300, 2)), -1),
        lambda: features.features(np.zeros((300, 2)), RATE, window_s=0),
    ],
)
def test_useless_signals_are_refused(bad):
    with pytest.raises(InputError):
        bad()


def test_an_unknown_feature_is_answered_with_the_known():
    with pytest.raises(VocabularyError, match="mdf"):
        features.features(np.zeros((300, 2)), RATE, ("rms", "median"))
