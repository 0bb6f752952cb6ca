"""Whether robot and twin still do the same: which servo, or which part of the skin, drifts, and when to stop.

    monitor = ResidualMonitor()
    every control period:  for finding in monitor.observe(feedback, shadow): …
    every picture of the robot:  for finding in monitor.see(taken_s, landmarks_m, shadow): …

Three residuals are watched, each with one value a servo: its position, its current where it pulls at the skin, and the
command by which the skin around it is off. What of them the twin's speed and torque explain is learnt in the first
minute of play, in which the robot must be well. The rest, in units of its usual size, is averaged over `AVERAGE_S`;
the threshold is where the tail of healthy averages goes beyond once in `false_alarm_s`, and a margin.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..hardware.bus import Feedback
from ..sim import mesh
from ..sim.errors import InputError
from ..sim.robot.limits import SafeSet
from ..sim.robot.servo import EXPRESSIVE, REST_COMMAND, SERVO_NAMES, SERVOS
from .refine import servo_shapes
from .residual_statistics import Prior, Residual
from .shadow import Shadow

Array = NDArray[np.floating]
Kind = Literal["position", "current", "skin", "tension", "slack"]

LEARN_S = 60.0
FALSE_ALARM_S = 36_000.0
"""Mean time between two false alarms that is aimed at, all servos together."""
_RIDGE_M = 0.005
"""Keeps servos apart that move the skin alike: a whole command weighs as much as this error of one landmark."""
_AGAIN_S = 10.0
"""What has been well for so long is told anew."""
_SKIN = list(EXPRESSIVE)
_PULLS = np.isin(np.arange(len(SERVOS)), _SKIN)
_REGIONS = [(name, list(mesh.region(name))) for name in mesh.REGIONS]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is not as the twin has it.

    kind: position: a servo is not where it should be. current: it works harder, or less, than it should. skin: the
    skin around it is not where it should be, as when a horn has slipped. tension: coupled servos work harder and lag;
    the robot is to be stopped. slack: coupled servos work less; the skin is torn or a magnet is off.
    servos: the worst first. region: of the face, where the skin was looked at.
    """

    time_s: float
    kind: Kind
    servos: tuple[str, ...]
    region: str = ""
    message: str = ""

    @property
    def stops(self) -> bool:
        """Whether the robot must not go on."""
        return self.kind == "tension"


class ResidualMonitor:
    """Compares a robot with its shadow, online.

    Args:
        learn_s: how much healthy play to learn from before anything is judged.
        false_alarm_s: mean time between two false alarms.
        safe_set: tells which servos the skin couples; None takes the default robot's.
    """

    def __init__(
        self,
        *,
        learn_s: float = LEARN_S,
        false_alarm_s: float = FALSE_ALARM_S,
        safe_set: SafeSet | None = None,
    ):
        if not (learn_s > 0 and false_alarm_s > 0):
            raise InputError(f"monitor: got learn_s {learn_s} and false_alarm_s {false_alarm_s}; both must be positive")
        self._coupled = coupled_servos(safe_set or SafeSet.default())
        known = {"learn_s": learn_s, "false_alarm_s": false_alarm_s}
        # Features: one, the twin's speed (a difference in time), its torque (a difference in stiffness).
        self._position = Residual(Prior(sd=(0.02, 0.03, 0.3), floor=0.003), **known)
        self._current = Residual(Prior(sd=(0.1, 0.1, 5.0), floor=0.01), **known)
        self._skin = Residual(Prior(sd=(0.1, 0.05, 0.2), floor=0.01), **known)  # one, speed, distance from rest
        self._shapes: Array | None = None
        self._projector = np.empty((0, 0))
        self._off_m, self._usual_m, self._pictures, self._pictured_s = np.zeros((468, 3)), np.zeros((468, 3)), 0, 0.0
        self._time_s = -np.inf
        self._told: dict[tuple[str, str], float] = {}

    @property
    def is_learning(self) -> bool:
        """Whether nothing is judged yet."""
        return self._position.is_learning

    def observe(self, feedback: Feedback, shadow: Shadow) -> tuple[Finding, ...]:
        """Compare what the servos say with the twin, which is advanced to that time; what is new of it."""
        now = feedback.time_s
        if feedback.position is None or not np.isfinite(feedback.position).all() or now <= self._time_s:
            return ()
        self._time_s = now
        shadow.advance(now)
        expected, speed, torque = shadow.position, shadow.speed_per_s, shadow.torque_nm
        one = np.ones(len(SERVOS))
        self._position.add(now, feedback.position - expected, np.stack([one, speed, torque], axis=-1))
        if feedback.current_a is not None and np.isfinite(feedback.current_a).any():
            # The others stick in their friction, at any current; what overloads them is the Guard's to see.
            drawn = np.where(_PULLS, np.nan_to_num(np.abs(feedback.current_a)), 0.0)
            self._current.add(now, drawn, np.stack([one, np.abs(speed), np.abs(torque)], axis=-1))
        return self._new(self._judge(now, expected), now)

    def see(self, taken_s: float, landmarks_m: Array, shadow: Shadow) -> tuple[Finding, ...]:
        """Compare aligned landmarks of the robot, (468, 3) m, in a picture taken at `taken_s`; what is new of it.

        Raises `InputError` for landmarks that are none, or a picture that comes too late.
        """
        seen = np.asarray(landmarks_m, float)
        if seen.shape != (mesh.VERTEX_COUNT, 3) or not np.isfinite(seen).all():
            raise InputError(f"monitor: got landmarks of shape {seen.shape}; allowed are finite (468, 3), in metres")
        expected, speed, distance = shadow.landmarks_at(taken_s)
        if self._shapes is None:
            self._shapes = servo_shapes().reshape(len(_SKIN), -1)
            normal = self._shapes @ self._shapes.T + _RIDGE_M**2 * np.eye(len(_SKIN))
            self._projector = np.linalg.solve(normal, self._shapes)
        off_m = seen - expected
        off = np.zeros(len(SERVOS))
        off[_SKIN] = self._projector @ off_m.ravel()
        self._skin.add(taken_s, off, np.stack([np.ones(len(SERVOS)), speed, distance], axis=-1))
        if self._skin.is_learning:
            self._pictures += 1
            self._usual_m += (off_m - self._usual_m) / self._pictures
        else:
            share = self._skin.share(taken_s - self._pictured_s)
            self._off_m += share * (off_m - self._usual_m - self._off_m)
        self._pictured_s = taken_s
        return self._new(self._judge_skin(taken_s), taken_s)

    def _judge(self, now: float, expected: Array) -> list[Finding]:
        position, current = self._position.excess, self._current.excess
        behind = -position * np.sign(expected - REST_COMMAND)  # the skin pulls to rest
        found: list[Finding] = []
        ways: tuple[tuple[Kind, int], ...] = (("tension", 1), ("slack", -1))
        for kind, way in ways:
            beyond = way * current > 1
            pairs = self._coupled & np.outer(beyond, beyond)
            if kind == "tension":
                pairs &= np.add.outer(behind > 0.5, behind > 0.5)
            if pairs.any():
                servos = _worst_first(np.where(pairs.any(0), np.abs(current), 0.0), share=0.0)[:4]
                what = "draw more current than the twin explains, and lag" if way > 0 else "draw too little current"
                cause = "the skin pulls where it should not" if way > 0 else "the skin is slack, torn or off a magnet"
                found.append(
                    Finding(
                        time_s=now, kind=kind, servos=servos,
                        message=f"{', '.join(servos)} {what}: {cause}; look at it before going on",
                    )
                )  # fmt: skip
        if found:
            return found
        alone: tuple[tuple[Kind, Array, Residual, str], ...] = (
            ("position", position, self._position, "of its travel"),
            ("current", current, self._current, "A"),
        )
        for kind, excess, residual, unit in alone:
            for name in _worst_first(np.where(np.abs(excess) > 1, np.abs(excess), 0.0)):
                by = residual.mean[SERVO_NAMES.index(name)]
                found.append(
                    Finding(
                        time_s=now, kind=kind, servos=(name,),
                        message=f"{name}: {kind} is off by {by:+.3f} {unit} against the twin; stuck, or overloaded?",
                    )
                )  # fmt: skip
        return found

    def _judge_skin(self, now: float) -> list[Finding]:
        if not (np.abs(self._skin.excess) > 1).any() or self._shapes is None:
            return []
        # Of all servos, the one that alone explains most of how the face is off.
        score = self._shapes @ self._off_m.ravel() / np.linalg.norm(self._shapes, axis=1)
        best = int(np.argmax(np.abs(score)))
        by = score[best] / np.linalg.norm(self._shapes[best])
        name = SERVO_NAMES[_SKIN[best]]
        error_mm = [1e3 * float(np.linalg.norm(self._off_m[places], axis=1).mean()) for _, places in _REGIONS]
        worst = int(np.argmax(error_mm))
        region = _REGIONS[worst][0]
        return [
            Finding(
                time_s=now, kind="skin", servos=(name,), region=region,
                message=f"{region} is {error_mm[worst]:.1f} mm from the twin's, as if {name} were off by {by:+.2f} of "
                "its travel; a slipped horn or a lost magnet?",
            )
        ]  # fmt: skip

    def _new(self, found: Iterable[Finding], now: float) -> tuple[Finding, ...]:
        """Those that have not been found within the last `_AGAIN_S`."""
        fresh = []
        for finding in found:
            key = (finding.kind, finding.servos[0])
            if now - self._told.get(key, -np.inf) > _AGAIN_S:
                fresh.append(finding)
            self._told[key] = now
        return tuple(fresh)


def coupled_servos(safe_set: SafeSet) -> NDArray[np.bool_]:
    """Which servos pull at the same skin, (26, 26): those of a hazard together, and neighbours on the brow."""
    coupled = np.zeros((len(SERVOS), len(SERVOS)), bool)
    groups = [tuple(h.terms) for h in safe_set.hazards if not h.name.endswith("lids cross")]
    groups += [tuple(n for n in SERVO_NAMES if n.endswith("brow"))]
    for group in groups:
        places = [SERVO_NAMES.index(name) for name in group]
        coupled[np.ix_(places, places)] = True
    np.fill_diagonal(coupled, False)
    return coupled


def _worst_first(size: Array, share: float = 0.5) -> tuple[str, ...]:
    """Names of servos with a size, (26,), of at least that share of the largest."""
    order = np.argsort(-size)
    return tuple(SERVO_NAMES[i] for i in order if size[i] > 0 and size[i] >= share * size[order[0]])


__all__ = ["FALSE_ALARM_S", "LEARN_S", "Finding", "ResidualMonitor", "coupled_servos"]
