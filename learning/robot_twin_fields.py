"""What the servos of a robot face can do to its skin, as a camera would report it; no number here is fitted.

A magnet displaces one shell of silicone; the shell carries the motion on, MediaPipe's alignment takes pose and scale
away, and its prior of faces removes what it cannot report. `fields()` is that chain for every magnet and direction.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..sim import mesh
from ..sim.alignment import align
from ..sim.errors import InputError
from ..sim.robot.servo import SYMMETRIC_NAMES
from ..sim.skin import Sheet, SkinMaterial
from . import tracker_space

Array = NDArray[np.floating]

SERVOS = ("eye0", "eye1", "eye2", "eye3", "mouth0", "mouth1", "mouth2", "mouth3", "mouth4", "mouth5", "jaw")
"""The commands of the published rows: two for the brow, two for the lids, six for the lips, the jaw."""
COUPLINGS: tuple[tuple[str, str], ...] = (
    *((name, name) for name in SERVOS),
    *((f"mouth{i}", "jaw") for i in range(6)),
    ("eye0", "eye1"), ("eye2", "eye3"), ("mouth1", "mouth2"), ("mouth4", "mouth5"),
)  # fmt: skip
"""What makes strokes bend: a crank is not linear, the jaw carries the lips, and some pairs hold the same skin."""

UPPER_SITES = {
    "brow 1": 336, "brow 2": 296, "brow 3": 334, "brow 4": 293, "upper lid": 386, "lower lid": 374,
    "outer canthus": 263, "inner canthus": 362, "forehead": 151, "glabella": 9, "temple": 368, "cheekbone": 345,
}  # fmt: skip
LOWER_SITES = {
    "upper lip": 0, "upper lip side": 269, "lower lip": 17, "lower lip side": 405, "corner": 291, "chin": 152,
    "chin front": 199, "chin side": 377, "nose": 4, "cheekbone": 345, "jaw angle": 401,
}  # fmt: skip
"""Vertices, on the left or in the middle, where the mechanism holds the skin: magnets, lids' margins, canthi.

Plates on the skull are among them: with foam behind it, skin slips there too.
"""
PORTS = tuple(
    dict.fromkeys(int(v) for site in (*UPPER_SITES.values(), *LOWER_SITES.values()) for v in (site, mesh.MIRROR[site]))
)
"""All sites and their mirror images."""
DIRECTIONS = ("out", "up", "forward")

MATERIAL = SkinMaterial(bending_scale=1000.0, foundation_tangential_n_m3=1e3, foundation_normal_n_m3=1e3)
"""A shell that bends like one of 20 mm: skin, foam and plates together. Thickness and foam of Emo are unknown."""

ROLES: dict[str, tuple[str, ...]] = {
    "eye0": ("inner_brow",), "eye1": ("outer_brow",), "eye2": ("upper_lid",), "eye3": ("lower_lid",),
    "mouth0": ("upper_lip_center", "upper_lip_side"),
    "mouth1": ("corner_upper", "corner_lower"), "mouth2": ("corner_upper", "corner_lower"),
    "mouth3": ("lower_lip_center", "lower_lip_side", "corner_upper", "corner_lower"),
    "mouth4": ("lower_lip_center", "lower_lip_side"), "mouth5": ("lower_lip_center", "lower_lip_side"),
    "jaw": ("jaw",),
}  # fmt: skip
"""Servos of the real robot and those of the simulated one that move the same part of the face."""

_STEP_M = 1e-5


def strokes(commands: ArrayLike) -> Array:
    """Servo positions from the middle of their travel and their couplings, (N, 11 + C), of commands (N, 11) in 0…1."""
    centred = checked_commands(commands) - 0.5
    first, second = np.array([[SERVOS.index(name) for name in pair] for pair in COUPLINGS]).T
    return np.concatenate([centred, centred[:, first] * centred[:, second]], axis=1)


def checked_commands(commands: ArrayLike) -> Array:
    """Commands as (N, 11) in 0…1. Raises `InputError`."""
    given = np.asarray(commands, float)
    if given.ndim != 2 or given.shape[1] != len(SERVOS) or not ((given >= 0) & (given <= 1)).all():
        raise InputError(f"commands must be (N, {len(SERVOS)}) in 0…1, in order {', '.join(SERVOS)}; got {given.shape}")
    return given


@dataclass(frozen=True)
class Strokes:
    """Displacements that the servos are free to cause: names (K,), feature (K,) in `strokes` and field (K, 1404) each.

    A name is servo or coupling, site, direction.
    """

    names: tuple[str, ...]
    features: NDArray[np.intp]
    fields: Array

    @cached_property
    def overlap(self) -> Array:
        """How much two fields are alike, (K, K): their scalar products."""
        return self.fields @ self.fields.T


@cache
def mirrored() -> Strokes:
    """What servos and couplings do to both sides alike."""
    return _strokes(len(SERVOS) + len(COUPLINGS), 1)


@cache
def lopsided() -> Strokes:
    """What servos do to the left and, the other way round, to the right: every side has servos of its own."""
    return _strokes(len(SERVOS), -1)


def _strokes(count: int, sign: int) -> Strokes:
    names, features, columns = [], [], []
    moved = fields().reshape(-1, len(PORTS), 3)
    for feature, label in enumerate([*SERVOS, *(f"{one}·{other}" for one, other in COUPLINGS)][:count]):
        for site, vertex in (UPPER_SITES if label.startswith("eye") else LOWER_SITES).items():
            here, there = PORTS.index(vertex), PORTS.index(int(mesh.MIRROR[vertex]))
            for axis, direction in enumerate(DIRECTIONS):
                side = -sign if axis == 0 else sign
                if here == there and side < 0:
                    continue
                names.append(f"{label}, {site}, {direction}" + (", left less right" if sign < 0 else ""))
                features.append(feature)
                columns.append((moved[:, here, axis] + side * moved[:, there, axis]) / (1 + (here == there)))
    return Strokes(tuple(names), np.array(features), np.array(columns))


@cache
def fields() -> Array:
    """Landmark displacement per displacement of a port, (1404, 3 P), dimensionless; column 3 p + axis."""
    skin = Sheet(mesh.CANONICAL, mesh.TRIANGLES, MATERIAL).condense(PORTS).displacement
    return tracker_space.project((_aligning() @ skin).T).T


@cache
def driven_fields() -> tuple[NDArray[np.intp], Array]:
    """Servo (G,) and field (G, 1404), cm over a full stroke, of every pair in `ROLES`."""
    of_simulated = tracker_space.servo_fields_cm()
    pairs = [(place, SYMMETRIC_NAMES.index(name)) for place, names in enumerate(ROLES.values()) for name in names]
    servos, simulated = np.array(pairs).T
    return servos, of_simulated[simulated]


def _aligning() -> Array:
    """How aligned landmarks follow small displacements of the canonical face, (1404, 1404)."""
    small = _STEP_M * np.eye(mesh.CANONICAL.size).reshape(-1, *mesh.CANONICAL.shape)
    change = (align(mesh.CANONICAL + small) - align(mesh.CANONICAL - small)) / (2 * _STEP_M)
    return change.reshape(len(small), -1).T


__all__ = [
    "COUPLINGS",
    "DIRECTIONS",
    "LOWER_SITES",
    "MATERIAL",
    "PORTS",
    "ROLES",
    "SERVOS",
    "UPPER_SITES",
    "Strokes",
    "checked_commands",
    "driven_fields",
    "fields",
    "lopsided",
    "mirrored",
    "strokes",
]
