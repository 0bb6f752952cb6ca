"""What a twin of the real robot has to beat: regressions that know nothing of faces, their settings chosen within.

`MODELS` has every method by name, each a function (commands, faces_cm, clips, commands there) → faces there.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Kernel, Matern, WhiteKernel
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from ..learning.robot_twin import UPPER, PhysicsTwin, RobotTwin
from ..learning.robot_twin_fit import Process

Array = np.ndarray
Predict = Callable[[Array, Array, Array, Array], Array]

_INNER = 4
_PENALTIES = tuple(float(x) for x in 10 ** np.linspace(-2.5, 2, 10))
_AXES = 30


class SharedProcess(RegressorMixin, BaseEstimator):
    """scikit-learn's Gaussian process by greatest marginal likelihood, on principal axes that share one kernel."""

    def __init__(self, kernel: Kernel):
        self.kernel = kernel

    def fit(self, X: Array, y: Array) -> "SharedProcess":
        self.axes_ = PCA(min(_AXES, len(X) - 1)).fit(y)
        told = self.axes_.transform(y)
        self.unit_ = float(told.std())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound: the input does not matter
            self.process_ = GaussianProcessRegressor(self.kernel).fit(X, told / self.unit_)
        return self

    def predict(self, X: Array) -> Array:
        told = self.process_.predict(X)
        return self.axes_.inverse_transform(self.unit_ * np.asarray(told).reshape(len(X), -1))


def _kernels(inputs: int = 11) -> list[Kernel]:
    """One length for all inputs or one for each; a linear term beside them was tried and predicts no better."""
    lengths: tuple[Any, Any] = 1.0, np.ones(inputs)  # scikit-learn's types know no arrays
    shapes = [kind(length, (0.1, 30)) for length in lengths for kind in (RBF, partial(Matern, nu=1.5))]
    return [ConstantKernel(1.0, (1e-2, 1e4)) * shape + WhiteKernel(0.01, (1e-5, 1.0)) for shape in shapes]


def _chosen(model: BaseEstimator, grid: dict[str, object]) -> Predict:
    """Settings by cross-validation over clips within what it is given."""

    def predict(commands: Array, faces: Array, clips: Array, there: Array) -> Array:
        flat, folds = faces.reshape(len(faces), -1), GroupKFold(min(_INNER, len(np.unique(clips))))
        search = GridSearchCV(model, grid, scoring="neg_mean_squared_error", cv=folds)
        return search.fit(commands - 0.5, flat, groups=clips).predict(there - 0.5).reshape(-1, *faces.shape[1:])

    return predict


def _process(commands: Array, faces: Array, clips: Array, there: Array) -> Array:
    """The twin without its physics."""
    flat, result = faces.reshape(len(faces), -1), np.empty((len(there), faces[0].size))
    for half in (UPPER, ~UPPER):
        result[:, half] = Process().fit(commands, flat[:, half], clips).predict(there)
    return result.reshape(-1, *faces.shape[1:])


MODELS: dict[str, Predict] = {
    "ridge": _chosen(Ridge(), {"alpha": _PENALTIES}),
    "quadratic": _chosen(
        make_pipeline(PolynomialFeatures(2, include_bias=False), Ridge()), {"ridge__alpha": _PENALTIES}
    ),
    "gp": _chosen(SharedProcess(_kernels()[0]), {"kernel": _kernels()}),
    "process": _process,
    "physics": lambda commands, faces, clips, there: PhysicsTwin().fit(commands, faces, clips).predict(there),
    "twin": lambda commands, faces, clips, there: RobotTwin().fit(commands, faces, clips).predict(there),
}

__all__ = ["MODELS", "SharedProcess"]
