"""A head as a picture shows it: face, eyeballs, teeth, tongue, lights, camera and what the head wears.

A MuJoCo model without a single degree of freedom; the physics of the face is another model. `robot_dress` is the
robot's: helmet, ear pods, neck and collar.
"""

from functools import cache

import mujoco
import numpy as np
from scipy.interpolate import CubicSpline

from .. import mesh
from .drape import EYE_CENTRES_M, EYE_RADIUS_M, Drape
from .dress import Dress, Material, Part, Surface, grid, lathe, tube
from .paint import eye_texture, mix, skin_named, skin_texture, teeth_texture

SKIN, HEAD, JAW, EYES, CAMERA = "face", "head", "jaw", ("right eye", "left eye"), "camera"
NECK_Z_M = -0.045


def head_model(
    dress: Dress,
    drape: Drape,
    width_px: int,
    height_px: int,
    camera: np.ndarray,
    fovy_deg: float,
    still: bool,
) -> mujoco.MjModel:
    """Compile the visual model. `camera` is the camera's pose in the world, (4, 4), looking along its own −z;
    `still` asks for shadows and smooth edges instead of speed."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.stat.extent, spec.stat.center = 0.3, [0, 0, 0]
    spec.visual.global_.offwidth, spec.visual.global_.offheight = width_px, height_px
    spec.visual.quality.offsamples = 8 if still else 0
    spec.visual.quality.shadowsize = 4096 if still else 0
    spec.visual.map.znear, spec.visual.map.zfar = 0.3, 20.0
    _studio(spec, camera, fovy_deg, still)
    _materials(spec, dress)
    head = spec.worldbody.add_body(name=HEAD)
    for part in dress.on_head:
        _put(spec, head, *part)
    for name, centre in zip(EYES, EYE_CENTRES_M, strict=True):
        eye = head.add_body(name=name, pos=centre)
        _put(spec, eye, name, _eyeball(), "eye")
        glint = centre + 1.03 * EYE_RADIUS_M * _unit(0.13, 0.13, 1.0)
        head.add_geom(type=_SPHERE, size=[0.0008, 0, 0], pos=glint, material="glint")
    _put(spec, head, "upper teeth", _teeth(-0.0335, -0.0436, 0.0430), "teeth")
    jaw = head.add_body(name=JAW)
    _put(spec, jaw, "lower teeth", _teeth(-0.0535, -0.0442, 0.0412), "teeth")
    jaw.add_geom(type=_ELLIPSOID, size=[0.015, 0.006, 0.017], pos=[0, -0.050, 0.024], material="tongue")
    for part in dress.in_world:
        _put(spec, spec.worldbody, *part)
    _skin(spec, drape)
    return spec.compile()


@cache
def robot_dress(skin: str) -> Dress:
    """The robot in one of `paint.SKINS`. Raises `VocabularyError`."""
    paint = skin_named(skin)
    sides = (("right", -1), ("left", 1))
    return Dress(
        skin=skin_texture(paint),
        eye=eye_texture(paint),
        on_head=(
            Part("shell", _shell(), "shell"),
            Part("bead", _bead(), "trim"),
            *(Part(f"{name} ear", _ear(side), "shell") for name, side in sides),
            *(Part(f"{name} ring", _ear(side, ring=True), "trim") for name, side in sides),
        ),
        in_world=(Part("neck", _neck(), "neck"), Part("collar", _collar(), "shell")),
        materials={
            "shell": Material(paint.shell, 0.5, 0.7),
            "trim": Material(paint.trim, 0.3, 0.5),
            "neck": Material(mix(paint.trim, (0, 0, 0), 0.5), 0.2, 0.4),
        },
    )


_SPHERE, _ELLIPSOID = mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_ELLIPSOID


def _unit(*vector: float) -> np.ndarray:
    return np.array(vector) / np.linalg.norm(vector)


def _rgba(colour, alpha: float = 1.0) -> list[float]:
    return [*(c / 255 for c in colour), alpha]


def _studio(spec: mujoco.MjSpec, camera: np.ndarray, fovy_deg: float, still: bool) -> None:
    """A soft key light from above, a fill, a light from behind and a plain backdrop."""
    spec.visual.headlight.ambient = [0.40, 0.39, 0.39]
    spec.visual.headlight.diffuse = [0.26, 0.26, 0.26]
    spec.visual.headlight.specular = [0, 0, 0]
    key = {"diffuse": [0.42, 0.41, 0.39], "specular": [0.25, 0.25, 0.25]}
    fill = {"diffuse": [0.12, 0.13, 0.15], "specular": [0, 0, 0]}
    back = {"diffuse": [0.16, 0.17, 0.19], "specular": [0, 0, 0]}
    for pos, light, shadow in (
        ((0.30, 0.85, 0.85), key, still),
        ((-0.8, 0.1, 0.7), fill, False),
        ((-0.2, 0.9, -0.7), back, False),
    ):
        spec.worldbody.add_light(
            pos=pos,
            dir=-_unit(*pos),
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            castshadow=shadow,
            **light,
        )
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, camera[:3, :3].ravel())
    spec.worldbody.add_camera(name=CAMERA, pos=camera[:3, 3], quat=quaternion, fovy=fovy_deg)
    spec.add_texture(
        name="backdrop", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.60, 0.64, 0.68], rgb2=[0.40, 0.44, 0.49], width=64, height=384,
    )  # fmt: skip


def _materials(spec: mujoco.MjSpec, dress: Dress) -> None:
    common = {
        SKIN: Material(dress.skin, 0.12, 0.25),
        "eye": Material(dress.eye, 0.5, 0.9),
        "teeth": Material(teeth_texture(), 0.3, 0.6),
        "tongue": Material((176, 84, 88), 0.2, 0.5),
    }
    for name, (colour, specular, shininess) in {**common, **dress.materials}.items():
        look = {"specular": specular, "shininess": shininess}
        if not isinstance(colour, np.ndarray):
            spec.add_material(name=name, rgba=_rgba(colour), **look)
            continue
        # Pixels go in as data: a file at the same path would come back stale from MuJoCo's asset cache.
        height, width, _ = colour.shape
        kind = mujoco.mjtTexture.mjTEXTURE_2D
        texture = spec.add_texture(name=name, type=kind, width=width, height=height, nchannel=3)
        texture.data = np.ascontiguousarray(colour).tobytes()
        textures = [""] * int(mujoco.mjtTextureRole.mjNTEXROLE)
        textures[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)] = name
        spec.add_material(name=name, textures=textures, **look)
    spec.add_material(name="glint", rgba=[1, 1, 1, 1], emission=1.0)


def _put(spec: mujoco.MjSpec, body, name: str, surface: Surface, material: str) -> None:
    vertices, triangles, texture = surface
    made = spec.add_mesh(name=name, inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
    made.uservert = vertices.astype(np.float32).ravel()
    made.userface = triangles.astype(np.int32).ravel()
    made.usertexcoord = texture.astype(np.float32).ravel()
    made.userfacetexcoord = triangles.astype(np.int32).ravel()
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, material=material, contype=0, conaffinity=0)


def _skin(spec: mujoco.MjSpec, drape: Drape) -> None:
    """The face as a skin on one bone; the renderer overwrites its vertices in every frame."""
    count = len(drape.uv)
    skin = spec.add_skin(name=SKIN, material=SKIN)
    skin.vert = drape.vertices(mesh.REST).astype(np.float32).ravel()
    skin.texcoord = drape.uv.astype(np.float32).ravel()
    skin.face = drape.triangles.astype(np.int32).ravel()
    skin.bodyname, skin.bindpos, skin.bindquat = [HEAD], [0, 0, 0], [1, 0, 0, 0]
    skin.vertid, skin.vertweight = [list(range(count))], [[1.0] * count]


def face_edge(samples: int = 144, rest_m: np.ndarray = mesh.REST) -> np.ndarray:
    """The face's edge at rest, (samples, 3) m, clockwise as seen from the front."""
    points = rest_m[[*mesh.FACE_OVAL, mesh.FACE_OVAL[0]]]
    at = np.linspace(0, 1, len(points))
    return CubicSpline(at, points, bc_type="periodic")(np.linspace(0, 1, samples, endpoint=False))


def _shell() -> Surface:
    """Helmet: lofted from just behind the face's edge to the back of the head. Under the chin it is tucked
    in, so that the jaw's skin slides over it."""
    oval = face_edge()
    pole = np.array([0, 0.020, -0.118])
    side = oval[:, :2] - pole[:2]
    up = side[:, 1] / np.linalg.norm(side, axis=1)
    tuck = np.clip((-0.015 - oval[:, 1]) / 0.045, 0, 1)
    tuck = tuck**2 * (3 - 2 * tuck)
    bulge = 0.28 + 0.36 * np.clip(up, 0, 1) ** 2
    rim = side * (1 + 0.022 - 0.24 * tuck)[:, None]
    start = oval[:, 2] - 0.005 - 0.025 * tuck
    rows = []
    for u in np.linspace(0, np.pi / 2, 24):
        reach = np.cos(u) ** 0.75 + bulge * (1 - tuck) * np.sin(2 * u)
        z = start + (pole[2] - start) * np.sin(u)
        rows.append(np.column_stack([pole[:2] + rim * reach[:, None], z]))
    return grid(np.array(rows), closed=True)


def _bead() -> Surface:
    """The dark gasket between mask and helmet, from one jaw corner over the forehead to the other."""
    oval = np.roll(face_edge(), 72, axis=0)
    above = oval[oval[:, 1] > -0.050]
    ends = np.clip((above[:, 1] + 0.050) / 0.03, 0, 1)
    path = above * [1.012, 1.012, 1] - [0, 0, 0.0035]
    return tube(path, 0.0004 + 0.0016 * ends)


def _ear(side: int, ring: bool = False) -> Surface:
    base = np.array([0.0745, 0.006, -0.043])
    if ring:
        profile = [(0.0150, 0.0130), (0.0165, 0.0130), (0.0165, 0.0105), (0.0150, 0.0100)]
    else:
        profile = [
            (0.0, 0.021),
            (0.010, 0.0205),
            (0.0140, 0.0185),
            (0.0155, 0.0160),
            (0.0158, 0.008),
            (0.0158, 0.0),
        ]
    vertices, triangles, texture = lathe(np.array(profile), axis=0)
    vertices = (vertices + base) * [side, 1, 1]
    return vertices, triangles[:, :: int(side)], texture


def _neck() -> Surface:
    y = np.linspace(-0.05, -0.165, 70)
    radius = 0.047 + 0.0022 * np.cos((y + 0.05) * 2 * np.pi / 0.0125) + 0.012 * np.clip((-0.14 - y) / 0.025, 0, 1) ** 2
    vertices, triangles, texture = lathe(np.column_stack([y, radius]), axis=1)
    return vertices + np.array([0, 0, NECK_Z_M]), triangles, texture


def _collar() -> Surface:
    u = np.linspace(0, 1, 24)
    profile = np.column_stack([-0.150 - 0.085 * u**1.6, 0.058 + 0.17 * u**0.8])
    vertices, triangles, texture = lathe(profile, axis=1)
    return vertices * [1, 1, 0.62] + [0, 0, NECK_Z_M], triangles, texture


def _eyeball() -> Surface:
    """Front of a ball to 100° from its pole at +z, with a slight cornea; texture radius ∝ angle."""
    polar = np.radians(100) * np.linspace(0, 1, 25)[:, None]
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)[None]
    bump = 1 + 0.035 * np.exp(-((polar / 0.42) ** 4))
    points = (
        EYE_RADIUS_M
        * bump[..., None]
        * np.stack([np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar) + 0 * turn], -1)
    )
    vertices, triangles, _ = grid(points, closed=True)
    share = polar / np.radians(100) / 2
    texture = np.stack([0.5 + share * np.cos(turn), 0.5 - share * np.sin(turn)], -1)
    return vertices, triangles[:, ::-1], texture.reshape(-1, 2)


def _teeth(gum_y: float, edge_y: float, front_z: float) -> Surface:
    x = np.linspace(-0.0235, 0.0235, 47)
    rows = [np.column_stack([x, 0 * x + y, front_z - dz - 26 * x**2]) for y, dz in
            zip(np.linspace(gum_y, edge_y, 5), (0.0015, 0.0002, 0, 0.0004, 0.0014), strict=True)]  # fmt: skip
    vertices, triangles, texture = grid(np.array(rows), closed=False)
    return vertices, triangles if edge_y > gum_y else triangles[:, ::-1], texture
