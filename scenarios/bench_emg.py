"""Benchmark of the EMG: both tiers on one core, a person's templates, memory of a population, law of cost.

The measurement runs in a process of its own, so that XLA keeps to one thread and the peak of memory is its own.
Times are processor seconds, which other programs on the machine do not lengthen; compilation is told apart.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from ..sim.errors import DuchenneError
from .one_core import ONE_CORE, first_and_fastest_s

Progress = Callable[[int, int], None]
Figures = dict[str, float]

RATE_HZ, SECONDS = 1024.0, 60
MUSCLES, UNITS, CHANNELS, PEOPLE = 10, 60, 10, 100


def bench_emg(progress: Progress = lambda done, total: None, people: int = PEOPLE) -> Figures:
    """10 muscles × 60 units × 10 channels × 60 s at 1024 Hz on one core, and what else EMG costs.

    Raises `DuchenneError` if the measuring process fails.
    """
    command = [sys.executable, "-m", "duchenne.scenarios.bench_emg", str(people)]
    figures: Figures = {}
    with (
        TemporaryFile("w+") as complaints,
        subprocess.Popen(
            command, env={**os.environ, **ONE_CORE}, stdout=subprocess.PIPE, stderr=complaints, text=True
        ) as child,
    ):
        assert child.stdout is not None
        for line in child.stdout:
            said: dict[str, Any] = json.loads(line)
            if "done" in said:
                progress(said["done"], said["total"])
            figures = said.get("figures", figures)
        child.wait()
        complaints.seek(0)
        complaint = complaints.read()
    if child.returncode or not figures:
        raise DuchenneError(
            f"the EMG benchmark's own process failed (exit code {child.returncode}): {complaint[-800:]}"
        )
    return figures


def _measure(people: int, tell: Progress) -> Figures:
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from ..sim.person.anatomy import muscle_index
    from ..sim.person.electrodes import montage
    from ..sim.person.emg import EmgModel, build_emg
    from ..sim.person.traits import Traits

    rng = np.random.default_rng(0)
    worn = montage("epidermal10")
    steps = SECONDS * int(RATE_HZ) // 8
    phase = 2 * np.pi * np.outer(np.arange(steps) * 8 / RATE_HZ, 0.2 + 0.01 * np.arange(48)) + np.arange(48)
    excitation = (0.35 * (1 + np.sin(phase))).astype(np.float32)
    key = jax.random.key(0)
    stages = people + 6
    compiling = 0.0

    def cost(run: Callable[[], object], repeats: int) -> float:
        nonlocal compiling
        first, best = first_and_fastest_s(run, repeats)
        compiling += max(first - best, 0.0)
        return best

    def whole(seed: int) -> EmgModel:
        return build_emg(
            worn, rate_hz=RATE_HZ, units=UNITS, seed=seed, traits=Traits.sample(np.random.default_rng(seed))
        )

    tell(0, stages)
    seeds = iter(range(100))
    templates_s = cost(lambda: whole(next(seeds)), 3)
    tell(1, stages)
    targets = [target for target in worn.targets if target is not None]
    chosen = dict.fromkeys([muscle_index(name, of) for name, of in targets] + list(range(48)))
    some, more = tuple(chosen)[:MUSCLES], tuple(chosen)[: 2 * MUSCLES]
    model = build_emg(worn, rate_hz=RATE_HZ, muscles=some, units=UNITS)
    assert model.units_uv.shape[:3] == (MUSCLES, UNITS, CHANNELS)
    motor_s = cost(lambda: model.motor_units(key, excitation), 30)
    tell(2, stages)
    noise_s = cost(lambda: model.interference(key, excitation), 60)
    tell(3, stages)

    def wider(one: EmgModel) -> EmgModel:
        """Every channel twice."""
        return eqx.tree_at(
            lambda m: (m.units_uv, m.carriers.filters),
            one,
            (jnp.concatenate([one.units_uv] * 2, 2), jnp.concatenate([one.carriers.filters] * 2, 1)),
        )

    double = wider(build_emg(worn, rate_hz=RATE_HZ, muscles=more, units=UNITS))
    double_motor_s = cost(lambda: double.motor_units(key, excitation), 10)
    double_noise_s = cost(lambda: double.interference(key, excitation), 20)
    tell(4, stages)
    everyone = whole(0)
    whole_s = cost(lambda: everyone.motor_units(key, excitation), 2)
    whole_noise_s = cost(lambda: everyone.interference(key, excitation), 2)
    tell(5, stages)

    kept = np.empty((people, steps * 8, CHANNELS), np.float32)
    start = time.process_time()
    for number in range(people):
        one = build_emg(worn, rate_hz=RATE_HZ, muscles=some, units=UNITS, seed=number, traits=Traits.sample(rng))
        kept[number] = one.motor_units(jax.random.key(number), excitation).emg_uv
        tell(6 + number, stages)
    population_s = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "motor_unit_realtime_factor": SECONDS / motor_s,
        "interference_realtime_factor": SECONDS / noise_s,
        "templates_s": templates_s,
        "people": float(people),
        "population_s": population_s,
        "peak_gb": peak / 1e9,
        "motor_unit_cost_over_linear": double_motor_s / (4 * motor_s),
        "interference_cost_over_linear": double_noise_s / (4 * noise_s),
        "whole_person_motor_unit_realtime_factor": SECONDS / whole_s,
        "whole_person_interference_realtime_factor": SECONDS / whole_noise_s,
        "compile_s": compiling,
    }


def _say(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _say(figures=_measure(int(sys.argv[1]), lambda done, total: _say(done=done, total=total)))
