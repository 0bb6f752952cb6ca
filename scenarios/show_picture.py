"""One picture of a recording: faces, what was shown when, raw and envelope EMG, action units, all over one time axis.

Drawn without a display. Colours are those of Okabe and Ito, which people with every kind of colour vision tell apart.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from ..sim.recording import Event, Recording, Stream
from . import show_signals as signals
from .show_faces import INK, PALE, QUIET, Portrayed, places, portrayed

EXPRESSION_COLOURS: Mapping[str, str] = {
    "happiness": "#E69F00",
    "sadness": "#0072B2",
    "surprise": "#56B4E9",
    "anger": "#D55E00",
    "fear": "#CC79A7",
    "disgust": "#009E73",
    "contempt": "#8C6D31",
}
OTHER_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#0072B2", "#D55E00", "#8C6D31", "#F0E442")
RAW, ENVELOPE = "#9db8cc", "#0b3c5d"
RIGHT, LEFT, CAMERA = "#0072B2", "#D55E00", "#009E73"

_WIDTH_IN, _LEFT_IN, _RIGHT_IN = 15.0, 2.5, 1.05
_INNER_IN = _WIDTH_IN - _LEFT_IN - _RIGHT_IN
_TOP_IN, _FACE_IN, _LINKS_IN = 0.6, 1.3, 0.42
_BAND_IN, _EMG_LANE_IN, _LANE_IN, _BOTTOM_IN, _LEGEND_IN = 0.28, 0.62, 0.42, 0.58, 0.24
_GAP_IN, _NARROW_GAP_IN = 0.36, 0.06
_MOST_CHANNELS, _MOST_LANES = 32, 12
_DPI = 130
_FONT: Any = {"font.family": "sans-serif", "font.size": 10}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Panel:
    """A strip of the picture over the time axis: its height, what fills it, and the gap below."""

    height_in: float
    draw: Callable[[Axes], None]
    gap_in: float = _GAP_IN
    shaded: bool = True


def draw(recording: Recording, path: Path, *, title: str, look: str | None = "chestnut") -> Path:
    """Draw a recording into a PNG file; what it lacks is left out.

    look: how the rendered person looks, one of `person.looks.LOOKS`; None, or no OpenGL, gives line drawings.
    """
    span_s = (recording.start_s, max(recording.end_s, recording.start_s + 1e-3))
    shown = signals.spans(recording.events)
    colours = expression_colours(shown)
    panels = [*_emg_panels(recording), *_lane_panels(recording)]
    if shown:
        panels.insert(0, _Panel(_BAND_IN, lambda axes: _band(axes, shown, colours, span_s), _NARROW_GAP_IN, False))
    if not panels:
        panels = [_Panel(_BAND_IN, lambda axes: None)]
    faces = portrayed(recording, span_s, int(_INNER_IN / (_FACE_IN + 0.03)), look)
    unwritten = _unwritten(shown, span_s)
    height = (
        _TOP_IN
        + (_FACE_IN + _LINKS_IN if faces else 0)
        + sum(p.height_in + p.gap_in for p in panels)
        - panels[-1].gap_in
        + _BOTTOM_IN
        + (_LEGEND_IN if unwritten else 0)
    )
    with matplotlib.rc_context(_FONT):
        figure = Figure(figsize=(_WIDTH_IN, height), dpi=_DPI, facecolor="white")
        _title(figure, title, _summary(recording))
        top = height - _TOP_IN
        if faces:
            _face_row(figure, faces, top, span_s)
            top -= _FACE_IN + _LINKS_IN
        axes = None
        for panel in panels:
            top -= panel.height_in
            axes = _axes(figure, top, panel.height_in, span_s)
            panel.draw(axes)
            for event in shown if panel.shaded else ():
                axes.axvspan(event.onset_s, event.end_s, color=colours[event.label], alpha=0.13, lw=0, zorder=0)
            for face in faces:
                axes.axvline(face.time_s, color=QUIET, lw=0.6, ls=(0, (1, 3)), zorder=1)
            axes.set_xlim(*span_s)
            top -= panel.gap_in
        if axes is not None:
            _time_axis(axes)
        if unwritten:
            _legend(figure, {label: colours[label] for label in unwritten})
        figure.savefig(path)
    return path


def expression_colours(events: Sequence[Event]) -> dict[str, str]:
    """A colour for each label: expressions have their own, others take turns."""
    free = iter(OTHER_COLOURS * 20)
    return {
        label: EXPRESSION_COLOURS.get(label.lower()) or next(free, PALE)
        for label in dict.fromkeys(e.label for e in events)
    }


def _summary(recording: Recording) -> str:
    parts = [f"{recording.duration_s:.1f} s"]
    if "emg" in recording:
        emg = recording["emg"]
        parts.append(f"{emg.data.shape[-1]} channels at {emg.rate_hz:g} Hz")
    for key in ("montage", "protocol", "tier", "variant"):
        value = recording.info.get(key)
        if isinstance(value, str) and value:
            parts.append(value.replace("_", " "))
    return "   ·   ".join(parts)


def _title(figure: Figure, title: str, summary: str) -> None:
    y = 1 - 0.36 / figure.get_figheight()
    figure.text(_LEFT_IN / _WIDTH_IN, y, title, fontsize=15, fontweight="bold", color=INK)
    figure.text(1 - _RIGHT_IN / _WIDTH_IN, y, summary, fontsize=10, color=QUIET, ha="right")


def _axes(figure: Figure, bottom_in: float, height_in: float, xlim: tuple[float, float]) -> Axes:
    whole = figure.get_figheight()
    axes = figure.add_axes((_LEFT_IN / _WIDTH_IN, bottom_in / whole, _INNER_IN / _WIDTH_IN, height_in / whole))
    axes.set_xlim(*xlim)
    axes.set_yticks([])
    axes.tick_params(axis="x", length=0, labelbottom=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def _time_axis(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 2, 2.5, 5, 10]))
    axes.tick_params(axis="x", length=4, labelbottom=True, colors=QUIET, labelsize=10)
    axes.spines["bottom"].set_visible(True)
    axes.spines["bottom"].set_color(PALE)
    axes.set_xlabel("time, s", color=QUIET, fontsize=10)


def _face_row(figure: Figure, faces: Sequence[Portrayed], top_in: float, span_s: tuple[float, float]) -> None:
    """Faces as near to their times as the others let them, each joined to its moment by a thin line."""
    whole, per_s = figure.get_figheight(), _INNER_IN / (span_s[1] - span_s[0])
    moments = np.array([(face.time_s - span_s[0]) * per_s for face in faces])
    middles = places(moments, _FACE_IN + 0.03, _INNER_IN)
    links = _axes(figure, top_in - _FACE_IN - _LINKS_IN, _LINKS_IN - 0.2, (0, _INNER_IN))
    links.set_ylim(0, 1)
    for face, moment, middle in zip(faces, moments, middles, strict=True):
        left = (_LEFT_IN + middle - _FACE_IN / 2) / _WIDTH_IN
        axes = figure.add_axes((left, (top_in - _FACE_IN) / whole, _FACE_IN / _WIDTH_IN, _FACE_IN / whole))
        face.draw(axes)
        links.plot([middle, moment], [1, 0], color=QUIET, lw=0.7)
        label = f"{face.time_s:.1f} s"
        axes.text(0.5, -0.02, label, transform=axes.transAxes, ha="center", va="top", fontsize=8.5, color=QUIET)


def _band(axes: Axes, events: Sequence[Event], colours: Mapping[str, str], span_s: tuple[float, float]) -> None:
    """Coloured bars with their labels inside, as far as they fit."""
    axes.set_ylim(0, 1)
    for event in events:
        low, high = max(event.onset_s, span_s[0]), min(event.end_s, span_s[1])
        axes.add_patch(Rectangle((low, 0.08), high - low, 0.84, color=colours[event.label], lw=0, zorder=2))
        size = _fitting(event, span_s)
        if size:
            ink = "white" if _luminance(colours[event.label]) < 0.42 else INK
            at = ((low + high) / 2, 0.47)
            axes.text(*at, event.label, ha="center", va="center", fontsize=size, color=ink, zorder=3)


def _fitting(event: Event, span_s: tuple[float, float]) -> float | None:
    """The largest size at which the event's label fits into its bar, or None."""
    shown_s = min(event.end_s, span_s[1]) - max(event.onset_s, span_s[0])
    inches = shown_s * _INNER_IN / (span_s[1] - span_s[0])
    return next((size for size in (10, 8.5, 7) if inches > 0.0085 * size * len(event.label) + 0.06), None)


def _unwritten(events: Sequence[Event], span_s: tuple[float, float]) -> list[str]:
    """Labels that fit into none of their bars."""
    written = {e.label for e in events if _fitting(e, span_s)}
    return [label for label in dict.fromkeys(e.label for e in events) if label not in written]


def _legend(figure: Figure, colours: Mapping[str, str]) -> None:
    patches = [Rectangle((0, 0), 1, 1, color=colour, label=label) for label, colour in colours.items()]
    figure.legend(
        handles=patches[:16], loc="lower left", bbox_to_anchor=(_LEFT_IN / _WIDTH_IN, 0.05 / figure.get_figheight()),
        ncols=8 if len(patches) > 8 else max(1, len(patches)), frameon=False, fontsize=8.5, handlelength=1.0,
        handleheight=0.8, columnspacing=1.2, borderpad=0, borderaxespad=0,
    )  # fmt: skip


def _emg_panels(recording: Recording) -> list[_Panel]:
    if "emg" not in recording or recording["emg"].data.ndim != 2 or not recording["emg"].data.size:
        return []
    emg = recording["emg"]
    count = min(emg.data.shape[1], _MOST_CHANNELS)
    if count < emg.data.shape[1]:
        _log.warning("only the first %d of %d channels are drawn", count, emg.data.shape[1])
    return [_Panel(_EMG_LANE_IN * count, lambda axes: _emg(axes, emg, count))]


def _emg(axes: Axes, emg: Stream, count: int) -> None:
    """Each channel in a lane of its own scale, told by a bar at its right: raw pale, envelope dark."""
    smooth = signals.envelope(emg)
    names = emg.channels or tuple(f"channel {k + 1}" for k in range(count))
    axes.set_ylim(-count, 0)
    for k in range(count):
        raw = np.nan_to_num(emg.data[:, k] - np.nanmedian(emg.data[:, k]))
        full = 1.05 * max(float(np.percentile(np.abs(raw), 99.9)), float(smooth[:, k].max()), 1e-6)
        middle, scale = -k - 0.5, 0.47 / full
        place, low, high = signals.extremes(raw, 2600)
        low, high = (middle + scale * edge.clip(-full, full) for edge in (low, high))
        axes.fill_between(emg.start_s + place * emg.duration_s, low, high, color=RAW, lw=0.3, zorder=2)
        every = max(1, len(smooth) // 4000)
        axes.plot(emg.times_s[::every], middle + scale * smooth[::every, k], color=ENVELOPE, lw=1.3, zorder=3)
        _lane_name(axes, middle, names[k])
        amount = signals.round_number(full)
        _scale_bar(axes, middle, scale * amount, f"{amount:g} {'µV' if emg.unit == 'uV' else emg.unit}")
    _heading(axes, "EMG", [("raw", RAW, "━"), (f"RMS over {1e3 * signals.ENVELOPE_S:.0f} ms", ENVELOPE, "━")])


def _lane_panels(recording: Recording) -> list[_Panel]:
    """Action units, or what else tells them; where there are none, muscles."""
    for name, title, read in (
        ("au_visible", "Action units", signals.action_units),
        ("au", "Action units", signals.action_units),
        ("camera_au", "Action units, by camera", signals.action_units),
        ("activation", "Muscle activation", signals.muscles),
        ("excitation", "Muscle excitation", signals.muscles),
    ):
        traces = signals.seen(read(recording[name]), _MOST_LANES) if name in recording else []
        if traces:
            by_camera = name in ("au", "au_visible") and "camera_au" in recording
            camera = {t.name: t for t in signals.action_units(recording["camera_au"])} if by_camera else {}
            return [_Panel(_LANE_IN * len(traces), lambda axes: _lanes(axes, traces, camera, title))]  # noqa: B023
    return []


def _lanes(axes: Axes, traces: Sequence[signals.Trace], camera: Mapping[str, signals.Trace], title: str) -> None:
    axes.set_ylim(-len(traces), 0)
    for k, trace in enumerate(traces):
        base, scale = -k - 0.92, 0.82 / max(1.0, trace.peak)
        axes.axhline(base, color=PALE, lw=0.6, zorder=1)
        if trace.name in camera:
            other = camera[trace.name]
            axes.plot(other.times_s, base + scale * other.right, color=CAMERA, lw=1.0, zorder=2)
        axes.fill_between(trace.times_s, base, base + scale * trace.right, color=RIGHT, alpha=0.15, lw=0, zorder=2)
        axes.plot(trace.times_s, base + scale * trace.right, color=RIGHT, lw=1.4, zorder=3)
        if trace.left is not None:
            axes.plot(trace.times_s, base + scale * trace.left, color=LEFT, lw=1.4, ls=(0, (2.2, 2.2)), zorder=4)
        _lane_name(axes, -k - 0.55, trace.name)
        if k == 0:
            _scale_bar(axes, base + scale / 2, scale, "1")
    paired = any(t.left is not None for t in traces)
    keys = [("right", RIGHT, "━"), ("left", LEFT, "╍")] if paired else []
    _heading(axes, title, keys + ([("camera", CAMERA, "━")] if camera else []))


def _heading(axes: Axes, title: str, keys: Sequence[tuple[str, str, str]]) -> None:
    """What a panel shows and the key to its lines, in the margin above its first lane."""
    place: Any = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
    x = 16.0 - 72 * _LEFT_IN
    axes.annotate(title, (0, 1), xytext=(x, 10), fontsize=10.5, fontweight="bold", color=INK, **place)
    for label, colour, line in keys:
        axes.annotate(f"{line} {label}", (0, 1), xytext=(x, -2), fontsize=8.5, color=colour, **place)
        x += 4.9 * len(label) + 22


def _scale_bar(axes: Axes, middle: float, length: float, text: str) -> None:
    x, along = 1 + 0.16 / _INNER_IN, axes.get_yaxis_transform()
    ends = [middle - length / 2, middle + length / 2]
    axes.plot([x, x], ends, color=INK, lw=2, clip_on=False, transform=along, solid_capstyle="butt")
    axes.annotate(
        text, (x, middle), xycoords=along, xytext=(6, 0), textcoords="offset points", va="center", fontsize=9,
        color=INK, annotation_clip=False,
    )  # fmt: skip


def _lane_name(axes: Axes, y: float, name: str) -> None:
    """The lane's name left of it, on two lines if it is long."""
    if len(name) > 26:
        words, first = name.split(), ""
        while words and len(first) + len(words[0]) < 24:
            first = f"{first} {words.pop(0)}".strip()
        name = f"{first}\n{' '.join(words)}" if first and words else name
    axes.annotate(
        name, (0, y), xycoords=axes.get_yaxis_transform(), xytext=(-10, 0), textcoords="offset points", ha="right",
        va="center", fontsize=9.5, color=INK, annotation_clip=False, linespacing=1.05,
    )  # fmt: skip


def _luminance(colour: str) -> float:
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
