"""A million random and hostile commands at the Guard, and a wire on which every frame that got through is judged anew.

The judge shares no code with the Guard: it reads the safe set's file and the servos' data sheet, and looks along the
whole path from frame to frame. Time is simulated; the clock may stand still, go back or be NaN, but that it cannot run
ahead of the world is what a monotonic clock promises. A few more commands go over an emulated bus in real time.
"""

import contextlib
import json
import math
import time
from collections import Counter
from collections.abc import Callable
from importlib.resources import files

import numpy as np

from ..hardware.bus import Bus, Capabilities, Feedback, ServoMap
from ..hardware.guard import PERIOD_S
from ..hardware.guard_limits import Limits
from ..hardware.guarded import GuardedBus
from ..hardware.maestro import MaestroBus
from ..hardware.maestro_emulator import MaestroEmulator
from ..sim.errors import CommandRejected
from ..sim.robot.limits import SafeSet, rate_limits
from ..sim.robot.servo import REST_COMMAND, SERVO_NAMES, SERVOS
from . import console
from .guard_attacks import ATTACKS

COMMANDS = 1_000_000
_BLOCK = 4096
_CABLE_ROUNDS = 5
_COUNT = len(SERVOS)
_ROUNDING = 1e-8


class Wire(Bus):
    """A bus that keeps what was written and judges it in blocks."""

    capabilities = Capabilities(feedback=False, torque_off=True)
    servo_map = ServoMap.of_travel(
        ticks_per_degree=4096 / 360, centre_tick=2048, numbers=[(0, i) for i in range(_COUNT)]
    )

    def __init__(self, clock: "Clock"):
        self._clock, self._on = clock, False
        self.frames, self.unsafe = 0, Counter[str]()
        self._kept, self._at = np.empty((_BLOCK, _COUNT)), np.empty(_BLOCK)
        self._kept[0], self._at[0], self._many = REST_COMMAND, -np.inf, 1
        hazards = json.loads((files("duchenne.sim.robot") / "data" / "safe_set.json").read_text())["hazards"]
        self._rows = np.array([[h["terms"].get(name, 0.0) for name in SERVO_NAMES] for h in hazards])
        self._bounds = np.array([h["bound"] for h in hazards])
        self._rate = np.array([s.slew_deg_s / s.travel_deg for s in SERVOS])
        self._accelerate = Limits().acceleration_per_s2

    def write(self, command: np.ndarray) -> np.ndarray:
        if not self._on:
            self.unsafe["torque off"] += 1
        self.frames += 1
        self._kept[self._many], self._at[self._many] = command, self._clock.told_s
        self._many += 1
        if self._many == _BLOCK:
            self.judge()
        return command

    def judge(self) -> None:
        """Count what is wrong with the frames written since the last time."""
        frames, at = self._kept[: self._many], self._at[: self._many]
        if len(frames) < 2:
            return
        step, gap = np.diff(frames, axis=0), np.diff(at)
        self._count("finite", ~np.isfinite(frames[1:]).all(1))
        self._count("range", ((frames[1:] < 0) | (frames[1:] > 1)).any(1))
        self._count("time", ~(gap > 0))
        gap = np.minimum(gap, PERIOD_S)[:, None]
        self._count("rate", (np.abs(step) > self._rate * gap + _ROUNDING).any(1))
        torn = np.zeros(len(step), bool)
        for share in np.linspace(0, 1, 21):
            torn |= ((frames[:-1] + share * step) @ self._rows.T > self._bounds + _ROUNDING).any(1)
        self._count("skin", torn)
        gap = np.maximum(gap, 1e-12)
        speed = step / gap
        onward = np.where(speed[1:] * speed[:-1] > 0, np.abs(speed[:-1]), 0.0)
        faster = np.cumsum(np.maximum(np.abs(speed[1:]) - onward - _ROUNDING / gap[1:], 0.0), axis=0)
        when = np.cumsum(gap[1:], axis=0)
        for span in (1, 2, 3, 5, 10, 30, 100, 1000):
            total, seconds = faster[span:] - faster[:-span], when[span:] - when[:-span]
            most = 2 * self._rate + self._accelerate * seconds
            self._count("acceleration", (total > most + 1e-6).any(1))
        self._kept[0], self._at[0], self._many = frames[-1], at[-1], 1

    def torque(self, on: bool) -> None:
        self.judge()  # whoever is armed again may start at once, so speeding up is counted from here
        self._on = on

    def relax(self) -> None:
        self._on = False

    @property
    def is_alive(self) -> bool:
        return True

    def handshake(self) -> tuple:
        return ()

    def read(self) -> Feedback:
        return Feedback(time_s=self._clock.now_s)

    def close(self) -> None:
        self.judge()
        self._on = False

    def _count(self, rule: str, wrong: np.ndarray | np.bool) -> None:
        if many := np.count_nonzero(wrong):
            self.unsafe[rule] += int(many)


class Clock:
    """Simulated seconds; `lie` is told once instead of the time."""

    def __init__(self):
        self.now_s, self.told_s = 0.0, 0.0
        self.lie: float | None = None

    def __call__(self) -> float:
        self.told_s, self.lie = self.now_s if self.lie is None else self.lie, None
        return self.told_s


class Timed:
    """A function and the processor time that its calls took."""

    def __init__(self, function: Callable):
        self._function, self.calls, self.spent_ns = function, 0, 0

    def __call__(self, *arguments):
        start = time.thread_time_ns()
        try:
            return self._function(*arguments)
        finally:
            self.spent_ns += time.thread_time_ns() - start
            self.calls += 1


def run(*, commands: int = COMMANDS, seed: int = 0, as_json: bool = False) -> int:
    """Send the commands, judge the wire, print what was rejected by which rule; 1 if anything unsafe got through."""
    rng, clock = np.random.default_rng(seed), Clock()
    wire, passed, offered, rejected = Wire(clock), Counter[str](), Counter[str](), Counter[str]()
    start = time.perf_counter()
    with console.progress() as bar, GuardedBus(wire, clock=clock, watch_s=None) as robot:
        task = bar.add_task("hostile commands", total=commands)
        check = Timed(robot.guard.check)
        robot.guard.check = check  # pyright: ignore[reportAttributeAccessIssue]
        names = list(ATTACKS)
        while check.calls < commands:
            if robot.stopped:
                clock.now_s += 0.001
                robot.rearm()
            name = names[int(rng.integers(len(names)))]
            for command, gap_s in ATTACKS[name](rng, lambda: robot.last, _gap(rng)):
                offered[name] += 1
                if math.isfinite(gap_s) and gap_s > 0:
                    clock.now_s += gap_s
                else:
                    clock.lie = clock.now_s + gap_s
                try:
                    sent = robot.send(command)  # pyright: ignore[reportArgumentType]
                    passed[name] += 1
                except CommandRejected as error:
                    rejected[error.rule] += 1
                else:
                    _spoil(sent, command)
            _interrupt(rng, robot, clock)
            bar.update(task, completed=check.calls)
    unsafe = sum(wire.unsafe.values())
    bus_frames, bus_unsafe = _on_a_cable(rng)
    figures = {
        "commands": check.calls,
        "frames": wire.frames,
        "unsafe_frames": unsafe,
        "bus_frames": bus_frames,
        "bus_unsafe_frames": bus_unsafe,
        "guard_us": check.spent_ns / check.calls / 1e3,
        "seconds": time.perf_counter() - start,
        **{f"rejected_{rule}": count for rule, count in sorted(rejected.items())},
        **{f"unsafe_{rule}": count for rule, count in sorted(wire.unsafe.items())},
    }
    console.table(
        "Hostile commands", ["attack", "sent", "passed"], [(name, offered[name], passed[name]) for name in names]
    )
    console.table("The Guard", ["figure", "value"], figures.items())
    if as_json:
        console.emit(figures)
    return int(unsafe + bus_unsafe > 0)


def _on_a_cable(rng: np.random.Generator) -> tuple[int, int]:
    """The same attacks in real time on emulated boards: frames that came out at the far end, and how many are unsafe.

    Pulses are rounded to ticks, so half a tick for each servo is granted.
    """
    with MaestroEmulator() as emulator, GuardedBus(MaestroBus(emulator.port)) as robot:
        servo_map = robot.servo_map
        emulator.state()  # what was before torque went on
        for attack in [*ATTACKS.values()] * _CABLE_ROUNDS:
            for command, _ in attack(rng, lambda: robot.last, PERIOD_S):
                with contextlib.suppress(CommandRejected):
                    robot.send(command)  # pyright: ignore[reportArgumentType]
        frames = servo_map.to_command(np.atleast_2d(emulator.state()["goals"]))
    safe_set = SafeSet.default()
    rounding = 0.5 / servo_map.ticks_per_unit + _ROUNDING
    wrong = np.atleast_1d(((frames < -rounding) | (frames > 1 + rounding)).any(1))
    step = np.diff(frames, axis=0)
    wrong[1:] |= (np.abs(step) > rate_limits(PERIOD_S) + 2 * rounding).any(1)
    for share in np.linspace(0, 1, 21):
        load = (frames[:-1] + share * step) @ safe_set.rows.T - np.abs(safe_set.rows) @ rounding
        wrong[1:] |= (load > safe_set.bounds).any(1)
    return len(frames), int(np.count_nonzero(wrong))


def _gap(rng: np.random.Generator) -> float:
    """A loop's period: usual, hurried, absurd or slow."""
    return float(rng.choice([PERIOD_S, 0.02, 0.01, 0.002, 1e-4, 1e-7, 0.09]))


def _spoil(sent: np.ndarray, command: object) -> None:
    """Write into the arrays that were handed over and back: the Guard must not remember them by reference."""
    sent[:] = np.nan
    if isinstance(command, np.ndarray):
        command[...] = 1


def _interrupt(rng: np.random.Generator, robot: GuardedBus, clock: Clock) -> None:
    """Now and then say nothing for a while, press the button, or feed nonsense back."""
    dice = rng.random()
    if dice < 0.1:
        for _ in range(int(rng.integers(1, 40))):
            clock.now_s += float(rng.choice([0.05, 0.2, 0.001]))
            robot.tick()
    elif dice < 0.11:
        for _ in range(300):
            clock.now_s += 0.04
            robot.tick()
    elif dice < 0.13:
        robot.stop()
    elif dice < 0.15:
        nonsense = rng.choice([np.nan, np.inf, 0.0, 1e9], _COUNT)
        robot.guard.observe(Feedback(time_s=clock.now_s, position=nonsense, error=nonsense))
        robot.tick()


__all__ = ["COMMANDS", "Wire", "run"]
