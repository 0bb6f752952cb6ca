"""`duchenne study six-expressions`: synergies, expressions and points of a face, as the skin-musculoskeletal paper did.

Shu et al. 2025: ten people, seven pairs of electrodes, an MVC task and 12 × 6 expressions. Here each is a simulated
person who is recorded in the same way; beside the paper's split, people who were never met, synergies matched across
people with what chance gives, a skin that couples the points, and the way back from a face to muscles.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..learning.recognition import NEUTRAL
from ..learning.recognition_scores import Score
from ..learning.statistics import mean_interval
from ..learning.synergy_match import match
from .six_expressions_data import RANK, REPETITIONS, SCALES
from .six_expressions_picture import draw
from .six_expressions_points import INVERTED, MODELS, Points
from .six_expressions_scores import PEOPLE, SixExpressions, paper_synergies, study
from .study import Finding, Kept, Study, folder, publish, with_interval

PAPER = {
    "accuracy_semg": 0.992, "accuracy_synergy": 0.974,
    "synergy_1_similarity": 0.75, "synergy_2_similarity": 0.87, "synergy_3_similarity": 0.72,
    "nrmse_smsm": 0.0890, "nrmse_lrm": 0.0842, "nrmse_smsm_lrm": 0.0668,
    "r2_smsm": 0.5707, "r2_lrm": 0.6258, "r2_smsm_lrm": 0.7702,
    "anova_p_nrmse": 0.0243, "anova_p_r2": 0.0094,
}  # fmt: skip
"""What the paper gives (§ 3.1-3.3)."""
_ENDS = dict(zip(SCALES, ("", "_own_maximum"), strict=True))
_NAMES = {"smsm": "SMSM", "lrm": "LRM", "smsm_lrm": "SMSM-LRM", "coupled": "coupled skin"}


def run(
    out: Path, *, people: int | None = None, seed: int = 0, repetitions: int = REPETITIONS, as_json: bool = False
) -> int:
    """Do the study, write report.html, findings.json and pictures into `out`. Returns the exit code.

    people: two or more, by default the paper's ten. repetitions: of every expression, three or more.
    """
    out = folder(Path(out))
    found = study(Kept(out / "kept"), PEOPLE if people is None else people, seed, repetitions)
    told = figures(found)
    return publish(
        Study(
            title="Six expressions, seven electrodes",
            summary=f"Shu et al. 2025 (skin-musculoskeletal paper) with {len(found.people)} simulated people, "
            f"{repetitions} repetitions.",
            figures=told,
            findings=[*_of_recognition(found, told), *_of_synergies(told), *_of_points(told), *_of_way_back(told)],
            pictures=draw(found, out),
            notes=_notes(told),
        ),
        out,
        as_json=as_json,
    )


def posed_only(score: Score) -> float:
    """Share of the windows of the six expressions that were named rightly, neutral left out."""
    rows = [place for place, name in enumerate(score.classes) if name != NEUTRAL]
    return float(np.diag(score.confusion)[rows].sum() / score.confusion[rows].sum())


def figures(found: SixExpressions) -> dict[str, float]:
    """All numbers by the names that `--json` prints; `_low` and `_high` are their intervals."""
    told: dict[str, float] = {"people": float(len(found.people))}
    for name, score in found.scores.items():
        told |= with_interval(name, score.accuracy.mean, score.accuracy.low, score.accuracy.high)
    told["accuracy_unseen_person_without_neutral"] = posed_only(found.scores["accuracy_unseen_person"])
    told["accuracy_chance"] = found.scores["accuracy_semg"].chance
    for scale, end in _ENDS.items():
        place, ranks = SCALES.index(scale), found.ranks[scale]
        told |= {
            f"rank_at_90_vaf{end}": float(np.median(ranks)),
            f"rank_at_90_vaf{end}_least": float(ranks.min()),
            f"rank_at_90_vaf{end}_most": float(ranks.max()),
            f"rank_at_90_vaf_every_channel{end}": float(np.median(found.ranks_every[scale])),
            f"vaf_of_three{end}": float(np.mean([one.vaf[place, RANK - 1] for one in found.people])),
        }
        for number, score in enumerate(found.alignments[scale].scores, 1):
            told[f"synergy_{number}_similarity{end}"] = score.value
            told[f"synergy_{number}_similarity_chance{end}"] = score.chance_limit
        alike = match(found.alignments[scale].mean, paper_synergies()).score
        told[f"paper_synergy_cosine{end}"] = alike.value
        told[f"paper_synergy_cosine_chance{end}"] = alike.chance_limit
    told["vaf_of_three_chance"] = float(np.mean([one.vaf[-1, RANK - 1] for one in found.people]))
    told["mentalis_over_mvc"] = float(np.median([one.own_uv[-1] / one.mvc_uv[-1] for one in found.people]))
    for what in ("nrmse", "r2"):
        for name, values in found.by_model(what).items():
            told |= with_interval(f"{what}_{name}", *mean_interval(values))
        told[f"anova_p_{what}"] = found.compared(what).p
        for pair in found.compared(what, tuple(MODELS)).pairs:
            told[f"tukey_p_{what}_{pair.one}_{pair.other}"] = pair.p
    for place, name in enumerate(MODELS):
        told[f"parameters_{name}"] = float(found.points[0].parameters[place])
    errors = found.by_model("nrmse")
    told |= with_interval("nrmse_coupled_less_smsm_lrm", *mean_interval(errors["coupled"] - errors["smsm_lrm"]))
    for place, name in enumerate(INVERTED):
        told |= {f"{what}_{name}": value for what, value in _way_back(found.points, place).items()}
    return told


def _way_back(points: Sequence[Points], place: int) -> dict[str, float]:
    """Medians over people, since one that runs away says nothing about the others; means where that cannot be."""
    middle = {
        "round_trip_points": "known_points",
        "round_trip_activations": "known_activations",
        "inverse_points": "met_points",
        "inverse_emg_correlation": "met_emg",
        "trajectory_overshoot": "overshoot",
        "trajectory_peak_mm_s": "peak_mm_s",
    }
    told = {name: float(np.median([getattr(one, of)[place] for one in points])) for name, of in middle.items()}
    told["round_trip_points_worst"] = float(max(one.known_points[place] for one in points))
    told["trajectory_overshoot_worst"] = float(max(one.overshoot[place] for one in points))
    told["inverse_right"] = float(np.mean([one.met_right[place] for one in points]))
    return told


def _of_recognition(found: SixExpressions, told: Mapping[str, float]) -> Iterator[Finding]:
    rows = {
        "accuracy_semg": "EMG, trials held out, all people pooled",
        "accuracy_synergy": "three synergies each, the same split",
        "accuracy_synergy_own_maximum": "the same, EMG over its own maximum",
        "accuracy_unseen_person": "EMG, a person never met",
        "accuracy_unseen_person_own_maximum": "the same, EMG over its own maximum",
        "accuracy_unseen_person_synergy": "synergies aligned, a person never met",
        "accuracy_unseen_person_synergy_own_maximum": "the same, EMG over its own maximum",
        "accuracy_unseen_person_synergy_unmatched": "the same, synergies not aligned",
    }
    for name, what in rows.items():
        yield _finding("recognition", what, name, told)
    yield Finding(topic="recognition", what="EMG, a person never met, without neutral",
                  ours=told["accuracy_unseen_person_without_neutral"])  # fmt: skip
    yield Finding(topic="recognition", what="always the commonest class", ours=told["accuracy_chance"])
    order = told["accuracy_semg"] >= told["accuracy_synergy"]
    yield Finding(topic="recognition", what="EMG less synergies", paper="0.018",
                  ours=told["accuracy_semg"] - told["accuracy_synergy"],
                  verdict="same order" if order else "opposite")  # fmt: skip


def _of_synergies(told: Mapping[str, float]) -> Iterator[Finding]:
    for scale, end in _ENDS.items():
        rank, low, high = (told[f"rank_at_90_vaf{end}{side}"] for side in ("", "_least", "_most"))
        yield Finding(topic="synergies", what=f"rank at 90 % VAF, EMG over {scale}: median, range", low=low, high=high,
                      ours=rank, paper="3 enough for all", verdict=_rank_verdict(rank, high))  # fmt: skip
        yield Finding(topic="synergies", what="the same, each channel at 75 % too",
                      ours=told[f"rank_at_90_vaf_every_channel{end}"])  # fmt: skip
        yield Finding(topic="synergies", what=f"VAF of three, EMG over {scale}", paper="≥ 0.90",
                      ours=told[f"vaf_of_three{end}"])  # fmt: skip
        for number in range(1, RANK + 1):
            name = f"synergy_{number}_similarity"
            ours, limit = told[name + end], told[f"{name}_chance{end}"]
            yield Finding(
                topic="synergies", what=f"synergy {number} across people, EMG over {scale}: cosine (chance's 95 %: "
                f"{limit:.2f})", ours=ours, paper=f"{PAPER[name]}",
                verdict="above chance" if ours > limit else "no more than chance",
            )  # fmt: skip
        ours, limit = (told[f"paper_synergy_cosine{part}{end}"] for part in ("", "_chance"))
        yield Finding(
            topic="synergies", what=f"with the channels that the paper names: mean cosine (chance's 95 %: {limit:.2f})",
            ours=ours, verdict="above chance" if ours > limit else "no more than chance",
        )  # fmt: skip
    yield Finding(
        topic="synergies", what="VAF of three, channels turned round in time", ours=told["vaf_of_three_chance"]
    )


def _of_points(told: Mapping[str, float]) -> Iterator[Finding]:
    for what, name in (("nrmse", "NRMSE"), ("r2", "R²")):
        for model in MODELS:
            numbers = f"{told[f'parameters_{model}']:.0f} numbers"
            yield _finding("points", f"{name}, {_NAMES[model]}, {numbers}", f"{what}_{model}", told)
        p, theirs = told[f"anova_p_{what}"], PAPER[f"anova_p_{what}"]
        yield Finding(topic="points", what=f"{name}, ANOVA of the paper's three: p", ours=p, paper=f"{theirs}",
                      verdict="replicates" if p < 0.05 else "does not replicate")  # fmt: skip
        pair = f"tukey_p_{what}_lrm_smsm_lrm"
        yield Finding(topic="points", what=f"{name}, SMSM-LRM and LRM, Tukey's p", ours=told[pair],
                      paper="0.0243" if what == "nrmse" else "0.0242",
                      verdict=_better(told, what, "smsm_lrm", "lrm", told[pair]))  # fmt: skip
    less = _finding("points", "NRMSE, coupled skin less SMSM-LRM, paired", "nrmse_coupled_less_smsm_lrm", told)
    yield Finding(**{**vars(less), "verdict": "no larger" if less.ours <= 0 else "larger"})


def _of_way_back(told: Mapping[str, float]) -> Iterator[Finding]:
    for model in INVERTED:
        rows = {
            "round_trip_points": "wanted expressions, points missed, share of range",
            "round_trip_activations": "wanted expressions, activations missed, share of range",
            "round_trip_points_worst": "points missed in the worst person",
            "inverse_points": "held-out faces, points missed, share of range",
            "inverse_right": "held-out faces whose nearest cluster is right (chance 0.14)",
            "inverse_emg_correlation": "held-out faces, EMG found with EMG measured, r",
            "trajectory_overshoot": "paths between expressions, points beyond both ends, share of range",
            "trajectory_overshoot_worst": "the same in the worst person",
        }
        for name, what in rows.items():
            yield Finding(topic="way back", what=f"{_NAMES[model]}: {what}", ours=told[f"{name}_{model}"])
        yield Finding(topic="way back", what=f"{_NAMES[model]}: fastest point on a path of 1 s", unit="mm/s",
                      ours=told[f"trajectory_peak_mm_s_{model}"])  # fmt: skip


def _rank_verdict(median: float, high: float) -> str:
    middle = "replicates" if median == RANK else "lower" if median < RANK else "higher"
    return middle if high <= RANK or middle != "replicates" else "replicates in the median, some need more"


def _finding(topic: str, what: str, name: str, told: Mapping[str, float]) -> Finding:
    ours, low, high = told[name], told[f"{name}_low"], told[f"{name}_high"]
    paper = PAPER.get(name)
    return Finding(
        topic=topic, what=what, ours=ours, low=low, high=high, paper="" if paper is None else f"{paper:g}",
        verdict="" if paper is None else _verdict(paper, low, high, middle=ours),
    )  # fmt: skip


def _verdict(paper: float, low: float, high: float, *, middle: float) -> str:
    """Whether the paper's number lies within our interval, and on which side ours is if not."""
    if low <= paper <= high:
        return "replicates"
    return "higher" if middle > paper else "lower"


def _better(told: Mapping[str, float], what: str, one: str, other: str, p: float) -> str:
    """The paper's: `one` better than `other`, p < 0.05."""
    gain = (told[f"{what}_{one}"] - told[f"{what}_{other}"]) * (-1 if what == "nrmse" else 1)
    if p >= 0.05:
        return "does not replicate"
    return "replicates" if gain > 0 else "opposite"


def _notes(told: Mapping[str, float]) -> list[str]:
    within, stranger = told["accuracy_semg"], told["accuracy_unseen_person"]
    notes = [
        "Intervals of accuracies are bootstrapped over people, those of points are Student's over people; of a rank it "
        "is the range.",
        f"The paper's split has every person on both sides. For a person never met EMG falls from {within:.3f} to "
        f"{stranger:.3f}, and to {told['accuracy_unseen_person_without_neutral']:.3f} without neutral, "
        "which is half of all windows and easy: people differ in how they pose, in anatomy and in where the "
        "electrodes sit.",
        "Synergies are fitted to all of a person's trials, as in the paper, and aligned across people without labels; "
        "a new person must have been recorded before her synergies can be read.",
        "No action of the MVC task raises the chin. In expressions the mentalis channel reaches "
        f"{told['mentalis_over_mvc']:.1f} times its MVC (median). The more it does, the more it outweighs all others, "
        "so that a single synergy can reach 90 % of VAF: that is the scale, not the muscles. Over its own maximum each "
        "channel counts alike.",
        "VAF is not centred, as in the paper: the constant part of an envelope counts as explained. Channels turned "
        "round in time show how much no coordination at all gives.",
        "Points are the simulated skin's own, without the errors of a tracker, and the face neither turns nor tires; "
        "the paper's errors contain all that. Ours are therefore smaller for every model, and only their order can be "
        "compared.",
        "The coupled skin is of the same physics as the simulated people, with the mean adult's tissue instead of "
        "theirs: what it gains here is an upper bound for real faces.",
        "Both tests of models take scores as independent, as the paper does; the paired difference is stricter. "
        "Tukey's p here are of all four models.",
    ]
    if told["tukey_p_nrmse_lrm_smsm_lrm"] >= 0.05:
        notes.append(
            "SMSM-LRM gains nothing over the plain regression here: with skin that is read without error the "
            "regression leaves little, and what it leaves is not what springs at single points add."
        )
    if stranger > 0.95:
        notes.append(
            "Near-perfect accuracy for people never met is a fault of the simulation: its people are too alike."
        )
    if told["trajectory_overshoot_worst_smsm_lrm"] > 1:
        notes.append(
            "Equation 14 of the SMSM divides by a stiffness that vanishes for some activations: between expressions it "
            "was fitted to, its points can run away, which held-out trials do not show and the way back does."
        )
    return notes


__all__ = ["PAPER", "figures", "posed_only", "run"]
