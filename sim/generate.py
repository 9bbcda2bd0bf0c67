"""Generates a data set: sampled people in an exo walk and stand, unaided and under varied assistance.

Each recording is one job with a seed of its own, so the set does not depend on the number of workers, and an
interrupted run goes on where it stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from ..controllers.device import DeviceDescription
from ..controllers.interface import FloatArray
from .manifest import Manifest, build_manifest, write_manifest
from .person import Subject
from .plant import Plant
from .runlog import LICENCE, RunLog, versions

SEGMENT_S = 8.0  # one speed and one assistance
GAITS = {"walk": "level_walk", "stand": "stand"}
WALK_SPEED = (0.75, 1.65)  # m/s
ASSIST_SHARE = (0.0, 0.35)  # of the person's own torque, per joint
OFFSET_NM_PER_KG = 0.05  # random torque beside it, so that torque and motion are not locked to each other
SMOOTHING_S = 0.05
# Body-mass index of sampled people, kg/m^2: the middle of the adult range.
BMI = (19.0, 31.0)


@dataclass(frozen=True)
class Job:
    """One recording to make."""

    task: str
    subject: Subject
    device: DeviceDescription
    index: int
    seed: tuple[int, ...]
    seconds: float

    @property
    def path(self) -> str:
        """Where it goes in the data set."""
        return f"task={self.task}/subject={self.subject.id}/{self.index:03d}.parquet"


def sample_subjects(count: int, seed: int) -> list[Subject]:
    """People drawn uniformly in height 1.55-1.92 m, body-mass index 19-31 and strength 0.85-1.15."""
    people = []
    for i in range(count):
        rng = np.random.default_rng((seed, i))
        height = rng.uniform(1.55, 1.92)
        mass = rng.uniform(*BMI) * height**2
        people.append(Subject(f"s{i:03d}", round(mass, 1), round(height, 3), round(rng.uniform(0.85, 1.15), 3)))
    return people


def plan(
    subjects: int, minutes: float, device: DeviceDescription, tasks: tuple[str, ...], seed: int, seconds: float = 40.0
) -> list[Job]:
    """The recordings of a data set: `minutes` of walking for each person and a quarter of that of each other task."""
    jobs = []
    for number, subject in enumerate(sample_subjects(subjects, seed)):
        for t, task in enumerate(tasks):
            wanted = 60.0 * minutes * (1.0 if task == "walk" else 0.25)
            for index in range(max(1, round(wanted / seconds))):
                jobs.append(Job(task, subject, device, index, (seed, number, t, index), seconds))
    return jobs


def generate(
    folder: Path, jobs: list[Job], seed: int, workers: int, tell: Callable[[int, int], None] | None = None
) -> Manifest:
    """Make every recording that is not there yet, then the manifest. tell(done, all) is called after each.

    Ctrl-C leaves whole recordings only; calling again goes on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [job for job in jobs if not (folder / job.path).exists()]
    done = len(jobs) - len(missing)
    if tell:
        tell(done, len(jobs))
    if workers <= 1:
        for job in missing:
            make(folder, job)
            done += 1
            if tell:
                tell(done, len(jobs))
    else:
        context = get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_quiet_worker) as pool:
            waiting = [pool.submit(make, folder, job) for job in missing]
            try:
                for future in as_completed(waiting):
                    future.result()
                    done += 1
                    if tell:
                        tell(done, len(jobs))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    request: dict[str, Any] = {
        "tasks": sorted({j.task for j in jobs}),
        "recordings": len(jobs),
        "seconds_each": jobs[0].seconds,
        "device": jobs[0].device.name,
    }
    manifest = build_manifest(
        folder,
        created_by="exotwin generate",
        seed=seed,
        request=request,
        versions=versions(),
        licence=LICENCE,
    )
    write_manifest(manifest, folder)
    return manifest


def _quiet_worker() -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"


def make(folder: Path, job: Job) -> None:
    """Simulate one job and write its recording; a fall ends it and is counted in its metadata."""
    rng = np.random.default_rng(job.seed)
    plant = Plant(job.subject, job.device, GAITS[job.task])
    log = RunLog(plant, job.seconds)
    walking = job.task == "walk"
    frame = plant.reset(float(rng.uniform(*WALK_SPEED)) if walking else 0.0, rng.spawn(1)[0])
    helper = _Helper(plant, job.device)
    every = round(SEGMENT_S * plant.rate)
    torque = np.zeros(len(job.device.actuated))
    for k in range(round(job.seconds * plant.rate)):
        if k % every == 0:
            # The first segment is unaided; later ones change speed and help.
            helper.draw(rng, helped=k > 0 and rng.random() < 0.75)
            if walking and k > 0:
                plant.command_speed(float(rng.uniform(*WALK_SPEED)))
        torque = helper.torque(rng)
        log.add(frame, torque)
        frame = plant.step(torque)
        if plant.fallen:
            log.event("fall")
            break
    log.recording(f"generate/{job.task}", "generated", job.seed[0]).write(folder / job.path)


class _Helper:
    """Assistance of a segment: a share of the person's own torque, late and smooth, plus slow random torque."""

    def __init__(self, plant: Plant, device: DeviceDescription) -> None:
        self.plant, self.joints, self.mass = plant, device.actuated, plant.subject.mass_kg
        n = len(self.joints)
        self.share, self.amplitude = np.zeros(n), 0.0
        self.smooth, self.noise = np.zeros(n), np.zeros(n)
        self.step = 1.0 / (SMOOTHING_S * plant.rate)

    def draw(self, rng: np.random.Generator, helped: bool) -> None:
        """New shares, the same on both legs."""
        half = len(self.joints) // 2
        self.share = np.tile(rng.uniform(*ASSIST_SHARE, half), 2) * helped
        self.amplitude = OFFSET_NM_PER_KG * self.mass * helped

    def torque(self, rng: np.random.Generator) -> FloatArray:
        """The command now, Nm."""
        own = self.plant.biological_torque(self.joints) * self.mass
        self.smooth += self.step * (own - self.smooth)
        # An Ornstein-Uhlenbeck walk of 0.5 s.
        decay = 2.0 / self.plant.rate
        self.noise += -decay * self.noise + np.sqrt(2.0 * decay) * rng.standard_normal(len(self.noise))
        return self.share * self.smooth + self.amplitude * self.noise
