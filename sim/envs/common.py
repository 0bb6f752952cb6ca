"""What every environment of ours shares: checked actions, finite spaces, observations that nobody else holds."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

import numpy as np
from gymnasium import spaces

from ..errors import InputError, VocabularyError

OnDivergence = Literal["raise", "terminate"]
"""What a diverged simulation does: raise `PhysicsDiverged`, or end the episode with `info["diverged"]` true."""

T = TypeVar("T")
_ROUNDING = 1e-6
"""How far outside its space an action may lie, in float32's rounding; it is clipped."""


def box(low: float, high: float, *shape: int) -> spaces.Box:
    """A Box of float32 with the same finite bounds for every entry."""
    return spaces.Box(np.float32(low), np.float32(high), shape, np.float32)


def into(space: spaces.Box, values: np.ndarray) -> np.ndarray:
    """New float32 array of `values`, (…, *space.shape), clipped into the space."""
    return np.clip(np.asarray(values, np.float32), space.low, space.high).astype(np.float32)


def checked_action(action: Any, space: spaces.Box, names: tuple[str, ...] | None = None) -> np.ndarray:
    """The action as new float64 array inside `space`.

    names: what each entry of the last axis is called in messages.
    Raises `InputError` for a wrong shape, and for an entry that is not finite or outside the space, naming it.
    """
    try:
        values = np.asarray(action, float)
    except (TypeError, ValueError):
        raise InputError(f"action: got {type(action).__name__}; allowed are numbers of shape {space.shape}") from None
    if values.shape != space.shape:
        raise InputError(f"action: got shape {values.shape}; allowed is {space.shape}")
    inside = (values >= space.low - _ROUNDING) & (values <= space.high + _ROUNDING)
    if not inside.all():
        place = tuple(int(i) for i in np.argwhere(~inside)[0])
        entry = ", ".join(map(str, place)) + (f" ({names[place[-1]]})" if names else "")
        raise InputError(
            f"action[{entry}]: got {values[place]:g}; allowed is {space.low[place]:g} … {space.high[place]:g}; "
            f"{np.count_nonzero(~inside)} of {values.size} entries are not allowed: clip or rescale them"
        )
    return np.clip(values, space.low, space.high)


def one_of(name: str, got: Any, allowed: tuple[str, ...]) -> str:
    """`got`, if it is among the allowed words; else raises `VocabularyError`."""
    if got not in allowed:
        raise VocabularyError(f"{name}: got {got!r}; allowed: {', '.join(allowed)}")
    return got


def settings(kind: Callable[..., T], given: "T | Mapping[str, Any] | None") -> T:
    """A frozen dataclass of settings from itself, from a mapping (as a spec read from JSON holds it) or from nothing.

    Raises `VocabularyError` for a field that does not exist.
    """
    if given is None:
        return kind()
    if not isinstance(given, Mapping):
        return given
    fields = getattr(kind, "__dataclass_fields__", {})
    unknown = sorted(set(given) - set(fields))
    if unknown:
        raise VocabularyError(f"settings {', '.join(unknown)}: unknown; allowed: {', '.join(fields)}")
    return kind(**given)


def no_more(options: Mapping[str, Any] | None, allowed: tuple[str, ...]) -> dict[str, Any]:
    """The options of a reset as a dict; raises `VocabularyError` for a key that is not allowed."""
    options = dict(options or {})
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        raise VocabularyError(f"options {', '.join(unknown)}: unknown; allowed: {', '.join(allowed) or 'none'}")
    return options


__all__ = ["OnDivergence", "box", "checked_action", "into", "no_more", "one_of", "settings"]
