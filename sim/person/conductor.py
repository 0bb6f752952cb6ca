"""The tissue between a muscle fibre and an electrode: a layered planar volume conductor in closed form.

From the surface down: air, skin, fat, a muscle layer that conducts better along its fibres than across, bone,
and what is behind bone. For a point current in the muscle the potential under an electrode is a product of
hyperbolic functions in the plane's wavenumbers, so a table of it is one cosine transform per depth and fat
thickness. The table spans 512 mm, about once around a head, so its periodicity is that of a head.

What is simplified: the head is planar (its chart's distances), fat and skin have one thickness for each pair of
muscle and electrode, and the muscle layer runs everywhere along the fibre in question.
"""

from dataclasses import dataclass
from functools import lru_cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import dctn
from scipy.special import j1

from ..errors import InputError

Array = NDArray[np.floating]

DEPTHS_MM = (0.4, 1.2, 2.2, 3.5, 5.5, 8.0, 11.0)
"""Depths below the top of the muscle layer at which a kernel is tabulated."""
FATS_MM = (0.5, 1.5, 2.5, 3.5, 4.5, 6.0, 8.0, 11.0)
"""Thicknesses of fat at which a kernel is tabulated."""
_POINTS, _SPACING_MM = 512, 1.0


@dataclass(frozen=True, kw_only=True)
class Conductor:
    """Conductivities (S/m) and thicknesses (mm) of the layers; the fat's thickness is given place by place.

    Muscle 0.4 along and 0.2 across, fat 0.04 (limb models use 0.4, 0.09-0.2, 0.04). skin_s_m spans three orders
    in the literature, 5e-4 dry to 1 wet; 0.1 is moist. Bone 0.01 and 0.3 for what lies behind it (0 = air),
    muscle_mm and bone_mm: *unknown* in the face, 6-∞ and 3-8. A muscle layer may be infinite: a half space.
    """

    muscle_along_s_m: float = 0.4
    muscle_across_s_m: float = 0.2
    fat_s_m: float = 0.04
    skin_s_m: float = 0.1
    bone_s_m: float = 0.01
    behind_bone_s_m: float = 0.3
    skin_mm: float = 1.75
    muscle_mm: float = 12.0
    bone_mm: float = 6.0

    def __post_init__(self) -> None:
        for name in ("muscle_along_s_m", "muscle_across_s_m", "fat_s_m", "skin_s_m", "bone_s_m"):
            if not 1e-6 <= getattr(self, name) <= 100:
                raise InputError(f"conductor: {name} must be 1e-6 … 100 S/m, got {getattr(self, name)}")
        if not 0 <= self.behind_bone_s_m <= 100:
            raise InputError(f"conductor: behind_bone_s_m must be 0 … 100 S/m, got {self.behind_bone_s_m}")
        for name, least, most in (("skin_mm", 0, 10), ("muscle_mm", 1, np.inf), ("bone_mm", 0.1, 100)):
            if not least <= getattr(self, name) <= most:
                raise InputError(f"conductor: {name} must be {least} … {most} mm, got {getattr(self, name)}")

    def transfer(
        self, across: ArrayLike, along: ArrayLike, depth_mm: float, fat_mm: float, radius_mm: float = 0.0
    ) -> Array:
        """Surface potential per unit point current, in the wavenumber plane: 1/(S/m mm) times mm².

        across, along (…): wavenumbers in rad/mm across and along the fibre. depth_mm of the source below the top
        of the muscle layer; radius_mm of a disc electrode that averages the potential under it (Bessel filter).
        Written with the layers' admittances; the tests solve the same layers numerically.
        """
        across, along = np.asarray(across, float), np.asarray(along, float)
        k = np.sqrt(across**2 + along**2) + 1e-9
        decay = np.sqrt(across**2 + self.muscle_along_s_m / self.muscle_across_s_m * along**2) + 1e-9
        admittance = self.muscle_across_s_m * decay
        y_skin = self.skin_s_m * k * np.tanh(k * self.skin_mm)
        lossy = np.tanh(k * fat_mm)
        y_above = self.fat_s_m * k * (y_skin + self.fat_s_m * k * lossy) / (self.fat_s_m * k + y_skin * lossy)
        # reflection at the bone under the muscle, written with decaying exponentials only
        thick, behind = np.tanh(k * self.bone_mm), self.behind_bone_s_m
        y_bone = self.bone_s_m * k * (behind + self.bone_s_m * thick) / (self.bone_s_m + behind * thick)
        bone = y_bone / admittance
        echo = (1 - bone) * np.exp(-2 * decay * self.muscle_mm)
        back = (1 - bone) * np.exp(-2 * decay * (self.muscle_mm - depth_mm))
        one = 1 + bone
        top = np.exp(-decay * depth_mm) * (one + back) / (y_above * (one + echo) + admittance * (one - echo))
        through_fat = np.cosh(k * fat_mm) + y_skin / (self.fat_s_m * k) * np.sinh(k * fat_mm)
        disc = 1.0 if radius_mm == 0 else 2 * j1(k * radius_mm) / (k * radius_mm)
        return top * disc / (through_fat * np.cosh(k * self.skin_mm))

    def plane(
        self, depth_mm: float, fat_mm: float, radius_mm: float = 0.0, *, points: int = 512, spacing_mm: float = 1.0
    ) -> Array:
        """Surface potential of a unit current in one quadrant, (points/2 + 1,)² by (across, along), 1/(S/m mm).

        The mean is zero: sources are charge-neutral, so a constant has no meaning.
        """
        k = np.pi * np.arange(points // 2 + 1) / (points // 2 * spacing_mm)
        spectrum = self.transfer(k[:, None], k[None, :], depth_mm, fat_mm, radius_mm)
        spectrum[0, 0] = 0.0
        return np.asarray(dctn(spectrum, type=1)) / (points * spacing_mm) ** 2


class Kernel(eqx.Module):
    """Table of `Conductor.plane` over depth and fat for each electrode radius, and its lookup.

    table (radii, 257, 257, depths, fats) by distance across and along the fibre at 1 mm; which (N,): the radius'
    place in the table for each of N contacts.
    """

    table: jax.Array
    which: jax.Array

    @classmethod
    def of(cls, conductor: Conductor, radius_mm: ArrayLike) -> "Kernel":
        """The kernel for contacts of these radii (N,). Tables are cached. Raises `InputError`."""
        radii, which = np.unique(np.round(np.atleast_1d(np.asarray(radius_mm, float)), 2), return_inverse=True)
        if not np.isfinite(radii).all() or radii.min() < 0 or radii.max() > 20:
            raise InputError(f"an electrode's radius must be 0 … 20 mm, got {radius_mm}")
        tables = np.stack([_table(conductor, float(radius)) for radius in radii])
        return cls(jnp.asarray(tables), jnp.asarray(which, jnp.int32))

    def __call__(self, across_mm: jax.Array, along_mm: jax.Array, depth_mm: jax.Array, fat_mm: jax.Array) -> jax.Array:
        """Potentials (…, N), 1/(S/m mm): linear between grid points in all four arguments, which broadcast.

        Distances beyond the table and depths and fats outside theirs take the nearest edge.
        """
        edge = _POINTS // 2 - 1e-3
        i, u = _cell(jnp.minimum(jnp.abs(across_mm), edge))
        j, v = _cell(jnp.minimum(jnp.abs(along_mm), edge))
        d, p = _cell(_place(depth_mm, DEPTHS_MM))
        f, q = _cell(_place(fat_mm, FATS_MM))
        _, rows, columns, depths, fats = self.table.shape
        flat = self.table.reshape(-1)
        first = (((self.which * rows + i) * columns + j) * depths + d) * fats + f

        def between(step: int, *rest: tuple[int, jax.Array]) -> jax.Array:
            """Linear in the last axes, then between the neighbours in the first of `rest`."""
            if not rest:
                return flat.at[first + step].get(mode="promise_in_bounds")
            (stride, share), *inner = rest
            low = between(step, *inner)
            return low + share * (between(step + stride, *inner) - low)

        return between(0, (columns * depths * fats, u), (depths * fats, v), (fats, p), (1, q))


def _cell(place: jax.Array) -> tuple[jax.Array, jax.Array]:
    index = jax.lax.stop_gradient(place).astype(jnp.int32)
    return index, place - index


def _place(value: jax.Array, grid: tuple[float, ...]) -> jax.Array:
    place = jnp.interp(value, jnp.array(grid), jnp.arange(len(grid), dtype=jnp.float32))
    return jnp.minimum(place, len(grid) - 1 - 1e-4)


@lru_cache(maxsize=8)
def _table(conductor: Conductor, radius_mm: float) -> NDArray[np.float32]:
    deepest = 0.98 * conductor.muscle_mm
    planes = [
        [
            conductor.plane(min(depth, deepest), fat, radius_mm, points=_POINTS, spacing_mm=_SPACING_MM)
            for fat in FATS_MM
        ]
        for depth in DEPTHS_MM
    ]
    return np.ascontiguousarray(np.moveaxis(np.array(planes, np.float32), (0, 1), (2, 3)))
