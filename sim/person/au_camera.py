"""A camera's opinion on action units: what a landmark tracker sees of a moving face, and what it makes of it.

Seeing. A tracker follows edges: lips, lids, brows, the outline. Skin that slides without an edge it hardly sees, and
what it sees of a place depends on what moves it: a cheek that a smile takes along, but not one that AU6 lifts. So
each action unit has a gain of its own (`camera_view`, measured with MediaPipe on rendered faces), and a vertex is seen
with the mean gain of the units that move it at the moment; of depth, a guess from two dimensions, 0.3 of that. To
this come what the tracker gets wrong in one person and another, jitter that neighbours share, and lateness.

Judging. Action-unit intensities are the non-negative combination of the *mean* face's displacements, as the tracker
sees them, that explains best what it saw, given its noise and what usually goes together: a judge that has learnt from
faces of expressions expects cheeks where it finds a smile. Units that look alike to it (6 and 7, 9 and 10, 23 and 24,
26 and 27) share the credit; nobody wrote these confusions in.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import mesh
from ..errors import InputError
from .camera_view import camera_view
from .repertoire import REPERTOIRES, UNITS, repertoire

Array = NDArray[np.floating]

CALLED = 0.3
"""Intensity from which the camera calls a unit present; cautious, as OpenFace was, which missed two smiles in three at
precision 0.9 (distal-EMG paper, Table 1). This camera misses fewer: its recall over simulated smiles is 0.5 to 0.6."""
_STILL_M = 1e-4
"""Displacement below which a vertex is seen with the gain of the whole face rather than of what moves it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AuCamera:
    """A tracker and a judge behind one camera.

    dictionary (…, 468, 3) m: displacement of the mean face at full intensity of each unit; its leading axes, (A,) or
    (A, 2), are the answer's.
    unit_gain (…): share of each unit's displacement that is seen. own_gain (468,): this person's factor on it.
    depth: share of that which is seen of motion towards the camera, a guess from two dimensions.
    jitter_m, drift_m: SD of noise at single vertices, and of noise that neighbours share, which lasts drift_s
    (*unknown*; 0.2-0.5 and 0.2-0.8 mm). delay_s: exposure and reading out.
    usual: SD of intensities that the judge expects, against the noise it knows of; *unknown*, 0.2-0.5. It is what
    makes it doubt a unit that hardly shows. company: how far, 0…1, it expects units to come as in expressions rather
    than each for itself; *unknown*: at 0.7 its AU6 and AU12 agree by κ 0.7-0.8, where those of OpenFace had 0.62.
    """

    dictionary: Array
    unit_gain: Array
    own_gain: Array
    depth: float = 0.3
    jitter_m: float = 2e-4
    drift_m: float = 4e-4
    drift_s: float = 0.3
    delay_s: float = 0.03
    usual: float = 0.3
    company: float = 0.7

    def __post_init__(self) -> None:
        shape = (mesh.VERTEX_COUNT, 3)
        if self.dictionary.ndim < 3 or self.dictionary.shape[-2:] != shape or not np.isfinite(self.dictionary).all():
            raise InputError(f"dictionary has shape {self.dictionary.shape}; wanted (…, 468, 3) m, finite")
        if np.abs(self.dictionary).max(initial=0) > 0.1:
            raise InputError("dictionary moves vertices by more than 10 cm; give displacements in metres")
        if np.shape(self.unit_gain) != self.dictionary.shape[:-2]:
            raise InputError(f"unit_gain must be {self.dictionary.shape[:-2]}, got {np.shape(self.unit_gain)}")

    @classmethod
    def sample(cls, dictionary: Array, rng: np.random.Generator, own: float = 0.15) -> "AuCamera":
        """A camera that looks at one person; gains are off by a smooth field, log-normal SD `own`, *unknown*."""
        field = _smooth(np.exp(own * rng.standard_normal(len(_ANCHORS))))
        known = np.asarray(dictionary, float)
        return cls(dictionary=known, unit_gain=tracker_gain(known.shape[:-2]), own_gain=field)

    @classmethod
    def perfect(cls, dictionary: Array) -> "AuCamera":
        """One that sees every vertex exactly and at once: what is visible at all of each unit."""
        known = np.asarray(dictionary, float)
        return cls(
            dictionary=known,
            unit_gain=np.ones(known.shape[:-2]),
            own_gain=np.ones(mesh.VERTEX_COUNT),
            depth=1.0,
            jitter_m=0.0,
            drift_m=0.0,
            delay_s=0.0,
            company=0.0,
        )

    def see(self, displacement_m: Array, rate_hz: float, rng: np.random.Generator) -> Array:
        """Displacement (T, 468, 3) m as the tracker reports it, from the true one at the camera's rate."""
        true = np.asarray(displacement_m, float)
        if true.ndim != 3 or true.shape[1:] != (mesh.VERTEX_COUNT, 3) or not np.isfinite(true).all():
            raise InputError(f"displacement has shape {true.shape}; wanted (T, 468, 3) m, finite")
        if not rate_hz > 0:
            raise InputError(f"rate must be positive, got {rate_hz} Hz")
        seen = self._seen(_delayed(true, self.delay_s * rate_hz)) * self.own_gain[:, None]
        if self.jitter_m:
            seen = seen + self.jitter_m * rng.standard_normal(seen.shape)
        if self.drift_m:
            keep = np.exp(-1 / (self.drift_s * rate_hz))
            noise = rng.standard_normal((len(seen), len(_ANCHORS), 3))
            noise[1:] *= np.sqrt(1 - keep * keep)
            for step in range(1, len(noise)):
                noise[step] += keep * noise[step - 1]
            seen = seen + self.drift_m * (_FIELDS @ noise)
        return seen

    def judge(self, seen_m: Array) -> Array:
        """Intensities (T, …) 0…1 that best explain displacements (T, 468, 3) m as seen."""
        lead = self.dictionary.shape[:-2]
        columns = self._of_units(self.dictionary) * self.unit_gain.reshape(-1, 1)
        columns = columns * np.tile([1.0, 1.0, self.depth], mesh.VERTEX_COUNT)
        gram = columns @ columns.T
        shared = mesh.VERTEX_COUNT / len(_ANCHORS)
        doubt = (self.jitter_m**2 + shared * self.drift_m**2) / self.usual**2
        gram += max(doubt, 1e-9) * np.linalg.inv(self._expected())
        evidence = np.asarray(seen_m, float).reshape(len(seen_m), -1) @ columns.T
        return nonnegative(gram, evidence).reshape(len(seen_m), *lead)

    def observe(self, displacement_m: Array, rate_hz: float, rng: np.random.Generator) -> Array:
        """See, then judge: intensities (T, …) 0…1 of displacements (T, 468, 3) m from rest at the camera's rate.

        Raises `InputError`.
        """
        return self.judge(self.see(displacement_m, rate_hz, rng))

    def _expected(self) -> Array:
        """How strongly units occur together (K, K), against 1 on the diagonal's mean."""
        lead = self.dictionary.shape[:-2]
        faces = np.concatenate([repertoire(style) for style in REPERTOIRES])
        if lead == (len(UNITS),):
            faces = faces.mean(-1)
        elif lead != (len(UNITS), 2):
            return np.eye(int(np.prod(lead)))
        rows = faces.reshape(len(faces), -1)
        moments = rows.T @ rows / len(rows)
        return (1 - self.company) * np.eye(len(moments)) + self.company * moments / np.diag(moments).mean()

    def _seen(self, displacement: Array) -> Array:
        """What is seen of displacements (T, 468, 3) m: each vertex with the mean gain of the units that move it."""
        gain = self.unit_gain.ravel()
        if (gain == 1).all():
            return displacement * [1.0, 1.0, self.depth]
        units = self._of_units(self.dictionary)
        gram = units @ units.T
        gram += 1e-3 * np.diag(gram).mean() * np.eye(len(gram))
        active = nonnegative(gram, displacement.reshape(len(displacement), -1) @ units.T)
        reach = np.linalg.norm(units.reshape(len(units), -1, 3), axis=-1)
        share = ((active * gain) @ reach + _STILL_M * gain.mean()) / (active @ reach + _STILL_M)
        return displacement * share[..., None] * [1.0, 1.0, self.depth]

    @staticmethod
    def _of_units(dictionary: Array) -> Array:
        return dictionary.reshape(-1, mesh.VERTEX_COUNT * 3)


def tracker_gain(shape: tuple[int, ...] = (len(UNITS), 2)) -> Array:
    """Share of each unit's displacement that a landmark tracker reports, (A,) or (A, 2). Raises `InputError`."""
    if shape not in ((len(UNITS),), (len(UNITS), 2)):
        raise InputError(f"the tracker's gains are known for ({len(UNITS)},) or ({len(UNITS)}, 2) units, not {shape}")
    gain = np.clip([camera_view().units[str(unit)] for unit in UNITS], 0.0, 1.2)
    return np.broadcast_to(gain.reshape(-1, *[1] * (len(shape) - 1)), shape).copy()


def nonnegative(gram: Array, evidence: Array, sweeps: int = 60) -> Array:
    """Least squares 0 ≤ a ≤ 1 for many right sides at once: minimises ½ a·gram·a − evidence·a.

    gram (K, K) positive semi-definite, evidence (T, K); the result is (T, K). Coordinate descent; a unit without
    any displacement stays 0.
    """
    scale = np.diag(gram)
    answer = np.zeros((gram.shape[0], len(evidence)))
    slope = -np.ascontiguousarray(evidence.T)
    active = np.flatnonzero(scale > 1e-9 * max(scale.max(initial=0), 1e-30))
    for _ in range(sweeps):
        largest = 0.0
        for unit in active:
            step = np.clip(answer[unit] - slope[unit] / scale[unit], 0, 1) - answer[unit]
            size = np.abs(step).max(initial=0)
            if size > 1e-6:
                answer[unit] += step
                slope += gram[:, unit, None] * step
                largest = max(largest, size)
        if largest < 1e-4:
            break
    return answer.T


def _delayed(frames: Array, delay: float) -> Array:
    """Frames (T, …) later by a number of frames, not necessarily whole; the first is held."""
    if not delay or not len(frames):
        return frames
    at = np.maximum(np.arange(len(frames)) - delay, 0)
    low = at.astype(int)
    share = (at - low).reshape(-1, *[1] * (frames.ndim - 1))
    return (1 - share) * frames[low] + share * frames[np.minimum(low + 1, len(frames) - 1)]


_ANCHORS = mesh.REST[
    list(mesh.FACE_OVAL[::3] + mesh.BROW_RIGHT[::4] + mesh.BROW_LEFT[::4] + mesh.LIPS_OUTER[::5] + (4, 50, 280, 9))
]
"""Points (27, 3) m about which the tracker's errors are shared."""


def _fields() -> Array:
    near = np.exp(-0.5 * (np.linalg.norm(mesh.REST[:, None] - _ANCHORS, axis=-1) / 0.018) ** 2)
    return near / np.linalg.norm(near, axis=1, keepdims=True)


_FIELDS = _fields()


def _smooth(values: Array) -> Array:
    """A field (468,) that takes an anchor's value near it."""
    weight = _FIELDS**2
    return weight @ values / weight.sum(1)
