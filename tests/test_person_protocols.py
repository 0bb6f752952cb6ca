import numpy as np
import pytest

from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.facs import FER_EE_EXPRESSIONS, SHU_EXPRESSIONS
from duchenne.sim.person.behaviour import UNITS, Habits, perform, unit_index
from duchenne.sim.person.protocols import PROTOCOLS, protocol
from duchenne.sim.person.repertoire import EXPRESSIONS, MVC_ACTIONS

SHORT = {
    "expressions": {},
    "single-aus": {"units": ("AU12", "R12", "AU4")},
    "mvc": {"repetitions": 1},
    "six-expressions": {"repetitions": 1},
    "intensities": {"batches": 1},
    "smiles": {"block_s": 30.0},
    "rest": {"duration_s": 5.0},
    "speech": {"duration_s": 8.0},
    "chewing": {"duration_s": 8.0},
}


def test_sizes_are_the_papers():
    mvc, six = protocol("mvc"), protocol("six-expressions")
    assert mvc.duration_s == 4 + 5 * 40
    assert six.duration_s == 7 + 6 * 132
    shown = [cue.what for cue in six.cues if cue.what != "neutral"]
    assert shown == [name for name in SHU_EXPRESSIONS for _ in range(12)]
    assert {cue.label for cue in mvc.cues if cue.label} == set(MVC_ACTIONS)
    smiles = protocol("smiles")
    assert smiles.duration_s == 180
    assert [one.duration_s for one in smiles.stretches] == [90, 90]
    grades = [cue for cue in protocol("intensities").cues if cue.what != "neutral"]
    assert len(grades) == 7 * 5 * 4
    assert {cue.what for cue in grades} == set(FER_EE_EXPRESSIONS)
    assert len(protocol("intensities").wearings_s) == 4
    assert 95 < protocol("intensities").wearings_s[1] < 105
    assert 35 < protocol("expressions").duration_s < 45
    assert [cue.what for cue in protocol("expressions").cues[1::2]] == list(EXPRESSIONS)
    assert len([cue for cue in protocol("single-aus").cues if cue.what != "neutral"]) == len(UNITS) - 1


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_is_performed(name):
    chosen = protocol(name, **SHORT[name])
    rng = np.random.default_rng(3)
    habits = Habits.sample(rng)
    acts = chosen.acts(habits, rng)
    b = perform(acts, habits, rate_hz=125, duration_s=chosen.duration_s, rng=rng)
    assert len(b.time_s) == round(125 * chosen.duration_s)
    assert all(one.onset_s >= 0 and one.onset_s + one.duration_s <= chosen.duration_s + 1e-9 for one in chosen.episodes)
    answered = [cue for cue in chosen.cues if cue.what != "neutral"]
    assert len(acts) == len(answered) or chosen.stretches
    assert sorted(cue.onset_s for cue in chosen.cues) == [cue.onset_s for cue in chosen.cues]


def test_movement_answers_the_cue_after_a_reaction_time():
    chosen = protocol("six-expressions", repetitions=4)
    late = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        habits = Habits.sample(rng)
        cues = [cue for cue in chosen.cues if cue.what != "neutral"]
        for cue, act in zip(cues, chosen.acts(habits, rng), strict=True):
            assert act.what == cue.what
            assert act.rise_s is not None
            assert act.hold_s is not None
            late.append(act.onset_s - cue.onset_s)
            release = act.onset_s + act.rise_s + act.hold_s - cue.onset_s - cue.duration_s
            assert 0.08 < release < 1.2
    assert 0.2 < np.median(late) < 0.45
    assert np.std(late) > 0.03
    assert min(late) > 0.05


def test_smiles_fill_about_a_quarter_of_the_time():
    share = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        habits = Habits.sample(rng)
        chosen = protocol("smiles")
        acts = chosen.acts(habits, rng)
        assert all((act.kind == "spontaneous") == (act.onset_s < 90) for act in acts)
        b = perform(acts, habits, rate_hz=64, duration_s=180, rng=rng)
        share.append((b.au[:, unit_index(12)].max(-1) > 0.1).mean())
    assert 0.15 < np.mean(share) < 0.35


def test_schedules_are_joined():
    both = protocol("mvc", repetitions=1).then(protocol("expressions"), pause_s=10)
    assert both.duration_s == 44 + 10 + 41
    assert both.cues[-1].onset_s + both.cues[-1].duration_s == pytest.approx(both.duration_s)
    assert both.name == "mvc+expressions"
    assert both.wearings_s == (0.0,)


def test_bad_requests_list_what_is_allowed():
    with pytest.raises(VocabularyError, match="six-expressions"):
        protocol("six")
    with pytest.raises(VocabularyError, match="block_s"):
        protocol("smiles", repetitions=2)
    with pytest.raises(InputError, match="positive"):
        protocol("rest", duration_s=-1)
    with pytest.raises(InputError, match="4 s"):
        protocol("speech", duration_s=3)
    with pytest.raises(InputError, match="fewer"):
        protocol("smiles", rate_per_min=30).acts(Habits(), np.random.default_rng(0))
