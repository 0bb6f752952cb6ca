"""Measuring speed on one core: the environment of a process that keeps to it, and processor time of short runs.

A program that has started cannot be limited to one thread any more, so what is measured runs in a child process.
Processor time is hardly lengthened by other programs, and the quickest of many short runs hardly at all.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

from ..sim.errors import DuchenneError

ONE_CORE = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_COMPILATION_CACHE": "false",
}
"""What the child's environment has beside its parent's."""


def in_child(module: str, name: str) -> dict[str, float]:
    """Figures of a module's function, run in a process of one thread. Raises `DuchenneError`."""
    code = f"import json, {module} as m; print(json.dumps(m.{name}()))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **ONE_CORE}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DuchenneError(f"the benchmark {name!r} failed (exit code {done.returncode}): {done.stderr[-800:]}")
    return json.loads(done.stdout.splitlines()[-1])


def first_and_fastest_s(run: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Processor time (s) of a first call, compilation included, and the least of `repeats` more."""
    first, *later = (_processor_s(run) for _ in range(1 + repeats))
    return first, min(later)


def _processor_s(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start
