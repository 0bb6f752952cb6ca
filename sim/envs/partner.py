"""The person in front of the robot: what she does in one episode, all of it known beforehand.

    partner = Partner(people="sampled")
    take = partner.takes([rng])[0]

She does not react to the robot. So her whole episode, a take, is computed when it begins: acts, muscles, skin, EMG. A
take depends on its own random numbers only, not on who else is computed, nor on threads.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from .. import mesh
from ..errors import InputError
from ..person.behaviour import Act, Behaviour
from ..person.contacts import Montage
from ..person.dynamics import Dynamics, activate_init, activate_step, relax_init, relax_step
from ..person.emg import EmgModel
from ..person.mechanics import Face, equilibrium
from ..person.person import Person
from ..person.repertoire import EXPRESSIONS
from .people import Crowd, met
from .robot_bodies import LANDMARKS
from .wearable import RATE_HZ, Wearable

Array = NDArray[np.floating]

STEPS_HZ = 125.0
"""Her control clock, an eighth of the EMG's rate, as in recordings."""
LEAD_STEPS = 60
"""A take begins so many steps, 0.48 s, before its episode: cameras and filters look back."""
LEAD_S = LEAD_STEPS / STEPS_HZ
EPISODE_S = 4.0
CALLED = ("neutral", *EXPRESSIONS)
"""What the codes of expressions mean; a smile is happiness."""


@dataclass(frozen=True, eq=False)
class Take:
    """One episode of one person, as on a face of mean size, since a camera cannot tell size from distance.

    person: her number, −1 for the mean adult. face: her skin and muscles.
    moved_mm (F, 69): displacement of `LANDMARKS` from her own neutral, at every control period from the reset on.
    coordinates (F, Q): of `face`, at the same times. pictures_mm (P, 69): displacements when the camera took pictures.
    expression (F,): codes by `CALLED`; phase (F,): by `behaviour.PHASES`; of the drive, which her skin follows late.
    acts_s (A, 2): beginning and end of the drive of each act, A ≥ 1.
    emg_uv (T, C): with the electrodes' noise, from `LEAD_S` before the reset on; None if she wears nothing.
    """

    person: int
    face: Face
    moved_mm: NDArray[np.float32]
    coordinates: NDArray[np.float32]
    pictures_mm: NDArray[np.float32]
    expression: NDArray[np.integer]
    phase: NDArray[np.integer]
    acts_s: Array
    emg_uv: NDArray[np.float32] | None


class Partner:
    """Somebody new, or somebody known, for each episode.

    Args:
        people, crowd, condition: who she is, see `Crowd`.
        wearable: her electrodes, or None.
        seconds: length of an episode; she stands still afterwards.
        frame_steps: steps of her clock in one control period of the robot.
        picture_hz: pictures a second of the camera that looks at her.
        threads: how many takes are computed at once; 0 takes all cores.
    """

    def __init__(
        self,
        *,
        people: str | int = "sampled",
        crowd: int = 8,
        condition: str | Sequence[str] | None = None,
        wearable: Wearable | None = None,
        seconds: float = EPISODE_S,
        frame_steps: int = 5,
        picture_hz: float = 25.0,
        threads: int = 1,
    ):
        self._crowd = Crowd(people, crowd, condition)
        if not 1.0 <= seconds <= 60.0:
            raise InputError(f"seconds: got {seconds!r}; allowed are 1 … 60")
        self._wearable, self._threads = wearable, threads or len(os.sched_getaffinity(0))
        self._seconds = seconds
        self.frames_s = np.arange(int(seconds * STEPS_HZ) // frame_steps + 1) * frame_steps / STEPS_HZ
        """When frames are, since the reset, (F,) s."""
        self.pictures_s = np.arange(-int(LEAD_S * picture_hz), int(seconds * picture_hz) + 1) / picture_hz
        """When pictures are taken, (P,) s, some of them before the reset."""
        self._steps = (LEAD_STEPS + int(np.ceil(seconds * STEPS_HZ)) + 1) | 1  # odd, see `_moved`
        times_s, place = np.unique(np.concatenate([self.frames_s, self.pictures_s]), return_inverse=True)
        at = np.clip((times_s + LEAD_S) * STEPS_HZ, 0, self._steps - 1)
        self._low = np.minimum(np.floor(at + 1e-6).astype(np.int32), self._steps - 2)
        self._share = np.clip(at - self._low, 0, 1).astype(np.float32)
        self._frames, self._pictures = place[: len(self.frames_s)], place[len(self.frames_s) :]

    def takes(self, rngs: Sequence[np.random.Generator], people: str | int | None = None) -> list[Take]:
        """A take for each generator; `people` stands in for that of the partner."""
        jobs = [(self._crowd.draw(rng, people), rng.integers(2**63, size=3)) for rng in rngs]
        at_once = min(self._threads, len(jobs))
        if at_once <= 1:
            return [self._take(who, seeds) for who, seeds in jobs]
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(self._meet, dict.fromkeys(who for who, _ in jobs)))  # nobody is built twice
            return list(pool.map(lambda job: self._take(*job), jobs))

    def _meet(self, who: int) -> "_Known":
        return _known(who, self._crowd.conditions, self._wearable.montage if self._wearable else None)

    def _take(self, who: int, seeds: NDArray[np.integer]) -> Take:
        acting, electric, noisy = seeds
        known, acts = self._meet(who), np.random.default_rng(acting)
        script = _script(acts, LEAD_S, LEAD_S + self._seconds)
        done, _ = known.person.behave(script, acts, STEPS_HZ, duration_s=self._steps / STEPS_HZ)
        excitation = known.person.traits.excite(done.excitation).astype(np.float32)
        moved, coordinates = _moved(
            known.face, known.at_rest, known.slowness, excitation, self._low, self._share, known.person.dynamics
        )
        moved_mm = (1e3 * known.scale * np.asarray(moved)).reshape(len(self._low), -1).astype(np.float32)
        return Take(
            person=who,
            face=known.face,
            moved_mm=moved_mm[self._frames],
            coordinates=np.asarray(coordinates)[self._frames],
            pictures_mm=moved_mm[self._pictures],
            emg_uv=self._emg_uv(known, excitation, int(electric), np.random.default_rng(noisy)),
            **_labels(done, np.rint((self.frames_s + LEAD_S) * STEPS_HZ).astype(int)),
        )

    def _emg_uv(self, known: "_Known", excitation: Array, seed: int, rng: np.random.Generator) -> Any:
        if self._wearable is None or known.model is None or known.worn is None:
            return None
        clean = known.model.interference(jax.random.key(seed), excitation).emg_uv
        return clean + self._wearable.noise_uv(known.worn, len(clean), rng)


class _Known(NamedTuple):
    """What takes need of a person. scale: a mean face's size over hers."""

    person: Person
    face: Face
    at_rest: jax.Array
    slowness: jax.Array
    scale: float
    worn: Montage | None
    model: EmgModel | None


@lru_cache(maxsize=64)
def _known(who: int, conditions: tuple[str, ...], montage: str | None) -> _Known:
    """Somebody, kept: she takes up to a second to make, with electrodes three."""
    person = met(who, conditions)
    face, worn = person.face, None if montage is None else person.wear(montage)
    rest = np.asarray(face.rest)
    return _Known(
        person=person,
        face=face,
        at_rest=equilibrium(face, jnp.asarray(person.traits.excite(person.habits.tone), jnp.float32)),
        slowness=jnp.asarray(person.traits.slowness, jnp.float32),
        scale=mesh.OUTER_EYE_DISTANCE_M / float(np.linalg.norm(rest[33] - rest[263])),
        worn=worn,
        model=None if worn is None else person.emg(worn, RATE_HZ),
    )


def _script(rng: np.random.Generator, start_s: float, end_s: float) -> tuple[Act, ...]:
    """Acts with neutral stretches before, between and after them; the stretches' lengths are a choice."""
    acts: list[Act] = []
    onset_s = start_s + rng.uniform(0.2, 0.4 * (end_s - start_s))
    while not acts or onset_s < end_s - 0.8:
        kind = "posed" if rng.random() < 0.5 else "spontaneous"
        act = Act(
            what=str(rng.choice([*EXPRESSIONS, "smile"])),
            onset_s=onset_s,
            hold_s=rng.uniform(0.3, 1.5),
            intensity=rng.uniform(0.5, 1.0),
            asymmetry=float(np.clip(0.1 * rng.standard_normal(), -0.3, 0.3)),
            kind=kind,
        )
        acts.append(act)
        usual = 1.0 if kind == "posed" else 1.65  # rise and fall, `habits.TIMINGS`
        onset_s += usual + (act.hold_s or 0.0) + rng.uniform(0.2, 1.2)
    return tuple(acts)


def _labels(done: Behaviour, steps: NDArray[np.integer]) -> dict[str, Any]:
    steps = np.minimum(steps, len(done.time_s) - 1)
    codes = np.array([CALLED.index(name) for name in done.expressions])
    acts = [(one.onset_s, one.onset_s + one.duration_s) for one in done.episodes if one.source == "act"]
    return {
        "expression": codes[done.expression[steps]],
        "phase": done.phase[steps].astype(int),
        "acts_s": np.array(acts) - LEAD_S,
    }


@partial(jax.jit, static_argnames="dynamics")
def _moved(
    face: Face,
    at_rest: jax.Array,
    slowness: jax.Array,
    excitation: jax.Array,
    low: jax.Array,
    share: jax.Array,
    dynamics: Dynamics,
) -> tuple[jax.Array, jax.Array]:
    """Displacements (n, 23, 3) m and coordinates (n, Q) at n moments between steps, as `Person.move` has them.

    The balance of forces is worked out every other step only: 0.05 mm at most.
    """
    lags = {"rate_hz": STEPS_HZ, "dynamics": dynamics, "slowness": slowness}

    def activating(state: Any, given: jax.Array) -> tuple[Any, jax.Array]:
        state = activate_step(state, given, **lags)
        return state, state.activation

    def relaxing(state: Any, given: jax.Array) -> tuple[Any, jax.Array]:
        return relax_step(state, given, **lags)

    _, activation = jax.lax.scan(activating, activate_init(excitation[0]), excitation)
    every_other = face.coordinates(activation[::2]) - at_rest
    middle = 0.5 * (every_other[:-1] + every_other[1:])
    wanted = jnp.stack([every_other[:-1], middle], axis=1).reshape(-1, at_rest.size)
    wanted = jnp.concatenate([wanted, every_other[-1:]])
    _, shown = jax.lax.scan(relaxing, relax_init(wanted[0]), wanted)
    between = (1 - share[:, None]) * shown[low] + share[:, None] * shown[low + 1]
    places = np.array(LANDMARKS)
    return face.vertices_of(between)[:, places] - face.rest[places], between


__all__ = ["CALLED", "EPISODE_S", "LEAD_S", "Partner", "Take"]
