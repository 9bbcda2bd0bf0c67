"""Values that no person and no sensor gives: the sign that a file is in another unit than was said.

The limits are chosen well above what people reach, so that only wrong units and broken cells meet them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...controllers.interface import FloatArray
from ...controllers.protocols import GAIT_MODES
from ..subjects import GRAVITY

# Column's beginning -> the most it can be, in its own unit; torques per kg of body mass, ground forces in body weights.
_MOST = {
    "angle/": 3.5,
    "velocity/": 60.0,
    "torque/": 20.0,
    "grf/": 20.0,
    "cop/": 500.0,
    "free_moment/": 5.0,
    "pelvis/x": 5000.0,
    "pelvis/y": 500.0,
    "pelvis/z": 200.0,
    "pelvis/v": 30.0,
    "activation/": 2.0,
    "emg/": 20.0,
    "emg_env/": 5.0,
    "encoder/": 60.0,
    "imu/": 2000.0,
    "phase/": 1.0,
}
_PER_KG = ("torque/", "free_moment/")
_PER_WEIGHT = ("grf/",)
LEAST_GAIT_ANGLE = 0.1  # rad; hip, knee and ankle of somebody who walks exceed it by far
LEAST_LONE_ANGLE = 0.03  # rad; even a joint that is locked seems to move as much, by the skin under the markers
LEAST_GAIT_TORQUE = 0.05  # Nm/kg; the ankle reaches 1 and more, a stiff knee 0.1 by the weight of its shank
LEAST_GAIT_FORCE = 0.3  # body weights under a foot that is walked on


def most(column: str, mass_kg: float) -> float:
    """The largest magnitude that a column can have, in its unit; infinity where nothing can be said."""
    for start, limit in _MOST.items():
        if column.startswith(start):
            if start in _PER_KG:
                return limit * mass_kg
            return limit * mass_kg * GRAVITY if start in _PER_WEIGHT else limit
    return np.inf


def check_source(
    path: Path, source: str, column: str, values: FloatArray, rows: NDArray[np.int64], mass_kg: float, row: str = "line"
) -> None:
    """ValueError naming file, row and source column of the first value (n,) that `column` cannot have; NaN passes.

    rows: (n,) number of each value's row in the file; row: what such a row is called.
    """
    limit = most(column, mass_kg)
    bad = np.flatnonzero(np.abs(values) > limit)
    if len(bad):
        raise ValueError(
            f"{path}: {row} {rows[bad[0]]}, column {source!r}: {values[bad[0]]:.4g} is too much for {column!r}, "
            f"at most {limit:.4g}: is it in another unit?"
        )


def check_gait(columns: Mapping[str, NDArray], sources: Mapping[str, tuple[Path, str]], mass_kg: float) -> None:
    """ValueError when the columns of somebody who walks or runs are far too small, or ground forces point down.

    A plate alone may never have been trodden on: it is too weak only if what it says rises and falls as a foot's load.
    sources: our column -> its file and its name there.
    """
    weight = mass_kg * GRAVITY
    for side in ("r", "l"):
        up = columns.get(f"grf/{side}/z")
        if up is not None and np.nanmin(up) < -0.5 * weight:
            path, theirs = sources[f"grf/{side}/z"]
            raise ValueError(
                f"{path}: column {theirs!r}: a ground reaction force pulls down by "
                f"{-np.nanmin(up):.4g} N: is the force on the plate meant? Then its sign is -1"
            )
    modes = columns.get("mode")
    if modes is None or not np.isin(modes, GAIT_MODES).all() or columns["time"][-1] - columns["time"][0] < 1.0:
        return
    torque, force = LEAST_GAIT_TORQUE * mass_kg, LEAST_GAIT_FORCE * weight
    joints = ("hip_flexion", "knee", "ankle")
    for start, names, least, least_alone, what in (
        ("angle/", joints, LEAST_GAIT_ANGLE, LEAST_LONE_ANGLE, "rad, no joint moves more"),
        ("torque/net/", joints, torque, torque, "Nm, no joint bears more"),
        ("grf/", ("r/z", "l/z"), force, force, "N, no foot carries more"),
    ):
        found = {n: c for n, c in columns.items() if n.startswith(start) and n[len(start) :].startswith(names)}
        reached = {n: np.nanmax(np.abs(c)) for n, c in found.items() if np.isfinite(c).any()}
        if not reached:
            continue
        largest = max(reached, key=lambda name: reached[name])
        alone = len(reached) == 1
        if alone and start == "grf/" and not _is_load(found[largest]):
            continue
        if reached[largest] < (least_alone if alone else least):
            path, theirs = sources[largest]
            raise ValueError(
                f"{path}: column {theirs!r} reaches {reached[largest]:.3g} {what} in a gait: is it in another unit?"
            )


def _is_load(up: FloatArray) -> bool:
    """Whether a vertical force, in whatever unit, rises and falls as a foot's does rather than as noise."""
    most = np.nanmax(up)
    carried, lifted = np.mean(up > 0.5 * most), np.mean(up < 0.1 * most)
    return bool(np.nanmin(up) > -0.1 * most and carried > 0.1 and lifted > 0.1)
