"""What is known of one robot: which servo does what, which way it turns, how it moves, and how its skin gives.

The file is JSON for people and programs, with a checksum; a file that was damaged or edited is refused. With the
calibration's `servo_map` a command means the same crank angle as in the design, so that safe set, self-model and
simulation fit; `individual` is the twin that is left to simulate.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..hardware.bus import Channel, ServoMap
from ..sim.errors import DuchenneError, InputError
from ..sim.robot.individual import Individual
from ..sim.robot.servo import REST_COMMAND, SERVO_NAMES, SERVOS, index

FORMAT, VERSION = "duchenne calibration", 1
MEASURED = ("ratio", "delay_s", "gain", "speed", "friction", "torque")
"""What is measured of each servo; gain, friction and torque of the shaft per inertia, speed of the shaft."""
SKIN = ("foundation", "bending", "passive_nm")
"""What is measured of the skin, relative to its membrane."""
_UNITS = {
    "ratio": "crank angle per servo angle, over the design's",
    "delay_s": "from a goal's arrival to the first motion",
    "gain": "torque per angle of error and inertia, over the design's: how quick it is",
    "speed": "largest, over the design's",
    "friction": "over the design's, per inertia",
    "torque": "largest, over the design's, per inertia",
    "foundation": "what backs the skin, over the design's, per membrane stiffness",
    "bending": "over the design's, per membrane stiffness",
    "passive_nm": "stiffness of the lips' passive joints, N m/rad, per membrane stiffness over the design's",
}


class CalibrationError(DuchenneError):
    """A robot does not do what every robot of its kind does: nothing was calibrated."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """servo_map: with the directions, rests and spans that were found. values, sd: by name of `MEASURED`, (26,), and
    standard errors of their logarithms. skin, skin_sd: by name of `SKIN`. seen (26,) bool: whether the camera saw what
    the servo moves. where: the robot's port; eye: what looked at it; made: ISO time. figures: what else was noted.
    """

    servo_map: ServoMap
    values: Mapping[str, np.ndarray]
    sd: Mapping[str, np.ndarray]
    skin: Mapping[str, float]
    skin_sd: Mapping[str, float]
    seen: np.ndarray
    where: str = ""
    eye: str = ""
    made: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    figures: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self):
        for name in MEASURED:
            for what, columns in (("value", self.values), ("error", self.sd)):
                column = np.asarray(columns.get(name, ()), float)
                if column.shape != (len(SERVOS),) or (np.isfinite(column) & (column <= 0)).any():
                    raise InputError(f"calibration: {what} of {name}: wanted are {len(SERVOS)} positive numbers")
            if not np.isfinite(self.values[name]).all():
                raise InputError(f"calibration: {name} has values that are not finite; calibrate anew")
        if set(self.skin) != set(SKIN) or not all(np.isfinite(v) and v > 0 for v in self.skin.values()):
            raise InputError(f"calibration: skin has {dict(self.skin)}; wanted are positive {', '.join(SKIN)}")

    @classmethod
    def of(cls, servo_map: ServoMap, **more: Any) -> "Calibration":
        """Of a robot that is as designed but for its map; where a map is all that is known."""
        design, nothing = Individual(), np.full(len(SERVOS), np.nan)
        return cls(
            servo_map=servo_map,
            values={name: np.array(getattr(design, name)) for name in MEASURED},
            sd=dict.fromkeys(MEASURED, nothing),
            skin={name: float(getattr(design, name)) for name in SKIN},
            skin_sd=dict.fromkeys(SKIN, float("nan")),
            seen=np.zeros(len(SERVOS), bool),
            **more,
        )

    @cached_property
    def individual(self) -> Individual:
        """The twin: what obeys commands sent through `servo_map`. Its directions and ratios are the design's.

        Motion does not tell a strong servo with a heavy rotor from a weak one with a light rotor: the twin is as strong
        as the design, and has the rotor that makes it as quick as the robot.
        """
        ratio, inertia = self.values["ratio"], 1 / self.values["gain"]
        return Individual(
            inertia=inertia, speed=self.values["speed"] * ratio, friction=self.values["friction"] * ratio * inertia,
            torque=self.values["torque"] * inertia, delay_s=self.values["delay_s"], foundation=self.skin["foundation"],
            bending=self.skin["bending"], passive_nm=self.skin["passive_nm"],
        )  # fmt: skip

    def to_json(self) -> str:
        """The file's text."""
        body: dict[str, Any] = {
            "format": FORMAT, "version": VERSION, "made": self.made, "by": f"duchenne {__version__}",
            "where": self.where, "eye": self.eye, "units": _UNITS,
            "servos": {name: self._servo(i) for i, name in enumerate(SERVO_NAMES)},
            "skin": {name: {"value": self.skin[name], "log_sd": _known(self.skin_sd[name])} for name in SKIN},
            "figures": dict(self.figures),
        }  # fmt: skip
        return json.dumps(body | {"checksum": _checksum(body)}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str = "calibration") -> "Calibration":
        """Read what `to_json` wrote. Raises `InputError` that says what is wrong with it."""
        try:
            body = json.loads(text)
            if not isinstance(body, dict) or body.get("format") != FORMAT:
                raise InputError(f"{name} is no calibration of a robot; duchenne robot calibrate makes one")
            if body.get("version") != VERSION:
                raise InputError(
                    f"{name} has version {body.get('version')}, this duchenne reads {VERSION}; calibrate anew"
                )
            if body.pop("checksum", None) != _checksum(body):
                raise InputError(f"{name} was damaged or edited: its checksum is wrong; take a copy or calibrate anew")
            rows = body["servos"]
            if missing := [n for n in SERVO_NAMES if n not in rows]:
                raise InputError(f"{name} lacks {', '.join(missing)}; calibrate anew")
            return cls(
                servo_map=ServoMap(tuple(Channel(name=n, **rows[n]["channel"]) for n in SERVO_NAMES)),
                values={m: np.array([rows[n][m]["value"] for n in SERVO_NAMES]) for m in MEASURED},
                sd={m: np.array([rows[n][m]["log_sd"] for n in SERVO_NAMES], float) for m in MEASURED},
                skin={s: float(body["skin"][s]["value"]) for s in SKIN},
                skin_sd={s: float("nan" if (v := body["skin"][s]["log_sd"]) is None else v) for s in SKIN},
                seen=np.array([rows[n]["seen"] for n in SERVO_NAMES], bool),
                where=body["where"], eye=body["eye"], made=body["made"], figures=body["figures"],
            )  # fmt: skip
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, DuchenneError):
                raise
            raise InputError(f"{name} cannot be read: {type(error).__name__}: {error}; calibrate anew") from error

    def save(self, path: Path | str) -> Path:
        """Write the file at once or not at all: whoever reads it meanwhile finds the old one or the new one."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with fresh.open("w", encoding="utf-8") as file:
                file.write(self.to_json())
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: Path | str) -> "Calibration":
        """Read a file written by `save`. Raises `InputError` for a file that is missing, damaged, edited or another."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"calibration {path} cannot be read: {error}") from error
        return cls.from_json(text, str(path))

    def _servo(self, place: int) -> dict[str, Any]:
        servo, channel = SERVOS[place], asdict(self.servo_map.channels[place])
        side, _, kind = servo.name.partition("_")
        other = {"right": "left", "left": "right"}.get(side)
        del channel["name"]
        return {
            "does": f"0 {servo.meaning_low}, 1 {servo.meaning_high}",
            "side": side if other else "middle",
            "partner": f"{other}_{kind}" if other else None,
            "turned": "as designed" if channel["direction"] == 1 else "the other way: its servo is mounted mirrored",
            "seen": bool(self.seen[place]),
            "channel": channel,
            **{m: {"value": float(self.values[m][place]), "log_sd": _known(self.sd[m][place])} for m in MEASURED},
        }


def calibrated_map(servo_map: ServoMap, direction: np.ndarray, ratio: np.ndarray) -> ServoMap:
    """The map through which commands reach the design's crank angles, for directions and ratios (26,) of the cranks.

    Its limits are wide enough for all commands, and wider than those by nothing but the rounding.
    """
    channels = []
    for channel, way, share in zip(servo_map.channels, direction, ratio, strict=True):
        span = channel.ticks_per_unit / float(share)
        turn = int(channel.direction * way)
        rest = float(REST_COMMAND[index(channel.name)])
        ends = sorted(channel.rest_tick + turn * span * (end - rest) for end in (0.0, 1.0))
        channels.append(
            replace(
                channel, direction=turn, ticks_per_unit=span, low_tick=int(np.floor(ends[0])) - 1,
                high_tick=int(np.ceil(ends[1])) + 1,
            )
        )  # fmt: skip
    return ServoMap(tuple(channels))


def _checksum(body: Mapping[str, Any]) -> str:
    plain = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(plain.encode()).hexdigest()


def _known(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


__all__ = ["FORMAT", "MEASURED", "SKIN", "VERSION", "Calibration", "CalibrationError", "calibrated_map"]
