"""From a person's face to the robot's: landmark motion, limited to what the robot can show.

The normalisation of the Emo paper (Human-robot facial coexpression, Methods, equations 1-2): the motion of each
coordinate from the person's rest, scaled by K, starts from the robot's rest and ends at the robot's range,

    L_H − H_s > 0:  L_R = min(R_max − R_s, K (L_H − H_s)) + R_s        (1)
    L_H − H_s < 0:  L_R = max(R_min − R_s, K (L_H − H_s)) + R_s        (2)

The printed equation 2 repeats Min and R_max; the smaller of a positive limit and a negative motion is always the
motion, so that nothing would bound it. K stands inside the limit here, or a gain above 1 would leave the range.
"""

from dataclasses import dataclass

import numpy as np

from ..learning.self_model import SelfModel
from ..sim.camera import Face, Neutral
from ..sim.errors import InputError
from ..sim.facs import BLENDSHAPES
from ..sim.mesh import REGIONS, REST, VERTEX_COUNT, region

_PERCENTILE = 98.0
"""A person's range is taken from this percentile of the observed motions: single frames are noisy."""
_LEAST_MOTION_M = 1e-3
"""Coordinates that move less than this, in person or robot, say nothing about the scale."""
_SCALE_LIMITS = (0.5, 2.0)


@dataclass(frozen=True, eq=False)
class Retarget:
    """Maps one person's aligned landmarks to the robot's.

    human_rest_m: H_s, (468, 3); robot_rest_m, robot_low_m, robot_high_m: R_s, R_min and R_max, (468, 3), from
    babbling; scale: K, a number or (468, 3).
    """

    human_rest_m: np.ndarray
    robot_rest_m: np.ndarray
    robot_low_m: np.ndarray
    robot_high_m: np.ndarray
    scale: float | np.ndarray = 1.0

    @classmethod
    def of(cls, model: SelfModel, neutral: Neutral, scale: float | np.ndarray = 1.0) -> "Retarget":
        """The map for a person's neutral face and the robot that a self-model was learnt on."""
        rest = neutral.aligned_m[:VERTEX_COUNT]
        return cls(rest, model.rest_m, model.low_m, model.high_m, scale)

    @classmethod
    def of_motion(cls, model: SelfModel) -> "Retarget":
        """The map from a person's displacements from rest to those of the robot that a self-model was learnt on."""
        still = np.zeros_like(model.rest_m)
        return cls(still, still, model.low_m - model.rest_m, model.high_m - model.rest_m)

    def __call__(self, aligned_m: np.ndarray) -> np.ndarray:
        """Robot landmarks (…, 468, 3) m for a person's aligned landmarks (…, 468 or 478, 3) m.

        Raises `InputError` for another shape or values that are not finite.
        """
        points = np.asarray(aligned_m, float)
        if points.shape[-1:] != (3,) or points.ndim < 2 or points.shape[-2] < VERTEX_COUNT:
            raise InputError(f"landmarks: got shape {points.shape}, allowed (…, 468, 3) or (…, 478, 3)")
        points = points[..., :VERTEX_COUNT, :]
        if not np.isfinite(points).all():
            raise InputError("landmarks: got values that are not finite; leave out frames without a face")
        motion = self.scale * (points - self.human_rest_m)
        low, high = self.robot_low_m - self.robot_rest_m, self.robot_high_m - self.robot_rest_m
        return np.clip(motion, np.minimum(low, 0), np.maximum(high, 0)) + self.robot_rest_m

    def calibrated(self, faces_m: np.ndarray) -> "Retarget":
        """The same map with K from a person's range, so that her strongest expressions are the robot's.

        `faces_m` are aligned landmarks, (n, 468 or 478, 3) m, of a person who has shown what her face can do. Each
        coordinate's K is the robot's range over hers, between 0.5 and 2; coordinates that hardly move keep 1.
        """
        faces = np.asarray(faces_m, float)[:, :VERTEX_COUNT]
        if len(faces) < 10 or not np.isfinite(faces).all():
            raise InputError(f"a person's range needs 10 finite faces or more, got {len(faces)}")
        hers = np.percentile(np.abs(faces - self.human_rest_m), _PERCENTILE, axis=0)
        robots = np.maximum(self.robot_high_m - self.robot_rest_m, self.robot_rest_m - self.robot_low_m)
        known = (hers > _LEAST_MOTION_M) & (robots > _LEAST_MOTION_M)
        scale = np.where(known, robots / np.where(known, hers, 1.0), 1.0)
        return Retarget(
            self.human_rest_m,
            self.robot_rest_m,
            self.robot_low_m,
            self.robot_high_m,
            np.clip(scale, *_SCALE_LIMITS),
        )


def neutral_from_one(model: SelfModel, face: Face) -> Neutral:
    """A guess at a person's face at rest from one picture of it, for whoever has no calm picture of her.

    Two guesses at her motion from rest are averaged: her distance from the average face, which also tells who she is,
    and what the robot, as it learnt before its mirror, does when it shows her blendshapes, which knows only the robot's
    own way of doing it. Where no blendshape of a region is active, neither counts. Against the true neutrals of people
    in videos the mean came 15 % closer than either guess. Gaze is straight ahead when the eyes look along the head.
    """
    points = face.aligned_m[:VERTEX_COUNT]
    guesses = points - REST, model.shape_motion(face.blendshapes)
    aligned = face.aligned_m.copy()
    aligned[:VERTEX_COUNT] -= _activity(face.blendshapes)[:, None] * np.mean(guesses, axis=0)
    return Neutral(aligned_m=aligned, blendshapes=np.zeros_like(face.blendshapes), gaze_rad=np.zeros((2, 2)), frames=())


_EXPRESSED_BY = {
    "brow": ("brow",), "forehead": ("brow",), "eye": ("eyeBlink", "eyeWide"), "mouth": ("mouth", "jaw"),
    "cheek": ("mouth", "jaw"), "chin": ("mouth", "jaw"),
}  # fmt: skip
"""How the names of the blendshapes that move a region begin, by the last word of the region's name."""
_CERTAIN = 0.5
"""A blendshape this strong is taken for an expression, a weaker one in part."""


def _activity(blendshapes: np.ndarray) -> np.ndarray:
    """How surely each vertex is moved by an expression, (468,) in 0…1."""
    activity = np.zeros(VERTEX_COUNT)
    for name in REGIONS:
        moved_by = _EXPRESSED_BY.get(name.split()[-1], ())
        scores = [
            s for s, shape in zip(blendshapes, BLENDSHAPES, strict=True) if moved_by and shape.startswith(moved_by)
        ]
        activity[list(region(name))] = min(max(scores, default=0.0) / _CERTAIN, 1.0)
    return activity
