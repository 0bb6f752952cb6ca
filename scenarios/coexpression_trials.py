"""Trials of co-expression: one controller, one simulated person, the robot beside her, and how far apart they were.

commands = perform(met, coexpressor, view)          # the 25 Hz loop, with all delays
shown = robot_faces([commands, …])                  # the simulated robots, all at once
for act in met.acts: timing(met, act, shown[0], wanted_m)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..learning.expectation import Watcher
from ..sim import mesh
from ..sim.alignment import align
from ..sim.errors import InputError
from ..sim.person.encounter import PICTURES_HZ, STEADY, Encounter, Shown, arrival_s, height, intensity
from ..sim.robot.face import CONTROL_PERIOD_S, RobotFaces
from ..twin.coexpress import Coexpressor

Array = NDArray[np.floating]

VIEWS = ("clear", "mask", "dark", "side", "covered")
"""How the camera sees her: see `pictures`."""
_DARK_NOISE, _DARK_LOST = 2.5, 0.3
_SIDE_GAIN = 0.4
"""Share of motion that is left on the far side of a turned face; a guess, as are those of the dark."""
_NO_ANSWER = 0.2
"""A robot that shows less than this share of what it should has not answered."""
_BEFORE_S, _AFTER_S = 0.3, 0.6
_MOVING_M = 0.25e-3
"""Steady landmarks' rms motion from rest at which the robot shows something."""


def pictures(met: Encounter, view: str, rng: np.random.Generator) -> list[Array | None]:
    """What the camera reports of each picture: faces (468, 3) m, None where it finds none.

    clear: as met. mask: the lower face is seen at rest, whatever it does. dark: more noise, and no face in a third of
    the pictures. side: the far half is seen in part. covered: no face at all. Raises `InputError`.
    """
    if view not in VIEWS:
        raise InputError(f"view: got {view!r}; allowed are {', '.join(VIEWS)}")
    if view == "covered":
        return [None] * len(met.seen_m)
    seen = met.seen_m
    if view == "mask":
        seen = seen * (mesh.REST[:, 1] > mesh.REST[4, 1])[:, None]
    if view == "side":
        far = np.clip(mesh.REST[:, 0] / 0.06, 0, 1)
        seen = seen * (1 - (1 - _SIDE_GAIN) * far)[:, None]
    if view == "dark":
        seen = met.noiseless_m + _DARK_NOISE * (seen - met.noiseless_m)
        found = rng.random(len(seen)) >= _DARK_LOST
        return [face if one else None for face, one in zip(seen, found, strict=True)]
    return list(seen)


def perform(met: Encounter, coexpressor: Coexpressor, faces: Sequence[Array | None], *, listens: bool) -> Array:
    """Commands (F, 26) that a controller sends at every `met.times_s`, given pictures and EMG as late as they come."""
    watcher, commands = coexpressor.watcher, []
    seen = 0
    heard_s = 0.0
    for now_s in met.times_s:
        while seen < len(faces) and met.times_s[seen] + met.camera_delay_s <= now_s + 1e-9:
            watcher.see(float(met.times_s[seen]), faces[seen])
            seen += 1
        if listens:
            heard_s = _hear(met, watcher, heard_s, float(now_s) - met.emg_delay_s)
        commands.append(coexpressor.step(float(now_s)))
    return np.array(commands)


def robot_faces(commands: Sequence[Array]) -> Array:
    """The faces (N, F, 468, 3) m, displacements from rest, of robots that are sent commands (F, 26) each.

    Face f is that 40 ms after command f was sent, the moment of command f + 1. float32.
    """
    robots = RobotFaces(len(commands))
    rest = align(robots.state().vertices_m)
    shown = [(align(robots.step(now).vertices_m) - rest).astype(np.float32) for now in np.stack(commands, axis=1)]
    return np.stack(shown, axis=1)


@dataclass(frozen=True)
class Together:
    """How a robot kept company in one act.

    late_s: its arrival after hers; infinite if it did not answer. onset_s: the same of 10 %. share: how much of what it
    should show it showed. error_m: mean distance of its steady landmarks from what they should be, over the act.
    """

    late_s: float
    onset_s: float
    share: float
    error_m: float


def together(met: Encounter, act: Shown, robot_m: Array, wanted_m: Array) -> Together:
    """Compare the robot's faces (F, 468, 3) m with what it should show at each moment, (F, 468, 3), in one act.

    The robot's intensity is its part along what it should show at her apex, so that what it cannot show does not count.
    """
    times_s = met.times_s + CONTROL_PERIOD_S
    span = (met.times_s >= act.drive_s - _BEFORE_S) & (met.times_s <= act.end_s + _AFTER_S)
    apex = wanted_m[int(np.clip(round(act.apex_s * PICTURES_HZ), 0, len(wanted_m) - 1))]
    hers, when = intensity(met.truth_m[span], act.apex_m), met.times_s[span]
    its, its_when = intensity(robot_m[span], apex), times_s[span]
    share = height(its)
    off = np.linalg.norm((robot_m[:-1] - wanted_m[1:])[span[1:]][:, STEADY], axis=-1)
    answered = share >= _NO_ANSWER
    return Together(
        late_s=arrival_s(its_when, its) - arrival_s(when, hers) if answered else np.inf,
        onset_s=arrival_s(its_when, its, 0.1) - arrival_s(when, hers, 0.1) if answered else np.inf,
        share=share,
        error_m=float(off.mean()),
    )


def false_starts(met: Encounter, robot_m: Array) -> tuple[int, float]:
    """How often the robot began to show something while she showed nothing, and for how long (s) she did."""
    calm = np.ones(len(met.times_s), bool)
    for act in met.acts:
        calm &= (met.times_s < act.drive_s - _BEFORE_S) | (met.times_s > act.end_s + 2 * _AFTER_S)
    size = np.sqrt((robot_m[:, STEADY] ** 2).sum(-1).mean(-1))
    moving = size > _MOVING_M
    began = np.flatnonzero(~moving[:-1] & moving[1:]) + 1
    return int(calm[began].sum()), float(calm.sum() / PICTURES_HZ)


def _hear(met: Encounter, watcher: Watcher, heard_s: float, until_s: float) -> float:
    block = met.heard(heard_s, until_s)
    if len(block):
        watcher.hear(until_s, block)
    return max(until_s, heard_s)


__all__ = ["VIEWS", "Together", "false_starts", "perform", "pictures", "robot_faces", "together"]
