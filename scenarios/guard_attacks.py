"""Commands that no face should ever be sent, each attack with a thought behind it."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ..hardware.guard import PERIOD_S
from ..sim.robot.limits import SafeSet, rate_limits
from ..sim.robot.servo import SERVOS

Rng = np.random.Generator
Standing = Callable[[], np.ndarray]
"""Tells where the robot stands, (26,), after all that went before."""
Blows = Iterator[tuple[object, float]]
"""Commands, each with the time, s, by which the clock goes on before it."""
Attack = Callable[[Rng, Standing, float], Blows]
"""Takes the period of the loop, s, too."""
_COUNT = len(SERVOS)
_NUMBERS = np.array([np.nan, np.inf, -np.inf, 9e99, -9e99, 5e-324, -5e-324, -0.0, -1e-9, 1 + 1e-9, 2.0, -1.0])


def _anywhere(rng: Rng, standing: Standing, gap_s: float) -> Blows:
    for pose in rng.uniform(-0.02, 1.02, (20, _COUNT)):
        yield pose, gap_s


def _wander(rng: Rng, standing: Standing, gap_s: float) -> Blows:
    """Steps as large as the servos can, in directions that change now and then; with luck into the skin's limits."""
    reach = rate_limits(min(gap_s, PERIOD_S))
    for _ in range(12):
        way = rng.uniform(-1, 1, _COUNT) if rng.random() < 0.5 else rng.choice([-1.0, 1.0], _COUNT)
        for _ in range(int(rng.integers(1, 8))):
            yield np.clip(standing() + way * reach, 0, 1), gap_s


def _edge(rng: Rng, standing: Standing, gap_s: float) -> Blows:
    """Steps just below and just above what a servo can."""
    for _ in range(30):
        excess = rng.choice([-1e-3, -1e-9, 0.0, 1e-12, 1e-6, 1e-3, 1.0])
        step = np.where(rng.random(_COUNT) < 0.2, rate_limits(min(gap_s, PERIOD_S)) * (1 + excess), 0.0)
        yield np.clip(standing() + rng.choice([-1.0, 1.0], _COUNT) * step, 0, 1), gap_s


def _tear(rng: Rng, standing: Standing, gap_s: float) -> Blows:
    """Straight at one hazard until it rejects, and then along it, servo against servo."""
    hazard = rng.choice(SafeSet.default().rows)
    reach = rate_limits(min(gap_s, PERIOD_S))
    for number in range(60):
        share = rng.random(_COUNT) ** 3
        way = np.sign(hazard) * (1.0 if number < 20 else share)
        if number % 3 == 2:  # one servo leads, its partner gives way only afterwards
            way = way * (rng.random(_COUNT) < 0.5) * rng.choice([-1.0, 1.0])
        yield np.clip(standing() + way * reach, 0, 1), gap_s


def _between(rng: Rng, standing: Standing, gap_s: float) -> Blows:
    """From one end of a hazard's pair to the other: each end allowed, the way between for the judge to look at."""
    hazard = rng.choice(SafeSet.default().rows)
    pair = rng.choice(np.flatnonzero(hazard), 2, replace=False)
    ends = np.tile(standing(), (2, 1))
    ends[0, pair], ends[1, pair] = (0.0, 1.0), (1.0, 0.0)
    for number in range(40):
        step = ends[number // 10 % 2] - standing()
        reach = rate_limits(min(gap_s, PERIOD_S))
        yield np.clip(standing() + np.clip(step, -reach, reach), 0, 1), gap_s


def _numbers(rng: Rng, standing: Standing, gap_s: float) -> Blows:
    for _ in range(20):
        wrong = rng.random(_COUNT) < rng.choice([0.04, 0.5, 1.0])
        yield np.where(wrong, rng.choice(_NUMBERS, _COUNT), standing()), gap_s


def _shapes(rng: Rng, standing: Standing, gap_s: float) -> Blows:
    fine = standing()
    for wrong in (
        fine[:25], np.append(fine, 0.5), fine[None], fine[:, None], 0.5, None, "smile", [], [fine, fine[:3]],
        fine.astype(complex), fine > 0, fine.astype(str), fine.astype(object), dict(enumerate(fine)), np.float64(0.5),
        [*fine[:25], None], [10**400] * _COUNT, {0.5}, iter(fine),
    ):  # fmt: skip
        yield wrong, gap_s
    yield fine.tolist(), gap_s  # and one that is right
    yield fine.astype(">f8"), gap_s


def _times(rng: Rng, standing: Standing, gap_s: float) -> Blows:
    for gap in rng.choice([0.0, -1e-9, -3600.0, np.nan, np.inf, -np.inf, gap_s], 20):
        yield np.clip(standing() + rng.uniform(-0.01, 0.01, _COUNT), 0, 1), float(gap)


def _creep(rng: Rng, standing: Standing, gap_s: float) -> Blows:
    """Very many, very small steps one way: no rounding may add up."""
    way = rng.choice([-1.0, 1.0], _COUNT)
    for _ in range(60):
        yield np.clip(standing() + way * rng.choice([1e-9, 1e-12, 1e-7]), 0, 1), float(rng.choice([1e-7, 1e-6, 1e-9]))


def _shake(rng: Rng, standing: Standing, gap_s: float) -> Blows:
    """To and fro as fast as the servos can, without pause."""
    gap_s = float(rng.choice([0.001, 0.005, 0.01, PERIOD_S]))
    way = rng.choice([-1.0, 1.0], _COUNT) * rate_limits(gap_s)
    for number in range(30):
        yield np.clip(standing() + (way if number % 2 else -way), 0, 1), gap_s


ATTACKS: Mapping[str, Attack] = {
    "anywhere": _anywhere, "wander": _wander, "edge": _edge, "tear": _tear, "between": _between,
    "numbers": _numbers, "shapes": _shapes, "times": _times, "creep": _creep, "shake": _shake,
}  # fmt: skip

__all__ = ["ATTACKS", "Attack"]
