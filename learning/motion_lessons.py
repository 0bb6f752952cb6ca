"""What a motion anticipator learns from: motion of no face in particular, drawn at random.

    motion = draw(np.random.default_rng(0))              # a path of some seconds in a space of eight directions
    lessons = study(motion, rng)                         # moments of it, with what comes next written beside them

No person, simulated or real, is in it. A path goes from one goal to the next and back to rest, each part of it smooth
and fastest in the middle (minimum jerk: Flash and Hogan 1985, J. Neurosci. 5:1688), and it repeats the goals of its
own small repertoire, more or less exactly. Then it is watched: by a camera with a rate, noise and pixels, on a head
that wanders. All ranges are choices, wide enough for whatever describes a face: meshes, points in a picture,
blendshapes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from ..sim.errors import InputError
from .motion_memory import RATE_HZ, MotionMemory
from .peak_activation import apexes

Array = NDArray[np.floating]

DIRECTIONS = 8
AHEAD_FRAMES = (0, 2, 4, 6, 8, 10, 14)
"""The course is taught at these numbers of frames after the moment."""
LEADS = 14
"""A target is taught from so many frames before it on."""
_FINE = 4
_STEP_S = 1 / (_FINE * RATE_HZ)


@dataclass(frozen=True, eq=False)
class Motion:
    """seen (T, DIRECTIONS): what a camera reports at `RATE_HZ`. true: without its noise, rate and pixels; the size of
    motion, rms, is 1."""

    seen: Array
    true: Array


@dataclass(frozen=True, eq=False)
class Lessons:
    """Moments (N, …) of motions.

    table (N, ROWS, DIRECTIONS), clues (N, CLUES), known (N, REMEMBERED): as `MotionMemory` has them. target
    (N, DIRECTIONS): the face at an apex or an arrival ahead, less the present one; arrival_s (N,): from now until the
    arrival, below 0 after it; both NaN at moments drawn without regard to what comes. course (N, len(AHEAD_FRAMES),
    DIRECTIONS): faces ahead less the present one; rising (N,): whether an expression is under way; both NaN at
    moments drawn before a target.
    """

    table: Array
    clues: Array
    known: NDArray[np.bool_]
    target: Array
    arrival_s: Array
    course: Array
    rising: Array
    lead: NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.table)

    def at(self, where: NDArray[np.bool_]) -> "Lessons":
        """Some of the lessons."""
        return Lessons(*(getattr(self, name)[where] for name in self.__dataclass_fields__))

    @classmethod
    def joined(cls, parts: "list[Lessons]") -> "Lessons":
        """All lessons in one."""
        return cls(*(np.concatenate([getattr(one, name) for one in parts]) for name in cls.__dataclass_fields__))


def lessons(count: int, seed: int = 0) -> Iterator[Lessons]:
    """What `count` motions teach, one by one."""
    for rng in np.random.default_rng(seed).spawn(count):
        yield study(draw(rng), rng)


def draw(rng: np.random.Generator) -> Motion:
    """A motion of 2-30 s."""
    frames = int(np.exp(rng.uniform(np.log(50), np.log(750))))
    spread = np.exp(-np.arange(DIRECTIONS) / rng.uniform(1.0, 5.0))
    spread /= np.linalg.norm(spread)
    path = _path(frames * _FINE, spread, rng)[::_FINE][:frames]
    size = np.sqrt((path**2).sum(1).mean())
    true = path / max(size, 1e-9) + _unrest(frames, spread, rng)
    return Motion(_watched(true, rng), true)


def study(motion: Motion, rng: np.random.Generator, *, targets: int = 24, moments: int = 12) -> Lessons:
    """Moments before its apexes and arrivals, and as many at random. What comes next is read from the true motion,
    and where, from what is seen."""
    count = len(motion.seen)
    try:
        found = apexes(motion.seen, RATE_HZ)
    except InputError:
        found = ()
    rising = np.zeros(count)
    ends: list[tuple[int, int, float]] = []
    for apex in found:
        rising[apex.onset : apex.arrival] = 1
        for end in (apex.apex, apex.arrival):
            ends += [(end - lead, end, (apex.arrival - end + lead) / RATE_HZ) for lead in range(1, LEADS + 1)]
    ends = [ends[k] for k in rng.permutation(len(ends))[:targets] if ends[k][0] >= 3]
    free = rng.integers(3, count - AHEAD_FRAMES[-1], moments)
    told = _told(motion.seen, sorted({now for now, _, _ in ends} | set(free.tolist())))
    where = [*(now for now, _, _ in ends), *free.tolist()]
    bare, total = len(ends), len(where)
    target, arrival = np.full((total, DIRECTIONS), np.nan), np.full(total, np.nan)
    course, under_way = np.full((total, len(AHEAD_FRAMES), DIRECTIONS), np.nan), np.full(total, np.nan)
    lead = np.zeros(total, np.int8)
    for row, (now, end, left_s) in enumerate(ends):
        target[row], arrival[row], lead[row] = motion.true[end] - motion.seen[now], left_s, end - now
    course[bare:] = motion.true[free[:, None] + np.array(AHEAD_FRAMES)] - motion.seen[free, None]
    under_way[bare:] = rising[free]
    table, clues = (np.array([told[now][k] for now in where]) for k in range(2))
    known = np.array([told[now][2] for now in where], bool)
    wide = (table, target, arrival, course, under_way, clues)
    table, target, arrival, course, under_way, clues = (one.astype(np.float32) for one in wide)
    return Lessons(table, clues, known, target, arrival, course, under_way, lead)


def _told(seen: Array, moments: list[int]) -> dict[int, tuple[Array, Array, Array]]:
    """What a memory has at some moments."""
    memory, told, wanted = MotionMemory(np.ones(DIRECTIONS)), {}, set(moments)
    for frame, face in enumerate(seen[: moments[-1] + 1]):
        memory.see(face)
        if frame in wanted:
            table = memory.table
            told[frame] = (table - table[0], memory.clues, memory.known)
    return told


# --- a path ------------------------------------------------------------------------------------------------


def _path(steps: int, spread: Array, rng: np.random.Generator) -> Array:
    """From goal to goal, (steps, DIRECTIONS), every `_STEP_S`; it may begin anywhere within an expression."""
    goals = rng.normal(size=(int(rng.integers(1, 8)), DIRECTIONS)) * spread
    goals *= np.exp(0.4 * rng.normal(size=(len(goals), 1)))
    usual = np.linalg.norm(goals, axis=1).mean()
    talks, whole = rng.random() < 0.4, rng.random()
    slowness, stay_s, pause_s = np.exp(0.25 * rng.normal()), rng.uniform(0.2, 1.2), rng.uniform(0.2, 1.5)
    blurred, novel = rng.uniform(0.05, 0.35), rng.uniform(0.0, 0.4)
    path, place, time_s = np.zeros((steps, DIRECTIONS)), np.zeros(DIRECTIONS), rng.uniform(-3.0, 1.5)

    def go(to: Array, length_s: float) -> None:
        nonlocal place, time_s
        _move(path, time_s, length_s, to - place, rng)
        place, time_s = to, time_s + length_s

    def goal() -> Array:
        one = goals[rng.integers(len(goals))] * np.exp(blurred * rng.normal())
        return one + novel * usual * rng.random() * rng.normal(size=DIRECTIONS) * spread

    while time_s < steps * _STEP_S:
        if talks and rng.random() < 0.6:
            for _ in range(int(rng.integers(3, 14))):
                go(goal() * rng.uniform(0.1, 0.6), rng.uniform(0.08, 0.28))
                time_s += rng.uniform(-0.02, 0.06)
            go(np.zeros(DIRECTIONS), 0.3)
            time_s += rng.uniform(0.0, 1.0)
            continue
        go(goal(), float(np.clip(slowness * 0.38 * np.exp(0.5 * rng.normal()), 0.12, 1.5)))
        if rng.random() < 0.65:
            time_s += rng.exponential(stay_s)
            if rng.random() < 0.3:  # before it lets go, or as it settles, it grows or sinks a little
                go(place * rng.uniform(0.8, 1.2), rng.uniform(0.2, 1.0))
        if rng.random() < 0.4 + 0.6 * whole:
            rest = place * (0.0 if rng.random() < 0.8 else rng.uniform(0.0, 0.5))
            go(rest, float(np.clip(slowness * 0.5 * np.exp(0.5 * rng.normal()), 0.15, 1.5)))
            time_s += rng.exponential(pause_s) if rng.random() < 0.7 else 0.0
    return path


def _move(path: Array, start_s: float, length_s: float, way: Array, rng: np.random.Generator) -> None:
    """Add one move to a path: three smooth parts that begin a little apart, each with its share of every direction."""
    share = rng.dirichlet(np.ones(3), DIRECTIONS).T
    early, late = rng.uniform(0.7, 1.4, 2)
    for part, lag_s in zip(share, 0.04 * rng.normal(size=3), strict=True):
        begin = start_s + lag_s
        first, last = (int(np.clip(np.ceil(s / _STEP_S), 0, len(path))) for s in (begin, begin + length_s))
        done = ((np.arange(first, last) * _STEP_S - begin) / length_s) ** early
        path[first:last] += (done**3 * (10 + done * (6 * done - 15)))[:, None] ** late * (part * way)
        path[last:] += part * way


# --- watched ----------------------------------------------------------------------------------------------


def _unrest(frames: int, spread: Array, rng: np.random.Generator) -> Array:
    """What moves beside expressions: a head that wanders, for seconds and for moments."""
    slow = rng.choice([0.0, 0.04, 0.1, 0.2]) * _wander(frames, rng.uniform(1.0, 8.0), rng)
    quick = 10 ** rng.uniform(-2.3, -0.9) * _wander(frames, rng.uniform(0.15, 0.5), rng)
    return (slow + quick) / np.sqrt(DIRECTIONS) + rng.choice([0.0, 0.5]) * rng.normal(size=DIRECTIONS) * spread


def _wander(frames: int, memory_s: float, rng: np.random.Generator) -> Array:
    """An Ornstein-Uhlenbeck process of SD 1 in every direction."""
    keeps = np.exp(-1 / (RATE_HZ * memory_s))
    pushes = np.sqrt(1 - keeps**2) * rng.normal(size=(frames, DIRECTIONS))
    pushes[0] /= np.sqrt(1 - keeps**2)
    return np.asarray(lfilter([1.0], [1.0, -keeps], pushes, axis=0))


def _watched(true: Array, rng: np.random.Generator) -> Array:
    """What a camera reports: with noise, perhaps smoothed, in whole pixels, at its own rate; newest picture held."""
    seen = true + 10 ** rng.uniform(-2.5, -0.9) / np.sqrt(DIRECTIONS) * rng.normal(size=true.shape)
    if rng.random() < 0.3:
        keeps = rng.uniform(0.3, 0.7)
        seen, _ = lfilter([1 - keeps], [1.0, -keeps], seen, axis=0, zi=keeps * seen[:1])
    if rng.random() < 0.3:
        pixel = 10 ** rng.uniform(-2.0, -0.7)
        seen = pixel * np.round(seen / pixel)
    rate_hz = rng.choice([RATE_HZ, RATE_HZ, 12.5, 15.0, 24.0, 30.0, 100.0])
    taken = np.floor(np.arange(len(seen)) / RATE_HZ * rate_hz + 1e-6) / rate_hz * RATE_HZ
    before = taken.astype(int)
    after = np.minimum(before + 1, len(seen) - 1)
    return seen[before] + (taken - before)[:, None] * (seen[after] - seen[before])


__all__ = ["AHEAD_FRAMES", "DIRECTIONS", "LEADS", "Lessons", "Motion", "draw", "lessons", "study"]
