"""Benchmark of the environments: 64 at once, ours beside Gymnasium's Humanoid-v5 in the same run.

Everything is timed by the clock on the wall, as users wait; other programs on the machine make all of it slower.
"""

import resource
import sys
import time
from functools import partial
from typing import Any

import gymnasium
import numpy as np

from .benchmarks import Figures, Progress, _silent

COUNT = 64
_STEPS = 100
_ROUNDS = 5
_ENVS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("express", "duchenne/Express-v0", {}),
    ("self_model", "duchenne/SelfModel-v0", {}),
    ("coexpress", "duchenne/Coexpress-v0", {}),
    ("coexpress_emg", "duchenne/Coexpress-v0", {"emg": "rms"}),
    ("person", "duchenne/Person-v0", {}),
    ("humanoid", "Humanoid-v5", {}),
)


def bench_envs(progress: Progress = _silent, count: int = COUNT) -> Figures:
    """Steps a second of `count` environments with random actions, and what they cost.

    For each of Express, SelfModel, Coexpress, Coexpress with EMG, Person and Humanoid-v5: `…_steps_per_s`, the median
    of rounds of 100 steps of the vector environment that `make_vec` picks, autoresets of episodes that end included;
    `…_reset_ms`, one reset of all over their number; `…_first_s`, making them and the first reset, compilation
    included. `express_over_sync`: Express over a `SyncVectorEnv` of as many, in alternating rounds. `reset_ms` is that
    of Express. `peak_gb`: most memory of this process.
    """
    import duchenne  # noqa: F401  registers the environments

    done, total = 0, (len(_ENVS) + 1) * _ROUNDS
    figures: Figures = {}
    for name, env_id, options in _ENVS:
        start = time.perf_counter()
        make = partial(gymnasium.make_vec, env_id, num_envs=count, **options)
        env = make()
        env.reset(seed=0)
        figures[f"{name}_first_s"] = time.perf_counter() - start
        rival = make(vectorization_mode="sync") if name == "express" else None
        speeds, rivals, resets = [], [], []
        for number in range(_ROUNDS):
            start = time.perf_counter()
            env.reset(seed=1000 * number)
            resets.append(1e3 * (time.perf_counter() - start) / count)
            speeds.append(_steps_per_s(env))
            if rival is not None:
                rival.reset(seed=0)
                rivals.append(_steps_per_s(rival, _STEPS // 4))
            done += 2 if rival is not None else 1
            progress(done, total)
        figures[f"{name}_steps_per_s"], figures[f"{name}_reset_ms"] = float(np.median(speeds)), float(np.median(resets))
        if rival is not None:
            figures["express_over_sync"] = float(np.median(np.divide(speeds, rivals)))
            rival.close()
        env.close()
    figures["reset_ms"] = figures["express_reset_ms"]
    figures["peak_gb"] = _peak_gb()
    return figures


def _steps_per_s(env: Any, steps: int = _STEPS) -> float:
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(8)]
    start = time.perf_counter()
    for step in range(steps):
        env.step(actions[step % len(actions)])
    return steps * env.num_envs / (time.perf_counter() - start)


def _peak_gb() -> float:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e9 if sys.platform == "darwin" else 1e6)
