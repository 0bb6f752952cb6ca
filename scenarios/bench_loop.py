"""Benchmark of co-expression: how fast its models are, and how long it takes from a picture to a command.

Models are measured as they are used, one face at a time, in a process of its own on one core by processor time; the
quickest of many short runs. The loop is measured by the clock on the wall and paced at 25 Hz, as it runs: a simulated
person's pictures go through MediaPipe and, with her EMG, through anticipation, timing, self-model and Guard. The target
is a command before the next picture comes.
"""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..learning.anticipation import Anticipator
from ..learning.anticipation_senses import EMG_AHEAD_S
from ..learning.self_model import SelfModel
from ..sim.camera import FaceReader, Neutral
from ..sim.errors import DuchenneError
from ..sim.person.encounter import EMG_HZ, Encounter, meet
from ..sim.person.person import Person
from ..sim.person.portrait import Portrait
from ..sim.robot.face import CONTROL_PERIOD_S
from ..twin.coexpress import Coexpressor
from ..twin.steering import Steering
from .one_core import first_and_fastest_s, in_child

Progress = Callable[[int, int], None]
Figures = dict[str, float]
Array = NDArray[np.floating]

MONTAGE = "proximal7"
SECONDS = 20.0
_PICTURES = 75
_RUNS, _CALLS = 60, 100
_WARM_UP = 25
"""Frames at the beginning that do not count: caches fill, the EMG at rest is learnt."""


def bench_loop(progress: Progress = lambda done, total: None, seconds: float = SECONDS) -> Figures:
    """Calls of the models a second, and how long one step of the loop takes.

    `predictor_calls_per_s`: a face is seen and an `Expectation` given, with a window of EMG. `predictor_steps_per_s`:
    the same and 40 ms of seven channels of EMG filtered before it. `self_model_calls_per_s`: landmarks to command.
    `loop_…_ms`: from a picture in memory to the checked command, MediaPipe included; `loop_without_camera_…_ms`: from
    landmarks and EMG, median and 99 %; `…_processor_p99_ms`: processor time of all threads, which other programs hardly
    lengthen. `loop_late`: share of steps longer than 40 ms; `loop_no_face`: of pictures without a face. Raises
    `DuchenneError`, also where pictures cannot be drawn.
    """
    progress(0, 4)
    figures = in_child(__name__, "_measure")
    progress(1, 4)
    met = meet(Person.sample(1000), montage=MONTAGE, seed=1000, seconds=seconds)
    pictures, calm = _pictures(met)
    progress(2, 4)
    alone, _ = paced(_from_landmarks(met), seconds)
    progress(3, 4)
    with FaceReader() as reader:
        look = _from_pictures(met, reader, pictures, calm)
        whole, found = paced(look, seconds)
    progress(4, 4)
    for name, taken_s in (("loop_without_camera", alone), ("loop", whole)):
        (median, _), (p99, processor) = 1e3 * np.percentile(taken_s, [50, 99], axis=0)
        figures |= {f"{name}_p50_ms": float(median), f"{name}_p99_ms": float(p99)}
        figures[f"{name}_processor_p99_ms"] = float(processor)
    figures["loop_late"] = float(np.mean(whole[:, 0] > CONTROL_PERIOD_S))
    figures["loop_no_face"] = 1 - float(np.mean(found))
    return figures


def paced(step: Callable[[int, float], bool], seconds: float) -> tuple[Array, NDArray[np.bool_]]:
    """How long each step took of a loop at 25 Hz, and what it returned (n,); the first second is left out.

    How long is (n, 2) s: by the clock, and processor time. A step is told its number and the time on
    the clock. Where one takes longer than the period, the next begins at once.
    """
    taken_s, said, due_s = [], [], time.perf_counter()
    for number in range(round(seconds / CONTROL_PERIOD_S)):
        time.sleep(max(due_s - time.perf_counter(), 0.0))
        begin_s, worked_s = time.perf_counter(), time.process_time()
        said.append(step(number, begin_s))
        end_s = time.perf_counter()
        taken_s.append((end_s - begin_s, time.process_time() - worked_s))
        due_s = max(due_s + CONTROL_PERIOD_S, end_s)
    return np.array(taken_s[_WARM_UP:]), np.array(said[_WARM_UP:], bool)


def _from_landmarks(met: Encounter) -> Callable[[int, float], bool]:
    controller, hear = _controller(met)

    def step(number: int, now_s: float) -> bool:
        hear(number, now_s)
        controller.watcher.see(now_s - met.camera_delay_s, met.seen_m[number % len(met.seen_m)])
        controller.step(now_s)
        return True

    return step


def _from_pictures(
    met: Encounter, reader: FaceReader, pictures: list[NDArray[np.uint8]], calm: NDArray[np.uint8]
) -> Callable[[int, float], bool]:
    controller, hear = _controller(met)
    controller.calibrate(Neutral.from_faces([reader.read(calm).require()]))

    def step(number: int, now_s: float) -> bool:
        hear(number, now_s)
        sighting = reader.read(pictures[_to_and_fro(number, len(pictures))], now_s)
        controller.look(now_s, sighting.face)
        controller.step(now_s)
        return sighting.face is not None

    return step


def _controller(met: Encounter) -> tuple[Coexpressor, Callable[[int, float], None]]:
    watcher = Anticipator.default(MONTAGE).stream()
    controller = Coexpressor(Steering(SelfModel.default()), watcher)

    def hear(number: int, now_s: float) -> None:
        begin_s = number * CONTROL_PERIOD_S
        watcher.hear(now_s - met.emg_delay_s, met.heard(begin_s, begin_s + CONTROL_PERIOD_S))

    return controller, hear


def _pictures(met: Encounter) -> tuple[list[NDArray[np.uint8]], NDArray[np.uint8]]:
    """Pictures around her first expression, to be shown to and fro, and one of her calm face."""
    first = max(round((met.acts[0].onset_s if met.acts else 0.0) / CONTROL_PERIOD_S) - 10, 0)
    rest = np.asarray(met.person.face.rest)
    with Portrait(rest_m=rest) as portrait:
        shown = [portrait.image(face) for face in met.vertices_m[first : first + _PICTURES]]
        return shown, portrait.image(rest)


def _to_and_fro(number: int, count: int) -> int:
    place = number % (2 * count - 2)
    return min(place, 2 * count - 2 - place)


def _measure() -> Figures:
    rng = np.random.default_rng(0)
    model, watcher = SelfModel.default(), Anticipator.default(MONTAGE).stream()
    faces = 1e-3 * rng.normal(size=(8, *model.rest_m.shape))
    emg_uv = 10 * rng.normal(size=(8, round(EMG_HZ * CONTROL_PERIOD_S), len(watcher.anticipator.channels)))
    clock_s = 0.0

    def hear(number: int) -> None:
        watcher.hear(clock_s + EMG_AHEAD_S, emg_uv[number % len(emg_uv)])

    def expect(number: int, later_s: float) -> None:
        watcher.see(clock_s + later_s, faces[number % len(faces)])
        watcher.expect(clock_s + later_s)

    def steps() -> None:
        nonlocal clock_s
        for number in range(_CALLS):
            clock_s += CONTROL_PERIOD_S
            hear(number)
            expect(number, 0.0)

    def calls() -> None:
        """Pictures come so fast that one block of EMG is fresh enough for all."""
        nonlocal clock_s
        clock_s += CONTROL_PERIOD_S
        hear(0)
        for number in range(_CALLS):
            expect(number, number * CONTROL_PERIOD_S / _CALLS)

    def commands() -> None:
        for number in range(_CALLS):
            model.predict(faces[number % len(faces)])

    figures = {}
    for name, run in (("predictor_steps", steps), ("predictor_calls", calls), ("self_model_calls", commands)):
        figures[f"{name}_per_s"] = _CALLS / first_and_fastest_s(run, _RUNS)[1]
    if watcher.expect(clock_s + CONTROL_PERIOD_S).sources != ("camera", "emg"):
        raise DuchenneError("the predictor was measured without one of its senses; this is a mistake of the benchmark")
    return figures


__all__ = ["bench_loop", "paced"]
