"""Linkages and skin from what a camera saw: which twin looks like this in all these poses?

The twin takes the poses in which the robot's servos say they stand, is looked at by the same kind of eye, and its
parameters are changed until both look alike: the most probable ratios of the linkages and stiffnesses of the skin,
given how robots of this design differ (`individual.RANGES`). Stiffnesses are relative to the skin's membrane; motion
tells no more.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..sim.errors import InputError
from ..sim.robot.face import FaceState
from ..sim.robot.individual import RANGES, SKIN_RANGES, Individual, IndividualFaces
from ..sim.robot.servo import REST_COMMAND, SERVOS
from ..sim.robot.sight import Eye, Look, PlainEye, Surface, noise_m
from .calibration import SKIN

Array = NDArray[np.floating]
Progress = Callable[[int, int], None]

_STEPS = 8
_NUDGE = 0.15
_CLOSE = 0.005
_TWIN_SD = 0.015
"""Error of a log ratio by what the twin leaves out (firm servos, the skin's nonlinearity), over simulated robots."""
_ANGLE_SD_RAD = 0.02
"""Scatter of gaze and head pose, see `sight`; that of landmarks is `sight.noise_m`."""
_BATCH = 32
_FIRM = 4.0
_EYE_RIDGE = 1e-2
_TOGETHER = 6.0
"""A tracker's landmarks are wrong together, in some 40 modes of 1404 numbers (`tracker_space`): √(1404 / 40)."""
_JITTER = 15.0
"""The same for the small differences between robot and twin: what a tracker makes of them is mostly jitter, alike for
the true twin and for others. Ratios come nearest to the truth where the looks are trusted this little."""
_TIMESTEP_S = 0.008


@dataclass(frozen=True, kw_only=True, eq=False)
class Views:
    """Poses and what was seen of each.

    positions (N, 26): where the servos' encoders stood, in commands. seen (N, M): what the eye saw, as `flat` has it,
    from rest; NaN where it found no face. moved (N,): place of the servo that moved alone, −1 where several did.
    """

    positions: Array
    seen: Array
    moved: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class SkinFit:
    """What the camera told. individual: direction, ratio and skin of the robot; its servos are the design's.

    ratio_sd (26,) and skin_sd {name: value} are standard errors of the logarithms; NaN, or the prior's where nothing
    was seen. error_m, error_before_m: rms of a landmark's coordinate that twin and robot differ by, after and before.
    """

    individual: Individual
    ratio_sd: Array
    skin_sd: dict[str, float]
    error_m: float
    error_before_m: float


def flat(look: Look) -> Array:
    """A look as one vector, (1411,): landmarks m, gaze and head rad."""
    return np.concatenate([look.landmarks_m.ravel(), look.gaze_rad.ravel(), look.head_rad])


def scatter() -> Array:
    """Standard deviation of each number of `flat`."""
    return np.concatenate([np.repeat(noise_m(), 3), np.full(7, _ANGLE_SD_RAD)])


def together(eye: Eye) -> float:
    """By how much larger the error of all landmarks together is than if each were wrong by itself."""
    return 1.0 if isinstance(eye, PlainEye) else _TOGETHER


def patterns(eye: Eye, amount: float) -> Array:
    """What the twin shows of each servo that moves alone, `away` by `amount`, (26, 1411), from rest."""
    poses = np.tile(REST_COMMAND, (len(SERVOS), 1)) + np.diag(amount * away())
    seen = _Twin(eye).look(Individual(), np.concatenate([REST_COMMAND[None], poses]))
    return seen[1:] - seen[0]


def away() -> Array:
    """The direction, (26,), in which each servo has more room from rest."""
    return np.where(REST_COMMAND <= 0.5, 1.0, -1.0)


def fit_skin(views: Views, direction: Array, eye: Eye, progress: Progress = lambda done, total: None) -> SkinFit:
    """The most probable robot for some views, its directions (26,) being known. `eye` looks at the twin.

    Gauss-Newton on the log parameters; the error is what the eye sees, the derivative the true face's as it sees it.
    Standard errors allow for the landmarks of one look being wrong together. Raises `InputError` for too few views.
    """
    good = np.isfinite(views.seen).all(1)
    if good.sum() < 10:
        raise InputError(
            f"calibration: the camera found a face in {good.sum()} poses, wanted are 10 or more; more light?"
        )
    positions = np.clip(views.positions[good], 0, 1)  # encoders may be a tick beyond the end
    seen, moved = views.seen[good], views.moved[good]
    weight = 1 / scatter() / (1.0 if isinstance(eye, PlainEye) else _JITTER)
    prior_sd = np.r_[np.full(len(SERVOS), _spread(*RANGES["ratio"])), [_skin_spread(n) for n in SKIN]]
    log = np.zeros(len(prior_sd))
    twin, start = _Twin(eye), replace(Individual(), direction=direction)
    predicted = twin.look(_at(start, log), positions, from_rest=True)
    cost = _cost(predicted, seen, weight, log, prior_sd)
    jacobian = np.zeros((len(log), *seen.shape))
    before, damping = predicted, 1.0
    for done in range(1, _STEPS + 1):
        progress(done, _STEPS)
        if damping == 1:
            jacobian, plain = _derivative(_at(start, log), log, positions, moved)
            if not isinstance(eye, PlainEye):
                jacobian = _as_seen(jacobian, plain, predicted, weight)
        wrong = ((seen - predicted) * weight).ravel()
        slopes = (jacobian * weight).reshape(len(log), -1)
        hessian = slopes @ slopes.T + np.diag(prior_sd**-2)
        step = np.linalg.solve(hessian, slopes @ wrong - log / prior_sd**2)
        step = damping * np.clip(step, -1.0, 1.0)
        tried = twin.look(_at(start, log + step), positions, from_rest=True)
        if (now := _cost(tried, seen, weight, log + step, prior_sd)) < cost:
            log, predicted, cost, damping = log + step, tried, now, 1.0
            if np.abs(step).max() < _CLOSE:
                break
        else:
            damping *= 0.4
    sd = _errors(jacobian, seen - predicted, weight, prior_sd)
    count = len(SERVOS)
    return SkinFit(
        individual=_at(start, log),
        ratio_sd=np.hypot(sd[:count], _TWIN_SD),
        skin_sd=dict(zip(SKIN, sd[count:].tolist(), strict=True)),
        error_m=_rms(seen - predicted),
        error_before_m=_rms(seen - before),
    )


class _Twin:
    """Simulated robots whose servos hold so firmly that they stand where they are told, and an eye before them."""

    def __init__(self, eye: Eye):
        self._eye = eye

    def look(self, individual: Individual, positions: Array, from_rest: bool = False) -> Array:
        """What the eye sees in poses (N, 26), (N, 1411), NaN where it finds no face."""
        poses = np.concatenate([REST_COMMAND[None], positions]) if from_rest else positions
        seen = np.full((len(poses), len(scatter())), np.nan)
        states = _settled(individual, poses)
        for i in range(len(poses)):
            state = states[i]
            look = self._eye.see(Surface(state.vertices_m, state.head_pose, state.gaze_rad))
            if look is not None:
                seen[i] = flat(look)
        return seen[1:] - seen[0] if from_rest else seen


def _settled(individual: Individual, poses: Array) -> FaceState:
    many = np.full(len(SERVOS), _FIRM)
    firm = replace(individual, gain=many, torque=many, inertia=many, friction=np.zeros(len(SERVOS)))
    return IndividualFaces(firm, min(_BATCH, len(poses)), timestep_s=_TIMESTEP_S).settled(poses, way_s=0.2, wait_s=0.4)


def _as_seen(jacobian: Array, plain: Array, predicted: Array, weight: Array) -> Array:
    """How a derivative of the true face, (29, N, 1411), looks to an eye that shows `predicted` (N, 1411) for `plain`.

    The eye is linear here: the ridge regression of the one on the other. A tracker shows some motion smaller, and some
    in the wrong place.
    """
    true = plain * weight
    gram = true @ true.T
    gram += _EYE_RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    return ((jacobian * weight) @ true.T) @ np.linalg.solve(gram, predicted)


def _derivative(individual: Individual, log: Array, positions: Array, moved: NDArray[np.int64]) -> tuple[Array, Array]:
    """Change of the true face per change of each log parameter, (29, N, 1411), and that face, (N, 1411)."""
    plain, count = _Twin(PlainEye()), len(SERVOS)
    here = plain.look(individual, positions, from_rest=True)
    result = np.zeros((len(log), *here.shape))
    alone = np.flatnonzero(moved >= 0)
    wider = replace(individual, ratio=individual.ratio * np.exp(_NUDGE))
    slope = (plain.look(wider, positions[alone], from_rest=True) - here[alone]) / _NUDGE
    per_command = np.zeros((count, here.shape[1]))
    for i in range(count):
        mine = alone[moved[alone] == i]
        result[i, mine] = slope[moved[alone] == i]
        travel = (positions[mine] - REST_COMMAND)[:, i]
        if len(mine):
            per_command[i] = travel @ slope[moved[alone] == i] / max(travel @ travel, 1e-9)
    several = np.flatnonzero(moved < 0)
    result[:count, several] = per_command[:, None] * (positions[several] - REST_COMMAND).T[:, :, None]
    for k, name in enumerate(SKIN):
        nudged = replace(individual, **{name: getattr(individual, name) * np.exp(_NUDGE)})
        result[count + k] = (plain.look(nudged, positions, from_rest=True) - here) / _NUDGE
    return result, here


def _at(start: Individual, log: Array) -> Individual:
    skin = {n: getattr(start, n) * float(np.exp(v)) for n, v in zip(SKIN, log[len(SERVOS) :], strict=True)}
    return replace(start, ratio=np.exp(log[: len(SERVOS)]), **skin)


def _cost(predicted: Array, seen: Array, weight: Array, log: Array, prior_sd: Array) -> float:
    return float(np.nansum(((seen - predicted) * weight) ** 2) + np.sum((log / prior_sd) ** 2))


def _errors(jacobian: Array, wrong: Array, weight: Array, prior_sd: Array) -> Array:
    """Standard errors, (29,): each look is one sample, however many landmarks it has."""
    slopes = jacobian * weight
    hessian = np.einsum("anm,bnm->ab", slopes, slopes) + np.diag(prior_sd**-2)
    pull = np.einsum("anm,nm->na", slopes, wrong * weight)
    spread = pull.T @ pull + np.diag(prior_sd**-2)
    inverse = np.linalg.inv(hessian)
    return np.sqrt(np.diag(inverse @ spread @ inverse))


def _spread(low: float, high: float) -> float:
    """Standard deviation of a logarithm that lies evenly between two."""
    return float(np.log(high / low) / np.sqrt(12))


def _skin_spread(name: str) -> float:
    """Of a stiffness relative to the membrane's: membrane and numerator both vary."""
    young, thick = (_spread(*SKIN_RANGES[n]) for n in ("young_pa", "thickness_m"))
    if name == "bending":  # E h³ over E h
        return 2 * thick
    return float(np.hypot(_spread(*SKIN_RANGES[name]), np.hypot(young, thick)))


def _rms(wrong: Array) -> float:
    return float(np.sqrt(np.nanmean(wrong[:, :-7] ** 2)))


__all__ = ["SkinFit", "Views", "away", "fit_skin", "flat", "patterns", "scatter", "together"]
