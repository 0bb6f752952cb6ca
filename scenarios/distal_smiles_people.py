"""What the study of smiles at the temples keeps of every person: labels, components and synergies, frame by frame.

Axes of what is kept: B blocks (`BLOCKS`), R readers (`READERS`), U action units (`UNITS`), F frames of the camera, C
EMG channels. `population` adds P people in front.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..learning.smile_detection import Order, SmileReading, blocks, called, delays_s, read_smiles, unit_course
from ..learning.smile_patterns import smile_synergies
from ..learning.synergy import factorise
from ..sim.person.person import Person
from ..sim.person.protocols import protocol
from ..sim.recording import Recording, Stream
from .study import Kept, each

Array = NDArray[np.generic]

UNITS = ("AU6", "AU12")
BLOCKS = ("spontaneous", "posed")
READERS: Mapping[str, tuple[str, Order]] = MappingProxyType(
    {
        "emg": ("fastica", "envelope first"),
        "waveforms": ("fastica", "separation first"),
        "raw": ("none", "envelope first"),
    }
)
"""Three ways to AU6 and AU12: the paper's ICA of envelopes, ICA of waveforms, and channels as they are."""
CAMERA_UNITS = tuple(f"AU{n}" for n in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45))
"""The units whose intensity OpenFace gives (distal-EMG paper § 5: 17)."""
RANKS = tuple(range(1, 9))
PEOPLE_A_SEED = 10_000
"""So many people before one seed's meet the next one's."""


def population(kept: Kept, people: int, seed: int, *, quality: str, block_s: float) -> dict[str, Array]:
    """Everybody's arrays, (P, …) each; who was there before is not simulated again."""
    numbers = [PEOPLE_A_SEED * seed + place for place in range(people)]

    def one(number: int) -> Mapping[str, Array]:
        settings = {"quality": quality, "block_s": block_s}
        return kept.get(f"person-{number}", settings, lambda: watch(number, quality=quality, block_s=block_s))

    everybody = each("people", numbers, one)
    return {name: np.stack([person[name] for person in everybody]) for name in everybody[0]}


def watch(number: int, *, quality: str, block_s: float) -> dict[str, Array]:
    """Record one person's two blocks and reduce them.

    coders (B, 2, F, U) and called (B, F, U) of the camera: truth values. seen (B, F, U): the camera's intensity. said
    (B, R, F, U), course (B, R, F, U): EMG's label and its component. active (B, F, U): what the muscles are told.
    lag_s (B, C, U). weights (B, R, 2, 3) and togetherness (B, R): synergies of what each reader found. au_vaf
    (B, ranks), au_weights (B, ranks, 8, 17): synergies of the camera's units, rows beyond a rank zero.
    """
    person = Person.sample(number)
    recording = person.perform(protocol("smiles", block_s=block_s), "distal4", seed=number, quality=quality)
    parts = blocks(recording)
    reduced = [_reduce(parts[block], round(block_s * recording["camera_au"].rate_hz), number) for block in BLOCKS]
    return {name: np.stack([one[name] for one in reduced]) for name in reduced[0]}


def _reduce(block: Recording, frames: int, seed: int) -> dict[str, Array]:
    camera, emg = block["camera_au"], block["emg"]
    readings = [read_smiles(block, method, order=order, seed=seed) for method, order in READERS.values()]
    synergies = [smile_synergies(reading, seed=seed) for reading in readings]
    labels = called(block)
    vaf, weights = _au_synergies(np.stack([unit_course(camera, unit) for unit in CAMERA_UNITS], axis=1), seed)
    coders = [
        np.stack([unit_course(block[name], unit) > 0 for unit in UNITS], axis=1) for name in ("coder_1", "coder_2")
    ]
    return {
        "coders": np.stack(coders)[:, :frames],
        "called": np.stack([labels[unit] for unit in UNITS], axis=1)[:frames],
        "seen": _courses(camera)[:frames].astype(np.float32),
        "active": np.stack([np.interp(camera.times_s, block["au"].times_s, one) for one in _courses(block["au"]).T], 1)[
            :frames
        ].astype(np.float32),
        "said": np.stack([np.stack([one.present[unit] for unit in UNITS], 1)[:frames] for one in readings]),
        "course": np.stack([_at_frames(one, emg, camera)[:frames] for one in readings]),
        "lag_s": delays_s(block, readings[0].channels, units=UNITS),
        "weights": np.stack([one.weights for one in synergies]),
        "togetherness": np.array([one.togetherness for one in synergies]),
        "au_vaf": vaf,
        "au_weights": weights,
    }


def _courses(stream: Stream) -> NDArray[np.floating]:
    return np.stack([unit_course(stream, unit) for unit in UNITS], axis=1)


def _at_frames(reading: SmileReading, emg: Stream, camera: Stream) -> Array:
    """Components (F, U) that go with the units, in SDs of the whole block."""
    both = np.stack([reading.course(unit) for unit in UNITS], axis=1)
    both = (both - both.mean(0)) / np.maximum(both.std(0), 1e-12)
    found = Stream("components", both.astype(np.float32), emg.rate_hz, start_s=emg.start_s)
    return found.at(camera.times_s)


def _au_synergies(intensities: NDArray[np.floating], seed: int) -> tuple[Array, Array]:
    found = factorise(np.maximum(intensities, 0)[None], RANKS, seed=seed)
    weights = np.zeros((len(RANKS), max(RANKS), len(CAMERA_UNITS)), np.float32)
    for place, rank in enumerate(RANKS):
        weights[place, :rank] = found.weights[rank][0]
    return found.vaf[0], weights


__all__ = ["BLOCKS", "CAMERA_UNITS", "PEOPLE_A_SEED", "RANKS", "READERS", "UNITS", "population", "watch"]
