"""Data sets without physics: a maker of small recordings that follow from the job alone, and what lies in a folder."""

from __future__ import annotations

import hashlib
import io
from functools import cache
from pathlib import Path

import numpy as np
from exotwin.controllers.device import DeviceDescription
from exotwin.controllers.sensor_specs import UltrasoundSpec
from exotwin.scenarios.catalogue import find_device
from exotwin.sim.dataset.content import parquet
from exotwin.sim.dataset.plan import Job
from exotwin.sim.dataset.request import Generation
from exotwin.sim.dataset.store import Store
from exotwin.sim.manifest import DatasetFile, describe
from exotwin.sim.recording import Recording
from exotwin.sim.runlog import versions
from exotwin.sim.sensors.ultrasound import Scan

RATE = 50.0


@cache
def device() -> DeviceDescription:
    return find_device("hip_knee_ankle")


def with_probe() -> DeviceDescription:
    """The device with an ultrasound probe."""
    sensors = device().sensors.model_copy(update={"ultrasound": UltrasoundSpec(frame_rate_hz=5.0)})
    return device().model_copy(update={"sensors": sensors})


def request(**changes: object) -> Generation:
    """Two recordings of 1 s of each of two gaits for each of three people."""
    plain = {"gaits": "walk,stand", "subjects": 3, "minutes_per_gait": 2 / 60, "recording_s": 1.0, "seed": 11}
    return Generation.model_validate(plain | {"device": device()} | changes)


def make(store: Store, job: Job) -> DatasetFile:
    """Write a recording whose numbers follow from the job; the second walk of the second person ends in a fall."""
    falls = int(job.gait.name == "walk" and job.subject.id.endswith("001") and job.index == 1)
    seconds = 0.4 if falls else job.seconds
    n = round(seconds * RATE)
    rng = np.random.default_rng(job.seed)
    meta = {
        "subject": job.subject.as_dict(),
        "device": job.device.name,
        "seed": job.seed[0],
        "rate_hz": RATE,
        "versions": versions(),
        "falls": falls,
    }
    columns = {"time": np.arange(n) / RATE, "angle/knee_flexion_r": rng.standard_normal(n)}
    emg = parquet(Recording({"time": np.arange(n) / RATE, "emg/soleus_r": rng.standard_normal(n)}, meta))
    content = parquet(Recording(columns, meta))
    images = Scan(np.arange(5) / 5.0, rng.integers(0, 256, (5, 8, 8), np.uint8), np.ones(2)).content()
    if job.emg_path:
        store.write(job.emg_path, emg)
    if job.ultrasound_path:
        store.write(job.ultrasound_path, images)
    store.write(job.path, content)
    return describe(job.path, content, emg if job.emg_path else None, images if job.ultrasound_path else None)


def hashes(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too, by its path there."""
    found = (path for path in Path(folder).rglob("*") if path.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def is_whole(content: bytes) -> bool:
    """Whether a Parquet file is complete."""
    import pyarrow.parquet as pq

    return pq.read_table(io.BytesIO(content)).num_rows > 0
