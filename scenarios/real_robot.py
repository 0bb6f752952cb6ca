"""`duchenne study real-robot`: a twin of the real Emo robot, calibrated from some rows, predicts rows it never saw.

214 rows of 11 commands and 468 landmarks; beside the twin regressions on the same rows. Every setting of every method
is chosen within its training rows.
"""

import csv
from pathlib import Path

from ..learning.robot_twin import PhysicsTwin, RobotTwin
from ..learning.robot_twin_fields import ROLES, SERVOS
from ..sim.errors import InputError
from .real_robot_picture import NAMES, TITLES, draw
from .real_robot_scores import FEW, PAIRS, Rows, beyond, few_rows, new_clips, told
from .study import Finding, Study, folder, publish


def run(out: Path, *, data: Path | None = None, seed: int = 0, as_json: bool = False) -> int:
    """Do the study, write report.html, findings.json, parameters.csv and pictures into `out`. Returns the exit code.

    data: the folder of real recordings. seed: of folds and draws. Raises `InputError` where the rows are missing.
    """
    if data is None:
        raise InputError("the study needs the real robot's rows; name the folder of real recordings with --data")
    rows, out = Rows.load(Path(data) / "emo_robot" / "emo_motor_landmarks.npz"), folder(Path(out))
    scores = {"": new_clips(rows, seed), f"_{FEW}_rows": few_rows(rows, seed), "_beyond": beyond(rows)}
    shuffled = new_clips(rows.shuffled(seed), seed, ("ridge", "twin"))
    whole = rows.commands, rows.faces_cm, rows.clips
    physics, twin = PhysicsTwin().fit(*whole), RobotTwin().fit(*whole)
    _write_parameters(physics, twin, out / "parameters.csv")
    figures = told(scores) | {
        "r2_ridge_shuffled": shuffled.r2("ridge"),
        "r2_twin_shuffled": shuffled.r2("twin"),
        "r2_ceiling": rows.ceiling(),
        "rows": float(len(rows.clips)),
        "parameters": float(physics.n_parameters_),
        "parameters_twin": float(twin.n_parameters_),
    }
    return publish(
        Study(
            title="The real robot and its twin",
            summary=f"{len(rows.clips)} rows of the Emo robot (Hu et al. 2024), 11 commands and 468 landmarks each.",
            figures=figures,
            findings=_findings(figures),
            pictures=draw(rows, scores, figures, out),
            notes=_notes(figures),
        ),
        out,
        as_json=as_json,
    )


def _write_parameters(physics: PhysicsTwin, twin: RobotTwin, path: Path) -> None:
    """Every number of both twins, fitted to all rows: name, value, unit."""
    counterparts = [f"{servo}, as the simulation's {name}" for servo, names in ROLES.items() for name in names]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("model", "parameter", "value", "unit"))
        table.writerows(("physics", name, f"{value:.4f}", "mm") for name, value in physics.strokes_mm_.items())
        table.writerow(("physics", "stiffness", f"{physics.stiffness_:.4f}", "1"))
        table.writerows(
            ("twin", name, f"{gain:.4f}", "1") for name, gain in zip(counterparts, twin.gains_, strict=True)
        )
        table.writerow(("twin", "size of a typical gain", f"{twin.gain_size_:.4f}", "1"))
        for where, process in (("above", twin.upper_), ("below", twin.lower_)):
            lengths = zip(SERVOS, process.lengths_, strict=True)
            table.writerows(
                ("twin", f"{servo}, length {where}", f"{length:.4f}", "travel") for servo, length in lengths
            )
            table.writerow(("twin", f"amplitude {where}", f"{process.amplitude_:.4f}", "1"))
            table.writerow(("twin", f"noise {where}", f"{process.noise_:.4f}", "1"))


def _findings(figures: dict[str, float]) -> list[Finding]:
    found = []
    for ending, topic in TITLES.items():
        for model, name in NAMES.items():
            what = f"r2_{model}{ending}"
            found.append(_finding(topic, f"R², {name}".replace("\n", " "), what, figures))
        for one, other in PAIRS:
            name = f"r2_{one}_less_{other}{ending}"
            low, high = figures[f"{name}_low"], figures[f"{name}_high"]
            verdict = "better" if low > 0 else "worse" if high < 0 else "no difference shown"
            words = f"{NAMES[one]} less {NAMES[other]}".replace("\n", " ")
            found.append(_finding(topic, words, name, figures, verdict))
    bounds = {
        "R², ridge, commands shuffled": "r2_ridge_shuffled",
        "R², twin, commands shuffled": "r2_twin_shuffled",
        "R², ceiling: one command that was given twice": "r2_ceiling",
    }
    found += [Finding(topic="bounds", what=what, ours=figures[name], real=True) for what, name in bounds.items()]
    return found


def _finding(topic: str, what: str, name: str, figures: dict[str, float], verdict: str = "") -> Finding:
    return Finding(
        topic=topic, what=what, ours=figures[name], low=figures[f"{name}_low"], high=figures[f"{name}_high"],
        verdict=verdict, real=True,
    )  # fmt: skip


def _notes(figures: dict[str, float]) -> list[str]:
    return [
        "R² is pooled over all coordinates about the mean of the training rows: 0 is what the mean face scores. "
        f"Intervals are bootstrapped over clips, over draws of {FEW} rows and over servos; draws share rows, so that "
        "theirs are too narrow for another robot.",
        "No setting saw a test row. But the makers of the twin had seen all rows: which parts it has was settled on "
        "them, after about fifty variants. Rows that nobody had seen may score some hundredths lower, for all models.",
        f"The physics has {figures['parameters']:.0f} numbers: strokes in mm by servo or pair of servos, place and "
        "direction, and their prior size; parameters.csv has them all. The face at rest is the mean of the rows set "
        "back. No landmark has a number of its own. Several strokes may stand in for one another: read them together.",
        "The physics sees through the tracker: MediaPipe's space of faces, learnt from 900 rendered faces of the "
        "simulated robot, holds .97 of the real robot's variance in 40 modes.",
        f"The twin has {figures['parameters_twin']:.0f} numbers: how much of the simulated robot's servos, as the "
        "tracker shows them, is in every real one, how large that is as a rule, and lengths, amplitude and noise of "
        "what is learnt of the rest, above and below the middle of the face. The same without the simulated robot "
        "stands beside it.",
        "Fields of the simulated robot have cosines of .6 to .9 with the real ones for the inner brow, lips, corners "
        "and jaw, and less than .35 for the lids and the outer brow.",
        "Strokes are no guide to commands where a servo hardly moved: mouth4 and mouth5 are at one end in most rows, "
        "and beyond that the physics fails. The twin shrinks what it has not seen.",
        "The ceiling comes from a single command that was given twice; it is rough.",
    ]


__all__ = ["run"]
