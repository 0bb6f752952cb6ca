import numpy as np
import pytest

from duchenne.sim import mesh
from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.facs import Muscle, Side
from duchenne.sim.person.anatomy import MIRRORED, MUSCLES, muscle_index
from duchenne.sim.person.traits import Shape, Traits


def test_the_mean_person_has_the_canonical_face():
    assert np.allclose(Shape().rest_m(), mesh.REST)
    assert np.allclose(Traits().excite(np.full(48, 0.3)), 0.3)


def test_every_sampled_face_keeps_its_eyes_and_its_sides():
    for seed in range(20):
        shape = Traits.sample(np.random.default_rng(seed)).shape
        rest = shape.rest_m() / shape.size
        eyes = [*mesh.EYE_RIGHT, *mesh.EYE_LEFT]
        assert np.abs(rest - mesh.REST)[eyes].max() < 0.6e-3
        assert np.allclose(rest[mesh.MIRROR] * [-1, 1, 1], rest, atol=1e-9)
        upper, lower = np.array(mesh.LIP_PAIRS).T
        assert (rest[upper, 1] >= rest[lower, 1]).all()


def test_same_seed_same_person_and_another_seed_another():
    one, same, other = (Traits.sample(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert one.shape == same.shape
    assert (one.strength == same.strength).all()
    assert (one.strength != other.strength).any()


def test_a_third_of_people_have_no_risorius():
    right = muscle_index(Muscle.RISORIUS, Side.RIGHT)
    missing = np.mean([Traits.sample(np.random.default_rng(seed)).strength[right] == 0 for seed in range(300)])
    assert 0.25 < missing < 0.42


def test_a_palsy_weakens_one_side_but_not_lid_raiser_or_jaw():
    drive = Traits().palsied("left", 0.8).drive
    for index, (name, of) in enumerate(MUSCLES):
        spared = name in (Muscle.LEVATOR_PALPEBRAE, Muscle.MASSETER, Muscle.TEMPORALIS, Muscle.DIGASTRIC)
        assert drive[index] == pytest.approx(0.2 if of is Side.LEFT and not spared else 1.0)


def test_synkinesis_closes_the_eye_with_a_smile():
    wanted = np.zeros(48)
    wanted[muscle_index("zygomaticus major", "right")] = 0.5
    got = Traits().palsied("right", 0.0, synkinesis=0.6).excite(wanted)
    assert got[muscle_index("orbicularis oculi, palpebral part", "right")] == pytest.approx(0.3)
    assert got[muscle_index("orbicularis oculi, palpebral part", "left")] == 0


def test_age_and_fatigue_are_neutral_at_zero_and_monotone():
    assert Traits().aged(0).young == Traits().fatigued(0).conduction == 1
    assert Traits().aged(40).thickness < Traits().aged(20).thickness < 1
    assert Traits().fatigued(1).strength.max() < Traits().fatigued(0.5).strength.max() < 1


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Shape(jaw=2.0),
        lambda: Traits(strength=np.ones(3)),
        lambda: Traits(fat=0.0),
        lambda: Traits(drive=np.full(48, np.nan)),
        lambda: Traits().palsied("both"),
        lambda: Traits().palsied("left", 1.2),
        lambda: Traits().aged(-1),
        lambda: Traits().fatigued(2),
    ],
)
def test_impossible_traits_are_refused(bad):
    with pytest.raises(InputError):
        bad()


def test_the_order_of_muscles_is_right_then_left():
    assert all(
        MUSCLES[i][0] is MUSCLES[MIRRORED[i]][0] and MUSCLES[i][1] is not MUSCLES[MIRRORED[i]][1] for i in range(48)
    )
    with pytest.raises(VocabularyError, match="zygomaticus major"):
        muscle_index("gluteus maximus", "right")
