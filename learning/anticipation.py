"""Anticipation: from the camera, from the muscles' electricity, or from both, what a face is about to show.

    anticipator = Anticipator.default("proximal7")       # or Anticipator.default() for the camera alone
    watcher = anticipator.stream()
    watcher.see(time_s, face_m)                          # as pictures come in, (468, 3) m from rest
    watcher.hear(time_s, emg_uv)                         # as EMG comes in, (n, C) µV
    expectation = watcher.expect(now_s)                  # target, time of arrival, uncertainty, the course until then

While she is seen and heard, a watcher learns how her muscles move her face (`anticipation_habit`). Trained on
simulated people (`duchenne train anticipation`). A lost face, dead channels, gaps and jumping clocks leave
it with what remains, and it says so.
"""

import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..sim.errors import InputError, ModelFileError, VocabularyError
from ..sim.person.encounter import EMG_HZ
from .anticipation_habit import LATER_S, Habit, Population, effort
from .anticipation_lessons import CALLED
from .anticipation_network import AHEAD_FRAMES, Aim, Network, Outlook, Senses, Shape
from .anticipation_senses import BINS, FRAMES, PERIOD_S, Ears, Eyes
from .checkpoint import Checkpoint, load, save
from .expectation import NEUTRAL, Expectation, between, checked_face
from .face_space import FaceSpace

Array = NDArray[np.floating]

KIND = "anticipation"
SHIPPED = ("camera", "proximal7", "epidermal10", "distal4")
"""Models that come with the package: for the camera alone, and for each of these montages with or without camera."""
_AHEAD_S = PERIOD_S * np.array(AHEAD_FRAMES)
_EARLY_S = {(True, False): 0.15, (True, True): 0.03, (False, True): 0.02}
"""A course that is a mean of what may come sets out with doubt, and so is late; this much further ahead is looked. By
what there is, camera and EMG. Chosen on ten simulated people so that rises come on time as far as the error of the face
grows by a few percent at most."""
_HEARD_SHARE = 0.45
"""With both senses, this share of the course is what the ears alone expect: they are sooner. Chosen on simulated people
whom the shipped models have not met."""
_BOTH, _EARS = Senses(sees=True, hears=True), Senses(sees=False, hears=True, remembers=False)
"""Beside eyes, ears alone remember nothing: behind a mask a habit learns that muscles move little."""
_LEARNT_EVERY_S = 0.5 * PERIOD_S
"""Habits are learnt from no more pictures than that."""
_ROOT_2 = math.sqrt(2)
"""SD of a Laplace distribution over its mean absolute deviation."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Anticipator:
    """A trained network, the space of its faces and the EMG channels that it knows, in order (none: camera only).

    population: how muscles usually move faces, with channels only.
    """

    network: Network
    space: FaceSpace
    channels: tuple[str, ...] = ()
    montage: str = ""
    population: Population | None = None

    def __post_init__(self) -> None:
        shape = self.network.shape
        if bool(self.channels) != (self.population is not None):
            raise InputError("an anticipator that hears needs a population, and only that one")
        if (shape.components, shape.channels) != (len(self.space), len(self.channels)):
            raise InputError(
                f"an anticipator's network has {shape.components} components and {shape.channels} channels; its space "
                f"has {len(self.space)}, and {len(self.channels)} channels are named"
            )

    @classmethod
    @cache
    def default(cls, montage: str | None = None) -> "Anticipator":
        """The shipped model for a montage, or for the camera alone. Raises `VocabularyError`."""
        name = montage or "camera"
        if name not in SHIPPED:
            raise VocabularyError(
                f"no anticipation is shipped for {name!r}; there is one for {', '.join(SHIPPED)}; make one with "
                f"duchenne train anticipation --montage {name} and load it"
            )
        with as_file(files("duchenne.learning") / "data" / f"anticipation_{name}.npz") as path:
            return cls.load(path)

    def stream(self, emg_hz: float = EMG_HZ) -> "Anticipating":
        """A watcher of one person; `emg_hz` is the rate at which her EMG will come."""
        return Anticipating(self, emg_hz)

    def save(self, path: str | Path, about: dict[str, object] | None = None) -> Path:
        """Write a checkpoint; `about` adds facts such as how it was trained. Raises `ModelFileError`."""
        arrays = {f"weight_{k}": w.astype(np.float16) for k, w in enumerate(self.network.weights)}
        arrays |= {f"bias_{k}": b for k, b in enumerate(self.network.biases)}
        arrays |= {f"aim_weight_{k}": w.astype(np.float16) for k, w in enumerate(self.network.aim.weights)}
        arrays |= {f"aim_bias_{k}": b for k, b in enumerate(self.network.aim.biases)}
        units = dict.fromkeys(arrays, "1")
        arrays |= {"basis": self.space.basis.astype(np.float16), "scale_mm": self.network.scale_mm}
        units |= {"basis": "1", "scale_mm": "mm"}
        if self.population is not None:
            arrays |= {"usual_mm": self.population.faces_mm, "precision": self.population.precision}
            units |= {"usual_mm": "mm", "precision": "1"}
        facts = {"channels": list(self.channels), "montage": self.montage, "expressions": list(CALLED)}
        return save(path, Checkpoint(kind=KIND, arrays=arrays, units=units, about=facts | (about or {})))

    @classmethod
    def load(cls, path: str | Path) -> "Anticipator":
        """Read what `save` wrote. Raises `ModelFileError`."""
        checkpoint = load(path, KIND)
        arrays, about = checkpoint.arrays, checkpoint.about
        try:
            if about["expressions"] != list(CALLED):
                raise ModelFileError(f"{path} knows {about['expressions']}, wanted are {list(CALLED)}; train it anew")
            channels = tuple(str(name) for name in about["channels"])  # type: ignore[union-attr]
            weights, biases, aim_weights, aim_biases = (
                tuple(arrays[f"{name}_{k}"].astype(np.float32) for k in range(3))
                for name in ("weight", "bias", "aim_weight", "aim_bias")
            )
            space = FaceSpace(arrays["basis"].astype(np.float32))
            shape = Shape(len(space), len(channels), len(biases[0]))
            network = Network(
                shape, arrays["scale_mm"].astype(np.float32), weights, biases, Aim(aim_weights, aim_biases)
            )
            usual = Population(arrays["usual_mm"], arrays["precision"]) if channels else None
            return cls(network=network, space=space, channels=channels, montage=str(about["montage"]), population=usual)
        except (KeyError, TypeError) as error:
            raise ModelFileError(f"{path} lacks a part of an anticipator ({error}); train it anew") from error


class Anticipating:
    """A `Watcher` that looks ahead. Make one with `Anticipator.stream`."""

    def __init__(self, anticipator: Anticipator, emg_hz: float = EMG_HZ):
        self.anticipator = anticipator
        self._eyes = Eyes(anticipator.space)
        self._ears = Ears(anticipator.channels, emg_hz) if anticipator.channels else None
        self._habit = None if anticipator.population is None else Habit(anticipator.population)
        self._learnt_s = -math.inf
        shape = anticipator.network.shape
        self._no_faces = np.zeros((FRAMES, shape.components), np.float32)
        self._no_habit = np.zeros(shape.habit, np.float32)
        self._no_sound = np.zeros((BINS, shape.channels), np.float32), np.zeros(shape.channels, np.float32)

    def see(self, time_s: float, face_m: Array | None) -> None:
        self._eyes.see(time_s, None if face_m is None else checked_face(face_m))
        if face_m is not None and abs(time_s - self._learnt_s) > _LEARNT_EVERY_S:
            self._learn(time_s)

    def hear(self, time_s: float, emg_uv: Array) -> None:
        """EMG (n, C) µV in the order of `Anticipator.channels`. Raises `InputError` where it knows no EMG."""
        if self._ears is None:
            raise InputError("this anticipator was trained for the camera alone; load one for your montage")
        self._ears.hear(time_s, emg_uv)

    def expect(self, now_s: float) -> Expectation:
        seen_s = self._eyes.reference_s(now_s)
        heard_s = None if self._ears is None else self._ears.reference_s(now_s)
        problem = self.problem(now_s)
        if seen_s is None and heard_s is None:
            nothing = np.zeros_like(self.anticipator.space.decode(self._no_faces[0]))
            return Expectation(time_s=now_s, shown_m=nothing, target_m=nothing, problem=problem)
        reference_s = seen_s if seen_s is not None else heard_s
        assert reference_s is not None
        sees, hears = seen_s is not None, heard_s is not None
        said = self._say(reference_s, sees, hears)
        return self._expectation(now_s, now_s - reference_s, said, sees, hears, problem)

    def problem(self, now_s: float) -> str:
        """What is missing, in words; empty if nothing is."""
        found = [self._eyes.problem(now_s), "" if self._ears is None else self._ears.problem(now_s)]
        return "; ".join(filter(None, found))

    def _learn(self, time_s: float) -> None:
        """How the EMG of a while ago has moved her face since."""
        before_s = time_s - LATER_S
        if self._habit is None or self._ears is None or not self._ears.knows(before_s):
            return
        loud, alive = self._ears.window(before_s)
        if alive.all():
            self._habit.learn(effort(loud, alive), self._eyes.newest)
            self._learnt_s = time_s

    def _say(self, reference_s: float, sees: bool, hears: bool) -> Outlook:
        faces = self._eyes.window() if sees else self._no_faces
        loud, alive = self._ears.window(reference_s) if hears and self._ears is not None else self._no_sound
        habit = self._habit.says(effort(loud, alive)) if self._habit and hears and alive.all() else self._no_habit
        both = sees and hears
        senses = (_BOTH, _EARS) if both else (Senses(sees, hears),)
        every = self.anticipator.network(faces, loud, alive.astype(np.float32), habit, senses)
        course = every.course[0]
        if both:
            course = course + _HEARD_SHARE * (every.course[1] - course)
        return Outlook(course, *(part[0] for part in every[1:]))

    def _expectation(
        self, now_s: float, age_s: float, said: Outlook, sees: bool, hears: bool, problem: str
    ) -> Expectation:
        space, arrival_s = self.anticipator.space, float(said.arrival_s) - age_s
        rising = 0.5 + 0.5 * math.tanh(0.5 * float(said.rising))
        arrives, shown_m = rising > 0.5, space.decode(between(_AHEAD_S, said.course, age_s))
        expression = CALLED[int(said.expression.argmax())]
        shows = arrives or expression != NEUTRAL
        after_s = age_s + _EARLY_S[sees, hears]
        return Expectation(
            time_s=now_s,
            shown_m=shown_m,
            target_m=space.decode(said.target) if shows else shown_m,
            arrival_s=max(arrival_s, 0.0) if arrives else 0.0,
            arrival_sd_s=_ROOT_2 * float(np.exp(said.log_arrival_sd)) if arrives else 0.0,
            target_sd_m=1e-3 * _ROOT_2 * float(np.exp(said.log_target_sd)) if shows else 0.0,
            probability=rising,
            expression=expression,
            sources=tuple(name for name, used in (("camera", sees), ("emg", hears)) if used),
            problem=problem,
            course=lambda ahead_s: space.decode(between(_AHEAD_S, said.course, ahead_s + after_s)),
        )


__all__ = ["SHIPPED", "Anticipating", "Anticipator"]
