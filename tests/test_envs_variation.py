"""Options of the robots' environments: where goals come from, how often actions come, how robots differ."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duchenne.sim.envs.express import Express, ExpressVector
from duchenne.sim.envs.goal_faces import human_faces
from duchenne.sim.envs.variation import Variation
from duchenne.sim.envs.worn import WORN
from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.robot.limits import rate_limits
from duchenne.sim.robot.servo import LIMITS_RAD, SERVO_NAMES


def _angles(env: Any) -> np.ndarray:
    """Servo positions in commands, (26,)."""
    faces = env.unwrapped._world.bodies.faces
    low, high = np.asarray(LIMITS_RAD).T
    return (faces.servo_rad(np.array([0]))[0] - low) / (high - low)


def _hold(env: Any, action: np.ndarray, steps: int = 25) -> dict[str, Any]:
    info: dict[str, Any] = {}
    for _ in range(steps):
        info = env.step(action)[4]
    return info


def test_a_slipped_horn_stands_off_by_its_offset():
    env = Express(variation={"offset": [0.03, 0.03]})
    env.reset(seed=0)
    info = _hold(env, np.full(11, 0.1, np.float32))
    off = _angles(env) - info["command"]
    assert np.median(off) == pytest.approx(0.03, abs=0.005)


def test_a_gear_with_play_turns_back_later():
    up, down = np.full(26, 0.2, np.float32), np.zeros(26, np.float32)
    stands = {}
    for play in (0.0, 0.06):
        env = Express(actions="all", variation={"play": [play, play]})
        env.reset(seed=0)
        _hold(env, up)
        _hold(env, down)
        stands[play] = _angles(env)
    eye = SERVO_NAMES.index("right_eye_yaw")  # rises from rest at 0 to up, and comes back
    assert stands[0.06][eye] - stands[0.0][eye] == pytest.approx(0.03, abs=0.005)


def test_slow_servos_come_later_and_stiff_skin_holds_more_energy():
    moved, energy = {}, {}
    for factor in (0.5, 1.0):
        env = Express(variation={"speed": [factor, factor], "skin": [factor, factor]})
        env.reset(seed=0)
        rest = _angles(env)
        goal = np.full(11, 0.5, np.float32)
        env.step(goal)
        moved[factor] = np.abs(_angles(env) - rest).sum()
        energy[factor] = _hold(env, goal)["tension_mj"]
    assert moved[0.5] < 0.8 * moved[1.0]
    assert energy[0.5] == pytest.approx(0.5 * energy[1.0], rel=0.2)


def test_every_robot_and_every_episode_is_drawn_anew():
    env = ExpressVector(3, variation=WORN)
    env.reset(seed=0)
    first = env._world.bodies._offset.copy()
    assert len(np.unique(first[:, 0])) == 3
    env.reset(seed=1, options={"reset_mask": np.array([True, False, False])})
    second = env._world.bodies._offset
    assert (second[0] != first[0]).any()
    np.testing.assert_array_equal(second[1:], first[1:])


@pytest.mark.parametrize("hz", [12.5, 25.0, 125.0])
def test_one_action_moves_as_far_as_servos_can_in_its_time(hz: float):
    env = Express(control_hz=hz)
    assert env.metadata["render_fps"] == round(hz)
    env.reset(seed=0)
    before = _hold(env, np.full(11, -0.3, np.float32), 40)["command"]
    share = np.abs(env.step(np.full(11, 0.9, np.float32))[4]["command"] - before) / rate_limits(1 / hz)
    assert share.max() <= 1 + 1e-9
    assert hz < 125 or share.max() > 0.99


def test_human_goals_are_expressions_of_a_person():
    table = human_faces()
    assert table.shape == (105, 69)
    env = Express(goals="human")
    goal = env.reset(seed=5)[0]["desired_goal"]
    assert (goal == table).all(-1).any()
    assert 0.5 < np.abs(goal).max() < 20


def test_goals_from_a_file(tmp_path: Path):
    rows = np.random.default_rng(0).uniform(-3, 3, (4, 23, 3))
    np.save(tmp_path / "goals.npy", rows)
    goal = Express(goals=str(tmp_path / "goals.npy")).reset(seed=0)[0]["desired_goal"]
    assert (goal == rows.reshape(4, 69).astype(np.float32)).all(-1).any()


@pytest.mark.parametrize(
    ("bad", "says"),
    [(np.full((2, 69), np.nan), "row 0"), (np.zeros((2, 5)), "allowed"), (np.zeros((0, 69)), "allowed")],
)
def test_bad_goal_files_are_named(tmp_path: Path, bad: np.ndarray, says: str):
    np.save(tmp_path / "goals.npy", bad)
    with pytest.raises(InputError, match=says):
        Express(goals=str(tmp_path / "goals.npy"))
    (tmp_path / "goals.npy").write_bytes(b"no numbers")
    with pytest.raises(InputError, match=r"not a readable \.npy"):
        Express(goals=str(tmp_path / "goals.npy"))
    with pytest.raises(InputError, match="reachable"):
        Express(goals="faces")


def test_bad_options_are_named():
    with pytest.raises(InputError, match="control_hz"):
        Express(control_hz=24.0)
    with pytest.raises(InputError, match=r"variation\.speed"):
        Express(variation={"speed": [0.0, 1.0]})
    with pytest.raises(VocabularyError, match="colour"):
        Express(variation={"colour": [0.0, 1.0]})
    assert not Variation().any
