"""A Gaussian process whose few free numbers are chosen by leaving clips out, each clip in turn, in closed form.

Rows of one clip look alike, so that leaving out single rows would flatter every fit.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from ..sim.errors import InputError

Array = NDArray[np.floating]

_CONSTANT = 100.0
"""Prior variance of the mean, in units of the outputs' variance: large enough to leave it free."""
_DOUBT = 60.0
"""Weight of the prior on the logarithms of a process's numbers, over rows, beside the percentage that is missed."""
_STEPS = 40
_ROUNDS = 30
_RANK = 40
"""Axes of the outputs on which the search looks."""
_LEAST_SPREAD = 1e-6
_TYPICAL = 5
"""Axes that share most of the variance; sets the unit of amplitudes."""


class Clips(NamedTuple):
    """Rows by clip: members (C, M) row numbers, present (C, M) whether there is one."""

    members: NDArray[np.intp]
    present: NDArray[np.bool_]

    @classmethod
    def of(cls, labels: ArrayLike) -> "Clips":
        """From one label a row, (N,)."""
        found, where = np.unique(np.asarray(labels), return_inverse=True)
        rows = [np.flatnonzero(where == clip) for clip in range(len(found))]
        longest = max(map(len, rows))
        members, present = np.zeros((len(rows), longest), int), np.zeros((len(rows), longest), bool)
        for clip, own in enumerate(rows):
            members[clip, : len(own)], present[clip, : len(own)] = own, True
        return cls(members, present)


@jax.jit
def left_out(covariance, outputs, clips: Clips):
    """Errors (C, M, R) of predicting every clip from all others, 0 where a clip has no such row.

    covariance (N, N) of the rows, noise included; outputs (N, R) that are independent given it.
    """
    inverse = jnp.linalg.inv(covariance)
    weights = inverse @ outputs
    blocks = inverse[clips.members[:, :, None], clips.members[:, None, :]]
    both = clips.present[:, :, None] & clips.present[:, None, :]
    blocks = jnp.where(both, blocks, jnp.eye(clips.members.shape[1]))
    return jnp.linalg.solve(blocks, jnp.where(clips.present[..., None], weights[clips.members], 0.0))


class Process:
    """Gaussian process with one kernel for all outputs, Matérn 3/2, and a free mean.

    A length for every input, an amplitude and a noise minimise the error of clips that are left out. Fitted:
    lengths_ (D,), amplitude_, noise_ (in units of a typical output's standard deviation), n_parameters_.
    """

    def fit(self, inputs: ArrayLike, outputs: ArrayLike, labels: ArrayLike) -> Self:
        """inputs (N, D), outputs (N, R), labels (N,) of clips. Raises `InputError`."""
        x, y = np.asarray(inputs, float), np.asarray(outputs, float)
        if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise InputError(f"inputs and outputs must be finite (N, D) and (N, R), got {x.shape} and {y.shape}")
        self._inputs = x
        self._unit = float(np.sqrt(np.sum((y - y.mean(0)) ** 2) / len(x) / _TYPICAL))
        self._numbers = self._searched(y - y.mean(0), Clips.of(labels))
        self.lengths_ = np.exp(self._numbers[:-2])
        self.amplitude_, self.noise_ = (float(np.exp(v)) for v in self._numbers[-2:])
        self.n_parameters_ = len(self._numbers)
        self.tell(y)
        return self

    def tell(self, outputs: Array) -> None:
        """Replace the outputs (N, R) at the same inputs; lengths, amplitude and noise stay."""
        self._mean = outputs.mean(0)
        self._weights = np.linalg.solve(self.covariance() / self._unit**2, outputs - self._mean)

    def covariance(self) -> Array:
        """Of the rows that it was fitted to, (N, N), noise included, in the outputs' unit squared."""
        smooth = np.asarray(_kernel(self._numbers, self._inputs, self._inputs), float)
        return (smooth + self.noise_**2 * np.eye(len(smooth))) * self._unit**2

    def predict(self, inputs: ArrayLike) -> Array:
        """Outputs (M, R) at inputs (M, D)."""
        return self._mean + np.asarray(_kernel(self._numbers, np.asarray(inputs, float), self._inputs)) @ self._weights

    def _searched(self, outputs: Array, groups: Clips) -> Array:
        """Logarithms of lengths, amplitude and noise with the least error of clips that are left out."""
        spread, axes = np.linalg.svd(outputs, full_matrices=False)[1:]
        told = outputs @ axes[: int(np.sum(spread > _LEAST_SPREAD * spread[0]))].T / self._unit
        padded = np.zeros((len(told), _RANK))
        padded[:, : min(_RANK, told.shape[1])] = told[:, :_RANK]  # one shape, compiled once
        start = np.r_[np.full(self._inputs.shape[1], np.log(2.0)), 0.0, np.log(0.5)]

        def objective(numbers: Array) -> tuple[float, Array]:
            value, slope = _missed(numbers, start, _DOUBT / len(told), self._inputs, padded, groups)
            return float(value), np.array(slope, float)

        return minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}).x


def most_probable_gains(driven: Array, told: Sequence[tuple[Array, Array, Array]]) -> tuple[Array, float]:
    """Gains (G,) of fields that are driven (N, G), a priori of either sign and of one size, and that size.

    told: for every group of outputs their covariance over the rows (N, N) beside the fields, fields (G, R), outputs
    (N, R). The size is that of greatest likelihood, by expectation and maximisation.
    """
    count = driven.shape[1]
    curvature, slope = np.zeros((count, count)), np.zeros(count)
    for covariance, fields, outputs in told:
        explained = np.linalg.solve(covariance, np.c_[driven, outputs])
        curvature += (driven.T @ explained[:, :count]) * (fields @ fields.T)
        slope += np.sum((driven.T @ explained[:, count:]) * fields, axis=1)
    gains, size = np.zeros(count), 1.0
    for _ in range(_ROUNDS):
        spread = np.linalg.inv(curvature + np.eye(count) / size)
        gains = spread @ slope
        size = float(np.mean(gains**2 + np.diag(spread)))
    return gains, float(np.sqrt(size))


@jax.jit
def _kernel(numbers, one, other):
    lengths, amplitude = jnp.exp(numbers[:-2]), jnp.exp(numbers[-2])
    apart = jnp.sqrt(3 * (((one / lengths)[:, None] - (other / lengths)[None]) ** 2).sum(-1) + 1e-9)
    return amplitude**2 * (1 + apart) * jnp.exp(-apart) + _CONSTANT


@jax.jit
@jax.value_and_grad
def _missed(numbers, start, doubt, inputs, outputs, clips: Clips):
    noise = jnp.exp(2 * numbers[-1]) * jnp.eye(len(inputs))
    error = left_out(_kernel(numbers, inputs, inputs) + noise, outputs, clips)
    return 100 * jnp.sum(error**2) / jnp.sum(outputs**2) + doubt * jnp.sum((numbers - start) ** 2)


__all__ = ["Clips", "Process", "left_out", "most_probable_gains"]
