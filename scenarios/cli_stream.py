"""`duchenne stream …`: EMG of a simulated person out over LSL, and anybody's EMG in."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .cli_options import Json

app = typer.Typer(
    no_args_is_help=True,
    help="EMG live: publish a simulated person's over LSL, or read anybody's.",
    rich_markup_mode="rich",
)

Session = Annotated[
    str | None, typer.Option(help="LSL session; only streams of one session see each other.", show_default="LSL's own")
]
Seconds = Annotated[float | None, typer.Option(help="Stop after so long.", show_default="until Ctrl-C")]


@app.command()
def emg(
    person: Annotated[int, typer.Option(min=0, help="Which simulated person.")] = 0,
    montage: Annotated[
        str, typer.Option(help="Electrodes: proximal7, epidermal10, distal4 …, or your own .json file.")
    ] = "proximal7",
    seconds: Seconds = None,
    name: Annotated[str, typer.Option(help="Name of the stream.")] = "duchenne",
    source_id: Annotated[
        str, typer.Option(help="By which clients find it again.", show_default="duchenne-person-N")
    ] = "",
    session: Session = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same behaviour.")] = 0,
    as_json: Json = False,
) -> None:
    """Publish the EMG of a simulated person in real time, as a wearable's program would.

    Type EMG, microvolts, channels labelled by the montage, electrodes with their places in the description; a second
    stream of type Markers says what she does. LabRecorder and every other LSL client read it.

    \b
    duchenne stream emg --montage epidermal10
    duchenne stream emg --person 7 --name trigno --seconds 600
    """
    from .stream import run

    sys.exit(
        run(
            person=person,
            montage=montage,
            seconds=seconds,
            seed=seed,
            name=name,
            source_id=source_id,
            session=session,
            as_json=as_json,
        )
    )


@app.command()
def read(
    source: Annotated[
        str,
        typer.Argument(help="[bold]lsl[/], or a file: .mcap, .xdf, .bdf, .edf, .csv, .npz …, played as if it came in."),
    ] = "lsl",
    name: Annotated[str, typer.Option(help="Name of the LSL stream, where there are several.")] = "",
    source_id: Annotated[str, typer.Option(help="Its source id.")] = "",
    session: Session = None,
    montage: Annotated[
        str, typer.Option(help="Channels wanted, by name; its model reads the face. Empty: all channels, no reading.")
    ] = "proximal7",
    channels: Annotated[
        str, typer.Option(help="What the stream's unlabelled channels are called, a,b,c; of a file, which to take.")
    ] = "",
    unit: Annotated[str | None, typer.Option(help="uV, mV or V; overrules the stream.")] = None,
    model: Annotated[Path | None, typer.Option(help="Anticipator from `duchenne train anticipation`.")] = None,
    log: Annotated[Path | None, typer.Option(help="Record to this .mcap file.")] = None,
    seconds: Seconds = None,
    as_json: Json = False,
) -> None:
    """Read EMG live and tell expression and action units; record it, if wanted.

    \b
    duchenne stream read                            the only EMG stream around
    duchenne stream read --name trigno --log out/session.mcap
    duchenne stream read out/session.mcap           the same again
    duchenne stream read session.xdf --unit mV
    """
    from .stream_read import run

    sys.exit(
        run(
            source,
            name=name,
            source_id=source_id,
            session=session,
            montage=montage or None,
            called=tuple(part.strip() for part in channels.split(",") if part.strip()),
            unit=unit,
            model=model,
            log=log,
            seconds=seconds,
            as_json=as_json,
        )
    )


__all__ = ["app"]
