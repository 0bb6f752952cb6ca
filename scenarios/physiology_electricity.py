"""Does the electricity behave as physics and published recordings say? Conductor, crosstalk, amplitude, spectrum."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import solve_banded

from ..learning.signals import median_frequency_hz, rms_uv
from ..sim.facs import Muscle, Side
from ..sim.person.anatomy import ANATOMY, MUSCLES, muscle_index
from ..sim.person.conductor import Conductor
from ..sim.person.contacts import Channel, Contact, Montage
from ..sim.person.electrodes import montage
from ..sim.person.emg import EmgModel, build_emg
from ..sim.person.traits import Traits
from .checks import Check

ZYGOMATICUS = muscle_index(Muscle.ZYGOMATICUS_MAJOR, Side.LEFT)
_PLANNED = "planning range for proximal pairs; no table found"


def checks() -> Iterator[Check]:
    """Checks of the mean adult's electricity."""
    yield from _conductor()
    yield from _crosstalk()
    yield from _drive()
    yield from _gradient()


def _conductor() -> Iterator[Check]:
    """The closed form against the half space's formula and against a numerical solution of the layers."""
    half = Conductor(muscle_mm=np.inf, skin_mm=0.0)
    depth, spacing, points = 3.0, 0.5, 512
    plane = half.plane(depth, 0.0, points=points, spacing_mm=spacing)[:61, :61]
    across, along = np.meshgrid(*[spacing * np.arange(61)] * 2, indexing="ij")
    ratio = half.muscle_along_s_m / half.muscle_across_s_m
    wanted = 1 / (2 * np.pi * half.muscle_across_s_m * np.sqrt(ratio * (across**2 + depth**2) + along**2))
    difference = plane - wanted
    error = np.abs(difference - difference.mean()).max() / np.ptp(wanted)
    yield Check(
        topic="conductor", what="half space, error over the potential's range", got=100 * error, high=0.5, unit="%",
        source="point current in an anisotropic half space",
    )  # fmt: skip
    worst = 0.0
    for k in (0.02, 0.1, 0.3, 0.6):
        for angle in (0.0, 0.7, 1.4):
            kx, kz = k * np.sin(angle), k * np.cos(angle)
            closed = Conductor().transfer(kx, kz, 4.0, 3.0)
            worst = max(worst, abs(float(_layers(Conductor(), kx, kz, 4.0, 3.0) / closed) - 1))
    yield Check(
        topic="conductor", what="reciprocity: current at the skin, potential at the fibre", got=100 * worst, high=1.0,
        unit="%", source="finite differences through all layers",
    )  # fmt: skip


def _layers(tissue: Conductor, kx: float, kz: float, depth_mm: float, fat_mm: float) -> float:
    """Potential at a depth in the muscle for a unit current put in at the skin, by finite differences.

    Solves d/dy(σ dφ/dy) = (σ_x kx² + σ_z kz²) φ through skin, fat, muscle and bone; behind bone φ decays.
    """
    step = 0.02
    layers = (
        (tissue.skin_mm, tissue.skin_s_m, tissue.skin_s_m),
        (fat_mm, tissue.fat_s_m, tissue.fat_s_m),
        (tissue.muscle_mm, tissue.muscle_across_s_m, tissue.muscle_along_s_m),
        (tissue.bone_mm, tissue.bone_s_m, tissue.bone_s_m),
    )
    across = np.concatenate([np.full(round(thick / step), sigma) for thick, sigma, _ in layers])
    loss = np.concatenate([np.full(round(t / step), s * kx**2 + along * kz**2) for t, s, along in layers])
    nodes = np.zeros((3, len(across) + 1))
    nodes[1, :-1] += across / step + loss * step / 2
    nodes[1, 1:] += across / step + loss * step / 2
    nodes[0, 1:] = nodes[2, :-1] = -across / step
    nodes[1, -1] += tissue.behind_bone_s_m * np.hypot(kx, kz)
    current = np.zeros(len(nodes[0]))
    current[0] = 1.0
    return float(solve_banded((1, 1), nodes, current)[round((tissue.skin_mm + fat_mm + depth_mm) / step)])


def _crosstalk() -> Iterator[Check]:
    """One muscle alone, seen by pairs that stand farther and farther beside it."""
    distances = np.arange(0, 50, 10)
    seen = {fat: _beside(distances, fat) for fat in (0.4, 1.0, 2.0)}
    slowest = float((seen[1.0][1:] / seen[1.0][:-1]).max())
    yield Check(
        topic="crosstalk", what="largest ratio of RMS 10 mm farther to the side", got=slowest, high=1.0,
        source="falls with distance",
    )  # fmt: skip
    share = [seen[fat][2] / seen[fat][0] for fat in (0.4, 1.0, 2.0)]
    yield Check(
        topic="crosstalk", what="least growth of RMS at 20 mm over on-muscle RMS, fat 0.4 to 1 to 2",
        got=float(np.diff(np.log(share)).min()), low=0.0, source="rises with fat",
    )  # fmt: skip


def _beside(distances: np.ndarray, fat: float) -> np.ndarray:
    """RMS (n,) µV of the zygomaticus at pairs moved across its fibres by distances (n,) mm."""
    course = next(entry for entry in ANATOMY if entry.muscle is Muscle.ZYGOMATICUS_MAJOR).fibres.course_mm(0, Side.LEFT)
    along = (course[-1] - course[0]) / np.linalg.norm(course[-1] - course[0])
    across = np.array([-along[1], along[0]]) * np.sign(along[0])  # down, towards the jaw
    middle = course[0] + 0.65 * (course[-1] - course[0])
    contacts, channels = [], []
    for number, distance in enumerate(distances):
        for end, sign in (("a", -1), ("b", 1)):
            contacts.append(Contact(f"{number}{end}", *(middle - distance * across + sign * 6 * along)))
        channels.append(Channel(f"{number}", (f"{number}a",), (f"{number}b",)))
    pairs = Montage(
        name="beside", contacts=tuple(contacts), channels=tuple(channels), reference="pairs of 12 mm", source=""
    )
    model = build_emg(pairs, rate_hz=1000, traits=Traits(fat=fat), muscles=(ZYGOMATICUS,))
    return np.asarray(model.rms_uv(_only(ZYGOMATICUS, 0.5)))


@cache
def proximal() -> EmgModel:
    """The mean adult with seven pairs on her muscles."""
    return build_emg(montage("proximal7"), rate_hz=1000)


def _only(muscle: int, drive: float) -> np.ndarray:
    excitation = np.zeros(len(MUSCLES))
    excitation[muscle] = drive
    return excitation


def _drive() -> Iterator[Check]:
    """Amplitude, spectrum and firing of the zygomaticus pair over its drive."""
    model = proximal()
    channel, muscle = _channel(model, Muscle.ZYGOMATICUS_MAJOR)
    drives = np.array([0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0])
    levels = np.array([float(model.rms_uv(_only(muscle, u))[channel]) for u in drives])
    yield Check(
        topic="amplitude", what="least growth of RMS between drives 0.03 … 1", got=float(np.diff(levels).min()),
        low=0.0, unit="µV", source="RMS is monotone in drive",
    )  # fmt: skip
    yield Check(topic="amplitude", what="zygomaticus pair, full drive", got=levels[-1], low=50, high=300, unit="µV",
                source=_PLANNED)  # fmt: skip
    yield Check(topic="amplitude", what="zygomaticus pair, drive 0.35", got=levels[3], low=10, high=70, unit="µV",
                source=_PLANNED)  # fmt: skip
    excitation = np.tile(_only(muscle, 0.35), (3000, 1))
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


def median_frequency() -> float:
    """Median frequency (Hz) of the zygomaticus pair in a natural smile, drive 0.35."""
    model = proximal()
    channel, muscle = _channel(model, Muscle.ZYGOMATICUS_MAJOR)
    emg = model.motor_units(jax.random.key(1), np.tile(_only(muscle, 0.35), (4000, 1))).emg_uv[1000:, channel]
    return float(median_frequency_hz(emg, 1000))


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
    fired = model.motor_units(jax.random.key(2), np.tile(_only(muscle, 1.0), (1250, 1))).spikes
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
    """Derivative of expected amplitude in electrode places, automatic against central differences."""
    model = build_emg(montage("proximal7").only("ZM"), rate_hz=1000, muscles=(ZYGOMATICUS, ZYGOMATICUS ^ 1))
    excitation = _only(ZYGOMATICUS, 0.4) + _only(ZYGOMATICUS ^ 1, 0.4)
    places = np.asarray(model.contacts_mm)

    def value(moved: Any) -> Any:
        return (model.rms_uv(excitation, moved) ** 2).sum() ** 0.5

    got = np.asarray(jax.grad(value)(places))
    row, column = np.unravel_index(np.abs(got).argmax(), got.shape)
    step = 0.05
    ends = []
    for sign in (1, -1):
        moved = places.copy()
        moved[row, column] += sign * step
        ends.append(float(value(moved)))
    wanted = (ends[0] - ends[1]) / (2 * step)
    yield Check(
        topic="gradients", what="EMG amplitude by electrode place, relative error",
        got=abs(float(got[row, column]) / wanted - 1), high=1e-3, source="central differences",
    )  # fmt: skip
