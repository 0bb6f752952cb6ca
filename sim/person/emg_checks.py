"""Laws that the EMG must obey, each as one number or a short row of numbers; tests and studies ask for them."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from ..facs import Muscle, Side
from .anatomy import ANATOMY, MUSCLES, muscle_index
from .conductor import Conductor
from .contacts import Montage
from .electrodes import free
from .emg import EmgModel, build_emg
from .traits import Traits

Array = NDArray[np.floating]


def half_space_error(depth_mm: float = 6.0) -> float:
    """Largest deviation within 30 mm from a point current's closed form in an anisotropic half space, over its peak.

    φ = I / (2π σ_t √(σ_l/σ_t r² + z²)), r across and in depth, z along the fibre.
    """
    c = Conductor(muscle_mm=np.inf, skin_mm=0.0)
    spacing = 0.5
    plane = c.plane(depth_mm, 0.0, points=1024, spacing_mm=spacing)
    x = spacing * np.arange(61)
    ratio = c.muscle_along_s_m / c.muscle_across_s_m
    exact = 1 / (2 * np.pi * c.muscle_across_s_m * np.sqrt(ratio * (x[:, None] ** 2 + depth_mm**2) + x**2))
    gap = plane[:61, :61] - exact
    return float(np.abs(gap - gap.mean()).max() / exact[0, 0])


def reciprocity_error(conductor: Conductor | None = None, depth_mm: float = 3.0, fat_mm: float = 4.0) -> float:
    """Relative deviation between a current in the muscle seen at the skin and one at the skin seen in the muscle.

    The former is the closed form, the latter a finite-volume solution of the same layers, so that this checks the
    closed form too; the largest over wavenumbers up to 0.6 rad/mm.
    """
    c = conductor or Conductor()
    waves = ((0.05, 0.1), (0.3, 0.0), (0.0, 0.5), (0.4, 0.4))
    pairs = [
        (c.transfer(*k, depth_mm, fat_mm), _from_the_skin(c, *k, c.skin_mm + fat_mm + depth_mm, fat_mm)) for k in waves
    ]
    return max(float(abs(seen / other - 1)) for seen, other in pairs)


def neutrality_error(model: EmgModel) -> float:
    """Change of the templates if the potential of a lone charge had another zero, over their peak: none if neutral."""
    lifted = eqx.tree_at(
        lambda m: m.templates.kernel.table, model, model.templates.kernel.table + model.templates.kernel.table.max()
    )
    before, after = (np.asarray(one.templates(one.contacts_mm)) for one in (model, lifted))
    return float(np.abs(after - before).max() / np.abs(before).max())


@dataclass(frozen=True)
class Beside:
    """A muscle with bipolar pairs along its fibres at growing lateral distance. rms_uv (D,) at full drive."""

    distance_mm: Array
    rms_uv: Array


def crosstalk(
    distances_mm: tuple[float, ...] = (0, 10, 20, 30, 40, 50), *, fat: float = 1.0, units: int = 30, seed: int = 0
) -> Beside:
    """RMS of zygomaticus major in pairs 12 mm wide moved away from it, at right angles to its fibres."""
    index = muscle_index(Muscle.ZYGOMATICUS_MAJOR, Side.LEFT)
    middle, along = _course(index)
    across = np.array([along[1], -along[0]])  # towards the cheek
    sites = {}
    for number, distance in enumerate(distances_mm):
        for end, sign in (("a", -1), ("b", 1)):
            sites[f"{number}{end}"] = middle + distance * across + 6.0 * sign * along
    pairs = {str(n): (f"{n}a", f"{n}b") for n in range(len(distances_mm))}
    model = build_emg(free("beside", sites, pairs), traits=Traits(fat=fat), muscles=(index,), units=units, seed=seed)
    return Beside(np.array(distances_mm, float), np.asarray(model.rms_uv(np.ones(len(MUSCLES)))))


def pair_over(
    muscle: str | Muscle, side: str | Side = Side.LEFT, apart_mm: float = 15.0, *, radius_mm: float = 2.5
) -> Montage:
    """A bipolar pair along a muscle, over its middle."""
    middle, along = _course(muscle_index(muscle, side))
    sites = {"near": middle - apart_mm / 2 * along, "far": middle + apart_mm / 2 * along}
    return free("pair", sites, {"pair": ("near", "far")}, radius_mm=radius_mm)


def drive_of(muscle: str | Muscle, side: str | Side, level: float) -> Array:
    """Excitation (48,) of one muscle alone."""
    excitation = np.zeros(len(MUSCLES))
    excitation[muscle_index(muscle, side)] = level
    return excitation


def median_frequency_hz(
    muscle: str | Muscle = Muscle.ZYGOMATICUS_MAJOR,
    *,
    apart_mm: float = 15.0,
    level: float = 0.35,
    band_hz: tuple[float, float] = (20.0, 450.0),
    traits: Traits | None = None,
    seed: int = 0,
) -> float:
    """Median frequency of a pair over a muscle, from the expected spectrum."""
    index = muscle_index(muscle, Side.LEFT)
    model = build_emg(pair_over(muscle, apart_mm=apart_mm), traits=traits, muscles=(index,), seed=seed)
    frequency, psd = model.psd_uv2_hz(drive_of(muscle, Side.LEFT, level))
    inside = (frequency >= band_hz[0]) & (frequency <= band_hz[1])
    total = np.cumsum(psd[:, 0] * inside)
    return float(np.interp(0.5 * total[-1], total, frequency))


def campbell_error(
    model: EmgModel, level: float, *, tier: str = "motor units", seconds: float = 20.0, seed: int = 0
) -> Array:
    """Relative deviation (C,) of the sampled RMS from Campbell's theorem, all of the model's muscles at one level."""
    excitation = np.zeros((round(seconds * model.rate_hz / 8), len(MUSCLES)), np.float32)
    excitation[:, list(model.muscles)] = level
    make = model.motor_units if tier == "motor units" else model.interference
    emg = make(jax.random.key(seed), excitation).emg_uv
    spectrum = np.abs(np.fft.rfft(emg, axis=0)) ** 2
    frequency = np.fft.rfftfreq(len(emg), 1 / model.rate_hz)
    inside = (frequency >= 20) & (frequency <= 450)
    sampled = np.sqrt(2 * spectrum[inside].sum(0)) / len(emg)
    return sampled / np.asarray(model.rms_uv(excitation[0])) - 1


def position_gradient_error(model: EmgModel, level: float = 0.35, step_mm: float = 1e-4) -> float:
    """Relative deviation of d RMS / d contact positions from central differences along the steepest ascent.

    In double precision, and over a tenth of a micrometre, since the kernel's table is linear between its points.
    """
    with jax.enable_x64(True):
        excitation = jnp.full(len(MUSCLES), level)
        start = jnp.asarray(np.asarray(model.contacts_mm, float))

        @jax.jit
        @jax.value_and_grad
        def total(contacts_mm: jax.Array) -> jax.Array:
            return model.rms_uv(excitation, contacts_mm).sum()

        slope = total(start)[1]
        step = step_mm * slope / jnp.linalg.norm(slope)  # steepest ascent, where channels do not cancel
        difference = (total(start + step)[0] - total(start - step)[0]) / (2 * step_mm)
        return abs(float(jnp.linalg.norm(slope) / difference) - 1)


def _course(index: int) -> tuple[Array, Array]:
    """Middle (2,) mm of a muscle's first strip and the unit vector from its origin to its end."""
    course = ANATOMY[index // 2].fibres.course_mm(0, MUSCLES[index][1])
    along = course[-1] - course[0]
    return course.mean(0), along / np.linalg.norm(along)


def _from_the_skin(
    c: Conductor, across: float, along: float, at_mm: float, fat_mm: float, cell_mm: float = 0.01
) -> float:
    """Potential at_mm under the surface for a unit current into the surface, one wavenumber, by finite volumes."""
    skin, fat, bone, behind = c.skin_s_m, c.fat_s_m, c.bone_s_m, max(c.behind_bone_s_m, 1e-9)
    layers = (
        (c.skin_mm, skin, skin),
        (fat_mm, fat, fat),
        (c.muscle_mm, c.muscle_across_s_m, c.muscle_along_s_m),
        (c.bone_mm, bone, bone),
        (60.0, behind, behind),
    )
    counts = [round(thick / cell_mm) for thick, _, _ in layers]
    down = np.repeat([value for _, value, _ in layers], counts)
    lengthwise = np.repeat([value for _, _, value in layers], counts)
    between = 2 / (cell_mm / down[:-1] + cell_mm / down[1:])
    diagonal = cell_mm * (down * across**2 + lengthwise * along**2)
    diagonal[:-1] += between
    diagonal[1:] += between
    banded = np.stack([np.r_[0, -between], diagonal])
    potential = solveh_banded(banded, np.eye(1, len(down))[0])
    return float(np.interp(at_mm, cell_mm * (np.arange(len(down)) + 0.5), potential))
