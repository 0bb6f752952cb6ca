"""Figures, table and notes of `study coexpression`, from what its parts have measured."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import real_sequences
from .coexpression_paper import Row
from .study import Finding

Array = NDArray[np.floating]

SEEN = ", as seen"
"""Rows whose target is what the camera makes of her face, as in the paper, and not her face."""
TIMED = {
    "mimicry": ("mimicry", "copies what the camera shows"),
    "paper": ("paper", "the published method: one prediction, at once"),
    "camera": ("camera", "camera"),
    "emg_camera": ("EMG + camera", "seven electrodes over the muscles, and camera"),
    "emg_camera_epidermal10": ("EMG + camera", "ten epidermal electrodes, and camera"),
    "emg_camera_distal4": ("EMG + camera", "four electrodes at the temples, and camera"),
    "emg": ("face covered", "seven electrodes alone"),
    "emg_epidermal10": ("face covered", "ten epidermal electrodes alone"),
    "emg_distal4": ("face covered", "four electrodes at the temples alone"),
    "camera_mask": ("mask", "camera"),
    "emg_camera_mask": ("mask", "EMG + camera"),
    "camera_dark": ("dark", "camera"),
    "emg_camera_dark": ("dark", "EMG + camera"),
    "camera_side": ("side view", "camera"),
    "emg_camera_side": ("side view", "EMG + camera"),
    "oracle": ("oracle", "knows what she will do"),
}
"""Figures `asynchrony_NAME_ms`, and how the table calls them."""


@dataclass(frozen=True, eq=False)
class Timed:
    """All acts of one way to keep company. late_ms, arrival_ms, share, error_mm (acts,); person (acts,)."""

    late_ms: Array
    arrival_ms: Array
    share: Array
    error_mm: Array
    person: NDArray[np.integer]
    false_per_min: float

    @classmethod
    def of(cls, made: list[dict[str, Array]], name: str) -> "Timed":
        rows = np.concatenate([one[name] for one in made])
        starts, calm_s = np.sum([one[f"{name} false"] for one in made], axis=0)
        person = np.repeat(np.arange(len(made)), [len(one[name]) for one in made])
        late, arrival, share, error = rows.T
        return cls(1e3 * late, 1e3 * arrival, share, 1e3 * error, person, 60 * float(starts / max(calm_s, 1e-9)))

    @property
    def acts(self) -> int:
        return len(self.late_ms)

    @property
    def asynchrony_ms(self) -> float:
        """Median absolute; an act that was not answered counts as infinitely late."""
        return float(np.median(np.abs(self.late_ms)))

    def interval_ms(self) -> tuple[float, float]:
        """95 % of the median absolute asynchrony, bootstrapped over people."""
        rng, people = np.random.default_rng(0), np.unique(self.person)
        of = {who: np.abs(self.late_ms[self.person == who]) for who in people}
        drawn = [np.median(np.concatenate([of[w] for w in rng.choice(people, len(people))])) for _ in range(500)]
        low, high = np.percentile(drawn, [2.5, 97.5])
        return float(low), float(high)


@dataclass(frozen=True, eq=False)
class Real:
    pairs: real_sequences.Figure
    scores: real_sequences.Scores

    def at(self, end: str, lead: int) -> real_sequences.Figure:
        return real_sequences.figure(self.scores.at(end, lead))


def _against(name: str, rows: Mapping[str, Row]) -> tuple[dict[str, float], dict[str, float]]:
    """A row against the paper's mimicry, the face at peak activation, and against the newest face."""
    kind = SEEN if name.endswith(SEEN) else ""
    return rows[name].against(rows[f"mimicry at peak{kind}"]), rows[name].against(rows[f"mimicry{kind}"])


def figures(
    timed: Mapping[str, Timed],
    rows: Mapping[str, Row],
    folds: Mapping[str, Array],
    real: Real | None,
) -> dict[str, float]:
    found = {f"asynchrony_{name}_ms": one.asynchrony_ms for name, one in timed.items()}
    found |= {f"median_lag_{name}_ms": float(np.median(one.late_ms)) for name, one in timed.items()}
    found |= {
        f"arrival_asynchrony_{name}_ms": float(np.nanmedian(np.abs(one.arrival_ms))) for name, one in timed.items()
    }
    found |= {f"missed_{name}": float(np.isinf(one.late_ms).mean()) for name, one in timed.items()}
    found |= {f"face_error_{name}_mm": float(one.error_mm.mean()) for name, one in timed.items()}
    ours = timed["emg_camera"], timed["camera"]
    found |= {"false_starts_per_min": ours[0].false_per_min, "false_starts_per_min_camera": ours[1].false_per_min}
    found |= {f"false_starts_per_min_{name}": timed[name].false_per_min for name in ("mimicry", "paper", "emg")}
    for name, row in rows.items():
        peak, newest, scores = *_against(name, rows), row.figures
        own, kind = name.removesuffix(SEEN), "_seen" if name.endswith(SEEN) else ""
        tail = kind if own == "emg_camera" else f"_{own.replace(' ', '_')}{kind}"
        found |= {
            f"error_ratio_to_mimicry{tail}": peak["ratio"],
            f"p_against_mimicry{tail}": peak["p"],
            f"error_ratio_to_newest{tail}": newest["ratio"],
            f"command_accuracy{tail}": scores["accuracy"],
            f"ppv{tail}": scores["ppv"],
            f"ppv_at_paper_share{tail}": scores["ppv_at_paper_share"],
            f"sensitivity{tail}": scores["sensitivity"],
        }
    for name, (own, newest, peak) in folds.items():
        found[f"paper_ratio_to_mimicry_by_{name}"] = float(own.mean() / peak.mean())
        found[f"paper_ratio_to_newest_by_{name}"] = float(own.mean() / newest.mean())
    if real is not None:
        found["real_pairs_ratio_to_copy"] = real.pairs.ratio
        for lead, named in ((5, "200ms"), (10, "400ms")):
            arrival = real.scores.at("arrival", lead)
            found[f"real_sequences_ratio_to_copy_{named}"] = arrival.ratio()
            found[f"real_sequences_ratio_to_copy_{named}_by_event"] = arrival.pooled()
            found[f"real_sequences_ratio_to_copy_{named}_maximum"] = real.scores.at("apex", lead).ratio()
        found["real_sequences_lead_ms"] = real_sequences.lead_ms(real.scores, "arrival")
    return found


def findings(
    timed: Mapping[str, Timed],
    rows: Mapping[str, Row],
    folds: Mapping[str, Array],
    real: Real | None,
) -> Iterator[Finding]:
    for name, (topic, what) in TIMED.items():
        one = timed[name]
        low, high = one.interval_ms()
        yield Finding(
            topic=f"apart: {topic}",
            what=what,
            ours=one.asynchrony_ms,
            low=low,
            high=high,
            unit="ms",
            verdict=f"median {np.median(one.late_ms):+.0f} ms, {np.isinf(one.late_ms).mean():.0%} not answered",
        )
    for name in ("mimicry", "paper", "camera", "emg_camera", "emg"):
        yield Finding(
            topic="false starts", what=name.replace("_", " + "), ours=timed[name].false_per_min, unit="per min"
        )
    for name, row in rows.items():
        peak, newest, scores = *_against(name, rows), row.figures
        yield Finding(
            topic="target face",
            what=name.replace("_", " + "),
            ours=scores["mean_mm"],
            low=scores["low_mm"],
            high=scores["high_mm"],
            unit="mm",
            verdict=f"{peak['ratio']:.2f} × mimicry (p {peak['p']:.1g}), {newest['ratio']:.2f} × newest frame",
        )
    for name, (own, newest, peak) in folds.items():
        yield Finding(
            topic="cross-validation",
            what=f"the published network, by {name} ({own.size} clips)",
            ours=float(own.mean()),
            unit="mm",
            verdict=f"{own.mean() / peak.mean():.2f} × mimicry, {own.mean() / newest.mean():.2f} × newest frame",
        )
    wanted = {"accuracy": 0.722, "ppv": 0.805, "ppv_at_paper_share": 0.805, "sensitivity": 0.795}
    for name in ("paper", "camera", "emg_camera", "emg", "mimicry", f"paper{SEEN}", f"emg_camera{SEEN}"):
        scores = rows[name].figures
        for key, theirs in wanted.items():
            yield Finding(
                topic="commands",
                what=f"{key.replace('_', ' ')}, {name.replace('_', ' + ')}",
                ours=scores[key],
                paper=f"{theirs:.3f}",
                verdict="above" if scores[key] > theirs else "below",
            )
    if real is None:
        return
    yield _of_real("Emo's pairs of single frames", real.pairs)
    for end, called in (("arrival", "the apex is reached"), ("apex", "the maximum of the plateau")):
        for lead in (5, 10):
            yield _of_real(f"{40 * lead} ms before {called}", real.at(end, lead))
    for kind in sorted(set(real.scores.kind)):
        for lead in (5, 10):
            some = real_sequences.figure(real.scores.at("arrival", lead, [kind]))
            yield _of_real(f"{kind}: {40 * lead} ms before the apex is reached", some)


def _of_real(what: str, found: real_sequences.Figure) -> Finding:
    low, high = (found.low_series, found.high_series) if math.isfinite(found.low_series) else (found.low, found.high)
    return Finding(
        topic="error over copying",
        what=f"{what} ({found.events} expressions, {found.series} series)",
        ours=found.ratio,
        low=low,
        high=high,
        verdict="better" if high < 1 else "no worse" if found.ratio <= 1.005 else "worse" if low > 1 else "open",
        real=True,
    )


def notes(real: Real | None) -> tuple[str, ...]:
    simulated = (
        "Apart: by how much the robot's rise to the apex has to be moved in time to lie over hers, median absolute; an "
        "expression that was not answered counts as infinitely late. The simpler difference of the moments at which "
        "both reach 90 % of what they hold is in arrival_asynchrony_…; holds wander, which makes it noisier.",
        "False starts: in moments without an expression, with blinks and words, the robot shows what one that knows "
        "her shows at no time within 0.3 s.",
        "Pictures are known 80 ms after they were taken, EMG 20 ms after; both are typical, neither is measured here.",
        "Target faces are her true ones, here known; a tracker shows a part of them, which mimicry copies. In "
        "rows 'as seen' the target is what the camera makes of her face, as in the paper: there the watchers, which "
        "say her true face, are at a disadvantage. Mimicry is the paper's, the face at peak activation; the ratio to "
        "the newest of the nine frames is stricter. p: t test of independent groups, as in the paper.",
        "Few commands are activated in these expressions, about one in five (paper: 70 %), so that accuracy is cheap "
        "and PPV dear; 'at paper share' is the PPV that the same rates of errors would have at 70 %.",
        "Mask, dark and side view are simple models of what a tracker then does; what it really does was not measured.",
        "The paper's network has no published widths and learns from simulated people here.",
    )
    if real is None:
        return (*simulated, "No real faces: give their folder with --data.")
    return (
        *simulated,
        "Real faces: the predictor knows nothing of faces; it learnt from synthetic motion, and remembers what this "
        "person has shown before, which is what helps. Without that memory it hardly beats copying. The watcher that "
        "knows simulated faces' shapes is worse than copying on real ones and is not used for them.",
        "On a single frame it says that frame, so that the ratio on Emo's pairs is 1 by construction.",
    )


__all__ = ["SEEN", "TIMED", "Real", "Timed", "figures", "findings", "notes"]
