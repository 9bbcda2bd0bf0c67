"""Mean and SD curves of healthy walking that reports draw behind the simulated gait.

The table holds clinical signs; here moments take the sign of the joint coordinate, as everywhere else.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from .gait_cycles import PERCENT, FloatArray

SOURCE = "Bovi et al. 2011, Gait & Posture 33:6-13 (20 adults)"

# signal of the table -> (our name, factor). Extension and plantarflexion moments are positive there.
_SIGNALS = {
    "hip_flexion_angle_deg": ("angle/hip_flexion", 1.0),
    "knee_flexion_angle_deg": ("angle/knee_flexion", 1.0),
    "ankle_dorsiflexion_angle_LAMBoffset_deg": ("angle/ankle_dorsiflexion", 1.0),
    "hip_extension_moment_Nm_per_kg": ("moment/hip_flexion", -1.0),
    "knee_extension_moment_Nm_per_kg": ("moment/knee_flexion", -1.0),
    "ankle_plantarflexion_moment_Nm_per_kg": ("moment/ankle_dorsiflexion", -1.0),
    "grf_vertical_BW": ("grf/z", 1.0),
    "grf_ap_BW": ("grf/x", 1.0),
}


@dataclass(frozen=True, slots=True)
class Band:
    """One normative curve at 0, 1 .. 100 % of the gait cycle, (101,) each.

    ``angle/<joint>`` in degrees (the ankle with the source's constant offset: compare its shape and
    range only), ``moment/<joint>`` in Nm/kg, ``grf/z`` and ``grf/x`` in body weights.
    """

    mean: FloatArray
    sd: FloatArray


@dataclass(frozen=True, slots=True)
class Normative:
    """The curves of the published speed nearest to the one asked for."""

    speed_mps: float
    bands: dict[str, Band]


def level_walking(speed_mps: float) -> Normative:
    """Level walking of healthy adults at the published speed nearest to `speed_mps`."""
    table = files("exotwin.assets") / "normative" / "level_walking.csv"
    curves: dict[float, dict[str, list[tuple[float, float, float]]]] = {}
    with table.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["source"] == "Bovi2011" and row["signal"] in _SIGNALS:
                point = (float(row["percent_gait_cycle"]), float(row["mean"]), float(row["sd"]))
                curves.setdefault(float(row["speed_mps"]), {}).setdefault(row["signal"], []).append(point)
    nearest = min(curves, key=lambda speed: abs(speed - speed_mps))
    bands = {}
    for signal, points in curves[nearest].items():
        name, factor = _SIGNALS[signal]
        percent, mean, sd = np.array(points).T
        bands[name] = Band(factor * np.interp(PERCENT, percent, mean), np.interp(PERCENT, percent, sd))
    return Normative(nearest, bands)
