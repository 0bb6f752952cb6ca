"""The environments' ids; importing `duchenne` registers them and loads none of them."""

from gymnasium.envs.registration import register, registry

_HERE = "duchenne.sim.envs"

ENTRY_POINTS = {
    "duchenne/Express-v0": (f"{_HERE}.express:Express", None, 100),
    "duchenne/SelfModel-v0": (f"{_HERE}.self_model_env:SelfModelEnv", None, 250),
}
"""Id → entry point of the environment, of its vector environment if it has one, and steps of an episode."""


def register_all() -> None:
    """Register every environment, once."""
    for name, (entry_point, vector_entry_point, steps) in ENTRY_POINTS.items():
        if name not in registry:
            register(name, entry_point, vector_entry_point=vector_entry_point, max_episode_steps=steps)


def ids() -> tuple[str, ...]:
    """Every registered id of ours."""
    return tuple(name for name in registry if name.startswith("duchenne/"))


__all__ = ["ENTRY_POINTS", "ids", "register_all"]
