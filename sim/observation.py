"""What the policy of a gait sees, as late as nerves are."""

from __future__ import annotations

from typing import Any

import numpy as np

from .balance import euler_angles
from .bridge import CFRC_EXT, PELVIS_BODY, QPOS, QVEL, XPOS, view
from .compiled import compiled
from .gait_plan import planned, refer
from .nervous import JOINTS_OF_LEG, N_ACTIONS, POLICY_PERIOD, exo_torque, foot_forces
from .posture_plan import see_posture
from .reference import AHEAD, ANGLE, LEFT, LIST, PELVIS, PELVIS_SLOPE, ROTATION, SLOPE, TILT
from .state import (
    BACK,
    BOUND,
    DELAY,
    FOOT_X,
    GRADE,
    GROUND,
    LANE,
    LOOK_RIGHT,
    LOOKED_RIGHT,
    LOOKS,
    PHASE,
    RISE_BACK,
    RISE_NEXT,
    SPEED,
    STRIDE_TIME,
    WANTED,
)
from .subjects import GRAVITY
from .terrain import ground_height

N_OBSERVATIONS = 81
# Where who walks sees the weakness of its legs, and whether its footholds are given.
SEEN_WEAKNESS, SEEN_BOUND = slice(47, 57), 78
# Where it sees the slope, and the last and the next rise at the source's size, times these gains.
SEEN_SLOPE, SEEN_RISE_BACK, SEEN_RISE_NEXT = 57, 58, 59
SLOPE_GAIN, RISE_GAIN = 4.0, 5.0
SEEN = 4  # looks that are remembered, so that the policy may act on old ones
# Where the ground's height is seen, m ahead of the pelvis at the source's size.
SCAN = np.array([-0.2, 0.0, 0.2, 0.4, 0.6, 0.8])


@compiled
def observe(functions: Any, pointers: Any, body: Any, exo: Any, state: Any, action: Any, work: Any, out: Any) -> None:
    """What the policy sees (N_OBSERVATIONS,), as it was DELAY seconds ago.

    Told from the leading leg's side so that one policy serves both; errors are relative to the reference.
    """
    now = work.seen[int(state[LOOKS]) % SEEN]
    _look(functions, pointers, body, exo, state, action, work, now)
    now[N_OBSERVATIONS] = 1.0 if state[PHASE] < 0.5 else 0.0
    if state[LOOKS] == 0.0:
        for k in range(SEEN):
            work.seen[k, :] = now
    late = min(SEEN - 2.0, state[DELAY] / POLICY_PERIOD)
    whole = int(late)
    u = late - whole
    newer, older = work.seen[(int(state[LOOKS]) - whole) % SEEN], work.seen[(int(state[LOOKS]) - whole - 1) % SEEN]
    if newer[N_OBSERVATIONS] != older[N_OBSERVATIONS]:
        u = 1.0 if u > 0.5 else 0.0  # the legs have changed places between them
    state[LOOKED_RIGHT] = state[LOOK_RIGHT]
    # The action belongs to the leg that was seen to lead.
    state[LOOK_RIGHT] = older[N_OBSERVATIONS] if u > 0.5 else newer[N_OBSERVATIONS]
    for i in range(N_OBSERVATIONS):
        out[i] = (1.0 - u) * newer[i] + u * older[i]
    state[LOOKS] += 1.0


@compiled
def _look(functions: Any, pointers: Any, body: Any, exo: Any, state: Any, action: Any, work: Any, out: Any) -> None:
    qpos = view(pointers[QPOS], body.nq)
    qvel = view(pointers[QVEL], body.nv)
    ref = work.reference
    refer(body, state, work)
    right_leads = state[PHASE] < 0.5
    s = 1.0 if right_leads else -1.0
    rate = 1.0 / state[STRIDE_TIME]
    yaw, pitch, roll = euler_angles(qpos[3:7])
    x, z = planned(body, state, work)
    out[0] = 5.0 * (qpos[2] - z)
    out[1] = 3.0 * (pitch + ref[PELVIS + TILT])
    out[2] = 3.0 * s * (roll - ref[PELVIS + LIST])
    out[3] = 3.0 * s * (yaw - ref[PELVIS + ROTATION])
    out[4] = qvel[0] - rate * ref[PELVIS_SLOPE + AHEAD]
    out[5] = s * (qvel[1] - rate * ref[PELVIS_SLOPE + LEFT])
    out[6] = qvel[2] - rate * ref[PELVIS_SLOPE] - state[GRADE] * qvel[0]
    out[7] = 0.3 * s * qvel[3]
    out[8] = 0.3 * qvel[4]
    out[9] = 0.3 * s * qvel[5]
    half = 4.0 * np.pi * state[PHASE]
    out[10], out[11] = np.sin(half), np.cos(half)
    out[12] = state[SPEED] / np.sqrt(body.scale) - 1.2
    out[13] = 5.0 * min(0.3, max(-0.3, x - qpos[0]))
    out[14] = 3.0 * s * min(0.4, max(-0.4, qpos[1] - state[LANE] - ref[PELVIS + LEFT]))
    foot_forces(functions, pointers, body, work.foot_force)
    exo_torque(qpos, qvel, body, exo, work.exo_torque)
    weight = GRAVITY * body.mass
    place = view(pointers[XPOS], 3 * body.nbody)
    for order in range(2):
        leg = order if right_leads else 1 - order
        for k in range(5):
            j = leg * JOINTS_OF_LEG + k
            out[15 + 5 * order + k] = 3.0 * (qpos[body.qpos[j]] - ref[ANGLE + j])
            out[25 + 5 * order + k] = 0.2 * (qvel[body.dof[j]] - ref[SLOPE + j] * rate)
        out[35 + order] = work.foot_force[leg, 2] / weight
        for i, k in enumerate((0, 3, 4)):
            out[37 + 3 * order + i] = 2.0 * work.exo_torque[leg * JOINTS_OF_LEG + k] / body.mass
        out[43 + order] = 2.0 * qpos[body.qpos[leg * JOINTS_OF_LEG + 5]]
        foothold = state[FOOT_X] - (state[BACK] if order == 1 else 0.0)
        out[45 + order] = 4.0 * min(0.5, max(-0.5, place[3 * body.calcn[leg]] - foothold))
        for k in range(5):
            out[SEEN_WEAKNESS.start + 5 * order + k] = body.weakness[leg, k]
    out[SEEN_SLOPE] = SLOPE_GAIN * state[GRADE]
    out[SEEN_RISE_BACK] = RISE_GAIN * state[RISE_BACK] / body.scale
    out[SEEN_RISE_NEXT] = RISE_GAIN * state[RISE_NEXT] / body.scale
    out[60] = state[STRIDE_TIME] / np.sqrt(body.scale) - 1.3 if not body.still else 0.0
    for k in range(len(SCAN)):
        seen = ground_height(body.terrain, qpos[0] + SCAN[k] * body.scale) - state[GROUND]
        out[61 + k] = 3.0 * min(0.5, max(-0.5, seen - state[GRADE] * SCAN[k] * body.scale))
    for a in range(N_ACTIONS):
        out[67 + a] = action[a]
    out[SEEN_BOUND] = state[BOUND]
    out[79] = state[WANTED] - state[SPEED]
    out[80] = 10.0 * state[DELAY]
    if body.still:
        seat = view(pointers[CFRC_EXT], 6 * body.nbody)[6 * PELVIS_BODY + 5]
        see_posture(body, state, ref, seat, out)
    for i in range(N_OBSERVATIONS):
        out[i] = min(5.0, max(-5.0, out[i]))
