"""Makes one recording of a data set: the person, the device and the plant of a job, run and written."""

from __future__ import annotations

import numpy as np

from ...controllers.interface import FloatArray
from ..body import SIDED_JOINTS
from ..manifest import DatasetFile, describe
from ..plant import Plant
from ..runlog import RunLog
from ..truth import BLOCKS
from .assistance import RandomHelp
from .content import parquet
from .plan import Job
from .store import Store

ARM = "generated"


def make(store: Store, job: Job) -> DatasetFile:
    """Simulate one job and write its recording, then say what the manifest should know of it.

    A fall ends the recording and is counted in its metadata. Raw EMG and ultrasound are written first: where there is a
    recording, all of it is there. Raises OSError when it cannot be written.
    """
    log = simulate(job)
    what = (f"generate/{job.gait.name}", ARM, job.seed[0])
    emg = log.raw_emg(*what) if job.emg_path else None
    emg_content = parquet(emg) if emg is not None else None
    images = log.ultrasound(*job.seed)
    image_content = images.content() if images is not None else None
    content = parquet(log.recording(*what))
    for path, beside in ((job.emg_path, emg_content), (job.ultrasound_path, image_content)):
        if path and beside is not None:
            store.write(path, beside)
    store.write(job.path, content)
    return describe(job.path, content, emg_content, image_content)


def simulate(job: Job) -> RunLog:
    """Run a job to its end or to a fall."""
    rng = np.random.default_rng(job.seed)
    gait = job.gait
    # Of their own, so that the person walks the same way under other faults.
    sensors, chance = rng.spawn(2)
    faults = tuple(fault for fault in job.faults if chance.random() < job.fault_share)
    plant = Plant(
        job.subject,
        job.device,
        gait.policy,
        _adaptation(rng, job.assistance.adapted),
        faults=faults,
        terrain=gait.draw_way(rng, job.seconds),
        impairments=job.impairments,
    )
    log = RunLog(plant, job.seconds)
    joints = np.array([SIDED_JOINTS.index(j) for j in job.device.actuated], dtype=np.int64)
    muscle, ligament = (joints + BLOCKS[part][0] for part in ("muscle", "ligament"))
    helper = RandomHelp(job.assistance, len(joints), job.subject.mass_kg, plant.rate)
    segment = round(job.assistance.segment_s * plant.rate)
    turn, change = 0, 0  # which posture is asked for, and from which tick on the next one
    frame = plant.reset(_speed(rng, job), sensors, posture=gait.postures[0])
    for k in range(round(job.seconds * plant.rate)):
        if k % segment == 0:
            helper.draw(rng)
            if gait.walks and k > 0:
                plant.command_speed(_speed(rng, job))
        if len(gait.postures) > 1 and k >= change:
            plant.command_posture(gait.postures[turn % len(gait.postures)])
            turn, change = turn + 1, k + round(float(rng.uniform(*gait.posture_s)) * plant.rate)
        torque: FloatArray = helper.torque(plant.row[muscle] + plant.row[ligament])
        log.add(frame, torque, faults=plant.active_faults)
        frame = plant.step(torque)
        if plant.fallen:
            log.event("fall")
            break
    return log


def _speed(rng: np.random.Generator, job: Job) -> float:
    return float(rng.uniform(*job.gait.speed_mps)) if job.gait.walks else 0.0


def _adaptation(rng: np.random.Generator, adapted: float) -> float:
    return 1.0 if rng.random() < adapted else round(float(rng.random()), 3)
