import numpy as np
import pytest

from duchenne.learning import signals
from duchenne.sim.errors import InputError

RATE = 1000.0
TIME = np.arange(20_000) / RATE


def test_rms_and_median_frequency_of_a_known_band(rng):
    noise = signals.bandpass(rng.normal(size=(20_000, 2)), RATE, (60, 100))
    noise *= 30 / noise.std(axis=0)
    assert signals.rms_uv(noise, RATE) == pytest.approx([30, 30], rel=0.03)
    assert signals.median_frequency_hz(noise, RATE) == pytest.approx([80, 80], abs=4)


def test_rest_is_taken_out_of_the_spectrum(rng):
    hum = 20 * np.sin(2 * np.pi * 50 * TIME)
    burst = signals.bandpass(rng.normal(size=20_000), RATE, (100, 140)) * 5
    assert signals.median_frequency_hz(hum + burst, RATE) < 60
    assert signals.median_frequency_hz(hum + burst, RATE, rest_uv=hum) == pytest.approx(120, abs=8)


def test_the_smile_reader_follows_the_strength_of_a_contraction(rng):
    strength = 0.1 + (np.sin(2 * np.pi * 0.2 * TIME) > 0)
    emg = signals.bandpass(rng.normal(size=20_000), RATE) * strength
    read = signals.PREPROCESSING["perusquia"](emg[:, None] + 500, RATE)[:, 0]
    assert np.corrcoef(read[1000:-1000], strength[1000:-1000])[0, 1] > 0.9


def test_a_flat_spectrum_is_halved_in_the_middle_of_the_band():
    frequency = np.arange(0, 500.0)
    flat = np.ones((500, 2))
    assert signals.halving_frequency_hz(frequency, flat, (20, 400)) == pytest.approx([210, 210], abs=1)
    with pytest.raises(InputError, match="dead"):
        signals.halving_frequency_hz(frequency, -flat)


@pytest.mark.parametrize("lead", [0.23, -0.1])
def test_lead_is_found_with_its_sign(rng, lead):
    course = np.convolve(rng.normal(size=20_000), np.hanning(500), "same")
    assert signals.lead_s(course, np.roll(course, int(lead * RATE)), RATE) == pytest.approx(lead, abs=0.005)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: signals.bandpass(np.full(100, np.nan), RATE),
        lambda: signals.bandpass(np.ones(100), -1),
        lambda: signals.bandpass(np.ones(100), 30.0),
        lambda: signals.lead_s(np.ones(100), np.ones(100), RATE),
        lambda: signals.median_frequency_hz(np.zeros(1000), RATE),
    ],
)
def test_useless_signals_are_refused(bad):
    with pytest.raises(InputError):
        bad()


def test_every_preprocessing_follows_a_contraction(rng):
    strength = 0.1 + (np.sin(2 * np.pi * 0.2 * TIME) > 0)
    emg = (signals.bandpass(rng.normal(size=20_000), RATE) * strength + 500)[:, None]
    for name, one in signals.PREPROCESSING.items():
        read = one(emg, RATE)
        if one.lowpass_hz is None:
            read = signals.envelope(read, RATE)
        assert np.corrcoef(read[1000:-1000, 0], strength[1000:-1000])[0, 1] > 0.9, name


def test_maxima_scale_a_recording_to_one_and_cannot_be_used_twice(rng):
    shu, emg = signals.PREPROCESSING["shu"], rng.normal(size=(5000, 2)) * [10, 300]
    mvc = shu.mvc_uv(emg, RATE)
    assert shu(emg, RATE, mvc_uv=mvc).max(0) == pytest.approx([1, 1])
    assert shu(emg / 2, RATE, mvc_uv=mvc) == pytest.approx(shu(emg, RATE) / mvc / 2)
    for bad in (mvc[:1], [1.0, 0.0], [1.0, np.nan]):
        with pytest.raises(InputError, match="mvc_uv"):
            shu(emg, RATE, mvc_uv=bad)
    with pytest.raises(InputError, match="SDs"):
        signals.PREPROCESSING["perusquia"](emg, RATE, mvc_uv=mvc)


@pytest.mark.parametrize("name", ["shu", "fer-ee"])
def test_a_causal_filter_does_not_care_how_the_stream_is_cut(rng, name):
    emg = rng.normal(size=(3000, 3)) + 200
    causal = signals.PREPROCESSING[name].causal(RATE)
    whole, _ = causal.step(emg)
    parts, state, place = [], None, 0
    while place < len(emg):
        size = int(rng.integers(1, 200))
        out, state = causal.step(emg[place : place + size], state)
        parts.append(out)
        place += size
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert np.abs(whole[0]).max() < 1e-6  # an electrode's offset gives no jump


def test_causal_filters_are_as_late_as_they_say(rng):
    wave = np.exp(-2j * np.pi * 0.2 * TIME)
    emg = (signals.bandpass(rng.normal(size=20_000), RATE) * (1 - np.imag(wave)))[:, None]
    one = signals.PREPROCESSING["shu"]
    early, (late, _) = one(emg, RATE), one.causal(RATE).step(emg)
    phases = [np.angle((read[5000:, 0] * wave[5000:]).sum()) for read in (early, late)]  # three periods
    assert (phases[0] - phases[1]) / (2 * np.pi * 0.2) == pytest.approx(one.causal(RATE).delay_s, rel=0.05)
    with pytest.raises(InputError, match="whole recording"):
        signals.PREPROCESSING["perusquia"].causal(RATE)


def test_two_clocks_are_brought_together():
    seen = np.array([1.0, 50.0, 120.0, 300.0])
    clock = signals.fit_clock(seen, 7.5 + 1.0002 * seen)
    assert (clock.drift, clock.residual_s) == pytest.approx((2e-4, 0), abs=1e-9)
    assert clock(200.0) == pytest.approx(7.5 + 1.0002 * 200)
    assert signals.fit_clock([3.0], [5.0])(10.0) == pytest.approx(12.0)
    with pytest.raises(InputError, match="order"):
        signals.fit_clock([2.0, 1.0], [1.0, 2.0])


def test_resampling_to_frames_and_back():
    frames = np.arange(0.02, 19.9, 1 / 30)
    slow = np.stack([np.sin(TIME), TIME], 1)
    at_frames = signals.resample(slow, TIME, frames)
    assert at_frames == pytest.approx(np.stack([np.sin(frames), frames], 1), abs=1e-6)
    assert signals.resample(at_frames, frames, TIME[500:15_000])[:, 1] == pytest.approx(TIME[500:15_000])
    at_frames[10] = np.nan
    gappy = signals.resample(at_frames, frames, frames)
    np.testing.assert_array_equal(np.isnan(gappy[:, 0]), np.arange(len(frames)) == 10)
    with pytest.raises(InputError, match="within"):
        signals.resample(slow, TIME, [25.0])
