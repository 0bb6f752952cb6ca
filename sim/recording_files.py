"""Recordings on disk: one `.npz` file that NumPy alone can open, or one `.zarr` folder that can be read in part.

Both hold the same arrays, `stream/NAME` and `truth/NAME`, and a JSON manifest that says what each is. Nothing in
them is ever executed. A file is replaced in one step or not at all.
"""

import itertools
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError, VocabularyError
from .recording import Event, Recording, Stream, span

FORMAT = "duchenne recording"
SCHEMA = 1
SUFFIXES = (".npz", ".zarr")
_MANIFEST = "manifest.json"
_LEVEL = 1  # zlib's quickest: measured noise hardly gets smaller at higher levels
_CHUNK_S = 10.0
_COUNTER = itertools.count()


def save(recording: Recording, path: str | Path) -> Path:
    """Write a recording; what lay there before is replaced in one step or not at all. Returns the path.

    `.npz` is compact and needs only NumPy; `.zarr` needs the extra `zarr` and lets a reader fetch some seconds of one
    stream. Raises `InputError` for another suffix, a missing extra, or a place that cannot be written.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InputError(f"cannot tell the format from {path.name!r}; the name must end in {' or '.join(SUFFIXES)}")
    arrays = {f"stream/{name}": recording[name].data for name in recording}
    arrays |= {f"truth/{name}": array for name, array in recording.truth.items()}
    manifest = {
        "format": FORMAT,
        "schema": SCHEMA,
        "streams": {name: _describe(recording[name]) for name in recording},
        "truth": {name: {"shape": list(a.shape), "dtype": a.dtype.str} for name, a in recording.truth.items()},
        "events": [[e.onset_s, e.duration_s, e.label, e.value, e.kind] for e in recording.events],
        "info": recording.info,
    }
    write = _write_npz if path.suffix == ".npz" else _write_zarr
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _replacing(path) as part:
            write(part, manifest, arrays)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; choose another folder") from error
    return path


def load(
    path: str | Path,
    *,
    streams: Sequence[str] | None = None,
    between_s: tuple[float, float] | None = None,
    truth: bool = True,
) -> Recording:
    """Read a recording.

    streams: names of those that are wanted; none means all. between_s: only samples with from ≤ time < to and the
    events that reach into it, without truth. truth: whether to read the truth's arrays. From `.npz` a stream is read
    whole and then cut, from `.zarr` only what is needed.

    Raises `InputError` for a file that is missing, damaged, foreign or of a newer schema, `VocabularyError` for a
    stream that it does not have.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no recording {path}; give a {' or '.join(SUFFIXES)} that `duchenne synth` wrote")
    folder = path.is_dir()
    if not folder and path.suffix == ".zarr":
        raise InputError(f"{path} is not a folder, as a .zarr recording is; it is damaged or something else")
    opened = _open_zarr if folder else _open_npz
    try:
        with opened(path) as (manifest, read):
            return _assemble(path, manifest, read, streams, between_s, truth)
    except (InputError, VocabularyError):
        raise
    except (
        OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, EOFError, RuntimeError,
        NotImplementedError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise InputError(
            f"{path} is damaged or no recording of this package ({type(error).__name__}: {error}); make it anew"
        ) from error


Read = Callable[[str, int, int | None], np.ndarray]
"""An array's rows from one index to another."""


def _assemble(
    path: Path,
    manifest: Mapping[str, Any],
    read: Read,
    wanted: Sequence[str] | None,
    between_s: tuple[float, float] | None,
    truth: bool,
) -> Recording:
    if manifest["format"] != FORMAT:
        raise InputError(f"{path} is {manifest['format']!r}, not {FORMAT!r}")
    if manifest["schema"] != SCHEMA:
        raise InputError(
            f"{path} has schema {manifest['schema']}; this version reads schema {SCHEMA}: install a newer duchenne"
        )
    described = manifest["streams"]
    names = list(described) if wanted is None else list(wanted)
    missing = [n for n in names if n not in described]
    if missing:
        raise VocabularyError(f"{path} has no stream {', '.join(missing)}; it has {', '.join(described) or 'none'}")
    streams = []
    for name in names:
        about = described[name]
        low, high, start_s = 0, None, about["start_s"]
        if between_s is not None:
            low, high = span(about["shape"][0], about["rate_hz"], start_s, *between_s)
            start_s += low / about["rate_hz"]
        data = read(f"stream/{name}", low, high)
        _check(path, name, data, about, (about["shape"][0] if high is None else high) - low)
        streams.append(
            Stream(
                name, data, about["rate_hz"], start_s, tuple(about["channels"]), about["unit"], gaps=about["gaps"]
            )
        )  # fmt: skip
    events = [Event(*entry) for entry in manifest["events"]]
    known = {}
    if between_s is not None:
        events = [
            e for e in events if e.onset_s < between_s[1] and (e.end_s > between_s[0] or e.onset_s >= between_s[0])
        ]
    elif truth:
        for name, about in manifest["truth"].items():
            known[name] = read(f"truth/{name}", 0, None)
            _check(path, name, known[name], about, about["shape"][0] if about["shape"] else 0)
    return Recording(streams=streams, events=events, truth=known, info=manifest["info"])


def _describe(stream: Stream) -> dict[str, object]:
    return {
        "shape": list(stream.data.shape),
        "dtype": stream.data.dtype.str,
        "rate_hz": stream.rate_hz,
        "start_s": stream.start_s,
        "channels": list(stream.channels),
        "unit": stream.unit,
        "gaps": stream.gaps,
    }


def _check(path: Path, name: str, data: np.ndarray, about: Mapping[str, Any], rows: int) -> None:
    shape = [rows, *about["shape"][1:]] if about["shape"] else []
    if list(data.shape) != shape or data.dtype.str != about["dtype"]:
        raise InputError(
            f"{path} is damaged: {name} is {data.dtype} {data.shape}, its manifest says {about['dtype']} {shape}; "
            "make it anew"
        )


def _write_npz(path: Path, manifest: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    text = np.frombuffer(json.dumps(manifest, separators=(",", ":")).encode(), np.uint8)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for name, array in {_MANIFEST: text, **arrays}.items():
            # A fixed date: the same recording gives the same bytes.
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)


@contextmanager
def _open_npz(path: Path) -> Iterator[tuple[Mapping[str, Any], Read]]:
    with np.load(path, allow_pickle=False) as stored:
        if isinstance(stored, np.ndarray) or _MANIFEST not in stored.files:
            raise ValueError("it has no manifest")
        yield json.loads(stored[_MANIFEST].tobytes()), lambda name, low, high: _rows(stored[name], low, high)


def _rows(array: np.ndarray, low: int, high: int | None) -> np.ndarray:
    if low == 0 and high is None:
        return array
    return array[low:high].copy()  # a view would keep the whole array in memory


def _write_zarr(path: Path, manifest: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    zarr = _zarr()
    group = zarr.open_group(path, mode="w", zarr_format=3)
    packed = zarr.codecs.ZstdCodec(checksum=True)
    rates = {f"stream/{n}": about["rate_hz"] for n, about in manifest["streams"].items()}
    for name, array in arrays.items():
        chunks = "auto"
        if array.ndim and array.size:
            rows = min(len(array), max(1, round(_CHUNK_S * rates.get(name, np.inf)))) if name in rates else len(array)
            chunks = (rows, *array.shape[1:])
        made = group.create_array(
            name, shape=array.shape, dtype=array.dtype, chunks=chunks, compressors=packed, fill_value=None,
            config={"write_empty_chunks": True},
        )  # fmt: skip
        made[...] = array
    group.attrs.update(manifest)


@contextmanager
def _open_zarr(path: Path) -> Iterator[tuple[Mapping[str, Any], Read]]:
    group = _zarr().open_group(path, mode="r")

    def read(name: str, low: int, high: int | None) -> np.ndarray:
        array = group[name]
        if array.nchunks_initialized < array.nchunks:  # zarr would read zeros
            raise InputError(f"{path} is damaged: a part of {name} is missing; make it anew")
        return np.asarray(array[low:high] if array.ndim else array[...])

    yield group.attrs.asdict(), read


def _zarr() -> Any:
    try:
        import zarr
    except ImportError as error:
        raise InputError(
            "zarr is not installed, which .zarr recordings need: pip install 'duchenne[zarr]', or use .npz"
        ) from error
    return zarr


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A path beside the wanted one that takes its place when the block succeeds."""
    part = path.with_name(f".{path.stem}.{os.getpid()}.{next(_COUNTER)}{path.suffix}.part")
    try:
        yield part
        if path.is_dir():
            old = part.with_suffix(".old")
            os.replace(path, old)
            os.replace(part, path)
            shutil.rmtree(old)
        else:
            os.replace(part, path)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)
