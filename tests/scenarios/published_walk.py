"""People made of published curves: whoever is scored must find them perfect."""

from __future__ import annotations

from typing import Any

import numpy as np
from exotwin.controllers.device import MUSCLES
from exotwin.scenarios.gait_cycles import PERCENT
from exotwin.scenarios.normative import published
from exotwin.scenarios.realism.checks import MARYLAND_HZ, MARYLAND_MPS
from exotwin.scenarios.realism.cycles import PersonCycles
from exotwin.scenarios.realism.gaits import Gait
from exotwin.sim.recording import Recording

RATE, MASS, LEG, GRAVITY = 200.0, 70.0, 0.9, 9.81


def bands_of(gait: Gait) -> dict[str, Any]:
    """Band of each signal in the first set of the gait that has it."""
    found: dict[str, Any] = {}
    for curves in gait.curves:
        for signal, band in published(curves.task, curves.source, curves.condition).items():
            found.setdefault(signal, band)
    return found


def person(gait: Gait, **changed: Any) -> PersonCycles:
    """Cycles that are the published curves themselves; changed: replaced means by signal, ``/`` as ``__``."""
    curves = {}
    for curve_set in gait.curves:
        bands = published(curve_set.task, curve_set.source, curve_set.condition)
        for signal, band in bands.items():
            for leg in curve_set.legs:
                curves.setdefault((signal, leg), band.mean)
    for name, mean in changed.items():
        curves |= {(name.replace("__", "/"), leg): mean for leg in "rl"}
    return PersonCycles(curves, {}, 20, fell=False)


def walk_of(gait: Gait, seconds: float = 12.0, heading: float = 0.0) -> Recording:
    """Level walking at the gait's speed, every signal as published, the left leg half a cycle later.

    heading: rad by which the way is turned to the left of world x.
    """
    stride = round(RATE / (MARYLAND_HZ * np.sqrt(gait.speed_mps / MARYLAND_MPS)) / 2) * 2  # samples
    n = np.arange(round(seconds * RATE))
    along = gait.speed_mps * n / RATE
    columns: dict[str, Any] = {"time": n / RATE, "pelvis/x": along * np.cos(heading)}
    bands = bands_of(gait)
    tilt = np.radians(np.interp((n % stride) / stride * 100.0, PERCENT, bands["angle/pelvis_tilt"].mean))
    columns |= {"pelvis/qw": np.cos(tilt / 2), "pelvis/qx": 0.0 * tilt, "pelvis/qy": -np.sin(tilt / 2)}
    columns["pelvis/qz"] = 0.0 * tilt
    for side, sign, late in (("r", -1.0, 0), ("l", 1.0, stride // 2)):
        count, at = np.divmod(n + stride - late, stride)
        value = {signal: np.interp(100.0 * at / stride, PERCENT, band.mean) for signal, band in bands.items()}
        for joint in ("hip_flexion", "knee_flexion", "ankle_dorsiflexion"):
            columns[f"angle/{joint}_{side}"] = np.radians(value[f"angle/{joint}"])
            columns[f"velocity/{joint}_{side}"] = np.gradient(columns[f"angle/{joint}_{side}"]) * RATE
            columns[f"torque/net/{joint}_{side}"] = MASS * value[f"moment/{joint}"]
        columns[f"torque/net/hip_adduction_{side}"] = MASS * value["moment/hip_adduction"]
        for axis in "xz":
            columns[f"grf/{side}/{axis}"] = MASS * GRAVITY * value[f"grf/{axis}"]
        for muscle in MUSCLES:
            columns[f"activation/{muscle}_{side}"] = value.get(f"emg/{muscle}", np.zeros(n.size))
        hold, across = (count * stride + late) * gait.speed_mps / RATE, sign * 0.5 * 0.13 * LEG
        columns[f"cop/{side}/x"] = hold * np.cos(heading) - across * np.sin(heading)
        columns[f"cop/{side}/y"] = hold * np.sin(heading) + across * np.cos(heading)
    columns["metabolic/umberger2010"] = np.full(n.size, MASS * (2.0 + 1.2 * gait.speed_mps**2))
    subject = {"id": "paper", "mass_kg": MASS, "height_m": 1.75, "strength": 1.0, "leg_length_m": LEG}
    return Recording(columns, {"subject": subject, "rate_hz": RATE})
