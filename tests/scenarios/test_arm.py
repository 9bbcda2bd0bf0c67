"""What the loop of one arm asks of the plant over time, and when it ends; the plant is a point that moves as told."""

from types import SimpleNamespace

import numpy as np
import pytest
from exotwin.scenarios import arm
from exotwin.scenarios.scenario import RUN_OUT_M, Scenario, load_scenario
from exotwin.sim.terrain import Level, Ramp
from exotwin.sim.truth import BLOCKS, ROW


class Point:
    """A plant whose pelvis moves at the commanded speed."""

    def __init__(self, scenario, arm, device):
        self.rate, self.ticks, self.fallen = 100.0, 0, False
        self.device = self.layout = None
        self.active_faults = ()
        self.row = np.zeros(ROW)
        self.person = SimpleNamespace(data=SimpleNamespace(qpos=np.zeros(7)))
        self.asked = []

    @property
    def time(self):
        return self.ticks / self.rate

    def reset(self, speed, rng, posture):
        self.command_speed(speed)

    def command_speed(self, speed):
        self.speed = speed
        self.asked.append((self.time, speed))

    def step(self, torque):
        self.ticks += 1
        self.row[BLOCKS["pelvis"][0]] += self.speed / self.rate


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(arm, "build_plant", Point)

    def _run(**changes):
        content = load_scenario("level_walk").model_dump(mode="json") | {"gates": []} | changes
        scenario = Scenario.model_validate(content)
        loop = arm.ArmLoop(scenario, scenario.arms[0], None, 0)
        loop.run()
        return loop

    return _run


def test_speed_commands_come_at_their_time(run):
    speeds = [{"at_s": 0, "speed_mps": 1.0}, {"at_s": 2.5, "speed_mps": 1.5}, {"at_s": 4, "speed_mps": 0.8}]
    loop = run(speed_mps=speeds, duration_s=5)
    assert loop.plant.asked == [(0.0, 1.0), (2.5, 1.5), (4.0, 0.8)]
    assert (loop.log.ticks, loop.finished) == (500, True)


def test_a_run_ends_beyond_the_terrain_or_with_its_time(run):
    way = {"terrain": [Level(length_m=1).model_dump(), Ramp(slope_deg=5, length_m=2).model_dump()], "speed_mps": 1.0}
    loop = run(**way, until="end_of_terrain", duration_s=20)
    assert loop.log.ticks / 100.0 == pytest.approx(3.0 + RUN_OUT_M, abs=0.02)
    assert [e["kind"] for e in loop.log.events] == ["end_of_terrain"]
    assert loop.finished
    for changes in ({"until": "end_of_terrain", "duration_s": 4}, {"duration_s": 9}):
        loop = run(**way, **changes)
        assert loop.log.ticks == 100 * changes["duration_s"]
        assert not loop.log.events
