"""What an electrode, a channel and a montage are: contacts on the head's chart and what is subtracted from what.

A `Montage` is data: contacts with place and size, channels that say which contacts are averaged and which are
subtracted, and words on where all this comes from. `electrodes` holds the named ones and makes free ones.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..errors import InputError, VocabularyError
from ..facs import Muscle, Side
from . import chart

Array = NDArray[np.floating]

RATES_HZ = (100.0, 20_000.0)
"""Sampling rates that a montage may name."""
_LARGEST_RADIUS_MM = 20.0


@dataclass(frozen=True)
class Contact:
    """A round electrode at chart coordinates (s_mm, y_mm), + s to the subject's left.

    Raises `InputError` where there is no skin or where the numbers are no electrode's.
    """

    name: str
    s_mm: float
    y_mm: float
    radius_mm: float = 2.5

    def __post_init__(self) -> None:
        if not np.isfinite([self.s_mm, self.y_mm, self.radius_mm]).all():
            raise InputError(f"contact {self.name!r}: coordinates must be finite, got {self.s_mm}, {self.y_mm} mm")
        if not chart.on_head((self.s_mm, self.y_mm)):
            raise InputError(
                f"contact {self.name!r} at s = {self.s_mm:.1f}, y = {self.y_mm:.1f} mm is not on skin: |s| up to "
                f"{chart.AROUND_MM / 2:.0f} mm, y from {chart.LOWEST_MM:.0f} to {chart.HIGHEST_MM:.0f} mm, no eye"
            )
        if not 0 < self.radius_mm <= _LARGEST_RADIUS_MM:
            raise InputError(f"contact {self.name!r}: radius must be 0-{_LARGEST_RADIUS_MM} mm, got {self.radius_mm}")


@dataclass(frozen=True)
class Channel:
    """A voltage: the mean of contacts `plus` less the mean of contacts `minus`.

    With an empty `minus` the voltage is against a point at infinity, which only a simulation has. `muscle` and
    `side` name what the channel is meant to see; None where it is meant to see no one muscle.
    """

    name: str
    plus: tuple[str, ...]
    minus: tuple[str, ...] = ()
    muscle: Muscle | None = None
    side: Side | None = None


@dataclass(frozen=True, kw_only=True)
class Montage:
    """Electrodes on a head and the channels made of them.

    contacts and channels have unique names; housings: groups of contacts in one rigid case, which shift
    together; reference and source: in words; rate_hz: the rate its users record at.

    Raises `InputError` for repeated names or an impossible rate, `VocabularyError` for a channel that names a
    contact that does not exist.
    """

    name: str
    contacts: tuple[Contact, ...]
    channels: tuple[Channel, ...]
    reference: str
    source: str
    rate_hz: float = 1000.0
    housings: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        for what, names in (("contact", self.contact_names), ("channel", self.channel_names)):
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated or not names:
                raise InputError(f"montage {self.name!r}: {what} names must be unique and at least one, got {names}")
        for channel in self.channels:
            if not channel.plus:
                raise InputError(f"montage {self.name!r}: channel {channel.name!r} has no contact in plus")
        used = [name for channel in self.channels for name in (*channel.plus, *channel.minus)]
        self._known(used + [name for group in self.housings for name in group], self.contact_names, "contact")
        if not RATES_HZ[0] <= self.rate_hz <= RATES_HZ[1]:
            raise InputError(f"montage {self.name!r}: rate must be {RATES_HZ[0]}-{RATES_HZ[1]} Hz, got {self.rate_hz}")

    @property
    def contact_names(self) -> tuple[str, ...]:
        return tuple(contact.name for contact in self.contacts)

    @property
    def channel_names(self) -> tuple[str, ...]:
        return tuple(channel.name for channel in self.channels)

    @property
    def targets(self) -> tuple[tuple[Muscle, Side] | None, ...]:
        """What each channel is meant to see, or None."""
        return tuple((c.muscle, c.side) if c.muscle and c.side else None for c in self.channels)

    @property
    def derivation(self) -> Array:
        """(C, N): channels from potentials at the contacts; rows sum to zero but for those against infinity."""
        place = {name: index for index, name in enumerate(self.contact_names)}
        matrix = np.zeros((len(self.channels), len(self.contacts)))
        for row, channel in zip(matrix, self.channels, strict=True):
            for names, sign in ((channel.plus, 1.0), (channel.minus, -1.0)):
                for name in names:
                    row[place[name]] += sign / len(names)
        return matrix

    @property
    def chart_mm(self) -> Array:
        """Contacts on the chart, (N, 2) mm."""
        return np.array([(contact.s_mm, contact.y_mm) for contact in self.contacts])

    @property
    def radius_mm(self) -> Array:
        """(N,)."""
        return np.array([contact.radius_mm for contact in self.contacts])

    @property
    def positions_m(self) -> Array:
        """Contacts on the skin of the mean head, (N, 3) m in the face frame."""
        return chart.surface(self.chart_mm)

    def only(self, *channels: str) -> "Montage":
        """The montage with these channels alone, in this order, and the contacts that they use."""
        self._known(channels, self.channel_names, "channel")
        by_name = {channel.name: channel for channel in self.channels}
        kept = tuple(by_name[name] for name in channels)
        used = {name for channel in kept for name in (*channel.plus, *channel.minus)}
        contacts = tuple(contact for contact in self.contacts if contact.name in used)
        housings = tuple(group for group in self.housings if used.issuperset(group))
        return replace(self, contacts=contacts, channels=kept, housings=housings)

    def mirrored(self, *channels: str) -> "Montage":
        """These channels (all, if none is named) moved to the other side of the face.

        Contacts that other channels use too, such as a common reference, stay.
        """
        names = channels or self.channel_names
        self._known(names, self.channel_names, "channel")
        stays = {n for c in self.channels if c.name not in names for n in (*c.plus, *c.minus)}
        moves = {n for c in self.channels if c.name in names for n in (*c.plus, *c.minus)} - stays
        contacts = tuple(replace(c, s_mm=-c.s_mm) if c.name in moves else c for c in self.contacts)
        other = {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT}
        turned = tuple(
            replace(c, side=other.get(c.side, c.side)) if c.name in names and c.side else c for c in self.channels
        )
        return replace(self, contacts=contacts, channels=turned)

    def shifted(self, rng: np.random.Generator, sd_mm: float, together: float = 0.5) -> "Montage":
        """Put on once more: every contact is displaced by sd_mm (root mean square in each direction).

        together: share of the variance that the whole montage moves as one, half of it sliding, half turning;
        the rest is each housing's or contact's own. Nothing slides into an eye: such a contact stays.
        """
        if not (np.isfinite(sd_mm) and sd_mm >= 0 and 0 <= together <= 1):
            raise InputError(f"need sd_mm ≥ 0 and together in 0-1, got {sd_mm} and {together}")
        places = self.chart_mm
        arm = places - places.mean(0)
        length = np.sqrt((arm**2).sum(1).mean() / 2)  # of the root-mean-square arm, in each direction
        slide, turn = rng.standard_normal(2), rng.standard_normal()
        as_one = slide + turn * np.stack([-arm[:, 1], arm[:, 0]], -1) / max(length, 1.0)
        own = rng.standard_normal((len(places), 2))
        for group in self.housings:
            members = [self.contact_names.index(name) for name in group]
            own[members] = own[members[0]]
        return self._moved(places + sd_mm * (np.sqrt(together / 2) * as_one + np.sqrt(1 - together) * own))

    def scaled(self, width: float = 1.0, height: float = 1.0) -> "Montage":
        """The montage on a face wider and taller than the mean one; distances scale, contacts keep their size."""
        if not (0.7 <= width <= 1.4 and 0.7 <= height <= 1.4):
            raise InputError(f"a face's width and height are 0.7-1.4 of the mean's, got {width} and {height}")
        return self._moved(self.chart_mm * [width, height])

    def to_json(self) -> str:
        """The montage as text that `from_json` reads."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Montage":
        """A montage from text written by `to_json` or by hand. Raises `InputError`, `VocabularyError`."""
        try:
            data: dict[str, Any] = json.loads(text)
            contacts = tuple(Contact(**entry) for entry in data.pop("contacts"))
            channels = tuple(_channel(**entry) for entry in data.pop("channels"))
            housings = tuple(tuple(group) for group in data.pop("housings", ()))
            return cls(contacts=contacts, channels=channels, housings=housings, **data)
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            fields = "name, contacts (name, s_mm, y_mm, radius_mm), channels (name, plus, minus), reference, source"
            raise InputError(f"this is no montage: {error!r}; a montage is a JSON object with {fields}") from error

    def save(self, path: str | Path) -> None:
        Path(path).write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "Montage":
        """A montage from a file. Raises `InputError` if it cannot be read."""
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read a montage from {path}: {error}") from error

    def _moved(self, places: Array) -> "Montage":
        kept = np.where(chart.on_head(places)[:, None], places, self.chart_mm)
        contacts = tuple(
            replace(contact, s_mm=float(s), y_mm=float(y)) for contact, (s, y) in zip(self.contacts, kept, strict=True)
        )
        return replace(self, contacts=contacts)

    def _known(self, names: Iterable[str], allowed: Sequence[str], what: str) -> None:
        unknown = [name for name in names if name not in allowed]
        if unknown:
            raise VocabularyError(
                f"montage {self.name!r} has no {what} {', '.join(map(repr, unknown))}; it has {', '.join(allowed)}"
            )


def _channel(name: str, plus: Sequence[str], minus: Sequence[str] = (), **target: str | None) -> Channel:
    known = {"muscle": facs.muscle, "side": facs.side}
    found: dict[str, Any] = {field: known[field](value) for field, value in target.items() if value}
    return Channel(name, tuple(plus), tuple(minus), **found)
