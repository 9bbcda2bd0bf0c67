"""Who has short knee flexors does not try to straighten the knee against them: the reference bends, compiled.

The nervous system asks for no more knee extension than the relaxed muscles allow under `YIELDING`; with the knee go hip
and ankle, so that the sole stays where it was under a lower pelvis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..controllers.device import JOINTS, MUSCLES, SIDED_JOINTS
from .compiled import compiled
from .impairments import Effects
from .reference import ANGLE, HEIGHT, LOAD, PELVIS, SLOPE

if TYPE_CHECKING:
    import mujoco

# Nm per kg that people with a contracture stretch their knee flexors with at most: no more than healthy people do whose
# knee is straight (chosen). With twice that the mildly affected would not crouch at all.
YIELDING = 3.0 / 75.0
HIP_FROM, HIP_STEP, HIPS = -20.0, 10.0, 11  # deg of hip flexion, at which the limit is tabulated
KNEES = np.arange(0.0, 91.0, 3.0)  # deg
SHORTER = ("hamstrings", "bifemsh")
SOFT = 0.05  # rad, over which the reference turns from its own way into the limit (chosen)
THIGH = 0.4  # m at the source's size, nearly that of the shank
JOINTS_OF_LEG, KNEE, ANKLE = len(JOINTS), JOINTS.index("knee_flexion"), JOINTS.index("ankle_dorsiflexion")


def knee_limits(model: mujoco.MjModel, data: mujoco.MjData, what: Effects, mass_kg: float) -> NDArray[np.float64]:
    """(2, HIPS) least knee flexion (rad) of each leg against hip flexion; zero for a leg without contracture.

    data: of the person at rest, its muscles relaxed.
    """
    import mujoco

    out = np.zeros((2, HIPS))
    home = data.qpos.copy()
    stages = (mujoco.mj_kinematics, mujoco.mj_comPos, mujoco.mj_tendon, mujoco.mj_transmission, mujoco.mj_fwdActuation)
    for leg in range(2):
        if all(what.fibre_length[leg * len(MUSCLES) + MUSCLES.index(m)] == 1.0 for m in SHORTER):
            continue
        hip, knee = (model.joint(SIDED_JOINTS[leg * JOINTS_OF_LEG + k]) for k in (0, KNEE))
        for i in range(HIPS):
            data.qpos[hip.qposadr[0]] = np.radians(HIP_FROM + i * HIP_STEP)
            torque = np.zeros(len(KNEES))
            for k, angle in enumerate(KNEES):
                data.qpos[knee.qposadr[0]] = np.radians(angle)
                for stage in stages:
                    stage(model, data)
                torque[k] = data.qfrc_actuator[knee.dofadr[0]]
            stiff = np.flatnonzero(torque > YIELDING * mass_kg)
            if len(stiff):
                out[leg, i] = np.radians(KNEES[min(stiff[-1] + 1, len(KNEES) - 1)])
        data.qpos[:] = home
    return out


@compiled
def give_way(limits: Any, scale: float, out: Any) -> None:
    """Bend the reference of this instant (CHANNELS,), right leg first, to the limits (2, HIPS) of the knees."""
    load = max(1e-6, out[LOAD + 1] + out[LOAD + 3])
    for leg in range(2):
        j = ANGLE + JOINTS_OF_LEG * leg
        d = SLOPE + JOINTS_OF_LEG * leg
        x = min(HIPS - 1.001, max(0.0, (np.degrees(out[j]) - HIP_FROM) / HIP_STEP))
        i = int(x)
        rise = limits[leg, i + 1] - limits[leg, i]
        least = limits[leg, i] + (x - i) * rise
        if least <= 0.0:
            continue
        knee = out[j + KNEE]
        ahead = (least - knee) / SOFT
        if ahead < -10.0:
            continue
        more = SOFT * np.log1p(np.exp(ahead))
        rate = (rise / np.radians(HIP_STEP) * out[d] - out[d + KNEE]) / (1.0 + np.exp(-ahead))
        out[j + KNEE] += more
        out[d + KNEE] += rate
        for k in (0, ANKLE):
            out[j + k] += 0.5 * more
            out[d + k] += 0.5 * rate
        shorter = 2.0 * THIGH * scale * (np.cos(0.5 * knee) - np.cos(0.5 * (knee + more)))
        out[PELVIS + HEIGHT] -= shorter * out[LOAD + 1 + 2 * leg] / load
