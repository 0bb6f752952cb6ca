"""How a robot sees somebody's landmarks: through a camera and a tracker, late, in part, and not all the time.

`AuCamera` knows what a tracker makes of the 468 vertices of a recording; a lens does the same, more simply, with the 23
landmarks of an episode, and can be covered.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from .. import mesh
from ..errors import InputError
from ..person.camera_view import camera_view
from .common import one_of
from .robot_bodies import LANDMARKS

Array = NDArray[np.floating]

REGIONS: tuple[str, ...] = ("brows", "eyes", "cheeks", "mouth")
"""Parts of the face that can be covered, in the order of every array of flags; the chin belongs to the mouth."""
OCCLUSIONS: dict[str, tuple[str, ...]] = {
    "none": (), "mouth": ("cheeks", "mouth"), "eyes": ("brows", "eyes"), "all": REGIONS,
}  # fmt: skip
"""What covers what: a mask, goggles, the dark."""
LONGEST_DELAY_S = 0.4

_DEPTH = 0.3
"""Share of the gain that is left towards the camera, as in `AuCamera`."""
_NEIGHBOURS_M = 0.018
"""How far the tracker's errors reach, as in `AuCamera`."""
_BROWS, _EYES, _CHEEKS = 6, 10, (20, 22)


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A camera and the tracker behind it. Noise is as in `AuCamera`; the ranges are guesses where no source stands."""

    hz: float = 25.0
    """Pictures a second, 5 … 125."""
    delay_s: float = 0.08
    """From the picture to the observation; typical of a USB camera and a tracker, *unknown*, 0.05 … 0.15."""
    jitter_mm: float = 0.2
    """SD of every coordinate in every picture; *unknown*, 0.2 … 0.5."""
    drift_mm: float = 0.4
    """SD of errors that neighbours share and that last `drift_s`; *unknown*, 0.2 … 0.8."""
    drift_s: float = 0.3
    own_gain: float = 0.15
    """Log-normal SD of how much of a motion the tracker sees in one person and another; *unknown*, 0 … 0.3."""
    tracker: bool = True
    """Whether motion is seen as a tracker sees it (`camera_view`: 0.3 … 1.1 of it, less of depth), or all of it."""
    no_face: float = 0.0
    """Probability that the tracker finds no face in a picture."""
    occlusion: str = "none"
    """What is covered: `none`, `mouth` (and cheeks), `eyes` (and brows) or `all`."""
    covered: float = 1.0
    """Share of the time for which it is."""
    covered_s: float = 1.0
    """Mean length of a covered stretch, where it is not all the time."""

    def __post_init__(self):
        one_of("camera.occlusion", self.occlusion, tuple(OCCLUSIONS))
        ranges = {
            "hz": (5, 125), "delay_s": (0, LONGEST_DELAY_S), "jitter_mm": (0, 20), "drift_mm": (0, 20),
            "drift_s": (0.01, 100), "own_gain": (0, 1), "no_face": (0, 1), "covered": (0, 1), "covered_s": (0.01, 100),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"camera.{name}: got {getattr(self, name)!r}; allowed are {low:g} … {high:g}")

    def see(self, true_mm: Array, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What stands in pictures that follow each other, of true displacements (P, 69) mm.

        Returns displacements (P, 69) mm, where what is not seen keeps its last value, at first 0, and flags (P, 4), 1
        for the `REGIONS` that are seen. The same generator gives the same noise whatever is covered.
        """
        shown = self._tracked(np.asarray(true_mm, float).reshape(len(true_mm), -1, 3), rng)
        flags = self._flags(len(shown), rng)
        return _held(shown, flags[:, region_of()]).reshape(len(shown), -1).astype(np.float32), flags.astype(np.float32)

    def _tracked(self, moved: Array, rng: np.random.Generator) -> Array:
        pictures, landmarks, _ = moved.shape
        own, jitter = rng.standard_normal(landmarks), rng.standard_normal(moved.shape)
        white = rng.standard_normal((landmarks, pictures, 3))
        gain = np.exp(self.own_gain * (_shared() @ own))[:, None] * (_gain() if self.tracker else 1.0)
        keep = np.exp(-1 / (self.drift_s * self.hz))
        white[:, 1:] *= np.sqrt(1 - keep * keep)
        alike = (_shared() @ white.reshape(landmarks, -1)).reshape(white.shape)
        drift = np.asarray(lfilter([1.0], [1.0, -keep], alike, axis=1)).swapaxes(0, 1)
        return moved * gain + self.drift_mm * drift + self.jitter_mm * jitter

    def _flags(self, pictures: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which regions are seen, (P, 4)."""
        found, draws = rng.random((pictures, 1)) >= self.no_face, rng.random(pictures).tolist()
        uncover = 1 / max(self.covered_s * self.hz, 1.0) if self.covered < 1 else 0.0
        cover = min(1.0, uncover * self.covered / max(1 - self.covered, 1e-9))
        hidden = [draws[0] < self.covered]
        for draw in draws[1:]:
            hidden.append(draw >= uncover if hidden[-1] else draw < cover)
        covers = np.array([region in OCCLUSIONS[self.occlusion] for region in REGIONS])
        return found & ~(np.array(hidden)[:, None] & covers)


def region_of() -> NDArray[np.integer]:
    """Index into `REGIONS` of every landmark, (23,)."""
    regions = np.full(len(LANDMARKS), REGIONS.index("mouth"))
    regions[:_EYES], regions[:_BROWS], regions[slice(*_CHEEKS)] = 1, 0, 2
    return regions


@cache
def _gain() -> Array:
    """Share of each landmark's motion that a tracker shows, (23, 3)."""
    seen = np.clip(camera_view().gain[list(LANDMARKS)], 0.0, 1.2)
    return np.concatenate([seen, _DEPTH * seen.mean(1, keepdims=True)], axis=1)


@cache
def _shared() -> Array:
    """Rows that mix independent errors into errors of SD 1 that neighbours share, (23, 23)."""
    places = mesh.REST[list(LANDMARKS)]
    apart = np.linalg.norm(places[:, None] - places, axis=-1) / _NEIGHBOURS_M
    return np.linalg.cholesky(np.exp(-0.25 * apart**2) + 1e-9 * np.eye(len(places)))


def _held(values: Array, seen: NDArray[np.bool_]) -> Array:
    """Values (P, 23, 3) with those not seen replaced by the last that were, 0 before there were any."""
    last = np.maximum.accumulate(np.where(seen, np.arange(len(values))[:, None], -1), axis=0)
    kept = np.take_along_axis(values, np.maximum(last, 0)[..., None], axis=0)
    return np.where(last[..., None] >= 0, kept, 0.0)


__all__ = ["LONGEST_DELAY_S", "OCCLUSIONS", "REGIONS", "Camera", "region_of"]
