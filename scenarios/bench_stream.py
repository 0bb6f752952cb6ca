"""`duchenne bench stream`: ten channels at 1 kHz over LSL from another process, counted, timed and decoded live.

An eleventh channel carries each sample's number, so that what is lost or out of order is known whatever stamps say.
Latency is from the moment at which a sample was taken until it is in the reader's hands; both processes read the same
clock. While samples come in, an anticipator decodes them as in `duchenne stream read`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from ..hardware.emg_lsl import LslOutlet, LslSource, library
from ..hardware.emg_source import EmgInfo
from ..learning.anticipation import Anticipator
from ..sim.errors import DuchenneError
from .one_core import ONE_CORE
from .stream_read import LiveReading

Progress = Callable[[int, int], None]
Figures = dict[str, float]

SECONDS = 600.0
MONTAGE = "epidermal10"
RATE_HZ = 1000.0
CHUNK = 5
_COUNTER = "number"
_WRAP = 2**20
"""Numbers below 2²⁴ are exact in float32."""


def bench_stream(
    progress: Progress = lambda done, total: None,
    seconds: float = SECONDS,
    anticipator: Anticipator | None = None,
    session: str | None = None,
) -> Figures:
    """`lost`, `reordered`, `gaps`, `rate_hz`, latencies and times of decoding over so many seconds.

    anticipator: that decodes, and names the channels; by default the shipped one of `MONTAGE`. session: of LSL, by
    default one of this process's own. Raises `DuchenneError` if the sending process fails.
    """
    anticipator = anticipator or Anticipator.default(MONTAGE)
    source_id = f"duchenne-bench-{os.getpid()}"
    session = session or source_id
    library(session)
    command = [sys.executable, "-m", "duchenne.scenarios.bench_stream", session, source_id, *anticipator.channels]
    with subprocess.Popen(command, env={**os.environ, **ONE_CORE}, stdin=subprocess.PIPE) as sender:
        try:
            with LslSource(
                source_id=source_id, channels=(*anticipator.channels, _COUNTER), rate_hz=RATE_HZ, timeout_s=30.0
            ) as source:
                return _measure(source, LiveReading(anticipator, RATE_HZ), seconds, progress, sender)
        finally:
            sender.kill()


def _measure(
    source: LslSource, reading: LiveReading, seconds: float, progress: Progress, sender: subprocess.Popen[bytes]
) -> Figures:
    numbers, late_s, gaps, started_s = [], [], 0, time.monotonic()
    while (passed_s := time.monotonic() - started_s) < seconds:
        block = source.read()
        if not len(block):
            if sender.poll() is not None:
                raise DuchenneError(f"the benchmark's sending process ended with exit code {sender.returncode}")
            continue
        numbers.append(block.emg_uv[:, -1])
        late_s.append(block.arrival_s - block.host_s)
        gaps += len(block.gaps)
        reading.hear(block.only(len(source.info.channels) - 1))
        progress(int(passed_s), int(seconds))
    late_ms = 1e3 * np.concatenate(late_s)
    steps = np.diff(np.concatenate(numbers).astype(int)) % _WRAP
    backwards = steps > _WRAP // 2
    decode_ms = 1e3 * np.array(reading.decode_s)
    return {
        "seconds": passed_s,
        "samples": float(len(late_ms)),
        "lost": float((steps - 1)[~backwards].clip(0).sum()),
        "reordered": float(backwards.sum() + (steps == 0).sum()),
        "gaps": float(gaps),
        "rate_hz": source.health().rate_hz or float("nan"),
        "latency_p50_ms": float(np.percentile(late_ms, 50)),
        "latency_p99_ms": float(np.percentile(late_ms, 99)),
        "latency_max_ms": float(late_ms.max()),
        "answers_hz": len(decode_ms) / passed_s,
        "decode_p50_ms": float(np.percentile(decode_ms, 50)),
        "decode_p99_ms": float(np.percentile(decode_ms, 99)),
    }


def _send(session: str, source_id: str, channels: tuple[str, ...]) -> None:
    """Noise as loud as facial EMG that comes and goes, until killed or left alone."""
    info = EmgInfo(name="bench", channels=(*channels, _COUNTER), rate_hz=RATE_HZ, source_id=source_id)
    rng, parent = np.random.default_rng(0), os.getppid()
    period = int(4 * RATE_HZ)
    loud_uv = 3 + 40 * np.clip(np.sin(2 * np.pi * np.arange(period) / period), 0, None)[:, None]
    noise = (rng.standard_normal((period, len(channels))) * loud_uv).astype(np.float32)
    with LslOutlet(info, session=session) as outlet:
        start_s, sent = time.monotonic(), 0
        while os.getppid() == parent:
            sent += CHUNK
            taken_s = start_s + sent / RATE_HZ
            time.sleep(max(0.0, taken_s - time.monotonic()))
            counted = np.arange(sent - CHUNK, sent)
            number = (counted % _WRAP).astype(np.float32)[:, None]
            outlet.push(np.hstack([noise[counted % period], number]), taken_s)


if __name__ == "__main__":
    _send(sys.argv[1], sys.argv[2], tuple(sys.argv[3:]))


__all__ = ["SECONDS", "bench_stream"]
