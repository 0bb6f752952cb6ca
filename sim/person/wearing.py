"""Electrodes as somebody wears them, and what they pick up until they are put on anew."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..recording import Recording
from . import artefacts as noise
from .contacts import Montage
from .emg import EmgModel, EmgSample
from .motor_units import SAMPLES_PER_STEP, Spikes

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Wearing:
    """A montage as it sits on a person for some control steps, and her electricity there."""

    first_step: int
    end_step: int
    montage: Montage
    model: EmgModel

    @property
    def samples(self) -> slice:
        """The EMG samples that it covers."""
        return slice(self.first_step * SAMPLES_PER_STEP, self.end_step * SAMPLES_PER_STEP)


@dataclass(frozen=True, eq=False)
class Heard:
    """EMG over all wearings: clean and as recorded (T, C) µV, spikes or None, dead channels (W, C)."""

    clean_uv: Array
    emg_uv: Array
    spikes: Spikes | None
    dead: NDArray[np.bool_]


def listen(
    wearings: Sequence[Wearing],
    drive: Array,
    tier: str,
    spec: noise.ArtefactSpec,
    rng: np.random.Generator,
    *,
    faces_m: Array,
    eyes: Array,
    camera_hz: float,
) -> Heard:
    """Record excitation (Tc, 48) through each wearing in turn.

    faces_m (F, 468, 3) m and eyes (F, 3) at the camera's rate move the electrodes and make potentials of their own.
    """
    clean, recorded, found, dead = [], [], [], []
    for place, (one, own) in enumerate(zip(wearings, rng.spawn(len(wearings)), strict=True)):
        keys, adding, failing = own.spawn(3)
        make = one.model.motor_units if tier == "motor-units" else one.model.interference
        sample = make(jax.random.key(int(keys.integers(2**31))), drive[one.first_step : one.end_step])
        control_hz = one.model.rate_hz / SAMPLES_PER_STEP
        frames = slice(*(int(step / control_hz * camera_hz) for step in (one.first_step, one.end_step)))
        seen = slice(frames.start, max(frames.stop, frames.start + 2))
        added = noise.artefacts(
            adding, spec, one.montage, one.model.rate_hz, len(sample.emg_uv),
            motion_mm_s=noise.contact_motion(one.montage, faces_m[seen], camera_hz), eyes=eyes[seen],
        )  # fmt: skip
        result = noise.record(failing, spec, sample.emg_uv, added)
        clean.append(sample.emg_uv)
        recorded.append(result.emg_uv)
        dead.append(result.dead)
        if sample.spikes is not None:
            fired = sample.spikes
            found.append((fired.muscle, fired.unit, fired.sample + wearings[place].samples.start))
    spikes = Spikes(*(np.concatenate(column) for column in zip(*found, strict=True))) if found else None
    return Heard(np.concatenate(clean), np.concatenate(recorded), spikes, np.array(dead))


def per_muscle(recording: Recording, wearings: Sequence[Wearing]) -> NDArray[np.float32]:
    """What each muscle contributed to the clean EMG of a recording, (T, 48, C) µV; the sum over muscles is that EMG.

    Takes 48 times the memory of the EMG. Raises `InputError` unless spikes were recorded.
    """
    if "spike_sample" not in recording.truth:
        raise InputError("this recording has no spikes; record it with the tier motor-units")
    emg, parts = recording["emg_clean"], []
    when = recording.truth["spike_sample"]
    for one in wearings:
        inside = (when >= one.samples.start) & (when < one.samples.stop)
        fired = Spikes(
            recording.truth["spike_muscle"][inside],
            recording.truth["spike_unit"][inside],
            (when[inside] - one.samples.start).astype(np.int32),
        )
        clean = np.asarray(emg.data[one.samples])
        excitation = recording["excitation"].data[one.first_step : one.end_step]
        sample = EmgSample(clean, emg.rate_hz, excitation, "motor units", fired, jax.random.key(0))
        parts.append(one.model.per_muscle(sample))
    return np.concatenate(parts)
