"""A camera beside the electrodes: the same contractions, rendered, in bad light, turned and covered, read by MediaPipe.

The camera's reader learns, as the electrodes' does, from one person's first wearing: two frontal, well-lit pictures of
every contraction. It is asked for one picture of each expression at three intensities of the second. A picture in which
no face is found is named wrongly. Light and masks reach no electrode in this simulation, so EMG has one number for all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..learning.fer_ee import FerEe
from ..learning.metrics import Interval, interval
from ..learning.recognition_scores import from_to
from ..sim import mesh
from ..sim.camera import FaceReader
from ..sim.facs import BLENDSHAPES
from ..sim.person.portrait import Portrait
from .epidermal_data import TEN, Size, Subject
from .study import Kept, each

Array = NDArray[np.floating]

WHITE_ELECTRONS, NOISE_ELECTRONS, HIGHEST_GAIN = 5000.0, 8.0, 16.0
"""A small webcam's full well, read noise and how much it amplifies in the dark; typical, *unknown* for the paper's."""
_UPPER = ("right brow", "left brow", "right eye", "left eye")
ASKED = ("A", "C", "E")
"""Of which intensities the camera is asked for pictures."""
_GAMMA = 2.2
_CLOTH, _GLASS = (176, 202, 214), (28, 28, 32)
_JAW = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What is wrong with a picture. turned_deg: the head, to its left; light: share of full light, on the right half
    of the picture and on the left; covered: vertices whose hull is painted over in `colour`."""

    turned_deg: float = 0.0
    light: tuple[float, float] = (1.0, 1.0)
    covered: tuple[int, ...] = ()
    colour: tuple[int, int, int] = _CLOTH


CONDITIONS: Mapping[str, Condition] = MappingProxyType(
    {
        "frontal": Condition(),
        "dim": Condition(light=(0.05, 0.05)),
        "dark": Condition(light=(0.004, 0.004)),
        "lit from one side": Condition(light=(1.0, 0.02)),
        "turned 30°": Condition(turned_deg=30.0),
        "turned 60°": Condition(turned_deg=60.0),
        "turned 80°": Condition(turned_deg=80.0),
        "mouth covered": Condition(covered=(*mesh.region("mouth"), 164, 92, 322, 204, 424, 18)),
        "mask": Condition(covered=(*_JAW, 5)),
        "eyes covered": Condition(
            covered=tuple(v for name in _UPPER for v in mesh.region(name)),
            colour=_GLASS,
        ),
    }
)  # fmt: skip
"""The paper's figure 4 has light, side view and three areas of a mask; how strong each was is not said."""


@dataclass(frozen=True, eq=False)
class Sights:
    """camera: share of pictures named rightly by condition; found: share in which there was a face; emg: share of
    windows of the same contractions named rightly; intervals over people. sheet: one face in every condition."""

    camera: Mapping[str, Interval]
    found: Mapping[str, float]
    emg: Interval
    sheet: NDArray[np.uint8]


def look(people: Sequence[Subject], seed: int, size: Size, kept: Kept) -> Sights:
    """Render everybody, with a progress bar. Raises `GraphicsError`, `ModelFileError` where pictures cannot be made."""

    settings = {"seed": seed, **size.task, "conditions": [str(one) for one in CONDITIONS.values()]}

    def do(number: int) -> dict[str, np.ndarray]:
        return kept.get(f"camera-{number}", settings, lambda: _watched(people[number], seed))

    seen = each("pictures", range(len(people)), do, threads=1)
    rng = np.random.default_rng([seed, 0xCA])
    right = np.array([_named(one) for one in seen])
    emg = np.array([_felt(one, seed, size.steps) for one in people])
    return Sights(
        camera={name: interval(right[:, k], rng) for k, name in enumerate(CONDITIONS)},
        found={name: float(np.mean([one["found"][k].mean() for one in seen])) for k, name in enumerate(CONDITIONS)},
        emg=interval(emg, rng),
        sheet=seen[0]["sheet"],
    )


def spoilt(
    picture: NDArray[np.uint8], condition: Condition, rng: np.random.Generator, hull_px: Array
) -> NDArray[np.uint8]:
    """A picture (H, W, 3) behind a cover, hull_px (n, 2), and in a condition's light, with the noise of a sensor that
    turns its gain up."""
    picture = picture.copy()
    if len(hull_px):
        outline = cv2.convexHull(np.rint(hull_px).astype(np.int32))
        cv2.fillConvexPoly(picture, outline, condition.colour, cv2.LINE_AA)
    if condition.light == (1.0, 1.0):
        return picture
    left, right = condition.light[::-1]
    across = right + (left - right) / (1 + np.exp(np.linspace(-12, 12, picture.shape[1])))
    electrons = WHITE_ELECTRONS * (picture / 255.0) ** _GAMMA * across[:, None]
    electrons = rng.poisson(electrons) + NOISE_ELECTRONS * rng.standard_normal(picture.shape)
    gain = min(1 / max(condition.light), HIGHEST_GAIN)
    shown = np.clip(gain * electrons / WHITE_ELECTRONS, 0, 1) ** (1 / _GAMMA)
    return np.rint(255 * shown).astype(np.uint8)


def _watched(one: Subject, seed: int) -> dict[str, Any]:
    """Blendshapes of the pictures: to learn from, and by condition; zeros and not `found` where there is no face."""
    batches, rng = _trials(one), np.random.default_rng([seed, 0x5EE])
    learnt = np.array(list(batches[0]))
    asked = np.array([trial for trial in batches[1] if _grade(one, trial) in ASKED])
    labels = {**batches[0], **batches[1]}
    with Portrait(one.look, rest_m=one.rest_m) as portrait, FaceReader() as reader:
        known = [_read(reader, portrait.image(face)) for trial in learnt for face in one.faces_m[trial]]
        rows, found, sheet = np.zeros((len(CONDITIONS), len(asked), len(BLENDSHAPES))), [], {}
        for place, trial in enumerate(asked):
            face = one.faces_m[trial, 0].astype(float)
            poses = {angle: _turned(angle) for angle in {one.turned_deg for one in CONDITIONS.values()}}
            clear = {angle: portrait.image(face, head_pose=pose) for angle, pose in poses.items()}
            for number, condition in enumerate(CONDITIONS.values()):
                hull = portrait.project(face[list(condition.covered)], poses[condition.turned_deg])
                picture = spoilt(clear[condition.turned_deg], condition, rng, hull)
                shapes = _read(reader, picture)
                found.append(shapes is not None)
                rows[number, place] = 0.0 if shapes is None else shapes
                if trial == _smile(labels, asked):
                    sheet[number] = cv2.resize(picture, (240, 240), interpolation=cv2.INTER_AREA)
    return {
        "learnt": np.array([shapes for shapes in known if shapes is not None]),
        "learnt_label": np.repeat([labels[t] for t in learnt], 2)[[shapes is not None for shapes in known]],
        "asked": rows,
        "asked_label": np.array([labels[t] for t in asked]),
        "found": np.reshape(found, (len(asked), -1)).T,
        "sheet": np.stack(list(sheet.values())),
    }


def _trials(one: Subject) -> list[dict[int, str]]:
    """Trials of the first and second batch, with the expression that was asked for."""
    seen = one.seen
    both = []
    for batch in (0, 1):
        trials, first = np.unique(seen.trial[seen.batch == batch], return_index=True)
        both.append(dict(zip(map(int, trials), map(str, seen.label[seen.batch == batch][first]), strict=True)))
    return both


def _grade(one: Subject, trial: int) -> str:
    return str(one.seen.intensity[one.seen.trial == trial][0])


def _smile(labels: Mapping[int, str], asked: Sequence[int] | NDArray[np.integer]) -> int:
    """The last, hence strongest, smile."""
    return max(int(trial) for trial in asked if labels[int(trial)] == "happiness")


def _read(reader: FaceReader, picture: NDArray[np.uint8]) -> Array | None:
    face = reader.read(picture).face
    return None if face is None else face.blendshapes


def _turned(degrees: float) -> Array:
    angle, pose = np.radians(degrees), np.eye(4)
    pose[0, 0] = pose[2, 2] = np.cos(angle)
    pose[0, 2], pose[2, 0] = np.sin(angle), -np.sin(angle)
    return pose


def _named(seen: Mapping[str, np.ndarray]) -> list[float]:
    """Share of right names by condition, of one person."""
    reader = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))
    reader.fit(seen["learnt"], seen["learnt_label"])
    return [
        float(np.mean((reader.predict(rows) == seen["asked_label"]) & found))
        for rows, found in zip(seen["asked"], seen["found"], strict=True)
    ]


def _felt(one: Subject, seed: int, steps: int) -> float:
    """Share of windows of the second batch that FER-EE names rightly after the first."""
    ten: Callable[[NDArray[Any]], Any] = one.seen.only(TEN).take
    (split,) = from_to(one.seen.batch == 0, (one.seen.batch == 1) & np.isin(one.seen.intensity, ASKED))
    train, test = ten(split.train), ten(split.test)
    return float(FerEe(steps=steps, random_state=seed).fit(train.flat, train.label).score(test.flat, test.label))


__all__ = ["CONDITIONS", "Condition", "Sights", "look", "spoilt"]
