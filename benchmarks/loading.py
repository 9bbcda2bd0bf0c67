"""Time to open an hour of data and to load an epoch, against training: `python benchmarks/loading.py`.

A synthetic data set in a temporary folder: 90 recordings of 40 s at 200 Hz with the columns of `hip_knee_ankle`
(74 measured, 174 true ones that nobody asks for here). Training is one step of the shipped TCN on two threads.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from exotwin.controllers.device import IMU_AXES, MUSCLES, SIDED_JOINTS, SIDES
from exotwin.estimators.data import RecordingFile, TorqueSignals, column_statistics, common_rate, expand_channels
from exotwin.estimators.dataset import open_dataset
from exotwin.estimators.loading import MEMORY_MB, Loader, every_window, torque_loader
from exotwin.estimators.spec import DEFAULT_JOINTS
from exotwin.estimators.tcn import Tcn
from exotwin.sim.recording import Recording

RATE, SECONDS = 200.0, 40.0
WINDOW, STRIDE, BATCH = 100, 20, 256  # 0.5 s, every 0.1 s
GROUPS = ("imu/*", "encoder/*", "insole/*", "emg_env/*")
EMG = ("glutmax", "rectfem", "vasti", "hamstrings", "gastroc", "soleus", "tibant")
SITES = ("pelvis", *(f"{segment}_{side}" for side in SIDES for segment in ("thigh", "shank", "foot")))


def column_names() -> list[str]:
    """The numeric columns of a recording, measured ones first."""
    driven = ("hip_flexion", "knee_flexion", "ankle_dorsiflexion")
    measured = [f"imu/{site}/{axis}" for site in SITES for axis in IMU_AXES]
    measured += [f"encoder/{j}_{side}/{what}" for side in SIDES for j in driven for what in ("angle", "velocity")]
    measured += [f"insole/{side}/{what}" for side in SIDES for what in ("force", "cop_x", "cop_y")]
    measured += [f"emg_env/{muscle}_{side}" for side in SIDES for muscle in EMG]
    true = [f"{what}/{joint}" for what in ("angle", "velocity") for joint in SIDED_JOINTS]
    true += [f"torque/{part}/{j}" for part in ("muscle", "ligament", "exo", "biological", "net") for j in SIDED_JOINTS]
    true += [f"{what}/{muscle}_{side}" for what in ("activation", "force") for muscle in MUSCLES for side in SIDES]
    true += [f"{what}/{joint}" for what in ("estimate", "command", "delivered") for joint in DEFAULT_JOINTS]
    return measured + true + [f"grf/{side}/{axis}" for side in SIDES for axis in "xyz"]


def write_dataset(folder: Path, hours: float) -> None:
    """Noisy sines under the right names, in the layout that `exotwin generate` writes."""
    rng = np.random.default_rng(0)
    time_s = np.arange(int(RATE * SECONDS)) / RATE
    names, files = column_names(), []
    subjects = [f"s{k:02d}" for k in range(10)]
    for number in range(round(3600 * hours / SECONDS)):
        phase = 2 * np.pi * (time_s[:, None] * rng.uniform(0.8, 1.1) + rng.random(len(names)))
        values = np.sin(phase) + 0.05 * rng.standard_normal(phase.shape)
        columns: dict[str, Any] = {"time": time_s, "mode": np.full(len(time_s), "walk")}
        columns |= dict(zip(names, values.T, strict=True))
        subject = subjects[number % len(subjects)]
        path = f"task=walk/subject={subject}/{number:03d}.parquet"
        Recording(columns, {"subject": {"id": subject, "mass_kg": 70.0}, "rate_hz": RATE}).write(folder / path)
        digest = hashlib.sha256((folder / path).read_bytes()).hexdigest()
        files.append({"path": path, "task": "walk", "subject": subject, "sha256": digest})
    (folder / "manifest.json").write_text(json.dumps({"files": files, "splits": {"train": subjects}}))


class Spent(NamedTuple):
    """Seconds by the clock, and of processors, which other work on the machine does not lengthen."""

    wall: float
    processor: float

    def __str__(self) -> str:
        return f"{self.wall:.2f} s (processor {self.processor:.2f} s)"


def timed(work: Callable[[], Any]) -> tuple[Any, Spent]:
    """What `work` gives and how long it took."""
    wall, processor = time.perf_counter(), time.process_time()
    found = work()
    return found, Spent(time.perf_counter() - wall, time.process_time() - processor)


def opened(folder: Path, memory_mb: float) -> tuple[list[RecordingFile], TorqueSignals, Loader]:
    """Everything up to the first batch, but the statistics that a training needs."""
    recordings = open_dataset(folder).recordings("train")
    channels = expand_channels(GROUPS, recordings[0].names)
    signals = TorqueSignals(channels, DEFAULT_JOINTS, common_rate(recordings))
    for recording in recordings:
        recording.require(signals.columns)
    return recordings, signals, torque_loader(recordings, signals, np.zeros(len(channels)), memory_mb=memory_mb)


def epoch(loader: Loader, seed: int) -> tuple[int, Spent]:
    """Number of batches of an epoch of windows, and the time it takes to make them."""
    picks = every_window(loader.rows, WINDOW, STRIDE)
    batches = loader.batches(picks, WINDOW, BATCH, np.random.default_rng(seed))
    return timed(lambda: sum(1 for _ in batches))


def peak_mb() -> float:
    """Greatest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def step_time(shape: tuple[int, int, int], threads: int, repeats: int = 10) -> Spent:
    """Time of an optimiser step of the shipped TCN on inputs (batch, frames, channels)."""
    torch.set_num_threads(threads)
    model = Tcn(shape[2], len(DEFAULT_JOINTS), 64, 3, (1, 2, 4, 8, 16, 16))
    optimiser = torch.optim.AdamW(model.parameters())
    x, y = torch.randn(shape), torch.randn(*shape[:2], len(DEFAULT_JOINTS))

    def step() -> None:
        optimiser.zero_grad()
        (model(x) - y).square().mean().backward()
        optimiser.step()

    step()
    spent = timed(lambda: [step() for _ in range(repeats)])[1]
    return Spent(spent.wall / repeats, spent.processor / repeats)


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0, help="of data")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--memory-mb", type=float, default=64.0, help="limit of the first epoch, which does not fit")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # In a process of its own, so that its memory is not counted below.
        writer = get_context("spawn").Process(target=write_dataset, args=(folder, options.hours))
        writer.start()
        writer.join()
        size = sum(p.stat().st_size for p in folder.rglob("*.parquet")) / 2**20
        before = peak_mb()
        (recordings, signals, tight), opening = timed(lambda: opened(folder, options.memory_mb))
        frames = int(tight.rows.sum())
        print(f"{frames / RATE / 3600:.2f} h in {len(recordings)} recordings, {size:.0f} MB")
        print(f"open: {opening}")
        _, hashing = timed(lambda: [r.read(["time"]) for r in recordings])
        print(f"compare the hashes, once a training: {hashing}")
        parts = (signals.read(r).joined for r in recordings)
        _, reading = timed(lambda: column_statistics(signals.columns, parts))
        print(f"mean and spread of each channel, once a training: {reading}")
        n, decoding = epoch(tight, seed=0)
        print(f"epoch of {n} batches of {BATCH} windows of {WINDOW} frames of {len(signals.channels)} channels")
        print(f"of which {options.memory_mb:g} MB are kept: {decoding}, {1e3 * decoding.wall / n:.1f} ms a batch")
        print(f"memory so far: {peak_mb() - before:.0f} MB more than before opening")
        loader = opened(folder, MEMORY_MB)[2]
        epoch(loader, seed=0)
        _, kept = epoch(loader, seed=1)
        print(f"the same, all kept: {kept}, {1e3 * kept.wall / n:.1f} ms a batch")
        step = step_time((BATCH, WINDOW, len(signals.channels)), options.threads)
        print(f"training step of the TCN on such a batch, {options.threads} threads: {step}")
        shares = [found.processor / (n * step.processor) for found in (decoding, kept)]
        print(f"processor time of loading against training: {shares[0]:.1%}, all kept {shares[1]:.1%}")


if __name__ == "__main__":
    main()
