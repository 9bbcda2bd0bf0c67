"""Reflexes of balance, compiled: where the next foot goes sideways, and how a walker keeps to given footholds."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import compiled
from .gait_plan import STEEP, planned_x
from .posture_plan import SQUAT
from .reference import AHEAD, LEFT, LIST, PELVIS, PELVIS_SLOPE, TILT
from .state import AHEAD_BY, BOUND, GRADE, KIND, LANE, PHASE, RISE_NEXT, SPEED, STRIDE_TIME
from .subjects import GRAVITY

FLEXION, ADDUCTION, KNEE, DORSIFLEXION = 0, 1, 3, 4
# s: time constant of a body that falls over its foot, at the source's size: sqrt(leg length / g).
FALLING_TIME = 0.3
# Body weights of stance ankle torque per m that the capture point is ahead: of a walker who strides freely, and of one
# whose footholds are given, who has no other way to brake (chosen for the longest walks of an untrained-for-it policy).
ANKLE_FREE, ANKLE_BOUND = 0.3, 1.2
ANKLE_CROUCHED = 0.6  # of who strides freely on knees that do not straighten, and runs away with less (chosen likewise)
ANKLE_STANDING = 1.5  # of who stands, sits down or squats on both feet (chosen likewise)
# m that who squats counts itself ahead per rad of the trunk's lean, at the source's size: twice as far as the body's
# mass comes, as a lean is the beginning of a fall (chosen). Rises from a seat gain nothing by it.
TRUNK = 0.3
ENTRAINING, ENTRAINED = 6.0, 0.3  # 1/m that the clock quickens by where footholds are given, and the most (chosen)
# Where feet go freely the clock waits for the leading one: it runs at `WAITING` of its pace while that foot carries
# less than `LANDED` of the weight, until this part of the half cycle at the latest (chosen). Spinal rhythms wait for
# load so (Duysens & Pearson 1980, Brain Res 187:321; in a model of walking: Taga 1995, Biol Cybern 73:97).
WAITING, LANDED, LANDING = 0.25, 0.03, 0.06
# Sideways balance: m of foot placement per m/s of drift and per m beside the line, rad of stance hip per rad of lean.
SIDE_STEP, SIDE_RETURN, RIGHTING = 0.35, 0.2, 0.5
# rad of hip flexion, and half of the knee flexion, by which a swinging foot is lifted that its dorsiflexors cannot lift
# at all (chosen): steppage, what people with foot drop make up for it with (Ferrarin 2012, Gait Posture 35:131).
STEPPAGE = 0.15
# Steps answer to being beside the line up to what is walked in so many s and at least 0.2 m; of climbers and the
# impaired up to that: they fall when they step out more (chosen).
ASIDE, ASIDE_LEAST = 0.3, 0.2
# Times the steepness: feet go further out by, as who climbs stands on one leg for longer (chosen). On ramps it is the
# more the slower one climbs: of a drift at 0.8 m/s up 10 deg a step had left nearly all, now half
# (benchmarks/step_map.py). CLIMBING holds at `BRISK`, m/s at the source's size.
CLIMBING, DAWDLING, BRISK = 1.5, 10.0, 1.1


@compiled
def euler_angles(q: Any) -> tuple[float, float, float]:
    """Yaw, pitch (forward lean positive) and roll (to the right positive) of the root quaternion."""
    w, x, y, z = q[0], q[1], q[2], q[3]
    yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    pitch = np.arcsin(min(1.0, max(-1.0, 2 * (w * y - z * x))))
    roll = np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    return yaw, pitch, roll


@compiled
def _ahead(qpos: Any, qvel: Any, body: Any, state: Any, work: Any) -> tuple[float, float]:
    """How far (m) the pelvis is ahead of the plan, and how much further its surplus of speed carries it."""
    place = min(0.2, max(-0.2, qpos[0] - planned_x(state, work)))
    surplus = qvel[0] - work.reference[PELVIS_SLOPE + AHEAD] / state[STRIDE_TIME]
    return place, min(0.2, max(-0.2, FALLING_TIME * np.sqrt(body.scale) * surplus))


@compiled
def lands(body: Any, state: Any) -> bool:
    """Whether the leading foot of a walker who strides freely is due to land."""
    return bool(not body.still and state[BOUND] == 0.0 and 2.0 * state[PHASE] % 1.0 < LANDING)


@compiled
def entrain(qpos: Any, qvel: Any, body: Any, state: Any, work: Any) -> float:
    """Pace of the gait's clock over its own: it waits for the foot to land; where footholds are given it waits for the
    pelvis, or catches up."""
    if lands(body, state):
        leads = 0 if state[PHASE] < 0.5 else 1
        return WAITING if work.foot_force[leads, 2] < LANDED * GRAVITY * body.mass else 1.0
    if state[BOUND] == 0.0:
        return 1.0
    place, carried = _ahead(qpos, qvel, body, state, work)
    return 1.0 + min(ENTRAINED, max(-ENTRAINED, ENTRAINING * (place + carried)))


@compiled
def balance(qpos: Any, qvel: Any, body: Any, state: Any, work: Any, out: Any) -> None:
    """Shifts (rad) of the joints of the right and left leg, (2, 6), that keep a walker upright and on the way.

    The swinging foot is put further out the faster the body moves that way, and where it would be if the pelvis were
    level; the standing hip rights the pelvis (Yin 2007, ACM Trans Graph 26:105; people place their feet so: Wang &
    Srinivasan 2014, Biol Lett 10:20140405). Fore and aft the standing ankle moves the centre of pressure beyond the
    capture point (Hof 2008, Hum Mov Sci 27:112), which the leaning trunk takes along of who squats; where footholds
    are given, the swinging foot goes to its own although the pelvis is late or early. A foot that drops is lifted by
    hip and knee.
    """
    out[:] = 0.0
    weight = GRAVITY * body.mass
    place, carried = _ahead(qpos, qvel, body, state, work)
    ref = work.reference
    if body.still:
        trunk = TRUNK * body.scale if state[KIND] == SQUAT - 1 else 0.0
        _, pitch, _ = euler_angles(qpos[3:7])
        place += trunk * min(0.5, max(-0.5, pitch + ref[PELVIS + TILT]))
        tipping = qvel[4] + ref[PELVIS_SLOPE + TILT] / state[STRIDE_TIME]
        carried += trunk * FALLING_TIME * np.sqrt(body.scale) * min(2.0, max(-2.0, tipping))
        # Half of the load that is on the feet, for each; on a seat there is nothing to balance.
        load = 0.5 * min(weight, work.foot_force[0, 2] + work.foot_force[1, 2])
        for leg in range(2):
            shift = ANKLE_STANDING * (place + carried) * load / body.kp[leg * 6 + DORSIFLEXION]
            out[leg, DORSIFLEXION] = -shift
        return
    leg_length = 0.87 * body.scale
    _, _, roll = euler_angles(qpos[3:7])
    lean = min(0.3, max(-0.3, roll - ref[PELVIS + LIST]))
    drift = qvel[1] - ref[PELVIS_SLOPE + LEFT] / state[STRIDE_TIME]
    steepness = max(0.0, state[GRADE] + state[RISE_NEXT] / state[AHEAD_BY])
    most = ASIDE_LEAST
    if not body.impaired and steepness < STEEP:
        most = max(most, ASIDE * state[SPEED])
    aside = min(most, max(-most, qpos[1] - state[LANE] - ref[PELVIS + LEFT]))
    climbing = CLIMBING
    if state[BOUND] == 0.0:
        climbing = max(0.0, CLIMBING + DAWDLING * (BRISK - state[SPEED] / np.sqrt(body.scale)))
    outwards = SIDE_STEP * (1.0 + climbing * steepness)
    step = min(0.3, max(-0.3, outwards * drift + SIDE_RETURN * aside)) / leg_length
    if state[BOUND] > 0.0:
        to_foothold, torque = -place / leg_length, ANKLE_BOUND * (place + carried)
    else:
        to_foothold, torque = 0.0, (ANKLE_CROUCHED if body.contracted else ANKLE_FREE) * carried
    half = 2.0 * state[PHASE] % 1.0
    stands = min(1.0, half / 0.1)
    swings = min(1.0, max(0.0, (half - 0.1) / 0.15))
    leads = 0 if state[PHASE] < 0.5 else 1
    for leg in range(2):
        side = 1.0 if leg == 0 else -1.0
        if leg == leads:
            out[leg, ADDUCTION] = side * RIGHTING * lean
            stiffness = body.kp[leg * 6 + DORSIFLEXION]
            out[leg, DORSIFLEXION] = -stands * torque * weight / stiffness
        else:
            out[leg, ADDUCTION] = side * swings * (step - lean)
            out[leg, FLEXION] = swings * to_foothold
            out[leg, DORSIFLEXION] = -swings * to_foothold
            # Only a hip that is the stronger one makes up for the ankle.
            lifted = STEPPAGE * max(0.0, body.weakness[leg, 3] - body.weakness[leg, 0])
            lifted *= np.sin(np.pi * min(1.0, half / 0.9)) ** 2
            out[leg, FLEXION] += lifted
            out[leg, KNEE] += 2.0 * lifted
