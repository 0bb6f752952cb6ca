"""Skin tension inside MuJoCo: the condensed skin stiffness as fixed tendons over the face's joints.

Seen from the joints the skin is a stiffness K = Jᵀ S J (S: ports' stiffness, J: ports' motion per joint). Its
LDLᵀ factors are tendons: column k of L is a linear combination of joint angles, D_k its stiffness. This keeps
tension native to MuJoCo, batched and implicit, at the price of being linear about the rest pose.
"""

import mujoco
import numpy as np

from .mechanism import LID_JOINTS, SITES, MechanismConfig, Tendon, build, port_displacements

BLOCKS = ("brow", "right_lid", "left_lid", "mouth")
_SMALLEST_WEIGHT = 1e-3


def _block(joint: str) -> str:
    if joint.endswith("_lid"):
        return "right_lid" if joint.startswith("right") else "left_lid"
    return "brow" if joint.endswith("_brow") else "mouth"


def skin_joints(model: mujoco.MjModel) -> list[str]:
    """Names of the joints whose motion moves the skin, parts of one block together, the jaw last."""
    names = [model.joint(i).name for i in range(model.njnt)]
    names = [n for n in names if not n.startswith("neck") and not n.endswith(("eye_yaw", "eye_pitch"))]
    return sorted(names, key=lambda n: (BLOCKS.index(_block(n)), n == "jaw", n.split("_")[0]))


def port_jacobian(model: mujoco.MjModel, joints: list[str], step_rad: float = 1e-5) -> np.ndarray:
    """Motion of the moving ports per joint angle at rest by central differences, (3·82, joints) m/rad."""
    data = mujoco.MjData(model)
    sites = [model.site(f"magnet_{v}").id for v in SITES]
    address = {n: int(model.joint(n).qposadr[0]) for n in joints}

    def displaced(joint: str, angle: float) -> np.ndarray:
        data.qpos[:] = 0
        data.qpos[address[joint]] = angle
        mujoco.mj_kinematics(model, data)
        lids = np.array([data.qpos[address[n]] for n in LID_JOINTS])
        return port_displacements(data.site_xpos[sites], np.asarray(data.qpos[address["jaw"]]), lids).ravel()

    columns = [(displaced(n, step_rad) - displaced(n, -step_rad)) / (2 * step_rad) for n in joints]
    return np.stack(columns, axis=1)


def skin_tendons(port_stiffness: np.ndarray, config: MechanismConfig | None = None) -> tuple[Tendon, ...]:
    """Tendons that stand for a skin with port stiffness S, (3·82, 3·82) N/m, ports ordered as `MOVING`."""
    model = build(config).compile()
    joints = skin_joints(model)
    jacobian = port_jacobian(model, joints)
    stiffness = jacobian.T @ port_stiffness @ jacobian
    tendons = []
    for block in BLOCKS:
        members = [i for i, n in enumerate(joints) if _block(n) == block]
        part = stiffness[np.ix_(members, members)]
        # a millionth of the mean keeps the factors of an only semi-definite block finite
        lower = np.linalg.cholesky(part + 1e-6 * np.trace(part) / len(part) * np.eye(len(part)))
        for column in lower.T:
            largest = np.abs(column).max()
            weights = [(joints[i], float(w / largest)) for i, w in zip(members, column, strict=True)]
            kept = tuple((n, w) for n, w in weights if abs(w) > _SMALLEST_WEIGHT)
            tendons.append(Tendon(float(largest**2), kept))
    return tuple(tendons)
