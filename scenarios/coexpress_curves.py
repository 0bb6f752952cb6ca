"""Intensities and EMG over a whole run as SVG, coloured by the page's style sheet in light and dark."""

from html import escape

import numpy as np
from numpy.typing import NDArray

from .coexpress_scene import CO_EXPRESSION, MIMICRY, Story

Array = NDArray[np.floating]

_NAMES = {None: "person", CO_EXPRESSION: CO_EXPRESSION, MIMICRY: MIMICRY}
_COLOURS = {None: "var(--ink)", CO_EXPRESSION: "var(--a)", MIMICRY: "var(--b)"}
_WIDTH, _LEFT, _RIGHT = 900.0, 96.0, 8.0
_CURVES, _CHANNEL, _TOP, _AXIS = 130.0, 22.0, 24.0, 22.0
_EMG_STEP = 20


def over_time(story: Story) -> str:
    """Intensity of the person and the robots, and the envelope of each EMG channel, on one time axis."""
    scene = story.scene
    end_s = max(scene.duration_s, 1e-3)
    parts = [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{_y(v)}" y2="{_y(v)}"/>'
        f'<text x="{_LEFT - 6}" y="{_y(v) + 4}" text-anchor="end">{v:g}</text>'
        for v in (0, 1)
    ]
    x = _LEFT
    for who, name in _NAMES.items():
        parts.append(f'<line x1="{x}" x2="{x + 18}" y1="8" y2="8" stroke="{_COLOURS[who]}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 24}" y="12">{escape(name)}</text>')
        x += 130
    for who in (MIMICRY, CO_EXPRESSION, None):
        for act in scene.acts:
            times, course = story.course(who, act)
            parts.append(_line(times, [_y(v) for v in course.clip(-0.2, 1.1)], end_s, _COLOURS[who], 2.0))
            arrival = act.arrival_s if who is None else story.timing(who, act).arrival_s
            if np.isfinite(arrival):
                y = _y(float(np.interp(arrival, times, course)))
                parts.append(f'<circle cx="{_x(arrival, end_s):.1f}" cy="{y:.1f}" r="4.5" fill="{_COLOURS[who]}"/>')
    bottom = _TOP + _CURVES + 14
    for k, channel in enumerate(scene.channels):
        envelope = scene.envelope_uv[::_EMG_STEP, k]
        base = bottom + (k + 1) * _CHANNEL
        height = (_CHANNEL - 4) / max(float(envelope.max(initial=0)), 1e-6)
        times = np.arange(len(envelope)) * _EMG_STEP / scene.emg_hz
        parts.append(_line(times, base - height * envelope, end_s, "var(--d)", 1.2))
        parts.append(f'<text x="{_LEFT - 6}" y="{base - 4:.1f}" text-anchor="end">{escape(channel)}</text>')
    bottom += _CHANNEL * len(scene.channels)
    step = 1 if end_s <= 15 else 5
    parts += [
        f'<text x="{_x(t, end_s):.1f}" y="{bottom + 16}" text-anchor="middle">{t} s</text>'
        for t in range(0, int(end_s) + 1, step)
    ]
    box = f"0 0 {_WIDTH:g} {bottom + _AXIS:g}"
    return f'<svg viewBox="{box}" role="img" aria-label="Intensities over time">{"".join(parts)}</svg>'


def _line(times_s: Array, heights: Array | list[float], end_s: float, colour: str, width: float) -> str:
    points = " ".join(f"{_x(t, end_s):.1f},{y:.1f}" for t, y in zip(times_s, heights, strict=True))
    return f'<polyline class="trace" style="stroke-width: {width}" stroke="{colour}" points="{points}"/>'


def _x(time_s: float, end_s: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * time_s / end_s


def _y(share: float) -> float:
    return _TOP + _CURVES * (1.1 - share) / 1.3


__all__ = ["over_time"]
