"""What one robot may do: range, rate, acceleration, and what its feedback must keep to.

The numbers that no data sheet of the robot gives are marked unknown, with the range that is plausible.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from ..sim.errors import InputError
from ..sim.robot.limits import rate_limits
from ..sim.robot.servo import REST_COMMAND, SERVO_NAMES, SERVOS

_NARROWEST = 1e-3


def acceleration_limits() -> np.ndarray:
    """Largest acceleration of each command, (26,) 1/s²: what the stall torque can do to the servo's own inertia.

    20 000°/s² for the servos of the skin. Torque and inertia are those of `Servo`, the inertia being unknown; over
    their plausible ranges this is 3 800 … 115 000°/s².
    """
    return np.array([np.degrees(s.torque_nm / s.armature_kgm2) / s.travel_deg for s in SERVOS])


@dataclass(frozen=True, kw_only=True, eq=False)
class Limits:
    """Limits of one robot. Arrays are (26,), ordered as `SERVO_NAMES`, in command units of 0…1.

    A condition on the feedback that has a `_for_s` must hold all that time before it stops the robot.
    """

    low: np.ndarray = field(default_factory=lambda: np.zeros(len(SERVOS)))
    high: np.ndarray = field(default_factory=lambda: np.ones(len(SERVOS)))
    rate_per_s: np.ndarray = field(default_factory=lambda: rate_limits(1.0))
    acceleration_per_s2: np.ndarray = field(default_factory=acceleration_limits)

    hold_after_s: float = 0.1
    """Without a new command for this long the last one is kept up."""
    glide_after_s: float = 1.0
    """Then the robot goes to rest, by at most `glide_per_s`."""
    relax_after_s: float = 10.0
    """Then torque goes off; a glide from one end of a servo's travel is over by then, even if asked for every 0.1 s."""
    glide_per_s: float = 0.25

    tracking: float = 0.2
    """Distance from every command of the last `lag_s`. Unknown; 0.1 … 0.3, by load, friction and slack."""
    tracking_for_s: float = 0.5
    lag_s: float = 0.3
    """How late a servo may be: delay of the bus and its own controller. Unknown; 0.05 … 0.3."""
    current_a: float = 1.0
    """Unknown; 0.6 … 1.5. Servos of this size stall at about 1.5 A."""
    current_for_s: float = 0.5
    warm_c: float = 60.0
    """Is only reported."""
    hot_c: float = 65.0
    """Below the 70 °C at which servos of this size switch themselves off."""
    voltage_v: float = 3.7
    """Lowest supply that servos of this size are sold for."""
    voltage_for_s: float = 0.5
    feedback_for_s: float = 0.5
    """A bus that has given feedback must not be without for longer."""

    def __post_init__(self):
        for name in ("low", "high", "rate_per_s", "acceleration_per_s2"):
            values = np.array(getattr(self, name), float)
            if values.shape != (len(SERVOS),) or not np.isfinite(values).all():
                raise InputError(f"limits, {name}: got shape {values.shape}, allowed are {len(SERVOS)} finite numbers")
            values.flags.writeable = False
            object.__setattr__(self, name, values)
        outside = (self.low < 0) | (self.high > 1) | (self.low > REST_COMMAND) | (self.high < REST_COMMAND)
        outside |= self.high - self.low < _NARROWEST
        if outside.any():
            raise InputError(
                f"limits: every range must lie in 0 to 1, be {_NARROWEST} wide and hold the rest command; "
                + ", ".join(
                    f"{SERVO_NAMES[i]} got {self.low[i]:.3f} to {self.high[i]:.3f} with rest {REST_COMMAND[i]:.3f}"
                    for i in np.flatnonzero(outside)
                )
                + "; look at the servo's stored limits and at the calibration"
            )
        if (self.rate_per_s <= 0).any() or (self.acceleration_per_s2 <= 0).any():
            raise InputError("limits: rate and acceleration must be positive")
        if not 0 < self.hold_after_s <= self.glide_after_s <= self.relax_after_s:
            raise InputError("limits: hold_after_s, glide_after_s and relax_after_s must follow in this order")

    def within(self, low: np.ndarray, high: np.ndarray) -> "Limits":
        """These limits cut with ranges (26,) that the servos themselves hold. Raises `InputError` if rest is outside.

        A stored range that is wider than 0…1 changes nothing.
        """
        return replace(self, low=np.maximum(self.low, low), high=np.minimum(self.high, high))


__all__ = ["Limits", "acceleration_limits"]
