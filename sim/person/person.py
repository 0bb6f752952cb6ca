"""A person: one intent moves her skin and makes her electricity.

    person = Person.sample(7)                                    # or Person(), the mean adult
    recording = person.perform("smiles", "distal4", seed=1)      # EMG, landmarks, action units, labels, truth

Behaviour gives the muscles' drive. EMG follows the drive at once; activation, force and skin follow it late. What
coders and a camera make of the face, and what electrodes and amplifier add, are drawn with the recording's seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, VocabularyError
from ..facs import PAIRED, Side
from ..recording import Event, Recording, Stream
from ..recording_electrodes import Electrodes
from . import artefacts as noise
from .anatomy import MUSCLE_NAMES, MUSCLES
from .au_camera import AuCamera
from .behaviour import PHASES, Act, Behaviour, Habits, perform
from .contacts import Montage
from .dynamics import Dynamics, activate, relax
from .electrodes import montage as named_montage
from .emg import EmgModel, build_emg
from .looks import LOOKS
from .mechanics import Face, build_face, equilibrium
from .motor_units import SAMPLES_PER_STEP
from .observers import Coding, two_coders
from .protocols import Protocol, protocol
from .repertoire import UNITS, WEIGHTS, as_coordinates, excite, from_coordinates, unit_index
from .sheet import SoftTissue
from .templates import checked_rate
from .traits import Traits
from .wearing import Heard, Wearing, listen, per_muscle

Array = NDArray[np.floating]
Tier = Literal["motor-units", "interference"]

AU_NAMES = tuple(f"AU{unit.number}, {of}" for unit in UNITS for of in PAIRED)
"""Channels of every action-unit stream."""
PATHOLOGIES = ("palsy", "synkinesis", "aged", "fatigued")
CAMERA_HZ = 30.0
_PADDED_STEPS = 1024
"""Lengths are padded to multiples of this, so that few shapes are compiled."""


@dataclass(frozen=True, eq=False)
class Motion:
    """How a face moved, on the control clock of `rate_hz`.

    excitation (T, 48) that reaches the muscles; activation (T, 48); coordinates (T, Q) of `face`, lagging as muscle
    and skin do; visible (T, A, 2): action units after the same lags, which is what can be seen of them.
    """

    face: Face
    rate_hz: float
    excitation: Array
    activation: Array
    coordinates: Array
    visible: Array

    def vertices_m(self, times_s: ArrayLike) -> Array:
        """Faces (n, 468, 3) m at any times (n,) s, float32, between control steps by interpolation."""
        times = np.asarray(times_s, float)
        place = np.clip(times * self.rate_hz, 0, len(self.coordinates) - 1)
        low = np.minimum(place.astype(int), max(len(self.coordinates) - 2, 0))
        high = np.minimum(low + 1, len(self.coordinates) - 1)
        share = (place - low)[:, None].astype(np.float32)
        between = (1 - share) * self.coordinates[low] + share * self.coordinates[high]
        return _vertices(self.face, between)

    def visible_at(self, times_s: ArrayLike) -> Array:
        """Visible action units (n, A, 2) at the nearest control step."""
        steps = np.clip(np.rint(np.asarray(times_s, float) * self.rate_hz).astype(int), 0, len(self.visible) - 1)
        return self.visible[steps]


@dataclass(frozen=True, kw_only=True, eq=False)
class Person:
    """Somebody: her body (`traits`), what she does with it (`habits`) and how late it follows (`dynamics`)."""

    traits: Traits = field(default_factory=Traits)
    habits: Habits = field(default_factory=Habits)
    dynamics: Dynamics = field(default_factory=Dynamics)
    seed: int | None = None
    conditions: tuple[str, ...] = ()

    @classmethod
    def sample(cls, seed: int, *, style: str = "posed") -> "Person":
        """One person out of many; the same seed, the same person. `style` names how she poses (`repertoire`)."""
        body, mind = np.random.default_rng([seed, 0x50]).spawn(2)
        return cls(traits=Traits.sample(body), habits=Habits.sample(mind, style), seed=int(seed))

    def with_condition(self, name: str) -> "Person":
        """The person with one of `PATHOLOGIES`: "palsy" (right, 0.7), "synkinesis", "aged" (by 40 years), "fatigued".

        Finer settings: `dataclasses.replace(person, traits=person.traits.palsied("left", 0.4))`. Raises
        `VocabularyError`.
        """
        changed = {
            "palsy": lambda: self.traits.palsied(Side.RIGHT, 0.7),
            "synkinesis": lambda: self.traits.palsied(Side.RIGHT, 0.3, synkinesis=0.5),
            "aged": lambda: self.traits.aged(40),
            "fatigued": lambda: self.traits.fatigued(0.7),
        }
        if name not in changed:
            raise VocabularyError(f"unknown condition {name!r}; allowed: {', '.join(PATHOLOGIES)}")
        return replace(self, traits=changed[name](), conditions=(*self.conditions, name))

    @cached_property
    def face(self) -> Face:
        """Her muscles and skin, built once."""
        tissue = SoftTissue().scaled(young_pa=self.traits.young, thickness_m=self.traits.thickness)
        return build_face(tissue, self.traits.shape.rest_m(), self.traits.strength)

    def wear(self, montage: str | Montage, *, wearing_sd_mm: float = 0.0, rng: np.random.Generator | None = None):
        """A montage as it sits on her: scaled to her face and put on by hand, off by `wearing_sd_mm`."""
        worn = named_montage(montage) if isinstance(montage, str) else montage
        worn = worn.scaled(*self.traits.shape.chart_scale)
        if wearing_sd_mm:
            worn = worn.shifted(np.random.default_rng() if rng is None else rng, wearing_sd_mm)
        return worn

    def emg(self, worn: Montage, rate_hz: float = 1000.0, **options: Any) -> EmgModel:
        """Her muscles' electricity at the channels of a montage that she wears."""
        return build_emg(
            worn, rate_hz=rate_hz, traits=self.traits, seed=0 if self.seed is None else self.seed, **options
        )

    def behave(self, what: str | Protocol | Sequence[Act], rng: np.random.Generator, rate_hz: float, **length: Any):
        """What she does in a protocol or a list of acts; the protocol is returned too, None for acts."""
        schedule = protocol(what) if isinstance(what, str) else what
        if isinstance(schedule, Protocol):
            acts, seconds = schedule.acts(self.habits, rng), length.get("duration_s") or schedule.duration_s
        else:
            acts, seconds = tuple(schedule), length.get("duration_s")
            if seconds is None:
                raise InputError("a list of acts needs duration_s, the length of the recording in seconds")
        done = perform(acts, self.habits, rate_hz=rate_hz, duration_s=seconds, rng=rng)
        return done, schedule if isinstance(schedule, Protocol) else None

    def move(self, behaviour: Behaviour, rate_hz: float) -> Motion:
        """How her face follows what she means to do, given on a control clock."""
        excitation = self.traits.excite(behaviour.excitation)
        slow = _slowed(self.dynamics, self.traits.slowness)
        steps = len(excitation)
        padded = np.pad(excitation, ((0, -steps % _PADDED_STEPS), (0, 0)), "edge").astype(np.float32)
        activation = activate(jnp.asarray(padded), rate_hz, slow)
        # A resting tone moved the face before it was called neutral.
        at_rest = equilibrium(self.face, jnp.asarray(self.traits.excite(self.habits.tone), jnp.float32))
        moving = relax(equilibrium(self.face, activation) - at_rest, rate_hz, slow)
        visible = _visible(behaviour.au * _reach(self.traits), rate_hz, slow)
        return Motion(
            self.face, rate_hz, excitation, np.asarray(activation)[:steps], np.asarray(moving)[:steps], visible
        )

    def perform(
        self,
        what: str | Protocol | Sequence[Act] = "expressions",
        montage: str | Montage = "proximal7",
        *,
        seed: int = 0,
        rate_hz: float | None = None,
        camera_hz: float = CAMERA_HZ,
        tier: Tier = "motor-units",
        quality: str | noise.ArtefactSpec = "wired active",
        wearing_sd_mm: float = 2.0,
        duration_s: float | None = None,
    ) -> Recording:
        """Record her: EMG, landmarks and action units with everything that is true about them.

        what: a protocol's name, a `Protocol`, or acts (then `duration_s` is needed). rate_hz: of the EMG, by
        default the montage's; the control clock is an eighth of it. tier: "motor-units", with spikes, or
        "interference", six times as fast. quality: of electrodes and amplifier (`artefacts.PRESETS`).

        Streams: emg and emg_clean (T, C) µV; landmarks (F, 468, 3) mm; au, au_visible, excitation, activation on the
        control clock; camera_au, coder_1, coder_2 (letters 0-5) at the camera's rate. Events of kind act, blink,
        instruction, expression and phase. truth: mixing, spikes, which channels are dead. Raises `InputError`,
        `VocabularyError`.
        """
        if not (np.isfinite(camera_hz) and 1 <= camera_hz <= 1000):
            raise InputError(f"the camera's rate must be 1 … 1000 Hz, got {camera_hz}")
        if tier not in ("motor-units", "interference"):
            raise VocabularyError(f"unknown tier {tier!r}; allowed: motor-units, interference")
        acting, putting_on, recording, coding, watching = np.random.default_rng([seed, 0x5E551017]).spawn(5)
        spec = noise.preset(quality) if isinstance(quality, str) else quality
        base = named_montage(montage) if isinstance(montage, str) else montage
        rate = float(base.rate_hz if rate_hz is None else rate_hz)
        checked_rate(rate)
        control_hz = rate / SAMPLES_PER_STEP
        behaviour, schedule = self.behave(what, acting, control_hz, duration_s=duration_s)
        changes = _changes(schedule, behaviour, control_hz)
        worn = [self.wear(base, wearing_sd_mm=wearing_sd_mm, rng=one) for one in putting_on.spawn(len(changes) - 1)]
        wearings = self._worn(worn, rate, changes)
        motion = self.move(behaviour, control_hz)
        frames_s = np.arange(int(np.ceil(behaviour.time_s.size / control_hz * camera_hz))) / camera_hz
        vertices = motion.vertices_m(frames_s)
        visible = motion.visible_at(frames_s)
        eyes = np.zeros((len(frames_s), 3))
        eyes[:, 0] = visible[:, unit_index("AU45")].max(1)
        heard = listen(
            wearings, motion.excitation, tier, spec, recording, faces_m=vertices, eyes=eyes, camera_hz=camera_hz
        )
        coders = two_coders(visible, camera_hz, coding)
        camera = AuCamera.sample(unit_shapes(), watching)
        seen = camera.see(vertices - np.asarray(self.face.rest), camera_hz, watching)
        streams = [
            Stream("emg", heard.emg_uv.astype(np.float32), rate, channels=base.channel_names, unit="uV"),
            Stream("emg_clean", np.asarray(heard.clean_uv), rate, channels=base.channel_names, unit="uV"),
            Stream("landmarks", (1e3 * vertices).astype(np.float32), camera_hz, unit="mm"),
            _au_stream("au", behaviour.au, control_hz),
            _au_stream("au_visible", motion.visible, control_hz),
            _au_stream("camera_au", camera.judge(seen), camera_hz),
            Stream("excitation", motion.excitation.astype(np.float32), control_hz, channels=MUSCLE_NAMES),
            Stream("activation", motion.activation, control_hz, channels=MUSCLE_NAMES),
            *(_coded(f"coder_{number}", coder, camera_hz) for number, coder in enumerate(coders, 1)),
        ]
        info = {
            "person": {"seed": self.seed, "conditions": list(self.conditions), "face_size": self.traits.shape.size},
            "look": tuple(LOOKS)[(self.seed or 0) % len(LOOKS)],
            "protocol": schedule.name if schedule else "acts",
            "montage": base.name,
            "wearings": [
                {"start_s": one.first_step / control_hz, "montage": one.montage.to_json()} for one in wearings
            ],
            "seed": seed,
            "tier": tier,
            "mains_hz": spec.mains_hz,
            "electrodes": Electrodes.of(worn[0]).as_info(),
        }
        return Recording(streams, _events(behaviour, schedule), _truth(heard, wearings), info)

    def per_muscle(self, recording: Recording) -> NDArray[np.float32]:
        """What each of her muscles contributed to the clean EMG of a recording of hers, (T, 48, C) µV.

        Needs the tier motor-units and much memory: cut long recordings at their performance. Raises `InputError`.
        """
        rate = recording["emg_clean"].rate_hz
        worn = [Montage.from_json(one["montage"]) for one in recording.info["wearings"]]
        starts = [round(one["start_s"] * rate / SAMPLES_PER_STEP) for one in recording.info["wearings"]]
        return per_muscle(recording, self._worn(worn, rate, [*starts, len(recording["excitation"])]))

    def _worn(self, worn: Sequence[Montage], rate_hz: float, changes: Sequence[int]) -> list[Wearing]:
        """Montages in turn, between control steps (W + 1,)."""
        spans = zip(worn, changes[:-1], changes[1:], strict=True)
        return [Wearing(start, end, one, self.emg(one, rate_hz)) for one, start, end in spans]


@cache
def unit_shapes() -> Array:
    """Displacement (A, 2, 468, 3) m of the mean face by each action unit of each side at full intensity."""
    face = build_face()
    au = np.zeros((len(UNITS), 2, len(UNITS), 2))
    for row in range(len(UNITS)):
        for of in range(2):
            au[row, of, row, of] = 1.0
    excitation = excite(au.reshape(-1, len(UNITS), 2)).reshape(len(UNITS), 2, len(MUSCLES))
    return np.asarray(face.vertices(jnp.asarray(excitation))) - np.asarray(face.rest)


_shown = jax.jit(Face.vertices_of)


def _vertices(face: Face, coordinates: Array, chunk: int = 512) -> Array:
    """Vertices of (n, Q) coordinates, in pieces of one shape."""
    count = len(coordinates)
    padded = np.pad(coordinates, ((0, -count % chunk), (0, 0)), "edge")
    parts = [np.asarray(_shown(face, part)) for part in padded.reshape(-1, chunk, padded.shape[1])]
    return np.concatenate(parts)[:count]


def _slowed(dynamics: Dynamics, factor: float) -> Dynamics:
    names = ("activate_s", "deactivate_s", "twitch_s", "lid_s", "jaw_s", "creep_s")
    return replace(dynamics, **{name: factor * getattr(dynamics, name) for name in names})


def _reach(traits: Traits) -> Array:
    """Share (A, 2) of each unit's muscles that the drive reaches, by their weights: below 1 in a palsy."""
    reach = [(WEIGHTS[:, place::2] * traits.drive[place::2]).sum(1) / WEIGHTS[:, place::2].sum(1) for place in (0, 1)]
    return np.stack(reach, -1)


def _visible(au: Array, rate_hz: float, dynamics: Dynamics) -> Array:
    """Action units (T, A, 2) after the lags of muscle and skin; those of the lids after the lids' own."""
    padded = np.pad(au, ((0, -len(au) % _PADDED_STEPS), (0, 0), (0, 0)), "edge").astype(np.float32)
    late = relax(activate(as_coordinates(padded), rate_hz, dynamics), rate_hz, dynamics)
    return np.clip(np.asarray(from_coordinates(late))[: len(au)], 0, 1)


def _au_stream(name: str, au: Array, rate_hz: float) -> Stream:
    return Stream(name, au.reshape(len(au), -1).astype(np.float32), rate_hz, channels=AU_NAMES)


def _coded(name: str, coding: Coding, rate_hz: float) -> Stream:
    return Stream(name, coding.letter, rate_hz, channels=tuple(f"AU{unit.number}" for unit in UNITS))


def _events(behaviour: Behaviour, schedule: Protocol | None) -> list[Event]:
    events = [
        Event(one.onset_s, one.duration_s, one.label, one.intensity, kind=one.source) for one in behaviour.episodes
    ]
    for cue in schedule.episodes if schedule else ():
        events.append(Event(cue.onset_s, cue.duration_s, cue.label, cue.intensity or None, kind="instruction"))
    step = behaviour.time_s[1] - behaviour.time_s[0]
    for kind, codes, names in (
        ("expression", behaviour.expression, behaviour.expressions),
        ("phase", behaviour.phase, PHASES),
    ):
        edges = np.flatnonzero(np.diff(codes)) + 1
        for start, end in zip([0, *edges], [*edges, len(codes)], strict=True):
            if codes[start]:
                events.append(Event(start * step, (end - start) * step, names[codes[start]], kind=kind))
    return events


def _changes(schedule: Protocol | None, behaviour: Behaviour, control_hz: float) -> list[int]:
    """Control steps at which electrodes are put on, and the end; those beyond the end fall away."""
    steps = [round(start * control_hz) for start in (schedule.wearings_s if schedule else (0.0,))]
    end = len(behaviour.time_s)
    return [*(step for step in steps if step < end - 1), end]


def _truth(heard: Heard, wearings: Sequence[Wearing]) -> dict[str, Array]:
    mixing, share = zip(*(one.model.mixing_uv() for one in wearings), strict=True)
    result = {"dead_channels": heard.dead, "mixing_uv": np.array(mixing), "mixing_share": np.array(share)}
    if heard.spikes is not None:
        fired = heard.spikes
        result |= {"spike_muscle": fired.muscle, "spike_unit": fired.unit, "spike_sample": fired.sample}
    return result
