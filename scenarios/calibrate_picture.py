"""A calibration in one picture: linkages, servos, skin, and how far the poses were from rest."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullFormatter

from ..sim.robot.servo import SERVO_NAMES
from ..twin.calibrate_skin import Views
from ..twin.calibration import Calibration

_PANELS = {
    "ratio": "crank per servo angle", "delay_s": "delay, s",
    "gain": "gain over design's", "speed": "speed over design's",
}  # fmt: skip


_TICKS = (0.25, 0.5, 1.0, 2.0, 4.0)


def draw(calibration: Calibration, views: Views, path: Path) -> Path:
    """Write the picture as PNG: each measured number of every servo with its standard error, and the poses."""
    figure, axes = plt.subplots(1, len(_PANELS) + 1, figsize=(15, 6), layout="constrained", sharey=False)
    places = np.arange(len(SERVO_NAMES))
    turned = np.array([c.direction < 0 for c in calibration.servo_map.channels])
    colours = np.where(~calibration.seen, "#bbbbbb", np.where(turned, "#d55e00", "#0072b2"))
    for axis, (name, title) in zip(axes, _PANELS.items(), strict=False):
        values, sd = calibration.values[name], np.nan_to_num(calibration.sd[name])
        axis.hlines(places, values * np.exp(-2 * sd), values * np.exp(2 * sd), colors=colours)
        axis.scatter(values, places, c=colours, s=16, zorder=2)
        axis.set(title=title, yticks=places, yticklabels=SERVO_NAMES if axis is axes[0] else [], ylim=(25.6, -0.6))
        axis.grid(axis="y", alpha=0.2)
        if name == "gain":
            axis.set_xscale("log")
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.set_xticks(_TICKS, [f"{t:g}" for t in _TICKS])
    moved = 1e3 * np.linalg.norm(views.seen[:, :-7].reshape(len(views.seen), -1, 3), axis=-1).max(1)
    axes[-1].hist(moved[np.isfinite(moved)], bins=20, color="#0072b2")
    axes[-1].set(title="poses: largest motion, mm")
    figure.suptitle("orange: turns the other way; grey: the camera could not see it; bars: two standard errors")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path


__all__ = ["draw"]
