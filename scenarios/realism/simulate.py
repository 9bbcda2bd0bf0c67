"""Lets sampled people move without a device, each gait and person a job of its own, and judges what they did."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np

from ..gait_cycles import FloatArray
from .cycles import PersonCycles, person_cycles
from .gaits import Gait, Window
from .result import Realism, across_gaits, judge, not_simulated

if TYPE_CHECKING:
    from ...sim.recording import Recording
    from ...sim.runlog import RunLog
    from ...sim.subjects import Subject
    from ...sim.terrain import Terrain

SKIP_S = 4.0  # the transient from the first pose
ENVELOPE_HZ = 6.0  # cut-off of the EMG's linear envelope (chosen; 3-10 Hz are usual)
SECONDS = 20.0  # of level movement, the transient included
POSTURE_S = 3.0  # between commands of other postures: a rise and some rest
LONGEST_S = 60.0  # of a run on terrain, which else ends behind its last section


@dataclass(frozen=True)
class Job:
    """One person in one gait. seconds: how long on level ground."""

    gait: Gait
    subject: Subject
    seed: int
    seconds: float = SECONDS


def missing(gait: Gait) -> str:
    """Why a gait cannot be simulated: its policy or terrain that is not there, "" if nothing is missing."""
    from ...sim.gait_task import load_gait_task
    from ...sim.policy import load_policy

    try:
        load_gait_task(gait.policy)
        load_policy(gait.policy)
        if gait.terrain:
            _terrain(gait.terrain)
    except (ValueError, OSError) as error:
        return str(error).split(";")[0]  # no guess at another name
    return ""


def _terrain(name: str) -> Terrain:
    from ...sim.terrain import load_terrain

    return load_terrain(name)


def section(terrain: Terrain) -> Window:
    """Where a gait's strides must be: world x at which the first section that is not level begins and ends."""
    rows = terrain.rows()
    i = next(i for i, section in enumerate(terrain.sections) if section.kind != "level")
    return float(rows[i, 0]), float(rows[i, 1])


def record(job: Job) -> Recording:
    """The recording of one job: until the time is up, the terrain crossed, or a fall."""
    from ...sim.plant import Plant
    from ...sim.runlog import RunLog

    gait = job.gait
    options: dict[str, Any] = {}
    seconds, goal = job.seconds, np.inf
    if gait.terrain:
        terrain = options["terrain"] = _terrain(gait.terrain)
        seconds, goal = LONGEST_S, terrain.length_m + 1.0
    if gait.impairments:
        from ...sim.impairments import Impairment

        options["impairments"] = tuple(Impairment(kind=k, severity=s, side=side) for k, s, side in gait.impairments)
    # A name's own number, so that a gait comes out the same whichever others are asked for.
    rng = np.random.default_rng((job.seed, zlib.crc32(gait.name.encode()), zlib.crc32(job.subject.id.encode())))
    plant = Plant(job.subject, None, gait.policy, **options)
    log = RunLog(plant, seconds)
    asked = gait.postures or ("stand",)
    plant.reset(gait.speed_mps, rng, posture=asked[0])
    for k in range(round(seconds * plant.rate)):
        if len(asked) > 1 and k % (every := round(POSTURE_S * plant.rate)) == 0:
            plant.command_posture(asked[k // every % len(asked)])
        log.add(None)
        plant.step()
        if plant.fallen:
            log.event("fall")
            break
        if plant.person.data.qpos[0] > goal:
            break
    recording = log.recording(f"realism/{gait.name}", "realism", job.seed)
    if log.ticks < plant.rate:
        return recording
    return replace(recording, columns=recording.columns | _envelopes(log))


def _envelopes(log: RunLog) -> dict[str, FloatArray]:
    """What ideal surface EMG would show: the excitations, smoothed without lag."""
    from scipy.signal import butter, sosfiltfilt

    from ...sim.body import SIDED_MUSCLES
    from ...sim.truth import BLOCKS

    start, length = BLOCKS["excitation"]
    excitation = log.rows[: log.ticks, start : start + length]
    smooth = sosfiltfilt(butter(2, ENVELOPE_HZ, fs=log.plant.rate, output="sos"), excitation, axis=0)
    return {f"emg_env/{muscle}": smooth[:, i] for i, muscle in enumerate(SIDED_MUSCLES)}


def run(job: Job) -> PersonCycles:
    """One job's mean cycles."""
    gait = job.gait
    along = section(_terrain(gait.terrain)) if gait.terrain else None
    skip_s = 0.0 if gait.terrain or gait.kind == "rise" else min(SKIP_S, 0.25 * job.seconds)
    recording = record(job)
    if len(recording) < recording.meta["rate_hz"]:
        return PersonCycles({}, {}, 0, fell=True)
    return person_cycles(recording, skip_s=skip_s, along=along, rise=gait.kind == "rise")


def realism(
    gaits: Sequence[Gait],
    subjects: Sequence[Subject],
    seed: int = 0,
    workers: int = 1,
    seconds: float = SECONDS,
    tell: Callable[[int, int], None] | None = None,
) -> Realism:
    """Simulate and judge gaits; one that is not there yet is in the result with the reason.

    seconds: length of each run on level ground, the first `SKIP_S` (at most a quarter) left out. tell(done, all) is
    called after each run. The result does not depend on `workers`. ChildProcessError for a worker that was killed.
    """
    reasons = {gait.name: missing(gait) for gait in gaits}
    jobs = [Job(gait, subject, seed, seconds) for gait in gaits if not reasons[gait.name] for subject in subjects]
    people: dict[tuple[str, str], PersonCycles] = {}
    for done, (job, found) in enumerate(_results(jobs, workers), 1):
        people[job.gait.name, job.subject.id] = found
        if tell:
            tell(done, len(jobs))
    groups = [
        (gait, [people[gait.name, subject.id] for subject in subjects]) for gait in gaits if not reasons[gait.name]
    ]
    judged = {gait.name: judge(gait, group) for gait, group in groups}
    settings = {
        "subjects": [subject.as_dict() for subject in subjects],
        "seed": seed,
        "seconds": seconds,
        "versions": _versions(),
    }
    return Realism(
        tuple(judged.get(gait.name) or not_simulated(gait, reasons[gait.name]) for gait in gaits),
        across_gaits(groups),
        settings,
    )


def _versions() -> dict[str, str]:
    from ...sim.runlog import versions

    return versions()


def _results(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, PersonCycles]]:
    if workers < 2 or len(jobs) < 2:
        for job in jobs:
            yield job, run(job)
        return
    with _one_thread_each(), ProcessPoolExecutor(min(workers, len(jobs)), get_context("spawn")) as pool:
        futures = {pool.submit(run, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            raise ChildProcessError("a worker was killed (out of memory?)") from None
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Workers inherit one thread each from the environment, which their libraries read as they load."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
