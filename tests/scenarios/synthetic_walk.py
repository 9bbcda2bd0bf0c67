"""Recordings for these tests: minimal ones, and a gait made from published mean curves."""

from __future__ import annotations

from typing import Any

import numpy as np
from exotwin.controllers.device import MUSCLES
from exotwin.scenarios.normative import level_walking
from exotwin.sim.recording import Recording

RATE = 200.0
STRIDE_S = 1.1
SPEED = 1.25
MASS = 75.0
ANKLE_OFFSET = 0.35  # rad between the published ankle angle and ours
GAITED = ("hip_flexion", "knee_flexion", "ankle_dorsiflexion")


def make(columns: dict[str, Any], **meta: Any) -> Recording:
    """A recording at 200 Hz of a 50 kg person, from columns without time."""
    n = len(next(iter(columns.values())))
    base = {"subject": {"id": "s1", "mass_kg": 50.0, "height_m": 1.7, "strength": 1.0}, "rate_hz": RATE}
    return Recording({"time": np.arange(n) / RATE, **columns}, {**base, **meta})


def walk(
    arm: str,
    *,
    seconds: float = 8.0,
    unload: float = 0.0,
    assist: float = 0.0,
    estimate_error: float = 0.05,
    faulty_s: tuple[float, float] | None = None,
    **meta: Any,
) -> Recording:
    """Normal walking at 1.25 m/s from published mean curves, the left leg half a cycle later.

    unload: share taken off the biological torque and activations; assist: share of it delivered.
    """
    rng = np.random.default_rng(len(arm))
    bands = level_walking(SPEED).bands
    time = np.arange(round(seconds * RATE)) / RATE
    percent = np.arange(101.0)
    cycle = {name: np.append(band.mean[:-1], band.mean[0]) for name, band in bands.items()}
    cycle["grf/z"] = np.clip(cycle["grf/z"], 0.0, None) / (2.0 * np.mean(cycle["grf/z"][:-1].clip(0.0)))
    columns: dict[str, Any] = {"time": time, "pelvis/x": SPEED * time}
    columns["fault"] = np.full(time.size, "", dtype="<U12")
    if faulty_s:
        columns["fault"][(time >= faulty_s[0]) & (time < faulty_s[1])] = "sensor_nan"
    working = (columns["fault"] == "").astype(float)
    for side, shift in (("r", 0.3), ("l", 0.3 + STRIDE_S / 2)):
        at = ((time - shift) % STRIDE_S) / STRIDE_S * 100.0

        def curve(name: str, at: np.ndarray = at) -> np.ndarray:
            return np.interp(at, percent, cycle[name])

        columns[f"grf/{side}/z"] = MASS * 9.81 * curve("grf/z")
        columns[f"grf/{side}/x"] = MASS * 9.81 * curve("grf/x")
        for joint in GAITED:
            name = f"{joint}_{side}"
            angle = np.radians(curve(f"angle/{joint}")) + 0.01 * rng.standard_normal()
            biological = (1.0 - unload) * MASS * curve(f"moment/{joint}")
            columns[f"angle/{name}"] = angle + (ANKLE_OFFSET if joint == "ankle_dorsiflexion" else 0.0)
            columns[f"velocity/{name}"] = np.gradient(angle, time)
            columns[f"torque/biological/{name}"] = biological
            columns[f"torque/exo/{name}"] = assist * np.roll(biological, 6) * working
            if assist:
                noise = estimate_error * np.sin(2 * np.pi * time / 0.37)
                columns[f"estimate/{name}"] = np.where(working > 0, biological / MASS + noise, np.nan)
            if arm != "no_exo":
                columns[f"command/{name}"] = assist * np.roll(biological, 4) * working
                columns[f"delivered/{name}"] = assist * np.roll(biological, 6) * working
        for i, muscle in enumerate(MUSCLES):
            bump = np.exp(-((((at - 7.5 * i) + 50) % 100 - 50) ** 2) / 200.0)
            columns[f"activation/{muscle}_{side}"] = (1.0 - unload) * (0.03 + 0.5 * bump)
    columns["metabolic/umberger2010"] = np.full(time.size, (1.0 - unload) * 4.0 * MASS)
    base = {
        "subject": {"id": "s1", "mass_kg": MASS, "height_m": 1.75, "strength": 1.0},
        "device": None if arm == "no_exo" else "hip_knee_ankle",
        "scenario": "level_walk",
        "seed": 0,
        "arm": arm,
        "rate_hz": RATE,
        "versions": {"exotwin": "0.1.0"},
        "model_hash": "0123456789abcdef0123",
    }
    return Recording(columns, {**base, **meta})


def reference_angles() -> dict[str, np.ndarray]:
    """The joint angles that `walk` walks with, (101,) rad over the gait cycle."""
    bands = level_walking(SPEED).bands
    curves = {joint: np.radians(bands[f"angle/{joint}"].mean) for joint in GAITED}
    return curves | {"ankle_dorsiflexion": curves["ankle_dorsiflexion"] + ANKLE_OFFSET}
