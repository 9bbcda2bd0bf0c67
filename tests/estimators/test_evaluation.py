"""Errors against closed forms and scipy."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from exotwin.estimators.evaluation import joint_errors, pooled_errors, torque_errors
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr

T = np.arange(2000) / 200.0
SINE = np.sin(2 * np.pi * T)  # whole cycles: mean 0, variance 1/2, range 2


def test_constant_offset() -> None:
    errors = torque_errors(SINE + 0.1, SINE, 200.0)
    expected = {"rmse": 0.1, "nrmse": 0.05, "r": 1.0, "r2": 1 - 0.01 / 0.5, "lag_ms": 0.0, "missing": 0.0}
    assert errors == pytest.approx(expected, abs=1e-6)


def test_gain_and_sign() -> None:
    half = torque_errors(0.5 * SINE, SINE, 200.0)
    assert half == pytest.approx(
        {"rmse": 0.5 * math.sqrt(0.5), "nrmse": 0.25 * math.sqrt(0.5), "r": 1, "r2": 0.75, "lag_ms": 0, "missing": 0},
        abs=1e-6,
    )
    assert torque_errors(-SINE, SINE, 200.0)["r"] == pytest.approx(-1.0)
    assert torque_errors(0 * SINE + SINE.mean(), SINE, 200.0)["r2"] == pytest.approx(0.0, abs=1e-12)


@given(st.floats(-150, 150))
def test_lag_is_the_delay_of_the_estimate(delay_ms: float) -> None:
    t = np.arange(3000) / 200.0

    def wave(at: np.ndarray) -> np.ndarray:
        return np.sin(2 * np.pi * 0.9 * at) + 0.5 * np.sin(2 * np.pi * 2.3 * at + 1)

    errors = torque_errors(wave(t - delay_ms / 1e3), wave(t), 200.0)
    assert errors["lag_ms"] == pytest.approx(delay_ms, abs=1.0)


def test_lag_of_a_shift_by_whole_samples() -> None:
    noise = np.random.default_rng(0).normal(size=1000)
    assert torque_errors(noise[:-7], noise[7:], 200.0)["lag_ms"] == pytest.approx(35.0, abs=0.3)
    assert torque_errors(noise[7:], noise[:-7], 200.0)["lag_ms"] == pytest.approx(-35.0, abs=0.3)


def test_correlation_is_pearsons() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(2, 1, 300)
    e = 0.4 * y + rng.normal(5, 1, 300)
    assert torque_errors(e, y, 100.0)["r"] == pytest.approx(pearsonr(e, y).statistic)


def test_unanswered_samples_are_counted_and_left_out() -> None:
    estimate = SINE + 0.1
    estimate[500:1000] = np.nan
    errors = torque_errors(estimate, SINE, 200.0)
    assert errors["missing"] == 0.25
    assert errors["rmse"] == pytest.approx(0.1)
    nothing = torque_errors(np.full(4, np.nan), np.ones(4), 200.0)
    assert nothing["missing"] == 1.0
    assert math.isnan(nothing["rmse"])


def test_constant_truth_has_no_relative_error() -> None:
    errors = torque_errors(np.arange(5.0), np.full(5, 2.0), 200.0)
    assert errors["rmse"] == pytest.approx(math.sqrt(2.0))
    assert all(math.isnan(errors[key]) for key in ("nrmse", "r", "r2", "lag_ms"))


def test_sides_are_pooled_as_one_sample() -> None:
    right, left = SINE, 2 * SINE
    table = joint_errors(
        [
            (
                {"knee_flexion_r": right + 0.3, "knee_flexion_l": left - 0.1},
                {"knee_flexion_r": right, "knee_flexion_l": left},
            )
        ],
        200.0,
    )
    assert list(table) == ["knee_flexion"]
    assert table["knee_flexion"]["rmse"] == pytest.approx(math.sqrt((0.09 + 0.01) / 2))
    assert table["knee_flexion"]["nrmse"] == pytest.approx(math.sqrt(0.05) / 4)
    # The mean over both sides is 0, the variance (1/2 + 4/2) / 2.
    assert table["knee_flexion"]["r2"] == pytest.approx(1 - 0.05 / 1.25)


def test_lengths_must_match() -> None:
    with pytest.raises(ValueError, match="not of one length"):
        pooled_errors([(np.zeros(3), np.zeros(4))], 200.0)


@pytest.mark.parametrize("module", ["runtime", "evaluation", "bundle"])
def test_device_side_imports_nothing_heavy(module: str) -> None:
    code = (
        f"import sys, exotwin.estimators.{module}; "
        "print([m for m in ('torch', 'mujoco', 'gymnasium', 'scipy', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
