"""Renders the pictures of README and docs from the shipped policies: `python docs/make_pictures.py`.

A strip is of the first of ten starts that stays on its feet; a gait that falls in all of them has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from exotwin.scenarios.catalogue import find_device
from exotwin.sim.impairments import Impairment
from exotwin.sim.plant import Plant
from exotwin.sim.rendering import render_picture, render_strip
from exotwin.sim.runlog import RunLog
from exotwin.sim.seat import seat_place
from exotwin.sim.subjects import Subject
from exotwin.sim.terrain import LEVEL, load_terrain
from exotwin.sim.truth import BLOCKS

FOLDER = Path(__file__).parent / "pictures"
SECONDS = 10.0
STRIKE = 0.05  # gait phase of the stills: just after right heel strike
STRIDE = 58  # poses of a stride at 1.25 m/s
STARTS = 10


@dataclass(frozen=True)
class Strip:
    """What a strip shows: a walk from world x `shown[0]` to `shown[1]` (m), or a posture and the one asked for."""

    name: str
    speed: float = 1.1
    terrain: str | None = None
    shown: tuple[float, float] = (3.0, 6.0)
    postures: tuple[str, str] | None = None
    impairments: tuple[Impairment, ...] = ()


STRIPS = (
    Strip("ramp_up", terrain="ramp_up_10", shown=(2.6, 6.2)),
    Strip("ramp_down", terrain="ramp_down_10", shown=(2.6, 6.2)),
    Strip("stairs_up", terrain="stairs_up", shown=(2.6, 5.4)),
    Strip("stairs_down", terrain="stairs_down", shown=(2.6, 5.4)),
    Strip("fast", speed=1.8),
    Strip("crouch_gait", speed=0.9, impairments=(Impairment(kind="crouch_gait", severity=0.5, side="both"),)),
    Strip("sit_to_stand", postures=("sit", "stand")),
    Strip("squat", postures=("stand", "squat")),
)


def record(plant: Plant, what: Strip, seed: int) -> RunLog:
    """A run until its end or a fall."""
    log = RunLog(plant, SECONDS)
    frame = plant.reset(what.speed, np.random.default_rng(seed), posture=what.postures[0] if what.postures else "stand")
    while log.ticks < round(SECONDS * plant.rate) and not plant.fallen:
        if what.postures and plant.time > 1.0:
            plant.command_posture(what.postures[1])
        log.add(frame)
        frame = plant.step()
    return log


def at_poses(log: RunLog, block: str) -> np.ndarray:
    """Rows (n, ...) of a block of the true values at the poses that the log keeps."""
    start, count = BLOCKS[block]
    every = log.ticks // len(log.poses)
    return log.rows[: log.ticks : every, start : start + count][: len(log.poses)]


def stills() -> None:
    """The person alone and in each device just after heel strike, and a stride in the hip-knee-ankle exoskeleton."""
    for name, device in (("person", None), ("person_in_exo", "hip_knee_ankle"), ("dephy_exoboot", "dephy_exoboot")):
        plant = Plant(Subject(), find_device(device) if device else None)
        log = record(plant, Strip(name, speed=1.25), 0)
        activations, phases = at_poses(log, "activation"), at_poses(log, "phase")[:, 0]
        later = len(phases) // 2
        k = later + int(np.argmin(np.abs(phases[later:-STRIDE] - STRIKE)))
        render_picture(FOLDER / f"{name}.png", plant.subject, plant.device, log.poses[k], activations[k])
        if device == "hip_knee_ankle":
            stride = slice(k, k + STRIDE)
            poses = np.array(log.poses[stride])
            render_strip(FOLDER / "stride.png", plant.subject, plant.device, poses, activations=activations[stride])
        print(f"wrote {name}.png")


def strip(what: Strip) -> None:
    """One gait in the unpowered hip-knee-ankle exoskeleton; says so when every start falls."""
    gait = "walk" if what.postures is None else "stand"
    terrain = load_terrain(what.terrain) if what.terrain else LEVEL
    plant = Plant(Subject(), find_device("hip_knee_ankle"), gait, terrain=terrain, impairments=what.impairments)
    for seed in range(STARTS):
        log = record(plant, what, seed)
        if plant.fallen:
            continue
        poses, activations = np.array(log.poses), at_poses(log, "activation")
        if what.postures:
            shown, seat = slice(0, len(poses) // 2), seat_place(plant.person.model)
        else:
            x = poses[:, 0]
            shown, seat = slice(int(np.argmax(x > what.shown[0])), int(np.argmax(x > what.shown[1]))), None
        render_strip(
            FOLDER / f"{what.name}.png",
            plant.subject,
            plant.device,
            poses[shown],
            activations=activations[shown],
            terrain=terrain,
            seat=seat,
        )
        print(f"wrote {what.name}.png, seed {seed}")
        return
    print(f"no {what.name}.png: the person fell from each of {STARTS} starts")


if __name__ == "__main__":
    stills()
    for gait in STRIPS:
        strip(gait)
