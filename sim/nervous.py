"""The nervous system below the policy: reference, joint-space reflexes and muscle recruitment, compiled.

The policy speaks 50 times a second in joint space: it moves the reference angles of ten joints and the pace. At every
physics step the wanted torque tau = tau_ff + kp (q* - q) + kd (dq_ref - dq), less what the person expects the exo to
give, is shared among the muscles (`muscle_control`). Muscles are the only actuators; nothing else acts on the person.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .bridge import (
    ACT,
    ACTUATOR_LENGTH,
    ACTUATOR_MOMENT,
    ACTUATOR_VELOCITY,
    CFRC_EXT,
    CTRL,
    DATA,
    EULER,
    FWD_ACCELERATION,
    FWD_ACTUATION,
    FWD_CONSTRAINT,
    FWD_POSITION,
    FWD_VELOCITY,
    MODEL,
    QPOS,
    QVEL,
    RNE_POST_CONSTRAINT,
    call,
    view,
)
from .compiled import compiled
from .exo import drive
from .muscle_control import (
    LEAD,
    force_length,
    force_velocity,
    passive_force,
    static_optimisation,
)
from .reference import ANGLE, CHANNELS, MOMENT, PELVIS, PHASES, SLOPE

POLICY_PERIOD = 0.02  # s
N_MUSCLES = 26
N_JOINTS = 12
ROOT = 1  # body id of the pelvis' free root
MUSCLES_OF_LEG, JOINTS_OF_LEG = 13, 6
CONTROLLED = 10  # joints the policy moves: hip (3), knee, ankle of the leading and the trailing leg
N_ACTIONS = CONTROLLED + 1
N_OBSERVATIONS = 56
RESIDUAL = 0.3  # rad per unit of action
PACE = 0.2  # relative change of the phase rate per unit of action
ACTION_LIMIT = 2.0
DRIFT_TIME = 4.0  # s; how long the person remembers being behind or ahead of the wanted pace
PACE_TIME = 3.0  # s; how fast the person corrects a lasting difference from the wanted speed (chosen)
PACE_LIMIT = 0.2  # m/s; the most it corrects by

# Slots of the state vector of one nervous system. WANTED is the speed asked for, SPEED what the policy and reference
# are told: the same but for the trim of `keep_pace`.
PHASE, SPEED, STRIDE_TIME, DRIFT, LANE, ADAPTATION, EFFORT, EFFORT_COUNT, WANTED = range(9)
STATE_SIZE = 9

# Joint-space gains in Nm/rad and Nms/rad for 75 kg and 1.75 m: hip flexion, adduction, rotation, knee, ankle, toes.
STIFFNESS = np.array([300.0, 300.0, 90.0, 225.0, 180.0, 0.0])
DAMPING = np.array([15.0, 15.0, 4.0, 7.0, 5.0, 0.0])
# Trust of the muscle solution in each joint's torque; hip rotation has no muscle of its own, the toes are passive.
RECRUIT = np.array([1.0, 1.0, 0.1, 1.0, 1.0, 0.0])


@compiled
def interpolate(table: Any, speeds: Any, speed: float, phase: float, out: Any) -> None:
    """Reference at a speed and phase, linear in both, into out (CHANNELS,)."""
    last = len(speeds) - 1
    i = 0
    while i < last - 1 and speed > speeds[i + 1]:
        i += 1
    u = min(1.0, max(0.0, (speed - speeds[i]) / (speeds[i + 1] - speeds[i])))
    x = (phase % 1.0) * PHASES
    k = int(x) % PHASES
    w = x - int(x)
    n = (k + 1) % PHASES
    for c in range(CHANNELS):
        low = table[i, k, c] * (1.0 - w) + table[i, n, c] * w
        high = table[i + 1, k, c] * (1.0 - w) + table[i + 1, n, c] * w
        out[c] = low * (1.0 - u) + high * u


@compiled
def euler_angles(q: Any) -> tuple[float, float, float]:
    """Yaw, pitch (forward lean positive) and roll (to the right positive) of the root quaternion."""
    w, x, y, z = q[0], q[1], q[2], q[3]
    yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    pitch = np.arcsin(min(1.0, max(-1.0, 2 * (w * y - z * x))))
    roll = np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    return yaw, pitch, roll


@compiled
def exo_torque(qpos: Any, qvel: Any, body: Any, exo: Any, out: Any) -> None:
    """Torque of the device on each of the 12 joints through its cuffs, Nm."""
    out[:] = 0.0
    for i in range(len(exo.joint)):
        j = exo.joint[i]
        stretch = qpos[exo.qpos[i]] - qpos[body.qpos[j]]
        rate = qvel[exo.dof[i]] - qvel[body.dof[j]]
        out[j] += exo.stiffness[i] * stretch + exo.damping[i] * rate


@compiled
def muscle_state(pointers: Any, body: Any, capacity: Any, passive: Any) -> None:
    """Force (N) each muscle has at full activation, and its passive force, at its present length and velocity."""
    length = view(pointers[ACTUATOR_LENGTH], N_MUSCLES)
    velocity = view(pointers[ACTUATOR_VELOCITY], N_MUSCLES)
    for m in range(N_MUSCLES):
        p = body.muscle[m]
        fibre = (length[m] - p[1]) / p[0]
        speed = velocity[m] / (p[0] * p[5])
        capacity[m] = p[2] * force_length(fibre, p[3], p[4]) * force_velocity(speed, p[7])
        passive[m] = p[2] * passive_force(fibre, p[4], p[6])


@compiled
def moment_arms(pointers: Any, body: Any, arms: Any) -> None:
    """(12, 26) arms in m, positive where tension drives the coordinate up."""
    flat = view(pointers[ACTUATOR_MOMENT], body.moments)
    for j in range(N_JOINTS):
        for m in range(N_MUSCLES):
            k = body.arm_index[j, m]
            # A muscle pulls its ends together, so tension works against lengthening.
            arms[j, m] = -flat[k] if k >= 0 else 0.0


@compiled
def recruit(pointers: Any, body: Any, exo: Any, state: Any, action: Any, work: Any) -> None:
    """Set the muscle excitations for the present state (positions and velocities are up to date)."""
    qpos = view(pointers[QPOS], body.nq)
    qvel = view(pointers[QVEL], body.nv)
    ref = work.reference
    interpolate(body.table, body.speeds, state[SPEED], state[PHASE], ref)
    right_leads = state[PHASE] < 0.5
    rate = 1.0 / state[STRIDE_TIME]
    exo_torque(qpos, qvel, body, exo, work.exo_torque)
    for j in range(N_JOINTS):
        leg, k = j // JOINTS_OF_LEG, j % JOINTS_OF_LEG
        shift = 0.0
        if k < 5:
            slot = k + (5 if (leg == 0) != right_leads else 0)
            shift = RESIDUAL * action[slot]
        q, dq = qpos[body.qpos[j]], qvel[body.dof[j]]
        work.torque[j] = (
            ref[MOMENT + j]
            + body.kp[j] * (ref[ANGLE + j] + shift - q)
            + body.kd[j] * (ref[SLOPE + j] * rate - dq)
            - state[ADAPTATION] * work.exo_torque[j]
        )
    muscle_state(pointers, body, work.capacity, work.passive)
    moment_arms(pointers, body, work.arms)
    static_optimisation(
        work.arms,
        work.capacity,
        work.passive,
        work.torque,
        body.recruit,
        work.activation,
        MUSCLES_OF_LEG,
        JOINTS_OF_LEG,
    )
    act = view(pointers[ACT], N_MUSCLES)
    ctrl = view(pointers[CTRL], body.nu)
    for m in range(N_MUSCLES):
        wanted = act[m] + LEAD * (work.activation[m] - act[m])
        ctrl[m] = min(1.0, max(0.0, wanted))


@compiled
def forward(functions: Any, pointers: Any, body: Any, exo: Any, state: Any, action: Any, work: Any) -> None:
    """Bring forces and accelerations up to date with the state: positions, recruitment, actuation, contact."""
    model, data = pointers[MODEL], pointers[DATA]
    call(functions[FWD_POSITION], model, data)
    call(functions[FWD_VELOCITY], model, data)
    recruit(pointers, body, exo, state, action, work)
    ctrl = view(pointers[CTRL], body.nu)
    for i in range(len(exo.joint)):
        ctrl[exo.ctrl[i]] = exo.torque[i]
    call(functions[FWD_ACTUATION], model, data)
    call(functions[FWD_ACCELERATION], model, data)
    call(functions[FWD_CONSTRAINT], model, data)


@compiled
def advance(
    functions: Any,
    pointers: Any,
    body: Any,
    exo: Any,
    state: Any,
    action: Any,
    command: Any,
    work: Any,
    steps: int,
) -> None:
    """Move plant and nervous system on by `steps` physics steps under a constant exo command (n_exo,) Nm.

    On entry and on return forces and accelerations belong to the present state (see `forward`).
    """
    model, data = pointers[MODEL], pointers[DATA]
    qvel = view(pointers[QVEL], body.nv)
    act = view(pointers[ACT], N_MUSCLES)
    dt = body.timestep
    for _ in range(steps):
        call(functions[EULER], model, data)
        pace = 1.0 + PACE * action[CONTROLLED]
        state[PHASE] = (state[PHASE] + dt * pace / state[STRIDE_TIME]) % 1.0
        state[DRIFT] += dt * (state[SPEED] - qvel[0] - state[DRIFT] / DRIFT_TIME)
        if len(exo.joint):
            for i in range(len(exo.joint)):
                exo.velocity[i] = qvel[exo.dof[i]]
            line, t = exo.drive_state, exo.tables
            drive(
                command,
                line.line,
                line.cursor,
                line.torque,
                t.delay_steps,
                t.smoothing,
                t.torque_min,
                t.torque_max,
                t.rate_step,
                t.speed_limit,
                t.coulomb,
                t.coulomb_speed,
                exo.velocity,
                exo.torque,
            )
        forward(functions, pointers, body, exo, state, action, work)
        for m in range(N_MUSCLES):
            state[EFFORT] += act[m] * act[m]
        state[EFFORT_COUNT] += N_MUSCLES


@compiled
def keep_pace(pointers: Any, body: Any, state: Any, period: float) -> None:
    """Trim the speed that policy and reference are told, so that the mean speed becomes the wanted one."""
    if state[WANTED] <= 0.0:
        return
    speed = view(pointers[QVEL], body.nv)[0]
    trim = state[SPEED] - state[WANTED] + period * (state[WANTED] - speed) / PACE_TIME
    state[SPEED] = state[WANTED] + min(PACE_LIMIT, max(-PACE_LIMIT, trim))


@compiled
def foot_forces(functions: Any, pointers: Any, body: Any, out: Any) -> None:
    """Ground reaction force (N, world) of the right and left foot into out (2, 3)."""
    call(functions[RNE_POST_CONSTRAINT], pointers[MODEL], pointers[DATA])
    external = view(pointers[CFRC_EXT], 6 * body.nbody)
    for side in range(2):
        for axis in range(3):
            out[side, axis] = external[6 * body.calcn[side] + 3 + axis] + external[6 * body.toes[side] + 3 + axis]


@compiled
def observe(functions: Any, pointers: Any, body: Any, exo: Any, state: Any, action: Any, work: Any, out: Any) -> None:
    """What the policy sees (N_OBSERVATIONS,), told from the leading leg's side so that one policy serves both.

    Errors are relative to the reference at the present phase and commanded speed. Right leads in phase 0..0.5.
    """
    qpos = view(pointers[QPOS], body.nq)
    qvel = view(pointers[QVEL], body.nv)
    ref = work.reference
    interpolate(body.table, body.speeds, state[SPEED], state[PHASE], ref)
    right_leads = state[PHASE] < 0.5
    s = 1.0 if right_leads else -1.0
    rate = 1.0 / state[STRIDE_TIME]
    yaw, pitch, roll = euler_angles(qpos[3:7])
    out[0] = 5.0 * (qpos[2] - body.ground - ref[PELVIS])
    out[1] = 3.0 * (pitch + ref[PELVIS + 1])
    out[2] = 3.0 * s * (roll - ref[PELVIS + 2])
    out[3] = 3.0 * s * (yaw - ref[PELVIS + 3])
    out[4] = qvel[0] - state[SPEED]
    out[5] = s * qvel[1]
    out[6] = qvel[2]
    out[7] = 0.3 * s * qvel[3]
    out[8] = 0.3 * qvel[4]
    out[9] = 0.3 * s * qvel[5]
    half = 4.0 * np.pi * state[PHASE]
    out[10], out[11] = np.sin(half), np.cos(half)
    out[12] = state[SPEED] / np.sqrt(body.scale) - 1.2
    out[13] = 2.0 * state[DRIFT]
    out[14] = 2.0 * s * min(0.5, max(-0.5, qpos[1] - state[LANE]))
    foot_forces(functions, pointers, body, work.foot_force)
    exo_torque(qpos, qvel, body, exo, work.exo_torque)
    weight = 9.81 * body.mass
    for place in range(2):
        leg = place if right_leads else 1 - place
        for k in range(5):
            j = leg * JOINTS_OF_LEG + k
            out[15 + 5 * place + k] = 3.0 * (qpos[body.qpos[j]] - ref[ANGLE + j])
            out[25 + 5 * place + k] = 0.2 * (qvel[body.dof[j]] - ref[SLOPE + j] * rate)
        out[35 + place] = work.foot_force[leg, 2] / weight
        for i, k in enumerate((0, 3, 4)):
            out[37 + 3 * place + i] = 2.0 * work.exo_torque[leg * JOINTS_OF_LEG + k] / body.mass
        out[43 + place] = 2.0 * qpos[body.qpos[leg * JOINTS_OF_LEG + 5]]
    for a in range(N_ACTIONS):
        out[45 + a] = action[a]
    for i in range(N_OBSERVATIONS):
        out[i] = min(5.0, max(-5.0, out[i]))
