"""From landmarks to network inputs: one linear map, fitted once, folded into one matrix product."""

from dataclasses import dataclass

import numpy as np

from ..sim import mesh

SPLIT_HEIGHT_M = -0.005
"""Height of the cut between the halves of the face, at the tip of the nose."""
_SIZE = 3 * mesh.VERTEX_COUNT


@dataclass(frozen=True, kw_only=True)
class View:
    """What of the landmarks a network sees."""

    landmarks: tuple[int, ...]
    dimensions: int
    """3, or 2 to leave out depth."""
    symmetric: bool
    """Average both sides of the face first: a symmetric command cannot explain their difference."""
    components: int
    """Number of principal components; 0 takes the coordinates themselves."""
    whitening: float
    """Inputs are divided by their SD to this power: 1 makes them equal, 0 keeps the components' proportions.
    Half whitening lets small components speak without letting the smallest, which are noise, shout."""
    superpose: bool
    """Recombine an upper and a mouth pose by adding their displacements from rest, not by cut and paste as the
    paper does: alignment moves the still half too, and pasting teaches faces that no robot makes."""


@dataclass(frozen=True)
class Projection:
    """inputs = landmarks (n, 1404) @ basis + offset."""

    basis: np.ndarray
    """(1404, inputs) float32."""
    offset: np.ndarray
    """(inputs,) float32."""

    @classmethod
    def fit(
        cls, view: View, upper_m: np.ndarray, mouth_m: np.ndarray | None, rest_m: np.ndarray
    ) -> tuple["Projection", tuple[np.ndarray, np.ndarray]]:
        """Fit to faces (n, 468, 3) that are sums of two halves, or to whole faces when `mouth_m` is None.

        Also returns both halves' inputs, (n_upper, inputs) and (n_mouth, inputs): the input of a recombined
        face is the sum of a row of each.
        """
        upper, mouth = parts(upper_m, mouth_m, rest_m, superpose=view.superpose)
        a, b = (_seen(view, part) for part in (upper, mouth))
        mean = a.mean(0) + b.mean(0)
        # The halves are drawn independently: the scatter of their sums is the sum of their scatters.
        spread = np.concatenate([(a - a.mean(0)) / np.sqrt(len(a)), (b - b.mean(0)) / np.sqrt(len(b))])
        if view.components:
            _, deviation, axes = np.linalg.svd(spread, full_matrices=False)
            deviation, directions = deviation[: view.components], axes[: view.components].T
        else:
            deviation, directions = np.sqrt(np.square(spread).sum(0)), np.eye(_SIZE)
        kept = deviation > 1e-6 * deviation.max()
        deviation, directions = deviation[kept], directions[:, kept]
        scaled = deviation ** (1 - view.whitening)
        gain = deviation**-view.whitening / np.sqrt(np.mean(scaled**2))
        basis = directions * gain
        projection = cls(basis.astype(np.float32), (-mean @ basis).astype(np.float32))
        return projection, ((a - mean) @ basis, b @ basis)

    def sides(self) -> tuple[np.ndarray, np.ndarray]:
        """Bases that see the right, and the left, half of a face twice."""
        unit = np.eye(_SIZE).reshape(_SIZE, mesh.VERTEX_COUNT, 3)
        right, left = (doubled(unit, right=right).reshape(_SIZE, _SIZE).astype(np.float32) for right in (True, False))
        return right @ self.basis, left @ self.basis


def doubled(faces: np.ndarray, *, right: bool) -> np.ndarray:
    """Symmetric faces (…, 468, 3) made of one half and its mirror image; the midline moves to the middle."""
    faces = np.asarray(faces, dtype=float)
    mirrored = mesh.mirror(faces)
    side = np.sign(mesh.CANONICAL[:, 0]) * (-1 if right else 1)
    own = (0.5 + 0.5 * side)[:, None]
    return own * faces + (1 - own) * mirrored


def recombine(upper_m: np.ndarray, mouth_m: np.ndarray, rest_m: np.ndarray, *, superpose: bool = True) -> np.ndarray:
    """Faces with the upper half of one and the mouth half of another, (n, 468, 3) each, row by row."""
    upper, mouth = parts(upper_m, mouth_m, rest_m, superpose=superpose)
    return upper + mouth


def parts(
    upper_m: np.ndarray, mouth_m: np.ndarray | None, rest_m: np.ndarray, *, superpose: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Two addends of recombined faces: displacements added to rest, or the points above and below the cut."""
    if mouth_m is None:
        return upper_m, np.zeros((1, mesh.VERTEX_COUNT, 3))
    if superpose:
        return upper_m, mouth_m - rest_m
    above = _above()[:, None]
    return np.where(above, upper_m, 0.0), np.where(above, 0.0, mouth_m)


def _above() -> np.ndarray:
    """Which vertices belong to the upper half, (468,) bool; the paper's two lists of landmarks come first."""
    above = mesh.CANONICAL[:, 1] > SPLIT_HEIGHT_M
    above[list(mesh.EMO_LOWER)] = False  # the face line beside the ears stands above the cut
    above[list(mesh.EMO_UPPER)] = True
    return above


def _seen(view: View, faces: np.ndarray) -> np.ndarray:
    """Faces as rows (n, 1404), zero where the view does not look."""
    if view.symmetric:
        faces = 0.5 * (faces + mesh.mirror(faces))
    seen = np.zeros_like(faces)
    chosen = list(view.landmarks)
    seen[:, chosen, : view.dimensions] = faces[:, chosen, : view.dimensions]
    return seen.reshape(len(faces), -1)
