"""How well models predict rows of the real robot that they never saw: new clips, few rows, commands beyond."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..learning.robot_twin import parts
from ..learning.robot_twin_fields import SERVOS
from ..sim.errors import InputError
from .console import progress
from .real_robot_models import MODELS
from .study import with_interval

Array = np.ndarray

FOLDS, FEW, BEYOND_SHARE = 5, 20, 0.25
_DRAWS = 30
_RESAMPLES = 2000


@dataclass(frozen=True)
class Rows:
    """commands (N, 11) in 0…1, faces_cm (N, 468, 3), clips (N,)."""

    commands: Array
    faces_cm: Array
    clips: Array

    @classmethod
    def load(cls, path: Path) -> "Rows":
        """The published rows, both of every clip. Raises `InputError`."""
        try:
            with np.load(path) as stored:
                both = ("target", "prediction")
                commands = np.concatenate([stored[f"commands_from_{which}"] for which in both]).astype(float)
                faces = np.concatenate([stored[f"landmarks_from_{which}"] for which in both]).astype(float)
        except (OSError, KeyError, ValueError) as error:
            raise InputError(
                f"cannot read the real robot's rows from {path}: {error}; name the file with --data"
            ) from None
        return cls(commands, faces, np.tile(np.arange(len(faces) // 2), 2))

    def shuffled(self, seed: int = 0) -> "Rows":
        """The same faces beside the commands of other rows: whoever predicts these has cheated."""
        return Rows(np.random.default_rng(seed).permutation(self.commands), self.faces_cm, self.clips)

    def ceiling(self) -> float:
        """R² of a perfect prediction, from rows that had the same commands. Raises `InputError` where none had."""
        _, where, counts = np.unique(self.commands, axis=0, return_inverse=True, return_counts=True)
        again = [self.faces_cm[where.ravel() == which] for which in np.flatnonzero(counts > 1)]
        if not again:
            raise InputError("no two rows have the same commands, so that the noise is unknown")
        noise = sum(np.sum((faces - faces.mean(0)) ** 2) for faces in again) / sum(len(faces) - 1 for faces in again)
        return float(1 - noise / (np.sum((self.faces_cm - self.faces_cm.mean(0)) ** 2) / (len(self.clips) - 1)))

    def predicted(self, model: str, train: Array, test: Array) -> Array:
        """Faces of rows `test` by a model that was given rows `train`, masks (N,)."""
        given = self.commands[train], self.faces_cm[train], self.clips[train]
        return MODELS[model](*given, self.commands[test])


@dataclass(frozen=True)
class Scores:
    """Squared errors (M, U) of models and squared distances (U,) from the training mean, by unit: clip, draw or servo.

    faces_cm (M, N, 468, 3): predictions, where every row has one.
    """

    models: tuple[str, ...]
    missed: Array
    spread: Array
    faces_cm: Array | None = None

    def r2(self, model: str) -> float:
        """Pooled over coordinates and units."""
        return float(1 - self.missed[self.models.index(model)].sum() / self.spread.sum())

    def interval(self, model: str, less: str | None = None) -> tuple[float, float, float]:
        """R², or by how much it exceeds another model's, with its bootstrapped 95 % interval over units."""
        count = len(self.spread)
        drawn = np.random.default_rng(0).integers(count, size=(_RESAMPLES, count))
        missed = self.missed[self.models.index(model)]
        if less is not None:
            missed = missed - self.missed[self.models.index(less)]
        share = missed[drawn].sum(1) / self.spread[drawn].sum(1)
        whole, constant = missed.sum() / self.spread.sum(), float(less is None)
        low, high = np.quantile(constant - share, [0.025, 0.975])
        return float(constant - whole), float(low), float(high)


def new_clips(rows: Rows, seed: int = 0, models: tuple[str, ...] = tuple(MODELS)) -> Scores:
    """Five folds over clips; both rows of a clip in one fold."""
    faces, mean = np.empty((len(models), *rows.faces_cm.shape)), np.empty_like(rows.faces_cm)
    with progress() as bar:
        task = bar.add_task("five folds", total=FOLDS * len(models))
        for test in parts(rows.clips, FOLDS, seed):
            mean[test] = rows.faces_cm[~test].mean(0)
            for place, model in enumerate(models):
                faces[place, test] = rows.predicted(model, ~test, test)
                bar.advance(task)
    missed, spread = ((faces - rows.faces_cm) ** 2).sum((2, 3)), ((rows.faces_cm - mean) ** 2).sum((1, 2))
    by_clip = rows.clips == np.unique(rows.clips)[:, None]
    return Scores(models, missed @ by_clip.T, by_clip @ spread, faces)


def few_rows(rows: Rows, seed: int = 0) -> Scores:
    """Calibrated from 20 rows, drawn again and again; tested on all clips that the 20 are not of."""
    rng, splits = np.random.default_rng(seed), []
    for _ in range(_DRAWS):
        train = np.isin(np.arange(len(rows.clips)), rng.choice(len(rows.clips), FEW, replace=False))
        splits.append((train, ~np.isin(rows.clips, rows.clips[train])))
    return _splits(rows, splits, f"{FEW} rows")


def beyond(rows: Rows) -> Scores:
    """One servo after the other leaves its range: trained near its median, tested on the quarter farthest from it."""
    splits = []
    for place in range(len(SERVOS)):
        apart = np.abs(rows.commands[:, place] - np.median(rows.commands[:, place]))
        test = apart > np.quantile(apart, 1 - BEYOND_SHARE)
        splits.append((~np.isin(rows.clips, rows.clips[test]), test))
    return _splits(rows, splits, "beyond")


def _splits(rows: Rows, splits: list[tuple[Array, Array]], what: str) -> Scores:
    missed, spread = np.empty((len(MODELS), len(splits))), np.empty(len(splits))
    with progress() as bar:
        task = bar.add_task(what, total=len(splits) * len(MODELS))
        for unit, (train, test) in enumerate(splits):
            truth = rows.faces_cm[test]
            spread[unit] = np.sum((truth - rows.faces_cm[train].mean(0)) ** 2)
            for place, model in enumerate(MODELS):
                missed[place, unit] = np.sum((rows.predicted(model, train, test) - truth) ** 2)
                bar.advance(task)
    return Scores(tuple(MODELS), missed, spread)


PAIRS = (("physics", "ridge"), ("twin", "gp"), ("twin", "quadratic"), ("twin", "process"))
"""Whose difference matters."""


def told(scores: Mapping[str, Scores]) -> dict[str, float]:
    """R² of all models as `r2_<model><ending>` and the differences of `PAIRS`, each with `_low` and `_high`."""
    result: dict[str, float] = {}
    for ending, found in scores.items():
        for model in found.models:
            result |= with_interval(f"r2_{model}{ending}", *found.interval(model))
        for one, other in PAIRS:
            result |= with_interval(f"r2_{one}_less_{other}{ending}", *found.interval(one, other))
    return result


__all__ = ["FEW", "FOLDS", "PAIRS", "Rows", "Scores", "beyond", "few_rows", "new_clips", "told"]
