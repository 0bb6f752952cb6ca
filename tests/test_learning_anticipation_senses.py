"""What an anticipator has seen and heard lately."""

import numpy as np
import pytest

from duchenne.learning.anticipation import Anticipator
from duchenne.learning.anticipation_senses import BINS, EMG_AHEAD_S, FRAMES, PERIOD_S, Ears, Eyes
from duchenne.sim.errors import InputError

RATE_HZ = 1000.0
CHANNELS = ("a", "b")


@pytest.fixture
def eyes() -> Eyes:
    return Eyes(Anticipator.default().space)


def _listening(amplitudes_uv, seconds=3.0, seed=0) -> Ears:
    """Ears that have heard noise of 5 µV, and in the last half second of `amplitudes_uv`."""
    ears, rng = Ears(CHANNELS, RATE_HZ), np.random.default_rng(seed)
    noise = 5.0 * rng.standard_normal((round(seconds * RATE_HZ), 2))
    noise[-500:] *= np.asarray(amplitudes_uv) / 5.0
    for k in range(0, len(noise), 40):
        ears.hear((k + 40) / RATE_HZ, noise[k : k + 40])
    return ears


def _smile(space, size):
    coordinates = np.zeros(len(space))
    coordinates[0] = size
    return space.decode(coordinates)


def test_a_window_of_faces_lies_between_pictures_whatever_their_rate(eyes):
    space = Anticipator.default().space
    times = np.arange(0, 1, 1 / 30)
    for time_s in times:
        eyes.see(time_s, _smile(space, 2.0 * time_s))
    window = eyes.window()
    assert window.shape == (FRAMES, len(space))
    np.testing.assert_allclose(window[:, 0], 2.0 * (times[-1] - PERIOD_S * np.arange(FRAMES)), atol=1e-4)


def test_eyes_need_a_few_faces_and_forget_them(eyes):
    face = _smile(Anticipator.default().space, 1.0)
    eyes.see(0.0, face)
    assert eyes.reference_s(0.0) is None
    for k in range(1, 6):
        eyes.see(0.04 * k, face)
    assert eyes.reference_s(0.25) == pytest.approx(0.2)
    assert eyes.problem(0.25) == ""
    for k in range(6, 20):
        eyes.see(0.04 * k, None)
    assert eyes.reference_s(0.8) is None
    assert eyes.problem(0.8) == "no face for 0.6 s"


@pytest.mark.parametrize("jump", [-3.0, 100.0])
def test_a_camera_whose_clock_jumps_begins_anew(eyes, jump):
    face = _smile(Anticipator.default().space, 1.0)
    for k in range(12):
        eyes.see(0.04 * k, face)
    eyes.see(0.44 + jump, face)
    assert "clock jumped" in eyes.problem(0.44 + jump)
    assert eyes.reference_s(0.44 + jump) is None
    for k in range(1, 14):
        eyes.see(0.44 + jump + 0.04 * k, face)
    assert eyes.problem(0.44 + jump + 0.04 * 13) == ""


def test_loudness_is_logarithmic_over_rest():
    quiet, loud, louder = (_listening((a, 5.0)).window(3.0 - EMG_AHEAD_S)[0] for a in (5.0, 50.0, 100.0))
    assert quiet.shape == (BINS, 2)
    np.testing.assert_allclose(louder[:8, 0] - loud[:8, 0], np.log(2), atol=0.05)
    np.testing.assert_allclose((loud - quiet)[:8, 0].mean(), np.log(10), atol=0.3)
    np.testing.assert_allclose(loud[:, 1], quiet[:, 1], atol=1e-4)


def test_the_newest_bin_ends_a_little_after_the_reference():
    ears = _listening((50.0, 5.0))
    assert ears.reference_s(3.0) == pytest.approx(3.0 - EMG_AHEAD_S, abs=0.011)
    now, before = ears.window(3.0 - EMG_AHEAD_S)[0], ears.window(3.0 - EMG_AHEAD_S - 2 * PERIOD_S)[0]
    np.testing.assert_allclose(before[:-2], now[2:], atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 1e5, np.nan])
def test_a_dead_channel_is_named_and_not_listened_to(value):
    ears, rng = _listening((5.0, 5.0)), np.random.default_rng(1)
    for k in range(15):
        block = 5.0 * rng.standard_normal((40, 2))
        block[:, 1] = value * np.where(np.arange(40) % 2, 1, -1)
        ears.hear(3.04 + 0.04 * k, block)
    assert ears.problem(3.6) == "dead channel b"
    loudness, alive = ears.window(3.5)
    assert alive.tolist() == [True, False]
    assert np.isfinite(loudness).all()
    assert not loudness[:, 1].any()


@pytest.mark.parametrize(("jump", "said"), [(0.5, "a gap of 0.50 s"), (-1.0, "went back by 1.00 s")])
def test_a_gap_in_the_emg_is_told_and_passes(jump, said):
    ears, rng = _listening((5.0, 5.0)), np.random.default_rng(1)
    ears.hear(3.04 + jump, 5.0 * rng.standard_normal((40, 2)))
    assert said in ears.problem(3.04 + jump)
    assert ears.reference_s(3.04 + jump) is None
    for k in range(1, 13):
        ears.hear(3.04 + jump + 0.04 * k, 5.0 * rng.standard_normal((40, 2)))
    now_s = 3.04 + jump + 0.04 * 12
    assert ears.problem(now_s) == ""
    assert ears.reference_s(now_s) is not None


def test_emg_that_stops_is_no_longer_used():
    ears = _listening((5.0, 5.0))
    assert ears.reference_s(3.5) is None
    assert ears.problem(3.5) == "no EMG for 0.5 s"


def test_the_wrong_number_of_channels_is_refused():
    with pytest.raises(InputError, match=r"\(n, 2\) for a, b"):
        Ears(CHANNELS, RATE_HZ).hear(0.0, np.zeros((10, 3)))


def test_no_sense_takes_a_time_that_is_none(eyes):
    with pytest.raises(InputError, match="time"):
        eyes.see(np.nan, None)
    with pytest.raises(InputError, match="time"):
        Ears(CHANNELS, RATE_HZ).hear(np.inf, np.zeros((10, 2)))
