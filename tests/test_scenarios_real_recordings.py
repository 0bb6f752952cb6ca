import numpy as np
import pytest

from duchenne.scenarios import real_recordings as real
from duchenne.sim.errors import InputError


def test_three_muscles_as_described(shared_data):
    recording = real.three_muscles(shared_data)
    assert recording.emg_uv.shape == (13150, 3)
    np.testing.assert_allclose(recording.rms_uv, [5.0, 3.4, 14.2], atol=0.05)
    np.testing.assert_allclose(recording.median_hz, [66, 53, 78], atol=4)
    burst = recording.bursts(1)
    assert (burst.active_uv, burst.median_hz) == (pytest.approx(7.6, abs=0.1), pytest.approx(76, abs=3))
    assert burst.share(20, 60) == pytest.approx(0.35, abs=0.03)


def test_eight_sites_as_described(shared_data):
    found = real.eight_sites(shared_data)
    assert found.power_db.shape == (8, 7, 10, 8)
    assert found.channel_correlation == pytest.approx(0.80, abs=0.01)
    assert found.between_people_db == pytest.approx(6.4, abs=0.1)
    assert not found.mean_db[0].any()
    cheek = found.mean_db[:, real.SITES.index("cheek")]
    assert cheek.argmax() == real.POSED.index("happiness")
    assert cheek.max() == pytest.approx(26.6, abs=0.1)
    assert found.mean_db[1:].mean() == pytest.approx(12.2, abs=0.05)
    assert found.correlation(found) == pytest.approx(1)


def test_smiles_as_described(shared_data):
    onsets = real.smiles(shared_data).onsets
    assert len(onsets) == 9
    assert 0.09 < np.median([onset.rise_s for onset in onsets]) < 0.21


def test_range_of_motion_as_described(shared_data):
    recording = real.range_of_motion(shared_data)
    assert recording.values.shape == (4030, 61)
    assert recording.time_s[-1] == pytest.approx(134.4, abs=0.1)
    assert np.median([rise.rise_s for rise in recording.rises("MouthSmileLeft")]) == pytest.approx(0.22, abs=0.03)
    with pytest.raises(InputError, match="JawOpen"):
        recording.rises("Smile")


def test_intensity_series_as_described(shared_data):
    clips = real.intensity_series(shared_data)
    assert len(clips) == 20
    assert all(len(clip.units) == 20 and clip.intensity.shape[1] == 20 for clip in clips)
    assert clips[0].units[0] == "AU01"


@pytest.mark.parametrize(
    "reader", [real.three_muscles, real.eight_sites, real.smiles, real.range_of_motion, real.intensity_series]
)
def test_absent_folder_is_named(reader, tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)):
        reader(tmp_path)


def test_a_wrong_file_is_named(tmp_path):
    folder = tmp_path / "emg_1khz_three_muscles"
    folder.mkdir()
    (folder / "femg_raw_exported_sample.txt").write_text("a\n" * 40)
    with pytest.raises(InputError, match="not the recording"):
        real.three_muscles(tmp_path)


def test_rise_of_a_known_ramp():
    time_s = np.arange(0, 10, 0.01)
    ramps = np.interp(time_s % 2.5, [0, 0.5, 1.0, 2.0, 2.5], [0, 0, 1, 1, 0])
    found = real.rises(ramps, 100.0)
    assert len(found) == 4
    for rise in found:
        assert rise.rise_s == pytest.approx(0.3, abs=0.02)
        assert rise.height == pytest.approx(1, abs=0.05)
    with pytest.raises(InputError, match="finite"):
        real.rises([0.0, np.nan, 1.0, 0.0, 0.0, 1.0], 10.0)


def test_pattern_of_made_up_powers(rng):
    people, labels = np.repeat([0, 1], 14), np.tile(np.repeat(np.arange(7), 2), 2)
    power = 10 ** rng.normal(size=(28, 8))
    found = real.pattern(power, people, labels)
    assert found.rise_db.shape == (2, 7, 8)
    scaled = real.pattern(1000 * power, people, labels)
    np.testing.assert_allclose(scaled.rise_db, found.rise_db)  # units of power do not matter
    with pytest.raises(InputError, match="as many windows"):
        real.pattern(power[:-1], people[:-1], labels[:-1])
    with pytest.raises(InputError, match="positive"):
        real.pattern(-power, people, labels)
