"""`duchenne stream read`: EMG as it comes in, over LSL or from a file, what it says of the face, and a log of it.

Channels are taken by name, as the montage has them. With an anticipator for the montage, expression, how probable a
change is and the action units of the face that the muscles make are told 25 times a second.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from scipy.optimize import nnls

from ..hardware.emg_files import ReplaySource
from ..hardware.emg_lsl import LslSource
from ..hardware.emg_source import EmgBlock, EmgInfo, EmgSource
from ..learning.anticipation import SHIPPED, Anticipator
from ..learning.anticipation_senses import PERIOD_S
from ..sim.errors import InputError
from ..sim.person.electrodes import montage as named_montage
from ..sim.person.person import unit_shapes
from ..sim.person.repertoire import UNITS
from ..twin.log import Log, LogWriter
from . import console
from .analyse_read import read as read_recording

Array = NDArray[np.floating]

LEAST_UNIT = 0.1
"""Intensity from which an action unit is told."""
_RIDGE = 1e-3
_LEVEL_S = 0.25


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the muscles say at one moment: the expression that is coming or there, how probable it is that the face is
    changing, intensities of action units by name, and what is wrong, if anything is."""

    time_s: float
    expression: str
    changing: float
    units: Mapping[str, float]
    problem: str


class LiveReading:
    """Reads a face from EMG blocks, 25 times a second."""

    def __init__(self, anticipator: Anticipator, rate_hz: float):
        self._watcher = anticipator.stream(rate_hz)
        self._fit, self._names = _unit_solver()
        self._next_s = -np.inf
        self.decode_s: list[float] = []
        """How long each answer took."""

    def hear(self, block: EmgBlock) -> Said | None:
        """Take in a block; an answer where one is due."""
        if not len(block):
            return None
        began_s, last_s = time.perf_counter(), float(block.host_s[-1])
        self._watcher.hear(last_s, block.emg_uv)
        if last_s < self._next_s - 1e-4:
            return None
        self._next_s = max(self._next_s, last_s - PERIOD_S) + PERIOD_S
        expected = self._watcher.expect(last_s)
        said = Said(
            time_s=last_s,
            expression=expected.expression,
            changing=expected.probability,
            units=dict(zip(self._names, self._fit(expected.shown_m).tolist(), strict=True)),
            problem=expected.problem.replace("no pictures; ", "").replace("no pictures", ""),
        )
        self.decode_s.append(time.perf_counter() - began_s)
        return said


@dataclass(kw_only=True)
class Tally:
    """What a stream was like; times in s."""

    latency_s: list[Array] = field(default_factory=list)

    def add(self, block: EmgBlock) -> None:
        self.latency_s.append(block.arrival_s - block.host_s)

    def figures(self, source: EmgSource, reading: LiveReading | None) -> dict[str, float]:
        health = source.health()
        late_ms = 1e3 * np.concatenate(self.latency_s or [np.array([np.nan])])
        figures = {
            "received": float(health.received),
            "lost": float(health.lost),
            "gaps": float(health.gaps),
            "rate_hz": health.rate_hz if health.rate_hz is not None else float("nan"),
            "latency_p50_ms": float(np.percentile(late_ms, 50)),
            "latency_p99_ms": float(np.percentile(late_ms, 99)),
        }
        if reading is not None:
            took_ms = 1e3 * np.array(reading.decode_s or [np.nan])
            figures |= {"answers": float(len(reading.decode_s)), "decode_p99_ms": float(np.percentile(took_ms, 99))}
        return figures


def run(
    source: str = "lsl",
    *,
    name: str = "",
    source_id: str = "",
    session: str | None = None,
    montage: str | None = "proximal7",
    called: Sequence[str] = (),
    unit: str | None = None,
    model: Path | None = None,
    log: Path | None = None,
    seconds: float | None = None,
    as_json: bool = False,
) -> int:
    """Read until the time or the file is over or somebody interrupts; see `duchenne stream read --help`.

    Returns the exit code. Raises `DuchenneError`.
    """
    worn = named_montage(montage) if montage else None
    anticipator = Anticipator.load(model) if model else None
    if anticipator is None and worn is not None and worn.name in SHIPPED:
        anticipator = Anticipator.default(worn.name)
    channels = anticipator.channels if anticipator else worn.channel_names if worn else ()
    with console.console.status("opening the EMG"):
        opened = (
            LslSource(name=name, source_id=source_id, channels=channels, called=called, unit=unit, session=session)
            if source == "lsl"
            else from_file(Path(source), montage=montage, unit=unit, channels=called)
        )
    with opened:
        reading = LiveReading(anticipator, opened.info.rate_hz) if anticipator else None
        writer = LogWriter(log, about={"command": "stream read", "source": source}) if log else None
        tally = Tally()
        try:
            with _Screen(opened.info) as screen:
                follow(opened, reading, tally, writer, screen.show, seconds)
        except KeyboardInterrupt:
            console.console.print("interrupted")
        finally:
            if writer is not None:
                writer.close()
        figures = tally.figures(opened, reading)
    console.table("duchenne stream read", ["figure", ""], [(n.replace("_", " "), v) for n, v in figures.items()])
    if as_json:
        console.emit(figures, stream=opened.info.as_json(electrodes=False), log=str(log) if log else None)
    return 0


def follow(
    source: EmgSource,
    reading: LiveReading | None,
    tally: Tally,
    log: LogWriter | None = None,
    show: Callable[[EmgSource, EmgBlock, Said | None], None] = lambda source, block, said: None,
    seconds: float | None = None,
) -> None:
    """Read a source to its end, or for so long."""
    if log is not None:
        log.write(time.monotonic(), source.info)
    until_s, offset = (float("inf") if seconds is None else time.monotonic() + seconds), None
    while not source.ended and time.monotonic() < until_s:
        block = source.read(0.1)
        if len(block):
            tally.add(block)
            if log is not None:
                log.write(block.arrival_s, block)
                if block.offset is not offset:
                    offset = block.offset
                    log.write(block.arrival_s, offset)
        show(source, block, reading.hear(block) if reading is not None else None)


def from_file(
    path: Path, *, montage: str | None = None, unit: str | None = None, channels: Sequence[str] = (), paced: bool = True
) -> EmgSource:
    """A file as a source: a log (`.mcap`) or whatever `duchenne analyse` reads. Raises `InputError`."""
    if path.suffix.lower() != ".mcap":
        if not path.is_file() and not path.is_dir():
            raise InputError(f"there is no {path}; give lsl, or a file with EMG")
        recording = read_recording(path, montage=montage, unit=unit, channels=channels)
        return ReplaySource.of_recording(recording, paced=paced)
    log = Log(path)
    info = next((entry.what for entry in log.only(EmgInfo)), None)
    if info is None:
        raise InputError(f"{path} is a log without EMG")
    wanted = named_montage(montage).channel_names if montage else info.channels
    return ReplaySource(info, (entry.what for entry in log.only(EmgBlock)), channels=wanted, paced=paced)


def _unit_solver() -> tuple[Callable[[Array], Array], tuple[str, ...]]:
    """Intensities (A,) 0…1 of action units that make a face (468, 3) m from rest, both sides alike; and their names."""
    shapes = unit_shapes().sum(1).reshape(len(UNITS), -1)
    gram = shapes @ shapes.T
    root = np.linalg.cholesky(gram + _RIDGE * np.diag(gram).mean() * np.eye(len(gram)))
    into = np.linalg.solve(root, shapes)
    return lambda face_m: nnls(root.T, into @ np.ravel(face_m))[0].clip(0, 1), tuple(map(str, UNITS))


class _Screen:
    """A table that changes in a terminal; elsewhere a line for each problem."""

    def __init__(self, info: EmgInfo):
        self._info, self._live, self._shown_s, self._problem = info, None, 0.0, ""
        self._level_uv, self._said = np.zeros(len(info.channels)), None

    def __enter__(self) -> "_Screen":
        if console.console.is_terminal:
            self._live = Live(console=console.console, auto_refresh=False, transient=True).__enter__()
        return self

    def __exit__(self, *_) -> None:
        if self._live is not None:
            self._live.__exit__(None, None, None)

    def show(self, source: EmgSource, block: EmgBlock, said: Said | None) -> None:
        if self._live is None:
            if block.arrival_s - self._shown_s > 0.5:
                self._shown_s, before, self._problem = block.arrival_s, self._problem, source.health().problem
                if self._problem != before and self._problem and not source.ended:
                    console.console.print(f"[yellow]{escape(self._problem)}[/]", highlight=False)
            return
        self._said = said or self._said
        if len(block):
            keep = np.exp(-len(block) / (_LEVEL_S * self._info.rate_hz))
            power = ((block.emg_uv - block.emg_uv.mean(0)) ** 2).mean(0)
            self._level_uv = np.sqrt(keep * self._level_uv**2 + (1 - keep) * power)
        if block.arrival_s - self._shown_s > 0.1:
            self._shown_s = block.arrival_s
            self._live.update(self._drawn(source), refresh=True)

    def _drawn(self, source: EmgSource) -> Table:
        health, drawn = source.health(), Table(box=None, show_header=False)
        for name, level in zip(self._info.channels, self._level_uv, strict=True):
            drawn.add_row(name, f"{level:6.1f} µV", "█" * int(np.clip(8 * np.log10(max(level, 1)), 0, 24)))
        if self._said is not None:
            units = [f"{unit} {value:.1f}" for unit, value in self._said.units.items() if value >= LEAST_UNIT]
            drawn.add_row("expression", self._said.expression, f"changing {self._said.changing:.0%}")
            drawn.add_row("units", "", ", ".join(units))
        problem = health.problem or (self._said.problem if self._said else "")
        drawn.add_row("received", f"{health.received:,}", f"{health.lost:,} lost")
        drawn.add_row("", "", f"[yellow]{escape(problem)}[/]")
        return drawn


__all__ = ["LiveReading", "Said", "Tally", "follow", "from_file", "run"]
