"""What a following robot's log is told of a simulated or filmed person: faces, EMG and clocks, as they become known."""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..hardware.emg_source import ClockOffset, Continuity, EmgInfo
from ..sim.person.electrodes import montage as named_montage
from ..sim.recording_electrodes import Electrodes
from ..twin.log_entries import Seen
from .coexpress_play import Player
from .coexpress_scene import Scene

Array = NDArray[np.floating]


class Told:
    """Tells a player's followers; their clock is the host's, and the scene began at `begun_s` of it."""

    def __init__(self, scene: Scene, player: Player, begun_s: float):
        self._scene, self._player, self._begun_s = scene, player, begun_s
        self._clock = ClockOffset(time_s=begun_s, offset_s=begun_s, uncertainty_s=0.0)
        self._continuity = Continuity(scene.channels, scene.emg_hz, even=True)
        self._heard = 0
        player.tell(self._clock)
        if scene.emg_uv is not None:
            player.tell(_worn(scene))

    def now(self, pictures: Sequence[int], emg_uv: Array) -> None:
        """These of the scene's pictures, and the next EMG (n, C) µV, have just become known."""
        scene = self._scene
        for k in pictures:
            self._player.tell(Seen(taken_s=self._begun_s + float(scene.times_s[k]), face_m=scene.seen[k]))
        if len(emg_uv):
            stamps_s = (self._heard + 1 + np.arange(len(emg_uv))) / scene.emg_hz
            self._heard += len(emg_uv)
            self._player.tell(self._continuity.block(stamps_s, emg_uv, time.monotonic(), self._clock))


def _worn(scene: Scene) -> EmgInfo:
    electrodes = Electrodes.of(named_montage(scene.montage)).as_info() if scene.montage else {}
    return EmgInfo(
        name="emg", channels=scene.channels, rate_hz=scene.emg_hz, device=scene.source, clock="seconds of the scene",
        montage=scene.montage, electrodes=electrodes,
    )  # fmt: skip


__all__ = ["Told"]
