"""The main job, `duchenne coexpress`: a robot smiles with a person, not after her, beside one that mimics her.

The person is simulated, with a camera and electrodes, or filmed, or there: before a camera, with EMG that comes over
LSL, or both. Both robots are simulated and get the same pictures and the same EMG, each when it would be known.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..learning.anticipation import Anticipator
from ..learning.expectation import Copying, Watcher
from ..learning.motion_anticipation import MotionWatcher
from ..learning.self_model import SelfModel
from ..sim.errors import InputError
from ..sim.frames import open_frames
from ..sim.person.behaviour import Act
from ..sim.person.encounter import meet
from ..sim.person.looks import LOOKS
from ..sim.person.person import Person
from ..sim.robot.face import CONTROL_PERIOD_S
from ..sim.robot.paint import skin_named
from ..twin.both_senses import BothSenses
from ..twin.coexpress import Coexpressor
from ..twin.discretion import Discretion
from ..twin.retarget import Retarget
from ..twin.steering import Steering
from ..twin.timing import Mimicry
from . import console
from .coexpress_film import filmed
from .coexpress_live import live, open_emg
from .coexpress_play import Follower, Player
from .coexpress_report import write_results
from .coexpress_scene import CO_EXPRESSION, MIMICRY, Played, Scene, Story, portraits
from .coexpress_told import Told

SECONDS = 12.0
LONGEST_S, LONGEST_LIVE_S = 60.0, 300.0
MONTAGE = "proximal7"
ACTS = (
    Act(what="smile", onset_s=1.8, hold_s=0.8, intensity=0.9),
    Act(what="surprise", onset_s=4.7, hold_s=0.8, intensity=0.7),
    Act(what="smile", onset_s=7.6, hold_s=0.8, intensity=0.8, kind="spontaneous"),
)
"""What the simulated person does; her own habits decide the rest."""


@dataclass(frozen=True, kw_only=True)
class Who:
    """Who is in front of the robot: a film, a camera and an EMG stream if any is named, else a simulated person.

    video: a file. camera: a number. emg: "lsl" or "lsl:NAME". montage: electrodes worn, None for none. seed: of the
    simulated performance. Raises `InputError` for what does not go together.
    """

    person: int = 12
    video: str | None = None
    camera: int | None = None
    emg: str | None = None
    montage: str | None = MONTAGE
    seed: int = 3

    def __post_init__(self) -> None:
        if self.video is not None and (self.camera is not None or self.emg is not None):
            raise InputError("--video stands alone: a film has no clock in common with a camera or with EMG")
        if self.emg is not None and self.emg.partition(":")[0] != "lsl":
            raise InputError(f"--emg: got {self.emg!r}; allowed are lsl and lsl:NAME, the name of an LSL stream")
        if self.emg is not None and self.montage is None:
            raise InputError("--emg: electrodes have places; name them with --montage, proximal7 for example")

    @property
    def is_here(self) -> bool:
        """Whether she is there while the robots play, by camera, by EMG or both."""
        return self.camera is not None or self.emg is not None


def run(
    out: Path,
    who: Who | None = None,
    *,
    seconds: float | None = None,
    model: Path | None = None,
    discretion: Path | None = None,
    skin: str = "porcelain",
    render: bool = True,
    followers: Sequence[Follower] = (),
    as_json: bool = False,
) -> int:
    """Play person and robots and write the results to `out`; see `duchenne coexpress --help`. Returns the exit code.

    model: an anticipator's checkpoint; None takes the shipped ones. discretion: a table of answers. followers: further
    faces that get the co-expressing robot's commands, in real time. Raises `DuchenneError`.
    """
    who = who or Who()
    skin_named(skin)  # a misspelt name must not cost a run
    longest_s = LONGEST_LIVE_S if who.is_here else LONGEST_S
    wanted_s = seconds if seconds is not None else longest_s if who.is_here else SECONDS
    if not 1.0 <= wanted_s <= longest_s:
        raise InputError(f"--seconds: got {wanted_s:g}; allowed are 1 … {longest_s:g}")
    by_motion = who.video is not None or who.camera is not None
    base = Discretion.returning_the_unnamed() if by_motion else Discretion.default()
    answers = Discretion.load(discretion, base) if discretion else base
    started = time.perf_counter()
    if who.is_here:
        story = _here(who, wanted_s, model, answers, followers)
    else:
        if who.video is None:
            scene, watcher = (
                simulated(who.person, who.montage, wanted_s, who.seed),
                _anticipator(model, who.montage).stream(),
            )
        else:
            scene, watcher = filmed(who.video, wanted_s), Anticipator.load(model).stream() if model else MotionWatcher()
        story = perform(scene, watcher, answers, followers)
    written = write_results(story, out, skin=skin, render=render)
    figures = story.figures() | {"wall_s": time.perf_counter() - started}
    _tell(story, figures, written)
    if as_json:
        console.emit(figures, source=story.scene.source, files=written, notes=story.scene.notes)
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
        montage=montage or "",
        acts=met.acts,
        draw=lambda frames, size_px: portraits(met.vertices_m[list(frames)], rest_m, look, size_px),
    )


def perform(
    scene: Scene, watcher: Watcher, answers: Discretion | None = None, followers: Sequence[Follower] = ()
) -> Story:
    """Let both robots play beside her: one with a watcher that anticipates her, one that mimics."""
    players = _players(watcher, answers, followers)
    with console.progress() as bar:
        task = bar.add_task("the robots play", total=len(players) * _ticks(scene))
        robots = {
            one.name: play(scene, one, lambda: bar.advance(task), paced=bool(followers) and one is players[0])
            for one in players
        }
    return _story(scene, robots)


def play(scene: Scene, player: Player, tick: Callable[[], object] = lambda: None, *, paced: bool = False) -> Played:
    """One robot beside her, from rest, at 25 Hz; pictures and EMG come when they would be known.

    paced: in real time, and followers are told what is known of her.
    """
    watcher = player.coexpressor.watcher
    shown, heard_s, begun_s = 0, 0.0, time.monotonic()
    told = Told(scene, player, begun_s) if paced else None
    for now_s in CONTROL_PERIOD_S * np.arange(_ticks(scene)):
        first = shown
        while shown < len(scene.times_s) and scene.times_s[shown] + scene.camera_delay_s <= now_s + 1e-9:
            watcher.see(float(scene.times_s[shown]), scene.seen[shown])
            shown += 1
        fresh = scene.heard(heard_s, now_s - scene.emg_delay_s)
        if len(fresh):
            heard_s += len(fresh) / scene.emg_hz
            watcher.hear(heard_s, fresh)
        if paced:
            time.sleep(max(begun_s + now_s - time.monotonic(), 0.0))
        player.tick(float(now_s))
        if told is not None:
            told.now(range(first, shown), fresh)
        tick()
    return player.played()


def _here(who: Who, seconds: float, model: Path | None, answers: Discretion, followers: Sequence[Follower]) -> Story:
    """Somebody who is there, by camera, by EMG or both. Real faces are anticipated by their motion alone."""
    with contextlib.ExitStack() as opened:
        camera = None if who.camera is None else opened.enter_context(open_frames(who.camera))
        emg, watcher = None, MotionWatcher()
        if who.emg is not None:
            anticipator = _anticipator(model, who.montage)
            emg = opened.enter_context(open_emg(who.emg, anticipator.channels))
            hears = anticipator.stream(emg.info.rate_hz)
            watcher = hears if camera is None else BothSenses(watcher, hears)
        players = _players(watcher, answers, followers)
        scene = live(camera, emg, players, seconds)
    return _story(scene, {one.name: one.played() for one in players})


def _anticipator(model: Path | None, montage: str | None) -> Anticipator:
    return Anticipator.load(model) if model else Anticipator.default(montage)


def _players(watcher: Watcher, answers: Discretion | None, followers: Sequence[Follower]) -> list[Player]:
    model = SelfModel.default()
    with console.console.status("waking the robots"):
        with_her = Coexpressor(Steering(model), watcher, discretion=answers)
        after_her = Coexpressor(Steering(model), Copying(), timing=Mimicry(), discretion=Discretion.mirror_all())
        return [Player(CO_EXPRESSION, with_her, followers), Player(MIMICRY, after_her)]


def _story(scene: Scene, robots: dict[str, Played]) -> Story:
    return Story(scene, robots, Retarget.of_motion(SelfModel.default()))


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
    for note in (*story.scene.notes, *story.missed()):
        console.console.print(note, soft_wrap=True, highlight=False, style="dim")
    for name, path in written.items():
        console.console.print(f"{name:>10}  {path}", soft_wrap=True, highlight=False)


__all__ = ["ACTS", "LONGEST_LIVE_S", "LONGEST_S", "SECONDS", "Who", "perform", "play", "run", "simulated"]
