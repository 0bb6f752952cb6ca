import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duchenne.sim.errors import InputError
from duchenne.sim.person.conductor import DEPTHS_MM, FATS_MM, Conductor, Kernel
from duchenne.sim.person.emg_checks import half_space_error, reciprocity_error


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    return Kernel.of(Conductor(), (2.5, 5.0))


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
    looked_up = kernel(
        jnp.asarray(at[:, :1], jnp.float32),
        jnp.asarray(-at[:, 1:], jnp.float32),
        jnp.asarray(DEPTHS_MM[3]),
        jnp.asarray(FATS_MM[2]),
    )
    assert looked_up.shape == (4, 2)
    np.testing.assert_allclose(looked_up[:, 1], plane[at[:, 0], at[:, 1]], rtol=1e-3, atol=1e-4 * plane[0, 0])


def test_between_grid_points_the_table_is_close(kernel):
    for depth, fat in ((1.7, 2.0), (4.5, 5.2)):
        plane = Conductor().plane(depth, fat, 2.5)
        looked_up = kernel(*(jnp.asarray([value]) for value in (0.0, 4.0, depth, fat)))
        assert looked_up[0] == pytest.approx(plane[0, 4], rel=0.05)


def test_fat_weakens_the_near_and_flattens(kernel):
    fat = jnp.array([1.0, 3.0, 6.0])
    near, far = (
        kernel(jnp.full((3, 1), d), jnp.zeros((3, 1)), jnp.asarray(3.0), fat[:, None])[:, 0] for d in (0.0, 20.0)
    )
    assert (np.diff(near) < 0).all()
    assert (np.diff(far / near) > 0).all()


def test_gradient_of_the_lookup_equals_differences(kernel):
    def seen(place: jax.Array) -> jax.Array:
        return kernel(place[:1], place[1:2], place[2:3], place[3:4])[0]

    with jax.enable_x64(True):
        place = jnp.array([5.3, 8.6, 2.9, 3.9])
        slope = jax.grad(seen)(place)
        for k in range(4):
            step = jnp.zeros(4).at[k].set(1e-3)
            assert (seen(place + step) - seen(place - step)) / 2e-3 == pytest.approx(float(slope[k]), rel=1e-3)


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
