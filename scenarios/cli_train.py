"""`duchenne train …`: let the robot learn about itself, train agents, fit what is shipped anew."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .cli_options import Json, find_emo_rows

app = typer.Typer(
    no_args_is_help=True,
    help="Let the robot learn about itself, train agents, fit what is shipped anew.",
    rich_markup_mode="rich",
)


@app.command("self-model")
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


@app.command("robot")
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


@app.command("person")
def train_person(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for person_skin.npz.")] = Path("out/person"),
    seed: Annotated[int, typer.Option(help="Seed of the poses.")] = 0,
    poses: Annotated[int, typer.Option(min=40, help="Poses to solve with the nonlinear skin.")] = 1600,
    as_json: Json = False,
) -> None:
    """Fit the person's fast skin map to the nonlinear reference anew, as after a change of muscles or tissue.

    Some minutes; the shipped one lies in sim/person/data.
    """
    from .train import run_person

    sys.exit(run_person(out, seed=seed, poses=poses, as_json=as_json))


@app.command("policy")
def train_policy(
    env: Annotated[str, typer.Argument(help="Id of an environment, such as duchenne/Express-v0.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for policy.npz and curves.png.")] = Path(
        "out/policy"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the training.")] = 0,
    iterations: Annotated[
        int | None,
        typer.Option(min=0, help="Iterations of PPO in all; by default 100, and 0 where cloning is possible."),
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Begin no further iteration after this long.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the folder.")] = False,
    as_json: Json = False,
) -> None:
    """Learn to act in an environment, and measure it beside controllers that learn nothing.

    Where robots are to reach faces (Express), a network first copies what commands did in hindsight; elsewhere PPO
    starts from nothing. Writes policy.npz, from which --resume goes on, and curves.png.

    \b
    duchenne train policy duchenne/Express-v0 --out out/express
    duchenne train policy duchenne/Coexpress-v0 --iterations 200
    """
    from .train_policy import run

    sys.exit(run(env, out, seed=seed, iterations=iterations, minutes=minutes, resume=resume, as_json=as_json))


@app.command("anticipation")
def train_anticipation(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the model.")] = Path("out/anticipation"),
    montage: Annotated[
        str | None, typer.Option(help="What people wear, a montage or your .json; by default the camera alone.")
    ] = None,
    motion: Annotated[
        bool, typer.Option("--motion", help="The one for any real face instead, which learns from synthetic motion.")
    ] = False,
    people: Annotated[int | None, typer.Option(min=4, help="How many simulated people to learn from.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the training.")] = 0,
    as_json: Json = False,
) -> None:
    """Learn what a face is about to show, from simulated people's camera and EMG. Ten minutes on two cores.

    \b
    duchenne train anticipation --montage fridlund
    duchenne coexpress --montage fridlund --model out/anticipation/fridlund.npz
    """
    if motion:
        from .train_motion import run as run_motion

        sys.exit(run_motion(out, seed=seed, as_json=as_json))
    from .train_anticipation import run

    name = Path(montage).stem if montage else "camera"
    sys.exit(run(out / f"{name}.npz", montage=montage, people=people, seed=seed, as_json=as_json))
