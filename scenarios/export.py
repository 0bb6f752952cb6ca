"""`duchenne export`: a log of record as EMG-BIDS, XDF, a Minari data set, or a file for the rerun viewer."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..sim import mesh
from ..sim.errors import InputError, VocabularyError
from ..sim.recording import Recording
from ..sim.robot.servo import SERVO_NAMES
from ..twin.log import Log
from ..twin.log_recording import recording_of
from ..twin.viewer import SERVO_GROUPS, PersonViewer
from . import console

_SKIN = (205, 170, 150)


def run(path: Path, to: str, out: Path, *, subject: str = "001", task: str = "mirror", as_json: bool = False) -> int:
    """Write the log at `path` as one of `FORMATS` into the folder `out`. Raises `DuchenneError`; returns 0.

    subject, task: of EMG-BIDS. A log whose writer was killed is exported as far as it goes.
    """
    if to not in FORMATS:
        raise VocabularyError(f"--to: got {to!r}; allowed are {', '.join(FORMATS)}")
    log = Log(path)
    written = FORMATS[to](log, out, subject, task)
    console.console.print(f"{to:>10}  {written}", soft_wrap=True, highlight=False)
    if not log.complete:
        console.console.print("The log ends early; what is there was exported.", style="dim")
    if as_json:
        figures = {"complete": float(log.complete), "entries": sum(1 for _ in log)}
        console.emit(figures, source=str(path), format=to, written=str(written))
    return 0


def to_bids(log: Log, out: Path, subject: str, task: str) -> Path:
    """EMG with the Guard's events beside it. Raises `InputError` for a log without EMG, or with gaps in it."""
    from ..sim.recording_bids import write_bids

    recording = recording_of(log)
    if "emg" not in recording:
        raise InputError(f"{log.path} holds no EMG; EMG-BIDS is for EMG, --to xdf holds commands and faces too")
    return write_bids(recording, out, subject=subject, task=task)


def to_xdf(log: Log, out: Path, subject: str, task: str) -> Path:
    """Everything, at its own times."""
    from ..twin.log_xdf import write_xdf

    return write_xdf(log, out / f"{log.path.stem}.xdf")


def to_minari(log: Log, out: Path, subject: str, task: str) -> str:
    """One episode at 25 Hz: servo positions, or the last command where none are fed back, and the commands sent."""
    from gymnasium.spaces import Box

    from .dataset import _check_new, _datasets_in, _minari

    minari = _minari()
    from minari.data_collector.episode_buffer import EpisodeBuffer

    recording = recording_of(log)
    if "command_sent" not in recording:
        raise InputError(f"{log.path} holds no commands that were sent; a Minari data set needs actions")
    sent = recording["command_sent"]
    actions = sent.data[1:].astype(np.float32)
    observations = sent.data.astype(np.float32)
    if "position" in recording:
        observations = _positions(recording, sent.times_s).astype(np.float32)
    name = f"duchenne/log/{_plain(log.path.stem)}-v0"
    with _datasets_in(out):
        _check_new(minari, name)
        quiet = [0.0] * len(actions)
        episode: Any = {"observations": observations, "actions": actions, "rewards": quiet}
        ends = [False] * (len(actions) - 1) + [True]
        buffer = EpisodeBuffer(id=0, terminations=[False] * len(actions), truncations=ends, **episode)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="minari")  # about authors, and that there is no environment
            minari.create_dataset_from_buffers(
                name,
                [buffer],
                observation_space=Box(-1.0, 2.0, (len(SERVO_NAMES),), np.float32),
                action_space=Box(0.0, 1.0, (len(SERVO_NAMES),), np.float32),
                description=f"What a robot was told and did, 25 times a second, from {log.path.name}; no rewards.",
                data_format="hdf5",
            )
    return name


def to_rrd(log: Log, out: Path, subject: str, task: str) -> Path:
    """Commands, positions, EMG, the person's face and the Guard's events, to be looked at."""
    recording = recording_of(log)
    path = out / f"{log.path.stem}.rrd"
    out.mkdir(parents=True, exist_ok=True)
    plots: dict[str, tuple[list[str], list[int]]] = {}
    for name in ("command_sent", "position"):
        if name in recording:
            for group, names in SERVO_GROUPS.items():
                plots[f"{name}/{group}"] = list(names), [SERVO_NAMES.index(n) for n in names]
    if "emg" in recording:
        plots |= {f"emg/{c}": ([c], [k]) for k, c in enumerate(recording["emg"].channels)}
    with PersonViewer(path, {entity: names for entity, (names, _) in plots.items()}) as viewer:
        for entity, (_, places) in plots.items():
            stream = recording[entity.split("/")[0]]
            viewer.scalars(entity, stream.times_s, stream.data[:, places])
        if "displacement" in recording:
            seen = recording["displacement"]
            colours = np.broadcast_to(np.array(_SKIN, np.uint8), (len(seen), mesh.VERTEX_COUNT, 3))
            viewer.faces(seen.times_s, mesh.REST + 1e-3 * seen.data, colours)
        for event in recording.events:
            viewer.event(event.onset_s, f"{event.label}: {event.value}")
    return path


def _positions(recording: Recording, times_s: np.ndarray) -> np.ndarray:
    """Servo positions at times (T,), the last known before each, (T, 26)."""
    stream = recording["position"]
    places = np.floor((times_s - stream.start_s) * stream.rate_hz + 1e-6).astype(int)
    return stream.data[np.clip(places, 0, len(stream) - 1)]


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)


FORMATS: Mapping[str, Callable[[Log, Path, str, str], Path | str]] = {
    "bids": to_bids, "xdf": to_xdf, "minari": to_minari, "rrd": to_rrd,
}  # fmt: skip

__all__ = ["FORMATS", "run", "to_bids", "to_minari", "to_rrd", "to_xdf"]
