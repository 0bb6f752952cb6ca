from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.person.anatomy import MUSCLES, muscle_index
from duchenne.sim.person.behaviour import Act, Habits
from duchenne.sim.person.contacts import Montage
from duchenne.sim.person.person import AU_NAMES, PATHOLOGIES, Person
from duchenne.sim.person.protocols import protocol

SMILE = (Act(what="smile", onset_s=1.0, rise_s=0.3, hold_s=1.5, fall_s=0.3, intensity=0.8),)
CALM = {"montage": "proximal7", "duration_s": 4.0, "tier": "interference", "quality": "clean", "rate_hz": 1000}


@pytest.fixture(scope="module")
def calm():
    return Person(habits=Habits.textbook())


@pytest.fixture(scope="module")
def smile(calm):
    return calm.perform(SMILE, **CALM)


def corner_mm(recording):
    moved = recording["landmarks"].data[:, [61, 291]]
    return np.linalg.norm(moved - moved[0], axis=-1)


def test_streams_stand_on_their_own_clocks_and_span_the_same_time(smile):
    rates = {
        "emg": 1000,
        "emg_clean": 1000,
        "landmarks": 30,
        "au": 125,
        "excitation": 125,
        "camera_au": 30,
        "coder_1": 30,
    }
    for name, rate in rates.items():
        assert smile[name].rate_hz == rate
        assert smile[name].duration_s == pytest.approx(4.0, abs=1 / rate)
    assert smile["landmarks"].data.shape == (120, 468, 3)
    assert smile["au"].channels == AU_NAMES
    assert smile["emg"].unit == "uV"
    assert {event.kind for event in smile.events} >= {"act", "expression", "phase"}


def test_a_smile_lifts_both_corners_and_comes_back(smile):
    corner = corner_mm(smile)
    assert (corner[60:75] > 5).all()
    assert corner[:28].max() < 0.1
    assert corner[-5:].max() < 1.5  # skin creeps back


def test_the_muscle_speaks_before_the_skin_moves(smile):
    emg = np.abs(smile["emg"].channel("ZM"))
    level = np.convolve(emg, np.ones(100) / 100, "same")
    corner = corner_mm(smile).mean(1)
    half_emg = np.argmax(level > 0.5 * level.max()) / 1000
    half_corner = np.argmax(corner > 0.5 * corner.max()) / 30
    assert 0.02 < half_corner - half_emg < 0.4


def test_rest_is_the_rest_pose_whatever_the_tone():
    resting = Person.sample(3).perform((), duration_s=2.0, rate_hz=1000, montage="distal4", tier="interference")
    blinks = resting.kinds("blink")
    motion = np.abs(resting["landmarks"].data - 1e3 * Person.sample(3).traits.shape.rest_m())
    assert np.median(motion.max((1, 2))) < (0.5 if not blinks else 4.0)


def test_the_same_seed_gives_the_same_recording_and_another_does_not(calm):
    one, same, other = (calm.perform(SMILE, **{**CALM, "quality": "wired active"}, seed=s) for s in (5, 5, 6))
    assert one == same
    assert (one["emg"].data != other["emg"].data).any()


def test_a_palsied_side_stays_behind_and_stays_silent(calm, smile):
    right_corner, left_corner = corner_mm(calm.with_condition("palsy").perform(SMILE, **CALM))[60:75].mean(0)
    assert right_corner < 0.75 * left_corner
    zygomaticus = muscle_index("zygomaticus major", "right")
    drive = calm.with_condition("palsy").perform(SMILE, **CALM)["excitation"].data[:, zygomaticus]
    assert drive.max() == pytest.approx(0.3 * smile["excitation"].data[:, zygomaticus].max(), rel=1e-3)


@pytest.mark.parametrize("condition", PATHOLOGIES)
def test_every_condition_can_be_named(condition):
    assert Person().with_condition(condition).conditions == (condition,)


def test_spikes_of_the_motor_unit_tier_are_kept(calm):
    recording = calm.perform(SMILE, **{**CALM, "tier": "motor-units"})
    truth = recording.truth
    fired = np.bincount(truth["spike_muscle"], minlength=len(MUSCLES))
    assert fired[muscle_index("zygomaticus major", "left")] > 1000
    assert fired[muscle_index("mentalis", "left")] == 0
    assert truth["spike_sample"].max() < len(recording["emg"])
    assert truth["mixing_uv"].shape == (1, 7, len(MUSCLES))
    parts = calm.per_muscle(recording)
    assert parts.shape == (4000, len(MUSCLES), 7)
    np.testing.assert_allclose(parts.sum(1), recording["emg_clean"].data, atol=1e-3)


def test_electrodes_put_on_anew_stand_elsewhere(calm):
    twice = replace(protocol("rest", duration_s=4.0), wearings_s=(0.0, 2.0))
    recording = calm.perform(twice, "distal4", tier="motor-units", rate_hz=1000, wearing_sd_mm=4.0)
    first, second = (Montage.from_json(one["montage"]) for one in recording.info["wearings"])
    assert np.abs(first.chart_mm - second.chart_mm).max() > 1.0
    assert recording.info["wearings"][1]["start_s"] == pytest.approx(2.0, abs=0.01)
    assert recording.truth["mixing_uv"].shape == (2, 4, len(MUSCLES))
    parts = calm.per_muscle(recording)
    np.testing.assert_allclose(parts.sum(1), recording["emg_clean"].data, atol=1e-3)


def test_per_muscle_needs_spikes(calm, smile):
    with pytest.raises(InputError, match="motor-units"):
        calm.per_muscle(smile)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"montage": "proximal9"}, VocabularyError),
        ({"tier": "magic"}, VocabularyError),
        ({"quality": "perfect"}, VocabularyError),
        ({"rate_hz": 500}, InputError),
        ({"camera_hz": 0}, InputError),
        ({"camera_hz": float("nan")}, InputError),
        ({"duration_s": None}, InputError),
        ({"duration_s": -1.0}, InputError),
    ],
)
def test_one_clear_error_for_impossible_wishes(calm, wrong, error):
    with pytest.raises(error):
        calm.perform(SMILE, **{**CALM, **wrong})


def test_an_unknown_condition_lists_the_known_ones():
    with pytest.raises(VocabularyError, match="fatigued"):
        Person().with_condition("sleepy")


def test_a_population_of_faces_is_one_vmap():
    faces = [Person.sample(seed).face for seed in range(3)]
    crowd = jax.tree.map(lambda *leaves: jnp.stack(leaves), *faces)
    levels = jnp.zeros((3, len(MUSCLES))).at[:, muscle_index("zygomaticus major", "left")].set(0.6)
    together = jax.vmap(lambda face, level: face.vertices(level))(crowd, levels)
    for face, level, got in zip(faces, levels, together, strict=True):
        np.testing.assert_allclose(got, face.vertices(level), atol=2e-6)
