import time
from dataclasses import replace

import numpy as np
import pytest

from duchenne.learning import metrics
from duchenne.learning.checkpoint import load as load_checkpoint
from duchenne.learning.projection import doubled, recombine
from duchenne.learning.self_model import ENSEMBLE, KIND, PAPER, SelfModel
from duchenne.sim import mesh
from duchenne.sim.errors import InputError, ModelFileError
from duchenne.sim.robot import servo

QUICK = replace(ENSEMBLE, training=replace(ENSEMBLE.training, members=3, steps=800))
SMALL = replace(QUICK, training=replace(QUICK.training, steps=50))
QUICK_PAPER = replace(PAPER, training=replace(PAPER.training, steps=600, hidden=(64, 32)))


class LinearFace:
    """A face whose landmarks follow right and left parameters linearly, each side its own half."""

    def __init__(self, rng):
        height = mesh.CANONICAL[:, 1]
        bump = rng.normal(size=(11, mesh.VERTEX_COUNT, 3)) * 0.003
        upper = np.isin(np.arange(11), servo.UPPER_PARAMETERS)
        bump *= np.where(upper[:, None], height > 0, height < -0.01)[..., None]
        self.shape = 0.5 * (bump + mesh.mirror(bump))
        self.noise_m = 1e-4

    def __call__(self, right, rng, left=None):
        left = right if left is None else left
        to_right = 0.5 - 0.5 * np.sign(mesh.CANONICAL[:, 0])[:, None]
        move = to_right * np.tensordot(right - 0.5, self.shape, 1) + (1 - to_right) * np.tensordot(
            left - 0.5, self.shape, 1
        )
        return mesh.CANONICAL + move + self.noise_m * rng.normal(size=move.shape)


def poses(n, moved, rng):
    commands = np.full((n, 11), 0.5)
    commands[:, moved] = rng.random((n, len(moved)))
    return commands


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(1)
    face = LinearFace(rng)
    upper, mouth = (poses(150, part, rng) for part in (servo.UPPER_PARAMETERS, servo.MOUTH_PARAMETERS))
    return face, (face(upper, rng), upper, face(mouth, rng), mouth, mesh.CANONICAL)


@pytest.fixture(scope="module")
def model(world):
    return SelfModel.fit(*world[1], rng=np.random.default_rng(2), recipe=QUICK)


@pytest.mark.parametrize(("recipe", "allowed"), [(QUICK, 0.08), (QUICK_PAPER, 0.18)], ids=["ensemble", "paper"])
def test_halves_learnt_apart_serve_whole_faces(world, recipe, allowed, rng):
    face, halves = world
    model = SelfModel.fit(*halves, rng=rng, recipe=recipe)
    commands = rng.random((100, 11))
    both = (
        recombine(halves[0], halves[2], halves[4]),
        np.concatenate([halves[1][:, :4], halves[3][:, 4:]], axis=1),
    )
    scores = metrics.evaluate(model, face(commands, rng), commands, *both, rng=rng)
    assert scores["command_l1"].mean < allowed
    assert scores["command_l1"].high < scores["nearest_neighbour_l1"].low
    assert scores["nearest_neighbour_l1"].mean < scores["random_face_l1"].mean
    assert scores["random_command_l1"].mean == pytest.approx(1 / 3, abs=0.03)


def test_rest_stays_rest(model):
    np.testing.assert_allclose(model.predict(mesh.CANONICAL), 0.5, atol=0.1)


def test_shapes_follow_the_landmarks(model, rng):
    faces = mesh.CANONICAL + 0.001 * rng.normal(size=(2, 3, 468, 3))
    commands = model.predict(faces)
    assert commands.shape == (2, 3, 11)
    assert ((commands >= 0) & (commands <= 1)).all()
    with_irises = np.concatenate([faces, np.zeros((2, 3, 10, 3))], axis=2)
    np.testing.assert_allclose(model.predict(with_irises), commands)
    np.testing.assert_allclose(model.predict(faces[1, 2]), commands[1, 2], atol=1e-5)
    assert model.predict(np.zeros((0, 468, 3))).shape == (0, 11)


def test_each_side_is_read_from_its_own_half(world, model, rng):
    face = world[0]
    right, left = rng.random((2, 60, 11))
    predicted = model.predict_sides(face(right, rng, left))
    assert np.abs(predicted[0] - right).mean() < 0.08
    assert np.abs(predicted[1] - left).mean() < 0.08
    swapped = model.predict_sides(mesh.mirror(face(right, rng, left)))
    assert np.abs(swapped[1] - right).mean() < 0.08
    assert servo.expand(*predicted).shape == (60, 26)


def test_both_sides_of_a_symmetric_face_agree_with_predict(world, model, rng):
    face = doubled(world[0](rng.random((20, 11)), rng), right=True)
    right, left = model.predict_sides(face)
    np.testing.assert_allclose(right, left, atol=1e-4)
    np.testing.assert_allclose(right, model.predict(face), atol=1e-4)


def test_doubling_keeps_one_half(rng):
    face = mesh.CANONICAL + 0.002 * rng.normal(size=(468, 3))
    both = doubled(face, right=False)
    kept = mesh.CANONICAL[:, 0] > 0
    np.testing.assert_allclose(both[kept], face[kept])
    np.testing.assert_allclose(mesh.mirror(both), both)


def test_the_same_seed_gives_the_same_model(world):
    first, again = (SelfModel.fit(*world[1], rng=np.random.default_rng(5), recipe=SMALL) for _ in range(2))
    np.testing.assert_array_equal(first.predict(world[1][0]), again.predict(world[1][0]))


def test_range_and_rest_of_the_robot_are_kept(world, model):
    upper, _, mouth, _, rest = world[1]
    np.testing.assert_allclose(model.rest_m, rest)
    np.testing.assert_allclose(model.high_m, np.concatenate([upper, mouth, rest[None]]).max(0))
    assert (model.low_m <= model.rest_m).all()


@pytest.mark.parametrize("recipe", [SMALL, QUICK_PAPER], ids=lambda r: r.name)
def test_a_saved_model_predicts_the_same(world, recipe, tmp_path, rng):
    model = SelfModel.fit(*world[1], rng=rng, recipe=recipe)
    path = model.save(tmp_path / "me.npz", {"command_l1": 0.07})
    back = SelfModel.load(path)
    np.testing.assert_array_equal(back.predict(world[1][0]), model.predict(world[1][0]))
    assert back.recipe == model.recipe
    assert load_checkpoint(path, KIND).about["command_l1"] == 0.07


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "me.npz").write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match="damaged or not"):
        SelfModel.load(tmp_path / "me.npz")


def test_bad_landmarks_are_named(model):
    with pytest.raises(InputError, match=r"got shape \(68, 3\), allowed"):
        model.predict(np.zeros((68, 3)))
    broken = mesh.CANONICAL.copy()
    broken[100] = np.nan
    with pytest.raises(InputError, match="not finite"):
        model.predict(broken)


def test_bad_training_data_is_named(world, rng):
    upper, commands, *others = world[1]
    with pytest.raises(InputError, match="upper half"):
        SelfModel.fit(upper, commands[:-1], *others, rng=rng, recipe=QUICK)
    with pytest.raises(InputError, match="0…1"):
        SelfModel.fit_faces(upper, commands + 1, rng, QUICK)


@pytest.mark.slow
def test_a_face_takes_less_than_a_twenty_thousandth_of_a_second(rng):
    untrained = replace(ENSEMBLE, training=replace(ENSEMBLE.training, steps=1))
    faces = mesh.CANONICAL + 0.002 * rng.normal(size=(200, 468, 3))
    model = SelfModel.fit_faces(faces, rng.random((200, 11)), rng, untrained)
    face = np.concatenate([faces[0], faces[0][:10]])
    model.predict(face)
    durations_s = []
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(500):
            model.predict(face)
        durations_s.append((time.perf_counter() - start) / 500)
    assert min(durations_s) < 1 / 20_000


@pytest.mark.slow
def test_commands_of_the_real_robot_are_found_on_clips_left_out(shared_data, rng):
    path = shared_data / "emo_robot" / "emo_motor_landmarks.npz"
    scores = metrics.emo_cross_validation(path, rng, seeds=1)
    assert scores.emo_cv_l1.mean() <= 0.097
    assert scores.emo_cv_l1.mean() < 0.75 * scores.nearest_neighbour_l1.mean()
    assert scores.nearest_neighbour_l1.mean() < scores.constant_l1.mean()


def test_a_foreign_file_is_no_set_of_real_rows(tmp_path, rng):
    np.savez(tmp_path / "rows.npz", a=np.zeros(3))
    with pytest.raises(InputError, match="emo_motor_landmarks"):
        metrics.emo_cross_validation(tmp_path / "rows.npz", rng)


def test_an_interval_holds_its_mean(rng):
    interval = metrics.interval(rng.normal(3.0, 1.0, 400), rng)
    assert interval.low < interval.mean < interval.high
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / 20, rel=0.2)
    with pytest.raises(InputError):
        metrics.interval(np.zeros(0), rng)
