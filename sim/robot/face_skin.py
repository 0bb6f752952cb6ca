"""The robot's silicone skin: the canonical mesh as an elastic sheet on the mechanism's ports."""

from functools import cache
from importlib.resources import as_file, files

import numpy as np

from .. import mesh
from ..skin import PortMap, Sheet, SkinMaterial
from ..skin_fast import FastSkin
from ..skin_reference import ReferenceSkin
from .mechanism import FREE_RIM, MOVING, MOVING_MAGNETS, PORTS

_HOLLOW = ("mouth", "chin", "right eye", "left eye")
"""Regions with nothing behind the skin: the lips, the chin (the jaw moves there) and the lids."""

_MAGNET_PLACES = [MOVING.index(v) for v in MOVING_MAGNETS]
_FLOOR = 0.1
"""Share of the foam's stiffness that even hollow regions have; it keeps the skin from buckling freely."""


@cache
def robot_sheet(material: SkinMaterial | None = None) -> Sheet:
    """The skin at rest. Foam backs it on forehead, brows, nose and cheeks; lips, chin and lids hang free."""
    backed = np.ones(mesh.VERTEX_COUNT)
    for name in _HOLLOW:
        backed[list(mesh.region(name))] = 0
    # the cheek is hollow beside the mouth, where the corners and the jaw travel
    backed *= np.clip((mesh.REST[:, 1] + 0.045) / 0.03, 0, 1)
    backed = np.maximum(backed, _FLOOR)
    backed[list(FREE_RIM)] = 1
    return Sheet(mesh.REST, mesh.TRIANGLES, material or SkinMaterial(), tangential=backed, normal=backed)


@cache
def linear_skin() -> PortMap:
    """The skin's linear response to all ports."""
    return robot_sheet().condense(PORTS)


def moving_stiffness() -> np.ndarray:
    """Stiffness of the skin seen from the moving ports, (3·82, 3·82) N/m, ordered as `MOVING`."""
    size = 3 * len(MOVING)
    return linear_skin().stiffness[:size, :size]


@cache
def reference_skin() -> ReferenceSkin:
    """The skin at large displacements."""
    return ReferenceSkin(robot_sheet(), PORTS)


@cache
def default_skin() -> FastSkin:
    """The fitted fast map of the default skin, shipped in `data/skin.npz`; `duchenne train robot` makes it anew."""
    with as_file(files("duchenne.sim.robot") / "data" / "skin.npz") as path:
        return FastSkin.load(path)


def magnet_forces(skin: FastSkin, moving_m: np.ndarray) -> np.ndarray:
    """Pull of the skin on the magnets, (…, n, 3) N, for the magnets that move, ordered as in `MOVING_MAGNETS`."""
    return skin.forces(moving_m)[..., _MAGNET_PLACES, :]
