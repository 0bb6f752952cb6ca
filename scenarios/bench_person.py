"""Benchmark of the person's mechanics: speed of the fast face, its error against the reference, its inverse.

Speeds hold for one core (`one_core`).
"""

from collections.abc import Callable

import numpy as np

from .benchmarks import Figures, Progress, _silent
from .one_core import first_and_fastest_s, in_child

BATCH = 1024
HELD_OUT_SEED = 20262
"""Poses of this seed take no part in fitting the correction."""


def bench_person(progress: Progress = _silent, count: int = 200) -> Figures:
    """Speed, accuracy and invertibility of the person's face.

    `frames_per_s`: all 468 vertices from activations in batches of 1024, one core; `frames_per_s_gradient` with the
    gradient of a sum over them. `build_s`: a new person's face from tissue and shape. `vertex_error_rms_mm`: fast
    face against the nonlinear reference over `count` held-out poses; `linear_error_rms_mm` without its correction.
    `inverse_…`: mean error of activations recovered from exact landmarks in space, and from flat ones with 0.23 mm
    of noise, and how long one face takes.
    """
    steps = count + 2
    progress(0, steps)
    figures = in_child(__name__, "speed")
    progress(1, steps)
    figures |= in_child(__name__, "inverse")
    progress(2, steps)
    return figures | _accuracy(count, lambda done, _: progress(2 + done, steps))


def speed() -> Figures:
    """Frames a second; call it in a process of one thread."""
    import jax
    import jax.numpy as jnp

    from ..sim.person.anatomy import MUSCLES
    from ..sim.person.mechanics import build_face

    build_s = first_and_fastest_s(build_face, 3)[1]
    face = build_face()
    levels = np.random.default_rng(0).uniform(0, 1, (BATCH, len(MUSCLES)))
    activation = jnp.asarray(levels, jnp.float32)
    frames = jax.jit(lambda u: face.vertices(u))
    slopes = jax.jit(jax.value_and_grad(lambda u: (face.vertices(u) ** 2).sum()))
    return {
        "frames_per_s": BATCH / first_and_fastest_s(lambda: jax.block_until_ready(frames(activation)), 40)[1],
        "frames_per_s_gradient": BATCH / first_and_fastest_s(lambda: jax.block_until_ready(slopes(activation)), 15)[1],
        "build_s": build_s,
    }


def inverse(count: int = 32) -> Figures:
    """Error of inferred activations; call it in a process of one thread."""
    import jax
    import jax.numpy as jnp

    from ..sim import mesh
    from ..sim.facs import PAIRED, Muscle
    from ..sim.person.anatomy import MUSCLES, muscle_index
    from ..sim.person.inverse import infer
    from ..sim.person.mechanics import build_face

    face, rng = build_face(), np.random.default_rng(0)
    drive = (rng.random((count, len(MUSCLES))) < 0.4) * rng.uniform(0, 1, (count, len(MUSCLES)))
    drive[:, [muscle_index(name, of) for name in (Muscle.MASSETER, Muscle.TEMPORALIS) for of in PAIRED]] = 0
    seen = np.asarray(jax.jit(lambda u: face.vertices(u))(jnp.asarray(drive, jnp.float32)), float)
    inner = np.setdiff1d(np.arange(mesh.VERTEX_COUNT), mesh.FACE_OVAL)
    flat = seen[:, inner, :2] + rng.normal(0, 0.23e-3, (count, len(inner), 2))

    def errors(activation: jax.Array) -> float:
        """Mean error, with one jaw for both digastrics."""
        found = np.array(activation)
        jaw = [muscle_index(Muscle.DIGASTRIC, of) for of in PAIRED]
        wanted = drive.copy()
        found[:, jaw], wanted[:, jaw] = found[:, jaw].mean(1, keepdims=True), wanted[:, jaw].mean(1, keepdims=True)
        return float(np.abs(found - wanted).mean())

    exact = infer(face, seen).activation
    seconds = first_and_fastest_s(lambda: jax.block_until_ready(infer(face, seen).activation), 3)[1]
    noisy = infer(face, flat, vertices=inner, ridge_mm2=0.2).activation
    return {
        "inverse_error_exact": errors(exact),
        "inverse_error_flat": errors(noisy),
        "inverse_ms": 1e3 * seconds / count,
    }


def _accuracy(count: int, progress: Callable[[int, int], None]) -> Figures:
    """Errors of the shipped correction on poses that no fit has seen."""
    from ..sim.person.correction import Correction, evaluate
    from ..sim.person.reference import ReferenceFace
    from .fit_person import sample_poses, solve_poses

    activation, kind = sample_poses(np.random.default_rng(HELD_OUT_SEED), count)
    solved = solve_poses(ReferenceFace(), activation, kind, workers=2, progress=progress)
    figures = evaluate(Correction.load(), solved)
    return {
        **{name: figures[name] for name in ("vertex_error_rms_mm", "linear_error_rms_mm", "motion_rms_mm")},
        "worst_vertex_p95_mm": figures["worst_vertex_p95_mm"],
        "reference_converged_fraction": len(solved) / count,
    }
