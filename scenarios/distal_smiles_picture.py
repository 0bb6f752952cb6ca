"""The study of smiles at the temples in pictures: one person's traces, ROC, patterns, delays, synergies."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..learning.smile_patterns import PATTERNS, SOURCES, around_onset
from ..learning.synergy_match import Alignment
from .distal_smiles_people import BLOCKS, CAMERA_UNITS, RANKS, READERS, UNITS
from .distal_smiles_scores import GRID, scores, tables

FRAME_HZ = 30.0
COLOURS = {"coders": "#cc79a7", "camera": "#009e73", "emg": "#0072b2", "waveforms": "#56b4e9", "raw": "#7f7f7f"}
SHOWN = {
    "coders": "coders",
    "camera": "camera",
    "emg": "EMG, ICA",
    "waveforms": "EMG, ICA of waveforms",
    "raw": "EMG, raw",
}
Picture = tuple[str, Path]


def draw(
    everybody: Mapping[str, NDArray], labels: Mapping[str, NDArray], curves: Mapping[str, Mapping[str, NDArray]],
    counts: Mapping[str, NDArray], aligned: Alignment, figures: Mapping[str, float], out: Path,
) -> Sequence[Picture]:  # fmt: skip
    """Write the PNGs into `out`; their captions and paths in order."""
    return (
        _saved(_traces(everybody, labels), out / "traces.png",
               "The person whose smiles EMG reads with the median κ: components (lines), what EMG, camera and coders "
               "call active (bars)."),
        _saved(_agreement(labels, curves, figures), out / "agreement.png",
               "Above: how well each tells a unit's frames, averaged over people; dots are the thresholds in use. "
               "Below: frames of everybody, per cent of all, against either coder."),
        _saved(_patterns(labels, counts), out / "patterns.png",
               "Left: how AU6 and AU12 come together, share of episodes. Right: how often AU6 is active around the "
               "onset of AU12."),
        _saved(_delays(everybody["lag_s"]), out / "delay.png",
               "By how much EMG precedes what the camera calls, over people, blocks, channels and units."),
        _saved(_synergies(everybody), out / "synergies.png",
               "Two synergies of the sources that EMG is taken to hold: mean weights, people as dots, and how far AU6 "
               "and AU12 share a synergy in both blocks."),
        _saved(_camera_synergies(everybody["au_vaf"], aligned), out / "camera_synergies.png",
               f"The camera's 17 units: variance accounted for by rank, every block a line, and the mean weights of "
               f"{len(aligned.mean)} synergies, blocks brought into one order, and the mean cosine between blocks."),
    )  # fmt: skip


def _saved(figure: Figure, path: Path, caption: str) -> Picture:
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return caption, path


def _traces(everybody: Mapping[str, NDArray], labels: Mapping[str, NDArray]) -> Figure:
    kappa = scores(tables(*(labels[name] for name in ("coders", "emg"))))["kappa"]
    middle = np.argsort(np.nan_to_num(kappa, nan=-1))[len(kappa) // 2]
    figure, axes = plt.subplots(2, 2, figsize=(13, 5.6), sharex=True, sharey=True, layout="constrained")
    for (row, column), axis in np.ndenumerate(axes):
        course = everybody["course"][middle, column, list(READERS).index("emg"), :, row]
        times = np.arange(len(course)) / FRAME_HZ
        axis.plot(times, course, color=COLOURS["emg"], lw=0.8)
        for place, source in enumerate(("coders", "camera", "emg", "raw")):
            on = labels[source][middle, column, :, row]
            height = -3.0 - 0.7 * place
            axis.fill_between(times, height, height + 0.5, where=on, color=COLOURS[source], lw=0, step="mid")
            axis.text(-0.01, height + 0.25, SHOWN[source], ha="right", va="center", fontsize=8, color=COLOURS[source],
                      transform=axis.get_yaxis_transform())  # fmt: skip
        axis.set_title(f"{UNITS[row]}, {BLOCKS[column]}", fontsize=11)
        axis.set_yticks((0, 2, 4))
        axis.set_ylim(-5.4, 6)
        axis.set_xlim(0, times[-1])
    for axis in axes[-1]:
        axis.set_xlabel("s")
    figure.supylabel("component, SD of the block", fontsize=10)
    return figure


def _agreement(
    labels: Mapping[str, NDArray], curves: Mapping[str, Mapping[str, NDArray]], figures: Mapping[str, float]
) -> Figure:
    figure = plt.figure(figsize=(13, 8), layout="constrained")
    upper, lower = np.asarray(figure.subfigures(2, 1, height_ratios=(1.5, 1)))
    for axis, (place, unit) in zip(upper.subplots(1, 2), enumerate(UNITS), strict=True):
        for source, of in curves.items():
            name = f"{unit.lower()}_{source}"
            said = f"{SHOWN[source]}: area {figures[f'auc_{name}']:.2f}, κ {figures[f'kappa_{name}']:.2f}"
            axis.plot(GRID, np.nanmean(of[unit], 0), color=COLOURS[source], label=said)
            both, said, true, neither = tables(labels["coders"][..., place], labels[source][..., place]).sum(0)
            axis.plot(said / (said + neither), both / (both + true), "o", color=COLOURS[source])
        axis.plot((0, 1), (0, 1), ":", color="grey", lw=0.8)
        axis.set(xlabel="false alarms, share of frames without", ylabel="hits, share of frames with", title=unit)
        axis.legend(loc="lower right", fontsize=9, frameon=False)
    shown = [(source, place) for place in range(len(UNITS)) for source in ("camera", "emg", "raw")]
    for axis, (source, place) in zip(lower.subplots(1, len(shown)), shown, strict=True):
        both, said, true, neither = tables(labels["coders"][..., place], labels[source][..., place]).sum(0)
        matrix = np.array([[neither, said], [true, both]]) / (both + said + true + neither)
        axis.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
        for (row, column), share in np.ndenumerate(matrix):
            axis.text(column, row, f"{share:.0%}", ha="center", va="center", color="white" if share > 0.5 else "black")
        axis.set_xticks((0, 1), ("not said", "said"))
        axis.set_yticks((0, 1), ("not coded", "coded"), rotation=90, va="center")
        axis.set_title(f"{UNITS[place]}, {SHOWN[source]}", fontsize=10)
    return figure


def _patterns(labels: Mapping[str, NDArray], counts: Mapping[str, NDArray]) -> Figure:
    figure, axes = plt.subplots(2, 2, figsize=(13, 7), width_ratios=(1.7, 1), layout="constrained")
    shown = ("coders", "camera", "emg")
    for (bars, around), (place, block) in zip(axes, enumerate(BLOCKS), strict=True):
        for number, source in enumerate(shown):
            total = counts[source][:, place].sum(0)
            at = np.arange(len(PATTERNS)) + 0.27 * (number - 1)
            bars.bar(at, total / max(total.sum(), 1), 0.25, color=COLOURS[source],
                     label=f"{SHOWN[source]}, {total.sum()} episodes")  # fmt: skip
            _around(around, labels[source][:, place], source)
        bars.set_xticks(range(len(PATTERNS)), [name.replace(" ", "\n", 1) for name in PATTERNS])
        bars.set(ylabel="share of episodes", title=block, ylim=(0, 1))
        bars.legend(fontsize=9, frameon=False)
        around.axvline(0, color="grey", lw=0.8)
        around.set(xlabel="s after the onset of AU12", ylabel="AU6 active, share", title=block, ylim=(0, 1))
    axes[0, 1].legend(fontsize=9, frameon=False, loc="upper left")
    return figure


def _around(axis: Axes, on: NDArray, source: str) -> None:
    """Mean over people of how often AU6 (P, F, 2) is active, and its standard error."""
    found = [around_onset(person[:, 0], person[:, 1], FRAME_HZ) for person in on]
    times, cheek = found[0][0], np.array([one[1] for one in found])
    cheek = cheek[np.isfinite(cheek).all(1)]
    if not len(cheek):
        return
    mean, error = cheek.mean(0), cheek.std(0) / np.sqrt(len(cheek))
    axis.plot(times, mean, color=COLOURS[source], label=SHOWN[source])
    axis.fill_between(times, mean - error, mean + error, color=COLOURS[source], alpha=0.2, lw=0)


def _delays(lag_s: NDArray) -> Figure:
    figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
    bins = np.arange(-1500, 1501, 50)
    ms = [1e3 * lag_s[..., place][np.isfinite(lag_s[..., place])] for place in range(len(UNITS))]
    axis.hist(ms, bins=bins, stacked=True, color=("#e69f00", "#0072b2"), label=UNITS)  # pyright: ignore[reportArgumentType]
    everything = np.concatenate(ms)
    if everything.size:
        axis.axvline(everything.mean(), color="black", label=f"mean {everything.mean():.0f} ms")
    axis.axvline(374, color="#d55e00", ls="--", label="paper's mean 374 ms, ± SD 366")
    axis.axvspan(374 - 366, 374 + 366, color="#d55e00", alpha=0.1, lw=0)
    axis.set(xlabel="camera after EMG, ms", ylabel="channels × units × blocks × people")
    axis.set_xlim(-800, 1500)
    axis.legend(fontsize=9, frameon=False)
    return figure


def _synergies(everybody: Mapping[str, NDArray]) -> Figure:
    figure, axes = plt.subplots(2, 3, figsize=(13, 6.4), layout="constrained")
    rng = np.random.default_rng(0)
    for row, source in enumerate(("emg", "raw")):
        place = list(READERS).index(source)
        weights, joint = everybody["weights"][:, :, place], everybody["togetherness"][:, :, place]
        for column, block in enumerate(BLOCKS):
            axis = axes[row, column]
            for number, colour in enumerate(("#0072b2", "#e69f00")):
                at = np.arange(len(SOURCES)) + 0.4 * (number - 0.5)
                values = weights[:, column, number]
                axis.bar(at, values.mean(0), 0.36, color=colour, alpha=0.6, label=f"synergy {number + 1}")
                for x, own in zip(at, values.T, strict=True):
                    axis.plot(x + rng.uniform(-0.1, 0.1, len(own)), own, ".", color="black", alpha=0.35, ms=3)
            axis.set_xticks(range(len(SOURCES)), SOURCES)
            axis.set(title=f"{SHOWN[source]} → NMF, {block}", ylim=(0, 1.2), ylabel="weight")
        axis = axes[row, 2]
        axis.plot((0, 1), joint.T, color="grey", alpha=0.4, lw=0.8)
        axis.boxplot(joint, positions=(0, 1), widths=0.3, showfliers=False)
        axis.set_xticks((0, 1), BLOCKS)
        axis.set(title="AU6 and AU12 in one synergy, each person", ylim=(0, 1.05), ylabel="cosine")
    axes[0, 0].legend(fontsize=9, frameon=False, loc="upper center", ncols=2)
    return figure


def _camera_synergies(vaf: NDArray, aligned: Alignment) -> Figure:
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.6), width_ratios=(1, 1.8), layout="constrained")
    left.plot(RANKS, vaf.reshape(-1, len(RANKS)).T, color=COLOURS["camera"], alpha=0.25, lw=0.8)
    left.axhline(0.85, color="#d55e00", ls="--", lw=1)
    left.set(xlabel="number of synergies", ylabel="VAF", ylim=(min(0.5, float(vaf.min())), 1))
    shown = right.imshow(aligned.mean, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    right.set_xticks(range(len(CAMERA_UNITS)), CAMERA_UNITS, rotation=60)
    likeness = [f"{score.value:.2f} (chance {score.chance:.2f})" for score in aligned.scores]
    right.set_yticks(range(len(likeness)), likeness)
    right.set_title("mean weights; left, cosine between blocks", fontsize=10)
    figure.colorbar(shown, ax=right, label="weight")
    return figure


__all__ = ["draw"]
