"""The faults, bus by bus: what goes wrong, and what must come of it.

After the failure modes that are known of servo buses and of the programs that drive them: ROBOTIS e-Manual, Pololu
Maestro User's Guide, issues of the libraries that drive such servos, and what the emulated buses brought to light.
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import numpy as np

from ..hardware.dynamixel import DynamixelBus
from ..hardware.guard_limits import Limits
from ..sim.errors import BusError
from ..sim.robot.limits import SafeSet
from ..sim.robot.servo import REST_COMMAND, index
from .fault_case import Act, Case, Outcome, reopen
from .fault_trial import Trial

_HOUR_S = 3600.0
_WATCHED = "neck_yaw"
"""A servo that moves all the time."""
_NO_ANSWER = "no answer|no servo answers"


@dataclass(frozen=True)
class Injected:
    """A fault that the emulated bus knows by name, once or every 0.12 s."""

    kind: str
    options: Mapping[str, Any]
    times: int = 1

    def __call__(self, trial: Trial) -> None:
        for number in range(self.times):
            if number:
                trial.play(0.12)
            trial.emulator.inject(self.kind, **self.options)


def injected(kind: str, **options: Any) -> Injected:
    return Injected(kind, options)


def often(kind: str, **options: Any) -> Injected:
    return Injected(kind, options, times=4)


def _kill_emulator(trial: Trial) -> None:
    trial.look()
    os.kill(trial.emulator.pid, signal.SIGKILL)


def _another_emulator(trial: Trial, **world: Any) -> None:
    trial.emulator = trial.kind.emulator(**world)
    reopen(trial)


def _freeze(trial: Trial) -> None:
    with trial.emulator.frozen():  # pyright: ignore[reportAttributeAccessIssue]
        trial.play(1.5)


def _power_cycle(trial: Trial) -> None:
    trial.emulator.inject("reboot")
    time.sleep(0.35)


def _hold_port(trial: Trial) -> None:
    """Another program has opened the port for itself alone."""
    program = "import fcntl, os, sys, time\nfd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)\nfcntl.flock(fd, 2)\n"
    program += "print(flush=True)\ntime.sleep(60)\n"
    other = subprocess.Popen([sys.executable, "-I", "-c", program, trial.emulator.port], stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()

    def leave() -> None:
        other.kill()
        other.communicate()

    trial.mend.callback(leave)


def _second_master(trial: Trial) -> None:
    trial.call(trial.kind.bus, trial.emulator.port)


def _fill_disk(trial: Trial) -> None:
    """The log's file may not grow any more; for the program that is a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(trial.log.path) + 200, hard))
    trial.mend.callback(resource.setrlimit, resource.RLIMIT_FSIZE, (soft, hard))
    trial.play(0.4)
    if not trial.log.problem:
        trial.problems.append("nobody noticed that the disk is full")


def _wall_clock(trial: Trial) -> None:
    for ahead_s in (_HOUR_S, -_HOUR_S):
        with mock.patch("time.time", lambda ahead_s=ahead_s: time.monotonic() + ahead_s):
            trial.emulator.inject("mute")
            trial.play(0.25)


def _clock_stands(trial: Trial) -> None:
    with trial.clock.standing():
        trial.play(0.25)


def _clock_leaps(trial: Trial, seconds: float) -> None:
    trial.clock.leap(seconds)
    trial.play(0.5)
    trial.clock.leap(-seconds)


def _babble(trial: Trial) -> None:
    trial.emulator.inject("flood", value=2.0)
    trial.emulator.inject("mute", count=0)


def _nothing_for(seconds: float) -> Act:
    return lambda _: time.sleep(seconds)


def _offers(make: Callable[[np.ndarray], Any]) -> Act:
    """A command, made of the last one."""

    def act(trial: Trial) -> None:
        assert trial.robot is not None
        trial.call(trial.robot.send, make(trial.robot.last))

    return act


def _with(name: str, value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda last: np.where(np.arange(len(last)) == index(name), value, last)


def _skin_hazard(_: np.ndarray) -> np.ndarray:
    row = SafeSet.default().rows[0]
    return np.where(row > 0, 1.0, np.where(row < 0, 0.0, REST_COMMAND))


def _kills(number: int) -> Act:
    def act(trial: Trial) -> None:
        assert trial.client is not None
        trial.client.signal(number)

    return act


def _raises(trial: Trial) -> None:
    assert trial.client is not None
    trial.client.end("raise")


def _pauses(trial: Trial) -> None:
    assert trial.client is not None
    time.sleep(0.2)
    trial.client.signal(signal.SIGSTOP)
    time.sleep(1.5)
    trial.client.signal(signal.SIGCONT)
    time.sleep(0.5)


def _commission(trial: Trial) -> None:
    with DynamixelBus(trial.emulator.port) as bus:
        if trial.call(bus.commission) is None:
            trial.problems.append(f"was not commissioned: {trial.errors[-1:]}")


def _unplugged(trial: Trial) -> None:
    """The cable is pulled amid an answer, so somebody must ask."""
    with trial.kind.bus(trial.emulator.port, trial.kind.servo_map) as bus:
        trial.emulator.inject("unplug")
        with contextlib.suppress(BusError):
            bus.handshake()


def _case(outcome: Outcome, name: str, act: Act, says: str = "", **more: Any) -> Case:
    return Case(name=name, outcome=outcome, act=act, says=says, **more)


_goes_on = partial(_case, Outcome.GOES_ON)
_stops = partial(_case, Outcome.STOPS)
_refused = partial(_case, Outcome.REFUSED)
_rejected = partial(_case, Outcome.REJECTED)
_limp = partial(_case, Outcome.LIMP)
_own = partial(_case, Outcome.OWN)


def _host(paused: Case) -> tuple[Case, ...]:
    """Faults of the program, its machine and its port, the same on every bus."""
    impatient = Limits(hold_after_s=0.1, glide_after_s=0.3, relax_after_s=0.6)
    return (
        _rejected("command with NaN", _offers(_with("jaw", np.nan)), "finite"),
        _rejected("command with infinity", _offers(_with("jaw", np.inf)), "finite"),
        _rejected("command of 9e99", _offers(_with("jaw", 9e99)), "range"),
        _rejected("command of 25 numbers", _offers(lambda last: last[:-1]), "shape"),
        _rejected("command that is text", _offers(lambda last: ["0.5"] * len(last)), "shape"),
        _rejected("command that jumps", _offers(_with(_WATCHED, 0.95)), "rate"),
        _rejected("command that tears the skin", _offers(_skin_hazard), "skin"),
        _goes_on("loop late by 0.4 s", _nothing_for(0.4), "hold stale"),
        _goes_on("loop late by 1.5 s", _nothing_for(1.5), "glide stale"),
        _stops("loop that hangs", _nothing_for(0.9), "stale", limits=impatient),
        _goes_on("wall clock leaps an hour, both ways", _wall_clock),
        _goes_on("monotonic clock stands still", _clock_stands, "time must advance"),
        _stops("clock leaps ahead", partial(_clock_leaps, seconds=_HOUR_S), "stale|feedback", cure=reopen),
        _stops("clock goes back", partial(_clock_leaps, seconds=-1.0), "time|feedback: the last is -"),
        _goes_on("second master of ours", _second_master, "in use by process"),
        _refused("port held by another program", _hold_port, "cannot be opened"),
        _goes_on("disk full for the log", _fill_disk, log_is_cut=True),
        _limp("program killed (SIGKILL)", _kills(signal.SIGKILL)),
        _limp("program ended (SIGTERM)", _kills(signal.SIGTERM)),
        _limp("program interrupted (ctrl-C)", _kills(signal.SIGINT)),
        _limp("program trips over its own error", _raises),
        paused,
    )


DYNAMIXEL: tuple[Case, ...] = (
    # one thing goes wrong once: nobody need know
    _goes_on("replies with a wrong CRC", often("flip")),
    _goes_on("replies cut short", often("cut")),
    _goes_on("replies that do not come", often("mute")),
    _goes_on("noise before replies", often("garbage")),
    _goes_on("echo before replies", often("echo")),
    _goes_on("replies 60 ms late", often("late", value=0.06)),
    _goes_on("all replies 4 ms slower", injected("late", value=0.004, count=0)),
    _goes_on("static: a twentieth of the replies wrong", injected("static", value=0.05, count=0)),
    _goes_on("commands lost on the way", often("swallow")),
    _goes_on("wrong bits on the way out", often("twist")),
    # the line stays bad
    _stops("all replies damaged", injected("flip", count=0), f"damaged|{_NO_ANSWER}"),
    _stops("no replies any more", injected("mute", count=0), _NO_ANSWER),
    _stops("all replies 60 ms late", injected("late", value=0.06, count=0), "answer"),
    _goes_on("adapter that echoes", injected("echo", count=0)),
    _stops("bytes without end", _babble, "without end|answer"),
    _stops("nothing reaches the servos", injected("swallow", count=0), _NO_ANSWER, limp=False),
    _stops("cable pulled, back after 0.3 s", injected("unplug", value=0.3), "gone", limp=False, cure=reopen),
    _stops("bus hangs for 1.5 s", _freeze, "answer"),
    _stops("bus dies, another one comes", _kill_emulator, "gone", limp=False, cure=_another_emulator),
    _refused(
        "another baud rate", lambda _: None, "speed",
        world={"baud": 2_000_000}, cure=lambda trial: trial.bus_options.update(baud=2_000_000),
    ),
    _refused("port that is not there", _unplugged, "cannot be opened"),
    # servos that are not as the map says
    _refused("servo missing", injected("silent", servo="jaw"), r"jaw \(26\): no answer"),
    _refused(
        "wrong model", injected("model", servo="jaw", value=1190), "jaw .*XL330-M077, not XL330-M288",
        cure=injected("model", servo="jaw", value=1200),
    ),
    _refused("two servos with one identity", injected("duplicate", servo="jaw"), "jaw .*one identity"),
    _refused("stored limits that differ", injected("limits", servo="jaw"), "jaw .*limits", cure=_commission),
    _refused("another operating mode", injected("mode", servo="jaw"), "jaw .*mode", cure=_commission),
    _refused(
        "servos fresh from the factory", lambda _: None, "commission",
        world={"commissioned": False}, cure=_commission,
    ),
    # servos that fail
    _stops("servo falls silent", injected("silent", servo="jaw"), r"no answer from jaw \(26\)", limp=False),
    _stops("identity taken a second time", injected("duplicate", servo="jaw"), "answer", limp=False),
    _stops("brown-out: all servos restart", injected("reboot"), "restarted|lost torque|answer"),
    _stops("one servo restarts", injected("reboot", servo="jaw"), "jaw"),
    _stops("servo loses its torque", injected("limp", servo="jaw"), "jaw .*lost torque"),
    _stops("overload alarm", injected("alarm", servo="jaw"), "alarm: jaw", cure=_power_cycle),
    _stops("servo at 80 °C switches itself off", injected("overheat", servo="jaw"), "alarm: jaw", cure=_power_cycle),
    _stops("servo at 67 °C", injected("overheat", servo="jaw", value=67.0), "temperature: jaw"),
    _goes_on("servo at 62 °C", injected("overheat", servo="jaw", value=62.0), "warm temperature.*jaw"),
    _stops("supply at 3.2 V: alarm", injected("sag"), "alarm", cure=_power_cycle),
    _stops("supply at 3.6 V", injected("sag", value=3.6), "voltage"),
    _stops("encoder that stands still", injected("encoder", servo=_WATCHED), f"tracking: {_WATCHED}", lies=(_WATCHED,)),
    _stops("encoder that has slipped", injected("slip", servo=_WATCHED), f"tracking: {_WATCHED}", lies=(_WATCHED,)),
    _stops("servo that is blocked", injected("blocked", servo=_WATCHED), f"(tracking|current): {_WATCHED}"),
    _stops("servo that answers from memory", injected("stuck", servo="jaw"), "jaw", lies=("jaw",)),
    _stops("servo that takes no goals", injected("deaf", servo=_WATCHED), f"{_WATCHED} .*did not take", limp=False),
    _stops("servo's own watchdog has fired", injected("watchdog", servo=_WATCHED), f"{_WATCHED} .*watchdog"),
    *_host(_own("program paused for 1.5 s (SIGSTOP)", _pauses, "it went on")),
)  # fmt: skip
"""Faults on a bus of Dynamixels."""


_CRC: Mapping[str, Any] = {"world": {"crc": True}, "bus": {"crc": True}}

MAESTRO: tuple[Case, ...] = (
    _goes_on("answers cut short", often("cut")),
    _goes_on("answers that do not come", often("mute")),
    _goes_on("noise before answers", often("garbage")),
    _goes_on("echo before answers", often("echo")),
    _goes_on("answers 60 ms late", often("late", value=0.06)),
    _goes_on("all answers 4 ms slower", injected("late", value=0.004, count=0)),
    _stops("wrong bit in an answer, which has no check", injected("flip"), "alarm|error bits|instead of"),
    _stops("wrong bit on the way out", injected("twist"), "alarm", **_CRC),
    _stops("no answers any more", injected("mute", count=0), "does not answer"),
    _stops("all answers 60 ms late", injected("late", value=0.06, count=0), "answer"),
    _stops("adapter that echoes", injected("echo", count=0), "echo"),
    _stops("noise before all answers", injected("garbage", count=0), "bytes of"),
    _stops("bytes without end", injected("flood", value=2.0), "never quiet"),
    _stops("static: half of the answers wrong", injected("static", value=0.5, count=0), "alarm|sends|answers"),
    _stops("nothing reaches the boards", injected("swallow", count=0), "does not answer", limp=False),
    _stops("cable pulled, back after 0.3 s", injected("unplug", value=0.3), "lost|down", limp=False),
    _stops("bus hangs for 1.5 s", _freeze, "answer"),
    _stops("bus dies, another one comes", _kill_emulator, "lost|down", limp=False, cure=_another_emulator),
    _refused(
        "another baud rate", lambda _: None, "board 12 does not answer.*board 13",
        world={"baud": 57_600}, cure=lambda trial: trial.bus_options.update(baud=57_600),
    ),
    _refused("port that is not there", _unplugged, "cannot be opened"),
    _refused("board missing", injected("deaf", servo="jaw"), "board 13 does not answer"),
    _refused("board with another number", injected("renumber", servo="jaw", value=99), "board 13 does not answer"),
    _refused(
        "boards that want a CRC", lambda _: None, "board 12.*board 13",
        world={"crc": True}, cure=lambda trial: trial.bus_options.update(crc=True),
    ),
    _refused(
        "boards that want no CRC", lambda _: None, "board 12.*board 13",
        bus={"crc": True}, cure=lambda trial: trial.bus_options.update(crc=False),
    ),
    _refused("channel's range too narrow", injected("narrow", servo="left_upper_lid"), "left_upper_lid"),
    _refused("channel that is no servo's", injected("unset", servo="jaw"), "jaw"),
    _stops("board falls silent", injected("silent", servo="jaw"), "board 13 does not answer"),
    _stops("board without power", injected("deaf", servo="jaw"), "board 13 does not answer", limp=False),
    _stops("board changes its number", injected("renumber", servo="jaw", value=99), "board 13", limp=False),
    _stops("brown-out: all boards restart", injected("brownout"), "restarted|answer"),
    _stops("one board restarts", injected("brownout", servo="jaw"), "restarted|answer"),
    _stops("signal error", injected("error", servo="jaw", value=1), "alarm"),
    _stops("overrun", injected("error", servo="jaw", value=2), "alarm"),
    _stops("buffer full", injected("error", servo="jaw", value=4), "alarm"),
    _stops("board's serial timeout", injected("error", servo="jaw", value=32), "alarm"),
    _stops("board's script failed", injected("error", servo="jaw", value=64), "alarm"),
    _stops("byte that is no command", injected("noise"), "alarm"),
    _stops("channel gets no pulses any more", injected("unset", servo=_WATCHED), f"sends {_WATCHED} 0"),
    _stops("channel's speed limited", injected("crawl", servo=_WATCHED), f"sends {_WATCHED}"),
    _limp("program killed, boards without timeout", _kills(signal.SIGKILL), world={"timeout_s": 0.0}),
    *_host(_own("program paused for 1.5 s (SIGSTOP)", _pauses, "alarm|restarted")),
)  # fmt: skip
"""Faults on a line of Maestro boards."""


TABLES: Mapping[str, tuple[Case, ...]] = {"dynamixel": DYNAMIXEL, "maestro": MAESTRO}
"""Faults by the kind of bus."""

__all__ = ["DYNAMIXEL", "MAESTRO", "TABLES", "Injected"]
