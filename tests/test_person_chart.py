import numpy as np
import pytest

from duchenne.sim import mesh
from duchenne.sim.errors import InputError
from duchenne.sim.facs import Side
from duchenne.sim.person import chart
from duchenne.sim.person.anatomy import ANATOMY
from duchenne.sim.person.muscle_parts import Line
from duchenne.sim.person.thickness import fat_mm, skin_mm


def test_unroll_and_surface_are_each_others_inverse_on_the_face():
    assert np.allclose(chart.surface(chart.unroll(mesh.REST)), mesh.REST, atol=1e-9)


def test_chart_distances_are_distances_along_the_skin():
    one, two = mesh.TRIANGLES[:, 0], mesh.TRIANGLES[:, 1]
    flat = np.linalg.norm(chart.unroll(mesh.REST)[one] - chart.unroll(mesh.REST)[two], axis=1)
    real = 1e3 * np.linalg.norm(mesh.REST[one] - mesh.REST[two], axis=1)
    off_nose = np.abs(mesh.REST[one, 0]) > 0.02
    ratio = flat[off_nose].sum() / real[off_nose].sum()
    assert 0.9 < ratio < 1.1


def test_the_head_closes_behind_and_is_mirror_symmetric():
    around = np.stack([np.linspace(-251, 251, 60), np.full(60, -5.0)], -1)
    points = chart.surface(around)
    assert np.linalg.norm(points[0] - points[-1]) < 5e-3
    assert np.linalg.norm(np.diff(points, axis=0), axis=1).max() < 25e-3
    assert np.allclose(chart.surface(chart.mirror(around)) * [-1, 1, 1], points, atol=1e-3)


def test_off_the_head_and_over_the_eye_is_no_place_for_an_electrode():
    places = [(33, 26), (-33, 26), (0, 200), (0, -150), (55, -20), (150, -8), (25, 75)]
    assert chart.on_head(places).tolist() == [False, False, False, False, True, True, True]


def test_every_muscle_lies_on_the_head_with_its_fibres_in_the_published_range():
    for entry in ANATOMY:
        for strip in range(len(entry.fibres.strips)):
            for of in (Side.RIGHT, Side.LEFT):
                assert np.isfinite(chart.surface(entry.fibres.course_mm(strip, of))).all()
        assert 14 <= entry.fibres.length_mm <= 70, entry.muscle  # facial muscles 29-65 mm (Happak et al. 1997)


def test_pulls_point_from_the_insertion_along_the_fibres():
    for entry in ANATOMY:
        for pull in entry.pulls:
            if isinstance(pull, Line):
                insertion = chart.unroll(mesh.REST[list(pull.insertion)].mean(0))
                wanted = chart.unroll(pull.origin_m()) - insertion
                strip = entry.fibres.course_mm(0, Side.RIGHT)
                along = strip[0] - strip[-1]
                cosine = wanted @ along / np.linalg.norm(wanted) / np.linalg.norm(along)
                assert cosine > 0.7, entry.muscle


def test_thickness_stays_within_the_published_range():
    grid = np.stack(np.meshgrid(np.linspace(-150, 150, 31), np.linspace(-110, 100, 22)), -1)
    assert 1.5 <= skin_mm(grid).min() < skin_mm(grid).max() <= 1.98
    assert 1.6 <= fat_mm(grid).min() < fat_mm(grid).max() <= 5.15
    assert fat_mm([20, -45]) > fat_mm([30, 48]) > fat_mm([0, 33])


@pytest.mark.parametrize("bad", [[1.0], [[1, 2, 3]], [[np.nan, 0]]])
def test_bad_coordinates_are_refused(bad):
    with pytest.raises(InputError):
        chart.surface(bad)
