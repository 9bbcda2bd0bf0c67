"""Where the next foot goes and what the reference says now: steps over level ground, ramps and stairs, compiled.

On level ground and ramps the walker strides freely and the plan follows; before stairs the steps are measured out so
that a foot stands at the first riser, and on stairs each foothold is a tread.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import compiled
from .contracture import give_way
from .posture_plan import refer_posture
from .reference import (
    AHEAD,
    ANGLE,
    CHANNELS,
    HEIGHT,
    LEFT,
    LIST,
    LOAD,
    MOMENT,
    N_JOINTS,
    PELVIS,
    PELVIS_SLOPE,
    ROTATION,
    ROWS,
    SLOPE,
)
from .state import (
    AHEAD_BY,
    BACK,
    BOUND,
    DIRECTION,
    EXCESS,
    FOOT_X,
    FOOT_Z,
    GRADE,
    GROUND,
    KIND,
    NEXT_SPEED,
    PHASE,
    RISE_BACK,
    RISE_NEXT,
    SPEED,
    STAIR_COUNT,
    STAIR_RISE,
    STAIR_TREAD,
    STEP,
    STRIDE_TIME,
    TRIM,
    WANTED,
)
from .terrain import COUNT, RISE, TREAD, X0, X1, Z0, ground_height

# Kinds of step: striding, and on stairs the step onto them, one of many, and the step off.
STRIDE, FIRST, CYCLE, LAST = 0, 1, 2, 3
SLOWING = 0.25  # m/s^2 at which the steps before stairs get slower (chosen)
STRETCHED = 1.3  # slowest steps, the most that a single step to stairs spans (chosen): a longer one is a quick one
ACCELERATION, BRAKING = 0.4, 0.6  # m/s^2, the most a walker changes speed by on the way (chosen)
STEEP = 0.05  # slope from which on one wholly climbs (chosen)
FOLLOW = 0.35  # m/s, how far the plan's speed may be from the body's (chosen): who is stopped does not stride out
# Times the slope: the plan is that much less ahead of who climbs and cannot keep up, and less behind who is fast on a
# slope: long slow steps would let the body run away from its feet (chosen).
SLOPING = 12.0
TRIMMED = 1.1  # of the slowest cell's speed; no correction of a lasting speed error plans slower (chosen: people fall)
SLOWEST = 0.6  # of the slowest cell's speed; strides do not get slower (chosen)
# m, from where steps are measured out to stairs on the level before them, and from where even on a ramp (chosen).
SIGHT, NEAR = 4.0, 2.0
BACK_LOOK, FRONT_LOOK = 0.25, 0.45  # m at the source's size: the slope underfoot is taken between these


@compiled
def _bracket(grid: Any, x: float) -> tuple[int, float]:
    """Index of the cell of a grid that holds x, and how far in x lies (0..1)."""
    last = len(grid) - 1
    i = 0
    while i < last - 1 and x > grid[i + 1]:
        i += 1
    if last == 0:
        return 0, 0.0
    return i, min(1.0, max(0.0, (x - grid[i]) / (grid[i + 1] - grid[i])))


@compiled
def _cells(body: Any, state: Any, index: Any, weight: Any) -> None:
    """The four cells around the present step and their weights."""
    if state[KIND] == STRIDE:
        rows, columns = body.slopes, body.speeds
        i, u = _bracket(rows, state[GRADE])
        j, w = _bracket(columns, state[SPEED])
        base = 0
    else:
        rows, columns = body.rises, body.treads
        i, u = _bracket(rows, abs(state[STAIR_RISE]))
        j, w = _bracket(columns, state[STAIR_TREAD])
        flight = (3 if state[DIRECTION] > 0.0 else 0) + int(state[KIND]) - FIRST
        base = len(body.slopes) * len(body.speeds) + flight * len(rows) * len(columns)
    n = len(columns)
    up = n if len(rows) > 1 else 0
    right = 1 if n > 1 else 0
    index[0] = base + i * n + j
    index[1] = index[0] + right
    index[2] = index[0] + up
    index[3] = index[0] + up + right
    weight[0], weight[1] = (1.0 - u) * (1.0 - w), (1.0 - u) * w
    weight[2], weight[3] = u * (1.0 - w), u * w


@compiled
def refer(body: Any, state: Any, work: Any) -> None:
    """The reference of this instant into work.reference (CHANNELS,), right leg first, and the stride's time."""
    out, index, weight = work.reference, work.cell, work.weight
    if body.still:
        refer_posture(body, state, out)
        return
    _cells(body, state, index, weight)
    leads = state[PHASE] < 0.5
    x = (2.0 * state[PHASE] % 1.0) * (ROWS - 1)
    k = min(ROWS - 2, int(x))
    u = x - k
    time = 0.0
    for c in range(CHANNELS):
        out[c] = 0.0
    for i in range(4):
        if weight[i] > 0.0:
            a, b = weight[i] * (1.0 - u), weight[i] * u
            row = body.cells[index[i]]
            for c in range(CHANNELS):
                out[c] += a * row[k, c] + b * row[k + 1, c]
            time += weight[i] * body.times[index[i]]
    state[STRIDE_TIME] = 2.0 * time
    if not leads:
        half = N_JOINTS // 2
        for block in (ANGLE, SLOPE, MOMENT):
            for j in range(half):
                out[block + j], out[block + half + j] = out[block + half + j], out[block + j]
        out[LOAD], out[LOAD + 2] = out[LOAD + 2], out[LOAD]
        out[LOAD + 1], out[LOAD + 3] = out[LOAD + 3], out[LOAD + 1]
        for lateral in (LIST, ROTATION, LEFT):
            out[PELVIS + lateral] = -out[PELVIS + lateral]
            out[PELVIS_SLOPE + lateral] = -out[PELVIS_SLOPE + lateral]
    if body.contracted:
        give_way(body.knee_limits, body.scale, out)


@compiled
def see_ground(body: Any, state: Any, x: float) -> None:
    """Height and slope of the ground that the reference stands on, for a pelvis at world x."""
    if state[KIND] != STRIDE:
        state[GROUND], state[GRADE] = state[FOOT_Z], 0.0
        return
    back, front = x - BACK_LOOK * body.scale, x + FRONT_LOOK * body.scale
    rows = body.terrain
    for i in range(len(rows)):
        # Stairs are met on level ground: what lies beyond them has no say.
        if rows[i, COUNT] > 0.0:
            if rows[i, X1] <= x:
                back = max(back, rows[i, X1])
            elif rows[i, X0] > x - 0.5 * body.scale:
                front = min(front, rows[i, X0] - 1e-6)
                break
    if front - back < 1e-3:
        back = front - 1e-3
    low, high = ground_height(rows, back), ground_height(rows, front)
    state[GRADE] = (high - low) / (front - back)
    state[GROUND] = low + state[GRADE] * (x - back)


@compiled
def stride_length(body: Any, speed: float) -> float:
    """Length of a step on level ground at a speed, m."""
    i, _ = _bracket(body.slopes, 0.0)
    level = i if body.slopes[i] == 0.0 else i + 1
    j, w = _bracket(body.speeds, speed)
    n = len(body.speeds)
    k = j + 1 if n > 1 else j
    slow, fast = body.speeds[j] * body.times[level * n + j], body.speeds[k] * body.times[level * n + k]
    length = (1.0 - w) * slow + w * fast
    # Below the slowest cell steps shorten at its pace.
    return float(length * min(1.0, speed / body.speeds[0]))


@compiled
def _planned_length(body: Any, state: Any) -> float:
    """Length of the present stride, m: that of the cells it is mixed from, so that the pelvis does not jump."""
    index, weight = np.empty(4, dtype=np.int64), np.empty(4)
    _cells(body, state, index, weight)
    length = 0.0
    for i in range(4):
        length += weight[i] * body.speeds[index[i] % len(body.speeds)] * body.times[index[i]]
    return float(length * min(1.0, state[SPEED] / body.speeds[0]))


@compiled
def _speed_of(body: Any, length: float) -> float:
    """Speed at which steps on level ground have this length."""
    low, high = 0.2 * body.speeds[0], body.speeds[-1]
    for _ in range(20):
        middle = 0.5 * (low + high)
        if stride_length(body, middle) < length:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@compiled
def _stairs_ahead(body: Any, x: float) -> int:
    """Index of the next stairs whose first riser lies ahead of x, in sight on this level, or near; -1 for none."""
    rows = body.terrain
    for i in range(len(rows)):
        if rows[i, COUNT] > 0.0 and rows[i, X0] > x:
            level = abs(ground_height(rows, x) - rows[i, Z0]) < 0.01
            return i if rows[i, X0] - x < (SIGHT if level else NEAR) else -1
    return -1


@compiled
def _heel_place(body: Any, row: Any) -> float:
    """World x of the heel before the first riser, as if a tread lay there."""
    j, w = _bracket(body.treads, row[TREAD])
    up = 1 if row[RISE] > 0.0 else 0
    ahead = (1.0 - w) * body.heel_from_edge[up, j] + w * body.heel_from_edge[up, j + 1]
    return float(row[X0] - row[TREAD] + ahead)


@compiled
def _enter(state: Any, row: Any) -> None:
    state[DIRECTION] = 1.0 if row[RISE] > 0.0 else -1.0
    state[FOOT_Z] = row[Z0]
    state[STAIR_RISE], state[STAIR_TREAD], state[STAIR_COUNT] = row[RISE], row[TREAD], row[COUNT]
    state[BOUND] = 1.0


@compiled
def shape(body: Any, state: Any) -> None:
    """Distances and rises of the present step from its kind."""
    kind = state[KIND]
    if kind == STRIDE:
        state[AHEAD_BY] = _planned_length(body, state)
        state[RISE_NEXT] = 0.0
    elif kind == LAST:
        state[AHEAD_BY], state[RISE_NEXT] = stride_length(body, body.speeds[0]), 0.0
    else:
        state[AHEAD_BY], state[RISE_NEXT] = state[STAIR_TREAD], state[STAIR_RISE]


@compiled
def _measured_out(body: Any, fastest: float, distance: float) -> tuple[float, float]:
    """Length of the next of the slowing steps to a place ahead (m), and what it is stretched by so that they fit."""
    slow = body.speeds[0]
    shortest = stride_length(body, slow)
    first, gone = 0.0, 0.0
    while True:
        left = distance - gone
        speed = min(fastest, np.sqrt(slow * slow + 2.0 * SLOWING * max(0.0, left - shortest)))
        length = stride_length(body, speed)
        if first == 0.0:
            first = length
        # Steps shrink rather than stretch.
        elif left < 0.35 * length and (gone > first or distance < STRETCHED * shortest):
            return first, distance / gone
        gone += length


@compiled
def climbing(state: Any) -> float:
    """How far one climbs (0..1): wholly from the slope `STEEP` on."""
    return min(1.0, max(0.0, state[GRADE]) / STEEP)


@compiled
def _choose_speed(body: Any, state: Any, lag: float) -> None:
    """Speed of the coming stride; measured out before stairs. May turn the stride into the first step on them."""
    slowest, fastest = SLOWEST * body.speeds[0], body.speeds[-1]
    trim = state[TRIM]
    if trim < 0.0:
        # Who climbs a little too fast does not plan slower than is asked, for the same reason.
        trim *= 1.0 - climbing(state)
    trimmed = max(state[WANTED] + trim, min(state[WANTED], TRIMMED * body.speeds[0]))
    wanted = min(fastest, max(slowest, trimmed))
    time = stride_length(body, state[SPEED]) / state[SPEED]
    speed = min(max(wanted, state[SPEED] - BRAKING * time), state[SPEED] + ACCELERATION * time)
    ahead = FOLLOW / (1.0 + SLOPING * max(0.0, state[GRADE]))
    behind = FOLLOW / (1.0 + SLOPING * abs(state[GRADE]))
    # What the body would make of a plan that stayed as it is: who brakes as planned is not too fast.
    kept = state[SPEED] + state[EXCESS]
    speed = min(max(speed, kept - behind), kept + ahead)
    speed = min(fastest, max(slowest, speed))
    free = state[BOUND] == 0.0
    state[BOUND] = 0.0
    i = _stairs_ahead(body, state[FOOT_X] - 0.05)
    if i >= 0:
        if free:
            # Steps are measured out from where one is: who makes up for a lasting lag at once stumbles.
            state[FOOT_X] -= lag
        row = body.terrain[i]
        slow = body.speeds[0]
        distance = _heel_place(body, row) - state[FOOT_X]
        if distance < 0.35 * stride_length(body, slow):
            state[FOOT_X] += distance
            state[KIND], state[STEP] = FIRST, 0.0
            _enter(state, row)
            state[SPEED] = state[NEXT_SPEED] = slow
            return
        length, factor = _measured_out(body, max(speed, slow), distance)
        state[BOUND] = 1.0
        speed = _speed_of(body, factor * length)
    state[NEXT_SPEED] = speed


@compiled
def next_step(body: Any, state: Any, lag: float) -> None:
    """A foot has landed: it leads now. Choose the step that follows. lag: m that the pelvis is behind the plan."""
    if state[KIND] == STRIDE:
        state[AHEAD_BY] = _planned_length(body, state)
    state[FOOT_X] += state[AHEAD_BY]
    state[FOOT_Z] += state[RISE_NEXT]
    state[BACK], state[RISE_BACK] = state[AHEAD_BY], state[RISE_NEXT]
    if state[KIND] == FIRST or state[KIND] == CYCLE:
        state[STEP] += 1.0
        state[KIND] = CYCLE if state[STEP] < state[STAIR_COUNT] else LAST
    else:
        if state[KIND] == LAST:
            state[KIND], state[SPEED] = STRIDE, body.speeds[0]
        _choose_speed(body, state, lag)
    shape(body, state)


@compiled
def start_at(body: Any, state: Any, x: float) -> None:
    """Begin with the leading heel's foothold near world x: on the nearest tread, or striding."""
    state[FOOT_X], state[KIND], state[BOUND] = x, STRIDE, 0.0
    state[NEXT_SPEED] = state[SPEED]
    if body.still:
        return
    state[SPEED] = state[NEXT_SPEED] = max(state[SPEED], SLOWEST * body.speeds[0])
    rows = body.terrain
    reach = stride_length(body, state[SPEED])
    for i in range(len(rows)):
        row = rows[i]
        if row[COUNT] > 0.0:
            place = _heel_place(body, row)
            # A step more on either side, or a swinging foot would begin inside a riser.
            if place - reach < x < place + row[COUNT] * row[TREAD] + reach:
                step = min(max(np.floor((x - place) / row[TREAD] + 0.5), 0.0), row[COUNT])
                _enter(state, row)
                state[STEP] = step
                state[KIND] = FIRST if step == 0.0 else (CYCLE if step < row[COUNT] else LAST)
                state[FOOT_X] = place + step * row[TREAD]
                state[SPEED] = state[NEXT_SPEED] = body.speeds[0]
    state[FOOT_Z] = ground_height(rows, state[FOOT_X])
    on_stairs = state[KIND] == CYCLE or state[KIND] == LAST
    state[RISE_BACK] = state[STAIR_RISE] if on_stairs else 0.0
    state[BACK] = state[STAIR_TREAD] if on_stairs else stride_length(body, state[SPEED])


@compiled
def planned_x(state: Any, work: Any) -> float:
    """World x of the pelvis that the plan asks for now; work.reference belongs to this instant."""
    return float(state[FOOT_X] + work.reference[PELVIS + AHEAD])


@compiled
def planned(body: Any, state: Any, work: Any) -> tuple[float, float]:
    """World x and z of the pelvis that the plan asks for now; work.reference belongs to this instant."""
    return planned_x(state, work), state[GROUND] + work.reference[PELVIS + HEIGHT]
