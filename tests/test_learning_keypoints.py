from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from duchenne.learning.coupled_skin import CoupledSkin
from duchenne.learning.expression_inverse import ExpressionInverse, minimum_jerk
from duchenne.learning.keypoint_models import SYSTEMS, Lrm, Smsm, SmsmLrm
from duchenne.learning.keypoints import (
    CHANNELS,
    KEYPOINTS,
    VERTICES,
    along,
    best_of_folds,
    main_axes,
    nrmse,
    offsets_mm,
    r_squared,
    split_trials,
)
from duchenne.learning.statistics import compare, mean_interval
from duchenne.sim import mesh
from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.person.electrodes import montage
from duchenne.sim.person.mechanics import build_face
from duchenne.sim.person.mykin import several_muscles_m, single_muscle_m
from duchenne.sim.person.repertoire import UNITS, excite, unit_index

UP = np.tile([0.0, 1.0], (len(KEYPOINTS), 1))


@pytest.fixture
def emg(rng):
    return rng.random((240, len(CHANNELS))) ** 2


def smsm_mm(u):
    """Points by equations 10 and 14 with numbers of our own."""
    points = []
    for names in SYSTEMS:
        level = u[:, [CHANNELS.index(name) for name in names]]
        if len(names) == 1:
            points.append(1e3 * single_muscle_m(level[:, 0], 20.0, 80.0, 0.001, 0.015, 100.0))
        else:
            sign = np.array([0.9, -0.7])
            points.append(1e3 * several_muscles_m(level, 15.0, 90.0, 0.001, 0.02, 100.0, sign, 0.9 * sign))
    return np.stack(points, -1)


def test_channels_are_the_montage():
    assert montage("proximal7").channel_names == CHANNELS


class TestMeasures:
    def test_offsets_and_axes(self, rng):
        amount = np.linspace(0, 1, 50)[:, None] * rng.random((50, len(KEYPOINTS)))
        direction = np.array([0.6, 0.8])
        faces = np.repeat(1e3 * mesh.REST[None], 50, 0)
        faces[:, list(VERTICES.values()), :2] += 5 * amount[..., None] * direction
        offset = offsets_mm(faces, 1e3 * mesh.REST)
        axes = main_axes(offset)
        np.testing.assert_allclose(axes, np.tile(direction, (5, 1)), atol=1e-9)
        np.testing.assert_allclose(along(offset, axes), 5 * amount, atol=1e-9)

    def test_scores_in_closed_form(self):
        truth = np.array([[0.0, 0], [2, 10], [4, 20]])
        np.testing.assert_allclose(nrmse(truth, truth + [1, 2]), [1 / 4, 2 / 20])
        np.testing.assert_allclose(r_squared(truth, truth * 0 + truth.mean(0)), 0, atol=1e-12)

    def test_whole_trials_are_held_out(self, rng):
        trial = np.repeat(np.arange(12), 7)
        kept, held_out = split_trials(trial, rng)
        assert len(set(trial[held_out])) == 2
        assert not set(trial[kept]) & set(trial[held_out])
        assert (kept ^ held_out).all()

    @pytest.mark.parametrize(
        "call",
        [
            lambda: offsets_mm(np.zeros((3, 10, 3)), 1e3 * mesh.REST),
            lambda: offsets_mm(np.full((3, 468, 3), np.nan), 1e3 * mesh.REST),
            lambda: nrmse(np.zeros((4, 2)), np.zeros((4, 2))),
            lambda: nrmse(np.zeros((4, 2)), np.zeros((4, 3))),
            lambda: split_trials(np.zeros(5), np.random.default_rng(0)),
        ],
    )
    def test_errors(self, call):
        with pytest.raises(InputError):
            call()


class TestModels:
    def test_smsm_finds_what_its_equations_made(self, emg):
        moved = smsm_mm(emg)
        model = Smsm().fit(emg, moved)
        assert nrmse(moved, model.predict(emg)).max() < 2e-3
        assert model.n_parameters_ == 36

    def test_lrm_finds_weights(self, emg, rng):
        weights = rng.normal(size=(5, 7))
        model = Lrm().fit(emg, emg @ weights.T)
        np.testing.assert_allclose(model.weights_, weights, atol=1e-9)
        assert model.n_parameters_ == 35

    def test_mixed_points_need_the_mixing(self, emg, rng):
        mixing = np.eye(5) + 0.4 * rng.normal(size=(5, 5))
        moved = smsm_mm(emg) @ mixing.T
        both = SmsmLrm().fit(emg, moved)
        assert both.n_parameters_ == 61
        assert nrmse(moved, both.predict(emg)).max() < 5e-3 < nrmse(moved, Smsm().fit(emg, moved).predict(emg)).max()

    def test_adam_as_in_the_paper_ends_no_lower(self, emg, rng):
        """18,000 epochs of Adam on the mean squared error of the mouth corner's system, against least squares."""
        point, columns = KEYPOINTS.index("mouth corner"), [CHANNELS.index("ZM"), CHANNELS.index("DAO")]
        moved = smsm_mm(emg) + rng.normal(0, 0.3, (len(emg), 5))
        u, truth = jnp.asarray(emg[:, columns]), jnp.asarray(moved[:, point])

        def loss(x):
            k0, k1, l0, l1, projection, lever = x
            guess = 1e3 * several_muscles_m(u, k0**2, k1**2, 0.01 * l0, 0.01 * l1, 1.0, projection, lever)
            return ((guess - truth) ** 2).mean()

        descent = optax.adam(1e-2)

        @jax.jit
        def train(x):
            def step(state, _):
                x, memory = state
                change, memory = descent.update(jax.grad(loss)(x), memory)
                return (optax.apply_updates(x, change), memory), None

            return jax.lax.scan(step, (x, descent.init(x)), None, 18_000)[0][0]

        start = jnp.array([[0.3, 0.3], [1, 1], [0.1, 0.1], [1, 1], [1, -1], [1, -1.0]])
        adam = float(loss(train(start)))
        ours = np.mean((Smsm().fit(emg, moved).predict(emg)[:, point] - moved[:, point]) ** 2)
        assert ours < 1.01 * adam

    def test_best_fold_is_a_fitted_copy(self, emg):
        moved, model = smsm_mm(emg), Lrm()
        fitted = best_of_folds(model, emg, moved, np.arange(len(emg)) % 10)
        assert not hasattr(model, "weights_")
        assert fitted.predict(emg).shape == moved.shape

    @pytest.mark.parametrize("model", [Lrm(), Smsm(), SmsmLrm(), CoupledSkin(UP)], ids=lambda m: type(m).__name__)
    def test_errors(self, model, emg):
        with pytest.raises(InputError, match="IF, OF"):
            model.fit(emg[:, :6], smsm_mm(emg))
        with pytest.raises(InputError, match="mouth corner"):
            model.fit(emg, np.full((len(emg), 5), np.nan))


class TestCoupledSkin:
    def of_units(self, reach=1.0):
        """A model that takes intensities of its own units as EMG."""
        model: Any = CoupledSkin(UP)
        model.unmixing_, model.reach_ = np.eye(8, 7), reach
        return model

    def test_agrees_with_the_whole_face(self):
        """Brow and nose against the face's 94 elements; around the mouth the seal of the lips is left out."""
        face = build_face(corrected=False)
        model = self.of_units()
        for channel, unit in ((0, "AU1"), (1, "AU2"), (2, "AU4"), (3, "AU9")):
            au = np.zeros((1, len(UNITS), 2))
            au[0, unit_index(unit)] = 0.6
            shown = 1e3 * (np.asarray(face.vertices(excite(au)))[0] - np.asarray(face.rest))
            whole = shown[list(VERTICES.values()), 1]
            ours = model.predict(0.6 * np.eye(7)[[channel]])[0]
            np.testing.assert_allclose(ours[:3], whole[:3], atol=0.05 * np.abs(whole).max())

    def test_rests_and_couples(self):
        model = self.of_units()
        np.testing.assert_allclose(model.predict(np.zeros((1, 7))), 0, atol=1e-12)
        alone = model.predict(np.diag([0.7, 0, 0.7, 0, 0, 0, 0])[[0, 2]])
        both = model.predict(np.array([[0.7, 0, 0.7, 0, 0, 0, 0]]))
        inner = KEYPOINTS.index("inner eyebrow")
        assert alone[0, inner] > 0 > alone[1, inner]
        assert abs(both - alone.sum(0))[0, inner] > 0.1  # forces feel each other

    def test_finds_its_own_numbers_with_fewer_than_the_mixed_model(self, emg, rng):
        truth = self.of_units(reach=0.9)
        truth.unmixing_ = truth.unmixing_ * 0.8 + 0.03 * rng.random((8, 7))
        moved = truth.predict(emg)
        model = CoupledSkin(UP).fit(emg, moved)
        assert nrmse(moved, model.predict(emg)).max() < 0.01
        assert model.n_parameters_ < SmsmLrm().fit(emg, moved).n_parameters_

    def test_wrong_axes(self, emg):
        with pytest.raises(InputError, match="main_axes"):
            CoupledSkin(np.zeros((3, 2))).fit(emg, smsm_mm(emg))


class TestStatistics:
    def test_paper_like_comparison(self, rng):
        scores = {name: rng.normal(mean, 3, 10) for name, mean in (("SMSM", 57), ("LRM", 62), ("SMSM-LRM", 77))}
        found = compare(scores)
        assert (found.between, found.within) == (2, 27)
        assert found.p < 1e-6
        by_name = {(pair.one, pair.other): pair for pair in found.pairs}
        assert by_name["LRM", "SMSM-LRM"].p < 1e-4
        assert by_name["SMSM", "SMSM-LRM"].high < 0
        assert str(found).startswith("F(2, 27) = ")

    def test_two_groups_equal_a_t_test(self, rng):
        from scipy.stats import ttest_ind

        one, two = rng.normal(size=8), rng.normal(size=8) + 1
        expected: Any = ttest_ind(one, two)
        assert compare({"a": one, "b": two}).p == pytest.approx(expected.pvalue)

    def test_interval(self):
        assert mean_interval([1.0, 2, 3]) == pytest.approx((2, 2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), rel=1e-5)

    @pytest.mark.parametrize("scores", [{"a": [1, 2]}, {"a": [1, 2], "b": [1]}, {"a": [1, 2], "b": [1, np.nan]}])
    def test_errors(self, scores):
        with pytest.raises(InputError):
            compare(scores)


class TestInverse:
    @pytest.fixture
    def inverse(self, rng):
        model: Any = CoupledSkin(np.tile([0.0, 1.0], (5, 1)))
        model.unmixing_, model.reach_ = np.eye(8, 7), 1.0
        model.unmixing_[-1, :2] = 0.3  # the jaw falls as the brow rises
        synergies = np.array([[0, 0, 1, 0.4, 0, 0.2, 0.1], [1, 0.8, 0.1, 0, 0, 0, 0.2], [0, 0, 0, 0.1, 1, 0, 0]])
        centres = {"anger": [0.8, 0, 0], "surprise": [0, 0.7, 0.1], "happiness": [0.05, 0, 0.8], "neutral": [0, 0, 0]}
        labels = np.repeat(list(centres), 50)
        shown = np.clip(np.repeat(list(centres.values()), 50, axis=0) + rng.normal(0, 0.03, (200, 3)), 0, None)
        return ExpressionInverse(model, synergies).fit(shown, labels)

    def test_there_and_back(self, inverse, rng):
        truth = inverse.most_ * rng.uniform(0.05, 0.95, (20, 3))
        found = inverse.of_points(inverse.points_mm(truth))
        missed = inverse.points_mm(found) - inverse.points_mm(truth)
        assert np.sqrt(np.mean(missed**2)) < 0.1
        assert np.abs(found - truth).max() < 0.05

    def test_impossible_wishes_stay_within_bounds(self, inverse):
        found = inverse.of_points([[30.0, 30, 30, -30, 30]])
        assert ((found >= 0) & (found <= inverse.most_)).all()

    def test_path_is_smooth_and_stays_inside(self, inverse):
        path = inverse.path(inverse.of_expression("anger"), inverse.of_expression("surprise"), 101)
        assert ((path >= 0) & (path <= inverse.most_)).all()
        np.testing.assert_allclose(path[[0, -1]], [inverse.of_expression(n) for n in ("anger", "surprise")], atol=1e-12)
        speed = np.diff(path, axis=0)
        assert np.abs(speed[[0, -1]]).max() < 1e-3 * np.abs(speed).max()
        assert minimum_jerk(0.5) == pytest.approx(0.5)
        course = inverse.points_mm(path)
        assert np.abs(np.diff(course, axis=0)).max() < 0.5

    def test_intensity_scales(self, inverse):
        np.testing.assert_allclose(inverse.of_expression("anger", 0.5), 0.5 * inverse.of_expression("anger"))

    def test_errors(self, inverse):
        with pytest.raises(VocabularyError, match="happiness"):
            inverse.of_expression("glee")
        with pytest.raises(InputError, match="within"):
            inverse.path([9, 9, 9], [0, 0, 0], 5)
        with pytest.raises(InputError):
            inverse.of_points([[np.nan] * 5])
