"""A face whose calibration is known is sent its own commands for what is meant for the design."""

import dataclasses

import numpy as np
import pytest

from duchenne.hardware.dynamixel_table import default_map
from duchenne.sim.errors import DuchenneError
from duchenne.sim.robot.servo import REST_COMMAND, index
from duchenne.twin.adaptation import Adaptation
from duchenne.twin.calibration import Calibration
from duchenne.twin.session import Session

SMILE = REST_COMMAND.copy()
SMILE[[index("right_corner_upper"), index("left_corner_upper")]] += 0.1


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    """Of a robot with a skin half as stiff again."""
    known = Calibration.of(default_map(), where="emulated:dynamixel")
    return dataclasses.replace(known, skin={name: 1.5 * value for name, value in known.skin.items()})


def _held(session: Session, goal: np.ndarray, **how: bool) -> np.ndarray:
    session.begin()
    for k in range(1, 30):
        session.until(0.04 * k)
        session.step(goal, **how)
    return session.face.last


def test_it_is_sent_its_own_command_and_exactly_what_is_said_exactly(calibration):
    own = Adaptation.of(calibration)(SMILE)
    assert np.abs(own - SMILE).max() > 0.005
    with Session.open("sim", calibration=calibration) as session:
        np.testing.assert_allclose(_held(session, SMILE), own, atol=1e-6)
        np.testing.assert_allclose(_held(session, SMILE, exactly=True), SMILE, atol=1e-6)
        session.glide(REST_COMMAND)
        np.testing.assert_allclose(session.face.last, REST_COMMAND, atol=1e-9)


def test_rest_is_rest_for_every_robot(calibration):
    np.testing.assert_allclose(Adaptation.of(calibration)(REST_COMMAND), REST_COMMAND, atol=1e-6)


def test_what_is_not_finite_is_refused_and_nothing_sent(calibration):
    with Session.open("sim", calibration=calibration) as session:
        session.begin()
        session.until(0.04)
        before = session.face.last.copy()
        with pytest.raises(DuchenneError):
            session.step(np.full(26, np.nan))
        np.testing.assert_array_equal(session.face.last, before)
