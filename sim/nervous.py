"""The nervous system below the policy: reference, joint-space reflexes and muscle recruitment, compiled.

The policy speaks 50 times a second in joint space: it moves the reference angles of ten joints and the pace. At every
physics step the wanted torque tau = tau_ff + kp (q* - q) + kd (dq_ref - dq), less what the person expects the exo to
give, is shared among the muscles (`muscle_control`), and the rotators turn the hip (`turn_hips`). Nothing else acts on
the person.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .balance import balance, entrain, lands
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
from .gait_plan import STRIDE, climbing, next_step, planned_x, refer, see_ground
from .muscle_control import (
    LEAD,
    force_length,
    force_velocity,
    passive_force,
    static_optimisation,
)
from .posture_plan import move_posture
from .reference import ANGLE, MOMENT, SLOPE
from .reflexes import spinal
from .state import (
    ADAPTATION,
    BOUND,
    EFFORT,
    EFFORT_COUNT,
    EXCESS,
    FOOT_X,
    HABIT,
    KIND,
    LANE,
    LOOK_RIGHT,
    NEXT_LANE,
    NEXT_SPEED,
    PHASE,
    RISE_NEXT,
    SPEED,
    STRIDE_TIME,
    TRIM,
    VELOCITY,
    WANTED,
)

POLICY_PERIOD = 0.02  # s
N_MUSCLES = 26
N_JOINTS = 12
MUSCLES_OF_LEG, JOINTS_OF_LEG = 13, 6
HIP_ROTATION = 2
CONTROLLED = 10  # joints the policy moves: hip (3), knee, ankle of the leading and the trailing leg
N_ACTIONS = CONTROLLED + 1
RESIDUAL = 0.3  # rad per unit of action
PACE = 0.2  # relative change of the phase rate per unit of action
HABITUAL = 2.0  # s; who climbs can hurry a step or dwell on it, for longer than this the speed sets the rhythm (chosen)
ACTION_LIMIT = 2.0
DRIFT_TIME = 4.0  # s; how long a striding person remembers being behind or ahead of the plan
PACE_TIME = 3.0  # s; how fast the person corrects a lasting difference from the wanted speed (chosen)
SIDEWAYS = 0.15  # m/s that a walker changes lanes at (chosen)
# m: who climbs a ramp and comes further beside the line goes back to it by a line of its own that starts this near;
# for who steps out as far as it is beside the line a slow climb is no longer stable (chosen).
LEASH = 0.15
PACE_LIMIT = 0.2  # m/s; the most it corrects by

# Joint-space gains in Nm/rad and Nms/rad for 75 kg and 1.75 m: hip flexion, adduction, rotation, knee, ankle, toes.
STIFFNESS = np.array([300.0, 300.0, 22.0, 390.0, 180.0, 0.0])
DAMPING = np.array([15.0, 15.0, 1.0, 11.0, 5.0, 0.0])
# Trust of the muscle solution in each joint's torque (chosen): rotators turn the hip, toes are passive.
RECRUIT = np.array([1.0, 1.0, 0.0, 1.0, 1.0, 0.0])
# How stiffly the rotators hold the hip, over the gains above, and which share of the turn that the other muscles give
# they hold against: on the way, and of who steps up, which keeps the heading (chosen).
ROTATION = np.array([[1.0, 0.3], [2.4, 0.75]])


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
def clock_pace(qpos: Any, qvel: Any, body: Any, state: Any, action: Any, work: Any) -> float:
    """How fast the clock of the gait runs, over its own pace."""
    climb = climbing(state) if state[BOUND] == 0.0 else 0.0
    lasting = climb * state[HABIT]
    return (1.0 + PACE * (action[CONTROLLED] - lasting)) * entrain(qpos, qvel, body, state, work)


@compiled
def turn_hips(pointers: Any, body: Any, state: Any, work: Any) -> None:
    """Set the rotators' excitation from the wanted torque and what the recruited muscles do to the hip's rotation."""
    ctrl = view(pointers[CTRL], body.nu)
    firmness, share = ROTATION[1 if state[RISE_NEXT] > 0.0 else 0]
    for leg in range(2):
        j = leg * JOINTS_OF_LEG + HIP_ROTATION
        torque = firmness * work.torque[j]
        for m in range(leg * MUSCLES_OF_LEG, (leg + 1) * MUSCLES_OF_LEG):
            torque -= share * work.arms[j, m] * (work.passive[m] + work.capacity[m] * work.activation[m])
        ctrl[N_MUSCLES + leg] = min(1.0, max(-1.0, torque / body.rotators[leg]))


@compiled
def recruit(pointers: Any, body: Any, exo: Any, state: Any, action: Any, work: Any) -> None:
    """Set the muscle excitations for the present state (positions and velocities are up to date)."""
    qpos = view(pointers[QPOS], body.nq)
    qvel = view(pointers[QVEL], body.nv)
    ref = work.reference
    refer(body, state, work)
    right_leads = state[LOOK_RIGHT] > 0.0
    rate = clock_pace(qpos, qvel, body, state, action, work) / state[STRIDE_TIME]
    exo_torque(qpos, qvel, body, exo, work.exo_torque)
    balance(qpos, qvel, body, state, work, work.balance)
    for j in range(N_JOINTS):
        leg, k = j // JOINTS_OF_LEG, j % JOINTS_OF_LEG
        shift = work.balance[leg, k]
        if k < 5:
            slot = k + (5 if (leg == 0) != right_leads else 0)
            shift += RESIDUAL * action[slot]
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
    turn_hips(pointers, body, state, work)
    if body.reflexive:  # the spinal cord has the last word
        return
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
    if not np.isfinite(np.sum(view(pointers[ACTUATOR_LENGTH], N_MUSCLES))):
        # MuJoCo finds no length for a muscle that just touches the cylinder it bends round (an arc cosine beyond 1).
        qpos = view(pointers[QPOS], body.nq)
        for leg in range(2):
            qpos[body.qpos[leg * JOINTS_OF_LEG]] += 1e-6
        call(functions[FWD_POSITION], model, data)
    call(functions[FWD_VELOCITY], model, data)
    recruit(pointers, body, exo, state, action, work)
    if body.reflexive:
        spinal(pointers, body.spinal, work.reflex, work.activation, body.timestep)
    ctrl = view(pointers[CTRL], body.nu)
    for i in range(len(exo.joint)):
        ctrl[exo.ctrl[i]] = exo.torque[i]
    call(functions[FWD_ACTUATION], model, data)
    call(functions[FWD_ACCELERATION], model, data)
    call(functions[FWD_CONSTRAINT], model, data)


@compiled
def move_on(body: Any, state: Any, x: float, y: float, speed: float, dt: float, work: Any) -> None:
    """Move the plan of the gait on by dt (s, of the person's own pace) for a pelvis at world x, y, its speed in m/s."""
    if body.still:
        move_posture(state, dt)
        return
    half = int(2.0 * state[PHASE])
    passed = dt / state[STRIDE_TIME]
    lately = min(1.0, 4.0 * passed)
    state[VELOCITY] += (speed - state[VELOCITY]) * lately
    state[EXCESS] += (speed - state[SPEED] - state[EXCESS]) * lately
    if state[KIND] == STRIDE:
        # Speed glides to the chosen one until the foot lands, so that the reference has no jumps.
        left = 0.5 - state[PHASE] % 0.5
        state[SPEED] += (state[NEXT_SPEED] - state[SPEED]) * min(1.0, passed / max(passed, left))
    state[PHASE] = (state[PHASE] + passed) % 1.0
    if int(2.0 * state[PHASE]) != half:
        next_step(body, state, planned_x(state, work) - x)
    state[LANE] += min(SIDEWAYS * dt, max(-SIDEWAYS * dt, state[NEXT_LANE] - state[LANE]))
    see_ground(body, state, x)
    if state[BOUND] == 0.0:
        if climbing(state) == 1.0:
            state[LANE] = min(y + body.leash, max(y - body.leash, state[LANE]))
        # A striding person does not make up for every centimetre.
        lag = planned_x(state, work) - x
        state[FOOT_X] -= dt * lag / DRIFT_TIME


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
    qpos, qvel = view(pointers[QPOS], body.nq), view(pointers[QVEL], body.nv)
    act = view(pointers[ACT], N_MUSCLES)
    dt = body.timestep
    for _ in range(steps):
        call(functions[EULER], model, data)
        if lands(body, state):
            foot_forces(functions, pointers, body, work.foot_force)
        pace = clock_pace(qpos, qvel, body, state, action, work)
        move_on(body, state, qpos[0], qpos[1], qvel[0], dt * pace, work)
        state[HABIT] += (action[CONTROLLED] - state[HABIT]) * dt / HABITUAL
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
def keep_pace(state: Any, period: float) -> None:
    """Trim the speed that the next steps are planned with, so that the mean speed becomes the wanted one."""
    if state[WANTED] <= 0.0 or state[BOUND] > 0.0 or state[KIND] != STRIDE:
        return
    # A stumble is no lasting difference. The mean speed, as slow strides slow down for long and speed up in a flash.
    lag = min(0.1, max(-0.1, state[SPEED] - state[TRIM] - state[VELOCITY]))
    trim = state[TRIM] + period * lag / PACE_TIME
    state[TRIM] = min(PACE_LIMIT, max(-PACE_LIMIT, trim))


@compiled
def foot_forces(functions: Any, pointers: Any, body: Any, out: Any) -> None:
    """Ground reaction force (N, world) of the right and left foot into out (2, 3)."""
    call(functions[RNE_POST_CONSTRAINT], pointers[MODEL], pointers[DATA])
    external = view(pointers[CFRC_EXT], 6 * body.nbody)
    for side in range(2):
        for axis in range(3):
            out[side, axis] = external[6 * body.calcn[side] + 3 + axis] + external[6 * body.toes[side] + 3 + axis]
