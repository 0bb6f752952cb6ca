"""One row of the table of faults: what goes wrong, what must come of it, and the program that finds out.

A fault is survived if the row's outcome came, with its one error, and `fault_judge` found nothing else wrong.
"""

import contextlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from ..hardware.guard_limits import Limits
from ..sim.errors import BusError, CommandRejected
from . import fault_judge
from .fault_trial import BusKind, Client, Trial

Act = Callable[[Trial], object]

_BEFORE_S, _AFTER_S = 0.28, 0.6
_STOPS_WITHIN_S, _ARMS_WITHIN_S = 3.0, 3.0
_LIMP_WITHIN_S = 1.5


class Outcome(StrEnum):
    """What a fault must come to."""

    GOES_ON = "goes on"
    STOPS = "stops, limp, armed again"
    REFUSED = "not opened"
    REJECTED = "command rejected"
    OWN = "own program, as said"
    LIMP = "face limp"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A fault. Names are unique on each bus.

    says: pattern that the one error (or, where all goes on, an event) must hold. act: makes the fault. cure: what
    the owner does afterwards, beside mending it. world, bus: options of the emulator and of the bus. limp: the servos
    can hear that they are to relax. lies: see `fault_judge.problems`.
    """

    name: str
    outcome: Outcome
    act: Act
    says: str = ""
    cure: Act = lambda trial: None
    world: Mapping[str, Any] = field(default_factory=dict)
    bus: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits | None = None
    limp: bool = True
    lies: tuple[str, ...] = ()
    log_is_cut: bool = False


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a case. happened: in words; problems: why it was not survived, none if it was."""

    case: Case
    happened: str
    problems: tuple[str, ...]
    slowest_s: float
    stalled_s: float
    """By how much the machine woke the program too late, at worst."""
    stop_s: float = np.nan
    """From the fault to the stop."""
    lost_s: float = np.nan
    """What a killed program's log lacks at its end."""

    @property
    def survived(self) -> bool:
        return not self.problems


def run_case(kind: BusKind, case: Case, motion: np.ndarray, folder: Path) -> Result:
    """Have one fault, and judge. motion: goals, (n, 26), one each control period; folder: empty, for logs."""
    with kind.emulator(**case.world) as emulator:
        trial = Trial(kind, emulator, motion, folder, case.bus)
        trial.limits = case.limits or trial.limits
        try:
            happened, more = _SCRIPTS[case.outcome](trial, case)
        finally:
            trial.close()
        try:
            if not trial.wait_until_limp(0.3):
                trial.problems.append("servos have torque at the end")
            problems = fault_judge.problems(trial, lies=case.lies, log_is_cut=case.log_is_cut)
        finally:
            if trial.emulator is not emulator:
                trial.emulator.close()
    seconds = {"slowest_s": trial.slowest_s, "stalled_s": trial.stalled_s, **more}
    return Result(case=case, happened=happened, problems=tuple(problems), **seconds)


def reopen(trial: Trial) -> None:
    """Close the bus and open it again, with all that this takes; a cure."""
    if trial.robot is not None:
        trial.call(trial.robot.close)
    _open(trial)


def _goes_on(trial: Trial, case: Case) -> tuple[str, dict[str, float]]:
    if not _begins(trial):
        return "was not opened", {}
    trial.play(_BEFORE_S)
    case.act(trial)
    trial.play(_AFTER_S)
    _still_plays(trial)
    told = [str(error) for error in trial.errors] + [
        f"{e.what} {e.rule}: {e.message}" for _, e in trial.events if e.what != "rearm"
    ]
    if case.says and not any(re.search(case.says, words) for words in told):
        trial.problems.append(f"nobody was told of {case.says!r}")
    if not case.says and len(trial.errors) > 1:
        trial.problems.append(f"{len(trial.errors)} errors where nobody need notice")
    return "went on" + (f"; told: {_brief(told[0])}" if told else ", nothing to tell"), {}


def _stops(trial: Trial, case: Case) -> tuple[str, dict[str, float]]:
    if not _begins(trial) or trial.robot is None:
        return "was not opened", {}
    trial.play(_BEFORE_S)
    began_s = time.monotonic()
    case.act(trial)
    trial.play(_STOPS_WITHIN_S)
    if (why := trial.robot.stopped) is None:
        trial.problems.append("was not stopped")
        return "went on", {}
    if not re.search(case.says, why):
        trial.problems.append(f"the error does not speak of {case.says!r}")
    stop_s = next(when for when, event in trial.events if event.what == "stop") - began_s
    _takes_no_command(trial)
    if case.limp and not trial.wait_until_limp(0.5):
        trial.problems.append("is stopped but not limp")
    _mend(trial, case)
    errors = len(trial.errors)
    until_s = time.monotonic() + _ARMS_WITHIN_S
    while trial.robot.stopped is not None and time.monotonic() < until_s:
        trial.call(trial.robot.rearm)
        time.sleep(0.02)
    del trial.errors[errors:]
    stops = sum(event.what == "stop" and event.rule != "closed" for _, event in trial.events)
    if stops != 1:
        trial.problems.append(f"{stops} stops for one fault")
    trial.play(_AFTER_S)
    _still_plays(trial)
    return f"{stop_s:.2f} s: {_brief(why)}", {"stop_s": stop_s}


def _refused(trial: Trial, case: Case) -> tuple[str, dict[str, float]]:
    case.act(trial)
    errors = len(trial.errors)
    if trial.open():
        trial.problems.append("was opened")
        return "was opened", {}
    said = [str(error) for error in trial.errors[errors:]]
    if len(said) != 1:
        trial.problems.append(f"{len(said)} errors for one fault")
    if not re.search(case.says, said[0]):
        trial.problems.append(f"the error does not speak of {case.says!r}")
    if trial.look().get("torque", np.zeros(1)).any():
        trial.problems.append("torque came on")
    _mend(trial, case)
    if trial.robot is None and not _open(trial):
        return f"{_brief(said[0])}; and was not opened afterwards", {}
    trial.play(_AFTER_S)
    _still_plays(trial)
    return _brief(said[0]), {}


def _rejected(trial: Trial, case: Case) -> tuple[str, dict[str, float]]:
    if not _begins(trial):
        return "was not opened", {}
    trial.play(_BEFORE_S)
    errors = len(trial.errors)
    case.act(trial)
    said = trial.errors[errors:]
    if len(said) != 1 or not isinstance(said[0], CommandRejected) or said[0].rule != case.says:
        trial.problems.append(f"was not rejected once by {case.says!r}: {said}")
    trial.play(_AFTER_S)
    _still_plays(trial)
    return _brief(str(said[0])) if said else "passed", {}


def _limp(trial: Trial, case: Case) -> tuple[str, dict[str, float]]:
    """The fault happens to a program of its own, `trial.client`."""
    with Client(trial) as client:
        trial.client = client
        time.sleep(_AFTER_S)
        trial.look()
        case.act(trial)
        began_s = time.monotonic()
        if not trial.wait_until_limp(_LIMP_WITHIN_S):
            trial.problems.append("the face is not limp")
        limp_s = time.monotonic() - began_s
    lost_s, wrong = fault_judge.lost_at_the_end(trial, client.log_path)
    trial.problems += wrong
    time.sleep(0.2)
    if _open(trial):
        trial.play(_AFTER_S)
        _still_plays(trial)
    return f"limp after {limp_s:.2f} s, log lacks {lost_s:.2f} s; opened again", {"lost_s": lost_s}


def _own(trial: Trial, case: Case) -> tuple[str, dict[str, float]]:
    """As `_limp`, but the program says itself what came of it."""
    with Client(trial) as client:
        trial.client = client
        case.act(trial)
        said = client.end()
    if not re.search(case.says, said):
        trial.problems.append(f"the program said {said!r}, not {case.says!r}")
    if _open(trial):
        trial.play(_AFTER_S)
        _still_plays(trial)
    return _brief(said), {}


def _mend(trial: Trial, case: Case) -> None:
    trial.look()
    trial.mend.close()
    with contextlib.suppress(BusError):  # it may be dead
        trial.emulator.heal()
    case.cure(trial)


def _begins(trial: Trial) -> bool:
    """Open a bus that is well; where that fails the machine is too busy, and the trial has not begun."""
    if not (begun := _open(trial)):
        trial.stalled_s = np.inf
    return begun


def _open(trial: Trial) -> bool:
    if trial.open():
        return True
    trial.problems.append(f"was not opened: {trial.errors[-1:]}")
    return False


def _still_plays(trial: Trial) -> None:
    if trial.robot is not None and trial.robot.stopped is not None:
        trial.problems.append(f"was stopped: {trial.robot.stopped}")
    elif trial.robot is not None and not trial.robot.is_alive:
        trial.problems.append("is not alive")


def _takes_no_command(trial: Trial) -> None:
    assert trial.robot is not None
    try:
        trial.robot.send(trial.robot.last)
    except CommandRejected as error:
        if error.rule == "stopped":
            return
    trial.problems.append("took a command although it was stopped")


def _brief(words: str) -> str:
    """The first words of an error, without the port's name."""
    short = re.sub(r"/tmp/\S*/port(\.\w+)?:? ?", "", " ".join(words.split()))
    return short if len(short) <= 90 else f"{short[:88]} …"


_SCRIPTS: Mapping[Outcome, Callable[[Trial, Case], tuple[str, dict[str, float]]]] = {
    Outcome.GOES_ON: _goes_on,
    Outcome.STOPS: _stops,
    Outcome.REFUSED: _refused,
    Outcome.REJECTED: _rejected,
    Outcome.LIMP: _limp,
    Outcome.OWN: _own,
}

__all__ = ["Act", "Case", "Outcome", "Result", "reopen", "run_case"]
