import numpy as np
import pytest

from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.facs import Muscle, Side
from duchenne.sim.person.anatomy import MIRRORED, MUSCLES, muscle_index
from duchenne.sim.person.behaviour import PHASES, UNITS, Act, Habits, perform, unit_index
from duchenne.sim.person.repertoire import (
    CHEEK_FIRST,
    ELEVATORS,
    EXPRESSIONS,
    REPERTOIRES,
    WEIGHTS,
    excite,
    repertoire,
    resolve,
)

RATE = 125.0
PLAIN = Habits.textbook()
SINGLE = [str(unit) for unit in UNITS]


def play(*acts: Act, habits: Habits = PLAIN, seconds: float = 6.0, seed: int = 0):
    return perform(acts, habits, rate_hz=RATE, duration_s=seconds, rng=np.random.default_rng(seed))


@pytest.fixture(scope="module")
def people() -> list[Habits]:
    return [Habits.sample(np.random.default_rng(seed)) for seed in range(30)]


# --- Repertoire


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_full_unit_drives_its_facs_muscles_most(unit):
    au = np.zeros((1, len(UNITS), 2))
    au[0, unit_index(unit)] = 1
    drive = excite(au)[0]
    listed = {name for name, _ in MUSCLES}
    movers = [muscle_index(name, Side.RIGHT) for name in unit.muscles if name in listed]
    assert drive.max() > 0.3
    assert np.array_equal(drive, drive[MIRRORED])
    if movers:
        assert drive[movers].max() >= 0.8 * drive.max()


def test_excitation_adds_up_and_never_exceeds_one(rng):
    au = rng.random((50, len(UNITS), 2))
    drive = excite(au)
    assert drive.shape == (50, 48)
    assert drive.min() >= 0
    assert drive.max() <= 1
    small = 1e-4 * au
    flat = np.stack([small[..., column % 2] @ WEIGHTS[:, column] for column in range(48)], -1)
    np.testing.assert_allclose(excite(small), flat, atol=1e-6)


def test_a_side_drives_its_own_muscles_only():
    drive = excite(resolve("R12")[None])[0]
    assert drive[muscle_index(Muscle.ZYGOMATICUS_MAJOR, Side.RIGHT)] == 1
    assert not drive[1::2].any()


@pytest.mark.parametrize("style", REPERTOIRES)
def test_repertoires_tell_the_seven_apart(style):
    targets = repertoire(style).reshape(7, -1)
    assert len(np.unique(targets, axis=0)) == 7
    assert (targets.max(1) > 0).all()


def test_posed_units_come_with_their_published_probability():
    drawn = np.stack([repertoire("posed", np.random.default_rng(seed)) for seed in range(600)]) > 0
    share = drawn.any(-1).mean(0)
    happy, sad = EXPRESSIONS.index("happiness"), EXPRESSIONS.index("sadness")
    assert share[happy, unit_index(12)] == 1
    assert share[happy, unit_index(6)] == pytest.approx(0.51, abs=0.06)
    assert share[sad, unit_index(17)] == pytest.approx(0.67, abs=0.06)


def test_resolve_reads_letters_sides_and_names():
    assert resolve("12C")[unit_index(12)].tolist() == [0.5, 0.5]
    assert resolve("R12+L14")[unit_index(14)].tolist() == [0, 1]
    assert np.array_equal(resolve("eyes closed"), resolve("AU45"))


def test_unknown_names_list_the_valid_ones():
    with pytest.raises(VocabularyError, match="happiness"):
        Act(what="joy", onset_s=0)
    with pytest.raises(VocabularyError, match="AU12 lip corner puller"):
        resolve("28")
    with pytest.raises(VocabularyError, match="posed, prototype"):
        repertoire("acted")
    with pytest.raises(VocabularyError, match="spontaneous"):
        Act(what="smile", onset_s=0, kind="felt")


# --- Habits


def test_people_differ_within_bounds(people):
    assert len({habits.effort for habits in people}) == len(people)
    jaw = np.array([habits.tone[list(ELEVATORS)] for habits in people])
    assert jaw.min() >= 0
    assert 0.005 < np.median(jaw) < 0.05
    assert jaw.max() < 0.08
    assert np.abs([habits.asymmetry for habits in people]).max() <= 0.3
    assert all((habits.weights > 0).tolist() == (WEIGHTS > 0).tolist() for habits in people)
    tension = np.log([habits.cocontraction for habits in people])
    assert 0.5 < tension.std() < 1.1


def test_habits_refuse_wrong_shapes():
    with pytest.raises(InputError, match="tone"):
        Habits(tone=np.zeros(3))
    with pytest.raises(InputError, match="negative"):
        Habits(tone=np.full(48, -0.1))


# --- Performance


@pytest.mark.parametrize("what", [*EXPRESSIONS, "smile", *SINGLE, "speech", "chewing", "eyes closed", "R12"])
def test_everything_performs(what, people):
    b = play(Act(what=what, onset_s=1.0, hold_s=2.0), habits=people[0])
    assert b.au.shape == (750, len(UNITS), 2)
    assert b.excitation.shape == (750, 48)
    for values in (b.au, b.excitation):
        assert np.isfinite(values).all()
        assert values.min() >= 0
        assert values.max() <= 1
    during, before = b.excitation[200:375].mean(0), b.excitation[:110].mean(0)
    assert (during - before).max() > 0.02


@pytest.mark.parametrize("what", EXPRESSIONS)
def test_textbook_shows_exactly_the_targets(what):
    b = play(Act(what=what, onset_s=1.0, rise_s=0.5, hold_s=2.0, fall_s=1.0, intensity=0.5))
    np.testing.assert_allclose(b.au[250], 0.5 * repertoire("prototype")[EXPRESSIONS.index(what)])
    assert not b.au[:125].any()
    assert not b.au[125 + 438 :].any()
    assert (b.labels[126:560] == what).all()
    assert (b.labels[:125] == "neutral").all()


def test_phases_follow_the_course():
    b = play(Act(what="AU12", onset_s=1.0, rise_s=0.5, hold_s=2.0, fall_s=1.0, intensity=0.9))
    course = b.au[:, unit_index(12), 0]
    slope = np.diff(course, append=0)
    for phase, sign in (("onset", 1), ("offset", -1)):
        assert (sign * slope[b.phases == phase][1:-1] > 0).all()
    assert np.ptp(course[b.phases == "apex"]) < 1e-9
    assert not course[b.phases == "neutral"].any()
    assert [PHASES[i] for i in dict.fromkeys(b.phase.tolist())] == ["neutral", "onset", "apex", "offset"]
    assert set(b.letter[b.expression > 0].tolist()) == {5}
    assert not b.letter[b.expression == 0].any()
    rise = np.interp([0.18, 0.72], course[125:188], b.time_s[125:188])
    assert np.ptp(rise) == pytest.approx(0.5 * 0.345, abs=0.01)  # minimum jerk


def test_asymmetry_weakens_one_side():
    b = play(Act(what="AU12", onset_s=1.0, hold_s=2.0, asymmetry=0.4, intensity=1.0))
    np.testing.assert_allclose(b.au[250, unit_index(12)], [0.6, 1.0])
    still = play(Act(what="AU26", onset_s=1.0, hold_s=2.0, asymmetry=0.4, intensity=1.0))
    assert still.au[250, unit_index(26)].tolist() == [1, 1]  # the jaw has no sides


def test_same_seed_same_bytes(people):
    acts = (Act(what="fear", onset_s=1.0), Act(what="chewing", onset_s=3.0, intensity=0.3))
    first, second, other = (play(*acts, habits=people[1], seed=seed) for seed in (4, 4, 5))
    assert first.excitation.tobytes() == second.excitation.tobytes()
    assert first.episodes == second.episodes
    assert first.excitation.tobytes() != other.excitation.tobytes()


def test_spontaneous_smiles_rise_slower_with_cheeks_first_more_often():
    habits = Habits(blinks_per_min=0)
    lead, rise = {}, {}
    for kind in ("spontaneous", "posed"):
        acts = [Act(what="smile", onset_s=2 + 6 * i, hold_s=1.0, kind=kind) for i in range(120)]
        b = play(*acts, habits=habits, seconds=722.0)
        leads, rises = [], []
        for i in range(120):
            span = slice(round((1 + 6 * i) * RATE), round((4 + 6 * i) * RATE))
            six, twelve = b.au[span, unit_index(6), 0], b.au[span, unit_index(12), 0]
            level = twelve.max()
            rises.append(np.argmax(twelve > 0.8 * level) - np.argmax(twelve > 0.2 * level))
            if six.any():
                leads.append(np.argmax(six > 0) < np.argmax(twelve > 0))
        lead[kind], rise[kind] = np.mean(leads), np.median(rises) / RATE
        assert len(leads) / 120 == pytest.approx(0.9, abs=0.08)
        assert lead[kind] == pytest.approx(CHEEK_FIRST[kind], abs=0.12)
    assert rise["spontaneous"] > 1.2 * rise["posed"]
    assert 0.08 < rise["posed"] < 0.22  # one person's smiles on video: 0.10-0.21 s


def test_rest_is_not_silence(people):
    b = play(habits=people[2], seconds=60.0)
    tone = np.median(b.excitation, 0)
    assert (tone > 0).all()
    assert tone.max() < 0.08
    assert not b.expression.any()
    blinks = [one for one in b.episodes if one.source == "blink"]
    assert 4 <= len(blinks) <= 32
    lids = b.au[:, unit_index(45), 0]
    assert lids.max() > 0.9
    assert 0.005 < (lids > 0.05).mean() < 0.2


def test_cocontraction_is_shared_by_all_muscles():
    tense, easy = (Habits(cocontraction=np.full(8, level), blinks_per_min=0) for level in (0.2, 0.0))
    act = Act(what="AU12", onset_s=1.0, hold_s=2.0)
    more, less = (play(act, habits=habits).excitation[200:370].mean(0) for habits in (tense, easy))
    idle = muscle_index(Muscle.FRONTALIS_LATERALIS, Side.LEFT)
    assert more[idle] > less[idle] + 0.1
    assert (more >= less - 0.02).all()


def test_jaw_closers_let_go_when_the_jaw_drops():
    habits = Habits(cocontraction=np.zeros(8), fluctuation=0, tremor=0, blinks_per_min=0)
    b = play(Act(what="AU26", onset_s=1.0, hold_s=2.0, intensity=1.0), habits=habits)
    closers = b.excitation[:, list(ELEVATORS)]
    assert closers[250].max() < 0.2 * closers[0].min()


def test_chewing_is_rhythmic_and_speech_is_faster():
    found = {}
    for what, column in (("chewing", muscle_index(Muscle.MASSETER, Side.RIGHT)), ("speech", None)):
        b = play(Act(what=what, onset_s=0.5, hold_s=28.0, intensity=0.3 if column else 1.0), seconds=30.0)
        course = b.excitation[:, column] if column else b.au[:, unit_index(26), 0]
        power = np.abs(np.fft.rfft((course - course.mean()) * np.hanning(len(course)))) ** 2
        band = (np.fft.rfftfreq(len(course), 1 / RATE) > 0.8) & (np.fft.rfftfreq(len(course), 1 / RATE) < 8)
        found[what] = np.fft.rfftfreq(len(course), 1 / RATE)[band][power[band].argmax()]
        assert not b.expression.any()
    assert 0.9 < found["chewing"] < 2.2
    assert 3.5 < found["speech"] < 5.5


def test_impossible_requests_are_refused():
    with pytest.raises(InputError, match="50 Hz"):
        perform([], PLAIN, rate_hz=10, duration_s=1, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="duration"):
        perform([], PLAIN, rate_hz=125, duration_s=float("nan"), rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="intensity"):
        Act(what="AU12", onset_s=0, intensity=1.2)
    with pytest.raises(InputError, match="asymmetry"):
        Act(what="AU12", onset_s=0, asymmetry=-2)
    with pytest.raises(InputError, match="finite"):
        Act(what="AU12", onset_s=float("nan"))
    with pytest.raises(InputError, match="0…1"):
        excite(np.full((2, len(UNITS), 2), np.nan))
