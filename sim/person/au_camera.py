"""A camera's opinion on action units: what a landmark tracker sees of a moving face, and what it makes of it.

Seeing. A tracker follows edges: lips, lids, brows, the outline. Skin that slides without an edge it hardly sees.
Gains, as measured on rendered faces with MediaPipe: lips 0.95, raised brow 0.9 but lowered 0.4 and moved inwards 0,
cheek under AU6 0.1, nose under AU9 0.2, chin pad under AU17 0.16; depth is a guess from two dimensions (0.3). To
that come what it gets wrong in one person and another, jitter that neighbours share, and lateness.

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
from .repertoire import REPERTOIRES, UNITS, repertoire

Array = NDArray[np.floating]

_EDGES = (
    (mesh.LIPS_OUTER + mesh.LIPS_INNER, (0.95, 0.95)),
    (mesh.EYE_RIGHT + mesh.EYE_LEFT, (0.8, 0.8)),
    (mesh.BROW_RIGHT + mesh.BROW_LEFT, (0.0, 0.9)),
    (mesh.FACE_OVAL[9:28], (0.9, 0.9)),  # jaw line, ear to ear
)
"""Vertices of edges and their gains, sideways and upwards. Lids and jaw line: *unknown*, 0.6-1."""
_AWAY = 0.12
"""Gain far from every edge (measured: cheek 0.11, chin 0.16, nose 0.2)."""
_REACH_M = 0.005
"""How far an edge lends its visibility to the skin beside it; *unknown*, 3-8 mm."""
_DEPTH = 0.3
CALLED = 0.3
"""Intensity from which the camera calls a unit present; set so that it misses as many smiles as OpenFace did (recall
0.35 at precision 0.9, distal-EMG paper Table 1), which is cautious."""
_LOWERED_BROW = 0.45
"""A brow's fall against its rise (1.4 of 3.4 mm against 6.7 of 7.4 mm)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AuCamera:
    """A tracker and a judge behind one camera.

    dictionary (…, 468, 3) m: displacement of the mean face at full intensity of each unit; its leading axes, (A,) or
    (A, 2), are the answer's.
    gain (468, 3): share of a displacement that is seen. own_gain (468,): this person's factor on it.
    jitter_m, drift_m: SD of noise at single vertices, and of noise that neighbours share, which lasts drift_s
    (*unknown*; 0.2-0.5 and 0.2-0.8 mm). delay_s: exposure and reading out.
    usual: SD of intensities that the judge expects, against the noise it knows of; *unknown*, 0.2-0.5. It is what
    makes it doubt a unit that hardly shows. company: how far, 0…1, it expects units to come as in expressions rather
    than each for itself; *unknown*. At 0.7 its AU6 and AU12 agree with each other about as OpenFace's do (κ 0.62).
    """

    dictionary: Array
    gain: Array
    own_gain: Array
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

    @classmethod
    def sample(cls, dictionary: Array, rng: np.random.Generator, own: float = 0.15) -> "AuCamera":
        """A camera that looks at one person; gains are off by a smooth field, log-normal SD `own`, *unknown*."""
        field = _smooth(np.exp(own * rng.standard_normal(len(_ANCHORS))))
        return cls(dictionary=np.asarray(dictionary, float), gain=tracker_gain(), own_gain=field)

    @classmethod
    def perfect(cls, dictionary: Array) -> "AuCamera":
        """One that sees every vertex exactly and at once: what is visible at all of each unit."""
        ones = np.ones((mesh.VERTEX_COUNT, 3))
        return cls(
            dictionary=np.asarray(dictionary, float),
            gain=ones,
            own_gain=ones[:, 0],
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
        columns = self._seen(self.dictionary.reshape(-1, mesh.VERTEX_COUNT, 3)).reshape(-1, mesh.VERTEX_COUNT * 3)
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
        seen = displacement * self.gain
        if np.ptp(self.gain):
            falls = np.minimum(displacement[..., 1], 0) * self.gain[:, 1]
            seen[..., 1] -= (1 - _LOWERED_BROW) * _BROW * falls
        return seen


def tracker_gain() -> Array:
    """Share (468, 3) of a displacement sideways, upwards and forwards that a landmark tracker reports."""
    gain = np.full((mesh.VERTEX_COUNT, 3), _AWAY)
    for vertices, seen in _EDGES:
        near = _nearness(vertices)
        for axis, most in enumerate(seen):
            gain[:, axis] = np.maximum(gain[:, axis], near * most)
    gain[list(mesh.BROW_RIGHT + mesh.BROW_LEFT), 0] = 0.0
    gain[:, 2] = _DEPTH * gain[:, 1]
    return gain


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


def _nearness(vertices: tuple[int, ...]) -> Array:
    gap = np.linalg.norm(mesh.REST[:, None] - mesh.REST[list(vertices)], axis=-1).min(1)
    return np.exp(-0.5 * (gap / _REACH_M) ** 2)


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
_BROW = _nearness(mesh.BROW_RIGHT + mesh.BROW_LEFT)


def _smooth(values: Array) -> Array:
    """A field (468,) that takes an anchor's value near it."""
    weight = _FIELDS**2
    return weight @ values / weight.sum(1)
