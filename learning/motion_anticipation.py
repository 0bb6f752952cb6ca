"""Anticipation of any moving face: from its last moments and from what this person has shown before.

    anticipator = MotionAnticipator.default()
    moving = anticipator.stream(weight)                  # faces (n,) of any kind and unit: points, blendshapes, meshes
    moving.see(time_s, face)                             # as pictures come in; None for a picture without a face
    moving.target()                                      # the face that it is on the way to

    watcher = MotionWatcher(anticipator)                 # the same as a `Watcher` of (468, 3) m from rest

Trained on motion alone (`motion_lessons`), on no face at all: it knows how things begin to move and come to a stop,
and that people repeat themselves. A face that is new in shape or kind is therefore as good as any.
"""

from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..sim.errors import InputError, ModelFileError
from ..sim.mesh import VERTEX_COUNT
from ..sim.person.encounter import STEADY
from ..sim.person.repertoire import EXPRESSIONS
from .checkpoint import Checkpoint, load, save
from .expectation import NEUTRAL, Expectation, between, checked_face
from .motion_lessons import AHEAD_FRAMES
from .motion_memory import RATE_HZ, MotionMemory
from .motion_network import LAYERS, Motives, Sayings

Array = NDArray[np.floating]

KIND = "motion"
PERIOD_S = 1 / RATE_HZ
AHEAD_S = PERIOD_S * np.array(AHEAD_FRAMES)
FORGOTTEN_S = 0.2
"""After no face for so long nothing is known of its motion; rest and apexes are kept."""
ALIKE, SHOWN_M = 0.5, 0.5e-3
"""An expression has a name if it is so like it (cosine), and moves landmarks so far (rms)."""


class Outlook(NamedTuple):
    """What is expected of a face: target (n,), course (H, n) at `AHEAD_S`, arrival_s and its SD, and the probability
    that an expression is on its way."""

    target: Array
    course: Array
    arrival_s: float
    arrival_sd_s: float
    probability: float


@dataclass(frozen=True, eq=False, kw_only=True)
class MotionAnticipator:
    """Trained networks, and the mean shape of every expression (7, 468, 3), of length 1, by which targets are named."""

    motives: Motives
    shapes: Array

    @classmethod
    @cache
    def default(cls) -> "MotionAnticipator":
        """The shipped one."""
        with as_file(files("duchenne.learning") / "data" / "motion.npz") as path:
            return cls.load(path)

    def stream(self, weight: ArrayLike | None = None) -> "Moving":
        """Follows one face. weight (n,): how much each coordinate counts, 0 or more; left out, all the same.

        Coordinates that do not count are expected to stay. Raises `InputError`.
        """
        return Moving(self, weight)

    def named(self, target_m: Array) -> str:
        """The expression that a face (468, 3) m from rest looks like most."""
        flat = np.asarray(target_m, float).ravel()
        size = float(np.linalg.norm(flat))
        if size < SHOWN_M * np.sqrt(VERTEX_COUNT):
            return NEUTRAL
        alike = self.shapes.reshape(len(self.shapes), -1) @ (flat / size)
        best = int(alike.argmax())
        return EXPRESSIONS[best] if alike[best] >= ALIKE else NEUTRAL

    def save(self, path: str | Path, about: dict[str, object] | None = None) -> Path:
        """Write a checkpoint; `about` adds facts such as how it was trained. Raises `ModelFileError`."""
        arrays = {f"weight_{k}": w.astype(np.float16) for k, w in enumerate(self.motives.weights)}
        arrays |= {f"bias_{k}": b for k, b in enumerate(self.motives.biases)}
        arrays["shapes"] = self.shapes.astype(np.float16)
        facts = {"expressions": list(EXPRESSIONS)} | (about or {})
        return save(path, Checkpoint(kind=KIND, arrays=arrays, units=dict.fromkeys(arrays, "1"), about=facts))

    @classmethod
    def load(cls, path: str | Path) -> "MotionAnticipator":
        """Read what `save` wrote. Raises `ModelFileError`."""
        checkpoint = load(path, KIND)
        try:
            if checkpoint.about["expressions"] != list(EXPRESSIONS):
                raise ModelFileError(f"{path} knows {checkpoint.about['expressions']}, wanted are {list(EXPRESSIONS)}")
            wide = {name: value.astype(np.float32) for name, value in checkpoint.arrays.items()}
            weights, biases = (tuple(wide[f"{n}_{k}"] for k in range(LAYERS)) for n in ("weight", "bias"))
            return cls(motives=Motives(weights, biases), shapes=wide["shapes"].astype(float))
        except KeyError as error:
            raise ModelFileError(f"{path} lacks a part of a motion anticipator ({error}); train it anew") from error


class Moving:
    """Follows one face; make one with `MotionAnticipator.stream`."""

    def __init__(self, anticipator: MotionAnticipator, weight: ArrayLike | None = None):
        self.anticipator = anticipator
        self._weight = None if weight is None else _checked_weight(np.asarray(weight, float))
        self._memory: MotionMemory | None = None
        self._said: Sayings | None = None
        self._seen_s = -np.inf
        self._seen = np.zeros(0)
        self._tick_s = 0.0

    @property
    def reference_s(self) -> float | None:
        """The moment that answers are of: when the newest face that is remembered was; None before the first."""
        return None if self._memory is None else self._tick_s

    def see(self, time_s: float, face: ArrayLike | None) -> None:
        """A face, of as many numbers every time, and when it was; None for none.

        Faces may come at any rate, and are remembered at `RATE_HZ`. A clock that goes back or a gap makes motion begin
        afresh. Raises `InputError`.
        """
        if not np.isfinite(time_s):
            raise InputError(f"time: got {time_s}; allowed are finite seconds of one clock")
        if face is None:
            return
        now = np.asarray(face, float).ravel()
        if self._memory is None:
            if not now.size:
                raise InputError("face: got no numbers")
            weight = np.ones(len(now)) if self._weight is None else self._weight
            self._seen, self._memory = np.zeros(len(weight)), MotionMemory(weight)
        if len(now) != len(self._seen) or not np.isfinite(now).all():
            raise InputError(
                f"face: got {len(now)} numbers, {np.count_nonzero(~np.isfinite(now))} of them not finite; allowed are "
                f"{len(self._seen)} finite ones, or None for no face"
            )
        passed_s = time_s - self._seen_s
        if not 0 < passed_s <= FORGOTTEN_S + 1e-6:
            self._remember(time_s, now, afresh=np.isfinite(self._seen_s))
        else:
            while self._tick_s + PERIOD_S <= time_s + 1e-3:
                tick_s = self._tick_s + PERIOD_S
                share = min((tick_s - self._seen_s) / passed_s, 1.0)
                self._remember(tick_s, self._seen + share * (now - self._seen) if share < 1 else now)
        self._seen_s, self._seen = time_s, now

    def target(self) -> Array:
        """The next apex (n,), if the face is on the way to one. Raises `InputError` before the first face."""
        memory, said = self._saying()
        return memory.faces(said.shares[0])

    def outlook(self) -> Outlook:
        """All that is expected, as of `reference_s`. Raises `InputError` before the first face."""
        memory, said = self._saying()
        faces = memory.faces(said.shares)
        return Outlook(
            target=faces[0],
            course=faces[1:],
            arrival_s=float(said.arrival_s),
            arrival_sd_s=float(np.sqrt(2) * np.exp(said.log_arrival_sd)),
            probability=float(1 / (1 + np.exp(-said.rising))),
        )

    def _remember(self, time_s: float, face: Array, *, afresh: bool = False) -> None:
        assert self._memory is not None
        self._memory.see(face, afresh=afresh)
        self._tick_s, self._said = time_s, None

    def _saying(self) -> tuple[MotionMemory, Sayings]:
        if self._memory is None:
            raise InputError("nothing was seen yet; show it a face first")
        if self._said is None:
            self._said = self.anticipator.motives(self._memory.gram, self._memory.clues, self._memory.known)
        return self._memory, self._said


class MotionWatcher:
    """A `Watcher` that looks ahead by motion alone, for the camera; it hears nothing."""

    def __init__(self, anticipator: MotionAnticipator | None = None):
        weight = np.ones((VERTEX_COUNT, 3))
        weight[~STEADY] = 0  # a blink is no expression
        self._moving = (anticipator or MotionAnticipator.default()).stream(weight.ravel())
        self._looked_s = -np.inf

    def see(self, time_s: float, face_m: Array | None) -> None:
        self._moving.see(time_s, None if face_m is None else checked_face(face_m))
        self._looked_s = time_s

    def hear(self, time_s: float, emg_uv: Array) -> None:
        pass

    def expect(self, now_s: float) -> Expectation:
        seen_s = self._moving.reference_s
        if seen_s is None or now_s - seen_s > FORGOTTEN_S + PERIOD_S:
            nothing = np.zeros((VERTEX_COUNT, 3))
            return Expectation(time_s=now_s, shown_m=nothing, target_m=nothing, problem=self._problem(now_s))
        age_s, said = now_s - seen_s, self._moving.outlook()
        course_m, ahead_s = said.course.reshape(-1, VERTEX_COUNT, 3), AHEAD_S - age_s
        arrives = said.probability > 0.5
        course = partial(between, ahead_s, course_m)
        shown_m = course(0.0)
        target_m = said.target.reshape(VERTEX_COUNT, 3) if arrives else shown_m
        return Expectation(
            time_s=now_s,
            shown_m=shown_m,
            target_m=target_m,
            arrival_s=max(said.arrival_s - age_s, 0.0) if arrives else 0.0,
            arrival_sd_s=said.arrival_sd_s if arrives else 0.0,
            probability=said.probability,
            expression=self._moving.anticipator.named(target_m),
            sources=("camera",),
            problem=self._problem(now_s),
            course=course,
        )

    def _problem(self, now_s: float) -> str:
        if now_s - self._looked_s > FORGOTTEN_S:
            return "no pictures" if np.isinf(self._looked_s) else f"no pictures for {now_s - self._looked_s:.1f} s"
        seen_s = self._moving.reference_s
        if seen_s is None:
            return "no face"
        return f"no face for {now_s - seen_s:.1f} s" if now_s - seen_s > FORGOTTEN_S else ""


def _checked_weight(weight: Array) -> Array:
    flat = weight.ravel()
    if not flat.size or not np.isfinite(flat).all() or (flat < 0).any() or not flat.any():
        raise InputError(f"weight: got shape {weight.shape}; allowed are finite numbers, 0 or more, not all 0")
    return flat


__all__ = ["AHEAD_S", "MotionAnticipator", "MotionWatcher", "Moving", "Outlook"]
