"""The log of record: one MCAP file of all that was asked, sent, fed back, seen and heard, with what it was made with.

    with LogWriter("session.mcap", about={"robot": "sim"}) as log:
        log.attach("limits.json", text)
        log.write(now_s, Command(asked=command, sent=sent))
        log.write(now_s, feedback)                         # a Feedback, a guard's Event, EmgInfo, EmgBlock, Seen …

    log = Log("session.mcap")
    for entry in log:                                      # in the order in which they were written
        entry.time_s, entry.what

A message is a JSON object whose schema stands in the file; large arrays are base64, little-endian, exact. Log times
are the host's monotonic nanoseconds. What was written reaches the file within `FLUSH_S`, so that a killed process
loses no more; a file that ends in the middle is read up to there (`Log.complete` tells).
"""

import json
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..sim.errors import InputError
from .log_entries import TOPICS, Entry, pack, schema, unpack

FLUSH_S = 0.25
"""What was written is in the file after this long, and outlives the process; a power failure may take more."""
SCHEMA = "1"
_LIBRARY = "duchenne"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file within the log: configuration, calibration."""

    name: str
    data: bytes
    media_type: str


class LogWriter:
    """Writes a log; from any thread. Raises `InputError` where the file exists or cannot be made.

    A disk that fails later does not stop the robot: `problem` says so, as does `close` with an `InputError`.
    """

    def __init__(self, path: str | Path, *, about: Mapping[str, object] | None = None):
        from mcap.writer import Writer

        from .. import __version__

        self.path, self.problem = Path(path), ""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "xb")  # noqa: SIM115 - open as long as this is
        except FileExistsError as error:
            raise InputError(f"{self.path} exists, and a log is never written over; choose another name") from error
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror}; choose another folder") from error
        self._lock, self._over = threading.Lock(), threading.Event()
        self._writer = Writer(self._file)
        self._writer.start(library=f"{_LIBRARY} {__version__}")
        clocks = {"schema": SCHEMA, "unix_s": repr(time.time()), "monotonic_s": repr(time.monotonic())}
        told = {key: value if isinstance(value, str) else json.dumps(value) for key, value in (about or {}).items()}
        self._writer.add_metadata(_LIBRARY, clocks | told)
        self._channels = {kind: self._channel(name, kind) for kind, name in TOPICS.items()}
        self._writer.flush()
        self._thread = threading.Thread(target=self._keep_flushing, name="log", daemon=True)
        self._thread.start()

    def write(self, time_s: float, what: Any) -> None:
        """Add an entry, of one of the kinds of `log_entries.TOPICS`, at host's monotonic time. Raises `InputError`."""
        if not (math.isfinite(time_s) and time_s >= 0):
            raise InputError(f"a log's times are monotonic seconds, got {time_s}")
        data = json.dumps(pack(what), separators=(",", ":"), allow_nan=False).encode()
        stamp = round(time_s * 1e9)
        self._do(lambda: self._writer.add_message(self._channels[type(what)], stamp, data, stamp))

    def attach(self, name: str, data: bytes | str) -> None:
        """Put a whole file into the log, such as the configuration or a calibration; text is JSON."""
        kind, raw = ("json", data.encode()) if isinstance(data, str) else ("octet-stream", data)
        now = time.monotonic_ns()
        told = now, now, name, f"application/{kind}", raw
        self._do(lambda: (self._writer.add_attachment(*told), self._writer.flush()))

    def close(self) -> None:
        """Finish the file; may be called twice. Raises `InputError` if anything could not be written."""
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join()
        self._do(self._writer.finish)
        with self._lock:
            try:
                self._file.close()
            except OSError as error:
                self.problem = self.problem or str(error)
        if self.problem:
            raise InputError(f"{self.path} is not complete: {self.problem}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, *_) -> None:
        try:
            self.close()
        except InputError:
            if kind is None:  # another error matters more
                raise

    def _channel(self, name: str, kind: type) -> int:
        described = json.dumps(schema(kind)).encode()
        number = self._writer.register_schema(f"{_LIBRARY}.{name}", "jsonschema", described)
        return self._writer.register_channel(f"/{name}", "json", number)

    def _do(self, write: Callable[[], object]) -> None:
        with self._lock:
            if self.problem:
                return
            try:
                write()
            except (OSError, ValueError) as error:  # ValueError: the file is closed
                self.problem = str(error)
                _log.error("%s is no longer written: %s", self.path, error)

    def _keep_flushing(self) -> None:
        while not self._over.wait(FLUSH_S):
            self._do(self._writer.flush)


class Log:
    """Reads a log, also one whose writer was killed; raises `InputError` for a file that is none.

    about: what the writer said, with `unix_s` and `monotonic_s` of the same moment. complete: whether the log was
    closed as it should be; known, as `attachments` is, after the first look through the file.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.about: dict[str, str] = {}
        self.attachments: dict[str, Attachment] = {}
        self.complete = False
        for _ in self._records():
            pass
        if self.about.get("schema") != SCHEMA:
            raise InputError(
                f"{self.path} is no log of duchenne, or one of another version ({self.about or 'nothing'})"
            )

    def __iter__(self) -> Iterator[Entry]:
        """All entries, in the order in which they were written."""
        from mcap.records import Channel, Message

        kinds, names = {}, {f"/{name}": kind for kind, name in TOPICS.items()}
        for record in self._records():
            if isinstance(record, Channel) and record.topic in names:
                kinds[record.id] = names[record.topic]
            elif isinstance(record, Message) and record.channel_id in kinds:
                try:
                    what = unpack(kinds[record.channel_id], json.loads(record.data))
                except (ValueError, KeyError, TypeError) as error:
                    raise InputError(f"{self.path} holds an entry that cannot be read ({error!r})") from error
                yield Entry(time_s=record.log_time / 1e9, what=what)

    def only(self, *kinds: type) -> Iterator[Entry]:
        """Entries of some kinds alone."""
        return (entry for entry in self if isinstance(entry.what, kinds))

    def replay(
        self,
        *kinds: type,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator[Entry]:
        """Entries (of some kinds) when they came then, counted from the first; `time_s` is the host's time now."""
        shift_s = None
        for entry in self.only(*kinds) if kinds else self:
            shift_s = clock() - entry.time_s if shift_s is None else shift_s
            wait_s = entry.time_s + shift_s - clock()
            if wait_s > 0:
                sleep(wait_s)
            yield Entry(time_s=entry.time_s + shift_s, what=entry.what)

    def _records(self) -> Iterator[Any]:
        """Records as far as the file goes; what is damaged or cut off ends it."""
        from mcap.records import Attachment as Record
        from mcap.records import Footer, Metadata
        from mcap.stream_reader import StreamReader

        try:
            with open(self.path, "rb") as file:
                limit = os.fstat(file.fileno()).st_size
                for record in StreamReader(file, validate_crcs=True, record_size_limit=limit).records:
                    if isinstance(record, Metadata) and record.name == _LIBRARY:
                        self.about = dict(record.metadata)
                    elif isinstance(record, Record):
                        self.attachments[record.name] = Attachment(
                            name=record.name, data=record.data, media_type=record.media_type
                        )
                    self.complete = isinstance(record, Footer)
                    yield record
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror}") from error
        except Exception as error:  # mcap lets whatever a cut or damaged file causes through
            self.complete = False
            if not self.about:
                raise InputError(f"{self.path} is no log, or nothing of it is left ({error!r})") from error
            _log.info("%s ends early: %r", self.path, error)


__all__ = ["FLUSH_S", "Attachment", "Log", "LogWriter"]
