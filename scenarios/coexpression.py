"""`duchenne study coexpression`: does the robot smile with her, or after her? The published evaluation, and beyond it.

Simulated people never met before (`coexpression_people`, `coexpression_trials`), the paper's own protocol on their
expressions (`coexpression_paper`), and real faces that nothing was trained on (`real_sequences`). Published numbers are
those of Human-robot facial coexpression.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..learning.anticipation import Anticipator
from ..learning.motion_anticipation import MotionAnticipator
from ..learning.paper_anticipation import PaperAnticipator
from ..sim.errors import InputError
from . import coexpression_paper as published
from . import console, real_sequences
from .coexpression_people import FIRST_PERSON, MONTAGES, keep_company
from .coexpression_study_picture import draw
from .real_faces import series
from .study import Finding, Kept, Study, each, folder, publish

Array = NDArray[np.floating]

PEOPLE, SECONDS = 10, 40.0
PAPER_PEOPLE = 40
"""So many people teach the published network; another 240 and 140 have taught the shipped ones."""
_RESAMPLES = 2000
_TIMED = {
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


def run(
    out: Path,
    *,
    people: int | None = None,
    seed: int = 0,
    data: Path | None = None,
    as_json: bool = False,
    seconds: float = SECONDS,
    paper_people: int = PAPER_PEOPLE,
) -> int:
    """Do the study and write report, pictures and findings into `out`. Returns the exit code.

    people: by default ten. data: folder with real faces; without it that part is left out. Raises `InputError`.
    """
    count = PEOPLE if people is None else people
    if not 2 <= count <= 100:
        raise InputError(f"people: got {count}; allowed are 2 … 100")
    kept = Kept(folder(out) / "kept")
    paper = _paper(out / "kept" / f"paper-{seed}-{paper_people}.npz", seed, paper_people)
    made = each(
        "people",
        range(count),
        lambda k: kept.get(f"person-{k}", {"seed": seed, "s": seconds}, lambda: keep_company(k, seed, seconds, paper)),
    )
    timed = {name: _Timed.of(made, name) for name in _TIMED}
    rows = _protocol(paper, count, seed, seconds)
    real = None if data is None else _real(data)
    shown = Study(
        title="Co-expression: with her, not after her",
        summary=f"{count} simulated people never trained on, {timed['oracle'].acts} expressions; the robot simulated.",
        figures=_figures(timed, rows, real),
        findings=list(_findings(timed, rows, real)),
        pictures=draw(timed, rows, real, out),
        notes=_notes(real),
    )
    return publish(shown, out, as_json=as_json)


@dataclass(frozen=True, eq=False)
class _Timed:
    """All acts of one way to keep company. late_ms, arrival_ms, share, error_mm (acts,); person (acts,)."""

    late_ms: Array
    arrival_ms: Array
    share: Array
    error_mm: Array
    person: NDArray[np.integer]
    false_per_min: float

    @classmethod
    def of(cls, made: list[dict[str, Array]], name: str) -> "_Timed":
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


def _paper(path: Path, seed: int, people: int) -> PaperAnticipator:
    """The published network, taught once."""
    if path.is_file():
        return PaperAnticipator.load(path)
    with console.progress() as bar:
        task = bar.add_task("teaching the published network", total=people)
        clips = published.meet_all(
            range(people), keep=False, told=lambda done, total: bar.update(task, completed=done, total=total)
        )
        model = published.learn(clips, seed)
    model.save(path)
    return model


def _protocol(paper: PaperAnticipator, count: int, seed: int, seconds: float) -> Mapping[str, published.Row]:
    """The paper's evaluation, four frames behind the peak activation: what the camera sees, and true faces."""
    first = FIRST_PERSON + 100 * seed
    with console.progress() as bar:
        task = bar.add_task("published evaluation", total=count)
        clips = published.meet_all(
            range(first, first + count),
            seconds=seconds,
            montage=MONTAGES[0],
            told=lambda done, total: bar.update(task, completed=done, total=total),
        )
    both = Anticipator.default(MONTAGES[0]).stream
    predictors = {
        "random": published.chance(clips, seed),
        "mimicry": published.copy_newest,
        "mimicry at peak": published.copy_peak,
        "paper": published.paper(paper),
        "camera": published.streamed(Anticipator.default().stream),
        "emg_camera": published.streamed(both, emg=True),
        "emg": published.streamed(both, camera=False, emg=True),
    }
    judge, found = published.Judge.default(), {}
    for true in (False, True):
        rows = published.score(predictors, clips, after=published.AFTER, judge=judge, true=true)
        found |= {f"{name}, true face" if true else name: row for name, row in rows.items()}
    return found


@dataclass(frozen=True, eq=False)
class _Real:
    pairs: real_sequences.Figure
    scores: real_sequences.Scores

    def at(self, end: str, lead: int) -> real_sequences.Figure:
        return real_sequences.figure(self.scores.at(end, lead))


def _real(data: Path) -> _Real:
    motion = MotionAnticipator.default()
    scores = real_sequences.evaluate(series(data), motion.stream)
    return _Real(real_sequences.evaluate_pairs(motion.stream, data), scores)


def _figures(timed: Mapping[str, _Timed], rows: Mapping[str, published.Row], real: _Real | None) -> dict[str, float]:
    found = {f"asynchrony_{name}_ms": one.asynchrony_ms for name, one in timed.items()}
    found |= {f"median_lag_{name}_ms": float(np.median(one.late_ms)) for name, one in timed.items()}
    found |= {
        f"arrival_asynchrony_{name}_ms": float(np.nanmedian(np.abs(one.arrival_ms))) for name, one in timed.items()
    }
    found |= {f"missed_{name}": float(np.isinf(one.late_ms).mean()) for name, one in timed.items()}
    found |= {f"face_error_{name}_mm": float(one.error_mm.mean()) for name, one in timed.items()}
    ours = timed["emg_camera"], timed["camera"]
    found |= {"false_starts_per_min": ours[0].false_per_min, "false_starts_per_min_camera": ours[1].false_per_min}
    found |= {f"false_starts_per_min_{name}": timed[name].false_per_min for name in ("mimicry", "emg", "oracle")}
    for name, row in rows.items():
        own, _, kind = name.partition(", ")
        tail = "_".join(filter(None, ("" if own == "emg_camera" else own.replace(" ", "_"), kind.replace(" ", "_"))))
        tail = f"_{tail}" if tail else ""
        copied = rows["mimicry at peak" + (f", {kind}" if kind else "")]
        newest = rows["mimicry" + (f", {kind}" if kind else "")]
        found[f"error_ratio_to_mimicry{tail}"] = row.against(copied)["ratio"]
        found[f"p_against_mimicry{tail}"] = row.against(copied)["p_paired"]
        found[f"error_ratio_to_newest{tail}"] = row.against(newest)["ratio"]
        scores = row.figures
        found |= {f"command_accuracy{tail}": scores["accuracy"], f"ppv{tail}": scores["ppv"]}
        found[f"sensitivity{tail}"] = scores["sensitivity"]
    if real is not None:
        found["real_pairs_ratio_to_copy"] = real.pairs.ratio
        for lead, named in ((5, "200ms"), (10, "400ms")):
            found[f"real_sequences_ratio_to_copy_{named}"] = real.at("arrival", lead).ratio
            found[f"real_sequences_ratio_to_copy_{named}_by_event"] = real_sequences.figure(
                real.scores.at("arrival", lead), pooled=True
            ).ratio
            found[f"real_sequences_ratio_to_copy_{named}_maximum"] = real.at("apex", lead).ratio
        found["real_sequences_lead_ms"] = real_sequences.lead_ms(real.scores, "arrival")
    return found


def _findings(timed: Mapping[str, _Timed], rows: Mapping[str, published.Row], real: _Real | None) -> Iterator[Finding]:
    for name, (topic, what) in _TIMED.items():
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
    for name in ("mimicry", "camera", "emg_camera", "emg", "oracle"):
        yield Finding(
            topic="false starts", what=name.replace("_", " + "), ours=timed[name].false_per_min, unit="per min"
        )
    for name, row in rows.items():
        kind = ", true face" if name.endswith("true face") else ""
        scores, peak = row.figures, row.against(rows["mimicry at peak" + kind])
        newest, what = row.against(rows["mimicry" + kind]), name.replace("_", " + ")
        yield Finding(
            topic="target face",
            what=what,
            ours=scores["mean_mm"],
            low=scores["low_mm"],
            high=scores["high_mm"],
            unit="mm",
            verdict=f"{peak['ratio']:.2f} × mimicry (p {peak['p_paired']:.1g}), {newest['ratio']:.2f} × newest frame",
        )
    wanted = {"accuracy": 0.722, "ppv": 0.805, "sensitivity": 0.795}
    for name in ("paper", "camera", "emg_camera", "mimicry", "emg_camera, true face"):
        scores = rows[name].figures
        for key, theirs in wanted.items():
            yield Finding(
                topic="commands",
                what=f"{key}, {name.replace('_', ' + ')}",
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


def _notes(real: _Real | None) -> tuple[str, ...]:
    simulated = (
        "Apart: by how much the robot's rise to the apex has to be moved in time to lie over hers, median absolute; an "
        "expression that was not answered counts as infinitely late. The simpler difference of the moments at which "
        "both reach 90 % of what they hold is in arrival_asynchrony_…; holds wander, which makes it noisier.",
        "Pictures are known 80 ms after they were taken, EMG 20 ms after; both are typical, neither is measured here.",
        "Target faces are those that the camera sees, as in the paper; the trained watchers predict her true face, of "
        "which a tracker shows a part, so that this counts against them. Rows of the true face say how they do there. "
        "Mimicry is the paper's, the face at peak activation; the ratio to the newest of the nine frames is stricter.",
        "Few commands are activated in these expressions, about one in five (paper: 70 %), so that accuracy is cheap.",
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


__all__ = ["PEOPLE", "run"]
