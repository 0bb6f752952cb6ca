"""Four models from EMG to five points of a face for every person of the study, and the way back from points to EMG.

Axes: M `MODELS`, V `INVERTED`, P points, T frames, C channels, S synergies, K labels (six expressions and neutral).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..learning.coupled_skin import CoupledSkin
from ..learning.expression_inverse import ExpressionInverse
from ..learning.keypoint_models import Lrm, Smsm, SmsmLrm
from ..learning.keypoints import along, best_of_folds, main_axes, nrmse, r_squared, split_trials
from ..learning.synergy import activations
from .six_expressions_data import CAMERA_HZ, SCALES, Someone
from .study import Kept, each

Array = NDArray[np.floating]

Model = Smsm | Lrm | CoupledSkin

MODELS: Mapping[str, Callable[[Array], Model]] = {
    "smsm": lambda axes: Smsm(),
    "lrm": lambda axes: Lrm(),
    "smsm_lrm": lambda axes: SmsmLrm(),
    "coupled": CoupledSkin,
}
INVERTED = ("smsm_lrm", "coupled")
"""Models that the way back goes through: the one that the paper proposes (§ 4.3), and the coupled skin."""
INTENSITIES = (0.4, 0.7, 1.0)
"""At which every expression is wanted of the inverse."""
FROM_TO = ("happiness", "fear")
"""The trajectory that is drawn, over `FRAMES` of the camera."""
FRAMES = 26
_SCALE = SCALES.index("own maximum")
"""Of the synergies that the inverse works with: the MVC task does not reach every channel."""
_FOLDS, _LEFT_OUT = 5, 1 / 6


@dataclass(frozen=True, kw_only=True, eq=False)
class Points:
    """One person's points, held-out trials only.

    nrmse, r2 (M, P); parameters (M,). truth_mm (T, P) and predicted_mm (M, T, P) of one held-out trial, in the order of
    expressions. The way back, (V, …) each: known_points and known_activations, RMS misses over the range of expressions
    that the model itself made; met_points, RMS miss of held-out faces over their range; met_right (K,), whether the
    cluster that lies nearest is the expression that was shown; met_emg, correlation of the EMG found with the EMG
    measured. overshoot: the most by which a point leaves its two ends on a path between any two expressions, over its
    range; peak_mm_s of the fastest point on those paths. path_activations (T, S), path_emg (T, C), path_mm (T, P):
    from `FROM_TO[0]` to `FROM_TO[1]`.
    """

    nrmse: Array
    r2: Array
    parameters: NDArray[np.integer]
    truth_mm: Array
    predicted_mm: Array
    known_points: Array
    known_activations: Array
    met_points: Array
    met_right: NDArray[np.bool_]
    met_emg: Array
    overshoot: Array
    peak_mm_s: Array
    path_activations: Array
    path_emg: Array
    path_mm: Array


def everybody(kept: Kept, people: Mapping[int, Someone], seed: int) -> list[Points]:
    """Everybody's points; who was fitted before is not fitted again."""

    def one(number: int) -> Points:
        settings = {"seed": seed, "frames": len(people[number].label)}
        return Points(**kept.get(f"points-{number}", settings, lambda: vars(fit(people[number], [seed, number]))))

    return each("points", people, one)


def fit(someone: Someone, seed: list[int]) -> Points:
    """All models of one person, trained as the paper does, tested on two of twelve trials."""
    rng = np.random.default_rng(seed)
    trial = reordered(someone, rng)
    count = len(np.unique(trial))
    kept, held = split_trials(trial, rng, max(round(_LEFT_OUT * count), 1))
    axes = main_axes(someone.offset_mm[kept])
    moved, emg = along(someone.offset_mm, axes), someone.activity(SCALES[0])
    folds = min(_FOLDS, len(np.unique(trial[kept])))
    models = {
        name: best_of_folds(make(axes), emg[kept], moved[kept], trial[kept], folds) for name, make in MODELS.items()
    }
    predicted = {name: model.predict(emg[held]) for name, model in models.items()}
    shown = trial[held] == trial[held].min()
    ways = [_inverse(someone, models[name], moved, kept, held) for name in INVERTED]
    return Points(
        nrmse=np.stack([nrmse(moved[held], one) for one in predicted.values()]),
        r2=np.stack([r_squared(moved[held], one) for one in predicted.values()]),
        parameters=np.array([model.n_parameters_ for model in models.values()]),
        truth_mm=moved[held][shown],
        predicted_mm=np.stack([one[shown] for one in predicted.values()]),
        **{name: np.stack([one[name] for one in ways]) for name in ways[0]},
    )


def reordered(someone: Someone, rng: np.random.Generator) -> NDArray[np.integer]:
    """Number (F,) of the reordered trial: one repetition of every expression each, drawn (§ 2.4)."""
    trial = np.empty(len(someone.repetition), int)
    for name in np.unique(someone.expression):
        rows = someone.expression == name
        own = someone.repetition[rows]
        trial[rows] = rng.permutation(own.max() + 1)[own]
    return trial


class _OnOwnScale:
    """A model of EMG over MVC, given EMG over another scale, (C,) of one in terms of the other."""

    def __init__(self, model: Model, ratio: Array):
        self._model, self._ratio = model, ratio

    def predict(self, X: ArrayLike) -> Array:
        return self._model.predict(np.asarray(X) * self._ratio)


def _inverse(
    someone: Someone, model: Model, moved: Array, kept: NDArray[np.bool_], held: NDArray[np.bool_]
) -> dict[str, Any]:
    emg, weights = someone.activity(SCALES[_SCALE]), np.asarray(someone.weights[_SCALE], float)
    forward = _OnOwnScale(model, someone.own_uv / someone.mvc_uv)
    inverse = ExpressionInverse(forward, weights).fit(activations(emg[kept], weights), someone.label[kept])
    posed = [name for name in inverse.names_ if name in someone.expression]
    wanted = np.stack([inverse.of_expression(name, much) for name in posed for much in INTENSITIES])
    made = inverse.points_mm(wanted)
    back = inverse.of_points(made)
    faces = np.stack([moved[held & (someone.label == name)].mean(0) for name in inverse.names_])
    heard = np.stack([emg[held & (someone.label == name)].mean(0) for name in inverse.names_])
    found = inverse.of_points(faces)
    near = np.linalg.norm((found[:, None] - inverse.centres_) / inverse.most_, axis=2).argmin(1)
    paths = [
        inverse.points_mm(inverse.path(inverse.of_expression(a), inverse.of_expression(b), FRAMES))
        for a, b in combinations(posed, 2)
    ]
    course = inverse.path(inverse.of_expression(FROM_TO[0]), inverse.of_expression(FROM_TO[1]), FRAMES)
    return {
        "known_points": _rms((inverse.points_mm(back) - made) / inverse.range_mm_),
        "known_activations": _rms((back - wanted) / inverse.most_),
        "met_points": _rms((inverse.points_mm(found) - faces) / inverse.range_mm_),
        "met_right": near == np.arange(len(near)),
        "met_emg": np.corrcoef(inverse.muscles(found).ravel(), heard.ravel())[0, 1],
        "overshoot": np.max([_beyond(path) / inverse.range_mm_ for path in paths]),
        "peak_mm_s": np.max([np.abs(np.diff(path, axis=0)).max() for path in paths]) * CAMERA_HZ,
        "path_activations": course,
        "path_emg": inverse.muscles(course),
        "path_mm": inverse.points_mm(course),
    }


def _beyond(path: Array) -> Array:
    """By how much (P,) a path (T, P) leaves the stretch between its ends."""
    low, high = np.minimum(path[0], path[-1]), np.maximum(path[0], path[-1])
    return np.maximum(low - path.min(0), path.max(0) - high)


def _rms(values: Array) -> Array:
    return np.sqrt(np.mean(values**2))


__all__ = ["FRAMES", "FROM_TO", "INTENSITIES", "INVERTED", "MODELS", "Points", "everybody", "fit", "reordered"]
