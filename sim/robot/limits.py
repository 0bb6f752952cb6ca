"""The set of safe commands, as data: a polytope with a name on every face, shared by babbling, Guard and environments.

`data/safe_set.json` holds one row per hazard: `sum(coefficient · command) <= bound`, over servo names. Rows
come from geometry (lids that would cross) or are fitted so that no sampled command which keeps them all
stretches the skin, pulls a magnet or presses the lips beyond the limits written beside them
(`duchenne.sim.robot.hazards`). Being convex, the set holds the straight path between any two of its commands.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

import numpy as np
from scipy.optimize import nnls

from ..errors import InputError
from .servo import (
    EXPRESSIVE,
    MOUTH_PARAMETERS,
    REST_COMMAND,
    SERVO_NAMES,
    SERVOS,
    SYMMETRIC_NAMES,
    UPPER_PARAMETERS,
    expand,
    index,
    symmetric,
)

Half = Literal["all", "upper", "mouth"]
_PARAMETERS: Mapping[Half, tuple[int, ...]] = {
    "all": tuple(range(len(SYMMETRIC_NAMES))), "upper": UPPER_PARAMETERS, "mouth": MOUTH_PARAMETERS,
}  # fmt: skip
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Hazard:
    """One face of the safe set: the weighted sum of commands must not exceed `bound`."""

    name: str
    kind: Literal["tear", "collision"]
    terms: Mapping[str, float]
    bound: float


@dataclass(frozen=True, eq=False)
class SafeSet:
    """Commands in 0…1 that neither tear the skin nor drive parts into each other: `rows @ command <= bounds`."""

    hazards: tuple[Hazard, ...]
    rows: np.ndarray
    bounds: np.ndarray

    @classmethod
    def of(cls, hazards: Iterable[Hazard]) -> "SafeSet":
        hazards = tuple(hazards)
        rows = np.zeros((len(hazards), len(SERVOS)))
        for row, hazard in zip(rows, hazards, strict=True):
            for name, coefficient in hazard.terms.items():
                row[index(name)] = coefficient
        return cls(hazards, rows, np.array([h.bound for h in hazards]))

    @classmethod
    @cache
    def default(cls) -> "SafeSet":
        """The safe set of the default robot and skin."""
        text = (files("duchenne.sim.robot") / "data" / "safe_set.json").read_text()
        return cls.of(Hazard(**row) for row in json.loads(text)["hazards"])

    def violations(self, command: np.ndarray) -> list[tuple[str, float]]:
        """Names of the hazards that a command, (26,), runs into, each with its excess, worst first."""
        excess = self.rows @ _command(command) - self.bounds
        order = np.argsort(-excess)
        return [(self.hazards[i].name, float(excess[i])) for i in order if excess[i] > _TOLERANCE]

    def contains(self, command: np.ndarray) -> np.ndarray:
        """Whether commands (…, 26) are in range and safe, (…,) bool."""
        command = np.asarray(command, float)
        in_range = ((command >= -_TOLERANCE) & (command <= 1 + _TOLERANCE)).all(-1)
        return np.asarray(in_range & (command @ self.rows.T <= self.bounds + _TOLERANCE).all(-1))

    def project(self, command: np.ndarray) -> np.ndarray:
        """The safe command nearest to `command`, (26,) → (26,), in the Euclidean sense."""
        command = _command(command)
        nearest = np.clip(command, 0, 1)
        if (self.rows @ nearest <= self.bounds).all():
            return nearest
        used = np.abs(self.rows).max(0) > 0  # the other servos are only clipped
        rows, start = self.rows[:, used], command[used]
        eye = np.eye(int(used.sum()))
        lhs = np.vstack([-rows, eye, -eye])  # lhs @ step >= rhs
        rhs = np.concatenate([rows @ start - self.bounds + 1e-7, -start, start - 1])
        nearest[used] = np.clip(start + least_step(lhs, rhs), 0, 1)
        return nearest

    def toward(self, current: np.ndarray, goal: np.ndarray, largest_step: np.ndarray) -> np.ndarray:
        """One safe step, (26,), from a safe `current` command toward `goal`, no servo by more than `largest_step`."""
        step = np.clip(_command(goal) - current, -largest_step, largest_step)
        step = self.project(current + step) - current
        overshoot = float(np.max(np.abs(step) / largest_step))
        return np.clip(current + step / max(overshoot, 1.0), 0, 1)

    def toward_each(self, current: np.ndarray, goal: np.ndarray, largest_step: np.ndarray) -> np.ndarray:
        """`toward` for many robots, (n, 26) each, unchecked; the result for one does not depend on the others."""
        wanted = np.clip(current + np.clip(goal - current, -largest_step, largest_step), 0, 1)
        load = (self.rows * wanted[:, None]).sum(-1)  # and not by BLAS, whose sums depend on how many rows there are
        for i in np.flatnonzero((load > self.bounds).any(-1)):
            wanted[i] = self.toward(current[i], goal[i], largest_step)
        return wanted

    def sample(
        self, rng: np.random.Generator, count: int, half: Half = "all", symmetric_only: bool = True
    ) -> np.ndarray:
        """Random safe commands, (count, 26), uniform over the safe set by rejection.

        `half` moves only the upper face or only the mouth, the rest stays at rest; with `symmetric_only` both
        sides do the same. Neck and eyeballs stay at rest.
        """
        free = np.array(_PARAMETERS[half])
        rest = symmetric(REST_COMMAND)
        found: list[np.ndarray] = []
        while sum(map(len, found)) < count:
            sides = []
            for _ in range(1 if symmetric_only else 2):
                parameters = np.broadcast_to(rest, (4 * count, len(rest))).copy()
                parameters[:, free] = rng.uniform(size=(4 * count, len(free)))
                sides.append(parameters)
            commands = expand(*sides)
            found.append(commands[self.contains(commands)])
        return np.concatenate(found)[:count]


def least_step(lhs: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    """The shortest step y, (n,), with lhs (m, n) @ y >= rhs (m,), which must have a solution.

    Least-distance programming by non-negative least squares (Lawson & Hanson 1974, chapter 23).
    """
    stacked = np.vstack([lhs.T, rhs])
    target = np.zeros(len(stacked))
    target[-1] = 1.0
    residual = stacked @ nnls(stacked, target)[0] - target
    return -residual[:-1] / residual[-1]


def _command(command: np.ndarray) -> np.ndarray:
    command = np.asarray(command, dtype=float)
    if command.shape != (len(SERVOS),) or not np.isfinite(command).all():
        raise InputError(
            f"servo command: got shape {command.shape} with {np.count_nonzero(~np.isfinite(command))} values that are "
            f"not finite; allowed are {len(SERVOS)} finite numbers, ordered {', '.join(SERVO_NAMES)}"
        )
    return command


def rate_limits(control_period_s: float) -> np.ndarray:
    """Largest change of each command, (26,), that its servo can follow within one control period."""
    return np.array([s.slew_deg_s / s.travel_deg * control_period_s for s in SERVOS])


__all__ = ["EXPRESSIVE", "Half", "Hazard", "SafeSet", "rate_limits"]
