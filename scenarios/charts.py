"""Drawings for the report as SVG: small, sharp, and coloured by the page's style sheet in light and dark."""

from collections.abc import Sequence
from html import escape

import numpy as np

from ..sim.robot.servo import REST_COMMAND, SERVO_NAMES, index

PANELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("neck", ("neck_yaw", "neck_pitch", "neck_roll")),
    ("eyeballs", ("right_eye_yaw", "left_eye_yaw", "right_eye_pitch", "left_eye_pitch")),
    ("lids", ("right_upper_lid", "left_upper_lid", "right_lower_lid", "left_lower_lid")),
    ("brows", ("right_inner_brow", "left_inner_brow", "right_outer_brow", "left_outer_brow")),
    ("upper lip", ("upper_lip_center", "right_upper_lip", "left_upper_lip")),
    ("lower lip, jaw", ("lower_lip_center", "right_lower_lip", "left_lower_lip", "jaw")),
    ("mouth corners", ("right_corner_upper", "left_corner_upper", "right_corner_lower", "left_corner_lower")),
)
"""Which servos share a drawing; together they are all 26."""

_WIDTH, _HEIGHT, _MARGIN, _LEGEND = 900, 96, 34, 170
_COLOURS = "abcdefg"
_MOST_POINTS = 800


def commands_over_time(times_s: Sequence[float], commands: np.ndarray) -> str:
    """Commands, (time, 26), as one row of curves for each of `PANELS`; the left side of the face is dashed."""
    times = np.asarray(times_s, float)
    every = max(1, int(np.ceil(len(times) / _MOST_POINTS)))
    times, commands = times[::every], np.asarray(commands)[::every]
    end = max(float(times[-1]), 1e-3)
    rows = [_panel(k, title, names, times, commands, end) for k, (title, names) in enumerate(PANELS)]
    height = len(PANELS) * _HEIGHT + 24
    axis = "".join(
        f'<text x="{_x(t, end):.1f}" y="{height - 6}" text-anchor="middle">{t:g} s</text>' for t in _ticks(end)
    )
    return _svg(height, "Servo commands over time", "".join(rows) + axis)


def commands_from_rest(command: np.ndarray) -> str:
    """One command, (26,), as a dot for each servo on its travel, with a stroke from the rest position."""
    row, half = 22, _WIDTH / 2
    per_column = (len(SERVO_NAMES) + 1) // 2
    parts = []
    for k, (name, value, rest) in enumerate(zip(SERVO_NAMES, command, REST_COMMAND, strict=True)):
        left, y = (k // per_column) * half, (k % per_column) * row + 14
        low, span = left + 150, half - 180
        at, start = low + span * value, low + span * rest
        parts.append(
            f'<text x="{left + 140}" y="{y + 4}" text-anchor="end">{_label(name)}</text>'
            f'<line class="grid" x1="{low}" x2="{low + span}" y1="{y}" y2="{y}"/>'
            f'<line x1="{start:.1f}" x2="{at:.1f}" y1="{y}" y2="{y}" stroke="var(--a)" stroke-width="3"/>'
            f'<line x1="{start:.1f}" x2="{start:.1f}" y1="{y - 5}" y2="{y + 5}" stroke="var(--quiet)"/>'
            f'<circle cx="{at:.1f}" cy="{y}" r="4" fill="var(--a)"/>'
        )
    return _svg(per_column * row + 8, "Servo commands", "".join(parts))


def _panel(place: int, title: str, names: Sequence[str], times: np.ndarray, commands: np.ndarray, end: float) -> str:
    top = place * _HEIGHT + 8
    height = _HEIGHT - 18
    parts = [
        f'<text x="0" y="{top + 10}">{escape(title)}</text>',
        f'<line class="grid" x1="{_LEGEND}" x2="{_WIDTH - _MARGIN}" y1="{top}" y2="{top}"/>',
        f'<line class="grid" x1="{_LEGEND}" x2="{_WIDTH - _MARGIN}" y1="{top + height}" y2="{top + height}"/>',
        f'<text x="{_WIDTH - _MARGIN + 6}" y="{top + 4}">1</text>',
        f'<text x="{_WIDTH - _MARGIN + 6}" y="{top + height + 4}">0</text>',
    ]
    colour_of: dict[str, str] = {}
    for name in names:
        kind = name.removeprefix("right_").removeprefix("left_")
        fresh = kind not in colour_of
        colour = colour_of.setdefault(kind, _COLOURS[len(colour_of) % len(_COLOURS)])
        if fresh:
            y = top + 12 + 14 * len(colour_of)
            parts.append(f'<line x1="0" x2="12" y1="{y - 4}" y2="{y - 4}" stroke="var(--{colour})" stroke-width="2"/>')
            parts.append(f'<text x="18" y="{y}">{_label(kind)}</text>')
        side = " left" if name.startswith("left_") else ""
        values = commands[:, index(name)]
        points = " ".join(f"{_x(t, end):.1f},{top + height * (1 - v):.1f}" for t, v in zip(times, values, strict=True))
        parts.append(f'<polyline class="trace{side}" stroke="var(--{colour})" points="{points}"/>')
    return "".join(parts)


def _x(time_s: float, end_s: float) -> float:
    return _LEGEND + (_WIDTH - _MARGIN - _LEGEND) * time_s / end_s


def _ticks(end_s: float) -> list[float]:
    steps = [s * 10.0**p for p in range(-2, 5) for s in (1, 2, 5)]
    step = next(s for s in steps if end_s / s <= 10)
    return [float(f"{k * step:.6g}") for k in range(int(end_s / step) + 1)]


def _label(name: str) -> str:
    return escape(name.replace("_", " "))


def _svg(height: float, title: str, content: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">{content}</svg>'
