"""How a policy learnt, in one picture: reward and landmark error over the iterations, beside who learns nothing."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from ..learning.policy import Learner

_LINES = {
    "error_mm": (
        ("error_mm", "policy, held-out goals", "C0", "-"),
        ("servoing_error_mm", "visual servoing", "C1", "--"),
        ("mimicry_error_mm", "scripted mimicry", "C3", "--"),
        ("oracle_error_mm", "who knows the command", "0.4", ":"),
        ("random_error_mm", "random actions", "0.7", "-."),
    ),
    "reward": (
        ("reward", "policy, held-out episodes", "C0", "-"),
        ("reactive_reward", "reactive", "C1", "--"),
        ("random_reward", "random actions", "0.7", "-."),
    ),
}


def draw(learner: Learner, figures: Mapping[str, float], path: Path) -> Path:
    """Write the picture as PNG; the curves are of episodes in training, exploring once cloning is over."""
    has_error = bool(np.isfinite(learner.errors_mm).any()) or "error_mm" in figures
    panels = [("reward", "mean reward of a step", learner.rewards)]
    panels += [("error_mm", "mean landmark error, mm", learner.errors_mm)] if has_error else []
    figure, axes = plt.subplots(1, len(panels), figsize=(6.2 * len(panels), 4.4), layout="constrained", squeeze=False)
    for axis, (kind, label, curve) in zip(axes[0], panels, strict=True):
        axis.plot(np.arange(1, len(curve) + 1), curve, "C0", lw=1, marker="o", ms=3, alpha=0.6, label="in training")
        for name, who, colour, stroke in _LINES[kind]:
            if name in figures:
                axis.axhline(figures[name], color=colour, ls=stroke, lw=1.4, label=who)
        if kind == "error_mm":
            axis.set_yscale("log")
        if learner.looks and learner.iteration:
            axis.axvline(learner.looks + 0.5, color="0.8", lw=1)
        axis.set_xlabel(" then ".join(_stages(learner)))
        axis.set_ylabel(label)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=9)
    figure.suptitle(learner.env, fontsize=12)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path


def _stages(learner: Learner) -> list[str]:
    return ["thousand steps of cloning"] * bool(learner.looks) + ["iteration"] * bool(learner.iteration)


__all__ = ["draw"]
