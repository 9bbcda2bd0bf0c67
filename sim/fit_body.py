"""The source-sized person on slides and hinges, for inverse dynamics and the places of the soles."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..controllers.device import JOINTS, SIDES
from .person import build_person
from .subjects import SOURCE_STATURE, Subject

FloatArray = NDArray[np.float64]

ROOT = ("x", "y", "z", "tilt", "list", "rotation")
N_SPHERES = 7


class FitBody:
    """The source-sized person on three slides and three hinges, for inverse dynamics and sole positions."""

    def __init__(self, mass: float = 64.0) -> None:
        spec = build_person(Subject(height_m=SOURCE_STATURE, mass_kg=mass))
        spec.delete(spec.joint("root"))
        root = spec.body("root")
        axes = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0, -1, 0), (1, 0, 0), (0, 0, 1))
        for i, (name, axis) in enumerate(zip(ROOT, axes, strict=True)):
            kind = mujoco.mjtJoint.mjJNT_SLIDE if i < 3 else mujoco.mjtJoint.mjJNT_HINGE
            root.add_joint(name=f"root_{name}", type=kind, axis=axis)
        root.pos = [0, 0, 0]
        spec.option.disableflags |= (
            mujoco.mjtDisableBit.mjDSBL_SPRING
            | mujoco.mjtDisableBit.mjDSBL_DAMPER
            | mujoco.mjtDisableBit.mjDSBL_LIMIT
            | mujoco.mjtDisableBit.mjDSBL_CONTACT
            | mujoco.mjtDisableBit.mjDSBL_ACTUATION
        )
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        m = self.model
        names = [f"root_{n}" for n in ROOT] + [f"{j}_{s}" for s in SIDES for j in JOINTS]
        self.dof = np.array([m.joint(n).dofadr[0] for n in names])
        self.ranges = np.array([m.joint(n).range for n in names[6:]])
        self.mass = float(m.body_subtreemass[0])
        self.spheres = np.array(
            [[m.geom(f"{b}_{s}_sole{i}").id for b, n in (("calcn", 5), ("toes", 2)) for i in range(n)] for s in SIDES]
        )
        self.foot = np.array([[m.body(f"{b}_{s}").id for b in ("calcn", "toes")] for s in SIDES])
        self.owner = np.array([0] * 5 + [1] * 2)

    def kinematics(self, q: FloatArray) -> FloatArray:
        """Sphere centres (2, 7, 3) at coordinates q (18,)."""
        self.data.qpos[self.dof] = q
        mujoco.mj_kinematics(self.model, self.data)
        return np.array(self.data.geom_xpos[self.spheres])

    def jacobians(self) -> FloatArray:
        """(2, 7, 3, 18) of the spheres at the last pose; needs `mj_comPos`."""
        m, d = self.model, self.data
        out = np.zeros((2, N_SPHERES, 3, 18))
        jp, jr = np.zeros((3, m.nv)), np.zeros((3, m.nv))
        for side in range(2):
            for part in range(2):
                body = self.foot[side, part]
                mujoco.mj_jacBody(m, d, jp, jr, body)
                for k in np.flatnonzero(self.owner == part):
                    r = d.geom_xpos[self.spheres[side, k]] - d.xpos[body]
                    cross = np.array([[0, -r[2], r[1]], [r[2], 0, -r[0]], [-r[1], r[0], 0]])
                    out[side, k] = (jp - cross @ jr)[:, self.dof]
        return out

    def inverse(self, q: FloatArray, dq: FloatArray, ddq: FloatArray) -> FloatArray:
        """Generalised forces (18,) that the motion needs, without contact."""
        d = self.data
        d.qpos[self.dof], d.qvel[self.dof], d.qacc[self.dof] = q, dq, ddq
        mujoco.mj_inverse(self.model, d)
        return np.array(d.qfrc_inverse[self.dof])
