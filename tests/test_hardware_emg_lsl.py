"""EMG over LSL: found by name, mapped by label, checked, picked up again; read by the stock client too."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from duchenne.hardware.emg_lsl import LslOutlet, LslSource, library
from duchenne.hardware.emg_source import EmgInfo
from duchenne.sim.errors import InputError, VocabularyError

pylsl = pytest.importorskip("pylsl")

SESSION = f"duchenne-test-{os.getpid()}"
TEN = tuple(f"E{k + 1}" for k in range(10))


@pytest.fixture(autouse=True)
def _session():
    library(SESSION)


def outlet(name, channels=("cheek", "brow", "lip"), rate_hz=1000.0, **more):
    return LslOutlet(EmgInfo(name=name, channels=channels, rate_hz=rate_hz, source_id=f"id-{name}", **more))


def foreign(name, count, unit: str | None = "millivolts"):
    """A stream as somebody else's program makes it."""
    info = pylsl.StreamInfo(name, "EMG", count, 500.0, "double64", f"id-{name}")
    if unit:
        info.set_channel_units(unit)
    return pylsl.StreamOutlet(info)


def read_all(source, count, within_s=3.0):
    blocks, until_s = [], time.monotonic() + within_s
    while sum(map(len, blocks)) < count and time.monotonic() < until_s:
        blocks.append(source.read(0.05))
    return blocks


def test_channels_come_by_name_with_exact_stamps_and_all_that_is_known_of_them(rng):
    electrodes = {"names": ["a", "b"], "target_muscles": ["zygomaticus major, right", "n/a", "n/a"]}
    with (
        outlet("by-name", montage="three", electrodes=electrodes, device="glasses") as sent,
        LslSource(name="by-name", channels=("lip", "Cheek")) as source,
    ):
        info = source.info
        assert (info.channels, info.rate_hz, info.montage) == (("lip", "Cheek"), 1000.0, "three")
        assert (info.device, info.source_id) == ("glasses", "id-by-name")
        assert info.electrodes == {"names": ["a", "b"], "target_muscles": ["n/a", "zygomaticus major, right"]}
        assert info.clock.startswith("LSL of ")
        assert len(source.read(0.0)) == 0
        values = rng.normal(0, 20, (100, 3)).astype(np.float32)
        taken_s = time.monotonic()
        assert sent.listened_to
        for at in range(0, 100, 10):
            sent.push(values[at : at + 10], taken_s + (at + 9) / 1000)
        blocks = read_all(source, 100)
        np.testing.assert_array_equal(np.concatenate([b.emg_uv for b in blocks]), values[:, [2, 0]])
        host_s = np.concatenate([b.host_s for b in blocks])
        assert host_s == pytest.approx(taken_s + np.arange(100) / 1000, abs=2e-3)
        assert np.diff(host_s) == pytest.approx(1e-3, abs=1e-6)
        assert not any(b.gaps for b in blocks)
        assert abs(blocks[-1].offset.offset_s) < 5e-3
        assert blocks[-1].offset.uncertainty_s is not None
        with pytest.raises(InputError, match="NaN"):
            sent.push(np.full((1, 3), np.nan), taken_s)
        with pytest.raises(InputError, match=r"\(n, 3\)"):
            sent.push(np.zeros((1, 2)), taken_s)
    with pytest.raises(InputError, match="closed"):
        source.read()


def test_a_foreign_stream_is_scaled_to_microvolts_and_may_be_called_by_name():
    sent = foreign("bridge", 2)
    with LslSource(name="bridge", called=("cheek", "brow"), channels=("brow",)) as source:
        source.read(0.0)
        sent.push_chunk(np.array([[1.0, 0.5], [2.0, 0.25]]), pylsl.local_clock())
        blocks = read_all(source, 2)
        assert np.concatenate([b.emg_uv for b in blocks]).tolist() == [[500.0], [250.0]]
        assert source.info.rate_hz == 500.0


def test_a_stream_that_is_not_what_is_wanted_is_one_clear_error():
    with outlet("seven", TEN[:7]), pytest.raises(VocabularyError) as missing:
        LslSource(name="seven", channels=TEN)
    assert "'seven' lacks E8, E9, E10 of the 10 wanted channels; it has 7: E1, E2" in str(missing.value)
    with outlet("slow", rate_hz=995.0), pytest.raises(InputError, match="995 samples a second, wanted are 1000"):
        LslSource(name="slow", rate_hz=1000.0)
    bare = foreign("bare", 2, unit=None)
    with pytest.raises(InputError, match="channel emg1 of LSL stream 'bare' is in ''"):
        LslSource(name="bare")
    with pytest.raises(InputError, match="2 channels, 1 are called"):
        LslSource(name="bare", called=("cheek",), unit="uV")
    with outlet("seven", TEN[:7]), outlet("bare", TEN), pytest.raises(InputError) as several:
        LslSource()
    assert "3 LSL streams have type='EMG'" in str(several.value)
    assert "'seven' (EMG, 7 channels, 1000 Hz, source id 'id-seven'" in str(several.value)
    del bare
    with outlet("there"), pytest.raises(InputError, match=r"no LSL stream with .*'elsewhere'.*there are 'there'"):
        LslSource(name="elsewhere", timeout_s=0.3)


def test_sessions_are_named_once_in_a_process():
    with pytest.raises(InputError, match="cannot change to 'another'"):
        LslSource(session="another")


def test_the_stock_client_reads_labels_units_and_samples():
    with outlet("stock") as sent:
        (found,) = pylsl.resolve_byprop("source_id", "id-stock", 1, 3.0)
        inlet = pylsl.StreamInlet(found)
        info = inlet.info(3.0)
        assert info.get_channel_labels() == ["cheek", "brow", "lip"]
        assert info.get_channel_units() == ["microvolts"] * 3
        assert info.get_channel_types() == ["EMG"] * 3
        assert (info.name(), info.type(), info.nominal_srate()) == ("stock", "EMG", 1000.0)
        inlet.open_stream(3.0)
        sent.push(np.arange(6).reshape(2, 3), time.monotonic())
        assert inlet.pull_sample(2.0)[0] == [0.0, 1.0, 2.0]
        assert inlet.pull_sample(2.0)[0] == [3.0, 4.0, 5.0]


_SENDER = """
import sys, time, numpy as np
from duchenne.hardware.emg_lsl import LslOutlet
from duchenne.hardware.emg_source import EmgInfo
info = EmgInfo(name="mortal", channels=tuple(sys.argv[2].split(",")), rate_hz=1000.0, source_id="mortal-1")
outlet, start, n = LslOutlet(info, session=sys.argv[1]), time.monotonic(), 0
print("up", flush=True)
while True:
    n += 10
    time.sleep(max(0.0, start + n / 1000 - time.monotonic()))
    outlet.push(np.random.default_rng(n).normal(0, 20, (10, 2)), start + n / 1000)
"""


class Sender:
    """An outlet in a process of its own, which is killed without a word."""

    def __init__(self, channels="cheek,brow"):
        command = [sys.executable, "-c", _SENDER, SESSION, channels]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "up\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def test_a_killed_sender_is_picked_up_again_and_reported_as_a_gap():
    with Sender():
        source = LslSource(source_id="mortal-1", channels=("brow", "cheek"))
        before = read_all(source, 300)[-1]
        assert source.health().problem == ""
    began = time.monotonic()
    assert [len(b) for b in read_all(source, 10**6, 0.6)][-1] == 0
    assert time.monotonic() - began < 0.8
    assert source.health().problem.startswith("the stream is lost")
    assert not source.health().alive
    with Sender():
        after = next(b for b in iter(lambda: source.read(0.1), None) if b.gaps)
        (gap,) = after.gaps
        assert (gap.at, gap.why) == (0, "the stream was lost and came back")
        assert gap.seconds == pytest.approx(after.host_s[0] - before.host_s[-1], abs=0.3)
        assert gap.missing == pytest.approx(1000 * gap.seconds, abs=1)
        assert after.host_s[-1] < after.arrival_s < after.host_s[-1] + 2.0
        read_all(source, 300)
        assert source.health().problem == "" or source.health().problem == gap.why
        assert source.health().gaps == 1
    with Sender("cheek,chin"), pytest.raises(VocabularyError, match="lacks brow"):
        read_all(source, 10**6, 5.0)
    source.close()
