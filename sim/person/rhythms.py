"""What goes on in a face beside expressions: blinks, speech and chewing.

Each is drawn on the control clock: action units (T, A, 2) and excitation (T, 48) that no unit accounts for.
"""

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..facs import PAIRED, Muscle
from .anatomy import MUSCLES, muscle_index
from .habits import Habits
from .repertoire import ELEVATORS, UNITS, unit_index

Array = NDArray[np.floating]

BLINK_CLOSE_S, BLINK_SHUT_S, BLINK_OPEN_S = 0.066, 0.03, 0.16
"""Drive of a blink: lid down in 66 ms (spontaneous; voluntary ones 78 ± 10 ms, said to be 17.6 % longer), up again
slower (closing is 40-47 % faster than opening, Sforza et al. 2008; with lag of the lid about twice as long)."""
FULL_BLINKS = 0.48
"""Share of blinks that close the eye; the others reach 25-90 % (Ousler et al. 2014: 47.6 % in normal eyes)."""


def ramp(share: Array) -> Array:
    """Minimum-jerk rise from 0 to 1 as `share` of its length goes from 0 to 1 (Flash & Hogan 1985)."""
    s = np.clip(share, 0, 1)
    return s * s * s * (10 + s * (6 * s - 15))


def blinks(habits: Habits, time_s: Array, rng: np.random.Generator) -> tuple[Array, list[tuple[float, float]]]:
    """Course (T,) 0…1 of lid closure, and each blink's (onset s, depth 0…1).

    Intervals are log-normal with SD 0.6 (*unknown*, 0.4-0.9) about the habitual rate, never below 0.3 s.
    """
    course = np.zeros(len(time_s))
    found: list[tuple[float, float]] = []
    if habits.blinks_per_min <= 0 or not len(time_s):
        return course, found
    mean_s = 60 / habits.blinks_per_min
    end, length = time_s[-1], BLINK_CLOSE_S + BLINK_SHUT_S + BLINK_OPEN_S
    onset = rng.uniform(0, mean_s)
    while onset + length < end:
        depth = 1.0 if rng.random() < FULL_BLINKS else rng.uniform(0.25, 0.9)
        span = slice(*np.searchsorted(time_s, (onset, onset + length)))
        since = time_s[span] - onset
        shape = ramp(since / BLINK_CLOSE_S) * (1 - ramp((since - BLINK_CLOSE_S - BLINK_SHUT_S) / BLINK_OPEN_S))
        course[span] = np.maximum(course[span], depth * shape)
        found.append((onset, depth))
        onset += max(0.3, mean_s * np.exp(rng.normal(-0.18, 0.6)))
    return course, found


def speech(habits: Habits, since_s: Array, intensity: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Speech-like movement: syllables open jaw and lips, vowels round or spread them; phrases with pauses.

    Amplitudes: jaw to 35 % of AU26, lips to half (*unknown*, a third to twice that); elevators at 4 % between
    syllables (jaw closers are weakly active in speech).
    """
    phase, beat = _beats(since_s, habits.syllables_hz, 0.1, rng)
    count = int(phase[-1]) + 2 if len(phase) else 1
    talking = np.ones(count)
    at = int(rng.integers(6, 14))
    while at < count:  # a phrase of 6-13 syllables, a pause of 2-4
        pause = int(rng.integers(2, 5))
        talking[at : at + pause] = 0
        at += pause + int(rng.integers(6, 14))
    beat_of = phase.astype(int)
    au, extra = _empty(len(since_s))
    open_ = intensity * talking * rng.uniform(0.3, 1.0, count)
    vowel = rng.random(count)
    for code, size, chosen in (
        ("AU26", 0.35, np.ones(count)),
        ("AU25", 0.5, np.ones(count)),
        ("AU18", 0.4, vowel < 0.3),
        ("AU22", 0.3, (vowel > 0.2) & (vowel < 0.4)),
        ("AU20", 0.25, vowel > 0.75),
        ("AU16", 0.2, vowel > 0.5),
        ("AU10", 0.1, vowel > 0.8),
    ):
        au[:, unit_index(code)] = (size * (open_ * chosen)[beat_of] * beat)[:, None]
    lips_meet = (intensity * talking * (rng.random(count) < 0.25))[beat_of] * (1 - beat) ** 4
    au[:, unit_index("AU24")] = 0.25 * lips_meet[:, None]
    extra[:, list(ELEVATORS)] = (0.04 * (intensity * talking)[beat_of] * (1 - beat))[:, None]
    return au, extra


def chewing(habits: Habits, since_s: Array, intensity: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Chewing-like movement: elevators burst at `intensity` in about 45 % of each stroke, the jaw opens between.

    One side works, the other reaches 70 % (*unknown*, 50-100); it changes now and then. Temporalis has 80 % of
    masseter's drive, cheek and lips keep 5 %.
    """
    phase, _ = _beats(since_s, habits.chewing_hz, 0.06, rng)
    count = int(phase[-1]) + 2 if len(phase) else 1
    stroke, part = phase.astype(int), phase % 1
    strength = np.exp(0.15 * rng.standard_normal(count))
    working = (np.cumsum(rng.random(count) < 0.1) + int(rng.integers(2))) % 2
    burst = np.where(part < 0.45, np.sin(np.pi * np.clip(part / 0.45, 0, 1)), 0.0)
    gape = np.where(part > 0.4, 0.5 - 0.5 * np.cos(2 * np.pi * np.clip((part - 0.4) / 0.6, 0, 1)), 0.0)
    au, extra = _empty(len(since_s))
    au[:, unit_index("AU26")] = (0.35 * min(1.0, 2 * intensity) * strength[stroke] * gape)[:, None]
    for column, of in enumerate(PAIRED):
        side = np.where(working == column, 1.0, 0.7)
        drive = intensity * (strength * side)[stroke] * burst
        extra[:, muscle_index(Muscle.MASSETER, of)] = drive
        extra[:, muscle_index(Muscle.TEMPORALIS, of)] = 0.8 * drive
        for name in (Muscle.BUCCINATOR, Muscle.ORBICULARIS_ORIS):
            extra[:, muscle_index(name, of)] = 0.05 * intensity / 0.3
    return np.clip(au, 0, 1), np.clip(extra, 0, 1)


RHYTHMS: MappingProxyType[str, Callable[..., tuple[Array, Array]]] = MappingProxyType(
    {"speech": speech, "chewing": chewing}
)


def _beats(since_s: Array, rate_hz: float, spread: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Phase (T,) in beats, whose lengths vary by `spread`, and a bump 0…1 (T,) in each."""
    span = float(since_s[-1]) if len(since_s) else 0.0
    lengths = np.exp(spread * rng.standard_normal(int(span * rate_hz * 1.5) + 8)) / rate_hz
    ends = np.concatenate([[0.0], np.cumsum(lengths)])
    phase = np.interp(since_s, ends, np.arange(len(ends)))
    return phase, 0.5 - 0.5 * np.cos(2 * np.pi * phase)


def _empty(samples: int) -> tuple[Array, Array]:
    return np.zeros((samples, len(UNITS), 2)), np.zeros((samples, len(MUSCLES)))
