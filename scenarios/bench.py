"""Benchmarks from the command line: `duchenne bench robot | skin | camera`."""

from typing import Literal

from . import console

Subject = Literal["robot", "skin", "camera"]


def run(subject: Subject, *, as_json: bool = False) -> int:
    """Run one benchmark, print its figures as a table and, if wanted, as JSON. Returns the exit code."""
    from . import benchmarks

    measure = {
        "robot": benchmarks.bench_robot,
        "skin": benchmarks.bench_skin,
        "camera": benchmarks.bench_camera,
    }[subject]
    with console.progress() as bar:
        task = bar.add_task(f"measuring the {subject}", total=None)
        figures = measure(lambda done, total: bar.update(task, completed=done, total=total))
    console.table(f"duchenne bench {subject}", ["figure", ""], [(n.replace("_", " "), v) for n, v in figures.items()])
    if as_json:
        console.emit(figures)
    return 0
