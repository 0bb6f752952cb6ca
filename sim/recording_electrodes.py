"""Electrodes as a recording describes them: contacts, where they stand, and how channels are made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError

if TYPE_CHECKING:
    from .person.contacts import Montage

MISSING = "n/a"
"""What BIDS writes where nothing is known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Electrodes:
    """Where contacts stand and how channels are made of them.

    names: of the N contacts. positions_m: (N, 3) in the face frame. derivation: (C, N), each channel as a weighted
    sum of contacts. reference: the derivation in words. target_muscles (of each channel), diameter_mm, groups
    (contacts in one housing share a group's name) and placement (a text) are optional. Raises `InputError`.
    """

    names: tuple[str, ...]
    positions_m: np.ndarray
    derivation: np.ndarray
    reference: str
    target_muscles: tuple[str, ...] = ()
    diameter_mm: np.ndarray | float | None = None
    groups: tuple[str, ...] = ()
    placement: str = ""

    def __post_init__(self):
        names = tuple(str(n) for n in self.names)
        positions, derivation = np.asarray(self.positions_m, float), np.atleast_2d(np.asarray(self.derivation, float))
        if positions.shape != (len(names), 3) or not np.isfinite(positions).all():
            raise InputError(
                f"positions_m has shape {positions.shape}; {len(names)} electrodes need finite ({len(names)}, 3)"
            )
        if derivation.shape[1:] != (len(names),) or not np.isfinite(derivation).all():
            raise InputError(f"derivation has shape {derivation.shape}; it needs finite (channels, {len(names)})")
        if len(set(names)) != len(names) or not all(n.strip() for n in names):
            raise InputError(f"electrodes need names of their own, got {', '.join(names)}")
        for what, wanted in (("target_muscles", len(derivation)), ("groups", len(names))):
            given = tuple(str(t or MISSING) for t in getattr(self, what))
            if given and len(given) != wanted:
                raise InputError(f"{what} has {len(given)} entries; {wanted} are needed")
            object.__setattr__(self, what, given)
        if self.diameter_mm is not None:
            object.__setattr__(self, "diameter_mm", np.broadcast_to(np.asarray(self.diameter_mm, float), len(names)))
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "positions_m", positions)
        object.__setattr__(self, "derivation", derivation)

    @classmethod
    def of(cls, montage: "Montage") -> "Electrodes":
        """The electrodes of a montage."""
        groups = {name: f"housing{k + 1}" for k, housing in enumerate(montage.housings) for name in housing}
        return cls(
            names=montage.contact_names,
            positions_m=montage.positions_m,
            derivation=montage.derivation,
            reference=montage.reference,
            target_muscles=tuple(MISSING if t is None else f"{t[0]}, {t[1]}" for t in montage.targets),
            diameter_mm=2 * montage.radius_mm,
            groups=tuple(groups.get(n, MISSING) for n in montage.contact_names) if groups else (),
            placement=f"Montage {montage.name}: {montage.source}",
        )

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> "Electrodes":
        """What `as_info` gave. Raises `InputError`."""
        try:
            return cls(
                names=tuple(info["names"]),
                positions_m=np.asarray(info["positions_m"], float),
                derivation=np.asarray(info["derivation"], float),
                reference=str(info.get("reference", "")),
                target_muscles=tuple(info.get("target_muscles") or ()),
                diameter_mm=info.get("diameter_mm"),
                groups=tuple(info.get("groups") or ()),
                placement=str(info.get("placement", "")),
            )
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"info['electrodes'] does not describe electrodes ({error!r})") from error

    def as_info(self) -> dict[str, Any]:
        """For `recording.info["electrodes"]`, as JSON can hold it."""
        return {
            "names": list(self.names),
            "positions_m": self.positions_m.tolist(),
            "derivation": self.derivation.tolist(),
            "reference": self.reference,
            "target_muscles": list(self.target_muscles),
            "diameter_mm": None if self.diameter_mm is None else np.asarray(self.diameter_mm).tolist(),
            "groups": list(self.groups),
            "placement": self.placement,
        }

    def ends(self, channel: int) -> tuple[str, str]:
        """Signal electrode and reference of a channel; several electrodes as `mean of A, B`."""
        row = self.derivation[channel]
        plus, minus = ([n for n, w in zip(self.names, row * sign, strict=True) if w > 1e-9] for sign in (1, -1))
        return _joined(plus), _joined(minus)

    def distance_mm(self, channel: int) -> float | None:
        """Between the two electrodes of a bipolar channel; None for another derivation."""
        used = np.flatnonzero(np.abs(self.derivation[channel]) > 1e-9)
        if len(used) != 2:
            return None
        return 1e3 * float(np.linalg.norm(self.positions_m[used[0]] - self.positions_m[used[1]]))


def _joined(names: Sequence[str]) -> str:
    return "mean of " + ", ".join(names) if len(names) > 1 else names[0] if names else MISSING
