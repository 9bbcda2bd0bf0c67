"""Many people stepped at once: the compiled policy step that training runs over threads.

One call moves every person of a batch on by one policy period (20 ms) and returns observations, rewards and falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .balance import euler_angles
from .body import Body, Embodiment, Exo, Work
from .bridge import ACT, CTRL, PELVIS_BODY, QFRC_ACTUATOR, QPOS, QVEL, XFRC_APPLIED, view
from .compiled import compiled
from .exo import DriveState
from .gait_plan import STRIDE, climbing, planned
from .nervous import (
    CONTROLLED,
    JOINTS_OF_LEG,
    N_ACTIONS,
    N_JOINTS,
    N_MUSCLES,
    advance,
    clock_pace,
    foot_forces,
    forward,
    keep_pace,
    moment_arms,
    muscle_state,
)
from .observation import observe
from .reference import AHEAD, ANGLE, LEFT, LIST, LOAD, MOMENT, PELVIS, PELVIS_SLOPE, ROTATION, SLOPE, TILT
from .reflexes import begin
from .state import BOUND, EFFORT, EFFORT_COUNT, KIND, LANE, LOOK_RIGHT, LOOKED_RIGHT, STRIDE_TIME
from .subjects import GRAVITY
from .terrain import pad_rows

# Reward: imitation of joint angles and rates, pelvis, way, joint moments and ground force; less effort, restless
# actions and hard landings.
W_ANGLE, W_RATE, W_PELVIS, W_VELOCITY = 0.7, 0.1, 0.2, 0.2
# Of joint moments and ground force the weight and how strictly they count: of the impaired, and of others, whose
# likeness is judged (chosen).
W_MOMENT, SHARP_MOMENT = (0.3, 0.5), (3.0, 5.0)
W_LOAD, SHARP_LOAD = (0.2, 0.4), (4.0, 20.0)
C_EFFORT, C_ACTION, C_CHANGE, C_IMPACT, C_CLOCK = 2.0, 0.004, 0.01, 0.3, 0.3
# How much hip adduction counts among the angles, and how strictly the pelvis' height (1/m^2): walkers without an
# impairment shall not straddle or ride high, which makes them land late; others may (chosen).
ADDUCTING, UPRIGHT = (1.0, 10.0), (40.0, 400.0)
HARD_LANDING = 1.25  # body weights on one foot, above which a landing costs
# A fall: pelvis this far below the reference (m per unit of scale), or turned this far (rad).
FALL_DROP, FALL_PITCH, FALL_ROLL, FALL_YAW = 0.16, 0.6, 0.5, 0.8
# On stairs and in a posture, too far from the planned place (m per unit of scale): the next tread, or the seat, will be
# missed.
FALL_LAG = 0.35


def stack(people: Sequence[Embodiment]) -> tuple[Body, Exo, Work]:
    """Bodies, devices and work arrays of people with the same device, stacked; each person's arrays become views.

    Counts (nq, ...), the time step and actuator tables are shared; terrains are made equally long.
    """
    shared = {"timestep", "nq", "nv", "nu", "nbody", "moments", "nsensor", "tables", "still"}

    def gather(kind: type, items: list[Any]) -> Any:
        columns = []
        for name, first in zip(kind._fields, items[0], strict=True):  # type: ignore[attr-defined]
            same = name in shared or isinstance(first, tuple)
            columns.append(first if same else np.stack([getattr(item, name) for item in items]))
        return kind(*columns)

    sections = max(len(p.body.terrain) for p in people)
    body = gather(Body, [p.body._replace(terrain=pad_rows(p.body.terrain, sections)) for p in people])
    exo = gather(Exo, [p.exo for p in people])
    work = gather(Work, [p.work for p in people])
    stacked = (body, exo._replace(drive_state=gather(DriveState, [p.exo.drive_state for p in people])), work)
    for i, person in enumerate(people):
        _, person.exo, person.work = pick.py_func(stacked, i)
    return stacked


@compiled
def pick(batch: Any, i: int) -> Any:
    """Body, Exo and Work of the i-th person of a stack."""
    b, e, w = batch
    body = Body(
        b.qpos[i], b.dof[i], b.arm_index[i], b.muscle[i], b.kp[i], b.kd[i], b.recruit[i], b.rotators[i], b.cells[i],
        b.times[i], b.speeds[i], b.slopes[i], b.rises[i], b.treads[i], b.heel_from_edge[i], b.weakness[i],
        b.impaired[i], b.reflexive[i], b.spinal[i], b.contracted[i], b.knee_limits[i], b.still, b.calcn[i], b.toes[i],
        b.mass[i], b.scale[i], b.leash[i], b.terrain[i], b.timestep, b.nq, b.nv, b.nu, b.nbody, b.moments, b.nsensor,
    )  # fmt: skip
    exo = Exo(
        e.joint[i], e.qpos[i], e.dof[i], e.ctrl[i], e.stiffness[i], e.damping[i], e.tables,
        DriveState(e.drive_state.line[i], e.drive_state.cursor[i], e.drive_state.torque[i]), e.torque[i], e.velocity[i],
    )  # fmt: skip
    work = Work(
        w.reference[i], w.torque[i], w.exo_torque[i], w.capacity[i], w.passive[i], w.arms[i], w.activation[i],
        w.foot_force[i], w.cell[i], w.weight[i], w.seen[i], w.reflex[i], w.balance[i],
    )  # fmt: skip
    return body, exo, work


@compiled
def settle(functions: Any, pointers: Any, body: Any, exo: Any, state: Any, action: Any, work: Any) -> None:
    """After `Embodiment.place`: recruit for the pose, start the muscles there, and bring forces up to date."""
    work.activation[:] = 0.02
    work.foot_force[:] = 0.0
    for _ in range(3):
        forward(functions, pointers, body, exo, state, action, work)
        foot_forces(functions, pointers, body, work.foot_force)
    active = N_MUSCLES + len(body.rotators)
    act, ctrl = view(pointers[ACT], active), view(pointers[CTRL], active)
    act[:N_MUSCLES], act[N_MUSCLES:] = work.activation, ctrl[N_MUSCLES:]
    begin(work.reflex, work.activation)
    forward(functions, pointers, body, exo, state, action, work)
    state[EFFORT], state[EFFORT_COUNT] = 0.0, 0.0


@compiled
def has_fallen(pointers: Any, body: Any, state: Any, work: Any) -> bool:
    """Whether the pelvis is too low or turned too far, or the state is not finite."""
    qpos = view(pointers[QPOS], body.nq)
    qvel = view(pointers[QVEL], body.nv)
    yaw, pitch, roll = euler_angles(qpos[3:7])
    x, z = planned(body, state, work)
    drop = z - qpos[2]
    # Who sits or squats leans forward far.
    lean = pitch + work.reference[PELVIS + TILT] if body.still else pitch
    if not np.isfinite(qpos[2]) or not np.isfinite(np.sum(qvel)):
        return True
    if (body.still or state[KIND] != STRIDE) and abs(x - qpos[0]) > FALL_LAG * body.scale:
        return True
    return bool(drop > FALL_DROP * body.scale or abs(lean) > FALL_PITCH or abs(roll) > FALL_ROLL or abs(yaw) > FALL_YAW)


@compiled
def reward(pointers: Any, body: Any, state: Any, action: Any, previous: Any, swapped: bool, work: Any) -> float:
    """Reward of one policy period, at its end; work.reference is the reference there.

    swapped: whether the legs have changed places since the previous action.
    """
    qpos = view(pointers[QPOS], body.nq)
    qvel = view(pointers[QVEL], body.nv)
    ref = work.reference
    rate = 1.0 / state[STRIDE_TIME]
    actuator = view(pointers[QFRC_ACTUATOR], body.nv)
    angle, velocity, moment = 0.0, 0.0, 0.0
    strict = 0 if body.still or body.impaired else 1
    for j in range(N_JOINTS):
        if j % JOINTS_OF_LEG < 5:
            e = qpos[body.qpos[j]] - ref[ANGLE + j]
            angle += (ADDUCTING[strict] if j % JOINTS_OF_LEG == 1 else 1.0) * e * e
            e = qvel[body.dof[j]] - rate * ref[SLOPE + j]
            velocity += e * e
            e = (actuator[body.dof[j]] + work.exo_torque[j] - ref[MOMENT + j]) / body.mass
            moment += e * e
    impact = 0.0
    for side in range(2):
        excess = max(0.0, work.foot_force[side, 2] / (GRAVITY * body.mass) - HARD_LANDING)
        impact += excess * excess
    yaw, pitch, roll = euler_angles(qpos[3:7])
    x, z = planned(body, state, work)
    dz, lag = qpos[2] - z, min(0.3, max(-0.3, x - qpos[0]))
    dpitch, droll, dyaw = pitch + ref[PELVIS + TILT], roll - ref[PELVIS + LIST], yaw - ref[PELVIS + ROTATION]
    lane = qpos[1] - state[LANE] - ref[PELVIS + LEFT]
    dv = qvel[0] - rate * ref[PELVIS_SLOPE + AHEAD]
    dy = qvel[1] - rate * ref[PELVIS_SLOPE + LEFT]
    load = 0.0
    for side in range(2):
        for k in range(2):
            e = work.foot_force[side, 2 * k] / (GRAVITY * body.mass) - ref[LOAD + 2 * side + k]
            load += (1.0 if k == 1 else 4.0) * e * e
    distortion = 0.0
    if strict and state[BOUND] == 0.0:
        # Who climbs has no other way to keep its feet under it.
        distortion = (1.0 - climbing(state)) * abs(1.0 - clock_pace(qpos, qvel, body, state, action, work))
    effort = state[EFFORT] / max(1.0, state[EFFORT_COUNT])
    size, change = 0.0, 0.0
    for a in range(N_ACTIONS):
        size += action[a] * action[a]
        # The five actions of the leading leg, those of the trailing one, and the pace.
        before = (a + 5) % 10 if swapped and a < CONTROLLED else a
        change += (action[a] - previous[before]) ** 2
    return float(
        W_ANGLE * np.exp(-10.0 * angle)
        + W_RATE * np.exp(-0.015 * velocity)
        + W_PELVIS * np.exp(-UPRIGHT[strict] * dz * dz - 10.0 * (dpitch * dpitch + droll * droll + dyaw * dyaw))
        + W_VELOCITY * np.exp(-5.0 * dv * dv - 3.0 * dy * dy - 20.0 * lag * lag - 10.0 * lane * lane)
        + W_MOMENT[strict] * np.exp(-SHARP_MOMENT[strict] * moment)
        + W_LOAD[strict] * np.exp(-SHARP_LOAD[strict] * load)
        - C_IMPACT * min(1.0, impact)
        - C_CLOCK * distortion
        - C_EFFORT * effort
        - C_ACTION * size
        - C_CHANGE * change
    )


@compiled
def assist(pointers: Any, body: Any, exo: Any, gain: Any, offset: Any, memory: Any, work: Any, command: Any) -> None:
    """Exo torque of a training episode: a share of the person's own torque, smoothed, plus a slow random part."""
    if len(exo.joint) == 0:
        return
    muscle_state(pointers, body, work.capacity, work.passive)
    moment_arms(pointers, body, work.arms)
    act = view(pointers[ACT], N_MUSCLES)
    for i in range(len(exo.joint)):
        torque = 0.0
        for m in range(N_MUSCLES):
            torque += work.arms[exo.joint[i], m] * (work.passive[m] + work.capacity[m] * act[m])
        memory[i] += 0.3 * (torque - memory[i])
        command[i] = gain[i] * memory[i] + offset[i]


@compiled
def policy_step(
    functions: Any,
    pointers: Any,
    batch: Any,
    state: Any,
    actions: Any,
    previous: Any,
    push: Any,
    gain: Any,
    offset: Any,
    memory: Any,
    control_steps: int,
    control_periods: int,
    observations: Any,
    rewards: Any,
    fallen: Any,
    start: int,
    stop: int,
) -> None:
    """One policy period of the people start..stop; it holds no lock, so threads may share a batch.

    batch: stacked Body, Exo and Work (see `stack`). actions, previous: (n, N_ACTIONS), already clipped. push: (n, 3) N
    on the pelvis, in training only.
    """
    for i in range(start, stop):
        swapped = state[i, LOOK_RIGHT] != state[i, LOOKED_RIGHT]
        body, exo, work = pick(batch, i)
        command = np.zeros(len(exo.joint))
        state[i, EFFORT], state[i, EFFORT_COUNT] = 0.0, 0.0
        applied = view(pointers[i, XFRC_APPLIED], 6 * body.nbody)
        for axis in range(3):
            applied[6 * PELVIS_BODY + axis] = push[i, axis]
        for _ in range(control_periods):
            assist(pointers[i], body, exo, gain[i], offset[i], memory[i], work, command)
            advance(functions, pointers[i], body, exo, state[i], actions[i], command, work, control_steps)
        keep_pace(state[i], control_periods * control_steps * body.timestep)
        observe(functions, pointers[i], body, exo, state[i], actions[i], work, observations[i])
        fallen[i] = has_fallen(pointers[i], body, state[i], work)
        rewards[i] = reward(pointers[i], body, state[i], actions[i], previous[i], swapped, work)
        if fallen[i]:
            rewards[i] = 0.0
