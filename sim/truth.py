"""What is true at one instant, read from the physics in compiled code: one flat row a control tick.

Torque split at each joint (DESIGN.md): `muscle` is the muscle forces through their moment arms and the hip's rotators,
`ligament` the passive joint structures and range limits, `exo` what the device applies through its cuffs; biological =
muscle + ligament, net = biological + exo. All are generalised forces of the same instant, so net is the inverse
dynamics of the motion.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .bridge import (
    ACT,
    ACTUATOR_FORCE,
    ACTUATOR_LENGTH,
    ACTUATOR_VELOCITY,
    CFRC_EXT,
    CTRL,
    DATA,
    MODEL,
    QFRC_ACTUATOR,
    QFRC_PASSIVE,
    QPOS,
    QVEL,
    RNE_POST_CONSTRAINT,
    ROOT_BODY,
    SENSOR_ACC,
    SENSOR_POS,
    SENSOR_VEL,
    SENSORDATA,
    SUBTREE_COM,
    XMAT,
    XPOS,
    call,
    view,
)
from .compiled import compiled
from .muscle_control import force_length, force_velocity
from .nervous import N_JOINTS, N_MUSCLES, exo_torque
from .person import FOOT_RADIUS
from .posture_plan import mode_number
from .state import PHASE, WANTED
from .terrain import ground_height, ground_slope

CONTACT_THRESHOLD = 20.0  # N; below it a foot has no centre of pressure (a usual force-plate threshold)
TOE_TIP = 0.045  # m, how far the foremost part of the sole lies ahead of the toes' joint
CREASE = 0.04  # m; ground that lies higher or lower than this from the surface underfoot is another tread's

# Where each block of a row starts, and its length.
BLOCKS: dict[str, tuple[int, int]] = {}
_start = 0
for _name, _length in (
    ("angle", N_JOINTS),
    ("velocity", N_JOINTS),
    ("muscle", N_JOINTS),
    ("ligament", N_JOINTS),
    ("exo", N_JOINTS),
    ("activation", N_MUSCLES),
    ("excitation", N_MUSCLES),
    ("force", N_MUSCLES),
    ("active_force", N_MUSCLES),
    ("fibre_length", N_MUSCLES),
    ("fibre_velocity", N_MUSCLES),
    ("grf", 6),
    ("cop", 4),
    ("foot_cop", 4),
    ("pelvis", 13),
    ("phase", 1),
    ("command_speed", 1),
    ("seat", 1),
    ("posture", 1),
    ("free_moment", 2),
):
    BLOCKS[_name] = (_start, _length)
    _start += _length
ROW = _start

_ANGLE, _VELOCITY, _MUSCLE, _LIGAMENT, _EXO = (BLOCKS[n][0] for n in ("angle", "velocity", "muscle", "ligament", "exo"))
_ACTIVATION, _EXCITATION, _FORCE = (BLOCKS[n][0] for n in ("activation", "excitation", "force"))
_ACTIVE, _FIBRE, _FIBRE_VELOCITY = (BLOCKS[n][0] for n in ("active_force", "fibre_length", "fibre_velocity"))
_GRF, _COP, _FOOT_COP, _PELVIS = (BLOCKS[n][0] for n in ("grf", "cop", "foot_cop", "pelvis"))
_PHASE, _SPEED, _SEAT, _POSTURE = (BLOCKS[n][0] for n in ("phase", "command_speed", "seat", "posture"))
_FREE = BLOCKS["free_moment"][0]


@compiled
def read_truth(
    functions: Any, pointers: Any, body: Any, exo: Any, limits: Any, state: Any, work: Any, row: Any
) -> None:
    """Fill row (ROW,) for the present instant; forces must belong to the state (see `nervous.forward`).

    limits: (12, 2) address of each joint's limit-force sensor and the middle of its range.
    """
    # MuJoCo clears its mark that body accelerations are current only in mj_forward, which is not used here: without the
    # explicit call, ground forces and accelerometers would be those of the policy's last look.
    for function in (RNE_POST_CONSTRAINT, SENSOR_POS, SENSOR_VEL, SENSOR_ACC):
        call(functions[function], pointers[MODEL], pointers[DATA])
    qpos = view(pointers[QPOS], body.nq)
    qvel = view(pointers[QVEL], body.nv)
    actuator = view(pointers[QFRC_ACTUATOR], body.nv)
    passive = view(pointers[QFRC_PASSIVE], body.nv)
    sensors = view(pointers[SENSORDATA], body.nsensor)
    exo_torque(qpos, qvel, body, exo, work.exo_torque)
    for j in range(N_JOINTS):
        d = body.dof[j]
        row[_ANGLE + j] = qpos[body.qpos[j]]
        row[_VELOCITY + j] = qvel[d]
        row[_MUSCLE + j] = actuator[d]
        limit = sensors[int(limits[j, 0])]
        if row[_ANGLE + j] > limits[j, 1]:
            limit = -limit
        row[_LIGAMENT + j] = passive[d] - work.exo_torque[j] + limit
        row[_EXO + j] = work.exo_torque[j]
    act = view(pointers[ACT], N_MUSCLES)
    ctrl = view(pointers[CTRL], N_MUSCLES)
    force = view(pointers[ACTUATOR_FORCE], N_MUSCLES)
    length = view(pointers[ACTUATOR_LENGTH], N_MUSCLES)
    velocity = view(pointers[ACTUATOR_VELOCITY], N_MUSCLES)
    for m in range(N_MUSCLES):
        p = body.muscle[m]
        fibre = (length[m] - p[1]) / p[0]
        row[_ACTIVATION + m] = act[m]
        row[_EXCITATION + m] = ctrl[m]
        row[_FORCE + m] = -force[m]
        row[_ACTIVE + m] = (
            act[m] * p[2] * force_length(fibre, p[3], p[4]) * force_velocity(velocity[m] / (p[0] * p[5]), p[7])
        )
        row[_FIBRE + m] = fibre
        row[_FIBRE_VELOCITY + m] = velocity[m]
    read_ground(pointers, body, row)
    for i in range(7):
        row[_PELVIS + i] = qpos[i]
    for i in range(6):
        row[_PELVIS + 7 + i] = qvel[i]
    row[_PHASE] = state[PHASE]
    row[_SPEED] = state[WANTED]
    if body.still:
        # The seat is the model's last body; what lies on it, not the pelvis, which the device hangs on as well.
        row[_SEAT] = -view(pointers[CFRC_EXT], 6 * body.nbody)[6 * body.nbody - 1]
        row[_POSTURE] = mode_number(state)


@compiled
def read_imus(functions: Any, pointers: Any, body: Any, imus: Any, acc: Any, gyro: Any) -> None:
    """Specific force (m/s^2) and angular velocity (rad/s) at the mounts of the IMUs, (n_sites, 3) each.

    imus: (n_sites, 6) addresses among the model's sensors. Forces must belong to the state, as for `read_truth`.
    """
    if len(imus) == 0:
        return
    for function in (RNE_POST_CONSTRAINT, SENSOR_VEL, SENSOR_ACC):
        call(functions[function], pointers[MODEL], pointers[DATA])
    sensors = view(pointers[SENSORDATA], body.nsensor)
    for s in range(len(imus)):
        for k in range(3):
            acc[s, k] = sensors[imus[s, k]]
            gyro[s, k] = sensors[imus[s, 3 + k]]


@compiled
def _underfoot(terrain: Any, positions: Any, frames: Any, calcn: int, toes: int) -> float:
    """x of the ground that is nearest below the heel, the ball or the tip of the toes, or below an edge beside them."""
    found, least = positions[3 * calcn], np.inf
    for body, ahead in ((calcn, 0.0), (toes, 0.0), (toes, TOE_TIP)):
        z = positions[3 * body + 2] + ahead * frames[9 * body + 6]
        for beside in (0.0, -FOOT_RADIUS, FOOT_RADIUS):
            x = positions[3 * body] + ahead * frames[9 * body] + beside
            clearance = z - ground_height(terrain, x)
            if 0.0 < clearance < least:
                found, least = x, clearance
    return float(found)


@compiled
def read_ground(pointers: Any, body: Any, row: Any) -> None:
    """Ground reaction force, its centre of pressure in the world and in the foot's frame, and its free moment.

    MuJoCo gives the contact wrench about the whole body's centre of mass c. The centre of pressure is the point of the
    surface under the foot (normal n) about which the moment M0 + c0 x F has no part along the surface: from a point p0
    of the surface it lies at n x M0 / (F . n). The free moment is that about the vertical through it.
    """
    external = view(pointers[CFRC_EXT], 6 * body.nbody)
    centre = view(pointers[SUBTREE_COM], 3 * body.nbody)[3 * ROOT_BODY : 3 * ROOT_BODY + 3]
    positions = view(pointers[XPOS], 3 * body.nbody)
    frames = view(pointers[XMAT], 9 * body.nbody)
    for side in range(2):
        calcn, toes = body.calcn[side], body.toes[side]
        mx = external[6 * calcn] + external[6 * toes]
        my = external[6 * calcn + 1] + external[6 * toes + 1]
        mz = external[6 * calcn + 2] + external[6 * toes + 2]
        fx = external[6 * calcn + 3] + external[6 * toes + 3]
        fy = external[6 * calcn + 4] + external[6 * toes + 4]
        fz = external[6 * calcn + 5] + external[6 * toes + 5]
        row[_GRF + 3 * side], row[_GRF + 3 * side + 1], row[_GRF + 3 * side + 2] = fx, fy, fz
        if fz < CONTACT_THRESHOLD:
            row[_COP + 2 * side], row[_COP + 2 * side + 1] = np.nan, np.nan
            row[_FOOT_COP + 2 * side], row[_FOOT_COP + 2 * side + 1] = 0.0, 0.0
            row[_FREE + side] = 0.0
            continue
        x = _underfoot(body.terrain, positions, frames, calcn, toes)
        y, z = centre[1], ground_height(body.terrain, x)
        for _ in range(3):
            # A foot may stand on both sides of a crease: the surface that counts is the one at the centre of pressure,
            # but the force's line may well pass through a tread beside the foot's.
            if abs(ground_height(body.terrain, x) - z) > CREASE:
                break
            z, slope = ground_height(body.terrain, x), ground_slope(body.terrain, x)
            up, side_to_side = centre[2] - z, centre[0] - x
            # Moment about (x, centre y, z), then the step along the surface with n ~ (-slope, 0, 1).
            ox, oy = mx - up * fy, my + up * fx - side_to_side * fz
            oz = mz + side_to_side * fy
            press = fz - slope * fx
            y = centre[1] + (ox + slope * oz) / press
            x, z = x - oy / press, z - slope * oy / press
        row[_COP + 2 * side], row[_COP + 2 * side + 1] = x, y
        row[_FREE + side] = mz + (centre[0] - x) * fy - (centre[1] - y) * fx
        r = frames[9 * calcn : 9 * calcn + 9]
        dx = x - positions[3 * calcn]
        dy = y - positions[3 * calcn + 1]
        dz = z - positions[3 * calcn + 2]
        row[_FOOT_COP + 2 * side] = r[0] * dx + r[3] * dy + r[6] * dz
        row[_FOOT_COP + 2 * side + 1] = -(r[2] * dx + r[5] * dy + r[8] * dz)
