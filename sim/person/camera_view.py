"""What a landmark tracker sees of a person's motion: how much of it, place by place and action unit by action unit.

A camera is not the truth. MediaPipe follows lips, lids, brow height and jaw; skin that slides without an outline to
see (cheek, side of the nose, chin) and brows that draw together it follows in part or not at all. These numbers are
measured on rendered people by `scenarios.person_camera`, which writes the file that is read here; a camera observer
multiplies motion by them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import mesh
from ..errors import InputError

Array = NDArray[np.floating]
_FILE = "camera_gain.json"


@dataclass(frozen=True, eq=False)
class CameraView:
    """Slopes of tracked on true displacement from neutral, in the picture of a frontal face, and what is left.

    gain (468, 2): of each vertex, sideways and upwards; 1 is faithful, 0 blind.
    error_m (468, 2): rms of tracked displacement minus gain times true, over many poses.
    regions: by `mesh.REGIONS`. brow_rise, brow_fall: of the brows upwards, for poses where they are above and below
    rest. units: by action unit, over the vertices that it moves, e.g. {"AU12": 0.95}.
    source: what it was measured on.
    """

    gain: Array
    error_m: Array
    regions: Mapping[str, float]
    brow_rise: float
    brow_fall: float
    units: Mapping[str, float]
    source: str

    def __post_init__(self) -> None:
        for name in ("gain", "error_m"):
            value = getattr(self, name)
            if value.shape != (mesh.VERTEX_COUNT, 2) or not np.isfinite(value).all():
                raise InputError(f"{name} must be ({mesh.VERTEX_COUNT}, 2) and finite, got shape {value.shape}")

    def seen(self, vertices_m: Array, rest_m: Array = mesh.REST) -> Array:
        """Where the tracker puts vertices (…, 468, 3) m of a face whose neutral is rest_m; depth is left as it is."""
        moved = np.asarray(vertices_m, float) - rest_m
        return rest_m + moved * np.concatenate([self.gain, np.ones((mesh.VERTEX_COUNT, 1))], axis=1)

    def save(self, path: Path) -> None:
        """Write JSON; gains to 1 %, errors to 10 µm."""
        record = {
            "source": self.source,
            "regions": {name: round(value, 3) for name, value in self.regions.items()},
            "brow_rise": round(self.brow_rise, 3),
            "brow_fall": round(self.brow_fall, 3),
            "units": {name: round(value, 3) for name, value in self.units.items()},
            "gain": self.gain.round(2).tolist(),
            "error_mm": (1e3 * self.error_m).round(2).tolist(),
        }
        text = json.dumps(record, indent=1)
        path.write_text(text.replace(",\n   ", ", ").replace("[\n   ", "[").replace("\n  ]", "]") + "\n")

    @classmethod
    def load(cls, path: Path) -> "CameraView":
        """Read what `save` wrote. Raises `InputError`."""
        return _parsed(path.read_text(), str(path))


@cache
def camera_view() -> CameraView:
    """The shipped measurement."""
    return _parsed((files("duchenne.sim.person") / "data" / _FILE).read_text(), _FILE)


def camera_gain() -> Array:
    """How much of a vertex's motion in the picture the tracker shows, (468,); see `CameraView` for both axes."""
    return camera_view().gain.mean(1)


def _parsed(text: str, name: str) -> CameraView:
    try:
        record = json.loads(text)
        return CameraView(
            gain=np.array(record["gain"], float),
            error_m=1e-3 * np.array(record["error_mm"], float),
            regions=record["regions"],
            brow_rise=record["brow_rise"],
            brow_fall=record["brow_fall"],
            units=record["units"],
            source=record["source"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{name} is no camera view ({error!r}); make it anew with scenarios.person_camera") from error
