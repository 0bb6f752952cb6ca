"""What the picture and the page of `duchenne coexpress` show: the person, the robots beside her, and their timing.

Everybody's faces are displacements from the own rest of aligned landmarks, (468, 3) m; times are seconds of one clock.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..learning.expectation import Expectation
from ..sim.person.encounter import ARRIVED, EMG_HZ, STEADY, Shown, arrival_s, height, intensity
from ..sim.person.portrait import Portrait

Array = NDArray[np.floating]

CO_EXPRESSION, MIMICRY = "co-expression", "mimicry"
FOVY_DEG = 15.0
"""Lens of all portraits: the face fills the picture."""
_BEFORE_S = 0.4
"""A robot that shows an act so long before her muscles begin has not done so because of her."""
_AFTER_S = 1.0
"""…nor one that comes so long after she lets go."""
_BEGINS_BY_S = 0.1
"""…and it begins no later than so long after she has arrived."""
_WAKING_S = 1.0
"""So long it takes until senses have their bearings; what is missing until then is not told."""
_LEAST_KNOWN = 0.5
"""Probability, and intensity of the expected face, from which on an act counts as expected."""
_EMG_BAND_HZ = (20.0, 450.0)
_ENVELOPE_S = 0.06
_CALM_S, _RISEN_SD, _RISEN_S = 0.8, 5.0, 0.04
"""EMG has risen when it stays above mean + 5 SD of the calm before it for 40 ms."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Scene:
    """Some time with one person, all of it known before the robots play.

    source, senses: who it is and what the robots know her by, for readers. times_s (F,): of the pictures. seen: what
    the camera made of each, None where it found no face; known `camera_delay_s` later. face_m (F, 468, 3): her face,
    for measuring. mesh_m (F, 468, 3): the same with her own features, for looking. emg_uv (T, C) at `emg_hz`, known
    `emg_delay_s` later, or None. montage: name of the electrodes' arrangement, where known. draw: pictures of frames,
    square RGB of a size in px. filmed: they are a film's.
    """

    source: str
    senses: str
    times_s: Array
    seen: Sequence[Array | None]
    face_m: Array
    mesh_m: Array
    camera_delay_s: float
    emg_uv: Array | None = None
    emg_hz: float = EMG_HZ
    emg_delay_s: float = 0.0
    channels: tuple[str, ...] = ()
    montage: str = ""
    acts: tuple[Shown, ...]
    draw: Callable[[Sequence[int], int], list[np.ndarray]]
    filmed: bool = False
    notes: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        return float(self.times_s[-1])

    def heard(self, start_s: float, end_s: float) -> Array:
        """The EMG (n, C) µV of a stretch, as far as there is any."""
        if self.emg_uv is None or end_s <= start_s:
            return np.zeros((0, len(self.channels)))
        return self.emg_uv[round(start_s * self.emg_hz) : max(round(end_s * self.emg_hz), 0)]

    def frame(self, time_s: float) -> int:
        """The picture nearest to a time."""
        return int(np.abs(self.times_s - time_s).argmin())

    def before_m(self, act: Shown) -> Array:
        """Her face (468, 3) m when the muscles of an act began."""
        place = self.frame(act.drive_s)
        return np.median(self.face_m[max(place - 2, 0) : place + 1], axis=0)

    @cached_property
    def envelope_uv(self) -> Array:
        """Moving RMS of the EMG, (T, C) µV, at `emg_hz`; each value is of the stretch that ends there."""
        from scipy.ndimage import uniform_filter1d
        from scipy.signal import butter, sosfilt

        if self.emg_uv is None:
            return np.zeros((0, 0))
        low_hz, high_hz = _EMG_BAND_HZ[0], min(_EMG_BAND_HZ[1], 0.45 * self.emg_hz)
        band = butter(2, (low_hz, high_hz), "bandpass", fs=self.emg_hz, output="sos")
        power = np.asarray(sosfilt(band, np.asarray(self.emg_uv, float), axis=0)) ** 2
        width = round(_ENVELOPE_S * self.emg_hz)
        return np.sqrt(uniform_filter1d(power, width, axis=0, origin=(width - 1) // 2, mode="nearest").clip(0))

    def emg_rise(self, act: Shown) -> tuple[float, int] | None:
        """When the EMG of an act rose, s, in the channel in which it rises most; None if it did not."""
        first, last = (round(t * self.emg_hz) for t in (act.drive_s - 0.15, act.arrival_s))
        calm = self.envelope_uv[max(first - round(_CALM_S * self.emg_hz), 0) : max(first, 0)]
        part = self.envelope_uv[max(first, 0) : last]
        if not len(calm) or not len(part):
            return None
        risen = (part - calm.mean(0)) / np.maximum(calm.std(0), 1e-6)
        channel, run = int(risen.mean(0).argmax()), round(_RISEN_S * self.emg_hz)
        steady = np.lib.stride_tricks.sliding_window_view(risen[:, channel] > _RISEN_SD, run).all(-1)
        return ((first + int(steady.argmax())) / self.emg_hz, channel) if steady.any() else None


@dataclass(frozen=True, eq=False, kw_only=True)
class Played:
    """What one robot did beside her, every 40 ms.

    times_s (T,). commands (T, 26) sent then. vertices_m (T, 468, 3), head_pose (T, 4, 4), gaze_rad (T, 2, 2): how it
    looked then. motion_m (T, 468, 3): its displacement from its rest. step_ms (T,): time that its decision took.
    expected (T,): what it expected of her. problems: from when on, s, something was missing; an empty text says that
    nothing was any more.
    """

    name: str
    times_s: Array
    commands: Array
    vertices_m: Array
    head_pose: Array
    gaze_rad: Array
    motion_m: Array
    step_ms: Array
    expected: tuple[Expectation, ...]
    problems: tuple[tuple[float, str], ...] = ()

    def tick(self, time_s: float) -> int:
        """The control period nearest to a time."""
        return int(np.abs(self.times_s - time_s).argmin())


@dataclass(frozen=True)
class Timing:
    """How one robot answered one act. asynchrony_s: its arrival after hers, negative before; NaN if it did not come.

    error_mm: mean distance of its landmarks, at her arrival, from her apex within its range. known_s: how long before
    her arrival it first expected it; NaN if it never did.
    """

    arrival_s: float
    asynchrony_s: float
    error_mm: float
    known_s: float


@dataclass(frozen=True, eq=False)
class Story:
    """The person and the robots, `CO_EXPRESSION` and `MIMICRY`, that played beside her.

    limited: makes of a face of hers (468, 3) m the nearest in the robot's range.
    """

    scene: Scene
    robots: Mapping[str, Played]
    limited: Callable[[Array], Array]

    def window(self, act: Shown) -> tuple[float, float]:
        """The stretch of an act: from midway after the act before it to midway before the next."""
        acts = self.scene.acts
        k = acts.index(act)
        start_s = 0.5 * (acts[k - 1].end_s + act.drive_s) if k else 0.0
        end_s = 0.5 * (act.end_s + acts[k + 1].drive_s) if k + 1 < len(acts) else self.scene.duration_s
        return start_s, end_s

    def course(self, who: str | None, act: Shown) -> tuple[Array, Array]:
        """How far an act is on its way, in its window: times (n,) s, and shares of the own height there.

        None is the person. The way begins at her face before the act, which need not be at rest.
        """
        start_s, end_s = self.window(act)
        times_s = self.scene.times_s if who is None else self.robots[who].times_s
        moved_m = self.scene.face_m if who is None else self.robots[who].motion_m
        from_m, apex_m = self.scene.before_m(act), act.apex_m
        if who is not None:
            from_m, apex_m = self.limited(from_m), self.limited(apex_m)
        inside = (times_s >= start_s) & (times_s <= end_s)
        course = intensity(moved_m[inside] - from_m, apex_m - from_m)
        return times_s[inside], course / max(height(course), 1e-6)

    def timing(self, who: str, act: Shown) -> Timing:
        robot = self.robots[who]
        times_s, course = _own(*self.course(who, act), act)
        arrived = arrival_s(times_s, course) if len(course) and course[0] < ARRIVED else float("nan")
        off = robot.motion_m[robot.tick(act.arrival_s)] - self.limited(act.apex_m)
        known = [e.time_s for e in robot.expected if self._knows(e, act)]
        return Timing(
            arrival_s=arrived,
            asynchrony_s=arrived - act.arrival_s,
            error_mm=1e3 * float(np.linalg.norm(off[STEADY], axis=1).mean()),
            known_s=act.arrival_s - min(known) if known else float("nan"),
        )

    def figures(self) -> dict[str, float]:
        """Named numbers about the run; asynchronies are medians of absolute values over the acts."""
        result: dict[str, float] = {"acts": len(self.scene.acts), "seconds": self.scene.duration_s}
        for who, name in ((MIMICRY, "mimicry"), (CO_EXPRESSION, "coexpression")):
            timings = [self.timing(who, act) for act in self.scene.acts]
            if timings:
                offs = [1e3 * t.asynchrony_s for t in timings]
                result[f"asynchrony_{name}_ms"] = _median(np.abs(offs))
                result[f"lag_{name}_ms"] = _median(offs)
                result[f"error_{name}_mm"] = float(np.mean([t.error_mm for t in timings]))
                if who == CO_EXPRESSION:
                    result["lead_ms"] = 1e3 * _median([t.known_s for t in timings])
            result[f"step_{name}_p99_ms"] = float(np.percentile(self.robots[who].step_ms, 99))
        before_s = [act.onset_s - rise[0] for act in self.scene.acts if (rise := self.scene.emg_rise(act))]
        if before_s:
            result["emg_before_visible_ms"] = 1e3 * float(np.median(before_s))
        return result

    def missed(self) -> list[str]:
        """What the robot that co-expresses had to do without, and when."""
        found = self.robots[CO_EXPRESSION].problems
        early = [one for one in found if one[0] < _WAKING_S]
        found = (*early[-1:], *found[len(early) :])
        if found and not found[0][1]:
            found = found[1:]
        return [f"From {time_s:.1f} s: {problem or 'nothing is missing any more'}." for time_s, problem in found]

    def _knows(self, expected: Expectation, act: Shown) -> bool:
        in_time = act.drive_s - _BEFORE_S <= expected.time_s <= act.arrival_s
        if not (in_time and expected.probability >= _LEAST_KNOWN):
            return False
        from_m = self.scene.before_m(act)
        return bool(intensity(expected.target_m - from_m, act.apex_m - from_m) >= _LEAST_KNOWN)


def _own(times_s: Array, course: Array, act: Shown) -> tuple[Array, Array]:
    """The part of a robot's course (n,) that may be its answer to an act: from where it was lowest before."""
    own = (times_s >= act.drive_s - _BEFORE_S) & (times_s <= act.release_s + _AFTER_S)
    times_s, course = times_s[own], course[own]
    before = course[times_s <= act.arrival_s + _BEGINS_BY_S]
    lowest = int(before.argmin()) if len(before) else 0
    return times_s[lowest:], course[lowest:]


def _median(values: ArrayLike) -> float:
    """The median of those that are known; NaN if none is."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if len(known) else float("nan")


def portraits(faces_m: Array, rest_m: Array, look: str, size_px: int) -> list[np.ndarray]:
    """Square pictures of a simulated person's faces (n, 468, 3) m. Raises `GraphicsError`."""
    with Portrait(look, rest_m=rest_m, width_px=size_px, height_px=size_px, fovy_deg=FOVY_DEG) as portrait:
        return [portrait.image(face) for face in faces_m]


__all__ = ["CO_EXPRESSION", "MIMICRY", "Played", "Scene", "Story", "Timing", "portraits"]
