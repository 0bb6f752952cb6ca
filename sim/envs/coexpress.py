"""Coexpress: make the expression of the person in front, at the moment at which she makes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ..person.looks import LOOKS
from ..person.mechanics import Face
from ..person.portrait import Portrait
from ..robot.limits import SafeSet
from .common import box, into, settings
from .express import Reward, error_mm
from .goal_faces import goal_space
from .lens import REGIONS, Camera
from .many import Many
from .partner import EPISODE_S, LEAD_S, Partner, Take
from .robot_bodies import LANDMARKS, Actions, RobotBodies
from .robot_world import RobotWorld
from .single import Single
from .wearable import LARGEST_UV, UNIT_UV, Heard, Wearable
from .world import Ids

Array = NDArray[np.floating]

_LIDS = (159, 145, 386, 374)
_STEADY = np.repeat([place not in _LIDS for place in LANDMARKS], 3)
"""Coordinates that tell how strong an expression is: all but the lids', which blink."""
_LEAST_APEX_MM = 0.5
"""Mean landmark motion of the weakest apex that intensities are measured by."""
_LARGEST_INTENSITY = 2.0
_REACH_ROBOTS, _REACH_COMMANDS = 64, 512


@dataclass(frozen=True, kw_only=True)
class CoexpressReward(Reward):
    """How the reward of Coexpress is weighted."""

    simultaneity: float = 0.5
    """Price of the squared difference of intensities, the robot's and hers; each is 1 at the apex of her act."""


class CoexpressWorld(RobotWorld):
    """The task of `duchenne/Coexpress-v0`, described in docs/env_coexpress.md.

    Args:
        people, crowd, condition, seconds: who she is and for how long, see `Partner`.
        camera: how the robot sees her, a `Camera` or a mapping of its fields.
        emg: `rms` or `raw` if windows of her EMG are observed, see `Wearable`; None if she wears nothing.
        montage, quality, emg_delay_s: her electrodes.
        reward: weights, a `CoexpressReward` or a mapping of its fields.
        others: as for `RobotWorld`.
    """

    terms = ("match", "simultaneity", "smoothness", "tension")
    reset_options = ("person",)

    def __init__(
        self,
        count: int,
        *,
        people: str | int = "sampled",
        crowd: int = 8,
        condition: str | Sequence[str] | None = None,
        seconds: float = EPISODE_S,
        camera: Camera | Mapping[str, Any] | None = None,
        emg: Heard | None = None,
        montage: str = "proximal7",
        quality: str = "wired active",
        emg_delay_s: float = 0.02,
        reward: CoexpressReward | Mapping[str, float] | None = None,
        **others: Any,
    ):
        super().__init__(count, **others)
        self._camera, self._reward = settings(Camera, camera), settings(CoexpressReward, reward)
        worn = Wearable(montage=montage, quality=quality, heard="rms" if emg is None else emg, delay_s=emg_delay_s)
        self._wearable = None if emg is None else worn
        self._partner = Partner(
            people=people,
            crowd=crowd,
            condition=condition,
            wearable=self._wearable,
            seconds=seconds,
            frame_steps=round(125 / self.fps),
            picture_hz=self._camera.hz,
            threads=others.get("threads", 1),
        )
        self._low, self._high = robot_reach(others.get("actions", "symmetric"))
        frames_s, pictures_s = self._partner.frames_s, self._partner.pictures_s
        newest = np.searchsorted(pictures_s, frames_s - self._camera.delay_s + 1e-9, "right") - 1
        self._newest, self._last = newest, len(frames_s) - 1
        observed: dict[str, spaces.Space] = {
            "proprioception": self.felt_space,
            "landmarks": goal_space(),
            "seen": box(0, 1, len(REGIONS)),
        }
        if self._wearable is not None:
            largest = LARGEST_UV / UNIT_UV
            observed["emg"] = box(0 if emg == "rms" else -largest, largest, *self._wearable.shape)
        self.observation_space = spaces.Dict({**observed, "proprioception": self.felt_space})
        self._bounds: dict[str, Any] = observed
        self._tables = {
            name: np.zeros((count, len(frames_s), *space.shape), np.float32) for name, space in self._bounds.items()
        }
        self._target = np.zeros((count, len(frames_s), 3 * len(LANDMARKS)))
        self._apex, self._intensity = np.zeros_like(self._target), np.zeros((count, len(frames_s)))
        self._step = np.zeros(count, int)
        self._takes: dict[int, Take] = {}
        self._portraits: dict[int, Portrait] = {}

    def restart(self, ids: Ids, rngs: Sequence[np.random.Generator], options: Mapping[str, Any]) -> None:
        """The robots at rest and a new take of somebody; `options={"person": a number or "mean"}` says whose."""
        takes = self._partner.takes(rngs, options.get("person"))
        super().restart(ids, rngs, options)
        for i, take, rng in zip(ids, takes, rngs, strict=True):
            self._meet(int(i), take, rng)
        self._step[ids] = 0

    def advance(self, ids: Ids, actions: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        self._step[ids] = np.minimum(self._step[ids] + 1, self._last)
        return super().advance(ids, actions, rngs)

    def observe(self, ids: Ids) -> dict[str, np.ndarray]:
        seen = {name: table[ids, self._step[ids]] for name, table in self._tables.items()}
        return dict(sorted({**seen, "proprioception": self.felt(ids)}.items()))

    def info(self, ids: Ids) -> dict[str, Any]:
        now = ids, self._step[ids]
        shown = self.landmarks_mm[ids]
        error, tension = error_mm(shown, self._target[now]), self.bodies.tension_mj(ids)
        hers, robots = self._intensity[now], _projected(shown, self._apex[now])
        terms = self._reward.terms(error, self._change[ids], tension)
        terms["simultaneity"] = -self._reward.simultaneity * (robots - hers) ** 2
        takes = [(self._takes[int(i)], step) for i, step in zip(*now, strict=True)]
        return {
            "error_mm": error,
            "tension_mj": tension,
            "intensity_robot": robots,
            "intensity_person": hers,
            "person": np.array([take.person for take, _ in takes]),
            "expression": np.array([take.expression[step] for take, step in takes]),
            "phase": np.array([take.phase[step] for take, step in takes]),
            **super().info(ids),
            "reward_terms": {name: terms[name] for name in self.terms},
        }

    def target_mm(self, ids: Ids) -> Array:
        """What the robot should show now, (k, 69) mm; the truth, for teachers and measurements."""
        return self._target[ids, self._step[ids]]

    def pictures(self, ids: Ids) -> list[np.ndarray]:
        """Robot and person side by side, as each would see itself in a mirror that does not swap sides."""
        robots = super().pictures(ids)
        return [np.concatenate([robot, self._portrait(int(i))], axis=1) for i, robot in zip(ids, robots, strict=True)]

    def close(self) -> None:
        super().close()
        for portrait in self._portraits.values():
            portrait.close()
        self._portraits.clear()

    def _meet(self, i: int, take: Take, rng: np.random.Generator) -> None:
        seen, flags = self._camera.see(take.pictures_mm, rng)
        tables = {"landmarks": seen[self._newest], "seen": flags[self._newest]}
        if self._wearable is not None:
            assert take.emg_uv is not None
            tables["emg"] = self._wearable.windows(take.emg_uv, self._partner.frames_s + LEAD_S)
        for name, values in tables.items():
            self._tables[name][i] = into(self._bounds[name], values)
        target = np.clip(take.moved_mm, self._low, self._high)
        self._target[i], self._apex[i] = target, apexes(target, take.acts_s, self._partner.frames_s)
        self._intensity[i] = _projected(target, self._apex[i])
        self._takes[i] = take

    def _portrait(self, i: int) -> np.ndarray:
        take = self._takes[i]
        if take.person not in self._portraits:
            _, width_px, height_px = self._picture
            look = tuple(LOOKS)[take.person % len(LOOKS)]
            rest_m = np.asarray(take.face.rest)
            self._portraits[take.person] = Portrait(look, rest_m=rest_m, width_px=width_px, height_px=height_px)
        vertices_m = _shown(take.face, take.coordinates[self._step[i]])
        return self._portraits[take.person].image(np.asarray(vertices_m))


def apexes(target_mm: Array, acts_s: Array, frames_s: Array) -> Array:
    """At each frame (F,) the strongest target (F, 69) of the act that is nearest in time; acts (A, 2) s."""
    middle = 0.5 * (acts_s[1:, 0] + acts_s[:-1, 1])
    act = np.searchsorted(middle, frames_s)
    size = (target_mm * target_mm * _STEADY).sum(-1)
    result = np.zeros_like(target_mm)
    for one in np.unique(act):
        mine = act == one
        result[mine] = target_mm[np.flatnonzero(mine)[size[mine].argmax()]]
    return result


@cache
def robot_reach(actions: Actions) -> tuple[Array, Array]:
    """How far each coordinate moves, low and high (69,) mm, over safe commands that have settled; takes a second."""
    commands = SafeSet.default().sample(
        np.random.default_rng(0), _REACH_COMMANDS, symmetric_only=actions == "symmetric"
    )
    robots, everyone = RobotBodies(_REACH_ROBOTS, actions), np.arange(_REACH_ROBOTS)
    shown = np.concatenate([robots.settle(everyone, part) for part in np.split(commands, len(commands) // len(robots))])
    return np.minimum(shown.min(0), 0.0), np.maximum(shown.max(0), 0.0)


_shown = jax.jit(Face.vertices_of)


def _projected(moved_mm: Array, apex_mm: Array) -> Array:
    """Intensity (k,) of displacements (k, 69): their part along an apex (k, 69), in units of it."""
    steady = apex_mm * _STEADY
    size = np.maximum((steady * steady).sum(-1), _LEAST_APEX_MM**2 * len(LANDMARKS))
    return np.clip((moved_mm * steady).sum(-1) / size, -_LARGEST_INTENSITY, _LARGEST_INTENSITY)


class Coexpress(Single):
    """One robot in front of somebody."""

    world = CoexpressWorld


class CoexpressVector(Many):
    """Many robots, each in front of somebody, in one MuJoCo batch."""

    world = CoexpressWorld


__all__ = ["Coexpress", "CoexpressReward", "CoexpressVector", "CoexpressWorld", "apexes", "robot_reach"]
