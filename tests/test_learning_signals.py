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
    read = signals.smile_reader(emg[:, None] + 500, RATE)[:, 0]
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
