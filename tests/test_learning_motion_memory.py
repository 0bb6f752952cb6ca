import numpy as np
import pytest

from duchenne.learning.motion_memory import APEXES, FIRST, LATELY, PAST, RATE_HZ, REMEMBERED, REST, ROWS, MotionMemory

HOLD_S = 0.6


def smiles(goals, *, every_s=2.0, rng=None, noise=0.01):
    """A face (T, n) that goes to each goal in turn, stays there for `HOLD_S`, and comes back."""
    frames = round(every_s * RATE_HZ)
    times = np.arange(frames) / RATE_HZ
    rise = 1 / (1 + np.exp(-(times - 0.6) / 0.05)) - 1 / (1 + np.exp(-(times - 0.9 - HOLD_S) / 0.05))
    path = np.concatenate([np.zeros((20, goals.shape[1])), *(rise[:, None] * goal for goal in goals)])
    return path if rng is None else path + noise * rng.normal(size=path.shape)


def shown(faces, weight=None):
    memory = MotionMemory(np.ones(faces.shape[1]) if weight is None else weight)
    for face in faces:
        memory.see(face)
    return memory


def test_products_are_those_of_the_table(rng):
    weight = rng.uniform(size=7)
    memory = shown(smiles(rng.normal(size=(5, 7)), rng=rng) + rng.normal(size=7), weight)
    table = memory.table
    np.testing.assert_allclose(memory.gram, (table * weight / weight.sum()) @ table.T, atol=1e-12)
    assert table.shape == (ROWS, 7)


def test_rows_are_what_they_are_said_to_be(rng):
    faces = smiles(rng.normal(size=(4, 6)), rng=rng)
    memory = shown(faces)
    known = memory.table + faces[0]
    np.testing.assert_allclose(known[:PAST], faces[: -PAST - 1 : -1], atol=1e-12)
    np.testing.assert_allclose(known[FIRST], faces[:5].mean(0), atol=1e-12)
    assert np.linalg.norm(known[REST]) < 0.25  # more than half of the time at rest, which is 0
    assert np.linalg.norm(known[LATELY] - faces[-50:].mean(0)) < 0.5


def test_apexes_are_remembered_soon_after_they_were_shown(rng):
    goals = 3 * rng.normal(size=(5, 6))
    faces = smiles(goals, rng=rng)
    memory = MotionMemory(np.ones(6))
    count = []
    for face in faces:
        memory.see(face)
        count.append(memory.known.sum())
    assert count[-1] == 5
    found = memory.table[APEXES : APEXES + 5] + faces[0]
    np.testing.assert_allclose(found, goals, atol=0.1 * np.linalg.norm(goals, axis=1).max())
    first = int(np.argmax(np.array(count) > 0)) / RATE_HZ
    assert 20 / RATE_HZ + 0.6 < first < 20 / RATE_HZ + 0.9 + HOLD_S + 0.4


def test_it_is_bounded_and_keeps_what_differs(rng):
    once = 5 * np.eye(6)[:1]
    often = 5 * np.repeat(np.eye(6)[1:2], REMEMBERED + 5, axis=0)
    memory = shown(smiles(np.concatenate([once, often]), rng=rng))
    assert memory.known.all()
    apexes = memory.table[APEXES:]
    assert (apexes[:, 0] > 4).sum() == 1
    assert memory.table.shape == (ROWS, 6)


def test_the_past_alone_decides(rng):
    faces = smiles(rng.normal(size=(4, 5)), rng=rng)
    half = len(faces) // 2
    other = np.concatenate([faces[:half], rng.normal(size=(half, 5))])
    one, two = shown(faces[:half]), shown(other[:half])
    np.testing.assert_array_equal(one.gram, two.gram)


def test_turned_moved_and_scaled_faces_are_remembered_alike(rng):
    faces = smiles(rng.normal(size=(4, 5)), rng=rng)
    turn, _ = np.linalg.qr(rng.normal(size=(9, 5)))
    elsewhere = 1e-3 * faces @ turn.T + rng.normal(size=9)
    one, two = shown(faces), shown(elsewhere)
    np.testing.assert_allclose(two.gram * 9 / 5 * 1e6, one.gram, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(two.clues, one.clues, atol=1e-6)


def test_a_gap_is_no_motion(rng):
    memory = shown(smiles(rng.normal(size=(2, 5)), rng=rng))
    memory.see(np.ones(5), afresh=True)
    np.testing.assert_allclose(memory.table[:PAST], np.broadcast_to(memory.table[0], (PAST, 5)), atol=1e-12)
    assert memory.known.sum() == 2


@pytest.mark.parametrize("shares", [np.zeros(ROWS), np.eye(ROWS)[REST], 0.5 * np.eye(ROWS)[[FIRST, LATELY]]])
def test_faces_are_mixed_from_rows(rng, shares):
    start = rng.normal(size=6)
    faces = smiles(rng.normal(size=(3, 6)), rng=rng) + start
    weight = np.array([1.0, 1, 1, 1, 1, 0])
    memory = shown(faces, weight)
    table = memory.table + faces[0]
    wanted = faces[-1] + shares @ (table - table[0])
    mixed = memory.faces(shares)
    np.testing.assert_allclose(mixed[..., :5], wanted[..., :5], atol=1e-12)
    np.testing.assert_allclose(mixed[..., 5], faces[-1, 5])
