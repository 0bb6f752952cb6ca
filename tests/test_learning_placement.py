import jax.numpy as jnp
import numpy as np
import pytest

from duchenne.learning import placement
from duchenne.learning.placement import FACE, SPACING_MM, TEMPLES, Question, place
from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.person import chart
from duchenne.sim.person.electrodes import montage
from duchenne.sim.person.emg import build_emg


@pytest.fixture(scope="module")
def question():
    return Question.of(("AU1", "AU12", "AU17"))


@pytest.fixture(scope="module")
def placed(question):
    return place(question, 2, np.random.default_rng(0), apart_mm=10.0, candidates=20, steps=3)


def test_levels_are_those_of_the_emg(question):
    """Log power by Campbell's theorem, electrode noise added, as `EmgModel.rms_uv` has it."""
    worn = montage("proximal7").only("IF", "ZM")
    used = tuple(np.flatnonzero(question.excitation.any(0)).tolist())
    model = build_emg(worn, rate_hz=1000.0, muscles=used, units=8)
    power = np.asarray(model.rms_uv(question.excitation)) ** 2 + question.noise_uv**2 * 2
    np.testing.assert_allclose(question.levels(worn), np.log(power), atol=0.02)


def test_distance_and_score_in_closed_form(question):
    worn = montage("proximal7").only("ZM")
    level = question.levels(worn)[:, 0]
    distance = np.abs(level[:, None] - level)
    np.testing.assert_allclose(question.distances(worn), distance, rtol=1e-5)
    pairs = distance[np.triu_indices(4, 1)]
    assert question.score(worn) == pytest.approx(-np.log(np.exp(-(pairs**2) / 8).sum()), rel=1e-5)
    assert np.log(1e3) > distance[1, 3] > 2  # a smile stands out above rest


def test_a_channel_more_never_harms(question):
    both, alone = (question.score(montage("proximal7").only(*names)) for names in (("ZM", "Me"), ("ZM",)))
    assert both > alone


def test_gradient_equals_differences(question):
    sites = np.array([[-45.0, -25.0, 0.6], [-12.0, 68.0, 1.4]])
    ears = question._ears(placement._montage(sites, 10.0, FACE))

    def score(x):
        levels = np.asarray(placement._levels(ears, placement._contacts(jnp.asarray(x, jnp.float32), 10.0)), float)
        return float(placement._scores(placement._squares(levels).sum(0)))

    slope = np.asarray(placement._slope(ears, jnp.asarray(sites, jnp.float32), 10.0))
    for channel, axis, step in ((0, 0, 0.2), (1, 1, 0.2), (0, 2, 0.01)):
        nudge = np.zeros((2, 3))
        nudge[channel, axis] = step
        measured = (score(sites + nudge) - score(sites - nudge)) / (2 * step)
        assert slope[channel, axis] == pytest.approx(measured, rel=0.05)


def test_placed_beats_chance_and_climbs(placed, question):
    assert placed.score > np.quantile(placed.chance, 0.8)
    assert (np.diff(placed.course) >= 0).all()
    assert placed.course[-1] == placed.score == pytest.approx(question.score(placed.montage))


def test_placed_can_be_worn(placed):
    worn = placed.montage
    assert chart.on_head(worn.chart_mm).all()
    centres = worn.chart_mm.reshape(-1, 2, 2).mean(1)
    assert np.linalg.norm(centres[0] - centres[1]) > SPACING_MM - 0.1
    np.testing.assert_allclose(np.linalg.norm(worn.chart_mm[0] - worn.chart_mm[1]), 10.0, rtol=1e-5)
    np.testing.assert_allclose(worn.derivation.sum(1), 0)


@pytest.mark.slow
def test_monopolar_channels_stay_on_their_area(question):
    found = place(question, 2, np.random.default_rng(1), area=TEMPLES, candidates=20, steps=1)
    sites = found.montage.chart_mm[:2]
    assert (np.abs(sites[:, 0]) >= TEMPLES.least_s_mm - 1e-3).all()
    assert (sites[:, 1] <= TEMPLES.most_y_mm + 1e-3).all()
    assert found.montage.contact_names[-1] == "mastoid"


def test_sites_anywhere_are_put_back_on_skin(rng):
    sites = np.stack([rng.uniform(-130, 130, 200), rng.uniform(-120, 120, 200), np.zeros(200)], -1)
    for one in sites.reshape(-1, 4, 3):
        back = placement._put_back(one, FACE)
        assert chart.on_head(back[:, :2]).all()


def test_errors(question):
    with pytest.raises(InputError, match="two different"):
        Question.of(("AU12",))
    with pytest.raises(VocabularyError):
        Question.of(("AU12", "AU99"))
    with pytest.raises(InputError, match="candidates"):
        place(question, 50, np.random.default_rng(0), candidates=20)
    tight = placement.Area(least_s_mm=70, most_s_mm=80, least_y_mm=40, most_y_mm=50)
    with pytest.raises(InputError, match="no room"):
        place(question, 9, np.random.default_rng(0), area=tight, candidates=40)
