"""Derive the safe set: measure hazards on many random commands and cut them off with named half-spaces.

Measured on the fast skin after the mechanism has settled: the largest principal stretch of the skin by region,
the largest pull on the magnets, the overlap of the lips. The lids' rule is geometry. A half-space's direction
is a linear classifier's; its bound is then set so that it keeps every sampled command over the limit out.
"""

from dataclasses import asdict, dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from .. import mesh
from ..skin_fast import FastSkin
from .face import RobotFaces
from .face_skin import magnet_forces
from .limits import Hazard, SafeSet
from .mechanism import LID_APERTURE_RAD, MOVING_MAGNETS
from .servo import EXPRESSIVE, LIMITS_RAD, REST_COMMAND, SERVO_NAMES, expand, index, symmetric

_REGIONS = {"mouth": ("right cheek", "mouth"), "chin": ("chin",), "eye": ("right eye", "right brow"),
            "forehead": ("forehead", "nose")}  # fmt: skip
_LEAST_WEIGHT = 0.1
"""A servo that a hazard's direction leans on less than this does not belong to it."""


@dataclass(frozen=True, kw_only=True)
class HazardLimits:
    """What the skin and its magnets bear."""

    stretch: float = 3.5
    """Largest principal stretch. Ecoflex 00-30 tears at about 10 (its maker's data sheet: 900 % elongation); a
    magnet's edge, cuts and many cycles ask for a wide margin. Unknown for a real face: 1.5 … 3 are plausible."""
    magnet_n: float = 4.0
    """Pull at which a magnet may let go. A 6 x 3 mm N42 disc through 0.5 mm of silicone holds some 3-6 N; unknown for
    Emo, 2 … 6 are plausible."""
    lip_overlap_m: float = 0.003
    """Depth to which soft lips may press into each other."""
    lid_clearance_rad: float = 0.0
    """Angle that must stay between the lids' margins."""
    margin: float = 0.01
    """Distance, in commands, by which a half-space keeps off the nearest hazardous sample."""


def random_commands(rng: np.random.Generator, count: int) -> np.ndarray:
    """Expressive commands over the full range, (count, 26): half symmetric, some parameters at rest."""
    rest = symmetric(REST_COMMAND)
    right, left = rng.uniform(size=(2, count, len(rest)))
    left = np.where(rng.uniform(size=(count, 1)) < 0.5, right, left)
    active = rng.uniform(size=(count, len(rest))) < rng.uniform(0.5, 1, size=(count, 1))
    return expand(np.where(active, right, rest), np.where(active, left, rest))


def lid_hazards(clearance_rad: float = 0.0) -> list[Hazard]:
    """Lids must not cross: aperture + upper angle − lower angle ≥ clearance, on each side."""
    hazards = []
    for side in ("right", "left"):
        upper, lower = index(f"{side}_upper_lid"), index(f"{side}_lower_lid")
        travel = LIMITS_RAD[:, 1] - LIMITS_RAD[:, 0]
        bound = LID_APERTURE_RAD - clearance_rad + LIMITS_RAD[upper, 0] - LIMITS_RAD[lower, 0]
        terms = {SERVO_NAMES[lower]: float(travel[lower]), SERVO_NAMES[upper]: -float(travel[upper])}
        hazards.append(_unit(f"{side} lids cross", "collision", terms, bound))
    return hazards


def measures(skin: FastSkin, ports_m: np.ndarray, limits: HazardLimits) -> dict[str, np.ndarray]:
    """Each hazard's measure over its limit on the subject's right side, (n,), above 1 where it is exceeded."""
    vertices_m = skin.vertices(ports_m)
    stretch = skin.stretch(vertices_m)
    right = mesh.REST[mesh.TRIANGLES].mean(1)[:, 0] < 1e-6
    region_of = {v: name for name in mesh.REGIONS for v in mesh.region(name)}
    found = {}
    for name, regions in _REGIONS.items():
        inside = np.array([any(region_of[int(v)] in regions for v in t) for t in mesh.TRIANGLES])
        found[f"skin tears at {name}"] = stretch[:, inside & right].max(1) / limits.stretch
    pull = np.linalg.norm(magnet_forces(skin, ports_m), axis=-1)
    on_right = mesh.REST[list(MOVING_MAGNETS), 0] < 1e-6
    found["magnet lets go"] = pull[:, on_right].max(1) / limits.magnet_n
    upper, lower = np.array([pair for pair in mesh.LIP_PAIRS if mesh.REST[pair[0], 0] < 1e-6]).T
    overlap = vertices_m[:, lower, 1] - vertices_m[:, upper, 1]
    found["lips press"] = overlap.max(1) / limits.lip_overlap_m
    return found


def derive(
    rng: np.random.Generator, skin: FastSkin, limits: HazardLimits, count: int = 8192
) -> tuple[SafeSet, dict[str, float]]:
    """Fit the safe set on `count` random commands; returns it and the share of commands that break each limit."""
    hazards = lid_hazards(limits.lid_clearance_rad)
    commands = random_commands(rng, count)
    exceeded = measures(skin, RobotFaces(256).settled_ports(commands), limits)
    shares = {name: float((value > 1).mean()) for name, value in exceeded.items()}
    for name, value in exceeded.items():
        if (value > 1).any():
            hazard = _half_space(rng, name, commands, value > 1, limits.margin)
            hazards += [_named(hazard, "right"), _mirrored(hazard)]
    return SafeSet.of(hazards), shares


def as_json(safe_set: SafeSet, limits: HazardLimits) -> dict:
    """What `data/safe_set.json` holds."""
    return {"limits": asdict(limits), "hazards": [asdict(h) for h in safe_set.hazards]}


def _half_space(rng: np.random.Generator, name: str, commands: np.ndarray, over: np.ndarray, margin: float) -> Hazard:
    """The half-space that keeps every `over` command out and loses few of the others.

    Only servos of that part of the face, on the right side and the midline, count, and of them only those that a
    linear classifier leans on; its direction is then improved by a random search.
    """
    upper_face = name.endswith(("eye", "forehead"))
    used = np.array(
        [
            i
            for i in EXPRESSIVE
            if not SERVO_NAMES[i].startswith("left_") and SERVO_NAMES[i].endswith(("lid", "brow")) == upper_face
        ]
    )
    direction = np.zeros(0)
    for _ in range(2):
        classifier = LogisticRegression(C=100.0, class_weight="balanced", max_iter=2000)
        direction = classifier.fit(commands[:, used], over).coef_[0]
        direction = direction / np.linalg.norm(direction)
        leant_on = np.abs(direction) > _LEAST_WEIGHT
        used, direction = used[leant_on], direction[leant_on]

    def kept(way: np.ndarray) -> int:
        along = commands[:, used] @ way
        return int((along < along[over].min() - margin).sum())

    best = kept(direction)
    for step in np.geomspace(0.3, 0.03, 400):
        trial = direction + step * rng.normal(size=len(direction))
        trial /= np.linalg.norm(trial)
        if (count := kept(trial)) > best:
            best, direction = count, trial
    bound = (commands[:, used] @ direction)[over].min() - margin
    terms = {SERVO_NAMES[i]: float(w) for i, w in zip(used, direction, strict=True)}
    return _unit(name, "collision" if name.startswith("lips") else "tear", terms, float(bound))


def _named(hazard: Hazard, side: str) -> Hazard:
    return Hazard(f"{side} side: {hazard.name}", hazard.kind, hazard.terms, hazard.bound)


def _mirrored(hazard: Hazard) -> Hazard:
    terms = {name.replace("right_", "left_"): weight for name, weight in hazard.terms.items()}
    return _named(Hazard(hazard.name, hazard.kind, terms, hazard.bound), "left")


def _unit(name: str, kind, terms: dict[str, float], bound: float) -> Hazard:
    scale = float(np.linalg.norm(list(terms.values())))
    return Hazard(name, kind, {n: round(w / scale, 4) for n, w in terms.items()}, round(bound / scale, 4))
