import json
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from duchenne import __version__
from duchenne.scenarios import cli, console, doctor
from duchenne.sim import model_file
from duchenne.sim.errors import InputError

ROOT = Path(__file__).resolve().parents[1]


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands(below, (*path, name))


COMMANDS = tuple(_commands(typer.main.get_command(cli.app)))


def test_help_answers_at_once():
    def once():
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "duchenne.scenarios.cli", "--help"], capture_output=True, check=True)
        return time.perf_counter() - start

    assert min(once() for _ in range(3)) < 1.0


def test_heavy_packages_are_not_loaded_before_they_are_needed():
    heavy = ("mujoco", "jax", "mediapipe", "numpy")
    code = f"import sys, duchenne.scenarios.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(cli.app, [*command, "--help"])
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 6


def test_version():
    assert CliRunner().invoke(cli.app, ["--version"]).output.strip() == __version__
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


def test_every_package_is_in_the_wheel():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {"sim", "learning", "hardware", "twin", "scenarios"}
    found = {
        ".".join(("duchenne", *p.parent.relative_to(ROOT).parts))
        for p in ROOT.rglob("__init__.py")
        if p.parent == ROOT or p.relative_to(ROOT).parts[0] in folders
    }
    assert found == set(listed)


def run_main(monkeypatch, capsys, error):
    def app():
        raise error

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code, capsys.readouterr()


def test_a_clear_error_is_one_line_on_standard_error(monkeypatch, capsys):
    code, said = run_main(monkeypatch, capsys, InputError("clip.mp4 [cut] does not exist; give a photo"))
    assert code == 2
    assert said.out == ""
    assert said.err.strip() == "error clip.mp4 [cut] does not exist; give a photo"


def test_interruption_has_its_own_exit_code(monkeypatch, capsys):
    code, said = run_main(monkeypatch, capsys, KeyboardInterrupt())
    assert code == 130
    assert "Traceback" not in said.err


def test_json_is_one_object_with_plain_numbers(capsys):
    console.emit(
        {"a": float(np.float32(0.5)), "b": float("nan"), "n": 3},
        shape=np.zeros(2),
        files={"report": Path("x/report.html")},
    )
    printed = json.loads(capsys.readouterr().out)
    assert printed == {
        "figures": {"a": 0.5, "b": None, "n": 3},
        "shape": [0.0, 0.0],
        "files": {"report": "x/report.html"},
    }


@pytest.mark.parametrize(("value", "text"), [(0.123456, "0.123"), (20431.7, "20,432"), (3, "3"), (float("nan"), "–")])
def test_cells_have_as_many_digits_as_a_reader_needs(value, text):
    assert console.cell(value) == text


def test_doctor_finds_what_is_here():
    findings = {f.name: f for f in doctor.examine()}
    assert findings["Python"].status == "ok"
    assert "mujoco" in findings["packages"].detail
    assert all(f.mend for f in findings.values() if f.status == "missing")


def test_doctor_names_a_wrong_face_model(tmp_path, monkeypatch):
    monkeypatch.delenv(model_file.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert doctor._model(fetch=False).status == "missing"
    wrong = tmp_path / "duchenne" / model_file.FILE_NAME
    wrong.parent.mkdir()
    wrong.write_bytes(b"not a model")
    finding = doctor._model(fetch=False)
    assert finding.status == "missing"
    assert "doctor --mend" in finding.mend


def test_doctor_tells_when_nothing_can_draw(monkeypatch):
    monkeypatch.setattr(doctor, "_renders", lambda backend: "no display")
    found = list(doctor._graphics())
    assert all(f.status == "missing" for f in found)
    assert "apt-get install" in found[0].mend
