"""`duchenne coexpress`: in company of somebody, simulated or real."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .cli_options import Json

app = typer.Typer()


@app.command("coexpress")
def coexpress(
    person: Annotated[int, typer.Option(min=0, help="Number of the simulated person in front of the robot.")] = 17,
    video: Annotated[
        str | None, typer.Option(help="A video of a real face instead, or the number of a camera.")
    ] = None,
    montage: Annotated[
        str | None, typer.Option(help="What she wears: proximal7, epidermal10, distal4, or none.")
    ] = "proximal7",
    seconds: Annotated[float, typer.Option(min=3, help="How long.")] = 12.0,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another performance.")] = 1,
    model: Annotated[Path | None, typer.Option(help="Your own anticipation, from duchenne train anticipation.")] = None,
    skin: Annotated[str, typer.Option(help="Colour of the robot's skin.")] = "porcelain",
    render: Annotated[bool, typer.Option("--render/--no-render", help="Draw the filmstrips.")] = True,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; made if missing.")] = Path(
        "out/coexpress"
    ),
    as_json: Json = False,
) -> None:
    """Smile with somebody: the robot anticipates her face and shows it at the same moment.

    The robot plays twice to the same performance: once it mimics, once it co-expresses. Writes report.html with both
    beside the person on one time axis, recording.rrd with faces, EMG and commands, commands.csv and coexpress.png.

    \b
    duchenne coexpress                               a simulated person with EMG and camera
    duchenne coexpress --person 7 --montage distal4  another one, four electrodes at the temples
    duchenne coexpress --video clip.mp4              a real face, camera alone
    """
    from .coexpress import run

    worn = None if montage in (None, "none") else montage
    sys.exit(
        run(
            out,
            person=person,
            video=video,
            montage=worn,
            seconds=seconds,
            seed=seed,
            model=model,
            skin=skin,
            render=render,
            as_json=as_json,
        )
    )


__all__ = ["app"]
