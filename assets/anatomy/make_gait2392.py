"""Tabulate gait2392's muscle lengths, moment arms and joint torques (needs `pip install exotwin[opensim]`).

Usage: python make_gait2392.py gait2392_thelen2003muscle.osim > gait2392.csv
       python make_gait2392.py gait2392_thelen2003muscle.osim strength > gait2392_strength.csv
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


def strength(model: Any, state: Any, out: Any) -> None:
    """Write isometric torques at full activation, tendons stretched by it: every muscle that drives the movement."""
    out.writerow(("movement", "hip_flexion_deg", "knee_flexion_deg", "ankle_dorsiflexion_deg", "torque_nm"))
    muscles = [model.getMuscles().get(i) for i in range(model.getMuscles().getSize())]
    muscles = [m for m in muscles if m.getName().endswith("_r")]
    for movement, joint, poses in (
        ("hip extension", "hip_flexion", [(hip, knee, 0) for knee in (10, 60) for hip in range(-15, 81, 5)]),
        (
            "plantarflexion",
            "ankle_dorsiflexion",
            [(0, knee, ankle) for knee in (10, 80) for ankle in range(-30, 31, 5)],
        ),
    ):
        coordinate = model.getCoordinateSet().get(JOINTS[joint][0])
        for pose in poses:
            angles = zip(("hip_flexion", "knee_flexion", "ankle_dorsiflexion"), pose, strict=True)
            _pose(model, state, **{JOINTS[j][0]: JOINTS[j][1] * math.radians(angle) for j, angle in angles})
            model.realizePosition(state)
            torque = 0.0
            for m in muscles:
                arm = -m.computeMomentArm(state, coordinate)
                if arm > 0.0:
                    m.setActivation(state, 1.0)
                    m.computeEquilibrium(state)
                    torque += arm * m.getActiveFiberForceAlongTendon(state)
            out.writerow((movement, *pose, f"{torque:.2f}"))


def main(path: str, what: str = "paths") -> None:
    """Write the table to the standard output."""
    opensim.Logger.setLevelString("Off")
    model = opensim.Model(path)
    make = {"paths": paths, "strength": strength}[what]
    make(model, model.initSystem(), csv.writer(sys.stdout, lineterminator="\n"))


if __name__ == "__main__":
    main(*sys.argv[1:])
