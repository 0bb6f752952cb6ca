"""Where a person's head and eyes point, as commands for the robot's neck and eyeballs."""

import numpy as np

from ..sim.camera import Face, gaze, head_angles
from ..sim.robot.servo import LIMITS_RAD, index

NECK = tuple(index(f"neck_{axis}") for axis in ("yaw", "pitch", "roll"))
EYES = tuple(index(f"{side}_eye_{axis}") for side in ("right", "left") for axis in ("yaw", "pitch"))
"""Right yaw, right pitch, left yaw, left pitch: the order of `gaze` when flattened."""

_LOW, _HIGH = LIMITS_RAD.T


def attend(command: np.ndarray, face: Face, neutral_gaze_rad: np.ndarray, neutral_pitch_rad: float = 0.0) -> np.ndarray:
    """A copy of `command`, (26,), whose neck follows the head and whose eyeballs follow the gaze.

    Both eyes take the mean direction of the two: single irises are too noisy for vergence.
    `neutral_gaze_rad`, (2, 2), is where the person's eyes seem to point when they look straight ahead, and
    `neutral_pitch_rad` how the head then seems to nod: both are off by many degrees, differently for every face,
    lens and height of the camera.
    Angles beyond the robot's travel end at its limits.
    """
    command = command.copy()
    head = head_angles(face.pose) - [0, neutral_pitch_rad, 0]
    eyes = np.tile((gaze(face) - neutral_gaze_rad).mean(0), 2)
    for places, angles in ((NECK, head), (EYES, eyes)):
        low, high = _LOW[list(places)], _HIGH[list(places)]
        command[list(places)] = np.clip((angles - low) / (high - low), 0, 1)
    return command


__all__ = ["EYES", "NECK", "attend"]
