import numpy as np
import pytest

from duchenne.learning.peak_activation import (
    SMOOTHING_S,
    apexes,
    distances,
    peak_activation,
    resting_face,
    smoothed,
)
from duchenne.sim.errors import InputError

RATE_HZ = 25.0


def logistic(times_s, middle_s, scale_s):
    return 1 / (1 + np.exp(-(times_s - middle_s) / scale_s))


def smiles(times_s, spans, scale_s=0.06):
    return np.sum([logistic(times_s, on, scale_s) - logistic(times_s, off, scale_s) for on, off in spans], axis=0)


@pytest.fixture
def moved(rng):
    """A rest and a direction of 68 points."""
    return rng.normal(size=(68, 2)), rng.normal(size=(68, 2))


def test_peak_activation_of_a_logistic_smile(moved):
    rest, way = moved
    times, middle, scale = np.arange(100) / RATE_HZ, 2.0, 0.15
    found = peak_activation(rest + logistic(times, middle, scale)[:, None, None] * way, RATE_HZ)
    # The second derivative of a logistic is largest ln(2 + √3) scales before its middle.
    assert found.peak / RATE_HZ == pytest.approx(middle - np.log(2 + np.sqrt(3)) * scale, abs=1 / RATE_HZ)
    assert found.target > (middle + 4 * scale) * RATE_HZ
    assert found.inputs.tolist() == list(range(found.peak - 4, found.peak + 5))
    assert len(found.targets) == 4
    np.testing.assert_allclose(found.rest, rest, atol=1e-4)


def test_windows_stay_in_the_clip(moved):
    rest, way = moved
    found = peak_activation(rest + np.linspace(0, 1, 12)[:, None, None] ** 2 * way, RATE_HZ, rest=rest)
    assert found.target == 11
    assert found.targets.tolist() == [11, 11, 11, 11]
    assert found.inputs.min() >= 0
    assert found.inputs.max() <= 11


def test_distance_is_rms_in_the_unit_of_the_faces(moved):
    rest, way = moved
    faces = rest + np.array([0.0, 1.0, 2.0])[:, None, None] * np.sign(way)
    np.testing.assert_allclose(distances(faces, rest), [0, 1, 2], atol=1e-12)
    flat = faces.reshape(3, -1)
    np.testing.assert_allclose(distances(flat, rest.ravel()), [0, 1, 2], atol=1e-12)


def test_weights_leave_landmarks_out(moved):
    rest, _ = moved
    faces = np.repeat(rest[None], 3, 0)
    faces[1, 36:48] += 5
    weight = np.ones(68)
    weight[36:48] = 0
    assert distances(faces, rest, weight)[1] == 0
    assert distances(faces, rest)[1] > 1


def test_smoothing_leaves_a_cubic_and_gives_its_derivative():
    times = np.arange(60) / RATE_HZ
    inner = slice(10, -10)
    cubic = times**3 - times
    np.testing.assert_allclose(smoothed(cubic, RATE_HZ)[inner], cubic[inner], atol=1e-9)
    np.testing.assert_allclose(smoothed(cubic, RATE_HZ, derivative=2)[inner], 6 * times[inner], atol=1e-6)


SPANS = ((2.0, 4.0), (6.0, 9.0), (11.0, 12.0), (15.0, 18.0))


@pytest.mark.parametrize("rate_hz", [12.5, 25.0, 100.0])
@pytest.mark.parametrize("shape", [(52,), (68, 2), (468, 3)])
def test_every_expression_is_found_in_any_representation(shape, rate_hz, rng):
    times = np.arange(round(20 * rate_hz)) / rate_hz
    way = rng.normal(size=shape)
    amount = smiles(times, SPANS).reshape(-1, *[1] * len(shape))
    faces = 0.3 + amount * way + 0.02 * rng.normal(size=(len(times), *shape))
    found = apexes(faces, rate_hz)
    assert len(found) == len(SPANS)
    for apex, (on, off) in zip(found, SPANS, strict=True):
        assert apex.onset < apex.arrival <= apex.apex
        assert apex.onset - SMOOTHING_S / 2 * rate_hz - 1 <= apex.peak <= apex.arrival
        assert apex.onset / rate_hz == pytest.approx(on - 0.06 * np.log(9), abs=0.16)
        assert apex.arrival / rate_hz == pytest.approx(on + 0.06 * np.log(9), abs=0.16)
        assert apex.apex / rate_hz < off
        assert apex.distance == pytest.approx(np.sqrt(np.mean(way**2)), rel=0.15)


def test_blinks_and_noise_are_no_expressions(moved, rng):
    rest, way = moved
    times = np.arange(500) / RATE_HZ
    faces = rest + smiles(times, SPANS[:2])[:, None, None] * way + 0.01 * rng.normal(size=(500, 68, 2))
    for start in (130, 260, 300, 380, 440):
        faces[start : start + 5, 36:48, 1] += 6
    weight = np.ones(68)
    weight[36:48] = 0
    assert len(apexes(faces, RATE_HZ, weight=weight)) == 2


def test_a_still_face_has_no_apex(moved):
    assert apexes(np.repeat(moved[0][None], 100, 0), RATE_HZ) == ()


def test_an_expression_still_rising_at_the_end_is_not_one_yet(moved):
    rest, way = moved
    times = np.arange(100) / RATE_HZ
    assert apexes(rest + logistic(times, 4.0, 0.2)[:, None, None] * way, RATE_HZ, rest=rest) == ()
    held = apexes(rest + logistic(times, 2.0, 0.05)[:, None, None] * way, RATE_HZ, rest=rest)
    assert all(apex.arrival < 65 for apex in held)


def test_after_a_stop_half_way_the_onset_is_where_it_goes_on(moved):
    rest, way = moved
    times = np.arange(150) / RATE_HZ
    amount = (logistic(times, 1.0, 0.05) + logistic(times, 3.0, 0.05)) / 2
    (apex,) = apexes(rest + amount[:, None, None] * way, RATE_HZ, rest=rest)
    assert 2.6 < apex.onset / RATE_HZ < 3.0
    assert 3.0 < apex.arrival / RATE_HZ < 3.3


def test_rest_is_what_the_face_comes_back_to(moved, rng):
    rest, way = moved
    times = np.arange(500) / RATE_HZ
    faces = rest + smiles(times, SPANS)[:, None, None] * way * rng.uniform(0.9, 1.1, (500, 1, 1))
    np.testing.assert_allclose(resting_face(faces), rest, atol=0.05)


@pytest.mark.parametrize(
    ("faces", "named"),
    [
        (np.zeros(30), "shape"),
        (np.zeros((5, 3)), "5 frames"),
        (np.full((30, 3), np.nan), "finite"),
        (np.zeros((30, 0)), "shape"),
    ],
)
def test_what_is_no_series_is_refused(faces, named):
    for function in (apexes, peak_activation):
        with pytest.raises(InputError, match=named):
            function(faces, RATE_HZ)


def test_other_bad_input_is_refused(moved):
    faces = np.repeat(moved[0][None], 30, 0)
    with pytest.raises(InputError, match="rate_hz"):
        apexes(faces, 0.0)
    with pytest.raises(InputError, match="rest"):
        apexes(faces, RATE_HZ, rest=np.zeros(3))
    with pytest.raises(InputError, match="weight"):
        apexes(faces, RATE_HZ, weight=np.zeros(68))
    with pytest.raises(InputError, match="begin before"):
        peak_activation(faces[::-1] * np.linspace(2, 1, 30)[:, None, None], RATE_HZ, rest=np.zeros((68, 2)))
