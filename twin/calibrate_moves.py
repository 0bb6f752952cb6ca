"""How a robot is made to show what it is: small careful motions first, larger ones once it is known who moves what.

Every command passes the face's Guard. As long as a direction is not known, motions are so small that they do no harm
whichever way they go; afterwards the cranks, too, keep to the safe set, not only the commands.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..sim.errors import BusError
from ..sim.robot.servo import EXPRESSIVE, REST_COMMAND, SERVO_NAMES, SERVOS
from ..sim.robot.sight import Look
from .calibrate_servos import Shake
from .calibrate_skin import Views, away, flat, scatter
from .calibration import CalibrationError
from .port import FacePort

Array = NDArray[np.floating]
Progress = Callable[[int, int], None]

AMOUNTS = (0.06, 0.12, 0.2)
"""Shares of its travel by which a servo moves whose direction is not known; the next if the last was not seen."""
SHAKE_S = 5.0
_CERTAIN = 4.0
"""Standard errors by which a motion must differ from none, and from one the other way."""
_LEAST = 0.25
"""Of the twin's motion: less is no motion of this servo."""
_RATHER, _ALIKE = 0.3, 0.6
"""By so much better another servo's pattern must fit for the two to count as exchanged."""
_STRAY = 0.04
_RESTING_LOOKS = 8
_SETTLE = 6
_LONGEST = 30
_SINGLES = (0.3, 0.6)
_COMBINED = 40
_WIDTH = 0.8
_EDGE = 0.02
_TRIES = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Directions:
    """direction (26,): 1 as designed, −1 the other way. seen (26,) bool: whether the camera could tell; where it could
    not, the design is believed. largest: largest motion that was made."""

    direction: Array
    seen: NDArray[np.bool_]
    largest: float


class Subject:
    """A face and somebody who looks at it.

    Args:
        face: open, at rest, torque on.
        look: one look at it now; None where no face is found.
        together: see `calibrate_skin.together`.
    """

    def __init__(self, face: FacePort, look: Callable[[], Look | None], together: float = 1.0):
        self.face, self._look, self._together = face, look, together
        self._safe = face.guard.safe_set
        self._rest = self._seen(_RESTING_LOOKS)
        if not np.isfinite(self._rest).all():
            raise CalibrationError("the camera finds no face at rest; look at the picture, the light and the focus")

    def find_directions(self, patterns: Mapping[float, Array], progress: Progress) -> Directions:
        """Move every servo by itself, a little, and see which way its part of the face goes.

        patterns: by amount, what the twin shows of each servo that moves by so much, (26, 1411). Raises
        `CalibrationError` where a servo does not follow, or moves what another should.
        """
        count = len(SERVOS)
        direction, seen, largest = np.ones(count), np.zeros(count, bool), 0.0
        for amount, shown in patterns.items():
            open_ones = np.flatnonzero(~seen)
            for done, i in enumerate(open_ones):
                goal = REST_COMMAND.copy()
                goal[i] += amount * away()[i]
                before = self._positions()
                self._go(goal)
                self._must_follow(int(i), amount * away()[i], before)
                largest = max(largest, amount)
                motion = self._seen(2) - self._rest
                if np.isfinite(motion).all():
                    share, seen[i] = _compare(motion, shown, int(i), self._together)
                    direction[i] = np.sign(share) if seen[i] else 1.0
                progress(done + 1, len(open_ones))
            self._go(REST_COMMAND)
            if seen.all():
                break
        return Directions(direction=direction, seen=seen, largest=largest)

    def shake(self, direction: Array, rng: np.random.Generator, progress: Progress) -> Shake:
        """All servos at once, in steps of many sizes; what was sent and where they said they were. Needs feedback."""
        face, periods = self.face, round(SHAKE_S / self.face.period_s)
        sent_s, sent, read_s, read = [], [], [], []
        goal, until = REST_COMMAND.copy(), np.zeros(len(SERVOS), int)
        for k in range(periods):
            fresh = until <= k
            size = np.exp(rng.uniform(np.log(0.04), np.log(0.35), len(SERVOS))) * rng.choice([-1, 1], len(SERVOS))
            goal = np.where(fresh, REST_COMMAND + size, goal)
            until = np.where(fresh, k + rng.integers(3, 10, len(SERVOS)), until)
            now = face.time_s
            sent.append(face.toward(self._within(goal, direction)))
            sent_s.append(now)
            due = now + face.period_s
            while not read_s or face.time_s < due - 0.4 * face.period_s:
                now = face.time_s
                if (position := self._read()) is not None:
                    read_s.append(now)
                    read.append(position)
                if face.time_s == now:
                    break  # simulated time stands still
            face.wait()
            progress(k + 1, periods)
        self._go(REST_COMMAND)
        return Shake(
            sent_s=np.array(sent_s), sent=np.array(sent), read_s=np.array(read_s), positions=np.array(read)
        )  # fmt: skip

    def views(self, direction: Array, rng: np.random.Generator, progress: Progress) -> Views:
        """Take many poses and look at each: every servo alone to both sides, then many at once."""
        poses, moved = self._poses(direction, rng)
        positions, seen = [], []
        for k, pose in enumerate(poses):
            self._go(pose)
            positions.append(self._positions())
            seen.append(self._seen(1) - self._rest)
            progress(k + 1, len(poses))
        self._go(REST_COMMAND)
        return Views(positions=np.array(positions), seen=np.array(seen), moved=moved)

    def _poses(self, direction: Array, rng: np.random.Generator) -> tuple[Array, NDArray[np.int64]]:
        poses, moved = [], []
        for i in range(len(SERVOS)):
            both_sides = min(REST_COMMAND[i], 1 - REST_COMMAND[i]) > _SINGLES[0] - 0.05
            for size in (-_SINGLES[0], _SINGLES[0]) if both_sides else np.array(_SINGLES) * away()[i]:
                goal = REST_COMMAND.copy()
                goal[i] += size
                poses.append(self._within(goal, direction))
                moved.append(i)
        for crank in self._safe.sample(rng, _COMBINED, symmetric_only=False):
            goal = REST_COMMAND.copy()
            goal[list(EXPRESSIVE)] += (_WIDTH * direction * (crank - REST_COMMAND))[list(EXPRESSIVE)]
            poses.append(self._within(goal, direction))
            moved.append(-1)
        return np.array(poses), np.array(moved)

    def _within(self, goal: Array, direction: Array) -> Array:
        """The pose farthest on the way from rest to a goal in which command and crank are both safe."""
        step = np.clip(goal, np.minimum(_EDGE, REST_COMMAND), np.maximum(1 - _EDGE, REST_COMMAND)) - REST_COMMAND
        for share in np.linspace(1, 0, 21):
            crank = np.clip(REST_COMMAND + share * direction * step, 0, 1)
            if self._safe.contains(REST_COMMAND + share * step) and self._safe.contains(crank):
                return REST_COMMAND + share * step
        return REST_COMMAND.copy()

    def _go(self, pose: Array) -> None:
        """Move to a pose and wait until the face is still there."""
        for _ in range(_LONGEST):
            self.face.toward(pose)
            self.face.wait()
            if np.abs(self.face.last - pose).max() < 1e-6:
                break
        for _ in range(_SETTLE):
            self.face.toward(pose)
            self.face.wait()

    def _positions(self) -> Array:
        """Where the servos say they stand, or else where they were sent, (26,)."""
        position = self._read()
        return self.face.last if position is None else position

    def _read(self) -> Array | None:
        """What the servos say, (26,); None from those that say nothing. A packet that got lost is asked for again."""
        for left in reversed(range(_TRIES)):
            try:
                position = self.face.read().position
                return None if position is None or not np.isfinite(position).all() else np.array(position)
            except BusError:
                if not left or self.face.stopped:
                    raise
        return None

    def _seen(self, looks: int) -> Array:
        """The mean of some looks, (1411,), NaN where no face was found; the face is kept where it is."""
        found = []
        for _ in range(looks):
            look = self._look()
            self.face.toward(self.face.last)
            self.face.wait()
            if look is not None:
                found.append(flat(look))
        return np.mean(found, axis=0) if found else np.full(len(scatter()), np.nan)

    def _must_follow(self, place: int, amount: float, before: Array) -> None:
        if not self.face.capabilities.feedback:
            return
        moved = self._positions() - before
        home = REST_COMMAND + 0 * before
        target = home[place] + amount - before[place]
        if moved[place] * np.sign(target) < 0.5 * abs(target):
            raise CalibrationError(
                f"{SERVO_NAMES[place]} was sent by {amount:+.2f} and moved by {moved[place]:+.2f}: does it turn "
                "against its encoder, or is something in its way?"
            )
        off = np.abs(before + moved - home)
        off[place] = 0
        if off.max() > _STRAY:
            other = SERVO_NAMES[int(np.argmax(off))]
            raise CalibrationError(
                f"{other} moved by {off.max():.2f} while {SERVO_NAMES[place]} was sent; look at the cables"
            )


def _compare(motion: Array, shown: Array, place: int, together: float) -> tuple[float, bool]:
    """Motion seen over that of the twin's servo, and whether that is certain."""
    weight = 1 / scatter()
    seen, patterns = motion * weight, shown * weight
    sizes = np.maximum(np.linalg.norm(patterns, axis=1), 1e-12)
    along = patterns @ seen / sizes  # standard errors, were the landmarks independent
    error = np.sqrt(1 / 2 + 1 / _RESTING_LOOKS) * together
    share = float(along[place] / sizes[place])
    best = int(np.argmax(np.abs(along)))
    alike = np.abs(along) / max(np.linalg.norm(seen), 1e-12)
    if (
        abs(along[best]) > 2 * _CERTAIN * error
        and alike[best] > max(alike[place] + _RATHER, _ALIKE)
        and 0.5 < abs(along[best]) / sizes[best] < 2
    ):
        raise CalibrationError(
            f"{SERVO_NAMES[place]} moves what {SERVO_NAMES[best]} should: are their cables or identities exchanged?"
        )
    return share, abs(along[place]) > _CERTAIN * error and abs(share) > _LEAST


__all__ = ["AMOUNTS", "SHAKE_S", "Directions", "Subject"]
