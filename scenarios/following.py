"""A face that follows a simulated robot: it gets the same commands, through its own Guard and into its own log.

with followed_by("dynamixel:/dev/ttyUSB0", out) as faces:
    coexpress.run(out, who, followers=faces)

The log holds what was known of the person, too: EMG, faces and how their clocks run beside the host's.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..sim.errors import BusError, CommandRejected
from ..sim.robot.servo import REST_COMMAND
from ..twin.calibration import Calibration
from ..twin.session import Session, free_path

_log = logging.getLogger(__name__)


class FollowingFace:
    """Follows command by command; where it cannot go on it says so once, and the show goes on without it."""

    def __init__(self, session: Session):
        self.session, self.problem = session, ""
        self._begun = False

    def step(self, command: np.ndarray) -> None:
        """Go on toward a command, (26,); called every control period."""
        if self.problem:
            return
        try:
            if not self._begun:
                self.session.begin()
                self._begun = True
            self.session.step(command)
        except (BusError, CommandRejected) as error:
            self._give_up(error)

    def write(self, what: Any) -> None:
        """Log what became known of the person, also after the robot has given up."""
        self.session.write(what)

    def rest(self) -> None:
        """Glide to rest, if it still may."""
        if not self.problem and self.session.face.stopped is None:
            try:
                self.session.glide(REST_COMMAND)
            except (BusError, CommandRejected) as error:
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.problem = str(error)
        _log.error("the robot no longer follows: %s", error)


@contextlib.contextmanager
def followed_by(
    where: str | None,
    out: Path,
    *,
    calibration: Path | None = None,
    about: Mapping[str, object] | None = None,
) -> Iterator[tuple[FollowingFace, ...]]:
    """The face at `where`, one of `port.PLACES`, as a tuple of one; none without `where`. Its log goes to `out`.

    It is open, with torque on, for the length of the block, and glides to rest at the end. Raises `BusError` before
    anything is played if the robot is not as it should be.
    """
    if where is None:
        yield ()
        return
    known = None if calibration is None else Calibration.load(calibration)
    with Session.open(where, free_path(out), about=about, calibration=known, real_time=True) as session:
        face = FollowingFace(session)
        yield (face,)
        face.rest()


__all__ = ["FollowingFace", "followed_by"]
