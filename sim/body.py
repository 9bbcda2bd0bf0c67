"""Compiled-code view of one person (with or without a device): a MuJoCo model, its data and index tables.

`Body`, `Exo` and `Work` are named tuples of arrays, which numba takes as they are.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import mujoco
import numpy as np

from ..controllers.device import MUSCLES, SIDED_JOINTS, SIDES, DeviceDescription
from .bridge import addresses
from .exo import DriveTables, actuator_step_parameters, align_device, attach_device, drive_state
from .nervous import (
    ADAPTATION,
    DAMPING,
    N_ACTIONS,
    N_JOINTS,
    N_MUSCLES,
    PHASE,
    RECRUIT,
    SPEED,
    STATE_SIZE,
    STIFFNESS,
    STRIDE_TIME,
    WANTED,
    interpolate,
)
from .person import Subject, build_person
from .reference import (
    ANGLE,
    CHANNELS,
    PELVIS,
    PELVIS_SLOPE,
    SLOPE,
    Reference,
    root_quaternion,
)
from .terrain import LEVEL, Terrain, add_terrain

SIDED_MUSCLES = tuple(f"{muscle}_{side}" for side in SIDES for muscle in MUSCLES)
GAIN_MASS, GAIN_SCALE = 75.0, 1.75 / 1.67  # body for which the joint-space gains are stated


class Body(NamedTuple):
    """What is fixed about a person and the ground; muscle rows: L0, slack, F0, lmin, lmax, vmax, fpmax, fvmax; terrain:
    `Terrain.rows`."""

    qpos: Any
    dof: Any
    arm_index: Any
    muscle: Any
    kp: Any
    kd: Any
    recruit: Any
    table: Any
    speeds: Any
    calcn: Any
    toes: Any
    mass: float
    scale: float
    ground: float
    terrain: Any
    timestep: float
    nq: int
    nv: int
    nu: int
    nbody: int
    moments: int
    nsensor: int


class Exo(NamedTuple):
    """The device's drives: which joint each serves, its addresses, cuff and actuator tables (see sim/exo.py)."""

    joint: Any
    qpos: Any
    dof: Any
    ctrl: Any
    stiffness: Any
    damping: Any
    tables: Any
    drive_state: Any
    torque: Any
    velocity: Any


class Work(NamedTuple):
    """Scratch arrays and the warm start of the recruitment (activation)."""

    reference: Any
    torque: Any
    exo_torque: Any
    capacity: Any
    passive: Any
    arms: Any
    activation: Any
    foot_force: Any


def physics_steps(control_rate_hz: float, longest: float = 0.002) -> int:
    """Physics steps in one control period so that each is at most `longest` s."""
    return int(np.ceil(1.0 / control_rate_hz / longest - 1e-9))


def build_model(
    subject: Subject, device: DeviceDescription | None, timestep: float, terrain: Terrain = LEVEL
) -> mujoco.MjModel:
    """The person on a terrain, wearing the device if there is one."""
    spec = build_person(subject)
    if device is not None:
        attach_device(spec, device)
    add_terrain(spec, terrain)
    for joint in SIDED_JOINTS:
        spec.add_sensor(
            name=f"limit_{joint}",
            type=mujoco.mjtSensor.mjSENS_JOINTLIMITFRC,
            objtype=mujoco.mjtObj.mjOBJ_JOINT,
            objname=joint,
        )
    spec.option.timestep = timestep
    return spec.compile()


class Embodiment:
    """One person ready for the compiled step: model, data, `Body`, `Exo`, `Work` and nervous-system state."""

    def __init__(
        self,
        subject: Subject,
        device: DeviceDescription | None,
        reference: Reference,
        timestep: float,
        terrain: Terrain = LEVEL,
    ) -> None:
        self.subject = subject
        self.device = device
        self.terrain = terrain
        self.reference = reference
        self.model = build_model(subject, device, timestep, terrain)
        self.data = mujoco.MjData(self.model)
        self.pointers = addresses(self.model, self.data)
        self.body = _body(self.model, self.data, subject, reference, terrain)
        self.exo = _exo(self.model, device, timestep)
        self.work = Work(
            reference=np.zeros(CHANNELS),
            torque=np.zeros(N_JOINTS),
            exo_torque=np.zeros(N_JOINTS),
            capacity=np.zeros(N_MUSCLES),
            passive=np.zeros(N_MUSCLES),
            arms=np.zeros((N_JOINTS, N_MUSCLES)),
            activation=np.full(N_MUSCLES, 0.02),
            foot_force=np.zeros((2, 3)),
        )
        self.state = np.zeros(STATE_SIZE)
        self.action = np.zeros(N_ACTIONS)

    def model_hash(self) -> str:
        """SHA-256 of the compiled model, 16 hex digits: equal hashes mean equal bodies and devices."""
        buffer = np.zeros(mujoco.mj_sizeModel(self.model), dtype=np.uint8)
        mujoco.mj_saveModel(self.model, None, buffer)
        return hashlib.sha256(buffer.tobytes()).hexdigest()[:16]

    def place(self, phase: float, speed: float, adaptation: float = 1.0) -> None:
        """Put the person on the reference at a gait phase, moving at `speed` m/s, with quiet muscles.

        Call the compiled `settle` next: it brings forces up to date and activations to what the pose needs.
        """
        mujoco.mj_resetData(self.model, self.data)
        self.state[:] = 0.0
        self.state[PHASE], self.state[ADAPTATION] = phase, adaptation
        self.state[SPEED] = self.state[WANTED] = speed
        self.state[STRIDE_TIME] = self.reference.stride_time(speed, self.subject.scale)
        self.action[:] = 0.0
        for array in (self.exo.torque, self.exo.velocity):
            array[:] = 0.0
        for array in self.exo.drive_state:
            array[...] = 0
        ref = self.work.reference
        interpolate(self.body.table, self.body.speeds, speed, phase, ref)
        rate = 1.0 / self.state[STRIDE_TIME]
        q, v = self.data.qpos, self.data.qvel
        q[:3] = 0.0, 0.0, ref[PELVIS]
        q[3:7] = root_quaternion(*ref[PELVIS + 1 : PELVIS + 4])
        v[:3] = speed, 0.0, rate * ref[PELVIS_SLOPE]
        q[self.body.qpos] = ref[ANGLE : ANGLE + N_JOINTS]
        v[self.body.dof] = rate * ref[SLOPE : SLOPE + N_JOINTS]
        if self.device:
            align_device(self.model, self.data, self.device)


def _body(model: mujoco.MjModel, data: mujoco.MjData, subject: Subject, reference: Reference, terrain: Terrain) -> Body:
    mujoco.mj_forward(model, data)
    dof = np.array([model.joint(j).dofadr[0] for j in SIDED_JOINTS])
    arm_index = np.full((N_JOINTS, N_MUSCLES), -1, dtype=np.int64)
    for m, muscle in enumerate(SIDED_MUSCLES):
        row = model.actuator(muscle).id
        start, count = data.moment_rowadr[row], data.moment_rownnz[row]
        column = {int(c): start + k for k, c in enumerate(data.moment_colind[start : start + count])}
        for j in range(N_JOINTS):
            arm_index[j, m] = column.get(int(dof[j]), -1)
    muscle_rows = np.zeros((N_MUSCLES, 8))
    for m, muscle in enumerate(SIDED_MUSCLES):
        prm = model.actuator(muscle).gainprm
        low, high = model.actuator(muscle).lengthrange
        optimal = (high - low) / (prm[1] - prm[0])
        muscle_rows[m] = (optimal, low - prm[0] * optimal, *prm[[2, 4, 5, 6, 7, 8]])
    gain = subject.mass_kg / GAIN_MASS * subject.scale / GAIN_SCALE
    scaled = reference.for_subject(subject)
    return Body(
        qpos=np.array([model.joint(j).qposadr[0] for j in SIDED_JOINTS]),
        dof=dof,
        arm_index=arm_index,
        muscle=muscle_rows,
        kp=np.tile(STIFFNESS, 2) * gain,
        kd=np.tile(DAMPING, 2) * gain,
        recruit=np.tile(RECRUIT, 2),
        table=scaled.table,
        speeds=scaled.speeds,
        calcn=np.array([model.body(f"calcn_{s}").id for s in SIDES]),
        toes=np.array([model.body(f"toes_{s}").id for s in SIDES]),
        mass=subject.mass_kg,
        scale=subject.scale,
        ground=0.0,
        terrain=terrain.rows(),
        timestep=float(model.opt.timestep),
        nq=int(model.nq),
        nv=int(model.nv),
        nu=int(model.nu),
        nbody=int(model.nbody),
        moments=len(data.actuator_moment),
        nsensor=int(model.nsensordata),
    )


def _exo(model: mujoco.MjModel, device: DeviceDescription | None, timestep: float) -> Exo:
    names = device.actuated if device else ()
    cuffs = [j.cuff for _ in SIDES for j in device.joints] if device else []
    if device:
        tables = actuator_step_parameters(device, timestep)
    else:
        tables = DriveTables(np.zeros(0, np.int64), *(np.zeros(0) for _ in DriveTables._fields[1:]))
    joints = [model.joint(f"exo_{n}") for n in names]
    return Exo(
        joint=np.array([SIDED_JOINTS.index(n) for n in names], dtype=np.int64),
        qpos=np.array([j.qposadr[0] for j in joints], dtype=np.int64),
        dof=np.array([j.dofadr[0] for j in joints], dtype=np.int64),
        ctrl=np.array([model.actuator(f"exo_{n}").id for n in names], dtype=np.int64),
        stiffness=np.array([c.stiffness_nm_per_rad for c in cuffs]),
        damping=np.array([c.damping_nms_per_rad for c in cuffs]),
        tables=tables,
        drive_state=drive_state(tables),
        torque=np.zeros(len(names)),
        velocity=np.zeros(len(names)),
    )
