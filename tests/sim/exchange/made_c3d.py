"""A C3D file as a laboratory makes it, written with ezc3d."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_c3d(path: Path, n: int = 200, rate_hz: float = 100.0, subframes: int = 10) -> dict[str, np.ndarray]:
    """A marker, two model outputs, a force plate and an EMG electrode; what was put in, by name, in the file's units.

    The plate lies at x 0..600, y 0..400 mm; its own x axis points along -x, its z axis down (type 2).
    """
    import ezc3d

    time, fine = np.arange(n) / rate_hz, np.arange(n * subframes) / (rate_hz * subframes)
    put = {
        "angle": 30 - 28 * np.cos(2 * np.pi * time),
        "moment": 500 * np.sin(2 * np.pi * time),
        "up": np.clip(900 * np.sin(2 * np.pi * fine), 0, None),
        "emg": 1e-3 * np.sin(2 * np.pi * 80 * fine),
    }
    file = ezc3d.c3d()
    points, analog, plate = (file["parameters"][group] for group in ("POINT", "ANALOG", "FORCE_PLATFORM"))
    points["RATE"]["value"], points["UNITS"]["value"] = [rate_hz], ["mm"]
    points["LABELS"]["value"] = ["RASI", "RKneeAngles", "RKneeMoment"]
    values = np.zeros((4, 3, n))
    values[3] = 1.0
    values[0, 0], values[0, 1], values[0, 2] = 1000 * time, put["angle"], put["moment"]
    file["data"]["points"] = values
    analog["RATE"]["value"] = [rate_hz * subframes]
    analog["LABELS"]["value"] = ["Fx1", "Fy1", "Fz1", "Mx1", "My1", "Mz1", "EMG.soleus"]
    analog["UNITS"]["value"] = ["N", "N", "N", "Nmm", "Nmm", "Nmm", "V"]
    # In the plate's axes: pressed 50 mm along its x and 100 mm along its y from the middle, with 3 Nm about z.
    up = put["up"]
    signals = [-0.1 * up, 0 * up, -up, -100 * up, 50 * up, np.zeros_like(up), put["emg"]]
    signals[5] = 50 * signals[1] - 100 * signals[0] - 3000.0 * (up > 0)
    file["data"]["analogs"] = np.array(signals)[None]
    plate["USED"]["value"], plate["TYPE"]["value"], plate["ZERO"]["value"] = [1], [2], [1, 0]
    plate["CORNERS"]["value"] = np.array([[0.0, 600, 600, 0], [400, 400, 0, 0], [0, 0, 0, 0]]).reshape(3, 4, 1)
    plate["ORIGIN"]["value"] = np.zeros((3, 1))
    plate["CHANNEL"]["value"] = np.arange(1, 7).reshape(6, 1)
    file.write(str(path))
    return put
