"""One moment large, then filmstrips of the person and the robots on one time axis, intensities and her EMG below.

Drawn without a display. Colours are those of Okabe and Ito, which people with every kind of colour vision tell apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..sim.person.encounter import Shown
from .coexpress_scene import CO_EXPRESSION, MIMICRY, Story, Timing
from .show_faces import INK, PALE, QUIET, Portrayed

PERSON = "person"
ROWS = (PERSON, CO_EXPRESSION, MIMICRY)
COLOURS: Mapping[str, str] = {PERSON: INK, CO_EXPRESSION: "#0072B2", MIMICRY: "#D55E00"}
EMG_COLOUR = "#8C4A86"
COLUMNS = 8
_STEPS_S = (0.04, 0.06, 0.08, 0.1, 0.12, 0.16, 0.2, 0.24, 0.32, 0.4)
_MOST_BEFORE_S = 0.25
_LEFT_IN, _RIGHT_IN, _TOP_IN, _BOTTOM_IN = 2.35, 0.3, 1.22, 0.62
_TILE_IN, _GAP_IN, _BAR_IN, _ROW_GAP_IN = 1.5, 0.06, 0.085, 0.26
_LARGE_IN, _MOMENT_IN = 4.4, 5.8
_NEARLY, _JUST_S = 0.75, 0.08
_CURVES_IN, _EMG_IN, _PANEL_GAP_IN = 1.55, 0.75, 0.42
_INNER_IN = COLUMNS * (_TILE_IN + _GAP_IN)
_WIDTH_IN = _LEFT_IN + _INNER_IN + _RIGHT_IN
_BAND = "#ffefbf"
_DPI = 120
_FONT: Any = {"font.family": "sans-serif", "font.size": 11}


@dataclass(frozen=True, eq=False)
class Strip:
    """What a filmstrip shows of an act: the columns' times (n,) s, and faces then for each of `ROWS`.

    moment: everybody's face at the one time that is shown large.
    """

    act: Shown
    times_s: np.ndarray
    faces: Mapping[str, Sequence[Portrayed]]
    moment: Mapping[str, Portrayed]


def columns_s(story: Story, act: Shown) -> np.ndarray:
    """Times of a filmstrip, (`COLUMNS`,) s: evenly from before anything is seen until the last robot has arrived.

    One of them is the onset.
    """
    rise = story.scene.emg_rise(act)
    arrivals = [story.timing(who, act).arrival_s for who in ROWS[1:]]
    before = 0.04 if rise is None else float(np.clip(act.onset_s - rise[0], 0.04, _MOST_BEFORE_S))
    after = float(np.nanmax([act.arrival_s, *arrivals])) - act.onset_s
    steps = [s for s in _STEPS_S if (COLUMNS - 1 - max(1, round(before / s))) * s >= after - s / 3]
    step = min(steps, default=_STEPS_S[-1])
    early = max(1, round(before / step))
    return act.onset_s + step * (np.arange(COLUMNS) - early)


def moment_s(story: Story, act: Shown) -> float:
    """The moment to show large: her expression is nearly or just there, and the robots differ most."""
    times, course = story.course(None, act)
    near = (course >= _NEARLY) & (times >= act.onset_s) & (times <= act.arrival_s + _JUST_S)
    with_her, late = (np.interp(times, *story.course(who, act)) for who in ROWS[1:])
    return float(times[near][(with_her - late)[near].argmax()]) if near.any() else act.arrival_s


def draw(story: Story, strip: Strip) -> bytes:
    """The picture of one act as a PNG file."""
    with_emg = story.scene.emg_uv is not None
    rows_in = len(ROWS) * (_TILE_IN + _BAR_IN + _ROW_GAP_IN)
    panels_in = _CURVES_IN + (_PANEL_GAP_IN + _EMG_IN if with_emg else 0)
    height = _TOP_IN + _MOMENT_IN + rows_in + 0.2 + panels_in + _BOTTOM_IN
    timings = {who: story.timing(who, strip.act) for who in ROWS[1:]}
    with matplotlib.rc_context(_FONT):
        figure = Figure(figsize=(_WIDTH_IN, height), dpi=_DPI, facecolor="white")
        _headline(figure, strip.act, timings, strip.moment[PERSON].time_s)
        _moment(figure, story, strip, timings, height - _TOP_IN)
        top = height - _TOP_IN - _MOMENT_IN
        _her_moment(figure, strip, top, rows_in)
        for who in ROWS:
            _row(figure, story, strip, who, top, timings.get(who))
            top -= _TILE_IN + _BAR_IN + _ROW_GAP_IN
        top -= 0.2
        axes = _panel(figure, strip, top - _CURVES_IN, _CURVES_IN)
        _curves(axes, story, strip, timings)
        if with_emg:
            axes = _panel(figure, strip, top - _CURVES_IN - _PANEL_GAP_IN - _EMG_IN, _EMG_IN)
            _emg(axes, story, strip)
        _time_axis(axes, strip)
        stream = BytesIO()
        figure.savefig(stream, format="png")
    return stream.getvalue()


def said(asynchrony_s: float) -> str:
    """An asynchrony in plain words, short."""
    if not np.isfinite(asynchrony_s):
        return "did not follow"
    ms = round(1e3 * asynchrony_s)
    if abs(ms) < 20:
        return "together with her"
    return f"{ms} ms after her" if ms > 0 else f"{-ms} ms before her"


def _headline(figure: Figure, act: Shown, timings: Mapping[str, Timing], at_s: float) -> None:
    height, left = figure.get_figheight(), 0.3 / _WIDTH_IN
    with_her, late = timings[CO_EXPRESSION].asynchrony_s, timings[MIMICRY].asynchrony_s
    title = f"{called(act)}: the person and two robots"
    if abs(with_her) < late:
        title = f"{called(act)}: one robot shows it with her, the other after her"
    figure.text(left, 1 - 0.42 / height, title, fontsize=19, fontweight="bold", color=INK)
    text = f"The same moment three times, {1e3 * (at_s - act.onset_s):.0f} ms after her face began to move."
    figure.text(left, 1 - 0.74 / height, text, fontsize=11.5, color=QUIET)


def called(act: Shown) -> str:
    """An act's name as a title."""
    return _noun(act).capitalize()


def _noun(act: Shown) -> str:
    return "smile" if act.what == "happiness" else act.what


def _moment(figure: Figure, story: Story, strip: Strip, timings: Mapping[str, Timing], top_in: float) -> None:
    """Three large faces at one time, and how much of the expression each shows."""
    whole, step = figure.get_figheight(), (_WIDTH_IN - 0.6 - _LARGE_IN) / 2
    for k, who in enumerate(ROWS):
        left, colour = 0.3 + k * step, COLOURS[who]
        times, course = story.course(None if who == PERSON else who, strip.act)
        share = float(np.interp(strip.moment[who].time_s, times, course).clip(0, 1))
        name = _LABELS[who][0].replace("\n", " ")
        figure.text(left / _WIDTH_IN, top_in / whole, name, fontsize=15, fontweight="bold", color=colour, va="bottom")
        axes = figure.add_axes(_box(figure, left, top_in - 0.1 - _LARGE_IN, _LARGE_IN, _LARGE_IN))
        strip.moment[who].draw(axes)
        bottom = top_in - 0.1 - _LARGE_IN - 0.24
        _bar(figure, left, bottom, share, colour, width_in=_LARGE_IN, height_in=0.16)
        verdict = said(timings[who].asynchrony_s) if who in timings else ""
        there = f"{100 * share:.0f} % of the {_noun(strip.act)}"
        for x, side, text in ((left, "left", there), (left + _LARGE_IN, "right", verdict)):
            y = (bottom - 0.3) / whole
            figure.text(x / _WIDTH_IN, y, text, fontsize=13.5, fontweight="bold", color=colour, ha=side)


_LABELS = {
    PERSON: ("The person", ""),
    CO_EXPRESSION: ("Robot that\nco-expresses", "expects what her face\nis about to do"),
    MIMICRY: ("Robot that\nmimics", "copies the face\nthat it sees"),
}


def _row(figure: Figure, story: Story, strip: Strip, who: str, top_in: float, timing: Timing | None) -> None:
    whole, colour = figure.get_figheight(), COLOURS[who]
    name, how = _LABELS[who]
    at = 0.3 / _WIDTH_IN
    y = top_in - (0.4 if timing else 0.75)
    figure.text(at, y / whole, name, fontsize=14, fontweight="bold", color=colour, va="center", linespacing=1.05)
    if timing:
        figure.text(at, (y - 0.5) / whole, how, fontsize=10, color=QUIET, va="center", linespacing=1.15)
        verdict = said(timing.asynchrony_s)
        figure.text(at, (y - 0.92) / whole, verdict, fontsize=12.5, color=colour, va="center", fontweight="bold")
    arrival = strip.act.arrival_s if timing is None else timing.arrival_s
    reached = _column(strip, arrival)
    times, course = story.course(None if who == PERSON else who, strip.act)
    shares = np.interp(strip.times_s, times, course).clip(0, 1)
    for k, (face, share) in enumerate(zip(strip.faces[who], shares, strict=True)):
        left = _LEFT_IN + k * (_TILE_IN + _GAP_IN) + _GAP_IN / 2
        axes = figure.add_axes(_box(figure, left, top_in - _TILE_IN, _TILE_IN, _TILE_IN))
        face.draw(axes)
        if k == reached:
            _frame(axes, colour, 5)
        _bar(figure, left, top_in - _TILE_IN - 0.05 - _BAR_IN, share, colour)


def _column(strip: Strip, time_s: float) -> int:
    """The column nearest to a time; −1 if it lies outside."""
    step = strip.times_s[1] - strip.times_s[0]
    near = int(np.abs(strip.times_s - time_s).argmin()) if np.isfinite(time_s) else -1
    return near if near >= 0 and abs(strip.times_s[near] - time_s) <= step else -1


def _her_moment(figure: Figure, strip: Strip, top_in: float, rows_in: float) -> None:
    """A band through all filmstrips where her expression has arrived."""
    column = _column(strip, strip.act.arrival_s)
    if column < 0:
        return
    left = _LEFT_IN + column * (_TILE_IN + _GAP_IN) - 0.05
    width, bottom = _TILE_IN + _GAP_IN + 0.1, top_in - rows_in + _ROW_GAP_IN - 0.1
    axes = figure.add_axes(_box(figure, left, bottom, width, top_in - bottom + 0.3))
    axes.axis("off")
    axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, color=_BAND, lw=0))
    text = f"her {_noun(strip.act)} is here"
    axes.text(0.5, 0.985, text, transform=axes.transAxes, ha="center", va="top", fontsize=10.5, color=INK)


def _frame(axes: Axes, colour: str, width: float) -> None:
    edge = Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, ec=colour, lw=width, clip_on=False)
    axes.add_patch(edge)


def _bar(
    figure: Figure, left_in: float, bottom_in: float, share: float, colour: str,
    *, width_in: float = _TILE_IN, height_in: float = _BAR_IN,
) -> None:  # fmt: skip
    axes = figure.add_axes(_box(figure, left_in, bottom_in, width_in, height_in))
    axes.axis("off")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.add_patch(Rectangle((0, 0), 1, 1, color="#ececec", lw=0))
    axes.add_patch(Rectangle((0, 0), share, 1, color=colour, lw=0))


def _panel(figure: Figure, strip: Strip, bottom_in: float, height_in: float) -> Axes:
    axes = figure.add_axes(_box(figure, _LEFT_IN, bottom_in, _INNER_IN, height_in))
    half = 0.5 * (strip.times_s[1] - strip.times_s[0])
    axes.set_xlim(strip.times_s[0] - half, strip.times_s[-1] + half)
    axes.set_yticks([])
    axes.tick_params(axis="x", length=0, labelbottom=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def _curves(axes: Axes, story: Story, strip: Strip, timings: Mapping[str, Timing]) -> None:
    axes.set_ylim(-0.1, 1.45)
    for level in (0, 1):
        axes.axhline(level, color=PALE, lw=0.7, zorder=0)
    low, high = axes.get_xlim()
    arrivals = {PERSON: strip.act.arrival_s} | {who: t.arrival_s for who, t in timings.items()}
    for who in reversed(ROWS):
        times, course = story.course(None if who == PERSON else who, strip.act)
        fine = np.linspace(low, high, 600)
        axes.plot(fine, np.interp(fine, times, course).clip(-0.1, 1.18), color=COLOURS[who], lw=2.6, zorder=3)
        if low < arrivals[who] < high:
            axes.plot(arrivals[who], np.interp(arrivals[who], times, course), "o", ms=9, color=COLOURS[who], zorder=5)
            axes.plot([arrivals[who]] * 2, [0, 1.05], color=COLOURS[who], lw=1, ls=(0, (2, 2)), zorder=2)
    late = timings[MIMICRY].asynchrony_s
    if np.isfinite(late) and abs(late) > 0.06:
        _span(axes, strip.act.arrival_s, arrivals[MIMICRY], 1.33, f"{said(late)}", COLOURS[MIMICRY])
    _lane(axes, "How much of the\nexpression is there", 0.5)


def _span(axes: Axes, start: float, end: float, y: float, text: str, colour: str) -> None:
    style: Any = {"arrowstyle": "<->", "color": colour, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (end, y), xytext=(start, y), arrowprops=style)
    axes.text(
        (start + end) / 2, y, text, ha="center", va="center", color=colour, fontsize=10.5, fontweight="bold",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip


def _emg(axes: Axes, story: Story, strip: Strip) -> None:
    scene = story.scene
    rise = scene.emg_rise(strip.act)
    low, high = axes.get_xlim()
    channel = rise[1] if rise else int(scene.envelope_uv.max(0).argmax())
    first, last = (int(np.clip(round(t * scene.emg_hz), 0, len(scene.envelope_uv))) for t in (low, high))
    times, raw = np.arange(first, last) / scene.emg_hz, np.asarray(scene.emg_uv)[first:last, channel]
    envelope = scene.envelope_uv[first:last, channel]
    full = max(float(np.percentile(np.abs(raw - np.median(raw)), 99.8)), 1e-6)
    axes.set_ylim(-1.05, 1.05)
    axes.plot(times, np.clip((raw - np.median(raw)) / full, -1, 1), color="#d9c3d7", lw=0.6, zorder=1)
    axes.plot(times, envelope / full, color=EMG_COLOUR, lw=2, zorder=2)
    _lane(axes, f"Her muscles (EMG),\nelectrode {scene.channels[channel]}", 0.0)
    if rise and low <= rise[0] <= high:
        axes.axvline(rise[0], color=EMG_COLOUR, lw=1.4, zorder=3)
        ahead = round(1e3 * (strip.act.onset_s - rise[0]))
        text = "the muscles fire" + (f", {ahead} ms before anything is seen" if ahead > 10 else "")
        axes.annotate(
            text, (rise[0], 1), xytext=(5, 3), textcoords="offset points", color=EMG_COLOUR, fontsize=10.5,
            fontweight="bold", va="bottom", annotation_clip=False,
        )  # fmt: skip


def _lane(axes: Axes, text: str, y: float) -> None:
    x = -(_LEFT_IN - 0.3) / _INNER_IN
    axes.text(x, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=11, color=INK, linespacing=1.2)


def _time_axis(axes: Axes, strip: Strip) -> None:
    marks = [f"{round(1e3 * (t - strip.act.onset_s)):+d}".replace("-", "−").replace("+0", "0") for t in strip.times_s]
    axes.set_xticks(strip.times_s, marks)
    axes.tick_params(axis="x", length=4, labelbottom=True, colors=QUIET, labelsize=10.5)
    axes.spines["bottom"].set_visible(True)
    axes.spines["bottom"].set_color(PALE)
    axes.set_xlabel("milliseconds since her face began to move", color=QUIET, fontsize=10.5)


def _box(figure: Figure, left: float, bottom: float, width: float, height: float) -> tuple[float, float, float, float]:
    whole = figure.get_figheight()
    return left / _WIDTH_IN, bottom / whole, width / _WIDTH_IN, height / whole


__all__ = ["COLOURS", "COLUMNS", "PERSON", "ROWS", "Strip", "called", "columns_s", "draw", "moment_s", "said"]
