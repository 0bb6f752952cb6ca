"""Where to put n electrodes so that given action units are best told apart.

    question = Question.of(("AU1", "AU4", "AU6", "AU12", "AU15", "AU17"))
    found = place(question, 4, np.random.default_rng(0), apart_mm=10.0)
    found.montage, found.score, found.chance, question.score(montage("distal4"))

Every unit, and rest, gives each channel an expected power by Campbell's theorem; electrode noise is added. What a
person shows varies, so log powers scatter, by a standard deviation that is the same for all channels. Two units are
then d' = |log p₁ − log p₂| / SD apart, and the score of a montage is minus the logarithm of the sum of
exp(−d'² / 8) over all pairs: the Bhattacharyya bound on how often the best reader confuses them. The bound's sum is
dominated by the pair that is told apart worst.

Channels add up in d'², so the best of many random places are found by exchange; from there the score's gradient, taken
through the volume conductor, leads to places that no grid holds.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ..sim import mesh
from ..sim.errors import InputError
from ..sim.person import artefacts, chart
from ..sim.person.conductor import Conductor
from ..sim.person.contacts import Channel, Contact, Montage
from ..sim.person.emg import BAND_HZ, band_energy_uv2_s
from ..sim.person.motor_units import Pool
from ..sim.person.repertoire import UNITS, excite, unit_index
from ..sim.person.templates import Templates
from ..sim.person.traits import Traits

Array = NDArray[np.floating]

INTENSITY = 0.5
"""Of every unit when units are told apart."""
SPREAD_NEPER = 1.0
"""SD of the log power of one unit in one channel, between times, wearings and people; *unknown*, 0.5-1.5: intensities
between 0.3 and 0.8 alone give 0.6."""
SPACING_MM = 14.0
"""Least distance between the centres of channels."""
MASTOID_MM = (150.0, -8.0)
"""Reference of monopolar channels, behind the left ear as in `epidermal10`."""

_RADIUS_MM, _UNITS, _RATE_HZ = 2.5, 8, 1000.0
_LARGEST_STEP_MM, _LARGEST_TURN = 4.0, 0.3
_AT_ONCE, _CHANCE_DRAWS, _ROUNDS = 20, 100, 10
_EYE_MARGIN_MM, _LIP_MARGIN_MM = 9.0, 4.0


@dataclass(frozen=True, kw_only=True)
class Area:
    """Skin that electrodes may stand on: |s| and y on the chart, mm, between these; never an eye or the lips."""

    least_s_mm: float = 4.0
    most_s_mm: float = 105.0
    least_y_mm: float = -88.0
    most_y_mm: float = 88.0


FACE = Area()
TEMPLES = Area(least_s_mm=66.0, most_s_mm=110.0, least_y_mm=-10.0, most_y_mm=60.0)
"""Where the arms of glasses or a headset reach, as `distal4` is worn."""


class Placed(NamedTuple):
    """A montage, its score, the score after every step of the ascent, and scores (n,) of random places like it."""

    montage: Montage
    score: float
    course: Array
    chance: Array


@dataclass(frozen=True, kw_only=True)
class Question:
    """Units to tell apart from each other and from rest, on a face. excitation (A + 1, 48); noise_uv of a contact."""

    units: tuple[str, ...]
    excitation: Array
    noise_uv: float
    traits: Traits
    seed: int

    @classmethod
    def of(
        cls,
        units: tuple[str, ...],
        *,
        quality: str = "wired active",
        traits: Traits | None = None,
        seed: int = 0,
        intensity: float = INTENSITY,
    ) -> Self:
        """units: two or more, "AU12" …, both sides acting alike; quality: of the electrodes, `artefacts.PRESETS`;
        traits: of the person, the mean adult if none are given. Raises `InputError`, `VocabularyError`."""
        rows = [unit_index(unit) for unit in units]
        if len(set(rows)) != len(rows) or len(rows) < 2:
            raise InputError(f"need two different action units or more, got {units}")
        shown = np.zeros((len(rows) + 1, len(UNITS), 2))
        shown[np.arange(len(rows)), rows] = intensity
        person = traits or Traits()
        noise = artefacts.preset(quality).electrode_uv
        return cls(units=tuple(units), excitation=excite(shown), noise_uv=noise, traits=person, seed=seed)

    def score(self, worn: Montage) -> float:
        """How well a montage tells the units apart, nepers; larger is better."""
        return float(_scores(_squares(self.levels(worn)).sum(0)))

    def distances(self, worn: Montage) -> Array:
        """d' between every two of the units and rest, (A + 1, A + 1)."""
        levels = self.levels(worn)
        return np.linalg.norm(levels[:, None] - levels, axis=-1) / SPREAD_NEPER

    def levels(self, worn: Montage) -> Array:
        """Log power (A + 1, C), µV², of every unit and of rest in every channel."""
        return np.asarray(_levels(self._ears(worn), jnp.asarray(worn.chart_mm, jnp.float32)))

    def _ears(self, worn: Montage) -> "_Ears":
        used = tuple(int(m) for m in np.flatnonzero(self.excitation.any(0)))
        pool = Pool.of(used, _UNITS)
        templates = Templates.of(
            np.random.default_rng(self.seed),
            pool,
            used,
            worn.chart_mm,
            worn.radius_mm,
            rate_hz=_RATE_HZ,
            traits=self.traits,
            conductor=Conductor(),
        )
        rates = pool.rates_hz(jnp.asarray(self.excitation[:, used], jnp.float32))
        return _Ears(templates, rates, jnp.asarray(worn.derivation, jnp.float32), jnp.float32(self.noise_uv**2))


def place(
    question: Question,
    count: int,
    rng: np.random.Generator,
    *,
    apart_mm: float = 0.0,
    area: Area = FACE,
    candidates: int = 300,
    steps: int = 25,
) -> Placed:
    """Where `count` channels best tell the question's units apart.

    apart_mm: between the two contacts of bipolar channels, which may turn; 0 for monopolar ones against a mastoid.
    Channels are chosen from random candidates, then move along the score's gradient; after every step they are put
    back on the area, `SPACING_MM` from each other, and a step that does not help is halved. Raises `InputError`.
    """
    if not 1 <= count <= candidates or steps < 0 or not 0 <= apart_mm <= 60:
        raise InputError(
            f"need 1 … {candidates} channels, as many as candidates, steps ≥ 0 and apart_mm in 0 … 60; got {count} "
            f"channels, {steps} steps, {apart_mm} mm"
        )
    pieces = -(-candidates // _AT_ONCE)
    sites = np.concatenate([_scattered(rng, _AT_ONCE, area) for _ in range(pieces)])
    parts = np.split(sites, pieces)
    squares = np.concatenate([_squares(question.levels(_montage(part, apart_mm, area))) for part in parts])
    chance = [_scores(squares[_apart(rng.permutation(len(sites)), sites)[:count]].sum(0)) for _ in range(_CHANCE_DRAWS)]
    chosen = _exchange(squares, sites, count)
    best, score, course = _ascend(question, sites[chosen], apart_mm, area, steps)
    return Placed(best, score, course, np.array(chance))


class _Ears(NamedTuple):
    """Templates, rates (A + 1, M, U) of units, derivation (C, N), and power of a contact's noise."""

    templates: Templates
    rates_hz: jax.Array
    derivation: jax.Array
    noise_uv2: jax.Array


def _squares(levels: Array) -> Array:
    """d'² (C, pairs) that each channel gives every pair of units."""
    one, other = np.triu_indices(len(levels), 1)
    return ((levels[one] - levels[other]).T / SPREAD_NEPER) ** 2


def _scores(square: Any) -> Any:
    """Score (…) of d'² (…, pairs)."""
    return -jax.nn.logsumexp(-square / 8, axis=-1)


def _apart(order: NDArray[np.int64], sites: Array) -> NDArray[np.int64]:
    """Those of `order`, one after another, that keep their distance from all before them."""
    kept: list[int] = []
    for index in order:
        if not kept or np.linalg.norm(sites[kept, :2] - sites[index, :2], axis=1).min() >= SPACING_MM:
            kept.append(int(index))
    return np.array(kept)


def _exchange(squares: Array, sites: Array, count: int) -> NDArray[np.int64]:
    """Channels (count,) chosen one by one, then each replaced by a better one as long as there is any."""
    near = np.linalg.norm(sites[:, None, :2] - sites[:, :2], axis=-1) < SPACING_MM
    chosen: list[int] = []
    for _ in range(_ROUNDS):
        before = list(chosen)
        for place in range(count):
            others = chosen[:place] + chosen[place + 1 :]
            total = squares[others].sum(0) + squares
            score = np.where(near[:, others].any(1), -np.inf, np.asarray(_scores(total)))
            if not np.isfinite(score).any():
                raise InputError(
                    f"no room for {count} channels {SPACING_MM} mm apart; allow more area or fewer channels"
                )
            chosen[place : place + 1] = [int(score.argmax())]
        if chosen == before:
            break
    return np.array(chosen)


def _ascend(question: Question, sites: Array, apart_mm: float, area: Area, steps: int) -> tuple[Montage, float, Array]:
    """Ascent from sites (n, 3): s, y (mm) and direction (rad) of each channel."""
    best = _montage(sites, apart_mm, area)
    score, slope, reach = question.score(best), None, 1.0
    course = [score]
    for _ in range(steps):
        if slope is None:
            slope = np.asarray(_slope(question._ears(best), jnp.asarray(sites, jnp.float32), apart_mm), float)
            slope[:, :2] *= _LARGEST_STEP_MM / max(np.abs(slope[:, :2]).max(), 1e-12)
            slope[:, 2] *= _LARGEST_TURN / max(np.abs(slope[:, 2]).max(), 1e-12)
        tried = _put_back(sites + reach * slope, area)
        worn = _montage(tried, apart_mm, area)
        reached = question.score(worn)
        if reached > score:
            sites, best, score, slope = tried, worn, reached, None
            reach = min(1.5 * reach, 2.0)
        else:
            reach *= 0.5
        course.append(score)
    return best, score, np.array(course)


@eqx.filter_jit
def _slope(ears: _Ears, sites: jax.Array, apart_mm: float) -> jax.Array:
    def score(x: jax.Array) -> jax.Array:
        levels = _levels(ears, _contacts(x, apart_mm))
        one, other = np.triu_indices(len(levels), 1)
        return _scores((((levels[one] - levels[other]) / SPREAD_NEPER) ** 2).sum(-1))

    return jax.grad(score)(sites)


@eqx.filter_jit
def _levels(ears: _Ears, contacts_mm: jax.Array) -> jax.Array:
    heard = jnp.einsum("cn,munl->mucl", ears.derivation, ears.templates(contacts_mm))
    energy = band_energy_uv2_s(heard, _RATE_HZ, BAND_HZ).sum(-1)
    power = jnp.einsum("amu,muc->ac", ears.rates_hz, energy)
    return jnp.log(power + ears.noise_uv2 * (ears.derivation**2).sum(1))


def _contacts(sites: jax.Array, apart_mm: float) -> jax.Array:
    """Contacts (N, 2) mm of channels (n, 3), in the order of `_montage`."""
    if not apart_mm:
        return jnp.concatenate([sites[:, :2], jnp.asarray([MASTOID_MM])])
    half = 0.5 * apart_mm * jnp.stack([jnp.cos(sites[:, 2]), jnp.sin(sites[:, 2])], -1)
    return jnp.stack([sites[:, :2] + half, sites[:, :2] - half], 1).reshape(-1, 2)


def _montage(sites: Array, apart_mm: float, area: Area) -> Montage:
    names = [f"E{number}" for number in range(1, len(sites) + 1)]
    both = [(f"{name}+", f"{name}-") for name in names] if apart_mm else []
    places = np.asarray(_contacts(jnp.asarray(sites, jnp.float32), apart_mm), float)
    if apart_mm:
        labels = [label for pair in both for label in pair]
        channels = tuple(Channel(name, pair[:1], pair[1:]) for name, pair in zip(names, both, strict=True))
    else:
        labels = [*names, "mastoid"]
        channels = tuple(Channel(name, (name,), ("mastoid",)) for name in names)
    contacts = tuple(
        Contact(label, float(xy[0]), float(xy[1]), _RADIUS_MM) for label, xy in zip(labels, places, strict=True)
    )
    return Montage(
        name=f"placed{len(sites)}",
        contacts=contacts,
        channels=channels,
        reference="bipolar" if apart_mm else "behind the left ear",
        source=f"learning.placement, within {area}",
        rate_hz=_RATE_HZ,
        housings=tuple(both),
    )


def _scattered(rng: np.random.Generator, count: int, area: Area) -> Array:
    """Random sites (n, 3) on the area, on either side."""
    s = rng.uniform(area.least_s_mm, area.most_s_mm, count) * rng.choice([-1, 1], count)
    y = rng.uniform(area.least_y_mm, area.most_y_mm, count)
    return _put_back(np.stack([s, y, rng.uniform(0, np.pi, count)], -1), area)


def _put_back(sites: Array, area: Area, rounds: int = 30) -> Array:
    """Sites on the area, clear of eyes and lips and `SPACING_MM` apart as far as there is room."""
    result = sites.copy()
    side = np.where(result[:, 0] < 0, -1.0, 1.0)
    for _ in range(rounds):
        gap = result[:, None, :2] - result[None, :, :2]
        distance = np.linalg.norm(gap, axis=-1) + 1e9 * np.eye(len(result))
        push = np.maximum(SPACING_MM - distance, 0) / 2
        result[:, :2] += (gap / np.maximum(distance, 1e-6)[..., None] * push[..., None]).sum(1)
        for centre, radii in _holes():
            arm = (result[:, :2] - centre) / radii
            near = np.linalg.norm(arm, axis=1)
            out = near < 1
            result[out, :2] = centre + radii * arm[out] / np.maximum(near[out], 1e-3)[:, None]
        result[:, 0] = side * np.clip(side * result[:, 0], area.least_s_mm, area.most_s_mm)
        result[:, 1] = np.clip(result[:, 1], area.least_y_mm, area.most_y_mm)
    return result


def _holes() -> list[tuple[Array, Array]]:
    """Centres and half axes (2,) mm of ellipses around eyes and lips, wide enough for a pair of contacts."""
    holes = []
    for loop, margin in (
        (mesh.EYE_RIGHT, _EYE_MARGIN_MM), (mesh.EYE_LEFT, _EYE_MARGIN_MM), (mesh.LIPS_OUTER, _LIP_MARGIN_MM),
    ):  # fmt: skip
        places = chart.unroll(mesh.REST[list(loop)])
        low, high = places.min(0), places.max(0)
        holes.append((0.5 * (low + high), 0.5 * (high - low) + margin))
    return holes


__all__ = ["FACE", "TEMPLES", "Area", "Placed", "Question", "place"]
