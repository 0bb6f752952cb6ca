"""A log as a `Recording`: EMG, commands, servo positions and faces on one clock, the Guard's events beside them.

    recording = recording_of(Log("session.mcap"))
    recording.save("session.npz")
    write_bids(recording, "dataset", subject="001", task="mirror")      # where no EMG is missing

Time 0 is the log's first entry. EMG is placed by its sample numbers, missing samples are NaN; what came unevenly is
set to 25 Hz, each moment with the last value before it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..hardware.bus import Feedback
from ..hardware.emg_source import EmgBlock, EmgInfo
from ..hardware.guard import Event as GuardEvent
from ..sim.errors import InputError
from ..sim.recording import Event, Recording, Stream
from ..sim.robot.face import CONTROL_PERIOD_S
from ..sim.robot.servo import SERVO_NAMES
from .log import Log
from .log_entries import Command, Seen

Array = NDArray[np.floating]


def recording_of(log: Log) -> Recording:
    """Streams `emg` (µV), `command_asked`, `command_sent`, `position` (T, 26), `displacement` (T, 468, 3) mm, as far as
    the log has them; events of kind `guard`.

    Raises `InputError` for EMG of several wearables, or with a clock that jumped.
    """
    info: EmgInfo | None = None
    blocks: list[EmgBlock] = []
    uneven: dict[str, list[tuple[float, Array]]] = {}
    events, start_s = [], None
    for entry in log:
        start_s = entry.time_s if start_s is None else start_s
        what, time_s = entry.what, entry.time_s
        if isinstance(what, EmgInfo):
            if info is not None and (info.channels, info.rate_hz) != (what.channels, what.rate_hz):
                raise InputError(
                    f"{log.path} holds EMG of {info.name!r} and of {what.name!r}; read its entries instead"
                )
            info = what
        elif isinstance(what, EmgBlock):
            blocks.append(what)
        elif isinstance(what, Command):
            for name, values in (("command_asked", what.asked), ("command_sent", what.sent)):
                if values is not None and np.shape(values) == (len(SERVO_NAMES),) and np.isfinite(values).all():
                    uneven.setdefault(name, []).append((time_s, values))
        elif isinstance(what, Feedback) and what.position is not None:
            uneven.setdefault("position", []).append((time_s, what.position))
        elif isinstance(what, Seen) and what.face_m is not None:
            uneven.setdefault("displacement", []).append((what.taken_s, 1e3 * what.face_m))
        elif isinstance(what, GuardEvent):
            events.append((what.time_s, what))
    start_s = start_s or 0.0
    streams = [_even(name, rows, start_s) for name, rows in uneven.items()]
    if info is not None and blocks:
        streams.insert(0, _emg(log, info, [block for block in blocks if len(block)], start_s))
    return Recording(
        streams=streams,
        events=[
            Event(max(at_s - start_s, 0.0), 0.0, f"{event.what} {event.rule}".strip(), event.message, "guard")
            for at_s, event in events
        ],
        info={
            "source": log.path.name,
            "log": log.about,
            "complete": log.complete,
            **({"montage": info.montage, "electrodes": dict(info.electrodes)} if info and info.electrodes else {}),
        },
    )


def _emg(log: Log, info: EmgInfo, blocks: Sequence[EmgBlock], start_s: float) -> Stream:
    """Samples at their numbers; the first one's time gives the start."""
    if any("clock jumped" in gap.why for block in blocks for gap in block.gaps):
        raise InputError(f"the device's clock jumped in {log.path}; its EMG has no even time. Read its entries instead")
    first = blocks[0].number
    numbers = [_numbers(block) - first for block in blocks]
    data = np.full((int(numbers[-1][-1]) + 1, len(info.channels)), np.nan, np.float32)
    for places, block in zip(numbers, blocks, strict=True):
        data[places] = block.emg_uv
    missing = bool(np.isnan(data).any())
    return Stream(
        "emg", data, info.rate_hz, float(blocks[0].host_s[0]) - start_s, info.channels, unit="uV", gaps=missing
    )


def _numbers(block: EmgBlock) -> NDArray[np.int64]:
    """Number of each sample of a block, which counts those that are missing within it."""
    steps = np.zeros(len(block), np.int64)
    for gap in block.gaps:
        if gap.at:
            steps[gap.at] += gap.missing
    return block.number + np.arange(len(block)) + np.cumsum(steps)


def _even(name: str, rows: list[tuple[float, Array]], start_s: float) -> Stream:
    times_s = np.array([time_s for time_s, _ in rows])
    order = np.argsort(times_s, kind="stable")
    count = int((times_s.max() - times_s.min()) / CONTROL_PERIOD_S + 1e-6) + 1
    wanted_s = times_s.min() + CONTROL_PERIOD_S * np.arange(count)
    place = np.searchsorted(times_s[order], wanted_s + 1e-6, side="right") - 1
    data = np.stack([rows[k][1] for k in order[place]])
    servos = SERVO_NAMES if name != "displacement" else ()
    unit, gaps = ("1", bool(np.isnan(data).any())) if servos else ("mm", False)
    return Stream(name, data, 1 / CONTROL_PERIOD_S, float(times_s.min()) - start_s, tuple(servos), unit=unit, gaps=gaps)


__all__ = ["recording_of"]
