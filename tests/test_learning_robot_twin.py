"""Twins of a real robot, on robots whose strokes and noise are known."""

import numpy as np
import pytest

from duchenne.learning import tracker_space
from duchenne.learning.robot_twin import PhysicsTwin, RobotTwin, parts
from duchenne.learning.robot_twin_fields import SERVOS, driven_fields, lopsided, mirrored, strokes
from duchenne.learning.robot_twin_fit import Clips, Process, left_out, most_probable_gains
from duchenne.sim import mesh
from duchenne.sim.alignment import align
from duchenne.sim.errors import InputError

REST_CM = 100 * align(mesh.CANONICAL)


@pytest.fixture
def commands(rng):
    return rng.random((80, len(SERVOS)))


def _robot(commands, noise_cm=0.0, seed=1):
    """Faces of a robot whose servos and couplings move both sides alike, up to a few mm."""
    rng = np.random.default_rng(seed)
    kind = mirrored()
    flat = REST_CM.ravel() + (strokes(commands)[:, kind.features] * rng.normal(0, 0.1, len(kind.names))) @ kind.fields
    return (flat + rng.normal(0, noise_cm, flat.shape)).reshape(-1, 468, 3)


def test_physics_predicts_faces_of_a_robot_that_obeys_it(commands):
    faces = _robot(commands)
    twin = PhysicsTwin().fit(commands[:60], faces[:60])
    missed = np.sum((twin.predict(commands[60:]) - faces[60:]) ** 2)
    assert missed < 0.05 * np.sum((faces[60:] - faces[:60].mean(0)) ** 2)


def test_named_strokes_alone_say_what_the_physics_predicts(commands):
    twin = PhysicsTwin().fit(commands, _robot(commands, 0.01))
    shown = np.tile(twin.rest_cm_.ravel(), (len(commands), 1))
    for kind in (mirrored(), lopsided()):
        own_cm = np.array([twin.strokes_mm_[name] for name in kind.names]) / 10
        shown += (strokes(commands)[:, kind.features] * own_cm) @ kind.fields
    np.testing.assert_allclose(shown, twin.predict(commands).reshape(shown.shape), atol=1e-6)
    assert twin.n_parameters_ == len(mirrored().names) + len(lopsided().names) + 1


def test_a_side_that_moves_alone_is_told_from_both(commands):
    kind, number = lopsided(), lopsided().names.index("mouth2, corner, up, left less right")
    moved = strokes(commands)[:, kind.features[number]][:, None] * kind.fields[number] * 0.5
    faces = (REST_CM.ravel() + moved).reshape(-1, 468, 3)
    twin = PhysicsTwin().fit(commands, faces)
    one_sided = np.sum([twin.strokes_mm_[name] ** 2 for name in kind.names])
    assert one_sided > 100 * np.sum([twin.strokes_mm_[name] ** 2 for name in mirrored().names])


@pytest.mark.parametrize(("kind", "sign"), [(mirrored, 1), (lopsided, -1)])
def test_strokes_are_mirrored_or_opposite(kind, sign):
    fields = kind().fields.reshape(-1, 468, 3)
    apart = fields[:, mesh.MIRROR] * [-1, 1, 1] - sign * fields
    assert np.abs(apart).max() < 0.03 * np.abs(fields).max()
    assert len(set(kind().names)) == len(kind().names) == len(fields)


def test_faces_of_the_physics_stay_in_the_trackers_space(commands):
    twin = PhysicsTwin().fit(commands, _robot(commands, 0.01))
    moved = (twin.predict(commands) - twin.rest_cm_).reshape(len(commands), -1)
    np.testing.assert_allclose(tracker_space.project(moved), moved, atol=1e-8)


def test_modes_of_the_tracker_are_orthonormal():
    modes = tracker_space.modes()
    np.testing.assert_allclose(modes @ modes.T, np.eye(len(modes)), atol=1e-10)


def test_twin_knows_more_from_few_rows_than_a_process_alone(commands):
    servos, shapes = driven_fields()
    gains = np.random.default_rng(2).normal(0, 0.5, len(servos))
    flat = REST_CM.ravel() + ((commands[:, servos] - 0.5) * gains) @ shapes
    faces = (flat + np.random.default_rng(3).normal(0, 0.01, flat.shape)).reshape(-1, 468, 3)
    twin = RobotTwin().fit(commands[:20], faces[:20])
    alone = Process().fit(commands[:20], flat[:20], np.arange(20))
    truth = flat[20:]
    of_twin = np.sum((twin.predict(commands[20:]).reshape(60, -1) - truth) ** 2)
    assert of_twin < 0.2 * np.sum((alone.predict(commands[20:]) - truth) ** 2)


def test_left_out_clips_are_as_if_fitted_without_them(rng):
    root, outputs = rng.normal(size=(9, 9)), rng.normal(size=(9, 2))
    covariance = root @ root.T + 0.5 * np.eye(9)
    labels = np.array([0, 0, 1, 2, 2, 2, 3, 4, 4])
    clips = Clips.of(labels)
    missed = np.asarray(left_out(covariance, outputs, clips))
    for clip in range(5):
        own = labels == clip
        believed = covariance[np.ix_(own, ~own)] @ np.linalg.solve(covariance[np.ix_(~own, ~own)], outputs[~own])
        np.testing.assert_allclose(missed[clip, : own.sum()], (outputs[own] - believed), rtol=2e-3, atol=2e-3)
        assert not missed[clip, own.sum() :].any()


def test_gains_are_found_from_halves_together(rng):
    driven, fields, gains = rng.normal(size=(30, 3)), rng.normal(size=(3, 40)), np.array([0.5, -1.0, 0.2])
    outputs, noise = (driven * gains) @ fields, 1e-4 * np.eye(30)
    told = [(noise, fields[:, half], outputs[:, half]) for half in (slice(0, 25), slice(25, 40))]
    found, size = most_probable_gains(driven, told)
    np.testing.assert_allclose(found, gains, atol=1e-3)
    assert size == pytest.approx(np.sqrt(np.mean(gains**2)), rel=1e-2)


def test_parts_share_no_clip_and_hold_every_row():
    labels = np.repeat(np.arange(11), 2)
    masks = parts(labels, 5)
    assert (np.sum(masks, axis=0) == 1).all()
    assert all(not set(labels[mask]) & set(labels[~mask]) for mask in masks)


@pytest.mark.parametrize("model", [PhysicsTwin, RobotTwin])
def test_rows_that_cannot_be_are_refused(model, commands):
    faces = np.tile(REST_CM, (len(commands), 1, 1))
    with pytest.raises(InputError, match="commands"):
        model().fit(commands + 1, faces)
    with pytest.raises(InputError, match="landmarks"):
        model().fit(commands, np.where(faces > 5, np.nan, faces))
    with pytest.raises(InputError, match="clips"):
        model().fit(commands, faces, np.zeros(len(faces)))
