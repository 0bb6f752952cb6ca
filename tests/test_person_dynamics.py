"""Lags of muscle and skin: gain one, causality, rates that do not matter, and no slower than a real smile."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from duchenne.sim.errors import InputError
from duchenne.sim.person.dynamics import (
    Dynamics,
    activate,
    activate_init,
    activate_step,
    relax,
    relax_init,
    relax_step,
)

WIDTH = 12
"""Coordinates of the test: jaw, six lids, five forces."""


def step(rate_hz: float, on_s: float = 0.2, off_s: float = 10.0, length_s: float = 1.2, level: float = 1.0):
    """A pulse of width-one excitation and its times, s."""
    time_s = np.arange(int(length_s * rate_hz)) / rate_hz
    return time_s, level * ((time_s >= on_s) & (time_s < off_s))[:, None].astype(np.float32)


def crossing_s(time_s: np.ndarray, value: np.ndarray, share: float) -> float:
    """When a rising curve first reaches a share of its last value."""
    return float(np.interp(share * value[-1], value, time_s))


def shown(rate_hz: float, **options) -> tuple[np.ndarray, np.ndarray]:
    time_s, excitation = step(rate_hz, **options)
    moved = relax(jnp.tile(activate(excitation, rate_hz), (1, WIDTH)), rate_hz)
    return time_s, np.asarray(moved)


def test_constant_drive_is_a_steady_state():
    excitation = np.full((50, 3), 0.37, np.float32)
    np.testing.assert_allclose(activate(excitation, 125), excitation, atol=1e-6)
    np.testing.assert_allclose(relax(excitation, 125), excitation, atol=1e-6)


def test_gain_is_one_and_nothing_moves_before_the_drive():
    time_s, moved = shown(500, length_s=3.0)
    np.testing.assert_allclose(moved[-1], 1, atol=1e-3)
    assert not moved[time_s < 0.197].any()
    assert (np.diff(moved, axis=0) > -1e-6).all()  # no overshoot


def test_a_step_rises_no_slower_than_a_quick_real_smile():
    """20-80 % of a quick smile takes 0.10-0.21 s in 100 Hz landmarks; drive that rises by itself comes on top."""
    time_s, moved = shown(1000)
    force = moved[:, -1]
    rise = crossing_s(time_s, force, 0.8) - crossing_s(time_s, force, 0.2)
    assert 0.05 < rise < 0.11
    assert 0.02 < crossing_s(time_s, force, 0.1) - 0.2 < 0.06  # excitation, hence EMG, leads what is seen


def test_lids_are_quick_and_the_jaw_is_slow():
    time_s, moved = shown(1000)
    jaw, lid, force = (crossing_s(time_s, moved[:, k], 0.5) for k in (0, 1, -1))
    assert lid < force < jaw


def test_muscles_let_go_more_slowly_than_they_take_hold():
    time_s, excitation = step(1000, off_s=0.7)
    activation = np.asarray(activate(excitation, 1000))[:, 0]
    took_hold = np.interp(0.63, activation[time_s < 0.7], time_s[time_s < 0.7]) - 0.2
    let_go = np.interp(-0.37, -activation[time_s >= 0.7], time_s[time_s >= 0.7]) - 0.7
    assert 0.008 < took_hold < 0.03
    assert 0.025 < let_go < 0.15
    assert ((activation >= 0) & (activation <= 1)).all()


def test_a_single_twitch_contracts_within_the_published_range():
    """Contraction times of facial muscles are 16-90 ms, from the stimulus to the peak of force."""
    time_s, moved = shown(2000, on_s=0.1, off_s=0.102, length_s=0.6, level=0.3)
    assert 0.016 < time_s[moved[:, -1].argmax()] - 0.1 < 0.09


@pytest.mark.parametrize("rate_hz", [125.0, 128.0, 250.0])
def test_the_rate_of_sampling_does_not_matter(rate_hz):
    fine_s, fine = shown(2000)
    time_s, coarse = shown(rate_hz)
    late = [
        crossing_s(time_s, coarse[:, -1], q) - crossing_s(fine_s, fine[:, -1], q) for q in (0.2, 0.5, 0.8)
    ]  # the drive itself is only known to a sample
    assert np.ptp(late) < 0.002
    assert np.abs(late).max() < 1 / rate_hz


def test_relaxation_is_linear_and_batched(rng):
    series = rng.normal(size=(2, 40, WIDTH)).astype(np.float32)
    both = relax(series, 125)
    assert both.shape == series.shape
    np.testing.assert_allclose(relax(series[0] + 2 * series[1], 125), both[0] + 2 * both[1], atol=1e-5)


def test_gradients_flow_through_time():
    with jax.enable_x64(True):
        excitation = np.linspace(0.1, 0.8, 20)[:, None] * np.ones(3)

        @jax.jit
        def loss(e):
            return (activate(e, 125) ** 2).sum()

        direction = np.cos(np.arange(60)).reshape(20, 3)
        step_size = 1e-6
        slope = (loss(excitation + step_size * direction) - loss(excitation - step_size * direction)) / (2 * step_size)
        assert float((jax.grad(loss)(excitation) * direction).sum()) == pytest.approx(float(slope), rel=1e-3)


@pytest.mark.parametrize("slowness", [1.0, 1.4])
def test_one_step_after_another_is_the_whole_series(rng, slowness):
    """`slowness` scales every time constant, which the whole series does by its `Dynamics`."""
    times = ("activate_s", "deactivate_s", "twitch_s", "lid_s", "jaw_s", "creep_s")
    slow = Dynamics(**{name: slowness * getattr(Dynamics(), name) for name in times})
    excitation = rng.random((60, WIDTH)).astype(np.float32).repeat(3, axis=0)
    activation = activate(excitation, 125, slow)
    moved = relax(activation, 125, slow)

    @jax.jit
    def step_on(muscles, skin, drive, factor):
        muscles = activate_step(muscles, drive, 125, slowness=factor)
        skin, shown = relax_step(skin, muscles.activation, 125, slowness=factor)
        return muscles, skin, shown

    muscles = activate_init(excitation[0])
    skin = relax_init(muscles.activation)
    for drive, active, seen in zip(excitation[1:], activation[1:], moved[1:], strict=True):
        muscles, skin, shown = step_on(muscles, skin, drive, slowness)
        np.testing.assert_allclose(muscles.activation, active, atol=2e-6)
        np.testing.assert_allclose(shown, seen, atol=5e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Dynamics(twitch_s=30.0),
        lambda: Dynamics(creep_share=1.0),
        lambda: Dynamics(activate_s=np.nan),
        lambda: activate(np.zeros((5, 48)), 0),
        lambda: relax(np.zeros((5, 48)), np.nan),
    ],
)
def test_bad_input_is_one_clear_error(call):
    with pytest.raises(InputError):
        call()
