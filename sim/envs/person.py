"""Person: drive somebody's facial muscles, see her EMG, landmarks and action units, reach patterns of action units."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from os import cpu_count
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..person import moment
from ..person.anatomy import ANATOMY, MUSCLE_NAMES, MUSCLES
from ..person.artefacts import preset
from ..person.electrodes import montage as named_montage
from ..person.portrait import Portrait
from .common import box, checked_action, into, one_of, settings
from .many import Many
from .people import Crowd, met
from .person_goals import WIDTH, Goals, Reward, distance, given_goal
from .robot_bodies import LANDMARKS, substeps
from .single import GoalSingle
from .world import Ids, World, effort

Muscles = Literal["symmetric", "all"]
"""`symmetric`: 24 muscles, both sides alike. `all`: 48, each muscle's right, then its left."""
Seen = Literal["emg", "landmarks", "activation"]
LARGEST_UV = 5000.0
"""Bound of EMG amplitudes; amplifiers saturate there."""
LARGEST_MM = 60.0
"""Bound of a landmark's displacement."""
_UV = 100.0
"""Amplitudes are observed in this many µV."""
_NOISE_FREEDOM = 2 * (moment.BAND_HZ[1] - moment.BAND_HZ[0])
_SEEN: tuple[str, ...] = ("emg", "landmarks", "activation")


@lru_cache(maxsize=64)
def body_of(who: int, conditions: tuple[str, ...], montage: str, quality: str) -> moment.Body:
    """Somebody's body, kept, since it takes some seconds to make."""
    return moment.body_of(met(who, conditions), montage, quality)


class PersonWorld(World):
    """The task of `duchenne/Person-v0`, described in docs/env_person.md.

    Args:
        count: number of people at once.
        threads: worker threads; 0 takes all cores. Results do not depend on it.
        muscles: `all`, 48 excitations, or `symmetric`, 24.
        synergies: (K, 48) in 0…1; actions are then the activity of K synergies, which add up, and not of muscles.
        observe: which of `emg`, `landmarks`, `activation` are observed, in that order.
        people, crowd, condition: who she is, see `Crowd`.
        montage, quality: the electrodes' places and noise, as `Person.perform` takes them.
        emg: `measured`, the RMS in one control period, which scatters; or `expected`, its closed form.
        goals: `expressions`, `units`, or words to choose from such as ["happiness", "R12+L14"].
        reward: weights, a `Reward` or a mapping of its fields.
        control_hz: actions a second, 125 divided by a whole number.
        look, width_px, height_px: the picture of `render`.
    """

    terms = ("match", "effort")
    reset_options = ("goal", "person")

    def __init__(
        self,
        count: int,
        *,
        threads: int = 1,
        muscles: Muscles = "all",
        synergies: ArrayLike | None = None,
        observe: Sequence[Seen] = ("emg", "landmarks"),
        people: str | int = "mean",
        crowd: int = 8,
        condition: str | Sequence[str] | None = None,
        montage: str = "proximal7",
        quality: str = "wired active",
        emg: Literal["measured", "expected"] = "measured",
        goals: str | Sequence[str] = "expressions",
        reward: Reward | Mapping[str, float] | None = None,
        control_hz: float = 25.0,
        look: str = "chestnut",
        width_px: int = 480,
        height_px: int = 480,
    ):
        one_of("muscles", muscles, ("symmetric", "all"))
        one_of("emg", emg, ("measured", "expected"))
        self.mixing, self.action_names = _mixing(muscles, synergies)
        self._crowd = Crowd(people, crowd, condition)
        preset(quality)
        channels = named_montage(montage).channel_names
        self._worn = self._crowd.conditions, montage, quality
        self._measured = emg == "measured"
        self._goals = Goals(goals, both_sides=muscles == "symmetric" and synergies is None)
        self._reward = settings(Reward, reward)
        self._steps = substeps(control_hz, moment.CONTROL_HZ)
        self.fps = moment.CONTROL_HZ / self._steps
        self._picture, self._portraits = (look, width_px, height_px), {}
        self.action_space = box(-1, 1, len(self.action_names))
        self._observed = tuple(one_of("observe", name, _SEEN) for name in observe)
        if not self._observed or len(set(self._observed)) != len(self._observed):
            raise InputError(f"observe: got {list(observe)}; name one or more of {', '.join(_SEEN)}, each once")
        bounds, self.observation_names = _observed(self._observed, channels)
        self._bounds, self._goal_bounds = spaces.Box(*bounds, dtype=np.float32), box(0, 1, WIDTH)
        self.observation_space = spaces.Dict(
            {"achieved_goal": box(0, 1, WIDTH), "desired_goal": box(0, 1, WIDTH), "observation": self._bounds}
        )
        self._bodies: list[Any] = [None] * count  # until the first reset, which is of all
        self._stacked: moment.Body | None = None
        self._state: Any = None
        self._shown: Any = None
        self._threads = min(count, threads or cpu_count() or 1)
        self._who = np.full(count, -1)
        self._excitation = np.zeros((count, len(MUSCLES)), np.float32)
        self._goal, self._units = np.zeros((2, count, WIDTH), np.float32)
        self._emg = np.zeros((count, len(channels)))

    def restart(self, ids: Ids, rngs: Sequence[np.random.Generator], options: Mapping[str, Any]) -> None:
        """Somebody at rest and a new goal.

        options: `goal`, words or numbers, see `person_goals.given_goal`; `person`, a number or "mean".
        """
        goal = given_goal(options["goal"]) if "goal" in options else None
        for i, rng in zip(ids, rngs, strict=True):
            self._meet(i, self._crowd.draw(rng, options.get("person")))
            drawn_goal = self._goals.draw(rng)
            self._goal[i] = drawn_goal if goal is None else goal
        self._excitation[ids] = 0
        self._move(ids, rngs, steps=1, anew=True)

    def advance(self, ids: Ids, actions: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        self._excitation[ids] = [self.excitation(action) for action in actions]
        self._move(ids, rngs, self._steps)
        return np.zeros(len(ids), bool)

    def excitation(self, action: np.ndarray) -> NDArray[np.float32]:
        """Excitation (48,) 0…1 above resting tone, by `MUSCLE_NAMES`, that an action inside its space asks for."""
        return np.clip(0.5 * (action + 1) @ self.mixing, 0, 1).astype(np.float32)

    def observe(self, ids: Ids) -> dict[str, np.ndarray]:
        parts = {
            "emg": lambda: self._emg[ids] / _UV,
            "landmarks": lambda: self._landmarks_mm(ids),
            "activation": lambda: self._shown.activation[ids],
        }
        observed = np.concatenate([parts[name]().reshape(len(ids), -1) for name in self._observed], axis=-1)
        return {
            "achieved_goal": self._units[ids],
            "desired_goal": self._goal[ids],
            "observation": into(self._bounds, observed),
        }

    def info(self, ids: Ids) -> dict[str, Any]:
        apart = distance(self._units[ids], self._goal[ids])
        cost = np.array([np.mean(np.square(one, dtype=float)) for one in self._excitation[ids]])
        return {
            "distance": apart,
            "effort": cost,
            "is_success": (apart < self._reward.success).astype(float),
            "person": self._who[ids],
            "excitation": self._excitation[ids],
            "reward_terms": {"match": self._reward.matched(apart), "effort": -self._reward.effort * cost},
        }

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any = None) -> Any:
        """See `GoalSingle`; goals (…, 48)."""
        match = self._reward.matched(distance(achieved_goal, desired_goal))
        return match + effort(info, ("effort",), match.shape)

    def pictures(self, ids: Ids) -> list[np.ndarray]:
        return [self._portrait(int(i)).image(self._shown.vertices_m[i]) for i in ids]

    def close(self) -> None:
        for portrait in self._portraits.values():
            portrait.close()
        self._portraits = {}

    def _portrait(self, i: int) -> Portrait:
        who = int(self._who[i])
        if who not in self._portraits:
            self.close()  # one OpenGL context at a time
            look, width_px, height_px = self._picture
            rest_m = np.asarray(self._bodies[i].face.rest)
            self._portraits[who] = Portrait(look, rest_m=rest_m, width_px=width_px, height_px=height_px)
        return self._portraits[who]

    def _meet(self, i: int, who: int) -> None:
        body = body_of(who, *self._worn)
        if body is not self._bodies[i]:
            self._bodies[i], self._stacked = body, None
            self._who[i] = who

    def _move(self, ids: Ids, rngs: Sequence[np.random.Generator], steps: int, anew: bool = False) -> None:
        """Move everybody, so that few shapes are compiled, and keep what `ids` did."""
        if self._stacked is None:
            self._stacked = _stack(self._bodies)
            self._resting = _resting(self._stacked)
        if anew:
            self._state = _put(self._state, self._resting, ids)
        state, shown = self._moved(steps)
        self._state, self._shown = _put(self._state, state, ids), _put(self._shown, shown, ids)
        self._units[ids] = into(self._goal_bounds, self._shown.units[ids].reshape(len(ids), -1))
        for i, rng in zip(ids, rngs, strict=True):
            self._emg[i] = self._emg_uv(i, np.asarray(self._shown.power_uv2[i], float), rng)

    def _moved(self, steps: int) -> tuple[moment.State, moment.Shown]:
        whole = self._stacked, self._state, self._excitation
        if self._threads == 1:
            return _steps(*whole, steps=steps)
        parts = np.array_split(np.arange(len(self._who)), self._threads)
        pieces = [jax.tree.map(lambda leaf, s=slice(part[0], part[-1] + 1): leaf[s], whole) for part in parts]
        with ThreadPoolExecutor(self._threads) as pool:
            done = list(pool.map(lambda piece: jax.block_until_ready(_steps(*piece, steps=steps)), pieces))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *done)

    def _landmarks_mm(self, ids: Ids) -> NDArray[np.floating]:
        places = list(LANDMARKS)
        rest = np.stack([np.asarray(self._bodies[i].face.rest)[places] for i in ids])
        return 1e3 * (self._shown.vertices_m[ids][:, places] - rest)

    def _emg_uv(self, i: int, power_uv2: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.floating]:
        """RMS (C,) µV of a control period, from every muscle's expected power (48, C) in every channel.

        Measured, the power of a muscle scatters as χ², alike in all channels, which hear one waveform; so does each
        channel's noise. What is between waveforms of different muscles in so short a time is left out.
        """
        body = self._bodies[i]
        noise_uv2 = np.asarray(body.noise_uv2, float)
        if self._measured:
            seconds = self._steps / moment.CONTROL_HZ
            half = 0.5 * seconds * np.asarray(body.freedom, float)
            power_uv2 = power_uv2 * rng.gamma(half, 1 / half)[:, None]
            half = 0.5 * seconds * _NOISE_FREEDOM
            noise_uv2 = noise_uv2 * rng.gamma(half, 1 / half, noise_uv2.shape)
        return np.sqrt(power_uv2.sum(0) + noise_uv2)


class PersonEnv(GoalSingle):
    """One person with a goal."""

    world = PersonWorld

    @property
    def observation_names(self) -> tuple[str, ...]:
        """What every entry of `observation` is called."""
        return self._world.observation_names

    def excitation(self, action: ArrayLike) -> NDArray[np.float32]:
        """Excitation (48,) 0…1 above resting tone, by `MUSCLE_NAMES`, that an action asks for. Raises `InputError`."""
        return self._world.excitation(checked_action(action, self._world.action_space, self._world.action_names))


class PersonVector(Many):
    """Many people, each with a goal, in one compiled loop."""

    world = PersonWorld


@partial(jax.jit, static_argnames="steps")
def _steps(bodies: Any, state: Any, excitation: Any, steps: int) -> tuple[moment.State, moment.Shown]:
    """`moment.step` for many. A loop and not `vmap`, whose sums come in another order for many than for one."""
    return jax.lax.map(lambda one: moment.step(*one, steps=steps), (bodies, state, excitation))


_resting = jax.jit(lambda bodies: jax.lax.map(moment.init, bodies))


def _stack(bodies: Sequence[moment.Body]) -> moment.Body:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *bodies)


def _put(kept: Any, fresh: Any, ids: Ids) -> Any:
    """A tree of arrays with rows `ids` taken from another; without a tree to keep, all of them."""
    if kept is None:
        return jax.tree.map(np.array, fresh)
    for old, new in zip(jax.tree.leaves(kept), jax.tree.leaves(fresh), strict=True):
        old[ids] = np.asarray(new)[ids]
    return kept


def _mixing(muscles: Muscles, synergies: ArrayLike | None) -> tuple[NDArray[np.floating], tuple[str, ...]]:
    """Excitation by action, (n, 48), and what the actions are called."""
    if synergies is None:
        if muscles == "all":
            return np.eye(len(MUSCLES)), MUSCLE_NAMES
        return np.repeat(np.eye(len(ANATOMY)), 2, axis=1), tuple(str(entry.muscle) for entry in ANATOMY)
    mixing = np.array(synergies, float)
    if mixing.ndim != 2 or not len(mixing) or mixing.shape[1] != len(MUSCLES):
        raise InputError(f"synergies: got shape {mixing.shape}; allowed is (K, {len(MUSCLES)}), as MUSCLE_NAMES")
    if not ((mixing >= 0) & (mixing <= 1)).all():
        raise InputError("synergies: got numbers that are not in 0 … 1; scale each synergy to its largest muscle")
    return mixing, tuple(f"synergy {number}" for number in range(1, len(mixing) + 1))


def _observed(names: tuple[str, ...], channels: tuple[str, ...]) -> tuple[tuple[np.ndarray, np.ndarray], tuple]:
    """Bounds, low and high, and names of the entries of an observation."""
    entries = {
        "emg": [(f"EMG, {channel}", 0.0, LARGEST_UV / _UV) for channel in channels],
        "landmarks": [(f"landmark {place}, {axis}", -LARGEST_MM, LARGEST_MM) for place in LANDMARKS for axis in "xyz"],
        "activation": [(f"activation, {muscle}", 0.0, 1.0) for muscle in MUSCLE_NAMES],
    }
    words, low, high = zip(*(entry for name in names for entry in entries[name]), strict=True)
    return (np.array(low, np.float32), np.array(high, np.float32)), words


__all__ = ["LARGEST_MM", "LARGEST_UV", "Muscles", "PersonEnv", "PersonVector", "PersonWorld", "Seen", "body_of"]
