"""The people of the epidermal study: what is kept of each one's recordings.

The paper's task (§ 2.3) is recorded at its ten sites and at two more, AU6 and AU20, that the paper tried and left out.
Of a recording remain the features of its windows, faces in the middle of each contraction for a camera, and how a live
reader did. Shorter recordings of the same people have electrodes put on with less or more care.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..learning.features import window_ends_s
from ..learning.fer_ee import FerEe
from ..learning.recognition import READINGS, Examples, examples
from ..learning.recognition_stream import StreamingRecogniser
from ..sim.facs import Muscle, Side
from ..sim.person.contacts import Channel, Contact, Montage
from ..sim.person.electrodes import montage
from ..sim.person.person import Person
from ..sim.person.protocols import protocol
from ..sim.recording import Recording
from .study import Kept

Array = NDArray[np.floating]

READING = READINGS["fer-ee"]
TEN = montage("epidermal10").channel_names
MORE = ("AU6", "AU20")
"""The paper's sites, and those that it added to show that they are not needed (§ 2.3, figure 3e)."""
WEARING_SD_MM = 2.0
"""How far an electrode is off at a new wearing; *unknown*, 1-4."""
LOOKED_AT_S = (1.2, 1.7)
"""When, after an instruction appears, a camera takes its pictures: within the windows that the EMG is read from."""
_PIECE = 50  # samples that arrive at once


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is done. batches: wearings of each person; steps: of FER-EE's training; counts: numbers of channels,
    `draws` choices of each; shifts_mm: wearing errors tried beside `WEARING_SD_MM`; pictures: whether to render."""

    people: int = 6
    batches: int = 4
    hold_s: float = 2.0
    rest_s: float = 0.85
    steps: int = 2000
    folds: int = 5
    counts: tuple[int, ...] = (1, 2, 4, 6, 8, 9, 10)
    draws: int = 3
    shifts_mm: tuple[float, ...] = (0.0, 4.0, 8.0)
    pictures: bool = True

    @property
    def task(self) -> dict[str, float]:
        """What the recordings and readers of one person depend on."""
        return {name: getattr(self, name) for name in ("batches", "hold_s", "rest_s", "steps")}


@dataclass(frozen=True, eq=False)
class Subject:
    """One person. seen: windows at twelve sites, all batches. shifted: windows at ten, two batches, by wearing error.

    faces_m (trials, 2, 468, 3) at `LOOKED_AT_S`, by the number of the trial; rest_m (468, 3); look: one of `LOOKS`.
    live: `latency_ms`, `compute_ms` (median of one answer), `accuracy` of the forward reader on the second batch.
    """

    seen: Examples
    shifted: Mapping[float, Examples]
    faces_m: Array
    rest_m: Array
    look: str
    live: Mapping[str, float]


def subject(number: int, seed: int, size: Size, kept: Kept) -> Subject:
    """Person `number` of the study, recorded unless that was done before."""
    who = {"seed": seed, "person": number, **size.task}
    main = kept.get(f"person-{number}", who, lambda: _recorded(number, seed, size))
    shifted = {
        sd: _restored(kept.get(f"person-{number}-off", who | {"sd_mm": sd}, partial(_put_on, number, seed, sd, size)))
        for sd in size.shifts_mm
    }
    live = {key: float(main[key]) for key in ("latency_ms", "compute_ms", "accuracy")}
    return Subject(_restored(main), shifted, main["faces_m"], main["rest_m"], str(main["look"]), live)


def twelve() -> Montage:
    """The paper's ten sites with AU6 and AU20 beside them, same electrodes and reference."""
    base = montage("epidermal10")
    like, to = base.contacts[0], base.channels[0].minus
    of = Side.RIGHT
    sites = {"AU6": (-42.0, 10.0, Muscle.ORBICULARIS_OCULI_ORBITAL), "AU20": (-49.0, -45.0, Muscle.RISORIUS)}
    return replace(
        base,
        name="epidermal12",
        contacts=(*base.contacts, *(Contact(key, s, y, like.radius_mm) for key, (s, y, _) in sites.items())),
        channels=(*base.channels, *(Channel(key, (key,), to, muscle, of) for key, (*_, muscle) in sites.items())),
    )  # fmt: skip


def _perform(number: int, seed: int, size: Size, sd_mm: float, batches: int, worn: Montage) -> Recording:
    task = protocol("intensities", batches=batches, hold_s=size.hold_s, rest_s=size.rest_s)
    person = Person.sample(seed + number)
    return person.perform(task, worn, seed=seed + number, tier="interference", wearing_sd_mm=sd_mm)


def _recorded(number: int, seed: int, size: Size) -> dict[str, Any]:
    recording = _perform(number, seed, size, WEARING_SD_MM, size.batches, twelve())
    faces = recording["landmarks"]
    shown = np.array([event.onset_s for event in recording.events if event.kind == "instruction"])
    frames = np.rint((shown[:, None] + LOOKED_AT_S) * faces.rate_hz).astype(int).clip(0, len(faces.data) - 1)
    return {
        **_stored(examples(recording, READING, person=number)),
        "faces_m": (1e-3 * faces.data[frames]).astype(np.float32),
        "rest_m": np.asarray(Person.sample(seed + number).face.rest),
        "look": recording.info["look"],
        **_live(recording, size.steps),
    }


def _put_on(number: int, seed: int, sd_mm: float, size: Size) -> dict[str, Any]:
    recording = _perform(number, seed, size, sd_mm, 2, montage("epidermal10"))
    return _stored(examples(recording, READING, person=number))


def _live(recording: Recording, steps: int) -> dict[str, float]:
    """Learn from the first batch through forward filters, then answer while the second comes in."""
    emg = recording["emg"]
    places = [emg.channels.index(name) for name in TEN]
    starts = [round(one["start_s"] * emg.rate_hz) for one in recording.info["wearings"]]
    first, second = (emg.data[start : start + starts[1], places] for start in starts[:2])
    seen = examples(recording, READING)
    mine = seen.only(TEN).take(seen.batch == 0)
    classifier = FerEe(steps=steps).fit(mine.flat, mine.label)
    reader = StreamingRecogniser(classifier, READING, emg.rate_hz, len(TEN))
    read = reader.offline_features(first)[1]
    asked = _asked(recording, len(read), 0.0)
    classifier.fit(read.transpose(0, 2, 1).reshape(len(read), -1)[asked != ""], asked[asked != ""])
    answers, took = [], []
    for start in range(0, len(second), _PIECE):
        began = time.perf_counter()
        answers.append(reader.push(second[start : start + _PIECE])[1])
        took.append(time.perf_counter() - began)
    said = classifier.classes_[np.concatenate(answers).argmax(1)]
    asked = _asked(recording, len(said), starts[1] / emg.rate_hz)
    return {
        "latency_ms": 1e3 * reader.latency_s,
        "compute_ms": 1e3 * float(np.median(took)),
        "accuracy": float(np.mean((said == asked)[asked != ""])),
    }


def _asked(recording: Recording, windows: int, start_s: float) -> NDArray[np.str_]:
    """Expression (windows,) asked for throughout each window of a stretch; "" where the face moves or rests."""
    ends = window_ends_s(windows, recording["emg"].rate_hz, READING.window_s, READING.step_s, start_s)
    asked = np.full(windows, "", dtype="<U32")
    for event in recording.events:
        if event.kind == "instruction" and event.label != "neutral":
            inside = (ends - READING.window_s >= event.onset_s + READING.settle_s[0]) & (ends < event.end_s)
            asked[inside] = event.label.rpartition(" ")[0]
    return asked


_COLUMNS = ("features", "label", "intensity", "person", "batch", "trial", "channels", "names")


def _stored(seen: Examples) -> dict[str, Any]:
    return {key: np.asarray(getattr(seen, key)) for key in _COLUMNS}


def _restored(arrays: Mapping[str, np.ndarray]) -> Examples:
    found = {key: arrays[key] for key in _COLUMNS}
    return Examples(
        **{**found, "channels": tuple(map(str, found["channels"])), "names": tuple(map(str, found["names"]))}
    )


__all__ = ["LOOKED_AT_S", "MORE", "READING", "TEN", "WEARING_SD_MM", "Size", "Subject", "subject", "twelve"]
