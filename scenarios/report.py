"""What remains of a run: `report.html`, `recording.rrd`, `commands.csv` and, for a photo, `mirror.png`."""

import logging
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

import numpy as np

from .. import __version__
from ..sim.mesh import REGIONS
from ..twin.viewer import Viewer
from . import pictures
from .charts import commands_from_rest, commands_over_time
from .console import cell
from .take import MEASURED_REGIONS, Moment, Take, jpeg

FILM_FRAMES = 8
_log = logging.getLogger(__name__)


def write_results(take: Take, *, skin: str = "porcelain", render: bool = True) -> dict[str, Path]:
    """Write everything that shows a take into its folder; returns the files by name.

    Without OpenGL, or with `render` off, the report and the recording lack the pictures of the robot.
    """
    moments = take.album.moments
    still = take.kind == "photo"
    robot = pictures.robot_pictures(moments, skin, still=still) if render else []
    if not robot:
        take.notes.append("The robot was not drawn." if not render else "The robot was not drawn: no OpenGL here.")
    size = pictures.STILL_PX if still else pictures.MOVING_PX
    person = pictures.person_pictures(moments, size)
    written = {"commands": take.commands_csv, "recording": _write_recording(take, robot)}
    if still and robot:
        written["picture"] = take.folder / "mirror.png"
        written["picture"].write_bytes(pictures.png(pictures.side_by_side(person[0], robot[0])))
    written["report"] = take.folder / "report.html"
    written["report"].write_text(page(take, person, robot), encoding="utf-8")
    return written


def page(take: Take, person: Sequence[np.ndarray], robot: Sequence[np.ndarray]) -> str:
    """The report as one HTML page that needs no other file.

    `person` and `robot` hold a square picture for each moment of the album; `robot` may be empty.
    """
    style = (files("duchenne.scenarios") / "data" / "report.css").read_text(encoding="utf-8")
    name = Path(take.source).name
    sections = [
        f'<h1>{escape(name)}, mirrored</h1><p class="quiet">{escape(_summary(take))}</p>',
        f'<p class="problem">{escape(take.failure)}.</p>' if take.failure else "",
        _still(person, robot) if take.kind == "photo" else _film(take.album.moments, person, robot),
        "".join(f'<p class="quiet">{escape(note)}</p>' for note in take.notes),
        _errors(take),
        _commands(take),
        _figures(take),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(name)}, mirrored</title>'
        f'<meta name="viewport" content="width=device-width"><style>{style}</style></head>'
        f"<body>{''.join(sections)}</body></html>\n"
    )


def _summary(take: Take) -> str:
    if take.kind == "photo":
        return f"One photo; duchenne {__version__}."
    length = take.times_s[-1] if take.times_s else 0.0
    seen = f"{take.faces} of {take.frames} frames show one face"
    lacking = "".join(f", {count} show {problem}" for problem, count in take.problems.items())
    return f"{length:.1f} s; {seen}{lacking}; duchenne {__version__}."


def _still(person: Sequence[np.ndarray], robot: Sequence[np.ndarray]) -> str:
    shown = [_image(person[0], "the person")] + ([_image(robot[0], "the robot")] if robot else [])
    caption = "The person, and the robot after it came to rest." if robot else "The person."
    return f'<figure><div class="pair">{"".join(shown)}</div><figcaption>{caption}</figcaption></figure>'


def _film(moments: Sequence[Moment], person: Sequence[np.ndarray], robot: Sequence[np.ndarray]) -> str:
    both = [pictures.side_by_side(p, r) for p, r in zip(person, robot, strict=True)] if robot else list(person)
    parts = []
    if len(both) > 1:
        film = b64encode(pictures.moving(both, [m.time_s for m in moments])).decode()
        parts.append(
            f'<figure><img src="data:image/webp;base64,{film}" alt="person and robot, moving">'
            "<figcaption>Person and robot, in time with each other.</figcaption></figure>"
        )
    chosen = pictures.spread(FILM_FRAMES, moments)
    rows = [
        "".join(_image(row[k], f"{who} at {moments[k].time_s:.1f} s") for k in chosen)
        for who, row in (("person", person), ("robot", robot))
        if row
    ]
    times = "".join(f"<time>{moments[k].time_s:.1f} s</time>" for k in chosen)
    return f'{"".join(parts)}<figure><div class="strip">{"".join(rows)}{times}</div></figure>'


def _errors(take: Take) -> str:
    rows = [row for row in take.by_region() if row[0] in MEASURED_REGIONS]
    error, motion = take.overall_mm()
    most = max([motion, error, *(value for row in rows for value in row[1:])], default=1.0) or 1.0
    body = "".join(
        f'<tr><td>{escape(name)}</td><td class="number">{m:.2f}</td><td class="number">{e:.2f}</td><td class="bars">'
        f'<span class="bar wanted" style="width:{100 * m / most:.1f}%"></span>'
        f'<span class="bar error" style="width:{100 * e / most:.1f}%"></span></td></tr>'
        for name, e, m in [*rows, ("all", error, motion)]
    )
    return (
        '<h2>How close the robot came</h2><p class="quiet">Mean distance from rest that the person\'s expression asks '
        "of the landmarks, fitted to the robot's range, and how far the robot stayed from there, in mm.</p>"
        '<table><tr><th>region</th><th class="number">wanted</th><th class="number">error</th><th></th></tr>'
        f"{body}</table>"
    )


def _commands(take: Take) -> str:
    if take.kind == "photo":
        drawing = commands_from_rest(take.commands[-1])
        text = "Each line is a servo's travel from 0 to 1; the upright stroke is its rest, the dot its command."
    else:
        drawing = commands_over_time(take.times_s, np.array(take.commands))
        text = "Servo commands, 0 to 1; the left side of the face is dashed. All of them stand in commands.csv."
    return f'<h2>What the servos did</h2><p class="quiet">{text}</p>{drawing}'


def _figures(take: Take) -> str:
    rows = "".join(
        f'<tr><td>{escape(name.replace("_", " "))}</td><td class="number">{escape(cell(value))}</td></tr>'
        for name, value in take.figures().items()
        if not name.startswith(("error_", "motion_"))
    )
    return f"<h2>Figures</h2><table>{rows}</table>"


def _image(rgb: np.ndarray, alt: str) -> str:
    return f'<img src="data:image/jpeg;base64,{b64encode(jpeg(rgb)).decode()}" alt="{escape(alt)}">'


def _write_recording(take: Take, robot: Sequence[np.ndarray]) -> Path:
    path = take.folder / "recording.rrd"
    with Viewer.recording(path) as viewer:
        for k, m in enumerate(take.album.moments):
            viewer.moment(
                m.time_s, person_jpeg=m.person_jpeg, landmarks_px=m.landmarks_px, person_m=m.person_m,
                robot_jpeg=jpeg(robot[k]) if robot else None, robot_m=m.robot_m,
            )  # fmt: skip
        viewer.commands(take.times_s, np.array(take.commands).reshape(-1, 26))
        viewer.errors(take.error_times_s, np.array(take.errors_mm).reshape(-1, len(REGIONS)))
    return path
