"""The published evaluation of anticipation, on clips of simulated people; every predictor goes into one table.

    clips = cut(meet(Person.sample(1000), seed=1000, seconds=60.0))
    rows = score({"paper": paper(model), "mimicry": copy_newest}, clips, after=AFTER, judge=Judge.default())

Paper: human-robot facial coexpression, "Predictive model for expression anticipation", "Evaluation of facial expression
prediction using a confusion matrix", Table 1, Methods "Statistical analysis". A clip is one expression; faces are what
the camera reports, from rest. All predictors see frames up to `after` frames behind the peak activation: the paper's
window ends four behind it. The paper's mimicry copies the face at peak activation; a robot would copy the newest.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ..learning.expectation import Watcher
from ..learning.paper_anticipation import FRAMES, PaperAnticipator, Recipe, landmarks
from ..learning.peak_activation import AFTER, BEFORE, REST_FRAMES, TARGETS, peak_activation
from ..learning.self_model import SelfModel
from ..learning.statistics import mean_interval
from ..sim import mesh
from ..sim.errors import InputError
from ..sim.person.encounter import PICTURES_HZ, STEADY, Encounter, meet
from ..sim.person.person import Person
from ..sim.robot.servo import symmetric
from ..twin.retarget import Retarget
from ..twin.steering import Steering

Array = NDArray[np.floating]

ACTIVE = 0.25
"""A command is activated if it is further than this from the calm face's (paper, before Table 1)."""
PAPER_SHARE = (1307 + 338) / 2354
"""Of the paper's commands so many are activated (Table 1)."""
FOLDS = 5
SECONDS = 60.0
_CALM_S, _HELD_S = 0.6, 0.2
"""A clip begins so long before the drive of the muscles and ends so long after the release."""
_NOTHING = np.zeros((0, mesh.VERTEX_COUNT, 3))
_COUNTED = np.isin(np.arange(mesh.VERTEX_COUNT), mesh.EMO_LANDMARKS) & STEADY


@dataclass(frozen=True, eq=False)
class Clips:
    """Single expressions (n), each with its frames.

    inputs_m (n, 9, 468, 3): around peak activation. targets_m (n, 4, 468, 3): the target face and the three after it.
    true_m (n, 468, 3): her face at the target as it is, of which the camera sees a part; the mean of the four.
    lead_frames (n,): from peak activation to target. person (n,), what (n,): who, and what she does. peak (n,): frame
    of the peak activation within her encounter, encounters[place]; place (n,).
    """

    inputs_m: Array
    targets_m: Array
    true_m: Array
    lead_frames: NDArray[np.integer]
    person: NDArray[np.integer]
    what: NDArray[np.str_]
    peak: NDArray[np.integer]
    place: NDArray[np.integer]
    encounters: tuple[Encounter, ...] = ()

    def __len__(self) -> int:
        return len(self.person)

    def __getitem__(self, rows: NDArray) -> "Clips":
        arrays = {name: getattr(self, name)[rows] for name in _OF_CLIPS}
        return replace(self, **arrays)

    def seen_m(self, after: int, count: int = 1) -> Array:
        """The newest frames (n, count, 468, 3) that are known `after` frames behind the peak activation."""
        end = BEFORE + 1 + after
        return self.inputs_m[:, end - count : end]


_OF_CLIPS = ("inputs_m", "targets_m", "true_m", "lead_frames", "person", "what", "peak", "place")


class Predictor(Protocol):
    """Says target faces (n, 468, 3) m from what is known `after` frames behind the peak activation of clips."""

    def __call__(self, clips: Clips, after: int) -> Array: ...


def cut(met: Encounter, person: int = 0, *, keep: bool = True) -> Clips:
    """The clips of an encounter: expressions that begin at rest, without speech, whose target is found.

    There may be none. keep: also keep the encounter, which streaming predictors need.
    """
    found: list[tuple] = []
    for act in met.acts:
        first, last = (round(s * PICTURES_HZ) for s in (act.drive_s - _CALM_S, act.release_s + _HELD_S))
        busy = [(a, b) for a, b, what in met.disturbances if what != "blink"]
        busy += [(other.drive_s, other.end_s) for other in met.acts if other is not act]
        if first < 0 or any(a < last / PICTURES_HZ and b > first / PICTURES_HZ for a, b in busy):
            continue
        faces = met.seen_m[first : last + 1]
        try:
            peak = peak_activation(faces[..., :2], PICTURES_HZ, weight=_COUNTED)
        except InputError:
            continue
        if peak.peak < REST_FRAMES:  # the calm face itself moved most
            continue
        true_m = met.truth_m[first : last + 1][peak.targets].mean(0)
        found.append(
            (
                faces[peak.inputs],
                faces[peak.targets],
                true_m,
                peak.target - peak.peak,
                act.expression,
                first + peak.peak,
            )
        )
    inputs, targets, trues, leads, what, peaks = zip(*found, strict=True) if found else ((),) * 6
    count = len(found)
    return Clips(
        np.reshape(inputs, (count, BEFORE + 1 + AFTER, mesh.VERTEX_COUNT, 3)),
        np.reshape(targets, (count, TARGETS, mesh.VERTEX_COUNT, 3)),
        np.reshape(trues, (count, mesh.VERTEX_COUNT, 3)),
        np.array(leads, int),
        np.full(count, person),
        np.array(what, str),
        np.array(peaks, int),
        np.zeros(count, int),
        (replace(met, vertices_m=_NOTHING, noiseless_m=_NOTHING),) if keep else (),
    )


def joined(parts: Iterable[Clips]) -> Clips:
    """Clips of several encounters as one."""
    every = list(parts)
    arrays = {name: np.concatenate([getattr(one, name) for one in every]) for name in _OF_CLIPS}
    arrays["place"] = np.repeat(np.arange(len(every)), [len(one) for one in every])
    return Clips(**arrays, encounters=tuple(met for one in every for met in one.encounters))


def meet_all(
    people: Sequence[int],
    *,
    seconds: float = SECONDS,
    montage: str | None = None,
    keep: bool = True,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Clips:
    """Clips of one encounter with each person, by number; `told` hears how many have been met, and of how many."""
    parts = []
    for done, who in enumerate(people):
        told(done, len(people))
        parts.append(cut(meet(Person.sample(who), montage=montage, seed=who, seconds=seconds), who, keep=keep))
    told(len(people), len(people))
    return joined(parts)


# --- predictors -------------------------------------------------------------------------------------------


def learn(clips: Clips, seed: int = 0, recipe: Recipe | None = None) -> PaperAnticipator:
    """The paper's network for clips."""
    lead_s = float(np.median(clips.lead_frames)) / PICTURES_HZ
    return PaperAnticipator.fit(
        clips.inputs_m, clips.targets_m, list(clips.what), lead_s=lead_s, seed=seed, recipe=recipe
    )


def paper(model: PaperAnticipator) -> Predictor:
    """The paper's network on the four newest frames."""
    return lambda clips, after: model.predict(clips.seen_m(after, FRAMES))


def copy_newest(clips: Clips, after: int) -> Array:
    """Mimicry: the newest frame."""
    return clips.seen_m(after)[:, 0]


def copy_peak(clips: Clips, after: int) -> Array:
    """The paper's mimicry: the frame of the peak activation, however long ago it was."""
    return clips.seen_m(0)[:, 0]


def chance(learnt_from: Clips, seed: int = 0) -> Predictor:
    """A target out of the training clips, drawn at random."""

    def predict(clips: Clips, after: int) -> Array:
        return learnt_from.targets_m[np.random.default_rng(seed).integers(len(learnt_from), size=len(clips)), 0]

    return predict


def streamed(watch: Callable[[], Watcher], *, camera: bool = True, emg: bool = False) -> Predictor:
    """What a new watcher of each person expects when the frame becomes known, its target.

    It goes through the whole encounter as in life: at the moment at which a picture is known it has heard the EMG that
    is known by then. camera, emg: what it is given. Clips must have been cut with `keep`.
    """

    def predict(clips: Clips, after: int) -> Array:
        faces = np.empty((len(clips), mesh.VERTEX_COUNT, 3))
        for place in np.unique(clips.place):
            met, watcher, rows = clips.encounters[place], watch(), np.flatnonzero(clips.place == place)
            wanted = {int(clips.peak[row]) + after: row for row in rows}
            heard_s = 0.0
            for frame in range(max(wanted) + 1):
                now_s = float(met.times_s[frame]) + met.camera_delay_s
                if emg:
                    known_s = now_s - met.emg_delay_s
                    watcher.hear(known_s, met.heard(heard_s, known_s))
                    heard_s = known_s
                if camera:
                    watcher.see(float(met.times_s[frame]), met.seen_m[frame])
                if frame in wanted:
                    faces[wanted[frame]] = watcher.expect(now_s).target_m
        return faces

    return predict


# --- scores -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Confusion:
    """Activated commands, predicted against those of the true target: the paper's Table 1."""

    true_positive: int
    false_negative: int
    false_positive: int
    true_negative: int

    @classmethod
    def of(cls, predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> "Confusion":
        counts = (predicted & true, ~predicted & true, predicted & ~true, ~predicted & ~true)
        return cls(*(int(np.count_nonzero(one)) for one in counts))

    @property
    def figures(self) -> dict[str, float]:
        """accuracy, ppv, sensitivity, fpr, false_omission, lr_plus; NaN where nothing can be divided by.

        ppv_at_paper_share: what the PPV would be if `PAPER_SHARE` of the commands were activated.
        """
        tp, fn, fp, tn = self.true_positive, self.false_negative, self.false_positive, self.true_negative
        sensitivity, fpr = _share(tp, fn), _share(fp, tn)
        return {
            "accuracy": _share(tp + tn, fp + fn),
            "ppv": _share(tp, fp),
            "ppv_at_paper_share": _share(sensitivity * PAPER_SHARE, fpr * (1 - PAPER_SHARE)),
            "sensitivity": sensitivity,
            "fpr": fpr,
            "false_omission": _share(fn, tn),
            "lr_plus": sensitivity / fpr if fpr > 0 else float("nan"),
        }


@dataclass(frozen=True, eq=False)
class Row:
    """One predictor at one moment.

    errors_mm (n,): mean absolute error of each clip over 113 landmarks × (x, y).
    """

    predictor: str
    after: int
    errors_mm: Array
    confusion: Confusion

    @property
    def figures(self) -> dict[str, float]:
        """n, mean_mm, sd_mm, sem_mm, the 95 % interval of the mean, and those of the confusion."""
        n, sd = len(self.errors_mm), float(self.errors_mm.std(ddof=1))
        mean, low, high = mean_interval(self.errors_mm)
        spread = {"sd_mm": sd, "sem_mm": sd / float(np.sqrt(n)), "low_mm": low, "high_mm": high}
        return {"n": float(n), "mean_mm": mean} | spread | self.confusion.figures

    def against(self, other: "Row") -> dict[str, float]:
        """Against another predictor on the same clips: ratio of means, t and p of two independent groups as in the
        paper."""
        apart = stats.ttest_ind(self.errors_mm, other.errors_mm)
        return {
            "ratio": float(self.errors_mm.mean() / other.errors_mm.mean()),
            "t": float(apart.statistic),  # pyright: ignore[reportAttributeAccessIssue]
            "p": float(apart.pvalue),  # pyright: ignore[reportAttributeAccessIssue]
        }


class Judge:
    """Knows which commands the robot's inverse model gives for a person's face, and which of them are activated."""

    def __init__(self, steering: Steering):
        model, rest = steering.model, np.zeros((mesh.VERTEX_COUNT, 3))
        self._steering = steering
        self._retarget = Retarget(rest, model.rest_m, model.low_m, model.high_m)
        self._calm = self.commands(rest[None])[0]

    @classmethod
    def default(cls) -> "Judge":
        """Of the default robot."""
        return cls(Steering(SelfModel.default()))

    def commands(self, faces_m: Array) -> Array:
        """Symmetric commands (n, 11) for faces (n, 468, 3) m, displacements from a person's rest."""
        return symmetric(np.array([self._steering.command(self._retarget(face)) for face in faces_m]))

    def active(self, faces_m: Array) -> NDArray[np.bool_]:
        """Which commands (n, 11) are activated."""
        return np.abs(self.commands(faces_m) - self._calm) > ACTIVE


def score(
    predictors: Mapping[str, Predictor], clips: Clips, *, after: int, judge: Judge, true: bool = False
) -> dict[str, Row]:
    """A row for every predictor on the same clips, `after` frames (0 … 4) behind the peak activation.

    true: against her true face at the target instead of what the camera sees of it.
    """
    if not 0 <= after <= AFTER:
        raise InputError(f"after: got {after}; allowed is 0 … {AFTER} frames behind the peak activation")
    wanted = clips.true_m if true else clips.targets_m[:, 0]
    active = judge.active(wanted)
    rows = {}
    for name, predict in predictors.items():
        faces = predict(clips, after)
        rows[name] = Row(name, after, errors_mm(faces, wanted), Confusion.of(judge.active(faces), active))
    return rows


def errors_mm(faces_m: Array, targets_m: Array) -> Array:
    """Mean absolute error (n,) of the paper's 113 landmarks × (x, y) of faces (n, 468, 3) m."""
    return np.abs(landmarks(faces_m) - landmarks(targets_m)).mean(-1)


# --- cross-validation -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Validation:
    """Cross-validated errors (n,) mm of the paper's network, of both copies, and which fold (n,) a clip was in."""

    fold: NDArray[np.integer]
    paper_mm: Array
    newest_mm: Array
    peak_mm: Array


def cross_validate(
    clips: Clips, *, by_person: bool, after: int = AFTER, seed: int = 0, recipe: Recipe | None = None
) -> Validation:
    """Five folds of clips, or of people none of whom is in two folds; each is predicted by what the others teach."""
    groups = clips.person if by_person else np.arange(len(clips))
    names = np.unique(groups)
    if len(names) < FOLDS:
        raise InputError(f"{FOLDS} folds need as many {'people' if by_person else 'clips'}, got {len(names)}")
    dealt = dict(zip(np.random.default_rng(seed).permutation(names), np.arange(len(names)) % FOLDS, strict=True))
    fold = np.array([dealt[one] for one in groups])
    error = np.empty(len(clips))
    for number in range(FOLDS):
        rows = fold == number
        held = clips[rows]
        error[rows] = errors_mm(paper(learn(clips[~rows], seed, recipe))(held, after), held.targets_m[:, 0])
    copies = (errors_mm(copy(clips, after), clips.targets_m[:, 0]) for copy in (copy_newest, copy_peak))
    return Validation(fold, error, *copies)


def _share(part: float, rest: float) -> float:
    return part / (part + rest) if part + rest else float("nan")


__all__ = [
    "ACTIVE", "FOLDS", "SECONDS",
    "Clips", "Confusion", "Judge", "Predictor", "Row", "Validation",
    "chance", "copy_newest", "copy_peak", "cross_validate", "cut", "errors_mm", "joined", "learn", "meet_all", "paper",
    "score", "streamed",
]  # fmt: skip
