"""The command line: `duchenne coexpress | mirror | synth | show | analyse | dataset | stream | study | train | …`.

Heavy modules are imported inside the commands, so that `--help` answers at once.
"""

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..sim.errors import DuchenneError
from .cli_bench import app as bench_app
from .cli_live import app as live_app
from .cli_log import app as log_app
from .cli_options import Calibrated, Json, Seed
from .cli_robot import app as robot_app
from .cli_stream import app as stream_app
from .cli_study import app as study_app
from .cli_train import app as train_app
from .console import complain, log_to_console

app = typer.Typer(
    name="duchenne",
    help="Simulate faces: people of muscle, skin and electricity, and a soft robot face that smiles with them.",
    epilog="Start with [bold]duchenne doctor[/], then [bold]duchenne coexpress --out out/demo[/] or "
    "[bold]duchenne synth --people 1 --out out/people[/].",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.registered_commands += live_app.registered_commands + log_app.registered_commands
app.add_typer(robot_app, name="robot")
app.add_typer(stream_app, name="stream")
app.add_typer(study_app, name="study")
app.add_typer(train_app, name="train")
app.add_typer(bench_app, name="bench")


def main() -> None:
    """Entry point. Exit codes: 0 done, 2 a clear error, 130 interrupted; what was made by then is kept."""
    # One thread for each small matrix product is quicker than a pool of them.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    _keep_what_is_compiled()
    log_to_console(verbose=False)
    try:
        app()
    except DuchenneError as error:
        complain(str(error))
        sys.exit(2)
    except KeyboardInterrupt:
        complain("interrupted")
        sys.exit(130)


def _keep_what_is_compiled() -> None:
    """Let JAX find in the user's cache what an earlier command compiled; a read-only home is no error."""
    from ..sim.model_file import cache_dir

    folder = cache_dir() / "jax"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")


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
    robot: Annotated[
        str | None,
        typer.Option(help="A face on a bus, dynamixel:PORT or maestro:PORT; log.mcap records it.", show_default="sim"),
    ] = None,
    calibration: Calibrated = None,
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
    duchenne mirror 0 --robot dynamixel:/dev/ttyUSB0 the first camera, and a face of servos
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
            robot=robot,
            calibration=calibration,
            as_json=as_json,
        )
    )


@app.command()
def synth(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the recordings; made if missing.")] = Path(
        "out/people"
    ),
    people: Annotated[int, typer.Option(min=1, help="How many people the folder shall hold.")] = 3,
    montage: Annotated[
        str,
        typer.Option(help="Electrodes: proximal7, epidermal10, distal4, fridlund, kuramoto …, or your own .json file."),
    ] = "proximal7",
    protocol: Annotated[
        str,
        typer.Option(
            help="What they do: expressions, single-aus, mvc, six-expressions, smiles, intensities, rest, speech, "
            "chewing."
        ),
    ] = "expressions",
    tier: Annotated[
        str,
        typer.Option(
            help="[bold]motor-units[/] with every spike known, or [bold]interference[/], several times faster."
        ),
    ] = "motor-units",
    rate: Annotated[float | None, typer.Option(help="EMG samples a second; by default the montage's own.")] = None,
    camera_hz: Annotated[float, typer.Option(help="Frames a second of landmarks and camera.")] = 30.0,
    quality: Annotated[
        str, typer.Option(help="Electrodes and amplifier: clean, wired active, wireless bipolar …")
    ] = "wired active",
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="healthy, palsy, synkinesis, aged or fatigued; given several times, people take turns.",
            show_default="healthy",
        ),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Only the first seconds of the protocol.")] = None,
    file_format: Annotated[
        str, typer.Option("--format", help="[bold]npz[/], [bold]zarr[/], or [bold]bids[/]: a data set that MNE reads.")
    ] = "npz",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same people.")] = 0,
    as_json: Json = False,
) -> None:
    """Record simulated people: facial EMG, moving skin, action units, labels, truth.

    Each person has a face, muscles and habits of her own and gets one file,
    person-000.npz and so on; people.json lists them. A run that was interrupted
    goes on where it stopped, and one with more people adds them.

    \b
    duchenne synth --people 3                      seven expressions each
    duchenne synth --montage distal4 --protocol smiles -o out/smiles
    duchenne synth --variant healthy --variant palsy --people 20
    duchenne synth --tier interference --people 200 --seconds 20
    duchenne synth --format bids --out out/dataset  EMG-BIDS, truth in sourcedata/
    duchenne show out/people/person-000.npz        look at one
    """
    from .synth import FORMATS, HEALTHY, TIERS, Wanted, one_of, run

    wanted = Wanted(
        montage=montage,
        protocol=protocol,
        tier=one_of("--tier", tier, TIERS),
        rate_hz=rate,
        camera_hz=camera_hz,
        quality=quality,
        variants=tuple(variant or (HEALTHY,)),
        seconds=seconds,
        seed=seed,
        format=one_of("--format", file_format, FORMATS),
    )
    sys.exit(run(out, wanted, people=people, as_json=as_json))


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="A .npz, .zarr, .bdf or .edf recording, or a folder with one.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the picture and the .rrd file.")] = Path(
        "out/show"
    ),
    seconds: Annotated[
        str | None, typer.Option(metavar="FROM:TO", help="Only this stretch, as 10:25, 10: or :25.")
    ] = None,
    colour: Annotated[
        str,
        typer.Option(
            "--colour",
            "--color",
            help="Skin in the .rrd file by muscle [bold]activity[/] or by [bold]strain[/]; auto: activity if known.",
        ),
    ] = "auto",
    render: Annotated[
        bool, typer.Option("--render/--no-render", help="Render the faces; otherwise they are line drawings.")
    ] = True,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Draw a recording: faces, expressions, raw and envelope EMG, action units.

    Writes NAME.png, and NAME.rrd with the moving skin for the rerun viewer.
    What a recording lacks is left out.

    \b
    duchenne show out/people/person-000.npz        all of it, into out/show
    duchenne show out/people/person-000.npz --seconds 10:20
    duchenne show out/dataset/sub-001 --out out/look     EMG-BIDS, yours or ours
    rerun out/show/person-000.rrd                  turn it, play it
    """
    from .show import COLOURS, run
    from .synth import one_of

    sys.exit(
        run(
            file,
            out,
            seconds=seconds,
            colour=one_of("--colour", colour, COLOURS),
            render=render,
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


@app.command()
def analyse(
    path: Annotated[
        Path,
        typer.Argument(
            help="A recording (.npz, .zarr, .bdf, .edf, .xdf, .csv, .tsv, .txt), a folder of them, an EMG-BIDS set, "
            "or a folder of .mat tables."
        ),
    ],
    montage: Annotated[
        str | None, typer.Option(help="Published montage, or your .json: its channels, in its order.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Samples a second, where the file has no clock.")] = None,
    unit: Annotated[str | None, typer.Option(help="uV, mV or V; overrules the file.")] = None,
    channels: Annotated[
        str, typer.Option(help="Channels by the file's names, a,b,c; with --montage in its order.")
    ] = "",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the report.")] = Path("out/analyse"),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Analyse your own recording: quality, synergies, sources, expressions, action units.

    Writes report.html, findings.json, pictures and features as CSV. A folder of
    .mat tables with powers at eight sites is set beside as many simulated people.

    \b
    duchenne analyse recording.npz
    duchenne analyse session.csv --unit mV --rate 1000
    duchenne analyse session.xdf --montage distal4 --channels c1,c2,c3,c4
    duchenne analyse ../shared/data/emg_8ch_seven_expressions --json
    """
    from .analyse import run

    names = tuple(name.strip() for name in channels.split(",") if name.strip())
    sys.exit(run(path, out, montage=montage, rate_hz=rate, unit=unit, channels=names, seed=seed, as_json=as_json))


@app.command()
def dataset(
    env_id: Annotated[str, typer.Argument(metavar="ENV", help="Any id, such as duchenne/Express-v0.")],
    episodes: Annotated[int, typer.Option(min=1, help="Whole episodes.")] = 20,
    policy: Annotated[
        str, typer.Option(help="random, or babble, which holds each action for half a second.")
    ] = "random",
    name: Annotated[str | None, typer.Option(help="By default duchenne/express/random-v0 and so on.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of data sets; by default Minari's own.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same episodes.")] = 0,
    as_json: Json = False,
) -> None:
    """Record episodes of an environment as a Minari data set, read it back and step it again."""
    from .dataset import run

    sys.exit(run(env_id, policy=policy, episodes=episodes, seed=seed, name=name, out=out, as_json=as_json))


if __name__ == "__main__":
    main()
