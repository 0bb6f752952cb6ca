"""Mixtures whose sources are known, ways to take them apart, and the scores of one person.

A `Case` says what is recorded: electrodes, task, tension, noise, and how many components are sought. A case's sources
are the muscles that are strongest in its clean mixture, as many as components.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import jax
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from ..learning import separation_scores as scores
from ..learning.separation import Separation, separate
from ..learning.separation_scores import Score, TrueSources
from ..learning.signals import bandpass, envelope
from ..sim.person import artefacts as noise
from ..sim.person.anatomy import MUSCLE_NAMES
from ..sim.person.electrodes import montage
from ..sim.person.emg import EmgModel
from ..sim.person.motor_units import SAMPLES_PER_STEP
from ..sim.person.person import Person
from ..sim.person.protocols import Protocol, protocol

Array = NDArray[np.floating]

RATE_HZ = 1000.0
COURSE_HZ = 25.0
"""Clock of envelopes and activations."""
_THINNED = 4
"""SDR takes every fourth sample: it is a ratio of powers, to which order and rate are nothing."""
_HEARD = 0.01
"""Share of a mixture's power from which on a muscle may be what a component is."""

SCORES = ("amari", "corr_h", "muscle_cosine", "sdr_db")
PARTS = ("value", "chance", "limit")
"""What is kept of each of `SCORES`."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is recorded. cocontraction: excitation of all muscles beside an act's own, None for the person's own.

    electrode_uv: noise of a contact. components: how many are sought, None for channels − 1 (distal-EMG paper § 5).
    """

    montage: str
    task: str = "actions"
    cocontraction: float | None = None
    electrode_uv: float = 1.0
    components: int | None = None

    @property
    def scene(self) -> tuple[str, str, float | None]:
        """All that the clean EMG depends on."""
        return self.montage, self.task, self.cocontraction

    @property
    def channels(self) -> int:
        return len(montage(self.montage).channels)

    @property
    def sought(self) -> int:
        """Number of components."""
        return self.components or self.channels - 1


TASKS: Mapping[str, Callable[[], Protocol]] = MappingProxyType(
    {
        "actions": lambda: protocol("expressions", hold_s=2.0, rest_s=1.5).then(
            protocol("single-aus", hold_s=1.0, rest_s=1.0)
        ),
        "smiles": lambda: protocol("smiles", block_s=36.0),
    }
)
"""The seven expressions and then each action unit alone, 73 s; or spontaneous and posed smiles, 72 s."""


# --- Mixtures --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """Clean EMG (T, C) µV, what every muscle adds to it (T, 48, C), excitation (t, 48) at `COURSE_HZ`, the model."""

    clean_uv: Array
    parts_uv: Array
    excitation: Array
    model: EmgModel


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixture:
    """What a method gets and what it should find.

    emg (T, C) and envelopes (t, C), each channel in SDs of its EMG. truth, in the same unit; activation (t, S): drive
    of the true muscles. gains (C, M): how the M muscles that can be meant show in channels, of unit length; muscles
    (M, S): the true ones among them.
    """

    emg: Array
    envelopes: Array
    truth: TrueSources
    activation: Array
    gains: Array
    muscles: Array


def wear(person: Person, name: str, seed: int) -> EmgModel:
    """The person's electricity at a montage that somebody put on by hand, once."""
    worn = person.wear(name, wearing_sd_mm=2.0, rng=np.random.default_rng([seed, 2]))
    return person.emg(worn, RATE_HZ)


def play(person: Person, case: Case, model: EmgModel, seed: int) -> Scene:
    """What the electrodes of a case would hear without any noise. Tension changes what she does, not when."""
    if case.cocontraction is not None:
        tense = np.full_like(person.habits.cocontraction, case.cocontraction)
        person = replace(person, habits=replace(person.habits, cocontraction=tense))
    acting = np.random.default_rng([seed, 1])
    behaviour, _ = person.behave(TASKS[case.task](), acting, RATE_HZ / SAMPLES_PER_STEP)
    excitation = person.traits.excite(behaviour.excitation)
    sample = model.motor_units(jax.random.key(seed), excitation)
    return Scene(
        clean_uv=sample.emg_uv,
        parts_uv=model.per_muscle(sample),
        excitation=_course(excitation, RATE_HZ / SAMPLES_PER_STEP),
        model=model,
    )


def mix(scene: Scene, person: Person, case: Case, seed: int) -> Mixture:
    """The scene as recorded: with noise of a wired active amplifier, band-passed, each channel in SDs."""
    spec = replace(noise.preset("wired active"), electrode_uv=case.electrode_uv)
    worn = person.wear(case.montage)
    added = noise.artefacts(np.random.default_rng([seed, 3]), spec, worn, RATE_HZ, len(scene.clean_uv))
    emg = bandpass(scene.clean_uv + added, RATE_HZ)
    scale = emg.std(0)
    count = case.sought
    power = (np.einsum("tmc,tmc->mc", scene.parts_uv, scene.parts_uv) / scene.clean_uv.var(0)).sum(1)
    strongest = np.argsort(-power)[:count]
    meant = np.flatnonzero(power > min(_HEARD * power.sum(), power[strongest].min() / 2))
    heard = bandpass(scene.parts_uv[:, strongest], RATE_HZ) / scale
    truth = scores.true_sources(heard, [MUSCLE_NAMES[m] for m in strongest], count)
    order = [MUSCLE_NAMES.index(name) for name in truth.names]
    gains = np.abs(scene.model.mixing_uv()[0][:, meant]) / scale[:, None]
    return Mixture(
        emg=emg / scale,
        envelopes=_course(emg / scale, RATE_HZ),
        truth=truth,
        activation=scene.excitation[:, order],
        gains=gains / np.linalg.norm(gains, axis=0),
        muscles=np.eye(len(MUSCLE_NAMES))[meant][:, order],
    )


def _course(values: Array, rate_hz: float) -> Array:
    """Rectified, below 4 Hz, thinned to `COURSE_HZ`, nowhere negative."""
    return np.maximum(envelope(values, rate_hz), 0)[:: round(rate_hz / COURSE_HZ)]


# --- Methods ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to take a mixture apart. of_envelopes: whether it gets envelopes instead of EMG. rung: no method but
    something to stand one on: what is had for nothing, or, for "known mixing", the most that is to be had."""

    find: Callable[[Mixture, int, int], Separation]
    of_envelopes: bool = False
    rung: bool = False


def _named(method: str) -> Callable[[Mixture, int, int], Separation]:
    return lambda mixture, count, seed: separate(mixture.emg, method, components=count, seed=seed)


def _of_envelopes(method: str) -> Callable[[Mixture, int, int], Separation]:
    return lambda mixture, count, seed: separate(mixture.envelopes, method, components=count, seed=seed)


def _random_synergies(mixture: Mixture, count: int, seed: int) -> Separation:
    """Muscles mixed at random, seen through the same electrodes, with the activations that fit best."""
    weights = mixture.gains @ np.random.default_rng(seed).gamma(0.6, size=(mixture.gains.shape[1], count))
    return Separation(
        method="nmf",
        sources=np.stack([nnls(weights, row)[0] for row in mixture.envelopes]),
        unmixing=np.linalg.pinv(weights),
        mixing=weights,
        offset=np.zeros(len(weights)),
    )


def _known(mixture: Mixture, count: int, seed: int) -> Separation:
    """The least-squares unmixing of somebody who knows the true mixing."""
    unmixing, offset = np.linalg.pinv(mixture.truth.mixing), mixture.emg.mean(0)
    return Separation(
        method="known",
        sources=(mixture.emg - offset) @ unmixing.T,
        unmixing=unmixing,
        mixing=mixture.truth.mixing,
        offset=offset,
    )


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "known mixing": Method(find=_known, rung=True),
        "picard": Method(find=_named("picard")),
        "fastica": Method(find=_named("fastica")),
        "picard of envelopes": Method(find=_of_envelopes("picard"), of_envelopes=True),
        "nmf of envelopes": Method(find=_of_envelopes("nmf"), of_envelopes=True),
        "pca": Method(find=_named("pca")),
        "channels": Method(find=_named("none"), rung=True),
        "random": Method(find=_named("random"), rung=True),
        "random synergies": Method(find=_random_synergies, of_envelopes=True, rung=True),
    }
)


# --- Scores ----------------------------------------------------------------------------------------------------


def person_scores(seed: int, cases: Sequence[Case]) -> dict[str, Array]:
    """Scores of one sampled person: scores (cases, methods, SCORES, PARTS), vaf (cases, methods), NaN where none.

    share (cases,): how much of the true muscles' power instantaneous mixing holds. jaw (cases,): share of the true
    muscles that close the jaw.
    """
    person = Person.sample(seed)
    result = np.full((len(cases), len(METHODS), len(SCORES), len(PARTS)), np.nan)
    vaf = np.full(result.shape[:2], np.nan)
    share, jaw = np.zeros(len(cases)), np.zeros(len(cases))
    models = {name: wear(person, name, seed) for name in dict.fromkeys(case.montage for case in cases)}
    for scene_key in dict.fromkeys(case.scene for case in cases):
        places = [place for place, case in enumerate(cases) if case.scene == scene_key]
        scene = play(person, cases[places[0]], models[cases[places[0]].montage], seed)
        for place in places:
            mixture = mix(scene, person, cases[place], seed)
            share[place] = mixture.truth.share.mean()
            jaw[place] = np.mean([name.startswith(("temporalis", "masseter")) for name in mixture.truth.names])
            for row, method in enumerate(METHODS.values()):
                found = method.find(mixture, len(mixture.truth.names), seed)
                result[place, row] = _scored(mixture, method, found, np.random.default_rng([seed, row]))
                vaf[place, row] = _explained(mixture, method, found)
    return {"scores": result, "vaf": vaf, "share": share, "jaw": jaw}


def _scored(mixture: Mixture, method: Method, found: Separation, rng: np.random.Generator) -> Array:
    """(SCORES, PARTS). Envelopes have no waveform, so no SDR, and are mixed by magnitudes."""
    truth = mixture.truth
    mixing = np.abs(truth.mixing) if method.of_envelopes else truth.mixing
    courses = found.sources if method.of_envelopes else _course(found.sources, RATE_HZ)
    rows = [
        scores.amari_score(found.unmixing, mixing, rng),
        scores.activation_score(courses, mixture.activation, rng),
        scores.muscle_score(found.mixing, mixture.gains, mixture.muscles, rng, draws=50),
    ]
    if not method.of_envelopes:
        thin = slice(None, None, _THINNED)
        rows.append(scores.sdr_score(found.sources[thin], truth.courses[thin], rng, draws=5))
    table = np.full((len(SCORES), len(PARTS)), np.nan)
    table[: len(rows)] = [_parts(one) for one in rows]
    return table


def _parts(score: Score) -> tuple[float, float, float]:
    return score.value, score.chance, score.chance_limit


def _explained(mixture: Mixture, method: Method, found: Separation) -> float:
    """VAF: of EMG about its mean; of envelopes about 0, as the literature on synergies has it."""
    if found.method != "nmf":
        return scores.explained(mixture.envelopes if method.of_envelopes else mixture.emg, found.sources, found.mixing)
    left = mixture.envelopes - found.sources @ found.mixing.T
    return float(1 - (left**2).sum() / (mixture.envelopes**2).sum())


__all__ = [
    "METHODS",
    "PARTS",
    "SCORES",
    "TASKS",
    "Case",
    "Method",
    "Mixture",
    "Scene",
    "mix",
    "person_scores",
    "play",
    "wear",
]
