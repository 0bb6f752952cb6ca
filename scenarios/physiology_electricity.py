"""Does the electricity behave as physics and published recordings say? Conductor, crosstalk, amplitude, spectrum."""

from collections.abc import Iterator
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from ..learning.signals import median_frequency_hz, rms_uv
from ..sim.facs import Muscle, Side
from ..sim.person import emg_checks
from ..sim.person.anatomy import MUSCLES, muscle_index
from ..sim.person.electrodes import montage
from ..sim.person.emg import EmgModel, build_emg
from ..sim.person.habits import Habits
from .checks import Check

ZYGOMATICUS = muscle_index(Muscle.ZYGOMATICUS_MAJOR, Side.LEFT)
_PLANNED = "planning range for proximal pairs; no table found"


def checks() -> Iterator[Check]:
    """Checks of the mean adult's electricity."""
    yield from _conductor()
    yield from _crosstalk()
    yield from _drive()
    yield from _jaw()
    yield from _gradient()


def _conductor() -> Iterator[Check]:
    yield Check(
        topic="conductor", what="half space, error over its peak", got=100 * emg_checks.half_space_error(), high=0.5,
        unit="%", source="point current in an anisotropic half space",
    )  # fmt: skip
    yield Check(
        topic="conductor", what="reciprocity: current at the skin, potential at the fibre",
        got=100 * emg_checks.reciprocity_error(), high=1.0, unit="%", source="finite volumes through all layers",
    )  # fmt: skip


def _crosstalk() -> Iterator[Check]:
    """One muscle alone, seen by pairs that stand farther and farther beside it."""
    seen = {fat: emg_checks.crosstalk(fat=fat).rms_uv for fat in (0.4, 1.0, 2.0)}
    yield Check(
        topic="crosstalk", what="largest ratio of RMS 10 mm farther to the side",
        got=float((seen[1.0][1:] / seen[1.0][:-1]).max()), high=1.0, source="falls with distance",
    )  # fmt: skip
    share = [seen[fat][2] / seen[fat][0] for fat in (0.4, 1.0, 2.0)]
    yield Check(
        topic="crosstalk", what="least growth of RMS at 20 mm over on-muscle RMS, fat 0.4 to 1 to 2",
        got=float(np.diff(np.log(share)).min()), low=0.0, source="rises with fat",
    )  # fmt: skip


@cache
def proximal() -> EmgModel:
    """The mean adult with seven pairs on her muscles."""
    return build_emg(montage("proximal7"), rate_hz=1000)


def _drive() -> Iterator[Check]:
    """Amplitude, spectrum and firing of the zygomaticus pair over its drive."""
    model = proximal()
    channel, muscle = _channel(model, Muscle.ZYGOMATICUS_MAJOR)
    drives = np.array([0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0])
    levels = np.array([float(model.rms_uv(_driven(muscle, u))[channel]) for u in drives])
    yield Check(
        topic="amplitude", what="least growth of RMS between drives 0.03 … 1", got=float(np.diff(levels).min()),
        low=0.0, unit="µV", source="RMS is monotone in drive",
    )  # fmt: skip
    yield Check(topic="amplitude", what="zygomaticus pair, full drive", got=levels[-1], low=50, high=300, unit="µV",
                source=_PLANNED)  # fmt: skip
    yield Check(topic="amplitude", what="zygomaticus pair, drive 0.35", got=levels[3], low=10, high=70, unit="µV",
                source=_PLANNED)  # fmt: skip
    excitation = np.tile(_driven(muscle, 0.35), (3000, 1))
    sample = model.motor_units(jax.random.key(0), excitation)
    emg = sample.emg_uv[1000:, channel]
    yield Check(
        topic="amplitude", what="sampled RMS over Campbell's theorem", got=float(rms_uv(emg, 1000) / levels[3]),
        low=0.92, high=1.08, source="Campbell's theorem",
    )  # fmt: skip
    noise = np.asarray(model.interference(jax.random.key(0), excitation).emg_uv)[1000:, channel]
    yield Check(
        topic="amplitude", what="RMS of the interference tier over the motor-unit tier",
        got=float(rms_uv(noise, 1000) / rms_uv(emg, 1000)), low=0.9, high=1.1, source="two tiers, one signal",
    )  # fmt: skip
    yield Check(
        topic="spectrum", what="median frequency of the interference tier over the motor-unit tier",
        got=float(median_frequency_hz(noise, 1000) / median_frequency_hz(emg, 1000)), low=0.9, high=1.1,
        source="two tiers, one signal",
    )  # fmt: skip
    yield from _firing(model)


def _jaw() -> Iterator[Check]:
    """Pairs of large electrodes over the jaw's muscles at the mean person's tone and in a full clench."""
    source = "Ferrario et al. 1993, 92 people: rest and clench {} µV"
    for muscle, published in ((Muscle.MASSETER, "1.4 and 157-216"), (Muscle.TEMPORALIS, "1.9 and 162-182")):
        place = muscle_index(muscle, Side.LEFT)
        pair = emg_checks.pair_over(muscle, apart_mm=20.0, radius_mm=5.0)
        model = build_emg(pair, rate_hz=1000, muscles=(place,))
        tone = float(Habits().tone[place])
        levels = [float(model.rms_uv(emg_checks.drive_of(muscle, Side.LEFT, u))[0]) for u in (tone, 1.0)]
        yield Check(topic="amplitude", what=f"{muscle} pair at rest", got=levels[0], low=0.5, high=4, unit="µV",
                    source=source.format(published))  # fmt: skip
        yield Check(topic="amplitude", what=f"{muscle} pair in a full clench", got=levels[1], low=120, high=280,
                    unit="µV", source=source.format(published))  # fmt: skip


def median_frequency() -> float:
    """Median frequency (Hz) of the zygomaticus pair in a natural smile, drive 0.35."""
    model = proximal()
    channel, muscle = _channel(model, Muscle.ZYGOMATICUS_MAJOR)
    emg = model.motor_units(jax.random.key(1), np.tile(_driven(muscle, 0.35), (4000, 1))).emg_uv[1000:, channel]
    return float(median_frequency_hz(emg, 1000))


def _driven(muscle: int, level: float) -> np.ndarray:
    return emg_checks.drive_of(*MUSCLES[muscle], level)


def _channel(model: EmgModel, muscle: Muscle) -> tuple[int, int]:
    """Channel meant for a muscle, and the muscle's place on the side where the pair stands."""
    worn = montage("proximal7")
    for place, target in enumerate(worn.targets):
        if target and target[0] is muscle:
            return place, muscle_index(*target)
    raise AssertionError(f"proximal7 has no pair on {muscle}")


def _firing(model: EmgModel) -> Iterator[Check]:
    """Rates of discharge counted from spikes."""
    _, muscle = _channel(model, Muscle.FRONTALIS_MEDIALIS)
    fired = model.motor_units(jax.random.key(2), np.tile(_driven(muscle, 1.0), (1250, 1))).spikes
    assert fired is not None
    units = fired.unit[fired.muscle == model.muscles.index(muscle)]
    rate = np.bincount(units) / 10.0
    source = "occipitofrontalis: 8 Hz at recruitment, mean peak 76 Hz (Kirk, Zero & Rice 2021, 11 people)"
    yield Check(topic="firing", what="mean rate at full drive", got=float(rate[rate > 0].mean()), low=40, high=85,
                unit="Hz", source=source)  # fmt: skip
    pool = model.pool
    just_above = 1.2 * np.asarray(pool.threshold[muscle])  # a threshold is blurred by a twentieth of itself
    first = [float(pool.rates_hz(jnp.full(len(model.muscles), u))[muscle, unit]) for unit, u in enumerate(just_above)]
    yield Check(topic="firing", what="mean rate at recruitment", got=float(np.mean(first)), low=5, high=14, unit="Hz",
                source=source)  # fmt: skip


def _gradient() -> Iterator[Check]:
    model = build_emg(montage("proximal7").only("ZM"), rate_hz=1000, muscles=(ZYGOMATICUS, ZYGOMATICUS ^ 1))
    yield Check(
        topic="gradients", what="EMG amplitude by electrode place, relative error",
        got=emg_checks.position_gradient_error(model), high=1e-3, source="central differences",
    )  # fmt: skip
