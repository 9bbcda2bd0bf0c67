"""The jobs of a data set: one recording each, with a seed of its own, so that nothing depends on who makes it when."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np

from ...controllers.device import DeviceDescription
from ..impairments import Impairment
from ..manifest import emg_path, ultrasound_path
from ..sensors.faults import SensorFault
from ..subjects import Subject
from .gaits import Gait
from .request import Assistance, Generation


@dataclass(frozen=True)
class Job:
    """One recording to make."""

    gait: Gait
    subject: Subject
    impairments: tuple[Impairment, ...]
    device: DeviceDescription
    assistance: Assistance
    faults: tuple[SensorFault, ...]
    fault_share: float
    index: int
    seed: tuple[int, ...]
    seconds: float
    raw_emg: bool = True

    @property
    def path(self) -> str:
        """Where its recording goes in the data set."""
        return f"task={self.gait.name}/subject={self.subject.id}/{self.index:03d}.parquet"

    @property
    def emg_path(self) -> str | None:
        """Where its raw EMG goes, None where there is none."""
        return emg_path(self.path) if self.raw_emg and self.device.sensors.emg else None

    @property
    def ultrasound_path(self) -> str | None:
        """Where its ultrasound images go, None where the device has no probe."""
        return ultrasound_path(self.path) if self.device.sensors.ultrasound else None


def plan(request: Generation) -> list[Job]:
    """All recordings of a data set, person by person.

    A recording's draws depend on the seed, its gait's name, its person and its number only: asking for more people,
    gaits or minutes leaves the others as they are.
    """
    jobs = []
    for number, subject in enumerate(request.subjects.sample(request.seed)):
        for gait in request.gaits:
            seed = (request.seed, zlib.crc32(gait.name.encode()), number)
            rng = np.random.default_rng((*seed, 0))
            impairments = tuple(one.draw(rng) for one in gait.impairments)
            wanted = 60.0 * (gait.minutes or request.minutes_per_gait)
            count = math.ceil(wanted / request.recording_s - 1e-6)  # 0.3 / 0.1 is a little more than 3
            for index in range(count):
                jobs.append(
                    Job(
                        gait,
                        subject,
                        impairments,
                        request.device,
                        request.assistance,
                        request.faults,
                        request.fault_share,
                        index,
                        (*seed, 1 + index),
                        min(request.recording_s, wanted),
                        request.raw_emg,
                    )
                )
    return jobs
