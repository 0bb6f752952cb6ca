"""Trained models on disk: named arrays and a JSON manifest in one ``.npz``; nothing in it is ever executed.

The manifest says what the file is (kind, schema), what every array is (shape, dtype, unit, SHA-256), how it
was made (`about`: names, normaliser, optimiser, scores) and with which versions.
"""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from ..sim.errors import ModelFileError

FORMAT = "duchenne checkpoint"
SCHEMA = 1
_MANIFEST = "manifest.json"
_PACKAGES = ("duchenne", "numpy", "jax", "optax", "mujoco", "mediapipe")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a model file holds."""

    kind: str
    """What the arrays are a model of, for example ``self-model``."""
    arrays: Mapping[str, np.ndarray]
    units: Mapping[str, str]
    """Unit of each array, ``1`` where it has none."""
    about: Mapping[str, object] = field(default_factory=dict)
    """Whatever else a reader needs, as JSON: names of the axes, normaliser, optimiser, scores."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the packages that wrote the file; filled in by `save`."""


def save(path: str | Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint; an older file of that name is replaced in one step or not at all.

    Raises `ModelFileError` if an array has no unit, is of Python objects, or the file cannot be written.
    """
    path = Path(path)
    arrays = {name: np.ascontiguousarray(array) for name, array in checkpoint.arrays.items()}
    for name, array in arrays.items():
        if array.dtype.hasobject or name == _MANIFEST or name not in checkpoint.units:
            raise ModelFileError(
                f"cannot save array {name!r} of dtype {array.dtype}: allowed are plain numbers with a unit; "
                f"units are given for {', '.join(checkpoint.units) or 'nothing'}"
            )
    manifest = {
        "format": FORMAT,
        "schema": SCHEMA,
        "kind": checkpoint.kind,
        "arrays": {name: _describe(array) | {"unit": checkpoint.units[name]} for name, array in arrays.items()},
        "about": dict(checkpoint.about),
        "versions": _versions(),
    }
    text = np.frombuffer(json.dumps(manifest, indent=1).encode(), dtype=np.uint8)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **{_MANIFEST: text}, **arrays)
        os.replace(part, path)
    except OSError as error:
        raise ModelFileError(f"cannot write {path}: {error}; choose a folder that can be written") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def load(path: str | Path, kind: str) -> Checkpoint:
    """Read a checkpoint of the wanted kind and verify every array against the manifest.

    Raises `ModelFileError` for a file that is missing, damaged, foreign, of another kind or of a newer
    schema.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"no model file {path}; train one and save it there, or give another path")
    try:
        with np.load(path, allow_pickle=False) as stored:
            contents = {name: stored[name] for name in stored.files}
        manifest = json.loads(contents.pop(_MANIFEST).tobytes())
        known = manifest["format"] == FORMAT
        schema, stored_kind, described = manifest["schema"], manifest["kind"], manifest["arrays"]
        units = {name: entry["unit"] for name, entry in described.items()}
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ModelFileError(
            f"{path} is damaged or not a model file of this package ({error}); save it anew"
        ) from error
    if not known or schema != SCHEMA or stored_kind != kind:
        raise ModelFileError(
            f"{path} holds {stored_kind!r} in schema {schema}; wanted is {kind!r} in schema {SCHEMA} of {FORMAT!r}"
        )
    differing = set(described) ^ set(contents)
    differing |= {
        name
        for name in set(described) & set(contents)
        if any(described[name].get(key) != value for key, value in _describe(contents[name]).items())
    }
    if differing:
        raise ModelFileError(
            f"{path} is damaged: {', '.join(sorted(differing))} differ from its manifest; save it anew"
        )
    return Checkpoint(kind=kind, arrays=contents, units=units, about=manifest["about"], versions=manifest["versions"])


def _describe(array: np.ndarray) -> dict[str, object]:
    return {
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
