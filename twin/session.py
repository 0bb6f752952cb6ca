"""One performance on a face: what it was told goes through the port, into the log, to its shadow and to the monitor.

    with Session.open("dynamixel:/dev/ttyUSB0", "out/log.mcap", about={"command": "mirror"}) as session:
        session.begin()
        while …:
            session.until(now_s)
            sent = session.step(wanted)
            session.seen(taken_s, face_m)

The log holds commands as asked for and as sent, feedback, the Guard's events, the monitor's findings (events named
`drift`), faces seen and EMG heard; servo map and limits are attached. All times are those of the face's clock.
"""

import contextlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..hardware.bus import Feedback, ServoMap
from ..hardware.guard import Event
from ..hardware.guard_limits import Limits
from ..sim.errors import BusError, CommandRejected
from ..sim.robot.face import FaceState
from ..sim.robot.individual import IndividualFaces
from .adaptation import Adaptation
from .calibration import Calibration
from .log import LogWriter
from .log_entries import Command, Seen
from .port import BusFace, FacePort, SimFace, open_face
from .residual import Finding, ResidualMonitor
from .shadow import Shadow

Array = NDArray[np.floating]
_WAITS = "waits"
_PUNCTUAL_S = 0.02
_TOGETHER_S = 1.0
"""A face that moved on its own, and the twin that did not, are in the same place again after so long."""
_log = logging.getLogger(__name__)


class Session:
    """Owns a face and its log; a context manager. See the module for what it does with them.

    The face is relaxed until `begin`: whoever loads models and looks for cameras has no time for a robot.

    Args:
        face: is closed with this.
        log: is closed with this; None writes none.
        calibration: what the face's twin is like, and by how much its commands differ; None takes the design.
        monitor: None takes the usual one where the face gives feedback and is not the simulation itself.
    """

    def __init__(
        self,
        face: FacePort,
        log: LogWriter | None = None,
        *,
        calibration: Calibration | None = None,
        monitor: ResidualMonitor | None = None,
    ):
        self.face, self.log = face, log
        simulated = isinstance(face, SimFace)
        if monitor is None and face.capabilities.feedback and not simulated:
            monitor = ResidualMonitor(safe_set=face.guard.safe_set)
        self.monitor = monitor
        twin = None if calibration is None else IndividualFaces(calibration.individual)
        self._shadow = None if simulated and monitor is None else Shadow(face.last, face.time_s, twin)
        self.start_s = face.time_s
        self.findings: list[Finding] = []
        self._heard_s = self._sent_s = self._together_s = -np.inf
        self._adapt = None if calibration is None else Adaptation.of(calibration, face.guard.safe_set)
        self._attach(calibration)
        face.stop(_WAITS, "for its first command")

    @classmethod
    def open(
        cls,
        where: str,
        path: str | Path | None = None,
        *,
        about: Mapping[str, object] | None = None,
        calibration: Calibration | None = None,
        real_time: bool = False,
    ) -> "Session":
        """Open a face, as `open_face`, and a log at `path` that tells `about` itself. Raises `DuchenneError`."""
        about = {"robot": where, **(about or {})}
        log = None if path is None else LogWriter(path, about=about)
        try:
            if log is not None:
                log.attach("config.json", json.dumps(about, indent=1, default=str))
            told = None if log is None else _EventLog(log)
            face = open_face(where, calibration=calibration, on_event=told, real_time=real_time)
        except BaseException:
            if log is not None:  # of nothing
                log.close()
                log.path.unlink(missing_ok=True)
            raise
        try:
            return cls(face, log, calibration=calibration)
        except BaseException:
            face.close()
            raise

    @property
    def time_s(self) -> float:
        """Seconds since the session began, on the face's clock."""
        return self.face.time_s - self.start_s

    @property
    def state(self) -> FaceState:
        """The simulated face itself, or the twin of the real one."""
        if isinstance(self.face, SimFace):
            return self.face.state
        assert self._shadow is not None
        return self._shadow.state

    def begin(self, time_s: float = 0.0) -> None:
        """Switch torque on, and say that it is `time_s` after the beginning now.

        A face that is stopped for another reason than waiting stays so. Raises `CommandRejected` or `BusError`.
        """
        if (self.face.stopped or "").startswith((_WAITS, "stale")):
            self.face.rearm()
            self._sent_s = -np.inf  # nobody knows where it went meanwhile
        self.start_s = self.face.time_s - time_s

    def until(self, time_s: float) -> None:
        """Wait until this many seconds after the beginning."""
        self.face.until(self.start_s + time_s)
        if self._shadow is not None:
            self._shadow.advance(self.face.time_s)

    def step(self, asked: Array, *, exactly: bool = False) -> Array:
        """Send the next command on the way to `asked`, (26,), or with `exactly` that one if the rules let it pass.

        `asked` is meant for the design; a calibrated face gets its own command for it, except with `exactly`. Returns
        what was really sent. Raises `CommandRejected` or `BusError`; a single failed read is only logged.
        """
        return self._step(asked, asked if exactly or self._adapt is None else self._adapt(asked), exactly)

    def glide(self, goal: Array) -> None:
        """Go slowly to a safe command of its own, (26,), logged as all else; returns when the face is there."""
        self.face.glide(goal, lambda command: self._step(command, command, False))

    def _step(self, asked: Array, own: Array, exactly: bool) -> Array:
        try:
            sent = self._send(own, exactly)
        except BaseException:
            self._write(self.face.time_s, Command(asked=np.asarray(asked, float)))
            raise
        now = self.face.guard.last_s
        assert now is not None
        self._write(now, Command(asked=np.asarray(asked, float), sent=sent))
        if now - self._sent_s > self.face.guard.limits.glide_after_s:
            self._together_s = now + _TOGETHER_S
        self._sent_s = now
        if self._shadow is not None:
            self._shadow.send(sent, now)
        try:
            feedback = self.face.read()
        except BusError as error:
            if self.face.stopped is not None:
                raise
            _log.info("a read failed: %s", error)
        else:
            self._heard(feedback, now)
        return sent

    def seen(self, taken_s: float, face_m: Array | None) -> None:
        """Log the person's face, (468, 3) m from rest, in a picture taken so long after the beginning."""
        self._write(self.face.time_s, Seen(taken_s=self.start_s + taken_s, face_m=face_m))

    def looked(self, taken_s: float, landmarks_m: Array) -> None:
        """Show the monitor aligned landmarks of the robot itself, (468, 3) m; time as for `seen`."""
        if self.monitor is not None and self._shadow is not None and self.start_s + taken_s > self._together_s:
            self._tell(self.monitor.see(self.start_s + taken_s, landmarks_m, self._shadow))

    def write(self, what: Any) -> None:
        """Log something else that a log has a place for, such as a block of EMG."""
        self._write(self.face.time_s, what)

    def close(self) -> None:
        """Let go of the face, then finish the log; may be called twice. Raises `InputError` for a log with holes."""
        self.face.close()
        if self.log is not None:
            self.log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, *_) -> None:
        if kind is None:
            self.close()
            return
        with contextlib.suppress(Exception):  # another error matters more
            self.close()

    def _send(self, asked: Array, exactly: bool) -> Array:
        if exactly:
            try:
                return self.face.send(asked)
            except CommandRejected as error:
                if error.rule not in ("rate", "acceleration"):
                    raise
        return self.face.toward(asked)

    def _heard(self, feedback: Feedback, sent_s: float) -> None:
        if not feedback.time_s > self._heard_s:
            return
        self._heard_s = feedback.time_s
        self._write(feedback.time_s, feedback)
        punctual = feedback.time_s - sent_s < _PUNCTUAL_S  # of a machine that was busy nobody knows what was when
        judged = punctual and feedback.time_s > self._together_s
        if self.monitor is not None and self._shadow is not None and judged:
            self._tell(self.monitor.observe(feedback, self._shadow))

    def _tell(self, findings: tuple[Finding, ...]) -> None:
        for finding in findings:
            self.findings.append(finding)
            self._write(finding.time_s, Event(finding.time_s, "drift", finding.kind, finding.message))
            _log.warning("%s", finding.message)
            if finding.stops:
                self.face.stop(finding.kind, finding.message)

    def _write(self, time_s: float, what: Any) -> None:
        if self.log is not None:
            self.log.write(time_s, what)

    def _attach(self, calibration: Calibration | None) -> None:
        if self.log is None:
            return
        if calibration is not None:
            self.log.attach("calibration.json", calibration.to_json())
        self.log.attach("limits.json", json.dumps(_limits(self.face.guard.limits), indent=1))
        if isinstance(self.face, BusFace):
            self.log.attach("servo_map.json", json.dumps(_servos(self.face.servo_map), indent=1))
            self.log.attach("found.json", json.dumps([asdict(servo) for servo in self.face.found], indent=1))


def free_path(folder: Path, name: str = "log") -> Path:
    """`name`.mcap in a folder, or with the first number that makes it new: a log is never written over."""
    path, number = folder / f"{name}.mcap", 1
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}.mcap"
    return path


class _EventLog:
    """Writes the Guard's events; those of no known time get the time of the last that had one."""

    def __init__(self, log: LogWriter):
        self._log, self._time_s = log, 0.0

    def __call__(self, event: Event) -> None:
        self._time_s = event.time_s if np.isfinite(event.time_s) else self._time_s
        self._log.write(self._time_s, Event(self._time_s, event.what, event.rule, event.message))


def _limits(limits: Limits) -> dict[str, object]:
    read = {field.name: getattr(limits, field.name) for field in fields(limits)}
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in read.items()}


def _servos(servo_map: ServoMap) -> dict[str, object]:
    rows = [asdict(channel) for channel in servo_map.channels]
    return {"servos": {row.pop("name"): row for row in rows}}


__all__ = ["Session", "free_path"]
