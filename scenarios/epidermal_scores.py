"""The recognisers of the epidermal study, each test by its name: split, scaling, electrodes, classifier.

Where nothing else is said, FER-EE learns from a person's first wearing and is tested on all later ones, as the paper's
testing set was recorded at other times (§ 2.3). Every test is kept; intervals are over people.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from ..learning.fer_ee import FerEe
from ..learning.metrics import Interval, interval
from ..learning.recognition import CLASSIFIERS, Examples, join
from ..learning.recognition_scores import (
    Score,
    Split,
    across_batches,
    across_people,
    dead,
    evaluate,
    from_to,
    held_trials,
    scattered_windows,
)
from .epidermal_data import MORE, TEN, Size, Subject
from .study import Kept, each

Array = NDArray[np.floating]
Splits = Callable[[Examples], Iterable[Split]]
DEAD_PAIRS = 10
"""Pairs of electrodes that die together, drawn at random."""


@dataclass(frozen=True, eq=False)
class Result:
    """One test: mean over people with the 95 % interval of a bootstrap over them, the same within one class, windows
    by true and named class."""

    accuracy: Interval
    within_one: Interval
    classes: tuple[str, ...]
    confusion: NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Scores:
    """All tests. types, intensities: by name. channels: accuracies of each choice of n sites, by n. dead: by electrode,
    mean over people; dead_count: one and two of them dead, as intervals over people."""

    types: Mapping[str, Result]
    intensities: Mapping[str, Result]
    channels: Mapping[int, Sequence[Result]]
    dead: Mapping[str, float]
    dead_count: Mapping[int, Interval]


def first_to_later(seen: Examples) -> Iterator[Split]:
    """For each person, the first wearing against all later ones together."""
    for person in np.unique(seen.person):
        own = seen.person == person
        first = own & (seen.batch == seen.batch[own].min())
        yield from from_to(first, own & ~first, f"person {person}")


def score(people: Sequence[Subject], seed: int, size: Size, kept: Kept) -> Scores:
    """Every test, two at a time, with a progress bar; tests that were done before are only read."""
    every = join([one.seen for one in people])
    ten = every.only(TEN)
    scaled = ten.scaled_by_batch()
    net, plain = _fer_ee(size.steps), _fer_ee(size.steps, robust=False)
    settings = {"seed": seed, **size.task, "people": len(people), "folds": size.folds}
    jobs: dict[tuple[str, Any], Callable[[], Mapping[str, Any]]] = {}

    def add(kind: str, name: Any, make: Any, seen: Examples, splits: Splits, target: str = "label") -> None:
        jobs[kind, name] = lambda: _told(evaluate(make, seen, getattr(seen, target), splits(seen), seed=seed))

    def windows(seen: Examples) -> Iterable[Split]:
        return scattered_windows(seen, seed=seed)

    for kind, target in (("type", "label"), ("intensity", "intensity")):
        add(kind, "later", net, ten, first_to_later, target)
        add(kind, "scaled", net, scaled, first_to_later, target)
        add(kind, "unscaled", plain, ten, first_to_later, target)
        add(kind, "within batch", net, ten, windows, target)
        add(kind, "across people", net, ten, across_people, target)
        add(kind, "several people", net, ten, _pooled, target)
        for name, make in CLASSIFIERS.items():
            if name != "fer-ee":
                add(kind, name, make, ten, first_to_later, target)
    add("type", "held trials", net, ten, lambda seen: held_trials(seen, folds=size.folds))
    add("type", "other batches", net, ten, across_batches)
    for sd in size.shifts_mm:
        add("type", f"off {sd:g}", net, join([one.shifted[sd] for one in people]), first_to_later)
    for count, chosen in _choices(size, seed):
        add("channels", (count, chosen), net, every.only(chosen), first_to_later)
    jobs["dead", ""] = lambda: _dying(net, ten, seed)

    def do(item: tuple[tuple[str, Any], Callable[[], Mapping[str, Any]]]) -> dict[str, np.ndarray]:
        (kind, name), make = item
        label = f"{kind} {'-'.join(name[1]) if kind == 'channels' else name}".strip().replace(" ", "-")
        return kept.get(label, {**settings, "name": label}, make)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the MLP with scikit-learn's defaults
        found = dict(zip(jobs, each("recognisers", jobs.items(), do), strict=True))
    return _sorted(found)


def _fer_ee(steps: int, robust: bool = True) -> Callable[[int], FerEe]:
    return lambda seed: FerEe(steps=steps, robust=robust, random_state=seed)


def _pooled(seen: Examples) -> Iterator[Split]:
    """Everybody's first wearing against everybody's later ones."""
    parts = list(first_to_later(seen))
    yield Split("pooled", *(np.concatenate([getattr(one, side) for one in parts]) for side in ("train", "test")))


def _choices(size: Size, seed: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Sites to try: `draws` random choices of each number, no choice twice, in the montage's order; more than ten with
    AU6, AU20 and both."""
    rng = np.random.default_rng([seed, 0x511E])
    for count in size.counts:
        possible = list(combinations(TEN, count))
        for place in rng.permutation(len(possible))[: size.draws]:
            yield count, possible[place]
    for more in ((MORE[0],), (MORE[1],), MORE):
        yield len(TEN) + len(more), (*TEN, *more)


def _dying(make: Callable[[int], Any], seen: Examples, seed: int) -> dict[str, Any]:
    """Accuracies (people, kills) where electrodes read zero after training: each one alone, then pairs of them."""
    pairs = list(combinations(TEN, 2))
    drawn = np.random.default_rng([seed, 0xDEAD]).permutation(len(pairs))[:DEAD_PAIRS]
    kills = [(name,) for name in TEN] + [pairs[k] for k in drawn]
    right = []
    for split in first_to_later(seen):
        reader = make(seed).fit(seen.flat[split.train], seen.label[split.train])
        test = seen.take(split.test)
        right.append([float(np.mean(reader.predict(dead(names)(test).flat) == test.label)) for names in kills])
    return {"dead": np.array(right)}


def _told(found: Score) -> dict[str, Any]:
    return {
        "accuracy": [found.accuracy.mean, found.accuracy.low, found.accuracy.high],
        "within_one": [found.within_one.mean, found.within_one.low, found.within_one.high],
        "classes": np.array(found.classes),
        "confusion": found.confusion,
    }


def _result(arrays: Mapping[str, np.ndarray]) -> Result:
    accuracy, near = (Interval(*map(float, arrays[key])) for key in ("accuracy", "within_one"))
    return Result(accuracy, near, tuple(map(str, arrays["classes"])), arrays["confusion"])


def _sorted(found: Mapping[tuple[str, Any], dict[str, np.ndarray]]) -> Scores:
    tests = {key: _result(arrays) for key, arrays in found.items() if key[0] != "dead"}
    types, intensities = (
        {name: one for (of, name), one in tests.items() if of == kind} for kind in ("type", "intensity")
    )
    channels: dict[int, list[Result]] = {}
    for kind, name in tests:
        if kind == "channels":
            channels.setdefault(name[0], []).append(tests[kind, name])
    right, rng = found["dead", ""]["dead"], np.random.default_rng(0)
    alone, pairs = right[:, : len(TEN)], right[:, len(TEN) :]
    return Scores(
        types=types,
        intensities=intensities,
        channels=channels,
        dead=dict(zip(TEN, map(float, alone.mean(0)), strict=True)),
        dead_count={1: interval(alone.mean(1), rng), 2: interval(pairs.mean(1), rng)},
    )


__all__ = ["Result", "Scores", "first_to_later", "score"]
