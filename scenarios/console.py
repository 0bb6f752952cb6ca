"""What a command says to a person (standard error) and to a machine (one JSON object on standard output)."""

import json
import logging
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

console = Console(stderr=True)
"""Tables, progress and warnings go here, so that standard output stays free for `--json`."""


def emit(figures: Mapping[str, float], **more: Any) -> None:
    """Print `{"figures": …, …}` as the one JSON object on standard output; numbers that are not finite become null."""
    json.dump(_plain({"figures": figures, **more}), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")
    sys.stdout.flush()


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; every column after the first whose cells are numbers stands to the right."""
    rows = [list(row) for row in rows]
    drawn = Table(
        title=title, title_justify="left", header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for place, column in enumerate(columns):
        numeric = place > 0 and all(isinstance(row[place], int | float) for row in rows)
        drawn.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(cell(value) for value in row))
    console.print()
    console.print(drawn)


def cell(value: object) -> str:
    """A number with as many digits as a reader needs; anything else as it is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "–"
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return escape(str(value))


def complain(message: str) -> None:
    """One line for an error."""
    console.print(f"[bold red]error[/] {escape(message)}", soft_wrap=True, highlight=False)


def progress() -> Progress:
    """A progress bar that a file or a pipe does not fill with control characters."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip


def log_to_console(verbose: bool) -> None:
    """Show the package's warnings, and with `verbose` what it does."""
    handler = RichHandler(console=console, show_time=False, show_path=False)
    logger = logging.getLogger("duchenne")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
    logger.propagate = False


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):  # NumPy numbers and arrays
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
