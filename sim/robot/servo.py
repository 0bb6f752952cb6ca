"""The 26 servos of the robot face: names, travel, rest, meaning, and the 11 symmetric parameters.

Names, travel and rest angles are in the spirit of the Emo robot's published configuration (github.com/
H-Y-H-Y-H/emo_V22); the crank that a servo turns moves by the same angle as the servo.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError, VocabularyError


@dataclass(frozen=True, kw_only=True)
class Servo:
    """One servo. A command runs from 0 at `low_deg` to 1 at `high_deg`; the joint is zero at the rest command."""

    name: str
    travel_deg: float
    rest: float
    meaning_low: str
    meaning_high: str
    slew_deg_s: float = 400.0
    """No-load speed; 60° in 0.15 s is usual for a digital micro servo at 6 V."""
    torque_nm: float = 0.35
    """Stall torque at the crank; 0.2-0.6 N m is the range of digital micro servos."""
    armature_kgm2: float = 1e-3
    """Rotor inertia seen at the output; unknown for these servos, 0.3e-3 … 3e-3 are plausible."""
    friction_nm: float = 0.01
    """Dry friction at the output; unknown, 0.005 … 0.03 are plausible."""

    def __post_init__(self):
        if not 0 <= self.rest <= 1 or self.travel_deg <= 0:
            raise VocabularyError(f"servo {self.name}: rest must lie in 0..1 and travel be positive")

    @property
    def low_rad(self) -> float:
        """Joint angle at command 0, rad."""
        return -self.rest * np.radians(self.travel_deg)

    @property
    def high_rad(self) -> float:
        """Joint angle at command 1, rad."""
        return (1 - self.rest) * np.radians(self.travel_deg)


def _both(name: str, **fields) -> tuple[Servo, Servo]:
    return Servo(name=f"right_{name}", **fields), Servo(name=f"left_{name}", **fields)


_NECK = {"slew_deg_s": 200.0, "torque_nm": 6.0, "armature_kgm2": 2e-2, "friction_nm": 0.1}
_neck = (
    Servo(name="neck_yaw", travel_deg=140, rest=0.5, meaning_low="to the right", meaning_high="to the left", **_NECK),
    Servo(name="neck_pitch", travel_deg=40, rest=0.5, meaning_low="chin down", meaning_high="chin up", **_NECK),
    Servo(name="neck_roll", travel_deg=30, rest=0.5, meaning_low="to right shoulder", meaning_high="to left", **_NECK),
)
_eye_yaw = _both("eye_yaw", travel_deg=60, rest=0.5, meaning_low="to the right", meaning_high="to the left")
_eye_pitch = _both("eye_pitch", travel_deg=30, rest=0.5, meaning_low="down", meaning_high="up")
_upper_lid = _both("upper_lid", travel_deg=46, rest=0.78, meaning_low="closed", meaning_high="wide open")
_lower_lid = _both("lower_lid", travel_deg=22, rest=0.2, meaning_low="down", meaning_high="up, squinting")
_inner_brow = _both("inner_brow", travel_deg=28, rest=0.43, meaning_low="brow down", meaning_high="brow up")
_outer_brow = _both("outer_brow", travel_deg=24, rest=0.5, meaning_low="outer half down", meaning_high="outer half up")
_upper_lip = _both("upper_lip", travel_deg=26, rest=0.3, meaning_low="down", meaning_high="raised")
_lower_lip = _both("lower_lip", travel_deg=26, rest=0.6, meaning_low="down, teeth bare", meaning_high="raised")
_corner_upper = _both("corner_upper", travel_deg=50, rest=0.4, meaning_low="crank in", meaning_high="crank up and out")
_corner_lower = _both("corner_lower", travel_deg=50, rest=0.4, meaning_low="crank out", meaning_high="crank up and in")

SERVOS: tuple[Servo, ...] = (
    *_neck,
    _eye_yaw[0], _eye_pitch[0], _eye_yaw[1], _eye_pitch[1],
    _upper_lid[0], _lower_lid[0], _upper_lid[1], _lower_lid[1],
    _inner_brow[0], _outer_brow[0], _inner_brow[1], _outer_brow[1],
    Servo(name="upper_lip_center", travel_deg=26, rest=0.3, meaning_low="down", meaning_high="raised"),
    *_upper_lip,
    Servo(name="lower_lip_center", travel_deg=26, rest=0.6, meaning_low="down, teeth bare", meaning_high="raised"),
    *_lower_lip,
    _corner_upper[0], _corner_lower[0], _corner_upper[1], _corner_lower[1],
    Servo(name="jaw", travel_deg=11, rest=0.0, meaning_low="closed", meaning_high="open", torque_nm=2.0,
          armature_kgm2=4e-3, friction_nm=0.03),
)  # fmt: skip
SERVO_NAMES: tuple[str, ...] = tuple(s.name for s in SERVOS)
REST_COMMAND = np.array([s.rest for s in SERVOS])
REST_COMMAND.flags.writeable = False

_SYMMETRIC: dict[str, tuple[str, ...]] = {
    "inner_brow": ("right_inner_brow", "left_inner_brow"),
    "outer_brow": ("right_outer_brow", "left_outer_brow"),
    "upper_lid": ("right_upper_lid", "left_upper_lid"),
    "lower_lid": ("right_lower_lid", "left_lower_lid"),
    "upper_lip_center": ("upper_lip_center",),
    "upper_lip_side": ("right_upper_lip", "left_upper_lip"),
    "lower_lip_center": ("lower_lip_center",),
    "lower_lip_side": ("right_lower_lip", "left_lower_lip"),
    "corner_upper": ("right_corner_upper", "left_corner_upper"),
    "corner_lower": ("right_corner_lower", "left_corner_lower"),
    "jaw": ("jaw",),
}
SYMMETRIC_NAMES: tuple[str, ...] = tuple(_SYMMETRIC)
"""The 11 parameters of a symmetric expression: 2 brow, 2 lid, 6 mouth, 1 jaw."""


def index(name: str) -> int:
    """Place of a servo in every command. Raises `VocabularyError` for an unknown name."""
    try:
        return SERVO_NAMES.index(name)
    except ValueError:
        raise VocabularyError(f"unknown servo {name!r}; allowed: {', '.join(SERVO_NAMES)}") from None


EXPRESSIVE: tuple[int, ...] = tuple(sorted(index(n) for names in _SYMMETRIC.values() for n in names))
"""Places of the 19 servos that shape the skin; the other seven turn the neck and the eyeballs."""
UPPER_PARAMETERS: tuple[int, ...] = (0, 1, 2, 3)
"""Places of the brow and lid parameters among the 11."""
MOUTH_PARAMETERS: tuple[int, ...] = (4, 5, 6, 7, 8, 9, 10)
"""Places of the mouth and jaw parameters among the 11."""

_RIGHT = tuple(index(names[0]) for names in _SYMMETRIC.values())
_LEFT = tuple(index(names[-1]) for names in _SYMMETRIC.values())


def _checked(array: np.ndarray, width: int, what: str) -> np.ndarray:
    array = np.asarray(array, dtype=float)
    if array.shape[-1:] != (width,):
        raise InputError(f"{what}: got shape {array.shape}, allowed (…, {width})")
    return array


def expand(right: np.ndarray, left: np.ndarray | None = None) -> np.ndarray:
    """Turn symmetric parameters (…, 11) into servo commands (…, 26); neck and eyeballs stay at rest.

    With `left`, (…, 11), the two sides of the face differ and the servos on the midline take the mean.
    """
    right = _checked(right, len(SYMMETRIC_NAMES), "symmetric parameters")
    left = right if left is None else _checked(left, len(SYMMETRIC_NAMES), "symmetric parameters of the left side")
    command = np.broadcast_to(REST_COMMAND, (*right.shape[:-1], len(SERVOS))).copy()
    command[..., _RIGHT] = right
    command[..., _LEFT] = left
    middle = [k for k, (r, l) in enumerate(zip(_RIGHT, _LEFT, strict=True)) if r == l]
    command[..., np.array(_RIGHT)[middle]] = 0.5 * (right + left)[..., middle]
    return command


def symmetric(command: np.ndarray) -> np.ndarray:
    """Mean of both sides of servo commands (…, 26) as symmetric parameters (…, 11)."""
    command = _checked(command, len(SERVOS), "command")
    return 0.5 * (command[..., _RIGHT] + command[..., _LEFT])


def to_rad(command: np.ndarray) -> np.ndarray:
    """Joint targets, rad, of commands (…, 26) in 0…1."""
    low, high = LIMITS_RAD.T
    return low + _checked(command, len(SERVOS), "command") * (high - low)


def to_command(angle_rad: np.ndarray) -> np.ndarray:
    """Commands 0…1 of joint angles (…, 26) rad; the inverse of `to_rad`, not clipped."""
    low, high = LIMITS_RAD.T
    return (_checked(angle_rad, len(SERVOS), "joint angles") - low) / (high - low)


LIMITS_RAD = np.array([(s.low_rad, s.high_rad) for s in SERVOS])
"""Joint angles at command 0 and 1, (26, 2) rad."""
LIMITS_RAD.flags.writeable = False
