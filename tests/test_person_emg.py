import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duchenne.sim.errors import InputError
from duchenne.sim.facs import Muscle, Side
from duchenne.sim.person.anatomy import MUSCLES, muscle_index
from duchenne.sim.person.electrodes import montage
from duchenne.sim.person.emg import EmgModel, build_emg
from duchenne.sim.person.emg_checks import (
    campbell_error,
    crosstalk,
    drive_of,
    median_frequency_hz,
    neutrality_error,
    pair_over,
    position_gradient_error,
)
from duchenne.sim.person.traits import Traits

ZYGOMATICUS = muscle_index(Muscle.ZYGOMATICUS_MAJOR, Side.LEFT)
ORBICULARIS = muscle_index(Muscle.ORBICULARIS_OCULI_ORBITAL, Side.LEFT)


@pytest.fixture(scope="module")
def model() -> EmgModel:
    return build_emg(montage("distal4"), muscles=(ZYGOMATICUS, ORBICULARIS), units=16)


@pytest.fixture(scope="module")
def smile() -> np.ndarray:
    """Four seconds: rest, then both muscles."""
    excitation = np.zeros((500, len(MUSCLES)), np.float32)
    excitation[200:, ZYGOMATICUS], excitation[200:, ORBICULARIS] = 0.4, 0.3
    return excitation


@pytest.fixture(scope="module")
def sample(model, smile):
    return model.motor_units(jax.random.key(0), smile)


def test_emg_is_the_sum_of_templates_at_discharges(model, sample):
    emg = np.zeros_like(sample.emg_uv)
    units = np.asarray(model.units_uv)
    length = units.shape[-1]
    for m, u, at in zip(sample.spikes.muscle, sample.spikes.unit, sample.spikes.sample, strict=True):
        stop = min(at + length, len(emg))
        emg[at:stop] += units[m, u, :, : stop - at].T
    np.testing.assert_allclose(sample.emg_uv, emg, atol=1e-4 * np.abs(emg).max())


@pytest.mark.parametrize("tier", ["motor_units", "interference"])
def test_both_tiers_share_one_interface(model, smile, tier):
    make = getattr(model, tier)
    one, same, other = (make(jax.random.key(k), smile) for k in (5, 5, 6))
    assert one.emg_uv.shape == (4000, len(model.channel_names))
    assert one.emg_uv.dtype == np.float32
    np.testing.assert_array_equal(one.emg_uv, same.emg_uv)
    assert (one.emg_uv != other.emg_uv).any()
    parts = model.per_muscle(one)
    np.testing.assert_allclose(parts.sum(1), one.emg_uv, atol=1e-4 * np.abs(one.emg_uv).max())
    assert np.abs(one.emg_uv[:1500]).max() < 1e-3 * np.abs(one.emg_uv).max()  # silent before the drive


@pytest.mark.parametrize(("tier", "tolerance"), [("motor units", 0.08), ("interference", 0.15)])
@pytest.mark.parametrize("level", [0.1, 0.5, 1.0])
def test_sampled_amplitude_is_campbells(model, tier, tolerance, level):
    assert np.abs(campbell_error(model, level, tier=tier)).max() < tolerance


def test_the_tiers_have_one_spectrum_and_one_spatial_pattern(model):
    excitation = np.zeros((2500, len(MUSCLES)), np.float32)
    excitation[:, ZYGOMATICUS] = 0.5
    units, noise = (
        model.motor_units(jax.random.key(0), excitation).emg_uv,
        model.interference(jax.random.key(0), excitation).emg_uv,
    )
    np.testing.assert_allclose(np.corrcoef(units.T), np.corrcoef(noise.T), atol=0.12)
    share = [np.abs(np.fft.rfft(one[:, 0])) ** 2 for one in (units, noise)]
    middle = [np.searchsorted(np.cumsum(power), 0.5 * power.sum()) / 20 for power in share]
    assert middle[0] == pytest.approx(middle[1], rel=0.1)


def test_rms_rises_with_drive_and_nearly_in_proportion(model):
    levels = np.array([0.03, 0.1, 0.35, 0.7, 1.0])
    rms = np.asarray(model.rms_uv(levels[:, None] * drive_of(Muscle.ZYGOMATICUS_MAJOR, Side.LEFT, 1.0)))
    assert (np.diff(rms, axis=0) > 0).all()
    relative = rms[:, 0] / rms[-1, 0]
    np.testing.assert_allclose(relative, levels, atol=0.12)


def test_charge_is_neutral(model):
    assert neutrality_error(model) < 1e-4


def test_gradient_in_electrode_position_equals_differences(model):
    assert position_gradient_error(model) < 1e-3


def test_gradient_in_excitation_equals_differences(model):
    def total(level):
        return model.rms_uv(level * jnp.ones(len(MUSCLES))).sum()

    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(total))
        for level in (0.05, 0.3, 0.9):
            difference = (total(level + 1e-4) - total(level - 1e-4)) / 2e-4
            assert slope(level) == pytest.approx(float(difference), rel=1e-3)


def test_moving_electrodes_for_the_rms_is_rebuilding(model):
    excitation = np.full(len(MUSCLES), 0.4)
    np.testing.assert_allclose(
        model.rms_uv(excitation, model.contacts_mm), model.rms_uv(excitation), rtol=5e-3
    )  # but for the tail that the stored templates leave out


@pytest.fixture(scope="module")
def beside():
    return {fat: crosstalk(fat=fat, units=16) for fat in (0.5, 1.0, 2.0)}


def test_crosstalk_falls_with_distance(beside):
    assert (np.diff(beside[1.0].rms_uv) < 0).all()


def test_crosstalk_rises_with_fat_and_the_muscles_own_signal_falls(beside):
    own = [beside[fat].rms_uv[0] for fat in (0.5, 1.0, 2.0)]
    share = np.array([beside[fat].rms_uv / beside[fat].rms_uv[0] for fat in (0.5, 1.0, 2.0)])
    assert own[0] > own[1] > own[2]
    assert (np.diff(share[:, 1:], axis=0) > 0).all()


def test_amplitudes_and_median_frequency_over_zygomaticus():
    model = build_emg(pair_over(Muscle.ZYGOMATICUS_MAJOR), muscles=(ZYGOMATICUS,))
    drives = np.array([0.03, 0.35, 1.0])[:, None] * drive_of(Muscle.ZYGOMATICUS_MAJOR, Side.LEFT, 1.0)
    low, smile, full = np.asarray(model.rms_uv(drives))[:, 0]
    assert 1 < low < 8
    assert 20 < smile < 70
    assert 80 < full < 200
    middle = median_frequency_hz()
    assert 70 < middle < 92
    assert median_frequency_hz(traits=Traits(conduction=0.8)) < 0.88 * middle


def test_the_number_of_stand_in_units_does_not_change_the_amplitude(model):
    finer = build_emg(montage("distal4"), muscles=(ZYGOMATICUS, ORBICULARIS), units=64)
    full = np.ones(len(MUSCLES))
    np.testing.assert_allclose(finer.rms_uv(full), model.rms_uv(full), rtol=0.3)


def test_a_missing_muscle_is_silent():
    strength = np.ones(len(MUSCLES))
    strength[ZYGOMATICUS] = 0
    model = build_emg(
        montage("distal4"), muscles=(ZYGOMATICUS, ORBICULARIS), units=16, traits=Traits(strength=strength)
    )
    for heard in (model.units_uv, model.carriers.filters.reshape(2, -1)):
        assert not np.abs(heard[0]).any()
        assert np.isfinite(heard[1]).all()
        assert np.abs(heard[1]).any()


def test_mixing_is_the_principal_direction(model):
    gains, share = model.mixing_uv()
    assert gains.shape == (len(model.channel_names), 2)
    assert ((share > 0.3) & (share <= 1)).all()
    excitation = np.zeros((1500, len(MUSCLES)), np.float32)
    excitation[:, ZYGOMATICUS] = 1.0
    emg = model.motor_units(jax.random.key(0), excitation).emg_uv
    leading = np.linalg.svd(emg, full_matrices=False)[2][0]
    assert abs(leading @ gains[:, 0]) / np.linalg.norm(gains[:, 0]) > 0.98


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda e: e * 3, "0 … 1"),
        (lambda e: np.where(e > 0.35, np.nan, e), "finite"),
        (lambda e: e[:, :40], "48"),
    ],
)
def test_bad_excitation_is_refused(model, smile, change, says):
    with pytest.raises(InputError, match=says):
        model.motor_units(jax.random.key(0), change(smile))


def test_rates_that_alias_and_impossible_bands_are_refused(model, smile):
    with pytest.raises(InputError, match="alias"):
        build_emg(montage("distal4"), rate_hz=500, muscles=(ZYGOMATICUS,))
    with pytest.raises(InputError, match="band"):
        model.rms_uv(smile[0], band_hz=(20, 600))
    with pytest.raises(InputError, match="contacts"):
        model.rms_uv(smile[0], np.zeros((2, 2)))
    with pytest.raises(InputError, match="muscles"):
        build_emg(montage("distal4"), muscles=(99,))
