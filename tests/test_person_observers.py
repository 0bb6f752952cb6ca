from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import lfilter
from sklearn.metrics import cohen_kappa_score

from duchenne.sim import mesh
from duchenne.sim.errors import InputError
from duchenne.sim.person.au_camera import AuCamera, nonnegative
from duchenne.sim.person.behaviour import UNITS, Act, Habits, perform, unit_index
from duchenne.sim.person.camera_view import camera_view
from duchenne.sim.person.mechanics import build_face
from duchenne.sim.person.observers import (
    EXPRESSION_NAMES,
    Coder,
    cohen_kappa,
    letters,
    name_expressions,
    two_coders,
)
from duchenne.sim.person.protocols import protocol
from duchenne.sim.person.repertoire import EXPRESSIONS, REPERTOIRES, excite, repertoire

RATE = 100.0
SIX, TWELVE, JAW = unit_index(6), unit_index(12), unit_index(26)


def visible(au: np.ndarray) -> np.ndarray:
    """Two lags of 60 ms, for muscle and skin."""
    keep = np.exp(-1 / (RATE * 0.06))
    for _ in range(2):
        au = np.asarray(lfilter([1 - keep], [1, -keep], au, axis=0))
    return np.clip(au, 0, 1)


@pytest.fixture(scope="module")
def smiles() -> list[np.ndarray]:
    """Visible units of a dozen people who smile."""
    courses = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        habits = Habits.sample(rng)
        chosen = protocol("smiles")
        b = perform(chosen.acts(habits, rng), habits, rate_hz=RATE, duration_s=180, rng=rng)
        courses.append(visible(b.au))
    return courses


@pytest.fixture(scope="module")
def dictionary() -> np.ndarray:
    """Displacement (A, 468, 3) m of the mean face for each full unit."""
    full = np.zeros((len(UNITS), len(UNITS), 2))
    full[np.arange(len(UNITS)), np.arange(len(UNITS))] = 1
    face = build_face(corrected=False)
    return np.asarray(face.vertices(jnp.asarray(excite(full))), float) - np.asarray(face.rest, float)


# --- Letters, agreement, names


def test_letters_are_equal_fifths():
    assert letters(np.array([0.0, 0.04, 0.06, 0.19, 0.21, 0.5, 0.79, 0.81, 1.0])).tolist() == [
        0,
        0,
        1,
        1,
        2,
        3,
        4,
        5,
        5,
    ]
    with pytest.raises(InputError, match="0…1"):
        letters(np.array([1.1]))


def test_kappa_is_cohens(rng):
    first, second = rng.integers(0, 4, 500), rng.integers(0, 4, 500)
    second[:300] = first[:300]
    assert cohen_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second))
    assert cohen_kappa(first, first) == 1
    assert np.isnan(cohen_kappa(np.zeros(5), np.zeros(5)))
    with pytest.raises(InputError):
        cohen_kappa(np.zeros(3), np.zeros(4))


@pytest.mark.parametrize("style", REPERTOIRES)
def test_every_expression_is_named(style):
    habits = Habits.textbook(style)
    acts = [Act(what=name, onset_s=1 + 4 * i, hold_s=1.5) for i, name in enumerate(EXPRESSIONS)]
    b = perform(acts, habits, rate_hz=RATE, duration_s=30, rng=np.random.default_rng(0))
    apex = b.phases == "apex"
    named = np.array(EXPRESSION_NAMES)[name_expressions(b.au)]
    assert (named[apex] == b.labels[apex]).all()
    assert (named[b.au.max((1, 2)) < 0.05] == "neutral").all()
    left = name_expressions(repertoire(style)[:, :, ::-1])
    assert EXPRESSION_NAMES[left[EXPRESSIONS.index("contempt")]] == "contempt"


# --- Coders


def test_two_coders_agree_as_published(smiles):
    kappas = []
    for seed, course in enumerate(smiles):
        first, second = two_coders(course, RATE, np.random.default_rng(seed))
        kappas.append([cohen_kappa(first.present[:, unit], second.present[:, unit]) for unit in (SIX, TWELVE)])
    six, twelve = np.mean(kappas, 0)
    assert six == pytest.approx(0.78, abs=0.08)
    assert twelve == pytest.approx(0.84, abs=0.06)


def test_coding_is_bounded_and_follows_what_is_seen(smiles):
    course = smiles[0]
    coding = Coder.sample(np.random.default_rng(1)).code(course, RATE, np.random.default_rng(2))
    assert coding.present.shape == coding.letter.shape == (len(course), len(UNITS))
    assert np.array_equal(coding.present, coding.letter > 0)
    assert coding.letter.max() <= 5
    assert cohen_kappa(coding.present[:, TWELVE], course[:, TWELVE].max(-1) > 0.1) > 0.7
    still = Coder.sample(np.random.default_rng(1)).code(np.zeros((500, len(UNITS), 2)), RATE, np.random.default_rng(0))
    assert not still.present.any()


def test_coders_refuse_bad_input():
    coder = Coder.sample(np.random.default_rng(0))
    with pytest.raises(InputError, match="shape"):
        coder.code(np.zeros((5, 3, 2)), RATE, np.random.default_rng(0))
    with pytest.raises(InputError, match="rate"):
        coder.code(np.zeros((5, len(UNITS), 2)), 0, np.random.default_rng(0))


# --- Camera


def test_nonnegative_least_squares_meets_its_conditions(rng):
    columns = rng.normal(size=(6, 30))
    gram, evidence = columns @ columns.T, 3 * rng.normal(size=(40, 30)) @ columns.T
    answer = nonnegative(gram, evidence, sweeps=500)
    slope = answer @ gram - evidence
    inner = (answer > 1e-6) & (answer < 1 - 1e-6)
    assert answer.min() >= 0
    assert answer.max() <= 1
    assert np.abs(slope[inner]).max() < 1e-2
    assert slope[answer <= 1e-6].min() > -1e-2
    assert slope[answer >= 1 - 1e-6].max() < 1e-2


def test_a_perfect_camera_reads_units_back(dictionary):
    camera = AuCamera.perfect(dictionary)
    wanted = np.zeros((4, len(UNITS)))
    wanted[0, TWELVE], wanted[1, [SIX, TWELVE]], wanted[2, [unit_index(1), unit_index(2)]] = 0.6, (0.4, 0.8), (0.5, 0.7)
    got = camera.observe(np.einsum("ta,avc->tvc", wanted, dictionary), 30.0, np.random.default_rng(0))
    assert np.abs(got - wanted).max() < 0.1


def test_each_unit_is_seen_as_much_as_measured(dictionary):
    camera = replace(
        AuCamera.sample(dictionary, np.random.default_rng(0), own=0.0), jitter_m=0.0, drift_m=0.0, delay_s=0.0
    )
    seen = camera.see(dictionary, 30.0, np.random.default_rng(0))
    flat, got = dictionary[..., :2], seen[..., :2]
    moving = (flat**2).sum((1, 2)) > 0
    gain = (flat * got).sum((1, 2))[moving] / (flat**2).sum((1, 2))[moving]
    measured = np.array([camera_view().units[str(unit)] for unit in UNITS])[moving]
    assert np.abs(gain - measured).max() < 0.2  # AU25 looks like 10 and 16 together


def test_the_camera_sees_smile_and_jaw_but_hardly_the_cheek(dictionary):
    rng = np.random.default_rng(0)
    camera = AuCamera.sample(dictionary, rng)
    got = {}
    for unit in (SIX, TWELVE, JAW, unit_index(1), unit_index(9), unit_index(17)):
        course = np.repeat(0.8 * dictionary[unit][None], 60, axis=0)
        got[unit] = camera.observe(course, 30.0, rng).mean(0)
    assert got[TWELVE].argmax() == TWELVE
    assert got[TWELVE][TWELVE] > 0.5
    assert got[JAW].argmax() == JAW
    assert got[JAW][JAW] > 0.4
    assert got[unit_index(1)][unit_index(1)] > 0.5
    for blind in (SIX, unit_index(9), unit_index(17)):
        assert got[blind][blind] < 0.75 * got[TWELVE][TWELVE]
    assert got[SIX][unit_index(7)] > 0.05  # takes a cheek raiser partly for a lid tightener
    assert got[TWELVE][SIX] > 0.05  # and expects cheeks in a smile
    still = camera.observe(np.zeros((60, 468, 3)), 30.0, rng)
    assert (still > 0.2).mean() < 0.02


def test_the_camera_is_late(dictionary):
    camera = AuCamera(
        dictionary=dictionary,
        unit_gain=np.ones(dictionary.shape[:-2]),
        own_gain=np.ones(468),
        depth=1.0,
        jitter_m=0.0,
        drift_m=0.0,
        delay_s=0.1,
    )
    step = np.zeros((30, 468, 3))
    step[10:] = dictionary[TWELVE]
    seen = camera.see(step, 30.0, np.random.default_rng(0))
    assert not seen[:13].any()
    assert np.allclose(seen[13:], dictionary[TWELVE])


def test_sides_are_told_apart_where_the_dictionary_does(dictionary):
    right = (mesh.REST[:, 0] < 0)[:, None]
    both = np.stack([dictionary * right, dictionary * ~right], 1)
    got = AuCamera.perfect(both).judge(both[TWELVE, 0][None])
    assert got.shape == (1, len(UNITS), 2)
    assert got[0, TWELVE, 0] > 0.8
    assert got[0, TWELVE, 1] < 0.05


def test_camera_refuses_bad_input(dictionary):
    camera = AuCamera.perfect(dictionary)
    with pytest.raises(InputError, match="468"):
        camera.observe(np.zeros((5, 467, 3)), 30.0, np.random.default_rng(0))
    with pytest.raises(InputError, match="metres"):
        AuCamera.perfect(1e3 * dictionary)
