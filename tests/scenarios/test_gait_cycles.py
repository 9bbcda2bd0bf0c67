from __future__ import annotations

import itertools

import numpy as np
import pytest
from exotwin.scenarios.gait_cycles import (
    gait_summary,
    heel_strikes,
    in_contact,
    mean_sd,
    resample,
    strides,
    toe_offs,
)
from hypothesis import given
from hypothesis import strategies as st
from synthetic_walk import RATE, make


def steps(periods: int, stance: int = 120, swing: int = 80, lead: int = 50) -> np.ndarray:
    """Square contacts of 500 N: `stance` samples on, `swing` off, starting in swing."""
    return np.concatenate([np.zeros(lead), np.tile([500.0] * stance + [0.0] * swing, periods)])


def test_events_of_square_contacts_are_where_they_were_put():
    contact = in_contact(steps(3), RATE)
    assert heel_strikes(contact).tolist() == [50, 250, 450]
    assert toe_offs(contact).tolist() == [170, 370, 570]


def test_hysteresis_and_bounces_do_not_make_events():
    force = steps(3)
    force[60:64] = 0.0  # the heel bounces
    force[400:405] = 100.0  # the toe scuffs
    force[100:110] = 25.0  # between the thresholds: still on the ground
    force[300] = np.nan
    assert heel_strikes(in_contact(force, RATE)).tolist() == [50, 250, 450]


@given(st.lists(st.floats(0, 1000), min_size=2, max_size=300))
def test_no_inner_stance_is_shorter_than_a_tenth_of_a_second(force):
    contact = in_contact(np.array(force), RATE)
    edges = np.flatnonzero(np.diff(contact.astype(int)))
    assert all(end - start >= 20 for start, end in itertools.pairwise(edges) if contact[start + 1])


def test_strides_resample_to_a_known_curve_and_skip_the_transient():
    force = steps(4)
    phase = ((np.arange(force.size) - 50) % 200) / 200
    r = make({"grf/r/z": force, "angle/knee_flexion_r": np.sin(2 * np.pi * phase)})
    cycles = strides(r, "r")
    assert [(c.start, c.toe_off, c.end) for c in cycles] == [(50, 170, 250), (250, 370, 450), (450, 570, 650)]
    assert len(strides(r, "r", skip_s=1.0)) == 2
    mean, sd = mean_sd(r["angle/knee_flexion_r"], cycles)
    np.testing.assert_allclose(mean, np.sin(2 * np.pi * np.linspace(0, 1, 101)), atol=1e-9)
    np.testing.assert_allclose(sd, 0.0, atol=1e-9)
    assert resample(r["angle/knee_flexion_r"], cycles).shape == (3, 101)


def test_mean_and_sd_leave_missing_samples_out():
    force = steps(3)
    signal = np.full(force.size, np.nan)
    signal[250:450] = 3.0
    mean, sd = mean_sd(signal, strides(make({"grf/r/z": force}), "r"))
    assert mean[50] == 3.0
    assert sd[50] == 0.0
    assert np.isnan(mean_sd(np.full(force.size, np.nan), strides(make({"grf/r/z": force}), "r"))[0]).all()


def test_summary_of_a_constructed_walk():
    right = steps(6)
    left = np.roll(right, 100)
    r = make({"grf/r/z": right, "grf/l/z": left, "pelvis/x": 1.3 * np.arange(right.size) / RATE})
    summary = gait_summary(r)
    assert summary["stride_time_s"] == pytest.approx(1.0)
    assert summary["stance_fraction"] == pytest.approx(0.6)
    assert summary["cadence_steps_per_min"] == pytest.approx(120.0)
    assert summary["step_length_m"] == pytest.approx(0.65)


def test_standing_still_and_missing_forces_have_no_stride():
    assert strides(make({"grf/r/z": np.full(500, 300.0)}), "r") == []
    assert strides(make({"pelvis/x": np.zeros(500)}), "r") == []
    assert gait_summary(make({"pelvis/x": np.zeros(500)})) == {}
