"""The vocabulary of facial movement: action units, muscles, expressions, intensity letters, blendshapes.

Numbers, names and muscular basis are those of the Facial Action Coding System (FACS; Ekman, Friesen & Hager
2002), the source of the tables in the skin-musculoskeletal paper (Tables 1 and 2) and in the FER-EE paper
(Table S1). Left and right are always the subject's.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from .errors import InputError, VocabularyError


class Side(StrEnum):
    """A side of the subject's face; `BOTH` for what lies on the midline or moves as one."""

    RIGHT = "right"
    LEFT = "left"
    BOTH = "both"


class Muscle(StrEnum):
    """Facial and jaw muscles by anatomical name. All are paired except `PROCERUS` and `ORBICULARIS_ORIS`."""

    FRONTALIS_MEDIALIS = "frontalis medialis"
    FRONTALIS_LATERALIS = "frontalis lateralis"
    CORRUGATOR = "corrugator supercilii"
    DEPRESSOR_SUPERCILII = "depressor supercilii"
    PROCERUS = "procerus"
    ORBICULARIS_OCULI_ORBITAL = "orbicularis oculi, orbital part"
    ORBICULARIS_OCULI_PALPEBRAL = "orbicularis oculi, palpebral part"
    LEVATOR_PALPEBRAE = "levator palpebrae superioris"
    LLSAN = "levator labii superioris alaeque nasi"
    LEVATOR_LABII = "levator labii superioris"
    LEVATOR_ANGULI_ORIS = "levator anguli oris"
    ZYGOMATICUS_MINOR = "zygomaticus minor"
    ZYGOMATICUS_MAJOR = "zygomaticus major"
    RISORIUS = "risorius"
    BUCCINATOR = "buccinator"
    DEPRESSOR_ANGULI_ORIS = "depressor anguli oris"
    DEPRESSOR_LABII_INFERIORIS = "depressor labii inferioris"
    MENTALIS = "mentalis"
    ORBICULARIS_ORIS = "orbicularis oris"
    INCISIVI_LABII = "incisivi labii"
    PLATYSMA = "platysma"
    MASSETER = "masseter"
    TEMPORALIS = "temporalis"
    MEDIAL_PTERYGOID = "medial pterygoid"
    LATERAL_PTERYGOID = "lateral pterygoid"
    DIGASTRIC = "digastric"


PAIRED: tuple[Side, ...] = (Side.RIGHT, Side.LEFT)
MIDLINE: tuple[Side, ...] = (Side.BOTH,)


@dataclass(frozen=True)
class ActionUnit:
    """An action unit (AU) or action descriptor (AD) of FACS."""

    number: int
    name: str
    muscles: tuple[Muscle, ...] = ()
    """Muscles that contract; empty where FACS names none (tongue, air, gaze)."""
    relaxes: tuple[Muscle, ...] = ()
    """Muscles whose relaxation is part of the action, as FACS says of lids and jaw."""
    sides: tuple[Side, ...] = PAIRED
    """Sides that can act alone: `PAIRED`, or `MIDLINE` for what only shows as one."""

    def __str__(self) -> str:
        return f"AU{self.number}"


_M = Muscle
_LID_CLOSES = (_M.ORBICULARIS_OCULI_PALPEBRAL,), (_M.LEVATOR_PALPEBRAE,)

ACTION_UNITS = (
    ActionUnit(1, "inner brow raiser", (_M.FRONTALIS_MEDIALIS,)),
    ActionUnit(2, "outer brow raiser", (_M.FRONTALIS_LATERALIS,)),
    ActionUnit(4, "brow lowerer", (_M.CORRUGATOR, _M.DEPRESSOR_SUPERCILII, _M.PROCERUS)),
    ActionUnit(5, "upper lid raiser", (_M.LEVATOR_PALPEBRAE,)),
    ActionUnit(6, "cheek raiser", (_M.ORBICULARIS_OCULI_ORBITAL,)),
    ActionUnit(7, "lid tightener", (_M.ORBICULARIS_OCULI_PALPEBRAL,)),
    ActionUnit(8, "lips toward each other", (_M.ORBICULARIS_ORIS,), sides=MIDLINE),
    ActionUnit(9, "nose wrinkler", (_M.LLSAN,)),
    ActionUnit(10, "upper lip raiser", (_M.LEVATOR_LABII,)),
    ActionUnit(11, "nasolabial deepener", (_M.ZYGOMATICUS_MINOR,)),
    ActionUnit(12, "lip corner puller", (_M.ZYGOMATICUS_MAJOR,)),
    ActionUnit(13, "sharp lip puller", (_M.LEVATOR_ANGULI_ORIS,)),
    ActionUnit(14, "dimpler", (_M.BUCCINATOR,)),
    ActionUnit(15, "lip corner depressor", (_M.DEPRESSOR_ANGULI_ORIS,)),
    ActionUnit(16, "lower lip depressor", (_M.DEPRESSOR_LABII_INFERIORIS,)),
    ActionUnit(17, "chin raiser", (_M.MENTALIS,), sides=MIDLINE),
    ActionUnit(18, "lip pucker", (_M.INCISIVI_LABII,), sides=MIDLINE),
    ActionUnit(19, "tongue show", sides=MIDLINE),
    ActionUnit(20, "lip stretcher", (_M.RISORIUS, _M.PLATYSMA)),
    ActionUnit(21, "neck tightener", (_M.PLATYSMA,)),
    ActionUnit(22, "lip funneler", (_M.ORBICULARIS_ORIS,), sides=MIDLINE),
    ActionUnit(23, "lip tightener", (_M.ORBICULARIS_ORIS,), sides=MIDLINE),
    ActionUnit(24, "lip presser", (_M.ORBICULARIS_ORIS,)),
    ActionUnit(
        25,
        "lips part",
        (_M.DEPRESSOR_LABII_INFERIORIS,),
        relaxes=(_M.MENTALIS, _M.ORBICULARIS_ORIS),
        sides=MIDLINE,
    ),
    ActionUnit(26, "jaw drop", relaxes=(_M.MASSETER, _M.TEMPORALIS, _M.MEDIAL_PTERYGOID), sides=MIDLINE),
    ActionUnit(27, "mouth stretch", (_M.LATERAL_PTERYGOID, _M.DIGASTRIC), sides=MIDLINE),
    ActionUnit(28, "lip suck", (_M.ORBICULARIS_ORIS,), sides=MIDLINE),
    ActionUnit(29, "jaw thrust", (_M.LATERAL_PTERYGOID,), sides=MIDLINE),
    ActionUnit(30, "jaw sideways", (_M.LATERAL_PTERYGOID,)),
    ActionUnit(34, "cheek puff", sides=MIDLINE),
    ActionUnit(43, "eyes closed", *_LID_CLOSES),
    ActionUnit(44, "squint", (_M.ORBICULARIS_OCULI_PALPEBRAL,)),
    ActionUnit(45, "blink", *_LID_CLOSES),
    ActionUnit(46, "wink", *_LID_CLOSES),
    ActionUnit(61, "eyes turn left"),
    ActionUnit(62, "eyes turn right"),
    ActionUnit(63, "eyes up"),
    ActionUnit(64, "eyes down"),
)
_BY_NUMBER = MappingProxyType({unit.number: unit for unit in ACTION_UNITS})
_BY_NAME = MappingProxyType({unit.name: unit for unit in ACTION_UNITS})


def action_unit(key: int | str | ActionUnit) -> ActionUnit:
    """Look up an action unit by number (12), code ("AU12", "AU06", "AD30") or name ("lip corner puller").

    Raises `VocabularyError` listing the valid ones.
    """
    if isinstance(key, ActionUnit):
        return key
    text = str(key).strip().lower()
    digits = text.removeprefix("au").removeprefix("ad").strip()
    unit = _BY_NUMBER.get(int(digits)) if digits.isdecimal() else _BY_NAME.get(text)
    if unit is None:
        allowed = ", ".join(f"{u} {u.name}" for u in ACTION_UNITS)
        raise VocabularyError(f"unknown action unit {key!r}; allowed: {allowed}")
    return unit


def muscle(key: str | Muscle) -> Muscle:
    """Look up a muscle by its anatomical name or its constant's. Raises `VocabularyError` listing the
    names."""
    text = str(key).strip()
    for candidate in Muscle:
        if text.lower() == candidate.value or text.upper().replace(" ", "_") == candidate.name:
            return candidate
    raise VocabularyError(f"unknown muscle {key!r}; allowed: {', '.join(Muscle)}")


def side(key: str | Side) -> Side:
    """Look up a side, "right", "left" or "both". Raises `VocabularyError` otherwise."""
    try:
        return Side(str(key).strip().lower())
    except ValueError:
        raise VocabularyError(f"unknown side {key!r}; allowed: {', '.join(Side)}") from None


LETTERS = ("A", "B", "C", "D", "E")
"""FACS intensity, trace to maximum. Here they are the five equal fifths of 0…1."""


def letter(intensity: float) -> str:
    """FACS letter of an intensity: A for 0 ≤ x < 0.2 … E for 0.8 ≤ x ≤ 1. Raises `InputError` outside 0…1.

    Whether an action is there at all is a threshold that belongs to whoever measured it, not to this scale.
    """
    if not 0 <= intensity <= 1:  # also refuses NaN
        raise InputError(f"intensity {intensity!r} is not in 0..1; scale it to the action's full range first")
    return LETTERS[min(math.floor(intensity * len(LETTERS)), len(LETTERS) - 1)]


def letter_bounds(key: str) -> tuple[float, float]:
    """Lower and upper intensity of a FACS letter. Raises `VocabularyError` for anything but A–E."""
    name = str(key).strip().upper()
    if name not in LETTERS:
        raise VocabularyError(f"unknown FACS intensity {key!r}; allowed: {', '.join(LETTERS)}")
    fifth = LETTERS.index(name)
    return fifth / len(LETTERS), (fifth + 1) / len(LETTERS)


def intensity(key: str) -> float:
    """Intensity in the middle of a FACS letter's fifth: A 0.1, B 0.3, C 0.5, D 0.7, E 0.9."""
    low, high = letter_bounds(key)
    return (low + high) / 2


@dataclass(frozen=True)
class Component:
    """An action unit's part in an expression."""

    unit: ActionUnit
    sides: tuple[Side, ...]
    letter: str = ""
    """The intensity that the prototype asks for; empty when it asks for none in particular."""

    @property
    def muscles(self) -> tuple[Muscle, ...]:
        """Muscles that contract for it."""
        return self.unit.muscles

    def __str__(self) -> str:
        prefix = self.sides[0].name[0] if len(self.sides) == 1 and self.sides != MIDLINE else ""
        return f"{prefix}{self.unit.number}{self.letter}"


@dataclass(frozen=True)
class Expression:
    """A prototypical expression as a sum of action units; `formula` is the FACS notation, "1+2+5B+26"."""

    name: str
    components: tuple[Component, ...]

    @property
    def formula(self) -> str:
        return "+".join(str(component) for component in self.components)

    @property
    def muscles(self) -> tuple[Muscle, ...]:
        """Every muscle that contracts, once, in order of appearance."""
        return tuple(dict.fromkeys(m for component in self.components for m in component.muscles))


def parse_formula(formula: str) -> tuple[Component, ...]:
    """Read FACS notation, "1+2+5B+26" or "R12A+R14A", into components. Raises `VocabularyError`."""
    return tuple(_component(term) for term in formula.split("+") if term.strip())


def _component(term: str) -> Component:
    text = term.strip().upper()
    prefix = text[0] if text[0] in "RL" else ""
    body = text.removeprefix(prefix)
    grade = body[-1] if body and body[-1] in LETTERS else ""
    unit = action_unit(body.removesuffix(grade))
    sides = {"R": PAIRED[:1], "L": PAIRED[1:]}.get(prefix, unit.sides)
    if not set(sides) <= set(unit.sides):
        raise VocabularyError(f"{term.strip()!r}: {unit} {unit.name} has no single side; write {unit.number} alone")
    return Component(unit, sides, grade)


EXPRESSIONS = tuple(
    Expression(name, parse_formula(formula))
    for name, formula in (
        ("neutral", ""),
        ("happiness", "6+12"),
        ("sadness", "1+4+15"),
        ("surprise", "1+2+5B+26"),
        ("fear", "1+2+4+5+7+20+26"),
        ("anger", "4+5+7+23"),
        ("disgust", "9+15+16"),
        ("contempt", "R12A+R14A"),
    )
)
"""Neutral and the seven basic expressions with their usual prototypes (Ekman & Friesen's EMFACS; FACS lists
variants of each). Contempt is one-sided; the right is a convention."""
_EXPRESSION_BY_NAME = MappingProxyType({expression.name: expression for expression in EXPRESSIONS})

SHU_EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""The six of the skin-musculoskeletal paper (§ 2.3), in its order; neutral is the rest between them."""
FER_EE_EXPRESSIONS = ("contempt", "surprise", "sadness", "happiness", "anger", "disgust", "fear")
"""The seven of the epidermal-electrode paper (§ 2.1), in its order."""


def expression(name: str | Expression) -> Expression:
    """Look up an expression by name. Raises `VocabularyError` listing the names."""
    if isinstance(name, Expression):
        return name
    try:
        return _EXPRESSION_BY_NAME[str(name).strip().lower()]
    except KeyError:
        raise VocabularyError(f"unknown expression {name!r}; allowed: {', '.join(_EXPRESSION_BY_NAME)}") from None


# --- ARKit blendshapes ------------------------------------------------------------------------------------

_R, _L, _B = (Side.RIGHT,), (Side.LEFT,), PAIRED


def _paired(stem: str, number: int) -> tuple[tuple[str, int, tuple[Side, ...]], ...]:
    return (f"{stem}Left", number, _L), (f"{stem}Right", number, _R)


# In MediaPipe's output order: name, action unit (0 where FACS has none), sides it speaks for.
_TABLE: tuple[tuple[str, int, tuple[Side, ...]], ...] = (
    ("_neutral", 0, _B),
    *_paired("browDown", 4),
    ("browInnerUp", 1, _B),
    *_paired("browOuterUp", 2),
    ("cheekPuff", 34, _B),
    *_paired("cheekSquint", 6),
    *_paired("eyeBlink", 45),
    *_paired("eyeLookDown", 64),
    ("eyeLookInLeft", 62, _L),
    ("eyeLookInRight", 61, _R),
    ("eyeLookOutLeft", 61, _L),
    ("eyeLookOutRight", 62, _R),
    *_paired("eyeLookUp", 63),
    *_paired("eyeSquint", 7),
    *_paired("eyeWide", 5),
    ("jawForward", 29, _B),
    ("jawLeft", 30, _L),
    ("jawOpen", 26, _B),
    ("jawRight", 30, _R),
    ("mouthClose", 0, _B),
    *_paired("mouthDimple", 14),
    *_paired("mouthFrown", 15),
    ("mouthFunnel", 22, _B),
    ("mouthLeft", 0, _L),
    *_paired("mouthLowerDown", 16),
    *_paired("mouthPress", 24),
    ("mouthPucker", 18, _B),
    ("mouthRight", 0, _R),
    ("mouthRollLower", 28, _B),
    ("mouthRollUpper", 28, _B),
    ("mouthShrugLower", 17, _B),
    ("mouthShrugUpper", 0, _B),
    *_paired("mouthSmile", 12),
    *_paired("mouthStretch", 20),
    *_paired("mouthUpperUp", 10),
    *_paired("noseSneer", 9),
)
BLENDSHAPES = tuple(name for name, _, _ in _TABLE)
"""The 52 scores of MediaPipe's face landmarker, in its order: ARKit's shapes, "_neutral" for tongueOut."""
ARKIT_TO_AU = MappingProxyType({name: _BY_NUMBER[number] for name, number, _ in _TABLE if number})
"""Blendshape → action unit; shapes that FACS has no unit for are left out."""

_LIPS_PART = 25
CAMERA_ACTION_UNITS = tuple(
    _BY_NUMBER[number] for number in sorted({number for _, number, _ in _TABLE if number} | {_LIPS_PART})
)
"""The action units that `action_units` gives, ascending. Not among them, since no blendshape tells them
apart: 11, 13, 21, 23 (from 24), 27 (from 26), 43, 44 and 46 (from 45 and 7)."""
_ROW = {unit.number: row for row, unit in enumerate(CAMERA_ACTION_UNITS)}
_JAW_OPEN, _MOUTH_CLOSE = BLENDSHAPES.index("jawOpen"), BLENDSHAPES.index("mouthClose")


def blendshape_index(name: str) -> int:
    """Column of a blendshape. Raises `VocabularyError` listing the names."""
    try:
        return BLENDSHAPES.index(name)
    except ValueError:
        raise VocabularyError(f"unknown blendshape {name!r}; allowed: {', '.join(BLENDSHAPES)}") from None


def action_units(blendshapes: np.ndarray) -> np.ndarray:
    """Turn blendshape scores into action-unit intensities.

    `blendshapes` is (…, 52) in 0…1, in the order of `BLENDSHAPES`. The result is (…, A, 2) in 0…1: rows in
    the order of `CAMERA_ACTION_UNITS`, columns the subject's right and left. An action of the midline has
    the same number twice, AU30 has it on the side the jaw goes to. Where two shapes share a unit (28: both
    lips roll) the larger counts; AU25 is the part of jawOpen that mouthClose does not take back.

    The scores are a network's opinion, not a FACS coder's: MediaPipe hardly answers to AU6, 9, 17, 29, 30 and
    34, and a neutral face is not at zero.

    Raises `InputError` for a wrong last axis.
    """
    scores = np.asarray(blendshapes, dtype=float)
    if scores.ndim == 0 or scores.shape[-1] != len(BLENDSHAPES):
        raise InputError(f"blendshapes have shape {scores.shape}; wanted (…, {len(BLENDSHAPES)}), see BLENDSHAPES")
    result = np.zeros((*scores.shape[:-1], len(CAMERA_ACTION_UNITS), 2))
    for shape, (_, number, sides) in enumerate(_TABLE):
        for column, one in enumerate(PAIRED):
            if number and one in sides:
                row = _ROW[number]
                result[..., row, column] = np.maximum(result[..., row, column], scores[..., shape])
    parted = np.maximum(scores[..., _JAW_OPEN] - scores[..., _MOUTH_CLOSE], 0.0)
    result[..., _ROW[_LIPS_PART], :] = parted[..., None]
    return result
