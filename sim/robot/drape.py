"""The face's skin as a viewer sees it: finer than the 468 vertices, with lid edges, mouth lining and a rim.

Everything but the lids is linear in the 468 vertices, so a frame costs one sparse product. The finer sheet is
the smoothest one (least bending) that passes exactly through the 468 vertices: what a camera should find at a
landmark stays there.
"""

from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from .. import mesh

EYE_RADIUS_M = mesh.EYEBALL_RADIUS_M
EYE_CENTRES_M = mesh.EYE_CENTERS + np.array([[-0.0007, 0, -0.0022], [0.0007, 0, -0.0022]])
"""Centres of the drawn right and left eyeball in the head frame, (2, 3) m: so deep that the lids at rest
lie just outside the ball, so far apart that a tracker finds the eye corners where they are."""
_LID_GAP_M = 0.0011
_LID_REACH_M = 0.024
_CREASES = (33, 133, 263, 362, 78, 308)  # eye and mouth corners: two smooth curves meet at an angle there

LINING_UV = ((0.015, 0.915), (0.085, 0.985))
"""Corner of the texture that paints the mouth's lining: v from the lips (low) to the throat (high)."""
LID_UV = ((0.915, 0.915), (0.985, 0.985))
"""Corner of the texture that paints the lids' edges: low v for upper lids, high v for lower ones."""


class Drape:
    """The finer sheet over the 468 vertices.

    `triangles` (T, 3) and `uv` (N, 2) are constant; `vertices` and `normals` follow a face.
    """

    def __init__(self, levels: int = 2):
        parts = _Parts(mesh.TRIANGLES, levels)
        oval, lips = parts.loop(mesh.FACE_OVAL), parts.loop(mesh.LIPS_INNER)
        parts.add_rim(oval)
        parts.add_lining(lips)
        self._lids = [parts.add_lid(parts.loop(loop), side) for side, loop in enumerate(_EYE_LOOPS)]
        self.triangles = np.concatenate(parts.triangles)
        self.uv = np.concatenate(parts.uv)
        self._weights = sparse.csr_matrix(sparse.vstack(parts.weights))
        self._offset = np.concatenate(parts.offset)
        at_rest = self._weights @ mesh.REST + self._offset
        self._near_eye = [
            np.flatnonzero(np.linalg.norm(at_rest - centre, axis=1) < _LID_REACH_M) for centre in EYE_CENTRES_M
        ]

    def vertices(self, face_m: np.ndarray) -> np.ndarray:
        """Fine vertices, (N, 3) m, of a face (468, 3) m; lids are kept outside the eyeballs."""
        fine = self._weights @ np.asarray(face_m, float) + self._offset
        for centre, near, (edge, inner) in zip(EYE_CENTRES_M, self._near_eye, self._lids, strict=True):
            out = fine[near] - centre
            distance = np.linalg.norm(out, axis=1, keepdims=True)
            fine[near] = centre + out * np.maximum(1, (EYE_RADIUS_M + _LID_GAP_M) / np.maximum(distance, 1e-6))
            out = fine[edge] - centre
            fine[inner] = centre + out * ((EYE_RADIUS_M - 4e-4) / np.linalg.norm(out, axis=1, keepdims=True))
        return fine

    def normals(self, fine_m: np.ndarray) -> np.ndarray:
        """Unit normals, (N, 3), of fine vertices."""
        corners = fine_m[self.triangles]
        face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals = self._incidence @ face
        return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)

    @cached_property
    def _incidence(self) -> sparse.csr_matrix:
        count = len(self.triangles)
        where = (self.triangles.ravel(), np.repeat(np.arange(count), 3))
        return sparse.csr_matrix((np.ones(3 * count), where), shape=(len(self.uv), count))


_EYE_LOOPS = (mesh.EYE_RIGHT, mesh.EYE_LEFT)


class _Parts:
    """Collects vertices as weights on the 468 plus a constant offset, and the triangles between them."""

    def __init__(self, triangles: np.ndarray, levels: int):
        self._levels = levels
        fine, midpoints = triangles, []
        count = mesh.VERTEX_COUNT
        for _ in range(levels):
            fine, ends = _subdivide(fine, count)
            midpoints.append(ends)
            count += len(ends)
        split = np.concatenate(midpoints).tolist()
        self._midpoint_of = {(a, b): mesh.VERTEX_COUNT + k for k, (a, b) in enumerate(split)}
        weights = _least_bending(fine, count)
        self.weights = [weights]
        self.offset = [np.zeros((count, 3))]
        self.uv = [weights @ mesh.UV]
        self.triangles = [fine]
        self.count = count

    def loop(self, coarse: tuple[int, ...]) -> np.ndarray:
        """Fine vertices along a closed loop of the 468, in its order."""
        loop = list(coarse)
        for _ in range(self._levels):
            pairs = zip(loop, [*loop[1:], loop[0]], strict=True)
            loop = [v for a, b in pairs for v in (a, self._midpoint_of[min(a, b), max(a, b)])]
        return np.array(loop)

    def add(self, weights, offset: np.ndarray, uv: np.ndarray) -> np.ndarray:
        """Append vertices and return their numbers."""
        self.weights.append(sparse.csr_matrix(weights))
        self.offset.append(offset)
        self.uv.append(uv)
        self.count += len(offset)
        return np.arange(self.count - len(offset), self.count)

    def weights_of(self, vertices: np.ndarray):
        return self.weights[0][vertices]

    def band(self, a: np.ndarray, b: np.ndarray, flip: bool = False) -> None:
        """Join two rings of the same length with triangles."""
        a2, b2 = np.roll(a, -1), np.roll(b, -1)
        triangles = np.concatenate([np.stack([a, a2, b], 1), np.stack([a2, b2, b], 1)])
        self.triangles.append(triangles[:, ::-1] if flip else triangles)

    def add_rim(self, oval: np.ndarray) -> None:
        """Fold the sheet's edge back round the head, so that no open edge is seen when the jaw drops."""
        weights, uv = self.weights_of(oval), self.uv[0][oval]
        edge = weights @ mesh.REST
        inward = np.array([0, 0.002, 0]) - edge * [1, 1, 0]
        inward /= np.linalg.norm(inward, axis=1, keepdims=True)
        chin = np.clip((-0.03 - edge[:, 1:2]) / 0.05, 0, 1)
        ring = oval
        for back, inside in ((0.004, 0.0008), (0.012, 0.004), (0.03, 0.012)):
            offset = inward * inside * (1 + chin) + np.array([0, 0, -1]) * back * (1 + 0.6 * chin)
            following = self.add(weights, offset, uv)
            self.band(ring, following)
            ring = following

    def add_lining(self, lips: np.ndarray) -> None:
        """A bag behind the lips: first their wet inside, then the dark of the mouth."""
        weights = self.weights_of(lips)
        edge = weights @ mesh.REST
        (u0, v0), (u1, v1) = LINING_UV
        across = (edge[:, 0] / np.abs(edge[:, 0]).max() + 1) / 2
        centre = edge.mean(0)
        upper = np.where(np.arange(len(lips)) < len(lips) // 2, -1.0, 1.0)  # the loop runs below first
        width = np.clip(1 - (edge[:, 0] / 0.0215) ** 6, 0, 1)
        ring = self.add(weights, np.zeros_like(edge), np.stack([u0 + across * (u1 - u0), 0 * across + v0], 1))
        # Just behind the lips the lining crosses over, so that lips a hair apart do not show the teeth.
        folds = ((0.15, 0.0020, -0.0009, 0.0), (0.4, 0.0075, 0.0115, 0.0), (1.0, 0.0380, 0.0200, 0.6))
        for share, back, open_m, throat in folds:
            offset = np.zeros_like(edge)
            offset[:, 1] = upper * open_m * width
            offset[:, 2] = -back
            toward = throat * (centre - np.array([0, 0, back]))
            uv = np.stack([u0 + across * (u1 - u0), 0 * across + v0 + share * (v1 - v0)], 1)
            following = self.add((1 - throat) * weights, (1 - throat) * offset + toward, uv)
            self.band(ring, following, flip=False)
            ring = following
        pole = self.add(
            sparse.csr_matrix((1, mesh.VERTEX_COUNT)),
            (centre - np.array([0, 0, 0.04]))[None],
            np.array([[u0, v1]]),
        )
        self.triangles.append(np.stack([ring, np.roll(ring, -1), np.full_like(ring, pole[0])], 1))

    def add_lid(self, eye: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
        """The lids' thickness: a band from their margin to the eyeball. Returns its outer and inner ring."""
        weights = self.weights_of(eye)
        (u0, v0), (u1, v1) = LID_UV
        lower = np.arange(len(eye)) <= len(eye) // 2  # both loops run along the lower lid first
        uv = np.stack(
            [np.full(len(eye), (u0 + u1) / 2), np.where(lower, 0.25 * v0 + 0.75 * v1, 0.75 * v0 + 0.25 * v1)],
            1,
        )
        edge = self.add(weights, np.zeros((len(eye), 3)), uv)
        inner = self.add(weights, np.zeros((len(eye), 3)), uv)
        self.band(edge, inner, flip=side == 1)
        return edge, inner


def _subdivide(triangles: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Split every triangle in four. New vertices, numbered from `first`, halve the returned edges (E, 2)."""
    ends = mesh.edges(triangles)
    number = {(int(a), int(b)): first + k for k, (a, b) in enumerate(ends)}
    fine = []
    for a, b, c in triangles.tolist():
        ab, bc, ca = (number[min(p, q), max(p, q)] for p, q in ((a, b), (b, c), (c, a)))
        fine += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return np.array(fine), ends


def _least_bending(triangles: np.ndarray, count: int) -> sparse.csr_matrix:
    """Weights (count, 468) of the sheet through the 468 that has the least squared (uniform) Laplacian."""
    ends = mesh.edges(triangles)
    directed = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    key = np.sort(directed, axis=1) @ [count, 1]
    unique, seen = np.unique(key, return_counts=True)
    border_edges = np.stack(np.divmod(unique[seen == 1], count), 1)
    border = np.zeros(count, bool)
    border[border_edges.ravel()] = True
    # A border vertex bends only along the border: a border is a curve of its own.
    inside = ends[~(border[ends].any(1))]
    half = ends[border[ends].sum(1) == 1]
    rows = [inside[:, 0], inside[:, 1], np.where(border[half[:, 0]], half[:, 1], half[:, 0])]
    cols = [inside[:, 1], inside[:, 0], np.where(border[half[:, 0]], half[:, 0], half[:, 1])]
    rows += [border_edges[:, 0], border_edges[:, 1]]
    cols += [border_edges[:, 1], border_edges[:, 0]]
    row, col = np.concatenate(rows), np.concatenate(cols)
    adjacency = sparse.csr_matrix((np.ones(len(row)), (row, col)), shape=(count, count))
    degree = np.asarray(adjacency.sum(1)).ravel()
    laplacian = sparse.identity(count) - sparse.diags(1 / np.maximum(degree, 1)) @ adjacency
    keep = np.ones(count)
    keep[list(_CREASES)] = 0.0
    bending = (laplacian.T @ sparse.diags(keep) @ laplacian).tocsc()
    known = mesh.VERTEX_COUNT
    solved = splu(bending[known:, known:].tocsc()).solve(-bending[known:, :known].toarray())
    solved[np.abs(solved) < 2e-3] = 0.0
    solved /= solved.sum(1, keepdims=True)
    return sparse.csr_matrix(sparse.vstack([sparse.identity(known), sparse.csr_matrix(solved)]))
