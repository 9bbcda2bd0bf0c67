"""Time of one ultrasound image, 300 x 300 pixels: `python benchmarks/ultrasound.py [--images 200]`."""

from __future__ import annotations

import argparse
import time

import numpy as np
from exotwin.sim.sensors.ultrasound import Ultrasound, UltrasoundSpec
from rich.console import Console


def main() -> None:
    """Time images of a calf at rest, processor time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    args = parser.parse_args()
    probe = Ultrasound(UltrasoundSpec())
    probe.reset(np.random.default_rng(0))
    took = np.empty(args.images)
    for k in range(args.images):
        begun = time.process_time()
        probe.image(0.04 * k, [1.0, 1.0])
        took[k] = 1e3 * (time.process_time() - begun)
    Console().print(f"median {np.median(took):.2f} ms, 99th percentile {np.percentile(took, 99):.2f} ms an image")


if __name__ == "__main__":
    main()
