"""What MediaPipe sees of rendered people: seven expressions and single action units, against the true vertices.

result = measure(progress)          # figures, tables, and the gains that the camera observer uses
contact_sheet(Path("person.jpg"))   # the expressions and some action units with their names
result.view.save(path)              # how sim/person/data/camera_gain.json is made
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import cv2
import jax.numpy as jnp
import numpy as np

from ..sim import mesh
from ..sim.camera import FaceReader
from ..sim.errors import FaceError
from ..sim.facs import BLENDSHAPES, action_unit
from ..sim.person.camera_view import CameraView
from ..sim.person.mechanics import Face, build_face
from ..sim.person.portrait import LOOKS, Portrait
from ..sim.person.repertoire import PAIRED_UNITS, UNITS, excite, resolve

Progress = Callable[[int, int], None]
Figures = dict[str, float]
Array = np.ndarray

SHOWN: Mapping[str, str] = MappingProxyType(
    {
        "happiness": "6+12+25",
        "sadness": "1+4C+15+17C",
        "surprise": "1+2+5+25+26",
        "fear": "1+2+4C+5+20+25+26C",
        "anger": "4+5B+7+17C+23+24C",
        "disgust": "4C+7C+9+10+17C",
        "contempt": "R12C+R14",
    }
)
"""Full-blown variants of FACS's prototypes that a naive viewer can name."""
_SHEET_UNITS = ("AU1", "AU4", "AU6", "AU9", "AU12", "AU15", "AU20", "AU27")
BLIND_BELOW = 0.35
"""Motion of which the tracker shows less than this share is called unseen."""

_SPOTS: Mapping[str, tuple[str, tuple[int, ...], int | None]] = MappingProxyType(
    {
        "AU1 brow, upwards": ("AU1", (107, 66, 65, 55), 1),
        "AU2 brow, upwards": ("AU2", (105, 63, 70, 53), 1),
        "AU4 brow, inwards": ("AU4", (107, 66, 65, 55, 52), 0),
        "AU4 brow, downwards": ("AU4", (107, 66, 65, 55, 52), 1),
        "AU6 cheek": ("AU6", (50, 101, 117, 118, 119, 36), None),
        "AU9 side of the nose": ("AU9", (49, 48, 102, 129, 98, 203), None),
        "AU12 corner": ("AU12", (61, 76, 146, 185), None),
        "AU15 corner": ("AU15", (61, 76, 146, 185), None),
        "AU17 chin": ("AU17", (199, 208, 175, 171, 200), None),
        "AU27 chin": ("AU27", (199, 208, 175, 171, 200), None),
    }
)
"""Where to look for a unit's own motion: the unit, vertices of the right side, and the axis, if only one."""

_REGIONS = {"mouth": ("mouth",), "brow": ("right brow", "left brow"), "eye": ("right eye", "left eye")}
_INNER = np.setdiff1d(np.arange(mesh.VERTEX_COUNT), mesh.FACE_OVAL)
_STILL_M = 0.3e-3
"""A region whose rms motion is less is not compared."""
_LOOKED_AT = "chestnut"


@dataclass(frozen=True, kw_only=True)
class Sight:
    """One pose: what moved and what the tracker made of it. Slopes of tracked on true displacement, correlations
    r over x and y of a region's vertices; NaN where the region stays still."""

    name: str
    moved_mm: float
    """Root mean square over the inner vertices in the picture."""
    error_mm: float
    gain: float
    r: float
    region_gain: Mapping[str, float]
    region_r: Mapping[str, float]
    blendshapes: Mapping[str, float]
    """Changes from neutral beyond 0.08, strongest first."""


@dataclass(frozen=True, kw_only=True)
class PersonCamera:
    """What `measure` found."""

    figures: Figures
    expressions: tuple[Sight, ...]
    units: tuple[Sight, ...]
    spots: Mapping[str, float]
    """Slope of tracked on true displacement where an action unit moves the skin most, both sides."""
    missed: tuple[str, ...]
    """Poses, as "look: pose", in which no face was found."""
    view: CameraView

    @property
    def unseen(self) -> tuple[str, ...]:
        """The spots of whose motion the tracker shows less than `BLIND_BELOW`."""
        return tuple(name for name, gain in self.spots.items() if gain < BLIND_BELOW)


def measure(progress: Progress = lambda done, total: None, random_poses: int = 120, seed: int = 0) -> PersonCamera:
    """Show the mean person's face to MediaPipe: 7 expressions, all single action units, random mixtures of them; and
    the expressions of every look: about 210 pictures, 50 ms each.

    Raises `FaceError` if even the face at rest is not found, `GraphicsError` without OpenGL.
    """
    face = build_face()
    singles = {str(unit): resolve(str(unit)) for unit in UNITS}
    named = {**{name: resolve(formula) for name, formula in SHOWN.items()}, **singles}
    poses = vertices(face, np.stack([*named.values(), *_mixtures(np.random.default_rng(seed), random_poses)]))
    total, done = len(poses) + 1 + (len(LOOKS) - 1) * (len(SHOWN) + 1), 0
    missed: list[str] = []
    with FaceReader() as reader:
        seen: dict[str, list[_Look | None]] = {}
        for look in (_LOOKED_AT, *(name for name in LOOKS if name != _LOOKED_AT)):
            shown = poses if look == _LOOKED_AT else poses[: len(SHOWN)]
            with Portrait(look) as portrait:
                seen[look] = []
                for pose in (mesh.REST, *shown):
                    seen[look].append(_look_at(portrait, reader, pose))
                    progress(done := done + 1, total)
            labels = ["neutral", *named, *(f"mixture {k}" for k in range(random_poses))]
            missed += [f"{look}: {label}" for label, one in zip(labels, seen[look], strict=False) if one is None]
    return _result(list(named), seen, tuple(missed))


def contact_sheet(path: Path, look: str = _LOOKED_AT, size_px: int = 330) -> None:
    """Write a labelled picture: neutral, the seven expressions on one person, single action units on the others."""
    others = [name for name in LOOKS if name != look]
    names = ["neutral", *SHOWN, *_SHEET_UNITS]
    face = build_face()
    poses = [mesh.REST, *vertices(face, np.stack([resolve(SHOWN.get(name, name)) for name in names[1:]]))]
    tiles: dict[str, Array] = {}
    for wearer in (look, *others):
        with Portrait(wearer, width_px=size_px, height_px=size_px, fovy_deg=19.5, still=True) as portrait:
            for index, (name, pose) in enumerate(zip(names, poses, strict=True)):
                single = index - len(SHOWN) - 1
                if wearer == (look if single < 0 else others[single % len(others)]):
                    tiles[name] = _labelled(portrait.image(pose), _caption(name))
    rows = [np.concatenate([tiles[name] for name in names[k : k + 4]], 1) for k in range(0, len(names), 4)]
    cv2.imwrite(str(path), np.concatenate(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def _caption(name: str) -> str:
    if name in SHOWN:
        return f"{name}  ({SHOWN[name]})"
    return f"{name} {action_unit(name).name}" if name.startswith("AU") else name


def _labelled(picture: Array, text: str) -> Array:
    strip = np.full((24, picture.shape[1], 3), 245, np.uint8)
    cv2.putText(strip, text, (8, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.46, (40, 44, 50), 1, cv2.LINE_AA)
    return np.concatenate([picture, strip])


def vertices(face: Face, au: Array) -> Array:
    """Settled faces (n, 468, 3) m of action units (n, A, 2)."""
    return np.asarray(face.vertices(jnp.asarray(excite(au))), float)


def _mixtures(rng: np.random.Generator, count: int) -> Array:
    """One to four units at once at 0.2…1, a third of the paired ones on one side."""
    au = np.zeros((count, len(UNITS), 2))
    for pose in au:
        for row in rng.choice(len(UNITS), rng.integers(1, 5), replace=False):
            pose[row] = rng.uniform(0.2, 1.0)
            if PAIRED_UNITS[row] and rng.random() < 1 / 3:
                pose[row, rng.integers(2)] = 0.0
    return au


@dataclass(frozen=True)
class _Look:
    true_m: Array
    """(468, 2) in the picture, x right, y up, at the scale of the face."""
    seen_m: Array
    blendshapes: Array


def _look_at(portrait: Portrait, reader: FaceReader, vertices_m: Array) -> _Look | None:
    found = reader.read(portrait.image(vertices_m)).face
    if found is None:
        return None
    rest = portrait.project(mesh.REST)
    scale = mesh.OUTER_EYE_DISTANCE_M / np.linalg.norm(rest[33] - rest[263]) * np.array([1, -1])
    seen = found.landmarks_px[: mesh.VERTEX_COUNT, :2]
    return _Look(portrait.project(vertices_m) * scale, seen * scale, found.blendshapes)


def _result(names: Sequence[str], seen: Mapping[str, Sequence[_Look | None]], missed: tuple[str, ...]) -> PersonCamera:
    rest, *looks = seen[_LOOKED_AT]
    if rest is None:
        raise FaceError("the tracker does not find the person's face at rest; is the picture right?")
    sights = {name: _compared(name, look, rest) for name, look in zip(names, looks, strict=False) if look is not None}
    expressions = tuple(sights[name] for name in names[: len(SHOWN)] if name in sights)
    units = tuple(sights[name] for name in names[len(SHOWN) :] if name in sights)
    view = _view([look for look in looks if look is not None], rest, units)
    error = np.linalg.norm(rest.seen_m - rest.true_m, axis=1) / mesh.OUTER_EYE_DISTANCE_M
    shown = [one for found in seen.values() for one in found[: len(SHOWN) + 1]]
    moved = [(look.seen_m - rest.seen_m, look.true_m - rest.true_m) for look in looks[: len(SHOWN)] if look]
    mouth_gain, mouth_r = _slope(moved, _vertices("mouth"))
    raised = [sights[name] for name in ("surprise", "AU1", "AU2") if name in sights]
    by_name = dict(zip(names, looks, strict=False))
    spots = {
        spot: _spot_gain(look, rest, points, axis)
        for spot, (unit, points, axis) in _SPOTS.items()
        if (look := by_name[unit]) is not None
    }
    figures = {
        "detected_fraction": float(np.mean([one is not None for one in shown])),
        "nme_neutral": float(error[_INNER].mean()),
        "nme_neutral_with_oval": float(error.mean()),
        "mouth_gain": mouth_gain,
        "mouth_r": mouth_r,
        "raised_brow_gain": float(np.mean([sight.region_gain["brow"] for sight in raised])),
        "raised_brow_r": float(np.mean([sight.region_r["brow"] for sight in raised])),
        "spots_unseen": float(sum(gain < BLIND_BELOW for gain in spots.values())),
    }
    return PersonCamera(figures=figures, expressions=expressions, units=units, spots=spots, missed=missed, view=view)


def _spot_gain(look: _Look, rest: _Look, points: Sequence[int], axis: int | None) -> float:
    both = [*points, *(int(mesh.MIRROR[v]) for v in points)]
    axes = [0, 1] if axis is None else [axis]
    seen, true = (now[both][:, axes] - before[both][:, axes] for now, before in (
        (look.seen_m, rest.seen_m), (look.true_m, rest.true_m)
    ))  # fmt: skip
    return float((seen * true).sum() / (true**2).sum())


def _vertices(region: str) -> Array:
    return np.array([v for name in _REGIONS[region] for v in mesh.region(name)])


def _slope(moved: Sequence[tuple[Array, Array]], points: Array) -> tuple[float, float]:
    """Slope through the origin and correlation of tracked on true displacement over poses and points."""
    seen, true = (np.concatenate([pair[k][points].ravel() for pair in moved]) for k in (0, 1))
    if np.sqrt(2 * (true**2).mean()) < _STILL_M:
        return float("nan"), float("nan")
    return float(seen @ true / (true @ true)), float(np.corrcoef(seen, true)[0, 1])


def _compared(name: str, look: _Look, rest: _Look) -> Sight:
    seen, true = look.seen_m - rest.seen_m, look.true_m - rest.true_m
    change = look.blendshapes - rest.blendshapes
    order = [k for k in np.argsort(-np.abs(change)) if abs(change[k]) > 0.08]
    regions = {region: _slope([(seen, true)], _vertices(region)) for region in _REGIONS}
    gain, r = _slope([(seen, true)], _INNER)
    return Sight(
        name=name,
        moved_mm=float(1e3 * np.sqrt((true[_INNER] ** 2).sum(1).mean())),
        error_mm=float(1e3 * np.sqrt(((seen - true)[_INNER] ** 2).sum(1).mean())),
        gain=gain,
        r=r,
        region_gain={region: pair[0] for region, pair in regions.items()},
        region_r={region: pair[1] for region, pair in regions.items()},
        blendshapes={BLENDSHAPES[k]: float(change[k]) for k in order},
    )


def _view(looks: Sequence[_Look], rest: _Look, units: Sequence[Sight]) -> CameraView:
    """Slopes vertex by vertex and axis by axis, drawn towards their region's where there is little motion."""
    seen = np.array([look.seen_m - rest.seen_m for look in looks])
    true = np.array([look.true_m - rest.true_m for look in looks])
    regions, prior = {}, np.zeros((mesh.VERTEX_COUNT, 2))
    for name in mesh.REGIONS:
        points = list(mesh.region(name))
        product, square = (seen[:, points] * true[:, points]).sum((0, 1)), (true[:, points] ** 2).sum((0, 1))
        regions[name] = float(product.sum() / square.sum())
        prior[points] = product / square
    weight = len(looks) * (0.4e-3) ** 2
    gain = ((seen * true).sum(0) + weight * prior) / ((true**2).sum(0) + weight)
    gain = np.clip((gain + gain[mesh.MIRROR]) / 2, 0, 1.2)
    error = np.sqrt(((seen - gain * true) ** 2).mean(0))
    brows = _vertices("brow")
    up, tracked = true[:, brows, 1], seen[:, brows, 1]
    rise, fall = (float((tracked * up)[side].sum() / (up**2)[side].sum()) for side in (up > 0, up < 0))
    return CameraView(
        gain=gain,
        error_m=(error + error[mesh.MIRROR]) / 2,
        regions=regions,
        brow_rise=rise,
        brow_fall=fall,
        units={sight.name: float(np.clip(sight.gain, 0, 1.2)) for sight in units},
        source=(
            f"scenarios.person_camera.measure: MediaPipe face landmarker on {len(looks)} rendered poses of the mean "
            f"person, look {_LOOKED_AT!r}, frontal, 480 x 480 px"
        ),
    )
