"""Builds the cells of the walking reference: every speed, slope, stair and transition, fitted to this body.

Run ``python -m exotwin.sim.gait_cells``; it writes ``assets/gait/walk.npz`` in a few minutes.
"""

from __future__ import annotations

import copy
from concurrent.futures import ProcessPoolExecutor
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from .fit_body import FitBody
from .gait_targets import PUBLISHED_SCALE, heel_from_edge, stairs, walking
from .motion import Motion, Targets
from .motion_fit import MotionFit
from .motion_splines import HALF, FloatArray, Splines
from .person import FOOT_RADIUS
from .reference import CHANNELS, cell_of

# Published speeds (m/s) and their names; the first two bend the slowest published walk.
SPEEDS = (0.45, 0.65, 0.84, 1.20, 1.49, 1.95)
CONDITIONS = ("very_slow", "very_slow", "very_slow", "free", "medium", "fast")
SLOPES = (-10.0, -5.0, 0.0, 5.0, 10.0)  # deg
RISES = (0.125, 0.165, 0.205)  # m, of the source's size
TREADS = (0.25, 0.29, 0.34)  # m
MIDDLE = SPEEDS.index(1.20)  # a comfortable speed: fits begin there
APPROACH = 0  # index of the speed at which stairs are met and left
KNOTS = 24


def start_pose(body: FitBody, t: Targets) -> FloatArray:
    """(HALF + 1, 18) the target angles, the pelvis high enough for the lower foot to rest."""
    q = np.zeros((HALF + 1, 18))
    q[:HALF, :6], q[:HALF, 6:] = t.root, t.angles
    for s in range(HALF):
        phase = s / HALF
        q[s, 0] = phase * t.lengths[1]
        lowest = body.kinematics(q[s])[:, :5, 2].min(axis=1) - FOOT_RADIUS
        # On stairs the trailing foot hangs lower or higher: the leading foot, which carries, decides there.
        q[s, 2] = -(lowest[0] if t.rise != (0.0, 0.0) else lowest.min())
    q[HALF] = mirrored(q[0])
    q[HALF, 0] += t.lengths[1]
    q[HALF, 2] += t.rise[1]
    if t.slope:
        q[:, 2] += q[:, 0] * np.tan(t.slope)
    _expect_root(t, q)
    return q


def _expect_root(t: Targets, q: FloatArray) -> None:
    """Make the pelvis' place in q (HALF + 1, 18), less the even way and climb, what the targets expect."""
    even = np.arange(HALF) / HALF
    t.root[:, 0] = q[:HALF, 0] - even * t.lengths[1]
    t.root[:, 2] = np.mean(q[:HALF, 2] - even * (t.rise[1] + t.lengths[1] * np.tan(t.slope)))


def mirrored(q: FloatArray) -> FloatArray:
    """Coordinates (..., 18) with the legs exchanged."""
    sign = np.array([1, -1, 1, 1, -1, -1])
    return np.concatenate([q[..., :6] * sign, q[..., 12:], q[..., 6:12]], axis=-1)


def fit_periodic(body: FitBody, t: Targets, like: Motion | None = None) -> Motion:
    """The steady gait of these targets, sought from a neighbouring one if there is one.

    From the bare targets the search ends, for some gaits, in one whose stance foot hops forward.
    """
    start = start_pose(body, t)
    if like is not None:
        start = like.q.copy()
        start[:, 0] *= t.lengths[1] / like.length
        start[:, 2] += (np.tan(t.slope) - like.slope) * start[:, 0]
        start[:, 2] += (t.rise[1] - like.rise) * np.linspace(0.0, 1.0, HALF + 1)
        _expect_root(t, start)
    return MotionFit(body, t, Splines(t.half_time, KNOTS)).solve(start, iterations=60)


def fit_between(body: FitBody, before: Motion, after: Motion, like: Targets, length: float, rise: tuple[float, float],
                half_time: float) -> Motion:  # fmt: skip
    """The half cycle that leads from the start of `before` to the end of `after`.

    like: targets whose scales and stair geometry are taken. length: to the next foothold, m.
    """
    t = copy.deepcopy(like)
    u = np.linspace(0.0, 1.0, HALF + 1)[:, None] ** 2 * (3 - 2 * np.linspace(0.0, 1.0, HALF + 1)[:, None])
    q = (1 - u) * before.q + u * after.q
    t.lengths, t.rise, t.half_time = (before.length, length), rise, half_time
    t.angles, t.moments = q[:HALF, 6:].copy(), ((1 - u) * before.moments + u * after.moments)[:HALF]
    t.root = q[:HALF, :6].copy()
    loads = ((1 - u)[:, :, None] * before.loads + u[:, :, None] * after.loads)[:HALF]
    t.forces = loads[:, :, [0, 2]]
    t.angle_scale, t.moment_scale = t.angle_scale * 1.5, t.moment_scale * 2.0
    # Rates by time are those of the neighbours, which may take another time over their half cycle.
    ends = (
        np.stack([before.q[0], before.dq[0], before.ddq[0]]),
        np.stack([after.q[-1], after.dq[-1], after.ddq[-1]]),
    )
    fit = MotionFit(body, t, Splines(half_time, KNOTS, ends))
    return fit.solve(q, iterations=40)


def _walk(slope: float, k: int, like: Motion | None) -> Motion:
    t = walking(SPEEDS[k] / np.sqrt(PUBLISHED_SCALE), CONDITIONS[k], slope)
    if like is None:
        t.landed = 0.0  # sought from afar, a heel held down ends in a toe walker
    if k < SPEEDS.index(0.84):
        # Slower than any published speed: shorter steps, so the angles are only a hint.
        t.angle_scale *= 1.5
        shrink = (SPEEDS[k] / 0.84) ** 0.5
        for j in (0, 6):
            mean = t.angles[:, [0, 6]].mean()
            t.angles[:, j] = mean + shrink * (t.angles[:, j] - mean)
    return fit_periodic(FitBody(), t, like)


def _outwards(first: Motion, slope: float, gentler: list[Motion] | None = None) -> list[Motion]:
    """Every speed on one slope, each sought from its neighbour in speed and from the gentler slope: the better one.

    first: the motion at a comfortable speed, where the search begins.
    """
    found = {MIDDLE: first}
    for k in [*range(MIDDLE - 1, -1, -1), *range(MIDDLE + 1, len(SPEEDS))]:
        neighbours = [found[k + 1 if k < MIDDLE else k - 1], *([gentler[k]] if gentler else [])]
        found[k] = min((_walk(slope, k, like) for like in neighbours), key=lambda motion: sum(motion.residual.values()))
    return [found[k] for k in range(len(SPEEDS))]


def _slopes(job: tuple[int, list[Motion]]) -> dict[float, list[Motion]]:
    """All slopes of one direction at every speed, each sought from the gentler one."""
    direction, gentler = job
    found = {}
    for slope in sorted((s for s in SLOPES if s * direction > 0), key=abs):
        gentler = found[slope] = _outwards(_walk(slope, MIDDLE, gentler[MIDDLE]), slope, gentler)
    return found


def _flights(job: tuple[int, float, Motion]) -> list[list[Motion]]:
    """First, cycle and last step of flights of every rise, the outer rises sought from the middle one."""
    direction, tread, level = job
    body, middle = FitBody(), RISES[len(RISES) // 2]
    found: dict[float, list[Motion]] = {}
    for rise in sorted(RISES, key=lambda r: abs(r - middle)):
        t = stairs(direction * rise, tread)
        cycle = fit_periodic(body, t, found[middle][1] if found else None)
        time = (cycle.half_time + level.half_time) / 2.0
        first = fit_between(body, level, cycle, t, tread, (0.0, direction * rise), time)
        last = fit_between(body, cycle, level, t, level.length, (direction * rise, 0.0), time)
        found[rise] = [first, cycle, last]
    return [found[rise] for rise in RISES]


def build(workers: int = 2) -> dict[str, FloatArray]:
    """All cells: walk (slopes, speeds), stairs (down and up, first-cycle-last, rises, treads), and their grids."""
    # Sought from afar and then from there with the heel held down, see `_walk`.
    levels = _outwards(_walk(0.0, MIDDLE, _walk(0.0, MIDDLE, None)), 0.0)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        walks = {0.0: levels}
        for found in pool.map(_slopes, [(-1, levels), (1, levels)]):
            walks |= found
        for slope in SLOPES:
            for speed, motion in zip(SPEEDS, walks[slope], strict=True):
                print(slope, speed, {n: round(v, 1) for n, v in motion.residual.items()}, flush=True)
        level = levels[APPROACH]
        jobs = [(d, tread, level) for d in (-1, 1) for tread in TREADS]
        flights = {}
        for job, by_rise in zip(jobs, pool.map(_flights, jobs), strict=True):
            for rise, motions in zip(RISES, by_rise, strict=True):
                flights[job[0], rise, job[1]] = motions
                for kind, motion in zip(("first", "cycle", "last"), motions, strict=True):
                    print(job[:2], rise, kind, {k: round(v, 1) for k, v in motion.residual.items()}, flush=True)
    walk = np.stack([cell_of(motion) for slope in SLOPES for motion in walks[slope]])
    order = [[[[flights[d, r, t][k] for t in TREADS] for r in RISES] for k in range(3)] for d in (-1, 1)]
    stair = np.array([[[[cell_of(m) for m in row] for row in kind] for kind in way] for way in order])
    stair_time = np.array([[[[m.half_time for m in row] for row in kind] for kind in way] for way in order])
    return {
        "walk": walk.reshape(len(SLOPES), len(SPEEDS), HALF + 1, CHANNELS),
        "walk_time": np.array([[motion.half_time for motion in walks[slope]] for slope in SLOPES]),
        "slopes": np.tan(np.deg2rad(SLOPES)),
        "speeds": np.array(SPEEDS) / np.sqrt(PUBLISHED_SCALE),
        "stairs": stair,
        "stairs_time": stair_time,
        "rises": np.array(RISES),
        "treads": np.array(TREADS),
        "heel_from_edge": np.array([[heel_from_edge(d, t) for t in TREADS] for d in (-1, 1)]),
    }


def main() -> None:
    """Build the shipped reference again."""
    target = Path(str(files("exotwin.assets"))) / "gait" / "walk.npz"
    cells: dict[str, Any] = {name: cell.astype(np.float32) for name, cell in build().items()}
    np.savez_compressed(target, **cells)
    print(f"wrote {target.name}")


if __name__ == "__main__":
    main()
