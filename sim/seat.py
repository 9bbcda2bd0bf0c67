"""The seat behind a person who can sit: a box that only the ischia touch, at the height of that person's own knees.

It is in models of people who sit (`Reference.still`) and in no other, so walking knows nothing of it.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..controllers.device import SIDES
from .person import FOOT_RADIUS
from .posture_plan import SIT
from .reference import AHEAD, ANGLE, HEIGHT, N_JOINTS, PELVIS, PELVIS_SLOPE, ROWS, TILT
from .subjects import Subject

FloatArray = NDArray[np.float64]

# Ischial tuberosity with the soft tissue below it, in the right half of the pelvis at the source's size, m: on the
# source's pelvis bone the tuberosity lies 60 mm below and 15-30 mm behind the hip; tissue of 20 mm is chosen.
ISCHIUM = np.array([-0.085, -0.105, 0.055])
ISCHIUM_RADIUS = 0.04
SINK = 0.003  # m that soles sink in while they carry (see CONTACT)
# Buttocks and cushion give way by this much under the whole body weight, m, and under who sits on them; chosen.
CUSHION, SEATED = 0.02, 0.015
FRONT, DEPTH, BREADTH = 0.11, 0.42, 0.50  # m: front edge ahead of the ischia, seat's depth and breadth; chosen
THICKNESS = 0.05
# The soft contact that gives CUSHION.
SURFACE: dict[str, Any] = {
    "condim": 3,
    "friction": [0.9, 0.005, 0.0001],
    "solref": [0.077, 1.0],
    "solimp": [0.5, 0.5, 0.001, 0.5, 2.0],
}
SEAT_BIT = 2  # of contype and conaffinity: what touches the seat and nothing else


def add_seat(spec: mujoco.MjSpec, subject: Subject) -> None:
    """A pair of contact spheres at the ischia, and a seat out of reach until `place_seat` moves it."""
    pelvis = spec.body("pelvis")
    for side in SIDES:
        sideways = subject.pelvis_scale * (1.0 if side == "r" else -1.0)
        pelvis.add_geom(
            name=f"ischium_{side}",
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=[ISCHIUM_RADIUS * subject.scale, 0, 0],
            pos=ISCHIUM * [subject.scale, subject.scale, sideways],
            mass=0.0,
            contype=SEAT_BIT,
            conaffinity=0,
            group=3,
            **SURFACE,
        )
    add_seat_box(spec)


def add_seat_box(spec: mujoco.MjSpec) -> None:
    """A body ``seat`` whose origin is the middle of where the ischia rest, out of reach.

    It is a body of its own because MuJoCo's tree of boxes is made once, in each body's frame.
    """
    seat = spec.worldbody.add_body(name="seat", pos=[0.0, 0.0, -10.0])
    seat.add_geom(
        name="seat",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[DEPTH / 2.0, BREADTH / 2.0, THICKNESS / 2.0],
        pos=[FRONT - DEPTH / 2.0, 0.0, -THICKNESS / 2.0],
        mass=0.0,
        contype=0,
        conaffinity=SEAT_BIT,
        rgba=[0.55, 0.42, 0.30, 1],
        **SURFACE,
    )


def _pose(model: mujoco.MjModel, data: Any, body: Any, row: FloatArray) -> None:
    """Joints and pelvis of a reference row (CHANNELS,), the heel's foothold at x = 0."""
    mujoco.mj_resetData(model, data)
    tilt = row[PELVIS + TILT]
    data.qpos[:7] = row[PELVIS + AHEAD], 0.0, row[PELVIS + HEIGHT], np.cos(tilt / 2.0), 0.0, -np.sin(tilt / 2.0), 0.0
    data.qpos[body.qpos] = row[ANGLE : ANGLE + N_JOINTS]
    mujoco.mj_kinematics(model, data)


def stand_on_feet(model: mujoco.MjModel, data: Any, body: Any) -> None:
    """Let the pelvis of the reference go where this body's own thighs and shanks put it above flat soles that stay put.

    body: the person's `Body`, whose cells are changed. Scaling alone is right for straight legs only.
    """
    soles = [model.geom(f"{part}_r_sole{i}").id for part, count in (("calcn", 5), ("toes", 2)) for i in range(count)]
    for cell in body.cells:
        moved = np.zeros((ROWS, 2))
        for k, row in enumerate(cell):
            _pose(model, data, body, row)
            sole: FloatArray = np.array(data.geom_xpos)[soles]
            moved[k] = -np.mean(sole[:2, 0]), FOOT_RADIUS - SINK - np.min(sole[:5, 2])
        rate: FloatArray = np.asarray(np.gradient(moved, 0.5 / (ROWS - 1), axis=0))
        for i, channel in enumerate((AHEAD, HEIGHT)):
            cell[:, PELVIS + channel] += moved[:, i]
            cell[:, PELVIS_SLOPE + channel] += rate[:, i]


def place_seat(model: mujoco.MjModel, data: Any, body: Any) -> None:
    """Move the seat to where this body's ischia are when it sits, as deep as they sink in."""
    _pose(model, data, body, body.cells[SIT - 1, 0])
    right, left = data.geom("ischium_r"), data.geom("ischium_l")
    height = right.xpos[2] - model.geom("ischium_r").size[0] + SEATED
    model.body("seat").pos[:] = 0.5 * (right.xpos[0] + left.xpos[0]), 0.0, height


def seat_place(model: mujoco.MjModel) -> tuple[float, float]:
    """World x of where the ischia rest and height of the seat's surface, m."""
    x, _, z = model.body("seat").pos
    return float(x), float(z)
