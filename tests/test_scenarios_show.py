import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from duchenne.scenarios import cli, face_colours, show, show_faces, show_picture
from duchenne.scenarios import show_signals as signals
from duchenne.sim import mesh
from duchenne.sim.errors import GraphicsError, InputError, VocabularyError
from duchenne.sim.person import chart
from duchenne.sim.person.anatomy import MUSCLE_NAMES
from duchenne.sim.recording import Event, Recording, Stream
from duchenne.sim.recording_bids import write_bids
from duchenne.sim.recording_edf import write_bdf


@pytest.fixture(scope="module")
def shown(small_recording, tmp_path_factory):
    """What `duchenne show` makes of the small recording, and what it prints as JSON."""
    folder = tmp_path_factory.mktemp("shown")
    small_recording.save(folder / "small.npz")
    printed = CliRunner().invoke(
        cli.app, ["show", str(folder / "small.npz"), "--out", str(folder / "out"), "--no-render", "--json"]
    )
    assert printed.exit_code == 0, printed.output
    return folder / "out", json.loads(printed.stdout)


def test_a_picture_a_film_and_figures(shown, small_recording):
    folder, said = shown
    width, height = Image.open(folder / "small.png").size
    assert width == 1950
    assert 500 < height < 1200
    verify = [sys.executable, "-m", "rerun", "rrd", "verify", str(folder / "small.rrd")]
    assert subprocess.run(verify, capture_output=True, check=False).returncode == 0
    assert said["figures"]["seconds"] == pytest.approx(small_recording.duration_s)
    assert said["figures"]["emg_rate_hz"] == 1024
    rest, peak = said["channels"]["zygomaticus"]["rest_uv"], said["channels"]["zygomaticus"]["peak_uv"]
    assert rest == pytest.approx(3, rel=0.2)  # the noise that was added
    assert 60 < peak < 120


def test_the_picture_has_ink_of_every_kind(shown):
    """Raw, envelope, both sides of an action unit, the camera's and the shading are all there."""
    pixels = np.asarray(Image.open(shown[0] / "small.png").convert("RGB")).reshape(-1, 3).astype(int)
    for colour in (show_picture.RAW, show_picture.ENVELOPE, show_picture.RIGHT, show_picture.LEFT, show_picture.CAMERA):
        rgb = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
        assert (np.abs(pixels - rgb).max(1) < 12).sum() > 50, colour


def test_the_film_moves_skin_in_colour(shown):
    printed = subprocess.run(
        [sys.executable, "-m", "rerun", "rrd", "print", "-vv", str(shown[0] / "small.rrd")],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for part in (
        "vertex_colors",
        "vertex_positions",
        "/emg_uV/zygomaticus",
        "/au/right",
        "/activation/left",
        "/events",
    ):
        assert part in printed


@pytest.mark.parametrize(
    "kept",
    [("emg",), ("landmarks",), ("au",), ("activation",), ("camera_au",), ("emg", "landmarks"), ()],
    ids=lambda names: "+".join(names) or "events alone",
)
def test_what_is_missing_is_left_out(kept, small_recording, tmp_path):
    part = Recording([small_recording[n] for n in kept], small_recording.events)
    path = show_picture.draw(part, tmp_path / "part.png", title="part", look=None)
    assert Image.open(path).size[0] == 1950
    show.write_rrd(part, tmp_path / "part.rrd")


def test_odd_recordings_are_drawn(tmp_path):
    """One sample, silence, holes, many labels, names that are long or missing, other units, hidden landmarks."""
    face = np.tile(1e3 * mesh.REST, (3, 1, 1))
    face[1] = np.nan
    odd = Recording(
        streams=[
            Stream(
                "emg", np.zeros((500, 3)), 250, channels=("a", "orbicularis oculi, orbital part, right", "µ"), unit="mV"
            ),
            Stream("landmarks", face, 1.5, unit="mm", gaps=True),
            Stream("au", np.full((20, 4, 2), 0.5), 10, channels=("1", "AU4", "AU12", "mood")),
        ],
        events=[Event(k / 20, 0.04, f"a long label {k}", k, "expression") for k in range(30)],
    )
    one = Recording([Stream("emg", np.ones((1, 2)), 1000.0)])
    for name, recording in (("odd", odd), ("one", one)):
        path = show_picture.draw(recording, tmp_path / f"{name}.png", title=name, look=None)
        assert Image.open(path).size[0] == 1950
    show.write_rrd(odd, tmp_path / "odd.rrd")
    assert (tmp_path / "odd.rrd").stat().st_size > 1000


def test_without_opengl_faces_are_line_drawings(small_recording, monkeypatch, caplog):
    def broken(*_, **__):
        raise GraphicsError("no OpenGL")

    monkeypatch.setattr("duchenne.sim.person.portrait.Portrait.__init__", broken)
    faces = show_faces.portrayed(small_recording, (0, 8), 6, "chestnut")
    assert len(faces) == 3  # at rest and in two smiles
    assert all(face.picture is None for face in faces)
    assert "line drawings" in caplog.text


def test_every_format_is_read(small_recording, tmp_path):
    small_recording.save(tmp_path / "a.npz")
    small_recording.save(tmp_path / "b.zarr")
    write_bdf(small_recording["emg"], small_recording.events, tmp_path / "c.bdf")
    write_bids(small_recording, tmp_path / "d", subject="1", task="smiles")
    for name in ("a.npz", "b.zarr", "c.bdf", "d", "d/sub-1"):
        source, recording = show.read(tmp_path / name, (2.0, 4.0))
        assert source.exists()
        assert recording["emg"].data.shape == (2048, 2)
        assert recording["emg"].start_s == 2
        assert recording.kinds("expression")


@pytest.mark.parametrize(
    ("name", "seconds", "said"),
    [
        ("absent.npz", None, "there is no recording"),
        ("notes.txt", None, "cannot read notes.txt"),
        ("empty", None, "there is no recording in"),
        ("two", None, "holds 2 recordings: a.npz, b.npz"),
        ("two/a.npz", "20:30", "it lasts from 0 to 8 s"),
        ("two/a.npz", "3:2", "the earlier time comes first"),
        ("two/a.npz", ":", "give a stretch such as"),
    ],
)
def test_bad_requests(name, seconds, said, small_recording, tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    for file in ("a.npz", "b.npz"):
        small_recording.save(tmp_path / "two" / file)
    with pytest.raises(InputError, match=said):
        show.run(tmp_path / name, tmp_path / "out", seconds=seconds)


@pytest.mark.parametrize(("text", "ends"), [("1:2.5", (1, 2.5)), (" 3 : ", (3, np.inf)), (":4", (-np.inf, 4))])
def test_stretches_of_time(text, ends):
    assert show.stretch(text) == ends


def test_the_envelope_is_the_amplitude_and_forgets_wander():
    times = np.arange(4000) / 1000
    loud = np.where(times < 2, 0, 50) * np.sin(2 * np.pi * 100 * times)
    wander = 300 * np.sin(2 * np.pi * 0.5 * times)
    smooth = signals.envelope(Stream("emg", np.stack([loud + wander], 1), 1000))[:, 0]
    assert smooth[500:1500].max() < 1
    np.testing.assert_allclose(smooth[2500:3500], 50 / np.sqrt(2), rtol=0.03)


def test_action_units_are_found_by_name():
    data = np.arange(8.0).reshape(1, 8)
    names = ("AU12, right", "AU12, left", "AU04 L", "AU04 R", "AU1", "AU25_r", "6", "confidence")
    traces = signals.action_units(Stream("au", data, 30, channels=names))
    assert [t.name.split()[0] for t in traces] == ["AU1", "AU4", "AU6", "AU12", "AU25"]
    by_name = {t.name.split()[0]: t for t in traces}
    left = by_name["AU4"].left
    assert left is not None
    assert (by_name["AU4"].right[0], left[0]) == (3, 2)
    assert by_name["AU1"].left is None


def test_faces_are_taken_from_expressions_but_not_from_blinks():
    times = np.arange(200) / 20
    faces = np.tile(mesh.REST, (200, 1, 1))
    faces[60:100, 61] += [0, 0.01, 0]
    blink = slice(78, 84)
    faces[blink, 159] = faces[blink, 145]
    faces[blink, 386] = faces[blink, 374]
    (chosen,) = signals.moments(times, faces, [(2.5, 5.5)])
    assert chosen is not None
    assert 60 <= chosen < 100
    assert not 78 <= chosen < 84
    spans = [Event(2, 1, "a"), Event(4, 1, "b"), Event(6, 1, "c")]
    assert signals.stretches(spans, (0, 10), 6)[1:] == [(2, 3), (4, 5), (6, 7)]
    assert len(signals.stretches(spans * 9, (0, 10), 6)) == 6


def test_pictures_in_a_row_keep_their_order_and_distance():
    placed = show_faces.places(np.array([0.0, 0.2, 0.3, 5.0, 9.9]), 1.3, 10.0)
    assert np.diff(placed).min() >= 1.3 - 1e-9
    assert placed[0] >= 0.65
    assert placed[-1] <= 9.35 + 1e-9
    assert placed[3] == pytest.approx(5.0)


def test_expressions_keep_their_colours():
    events = [Event(0, 1, "anger"), Event(1, 1, "task A"), Event(2, 1, "Anger")]
    colours = show_picture.expression_colours(events)
    assert colours["anger"] == colours["Anger"] == show_picture.EXPRESSION_COLOURS["anger"]
    assert len(set(show_picture.EXPRESSION_COLOURS.values())) == 7


def test_long_traces_keep_their_extremes():
    values = np.zeros(100_000)
    values[54_321], values[77] = 9, -4
    place, low, high = signals.extremes(values, 500)
    assert len(place) == 500
    assert (low.min(), high.max()) == (-4, 9)
    assert place[high.argmax()] == pytest.approx(0.543, abs=0.003)


@pytest.mark.parametrize(("value", "bar"), [(130, 100), (99, 50), (0.3, 0.2), (5, 5), (0, 1)])
def test_scale_bars_are_round(value, bar):
    assert signals.round_number(value) == pytest.approx(bar)


def test_skin_shines_over_the_muscle_that_works():
    row = MUSCLE_NAMES.index("zygomaticus major, left")
    active = np.zeros((2, len(MUSCLE_NAMES)))
    active[1, row] = 0.8
    found = face_colours.activity(active, MUSCLE_NAMES)
    assert not found[0].any()
    assert found[1].max() == pytest.approx(0.8, abs=0.02)
    bright = chart.unroll(mesh.REST[found[1] > 0.4])
    assert (bright[:, 0] > 0).all()  # the subject's left
    still, bright = face_colours.activity_colours(np.array([0.0, 1.0]))
    assert (tuple(still), tuple(bright)) == (face_colours.SKIN, face_colours.ACTIVE)
    with pytest.raises(VocabularyError, match="unknown muscle 'biceps'"):
        face_colours.activity(np.zeros((1, 1)), ("biceps",))


def test_strain_of_a_stretched_skin_is_the_stretch():
    wider = np.stack([mesh.REST, 1.1 * mesh.REST, 0.95 * mesh.REST, mesh.REST + 0.01])
    found = face_colours.strain(wider)
    on_skin = np.unique(mesh.TRIANGLES)
    for k, wanted in enumerate((0, 0.1, -0.05, 0)):
        np.testing.assert_allclose(found[k, on_skin], wanted, atol=1e-9)
    turned = mesh.REST @ np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    np.testing.assert_allclose(face_colours.strain(turned[None]), 0, atol=1e-9)
    blue, plain, red = face_colours.strain_colours(np.array([-1.0, 0.0, 1.0]))
    assert (tuple(blue), tuple(plain), tuple(red)) == (face_colours.SHORTER, face_colours.SKIN, face_colours.LONGER)


def test_colours_by_activity_need_it(small_recording):
    times = np.array([0.0, 2.0])
    faces = np.tile(mesh.REST, (2, 1, 1))
    bare = Recording([small_recording["landmarks"]])
    assert (show.skin_colours(bare, times, faces) == face_colours.SKIN).all()
    assert (show.skin_colours(small_recording, times, faces)[1] != face_colours.SKIN).any()
    with pytest.raises(InputError, match="colour by strain"):
        show.skin_colours(bare, times, faces, "activity")
