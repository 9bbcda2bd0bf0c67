"""How people with each impairment walk at their own speed: who stays up, and whether the published signs are there.

    python benchmarks/impairments.py [--only WORD] [--people 16] [--workers 2] [--json FILE] [--markdown FILE]

Everybody walks 20 s at each of `SPEEDS` without a device, which gives the speed of least effort per metre
(`sim/comfortable_speed.py`), and then 20 s from another start at that speed, which the signs are measured on. Signs are
means over people; each person is also measured without the impairment. None of them was met in training.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from exotwin.scenarios.impairment_signs import SIGNS, measure_signs
from exotwin.scenarios.pages import fill
from exotwin.scenarios.pages import table as markdown
from exotwin.sim.comfortable_speed import comfortable_speed, effort_per_metre, saturation
from exotwin.sim.impairments import Impairment
from exotwin.sim.plant import Plant
from exotwin.sim.recording import Recording
from exotwin.sim.runlog import RunLog
from exotwin.sim.subjects import Subject, sample_subjects
from exotwin.sim.truth import BLOCKS
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from survival import HELD_OUT

SEVERITIES = (0.0, 0.25, 0.5, 0.75)
SPEEDS = (0.7, 0.9, 1.1, 1.3, 1.5)  # m/s
SECONDS, SKIP_S = 20.0, 4.0
YOUNG = (18.0, 45.0)  # years: ageing is an impairment here, not a property of the body
GOAL, GOAL_AT = 90.0, 0.5  # % who walk at their own speed, and the severity of that
MOST = 0.75  # share who must walk at a severity for its signs to count
HEAD = ("impairment", "sign", "published", *(f"at {s:g}" for s in SEVERITIES), "as published at")
NAME = "impairments"  # of the table in a page


@dataclass(frozen=True)
class Job:
    """One person with an impairment of some severity; a healthy one stands for all kinds."""

    subject: Subject
    severity: float
    kinds: tuple[str, ...]

    @property
    def impairments(self) -> tuple[Impairment, ...]:
        """What the person has, or would have."""
        return tuple(Impairment(kind=kind, severity=self.severity) for kind in self.kinds)


def walk(job: Job, speed: float, start: int) -> tuple[Recording, np.ndarray[Any, Any], bool]:
    """A walk at a speed (m/s): the recording, activations (n, 26) after the transient, and whether the person fell.

    start: seed of the place in the gait that it begins at.
    """
    plant = Plant(job.subject, None, "walk", impairments=job.impairments if job.severity else ())
    log = RunLog(plant, SECONDS)
    plant.reset(speed, np.random.default_rng((HELD_OUT, start)))
    for _ in range(round(SECONDS * plant.rate)):
        log.add(None)
        plant.step()
        if plant.fallen:
            break
    first, length = BLOCKS["activation"]
    activation = log.rows[round(SKIP_S * plant.rate) : log.ticks, first : first + length]
    return log.recording("impairments", "none", start), activation, bool(plant.fallen)


def study(job: Job) -> dict[str, dict[str, float]]:
    """By kind: whether the person stays up at its own speed (`up`), and its signs, NaN for who falls."""
    cost, limit = [], []
    for speed in SPEEDS:
        _, activation, fell = walk(job, speed, start=0)
        cost.append(np.nan if fell else effort_per_metre(activation, speed))
        limit.append(np.nan if fell else saturation(activation))
    if np.isfinite(cost).any():
        chosen = comfortable_speed(SPEEDS, cost, limit)
        recording, _, fell = walk(job, chosen, start=1)
        if not fell:
            return {ill.kind: {"up": 1.0} | measure_signs(recording, ill, SKIP_S) for ill in job.impairments}
    return {kind: {"up": 0.0} | {s.name: np.nan for s in SIGNS[kind]} for kind in job.kinds}


def row(kind: str, people: dict[float, list[dict[str, float]]]) -> dict[str, Any]:
    """Share of people who stay up at each severity (%), and each sign's means and direction.

    people: what `study` found, by severity. A sign is the mean over those who stay up at every severity at which at
    least MOST do, and NaN where they do not.
    """
    up = np.array([[found["up"] for found in same] for same in people.values()])
    walked = up.mean(axis=1) >= MOST
    walkers = np.flatnonzero(up[walked].all(axis=0))
    out: dict[str, Any] = {"up": (100.0 * up.mean(axis=1)).tolist(), "people": len(walkers)}
    for sign in SIGNS[kind]:
        of = np.array([[found[sign.name] for found in same] for same in people.values()])[:, walkers]
        means = np.where(walked, of.mean(axis=1), np.nan)
        out[sign.name] = {"means": means.tolist(), "direction": sign.direction, "unit": sign.unit}
    return out


def lines(kind: str, found: dict[str, Any]) -> Iterable[list[str]]:
    """Rows under HEAD: who stays up, then each sign."""
    goal = found["up"][SEVERITIES.index(GOAL_AT)] >= GOAL
    yield [kind, "walk 20 s at their own speed, %", f"at least {GOAL:.0f} at {GOAL_AT:g}",
           *(f"{v:.0f}" for v in found["up"]), f"{GOAL_AT:g}" if goal else "**no**"]  # fmt: skip
    for sign in SIGNS[kind]:
        s = found[sign.name]
        unit = "" if s["unit"] == "1" else f", {s['unit']}"
        digits = 1 if s["unit"] == "deg" else 3
        health, *ill = s["means"]
        at = [f"{sev:g}" for sev, v in zip(SEVERITIES[1:], ill, strict=True) if (v - health) * s["direction"] > 0.0]
        shown = ["–" if np.isnan(v) else f"{v:.{digits}f}" for v in s["means"]]
        verdict = ", ".join(at) if len(at) > 1 else f"**{at[0] if at else 'no'}**"
        yield ["", f"{sign.name}{unit}", "falls" if s["direction"] < 0 else "rises", *shown, verdict]


def main() -> None:
    """Study all impairments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="impairments whose name holds this")
    parser.add_argument("--people", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path, help=f"page with <!-- {NAME}:begin --> that is filled")
    args = parser.parse_args()
    subjects = sample_subjects(args.people, HELD_OUT, age_years=YOUNG)
    kinds = [kind for kind in SIGNS if args.only in kind]
    ill = [(severity, (kind,)) for kind in kinds for severity in SEVERITIES[1:]]
    jobs = [Job(subject, *of) for of in [(SEVERITIES[0], tuple(kinds)), *ill] for subject in subjects]
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool, Progress() as progress:
        done = list(progress.track(pool.map(study, jobs), total=len(jobs), description="walking"))
    results = {}
    for kind in kinds:
        of_kind: dict[float, list[dict[str, float]]] = {}
        for job, found in zip(jobs, done, strict=True):
            if kind in job.kinds:
                of_kind.setdefault(job.severity, []).append(found[kind])
        results[kind] = row(kind, of_kind)
    rows = [line for kind, found in results.items() for line in lines(kind, found)]
    table = Table(*HEAD)
    for line in rows:
        table.add_row(*line, style="red" if "*" in line[-1] else "")
    Console().print(table)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if args.markdown:
        fill(args.markdown, NAME, markdown(HEAD, rows, texts=3))


if __name__ == "__main__":
    main()
