"""A short device-free walk for the tests of export, with the free moments that a recording does not keep."""

from __future__ import annotations

import numpy as np
from exotwin.sim.plant import Plant
from exotwin.sim.recording import Recording
from exotwin.sim.runlog import RunLog
from exotwin.sim.subjects import Subject
from exotwin.sim.truth import BLOCKS


def walk(seconds: float, rate_hz: float, speed: float = 1.25, seed: int = 1) -> Recording:
    """Level walking until `seconds` or a fall."""
    plant = Plant(Subject(), None, control_rate_hz=rate_hz)
    log = RunLog(plant, seconds)
    plant.reset(speed, np.random.default_rng(seed), phase=0.0)
    free = []
    for _ in range(round(seconds * rate_hz)):
        log.add(None)
        free.append([free_moment(plant, side) for side in range(2)])
        plant.step()
        if plant.fallen:
            break
    recording = log.recording("level_walk", "none", seed)
    for i, side in enumerate("rl"):
        recording.columns[f"free_moment/{side}"] = np.array(free)[:, i]
    return recording


def free_moment(plant: Plant, side: int) -> float:
    """Moment of the ground about the vertical through a foot's centre of pressure, from MuJoCo's contact wrench, Nm."""
    data, body = plant.person.data, plant.person.body
    start = BLOCKS["cop"][0] + 2 * side
    cop = plant.row[start : start + 2]
    if not np.isfinite(cop).all():
        return 0.0
    wrench = data.cfrc_ext[body.calcn[side]] + data.cfrc_ext[body.toes[side]]  # about the whole body's centre of mass
    arm, force = data.subtree_com[1][:2] - cop, wrench[3:]
    return float(wrench[2] + arm[0] * force[1] - arm[1] * force[0])
