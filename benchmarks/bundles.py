"""Time of one frame through each shipped bundle, Python call included: `python benchmarks/bundles.py`."""

from __future__ import annotations

import time

import numpy as np
from exotwin.controllers.interface import ChannelLayout, SensorFrame
from exotwin.controllers.protocols import ModeEstimate
from exotwin.estimators.bundle import read_manifest
from exotwin.estimators.runtime import OnnxEstimator, OnnxModeClassifier
from exotwin.scenarios.catalogue import find_bundle, list_bundles

FRAMES = 5000


def main() -> None:
    """Print the median and the 99th percentile of every bundle."""
    mode = ModeEstimate("walk", 1.0, "normal")
    for name in list_bundles():
        folder = find_bundle(name)
        torque = read_manifest(folder).spec.kind == "torque"
        part = OnnxEstimator(folder) if torque else OnnxModeClassifier(folder)
        layout = ChannelLayout(part.channels)
        values = np.random.default_rng(0).standard_normal((FRAMES, len(layout)))
        spent = np.zeros(FRAMES)
        for k in range(FRAMES):
            frame = SensorFrame(k / 200.0, values[k], layout)
            begun = time.perf_counter()
            part.update(frame, mode) if isinstance(part, OnnxEstimator) else part.update(frame)
            spent[k] = 1e6 * (time.perf_counter() - begun)
        median, slow = np.median(spent), np.quantile(spent, 0.99)
        print(f"{name:22} {len(layout):3} channels  {median:6.1f} us, 99th percentile {slow:.1f}")


if __name__ == "__main__":
    main()
