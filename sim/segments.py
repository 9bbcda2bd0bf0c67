"""Masses, centres and inertias of body segments of women and men, and their sum for the rigid upper body.

De Leva 1996 (J Biomech 29:1223), table 4: young adults, 73.0 kg and 1.741 m (men), 61.9 kg and 1.735 m (women).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Sex = Literal["male", "female"]

STATURE = {"male": 1.741, "female": 1.735}  # m, of the people measured


class Segment(NamedTuple):
    """One row of the table: length (m); mass over body mass; centre from the upper end, and radii of gyration about the
    forward, long and lateral axes, over length.
    """

    length: float
    mass: float
    centre: float
    gyration: tuple[float, float, float]


# Head: vertex to C7. Trunk: C7 to the middle of the hips; pelvis (lower trunk): navel to there. Hand: wrist to third
# knuckle. Shank: knee to ankle joint. Foot: heel to toe tip, so its long axis is the forward one.
TABLE: dict[Sex, dict[str, Segment]] = {
    "male": {
        "head": Segment(0.2429, 0.0694, 0.5002, (0.303, 0.261, 0.315)),
        "trunk": Segment(0.6033, 0.4346, 0.5138, (0.328, 0.169, 0.306)),
        "pelvis": Segment(0.1457, 0.1117, 0.6115, (0.615, 0.587, 0.551)),
        "upper_arm": Segment(0.2817, 0.0271, 0.5772, (0.285, 0.158, 0.269)),
        "forearm": Segment(0.2689, 0.0162, 0.4574, (0.276, 0.121, 0.265)),
        "hand": Segment(0.0862, 0.0061, 0.7900, (0.628, 0.401, 0.513)),
        "thigh": Segment(0.4222, 0.1416, 0.4095, (0.329, 0.149, 0.329)),
        "shank": Segment(0.4403, 0.0433, 0.4395, (0.251, 0.102, 0.246)),
        "foot": Segment(0.2581, 0.0137, 0.4415, (0.124, 0.245, 0.257)),
    },
    "female": {
        "head": Segment(0.2437, 0.0668, 0.4841, (0.271, 0.261, 0.295)),
        "trunk": Segment(0.6148, 0.4257, 0.4964, (0.307, 0.147, 0.292)),
        "pelvis": Segment(0.1815, 0.1247, 0.4920, (0.433, 0.444, 0.402)),
        "upper_arm": Segment(0.2751, 0.0255, 0.5754, (0.278, 0.148, 0.260)),
        "forearm": Segment(0.2643, 0.0138, 0.4559, (0.261, 0.094, 0.257)),
        "hand": Segment(0.0780, 0.0056, 0.7474, (0.531, 0.335, 0.454)),
        "thigh": Segment(0.3685, 0.1478, 0.3612, (0.369, 0.162, 0.364)),
        "shank": Segment(0.4386, 0.0481, 0.4352, (0.267, 0.092, 0.263)),
        "foot": Segment(0.2283, 0.0129, 0.4014, (0.139, 0.279, 0.299)),
    },
}
SHOULDER_ABOVE_HIP = {"male": 0.5155, "female": 0.4979}  # m, the table's middle of the shoulders to middle of the hips
# Half the biacromial breadth over stature, ANSUR II (Gordon 2014, NATICK/TR-15/007), where the arms hang.
ARM_ASIDE = {"male": 0.118, "female": 0.112}


class Mass(NamedTuple):
    """A rigid body's mass (kg), centre (m) and moments of inertia about its centre (kg m^2), each along x, y, z."""

    mass: float
    centre: FloatArray
    inertia: FloatArray

    def about(self, point: FloatArray) -> FloatArray:
        """Moments of inertia about axes through another point."""
        square = (self.centre - point) ** 2
        return np.asarray(self.inertia + self.mass * (square.sum() - square))


def combine(parts: Sequence[Mass]) -> Mass:
    """The parts as one rigid body; products of inertia are left out."""
    mass = sum(part.mass for part in parts)
    centre = np.sum([part.mass * part.centre for part in parts], axis=0) / mass
    return Mass(mass, centre, np.sum([part.about(centre) for part in parts], axis=0))


def without(whole: Mass, parts: Sequence[Mass]) -> Mass:
    """What is left of a whole when the parts are taken out: the inverse of `combine`."""
    return combine([whole, *(Mass(-part.mass, part.centre, -part.inertia) for part in parts)])


def limb_segment(sex: Sex, name: str, body_mass: float, top: FloatArray, bottom: FloatArray) -> Mass:
    """A thigh or shank between its joints, which lie (nearly) above each other."""
    row = TABLE[sex][name]
    length = float(np.linalg.norm(bottom - top))
    mass = row.mass * body_mass
    return Mass(mass, top + row.centre * (bottom - top), mass * (np.array(row.gyration) * length) ** 2)


def foot_segment(sex: Sex, body_mass: float, length: float, heel: FloatArray) -> Mass:
    """A foot of a length (m) whose heel ends at a point; its centre is at the heel's height."""
    row = TABLE[sex]["foot"]
    mass = row.mass * body_mass
    return Mass(mass, heel + np.array([row.centre * length, 0.0, 0.0]), mass * (np.array(row.gyration) * length) ** 2)


def pelvis_segment(sex: Sex, body_mass: float, upper_length: float) -> Mass:
    """The lower trunk about the middle of the hips, y up. upper_length: hips to vertex, m."""
    return _upright(sex, "pelvis", body_mass, _upper_scale(sex, upper_length), 0.0)


def upper_body(sex: Sex, body_mass: float, height: float, upper_length: float) -> Mass:
    """Head, trunk and hanging arms as one rigid body about the middle of the hips, y up.

    Head and trunk fill upper_length (hips to vertex, m), arms grow with height (m). Its mass is what the legs leave.
    """
    table, axial, arm = TABLE[sex], _upper_scale(sex, upper_length), height / STATURE[sex]
    parts = [
        _upright(sex, "trunk", body_mass, axial, 0.0),
        _upright(sex, "head", body_mass, axial, table["trunk"].length * axial),
    ]
    for side in (-1.0, 1.0):
        top = SHOULDER_ABOVE_HIP[sex] * axial
        for name in ("upper_arm", "forearm", "hand"):
            top -= table[name].length * arm
            part = _upright(sex, name, body_mass, arm, top)
            parts.append(part._replace(centre=part.centre + np.array([0.0, 0.0, side * ARM_ASIDE[sex] * height])))
    whole = combine(parts)
    # The table's percentages add up to 99.99 for women.
    share = (1.0 - 2.0 * sum(table[name].mass for name in ("thigh", "shank", "foot"))) * body_mass / whole.mass
    return Mass(whole.mass * share, whole.centre, whole.inertia * share)


def _upper_scale(sex: Sex, upper_length: float) -> float:
    return upper_length / (TABLE[sex]["head"].length + TABLE[sex]["trunk"].length)


def _upright(sex: Sex, name: str, body_mass: float, scale: float, bottom: float) -> Mass:
    """A segment that stands on a height `bottom` above the hips."""
    row = TABLE[sex][name]
    length, mass = row.length * scale, row.mass * body_mass
    centre = np.array([0.0, bottom + (1.0 - row.centre) * length, 0.0])
    return Mass(mass, centre, mass * (np.array(row.gyration) * length) ** 2)
