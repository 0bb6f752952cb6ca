"""Pictures of a recording: envelopes under their labels, synergies, confusions, what a camera and EMG say."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from ..learning.recognition import NEUTRAL
from ..learning.recognition_scores import Score

if TYPE_CHECKING:
    from .analyse_signal import Measured

_SHOWN_S = 120.0


def draw(one: "Measured", out: Path) -> tuple[tuple[str, Path], ...]:
    """Write the pictures of one recording; returns captions and files, those that there is something for."""
    found = [(f"{one.name}: envelopes below 4 Hz; stretches are what was shown.", _traces(one, out / "traces.png"))]
    if one.synergies is not None:
        found.append((f"{one.name}: synergies, and VAF of every rank.", _synergies(one, out / "synergies.png")))
    if one.units:
        found.append(
            (f"{one.name}: action units as seen, and the EMG that goes with them.", _units(one, out / "units.png"))
        )
    return tuple(found)


def draw_confusion(score: Score, what: str, path: Path) -> tuple[str, Path]:
    """Write one matrix of confusions; returns its caption and file."""
    figure, axis = plt.subplots(figsize=(5.2, 4.6), layout="constrained")
    confusion(axis, score, f"{score.accuracy.mean:.2f} of windows right")
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return f"{what}: what was shown (rows) and what was named.", path


def confusion(axis, score: Score, title: str, *, order: Sequence[str] = ()) -> None:
    """Shares of each row in an axis; order: of the classes, by default as the score has them."""
    classes = [name for name in (order or score.classes) if name in score.classes]
    places = [score.classes.index(name) for name in classes]
    counts = np.asarray(score.confusion, float)[np.ix_(places, places)]
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axis.imshow(share, vmin=0, vmax=1, cmap="Blues")
    axis.set_xticks(range(len(classes)), classes, rotation=40, ha="right")
    axis.set_yticks(range(len(classes)), classes)
    axis.set_title(title, fontsize=11)
    for (row, column), value in np.ndenumerate(share):
        if value >= 0.005:
            axis.text(
                column,
                row,
                f"{value:.2f}",
                ha="center",
                va="center",
                color="white" if value > 0.6 else "black",
                fontsize=8,
            )


def _traces(one: "Measured", path: Path) -> Path:
    until = one.times_s <= one.times_s[0] + _SHOWN_S
    times, envelopes = one.times_s[until], one.envelopes_uv[until]
    count = envelopes.shape[1]
    figure, axes = plt.subplots(
        count, 1, figsize=(12, 1 + 0.75 * count), sharex=True, squeeze=False, layout="constrained"
    )
    names = sorted({event.label for event in one.shown} - {NEUTRAL})
    colours = {name: f"C{place % 10}" for place, name in enumerate(names)}
    for axis, name, course in zip(axes[:, 0], one.quality.channels, envelopes.T, strict=True):
        axis.plot(times, course, color="black", lw=0.8)
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
        axis.set_ylim(0, 1.05 * max(float(course.max()), 1e-9))
        axis.tick_params(labelsize=7)
        for event in one.shown:
            if event.label in colours and event.onset_s < times[-1]:
                axis.axvspan(event.onset_s, min(event.end_s, times[-1]), color=colours[event.label], alpha=0.18, lw=0)
    for name in names:
        axes[0, 0].plot([], [], color=colours[name], lw=6, alpha=0.4, label=name)
    if names:
        axes[0, 0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=min(len(names), 8), fontsize=8, frameon=False)
    axes[-1, 0].set_xlabel("s (each axis in µV)")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def _synergies(one: "Measured", path: Path) -> Path:
    synergies = one.synergies
    assert synergies is not None
    rank, channels = synergies.weights_.shape
    size = (2.2 * rank + 3.5, 0.8 + 0.32 * channels)
    figure, grid = plt.subplots(1, rank + 1, figsize=size, layout="constrained", squeeze=False)
    axes = grid[0]
    for place, (axis, weights) in enumerate(zip(axes, synergies.weights_, strict=False)):
        axis.barh(range(channels), weights, color=f"C{place}")
        axis.set_yticks(range(channels), one.quality.channels if place == 0 else [""] * channels, fontsize=8)
        axis.invert_yaxis()
        axis.set_xlim(0, 1)
        axis.set_title(f"synergy {place + 1}", fontsize=10)
    axes[-1].plot(synergies.ranks_, synergies.vaf_curve_, "o-", color="black")
    axes[-1].axhline(0.9, color="grey", ls=":")
    axes[-1].axvline(rank, color="grey", lw=0.8)
    axes[-1].set_xlabel("synergies")
    axes[-1].set_title("VAF", fontsize=10)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


def _units(one: "Measured", path: Path) -> Path:
    figure, axes = plt.subplots(
        len(one.units), 1, figsize=(12, 1 + 1.2 * len(one.units)), sharex=True, squeeze=False, layout="constrained"
    )
    for axis, unit in zip(axes[:, 0], one.units, strict=True):
        until = unit.times_s <= unit.times_s[0] + _SHOWN_S
        for course, colour, label in ((unit.seen, "#d55e00", "seen"), (unit.course, "#0072b2", "EMG source")):
            part = course[until]
            axis.plot(
                unit.times_s[until],
                (part - part.min()) / max(float(np.ptp(part)), 1e-9),
                color=colour,
                lw=0.9,
                label=label,
            )
        axis.set_ylabel(unit.unit, rotation=0, ha="right", va="center")
        axis.set_yticks(())
    axes[0, 0].legend(loc="upper right", fontsize=8, frameon=False)
    axes[-1, 0].set_xlabel("s")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


__all__ = ["confusion", "draw", "draw_confusion"]
