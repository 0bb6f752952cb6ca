"""Ids of the environments with a person to drive, as data: no core is loaded to read them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

EPISODE_STEPS = 100
"""Four seconds at 25 Hz."""


def _spec(**kwargs: Any) -> dict[str, Any]:
    return {
        "entry_point": "duchenne.sim.envs.person_env:PersonEnv",
        "max_episode_steps": EPISODE_STEPS,
        "kwargs": kwargs,
    }


PERSON_ENVS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "duchenne/Person-v0": _spec(),
        "duchenne/PersonPalsy-v0": _spec(condition="palsy"),
        "duchenne/PersonFatigued-v0": _spec(condition="fatigued"),
        "duchenne/PersonAgedSkin-v0": _spec(condition="aged"),
        "duchenne/PersonDistalEmg-v0": _spec(montage="distal4"),
    }
)
"""Id → what `gymnasium.register` is told of it."""

__all__ = ["EPISODE_STEPS", "PERSON_ENVS"]
