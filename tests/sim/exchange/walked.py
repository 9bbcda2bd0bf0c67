"""A short device-free walk for the tests of export, and its free moments from the contacts."""

from __future__ import annotations

import mujoco
import numpy as np
from exotwin.sim.plant import Plant
from exotwin.sim.recording import Recording
from exotwin.sim.runlog import RunLog
from exotwin.sim.subjects import Subject
from exotwin.sim.truth import BLOCKS


def walk(seconds: float, rate_hz: float, speed: float = 1.25, seed: int = 1) -> tuple[Recording, np.ndarray]:
    """Level walking until `seconds` or a fall, and the free moments of both feet, (n, 2)."""
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
    return log.recording("level_walk", "none", seed), np.array(free)


def free_moment(plant: Plant, side: int) -> float:
    """Moment of the ground about the vertical through a foot's centre of pressure, from its single contacts, Nm."""
    model, data, body = plant.person.model, plant.person.data, plant.person.body
    start = BLOCKS["cop"][0] + 2 * side
    cop = plant.row[start : start + 2]
    moment, force = 0.0, np.zeros(6)
    for i in range(data.ncon if np.isfinite(cop).all() else 0):
        contact = data.contact[i]
        if model.geom_bodyid[contact.geom2] not in (body.calcn[side], body.toes[side]):
            continue
        mujoco.mj_contactForce(model, data, i, force)
        x, y, _ = contact.frame.reshape(3, 3).T @ force[:3]  # on the second geom, in the world
        moment += (contact.pos[0] - cop[0]) * y - (contact.pos[1] - cop[1]) * x
    return float(moment)
