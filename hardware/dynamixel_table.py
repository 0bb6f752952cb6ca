"""The Dynamixel X series as numbers: registers, models, units, error bits, and the default map of a face.

Source: ROBOTIS e-Manual, control tables of XL330 / XC330 / XL430 / XC430 / XM430 / XM540 (they agree on every address
used here) and "DYNAMIXEL Protocol 2.0".
"""

from dataclasses import dataclass

import numpy as np

from ..sim.robot.servo import SERVOS
from .bus import ServoMap

TICKS_PER_TURN = 4096
TICK_WRAPS_MS = 32768
"""The realtime tick counts milliseconds up to here and starts again."""


@dataclass(frozen=True)
class Register:
    """One register: address, size in bytes, and whether the master may write it."""

    address: int
    size: int
    writable: bool = False
    signed: bool = False
    initial: int = 0
    """Value of a servo fresh from the factory (EEPROM) or from power-up (RAM)."""

    @property
    def end(self) -> int:
        return self.address + self.size


MODEL_NUMBER = Register(0, 2)
FIRMWARE = Register(6, 1, initial=52)
ID = Register(7, 1, writable=True, initial=1)
BAUD_RATE = Register(8, 1, writable=True, initial=1)
RETURN_DELAY = Register(9, 1, writable=True, initial=250)
DRIVE_MODE = Register(10, 1, writable=True)
OPERATING_MODE = Register(11, 1, writable=True, initial=3)
HOMING_OFFSET = Register(20, 4, writable=True, signed=True)
TEMPERATURE_LIMIT = Register(31, 1, writable=True, initial=70)
MAX_VOLTAGE_LIMIT = Register(32, 2, writable=True, initial=70)
MIN_VOLTAGE_LIMIT = Register(34, 2, writable=True, initial=35)
CURRENT_LIMIT = Register(38, 2, writable=True, initial=1750)
MAX_POSITION_LIMIT = Register(48, 4, writable=True, initial=4095)
MIN_POSITION_LIMIT = Register(52, 4, writable=True)
SHUTDOWN = Register(63, 1, writable=True, initial=53)
TORQUE_ENABLE = Register(64, 1, writable=True)
LED = Register(65, 1, writable=True)
STATUS_RETURN_LEVEL = Register(68, 1, writable=True, initial=2)
HARDWARE_ERROR = Register(70, 1)
BUS_WATCHDOG = Register(98, 1, writable=True, signed=True)
PROFILE_ACCELERATION = Register(108, 4, writable=True)
PROFILE_VELOCITY = Register(112, 4, writable=True)
GOAL_POSITION = Register(116, 4, writable=True, signed=True)
REALTIME_TICK = Register(120, 2)
MOVING = Register(122, 1)
PRESENT_CURRENT = Register(126, 2, signed=True)
PRESENT_VELOCITY = Register(128, 4, signed=True)
PRESENT_POSITION = Register(132, 4, signed=True)
PRESENT_VOLTAGE = Register(144, 2, initial=50)
PRESENT_TEMPERATURE = Register(146, 1, initial=32)

EEPROM_SIZE = 64
"""Registers below this address keep their value without power, and are locked while torque is on."""
POSITION_MODE = 3
RETURN_DELAY_UNIT_S = 2e-6
BUS_WATCHDOG_UNIT_S = 0.020
VOLTAGE_UNIT_V = 0.1
WATCHDOG_FIRED = -1

HARDWARE_ERRORS: dict[int, str] = {
    0x01: "input voltage out of limits",
    0x04: "overheating",
    0x08: "motor encoder",
    0x10: "electrical shock, or too little power",
    0x20: "overload",
}
"""Bits of the hardware error status; the servo cuts its torque for those set in its shutdown register too."""

PACKET_ERRORS: dict[int, str] = {
    1: "could not do it",
    2: "unknown instruction",
    3: "damaged packet",
    4: "data out of range",
    5: "data too short",
    6: "data beyond its limit",
    7: "no access (read-only, or EEPROM while torque is on)",
}
"""Error number in the low seven bits of a status packet; the eighth bit, `ALERT`, says that a hardware error is set."""
ALERT = 0x80


@dataclass(frozen=True)
class Model:
    """One kind of servo."""

    name: str
    current_unit_a: float | None
    """Of the present current; `None` where the register holds an estimated load instead."""
    fast_from: int = 45
    """First firmware that knows Fast Sync Read."""


MODELS: dict[int, Model] = {
    1060: Model("XL430-W250", None),
    1070: Model("XC430-W150", None),
    1080: Model("XC430-W240", None),
    1020: Model("XM430-W350", 2.69e-3),
    1030: Model("XM430-W210", 2.69e-3),
    1120: Model("XM540-W270", 2.69e-3),
    1130: Model("XM540-W150", 2.69e-3),
    1190: Model("XL330-M077", 1e-3, 46),
    1200: Model("XL330-M288", 1e-3, 46),
    1210: Model("XC330-T181", 1e-3, 46),
    1220: Model("XC330-T288", 1e-3, 46),
    1230: Model("XC330-M181", 1e-3, 46),
    1240: Model("XC330-M288", 1e-3, 46),
}
"""Model number → model, those that share this control table."""


def default_map() -> ServoMap:
    """26 XL330-M288 with identities 1…26 in the order of `SERVO_NAMES`, the middle of every travel at half a turn."""
    return ServoMap.of_travel(
        ticks_per_degree=TICKS_PER_TURN / 360,
        centre_tick=TICKS_PER_TURN // 2,
        numbers=[(0, 1 + i) for i in range(len(SERVOS))],
        model="XL330-M288",
    )


def model_number(name: str) -> int | None:
    """Number by which a model calls itself, or `None` for one that is not in `MODELS`."""
    return next((number for number, model in MODELS.items() if model.name == name), None)


def describe_hardware_error(bits: int) -> str:
    """Words for the bits of a hardware error status."""
    known = [text for bit, text in HARDWARE_ERRORS.items() if bits & bit]
    rest = bits & ~sum(HARDWARE_ERRORS)
    return ", ".join(known + ([f"unknown bits {rest:#04x}"] if rest else [])) or "none"


def column(block: np.ndarray, first_address: int, register: Register) -> np.ndarray:
    """One register out of a block of raw bytes, (n, bytes) uint8 read from `first_address`, as (n,) int64."""
    start = register.address - first_address
    raw = np.ascontiguousarray(block[:, start : start + register.size])
    kind = ("<i" if register.signed else "<u") + str(register.size)
    return raw.view(kind)[:, 0].astype(np.int64)


def raw(values: np.ndarray, register: Register) -> np.ndarray:
    """The bytes, (n, size) uint8, of a register's values, (n,)."""
    kind = ("<i" if register.signed else "<u") + str(register.size)
    return np.asarray(values).astype(kind)[:, None].view(np.uint8)


def _registers() -> tuple[Register, ...]:
    return tuple(sorted((r for r in globals().values() if isinstance(r, Register)), key=lambda r: r.address))


REGISTERS: tuple[Register, ...] = _registers()
"""All registers above, by address."""

__all__ = [
    "HARDWARE_ERRORS", "MODELS", "PACKET_ERRORS", "REGISTERS", "Model", "Register",
    "column", "default_map", "describe_hardware_error", "model_number", "raw",
]  # fmt: skip
