import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duchenne.sim.errors import InputError
from duchenne.sim.person.conductor import DEPTHS_MM, FATS_MM, Conductor, Kernel
from duchenne.sim.person.emg_checks import half_space_error, reciprocity_error


@pytest.fixture(scope="module")
def kernel():
    """Lookup for contacts of 2.5 and 5 mm at places (n,) each of across, along, depth and fat: (n, 2)."""
    table = Kernel.of(Conductor(), (2.5, 5.0))
    return jax.jit(lambda *places: table(*(jnp.asarray(place)[:, None] for place in places)))


def test_without_skin_and_fat_it_is_the_half_space():
    assert half_space_error() < 0.005
    assert half_space_error(depth_mm=4.0) < 0.005


@pytest.mark.parametrize(
    "conductor",
    [Conductor(), Conductor(skin_s_m=5e-4), Conductor(muscle_mm=6.0, bone_s_m=0.05), Conductor(behind_bone_s_m=0.0)],
    ids=["default", "dry skin", "thin muscle", "air behind bone"],
)
def test_closed_form_equals_the_layers_solved_the_other_way_round(conductor):
    """A current put into the skin and seen in the muscle, by finite volumes."""
    assert reciprocity_error(conductor) < 1e-3


def test_a_thick_muscle_layer_is_an_infinite_one():
    waves = np.array([0.1, 0.3, 0.6])
    thick, infinite = (Conductor(muscle_mm=mm).transfer(waves, waves, 3.0, 4.0) for mm in (200.0, np.inf))
    np.testing.assert_allclose(thick, infinite, rtol=1e-9)


def test_table_holds_the_closed_form(kernel):
    plane = Conductor().plane(DEPTHS_MM[3], FATS_MM[2], 5.0)
    at = np.array([[0, 0], [3, 7], [40, 0], [0, 90]])
    looked_up = kernel(at[:, 0] * 1.0, at[:, 1] * -1.0, np.full(4, DEPTHS_MM[3]), np.full(4, FATS_MM[2]))
    assert looked_up.shape == (4, 2)
    np.testing.assert_allclose(looked_up[:, 1], plane[at[:, 0], at[:, 1]], rtol=1e-3, atol=1e-4 * plane[0, 0])


def test_between_grid_points_the_table_is_close(kernel):
    depth, fat = np.array([1.7, 4.5, 0.8, 9.5]), np.array([2.0, 5.2, 1.0, 7.0])
    exact = [Conductor().plane(d, f, 2.5)[0, 4] for d, f in zip(depth, fat, strict=True)]
    np.testing.assert_allclose(kernel(np.zeros(4), np.full(4, 4.0), depth, fat)[:, 0], exact, rtol=0.05)


def test_fat_weakens_the_near_and_flattens(kernel):
    fat = np.array([0.7, 1.5, 3.0, 6.0])
    near, far = (kernel(np.full(4, d), np.zeros(4), np.full(4, 3.0), fat)[:, 0] for d in (0.0, 20.0))
    assert (np.diff(near) < 0).all()
    assert (np.diff(far / near) > 0).all()


def test_lookup_is_linear_between_points_so_its_gradient_is_the_difference(kernel):
    place = np.array([[5.25, 8.5, 2.9, 3.9]] * 4)
    slope = jax.jit(jax.grad(lambda *x: kernel(*x)[0, 0], (0, 1, 2, 3)))(*place.T)
    for k in range(4):
        step = np.eye(4)[k] * 0.2
        difference = (kernel(*(place + step).T) - kernel(*(place - step).T))[0, 0] / 0.4
        assert slope[k][0] == pytest.approx(float(difference), rel=1e-3)


@pytest.mark.parametrize(
    "wrong",
    [{"fat_s_m": 0.0}, {"muscle_along_s_m": -1.0}, {"skin_mm": -1.0}, {"muscle_mm": np.nan}, {"skin_s_m": np.inf}],
)
def test_impossible_tissue_is_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Conductor(**wrong)


def test_impossible_radius_is_refused():
    with pytest.raises(InputError, match="radius"):
        Kernel.of(Conductor(), (2.5, -1.0))
