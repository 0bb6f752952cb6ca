"""`duchenne synth`: simulated people do a protocol, wear a montage, and are recorded, one file each.

A file is there whole or not at all, so that an interrupted run goes on where it stopped.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from .. import __version__
from ..sim.errors import InputError, VocabularyError
from ..sim.recording import Recording
from . import console

Format = Literal["npz", "zarr", "bids"]
Tier = Literal["motor-units", "interference"]
FORMATS: tuple[Format, ...] = get_args(Format)
TIERS: tuple[Tier, ...] = get_args(Tier)
INDEX = "people.json"
HEALTHY = "healthy"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What every person of a folder has in common. variants: conditions in turn, person by person; seconds: only the
    first of the protocol, None for all; rate_hz: None for the montage's own."""

    montage: str = "proximal7"
    protocol: str = "expressions"
    tier: Tier = "motor-units"
    rate_hz: float | None = None
    camera_hz: float = 30.0
    quality: str = "wired active"
    variants: tuple[str, ...] = (HEALTHY,)
    seconds: float | None = None
    wearing_sd_mm: float = 2.0
    seed: int = 0
    format: Format = "npz"

    def seeds(self, place: int) -> tuple[int, int]:
        """Seeds of the person in this place and of her recording; more people change none of the first."""
        person, recording = np.random.SeedSequence([self.seed, place]).generate_state(2)
        return int(person) // 2, int(recording) // 2

    def variant(self, place: int) -> str:
        """Condition of the person in this place."""
        return self.variants[place % len(self.variants)]


Choice = TypeVar("Choice", bound=str)
Perform = Callable[[Wanted, int], Recording]


def run(
    out: Path, wanted: Wanted, *, people: int = 3, as_json: bool = False, perform: Perform | None = None
) -> int:  # fmt: skip
    """Record people; see `duchenne synth --help`. Returns the exit code.

    Raises `InputError` if the folder holds people of other settings, `VocabularyError` for unknown names, and
    `KeyboardInterrupt` after telling what is kept.
    """
    perform = perform or record
    if perform is record:
        check(wanted)
    folder = _folder(out, wanted)
    index = _open_index(folder, wanted)
    todo = [place for place in range(people) if str(place) not in index["people"]]
    start, made = time.perf_counter(), []
    try:
        with console.progress() as bar:
            task = bar.add_task("recording people", total=people, completed=people - len(todo))
            for place in todo:
                began = time.perf_counter()
                recording = perform(wanted, place)
                entry = _save(recording, out, folder, wanted, place)
                made.append((recording.duration_s, time.perf_counter() - began))
                index["people"][str(place)] = entry | {"wall_s": round(made[-1][1], 3)}
                _write_index(folder, index)
                bar.advance(task)
    except KeyboardInterrupt:
        kept = len(index["people"])
        console.console.print(f"{kept} of {people} people are kept in {out}; the same command goes on from there")
        raise
    wall_s = time.perf_counter() - start
    later = made[1:] or made  # the first one waits for compilation
    rows = [index["people"][str(place)] for place in range(people)]
    figures = {
        "people": people,
        "made": len(todo),
        "seconds": float(sum(e["seconds"] for e in rows)),
        "channels": rows[0]["channels"],
        "emg_rate_hz": rows[0]["emg_rate_hz"],
        "wall_s": wall_s,
        "realtime_factor": sum(s for s, _ in made) / wall_s if made else float("nan"),
        "realtime_factor_later": sum(s for s, _ in later) / sum(w for _, w in later) if made else float("nan"),
        "wall_per_person_s": wall_s / len(made) if made else float("nan"),
        "peak_gb": peak_gb(),
    }
    console.table("duchenne synth", ("figure", ""), [(n.replace("_", " "), v) for n, v in figures.items()])
    files = [entry["file"] for entry in rows]
    console.console.print(f"\n{out}: {', '.join(files[:4])}{' …' if len(files) > 4 else ''}", highlight=False)
    console.console.print(f"look at one with: duchenne show {out / files[0]}", highlight=False)
    if as_json:
        console.emit(figures, folder=out, files=files, settings=_settings(wanted))
    return 0


def record(wanted: Wanted, place: int) -> Recording:
    """The person in this place, recorded."""
    from ..sim.person.person import Person

    who, when = wanted.seeds(place)
    person = Person.sample(who)
    variant = wanted.variant(place)
    if variant != HEALTHY:
        person = person.with_condition(variant)
    recording = person.perform(
        schedule(wanted),
        wanted.montage,
        seed=when,
        rate_hz=wanted.rate_hz,
        camera_hz=wanted.camera_hz,
        tier=wanted.tier,
        quality=wanted.quality,
        wearing_sd_mm=wanted.wearing_sd_mm,
    )
    about = {"variant": variant, "made_by": f"duchenne {__version__}"}
    return Recording(recording.streams, recording.events, recording.truth, recording.info | about)


def schedule(wanted: Wanted) -> Any:
    """The protocol, or its first seconds."""
    import inspect

    from ..sim.person.protocols import PROTOCOLS, protocol

    name, seconds = wanted.protocol, wanted.seconds
    if seconds is None or name not in PROTOCOLS:
        return protocol(name)
    if "duration_s" in inspect.signature(PROTOCOLS[name]).parameters:
        return protocol(name, duration_s=seconds)
    whole = protocol(name)
    if seconds >= whole.duration_s:
        return whole
    cut = {
        part: tuple(
            replace(one, duration_s=min(one.duration_s, seconds - one.onset_s))
            for one in getattr(whole, part)
            if one.onset_s < seconds
        )
        for part in ("cues", "stretches")
    }
    return replace(whole, duration_s=seconds, wearings_s=tuple(w for w in whole.wearings_s if w < seconds), **cut)


def check(wanted: Wanted) -> None:
    """Whether names and numbers can be meant, before anything is computed. Raises `VocabularyError`, `InputError`."""
    from ..sim.person.artefacts import preset
    from ..sim.person.contacts import RATES_HZ
    from ..sim.person.electrodes import montage
    from ..sim.person.person import PATHOLOGIES

    montage(wanted.montage)
    schedule(wanted)
    preset(wanted.quality)
    unknown = [v for v in wanted.variants if v not in (HEALTHY, *PATHOLOGIES)]
    if unknown:
        raise VocabularyError(f"unknown variant {unknown[0]!r}; allowed: {', '.join((HEALTHY, *PATHOLOGIES))}")
    if wanted.seconds is not None and not 1 <= wanted.seconds <= 24 * 3600:
        raise InputError(f"--seconds is {wanted.seconds}; give 1 s to a day, or leave it out for the whole protocol")
    if wanted.rate_hz is not None and not RATES_HZ[0] <= wanted.rate_hz <= RATES_HZ[1]:
        raise InputError(f"--rate is {wanted.rate_hz} Hz; allowed are {RATES_HZ[0]:g} to {RATES_HZ[1]:g} Hz")


def one_of(option: str, given: str, allowed: tuple[Choice, ...]) -> Choice:
    """The one that was meant. Raises `VocabularyError` listing the choices."""
    for choice in allowed:
        if given.strip().lower() == choice:
            return choice
    raise VocabularyError(f"{option} is {given!r}; allowed: {', '.join(allowed)}")


def peak_gb() -> float:
    """The most memory this process has held, in GB (10⁹ bytes); not a number where the system does not tell."""
    try:
        import resource
    except ImportError:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _save(recording: Recording, out: Path, folder: Path, wanted: Wanted, place: int) -> dict[str, Any]:
    suffix = "zarr" if wanted.format == "zarr" else "npz"
    path = recording.save(folder / f"person-{place:03d}.{suffix}")
    if wanted.format == "bids":
        from ..sim.recording_bids import write_bids

        mains = recording.info.get("mains_hz")
        path = write_bids(
            recording,
            out,
            subject=f"{place + 1:03d}",
            task=re.sub(r"[^A-Za-z0-9]", "", wanted.protocol),
            participant={"variant": wanted.variant(place)},
            task_description=f"Protocol {wanted.protocol}, montage {wanted.montage}.",
            power_line_hz=float(mains) if mains else None,
        )
    emg = recording["emg"]
    who, when = wanted.seeds(place)
    return {
        "file": str(path.relative_to(out)),
        "person_seed": who,
        "recording_seed": when,
        "variant": wanted.variant(place),
        "seconds": recording.duration_s,
        "channels": emg.data.shape[-1],
        "emg_rate_hz": emg.rate_hz,
    }


def _folder(out: Path, wanted: Wanted) -> Path:
    """Where the recordings' own files go: in a BIDS data set, which has no place for truth, into its source data."""
    folder = out / "sourcedata" / "duchenne" if wanted.format == "bids" else out
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}; choose another") from error
    return folder


def _open_index(folder: Path, wanted: Wanted) -> dict[str, Any]:
    """What the folder already holds; people whose file is gone are made again."""
    path, settings = folder / INDEX, _settings(wanted)
    if not path.exists():
        return {"format": "duchenne people", "schema": 1, "settings": settings, "people": {}}
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        before, entries = index["settings"], dict(index["people"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}); choose another folder or delete it") from error
    other = [k for k in settings if before.get(k) != settings[k]]
    if other:
        differ = ", ".join(f"{k} {before.get(k)} instead of {settings[k]}" for k in other)
        raise InputError(f"{folder} holds people of other settings ({differ}); choose another folder or delete it")
    root = folder.parent.parent if wanted.format == "bids" else folder
    index["people"] = {k: e for k, e in entries.items() if (root / e["file"]).exists()}
    return index


def _settings(wanted: Wanted) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(wanted)))


def _write_index(folder: Path, index: dict[str, Any]) -> None:
    index["people"] = dict(sorted(index["people"].items(), key=lambda item: int(item[0])))
    part = folder / f".{INDEX}.part"
    part.write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    os.replace(part, folder / INDEX)


def entries(folder: Path) -> Iterator[dict[str, Any]]:
    """What the index of a folder says about each person, in order. Raises `InputError`."""
    try:
        yield from json.loads((folder / INDEX).read_text(encoding="utf-8"))["people"].values()
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder / INDEX} cannot be read ({error})") from error
