"""What is kept of a face that is watched: its last faces, its rest, and the apexes that it has shown before.

Faces are points in any space, (n,), in any unit; nothing here depends on which directions its axes have. All that is
kept lies in one table of faces, and beside it the inner products of its rows, so that whoever decides needs these
alone. It looks at no later face, and does not grow.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_coeffs

from .peak_activation import OVER_NOISE, PROMINENCE, SMOOTHING_S

Array = NDArray[np.floating]

RATE_HZ = 25.0
"""Faces come at this rate."""
PAST = 10
"""Newest faces that are kept, the present one first."""
REMEMBERED = 16
"""Apexes that are kept; of more, the older of the two that are most alike gives way."""
FIRST, REST, TROUGH, LATELY, APEXES = range(PAST, PAST + 5)
"""Rows after the newest faces: the mean of the first five; rest, the geometric median of all, in which what came
long ago fades; the trough that the present rise began from; the mean of the last two seconds; then apexes."""
ROWS = APEXES + REMEMBERED
CLUES = 6
"""What is known beside faces, see `MotionMemory.clues`."""

_CANDIDATE = ROWS
_FIRST_FRAMES, _LATELY_FRAMES, _REST_FRAMES = 5, 50, 300
_HALF = round(SMOOTHING_S * RATE_HZ / 2)
_SMOOTH = savgol_coeffs(2 * _HALF + 1, 3)
"""The filter of `peak_activation`; what it gives is known `_HALF` frames later."""
_SETTLED = 4
"""An apex is one when nothing larger has come for so many frames."""
_LARGER = 0.03
_SPAN_FRAMES, _SPAN_EVERY = 750, 10


class MotionMemory:
    """Faces as they come, at `RATE_HZ`.

    weight (n,): how much each coordinate counts, 0 or more, of which not all are 0.
    """

    def __init__(self, weight: Array):
        self._weight = weight / weight.sum()
        self._idle = np.flatnonzero(weight == 0)
        self._table = np.zeros((ROWS + 1, len(weight)))
        self._gram = np.zeros((ROWS + 1, ROWS + 1))
        self._order = np.arange(ROWS)
        self._origin = np.zeros(len(weight))
        self._count = 0
        self._apexes: list[int] = []
        self._off = 0.0
        self._distances: deque[float] = deque(maxlen=len(_SMOOTH))
        self._course: deque[float] = deque(maxlen=_SPAN_FRAMES)
        self._noise, self._span = 0.0, 0.0
        self._low, self._top = np.inf, -np.inf
        self._rising, self._since_low, self._since_top = False, 0, 0

    def see(self, face: Array, *, afresh: bool = False) -> None:
        """The next face (n,); `afresh` after a gap, so that nothing seems to have moved across it."""
        if not self._count:
            self._origin = face.copy()
        now = self._order[PAST - 1]
        self._order[1:PAST] = self._order[: PAST - 1].copy()
        self._order[0] = now
        np.subtract(face, self._origin, out=self._table[now])
        self._set(now, self._table @ (self._weight * self._table[now]))
        if afresh:
            for row in self._order[1:PAST]:
                self._copy(row, now)
            self._distances.clear()
        self._count += 1
        if self._count <= _FIRST_FRAMES:
            self._blend(FIRST, now, 1 / self._count)
        self._blend(LATELY, now, max(1 / self._count, 1 / _LATELY_FRAMES))
        self._settle(now)
        self._find_apex(now)

    @property
    def gram(self) -> Array:
        """Inner products (ROWS, ROWS) of the rows, newest face first."""
        return self._gram[self._order[:, None], self._order]

    @property
    def clues(self) -> Array:
        """(CLUES,): frames seen and apexes remembered (shares of many); whether the distance from rest rises as one
        to an apex does, for how long since its trough, for how long since its top (s), and its height over noise."""
        height = (self._distances[-1] - self._low) / (self._noise + 1e-12) if self._distances else 0.0
        return np.array([
            min(self._count / 250, 1.0), len(self._apexes) / REMEMBERED, float(self._rising),
            min(self._since_low / RATE_HZ, 2.0), min(self._since_top / RATE_HZ, 2.0),
            float(np.log1p(np.clip(height, 0.0, 1e3))),
        ])  # fmt: skip

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which rows for apexes hold one, (REMEMBERED,)."""
        return np.arange(REMEMBERED) < len(self._apexes)

    @property
    def table(self) -> Array:
        """The rows (ROWS, n) as differences from the first face that was ever seen, newest face first."""
        return self._table[self._order]

    def faces(self, shares: Array) -> Array:
        """The present face plus shares (…, ROWS) of the rows' differences from it, (…, n).

        Coordinates without weight stay as they are.
        """
        mixed = np.zeros((*shares.shape[:-1], ROWS + 1))
        mixed[..., self._order] = shares
        mixed[..., self._order[0]] -= shares.sum(-1)
        now = self._origin + self._table[self._order[0]]
        faces = mixed @ self._table + now
        faces[..., self._idle] = now[self._idle]
        return faces

    def _set(self, row: int, products: Array) -> None:
        self._gram[row] = products
        self._gram[:, row] = products

    def _copy(self, row: int, source: int) -> None:
        self._blend(row, source, 1.0)

    def _blend(self, row: int, source: int, share: float) -> None:
        """Move a row towards another by a share of the way."""
        table, gram = self._table, self._gram
        table[row] += share * (table[source] - table[row])
        products = gram[row] + share * (gram[source] - gram[row])
        products[row] = (1 - share) * products[row] + share * products[source]
        self._set(row, products)

    def _distance(self, one: int, other: int) -> float:
        gram = self._gram
        return float(np.sqrt(max(gram[one, one] + gram[other, other] - 2 * gram[one, other], 0.0)))

    def _settle(self, now: int) -> None:
        """A step of the stochastic geometric median (Cardot, Cénac and Zitt 2013, Bernoulli 19(1):18-43)."""
        off = self._distance(now, REST)
        share = max(1 / self._count, 1 / _REST_FRAMES)
        self._off += share * (off - self._off)
        if off > 0:
            self._blend(REST, now, min(share * self._off / off, 1.0))

    def _find_apex(self, now: int) -> None:
        """A top of the smoothed distance from rest that stands out as in `peak_activation`, when it is passed."""
        self._distances.append(self._distance(now, REST))
        if len(self._distances) < len(_SMOOTH):
            return
        smooth = float(_SMOOTH @ np.array(self._distances))
        self._noise += max(1 / self._count, 0.01) * (1.25 * abs(self._distances[_HALF] - smooth) - self._noise)
        self._course.append(smooth)
        if len(self._course) % _SPAN_EVERY == 0 or self._count % _SPAN_EVERY == 0:
            ordered = np.sort(np.array(self._course))
            self._span = float(ordered[int(0.95 * len(ordered))] - ordered[int(0.05 * len(ordered))])
        least = max(PROMINENCE * self._span, OVER_NOISE * self._noise, 1e-12)
        self._since_low += 1
        self._since_top += 1
        middle = self._order[_HALF]
        if not self._rising:
            if smooth <= self._low:
                self._low, self._since_low = smooth, _HALF
                self._copy(TROUGH, middle)
            elif smooth - self._low >= least:
                self._rising, self._top = True, -np.inf
        if self._rising:
            if smooth > self._top + _LARGER * (smooth - self._low):
                self._top, self._since_top = smooth, _HALF
                self._copy(_CANDIDATE, middle)
                self._blend(_CANDIDATE, self._order[_HALF - 1], 1 / 2)
                self._blend(_CANDIDATE, self._order[_HALF + 1], 1 / 3)
            elif self._since_top >= _HALF + _SETTLED or self._top - smooth >= least / 2:
                self._copy(self._vacant(), _CANDIDATE)
                self._copy(TROUGH, middle)
                self._rising, self._low, self._since_low = False, smooth, _HALF

    def _vacant(self) -> int:
        """The row that takes the next apex; `_apexes` holds rows from the oldest to the newest."""
        if len(self._apexes) < REMEMBERED:
            row = APEXES + len(self._apexes)
        else:
            rows = np.array(self._apexes)
            gram = self._gram[np.ix_(rows, rows)]
            apart = gram.diagonal()[:, None] + gram.diagonal() - 2 * gram
            apart[np.tril_indices(len(rows))] = np.inf
            row = int(rows[np.unravel_index(apart.argmin(), apart.shape)[0]])
            self._apexes.remove(row)
        self._apexes.append(row)
        return row


__all__ = [
    "APEXES",
    "CLUES",
    "FIRST",
    "LATELY",
    "PAST",
    "RATE_HZ",
    "REMEMBERED",
    "REST",
    "ROWS",
    "TROUGH",
    "MotionMemory",
]
