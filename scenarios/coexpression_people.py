"""The simulated half of `study coexpression`: people never met before, every controller and every view of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..learning.anticipation import Anticipator
from ..learning.expectation import Copying, Watcher
from ..learning.paper_anticipation import PaperAnticipator
from ..learning.self_model import SelfModel
from ..sim.person.encounter import Encounter, meet
from ..sim.person.person import Person
from ..sim.robot.limits import SafeSet
from ..twin.coexpress import Coexpressor, Knowing
from ..twin.discretion import Discretion
from ..twin.refine import Refiner
from ..twin.retarget import Retarget
from ..twin.steering import Steering
from ..twin.timing import Mimicry, OneShot, Timing
from .coexpression_trials import company, false_starts, perform, pictures, robot_faces

Array = NDArray[np.floating]

FIRST_PERSON = 1000
"""People from this number on have never been trained on."""
MONTAGES = ("proximal7", "epidermal10", "distal4")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One way to keep company: a name, the watcher and when it acts, what the camera sees and what she wears."""

    name: str
    watcher: Callable[[Encounter], Watcher]
    timing: Callable[[], Timing] | None = None
    view: str = "clear"
    montage: str = MONTAGES[0]
    listens: bool = False


def trials(paper: PaperAnticipator) -> tuple[Trial, ...]:
    """All of them: baselines, every sense in a clear view, then what is left when the camera fails."""
    camera = Anticipator.default().stream
    both = {name: Anticipator.default(name).stream for name in MONTAGES}

    def wearing(name: str, montage: str, view: str) -> Trial:
        return Trial(name=name, watcher=lambda _: both[montage](), view=view, montage=montage, listens=True)

    return (
        Trial(name="mimicry", watcher=lambda _: Copying(), timing=Mimicry),
        Trial(name="paper", watcher=lambda _: paper.stream(), timing=OneShot),
        Trial(name="camera", watcher=lambda _: camera()),
        wearing("emg_camera", "proximal7", "clear"),
        wearing("emg_camera_epidermal10", "epidermal10", "clear"),
        wearing("emg_camera_distal4", "distal4", "clear"),
        wearing("emg", "proximal7", "covered"),
        wearing("emg_epidermal10", "epidermal10", "covered"),
        wearing("emg_distal4", "distal4", "covered"),
        *(Trial(name=f"camera_{view}", watcher=lambda _: camera(), view=view) for view in ("mask", "dark", "side")),
        *(wearing(f"emg_camera_{view}", "proximal7", view) for view in ("mask", "dark", "side")),
        Trial(name="oracle", watcher=lambda met: Knowing(met.times_s, met.truth_m)),
    )


def keep_company(number: int, seed: int, seconds: float, paper: PaperAnticipator) -> Mapping[str, Array]:
    """Every trial with one person: `NAME` (acts, 4) as `Company` has it, `NAME false` (2,) starts and seconds."""
    who = FIRST_PERSON + 100 * seed + number
    met = {
        name: meet(Person.sample(who), montage=name, seed=who, seconds=seconds, wearing_sd_mm=2.0) for name in MONTAGES
    }
    every, commands = trials(paper), []
    for trial in every:
        seen = pictures(met[trial.montage], trial.view, np.random.default_rng([who, 1]))
        timing = None if trial.timing is None else trial.timing()
        coexpressor = _controller(trial.watcher(met[trial.montage]), timing)
        commands.append(perform(met[trial.montage], coexpressor, seen, listens=trial.listens))
    wanted_m = Retarget.of_motion(_robot()[0])(met[MONTAGES[0]].truth_m)
    found: dict[str, Array] = {}
    shown_m = robot_faces(commands)
    for trial, robot_m in zip(every, shown_m, strict=True):
        one = met[trial.montage]
        acts = [company(one, act, robot_m, wanted_m) for act in one.acts]
        found[trial.name] = np.array([(a.late_s, a.arrival_s, a.share, a.error_m) for a in acts]).reshape(-1, 4)
        found[f"{trial.name} false"] = np.array(false_starts(one, robot_m, shown_m[-1]))
    return found


def _controller(watcher: Watcher, timing: Timing | None) -> Coexpressor:
    model, refiner, safe_set = _robot()
    steering = Steering(model, refiner=refiner, safe_set=safe_set)
    return Coexpressor(steering, watcher, timing=timing, discretion=Discretion.mirror_all())


@cache
def _robot() -> tuple[SelfModel, Refiner, SafeSet]:
    safe_set = SafeSet.default()
    return SelfModel.default(), Refiner.default(safe_set), safe_set


__all__ = ["FIRST_PERSON", "MONTAGES", "Trial", "keep_company", "trials"]
