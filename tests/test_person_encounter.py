"""An encounter with a simulated person: what she does, what the camera sees of it and when, what electrodes hear."""

import numpy as np
import pytest

from duchenne.sim.errors import InputError
from duchenne.sim.person.behaviour import Act
from duchenne.sim.person.encounter import ARRIVED, EMG_HZ, PICTURES_HZ, arrival_s, height, intensity, meet
from duchenne.sim.person.person import Person


@pytest.fixture(scope="module")
def met():
    return meet(Person.sample(3), montage="distal4", seed=3, seconds=12.0)


def test_the_same_seed_gives_the_same_encounter(met):
    again = meet(Person.sample(3), montage="distal4", seed=3, seconds=12.0)
    for name in ("truth_m", "seen_m", "emg_uv"):
        np.testing.assert_array_equal(getattr(met, name), getattr(again, name))
    assert not np.array_equal(met.truth_m, meet(Person.sample(3), seed=4, seconds=12.0).truth_m)


def test_what_she_does_has_nothing_to_do_with_what_she_wears(met):
    bare = meet(Person.sample(3), seed=3, seconds=12.0)
    np.testing.assert_array_equal(bare.truth_m, met.truth_m)
    np.testing.assert_array_equal(bare.seen_m, met.seen_m)
    assert bare.emg_uv is None
    assert bare.heard(0.0, 1.0).size == 0


def test_every_stream_lasts_as_long(met):
    assert len(met.times_s) == len(met.truth_m) == len(met.seen_m) == 12 * PICTURES_HZ
    assert met.emg_uv.shape == (12 * EMG_HZ, 4)
    assert np.isfinite(met.emg_uv).all()


def test_blocks_of_emg_follow_one_another_without_gap_or_overlap(met):
    parts = [met.heard(k * 0.04, (k + 1) * 0.04) for k in range(25)]
    np.testing.assert_array_equal(np.concatenate(parts), met.emg_uv[:1000])
    assert len(met.heard(11.99, 20.0)) == 10


def test_acts_run_from_drive_to_onset_to_arrival_to_release(met):
    assert met.acts
    for act in met.acts:
        assert act.drive_s < act.onset_s < act.arrival_s <= act.release_s
        assert act.onset_s <= act.apex_s
        frame = round(act.apex_s * PICTURES_HZ)
        assert intensity(met.truth_m[frame], act.apex_m) == pytest.approx(1.0, abs=0.2)


def test_muscles_speak_before_the_face_moves():
    smile = Act(what="smile", onset_s=3.0, hold_s=1.0, intensity=1.0)
    met = meet(Person.sample(5), montage="proximal7", seed=5, seconds=6.0, acts=[smile])
    assert met.emg_uv is not None
    loud = np.abs(met.emg_uv).reshape(-1, 20, 7).mean(1).max(1)  # of the loudest channel, every 20 ms
    before = loud[50:145]
    heard_s = 0.02 * int(np.argmax((loud > before.mean() + 6 * before.std()) & (np.arange(len(loud)) > 145)))
    (act,) = met.acts
    assert act.expression == "happiness"
    assert act.drive_s <= heard_s < act.onset_s


def test_a_faithful_camera_sees_her_face_as_it_is():
    met = meet(Person.sample(3), seed=3, seconds=3.0, faithful=True)
    rms_mm = 1e3 * np.sqrt(((met.noiseless_m - met.truth_m) ** 2).sum(-1).mean())
    assert rms_mm < 1e-3


@pytest.mark.parametrize("lasting", [0.2, 0.5, 1.0])
def test_arrival_on_a_straight_rise(lasting):
    times = np.arange(0, 4, 0.04)
    course = np.clip((times - 1) / lasting, 0, 1)
    assert height(course) == pytest.approx(1.0)
    assert arrival_s(times, course) == pytest.approx(1 + ARRIVED * lasting, abs=1e-6)
    assert arrival_s(times, 0.3 * course) == pytest.approx(1 + ARRIVED * lasting, abs=1e-6)


def test_nothing_arrives_in_a_face_at_rest():
    assert np.isnan(arrival_s(np.arange(5.0), np.zeros(5)))
    assert height(np.zeros(5)) == 0.0


def test_a_time_too_short_is_refused():
    with pytest.raises(InputError, match="seconds"):
        meet(Person.sample(3), seconds=0.1)
