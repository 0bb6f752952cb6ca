"""What `duchenne robot` does with a servo bus itself: emulate one, look at one, set one up."""

import contextlib
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from ..hardware.bus import Bus, Found, ServoMap
from ..hardware.emulated_servos import Behind, LaggedServos
from ..sim.errors import BusError
from ..sim.robot.servo import SERVOS
from ..twin.port import emulate, open_bus
from . import console


def run_emulate(
    kind: str,
    *,
    individual: int | None = None,
    servo_map: Path | None = None,
    seconds: float | None = None,
    as_json: bool = False,
) -> int:
    """Play a face on its bus, behind a port, until Ctrl-C or for some seconds; see `duchenne robot emulate --help`.

    individual: number of the robot as it was built, with servos, linkages and skin of its own; None is servos alone.
    """
    layout = None if servo_map is None else ServoMap.load(servo_map)
    behind = LaggedServos.at_rest if individual is None else _hidden(individual)
    with emulate(kind, layout, behind) as emulator, contextlib.suppress(KeyboardInterrupt):
        where = f"{kind}:{emulator.port}"
        commands = [f"duchenne mirror --robot {where}", f"duchenne robot status {where}"]
        if as_json:
            console.emit({"servos": len(SERVOS)}, port=emulator.port, robot=where, commands=commands)
        console.console.print(f"an emulated face is at [bold]{where}[/] for use in another terminal:", soft_wrap=True)
        for command in commands:
            console.console.print(f"  {command}", soft_wrap=True, highlight=False)
        console.console.print("Ctrl-C ends it.", style="dim")
        until = np.inf if seconds is None else time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.5))
            emulator.state()  # raises if it has died
    return 0


def run_status(where: str, *, servo_map: Path | None = None, as_json: bool = False) -> int:
    """Shake hands with every servo, torque staying off, and tell what they say; see `duchenne robot status --help`."""
    with open_bus(where, None if servo_map is None else ServoMap.load(servo_map)) as bus:
        return _tell(where, bus, bus.handshake(), as_json)


def run_commission(where: str, *, servo_map: Path | None = None, as_json: bool = False) -> int:
    """Write limits and modes into the servos, once; see `duchenne robot commission --help`."""
    from ..hardware.dynamixel import DynamixelBus

    with open_bus(where, None if servo_map is None else ServoMap.load(servo_map)) as bus:
        if not isinstance(bus, DynamixelBus):
            raise BusError(
                f"{where}: this program cannot change a Maestro's settings; in its Control Center set the device "
                "numbers, a fixed baud rate, a serial timeout of 0.5 s and 'on startup or error: off' for every channel"
            )
        return _tell(where, bus, bus.commission(), as_json)


def _hidden(individual: int) -> Callable[[ServoMap], Behind]:
    from ..hardware.hidden_face import HiddenFace
    from ..sim.robot.individual import Individual

    return partial(HiddenFace.behind, Individual.sample(np.random.default_rng(individual)), None)


def _tell(where: str, bus: Bus, found: tuple[Found, ...], as_json: bool) -> int:
    feedback = bus.read()
    error = feedback.error if feedback.error is not None else np.zeros(len(found), np.int64)
    position, warm = _or_unknown(feedback.position), _or_unknown(feedback.temperature_c)
    volts = _or_unknown(feedback.voltage_v)
    boards = len(set(bus.servo_map.boards.tolist())) > 1
    rows = [
        [
            servo.name, f"{channel.board}/{servo.number}" if boards else servo.number, servo.model or "unknown",
            f"{channel.low_tick}…{channel.high_tick}", position[i], warm[i], volts[i], bus.spell(int(error[i])),
        ]
        for i, (servo, channel) in enumerate(zip(found, bus.servo_map.channels, strict=True))
    ]  # fmt: skip
    columns = ["servo", "board/number" if boards else "number", "model", "ticks", "command", "°C", "V", "error"]
    console.table(f"{where}: torque is off", columns, rows)
    figures = {
        "servos": len(found),
        "errors": int((error != 0).sum()),
        "warmest_c": float(np.max(warm)),
        "lowest_v": float(np.min(volts)),
    }
    if as_json:
        console.emit(figures, robot=where, servos=[dict(zip(columns, row, strict=True)) for row in rows])
    return 0 if not error.any() else 2


def _or_unknown(values: np.ndarray | None) -> list[float]:
    return [np.nan] * len(SERVOS) if values is None else [float(v) for v in values]


__all__ = ["run_commission", "run_emulate", "run_status"]
