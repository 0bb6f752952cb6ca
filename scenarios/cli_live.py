"""`duchenne coexpress`: in company of somebody, simulated or real."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from .cli_options import Calibrated, Json

app = typer.Typer()


class _CameraAlone(TyperCommand):
    """Lets `--camera` stand without a number, which is the first camera."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        filled = []
        for one, after in zip(args, [*args[1:], "-"], strict=True):
            filled += [one, "0"] if one == "--camera" and after.startswith("-") else [one]
        return super().parse_args(ctx, filled)


@app.command("coexpress", cls=_CameraAlone)
def coexpress(
    person: Annotated[int, typer.Option(min=0, help="Number of the simulated person in front of the robot.")] = 12,
    video: Annotated[str | None, typer.Option(help="A video of a real face instead.")] = None,
    camera: Annotated[
        int | None, typer.Option(min=0, metavar="[N]", help="You, before a camera; the first, or that number.")
    ] = None,
    emg: Annotated[
        str | None, typer.Option(metavar="lsl[:NAME]", help="Your EMG over LSL, with --camera or without.")
    ] = None,
    montage: Annotated[
        str, typer.Option(help="Electrodes worn: proximal7, epidermal10, distal4, or none.")
    ] = "proximal7",
    seconds: Annotated[
        float | None, typer.Option(min=1, help="How long; 12 for a simulated person, else until the end or Ctrl-C.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another performance.")] = 3,
    model: Annotated[Path | None, typer.Option(help="Your own anticipation, from duchenne train anticipation.")] = None,
    discretion: Annotated[
        Path | None, typer.Option(help="Your own table of what is answered to which expression.")
    ] = None,
    skin: Annotated[str, typer.Option(help="Colour of the robot's skin.")] = "porcelain",
    render: Annotated[bool, typer.Option("--render/--no-render", help="Draw the filmstrips.")] = True,
    robot: Annotated[
        str | None,
        typer.Option(
            help="A face on a bus that follows, dynamixel:PORT or maestro:PORT; log.mcap records it.",
            show_default="none",
        ),
    ] = None,
    calibration: Calibrated = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; made if missing.")] = Path(
        "out/coexpress"
    ),
    as_json: Json = False,
) -> None:
    """Smile with somebody: the robot anticipates her face and shows it at the same moment.

    Two robots play to the same performance: one co-expresses, one mimics. Writes report.html with both beside the
    person on one time axis, recording.rrd with faces, EMG and commands, commands.csv and coexpress.png.

    \b
    duchenne coexpress                               a simulated person with EMG and camera
    duchenne coexpress --person 7 --montage distal4  another one, four electrodes at the temples
    duchenne coexpress --video clip.mp4              a real face, camera alone
    duchenne coexpress --camera                      you; begin with a calm face, Ctrl-C ends it
    duchenne coexpress --camera --emg lsl:Trigno     …and your muscles
    duchenne coexpress --camera --robot dynamixel:/dev/ttyUSB0       …and a face of servos
    """
    from .coexpress import Who, run
    from .following import followed_by

    worn = None if montage == "none" else montage
    who = Who(person=person, video=video, camera=camera, emg=emg, montage=worn, seed=seed)
    about = {"command": "coexpress", **asdict(who), "discretion": discretion, "model": model}
    with followed_by(robot, out, calibration=calibration, about=about) as faces:
        code = run(
            out,
            who,
            seconds=seconds,
            model=model,
            discretion=discretion,
            skin=skin,
            render=render,
            followers=faces,
            as_json=as_json,
        )
    sys.exit(2 if any(face.problem for face in faces) else code)


__all__ = ["app"]
