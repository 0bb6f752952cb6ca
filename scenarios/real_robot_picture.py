"""The study of the real robot in pictures: faces that were never seen, and R² of all models."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from ..learning.robot_twin_fields import SERVOS
from ..sim import mesh
from .real_robot_scores import FEW, Rows, Scores

NAMES = {
    "ridge": "ridge", "quadratic": "quadratic\nridge", "gp": "Gaussian\nprocess", "process": "twin without\nphysics",
    "physics": "physics", "twin": "twin",
}  # fmt: skip
TITLES = {"": "new clips, 5 folds", f"_{FEW}_rows": f"calibrated from {FEW} rows", "_beyond": "commands beyond"}
_COLOURS = {"physics": "#0072b2", "twin": "#009e73"}
_SHOWN = 4
_DARK_MM = 4.0
_CONTOURS = (
    mesh.LIPS_INNER, mesh.LIPS_OUTER, mesh.EYE_LEFT, mesh.EYE_RIGHT, mesh.BROW_LEFT, mesh.BROW_RIGHT, mesh.FACE_OVAL
)  # fmt: skip


def draw(rows: Rows, scores: Mapping[str, Scores], told: Mapping[str, float], out: Path) -> list[tuple[str, Path]]:
    """Write the pictures as PNG into a folder; caption and file of each."""
    pictures = []
    for name, caption, figure in (
        ("bars", "R² pooled over coordinates, with bootstrapped 95 % intervals.", _bars(scores, told)),
        ("faces", "Faces of clips that were never seen, furthest from the mean first: measured landmarks black, "
         "predicted ones in colour, their distance as shade; mean over all points in mm.", _faces(rows, scores[""])),
        ("servos", "R² where one servo goes beyond the commands it was trained with.", _servos(scores["_beyond"])),
    ):  # fmt: skip
        path = out / f"{name}.png"
        figure.savefig(path, dpi=110)
        plt.close(figure)
        pictures.append((caption, path))
    return pictures


def _bars(scores: Mapping[str, Scores], told: Mapping[str, float]):
    figure, axes = plt.subplots(1, len(scores), figsize=(15, 4.4), layout="constrained")
    for axis, (ending, found) in zip(axes, scores.items(), strict=True):
        names = [f"r2_{model}{ending}" for model in found.models]
        values = np.array([[told[name], told[f"{name}_low"], told[f"{name}_high"]] for name in names])
        colours = [_COLOURS.get(model, "#999999") for model in found.models]
        axis.bar(range(len(names)), values[:, 0], color=colours)
        axis.errorbar(range(len(names)), values[:, 0], np.abs(values[:, 1:] - values[:, :1]).T, fmt="none",
                      ecolor="black", capsize=4)  # fmt: skip
        for place, value in enumerate(values[:, 0]):
            axis.text(place, 0.02, f"{value:.3f}", ha="center", transform=axis.get_xaxis_transform())
        axis.set_xticks(range(len(names)), [NAMES[model] for model in found.models], fontsize=8)
        axis.set_ylim(max(0.0, values.min() - 0.08), min(1.0, values.max() + 0.03))
        axis.set_title(TITLES[ending], fontsize=11)
    axes[0].set_ylabel("R²")
    return figure


def _faces(rows: Rows, scores: Scores):
    assert scores.faces_cm is not None
    apart = np.linalg.norm(rows.faces_cm - rows.faces_cm.mean(0), axis=-1).mean(-1)
    chosen, seen = [], set()
    for row in np.argsort(-apart):
        if rows.clips[row] not in seen:
            chosen.append(row)
            seen.add(rows.clips[row])
        if len(chosen) == _SHOWN:
            break
    models = ("ridge", "gp", "physics", "twin")
    figure, axes = plt.subplots(_SHOWN, len(models), figsize=(12, 3.3 * _SHOWN), layout="constrained")
    shade = None
    for line, row in zip(axes, chosen, strict=True):
        for axis, model in zip(line, models, strict=True):
            face, truth = scores.faces_cm[scores.models.index(model), row], rows.faces_cm[row]
            missed_mm = 10 * np.linalg.norm(face - truth, axis=1)
            shade = axis.tripcolor(
                truth[:, 0], truth[:, 1], mesh.TRIANGLES, missed_mm, shading="gouraud", cmap="Greys", vmax=_DARK_MM,
                vmin=0,
            )  # fmt: skip
            for shown, colour in ((truth, "black"), (face, _COLOURS.get(model, "#d55e00"))):
                for contour in _CONTOURS:
                    axis.plot(*shown[[*contour, contour[0]], :2].T, color=colour, lw=1.2)
            axis.set_title(f"{NAMES[model]}: {missed_mm.mean():.2f} mm".replace("\n", " "), fontsize=10)
            axis.set_aspect("equal")
            axis.axis("off")
    assert shade is not None
    figure.colorbar(shade, ax=axes, shrink=0.4, label="apart, mm")
    return figure


def _servos(scores: Scores):
    figure, axis = plt.subplots(figsize=(11, 4), layout="constrained")
    for model, colour in {"ridge": "#d55e00", "gp": "#999999", **_COLOURS}.items():
        values = 1 - scores.missed[scores.models.index(model)] / scores.spread
        axis.plot(SERVOS, values, "o-", color=colour, label=NAMES[model].replace("\n", " "))
    axis.set_ylabel("R²")
    axis.legend(frameon=False)
    return figure


__all__ = ["NAMES", "TITLES", "draw"]
