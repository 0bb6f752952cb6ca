"""`duchenne robot calibrate`: find out what a robot is."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .cli_options import Json


def calibrate(
    robot: Annotated[
        str, typer.Argument(help="dynamixel:PORT[@BAUD], maestro:PORT, or hidden:SEED, an emulated robot nobody knows.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for calibration.json and its picture.")] = Path(
        "out/calibration"
    ),
    camera: Annotated[str, typer.Option(help="What looks at a real robot: camera, camera:1 …")] = "camera",
    eye: Annotated[str, typer.Option(help="Of a hidden robot: tracker (pictures and MediaPipe) or plain.")] = "tracker",
    as_json: Json = False,
) -> None:
    """Find out which way every servo turns, how it moves, and how linkages and skin differ from the design.

    The robot makes small motions first, larger ones once it is known who moves
    what, and ends at rest, limp. A file that is there already is replaced only
    when everything has passed. A minute or two.

    \b
    duchenne robot calibrate hidden:3
    duchenne robot calibrate dynamixel:/dev/ttyUSB0 --camera camera:1 --out my_robot
    """
    from .calibrate import run

    sys.exit(run(robot, out, camera=camera, eye=eye, as_json=as_json))


__all__ = ["calibrate"]
