"""The command line: `duchenne mirror | train | bench | doctor`.

Heavy modules are imported inside the commands, so that `--help` answers at once.
"""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..sim.errors import DuchenneError
from .console import complain, log_to_console

app = typer.Typer(
    name="duchenne",
    help="Watch a real face and move a simulated soft robot face.",
    epilog="Start with [bold]duchenne doctor[/], then [bold]duchenne mirror portrait --out out/demo[/].",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
train_app = typer.Typer(no_args_is_help=True, help="Let the robot learn about itself.", rich_markup_mode="rich")
bench_app = typer.Typer(no_args_is_help=True, help="Measure speed and fidelity.", rich_markup_mode="rich")
app.add_typer(train_app, name="train")
app.add_typer(bench_app, name="bench")

EMO_ROWS = Path("../shared/data/emo_robot/emo_motor_landmarks.npz")
"""Looked for when no other place is given."""
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


def main() -> None:
    """Entry point. Exit codes: 0 done, 2 a clear error, 130 interrupted; what was made by then is kept."""
    # One thread for each small matrix product is quicker than a pool of them.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    log_to_console(verbose=False)
    try:
        app()
    except DuchenneError as error:
        complain(str(error))
        sys.exit(2)
    except KeyboardInterrupt:
        complain("interrupted")
        sys.exit(130)


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _common(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say what is being done.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    logging.getLogger("duchenne").setLevel(logging.DEBUG if verbose else logging.WARNING)


@app.command()
def mirror(
    source: Annotated[
        str,
        typer.Argument(help="A photo, a video file, a camera number, or [bold]portrait[/] for the built-in photo."),
    ] = "portrait",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; made if missing.")] = Path(
        "out/mirror"
    ),
    neutral: Annotated[
        Path | None,
        typer.Option(help="Photo of the same person with a face at rest, from which expressions are measured."),
    ] = None,
    skin: Annotated[
        str, typer.Option(help="Look of the robot's skin, porcelain, sand, umber, azure or indigo.")
    ] = "porcelain",
    model: Annotated[Path | None, typer.Option(help="Self-model from `duchenne train self-model`.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.0, help="Stop after this much of the video or camera.")] = None,
    render: Annotated[
        bool, typer.Option("--render/--no-render", help="Make pictures of the robot for the report.")
    ] = True,
    live: Annotated[bool, typer.Option("--live", help="Show it in a viewer window as it goes.")] = False,
    as_json: Json = False,
) -> None:
    """Make the robot show the expression of a person.

    Reads faces with MediaPipe, turns each into 26 servo commands with the robot's self-model, checks every command
    with the Guard and moves the simulated soft face. Writes report.html, recording.rrd (open with `rerun`),
    commands.csv and, for a photo, mirror.png. A video's first five frames with a face give the face at rest.

    \b
    duchenne mirror                                  the built-in portrait
    duchenne mirror smile.jpg --out out/smile        a photo
    duchenne mirror smile.jpg --neutral calm.jpg     …measured from a calm face
    duchenne mirror clip.mp4 --out out/clip --json   a video, figures as JSON
    duchenne mirror 0 --live                         the first camera; Ctrl-C stops and keeps the results
    """
    from .mirror import run

    sys.exit(
        run(
            source,
            out,
            neutral=neutral,
            skin=skin,
            model=model,
            seconds=seconds,
            render=render,
            live=live,
            as_json=as_json,
        )
    )


@app.command()
def doctor(
    mend: Annotated[bool, typer.Option("--mend", help="Fetch the face model if it is missing.")] = False,
    as_json: Json = False,
) -> None:
    """Tell what works on this machine and how to mend the rest.

    Exit code 0 if `duchenne mirror` can run, else 2. Cameras and serial ports may be missing.
    """
    from .doctor import run

    sys.exit(run(mend=mend, as_json=as_json))


@train_app.command("self-model")
def train_self_model(
    out: Annotated[Path, typer.Option("--out", "-o", help="File for the model.")] = Path("out/self_model.npz"),
    seed: Annotated[int, typer.Option(help="Seed of the babbling and the training.")] = 0,
    poses: Annotated[int, typer.Option(min=20, help="Poses of the upper face, and as many of the mouth.")] = 1000,
    emo_rows: Annotated[
        Path | None,
        typer.Option(help="emo_motor_landmarks.npz of the real Emo robot, for a cross-validation on its rows."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Let the robot move at random before a mirror and learn which commands make which face.

    \b
    duchenne train self-model --out out/self_model.npz
    duchenne mirror clip.mp4 --model out/self_model.npz
    """
    from .train import run

    sys.exit(run(out, seed=seed, poses=poses, emo_rows=emo_rows or find_emo_rows(), as_json=as_json))


def find_emo_rows() -> Path | None:
    """The real robot's rows where a `shared/data` folder stands beside the working directory, or None."""
    path = Path("../shared/data/emo_robot/emo_motor_landmarks.npz")
    return path if path.is_file() else None


@train_app.command("robot")
def train_robot(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for skin.npz, safe_set.json.")] = Path("out/robot"),
    seed: Annotated[int, typer.Option(help="Seed of the poses.")] = 0,
    poses: Annotated[int, typer.Option(min=40, help="Safe poses to solve with the nonlinear skin.")] = 2000,
    as_json: Json = False,
) -> None:
    """Fit the robot's fast skin map and its set of safe commands anew, as after a change of the mechanism or the skin.

    Some minutes; the shipped ones lie in sim/robot/data.
    """
    from .train import run_robot

    sys.exit(run_robot(out, seed=seed, poses=poses, as_json=as_json))


@bench_app.command("robot")
def bench_robot(as_json: Json = False) -> None:
    """Speed of the simulated robot, alone and in a batch."""
    from .bench import run

    sys.exit(run("robot", as_json=as_json))


@bench_app.command("skin")
def bench_skin(as_json: Json = False) -> None:
    """Fast skin map against the nonlinear reference on poses it has not seen."""
    from .bench import run

    sys.exit(run("skin", as_json=as_json))


@bench_app.command("camera")
def bench_camera(as_json: Json = False) -> None:
    """How well MediaPipe follows the rendered robot face."""
    from .bench import run

    sys.exit(run("camera", as_json=as_json))


if __name__ == "__main__":
    main()
