"""Person: drive somebody's facial muscles, see her EMG, landmarks and action units, reach patterns of action units."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import EzPickle
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..person import moment
from ..person.anatomy import ANATOMY, MUSCLE_NAMES, MUSCLES
from ..person.artefacts import preset
from ..person.electrodes import montage as named_montage
from ..person.person import Person
from ..person.portrait import Portrait
from .common import box, checked_action, into, no_more, one_of, settings
from .person_goals import TERMS, WIDTH, Goals, Reward, distance, given_goal
from .robot_bodies import LANDMARKS

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
METADATA: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 25}
_SEEN: tuple[str, ...] = ("emg", "landmarks", "activation")


@lru_cache(maxsize=64)
def _built(who: int | None, conditions: tuple[str, ...], montage: str, quality: str) -> moment.Body:
    """Somebody's body, None for the mean adult; kept, since it takes up to a second to make."""
    person = Person() if who is None else Person.sample(who)
    for condition in conditions:
        person = person.with_condition(condition)
    return moment.body_of(person, montage, quality)


class PersonEnv(gymnasium.Env, EzPickle):
    """`duchenne/Person-v0`, described in docs/env_person.md.

    Args:
        muscles: `all`, 48 excitations, or `symmetric`, 24.
        synergies: (K, 48) in 0…1; actions are then the activity of K synergies, which add up, and not of muscles.
        observe: which of `emg`, `landmarks`, `activation` are observed, in that order.
        people: `mean`, the mean adult; `sampled`, somebody else each episode; or the number of one person, as
            `Person.sample` takes it.
        crowd: how many people are sampled from, numbers 0 … crowd − 1.
        condition: one or several of `person.PATHOLOGIES`, or None.
        montage, quality: the electrodes' places and noise, as `Person.perform` takes them.
        emg: `measured`, the RMS in one control period, which scatters; or `expected`, its closed form.
        goals: `expressions`, `units`, or words to choose from such as ["happiness", "R12+L14"].
        reward: weights, a `Reward` or a mapping of its fields.
        control_hz: actions a second, 125 divided by a whole number.
        look, width_px, height_px: the picture of `render`.
        render_mode: `rgb_array` or None.
    """

    metadata: dict[str, Any] = METADATA

    def __init__(
        self,
        *,
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
        render_mode: str | None = None,
    ):
        given = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        EzPickle.__init__(self, **given)
        one_of("muscles", muscles, ("symmetric", "all"))
        one_of("emg", emg, ("measured", "expected"))
        if render_mode is not None:
            one_of("render_mode", render_mode, tuple(self.metadata["render_modes"]))
        self.render_mode = render_mode
        self._mixing, self.action_names = _mixing(muscles, synergies)
        self._people, self._crowd = _checked_people(people, crowd)
        conditions = (condition,) if isinstance(condition, str) else tuple(condition or ())
        for name in conditions:
            Person().with_condition(name)
        preset(quality)
        channels = named_montage(montage).channel_names
        self._worn = conditions, montage, quality
        self._measured = emg == "measured"
        self._goals = Goals(goals, both_sides=muscles == "symmetric" and synergies is None)
        self._reward = settings(Reward, reward)
        self._steps = _steps(control_hz)
        self.metadata = METADATA | {"render_fps": max(1, round(moment.CONTROL_HZ / self._steps))}
        self._picture = look, width_px, height_px
        self._actions = box(-1, 1, len(self.action_names))
        self.action_space = self._actions
        self._observed = tuple(one_of("observe", name, _SEEN) for name in observe)
        if not self._observed or len(set(self._observed)) != len(self._observed):
            raise InputError(f"observe: got {list(observe)}; name one or more of {', '.join(_SEEN)}, each once")
        bounds, self.observation_names = _observed(self._observed, channels)
        self.observation_space = spaces.Dict(
            {
                "observation": spaces.Box(*bounds, dtype=np.float32),
                "achieved_goal": box(0, 1, WIDTH),
                "desired_goal": box(0, 1, WIDTH),
            }
        )
        self._bounds, self._goal_bounds = spaces.Box(*bounds, dtype=np.float32), box(0, 1, WIDTH)
        self._who: int | None = None
        self._body: moment.Body | None = None
        self._portrait: Portrait | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Somebody at rest and a new goal.

        options: `goal`, words or numbers, see `person_goals.given_goal`; `person`, a number or "mean".
        """
        options = no_more(options, ("goal", "person"))
        goal = given_goal(options["goal"]) if "goal" in options else None
        people = _checked_people(options["person"], self._crowd)[0] if "person" in options else self._people
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(self._crowd)) if people == "sampled" else None
        self._meet(people if isinstance(people, int) else drawn)
        drawn_goal = self._goals.draw(self.np_random)
        self._goal = drawn_goal if goal is None else goal
        assert self._body is not None
        self._state = moment.init(self._body)
        observation = self._advance(np.zeros(len(MUSCLES), np.float32), steps=1)
        return observation, self._info(observation, np.zeros(len(MUSCLES), np.float32))

    def step(self, action: ArrayLike) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Excite the muscles for one control period. Raises `InputError` for an action that is not allowed."""
        if self._body is None:
            raise InputError("step: nobody is there yet; call reset() first")
        excitation = self.excitation(action)
        observation = self._advance(excitation, self._steps)
        info = self._info(observation, excitation)
        return observation, sum(info["reward_terms"][name] for name in TERMS), False, False, info

    def excitation(self, action: ArrayLike) -> NDArray[np.float32]:
        """Excitation (48,) 0…1 above resting tone, by `MUSCLE_NAMES`, that an action asks for. Raises `InputError`."""
        level = 0.5 * (checked_action(action, self._actions, self.action_names) + 1)
        return np.clip(level @ self._mixing, 0, 1).astype(np.float32)

    def compute_reward(
        self,
        achieved_goal: ArrayLike,
        desired_goal: ArrayLike,
        info: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> Any:
        """Reward (…,) of goals (…, 48): the match, plus the price of effort where `info` names it.

        With the info of a step this is the step's reward; many goals take a sequence of as many infos.
        """
        match = self._reward.matched(distance(achieved_goal, desired_goal))
        if info is None or len(info) == 0:
            return match
        if isinstance(info, Mapping):
            return match + info.get("reward_terms", {}).get("effort", 0.0)
        paid = np.array([one.get("reward_terms", {}).get("effort", 0.0) for one in info])
        return match + paid.reshape(match.shape)

    def render(self) -> np.ndarray | None:
        """Her portrait, (height, width, 3) uint8; None without render mode."""
        if self.render_mode is None:
            return None
        if self._body is None:
            raise InputError("render: nobody is there yet; call reset() first")
        if self._portrait is None:
            look, width_px, height_px = self._picture
            rest_m = np.asarray(self._body.face.rest)
            self._portrait = Portrait(look, rest_m=rest_m, width_px=width_px, height_px=height_px)
        return self._portrait.image(self._vertices_m)

    def close(self) -> None:
        """Give the OpenGL context back, if there is one; any number of times."""
        if self._portrait is not None:
            self._portrait.close()
            self._portrait = None

    def _meet(self, who: int | None) -> None:
        if self._body is None or who != self._who:
            self.close()
            self._who, self._body = who, _built(who, *self._worn)

    def _advance(self, excitation: NDArray[np.float32], steps: int) -> dict[str, np.ndarray]:
        assert self._body is not None
        self._state, shown = moment.step(self._body, self._state, excitation, steps=steps)
        self._vertices_m = np.asarray(shown.vertices_m)
        parts = {"activation": lambda: shown.activation, "landmarks": self._landmarks_mm}
        parts["emg"] = lambda: self._emg_uv(np.asarray(shown.power_uv2, float)) / _UV
        observed = np.concatenate([np.ravel(parts[name]()) for name in self._observed])
        return {
            "observation": into(self._bounds, observed),
            "achieved_goal": into(self._goal_bounds, np.ravel(shown.units)),
            "desired_goal": self._goal.copy(),
        }

    def _landmarks_mm(self) -> NDArray[np.floating]:
        assert self._body is not None
        places = np.array(LANDMARKS)
        return 1e3 * (self._vertices_m[places] - np.asarray(self._body.face.rest)[places])

    def _emg_uv(self, power_uv2: NDArray[np.floating]) -> NDArray[np.floating]:
        """RMS (C,) µV of a control period, from every muscle's expected power (48, C) in every channel.

        Measured, the power of a muscle scatters as χ², alike in all channels, which hear one waveform; so does each
        channel's noise. What is between waveforms of different muscles in so short a time is left out.
        """
        assert self._body is not None
        noise_uv2 = np.asarray(self._body.noise_uv2, float)
        if self._measured:
            seconds = self._steps / moment.CONTROL_HZ
            half = 0.5 * seconds * np.asarray(self._body.freedom, float)
            power_uv2 = power_uv2 * self.np_random.gamma(half, 1 / half)[:, None]
            half = 0.5 * seconds * _NOISE_FREEDOM
            noise_uv2 = noise_uv2 * self.np_random.gamma(half, 1 / half, noise_uv2.shape)
        return np.sqrt(power_uv2.sum(0) + noise_uv2)

    def _info(self, observation: dict[str, np.ndarray], excitation: NDArray[np.float32]) -> dict[str, Any]:
        apart = distance(observation["achieved_goal"], observation["desired_goal"])
        effort = float(np.mean(np.square(excitation, dtype=float)))
        return {
            "distance": float(apart),
            "effort": effort,
            "is_success": float(apart < self._reward.success),
            "person": -1 if self._who is None else self._who,
            "excitation": excitation.copy(),
            "reward_terms": {
                "match": float(self._reward.matched(apart)),
                "effort": -self._reward.effort * effort,
            },
        }


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


def _checked_people(people: Any, crowd: int) -> tuple[str | int, int]:
    if isinstance(people, bool) or not isinstance(people, int | np.integer):
        one_of("people", people, ("mean", "sampled"))
    elif people < 0:
        raise InputError(f"people: got {people}; allowed are numbers from 0, 'mean' and 'sampled'")
    if not (isinstance(crowd, int) and crowd >= 1):
        raise InputError(f"crowd: got {crowd!r}; allowed are whole numbers from 1")
    return people if isinstance(people, str) else int(people), crowd


def _steps(control_hz: float) -> int:
    steps = moment.CONTROL_HZ / control_hz if np.isfinite(control_hz) and control_hz > 0 else 0.0
    if not (1 <= steps <= 125 and abs(steps - round(steps)) < 1e-9):
        raise InputError(f"control_hz: got {control_hz}; allowed is 125 divided by 1, 2, … 125, for instance 25")
    return round(steps)


def _observed(names: tuple[str, ...], channels: tuple[str, ...]) -> tuple[tuple[np.ndarray, np.ndarray], tuple]:
    """Bounds, low and high, and names of the entries of an observation."""
    entries = {
        "emg": [(f"EMG, {channel}", 0.0, LARGEST_UV / _UV) for channel in channels],
        "landmarks": [(f"landmark {place}, {axis}", -LARGEST_MM, LARGEST_MM) for place in LANDMARKS for axis in "xyz"],
        "activation": [(f"activation, {muscle}", 0.0, 1.0) for muscle in MUSCLE_NAMES],
    }
    words, low, high = zip(*(entry for name in names for entry in entries[name]), strict=True)
    return (np.array(low, np.float32), np.array(high, np.float32)), words


__all__ = ["LARGEST_MM", "LARGEST_UV", "Muscles", "PersonEnv", "Seen"]
