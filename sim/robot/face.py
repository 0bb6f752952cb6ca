"""The robot face as a simulation: commands in, servos, mechanism and skin move, vertices and pose out.

`RobotFaces` steps many at once on `mujoco.batch.Batch`; `RobotFace` is one, with the same meaning of every array.
"""

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
from mujoco import batch

from ..errors import InputError, PhysicsDiverged
from ..skin_fast import FastSkin
from .face_skin import default_skin, moving_stiffness
from .limits import rate_limits
from .mechanism import LID_JOINTS, SITES, MechanismConfig, build, port_displacements
from .servo import REST_COMMAND, SERVO_NAMES, SERVOS, to_rad
from .tension import skin_tendons

CONTROL_PERIOD_S = 0.04
"""The loop runs at 25 Hz, as Emo's does."""
Gate = Callable[[np.ndarray, float], np.ndarray]
"""Checks a command, (26,), at a time, s, and returns what may be sent, or raises: `Guard.check` is one."""

_BODIES = ("jaw", *LID_JOINTS, "right_eyeball", "left_eyeball")


@dataclass(frozen=True, eq=False)
class FaceState:
    """What the robot does now. A batch has its robots as the leading axis of every array.

    time_s: simulated time since reset, () or (n,).
    servo_rad: joint angles, (26,), ordered as `SERVO_NAMES`, zero at the rest command.
    ports_m: displacement of the moving skin ports in the head frame, (82, 3), ordered as `mechanism.MOVING`.
    vertices_m: the skin in the head frame, (468, 3).
    head_pose: head frame in the world, (4, 4).
    gaze_rad: rows right and left eye, columns yaw (+ to the subject's left) and pitch (+ up), (2, 2).
    """

    time_s: np.ndarray
    servo_rad: np.ndarray
    ports_m: np.ndarray
    vertices_m: np.ndarray
    head_pose: np.ndarray
    gaze_rad: np.ndarray

    def __getitem__(self, robot: int) -> "FaceState":
        """One robot of a batch."""
        return FaceState(*(np.asarray(getattr(self, name))[robot] for name in self.__dataclass_fields__))


class RobotFaces:
    """`count` robot faces in one batch.

    Args:
        count: number of robots.
        threads: worker threads; 0 takes all cores.
        skin: the fast skin map; None takes the default robot's.
        config: the mechanism's free parameters.
        model: the mechanism itself where it is not the design's, with the time step of `config`.
    """

    def __init__(
        self,
        count: int,
        *,
        threads: int = 0,
        skin: FastSkin | None = None,
        config: MechanismConfig | None = None,
        model: mujoco.MjModel | None = None,
    ):
        config = config or MechanismConfig()
        self._skin = skin
        self._substeps = round(CONTROL_PERIOD_S / config.timestep_s)
        if abs(self._substeps * config.timestep_s - CONTROL_PERIOD_S) > 1e-9:
            raise InputError(
                f"timestep_s: got {config.timestep_s}; it must divide the control period of {CONTROL_PERIOD_S} s"
            )
        if model is None:
            model = build(config, skin_tendons(moving_stiffness(), config)).compile()
        assert model is not None
        self._batch = batch.Batch(model, nsim=count, nthread=threads)
        bound = ("ctrl", "qpos", "qvel", "time", "xpos", "xmat", "site_xpos", "ten_length", "actuator_force")
        self._fields = {name: self._batch.bind(name) for name in bound}
        self._actuator = np.array([model.actuator(n).id for n in SERVO_NAMES])
        self._joint = np.array([int(model.joint(n).qposadr[0]) for n in SERVO_NAMES])
        self._dof = np.array([int(model.joint(n).dofadr[0]) for n in SERVO_NAMES])
        self._stiffness = np.tile(np.array(model.tendon_stiffness, float), (count, 1))
        self._everyone = np.arange(count)
        self._sites = np.array([model.site(f"magnet_{v}").id for v in SITES])
        self._head = model.body("head").id
        self._bodies = np.array([model.body(n).id for n in _BODIES])
        self.reset()

    @property
    def model(self) -> mujoco.MjModel:
        """The mechanism's compiled model."""
        return self._batch.model

    def data(self, robot: int) -> mujoco.MjData:
        """A copy of one robot's whole state, as MuJoCo holds it."""
        return self._batch.get_data(int(robot))

    @property
    def skin(self) -> FastSkin:
        """The fast skin map in use."""
        if self._skin is None:
            self._skin = default_skin()
        return self._skin

    def __len__(self) -> int:
        return self._batch.nsim

    def reset(self, ids: np.ndarray | None = None) -> None:
        """Put robots, (k,) or all, at their rest command at time zero; the others are left alone."""
        ids = self._everyone if ids is None else ids
        self._batch.reset(ids=ids)
        self._fields["ctrl"][ids] = 0.0  # every joint is zero at rest
        self._batch.forward(ids=ids)
        self._batch.warning[ids] = 0

    def settled_ports(self, commands: np.ndarray, wait_s: float = 1.1) -> np.ndarray:
        """Displacements of the moving skin ports, (N, 82, 3) m, for any number of commands (N, 26), each from rest."""
        commands, parts = np.asarray(commands, float), []
        for start in range(0, len(commands), len(self)):
            chunk = commands[start : start + len(self)]
            filled = np.concatenate([chunk, np.tile(REST_COMMAND, (len(self) - len(chunk), 1))])
            self.reset()
            self.advance(filled, round(wait_s / CONTROL_PERIOD_S))
            parts.append(self.ports_m(self._everyone[: len(chunk)]))
        return np.concatenate(parts)

    def step(self, commands: np.ndarray) -> FaceState:
        """Advance one control period with commands (n, 26) in 0…1 and return the robots' states.

        Raises `PhysicsDiverged` where MuJoCo warned, which also hides NaN by resetting itself.
        """
        self.advance(commands)
        return self.state()

    def advance(self, commands: np.ndarray, periods: int = 1) -> None:
        """Advance some control periods with the same commands, without the cost of computing the skin."""
        commands = np.asarray(commands, float)
        outside = ~((commands >= 0) & (commands <= 1))
        if commands.shape != (len(self), len(SERVOS)) or outside.any():
            raise InputError(
                f"commands: got shape {commands.shape} with {np.count_nonzero(outside)} values not in 0…1; allowed are "
                f"finite numbers in 0…1 of shape ({len(self)}, {len(SERVOS)})"
            )
        self.hold(self._everyone, commands, periods * self._substeps)
        warnings = self._batch.warning[..., 1]
        if warnings.any():
            robots = ", ".join(str(i) for i in np.flatnonzero(warnings.any(1))[:5])
            kinds = ", ".join(mujoco.mjtWarning(int(k)).name for k in np.flatnonzero(warnings.any(0)))
            raise PhysicsDiverged(
                f"MuJoCo warned {kinds} in robot {robots} within the last {periods * CONTROL_PERIOD_S:.2f} s; its "
                "state is not to be trusted: look at the last commands and parameters, then call reset()"
            )

    def hold(self, ids: np.ndarray, commands: np.ndarray, steps: int) -> np.ndarray:
        """Advance robots (k,) some steps of the physics with commands (k, 26), unchecked; who diverged, (k,) bool."""
        self._fields["ctrl"][np.ix_(ids, self._actuator)] = to_rad(commands)
        self._batch.step(ids=ids, nstep=steps)
        return (self._batch.warning[ids][..., 1] != 0).any(-1)

    def vary(
        self, ids: np.ndarray, *, speed: np.ndarray, torque: np.ndarray, friction: np.ndarray, skin: np.ndarray
    ) -> None:
        """Give robots (k,) servos and skin of their own, as factors on the model's: (k, 26) and, for the skin, (k, 1).

        speed of the servos' slew, torque of their limit, friction at their output, skin of the tendons' stiffness.
        """
        model = self.model
        slew, limit = self._batch.expand("actuator_dynprm"), self._batch.expand("actuator_forcerange")
        loss, tendons = self._batch.expand("dof_frictionloss"), self._batch.expand("tendon_stiffness")
        slew[..., 1][np.ix_(ids, self._actuator)] = model.actuator_dynprm[self._actuator, 1] * speed
        limit[np.ix_(ids, self._actuator)] = model.actuator_forcerange[self._actuator] * torque[..., None]
        loss[np.ix_(ids, self._dof)] = model.dof_frictionloss[self._dof] * friction
        tendons[ids] = np.asarray(model.tendon_stiffness) * skin
        self._stiffness[ids] = tendons[ids]

    def servo_rad(self, ids: np.ndarray) -> np.ndarray:
        """Joint angles (k, 26)."""
        return self._fields["qpos"][np.ix_(ids, self._joint)]

    def servo_rad_s(self, ids: np.ndarray) -> np.ndarray:
        """Joint velocities (k, 26)."""
        return self._fields["qvel"][np.ix_(ids, self._dof)]

    def servo_nm(self, ids: np.ndarray) -> np.ndarray:
        """Torques that the servos exert, (k, 26)."""
        return self._fields["actuator_force"][np.ix_(ids, self._actuator)]

    def ports_m(self, ids: np.ndarray) -> np.ndarray:
        """Displacement of the moving skin ports in the head frame, (k, 82, 3)."""
        return self._kinematics()[0][ids]

    def tension_mj(self, ids: np.ndarray) -> np.ndarray:
        """Elastic energy of the skin by its linear stiffness, (k,) mJ, zero with the servos at rest."""
        lengths = self._fields["ten_length"][ids]
        energy = self._stiffness[ids] * lengths * lengths
        return 500.0 * np.array([row.sum() for row in energy])  # row by row: one robot as many

    def state(self) -> FaceState:
        """The robots as they are now. Positions are one substep behind `servo_rad`, as MuJoCo leaves them."""
        ports, pose, gaze = self._kinematics()
        return FaceState(
            time_s=self._fields["time"].reshape(len(self)).copy(),
            servo_rad=self._fields["qpos"][:, self._joint].copy(),
            ports_m=ports,
            vertices_m=self.skin.vertices(ports),
            head_pose=pose,
            gaze_rad=gaze,
        )

    def _kinematics(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ports, head pose and gaze from the bodies' poses."""
        rotation = self._fields["xmat"].reshape(len(self), -1, 3, 3)
        head_rotation, head_position = rotation[:, self._head], self._fields["xpos"][:, self._head]
        sites = (self._fields["site_xpos"][:, self._sites] - head_position[:, None]) @ head_rotation
        relative = np.swapaxes(head_rotation, -1, -2)[:, None] @ rotation[:, self._bodies]
        about_x = np.arctan2(relative[:, :5, 2, 1], relative[:, :5, 1, 1])  # of the jaw and the lids
        forward = relative[:, 5:, :, 2]  # of the eyeballs
        pose = np.broadcast_to(np.eye(4), (len(self), 4, 4)).copy()
        pose[:, :3, :3], pose[:, :3, 3] = head_rotation, head_position
        gaze = np.stack([np.arctan2(forward[..., 0], forward[..., 2]), np.arcsin(forward[..., 1])], axis=-1)
        return port_displacements(sites, about_x[:, 0], -about_x[:, 1:]), pose, gaze


class RobotFace:
    """One robot face.

    Args:
        new_gate: makes the gate that every command passes before it moves a servo; called once, and again at each
            reset, since a gate remembers where the servos stand. None lets all in-range commands pass.
        skin, config: as for `RobotFaces`.
    """

    def __init__(
        self,
        *,
        new_gate: Callable[[], Gate] | None = None,
        skin: FastSkin | None = None,
        config: MechanismConfig | None = None,
    ):
        self._faces = RobotFaces(1, threads=1, skin=skin, config=config)
        self._new_gate = new_gate
        self._stand_at_rest()

    @property
    def skin(self) -> FastSkin:
        """The fast skin map in use."""
        return self._faces.skin

    @property
    def model(self) -> mujoco.MjModel:
        """The mechanism's compiled model."""
        return self._faces.model

    @property
    def command(self) -> np.ndarray:
        """The command in force, (26,)."""
        return self._command.copy()

    def state(self) -> FaceState:
        """The robot as it is now."""
        return self._faces.state()[0]

    def reset(self) -> FaceState:
        """Back to the rest command at time zero, at once."""
        self._faces.reset()
        self._stand_at_rest()
        return self.state()

    def step(self, command: np.ndarray) -> FaceState:
        """Advance one control period of 40 ms with a command (26,) in 0…1, if the gate lets it pass."""
        clock_s = self._clock_s + CONTROL_PERIOD_S
        if self._gate is not None:
            command = self._gate(command, clock_s)
        state = self._faces.step(np.asarray(command, float)[None])[0]
        self._clock_s, self._command = clock_s, np.array(command, float)
        return state

    def settle(self, command: np.ndarray, still_s: float = 0.4) -> FaceState:
        """Move to a command (26,) as fast as the servos can, wait until the face is still and return its state."""
        goal, largest = np.asarray(command, float), rate_limits(CONTROL_PERIOD_S)
        steps = int(np.ceil(np.max(np.abs(goal - self._command) / largest))) if goal.shape == self._command.shape else 1
        start = self._command
        for share in np.arange(1, steps + 1) / max(steps, 1):
            self.step(start + share * (goal - start))
        for _ in range(round(still_s / CONTROL_PERIOD_S) - 1):
            self.step(goal)
        return self.step(goal)

    def _stand_at_rest(self) -> None:
        self._gate = None if self._new_gate is None else self._new_gate()
        self._command = REST_COMMAND.copy()
        self._clock_s = 0.0


__all__ = ["CONTROL_PERIOD_S", "FaceState", "Gate", "RobotFace", "RobotFaces"]
