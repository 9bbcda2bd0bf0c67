"""What each kind of sensor is worth to a torque estimator: `python benchmarks/value_of_sensors.py DATA`.

One small TCN is trained on a data set from joint kinematics, with EMG, with insoles and with both, and scored on
people it never saw; every seed deals the people anew. On people in a laboratory (28 activities; Improving
biological joint moment estimation during real-world tasks with EMG and instrumented insoles, 2024, PMC11364170)
EMG helps, insoles help, and both help most. Exit code 1 if that order does not come out at the hip and the knee.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from exotwin.controllers.config import require_known
from exotwin.controllers.device import JOINTS, SIDES
from exotwin.estimators.dataset import open_dataset
from exotwin.estimators.training import train_torque_estimator
from exotwin.sim.manifest import split_subjects

KINEMATICS, EMG, INSOLES = ("imu/*", "encoder/*"), ("emg_env/*",), ("insole/*",)
GROUPS = {
    "kinematics": KINEMATICS,
    "kinematics, EMG": KINEMATICS + EMG,
    "kinematics, insoles": KINEMATICS + INSOLES,
    "all": KINEMATICS + EMG + INSOLES,
}
# Change of the RMSE against kinematics alone, %: abstract of PMC11364170. It has no ankle.
PUBLISHED = {
    "kinematics, EMG": {"hip_flexion": -16.9, "knee_flexion": -30.4},
    "kinematics, insoles": {"hip_flexion": -21.7, "knee_flexion": -33.9},
    "all": {"hip_flexion": -32.5, "knee_flexion": -41.2},
}
CLAIMS = (
    ("EMG helps", "kinematics, EMG", ("kinematics",)),
    ("insoles help", "kinematics, insoles", ("kinematics",)),
    ("both help most", "all", ("kinematics, EMG", "kinematics, insoles")),
)

Scores = dict[str, dict[str, dict[str, np.ndarray]]]  # group -> joint -> rmse (Nm/kg), r2 -> (n_seeds,)


@dataclass(frozen=True)
class Job:
    """One training."""

    data: Path
    tasks: tuple[str, ...] | None
    joints: tuple[str, ...]
    group: str
    seed: int
    hidden: int
    epochs: int


def scored(job: Job) -> dict[str, dict[str, float]]:
    """Joint -> errors on the test subjects of a network trained for a job."""
    dataset = open_dataset(job.data).only(tasks=job.tasks)
    people = sorted({file.subject for file in dataset.files})
    dealt = split_subjects(np.random.default_rng(job.seed).permutation(people).tolist(), job.seed)
    with tempfile.TemporaryDirectory() as folder:
        metrics = train_torque_estimator(
            dataset.model_copy(update={"splits": dealt.model_dump()}),
            folder,
            channels=GROUPS[job.group],
            joints=tuple(f"{joint}_{side}" for side in SIDES for joint in job.joints),
            hidden=job.hidden,
            epochs=job.epochs,
            seed=job.seed,
            progress=False,
        )
    return metrics["test"]


def compare(jobs: Sequence[Job], workers: int) -> Scores:
    """Do all jobs, telling each on stderr as it ends."""
    found: list[dict[str, dict[str, float]]] = []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for job, errors in zip(jobs, pool.map(scored, jobs), strict=True):
            found.append(errors)
            shown = ", ".join(f"{joint} {e['rmse']:.4f}" for joint, e in errors.items())
            print(f"seed {job.seed}, {job.group}: {shown}", file=sys.stderr)
    return {
        group: {
            joint: {
                key: np.array([e[joint][key] for job, e in zip(jobs, found, strict=True) if job.group == group])
                for key in ("rmse", "r2")
            }
            for joint in jobs[0].joints
        }
        for group in GROUPS
    }


def changes(scores: Scores, group: str, joint: str) -> np.ndarray:
    """Change of the RMSE against kinematics alone, %, seed by seed."""
    return 100.0 * (scores[group][joint]["rmse"] / scores["kinematics"][joint]["rmse"] - 1.0)


def table(scores: Scores) -> str:
    """Markdown: mean and standard deviation over the seeds for each joint and group."""
    lines = [
        "| joint | sensors | RMSE (Nm/kg) | R2 | RMSE against kinematics (%) | people in a laboratory (%) |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for joint, group in itertools.product(scores["kinematics"], GROUPS):
        rmse, r2 = scores[group][joint]["rmse"], scores[group][joint]["r2"]
        against = changes(scores, group, joint)
        change = "" if group == "kinematics" else f"{against.mean():+.1f} ± {against.std():.1f}"
        published = PUBLISHED.get(group, {}).get(joint)
        lines.append(
            f"| {joint} | {group} | {rmse.mean():.4f} ± {rmse.std():.4f} | {r2.mean():.3f} ± {r2.std():.3f} "
            f"| {change} | {'' if published is None else f'{published:+.1f}'} |"
        )
    return "\n".join(lines)


def verdicts(scores: Scores) -> list[tuple[str, str, bool, int]]:
    """For each joint and claim: joint, claim, whether it holds for the mean over seeds, in how many seeds it does."""
    found = []
    for joint, (claim, better, worse) in itertools.product(scores["kinematics"], CLAIMS):
        gap = np.min([scores[group][joint]["rmse"] for group in worse], axis=0) - scores[better][joint]["rmse"]
        mean = scores[better][joint]["rmse"].mean()
        holds = all(mean < scores[group][joint]["rmse"].mean() for group in worse)
        found.append((joint, claim, holds, int((gap > 0).sum())))
    return found


def main() -> None:
    """Train, print the table and the verdicts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="data set folder")
    parser.add_argument("--task", action="append", help="only recordings of this task, name or pattern (repeatable)")
    parser.add_argument("--joint", action="append", help="joint without side (default: hip, knee and ankle)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=32, help="channels of each layer")
    parser.add_argument("--epochs", type=int, default=30, help="at most this many; the best counts")
    parser.add_argument("--workers", type=int, default=2, help="trainings at a time, a thread each")
    options = parser.parse_args()
    joints = tuple(options.joint or ("hip_flexion", "knee_flexion", "ankle_dorsiflexion"))
    require_known("joint", joints, JOINTS)
    tasks = None if options.task is None else tuple(options.task)
    jobs = [
        Job(options.data, tasks, joints, group, seed, options.hidden, options.epochs)
        for seed in range(options.seeds)
        for group in GROUPS
    ]
    scores = compare(jobs, options.workers)
    print(f"Mean ± standard deviation over {options.seeds} deals of the people; both legs pooled.\n\n{table(scores)}\n")
    judged = verdicts(scores)
    for joint, claim, holds, count in judged:
        print(f"{joint}: {claim}: {'yes' if holds else 'NO'}, in {count} of {options.seeds} deals")
    sys.exit(any(not holds for joint, _, holds, _ in judged if joint != "ankle_dorsiflexion"))


if __name__ == "__main__":
    main()
