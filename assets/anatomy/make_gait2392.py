"""Tabulate gait2392's muscle lengths, moment arms and plantarflexion torque (needs `pip install exotwin[opensim]`).

Usage: python make_gait2392.py gait2392_thelen2003muscle.osim > gait2392.csv
       python make_gait2392.py gait2392_thelen2003muscle.osim plantarflexion > gait2392_plantarflexion.csv
"""

from __future__ import annotations

import csv
import math
import sys
from typing import Any

import opensim

GROUPS = {
    "vasti": ("vas_med", "vas_int", "vas_lat"),
    "rectfem": ("rect_fem",),
    "hamstrings": ("semimem", "semiten", "bifemlh"),
    "abd": ("glut_med1", "glut_med2", "glut_med3", "glut_min1", "glut_min2", "glut_min3"),
    "add": ("add_long", "add_brev", "add_mag1", "add_mag2", "add_mag3"),
    "tibant": ("tib_ant",),
}
# Our joint -> OpenSim's coordinate, its sign and the angles (deg).
JOINTS = {
    "hip_flexion": ("hip_flexion_r", 1.0, [5.0 * i for i in range(-4, 13)]),
    "hip_adduction": ("hip_adduction_r", 1.0, [2.5 * i for i in range(-6, 7)]),
    "knee_flexion": ("knee_angle_r", -1.0, [5.0 * i for i in range(0, 21)]),
    "ankle_dorsiflexion": ("ankle_angle_r", 1.0, [5.0 * i for i in range(-5, 6)]),
}
CROSSED = {
    "vasti": ("knee_flexion",),
    "rectfem": ("knee_flexion",),
    "hamstrings": ("hip_flexion", "hip_adduction", "knee_flexion"),
    "abd": ("hip_flexion", "hip_adduction"),
    "add": ("hip_flexion", "hip_adduction"),
    "tibant": ("ankle_dorsiflexion",),
}


PLANTARFLEXORS = ("med_gas", "lat_gas", "soleus", "flex_dig", "flex_hal", "tib_post", "per_long", "per_brev")


def _pose(model: Any, state: Any, **angles: float) -> None:
    """Set coordinates (rad); all others to zero."""
    for i in range(model.getCoordinateSet().getSize()):
        coordinate = model.getCoordinateSet().get(i)
        coordinate.setValue(state, angles.get(coordinate.getName(), 0.0), False)


def paths(model: Any, state: Any, out: Any) -> None:
    """Write one line per muscle, joint and angle; all other coordinates are zero."""
    out.writerow(("muscle", "joint", "angle_deg", "length_mm", "arm_mm"))
    for muscle, joints in CROSSED.items():
        members = [model.getMuscles().get(f"{name}_r") for name in GROUPS[muscle]]
        weights = [m.getMaxIsometricForce() for m in members]
        for joint in joints:
            name, sign, angles = JOINTS[joint]
            for angle in angles:
                _pose(model, state, **{name: sign * math.radians(angle)})
                model.realizePosition(state)
                coordinate = model.getCoordinateSet().get(name)
                length = arm = 0.0
                for m, w in zip(members, weights, strict=True):
                    length += 1e3 * w * m.getLength(state) / sum(weights)
                    arm += 1e3 * sign * w * m.computeMomentArm(state, coordinate) / sum(weights)
                out.writerow((muscle, joint, angle, f"{length:.3f}", f"{arm:.3f}"))


def plantarflexion(model: Any, state: Any, out: Any) -> None:
    """Write the isometric torque of all plantarflexors at full activation, tendons stretched by it."""
    out.writerow(("knee_flexion_deg", "ankle_dorsiflexion_deg", "torque_nm"))
    muscles = [model.getMuscles().get(f"{name}_r") for name in PLANTARFLEXORS]
    ankle = model.getCoordinateSet().get("ankle_angle_r")
    for knee in (10, 80):
        for angle in range(-30, 31, 5):
            _pose(model, state, knee_angle_r=-math.radians(knee), ankle_angle_r=math.radians(angle))
            model.realizePosition(state)
            for m in muscles:
                m.setActivation(state, 1.0)
            model.equilibrateMuscles(state)
            model.realizeDynamics(state)
            torque = sum(-m.computeMomentArm(state, ankle) * m.getActiveFiberForceAlongTendon(state) for m in muscles)
            out.writerow((knee, angle, f"{torque:.2f}"))


def main(path: str, what: str = "paths") -> None:
    """Write the table to the standard output."""
    opensim.Logger.setLevelString("Off")
    model = opensim.Model(path)
    make = {"paths": paths, "plantarflexion": plantarflexion}[what]
    make(model, model.initSystem(), csv.writer(sys.stdout, lineterminator="\n"))


if __name__ == "__main__":
    main(*sys.argv[1:])
