"""Left-right mirroring of channels: the same walk seen in a sagittal mirror is another valid example.

Reflection of the lateral axis z (segment frames are x forward, y up, z right on both legs) turns an
acceleration (a, b, c) into (a, b, -c) and, angular velocity being an axial vector, a rate (a, b, c) into
(-a, -b, c); right and left change places. Joint coordinates name the same anatomical direction on both
legs, so joint angles, velocities and torques only change side.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..controllers.interface import FloatArray, closest

_SIGNED = {"az": -1.0, "gx": -1.0, "gy": -1.0, "cop_y": -1.0}
_SIDED = re.compile(r"(?<=[_/])[rl](?=/|$)")
_FAMILIES = ("imu", "encoder", "load_cell", "insole", "emg_env", "angle", "velocity")
_MIDLINE_SITES = ("pelvis", "torso")


class Mirror:
    """The reflection of a list of names; `apply` maps values (..., n) to those of the mirrored motion.

    names: recording columns (IMU, encoder, load cell, insole, EMG envelope, joint angle or velocity) or sided joints.
    Raises ValueError for a column whose reflection is not known, or whose other side is not in `names`.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        place = {name: i for i, name in enumerate(names)}
        partners = [_partner(name) for name in names]
        for name, partner in zip(names, partners, strict=True):
            if partner not in place:
                raise ValueError(f"{name!r} has no mirror image: {partner!r} is missing{closest(partner, names)}")
        self._source: NDArray[np.intp] = np.array([place[p] for p in partners], dtype=np.intp)
        self._sign: FloatArray = np.array([_SIGNED.get(name.rpartition("/")[2], 1.0) for name in names])

    def apply(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values (..., n) in the order of the names -> the mirrored motion's, same order and dtype."""
        return values[..., self._source] * self._sign.astype(values.dtype)


def _partner(name: str) -> str:
    family, _, rest = name.partition("/")
    if rest and family not in _FAMILIES:
        raise ValueError(f"cannot mirror {name!r}: only {', '.join(_FAMILIES)} columns and joints can be mirrored")
    if family == "imu" and rest.partition("/")[0] in _MIDLINE_SITES:
        return name
    swapped, count = _SIDED.subn(lambda side: "l" if side.group() == "r" else "r", name)
    if count != 1:
        raise ValueError(f"cannot mirror {name!r}: it names no side")
    return swapped
