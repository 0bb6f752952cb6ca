"""A user's own recording, whatever wrote it, as a `Recording` whose stream `emg` is in µV and whole.

    for file in files("my_study"):
        recording = read(file, montage="proximal7", unit="mV")

Own `.npz` and `.zarr`, EDF and BDF (with the sidecars of EMG-BIDS where there are any), XDF (extra `xdf`), tables
(`.csv`, `.tsv`) and AcqKnowledge's text export (`.txt`). What a file does not say, rate or unit, the caller must.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..learning.signals import rms_uv
from ..sim.errors import InputError, VocabularyError
from ..sim.person.electrodes import montage as named_montage
from ..sim.recording import Recording, Stream
from ..sim.recording_bids import find_bdf
from ..sim.recording_edf import channel_names
from .analyse_formats import LEAST_RATE_HZ, READERS

Array = NDArray[np.floating]

UNITS: Mapping[str, float] = MappingProxyType({"uV": 1.0, "mV": 1e3, "V": 1e6})
"""What `unit` may be, in µV."""
PLAUSIBLE_UV = (0.2, 1000.0)
"""RMS within 20-450 Hz that the median channel of a face may have over a whole recording: an amplifier's own noise,
and half of a strong contraction of the strongest muscles held throughout."""
LEAST_S = 3.0
MOST_MISSING = 0.01
"""Share of a channel's samples that may be missing; so few are bridged by straight lines."""


def files(path: Path) -> tuple[Path, ...]:
    """The recordings at a path: itself, or those of an EMG-BIDS data set or of a folder. Raises `InputError`."""
    if not path.exists():
        raise InputError(f"there is no {path}; give a recording ({', '.join(READERS)}) or a folder of them")
    if path.suffix.lower() in READERS:
        return (path,)
    if path.suffix.lower() == ".mat":
        raise InputError(f"{path.name} is one person's table of powers; give the folder that holds everybody's")
    if path.is_file():
        raise InputError(f"cannot tell what {path.name} is from its name; allowed: {', '.join(READERS)}")
    found = find_bdf(path) or sorted(one for one in path.iterdir() if one.suffix.lower() in READERS)
    if not found:
        raise InputError(f"{path} holds no recording; looked for EMG-BIDS and for {', '.join(READERS)}")
    return tuple(found)


def person_of(path: Path) -> str:
    """Who was recorded: the BIDS subject, else the file's name."""
    subject = re.match(r"sub-[^_]+", path.name)
    return subject[0] if subject else path.stem


def read(
    path: Path,
    *,
    montage: str | None = None,
    rate_hz: float | None = None,
    unit: str | None = None,
    channels: Sequence[str] = (),
) -> Recording:
    """One recording: `emg` (T, C) in µV without gaps, the other streams and events as the file has them.

    montage: its channels are taken, in its order. rate_hz: where the file gives none; contradiction is an error.
    unit: one of `UNITS`, overrules the file. channels: which ones, by the file's names; with a montage, in its order,
    whose names they then get. info: `missing` (C,) shares of samples that were bridged, `notes` on what was assumed,
    `simulated`, `targets` of the montage's channels. Raises `InputError`, `VocabularyError`.
    """
    if unit is not None and unit not in UNITS:
        raise VocabularyError(f"unknown unit {unit!r}; allowed: {', '.join(UNITS)}")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty; export it again")
    raw = READERS[path.suffix.lower()](path, rate_hz, tuple(channels))
    if rate_hz is not None and abs(raw["emg"].rate_hz / rate_hz - 1) > 0.01:
        raise InputError(
            f"{path.name} was sampled at {raw['emg'].rate_hz:.6g} Hz by its own account, --rate says {rate_hz:.6g} Hz; "
            "leave --rate out, or correct the file"
        )
    emg, targets = _chosen(path, raw["emg"], tuple(channels), montage)
    if not len(emg) or emg.duration_s < LEAST_S:
        raise InputError(f"{path.name} holds {emg.duration_s:.3g} s of EMG; at least {LEAST_S:g} s are needed")
    if emg.rate_hz < LEAST_RATE_HZ:
        raise InputError(
            f"{path.name} has {emg.rate_hz:.4g} samples a second; EMG needs {LEAST_RATE_HZ:g} or more. "
            "A time column in milliseconds is called time_ms"
        )
    emg, missing = _bridged(path, emg)
    emg = _in_uv(path, emg, unit)
    info = {
        **raw.info,
        "missing": missing.tolist(),
        "targets": targets,
        "notes": raw.info.get("notes", []),
        "simulated": bool(raw.info.get("simulated") or raw.info.get("person")),
    }
    return Recording([emg, *(raw[name] for name in raw if name != "emg")], raw.events, info=info)


def _chosen(path: Path, emg: Stream, channels: tuple[str, ...], montage: str | None) -> tuple[Stream, list[str]]:
    """The wanted channels, and what muscle each is over."""
    if emg.data.ndim != 2:
        raise InputError(f"the EMG of {path.name} has shape {emg.data.shape}; (T, channels) is needed")
    there = channel_names(emg)
    missing = [name for name in channels if name not in there]
    if missing:
        raise VocabularyError(f"{path.name} has no channel {', '.join(missing)}; it has {', '.join(there)}")
    names, targets = channels or there, [""] * len(channels or there)
    places = [there.index(name) for name in names]
    if montage is not None:
        worn = named_montage(montage)
        wanted = worn.channel_names
        if channels and len(channels) != len(wanted):
            raise InputError(
                f"montage {worn.name} has {len(wanted)} channels, --channels names {len(channels)}; "
                f"give one for each of {', '.join(wanted)}, in this order"
            )
        if not channels:
            known = {name.casefold(): place for place, name in enumerate(there)}
            lacking = [name for name in wanted if name.casefold() not in known]
            if lacking:
                raise VocabularyError(
                    f"{path.name} lacks {', '.join(lacking)} of montage {worn.name}; it has {', '.join(there)}. "
                    f"Name its columns with --channels in the order {','.join(wanted)}"
                )
            places = [known[name.casefold()] for name in wanted]
        names, targets = wanted, [str(target[0]) if target else "" for target in worn.targets]
    rate_hz = float(f"{emg.rate_hz:.9g}")  # blocks of EDF give 499.99999999999994
    return replace(
        emg, data=np.asarray(emg.data, float)[:, places], rate_hz=rate_hz, channels=names, gaps=True
    ), targets


def _bridged(path: Path, emg: Stream) -> tuple[Stream, Array]:
    """EMG without gaps, and the share (C,) that was missing."""
    gaps = np.isnan(emg.data)
    missing = gaps.mean(0)
    if missing.max() > MOST_MISSING:
        bad = [f"{name} ({share:.0%})" for name, share in zip(emg.channels, missing, strict=True) if share > 0.01]
        good = [name for name, share in zip(emg.channels, missing, strict=True) if share <= MOST_MISSING]
        raise InputError(
            f"{path.name} lacks samples (NaN or empty) in {', '.join(bad)}, more than {MOST_MISSING:.0%}; "
            + (f"leave them out with --channels {','.join(good)}" if good else "no channel is left")
        )
    data = emg.data.copy()
    for column in np.flatnonzero(missing):
        lost, known = gaps[:, column], ~gaps[:, column]
        data[lost, column] = np.interp(np.flatnonzero(lost), np.flatnonzero(known), data[known, column])
    return replace(emg, data=data, gaps=False), missing


def _in_uv(path: Path, emg: Stream, unit: str | None) -> Stream:
    told = unit or _SPELT.get(emg.unit.strip().casefold())
    if told is None:
        raise InputError(f"{path.name} does not say in what unit its EMG is; pass --unit uV, mV or V")
    rms = rms_uv(emg.data - emg.data.mean(0), emg.rate_hz)
    alive = rms[np.ptp(emg.data, axis=0) > 0]
    if not len(alive):
        raise InputError(f"every channel of {path.name} is constant; were the electrodes connected?")
    typical = float(np.median(alive))
    if not PLAUSIBLE_UV[0] <= typical * UNITS[told] <= PLAUSIBLE_UV[1]:
        fitting = [one for one, scale in UNITS.items() if PLAUSIBLE_UV[0] <= typical * scale <= PLAUSIBLE_UV[1]]
        raise InputError(
            f"{path.name} in {told} has {typical * UNITS[told]:.3g} µV RMS (20-450 Hz), facial EMG has "
            f"{PLAUSIBLE_UV[0]:g}-{PLAUSIBLE_UV[1]:g}; "
            + (f"pass --unit {' or '.join(fitting)}" if fitting else "are these raw counts? Scale them to volts first")
        )
    return replace(emg, data=emg.data * UNITS[told], unit="uV")


_SPELT = {
    **dict.fromkeys(("uv", "µv", "μv", "microvolt", "microvolts"), "uV"),
    **dict.fromkeys(("mv", "millivolt", "millivolts"), "mV"),
    **dict.fromkeys(("v", "volt", "volts"), "V"),
}


__all__ = ["LEAST_S", "PLAUSIBLE_UV", "UNITS", "files", "person_of", "read"]
