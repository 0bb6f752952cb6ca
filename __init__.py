"""duchenne: simulation and digital twin of faces."""

from .sim.envs import registry as _environments

__version__ = "0.1.0"

_environments.announce()  # of the names alone: environments are imported when they are made
