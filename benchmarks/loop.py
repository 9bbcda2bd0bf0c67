"""Real-time factor of the closed loop on one core and what takes the time: `python benchmarks/loop.py`.

Runs the estimator arm of a scenario as `exotwin run` does, over its own or another terrain, and converts and writes its
recording. Physics and nervous
system share one compiled call; their parts come from replaying the run's states with and without the nervous system.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from exotwin.scenarios.arm import ArmLoop
from exotwin.scenarios.catalogue import find_device
from exotwin.scenarios.scenario import load_scenario
from exotwin.sim.bridge import (
    ACT,
    CTRL,
    DATA,
    EULER,
    FWD_ACCELERATION,
    FWD_ACTUATION,
    FWD_CONSTRAINT,
    FWD_POSITION,
    FWD_VELOCITY,
    MODEL,
    QPOS,
    QVEL,
    call,
    functions,
    view,
)
from exotwin.sim.nervous import move_on, recruit
from exotwin.sim.observation import N_OBSERVATIONS, observe
from exotwin.sim.plant import Plant
from exotwin.sim.policy import act
from exotwin.sim.terrain import LEVEL, load_terrain
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class States(NamedTuple):
    """What the replay starts every tick from; each (ticks, ...)."""

    qpos: FloatArray
    qvel: FloatArray
    act: FloatArray
    ctrl: FloatArray
    nervous: FloatArray
    action: FloatArray


@njit
def replay(
    functions: Any,
    pointers: Any,
    body: Any,
    exo: Any,
    work: Any,
    network: Any,
    states: Any,
    steps: int,
    policy_ticks: int,
    nervous: bool,
) -> None:
    """From every recorded tick, `steps` physics steps under its excitations; the nervous system runs along if asked."""
    model, data = pointers[MODEL], pointers[DATA]
    qpos, qvel = view(pointers[QPOS], body.nq), view(pointers[QVEL], body.nv)
    activation, ctrl = view(pointers[ACT], states.act.shape[1]), view(pointers[CTRL], body.nu)
    observation = np.zeros(N_OBSERVATIONS)
    action = states.action[0].copy()
    for k in range(len(states.qpos)):
        qpos[:], qvel[:], activation[:], ctrl[:] = states.qpos[k], states.qvel[k], states.act[k], states.ctrl[k]
        state = states.nervous[k].copy()
        if nervous and k % policy_ticks == 0:
            observe(functions, pointers, body, exo, state, action, work, observation)
            act(network, observation, action)
        for _ in range(steps):
            call(functions[FWD_POSITION], model, data)
            call(functions[FWD_VELOCITY], model, data)
            if nervous:
                recruit(pointers, body, exo, state, states.action[k], work)
                ctrl[:] = states.ctrl[k]
            call(functions[FWD_ACTUATION], model, data)
            call(functions[FWD_ACCELERATION], model, data)
            call(functions[FWD_CONSTRAINT], model, data)
            call(functions[EULER], model, data)
            if nervous:
                move_on(body, state, qpos[0], qpos[1], qvel[0], body.timestep, work)


class Stopwatch:
    """Stands in for a method of an object and adds up the time spent in it."""

    def __init__(self, owner: Any, name: str) -> None:
        self.method: Callable[..., Any] = getattr(owner, name)
        self.seconds = 0.0
        setattr(owner, name, self)

    def __call__(self, *args: Any) -> Any:
        """Call the method."""
        begun = time.perf_counter()
        result = self.method(*args)
        self.seconds += time.perf_counter() - begun
        return result


def record(loop: ArmLoop) -> States:
    """Run the loop untimed (it also compiles) and keep its states."""
    person, add = loop.plant.person, loop.log.add
    kept: list[tuple[FloatArray, ...]] = []

    def keep(*args: Any) -> None:
        d = person.data
        kept.append(tuple(a.copy() for a in (d.qpos, d.qvel, d.act, d.ctrl, person.state, person.action)))
        add(*args)

    loop.log.add = keep  # type: ignore[method-assign]
    loop.run()
    write(loop)
    return States(*(np.array(column) for column in zip(*kept, strict=True)))


def write(loop: ArmLoop) -> None:
    """Turn the log into a recording file."""
    with tempfile.TemporaryDirectory() as folder:
        loop.result().recording.write(Path(folder) / "run.parquet")


def replay_seconds(plant: Plant, states: States, nervous: bool) -> float:
    """Wall time of a replay, the quickest of four (the first also compiles)."""
    person, found = plant.person, []
    policy_ticks = max(1, round(plant.policy_steps / plant.steps))
    for _ in range(4):
        begun = time.perf_counter()
        replay(
            functions(),
            person.pointers,
            person.body,
            person.exo,
            person.work,
            plant.network,
            states,
            plant.steps,
            policy_ticks,
            nervous,
        )
        found.append(time.perf_counter() - begun)
    return min(found)


def timed(loop: ArmLoop) -> dict[str, float]:
    """Wall time (s) of a run by part, with writing its recording; and the processor time of it all."""
    step, frame = Stopwatch(loop.plant, "step"), Stopwatch(loop.plant, "_frame")
    controller, log = Stopwatch(loop.controller, "step"), Stopwatch(loop.log, "add")
    cpu = time.process_time()
    loop.run()
    begun = time.perf_counter()
    write(loop)
    writing = time.perf_counter() - begun
    return {
        "cpu": time.process_time() - cpu,
        "compiled": step.seconds - frame.seconds,
        "sensors": frame.seconds,
        "controller": controller.seconds,
        "log": log.seconds,
        "writing": writing,
        "total": loop.wall + writing,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default="level_walk")
    parser.add_argument("--terrain", help="'level', or a shipped terrain such as 'stairs_up' (default: the scenario's)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    scenario = load_scenario(options.scenario)
    if options.terrain:
        terrain = LEVEL if options.terrain == "level" else load_terrain(options.terrain)
        scenario = scenario.model_copy(update={"terrain": terrain})
    device = find_device(scenario.device)
    arm = next(a for a in scenario.arms if a.controller == "estimator")
    first, second = (ArmLoop(scenario, arm, device, options.seed) for _ in range(2))
    states = record(first)
    wall = timed(second)
    simulated = second.log.ticks / second.plant.rate
    physics = replay_seconds(first.plant, states, nervous=False)
    both = replay_seconds(first.plant, states, nervous=True)
    parts = {
        "physics": physics,
        "nervous system": both - physics,
        "rest of the compiled step": wall["compiled"] - both,
        "sensors": wall["sensors"],
        "controller": wall["controller"],
        "recording, every tick": wall["log"],
        "recording, file at the end": wall["writing"],
    }
    parts["loop"] = wall["total"] - sum(parts.values())
    fell = ", then fell" if second.plant.fallen else ""
    where = f" over {options.terrain}" if options.terrain else ""
    print(f"{scenario.name}{where}, {device.name}, {simulated:.1f} s simulated{fell}, {len(states.qpos)} control ticks")
    for name, seconds in parts.items():
        tick = 1e6 * seconds / len(states.qpos)
        print(f"{name:<26} {tick:7.1f} us a tick  {100 * seconds / wall['total']:5.1f} %")
    print(f"{'whole loop':<26} {1e6 * wall['total'] / len(states.qpos):7.1f} us a tick")
    print(
        f"real-time factor {simulated / wall['total']:.1f} on one core; {simulated / wall['cpu']:.1f} by processor time"
    )


if __name__ == "__main__":
    main()
