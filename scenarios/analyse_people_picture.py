"""People before eight electrodes in two pictures: who is recognised as what, and what the sites show."""

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from ..learning.recognition_scores import Score
from .analyse_picture import confusion
from .real_recordings import POSED, SITES, Pattern

if TYPE_CHECKING:
    from .analyse_people import Strangers


def draw(
    theirs: "Strangers", ours: "Strangers", real: Pattern, simulated: Pattern, names: tuple[str, ...], out: Path
) -> tuple[tuple[str, Path], ...]:
    """Write loso.png and pattern.png; returns captions and files."""
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.6), width_ratios=(1, 1, 0.7), layout="constrained")
    for axis, one, title in zip(axes, (theirs, ours), ("real", "simulated"), strict=False):
        confusion(axis, one.score, f"{title}: {one.score.accuracy.mean:.2f} of windows right", order=POSED)
    _by_person(axes[2], theirs.score, ours.score)
    figure.savefig(out / "loso.png", dpi=130)
    plt.close(figure)
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    highest = max(real.mean_db.max(), simulated.mean_db.max())
    colours = ScalarMappable(Normalize(0, highest), "cividis")
    for axis, one, title in zip(axes, (real, simulated), ("real", "simulated"), strict=True):
        axis.imshow(one.mean_db[1:], norm=colours.norm, cmap=colours.cmap, aspect="auto")
        axis.set_xticks(range(len(SITES)), SITES, rotation=40, ha="right")
        axis.set_yticks(range(len(POSED) - 1), POSED[1:])
        axis.set_title(f"{title}, {len(one.power_db)} people: power over neutral, dB", fontsize=11)
        for (row, column), value in np.ndenumerate(one.mean_db[1:]):
            dark = value > 0.6 * highest
            axis.text(column, row, f"{value:.0f}", ha="center", va="center", color="black" if dark else "white")
    figure.colorbar(colours, ax=axes[1], label="dB")
    figure.savefig(out / "pattern.png", dpi=130)
    plt.close(figure)
    return (
        (
            "One person left out in turn: what was shown (rows) and what was named, real and simulated.",
            out / "loso.png",
        ),
        ("Rise of power over neutral, mean over people.", out / "pattern.png"),
    )


def _by_person(axis, theirs: Score, ours: Score) -> None:
    rng = np.random.default_rng(0)
    for place, (score, colour) in enumerate(((theirs, "#d55e00"), (ours, "#0072b2"))):
        each = np.array(list(score.by_split.values()))
        axis.plot(place + rng.uniform(-0.1, 0.1, len(each)), each, "o", color=colour, alpha=0.7)
        held = score.accuracy
        axis.errorbar(
            place + 0.25, held.mean, [[held.mean - held.low], [held.high - held.mean]], fmt="s", color=colour, capsize=4
        )
    axis.axhline(theirs.chance, color="grey", ls=":")
    axis.text(1.5, theirs.chance, "chance", ha="right", va="bottom", color="grey", fontsize=8)
    axis.set_xticks((0, 1), ("real", "simulated"))
    axis.set_xlim(-0.5, 1.5)
    axis.set_ylim(0, 1)
    axis.set_title("Each person; mean and 95 %", fontsize=11)
    axis.set_ylabel("accuracy")


__all__ = ["draw"]
