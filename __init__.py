"""duchenne: simulation and digital twin of faces."""

__version__ = "0.1.0"
