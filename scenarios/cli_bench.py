"""`duchenne bench …`: one command for every row of `bench.MEASURES`."""

import sys
from typing import Annotated

import typer

from .bench import MEASURES, run
from .cli_options import Json

app = typer.Typer(no_args_is_help=True, help="Measure speed and fidelity.", rich_markup_mode="rich")


def _add(subject: str, what: str) -> None:
    @app.command(subject, help=what)
    def bench(as_json: Json = False) -> None:
        sys.exit(run(subject, as_json=as_json))


for _subject, (_, _, _what) in MEASURES.items():
    if _subject != "stream":
        _add(_subject, _what)


@app.command("stream", help=MEASURES["stream"][2])
def bench_stream(
    seconds: Annotated[float, typer.Option(min=5, help="How long.")] = 600.0, as_json: Json = False
) -> None:
    sys.exit(run("stream", as_json=as_json, seconds=seconds))
