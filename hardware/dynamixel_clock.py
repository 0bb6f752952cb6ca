"""Whether a reply is new: every servo counts milliseconds, and its count must agree with our own clock."""

import numpy as np

from .dynamixel_table import TICK_WRAPS_MS

_SLACK_S = 0.004
_DRIFT = 0.02
"""A servo's clock may run fast or slow by this much; its crystal or oscillator is not in the manual."""


class ServoClocks:
    """Judges the ticks of replies by those of the last reply that was good."""

    def __init__(self):
        self.forget()

    def forget(self) -> None:
        """Whatever comes next is good."""
        self._last: tuple[np.ndarray, float, float] | None = None
        self._suspect: tuple[np.ndarray, float, float] | None = None
        self.restarted: np.ndarray | None = None
        """Servos, (n,) bool, whose clock runs well but from a new start, as of the last judgement; else `None`."""

    def judge(self, ticks_ms: np.ndarray, sent_s: float, received_s: float) -> np.ndarray:
        """By how many seconds each clock, (n,), is off, in a reply asked for and come at these times; 0 is fine.

        A late or repeated answer is behind; a servo that restarted is anywhere, but goes on from there.
        """
        now = (ticks_ms, sent_s, received_s)
        off_s = _off_s(self._last, now)
        if off_s.any():
            follows = self._suspect is not None and _off_s(self._suspect, now) == 0
            moved = self._suspect is not None and self._suspect[0] != ticks_ms
            restarted = (off_s != 0) & follows & moved
            self.restarted = restarted if restarted.any() else None
            self._suspect = now
        return off_s

    def keep(self, ticks_ms: np.ndarray, sent_s: float, received_s: float) -> None:
        """Judge by this reply from now on."""
        self._last, self._suspect, self.restarted = (ticks_ms, sent_s, received_s), None, None


def _off_s(before: tuple[np.ndarray, float, float] | None, now: tuple[np.ndarray, float, float]) -> np.ndarray:
    """Seconds by which clocks advanced too much between two samples, beyond what is allowed; modulo their wrapping."""
    if before is None:
        return np.zeros(len(now[0]))
    shortest, longest = now[1] - before[2], now[2] - before[1]
    middle, half = 0.5 * (shortest + longest), 0.5 * (longest - shortest)
    wrap = TICK_WRAPS_MS / 1e3
    advance = (now[0] - before[0]) / 1e3
    off = (advance - middle + wrap / 2) % wrap - wrap / 2
    return np.where(np.abs(off) <= half + _SLACK_S + _DRIFT * longest, 0.0, off)


__all__ = ["ServoClocks"]
