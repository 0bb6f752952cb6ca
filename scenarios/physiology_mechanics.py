"""Does the face move as published? Closed forms, displacements of action units, gradients."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from ..sim import mesh
from ..sim.person.anatomy import MUSCLES
from ..sim.person.elements import Elements, elements
from ..sim.person.mechanics import Face, build_face, condensed_face
from ..sim.person.mykin import several_muscles_m, single_muscle_above_tone_m
from ..sim.person.repertoire import UNITS, excite, unit_index
from ..sim.person.sheet import SoftTissue
from .checks import Check

_SHU = "skin-musculoskeletal paper, eq. {}"
_FORCES = 7
"""Where element forces begin in a face's coordinates, after jaw and lids."""
_KNOWLEDGE = "planning range; no table found"


def checks() -> Iterator[Check]:
    """Mechanical checks of the mean adult, in double precision."""
    with jax.enable_x64(True):
        yield from _closed_forms()
        face = build_face()
        yield from _displacements(face)
        yield from _gradient(face)


def pose(face: Face, formula: dict[str, float]) -> np.ndarray:
    """Vertices (468, 3) m of action units at given intensities, held."""
    units = np.zeros((1, len(UNITS), 2))
    for code, intensity in formula.items():
        units[:, unit_index(code)] = intensity
    return np.asarray(face.vertices(excite(units)[0]))


def _closed_forms() -> Iterator[Check]:
    """One muscle on the whole sheet, and two that pull one point along one line, against the formulas."""
    parts = elements()
    right = parts.names.index("zygomaticus major, right")
    single = condensed_face(SoftTissue(), _chosen(parts, [right], [1.0]))
    skin_n_m = 1 / float(single.compliance[0, 0])
    worst = 0.0
    for u in (0.1, 0.5, 1.0):
        activation = _activation({right: u}, parts)
        got = float(single.coordinates(activation)[_FORCES]) / skin_n_m
        worst = max(worst, abs(got / float(single_muscle_above_tone_m(u, **_mykin(single, 0), skin_n_m=skin_n_m)) - 1))
    yield Check(
        topic="equilibrium", what="one muscle on the sheet, relative error", got=worst, high=1e-6,
        source=_SHU.format(10),
    )  # fmt: skip
    # The left muscle now pulls the right one's vertices: back along the same line, with 0.6 of the lever.
    cosines = np.array([1.0, -0.6])
    double = condensed_face(SoftTissue(), _chosen(parts, [right, right], (1.0, -0.6), (right, right + 1)))
    worst = 0.0
    for pair in ((0.3, 0.8), (1.0, 0.2)):
        activation = _activation({right: pair[0], right + 1: pair[1]}, parts)
        got = float(cosines @ np.asarray(double.coordinates(activation))[_FORCES : _FORCES + 2]) / skin_n_m
        wanted = several_muscles_m(
            np.array(pair),
            **_mykin(double, slice(None)),
            skin_n_m=skin_n_m,
            projection=cosines,
            lever=cosines,
            tone=True,
        )
        worst = max(worst, abs(got / float(wanted) - 1))
    yield Check(
        topic="equilibrium", what="two muscles along one line, relative error", got=worst, high=1e-6,
        source=_SHU.format(14),
    )  # fmt: skip


def _chosen(parts: Elements, indices: list[int], scale: Sequence[float], drivers: Sequence[int] = ()) -> Elements:
    """Some force elements alone, their pulls scaled, driven by the muscles of the elements `drivers`."""
    kept = np.array(indices)
    columns = {name: getattr(parts, name)[kept] for name in _BY_ELEMENT}
    columns["muscle"] = parts.muscle[list(drivers) or indices]
    return replace(
        parts,
        names=tuple(parts.names[i] for i in indices),
        pull=parts.pull[:, kept] * np.asarray(scale),
        insertion=tuple(parts.insertion[i] for i in indices),
        share=tuple(parts.share[i] for i in indices),
        **columns,
    )


_BY_ELEMENT = ("k0", "k1", "l0", "l1", "ride", "straight", "direction", "length_m", "origin_m", "on_jaw")


def _activation(levels: dict[int, float], parts: Elements) -> Any:
    result = np.zeros(len(MUSCLES))
    for element, level in levels.items():
        result[parts.muscle[element]] = level
    return result


def _mykin(face: Face, index: Any) -> dict[str, Any]:
    return {name: np.asarray(getattr(face, name))[index] for name in ("k0", "k1", "l0", "l1")}


def _displacements(face: Face) -> Iterator[Check]:
    """How far landmarks move at full intensity, both sides."""
    rest = np.asarray(face.rest)

    def moved(vertices: list[int], **formula: float) -> np.ndarray:
        return 1e3 * (pose(face, formula) - rest)[vertices].mean(0)

    def check(what: str, got: Any, low: float, high: float, unit: str = "mm", source: str = _KNOWLEDGE) -> Check:
        return Check(topic="displacement", what=what, got=float(got), low=low, high=high, unit=unit, source=source)

    corner = moved([291], AU12=1.0)
    yield check("AU12 lip corner", np.linalg.norm(corner), 8, 14, source="Flynn et al., FE face: 11-14 mm")
    yield check("AU12 angle above horizontal", np.degrees(np.arctan2(corner[1], corner[0])), 38, 53, "deg",
                "cadaver line of pull 44 deg; spontaneous smiles 47 deg (15 children on video)")  # fmt: skip
    wide = moved([291], AU12=0.8)[0] - moved([61], AU12=0.8)[0]
    yield check("AU12 mouth wider, at 0.8", 100 * wide / (1e3 * (rest[291] - rest[61])[0]), 15, 40, "%",
                "spontaneous smiles +27 %")  # fmt: skip
    shortened = float(np.linalg.norm(corner) * np.cos(np.radians(2)))
    yield check("AU12 zygomaticus shortening of 72 mm", 100 * shortened / 72, 10, 18, "%",
                "13.8 % of 72 mm (cadavers); 14.4 % by MRI in 34 people")  # fmt: skip
    yield check("AU1+2 brow up", moved([66, 105], AU1=1.0, AU2=1.0)[1], 5, 12)
    yield check("AU4 brow medial and down", np.linalg.norm(moved([107], AU4=1.0)), 3, 8)
    yield check("AU5 upper lid up", moved([159], AU5=1.0)[1], 1, 4.5)
    yield check("AU45 lids' gap", (1e3 * pose(face, {"AU45": 1.0})[[159, 145], 1] @ [1, -1]), -1.5, 0.5)
    yield check("AU6 cheek", np.linalg.norm(moved([50], AU6=1.0)), 2, 7)
    yield check("AU9 wing of nose up", moved([49, 129], AU9=1.0)[1], 3, 7)
    yield check("AU10 upper lip up", moved([39, 269], AU10=1.0)[1], 3, 8)
    yield check("AU15 lip corner down", -moved([61], AU15=1.0)[1], 4, 9)
    yield check("AU16 lower lip down", -moved([181], AU16=1.0)[1], 3, 8)
    yield check("AU17 chin pad up", moved([199], AU17=1.0)[1], 3, 9)
    yield check("AU18 lips forward", moved([0, 17], AU18=1.0)[2], 3, 10)
    yield check("AU20 lip corner out", -moved([61], AU20=1.0)[0], 3, 9)
    yield check("AU27 gap of lips", (1e3 * pose(face, {"AU27": 1.0})[[13, 14], 1] @ [1, -1]), 25, 55,
                source="people open 40-50 mm between the incisors")  # fmt: skip


def _gradient(face: Face) -> Iterator[Check]:
    """Derivative of landmarks in activations, automatic against central differences."""
    rng = np.random.default_rng(0)
    activation = rng.uniform(0.1, 0.7, len(MUSCLES)) * (rng.random(len(MUSCLES)) < 0.5)
    weights = rng.normal(size=(mesh.VERTEX_COUNT, 3))

    def value(a):
        return (face.vertices(a) * weights).sum()

    got = np.asarray(jax.grad(value)(activation))
    step = 1e-6
    wanted = np.array([float(value(activation + step * e) - value(activation - step * e)) for e in np.eye(len(got))])
    error = np.linalg.norm(got - wanted / (2 * step)) / np.linalg.norm(got)
    yield Check(
        topic="gradients", what="landmarks by activation, relative error", got=float(error), high=1e-3,
        source="central differences",
    )  # fmt: skip
