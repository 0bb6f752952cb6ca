"""`duchenne stream emg`: a simulated person wears electrodes, and her EMG goes out over LSL in real time.

Any LSL client or recorder reads it as that of a wearable: labels, microvolts, montage, electrodes and where they
stand; a second stream, of type Markers, says what she does. She goes on for as long as is wanted: while one stretch
is sent, the next is simulated.
"""

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from ..hardware.emg_lsl import LslMarkers, LslOutlet, library
from ..hardware.emg_source import EmgInfo
from ..sim.errors import InputError
from ..sim.person.electrodes import montage as named_montage
from ..sim.person.encounter import EMG_HZ, meet
from ..sim.person.person import Person
from ..sim.recording_electrodes import Electrodes
from . import console

Array = NDArray[np.floating]

STRETCH_S = 20.0
"""So much of her is simulated at a time."""
CHUNK = 5
"""Samples sent together."""
REST = "neutral"
_FADE = 50
"""Samples over which one stretch turns into the next."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stretch:
    """EMG (T, C) µV at `EMG_HZ`, and what she does: (sample, what), in order; `REST` where an act ends."""

    emg_uv: Array
    marks: tuple[tuple[int, str], ...]


def run(
    *,
    person: int = 0,
    montage: str = "proximal7",
    seconds: float | None = None,
    seed: int = 0,
    name: str = "duchenne",
    source_id: str = "",
    session: str | None = None,
    as_json: bool = False,
) -> int:
    """Publish until the time is over or somebody interrupts; see `duchenne stream emg --help`. Returns the exit code.

    Raises `DuchenneError`.
    """
    if seconds is not None and not seconds > 0:
        raise InputError(f"--seconds: got {seconds:g}; allowed is above 0, or leave it out to go on for ever")
    library(session)  # whether LSL is there, before she is simulated
    stretches = live(Person.sample(person), montage, seed, seconds)
    with console.console.status("simulating her first 20 s"):
        first = next(stretches)
    about = info(montage, name, source_id or f"duchenne-person-{person}")
    with LslOutlet(about, session=session) as outlet:
        markers = LslMarkers(f"{name} markers", f"{about.source_id}-markers", session=session)
        console.console.print(
            f"LSL stream [bold]{about.name}[/], type EMG, source id {about.source_id}: {len(about.channels)} channels "
            f"of {montage} at {EMG_HZ:g} Hz. Ctrl-C ends it.",
            highlight=False,
        )
        figures: dict[str, float] = {}
        try:
            publish(outlet, markers, chain([first], stretches), seconds, figures)
        except KeyboardInterrupt:
            console.console.print("interrupted")
    if as_json:
        console.emit(figures, stream=about.as_json(electrodes=False))
    return 0


def info(montage: str, name: str, source_id: str) -> EmgInfo:
    """What a montage's stream says about itself. Raises `VocabularyError`."""
    worn = named_montage(montage)
    return EmgInfo(
        name=name,
        channels=worn.channel_names,
        rate_hz=EMG_HZ,
        device="duchenne",
        source_id=source_id,
        clock="monotonic",
        montage=worn.name,
        electrodes=Electrodes.of(worn).as_info(),
    )


def live(
    person: Person, montage: str, seed: int, seconds: float | None = None, stretch_s: float = STRETCH_S
) -> Iterator[Stretch]:
    """One stretch after the other, each simulated while the one before is used; the seed gives the same ones.

    No more than `seconds` need, where that is given.
    """
    count = None if seconds is None else int(np.ceil(seconds / (stretch_s - _FADE / EMG_HZ)))
    with ThreadPoolExecutor(1, "simulation") as behind:
        ahead = behind.submit(_stretch, person, montage, seed, stretch_s)
        for number in islice(itertools.count(1), count):
            now = ahead.result()
            if number != count:
                ahead = behind.submit(_stretch, person, montage, seed + number, stretch_s)
            yield now


def publish(
    outlet: LslOutlet,
    markers: LslMarkers | None,
    stretches: Iterator[Stretch],
    seconds: float | None,
    figures: dict[str, float],
) -> None:
    """Send in real time. `figures` tells all the while how many samples went out, and how late at worst."""
    until = float("inf") if seconds is None else seconds * EMG_HZ
    start_s, sent, late_s, tail = time.monotonic(), 0, 0.0, None
    for stretch in stretches:
        emg_uv, marks = joined(tail, stretch.emg_uv), dict(stretch.marks)
        whole = len(emg_uv) - _FADE
        tail = emg_uv[whole:]
        for at in range(0, whole, CHUNK):
            piece = emg_uv[at : min(at + CHUNK, whole)]
            sent += len(piece)
            taken_s = start_s + sent / EMG_HZ
            wait_s = taken_s - time.monotonic()
            if wait_s > 0:
                time.sleep(wait_s)
            late_s = max(late_s, -wait_s)
            outlet.push(piece, taken_s)
            for sample in range(at, at + len(piece)):
                if markers is not None and sample in marks:
                    markers.push(marks[sample], taken_s - (at + len(piece) - 1 - sample) / EMG_HZ)
            figures.update(sent=float(sent), seconds=time.monotonic() - start_s, late_ms=1e3 * late_s)
            if sent >= until:
                return


def joined(tail: Array | None, emg_uv: Array) -> Array:
    """A stretch whose beginning grows out of the end (`_FADE`, C) of the one before, without a step."""
    if tail is None:
        return emg_uv
    share = np.linspace(0, 1, len(tail))[:, None]
    return np.concatenate([(1 - share) * tail + share * emg_uv[: len(tail)], emg_uv[len(tail) :]])


def _stretch(person: Person, montage: str, seed: int, stretch_s: float) -> Stretch:
    met = meet(person, montage=montage, seed=seed, seconds=stretch_s)
    assert met.emg_uv is not None
    marks = [mark for act in met.acts for mark in ((act.drive_s, act.what), (act.end_s, REST))]
    return Stretch(emg_uv=met.emg_uv, marks=tuple((round(at_s * EMG_HZ), what) for at_s, what in sorted(marks)))


__all__ = ["CHUNK", "REST", "STRETCH_S", "Stretch", "info", "joined", "live", "publish", "run"]
