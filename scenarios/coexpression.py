"""`duchenne study coexpression`: does the robot smile with her, or after her? The published evaluation, and beyond it.

Simulated people never met before (`coexpression_people`, `coexpression_trials`), the paper's own protocol on their
expressions (`coexpression_paper`), and real faces that nothing was trained on (`real_sequences`). Published numbers are
those of Human-robot facial coexpression.
"""

from collections.abc import Mapping
from functools import cache
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
from .coexpression_results import SEEN, TIMED, Real, Timed, figures, findings, notes
from .coexpression_study_picture import draw
from .real_faces import series
from .study import Kept, Study, each, folder, publish

Array = NDArray[np.floating]

PEOPLE, SECONDS = 10, 40.0
PROTOCOL, PROTOCOL_TIME = 3, 1.5
"""The published evaluation meets so many times as many people for so many times as long: it needs no robot, and the
paper judged 2354 commands."""
PAPER_PEOPLE = 40
"""So many people teach the published network; hundreds have taught the shipped ones."""


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
    if not 2 <= count <= 33:
        raise InputError(f"people: got {count}; allowed are 2 … 33")
    kept = Kept(folder(out) / "kept", revision=5)
    paper, folds = _paper(kept, out / "kept" / f"paper-{seed}-{paper_people}.npz", seed, paper_people)
    made = each(
        "people",
        range(count),
        lambda k: kept.get(f"person-{k}", {"seed": seed, "s": seconds}, lambda: keep_company(k, seed, seconds, paper)),
    )
    timed = {name: Timed.of(made, name) for name in TIMED}
    rows = _protocol(paper, PROTOCOL * count, seed, PROTOCOL_TIME * seconds)
    real = None if data is None else _real(data)
    shown = Study(
        title="Co-expression: with her, not after her",
        summary=f"{count} simulated people never trained on, {timed['oracle'].acts} expressions; the robot simulated.",
        figures=figures(timed, rows, folds, real),
        findings=list(findings(timed, rows, folds, real)),
        pictures=draw(timed, rows, real, out),
        notes=notes(real),
    )
    return publish(shown, out, as_json=as_json)


def _paper(kept: Kept, path: Path, seed: int, people: int) -> tuple[PaperAnticipator, Mapping[str, Array]]:
    """The published network, taught once, and its cross-validation by clip and by person, (paper, newest, peak) mm."""

    @cache
    def clips() -> published.Clips:
        with console.progress() as bar:
            task = bar.add_task("people for the published network", total=people)
            return published.meet_all(
                range(people), keep=False, told=lambda done, total: bar.update(task, completed=done, total=total)
            )

    def validated() -> Mapping[str, Array]:
        with console.progress() as bar:
            task, found = bar.add_task("cross-validation of the published network", total=2), {}
            for name in ("clip", "person"):
                one = published.cross_validate(clips(), by_person=name == "person", seed=seed)
                found[name] = np.array([one.paper_mm, one.newest_mm, one.peak_mm])
                bar.advance(task)
        return found

    if not path.is_file():
        published.learn(clips(), seed).save(path)
    return PaperAnticipator.load(path), kept.get("folds", {"seed": seed, "people": people}, validated)


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
    for true in (True, False):
        rows = published.score(predictors, clips, after=published.AFTER, judge=judge, true=true)
        found |= {name if true else f"{name}{SEEN}": row for name, row in rows.items()}
    return found


def _real(data: Path) -> Real:
    motion = MotionAnticipator.default()
    scores = real_sequences.evaluate(series(data), motion.stream)
    return Real(real_sequences.evaluate_pairs(motion.stream, data), scores)


__all__ = ["PEOPLE", "run"]
