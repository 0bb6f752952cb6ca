"""The published way as a watcher: it waits for peak activation, asks the network once, and holds on to the answer.

Peak activation is found causally. The distance from rest is smoothed by the same cubic Savitzky-Golay filter as in
`peak_activation`, whose acceleration is known four frames late; the first maximum of it that stands out from the noise
counts once it has passed, one frame later. The paper, which had whole videos, does not say how its robot detects it.
"""

from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_coeffs

from ..sim import mesh
from ..sim.person.encounter import STEADY
from .expectation import NEUTRAL, Expectation, checked_face
from .paper_anticipation import FRAMES, WINDOW
from .peak_activation import AFTER, SMOOTHING_S

if TYPE_CHECKING:
    from .paper_anticipation import PaperAnticipator

Array = NDArray[np.floating]

OVER_NOISE = 4.0
"""An acceleration stands out if it is so many times the median one while nothing is under way.

A choice: on six simulated people who were neither learnt from nor tested on, 4 finds half of their expressions with
five false starts a minute, 6 a third with two.
"""
LEAST_MM_PER_S2 = 14.0
"""And more than this, of the rms distance of the paper's landmarks without the lids'."""
_CALM_S = 8.0
_LEAST_CALM_S = 0.8
_GONE = 0.5
"""An expression is over when less than this of its largest distance is left."""
_FORGOTTEN_S = 0.2
_COUNTED = [i for i in mesh.EMO_LANDMARKS if STEADY[i]]


class PeakWatcher:
    """A `Watcher` that predicts once an expression. Make one with `PaperAnticipator.stream`."""

    def __init__(self, anticipator: "PaperAnticipator", rate_hz: float = 25.0):
        self.anticipator, self.rate_hz = anticipator, rate_hz
        self._length = max(2 * round(SMOOTHING_S * rate_hz / 2) + 1, 5)
        smooth = (savgol_coeffs(self._length, 3, deriv=k, delta=1 / rate_hz, use="dot") for k in range(3))
        self._filters = np.array(list(smooth))
        self._calm: deque[float] = deque(maxlen=round(_CALM_S * rate_hz))
        self._face_m = np.zeros((mesh.VERTEX_COUNT, 3))
        self._seen_s = -np.inf
        self._begin()

    def _begin(self) -> None:
        self._faces: deque[Array] = deque(maxlen=max(self._length, WINDOW) + 1)
        self._distances: deque[float] = deque(maxlen=self._length)
        self._last = 0.0, 0.0
        self._target_m: Array | None = None
        self._expression, self._asked_s, self._most = NEUTRAL, 0.0, 0.0

    def see(self, time_s: float, face_m: Array | None) -> None:
        """A picture's face (468, 3) m. After a gap, or a clock that went back, it begins anew."""
        if face_m is None:
            return
        face = checked_face(face_m)
        if not 0 < time_s - self._seen_s <= _FORGOTTEN_S:
            self._begin()
        self._face_m, self._seen_s = face, time_s
        self._faces.append(face)
        self._distances.append(1e3 * float(np.sqrt((face[_COUNTED, :2] ** 2).sum(1).mean())))
        if len(self._distances) < self._length:
            return
        distance, speed, acceleration = self._filters @ np.array(self._distances)
        if self._target_m is None:
            self._wait(time_s, acceleration)
        else:
            self._most = max(self._most, distance)
            if distance < _GONE * self._most:
                self._target_m, self._expression = None, NEUTRAL
        self._last = speed, acceleration

    def _wait(self, time_s: float, acceleration: float) -> None:
        speed, most = self._last
        wanted = LEAST_MM_PER_S2
        if len(self._calm) >= _LEAST_CALM_S * self.rate_hz:
            wanted = max(wanted, OVER_NOISE * float(np.median(self._calm)))
        if speed > 0 and most > max(wanted, acceleration) and len(self._faces) > WINDOW:
            # The maximum was one frame before the middle of the filter; the last but one is the newest of its nine.
            frames = list(self._faces)[-FRAMES - 1 : -1]
            self._target_m = self.anticipator.predict(np.array(frames))
            self._expression = self.anticipator.name(self._target_m)
            self._asked_s, self._most = time_s, 0.0
            return
        self._calm.append(abs(acceleration))

    def hear(self, time_s: float, emg_uv: Array) -> None:
        pass

    def expect(self, now_s: float) -> Expectation:
        lost = now_s - self._seen_s > _FORGOTTEN_S
        passed_s = now_s - self._asked_s + (AFTER + 1) / self.rate_hz
        return Expectation(
            time_s=now_s,
            shown_m=self._face_m,
            target_m=self._face_m if self._target_m is None else self._target_m,
            arrival_s=0.0 if self._target_m is None else max(self.anticipator.lead_s - passed_s, 0.0),
            probability=float(self._target_m is not None),
            expression=self._expression,
            sources=() if lost else ("camera",),
            problem="no face" if lost else "",
        )


__all__ = ["LEAST_MM_PER_S2", "OVER_NOISE", "PeakWatcher"]
