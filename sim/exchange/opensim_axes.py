"""OpenSim's ground (x forward, y up, z right) and ours (x forward, y left, z up), and the pelvis between them."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from ...controllers.interface import FloatArray
from ..recording import Recording

PELVIS_ANGLES = ("pelvis_tilt", "pelvis_list", "pelvis_rotation")

TO_OPENSIM = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])  # (3, 3) our world to OpenSim's ground


def pelvis_angles(recording: Recording) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Tilt, list and rotation of the pelvis (rad, (n,) each): about right, forward and up, in body-fixed order."""
    quaternion = np.column_stack([recording[f"pelvis/q{a}"] for a in "xyzw"])
    ours = Rotation.from_quat(quaternion).as_matrix()
    angles = Rotation.from_matrix(TO_OPENSIM @ ours @ TO_OPENSIM.T).as_euler("ZXY")
    tilt, list_, rotation = np.unwrap(angles, axis=0).T
    return tilt, list_, rotation


def pelvis_quaternion(tilt: FloatArray, list_: FloatArray, rotation: FloatArray) -> dict[str, FloatArray]:
    """Columns ``pelvis/qw|qx|qy|qz`` of OpenSim's angles (rad, (n,) each): the way back of `pelvis_angles`."""
    theirs = Rotation.from_euler("ZXY", np.column_stack([tilt, list_, rotation])).as_matrix()
    quaternion = Rotation.from_matrix(TO_OPENSIM.T @ theirs @ TO_OPENSIM).as_quat(canonical=True)
    return {f"pelvis/q{name}": quaternion[:, i] for name, i in zip("wxyz", (3, 0, 1, 2), strict=True)}
