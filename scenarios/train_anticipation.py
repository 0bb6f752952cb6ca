"""`duchenne train anticipation`: learn, from simulated people, what a face is about to show."""

import time
from pathlib import Path

from ..learning.anticipation import Anticipator
from ..learning.anticipation_habit import Population
from ..learning.anticipation_lessons import Lesson, encounters, space_of
from ..learning.anticipation_training import Recipe, train
from ..sim.errors import InputError
from ..sim.person.electrodes import montage as named_montage
from . import console
from .coexpression_people import FIRST_PERSON

PEOPLE = 240
_WEAR = 7 / 12
"""So many of them wear electrodes, if there are any; the others, who are simulated more quickly, are only seen."""
_LOOK_S = 30.0
"""Everybody is first looked at for so long, to know how faces move."""


def run(
    out: Path,
    *,
    montage: str | None = None,
    people: int | None = None,
    seconds: float = 90.0,
    steps: int = Recipe.steps,
    seed: int = 0,
    as_json: bool = False,
) -> int:
    """Meet people, learn from them and write a checkpoint to `out`. Returns the exit code.

    montage: what they wear; None for the camera alone. people: numbers 0 … people − 1. Raises `InputError`.
    """
    count = PEOPLE if people is None else people
    if not 4 <= count <= FIRST_PERSON:
        raise InputError(f"people: got {count}; allowed are 4 … {FIRST_PERSON}, since those after them are tested on")
    channels = () if montage is None else tuple(named_montage(montage).channel_names)
    started, lessons = time.perf_counter(), []
    with console.progress() as bar:
        looking = bar.add_task("how faces move", total=count)
        space = space_of(
            bar.track(encounters(range(count), montage=None, seconds=_LOOK_S), task_id=looking, total=count)
        )
        task = bar.add_task("people", total=count)
        wearing = round(_WEAR * count) if channels else 0
        for who, worn in ((range(wearing), montage), (range(wearing, count), None)):
            for met in encounters(who, montage=worn, seconds=seconds):
                lesson = Lesson.of(met, space)
                lessons.append(lesson if worn else lesson.unheard(len(channels)))
                bar.advance(task)
        learning = bar.add_task("learning", total=steps)
        losses: list[float] = []

        def tell(done: int, total: int, loss: float) -> None:
            if done <= steps:
                losses.append(loss)
            bar.update(learning, completed=done, total=total)

        population = Population.fit(lessons) if channels else None
        network = train(lessons, space, population, seed, Recipe(steps=steps), tell)
    wall_s = time.perf_counter() - started
    facts: dict[str, object] = {"people": count, "seconds": seconds, "steps": steps, "seed": seed, "loss": losses[-1]}
    model = Anticipator(network=network, space=space, channels=channels, montage=montage or "", population=population)
    path = model.save(out, facts)
    figures = {"loss_first": losses[0], "loss_last": losses[-1], "people": float(count), "wall_s": wall_s}
    console.table("anticipation", ["", ""], list(figures.items()))
    console.console.print(f"\nwritten: {path}")
    if as_json:
        console.emit(figures, file=str(path))
    return 0


__all__ = ["run"]
