from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duchenne.sim import facs
from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.facs import Muscle, Side


@pytest.mark.parametrize("unit", facs.ACTION_UNITS, ids=str)
def test_every_action_unit_is_found_by_number_code_and_name(unit):
    for key in (unit.number, str(unit.number), str(unit), f"AU{unit.number:02d}", unit.name.upper(), unit):
        assert facs.action_unit(key) is unit
    assert unit.sides in (facs.PAIRED, facs.MIDLINE)
    assert not set(unit.muscles) & set(unit.relaxes)


def test_action_units_have_their_anatomy():
    assert facs.action_unit(12).muscles == (Muscle.ZYGOMATICUS_MAJOR,)
    assert Muscle.ORBICULARIS_OCULI_ORBITAL in facs.action_unit("cheek raiser").muscles
    assert Muscle.MASSETER in facs.action_unit("AU26").relaxes
    # The seven muscles that the skin-musculoskeletal paper records, § 2.2.
    recorded = {
        1: Muscle.FRONTALIS_MEDIALIS,
        2: Muscle.FRONTALIS_LATERALIS,
        4: Muscle.CORRUGATOR,
        9: Muscle.LLSAN,
        12: Muscle.ZYGOMATICUS_MAJOR,
        15: Muscle.DEPRESSOR_ANGULI_ORIS,
        17: Muscle.MENTALIS,
    }
    for number, muscle in recorded.items():
        assert muscle in facs.action_unit(number).muscles


@pytest.mark.parametrize("muscle", list(Muscle))
def test_every_muscle_is_found_and_used(muscle):
    assert facs.muscle(muscle.value) is facs.muscle(muscle.name.lower()) is muscle
    assert any(muscle in unit.muscles + unit.relaxes for unit in facs.ACTION_UNITS)


@pytest.mark.parametrize(
    ("lookup", "wrong", "hint"),
    [
        (facs.action_unit, 3, "AU12 lip corner puller"),
        (facs.action_unit, "smile", "AU12 lip corner puller"),
        (facs.muscle, "zygomaticus", "zygomaticus major"),
        (facs.side, "middle", "both"),
        (facs.expression, "joy", "happiness"),
        (facs.letter_bounds, "F", "A, B, C, D, E"),
        (facs.blendshape_index, "tongueOut", "jawOpen"),
        (facs.parse_formula, "R26", "write 26 alone"),
    ],
)
def test_a_wrong_name_is_told_the_right_ones(lookup, wrong, hint):
    with pytest.raises(VocabularyError, match=hint):
        lookup(wrong)


def test_expressions_are_those_of_the_papers():
    names = [expression.name for expression in facs.EXPRESSIONS]
    assert len(set(names)) == 8
    assert set(facs.SHU_EXPRESSIONS) == set(names) - {"neutral", "contempt"}
    assert set(facs.FER_EE_EXPRESSIONS) == set(names) - {"neutral"}
    assert facs.expression("Neutral").components == ()
    assert facs.expression("happiness").muscles == (
        Muscle.ORBICULARIS_OCULI_ORBITAL,
        Muscle.ZYGOMATICUS_MAJOR,
    )


@pytest.mark.parametrize("expression", facs.EXPRESSIONS, ids=lambda e: e.name)
def test_formula_reads_back(expression):
    assert facs.parse_formula(expression.formula) == expression.components


def test_formula_carries_side_and_letter():
    contempt = facs.expression("contempt").components
    assert [(c.unit.number, c.sides, c.letter) for c in contempt] == [
        (12, (Side.RIGHT,), "A"),
        (14, (Side.RIGHT,), "A"),
    ]
    assert [str(c) for c in facs.parse_formula("l6 + 12c + 26")] == ["L6", "12C", "26"]


def test_letters_are_five_equal_fifths():
    bounds = [facs.letter_bounds(name) for name in facs.LETTERS]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == 1
    assert all(high == next_low for (_, high), (next_low, _) in pairwise(bounds))
    assert [facs.letter(x) for x in (0, 0.2, 0.4, 0.6, 0.8, 1)] == ["A", "B", "C", "D", "E", "E"]


@given(st.floats(0, 1))
def test_letter_contains_its_intensity(x):
    low, high = facs.letter_bounds(facs.letter(x))
    assert low <= x <= high
    assert abs(facs.intensity(facs.letter(x)) - x) <= 0.1 + 1e-12


@given(st.sampled_from(facs.LETTERS))
def test_letter_survives_the_way_there_and_back(name):
    assert facs.letter(facs.intensity(name.lower())) == name


@pytest.mark.parametrize("x", [-0.01, 1.01, float("nan"), float("inf")])
def test_intensity_out_of_range_is_refused(x):
    with pytest.raises(InputError, match=r"0\.\.1"):
        facs.letter(x)


def _scores(**shapes: float) -> np.ndarray:
    scores = np.zeros(len(facs.BLENDSHAPES))
    for name, value in shapes.items():
        scores[facs.blendshape_index(name)] = value
    return scores


def _shown(scores: np.ndarray) -> dict[tuple[int, str], float]:
    table = facs.action_units(scores)
    return {
        (unit.number, side.value): float(table[row, column])
        for row, unit in enumerate(facs.CAMERA_ACTION_UNITS)
        for column, side in enumerate(facs.PAIRED)
        if table[row, column]
    }


def test_blendshapes_turn_into_action_units_by_side():
    assert len(facs.BLENDSHAPES) == len(set(facs.BLENDSHAPES)) == 52
    assert _shown(_scores(mouthSmileLeft=0.7)) == {(12, "left"): 0.7}
    assert _shown(_scores(browInnerUp=0.4)) == {(1, "right"): 0.4, (1, "left"): 0.4}
    assert _shown(_scores(mouthRollLower=0.2, mouthRollUpper=0.5)) == {(28, "right"): 0.5, (28, "left"): 0.5}
    assert _shown(_scores(mouthLeft=1, mouthShrugUpper=1, _neutral=1)) == {}


def test_both_eyes_that_look_left_are_au61():
    assert _shown(_scores(eyeLookOutLeft=1, eyeLookInRight=0.8)) == {(61, "left"): 1, (61, "right"): 0.8}


def test_an_open_jaw_parts_the_lips_unless_they_stay_closed():
    assert _shown(_scores(jawOpen=0.5))[25, "left"] == 0.5
    assert (25, "left") not in _shown(_scores(jawOpen=0.5, mouthClose=0.6))


def test_action_units_take_any_batch(rng):
    scores = rng.uniform(size=(3, 4, 52))
    table = facs.action_units(scores)
    assert table.shape == (3, 4, len(facs.CAMERA_ACTION_UNITS), 2)
    np.testing.assert_array_equal(table[1, 2], facs.action_units(scores[1, 2]))
    assert table.min() >= 0
    assert table.max() <= 1
    with pytest.raises(InputError, match="52"):
        facs.action_units(np.zeros(51))


def test_every_arkit_shape_has_its_unit_on_its_own_side():
    for name, unit in facs.ARKIT_TO_AU.items():
        for (number, side), value in _shown(_scores(**{name: 1.0})).items():
            assert value == 1
            assert number in (unit.number, 25)
            if name.endswith(("Left", "Right")):
                assert name.lower().endswith(side)
