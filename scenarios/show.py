"""`duchenne show`: one picture and one .rrd file of whatever recording there is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from ..sim.errors import InputError
from ..sim.recording import Recording, Stream, load
from ..sim.recording_bids import find_bdf, read_bids
from ..sim.recording_files import SUFFIXES
from . import console
from . import show_signals as signals

Colour = Literal["auto", "activity", "strain"]
COLOURS: tuple[Colour, ...] = get_args(Colour)
_FACES_HZ = 15.0
_MOST_FACES = 3000
_MOST_SAMPLES = 400_000


def run(
    file: Path,
    out: Path,
    *,
    seconds: str | None = None,
    colour: Colour = "auto",
    render: bool = True,
    as_json: bool = False,
) -> int:
    """Draw a recording; see `duchenne show --help`. Returns the exit code."""
    from .show_picture import draw

    source, recording = read(file, stretch(seconds))
    name = source.stem.removesuffix("_emg")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {out}: {error.strerror}; choose another") from error
    look = recording.info.get("look")
    look = look if isinstance(look, str) and look else "chestnut"
    with console.progress() as bar:
        task = bar.add_task("drawing the picture", total=2)
        picture = draw(recording, out / f"{name}.png", title=name, look=look if render else None)
        bar.update(task, description="writing the .rrd file", advance=1)
        film = write_rrd(recording, out / f"{name}.rrd", colour)
        bar.advance(task)
    channels = _channels(recording)
    if channels:
        rows = [(n, *figures.values()) for n, figures in channels.items()]
        console.table(name, ("channel", "RMS, µV", "quietest tenth, µV", "loudest tenth, µV"), rows)
    console.console.print(f"\n{picture}\n{film}", highlight=False)
    if as_json:
        console.emit(_figures(recording, channels), channels=channels, files={"picture": picture, "recording": film})
    return 0


def read(file: str | Path, between_s: tuple[float, float] | None = None) -> tuple[Path, Recording]:
    """The file that was read and its recording, cut to from ≤ time < to: an `.npz`, a `.zarr`, a `.bdf` or `.edf`, or
    a BIDS folder with one of those. Raises `InputError`."""
    path = Path(file)
    if not path.exists():
        raise InputError(f"there is no recording {path}; `duchenne synth` makes some")
    if path.is_dir() and path.suffix != ".zarr":
        path = _only_one(path)
    if path.suffix in SUFFIXES:
        recording = load(path, between_s=between_s, truth=False)
    elif path.suffix.lower() in (".bdf", ".edf"):
        recording = read_bids(path)
        recording = recording if between_s is None else recording.between(*between_s)
    else:
        raise InputError(f"cannot read {path.name}; recordings are {', '.join(SUFFIXES)}, .bdf, .edf or BIDS folders")
    if not any(len(recording[n]) for n in recording):
        whole = read(file)[1] if between_s is not None else recording
        raise InputError(f"{path} has nothing to show there; it lasts from {whole.start_s:g} to {whole.end_s:g} s")
    return path, recording


def stretch(seconds: str | None) -> tuple[float, float] | None:
    """`10:25`, `10:` or `:25` as two times. Raises `InputError`."""
    if seconds is None:
        return None
    number = r"\s*(-?\d+(?:\.\d+)?)?\s*"
    found = re.fullmatch(f"{number}:{number}", seconds)
    if found is None or not seconds.strip(" :"):
        raise InputError(f"seconds are {seconds!r}; give a stretch such as 10:25, 10: or :25")
    low, high = (float(g) if g else d for g, d in zip(found.groups(), (-np.inf, np.inf), strict=True))
    if low >= high:
        raise InputError(f"seconds are {seconds!r}; the earlier time comes first")
    return low, high


def write_rrd(recording: Recording, path: Path, colour: Colour = "auto") -> Path:
    """The recording for the rerun viewer: moving skin, EMG, action units, muscles, events.

    colour: skin by muscle activity or by strain; `auto` is activity if the recording has it.
    """
    from ..twin.viewer import PersonViewer

    curves = list(_curves(recording))
    with PersonViewer(path, {entity: names for entity, names, _, _ in curves}) as viewer:
        found = signals.faces_m(recording)
        if found is not None:
            times, faces = _thinned(*found)
            viewer.faces(times, faces, skin_colours(recording, times, faces, colour))
        for entity, _, times, values in curves:
            viewer.scalars(entity, times, values)
        for event in recording.events:
            value = "" if event.value is None else f" {event.value}"
            viewer.event(event.onset_s, f"{event.kind}: {event.label}{value}, {event.duration_s:.2f} s")
    return path


def skin_colours(recording: Recording, times_s: np.ndarray, faces_m: np.ndarray, colour: Colour = "auto") -> np.ndarray:
    """Colours of the vertices at these times, (T, 468, 3) uint8, by muscle activity or by strain against the stillest
    face. Raises `InputError` if activity is asked for and was not recorded."""
    from . import face_colours

    active = "activation" in recording and bool(recording["activation"].channels)
    if colour == "activity" and not active:
        raise InputError("the recording has no stream 'activation' with named muscles; colour by strain")
    if colour == "activity" or (colour == "auto" and active):
        stream = recording["activation"]
        return face_colours.activity_colours(face_colours.activity(stream.at(times_s), stream.channels))
    still = np.linalg.norm(faces_m - np.median(faces_m, axis=0), axis=2).mean(1).argmin()
    return face_colours.strain_colours(face_colours.strain(faces_m, faces_m[still]))


def _only_one(folder: Path) -> Path:
    found = [*sorted(p for s in SUFFIXES for p in folder.glob(f"*{s}")), *find_bdf(folder)]
    if not found:
        raise InputError(f"there is no recording in {folder}; recordings are {', '.join(SUFFIXES)}, .bdf or .edf")
    if len(found) > 1:
        some = ", ".join(str(p.relative_to(folder)) for p in found[:4])
        raise InputError(f"{folder} holds {len(found)} recordings: {some}{' …' if len(found) > 4 else ''}; give one")
    return found[0]


def _curves(recording: Recording) -> Iterator[tuple[str, list[str], np.ndarray, np.ndarray]]:
    """Entity, names of its curves, times (T,) s and values (T, n)."""
    if "emg" in recording and recording["emg"].data.ndim == 2:
        emg = recording["emg"]
        smooth = signals.envelope(emg)
        every = int(np.ceil(emg.data.size / _MOST_SAMPLES)) or 1
        for k, name in enumerate(emg.channels or [str(k + 1) for k in range(emg.data.shape[1])]):
            both = np.stack([np.nan_to_num(emg.data[:, k]), smooth[:, k]], 1)[::every]
            yield f"emg_{emg.unit}/{_entity(name)}", ["raw", "RMS"], emg.times_s[::every], both
    for stream in ("au", "au_visible", "camera_au"):
        if stream in recording:
            yield from _traces(stream, recording[stream], signals.action_units(recording[stream]))
    if "activation" in recording:
        yield from _traces("activation", recording["activation"], signals.muscles(recording["activation"]))


def _traces(
    entity: str, stream: Stream, traces: list[signals.Trace]
) -> Iterator[tuple[str, list[str], np.ndarray, np.ndarray]]:
    """One plot for each side."""
    shown = signals.seen(traces, len(traces))
    for side in ("right", "left"):
        sides = [(t.name, t.right if side == "right" else t.left) for t in shown]
        known = [(n, v) for n, v in sides if v is not None]
        if known:
            yield f"{entity}/{side}", [n for n, _ in known], stream.times_s, np.stack([v for _, v in known], 1)


def _thinned(times_s: np.ndarray, faces_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rate_hz = (len(times_s) - 1) / max(times_s[-1] - times_s[0], 1e-9) if len(times_s) > 1 else 1.0
    every = max(1, round(rate_hz / _FACES_HZ), int(np.ceil(len(times_s) / _MOST_FACES)))
    return times_s[::every], faces_m[::every]


def _entity(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name).strip("_") or "channel"


def _channels(recording: Recording) -> dict[str, dict[str, float]]:
    """RMS of each channel after the band-pass: all of it, and the mean envelope in its quietest and loudest tenth."""
    if "emg" not in recording or recording["emg"].data.ndim != 2 or recording["emg"].unit != "uV":
        return {}
    emg = recording["emg"]
    smooth = signals.envelope(emg)
    tenth = max(1, len(smooth) // 10)
    ordered = np.sort(smooth, axis=0)
    names = emg.channels or tuple(str(k + 1) for k in range(emg.data.shape[1]))
    return {
        name: {
            "rms_uv": float(np.sqrt((smooth[:, k] ** 2).mean())),
            "rest_uv": float(ordered[:tenth, k].mean()),
            "peak_uv": float(ordered[-tenth:, k].mean()),
        }
        for k, name in enumerate(names)
    }


def _figures(recording: Recording, channels: dict[str, dict[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {
        "seconds": recording.duration_s,
        "streams": len(recording),
        "events": len(recording.events),
    }
    if "emg" in recording:
        found |= {"channels": recording["emg"].data.shape[-1], "emg_rate_hz": recording["emg"].rate_hz}
    if channels:
        for key in ("rms_uv", "rest_uv", "peak_uv"):
            found[key] = float(np.median([figures[key] for figures in channels.values()]))
    return found
