"""Renders the pictures of README and docs from the shipped policies: `python docs/make_pictures.py`.

A strip is of the first of ten starts that stays on its feet; a gait that falls in all of them has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from exotwin.scenarios.catalogue import find_device
from exotwin.sim.impairments import Impairment
from exotwin.sim.person import Subject
from exotwin.sim.plant import Plant
from exotwin.sim.rendering import render_picture, render_strip
from exotwin.sim.runlog import RunLog
from exotwin.sim.seat import seat_place
from exotwin.sim.terrain import LEVEL, Level, Ramp, Stairs, Terrain
from exotwin.sim.truth import BLOCKS

FOLDER = Path(__file__).parent / "pictures"
SECONDS = 6.0
STRIKE = 0.05  # gait phase of the stills: just after right heel strike
STARTS = 10


@dataclass(frozen=True)
class Strip:
    """What a strip shows: a walk from world x `shown[0]` to `shown[1]` (m), or a posture and the one asked for."""

    name: str
    speed: float = 1.1
    terrain: Terrain = LEVEL
    shown: tuple[float, float] = (3.0, 6.0)
    postures: tuple[str, str] | None = None
    impairments: tuple[Impairment, ...] = ()


def _over(what: Ramp | Stairs, start: float, end: float, name: str) -> Strip:
    return Strip(name, terrain=Terrain([Level(length_m=3.0), what, Level(length_m=3.0)]), shown=(start, end))


STRIPS = (
    _over(Ramp(slope_deg=10.0, length_m=4.0), 2.6, 6.2, "ramp_up"),
    _over(Ramp(slope_deg=-10.0, length_m=4.0), 2.6, 6.2, "ramp_down"),
    _over(Stairs(rise_m=0.165, tread_m=0.3, count=6), 2.6, 5.4, "stairs_up"),
    _over(Stairs(rise_m=-0.165, tread_m=0.3, count=6), 2.6, 5.4, "stairs_down"),
    Strip("fast", speed=1.8),
    Strip("crouch_gait", speed=0.9, impairments=(Impairment(kind="crouch_gait", severity=0.5, side="both"),)),
    Strip("sit_to_stand", postures=("sit", "stand")),
    Strip("squat", postures=("stand", "squat")),
)


def stills() -> None:
    """The person alone and in each device just after heel strike, and a stride in the hip-knee-ankle exoskeleton."""
    for name, device in (("person", None), ("person_in_exo", "hip_knee_ankle"), ("dephy_exoboot", "dephy_exoboot")):
        plant = Plant(Subject(), find_device(device) if device else None)
        log = RunLog(plant, SECONDS)
        frame = plant.reset(1.25, np.random.default_rng(0))
        for _ in range(round(SECONDS * plant.rate)):
            log.add(frame)
            frame = plant.step()
        activations = _activations(log)
        every = log.ticks // len(log.poses)
        phases = log.rows[: log.ticks : every, BLOCKS["phase"][0]][: len(log.poses)]
        k = len(phases) // 2 + int(np.argmin(np.abs(phases[len(phases) // 2 :] - STRIKE)))
        render_picture(FOLDER / f"{name}.png", plant.subject, plant.device, log.poses[k], activations[k])
        if device == "hip_knee_ankle":
            stride = slice(k, k + 58)
            poses = np.array(log.poses[stride])
            render_strip(FOLDER / "stride.png", plant.subject, plant.device, poses, activations=activations[stride])
        print(f"wrote {name}.png")


def strip(what: Strip) -> None:
    """One gait in the unpowered hip-knee-ankle exoskeleton; says so when every start falls."""
    gait = "walk" if what.postures is None else "stand"
    plant = Plant(Subject(), find_device("hip_knee_ankle"), gait, terrain=what.terrain, impairments=what.impairments)
    for seed in range(STARTS):
        log = RunLog(plant, 15.0)
        frame = plant.reset(
            what.speed, np.random.default_rng(seed), posture=what.postures[0] if what.postures else "stand"
        )
        while plant.time < 14.0 and not plant.fallen:
            if what.postures and plant.time > 1.0:
                plant.command_posture(what.postures[1])
            log.add(frame)
            frame = plant.step()
        poses, activations = np.array(log.poses), _activations(log)
        if plant.fallen:
            continue
        if what.postures:
            shown, seat = slice(0, round(0.35 * len(poses))), seat_place(plant.person.model)
        else:
            x = poses[:, 0]
            shown, seat = slice(int(np.argmax(x > what.shown[0])), int(np.argmax(x > what.shown[1]))), None
        render_strip(
            FOLDER / f"{what.name}.png",
            plant.subject,
            plant.device,
            poses[shown],
            activations=activations[shown],
            terrain=what.terrain,
            seat=seat,
        )
        print(f"wrote {what.name}.png, seed {seed}")
        return
    print(f"no {what.name}.png: the person fell from each of {STARTS} starts")


def _activations(log: RunLog) -> np.ndarray:
    """Muscle activations (n, 26) at the poses that the log keeps."""
    start, count = BLOCKS["activation"]
    every = log.ticks // len(log.poses)
    return log.rows[: log.ticks : every, start : start + count][: len(log.poses)]


if __name__ == "__main__":
    stills()
    for gait in STRIPS:
        strip(gait)
