import numpy as np
import pytest

from duchenne.sim import mesh
from duchenne.sim.errors import DuchenneError, InputError, VocabularyError
from duchenne.sim.facs import EXPRESSIONS
from duchenne.sim.person.repertoire import EXPRESSIONS as POSED
from duchenne.twin.discretion import Answer, Discretion, formula_face, strength

INNER_BROWS, CORNERS = (55, 285), (61, 291)
ANGER = "4+7+24"


@pytest.fixture(scope="module")
def table():
    return Discretion.default()


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    return path


def test_every_expression_has_an_answer(table):
    assert set(table.answers) == {one.name for one in EXPRESSIONS}


@pytest.mark.parametrize("name", ["happiness", "surprise"])
def test_smile_and_surprise_are_returned(table, name):
    face = formula_face("6+12")
    np.testing.assert_array_equal(table(name, face), face)


@pytest.mark.parametrize("name", ["contempt", "disgust", "neutral"])
def test_contempt_and_disgust_leave_the_robot_neutral(table, name):
    assert not table(name, formula_face("R12+R14")).any()


def test_anger_is_met_with_concern(table):
    concern = table("anger", formula_face(ANGER))
    assert (concern[list(INNER_BROWS), 1] > 1e-3).all(), "the inner brows rise"
    assert concern[55, 0] - concern[285, 0] > 0.5e-3, "and come together"
    assert (concern[list(CORNERS), 1] < -0.5e-3).all(), "the corners of the mouth fall"


def test_concern_comes_and_goes_with_her_expression(table):
    face = formula_face(ANGER)
    size = [np.abs(table("anger", share * face)).max() for share in (0.0, 0.2, 0.4)]
    assert size[0] == 0
    assert size[2] == pytest.approx(2 * size[1])
    assert np.abs(table("sadness", formula_face("4+15"))).max() < np.abs(table("anger", 2 * face)).max()


@pytest.mark.parametrize("name", POSED)
def test_strength_is_none_at_rest_and_grows_to_one(name):
    assert strength(name, np.zeros((mesh.VERTEX_COUNT, 3))) == 0
    assert strength(name, 50 * formula_face({"contempt": "R12+R14", "happiness": "12"}.get(name, "1+4+7+9+20+26"))) <= 1


def test_blinks_have_no_strength():
    assert all(strength(name, formula_face("45")) < 0.15 for name in POSED)


def test_everything_can_be_returned():
    face = formula_face("R12+R14")
    for one in EXPRESSIONS:
        np.testing.assert_array_equal(Discretion.mirror_all()(one.name, face), face)


def test_users_change_what_they_name(tmp_path, table):
    text = '[faces]\nwink = "R45"\n[answers]\ncontempt = { show = "wink", strength = 0.5 }\nfear = { show = "1E" }\n'
    mine = Discretion.load(written(tmp_path, text))
    assert mine.answers["contempt"] == Answer("R45", 0.5)
    assert mine.answers["fear"] == Answer("1E")
    assert mine.answers["happiness"] == table.answers["happiness"]


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ('[answers]\njoy = { show = "same" }', VocabularyError, "allowed: neutral, happiness"),
        ('[answers]\nanger = { show = "concrn" }', VocabularyError, "concrn"),
        ('[answers]\nanger = { show = "19" }', VocabularyError, "allowed"),
        ('[answers]\nanger = { show = "same", strength = 3 }', InputError, "0 … 2"),
        ('[answers]\nanger = { show = "same", strength = "much" }', InputError, "0 … 2"),
        ('[answers]\nanger = "same"', InputError, "show ="),
        ('[answers]\nneutral = { show = "12" }', VocabularyError, "neutral"),
        ("answers = 3", InputError, r"\[answers\]"),
        ("[anwsers]\n", VocabularyError, "anwsers"),
        ("[answers\n", InputError, "TOML"),
    ],
)
def test_what_a_table_gets_wrong_is_named(tmp_path, text, kind, says):
    with pytest.raises(kind, match=says):
        Discretion.load(written(tmp_path, text))


def test_a_missing_table_and_an_unknown_name_are_errors(tmp_path, table):
    with pytest.raises(InputError, match="cannot read"):
        Discretion.load(tmp_path / "none.toml")
    with pytest.raises(DuchenneError, match="bliss"):
        table("bliss", formula_face("12"))
    with pytest.raises(VocabularyError, match="no answer"):
        Discretion({"anger": Answer()})
