"""Mirroring against a rigid body that is really mirrored."""

from __future__ import annotations

import numpy as np
import pytest
from exotwin.estimators.mirror import Mirror
from scipy.spatial.transform import Rotation

AXES = ("ax", "ay", "az", "gx", "gy", "gz")


def imu_of(position: np.ndarray, attitude: np.ndarray, dt: float) -> np.ndarray:
    """(n-2, 6) specific force and rate in the body frame, by finite differences. World: x forward, y left, z up."""
    acceleration = (position[2:] - 2 * position[1:-1] + position[:-2]) / dt**2
    force = np.einsum("nji,nj->ni", attitude[1:-1], acceleration + np.array([0, 0, 9.81]))
    turned = np.einsum("nji,njk->nik", attitude[:-2], attitude[2:])
    rate = Rotation.from_matrix(turned).as_rotvec() / (2 * dt)
    return np.hstack([force, rate])


def test_imu_signs_are_those_of_a_mirrored_rigid_body() -> None:
    dt, n = 1e-3, 300
    t = np.arange(n) * dt
    rng = np.random.default_rng(0)
    position = np.stack([np.sin(3 * t + p) for p in rng.uniform(0, 6, 3)], axis=1)
    upright = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])  # body x forward, y up, z right, in the world
    wobble = np.stack([0.5 * np.sin(4 * t + p) for p in rng.uniform(0, 6, 3)], axis=1)
    attitude = upright @ Rotation.from_rotvec(wobble).as_matrix()
    world, body = np.diag([1.0, -1.0, 1.0]), np.diag([1.0, 1.0, -1.0])
    mirrored = imu_of(position @ world, world @ attitude @ body, dt)

    right = tuple(f"imu/thigh_r/{axis}" for axis in AXES)
    left = tuple(f"imu/thigh_l/{axis}" for axis in AXES)
    original = imu_of(position, attitude, dt)
    found = Mirror(right + left).apply(np.hstack([original, np.zeros_like(original)]))
    np.testing.assert_allclose(found[:, 6:], mirrored, atol=1e-6)
    np.testing.assert_array_equal(found[:, :6], 0.0)
    pelvis = Mirror(tuple(f"imu/pelvis/{axis}" for axis in AXES)).apply(original)
    np.testing.assert_allclose(pelvis, mirrored, atol=1e-6)


def test_twice_mirrored_is_the_original() -> None:
    names = (
        *(f"imu/{site}/{axis}" for site in ("pelvis", "foot_r", "foot_l") for axis in AXES),
        *(f"encoder/hip_rotation_{s}/{q}" for s in "rl" for q in ("angle", "velocity")),
        *(f"insole/{s}/{q}" for s in "rl" for q in ("force", "cop_x", "cop_y")),
        "emg_env/soleus_l",
        "emg_env/soleus_r",
        "load_cell/knee_flexion_r",
        "load_cell/knee_flexion_l",
    )
    values = np.random.default_rng(0).normal(size=(5, len(names)))
    mirror = Mirror(names)
    once = mirror.apply(values)
    assert (once != values).any()
    np.testing.assert_array_equal(mirror.apply(once), values)
    assert once[0, names.index("insole/l/cop_y")] == -values[0, names.index("insole/r/cop_y")]


def test_joints_change_side_and_keep_sign() -> None:
    joints = ("hip_adduction_r", "knee_flexion_r", "hip_adduction_l", "knee_flexion_l")
    assert Mirror(joints).apply(np.array([1.0, 2, 3, 4])).tolist() == [3, 4, 1, 2]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("encoder/knee_flexion_r/angle",), "'encoder/knee_flexion_l/angle' is missing"),
        (("pelvis/vy",), "cannot mirror 'pelvis/vy'"),
        (("imu/head/ax",), "names no side"),
    ],
)
def test_what_cannot_be_mirrored_is_named(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Mirror(names)
