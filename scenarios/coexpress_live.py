"""Somebody who is there: before a camera, with EMG over LSL, or both, while the robots play in real time.

What goes wrong with a stream ends nothing: watchers are left with the other one, and say so. Ctrl-C ends it, or time.
"""

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape

from ..hardware.emg_lsl import LslSource
from ..hardware.emg_source import ClockOffset, EmgBlock, EmgSource
from ..sim.camera import Face, FaceReader, Neutral, head_angles
from ..sim.errors import DuchenneError, FaceError
from ..sim.frames import FrameSource
from ..sim.mesh import REST, VERTEX_COUNT
from ..sim.robot.face import CONTROL_PERIOD_S
from ..twin.log_entries import Seen
from .coexpress_film import NEUTRAL_FRAMES, Kept, found_acts, kept, scene_of
from .coexpress_play import Player
from .coexpress_scene import Scene, portraits
from .console import console

Array = NDArray[np.floating]

FAREWELL_S = 3.0
"""When the only stream has ended, the robot is given so long to glide to rest."""
_LOOK = "honey"


def open_emg(emg: str, channels: Sequence[str], timeout_s: float = 5.0) -> LslSource:
    """The stream that `lsl` or `lsl:NAME` names, with these channels. Raises `InputError`, `VocabularyError`."""
    name = emg.partition(":")[2]
    with console.status("looking for the EMG"):
        return LslSource(name=name, channels=channels, timeout_s=timeout_s)


def live(camera: FrameSource | None, emg: EmgSource | None, players: Sequence[Player], seconds: float) -> Scene:
    """Let robots play beside somebody who is there; returns what was seen and heard of her. The first robot is shown.

    Ends after so many seconds, at Ctrl-C, or when a camera that is the only stream has ended. Raises `FaceError` if
    nothing was ever seen or heard.
    """
    begun_s = time.monotonic()
    ears = None if emg is None else _Ears(emg, begun_s)
    if emg is not None:
        _tell(players, emg.info)
    with _Eyes(camera, begun_s) as eyes, console.status("waiting for her face") as status:
        try:
            for tick in range(int(seconds / CONTROL_PERIOD_S) + 1):
                now_s = tick * CONTROL_PERIOD_S
                time.sleep(max(begun_s + now_s - time.monotonic(), 0.0))
                now_s = time.monotonic() - begun_s
                if now_s > seconds:
                    break
                eyes.show(players)
                if ears is not None:
                    ears.play_to(players)
                for player in players:
                    player.tick(now_s)
                if tick % 5 == 0:
                    status.update(_said(now_s, players[0]))
                if ears is None and eyes.ended_s is not None and now_s - eyes.ended_s > FAREWELL_S:
                    break
        except KeyboardInterrupt:
            console.print("stopped; writing what was until now")
    return _scene(eyes, ears, players[0])


class _Eyes:
    """A camera read in a thread of its own, since finding a face takes longer than may be waited for."""

    def __init__(self, camera: FrameSource | None, begun_s: float):
        self._camera, self._begun_s = camera, begun_s
        self._came: queue.SimpleQueue[tuple[float, Kept]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._first: list[Face] = []
        self.neutral: Neutral | None = None
        self.kept: list[Kept] = []
        self.late_s: list[float] = []
        self._clock: ClockOffset | None = None
        self.ended_s: float | None = None
        """When the camera stopped sending."""
        self.problem = ""

    @property
    def name(self) -> str:
        return "" if self._camera is None else self._camera.name

    def __enter__(self) -> "_Eyes":
        if self._camera is not None:
            self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def show(self, players: Sequence[Player]) -> None:
        """Give what has been seen since the last time to the robots; the first faces tell how she looks at rest."""
        while not self._came.empty():
            known_s, one = self._came.get()
            if not self.kept:
                _tell(players, self._clock)
            self.kept.append(one)
            self.late_s.append(known_s - one.time_s)
            if self.neutral is None and one.face is not None:
                self._first.append(one.face)
                if len(self._first) == NEUTRAL_FRAMES:
                    self.neutral = Neutral.from_faces(self._first)
                    pitch_rad = float(np.median([head_angles(face.pose)[1] for face in self._first]))
                    for player in players:
                        player.coexpressor.calibrate(self.neutral, pitch_rad)
            for player in players:
                if self.neutral is None:
                    player.coexpressor.watcher.see(one.time_s, None)
                else:
                    player.coexpressor.look(one.time_s, one.face)
            if self.neutral is not None:
                face_m = None if one.face is None else self.neutral.displacement(one.face)[:VERTEX_COUNT]
                _tell(players, Seen(taken_s=self._begun_s + one.time_s, face_m=face_m))

    def _watch(self) -> None:
        assert self._camera is not None
        offset_s: float | None = None
        try:
            with FaceReader() as reader:
                for frame in self._camera:
                    if self._stop.is_set():
                        return
                    if offset_s is None:
                        now_s = time.monotonic()
                        offset_s = now_s - self._begun_s - frame.time_s
                        self._clock = ClockOffset(time_s=now_s, offset_s=now_s - frame.time_s)
                    one = kept(frame, reader.read(frame.rgb, frame.time_s).face, offset_s)
                    self._came.put((time.monotonic() - self._begun_s, one))
            self.problem = self._camera.problem or f"{self._camera.name} ended"
        except DuchenneError as error:
            self.problem = str(error)
        self.ended_s = time.monotonic() - self._begun_s


@dataclass
class _Ears:
    """EMG as it comes in; kept by when it was taken."""

    source: EmgSource
    begun_s: float
    blocks: list[EmgBlock] = field(default_factory=list)

    def play_to(self, players: Sequence[Player]) -> None:
        block = self.source.read(0.0)
        if not len(block):
            return
        self.blocks.append(block)
        _tell(players, block)
        times_s = block.host_s - self.begun_s
        cuts = [0, *(gap.at for gap in block.gaps if gap.at), len(block)]
        for first, last in pairwise(cuts):
            for player in players:
                player.coexpressor.watcher.hear(float(times_s[last - 1]), block.emg_uv[first:last])

    def heard_uv(self, seconds: float) -> Array:
        """All of it (T, C) µV on one even axis from the beginning on; what is missing is zero."""
        rate_hz = self.source.info.rate_hz
        whole = np.zeros((round(seconds * rate_hz), len(self.source.info.channels)), np.float32)
        for block in self.blocks:
            places = np.round((block.host_s - self.begun_s) * rate_hz).astype(int)
            inside = (places >= 0) & (places < len(whole))
            whole[places[inside]] = block.emg_uv[inside]
        return whole

    @property
    def delay_s(self) -> float:
        return float(np.median([np.median(block.arrival_s - block.host_s) for block in self.blocks]))


def _scene(eyes: _Eyes, ears: _Ears | None, player: Player) -> Scene:
    """What was seen and heard; where her face was not seen, it is what her muscles told."""
    heard = ears is not None and bool(ears.blocks)
    notes = [eyes.problem] if eyes.problem else []
    if sum(one.face is not None for one in eyes.kept) >= 2 * NEUTRAL_FRAMES:
        scene = replace(
            scene_of(eyes.name, eyes.kept, notes),
            senses="a camera" + (" and EMG" if heard else ""),
            camera_delay_s=float(np.median(eyes.late_s)),
        )
    elif heard:
        scene = _only_heard(player, [f"{eyes.name}: her face was not seen", *notes] if eyes.name else notes)
    else:
        pictures = f"none of {len(eyes.kept)} pictures of {eyes.name} shows her face well" if eyes.name else ""
        silence = "" if ears is None else f"nothing came from {ears.source.info.name}"
        raise FaceError(
            f"nobody was seen or heard: {'; '.join(filter(None, (pictures, silence, *notes)))}. Show one face, well "
            "lit and turned to the camera, or start the EMG first"
        )
    if ears is None or not heard:
        return scene
    return replace(
        scene,
        emg_uv=ears.heard_uv(scene.duration_s),
        emg_hz=ears.source.info.rate_hz,
        emg_delay_s=ears.delay_s,
        channels=ears.source.info.channels,
        source=" and ".join(filter(None, (eyes.name, ears.source.info.name))),
    )


def _only_heard(player: Player, notes: Sequence[str]) -> Scene:
    played = player.played()
    face_m = np.array([one.shown_m for one in played.expected])
    mesh_m = REST + face_m
    return Scene(
        source="EMG",
        senses="EMG alone",
        times_s=played.times_s,
        seen=[None] * len(face_m),
        face_m=face_m,
        mesh_m=mesh_m,
        camera_delay_s=0.0,
        acts=found_acts(played.times_s, face_m),
        draw=lambda frames, size_px: portraits(mesh_m[list(frames)], REST, _LOOK, size_px),
        notes=(*notes, "Her face is drawn as her muscles tell it; timing is against that and proves nothing."),
    )


def _tell(players: Sequence[Player], what: Any) -> None:
    for player in players:
        player.tell(what)


def _said(now_s: float, player: Player) -> str:
    mind = player.coexpressor
    return f"{now_s:4.0f} s  {mind.expression:<10} {escape(mind.problem)}  (Ctrl-C ends it)"


__all__ = ["FAREWELL_S", "live", "open_emg"]
