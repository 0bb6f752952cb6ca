"""How robots differ from the one of the data sheet: domain randomisation as data, drawn anew each episode."""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..robot.servo import SERVO_NAMES

Range = tuple[float, float]
_LIMITS: dict[str, Range] = {
    "speed": (0.05, 3.0), "torque": (0.05, 3.0), "friction": (0.0, 20.0), "skin": (0.05, 5.0),
    "offset": (-0.3, 0.3), "play": (0.0, 0.3),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Variation:
    """Ranges (low, high) that every episode draws from, uniformly; as they stand nothing varies.

    All but `skin` are drawn for each servo by itself. How real servos scatter is *unknown*; servos of hobby robots are
    sold with tolerances of some 10 % in speed and torque, and gears with 0.5 … 3° of play.
    """

    speed: Range = (1.0, 1.0)
    """Factor on the servos' slew."""
    torque: Range = (1.0, 1.0)
    """Factor on their largest torque."""
    friction: Range = (1.0, 1.0)
    """Factor on the dry friction at their output."""
    play: Range = (0.0, 0.0)
    """Backlash of the gears, as a share of travel: a servo that turns back moves this much later."""
    offset: Range = (0.0, 0.0)
    """A horn put on by a wrong angle, as a share of travel."""
    skin: Range = (1.0, 1.0)
    """Factor on the skin's stiffness."""

    def __post_init__(self):
        for name, (least, most) in _LIMITS.items():
            low, high = (float(value) for value in getattr(self, name))
            if not least <= low <= high <= most:
                raise InputError(
                    f"variation.{name}: got ({low:g}, {high:g}); allowed are {least:g} ≤ low ≤ high ≤ {most:g}"
                )
            object.__setattr__(self, name, (low, high))  # JSON gives lists

    @property
    def any(self) -> bool:
        """Whether anything varies at all."""
        return self != Variation()

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """One robot: (26,) of each, and (1,) of the skin."""
        sizes = {name: 1 if name == "skin" else len(SERVO_NAMES) for name in _LIMITS}
        ranges: dict[str, Range] = {name: getattr(self, name) for name in sizes}
        return {name: rng.uniform(low, high, sizes[name]) for name, (low, high) in ranges.items()}


__all__ = ["Variation"]
