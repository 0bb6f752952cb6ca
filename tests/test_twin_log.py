"""The log of record: everything comes back exactly, also after a kill, a cut or a fault of the disk."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from duchenne.hardware.bus import Feedback
from duchenne.hardware.emg_files import ReplaySource
from duchenne.hardware.emg_source import ClockOffset, EmgBlock, EmgInfo, Gap
from duchenne.hardware.guard import Event
from duchenne.sim.errors import InputError
from duchenne.twin.log import FLUSH_S, Log, LogWriter
from duchenne.twin.log_entries import Command, Seen

pytest.importorskip("mcap")


@pytest.fixture
def entries(rng):
    """One of each kind, with what is hard to write down."""
    asked = rng.random(26)
    asked[3], asked[4], asked[5] = np.nan, np.inf, -np.inf
    return [
        EmgInfo(name="x", channels=("cheek", "brow"), rate_hz=1000.0, electrodes={"names": ["a", "b"]}),
        Command(asked=asked, sent=rng.random(26)),
        Command(asked=rng.random((2, 13)), sent=None),
        Feedback(time_s=1.5, position=np.full(26, np.nan), error=np.arange(26.0)),
        Event(2.0, "rejected", "skin", "too far “é”"),
        EmgBlock(
            number=7,
            device_s=1 / 3 + np.arange(5) / 1000,
            emg_uv=rng.normal(0, 20, (5, 2)).astype(np.float32),
            arrival_s=9.1,
            offset=ClockOffset(time_s=8.0, offset_s=-1e-5, uncertainty_s=None),
            gaps=(Gap(at=2, missing=3, seconds=0.003, why="lost"),),
        ),
        Seen(taken_s=0.96, face_m=rng.normal(0, 1e-3, (468, 3)).astype(np.float32)),
        Seen(taken_s=1.0, face_m=None),
        ClockOffset(time_s=1.0, offset_s=2.0, uncertainty_s=1e-4),
    ]


def test_everything_comes_back_exactly(tmp_path, entries):
    path = tmp_path / "log.mcap"
    with LogWriter(path, about={"robot": "sim", "fps": 25}) as log:
        log.attach("limits.json", '{"a": 1}')
        for k, what in enumerate(entries):
            log.write(100.0 + 0.01 * k, what)
        log.attach("map.bin", b"\x00\x01")
    log = Log(path)
    assert log.complete
    assert (log.about["robot"], log.about["fps"]) == ("sim", "25")
    assert abs(float(log.about["unix_s"]) - time.time()) < 60
    assert log.attachments["limits.json"].data == b'{"a": 1}'
    assert log.attachments["map.bin"].data == b"\x00\x01"
    read = list(log)
    assert [entry.time_s for entry in read] == pytest.approx([100.0 + 0.01 * k for k in range(len(entries))])
    for entry, wanted in zip(read, entries, strict=True):
        assert type(entry.what) is type(wanted)
        for name, value in vars(wanted).items():
            got = getattr(entry.what, name)
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(got, value.ravel() if name == "asked" else value)
            else:
                assert got == value
    assert [type(entry.what) for entry in log.only(Event, Command)] == [Command, Command, Event]


def test_other_tools_read_it(tmp_path, entries):
    from mcap.reader import make_reader

    path = tmp_path / "log.mcap"
    with LogWriter(path) as log:
        for what in entries:
            log.write(1.0, what)
    with open(path, "rb") as file:
        reader = make_reader(file)
        topics = [channel.topic for _, channel, _ in reader.iter_messages()]
        summary = reader.get_summary()
    assert summary is not None
    assert sorted(topics).count("/command") == 2
    assert all(schema.encoding == "jsonschema" for schema in summary.schemas.values())


def test_a_log_cut_anywhere_gives_its_beginning(tmp_path):
    path, cut = tmp_path / "log.mcap", tmp_path / "cut.mcap"
    with LogWriter(path) as log:
        for k in range(200):
            log.write(float(k), Command(asked=np.full(26, k / 200)))
            if k % 20 == 19:
                log.attach(f"{k}", "flushes")
    whole = path.read_bytes()
    known = [entry.time_s for entry in Log(path)]
    assert known == list(range(200))
    seen = set()
    for size in np.linspace(3000, len(whole) - 1, 40).astype(int):
        cut.write_bytes(whole[:size])
        log = Log(cut)
        read = [entry.time_s for entry in log]
        assert read == known[: len(read)]
        assert not log.complete
        seen.add(len(read))
    assert max(seen) == 200
    assert len(seen) > 5
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    cut.write_bytes(damaged)
    assert not Log(cut).complete


def test_what_is_no_log_says_so(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        Log(tmp_path / "none.mcap")
    (tmp_path / "text.mcap").write_text("hello, this is no log at all")
    with pytest.raises(InputError, match="is no log"):
        Log(tmp_path / "text.mcap")
    (tmp_path / "empty.mcap").touch()
    with pytest.raises(InputError, match="is no log"):
        Log(tmp_path / "empty.mcap")


def test_wrong_use_is_told_and_nothing_is_written_over(tmp_path):
    path = tmp_path / "log.mcap"
    with LogWriter(path) as log:
        with pytest.raises(InputError, match="no place for str"):
            log.write(0.0, "hello")
        with pytest.raises(InputError, match="monotonic"):
            log.write(float("nan"), Command())
    with pytest.raises(InputError, match="exists"):
        LogWriter(path)
    assert Log(path).complete


def test_a_disk_that_fails_does_not_stop_the_robot_but_is_told(tmp_path):
    log = LogWriter(tmp_path / "log.mcap")
    log._file.close()
    for k in range(3):
        log.write(float(k), Command(asked=np.zeros(26)))
    log.attach("a", "b")
    assert log.problem
    with pytest.raises(InputError, match="not complete"):
        log.close()


_WRITER = """
import sys, time, numpy as np
from duchenne.twin.log import LogWriter
from duchenne.twin.log_entries import Command
log = LogWriter(sys.argv[1])
log.attach("config.json", "{}")
rng = np.random.default_rng(0)
while True:
    now = time.monotonic()
    log.write(now, Command(asked=rng.random(26)))
    print(now, flush=True)
    time.sleep(0.01)
"""


def test_a_killed_writer_loses_less_than_a_second_and_replays_the_same_commands(tmp_path):
    path = tmp_path / "log.mcap"
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        times = [float(child.stdout.readline()) for _ in range(120)]
        child.send_signal(signal.SIGKILL)
        times += [float(line) for line in child.stdout.read().split()]
    log = Log(path)
    read = list(log.only(Command))
    assert not log.complete
    assert "config.json" in log.attachments
    assert times[-1] - read[-1].time_s < 2 * FLUSH_S < 1.0
    rng = np.random.default_rng(0)
    for entry, when in zip(read, times, strict=False):
        assert entry.time_s == pytest.approx(when, abs=1e-8)
        np.testing.assert_array_equal(entry.what.asked, rng.random(26))


def test_replay_keeps_time(tmp_path):
    with LogWriter(tmp_path / "log.mcap") as log:
        for k in range(5):
            log.write(50.0 + 0.4 * k, Command(asked=np.full(26, 0.1 * k)))
            log.write(50.1 + 0.4 * k, ClockOffset(time_s=0.0, offset_s=0.0))
    now = [7.0]
    came = [
        (now[0], entry.time_s)
        for entry in Log(tmp_path / "log.mcap").replay(
            Command, clock=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds)
        )
    ]
    assert np.array(came) == pytest.approx(np.array([(7.0 + 0.4 * k,) * 2 for k in range(5)]))


def test_logged_emg_is_a_source_again(tmp_path, rng):
    info = EmgInfo(name="x", channels=("a", "b"), rate_hz=1000.0)
    values = rng.normal(0, 20, (3, 10, 2)).astype(np.float32)
    with LogWriter(tmp_path / "log.mcap") as log:
        log.write(0.0, info)
        for k in range(3):
            stamps = 500 + 0.01 * k + np.arange(10) / 1000
            offset = ClockOffset(time_s=0.0, offset_s=-480.0, uncertainty_s=1e-4)
            block = EmgBlock(
                number=40 + 10 * k, device_s=stamps, emg_uv=values[k], arrival_s=20.02 + 0.01 * k, offset=offset
            )
            log.write(block.arrival_s, block)
    blocks = (entry.what for entry in Log(tmp_path / "log.mcap").only(EmgBlock))
    source = ReplaySource(info, blocks, paced=False)
    read = []
    while not source.ended:
        read.append(source.read())
    np.testing.assert_array_equal([block.emg_uv for block in read], values)
    assert [block.number for block in read] == [0, 10, 20]
    assert read[2].device_s[0] == pytest.approx(500.02)
    assert [block.arrival_s - block.host_s[-1] for block in read] == pytest.approx([0.011] * 3)
