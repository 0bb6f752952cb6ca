"""What somebody wears on her face while a robot looks at her: electrodes, their noise, and windows of their EMG."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from ..errors import InputError
from ..person.artefacts import preset
from ..person.contacts import Montage
from ..person.electrodes import montage as named_montage
from ..person.emg import BAND_HZ
from .common import one_of

Array = NDArray[np.floating]
Heard = Literal["rms", "raw"]

RATE_HZ = 1000.0
BINS, BIN_SAMPLES = 5, 40
"""A window: five bins of 40 ms."""
WINDOW_SAMPLES = BINS * BIN_SAMPLES
LARGEST_UV = 5000.0
"""Bound of EMG; amplifiers saturate there."""
UNIT_UV = 100.0
"""EMG is observed in this many µV."""
LONGEST_DELAY_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Wearable:
    """Electrodes worn exactly where they belong, and what is made of them.

    The noise is that of the contacts, white. Mains, wander and movement, below or beside the band, are left out.
    """

    montage: str = "proximal7"
    """Name of a montage, or its file."""
    quality: str = "wired active"
    """One of `artefacts.PRESETS`; of it, the noise of the electrodes."""
    heard: Heard = "rms"
    """`rms`: in 20-450 Hz, by a causal filter, in five bins of 40 ms. `raw`: the samples of 200 ms."""
    delay_s: float = 0.02
    """From the skin to the observation: amplifier and radio; *unknown*, 0.005 … 0.1."""

    def __post_init__(self):
        one_of("emg", self.heard, ("rms", "raw"))
        preset(self.quality)
        if not 0 <= self.delay_s <= LONGEST_DELAY_S:
            raise InputError(f"emg_delay_s: got {self.delay_s!r}; allowed are 0 … {LONGEST_DELAY_S:g}")

    @property
    def worn(self) -> Montage:
        """The montage on a mean face."""
        return named_montage(self.montage)

    @property
    def shape(self) -> tuple[int, int]:
        """Of a window: bins or samples, channels."""
        return (BINS if self.heard == "rms" else WINDOW_SAMPLES), len(self.worn.channel_names)

    def noise_uv(self, worn: Montage, samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """White noise of the contacts in every channel, (samples, C)."""
        spec, contacts = preset(self.quality), len(worn.contacts)
        uneven = spec.electrode_uv * np.exp(spec.contact_spread * rng.standard_normal(contacts))
        to_nyquist = np.sqrt(0.5 * RATE_HZ / 480)  # `electrode_uv` is that of 20-500 Hz
        white = rng.standard_normal((samples, contacts), np.float32)
        return white @ (to_nyquist * uneven[:, None] * worn.derivation.T).astype(np.float32)

    def windows(self, emg_uv: Array, ends_s: Array) -> NDArray[np.float32]:
        """What is known at times (F,) s since the start of EMG (T, C) µV: (F, *shape), newest last, in `UNIT_UV`."""
        ends = np.rint((ends_s - self.delay_s) * RATE_HZ).astype(int)
        if self.heard == "raw":
            rows = ends[:, None] + np.arange(-WINDOW_SAMPLES, 0)
            return (emg_uv[rows] / UNIT_UV).astype(np.float32)
        heard = np.asarray(sosfilt(_band(), emg_uv, axis=0))
        energy = np.concatenate([np.zeros((1, heard.shape[1])), np.cumsum(heard * heard, axis=0, dtype=float)])
        last = ends[:, None] - BIN_SAMPLES * np.arange(BINS)[::-1]
        mean = (energy[last] - energy[last - BIN_SAMPLES]) / BIN_SAMPLES
        return (np.sqrt(np.maximum(mean, 0)) / UNIT_UV).astype(np.float32)


@cache
def _band() -> Array:
    return np.asarray(butter(2, BAND_HZ, "bandpass", fs=RATE_HZ, output="sos"))


__all__ = ["LARGEST_UV", "RATE_HZ", "UNIT_UV", "WINDOW_SAMPLES", "Heard", "Wearable"]
