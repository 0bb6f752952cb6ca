"""The study of six expressions in pictures, like the paper's figures 6 to 9, and a path between two expressions."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..learning.keypoints import CHANNELS, KEYPOINTS
from ..learning.recognition_scores import Score
from ..sim.facs import SHU_EXPRESSIONS
from .six_expressions_data import CAMERA_HZ, RANK, RANKS, SCALES
from .six_expressions_points import FROM_TO, INVERTED, MODELS
from .six_expressions_scores import SixExpressions

COLOURS = ("#009e73", "#e69f00", "#d55e00", "#0072b2")
"""Of `MODELS`; the first three are also those of the synergies."""
NAMES = ("SMSM", "LRM", "SMSM-LRM", "coupled skin")
PAPER_BARS = {"nrmse": (0.0890, 0.0842, 0.0668), "r2": (0.5707, 0.6258, 0.7702)}


def draw(found: SixExpressions, out: Path) -> list[tuple[str, Path]]:
    """Write the pictures as PNG into a folder; caption and file of each."""
    drawn = (
        ("Confusions, share of true windows: EMG and synergies as the paper splits them; a person never met. EMG over "
         "MVC.", "confusion", _confusions),
        ("Synergies of all people in one order, a dot a person. Above EMG over MVC, below over its own maximum.",
         "synergies", _synergies),
        ("Variance accounted for by number of synergies, a line a person.", "vaf", _vaf),
        ("Errors and R² of held-out trials, a dot a person, black lines the paper's means; * Tukey's p < 0.05.",
         "models", _models),
        ("One person's held-out trial: neutral and each expression in turn, without the seconds between.", "points",
         _traces),
        (f"A path of one second from {FROM_TO[0]} to {FROM_TO[1]}, one person: synergies, EMG over its own maximum, "
         "and the points that two models make of it; SMSM-LRM may leave the frame.", "path", _path),
    )  # fmt: skip
    written = []
    for caption, name, plot in drawn:
        figure = plot(found)
        path = out / f"{name}.png"
        figure.savefig(path, dpi=120)
        plt.close(figure)
        written.append((caption, path))
    return written


def _confusions(found: SixExpressions) -> Figure:
    shown = {
        "EMG": "accuracy_semg",
        "synergies": "accuracy_synergy",
        "EMG, never met": "accuracy_unseen_person",
        "synergies, never met": "accuracy_unseen_person_synergy",
    }
    figure, axes = plt.subplots(1, 4, figsize=(17, 4.8), layout="constrained", sharey=True)
    for axis, (title, name) in zip(axes, shown.items(), strict=True):
        score = found.scores[name]
        _confusion(axis, score)
        axis.set_title(f"{title}: {score.accuracy.mean:.3f}", fontsize=11)
        axis.set_xlabel("named")
    axes[0].set_ylabel("shown")
    return figure


def _confusion(axis: Axes, score: Score) -> None:
    share = score.confusion / np.maximum(score.confusion.sum(1, keepdims=True), 1)
    axis.imshow(share, vmin=0, vmax=1, cmap="Blues")
    axis.set_xticks(range(len(share)), score.classes, rotation=45, ha="right")
    axis.set_yticks(range(len(share)), score.classes)
    for (row, column), value in np.ndenumerate(share):
        if value >= 0.005:
            axis.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=9,
                      color="white" if value > 0.5 else "black")  # fmt: skip


def _synergies(found: SixExpressions) -> Figure:
    figure, axes = plt.subplots(len(SCALES), RANK, figsize=(12, 5.6), layout="constrained", sharex=True, sharey=True)
    for row, scale in zip(axes, SCALES, strict=True):
        alignment = found.alignments[scale]
        for number, axis in enumerate(row):
            axis.bar(CHANNELS, alignment.mean[number], color=COLOURS[number], alpha=0.6)
            _dots(axis, alignment.weights[:, number].T)
            score = alignment.scores[number]
            axis.set_title(
                f"{number + 1}: cosine {score.value:.2f}, chance's 95 % {score.chance_limit:.2f}", fontsize=10
            )
        row[0].set_ylabel(f"EMG over {scale}")
    return figure


def _vaf(found: SixExpressions) -> Figure:
    titles = (*(f"EMG over {scale}" for scale in SCALES), "turned round in time")
    figure, axes = plt.subplots(1, len(titles), figsize=(12, 3.8), layout="constrained", sharey=True)
    for place, (axis, title) in enumerate(zip(axes, titles, strict=True)):
        curves = np.array([one.vaf[place] for one in found.people])
        axis.plot(RANKS, curves.T, color="#0072b2", alpha=0.35, lw=1)
        axis.plot(RANKS, curves.mean(0), "o-", color="#0072b2")
        axis.axhline(0.9, color="grey", lw=0.8, ls="--")
        axis.axvline(RANK, color="grey", lw=0.8, ls=":")
        axis.set_title(title, fontsize=11)
        axis.set_xlabel("synergies")
    axes[0].set_ylabel("VAF, not centred")
    return figure


def _models(found: SixExpressions) -> Figure:
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    for axis, what, title in zip(axes, ("nrmse", "r2"), ("NRMSE", "R²"), strict=True):
        scores = np.array(list(found.by_model(what).values()))
        axis.bar(range(len(MODELS)), scores.mean(1), color=COLOURS, alpha=0.6)
        _dots(axis, scores)
        for place, published in enumerate(PAPER_BARS[what]):
            axis.hlines(published, place - 0.4, place + 0.4, color="black", lw=2)
        numbers = found.points[0].parameters
        axis.set_xticks(range(len(MODELS)), [f"{name}\n{n} numbers" for name, n in zip(NAMES, numbers, strict=True)])
        axis.set_title(f"{title}; paper's three: {found.compared(what)}", fontsize=10)
        _brackets(axis, found, what, max(scores.max(), *PAPER_BARS[what]))
    return figure


def _brackets(axis: Axes, found: SixExpressions, what: str, top: float) -> None:
    names, level = list(MODELS), 1.04
    for pair in found.compared(what, tuple(MODELS)).pairs:
        if pair.p >= 0.05:
            continue
        ends = names.index(pair.one), names.index(pair.other)
        axis.plot(ends, [level * top] * 2, color="black", lw=1)
        axis.text(sum(ends) / 2, level * top, "*", ha="center", va="bottom", fontsize=11)
        level += 0.07
    axis.set_ylim(0, top * (level + 0.04))


def _traces(found: SixExpressions) -> Figure:
    points = _typical(found)
    time_s = np.arange(len(points.truth_mm)) / CAMERA_HZ
    figure, axes = plt.subplots(len(KEYPOINTS), 1, figsize=(12, 9), layout="constrained", sharex=True)
    for place, (axis, name) in enumerate(zip(axes, KEYPOINTS, strict=True)):
        axis.plot(time_s, points.truth_mm[:, place], color="black", lw=2.2, label="skin")
        for model, colour, style, predicted in zip(
            NAMES, COLOURS, (":", "--", "-.", "-"), points.predicted_mm, strict=True
        ):
            axis.plot(time_s, predicted[:, place], color=colour, ls=style, lw=1.2, label=model)
        axis.set_ylabel(f"{name}, mm")
    width = time_s[-1] / len(SHU_EXPRESSIONS)
    for number, expression in enumerate(SHU_EXPRESSIONS):
        axes[0].text((number + 0.5) * width, 1.02, expression, ha="center", transform=axes[0].get_xaxis_transform())
    axes[-1].legend(ncols=5, fontsize=8, frameon=False, loc="lower left")
    axes[-1].set_xlabel("s, settled frames only")
    return figure


def _path(found: SixExpressions) -> Figure:
    points = _typical(found)
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
    time_s = np.arange(len(points.path_mm[0])) / CAMERA_HZ
    place = INVERTED.index("coupled")
    axes[0].plot(time_s, points.path_activations[place])
    axes[0].legend([f"synergy {k + 1}" for k in range(RANK)], frameon=False, fontsize=8)
    axes[0].set_title("her own synergies", fontsize=11)
    axes[1].plot(time_s, points.path_emg[place])
    axes[1].legend(CHANNELS, frameon=False, fontsize=8)
    axes[1].set_title("EMG over its own maximum", fontsize=11)
    for point, name in enumerate(KEYPOINTS):
        (line,) = axes[2].plot(time_s, points.path_mm[place][:, point], label=name)
        axes[2].plot(time_s, points.path_mm[1 - place][:, point], color=line.get_color(), ls="--")
    low, high = points.path_mm[place].min(), points.path_mm[place].max()
    axes[2].set_ylim(low - 0.5 * (high - low), high + 0.5 * (high - low))  # the other may run away
    axes[2].legend(frameon=False, fontsize=8)
    axes[2].set_title("points, mm: coupled skin, SMSM-LRM dashed", fontsize=11)
    for axis in axes:
        axis.set_xlabel("s")
    return figure


def _typical(found: SixExpressions):
    """The person whose coupled skin is in the middle."""
    errors = [one.nrmse[list(MODELS).index("coupled")].mean() for one in found.points]
    return found.points[int(np.argsort(errors)[len(errors) // 2])]


def _dots(axis: Axes, groups: Sequence | np.ndarray) -> None:
    rng = np.random.default_rng(0)
    for place, values in enumerate(groups):
        axis.plot(place + rng.uniform(-0.18, 0.18, len(values)), values, ".", color="black", alpha=0.55, ms=5)


__all__ = ["draw"]
