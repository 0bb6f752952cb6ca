"""Servos from what they were told and where they said they were: `mujoco.sysid` on each servo by itself.

A servo is a hinge with the actuator of `sim.robot.mechanism` and a spring for the skin that it drags. Positions tell
forces only relative to inertia; inertia is taken from the design.
"""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..sim.errors import InputError
from ..sim.robot.individual import RANGES
from ..sim.robot.mechanism import MechanismConfig
from ..sim.robot.servo import SERVO_NAMES, SERVOS, to_rad

Array = NDArray[np.floating]
Progress = Callable[[int, int], None]

PARAMETERS = ("delay_s", "gain", "speed", "friction", "torque")
"""What is found: see `Individual`; friction as the servo's shaft feels it."""
_TIMESTEP_S = 0.004
_FULL_TORQUE_RAD = 0.05
_LOAD = 0.02
"""Skin's stiffness over the servo's own to start from; 0.001 … 0.3 is searched."""
_MOST_LOAD = 0.3
_OVER_INERTIA = ("gain", "friction", "torque")
"""Found as shares of inertia, which varies as well."""
_WIDER = 1.2
"""The search goes beyond the plausible range by this factor."""
_ITERATIONS = 6
_NOISE = 0.005
"""An error of position, of the travel, that counts as much as a parameter one standard deviation off the usual."""
_ROUNDING = 3e-4
_NUDGE = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Shake:
    """Servos on the move: commands (n, 26) that left at sent_s (n,), positions (m, 26) asked for at read_s (m,)."""

    sent_s: Array
    sent: Array
    read_s: Array
    positions: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class ServoFit:
    """Arrays (26,). values: by name of `PARAMETERS`; log_sd: standard errors of their logarithms, as large as the
    plausible range's own spread where nothing was learnt. error: rms of position that is left, of the travel."""

    values: dict[str, Array]
    log_sd: dict[str, Array]
    error: Array


def fit_servos(shake: Shake, progress: Progress = lambda done, total: None) -> ServoFit:
    """Delay, gain, speed and friction of every servo. Raises `InputError` for recordings that cannot be used."""
    _check(shake)
    rows = []
    for i in range(len(SERVOS)):
        rows.append(_fit_one(i, shake))
        progress(i + 1, len(SERVOS))
    values, sd, error = (np.array(column) for column in zip(*rows, strict=True))
    return ServoFit(
        values=dict(zip(PARAMETERS, values.T, strict=True)),
        log_sd=dict(zip(PARAMETERS, sd.T, strict=True)),
        error=error,
    )


def _fit_one(place: int, shake: Shake) -> tuple[Array, Array, float]:
    """Values and log errors in the order of `PARAMETERS`, and what is left."""
    from mujoco import sysid

    if not hasattr(sysid, "optimize"):
        raise InputError("identifying servos needs mujoco's sysid; pip install 'duchenne[calibration]'")
    servo = SERVOS[place]
    span = servo.high_rad - servo.low_rad
    params, middle, spread = sysid.ParameterDict(), [], []
    for name in PARAMETERS:
        low, high = np.log(RANGES[name])
        wide = 0.5 * np.log(RANGES["inertia"][1] / RANGES["inertia"][0]) if name in _OVER_INERTIA else 0.0
        middle.append(0.5 * (low + high))
        spread.append(np.hypot(high - low, 2 * wide) / np.sqrt(12))
        low, high = low - wide - np.log(_WIDER), high + wide + np.log(_WIDER)
        params.add(sysid.Parameter(name, middle[-1], low, high, modifier=_MODIFIERS[name]))
    load = sysid.Parameter("load", np.log(_LOAD), np.log(1e-3), np.log(_MOST_LOAD), modifier=_set_load)
    params.add(load)
    spec = _single(place)
    model = spec.compile()
    assert model is not None
    grid = np.arange(shake.sent_s[0], shake.read_s[-1] + _TIMESTEP_S, _TIMESTEP_S)
    latest = np.clip(np.searchsorted(shake.sent_s, grid, side="right") - 1, 0, None)
    told = to_rad(shake.sent)[latest, place, None]
    start = to_rad(shake.positions)[0, place]
    data = mujoco.MjData(model)
    data.qpos[0], data.ctrl[0] = start, told[0, 0]
    mujoco.mj_forward(model, data)
    state = np.zeros(mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_FULLPHYSICS))
    mujoco.mj_getState(model, data, state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
    zero = grid[0]
    control = sysid.TimeSeries(grid - zero, told)
    late = shake.read_s - zero + _TIMESTEP_S  # a sensor of MuJoCo's tells of the step before
    seen = sysid.TimeSeries.from_names(late, to_rad(shake.positions)[:, place, None] / span, model)
    sequences = [sysid.ModelSequences(servo.name, spec, "shake", state, control, seen)]
    residual = sysid.build_residual_fn(models_sequences=sequences, n_threads=1)
    usual = np.r_[middle, np.log(_LOAD)], np.r_[spread, (np.log(_MOST_LOAD) - np.log(1e-3)) / np.sqrt(12)]
    scale = np.sqrt(np.mean((to_rad(shake.positions)[:, place] / span) ** 2))  # sysid divides by it

    def plausible(x, params):
        """What sysid makes small, and how far the parameters are from the usual ones."""
        wrong, predicted, measured = residual(x, params)
        far = ((x.T - usual[0]) / usual[1]).T * _NOISE / scale / np.sqrt(len(shake.read_s))
        return [*wrong, far], predicted, measured

    first = np.array(
        [usual[0] + np.r_[a, b, np.zeros(len(usual[0]) - 2)] for a in (-0.4, 0, 0.4) for b in (-1.0, 0, 1.0)]
    )
    wrong = np.concatenate(plausible(first.T, params.copy())[0])
    params.update_from_vector(first[np.argmin((wrong**2).sum(0))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, result = sysid.optimize(
            initial_params=params, residual_fn=plausible, optimizer="mujoco", verbose=False, max_iters=_ITERATIONS,
            eps=_NUDGE, output=io.StringIO(),
        )  # fmt: skip
    left = np.concatenate([np.ravel(r) for r in residual(result.x, found.copy())[0]])
    jacobian = np.asarray(result.jac)[: len(left)]
    noise = max(float(left @ left) / len(left) * _together(left), (_ROUNDING / scale) ** 2 / len(left))
    covariance = np.linalg.inv(jacobian.T @ jacobian / noise + np.diag(usual[1] ** -2))
    count = len(PARAMETERS)
    error = scale * float(np.linalg.norm(left))
    return np.exp(result.x[:count]), np.sqrt(np.diag(covariance))[:count], error


def _together(left: Array) -> float:
    """How many neighbouring samples are wrong together: error bars are to know it."""
    wrong = left - left.mean()
    power = np.correlate(wrong, wrong, "full")[len(wrong) - 1 :]
    share = power / max(power[0], 1e-30)
    until = int(np.argmax(share < 0.1)) or len(share)
    return float(1 + 2 * share[1:until].sum())


def _single(place: int) -> mujoco.MjSpec:
    """One servo by itself, its shaft's angle in shares of its travel as the only sensor."""
    servo = SERVOS[place]
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = _TIMESTEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.gravity = [0, 0, 0]
    body = spec.worldbody.add_body(name="crank", mass=1e-3, inertia=[1e-8] * 3, explicitinertial=True)
    joint = body.add_joint(name="servo", type=mujoco.mjtJoint.mjJNT_HINGE, axis=[0, 0, 1])
    joint.armature, joint.frictionloss = servo.armature_kgm2, servo.friction_nm
    joint.damping = [0.005 * servo.torque_nm, 0, 0]
    actuator = spec.add_actuator(name="servo", target="servo", trntype=mujoco.mjtTrn.mjTRN_JOINT)
    actuator.forcerange, actuator.forcelimited = [-servo.torque_nm, servo.torque_nm], 1
    actuator.interp, actuator.nsample = 1, 32
    _set_drive(spec, place, gain=1.0, speed=1.0)
    actuator.delay = MechanismConfig().servo_delay_s
    spec.modelname = str(place)
    span = servo.high_rad - servo.low_rad
    spec.add_tendon(name="shaft").wrap_joint("servo", 1 / span)
    spec.add_sensor(
        name="shaft", type=mujoco.mjtSensor.mjSENS_TENDONPOS, objtype=mujoco.mjtObj.mjOBJ_TENDON, objname="shaft"
    )
    return spec


def _set_drive(spec: mujoco.MjSpec, place: int, gain: float, speed: float) -> None:
    servo = SERVOS[place]
    stiffness = servo.torque_nm / _FULL_TORQUE_RAD * gain
    spec.actuator("servo").set_to_pid(
        kp=stiffness, kv=2 * np.sqrt(stiffness * servo.armature_kgm2), slewmax=np.radians(servo.slew_deg_s) * speed,
        ctrlspec=1,
    )  # fmt: skip


def _set_gain(spec: mujoco.MjSpec, parameter) -> None:
    place, gain = int(spec.modelname), float(np.exp(parameter.value[0]))
    speed = spec.actuator("servo").dynprm[1] / np.radians(SERVOS[place].slew_deg_s)
    _set_drive(spec, place, gain, speed)


def _set_speed(spec: mujoco.MjSpec, parameter) -> None:
    spec.actuator("servo").dynprm[1] = np.radians(SERVOS[int(spec.modelname)].slew_deg_s) * np.exp(parameter.value[0])


def _set_delay(spec: mujoco.MjSpec, parameter) -> None:
    spec.actuator("servo").delay = float(np.exp(parameter.value[0]))


def _set_friction(spec: mujoco.MjSpec, parameter) -> None:
    spec.joint("servo").frictionloss = SERVOS[int(spec.modelname)].friction_nm * float(np.exp(parameter.value[0]))


def _set_torque(spec: mujoco.MjSpec, parameter) -> None:
    limit = SERVOS[int(spec.modelname)].torque_nm * float(np.exp(parameter.value[0]))
    spec.actuator("servo").forcerange = [-limit, limit]


def _set_load(spec: mujoco.MjSpec, parameter) -> None:
    servo = SERVOS[int(spec.modelname)]
    spec.joint("servo").stiffness = [servo.torque_nm / _FULL_TORQUE_RAD * float(np.exp(parameter.value[0])), 0, 0]


_MODIFIERS = {"delay_s": _set_delay, "gain": _set_gain, "speed": _set_speed, "friction": _set_friction,
              "torque": _set_torque}  # fmt: skip


def _check(shake: Shake) -> None:
    arrays = (shake.sent_s, shake.sent, shake.read_s, shake.positions)
    if not all(np.isfinite(a).all() for a in arrays):
        raise InputError("recording of servos: got numbers that are not finite; leave out reads that failed")
    if shake.sent.shape != (len(shake.sent_s), len(SERVOS)) or shake.positions.shape != (
        len(shake.read_s),
        len(SERVOS),
    ):
        raise InputError(
            f"recording of servos: got commands {shake.sent.shape} at {len(shake.sent_s)} times and positions "
            f"{shake.positions.shape} at {len(shake.read_s)}; wanted are (n, {len(SERVOS)}) and (m, {len(SERVOS)})"
        )
    still = [SERVO_NAMES[i] for i in np.flatnonzero(np.ptp(shake.sent, axis=0) < 0.02)]
    if still or len(shake.read_s) < 50:
        raise InputError(f"recording of servos: {len(shake.read_s)} reads, still were: {', '.join(still) or 'none'}")


__all__ = ["PARAMETERS", "ServoFit", "Shake", "fit_servos"]
