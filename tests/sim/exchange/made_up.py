"""Made-up recordings for the tests of exchange: plausible, with gaps, nothing simulated."""

from __future__ import annotations

import numpy as np
from exotwin.controllers.device import SIDED_JOINTS, SIDES
from exotwin.sim.recording import Recording
from scipy.spatial.transform import Rotation

MASS = 70.0


def made_up(n: int = 400, rate_hz: float = 200.0, seed: int = 0) -> Recording:
    """Somebody who walks, then climbs a ramp, in an exo."""
    rng = np.random.default_rng(seed)
    time = np.arange(n) / rate_hz
    columns = {"time": time, "mode": np.where(time < 0.6 * time[-1], "walk", "ramp_up")}
    columns["terrain/slope"] = np.where(time < 0.6 * time[-1], 0.0, np.deg2rad(8.0))
    for i, side in enumerate(SIDES):
        phase = (time / 1.1 + 0.5 * i) % 1.0
        columns[f"phase/{side}"] = np.where(time < 0.1, np.nan, phase)
        up = np.clip(900 * np.sin(2 * np.pi * phase), 0, None)
        columns[f"grf/{side}/x"], columns[f"grf/{side}/y"] = 0.1 * up, -0.05 * up
        columns[f"grf/{side}/z"] = up
        columns[f"cop/{side}/x"] = np.where(up > 20, 1.2 * time, np.nan)
        columns[f"cop/{side}/y"] = np.where(up > 20, 0.1 - 0.2 * i, np.nan)
    for joint in SIDED_JOINTS:
        columns[f"angle/{joint}"] = 0.3 + 0.4 * np.sin(2 * np.pi * time / 1.1 + rng.uniform(0, 6))
        columns[f"velocity/{joint}"] = rng.normal(0, 2, n)
        columns[f"torque/net/{joint}"] = rng.normal(0, 40, n)
        columns[f"torque/exo/{joint}"] = rng.normal(0, 5, n)
        columns[f"torque/biological/{joint}"] = columns[f"torque/net/{joint}"] - columns[f"torque/exo/{joint}"]
        columns[f"emg_env/soleus_{joint[-1]}"] = rng.uniform(0, 1, n)
    turn = Rotation.from_euler("zyx", np.column_stack([0.1 * np.sin(time), 0.2 * np.cos(time), 0.05 + 0 * time]))
    for name, values in zip("xyzw", turn.as_quat().T, strict=True):
        columns[f"pelvis/q{name}"] = values
    columns |= {"pelvis/x": 1.2 * time, "pelvis/y": 0.01 * np.sin(time), "pelvis/z": 0.95 + 0 * time}
    columns["pelvis/vx"] = np.full(n, 1.2)
    columns["imu/thigh_r/ax"] = np.where(time > 1.0, np.nan, rng.normal(0, 9, n))
    columns["imu/thigh_r/gz"] = rng.normal(0, 2, n)
    meta = {
        "subject": {"id": "s01", "mass_kg": MASS, "height_m": 1.7, "sex": "female", "age_years": 31.0},
        "rate_hz": rate_hz,
        "events": [{"time": 0.5, "kind": "fault", "detail": "imu"}, {"time": 0.2, "kind": "note"}],
    }
    return Recording(columns, meta)
