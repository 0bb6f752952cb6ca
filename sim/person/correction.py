"""What the linear skin gets wrong at large displacements, learnt from the nonlinear reference.

    correction = Correction.load()                                   # the one that is shipped
    weights = correction.weights(isometric_n, shortening_m, jaw_rad) # (…, R)
    vertices += tensordot(weights, correction.modes_m, 1)            # on top of the linear map

Two numbers say what a muscle does: the force it would give if nothing moved, and how far it shortens in the linear
map, which knows the tissue and the other muscles. The terms are these, their squares, their products with the angle
of the jaw and the products of neighbours' shortenings; a ridge regression turns them into a few modes of
displacement. All terms vanish at rest, so that rest stays rest. Poses are taught with their mirror images. A
correction belongs to one anatomy: after a change of muscles or tissue it is to be fitted anew
(`scenarios/fit_person.py`), and `Correction.is_for` tells.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import IO
from zipfile import BadZipFile

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from numpy.typing import NDArray

from .. import mesh
from ..errors import InputError, ModelFileError
from .elements import Elements

Array = NDArray[np.floating]

MODES = 48
"""Modes that are kept; all of them lower the error by less than a hundredth of a millimetre more."""
RIDGES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
_CHOICE_SHARE = 0.2
_FORMAT = "duchenne person skin, 2"
_NEAR_M = 0.015
"""Elements of one side whose insertions are that near are neighbours; twice as far gains nothing."""
_SHIPPED = files("duchenne.sim.person") / "data" / "person_skin.npz"
_SAME = 1e-3
"""Relative difference of a muscle's constants up to which a correction is taken to be for the same anatomy."""


@dataclass(frozen=True, eq=False)
class Correction:
    """A fitted correction; E muscle elements (all but the lip seals), F terms, R modes.

    coefficients (F, R): weights by term, see `terms`. modes_m (R, 468, 3): displacement by weight. pairs (P, 2):
    elements whose shortenings are multiplied, see `neighbours`. signature (E, 5): what the muscles were, see
    `signature_of`. figures: errors on poses that took no part in the fit.
    """

    coefficients: Array
    modes_m: Array
    pairs: NDArray[np.int64]
    signature: Array
    figures: Mapping[str, float]

    def weights(self, isometric_n: ArrayLike, shortening_m: ArrayLike, jaw_rad: ArrayLike) -> jax.Array:
        """Weights (…, R) of the modes.

        isometric_n (…, E): force of each muscle element beyond its tone if nothing moved, k l − k₀ l₀.
        shortening_m (…, E): its shortening Δl in the linear map. jaw_rad (…): opening of the jaw.
        """
        return terms(isometric_n, shortening_m, jaw_rad, self.pairs) @ jnp.asarray(self.coefficients)

    def is_for(self, parts: Elements) -> bool:
        """Whether it was fitted to a face with these muscles, up to their strength."""
        own = signature_of(parts)
        return own.shape == self.signature.shape and bool(np.allclose(own, self.signature, rtol=_SAME, atol=_SAME))

    def save(self, file: str | Path | IO[bytes]) -> None:
        """Write a compressed `.npz` of plain arrays and a JSON manifest."""
        manifest = json.dumps({"format": _FORMAT, "figures": dict(self.figures)})
        np.savez_compressed(
            file,
            manifest=np.array(manifest),
            coefficients=self.coefficients.astype(np.float32),
            modes_m=self.modes_m.astype(np.float32),
            pairs=self.pairs.astype(np.int16),
            signature=self.signature.astype(np.float32),
        )

    @classmethod
    def load(cls, file: str | Path | IO[bytes] | None = None) -> "Correction":
        """Read a correction that `save` wrote, None for the shipped one. Raises ModelFileError if it is none."""
        if file is None:
            with _SHIPPED.open("rb") as stream:
                return cls.load(stream)
        try:
            with np.load(file, allow_pickle=False) as data:
                manifest = json.loads(str(data["manifest"]))
                if manifest["format"] != _FORMAT:
                    raise ModelFileError(f"{file}: {manifest['format']!r}, wanted {_FORMAT!r}; fit it anew")
                return cls(
                    coefficients=data["coefficients"],
                    modes_m=data["modes_m"],
                    pairs=data["pairs"].astype(np.int64),
                    signature=data["signature"],
                    figures=manifest["figures"],
                )
        except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
            raise ModelFileError(f"{file} is no fitted correction ({error}); fit one or give another path") from error


def terms(
    isometric_n: ArrayLike, shortening_m: ArrayLike, jaw_rad: ArrayLike, pairs: Sequence[tuple[int, int]] | NDArray
) -> jax.Array:
    """Terms (…, F = 6 E + 2 + P): forces, shortenings (cm), jaw; their squares; the first two times the jaw; products
    of two shortenings for pairs (P, 2) of elements."""
    jaw = jnp.asarray(jaw_rad)[..., None]
    short = 100 * jnp.asarray(shortening_m)
    # picked by products with ones and zeros, which compile to something quicker than indexing
    first, second = np.eye(short.shape[-1], dtype=short.dtype)[np.asarray(pairs, int).reshape(-1, 2).T].swapaxes(1, 2)
    pulls = jnp.concatenate([jnp.asarray(isometric_n), short], axis=-1)
    linear = jnp.concatenate([pulls, jaw], axis=-1)
    return jnp.concatenate([linear, linear * linear, pulls * jaw, (short @ first) * (short @ second)], axis=-1)


def neighbours(parts: Elements) -> NDArray[np.int64]:
    """Pairs (P, 2) of muscle elements of one side whose insertions lie within 15 mm of each other."""
    muscles = np.flatnonzero(~parts.seal)
    place = np.array([parts.rest[parts.insertion[index]].mean(0) for index in muscles])
    near = np.linalg.norm(place[:, None] - place, axis=-1) < _NEAR_M
    same_side = parts.muscle[muscles][:, None] % 2 == parts.muscle[muscles] % 2
    return np.argwhere(np.triu(near & same_side, 1))


def signature_of(parts: Elements) -> Array:
    """What the muscle elements are, up to their strength, (E, 5): direction of the summed pull, free length (cm) and
    its part at rest (cm)."""
    muscles = ~parts.seal
    pull = parts.pull[:, muscles].reshape(-1, 3, int(muscles.sum())).sum(0).T
    return np.c_[pull, 100 * (parts.l0 + parts.l1)[muscles], 100 * parts.l0[muscles]]


def mirrored_elements(parts: Elements) -> NDArray[np.int64]:
    """For each muscle element the one on the other side, (E,)."""
    names = [name for name, seal in zip(parts.names, parts.seal, strict=True) if not seal]
    swap = {"right": "left", "left": "right"}
    partner = [", ".join(swap.get(word, word) for word in name.split(", ")) for name in names]
    return np.array([names.index(name) for name in partner])


@dataclass(frozen=True, eq=False)
class SolvedPoses:
    """N poses as the linear map and the reference see them.

    isometric_n, shortening_m (N, E), jaw_rad (N,): as in `Correction.weights`. linear_m, reference_m (N, 468, 3):
    displacements from rest, without contact. kind (N,): what each is, for figures by kind.
    """

    isometric_n: Array
    shortening_m: Array
    jaw_rad: Array
    linear_m: Array
    reference_m: Array
    kind: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.jaw_rad)

    def __getitem__(self, which: NDArray[np.int64] | slice) -> "SolvedPoses":
        return SolvedPoses(*(getattr(self, name)[which] for name in self.__dataclass_fields__))

    def __add__(self, other: "SolvedPoses") -> "SolvedPoses":
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return SolvedPoses(*(np.concatenate(pair) for pair in pairs))

    def mirrored(self, partner: NDArray[np.int64]) -> "SolvedPoses":
        """The same poses in the mirror; `partner` from `mirrored_elements`."""
        return SolvedPoses(
            self.isometric_n[:, partner], self.shortening_m[:, partner], self.jaw_rad,
            mesh.mirror(self.linear_m), mesh.mirror(self.reference_m), self.kind,
        )  # fmt: skip

    def terms(self, pairs: NDArray[np.int64]) -> Array:
        """Terms (N, F)."""
        return np.asarray(terms(self.isometric_n, self.shortening_m, self.jaw_rad, pairs))


def fit(poses: SolvedPoses, parts: Elements) -> Correction:
    """Fit a correction to poses in random order, `parts` of the mean face.

    The last fifth of the poses chooses the ridge; then the fit is repeated with all of them. Poses that are to measure
    it must be others. Raises InputError for fewer than 40 poses.
    """
    if len(poses) < 40:
        raise InputError(f"a fit needs 40 poses or more, got {len(poses)}")
    first = round((1 - _CHOICE_SHARE) * len(poses))
    taught, choosing = poses[slice(0, first)], poses[slice(first, None)]
    trials = _fits(taught, parts, RIDGES)
    ridge = min(zip((_rms_mm(_errors(trial, choosing)) for trial in trials), RIDGES, strict=True))[1]
    return _fits(poses, parts, (ridge,))[0]


def evaluate(correction: Correction, poses: SolvedPoses) -> dict[str, float]:
    """Errors of a correction on solved poses.

    Returns named numbers: `poses_test`; `vertex_error_rms_mm` over all vertices and poses, beside
    `linear_error_rms_mm` and `motion_rms_mm`; `worst_vertex_median_mm` and `worst_vertex_p95_mm` over poses;
    `error_<region>_mm` by `mesh.REGIONS`, right and left together; `error_<kind>_mm` and `motion_<kind>_mm`.
    """
    off = _errors(correction, poses)
    linear = np.linalg.norm(poses.reference_m - poses.linear_m, axis=-1)
    motion = np.linalg.norm(poses.reference_m, axis=-1)
    figures = {
        "poses_test": float(len(poses)),
        "vertex_error_rms_mm": _rms_mm(off),
        "linear_error_rms_mm": _rms_mm(linear),
        "motion_rms_mm": _rms_mm(motion),
        "worst_vertex_median_mm": 1e3 * float(np.median(off.max(1))),
        "worst_vertex_p95_mm": 1e3 * float(np.quantile(off.max(1), 0.95)),
    }
    for name in dict.fromkeys(name.removeprefix("right ").removeprefix("left ") for name in mesh.REGIONS):
        vertices = [v for region in mesh.REGIONS if region.endswith(name) for v in mesh.region(region)]
        figures[f"error_{name}_mm"] = _rms_mm(off[:, vertices])
    for kind in dict.fromkeys(poses.kind.tolist()):
        of = poses.kind == kind
        figures[f"error_{kind}_mm"], figures[f"motion_{kind}_mm"] = _rms_mm(off[of]), _rms_mm(motion[of])
    return figures


def _fits(poses: SolvedPoses, parts: Elements, ridges: tuple[float, ...]) -> list[Correction]:
    """Ridge regressions of the modes' weights on terms of unit size, one for each ridge."""
    mirror, pairs = poses.mirrored(mirrored_elements(parts)), neighbours(parts)
    design = np.concatenate([poses.terms(pairs), mirror.terms(pairs)]).astype(float)
    size = np.sqrt(np.mean(design**2, axis=0)) + 1e-9
    design /= size
    target = np.concatenate([part.reference_m - part.linear_m for part in (poses, mirror)]).reshape(len(design), -1)
    rank = min(MODES, *target.shape)
    modes = np.linalg.svd(target, full_matrices=False)[2][:rank]
    gram, moment = design.T @ design, design.T @ (target @ modes.T)
    spread = np.sqrt(len(modes[0]) / 3)  # so that a weight is about the rms displacement
    return [
        Correction(
            coefficients=np.linalg.solve(gram + ridge * np.eye(len(gram)), moment) / size[:, None] / spread,
            modes_m=modes.reshape(rank, -1, 3) * spread,
            pairs=pairs,
            signature=signature_of(parts),
            figures={},
        )
        for ridge in ridges
    ]


def _errors(correction: Correction, poses: SolvedPoses) -> Array:
    """Distance (N, 468) m from the reference."""
    added = np.tensordot(poses.terms(correction.pairs) @ correction.coefficients, correction.modes_m, 1)
    return np.linalg.norm(poses.linear_m + added - poses.reference_m, axis=-1)


def _rms_mm(lengths_m: Array) -> float:
    return 1e3 * float(np.sqrt(np.mean(np.square(lengths_m))))
