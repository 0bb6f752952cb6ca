"""`duchenne robot`: the servo bus of a physical face, or of an emulated one."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .cli_calibrate import calibrate
from .cli_options import Json

app = typer.Typer(help="The servos of a physical face, or of an emulated one.", no_args_is_help=True)
app.command()(calibrate)
Where = Annotated[str, typer.Argument(metavar="ROBOT", help="dynamixel:PORT[@BAUD] or maestro:PORT[@BAUD].")]
Map = Annotated[
    Path | None, typer.Option("--map", help="Servo map, JSON; by default the bus's own, see docs/robot.md.")
]


@app.command()
def emulate(
    bus: Annotated[str, typer.Option(help="[bold]dynamixel[/] or [bold]maestro[/].")] = "dynamixel",
    individual: Annotated[
        int | None,
        typer.Option(min=0, help="A robot with servos, linkages and skin of its own, by number.", show_default="none"),
    ] = None,
    servo_map: Map = None,
    seconds: Annotated[float | None, typer.Option(min=0.0, help="End by itself.", show_default="Ctrl-C")] = None,
    as_json: Json = False,
) -> None:
    """Play a face of 26 servos on its bus, byte for byte, behind a port that any program can open.

    \b
    duchenne robot emulate                           prints the port to use
    duchenne robot emulate --individual 3            another robot than the twin thinks, one servo turned round
    duchenne robot emulate --bus maestro             hobby servos on two Pololu boards, no feedback
    """
    from .robot import run_emulate

    sys.exit(run_emulate(bus, individual=individual, servo_map=servo_map, seconds=seconds, as_json=as_json))


@app.command()
def status(where: Where, servo_map: Map = None, as_json: Json = False) -> None:
    """Ask every servo who it is and how it is. Torque stays off. Exit code 2 if one of them has an error.

    \b
    duchenne robot status dynamixel:/dev/ttyUSB0
    duchenne robot status maestro:/dev/ttyACM0
    """
    from .robot import run_status

    sys.exit(run_status(where, servo_map=servo_map, as_json=as_json))


@app.command()
def commission(where: Where, servo_map: Map = None, as_json: Json = False) -> None:
    """Write the map's limits, position mode and no return delay into Dynamixel servos, once. Torque goes off.

    \b
    duchenne robot commission dynamixel:/dev/ttyUSB0
    """
    from .robot import run_commission

    sys.exit(run_commission(where, servo_map=servo_map, as_json=as_json))


__all__ = ["app"]
