import numpy as np
import pytest

from duchenne.scenarios import real_recordings as real
from duchenne.scenarios.posed_pattern import agreement, simulated_pattern
from duchenne.sim.errors import InputError


def test_a_pattern_agrees_with_itself_and_its_order_matters(rng):
    one = real.Pattern(10 * rng.normal(size=(3, 7, 4, 8)))
    same = agreement(one, one)
    assert (same.pattern, same.smile, same.permutation_rank) == (pytest.approx(1), pytest.approx(1), 1)
    np.testing.assert_allclose(same.by_expression, 1)
    turned = real.Pattern(one.power_db[:, [0, 6, 1, 2, 3, 4, 5]])
    assert agreement(turned, one).permutation_rank > 1


@pytest.mark.slow
def test_people_differ_and_smile_with_the_cheek():
    found = simulated_pattern(people=2)
    assert found.power_db.shape == (2, 7, 10, 8)
    assert np.isfinite(found.power_db).all()
    assert np.abs(found.rise_db[0] - found.rise_db[1]).max() > 1
    cheek = found.mean_db[:, real.SITES.index("cheek")]
    assert cheek[1] > 6
    assert not found.mean_db[0].any()
    with pytest.raises(InputError, match="at least one"):
        simulated_pattern(people=0)


@pytest.mark.slow
def test_twelve_simulated_people_resemble_eight_real_ones(shared_data):
    found = agreement(simulated_pattern(people=12), real.eight_sites(shared_data))
    assert found.pattern > 0.3
    assert found.pattern_with_neutral > 0.5
    assert found.smile > 0.5
    assert found.permutation_rank < 72
