"""What is left of a sidewards drift after a step: the linear map from landing to landing, fitted to walks.

    python benchmarks/step_map.py [--only WORD] [--people 32] [--draw 2] [--seconds 20]

For every condition of survival.py that walks: place beside the line and sidewards speed of the pelvis, less the
reference's, at one landing against the landing before. A row each for people near the line (0.2 m) and further off. A
walker whose drift is kept, or whose map has an eigenvalue of 1 or more, leaves its way; balance answers to drift and
place by `SIDE_STEP`, `SIDE_RETURN` and `CLIMBING` in sim/balance.py, and what they do shows here sooner than in who
falls. The eigenvalue is the largest one's magnitude, r² that of the drift.
"""

from __future__ import annotations

import argparse

import numpy as np
from exotwin.sim.nervous import N_ACTIONS, POLICY_PERIOD
from exotwin.sim.policy import act
from exotwin.sim.reference import LEFT, PELVIS, PELVIS_SLOPE
from exotwin.sim.state import NEXT_LANE, PHASE, STRIDE_TIME
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from survival import Condition, conditions, ready

HEAD = ("condition", "steps", "step s", "place kept", "m per m/s", "m/s per m", "drift kept", "eigenvalue", "r²")
SETTLED = 2.0  # s after a start that are left out
NEAR, FASTEST = 0.2, 0.4  # m beside the line; m/s, faster drifts are falls
FEWEST = 60  # steps, for a row


def landings(condition: Condition, people: int, draw: int, seconds: float) -> list[NDArray[np.float64]]:
    """For each person (n, 3): time of each landing (s), place beside the line (m) and sidewards speed (m/s)."""
    batch, network = ready(condition, people, draw)
    actions = np.zeros((people, N_ACTIONS))
    found: list[list[tuple[float, float, float]]] = [[] for _ in range(people)]
    half = (2.0 * batch.state[:, PHASE]).astype(int)
    up = np.ones(people, dtype=bool)
    for k in range(round(seconds / POLICY_PERIOD)):
        for i in np.flatnonzero(up):
            act(network, batch.observations[i], actions[i])
        batch.step(actions)
        up &= ~batch.fallen
        now, before, half = k * POLICY_PERIOD, half, (2.0 * batch.state[:, PHASE]).astype(int)
        if now < SETTLED:
            continue
        for i in np.flatnonzero(up & (half != before)):
            data, ref, state = batch.people[i].data, batch.people[i].work.reference, batch.state[i]
            place = data.qpos[1] - state[NEXT_LANE] - ref[PELVIS + LEFT]
            drift = data.qvel[1] - ref[PELVIS_SLOPE + LEFT] / state[STRIDE_TIME]
            found[i].append((now, place, drift))
    return [np.array(steps) for steps in found if len(steps) > 1]


def fit(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """(2, 2) map of place and drift (n, 2) at one landing to those at the next, and r² of the drift."""
    known = np.column_stack([before, np.ones(len(before))])
    solution = np.linalg.lstsq(known, after, rcond=None)[0]
    rest = after - known @ solution
    return solution[:2].T, float(1.0 - (rest[:, 1] ** 2).sum() / ((after[:, 1] - after[:, 1].mean()) ** 2).sum())


def main() -> None:
    """Fit all conditions that walk and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="conditions whose name holds this")
    parser.add_argument("--people", type=int, default=32)
    parser.add_argument("--draw", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0)
    args = parser.parse_args()
    table, console = Table(*HEAD), Console()
    for condition in conditions():
        if condition.postures or args.only not in condition.name:
            continue
        walks = landings(condition, args.people, args.draw, condition.seconds or args.seconds)
        before, after = (np.concatenate([walk[part] for walk in walks]) for part in (slice(None, -1), slice(1, None)))
        for name, here in (("", np.abs(before[:, 1]) < NEAR), (", far", np.abs(before[:, 1]) >= NEAR)):
            here &= np.abs(before[:, 2]) < FASTEST
            if here.sum() < FEWEST:
                continue
            step, r2 = fit(before[here, 1:], after[here, 1:])
            time = np.median(after[here, 0] - before[here, 0])
            largest = np.abs(np.linalg.eigvals(step)).max()
            shown = (time, *step.ravel(), largest, r2)
            table.add_row(condition.name + name, str(here.sum()), *(f"{value:.2f}" for value in shown))
        console.print(f"{condition.name}: {len(walks)} people")
    console.print(table)


if __name__ == "__main__":
    main()
