"""The environments' ids: importing `duchenne` registers them, and loads neither them nor Gymnasium.

Gymnasium has no way for a package to announce environments, and loading it takes longer than the command line may.
So the ids are registered at once if Gymnasium is loaded already, and else when it is: in either order of imports
`gymnasium.make("duchenne/Express-v0")` finds them.
"""

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import MappingProxyType, ModuleType
from typing import Any

from .worn import WORN

_HERE = "duchenne.sim.envs"


def _spec(module: str, name: str, steps: int, **kwargs: Any) -> dict[str, Any]:
    return {
        "entry_point": f"{_HERE}.{module}:{name}",
        "vector_entry_point": f"{_HERE}.{module}:{name.removesuffix('Env')}Vector",
        "max_episode_steps": steps,
        "kwargs": kwargs,
    }


ENVIRONMENTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "duchenne/Express-v0": _spec("express", "Express", 100),
        "duchenne/ExpressHuman-v0": _spec("express", "Express", 100, goals="human"),
        "duchenne/ExpressWornServo-v0": _spec("express", "Express", 100, variation=WORN),
        "duchenne/SelfModel-v0": _spec("self_model", "SelfModel", 250),
        "duchenne/SelfModelWornServo-v0": _spec("self_model", "SelfModel", 250, variation=WORN),
        "duchenne/Coexpress-v0": _spec("coexpress", "Coexpress", 100),
        "duchenne/CoexpressEmg-v0": _spec("coexpress", "Coexpress", 100, emg="rms"),
        "duchenne/CoexpressOccluded-v0": _spec("coexpress", "Coexpress", 100, emg="rms", camera={"occlusion": "mouth"}),
        "duchenne/CoexpressDistalEmg-v0": _spec(
            "coexpress", "Coexpress", 100, emg="rms", montage="distal4", quality="dry wearable"
        ),
        "duchenne/CoexpressPalsy-v0": _spec("coexpress", "Coexpress", 100, condition="palsy"),
        "duchenne/CoexpressFatigued-v0": _spec("coexpress", "Coexpress", 100, condition="fatigued"),
        "duchenne/CoexpressAgedSkin-v0": _spec("coexpress", "Coexpress", 100, condition="aged"),
        "duchenne/CoexpressWornServo-v0": _spec("coexpress", "Coexpress", 100, variation=WORN),
        "duchenne/Person-v0": _spec("person", "PersonEnv", 100),
        "duchenne/PersonPalsy-v0": _spec("person", "PersonEnv", 100, condition="palsy"),
        "duchenne/PersonFatigued-v0": _spec("person", "PersonEnv", 100, condition="fatigued"),
        "duchenne/PersonAgedSkin-v0": _spec("person", "PersonEnv", 100, condition="aged"),
        "duchenne/PersonDistalEmg-v0": _spec("person", "PersonEnv", 100, montage="distal4"),
    }
)
"""Id → what `gymnasium.register` is told of it."""


def announce() -> None:
    """Register now if Gymnasium is loaded, else as soon as it is."""
    if "gymnasium" in sys.modules:
        register_all()
    elif not any(isinstance(finder, _WhenGymnasiumLoads) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WhenGymnasiumLoads())


def register_all() -> None:
    """Register every environment that is not registered yet."""
    from gymnasium.envs.registration import register, registry

    for name, told in ENVIRONMENTS.items():
        if name not in registry:
            register(name, **told)


def ids() -> tuple[str, ...]:
    """Every registered id of ours."""
    from gymnasium.envs.registration import registry

    return tuple(name for name in registry if name.startswith("duchenne/"))


class _WhenGymnasiumLoads(MetaPathFinder):
    """Finds Gymnasium once, as the usual finders do, and registers after it has run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname != "gymnasium":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_register(module: ModuleType) -> None:
            load(module)
            register_all()

        spec.loader.exec_module = load_and_register
        return spec


__all__ = ["ENVIRONMENTS", "announce", "ids", "register_all"]
