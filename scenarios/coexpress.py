"""The main job, `duchenne coexpress`: a robot smiles with a person, not after her, beside one that mimics her.

The person is simulated, with a camera and electrodes, or filmed. Both robots are simulated and get the same pictures
and the same EMG, each when it would be known.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..learning.anticipation import Anticipator
from ..learning.expectation import Copying, Watcher
from ..learning.self_model import SelfModel
from ..sim.alignment import align
from ..sim.errors import InputError
from ..sim.person.behaviour import Act
from ..sim.person.encounter import EMG_HZ, meet
from ..sim.person.looks import LOOKS
from ..sim.person.person import Person
from ..sim.robot.face import CONTROL_PERIOD_S, RobotFace
from ..sim.robot.paint import skin_named
from ..twin.coexpress import Coexpressor
from ..twin.discretion import Discretion
from ..twin.retarget import Retarget
from ..twin.steering import Steering
from ..twin.timing import Mimicry
from . import console
from .coexpress_film import filmed
from .coexpress_report import write_results
from .coexpress_scene import CO_EXPRESSION, MIMICRY, Played, Scene, Story, portraits

SECONDS = 12.0
LONGEST_S = 60.0
ACTS = (
    Act(what="smile", onset_s=1.8, hold_s=0.8, intensity=0.65),
    Act(what="surprise", onset_s=4.7, hold_s=0.8, intensity=0.7),
    Act(what="smile", onset_s=7.6, hold_s=0.8, intensity=0.65, kind="spontaneous"),
)
"""What the simulated person does; her own habits decide the rest."""


def run(
    out: Path,
    *,
    person: int = 17,
    video: str | None = None,
    montage: str | None = "proximal7",
    seconds: float = SECONDS,
    seed: int = 1,
    model: Path | None = None,
    skin: str = "porcelain",
    render: bool = True,
    as_json: bool = False,
) -> int:
    """Play person and robots and write the results to `out`; see `duchenne coexpress --help`. Returns the exit code.

    video: a film of somebody, or a camera's number; None takes the simulated person of that number. montage: what
    she wears; None for no electrodes. model: an anticipator's checkpoint; None takes the shipped one. Raises
    `DuchenneError`.
    """
    skin_named(skin)  # a misspelt name must not cost a run
    if not 1.0 <= seconds <= LONGEST_S:
        raise InputError(f"--seconds: got {seconds:g}; allowed are 1 … {LONGEST_S:g}")
    started = time.perf_counter()
    worn = montage if video is None else None
    anticipator = Anticipator.load(model) if model else Anticipator.default(worn)
    scene = simulated(person, montage, seconds, seed) if video is None else filmed(video, seconds)
    story = perform(scene, anticipator.stream())
    written = write_results(story, out, skin=skin, render=render)
    figures = story.figures() | {"wall_s": time.perf_counter() - started}
    _tell(story, figures, written)
    if as_json:
        console.emit(figures, source=scene.source, files=written, notes=scene.notes)
    return 0


def simulated(number: int, montage: str | None, seconds: float, seed: int = 1) -> Scene:
    """A simulated person who smiles, is surprised and smiles again, as far as the time allows."""
    acts = [act for act in ACTS if act.onset_s + 1.5 < seconds]
    if not acts:
        raise InputError(f"--seconds: got {seconds:g}; her first smile needs {ACTS[0].onset_s + 1.6:g}")
    with console.console.status("meeting her"):
        someone = Person.sample(number)
        met = meet(someone, montage=montage, seed=seed, seconds=seconds, acts=acts)
    rest_m, look = np.asarray(someone.face.rest), tuple(LOOKS)[number % len(LOOKS)]
    return Scene(
        source=f"simulated person {number}",
        senses=f"a camera of {1 / CONTROL_PERIOD_S:.0f} pictures a second"
        + (f" and the electrodes {montage}" if montage else ""),
        times_s=met.times_s,
        seen=list(met.seen_m),
        face_m=met.truth_m,
        mesh_m=met.vertices_m,
        camera_delay_s=met.camera_delay_s,
        emg_uv=met.emg_uv,
        emg_delay_s=met.emg_delay_s,
        channels=met.channels,
        acts=met.acts,
        draw=lambda frames, size_px: portraits(met.vertices_m[list(frames)], rest_m, look, size_px),
    )


def perform(scene: Scene, watcher: Watcher) -> Story:
    """Let both robots play beside her: one with a watcher that anticipates her, one that mimics."""
    model = SelfModel.default()
    still = Retarget(np.zeros_like(model.rest_m), model.rest_m, model.low_m, model.high_m)
    with console.console.status("waking the robots"):
        coexpressors = {
            CO_EXPRESSION: Coexpressor(Steering(model), watcher),
            MIMICRY: Coexpressor(Steering(model), Copying(), timing=Mimicry(), discretion=Discretion.mirror_all()),
        }
    with console.progress() as bar:
        task = bar.add_task("the robots play", total=len(coexpressors) * _ticks(scene))
        robots = {name: play(scene, name, one, lambda: bar.advance(task)) for name, one in coexpressors.items()}
    return Story(scene, robots, lambda face_m: still(face_m) - model.rest_m)


def play(scene: Scene, name: str, coexpressor: Coexpressor, tick: Callable[[], object] = lambda: None) -> Played:
    """One robot beside her, from rest, at 25 Hz."""
    robot, watcher, robot_rest_m = RobotFace(), coexpressor.watcher, coexpressor.steering.model.rest_m
    state = robot.state()
    rest_m = align(state.vertices_m)
    rows, shown, heard_s = [], 0, 0.0
    for now_s in CONTROL_PERIOD_S * np.arange(_ticks(scene)):
        while shown < len(scene.times_s) and scene.times_s[shown] + scene.camera_delay_s <= now_s + 1e-9:
            watcher.see(float(scene.times_s[shown]), scene.seen[shown])
            shown += 1
        fresh = scene.heard(heard_s, now_s - scene.emg_delay_s)
        if len(fresh):
            heard_s += len(fresh) / EMG_HZ
            watcher.hear(heard_s, fresh)
        begun = time.perf_counter()
        command = coexpressor.step(float(now_s))
        spent_ms = 1e3 * (time.perf_counter() - begun)
        moved_m = align(state.vertices_m) - rest_m
        looks = state.vertices_m, state.head_pose, state.gaze_rad, moved_m
        rows.append((now_s, command, *looks, spent_ms, coexpressor.wanted_m - robot_rest_m, coexpressor.expected))
        state = robot.step(command)
        tick()
    times, commands, vertices, poses, gazes, moved, spent, wanted, expected = zip(*rows, strict=True)
    return Played(
        name=name, times_s=np.array(times), commands=np.array(commands), vertices_m=np.array(vertices),
        head_pose=np.array(poses), gaze_rad=np.array(gazes), motion_m=np.array(moved), step_ms=np.array(spent),
        wanted_m=np.array(wanted), expected=expected,
    )  # fmt: skip


def _ticks(scene: Scene) -> int:
    return int(scene.duration_s / CONTROL_PERIOD_S) + 1


def _tell(story: Story, figures: dict[str, float], written: dict[str, Path]) -> None:
    rows = []
    for act in story.scene.acts:
        with_her, late = story.timing(CO_EXPRESSION, act), story.timing(MIMICRY, act)
        offs = [f"{1e3 * t.asynchrony_s:+.0f}" for t in (with_her, late)]
        rows.append([f"{act.what}, {act.arrival_s:.1f} s", *offs, with_her.error_mm, late.error_mm])
    console.table(
        f"{story.scene.source}: arrival after hers, ms, and error, mm",
        ["expression", "co-expression", "mimicry", "error, co-expression", "error, mimicry"],
        rows,
    )
    console.table("figures", ["", ""], [(n.replace("_", " "), v) for n, v in figures.items()])
    for note in story.scene.notes:
        console.console.print(note, soft_wrap=True, highlight=False, style="dim")
    for name, path in written.items():
        console.console.print(f"{name:>10}  {path}", soft_wrap=True, highlight=False)


__all__ = ["ACTS", "LONGEST_S", "SECONDS", "perform", "play", "run", "simulated"]
