"""Pictures of a face, the robot's or a person's, pleasant to look at and made for landmark trackers.

    with FaceRenderer(skin="azure") as renderer:
        picture = renderer.image(state.vertices_m, head_pose=state.head_pose, gaze_rad=state.gaze_rad)

No OpenGL is touched before a `FaceRenderer` is made.
"""

import contextlib
import importlib
import logging
import os
import sys
from functools import cache
from typing import Self

import mujoco
import numpy as np

from .. import mesh
from ..errors import GraphicsError, InputError
from .drape import Drape
from .dress import Dress
from .head import CAMERA, EYES, HEAD, JAW, SKIN, head_model, robot_dress
from .paint import SKINS

__all__ = ["SKINS", "FaceRenderer"]

_log = logging.getLogger(__name__)
_CHIN = [152, 148, 377, 175, 199, 200, 208, 428]


class FaceRenderer:
    """A camera in front of a head; a context manager that owns one OpenGL context.

    `skin` is one of the robot's `SKINS`, or any other `Dress` of the same face.
    The camera stands `distance_m` in front of the world's origin (+z), raised by `elevation_deg`, and looks
    at the origin with the vertical field of view `fovy_deg`; the picture is `width_px` by `height_px`.
    Landmark trackers see a face best a little from above. `still` gives shadows and smooth edges at 15 times
    the cost. `rest_m` (468, 3) m is the face at rest with the teeth closed.

    Raises `VocabularyError` for an unknown skin, `GraphicsError` where OpenGL cannot be had.
    """

    def __init__(
        self,
        skin: str | Dress = "porcelain",
        *,
        width_px: int = 480,
        height_px: int = 480,
        distance_m: float = 0.8,
        elevation_deg: float = 9.0,
        fovy_deg: float = 24.0,
        still: bool = False,
        rest_m: np.ndarray = mesh.REST,
    ):
        if min(width_px, height_px) < 16:
            raise InputError(f"a picture of {width_px} x {height_px} px is too small; at least 16 x 16 are needed")
        self.skin, self.width_px, self.height_px = skin, width_px, height_px
        self.fovy_deg = fovy_deg
        self.camera_pose = np.eye(4)
        """Camera → world, (4, 4); the camera looks along its own −z."""
        self.camera_pose[:3, :3] = _about_x(-np.radians(elevation_deg))
        self.camera_pose[:3, 3] = self.camera_pose[:3, 2] * distance_m
        dress = robot_dress(skin) if isinstance(skin, str) else skin
        self._moving_skin = dress.moving_skin
        self._gl, backend = _open_gl(width_px, height_px)
        self._still = still
        self._rest = rest_m
        self._drape = _drape()
        self._model = head_model(dress, self._drape, width_px, height_px, self.camera_pose, fovy_deg, still)
        self._data = mujoco.MjData(self._model)
        self._scene = mujoco.MjvScene(self._model, 100)
        self._option, self._view = mujoco.MjvOption(), mujoco.MjvCamera()
        self._view.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._view.fixedcamid = self._model.camera(CAMERA).id
        self._texture = self._model.texture(SKIN)
        self._bodies = {name: self._model.body(name).id for name in (HEAD, JAW, *EYES)}
        try:
            self._gl.make_current()
            with _environment(MUJOCO_GL=backend):  # the C library asks it where OpenGL's functions are
                self._context = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_100)
            mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        except Exception as error:
            self._gl.free()
            raise GraphicsError(_ADVICE.format(tried=f"{backend}: {error}")) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc) -> None:
        self.close()

    def close(self) -> None:
        """Give the OpenGL context back; afterwards `image` raises `GraphicsError`."""
        if self._gl is not None:
            self._gl.make_current()
            self._context.free()
            self._gl.free()
            self._gl = None

    def image(
        self,
        vertices_m: np.ndarray,
        *,
        head_pose: np.ndarray | None = None,
        gaze_rad: np.ndarray | None = None,
    ) -> np.ndarray:
        """Picture of a face.

        vertices_m: (468, 3) m in the head frame. head_pose: (4, 4) head → world; none: head at the origin.
        gaze_rad: (2, 2), rows right and left eye, columns yaw (towards the subject's left) and pitch (up).
        The lower teeth move with the chin.
        Returns (height, width, 3) uint8 RGB, row 0 at the top. Raises `InputError`, `GraphicsError`.
        """
        if self._gl is None:
            raise GraphicsError("this FaceRenderer is closed; make a new one")
        vertices = _checked("vertices_m", vertices_m, (mesh.VERTEX_COUNT, 3))
        pose = _checked("head_pose", np.eye(4) if head_pose is None else head_pose, (4, 4))
        gaze = _checked("gaze_rad", np.zeros((2, 2)) if gaze_rad is None else gaze_rad, (2, 2))
        self._turn(HEAD, pose[:3, :3])
        self._model.body_pos[self._bodies[HEAD]] = pose[:3, 3]
        opening, shift = _jaw_motion(vertices, self._rest)
        self._turn(JAW, opening)
        self._model.body_pos[self._bodies[JAW]] = shift
        for name, (yaw, pitch) in zip(EYES, gaze, strict=True):
            self._turn(name, _about_y(yaw) @ _about_x(-pitch))
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        mujoco.mjv_updateScene(
            self._model, self._data, self._option, None, self._view, mujoco.mjtCatBit.mjCAT_ALL, self._scene
        )
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._scene.flags[flag] = self._still
        fine = self._drape.vertices(vertices)
        normals = self._drape.normals(fine) @ pose[:3, :3].T
        self._scene.skinvert[:] = (
            (fine @ pose[:3, :3].T + pose[:3, 3]).astype(np.float32).reshape(self._scene.skinvert.shape)
        )
        self._scene.skinnormal[:] = normals.astype(np.float32).reshape(self._scene.skinnormal.shape)
        self._gl.make_current()
        if self._moving_skin is not None:
            self._texture.data[:] = self._moving_skin(vertices).reshape(self._texture.data.shape)
            mujoco.mjr_uploadTexture(self._model, self._context, self._texture.id)
        return self._shoot()

    def project(self, points_m: np.ndarray, head_pose: np.ndarray | None = None) -> np.ndarray:
        """Where points (…, 3) m of the head frame fall in the picture: (…, 2) px, x right, y down, (0, 0) the
        outer corner of the top left pixel. Hidden points and those beyond the edge are not left out."""
        pose = np.eye(4) if head_pose is None else np.asarray(head_pose, float)
        world = np.asarray(points_m, float) @ pose[:3, :3].T + pose[:3, 3]
        seen = (world - self.camera_pose[:3, 3]) @ self.camera_pose[:3, :3]
        focal = self.height_px / 2 / np.tan(np.radians(self.fovy_deg) / 2)
        plane = seen[..., :2] * [1, -1] / -seen[..., 2:]
        return np.array([self.width_px / 2, self.height_px / 2]) + focal * plane

    def _turn(self, body: str, rotation: np.ndarray) -> None:
        mujoco.mju_mat2Quat(self._model.body_quat[self._bodies[body]], np.ascontiguousarray(rotation).ravel())

    def _shoot(self) -> np.ndarray:
        picture = np.empty((self.height_px, self.width_px, 3), np.uint8)
        whole = mujoco.MjrRect(0, 0, self.width_px, self.height_px)
        mujoco.mjr_render(whole, self._scene, self._context)
        mujoco.mjr_readPixels(picture, None, whole, self._context)
        return np.ascontiguousarray(picture[::-1])


@cache
def _drape() -> Drape:
    return Drape()


def _checked(name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(array, float)
    if array.shape != shape or not np.isfinite(array).all():
        what = f"shape {array.shape}" if array.shape != shape else "values that are not finite"
        raise InputError(f"{name}: got {what}; a finite array of shape {shape} is needed")
    return array


def _jaw_motion(vertices_m: np.ndarray, rest_m: np.ndarray = mesh.REST) -> tuple[np.ndarray, np.ndarray]:
    """The rigid motion in the middle plane, rotation (3, 3) and shift (3,) m, that best moves the chin from
    rest to where it is: whatever axis a jaw has, its teeth stay behind its lip."""
    rest, now = rest_m[_CHIN, 1:], vertices_m[_CHIN, 1:]
    middle, here = rest.mean(0), now.mean(0)
    a, b = rest - middle, now - here
    rotation = _about_x(np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a * b).sum()))
    return rotation, np.array([0.0, *(here - rotation[1:, 1:] @ middle)])


def _about_x(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _about_y(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


_ADVICE = (
    "no OpenGL for pictures of the face ({tried}). On Debian or Ubuntu: apt-get install -y "
    "--no-install-recommends libegl1 libgles2 libgl1 libegl-mesa0 libgl1-mesa-dri libosmesa6; or choose a "
    "backend with MUJOCO_GL=egl, osmesa or glfw"
)
_BACKENDS = {"linux": ("egl", "osmesa"), "darwin": ("cgl",), "win32": ("glfw",)}


def _open_gl(width_px: int, height_px: int):
    """An off-screen OpenGL context and its backend: what MUJOCO_GL names, else the first that works."""
    wanted = os.environ.get("MUJOCO_GL", "").lower().strip()
    if wanted in ("disable", "disabled", "off", "false", "0"):
        raise GraphicsError(_ADVICE.format(tried=f"MUJOCO_GL={wanted} turns it off"))
    known = _BACKENDS.get(sys.platform, ("glfw",))
    tried = []
    for name in (wanted,) if wanted in ("egl", "osmesa", "glfw", "cgl") else known:
        try:
            # MuJoCo's backends write PYOPENGL_PLATFORM when they are imported.
            with _environment(PYOPENGL_PLATFORM=os.environ.get("PYOPENGL_PLATFORM")):
                context = importlib.import_module(f"mujoco.{name}").GLContext(width_px, height_px)
        except Exception as error:  # a missing library shows as ImportError, AttributeError, OSError, GLError …
            tried.append(f"{name}: {type(error).__name__}: {error}")
            _forget_gl(name)
        else:
            _log.debug("OpenGL through %s", name)
            return context, name
    raise GraphicsError(_ADVICE.format(tried="; ".join(tried)))


@contextlib.contextmanager
def _environment(**wanted: str | None):
    """Set environment variables inside the block and leave the environment as it was."""
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update({name: value for name, value in wanted.items() if value is not None})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _forget_gl(name: str) -> None:
    """PyOpenGL binds itself to one platform at import: after a failure the next backend imports it anew."""
    for module in [m for m in sys.modules if m.split(".")[0] == "OpenGL" or m.startswith(f"mujoco.{name}")]:
        del sys.modules[module]
