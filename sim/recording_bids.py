"""Recordings as an EMG-BIDS data set (BIDS 1.11): BDF+ and sidecars with electrodes and coordinate system.

    write_bids(recording, "dataset", subject="001", task="smiles")
    raw = mne_bids.read_raw_bids(mne_bids.BIDSPath("001", task="smiles", datatype="emg", root="dataset"))
    raw = read_raw("dataset/sub-001/emg/sub-001_task-smiles_emg.bdf")     # the same, with electrode positions

mne-bids 0.20 writes EMG without electrode positions and with placeholder texts, so the files are written here
(extra `bids`). Truth and the streams beside the EMG have no place in EMG-BIDS; keep the recording's own file too.
"""

import csv
import io
import json
import os
import re
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError
from .recording import Recording, Stream
from .recording_edf import channel_names, event, labels, read_edf, tag, write_bdf
from .recording_electrodes import MISSING, Electrodes

BIDS_VERSION = "1.11.0"
"""The first with EMG."""
FRAME = (
    "Face frame: x from the middle plane to the subject's left, y up, z forward; origin and scale are those of "
    "MediaPipe's canonical face model, the nose bridge near x = 0, eyes near y = 26 mm, mouth near y = -43 mm."
)
_COORDINATE_UNIT = "mm"


def write_bids(
    recording: Recording,
    root: str | Path,
    *,
    subject: str,
    task: str,
    session: str | None = None,
    run: int | None = None,
    electrodes: Electrodes | None = None,
    stream: str = "emg",
    participant: Mapping[str, str | float] | None = None,
    task_description: str = "",
    power_line_hz: float | None = None,
) -> Path:
    """Add one recording to a data set, which is made if missing; returns the `.bdf` file.

    subject, session, task: letters and digits. electrodes: by default those in `recording.info["electrodes"]`; without
    any, no positions are written. stream: which one is the EMG. participant: columns for participants.tsv, such as
    `age`. power_line_hz: mains in the signal, if known.

    Every file is replaced in one step, the `.bdf` last: where it is, the recording is complete. Writing the same again
    gives the same bytes. Raises `InputError`.
    """
    for what, label in (("subject", subject), ("session", session), ("task", task)):
        if label is not None and not re.fullmatch(r"[A-Za-z0-9]+", label):
            raise InputError(f"{what} is {label!r}; BIDS labels are letters and digits only")
    if run is not None and run < 1:
        raise InputError(f"run is {run}; runs are counted from 1")
    emg = recording[stream]
    if electrodes is None and recording.info.get("electrodes"):
        electrodes = Electrodes.from_info(recording.info["electrodes"])
    if electrodes is not None and len(electrodes.derivation) != len(channel_names(emg)):
        raise InputError(
            f"the derivation makes {len(electrodes.derivation)} channels, the recording has {len(channel_names(emg))}"
        )
    root = Path(root)
    worn = f"sub-{subject}" + (f"_ses-{session}" if session else "")
    name = f"{worn}_task-{task}" + (f"_run-{run:02d}" if run else "")
    folder = root / f"sub-{subject}" / (f"ses-{session}" if session else "") / "emg"
    texts = _dataset_texts(root, subject, participant or {})
    texts[folder / f"{name}_channels.tsv"] = _channels(emg, electrodes)
    texts |= _events(folder, name, recording, emg)
    if electrodes is not None:
        texts |= _positions(folder, worn, name, electrodes)
    texts[folder / f"{name}_emg.json"] = _json(_sidecar(emg, electrodes, task, task_description, power_line_hz))
    target = folder / f"{name}_emg.bdf"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as scratch:
            part = Path(scratch) / target.name
            write_bdf(emg, recording.events, part, subject=f"sub-{subject}")
            for path, text in texts.items():
                _replace(path, text)
            os.replace(part, target)
    except OSError as error:
        raise InputError(f"cannot write {root}: {error.strerror or error}; choose another folder") from error
    return target


def find_bdf(path: str | Path) -> list[Path]:
    """The EMG files below a BIDS folder (root, subject or session), in order; a file is itself."""
    path = Path(path)
    return [path] if path.is_file() else sorted(p for p in path.rglob("*_emg.?df") if p.suffix in (".bdf", ".edf"))


def read_bids(path: str | Path) -> Recording:
    """A recording from one `*_emg.bdf` or `.edf` of a data set, with the sidecars that lie beside it.

    Needs edfio alone. Full channel names, events with their values, electrodes and the true length come back; streams
    that BIDS cannot hold do not. Raises `InputError`.
    """
    path = Path(path)
    recording = read_edf(path)
    emg = recording["emg"]
    stem, worn = path.name.rpartition("_")[0], re.match(r"sub-[^_]+(_ses-[^_]+)?", path.name)
    beside = {kind: path.with_name(f"{stem}_{kind}") for kind in ("channels.tsv", "events.tsv", "emg.json")}
    events, info, channels, data = list(recording.events), dict(recording.info), emg.channels, emg.data
    try:
        if beside["emg.json"].is_file():
            sidecar = json.loads(beside["emg.json"].read_text(encoding="utf-8"))
            data = data[: round(sidecar.get("RecordingDuration", emg.duration_s) * emg.rate_hz)]
            info["task"] = sidecar.get("TaskName", "")
        if beside["channels.tsv"].is_file():
            rows = _table(beside["channels.tsv"])
            full = {row["name"]: row.get("description") or MISSING for row in rows}
            channels = tuple(c if full.get(c, MISSING) == MISSING else full[c] for c in channels)
        if beside["events.tsv"].is_file():
            events = [
                event(float(r["onset"]), _seconds(r["duration"]), r.get("trial_type", "event"), _value(r.get("detail")))
                for r in _table(beside["events.tsv"])
            ]
        electrodes = path.with_name(f"{worn[0]}_electrodes.tsv") if worn else path
        if worn and electrodes.is_file():
            rows = _table(electrodes)
            info["electrodes_m"] = {r["name"]: [float(r[axis]) / 1e3 for axis in "xyz"] for r in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"the sidecars of {path} cannot be read ({type(error).__name__}: {error})") from error
    renamed = Stream("emg", data, emg.rate_hz, 0.0, channels if len(set(channels)) == len(channels) else (), emg.unit)
    others = [recording[n] for n in recording if n != "emg"]
    return Recording(streams=[renamed, *others], events=events, info=info)


def read_raw(path: str | Path) -> Any:
    """MNE's view of one `*_emg.bdf`, through mne-bids, with what mne-bids leaves out of EMG: electrode positions.

    `raw.info["chs"][c]["loc"]` holds the signal electrode's position in its first three places and the reference's in
    the next three, in m in the face frame, as MNE has it for EEG; a mean of electrodes stands at their mean place.
    Raises `InputError` where mne-bids is not installed.
    """
    try:
        import mne_bids
    except ImportError as error:
        raise InputError("mne-bids is not installed: pip install 'duchenne[bids]'") from error
    path = Path(path)
    where = mne_bids.get_bids_path_from_fname(path, check=False, verbose=False)
    with warnings.catch_warnings():  # columns of participants.tsv that MNE has no place for
        warnings.filterwarnings("ignore", "Unable to map", RuntimeWarning)
        raw = mne_bids.read_raw_bids(where, verbose=False)
    places = {k: np.array(v) for k, v in read_bids(path).info.get("electrodes_m", {}).items()}
    rows = {r["name"]: r for r in _table(path.with_name(f"{path.name.rpartition('_')[0]}_channels.tsv"))}
    for channel in raw.info["chs"]:
        row = rows.get(channel["ch_name"], {})
        for column, slot in (("signal_electrode", slice(0, 3)), ("reference", slice(3, 6))):
            ends = row.get(column, "").removeprefix("mean of ").split(", ")
            if ends and all(end in places for end in ends):
                channel["loc"][slot] = np.mean([places[end] for end in ends], axis=0)
    return raw


def _sidecar(
    emg: Stream, electrodes: Electrodes | None, task: str, task_description: str, power_line_hz: float | None
) -> dict[str, Any]:
    placed = "Measured" if electrodes is not None else "Other"
    about = (electrodes.placement if electrodes is not None else "") or "Positions of the simulated electrodes."
    return {
        "TaskName": task,
        "TaskDescription": task_description or f"Protocol {task} of a simulated person.",
        "Instructions": MISSING,
        "EMGPlacementScheme": placed,
        "EMGPlacementSchemeDescription": about,
        "EMGReference": "ChannelSpecific" if electrodes is not None else MISSING,
        "EMGGround": MISSING,
        "EMGChannelCount": len(channel_names(emg)),
        "SamplingFrequency": int(emg.rate_hz) if emg.rate_hz == int(emg.rate_hz) else emg.rate_hz,
        "RecordingDuration": emg.duration_s,
        "RecordingType": "continuous",
        "PowerLineFrequency": power_line_hz or MISSING,
        "HardwareFilters": MISSING,
        "SoftwareFilters": MISSING,
        "Manufacturer": "duchenne (simulation)",
        "ManufacturersModelName": "simulated person",
        "SoftwareVersions": f"duchenne {_version()}",
        "DeviceSerialNumber": MISSING,
        "ElectrodeManufacturer": MISSING,
        "ElectrodeManufacturersModelName": MISSING,
        "SubjectArtefactDescription": MISSING,
    }


def _channels(emg: Stream, electrodes: Electrodes | None) -> str:
    rows = []
    names = channel_names(emg)
    for place, (label, name) in enumerate(zip(labels(names), names, strict=True)):
        row = {
            "name": label,
            "type": "EMG",
            "units": emg.unit,
            "description": name if name != label else MISSING,
            "sampling_frequency": f"{emg.rate_hz:g}",
        }
        if electrodes is not None:
            signal, reference = electrodes.ends(place)
            distance = electrodes.distance_mm(place)
            row |= {
                "signal_electrode": signal,
                "reference": reference,
                "target_muscle": electrodes.target_muscles[place] if electrodes.target_muscles else MISSING,
                "placement_scheme": "measured",
                "placement_description": electrodes.reference,
                "interelectrode_distance": MISSING if distance is None else f"{distance:.2f}",
            }
        row |= {"low_cutoff": MISSING, "high_cutoff": MISSING, "status": "good"}
        rows.append(row)
    return _tsv(rows)


# A column named `value` would be no good: mne-bids then writes each value into the event's name.
def _events(folder: Path, name: str, recording: Recording, emg: Stream) -> dict[Path, str]:
    rows = [
        {
            "onset": f"{e.onset_s - emg.start_s:.6f}",
            "duration": f"{e.duration_s:.6f}",
            "trial_type": tag(e),
            "detail": MISSING if e.value is None else e.value,
        }
        for e in recording.events
        if e.onset_s >= emg.start_s
    ]
    if not rows:
        return {}
    about = {
        "onset": {"Description": "Onset from the first EMG sample.", "Units": "s"},
        "duration": {"Description": "Duration; 0 for an instant.", "Units": "s"},
        "trial_type": {
            "LongName": "Kind and label",
            "Description": "What happened, as kind/label.",
            "Levels": {tag(e): f"{e.kind}: {e.label}" for e in recording.events},
        },
        "detail": {"Description": "Intensity, FACS letter or number that belongs to the event."},
    }
    return {folder / f"{name}_events.tsv": _tsv(rows), folder / f"{name}_events.json": _json(about)}


def _positions(folder: Path, worn: str, name: str, electrodes: Electrodes) -> dict[Path, str]:
    rows = []
    for place, (contact, at) in enumerate(zip(electrodes.names, 1e3 * electrodes.positions_m, strict=True)):
        row = {"name": contact, **{axis: f"{value:.4f}" for axis, value in zip("xyz", at, strict=True)}}
        row |= {"type": "surface", "material": MISSING, "impedance": MISSING}
        if electrodes.groups:
            row["group"] = electrodes.groups[place]
        if electrodes.diameter_mm is not None:
            row["diameter"] = f"{np.asarray(electrodes.diameter_mm)[place]:.2f}"
        rows.append(row)
    table = folder / f"{worn}_electrodes.tsv"
    others = [p for p in folder.glob(f"{worn}_task-*_emg.bdf") if p.name != f"{name}_emg.bdf"]
    if others and table.is_file() and table.read_text(encoding="utf-8") != _tsv(rows):
        raise InputError(
            f"{table} holds other positions, which {others[0].name} was recorded with; "
            "electrodes that were put on anew belong to another session"
        )
    system = {
        "EMGCoordinateSystem": "Other",
        "EMGCoordinateUnits": _COORDINATE_UNIT,
        "EMGCoordinateSystemDescription": FRAME,
    }
    texts = {table: _tsv(rows), folder / f"{worn}_coordsystem.json": _json(system)}
    if electrodes.diameter_mm is not None:
        described = {"diameter": {"Description": "Diameter of the contact.", "Units": "mm"}}
        texts[folder / f"{worn}_electrodes.json"] = _json(described)
    return texts


def _dataset_texts(root: Path, subject: str, participant: Mapping[str, str | float]) -> dict[Path, str]:
    """Files at the root; those that a user may have edited are only made where they are missing."""
    people = root / "participants.tsv"
    rows = {r["participant_id"]: r for r in _table(people)} if people.is_file() else {}
    rows[f"sub-{subject}"] = {"participant_id": f"sub-{subject}", **{k: str(v) for k, v in participant.items()}}
    columns = list(dict.fromkeys(c for r in rows.values() for c in r))
    texts = {people: _tsv([{c: rows[k].get(c, MISSING) for c in columns} for k in sorted(rows)])}
    once = {
        "dataset_description.json": _json(
            {
                "Name": "Simulated facial EMG",
                "BIDSVersion": BIDS_VERSION,
                "DatasetType": "raw",
                "GeneratedBy": [{"Name": "duchenne", "Version": _version(), "Description": "Simulated people"}],
            }
        ),
        "README.md": "# Simulated facial EMG\n\nMade by duchenne. No human took part: people, muscles, electrodes and "
        "noise are simulated.\nTimes are seconds from the first sample of each file; events read `kind/label`.\n",
        "participants.json": _json({c: _COLUMNS.get(c, {"Description": c}) for c in columns}),
    }
    return texts | {root / name: text for name, text in once.items() if not (root / name).exists()}


_COLUMNS: Mapping[str, Any] = {
    "participant_id": {"Description": "Simulated person."},
    "age": {"Description": "Age that tissue and strength stand for.", "Units": "year"},
    "sex": {"Description": "Sex whose average measures were used.", "Levels": {"F": "female", "M": "male"}},
    "variant": {"Description": "How the person differs from a healthy adult."},
    "seed": {"Description": "Seed that makes the same person again."},
}


def _table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")), delimiter="\t"))


def _tsv(rows: Sequence[Mapping[str, object]]) -> str:
    lines = ["\t".join(rows[0])] + ["\t".join(str(v).replace("\t", " ") for v in row.values()) for row in rows]
    return "\n".join(lines) + "\n"


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def _seconds(text: str) -> float:
    return 0.0 if text == MISSING else float(text)


def _value(text: str | None) -> float | str | None:
    if text in (None, "", MISSING):
        return None
    try:
        return float(text)
    except ValueError:
        return text


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _version() -> str:
    from .. import __version__

    return __version__
