import json
import struct
from collections.abc import Iterator
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from duchenne.sim import mesh
from duchenne.sim.errors import VocabularyError


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, value) pairs of a protobuf message; fixed and length-delimited values as bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
        else:
            size, at = _varint(data, at) if kind == 2 else ({5: 4, 1: 8}[kind], at)
            value, at = data[at : at + size], at + size
        yield key >> 3, value


@pytest.fixture(scope="module")
def bundle(face_model):
    """Vertices, texture coordinates, triangles and alignment weights out of the model bundle."""
    with ZipFile(face_model) as archive:
        data = archive.read("geometry_pipeline_metadata_landmarks.binarypb")
    vertices, indices, weights = [], [], np.zeros(mesh.VERTEX_COUNT)
    for field, value in _fields(data):
        if field == 1:
            for part, number in _fields(value):
                if part == 3:
                    vertices.append(struct.unpack("<f", number)[0])
                elif part == 4:
                    indices.append(number)
        elif field == 2:
            basis = dict(_fields(value))
            weights[basis.get(1, 0)] = struct.unpack("<f", basis[2])[0]
    table = np.array(vertices).reshape(-1, 5)
    return table[:, :3], table[:, 3:], np.array(indices).reshape(-1, 3), weights


def test_shipped_mesh_is_the_model_bundles_own(bundle):
    vertices_cm, uv, triangles, weights = bundle
    np.testing.assert_allclose(mesh.CANONICAL, vertices_cm * 0.01, rtol=0, atol=1e-9)
    np.testing.assert_allclose(mesh.UV, uv, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(mesh.ALL_TRIANGLES, triangles)
    np.testing.assert_allclose(mesh.PROCRUSTES_WEIGHTS, weights, rtol=1e-6)
    assert np.count_nonzero(mesh.PROCRUSTES_WEIGHTS) == 33


def _boundary_loops(triangles: np.ndarray) -> list[set[int]]:
    """Connected sets of vertices along edges that only one triangle has."""
    pairs = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    unique, count = np.unique(pairs, axis=0, return_counts=True)
    assert count.max() == 2, "an edge has at most two triangles"
    loops: list[set[int]] = []
    for a, b in unique[count == 1].tolist():
        touching = [loop for loop in loops if loop & {a, b}]
        loops = [loop for loop in loops if not loop & {a, b}]
        loops.append(set().union({a, b}, *touching))
    return loops


def test_skin_is_a_disc_with_three_holes():
    assert [set(mesh.FACE_OVAL)] == _boundary_loops(mesh.ALL_TRIANGLES)
    loops = _boundary_loops(mesh.TRIANGLES)
    wanted = [mesh.FACE_OVAL, mesh.LIPS_INNER, mesh.EYE_RIGHT, mesh.EYE_LEFT]
    assert sorted(map(sorted, loops)) == sorted(map(sorted, wanted))
    corners = len(np.unique(mesh.TRIANGLES))
    assert corners == mesh.VERTEX_COUNT
    assert corners - len(mesh.edges()) + len(mesh.TRIANGLES) == 2 - len(loops), "Euler's number of such a disc"


def test_loops_follow_mesh_edges():
    edges = {tuple(edge) for edge in mesh.edges(mesh.ALL_TRIANGLES).tolist()}
    for loop in (mesh.FACE_OVAL, mesh.LIPS_INNER, mesh.LIPS_OUTER, mesh.EYE_RIGHT, mesh.EYE_LEFT):
        for a, b in zip(loop, (*loop[1:], loop[0]), strict=True):
            assert (min(a, b), max(a, b)) in edges


def test_left_is_positive_x_and_mirror_swaps_sides():
    assert mesh.CANONICAL[list(mesh.EYE_LEFT), 0].min() > 0 > mesh.CANONICAL[list(mesh.EYE_RIGHT), 0].max()
    np.testing.assert_array_equal(mesh.MIRROR[mesh.MIRROR], np.arange(mesh.VERTEX_COUNT))
    for shape in (mesh.CANONICAL, mesh.REST):
        np.testing.assert_allclose(mesh.mirror(shape), shape, atol=1e-6)
    swapped = {"right": "left", "left": "right"}
    for name in mesh.REGIONS:
        side, _, rest = name.partition(" ")
        partner = f"{swapped[side]} {rest}" if side in swapped else name
        assert set(mesh.MIRROR[list(mesh.region(name))]) == set(mesh.region(partner))


def test_skin_faces_forward_and_triangles_keep_their_sense():
    normals = mesh.vertex_normals(mesh.REST)
    assert normals[4, 2] > 0.5, "the tip of the nose points at the camera"
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    assert np.mean(normals[:, 2] > 0) > 0.9


def test_lips_close_without_crossing():
    upper, lower = np.array(mesh.LIP_PAIRS).T
    before = mesh.CANONICAL[upper, 1] - mesh.CANONICAL[lower, 1]
    gap = mesh.REST[upper, 1] - mesh.REST[lower, 1]
    assert before.max() > 5e-3
    assert gap.max() < 0.6e-3
    assert gap.min() >= 0
    moved = np.flatnonzero(np.any(mesh.REST != mesh.CANONICAL, axis=1))
    assert set(moved) <= set(mesh.region("mouth"))


def test_regions_hold_every_vertex_once():
    members = [v for name in mesh.REGIONS for v in mesh.region(name)]
    assert sorted(members) == list(range(mesh.VERTEX_COUNT))
    with pytest.raises(VocabularyError, match=r"'mouht'.*mouth"):
        mesh.region("mouht")


def test_areas_sum_to_the_surface():
    corners = mesh.REST[mesh.TRIANGLES]
    total = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    assert mesh.vertex_areas(mesh.REST).sum() == pytest.approx(total)


def test_emo_landmarks_are_the_published_ones(shared_data):
    index = json.loads((shared_data / "emo_robot" / "landmark_index_113.json").read_text())
    assert (len(mesh.EMO_UPPER), len(mesh.EMO_LOWER)) == (52, 61)
    assert list(mesh.EMO_LANDMARKS) == index["reordered_113_mediapipe_idx"]
    assert sorted(mesh.EMO_LANDMARKS) == index["sorted_113_mediapipe_idx"]
