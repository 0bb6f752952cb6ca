"""`duchenne coexpress --camera --emg lsl`: made-up cameras and EMG in real time, and a true LSL stream."""

import threading
import time
from dataclasses import dataclass

import numpy as np
import pytest

from duchenne.hardware.emg_source import ClockOffset, Continuity, EmgBlock, EmgInfo, EmgSource
from duchenne.learning.anticipation import Anticipator
from duchenne.learning.expectation import Copying
from duchenne.learning.motion_anticipation import MotionWatcher
from duchenne.learning.self_model import SelfModel
from duchenne.scenarios import coexpress_live as here
from duchenne.scenarios.coexpress_play import Player
from duchenne.scenarios.coexpress_scene import CO_EXPRESSION, MIMICRY
from duchenne.sim import mesh
from duchenne.sim.camera import Face, Sighting
from duchenne.sim.errors import FaceError, InputError
from duchenne.sim.facs import BLENDSHAPES
from duchenne.sim.frames import FrameSource, open_frames
from duchenne.sim.robot.servo import REST_COMMAND
from duchenne.twin.both_senses import BothSenses
from duchenne.twin.coexpress import Coexpressor
from duchenne.twin.discretion import Discretion
from duchenne.twin.log_entries import Seen
from duchenne.twin.steering import Steering
from duchenne.twin.timing import Mimicry

CHANNELS = Anticipator.default("proximal7").channels
IRISES = [np.tile(mesh.REST[list(loop)].mean(0), (5, 1)) for loop in (mesh.EYE_RIGHT, mesh.EYE_LEFT)]
POINTS = np.concatenate([mesh.REST, *IRISES])
FACE = Face(POINTS, POINTS, np.zeros(len(BLENDSHAPES)), np.eye(4), {})


class Camera(FrameSource):
    """Pictures in real time; their brightness says whether there is a face."""

    def __init__(self, seconds, faceless=(9.0, 9.0)):
        super().__init__("camera", "camera:0", 25.0, None)
        self._count, self._faceless = round(seconds * 25), faceless

    def __iter__(self):
        pictures = np.full((self._count, 60, 80, 3), 200, np.uint8)
        low, high = (round(25 * one) for one in self._faceless)
        pictures[low:high] = 0
        with open_frames(pictures) as frames:
            for frame in frames:
                time.sleep(0.04)
                yield frame
        self.problem = "camera:0 stopped sending"


class Reader:
    """Finds a face in a bright picture."""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def read(self, rgb, time_s):
        return Sighting(time_s, FACE if rgb.max() > 100 else None)


@dataclass
class Emg(EmgSource):
    """Noise in real time, for so long."""

    seconds: float

    def __post_init__(self):
        self.info = EmgInfo(name="armband", channels=CHANNELS, rate_hz=1000.0)
        self._sent, self._begun_s = 0, time.monotonic()
        self._continuity = Continuity(CHANNELS, 1000.0, even=True)
        self._rng = np.random.default_rng(0)

    def read(self, timeout_s=0.1):
        due = round(1000 * min(time.monotonic() - self._begun_s, self.seconds))
        stamps = self._begun_s + np.arange(self._sent + 1, due + 1) / 1000
        self._sent = due
        emg_uv = 5 * self._rng.standard_normal((len(stamps), len(CHANNELS)))
        return self._continuity.block(stamps, emg_uv, time.monotonic(), ClockOffset(time_s=0.0, offset_s=0.0))

    def health(self):
        return self._continuity.health(time.monotonic())

    def close(self):
        pass


@pytest.fixture(autouse=True)
def _reader(monkeypatch):
    monkeypatch.setattr(here, "FaceReader", Reader)


@pytest.fixture
def players():
    def make(watcher):
        model = SelfModel.default()
        after = Coexpressor(Steering(model), Copying(), timing=Mimicry(), discretion=Discretion.mirror_all())
        return [Player(CO_EXPRESSION, Coexpressor(Steering(model), watcher)), Player(MIMICRY, after)]

    return make


def both():
    return BothSenses(MotionWatcher(), Anticipator.default("proximal7").stream())


def told(players):
    return [text for _, text in players[0].played().problems]


def test_a_camera_and_emg_at_once(players):
    robots = players(both())
    scene = here.live(Camera(3.0), Emg(3.0), robots, 2.0)
    assert scene.source == "camera:0 and armband"
    assert scene.channels == CHANNELS
    assert scene.emg_uv is not None
    assert len(scene.emg_uv) == round(scene.duration_s * 1000)
    assert np.count_nonzero(np.abs(scene.emg_uv).max(1)) > 0.9 * len(scene.emg_uv)
    assert 0 < scene.camera_delay_s < 0.2
    played = robots[0].played()
    assert played.expected[-1].sources == ("camera", "emg")
    assert np.abs(played.commands[-1] - REST_COMMAND).max() < 0.05
    assert scene.acts == ()


def test_followers_are_told_what_is_seen_and_heard():
    told = []

    class Following:
        def step(self, command):
            pass

        def write(self, what):
            told.append(what)

    mind = Coexpressor(Steering(SelfModel.default()), both())
    begun_s = time.monotonic()
    scene = here.live(Camera(2.0, faceless=(0.6, 0.8)), Emg(2.0), [Player(CO_EXPRESSION, mind, [Following()])], 1.2)
    kinds = [type(what) for what in told]
    assert kinds[0] is EmgInfo
    assert kinds.count(ClockOffset) == 1
    assert kinds.index(ClockOffset) < kinds.index(Seen)
    clock = told[kinds.index(ClockOffset)]
    taken_s = np.array([what.taken_s for what in told if isinstance(what, Seen)])
    pictures = (taken_s - clock.offset_s) * 25  # by the camera's own clock they come 25 times a second
    np.testing.assert_allclose(pictures, np.round(pictures), atol=1e-3)
    assert ((taken_s > begun_s) & (taken_s < begun_s + 1.5)).all()
    lost = [what.face_m is None for what in told if isinstance(what, Seen)]
    assert 0 < sum(lost) <= 5
    heard = np.concatenate([what.emg_uv for what in told if isinstance(what, EmgBlock)])
    assert scene.emg_uv is not None
    assert len(heard) > 900


def test_a_camera_that_ends_leaves_the_emg_and_is_told(players):
    robots = players(both())
    scene = here.live(Camera(0.8), Emg(3.0), robots, 2.0)
    assert "camera:0 stopped sending" in scene.notes
    assert robots[0].played().expected[-1].sources == ("emg",)
    assert "no pictures for" in told(robots)[-1]


def test_emg_that_ends_leaves_the_camera_and_is_told(players):
    robots = players(both())
    here.live(Camera(3.0), Emg(1.2), robots, 2.0)
    assert robots[0].played().expected[-1].sources == ("camera",)
    assert "no EMG for" in told(robots)[-1]


def test_a_face_that_was_never_seen_leaves_what_muscles_tell(players):
    robots = players(both())
    scene = here.live(Camera(3.0, faceless=(0, 3)), Emg(3.0), robots, 1.8)
    assert any("her face was not seen" in note for note in scene.notes)
    assert robots[0].played().expected[-1].sources == ("emg",)
    assert scene.face_m.shape == (len(scene.times_s), 468, 3)


def test_nobody_at_all_is_an_error(players):
    with pytest.raises(FaceError, match="nobody was seen or heard: none of"):
        here.live(Camera(0.6, faceless=(0, 1)), None, players(MotionWatcher()), 0.8)
    with pytest.raises(FaceError, match="nothing came from armband"):
        here.live(None, Emg(0.0), players(Anticipator.default("proximal7").stream()), 0.3)


def test_a_camera_alone_that_ends_ends_it_after_a_farewell(players, monkeypatch):
    monkeypatch.setattr(here, "FAREWELL_S", 0.3)
    robots = players(MotionWatcher())
    here.live(Camera(0.8), None, robots, 30.0)
    assert robots[0].played().times_s[-1] < 3.0


def test_ctrl_c_keeps_what_was_until_then(players, monkeypatch):
    robots, tick, stopped_s = players(MotionWatcher()), Player.tick, []

    def interrupted(self, now_s):
        if now_s > 1.0:
            stopped_s.append(now_s)
            raise KeyboardInterrupt
        return tick(self, now_s)

    monkeypatch.setattr(Player, "tick", interrupted)
    scene = here.live(Camera(3.0), None, robots, 30.0)
    assert 0.7 < scene.duration_s < stopped_s[0] + 0.2  # where a busy machine asks late
    assert len(robots[0].played().times_s) > 10


def test_emg_over_lsl(players):
    pytest.importorskip("pylsl")
    from duchenne.hardware.emg_lsl import LslOutlet

    info = EmgInfo(name="coexpress test", channels=CHANNELS, rate_hz=1000.0, source_id="coexpress-test")
    done = threading.Event()
    with LslOutlet(info) as outlet:

        def send():
            source = Emg(30.0)
            while not done.wait(0.02):
                block = source.read()
                if len(block):
                    outlet.push(block.emg_uv, float(block.host_s[-1]))

        sender = threading.Thread(target=send)
        sender.start()
        try:
            with here.open_emg("lsl:coexpress test", CHANNELS) as source:
                robots = players(Anticipator.default("proximal7").stream(source.info.rate_hz))
                scene = here.live(None, source, robots, 2.5)
        finally:
            done.set()
            sender.join()
    assert scene.source == "coexpress test"
    assert "EMG alone" in scene.senses
    assert robots[0].played().expected[-1].sources == ("emg",)
    with pytest.raises(InputError, match="no LSL stream"):
        here.open_emg("lsl:nobody", CHANNELS, timeout_s=0.2)
