"""What makes one person different from another, healthy or not.

`Traits()` is the mean adult; `Traits.sample(rng)` draws one. Palsy, ageing and fatigue change the traits and
nothing else: the same muscles, skin and electrodes are then built from them.

Sources. Left against right: the weaker side's surface EMG is 82 ± 15 % of the stronger's in frontalis, 74 ± 19
% in zygomaticus, 80 ± 15 % in orbicularis oris (154 healthy people; part of it is electrode placement, so the
default below is smaller). Risorius is found in two thirds of people (Waller, Cray & Burrows 2008, 18 cadavers).
Face dimensions vary by about 5 % (head-and-face surveys). Everything else is *unknown*, with the range beside.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .. import mesh
from ..errors import InputError
from ..facs import Muscle, Side, side
from .anatomy import MUSCLES, muscle_index

Array = NDArray[np.floating]

_M = Muscle
_COUNT = len(MUSCLES)
_NOT_FACIAL_NERVE = (_M.LEVATOR_PALPEBRAE, _M.MASSETER, _M.TEMPORALIS, _M.DIGASTRIC)
"""Third and fifth cranial nerves, and digastric's anterior belly: spared by a facial palsy."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Proportions of a face against the mean one; all are factors but `protrusion_mm`.

    size: all of it. width: beyond the eyes. lower: height from nose to chin. jaw: width of jaw and chin.
    mouth: width of the mouth. protrusion_mm: of nose, lips and chin, forward.
    """

    size: float = 1.0
    width: float = 1.0
    lower: float = 1.0
    jaw: float = 1.0
    mouth: float = 1.0
    protrusion_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        for name in ("size", "width", "lower", "jaw", "mouth"):
            if not 0.7 <= getattr(self, name) <= 1.4:
                raise InputError(f"a face's {name} must be 0.7 … 1.4 of the mean, got {getattr(self, name)}")

    def rest_m(self) -> Array:
        """Vertices (468, 3) m at rest. Around the eyes only the size differs, so that the eyeballs still fit."""
        x, y, z = (1e3 * mesh.REST).T
        eyes = 1e3 * mesh.EYE_CENTERS
        near = np.exp(-(((x[:, None] - eyes[:, 0]) ** 2 + (y[:, None] - eyes[:, 1]) ** 2) / 26.0**2).max(1))
        far = 1 - near
        below = _ramp(-y, -5, 60)
        beside = _ramp(np.abs(x), 35, 75)
        mouth = np.exp(-((x / 40) ** 2 + ((y + 43) / 22) ** 2))
        sideways = 1 + far * ((self.width - 1) * beside + (self.jaw - 1) * below + (self.mouth - 1) * mouth)
        down = 1 + far * (self.lower - 1) * _ramp(-y, -15, 45)
        forward = sum(
            amount * np.exp(-((x / wide) ** 2 + ((y - height) / tall) ** 2))
            for amount, height, wide, tall in zip(
                self.protrusion_mm, (-8, -43, -80), (16, 30, 25), (22, 16, 20), strict=True
            )
        )
        return 1e-3 * self.size * np.stack([x * sideways, 20 + (y - 20) * down, z + far * forward], -1)

    @property
    def chart_scale(self) -> tuple[float, float]:
        """Factors on chart coordinates (s, y) of muscles and electrodes, which are placed by landmarks."""
        return self.size * (1 + 0.5 * (self.width - 1)), self.size * (1 + 0.5 * (self.lower - 1))


@dataclass(frozen=True, kw_only=True)
class Traits:
    """Everything that sets a person apart but her habits (`behaviour.Habits`).

    strength (48,): factor on a muscle's force and on its number of fibres; 0 where it is missing.
    drive (48,): factor on the excitation that reaches a muscle, below 1 in a palsy.
    synkinesis (48, 48): excitation of a muscle (row) by another's (column), from nerves that grew back wrong.
    young, thickness: factors on the skin's stiffness and thickness. fat: on the fat under it.
    conduction: on the fibres' conduction velocity. slowness: on the times of activation and relaxation.
    """

    shape: Shape = field(default_factory=Shape)
    strength: Array = field(default_factory=lambda: np.ones(_COUNT))
    drive: Array = field(default_factory=lambda: np.ones(_COUNT))
    synkinesis: Array = field(default_factory=lambda: np.zeros((_COUNT, _COUNT)))
    young: float = 1.0
    thickness: float = 1.0
    fat: float = 1.0
    conduction: float = 1.0
    slowness: float = 1.0

    def __post_init__(self) -> None:
        for name, shape in (("strength", (_COUNT,)), ("drive", (_COUNT,)), ("synkinesis", (_COUNT, _COUNT))):
            value = np.asarray(getattr(self, name), float)
            if value.shape != shape or not np.isfinite(value).all() or (value < 0).any():
                raise InputError(f"{name} must be {shape}, finite and not negative; got shape {value.shape}")
            object.__setattr__(self, name, value)
        for name in ("young", "thickness", "fat", "conduction", "slowness"):
            if not 0.1 <= getattr(self, name) <= 10:
                raise InputError(f"{name} must be 0.1 … 10 of the mean, got {getattr(self, name)}")

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Traits":
        """One person out of many.

        Log-normal SDs: strength of a person 0.15 (*unknown*, 0.1-0.3), of a muscle 0.2 (*unknown*, 0.1-0.4), of
        a side 0.12; skin stiffness 0.3 (*unknown*, 20-50 kPa), skin 0.1, fat 0.3 (cadavers: SD of a fifth to a
        third), conduction 0.1, slowness 0.15.
        """

        def spread(sd: float, size: int | None = None):
            return np.exp(rng.normal(0, sd, size))

        strength = spread(0.15) * np.repeat(spread(0.2, _COUNT // 2), 2) * spread(0.12, _COUNT)
        if rng.random() > 2 / 3:
            strength[[muscle_index(_M.RISORIUS, of) for of in (Side.RIGHT, Side.LEFT)]] = 0.0
        size, width, lower, jaw, mouth = np.clip(1 + rng.normal(0, [0.04, 0.04, 0.05, 0.05, 0.05]), 0.85, 1.15)
        nose, lips, chin = rng.normal(0, [2.0, 1.2, 2.0])
        return cls(
            shape=Shape(size=size, width=width, lower=lower, jaw=jaw, mouth=mouth, protrusion_mm=(nose, lips, chin)),
            strength=strength,
            young=float(np.clip(spread(0.3), 0.6, 1.7)),
            thickness=float(spread(0.1)),
            fat=float(np.clip(spread(0.3), 0.4, 2.5)),
            conduction=float(spread(0.1)),
            slowness=float(spread(0.15)),
        )

    def palsied(self, on: str | Side = Side.RIGHT, severity: float = 0.7, synkinesis: float = 0.0) -> "Traits":
        """A peripheral facial palsy of one side: `severity` 0…1 of the drive is lost, but for lid raiser and jaw.

        synkinesis 0…1: how strongly eye and mouth drive each other on that side, as after regrowth. Raises
        `InputError`, `VocabularyError`.
        """
        _checked_share("severity", severity)
        _checked_share("synkinesis", synkinesis)
        chosen = side(on)
        if chosen is Side.BOTH:
            raise InputError("a palsy needs one side, right or left; call it twice for both")
        drive, crossed = self.drive.copy(), self.synkinesis.copy()
        for index, (name, of) in enumerate(MUSCLES):
            if of is chosen and name not in _NOT_FACIAL_NERVE:
                drive[index] *= 1 - severity
        eye, mouth, chin = (
            muscle_index(name, chosen) for name in (_M.ORBICULARIS_OCULI_PALPEBRAL, _M.ZYGOMATICUS_MAJOR, _M.MENTALIS)
        )
        for to, cause in ((eye, mouth), (mouth, eye), (chin, eye)):
            crossed[to, cause] += synkinesis
        return replace(self, drive=drive, synkinesis=crossed)

    def aged(self, years: float) -> "Traits":
        """The face `years` after 30: stiffer, thinner skin, less fat, weaker and slower muscle.

        Per decade: skin +6 % stiff (*unknown*, 3-15), −4 % thick, fat −5 %, force −5 % (*unknown*, 3-10), 4 %
        slower, conduction −1 %. Raises `InputError` outside 0…70.
        """
        if not 0 <= years <= 70:
            raise InputError(f"years after 30 must be 0 … 70, got {years}")
        decades = years / 10
        return replace(
            self,
            young=self.young * 1.06**decades,
            thickness=self.thickness * 0.96**decades,
            fat=self.fat * 0.95**decades,
            strength=self.strength * 0.95**decades,
            slowness=self.slowness * 1.04**decades,
            conduction=self.conduction * 0.99**decades,
        )

    def fatigued(self, level: float) -> "Traits":
        """After long contraction, `level` 0…1: conduction down by up to 25 %, force by up to 30 %, slower by 30 %.

        Ranges *unknown* for the face; limb muscles at exhaustion: conduction −10 to −30 %, force −20 to −50 %.
        """
        _checked_share("level", level)
        return replace(
            self,
            conduction=self.conduction * (1 - 0.25 * level),
            strength=self.strength * (1 - 0.3 * level),
            slowness=self.slowness * (1 + 0.3 * level),
        )

    def excite(self, excitation: Array) -> Array:
        """What reaches the muscles (…, 48) of a wanted excitation (…, 48) 0…1."""
        wanted = np.asarray(excitation, float)
        return np.clip((wanted + wanted @ self.synkinesis.T) * self.drive, 0, 1)


def _ramp(value: Array, start: float, end: float) -> Array:
    share = np.clip((value - start) / (end - start), 0, 1)
    return share * share * (3 - 2 * share)


def _checked_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise InputError(f"{name} must be 0 … 1, got {value}")
