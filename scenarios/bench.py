"""Benchmarks from the command line: `duchenne bench robot | skin | camera | emg | person`."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Literal

from . import console

Subject = Literal["robot", "skin", "camera", "emg", "person"]
Progress = Callable[[int, int], None]
MEASURES: Mapping[Subject, tuple[str, str]] = {
    "robot": ("benchmarks", "bench_robot"),
    "skin": ("benchmarks", "bench_skin"),
    "camera": ("benchmarks", "bench_camera"),
    "emg": ("bench_emg", "bench_emg"),
    "person": ("bench_person", "bench_person"),
}
"""Module and function that measure each; a function takes a progress callback and returns named figures."""


def run(subject: Subject, *, as_json: bool = False) -> int:
    """Run one benchmark, print its figures as a table and, if wanted, as JSON. Returns the exit code."""
    module, function = MEASURES[subject]
    measure: Callable[[Progress], Mapping[str, float]] = getattr(import_module(f".{module}", __package__), function)
    with console.progress() as bar:
        task = bar.add_task(f"measuring the {subject}", total=None)
        figures = measure(lambda done, total: bar.update(task, completed=done, total=total))
    console.table(f"duchenne bench {subject}", ["figure", ""], [(n.replace("_", " "), v) for n, v in figures.items()])
    if as_json:
        console.emit(figures)
    return 0
