"""`duchenne bench bus`: 26 servos, a command out and the feedback in, as often as the emulated wire lets it.

The emulator is a process of its own behind a pseudo-terminal and takes the time that the wire would; the Dynamixels'
is set to 1 Mbaud, the Maestros' to 115 200. Pulses of a hobby servo come 50 times a second, whatever the bus does.
"""

import time
from collections.abc import Callable

import numpy as np

from ..hardware.bus import Bus
from ..hardware.dynamixel import DynamixelBus
from ..hardware.dynamixel_emulator import DynamixelEmulator
from ..hardware.maestro import MaestroBus
from ..hardware.maestro_emulator import MaestroEmulator
from ..sim.errors import BusError
from ..sim.robot.servo import REST_COMMAND, index

Progress = Callable[[int, int], None]
Figures = dict[str, float]

CYCLES = 1000
_BLOCK = 50
_SWING, _RAD_PER_CYCLE = 0.2, 0.05


def bench_bus(progress: Progress = lambda done, total: None, cycles: int = CYCLES) -> Figures:
    """Cycles of `write` and `read` a second, and their period's quantiles in ms, of each bus.

    A cycle that failed (`…_failed`) is none, but its time counts.
    """
    figures: Figures = {}
    with DynamixelEmulator(baud=1_000_000) as emulator, DynamixelBus(emulator.port) as bus:
        figures |= _measured("dynamixel", bus, cycles, lambda done: progress(done, 2 * cycles))
    with MaestroEmulator() as emulator, MaestroBus(emulator.port) as bus:
        figures |= _measured("maestro", bus, cycles, lambda done: progress(cycles + done, 2 * cycles))
    return figures


def _measured(name: str, bus: Bus, cycles: int, progress: Callable[[int], None]) -> Figures:
    bus.handshake()
    bus.torque(True)
    command, moving = REST_COMMAND.copy(), index("neck_yaw")
    ends_s, failed = [time.perf_counter()], 0
    spent_s = time.process_time()
    for number in range(cycles):
        command[moving] = REST_COMMAND[moving] + _SWING * np.sin(_RAD_PER_CYCLE * number)
        try:
            bus.write(command)
            bus.read()
        except BusError:
            failed += 1
            continue
        ends_s.append(time.perf_counter())
        if number % _BLOCK == 0:
            progress(number)
    spent_s = time.process_time() - spent_s
    total_s = time.perf_counter() - ends_s[0]
    median, most, longest = np.percentile(1e3 * np.diff(ends_s), [50, 99, 100])
    return {
        f"{name}_hz": (cycles - failed) / total_s,
        f"{name}_period_median_ms": float(median),
        f"{name}_period_p99_ms": float(most),
        f"{name}_period_max_ms": float(longest),
        f"{name}_failed": failed,
        f"{name}_cpu": spent_s / total_s,
    }


__all__ = ["CYCLES", "bench_bus"]
