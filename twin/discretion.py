"""Discretion: what the robot's face answers to an expression. A smile is returned, anger is met with concern.

The table is data, `data/discretion.toml`, which says how to change it; `Discretion.load` reads another one.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..sim.alignment import align
from ..sim.errors import InputError, VocabularyError
from ..sim.facs import EXPRESSIONS, expression
from ..sim.mesh import REST, VERTEX_COUNT
from ..sim.person.encounter import STEADY
from ..sim.person.person import unit_shapes
from ..sim.person.repertoire import EXPRESSIONS as POSED
from ..sim.person.repertoire import repertoire, resolve

Array = NDArray[np.floating]

SAME, NEUTRAL = "same", "neutral"
"""Answers that are no formula: her own face, and the face at rest."""
_STRONGEST = 2.0
_NAMES = tuple(one.name for one in EXPRESSIONS)


@dataclass(frozen=True)
class Answer:
    """What to show, "same", "neutral" or a FACS formula, and how much of it."""

    show: str = SAME
    strength: float = 1.0

    def __post_init__(self) -> None:
        if self.show not in (SAME, NEUTRAL):
            resolve(self.show)
        if not (isinstance(self.strength, int | float) and 0 <= self.strength <= _STRONGEST):
            raise InputError(f"strength of an answer: got {self.strength!r}; allowed is a number 0 … {_STRONGEST:g}")


@dataclass(frozen=True)
class Discretion:
    """An answer for every expression of `facs.EXPRESSIONS`."""

    answers: Mapping[str, Answer]

    def __post_init__(self) -> None:
        for name in self.answers:
            expression(name)
        missing = [name for name in _NAMES if name not in self.answers]
        if missing:
            raise VocabularyError(f"no answer to {', '.join(missing)}; every expression needs one")
        if self.answers[NEUTRAL].show not in (SAME, NEUTRAL):
            shown = self.answers[NEUTRAL].show
            raise VocabularyError(
                f"answer to neutral: got {shown!r}; allowed: {SAME}, {NEUTRAL}; a face at rest has no strength"
            )
        object.__setattr__(self, "answers", MappingProxyType(dict(self.answers)))

    @classmethod
    @cache
    def default(cls) -> "Discretion":
        """The shipped table."""
        return cls(_read((files("duchenne.twin") / "data" / "discretion.toml").read_text("utf-8"), "the shipped table"))

    @classmethod
    def load(cls, path: str | Path, base: "Discretion | None" = None) -> "Discretion":
        """A table from a file written like `data/discretion.toml`; what it leaves out is answered as in `base`.

        None takes the shipped table.

        Raises `InputError` for a file that cannot be read, `VocabularyError` for a name that means nothing.
        """
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the discretion table {path}: {error}") from error
        return cls({**(base or cls.default()).answers, **_read(text, str(path))})

    @classmethod
    @cache
    def returning_the_unnamed(cls) -> "Discretion":
        """The shipped table, but what has no name is returned: for watchers that name only what is large and clear."""
        return cls({**cls.default().answers, NEUTRAL: Answer()})

    @classmethod
    def mirror_all(cls) -> "Discretion":
        """Every expression is returned as it is; for studies."""
        return cls(dict.fromkeys(_NAMES, Answer()))

    def __call__(self, expression_name: str, face_m: Array) -> Array:
        """The face to answer with, (468, 3) m from rest, to hers (468, 3) m, which looks like the named expression.

        Raises `VocabularyError` for a name that is no expression.
        """
        answer = self.answers.get(expression_name) or self.answers[expression(expression_name).name]
        if answer.show == SAME:
            return answer.strength * face_m
        if answer.show == NEUTRAL:
            return np.zeros((VERTEX_COUNT, 3))
        return answer.strength * strength(expression_name, face_m) * formula_face(answer.show)

    def prepare(self) -> None:
        """Work out all faces that answers need, which takes seconds, before a robot waits for one."""
        for name in _NAMES:
            self(name, np.zeros((VERTEX_COUNT, 3)))


def strength(expression_name: str, face_m: Array) -> float:
    """How strongly a face (468, 3) m shows an expression as people pose it, 0…1; lids do not count."""
    prototype = _posed()[expression_name]
    return float(np.clip(face_m[STEADY].ravel() @ prototype, 0.0, 1.0))


@cache
def formula_face(formula: str) -> Array:
    """What an average person who shows a FACS formula looks like, (468, 3) m from rest, aligned."""
    return _aligned(resolve(formula)[None])[0]


@cache
def _posed() -> Mapping[str, Array]:
    """For each expression the direction whose product with a face is 1 when it is as people pose it."""
    faces = _aligned(repertoire("posed"))[:, STEADY].reshape(len(POSED), -1)
    return {name: face / (face @ face) for name, face in zip(POSED, faces, strict=True)}


def _aligned(units: Array) -> Array:
    """Displacements (n, 468, 3) of the average face that shows action units (n, A, 2)."""
    return align(REST + np.einsum("nas,asvk->nvk", units, unit_shapes())) - align(REST)


def _read(text: str, source: str) -> dict[str, Answer]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"discretion table {source}: {error}; see TOML, or copy the shipped table") from error
    faces, answers = (_section(table, name, source) for name in ("faces", "answers"))
    if set(table) - {"faces", "answers"}:
        unknown = ", ".join(sorted(set(table) - {"faces", "answers"}))
        raise VocabularyError(f"discretion table {source}: unknown section {unknown}; allowed: faces, answers")
    return {name: _answer(name, value, faces, source) for name, value in answers.items()}


def _section(table: Mapping[str, Any], name: str, source: str) -> Mapping[str, Any]:
    section = table.get(name, {})
    if not isinstance(section, dict):
        raise InputError(f"discretion table {source}: {name!r} must be a section, [{name}]")
    return section


def _answer(name: str, value: Any, faces: Mapping[str, Any], source: str) -> Answer:
    where = f"discretion table {source}, answer to {name!r}"
    if name not in _NAMES:
        raise VocabularyError(f"{where}: unknown expression; allowed: {', '.join(_NAMES)}")
    if not isinstance(value, dict) or not isinstance(value.get("show"), str) or set(value) - {"show", "strength"}:
        raise InputError(f'{where}: got {value!r}; allowed is {{ show = "same", strength = 1.0 }}')
    show = faces.get(value["show"], value["show"])
    try:
        return Answer(show, value.get("strength", 1.0))
    except VocabularyError as error:
        named = ", ".join((SAME, NEUTRAL, *faces))
        raise VocabularyError(f"{where}: unknown {show!r}; allowed: {named}, or a FACS formula ({error})") from error
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


__all__ = ["NEUTRAL", "SAME", "Answer", "Discretion", "formula_face", "strength"]
