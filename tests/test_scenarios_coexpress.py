import csv
import json
import re
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from duchenne.hardware.emg_source import ClockOffset, EmgBlock
from duchenne.learning.anticipation import Anticipator
from duchenne.learning.self_model import SelfModel
from duchenne.scenarios import coexpress as job
from duchenne.scenarios import coexpress_report as report
from duchenne.scenarios.coexpress_film import filmed, found_acts
from duchenne.scenarios.coexpress_picture import COLUMNS, ROWS, columns_s, moment_s, said
from duchenne.scenarios.coexpress_play import Player
from duchenne.scenarios.coexpress_scene import CO_EXPRESSION, MIMICRY, Played, Scene, Story
from duchenne.scenarios.export import run as export
from duchenne.scenarios.following import followed_by
from duchenne.sim import mesh
from duchenne.sim.errors import FaceError, GraphicsError, InputError, VocabularyError
from duchenne.sim.person.encounter import EMG_HZ, Shown
from duchenne.sim.robot.servo import REST_COMMAND, SERVO_NAMES
from duchenne.twin.coexpress import Coexpressor, Knowing
from duchenne.twin.discretion import Discretion
from duchenne.twin.log import Log
from duchenne.twin.log_entries import Seen
from duchenne.twin.log_recording import recording_of
from duchenne.twin.steering import Steering

APEX_M = np.zeros((mesh.VERTEX_COUNT, 3))
APEX_M[[61, 291, 13, 14, 50, 280]] = [0.0, 0.006, -0.001]
TIMES_S = np.arange(150) / 25


def ramp(times_s, start_s, rise_s=0.4):
    """Up within `rise_s`, held for a second, down again."""
    up = np.clip((times_s - start_s) / rise_s, 0, 1)
    return up - np.clip((times_s - start_s - rise_s - 1.0) / 0.5, 0, 1)


def course_m(late_s=0.0):
    return ramp(TIMES_S, 2.0 + late_s)[:, None, None] * APEX_M


def made_up_scene(emg=True):
    rng = np.random.default_rng(0)
    samples = np.arange(round(TIMES_S[-1] * EMG_HZ)) / EMG_HZ
    loud = 2 + 60 * ramp(samples, 1.85)
    act = Shown(
        what="smile", kind="posed", intensity=1.0, drive_s=1.85, onset_s=2.04, arrival_s=2.36, apex_s=2.5,
        release_s=3.4, end_s=3.9, apex_m=APEX_M,
    )  # fmt: skip
    noise = rng.standard_normal((len(samples), 2))
    return Scene(
        source="somebody", senses="a camera", times_s=TIMES_S, seen=list(course_m()), face_m=course_m(),
        mesh_m=mesh.REST + course_m(), camera_delay_s=0.08, acts=(act,),
        emg_uv=noise * np.stack([np.full_like(loud, 2.0), loud], 1) if emg else None,
        channels=("corrugator", "zygomaticus") if emg else (),
        draw=lambda frames, size_px: [np.full((size_px, size_px, 3), 120, np.uint8) for _ in frames],
    )  # fmt: skip


def made_up_robot(name, late_s):
    moved_m = 0.7 * course_m(late_s)
    count, knowing = len(TIMES_S), Knowing(TIMES_S, course_m())
    return Played(
        name=name, times_s=TIMES_S, commands=np.tile(REST_COMMAND, (count, 1)), vertices_m=mesh.REST + moved_m,
        head_pose=np.tile(np.eye(4), (count, 1, 1)), gaze_rad=np.zeros((count, 2, 2)), motion_m=moved_m,
        step_ms=np.ones(count),
        expected=tuple(knowing.expect(t) for t in TIMES_S),
    )  # fmt: skip


def made_up_story(emg=True, early_s=0.02, late_s=0.3):
    robots = {CO_EXPRESSION: made_up_robot(CO_EXPRESSION, early_s), MIMICRY: made_up_robot(MIMICRY, late_s)}
    return Story(made_up_scene(emg), robots, lambda face_m: face_m)


def test_a_robot_that_is_late_is_told_how_late():
    story = made_up_story()
    for who, late_s in ((CO_EXPRESSION, 0.02), (MIMICRY, 0.3)):
        assert story.timing(who, story.scene.acts[0]).asynchrony_s == pytest.approx(late_s, abs=0.005)
    figures = story.figures()
    assert figures["asynchrony_mimicry_ms"] == pytest.approx(300, abs=5)
    assert figures["asynchrony_coexpression_ms"] == pytest.approx(20, abs=5)


def test_a_weaker_robot_is_not_called_late():
    weak, story = made_up_robot(MIMICRY, 0.1), made_up_story()
    act = story.scene.acts[0]
    story = Story(story.scene, {**story.robots, MIMICRY: replace(weak, motion_m=0.3 * weak.motion_m)}, story.limited)
    assert story.timing(MIMICRY, act).asynchrony_s == pytest.approx(0.1, abs=0.005)
    assert story.timing(MIMICRY, act).error_mm > story.timing(CO_EXPRESSION, act).error_mm


def test_a_robot_that_never_moves_has_no_arrival():
    story = made_up_story()
    still = replace(made_up_robot(MIMICRY, 0.0), motion_m=np.zeros((len(TIMES_S), 468, 3)))
    story = Story(story.scene, {**story.robots, MIMICRY: still}, story.limited)
    timing = story.timing(MIMICRY, story.scene.acts[0])
    assert np.isnan(timing.asynchrony_s)
    assert said(timing.asynchrony_s) == "did not follow"
    assert len(columns_s(story, story.scene.acts[0])) == COLUMNS


def test_expectation_counts_from_when_the_target_is_right():
    # The oracle looks half a second ahead: it knows the face at least half as strong 0.3 s after the onset there.
    story = made_up_story()
    known = story.timing(CO_EXPRESSION, story.scene.acts[0]).known_s
    assert known == pytest.approx(0.36 + 0.5 - 0.2, abs=0.05)


def test_the_moment_at_which_the_emg_rose_and_its_channel():
    scene = made_up_scene()
    rise = scene.emg_rise(scene.acts[0])
    assert rise is not None
    assert rise[1] == 1
    assert 1.85 < rise[0] < 1.95
    assert made_up_scene(emg=False).emg_rise(scene.acts[0]) is None


def test_envelope_does_not_look_ahead():
    scene = made_up_scene()
    assert scene.emg_uv is not None
    later = replace(scene, emg_uv=np.where(np.arange(len(scene.emg_uv))[:, None] < 3000, scene.emg_uv, 500.0))
    assert np.array_equal(scene.envelope_uv[:2990], later.envelope_uv[:2990])


def test_a_filmstrip_begins_before_and_ends_after_everybodys_arrival():
    story = made_up_story()
    act = story.scene.acts[0]
    times = columns_s(story, act)
    assert np.allclose(np.diff(times), times[1] - times[0])
    assert np.abs(times - act.onset_s).min() < 1e-9
    assert times[0] < act.onset_s
    assert times[-1] > story.timing(MIMICRY, act).arrival_s - 0.5 * (times[1] - times[0])


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.3, "300 ms after her"), (-0.04, "40 ms before her"), (0.012, "together with her"), (np.nan, "did not follow")],
)
def test_asynchrony_in_words(seconds, words):
    assert said(seconds) == words


def test_results_without_pictures_of_robots(tmp_path):
    written = report.write_results(made_up_story(), tmp_path, render=False)
    html = written["report"].read_text()
    assert all(s.startswith("data:") for s in re.findall(r'(?:src|href)="([^"]*)', html))
    assert "http" not in html
    assert "300 ms after her" in html
    assert html.index("<img") < html.index("<svg") < html.index("<table")
    assert ">zygomaticus<" in html
    picture = cv2.imread(str(written["picture"]))
    assert picture is not None
    assert picture.shape[1] > 1200
    with written["commands"].open() as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["robot", "time_s", *SERVO_NAMES]
    assert {row[0] for row in rows[1:]} == {CO_EXPRESSION, MIMICRY}
    verify = [sys.executable, "-m", "rerun", "rrd", "verify", str(written["recording"])]
    assert subprocess.run(verify, capture_output=True, timeout=60, check=False).returncode == 0


def test_a_scene_without_expressions_still_has_a_page(tmp_path):
    story = made_up_story()
    nothing = Story(replace(story.scene, acts=()), story.robots, story.limited)
    written = report.write_results(nothing, tmp_path, render=False)
    assert "no expression" in written["report"].read_text()
    assert "picture" not in written


def test_without_opengl_faces_are_line_drawings(tmp_path, monkeypatch, caplog):
    def broken(*args, **kwargs):
        raise GraphicsError("no OpenGL here")

    monkeypatch.setattr(report, "FaceRenderer", broken)
    strips, film = report._drawn(made_up_story(), "porcelain", True)
    assert film is None
    assert strips[0].moment[CO_EXPRESSION].picture is None
    assert "line drawings: no OpenGL here" in caplog.text


def test_an_arrival_counts_from_her_face_before_the_act():
    # Her face does not come back to rest after the first act; the second is measured from there.
    story = made_up_story()
    act = story.scene.acts[0]
    before_m = 0.5 * APEX_M[:, [1, 0, 2]]
    scene = replace(story.scene, face_m=story.scene.face_m + before_m, acts=(replace(act, apex_m=APEX_M + before_m),))
    robots = {who: replace(one, motion_m=one.motion_m + before_m) for who, one in story.robots.items()}
    moved = Story(scene, robots, story.limited)
    assert moved.timing(MIMICRY, scene.acts[0]).asynchrony_s == pytest.approx(0.3, abs=0.005)


def test_the_moment_shown_large_is_one_at_which_the_robots_differ():
    story = made_up_story()
    act = story.scene.acts[0]
    at_s = moment_s(story, act)
    assert act.onset_s < at_s < act.arrival_s + 0.1
    with_her, late = (np.interp(at_s, *story.course(who, act)) for who in ROWS[1:])
    assert with_her > late + 0.5


def test_acts_are_found_in_a_moving_face():
    rng = np.random.default_rng(0)
    faces_m = (ramp(TIMES_S, 1.0) + 0.8 * ramp(TIMES_S, 3.8))[:, None, None] * APEX_M * 30
    faces_m = faces_m + 1e-4 * rng.standard_normal(faces_m.shape)
    acts = found_acts(TIMES_S, faces_m)
    assert len(acts) == 2
    for act, start_s in zip(acts, (1.0, 3.8), strict=True):
        assert act.onset_s == pytest.approx(start_s + 0.04, abs=0.08)
        assert act.arrival_s == pytest.approx(start_s + 0.36, abs=0.1)
    assert found_acts(TIMES_S, 1e-4 * rng.standard_normal(faces_m.shape)) == ()


def test_bad_input(tmp_path):
    with pytest.raises(InputError, match="--seconds"):
        job.run(tmp_path, seconds=0.2)
    with pytest.raises(InputError, match="--video stands alone"):
        job.Who(video="clip.mp4", emg="lsl")
    with pytest.raises(InputError, match="lsl:NAME"):
        job.Who(emg="com3")
    with pytest.raises(InputError, match="--montage"):
        job.Who(emg="lsl", montage=None)
    with pytest.raises(VocabularyError):
        job.run(tmp_path, skin="green")
    with pytest.raises(InputError, match="first smile"):
        job.simulated(0, None, 2.0)


def test_a_film_without_a_face_is_an_error(tmp_path, face_model):
    path = tmp_path / "grey.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (160, 120))
    for _ in range(12):
        writer.write(np.full((120, 160, 3), 90, np.uint8))
    writer.release()
    with pytest.raises(FaceError, match="0 of the 12 frames"):
        filmed(str(path), 2.0)


@pytest.mark.slow
def test_the_whole_job(tmp_path, capsys):
    assert job.run(tmp_path, job.Who(montage=None), seconds=5.0, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert {"asynchrony_mimicry_ms", "asynchrony_coexpression_ms", "lead_ms"} <= said["figures"].keys()
    assert {p.name for p in tmp_path.iterdir()} == {"report.html", "recording.rrd", "commands.csv", "coexpress.png"}


def short_scene(seconds=4.0, emg=True):
    """Her face smiles at 2 s, and with it an EMG of `proximal7` whose third channel speaks."""
    count = round(seconds * 25)
    rng = np.random.default_rng(1)
    channels = Anticipator.default("proximal7").channels
    samples = np.arange(round(seconds * EMG_HZ)) / EMG_HZ
    emg_uv = 3 * rng.standard_normal((len(samples), len(channels)))
    emg_uv[:, 2] *= 1 + 20 * ramp(samples, 1.85)
    whole = made_up_scene(emg=False)
    faces = list(course_m()[:count])
    return replace(
        whole, times_s=TIMES_S[:count], seen=faces, face_m=np.array(faces), mesh_m=whole.mesh_m[:count], acts=(),
        emg_uv=emg_uv if emg else None, channels=channels if emg else (),
    )  # fmt: skip


def played(scene, watcher):
    mind = Coexpressor(Steering(SelfModel.default()), watcher, discretion=Discretion.mirror_all())
    return job.play(scene, Player(CO_EXPRESSION, mind))


def test_both_robots_play_on_the_same_input():
    scene = replace(short_scene(0.8, emg=False), acts=())
    sent, told = [], []

    class Following:
        def step(self, command):
            sent.append(command)

        def write(self, what):
            told.append(what)

    story = job.perform(scene, Knowing(TIMES_S, course_m()), followers=[Following()])
    assert set(story.robots) == {CO_EXPRESSION, MIMICRY}
    for robot in story.robots.values():
        assert robot.commands.shape == (20, 26)
        assert np.isfinite(robot.vertices_m).all()
    assert set(ROWS[1:]) == set(story.robots)
    np.testing.assert_array_equal(sent, story.robots[CO_EXPRESSION].commands)
    assert {type(what) for what in told} == {ClockOffset, Seen}


def test_the_log_of_a_following_robot_holds_what_was_seen_and_heard(tmp_path):
    scene = replace(short_scene(1.0), montage="proximal7", emg_delay_s=0.02)
    assert scene.emg_uv is not None
    mind = Coexpressor(Steering(SelfModel.default()), Anticipator.default("proximal7").stream())
    with followed_by("sim", tmp_path) as followers:
        job.play(scene, Player(CO_EXPRESSION, mind, followers), paced=True)
        followers[0].problem = "gone"  # what is known of her goes on being logged
        followers[0].write(Seen(taken_s=followers[0].session.face.time_s, face_m=None))
    log = Log(tmp_path / "log.mcap")
    (clock,) = (entry.what for entry in log.only(ClockOffset))
    *seen, last = log.only(Seen)
    taken_s = np.array([entry.what.taken_s for entry in seen]) - clock.offset_s
    np.testing.assert_allclose(taken_s, scene.times_s[: len(seen)], atol=1e-6)
    np.testing.assert_allclose([entry.what.face_m for entry in seen], scene.face_m[: len(seen)], atol=1e-7)
    assert len(seen) >= 20
    assert last.what.face_m is None
    assert all(entry.time_s >= entry.what.taken_s + scene.camera_delay_s - 1e-6 for entry in seen)
    blocks = list(log.only(EmgBlock))
    assert all(e.time_s >= e.what.arrival_s >= e.what.host_s[-1] + scene.emg_delay_s - 1e-6 for e in blocks)
    heard = recording_of(log)["emg"]
    np.testing.assert_allclose(heard.data, scene.emg_uv[: len(heard)], atol=1e-3)
    assert len(heard) >= 900
    assert heard.channels == scene.channels
    assert export(log.path, "xdf", tmp_path) == 0
    assert export(log.path, "bids", tmp_path) == 0
    (positions,) = tmp_path.rglob("*_electrodes.tsv")
    assert "ZM" in next(tmp_path.rglob("*_channels.tsv")).read_text()
    assert len(positions.read_text().splitlines()) > 7


def test_a_lost_face_leaves_the_muscles_and_is_told():
    scene = short_scene()
    lost = [face if t < 1.5 else None for t, face in zip(scene.times_s, scene.seen, strict=True)]
    robot = played(replace(scene, seen=lost), Anticipator.default("proximal7").stream())
    assert robot.expected[-1].sources == ("emg",)
    assert "no face" in robot.problems[-1][1]
    assert 1.5 < robot.problems[-1][0] < 2.2
    assert any("no face" in line for line in Story(scene, {CO_EXPRESSION: robot}, lambda face_m: face_m).missed())


def test_dead_channels_and_a_lost_stream_leave_the_camera_and_are_told():
    scene = short_scene()
    assert scene.emg_uv is not None
    dead = scene.emg_uv.copy()
    dead[1000:, 0] = 0.0
    robot = played(replace(scene, emg_uv=dead), Anticipator.default("proximal7").stream())
    assert robot.expected[-1].sources == ("camera", "emg")
    assert f"dead channel {scene.channels[0]}" in robot.problems[-1][1]
    robot = played(replace(scene, emg_uv=scene.emg_uv[:2000]), Anticipator.default("proximal7").stream())
    assert robot.expected[-1].sources == ("camera",)
    assert "no EMG for" in robot.problems[-1][1]


def test_a_gap_and_a_clock_that_jumps_are_told_and_pass():
    scene = short_scene()
    pictures = [t if t < 2.0 else t - 0.15 for t in scene.times_s]
    watcher = Anticipator.default("proximal7").stream()
    mind = Coexpressor(Steering(SelfModel.default()), watcher)
    player, told = Player(CO_EXPRESSION, mind), []
    for k, now_s in enumerate(scene.times_s):
        watcher.see(pictures[k], scene.seen[k])
        if not 1.0 <= now_s < 1.3:
            watcher.hear(now_s, scene.heard(max(now_s - 0.04, 0), now_s))
        player.tick(float(now_s))
        told.append(mind.problem)
    assert any("gap of" in one for one in told)
    assert any("camera's clock jumped" in one for one in told)
    assert told[-1] == ""


def test_both_lost_glides_to_rest():
    scene = short_scene(5.9)
    seen = [4 * face if t < 3.0 else None for t, face in zip(scene.times_s, scene.face_m, strict=True)]
    assert scene.emg_uv is not None
    robot = played(replace(scene, seen=seen, emg_uv=scene.emg_uv[:3000]), Anticipator.default("proximal7").stream())
    smiling, last = np.abs(robot.commands[[robot.tick(3.0), -1]] - REST_COMMAND).max(1)
    assert smiling > 0.05
    assert last < 0.25 * smiling
    assert "nobody seen or heard for" in robot.problems[-1][1]
