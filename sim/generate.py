"""Generates a data set: sampled people in an exo walk and stand, unaided and under varied assistance.

Each recording is one job with a seed of its own, so the set does not depend on the number of workers, and an
interrupted run goes on where it stopped.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from ..controllers.device import DeviceDescription
from ..controllers.interface import FloatArray
from .manifest import FILE_NAME, Manifest, build_manifest, split_subjects, write_manifest
from .plant import Plant
from .recording import read_recording
from .runlog import LICENCE, RunLog, versions
from .subjects import Subject, sample_subjects

SEGMENT_S = 8.0  # one speed and one assistance
GAITS = {"walk": "walk", "stand": "stand"}
WALK_SPEED = (0.75, 1.65)  # m/s
ASSIST_SHARE = (0.0, 0.35)  # of the person's own torque, per joint
OFFSET_NM_PER_KG = 0.05  # random torque beside it, so that torque and motion are not locked to each other
SMOOTHING_S = 0.05


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

    @property
    def meta(self) -> dict[str, Any]:
        """What its recording's metadata say of it."""
        return {
            "subject": self.subject.as_dict(),
            "device": self.device.name,
            "scenario": f"generate/{self.task}",
            "seed": self.seed[0],
            "versions": versions(),
        }

    def made(self, meta: dict[str, Any]) -> bool:
        """Whether a recording of this metadata came of this job."""
        whole = meta["falls"] > 0 or abs(meta["duration_s"] - self.seconds) < 1.0 / meta["rate_hz"]
        return whole and all(meta[key] == value for key, value in self.meta.items())


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

    Ctrl-C, or the death of a worker, leaves whole recordings only; calling again goes on. Raises ValueError for too few
    people to split, and when the folder holds a recording of another request; ChildProcessError for a dead worker.
    """
    if not jobs:
        raise ValueError("nothing to generate")
    split_subjects((job.subject.id for job in jobs), seed)  # not after hours that there are too few people
    folder.mkdir(parents=True, exist_ok=True)
    missing = _missing(folder, jobs)
    if missing:
        (folder / FILE_NAME).unlink(missing_ok=True)  # it is of a whole set
    done = len(jobs) - len(missing)
    if tell:
        tell(done, len(jobs))

    def one_more() -> None:
        nonlocal done
        done += 1
        if tell:
            tell(done, len(jobs))

    if workers > 1:
        try:
            _in_parallel(folder, missing, workers, one_more)
        except ChildProcessError:
            _sweep(folder)
            raise
    else:
        for job in missing:
            make(folder, job)
            one_more()
    request: dict[str, Any] = {
        "tasks": sorted({j.task for j in jobs}),
        "subjects": len({j.subject.id for j in jobs}),
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


def _missing(folder: Path, jobs: list[Job]) -> list[Job]:
    """The jobs still to do. Raises ValueError when what is there was not made by these jobs."""
    _sweep(folder)
    missing = {job.path: job for job in jobs}
    for path in sorted(folder.rglob("*.parquet")):
        job = missing.pop(path.relative_to(folder).as_posix(), None)
        meta = read_recording(path, columns=[]).meta
        if job is None or not job.made(meta):
            raise ValueError(f"{path} is of another request: choose another folder, or delete this one")
    return list(missing.values())


def _sweep(folder: Path) -> None:
    """Remove what killed workers were writing."""
    for partial in folder.glob("task=*/subject=*/.*.part"):
        partial.unlink()


def _in_parallel(folder: Path, jobs: list[Job], workers: int, one_more: Callable[[], None]) -> None:
    # Read by the workers' libraries as they load.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_ignore_interrupt) as pool:
        try:
            for future in as_completed([pool.submit(make, folder, job) for job in jobs]):
                future.result()
                one_more()
        except BrokenProcessPool:
            raise ChildProcessError(
                "a worker was killed (out of memory?): run the same command again to go on"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _ignore_interrupt() -> None:
    """Ctrl-C reaches the whole process group: the parent answers it, the workers end the recording they are at."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


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
    log.recording(job.meta["scenario"], "generated", job.meta["seed"]).write(folder / job.path)


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
