"""Reflexes of balance, compiled: where the next foot goes sideways, and how a walker keeps to given footholds."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import compiled
from .gait_plan import planned_x
from .reference import LEFT, LIST, PELVIS, PELVIS_SLOPE
from .state import BOUND, LANE, PHASE, STRIDE_TIME

FLEXION, ADDUCTION, DORSIFLEXION = 0, 1, 4
ENTRAINING = 2.0  # 1/m, how much the clock slows for a pelvis behind the plan (chosen)
# Sideways balance: m of foot placement per m/s of drift and per m beside the line, rad of stance hip per rad of lean.
SIDE_STEP, SIDE_RETURN, RIGHTING = 0.3, 0.1, 0.5  # 0.3 s is the time constant of a leg's inverted pendulum


@compiled
def euler_angles(q: Any) -> tuple[float, float, float]:
    """Yaw, pitch (forward lean positive) and roll (to the right positive) of the root quaternion."""
    w, x, y, z = q[0], q[1], q[2], q[3]
    yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    pitch = np.arcsin(min(1.0, max(-1.0, 2 * (w * y - z * x))))
    roll = np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    return yaw, pitch, roll


@compiled
def _late(state: Any, x: float, work: Any) -> float:
    """How far (m) the pelvis is behind the plan where the footholds are given, 0 where the walker strides freely."""
    if state[BOUND] == 0.0:
        return 0.0
    return float(min(0.2, max(-0.2, planned_x(state, work) - x)))


@compiled
def entrain(state: Any, x: float, work: Any) -> float:
    """Pace of the gait's clock over its own: where footholds are given it waits for the pelvis, or catches up."""
    return 1.0 - min(0.3, max(-0.3, ENTRAINING * _late(state, x, work)))


@compiled
def balance(qpos: Any, qvel: Any, body: Any, state: Any, work: Any, out: Any) -> None:
    """Shifts (rad) of the joints of the right and left leg, (2, 6), that keep a walker upright and on the way.

    The swinging foot is put further out the faster the body moves that way, and where it would be if the pelvis were
    level; the standing hip rights the pelvis (Yin 2007, ACM Trans Graph 26:105; people place their feet so: Wang &
    Srinivasan 2014, Biol Lett 10:20140405). Where footholds are given, the swinging foot goes to its own although the
    pelvis is late or early, and the standing leg moves the pelvis on.
    """
    out[:] = 0.0
    if body.still:
        return
    ref = work.reference
    leg_length = 0.87 * body.scale
    _, _, roll = euler_angles(qpos[3:7])
    lean = min(0.3, max(-0.3, roll - ref[PELVIS + LIST]))
    drift = qvel[1] - ref[PELVIS_SLOPE + LEFT] / state[STRIDE_TIME]
    aside = min(0.2, max(-0.2, qpos[1] - state[LANE] - ref[PELVIS + LEFT]))
    step = min(0.3, max(-0.3, SIDE_STEP * drift + SIDE_RETURN * aside)) / leg_length
    late = _late(state, qpos[0], work) / leg_length
    leads = 0 if state[PHASE] < 0.5 else 1
    swings = min(1.0, max(0.0, (2.0 * state[PHASE] % 1.0 - 0.1) / 0.15))
    for leg in range(2):
        side = 1.0 if leg == 0 else -1.0
        if leg == leads:
            out[leg, ADDUCTION] = side * RIGHTING * lean
            out[leg, FLEXION], out[leg, DORSIFLEXION] = -late, late
        else:
            out[leg, ADDUCTION] = side * swings * (step - lean)
            out[leg, FLEXION] = swings * late
