"""A calibration's file: what goes in comes out, what is damaged is refused, and the map means what it says."""

import json
from dataclasses import replace

import numpy as np
import pytest

from duchenne.hardware.dynamixel_table import default_map
from duchenne.sim.errors import InputError
from duchenne.sim.robot.individual import Individual
from duchenne.sim.robot.servo import REST_COMMAND, SERVO_NAMES, SERVOS, index, to_rad
from duchenne.twin.calibration import MEASURED, Calibration, calibrated_map


@pytest.fixture
def calibration() -> Calibration:
    rng = np.random.default_rng(2)
    hidden = Individual.sample(rng)
    plain = Calibration.of(calibrated_map(default_map(), hidden.direction, hidden.ratio), where="dynamixel:/dev/x")
    values = {name: np.array(getattr(hidden, name)) for name in MEASURED}
    return replace(plain, values=values, sd=dict.fromkeys(MEASURED, np.full(26, 0.01)), seen=rng.random(26) < 0.9)


def test_what_is_saved_is_loaded(calibration, tmp_path):
    read = Calibration.load(calibration.save(tmp_path / "sub" / "face.json"))
    assert read.servo_map == calibration.servo_map
    for name in MEASURED:
        np.testing.assert_array_equal(read.values[name], calibration.values[name])
        np.testing.assert_array_equal(read.sd[name], calibration.sd[name])
    np.testing.assert_array_equal(read.seen, calibration.seen)
    assert (read.skin, read.where, read.made) == (calibration.skin, calibration.where, calibration.made)
    assert read.to_json() == calibration.to_json()
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["face.json"]


def test_unknown_errors_stay_unknown(tmp_path):
    read = Calibration.load(Calibration.of(default_map()).save(tmp_path / "plain.json"))
    assert np.isnan(read.sd["ratio"]).all()
    assert np.isnan(list(read.skin_sd.values())).all()


def test_a_person_can_read_it(calibration):
    servos = json.loads(calibration.to_json())["servos"]
    lid = servos["right_upper_lid"]
    assert (lid["side"], lid["partner"], lid["does"]) == ("right", "left_upper_lid", "0 closed, 1 wide open")
    assert servos["jaw"]["partner"] is None
    turned = [n for n, row in servos.items() if "other way" in row["turned"]]
    assert turned == [SERVO_NAMES[i] for i, c in enumerate(calibration.servo_map.channels) if c.direction < 0]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda text: text.replace('"direction": -1', '"direction": 1'), "checksum"),
        (lambda text: text[: len(text) // 2], "cannot be read"),
        (lambda text: "[]", "no calibration"),
        (lambda text: text.replace('"version": 1', '"version": 7', 1), "version 7"),
    ],
    ids=["edited", "cut", "another file", "newer"],
)
def test_a_spoilt_file_is_refused(calibration, tmp_path, spoil, says):
    path = calibration.save(tmp_path / "face.json")
    path.write_text(spoil(path.read_text()))
    with pytest.raises(InputError, match=says):
        Calibration.load(path)


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match="nothing\\.json"):
        Calibration.load(tmp_path / "nothing.json")


def test_values_that_mean_nothing_are_refused(calibration):
    with pytest.raises(InputError, match="speed"):
        replace(calibration, values={**calibration.values, "speed": np.full(26, np.nan)})
    with pytest.raises(InputError, match="skin"):
        replace(calibration, skin={"foundation": 1.0})


def test_an_interrupted_save_leaves_the_old_file(calibration, tmp_path, monkeypatch):
    path = Calibration.of(default_map(), where="old").save(tmp_path / "face.json")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        calibration.save(path)
    assert Calibration.load(path).where == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["face.json"]


def test_through_the_map_cranks_go_where_the_design_sends_them():
    hidden = Individual.sample(np.random.default_rng(4))
    design = default_map()
    own = calibrated_map(design, hidden.direction, hidden.ratio)
    for command in np.random.default_rng(0).uniform(size=(20, len(SERVOS))):
        believed = design.to_command(own.to_ticks(command))  # what the robot's builder would call these ticks
        np.testing.assert_allclose(hidden.crank_rad(believed), to_rad(command), atol=np.radians(0.06))
    np.testing.assert_array_equal(own.to_ticks(REST_COMMAND), design.to_ticks(REST_COMMAND))


def test_calibrating_twice_multiplies():
    once = calibrated_map(default_map(), np.full(26, -1.0), np.full(26, 0.8))
    twice = calibrated_map(once, np.full(26, -1.0), np.full(26, 1.25))
    assert [c.direction for c in twice.channels] == [1] * 26
    jaw = index("jaw")
    assert twice.channels[jaw].ticks_per_unit == pytest.approx(default_map().channels[jaw].ticks_per_unit)
