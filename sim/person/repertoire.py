"""What the face can be asked to do: action units as muscles, expressions as action units.

`UNITS` orders every action-unit axis, `excite` turns action units into muscle excitation, `resolve` reads what
somebody is asked to show: "happiness", "smile", "AU12", "R12+14", "eyes closed".

Which muscles make an action unit is FACS (`facs.ACTION_UNITS`). By how much is *unknown*: the mover that FACS
names has weight 1, helpers (engineering knowledge, range ± 50 %) have what a mechanical face needed in order to
look right. FACS lets AU26 happen by relaxation alone; a jaw that drops as fast as in posed surprise is pulled.

How expressions are posed: Du, Tao & Martinez, PNAS 2014, 230 people photographed and FACS-coded. Action units
seen in more than 70 % of people always belong to it, others with the share of people that showed them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, VocabularyError
from ..facs import EXPRESSIONS as FACS_EXPRESSIONS
from ..facs import PAIRED, ActionUnit, Component, Muscle, Side, action_unit, letter_bounds, parse_formula
from ..facs import intensity as letter_intensity
from .anatomy import MUSCLES, muscle_index

Array = NDArray[np.floating]
_M = Muscle

# Weight of each muscle at full intensity of the action.
_WEIGHTS: Mapping[int, Mapping[Muscle, float]] = {
    1: {_M.FRONTALIS_MEDIALIS: 1.0, _M.FRONTALIS_LATERALIS: 0.2},  # the two parts are hard to part at will
    2: {_M.FRONTALIS_LATERALIS: 1.0, _M.FRONTALIS_MEDIALIS: 0.2},
    4: {_M.CORRUGATOR: 1.0, _M.DEPRESSOR_SUPERCILII: 0.7, _M.PROCERUS: 0.7},
    5: {_M.LEVATOR_PALPEBRAE: 1.0},
    6: {_M.ORBICULARIS_OCULI_ORBITAL: 1.0, _M.ORBICULARIS_OCULI_PALPEBRAL: 0.1},
    7: {_M.ORBICULARIS_OCULI_PALPEBRAL: 0.5, _M.ORBICULARIS_OCULI_ORBITAL: 0.4},  # narrows, does not close
    9: {_M.LLSAN: 1.0, _M.PROCERUS: 0.4, _M.LEVATOR_LABII: 0.2},
    10: {_M.LEVATOR_LABII: 1.0, _M.ZYGOMATICUS_MINOR: 0.3, _M.LLSAN: 0.2},
    11: {_M.ZYGOMATICUS_MINOR: 1.0},
    12: {_M.ZYGOMATICUS_MAJOR: 1.0, _M.ZYGOMATICUS_MINOR: 0.3, _M.RISORIUS: 0.15},
    13: {_M.LEVATOR_ANGULI_ORIS: 1.0},
    14: {_M.BUCCINATOR: 1.0, _M.RISORIUS: 0.2},
    15: {_M.DEPRESSOR_ANGULI_ORIS: 1.0, _M.PLATYSMA: 0.1},
    16: {_M.DEPRESSOR_LABII_INFERIORIS: 1.0},
    17: {_M.MENTALIS: 1.0},
    18: {_M.INCISIVI_LABII: 1.0, _M.ORBICULARIS_ORIS: 0.5},
    20: {_M.RISORIUS: 1.0, _M.PLATYSMA: 0.6},
    22: {_M.ORBICULARIS_ORIS: 0.6, _M.INCISIVI_LABII: 0.5, _M.DEPRESSOR_LABII_INFERIORIS: 0.2},
    23: {_M.ORBICULARIS_ORIS: 1.0},
    24: {_M.ORBICULARIS_ORIS: 0.8, _M.MENTALIS: 0.2},
    25: {_M.DEPRESSOR_LABII_INFERIORIS: 0.4, _M.LEVATOR_LABII: 0.15},
    26: {_M.DIGASTRIC: 0.32},  # half as far as 27, see drive.py: the closers do the rest by letting go
    27: {_M.DIGASTRIC: 1.0},
    45: {_M.ORBICULARIS_OCULI_PALPEBRAL: 1.0},
}

UNITS: tuple[ActionUnit, ...] = tuple(action_unit(number) for number in _WEIGHTS)
"""Order of every action-unit axis, (A,) ascending by number. Columns beside it are the right and the left."""
_ROW = MappingProxyType({unit.number: row for row, unit in enumerate(UNITS)})
PAIRED_UNITS = np.array([unit.sides == PAIRED for unit in UNITS])
"""Which units can act on one side alone, (A,)."""
_ALIASES = MappingProxyType({43: 45, 46: 45})
"""Closed eyes and a wink are long and one-sided forms of the same closure."""


def _weights() -> Array:
    table = np.zeros((len(UNITS), len(MUSCLES)))
    for number, shares in _WEIGHTS.items():
        for name, share in shares.items():
            for of in PAIRED:
                table[_ROW[number], muscle_index(name, of)] = share
    table.flags.writeable = False
    return table


WEIGHTS: Array = _weights()
"""Excitation of each muscle at full intensity of each unit, (A, 48): an action's right drives right muscles."""
JAW_OPENERS = ("AU26", "AU27")
ELEVATORS = tuple(muscle_index(name, of) for name in (_M.MASSETER, _M.TEMPORALIS) for of in PAIRED)
"""Muscles that close the jaw; they let go when it opens."""


def unit_index(key: int | str | ActionUnit) -> int:
    """Row of an action unit in `UNITS`, also by 43 and 46. Raises `VocabularyError` listing the units."""
    unit = action_unit(key)
    row = _ROW.get(_ALIASES.get(unit.number, unit.number))
    if row is None:
        allowed = ", ".join(f"{unit} {unit.name}" for unit in UNITS)
        raise VocabularyError(f"{unit} {unit.name} is not among what the simulated face can do: {allowed}")
    return row


def excite(au: Array, weights: Array = WEIGHTS) -> Array:
    """Muscle excitation (T, 48) 0…1 of action-unit intensities (T, A, 2) 0…1.

    weights (A, 48) are a person's own, `WEIGHTS` the mean. Drives to one muscle add up as 1 − Π(1 − w·a): as a
    sum while they are small, never beyond full drive. Raises `InputError` for a wrong shape or values outside
    0…1.
    """
    au = np.asarray(au, float)
    if au.ndim != 3 or au.shape[1:] != (len(UNITS), 2):
        raise InputError(f"action units have shape {au.shape}; wanted (T, {len(UNITS)}, 2), see UNITS")
    if not (np.isfinite(au).all() and au.min(initial=0) >= 0 and au.max(initial=0) <= 1):
        raise InputError("action-unit intensities must be finite and in 0…1; scale them first")
    courses = np.ascontiguousarray(au.transpose(1, 2, 0))
    idle = np.ones((len(MUSCLES), len(au)))
    for row in np.flatnonzero(courses.any((1, 2))):
        for column in np.flatnonzero(weights[row]):
            idle[column] *= 1 - min(weights[row, column], 1.0) * courses[row, column % 2]
    return np.subtract(1, idle, out=idle).T


_LIDS = tuple(unit_index(code) for code in ("AU5", "AU7", "AU45"))
_LIDS_FIRST = np.array([*_LIDS, *(row for row in range(len(UNITS)) if row not in _LIDS)])


def as_coordinates(units: Any) -> jax.Array:
    """Action units (…, A, 2) in the order of a face's coordinates, (…, 1 + 2 A): no jaw, six of the lids, the others.

    So `dynamics.relax` lets the units of the lids lag as lids do.
    """
    flat = jnp.asarray(units)[..., _LIDS_FIRST, :].reshape(*units.shape[:-2], -1)
    return jnp.concatenate([jnp.zeros_like(flat[..., :1]), flat], -1)


def from_coordinates(coordinates: Any) -> jax.Array:
    """Action units (…, A, 2) of what `as_coordinates` gave."""
    values = jnp.asarray(coordinates)[..., 1:].reshape(*coordinates.shape[:-1], len(UNITS), 2)
    return values[..., np.argsort(_LIDS_FIRST), :]


# --- Expressions -----------------------------------------------------------------------------------------------

_POSED: Mapping[str, tuple[str, Mapping[int, float]]] = {
    "happiness": ("12+25", {6: 0.51}),
    "sadness": ("4+15", {1: 0.60, 6: 0.50, 11: 0.26, 17: 0.67}),
    "surprise": ("1+2+25+26", {5: 0.66}),
    "fear": ("1+4+20+25", {2: 0.57, 5: 0.63, 26: 0.33}),
    "anger": ("4+7+24", {10: 0.26, 17: 0.52, 23: 0.29}),
    "disgust": ("9+10+17", {4: 0.31, 24: 0.26}),
    "contempt": ("R12+R14", {}),  # not among the 2014 set; FACS's one-sided form
}
EXPRESSIONS: tuple[str, ...] = tuple(_POSED)
"""The seven, in this package's order."""
REPERTOIRES = ("posed", "prototype")
"""Ways to mean an expression: as people pose it (Du et al. 2014) or as FACS's prototype (`facs.EXPRESSIONS`)."""
OPTIONAL_STRENGTH = 0.6
"""Strength of a unit that not everybody shows, against 1 for the others; *unknown*, 0.3-1."""

_PRACTISED = (12,)
_HARD_AT_WILL = (1, 5, 6, 7, 11, 15, 16, 20, 23, 24)
_AT_WILL = np.array([1.0 if u.number in _PRACTISED else 0.45 if u.number in _HARD_AT_WILL else 0.67 for u in UNITS])
"""How strongly each unit (A,) is posed, against the smile that everybody has practised.

People find the others hard to pose (skin-musculoskeletal paper § 4.3), some units more than others: Ekman's reliable
muscles, which a survey of controllability confirmed (Mehu et al. 2012; abstract seen, the list is from memory and
the rarely used 5, 7, 11 and 16 were put with it). The three grades are *unknown* (0.3-1). Where they were chosen it was
known that the smile stands out among eight real people's expressions; no number was fitted to them.
"""

DUCHENNE = MappingProxyType({"spontaneous": 0.9, "posed": 0.9})
"""Probability that a smile has AU6. Distal-EMG paper § 7: human coders saw the marker with the lip movement about
90 % of the time, independently of the block."""
CHEEK_FIRST = MappingProxyType({"spontaneous": 0.8, "posed": 0.6})
"""Probability that AU6 starts before AU12 where both occur; the same section ("above 80 %", "above 60 %")."""
LIPS_PART_IN_SMILE = 0.5
"""Probability of AU25 in a smile; *unknown*, 0.3-0.8."""

MVC_ACTIONS = MappingProxyType(
    {
        "eyebrow elevation": "1+2",
        "eyebrow furrowing and nose elevation": "4+9",
        "eyelid closure": "6+7+43",
        "elevation of mouth corners": "12",
        "depression of mouth corners": "15",
    }
)
"""The five maximal actions of the skin-musculoskeletal paper (§ 2.3) as FACS formulas; its sixth posture, a
relaxed jaw, is rest."""


def repertoire(name: str, rng: np.random.Generator | None = None) -> Array:
    """Targets (7, A, 2) 0…1 of the expressions at full intensity, in the order of `EXPRESSIONS`.

    name: one of `REPERTOIRES`. With a generator, one person's way: the optional units she uses, and the side of
    her contempt (no preference known); without, the units that more than half of all people use.
    Raises `VocabularyError`.
    """
    if name not in REPERTOIRES:
        raise VocabularyError(f"unknown repertoire {name!r}; allowed: {', '.join(REPERTOIRES)}")
    targets = np.zeros((len(EXPRESSIONS), len(UNITS), 2))
    prototypes = {entry.name: entry for entry in FACS_EXPRESSIONS}
    for index, expression in enumerate(EXPRESSIONS):
        if name == "prototype":
            targets[index] = _targets(prototypes[expression].components, _top)
            continue
        core, optional = _POSED[expression]
        targets[index] = _targets(parse_formula(core), _top)
        for number, probability in optional.items():
            if (rng.random() if rng else 0.5) < probability:
                targets[index, _ROW[number]] = OPTIONAL_STRENGTH
        targets[index] *= _AT_WILL[:, None]
    if rng is not None and name == "posed" and rng.random() < 0.5:
        contempt = EXPRESSIONS.index("contempt")
        targets[contempt] = targets[contempt][:, ::-1]
    return targets


def resolve(what: str) -> Array:
    """Targets (A, 2) 0…1 of a FACS formula, "AU12", "1+2+5B" or "R12+L14C", "blink" or "eyes closed".

    A letter asks for the middle of its fifth, no letter for the full range. Raises `VocabularyError`.
    """
    named = {"blink": "45", "eyes closed": "43"}.get(what.strip().lower())
    formula = named or what.strip().upper().replace("AU", "")
    try:
        components = parse_formula(formula)
    except VocabularyError as error:
        raise VocabularyError(
            f"cannot show {what!r} ({error}); allowed: {', '.join(EXPRESSIONS)}, smile, blink, eyes closed, speech, "
            "chewing, or action units as in 'AU12', '6+12', 'R12C'"
        ) from None
    if not components:
        raise VocabularyError(f"{what!r} names no action unit; write for instance 'AU12' or '6+12'")
    return _targets(components, lambda grade: letter_intensity(grade) if grade else 1.0)


def _targets(components: tuple[Component, ...], strength) -> Array:
    targets = np.zeros((len(UNITS), 2))
    for component in components:
        columns = [0, 1] if Side.BOTH in component.sides else [PAIRED.index(of) for of in component.sides]
        targets[unit_index(component.unit), columns] = strength(component.letter)
    return targets


def _top(grade: str) -> float:
    """A prototype's letter bounds the unit from above: 5B never exceeds B."""
    return letter_bounds(grade)[1] if grade else 1.0
