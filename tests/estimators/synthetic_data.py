"""A small synthetic data set whose torques follow from the motion by a known linear law."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from exotwin.estimators.spec import DEFAULT_JOINTS
from exotwin.sim.recording import Recording

RATE = 200.0
INERTIA, DAMPING, STIFFNESS = 0.02, 0.05, 0.6  # per kg of body mass
SPLITS = {"train": ("s1", "s2", "s3"), "validation": ("s4",), "test": ("s5",)}


def synthetic_recording(seed: int, seconds: float = 12.0, mass: float = 70.0, rate: float = RATE) -> Recording:
    """Stands, walks slowly, then faster; each joint is a driven pendulum, left half a stride behind right."""
    rng = np.random.default_rng(seed)
    n = int(seconds * rate)
    time = np.arange(n) / rate
    pace = 0.9 + 0.05 * (2 * seed % 5)  # validation and test subjects lie between training subjects
    moving = time >= seconds / 4
    fast = time >= seconds * 5 / 8
    frequency = pace * _eased(np.where(fast, 1.0, 0.6) * moving, rate)
    strides = np.cumsum(frequency) / rate
    amplitude = _eased(np.where(fast, 1.0, 0.5) * moving, rate)
    columns: dict[str, np.ndarray] = {
        "time": time,
        "mode": np.where(moving, "walk", "stand"),
        "speed_class": np.where(fast, "normal", np.where(moving, "slow", "")),
        "phase/r": np.where(moving, strides % 1.0, np.nan),
        "phase/l": np.where(moving, (strides + 0.5) % 1.0, np.nan),
    }
    harmonics = {joint: rng.uniform(0.3, 0.4, 2) for joint in ("hip_flexion", "knee_flexion", "ankle_dorsiflexion")}
    spin = {}
    for joint in DEFAULT_JOINTS:
        name, side = joint[:-2], joint[-1]
        cycle = 2 * np.pi * (strides + (0.5 if side == "l" else 0.0))
        a, b = harmonics[name]
        angle = amplitude * (a * np.sin(cycle) + 0.3 * b * np.cos(2 * cycle))
        velocity = np.gradient(angle, 1 / rate)
        acceleration = np.gradient(velocity, 1 / rate)
        spin[joint] = velocity
        columns[f"encoder/{joint}/angle"] = angle + 0.005 * rng.standard_normal(n)
        columns[f"encoder/{joint}/velocity"] = velocity + 0.02 * rng.standard_normal(n)
        columns[f"angle/{joint}"], columns[f"velocity/{joint}"] = angle, velocity
        torque = INERTIA * acceleration + DAMPING * velocity + STIFFNESS * angle
        columns[f"torque/biological/{joint}"] = mass * torque
    for side in "rl":
        for axis in "xyz":
            columns[f"imu/shank_{side}/a{axis}"] = (9.81 if axis == "y" else 0.0) + 0.1 * rng.standard_normal(n)
            columns[f"imu/shank_{side}/g{axis}"] = 0.02 * rng.standard_normal(n)
        columns[f"imu/shank_{side}/gz"] += spin[f"knee_flexion_{side}"]
        columns[f"imu/shank_{side}/ax"] += np.gradient(spin[f"knee_flexion_{side}"], 1 / rate)
    meta = {"subject": {"id": f"s{seed}", "mass_kg": mass}, "rate_hz": rate, "licence": "CC0-1.0"}
    return Recording(columns, meta)


def _eased(values: np.ndarray, rate: float) -> np.ndarray:
    """Steps spread over half a second, so that accelerations stay finite."""
    window = np.hanning(int(rate / 2) + 1)
    padded = np.pad(values, len(window) // 2, mode="edge")
    return np.convolve(padded, window / window.sum(), "valid")


def write_dataset(folder: Path, seconds: float = 12.0) -> Path:
    """A dataset folder as the generator writes it."""
    files = []
    for number, subject in enumerate(s for subjects in SPLITS.values() for s in subjects):
        path = f"task=walk/subject={subject}/trial.parquet"
        synthetic_recording(number, seconds, mass=60.0 + 5 * number).write(folder / path)
        digest = hashlib.sha256((folder / path).read_bytes()).hexdigest()
        files.append({"path": path, "task": "walk", "subject": subject, "sha256": digest})
    manifest = {"files": files, "splits": SPLITS, "licence": "CC0-1.0", "seed": 0}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
