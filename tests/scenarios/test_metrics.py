from __future__ import annotations

import numpy as np
import pytest
from exotwin.scenarios import metrics as m
from exotwin.scenarios.ground_force import ground_force_metrics
from synthetic_walk import RATE, make

T = np.arange(2000) / RATE  # 10 s
W = 2 * np.pi * 1.0  # whole periods
MASS = 50.0


def knee(part: str, right: np.ndarray, left: np.ndarray | None = None) -> dict[str, np.ndarray]:
    return {f"{part}/knee_flexion_r": right, f"{part}/knee_flexion_l": right if left is None else left}


def test_estimator_error_pools_both_sides_and_leaves_missing_samples_out():
    truth = np.sin(W * T)
    right, left = truth + 0.1, truth - 0.3
    right[:500] = np.nan
    left[:500] = np.nan
    errors = m.estimator_errors(make({**knee("torque/biological", MASS * truth), **knee("estimate", right, left)}))
    assert errors["knee_flexion"]["rmse_nm_per_kg"] == pytest.approx(np.sqrt((0.1**2 + 0.3**2) / 2))
    assert errors["knee_flexion"]["missing_fraction"] == pytest.approx(0.25)
    assert set(errors["knee_flexion"]) >= {"nrmse", "r", "r2", "lag_ms"}


def test_an_estimator_that_never_answers_has_no_error_figures():
    nothing = np.full(T.size, np.nan)
    errors = m.estimator_errors(make({**knee("torque/biological", np.sin(W * T)), **knee("estimate", nothing)}))
    assert errors["knee_flexion"]["rmse_nm_per_kg"] is None
    assert errors["knee_flexion"]["missing_fraction"] == 1.0


def test_biological_torque_change_is_the_ratio_of_amplitudes():
    arm = make(knee("torque/biological", 8.0 * np.sin(W * T)))
    reference = make(knee("torque/biological", 10.0 * np.cos(W * T)))
    assert m.biological_rms(reference, "knee_flexion") == pytest.approx(10.0 / np.sqrt(2) / MASS)
    change = m.biological_torque_change(arm, reference, ["knee_flexion"])
    assert change == {"knee_flexion": pytest.approx(-0.2), "mean": pytest.approx(-0.2)}
    assert m.biological_torque_change(arm, reference, [])["mean"] is None


def test_a_missing_column_is_named_with_the_nearest():
    with pytest.raises(ValueError, match=r"torque/biological/hip_flexion_r'; did you mean 'torque/"):
        m.biological_rms(make(knee("torque/biological", T)), "hip_flexion")


@pytest.mark.parametrize("lag", [0.0, 0.4, np.pi / 2, np.pi])
def test_wrong_direction_fraction_of_lagging_sines_is_analytic(lag):
    # Of each half period pi, |sin| over a stretch `lag` opposes: (1 - cos lag) / 2 of the integral.
    r = make({**knee("torque/biological", 40 * np.sin(W * T)), **knee("delivered", 5 * np.sin(W * T - lag))})
    found = m.wrong_direction_fraction(r, ["knee_flexion"], dead_band_nm_per_kg=0.0)
    assert found == pytest.approx((1 - np.cos(lag)) / 2, abs=0.01)


def test_opposing_a_torque_inside_the_dead_band_is_not_wrong():
    r = make({**knee("torque/biological", np.full(T.size, 0.04 * MASS)), **knee("delivered", -np.ones(T.size))})
    assert m.wrong_direction_fraction(r, ["knee_flexion"]) == 0.0
    assert m.wrong_direction_fraction(r, ["knee_flexion"], dead_band_nm_per_kg=0.03) == 1.0


def test_no_delivered_torque_has_no_direction():
    r = make({**knee("torque/biological", T), **knee("delivered", 0 * T), **knee("command", 0 * T)})
    assert m.wrong_direction_fraction(r, ["knee_flexion"]) is None
    assert m.assisted_joints(r) == ()


def test_effort_sums_over_muscles_and_averages_over_time():
    ramp = np.linspace(0, 1, 200_001)
    r = make({"activation/soleus_r": ramp, "activation/soleus_l": np.full(ramp.size, 0.5)})
    assert m.effort(r) == pytest.approx(1 / 3 + 1 / 4, abs=1e-4)
    assert m.effort(r, power=3) == pytest.approx(1 / 4 + 1 / 8, abs=1e-4)
    assert m.effort(make({"pelvis/x": T})) is None


def test_speed_work_and_metabolic_rate():
    r = make(
        {
            "pelvis/x": 2.0 + 1.6 * T,
            "metabolic/bhargava2004": np.full(T.size, 200.0),
            **knee("velocity", np.cos(W * T)),
            **knee("torque/biological", 10 * np.sin(W * T)),
        }
    )
    assert m.mean_speed(r) == pytest.approx(1.6)
    assert m.metabolic_rate(r) == {"bhargava2004": pytest.approx(4.0)}
    # power = 5 sin(2 W t): the mean of its positive part is 5 / pi, on each of two legs.
    work = m.joint_work(r, "knee_flexion")
    assert work["positive"] == pytest.approx(2 * 5 / np.pi / MASS / 1.6, rel=1e-3)
    assert work["negative"] == pytest.approx(-2 * 5 / np.pi / MASS / 1.6, rel=1e-3)
    assert m.joint_work(r, "hip_flexion") == {"positive": None, "negative": None}


def test_exo_tracking_and_peak_power():
    r = make(
        {
            **knee("command", np.full(T.size, 10.0)),
            **knee("delivered", np.full(T.size, 9.0), np.full(T.size, 7.0)),
            **knee("velocity", np.full(T.size, 2.0), np.full(T.size, -1.0)),
            **knee("torque/biological", np.full(T.size, 20.0)),
        }
    )
    exo = m.exo_joint(r, "knee_flexion")
    assert exo["tracking_rmse_nm"] == pytest.approx(np.sqrt((1 + 9) / 2))
    assert exo["peak_power_w"] == pytest.approx(18.0)
    assert exo["delivered_rms_nm_per_kg"] == pytest.approx(np.sqrt((81 + 49) / 2) / MASS)


def test_fault_fraction_counts_samples_with_a_fault():
    fault = np.full(T.size, "", dtype="<U20")
    fault[500:1000] = "sensor_nan,watchdog"
    assert m.fault_fraction(make({"fault": fault})) == 0.25
    assert m.fault_count(make({"fault": fault})) == 1
    assert m.fault_count(make({"fault": np.roll(fault, -500)})) == 1
    assert m.fault_fraction(make({"pelvis/x": T})) == 0.0


def test_after_leaves_out_the_transient_and_refuses_to_leave_nothing():
    r = make({"pelvis/x": T})
    assert m.after(r, 3.0)["time"][0] == pytest.approx(3.0)
    with pytest.raises(ValueError, match="nothing is left after 10 s"):
        m.after(r, 10.0)


def stance(depth: float) -> np.ndarray:
    """A stance of 120 samples: a plateau of 1 with a valley of the given depth in the middle."""
    s = np.linspace(0, 1, 120)
    return np.minimum(1.0, np.minimum(s, 1 - s) / 0.12) - depth * np.exp(-(((s - 0.5) / 0.12) ** 2))


def ground(depth: float, total: float, left_scale: float = 1.0) -> dict[str, np.ndarray]:
    cycle = np.concatenate([stance(depth), np.zeros(80)])
    cycle *= total / (2 * cycle.mean())
    right = np.tile(cycle, 8)
    return {"grf/r/z": right, "grf/l/z": left_scale * np.roll(right, 100)}


def test_mean_ground_force_is_compared_with_the_weight_of_person_and_exo():
    r = make(ground(0.2, 60 * 9.81))
    assert ground_force_metrics(r, worn_kg=10.0)["weight_ratio"] == pytest.approx(1.0, abs=1e-6)
    assert ground_force_metrics(r)["weight_deviation"] == pytest.approx(0.2, abs=1e-6)


@pytest.mark.parametrize(("depth", "double"), [(0.25, 1.0), (0.0, 0.0), (-0.2, 0.0)])
def test_only_a_valley_makes_two_humps(depth, double):
    assert ground_force_metrics(make(ground(depth, MASS * 9.81)))["double_hump_fraction"] == double


def test_symmetry_index_of_a_leg_that_carries_less():
    found = ground_force_metrics(make(ground(0.2, MASS * 9.81, left_scale=0.8)))
    assert found["symmetry_index_percent"] == pytest.approx(100 * 0.2 / 0.9, rel=1e-6)


def test_ground_force_without_strides_is_missing_not_wrong():
    found = ground_force_metrics(make({"grf/r/z": np.full(500, 200.0), "grf/l/z": np.full(500, 200.0)}))
    assert set(found.values()) == {None}


def test_angle_rms_against_a_reference_cycle():
    forces = ground(0.2, MASS * 9.81)
    n = forces["grf/r/z"].size
    # Force passes the contact threshold one sample after the cycle begins.
    shape = np.sin(2 * np.pi * ((np.arange(n) - 1) % 200) / 200)
    r = make({**forces, "angle/knee_flexion_r": shape + np.radians(4.0)})
    reference = {"knee_flexion": np.sin(2 * np.pi * np.linspace(0, 1, 101)), "hip_flexion": np.zeros(101)}
    assert m.angle_rms_deg(r, reference) == {
        "knee_flexion": pytest.approx(4.0, rel=0.02),
        "hip_flexion": None,
    }
