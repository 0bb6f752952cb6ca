"""A servo bus behind its Guard: the one place from which commands are written to servos.

Torque is on only while it is open and not stopped, and goes off on every way out that a program has.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Self

import numpy as np

from ..sim.errors import BusError, CommandRejected
from ..sim.robot.limits import SafeSet
from ..sim.robot.servo import SERVO_NAMES
from .bus import Bus, Feedback, Found, ServoMap
from .guard import Event, Guard, State
from .guard_limits import Limits
from .ownership import forget, let_go_at_exit

ROUNDING = 0.01
"""A bus may round a command to its servos' ticks by this much, no further."""
FAILED_READS = 3
"""So many in a row stop the robot."""
FAILED_FOR_S = 0.4
"""So do two or more that took this long together; the Guard would not wait for a third one."""
_READ_AFTER_S = 0.2
_log = logging.getLogger(__name__)


class GuardedBus:
    """Owns a bus from here on: makes sure that it is the right one, switches torque on and guards every write.

    Use it in a `with` block. While commands are missing a thread of its own holds the face, lets it glide to rest
    and relaxes it (`Guard.tick`), and reads feedback where nobody else does.

    Args:
        bus: an open bus with nobody else writing to it; it is closed with this, and if this cannot be made.
        safe_set, limits: what the robot may do; ranges that the servos themselves store make it less.
        on_event: is told what is worth logging, from whichever thread it happens in.
        clock: monotonic seconds.
        watch_s: period of the thread; None starts none, and `tick` is then to be called.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        safe_set: SafeSet | None = None,
        limits: Limits | None = None,
        on_event: Callable[[Event], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        watch_s: float | None = 0.05,
    ):
        self._bus, self._on_event, self._clock = bus, on_event, clock
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._limp, self._failed_reads, self._read_s, self._good_read_s = True, 0, -np.inf, -np.inf
        try:
            self.found = bus.handshake()
            limits = (limits or Limits()).within(*stored_range(self.found, bus.servo_map))
            self.guard = Guard(safe_set, limits=limits, on_event=self._tell)
            self._switch_on()
        except BaseException:
            bus.close()
            raise
        self.capabilities, self.servo_map = bus.capabilities, bus.servo_map
        let_go_at_exit(self, self.close)
        self._thread = threading.Thread(target=self._keep_watch, args=(watch_s,), name="guard", daemon=True)
        if watch_s is not None:
            self._thread.start()

    @property
    def stopped(self) -> str | None:
        """Why the robot is stopped; None while it may move."""
        return self.guard.stopped

    @property
    def last(self) -> np.ndarray:
        """The last command that passed, (26,)."""
        return self.guard.last

    @property
    def is_alive(self) -> bool:
        """Whether a good packet came lately."""
        return not self._closed.is_set() and self._bus.is_alive

    def send(self, command: np.ndarray) -> np.ndarray:
        """Send a command, (26,), if the Guard lets it pass; return the command as it was really sent, (26,).

        Raises `CommandRejected`, then nothing was sent; `BusError` if the bus failed, then the robot is stopped.
        """
        with self._lock:
            return self._write(self.guard.check(command, self._clock()))

    def toward(self, goal: np.ndarray) -> np.ndarray:
        """Send the next command on the way to a goal, (26,), as far as the rules let it; as `send` otherwise."""
        with self._lock:
            now = self._clock()
            return self._write(self.guard.check(self.guard.toward(goal, now), now))

    def read(self) -> Feedback:
        """What the servos say now, which the Guard looks at first. Raises `BusError`; a few in a row stop the robot."""
        with self._lock:
            self._read_s = self._clock()
            try:
                feedback = self._bus.read()
            except BusError as error:
                self._failed_reads += 1
                self._tell(Event(self._read_s, "read", "bus", str(error)))
                long = self._failed_reads > 1 and self._clock() - self._good_read_s > FAILED_FOR_S
                if self._failed_reads >= FAILED_READS or long:
                    self.stop("bus", f"{self._failed_reads} reads in a row failed: {error}")
                raise
            self._failed_reads, self._good_read_s = 0, self._clock()
            if feedback.error is not None and (bits := np.nan_to_num(feedback.error)).any():
                worst = int(np.argmax(bits))
                self.stop("alarm", f"{SERVO_NAMES[worst]}: {self._bus.spell(int(bits[worst]))}")
            if self._bus.capabilities.feedback or feedback.error is not None:
                self.guard.observe(feedback)
            self._obey()
            return feedback

    def tick(self) -> State:
        """Do what is to be done while no command comes; the thread calls this. Never raises `BusError`."""
        with self._lock:
            if self._closed.is_set():
                return State.RELAX
            due = self._clock() - self._read_s > _READ_AFTER_S
            if due and (self._limp or self.stopped is None):  # relaxing comes first, and both may take long
                with contextlib.suppress(BusError):  # has been told, and stops the robot when it goes on
                    self.read()
            duty = self.guard.tick(self._clock())
            if duty.command is not None:
                with contextlib.suppress(BusError):  # has stopped the robot
                    self._write(duty.command)
            self._obey()
            return State.RELAX if self.stopped else duty.state

    def stop(self, rule: str = "stop", message: str = "asked for") -> None:
        """Relax the face now and let nothing pass until `rearm`."""
        with self._lock:
            self.guard.stop(rule, message, time_s=self._clock())
            self._obey()

    def rearm(self) -> None:
        """Shake hands and switch torque on again, at the pose in which the servos stand.

        Raises `CommandRejected` if nobody may stand there, or `BusError`; then the robot stays stopped.
        """
        with self._lock:
            if self._closed.is_set():
                raise BusError("the bus is closed; open it anew")
            self._bus.handshake()  # what has restarted, or was exchanged, is known again
            self._switch_on()

    def close(self) -> None:
        """Switch torque off and give the bus back; may be called twice, never raises."""
        forget(self)
        with self._lock:
            if not self._closed.is_set():
                self._closed.set()
                self.guard.stop("closed", time_s=self._clock())
                self._bus.close()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(1.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _switch_on(self) -> None:
        """Torque on where the servos stand, the Guard starting from there."""
        standing = self.guard.last
        if self._bus.capabilities.feedback:
            position = self._bus.read().position
            if position is None or not np.isfinite(position).all():
                raise BusError("not every servo says where it stands; torque stays off")
            standing = self.guard.nearest(position)
            far = np.abs(standing - position)
            if far.max() > self.guard.limits.tracking:
                worst = int(np.argmax(far))
                raise CommandRejected(
                    "range",
                    f"{SERVO_NAMES[worst]} stands at {position[worst]:.3f}, {far[worst]:.3f} from the nearest safe "
                    "pose; move it by hand, torque being off, or look at the calibration",
                )
        self.guard.rearm(standing, time_s=self._clock())
        self._failed_reads, self._read_s, self._limp = 0, -np.inf, False
        self._good_read_s = self._clock()
        try:
            self._bus.torque(True)
            self._write(self.guard.check(standing, self._clock()))
        except (BusError, CommandRejected) as error:
            self.stop("bus", str(error))
            raise

    def _write(self, command: np.ndarray) -> np.ndarray:
        try:
            sent = self._bus.write(command)
        except Exception as error:
            self.stop("bus", str(error))
            raise
        off = np.abs(sent - command)
        if not (off <= ROUNDING).all():
            worst = int(np.argmax(off))
            self.stop("bus", f"{SERVO_NAMES[worst]} was sent {sent[worst]:.3f} instead of {command[worst]:.3f}")
        return sent

    def _obey(self) -> None:
        """Relax the face if it is stopped and not yet limp."""
        if self.stopped is None or self._limp:
            return
        try:
            self._bus.relax()
            self._limp = True
        except BusError as error:  # the next tick tries again
            self._tell(Event(self._clock(), "relax", "bus", str(error)))

    def _keep_watch(self, period_s: float) -> None:
        while not self._closed.wait(period_s):
            try:
                self.tick()
            except Exception as error:
                _log.exception("the Guard's thread failed")
                self.stop("fault", str(error))

    def _tell(self, event: Event) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:  # a log that cannot be written must not keep the face from relaxing
            _log.exception("event lost: %s", event)


def stored_range(found: tuple[Found, ...], servo_map: ServoMap) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest command, (26,) each, that the limits stored in the servos let pass; infinite where unknown."""
    stored = {servo.name: (servo.low_tick, servo.high_tick) for servo in found}
    ticks = np.array([stored.get(name, (None, None)) for name in SERVO_NAMES], dtype=float)  # None becomes NaN
    ends = np.array([servo_map.to_command(column) for column in ticks.T])
    low, high = ends.min(0), ends.max(0)  # a servo that turns the other way has them exchanged
    return np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)


__all__ = ["FAILED_READS", "ROUNDING", "GuardedBus", "stored_range"]
