from __future__ import annotations

import json

import numpy as np
import pytest
from exotwin.scenarios.comparison import compare
from exotwin.scenarios.gates import Gate, judge
from exotwin.scenarios.scenario import load_scenario
from exotwin.scenarios.table import verdict
from synthetic_walk import GAITED, make, reference_angles, walk

CONTRACT = {"falls", "speed_mps", "realtime_factor", "estimator", "biological_torque_change", "effort"}
CONTRACT |= {"metabolic_w_per_kg", "wrong_direction_fraction", "recording"}


@pytest.fixture(scope="module")
def metrics(arms):
    found = compare(
        arms,
        skip_s=2.0,
        commanded_speed_mps=1.25,
        angle_reference=reference_angles(),
        realtime_factors={"estimator": 11.0},
        recordings={"estimator": "estimator.parquet"},
    )
    return judge(found, load_scenario("level_walk").gates)


def test_metrics_have_the_published_shape_and_are_strict_json(metrics):
    assert {"scenario", "device", "seed", "duration_s", "arms", "gates", "passed"} <= set(metrics)
    assert (metrics["scenario"], metrics["device"], metrics["seed"]) == ("level_walk", "hip_knee_ankle", 0)
    assert all(set(arm) >= CONTRACT for arm in metrics["arms"].values())
    assert set(metrics["arms"]["estimator"]["estimator"]) == set(GAITED)
    assert metrics["arms"]["estimator"]["recording"] == "estimator.parquet"
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics


def test_changes_are_the_ones_the_arms_were_made_with(metrics):
    arm = metrics["arms"]["estimator"]
    for joint in (*GAITED, "mean"):
        assert arm["biological_torque_change"]["vs_unpowered"][joint] == pytest.approx(-0.15)
        assert arm["biological_torque_change"]["vs_no_exo"][joint] == pytest.approx(0.85 / 0.98 - 1)
    assert arm["effort"]["vs_unpowered"] == pytest.approx(0.85**2 - 1)
    assert arm["metabolic_change"]["vs_unpowered"]["umberger2010"] == pytest.approx(-0.15)
    assert arm["estimator_vs_profile"]["hip_flexion"] == pytest.approx(0.05 / 0.2 - 1, abs=1e-6)


def test_healthy_walking_passes_the_shipped_gates(metrics):
    assert metrics["passed"], verdict(metrics)
    assert verdict(metrics) == f"PASSED: all {len(load_scenario('level_walk').gates)} gates hold"


def test_without_reference_arms_there_is_no_change(arms):
    arm = compare({"oracle": arms["oracle"]})["arms"]["oracle"]
    assert arm["biological_torque_change"]["vs_unpowered"]["mean"] is None
    assert arm["effort"]["vs_no_exo"] is None


def test_a_partial_run_never_passes(arms):
    cut = walk("no_exo", partial=True)
    found = judge(compare({"no_exo": cut}), [])
    assert not found["passed"]
    assert "partial run (no_exo)" in verdict(found)


def test_an_arm_that_fell_early_is_judged_on_what_there_is(arms):
    found = compare({"unpowered": arms["unpowered"], "oracle": walk("oracle", seconds=1.5, falls=1)}, skip_s=2.0)
    assert found["arms"]["oracle"]["falls"] == 1
    assert found["arms"]["oracle"]["skip_s"] == 0.0
    assert found["arms"]["oracle"]["seconds"] == pytest.approx(1.495)
    assert found["arms"]["unpowered"]["skip_s"] == 2.0


def test_no_arms_is_an_error():
    with pytest.raises(ValueError, match="no arms"):
        compare({})


def test_a_recording_without_a_person_s_details_still_compares():
    # What an imported trial offers: no activations, no exo, no metabolic rate, no pelvis.
    found = compare({"trial": make({"angle/knee_flexion_r": np.zeros(1000)})}, skip_s=0.0)["arms"]["trial"]
    assert found["speed_mps"] is None
    assert found["effort"]["value"] is None
    assert found["metabolic_w_per_kg"] == {}


def test_each_mode_has_its_own_metrics_and_one_that_was_not_reached_has_none(arms):
    def ramped(arm, ramp_s, **meta):
        recording = walk(arm, assist=0.2, estimate_error=0.0, **meta)
        time = recording["time"]
        on_ramp = (time >= ramp_s[0]) & (time < ramp_s[1])
        columns = dict(recording.columns)
        columns["mode"] = np.where(on_ramp, "ramp_up", "walk")
        columns["pelvis/vx"] = np.where(on_ramp, 0.9, 1.3)
        for side in "rl":
            columns[f"estimate/knee_flexion_{side}"] = (
                columns[f"torque/biological/knee_flexion_{side}"] / recording.meta["subject"]["mass_kg"] + 0.1 * on_ramp
            )
        return make(columns, **{k: v for k, v in recording.meta.items() if k != "units"})

    way = {"terrain": {"sections": [{"kind": "level", "length_m": 3}, {"kind": "ramp", "slope_deg": 5, "length_m": 4}]}}
    runs = {"oracle": ramped("oracle", (4.0, 6.0), **way), "estimator": ramped("estimator", (90.0, 91.0), **way)}
    found = compare(runs, skip_s=2.0)["arms"]
    modes = found["oracle"]["modes"]
    assert list(modes) == ["walk", "ramp_up"]
    assert modes["ramp_up"]["seconds"] == pytest.approx(2.0, abs=0.01)
    assert modes["walk"]["seconds"] == pytest.approx(4.0, abs=0.01)
    assert [modes[m]["speed_mps"] for m in modes] == pytest.approx([1.3, 0.9])
    assert modes["ramp_up"]["estimator"]["knee_flexion"]["rmse_nm_per_kg"] == pytest.approx(0.1)
    assert modes["walk"]["estimator"]["knee_flexion"]["rmse_nm_per_kg"] == pytest.approx(0.0, abs=1e-9)
    missed = found["estimator"]["modes"]["ramp_up"]
    assert missed["seconds"] == 0.0
    assert missed["effort"] is None
    gate = Gate(name="g", metric="arms.*.modes.ramp_up.estimator.knee_flexion.rmse_nm_per_kg", operator="<=", limit=1)
    assert not judge({"arms": found}, [gate])["passed"]
    assert json.dumps(found, allow_nan=False)


def test_distance_is_how_far_the_pelvis_went(arms):
    assert compare({"oracle": arms["oracle"]})["arms"]["oracle"]["distance_m"] == pytest.approx(1.25 * 7.995)
