"""One robot as it was built: servos, linkages and skin that differ from the design.

    robots = IndividualFaces(Individual.sample(np.random.default_rng(3)), 8)
    robots.step(commands)            # (8, 26): what the servos are told, not what their cranks do

The design's own numbers are those of `servo`, `mechanism` and `skin`; here stand factors on them. The servos are
mounted at rest, so that the rest command is the rest pose of every individual.
"""

from dataclasses import dataclass, field, replace
from functools import cache

import mujoco
import numpy as np

from ..errors import InputError
from ..skin import SkinMaterial
from ..skin_fast import FastSkin
from .face import CONTROL_PERIOD_S, FaceState, RobotFaces
from .face_skin import default_skin, linear_skin, robot_sheet
from .mechanism import MOVING, PORTS, MechanismConfig, Tendon, build
from .servo import EXPRESSIVE, REST_COMMAND, SERVOS, to_command, to_rad
from .tension import skin_tendons

RANGES: dict[str, tuple[float, float]] = {
    "ratio": (0.8, 1.25),
    "delay_s": (0.01, 0.04),
    "gain": (0.5, 2.0),
    "speed": (0.75, 1.25),
    "friction": (0.5, 3.0),
    "inertia": (0.3, 3.0),
    "torque": (0.6, 1.7),
}
"""Where the servos of a population lie, evenly in the logarithm.

ratio: horns have holes every 2 mm on 8-16 mm, so that a linkage is a hole off by 12-25 %; *unknown* for Emo.
delay_s: half a PWM period to two. gain: full torque within 1.5-6° of error; *unknown*, makers give dead bands only.
speed: 60° in 0.12-0.20 s, data sheets of digital micro servos. friction, inertia, torque: the plausible ranges of
`servo.Servo`.
"""
SKIN_RANGES: dict[str, tuple[float, float]] = {
    "young_pa": (30e3, 150e3),
    "thickness_m": (1.5e-3, 3e-3),
    "foundation": (0.2, 2.0),
    "passive_nm": (0.005, 0.1),
}
"""The same for the skin: `SkinMaterial`'s ranges (its tangential foundation is 1e4 … 2e5 N/m³, here a factor on both)
and `MechanismConfig.passive_stiffness_nm`."""
END_STOP = 0.1
"""A linkage goes by this share of its travel beyond the design's range, no further."""
_TIMESTEP_S = 0.004


def _ones() -> np.ndarray:
    return np.ones(len(SERVOS))


@dataclass(frozen=True, kw_only=True, eq=False)
class Individual:
    """Arrays are (26,), ordered as `SERVO_NAMES`; all but delay and direction are factors on the design's numbers.

    direction: −1 where a servo turns its crank the wrong way. ratio: crank angle per servo angle.
    gain: torque per angle of error. speed: of the slew. delay_s: from a goal's arrival to the first motion.
    tension: of the skin's membrane, E·h. foundation: of what backs the skin. bending: of E·h³. passive_nm: stiffness
    of the lips' passive joints, N m/rad.
    """

    direction: np.ndarray = field(default_factory=_ones)
    ratio: np.ndarray = field(default_factory=_ones)
    gain: np.ndarray = field(default_factory=_ones)
    speed: np.ndarray = field(default_factory=_ones)
    friction: np.ndarray = field(default_factory=_ones)
    inertia: np.ndarray = field(default_factory=_ones)
    torque: np.ndarray = field(default_factory=_ones)
    delay_s: np.ndarray = field(default_factory=lambda: np.full(len(SERVOS), MechanismConfig().servo_delay_s))
    tension: float = 1.0
    foundation: float = 1.0
    bending: float = 1.0
    passive_nm: float = MechanismConfig().passive_stiffness_nm

    def __post_init__(self):
        for name in ("direction", *RANGES):
            values = np.array(getattr(self, name), float)
            if values.shape != (len(SERVOS),) or not np.isfinite(values).all():
                raise InputError(f"{name}: got shape {values.shape}, allowed are {len(SERVOS)} finite numbers")
            if name == "direction" and (np.abs(values) != 1).any():
                raise InputError(f"direction: got {values}, allowed are 1 and -1")
            if name not in ("direction", "friction", "delay_s") and (values <= 0).any():
                raise InputError(f"{name}: got {values.min():g}, it must be positive")
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    @classmethod
    def sample(cls, rng: np.random.Generator, swapped: int = 1) -> "Individual":
        """A robot drawn from `RANGES` and `SKIN_RANGES`; `swapped` of the servos that shape the skin turn wrongly."""

        def draw(low: float, high: float, size: int | None = None) -> np.ndarray:
            return np.exp(rng.uniform(np.log(low), np.log(high), size))

        servos = {name: draw(*limits, len(SERVOS)) for name, limits in RANGES.items()}
        skin = {name: float(draw(*limits)) for name, limits in SKIN_RANGES.items()}
        direction, design = _ones(), SkinMaterial()
        direction[rng.choice(EXPRESSIVE, swapped, replace=False)] = -1
        young, thick = skin["young_pa"] / design.young_pa, skin["thickness_m"] / design.thickness_m
        return cls(
            direction=direction, **servos, tension=young * thick, bending=young * thick**3,
            foundation=skin["foundation"], passive_nm=skin["passive_nm"],
        )  # fmt: skip

    def crank_rad(self, commands: np.ndarray) -> np.ndarray:
        """Angles, (…, 26) rad, to which commands (…, 26) send the cranks, before any end stop."""
        return self.direction * self.ratio * to_rad(commands)

    def shaft(self, crank_rad: np.ndarray) -> np.ndarray:
        """Where the servos' own encoders stand, (…, 26) in command units, for crank angles (…, 26) rad."""
        return to_command(crank_rad / (self.direction * self.ratio))

    def told_through(self, direction: np.ndarray, ratio: np.ndarray) -> "Individual":
        """What this robot is for whoever believes in these directions and ratios, (26,), and corrects commands by them.

        With its own ones the linkages are as designed.
        """
        return replace(self, direction=self.direction * direction, ratio=self.ratio / ratio, speed=self.speed * ratio)

    def model(self, timestep_s: float = _TIMESTEP_S) -> mujoco.MjModel:
        """The mechanism, compiled."""
        config = MechanismConfig(timestep_s=timestep_s, passive_stiffness_nm=self.passive_nm)
        spec = build(config, _tendons(self.foundation / self.tension, self.bending / self.tension, self.tension))
        for i, servo in enumerate(SERVOS):
            joint, actuator = spec.joint(servo.name), spec.actuator(servo.name)
            torque = servo.torque_nm * self.torque[i]
            joint.armature = servo.armature_kgm2 * self.inertia[i]
            joint.frictionloss = servo.friction_nm * self.friction[i]
            gain = 20 * servo.torque_nm * self.gain[i]
            speed = np.radians(servo.slew_deg_s) * self.speed[i] * self.ratio[i]
            actuator.set_to_pid(kp=gain, kv=2 * np.sqrt(gain * joint.armature), slewmax=speed, ctrlspec=1)
            actuator.forcerange = [-torque, torque]
            slack = END_STOP * (servo.high_rad - servo.low_rad)
            actuator.ctrlrange = [servo.low_rad - slack, servo.high_rad + slack]
            actuator.delay = self.delay_s[i]
            actuator.nsample = int(np.ceil(self.delay_s[i] / timestep_s)) + 1
            actuator.interp = 1
        return spec.compile()

    def skin(self) -> FastSkin:
        """The fast skin map: the linear response of this skin, what the design's adds to it at large motions."""
        return _fast_skin(self.foundation / self.tension, self.bending / self.tension)


class IndividualFaces(RobotFaces):
    """`count` simulated copies of one individual; arguments as of `RobotFaces`. Commands are its servos' own."""

    def __init__(self, individual: Individual, count: int = 1, *, threads: int = 1, timestep_s: float = _TIMESTEP_S):
        self.individual = individual
        super().__init__(
            count, threads=threads, skin=individual.skin(), config=MechanismConfig(timestep_s=timestep_s),
            model=individual.model(timestep_s),
        )  # fmt: skip

    def torque_share(self) -> np.ndarray:
        """How much of its torque each servo uses, (count, 26) in −1…1."""
        return self.servo_nm(self._everyone) / self.model.actuator_forcerange[self._actuator, 1]

    def hold(self, ids: np.ndarray, commands: np.ndarray, steps: int) -> np.ndarray:
        return super().hold(ids, to_command(self.individual.crank_rad(commands)), steps)

    def settled(self, commands: np.ndarray, *, way_s: float = 0.4, wait_s: float = 0.6) -> FaceState:
        """The robots at rest in commands (N, 26), any number of them, each gone to from the rest pose."""
        commands, parts = np.asarray(commands, float), []
        for start in range(0, len(commands), len(self)):
            chunk = commands[start : start + len(self)]
            goals = np.concatenate([chunk, np.tile(REST_COMMAND, (len(self) - len(chunk), 1))])
            self.reset()
            for share in np.linspace(0, 1, round(way_s / CONTROL_PERIOD_S) + 1)[1:]:
                self.advance(REST_COMMAND + share * (goals - REST_COMMAND))
            self.advance(goals, round(wait_s / CONTROL_PERIOD_S))
            state = self.state()
            parts.append([getattr(state, name)[: len(chunk)] for name in FaceState.__dataclass_fields__])
        return FaceState(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@cache
def _linear(foundation: float, bending: float):
    """The skin's linear response for a foundation and a bending stiffness relative to its membrane's."""
    if foundation == bending == 1:
        return linear_skin()
    design = SkinMaterial()
    material = replace(
        design,
        foundation_tangential_n_m3=design.foundation_tangential_n_m3 * foundation,
        foundation_normal_n_m3=design.foundation_normal_n_m3 * foundation,
        bending_scale=bending,
    )
    return robot_sheet(material).condense(PORTS)


@cache
def _unit_tendons(foundation: float, bending: float) -> tuple[Tendon, ...]:
    size = 3 * len(MOVING)
    return skin_tendons(_linear(foundation, bending).stiffness[:size, :size])


def _tendons(foundation: float, bending: float, tension: float) -> tuple[Tendon, ...]:
    return tuple(replace(t, stiffness_nm=t.stiffness_nm * tension) for t in _unit_tendons(foundation, bending))


@cache
def _fast_skin(foundation: float, bending: float) -> FastSkin:
    skin = default_skin()
    if foundation == bending == 1:
        return skin
    size = 3 * len(MOVING)
    rank = skin.basis.shape[1]
    modes = skin.vertex_modes.copy()
    modes[:rank] = np.linalg.pinv(skin.basis.astype(float)) @ _linear(foundation, bending).displacement[:, :size].T
    return replace(skin, vertex_modes=modes)


__all__ = ["END_STOP", "RANGES", "SKIN_RANGES", "Individual", "IndividualFaces"]
