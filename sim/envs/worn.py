"""How worn servos differ from new ones, as data: no core is loaded to read it."""

WORN = {"speed": [0.5, 0.9], "torque": [0.6, 1.0], "friction": [1.0, 4.0], "play": [0.0, 0.06], "offset": [-0.04, 0.04]}
"""Ranges of a `variation.Variation`; servos after a long life. A guess: each range is *unknown*."""

__all__ = ["WORN"]
