"""Sizes of a subject's segments over those of the source model, myo-sim's reduced legs."""

from __future__ import annotations

import functools
from typing import Any

import mujoco
import numpy as np

from .subjects import LEG_SHARE, SOURCE_STATURE, Subject

SEGMENTS = ("femur", "tibia", "talus", "calcn", "toes")

# Fixed knee hinge fitted to the source's translating knee over 0-100 deg (tibia origin within 0.86 mm rms), m.
KNEE_IN_FEMUR = np.array([-0.009675, -0.40747, 0.0])
KNEE_IN_TIBIA = np.array([-0.00454, -0.01285, 0.0])
ANKLE_HEIGHT = 0.04195  # m, ankle over the centres of the contact spheres, of the source


@functools.cache
def source_model() -> tuple[mujoco.MjSpec, mujoco.MjModel]:
    """The source, editable and compiled."""
    import myo_sim

    spec = myo_sim.load_spec("myolegs26")
    return spec, spec.compile()


def segment_sizes(subject: Subject) -> dict[str, np.ndarray]:
    """Each segment's lengths over the source's, along x, y, z.

    Hip and sole are `scale` apart whatever the proportions, so that a reference gait fits after scaling.
    """
    s, foot = subject.scale, subject.foot_scale
    thigh, shank = thigh_and_shank()
    both = s * (thigh + shank) + (s - foot) * ANKLE_HEIGHT
    upper = (subject.height_m - subject.leg_length_m) / (SOURCE_STATURE * (1.0 - LEG_SHARE))
    sizes = {segment: np.full(3, foot) for segment in ("talus", "calcn", "toes")}
    sizes["femur"] = np.full(3, subject.thigh_share * both / thigh)
    sizes["tibia"] = np.full(3, (1.0 - subject.thigh_share) * both / shank)
    sizes["pelvis"] = np.array([s, s, subject.pelvis_scale])
    sizes["torso"] = np.full(3, upper)
    return sizes


def segment_origins(source: mujoco.MjModel, sizes: dict[str, np.ndarray], side: str) -> dict[str, np.ndarray]:
    """Origin of each leg segment in the one above it, m."""
    return {
        "femur": _position(source, f"femur_{side}") * sizes["pelvis"],
        "tibia": KNEE_IN_FEMUR * sizes["femur"] - KNEE_IN_TIBIA * sizes["tibia"],
        "talus": _position(source, f"talus_{side}") * sizes["tibia"],
        "calcn": _position(source, f"calcn_{side}") * sizes["talus"],
        "toes": _position(source, f"toes_{side}") * sizes["calcn"],
    }


def mirrored(vector: Any, side: str) -> np.ndarray:
    """A vector of the right leg (x forward, y up, z right) on the given side."""
    out = np.array(vector, dtype=float)
    if side == "l":
        out[2] = -out[2]
    return out


def _position(source: mujoco.MjModel, body: str) -> np.ndarray:
    return np.array(source.body(body).pos)


@functools.cache
def thigh_and_shank() -> tuple[float, float]:
    """Lengths of the source, m."""
    ankle = _position(source_model()[1], "talus_r")
    return float(np.linalg.norm(KNEE_IN_FEMUR)), float(np.linalg.norm(ankle - KNEE_IN_TIBIA))
