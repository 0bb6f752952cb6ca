"""What a facial muscle is made of: fibres that make electricity, and lines and rings that pull on skin.

Everything is written for the subject's right side; the left is its mirror image. `anatomy` holds the muscles.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import mesh
from ..facs import Muscle, Side

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Fibres:
    """A muscle as a source of current.

    strips: polylines ((lateral, y), …) mm along the fibres, origin first; a ring has one for each arc.
    width_mm across the fibres; depth_mm (least, most) below the top of the muscle layer.
    count of muscle fibres; diameter_um; conduction_m_s.
    innervation: places of the endplate zones as fractions of the length; innervation_sd_mm, end_sd_mm: scatter
    of zone and of fibre ends.
    """

    strips: tuple[tuple[tuple[float, float], ...], ...]
    width_mm: float
    depth_mm: tuple[float, float]
    count: int = 15_000
    diameter_um: float = 15.0
    conduction_m_s: float = 2.5
    innervation: tuple[float, ...] = (0.3,)
    innervation_sd_mm: float = 2.0
    end_sd_mm: float = 2.5

    def course_mm(self, strip: int, of: Side) -> Array:
        """Chart coordinates (K, 2) mm of a strip on one side."""
        return np.array(self.strips[strip], float) * [1.0 if of is Side.LEFT else -1.0, 1.0]

    @property
    def length_mm(self) -> float:
        """Length of the longest strip."""
        return max(float(np.hypot(*np.diff(np.array(strip), axis=0).T).sum()) for strip in self.strips)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A pull of skin vertices towards one point of bone.

    insertion: vertices that share the force equally; the origin is a vertex's place plus an offset, on the
    jaw if `on_jaw`. max_force_n: isometric force at full activation; shortening_m: free shortening l₁ of the
    Mykin muscle. wrap: share of the direction normal to the skin that is lost since muscle wraps the skull.
    """

    insertion: tuple[int, ...]
    origin_vertex: int
    origin_offset_mm: tuple[float, float, float]
    max_force_n: float
    shortening_m: float
    on_jaw: bool = False
    wrap: float = 0.75

    def origin_m(self, rest: Array = mesh.REST) -> Array:
        """Origin (3,) m on the right of a face at rest (468, 3) m."""
        return rest[self.origin_vertex] + 1e-3 * np.array(self.origin_offset_mm)


@dataclass(frozen=True, kw_only=True)
class Ring:
    """A sphincter's pull: vertices move towards a centre, since tension along a ring acts by its curvature.

    vertices and their weights (summing to one); the centre is the mean of `centre` vertices plus an offset.
    axial: forward share of the pull (+ protrudes, − rolls in). max_force_n sums over the vertices.
    """

    vertices: tuple[int, ...]
    weights: tuple[float, ...]
    centre: tuple[int, ...]
    centre_offset_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    axial: float = 0.0
    max_force_n: float
    shortening_m: float
    wrap: float = 0.7

    def __post_init__(self) -> None:
        total = sum(self.weights)
        object.__setattr__(self, "weights", tuple(weight / total for weight in self.weights))

    def centre_m(self, rest: Array = mesh.REST) -> Array:
        """Centre (3,) m on the right of a face at rest (468, 3) m."""
        return rest[list(self.centre)].mean(0) + 1e-3 * np.array(self.centre_offset_mm)


@dataclass(frozen=True, kw_only=True)
class MuscleAnatomy:
    """One bilateral muscle. `pulls` is empty for muscles that move lids or jaw instead of skin."""

    muscle: Muscle
    fibres: Fibres
    pulls: tuple[Line | Ring, ...] = ()
    motor_units: int = 60
    jaw: bool = False
