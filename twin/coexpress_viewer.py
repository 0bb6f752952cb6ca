"""A recording of a person and the robots beside her in rerun: skins, pictures, EMG, action units, commands.

with CoexpressViewer("out/recording.rrd", ("co-expression", "mimicry")) as viewer:
    viewer.faces("person/face", times_s, faces_m)
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rerun as rr
import rerun.blueprint as rrb

from ..sim.mesh import ALL_TRIANGLES, TRIANGLES
from ..sim.robot.servo import SERVO_NAMES
from .viewer import SERVO_GROUPS, TIMELINE, file_stream, moving_mesh, send_scalars, still_mesh

PERSON = "person"
EXPECTED = "expected"
"""The entity of the face that the first robot expected of her."""
_COLOURS = {PERSON: (205, 170, 150), EXPECTED: (200, 200, 160)}
_ROBOT = (150, 170, 205)


class CoexpressViewer:
    """An .rrd file; a context manager. Times are seconds. Raises `InputError` if the file cannot be written.

    robots: their names; the face that the first one expects stands beside hers.
    """

    def __init__(self, path: str | Path, robots: Sequence[str], recording_id: str | None = None):
        self._stream = file_stream(path, _blueprint(robots), recording_id)
        for who in (PERSON, EXPECTED, *robots):
            triangles = ALL_TRIANGLES if who in (PERSON, EXPECTED) else TRIANGLES
            self._stream.log(f"{who}/face", still_mesh(triangles, _COLOURS.get(who, _ROBOT)), static=True)

    def __enter__(self) -> "CoexpressViewer":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Write out what is still in memory."""
        self._stream.flush()
        self._stream.disconnect()

    def faces(self, who: str, times_s: np.ndarray, faces_m: np.ndarray) -> None:
        """Faces of `PERSON`, `EXPECTED` or a robot: (T,) s, (T, 468, 3) m."""
        for time_s, face in zip(times_s, faces_m, strict=True):
            self._stream.set_time(TIMELINE, duration=float(time_s))
            self._stream.log(f"{who}/face", moving_mesh(face))

    def picture(self, who: str, time_s: float, jpeg: bytes) -> None:
        """A picture of the person or a robot, a JPEG file."""
        self._stream.set_time(TIMELINE, duration=float(time_s))
        self._stream.log(f"{who}/picture", rr.EncodedImage(contents=jpeg, media_type="image/jpeg"))

    def curves(self, entity: str, names: Sequence[str], times_s: np.ndarray, values: np.ndarray) -> None:
        """A plot: names of its curves (n,), times (T,) s, values (T, n)."""
        self._stream.log(entity, rr.SeriesLines(names=list(names)), static=True)
        send_scalars(self._stream, entity, times_s, np.asarray(values, float))

    def commands(self, robot: str, times_s: np.ndarray, commands: np.ndarray) -> None:
        """Commands (T, 26) of a robot."""
        for group, names in SERVO_GROUPS.items():
            places = [SERVO_NAMES.index(name) for name in names]
            self.curves(f"command/{robot}/{group}", names, times_s, np.asarray(commands)[:, places])

    def event(self, time_s: float, text: str) -> None:
        """One line in the list of events."""
        self._stream.set_time(TIMELINE, duration=float(time_s))
        self._stream.log("events", rr.TextLog(text))


def _blueprint(robots: Sequence[str]) -> rrb.Blueprint:
    # Faces stand with +y up and look along +z, so the eye stands in front of them.
    eye = rrb.EyeControls3D(position=(0.0, 0.02, 0.34), look_target=(0, 0, 0.02), eye_up=(0, 1, 0))
    everyone = (PERSON, *robots)
    skins = [rrb.Spatial3DView(origin=f"{who}/face", name=who, eye_controls=eye) for who in everyone]
    expected = rrb.Spatial3DView(origin=f"{EXPECTED}/face", name=f"what {robots[0]} expects of her", eye_controls=eye)
    pictures = [rrb.Spatial2DView(origin=f"{who}/picture", name=who) for who in everyone]
    plots = [
        rrb.TimeSeriesView(origin="intensity", name="how much of the expression is there"),
        rrb.TimeSeriesView(origin="expectation", name="what is expected"),
        rrb.TimeSeriesView(origin="emg_uv", name="EMG envelope, µV"),
        rrb.TimeSeriesView(origin="action_units", name="her action units"),
    ]
    commands = [
        rrb.Vertical(
            *(
                rrb.TimeSeriesView(origin=f"command/{who}/{group}", name=group.replace("_", " "))
                for group in SERVO_GROUPS
            ),
            name=f"commands, {who}",
        )
        for who in robots
    ]
    return rrb.Blueprint(
        rrb.Horizontal(
            rrb.Vertical(
                rrb.Horizontal(*skins, expected), rrb.Horizontal(*pictures),
                rrb.TextLogView(origin="events", name="events"), row_shares=[3, 3, 1],
            ),
            rrb.Tabs(rrb.Vertical(*plots, name="curves"), *commands),
            column_shares=[3, 2],
        ),
        collapse_panels=True,
    )  # fmt: skip


__all__ = ["EXPECTED", "PERSON", "CoexpressViewer"]
