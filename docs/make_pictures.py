"""Renders the pictures of README and docs from the shipped walking policy: `python docs/make_pictures.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from exotwin.scenarios.catalogue import find_device
from exotwin.sim.person import Subject
from exotwin.sim.plant import Plant
from exotwin.sim.rendering import render_picture, render_strip
from exotwin.sim.runlog import RunLog
from exotwin.sim.truth import BLOCKS

FOLDER = Path(__file__).parent / "pictures"
SECONDS = 6.0
STRIKE = 0.05  # gait phase of the stills: just after right heel strike


def main() -> None:
    """Write every picture."""
    for name, device in (("person", None), ("person_in_exo", "hip_knee_ankle"), ("dephy_exoboot", "dephy_exoboot")):
        plant = Plant(Subject(), find_device(device) if device else None)
        log = RunLog(plant, SECONDS)
        frame = plant.reset(1.25, np.random.default_rng(0))
        for _ in range(round(SECONDS * plant.rate)):
            log.add(frame)
            frame = plant.step()
        start, count = BLOCKS["activation"]
        every = log.ticks // len(log.poses)
        activations = log.rows[: log.ticks : every, start : start + count][: len(log.poses)]
        phases = log.rows[: log.ticks : every, BLOCKS["phase"][0]][: len(log.poses)]
        k = len(phases) // 2 + int(np.argmin(np.abs(phases[len(phases) // 2 :] - STRIKE)))
        render_picture(FOLDER / f"{name}.png", plant.subject, plant.device, log.poses[k], activations[k])
        if device == "hip_knee_ankle":
            stride = slice(k, k + 58)
            poses = np.array(log.poses[stride])
            render_strip(FOLDER / "stride.png", plant.subject, plant.device, poses, activations=activations[stride])
        print(f"wrote {name}.png")


if __name__ == "__main__":
    main()
