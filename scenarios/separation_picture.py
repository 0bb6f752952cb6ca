"""The study of separation in three pictures: all scores, variance explained beside them, and what makes it hard."""

from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from .separation_cases import METHODS, SCORES, Case
from .separation_results import BETTER, FAMILIES, PLACES, Results, interval

TITLES = MappingProxyType(
    {
        "amari": "Amari index (0 is perfect)",
        "corr_h": "corr(H): correlation with the muscles' drive",
        "muscle_cosine": "muscle cosine: which muscles they are",
        "sdr_db": "SDR of waveforms, dB",
    }
)
_LIMITS = MappingProxyType({"amari": (0, 0.6), "corr_h": (0, 1), "muscle_cosine": (0, 1), "sdr_db": (-15, 10)})
_SHOWN = MappingProxyType({"amari": (0, 0.7), "corr_h": (-0.1, 1.02), "muscle_cosine": (0, 1.02), "sdr_db": (-25, 15)})
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00")


def draw(results: Results, out: Path) -> list[tuple[str, Path]]:
    """Write the pictures into `out`: caption and PNG file of each."""
    pictures = (
        (
            "Mean scores of every method under every condition; light is better. Filled dot: on the mean over people "
            "not better than what chance reaches once in twenty times; open dot: than a random unmixing of the EMG. "
            "Above the line methods, below it what they stand on.",
            "scores.png",
            lambda path: _heat(results, path),
        ),
        (
            "Variance explained beside two scores against truth; a mark is a person. Random synergies explain nearly "
            "all at the temples and are the wrong muscles.",
            "vaf.png",
            lambda path: _scatter(results, FAMILIES["electrodes"], path),
        ),
        (
            "Scores over noise, tension and number of components; bands are 95 % intervals of Picard over "
            "people. Dashed: random unmixing, dotted: chance.",
            "curves.png",
            lambda path: _curves(results, path),
        ),
    )
    for _, name, make in pictures:
        make(out / name)
    return [(caption, out / name) for caption, name, _ in pictures]


def _heat(results: Results, path: Path) -> None:
    columns = [(family, case) for family, cases in FAMILIES.items() for case in cases]
    rows = [name for name in METHODS if not METHODS[name].rung] + [name for name in METHODS if METHODS[name].rung]
    above = sum(not method.rung for method in METHODS.values())
    figure, axes = plt.subplots(4, 1, figsize=(14, 15.5), layout="constrained", sharex=True)
    for axis, score in zip(axes, SCORES, strict=True):
        value, limit = (
            np.array([[results.of(case, name, score, part).mean() for _, case in columns] for name in rows])
            for part in ("value", "limit")
        )
        better, random = BETTER[score], rows.index("random")
        low, high = _LIMITS[score]
        axis.imshow(value, cmap="cividis_r" if better < 0 else "cividis", vmin=low, vmax=high, aspect="auto")
        for (row, column), number in np.ndenumerate(value):
            if not np.isfinite(number):
                continue
            goodness = (number - low) / (high - low) if better > 0 else (high - number) / (high - low)
            text = f"{number:.0f}" if score == "sdr_db" else f"{number:.2f}"
            by_chance = better * number <= better * limit[row, column]
            by_random = row < above and better * number <= better * value[random, column]
            mark = " ●" if by_chance else " ○" if by_random else ""
            axis.text(
                column, row, text + mark, ha="center", va="center", fontsize=8,
                color="black" if goodness > 0.55 else "white",
            )  # fmt: skip
        axis.axhline(above - 0.5, color="white", lw=2)
        for place in np.flatnonzero([one[0] != two[0] for one, two in pairwise(columns)]):
            axis.axvline(place + 0.5, color="white", lw=2)
        axis.set_yticks(range(len(rows)), rows)
        axis.set_title(TITLES[score], fontsize=11, loc="left")
    axes[-1].set_xticks(range(len(columns)), [_label(*one) for one in columns], rotation=50, ha="right")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _label(family: str, case: Case) -> str:
    varied = {
        "electrodes": "",
        "task": f", {case.task}",
        "noise": f", {case.electrode_uv:g} µV",
        "tension": f", tension {100 * (case.cocontraction or 0):g} %",
        "components": f", {case.components} components",
    }
    return case.montage + varied[family]


def _scatter(results: Results, cases: tuple[Case, ...], path: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained", sharex=True)
    styles = (("nmf of envelopes", "o"), ("random synergies", "x"))
    for axis, score in zip(axes, ("corr_h", "muscle_cosine"), strict=True):
        axis.axvspan(0.9, 1.01, color="#eeeeee", zorder=0)
        for case, colour in zip(cases, _COLOURS, strict=False):
            for method, marker in styles:
                axis.scatter(
                    results.vaf_of(case, method), results.of(case, method, score), color=colour, marker=marker, s=38
                )
            chance = results.of(case, "nmf of envelopes", score, "chance").mean()
            axis.axhline(chance, color=colour, ls=":", lw=1)
        axis.set_xlabel("VAF of the envelopes")
        axis.set_ylabel(TITLES[score])
        axis.set_ylim(-0.05, 1.02)
    axes[0].set_xlim(None, 1.01)
    for case, colour in zip(cases, _COLOURS, strict=False):
        axes[0].plot([], [], "s", color=colour, label=case.montage)
    for method, marker in styles:
        axes[0].plot([], [], marker, color="black", label=method)
    axes[0].plot([], [], ":", color="black", label="chance")
    figure.legend(loc="outside right center", fontsize=9, frameon=False)
    figure.suptitle("Grey: VAF of 0.9 and more, which is customarily called enough", fontsize=10)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _curves(results: Results, path: Path) -> None:
    kinds = {
        "contact noise, µV": lambda case: case.electrode_uv,
        "tension beside an act, %": lambda case: 100 * (case.cocontraction or 0),
        "components": lambda case: case.sought,
    }
    lines = (("picard", "-", "picard"), ("nmf of envelopes", "-.", "nmf of envelopes"), ("random", "--", "random"))
    figure, axes = plt.subplots(4, 3, figsize=(12, 12), layout="constrained", sharey="row", sharex="col")
    for column, (kind, place_of) in enumerate(kinds.items()):
        axes[-1, column].set_xlabel(kind)
        for (name, base), colour in zip(PLACES.items(), (_COLOURS[0], _COLOURS[3]), strict=True):
            series = sorted(_series(results, base, column), key=place_of)
            x = [place_of(case) for case in series]
            for axis, score in zip(axes[:, column], SCORES, strict=True):
                for method, style, label in lines:
                    values = np.array([results.of(case, method, score) for case in series])
                    if not np.isfinite(values).all():
                        continue
                    low, high = np.transpose([interval(one) for one in values])
                    axis.plot(x, values.mean(1), style, color=colour, label=f"{name}, {label}", marker="o", ms=3)
                    if style == "-":
                        axis.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
                if score != "sdr_db":  # shifted in time it is far below everything
                    chance = [results.of(case, "picard", score, "chance").mean() for case in series]
                    axis.plot(x, chance, ":", color=colour, label=f"{name}, chance")
    for axis, score in zip(axes[:, 0], SCORES, strict=True):
        axis.set_ylabel(TITLES[score].split(":")[0])
        axis.set_ylim(_SHOWN[score])
    handles, labels = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=9, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _series(results: Results, base: Case, column: int) -> list[Case]:
    """Cases of a montage that differ from `base` in noise (0), tension (1) or components (2) alone."""

    def differs(case: Case) -> bool:
        same = (case.electrode_uv == base.electrode_uv, case.cocontraction is None, case.components is None)
        others = all(value for place, value in enumerate(same) if place != column)
        return others and (column != 1 or case.cocontraction is not None)

    return [case for case in results.cases if case.montage == base.montage and case.task == base.task and differs(case)]


__all__ = ["draw"]
