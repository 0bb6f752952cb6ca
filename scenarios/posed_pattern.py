"""Simulated people pose seven expressions in front of eight electrodes, as eight real people once did.

The comparison that nothing was fitted to: sites by action unit (`electrodes`, "kolodziej8"), expressions as 230
other people pose them (`repertoire`), powers of 0.1-1,000 Hz in quarters of a second at the apex, mains notched
out as in the data. The muscles' part is its expectation (Campbell's theorem), the electrodes' is drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from ..sim.errors import InputError
from ..sim.person.artefacts import ArtefactSpec, artefacts, preset
from ..sim.person.behaviour import Act, perform
from ..sim.person.person import Person
from .real_recordings import POSED, SITES, Pattern

Array = NDArray[np.floating]

MONTAGE = "kolodziej8"
RATE_HZ = 2400.0
BAND_HZ = (0.1, 1000.0)
WINDOW_S, WINDOWS = 0.25, 10
INTENSITY = 0.8
"""Of the full range; from 0.4 to 1 the pattern hardly changes."""
_CONTROL_HZ = 100.0
_REST_S, _RISE_S, _HOLD_S = 3.0, 0.5, 3.5
_EACH_S = _REST_S + 2 * _RISE_S + _HOLD_S


def simulated_pattern(
    people: int = 24,
    seed: int = 0,
    quality: str | ArtefactSpec = "wired active",
    progress: Callable[[int], None] | None = None,
) -> Pattern:
    """The pattern of `people` that `Person.sample` draws, (P, 7, 10, 8) dB.

    progress is called with the number of people done. About 3 s a person. Raises `InputError` for no people.
    """
    if people < 1:
        raise InputError(f"need at least one person, got {people}")
    spec = replace(preset(quality) if isinstance(quality, str) else quality, mains_uv=0.0)
    powers = []
    for number in range(people):
        powers.append(_powers(Person.sample(10_000 * (seed + 1) + number), spec))
        if progress:
            progress(number + 1)
    return Pattern(10 * np.log10(np.array(powers)))


def _powers(person: Person, spec: ArtefactSpec) -> Array:
    """Mean powers (7, 10, 8) µV² in one person's windows."""
    acting, wearing, adding = np.random.default_rng([person.seed or 0, 0xE8]).spawn(3)
    worn = person.wear(MONTAGE, wearing_sd_mm=3.0, rng=wearing)
    habits = replace(person.habits, blinks_per_min=0.0)  # windows were chosen by hand
    onsets = _REST_S + _EACH_S * np.arange(len(POSED) - 1)
    acts = [
        Act(what=name, onset_s=float(onset), rise_s=_RISE_S, hold_s=_HOLD_S, fall_s=_RISE_S, intensity=INTENSITY)
        for name, onset in zip(POSED[1:], onsets, strict=True)
    ]
    done = perform(acts, habits, rate_hz=_CONTROL_HZ, duration_s=_EACH_S * len(POSED), rng=acting)
    first = np.concatenate([[0.2], onsets + _RISE_S + 0.3])
    middles = first[:, None] + 0.3 * np.arange(WINDOWS)
    drive = person.traits.excite(done.excitation)[np.rint(middles * _CONTROL_HZ).astype(int)]
    muscles = np.asarray(person.emg(worn, RATE_HZ).rms_uv(drive, band_hz=BAND_HZ)) ** 2
    samples = int(RATE_HZ * WINDOW_S)
    added = artefacts(adding, spec, worn, RATE_HZ, samples * muscles[..., 0].size)
    return muscles + (added**2).reshape(-1, samples, len(SITES)).mean(1).reshape(muscles.shape)


@dataclass(frozen=True)
class Agreement:
    """How alike a simulated and a real pattern are.

    pattern: correlation of the mean rises over six expressions × eight sites. pattern_with_neutral: the same with
    neutral's row of zeros, seven × eight, which is easier. smile: happiness alone. by_expression (6,).
    channels, channels_real: median absolute correlation of log power between sites. permutation_rank: place of
    the true order of the six expressions among all 720, 1 is best.
    """

    pattern: float
    pattern_with_neutral: float
    smile: float
    by_expression: Array
    channels: float
    channels_real: float
    permutation_rank: int


def agreement(simulated: Pattern, real: Pattern) -> Agreement:
    """Compare two patterns; which is called real matters only for the names and the rank."""
    ours, theirs = simulated.mean_db[1:], real.mean_db[1:]
    of_orders = [_correlation(ours[list(order)], theirs) for order in permutations(range(len(ours)))]
    return Agreement(
        pattern=simulated.correlation(real),
        pattern_with_neutral=simulated.correlation(real, rows=slice(None)),
        smile=_correlation(ours[0], theirs[0]),
        by_expression=np.array([_correlation(a, b) for a, b in zip(ours, theirs, strict=True)]),
        channels=simulated.channel_correlation,
        channels_real=real.channel_correlation,
        permutation_rank=1 + sum(value > of_orders[0] + 1e-12 for value in of_orders),
    )


def _correlation(first: Array, second: Array) -> float:
    return float(np.asarray(np.corrcoef(first.ravel(), second.ravel()))[0, 1])
