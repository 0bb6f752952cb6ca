"""What a face tracker can report: the space in which MediaPipe's landmarks of a face lie.

MediaPipe does not measure 468 points one by one; it brings a prior of faces. Whatever the skin does, its landmarks
stay close to some tens of modes. These come from simulated robot faces that were rendered and tracked; mirrored faces
count alike. No landmark of a real face or robot took part (`scenarios/fit_tracker_space.py` makes them anew).
"""

from functools import cache
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def project(landmarks: Array) -> Array:
    """The part of displacements (…, 1404) that the tracker can report, in the same unit."""
    basis = modes()
    return (landmarks @ basis.T) @ basis


@cache
def modes() -> Array:
    """Modes (40, 1404), orthonormal, largest first."""
    return np.linalg.qr(_stored("modes").T)[0].T


@cache
def servo_fields_cm() -> Array:
    """What each of the 11 symmetric parameters of the simulated robot does over its full stroke, (11, 1404) cm."""
    return _stored("servo_fields_cm")


def _stored(name: str) -> Array:
    with as_file(files("duchenne.learning") / "data" / "tracker_space.npz") as path, np.load(path) as stored:
        return stored[name].astype(float)


__all__ = ["modes", "project", "servo_fields_cm"]
