"""What a data set costs on one core: `python benchmarks/generate.py [--seconds 20] [--gaits walk,circuit]`.

Makes one recording of each gait as `exotwin generate` does, raw EMG and writing included, and prints hours of data per
hour, megabytes per hour of data, the share of each stage and the memory of the process. Compiling comes before.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exotwin.scenarios.cli_dataset import load_generation
from exotwin.sim.dataset import make as making
from exotwin.sim.dataset.plan import Job, plan
from exotwin.sim.dataset.store import Store
from exotwin.sim.plant import Plant
from exotwin.sim.runlog import RunLog

# What is timed, and what of it belongs to another stage and is taken off again.
STAGES: dict[str, tuple[tuple[Any, str], ...]] = {
    "building the person": ((Plant, "__init__"),),
    "physics and nervous system": ((Plant, "step"), (Plant, "reset")),
    "sensors": ((Plant, "_frame"),),
    "log, every tick": ((RunLog, "add"),),
    "truth: columns, modes, metabolic rate": ((RunLog, "recording"), (RunLog, "raw_emg")),
    "writing: Parquet, checksum, disk": ((making, "parquet"), (Store, "write"), (making, "describe")),
}
WITHIN = {"sensors": "physics and nervous system"}


@contextmanager
def stopwatches() -> Iterator[dict[str, float]]:
    """Processor time (s) by stage of what runs within."""
    spent: dict[str, float] = defaultdict(float)
    methods = [(stage, owner, name, getattr(owner, name)) for stage, many in STAGES.items() for owner, name in many]

    def timed(stage: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            begun = time.process_time()
            try:
                return method(*args, **options)
            finally:
                took = time.process_time() - begun
                spent[stage] += took
                if stage in WITHIN:
                    spent[WITHIN[stage]] -= took

        return call

    for stage, owner, name, method in methods:
        setattr(owner, name, timed(stage, method))
    try:
        yield spent
    finally:
        for _, owner, name, method in methods:
            setattr(owner, name, method)


def memory_mb() -> float:
    """The most memory that this process has held."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def timed_make(store: Store, job: Job) -> tuple[float, float, float, dict[str, float]]:
    """Seconds of data, wall and processor seconds, and the latter by stage, of one recording."""
    with stopwatches() as spent:
        begun, cpu = time.perf_counter(), time.process_time()
        file = making.make(store, job)
        wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    return file.seconds, wall, cpu, dict(spent)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each recording")
    parser.add_argument("--gaits", default="all")
    parser.add_argument("--device", default="hip_knee_ankle")
    parser.add_argument("--preset", default="consumer")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    asked = {"gaits": options.gaits, "subjects": 1, "seed": options.seed}
    length = {"recording_s": options.seconds, "minutes_per_gait": options.seconds / 60.0}
    request = load_generation(None, asked | length, options.device, options.preset)
    jobs = plan(request)
    data, walls, cpus = 0.0, 0.0, 0.0
    stages: dict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.at(Path(folder))
        for job in {job.gait.policy: job for job in jobs}.values():
            making.make(store, job)  # compiles
        print(f"{'gait':<24} {'data s':>7} {'real time':>9} {'by processor time':>17}")
        for job in jobs:
            seconds, wall, cpu, spent = timed_make(store, job)
            data, walls, cpus = data + seconds, walls + wall, cpus + cpu
            for stage, took in spent.items():
                stages[stage] += took
            print(f"{job.gait.name:<24} {seconds:7.1f} {seconds / wall:8.1f}x {seconds / cpu:16.1f}x")
        sizes = {path: (Path(folder) / path).stat().st_size / 1e6 for path in store.files()}
    stages["the rest"] = cpus - sum(stages.values())
    print(f"\n{'stage, processor time':<40} {'s per hour of data':>18} {'share':>7}")
    for stage, took in stages.items():
        print(f"{stage:<40} {took * 3600.0 / data:18.0f} {100.0 * took / cpus:6.1f}%")
    emg = sum(size for path, size in sizes.items() if path.startswith("_"))
    print(f"\n{data / walls:.1f} hours of data per hour on one core, {data / cpus:.1f} by processor time")
    print(f"{sum(sizes.values()) * 3600.0 / data:.0f} MB per hour of data, {emg * 3600.0 / data:.0f} of them raw EMG")
    print(f"10 hours of data on two cores: {600.0 * walls / data / 2.0:.0f} minutes; {memory_mb():.0f} MB of memory")


if __name__ == "__main__":
    main()
