"""How well a recogniser does on what it has not seen: honest splits, accuracies with intervals, confusions.

    score = evaluate(CLASSIFIERS["lda"], seen, seen.label, across_people(seen))
    score.accuracy, score.confusion, score.by_split

Windows of one contraction overlap and are alike, so a split that scatters them over training and test set
(`scattered_windows`, what both papers do within a recording) measures memory. `held_trials`, `across_batches` and
`across_people` keep a trial, a wearing and a person together.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import GroupKFold, StratifiedShuffleSplit

from ..sim.errors import InputError
from .metrics import Interval, interval
from .recognition import Examples

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to train on and rows to test on, and what is left out."""

    name: str
    train: NDArray[np.integer]
    test: NDArray[np.integer]


def scattered_windows(examples: Examples, *, seed: int = 0, test_share: float = 1 / 3) -> Iterator[Split]:
    """Within each batch, a third of the windows drawn by class, as the epidermal-electrode paper does (§ 2.3).

    Windows of one trial come on both sides: the accuracy says nothing about a new contraction.
    """
    wearing = examples.wearing
    for batch in np.unique(wearing):
        rows = np.flatnonzero(wearing == batch)
        kinds = np.char.add(np.char.add(examples.label[rows], " "), examples.intensity[rows])
        drawn = StratifiedShuffleSplit(1, test_size=test_share, random_state=seed).split(rows, kinds)
        for train, test in drawn:
            yield Split(f"batch {batch}", rows[train], rows[test])


def held_trials(examples: Examples, *, folds: int = 5) -> Iterator[Split]:
    """Within each batch, whole trials left out in turn; every trial is tested once."""
    wearing = examples.wearing
    for batch in np.unique(wearing):
        rows = np.flatnonzero(wearing == batch)
        trials = examples.trial[rows]
        for fold, (train, test) in enumerate(_grouped(trials, folds).split(rows, groups=trials)):
            yield Split(f"batch {batch}, fold {fold}", rows[train], rows[test])


def pooled_trials(examples: Examples, *, seed: int = 0, test_share: float = 1 / 6) -> Iterator[Split]:
    """One split with every person on both sides: a sixth of each person's trials of each expression is tested, drawn
    at random, as the skin-musculoskeletal paper does with 2 of 12 (§ 2.5.2). At least one trial is left to each side.

    Raises `InputError` where a person has one trial of an expression.
    """
    rng, left = np.random.default_rng([seed, 0x7E57]), np.zeros(len(examples), bool)
    for person in np.unique(examples.person):
        for label in np.unique(examples.label[examples.person == person]):
            rows = (examples.person == person) & (examples.label == label)
            trials = np.unique(examples.trial[rows])
            if len(trials) < 2:
                raise InputError(f"person {person} has one trial of {label!r}; testing it leaves none to learn from")
            count = min(max(round(test_share * len(trials)), 1), len(trials) - 1)
            left |= rows & np.isin(examples.trial, rng.choice(trials, count, replace=False))
    yield Split("pooled", np.flatnonzero(~left), np.flatnonzero(left))


def from_first_batch(examples: Examples) -> Iterator[Split]:
    """For each person, trained on the first wearing and tested on every later one, as the epidermal-electrode paper's
    testing set, which was recorded at other times (§ 2.3). Raises `InputError` for a person with one alone."""
    for split in across_batches(examples):
        others = np.sort(np.concatenate([split.train, split.test]))
        first = examples.batch[others].min()
        if examples.batch[split.test[0]] != first:
            yield Split(split.name, others[examples.batch[others] == first], split.test)


def across_batches(examples: Examples) -> Iterator[Split]:
    """For each person, one wearing left out in turn. Raises `InputError` for a person with one alone."""
    for person in np.unique(examples.person):
        own = examples.person == person
        batches = np.unique(examples.batch[own])
        if len(batches) < 2:
            raise InputError(f"person {person} wore the electrodes once; leaving that out leaves nothing to learn from")
        for batch in batches:
            left = examples.batch == batch
            yield Split(f"person {person}, batch {batch}", np.flatnonzero(own & ~left), np.flatnonzero(own & left))


def across_people(examples: Examples) -> Iterator[Split]:
    """One person left out in turn. Raises `InputError` for one alone."""
    people = np.unique(examples.person)
    if len(people) < 2:
        raise InputError("leaving a person out needs two or more")
    for person in people:
        left = examples.person == person
        yield Split(f"person {person}", np.flatnonzero(~left), np.flatnonzero(left))


def from_to(train: ArrayLike, test: ArrayLike, name: str = "test") -> Iterator[Split]:
    """One split by masks (N,): from one wearing to a shifted one, from posed to spontaneous."""
    learnt, asked = np.asarray(train, bool), np.asarray(test, bool)
    if learnt.shape != asked.shape or (learnt & asked).any() or not learnt.any() or not asked.any():
        raise InputError("both masks must be (N,), name some rows, and share none")
    yield Split(name, np.flatnonzero(learnt), np.flatnonzero(asked))


@dataclass(frozen=True, eq=False)
class Score:
    """What a recogniser named, tested over some splits.

    accuracy: mean over `unit`s, with the 95 % interval of a bootstrap over them: people where there are several,
    else batches, else trials; never windows, which are not independent. confusion: (K, K) windows, true by named.
    """

    accuracy: Interval
    within_one: Interval
    """The same, counting the next class in `classes` as right: for intensities, which are in order."""
    unit: str
    classes: tuple[str, ...]
    confusion: NDArray[np.integer]
    by_split: dict[str, float]

    @property
    def chance(self) -> float:
        """Accuracy of always naming the commonest class."""
        return float(self.confusion.sum(1).max() / self.confusion.sum())

    @property
    def recall(self) -> Array:
        """Share (K,) of each class that was named so; NaN where it was not tested."""
        count = self.confusion.sum(1)
        return np.where(count > 0, np.diag(self.confusion) / np.maximum(count, 1), np.nan)

    @property
    def precision(self) -> Array:
        """Share (K,) of each name that was right; NaN where it was never given."""
        count = self.confusion.sum(0)
        return np.where(count > 0, np.diag(self.confusion) / np.maximum(count, 1), np.nan)


def evaluate(
    make: Callable[[int], Any],
    examples: Examples,
    target: ArrayLike,
    splits: Iterable[Split],
    *,
    seed: int = 0,
    spoil: Callable[[Examples], Examples] = lambda test: test,
    progress: Callable[[str], None] = lambda name: None,
) -> Score:
    """Train and test over splits, a new classifier `make(seed)` for each.

    target: what to name, (N,), such as `examples.label` or `examples.intensity`. spoil: what happens to the test
    rows alone, such as a channel that dies. progress is called with each split's name. Raises `InputError`.
    """
    truth = np.asarray(target)
    if truth.shape != (len(examples),):
        raise InputError(f"target must be ({len(examples)},), got shape {truth.shape}")
    flat = examples.flat
    tested, named, by_split = [], [], {}
    for split in splits:
        classifier = make(seed).fit(flat[split.train], truth[split.train])
        said = classifier.predict(spoil(examples.take(split.test)).flat)
        tested.append(split.test)
        named.append(said)
        by_split[split.name] = float(np.mean(said == truth[split.test]))
        progress(split.name)
    if not tested:
        raise InputError("no splits to test on")
    rows, said = np.concatenate(tested), np.concatenate(named)
    classes = np.unique(np.concatenate([truth[rows], said]))
    far = np.abs(np.searchsorted(classes, said) - np.searchsorted(classes, truth[rows]))
    unit, groups = _units(examples, rows)
    rng = np.random.default_rng([seed, 0xACC])
    accuracy, near = (interval(_shares(right, groups), rng) for right in (far == 0, far <= 1))
    return Score(
        accuracy, near, unit, tuple(map(str, classes)), confusion_matrix(truth[rows], said, labels=classes), by_split
    )


def dead(channels: Sequence[str]) -> Callable[[Examples], Examples]:
    """For `evaluate(spoil=)`: these channels read zero."""

    def spoil(test: Examples) -> Examples:
        silent = test.features.copy()
        silent[:, test.places(channels)] = 0.0
        return Examples(**{**vars(test), "features": silent})

    return spoil


def by_channels(
    make: Callable[[int], Any],
    examples: Examples,
    target: ArrayLike,
    splits: Callable[[Examples], Iterable[Split]],
    counts: Sequence[int],
    *,
    draws: int = 5,
    seed: int = 0,
    progress: Callable[[str], None] = lambda name: None,
) -> dict[int, tuple[float, ...]]:
    """Accuracies by number of channels: trained anew with `draws` random choices of each number, all of them once."""
    total = len(examples.channels)
    if not all(1 <= count <= total for count in counts) or draws < 1:
        raise InputError(f"counts must be 1 … {total} and draws 1 or more, got {tuple(counts)} and {draws}")
    rng, found = np.random.default_rng([seed, 0xC4A]), {}
    for count in counts:
        accuracies = []
        for _ in range(draws if count < total else 1):
            kept = examples.only([examples.channels[k] for k in sorted(rng.choice(total, count, replace=False))])
            accuracies.append(evaluate(make, kept, target, splits(kept), seed=seed).accuracy.mean)
            progress(f"{count} of {total} channels")
        found[int(count)] = tuple(accuracies)
    return found


def _grouped(trials: NDArray[np.integer], folds: int) -> GroupKFold:
    count = len(np.unique(trials))
    if not 2 <= folds <= count:
        raise InputError(f"folds must be 2 … {count}, the trials in a batch; got {folds}")
    return GroupKFold(folds)


def _units(examples: Examples, rows: NDArray[np.integer]) -> tuple[str, NDArray[np.integer]]:
    """What is independent among tested rows, and which of them each row belongs to."""
    for unit, groups in (("person", examples.person), ("batch", examples.wearing)):
        if len(np.unique(groups[rows])) > 1:
            return unit, groups[rows]
    return "trial", examples.trial[rows]


def _shares(right: NDArray[np.bool_], groups: NDArray[np.integer]) -> Array:
    return np.array([right[groups == one].mean() for one in np.unique(groups)])


__all__ = [
    "Score",
    "Split",
    "across_batches",
    "across_people",
    "by_channels",
    "dead",
    "evaluate",
    "from_first_batch",
    "from_to",
    "held_trials",
    "pooled_trials",
    "scattered_windows",
]
