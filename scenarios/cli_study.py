"""`duchenne study …`: the simulation beside what was published and measured."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .cli_options import Data, Json, Kept, People, Seed, find_real_data

app = typer.Typer(
    no_args_is_help=True, help="Set the simulation beside what was published and measured.", rich_markup_mode="rich"
)


@app.command("physiology")
def study_physiology(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the table.")] = Path("out/physiology"),
    data: Data = None,
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


@app.command("coexpression")
def study_coexpression(
    out: Kept = Path("out/coexpression"),
    data: Data = None,
    people: People = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Does the robot smile with her or after her? Camera, EMG, both; clear, masked, dark, from the side, covered.

    Mimicry, the published method and a perfect oracle beside it; the published evaluation of targets and commands; and
    real faces that nothing was trained on.

    What was simulated is kept in the folder, so that a study that was cut off goes on where it stopped.
    """
    from .coexpression import run

    sys.exit(run(out, people=people, seed=seed, data=data or find_real_data(), as_json=as_json))


@app.command("guard")
def study_guard(
    commands: Annotated[int, typer.Option(min=1, help="How many commands.")] = 1_000_000,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """A million random and hostile commands at the Guard; every frame on the wire is judged anew. About a minute."""
    from .study_guard import run

    sys.exit(run(commands=commands, seed=seed, as_json=as_json))


@app.command("faults")
def study_faults(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="New folder that keeps every trial's log; else none is kept.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Everything that can go wrong on a servo bus, made to go wrong on emulated ones while a face is mirrored."""
    from .study_faults import run

    sys.exit(run(seed=seed, out=out, as_json=as_json))


@app.command("real-robot")
def study_real_robot(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for report.html and parameters.csv.")] = Path(
        "out/real-robot"
    ),
    data: Data = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """A twin of the real Emo robot, calibrated from some of its rows, predicts others, beside regressions."""
    from .real_robot import run

    sys.exit(run(out, data=data or find_real_data(), seed=seed, as_json=as_json))


@app.command("sim-to-real")
def study_sim_to_real(
    out: Kept = Path("out/sim-to-real"),
    robots: Annotated[int, typer.Option(min=1, help="Hidden robots seen by a plain eye.")] = 8,
    tracked: Annotated[int, typer.Option(min=0, help="Hidden robots seen by MediaPipe as well.")] = 1,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Robots that differ from the design, calibrated through bus and camera alone, then mirroring people."""
    from .study_sim_to_real import run

    sys.exit(run(out, robots=robots, tracked=tracked, seed=seed, as_json=as_json))


@app.command("six-expressions")
def study_six_expressions(
    out: Kept = Path("out/six-expressions"),
    people: People = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Synergies, expressions and keypoints: ten people, MVC and 6 × 12 trials with seven electrodes.

    Recognition from EMG and from synergies, within people and for people never met; how well four models of the skin
    turn EMG into the motion of keypoints; from a wanted expression back to muscles.

    What was simulated is kept in the folder, so that a study that was cut off goes on where it stopped.
    """
    from .six_expressions import run

    sys.exit(run(out, people=people, seed=seed, as_json=as_json))


@app.command("distal-smiles")
def study_distal_smiles(
    out: Kept = Path("out/distal-smiles"),
    people: People = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Smiles read at the temples: 41 people, posed and spontaneous, beside two coders and a camera.

    Agreement with the coders for AU6 and AU12, how far EMG leads the camera, which unit comes with which, and whether
    posed and spontaneous smiles can be told apart.

    What was simulated is kept in the folder, so that a study that was cut off goes on where it stopped.
    """
    from .distal_smiles import run

    sys.exit(run(out, people=people, seed=seed, as_json=as_json))


@app.command("epidermal")
def study_epidermal(
    out: Kept = Path("out/epidermal"),
    people: People = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Expression and its intensity from ten skin electrodes put on again and again.

    Within and across wearings and people, with fewer channels, beside other classifiers and beside a camera in bad
    light, from the side and with the mouth covered.

    What was simulated is kept in the folder, so that a study that was cut off goes on where it stopped.
    """
    from .epidermal import run

    sys.exit(run(out, people=people, seed=seed, as_json=as_json))


@app.command("separation")
def study_separation(
    out: Kept = Path("out/separation"),
    people: People = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """What ICA and NMF recover of sources that are known, and where explained variance misleads.

    Every method over montages, noise and co-contraction, each score beside chance and a random unmixing.

    What was simulated is kept in the folder, so that a study that was cut off goes on where it stopped.
    """
    from .separation_study import run

    sys.exit(run(out, people=people, seed=seed, as_json=as_json))
