"""The epidermal study in pictures, as the paper's figures 1d-e, 3c-f and 4 have them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from ..learning.metrics import Interval
from .epidermal_camera import Sights
from .epidermal_scores import Result, Scores

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#8a8a8a"
_CHANCE = {"linestyle": ":", "color": GREY, "linewidth": 1.2}
NEURAL = "fer-ee"


def confusions(found: Scores, path: Path) -> None:
    """Types and intensities, first wearing to later ones."""
    figure, axes = plt.subplots(1, 2, figsize=(12.5, 5.6), width_ratios=(1.25, 1), layout="constrained")
    titles = ("expression", "intensity")
    for axis, title, result in zip(axes, titles, (found.types["later"], found.intensities["later"]), strict=True):
        share = result.confusion / np.maximum(result.confusion.sum(1, keepdims=True), 1)
        axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for (row, column), value in np.ndenumerate(share):
            if value >= 0.005:
                axis.text(
                    column,
                    row,
                    f"{100 * value:.0f}",
                    ha="center",
                    va="center",
                    color="black" if value < 0.5 else "white",
                )
        ticks = range(len(result.classes))
        axis.set_xticks(ticks, result.classes, rotation=30 if title == "expression" else 0)
        axis.set_yticks(ticks, result.classes)
        axis.set_xlabel("named")
        axis.set_ylabel("asked for")
        axis.set_title(f"{title}: {100 * result.accuracy.mean:.1f} % right, later wearings", fontsize=11)
    _save(figure, path)


def splits(found: Scores, path: Path) -> None:
    """Accuracy by what the reader had not seen, types and intensities."""
    rows = {
        "windows of the same contraction": "within batch",
        "other contractions, same wearing": "held trials",
        "later wearing": "later",
        "later wearing, own-batch scaling": "scaled",
        "later wearing, no scaling": "unscaled",
        "later wearing, learnt from all people": "several people",
        "another person": "across people",
    }
    figure, axes = plt.subplots(1, 2, figsize=(12.5, 4.2), sharey=True, layout="constrained")
    titles, chances = ("expression, 7 classes", "intensity, 5 classes"), (1 / 7, 1 / 5)
    for axis, tests, title, chance in zip(axes, (found.types, found.intensities), titles, chances, strict=True):
        for place, name in enumerate(rows.values()):
            if name in tests:
                _bar(axis, place, tests[name].accuracy, BLUE)
        if tests is found.intensities:
            near = [tests[name].within_one.mean if name in tests else np.nan for name in rows.values()]
            axis.plot(near, range(len(rows)), "D", color=ORANGE, label="at most one level off")
            axis.legend(loc="center left", bbox_to_anchor=(0.25, 0.79), fontsize=8)
        axis.axvline(chance, **_CHANCE)
        axis.set(xlim=(0, 1), xlabel="accuracy (dotted: chance)", title=title)
        axis.set_yticks(range(len(rows)), rows)
    axes[0].invert_yaxis()
    _save(figure, path)


def electrodes(found: Scores, shifted: Mapping[float, Interval], path: Path) -> None:
    """Number of electrodes, electrodes that die after training, electrodes put on with less care."""
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.4), layout="constrained", width_ratios=(1.2, 1, 0.9))
    counts = sorted(found.channels)
    for count in counts:
        means = [result.accuracy.mean for result in found.channels[count]]
        axes[0].plot([count] * len(means), means, "o", color=GREY, markersize=4)
    axes[0].plot(counts, _means(found.channels), "-o", color=BLUE, label="mean of the choices (grey)")
    axes[0].axhline(1 / 7, **_CHANCE)
    axes[0].set(xlabel="electrodes (11, 12: with AU6, AU20)", ylabel="accuracy, later wearings", ylim=(0, 1))
    axes[0].set_title("fewer electrodes, trained anew", fontsize=11)
    axes[0].legend(loc="lower right", fontsize=8)
    whole = found.types["later"].accuracy.mean
    order = sorted(found.dead, key=lambda name: found.dead[name])
    axes[1].barh(order, [found.dead[name] for name in order], color=BLUE)
    axes[1].axvline(whole, color=ORANGE, label="all alive")
    axes[1].axvline(1 / 7, **_CHANCE)
    axes[1].set(xlim=(0, 1), xlabel="accuracy")
    axes[1].set_title("one electrode reads zero, not trained anew", fontsize=11)
    axes[1].legend(loc="upper right", fontsize=8)
    sizes = sorted(shifted)
    means = np.array([shifted[sd].mean for sd in sizes])
    error = [means - [shifted[sd].low for sd in sizes], [shifted[sd].high for sd in sizes] - means]
    axes[2].errorbar(sizes, means, error, fmt="-o", color=BLUE, capsize=4)
    axes[2].axhline(1 / 7, **_CHANCE)
    axes[2].set(ylim=(0, 1), xlabel="electrodes off by, SD mm", ylabel="accuracy, next wearing")
    axes[2].set_title("put on with less care", fontsize=11)
    _save(figure, path)


def classifiers(found: Scores, names: Sequence[str], path: Path) -> None:
    """FER-EE and the others, types and intensities, later wearings."""
    figure, axis = plt.subplots(figsize=(9, 4.2), layout="constrained")
    groups = ((-0.2, found.types, BLUE, "expression"), (0.2, found.intensities, ORANGE, "intensity"))
    for offset, tests, colour, label in groups:
        for place, name in enumerate(names):
            shown: Result = tests["later" if name == NEURAL else name]
            low, high = shown.accuracy.mean - shown.accuracy.low, shown.accuracy.high - shown.accuracy.mean
            axis.bar(place + offset, shown.accuracy.mean, 0.38, color=colour, yerr=[[low], [high]], capsize=3,
                     label=label if place == 0 else None)  # fmt: skip
            axis.text(place + offset, 0.03, f"{100 * shown.accuracy.mean:.0f}", ha="center", color="white")
    axis.axhline(1 / 7, **_CHANCE)
    axis.axhline(1 / 5, **_CHANCE)
    axis.set_xticks(range(len(names)), [name.upper() if len(name) < 7 else name for name in names])
    axis.set(ylim=(0, 1.12), ylabel="accuracy, later wearings (dotted: chance)")
    axis.legend(loc="upper right", ncols=2, frameon=False)
    _save(figure, path)


def camera(seen: Sights, path: Path) -> None:
    """Camera against EMG by condition, with one face under each."""
    names = list(seen.camera)
    figure = plt.figure(figsize=(13, 5.6), layout="constrained")
    grid = figure.add_gridspec(2, len(names), height_ratios=(2.4, 1))
    axis = figure.add_subplot(grid[0, :])
    for place, name in enumerate(names):
        one = seen.camera[name]
        axis.bar(place, one.mean, 0.6, color=ORANGE, yerr=[[one.mean - one.low], [one.high - one.mean]], capsize=3,
                 label="camera, MediaPipe" if place == 0 else None)  # fmt: skip
    axis.plot(
        range(len(names)), [seen.found[name] for name in names], "_", color="black", markersize=26, label="face found"
    )
    axis.axhspan(seen.emg.low, seen.emg.high, color=BLUE, alpha=0.2)
    axis.axhline(seen.emg.mean, color=BLUE, label="EMG, the same contractions")
    axis.axhline(1 / 7, **_CHANCE)
    axis.set(ylim=(0, 1.03), xlim=(-0.5, len(names) - 0.5), ylabel="accuracy (dotted: chance)")
    axis.set_xticks(range(len(names)), names)
    axis.legend(loc="upper right", bbox_to_anchor=(1, 0.85), framealpha=1, fontsize=9)
    for place, picture in enumerate(seen.sheet):
        tile = figure.add_subplot(grid[1, place])
        tile.imshow(picture)
        tile.axis("off")
    _save(figure, path)


def _bar(axis: Axes, place: int, value: Interval, colour: str) -> None:
    axis.barh(place, value.mean, color=colour, xerr=[[value.mean - value.low], [value.high - value.mean]], capsize=3)
    axis.text(0.02, place, f"{100 * value.mean:.1f}", va="center", color="white", fontsize=9)


def _means(channels: Mapping[int, Sequence[Result]]) -> list[float]:
    return [float(np.mean([one.accuracy.mean for one in channels[count]])) for count in sorted(channels)]


def _save(figure, path: Path) -> None:
    figure.savefig(path, dpi=120)
    plt.close(figure)


__all__ = ["camera", "classifiers", "confusions", "electrodes", "splits"]
