"""What hangs on a Dynamixel bus, beside what the servo map says."""

from dataclasses import dataclass

import numpy as np

from ..sim.errors import BusError
from . import dynamixel_table as table
from .bus import Channel, Found, ServoMap
from .dynamixel_table import column
from .dynamixel_wire import BadPacket, Wire

_PATIENCE = 5
_SECOND_CHANCES = 4
_TRIES = 3


@dataclass(frozen=True, eq=False)
class Inspection:
    """All servos' EEPROM, read once."""

    found: tuple[Found, ...]
    strange: tuple[str, ...]
    """Words for servos that are missing or of another model."""
    setup: tuple[str, ...]
    """Words for servos with limits, mode or return delay other than the map's; these can be written."""
    current_unit_a: np.ndarray
    """Unit of each servo's current, (n,); NaN where it does not measure any."""
    fast: bool
    """Whether all know Fast Sync Read."""


def inspect(wire: Wire, servo_map: ServoMap, port: str) -> Inspection:
    """Read the EEPROM of every servo of a map. Raises `BusError` only if nobody answers."""
    found, strange, setup = [], [], []
    unit_a, fast = np.full(len(servo_map.channels), np.nan), True
    chances = _SECOND_CHANCES
    for place, channel in enumerate(servo_map.channels):
        who = f"{channel.name} ({channel.number})"
        try:
            value = _eeprom(wire, channel.number, patient=chances > 0)
        except BadPacket as error:
            chances -= error.silent
            strange.append(f"{who}: {error}" + ("" if error.silent else "; two servos with one identity?"))
            if len(strange) == _PATIENCE and not found:
                raise BusError(f"{port}: {'; '.join(strange)} …: is the power on, and is the speed right?") from error
            continue
        number = value[table.MODEL_NUMBER]
        model = table.MODELS.get(number)
        name = model.name if model else f"model {number}"
        low, high, firmware = value[table.MIN_POSITION_LIMIT], value[table.MAX_POSITION_LIMIT], value[table.FIRMWARE]
        found.append(
            Found(name=channel.name, number=channel.number, model=name, firmware=firmware, low_tick=low, high_tick=high)
        )
        if model is None or name != (channel.model or name):
            strange.append(f"{who}: is {name}, not {channel.model or 'of the X series'}")
        else:
            unit_a[place] = model.current_unit_a or np.nan
            fast &= firmware >= model.fast_from
        setup += [f"{who}: {fault}" for fault in _setup_faults(value, channel)]
    return Inspection(tuple(found), tuple(strange), tuple(setup), unit_a, fast)


def _eeprom(wire: Wire, number: int, *, patient: bool) -> dict[table.Register, int]:
    """EEPROM of one servo, asked for up to three times; a missing answer costs time, so only if `patient`."""
    left = _TRIES
    while True:
        left -= 1
        try:
            block = wire.read(number, 0, table.EEPROM_SIZE)
            break
        except BadPacket as error:
            if left == 0 or (error.silent and not patient):
                raise
    return {r: int(column(block[None], 0, r)[0]) for r in table.REGISTERS if r.end <= table.EEPROM_SIZE}


def _setup_faults(value: dict[table.Register, int], channel: Channel) -> list[str]:
    low, high = value[table.MIN_POSITION_LIMIT], value[table.MAX_POSITION_LIMIT]
    faults = []
    if (low, high) != (channel.low_tick, channel.high_tick):
        faults.append(f"limits {low}…{high}, not {channel.low_tick}…{channel.high_tick}")
    if value[table.OPERATING_MODE] != table.POSITION_MODE or value[table.DRIVE_MODE]:
        faults.append(
            f"operating mode {value[table.OPERATING_MODE]} and drive mode {value[table.DRIVE_MODE]}, not "
            f"{table.POSITION_MODE} and 0"
        )
    if delay := value[table.RETURN_DELAY]:
        faults.append(f"return delay {delay * table.RETURN_DELAY_UNIT_S * 1e6:.0f} µs, not 0")
    return faults


__all__ = ["Inspection", "inspect"]
