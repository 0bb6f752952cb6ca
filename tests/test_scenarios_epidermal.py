"""The epidermal study: a small one from end to end, and the laws of its parts."""

import json
from pathlib import Path

import numpy as np
import pytest

from duchenne.learning.metrics import Interval
from duchenne.learning.recognition import Examples
from duchenne.scenarios import epidermal, epidermal_camera
from duchenne.scenarios.epidermal_camera import CONDITIONS, Condition, Sights, spoilt
from duchenne.scenarios.epidermal_data import MORE, TEN, Size, twelve
from duchenne.scenarios.epidermal_scores import first_to_later
from duchenne.sim.errors import InputError
from duchenne.sim.person.electrodes import montage

TINY = Size(
    people=2, batches=2, hold_s=1.4, rest_s=0.4, steps=60, folds=2, counts=(10,), draws=1, shifts_mm=(6.0,),
    pictures=False,
)  # fmt: skip
WANTED = (
    "type_accuracy", "intensity_accuracy", "intensity_within_one", "type_accuracy_within_batch",
    "type_accuracy_across_batches_scaled", "type_accuracy_across_batches_unscaled", "type_accuracy_across_people",
    "type_accuracy_channels_11", "type_accuracy_channels_12", "type_accuracy_dead_1", "type_accuracy_shifted_6_mm",
    "type_accuracy_svm", "intensity_accuracy_k_nn", "type_accuracy_fer_ee", "streaming_latency_ms",
)  # fmt: skip


@pytest.mark.slow
def test_a_small_study_tells_everything_and_is_not_done_twice(tmp_path: Path, capsys, monkeypatch):
    assert epidermal.run(tmp_path, seed=3, as_json=True, size=TINY) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert not [name for name in WANTED if name not in figures]
    assert all(0 <= value <= 1 for name, value in figures.items() if "accuracy" in name or "within" in name)
    assert figures["type_accuracy"] > 2 / 7  # twice chance
    assert figures["intensity_accuracy"] <= figures["intensity_within_one"]
    assert figures["type_accuracy_channels_10"] == pytest.approx(figures["type_accuracy"])
    assert 200 < figures["streaming_latency_ms"] < 300  # a window of 200 ms, a short filter, little computing
    assert (tmp_path / "report.html").read_text().count("<img") == 4
    monkeypatch.setattr("duchenne.scenarios.epidermal_data.Person", None)  # nobody is asked again
    assert epidermal.run(tmp_path, seed=3, as_json=True, size=TINY) == 0
    assert json.loads(capsys.readouterr().out)["figures"] == figures


def test_one_person_is_too_few(tmp_path: Path):
    with pytest.raises(InputError, match="--people"):
        epidermal.run(tmp_path, people=1)


def test_two_sites_stand_beside_the_papers_ten():
    assert twelve().channel_names == (*TEN, *MORE)
    np.testing.assert_array_equal(twelve().only(*TEN).derivation, montage("epidermal10").derivation)


def test_later_wearings_are_of_the_same_person_and_none_is_learnt_from():
    person, batch = np.repeat([0, 1], 6), np.tile([0, 0, 1, 1, 2, 2], 2)
    words = np.full(12, "fear")
    seen = Examples(np.zeros((12, 1, 1)), words, words, person, batch, np.arange(12), ("Z",), ("rms",))
    one, two = first_to_later(seen)
    np.testing.assert_array_equal(one.train, [0, 1])
    np.testing.assert_array_equal(one.test, [2, 3, 4, 5])
    np.testing.assert_array_equal(two.test, [8, 9, 10, 11])


def test_a_picture_is_darkened_covered_or_left_alone(rng):
    picture = np.full((64, 64, 3), 200, np.uint8)
    nothing = np.empty((0, 2))
    np.testing.assert_array_equal(spoilt(picture, Condition(), rng, nothing), picture)
    dim = spoilt(picture, CONDITIONS["dim"], rng, nothing).astype(float)
    dark = spoilt(picture, CONDITIONS["dark"], rng, nothing).astype(float)
    assert dim.mean() > 0.7 * 200 > dark.mean()  # the camera turns its gain up as far as it can
    assert dim.std() > 5
    sided = spoilt(picture, CONDITIONS["lit from one side"], rng, nothing)
    assert sided[:, 48:].mean() > 2 * sided[:, :16].mean()
    square = np.array([[16, 16], [16, 48], [48, 48], [48, 16]], float)
    masked = spoilt(picture, CONDITIONS["mask"], rng, square)
    assert tuple(masked[32, 32]) == CONDITIONS["mask"].colour
    assert (masked[:8] == picture[:8]).all()


def test_a_picture_without_a_face_is_named_wrongly():
    rng = np.random.default_rng(1)
    labels = np.repeat(["anger", "fear"], 10)
    shapes = rng.normal(size=(20, 52)) * 0.01 + (labels == "fear")[:, None]
    found = np.stack([np.ones(20, bool), np.zeros(20, bool)])
    seen = {"learnt": shapes, "learnt_label": labels, "asked": np.stack([shapes, shapes]), "asked_label": labels}
    assert epidermal_camera._named({**seen, "found": found}) == [1.0, 0.0]


def test_the_camera_has_its_figures_and_verdicts(tmp_path: Path):
    level = {name: Interval(0.9, 0.8, 1.0) for name in CONDITIONS} | {"mask": Interval(0.3, 0.2, 0.4)}
    sheet = np.zeros((len(CONDITIONS), 8, 8, 3), np.uint8)
    seen = Sights(level, dict.fromkeys(CONDITIONS, 1.0), Interval(0.9, 0.8, 1.0), sheet)
    assert epidermal._beside(seen, "mask") == "camera falls, as published"
    assert epidermal._beside(seen, "dim") == "camera holds"
    epidermal.epidermal_picture.camera(seen, tmp_path / "camera.png")
    assert (tmp_path / "camera.png").stat().st_size > 10_000
