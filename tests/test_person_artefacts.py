import time

import numpy as np
import pytest
from scipy.signal import welch

from duchenne.sim import mesh
from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.person.artefacts import (
    PRESETS,
    RANGES,
    ArtefactSpec,
    artefact_terms,
    artefacts,
    brain_gains,
    contact_motion,
    eye_gains,
    preset,
    record,
)
from duchenne.sim.person.electrodes import free, montage

RATE = 1000.0
QUIET = {"electrode_uv": 0.0, "mains_uv": 0.0, "wander_uv": 0.0, "brain_uv": 0.0, "contact_spread": 0.0}


def _terms(spec, worn=None, samples=60_000, seed=0, **inputs):
    return artefact_terms(np.random.default_rng(seed), spec, worn or montage("epidermal10"), RATE, samples, **inputs)


def _band_rms(signal, low, high):
    frequency, density = welch(signal, RATE, nperseg=4000, axis=0)
    inside = (frequency >= low) & (frequency <= high)
    return np.sqrt(np.trapezoid(density[inside], frequency[inside], axis=0))


def test_clean_is_silent_and_every_preset_is_finite(rng):
    worn = montage("distal4")
    motion = np.abs(rng.normal(size=(50, len(worn.contacts))))
    for name in PRESETS:
        added = artefacts(rng, preset(name), worn, RATE, 2000, motion_mm_s=motion, eyes=np.ones((5, 3)))
        assert added.shape == (2000, 4)
        assert np.isfinite(added).all()
    assert not artefacts(rng, preset("clean"), worn, RATE, 2000, motion_mm_s=motion, eyes=np.ones((5, 3))).any()


def test_same_seed_same_artefacts_whatever_else_is_asked_for():
    motion = np.ones((100, len(montage("epidermal10").contacts)))
    first, second = _terms(ArtefactSpec(), samples=3000), _terms(ArtefactSpec(), samples=3000, motion_mm_s=motion)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    assert not np.array_equal(first["electrode"], _terms(ArtefactSpec(), samples=3000, seed=1)["electrode"])


@pytest.mark.parametrize("rate", [500.0, 1000.0, 4800.0])
def test_electrode_noise_is_absolute_and_flickers(rate):
    spec = ArtefactSpec(**{**QUIET, "electrode_uv": 2.0}, flicker_corner_hz=20.0)
    single = free("one", {"a": (20.0, 60.0)})
    noise = artefact_terms(np.random.default_rng(0), spec, single, rate, int(60 * rate))["electrode"][:, 0]
    frequency, density = welch(noise, rate, nperseg=int(2 * rate))
    white = 4 / (480 + 20 * np.log(25))
    assert np.median(density[(frequency > 150) & (frequency < 230)]) == pytest.approx(white * 1.1, rel=0.1)
    assert np.mean(density[(frequency > 9) & (frequency < 11)]) == pytest.approx(white * 3, rel=0.25)


def test_common_reference_shares_its_noise_and_a_pair_does_not():
    spec = ArtefactSpec(**{**QUIET, "electrode_uv": 1.0})
    monopolar = np.asarray(np.corrcoef(_terms(spec)["electrode"].T))[np.triu_indices(10, 1)]
    assert monopolar == pytest.approx(0.5, abs=0.06)
    pairs = np.asarray(np.corrcoef(_terms(spec, montage("proximal7"))["electrode"].T))[np.triu_indices(7, 1)]
    assert np.abs(pairs).max() < 0.1


def test_mains_is_a_line_with_harmonics_and_never_aliases():
    mains = _terms(ArtefactSpec(**{**QUIET, "mains_uv": 5.0}))["mains"]
    assert 0.6 < np.sqrt((mains**2).mean()) / (5 * np.sqrt(2)) < 1.5  # two contacts with phases of their own
    frequency, density = welch(mains[:, 0], RATE, nperseg=4000)
    near = np.min(np.abs(frequency[:, None] - 50 * np.arange(1, 6)), axis=1) < 2
    assert density[near].sum() > 0.99 * density.sum()
    slow = artefact_terms(np.random.default_rng(0), ArtefactSpec(mains_hz=60), montage("distal4"), 128.0, 1280)["mains"]
    frequency, density = welch(slow, 128.0, nperseg=640, axis=0)
    assert frequency[density.argmax(0)] == pytest.approx(60, abs=0.5)
    assert np.isfinite(slow).all()


def test_wander_is_slow():
    wander = _terms(ArtefactSpec(**{**QUIET, "wander_uv": 30.0}))["wander"]
    assert 15 < wander.std() < 90
    assert (_band_rms(wander, 5, 400) < 0.02 * wander.std()).all()


def test_motion_follows_the_skin_below_its_cut():
    worn = montage("distal4")
    speed = np.zeros((600, len(worn.contacts)))
    speed[200:300] = 10.0
    spec = ArtefactSpec(**QUIET, motion_uv_per_mm_s=1.0, motion_cut_hz=15.0)
    motion = _terms(spec, worn, motion_mm_s=speed)["motion"]
    still, moving = motion[5000:15000].std(), motion[20000:30000].std()
    assert moving > 5
    assert still < 0.02 * moving
    assert (_band_rms(motion, 45, 400) < 0.05 * _band_rms(motion, 1, 20)).all()
    np.testing.assert_allclose(_terms(spec, worn, motion_mm_s=2 * speed)["motion"], 2 * motion, atol=1e-3)


def test_blink_is_seen_on_the_forehead_and_not_at_the_jaw():
    worn = montage("kolodziej8")
    eyes = np.zeros((300, 3))
    eyes[100:103, 0] = 1
    blink = _terms(ArtefactSpec(**QUIET, blink_uv=100.0), worn, samples=10_000, eyes=eyes)["eyes"]
    height = dict(zip(worn.channel_names, np.abs(blink).max(0), strict=True))
    assert 50 < height["above eye"] < 130
    assert height["jaw"] < 0.2 * height["above eye"]
    assert blink[:, worn.channel_names.index("below eye")].min() < -10


def test_eyes_are_a_dipole_and_the_brain_fades():
    above, below, left, right = eye_gains([(33.0, 51.0), (33.0, 1.0), (70.0, 26.0), (-70.0, 26.0)])
    assert above[2] == pytest.approx(1, abs=0.1)
    assert below[2] == pytest.approx(-above[2], abs=0.1)
    assert abs(below[0]) < above[0]
    assert left[1] == pytest.approx(-right[1], abs=0.03)
    assert left[1] > 0.5
    forehead, temple, cheek = np.linalg.norm(brain_gains([(0.0, 75.0), (80.0, 30.0), (55.0, -25.0)]), axis=1)
    assert forehead > temple > cheek > 0
    brain = _terms(
        ArtefactSpec(**{**QUIET, "brain_uv": 10.0}), free("f", {"a": (0, 75), "ear": (132, -25)}, reference="ear")
    )
    assert brain["brain"].std() == pytest.approx(10, rel=0.15)
    assert _band_rms(brain["brain"], 20, 450) < 3


def test_contacts_move_with_the_skin_under_them():
    faces = np.repeat(mesh.REST[None], 11, axis=0)
    faces = faces + np.linspace(0, 0.01, 11)[:, None, None] * [0, 1, 0]  # 10 mm up in 10 frames
    worn = montage("kolodziej8")
    speed = contact_motion(worn, faces, 30.0)
    assert speed.shape == (11, 9)
    np.testing.assert_allclose(speed[:, worn.contact_names.index("cheek")], 30.0, rtol=1e-6)
    back = contact_motion(free("nape", {"a": (240.0, 0.0)}), faces, 30.0)
    assert back.max() < 0.1
    with pytest.raises(InputError, match="468"):
        contact_motion(worn, faces[:, :10], 30.0)


def test_recording_saturates_rounds_and_dies():
    emg, added = np.full((100, 4), 30.0), np.full((100, 4), 1.0)
    whole = record(np.random.default_rng(0), ArtefactSpec(saturation_uv=20.0), emg, added)
    assert not whole.dead.any()
    assert (whole.emg_uv == 20).all()
    rounded = record(np.random.default_rng(0), ArtefactSpec(step_uv=4.0), emg, added).emg_uv
    assert (rounded == 32).all()
    dead = record(np.random.default_rng(0), ArtefactSpec(dead_probability=1.0), emg, added)
    assert dead.dead.all()
    assert (dead.emg_uv == 10).all()
    with pytest.raises(InputError, match="both"):
        record(np.random.default_rng(0), ArtefactSpec(), emg, added[:50])


def test_errors_say_what_is_allowed(rng):
    with pytest.raises(VocabularyError, match="clean, wired active"):
        preset("perfect")
    for name in RANGES:
        with pytest.raises(InputError, match=name):
            ArtefactSpec(**{name: np.nan})
    with pytest.raises(InputError, match="rate"):
        artefacts(rng, ArtefactSpec(), montage("distal4"), 10.0, 100)
    with pytest.raises(InputError, match="motion_mm_s"):
        artefacts(rng, ArtefactSpec(), montage("distal4"), RATE, 100, motion_mm_s=np.zeros((5, 2)))


def test_a_minute_of_ten_channels_is_quick():
    motion, eyes = np.ones((1800, 11)), np.zeros((1800, 3))
    taken = []
    for _ in range(3):
        start = time.process_time()
        _terms(ArtefactSpec(), motion_mm_s=motion, eyes=eyes)
        taken.append(time.process_time() - start)
    assert min(taken) < 0.3  # 0.03 s on an idle core
