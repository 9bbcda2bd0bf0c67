"""Which posture a person who does not walk is in, and the movements between postures, compiled.

There is one path from standing down to each low posture: the reference cell of the rise from it, passed forwards in
rising and backwards in going down. KIND says which path, PHASE where on it (0 low, `TOP` standing), DIRECTION whether
the person rises (1), goes down (-1) or holds still (0), GOAL what is asked. Both legs do the same.
"""

from __future__ import annotations

from typing import Any

from .compiled import compiled
from .reference import ANGLE, CHANNELS, HEIGHT, N_JOINTS, PELVIS, PELVIS_SLOPE, ROWS, SLOPE
from .state import DIRECTION, GOAL, KIND, PHASE, STRIDE_TIME
from .subjects import GRAVITY

POSTURES = ("stand", "sit", "squat")
STAND, SIT, SQUAT = 0, 1, 2
# Paths, in the order of the reference's cells: the low posture's number less one.
TOP = 0.5 - 1e-9
# What the recording calls it, by `mode_number`. A movement's name stays until the next one begins.
POSTURE_MODES = ("stand", "sit_to_stand", "stand_to_sit", "squat")


@compiled
def start_posture(state: Any, start: int, goal: int, share: float) -> None:
    """Begin in posture `start`, asked for `goal`, after this share (0..1) of the way to the next posture."""
    state[GOAL] = goal
    if start == goal:
        state[KIND], state[DIRECTION] = max(0, start - 1), 0.0
        state[PHASE] = TOP if start == STAND else 0.0
    elif start == STAND:
        state[KIND], state[DIRECTION], state[PHASE] = goal - 1, -1.0, TOP * (1.0 - share)
    else:
        state[KIND], state[DIRECTION], state[PHASE] = start - 1, 1.0, TOP * share


@compiled
def move_posture(state: Any, dt: float) -> None:
    """Move on by dt (s, of the person's own pace): a movement goes to its end, then the next one may begin."""
    state[PHASE] += state[DIRECTION] * dt / state[STRIDE_TIME]
    if state[PHASE] >= TOP:
        state[PHASE] = TOP
        state[DIRECTION] = 0.0 if state[GOAL] == STAND else -1.0
        if state[GOAL] != STAND:
            state[KIND] = state[GOAL] - 1.0
    elif state[PHASE] <= 0.0:
        state[PHASE] = 0.0
        state[DIRECTION] = 0.0 if state[GOAL] == state[KIND] + 1.0 else 1.0


@compiled
def refer_posture(body: Any, state: Any, out: Any) -> None:
    """The reference of this instant into out (CHANNELS,), and twice the movement's time as the stride's."""
    kind = int(state[KIND])
    row = body.cells[kind]
    x = min(1.0, 2.0 * state[PHASE]) * (ROWS - 1)
    k = min(ROWS - 2, int(x))
    u = x - k
    for c in range(CHANNELS):
        out[c] = (1.0 - u) * row[k, c] + u * row[k + 1, c]
    for j in range(N_JOINTS):
        out[SLOPE + j] *= state[DIRECTION]
    for c in range(6):
        out[PELVIS_SLOPE + c] *= state[DIRECTION]
    state[STRIDE_TIME] = 2.0 * body.times[kind]


@compiled
def see_posture(body: Any, state: Any, reference: Any, seat_force: float, out: Any) -> None:
    """What a person who does not walk sees in place of the way ahead: the posture, the movement and the seat's load.

    out: the observation (N_OBSERVATIONS,), whose slots on speed, slope, steps and ground are free.
    """
    out[12] = state[DIRECTION]
    for i, j in enumerate((0, 3, 4)):
        out[57 + i] = reference[ANGLE + j]
    out[60] = 2.0 * reference[PELVIS + HEIGHT] / body.scale
    out[61] = state[KIND]
    out[62] = 2.0 * state[PHASE]
    out[63] = seat_force / (GRAVITY * body.mass)
    for i, j in enumerate((0, 3, 4)):
        out[64 + i] = reference[SLOPE + j] / state[STRIDE_TIME]


@compiled
def mode_number(state: Any) -> int:
    """Which of `POSTURE_MODES` the present instant belongs to."""
    if state[PHASE] >= TOP and state[DIRECTION] == 0.0:
        return 0
    if state[KIND] == SQUAT - 1:
        return 3
    return 1 if state[DIRECTION] > 0.0 else 2
