"""The residual monitor beside a robot whose servos, skin and sensors are not the twin's."""

import copy
from collections.abc import Callable

import numpy as np
import pytest

from duchenne.hardware.bus import Feedback
from duchenne.sim.alignment import align
from duchenne.sim.errors import InputError
from duchenne.sim.robot.face import CONTROL_PERIOD_S, RobotFaces
from duchenne.sim.robot.limits import SafeSet, rate_limits
from duchenne.sim.robot.servo import REST_COMMAND, index, to_command
from duchenne.twin.residual import Finding, ResidualMonitor, coupled_servos
from duchenne.twin.residual_statistics import tail_threshold
from duchenne.twin.shadow import Shadow

LEARN_S, HEALTHY_S = 30.0, 50.0
ONE = np.array([0])


class Rig:
    """Another robot: slower, with more friction, a stiffer skin, motors of its own, and noise."""

    def __init__(self, seed: int = 0):
        self.rng = np.random.default_rng(seed)
        self.robots = RobotFaces(1, threads=1)
        self.amperes_per_nm = self.rng.uniform(3, 6, 26)
        self.friction, self.skin, self.slipped = np.full((1, 26), 1.5), 1.1, np.zeros(26)
        self.shadow, self.monitor = Shadow(), ResidualMonitor(learn_s=LEARN_S)
        self.now, self.last, self.goal = 0.0, REST_COMMAND.copy(), REST_COMMAND
        self.vary()

    def vary(self) -> None:
        same = np.ones((1, 26))
        skin = np.full((1, 1), self.skin)
        self.robots.vary(ONE, speed=0.95 * same, torque=same, friction=self.friction, skin=skin)

    def play(self, seconds: float) -> list[tuple[float, Finding]]:
        """Random expressions; what the monitor finds, and how long after the beginning."""
        found, begun = [], self.now
        for k in range(round(seconds / CONTROL_PERIOD_S)):
            if k % 30 == 0:
                self.goal = SAFE.sample(self.rng, 1)[0] if self.rng.random() < 0.8 else REST_COMMAND
            self.last = SAFE.toward(self.last, self.goal, 0.6 * rate_limits(CONTROL_PERIOD_S))
            self.shadow.send(self.last, self.now)
            self.robots.hold(ONE, np.clip(self.last + self.slipped, 0, 1)[None], 5)
            self.now += CONTROL_PERIOD_S
            new = self.monitor.observe(self.feedback(), self.shadow)
            if k % 2 == 0:
                new += self.monitor.see(self.now, self.landmarks_m(), self.shadow)
            found += [(self.now - begun, finding) for finding in new]
        return found

    def feedback(self) -> Feedback:
        position = to_command(self.robots.servo_rad(ONE)[0]) - self.slipped + self.rng.normal(0, 0.002, 26)
        current = 0.03 + self.amperes_per_nm * np.abs(self.robots.servo_nm(ONE)[0]) + self.rng.normal(0, 0.004, 26)
        return Feedback(time_s=self.now, position=position, current_a=np.round(current, 3))

    def landmarks_m(self) -> np.ndarray:
        return align(self.robots.state().vertices_m[0]) + self.rng.normal(0, 3e-4, (468, 3))


SAFE = SafeSet.default()


@pytest.fixture(scope="module")
def healthy() -> tuple[Rig, list[tuple[float, Finding]]]:
    rig = Rig()
    return rig, rig.play(LEARN_S + HEALTHY_S)


@pytest.fixture
def after(healthy) -> Callable[[Callable[[Rig], None]], list[tuple[float, Finding]]]:
    """What the monitor finds in 4 s of play after something has been done to the robot."""

    def play(harm: Callable[[Rig], None]) -> list[tuple[float, Finding]]:
        known, _ = healthy
        rig = Rig(seed=1)
        rig.monitor, rig.amperes_per_nm = copy.deepcopy(known.monitor), known.amperes_per_nm
        # The monitor's clock goes on where the healthy play ended.
        rig.now, rig.shadow = known.now, Shadow(time_s=known.now)
        assert rig.play(3.0) == []
        harm(rig)
        rig.vary()
        return rig.play(4.0)

    return play


def test_healthy_play_makes_no_alarm(healthy):
    rig, found = healthy
    assert not rig.monitor.is_learning
    assert found == []


def test_a_stuck_servo_is_named(after):
    def stick(rig: Rig) -> None:
        rig.friction[0, index("left_outer_brow")] = 3000.0

    time_s, first = after(stick)[0]
    assert first.servos == ("left_outer_brow",)
    assert first.kind in ("position", "current")
    assert time_s < 2.0
    assert "left_outer_brow" in first.message


def test_a_slipped_horn_is_named_by_the_camera(after):
    def slip(rig: Rig) -> None:
        rig.slipped[index("right_corner_upper")] = 0.15

    time_s, first = after(slip)[0]
    assert (first.kind, first.servos, first.region) == ("skin", ("right_corner_upper",), "mouth")
    assert time_s < 1.0


def test_a_stiff_skin_stops_the_robot(after):
    def stiffen(rig: Rig) -> None:
        rig.skin = 2.5

    found = after(stiffen)
    time_s, tension = next((t, f) for t, f in found if f.stops)
    assert tension.kind == "tension"
    assert len(tension.servos) > 1
    assert time_s < 2.0


def test_a_torn_skin_is_slack_and_does_not_pass_for_tension(after):
    def tear(rig: Rig) -> None:
        rig.skin = 0.2

    found = after(tear)
    assert next(t for t, f in found if f.kind == "slack") < 2.0
    assert not any(f.stops for _, f in found)


def test_the_threshold_is_as_rare_as_it_says(rng):
    """Averages with an exponential tail, of which the closed form is known."""
    times = np.arange(0, 600, 0.04)
    values = rng.exponential(0.5, (len(times), 26))
    wanted_s = 3600.0
    threshold = tail_threshold(values, times, wanted_s)
    exact = 0.5 * np.log(26 * wanted_s / 0.04)  # 26 values every 40 ms, one of them beyond in an hour
    assert threshold == pytest.approx(exact, rel=0.12)


def test_servos_that_share_skin_are_coupled():
    coupled = coupled_servos(SAFE)
    assert coupled[index("right_corner_upper"), index("right_corner_lower")]
    assert not coupled[index("right_corner_upper"), index("left_upper_lid")]
    assert (coupled == coupled.T).all()


def test_pictures_that_are_none_or_late_are_explained():
    rig = Rig()
    rig.play(3.0)
    with pytest.raises(InputError, match=r"468, 3"):
        rig.monitor.see(rig.now, np.zeros((5, 3)), rig.shadow)
    with pytest.raises(InputError, match="show pictures sooner"):
        rig.monitor.see(0.1, rig.landmarks_m(), rig.shadow)


def test_the_shadow_follows_what_was_sent_in_any_steps():
    coarse, fine = Shadow(), Shadow()
    goal = SAFE.sample(np.random.default_rng(3), 1)[0]
    for shadow, step_s in ((coarse, 0.4), (fine, 0.008)):
        shadow.send(goal, 0.08)
        for now in np.arange(0.08, 0.8 + 1e-9, step_s):
            shadow.advance(float(now))
        shadow.advance(0.88)
    np.testing.assert_allclose(coarse.position, fine.position, atol=1e-12)
    face, *_ = fine.landmarks_at(0.88)
    np.testing.assert_allclose(face, align(fine.state.vertices_m), atol=1e-12)
