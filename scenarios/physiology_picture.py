"""The study of physiology in one picture: the pattern of eight sites, simulated and real, and how far EMG leads."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from .physiology_behaviour import Population
from .real_recordings import POSED, SITES, Pattern


def draw(simulated: Pattern, real: Pattern, smilers: Population, path: Path) -> None:
    """Write the picture as PNG."""
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.6), width_ratios=(1, 1, 0.8), layout="constrained")
    highest = max(simulated.mean_db.max(), real.mean_db.max())
    colours = ScalarMappable(Normalize(0, highest), "cividis")
    for axis, pattern, title in zip(axes, (simulated, real), ("simulated", "real"), strict=False):
        people = len(pattern.power_db)
        axis.imshow(pattern.mean_db[1:], norm=colours.norm, cmap=colours.cmap, aspect="auto")
        axis.set_xticks(range(len(SITES)), SITES, rotation=40, ha="right")
        axis.set_yticks(range(len(POSED) - 1), POSED[1:])
        axis.set_title(f"{title}, {people} people: power over neutral, dB", fontsize=11)
        for (row, column), value in np.ndenumerate(pattern.mean_db[1:]):
            dark = value > 0.6 * highest
            axis.text(column, row, f"{value:.0f}", ha="center", va="center", color="black" if dark else "white")
    figure.colorbar(colours, ax=axes[1], label="dB")
    _leads(axes[2], smilers)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _leads(axis, smilers: Population) -> None:
    groups = (smilers.lead_proximal_s, smilers.lead_distal_s)
    rng = np.random.default_rng(0)
    for place, (lead, published, spread) in enumerate(zip(groups, (230, 374), (0, 366), strict=True)):
        ms = 1e3 * lead
        axis.plot(place + rng.uniform(-0.08, 0.08, len(ms)), ms, "o", color="#0072b2", alpha=0.7)
        axis.hlines(np.median(ms), place - 0.2, place + 0.2, color="#0072b2", lw=2)
        axis.errorbar(place + 0.3, published, spread or None, fmt="s", color="#d55e00", capsize=4)
    axis.plot([], [], "o-", color="#0072b2", label="simulated people, median")
    axis.plot([], [], "s", color="#d55e00", label="published mean (± SD)")
    axis.axhline(0, color="grey", lw=0.8)
    axis.set_xticks((0, 1), ("pairs on\nthe muscle", "temples"))
    axis.set_xlim(-0.5, 1.6)
    axis.set_ylabel("EMG before the camera's AU12, ms")
    axis.set_title("Who speaks first", fontsize=11)
    axis.legend(loc="upper left", fontsize=8, frameon=False)
