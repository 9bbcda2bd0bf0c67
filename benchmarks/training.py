"""Environment steps a second of policy training on two threads, PPO included: `python benchmarks/training.py`.

Two short trainings of different length; the difference leaves start-up and compiling out.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from exotwin.scenarios.catalogue import find_device, list_devices
from exotwin.sim.gait_task import GaitTask, load_gait_task
from exotwin.sim.gait_training import train_gait


def seconds_for(task: GaitTask, rollouts: int, threads: int) -> tuple[int, float]:
    """Environment steps and wall time (s) of so many rollouts and updates of the whole task."""
    steps = rollouts * task.ppo.n_steps * sum(task.devices.values())
    short = task.model_copy(update={"steps": steps, "curriculum": ()})
    devices = {name: find_device(name) for name in list_devices()}
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        train_gait(short, devices, Path(folder), threads=threads)
    return steps, time.perf_counter() - begun


def main() -> None:
    """Print the rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gait", default="walk")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rollouts", type=int, default=10)
    options = parser.parse_args()
    task = load_gait_task(options.gait)
    seconds_for(task, 1, options.threads)
    few, start_up = seconds_for(task, 1, options.threads)
    many, whole = seconds_for(task, 1 + options.rollouts, options.threads)
    people = ", ".join(f"{count} in {name}" for name, count in task.devices.items())
    print(f"{task.name}: {people}; {options.threads} threads")
    print(f"{(many - few) / (whole - start_up):,.0f} environment steps/s, PPO updates included")


if __name__ == "__main__":
    main()
