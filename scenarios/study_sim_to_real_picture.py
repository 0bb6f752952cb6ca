"""The study of hidden robots in pictures: errors of every robot, and one face in four hands."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from ..sim.errors import GraphicsError
from ..sim.mesh import REST
from ..sim.robot.render import FaceRenderer
from ..sim.robot.servo import SERVO_NAMES

if TYPE_CHECKING:
    from .study_sim_to_real import Trial

_COLOURS = {"uncalibrated": "#999999", "linkages": "#56b4e9", "calibrated": "#0072b2", "true": "#009e73"}
_SHOWN = 3


def draw(plain: Sequence["Trial"], watched: Sequence["Trial"], out: Path) -> list[tuple[str, Path]]:
    """Write the pictures as PNG; caption and file of each."""
    pictures = [
        (
            "Error of mirrored expressions of every hidden robot, by who steers it. Under each robot the servo that "
            "turns the wrong way; the robots on the right were looked at by MediaPipe.",
            _bars([*plain, *watched], out / "errors.png"),
        )
    ]
    try:
        faces = _faces(plain, out / "faces.png")
    except GraphicsError:
        return pictures
    caption = "The strongest expression: as the simulated design shows it, then hidden robots, uncalibrated to true."
    return [*pictures, (caption, faces)]


def _bars(trials: Sequence["Trial"], path: Path) -> Path:
    figure, axis = plt.subplots(figsize=(14, 4.2), layout="constrained")
    width = 0.8 / len(_COLOURS)
    for k, (way, colour) in enumerate(_COLOURS.items()):
        heights = [t.errors_mm[way] for t in trials]
        axis.bar(np.arange(len(trials)) + (k - 1.5) * width, heights, width, color=colour, label=way)
    labels = [
        "\n".join([*SERVO_NAMES[int(t.found["swapped"])].split("_"), *(["(MediaPipe)"] if t.eye == "tracker" else [])])
        for t in trials
    ]
    axis.set_xticks(range(len(trials)), labels, fontsize=8)
    axis.set(ylabel="rms error of landmarks, mm", yscale="log")
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("{x:g}")
    axis.legend(frameon=False, ncols=4)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def _faces(trials: Sequence["Trial"], path: Path) -> Path:
    shown = sorted(trials, key=lambda t: -t.errors_mm["uncalibrated"])[:: max(1, len(trials) // _SHOWN)][:_SHOWN]
    titles = ("the design", *_COLOURS)
    figure, axes = plt.subplots(len(shown), len(titles), figsize=(13, 2.7 * len(shown)), squeeze=False)
    with FaceRenderer(still=True) as renderer:
        for row, trial in zip(axes, shown, strict=True):
            for axis, title, motion in zip(row, titles, trial.faces[:-1], strict=True):
                axis.imshow(renderer.image(REST + motion)[70:430, 60:420])
                axis.set_axis_off()
                error = f", {trial.errors_mm[title]:.2f} mm" if title in trial.errors_mm else ""
                axis.set_title(title + error, fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)
    return path


__all__ = ["draw"]
