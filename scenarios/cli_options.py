"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Calibrated = Annotated[Path | None, typer.Option("--calibration", help="Of that robot, from duchenne robot calibrate.")]
Data = Annotated[Path | None, typer.Option(help="Folder with real recordings; by default ../shared/data.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Kept = Annotated[Path, typer.Option("--out", "-o", help="Folder for report.html and what is kept.")]
People = Annotated[int | None, typer.Option(min=2, help="Simulated people; by default as many as in the paper.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of people, recordings and learning.")]


def find_emo_rows() -> Path | None:
    """The real robot's rows where a `shared/data` folder stands beside the working directory, or None."""
    path = Path("../shared/data/emo_robot/emo_motor_landmarks.npz")
    return path if path.is_file() else None


def find_real_data() -> Path | None:
    """The folder of real recordings where a `shared/data` folder stands beside the working directory, or None."""
    path = Path("../shared/data")
    return path if path.is_dir() else None


__all__ = ["Calibrated", "Data", "Json", "Kept", "People", "Seed", "find_emo_rows", "find_real_data"]
