"""How well what comes next is foreseen on real people's faces, beside copying the present face.

    python -m duchenne.scenarios.real_sequences          # the table for the shipped motion anticipator

Every series is played frame by frame to a predictor that knows nothing else: not where rest is, nor whether an
expression will come. Hindsight only says where the score is taken: 200 and 400 ms before an apex and before an
arrival of `FaceSeries.apexes`, and where one is taken for certain. None of these people were trained on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import console
from .real_faces import FaceSeries, face_error, pairs, series
from .real_recordings import DATA

Array = NDArray[np.floating]

LEADS_S = (0.2, 0.4)
ENDS = ("apex", "arrival")
STILL_BETTER = 0.95
"""A lead at which the ratio stays below this counts as ahead of copying."""
_LONGEST_LEAD = 15
_RESAMPLES = 2000


class Stream(Protocol):
    """Follows one face."""

    def see(self, time_s: float, face: ArrayLike | None) -> None: ...

    def target(self) -> Array: ...


Predictor = Callable[[ArrayLike], Stream]
"""Makes a stream for faces with a weight (n,) for every coordinate: `MotionAnticipator.stream`."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Scores:
    """Errors at events (N,), each a lead before an end of one expression; in the unit of its series.

    kind, person, name: of the series. event: number of the expression within all. end: of `ENDS`. lead: frames.
    """

    kind: NDArray[np.str_]
    name: NDArray[np.str_]
    event: NDArray[np.integer]
    end: NDArray[np.str_]
    lead: NDArray[np.integer]
    predicted: Array
    copied: Array

    def at(self, end: str, lead: int, kinds: Sequence[str] | None = None) -> "Scores":
        """Those of one end and lead (frames), of some kinds."""
        where = (self.end == end) & (self.lead == lead)
        return self.where(where if kinds is None else where & np.isin(self.kind, kinds))

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.integer]) -> "Scores":
        """Some of them."""
        return Scores(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})

    def ratio(self) -> float:
        """Mean over kinds of the summed error over that of copying; units differ from kind to kind."""
        return float(_by_kind(self)[1].mean())

    def pooled(self) -> float:
        """Summed over all events, each kind in units of its mean copying error."""
        _, ratios, counts = _by_kind(self)
        return float(np.average(ratios, weights=counts))


@dataclass(frozen=True)
class Figure:
    """A ratio to copying with its 95 % intervals, bootstrapped over events within kinds and over series of all kinds.

    Several expressions of one person are not independent, so that the interval over series is the honest one; it is
    NaN where there is but one.
    """

    ratio: float
    low: float
    high: float
    low_series: float
    high_series: float
    events: int
    series: int


def evaluate(found: Sequence[FaceSeries], predictor: Predictor) -> Scores:
    """Play every series to a stream of its own and score it at all leads up to 600 ms before every end.

    Series of the detector's clips, of half the rate and short, are a kind of their own: "clips".
    """
    rows: list[tuple[str, str, int, str, int, float, float]] = []
    event = 0
    for one in found:
        kind = "clips" if one.name.startswith("facs") else one.kind
        wanted: dict[int, list[tuple[int, str, int, int]]] = {}
        for apex in one.apexes():
            for end in ENDS:
                for lead in range(1, _LONGEST_LEAD + 1):
                    frame = getattr(apex, end)
                    if frame - lead >= 0:
                        wanted.setdefault(frame - lead, []).append((event, end, lead, frame))
            event += 1
        stream = predictor(one.weight)
        for frame, face in enumerate(one.faces):
            stream.see(frame / one.rate_hz, face)
            if frame not in wanted:
                continue
            guess = stream.target()
            for number, end, lead, ahead in wanted[frame]:
                truth = one.faces[ahead]
                errors = face_error(one, guess, truth), face_error(one, face, truth)
                rows.append((kind, one.name, number, end, lead, *errors))
    columns = (np.array(column) for column in zip(*rows, strict=True))
    return Scores(**dict(zip(Scores.__dataclass_fields__, columns, strict=True)))


def figure(scores: Scores, *, pooled: bool = False, seed: int = 0) -> Figure:
    """The ratio, mean over kinds or pooled by event, of scores at one end and lead."""
    rng = np.random.default_rng(seed)
    by_kind = [np.flatnonzero(scores.kind == kind) for kind in np.unique(scores.kind)]
    by_series = [np.flatnonzero(scores.name == name) for name in np.unique(scores.name)]

    def value(rows: NDArray[np.integer]) -> float:
        some = scores.where(rows)
        return some.pooled() if pooled else some.ratio()

    def interval(draw: Callable[[], list[NDArray[np.integer]]]) -> tuple[float, float]:
        low, high = np.percentile([value(np.concatenate(draw())) for _ in range(_RESAMPLES)], [2.5, 97.5])
        return float(low), float(high)

    events = interval(lambda: [rng.choice(rows, len(rows)) for rows in by_kind])
    several = len(by_series) > 1
    series = (
        interval(lambda: [by_series[k] for k in rng.integers(len(by_series), size=len(by_series))])
        if several
        else (float("nan"), float("nan"))
    )
    return Figure(value(np.arange(len(scores.kind))), *events, *series, len(scores.kind), len(by_series))


def lead_ms(scores: Scores, end: str = "apex", kinds: Sequence[str] | None = None) -> float:
    """From 200 ms on, the longest lead (ms) up to which the ratio, mean over kinds, stays below `STILL_BETTER`.

    0 if it is not at 200 ms. Much nearer to the end there is little left to foresee, and noise decides.
    """
    longest = 0
    for lead in range(round(25 * LEADS_S[0]), _LONGEST_LEAD + 1):
        some = scores.at(end, lead, kinds)
        if not len(some.kind) or some.ratio() >= STILL_BETTER:
            break
        longest = lead
    return 40.0 * longest


def evaluate_pairs(predictor: Predictor, folder: str | Path = DATA, seed: int = 0) -> Figure:
    """The same on the Emo robot's pairs: of one early face alone its target is to be said.

    Nothing is known of its motion nor of the person, so that there is nothing to go by but the face itself.
    """
    early, target, _ = pairs(folder)
    width = early[0].size
    errors = np.empty((2, len(early)))
    for row, (face, truth) in enumerate(zip(early, target, strict=True)):
        stream = predictor(np.ones(width))
        stream.see(0.0, face.ravel())
        for k, guess in enumerate((stream.target().reshape(face.shape), face)):
            errors[k, row] = np.linalg.norm(guess - truth, axis=1).mean()
    drawn = np.random.default_rng(seed).integers(len(early), size=(_RESAMPLES, len(early)))
    low, high = np.percentile(errors[0][drawn].mean(1) / errors[1][drawn].mean(1), [2.5, 97.5])
    ratio = float(errors[0].mean() / errors[1].mean())
    return Figure(ratio, float(low), float(high), float(low), float(high), len(early), len(early))


def rows(scores: Scores) -> list[tuple[object, ...]]:
    """A table: end, lead, what is averaged, ratio, both intervals, events and series."""
    kinds = sorted(set(scores.kind.tolist()))
    groups: list[tuple[str, list[str], bool]] = [(kind, [kind], False) for kind in kinds]
    full = [kind for kind in kinds if kind != "clips"]
    if len(kinds) > 1:
        groups += [("all, mean of kinds", kinds, False), ("all, by event", kinds, True)]
        if len(full) < len(kinds):
            groups += [("no clips, mean of kinds", full, False), ("no clips, by event", full, True)]
    table: list[tuple[object, ...]] = []
    for end in ENDS:
        for lead_s in LEADS_S:
            for name, chosen, pooled in groups:
                some = scores.at(end, round(25 * lead_s), chosen)
                if not len(some.kind):
                    continue
                got = figure(some, pooled=pooled)
                spans = (_span(got.low, got.high), _span(got.low_series, got.high_series))
                table.append((end, f"{1e3 * lead_s:.0f}", name, got.ratio, *spans, got.events, got.series))
    return table


def _span(low: float, high: float) -> str:
    return f"{low:.2f}-{high:.2f}" if np.isfinite(low) else "–"


def _by_kind(scores: Scores) -> tuple[list[str], Array, NDArray[np.integer]]:
    """Kinds, the ratio of each and its number of events."""
    kinds, kind, counts = np.unique(scores.kind, return_inverse=True, return_counts=True)
    ratios = np.bincount(kind, scores.predicted) / np.bincount(kind, scores.copied)
    return kinds.tolist(), ratios, counts


def main(folder: str | Path = DATA) -> None:
    """Print the table for the shipped motion anticipator."""
    from ..learning.motion_anticipation import MotionAnticipator

    stream = MotionAnticipator.default().stream
    show(evaluate(series(folder), stream), evaluate_pairs(stream, folder))


def show(scores: Scores, paired: Figure) -> None:
    """Print ratios to copying."""
    columns = ("end", "ms", "of", "ratio", "95 %, events", "95 %, series", "events", "series")
    console.table("Error of the expected face over that of copying", columns, rows(scores))
    kinds = [kind for kind in sorted(set(scores.kind.tolist())) if kind != "clips"]
    leads = range(2, _LONGEST_LEAD + 1, 2)
    by_lead = [(end, *(scores.at(end, lead).ratio() for lead in leads), lead_ms(scores, end)) for end in ENDS]
    by_lead += [
        (f"{end}, no clips", *(scores.at(end, lead, kinds).ratio() for lead in leads), lead_ms(scores, end, kinds))
        for end in ENDS
    ]
    title = f"Mean over kinds, by ms before; longest lead below {STILL_BETTER}"
    console.table(title, ("end", *(str(40 * lead) for lead in leads), "lead, ms"), by_lead)
    paired_row = (paired.ratio, f"{paired.low:.4f}-{paired.high:.4f}", paired.events)
    console.table("One early face of a robot's pairs", ("ratio to copying", "95 %", "pairs"), [paired_row])


if __name__ == "__main__":
    main()

__all__ = ["Figure", "Predictor", "Scores", "evaluate", "evaluate_pairs", "figure", "lead_ms", "main", "rows", "show"]
