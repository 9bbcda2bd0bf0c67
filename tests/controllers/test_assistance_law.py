"""The assistance law against closed-form responses."""

import math

import numpy as np
import pytest
from exotwin.controllers import AssistanceConfig, JointAssistance, ModeEstimate
from exotwin.controllers.assistance import AssistanceLaw
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

RATE, MASS = 200.0, 70.0
DT = 1.0 / RATE
WALK, STAND = ModeEstimate("walk", 1.0), ModeEstimate("stand", 1.0)
OPEN = 1e9  # Hz: a low-pass that lets all through


def law(fade_s=1e-6, **joint):
    config = AssistanceConfig(joints={"hip_flexion": JointAssistance(**joint)}, fade_s=fade_s)
    return AssistanceLaw(config, ("hip_flexion_r",), MASS, RATE)


def respond(law, signal, mode=WALK):
    return np.array([law.update(np.array([x]), mode)[0] for x in signal])


def test_scale_times_body_mass():
    got = respond(law(scale=0.2, lowpass_hz=OPEN), [0.1, -0.5, 1.0])
    assert got == pytest.approx([0.2 * MASS * x for x in (0.1, -0.5, 1.0)])


@pytest.mark.parametrize("cutoff", [2.0, 10.0, 40.0])
def test_lowpass_step_response_is_the_exponential(cutoff):
    got = respond(law(scale=0.2, lowpass_hz=cutoff, cap_nm=100), np.ones(80))
    time = DT * np.arange(1, 81)
    assert got == pytest.approx(0.2 * MASS * (1 - np.exp(-2 * np.pi * cutoff * time)), rel=1e-9)


@pytest.mark.parametrize(("cutoff", "f"), [(6.0, 1.0), (6.0, 6.0)])
def test_lowpass_gain_and_lag_near_the_analogue_filter(cutoff, f):
    time = DT * np.arange(2000)
    got = respond(law(scale=1.0 / MASS, lowpass_hz=cutoff, cap_nm=10), np.sin(2 * np.pi * f * time))
    tail = slice(1000, 2000)  # whole periods
    wave = np.exp(-2j * np.pi * f * time[tail])
    gain = 2j * np.mean(got[tail] * wave)
    analogue = 1.0 / (1.0 + 1j * f / cutoff)
    assert abs(gain) == pytest.approx(abs(analogue), rel=0.03)
    # a sampled filter that uses the present sample leads by half a sample
    half_sample = np.exp(1j * np.pi * f * DT)
    assert np.angle(gain) == pytest.approx(np.angle(analogue * half_sample), abs=0.03)


@given(st.floats(0.0, 1.0))
def test_delay_shifts_a_ramp_by_exactly_the_delay(delay):
    time = DT * np.arange(300)
    got = respond(law(scale=1.0 / MASS, lowpass_hz=OPEN, delay_s=delay, cap_nm=10), time)
    settled = time > delay + 2 * DT
    assert got[settled] == pytest.approx((time - delay)[settled], abs=1e-6)


def test_delays_differ_by_joint():
    config = AssistanceConfig(
        joints={
            "hip_flexion": JointAssistance(scale=1.0, delay_s=0.05, lowpass_hz=OPEN),
            "knee_flexion": JointAssistance(scale=1.0, delay_s=0.10, lowpass_hz=OPEN),
        },
        fade_s=1e-6,
    )
    two = AssistanceLaw(config, ("hip_flexion_l", "knee_flexion_l", "ankle_dorsiflexion_l"), 1.0, RATE)
    pulse = np.array([two.update(np.full(3, float(k == 0)), WALK) for k in range(40)])
    assert np.flatnonzero(pulse[:, 0] > 1e-9).tolist() == [10]
    assert np.flatnonzero(pulse[:, 1] > 1e-9).tolist() == [20]
    assert not pulse[:, 2].any()  # no law for the ankle: no torque


@given(st.lists(st.floats(allow_nan=True, allow_infinity=False, width=32), min_size=1, max_size=60))
def test_cap_and_finiteness_hold_for_any_estimate(signal):
    got = respond(law(scale=1.0, delay_s=0.012, lowpass_hz=8.0, cap_nm=12.0), signal)
    assert np.isfinite(got).all()
    assert np.abs(got).max() <= 12.0 + 1e-9


def test_fades_in_and_out_with_the_time_constant():
    it = law(fade_s=0.2, scale=1.0 / MASS, lowpass_hz=OPEN)
    time = DT * np.arange(1, 201)
    assert respond(it, np.ones(200)) == pytest.approx(1 - np.exp(-time / 0.2), rel=1e-9)
    full = 1 - math.exp(-1.0 / 0.2)
    assert respond(it, np.ones(200), STAND) == pytest.approx(full * np.exp(-time / 0.2), rel=1e-9)


def test_an_estimate_that_cannot_tell_fades_the_last_torque_out():
    it = law(fade_s=0.1, scale=1.0 / MASS, lowpass_hz=OPEN)
    respond(it, np.ones(400))
    time = DT * np.arange(1, 101)
    assert respond(it, np.full(100, math.nan)) == pytest.approx(np.exp(-time / 0.1), rel=1e-6)


def test_reset_forgets():
    it = law(fade_s=0.1, scale=0.2, delay_s=0.03)
    first = respond(it, np.ones(50))
    it.reset()
    assert np.array_equal(respond(it, np.ones(50)), first)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"joints": {"hip_flexon": {"scale": 0.2}}}, "did you mean 'hip_flexion'"),
        ({"joints": {"hip_flexion": {"scale": 0.2, "delay": 0.1}}}, "did you mean 'delay_s'"),
        ({"joints": {"hip_flexion": {"scale": 0.2, "modes": ["wlak"]}}}, "did you mean 'walk'"),
        ({"joints": {"hip_flexion": {"scale": 2.0}}}, "less than or equal to 1"),
        ({"joints": {"hip_flexion": {"scale": math.nan}}}, "finite"),
        ({"joints": {"hip_flexion": {}}}, "scale"),
        ({"fade": 0.1}, "did you mean 'fade_s'"),
    ],
)
def test_a_bad_config_is_named_with_the_nearest_right_name(raw, said):
    with pytest.raises(ValidationError, match=said):
        AssistanceConfig.model_validate(raw)
