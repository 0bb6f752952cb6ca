"""`duchenne replay`: the commands of a log once more, into a simulated, an emulated or a real face."""

from pathlib import Path

import numpy as np

from ..sim.errors import InputError
from ..sim.robot.servo import REST_COMMAND, SERVO_NAMES
from ..twin.calibration import Calibration
from ..twin.log import Log
from ..twin.log_entries import Command
from ..twin.session import Session, free_path
from . import console

SAME = 1e-6
"""Commands that differ by less are the same."""


def run(
    path: Path,
    where: str,
    out: Path,
    *,
    calibration: Path | None = None,
    as_json: bool = False,
) -> int:
    """Send what a log says was sent, at its times; see `duchenne replay --help`. Returns the exit code.

    A bus rounds commands to its ticks, which may lead out of the safe set by as much; the nearest safe ones are sent. A
    command that the face's rules do not let pass at once, since a bus is never exactly as quick as another, is gone
    to as far as they let it. Raises `DuchenneError`; what was replayed by then is in the new log.
    """
    log = Log(path)
    rows = commands(log)
    if not rows:
        raise InputError(f"{path} holds no commands that were sent; replay a log of `duchenne mirror --robot …`")
    written = free_path(out, "replay")
    about = {"command": "replay", "log": str(path), "recorded_on": log.about.get("robot", "unknown")}
    known = None if calibration is None else Calibration.load(calibration)
    differences = []
    with Session.open(where, written, about=about, calibration=known) as session:
        start_s, first = rows[0]
        session.begin()
        guard = session.face.guard
        safe = guard.safe_set.project
        step = guard.limits.rate_per_s * session.face.period_s
        if (np.abs(first - session.face.last) > step).any():
            session.glide(safe(first))
        session.begin()
        with console.progress() as bar:
            task = bar.add_task("replaying", total=len(rows))
            for time_s, command in rows:
                session.until(time_s - start_s)
                differences.append(np.abs(session.step(safe(command), exactly=True) - command))
                bar.advance(task)
        session.glide(REST_COMMAND)
    figures = _figures(np.array(differences), rows[-1][0] - start_s, complete=log.complete)
    shown = [(name.replace("_", " "), value) for name, value in figures.items()]
    console.table(f"{path.name}, replayed on {where}", ["", ""], shown)
    worst = SERVO_NAMES[int(np.argmax(np.max(differences, axis=0)))]
    console.console.print(f"     worst  {worst}\n       log  {written}", soft_wrap=True, highlight=False)
    if as_json:
        console.emit(figures, source=str(path), robot=where, log=str(written))
    return 0


def commands(log: Log) -> list[tuple[float, np.ndarray]]:
    """What was really sent, (26,), and when; without those that came at the same time as the one before."""
    rows: list[tuple[float, np.ndarray]] = []
    for entry in log.only(Command):
        if entry.what.sent is not None and (not rows or entry.time_s > rows[-1][0]):
            rows.append((entry.time_s, np.clip(entry.what.sent, 0.0, 1.0)))
    return rows


def _figures(differences: np.ndarray, seconds: float, *, complete: bool) -> dict[str, float]:
    return {
        "commands": len(differences),
        "seconds": seconds,
        "same_fraction": float((differences.max(1) <= SAME).mean()),
        "largest_difference": float(differences.max()),
        "log_complete": float(complete),
    }


__all__ = ["SAME", "commands", "run"]
