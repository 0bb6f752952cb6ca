"""Somebody in front of a robot: what she does, what a camera makes of it, what her electrodes record.

    met = meet(Person.sample(7), montage="proximal7", seed=1, seconds=12.0)
    met.truth_m, met.seen_m, met.emg_uv, met.acts

Faces are displacements from her own rest of aligned landmarks (`alignment.align`), as everything that compares faces
takes them. Pictures are taken every 40 ms; what is known when is up to `camera_delay_s` and `emg_delay_s`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .. import mesh
from ..alignment import align
from ..errors import InputError
from . import artefacts
from .au_camera import AuCamera
from .behaviour import SMILE, Act, Behaviour
from .contacts import Montage
from .habits import KINDS, timing
from .motor_units import SAMPLES_PER_STEP
from .person import Motion, Person, unit_shapes
from .repertoire import EXPRESSIONS, unit_index
from .rhythms import RHYTHMS
from .wearing import Wearing, listen

Array = NDArray[np.floating]

PICTURES_HZ = 25.0
EMG_HZ = 1000.0
_LIDS = sorted({*mesh.region("right eye"), *mesh.region("left eye")})
STEADY = np.isin(np.arange(mesh.VERTEX_COUNT), _LIDS, invert=True)
"""Landmarks (468,) by which intensities are measured: all but the lids', which blink."""
ARRIVED = 0.9
"""Share of its height (`height`) at which an expression has arrived."""
_BEGUN = 0.1


@dataclass(frozen=True, eq=False, kw_only=True)
class Shown:
    """One act as it became visible. Times in s; apex_m (468, 3): her face at its strongest.

    drive_s: when the drive of the muscles began. onset_s, arrival_s: intensity reached 10 % and 90 % of its height.
    apex_s: the maximum. release_s: it fell below 90 % for the last time. end_s: the drive's end.
    """

    what: str
    kind: str
    intensity: float
    drive_s: float
    onset_s: float
    arrival_s: float
    apex_s: float
    release_s: float
    end_s: float
    apex_m: Array

    @property
    def expression(self) -> str:
        """Label of the expression: a smile is happiness."""
        return "happiness" if self.what == SMILE else self.what


@dataclass(frozen=True, eq=False, kw_only=True)
class Encounter:
    """Some time with one person.

    times_s (F,): of the pictures. truth_m (F, 468, 3): her face in each. seen_m (F, 468, 3): what the camera made of
    it, known `camera_delay_s` later; noiseless_m (F, 468, 3): the same but for its noise. vertices_m (F, 468, 3): her
    face as it is, for pictures. emg_uv (T, C) at `EMG_HZ` with all that electrodes add, known `emg_delay_s` later; None
    without electrodes. acts: expressions, in order. disturbances: (onset, end, what) of blinks and speech.
    """

    person: Person
    times_s: Array
    truth_m: Array
    seen_m: Array
    noiseless_m: Array
    vertices_m: Array
    camera_delay_s: float
    emg_uv: Array | None
    emg_delay_s: float
    channels: tuple[str, ...]
    acts: tuple[Shown, ...]
    disturbances: tuple[tuple[float, float, str], ...]

    def heard(self, start_s: float, end_s: float) -> Array:
        """The EMG (n, C) µV of a stretch, no later than what was recorded; none without electrodes."""
        if self.emg_uv is None:
            return np.zeros((0, 0))
        return self.emg_uv[slice(*(int(np.clip(round(s * EMG_HZ), 0, len(self.emg_uv))) for s in (start_s, end_s)))]


def meet(
    person: Person,
    *,
    montage: str | Montage | None = None,
    seed: int = 0,
    seconds: float = 20.0,
    acts: Sequence[Act] | None = None,
    camera_delay_s: float = 0.08,
    emg_delay_s: float = 0.02,
    quality: str = "wired active",
    wearing_sd_mm: float = 2.0,
    faithful: bool = False,
) -> Encounter:
    """Meet somebody; the same seed gives the same encounter, and the same acts whatever she wears.

    acts: what she does; None leaves it to her (`free_acts`). camera_delay_s: from a picture to its landmarks, typical
    of a USB camera and a tracker, *unknown*, 0.05 … 0.15. emg_delay_s: amplifier and radio, *unknown*, 0.005 … 0.1.
    faithful: the camera sees every vertex as it is. Raises `InputError`.
    """
    if not (np.isfinite(seconds) and seconds >= 1):
        raise InputError(f"seconds: got {seconds}; allowed is 1 or more")
    acting, watching, wearing, recording = np.random.default_rng([seed, 0x3E7]).spawn(4)
    script = free_acts(acting, seconds) if acts is None else tuple(acts)
    control_hz = EMG_HZ / SAMPLES_PER_STEP
    behaviour, _ = person.behave(script, acting, control_hz, duration_s=seconds)
    motion = person.move(behaviour, control_hz)
    times_s = np.arange(int(seconds * PICTURES_HZ)) / PICTURES_HZ
    vertices_m = motion.vertices_m(times_s)
    truth_m = (align(vertices_m) - align(np.asarray(person.face.rest))).astype(np.float32)
    view = AuCamera.perfect if faithful else lambda shapes: AuCamera.sample(shapes, watching)
    camera = replace(view(unit_shapes()), delay_s=0.0)
    still = replace(camera, jitter_m=0.0, drift_m=0.0)
    seen_m, noiseless_m = (one.see(truth_m, PICTURES_HZ, watching).astype(np.float32) for one in (camera, still))
    emg_uv, channels = None, ()
    if montage is not None:
        worn = person.wear(montage, wearing_sd_mm=wearing_sd_mm, rng=wearing)
        emg_uv, channels = _recorded(person, motion, worn, quality, vertices_m, recording), worn.channel_names
    return Encounter(
        person=person,
        times_s=times_s,
        truth_m=truth_m,
        seen_m=seen_m,
        noiseless_m=noiseless_m,
        vertices_m=vertices_m,
        camera_delay_s=camera_delay_s,
        emg_uv=emg_uv,
        emg_delay_s=emg_delay_s,
        channels=tuple(channels),
        acts=tuple(_shown(behaviour, times_s, truth_m)),
        disturbances=_disturbances(behaviour),
    )


def free_acts(rng: np.random.Generator, seconds: float) -> tuple[Act, ...]:
    """Expressions, with rests and now and then some speech between them; how often and how long is a choice."""
    acts: list[Act] = []
    at_s = rng.uniform(1.0, 2.5)
    while at_s < seconds - 1.5:
        if rng.random() < 0.15:
            talk_s = rng.uniform(1.5, 4.0)
            acts.append(Act(what="speech", onset_s=at_s, rise_s=0.2, hold_s=talk_s, fall_s=0.3, intensity=1.0))
            at_s += talk_s + 0.5 + rng.uniform(0.5, 1.5)
            continue
        kind = KINDS[int(rng.random() < 0.5)]
        act = Act(
            what=str(rng.choice([*EXPRESSIONS, SMILE, SMILE])),
            onset_s=at_s,
            hold_s=rng.uniform(0.3, 2.0),
            intensity=rng.uniform(0.4, 1.0),
            asymmetry=float(np.clip(0.1 * rng.standard_normal(), -0.3, 0.3)),
            kind=kind,
        )
        acts.append(act)
        usual = timing(kind)
        at_s += usual.rise_s + (act.hold_s or 0.0) + usual.fall_s + rng.uniform(0.5, 2.5)
    return tuple(acts)


def intensity(faces_m: Array, apex_m: Array) -> Array:
    """How strongly faces (…, 468, 3) show an apex (468, 3): their part along it, 1 at the apex; without lids."""
    steady, faces = apex_m[STEADY].ravel(), np.asarray(faces_m)
    shown = faces[..., STEADY, :].reshape(*faces.shape[:-2], -1)
    return shown @ steady / max(steady @ steady, 1e-12)


def arrival_s(times_s: Array, course: Array, level: float = ARRIVED) -> float:
    """When a course (n,) first reaches a share of its height, between samples; NaN if it never rises above 0.

    Its height is the median of what lies above half of its maximum: a hold wanders, and where in it the maximum lies
    is chance.
    """
    wanted = level * height(course)
    if not wanted > 0:
        return float("nan")
    first = int(np.argmax(course >= wanted))
    if first == 0:
        return float(times_s[0])
    low, high = course[first - 1], course[first]
    return float(times_s[first - 1] + (wanted - low) / (high - low) * (times_s[first] - times_s[first - 1]))


def height(course: Array) -> float:
    """How high a course (n,) holds: the median of what lies above half of its maximum."""
    top = float(np.max(course, initial=0.0))
    return float(np.median(course[course >= 0.5 * top])) if top > 0 else 0.0


def _shown(behaviour: Behaviour, times_s: Array, truth_m: Array):
    """Acts that became visible before the end; half a second after the drive's end they are still looked at."""
    size = np.linalg.norm(truth_m[:, STEADY].reshape(len(truth_m), -1), axis=1)
    for one in behaviour.episodes:
        if one.source != "act" or one.label in RHYTHMS or one.intensity <= 0:
            continue
        span = np.flatnonzero((times_s >= one.onset_s) & (times_s <= one.onset_s + one.duration_s + 0.3))
        if len(span) < 5 or span[-1] >= len(times_s) - 2:
            continue
        apex = span[size[span].argmax()]
        course, when = intensity(truth_m[span], truth_m[apex]), times_s[span]
        strong = np.flatnonzero(course >= ARRIVED * height(course))
        yield Shown(
            what=one.label,
            kind=one.kind,
            intensity=one.intensity,
            drive_s=one.onset_s,
            onset_s=arrival_s(when, course, _BEGUN),
            arrival_s=arrival_s(when, course),
            apex_s=float(times_s[apex]),
            release_s=float(when[strong[-1]]),
            end_s=one.onset_s + one.duration_s,
            apex_m=truth_m[apex],
        )


def _recorded(
    person: Person, motion: Motion, worn: Montage, quality: str, vertices_m: Array, rng: np.random.Generator
) -> Array:
    eyes = np.zeros((len(vertices_m), 3))
    eyes[:, 0] = motion.visible_at(np.arange(len(vertices_m)) / PICTURES_HZ)[:, unit_index("AU45")].max(1)
    wearing = Wearing(0, len(motion.excitation), worn, person.emg(worn, EMG_HZ))
    spec = artefacts.preset(quality)
    heard = listen(
        [wearing], motion.excitation, "interference", spec, rng, faces_m=vertices_m, eyes=eyes, camera_hz=PICTURES_HZ
    )
    return heard.emg_uv.astype(np.float32)


def _disturbances(behaviour: Behaviour) -> tuple[tuple[float, float, str], ...]:
    return tuple(
        (one.onset_s, one.onset_s + one.duration_s, one.label)
        for one in behaviour.episodes
        if one.source == "blink" or one.label in RHYTHMS
    )


__all__ = [
    "ARRIVED", "EMG_HZ", "PICTURES_HZ", "STEADY", "Encounter", "Shown",
    "arrival_s", "free_acts", "height", "intensity", "meet",
]  # fmt: skip
