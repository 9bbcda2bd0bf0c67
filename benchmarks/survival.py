"""Who stays on their feet: 64 people a condition, none of them met in training, in an unpowered exoskeleton.

    python benchmarks/survival.py [--only WORD] [--starts 64] [--draw 1] [--seconds 20] [--ordinary] [--json F]
                                  [--markdown F]

Every start has another body, another place in the gait and a small random velocity. Pushes act on the pelvis for 0.2 s.
Draw 0 is of the people on whom the balance's constants were chosen: judge by another one.
With --ordinary every start is of the man of 75 kg, 1.75 m and 30 years, which tells weak bodies from a weak policy.
"""

from __future__ import annotations

import argparse
import json
import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from exotwin.scenarios.catalogue import find_device
from exotwin.scenarios.pages import fill
from exotwin.scenarios.pages import table as markdown
from exotwin.sim.gait_env import GaitBatch
from exotwin.sim.gait_task import GaitTask
from exotwin.sim.impairments import KINDS, Impairment
from exotwin.sim.nervous import N_ACTIONS, POLICY_PERIOD
from exotwin.sim.policy import act, load_policy
from exotwin.sim.posture_plan import POSTURES
from exotwin.sim.state import GOAL, WANTED
from exotwin.sim.subjects import Subject, sample_subjects
from exotwin.sim.terrain import LEVEL, Level, Ramp, Stairs, Terrain, load_terrain
from rich.console import Console
from rich.table import Table

HEAD = ("condition", "survived %", "goal %", "median fall s", "furthest aside m", "mean speed m/s")
NAME = "survival"  # of the table in a page
HELD_OUT = 70_000  # seeds from here on are never trained with
SETTLED = 3.0  # s before a push or a change of speed
POSTURE_TIME = 4.0  # s


@dataclass(frozen=True)
class Condition:
    """One thing to survive. start: range of world x (m). speeds: (m/s) at the start and, if two, from SETTLED on.

    postures: what is asked in turn, every POSTURE_TIME anew and at last for good, of people who do not walk.
    """

    name: str
    terrain: Terrain = LEVEL
    speeds: tuple[float, ...] = (1.2,)
    start: tuple[float, float] = (0.0, 0.0)
    push: tuple[float, float] = (0.0, 0.0)  # N forward, left
    seconds: float | None = None
    goal: float = 97.0
    impairments: tuple[Impairment, ...] = ()
    postures: tuple[str, ...] = ()


def _flight(rise: float, tread: float, count: int = 30) -> Terrain:
    return Terrain([Level(length_m=1.0), Stairs(rise_m=rise, tread_m=tread, count=count), Level(length_m=5.0)])


def _slope(degrees: float, length: float = 60.0) -> Terrain:
    return Terrain([Level(length_m=1.0), Ramp(slope_deg=degrees, length_m=length), Level(length_m=5.0)])


def conditions() -> list[Condition]:
    """Everything that a shipped walking policy is asked to survive."""
    out = [Condition(f"level {v:.1f} m/s", speeds=(v,)) for v in (0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8)]
    out += [Condition(f"level {a:.1f} to {b:.1f} m/s", speeds=(a, b)) for a, b in ((0.7, 1.6), (1.6, 0.7))]
    for degrees in (5, 10, -5, -10):
        out.append(Condition(f"ramp {degrees:+d} deg", _slope(degrees), (1.1,), (2.0, 10.0)))
        word = "up" if degrees > 0 else "down"
        out.append(Condition(f"level to ramp {word} {abs(degrees)} deg", _slope(degrees), (1.1,), (-2.5, -1.0)))
        out.append(Condition(f"ramp {word} {abs(degrees)} deg to level", _slope(degrees, 6.0), (1.1,), (3.0, 5.0)))
        out.append(Condition(f"ramp {degrees:+d} deg 0.8 m/s", _slope(degrees), (0.8,), (2.0, 10.0)))
    for word, sign in (("up", 1), ("down", -1)):
        for rise, tread in ((0.15, 0.31), (0.165, 0.30), (0.18, 0.28)):
            out.append(Condition(f"stairs {word} {100 * rise:.1f} x {100 * tread:.0f} cm", _flight(sign * rise, tread),
                                 (1.0,), (1.5, 2.5)))  # fmt: skip
        out.append(Condition(f"level to stairs {word}", _flight(sign * 0.165, 0.30, 8), (1.0,), (-2.5, -1.0)))
        out.append(Condition(f"stairs {word} to level", _flight(sign * 0.165, 0.30, 6), (1.0,), (1.5, 2.0)))
    out.append(Condition("circuit", load_terrain("circuit"), (1.1,), (0.0, 0.5), seconds=75.0))
    for name, push in (("forward", (100.0, 0.0)), ("backward", (-100.0, 0.0)), ("left", (0.0, 100.0)),
                       ("right", (0.0, -100.0))):  # fmt: skip
        out.append(Condition(f"push {name} 100 N", push=push, goal=90.0))
    out.append(Condition("drift over 60 s", seconds=60.0))
    for kind in KINDS:
        ill = (Impairment(kind=kind, severity=0.5),)
        out.append(Condition(f"{kind} 0.5", speeds=(0.9,), goal=90.0, impairments=ill))
    for name, asked in (("stand", ("stand",)), ("sit to stand", ("sit", "stand")), ("stand to sit", ("stand", "sit")),
                        ("sit and rise and sit", ("sit", "stand", "sit", "stand", "sit")),
                        ("squat and rise", ("stand", "squat", "stand"))):  # fmt: skip
        out.append(Condition(name, speeds=(0.0,), postures=asked))
    return out


def ready(condition: Condition, starts: int, draw: int, ordinary: bool = False) -> tuple[GaitBatch, tuple[Any, ...]]:
    """People who have just started in a condition, in the unpowered device, and the network that moves them.

    draw: of the held-out people and starts. ordinary: not people of all kinds, but one man of 75 kg, 1.75 m and 30
    years in every start.
    """
    device = find_device("hip_knee_ankle")
    gait = "stand" if condition.postures else "walk"
    task = GaitTask(name="survival", reference=gait, mode=gait, speed=(1.2, 1.2), devices={device.name: starts},
                    postures=condition.postures[:1] or ("stand",), assist_probability=0.0, start_on_way=0.0,
                    speed_change_every_s=1e9, posture_change_every_s=1e9)  # fmt: skip
    rng = np.random.default_rng(HELD_OUT + draw)
    subjects = [Subject()] * starts if ordinary else sample_subjects(starts, HELD_OUT + draw)
    people = [(s, condition.terrain, condition.impairments) for s in subjects]
    batch = GaitBatch(task, device, people, rng)
    for i in range(starts):
        batch.start(i, condition.speeds[0], float(rng.uniform(*condition.start)))
    return batch, load_policy(gait).network


def survive(condition: Condition, starts: int, seconds: float, draw: int, ordinary: bool) -> dict[str, float]:
    """Share that stays up (%), median time of falls (s), and drift of those who stay up; people as `ready` has them."""
    batch, network = ready(condition, starts, draw, ordinary)
    asked = [POSTURES.index(name) for name in condition.postures]
    limit = condition.seconds or seconds
    fell = np.full(starts, np.inf)
    actions = np.zeros((starts, N_ACTIONS))
    begun = np.array([p.data.qpos[0] for p in batch.people])
    for k in range(round(limit / POLICY_PERIOD)):
        now = k * POLICY_PERIOD
        for i in np.flatnonzero(np.isinf(fell)):
            act(network, batch.observations[i], actions[i])
        pushed = SETTLED <= now < SETTLED + 0.2
        batch.push[:, :2], batch.push_left[:] = (condition.push if pushed else (0.0, 0.0)), 1.0
        if len(condition.speeds) > 1 and now >= SETTLED:
            batch.state[:, WANTED] = condition.speeds[1]
        if asked:
            batch.state[:, GOAL] = asked[min(len(asked) - 1, int(now / POSTURE_TIME))]
        batch.step(actions)
        fell[batch.fallen & np.isinf(fell)] = now
        if not np.isinf(fell).any():
            break
    up = np.isinf(fell)
    aside = np.array([abs(p.data.qpos[1]) for p in batch.people])[up]
    way = np.array([p.data.qpos[0] for p in batch.people])[up] - begun[up]
    return {
        "survived": 100.0 * float(up.mean()),
        "fall_s": float(np.median(fell[~up])) if (~up).any() else float("nan"),
        "aside_m": float(aside.max()) if up.any() else float("nan"),
        "speed_mps": float(way.mean() / limit) if up.any() else float("nan"),
        "goal": condition.goal,
    }


def cells(name: str, r: dict[str, float]) -> list[str]:
    """A row under HEAD; a dash for what nobody showed."""
    shown = ((r["survived"], ".0f"), (r["goal"], ".0f"), (r["fall_s"], ".1f"), (r["aside_m"], ".2f"),
             (r["speed_mps"], ".2f"))  # fmt: skip
    return [name, *("–" if math.isnan(value) else f"{value:{form}}" for value, form in shown)]


def bold(name: str, r: dict[str, float]) -> list[str]:
    """`cells` for Markdown; a goal that is missed is bold."""
    row = cells(name, r)
    if r["survived"] < r["goal"]:
        row[1] = f"**{row[1]}**"
    return row


def main() -> None:
    """Run all conditions and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="conditions whose name holds this")
    parser.add_argument("--starts", type=int, default=64)
    parser.add_argument("--draw", type=int, default=1, help="of the people; the balance's constants were chosen on 0")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--ordinary", action="store_true", help="the same man of 75 kg in every start")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path, help=f"page with <!-- {NAME}:begin --> that is filled")
    args = parser.parse_args()
    if args.markdown and (args.only or args.ordinary):
        parser.error("--markdown fills the whole table: leave out --only and --ordinary")
    chosen = [c for c in conditions() if args.only in c.name]
    table = Table(*HEAD)
    results: dict[str, dict[str, float]] = {}
    console = Console()
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(survive, c, args.starts, args.seconds, args.draw, args.ordinary) for c in chosen]
        for condition, job in zip(chosen, jobs, strict=True):
            r = results[condition.name] = job.result()
            table.add_row(*cells(condition.name, r), style="" if r["survived"] >= r["goal"] else "red")
            console.print(f"{condition.name}: {r['survived']:.0f} %")
    console.print(table)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if args.markdown:
        rows = (bold(name, r) for name, r in results.items())
        fill(args.markdown, NAME, markdown(HEAD, rows))


if __name__ == "__main__":
    main()
