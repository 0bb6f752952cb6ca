"""The soft tissue of a living face as one elastic sheet on a regional foundation.

Skin (and the fat that moves with it) is `skin.Sheet`: an incompressible neo-Hookean membrane with bending. What ties
it down is a foundation whose stiffness differs by region, since skin slides easily over the forehead and the cheek,
is fused to the nose and is held by ligaments at the zygoma and before the ear. Tissue that goes on beyond the mesh is
a spring along its oval; the tarsal plates hold the margins of the lids, whose motion is prescribed.

In comments [S] is a value seen in a source, [K] engineering knowledge without a source looked up, [T] tuned so that
single muscles move the skin by the published amounts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .. import mesh
from ..errors import InputError, VocabularyError
from ..skin import Sheet, SkinMaterial

Array = NDArray[np.floating]

REGION_VERTICES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "nose": (6, 197, 195, 5, 4, 1, 2, 168, 122, 196, 3, 51, 45, 44, 220, 115, 131),
        "ala": (49, 48, 64, 102, 98),
        "zygomatic ligament": (116, 123, 227, 34, 143, 111),
        "forehead": (151, 108, 69, 104, 68, 10, 109, 67, 103, 9, 107, 66, 105, 63),
        "lips": (
            *mesh.LIPS_OUTER, *mesh.LIPS_INNER, 12, 38, 41, 42, 183, 11, 72, 73, 74, 184, 15, 86, 179, 89, 96, 16,
            85, 180, 90, 77, 76, 62,
        ),
        "chin": (199, 200, 175, 171, 148, 152, 176, 208),
        "cheek": (205, 187, 50, 101, 36, 206, 216, 207, 214, 192, 212, 147),
        "canthi": (244, 245, 243, 133, 188),
        "parotid": (58, 132, 93, 234, 127, 177, 215, 172),
        "philtrum": (164, 167, 165, 92, 186),
    }
)  # fmt: skip
"""Where the foundation differs, by vertices of the right side and the midline; the left follows by `mesh.MIRROR`.
A later region overrides an earlier one where they meet."""

LID_UPPER = (246, 161, 160, 159, 158, 157, 173)
LID_LOWER = (7, 163, 144, 145, 153, 154, 155)
LID_FOLD = (247, 30, 29, 27, 28, 56, 190)
"""Right upper margin, lower margin, and the ring of skin above the upper margin, from the outer to the inner corner."""


def _frozen_map(**values: float) -> Mapping[str, float]:
    return MappingProxyType(values)


@dataclass(frozen=True, kw_only=True)
class SoftTissue:
    """Mechanical properties of a face's soft tissue. Allowed ranges are in `TISSUE_RANGES`.

    young_pa: small-strain Young's modulus of skin with the fat that moves with it, incompressible. 30 kPa [T]: with
        it a mouth corner is as stiff as in the skin-musculoskeletal paper (K_H = 100 N/m); living skin 20-50 kPa [K].
    thickness_m: of that layer; 1.5-2 mm [S].
    foundation_tangential_n_m3: spring per area against sliding, 1e5 [T]; the shear modulus 0.84 kPa of subcutaneous
        fat [S] over 4-8 mm gives 1e5-2e5.
    foundation_normal_n_m3: against lifting and sinking, 8e5 [T].
    tangential_factors, normal_factors: factor by region name of `REGION_VERTICES`, blended with Gaussians of
        `blend_m` in the logarithm [K, T].
    rim_n_m2: tissue beyond the oval, N/m per metre of rim, 4e4 = 400 N/m per cm [K].
    lid_n_m, fold_n_m: springs that make the lid margins, and softly the fold above, follow the prescribed arcs [T].
    bending_scale: on E h³ / 12 (1 - ν²).
    """

    young_pa: float = 30e3
    thickness_m: float = 1.8e-3
    foundation_tangential_n_m3: float = 1e5
    foundation_normal_n_m3: float = 8e5
    tangential_factors: Mapping[str, float] = field(
        default_factory=lambda: _frozen_map(
            **{"nose": 20.0, "ala": 3.0, "zygomatic ligament": 4.0, "forehead": 0.3, "lips": 0.4, "chin": 2.0,
               "cheek": 0.6, "canthi": 20.0, "parotid": 4.0, "philtrum": 0.6}
        )
    )  # fmt: skip
    normal_factors: Mapping[str, float] = field(
        default_factory=lambda: _frozen_map(
            **{"nose": 3.0, "lips": 0.4, "cheek": 0.5, "forehead": 2.0, "philtrum": 0.3, "ala": 0.5}
        )
    )
    blend_m: float = 0.008
    rim_n_m2: float = 4e4
    lid_n_m: float = 2000.0
    fold_n_m: float = 100.0
    bending_scale: float = 1.0

    def __post_init__(self) -> None:
        for name, (low, high) in TISSUE_RANGES.items():
            value = getattr(self, name)
            if not (np.ndim(value) == 0 and np.isfinite(value) and low <= value <= high):
                raise InputError(f"SoftTissue.{name} must lie in {low:g} … {high:g}, got {value}; check its unit")
        for name in ("tangential_factors", "normal_factors"):
            factors = dict(getattr(self, name))
            unknown = set(factors) - set(REGION_VERTICES)
            if unknown:
                raise VocabularyError(f"unknown region in {name}: {sorted(unknown)}; allowed: {list(REGION_VERTICES)}")
            bad = {k: v for k, v in factors.items() if not (np.isfinite(v) and 1e-3 <= v <= 1e3)}
            if bad:
                raise InputError(f"SoftTissue.{name} must lie in 0.001 … 1000, got {bad}")
            object.__setattr__(self, name, MappingProxyType(factors))

    def scaled(self, **factors: float) -> "SoftTissue":
        """These properties with some numbers multiplied, e.g. `scaled(young_pa=1.3)` for older skin."""
        unknown = set(factors) - set(TISSUE_RANGES)
        if unknown:
            raise VocabularyError(f"no tissue property {sorted(unknown)}; allowed: {list(TISSUE_RANGES)}")
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return SoftTissue(**{**values, **{name: values[name] * factor for name, factor in factors.items()}})


TISSUE_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "young_pa": (2e3, 2e6),
        "thickness_m": (3e-4, 8e-3),
        "foundation_tangential_n_m3": (1e3, 1e8),
        "foundation_normal_n_m3": (1e3, 1e9),
        "blend_m": (1e-3, 5e-2),
        "rim_n_m2": (0.0, 1e7),
        "lid_n_m": (0.0, 1e5),
        "fold_n_m": (0.0, 1e5),
        "bending_scale": (0.0, 100.0),
    }
)
"""Limits of what counts as soft tissue, generous to a factor of ten or more; outside it is a slip of units."""


def face_sheet(tissue: SoftTissue, rest: Array = mesh.REST) -> Sheet:
    """The elastic sheet of a face, rest (468, 3) m.

    Its foundation and anchors ride on the jaw with `elements.Elements.jaw_ground`; the lids' springs (part of the
    anchors) on `elements.Elements.lid_ground`. Raises InputError for a rest that is no face.
    """
    rest = np.array(rest, float)
    if rest.shape != (mesh.VERTEX_COUNT, 3) or not np.isfinite(rest).all():
        raise InputError(f"rest must be finite (468, 3) metres, got shape {rest.shape}")
    material = SkinMaterial(
        young_pa=tissue.young_pa,
        poisson=0.5,
        thickness_m=tissue.thickness_m,
        foundation_tangential_n_m3=tissue.foundation_tangential_n_m3,
        foundation_normal_n_m3=tissue.foundation_normal_n_m3,
        bending_scale=tissue.bending_scale,
    )
    return Sheet(
        rest,
        mesh.TRIANGLES,
        material,
        tangential=regional_factor(tissue.tangential_factors, tissue.blend_m),
        normal=regional_factor(tissue.normal_factors, tissue.blend_m),
        anchor_n_m=_rim_springs(tissue, rest) + lid_springs(tissue),
    )


def regional_factor(factors: Mapping[str, float], blend_m: float) -> Array:
    """A smooth factor for every vertex (468,) from factors by region, 1 far from all of them."""
    log_factor = np.zeros(mesh.VERTEX_COUNT)
    for name, vertices in REGION_VERTICES.items():
        if name not in factors:
            continue
        both = sorted({*vertices, *(int(mesh.MIRROR[v]) for v in vertices)})
        distance = np.linalg.norm(mesh.CANONICAL[:, None] - mesh.CANONICAL[both], axis=-1).min(1)
        share = np.exp(-0.5 * (distance / blend_m) ** 2)
        log_factor = (1 - share) * log_factor + share * np.log(factors[name])
    return np.exp(log_factor)


def lid_springs(tissue: SoftTissue) -> Array:
    """Springs (468,) N/m from the lids' margins and the fold above the upper lid to their prescribed places."""
    result = np.zeros(mesh.VERTEX_COUNT)
    for ring, stiffness in ((LID_UPPER + LID_LOWER, tissue.lid_n_m), (LID_FOLD, tissue.fold_n_m)):
        result[list(ring)] = result[mesh.MIRROR[list(ring)]] = stiffness
    return result


def _rim_springs(tissue: SoftTissue, rest: Array) -> Array:
    oval = np.array(mesh.FACE_OVAL)
    length = np.linalg.norm(rest[oval] - rest[np.roll(oval, -1)], axis=1)
    result = np.zeros(mesh.VERTEX_COUNT)
    result[oval] = tissue.rim_n_m2 * 0.5 * (length + np.roll(length, 1))
    return result
