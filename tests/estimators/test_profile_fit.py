"""The fitted mean profile is the law the torques were made by."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from exotwin.controllers.protocols import ModeEstimate
from exotwin.estimators.profile_fit import fit_profile
from exotwin.sim.recording import Recording


def law(phase: np.ndarray) -> np.ndarray:
    return 0.8 * np.sin(2 * np.pi * phase) - 0.3 * np.cos(4 * np.pi * phase)


def write(folder: Path, masses: tuple[float, ...], walk_s: float) -> Path:
    """Right legs make 1.1 x the law, left legs 0.9 x; standing makes 0.2 Nm/kg."""
    files = []
    for number, mass in enumerate(masses):
        time = np.arange(int((walk_s + 2.0) * 200)) / 200
        walking = time >= 2.0
        cycle = (time - 2.0) * (0.87 + 0.1 * number)
        columns = {
            "time": time,
            "mode": np.where(walking, "walk", "stand"),
            "speed_class": np.where(walking, "slow", ""),
        }
        for side, offset, gain in (("r", 0.0, 1.1), ("l", 0.5, 0.9)):
            phase = (cycle + offset) % 1.0
            columns[f"phase/{side}"] = np.where(walking, phase, np.nan)
            columns[f"torque/biological/knee_flexion_{side}"] = mass * np.where(walking, gain * law(phase), 0.2)
        path = folder / f"task=walk/subject=s{number}/a.parquet"
        Recording(columns, {"subject": {"mass_kg": mass}, "rate_hz": 200.0}).write(path)
        files.append({"path": str(path.relative_to(folder)), "task": "walk", "subject": f"s{number}"})
    splits = {"train": [f"s{n}" for n in range(len(masses))]}
    (folder / "manifest.json").write_text(json.dumps({"files": files, "splits": splits}))
    return folder


def test_recovers_the_law(tmp_path: Path) -> None:
    profile = fit_profile(write(tmp_path, (60.0, 80.0), walk_s=20.0), joints=("knee_flexion",))
    assert set(profile.torque) == {"walk/slow", "stand"}
    # Equal numbers of strides, give or take the first and last, so the legs' gains average to 1.
    np.testing.assert_allclose(profile.torque["walk/slow"][:, 0], law(np.linspace(0, 1, 101)), atol=0.02)
    assert profile.at(ModeEstimate("stand", 1.0), 0.3) == pytest.approx([0.2])
    assert "strides" in profile.source


def test_too_little_data_is_said(tmp_path: Path) -> None:
    folder = write(tmp_path, (60.0,), walk_s=2.5)
    assert set(fit_profile(folder, joints=("knee_flexion",)).torque) == {"stand"}
    with pytest.raises(ValueError, match="no recordings for the split 'test'"):
        fit_profile(folder, joints=("knee_flexion",), split="test")
    with pytest.raises(ValueError, match="did you mean 'knee_flexion'"):
        fit_profile(folder, joints=("knee_flexon",))
