"""The compiled muscle curves against MuJoCo's, the sharing of torque against SciPy's bounded least squares."""

import mujoco
import numpy as np
import pytest
from exotwin.sim.muscle_control import (
    A_MIN,
    EFFORT_WEIGHT,
    force_length,
    force_velocity,
    passive_force,
    static_optimisation,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy.optimize import lsq_linear

MUSCLES, JOINTS = 13, 6

curves = st.fixed_dictionaries(
    {
        "low": st.floats(0.3, 0.95),
        "width": st.floats(0.05, 1.2),
        "force": st.floats(50, 8000),
        "lmin": st.floats(0.1, 0.8),
        "lmax": st.floats(1.2, 2.5),
        "vmax": st.floats(1.0, 20.0),
        "fpmax": st.floats(0.05, 3.0),
        "fvmax": st.floats(1.05, 1.8),
        "reach": st.tuples(st.floats(0.05, 0.3), st.floats(0.02, 0.4)),
    }
)


@njit
def gain(length, velocity, lmin, lmax, fvmax):
    return force_length(length, lmin, lmax) * force_velocity(velocity, fvmax)


@njit
def bias(length, lmax, fpmax):
    return passive_force(length, lmax, fpmax)


@settings(max_examples=300, deadline=None)
@given(curves, st.floats(0.0, 3.0), st.floats(-2.0, 2.0))
def test_curves_are_mujocos(curve, length, velocity):
    """length and velocity: over the optimal length and the greatest velocity."""
    high = curve["low"] + curve["width"]
    shortest, span = curve["reach"]
    reach = np.array([shortest, shortest + span])
    optimal = span / curve["width"]
    path = shortest + (length - curve["low"]) * optimal
    rate = velocity * curve["vmax"] * optimal
    names = ("lmin", "lmax", "vmax", "fpmax", "fvmax")
    prm = np.array([curve["low"], high, curve["force"], 1.0, *(curve[n] for n in names)])
    expected_gain = -mujoco.mju_muscleGain(path, rate, reach, 1.0, prm)
    expected_bias = -mujoco.mju_muscleBias(path, reach, 1.0, prm)
    ours = curve["force"] * gain(length, velocity, curve["lmin"], curve["lmax"], curve["fvmax"])
    assert ours == pytest.approx(expected_gain, rel=1e-6, abs=1e-6 * curve["force"])
    ours = curve["force"] * bias(length, curve["lmax"], curve["fpmax"])
    assert ours == pytest.approx(expected_bias, rel=1e-6, abs=1e-6 * curve["force"])


def test_curve_landmarks():
    assert gain(1.0, 0.0, 0.5, 1.6, 1.4) == 1.0
    assert gain(1.0, -1.0, 0.5, 1.6, 1.4) == 0.0
    assert gain(1.0, 0.5, 0.5, 1.6, 1.4) == 1.4
    assert gain(0.5, 0.0, 0.5, 1.6, 1.4) == 0.0
    assert bias(1.0, 1.6, 1.2) == 0.0
    assert bias(1.3, 1.6, 1.2) == pytest.approx(0.6)


def problem(seed, scale=1.0):
    """A random two-legged sharing problem with anatomical magnitudes; torques within and beyond reach."""
    rng = np.random.default_rng(seed)
    arms = np.zeros((2 * JOINTS, 2 * MUSCLES))
    for leg in range(2):
        crossed = rng.random((JOINTS, MUSCLES)) < 0.5
        block = np.where(crossed, rng.uniform(-0.06, 0.06, (JOINTS, MUSCLES)), 0.0)
        arms[leg * JOINTS : (leg + 1) * JOINTS, leg * MUSCLES : (leg + 1) * MUSCLES] = block
    capacity = rng.uniform(0.0, 3000.0, 2 * MUSCLES)
    passive = rng.uniform(0.0, 100.0, 2 * MUSCLES)
    torque = scale * rng.normal(0.0, 50.0, 2 * JOINTS)
    weight = np.tile([1.0, 1.0, 0.1, 1.0, 1.0, 0.0], 2)
    return arms, capacity, passive, torque, weight


def cost(activation, arms, capacity, passive, torque, weight):
    miss = torque - arms @ (passive + capacity * activation)
    return float(weight @ miss**2 + EFFORT_WEIGHT * activation @ activation)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.2, 1.0, 5.0]))
def test_static_optimisation_is_bounded_least_squares(seed, scale):
    arms, capacity, passive, torque, weight = problem(seed, scale)
    root = np.sqrt(weight)[:, None]
    left = np.concatenate([root * arms * capacity, np.sqrt(EFFORT_WEIGHT) * np.eye(2 * MUSCLES)])
    right = np.concatenate([root[:, 0] * (torque - arms @ passive), np.zeros(2 * MUSCLES)])
    expected = lsq_linear(left, right, (A_MIN, 1.0), method="bvls", tol=1e-12).x
    ours = np.full(2 * MUSCLES, A_MIN)
    for _ in range(3000):
        static_optimisation(arms, capacity, passive, torque, weight, ours, MUSCLES, JOINTS)
    assert ours.min() >= A_MIN
    assert ours.max() <= 1.0
    args = (arms, capacity, passive, torque, weight)
    assert cost(ours, *args) == pytest.approx(cost(expected, *args), rel=1e-6, abs=1e-6)
    np.testing.assert_allclose(ours, expected, atol=2e-3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_each_call_lowers_the_cost_and_legs_are_independent(seed, start):
    arms, capacity, passive, torque, weight = problem(seed)
    before = np.random.default_rng(start).uniform(A_MIN, 1.0, 2 * MUSCLES)
    after = before.copy()
    static_optimisation(arms, capacity, passive, torque, weight, after, MUSCLES, JOINTS)
    args = (arms, capacity, passive, torque, weight)
    assert cost(after, *args) <= cost(before, *args) + 1e-9
    other = torque.copy()
    other[JOINTS:] = -40.0  # the left leg wants something else
    again = before.copy()
    static_optimisation(arms, capacity, passive, other, weight, again, MUSCLES, JOINTS)
    np.testing.assert_array_equal(again[:MUSCLES], after[:MUSCLES])


def test_warm_start_follows_a_slow_torque():
    """In a control loop one call a step suffices: torque that turns through 60 Nm in 0.5 s at 500 Hz is met."""
    arms, capacity, passive, torque, weight = problem(4)
    arms[:, :] = 0.0
    arms[3, 9], arms[3, 2] = -0.04, 0.04  # one extensor, one flexor
    capacity[[9, 2]] = 4000.0
    activation = np.full(2 * MUSCLES, A_MIN)
    misses = []
    for step in range(250):
        torque[:] = 0.0
        torque[3] = 60.0 * np.sin(np.pi * step / 250)
        static_optimisation(arms, capacity, passive, torque, weight, activation, MUSCLES, JOINTS)
        misses.append(torque[3] - arms[3] @ (passive + capacity * activation))
    assert np.abs(misses).max() < 2.0
