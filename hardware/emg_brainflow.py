"""EMG boards that BrainFlow knows, as a source (extra `brainflow`): Cyton, Ganglion and others.

    with BrainflowSource("CYTON_BOARD", channels=("zygomaticus", "corrugator"), serial_port="/dev/ttyUSB0") as source:
        block = source.read()

Stamps are BrainFlow's, of the host's wall clock at arrival. No such board has ten channels at 1 kHz: see `emg_lsl`.
"""

import time
from collections.abc import Sequence

import numpy as np

from ..sim.errors import InputError, VocabularyError
from .emg_source import ClockOffset, Continuity, EmgBlock, EmgInfo, EmgSource, Health


class BrainflowSource(EmgSource):
    """A board by BrainFlow's name; its first channels are called `channels`. Raises `InputError`, `VocabularyError`."""

    def __init__(self, board: str, *, channels: Sequence[str], **parameters: str | int):
        try:
            from brainflow import BoardIds, BoardShim, BrainFlowError, BrainFlowInputParams  # pyright: ignore
        except Exception as error:  # with setuptools 82 and Python 3.11 it fails in ways of its own
            raise InputError(f"BrainFlow is not available ({error}): pip install 'duchenne[brainflow]'") from error
        if board not in BoardIds.__members__:
            raise VocabularyError(f"unknown board {board!r}; allowed: {', '.join(BoardIds.__members__)}")
        number, given = BoardIds[board].value, BrainFlowInputParams()
        for name, value in parameters.items():
            setattr(given, name, value)
        try:
            rows, rate_hz = BoardShim.get_emg_channels(number), float(BoardShim.get_sampling_rate(number))
            self._rows, self._stamp = rows[: len(channels)], BoardShim.get_timestamp_channel(number)
            if len(channels) > len(rows):
                raise InputError(f"{board} has {len(rows)} EMG channels, {len(channels)} are wanted")
            self.info = EmgInfo(name=board, channels=tuple(channels), rate_hz=rate_hz, device="BrainFlow", clock="unix")
            self._continuity, self._board = Continuity(channels, rate_hz), BoardShim(number, given)
            self._board.prepare_session()
            self._board.start_stream()
        except BrainFlowError as error:
            raise InputError(f"board {board} does not start: {error}; is it on, and is the port right?") from error

    def read(self, timeout_s: float = 0.1) -> EmgBlock:
        until_s = time.monotonic() + timeout_s
        while not self._board.get_board_data_count() and time.monotonic() < until_s:
            time.sleep(0.002)
        data, now_s = self._board.get_board_data(), time.monotonic()
        offset = ClockOffset(time_s=now_s, offset_s=now_s - time.time())
        return self._continuity.block(data[self._stamp], data[self._rows].T.astype(np.float32), now_s, offset)

    def health(self) -> Health:
        return self._continuity.health(time.monotonic())

    def close(self) -> None:
        if self._board.is_prepared():
            self._board.release_session()


__all__ = ["BrainflowSource"]
