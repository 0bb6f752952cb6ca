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

from .person_specs import PERSON_ENVS

_HERE = "duchenne.sim.envs"

ENVIRONMENTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "duchenne/Express-v0": {
            "entry_point": f"{_HERE}.express:Express",
            "vector_entry_point": f"{_HERE}.express_vector:ExpressVector",
            "max_episode_steps": 100,
        },
        "duchenne/SelfModel-v0": {"entry_point": f"{_HERE}.self_model_env:SelfModelEnv", "max_episode_steps": 250},
        **PERSON_ENVS,
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
