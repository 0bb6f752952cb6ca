"""`duchenne study …`: the simulation beside what was published and measured."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .cli_options import Json, find_real_data

app = typer.Typer(
    no_args_is_help=True, help="Set the simulation beside what was published and measured.", rich_markup_mode="rich"
)


@app.command("physiology")
def study_physiology(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table.")] = Path("out/physiology"),
    data: Annotated[
        Path | None, typer.Option(help="Folder with real recordings to compare with; by default ../shared/data.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated people.")] = 0,
    as_json: Json = False,
) -> None:
    """Check muscles, skin, motor units and electrodes against the literature.

    Prints a table of check, expected, got and source: equations, published
    ranges and, where there are any, real recordings. A check that does not hold
    is listed, not dropped.

    \b
    duchenne study physiology
    duchenne study physiology --json > checks.json      for a program
    """
    from .physiology import run

    sys.exit(run(out, data=data or find_real_data(), seed=seed, as_json=as_json))
