"""Postures as a reference: quiet standing, and the rises to it from a seat and from a squat.

Run ``python -m exotwin.sim.posture`` to build the shipped ``stand.npz`` again.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from scipy.optimize import brentq

from .fit_body import FitBody, FloatArray
from .motion_fit import SINK
from .person import FOOT_RADIUS, LORDOSIS
from .posture_fit import RiseFit, Wish
from .reference import ANGLE, CHANNELS, HEIGHT, LOAD, MOMENT, N_JOINTS, PELVIS, ROWS, TILT
from .subjects import GRAVITY

HIP, KNEE = 0.05, 0.08  # rad of thigh and knee flexion in a relaxed stance; chosen
COM_AHEAD = 0.05  # m; people stand with the centre of mass about 5 cm in front of the ankles (Winter 1995)
# Seconds at the source's size, seat height in m; chosen: people of the published curves rise in about 1.3 s, others in
# 1.5 to 2.5 s, from a seat that is as high as the backs of their knees.
FROM_SEAT = Wish("sit_to_stand", seconds=1.8, seat=0.435, lean=0.0)
FROM_SQUAT = Wish("squat", seconds=1.6)


def build_stand() -> FloatArray:
    """One cell (ROWS, CHANNELS), the same at every phase; moments in Nm/kg for the source's size."""
    body = FitBody()
    model, data = body.model, body.data

    def pose(lean: float) -> FloatArray:
        # Leaning forward from the ankles turns everything above them; the soles stay flat.
        tilt = -LORDOSIS - lean
        hip, knee = HIP + LORDOSIS, KNEE
        ankle = knee - HIP + lean
        leg = np.array([hip, 0.0, 0.0, knee, ankle, 0.0])
        return np.concatenate([[0, 0, 0, tilt, 0, 0], leg, leg])

    def ahead(lean: float) -> float:
        body.kinematics(pose(lean))
        mujoco.mj_comPos(model, data)
        return float(data.subtree_com[0][0] - data.xpos[model.body("talus_r").id][0] - COM_AHEAD)

    q = pose(float(brentq(ahead, -0.2, 0.3)))
    q[2] = FOOT_RADIUS - body.kinematics(q)[0, :5, 2].min() - SINK
    soles = body.kinematics(q)
    torque = body.inverse(q, np.zeros(18), np.zeros(18))
    # Half the weight on each foot, under the centre of mass.
    for side in range(2):
        jacobian = np.zeros((3, model.nv))
        point = np.array([data.subtree_com[0][0], soles[side, :, 1].mean(), 0.0])
        mujoco.mj_jac(model, data, jacobian, None, point, body.foot[side, 0])
        torque -= jacobian[2, body.dof] * body.mass * GRAVITY / 2.0
    cell = np.zeros((ROWS, CHANNELS))
    cell[:, ANGLE : ANGLE + N_JOINTS] = q[6:]
    cell[:, MOMENT : MOMENT + N_JOINTS] = torque[6:] / body.mass
    cell[:, PELVIS + HEIGHT], cell[:, PELVIS + TILT] = q[2], q[3]
    cell[:, [LOAD + 1, LOAD + 3]] = 0.5
    return cell


def build() -> dict[str, FloatArray]:
    """The cells of the rises, in the order of `posture_plan`, that end standing, and the times they take (s)."""
    body, stand = FitBody(), build_stand()[0]
    end = np.array([stand[ANGLE + 4], stand[ANGLE + 3], -stand[PELVIS + TILT]])
    cells = [RiseFit(body, end, LORDOSIS, wish).solve()[0] for wish in (FROM_SEAT, FROM_SQUAT)]
    return {
        "walk": np.stack(cells)[None],
        "walk_time": np.array([[FROM_SEAT.seconds, FROM_SQUAT.seconds]]),
        "speeds": np.zeros(1),
        "slopes": np.zeros(1),
    }


def main() -> None:
    """Build the shipped reference again."""
    target = Path(str(files("exotwin.assets"))) / "gait" / "stand.npz"
    arrays: dict[str, Any] = {k: v.astype(np.float32) for k, v in build().items()}
    np.savez_compressed(target, **arrays)
    print(f"wrote {target.name}")


if __name__ == "__main__":
    main()
