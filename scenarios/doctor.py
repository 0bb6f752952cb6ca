"""What works on this machine, and how to mend the rest."""

import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from ..sim import model_file
from ..sim.errors import DuchenneError
from .console import console, emit, table

GL_PACKAGES = "libegl1 libgles2 libgl1 libegl-mesa0 libgl1-mesa-dri libglib2.0-0"
_APT = f"sudo apt-get install -y --no-install-recommends {GL_PACKAGES}"
_RENDER_TIMEOUT_S = 60

Status = Literal["ok", "missing", "optional"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `mend` says what to do when `status` is "missing", or what it is good for if "optional"."""

    name: str
    status: Status
    detail: str
    mend: str = ""


def run(*, mend: bool, as_json: bool) -> int:
    """Examine the machine and print the findings. Returns 0 if `duchenne coexpress` and `mirror` can run, else 2."""
    with console.status("looking …"):
        findings = examine(mend=mend)
    missing = [f for f in findings if f.status == "missing"]
    signs = {"ok": "ok", "missing": "MISSING", "optional": "none"}
    table("duchenne doctor", ["", "status", "found"], [(f.name, signs[f.status], f.detail) for f in findings])
    console.print()
    for finding in findings:
        if finding.mend and finding.status != "ok":
            console.print(f"{finding.name}: {finding.mend}", soft_wrap=True, highlight=False, markup=False)
    if not missing:
        console.print("Everything that `duchenne coexpress` and `duchenne mirror` need is here.")
    if as_json:
        counts = {status: sum(f.status == status for f in findings) for status in ("ok", "missing", "optional")}
        emit(counts, findings=[asdict(f) for f in findings])
    return 2 if missing else 0


def examine(*, mend: bool = False) -> list[Finding]:
    """Look at everything; with `mend`, fetch the face model if it is not there."""
    return [
        _python(), *_packages(), *_graphics(), _mediapipe_libraries(), _model(fetch=mend), _self_model(), _cameras(),
        _serial_ports(), _viewer(),
    ]  # fmt: skip


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.platform(terse=True)}, {os.cpu_count()} cores"
    return Finding("Python", "ok", found)


def _packages() -> Iterator[Finding]:
    """The packages that duchenne's own metadata asks for, with the versions that are installed."""
    try:
        wanted = importlib.metadata.requires("duchenne") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("packages", "missing", "duchenne is not installed", "run: make setup")
        return
    names = [re.split(r"[^\w.-]", w)[0] for w in wanted if "extra ==" not in w]
    versions, absent = [], []
    for name in names:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            absent.append(name)
    if absent:
        yield Finding("packages", "missing", f"not installed: {', '.join(absent)}", "run: make setup")
    yield Finding("packages", "ok", ", ".join(versions))


_RENDER = """
import mujoco, numpy as np
scene = '<light pos="0 0 2"/><geom size=".3" rgba="1 0 0 1"/>'
model = mujoco.MjModel.from_xml_string(f'<mujoco><worldbody>{scene}</worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 48, 48) as renderer:
    renderer.update_scene(data)
    picture = renderer.render()
assert np.ptp(picture) > 50, 'the picture is blank'
"""


def _graphics() -> Iterator[Finding]:
    """Draw a small scene with each backend, each in a process of its own: a broken driver may end it."""
    backends = ("egl", "osmesa") if sys.platform == "linux" else ("cgl" if sys.platform == "darwin" else "wgl",)
    works = {backend: _renders(backend) for backend in backends}
    any_works = "" in works.values()
    for backend, problem in works.items():
        if not problem:
            yield Finding(f"OpenGL, {backend}", "ok", "drew a test scene")
        elif any_works:
            yield Finding(f"OpenGL, {backend}", "optional", problem, "not needed, another backend works")
        else:
            yield Finding(f"OpenGL, {backend}", "missing", problem, f"pictures of the robot need it: {_APT}")
    chosen = os.environ.get("MUJOCO_GL", "")
    if chosen and works.get(chosen, ""):
        yield Finding("MUJOCO_GL", "missing", f"is set to {chosen}, which does not work", "unset MUJOCO_GL")


def _renders(backend: str) -> str:
    """An empty string if the backend draws, else its complaint."""
    environment = {**os.environ, "MUJOCO_GL": backend, "PYOPENGL_PLATFORM": backend}
    if backend in ("cgl", "wgl"):
        environment = {k: v for k, v in os.environ.items() if k not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _RENDER], env=environment, capture_output=True, text=True, timeout=_RENDER_TIMEOUT_S,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"no answer within {_RENDER_TIMEOUT_S} s"
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if re.match(r"\w*(Error|Exception)\b|\w+\.\w*Error", line)]
    return (lines[0] if lines else f"the process ended with {done.returncode}")[:160]


def _mediapipe_libraries() -> Finding:
    """MediaPipe imports without its system libraries and fails only when it is used."""
    from ctypes import CDLL

    absent = []
    if sys.platform == "linux":
        for name in ("libEGL.so.1", "libGLESv2.so.2", "libGL.so.1", "libglib-2.0.so.0"):
            try:
                CDLL(name)
            except OSError:
                absent.append(name)
    if absent:
        return Finding("libraries of MediaPipe", "missing", f"not found: {', '.join(absent)}", _APT)
    return Finding("libraries of MediaPipe", "ok", "found")


def _model(*, fetch: bool) -> Finding:
    if fetch or os.environ.get(model_file.ENVIRONMENT_VARIABLE):
        try:
            return Finding("face model", "ok", str(model_file.model_path()))
        except DuchenneError as error:
            return Finding("face model", "missing", "cannot be had", str(error))
    cached = model_file.cache_dir() / model_file.FILE_NAME
    advice = "run: duchenne doctor --mend"
    if not cached.is_file():
        return Finding("face model", "missing", f"not yet at {cached}", advice)
    if hashlib.sha256(cached.read_bytes()).hexdigest() != model_file.SHA256:
        return Finding("face model", "missing", f"{cached} is not the file wanted", advice)
    return Finding("face model", "ok", str(cached))


def _self_model() -> Finding:
    try:
        from ..learning.self_model import SelfModel

        SelfModel.default()
    except (DuchenneError, OSError, AttributeError) as error:
        return Finding("self-model", "missing", str(error), "run: duchenne train self-model")
    return Finding("self-model", "ok", "the default one")


def _cameras() -> Finding:
    """Video devices that can be opened for reading; opening a stream would switch the camera's light on."""
    devices = sorted(Path("/dev").glob("video[0-9]*"))
    if not devices:
        return Finding("camera", "optional", "none", "photos and videos work without one")
    return _openable("camera", devices, "video")


def _serial_ports() -> Finding:
    from serial.tools import list_ports

    ports = sorted(list_ports.comports())
    if not ports:
        return Finding("serial ports", "optional", "none", "only a real servo bus needs one")
    return _openable("serial ports", [Path(p.device) for p in ports], "dialout")


def _openable(name: str, devices: list[Path], group: str) -> Finding:
    locked = [d for d in devices if d.exists() and not os.access(d, os.R_OK | os.W_OK)]
    if locked:
        return Finding(
            name, "optional", f"no permission: {', '.join(map(str, locked))}",
            f"sudo usermod -aG {group} $USER, then log in again",
        )  # fmt: skip
    return Finding(name, "ok", ", ".join(map(str, devices)))


def _viewer() -> Finding:
    """`--live` opens a window; without a display it is left out."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return Finding("display", "optional", "none", "only --live needs one; reports and recordings do not")
    return Finding("display", "ok", os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform)
