"""`duchenne replay` and `duchenne export`: what to do with a log of record."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .cli_options import Calibrated, Json

app = typer.Typer()
LogFile = Annotated[Path, typer.Argument(metavar="LOG", help="log.mcap of a run with --robot.")]


@app.command()
def replay(
    log: LogFile,
    robot: Annotated[
        str,
        typer.Option(help="sim, emulated:dynamixel, emulated:maestro, dynamixel:PORT[@BAUD] or maestro:PORT[@BAUD]."),
    ] = "sim",
    calibration: Calibrated = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the new log; made if missing.")] = Path(
        "out/replay"
    ),
    as_json: Json = False,
) -> None:
    """Send a log's commands once more, at their times, into the simulation or a robot.

    \b
    duchenne replay out/mirror/log.mcap              into the simulation, as fast as it goes
    duchenne replay out/mirror/log.mcap --robot dynamixel:/dev/ttyUSB0
    """
    from .replay import run

    sys.exit(run(log, robot, out, calibration=calibration, as_json=as_json))


@app.command()
def export(
    log: LogFile,
    to: Annotated[str, typer.Option(help="[bold]bids[/], [bold]xdf[/], [bold]minari[/] or [bold]rrd[/].")] = "rrd",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the result; made if missing.")] = Path(
        "out/export"
    ),
    subject: Annotated[str, typer.Option(help="Of EMG-BIDS, letters and digits.")] = "001",
    task: Annotated[str, typer.Option(help="Of EMG-BIDS, letters and digits.")] = "mirror",
    as_json: Json = False,
) -> None:
    """Write a log as other tools want it; one whose writer was killed, as far as it goes.

    \b
    duchenne export out/mirror/log.mcap              for the rerun viewer
    duchenne export log.mcap --to xdf                LabRecorder's format: all streams at their times
    duchenne export log.mcap --to bids -o dataset    EMG-BIDS, where there is EMG
    duchenne export log.mcap --to minari             an episode for offline learning
    """
    from .export import run

    sys.exit(run(log, to, out, subject=subject, task=task, as_json=as_json))


__all__ = ["app"]
