"""Gait phase against synthetic gaits whose heel strikes are known."""

import math

import numpy as np
import pytest
from exotwin.controllers.phase import GaitPhase, LegPhase, PhaseConfig

DT = 0.005


def run(time, force, leg=None):
    leg = leg or LegPhase(PhaseConfig())
    return np.array([leg.update(t, f) for t, f in zip(time, force, strict=True)])


def true_phase(time, strikes):
    k = np.clip(np.searchsorted(strikes, time, side="right") - 1, 0, len(strikes) - 2)
    return (time - strikes[k]) / np.diff(strikes)[k]


@pytest.mark.parametrize("stride", [0.7, 1.1, 1.7])
def test_steady_gait_is_followed_to_one_percent(walking_force, stride):
    strikes = np.arange(0.2, 15.0, stride)
    time = np.arange(0.0, strikes[-1], DT)
    phase = run(time, walking_force(time, strikes))
    assert np.isnan(phase[time < 0.2]).all()
    later = time > strikes[3]
    error = (phase - true_phase(time, strikes))[later]
    error -= np.round(error)
    # detection lags by at most the rise of the force to the threshold and one sample
    assert np.abs(error).max() < 0.015 + DT / stride


def test_every_strike_of_an_irregular_gait_restarts_phase_once(walking_force):
    rng = np.random.default_rng(3)
    strikes = np.cumsum(rng.uniform(0.95, 1.25, 30))
    time = np.arange(0.0, strikes[-1], DT)
    force = np.maximum(walking_force(time, strikes) + rng.normal(0.0, 8.0, time.size), 0.0)
    phase = run(time, force)
    assert np.nanmax(phase) <= 1.0
    falls = time[1:][np.diff(phase) < 0.0]
    expected = strikes[1:-1]  # the first only starts the phase, the last ends the record
    assert falls.size == expected.size
    assert np.all((falls - expected >= 0.0) & (falls - expected <= 0.02))


def test_a_dip_between_the_thresholds_makes_no_heel_strike():
    time = np.arange(0.0, 1.0, DT)
    force = np.where(time < 0.1, 0.0, 45.0 + 300.0 * (np.sin(2 * np.pi * 10 * time) > 0))
    force[time >= 0.1] += 1e-9
    phase = run(time, force)
    assert np.sum(np.diff(phase[~np.isnan(phase)]) < 0) == 0


def test_a_bounce_inside_the_shortest_stride_is_ignored():
    time = np.arange(0.0, 1.0, DT)
    force = np.where((time > 0.1) & ~((time > 0.3) & (time < 0.4)), 500.0, 0.0)
    phase = run(time, force)
    assert np.sum(np.diff(phase[~np.isnan(phase)]) < 0) == 0


def test_phase_waits_at_one_then_is_given_up_when_the_person_stops(walking_force):
    strikes = np.arange(0.2, 6.0, 1.0)
    time = np.arange(0.0, 9.0, DT)
    force = walking_force(time, strikes)
    last = strikes[-2]
    force[time >= last] = 400.0
    phase = run(time, force)
    assert np.all(phase[(time > last + 1.05) & (time < last + 1.4)] == 1.0)
    assert np.isnan(phase[time > last + 1.6]).all()


def test_standing_from_the_start_has_no_phase():
    assert np.isnan(run(np.arange(0, 3, DT), np.full(600, 400.0))).all()


def test_lost_samples_change_nothing_but_the_strikes_they_hide(walking_force):
    strikes = np.arange(0.2, 12.0, 1.0)
    time = np.arange(0.0, strikes[-1], DT)
    force = walking_force(time, strikes)
    whole = run(time, force)
    mid_swing = force.copy()
    mid_swing[(time > 5.9) & (time < 6.1)] = math.nan  # 6.2 is a strike
    assert np.allclose(run(time, mid_swing), whole, equal_nan=True, atol=1e-9)
    over_strike = force.copy()
    over_strike[(time > 6.15) & (time < 6.4)] = math.nan
    leg = LegPhase(PhaseConfig())
    phase = run(time, over_strike, leg)
    assert leg.stride_s == pytest.approx(1.0, abs=0.01)  # not dragged to 2 s
    assert np.allclose(phase[time > 8.3], whole[time > 8.3], atol=0.02)


def test_both_legs_are_told_apart(make_frame):
    gait = GaitPhase()
    for k in range(400):
        t = k * DT
        on = {"insole/r/force": 500.0 * (t % 1.0 > 0.5), "insole/l/force": 500.0 * (t % 1.0 < 0.5)}
        right, left = gait.update(make_frame(t, on))
    assert right == pytest.approx((t - 1.505) / 1.0, abs=0.011)
    assert left == pytest.approx((t - 1.0) / 1.1, abs=0.011)
    gait.reset()
    assert all(math.isnan(p) for p in gait.update(make_frame(0.0)))


def test_thresholds_out_of_order_are_refused():
    with pytest.raises(ValueError, match="unload_n"):
        PhaseConfig(load_n=20.0, unload_n=30.0)
    with pytest.raises(ValueError, match="did you mean 'load_n'"):
        PhaseConfig.model_validate({"laod_n": 20.0})


def test_toes_that_leave_the_ground_twice_do_not_capture_the_phase(walking_force):
    """A second touch after push-off, later than the shortest stride, is no heel strike."""
    stride = 1.1
    strikes = np.arange(0.2, 12.0, stride)
    time = np.arange(0.0, strikes[-1], DT)
    force = walking_force(time, strikes)
    since = (time - 0.2) % stride
    off = since[(force < 30.0) & (time > 0.2) & (time < 0.2 + stride)].min()
    force[(since > off + 0.03) & (since < off + 0.06) & (time > 0.2)] = 100.0
    assert off > PhaseConfig().min_stride_s
    error = (run(time, force) - true_phase(time, strikes))[time > strikes[3]]
    error -= np.round(error)
    assert np.abs(error).max() < 0.03
