"""How late the robot's face is: what a controller must send ahead of time for the face to be there on time.

A command is a staircase of 25 steps a second; servos answer after their delay, move at a limited rate and drag the
skin. Sent a smooth course, the face follows it by a nearly constant time, which `RobotLag.measure` finds.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..sim.errors import InputError
from ..sim.robot.face import CONTROL_PERIOD_S, RobotFaces
from ..sim.robot.limits import SafeSet, rate_limits
from ..sim.robot.servo import EXPRESSIVE, REST_COMMAND

Array = NDArray[np.floating]

_COURSE_S = 0.4
"""How long the smooth course takes; smiles rise in 0.3 … 0.7 s."""
_RATES_PER_S = rate_limits(1.0)
_RISEN = (0.1, 0.9)
_LARGEST_DELAY_S = 0.5


@dataclass(frozen=True, kw_only=True)
class RobotLag:
    """delay_s: the face is what the command, sent 25 times a second, asked for so long ago.

    delay_sd_s: over the expressions it was measured with. rise_s: from 10 % to 90 % of an expression that the servos
    go to as fast as they may, the median.
    """

    delay_s: float
    delay_sd_s: float = 0.0
    rise_s: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.delay_s <= _LARGEST_DELAY_S and self.delay_sd_s >= 0 and self.rise_s >= 0):
            raise InputError(
                f"lag: got {self}; allowed are delays of 0 … {_LARGEST_DELAY_S} s, nothing negative; measure it again"
            )

    @classmethod
    @cache
    def default(cls) -> "RobotLag":
        """Of the default robot, measured at the first call, which takes half a second."""
        return cls.measure()

    @classmethod
    def measure(cls, robots: RobotFaces | None = None, seed: int = 0) -> "RobotLag":
        """Of simulated robots, each of which makes another expression; None takes eight default ones."""
        robots = RobotFaces(8) if robots is None else robots
        goals = SafeSet.default().sample(np.random.default_rng(seed), len(robots))
        sent_s, smooth = np.arange(0, 2 * _COURSE_S, CONTROL_PERIOD_S), 0.25 * _COURSE_S
        wanted = minimum_jerk((sent_s - smooth) / _COURSE_S)
        seen_s, shares = _shares(robots, REST_COMMAND + (goals - REST_COMMAND) * wanted[:, None, None], goals)
        delays = [delay_s(sent_s, wanted, seen_s, share) for share in shares.T]
        fastest = [REST_COMMAND + np.zeros_like(goals)]
        while np.abs(goals - fastest[-1]).max() > 0:
            most = _RATES_PER_S * CONTROL_PERIOD_S
            fastest.append(fastest[-1] + np.clip(goals - fastest[-1], -most, most))
        seen_s, shares = _shares(robots, np.array(fastest[1:] + [goals] * 10), goals)
        low, high = ([seen_s[np.argmax(share >= level)] for share in shares.T] for level in _RISEN)
        return cls(
            delay_s=float(np.mean(delays)),
            delay_sd_s=float(np.std(delays)),
            rise_s=float(np.median(np.subtract(high, low))),
        )

    def shortest_s(self, start: Array, goal: Array) -> float:
        """The shortest time in which the face can get from one command (26,) to another, s."""
        return float(np.max(np.abs(goal - start)[list(EXPRESSIVE)] / _RATES_PER_S[list(EXPRESSIVE)]))


def delay_s(sent_s: Array, sent: Array, seen_s: Array, seen: Array) -> float:
    """By how much a course that was seen, (n,) at times (n,) s, follows the one that was sent, (m,) at times (m,) s.

    The delay at which the two differ least in the mean square, to 1 ms; both are lines between their samples. Raises
    `InputError` if the course that was sent does not move.
    """
    if np.ptp(sent) < 1e-9:
        raise InputError("delay: the course that was sent does not move; send one that does")
    tried = np.arange(0, _LARGEST_DELAY_S, 1e-3)
    misses = [np.mean((np.interp(seen_s - late, sent_s, sent) - seen) ** 2) for late in tried]
    return float(tried[np.argmin(misses)])


def minimum_jerk(share: Array) -> Array:
    """The smoothest way from 0 to 1 while `share` goes from 0 to 1 (Flash & Hogan 1985)."""
    x = np.clip(share, 0.0, 1.0)
    return x**3 * (10 + x * (6 * x - 15))


def _shares(robots: RobotFaces, commands: Array, goals: Array) -> tuple[Array, Array]:
    """How much of each robot's settled expression (26,) it shows at which time, (T,) s and (T, robots).

    commands (steps, robots, 26), from rest.
    """
    ids = np.arange(len(robots))
    robots.reset()
    rest = robots.state().vertices_m
    step_s = robots.model.opt.timestep
    faces = []
    for command in commands:
        for _ in range(round(CONTROL_PERIOD_S / step_s)):
            robots.hold(ids, command, 1)
            faces.append(robots.state().vertices_m)
    robots.advance(goals, round(1.0 / CONTROL_PERIOD_S))
    whole = robots.state().vertices_m - rest
    shares = np.einsum("tnvk,nvk->tn", np.array(faces) - rest, whole) / np.einsum("nvk,nvk->n", whole, whole)
    # Positions are one step of the physics behind, see `RobotFaces.state`.
    return np.arange(len(faces)) * step_s, shares


__all__ = ["RobotLag", "delay_s", "minimum_jerk"]
