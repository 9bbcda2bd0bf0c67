"""Compiled-code view of one person (with or without a device): a MuJoCo model, its data and index tables.

`Body`, `Exo` and `Work` are named tuples of arrays, which numba takes as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..controllers.device import MUSCLES, SIDED_JOINTS, SIDES, DeviceDescription
from .bridge import addresses
from .contracture import knee_limits
from .exo import DriveTables, actuator_step_parameters, align_device, attach_device, drive_state
from .gait_plan import planned, refer, see_ground, shape, start_at
from .impairments import SPASTIC_GAIN, Effects, Impairment, effects, impair_model
from .nervous import DAMPING, LEASH, N_ACTIONS, N_JOINTS, N_MUSCLES, RECRUIT, STIFFNESS
from .observation import N_OBSERVATIONS, SEEN
from .person import build_person
from .posture_plan import STAND, start_posture
from .reference import AHEAD, ANGLE, CHANNELS, LEFT, LIST, PELVIS, PELVIS_SLOPE, ROTATION, SLOPE, TILT, Reference
from .reflexes import REFLEX_SIZE, spinal_table
from .seat import add_seat, place_seat, stand_on_feet
from .state import ADAPTATION, DELAY, GRADE, PHASE, SPEED, STATE_SIZE, STRIDE_TIME, VELOCITY, WANTED
from .subjects import Subject
from .terrain import LEVEL, Terrain, add_terrain

SIDED_MUSCLES = tuple(f"{muscle}_{side}" for side in SIDES for muscle in MUSCLES)
NEURAL_DELAY = 0.02  # s that the policy sees the body late by, on top of its own 20 ms period (chosen)
GAIN_MASS, GAIN_SCALE = 75.0, 1.75 / 1.67  # body for which the joint-space gains are stated


class Body(NamedTuple):
    """What is fixed about a person, its gait and the ground.

    muscle rows: L0, slack, F0, lmin, lmax, vmax, fpmax, fvmax. rotators: (2,) Nm that each hip's give at most. cells
    ... heel_from_edge: see `Reference`. weakness: (2, 5) what each leg's hip, knee extensors, plantar- and
    dorsiflexors lack in force, and its spasticity. impaired: whether any of that is there. spinal: see
    `reflexes.spinal_table`, used where the spinal cord has work (reflexive). knee_limits: see `contracture`, used
    where contracted. leash: m, see `LEASH`. terrain: `Terrain.rows`.
    """

    qpos: Any
    dof: Any
    arm_index: Any
    muscle: Any
    kp: Any
    kd: Any
    recruit: Any
    rotators: Any
    cells: Any
    times: Any
    speeds: Any
    slopes: Any
    rises: Any
    treads: Any
    heel_from_edge: Any
    weakness: Any
    impaired: bool
    reflexive: bool
    spinal: Any
    contracted: bool
    knee_limits: Any
    still: bool
    calcn: Any
    toes: Any
    mass: float
    scale: float
    leash: float
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
    cell: Any
    weight: Any
    seen: Any
    reflex: Any
    balance: Any


def physics_steps(control_rate_hz: float, longest: float = 0.002) -> int:
    """Physics steps in one control period so that each is at most `longest` s."""
    return int(np.ceil(1.0 / control_rate_hz / longest - 1e-9))


def build_model(
    subject: Subject,
    device: DeviceDescription | None,
    timestep: float,
    terrain: Terrain = LEVEL,
    seat: bool = False,
) -> mujoco.MjModel:
    """The person on a terrain, wearing the device if there is one. seat: for people who sit (see `place_seat`)."""
    spec = build_person(subject)
    if seat:
        add_seat(spec, subject)
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
        impairments: Sequence[Impairment] = (),
    ) -> None:
        self.subject = subject
        self.device = device
        self.terrain = terrain
        self.reference = reference
        self.impairments = tuple(impairments)
        what = effects(impairments, subject)
        self.model = build_model(subject, device, timestep, terrain, seat=reference.still)
        impair_model(self.model, what)
        self.data = mujoco.MjData(self.model)
        self.pointers = addresses(self.model, self.data)
        self.delay = NEURAL_DELAY + what.neural_delay_s
        self.body = _body(self.model, self.data, subject, reference, terrain, what)
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
            cell=np.zeros(4, dtype=np.int64),
            weight=np.zeros(4),
            seen=np.zeros((SEEN, N_OBSERVATIONS + 1)),
            reflex=np.zeros(REFLEX_SIZE),
            balance=np.zeros((2, 6)),
        )
        if reference.still:
            stand_on_feet(self.model, self.data, self.body)
            place_seat(self.model, self.data, self.body)
        self.state = np.zeros(STATE_SIZE)
        self.action = np.zeros(N_ACTIONS)

    def model_hash(self) -> str:
        """SHA-256 of the compiled model, 16 hex digits: equal hashes mean equal bodies and devices."""
        buffer = np.zeros(mujoco.mj_sizeModel(self.model), dtype=np.uint8)
        mujoco.mj_saveModel(self.model, None, buffer)
        return hashlib.sha256(buffer.tobytes()).hexdigest()[:16]

    def place(
        self,
        phase: float,
        speed: float,
        adaptation: float = 1.0,
        x: float = 0.0,
        postures: tuple[int, int] = (STAND, STAND),
    ) -> None:
        """Put the person on the reference at a gait phase, moving at `speed` m/s near world x, with quiet muscles.

        Where stairs are, on the nearest tread and at their pace. Call the compiled `settle` next: it brings forces up
        to date and activations to what the pose needs. postures: where a person who does not walk is and what is
        asked of it; if they differ, phase (0..1) tells how far it has come.
        """
        mujoco.mj_resetData(self.model, self.data)
        state, body, work = self.state, self.body, self.work
        state[:] = 0.0
        state[PHASE], state[ADAPTATION] = phase, adaptation
        state[SPEED] = state[WANTED] = speed
        state[DELAY] = self.delay
        start_at(body, state, x)
        state[VELOCITY] = state[SPEED]
        if body.still:
            start_posture(state, *postures, phase)
        see_ground(body, state, x)
        refer(body, state, work)
        see_ground(body, state, planned(body, state, work)[0])
        refer(body, state, work)
        if not body.still:
            shape(body, state)
        self.action[:] = 0.0
        for array in (self.exo.torque, self.exo.velocity):
            array[:] = 0.0
        for array in self.exo.drive_state:
            array[...] = 0
        ref, rate = work.reference, 1.0 / state[STRIDE_TIME]
        q, v = self.data.qpos, self.data.qvel
        q[0], q[2] = planned(body, state, work)
        q[1] = ref[PELVIS + LEFT]
        turn = np.array([TILT, LIST, ROTATION])
        q[3:7] = root_quaternion(*ref[PELVIS + turn])
        forward = rate * ref[PELVIS_SLOPE + AHEAD]
        v[:3] = forward, rate * ref[PELVIS_SLOPE + LEFT], rate * ref[PELVIS_SLOPE] + state[GRADE] * forward
        v[3:6] = spin(ref[PELVIS + turn], rate * ref[PELVIS_SLOPE + turn])
        q[body.qpos] = ref[ANGLE : ANGLE + N_JOINTS]
        v[body.dof] = rate * ref[SLOPE : SLOPE + N_JOINTS]
        if self.device:
            align_device(self.model, self.data, self.device)

    def turn(self, angle: float) -> None:
        """Head the placed person angle rad to the left, its velocity with it."""
        q, v = self.data.qpos, self.data.qvel
        turned = np.zeros(4)
        mujoco.mju_mulQuat(turned, root_quaternion(0.0, 0.0, angle), q[3:7])
        q[3:7] = turned
        v[:2] = v[0] * np.cos(angle) - v[1] * np.sin(angle), v[0] * np.sin(angle) + v[1] * np.cos(angle)


def root_quaternion(tilt: float, list_: float, rotation: float) -> NDArray[np.float64]:
    """World quaternion of the pelvis from OpenSim's tilt-list-rotation (about right, forward, up; body-fixed order)."""
    out, step = np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(4)
    # OpenSim's right is our -y, forward x, up z.
    for axis, angle in (((0, -1, 0), tilt), ((1, 0, 0), list_), ((0, 0, 1), rotation)):
        mujoco.mju_axisAngle2Quat(step, np.array(axis, dtype=float), angle)
        result = np.zeros(4)
        mujoco.mju_mulQuat(result, out, step)
        out = result
    return out


def spin(angles: NDArray[np.float64], rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angular velocity of the pelvis in its own frame (rad/s) from tilt, list and rotation (rad) and their rates."""
    out, step = np.zeros(3), 1e-6
    mujoco.mju_subQuat(out, root_quaternion(*(angles + step * rates)), root_quaternion(*angles))
    return out / step


def _weakness(what: Effects) -> NDArray[np.float64]:
    """(2, 5) see `Body`."""
    groups = (("glutmax", "iliopsoas", "abd"), ("vasti", "rectfem"), ("gastroc", "soleus"), ("tibant", "edl"))
    out = np.zeros((2, 5))
    for leg in range(2):
        for k, group in enumerate(groups):
            out[leg, k] = 1.0 - np.mean([what.force[leg * len(MUSCLES) + MUSCLES.index(m)] for m in group])
        gain = what.reflex_gain[leg * len(MUSCLES) : (leg + 1) * len(MUSCLES)]
        out[leg, 4] = min(1.0, float(gain.max()) / SPASTIC_GAIN)
    return out


def _body(
    model: mujoco.MjModel, data: mujoco.MjData, subject: Subject, reference: Reference, terrain: Terrain, what: Effects
) -> Body:
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
    worn = float(model.body_subtreemass[model.body("root").id] - subject.mass_kg)
    scaled = reference.for_subject(subject, worn)
    weakness = _weakness(what)
    limits = knee_limits(model, data, what, subject.mass_kg)
    return Body(
        qpos=np.array([model.joint(j).qposadr[0] for j in SIDED_JOINTS]),
        dof=dof,
        arm_index=arm_index,
        muscle=muscle_rows,
        kp=np.tile(STIFFNESS, 2) * gain,
        kd=np.tile(DAMPING, 2) * gain,
        recruit=np.tile(RECRUIT, 2),
        rotators=np.array([model.actuator(f"rotators_{side}").gainprm[0] for side in SIDES]),
        cells=scaled.cells,
        times=scaled.times,
        speeds=scaled.speeds,
        slopes=scaled.slopes,
        rises=scaled.rises,
        treads=scaled.treads,
        heel_from_edge=scaled.heel_from_edge,
        weakness=weakness,
        impaired=bool(np.any(weakness > 0.0)),
        reflexive=what.spinal,
        spinal=spinal_table(what, model),
        contracted=bool(np.any(limits > 0.0)),
        knee_limits=limits,
        still=scaled.still,
        calcn=np.array([model.body(f"calcn_{s}").id for s in SIDES]),
        toes=np.array([model.body(f"toes_{s}").id for s in SIDES]),
        mass=subject.mass_kg,
        scale=subject.scale,
        leash=LEASH,
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
