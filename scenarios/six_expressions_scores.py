"""What the study of six expressions finds: ranks, synergies matched across people, recognisers and models of points.

found = study(Kept(out / "kept"))
found.scores["accuracy_unseen_person"].accuracy
found.by_model("nrmse")["coupled"]                          # (P,), a person each
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..learning.keypoints import CHANNELS
from ..learning.recognition import Examples, forest
from ..learning.recognition_scores import Score, across_people, evaluate, pooled_trials
from ..learning.statistics import Comparison, compare
from ..learning.synergy import choose_rank
from ..learning.synergy_match import Alignment, align, match
from . import console
from .six_expressions_data import RANK, RANKS, REPETITIONS, SCALES, Someone, population, seen, seen_synergies
from .six_expressions_points import MODELS, Points, everybody
from .study import Kept

Array = NDArray[np.floating]

PEOPLE = 10
PAPER_SYNERGIES = (("CS", "LLSAN", "DAO"), ("IF", "OF", "DAO", "Me"), ("ZM", "DAO"))
"""Channels that the paper names for each of its synergies (§ 3.1); their weights are only drawn."""
PAPER_MODELS = ("smsm", "lrm", "smsm_lrm")
_EVERY = 4
"""Of a stranger's and her teachers' windows, which overlap by three quarters, every fourth is used."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SixExpressions:
    """Everything the study found. By `SCALES`: ranks (P,), ranks_every (P,) with each channel at 0.75 too, and
    alignments in the paper's order. scores: by the figure's name. points: a person each, scores (P,) by model.
    """

    people: Sequence[Someone]
    ranks: Mapping[str, NDArray[np.integer]]
    ranks_every: Mapping[str, NDArray[np.integer]]
    alignments: Mapping[str, Alignment]
    scores: Mapping[str, Score]
    points: Sequence[Points]

    def by_model(self, what: str) -> dict[str, Array]:
        """ "nrmse" or "r2" (P,) of each model, the mean over points."""
        return {
            name: np.array([getattr(one, what)[place].mean() for one in self.points])
            for place, name in enumerate(MODELS)
        }

    def compared(self, what: str, models: Sequence[str] = PAPER_MODELS) -> Comparison:
        """ANOVA and Tukey's test of the models, by default the paper's three."""
        values = self.by_model(what)
        return compare({name: values[name] for name in models})


def study(kept: Kept, people: int = PEOPLE, seed: int = 0, repetitions: int = REPETITIONS) -> SixExpressions:
    """Simulate, factorise, recognise and predict."""
    known = population(kept, people, seed, repetitions)
    points = everybody(kept, known, seed)
    persons = list(known.values())
    alignments = {scale: _aligned(persons, place, seed) for place, scale in enumerate(SCALES)}
    vaf = np.stack([one.vaf[: len(SCALES)] for one in persons], axis=1)
    by_channel = np.stack([one.vaf_by_channel[: len(SCALES)] for one in persons], axis=1)
    return SixExpressions(
        people=persons,
        ranks={scale: choose_rank(RANKS, vaf[k], by_channel[k], least_channel=0) for k, scale in enumerate(SCALES)},
        ranks_every={scale: choose_rank(RANKS, vaf[k], by_channel[k]) for k, scale in enumerate(SCALES)},
        alignments=alignments,
        scores=_recognised(persons, alignments, seed),
        points=points,
    )


def _aligned(people: Sequence[Someone], scale: int, seed: int) -> Alignment:
    """Everybody's synergies in one order, that of the paper's as far as they are alike."""
    found = align([one.weights[scale] for one in people], seed=seed)
    pairs = match(found.mean, paper_synergies(), seed=seed)
    order = pairs.ours[np.argsort(pairs.theirs)]
    return Alignment(
        order=found.order[:, order],
        weights=found.weights[:, order],
        mean=found.mean[order],
        similarity=found.similarity[order],
        scores=tuple(found.scores[k] for k in order),
    )


def paper_synergies() -> Array:
    """The paper's synergies (S, C): 1 where a channel is named."""
    return np.array([[float(channel in named) for channel in CHANNELS] for named in PAPER_SYNERGIES])


def _recognised(people: Sequence[Someone], alignments: Mapping[str, Alignment], seed: int) -> dict[str, Score]:
    asked: dict[str, tuple[Examples, bool]] = {}
    for scale, end in zip(SCALES, ("", "_own_maximum"), strict=True):
        order = alignments[scale].order
        emg, synergy = seen(people, scale), seen_synergies(people, scale, order)
        if not end:
            asked["accuracy_semg"] = (emg, False)
        asked[f"accuracy_synergy{end}"] = (synergy, False)
        asked[f"accuracy_unseen_person{end}"] = (emg, True)
        asked[f"accuracy_unseen_person_synergy{end}"] = (synergy, True)
        if end:
            unmatched = seen_synergies(people, scale, np.tile(np.arange(RANK), (len(people), 1)))
            asked["accuracy_unseen_person_synergy_unmatched"] = (unmatched, True)
    scores = {}
    with console.progress() as bar:
        task = bar.add_task("recognition", total=sum(len(people) if alone else 1 for _, alone in asked.values()))
        for name, (given, alone) in asked.items():
            examples = given.take(np.arange(0, len(given), _EVERY)) if alone else given
            splits = across_people(examples) if alone else pooled_trials(examples, seed=seed)
            scores[name] = evaluate(
                lambda random: forest(random).set_params(n_jobs=2),
                examples,
                examples.label,
                splits,
                seed=seed,
                progress=lambda _: bar.advance(task),
            )
    return scores


__all__ = ["PAPER_MODELS", "PAPER_SYNERGIES", "PEOPLE", "SixExpressions", "paper_synergies", "study"]
