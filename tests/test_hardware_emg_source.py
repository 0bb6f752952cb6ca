"""Blocks, clocks and gaps of EMG that comes in, without any device; recordings played again."""

import numpy as np
import pytest

from duchenne.hardware.emg_files import ReplaySource
from duchenne.hardware.emg_source import ClockOffset, Continuity, EmgBlock, EmgInfo, microvolts, places_of
from duchenne.sim.errors import InputError, VocabularyError
from duchenne.sim.recording import Recording, Stream

RATE_HZ = 1000.0
SAME = ClockOffset(time_s=0.0, offset_s=0.0)


def feed(continuity, stamps, emg_uv=None, *, late_s=0.005, count=10, offset=SAME):
    """Blocks of `count` samples, each of which arrives a little after its last sample."""
    values = np.random.default_rng(0).normal(0, 20, (len(stamps), 2)) if emg_uv is None else emg_uv
    return [
        continuity.block(
            stamps[at : at + count], values[at : at + count],
            float(stamps[min(at + count, len(stamps)) - 1]) + offset.offset_s + late_s, offset,
        )
        for at in range(0, len(stamps), count)
    ]  # fmt: skip


def test_even_samples_make_no_gaps_and_are_numbered():
    continuity = Continuity("ab", RATE_HZ)
    blocks = feed(continuity, 7.0 + np.arange(4000) / RATE_HZ)
    assert [block.number for block in blocks] == list(range(0, 4000, 10))
    assert not any(block.gaps for block in blocks)
    health = continuity.health(11.0)
    assert (health.alive, health.received, health.lost, health.problem) == (True, 4000, 0, "")
    assert health.rate_hz == pytest.approx(1000.0)


@pytest.mark.parametrize("lost", [1, 7, 500])
def test_missing_samples_are_one_gap_with_their_number(lost):
    continuity = Continuity("ab", RATE_HZ)
    stamps = np.arange(4000) / RATE_HZ
    blocks = feed(continuity, np.delete(stamps, slice(2345, 2345 + lost)))
    (gap,) = [gap for block in blocks for gap in block.gaps]
    assert gap.missing == lost
    assert gap.seconds == pytest.approx(lost / RATE_HZ)
    numbers = np.concatenate([np.rint(block.host_s * RATE_HZ).astype(int)[:1] for block in blocks])
    after = [block.number for block in blocks]
    broken = next(k for k, block in enumerate(blocks) if block.gaps)
    assert after[broken + 1 :] == numbers[broken + 1 :].tolist()
    assert continuity.health(4.0).lost == lost


def test_stamps_made_on_arrival_jitter_without_gaps_but_a_long_loss_is_found(rng):
    stamps = np.arange(8000) / RATE_HZ
    jittered = stamps + np.repeat(rng.uniform(0, 0.004, 800), 10)
    blocks = feed(Continuity("ab", RATE_HZ), np.delete(jittered, slice(6000, 6100)))
    assert [gap.missing for block in blocks for gap in block.gaps] == [pytest.approx(100, abs=5)]


def test_what_is_no_number_becomes_a_gap_and_is_named(rng):
    values = rng.normal(0, 20, (3000, 2))
    values[2000:2003, 1] = np.nan
    continuity = Continuity(("cheek", "brow"), RATE_HZ)
    blocks = feed(continuity, np.arange(3000) / RATE_HZ, values)
    (gap,) = [gap for block in blocks for gap in block.gaps]
    assert (gap.missing, gap.why) == (3, "brow sent what is no number")
    assert all(np.isfinite(block.emg_uv).all() for block in blocks)
    broken = Continuity(("cheek", "brow"), RATE_HZ)
    feed(broken, np.arange(100) / RATE_HZ, np.full((100, 2), np.nan))
    assert "sent what is no number" in broken.health(0.1).problem


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_clock_that_jumps_is_no_loss(step_s):
    stamps = 5000.0 + np.arange(4000) / RATE_HZ
    arrivals = stamps + 0.005
    stamps[2000:] += step_s
    continuity, gaps = Continuity("ab", RATE_HZ), []
    values = np.random.default_rng(0).normal(0, 20, (4000, 2))
    for at in range(0, 4000, 10):
        piece = slice(at, at + 10)
        gaps += continuity.block(stamps[piece], values[piece], float(arrivals[at + 9]), SAME).gaps
    (gap,) = gaps
    assert gap.missing == 0
    assert "clock jumped" in gap.why


def test_a_restart_is_a_gap_even_if_nothing_is_missing():
    continuity = Continuity("ab", RATE_HZ)
    stamps = np.arange(2000) / RATE_HZ
    feed(continuity, stamps[:1000])
    continuity.broke("unplugged")
    (block, *_) = feed(continuity, stamps[1000:])
    assert [(gap.at, gap.missing, gap.why) for gap in block.gaps] == [(0, 0, "unplugged")]


def test_health_tells_a_wrong_rate_a_flat_channel_and_silence(rng):
    slow = Continuity("ab", RATE_HZ)
    feed(slow, np.arange(8000) / 995.0)
    assert "995.0 Hz" in slow.health(8.05).problem
    values = rng.normal(0, 20, (3000, 2))
    values[:, 0] = 0.0
    flat = Continuity(("cheek", "brow"), RATE_HZ)
    feed(flat, np.arange(3000) / RATE_HZ, values)
    assert flat.health(3.0).problem == "flat: cheek"
    assert "no EMG for 2.0 s" in flat.health(3.0 + 2.004).problem
    assert Continuity("ab", RATE_HZ).health(1.0).problem == "no EMG yet"


def test_channels_are_found_by_name_in_the_order_wanted():
    assert places_of(("c", "A"), ("a", "b", "C"), "x") == [2, 0]
    with pytest.raises(VocabularyError, match="lacks d, e of the 3 wanted channels; it has 3: a, b, c"):
        places_of(("a", "d", "e"), ("a", "b", "c"), "x")
    with pytest.raises(InputError, match="same name"):
        places_of(("a",), ("a", "A"), "x")


def test_units_infos_and_blocks_are_checked():
    assert microvolts("mV", "x") == 1e3
    with pytest.raises(InputError, match="counts"):
        microvolts("counts", "x")
    with pytest.raises(InputError, match="a is there twice"):
        EmgInfo(name="x", channels=("a", "a"), rate_hz=1000.0)
    with pytest.raises(InputError, match="rate of 0"):
        EmgInfo(name="x", channels=("a",), rate_hz=0.0)
    with pytest.raises(InputError, match="NaN"):
        EmgBlock(number=0, device_s=np.zeros(1), emg_uv=np.full((1, 1), np.nan), arrival_s=0.0, offset=SAME)


def test_a_recording_comes_again_whole_in_order_and_in_time(rng):
    data = rng.normal(0, 0.02, (2500, 2))
    recording = Recording([Stream("emg", data, RATE_HZ, 3.0, ("cheek", "brow"), "mV")], info={"montage": "pair"})
    now = [100.0]
    source = ReplaySource.of_recording(recording)
    source._clock, source._sleep = lambda: now[0], lambda seconds: now.__setitem__(0, now[0] + seconds)
    blocks = []
    while not source.ended:
        block = source.read(0.015)
        assert block.arrival_s <= now[0] + 1e-9
        blocks += [block] if len(block) else []
    assert np.concatenate([block.emg_uv for block in blocks]) == pytest.approx(1e3 * data, rel=1e-6)
    host_s = np.concatenate([block.host_s for block in blocks])
    assert np.diff(host_s) == pytest.approx(1 / RATE_HZ)
    assert blocks[0].device_s[0] == 3.0
    assert now[0] == pytest.approx(102.48, abs=0.02)
    assert (source.info.montage, source.health().problem) == ("pair", "the recording is over")


def test_holes_of_a_recording_are_gaps(rng):
    data = rng.normal(0, 20, (2000, 2))
    data[500:520] = np.nan
    recording = Recording([Stream("emg", data, RATE_HZ, 0.0, ("cheek", "brow"), "uV", gaps=True)])
    with ReplaySource.of_recording(recording, paced=False) as source:
        gaps = []
        while not source.ended:
            gaps += source.read().gaps
        assert [(gap.missing, gap.why) for gap in gaps] == [(20, "cheek, brow sent what is no number")]
        assert (source.health().received, source.health().lost) == (1980, 20)
