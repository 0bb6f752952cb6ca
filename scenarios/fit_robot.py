"""Make the robot's data anew: the fitted skin map and the safe set, from the mechanism and the skin's material."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..sim import mesh
from ..sim.robot.face import RobotFaces
from ..sim.robot.face_skin import reference_skin
from ..sim.robot.hazards import HazardLimits, as_json, derive, lid_hazards, random_commands
from ..sim.robot.limits import SafeSet
from ..sim.skin_fit import sample_and_fit

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class FittedRobot:
    """What `fit_robot` wrote and measured."""

    skin_file: Path
    safe_set_file: Path
    figures: dict[str, float]


def fit_robot(
    folder: Path, seed: int = 0, *, poses: int = 3000, scout_poses: int = 1000, workers: int = 2,
    progress: Progress = lambda stage, done, total: None,
) -> FittedRobot:  # fmt: skip
    """Write `skin.npz` and `safe_set.json` into `folder`.

    A first skin map from `scout_poses` over the full range of commands finds the safe set; the map that is kept is
    then fitted to `poses` within it. Held-out errors are of safe poses that took no part in the fit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    faces, reference = RobotFaces(256), reference_skin()

    def fit(commands: np.ndarray, stage: str):
        return sample_and_fit(
            reference, faces.settled_ports(commands), mirror=mesh.MIRROR, workers=workers,
            progress=lambda done, total: progress(stage, done, total),
        )  # fmt: skip

    scouts = random_commands(rng, 2 * scout_poses)
    scouts = scouts[SafeSet.of(lid_hazards()).contains(scouts)][:scout_poses]
    scout_skin = fit(scouts, "scout poses")
    limits = HazardLimits()
    progress("safe set", 0, 1)
    safe_set, shares = derive(rng, scout_skin, limits)
    progress("safe set", 1, 1)
    both = [safe_set.sample(rng, poses - poses // 2, symmetric_only=False), safe_set.sample(rng, poses // 2)]
    commands = rng.permutation(np.concatenate(both))
    skin = fit(commands, "safe poses")
    skin_file, safe_file = folder / "skin.npz", folder / "safe_set.json"
    skin.save(skin_file)
    safe_file.write_text(json.dumps(as_json(safe_set, limits), indent=1) + "\n")
    hazardous = {f"share_{name.replace(' ', '_')}": share for name, share in shares.items()}
    return FittedRobot(skin_file, safe_file, {**skin.figures, **hazardous})
