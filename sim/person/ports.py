"""Jaw and lids of a person: how the ground under the skin moves when they do.

Both are prescribed displacements. The jaw is a rigid body that turns about an axis before the ears and glides
forward; exactly three columns span its motion at every angle. A lid's margin runs on an arc about the eye's centre;
polynomials in how far it has gone span that motion to a hundredth of a millimetre.
"""

import numpy as np
from numpy.typing import NDArray

from .. import mesh
from .sheet import LID_FOLD, LID_LOWER, LID_UPPER

Array = NDArray[np.floating]

JAW_RANGE_RAD = float(np.radians(26.0))
"""Angle of the widest opening; 43 mm at the chin. People open 40-50 mm between the teeth [K]."""
JAW_GLIDE_M_PER_RAD = 0.030
"""Forward glide of the condyles as the jaw turns [K]; without it the chin would swing back by 10 mm more."""
_PIVOT_FROM_TRAGUS_M = (0.0, -0.0017, -0.0056)
"""Axis in the middle, from the mean of the mesh's outermost vertices before the ears; (0, 5, -30) mm on the rest."""
_TRAGUS = (234, 454)

LID_POWERS = {"fall": 3, "rise": 2, "lift": 2}
"""Highest power of each lid coordinate: the upper lid's fall and rise, the lower lid's lift."""
LID_COLUMNS = sum(LID_POWERS.values())
_CLOSED_RADIUS_M = (0.0140, 0.0138)
"""Distance from the eye's centre of the upper and the lower margin when shut: over the cornea's bulge [T]."""
_FOLD_SHARE = 0.5
"""Part of the upper margin's turn that the fold above it follows when the lid falls [T]."""


def jaw_pivot(rest: Array) -> Array:
    """A point (3,) m on the axis, parallel to x, about which the jaw of a face at rest (468, 3) m turns."""
    return rest[list(_TRAGUS)].mean(0) * [0, 1, 1] + np.array(_PIVOT_FROM_TRAGUS_M)


def jaw_columns(points: Array, pivot: Array) -> Array:
    """Displacement of points (…, 3) m fixed to the jaw, (…, 3, 3), by sin q, 1 − cos q and glide (m).

    q > 0 opens. The sum over the columns is the exact rigid motion.
    """
    arm = points - pivot
    zero = np.zeros_like(arm[..., 0])
    turn = np.stack([zero, -arm[..., 2], arm[..., 1]], -1)
    sink = np.stack([zero, -arm[..., 1], -arm[..., 2]], -1)
    glide = np.broadcast_to([0.0, 0.0, 1.0], arm.shape)
    return np.stack([turn, sink, glide], -1)


def jaw_weight() -> Array:
    """Share (468,) with which the ground under a vertex belongs to the jaw: 1 on the chin, 0 above the mouth."""
    x, y = np.abs(mesh.CANONICAL[:, 0]), mesh.CANONICAL[:, 1]
    below = np.clip((-0.0427 - y) / 0.0012, 0, 1)
    side = np.clip((x - 0.020) / 0.012, 0, 1)
    ramp = np.clip((-0.010 - y) / 0.060, 0, 1)
    weight = (1 - side) * below + side * ramp**2 * (3 - 2 * ramp)
    upper, lower = (list(row) for row in zip(*mesh.LIP_PAIRS, strict=True))
    weight[lower], weight[upper] = 1.0, 0.0
    for vertices, share in (((78, 61, 62, 76), 0.45), ((146, 77, 96), 0.75), ((185, 184, 183), 0.1)):
        weight[list(vertices)] = weight[mesh.MIRROR[list(vertices)]] = share
    return weight


def jaw_ground(rest: Array) -> Array:
    """Displacement of the ground under all vertices, (3V, 3), by sin q, 1 − cos q and glide."""
    columns = jaw_columns(rest, jaw_pivot(rest)) * jaw_weight()[:, None, None]
    return columns.reshape(-1, 3)


def eye_centres(rest: Array) -> Array:
    """Centres (2, 3) m of the eyeballs, right and left, as in `mesh.EYE_CENTERS`."""
    depth = mesh.EYEBALL_RADIUS_M - 0.0012
    rings = (list(mesh.EYE_RIGHT), list(mesh.EYE_LEFT))
    return np.array([[*rest[ring, :2].mean(0), rest[ring, 2].max() - depth] for ring in rings])


def lid_displacement(rest: Array, eye: int, fall: float, rise: float, lift: float) -> Array:
    """Displacement (V, 3) m of the margins and the fold of one eye's lids (0 right, 1 left).

    fall, rise, lift: shares of the angle between the margins; the upper lid falls or rises, the lower lifts. They
    are shut when fall + lift = 1.
    """
    own = np.arange(mesh.VERTEX_COUNT) if eye == 0 else mesh.MIRROR
    upper, lower, fold = (own[list(ring)] for ring in (LID_UPPER, LID_LOWER, LID_FOLD))
    arm = rest - eye_centres(rest)[eye]
    elevation = np.arctan2(arm[:, 1], arm[:, 2])
    span = elevation[upper] - elevation[lower]
    shut = 1 - (1 - fall) ** 2
    result = np.zeros_like(rest)
    moves = (
        (upper, (rise - fall) * span, _CLOSED_RADIUS_M[0], shut),
        (lower, lift * span, _CLOSED_RADIUS_M[1], min(lift / 0.35, 1.0)),
        (fold, _FOLD_SHARE * (0.5 * rise - fall) * span, _CLOSED_RADIUS_M[0], shut),
    )
    for ring, angle, radius, share in moves:
        growth = 1 + share * np.maximum(radius / np.linalg.norm(arm[ring], axis=1) - 1, 0)
        result[ring] = growth[:, None] * _about_x(arm[ring], angle) - arm[ring]
    return result


def lid_ground(rest: Array) -> Array:
    """Lid motion as columns (3V, 2 · 7): for the right, then the left eye, powers of fall, rise and lift."""
    grids = {"fall": np.linspace(0, 1, 21), "rise": np.linspace(0, 0.6, 9), "lift": np.linspace(0, 0.35, 8)}
    columns = []
    for eye in (0, 1):
        for name, power in LID_POWERS.items():
            grid = grids[name]
            zero = {"fall": 0.0, "rise": 0.0, "lift": 0.0}
            motion = np.array([lid_displacement(rest, eye, **{**zero, name: float(v)}).ravel() for v in grid])
            powers = grid[:, None] ** np.arange(1, power + 1)
            columns.append(np.linalg.lstsq(powers, motion, rcond=None)[0].T)
    return np.concatenate(columns, axis=1)


def _about_x(points: Array, angle: Array) -> Array:
    """Points (n, 3) turned upwards by angles (n,) rad about the x axis."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack(
        [points[:, 0], cos * points[:, 1] + sin * points[:, 2], cos * points[:, 2] - sin * points[:, 1]], -1
    )
