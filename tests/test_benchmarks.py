"""The benchmarks run and measure what they say."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


def test_the_map_from_step_to_step_is_found(benchmark):
    step_map = benchmark("step_map")
    rng = np.random.default_rng(0)
    true = np.array([[0.9, 0.4], [-0.3, 0.5]])
    before = rng.normal(0.0, 0.1, (500, 2))
    exact = before @ true.T + [0.02, -0.01]
    found, r2 = step_map.fit(before, exact)
    np.testing.assert_allclose(found, true, atol=1e-12)
    assert r2 == pytest.approx(1.0)
    found, r2 = step_map.fit(before, exact + rng.normal(0.0, 0.02, (500, 2)))
    np.testing.assert_allclose(found, true, atol=0.05)
    spread = np.var(exact[:, 1])
    assert r2 == pytest.approx(spread / (spread + 0.02**2), abs=0.05)


def test_walkers_on_level_ground_lose_their_drift_from_step_to_step(benchmark):
    step_map, survival = benchmark("step_map"), benchmark("survival")
    level = next(c for c in survival.conditions() if c.name == "level 1.2 m/s")
    walks = step_map.landings(level, people=6, draw=2, seconds=8.0)
    assert len(walks) == 6
    times = np.concatenate([np.diff(walk[:, 0]) for walk in walks])
    assert np.median(times) == pytest.approx(0.57, abs=0.05)  # two steps a stride of Grieve's 1.13 s
    before, after = (np.concatenate([walk[part, 1:] for walk in walks]) for part in (slice(None, -1), slice(1, None)))
    found, r2 = step_map.fit(before, after)
    assert np.abs(np.linalg.eigvals(found)).max() < 0.9
    assert abs(found[1, 1]) < 0.6
    assert r2 > 0.3


def test_who_is_pushed_over_has_fallen_and_who_walks_has_not(benchmark):
    survival = benchmark("survival")
    walks = survival.survive(survival.Condition("level"), 3, 5.0, draw=2, ordinary=True)
    assert walks["survived"] == 100.0
    assert walks["speed_mps"] == pytest.approx(1.2, abs=0.1)
    falls = survival.survive(survival.Condition("push", push=(0.0, 1500.0)), 3, 5.0, draw=2, ordinary=True)
    assert falls["survived"] == 0.0
    assert survival.SETTLED < falls["fall_s"] < 5.0


@pytest.mark.slow
def test_the_loop_is_timed():
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    run = [sys.executable, str(FOLDER / "loop.py"), "--terrain", "stairs_up"]
    out = subprocess.run(run, env=env, capture_output=True, text=True, check=True).stdout
    assert "then fell" not in out
    # The last part is what is left of the whole, which beside other work may come out below zero.
    parts = {name.strip(): float(us) for name, us in re.findall(r"^(.+?) +(-?[0-9.]+) us a tick", out, re.MULTILINE)}
    whole = parts.pop("whole loop")
    assert sum(parts.values()) == pytest.approx(whole, abs=0.1 * len(parts))
    factor = float(re.search(r"real-time factor ([0-9.]+)", out).group(1))
    assert factor == pytest.approx(5000.0 / whole, rel=0.02)  # a tick is 5 ms
