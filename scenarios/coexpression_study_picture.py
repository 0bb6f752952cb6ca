"""Pictures of `study coexpression`: how far apart the two faces were, and what was known of the target."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

_SHOWN = {
    "mimicry": "mimicry", "paper": "paper", "camera": "camera", "emg_camera": "EMG + camera",
    "emg": "EMG alone, face covered", "emg_distal4": "temples alone, face covered", "oracle": "oracle",
}  # fmt: skip
_RANGE_MS = 450.0


def draw(timed: Mapping[str, Any], rows: Mapping[str, Any], real: Any, out: Path) -> list[tuple[str, Path]]:
    """Draw what there is; caption and file of each."""
    figure, axes = plt.subplots(figsize=(8, 3.6))
    late = [np.clip(timed[name].late_ms, -_RANGE_MS, _RANGE_MS) for name in _SHOWN]
    axes.axvline(0, color="0.6", lw=1)
    axes.boxplot(late[::-1], orientation="horizontal", widths=0.6, showfliers=False, medianprops={"color": "C3"})
    axes.set_yticks(range(1, len(_SHOWN) + 1), list(_SHOWN.values())[::-1])
    axes.set_xlabel("robot's rise after hers, ms")
    axes.set_xlim(-_RANGE_MS, _RANGE_MS)
    first = _saved(figure, out / "asynchrony.png")
    figure, axes = plt.subplots(figsize=(8, 3))
    names = list(rows)
    means = [rows[name].figures["mean_mm"] for name in names]
    spread = [1.96 * rows[name].figures["sem_mm"] for name in names]
    axes.barh([n.replace("_", " + ") for n in names][::-1], means[::-1], xerr=spread[::-1], color="0.7")
    axes.set_xlabel("error of the target face, mm a coordinate")
    second = _saved(figure, out / "target.png")
    drawn = [
        ("How late the robot was, every expression; whiskers: 1.5 quartile ranges", first),
        ("Error of the predicted target, four frames after the peak activation; 95 %", second),
    ]
    if real is not None:
        figure, axes = plt.subplots(figsize=(8, 3))
        leads = range(2, 15)
        for end, label in (("arrival", "before the apex is reached"), ("apex", "before the plateau's maximum")):
            axes.plot([40 * k for k in leads], [real.scores.at(end, k).ratio() for k in leads], marker="o", label=label)
        axes.axhline(1, color="0.6", lw=1)
        axes.set_xlabel("lead, ms")
        axes.set_ylabel("error over copying")
        axes.legend(frameon=False)
        drawn.append(("Real faces: error of the predicted apex over that of copying", _saved(figure, out / "real.png")))
    return drawn


def _saved(figure: Any, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path


__all__ = ["draw"]
