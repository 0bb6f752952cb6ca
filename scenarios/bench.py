"""Benchmarks from the command line: `duchenne bench SUBJECT`, for each row of `MEASURES`."""

from collections.abc import Callable, Mapping
from importlib import import_module

from . import console

MEASURES: Mapping[str, tuple[str, str, str]] = {
    "robot": ("benchmarks", "bench_robot", "Speed of the simulated robot, alone and in a batch."),
    "skin": ("benchmarks", "bench_skin", "Fast skin map against the nonlinear reference on poses it has not seen."),
    "camera": ("benchmarks", "bench_camera", "How well MediaPipe follows the rendered robot face."),
    "emg": ("bench_emg", "bench_emg", "Speed and memory of simulated EMG: motor units, interference, a population."),
    "person": ("bench_person", "bench_person", "Speed of a person's skin, and its fast map against the reference."),
    "envs": ("bench_envs", "bench_envs", "Steps a second of 64 environments, beside Gymnasium's Humanoid-v5."),
    "loop": ("bench_loop", "bench_loop", "Anticipation, self-model and the whole loop from a picture to a command."),
    "bus": ("bench_bus", "bench_bus", "Commands and feedback of 26 servos a second over paced emulated buses."),
    "stream": ("bench_stream", "bench_stream", "Ten channels of EMG over LSL for ten minutes: losses and latency."),
    "synergy": (
        "bench_synergy",
        "bench_synergy",
        "A thousand factorisations at once against a loop over scikit-learn.",
    ),
}
"""Module and function that measure each, which takes a progress callback and returns figures; and what is measured."""


def run(subject: str, *, as_json: bool = False, **settings: float) -> int:
    """Run one benchmark, print its figures as a table and, if wanted, as JSON. Returns the exit code.

    settings: what the benchmark's function takes besides a progress callback.
    """
    module, function, _ = MEASURES[subject]
    measure: Callable[..., Mapping[str, float]] = getattr(import_module(f".{module}", __package__), function)
    with console.progress() as bar:
        task = bar.add_task(f"measuring the {subject}", total=None)
        figures = measure(lambda done, total: bar.update(task, completed=done, total=total), **settings)
    console.table(f"duchenne bench {subject}", ["figure", ""], [(n.replace("_", " "), v) for n, v in figures.items()])
    if as_json:
        console.emit(figures)
    return 0
