"""BrainFlow's own synthetic board as a source."""

import numpy as np
import pytest

from duchenne.hardware.emg_brainflow import BrainflowSource
from duchenne.sim.errors import InputError, VocabularyError


def test_the_synthetic_board_gives_blocks_without_gaps():
    try:
        import brainflow  # pyright: ignore
    except Exception as error:  # not installed, or broken by setuptools 82
        pytest.skip(f"BrainFlow cannot be imported: {error}")
    brainflow.BoardShim.disable_board_logger()
    with BrainflowSource("SYNTHETIC_BOARD", channels=("cheek", "brow")) as source:
        blocks = [source.read(0.1)]
        while source.health().received < 200 and len(blocks) < 500:
            blocks.append(source.read(0.1))
        data = np.concatenate([block.emg_uv for block in blocks])
        assert (source.info.rate_hz, data.shape[1]) == (250.0, 2)
        assert len(data) >= 200
        assert source.health().lost == 0
        last = next(block for block in blocks[::-1] if len(block))
        assert abs(last.arrival_s - last.host_s[-1]) < 0.5
    with pytest.raises(VocabularyError, match="SYNTHETIC_BOARD"):
        BrainflowSource("MY_OWN_BOARD", channels=("a",))
    with pytest.raises(InputError, match="EMG channels, 99 are wanted"):
        BrainflowSource("SYNTHETIC_BOARD", channels=[f"c{k}" for k in range(99)])
