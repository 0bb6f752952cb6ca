"""What remains of a run of `duchenne coexpress`: `report.html`, `coexpress.png`, `recording.rrd` and `commands.csv`."""

import csv
import io
import logging
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..sim.alignment import align
from ..sim.errors import GraphicsError, InputError
from ..sim.mesh import REST
from ..sim.person.au_camera import AuCamera
from ..sim.person.encounter import Shown
from ..sim.person.person import AU_NAMES, unit_shapes
from ..sim.robot.render import FaceRenderer
from ..sim.robot.servo import SERVO_NAMES
from ..twin import coexpress_viewer as viewer
from ..twin.coexpress_viewer import CoexpressViewer
from . import pictures
from .coexpress_curves import over_time
from .coexpress_picture import PERSON, ROWS, Strip, called, columns_s, draw, moment_s, said
from .coexpress_scene import CO_EXPRESSION, FOVY_DEG, MIMICRY, Played, Story
from .console import cell, console
from .show_faces import Portrayed
from .take import jpeg

PICTURE_PX = 400
_FILM_STEP_S, _FILM_SLOWED = 0.08, 3.0
_FILM_BEFORE_S, _FILM_AFTER_S = 0.2, 0.4
_LEAST_AU = 0.15
"""Action units that never reach this are left out of the recording."""
_EMG_EVERY = 10
"""Samples of the envelope that are left between two in the recording."""
Array = NDArray[np.floating]
_log = logging.getLogger(__name__)


def write_results(story: Story, folder: Path, *, skin: str = "porcelain", render: bool = True) -> dict[str, Path]:
    """Write everything that shows a story into a folder; returns the files by name.

    Without OpenGL, or with `render` off, robots and simulated people are line drawings. Raises `InputError`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to the folder {folder}: {error.strerror}; choose another with --out") from error
    with console.status("drawing them"):
        strips, film = _drawn(story, skin, render)
        images = [draw(story, strip) for strip in strips]
        written = {"report": folder / "report.html"}
        written["report"].write_text(page(story, images, film), encoding="utf-8")
        if images:
            written["picture"] = folder / "coexpress.png"
            written["picture"].write_bytes(images[0])
        written["recording"] = _write_recording(story, strips, folder / "recording.rrd")
        written["commands"] = _write_commands(story, folder / "commands.csv")
    return written


def page(story: Story, images: Sequence[bytes], film: bytes | None) -> str:
    """The report as one HTML page that needs no other file.

    images: the filmstrips of each act, PNG files. film: the first act in motion, a WebP file.
    """
    style = (files("duchenne.scenarios") / "data" / "report.css").read_text(encoding="utf-8")
    title = "A robot that smiles with you"
    acts = story.scene.acts
    sections = [
        f'<h1>{title}</h1><p class="quiet">{escape(_summary(story))}</p>',
        _filmstrip(images[0], acts[0]) if images else '<p class="problem">Her face showed no expression.</p>',
        _moving(film),
        _whole(story),
        _table(story),
        _missed(story),
        *(f"<h2>{called(act)}, at {act.onset_s:.1f} s</h2>{_filmstrip(image, act)}"
          for image, act in zip(images[1:], acts[1:], strict=True)),
        _EXPLAINED,
        "".join(f'<p class="quiet">{escape(note)}</p>' for note in story.scene.notes),
        _figures(story),
    ]  # fmt: skip
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{style}</style></head>'
        f"<body>{''.join(sections)}</body></html>\n"
    )


def _summary(story: Story) -> str:
    scene = story.scene
    return (
        f"{scene.source}, for {scene.duration_s:.0f} s. Two copies of one simulated robot know her by {scene.senses}, "
        f"{1e3 * scene.camera_delay_s:.0f} ms late. One expects what she is about to do, the other copies what it "
        f"sees. duchenne {__version__}."
    )


def _filmstrip(image: bytes, act: Shown) -> str:
    return f'<figure><img src="data:image/webp;base64,{_base64(_webp(image))}" alt="{escape(called(act))}"></figure>'


def _moving(film: bytes | None) -> str:
    if film is None:
        return ""
    caption = (
        f"The same moment in motion, {_FILM_SLOWED:g} times slower: the person, the robot that co-expresses, "
        "the robot that mimics."
    )
    image = f'<img src="data:image/webp;base64,{_base64(film)}" alt="person and robots, moving">'
    return f'<figure style="max-width: 46rem">{image}<figcaption>{caption}</figcaption></figure>'


def _whole(story: Story) -> str:
    text = (
        "How much of each expression is there, 1 at everybody's own strongest. Dots mark the arrival: 90 % of it."
        + (" Below, her EMG, each channel's envelope by its maximum." if story.scene.emg_uv is not None else "")
    )
    return f'<h2>The whole time</h2><p class="quiet">{text}</p>{over_time(story)}'


def _table(story: Story) -> str:
    rows = []
    for act in story.scene.acts:
        with_her, late = story.timing(CO_EXPRESSION, act), story.timing(MIMICRY, act)
        known = f"{1e3 * with_her.known_s:.0f} ms before" if np.isfinite(with_her.known_s) else "–"
        texts = [said(with_her.asynchrony_s), said(late.asynchrony_s), known]
        numbers = "".join(f'<td class="number">{t.error_mm:.2f}</td>' for t in (with_her, late))
        cells = "".join(f'<td class="number">{text}</td>' for text in texts)
        rows.append(f"<tr><td>{escape(called(act))}, {act.arrival_s:.1f} s</td>{cells}{numbers}</tr>")
    heads = ("co-expression arrives", "mimicry arrives", "expected", "error, co-expression", "error, mimicry")
    head = "".join(f'<th class="number">{name}</th>' for name in heads)
    text = (
        "Arrival is when 90 % of the own strongest is there. Expected: how long before her arrival the robot that "
        "co-expresses knew what was coming. Error: mean distance, in mm, of the robot's landmarks from her full "
        "expression at the moment of her arrival, as far as the robot's range allows it."
    )
    return (
        f'<h2>Expression by expression</h2><p class="quiet">{text}</p>'
        f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"
    )


def _missed(story: Story) -> str:
    rows = "".join(f"<li>{escape(line)}</li>" for line in story.missed())
    return f"<h2>What the robot had to do without</h2><ul>{rows}</ul>" if rows else ""


_EXPLAINED = (
    "<h2>How it works</h2><p>A camera and its software need about a tenth of a second, and a robot's servos and skin "
    "as long again. Whoever copies a face that is seen is therefore late, and a late smile does not look like one's "
    "own. Muscles speak before skin moves, and the beginning of an expression tells its end. From both the robot that "
    "co-expresses expects, 25 times a second, which face is coming and when, and starts early enough to be there "
    "with her.</p>"
)


def _figures(story: Story) -> str:
    rows = "".join(
        f'<tr><td>{escape(name.replace("_", " "))}</td><td class="number">{escape(cell(value))}</td></tr>'
        for name, value in story.figures().items()
    )
    return f"<h2>Figures</h2><table>{rows}</table>"


def _drawn(story: Story, skin: str, render: bool) -> tuple[list[Strip], bytes | None]:
    """The filmstrips of all acts, and the first act in motion; each face is drawn once."""
    acts = story.scene.acts
    times = [np.append(columns_s(story, act), moment_s(story, act)) for act in acts]
    if times:
        times.append(np.arange(times[0][0] - _FILM_BEFORE_S, times[0][-2] + _FILM_AFTER_S, _FILM_STEP_S))
    every = np.concatenate(times) if times else np.zeros(0)
    bounds = np.cumsum([len(one) for one in times])
    rows = {who: np.split(np.array(_faces(story, who, every, skin, render), object), bounds[:-1]) for who in ROWS}
    strips = [
        Strip(
            act,
            times[k][:-1],
            {who: list(rows[who][k][:-1]) for who in ROWS},
            {who: rows[who][k][-1] for who in ROWS},
        )
        for k, act in enumerate(acts)
    ]
    drawn = bool(acts) and all(face.picture is not None for who in ROWS for face in rows[who][-1])
    if not drawn:
        return strips, None
    triples = [[face.picture for face in faces] for faces in zip(*(rows[who][-1] for who in ROWS), strict=True)]
    film = [pictures.side_by_side(pictures.side_by_side(a, b), c) for a, b, c in triples]
    return strips, pictures.moving(film, (_FILM_SLOWED * times[-1]).tolist())


def _faces(story: Story, who: str, times_s: Array, skin: str, render: bool) -> list[Portrayed]:
    """The person or a robot at times (n,) s; without OpenGL their faces alone."""
    scene, robot = story.scene, story.robots.get(who)
    if robot is None:
        places = [scene.frame(t) for t in times_s]
        faces_m, wanted = scene.mesh_m[places], render or scene.filmed
    else:
        places = [robot.tick(t) for t in times_s]
        faces_m, wanted = robot.vertices_m[places], render
    shown: list[np.ndarray | None] = [None] * len(places)
    if wanted:
        try:
            drawn = scene.draw(places, PICTURE_PX) if robot is None else _robot_pictures(robot, places, skin)
            shown = list(drawn)
        except GraphicsError as error:
            _log.warning("faces are line drawings: %s", error)
    return [Portrayed(float(t), face, one) for t, face, one in zip(times_s, faces_m, shown, strict=True)]


def _robot_pictures(robot: Played, ticks: Sequence[int], skin: str) -> list[np.ndarray]:
    with FaceRenderer(skin, width_px=PICTURE_PX, height_px=PICTURE_PX, fovy_deg=FOVY_DEG) as renderer:
        return [
            renderer.image(robot.vertices_m[k], head_pose=robot.head_pose[k], gaze_rad=robot.gaze_rad[k]) for k in ticks
        ]


def _write_commands(story: Story, path: Path) -> Path:
    with path.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["robot", "time_s", *SERVO_NAMES])
        for name, robot in story.robots.items():
            for time_s, command in zip(robot.times_s, robot.commands, strict=True):
                table.writerow([name, f"{time_s:.3f}", *(f"{value:.5f}" for value in command)])
    return path


def _write_recording(story: Story, strips: Sequence[Strip], path: Path) -> Path:
    scene = story.scene
    with CoexpressViewer(path, tuple(story.robots)) as out:
        out.faces(viewer.PERSON, scene.times_s, align(scene.mesh_m))
        units = AuCamera.perfect(unit_shapes()).judge(scene.face_m).reshape(len(scene.times_s), -1)
        seen = np.flatnonzero(units.max(0) >= _LEAST_AU)
        out.curves("action_units", [AU_NAMES[k] for k in seen], scene.times_s, units[:, seen])
        if scene.emg_uv is not None:
            envelope = scene.envelope_uv[::_EMG_EVERY]
            out.curves("emg_uv", scene.channels, np.arange(len(envelope)) * _EMG_EVERY / scene.emg_hz, envelope)
        for name, robot in story.robots.items():
            out.faces(name, robot.times_s, robot.vertices_m)
            out.commands(name, robot.times_s, robot.commands)
        for who in (None, *story.robots):
            parts = [story.course(who, act) for act in scene.acts]
            if parts:
                times, courses = (np.concatenate(one) for one in zip(*parts, strict=True))
                out.curves(f"intensity/{who or PERSON}", [who or PERSON], times, courses[:, None])
        expected = story.robots[CO_EXPRESSION].expected
        times = story.robots[CO_EXPRESSION].times_s
        out.faces(viewer.EXPECTED, times, REST + np.array([one.target_m for one in expected]))
        facts = np.array([(one.probability, one.arrival_s, one.arrival_sd_s) for one in expected])
        out.curves("expectation", ["probability", "arrival in, s", "its SD, s"], times, facts)
        for strip in strips:
            for who, faces in strip.faces.items():
                for face in faces:
                    if face.picture is not None:
                        out.picture(who, face.time_s, jpeg(face.picture))
            out.event(strip.act.onset_s, f"{called(strip.act)} begins")
            out.event(strip.act.arrival_s, f"{called(strip.act)} is there")
    return path


def _webp(png: bytes) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(stream, "WEBP", quality=88, method=3)
    return stream.getvalue()


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


__all__ = ["PICTURE_PX", "page", "write_results"]
