import json
from dataclasses import replace

import numpy as np
import pytest

from duchenne.sim import mesh
from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.facs import Muscle, Side
from duchenne.sim.person import chart
from duchenne.sim.person.electrodes import MONTAGES, Channel, Contact, Montage, free, front, montage


@pytest.mark.parametrize("name", MONTAGES)
class TestEveryMontage:
    def test_stands_on_the_head(self, name):
        worn = montage(name)
        assert chart.on_head(worn.chart_mm).all()
        assert worn.positions_m.shape == (len(worn.contacts), 3)
        assert np.isfinite(worn.positions_m).all()
        np.testing.assert_allclose(chart.unroll(worn.positions_m), worn.chart_mm, atol=1e-6)

    def test_derivation_is_a_set_of_differences(self, name):
        worn = montage(name)
        assert worn.derivation.shape == (len(worn.channels), len(worn.contacts))
        np.testing.assert_allclose(worn.derivation.sum(1), 0, atol=1e-12)
        assert np.linalg.matrix_rank(worn.derivation) == len(worn.channels)
        assert (worn.derivation != 0).any(0).all()  # no contact is idle

    def test_says_where_it_comes_from(self, name):
        worn = montage(name)
        assert worn.name == name
        assert worn.reference
        assert worn.source
        assert len(set(worn.channel_names)) == len(worn.channels)
        assert len(set(worn.contact_names)) == len(worn.contacts)

    def test_goes_through_json(self, name):
        assert Montage.from_json(montage(name).to_json()) == montage(name)

    def test_mirrored_twice_is_itself(self, name):
        worn = montage(name)
        other = worn.mirrored()
        np.testing.assert_allclose(other.chart_mm, worn.chart_mm * [-1, 1])
        np.testing.assert_array_equal(other.derivation, worn.derivation)
        assert other.mirrored() == worn

    def test_shift_has_the_size_it_says(self, name, rng):
        worn = montage(name)
        moved = [worn.shifted(rng, 2.0).chart_mm - worn.chart_mm for _ in range(150)]
        assert np.sqrt(np.mean(np.square(moved))) == pytest.approx(2.0, rel=0.12)
        assert worn.shifted(rng, 0.0) == worn


def test_bipolar_pairs_lie_along_the_fibres_and_keep_their_distance(rng):
    worn = montage("proximal7")
    for channel, target in zip(worn.channels, worn.targets, strict=True):
        pair = worn.only(channel.name)
        assert np.linalg.norm(np.diff(pair.chart_mm, axis=0)) == pytest.approx(10.0)
        np.testing.assert_allclose(
            np.diff(worn.shifted(rng, 3.0, together=0.0).only(channel.name).chart_mm, axis=0),
            np.diff(pair.chart_mm, axis=0),
        )  # two contacts in one case slide as one
        assert target is not None
    first, second = worn.only("IF").chart_mm  # frontalis runs upwards
    assert first[1] - second[1] > 9.5
    assert dict(zip(worn.channel_names, worn.targets, strict=True))["ZM"] == (Muscle.ZYGOMATICUS_MAJOR, Side.RIGHT)


def test_one_channel_can_go_to_the_other_side():
    worn = montage("proximal7").mirrored("ZM", "DAO")
    assert (worn.only("ZM").chart_mm[:, 0] > 0).all()
    assert (worn.only("IF").chart_mm[:, 0] < 0).all()
    assert worn.targets[worn.channel_names.index("DAO")] == (Muscle.DEPRESSOR_ANGULI_ORIS, Side.LEFT)
    monopolar = montage("epidermal10").mirrored("AU12")
    reference = monopolar.contact_names.index("behind left ear")
    np.testing.assert_array_equal(monopolar.chart_mm[reference], montage("epidermal10").chart_mm[reference])


def test_temple_channels_do_not_cross_the_head():
    for name in ("distal4", "distal4-eye-level"):
        worn = montage(name)
        sides = np.sign(worn.chart_mm[:, 0])
        assert all(len(set(sides[row != 0])) == 1 for row in worn.derivation)
        np.testing.assert_allclose(worn.chart_mm[:3] * [-1, 1], worn.chart_mm[3:])
    eye_level = montage("distal4-eye-level").chart_mm[[0, 1, 3, 4], 1]
    assert np.ptp(eye_level) == 0


def test_only_keeps_what_it_needs():
    worn = montage("epidermal10").only("AU12", "AU1")
    assert worn.channel_names == ("AU12", "AU1")
    assert set(worn.contact_names) == {"AU12", "AU1", "behind left ear"}
    with pytest.raises(VocabularyError, match=r"AU13.*AU1, AU2"):
        montage("epidermal10").only("AU13")


def test_wider_face_spreads_the_contacts():
    worn = montage("kuramoto")
    np.testing.assert_allclose(worn.scaled(1.1, 0.9).chart_mm, worn.chart_mm * [1.1, 0.9])
    with pytest.raises(InputError, match=r"0\.7-1\.4"):
        worn.scaled(3.0)


def test_shift_never_puts_a_contact_into_an_eye(rng):
    near = free("near the eye", {"a": (55.0, 26.0), "b": (33.0, 12.0)})
    for _ in range(100):
        assert chart.on_head(near.shifted(rng, 8.0).chart_mm).all()


def test_free_places_agree_however_they_are_given():
    vertex = 205
    point = mesh.REST[vertex]
    by_chart = tuple(chart.unroll(point))
    worn = free("mine", {"vertex": vertex, "point": point, "chart": by_chart, "ear": (132.0, -25.0)}, reference="ear")
    np.testing.assert_allclose(worn.chart_mm[:3], [by_chart] * 3, atol=1e-9)
    assert worn.channel_names == ("vertex", "point", "chart")
    np.testing.assert_allclose(worn.derivation.sum(1), 0)
    pair = free("pair", {"a": (20.0, 60.0), "b": (20.0, 70.0)}, {"up": ("b", "a")})
    np.testing.assert_array_equal(pair.derivation, [[-1, 1]])
    assert free("alone", {"a": (20.0, 60.0)}).derivation.sum() == 1  # against infinity


def test_front_view_meets_the_mesh():
    for vertex in (205, 9, 199, 50):
        x, y, _ = mesh.REST[vertex] * 1e3
        np.testing.assert_allclose(front(x, y), chart.unroll(mesh.REST[vertex]), atol=1e-6)
    with pytest.raises(InputError, match="no face is seen"):
        front(200.0, 0.0)


def test_file_of_the_user(tmp_path):
    path = tmp_path / "mine.json"
    montage("kolodziej8").save(path)
    assert montage(str(path)) == montage("kolodziej8")
    path.write_text("{]")
    with pytest.raises(InputError, match="a montage is a JSON object"):
        montage(str(path))
    data = json.loads(montage("distal4").to_json())
    data["channels"][0]["muscle"] = "smiler"
    with pytest.raises(VocabularyError, match="zygomaticus major"):
        Montage.from_json(json.dumps(data))
    with pytest.raises(InputError, match="cannot read"):
        montage(str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: montage("proximal8"), VocabularyError, "proximal7, epidermal10"),
        (lambda: Contact("a", np.nan, 0.0), InputError, "finite"),
        (lambda: Contact("a", 33.0, 26.0), InputError, "not on skin"),
        (lambda: Contact("a", 0.0, 400.0), InputError, "not on skin"),
        (lambda: Contact("a", 0.0, 60.0, -1.0), InputError, "radius"),
        (lambda: free("f", {"a": (0.0, 0.06, 0.2)}), InputError, "mm off the head"),
        (lambda: free("f", {"a": (20.0, 60.0, 50.0)}), InputError, "coordinates are metres"),
        (lambda: free("f", {"a": 4680}), InputError, "0-467"),
        (lambda: free("f", {"a": (1.0, np.inf)}), InputError, "finite"),
        (lambda: free("f", {}), InputError, "at least one"),
        (lambda: free("f", {"a": (20.0, 60.0)}, reference="ear"), VocabularyError, "there is a"),
        (lambda: free("f", {"a": (20.0, 60.0)}, {"x": ("b",)}), VocabularyError, "it has a"),
        (lambda: free("f", {"a": (20.0, 60.0)}, rate_hz=5.0), InputError, "rate"),
        (lambda: replace(montage("distal4"), channels=montage("distal4").channels * 2), InputError, "unique"),
        (lambda: replace(montage("distal4"), channels=(Channel("a", ()),)), InputError, "no contact in plus"),
        (lambda: montage("distal4").shifted(np.random.default_rng(0), -1.0), InputError, "sd_mm"),
    ],
)
def test_errors_say_what_to_do(make, error, match):
    with pytest.raises(error, match=match):
        make()
