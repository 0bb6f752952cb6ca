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
_BEFORE_S, _AFTER_S, _HELD_S = 0.2, 0.6, 0.5
_MOST_S, _STEP_S = 0.6, 0.005
"""Shifts that are tried, s."""
_NEAR_S = 0.3
FALSE_M = 0.5e-3
"""Steady landmarks' rms motion that a person would notice; half of a usual smile of the robot is 0.8 mm, noise 0.2."""


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
class Company:
    """How a robot kept company in one act.

    late_s: by how much its rise to the apex must be moved to lie over hers, infinite if it did not answer. arrival_s:
    its arrival at 90 % of what it holds, after hers; NaN if it did not answer. share: how much it held of what it
    should show. error_m: mean distance of its steady landmarks from what they should be, over the act.
    """

    late_s: float
    arrival_s: float
    share: float
    error_m: float


def company(met: Encounter, act: Shown, robot_m: Array, wanted_m: Array) -> Company:
    """Compare the robot's faces (F, 468, 3) m with what it should show at each moment, (F, 468, 3), in one act.

    Intensities are parts along her face at the apex, and along what the robot should show then: what it cannot show
    does not count. The rise that is compared goes from just before the drive to half a second after her arrival.
    """
    apex = wanted_m[int(np.clip(round(act.apex_s * PICTURES_HZ), 0, len(wanted_m) - 1))]
    hers, its = intensity(met.truth_m, act.apex_m), intensity(robot_m, apex)
    its_s = met.times_s + CONTROL_PERIOD_S
    span = (met.times_s >= act.drive_s - _BEFORE_S) & (met.times_s <= act.end_s + _AFTER_S)
    share = height(its[span])
    off = np.linalg.norm((robot_m[:-1] - wanted_m[1:])[span[1:]][:, STEADY], axis=-1)
    answered = share >= _NO_ANSWER
    apart_s = arrival_s(its_s[span], its[span]) - arrival_s(met.times_s[span], hers[span])
    until_s = min(act.release_s, act.arrival_s + _HELD_S)
    return Company(
        late_s=_shift_s(met.times_s, hers, its_s, its, act.drive_s - _BEFORE_S, until_s) if answered else np.inf,
        arrival_s=apart_s if answered else np.nan,
        share=share,
        error_m=float(off.mean()),
    )


def _shift_s(hers_s: Array, hers: Array, its_s: Array, its: Array, start_s: float, end_s: float) -> float:
    """How much later `its` course is than `hers` between two moments of hers, whatever the scale: least squares."""
    moments_s = np.arange(start_s, end_s, _STEP_S)
    wanted = np.interp(moments_s, hers_s, hers)
    shifts_s = np.arange(-_MOST_S, _MOST_S + _STEP_S / 2, _STEP_S)
    moved = np.array([np.interp(moments_s + one, its_s, its) for one in shifts_s])
    along = moved @ wanted
    unlike = 1 - np.maximum(along, 0) ** 2 / np.maximum((wanted @ wanted) * (moved**2).sum(1), 1e-12)
    return round(float(shifts_s[int(unlike.argmin())]), 3)


def false_starts(met: Encounter, robot_m: Array, knowing_m: Array) -> tuple[int, float]:
    """How often a robot began to show what she does not, and for how long (s) she showed no expression.

    Counted in calm moments, with blinks and words but no act: its face (F, 468, 3) m is more than `FALSE_M` away from
    rest and from all that a robot that knows her showed within `_NEAR_S`, so that to be late with a word is none.
    """
    calm = np.ones(len(met.times_s), bool)
    for act in met.acts:
        calm &= (met.times_s < act.drive_s - _BEFORE_S) | (met.times_s > act.end_s + 2 * _AFTER_S)
    off, near = _size(robot_m), round(_NEAR_S * PICTURES_HZ)
    for shift in range(-near, near + 1):
        then = np.clip(np.arange(len(robot_m)) + shift, 0, len(knowing_m) - 1)
        off = np.minimum(off, _size(robot_m - knowing_m[then]))
    wrong = off > FALSE_M
    began = np.flatnonzero(~wrong[:-1] & wrong[1:]) + 1
    return int(calm[began].sum()), float(calm.sum() / PICTURES_HZ)


def _size(faces_m: Array) -> Array:
    """Steady landmarks' rms motion, (F,) m."""
    return np.sqrt((faces_m[:, STEADY] ** 2).sum(-1).mean(-1))


def _hear(met: Encounter, watcher: Watcher, heard_s: float, until_s: float) -> float:
    block = met.heard(heard_s, until_s)
    if len(block):
        watcher.hear(until_s, block)
    return max(until_s, heard_s)


__all__ = ["FALSE_M", "VIEWS", "Company", "company", "false_starts", "perform", "pictures", "robot_faces"]
