import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duchenne.sim.errors import InputError
from duchenne.sim.facs import Muscle, Side
from duchenne.sim.person.anatomy import muscle_index
from duchenne.sim.person.motor_units import Habit, Pool, spikes

CONTROL_HZ = 125.0
FRONTALIS = muscle_index(Muscle.FRONTALIS_MEDIALIS, Side.LEFT)
ZYGOMATICUS = muscle_index(Muscle.ZYGOMATICUS_MAJOR, Side.LEFT)


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool.of((FRONTALIS, ZYGOMATICUS), 20, Habit(common_drive=0.0))


@pytest.fixture(scope="module")
def steady(pool):
    """40 s at a drive of 0.4 in both muscles."""
    return spikes(jax.random.key(0), pool, np.full((5000, 2), 0.4, np.float32), CONTROL_HZ)


def test_small_units_join_first_and_all_are_in_before_full_drive(pool):
    assert (np.diff(pool.threshold, axis=1) > 0).all()
    assert pool.threshold[0, 0] < 0.015
    assert pool.threshold[0, -1] == pytest.approx(0.8)
    assert (np.diff(pool.size) > 0).all()
    assert pool.size.sum() == pytest.approx(1.0)


def test_rates_rise_from_8_hz_to_facial_peaks(pool):
    drive = jnp.linspace(0, 1, 201)[:, None] * jnp.ones(2)
    rates = np.asarray(pool.rates_hz(drive))
    assert (np.diff(rates, axis=0) >= -1e-4).all()
    assert (rates[0] < 1e-3).all()
    first = rates[:, :, 0]
    assert first[:, 0].max() == pytest.approx(76, rel=0.05)  # frontalis: Kirk, Zero & Rice 2021
    assert first[:, 1].max() == pytest.approx(60, rel=0.05)
    joined = np.asarray(pool.rates_hz(pool.threshold.T * 1.2))
    assert 7.5 < joined[0, 0, 0] < 10


def test_rates_have_finite_gradients_everywhere(pool):
    slope = jax.vmap(jax.grad(lambda e: pool.rates_hz(jnp.full(2, e)).sum()))(jnp.linspace(0, 1, 51))
    assert np.isfinite(slope).all()


def test_discharges_come_at_the_pools_rates(pool, steady):
    expected = np.asarray(pool.rates_hz(jnp.full(2, 0.4)))
    counts = np.zeros((2, 20))
    np.add.at(counts, (steady.muscle, steady.unit), 1)
    np.testing.assert_allclose(counts / 40, expected, atol=0.6)
    assert len(steady) == counts.sum()


def test_intervals_vary_as_asked_and_none_is_impossible(pool, steady):
    mine = steady.of(1)
    intervals = np.diff(mine.sample[mine.unit == 0])
    assert intervals.std() / intervals.mean() == pytest.approx(pool.habit.interval_cv, abs=0.03)
    assert intervals.min() >= 2
    lagged = float(np.corrcoef(intervals[:-1], intervals[1:])[0, 1])
    assert abs(lagged) < 0.12  # a renewal process: intervals know nothing of each other


def test_samples_are_spread_over_the_control_step(steady):
    share = np.bincount(steady.sample % 8, minlength=8) / len(steady)
    np.testing.assert_allclose(share, 1 / 8, atol=0.02)
    assert (np.diff(steady.sample // 8) >= 0).all()


def test_the_key_decides(pool):
    drive = np.full((500, 2), 0.3, np.float32)
    one, same, other = (spikes(jax.random.key(k), pool, drive, CONTROL_HZ) for k in (1, 1, 2))
    np.testing.assert_array_equal(one.sample, same.sample)
    assert len(one) != len(other) or (one.sample != other.sample).any()


def test_silence_without_drive_and_a_prompt_start(pool):
    drive = np.zeros((500, 2), np.float32)
    drive[250:, 1] = 0.6
    fired = spikes(jax.random.key(3), pool, drive, CONTROL_HZ)
    assert (fired.muscle == 1).all()
    assert 0 <= fired.sample.min() - 250 * 8 < 0.08 * 1000


def test_a_shared_drive_makes_units_covary(steady):
    pool = Pool.of((FRONTALIS, ZYGOMATICUS), 20, Habit(common_drive=0.15))
    shared = spikes(jax.random.key(0), pool, np.full((5000, 2), 0.4, np.float32), CONTROL_HZ)
    correlations = []
    for fired in (steady.of(1), shared.of(1)):
        slow = [np.bincount(fired.sample[fired.unit == u] // 200, minlength=200) for u in (0, 3)]
        correlations.append(float(np.corrcoef(slow[0], slow[1])[0, 1]))
    assert correlations[1] > correlations[0] + 0.2


def test_impossible_pools_are_refused():
    with pytest.raises(InputError, match="interval_cv"):
        Habit(interval_cv=0.5)
    with pytest.raises(InputError, match="motor units"):
        Pool.of((0,), 2)
