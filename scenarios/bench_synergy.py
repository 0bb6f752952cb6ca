"""Benchmark of synergies: 1,000 envelopes, every rank, ten restarts each, beside scikit-learn's coordinate descent.

The measurement runs in a process of its own on one core, and the reference takes its turn between our batches, so
that both see the same machine. Times are processor seconds. scikit-learn keeps its own tolerance and 200 iterations,
takes the best of as many random starts, and is run on every fiftieth problem; its time for all is 50 times that.
"""

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from ..sim.errors import DuchenneError
from .one_core import ONE_CORE

Progress = Callable[[int, int], None]
Figures = dict[str, float]

PROBLEMS, CHANNELS, SAMPLES, RATE_HZ, RESTARTS, BATCH = 1000, 7, 3600, 60.0, 10, 50
PEOPLE = 10
GAIN_SD, NOISE = 0.3, 0.03


def bench_synergy(progress: Progress = lambda done, total: None, problems: int = PROBLEMS) -> Figures:
    """Factorise envelopes 7 × 3,600 at ranks 1-7, and hold time and error against scikit-learn.

    Errors are norms of what is left, ours over scikit-learn's, at ranks 1-6: at 7 ours is exactly 0, since the
    identity is the answer and costs nothing; `speedup_below_full_rank` leaves rank 7 out of scikit-learn's time too.
    Raises `DuchenneError` if the measuring process fails.
    """
    command = [sys.executable, "-m", "duchenne.scenarios.bench_synergy", str(problems)]
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
            f"the synergy benchmark's own process failed (exit code {child.returncode}): {complaint[-800:]}"
        )
    return figures


def envelopes(problems: int, seed: int = 0, told: Callable[[], None] = lambda: None) -> np.ndarray:
    """Envelopes (problems, 3600, 7) of simulated people who make expressions for a minute, each channel's top 1.

    Ten people are recorded; the others are these with other electrode gains, another first instant and more noise.
    """
    from ..learning.signals import bandpass, envelope
    from ..sim.person.person import Person

    rng = np.random.default_rng(seed)
    recorded = []
    for number in range(min(PEOPLE, problems)):
        person = Person.sample(seed + number)
        taken = person.perform(
            "expressions", "proximal7", seed=seed + number, tier="interference", duration_s=SAMPLES / RATE_HZ
        )
        emg = taken["emg"]
        smooth = envelope(bandpass(emg.data, emg.rate_hz), emg.rate_hz)
        at = np.linspace(0, len(smooth) - 1, SAMPLES).round().astype(int)
        recorded.append(np.maximum(smooth[at], 0))
        told()
    made = np.empty((problems, SAMPLES, CHANNELS), np.float32)
    for number in range(problems):
        one = np.roll(recorded[number % len(recorded)], rng.integers(SAMPLES), axis=0)
        one = one / one.max(0) * np.exp(GAIN_SD * rng.normal(size=CHANNELS))
        one = one + NOISE * np.abs(rng.normal(size=one.shape))
        made[number] = one / one.max(0)
    return made


def _measure(problems: int, tell: Progress) -> Figures:
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    from ..learning.synergy import factorise

    stages, done = min(PEOPLE, problems) + 1 + -(-problems // BATCH), 0

    def step() -> None:
        nonlocal done
        done += 1
        tell(done, stages)

    warnings.simplefilter("ignore", ConvergenceWarning)  # 200 iterations are scikit-learn's own habit
    x = envelopes(problems, told=step)
    batch = min(BATCH, problems)

    def ours(which: np.ndarray) -> tuple[float, np.ndarray]:
        start = time.process_time()
        found = factorise(which, restarts=RESTARTS, batch=batch)
        return time.process_time() - start, found.relative_error

    def theirs(one: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Seconds and relative error a rank."""
        seconds, errors = np.zeros(CHANNELS), np.zeros(CHANNELS)
        for rank in range(1, CHANNELS + 1):
            start = time.process_time()
            errors[rank - 1] = min(
                NMF(rank, init="random", random_state=restart).fit(one).reconstruction_err_  # pyright: ignore[reportArgumentType]
                for restart in range(RESTARTS)
            )
            seconds[rank - 1] = time.process_time() - start
        return seconds, errors / np.linalg.norm(one)

    first_s, _ = ours(x[:batch])
    step()
    our_s, our_error, their_s, their_error = [], [], [], []
    for start in range(0, problems, batch):
        seconds, error = ours(x[start : start + batch])
        our_s.append(seconds)
        our_error.append(error[0])
        seconds, error = theirs(x[start])
        their_s.append(seconds)
        their_error.append(error)
        step()
    compile_s = max(first_s - our_s[0], 0.0)
    ratio = (np.array(our_error) / np.array(their_error))[:, :-1]
    each_s = np.mean(their_s, axis=0) * problems
    total_s = float(np.sum(our_s))
    return {
        "problems": float(problems),
        "speedup_over_sklearn": each_s.sum() / total_s,
        "speedup_with_compilation": each_s.sum() / (total_s + compile_s),
        "speedup_below_full_rank": each_s[:-1].sum() / total_s,
        "error_ratio": float(ratio.mean()),
        "error_ratio_worst": float(ratio.max()),
        "total_s": total_s,
        "compile_s": compile_s,
        "sklearn_s": float(each_s.sum()),
        "sklearn_problems": float(len(their_s)),
        "rank_3_relative_error": float(np.array(our_error)[:, 2].mean()),
        "rank_7_relative_error": float(np.array(our_error)[:, 6].mean()),
        "sklearn_rank_7_relative_error": float(np.array(their_error)[:, 6].mean()),
    }


def _say(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _say(figures=_measure(int(sys.argv[1]), lambda done, total: _say(done=done, total=total)))
