"""`duchenne study faults`: everything goes wrong on an emulated bus while a mirrored face plays, one fault at a time.

Judged from outside: by what the emulated servos were told and where they really were. `fault_table` has the faults,
`fault_case` the program that has them, `fault_judge` what must not be.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.table import Table

from ..learning.self_model import SelfModel
from ..sim.person.behaviour import Act
from ..sim.person.encounter import meet
from ..sim.person.person import Person
from ..sim.robot.face import CONTROL_PERIOD_S
from ..sim.robot.servo import index
from ..twin.steering import Steering
from . import console
from .fault_case import Case, Result, run_case
from .fault_table import TABLES
from .fault_trial import KINDS, prepare

_SECONDS = 4.0
_AGAIN = 2
_STALLED_S = 0.02
"""A machine that wakes a sleeping program so much too late is no fair judge of what comes in time."""
_SWAY, _SWAY_HZ = 0.3, 0.5


def run(*, seed: int = 0, out: Path | None = None, as_json: bool = False) -> int:
    """Have every fault, print what came of each, and the figures; 1 if any was not survived.

    A fault that was not survived while the machine itself stalled is had again, up to twice; figure `repeated`.

    out: folder that keeps the logs of all trials, which must not exist or be empty; None keeps none.
    """
    prepare()
    with tempfile.TemporaryDirectory() as scratch:
        results, repeated = _all_faults(mirrored_motion(seed), out or Path(scratch))
    figures = figures_of(results) | {"repeated": repeated}
    for kind, rows in results.items():
        _show(kind, rows)
    console.table("duchenne study faults", ["figure", ""], [(n.replace("_", " "), v) for n, v in figures.items()])
    if as_json:
        console.emit(figures)
    return int(figures["faults_survived"] < figures["faults_injected"])


def mirrored_motion(seed: int = 0) -> np.ndarray:
    """Goals, (n, 26), one each control period, of a robot that mirrors somebody who smiles and sways her head."""
    met = meet(Person.sample(seed), seed=seed, seconds=_SECONDS, acts=[Act(what="smile", onset_s=0.3)])
    steering = Steering(SelfModel.default())
    goals = np.array([steering.command(steering.model.rest_m + face) for face in met.truth_m])
    goals[:, index("neck_yaw")] += _SWAY * np.sin(2 * np.pi * _SWAY_HZ * CONTROL_PERIOD_S * np.arange(len(goals)))
    return np.array([steering.safe_set.project(goal) for goal in goals])


def figures_of(results: dict[str, list[Result]]) -> dict[str, float]:
    """Faults injected and survived on each bus (`dynamixel_…`, `maestro_…`) and on all, and the worst times."""
    figures: dict[str, float] = {}
    for kind, rows in results.items():
        figures[f"{kind}_faults_injected"] = len(rows)
        figures[f"{kind}_faults_survived"] = sum(result.survived for result in rows)
    every = [result for rows in results.values() for result in rows]
    return figures | {
        "faults_injected": len(every),
        "faults_survived": sum(result.survived for result in every),
        "slowest_call_s": max(result.slowest_s for result in every),
        "slowest_stop_s": _worst(result.stop_s for result in every),
        "kill_lost_s": _worst(result.lost_s for result in every),
    }


def fairly(kind: str, case: Case, motion: np.ndarray, folder: Path) -> tuple[Result, int]:
    """What came of a fault, and how often it was had again because the machine had stalled."""
    again = 0
    while True:
        here = folder / str(again)
        here.mkdir(parents=True)
        result = run_case(KINDS[kind], case, motion, here)
        if result.survived or result.stalled_s < _STALLED_S or again == _AGAIN:
            return result, again
        again += 1


def _all_faults(motion: np.ndarray, out: Path) -> tuple[dict[str, list[Result]], int]:
    results: dict[str, list[Result]] = {}
    repeated = 0
    with console.progress() as bar:
        task = bar.add_task("faults", total=sum(len(cases) for cases in TABLES.values()))
        for kind, cases in TABLES.items():
            results[kind] = []
            for number, case in enumerate(cases):
                bar.update(task, description=f"{kind}: {case.name}")
                result, again = fairly(kind, case, motion, out / f"{kind}_{number:02d}")
                results[kind].append(result)
                repeated += again
                bar.advance(task)
    return results, repeated


def _show(kind: str, rows: list[Result]) -> None:
    survived = sum(result.survived for result in rows)
    table = Table(
        title=f"{kind}: {survived} of {len(rows)} faults survived", title_justify="left", header_style="bold", box=None,
        pad_edge=False, padding=(0, 2, 0, 0),
    )  # fmt: skip
    for column in ("fault", "must", "did"):
        table.add_column(column, overflow="fold")
    for result in rows:
        did = result.happened if result.survived else f"NOT SURVIVED: {'; '.join(result.problems)} ({result.happened})"
        table.add_row(
            escape(result.case.name), result.case.outcome, escape(did), style=None if result.survived else "red"
        )
    console.console.print()
    console.console.print(table)


def _worst(values: Iterable[float]) -> float:
    """The largest that is known; NaN without any."""
    return max((value for value in values if np.isfinite(value)), default=np.nan)


__all__ = ["fairly", "figures_of", "mirrored_motion", "run"]
