"""Recordings and live views in rerun; besides `coexpress_viewer` no other module imports it.

    with Viewer.recording("out/recording.rrd") as viewer:
        viewer.moment(0.0, person_jpeg=…, person_m=…, robot_m=…)
    with PersonViewer("out/person.rrd", plots={"emg_uv/frontalis": ["raw", "RMS"]}) as viewer:
        viewer.faces(times_s, faces_m, colours)

The live viewer is a process of its own that listens on this machine only.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import rerun as rr
import rerun.blueprint as rrb

from ..sim.errors import InputError
from ..sim.mesh import ALL_TRIANGLES, REGIONS, TRIANGLES, vertex_normals
from ..sim.robot.servo import SERVO_NAMES

TIMELINE = "time"
SERVO_GROUPS: Mapping[str, tuple[str, ...]] = {
    "neck_and_eyes": tuple(n for n in SERVO_NAMES if n.startswith("neck") or "_eye_" in n),
    "lids_and_brows": tuple(n for n in SERVO_NAMES if n.endswith(("lid", "brow"))),
    "mouth": tuple(n for n in SERVO_NAMES if "lip" in n or "corner" in n or n == "jaw"),
}
"""Which servo commands share a plot."""
_LOOPBACK = "127.0.0.1"
_PATIENCE_S = 10.0
_log = logging.getLogger(__name__)


class ViewerUnavailable(InputError):
    """The live viewer did not start; recordings are not affected."""


class Viewer:
    """Shows moments in a file or in a live viewer; a context manager. Times are seconds since the start."""

    def __init__(self, stream: rr.RecordingStream):
        self._stream = stream
        self._stream.log("person/face", still_mesh(ALL_TRIANGLES, (205, 170, 150)), static=True)
        self._stream.log("robot/face", still_mesh(TRIANGLES, (150, 170, 205)), static=True)
        for group, names in SERVO_GROUPS.items():
            self._stream.log(f"command/{group}", rr.SeriesLines(names=list(names)), static=True)
        self._stream.log("error_mm", rr.SeriesLines(names=list(REGIONS)), static=True)

    @classmethod
    def recording(cls, path: str | Path, recording_id: str | None = None) -> "Viewer":
        """Write to an .rrd file. Raises `InputError` if the file cannot be written."""
        return cls(file_stream(path, _blueprint(), recording_id))

    @classmethod
    def live(cls) -> "Viewer":
        """Open a viewer window and show everything in it at once. Raises `ViewerUnavailable`."""
        port = _start_viewer()
        stream = rr.RecordingStream("duchenne", send_properties=False)
        stream.connect_grpc(f"rerun+http://{_LOOPBACK}:{port}/proxy", default_blueprint=_blueprint())
        return cls(stream)

    def __enter__(self) -> "Viewer":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Write out what is still in memory. A live viewer that was closed meanwhile is only a warning."""
        try:
            self._stream.flush(timeout_sec=_PATIENCE_S)
        except (RuntimeError, ValueError) as error:
            _log.warning("the viewer lost what was sent last: %s", error)
        self._stream.disconnect()

    def moment(
        self,
        time_s: float,
        *,
        person_jpeg: bytes | None = None,
        landmarks_px: np.ndarray | None = None,
        person_m: np.ndarray | None = None,
        robot_jpeg: bytes | None = None,
        robot_m: np.ndarray | None = None,
        command: np.ndarray | None = None,
        error_mm: np.ndarray | None = None,
    ) -> None:
        """Show one moment; what is left out stays as it was.

        Pictures are JPEG files. landmarks_px (n, 2 or 3) lie in the person's picture; person_m and robot_m
        are faces, (468, 3); command (26,) and error_mm (regions,) are ordered as `SERVO_NAMES` and
        `mesh.REGIONS`.
        """
        self._stream.set_time(TIMELINE, duration=time_s)
        if person_jpeg is not None:
            self._stream.log("person/camera", rr.EncodedImage(contents=person_jpeg, media_type="image/jpeg"))
        if landmarks_px is not None:
            points = rr.Points2D(landmarks_px[:, :2], radii=-1.2, colors=(120, 200, 255))
            self._stream.log("person/camera/landmarks", points)
        if robot_jpeg is not None:
            self._stream.log("robot/camera", rr.EncodedImage(contents=robot_jpeg, media_type="image/jpeg"))
        for entity, vertices in (("person/face", person_m), ("robot/face", robot_m)):
            if vertices is not None:
                self._stream.log(entity, moving_mesh(vertices))
        if command is not None:
            for group, places in _GROUP_PLACES.items():
                self._stream.log(f"command/{group}", rr.Scalars(command[places]))
        if error_mm is not None:
            self._stream.log("error_mm", rr.Scalars(error_mm))

    def commands(self, times_s: Sequence[float], commands: np.ndarray) -> None:
        """Many commands, (time, 26), at once."""
        for group, places in _GROUP_PLACES.items():
            self._columns(f"command/{group}", times_s, np.asarray(commands)[:, places])

    def errors(self, times_s: Sequence[float], errors_mm: np.ndarray) -> None:
        """Many errors by region, (time, regions) mm, at once."""
        self._columns("error_mm", times_s, np.asarray(errors_mm))

    def _columns(self, entity: str, times_s: Sequence[float], values: np.ndarray) -> None:
        send_scalars(self._stream, entity, times_s, values)


class PersonViewer:
    """A recorded person in an .rrd file: a face in coloured skin, plots, events; a context manager.

    plots: entities such as `emg_uv/frontalis` or `au`, each with the names of its curves; those that share the part
    before the slash share a tab. Times are seconds on the recording's clock. Raises `InputError` if the file cannot be
    written.
    """

    def __init__(self, path: str | Path, plots: Mapping[str, Sequence[str]], recording_id: str | None = None):
        self._stream = file_stream(path, _person_blueprint(tuple(plots)), recording_id)
        self._stream.log("person/face", still_mesh(TRIANGLES, None), static=True)
        for entity, names in plots.items():
            self._stream.log(entity, rr.SeriesLines(names=list(names)), static=True)

    def __enter__(self) -> "PersonViewer":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Write out what is still in memory."""
        self._stream.flush(timeout_sec=_PATIENCE_S)
        self._stream.disconnect()

    def faces(self, times_s: Sequence[float] | np.ndarray, faces_m: np.ndarray, colours: np.ndarray) -> None:
        """Faces over time: (T,) s, vertices (T, 468, 3) m, their colours (T, 468, 3) uint8."""
        for time_s, face, colour in zip(times_s, faces_m, colours, strict=True):
            self._stream.set_time(TIMELINE, duration=float(time_s))
            self._stream.log("person/face", moving_mesh(face, colour))

    def scalars(self, entity: str, times_s: Sequence[float] | np.ndarray, values: np.ndarray) -> None:
        """One plot: times (T,) s, a column of values (T, n) for each of its names."""
        send_scalars(self._stream, entity, times_s, np.asarray(values))

    def event(self, time_s: float, text: str) -> None:
        """One line in the list of events."""
        self._stream.set_time(TIMELINE, duration=float(time_s))
        self._stream.log("events", rr.TextLog(text))


_GROUP_PLACES = {group: [SERVO_NAMES.index(n) for n in names] for group, names in SERVO_GROUPS.items()}


def file_stream(path: str | Path, blueprint: rrb.Blueprint, recording_id: str | None) -> rr.RecordingStream:
    """A stream into an .rrd file. Raises `InputError` if the file cannot be written."""
    try:
        Path(path).open("wb").close()
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another folder") from error
    stream = rr.RecordingStream("duchenne", recording_id=recording_id, send_properties=False)
    stream.save(path, default_blueprint=blueprint)
    return stream


def send_scalars(
    stream: rr.RecordingStream, entity: str, times_s: Sequence[float] | np.ndarray, values: np.ndarray
) -> None:
    """Log a plot: times (T,) s, a column of values (T, n) for each of its curves."""
    count, width = values.shape
    if count:
        stream.send_columns(
            entity,
            indexes=[rr.TimeColumn(TIMELINE, duration=np.asarray(times_s, float))],
            columns=rr.Scalars.columns(scalars=values.reshape(-1)).partition(np.full(count, width)),
        )


# A static component hides every later value of the same component: only what never changes may be static.
def still_mesh(triangles: np.ndarray, colour: tuple[int, int, int] | None) -> rr.Mesh3D:
    """What never changes of a face."""
    return rr.Mesh3D.from_fields(triangle_indices=triangles.astype(np.uint32), albedo_factor=colour)


def moving_mesh(vertices_m: np.ndarray, colours: np.ndarray | None = None) -> rr.Mesh3D:
    """What changes of a face: vertices (468, 3) m, their normals and colours."""
    vertices = np.asarray(vertices_m, float)
    return rr.Mesh3D.from_fields(
        vertex_positions=vertices.astype(np.float32),
        vertex_normals=vertex_normals(vertices).astype(np.float32),
        vertex_colors=colours,
    )


def _person_blueprint(entities: Sequence[str]) -> rrb.Blueprint:
    # The face stands with +y up and looks along +z, so the eye stands in front of it.
    eye = rrb.EyeControls3D(position=(0.06, 0.03, 0.34), look_target=(0, 0, 0.02), eye_up=(0, 1, 0))
    groups: dict[str, list[str]] = {}
    for entity in entities:
        groups.setdefault(entity.split("/")[0], []).append(entity)
    tabs = []
    for group, members in groups.items():
        views = [rrb.TimeSeriesView(origin=e, name=e.split("/")[-1].replace("_", " ")) for e in members]
        tabs.append(rrb.Vertical(*views, name=group.replace("_", " ")))
    return rrb.Blueprint(
        rrb.Horizontal(
            rrb.Vertical(
                rrb.Spatial3DView(origin="person/face", name="skin", eye_controls=eye),
                rrb.TextLogView(origin="events", name="events"),
                row_shares=[3, 1],
            ),
            rrb.Tabs(*tabs) if tabs else rrb.TextLogView(origin="events", name="events"),
            column_shares=[2, 3],
        ),
        collapse_panels=True,
    )


def _blueprint() -> rrb.Blueprint:
    # Both faces stand with +y up and look along +z, so the eye stands in front of them.
    eye = rrb.EyeControls3D(position=(0.06, 0.03, 0.34), look_target=(0, 0, 0.02), eye_up=(0, 1, 0))
    plots = [
        rrb.TimeSeriesView(origin=f"command/{group}", name=group.replace("_", " "), axis_y=rrb.ScalarAxis(range=(0, 1)))
        for group in SERVO_GROUPS
    ]
    return rrb.Blueprint(
        rrb.Vertical(
            rrb.Horizontal(
                rrb.Spatial2DView(origin="person/camera", name="person"),
                rrb.Spatial2DView(origin="robot/camera", name="robot"),
                rrb.Spatial3DView(origin="person/face", name="person, pose removed", eye_controls=eye),
                rrb.Spatial3DView(origin="robot/face", name="robot's skin", eye_controls=eye),
            ),
            rrb.Horizontal(*plots, rrb.TimeSeriesView(origin="error_mm", name="landmark error, mm")),
            row_shares=[3, 2],
        ),
        collapse_panels=True,
    )


def _start_viewer() -> int:
    """Start the viewer's process, wait until it listens and return its port."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise ViewerUnavailable("there is no display for a live viewer; look at the recording later")
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable, "-m", "rerun", "--bind", _LOOPBACK, "--port", str(port), "--memory-limit", "1GB",
            "--server-memory-limit", "256MB", "--hide-welcome-screen", "--expect-data-soon",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex((_LOOPBACK, port)) == 0:
                return port
        time.sleep(0.1)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)  # its own session: the launcher and the viewer
    raise ViewerUnavailable("the live viewer did not start; look at the recording later")
