"""The robot face's mechanism as a MuJoCo model: neck, eyeballs, lids, brow arms, lip chains, five-bars and jaw.

Everything is built in the face frame (+x the subject's left, +y up, +z forward, metres) with the head at the
origin. All joints are zero at the rest command. Layout of the linkages is this project's own; the number of
chains, passive joints and magnets follows the Emo robot (Hu et al. 2024, figure 2).
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from .. import mesh
from .servo import SERVOS, index

BROW_MAGNETS = {
    "right_inner_brow": (107, 66), "right_outer_brow": (105, 63),
    "left_inner_brow": (336, 296), "left_outer_brow": (334, 293),
}  # fmt: skip
UPPER_LIP_MAGNETS = {"upper_lip_center": 0, "right_upper_lip": 39, "left_upper_lip": 269}
LOWER_LIP_MAGNETS = {"lower_lip_center": 17, "right_lower_lip": 181, "left_lower_lip": 405}
CORNER_MAGNETS = {"right_corner": 61, "left_corner": 291}
JAW_MAGNETS = (152, 199, 148, 377)
SKULL_MAGNETS = (4, 6, 9, 151, 139, 368, 116, 345, 177, 401)
"""Ten magnets that hold the skin to the skull."""
MAGNETS: tuple[int, ...] = (
    *(v for pair in BROW_MAGNETS.values() for v in pair),
    *UPPER_LIP_MAGNETS.values(), *LOWER_LIP_MAGNETS.values(), *CORNER_MAGNETS.values(),
    *JAW_MAGNETS, *SKULL_MAGNETS,
)  # fmt: skip
"""The 30 vertices that carry a magnet, in the order of every magnet array."""
SITES: tuple[int, ...] = MAGNETS[:16]
"""The 16 magnets that move other than with the jaw; each is a site `magnet_<vertex>`."""
PLATES: dict[int, tuple[int, ...]] = {
    61: (76, 62, 78, 146, 185), 291: (306, 292, 308, 375, 409),
    107: (55,), 66: (65,), 105: (52,), 63: (53,), 336: (285,), 296: (295,), 334: (282,), 293: (283,),
    0: (11,), 39: (73,), 269: (303,), 17: (16,), 181: (180,), 405: (404,),
}  # fmt: skip
"""A magnet is a plate some 9 mm across: the skin around it moves by the same displacement."""

JAW_RIM = (397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172)
"""Vertices of the skin's hem that ride on the jaw."""
FREE_RIM = (361, 288, 58, 132)
"""Vertices of the hem at the corner of the jaw that nothing holds."""
CANTHI = (33, 133, 263, 362)

UPPER_LIDS = ((246, 161, 160, 159, 158, 157, 173), (466, 388, 387, 386, 385, 384, 398))
LOWER_LIDS = ((7, 163, 144, 145, 153, 154, 155), (249, 390, 373, 374, 380, 381, 382))
LID_JOINTS = ("right_upper_lid", "right_lower_lid", "left_upper_lid", "left_lower_lid")
JAW_PIVOT = np.array([0.0, -0.040, -0.045])
CORNER_TILT_RAD = 0.4
"""The plane of each five-bar faces outward by this angle, as the cheek does."""
LID_SEAT_M = 0.0138
"""Distance from the eye's centre at which a closed lid's margin slides over the eyeball."""

_JAW_VERTICES = tuple(dict.fromkeys((*JAW_MAGNETS, *JAW_RIM)))
_LID_VERTICES = tuple(v for side in (0, 1) for v in (*UPPER_LIDS[side], *LOWER_LIDS[side]))
_PLATE_VERTICES = tuple(v for vertices in PLATES.values() for v in vertices)
_PLATE_OF = [SITES.index(magnet) for magnet, vertices in PLATES.items() for _ in vertices]
MOVING: tuple[int, ...] = (*SITES, *_PLATE_VERTICES, *_JAW_VERTICES, *_LID_VERTICES)
"""Skin vertices whose motion the mechanism prescribes, in the order of `port_displacements`."""
FIXED: tuple[int, ...] = tuple(
    v for v in dict.fromkeys((*SKULL_MAGNETS, *mesh.FACE_OVAL, *CANTHI)) if v not in (*FREE_RIM, *MOVING)
)
"""Skin vertices that the skull holds."""
PORTS: tuple[int, ...] = (*MOVING, *FIXED)
MOVING_MAGNETS: tuple[int, ...] = tuple(v for v in MAGNETS if v in (*SITES, *JAW_MAGNETS))
"""The 20 magnets that move."""


def _lid_geometry() -> tuple[np.ndarray, ...]:
    """Per lid vertex, in the order of `_LID_VERTICES`: angle about the eye's x axis, radius, weight, seat radius, x."""
    rows = []
    for side in (0, 1):
        centre = mesh.EYE_CENTERS[side]
        up = mesh.REST[list(UPPER_LIDS[side])] - centre
        low = mesh.REST[list(LOWER_LIDS[side])] - centre
        aperture = np.arctan2(up[:, 1], up[:, 2]) - np.arctan2(low[:, 1], low[:, 2])
        for offset in (up, low):
            seat = np.sqrt(np.maximum(LID_SEAT_M**2 - offset[:, 0] ** 2, 0))
            radius = np.hypot(offset[:, 1], offset[:, 2])
            angle = np.arctan2(offset[:, 1], offset[:, 2])
            rows.append((angle, radius, aperture / aperture.max(), np.maximum(seat, radius)))
    return tuple(np.concatenate(columns) for columns in zip(*rows, strict=True))


_LID_ANGLE, _LID_RADIUS, _LID_WEIGHT, _LID_SEAT = _lid_geometry()
_LID_OF = np.repeat(np.arange(4), 7)
LID_APERTURE_RAD = float(
    (np.arctan2(*(mesh.REST[159] - mesh.EYE_CENTERS[0])[[1, 2]]))
    - np.arctan2(*(mesh.REST[145] - mesh.EYE_CENTERS[0])[[1, 2]])
)
"""Angle between the margins of the lids at rest."""


def port_displacements(sites_m: np.ndarray, jaw_rad: np.ndarray, lids_rad: np.ndarray) -> np.ndarray:
    """Displacement of every moving port from rest, in the head frame.

    Args:
        sites_m: positions of the 16 magnet sites in the head frame, (…, 16, 3), ordered as `SITES`.
        jaw_rad: jaw angle, (…,), positive opens.
        lids_rad: lid angles, (…, 4), ordered as `LID_JOINTS`, positive up.

    Returns:
        (…, 82, 3) m, ordered as `MOVING`.
    """
    jaw_rest = mesh.REST[list(_JAW_VERTICES)] - JAW_PIVOT
    cos, sin = np.cos(jaw_rad)[..., None], np.sin(jaw_rad)[..., None]
    jaw = np.stack(
        [
            np.zeros((*np.shape(jaw_rad), len(_JAW_VERTICES))),
            (cos - 1) * jaw_rest[:, 1] - sin * jaw_rest[:, 2],
            sin * jaw_rest[:, 1] + (cos - 1) * jaw_rest[:, 2],
        ],
        axis=-1,
    )
    turn = np.asarray(lids_rad)[..., _LID_OF]
    toward = np.where(_LID_OF % 2 == 0, -turn, turn) / LID_APERTURE_RAD  # share of the way to closing
    radius = _LID_RADIUS + np.clip(toward, 0, 1) * (_LID_SEAT - _LID_RADIUS)
    angle = _LID_ANGLE + _LID_WEIGHT * turn
    lids = np.stack(
        [
            np.zeros_like(angle),
            radius * np.sin(angle) - _LID_RADIUS * np.sin(_LID_ANGLE),
            radius * np.cos(angle) - _LID_RADIUS * np.cos(_LID_ANGLE),
        ],
        axis=-1,
    )
    magnets = sites_m - mesh.REST[list(SITES)]
    return np.concatenate([magnets, magnets[..., _PLATE_OF, :], jaw, lids], axis=-2)


@dataclass(frozen=True, kw_only=True)
class MechanismConfig:
    """Free parameters of the mechanism."""

    timestep_s: float = 0.008
    servo_delay_s: float = 0.02
    """From a command's arrival to the first motion: one PWM period; 0.01 … 0.04 are plausible."""
    passive_stiffness_nm: float = 0.02
    """Centring stiffness of the lips' passive joints, N m/rad; unknown, 0 … 0.1 are plausible."""
    passive_damping_nms: float = 1e-3
    """Damping of the passive joints, N m s/rad; unknown."""


@dataclass(frozen=True)
class Tendon:
    """One linear combination of joint angles that the stretched skin pulls back to zero."""

    stiffness_nm: float
    weights: tuple[tuple[str, float], ...]


SKIN_RELAXATION_S = 0.005
"""Damping of a skin tendon over its stiffness; silicone loses little, so this is numerical more than physical."""

_JOINT, _GEOM = mujoco.mjtJoint, mujoco.mjtGeom


class _Builder:
    """Adds bodies whose positions are all given in the head frame."""

    def __init__(self, config: MechanismConfig):
        self.config = config
        self.spec = mujoco.MjSpec()
        self._origin: dict[str, np.ndarray] = {}

    def body(self, parent, name: str, position: np.ndarray):
        origin = self._origin.get(parent.name, np.zeros(3))
        body = parent.add_body(name=name, pos=list(np.asarray(position) - origin))
        self._origin[name] = np.asarray(position, float)
        return body

    def local(self, body, position: np.ndarray) -> list[float]:
        return list(np.asarray(position) - self._origin[body.name])

    def link(self, body, start: np.ndarray, end: np.ndarray, mass: float = 0.003) -> None:
        body.add_geom(
            type=_GEOM.mjGEOM_CAPSULE, fromto=[*self.local(body, start), *self.local(body, end)], size=[0.002, 0, 0],
            mass=mass, contype=0, conaffinity=0,
        )  # fmt: skip

    def ball(self, body, radius: float, mass: float, position=(0.0, 0.0, 0.0)) -> None:
        body.add_geom(
            type=_GEOM.mjGEOM_SPHERE, size=[radius, 0, 0], pos=list(position), mass=mass, contype=0, conaffinity=0
        )

    def servo(self, body, name: str, axis: tuple[float, float, float]) -> None:
        """A driven hinge at the body's origin and its position servo (slew, delay, torque limit, friction)."""
        servo = SERVOS[index(name)]
        limits = [servo.low_rad, servo.high_rad]
        joint = body.add_joint(name=name, type=_JOINT.mjJNT_HINGE, axis=list(axis), range=limits, limited=0)
        joint.armature, joint.frictionloss = servo.armature_kgm2, servo.friction_nm
        joint.damping = [0.005 * servo.torque_nm, 0, 0]
        actuator = self.spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        gain = 20 * servo.torque_nm  # full torque at a twentieth of a radian, as stiff as digital servos are
        damping = 2 * np.sqrt(gain * servo.armature_kgm2)
        actuator.set_to_pid(kp=gain, kv=damping, slewmax=np.radians(servo.slew_deg_s), ctrlspec=1)
        actuator.forcerange, actuator.forcelimited = [-servo.torque_nm, servo.torque_nm], 1
        actuator.ctrlrange, actuator.ctrllimited = limits, 1
        if self.config.servo_delay_s > 0:
            actuator.delay = self.config.servo_delay_s
            actuator.nsample = int(np.ceil(self.config.servo_delay_s / self.config.timestep_s)) + 1
            actuator.interp = 1

    def passive(self, body, name: str, axis: tuple[float, float, float], stiffness_nm: float) -> None:
        joint = body.add_joint(name=name, type=_JOINT.mjJNT_HINGE, axis=list(axis))
        joint.armature, joint.damping = 5e-5, [self.config.passive_damping_nms, 0, 0]
        joint.stiffness = [stiffness_nm, 0, 0]


def _add_neck(build: _Builder):
    base = np.array([0.0, -0.12, -0.06])
    parent = build.spec.worldbody
    for name, axis in (("neck_yaw", (0, 1, 0)), ("neck_pitch", (-1, 0, 0)), ("neck_roll", (0, 0, -1))):
        parent = build.body(parent, name, base)
        build.servo(parent, name, axis)
        build.ball(parent, 0.012, 0.05)
    head = build.body(parent, "head", np.zeros(3))
    head.add_geom(
        type=_GEOM.mjGEOM_ELLIPSOID, size=[0.06, 0.08, 0.06], pos=[0, 0.01, -0.06], mass=0.7, contype=0, conaffinity=0
    )
    return head


def _add_eyes(build: _Builder, head) -> None:
    for side, centre in zip(("right", "left"), mesh.EYE_CENTERS, strict=True):
        yaw = build.body(head, f"{side}_eye_frame", centre)
        build.servo(yaw, f"{side}_eye_yaw", (0, 1, 0))
        build.ball(yaw, 0.003, 0.003)
        ball = build.body(yaw, f"{side}_eyeball", centre)
        build.servo(ball, f"{side}_eye_pitch", (-1, 0, 0))
        build.ball(ball, mesh.EYEBALL_RADIUS_M, 0.01)
        ball.add_camera(name=f"{side}_eye", pos=[0, 0, mesh.EYEBALL_RADIUS_M], xyaxes=[-1, 0, 0, 0, 1, 0], fovy=60)
        for lid, height in (("upper", 0.006), ("lower", -0.006)):
            body = build.body(head, f"{side}_{lid}_lid", centre)
            build.servo(body, f"{side}_{lid}_lid", (-1, 0, 0))
            build.link(body, centre + [-0.009, height, 0.0125], centre + [0.009, height, 0.0125])


def _site(build: _Builder, body, vertex: int) -> None:
    body.add_site(name=f"magnet_{vertex}", pos=build.local(body, mesh.REST[vertex]))


def _add_brows(build: _Builder, head) -> None:
    """Each inner servo lifts a whole brow; the outer servo's arm rides on it and tilts the brow's outer half."""
    for side in ("right", "left"):
        parent = head
        for name in (f"{side}_inner_brow", f"{side}_outer_brow"):
            vertices = BROW_MAGNETS[name]
            middle = mesh.REST[list(vertices)].mean(0)
            arm = build.body(parent, name, middle - [0, 0, 0.025])
            build.servo(arm, name, (-1, 0, 0))
            build.link(arm, middle - [0, 0, 0.025], middle)
            for vertex in vertices:
                _site(build, arm, vertex)
            parent = arm


def _add_lip(build: _Builder, parent, name: str, vertex: int, lift_m: float) -> None:
    """A servo's crank, then a passive link whose end carries the magnet; the skin settles the passive joint."""
    magnet = mesh.REST[vertex]
    pivot, joint = magnet + [0, lift_m, -0.045], magnet - [0, 0, 0.020]
    crank = build.body(parent, name, pivot)
    build.servo(crank, name, (-1, 0, 0))
    build.link(crank, pivot, joint)
    link = build.body(crank, f"{name}_link", joint)
    build.passive(link, f"{name}_passive", (-1, 0, 0), build.config.passive_stiffness_nm)
    build.link(link, joint, magnet)
    _site(build, link, vertex)


def _add_corner(build: _Builder, head, name: str, vertex: int) -> None:
    """A five-bar in the plane of the cheek: two cranks, two links that meet behind the mouth's corner."""
    magnet = mesh.REST[vertex]
    side = float(np.sign(magnet[0]))
    normal = np.array([side * np.sin(CORNER_TILT_RAD), 0, np.cos(CORNER_TILT_RAD)])
    out, up = np.array([side * normal[2], 0, -abs(normal[0])]), np.array([0, 1.0, 0])
    tip = magnet - 0.012 * normal
    axis = tuple(side * normal)
    links = {}
    for which, sign in (("upper", 1), ("lower", -1)):
        pivot, elbow = tip + 0.012 * out + sign * 0.022 * up, tip + 0.018 * out + sign * 0.010 * up
        crank = build.body(head, f"{name}_{which}", pivot)
        build.servo(crank, f"{name}_{which}", axis)
        build.link(crank, pivot, elbow)
        links[which] = build.body(crank, f"{name}_{which}_link", elbow)
        build.passive(links[which], f"{name}_{which}_passive", axis, 0.0)
        build.link(links[which], elbow, tip)
        links[which].add_site(name=f"{name}_{which}_tip", pos=build.local(links[which], tip))
    _site(build, links["upper"], vertex)
    loop = build.spec.add_equality(
        name=name, type=mujoco.mjtEq.mjEQ_CONNECT, objtype=mujoco.mjtObj.mjOBJ_SITE,
        name1=f"{name}_upper_tip", name2=f"{name}_lower_tip",
    )  # fmt: skip
    loop.solref = [2 * build.config.timestep_s, 1]


def build(config: MechanismConfig | None = None, tension: tuple[Tendon, ...] = ()) -> mujoco.MjSpec:
    """The mechanism as an `MjSpec`; `tension` are the skin's tendons (see `duchenne.sim.robot.tension`)."""
    builder = _Builder(config or MechanismConfig())
    spec = builder.spec
    spec.modelname = "duchenne robot face"
    spec.compiler.degree = False
    spec.option.timestep = builder.config.timestep_s
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.gravity = [0, -9.81, 0]
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    head = _add_neck(builder)
    _add_eyes(builder, head)
    _add_brows(builder, head)
    jaw = builder.body(head, "jaw", JAW_PIVOT)
    builder.servo(jaw, "jaw", (1, 0, 0))
    builder.link(jaw, JAW_PIVOT, mesh.REST[152] - [0, 0, 0.01], mass=0.06)
    for name, vertex in UPPER_LIP_MAGNETS.items():
        _add_lip(builder, head, name, vertex, 0.012)
    for name, vertex in LOWER_LIP_MAGNETS.items():
        _add_lip(builder, jaw, name, vertex, -0.012)
    for name, vertex in CORNER_MAGNETS.items():
        _add_corner(builder, head, name, vertex)
    for number, tendon in enumerate(tension):
        wire = spec.add_tendon(name=f"skin_{number}")
        wire.stiffness = [tendon.stiffness_nm, 0, 0]
        wire.damping = [SKIN_RELAXATION_S * tendon.stiffness_nm, 0, 0]
        wire.springlength = [0, 0]
        for joint, weight in tendon.weights:
            wire.wrap_joint(joint, weight)
    return spec
