"""What every study has: findings beside the paper's, pictures, one report, and people that are simulated only once."""

import hashlib
import json
import math
import os
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from rich import markup

from .. import __version__
from ..sim.errors import InputError
from . import console

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One number of a study. low, high: its interval, NaN if it has none. paper: what was published, as text.

    verdict: what the two together say, in a word or two such as "replicates", "lower", "does not replicate".
    real: whether `ours` comes from real recordings rather than from simulation.
    """

    topic: str
    what: str
    ours: float
    low: float = math.nan
    high: float = math.nan
    unit: str = ""
    paper: str = ""
    verdict: str = ""
    real: bool = False

    @property
    def shown(self) -> str:
        """The number with its interval and unit."""
        interval = (
            "" if math.isnan(self.low) else f" [{console.cell(float(self.low))} … {console.cell(float(self.high))}]"
        )
        return f"{console.cell(float(self.ours))}{interval} {self.unit}".strip()


@dataclass(frozen=True, kw_only=True)
class Study:
    """All that a study found. figures: by the names that `--json` prints. pictures: caption and PNG file, in order.

    notes: what a reader must know before believing it, a sentence each.
    """

    title: str
    summary: str
    figures: Mapping[str, float]
    findings: Sequence[Finding]
    pictures: Sequence[tuple[str, Path]] = ()
    notes: Sequence[str] = field(default=())


def with_interval(name: str, value: float, low: float, high: float) -> dict[str, float]:
    """Three figures: the value by its name, and the ends of its interval by the name and `_low`, `_high`."""
    return {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}


def publish(study: Study, out: Path, *, as_json: bool = False) -> int:
    """Write report.html and findings.json into `out`, print the table and, if wanted, the JSON. Returns 0."""
    rows = [{**vars(finding)} for finding in study.findings]
    (out / "findings.json").write_text(json.dumps({"figures": dict(study.figures), "findings": rows}, indent=1))
    (out / "report.html").write_text(page(study), encoding="utf-8")
    console.table(
        study.title,
        ["topic", "what", "paper", "ours", "", "verdict"],
        [(f.topic, f.what, f.paper, f.shown, "real" if f.real else "simulated", f.verdict) for f in study.findings],
    )
    for note in study.notes:
        console.console.print(f"· {markup.escape(note)}", highlight=False)
    console.console.print(f"\nwritten: {out / 'report.html'}, {out / 'findings.json'}")
    if as_json:
        console.emit(study.figures, findings=rows)
    return 0


def page(study: Study) -> str:
    """The report as one HTML page that needs no other file."""
    style = (files("duchenne.scenarios") / "data" / "report.css").read_text(encoding="utf-8")
    rows = "".join(
        f"<tr><td>{escape(f.topic)}</td><td>{escape(f.what)}</td><td>{escape(f.paper)}</td>"
        f'<td class="number">{escape(f.shown)}</td><td>{"real" if f.real else "simulated"}</td>'
        f"<td>{escape(f.verdict)}</td></tr>"
        for f in study.findings
    )
    pictures = "".join(
        f'<figure><img src="data:image/png;base64,{b64encode(path.read_bytes()).decode()}" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, path in study.pictures
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in study.notes)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(study.title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{style}</style></head><body>'
        f'<h1>{escape(study.title)}</h1><p class="quiet">{escape(study.summary)} duchenne {__version__}.</p>'
        "<table><tr><th>topic</th><th>what</th><th>paper</th><th>ours</th><th></th><th>verdict</th></tr>"
        f"{rows}</table>{pictures}{f'<h2>Before believing it</h2><ul>{notes}</ul>' if notes else ''}</body></html>\n"
    )


def folder(out: Path) -> Path:
    """The folder of results, made if missing. Raises `InputError`."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make {out}: {error.strerror}; choose another folder with --out") from error
    return out


class Kept:
    """Arrays that were made once, in files of a folder: a study that was cut off goes on where it stopped.

    What is kept is found again only under the same name, settings and version of this program. `revision` is raised
    by whoever changes how it is made.
    """

    def __init__(self, where: Path, revision: int = 1):
        self._folder = folder(where)
        self._revision = revision

    def get(self, name: str, settings: Mapping[str, Any], make: Callable[[], Arrays]) -> dict[str, np.ndarray]:
        """The arrays of a name and settings (JSON), made if they are not there or cannot be read."""
        told = json.dumps([__version__, self._revision, name, settings], sort_keys=True)
        path = self._folder / f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:16]}.npz"
        try:
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError, EOFError, BadZipFile):
            made = {key: np.asarray(value) for key, value in make().items()}
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, **made)  # pyright: ignore[reportArgumentType]
        os.replace(part, path)  # a file that is there is whole
        return made


def each(what: str, items: Iterable[Any], do: Callable[[Any], Any], *, threads: int = 2) -> list[Any]:
    """`do` for every item, in threads, with a progress bar; results in the items' order."""
    items = list(items)
    with console.progress() as bar, ThreadPoolExecutor(threads) as pool:
        task = bar.add_task(what, total=len(items))

        def one(item: Any) -> Any:
            result = do(item)
            bar.advance(task)
            return result

        return list(pool.map(one, items))


__all__ = ["Finding", "Kept", "Study", "each", "folder", "page", "publish", "with_interval"]
