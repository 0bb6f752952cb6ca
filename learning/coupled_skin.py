"""From muscles to five points of a face with the skin's own coupling (DESIGN § 3), fewer numbers than SMSM-LRM.

    model = CoupledSkin(axes).fit(emg, displacement_mm)       # axes (5, 2) of `keypoints.main_axes`

Forces f of Mykin muscles on one sheet solve (I + diag(k) G) f = diag(k) l − tone, and a point moves by P f. G and P
come from the mean adult's skin and are not fitted; the paper's SMSM is this with G cut into blocks, and its SMSM-LRM
mends the cut with a fitted matrix. Both sides of the face are driven alike, as in the paper's expressions.

Fitted are an unmixing of the channels into the action units that they were put on for, since every channel also
hears its neighbours; how far the jaw drops along, which no channel hears; and how far this person's skin follows
beside the mean adult's.
"""

from functools import cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from ..sim import mesh
from ..sim.errors import InputError
from ..sim.facs import Muscle, Side
from ..sim.person.anatomy import MUSCLE_NAMES, muscle_index
from ..sim.person.mechanics import build_face
from ..sim.person.ports import JAW_GLIDE_M_PER_RAD, JAW_RANGE_RAD, LID_COLUMNS
from ..sim.person.repertoire import WEIGHTS, unit_index
from .keypoint_models import KeypointModel, bounded_fit, thinned
from .keypoints import CHANNELS, KEYPOINTS, VERTICES

Array = NDArray[np.floating]

UNITS = ("AU1", "AU2", "AU4", "AU9", "AU12", "AU15", "AU17", "AU26")
"""The action unit that each of `CHANNELS` is put on for, and the falling jaw."""

_START, _START_JAW = 0.6, 0.02
"""First guess: what a loud channel means for its own unit, and for the jaw."""
_LEAST_REACH, _MOST_REACH = 0.1, 5.0
_FRAMES = 300
_JAW, _PORTS = 3, 3 + 2 * LID_COLUMNS
"""Columns of a `Face` that are the jaw's, and those before its elements."""


class CoupledSkin(KeypointModel):
    """Skin that couples its points: G from physics, 57 numbers fitted for the person and her electrodes.

    axes (P, 2): direction of each point's displacement in a front view, as the data were made. Fitted: unmixing_
    (U, C), intensity of each of `UNITS` per normalised EMG, negative where a channel hears what is not its unit;
    reach_, displacement over the mean adult's. Raises `InputError`.
    """

    def __init__(self, axes: ArrayLike):
        self.axes = axes

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        u, moved = self._checked(X, y)
        skin, few, truth = self._skin(), thinned(u, _FRAMES), thinned(moved, _FRAMES)
        loud = np.maximum(np.quantile(few, 0.99, axis=0), 1e-3)  # no start hangs on the normalisation
        first = np.eye(len(UNITS), len(CHANNELS)) * _START
        first[-1] = _START_JAW
        size = first.size
        fitted = bounded_fit(
            lambda x: _moved_mm(skin, x[:size].reshape(first.shape), x[size], few),
            truth,
            np.r_[(first / loud).ravel(), 1.0],
            np.r_[np.full(size, -np.inf), _LEAST_REACH],
            np.r_[np.full(size, np.inf), _MOST_REACH],
            np.r_[np.tile(0.5 * _START / loud, len(UNITS)), 1.0],
        )
        self.unmixing_, self.reach_ = fitted[:size].reshape(first.shape), float(fitted[size])
        self.n_parameters_ = fitted.size
        return self

    def predict(self, X: ArrayLike) -> Array:
        check_is_fitted(self, "unmixing_")
        return _moved_mm(self._skin(), self.unmixing_, self.reach_, self._checked(X)[0])

    def _skin(self) -> "_Skin":
        axes = np.asarray(self.axes, float)
        if axes.shape != (len(KEYPOINTS), 2) or not np.isfinite(axes).all():
            raise InputError(f"axes must be finite ({len(KEYPOINTS)}, 2), see keypoints.main_axes; got {axes.shape}")
        whole = _mean_skin()
        return whole._replace(
            pulled_mm=np.einsum("epi,pi->ep", whole.pulled_mm, axes),
            jaw_mm=np.einsum("jpi,pi->jp", whole.jaw_mm, axes),
        )


class _Skin(NamedTuple):
    """E muscles, each of both sides; compliance (E, E) m/N, constants (E,), jaw_shortening (3, E) m.

    pulled_mm (E, P, 2 or none): of the points per newton, jaw_mm (3, P, 2 or none) by jaw powers. pattern (U, E):
    activation of the muscles by units.
    """

    compliance: Array
    k0: Array
    k1: Array
    l0: Array
    l1: Array
    jaw_shortening: Array
    pulled_mm: Array
    jaw_mm: Array
    pattern: Array


@cache
def _mean_skin() -> _Skin:
    """The mean adult's skin condensed to the muscles of the units, right and left as one."""
    face = build_face(corrected=False)
    rows = WEIGHTS[[unit_index(unit) for unit in UNITS], ::2]
    of_muscle = {name: [i for i, known in enumerate(face.names) if known.startswith(name)] for name in MUSCLE_NAMES}
    driven = [m for m in np.flatnonzero(rows.any(0)) if of_muscle[MUSCLE_NAMES[2 * m]]]
    sides = [np.array([of_muscle[MUSCLE_NAMES[2 * m + of]][0] for m in driven]) for of in (0, 1)]
    compliance, k0 = np.asarray(face.compliance, float), np.asarray(face.k0, float)
    columns, shortening = np.asarray(face.columns, float), np.asarray(face.port_shortening, float)[:_JAW]
    places = np.array(list(VERTICES.values()))
    moved = 1e3 * np.stack([columns[:, places], columns[:, mesh.VERTEX_COUNT + places]], -1)
    pulled, jaw = moved[_PORTS : _PORTS + len(k0)], moved[:_JAW]
    # Slack muscles that nothing drives are springs of the skin.
    slack = np.setdiff1d(np.arange(face.muscle_count), np.concatenate(sides))
    held = np.linalg.inv(np.diag(1 / k0[slack]) + compliance[np.ix_(slack, slack)])
    coupling = compliance[:, slack] @ held
    jaw = jaw - np.einsum("js,spi->jpi", shortening[:, slack] @ held, pulled[slack])
    pulled = pulled - np.einsum("es,spi->epi", coupling, pulled[slack])
    shortening = shortening - shortening[:, slack] @ coupling.T
    compliance = compliance - coupling @ compliance[slack]
    right, left = sides
    constants = {name: np.asarray(getattr(face, name), float)[right] for name in ("k0", "k1", "l0", "l1")}
    return _Skin(
        compliance=compliance[np.ix_(right, right)] + compliance[np.ix_(right, left)],
        jaw_shortening=shortening[:, right],
        pulled_mm=pulled[right] + pulled[left],
        jaw_mm=jaw,
        pattern=rows[:, driven],
        **constants,
    )


def _moved_mm(skin: _Skin, unmixing: Array, reach: float, u: Array) -> Array:
    """Displacements (T, P) mm for normalised EMG (T, C)."""
    units = np.clip(u @ unmixing.T, 0, 1)
    idle = np.ones((len(u), len(skin.k0)))
    for unit, shares in zip(units.T, skin.pattern, strict=True):
        idle *= 1 - unit[:, None] * shares
    level = 1 - idle
    opening = _jaw_rad(units[:, -1])
    powers = np.stack([np.sin(opening), 1 - np.cos(opening), JAW_GLIDE_M_PER_RAD * opening], -1)
    stiffness = skin.k0 + skin.k1 * level
    pull = stiffness * (skin.l0 + skin.l1 * level - powers @ skin.jaw_shortening) - skin.k0 * skin.l0
    system = np.eye(len(skin.k0)) + stiffness[..., None] * skin.compliance
    force = np.linalg.solve(system, pull[..., None])[..., 0]
    return reach * (force @ skin.pulled_mm + powers @ skin.jaw_mm)


def _jaw_rad(drop: Array) -> Array:
    """Opening of the jaw in AU26 of some intensity, as `sim.person.drive` opens it for that unit's openers."""
    opener = WEIGHTS[unit_index("AU26"), muscle_index(Muscle.DIGASTRIC, Side.RIGHT)] * drop
    return JAW_RANGE_RAD * opener * (2 - opener)


__all__ = ["UNITS", "CoupledSkin"]
