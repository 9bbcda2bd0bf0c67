"""The closed sets of names that descriptions of a device may use: joints, muscles, sides, IMU axes."""

from __future__ import annotations

JOINTS = (
    "hip_flexion",
    "hip_adduction",
    "hip_rotation",
    "knee_flexion",
    "ankle_dorsiflexion",
    "mtp_extension",
)
SIDES = ("r", "l")
SIDED_JOINTS = tuple(f"{joint}_{side}" for side in SIDES for joint in JOINTS)
IMU_AXES = ("ax", "ay", "az", "gx", "gy", "gz")
MUSCLES = (
    "abd",
    "add",
    "hamstrings",
    "bifemsh",
    "edl",
    "fdl",
    "glutmax",
    "iliopsoas",
    "rectfem",
    "vasti",
    "gastroc",
    "soleus",
    "tibant",
)

Vector = tuple[float, float, float]
