"""Stable-Baselines3's own PPO on an environment of ours (extra `sb3`): nothing here but what its manual says.

```
python -m duchenne.scenarios.sb3_example --steps 20000 --out out/sb3
python -m duchenne.scenarios.sb3_example duchenne/Person-v0 --json
```

The policy is saved as Stable-Baselines3 saves it and loaded with `PPO.load`; `duchenne train policy` has checkpoints of
its own and steps many robots in one batch.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ..sim.errors import DuchenneError, InputError
from . import console


def train(
    env_id: str = "duchenne/Express-v0", *, steps: int = 20_000, envs: int = 4, seed: int = 0, out: Path | None = None
) -> tuple[Any, dict[str, float]]:
    """Train PPO for `steps` steps of `envs` environments; the model, and its mean return before and after.

    Returns are means of the same 20 episodes. out: folder for `ppo.zip`. Raises `InputError` without Stable-Baselines3.
    """
    try:
        from stable_baselines3 import PPO  # pyright: ignore[reportMissingImports]
        from stable_baselines3.common.env_util import make_vec_env  # pyright: ignore[reportMissingImports]
        from stable_baselines3.common.evaluation import evaluate_policy  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError("stable-baselines3 is not installed: pip install 'duchenne[sb3]'") from error
    from ..sim.envs.registry import register_all

    register_all()
    training, test = make_vec_env(env_id, envs, seed=seed), make_vec_env(env_id, 1, seed=seed + envs)
    model = PPO("MultiInputPolicy", training, n_steps=256, batch_size=128, gamma=0.9, seed=seed, device="cpu")
    before, _ = evaluate_policy(model, test, n_eval_episodes=20)
    model.learn(steps)
    test.seed(seed + envs)
    after, _ = evaluate_policy(model, test, n_eval_episodes=20)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        model.save(out / "ppo")
    training.close()
    test.close()
    return model, {
        "steps": model.num_timesteps,
        "return_before": float(np.mean(before)),
        "return_after": float(np.mean(after)),
    }


def main(
    env_id: Annotated[str, typer.Argument(help="Any registered id.")] = "duchenne/Express-v0",
    steps: Annotated[int, typer.Option(min=1, help="Steps of all environments together.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Seed of policy and episodes.")] = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for ppo.zip.")] = Path("out/sb3"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Train Stable-Baselines3's PPO and save it."""
    try:
        _, figures = train(env_id, steps=steps, seed=seed, out=out)
    except DuchenneError as error:
        console.complain(str(error))
        raise typer.Exit(2) from error
    console.table("Stable-Baselines3 PPO", ("figure", ""), [(n.replace("_", " "), v) for n, v in figures.items()])
    console.console.print(f"\nsaved: {out / 'ppo.zip'}", highlight=False)
    if as_json:
        console.emit(figures, file=out / "ppo.zip")


__all__ = ["main", "train"]

if __name__ == "__main__":
    typer.run(main)
