"""How one person uses her face: which units she poses, how fast, how evenly, how tense, how often she blinks.

`Habits()` is the mean adult, `Habits.sample(rng)` draws one, `Habits.textbook()` moves exactly as asked.

Sources. Smiles: spontaneous ones rise slower and are smaller than posed ones of the same people (Schmidt et al.
2006, 2009), with longer onset and more irregular apex (Guo et al. 2018 on UvA-NEMO's 1240 smiles). They disagree
about the offset: longer in posed smiles (Schmidt) or in spontaneous ones (Guo); here the second. Seconds: one
real person's smiles rise from 20 to 80 % in 0.10-0.21 s on video, another's in 0.22 s; a minimum-jerk rise does
that in 0.35 of its length. That a spontaneous onset takes 0.5-0.75 s is from memory of that literature. People
took 0.84 ± 0.71 s from the fastest change to the full expression in the coexpression paper's 970 videos.
Blinks: 8-21 a minute in primary gaze, 10-32 in conversation (Doughty 2001). Chewing: 1.57 Hz, 5th to 95th
percentile 0.94-2.17 Hz (Po et al. 2011). Syllables come at 4-5 Hz. All else is *unknown*, with the range beside.
"""

from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from jax.tree_util import register_dataclass
from numpy.typing import NDArray

from ..errors import InputError, VocabularyError
from ..facs import Muscle, Side
from .anatomy import MUSCLES, muscle_index
from .repertoire import ELEVATORS, EXPRESSIONS, PAIRED_UNITS, UNITS, WEIGHTS, repertoire

Array = NDArray[np.floating]

KINDS = ("posed", "spontaneous")


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Medians of an act's phases (s), their log-normal SD from trial to trial, and how loosely units start.

    scatter_s: SD of a unit's start about the act's (*unknown*, 0-0.1). cheek_lead_s: SD of the half-normal time
    between AU6 and AU12 (*unknown*, 0.05-0.3: coders saw them all but together). linked: share of the trial's
    variance that AU6 and AU12 have in common (*unknown*; the distal-EMG paper found one joint synergy in
    spontaneous smiles, two in posed ones). unsteady: SD of the apex, a share of it (*unknown*, 0.02-0.2).
    """

    rise_s: float
    hold_s: float
    fall_s: float
    spread: float
    scatter_s: float
    cheek_lead_s: float
    linked: float
    unsteady: float


TIMINGS = MappingProxyType(
    {
        "posed": Timing(
            rise_s=0.35,
            hold_s=1.5,
            fall_s=0.6,
            spread=0.25,
            scatter_s=0.05,
            cheek_lead_s=0.12,
            linked=0.3,
            unsteady=0.04,
        ),
        "spontaneous": Timing(
            rise_s=0.65,
            hold_s=2.0,
            fall_s=1.0,
            spread=0.3,
            scatter_s=0.025,
            cheek_lead_s=0.1,
            linked=0.8,
            unsteady=0.1,
        ),
    }
)
"""By kind. Holds are for acts that nothing ends: of the order of the smiles' 0.5-4 s."""


def _untensed() -> Array:
    """How much each muscle (48,) shares in general tension: the lids and the jaw's opener little."""
    pattern = np.ones(len(MUSCLES))
    for name in (Muscle.LEVATOR_PALPEBRAE, Muscle.ORBICULARIS_OCULI_PALPEBRAL, Muscle.DIGASTRIC):
        for of in (Side.RIGHT, Side.LEFT):
            pattern[muscle_index(name, of)] = 0.25
    return pattern


def _mean_tone() -> Array:
    """Resting excitation (48,): face 0.4 % (*unknown*, 0-1), jaw elevators 0.8 %.

    The jaw's: pairs on masseter and temporalis read 1.4 and 1.9 µV at rest, 2.8 and 6.5 µV with the teeth in contact
    (Ferrario et al. 1993, 92 people); the model needs drives of 0.8 and 1.0 %, and 1 and 1.8 %, for that.
    """
    tone = np.full(len(MUSCLES), 0.004)
    tone[list(ELEVATORS)] = 0.008
    return tone


@dataclass(frozen=True, kw_only=True)
class Habits:
    """One person's habits; a pytree.

    expressions (7, A, 2): units of each expression at full intensity, by `repertoire.EXPRESSIONS`.
    weights (A, 48): her own muscles for each unit.
    effort: factor on the intensity of expressions (not of single units).
    asymmetry (A,): −1…1, + where the left is stronger.
    cocontraction (8,): excitation of all muscles beside an act's own at full intensity, for each expression, then
      for anything else; it is the same for all channels, so it is what makes people hard to tell apart.
    cocontraction_pattern (48,): each muscle's share of it. tone (48,): resting excitation.
    pace: factor on speed. reaction_s: from cue to drive. blinks_per_min, chewing_hz, syllables_hz.
    jitter: log-normal SD of intensity from trial to trial. fluctuation, tremor: SD of a muscle's drive about its
      mean, as a share, slow (below 2 Hz) and at 8-12 Hz.
    """

    expressions: Array = field(default_factory=lambda: repertoire("posed"))
    weights: Array = field(default_factory=WEIGHTS.copy)
    effort: float = 1.0
    asymmetry: Array = field(default_factory=lambda: np.zeros(len(UNITS)))
    cocontraction: Array = field(default_factory=lambda: np.full(len(EXPRESSIONS) + 1, 0.08))
    cocontraction_pattern: Array = field(default_factory=_untensed)
    tone: Array = field(default_factory=_mean_tone)
    pace: float = 1.0
    reaction_s: float = 0.3
    blinks_per_min: float = 15.0
    chewing_hz: float = 1.57
    syllables_hz: float = 4.5
    jitter: float = 0.12
    fluctuation: float = 0.08
    tremor: float = 0.02

    def __post_init__(self) -> None:
        shapes = {
            "expressions": (len(EXPRESSIONS), len(UNITS), 2),
            "weights": WEIGHTS.shape,
            "asymmetry": (len(UNITS),),
            "cocontraction": (len(EXPRESSIONS) + 1,),
            "cocontraction_pattern": (len(MUSCLES),),
            "tone": (len(MUSCLES),),
        }
        for name, shape in shapes.items():
            value = getattr(self, name)
            if not isinstance(value, np.ndarray):  # a transformation's stand-in
                continue
            if value.shape != shape or not np.isfinite(value).all():
                raise InputError(f"habits' {name} must be {shape} and finite; got shape {value.shape}")
            if name != "asymmetry" and value.min() < 0:
                raise InputError(f"habits' {name} must not be negative")

    @classmethod
    def sample(cls, rng: np.random.Generator, style: str = "posed") -> "Habits":
        """One person out of many, posing in one of `repertoire.REPERTOIRES`.

        Log-normal SDs: strength of a unit within an expression 0.2 (*unknown*, 0.1-0.5), weight of a mover 0.15, of
        a helper 0.5 (0.25-1), effort 0.25 (0.2-0.5), its pattern 0.5, facial tone 0.7, pace 0.15; jaw tone uniform
        0-1.6 %. Co-contraction 0.8 about 8 % for each expression (0.5-1.1 about 2-10 %): nearly all facial muscles
        are active in every task (Schumann et al. 2021; how much is *unknown*), and recognition across people falls
        with it as with nothing else. Asymmetry SD 0.06 (0.03-0.15). Raises `VocabularyError`.
        """

        def spread(sd: float, *shape: int) -> Array:
            return np.exp(rng.normal(0, sd, shape))

        targets = repertoire(style, rng)
        expressions = np.clip(targets * spread(0.2, *targets.shape[:2], 1), 0, 1)
        movers = WEIGHTS.max(1, keepdims=True) == WEIGHTS
        weights = WEIGHTS * np.where(movers, spread(0.15, *WEIGHTS.shape), spread(0.5, *WEIGHTS.shape))
        tone = _mean_tone() * spread(0.7, len(MUSCLES))
        tone[list(ELEVATORS)] = np.repeat(rng.uniform(0, 0.016, 2), 2) * spread(0.15, 4)
        return cls(
            expressions=expressions,
            weights=np.clip(weights, 0, 1),
            effort=float(spread(0.25)),
            asymmetry=np.where(PAIRED_UNITS, np.clip(rng.normal(0, 0.06, len(UNITS)), -0.3, 0.3), 0.0),
            cocontraction=np.minimum(0.08 * spread(0.8, len(EXPRESSIONS) + 1), 0.4),
            cocontraction_pattern=_untensed() * spread(0.5, len(MUSCLES)),
            tone=tone,
            pace=float(spread(0.15)),
            reaction_s=float(np.clip(0.3 * spread(0.2), 0.18, 0.6)),
            blinks_per_min=float(np.clip(rng.normal(15, 4), 4, 32)),
            chewing_hz=float(np.clip(rng.normal(1.57, 0.37), 0.8, 2.5)),
            syllables_hz=float(np.clip(rng.normal(4.5, 0.5), 3, 6)),
        )

    @classmethod
    def textbook(cls, style: str = "prototype") -> "Habits":
        """Moves as asked and no more: no tension, tone, blinks, jitter, asymmetry. Raises `VocabularyError`."""
        return cls(
            expressions=repertoire(style),
            cocontraction=np.zeros(len(EXPRESSIONS) + 1),
            tone=np.zeros(len(MUSCLES)),
            blinks_per_min=0.0,
            jitter=0.0,
            fluctuation=0.0,
            tremor=0.0,
        )

    def reaction(self, rng: np.random.Generator) -> float:
        """Time (s) from one cue to the drive that answers it; log-normal SD 0.25 (*unknown*, 0.15-0.4)."""
        return float(self.reaction_s * np.exp(0.25 * rng.standard_normal())) if self.jitter else self.reaction_s


def timing(kind: str) -> Timing:
    """Timing of a kind of act. Raises `VocabularyError` listing the kinds."""
    if kind not in TIMINGS:
        raise VocabularyError(f"unknown kind of act {kind!r}; allowed: {', '.join(KINDS)}")
    return TIMINGS[kind]


register_dataclass(Habits, data_fields=list(Habits.__dataclass_fields__), meta_fields=[])
