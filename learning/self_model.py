"""The robot's model of its own face: which commands make the landmarks that a camera sees?

`SelfModel` is the inverse model of the Emo robot (paper: Human-robot facial coexpression, Methods): aligned
landmarks in, 11 symmetric commands out, learnt from babbling that moves only the eyes and brows or only the
mouth.
"""

from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from ..sim import mesh
from ..sim.errors import InputError, ModelFileError
from ..sim.facs import BLENDSHAPES
from ..sim.robot.servo import MOUTH_PARAMETERS, SYMMETRIC_NAMES, UPPER_PARAMETERS
from .checkpoint import Checkpoint, load, save
from .networks import Network, Table, Training, train
from .projection import Projection, View

KIND = "self-model"
_SHAPES = ("brow", "eyeBlink", "eyeWide", "jaw", "mouth")
_REST_SHARE = 0.05
"""Of each half's examples that are the half at rest: several commands look alike there, one is wanted."""
_SHAPE_RIDGE = 5.0
"""Keeps shapes still that the robot hardly ever showed."""
_SHAPE_MOST = 1.0
"""The quantile of the robot's scores that counts as the strongest it can show."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a self-model looks at, and how its network is made."""

    name: str
    view: View
    training: Training


PAPER = Recipe(
    name="paper",
    view=View(
        landmarks=mesh.EMO_LANDMARKS, dimensions=2, symmetric=False, components=0, whitening=1.0,
        superpose=False,
    ),
    training=Training(
        hidden=(256, 128), members=1, batch_norm=True, absolute_loss=False, input_noise=0.0,
        steps=6000, batch=128, learning_rate=1e-3, weight_decay=0.0,
    ),
)  # fmt: skip
"""The published network: 113 landmarks × (x, y), three layers, ReLU and batch normalisation, sigmoid,
squared error, Adam. Its widths are not published; its learning rate of 1e-6 needs millions of steps, here it
is 1e-3."""

ENSEMBLE = Recipe(
    name="ensemble",
    view=View(
        landmarks=tuple(range(mesh.VERTEX_COUNT)), dimensions=3, symmetric=True, components=100,
        whitening=0.5, superpose=True,
    ),
    training=Training(
        hidden=(32,), members=10, batch_norm=False, absolute_loss=True, input_noise=0.3,
        steps=2000, batch=64, learning_rate=2e-3, weight_decay=1e-2,
    ),
)  # fmt: skip
"""Ten small networks on 100 components of all landmarks, for a few hundred faces."""

BABBLED = replace(
    ENSEMBLE, training=replace(ENSEMBLE.training, hidden=(128, 64), members=4, steps=6000, batch=256, input_noise=0.2)
)
"""The same with wider networks, for the million faces that two halves of babbling make."""


@dataclass(frozen=True, kw_only=True)
class SelfModel:
    """Inverse model of one robot face. Make one with `fit`, `fit_faces` or `load`."""

    recipe: Recipe
    projection: Projection
    network: Network
    rest_m: np.ndarray
    """Aligned landmarks of the robot at rest, (468, 3)."""
    low_m: np.ndarray
    """Smallest coordinates seen while babbling, (468, 3): R_min of the paper's normalisation."""
    high_m: np.ndarray
    """Largest coordinates, (468, 3): R_max."""
    shapes_m: np.ndarray
    """Motion of the robot's landmarks per unit of each blendshape, (52, 468, 3); see `with_shapes`."""
    shapes_most: np.ndarray
    """How strongly the robot itself can show each blendshape, (52,), as the tracker scores it."""

    @classmethod
    def fit(
        cls,
        upper_landmarks_m: np.ndarray,
        upper_commands: np.ndarray,
        mouth_landmarks_m: np.ndarray,
        mouth_commands: np.ndarray,
        rest_m: np.ndarray,
        rng: np.random.Generator,
        recipe: Recipe = ENSEMBLE,
    ) -> "SelfModel":
        """Learn from babbling with one half of the face at a time; every upper pose meets every mouth pose.

        Landmarks (n, 468 or 478, 3) are aligned, commands (n, 11) symmetric; the two sets may differ in size.
        `rest_m` (468 or 478, 3) is the face at rest. Raises `InputError` for shapes or values that cannot be
        used.
        """
        upper, upper_y = _pairs(upper_landmarks_m, upper_commands, "upper half")
        mouth, mouth_y = _pairs(mouth_landmarks_m, mouth_commands, "mouth half")
        rest = _faces(rest_m, "rest face")[0]
        seen = np.concatenate([upper, mouth, rest[None]])
        still = np.where(np.isin(np.arange(len(SYMMETRIC_NAMES)), UPPER_PARAMETERS), mouth_y[0], upper_y[0])
        upper, upper_y = _with_rest(upper, upper_y, rest, still)
        mouth, mouth_y = _with_rest(mouth, mouth_y, rest, still)
        projection, (upper_x, mouth_x) = Projection.fit(recipe.view, upper, mouth, rest)
        # An example's command is the sum of its two rows: each half brings its own parameters and zeros.
        tables = (
            Table(upper_x, _only(upper_y, UPPER_PARAMETERS)),
            Table(mouth_x, _only(mouth_y, MOUTH_PARAMETERS)),
        )
        network = train(recipe.training, *tables, rng)
        return cls._without_shapes(recipe, projection, network, rest, seen)

    @classmethod
    def fit_faces(
        cls,
        landmarks_m: np.ndarray,
        commands: np.ndarray,
        rng: np.random.Generator,
        recipe: Recipe = ENSEMBLE,
    ) -> "SelfModel":
        """Learn from whole faces, landmarks (n, 468 or 478, 3) and commands (n, 11).

        Their mean counts as rest.
        """
        faces, y = _pairs(landmarks_m, commands, "faces")
        rest = faces.mean(0)
        projection, (x, nothing) = Projection.fit(recipe.view, faces, None, rest)
        network = train(recipe.training, Table(x, y), Table(nothing, np.zeros((1, y.shape[1]))), rng)
        return cls._without_shapes(recipe, projection, network, rest, faces)

    @classmethod
    def _without_shapes(
        cls, recipe: Recipe, projection: Projection, network: Network, rest_m: np.ndarray, seen_m: np.ndarray
    ) -> "SelfModel":
        """A model whose range is that of the faces seen, (n, 468, 3), and which knows no blendshape yet."""
        return cls(
            recipe=recipe,
            projection=projection,
            network=network,
            rest_m=rest_m,
            low_m=seen_m.min(0),
            high_m=seen_m.max(0),
            shapes_m=np.zeros((len(BLENDSHAPES), *rest_m.shape)),
            shapes_most=np.zeros(len(BLENDSHAPES)),
        )

    def with_shapes(self, blendshapes: np.ndarray, landmarks_m: np.ndarray) -> "SelfModel":
        """The same model that also knows what each blendshape looks like on the robot.

        By ridge regression of landmark motion on the tracker's scores, both from rest: blendshapes (n, 52), landmarks
        (n, 468 or 478, 3). Scores of gaze and squint are left out: the first belong to the eyeballs, the second to the
        person.
        """
        used = [i for i, name in enumerate(BLENDSHAPES) if name.startswith(_SHAPES)]
        scores = np.asarray(blendshapes, float)[:, used]
        motion = (_faces(landmarks_m, "faces") - self.rest_m).reshape(len(scores), -1)
        shapes = np.zeros((len(BLENDSHAPES), *self.rest_m.shape))
        gram = scores.T @ scores + _SHAPE_RIDGE * np.eye(len(used))
        shapes[used] = np.linalg.solve(gram, scores.T @ motion).reshape(len(used), *self.rest_m.shape)
        most = np.zeros(len(BLENDSHAPES))
        most[used] = np.quantile(scores, _SHAPE_MOST, axis=0)
        return replace(self, shapes_m=shapes, shapes_most=most)

    def shape_motion(self, blendshapes: np.ndarray) -> np.ndarray:
        """Landmark motion from rest, (468, 3) m, of the robot that shows blendshapes (52,) as well as it can."""
        return np.tensordot(np.minimum(blendshapes, self.shapes_most), self.shapes_m, axes=1)

    def predict(self, landmarks_m: np.ndarray) -> np.ndarray:
        """Symmetric commands 0…1, (…, 11) in the order of `SYMMETRIC_NAMES`, for aligned landmarks (…,
        468|478, 3).

        An asymmetric face gives the command of its mean side. Raises `InputError` if the landmarks have
        another shape or are not finite.
        """
        flat, batch = _flat(landmarks_m)
        inputs = flat @ self.projection.basis
        inputs += self.projection.offset
        commands = self.network(inputs)
        return _finite(commands).reshape(*batch, commands.shape[-1])

    def predict_sides(self, landmarks_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Commands of the right and of the left side, each (…, 11), for `servo.expand(right, left)`.

        Each side is read from the face that shows this side twice.
        """
        flat, batch = _flat(landmarks_m)
        basis, offset = self._sides
        inputs = (flat @ basis).reshape(-1, len(offset)) + offset
        commands = _finite(self.network(inputs))
        commands = commands.reshape(*batch, 2, commands.shape[-1])
        return commands[..., 0, :], commands[..., 1, :]

    @cached_property
    def _sides(self) -> tuple[np.ndarray, np.ndarray]:
        return np.concatenate(self.projection.sides(), axis=1), self.projection.offset

    def save(self, path: str | Path, about: dict[str, object] | None = None) -> Path:
        """Write the model as a checkpoint; `about` adds facts such as scores. Raises `ModelFileError`."""
        arrays = {f"weight_{k}": w for k, w in enumerate(self.network.weights)}
        arrays |= {f"bias_{k}": b for k, b in enumerate(self.network.biases)}
        units = dict.fromkeys(arrays, "1")
        arrays |= {"basis": self.projection.basis, "offset": self.projection.offset}
        arrays |= {"rest_m": self.rest_m, "low_m": self.low_m, "high_m": self.high_m}
        arrays |= {"shapes_m": self.shapes_m.astype(np.float16), "shapes_most": self.shapes_most}
        units |= {"basis": "1/m", "offset": "1", "rest_m": "m", "low_m": "m", "high_m": "m", "shapes_m": "m"}
        units["shapes_most"] = "1"
        facts: dict[str, object] = {"outputs": list(SYMMETRIC_NAMES), "recipe": asdict(self.recipe)}
        return save(path, Checkpoint(kind=KIND, arrays=arrays, units=units, about=facts | (about or {})))

    @classmethod
    @cache
    def default(cls) -> "SelfModel":
        """The self-model of the default robot, shipped; `duchenne train self-model` makes it anew."""
        with as_file(files("duchenne.learning") / "data" / "self_model.npz") as path:
            return cls.load(path)

    @classmethod
    def load(cls, path: str | Path) -> "SelfModel":
        """Read a model that `save` wrote. Raises `ModelFileError` if the file is not one, or is damaged."""
        checkpoint = load(path, KIND)
        arrays, about = checkpoint.arrays, checkpoint.about
        if about.get("outputs") != list(SYMMETRIC_NAMES):
            raise ModelFileError(
                f"{path} predicts {about.get('outputs')}; wanted {list(SYMMETRIC_NAMES)}; train it anew"
            )
        try:
            recipe = _recipe(about["recipe"])
            depth = len(recipe.training.hidden) + 1
            return cls(
                recipe=recipe,
                projection=Projection(arrays["basis"], arrays["offset"]),
                network=Network(
                    tuple(arrays[f"weight_{k}"] for k in range(depth)),
                    tuple(arrays[f"bias_{k}"] for k in range(depth)),
                ),
                rest_m=arrays["rest_m"],
                low_m=arrays["low_m"],
                high_m=arrays["high_m"],
                shapes_m=arrays["shapes_m"],
                shapes_most=arrays["shapes_most"],
            )
        except (KeyError, TypeError) as error:
            raise ModelFileError(f"{path} lacks a part of a self-model ({error}); train it anew") from error


def _recipe(stored: Any) -> Recipe:
    view = stored["view"] | {"landmarks": tuple(stored["view"]["landmarks"])}
    training = stored["training"] | {"hidden": tuple(stored["training"]["hidden"])}
    return Recipe(name=stored["name"], view=View(**view), training=Training(**training))


def _flat(landmarks_m: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """Landmarks as float32 rows, (n, 1404), and the shape of the batch."""
    points = np.asarray(landmarks_m)
    if points.shape[-2:] not in ((mesh.VERTEX_COUNT, 3), (mesh.LANDMARK_COUNT, 3)):
        raise InputError(f"landmarks: got shape {points.shape}, allowed (…, 468, 3) or (…, 478, 3)")
    points = points[..., : mesh.VERTEX_COUNT, :].astype(np.float32)
    return points.reshape(-1, 3 * mesh.VERTEX_COUNT), points.shape[:-2]


def _finite(commands: np.ndarray) -> np.ndarray:
    # A landmark that is not finite makes the command so; eleven numbers are quicker to test than 1404.
    if not np.isfinite(commands).all():
        raise InputError("landmarks: got values that are not finite; leave out frames without a face")
    return commands.astype(float)


def _faces(landmarks_m: np.ndarray, what: str) -> np.ndarray:
    points = np.asarray(landmarks_m, dtype=float)
    if points.shape[-2:] not in ((mesh.VERTEX_COUNT, 3), (mesh.LANDMARK_COUNT, 3)) or not np.isfinite(points).all():
        raise InputError(f"{what}: got landmarks of shape {points.shape}, allowed finite (n, 468 or 478, 3)")
    return points[..., : mesh.VERTEX_COUNT, :].reshape(-1, mesh.VERTEX_COUNT, 3)


def _pairs(landmarks_m: np.ndarray, commands: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    faces, y = _faces(landmarks_m, what), np.asarray(commands, dtype=float)
    if len(faces) < 2 or y.shape != (len(faces), len(SYMMETRIC_NAMES)) or not ((y >= 0) & (y <= 1)).all():
        raise InputError(
            f"{what}: got {len(faces)} faces with commands of shape {y.shape}; allowed are at least two "
            f"faces and one command of {len(SYMMETRIC_NAMES)} numbers in 0…1 for each"
        )
    return faces, y


def _with_rest(
    faces: np.ndarray, commands: np.ndarray, rest: np.ndarray, still: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    copies = max(1, round(_REST_SHARE * len(faces)))
    return np.concatenate([faces, np.tile(rest, (copies, 1, 1))]), np.concatenate(
        [commands, np.tile(still, (copies, 1))]
    )


def _only(commands: np.ndarray, kept: tuple[int, ...]) -> np.ndarray:
    part = np.zeros_like(commands)
    part[:, kept] = commands[:, kept]
    return part
